/* Alice appends records to her log; bob's node brings each to his apply callback, in order; alice learns that he has them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <vixp2p.h>

enum { RECORDS = 5 };

static void must(vixp2p_status status)
{
    if (status < 0) {
        fprintf(stderr, "%s\n", vixp2p_last_error_message());
        exit(1);
    }
}

/* Runs on a thread of bob's node, one record at a time. */
static int32_t apply(void *userdata, const vixp2p_record *record)
{
    uint64_t *last = userdata;
    if (record->seq != *last + 1) {
        return VIXP2P_APPLY_RETRY;
    }
    *last = record->seq;
    printf("bob applies %" PRIu64 ": %.*s\n", record->seq, (int)record->len, (const char *)record->data);
    return VIXP2P_APPLY_OK;
}

static vixp2p_node *start_node(vixp2p_node_options options, const char *name)
{
    vixp2p_node *node;
    options.node_id = name;
    options.listen = VIXP2P_LISTEN_ON;
    options.trust = VIXP2P_TRUST_TOFU; /* records go to trusted peers only: here, to the first key of each name */
    options.listen_host = "127.0.0.1"; /* with data_dir set, identity and log would outlive the process */
    must(vixp2p_node_create(&options, &node));
    must(vixp2p_node_start(node));
    return node;
}

int main(void)
{
    vixp2p_node_options polls = VIXP2P_NODE_OPTIONS_INIT, applies = VIXP2P_NODE_OPTIONS_INIT;
    vixp2p_node *alice, *bob;
    uint64_t applied_by_bob = 0, seq = 0, acknowledged = 0;
    char text[32];
    uint16_t port;

    polls.delivery = VIXP2P_DELIVERY_POLL;
    applies.apply.fn = apply;
    applies.apply.userdata = &applied_by_bob;
    alice = start_node(polls, "alice");
    bob = start_node(applies, "bob");
    while (seq < RECORDS) {
        int len = snprintf(text, sizeof text, "entry %" PRIu64, seq + 1);
        must(vixp2p_node_append(alice, text, (size_t)len, &seq)); /* durable when it returns */
    }
    must(vixp2p_node_port(alice, &port));
    snprintf(text, sizeof text, "127.0.0.1:%u", (unsigned)port);
    must(vixp2p_node_connect(bob, text));
    while (acknowledged < RECORDS) {
        vixp2p_event *event;
        must(vixp2p_node_wait_event(alice, 10000, &event));
        if (event == NULL) {
            fprintf(stderr, "bob acknowledged %" PRIu64 " of %d\n", acknowledged, RECORDS);
            exit(1);
        }
        if (vixp2p_event_get_kind(event) == VIXP2P_EVENT_ACKED) {
            acknowledged = vixp2p_event_applied(event);
        }
        vixp2p_event_free(event);
    }
    vixp2p_node_destroy(bob); /* no callback runs from here on */
    vixp2p_node_destroy(alice);
    printf("alice knows that bob applied %" PRIu64 "\n", acknowledged);
    return applied_by_bob == RECORDS ? 0 : 1;
}
