/**
 * @file EdgeBridge.hpp
 * @brief Hands the engine's calls to whatever EdgeSync a node has at the moment.
 */
#ifndef VIX_P2P_DETAIL_EDGE_BRIDGE_HPP
#define VIX_P2P_DETAIL_EDGE_BRIDGE_HPP

#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <vix/p2p/EdgeSync.hpp>
#include <vix/p2p/detail/Engine.hpp>
#include <vix/p2p/detail/Log.hpp>

namespace vix::p2p::detail {

/**
 * Where there never was an EdgeSync, every record is applied; where it was taken away, records wait for the next one. The EdgeSync is
 * called with no lock held.
 */
class EdgeBridge final : public vixp2p::EdgeSync {
public:
    explicit EdgeBridge(LogFunction log) : log_(std::move(log)) {}

    void set(std::shared_ptr<vix::p2p::EdgeSync> edge)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        edge_.swap(edge);
        was_set_ = was_set_ || edge_ != nullptr;
        is_absence_told_ = false;
    }
    std::shared_ptr<vix::p2p::EdgeSync> get() const
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return edge_;
    }

    void on_wal_batch(const vixp2p::NodeId &from, const vixp2p::WalBatch &batch) override
    {
        const InCallback inside;
        if (const auto edge = get()) {
            edge->on_wal_batch(from, WalBatch{batch.seq_begin, batch.seq_end, batch.bytes});
        } else if (was_set()) {
            throw Absent();
        }
    }
    void on_wal_ack(const vixp2p::NodeId &from, const vixp2p::WalAck &ack) override
    {
        const InCallback inside;
        if (const auto edge = get()) {
            edge->on_wal_ack(from, WalAck{ack.last_applied_seq});
        }
    }
    void on_outbox_pull(const vixp2p::NodeId &from, const vixp2p::OutboxPullRequest &request) override
    {
        const InCallback inside;
        if (const auto edge = get()) {
            edge->on_outbox_pull(from, OutboxPullRequest{request.target, request.max_items});
        }
    }
    std::optional<vixp2p::WalBatch> next_wal_batch_for(const vixp2p::NodeId &peer) override
    {
        const InCallback inside;
        const auto edge = get();
        std::optional<WalBatch> next = edge ? edge->next_wal_batch_for(peer) : std::nullopt;
        if (!next) {
            return std::nullopt;
        }
        return vixp2p::WalBatch{next->seq_begin, next->seq_end, std::move(next->bytes)};
    }
    void on_error(const std::exception &error) noexcept override
    {
        if (dynamic_cast<const Absent *>(&error) == nullptr || is_first_absence()) {
            log_line(log_, std::string("[p2p] edge sync failed: ") + error.what());
        }
    }

private:
    /** An answer to the engine: offer the record again later. */
    struct Absent final : std::runtime_error {
        Absent() : std::runtime_error("records wait until there is an EdgeSync again") {}
    };

    bool was_set() const
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return was_set_;
    }
    bool is_first_absence()
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return !std::exchange(is_absence_told_, true);
    }

    const LogFunction log_;
    mutable std::mutex mutex_;
    std::shared_ptr<vix::p2p::EdgeSync> edge_;
    bool was_set_{false};
    bool is_absence_told_{false};
};

} // namespace vix::p2p::detail

#endif
