// Programs as they were written for the C++ module, one for each part of its API: they compile unchanged, and nothing here uses what
// this library adds. What the compiler would let pass (another type, another default) is asserted.
#include <vix/p2p.hpp>
#include <vix/p2p/transport/Tcp.hpp>

#include <cstdio>
#include <cstdlib>
#include <type_traits>

#undef NDEBUG
#include <cassert>

namespace p2p = vix::p2p;
using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;
template <class A, class B> inline constexpr bool same = std::is_same_v<A, B>;

// ---- Protocol.hpp, Peer.hpp

static_assert(p2p::ProtocolVersion{} == p2p::ProtocolVersion{1, 0} && p2p::ProtocolVersion{1, 7}.is_compatible_with({1, 0}));
static_assert(!p2p::ProtocolVersion{2, 0}.is_compatible_with({1, 0}));
static_assert(same<std::underlying_type_t<p2p::MessageType>, std::uint16_t> && static_cast<int>(p2p::MessageType::OutboxPull) == 12);
static_assert(p2p::to_string(p2p::MessageType::HelloFinish) == "HelloFinish");
static_assert(p2p::to_string(static_cast<p2p::MessageType>(99)) == "Unknown");
static_assert(same<p2p::PeerId, std::string> && same<std::underlying_type_t<p2p::PeerState>, std::uint8_t>);
static_assert(static_cast<int>(p2p::PeerState::Closed) == 5 && std::is_aggregate_v<p2p::PeerEndpoint>);
static_assert(same<decltype(p2p::PeerMetadata::capabilities), std::unordered_map<std::string, std::string>>);
static_assert(same<decltype(p2p::Peer::handshake), std::optional<p2p::HandshakeState>>);

static void program_of_peers()
{
    p2p::Peer peer{.id = "node-a", .state = p2p::PeerState::Stale};
    assert(!peer.is_connected() && !peer.endpoint && !peer.handshake);
    assert(!peer.meta.secure && peer.meta.send_nonce_counter == 1 && peer.meta.recv_nonce_max == 0 && peer.meta.recv_nonce_window == 0);
    peer.endpoint = p2p::PeerEndpoint{"127.0.0.1", 9001, "tcp"};
    peer.handshake = p2p::HandshakeState{p2p::HandshakeState::Stage::AckSent, 1, 2, 3, std::chrono::steady_clock::now()};
    peer.state = p2p::PeerState::Connected;
    assert(peer.is_connected() && p2p::PeerEndpoint{}.port == 0);
}

// ---- Node.hpp, P2P.hpp

static_assert(same<decltype(p2p::NodeConfig::on_log), std::function<void(std::string_view)>>);
static_assert(same<decltype(&p2p::make_tcp_node), std::shared_ptr<p2p::Node> (*)(p2p::NodeConfig)>);
static_assert(same<decltype(&p2p::set_global_log_sink), void (*)(std::function<void(std::string_view)>)>);
static_assert(same<decltype(&p2p::clear_global_log_sink), void (*)()>);
static_assert(std::is_abstract_v<p2p::Node> && std::has_virtual_destructor_v<p2p::Node>);
static_assert(same<decltype(&p2p::Node::config), const p2p::NodeConfig &(p2p::Node::*)() const>);
static_assert(same<decltype(&p2p::Node::start), void (p2p::Node::*)()> && same<decltype(&p2p::Node::stop), void (p2p::Node::*)()>);
static_assert(same<decltype(&p2p::Node::running), bool (p2p::Node::*)() const> && same<decltype(&p2p::Node::wait), void (p2p::Node::*)()>);
static_assert(same<decltype(&p2p::Node::connect), bool (p2p::Node::*)(const p2p::PeerEndpoint &)>);
static_assert(same<decltype(&p2p::Node::disconnect), void (p2p::Node::*)(const p2p::PeerId &)>);
static_assert(same<decltype(&p2p::Node::get_peer), std::optional<p2p::Peer> (p2p::Node::*)(const p2p::PeerId &) const>);
static_assert(same<decltype(&p2p::Node::peers_snapshot), std::unordered_map<p2p::PeerId, p2p::Peer> (p2p::Node::*)() const>);
static_assert(same<decltype(&p2p::Node::set_discovery), void (p2p::Node::*)(std::shared_ptr<p2p::Discovery>)>);
static_assert(same<decltype(&p2p::Node::set_bootstrap), void (p2p::Node::*)(std::shared_ptr<p2p::Bootstrap>)>);
static_assert(same<decltype(&p2p::Node::set_router), void (p2p::Node::*)(std::shared_ptr<p2p::Router>)>);
static_assert(same<decltype(&p2p::Node::set_edge_sync), void (p2p::Node::*)(std::shared_ptr<p2p::EdgeSync>)>);
static_assert(same<decltype(&p2p::Node::set_crypto), void (p2p::Node::*)(std::shared_ptr<p2p::Crypto>)>);
static_assert(same<decltype(&p2p::Node::stats), p2p::NodeStats (p2p::Node::*)() const>);
static_assert(std::is_final_v<p2p::P2PRuntime> && std::is_base_of_v<p2p::P2P, p2p::P2PRuntime> && std::is_abstract_v<p2p::P2P>);
static_assert(std::is_base_of_v<p2p::NodeStats, p2p::RuntimeStats> && same<decltype(p2p::RuntimeStats::connect), p2p::ConnectStats>);
static_assert(!std::is_convertible_v<std::shared_ptr<p2p::Node>, p2p::P2PRuntime>);
static_assert(same<decltype(&p2p::P2PRuntime::connect_auto), bool (p2p::P2PRuntime::*)(const p2p::PeerEndpoint &)>);
static_assert(same<decltype(&p2p::P2PRuntime::runtime_stats), p2p::RuntimeStats (p2p::P2PRuntime::*)() const>);
static_assert(same<decltype(&p2p::P2PRuntime::node), std::shared_ptr<p2p::Node> (p2p::P2PRuntime::*)() const>);

