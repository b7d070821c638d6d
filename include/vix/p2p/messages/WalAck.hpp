/**
 * @file WalAck.hpp
 * @brief How far a log has been applied.
 */
#ifndef VIX_P2P_MESSAGES_WAL_ACK_HPP
#define VIX_P2P_MESSAGES_WAL_ACK_HPP

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <vix/p2p/messages/Binary.hpp>

namespace vix::p2p::msg {

/** Everything up to this record has been applied. */
struct WalAck {
    std::uint64_t last_applied_seq{0};

    std::vector<std::uint8_t> encode() const
    {
        bin::Writer writer;
        writer.u64_le(last_applied_seq);
        return std::move(writer.out);
    }

    static WalAck decode_or_throw(std::span<const std::uint8_t> bytes)
    {
        bin::Reader reader(bytes);
        WalAck message;
        message.last_applied_seq = reader.u64_le();
        detail::finish(reader, "WalAck");
        return message;
    }
};

} // namespace vix::p2p::msg

#endif
