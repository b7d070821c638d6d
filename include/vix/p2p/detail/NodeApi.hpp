/**
 * @file NodeApi.hpp
 * @brief What <vix/p2p/Node.hpp> declares, but for the making of nodes.
 */
#ifndef VIX_P2P_DETAIL_NODE_API_HPP
#define VIX_P2P_DETAIL_NODE_API_HPP

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <vix/p2p/Peer.hpp>
#include <vixp2p.h>

namespace vix::p2p {

class Bootstrap;
class Crypto;
class Discovery;
class EdgeSync;
class Router;

struct NodeConfig {
    /** A label for people, at most 255 bytes of UTF-8. Peers see it; who a node is, is its key. */
    std::string node_id;
    /** 0: the node does not listen. */
    std::uint16_t listen_port{0};
    std::uint32_t max_peers{64};
    std::uint32_t handshake_timeout_ms{3000};
    /** Takes log lines, on the thread that calls connect() or a thread of the node, with no lock held. */
    std::function<void(std::string_view)> on_log = nullptr;

    // Beyond the C++ module:
    /** An IP address to listen on; empty: every interface. With one, listen_port 0 takes any free port. */
    std::string listen_host{};
    /** Directory for key, log and known peers; empty: all three live in memory and the key is a new one in every run. */
    std::string data_dir{};
    /** The cluster's secret, 32 bytes; nodes without it are turned away. Empty: none. */
    std::vector<std::uint8_t> psk{};
    /**
     * VIXP2P_TRUST_...; by default, trust on first use for a node with an EdgeSync, a data_dir or a psk, and else open: everybody may
     * connect, and no records are exchanged.
     */
    std::uint32_t trust{VIXP2P_TRUST_DEFAULT};
};

struct NodeStats {
    std::uint64_t peers_total{0};
    std::uint64_t peers_connected{0};
    std::uint64_t handshakes_started{0};
    std::uint64_t handshakes_completed{0};
};

/** Every function may be called from any thread, and from every function that the node calls. */
class Node {
public:
    virtual ~Node() = default;

    virtual const NodeConfig &config() const = 0;
    /**
     * Throws, and the node does not run, if the port is taken or a setting is none; also from a function that the node calls, while it is
     * being started or stopped. Does nothing on a node that runs.
     */
    virtual void start() = 0;
    /** Ends all links; start() begins anew. Called from a function that the node calls, it returns before everything has ended. */
    virtual void stop() = 0;
    virtual bool running() const = 0;
    /** Returns once the node does not run, also because it failed; at once from a function that the node calls. */
    virtual void wait() = 0;

    /**
     * Wants a link to an address, now and again after every loss, until disconnect(). Returns at once; false if the node does not run
     * or the address is none.
     */
    virtual bool connect(const PeerEndpoint &endpoint) = 0;
    /** Ends the link, and the dialling; for an id "host:port", of that address. */
    virtual void disconnect(const PeerId &id) = 0;
    /** By key, or by the "host:port" that was dialled. */
    virtual std::optional<Peer> get_peer(const PeerId &id) const = 0;
    virtual std::unordered_map<PeerId, Peer> peers_snapshot() const = 0;

    /** Started and stopped with the node, which dials whom it finds. */
    virtual void set_discovery(std::shared_ptr<Discovery> discovery) = 0;
    /** Started and stopped with the node, which dials whom it names. */
    virtual void set_bootstrap(std::shared_ptr<Bootstrap> bootstrap) = 0;
    virtual void set_router(std::shared_ptr<Router> router) = 0;
    /**
     * Best before start(): it decides whether the node trusts on first use, and one that comes later sees only records that come later.
     * Taken away (null), records wait for the next one, which gets them within half a minute.
     */
    virtual void set_edge_sync(std::shared_ptr<EdgeSync> edge_sync) = 0;
    /** Without effect: links are authenticated and sealed by the engine, whatever this is. */
    virtual void set_crypto(std::shared_ptr<Crypto> crypto) = 0;

    virtual NodeStats stats() const = 0;
};

} // namespace vix::p2p

#endif
