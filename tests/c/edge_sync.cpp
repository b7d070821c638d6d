// vixp2p.hpp between two nodes: EdgeSync takes part in replication, subscriptions end with their scope.
#include "check.h"

#include <vixp2p.hpp>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace {

class Seen : public vixp2p::EdgeSync {
public:
    void on_wal_batch(const vixp2p::NodeId &from, const vixp2p::WalBatch &batch) override
    {
        const std::string text(batch.bytes.begin(), batch.bytes.end());
        if (text == "twice" && refused_.insert(text).second) {
            throw std::runtime_error("not now");
        }
        std::lock_guard<std::mutex> lock(mutex);
        batches.push_back(from + " " + std::to_string(batch.seq_begin) + " " + text);
        bell.notify_all();
    }
    void on_wal_ack(const vixp2p::NodeId &, const vixp2p::WalAck &ack) override
    {
        std::lock_guard<std::mutex> lock(mutex);
        acked = ack.last_applied_seq;
        bell.notify_all();
    }
    void on_outbox_pull(const vixp2p::NodeId &, const vixp2p::OutboxPullRequest &) override {}
    std::optional<vixp2p::WalBatch> next_wal_batch_for(const vixp2p::NodeId &) override
    {
        std::lock_guard<std::mutex> lock(mutex);
        if (waiting.empty()) {
            return std::nullopt;
        }
        const std::string text = waiting.back();
        waiting.pop_back();
        return vixp2p::WalBatch{0, 0, {text.begin(), text.end()}};
    }
    void on_error(const std::exception &) noexcept override { ++errors; }

    template <class Holds> void until(Holds holds)
    {
        std::unique_lock<std::mutex> lock(mutex);
        CHECK(bell.wait_for(lock, std::chrono::milliseconds(PATIENCE_MS), holds));
    }

    std::mutex mutex;
    std::condition_variable bell;
    std::vector<std::string> batches, waiting;
    std::uint64_t acked = 0;
    int errors = 0;

private:
    std::set<std::string> refused_;
};

vixp2p_node *make(const char *name, const std::shared_ptr<Seen> &seen)
{
    vixp2p_node_options options = loopback(name, VIXP2P_DELIVERY_CALLBACK);
    vixp2p_node *node = nullptr;
    options.log_level = VIXP2P_LOG_OFF;
    vixp2p::check(vixp2p_node_create(&options, &node));
    vixp2p::attach(node, seen);
    vixp2p::check(vixp2p_node_start(node));
    return node;
}

// A batch is the program's only copy: one that does not get into the log is tried again, one that never can is told and passed over.
void keeps_what_cannot_be_appended()
{
    const auto seen = std::make_shared<Seen>();
    const std::string huge(2U << 20U, 'x');
    // What the outbox's records begin with.
    const std::string marked = "\xffvixout\x01 of a stranger";
    seen->waiting = {"second", marked, huge, "first"};
    vixp2p::detail::Attached attached{nullptr, seen};
    attached.guarded([&] { attached.offer("nobody"); });
    attached.guarded([&] { attached.offer("nobody"); });
    CHECK(seen->errors == 2 && seen->waiting.size() == 3);
    vixp2p_node_options options = loopback("c", VIXP2P_DELIVERY_POLL);
    vixp2p::check(vixp2p_node_create(&options, &attached.node));
    vixp2p::check(vixp2p_node_start(attached.node));
    attached.guarded([&] { attached.offer("nobody"); });
    CHECK(seen->errors == 4 && seen->waiting.empty() && vixp2p::flush(attached.node) == 2);
    auto all = vixp2p::Subscription::all(attached.node);
    CHECK(all.next()->text() == "first" && all.next()->text() == "second");
    vixp2p_log_id log{};
    vixp2p::check(vixp2p_node_own_log(attached.node, &log));
    CHECK(vixp2p::wait_ack(attached.node, log, 2, 0, VIXP2P_ACK_DURABLE));
    vixp2p_node_destroy(attached.node);
}

/** A state of a few bytes, given in two pieces. */
class Text : public vixp2p::SnapshotState {
public:
    std::uint64_t write(const Sink &sink, std::uint64_t own) override
    {
        if (text.empty()) {
            throw std::runtime_error("nothing to write");
        }
        sink(text.data(), 1);
        sink(text.data() + 1, text.size() - 1);
        return own;
    }
    void read(const Source &, const std::vector<vixp2p_snapshot_place> &) override {}
    std::string text;
};

