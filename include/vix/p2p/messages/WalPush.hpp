/**
 * @file WalPush.hpp
 * @brief Records of a log.
 */
#ifndef VIX_P2P_MESSAGES_WAL_PUSH_HPP
#define VIX_P2P_MESSAGES_WAL_PUSH_HPP

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <vix/p2p/messages/Binary.hpp>

namespace vix::p2p::msg {

/** Records seq_begin to seq_end, both inclusive. Whether the numbers make sense is for the reader to judge. */
struct WalPush {
    std::uint64_t seq_begin{0};
    std::uint64_t seq_end{0};
    std::vector<std::uint8_t> wal_bytes;

    std::vector<std::uint8_t> encode() const
    {
        bin::Writer writer;
        writer.u64_le(seq_begin);
        writer.u64_le(seq_end);
        writer.bytes_var(wal_bytes);
        return std::move(writer.out);
    }

    static WalPush decode_or_throw(std::span<const std::uint8_t> bytes)
    {
        bin::Reader reader(bytes);
        WalPush message;
        message.seq_begin = reader.u64_le();
        message.seq_end = reader.u64_le();
        message.wal_bytes = reader.bytes_var();
        detail::finish(reader, "WalPush");
        return message;
    }
};

} // namespace vix::p2p::msg

#endif
