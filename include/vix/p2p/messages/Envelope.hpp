/**
 * @file Envelope.hpp
 * @brief What is around every message of protocol 1.0.
 */
#ifndef VIX_P2P_MESSAGES_ENVELOPE_HPP
#define VIX_P2P_MESSAGES_ENVELOPE_HPP

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <vix/p2p/Protocol.hpp>
#include <vix/p2p/messages/Binary.hpp>

namespace vix::p2p {

/** Bits of Envelope::flags. Only Encrypted changes the layout; unknown bits are kept. */
enum class EnvelopeFlag : std::uint32_t {
    None = 0,
    Encrypted = 1,
    Compressed = 2,
    AckReq = 4,
};

constexpr std::uint32_t operator|(EnvelopeFlag a, EnvelopeFlag b)
{
    return static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b);
}

constexpr bool has_flag(std::uint32_t flags, EnvelopeFlag flag) { return (flags & static_cast<std::uint32_t>(flag)) != 0; }

using MessageId = std::uint64_t;

struct Envelope {
    ProtocolVersion version{1, 0};
    MessageType type{MessageType::Unknown};
    MessageId msg_id{0};
    std::uint32_t flags{0};
    /** On the wire only where the payload is encrypted, like tag. */
    std::array<std::uint8_t, 12> nonce{};
    std::array<std::uint8_t, 16> tag{};
    std::vector<std::uint8_t> payload;

    /** "VP2P" in little-endian order. */
    static constexpr std::uint32_t kMagic = 0x50325056;

    std::vector<std::uint8_t> encode() const
    {
        bin::Writer writer;
        writer.reserve(60 + payload.size());
        writer.u32_le(kMagic);
        writer.u16_le(version.major);
        writer.u16_le(version.minor);
        writer.u16_le(static_cast<std::uint16_t>(type));
        writer.u64_le(msg_id);
        writer.u32_le(flags);
        if (has_flag(flags, EnvelopeFlag::Encrypted)) {
            writer.bytes(nonce);
            writer.bytes(tag);
        }
        writer.bytes_var(payload);
        return std::move(writer.out);
    }

    /** Throws bin::Error for bytes that are no envelope of major version 1. */
    static Envelope decode_or_throw(std::span<const std::uint8_t> bytes)
    {
        bin::Reader reader(bytes);
        if (reader.u32_le() != kMagic) {
            throw bin::Error("Envelope: bad magic");
        }
        Envelope envelope;
        envelope.version.major = reader.u16_le();
        envelope.version.minor = reader.u16_le();
        envelope.type = static_cast<MessageType>(reader.u16_le());
        envelope.msg_id = reader.u64_le();
        envelope.flags = reader.u32_le();
        if (has_flag(envelope.flags, EnvelopeFlag::Encrypted)) {
            std::ranges::copy(reader.bytes_n(envelope.nonce.size()), envelope.nonce.begin());
            std::ranges::copy(reader.bytes_n(envelope.tag.size()), envelope.tag.begin());
        }
        envelope.payload = reader.bytes_var();
        if (!envelope.version.is_compatible_with(ProtocolVersion{})) {
            throw bin::Error("Envelope: incompatible version");
        }
        detail::finish(reader, "Envelope");
        return envelope;
    }
};

} // namespace vix::p2p

#endif
