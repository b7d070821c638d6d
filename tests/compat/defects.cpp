// What the C++ module gets wrong, by the numbers it was noted under, and that it is not so here. Others of them: codecs.cpp (frame
// lengths, announcements), edge.cpp (records that go nowhere), finding.cpp (registries, announcements).
#include "loopback.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <future>
#include <set>
#include <thread>

using namespace vix::p2p;

namespace {

// A client without any manners.
class Raw {
public:
    explicit Raw(const PeerEndpoint &to) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(to.port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        CHECK(connect(fd_, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0);
        const timeval patience{PATIENCE_MS / 1000, 0};
        setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    Raw(const Raw &) = delete;
    Raw &operator=(const Raw &) = delete;
    ~Raw() { close(fd_); }
    void reset_on_close()
    {
        const linger now{1, 0};
        setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    // Whether it was taken.
    bool write(const std::vector<std::uint8_t> &bytes) { return send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0; }
    // What comes until the other side closes; that it closes is checked.
    std::vector<std::uint8_t> read_to_end()
    {
        std::vector<std::uint8_t> all;
        std::array<std::uint8_t, 4096> part{};
        for (;;) {
            const ssize_t count = recv(fd_, part.data(), part.size(), 0);
            CHECK(count >= 0 || errno == ECONNRESET || errno == EPIPE);
            if (count <= 0) {
                return all;
            }
            all.insert(all.end(), part.begin(), part.begin() + count);
        }
    }

private:
    int fd_;
};

// Accepts no connection and says nothing.
class Silent {
public:
    Silent() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t len = sizeof address;
        CHECK(bind(fd_, reinterpret_cast<const sockaddr *>(&address), len) == 0 && listen(fd_, 8) == 0);
        CHECK(getsockname(fd_, reinterpret_cast<sockaddr *>(&address), &len) == 0);
        endpoint_ = {"127.0.0.1", ntohs(address.sin_port), "tcp"};
    }
    Silent(const Silent &) = delete;
    Silent &operator=(const Silent &) = delete;
    ~Silent() { close(fd_); }
    const PeerEndpoint &endpoint() const { return endpoint_; }
    void wait_for_somebody()
    {
        pollfd waiting{fd_, POLLIN, 0};
        CHECK(poll(&waiting, 1, PATIENCE_MS) == 1);
    }

private:
    int fd_;
    PeerEndpoint endpoint_;
};

std::shared_ptr<Node> started(NodeConfig config)
{
    auto node = make_tcp_node(std::move(config));
    node->start();
    return node;
}

std::shared_ptr<Node> started(const char *name) { return started(listening(name)); }

void meet(const std::shared_ptr<Node> &from, const std::shared_ptr<Node> &to)
{
    CHECK(from->connect(endpoint_of(*to)));
    eventually([&] { return sees_connected(*from, key_of(*to)) && sees_connected(*to, key_of(*from)); });
}

// 1, 2, 3, 4, 7: bytes of strangers.
void strangers_neither_end_the_process_nor_become_peers()
{
    Lines lines;
    const auto node = started(listening("a", &lines));
    const PeerEndpoint at = endpoint_of(*node);
    framing::LengthPrefixVarint framing;
    const auto framed = [&](const Envelope &envelope) { return framing.encode(envelope.encode()).bytes; };
    const std::vector<std::vector<std::uint8_t>> floods = {
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
        {0x80, 0x80, 0x80, 0x80, 0x10, 1, 2, 3},
        std::vector<std::uint8_t>(1U << 20U, 0xaa),
        framed(pack::make_envelope(MessageType::Ping, msg::Ping{42})),
        framed(pack::make_envelope(MessageType::WalPush, msg::WalPush{1, 1, {1}})),
    };
    for (const auto &bytes : floods) {
        Raw stranger(at);
        stranger.write(bytes);
        const auto answer = stranger.read_to_end();
        const std::vector<std::uint8_t> pong = msg::Pong{42}.encode();
        CHECK(std::search(answer.begin(), answer.end(), pong.begin(), pong.end()) == answer.end());
    }
    for (int i = 0; i < 50; ++i) {
        Raw stranger(at);
        stranger.reset_on_close();
    }
    NullCrypto null;
    {
        // A v1 handshake, whose signature nobody could verify.
        Raw stranger(at);
        const auto key = null.generate_keypair().public_key;
        stranger.write(framed(pack::make_envelope(MessageType::Hello, msg::Hello{1, 2, "b", {}, key})));
        stranger.write(framed(pack::make_envelope(MessageType::HelloFinish, msg::HelloFinish{1, 2, {1}})));
        stranger.read_to_end();
    }
    lines.wait_for("[p2p] envelope error: ");
    CHECK(lines.wait_for("no common protocol version").find(" peer_id=127.0.0.1:") != std::string::npos);
    CHECK(node->running() && node->stats().peers_connected == 0 && node->peers_snapshot().empty());
    meet(started("b"), node);
}

// 4, 5, 6: each side knows the other's proven key.
void both_sides_are_authenticated_by_key()
{
    const auto a = started("a"), b = started("b");
    meet(a, b);
    const auto of_a = a->get_peer(key_of(*b)), of_b = b->get_peer(key_of(*a));
    CHECK(of_a->meta.secure && of_b->meta.secure && key_of(*a) != key_of(*b));
    const vixp2p_peer_id id = id_of(*b);
    CHECK(std::equal(of_a->meta.public_key.begin(), of_a->meta.public_key.end(), id.bytes, id.bytes + sizeof id.bytes));
}

// 9
void limits_of_the_settings_hold()
{
    NodeConfig config = listening("a");
    config.max_peers = 1;
    config.handshake_timeout_ms = 100;
    const auto a = started(config), b = started("b"), c = started("c");
    Raw silent(endpoint_of(*a));
    silent.read_to_end();
    meet(b, a);
    Lines lines;
    NodeConfig late = listening("d", &lines);
    const auto d = started(late);
    d->connect(endpoint_of(*a));
    lines.wait_for("connect() failed");
    CHECK(a->stats().peers_connected == 1);
    for (int i = 0; i < 200; ++i) {
        Raw passer_by(endpoint_of(*c));
    }
    meet(b, c);
    eventually([&] { return c->peers_snapshot().size() == 1; });
}

// 13, 14, 15, 17
void links_that_end_are_noticed_and_opened_again()
{
    const auto a = started("a");
    NodeConfig config = listening("b");
    config.listen_port = deserted().port;
    const auto b = make_tcp_node(config);
    CHECK(a->connect({"127.0.0.1", config.listen_port, "tcp"})); // nobody listens yet
    Lines lines;
    b->start();
    eventually([&] { return a->stats().peers_connected == 1; });
    const std::string key = key_of(*b);
    b->stop();
    eventually([&] { return a->stats().peers_connected == 0; });
    CHECK(!a->get_peer(key)->is_connected() && !b->running());
    b->start();
    eventually([&] { return sees_connected(*a, key) && sees_connected(*b, key_of(*a)); });
    b->stop();
    b->stop();
    CHECK(!b->running());
}

// 16
void a_name_that_does_not_exist_is_a_failure_like_another()
{
    Lines lines;
    const auto node = started(listening("a", &lines));
    CHECK(node->connect({"no..such..name", 9001, "tcp"}) || lines.count("failed") == 1);
    lines.wait_for("connect() failed: tcp://no..such..name:9001");
    CHECK(node->running());
}

// 18
void a_node_ends_with_its_last_reference()
{
    auto node = started("a");
    const auto other = started("b");
    meet(other, node);
    const std::weak_ptr<Node> seen = node;
    node.reset();
    CHECK(seen.expired());
    eventually([&] { return other->stats().peers_connected == 0; });
}

// 18: stop() from inside what a node calls.
void a_node_can_be_stopped_from_its_own_callbacks()
{
    const auto a = started("a");
    std::shared_ptr<Node> b;
    std::promise<bool> stopped;
    NodeConfig config = listening("b");
    config.on_log = [&, once = false](std::string_view line) mutable {
        if (!once && line.find("ready") != std::string_view::npos) {
            once = true;
            b->stop();
            b->wait();
            b->stats();
            stopped.set_value(b->running());
        }
    };
    b = make_tcp_node(config);
    b->start();
    b->connect(endpoint_of(*a));
    auto result = stopped.get_future();
    CHECK(result.wait_for(std::chrono::milliseconds(PATIENCE_MS)) == std::future_status::ready && !result.get());
    b->wait();
    eventually([&] { return a->stats().peers_connected == 0; });
    b->start();
    b->stop();
}

// 18: what is left of the last run is told while the next one begins.
void a_node_may_be_asked_and_stopped_by_what_it_tells_while_it_starts()
{
    Silent silent;
    std::shared_ptr<Node> node;
    std::promise<void> inside, starting;
    auto is_starting = starting.get_future();
    NodeConfig config = listening("a");
    config.handshake_timeout_ms = PATIENCE_MS;
    config.on_log = [&, once = false](std::string_view line) mutable {
        if (once || line.find("connect() failed") == std::string_view::npos) {
            return;
        }
        once = true;
        inside.set_value();
        is_starting.wait();
        std::this_thread::sleep_for(std::chrono::milliseconds(50)); // nothing tells that start() waits for this function
        node->stats();
        node->peers_snapshot();
        node->connect(silent.endpoint());
        CHECK(!node->running());
        node->stop();
    };
    node = make_tcp_node(config);
    node->start();
    CHECK(node->connect(silent.endpoint()));
    silent.wait_for_somebody();
    node->stop();
    CHECK(inside.get_future().wait_for(std::chrono::milliseconds(PATIENCE_MS)) == std::future_status::ready);
    auto started = std::async(std::launch::async, [&] {
        starting.set_value();
        node->start();
    });
    CHECK(started.wait_for(std::chrono::milliseconds(PATIENCE_MS)) == std::future_status::ready);
    CHECK(!node->running()); // stopped as it had begun
    node->start();
    CHECK(node->running());
}

// A worker of the engine broke.
void a_node_that_failed_does_not_run_and_lets_nobody_wait()
{
    Lines lines;
    const auto node = started(listening("a", &lines));
    auto waiting = std::async(std::launch::async, [&] { node->wait(); });
    CHECK(waiting.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
    dynamic_cast<detail::TcpNode &>(*node).failed();
    CHECK(waiting.wait_for(std::chrono::milliseconds(PATIENCE_MS)) == std::future_status::ready);
    CHECK(!node->running() && !node->connect({"127.0.0.1", 1, "tcp"}) && node->peers_snapshot().empty());
    node->wait();
    node->stop();
    node->start();
    CHECK(node->running());
}

// 19
void a_taken_port_is_told_and_the_node_does_not_run()
{
    const auto a = started("a");
    NodeConfig config = listening("b");
    config.listen_port = endpoint_of(*a).port;
    const auto b = make_tcp_node(config);
    bool thrown = false;
    try {
        b->start();
    } catch (const std::runtime_error &error) {
        thrown = std::string(error.what()).find(std::to_string(config.listen_port)) != std::string::npos;
    }
    CHECK(thrown && !b->running() && !b->connect({"127.0.0.1", 1, "tcp"}));
    P2PRuntime runtime(b);
    CHECK(!runtime.connect(endpoint_of(*a)) && runtime.runtime_stats().connect.connect_attempts == 0);
    b->stop();
}

// Whether a dial has led to a link, or to a reason why not.
bool has_ended(const Node &node, const PeerEndpoint &endpoint)
{
    for (const vixp2p_target_info &target : detail::listed<vixp2p_target_info>(engine_of(node), vixp2p_node_targets)) {
        if (target.endpoint == detail::endpoint_text(endpoint)) {
            return target.state == VIXP2P_PEER_CONNECTED || target.last_reason[0] != '\0';
        }
    }
    return false;
}

// 20
void one_peer_is_one_entry_however_it_is_dialled()
{
    const auto a = started("a"), b = started("b");
    meet(b, a);
    const PeerEndpoint by_name{"localhost", endpoint_of(*a).port, "tcp"}, of_b = endpoint_of(*b);
    b->connect(by_name);
    a->connect(of_b);
    b->connect(of_b);
    eventually([&] { return has_ended(*b, by_name) && has_ended(*a, of_b) && has_ended(*b, of_b); });
    eventually([&] { return b->stats().peers_connected == 1 && a->stats().peers_connected == 1; });
    std::size_t connected = 0;
    for (const auto &[id, peer] : b->peers_snapshot()) {
        connected += peer.is_connected() ? 1 : 0;
        CHECK(!peer.is_connected() || id == key_of(*a));
    }
    CHECK(connected == 1);
}

// 25
void log_functions_may_ask_the_node()
{
    const auto a = started("a");
    std::shared_ptr<Node> b;
    Lines lines;
    NodeConfig config = listening("b");
    config.on_log = [&](std::string_view line) {
        b->stats();
        b->peers_snapshot();
        lines.add(line);
        throw std::runtime_error("and may even throw");
    };
    b = make_tcp_node(config);
    b->start();
    b->connect(endpoint_of(*a));
    lines.wait_for("ready");
    b->connect(endpoint_of(*a));
    lines.wait_for("deduped");
}

// 25: the counter of ids, for many threads.
void message_ids_are_given_once()
{
    std::array<std::vector<MessageId>, 4> given;
    std::vector<std::thread> threads;
    for (auto &mine : given) {
        threads.emplace_back([&mine] {
            for (int i = 0; i < 10000; ++i) {
                mine.push_back(pack::next_message_id());
            }
        });
    }
    std::set<MessageId> all;
    for (std::size_t i = 0; i < given.size(); ++i) {
        threads[i].join();
        all.insert(given[i].begin(), given[i].end());
    }
    CHECK(all.size() == 40000);
}

// 3, and what else is read from strangers.
void decoders_have_limits()
{
    framing::LengthPrefixVarint small(3);
    CHECK(small.decode(small.encode(std::array<std::uint8_t, 3>{}).bytes).frames.size() == 1);
    bool refused = false;
    try {
        small.decode(std::array<std::uint8_t, 1>{4});
    } catch (const bin::Error &) {
        refused = true;
    }
    CHECK(refused);
    msg::Hello hello;
    for (int i = 0; i < 4097; ++i) {
        hello.capabilities[std::to_string(i)] = "";
    }
    refused = false;
    try {
        msg::Hello::decode_or_throw(hello.encode());
    } catch (const bin::Error &error) {
        refused = std::string(error.what()) == "Hello: too many capabilities";
    }
    CHECK(refused);
    std::string deep = "{\"x\":" + std::string(200, '[') + std::string(200, ']') + ",\"node_id\":\"n\",\"tcp_port\":1,\"ts_ms\":1,\"nonce\":1}";
    CHECK(!msg::DiscoveryAnnounce::from_json(deep));
}

} // namespace

int main()
{
    strangers_neither_end_the_process_nor_become_peers();
    both_sides_are_authenticated_by_key();
    limits_of_the_settings_hold();
    links_that_end_are_noticed_and_opened_again();
    a_name_that_does_not_exist_is_a_failure_like_another();
    a_node_ends_with_its_last_reference();
    a_node_can_be_stopped_from_its_own_callbacks();
    a_node_may_be_asked_and_stopped_by_what_it_tells_while_it_starts();
    a_node_that_failed_does_not_run_and_lets_nobody_wait();
    a_taken_port_is_told_and_the_node_does_not_run();
    one_peer_is_one_entry_however_it_is_dialled();
    log_functions_may_ask_the_node();
    message_ids_are_given_once();
    decoders_have_limits();
    return 0;
}
