/**
 * @file Pong.hpp
 * @brief The answer to a Ping.
 */
#ifndef VIX_P2P_MESSAGES_PONG_HPP
#define VIX_P2P_MESSAGES_PONG_HPP

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <vix/p2p/messages/Binary.hpp>

namespace vix::p2p::msg {

/** Carries the nonce of the Ping. */
struct Pong {
    std::uint64_t nonce{0};

    std::vector<std::uint8_t> encode() const
    {
        bin::Writer writer;
        writer.u64_le(nonce);
        return std::move(writer.out);
    }

    static Pong decode_or_throw(std::span<const std::uint8_t> bytes)
    {
        bin::Reader reader(bytes);
        Pong message;
        message.nonce = reader.u64_le();
        detail::finish(reader, "Pong");
        return message;
    }
};

} // namespace vix::p2p::msg

#endif
