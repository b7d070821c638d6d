// A node asks a registry over HTTP for others and dials whom it names. The registry is a few lines of this program.
#include <iostream>

#include "loopback.hpp"
#include "registry.hpp"

int main()
{
    const auto a = make_tcp_node(on_loopback("node-a"));
    a->start();
    Registry registry("{\"peers\":[{\"node_id\":\"node-a\",\"host\":\"127.0.0.1\",\"tcp_port\":" + std::to_string(where(*a).port) + "}]}");

    BootstrapConfig config;
    config.self_node_id = "node-b";
    config.registry_url = registry.url();
    config.poll_interval_ms = 200;
    const auto b = make_tcp_node(on_loopback("node-b"));
    b->set_bootstrap(make_http_bootstrap(config, [](const BootstrapPeer &peer) { std::cout << "named: " << peer.node_id << '\n'; }));
    b->start();
    const bool met = until([&] { return b->stats().peers_connected == 1; });
    std::cout << (met ? "node-b is connected to node-a\n" : "nobody came\n");
    b->stop();
    a->stop();
    return met ? 0 : 1;
}
