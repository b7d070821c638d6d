// Bootstrap and Discovery: alone, and as parts of a node. Everything in a network of this process alone, where that is permitted; else
// discovery is left out, whose datagrams go to more than one address.
#include "loopback.hpp"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <future>
#include <map>

#include "../../examples-cpp/vix/registry.hpp"

using namespace vix::p2p;

namespace {

// Before there are threads: a network with nothing but its own loopback interface.
bool enter_private_network()
{
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        return false;
    }
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    const bool is_up = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    close(fd);
    return is_up;
}

std::string naming(const Node &node, const char *name)
{
    return "{\"peers\":[{\"node_id\":\"" + std::string(name) + "\",\"host\":\"127.0.0.1\",\"tcp_port\":" +
           std::to_string(endpoint_of(node).port) + "}]}";
}

BootstrapConfig asking(const Registry &registry, const char *name)
{
    BootstrapConfig config;
    config.self_node_id = name;
    config.registry_url = registry.url();
    config.poll_interval_ms = 50;
    config.connect_cooldown_ms = 300;
    return config;
}

void a_bootstrap_asks_announces_and_calls_back()
{
    const Registry registry("{\"peers\":[{\"node_id\":\"b\",\"host\":\"127.0.0.1\",\"tcp_port\":9},{\"host\":\"\",\"tcp_port\":9},7]}");
    BootstrapConfig config = asking(registry, "a");
    config.mode = BootstrapMode::PullAndAnnounce;
    config.self_tcp_port = 4711;
    config.token = "open-sesame";
    std::atomic<int> calls{0};
    const auto bootstrap = make_http_bootstrap(config, [&](const BootstrapPeer &peer) {
        CHECK(peer.node_id == "b" && peer.host == "127.0.0.1" && peer.tcp_port == 9 && peer.transport == "tcp");
        ++calls;
        throw std::runtime_error("costs nothing");
    });
    CHECK(bootstrap->snapshot().empty());
    bootstrap->start();
    bootstrap->start();
    eventually([&] { return calls == 2; }); // again after the cooldown
    CHECK(bootstrap->snapshot().size() == 1);
    const auto requests = registry.requests();
    CHECK(requests.size() >= 2 && requests[0].rfind("POST /p2p/v1/announce HTTP/1.1\r\n", 0) == 0);
    CHECK(requests[0].find("{\"node_id\":\"a\",\"tcp_port\":4711,\"cap\":{\"proto\":\"1.0\",\"transport\":\"tcp\"}") != std::string::npos);
    CHECK(requests[0].find("Bearer open-sesame") != std::string::npos);
    CHECK(requests[1].rfind("GET /p2p/v1/peers?limit=20 HTTP/1.1\r\n", 0) == 0);
    bootstrap->stop();
    bootstrap->stop();
    CHECK(bootstrap->snapshot().empty());
}

void a_bootstrap_can_be_stopped_by_its_callback_and_started_again()
{
    const Registry registry("{\"peers\":[{\"node_id\":\"b\",\"host\":\"127.0.0.1\",\"tcp_port\":9}]}");
    std::shared_ptr<Bootstrap> bootstrap;
    std::atomic<int> calls{0};
    bootstrap = make_http_bootstrap(asking(registry, "a"), [&](const BootstrapPeer &) {
        bootstrap->stop();
        ++calls;
    });
    bootstrap->start();
    eventually([&] { return calls == 1; });
    bootstrap->start();
    eventually([&] { return calls == 2; });
}

void settings_that_are_none_are_told()
{
    BootstrapConfig config;
    config.registry_url = "smoke://signal";
    bool thrown = false;
    try {
        make_http_bootstrap(config, nullptr)->start();
    } catch (const vixp2p::Error &error) {
        thrown = std::string(error.what()).find("http") != std::string::npos;
    }
    CHECK(thrown);
    // As a part of a node it costs a line, not the start.
    Lines lines;
    const auto node = make_tcp_node(listening("a", &lines));
    node->set_bootstrap(make_http_bootstrap(config, nullptr));
    node->start();
    CHECK(node->running() && lines.count("starting a search for peers failed") == 1);
}