static void program_of_a_node()
{
    p2p::NodeConfig config;
    assert(config.listen_port == 0 && config.max_peers == 64 && config.handshake_timeout_ms == 3000 && !config.on_log);
    config.node_id = "A";
    int lines = 0;
    config.on_log = [&](std::string_view) { ++lines; };
    auto node = p2p::make_tcp_node(config);
    node->set_discovery(std::make_shared<p2p::NullDiscovery>());
    node->set_bootstrap(std::make_shared<p2p::NullBootstrap>());
    node->set_router(std::make_shared<p2p::MemoryRouter>());
    node->set_edge_sync(std::make_shared<p2p::NullEdgeSync>());
    node->set_crypto(std::make_shared<p2p::NullCrypto>());
    p2p::P2PRuntime runtime(node);
    assert(!node->running() && !node->connect({"127.0.0.1", 1, "tcp"}) && lines == 2);
    runtime.start();
    assert(node->running() && node->config().node_id == "A" && node->peers_snapshot().empty() && !node->get_peer("nobody"));
    const p2p::RuntimeStats stats = runtime.runtime_stats();
    std::printf("peers_total=%llu connect_attempts=%llu\n", static_cast<unsigned long long>(stats.peers_total),
                static_cast<unsigned long long>(stats.connect.connect_attempts));
    node->disconnect("nobody");
    runtime.stop();
    runtime.wait();
    p2p::P2P &base = runtime;
    assert(base.stats().peers_connected == 0 && runtime.node() == node);
}

// ---- Transport.hpp, transport/Tcp.hpp

static_assert(static_cast<int>(p2p::TransportKind::Tcp) == 1 && static_cast<int>(p2p::TransportKind::Quic) == 2);
static_assert(same<p2p::TcpFailHandler, std::function<void(std::error_code)>>);
static_assert(same<p2p::EnvelopeHandler, std::function<void(const p2p::PeerId &, const p2p::Envelope &)>>);

class Loop final : public p2p::Transport {
public:
    p2p::TransportKind kind() const override { return p2p::TransportKind::Tcp; }
    bool send(std::span<const std::uint8_t> bytes) override { return stats_.bytes_sent += bytes.size(), ++stats_.frames_sent, true; }
    void close() override {}
    p2p::TransportStats stats() const override { return stats_; }
    std::string endpoint_string() const override { return "tcp://h:1"; }
    void set_peer_id(std::string) override {}

private:
    p2p::TransportStats stats_;
};

// ---- Discovery.hpp, Bootstrap.hpp

static_assert(same<p2p::DiscoveryCallback, std::function<void(const p2p::DiscoveryAnnouncement &)>>);
static_assert(same<decltype(&p2p::make_udp_discovery), std::shared_ptr<p2p::Discovery> (*)(p2p::DiscoveryConfig, p2p::DiscoveryCallback)>);
static_assert(same<decltype(&p2p::make_http_bootstrap), std::shared_ptr<p2p::Bootstrap> (*)(p2p::BootstrapConfig, p2p::BootstrapCallback)>);
static_assert(static_cast<int>(p2p::DiscoveryMode::Multicast) == 1 && static_cast<int>(p2p::BootstrapMode::PullAndAnnounce) == 1);

class Static final : public p2p::Discovery {
public:
    void start() override {}
    void stop() override {}
    std::vector<p2p::DiscoveryAnnouncement> snapshot() const override { return {{"b", "127.0.0.1", 0, "tcp"}}; }
};

