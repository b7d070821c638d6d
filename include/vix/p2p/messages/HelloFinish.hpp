/**
 * @file HelloFinish.hpp
 * @brief The third message of the 1.0 handshake.
 */
#ifndef VIX_P2P_MESSAGES_HELLO_FINISH_HPP
#define VIX_P2P_MESSAGES_HELLO_FINISH_HPP

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <vix/p2p/messages/Binary.hpp>

namespace vix::p2p::msg {

/** The initiator signs both nonces. */
struct HelloFinish {
    std::uint64_t nonce_a{0};
    std::uint64_t nonce_b{0};
    std::vector<std::uint8_t> signature;

    std::vector<std::uint8_t> encode() const
    {
        bin::Writer writer;
        writer.var_u64(nonce_a);
        writer.var_u64(nonce_b);
        writer.bytes_var(signature);
        return std::move(writer.out);
    }

    static HelloFinish decode_or_throw(std::span<const std::uint8_t> bytes)
    {
        bin::Reader reader(bytes);
        HelloFinish message;
        message.nonce_a = reader.var_u64();
        message.nonce_b = reader.var_u64();
        message.signature = reader.bytes_var();
        detail::finish(reader, "HelloFinish");
        return message;
    }
};

} // namespace vix::p2p::msg

#endif