void a_node_dials_whom_its_bootstrap_names_but_not_itself()
{
    const auto a = make_tcp_node(listening("a"));
    a->start();
    const Registry registry(naming(*a, "a"));
    const auto b = make_tcp_node(listening("b"));
    b->set_bootstrap(make_http_bootstrap(asking(registry, "b"), nullptr));
    a->set_bootstrap(make_http_bootstrap(asking(registry, "a"), nullptr));
    b->start();
    eventually([&] { return sees_connected(*b, key_of(*a)); });
    P2PRuntime runtime(a);
    CHECK(runtime.runtime_stats().connect.connect_attempts == 0);
    b->stop();
    a->set_bootstrap(nullptr);
}

// A Bootstrap of the program's own.
class Known final : public Bootstrap {
public:
    void start() override { ++starts; }
    void stop() override { ++stops; }
    std::vector<BootstrapPeer> snapshot() const override
    {
        std::lock_guard<std::mutex> lock(mutex);
        return peers;
    }
    mutable std::mutex mutex;
    std::vector<BootstrapPeer> peers;
    std::atomic<int> starts{0}, stops{0};
};

void rumours_are_dialled_no_longer_than_they_last()
{
    const auto known = std::make_shared<Known>();
    const PeerEndpoint nobody = deserted();
    known->peers = {{"b", nobody.host, nobody.port, "tcp"}, {"c", nobody.host, 1, "quic"}, {"a", nobody.host, 2, "tcp"}};
    Lines lines;
    const auto a = make_tcp_node(listening("a", &lines));
    a->set_bootstrap(known);
    a->start();
    lines.wait_for("connect() failed: tcp://127.0.0.1:" + std::to_string(nobody.port));
    CHECK(lines.count(":1 ") == 0 && lines.count(":2 ") == 0);
    const auto targets = [&] { return detail::listed<vixp2p_target_info>(engine_of(*a), vixp2p_node_targets); };
    const auto wanted = [&] {
        for (const vixp2p_target_info &target : targets()) {
            if ((target.flags & VIXP2P_TARGET_WANTED) != 0) {
                return true;
            }
        }
        return false;
    };
    eventually(wanted); // again and again
    {
        std::lock_guard<std::mutex> lock(known->mutex);
        known->peers.clear();
    }
    eventually([&] { return !wanted(); });
    a->stop();
    CHECK(known->starts == 1 && known->stops == 1);
}

// Asks its node for what could wait for it.
class Meddling final : public Bootstrap {
public:
    void start() override { node->wait(); }
    void stop() override
    {
        node->stop();
        node->wait();
        throw std::runtime_error("nor does this stop anybody");
    }
    std::vector<BootstrapPeer> snapshot() const override { return {}; }
    Node *node = nullptr;
};

void a_bootstrap_may_stop_its_node_and_wait()
{
    const auto meddling = std::make_shared<Meddling>();
    Lines lines;
    NodeConfig config = listening("a");
    config.on_log = [&](std::string_view line) {
        meddling->node->stop();
        meddling->node->wait();
        lines.add(line);
    };
    const auto a = make_tcp_node(config);
    meddling->node = a.get();
    a->set_bootstrap(meddling);
    auto both = std::async(std::launch::async, [&] {
        a->start();
        a->stop();
    });
    CHECK(both.wait_for(std::chrono::milliseconds(PATIENCE_MS)) == std::future_status::ready);
    CHECK(!a->running() && lines.count("ending a search for peers failed") == 1);
}

