// Two nodes find each other by announcements, here to a multicast group on the loopback interface only.
#include <future>
#include <iostream>

#include "loopback.hpp"

int main()
{
    const auto a = make_tcp_node(on_loopback("node-a"));
    a->start();

    DiscoveryConfig config;
    config.self_node_id = "node-a";
    config.self_tcp_port = where(*a).port;
    config.discovery_port = 37120;
    config.mode = DiscoveryMode::Multicast;
    config.announce_interval_ms = 200;
    config.interfaces = "lo";
    const auto tells = make_udp_discovery(config, nullptr);

    std::promise<DiscoveryAnnouncement> found;
    config.self_node_id = "node-b";
    config.self_tcp_port = 0; // only listens
    const auto listens = make_udp_discovery(config, [&, once = false](const DiscoveryAnnouncement &announcement) mutable {
        if (!once && announcement.node_id == "node-a") {
            once = true;
            found.set_value(announcement);
        }
    });
    listens->start();
    tells->start();
    auto finding = found.get_future();
    if (finding.wait_for(patience) != std::future_status::ready) {
        std::cout << "node-a was not found\n";
        return 1;
    }
    const DiscoveryAnnouncement announcement = finding.get();
    std::cout << "found " << announcement.node_id << " at " << announcement.transport << ", "
              << (announcement.port == where(*a).port ? "its own port" : "another port") << '\n';
    listens->stop();
    tells->stop();
    a->stop();
    return announcement.host.empty() ? 1 : 0;
}
