// What the examples share: nodes that stay on 127.0.0.1, and waiting that ends.
#ifndef LOOPBACK_HPP
#define LOOPBACK_HPP

#include <chrono>
#include <string>
#include <thread>

#include <vix/p2p.hpp>

using namespace vix::p2p;

inline constexpr std::chrono::seconds patience{20};

// On any free port. A program that is reached from elsewhere sets listen_port instead.
inline NodeConfig on_loopback(const char *node_id)
{
    NodeConfig config;
    config.node_id = node_id;
    config.listen_host = "127.0.0.1";
    return config;
}

inline PeerEndpoint where(const Node &node)
{
    std::uint16_t port = 0;
    vixp2p::check(vixp2p_node_port(engine_of(node), &port));
    return PeerEndpoint{"127.0.0.1", port, "tcp"};
}

template <class Holds> bool until(Holds holds)
{
    for (const auto begin = std::chrono::steady_clock::now(); !holds(); std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
        if (std::chrono::steady_clock::now() - begin > patience) {
            return false;
        }
    }
    return true;
}

#endif
