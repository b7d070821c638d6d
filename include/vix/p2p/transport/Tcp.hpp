/**
 * @file Tcp.hpp
 * @brief The handler types of the C++ module's TCP transport.
 *
 * Its functions tcp_accept() and tcp_connect_async() take sockets of asio, which this library does not use, and are not here: links
 * are opened by Node::connect() and accepted where NodeConfig::listen_port says.
 */
#ifndef VIX_P2P_TRANSPORT_TCP_HPP
#define VIX_P2P_TRANSPORT_TCP_HPP

#include <functional>
#include <memory>
#include <system_error>

#include <vix/p2p/Peer.hpp>
#include <vix/p2p/Transport.hpp>
#include <vix/p2p/messages/Envelope.hpp>

namespace vix::p2p {

using EnvelopeHandler = std::function<void(const PeerId &, const Envelope &)>;
using TcpReadyHandler = std::function<void(PeerId, PeerEndpoint, std::shared_ptr<Transport>)>;
using TcpFailHandler = std::function<void(std::error_code)>;

} // namespace vix::p2p

#endif
