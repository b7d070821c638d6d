// Nodes and runtimes over the engine, as a program of the C++ module uses them.
#include "loopback.hpp"

#include <atomic>
#include <future>

using namespace vix::p2p;

namespace {

void two_runtimes_see_each_other_connected()
{
    Lines of_a, of_b, global;
    set_global_log_sink([&](std::string_view line) { global.add(line); });
    P2PRuntime a(make_tcp_node(listening("a", &of_a))), b(make_tcp_node(listening("b", &of_b)));
    a.start();
    const PeerEndpoint to = endpoint_of(*a.node());
    const std::string at = "127.0.0.1:" + std::to_string(to.port);
    CHECK(b.connect(to)); // starts the node
    CHECK(b.node()->running());
    const std::string key = key_of(*a.node());
    CHECK(of_b.wait_for("connect() ready") == "[p2p] connect() ready: tcp://" + at + " transient_id=" + at + " peer_id=" + key);
    const auto lines = of_b.all();
    CHECK(lines[0] == "[p2p] connect() requested: tcp://" + at);
    CHECK(lines[1] == "[p2p] connect() dialing: tcp://" + at + " transient_id=" + at);
    CHECK(b.connect({"127.0.0.1", to.port, ""}));
    of_b.wait_for("[p2p] connect() deduped: tcp://" + at);
    eventually([&] { return sees_connected(*a.node(), key_of(*b.node())); });
    CHECK(sees_connected(*b.node(), at) && sees_connected(*b.node(), key));
    const auto peers = b.node()->peers_snapshot();
    CHECK(peers.size() == 1 && peers.count(key) == 1);
    const Peer &peer = peers.at(key);
    CHECK(peer.id == key && peer.endpoint && peer.endpoint->port == to.port && peer.endpoint->scheme == "tcp");
    CHECK(peer.meta.secure && peer.meta.public_key.size() == 32 && peer.meta.capabilities.at("node_id") == "a");
    CHECK(peer.meta.session_key_32.empty() && peer.handshake && peer.handshake->stage == HandshakeState::Stage::Finished);
    CHECK(std::chrono::steady_clock::now() - peer.meta.last_seen < std::chrono::hours(1));
    const RuntimeStats stats = b.runtime_stats();
    CHECK(stats.peers_total == 1 && stats.peers_connected == 1 && stats.handshakes_started == 1 && stats.handshakes_completed == 1);
    CHECK(stats.connect.connect_attempts == 1 && stats.connect.connect_deduped == 1 && stats.connect.connect_failures == 0);
    CHECK(stats.connect.tracked_endpoints == 1 && a.stats().handshakes_completed == 1);
    b.node()->disconnect(key);
    eventually([&] { return a.stats().peers_connected == 0 && b.stats().peers_connected == 0; });
    b.stop();
    CHECK(b.stats().handshakes_completed == 1 && b.stats().peers_total == 0 && b.node()->peers_snapshot().empty());
    b.wait();
    clear_global_log_sink();
    CHECK(global.count("connect() ready") == 1);
}

void a_dial_that_fails_is_told_and_counted()
{
    Lines lines;
    P2PRuntime runtime(make_tcp_node(listening("a", &lines)));
    CHECK(runtime.connect(deserted()));
    const std::string line = lines.wait_for("connect() failed");
    CHECK(line.find(" ec=" + std::to_string(ECONNREFUSED)) != std::string::npos);
    CHECK(runtime.runtime_stats().connect.connect_failures >= 1);
    CHECK(!runtime.connect({"", 1, "tcp"}) && !runtime.connect({"127.0.0.1", 0, "tcp"}) && !runtime.connect({"127.0.0.1", 1, "smoke"}));
}

// Of automatic attempts the second comes too soon; those of a person are let through.
void automatic_attempts_keep_their_distance()
{
    const auto a = make_tcp_node(listening("a"));
    P2PRuntime b(make_tcp_node(listening("b")));
    a->start();
    CHECK(b.connect_auto(endpoint_of(*a)) && !b.connect_auto(endpoint_of(*a)) && b.connect(endpoint_of(*a)));
    CHECK(b.runtime_stats().connect.connect_deduped >= 1);
}

void the_guard_backs_off_and_forgets_failures_after_a_success()
{
    detail::ConnectGuard guard;
    const auto begin = detail::ConnectGuard::Time{} + std::chrono::hours(1);
    const auto ms = [&](int value) { return begin + std::chrono::milliseconds(value); };
    CHECK(guard.ask(begin, "e", true));
    guard.failed(begin, "e", true);
    CHECK(!guard.ask(ms(2499), "e", true) && guard.ask(ms(2500), "e", true));
    for (int i = 0; i < 9; ++i) {
        guard.failed(begin, "e", true);
    }
    CHECK(!guard.ask(ms(11999), "e", false) && guard.ask(ms(12000), "e", false));
    guard.succeeded("e");
    CHECK(!guard.ask(ms(12899), "e", false) && guard.ask(ms(12900), "e", false));
    guard.failed(begin, "f", false);
    CHECK(!guard.ask(ms(1999), "f", false) && guard.ask(ms(2000), "f", false));
    const detail::GuardCounts counts = guard.counts();
    CHECK(counts.skips == 3 && counts.deduped == 1 && counts.failures == 11 && counts.attempts == 5 && counts.tracked == 2);
    for (std::size_t i = 0; i < 2 * detail::ConnectGuard::endpoints_max; ++i) {
        guard.ask(ms(20000), std::to_string(i), true);
    }
    CHECK(guard.counts().tracked <= detail::ConnectGuard::endpoints_max);
}

void a_runtime_tolerates_that_it_has_no_node()
{
    P2PRuntime runtime(nullptr);
    runtime.start();
    CHECK(!runtime.connect({"127.0.0.1", 1, "tcp"}) && !runtime.connect_auto({"127.0.0.1", 1, "tcp"}));
    CHECK(runtime.stats().peers_total == 0 && runtime.runtime_stats().connect.connect_attempts == 0 && !runtime.node());
    runtime.wait();
    runtime.stop();
}

// A node of the program's own making, which upstream code may use as a double.
class Refusing final : public Node {
public:
    const NodeConfig &config() const override { return config_; }
    void start() override { ++starts; }
    void stop() override {}
    bool running() const override { return false; }
    void wait() override {}
    bool connect(const PeerEndpoint &) override { throw std::runtime_error("no"); }
    void disconnect(const PeerId &) override {}
    std::optional<Peer> get_peer(const PeerId &) const override { return std::nullopt; }
    std::unordered_map<PeerId, Peer> peers_snapshot() const override { return {}; }
    void set_discovery(std::shared_ptr<Discovery>) override {}
    void set_bootstrap(std::shared_ptr<Bootstrap>) override {}
    void set_router(std::shared_ptr<Router>) override {}
    void set_edge_sync(std::shared_ptr<EdgeSync>) override {}
    void set_crypto(std::shared_ptr<Crypto>) override {}
    NodeStats stats() const override { return {}; }
    int starts = 0;

private:
    NodeConfig config_;
};

void a_node_that_throws_costs_its_address_a_pause()
{
    const auto node = std::make_shared<Refusing>();
    P2PRuntime runtime(node);
    CHECK(!runtime.connect({"h", 1, "tcp"}) && !runtime.connect({"h", 1, "TCP"}) && node->starts == 1);
    const ConnectStats stats = runtime.runtime_stats().connect;
    CHECK(stats.connect_attempts == 1 && stats.connect_failures == 1 && stats.backoff_skips == 1 && stats.tracked_endpoints == 1);
    CHECK(engine_of(*node) == nullptr);
}

void a_program_that_wants_more_has_the_engine()
{
    const auto a = make_tcp_node(listening("a")), b = make_tcp_node(listening("b"));
    CHECK(engine_of(*a) == nullptr);
    a->start();
    b->start();
    Lines messages;
    const vixp2p_message_callback take{
        [](void *lines, const vixp2p_peer_id *, const void *data, std::size_t len) {
            static_cast<Lines *>(lines)->add({static_cast<const char *>(data), len});
        },
        &messages, nullptr};
    CHECK(vixp2p_node_set_message_callback(engine_of(*a), &take) == VIXP2P_OK);
    b->connect(endpoint_of(*a));
    eventually([&] { return sees_connected(*b, key_of(*a)); });
    const vixp2p_peer_id to = id_of(*a);
    CHECK(vixp2p_node_send(engine_of(*b), &to, "hello", 5) == VIXP2P_OK);
    messages.wait_for("hello");
    a->stop();
    CHECK(vixp2p_node_set_message_callback(engine_of(*a), nullptr) == VIXP2P_OK);
}

void wait_returns_when_somebody_stops()
{
    P2PRuntime runtime(make_tcp_node(listening("a")));
    runtime.start();
    auto waiting = std::async(std::launch::async, [&] { runtime.wait(); });
    CHECK(waiting.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
    runtime.stop();
    CHECK(waiting.wait_for(std::chrono::milliseconds(PATIENCE_MS)) == std::future_status::ready);
}

} // namespace

int main()
{
    two_runtimes_see_each_other_connected();
    a_dial_that_fails_is_told_and_counted();
    automatic_attempts_keep_their_distance();
    the_guard_backs_off_and_forgets_failures_after_a_success();
    a_runtime_tolerates_that_it_has_no_node();
    a_node_that_throws_costs_its_address_a_pause();
    a_program_that_wants_more_has_the_engine();
    wait_returns_when_somebody_stops();
    return 0;
}
