/**
 * @file vixp2p.hpp
 * @brief C++17 over vixp2p.h, header-only: what is awkward in C about following and extending the replicated log, and about routes.
 *
 * Subscriptions that free themselves, failures as exceptions, messages to peers that need not be connected, and EdgeSync, through which a
 * program takes part in replication with four functions. Everything else is used through vixp2p.h directly; a node stays a vixp2p_node *.
 */
#ifndef VIXP2P_HPP
#define VIXP2P_HPP

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vixp2p.h"

namespace vixp2p {

/** A call that failed: its status, and its sentence as what(). */
class Error : public std::runtime_error {
public:
    explicit Error(vixp2p_status status) : std::runtime_error(text()), status_(status) {}
    vixp2p_status status() const noexcept { return status_; }

private:
    static const char *text()
    {
        const char *last = vixp2p_last_error_message();
        return last != nullptr ? last : "vixp2p call failed";
    }
    vixp2p_status status_;
};

/** Throws Error for a negative status and returns any other. */
inline vixp2p_status check(vixp2p_status status)
{
    if (status < 0) {
        throw Error(status);
    }
    return status;
}

/** A peer id as 64 hex digits. */
inline std::string to_hex(const vixp2p_peer_id &id)
{
    char hex[VIXP2P_PEER_ID_HEX_SIZE];
    check(vixp2p_peer_id_to_hex(&id, hex, sizeof hex));
    return hex;
}

/**
 * Sends a message to a peer, connected or not; see vixp2p_node_send_to(). What comes back is its number: the event from which ending()
 * reads what became of it carries the same. Throws Error with VIXP2P_ERR_WOULD_BLOCK while too many are under way.
 */
inline std::uint64_t send_to(vixp2p_node *node, const vixp2p_peer_id &peer, std::string_view data, std::uint32_t life_ms = 0)
{
    std::uint64_t number = 0;
    check(vixp2p_node_send_to(node, &peer, data.data(), data.size(), life_ms, &number));
    return number;
}

/** What became of a message that send_to() has sent. */
struct Ending {
    std::uint64_t number{0};
    vixp2p_peer_id peer{};
    /** Empty if it has arrived, which its recipient has proven; else the name of the reason, such as "no_route". */
    std::string reason;
    /** The reason as a sentence. */
    std::string text;

    bool delivered() const noexcept { return reason.empty(); }
};

/** What an event says of a message that send_to() has sent; none if it is about something else. */
inline std::optional<Ending> ending(const vixp2p_event *event)
{
    const vixp2p_event_kind kind = vixp2p_event_get_kind(event);
    if (kind != VIXP2P_EVENT_DELIVERED && kind != VIXP2P_EVENT_UNDELIVERED) {
        return std::nullopt;
    }
    Ending end;
    end.number = vixp2p_event_message_number(event);
    check(vixp2p_event_peer(event, &end.peer));
    if (kind == VIXP2P_EVENT_UNDELIVERED) {
        end.reason = vixp2p_event_reason(event);
        end.text = vixp2p_event_reason_text(event);
    }
    return end;
}

/** The way a message to a peer takes. */
struct Route {
    vixp2p_peer_id next_hop{};
    /** Whether next_hop passes it on; false: it is the peer itself. */
    bool via_relay{false};
    /** Links a message may pass. */
    std::uint32_t ttl{0};
};

/** Says by which neighbour a peer is reached; see vixp2p_node_route_set(). */
inline void set_route(vixp2p_node *node, const vixp2p_peer_id &peer, const vixp2p_peer_id &next_hop, std::uint32_t ttl = 0)
{
    check(vixp2p_node_route_set(node, &peer, &next_hop, ttl));
}

/** Takes back what set_route() said, and forgets what was found by searching; whether anything had been said. */
inline bool remove_route(vixp2p_node *node, const vixp2p_peer_id &peer)
{
    return check(vixp2p_node_route_remove(node, &peer)) == VIXP2P_OK;
}

/** The way a message to a peer would take now; none if it would be searched. */
inline std::optional<Route> route(vixp2p_node *node, const vixp2p_peer_id &peer)
{
    Route way;
    std::int32_t via_relay = 0;
    if (check(vixp2p_node_route_resolve(node, &peer, &way.next_hop, &via_relay, &way.ttl)) != VIXP2P_OK) {
        return std::nullopt;
    }
    way.via_relay = via_relay != 0;
    return way;
}

/** One record of a log. */
struct Record {
    vixp2p_log_id log{};
    std::uint64_t seq{0};
    std::uint64_t time_us{0};
    std::vector<std::uint8_t> data;

