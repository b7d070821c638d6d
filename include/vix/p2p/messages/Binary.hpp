/**
 * @file Binary.hpp
 * @brief Reading and writing the integers, byte strings and texts of protocol 1.0.
 */
#ifndef VIX_P2P_MESSAGES_BINARY_HPP
#define VIX_P2P_MESSAGES_BINARY_HPP

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace vix::p2p::bin {

/** Bytes that are no value. */
struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/** Reads from the front of bytes that it does not own. Never allocates for what is not there. */
struct Reader {
    std::span<const std::uint8_t> s;
    std::size_t off{0};

    explicit Reader(std::span<const std::uint8_t> bytes) : s(bytes) {}

    std::size_t remaining() const { return off < s.size() ? s.size() - off : 0; }

    /** Throws unless so many bytes are left. */
    void require(std::size_t count) const
    {
        if (count > remaining()) {
            throw Error("bin::Reader: buffer underflow");
        }
    }

    std::uint8_t u8()
    {
        require(1);
        return s[off++];
    }
    std::uint16_t u16_le() { return static_cast<std::uint16_t>(little_endian(2)); }
    std::uint32_t u32_le() { return static_cast<std::uint32_t>(little_endian(4)); }
    std::uint64_t u64_le() { return little_endian(8); }

    /** A varint of one to ten bytes, in any form; bits beyond 64 are ignored. */
    std::uint64_t var_u64()
    {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 70; shift += 7) {
            const std::uint8_t byte = u8();
            value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
            if ((byte & 0x80U) == 0) {
                return value;
            }
        }
        throw Error("bin::Reader: varint too long");
    }

    std::vector<std::uint8_t> bytes_n(std::size_t count)
    {
        require(count);
        const auto part = s.subspan(off, count);
        off += count;
        return {part.begin(), part.end()};
    }

    std::vector<std::uint8_t> bytes_var() { return bytes_n(announced("bin::Reader: bytes_var too large")); }

    std::string str_var()
    {
        const std::size_t count = announced("bin::Reader: str_var too large");
        const auto part = s.subspan(off, count);
        off += count;
        return {part.begin(), part.end()};
    }

private:
    std::uint64_t little_endian(std::size_t count)
    {
        require(count);
        std::uint64_t value = 0;
        for (std::size_t i = count; i > 0; --i) {
            value = value << 8U | s[off + i - 1];
        }
        off += count;
        return value;
    }

    std::size_t announced(const char *too_large)
    {
        const std::uint64_t count = var_u64();
        if (count > remaining()) {
            throw Error(too_large);
        }
        return static_cast<std::size_t>(count);
    }
};

/** Appends to `out`. */
struct Writer {
    std::vector<std::uint8_t> out;

    void reserve(std::size_t count) { out.reserve(count); }
    void u8(std::uint8_t value) { out.push_back(value); }
    void u16_le(std::uint16_t value) { little_endian(value, 2); }
    void u32_le(std::uint32_t value) { little_endian(value, 4); }
    void u64_le(std::uint64_t value) { little_endian(value, 8); }

    void var_u64(std::uint64_t value)
    {
        for (; value >= 0x80U; value >>= 7U) {
            out.push_back(static_cast<std::uint8_t>(value | 0x80U));
        }
        out.push_back(static_cast<std::uint8_t>(value));
    }

    void bytes(std::span<const std::uint8_t> value) { out.insert(out.end(), value.begin(), value.end()); }

    void bytes_var(std::span<const std::uint8_t> value)
    {
        var_u64(value.size());
        bytes(value);
    }

    void str_var(std::string_view value)
    {
        var_u64(value.size());
        out.insert(out.end(), value.begin(), value.end());
    }

private:
    void little_endian(std::uint64_t value, unsigned count)
    {
        for (unsigned i = 0; i < count; ++i) {
            out.push_back(static_cast<std::uint8_t>(value >> (8U * i)));
        }
    }
};

} // namespace vix::p2p::bin

namespace vix::p2p::detail {

/** Ends the reading of the named thing: nothing may remain. */
inline void finish(const bin::Reader &reader, const char *name)
{
    if (reader.remaining() != 0) {
        throw bin::Error(std::string(name) + ": trailing bytes");
    }
}

} // namespace vix::p2p::detail

#endif
