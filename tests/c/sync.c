/* Following logs, barriers, acknowledgements and lag: every function, called as it should be and as it should not. */
#include "check.h"

#include <poll.h>

#define BAD VIXP2P_ERR_BAD_HANDLE
#define INVALID VIXP2P_ERR_INVALID

static int readable(int fd, int wait_ms)
{
    struct pollfd watched;
    watched.fd = fd;
    watched.events = POLLIN;
    watched.revents = 0;
    return poll(&watched, 1, wait_ms) == 1;
}

static void expect(vixp2p_subscription *subscription, uint64_t seq, const char *text)
{
    const vixp2p_record *record = NULL;
    CHECK(vixp2p_subscription_next(subscription, PATIENCE_MS, &record) == VIXP2P_OK);
    CHECK(record->struct_size == sizeof *record && record->seq == seq);
    CHECK(record->len == strlen(text) && memcmp(record->data, text, record->len) == 0);
}

static void nothing(vixp2p_node *node)
{
    vixp2p_subscription *none = (vixp2p_subscription *)node;
    const vixp2p_record *record = (const vixp2p_record *)node;
    vixp2p_log_id log;
    size_t count = 0;
    memset(&log, 0, sizeof log);
    CHECK_FAILS(BAD, vixp2p_node_flush(NULL, NULL));
    CHECK_FAILS(BAD, vixp2p_node_wait_ack(NULL, &log, 1, NULL, 1, VIXP2P_ACK_DURABLE, 0, NULL));
    CHECK_FAILS(BAD, vixp2p_node_sync_status(NULL, NULL, 0, &count));
    CHECK_FAILS(BAD, vixp2p_node_append_records(NULL, NULL, 0, &log, NULL, NULL));
    CHECK_FAILS(BAD, vixp2p_node_subscribe(NULL, NULL, 0, VIXP2P_SUBSCRIBE_ALL, &none));
    CHECK(none == NULL);
    CHECK_FAILS(BAD, vixp2p_subscription_next(NULL, 0, &record));
    CHECK(record == NULL);
    CHECK_FAILS(BAD, vixp2p_subscription_next((vixp2p_subscription *)node, 0, &record));
    CHECK(vixp2p_subscription_fd(NULL) == -1);
    CHECK_FAILS(BAD, vixp2p_subscription_cursor(NULL, NULL, &count));
    vixp2p_subscription_free(NULL);
}

static void subscribing(vixp2p_node *node)
{
    vixp2p_subscription *all = NULL, *some = NULL, *other = NULL;
    const vixp2p_record *record = NULL;
    vixp2p_cursor cursor, places[4];
    size_t count = 0;
    int fd;

    memset(&cursor, 0, sizeof cursor);
    CHECK(vixp2p_node_own_log(node, &cursor.log) == VIXP2P_OK);
    cursor.seq = 2;
    CHECK_FAILS(INVALID, vixp2p_node_subscribe(node, NULL, 0, 0, &all));
    CHECK_FAILS(INVALID, vixp2p_node_subscribe(node, NULL, 1, 0, &all));
    CHECK_FAILS(INVALID, vixp2p_node_subscribe(node, NULL, 0, VIXP2P_SUBSCRIBE_NEW, &all));
    CHECK_FAILS(INVALID, vixp2p_node_subscribe(node, NULL, 0, VIXP2P_SUBSCRIBE_ALL, NULL));
    CHECK_FAILS(VIXP2P_ERR_UNSUPPORTED, vixp2p_node_subscribe(node, NULL, 0, 1u << 9, &all));
    CHECK(vixp2p_node_append(node, "one", 3, NULL) == VIXP2P_OK);
    CHECK(vixp2p_node_append(node, "two", 3, NULL) == VIXP2P_OK);
    CHECK(vixp2p_node_subscribe(node, NULL, 0, VIXP2P_SUBSCRIBE_ALL, &all) == VIXP2P_OK);
    CHECK(vixp2p_node_subscribe(node, &cursor, 1, 0, &some) == VIXP2P_OK);
    CHECK(vixp2p_node_subscribe(node, NULL, 0, VIXP2P_SUBSCRIBE_ALL | VIXP2P_SUBSCRIBE_NEW, &other) == VIXP2P_OK);
    fd = vixp2p_subscription_fd(all);
    CHECK(fd >= 0 && readable(fd, 0));
    expect(all, 1, "one");
    expect(all, 2, "two");
    expect(some, 2, "two");
    CHECK(vixp2p_subscription_next(all, 0, &record) == VIXP2P_EMPTY && record == NULL);
    CHECK(!readable(fd, 0));
    CHECK(vixp2p_subscription_next(other, 1, &record) == VIXP2P_TIMEOUT && record == NULL);
    CHECK_FAILS(INVALID, vixp2p_subscription_next(all, 0, NULL));
    CHECK(vixp2p_node_append(node, "", 0, NULL) == VIXP2P_OK);
    CHECK(readable(fd, PATIENCE_MS));
    expect(all, 3, "");
    expect(other, 3, "");
    CHECK_FAILS(VIXP2P_ERR_BUFFER_TOO_SMALL, vixp2p_subscription_cursor(all, NULL, &count));
    CHECK(count == 1);
    CHECK(vixp2p_subscription_cursor(all, places, &count) == VIXP2P_OK && places[0].seq == 4);
    CHECK(memcmp(&places[0].log, &cursor.log, sizeof cursor.log) == 0);
    vixp2p_subscription_free(all);
    vixp2p_subscription_free(other);
    CHECK_FAILS(BAD, vixp2p_subscription_next(all, 0, &record));
    CHECK(vixp2p_node_stop(node, -1) == VIXP2P_OK);
    CHECK_FAILS(VIXP2P_ERR_STOPPED, vixp2p_subscription_next(some, -1, &record));
    CHECK(readable(vixp2p_subscription_fd(some), 0));
    CHECK_FAILS(VIXP2P_ERR_STOPPED, vixp2p_node_subscribe(node, &cursor, 1, 0, &all));
    CHECK(vixp2p_node_start(node) == VIXP2P_OK);
    vixp2p_subscription_free(some);
}

