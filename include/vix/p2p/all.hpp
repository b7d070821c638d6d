/**
 * @file all.hpp
 * @brief Everything of `vix::p2p` but <vix/p2p/transport/Tcp.hpp>.
 */
#ifndef VIX_P2P_ALL_HPP
#define VIX_P2P_ALL_HPP

#include <vix/p2p/Bootstrap.hpp>
#include <vix/p2p/Crypto.hpp>
#include <vix/p2p/Discovery.hpp>
#include <vix/p2p/EdgeSync.hpp>
#include <vix/p2p/Framing.hpp>
#include <vix/p2p/Node.hpp>
#include <vix/p2p/P2P.hpp>
#include <vix/p2p/Peer.hpp>
#include <vix/p2p/Protocol.hpp>
#include <vix/p2p/Router.hpp>
#include <vix/p2p/Transport.hpp>
#include <vix/p2p/framing/LengthPrefixVarint.hpp>
#include <vix/p2p/messages/Binary.hpp>
#include <vix/p2p/messages/DiscoveryAnnounce.hpp>
#include <vix/p2p/messages/Dispatch.hpp>
#include <vix/p2p/messages/Envelope.hpp>
#include <vix/p2p/messages/Hello.hpp>
#include <vix/p2p/messages/HelloAck.hpp>
#include <vix/p2p/messages/HelloFinish.hpp>
#include <vix/p2p/messages/OutboxPull.hpp>
#include <vix/p2p/messages/Pack.hpp>
#include <vix/p2p/messages/Ping.hpp>
#include <vix/p2p/messages/Pong.hpp>
#include <vix/p2p/messages/WalAck.hpp>
#include <vix/p2p/messages/WalPush.hpp>

#endif
