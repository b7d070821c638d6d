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
#include <vix/p2p/detail/Log.hpp>
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
        if (is_up()) {
            stop_finders(parts_);
        }
    }

    const NodeConfig &config() const override { return config_; }

    void start() override
    {
        if (!may_start()) {
            return;
        }
        std::unique_ptr<Ticker> ticker;
        try {
            ticker = begin();
        } catch (...) {
            stopped();
            throw;
        }
        std::unique_lock<std::mutex> lock(mutex_);
        ticker_ = std::move(ticker);
        state_ = has_failed_ ? State::Failed : State::Running;
        const bool ends = ends_when_started_;
        const Parts parts = parts_;
        lock.unlock();
        changed_.notify_all();
        start_finders(parts);
        if (ends) {
            stop();
        } else if (!running()) { // stopped meanwhile, before they had begun
            stop_finders(parts);
        }
    }

    void stop() override
    {
        std::unique_lock<std::mutex> lock(mutex_);
        if (callbacks_under_way == 0) {
            const std::uint64_t before = ends_;
            changed_.wait(lock, [&] { return state_ == State::Stopped || is_up() || ends_ != before; });
            if (ends_ != before) { // who started it again since then means it to run
                return;
            }
        }
        if (state_ == State::Starting) { // which may wait for this callback
            ends_when_started_ = true;
        }
        if (!is_up()) {
            return;
        }
        past_ = counters();
        state_ = State::Stopping;
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

    /** The engine cannot go on. */
    void failed()
    {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            has_failed_ = true;
            if (state_ == State::Running) {
                state_ = State::Failed;
            }
        }
        changed_.notify_all();
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
            const std::uint64_t before = ends_;
            changed_.wait(lock, [&] { return state_ == State::Stopped || state_ == State::Failed || ends_ != before; });
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
        const bool is_new = rumours_.claim(text);
        say(is_dialled(engine, text) ? "connect() deduped: " + text : "connect() dialing: " + text + transient);
        const vixp2p_status status = vixp2p_node_connect(engine, text.c_str());
        if (status < 0) {
            if (is_new) {
                rumours_.release(text);
            }
            say("connect() failed: " + text + transient + " ec=" + std::to_string(status == VIXP2P_ERR_STOPPED ? ENOTCONN : EINVAL));
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
            for (const vixp2p_target_info &target : listed<vixp2p_target_info>(engine, vixp2p_node_targets)) {
                if ((target.flags & VIXP2P_PEER_HAS_ID) != 0 && std::memcmp(&target.id, &*key, sizeof *key) == 0) {
                    rumours_.release(target.endpoint);
                }
            }
            vixp2p_node_disconnect(engine, &*key);
            return;
        }
        const std::string text = endpoint_text(parse_endpoint(id));
        rumours_.release(text);
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
        vixp2p_node *const engine = running_engine();
        for (const vixp2p_peer_info &info : listed<vixp2p_peer_info>(engine, vixp2p_node_peers)) {
            const bool is_it = key ? std::memcmp(&info.id, &*key, sizeof *key) == 0 : info.endpoint == endpoint_text(parse_endpoint(id));
            if (is_it && (!found || info.state == VIXP2P_PEER_CONNECTED)) {
                found = to_peer(engine, info);
            }
        }
        return found;
    }

    std::unordered_map<PeerId, Peer> peers_snapshot() const override
    {
        std::unordered_map<PeerId, Peer> peers;
        vixp2p_node *const engine = running_engine();
        for (const vixp2p_peer_info &info : listed<vixp2p_peer_info>(engine, vixp2p_node_peers)) {
            Peer peer = to_peer(engine, info);
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
        if (is_up()) {
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
    /** Failed: as Running, but the engine only waits for stop(). */
    enum class State { Stopped, Starting, Running, Failed, Stopping };

    struct Parts {
        std::shared_ptr<Discovery> discovery;
        std::shared_ptr<Bootstrap> bootstrap;
        std::shared_ptr<Router> router;
        std::shared_ptr<Crypto> crypto;
    };

    void say(const std::string &line) const { log_line(config_.on_log, "[p2p] " + line); }

    /** Whether the caller is to start the node; waits for who else starts or stops it. */
    bool may_start()
    {
        std::unique_lock<std::mutex> lock(mutex_);
        while (state_ != State::Stopped) {
            if (state_ == State::Running) {
                return false;
            }
            if (state_ == State::Failed) {
                lock.unlock();
                stop();
                lock.lock();
            } else if (callbacks_under_way > 0) {
                throw std::runtime_error("the node is being started or stopped, which may wait for the function that starts it; "
                                         "start it from elsewhere");
            } else {
                changed_.wait(lock);
            }
        }
        state_ = State::Starting;
        has_failed_ = ends_when_started_ = false;
        return true;
    }

    /** Without the lock: the engine waits for the callback that runs, which may ask the node. */
    std::unique_ptr<Ticker> begin()
    {
        if (engine() == nullptr) {
            create();
        }
        vixp2p::check(vixp2p_node_start(engine_.get()));
        try {
            return std::make_unique<Ticker>([self = weak_from_this()] {
                if (const auto node = self.lock()) {
                    node->tick();
                }
            });
        } catch (...) {
            vixp2p_node_stop(engine_.get(), -1);
            throw;
        }
    }

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
        EngineHandle made;
        made.create(options);
        listen_to(made.get(), config_.on_log, bridge_, [self = weak_from_this()] {
            if (const auto node = self.lock()) {
                node->failed();
            }
        });
        std::lock_guard<std::mutex> lock(mutex_);
        engine_.swap(made);
    }

    /** One that starts says itself whether it has: what it calls back need not wait for start() to return. */
    vixp2p_node *running_engine() const
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return state_ == State::Running || state_ == State::Starting ? engine_.get() : nullptr;
    }

    /** Wants the lock. */
    bool is_up() const { return state_ == State::Running || state_ == State::Failed; }

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
            ++ends_;
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
            const InCallback inside;
            guarded(config_.on_log, "starting a search for peers", [&] { part->start(); });
        }
    }
    template <class Part> void stop_finder(const std::shared_ptr<Part> &part)
    {
        if (part) {
            const InCallback inside;
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
        const bool runs = is_up();
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
    /** How often the node has ended. */
    std::uint64_t ends_{0};
    /** Of this run. */
    bool has_failed_{false};
    /** stop() was called by a callback that start() may wait for. */
    bool ends_when_started_{false};
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