static void acknowledging(vixp2p_node *a, vixp2p_node *b)
{
    vixp2p_sync_state lines[8];
    vixp2p_peer_id id_b;
    vixp2p_log_id log, went;
    vixp2p_slice two[2] = { { "y", 1 }, { "z", 1 } };
    uint64_t seq = 0, last = 0, durable = 0;
    size_t reached = 9, count = 0;

    CHECK(vixp2p_node_id(b, &id_b) == VIXP2P_OK);
    CHECK(vixp2p_node_own_log(a, &log) == VIXP2P_OK);
    CHECK(vixp2p_node_append(a, "x", 1, &seq) == VIXP2P_OK);
    CHECK_FAILS(INVALID, vixp2p_node_append_records(a, NULL, 1, &went, NULL, NULL));
    CHECK_FAILS(INVALID, vixp2p_node_append_records(a, two, 0, &went, NULL, NULL));
    CHECK(vixp2p_node_append_records(a, two, 2, &went, NULL, &last) == VIXP2P_OK && last == seq + 2);
    CHECK(memcmp(&went, &log, sizeof log) == 0);
    seq = last;
    CHECK(vixp2p_node_flush(a, &durable) == VIXP2P_OK && durable == seq);
    CHECK(vixp2p_node_wait_ack(a, &log, seq, NULL, 0, VIXP2P_ACK_DURABLE, -1, &reached) == VIXP2P_OK && reached == 0);
    CHECK(vixp2p_node_wait_ack(a, &log, seq, NULL, 1, VIXP2P_ACK_DURABLE, 1, &reached) == VIXP2P_TIMEOUT && reached == 0);
    CHECK_FAILS(INVALID, vixp2p_node_wait_ack(a, NULL, seq, NULL, 1, VIXP2P_ACK_DURABLE, 0, NULL));
    CHECK_FAILS(INVALID, vixp2p_node_wait_ack(a, &log, seq, NULL, 1, 7, 0, NULL));
    join_polled(a, b);
    CHECK(vixp2p_node_wait_ack(a, &log, seq, &id_b, 1, VIXP2P_ACK_APPLIED, PATIENCE_MS, &reached) == VIXP2P_OK);
    CHECK(reached == 1);
    CHECK_FAILS(VIXP2P_ERR_BUFFER_TOO_SMALL, vixp2p_node_sync_status(a, NULL, sizeof *lines, &count));
    count = 8;
    CHECK(vixp2p_node_sync_status(a, lines, sizeof *lines, &count) == VIXP2P_OK && count >= 2);
    CHECK(lines[0].parked == 0 && lines[1].parked == 0);
    CHECK(lines[0].flags == VIXP2P_SYNC_OWN && lines[0].durable == seq && lines[0].struct_size == sizeof *lines);
    CHECK(lines[1].flags == (VIXP2P_SYNC_OWN | VIXP2P_SYNC_PEER) && memcmp(&lines[1].peer, &id_b, sizeof id_b) == 0);
    CHECK(lines[1].durable == seq && lines[1].lag_records == 0 && lines[1].lag_bytes == 0);
}

/* A node in causal mode: its records name what was applied before them, and nothing waits where there is nothing to wait for. */
static void causal(void)
{
    vixp2p_node_options options = VIXP2P_NODE_OPTIONS_INIT;
    vixp2p_node *node = NULL;
    vixp2p_sync_state line;
    vixp2p_log_id none;
    uint64_t seq = 0;
    size_t count = 1;
    options.flags = 1u << 30;
    CHECK_FAILS(VIXP2P_ERR_UNSUPPORTED, vixp2p_node_create(&options, &node));
    options.flags = VIXP2P_FLAG_CAUSAL;
    CHECK(vixp2p_node_create(&options, &node) == VIXP2P_OK);
    CHECK(vixp2p_node_append(node, "offline", 7, &seq) == VIXP2P_OK && seq == 1);
    CHECK(vixp2p_node_start(node) == VIXP2P_OK);
    CHECK(vixp2p_node_append(node, "x", 1, &seq) == VIXP2P_OK && seq == 2);
    memset(&none, 0, sizeof none);
    CHECK(vixp2p_node_sync_status(node, &line, sizeof line, &count) == VIXP2P_OK && count == 1);
    CHECK(line.durable == 2 && line.waits == 0 && line.waits_for_seq == 0);
    CHECK(memcmp(&line.waits_for, &none, sizeof none) == 0);
    vixp2p_node_destroy(node);
}

int main(void)
{
    vixp2p_node *a = polled("a"), *b = polled("b");
    vixp2p_subscription *left = NULL;
    const vixp2p_record *record = NULL;
    nothing(a);
    subscribing(a);
    acknowledging(a, b);
    causal();
    CHECK(vixp2p_node_subscribe(b, NULL, 0, VIXP2P_SUBSCRIBE_ALL, &left) == VIXP2P_OK);
    vixp2p_node_destroy(b);
    vixp2p_node_destroy(a);
    CHECK_FAILS(VIXP2P_ERR_STOPPED, vixp2p_subscription_next(left, -1, &record));
    vixp2p_subscription_free(left);
    return 0;
}