    std::string_view text() const { return {reinterpret_cast<const char *>(data.data()), data.size()}; }
};

/** Follows logs; see vixp2p_node_subscribe(). Freed with its scope. */
class Subscription {
public:
    /** Every log from its first record on. */
    static Subscription all(vixp2p_node *node, const std::vector<vixp2p_cursor> &cursors = {})
    {
        return Subscription(node, cursors, VIXP2P_SUBSCRIBE_ALL);
    }
    /** The logs named, and no others. */
    static Subscription from(vixp2p_node *node, const std::vector<vixp2p_cursor> &cursors) { return Subscription(node, cursors, 0); }
    /** Every log from its present end on. */
    static Subscription fresh(vixp2p_node *node) { return Subscription(node, {}, VIXP2P_SUBSCRIBE_ALL | VIXP2P_SUBSCRIBE_NEW); }

    /** The next record; none after timeout_ms (-1: waits for ever). Throws Error with VIXP2P_ERR_STOPPED once the node stops. */
    std::optional<Record> next(std::int32_t timeout_ms = -1)
    {
        const vixp2p_record *seen = nullptr;
        if (check(vixp2p_subscription_next(handle_.get(), timeout_ms, &seen)) != VIXP2P_OK) {
            return std::nullopt;
        }
        Record record{seen->log, seen->seq, seen->time_us, {}};
        const auto *bytes = static_cast<const std::uint8_t *>(seen->data);
        record.data.assign(bytes, bytes + seen->len);
        return record;
    }

    /** Readable when next(0) may have a record. */
    int fd() const { return vixp2p_subscription_fd(handle_.get()); }

    /** Where each log goes on. */
    std::vector<vixp2p_cursor> cursor() const
    {
        std::vector<vixp2p_cursor> places(16);
        for (;;) {
            std::size_t count = places.size();
            const vixp2p_status status = vixp2p_subscription_cursor(handle_.get(), places.data(), &count);
            places.resize(count);
            if (status != VIXP2P_ERR_BUFFER_TOO_SMALL) {
                check(status);
                return places;
            }
        }
    }

private:
    Subscription(vixp2p_node *node, const std::vector<vixp2p_cursor> &cursors, std::uint32_t flags)
    {
        vixp2p_subscription *made = nullptr;
        check(vixp2p_node_subscribe(node, cursors.empty() ? nullptr : cursors.data(), cursors.size(), flags, &made));
        handle_.reset(made);
    }
    struct Free {
        void operator()(vixp2p_subscription *handle) const noexcept { vixp2p_subscription_free(handle); }
    };
    std::unique_ptr<vixp2p_subscription, Free> handle_;
};

/** Where appended records went. */
struct Appended {
    vixp2p_log_id log{};
    std::uint64_t first{0};
    std::uint64_t last{0};
};

/** Appends records and waits until they are durable (or accepted): their log, which wait_ack() takes, and their numbers. */
inline Appended append(vixp2p_node *node, const std::vector<vixp2p_slice> &records)
{
    Appended appended;
    check(vixp2p_node_append_records(node, records.data(), records.size(), &appended.log, &appended.first, &appended.last));
    return appended;
}

/** The same for one record. */
inline Appended append(vixp2p_node *node, const void *data, std::size_t len)
{
    return append(node, std::vector<vixp2p_slice>(1, vixp2p_slice{data, len}));
}

/** Everything accepted before is durable when it returns: the number of the last durable record of the node's log. */
inline std::uint64_t flush(vixp2p_node *node)
{
    std::uint64_t durable = 0;
    check(vixp2p_node_flush(node, &durable));
    return durable;
}

/**
 * Waits until so many peers have a record of a log; whether they have it in time. The log is what vixp2p_node_own_log() said before
 * the append: if the node goes on in another meanwhile, this throws instead of waiting for a record of the new one.
 */
inline bool wait_ack(vixp2p_node *node, const vixp2p_log_id &log, std::uint64_t seq, std::size_t peers, std::uint32_t level,
                     std::int32_t timeout_ms = -1)
{
    return check(vixp2p_node_wait_ack(node, &log, seq, nullptr, peers, level, timeout_ms, nullptr)) == VIXP2P_OK;
}

/** The same for the log the node appends to now. */
inline bool wait_ack(vixp2p_node *node, std::uint64_t seq, std::size_t peers, std::uint32_t level, std::int32_t timeout_ms = -1)
{
    vixp2p_log_id log{};
    check(vixp2p_node_own_log(node, &log));
    return wait_ack(node, log, seq, peers, level, timeout_ms);
}

/** The lines of vixp2p_node_sync_status(). */
inline std::vector<vixp2p_sync_state> sync_status(const vixp2p_node *node)
{
    std::vector<vixp2p_sync_state> lines(16);
    for (;;) {
        std::size_t count = lines.size();
        const vixp2p_status status = vixp2p_node_sync_status(node, lines.data(), sizeof lines[0], &count);
        const bool fits = count <= lines.size();
        lines.resize(fits ? count : count + 16);
        if (fits) {
            check(status);
            return lines;
        }
    }
}

/**
 * A program's state for others: written by write(), another's put in its place by read(). Called on a thread of the node, never while
 * another callback of it runs. An exception gives the snapshot up; after one of read() the old state stands.
 */
class SnapshotState {
public:
    /** Gives the next bytes of the state. */
    using Sink = std::function<void(const void *data, std::size_t len)>;
    /** Fills a buffer with the next bytes; how many, 0 at the end. */
    using Source = std::function<std::size_t(void *out, std::size_t size)>;

