/**
 * @file TcpNode.hpp
 * @brief The node of make_tcp_node(): the engine in the shape of this module.
 */
#ifndef VIX_P2P_DETAIL_TCP_NODE_HPP
#define VIX_P2P_DETAIL_TCP_NODE_HPP

#include <cerrno>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>

#include <vix/p2p/Bootstrap.hpp>
#include <vix/p2p/Crypto.hpp>
#include <vix/p2p/Discovery.hpp>
#include <vix/p2p/Router.hpp>
#include <vix/p2p/detail/EdgeBridge.hpp>
#include <vix/p2p/detail/Engine.hpp>
#include <vix/p2p/detail/Finding.hpp>
#include <vix/p2p/detail/NodeApi.hpp>
#include <vix/p2p/detail/NodeEvents.hpp>
#include <vix/p2p/detail/PeerView.hpp>
#include <vix/p2p/detail/Ticker.hpp>

namespace vix::p2p::detail {

/**
 * No function of the program is called, and no thread waited for, while mutex_ is held. The engine's callbacks hold no reference, so
 * that a node ends with the program's last one; where that is given up inside a callback, the engine ends on a thread of its own.
 */
class TcpNode final : public Node, public std::enable_shared_from_this<TcpNode> {
public:
    explicit TcpNode(NodeConfig config) : config_(std::move(config)), bridge_(std::make_shared<EdgeBridge>(config_.on_log)) {}
    TcpNode(const TcpNode &) = delete;
    TcpNode &operator=(const TcpNode &) = delete;
    ~TcpNode() override
    {
        if (state_ == State::Running) {
            stop_finders(parts_);
        }
    }

    const NodeConfig &config() const override { return config_; }

    void start() override
    {
        std::unique_lock<std::mutex> lock(mutex_);
        if (state_ == State::Stopping && callbacks_under_way > 0) {
            throw std::runtime_error("the node is being stopped by the function that starts it; start it from elsewhere");
        }
        changed_.wait(lock, [this] { return state_ != State::Stopping; });
        if (state_ == State::Running) {
            return;
        }
        if (engine_.get() == nullptr) {
            create();
        }
        vixp2p::check(vixp2p_node_start(engine_.get()));
        state_ = State::Running;
        ticker_ = std::make_unique<Ticker>([self = weak_from_this()] {
            if (const auto node = self.lock()) {
                node->tick();
            }
        });
        const Parts parts = parts_;
        lock.unlock();
        start_finders(parts);
        if (!running()) { // stopped meanwhile, before they had begun
            stop_finders(parts);
        }
    }

    void stop() override
    {
        std::unique_lock<std::mutex> lock(mutex_);
        if (state_ != State::Running) {
            if (callbacks_under_way == 0) {
                changed_.wait(lock, [this] { return state_ == State::Stopped; });
            }
            return;
        }
        state_ = State::Stopping;
        past_ = counters();
        std::unique_ptr<Ticker> ticker = std::move(ticker_);
        const Parts parts = parts_;
        lock.unlock();
        stop_finders(parts);
        ticker.reset();
        if (vixp2p_node_stop(engine_.get(), -1) == VIXP2P_ERR_WOULD_DEADLOCK) {
            std::thread([self = shared_from_this()] {
                vixp2p_node_stop(self->engine_.get(), -1);
                self->stopped();
            }).detach();
        } else {
            stopped();
        }
    }

    bool running() const override
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return state_ == State::Running;
    }

    void wait() override
    {
        std::unique_lock<std::mutex> lock(mutex_);
        if (callbacks_under_way == 0) {
            changed_.wait(lock, [this] { return state_ == State::Stopped; });
        }
    }

