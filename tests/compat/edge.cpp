// EdgeSync and Router of a program, at work under the engine.
#include "loopback.hpp"

#include <future>
#include <map>
#include <stdexcept>

using namespace vix::p2p;

namespace {

class Edge final : public EdgeSync {
public:
    void on_wal_batch(const NodeId &from, const WalBatch &batch) override
    {
        const std::string text(batch.bytes.begin(), batch.bytes.end());
        if (text == "later" && !refused_) {
            refused_ = true;
            throw std::runtime_error("not now");
        }
        CHECK(batch.seq_begin == batch.seq_end);
        seen.add(from + " " + std::to_string(batch.seq_begin) + " " + text);
        if (stops) {
            stops->stop();
        }
    }
    void on_wal_ack(const NodeId &from, const WalAck &ack) override { seen.add("ack " + from + " " + std::to_string(ack.last_applied_seq)); }
    void on_outbox_pull(const NodeId &from, const OutboxPullRequest &request) override
    {
        seen.add("pull " + from + " " + request.target + " " + std::to_string(request.max_items));
    }
    std::optional<WalBatch> next_wal_batch_for(const NodeId &) override
    {
        if (writes.empty()) {
            return std::nullopt;
        }
        const std::string text = writes.back();
        writes.pop_back();
        return WalBatch{7, 9, {text.begin(), text.end()}};
    }

