/**
 * @file DiscoveryAnnounce.hpp
 * @brief What a node tells its network about itself.
 */
#ifndef VIX_P2P_MESSAGES_DISCOVERY_ANNOUNCE_HPP
#define VIX_P2P_MESSAGES_DISCOVERY_ANNOUNCE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include <vix/p2p/detail/json.hpp>

namespace vix::p2p::msg {

struct DiscoveryAnnounce {
    std::string node_id;
    std::uint16_t tcp_port{0};
    std::uint64_t ts_ms{0};
    std::uint64_t nonce{0};
    std::unordered_map<std::string, std::string> capabilities;

    static constexpr std::size_t kMaxBytes = 512;

    /** Cut at kMaxBytes, whatever that does to the JSON: names have to be short. Capabilities come in the map's order. */
    std::string to_json() const
    {
        std::string out = "{\"node_id\":" + quoted(node_id) + ",\"tcp_port\":" + std::to_string(tcp_port) +
                          ",\"ts_ms\":" + std::to_string(ts_ms) + ",\"nonce\":" + std::to_string(nonce);
        const char *before = ",\"cap\":{";
        for (const auto &[key, value] : capabilities) {
            out += before + quoted(key) + ':' + quoted(value);
            before = ",";
        }
        out += capabilities.empty() ? "}" : "}}";
        out.resize(std::min(out.size(), kMaxBytes));
        return out;
    }

    /**
     * Nothing unless the text is one JSON object of at most kMaxBytes that begins and ends the text, with each of the four members
     * once and in its range. Unknown members are passed over.
     */
    static std::optional<DiscoveryAnnounce> from_json(const std::string &text)
    {
        if (text.size() > kMaxBytes || text.empty() || text.front() != '{' || text.back() != '}') {
            return std::nullopt;
        }
        DiscoveryAnnounce announce;
        Seen seen;
        detail::Json json(text);
        const bool is_whole = json.object([&](const std::string &name) { return announce.member(json, name, seen); }) && json.at_end();
        const bool has_all = seen.node_id && seen.tcp_port && seen.ts_ms && seen.nonce;
        return is_whole && has_all ? std::optional(std::move(announce)) : std::nullopt;
    }

private:
    struct Seen {
        bool node_id{false}, tcp_port{false}, ts_ms{false}, nonce{false}, cap{false};
    };

    bool member(detail::Json &json, std::string_view name, Seen &seen)
    {
        const auto number = [&](bool &before, std::uint64_t least, std::uint64_t most, auto &out) {
            const std::optional<std::uint64_t> value = before ? std::nullopt : json.number();
            before = value && *value >= least && *value <= most;
            out = static_cast<std::remove_reference_t<decltype(out)>>(value.value_or(0));
            return before;
        };
        constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();
        if (name == "node_id") {
            const std::optional<std::string> value = seen.node_id ? std::nullopt : json.text();
            node_id = value.value_or("");
            return seen.node_id = !node_id.empty();
        }
        if (name == "tcp_port") {
            return number(seen.tcp_port, 1, 65535, tcp_port);
        }
        if (name == "ts_ms") {
            return number(seen.ts_ms, 0, any, ts_ms);
        }
        if (name == "nonce") {
            return number(seen.nonce, 0, any, nonce);
        }
        if (name == "cap") {
            return !std::exchange(seen.cap, true) && json.object([&](const std::string &key) {
                const std::optional<std::string> value = json.text();
                return value && capabilities.try_emplace(key, *value).second;
            });
        }
        return json.skip();
    }

    /** Five escapes; every other byte as it is. */
    static std::string quoted(std::string_view text)
    {
        std::string out = "\"";
        for (const char c : text) {
            switch (c) {
            case '\\': out += "\\\\"; break;
            case '"': out += "\\\""; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default: out += c;
            }
        }
        return out + '"';
    }
};

} // namespace vix::p2p::msg

#endif