static void program_of_finding()
{
    const p2p::DiscoveryConfig discovery;
    assert(discovery.discovery_port == 37020 && discovery.mode == p2p::DiscoveryMode::Broadcast && discovery.announce_interval_ms == 2000);
    assert(discovery.seen_ttl_ms == 15000 && discovery.connect_cooldown_ms == 8000 && discovery.max_packet_bytes == 1024);
    assert(discovery.multicast_group == "239.255.0.1" && discovery.self_tcp_port == 0 && discovery.self_node_id.empty());
    const p2p::BootstrapConfig bootstrap;
    assert(bootstrap.mode == p2p::BootstrapMode::PullOnly && bootstrap.poll_interval_ms == 15000 && bootstrap.connect_cooldown_ms == 12000);
    assert(bootstrap.max_http_bytes == 65536 && bootstrap.connect_timeout_ms == 3000 && bootstrap.request_timeout_ms == 5000);
    assert(bootstrap.backoff_max_ms == 60000 && bootstrap.max_peers_per_poll == 20 && p2p::BootstrapPeer{}.transport == "tcp");
    // Made, and never started: this sends nothing.
    auto made = p2p::make_udp_discovery(discovery, [](const p2p::DiscoveryAnnouncement &) {});
    auto asked = p2p::make_http_bootstrap(bootstrap, [](const p2p::BootstrapPeer &) {});
    assert(made->snapshot().empty() && asked->snapshot().empty() && Static().snapshot().size() == 1);
    made->stop();
    asked->stop();
}

// ---- EdgeSync.hpp, Router.hpp, Framing.hpp

static_assert(same<p2p::NodeId, std::string> && !same<p2p::WalAck, p2p::msg::WalAck>);

class Counting final : public p2p::EdgeSync {
public:
    void on_wal_batch(const p2p::NodeId &, const p2p::WalBatch &batch) override { last = batch.seq_end; }
    void on_wal_ack(const p2p::NodeId &, const p2p::WalAck &ack) override { last = ack.last_applied_seq; }
    void on_outbox_pull(const p2p::NodeId &, const p2p::OutboxPullRequest &request) override { last = request.max_items; }
    std::optional<p2p::WalBatch> next_wal_batch_for(const p2p::NodeId &) override { return p2p::WalBatch{1, 2, {3}}; }
    std::uint64_t last = 0;
};

class Xor final : public p2p::Framing {
public:
    p2p::Frame encode(std::span<const std::uint8_t> payload) override { return {{payload.begin(), payload.end()}}; }
    p2p::FrameDecodeResult decode(std::span<const std::uint8_t> buffer) override { return {{encode(buffer)}, {}}; }
};

static void program_of_parts()
{
    Counting edge;
    edge.on_outbox_pull("b", p2p::OutboxPullRequest{"c"});
    assert(edge.last == 128 && edge.next_wal_batch_for("b")->seq_end == 2 && !p2p::NullEdgeSync().next_wal_batch_for("b"));
    p2p::MemoryRouter memory;
    p2p::Router &router = memory;
    router.upsert_route("c", p2p::Route{"b", true});
    assert(router.resolve("c")->via_relay && router.resolve("c")->ttl == 8);
    p2p::MemoryRouter copy = memory;
    router.remove_route("c");
    assert(copy.resolve("c") && !memory.resolve("c"));
    memory = copy;
    assert(memory.resolve("c"));
    p2p::framing::LengthPrefixVarint varint;
    Xor other;
    for (p2p::Framing *framing : {static_cast<p2p::Framing *>(&varint), static_cast<p2p::Framing *>(&other)}) {
        const auto result = framing->decode(framing->encode(Bytes{1, 2, 3}).bytes);
        assert(result.frames.size() == 1 && result.frames[0].bytes.size() == 3 && result.remaining.empty());
    }
    Loop transport;
    assert(transport.send(Bytes{1}) && transport.stats().frames_sent == 1 && transport.endpoint_string() == "tcp://h:1");
}

// ---- Crypto.hpp, messages/

class Weak : public p2p::Crypto {
public:
    p2p::KeyPair generate_keypair() override { return {{1}, {2}}; }
    std::vector<std::uint8_t> sign(std::span<const std::uint8_t>, std::span<const std::uint8_t>) override { return {1}; }
    bool verify(std::span<const std::uint8_t>, std::span<const std::uint8_t>, std::span<const std::uint8_t>) override { return true; }
    std::vector<std::uint8_t> encrypt(std::span<const std::uint8_t> in) override { return {in.begin(), in.end()}; }
    std::vector<std::uint8_t> decrypt(std::span<const std::uint8_t> in) override { return {in.begin(), in.end()}; }
    std::vector<std::uint8_t> kdf_32(std::span<const std::uint8_t>) override { return Bytes(32); }
    std::vector<std::uint8_t> aead_encrypt(std::span<const std::uint8_t>, std::span<const std::uint8_t>, std::span<const std::uint8_t>,
                                           std::span<const std::uint8_t> plain, std::array<std::uint8_t, 16> &out_tag) override
    {
        out_tag.fill(9);
        return {plain.begin(), plain.end()};
    }
    std::vector<std::uint8_t> aead_decrypt(std::span<const std::uint8_t>, std::span<const std::uint8_t>, std::span<const std::uint8_t>,
                                           std::span<const std::uint8_t> sealed, std::span<const std::uint8_t>) override
    {
        return {sealed.begin(), sealed.end()};
    }
};

