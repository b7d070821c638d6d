/**
 * @file Router.hpp
 * @brief By which neighbour a node is reached.
 */
#ifndef VIX_P2P_ROUTER_HPP
#define VIX_P2P_ROUTER_HPP

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace vix::p2p {

using NodeId = std::string;

/** The way to a node. */
struct Route {
    std::string next_hop;
    bool via_relay{false};
    std::uint8_t ttl{8};
};

/**
 * A table of routes between keys. A node that has one asks it, about once a second, for the ways to the nodes it knows (a MemoryRouter:
 * for all), and hands them to the engine. Called from several threads once a node has it.
 */
class Router {
public:
    virtual ~Router() = default;
    virtual void upsert_route(const NodeId &node, const Route &route) = 0;
    virtual void remove_route(const NodeId &node) = 0;
    virtual std::optional<Route> resolve(const NodeId &node) const = 0;
};

/** Keeps routes in memory, as many as the program puts in; for any number of threads. */
class MemoryRouter final : public Router {
public:
    MemoryRouter() = default;
    MemoryRouter(const MemoryRouter &other) : Router(other), routes_(other.routes()) {}
    MemoryRouter &operator=(const MemoryRouter &other)
    {
        auto routes = other.routes();
        std::lock_guard<std::mutex> lock(mutex_);
        routes_.swap(routes);
        return *this;
    }

    void upsert_route(const NodeId &node, const Route &route) override
    {
        std::lock_guard<std::mutex> lock(mutex_);
        routes_.insert_or_assign(node, route);
    }
    void remove_route(const NodeId &node) override
    {
        std::lock_guard<std::mutex> lock(mutex_);
        routes_.erase(node);
    }
    std::optional<Route> resolve(const NodeId &node) const override
    {
        std::lock_guard<std::mutex> lock(mutex_);
        const auto found = routes_.find(node);
        return found == routes_.end() ? std::nullopt : std::optional<Route>(found->second);
    }
    /** Beyond the C++ module: all of them. */
    std::unordered_map<NodeId, Route> routes() const
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return routes_;
    }

private:
    mutable std::mutex mutex_;
    std::unordered_map<NodeId, Route> routes_;
};

} // namespace vix::p2p

#endif