// The program asked for it itself, so that its wish outlives the rumour.
void an_address_that_the_program_asked_for_stays_wanted_when_the_rumour_ends()
{
    const auto known = std::make_shared<Known>();
    const PeerEndpoint wanted = deserted(), rumoured = deserted();
    known->peers = {{"b", wanted.host, wanted.port, "tcp"}, {"c", rumoured.host, rumoured.port, "tcp"}};
    Lines lines;
    const auto a = make_tcp_node(listening("a", &lines));
    a->start();
    CHECK(a->connect(wanted));
    lines.wait_for("connect() failed: tcp://127.0.0.1:" + std::to_string(wanted.port)); // in backoff, so that it is not being dialled
    const auto is_wanted = [&](const PeerEndpoint &endpoint) {
        for (const vixp2p_target_info &target : detail::listed<vixp2p_target_info>(engine_of(*a), vixp2p_node_targets)) {
            if ((target.flags & VIXP2P_TARGET_WANTED) != 0 && target.endpoint == detail::endpoint_text(endpoint)) {
                return true;
            }
        }
        return false;
    };
    a->set_bootstrap(known);
    eventually([&] { return is_wanted(rumoured); });
    {
        std::lock_guard<std::mutex> lock(known->mutex);
        known->peers.clear();
    }
    eventually([&] { return !is_wanted(rumoured); });
    CHECK(is_wanted(wanted));
    a->disconnect(detail::host_and_port(wanted));
    eventually([&] { return !is_wanted(wanted); });
}

using detail::Rumour;
using detail::Rumours;

std::vector<Rumour> named(std::size_t count, bool is_registered)
{
    std::vector<Rumour> found;
    for (std::size_t i = 0; i < count; ++i) {
        found.push_back({"tcp://" + std::to_string(i), is_registered});
    }
    return found;
}

// Steps of a second until an address is dialled; none to be dialled twice within the cooldown.
std::size_t steps_until_dialled(const std::vector<Rumour> &found, const std::string &endpoint, std::size_t most)
{
    Rumours rumours;
    std::map<std::string, std::size_t> last;
    std::size_t held = 0;
    for (std::size_t step = 1; step <= most; ++step) {
        const auto todo = rumours.step(Rumours::Time{} + std::chrono::seconds(step), found, {});
        CHECK(todo.dial.size() <= (found[0].is_registered ? Rumours::registered_max : Rumours::announced_max));
        for (const std::string &one : todo.dial) {
            const auto [at, is_first] = last.try_emplace(one, step);
            CHECK(is_first || step - at->second >= 12);
            at->second = step;
            ++held;
        }
        held -= todo.forget.size();
        CHECK(held <= 2 * todo.dial.size() + Rumours::registered_max); // what leads nowhere is not left to the engine
        if (last.count(endpoint) != 0) {
            return step;
        }
    }
    return most + 1;
}

void dead_addresses_keep_no_other_from_its_turn()
{
    CHECK(steps_until_dialled(named(200, true), "tcp://199", 100) == 25);
    CHECK(steps_until_dialled(named(200, false), "tcp://199", 200) == 100);
    CHECK(steps_until_dialled(named(1100, true), "tcp://1099", 300) == 138);
}

void who_was_dialled_longest_ago_is_dialled_first()
{
    Rumours rumours;
    const auto at = [](int second) { return Rumours::Time{} + std::chrono::seconds(second); };
    const std::vector<Rumour> found = named(4, false), turned(found.rbegin(), found.rend());
    using Endpoints = std::vector<std::string>;
    CHECK((rumours.step(at(1), found, {}).dial == Endpoints{"tcp://0", "tcp://1"}));
    CHECK((rumours.step(at(2), found, {"tcp://2"}).dial == Endpoints{"tcp://3"})); // the other has a link
    const Rumours::Todo third = rumours.step(at(3), found, {"tcp://1"});
    CHECK((third.dial == Endpoints{"tcp://2"} && third.forget == Endpoints{"tcp://0"}));
    CHECK(rumours.step(at(12), found, {}).dial.empty());
    CHECK((rumours.step(at(30), turned, {"tcp://0"}).dial == Endpoints{"tcp://1", "tcp://3"}));
    CHECK(rumours.claim("tcp://2") && !rumours.claim("tcp://2"));
    CHECK((rumours.step(at(31), turned, {}).dial == Endpoints{"tcp://0"}));
    Endpoints forgotten = rumours.step(at(32), {}, {"tcp://0", "tcp://1", "tcp://3"}).forget;
    std::sort(forgotten.begin(), forgotten.end());
    CHECK((forgotten == Endpoints{"tcp://0", "tcp://1", "tcp://3"}));
    rumours.release("tcp://2");
    CHECK((rumours.step(at(33), turned, {}).dial == Endpoints{"tcp://3", "tcp://2"}));
}