void a_state_is_written_through_the_class(vixp2p_node *node)
{
    const auto state = std::make_shared<Text>();
    vixp2p::attach(node, std::static_pointer_cast<vixp2p::SnapshotState>(state));
    CHECK(vixp2p_snapshot_make(node) == VIXP2P_ERR_LOG);
    state->text = "state";
    CHECK(vixp2p_snapshot_make(node) == VIXP2P_OK);
    CHECK(vixp2p_node_set_snapshot_callback(node, nullptr) == VIXP2P_OK && state.use_count() == 1);
}

void the_last_values_are_a_map()
{
    vixp2p_node *node = nullptr;
    const vixp2p_node_options options = loopback("values", VIXP2P_DELIVERY_POLL);
    vixp2p::check(vixp2p_node_create(&options, &node));
    vixp2p::LastValues values(node);
    vixp2p::check(vixp2p_node_start(node));
    const std::string large(100'000, 'x');
    values.put("large", large);
    values.put("", "of no key");
    values.put(std::string_view("\0", 1), "");
    CHECK(values.get("large") == large && values.get("") == "of no key" && values.get(std::string_view("\0", 1)) == "");
    std::size_t count = 0;
    for (auto key = values.next_key(); key; key = values.next_key(*key)) {
        CHECK(values.get(*key));
        count++;
    }
    CHECK(count == 3 && values.next_key() == "" && values.next_key("") == std::string(1, '\0'));
    values.remove("large");
    CHECK(!values.get("large") && !values.next_key("large"));
    vixp2p_node_destroy(node);
}

} // namespace

int main()
{
    const auto of_a = std::make_shared<Seen>(), of_b = std::make_shared<Seen>();
    of_a->waiting = {"twice", "once"};
    vixp2p_node *a = make("a", of_a), *b = make("b", of_b);
    vixp2p_peer_id id{};
    vixp2p::check(vixp2p_node_id(a, &id));
    const std::string key = vixp2p::to_hex(id);
    CHECK(key.size() == 64);
    connect_to(b, a);
    of_b->until([&] { return of_b->batches.size() == 2; });
    CHECK(of_b->batches[0] == key + " 1 once" && of_b->batches[1] == key + " 2 twice");
    CHECK(of_b->errors == 1);
    of_a->until([&] { return of_a->acked == 2; });
    keeps_what_cannot_be_appended();
    CHECK(vixp2p::flush(a) == 2);
    CHECK(vixp2p::wait_ack(a, 2, 1, VIXP2P_ACK_APPLIED));
    CHECK(!vixp2p::wait_ack(a, 3, 1, VIXP2P_ACK_APPLIED, 1));
    const auto lines = vixp2p::sync_status(a);
    CHECK(lines.size() >= 2 && lines[1].applied == 2 && lines[1].lag_records == 0);
    {
        auto all = vixp2p::Subscription::all(b);
        auto fresh = vixp2p::Subscription::fresh(b);
        CHECK(all.next()->text() == "once" && all.next()->seq == 2);
        CHECK(all.fd() >= 0 && !all.next(0) && !fresh.next(1));
        const auto places = all.cursor();
        CHECK(places.size() == 1 && places[0].seq == 3);
        const vixp2p::Appended third = vixp2p::append(a, "three", 5);
        CHECK(third.first == 3 && third.last == 3 && vixp2p::wait_ack(a, third.log, 3, 0, VIXP2P_ACK_DURABLE));
        CHECK(all.next()->text() == "three" && fresh.next()->seq == 3);
        CHECK(vixp2p::Subscription::from(b, places).next()->seq == 3);
    }
    a_state_is_written_through_the_class(a);
    the_last_values_are_a_map();
    bool thrown = false;
    try {
        vixp2p::Subscription::from(b, {});
    } catch (const vixp2p::Error &error) {
        thrown = error.status() == VIXP2P_ERR_INVALID && std::strstr(error.what(), "nothing to follow") != nullptr;
    }
    CHECK(thrown);
    vixp2p_node_destroy(a);
    vixp2p_node_destroy(b);
    CHECK(of_a.use_count() == 1 && of_b.use_count() == 1);
    return 0;
}
