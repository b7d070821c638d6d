/**
 * @file Hello.hpp
 * @brief The first message of the 1.0 handshake.
 */
#ifndef VIX_P2P_MESSAGES_HELLO_HPP
#define VIX_P2P_MESSAGES_HELLO_HPP

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <vix/p2p/messages/Binary.hpp>

namespace vix::p2p::msg {

/** The initiator introduces itself. */
struct Hello {
    std::uint64_t nonce_a{0};
    std::uint64_t ts_ms{0};
    std::string node_id;
    std::unordered_map<std::string, std::string> capabilities;
    std::vector<std::uint8_t> public_key;

    /** Capabilities are written in the map's order, which is not the same everywhere. */
    std::vector<std::uint8_t> encode() const
    {
        bin::Writer writer;
        writer.var_u64(nonce_a);
        writer.var_u64(ts_ms);
        writer.str_var(node_id);
        writer.var_u64(capabilities.size());
        for (const auto &[key, value] : capabilities) {
            writer.str_var(key);
            writer.str_var(value);
        }
        writer.bytes_var(public_key);
        return std::move(writer.out);
    }

    /** Of two capabilities with one key the first counts. */
    static Hello decode_or_throw(std::span<const std::uint8_t> bytes)
    {
        bin::Reader reader(bytes);
        Hello message;
        message.nonce_a = reader.var_u64();
        message.ts_ms = reader.var_u64();
        message.node_id = reader.str_var();
        for (std::uint64_t left = reader.var_u64(); left > 0; --left) {
            std::string key = reader.str_var();
            message.capabilities.try_emplace(std::move(key), reader.str_var());
            if (message.capabilities.size() > capabilities_max) {
                throw bin::Error("Hello: too many capabilities");
            }
        }
        message.public_key = reader.bytes_var();
        detail::finish(reader, "Hello");
        return message;
    }

private:
    /** A pair costs two bytes on the wire and some hundred in the map. */
    static constexpr std::size_t capabilities_max = 4096;
};

} // namespace vix::p2p::msg

#endif
