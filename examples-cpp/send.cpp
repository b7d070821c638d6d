// Messages: one there, one back, one to everybody.
#include <exception>
#include <iostream>

#include "node.hpp"

static void send(Node &from, const Node &to, const std::string &text)
{
    const vixp2p_peer_id peer = to.id();
    must(vixp2p_node_send(from.get(), &peer, text.data(), text.size()));
}

static std::string receive(Node &node, const std::string &name)
{
    const Event event = node.wait_for(VIXP2P_EVENT_MESSAGE);
    std::size_t len = 0;
    const char *data = static_cast<const char *>(vixp2p_event_data(event.get(), &len));
    const std::string text(data, len);
    std::cout << name << " got \"" << text << "\"\n";
    return text;
}

int main()
try {
    Node alice("alice", polls()), bob("bob", polls());
    bob.connect_to(alice);
    alice.wait_for(VIXP2P_EVENT_PEER_CONNECTED);
    bob.wait_for(VIXP2P_EVENT_PEER_CONNECTED);

    send(bob, alice, "are you there?");
    bool ok = receive(alice, "alice") == "are you there?";
    send(alice, bob, "here");
    ok = receive(bob, "bob") == "here" && ok;
    const std::string all = "to whom it may concern";
    std::size_t queued = 0;
    must(vixp2p_node_broadcast(bob.get(), all.data(), all.size(), &queued));
    return receive(alice, "alice") == all && queued == 1 && ok ? 0 : 1;
} catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
}
