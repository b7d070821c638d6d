/**
 * @file Discovery.hpp
 * @brief Finding nodes on the own networks by announcements over UDP.
 */
#ifndef VIX_P2P_DISCOVERY_HPP
#define VIX_P2P_DISCOVERY_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <vix/p2p/detail/Finder.hpp>

namespace vix::p2p {

/** A node that announces itself. A rumour: it is worth a dial, and proves its key then. */
struct DiscoveryAnnouncement {
    std::string node_id;
    std::string host;
    std::uint16_t port{0};
    std::string transport;
};

enum class DiscoveryMode : std::uint8_t {
    Broadcast = 0,
    Multicast = 1,
};

struct DiscoveryConfig {
    std::string self_node_id;
    /** Announced; 0: nothing is. */
    std::uint16_t self_tcp_port{0};
    std::uint16_t discovery_port{37020};
    DiscoveryMode mode{DiscoveryMode::Broadcast};
    std::uint32_t announce_interval_ms{2000};
    /** Silence after which a node is forgotten. */
    std::uint32_t seen_ttl_ms{15000};
    std::uint32_t connect_cooldown_ms{8000};
    std::size_t max_packet_bytes{1024};
    std::string multicast_group{"239.255.0.1"};

    // Beyond the C++ module:
    /** Names of interfaces with commas between them; empty: all but loopback. */
    std::string interfaces{};
    /** The cluster's secret, 32 bytes: only nodes that know it are found. Empty: none. */
    std::vector<std::uint8_t> psk{};
};

using DiscoveryCallback = std::function<void(const DiscoveryAnnouncement &)>;

class Discovery {
public:
    virtual ~Discovery() = default;
    virtual void start() = 0;
    virtual void stop() = 0;
    virtual std::vector<DiscoveryAnnouncement> snapshot() const = 0;
};

class NullDiscovery final : public Discovery {
public:
    void start() override {}
    void stop() override {}
    std::vector<DiscoveryAnnouncement> snapshot() const override { return {}; }
};

namespace detail {

class UdpDiscovery final : public Discovery {
public:
    UdpDiscovery(DiscoveryConfig config, DiscoveryCallback callback)
        : finder_(std::make_shared<Finder<DiscoveryAnnouncement>>(
              [config](EngineHandle &engine) { open(config, engine); }, read, std::move(callback), config.connect_cooldown_ms))
    {
    }
    ~UdpDiscovery() override { finder_->stop(); }
    UdpDiscovery(const UdpDiscovery &) = delete;
    UdpDiscovery &operator=(const UdpDiscovery &) = delete;

    void start() override { finder_->start(); }
    void stop() override { finder_->stop(); }
    std::vector<DiscoveryAnnouncement> snapshot() const override { return finder_->snapshot(); }

private:
    static void open(const DiscoveryConfig &config, EngineHandle &engine)
    {
        vixp2p_node_options options = finder_options(config.self_node_id, config.self_tcp_port);
        options.discovery = config.mode == DiscoveryMode::Multicast ? VIXP2P_DISCOVERY_MULTICAST : VIXP2P_DISCOVERY_BROADCAST;
        options.discovery_port = config.discovery_port;
        // The module takes any numbers; these are the nearest that make sense.
        options.discovery_interval_ms = std::clamp(config.announce_interval_ms, 100U, 3'600'000U);
        options.discovery_ttl_ms = std::max(config.seen_ttl_ms, options.discovery_interval_ms + 1);
        options.discovery_packet_bytes = std::max(saturated(config.max_packet_bytes), 256U);
        options.discovery_group = config.multicast_group.c_str();
        options.discovery_interfaces = config.interfaces.empty() ? nullptr : config.interfaces.c_str();
        options.psk = config.psk.empty() ? nullptr : config.psk.data();
        options.psk_len = config.psk.size();
        engine.create(options);
    }

    static std::vector<Found<DiscoveryAnnouncement>> read(const vixp2p_node *node)
    {
        std::vector<Found<DiscoveryAnnouncement>> found;
        for (const vixp2p_discovered_info &info : listed<vixp2p_discovered_info>(node, vixp2p_node_discovered)) {
            const PeerEndpoint at = parse_endpoint(info.endpoint);
            found.push_back({DiscoveryAnnouncement{info.node_id, at.host, at.port, "tcp"}, info.endpoint});
        }
        return found;
    }

    std::shared_ptr<Finder<DiscoveryAnnouncement>> finder_;
};

} // namespace detail

/**
 * Announces a node and looks for others. The callback is called on a thread of its own, for each node at most once in
 * connect_cooldown_ms; it may call stop(). start() throws vixp2p::Error for settings that are none.
 */
inline std::shared_ptr<Discovery> make_udp_discovery(DiscoveryConfig config, DiscoveryCallback callback)
{
    return std::make_shared<detail::UdpDiscovery>(std::move(config), std::move(callback));
}

} // namespace vix::p2p

#endif