    Lines seen;
    std::vector<std::string> writes;
    std::shared_ptr<Node> stops;

private:
    bool refused_ = false;
};

void records_reach_the_other_sides_edge_sync_in_order()
{
    const auto of_a = std::make_shared<Edge>(), of_b = std::make_shared<Edge>();
    of_a->writes = {"second", "later"};
    Lines lines;
    const auto a = make_tcp_node(listening("a")), b = make_tcp_node(listening("b", &lines));
    a->set_edge_sync(of_a);
    b->set_edge_sync(of_b);
    a->start();
    b->start();
    b->connect(endpoint_of(*a));
    of_a->seen.wait_for("ack " + key_of(*b) + " 2");
    const std::vector<std::string> all = of_b->seen.all();
    CHECK(all.size() == 2 && all[0] == key_of(*a) + " 1 later" && all[1] == key_of(*a) + " 2 second");
    CHECK(lines.wait_for("edge sync failed") == "[p2p] edge sync failed: not now");
    const vixp2p_peer_id asked = id_of(*a), target = id_of(*b);
    CHECK(vixp2p_outbox_ask(engine_of(*b), &asked, &target, 64) == VIXP2P_OK);
    of_a->seen.wait_for("pull " + key_of(*b) + " " + key_of(*b) + " 64");
}

void an_edge_sync_may_stop_its_node()
{
    const auto of_a = std::make_shared<Edge>(), of_b = std::make_shared<Edge>();
    of_a->writes = {"one"};
    const auto a = make_tcp_node(listening("a")), b = make_tcp_node(listening("b"));
    a->set_edge_sync(of_a);
    b->set_edge_sync(of_b);
    of_b->stops = b;
    a->start();
    b->start();
    const std::string key = key_of(*a);
    b->connect(endpoint_of(*a));
    of_b->seen.wait_for(key + " 1 one");
    b->wait();
    CHECK(!b->running());
    of_b->stops.reset();
}

void records_wait_while_the_edge_sync_is_taken_away()
{
    const auto of_a = std::make_shared<Edge>(), of_b = std::make_shared<Edge>();
    of_a->writes = {"one"};
    Lines lines;
    const auto a = make_tcp_node(listening("a")), b = make_tcp_node(listening("b", &lines));
    a->set_edge_sync(of_a);
    b->set_edge_sync(of_b);
    a->start();
    b->start();
    b->connect(endpoint_of(*a));
    of_b->seen.wait_for(" 1 one");
    b->set_edge_sync(nullptr);
    CHECK(vixp2p_node_append(engine_of(*a), "two", 3, nullptr) == VIXP2P_OK);
    lines.wait_for("records wait until there is an EdgeSync again");
    b->set_edge_sync(of_b);
    of_b->seen.wait_for(" 2 two");
    CHECK(of_b->seen.count(" 1 one") == 1 && lines.count("records wait") == 1);
}

void without_any_edge_sync_records_count_as_applied()
{
    const auto edge = std::make_shared<Edge>();
    Lines lines;
    detail::EdgeBridge bridge([&](std::string_view line) { lines.add(line); });
    const vixp2p::WalBatch batch{1, 1, {'x'}};
    bridge.on_wal_batch("a", batch);
    bridge.set(nullptr);
    bridge.on_wal_batch("a", batch);
    bridge.set(edge);
    bridge.set(nullptr);
    for (int i = 0; i < 2; ++i) {
        bool thrown = false;
        try {
            bridge.on_wal_batch("a", batch);
        } catch (const std::exception &error) {
            thrown = true;
            bridge.on_error(error);
        }
        CHECK(thrown);
    }
    CHECK(edge->seen.all().empty() && lines.all().size() == 1);
}

// Where a log function is called, the node waits for it.
void a_log_function_may_stop_and_wait_when_an_edge_sync_throws()
{
    const auto of_a = std::make_shared<Edge>(), of_b = std::make_shared<Edge>();
    of_a->writes = {"later"};
    std::shared_ptr<Node> b;
    std::promise<void> waited;
    NodeConfig config = listening("b");
    config.on_log = [&, once = false](std::string_view line) mutable {
        if (!once && line.find("edge sync failed") != std::string_view::npos) {
            once = true;
            b->stop();
            b->wait();
            waited.set_value();
        }
    };
    const auto a = make_tcp_node(listening("a"));
    b = make_tcp_node(config);
    a->set_edge_sync(of_a);
    b->set_edge_sync(of_b);
    a->start();
    b->start();
    b->connect(endpoint_of(*a));
    CHECK(waited.get_future().wait_for(std::chrono::milliseconds(PATIENCE_MS)) == std::future_status::ready);
    b->wait();
    CHECK(!b->running());
}

// A Router of the program's own: asked for the nodes that are known.
class Fixed final : public Router {
public:
    void upsert_route(const NodeId &node, const Route &route) override { routes[node] = route; }
    void remove_route(const NodeId &node) override { routes.erase(node); }
    std::optional<Route> resolve(const NodeId &node) const override
    {
        const auto found = routes.find(node);
        return found == routes.end() ? std::nullopt : std::optional(found->second);
    }
    std::map<NodeId, Route> routes;
};

std::uint32_t ttl_to(const std::shared_ptr<Node> &node, const vixp2p_peer_id &peer)
{
    vixp2p_peer_id hop{};
    std::uint32_t ttl = 0;
    std::int32_t relayed = 0;
    return vixp2p_node_route_resolve(engine_of(*node), &peer, &hop, &relayed, &ttl) == VIXP2P_OK ? ttl : 0;
}

void ways_of_a_router_become_the_engines()
{
    const auto a = make_tcp_node(listening("a")), b = make_tcp_node(listening("b")), c = make_tcp_node(listening("c"));
    for (const auto &node : {a, b, c}) {
        node->start();
    }
    a->connect(endpoint_of(*b));
    c->connect(endpoint_of(*b));
    eventually([&] { return b->stats().peers_connected == 2 && a->stats().peers_connected == 1; });
    const vixp2p_peer_id far = id_of(*c);
    CHECK(ttl_to(a, far) == 0);
    const auto memory = std::make_shared<MemoryRouter>();
    memory->upsert_route(key_of(*c), Route{key_of(*b), true, 5});
    memory->upsert_route("no key", Route{"none either"});
    a->set_router(memory);
    eventually([&] { return ttl_to(a, far) == 5; });
    memory->remove_route(key_of(*c));
    eventually([&] { return ttl_to(a, far) == 0; });
    const auto fixed = std::make_shared<Fixed>();
    fixed->upsert_route(key_of(*c), Route{key_of(*b), true, 3});
    b->set_router(fixed);
    a->connect(endpoint_of(*c));
    eventually([&] { return sees_connected(*a, key_of(*c)); });
    a->set_router(fixed);
    a->disconnect(key_of(*c));
    eventually([&] { return ttl_to(a, far) == 3; });
}

void the_memory_router_keeps_what_it_is_given()
{
    MemoryRouter router;
    CHECK(!router.resolve("c"));
    router.upsert_route("c", Route{"b", true, 4});
    router.upsert_route("c", Route{"d"});
    CHECK(router.resolve("c")->next_hop == "d" && !router.resolve("c")->via_relay && router.resolve("c")->ttl == 8);
    router.remove_route("c");
    CHECK(!router.resolve("c") && router.routes().empty());
}

} // namespace

int main()
{
    records_reach_the_other_sides_edge_sync_in_order();
    an_edge_sync_may_stop_its_node();
    records_wait_while_the_edge_sync_is_taken_away();
    without_any_edge_sync_records_count_as_applied();
    a_log_function_may_stop_and_wait_when_an_edge_sync_throws();
    ways_of_a_router_become_the_engines();
    the_memory_router_keeps_what_it_is_given();
    return 0;
}
