/**
 * @file EdgeSync.hpp
 * @brief Where a program's state meets replication. The engine keeps the log, sends, retries and acknowledges.
 */
#ifndef VIX_P2P_EDGE_SYNC_HPP
#define VIX_P2P_EDGE_SYNC_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vix::p2p {

/** A node's key as 64 hex digits. */
using NodeId = std::string;

/** Records seq_begin to seq_end of a log. One that on_wal_batch() is given holds one record; in one that is offered, numbers do not count. */
struct WalBatch {
    std::uint64_t seq_begin{0};
    std::uint64_t seq_end{0};
    std::vector<std::uint8_t> bytes;
};

/** A peer has applied this node's log so far. */
struct WalAck {
    std::uint64_t last_applied_seq{0};
};

/** A peer asks for what waits for a node. */
struct OutboxPullRequest {
    NodeId target;
    std::uint32_t max_items{128};
};

/**
 * Its functions are called one at a time, on a thread of the node. Peers have to trust each other (docs/migrating.md); a node with an
 * EdgeSync trusts the first key of each node_id unless it is told otherwise.
 */
class EdgeSync {
public:
    virtual ~EdgeSync() = default;
    /**
     * A record of the node `from` is durable here and is to take effect. An exception means "not now": it is offered again later, and
     * none of that node after it before.
     */
    virtual void on_wal_batch(const NodeId &from, const WalBatch &batch) = 0;
    virtual void on_wal_ack(const NodeId &from, const WalAck &ack) = 0;
    /** For information: the node answers from its log by itself. */
    virtual void on_outbox_pull(const NodeId &from, const OutboxPullRequest &request) = 0;
    /**
     * What is to reach a peer that has just connected or acknowledged; asked until there is nothing. It is appended to this node's log
     * as one record and so reaches every peer.
     */
    virtual std::optional<WalBatch> next_wal_batch_for(const NodeId &to) = 0;
};

/** Applies every record and offers none. */
class NullEdgeSync final : public EdgeSync {
public:
    void on_wal_batch(const NodeId &, const WalBatch &) override {}
    void on_wal_ack(const NodeId &, const WalAck &) override {}
    void on_outbox_pull(const NodeId &, const OutboxPullRequest &) override {}
    std::optional<WalBatch> next_wal_batch_for(const NodeId &) override { return std::nullopt; }
};

} // namespace vix::p2p

#endif
