/**
 * @file PeerView.hpp
 * @brief The engine's peers as values of this module.
 */
#ifndef VIX_P2P_DETAIL_PEER_VIEW_HPP
#define VIX_P2P_DETAIL_PEER_VIEW_HPP

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>

#include <vix/p2p/Peer.hpp>
#include <vix/p2p/detail/Engine.hpp>

namespace vix::p2p::detail {

static_assert(static_cast<int>(PeerState::Connecting) == VIXP2P_PEER_CONNECTING &&
              static_cast<int>(PeerState::Handshaking) == VIXP2P_PEER_HANDSHAKING &&
              static_cast<int>(PeerState::Connected) == VIXP2P_PEER_CONNECTED && static_cast<int>(PeerState::Stale) == VIXP2P_PEER_STALE &&
              static_cast<int>(PeerState::Closed) == VIXP2P_PEER_CLOSED);
static_assert(static_cast<int>(HandshakeState::Stage::HelloSent) == VIXP2P_STAGE_HELLO_SENT &&
              static_cast<int>(HandshakeState::Stage::AckReceived) == VIXP2P_STAGE_ACK_RECEIVED &&
              static_cast<int>(HandshakeState::Stage::Finished) == VIXP2P_STAGE_FINISHED);

/** One line of the engine's list. */
inline Peer to_peer(const vixp2p_peer_info &info)
{
    const auto now = std::chrono::steady_clock::now();
    const bool has_key = (info.flags & VIXP2P_PEER_HAS_ID) != 0;
    Peer peer;
    peer.state = static_cast<PeerState>(info.state);
    if (info.endpoint[0] != '\0') {
        peer.endpoint = parse_endpoint(info.endpoint);
        peer.id = host_and_port(*peer.endpoint);
    }
    if (has_key) {
        peer.id = vixp2p::to_hex(info.id);
        peer.meta.public_key.assign(info.id.bytes, info.id.bytes + sizeof info.id.bytes);
    }
    peer.meta.secure = (info.flags & VIXP2P_PEER_SECURE) != 0;
    if (peer.meta.secure) {
        peer.meta.capabilities = {{"node_id", info.node_id}, {"proto", "2.0"}, {"transport", "tcp"}};
    }
    if (info.last_seen_ms_ago >= 0) {
        peer.meta.last_seen = now - std::chrono::milliseconds(info.last_seen_ms_ago);
    }
    if (info.stage != VIXP2P_STAGE_NONE) {
        HandshakeState handshake;
        handshake.stage = static_cast<HandshakeState::Stage>(info.stage);
        handshake.started_at = now - std::chrono::milliseconds(info.since_ms_ago);
        peer.handshake = handshake;
    }
    return peer;
}

/** The same with what a connected peer says of itself, which never replaces what is known of it. */
inline Peer to_peer(const vixp2p_node *engine, const vixp2p_peer_info &info)
{
    Peer peer = to_peer(info);
    if (peer.meta.secure) {
        std::array<vixp2p_capability_info, 32> said;
        std::size_t count = said.size();
        if (vixp2p_node_capabilities(engine, &info.id, said.data(), sizeof said[0], &count) == VIXP2P_OK) {
            for (std::size_t i = 0; i < count; ++i) {
                peer.meta.capabilities.try_emplace(said[i].name, said[i].value);
            }
        }
    }
    return peer;
}

/** The number of the system's error that is nearest to a reason. */
inline int error_number(std::string_view reason)
{
    if (reason == "refused") {
        return ECONNREFUSED;
    }
    if (reason == "timeout" || reason == "stale") {
        return ETIMEDOUT;
    }
    if (reason == "unresolved") {
        return EHOSTUNREACH;
    }
    return reason == "lost" ? ECONNRESET : ECONNABORTED;
}

/** Whether a link ended because of what came by it. */
inline bool blames_bytes(std::string_view reason)
{
    return reason == "bad_record" || reason == "protocol" || reason == "frame_too_large" || reason == "handshake_failed" ||
           reason == "bad_version" || reason == "untrusted" || reason == "revoked";
}

} // namespace vix::p2p::detail

#endif
