// Two nodes meet over 127.0.0.1, prove to each other who they are, and print whom they met.
#include <exception>
#include <iostream>

#include "node.hpp"

static std::string meet(Node &node, const std::string &name)
{
    const Event event = node.wait_for(VIXP2P_EVENT_PEER_CONNECTED);
    vixp2p_peer_id peer;
    must(vixp2p_event_peer(event.get(), &peer));
    std::cout << name << " met " << vixp2p_event_node_id(event.get()) << ", " << to_hex(peer) << '\n';
    return to_hex(peer);
}

int main()
try {
    Node alice("alice", polls()), bob("bob", polls());
    bob.connect_to(alice);
    const bool ok = meet(bob, "bob") == to_hex(alice.id());
    return meet(alice, "alice") == to_hex(bob.id()) && ok ? 0 : 1;
} catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
}
