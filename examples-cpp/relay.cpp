// A message to somebody who is not connected: bob passes it on from alice to carol, and cannot read it.
#include <exception>
#include <iostream>

#include <vixp2p.hpp>

#include "node.hpp"

static vixp2p_node_options apart()
{
    vixp2p_node_options options = polls();
    options.flags |= VIXP2P_FLAG_NO_PEER_EXCHANGE; // or alice and carol would hear of each other from bob, and connect
    return options;
}

int main()
try {
    Node alice("alice", apart()), bob("bob", apart()), carol("carol", apart());
    alice.connect_to(bob);
    carol.connect_to(bob);
    alice.wait_for(VIXP2P_EVENT_PEER_CONNECTED);
    carol.wait_for(VIXP2P_EVENT_PEER_CONNECTED);
    bob.wait_for(VIXP2P_EVENT_PEER_CONNECTED);
    bob.wait_for(VIXP2P_EVENT_PEER_CONNECTED);

    const vixp2p_peer_id to = carol.id();
    const std::string text = "by way of bob";
    const auto number = vixp2p::send_to(alice.get(), to, text);
    const Event got = carol.wait_for(VIXP2P_EVENT_MESSAGE);
    std::size_t len = 0;
    const char *data = static_cast<const char *>(vixp2p_event_data(got.get(), &len));
    const std::string received(data, len);
    std::cout << "carol got \"" << received << "\"\n";

    const auto end = vixp2p::ending(alice.wait_for(VIXP2P_EVENT_DELIVERED).get());
    const auto way = vixp2p::route(alice.get(), to);
    const bool by_bob = way && way->via_relay && to_hex(way->next_hop) == to_hex(bob.id());
    std::cout << "alice knows that message " << end->number << " arrived\n";
    return received == text && end->delivered() && end->number == number && by_bob ? 0 : 1;
} catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
}
