/**
 * @file HelloAck.hpp
 * @brief The second message of the 1.0 handshake.
 */
#ifndef VIX_P2P_MESSAGES_HELLO_ACK_HPP
#define VIX_P2P_MESSAGES_HELLO_ACK_HPP

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <vix/p2p/messages/Binary.hpp>

namespace vix::p2p::msg {

/** The responder answers a Hello. */
struct HelloAck {
    std::uint64_t nonce_a{0};
    std::uint64_t nonce_b{0};
    std::vector<std::uint8_t> public_key;

    std::vector<std::uint8_t> encode() const
    {
        bin::Writer writer;
        writer.var_u64(nonce_a);
        writer.var_u64(nonce_b);
        writer.bytes_var(public_key);
        return std::move(writer.out);
    }

    static HelloAck decode_or_throw(std::span<const std::uint8_t> bytes)
    {
        bin::Reader reader(bytes);
        HelloAck message;
        message.nonce_a = reader.var_u64();
        message.nonce_b = reader.var_u64();
        message.public_key = reader.bytes_var();
        detail::finish(reader, "HelloAck");
        return message;
    }
};

} // namespace vix::p2p::msg

#endif