    virtual ~SnapshotState() = default;
    /** Writes the whole state; the last record of the own log that is in it, own being the last there is. */
    virtual std::uint64_t write(const Sink &sink, std::uint64_t own) = 0;
    /** Replaces the state as a whole; places says how far it goes. */
    virtual void read(const Source &source, const std::vector<vixp2p_snapshot_place> &places) = 0;
};

namespace detail {

extern "C" inline std::int32_t vixp2p_hpp_on_snapshot_write(void *userdata, vixp2p_snapshot_writer *writer, std::uint64_t *inout_own)
{
    try {
        const auto sink = [writer](const void *data, std::size_t len) { check(vixp2p_snapshot_write(writer, data, len)); };
        *inout_own = (*static_cast<std::shared_ptr<SnapshotState> *>(userdata))->write(sink, *inout_own);
        return 0;
    } catch (...) {
        return 1;
    }
}

extern "C" inline std::int32_t vixp2p_hpp_on_snapshot_read(void *userdata, vixp2p_snapshot_reader *reader)
{
    try {
        std::size_t count = 0;
        vixp2p_snapshot_places(reader, nullptr, &count);
        std::vector<vixp2p_snapshot_place> places(count);
        check(vixp2p_snapshot_places(reader, places.data(), &count));
        const auto source = [reader](void *out, std::size_t size) {
            std::size_t got = 0;
            check(vixp2p_snapshot_read(reader, out, size, &got));
            return got;
        };
        (*static_cast<std::shared_ptr<SnapshotState> *>(userdata))->read(source, places);
        return 0;
    } catch (...) {
        return 1;
    }
}

extern "C" inline void vixp2p_hpp_drop_snapshot(void *userdata) { delete static_cast<std::shared_ptr<SnapshotState> *>(userdata); }

} // namespace detail

/** Has a node write and read state. Before vixp2p_node_start(); the node keeps state until it is destroyed. */
inline void attach(vixp2p_node *node, std::shared_ptr<SnapshotState> state)
{
    // The library owns userdata from the call on, even if that fails.
    vixp2p_snapshot_callback callback{detail::vixp2p_hpp_on_snapshot_write, detail::vixp2p_hpp_on_snapshot_read,
                                      new std::shared_ptr<SnapshotState>(std::move(state)), detail::vixp2p_hpp_drop_snapshot};
    check(vixp2p_node_set_snapshot_callback(node, &callback));
}

/**
 * The last value of each key, over all nodes that share records: a ready-made state for programs that want none of their own. See
 * vixp2p_values_keep(). Made before the node's first start, on every node; used until the node is destroyed, by any thread.
 */
class LastValues {
public:
    explicit LastValues(vixp2p_node *node) : node_(node) { check(vixp2p_values_keep(node)); }

    /** Gives a key a value; see vixp2p_values_put(). */
    void put(std::string_view key, std::string_view value)
    {
        check(vixp2p_values_put(node_, key.data(), key.size(), value.data(), value.size()));
    }

