/*
 * Two nodes in one process over loopback: one with callbacks, one that polls. Messages both ways, records from each to the
 * other, then the end. No sleeping: every wait is for an event, with a limit.
 *
 * Compiles as C99 and as C++11. Needs the library and pthread.
 */
#include <vixp2p.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_MS 30000
#define RECORDS 100

#define CHECK(condition)                                                                         \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            const char *why = vixp2p_last_error_message();                                       \
            fprintf(stderr, "%s:%d: %s is false; last error: %s\n", __FILE__, __LINE__, #condition, why ? why : "none"); \
            exit(1);                                                                             \
        }                                                                                        \
    } while (0)

/* What the callbacks of a node have seen. */
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t change;
    unsigned started, connected, stopped, messages, records, lines, drops;
    char last_message[64];
};

static void seen_init(struct seen *seen)
{
    memset(seen, 0, sizeof *seen);
    CHECK(pthread_mutex_init(&seen->lock, NULL) == 0);
    CHECK(pthread_cond_init(&seen->change, NULL) == 0);
}

static void on_event(void *userdata, const vixp2p_event *event)
{
    struct seen *seen = (struct seen *)userdata;
    pthread_mutex_lock(&seen->lock);
    switch (vixp2p_event_get_kind(event)) {
    case VIXP2P_EVENT_STARTED: seen->started++; break;
    case VIXP2P_EVENT_PEER_CONNECTED: seen->connected++; break;
    case VIXP2P_EVENT_STOPPED: seen->stopped++; break;
    default: break;
    }
    pthread_cond_broadcast(&seen->change);
    pthread_mutex_unlock(&seen->lock);
}

static void on_message(void *userdata, const vixp2p_peer_id *peer, const void *data, size_t len)
{
    struct seen *seen = (struct seen *)userdata;
    CHECK(peer != NULL && len < sizeof seen->last_message);
    pthread_mutex_lock(&seen->lock);
    memcpy(seen->last_message, data, len);
    seen->last_message[len] = '\0';
    seen->messages++;
    pthread_cond_broadcast(&seen->change);
    pthread_mutex_unlock(&seen->lock);
}

static int32_t on_apply(void *userdata, const vixp2p_record *record)
{
    struct seen *seen = (struct seen *)userdata;
    char expected[32];
    snprintf(expected, sizeof expected, "record %u", (unsigned)record->seq);
    pthread_mutex_lock(&seen->lock);
    CHECK(record->seq == seen->records + 1);
    CHECK(record->len == strlen(expected) && memcmp(record->data, expected, record->len) == 0);
    seen->records++;
    pthread_cond_broadcast(&seen->change);
    pthread_mutex_unlock(&seen->lock);
    return VIXP2P_APPLY_OK;
}

static void on_log(void *userdata, const vixp2p_log_record *record)
{
    struct seen *seen = (struct seen *)userdata;
    CHECK(record->struct_size >= sizeof *record && strlen(record->message) == record->message_len);
    pthread_mutex_lock(&seen->lock);
    seen->lines++;
    pthread_mutex_unlock(&seen->lock);
}

static void on_drop(void *userdata)
{
    struct seen *seen = (struct seen *)userdata;
    pthread_mutex_lock(&seen->lock);
    seen->drops++;
    pthread_mutex_unlock(&seen->lock);
}

/* Waits until a counter of the callbacks has reached a number. */
static void await(struct seen *seen, const unsigned *counter, unsigned number)
{
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&seen->lock);
    while (*counter < number)
        CHECK(pthread_cond_timedwait(&seen->change, &seen->lock, &limit) == 0);
    pthread_mutex_unlock(&seen->lock);
}

/* Takes events until one of that kind comes; the caller frees it. */
static vixp2p_event *until(vixp2p_node *node, vixp2p_event_kind kind)
{
    for (;;) {
        vixp2p_event *event = NULL;
        CHECK(vixp2p_node_wait_event(node, PATIENCE_MS, &event) == VIXP2P_OK);
        if (vixp2p_event_get_kind(event) == kind)
            return event;
        vixp2p_event_free(event);
    }
}

static void set_all(vixp2p_node_options *options, struct seen *seen)
{
    options->log.fn = on_log;
    options->event.fn = on_event;
    options->message.fn = on_message;
    options->apply.fn = on_apply;
    options->log.userdata = options->event.userdata = options->message.userdata = options->apply.userdata = seen;
    options->log.drop = options->event.drop = options->message.drop = options->apply.drop = on_drop;
}

/* A node whose own thread calls back. */
static vixp2p_node *create_calling(struct seen *seen)
{
    vixp2p_node_options options = VIXP2P_NODE_OPTIONS_INIT;
    vixp2p_node *node = NULL;
    options.node_id = "calling";
    options.trust = VIXP2P_TRUST_TOFU;
    options.listen = VIXP2P_LISTEN_ON;
    options.listen_host = "127.0.0.1";
    set_all(&options, seen);
    CHECK(vixp2p_node_create(&options, &node) == VIXP2P_OK && node != NULL);
    return node;
}

