/**
 * @file Pack.hpp
 * @brief From messages to envelopes, plain or sealed by a Crypto.
 */
#ifndef VIX_P2P_MESSAGES_PACK_HPP
#define VIX_P2P_MESSAGES_PACK_HPP

#include <atomic>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <vix/p2p/Crypto.hpp>
#include <vix/p2p/messages/Envelope.hpp>

namespace vix::p2p::pack {

/** 1, 2, 3 and so on, over the whole process; for any number of threads. */
inline MessageId next_message_id()
{
    static std::atomic<MessageId> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

/** What a seal covers besides the payload: version, type, id and flags, 18 bytes. */
inline std::vector<std::uint8_t> make_aad(const Envelope &envelope)
{
    bin::Writer writer;
    writer.reserve(18);
    writer.u16_le(envelope.version.major);
    writer.u16_le(envelope.version.minor);
    writer.u16_le(static_cast<std::uint16_t>(envelope.type));
    writer.u64_le(envelope.msg_id);
    writer.u32_le(envelope.flags);
    return std::move(writer.out);
}

/** Seals a payload. The counter is the nonce: never the same one twice under one key. */
inline Envelope make_envelope_secure(MessageType type, std::span<const std::uint8_t> plaintext,
                                     std::span<const std::uint8_t> session_key32, Crypto &crypto, std::uint64_t nonce_counter,
                                     std::uint32_t extra_flags = 0)
{
    Envelope envelope;
    envelope.type = type;
    envelope.msg_id = next_message_id();
    envelope.flags = extra_flags | static_cast<std::uint32_t>(EnvelopeFlag::Encrypted);
    for (unsigned i = 0; i < 8; ++i) {
        envelope.nonce[i] = static_cast<std::uint8_t>(nonce_counter >> (8U * i));
    }
    envelope.payload = crypto.aead_encrypt(session_key32, envelope.nonce, make_aad(envelope), plaintext, envelope.tag);
    return envelope;
}

/** Puts a message into an envelope as it is. */
template <class Msg> Envelope make_envelope(MessageType type, const Msg &message, std::uint32_t flags = 0)
{
    Envelope envelope;
    envelope.type = type;
    envelope.msg_id = next_message_id();
    envelope.flags = flags;
    envelope.payload = message.encode();
    return envelope;
}

} // namespace vix::p2p::pack

#endif
