/**
 * @file Finding.hpp
 * @brief What a node does about once a second: dials whom its Discovery and its Bootstrap name, and hands its Router's ways on.
 */
#ifndef VIX_P2P_DETAIL_FINDING_HPP
#define VIX_P2P_DETAIL_FINDING_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <vix/p2p/Bootstrap.hpp>
#include <vix/p2p/Discovery.hpp>
#include <vix/p2p/Router.hpp>
#include <vix/p2p/detail/Engine.hpp>
#include <vix/p2p/detail/NodeApi.hpp>

namespace vix::p2p::detail {

/** Whether the engine is dialling an address now, or a link from there stands. */
inline bool is_dialled(const vixp2p_node *engine, const std::string &endpoint)
{
    const std::vector<vixp2p_target_info> targets = listed<vixp2p_target_info>(engine, vixp2p_node_targets);
    return std::any_of(targets.begin(), targets.end(), [&](const vixp2p_target_info &target) {
        return endpoint == target.endpoint && target.state != VIXP2P_PEER_DISCONNECTED && target.state != VIXP2P_PEER_CLOSED;
    });
}

/** Dials rumours: few at a time, each seldom, and no longer than somebody repeats them. */
class RumourDialer {
public:
    /** The program asked for this address itself: it is no rumour any more. */
    void claim(const std::string &endpoint)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        dialled_.erase(endpoint);
    }

    void tick(const NodeConfig &config, vixp2p_node *engine, Discovery *discovery, Bootstrap *bootstrap)
    {
        const auto now = std::chrono::steady_clock::now();
        const std::vector<std::string> found = worth_a_dial(config, discovery, bootstrap);
        std::vector<std::string> dial, forget;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            for (auto at = dialled_.begin(); at != dialled_.end();) {
                const bool is_repeated = std::find(found.begin(), found.end(), at->first) != found.end();
                if (!is_repeated) {
                    forget.push_back(at->first);
                }
                at = is_repeated ? std::next(at) : dialled_.erase(at);
            }
            for (const std::string &endpoint : found) {
                const auto before = dialled_.find(endpoint);
                const bool is_due = before == dialled_.end() || now - before->second >= cooldown;
                if (is_due && dial.size() < dials_max && dialled_.size() < rumours_max && !is_dialled(engine, endpoint)) {
                    dialled_.insert_or_assign(endpoint, now);
                    dial.push_back(endpoint);
                }
            }
        }
        for (const std::string &endpoint : forget) {
            vixp2p_node_forget_endpoint(engine, endpoint.c_str());
        }
        for (const std::string &endpoint : dial) {
            vixp2p_node_connect(engine, endpoint.c_str());
        }
    }

private:
    static std::vector<std::string> worth_a_dial(const NodeConfig &config, Discovery *discovery, Bootstrap *bootstrap)
    {
        std::vector<std::string> found;
        const auto offer = [&](const std::string &node_id, const PeerEndpoint &at, const std::string &transport) {
            const bool is_here = at.host == "127.0.0.1" || at.host == "localhost" || at.host == "::1";
            const bool is_own = (!node_id.empty() && node_id == config.node_id) || (is_here && at.port == config.listen_port);
            if (transport == "tcp" && at.port != 0 && !at.host.empty() && !is_own) {
                found.push_back(endpoint_text(at));
            }
        };
        if (discovery != nullptr) {
            for (const DiscoveryAnnouncement &one : discovery->snapshot()) {
                offer(one.node_id, PeerEndpoint{one.host, one.port, "tcp"}, one.transport);
            }
        }
        if (bootstrap != nullptr) {
            for (const BootstrapPeer &one : bootstrap->snapshot()) {
                offer(one.node_id, PeerEndpoint{one.host, one.tcp_port, "tcp"}, one.transport);
            }
        }
        return found;
    }

    static constexpr std::chrono::seconds cooldown{12};
    static constexpr std::size_t dials_max = 8;
    static constexpr std::size_t rumours_max = 1024;

    std::mutex mutex_;
    std::unordered_map<std::string, std::chrono::steady_clock::time_point> dialled_;
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
