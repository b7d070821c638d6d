/**
 * @file LengthPrefixVarint.hpp
 * @brief Frames of protocol 1.0: a varint with the length, then the payload.
 */
#ifndef VIX_P2P_FRAMING_LENGTH_PREFIX_VARINT_HPP
#define VIX_P2P_FRAMING_LENGTH_PREFIX_VARINT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <vix/p2p/Framing.hpp>
#include <vix/p2p/messages/Binary.hpp>

namespace vix::p2p::framing {

/**
 * No frame is longer than a limit: encode() refuses to write one, and decode() throws bin::Error as soon as a length announces one, or
 * is no length, so that nobody waits for what cannot come. What decode() gives takes at most some 24 times the bytes it is given
 * (empty frames cost one byte each); how much it is given at a time is the caller's choice.
 */
class LengthPrefixVarint final : public Framing {
public:
    /** The longest payload unless the constructor is told another one: what the engine sends as one message. */
    static constexpr std::size_t kMaxFrameBytes = 16U << 20U;

    LengthPrefixVarint() = default;
    explicit LengthPrefixVarint(std::size_t max_frame_bytes) : max_(max_frame_bytes) {}

    Frame encode(std::span<const std::uint8_t> payload) override
    {
        check(payload.size());
        bin::Writer writer;
        writer.reserve(payload.size() + varint_max);
        writer.bytes_var(payload);
        return Frame{std::move(writer.out)};
    }

    FrameDecodeResult decode(std::span<const std::uint8_t> buffer) override
    {
        FrameDecodeResult result;
        while (has_length(buffer)) {
            bin::Reader reader(buffer);
            const std::uint64_t length = reader.var_u64();
            check(length);
            if (reader.remaining() < length) {
                break;
            }
            result.frames.push_back(Frame{reader.bytes_n(static_cast<std::size_t>(length))});
            buffer = buffer.subspan(reader.off);
        }
        result.remaining.assign(buffer.begin(), buffer.end());
        return result;
    }

private:
    static constexpr std::size_t varint_max = 10;

    /** Whether a varint ends here, well or badly. */
    static bool has_length(std::span<const std::uint8_t> buffer)
    {
        for (const std::uint8_t byte : buffer.first(std::min(buffer.size(), varint_max))) {
            if ((byte & 0x80U) == 0) {
                return true;
            }
        }
        return buffer.size() >= varint_max;
    }

    void check(std::uint64_t length) const
    {
        if (length > max_) {
            throw bin::Error("LengthPrefixVarint: length overflow");
        }
    }

    std::size_t max_{kMaxFrameBytes};
};

} // namespace vix::p2p::framing

#endif
