/* Messages: one there, one back, one to everybody. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vixp2p.h>

static void must(vixp2p_status status)
{
    if (status != VIXP2P_OK) {
        fprintf(stderr, "%s\n", status < 0 ? vixp2p_last_error_message() : vixp2p_status_str(status));
        exit(1);
    }
}

static vixp2p_node *start_node(const char *name)
{
    vixp2p_node_options options = VIXP2P_NODE_OPTIONS_INIT;
    vixp2p_node *node;

    options.node_id = name;
    options.listen = VIXP2P_LISTEN_ON;
    options.listen_host = "127.0.0.1";
    options.delivery = VIXP2P_DELIVERY_POLL;
    must(vixp2p_node_create(&options, &node));
    must(vixp2p_node_start(node));
    return node;
}

/* The next event of that kind, within ten seconds. */
static vixp2p_event *wait_for(vixp2p_node *node, vixp2p_event_kind kind)
{
    for (;;) {
        vixp2p_event *event;
        must(vixp2p_node_wait_event(node, 10000, &event));
        if (vixp2p_event_get_kind(event) == kind) {
            return event;
        }
        vixp2p_event_free(event);
    }
}

/* Whether the next message to the node is this one. */
static int receives(vixp2p_node *node, const char *name, const char *expected)
{
    size_t len;
    vixp2p_event *event = wait_for(node, VIXP2P_EVENT_MESSAGE);
    const char *data = vixp2p_event_data(event, &len);
    int same = len == strlen(expected) && memcmp(data, expected, len) == 0;
    printf("%s got \"%.*s\"\n", name, (int)len, data);
    vixp2p_event_free(event);
    return same;
}

int main(void)
{
    vixp2p_node *alice = start_node("alice"), *bob = start_node("bob");
    vixp2p_peer_id alices, bobs;
    char address[32];
    uint16_t port;
    size_t queued;
    int ok = 1;

    must(vixp2p_node_port(alice, &port));
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
    must(vixp2p_node_connect(bob, address));
    vixp2p_event_free(wait_for(alice, VIXP2P_EVENT_PEER_CONNECTED));
    vixp2p_event_free(wait_for(bob, VIXP2P_EVENT_PEER_CONNECTED));
    must(vixp2p_node_id(alice, &alices));
    must(vixp2p_node_id(bob, &bobs));

    must(vixp2p_node_send(bob, &alices, "are you there?", 14));
    ok &= receives(alice, "alice", "are you there?");
    must(vixp2p_node_send(alice, &bobs, "here", 4));
    ok &= receives(bob, "bob", "here");
    must(vixp2p_node_broadcast(bob, "to whom it may concern", 22, &queued));
    ok &= receives(alice, "alice", "to whom it may concern") && queued == 1;
    vixp2p_node_destroy(bob);
    vixp2p_node_destroy(alice);
    return ok ? 0 : 1;
}