    bool connect(const PeerEndpoint &endpoint) override
    {
        const std::string text = endpoint_text(endpoint), transient = " transient_id=" + host_and_port(endpoint);
        say("connect() requested: " + text);
        vixp2p_node *const engine = running_engine();
        if (engine == nullptr || endpoint.host.empty() || endpoint.port == 0 || scheme_of(endpoint) != "tcp") {
            say("connect() failed: " + text + transient + " ec=" + std::to_string(engine == nullptr ? ENOTCONN : EINVAL));
            return false;
        }
        rumours_.claim(text);
        say(is_dialled(engine, text) ? "connect() deduped: " + text : "connect() dialing: " + text + transient);
        const vixp2p_status status = vixp2p_node_connect(engine, text.c_str());
        if (status < 0) {
            say("connect() failed: " + text + transient + " ec=" + std::to_string(EINVAL));
        }
        return status >= 0;
    }

    void disconnect(const PeerId &id) override
    {
        vixp2p_node *const engine = running_engine();
        if (engine == nullptr) {
            return;
        }
        if (const auto key = parse_key(id)) {
            vixp2p_node_disconnect(engine, &*key);
            return;
        }
        const std::string text = endpoint_text(parse_endpoint(id));
        for (const vixp2p_peer_info &info : listed<vixp2p_peer_info>(engine, vixp2p_node_peers)) {
            if ((info.flags & VIXP2P_PEER_HAS_ID) != 0 && text == info.endpoint) {
                vixp2p_node_disconnect(engine, &info.id);
            }
        }
        vixp2p_node_forget_endpoint(engine, text.c_str());
    }

    std::optional<Peer> get_peer(const PeerId &id) const override
    {
        const auto key = parse_key(id);
        std::optional<Peer> found;
        for (const vixp2p_peer_info &info : listed<vixp2p_peer_info>(running_engine(), vixp2p_node_peers)) {
            const bool is_it = key ? std::memcmp(&info.id, &*key, sizeof *key) == 0 : info.endpoint == endpoint_text(parse_endpoint(id));
            if (is_it && (!found || info.state == VIXP2P_PEER_CONNECTED)) {
                found = to_peer(info);
            }
        }
        return found;
    }

    std::unordered_map<PeerId, Peer> peers_snapshot() const override
    {
        std::unordered_map<PeerId, Peer> peers;
        for (const vixp2p_peer_info &info : listed<vixp2p_peer_info>(running_engine(), vixp2p_node_peers)) {
            Peer peer = to_peer(info);
            PeerId id = peer.id;
            // A connection that is being opened may stand beside the line of the peer it leads to.
            const auto [at, is_new] = peers.try_emplace(std::move(id), peer);
            if (!is_new && peer.is_connected()) {
                at->second = std::move(peer);
            }
        }
        return peers;
    }

    void set_discovery(std::shared_ptr<Discovery> discovery) override { exchange_part(&Parts::discovery, std::move(discovery)); }
    void set_bootstrap(std::shared_ptr<Bootstrap> bootstrap) override { exchange_part(&Parts::bootstrap, std::move(bootstrap)); }
    void set_router(std::shared_ptr<Router> router) override
    {
        std::lock_guard<std::mutex> lock(mutex_);
        parts_.router.swap(router);
    }
    void set_edge_sync(std::shared_ptr<EdgeSync> edge_sync) override { bridge_->set(std::move(edge_sync)); }
    void set_crypto(std::shared_ptr<Crypto> crypto) override
    {
        std::lock_guard<std::mutex> lock(mutex_);
        parts_.crypto.swap(crypto);
    }

    NodeStats stats() const override
    {
        const vixp2p_stats now = all_counters();
        return NodeStats{now.peers_total, now.peers_connected, now.handshakes_started, now.handshakes_completed};
    }

    /** The counters of all runs of this node; those of peers are of this moment. */
    vixp2p_stats all_counters() const
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (state_ == State::Running) {
            return counters();
        }
        vixp2p_stats past = past_;
        past.peers_total = past.peers_connected = 0;
        return past;
    }

    vixp2p_node *engine() const
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return engine_.get();
    }

