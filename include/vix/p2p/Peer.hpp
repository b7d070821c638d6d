/**
 * @file Peer.hpp
 * @brief Who is at the other end of a link, and how the link stands.
 */
#ifndef VIX_P2P_PEER_HPP
#define VIX_P2P_PEER_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace vix::p2p {

/** A peer's key as 64 hex digits; "host:port" while nobody has proved a key there. */
using PeerId = std::string;

/** Where a peer stands. */
enum class PeerState : std::uint8_t {
    Disconnected = 0,
    Connecting,
    Handshaking,
    Connected,
    Stale,
    Closed,
};

/** Where a peer is reached. An empty scheme means "tcp". */
struct PeerEndpoint {
    std::string host;
    std::uint16_t port{0};
    std::string scheme;
};

/**
 * What is known about a peer. session_key_32 stays empty and the counters at their start: keys and counters of a link never leave
 * the engine.
 */
struct PeerMetadata {
    std::unordered_map<std::string, std::string> capabilities;
    std::chrono::steady_clock::time_point last_seen{};
    std::vector<std::uint8_t> public_key;
    /** Both sides have proved their keys, and the link is sealed. */
    bool secure{false};
    std::vector<std::uint8_t> session_key_32;
    std::uint64_t send_nonce_counter{1};
    std::uint64_t recv_nonce_max{0};
    std::uint64_t recv_nonce_window{0};
};

/** How far a handshake has come. The nonces are the engine's own and stay 0 here. */
struct HandshakeState {
    enum class Stage {
        None,
        HelloSent,
        HelloReceived,
        AckSent,
        AckReceived,
        Finished,
    };
    Stage stage{Stage::None};
    std::uint64_t nonce_a{0};
    std::uint64_t nonce_b{0};
    std::uint64_t ts_ms{0};
    std::chrono::steady_clock::time_point started_at{};
};

/** One line of the peer list. */
struct Peer {
    PeerId id;
    PeerState state{PeerState::Disconnected};
    std::optional<PeerEndpoint> endpoint{};
    PeerMetadata meta{};
    std::optional<HandshakeState> handshake{};

    bool is_connected() const { return state == PeerState::Connected; }
};

} // namespace vix::p2p

#endif
