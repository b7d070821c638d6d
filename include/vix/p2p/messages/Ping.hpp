/**
 * @file Ping.hpp
 * @brief A question of life.
 */
#ifndef VIX_P2P_MESSAGES_PING_HPP
#define VIX_P2P_MESSAGES_PING_HPP

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <vix/p2p/messages/Binary.hpp>

namespace vix::p2p::msg {

/** Asks whether the peer lives; it answers with the same nonce. */
struct Ping {
    std::uint64_t nonce{0};

    std::vector<std::uint8_t> encode() const
    {
        bin::Writer writer;
        writer.u64_le(nonce);
        return std::move(writer.out);
    }

    static Ping decode_or_throw(std::span<const std::uint8_t> bytes)
    {
        bin::Reader reader(bytes);
        Ping message;
        message.nonce = reader.u64_le();
        detail::finish(reader, "Ping");
        return message;
    }
};

} // namespace vix::p2p::msg

#endif
