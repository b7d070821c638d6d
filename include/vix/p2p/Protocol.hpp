/**
 * @file Protocol.hpp
 * @brief Version and message numbers of protocol 1.0.
 */
#ifndef VIX_P2P_PROTOCOL_HPP
#define VIX_P2P_PROTOCOL_HPP

#include <cstdint>
#include <string_view>

namespace vix::p2p {

/** A protocol version; peers understand each other within one major number. */
struct ProtocolVersion {
    std::uint16_t major{1};
    std::uint16_t minor{0};

    constexpr bool operator==(const ProtocolVersion &) const = default;
    constexpr bool is_compatible_with(const ProtocolVersion &other) const { return major == other.major; }
};

/** What an envelope carries. */
enum class MessageType : std::uint16_t {
    Unknown = 0,
    Hello = 1,
    Ping = 2,
    Pong = 3,
    HelloAck = 4,
    HelloFinish = 5,
    WalPush = 10,
    WalAck = 11,
    OutboxPull = 12,
};

/** The name of a type; "Unknown" for a number that is none. */
constexpr std::string_view to_string(MessageType type)
{
    switch (type) {
    case MessageType::Hello: return "Hello";
    case MessageType::Ping: return "Ping";
    case MessageType::Pong: return "Pong";
    case MessageType::HelloAck: return "HelloAck";
    case MessageType::HelloFinish: return "HelloFinish";
    case MessageType::WalPush: return "WalPush";
    case MessageType::WalAck: return "WalAck";
    case MessageType::OutboxPull: return "OutboxPull";
    case MessageType::Unknown: break;
    }
    return "Unknown";
}

} // namespace vix::p2p

#endif