private:
    enum class State { Stopped, Running, Stopping };

    struct Parts {
        std::shared_ptr<Discovery> discovery;
        std::shared_ptr<Bootstrap> bootstrap;
        std::shared_ptr<Router> router;
        std::shared_ptr<Crypto> crypto;
    };

    void say(const std::string &line) const { log_line(config_.on_log, "[p2p] " + line); }

    void create()
    {
        vixp2p_node_options options = VIXP2P_NODE_OPTIONS_INIT;
        const bool has_secret = !config_.psk.empty();
        options.node_id = config_.node_id.empty() ? nullptr : config_.node_id.c_str();
        options.listen = config_.listen_port != 0 || !config_.listen_host.empty() ? VIXP2P_LISTEN_ON : VIXP2P_LISTEN_OFF;
        options.listen_host = config_.listen_host.empty() ? nullptr : config_.listen_host.c_str();
        options.listen_port = config_.listen_port;
        options.data_dir = config_.data_dir.empty() ? nullptr : config_.data_dir.c_str();
        options.psk = has_secret ? config_.psk.data() : nullptr;
        options.psk_len = config_.psk.size();
        options.max_peers = config_.max_peers;
        options.handshake_timeout_ms = config_.handshake_timeout_ms;
        options.log_level = VIXP2P_LOG_OFF;
        options.trust = config_.trust;
        if (options.trust == VIXP2P_TRUST_DEFAULT && (has_secret || !config_.data_dir.empty() || bridge_->get() != nullptr)) {
            options.trust = VIXP2P_TRUST_TOFU;
        }
        engine_.create(options);
        listen_to(engine_.get(), config_.on_log, bridge_);
    }

    vixp2p_node *running_engine() const
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return state_ == State::Running ? engine_.get() : nullptr;
    }

    /** The engine's counters and those of earlier runs. Wants the lock, and a node that runs. */
    vixp2p_stats counters() const
    {
        vixp2p_stats now{};
        vixp2p_node_stats(engine_.get(), &now, sizeof now);
        now.handshakes_started += past_.handshakes_started;
        now.handshakes_completed += past_.handshakes_completed;
        now.connect_attempts += past_.connect_attempts;
        now.connect_deduped += past_.connect_deduped;
        now.connect_failures += past_.connect_failures;
        now.backoff_skips += past_.backoff_skips;
        return now;
    }

    void stopped()
    {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            state_ = State::Stopped;
        }
        changed_.notify_all();
    }

    void tick()
    {
        const InCallback inside;
        Parts parts;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            parts = parts_;
        }
        if (vixp2p_node *const engine = running_engine()) {
            guarded(config_.on_log, "looking for peers",
                    [&] { rumours_.tick(config_, engine, parts.discovery.get(), parts.bootstrap.get()); });
            guarded(config_.on_log, "asking the router", [&] { routes_.tick(engine, parts.router.get()); });
        }
    }

    template <class Part> void start_finder(const std::shared_ptr<Part> &part)
    {
        if (part) {
            guarded(config_.on_log, "starting a search for peers", [&] { part->start(); });
        }
    }
    template <class Part> void stop_finder(const std::shared_ptr<Part> &part)
    {
        if (part) {
            guarded(config_.on_log, "ending a search for peers", [&] { part->stop(); });
        }
    }
    void start_finders(const Parts &parts)
    {
        start_finder(parts.discovery);
        start_finder(parts.bootstrap);
    }
    void stop_finders(const Parts &parts)
    {
        stop_finder(parts.discovery);
        stop_finder(parts.bootstrap);
    }

    template <class Part> void exchange_part(std::shared_ptr<Part> Parts::*which, std::shared_ptr<Part> part)
    {
        std::unique_lock<std::mutex> lock(mutex_);
        const std::shared_ptr<Part> before = std::exchange(parts_.*which, part);
        const bool runs = state_ == State::Running;
        lock.unlock();
        if (runs && before != part) {
            stop_finder(before);
            start_finder(part);
        }
    }

    const NodeConfig config_;
    const std::shared_ptr<EdgeBridge> bridge_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    State state_{State::Stopped};
    Parts parts_;
    vixp2p_stats past_{};
    RumourDialer rumours_;
    RoutePusher routes_;
    std::unique_ptr<Ticker> ticker_;
    /** Made by the first start() and kept until the end. */
    EngineHandle engine_;
};

} // namespace vix::p2p::detail

#endif
