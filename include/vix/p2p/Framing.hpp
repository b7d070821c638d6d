/**
 * @file Framing.hpp
 * @brief Cutting a stream of bytes into frames.
 */
#ifndef VIX_P2P_FRAMING_HPP
#define VIX_P2P_FRAMING_HPP

#include <cstdint>
#include <span>
#include <vector>

namespace vix::p2p {

/** From encode(): the bytes for the wire. From decode(): a payload. */
struct Frame {
    std::vector<std::uint8_t> bytes;
};

/** Whole payloads in order, and the beginning of one that is not whole yet. */
struct FrameDecodeResult {
    std::vector<Frame> frames;
    std::vector<std::uint8_t> remaining;
};

class Framing {
public:
    virtual ~Framing() = default;
    virtual Frame encode(std::span<const std::uint8_t> payload) = 0;
    virtual FrameDecodeResult decode(std::span<const std::uint8_t> buffer) = 0;
};

} // namespace vix::p2p

#endif
