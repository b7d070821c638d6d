/**
 * @file OutboxPull.hpp
 * @brief A question for what waits for a node.
 */
#ifndef VIX_P2P_MESSAGES_OUTBOX_PULL_HPP
#define VIX_P2P_MESSAGES_OUTBOX_PULL_HPP

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vix/p2p/messages/Binary.hpp>

namespace vix::p2p::msg {

/** Asks for at most max_items items that wait for a node. */
struct OutboxPull {
    std::string target_node_id;
    std::uint32_t max_items{128};

    std::vector<std::uint8_t> encode() const
    {
        bin::Writer writer;
        writer.str_var(target_node_id);
        writer.u32_le(max_items);
        return std::move(writer.out);
    }

    static OutboxPull decode_or_throw(std::span<const std::uint8_t> bytes)
    {
        bin::Reader reader(bytes);
        OutboxPull message;
        message.target_node_id = reader.str_var();
        message.max_items = reader.u32_le();
        detail::finish(reader, "OutboxPull");
        return message;
    }
};

} // namespace vix::p2p::msg

#endif