/* A node whose events this program takes. */
static vixp2p_node *create_polled(struct seen *seen)
{
    vixp2p_node_options options;
    vixp2p_node *node = NULL;
    CHECK(vixp2p_node_options_init(&options, sizeof options) == VIXP2P_OK);
    options.node_id = "polled";
    options.trust = VIXP2P_TRUST_TOFU;
    options.delivery = VIXP2P_DELIVERY_POLL;
    set_all(&options, seen);
    CHECK(vixp2p_node_create(&options, &node) == VIXP2P_OK && node != NULL);
    return node;
}

static void append_records(vixp2p_node *node)
{
    unsigned i;
    for (i = 1; i <= RECORDS; i++) {
        char text[32];
        uint64_t seq = 0;
        int len = snprintf(text, sizeof text, "record %u", i);
        CHECK(vixp2p_node_append(node, text, (size_t)len, &seq) == VIXP2P_OK && seq == i);
    }
}

static void replicate(vixp2p_node *calling, struct seen *calls, vixp2p_node *polled, struct seen *polls)
{
    uint64_t applied = 0;
    append_records(calling);
    append_records(polled);
    await(calls, &calls->records, RECORDS);
    /* The polled node's records are applied here, on this thread, while it waits. */
    while (polls->records < RECORDS) {
        vixp2p_event *event = NULL;
        struct pollfd readable;
        readable.fd = vixp2p_node_event_fd(polled);
        readable.events = POLLIN;
        CHECK(readable.fd >= 0 && poll(&readable, 1, PATIENCE_MS) == 1);
        if (vixp2p_node_next_event(polled, &event) == VIXP2P_OK) {
            if (vixp2p_event_get_kind(event) == VIXP2P_EVENT_ACKED)
                applied = vixp2p_event_applied(event);
            vixp2p_event_free(event);
        }
    }
    while (applied < RECORDS) {
        vixp2p_event *event = until(polled, VIXP2P_EVENT_ACKED);
        applied = vixp2p_event_applied(event);
        vixp2p_event_free(event);
    }
}

static void exchange(vixp2p_node *calling, struct seen *calls, vixp2p_node *polled)
{
    vixp2p_peer_id id, from;
    vixp2p_event *event;
    const void *data;
    size_t len = 0, queued = 0;

    CHECK(vixp2p_node_id(calling, &id) == VIXP2P_OK);
    CHECK(vixp2p_node_send(polled, &id, "ping", 4) == VIXP2P_OK);
    await(calls, &calls->messages, 1);
    CHECK(strcmp(calls->last_message, "ping") == 0);

    CHECK(vixp2p_node_broadcast(calling, "pong", 4, &queued) == VIXP2P_OK && queued == 1);
    event = until(polled, VIXP2P_EVENT_MESSAGE);
    data = vixp2p_event_data(event, &len);
    CHECK(len == 4 && memcmp(data, "pong", 4) == 0);
    CHECK(vixp2p_event_peer(event, &from) == VIXP2P_OK && memcmp(&from, &id, sizeof id) == 0);
    vixp2p_event_free(event);
}

int main(void)
{
    struct seen calls, polls;
    vixp2p_node *calling, *polled;
    vixp2p_event *event;
    uint16_t port = 0;
    char endpoint[32];
    vixp2p_stats stats;

    CHECK(VIXP2P_CHECK_ABI());
    CHECK(strcmp(vixp2p_version(), VIXP2P_VERSION) == 0 && vixp2p_version_number() == VIXP2P_VERSION_NUMBER);
    seen_init(&calls);
    seen_init(&polls);
    calling = create_calling(&calls);
    polled = create_polled(&polls);

    CHECK(vixp2p_node_start(calling) == VIXP2P_OK && vixp2p_node_start(polled) == VIXP2P_OK);
    CHECK(vixp2p_node_start(polled) == VIXP2P_ALREADY);
    await(&calls, &calls.started, 1);
    CHECK(vixp2p_node_port(calling, &port) == VIXP2P_OK && port != 0);
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", (unsigned)port);
    CHECK(vixp2p_node_connect(polled, endpoint) == VIXP2P_OK);
    event = until(polled, VIXP2P_EVENT_PEER_CONNECTED);
    CHECK(strcmp(vixp2p_event_node_id(event), "calling") == 0);
    CHECK(vixp2p_event_direction(event) == VIXP2P_DIRECTION_OUTBOUND);
    vixp2p_event_free(event);
    await(&calls, &calls.connected, 1);

    exchange(calling, &calls, polled);
    replicate(calling, &calls, polled, &polls);
    CHECK(vixp2p_node_stats(polled, &stats, sizeof stats) == VIXP2P_OK);
    CHECK(stats.peers_connected == 1 && stats.records_appended == RECORDS);
    CHECK(stats.records_applied == RECORDS);

    CHECK(vixp2p_node_stop(calling, -1) == VIXP2P_OK);
    await(&calls, &calls.stopped, 1);
    vixp2p_event_free(until(polled, VIXP2P_EVENT_PEER_DISCONNECTED));
    CHECK(vixp2p_node_dispatch(polled, 1, NULL) >= VIXP2P_OK);
    vixp2p_node_destroy(calling);
    vixp2p_node_destroy(polled);
    CHECK(calls.drops == 4 && polls.drops == 4);
    CHECK(calls.lines > 0 && polls.lines > 0);
    CHECK(vixp2p_node_stop(calling, 0) == VIXP2P_ERR_BAD_HANDLE);
    return 0;
}
