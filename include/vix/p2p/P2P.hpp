/**
 * @file P2P.hpp
 * @brief A node with a guard before its dials.
 */
#ifndef VIX_P2P_P2P_HPP
#define VIX_P2P_P2P_HPP

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <vix/p2p/Node.hpp>
#include <vix/p2p/detail/ConnectGuard.hpp>

namespace vix::p2p {

class P2P {
public:
    virtual ~P2P() = default;
    virtual void start() = 0;
    virtual void stop() = 0;
    virtual void wait() = 0;
    virtual bool connect(const PeerEndpoint &endpoint) = 0;
    virtual NodeStats stats() const = 0;
};

struct ConnectStats {
    /** Dials begun, also those by which a node of make_tcp_node() tries again. */
    std::uint64_t connect_attempts{0};
    /** Left out because one had just begun, or a link stands. */
    std::uint64_t connect_deduped{0};
    /** That did not end in an authenticated link. */
    std::uint64_t connect_failures{0};
    /** Left out because the address is backing off. */
    std::uint64_t backoff_skips{0};
    std::uint64_t tracked_endpoints{0};
};

struct RuntimeStats : NodeStats {
    ConnectStats connect{};
};

/** Tolerates a null node: then nothing runs, and no dial begins. */
class P2PRuntime final : public P2P {
public:
    explicit P2PRuntime(std::shared_ptr<Node> node) : node_(std::move(node)) {}

    void start() override
    {
        if (node_) {
            node_->start();
        }
    }
    void stop() override
    {
        if (node_) {
            node_->stop();
        }
    }
    void wait() override
    {
        if (node_) {
            node_->wait();
        }
    }

    /** A person asks for it. Starts the node if need be; false if nothing was begun. */
    bool connect(const PeerEndpoint &endpoint) override { return guarded_connect(endpoint, true); }

    /** The program found it; not more often than every 900 ms. */
    bool connect_auto(const PeerEndpoint &endpoint) { return guarded_connect(endpoint, false); }

    NodeStats stats() const override { return node_ ? node_->stats() : NodeStats{}; }

    RuntimeStats runtime_stats() const
    {
        RuntimeStats all;
        static_cast<NodeStats &>(all) = stats();
        const detail::GuardCounts own = guard_.counts();
        all.connect = ConnectStats{own.attempts, own.deduped, own.failures, own.skips, own.tracked};
        if (const auto *ours = dynamic_cast<const detail::TcpNode *>(node_.get())) {
            // Its dials end long after connect() has returned: only the engine knows how.
            const vixp2p_stats engine = ours->all_counters();
            all.connect.connect_attempts = engine.connect_attempts;
            all.connect.connect_deduped += engine.connect_deduped;
            all.connect.connect_failures += engine.connect_failures;
            all.connect.backoff_skips += engine.backoff_skips;
            all.connect.tracked_endpoints = engine.tracked_endpoints;
        }
        return all;
    }

    std::shared_ptr<Node> node() const { return node_; }

private:
    bool guarded_connect(const PeerEndpoint &endpoint, bool manual)
    {
        const std::string key = detail::endpoint_text(endpoint);
        if (!node_ || !guard_.ask(std::chrono::steady_clock::now(), key, manual)) {
            return false;
        }
        bool begun = false;
        const bool threw = !detail::guarded(node_->config().on_log, "connect()", [&] {
            node_->start();
            begun = node_->connect(endpoint);
        });
        if (threw || !begun) {
            guard_.failed(std::chrono::steady_clock::now(), key, manual);
        } else {
            guard_.succeeded(key);
        }
        return begun;
    }

    const std::shared_ptr<Node> node_;
    detail::ConnectGuard guard_;
};

} // namespace vix::p2p

#endif