DiscoveryConfig on_lo(const char *name, std::uint16_t port)
{
    DiscoveryConfig config;
    config.self_node_id = name;
    config.self_tcp_port = port;
    config.mode = DiscoveryMode::Multicast;
    config.announce_interval_ms = 100;
    config.seen_ttl_ms = 1000;
    config.connect_cooldown_ms = 300;
    config.interfaces = "lo";
    return config;
}

void nodes_on_one_host_discover_each_other()
{
    std::promise<DiscoveryAnnouncement> found;
    std::atomic<int> calls{0};
    const auto tells = make_udp_discovery(on_lo("a", 4711), nullptr);
    const auto hears = make_udp_discovery(on_lo("b", 0), [&](const DiscoveryAnnouncement &announcement) {
        if (++calls == 1) {
            found.set_value(announcement);
        }
    });
    tells->start();
    hears->start();
    auto finding = found.get_future();
    CHECK(finding.wait_for(std::chrono::milliseconds(PATIENCE_MS)) == std::future_status::ready);
    const DiscoveryAnnouncement announcement = finding.get();
    CHECK(announcement.node_id == "a" && announcement.port == 4711 && announcement.transport == "tcp" && !announcement.host.empty());
    CHECK(!hears->snapshot().empty() && tells->snapshot().empty());
    eventually([&] { return calls >= 2; });
    tells->stop();
    eventually([&] { return hears->snapshot().empty(); }); // silence makes it forgotten
    hears->stop();
}

// Numbers that the module takes are no reason not to start.
void odd_numbers_are_taken_as_the_nearest_that_make_sense()
{
    DiscoveryConfig discovery = on_lo("a", 0);
    discovery.announce_interval_ms = 0;
    discovery.seen_ttl_ms = 0;
    discovery.max_packet_bytes = 1;
    const auto looking = make_udp_discovery(discovery, nullptr);
    looking->start();
    looking->stop();
    const Registry registry("{\"peers\":[]}");
    BootstrapConfig bootstrap = asking(registry, "a");
    bootstrap.max_http_bytes = std::size_t{1} << 40U;
    bootstrap.max_peers_per_poll = 1U << 31U;
    bootstrap.backoff_max_ms = 1;
    const auto asks = make_http_bootstrap(bootstrap, nullptr);
    asks->start();
    eventually([&] { return !registry.requests().empty(); });
}

void a_node_dials_whom_its_discovery_finds()
{
    const auto a = make_tcp_node(listening("a")), b = make_tcp_node(listening("b"));
    a->start();
    a->set_discovery(make_udp_discovery(on_lo("a", endpoint_of(*a).port), nullptr));
    b->set_discovery(make_udp_discovery(on_lo("b", 0), nullptr));
    b->start();
    eventually([&] { return sees_connected(*b, key_of(*a)); });
}

} // namespace

int main()
{
    const bool is_private = enter_private_network();
    a_bootstrap_asks_announces_and_calls_back();
    a_bootstrap_can_be_stopped_by_its_callback_and_started_again();
    settings_that_are_none_are_told();
    a_node_dials_whom_its_bootstrap_names_but_not_itself();
    rumours_are_dialled_no_longer_than_they_last();
    a_bootstrap_may_stop_its_node_and_wait();
    an_address_that_the_program_asked_for_stays_wanted_when_the_rumour_ends();
    dead_addresses_keep_no_other_from_its_turn();
    who_was_dialled_longest_ago_is_dialled_first();
    if (is_private) {
        nodes_on_one_host_discover_each_other();
        odd_numbers_are_taken_as_the_nearest_that_make_sense();
        a_node_dials_whom_its_discovery_finds();
    } else {
        std::puts("no network of its own is permitted here: discovery is not tested");
    }
    NullDiscovery().start();
    NullBootstrap().start();
    CHECK(NullDiscovery().snapshot().empty() && NullBootstrap().snapshot().empty());
    return 0;
}
