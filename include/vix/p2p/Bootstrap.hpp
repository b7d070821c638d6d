/**
 * @file Bootstrap.hpp
 * @brief Finding nodes by a registry over HTTP.
 */
#ifndef VIX_P2P_BOOTSTRAP_HPP
#define VIX_P2P_BOOTSTRAP_HPP

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

/** A node as a registry names it. A rumour: it is worth a dial, and proves its key then. */
struct BootstrapPeer {
    std::string node_id;
    std::string host;
    std::uint16_t tcp_port{0};
    std::string transport{"tcp"};
};

enum class BootstrapMode : std::uint8_t {
    PullOnly = 0,
    PullAndAnnounce = 1,
};

struct BootstrapConfig {
    std::string self_node_id;
    /** Announced; 0: nothing is. */
    std::uint16_t self_tcp_port{0};
    /** "http://host[:port][/base]", or the same with https. */
    std::string registry_url;
    BootstrapMode mode{BootstrapMode::PullOnly};
    std::uint32_t poll_interval_ms{15000};
    std::uint32_t connect_cooldown_ms{12000};
    std::size_t max_http_bytes{65536};
    std::uint32_t connect_timeout_ms{3000};
    std::uint32_t request_timeout_ms{5000};
    std::uint32_t backoff_max_ms{60000};
    std::uint32_t max_peers_per_poll{20};

    // Beyond the C++ module:
    /** What opens the registry, sent as a bearer token; empty: nothing. */
    std::string token{};
};

using BootstrapCallback = std::function<void(const BootstrapPeer &)>;

class Bootstrap {
public:
    virtual ~Bootstrap() = default;
    virtual void start() = 0;
    virtual void stop() = 0;
    virtual std::vector<BootstrapPeer> snapshot() const = 0;
};

class NullBootstrap final : public Bootstrap {
public:
    void start() override {}
    void stop() override {}
    std::vector<BootstrapPeer> snapshot() const override { return {}; }
};

namespace detail {

class HttpBootstrap final : public Bootstrap {
public:
    HttpBootstrap(BootstrapConfig config, BootstrapCallback callback)
        : finder_(std::make_shared<Finder<BootstrapPeer>>([config](EngineHandle &engine) { open(config, engine); }, read,
                                                         std::move(callback), config.connect_cooldown_ms))
    {
    }
    ~HttpBootstrap() override { finder_->stop(); }
    HttpBootstrap(const HttpBootstrap &) = delete;
    HttpBootstrap &operator=(const HttpBootstrap &) = delete;

    void start() override { finder_->start(); }
    void stop() override { finder_->stop(); }
    std::vector<BootstrapPeer> snapshot() const override { return finder_->snapshot(); }

private:
    static void open(const BootstrapConfig &config, EngineHandle &engine)
    {
        vixp2p_node_options options = finder_options(config.self_node_id, config.self_tcp_port);
        const bool announces = config.mode == BootstrapMode::PullAndAnnounce;
        options.registry_url = config.registry_url.c_str();
        options.registry_token = config.token.empty() ? nullptr : config.token.c_str();
        options.registry_mode = announces ? VIXP2P_REGISTRY_PULL_AND_ANNOUNCE : VIXP2P_REGISTRY_PULL_ONLY;
        options.registry_poll_interval_ms = config.poll_interval_ms;
        options.registry_connect_cooldown_ms = config.connect_cooldown_ms;
        options.registry_connect_timeout_ms = config.connect_timeout_ms;
        options.registry_request_timeout_ms = config.request_timeout_ms;
        options.registry_backoff_max_ms = config.backoff_max_ms;
        // The module takes any numbers; these are the nearest that the engine takes.
        options.registry_max_http_bytes = std::min(saturated(config.max_http_bytes), 1048576U);
        options.registry_max_peers_per_poll = std::min(config.max_peers_per_poll, 1024U);
        engine.create(options);
    }

    static std::vector<Found<BootstrapPeer>> read(const vixp2p_node *node)
    {
        std::vector<Found<BootstrapPeer>> found;
        for (const vixp2p_registry_peer &peer : listed<vixp2p_registry_peer>(node, vixp2p_node_registry_peers)) {
            const auto port = static_cast<std::uint16_t>(peer.tcp_port);
            found.push_back({BootstrapPeer{peer.node_id, peer.host, port, "tcp"}, std::string(peer.host) + ':' + std::to_string(port)});
        }
        return found;
    }

    std::shared_ptr<Finder<BootstrapPeer>> finder_;
};

} // namespace detail

/**
 * Asks a registry for nodes, and announces one to it. The callback is called on a thread of its own, for each node at most once in
 * connect_cooldown_ms; it may call stop(). start() throws vixp2p::Error for settings that are none.
 */
inline std::shared_ptr<Bootstrap> make_http_bootstrap(BootstrapConfig config, BootstrapCallback callback)
{
    return std::make_shared<detail::HttpBootstrap>(std::move(config), std::move(callback));
}

} // namespace vix::p2p

#endif
