/**
 * @file Node.hpp
 * @brief One participant of the network: its settings, its interface, and the one there is.
 */
#ifndef VIX_P2P_NODE_HPP
#define VIX_P2P_NODE_HPP

#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include <vix/p2p/detail/Log.hpp>
#include <vix/p2p/detail/NodeApi.hpp>
#include <vix/p2p/detail/TcpNode.hpp>

namespace vix::p2p {

/** A node over TCP. It ends with its last reference. */
inline std::shared_ptr<Node> make_tcp_node(NodeConfig config) { return std::make_shared<detail::TcpNode>(std::move(config)); }

/**
 * Beyond the C++ module: the engine's node, for messages, records and everything else that vixp2p.h offers. NULL before the first
 * start(), and for a node that make_tcp_node() did not make. Valid as long as the Node; not to be destroyed, nor its callbacks for
 * events and records replaced.
 */
inline vixp2p_node *engine_of(const Node &node)
{
    const auto *ours = dynamic_cast<const detail::TcpNode *>(&node);
    return ours == nullptr ? nullptr : ours->engine();
}

/** Has the log lines of every node of the process go to a function as well. It is called on several threads at the same time. */
inline void set_global_log_sink(std::function<void(std::string_view)> sink) { detail::GlobalLog::the().set(std::move(sink)); }

inline void clear_global_log_sink() { detail::GlobalLog::the().set(nullptr); }

} // namespace vix::p2p

#endif
