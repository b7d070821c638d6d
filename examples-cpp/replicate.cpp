// Alice appends records to her log; bob's node brings each to his apply callback, in order; alice learns that he has them.
#include <cstdint>
#include <exception>
#include <iostream>

#include "node.hpp"

static const std::uint64_t RECORDS = 5;

// Runs on a thread of bob's node, one record at a time. No exception may leave it.
static std::int32_t apply(void *userdata, const vixp2p_record *record) noexcept
{
    std::uint64_t &last = *static_cast<std::uint64_t *>(userdata);
    if (record->seq != last + 1) {
        return VIXP2P_APPLY_RETRY;
    }
    last = record->seq;
    std::cout << "bob applies " << record->seq << ": " << std::string(static_cast<const char *>(record->data), record->len) << '\n';
    return VIXP2P_APPLY_OK;
}

int main()
try {
    std::uint64_t applied_by_bob = 0, seq = 0, acknowledged = 0;
    vixp2p_node_options applies = VIXP2P_NODE_OPTIONS_INIT;
    applies.apply.fn = apply;
    applies.apply.userdata = &applied_by_bob;
    {
        Node alice("alice", polls()), bob("bob", applies);
        while (seq < RECORDS) {
            const std::string text = "entry " + std::to_string(seq + 1);
            must(vixp2p_node_append(alice.get(), text.data(), text.size(), &seq)); // durable when it returns
        }
        bob.connect_to(alice);
        while (acknowledged < RECORDS) {
            acknowledged = vixp2p_event_applied(alice.wait_for(VIXP2P_EVENT_ACKED).get());
        }
    } // no callback runs from here on
    std::cout << "alice knows that bob applied " << acknowledged << '\n';
    return applied_by_bob == RECORDS ? 0 : 1;
} catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
}
