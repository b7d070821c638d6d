/**
 * @file Finding.hpp
 * @brief What a node does about once a second: dials whom its Discovery and its Bootstrap name, and hands its Router's ways on.
 */
#ifndef VIX_P2P_DETAIL_FINDING_HPP
#define VIX_P2P_DETAIL_FINDING_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <vix/p2p/Bootstrap.hpp>
#include <vix/p2p/Discovery.hpp>
#include <vix/p2p/Router.hpp>
#include <vix/p2p/detail/Engine.hpp>
#include <vix/p2p/detail/NodeApi.hpp>
#include <vix/p2p/detail/Rumours.hpp>

namespace vix::p2p::detail {

/** The addresses that the engine is dialling now, and those from where a link stands. */
inline std::unordered_set<std::string> all_dialled(const vixp2p_node *engine)
{
    std::unordered_set<std::string> endpoints;
    for (const vixp2p_target_info &target : listed<vixp2p_target_info>(engine, vixp2p_node_targets)) {
        if (target.state != VIXP2P_PEER_DISCONNECTED && target.state != VIXP2P_PEER_CLOSED) {
            endpoints.insert(target.endpoint);
        }
    }
    return endpoints;
}

inline bool is_dialled(const vixp2p_node *engine, const std::string &endpoint) { return all_dialled(engine).count(endpoint) != 0; }

/** Dials whom a node's Discovery and its Bootstrap name, and forgets whom they do no longer. */
class RumourDialer {
public:
    /** The program asked for this address itself: it is no rumour any more. Whether that is new. */
    bool claim(const std::string &endpoint)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return rumours_.claim(endpoint);
    }
    /** The program does not want this address any more. */
    void release(const std::string &endpoint)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        rumours_.release(endpoint);
    }

    void tick(const NodeConfig &config, vixp2p_node *engine, Discovery *discovery, Bootstrap *bootstrap)
    {
        const std::vector<Rumour> found = worth_a_dial(config, discovery, bootstrap);
        const std::unordered_set<std::string> dialled = all_dialled(engine);
        Rumours::Todo todo;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            todo = rumours_.step(std::chrono::steady_clock::now(), found, dialled);
        }
        for (const std::string &endpoint : todo.forget) {
            vixp2p_node_forget_endpoint(engine, endpoint.c_str());
            if (is_claimed(endpoint)) { // just now, so that the wish may have been forgotten with the rumour
                vixp2p_node_connect(engine, endpoint.c_str());
            }
        }
        for (const std::string &endpoint : todo.dial) {
            vixp2p_node_connect(engine, endpoint.c_str());
        }
    }

private:
    static std::vector<Rumour> worth_a_dial(const NodeConfig &config, Discovery *discovery, Bootstrap *bootstrap)
    {
        std::vector<Rumour> found;
        const auto offer = [&](const std::string &node_id, const PeerEndpoint &at, const std::string &transport, bool is_registered) {
            const bool is_here = at.host == "127.0.0.1" || at.host == "localhost" || at.host == "::1";
            const bool is_own = (!node_id.empty() && node_id == config.node_id) || (is_here && at.port == config.listen_port);
            if (transport == "tcp" && at.port != 0 && !at.host.empty() && !is_own) {
                found.push_back({endpoint_text(at), is_registered});
            }
        };
        if (discovery != nullptr) {
            for (const DiscoveryAnnouncement &one : discovery->snapshot()) {
                offer(one.node_id, PeerEndpoint{one.host, one.port, "tcp"}, one.transport, false);
            }
        }
        if (bootstrap != nullptr) {
            for (const BootstrapPeer &one : bootstrap->snapshot()) {
                offer(one.node_id, PeerEndpoint{one.host, one.tcp_port, "tcp"}, one.transport, true);
            }
        }
        return found;
    }

    bool is_claimed(const std::string &endpoint)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return rumours_.is_claimed(endpoint);
    }

    std::mutex mutex_;
    Rumours rumours_;
};

/** Keeps the engine's table of ways the same as a Router's. Used by one thread. */
class RoutePusher {
public:
    void tick(vixp2p_node *engine, const Router *router)
    {
        std::unordered_map<NodeId, Route> wanted = router == nullptr ? decltype(wanted){} : ways(engine, *router);
        for (const auto &[node, route] : pushed_) {
            const auto key = parse_key(node);
            if (key && wanted.find(node) == wanted.end()) {
                vixp2p_node_route_remove(engine, &*key);
            }
        }
        std::unordered_map<NodeId, Route> pushed;
        for (const auto &[node, route] : wanted) {
            const auto before = pushed_.find(node);
            const bool is_new = before == pushed_.end() || before->second.next_hop != route.next_hop || before->second.ttl != route.ttl;
            if (!is_new || push(engine, node, route)) {
                pushed.emplace(node, route);
            }
        }
        pushed_ = std::move(pushed);
    }

private:
    static std::unordered_map<NodeId, Route> ways(const vixp2p_node *engine, const Router &router)
    {
        if (const auto *memory = dynamic_cast<const MemoryRouter *>(&router)) {
            return memory->routes();
        }
        std::unordered_map<NodeId, Route> ways;
        for (const vixp2p_peer_info &info : listed<vixp2p_peer_info>(engine, vixp2p_node_peers)) {
            if ((info.flags & VIXP2P_PEER_HAS_ID) != 0) {
                const NodeId node = vixp2p::to_hex(info.id);
                if (std::optional<Route> route = router.resolve(node)) {
                    ways.insert_or_assign(node, *std::move(route));
                }
            }
        }
        return ways;
    }

    /** A way between anything but two keys is the program's own affair. */
    static bool push(vixp2p_node *engine, const NodeId &node, const Route &route)
    {
        const auto peer = parse_key(node), hop = parse_key(route.next_hop);
        const auto ttl = std::clamp<std::uint32_t>(route.ttl, 1, 8);
        return peer && hop && vixp2p_node_route_set(engine, &*peer, &*hop, ttl) == VIXP2P_OK;
    }

    std::unordered_map<NodeId, Route> pushed_;
};

} // namespace vix::p2p::detail

#endif
