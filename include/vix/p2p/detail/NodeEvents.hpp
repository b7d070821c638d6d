/**
 * @file NodeEvents.hpp
 * @brief What a node tells: the engine's events as the module's log lines, and what of them an EdgeSync is called for.
 */
#ifndef VIX_P2P_DETAIL_NODE_EVENTS_HPP
#define VIX_P2P_DETAIL_NODE_EVENTS_HPP

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <vix/p2p/detail/EdgeBridge.hpp>
#include <vix/p2p/detail/Engine.hpp>
#include <vix/p2p/detail/Log.hpp>
#include <vix/p2p/detail/PeerView.hpp>

namespace vix::p2p::detail {

/** Owned by the engine as a callback's userdata. Owns no Node, so that a callback keeps none alive. */
struct NodeEvents {
    LogFunction log;
    std::function<void()> failed;
    vixp2p::detail::Attached edge;

    void take(const vixp2p_event *event)
    {
        const InCallback inside;
        switch (vixp2p_event_get_kind(event)) {
        case VIXP2P_EVENT_PEER_CONNECTED:
            if (vixp2p_event_direction(event) == VIXP2P_DIRECTION_OUTBOUND) {
                say("connect() ready: " + where(event) + transient(event) + " peer_id=" + who(event));
            }
            break;
        case VIXP2P_EVENT_CONNECT_FAILED:
            say("connect() failed: " + where(event) + transient(event) + " ec=" + std::to_string(error_number(why(event))));
            break;
        case VIXP2P_EVENT_HANDSHAKE_FAILED:
        case VIXP2P_EVENT_PEER_DISCONNECTED:
            if (blames_bytes(why(event))) {
                say("envelope error: " + text(vixp2p_event_reason_text(event)) + " peer_id=" + who(event));
            }
            break;
        case VIXP2P_EVENT_IDENTITY_CHANGED:
            say("envelope error: " + text(vixp2p_event_text(event)) + " peer_id=" + who(event));
            break;
        case VIXP2P_EVENT_FATAL:
            failed();
            say(text(vixp2p_event_text(event)));
            break;
        default: break;
        }
        edge.guarded([&] { edge.event(event); });
    }

private:
    void say(const std::string &line) const { log_line(log, "[p2p] " + line); }

    static std::string text(const char *given) { return given == nullptr ? std::string() : std::string(given); }
    static std::string where(const vixp2p_event *event) { return text(vixp2p_event_endpoint(event)); }
    static std::string why(const vixp2p_event *event) { return text(vixp2p_event_reason(event)); }
    static std::string transient(const vixp2p_event *event)
    {
        return " transient_id=" + host_and_port(parse_endpoint(where(event)));
    }
    /** The key; the address of somebody without one. */
    static std::string who(const vixp2p_event *event)
    {
        vixp2p_peer_id id{};
        return vixp2p_event_peer(event, &id) == VIXP2P_OK ? vixp2p::to_hex(id) : host_and_port(parse_endpoint(where(event)));
    }
};

extern "C" inline void vix_p2p_on_event(void *userdata, const vixp2p_event *event)
{
    static_cast<NodeEvents *>(userdata)->take(event);
}

extern "C" inline void vix_p2p_drop_events(void *userdata) { delete static_cast<NodeEvents *>(userdata); }

/** Has an engine that was just made tell its events and offer its records; failed is called when it cannot go on. */
inline void listen_to(vixp2p_node *engine, const LogFunction &log, const std::shared_ptr<EdgeBridge> &bridge, std::function<void()> failed)
{
    // The library owns userdata from the call on, even if that fails.
    const vixp2p_apply_callback apply{vixp2p::detail::vixp2p_hpp_on_apply, new vixp2p::detail::Attached{engine, bridge},
                                      vixp2p::detail::vixp2p_hpp_drop};
    vixp2p::check(vixp2p_node_set_apply_callback(engine, &apply));
    const vixp2p_event_callback events{vix_p2p_on_event, new NodeEvents{log, std::move(failed), {engine, bridge}}, vix_p2p_drop_events};
    vixp2p::check(vixp2p_node_set_event_callback(engine, &events));
}

} // namespace vix::p2p::detail

#endif
