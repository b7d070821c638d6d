// The little RAII that the examples share: a node that ends with its scope, events that free themselves, failures as exceptions.
#ifndef NODE_HPP
#define NODE_HPP

#include <memory>
#include <stdexcept>
#include <string>

#include <vixp2p.h>

inline void must(vixp2p_status status)
{
    if (status < 0) {
        throw std::runtime_error(vixp2p_last_error_message());
    }
}

struct FreeEvent {
    void operator()(vixp2p_event *event) const { vixp2p_event_free(event); }
};
using Event = std::unique_ptr<vixp2p_event, FreeEvent>;

inline std::string to_hex(const vixp2p_peer_id &id)
{
    char hex[VIXP2P_PEER_ID_HEX_SIZE];
    must(vixp2p_peer_id_to_hex(&id, hex, sizeof hex));
    return hex;
}

class Node {
public:
    // Listens on any free port of 127.0.0.1. Options may bring callbacks.
    explicit Node(const std::string &name, vixp2p_node_options options = VIXP2P_NODE_OPTIONS_INIT)
    {
        options.node_id = name.c_str();
        options.listen = VIXP2P_LISTEN_ON;
        options.listen_host = "127.0.0.1";
        if (options.trust == VIXP2P_TRUST_DEFAULT) {
            options.trust = VIXP2P_TRUST_TOFU; // records go to trusted peers only: here, to the first key of each name
        }
        must(vixp2p_node_create(&options, &node_));
        must(vixp2p_node_start(node_));
    }
    Node(const Node &) = delete;
    Node &operator=(const Node &) = delete;
    ~Node() { vixp2p_node_destroy(node_); }

    vixp2p_node *get() const { return node_; }

    vixp2p_peer_id id() const
    {
        vixp2p_peer_id id;
        must(vixp2p_node_id(node_, &id));
        return id;
    }

    void connect_to(const Node &other)
    {
        uint16_t port = 0;
        must(vixp2p_node_port(other.node_, &port));
        must(vixp2p_node_connect(node_, ("127.0.0.1:" + std::to_string(port)).c_str()));
    }

    // The next event of that kind, within ten seconds. For nodes made with polls().
    Event wait_for(vixp2p_event_kind kind)
    {
        for (;;) {
            vixp2p_event *taken = nullptr;
            must(vixp2p_node_wait_event(node_, 10000, &taken));
            Event event(taken);
            if (!event) {
                throw std::runtime_error("nothing came");
            }
            if (vixp2p_event_get_kind(event.get()) == kind) {
                return event;
            }
        }
    }

private:
    vixp2p_node *node_ = nullptr;
};

inline vixp2p_node_options polls()
{
    vixp2p_node_options options = VIXP2P_NODE_OPTIONS_INIT;
    options.delivery = VIXP2P_DELIVERY_POLL;
    return options;
}

#endif
