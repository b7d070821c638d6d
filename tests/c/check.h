/* What the C tests share. Every test is compiled as C and as C++. Waits are bounded; nothing sleeps. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vixp2p.h>

#ifndef CHECK_STREAM
#define CHECK_STREAM stderr
#endif

/* Longer than anything here takes, under valgrind too. */
#define PATIENCE_MS 60000

#define CHECK(truth)                                                                              \
    do {                                                                                          \
        if (!(truth)) {                                                                           \
            const char *last_ = vixp2p_last_error_message();                                      \
            fprintf(CHECK_STREAM, "%s:%d: not so: %s; last error: %s\n", __FILE__, __LINE__, #truth,    \
                    last_ ? last_ : "none");                                                      \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* A call that must fail in this way and say so. */
#define CHECK_FAILS(status, call)                                      \
    do {                                                               \
        CHECK((call) == (status));                                     \
        CHECK(vixp2p_last_error_code() == (status));                   \
        CHECK(strncmp(vixp2p_last_error_message(), "vixp2p_", 7) == 0); \
    } while (0)

/* Options of a node on a free port of 127.0.0.1. */
static inline vixp2p_node_options loopback(const char *name, int32_t delivery)
{
    vixp2p_node_options options;
    CHECK(vixp2p_node_options_init(&options, sizeof options) == VIXP2P_OK);
    options.node_id = name;
    options.listen = VIXP2P_LISTEN_ON;
    options.listen_host = "127.0.0.1";
    options.delivery = delivery;
    options.trust = VIXP2P_TRUST_TOFU;
    return options;
}

static inline vixp2p_node *create_and_start(const vixp2p_node_options *options)
{
    vixp2p_node *node = NULL;
    CHECK(vixp2p_node_create(options, &node) == VIXP2P_OK);
    CHECK(node != NULL);
    CHECK(vixp2p_node_start(node) == VIXP2P_OK);
    return node;
}

static inline vixp2p_node *polled(const char *name)
{
    vixp2p_node_options options = loopback(name, VIXP2P_DELIVERY_POLL);
    return create_and_start(&options);
}

/* Takes events until one is of that kind; the caller frees it. */
static inline vixp2p_event *wait_for(vixp2p_node *node, vixp2p_event_kind kind)
{
    for (;;) {
        vixp2p_event *event = NULL;
        CHECK(vixp2p_node_wait_event(node, PATIENCE_MS, &event) == VIXP2P_OK);
        if (vixp2p_event_get_kind(event) == kind) {
            return event;
        }
        vixp2p_event_free(event);
    }
}

static inline void connect_to(vixp2p_node *from, const vixp2p_node *to)
{
    char endpoint[32];
    uint16_t port = 0;
    CHECK(vixp2p_node_port(to, &port) == VIXP2P_OK);
    CHECK(port != 0);
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", (unsigned)port);
    CHECK(vixp2p_node_connect(from, endpoint) == VIXP2P_OK);
}

/* Connects two nodes that poll and waits until both know. */
static inline void join_polled(vixp2p_node *a, vixp2p_node *b)
{
    connect_to(b, a);
    vixp2p_event_free(wait_for(a, VIXP2P_EVENT_PEER_CONNECTED));
    vixp2p_event_free(wait_for(b, VIXP2P_EVENT_PEER_CONNECTED));
}

#endif
