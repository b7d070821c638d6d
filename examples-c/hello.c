/* Two nodes meet over 127.0.0.1, prove to each other who they are, and print whom they met. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vixp2p.h>

static void must(vixp2p_status status)
{
    if (status < 0) {
        fprintf(stderr, "%s\n", vixp2p_last_error_message());
        exit(1);
    }
}

static vixp2p_node *start_node(const char *name)
{
    vixp2p_node_options options = VIXP2P_NODE_OPTIONS_INIT;
    vixp2p_node *node;
    options.node_id = name;
    options.listen = VIXP2P_LISTEN_ON;
    options.listen_host = "127.0.0.1"; /* listen_port stays 0: any free port */
    options.delivery = VIXP2P_DELIVERY_POLL;
    must(vixp2p_node_create(&options, &node));
    must(vixp2p_node_start(node));
    return node;
}

/* Waits up to ten seconds for the peer and prints it. */
static vixp2p_peer_id meet(vixp2p_node *node, const char *name)
{
    for (;;) {
        vixp2p_event *event;
        vixp2p_status status = vixp2p_node_wait_event(node, 10000, &event);
        must(status);
        if (status == VIXP2P_TIMEOUT) {
            fprintf(stderr, "%s met nobody\n", name);
            exit(1);
        }
        if (vixp2p_event_get_kind(event) == VIXP2P_EVENT_PEER_CONNECTED) {
            vixp2p_peer_id peer;
            char hex[VIXP2P_PEER_ID_HEX_SIZE];
            must(vixp2p_event_peer(event, &peer));
            must(vixp2p_peer_id_to_hex(&peer, hex, sizeof hex));
            printf("%s met %s, %s\n", name, vixp2p_event_node_id(event), hex);
            vixp2p_event_free(event);
            return peer;
        }
        vixp2p_event_free(event);
    }
}

int main(void)
{
    vixp2p_node *alice = start_node("alice"), *bob = start_node("bob");
    vixp2p_peer_id met, bobs;
    char address[32];
    uint16_t port;

    must(vixp2p_node_port(alice, &port));
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
    must(vixp2p_node_connect(bob, address));
    meet(bob, "bob");
    met = meet(alice, "alice");
    must(vixp2p_node_id(bob, &bobs));
    vixp2p_node_destroy(bob);
    vixp2p_node_destroy(alice);
    return memcmp(&met, &bobs, sizeof met) == 0 ? 0 : 1;
}
