// Two nodes, one of which dials the other: authenticated by key and sealed, without further settings.
#include <future>
#include <iostream>

#include "loopback.hpp"

int main()
{
    std::promise<void> ready;
    NodeConfig config = on_loopback("node-b");
    config.on_log = [&](std::string_view line) {
        if (line.find("ready") != std::string_view::npos) {
            ready.set_value();
        }
    };
    P2PRuntime a(make_tcp_node(on_loopback("node-a"))), b(make_tcp_node(config));
    a.start();
    if (!b.connect(where(*a.node())) || ready.get_future().wait_for(patience) != std::future_status::ready) {
        return 1;
    }
    for (const auto &[id, peer] : b.node()->peers_snapshot()) {
        std::cout << "connected to " << id.substr(0, 8) << ", " << peer.meta.capabilities.at("node_id") << ", "
                  << (peer.meta.secure ? "secure" : "not secure") << '\n';
    }
    const RuntimeStats stats = b.runtime_stats();
    std::cout << "peers_connected=" << stats.peers_connected << " handshakes_completed=" << stats.handshakes_completed
              << " connect_attempts=" << stats.connect.connect_attempts << '\n';
    b.stop();
    a.stop();
    return stats.peers_connected == 1 ? 0 : 1;
}
