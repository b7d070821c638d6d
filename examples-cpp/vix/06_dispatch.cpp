// From a type and a payload to the message, and what becomes of bytes that are none.
#include <iostream>

#include <vix/p2p.hpp>

using namespace vix::p2p;

struct Names {
    std::string operator()(const msg::Ping &ping) const { return "Ping " + std::to_string(ping.nonce); }
    std::string operator()(const msg::WalPush &push) const { return "WalPush up to " + std::to_string(push.seq_end); }
    template <class Other> std::string operator()(const Other &) const { return "something else"; }
};

int main()
{
    for (const Envelope &envelope : {pack::make_envelope(MessageType::Ping, msg::Ping{7}),
                                     pack::make_envelope(MessageType::WalPush, msg::WalPush{10, 12, {1, 2, 3}}),
                                     pack::make_envelope(MessageType::OutboxPull, msg::OutboxPull{"node-b", 64})}) {
        std::cout << std::visit(Names{}, msg::decode_payload_or_throw(envelope.type, envelope.payload)) << '\n';
    }
    try {
        msg::decode_payload_or_throw(MessageType::Ping, std::vector<std::uint8_t>(9));
    } catch (const bin::Error &error) {
        std::cout << error.what() << '\n';
        return 0;
    }
    return 1;
}
