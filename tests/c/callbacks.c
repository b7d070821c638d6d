/* Callbacks on the node's own thread: what they get, what they may call, and when their userdata is let go. */
#include "check.h"

#include <pthread.h>

/* What callbacks report, with a bell for the main thread. */
typedef struct Seen {
    pthread_mutex_t lock;
    pthread_cond_t bell;
    vixp2p_node *node;
    int lines, connected, messages, drops;
    int destroy_on_message;
} Seen;

static void count(Seen *seen, int *what)
{
    pthread_mutex_lock(&seen->lock);
    ++*what;
    pthread_cond_broadcast(&seen->bell);
    pthread_mutex_unlock(&seen->lock);
}

static void wait_until(Seen *seen, const int *what, int least)
{
    pthread_mutex_lock(&seen->lock);
    while (*what < least) {
        struct timespec until;
        CHECK(timespec_get(&until, TIME_UTC) == TIME_UTC);
        until.tv_sec += PATIENCE_MS / 1000;
        CHECK(pthread_cond_timedwait(&seen->bell, &seen->lock, &until) == 0);
    }
    pthread_mutex_unlock(&seen->lock);
}

static void on_log(void *userdata, const vixp2p_log_record *record)
{
    CHECK(record->struct_size >= sizeof(vixp2p_log_record));
    CHECK(strlen(record->message) == record->message_len);
    CHECK(record->level >= VIXP2P_LOG_TRACE && record->level <= VIXP2P_LOG_CRITICAL);
    count((Seen *)userdata, &((Seen *)userdata)->lines);
}

static void on_event(void *userdata, const vixp2p_event *event)
{
    Seen *seen = (Seen *)userdata;
    if (vixp2p_event_get_kind(event) == VIXP2P_EVENT_PEER_CONNECTED) {
        /* Waiting for oneself is refused, not deadlocked. */
        CHECK_FAILS(VIXP2P_ERR_WOULD_DEADLOCK, vixp2p_node_stop(seen->node, -1));
        count(seen, &seen->connected);
    }
}

static void on_message(void *userdata, const vixp2p_peer_id *peer, const void *data, size_t len)
{
    Seen *seen = (Seen *)userdata;
    CHECK(len == 2 && memcmp(data, "hi", 2) == 0);
    if (seen->destroy_on_message) {
        vixp2p_node_destroy(seen->node);
        CHECK_FAILS(VIXP2P_ERR_BAD_HANDLE, vixp2p_node_send(seen->node, peer, data, len));
    }
    count(seen, &seen->messages);
}

static void on_drop(void *userdata)
{
    count((Seen *)userdata, &((Seen *)userdata)->drops);
}

static vixp2p_node *observed(const char *name, Seen *seen)
{
    vixp2p_node_options options = loopback(name, VIXP2P_DELIVERY_CALLBACK);
    options.log_level = VIXP2P_LOG_TRACE;
    options.log.fn = on_log;
    options.event.fn = on_event;
    options.message.fn = on_message;
    options.log.userdata = options.event.userdata = options.message.userdata = seen;
    options.log.drop = options.event.drop = options.message.drop = on_drop;
    CHECK(vixp2p_node_create(&options, &seen->node) == VIXP2P_OK);
    CHECK(vixp2p_node_start(seen->node) == VIXP2P_OK);
    return seen->node;
}

static void prepare(Seen *seen)
{
    memset(seen, 0, sizeof *seen);
    CHECK(pthread_mutex_init(&seen->lock, NULL) == 0);
    CHECK(pthread_cond_init(&seen->bell, NULL) == 0);
}

int main(void)
{
    static Seen a, b, other;
    vixp2p_event_callback callback = {on_event, &other, on_drop};
    vixp2p_node_options bad = loopback("bad", VIXP2P_DELIVERY_CALLBACK);
    vixp2p_node *node = NULL;
    vixp2p_peer_id id_a, id_b;

    prepare(&a);
    prepare(&b);
    prepare(&other);
    observed("a", &a);
    observed("b", &b);
    CHECK(vixp2p_node_id(a.node, &id_a) == VIXP2P_OK);
    CHECK(vixp2p_node_id(b.node, &id_b) == VIXP2P_OK);
    connect_to(b.node, a.node);
    wait_until(&a, &a.connected, 1);
    wait_until(&b, &b.connected, 1);
    CHECK(vixp2p_node_send(b.node, &id_a, "hi", 2) == VIXP2P_OK);
    wait_until(&a, &a.messages, 1);

    /* The one who calls back may destroy the node; its userdata is let go exactly once each, afterwards. */
    b.destroy_on_message = 1;
    CHECK(vixp2p_node_send(a.node, &id_b, "hi", 2) == VIXP2P_OK);
    wait_until(&b, &b.drops, 3);
    CHECK(b.messages == 1);

    /* A replaced callback lets go of its userdata, a refused node too. */
    CHECK(vixp2p_node_set_event_callback(a.node, &callback) == VIXP2P_OK);
    wait_until(&a, &a.drops, 1);
    vixp2p_node_destroy(a.node);
    CHECK(a.drops == 3 && other.drops == 1);
    bad.event = callback;
    bad.listen_port = 65536;
    CHECK_FAILS(VIXP2P_ERR_INVALID, vixp2p_node_create(&bad, &node));
    CHECK(node == NULL && other.drops == 2);
    CHECK(a.lines > 0 && b.drops == 3);
    return 0;
}