static_assert(std::is_abstract_v<p2p::Crypto> && std::is_final_v<p2p::NullCrypto> && std::is_final_v<p2p::framing::LengthPrefixVarint>);
static_assert(std::is_base_of_v<std::runtime_error, p2p::bin::Error> && same<p2p::MessageId, std::uint64_t>);
static_assert((p2p::EnvelopeFlag::Encrypted | p2p::EnvelopeFlag::AckReq) == 5U && p2p::has_flag(6, p2p::EnvelopeFlag::Compressed));
static_assert(p2p::Envelope::kMagic == 0x50325056 && p2p::msg::DiscoveryAnnounce::kMaxBytes == 512);
static_assert(same<decltype(&p2p::Envelope::decode_or_throw), p2p::Envelope (*)(View)>);
static_assert(same<decltype(&p2p::Envelope::encode), Bytes (p2p::Envelope::*)() const>);
static_assert(same<decltype(&p2p::pack::make_aad), Bytes (*)(const p2p::Envelope &)>);
static_assert(same<decltype(&p2p::pack::next_message_id), p2p::MessageId (*)()>);
static_assert(same<decltype(&p2p::msg::decode_payload_or_throw), p2p::msg::AnyMessage (*)(p2p::MessageType, View)>);
static_assert(same<p2p::msg::AnyMessage, std::variant<p2p::msg::Hello, p2p::msg::HelloAck, p2p::msg::HelloFinish, p2p::msg::Ping, p2p::msg::Pong,
                                                      p2p::msg::WalPush, p2p::msg::WalAck, p2p::msg::OutboxPull>>);
static_assert(std::is_aggregate_v<p2p::msg::Hello> && std::is_aggregate_v<p2p::msg::DiscoveryAnnounce> && std::is_aggregate_v<p2p::Envelope>);
static_assert(same<decltype(&p2p::msg::DiscoveryAnnounce::from_json), std::optional<p2p::msg::DiscoveryAnnounce> (*)(const std::string &)>);

static void program_of_messages()
{
    const p2p::msg::Hello hello{.nonce_a = 1, .ts_ms = 2, .node_id = "a", .capabilities = {{"proto", "1.0"}}, .public_key = {1, 2}};
    assert(p2p::msg::Hello::decode_or_throw(hello.encode()).capabilities.at("proto") == "1.0");
    assert(p2p::msg::OutboxPull{}.max_items == 128 && p2p::msg::Ping{}.nonce == 0);
    Weak weak;
    const auto sealed = p2p::pack::make_envelope_secure(p2p::MessageType::WalAck, p2p::msg::WalAck{3}.encode(), Bytes(32), weak, 2);
    assert(sealed.nonce[0] == 2 && sealed.nonce[8] == 0 && sealed.tag[0] == 9 && sealed.flags == 1);
    const auto acked = p2p::pack::make_envelope_secure(p2p::MessageType::WalAck, {}, Bytes(32), weak, 3, 4);
    assert(acked.flags == 5 && acked.msg_id == sealed.msg_id + 1 && p2p::pack::make_aad(acked).size() == 18);
    const auto any = p2p::msg::decode_payload_or_throw(p2p::MessageType::WalAck, sealed.payload);
    assert(std::get<p2p::msg::WalAck>(any).last_applied_seq == 3);
    p2p::bin::Writer writer;
    writer.reserve(16);
    writer.u8(1);
    writer.u16_le(2);
    writer.u32_le(3);
    writer.u64_le(4);
    writer.var_u64(300);
    writer.bytes(Bytes{5});
    writer.bytes_var(Bytes{6, 7});
    writer.str_var("x");
    p2p::bin::Reader reader{writer.out};
    reader.require(1);
    assert(reader.u8() == 1 && reader.u16_le() == 2 && reader.u32_le() == 3 && reader.u64_le() == 4 && reader.var_u64() == 300);
    assert(reader.bytes_n(1) == Bytes{5} && reader.bytes_var() == (Bytes{6, 7}) && reader.str_var() == "x");
    assert(reader.remaining() == 0 && reader.off == writer.out.size() && reader.s.size() == reader.off);
}

int main()
{
    program_of_peers();
    program_of_a_node();
    program_of_finding();
    program_of_parts();
    program_of_messages();
    return 0;
}