    /** Takes a key's value away, everywhere. */
    void remove(std::string_view key) { check(vixp2p_values_remove(node_, key.data(), key.size())); }

    /** The value of a key, if it has one. */
    std::optional<std::string> get(std::string_view key) const
    {
        return filled([&](void *out, std::size_t *len) { return vixp2p_values_get(node_, key.data(), key.size(), out, len); });
    }

    /** The first key that has a value, or the first behind a key, in the order of their bytes. */
    std::optional<std::string> next_key(std::optional<std::string_view> after = std::nullopt) const
    {
        const char *from = !after ? nullptr : after->empty() ? "" : after->data();
        const std::size_t size = after ? after->size() : 0;
        return filled([&](void *out, std::size_t *len) { return vixp2p_values_next_key(node_, from, size, out, len); });
    }

private:
    /** Asks until the room suffices: another node may make a value longer between two calls. */
    template <typename Ask> static std::optional<std::string> filled(Ask ask)
    {
        std::string room(64, '\0');
        for (;;) {
            std::size_t len = room.size();
            const vixp2p_status status = ask(room.data(), &len);
            if (status != VIXP2P_ERR_BUFFER_TOO_SMALL) {
                if (check(status) == VIXP2P_EMPTY) {
                    return std::nullopt;
                }
                room.resize(len);
                return room;
            }
            room.resize(len);
        }
    }

    vixp2p_node *node_;
};

/** A node's key as 64 hex digits. */
using NodeId = std::string;

/** Records seq_begin to seq_end of a log: here always one, whose payload is bytes. */
struct WalBatch {
    std::uint64_t seq_begin{0};
    std::uint64_t seq_end{0};
    std::vector<std::uint8_t> bytes;
};

/** A peer has applied the own log up to here. */
struct WalAck {
    std::uint64_t last_applied_seq{0};
};

/** A peer asks for what waits for a node. */
struct OutboxPullRequest {
    NodeId target;
    std::uint32_t max_items{128};
};

/**
 * What a program adds to replication. The engine keeps the log, sends, retries and acknowledges; these four functions are where the
 * program's state comes in. They are called one at a time, on the node's callback thread or on the thread that dispatches. An exception
 * of on_wal_batch() means "not now": the record is offered again later and nothing after it before. Those of the others are passed to
 * on_error().
 */
class EdgeSync {
public:
    virtual ~EdgeSync() = default;
    /** A record of another node's log is durable here and is to take effect; from is the node that wrote it. */
    virtual void on_wal_batch(const NodeId &from, const WalBatch &batch) = 0;
    /** A peer has applied this node's log so far. */
    virtual void on_wal_ack(const NodeId &from, const WalAck &ack) = 0;
    /** A peer asks for what waits for a node. The node itself answers what its log holds. */
    virtual void on_outbox_pull(const NodeId &from, const OutboxPullRequest &request) = 0;
    /**
     * What is to reach a peer that has just connected or acknowledged: appended to the log as one record; asked until there is none.
     * A batch that could not be appended is kept and tried first the next time, unless no record can be it: too large, or beginning
     * with the mark of the outbox. Then on_error() is told.
     */
    virtual std::optional<WalBatch> next_wal_batch_for(const NodeId &peer) = 0;
    /** One of the functions threw; the node goes on. */
    virtual void on_error(const std::exception &) noexcept {}
};

/** Does nothing: every record is applied, none is offered. */
class NullEdgeSync final : public EdgeSync {
public:
    void on_wal_batch(const NodeId &, const WalBatch &) override {}
    void on_wal_ack(const NodeId &, const WalAck &) override {}
    void on_outbox_pull(const NodeId &, const OutboxPullRequest &) override {}
    std::optional<WalBatch> next_wal_batch_for(const NodeId &) override { return std::nullopt; }
};

namespace detail {

/** Batches taken from next_wal_batch_for() in a row, so that other callbacks have their turn. */
constexpr int batches_in_a_row = 128;

struct Attached {
    vixp2p_node *node;
    std::shared_ptr<EdgeSync> sync;
    /** Taken from next_wal_batch_for() and not in the log yet. */
    std::optional<WalBatch> unsaved{};

