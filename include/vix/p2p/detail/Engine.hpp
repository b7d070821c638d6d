/**
 * @file Engine.hpp
 * @brief What this module needs of vixp2p.h: an owned node, lists as vectors, endpoints as values.
 */
#ifndef VIX_P2P_DETAIL_ENGINE_HPP
#define VIX_P2P_DETAIL_ENGINE_HPP

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vix/p2p/Peer.hpp>
#include <vixp2p.hpp>

namespace vix::p2p::detail {

/** Owns a node of the engine. Ending it is legal from anywhere, from callbacks too. */
class EngineHandle {
public:
    EngineHandle() = default;
    EngineHandle(const EngineHandle &) = delete;
    EngineHandle &operator=(const EngineHandle &) = delete;
    ~EngineHandle() { vixp2p_node_destroy(node_); }

    void create(const vixp2p_node_options &options) { vixp2p::check(vixp2p_node_create(&options, &node_)); }
    void swap(EngineHandle &other) noexcept { std::swap(node_, other.node_); }
    vixp2p_node *get() const noexcept { return node_; }

private:
    vixp2p_node *node_{nullptr};
};

/** A list that a function of vixp2p.h fills; empty if it cannot. */
template <class Item, class List> std::vector<Item> listed(const vixp2p_node *node, List list)
{
    std::vector<Item> items(16);
    for (;;) {
        std::size_t count = items.size();
        const vixp2p_status status = list(node, items.data(), sizeof(Item), &count);
        if (status != VIXP2P_ERR_BUFFER_TOO_SMALL) {
            items.resize(status == VIXP2P_OK ? count : 0);
            return items;
        }
        items.resize(count + 16);
    }
}

inline std::uint32_t saturated(std::size_t value)
{
    return static_cast<std::uint32_t>(std::min<std::size_t>(value, std::numeric_limits<std::uint32_t>::max()));
}

/** "host:port", an IPv6 address in brackets. */
inline std::string host_and_port(const PeerEndpoint &endpoint)
{
    const bool is_v6 = endpoint.host.find(':') != std::string::npos && endpoint.host.front() != '[';
    return (is_v6 ? '[' + endpoint.host + ']' : endpoint.host) + ':' + std::to_string(endpoint.port);
}

inline std::string scheme_of(const PeerEndpoint &endpoint)
{
    std::string scheme = endpoint.scheme.empty() ? "tcp" : endpoint.scheme;
    std::transform(scheme.begin(), scheme.end(), scheme.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return scheme;
}

/** "tcp://host:port". */
inline std::string endpoint_text(const PeerEndpoint &endpoint) { return scheme_of(endpoint) + "://" + host_and_port(endpoint); }

/** Of "tcp://host:port" or "host:port"; without a port where there is none. */
inline PeerEndpoint parse_endpoint(std::string_view text)
{
    PeerEndpoint endpoint;
    endpoint.scheme = "tcp";
    if (const std::size_t at = text.find("://"); at != std::string_view::npos) {
        endpoint.scheme = text.substr(0, at);
        text.remove_prefix(at + 3);
    }
    const std::size_t colon = text.rfind(':');
    std::string_view host = text.substr(0, colon);
    if (colon != std::string_view::npos) {
        std::from_chars(text.data() + colon + 1, text.data() + text.size(), endpoint.port);
    }
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    }
    endpoint.host = host;
    return endpoint;
}

/** A key from its 64 digits. */
inline std::optional<vixp2p_peer_id> parse_key(const std::string &text)
{
    vixp2p_peer_id id{};
    if (text.size() != 64 || vixp2p_peer_id_from_hex(text.c_str(), &id) != VIXP2P_OK) {
        return std::nullopt;
    }
    return id;
}

} // namespace vix::p2p::detail

#endif
