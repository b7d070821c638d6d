// What a node tells its network about itself, as JSON.
#include <iostream>

#include <vix/p2p.hpp>

using namespace vix::p2p;

int main()
{
    msg::DiscoveryAnnounce announce;
    announce.node_id = "node-a";
    announce.tcp_port = 9001;
    announce.ts_ms = 1710000000000;
    announce.nonce = 987654321;
    announce.capabilities["proto"] = "1.0";

    const std::string json = announce.to_json();
    std::cout << json << '\n';

    const auto read = msg::DiscoveryAnnounce::from_json(json);
    const auto refused = msg::DiscoveryAnnounce::from_json("{\"node_id\":\"node-a\",\"tcp_port\":0,\"ts_ms\":1,\"nonce\":2}");
    std::cout << (read ? read->node_id : "nobody") << " listens on " << (read ? read->tcp_port : 0) << "; port 0 is "
              << (refused ? "taken" : "refused") << '\n';
    return read && read->tcp_port == 9001 && !refused ? 0 : 1;
}