    template <class Call> void guarded(Call call) noexcept
    {
        try {
            call();
        } catch (const std::exception &error) {
            sync->on_error(error);
        } catch (...) {
            sync->on_error(std::runtime_error("an exception that is no std::exception"));
        }
    }

    /** Whether bytes begin like a record of the outbox, which no application may append. */
    static bool is_marked(const std::vector<std::uint8_t> &bytes)
    {
        const std::uint8_t mark[] = {0xff, 'v', 'i', 'x', 'o', 'u', 't', 1};
        return bytes.size() >= sizeof mark && std::equal(std::begin(mark), std::end(mark), bytes.begin());
    }

    void offer(const NodeId &peer)
    {
        for (int i = 0; i < batches_in_a_row; ++i) {
            if (!unsaved) {
                unsaved = sync->next_wal_batch_for(peer);
            }
            if (!unsaved) {
                return;
            }
            const vixp2p_status status = vixp2p_node_append(node, unsaved->bytes.data(), unsaved->bytes.size(), nullptr);
            if (status == VIXP2P_ERR_TOO_LARGE || (status == VIXP2P_ERR_INVALID && is_marked(unsaved->bytes))) {
                sync->on_error(Error(status));
            } else {
                check(status);
            }
            unsaved.reset();
        }
    }

    void event(const vixp2p_event *event)
    {
        vixp2p_peer_id id{};
        vixp2p_log_id log{}, own{};
        const vixp2p_event_kind kind = vixp2p_event_get_kind(event);
        if (kind == VIXP2P_EVENT_PEER_CONNECTED && vixp2p_event_peer(event, &id) == VIXP2P_OK) {
            offer(to_hex(id));
        } else if (kind == VIXP2P_EVENT_OUTBOX_PULLED && vixp2p_event_peer(event, &id) == VIXP2P_OK) {
            vixp2p_peer_id target{};
            check(vixp2p_event_target(event, &target));
            const auto most = static_cast<std::uint32_t>(vixp2p_event_count(event));
            sync->on_outbox_pull(to_hex(id), OutboxPullRequest{to_hex(target), most});
        } else if (kind == VIXP2P_EVENT_ACKED && vixp2p_event_peer(event, &id) == VIXP2P_OK) {
            check(vixp2p_node_own_log(node, &own));
            if (vixp2p_event_log(event, &log) == VIXP2P_OK && std::memcmp(&log, &own, sizeof log) == 0) {
                sync->on_wal_ack(to_hex(id), WalAck{vixp2p_event_applied(event)});
                offer(to_hex(id));
            }
        }
    }
};

extern "C" inline void vixp2p_hpp_on_event(void *userdata, const vixp2p_event *event)
{
    auto *attached = static_cast<Attached *>(userdata);
    attached->guarded([&] { attached->event(event); });
}

extern "C" inline std::int32_t vixp2p_hpp_on_apply(void *userdata, const vixp2p_record *record)
{
    auto *attached = static_cast<Attached *>(userdata);
    std::int32_t answer = VIXP2P_APPLY_RETRY;
    attached->guarded([&] {
        const auto *bytes = static_cast<const std::uint8_t *>(record->data);
        attached->sync->on_wal_batch(to_hex(record->log.origin), WalBatch{record->seq, record->seq, {bytes, bytes + record->len}});
        answer = VIXP2P_APPLY_OK;
    });
    return answer;
}

extern "C" inline void vixp2p_hpp_drop(void *userdata) { delete static_cast<Attached *>(userdata); }

} // namespace detail

/**
 * Has a node call sync. Between vixp2p_node_create() and vixp2p_node_start(); takes the place of the node's apply and event callbacks,
 * and keeps sync until the node is destroyed. Under VIXP2P_DELIVERY_POLL the calls come from vixp2p_node_dispatch().
 */
inline void attach(vixp2p_node *node, std::shared_ptr<EdgeSync> sync)
{
    // The library owns userdata from the call on, even if that fails.
    vixp2p_apply_callback apply{detail::vixp2p_hpp_on_apply, new detail::Attached{node, sync}, detail::vixp2p_hpp_drop};
    check(vixp2p_node_set_apply_callback(node, &apply));
    vixp2p_event_callback event{detail::vixp2p_hpp_on_event, new detail::Attached{node, std::move(sync)}, detail::vixp2p_hpp_drop};
    check(vixp2p_node_set_event_callback(node, &event));
}

} // namespace vixp2p

#endif
