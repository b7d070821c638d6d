/* Snapshots: a program's state written by one node and read by a late joiner, and every function called as it should not be. */
#include "check.h"

#define BAD VIXP2P_ERR_BAD_HANDLE
#define INVALID VIXP2P_ERR_INVALID
#define RECORDS 300

/* A state: how many records were taken in, and a sum over them. */
struct state {
    uint64_t records, sum, reads;
    int refuse;
};

static void take(struct state *state, const void *data, size_t len)
{
    size_t i;
    for (i = 0; i < len; i++) {
        state->sum = state->sum * 31 + ((const unsigned char *)data)[i];
    }
    state->records++;
}

static int32_t on_apply(void *userdata, const vixp2p_record *record)
{
    take((struct state *)userdata, record->data, record->len);
    return VIXP2P_APPLY_OK;
}

static int32_t on_write(void *userdata, vixp2p_snapshot_writer *writer, uint64_t *inout_own)
{
    struct state *state = (struct state *)userdata;
    CHECK(*inout_own >= RECORDS);
    CHECK_FAILS(INVALID, vixp2p_snapshot_write(writer, NULL, 1));
    if (state->refuse) {
        return 7;
    }
    if (vixp2p_snapshot_write(writer, &state->records, sizeof state->records) != VIXP2P_OK) {
        return 1;
    }
    return vixp2p_snapshot_write(writer, &state->sum, sizeof state->sum) != VIXP2P_OK;
}

static int32_t on_read(void *userdata, vixp2p_snapshot_reader *reader)
{
    struct state *state = (struct state *)userdata;
    vixp2p_snapshot_place places[4];
    uint64_t read[2];
    size_t len = 0, count = 0;
    CHECK_FAILS(VIXP2P_ERR_BUFFER_TOO_SMALL, vixp2p_snapshot_places(reader, NULL, &count));
    CHECK(count == 1);
    CHECK(vixp2p_snapshot_places(reader, places, &count) == VIXP2P_OK && places[0].applied == RECORDS);
    CHECK_FAILS(INVALID, vixp2p_snapshot_read(reader, NULL, 1, &len));
    CHECK(vixp2p_snapshot_read(reader, read, sizeof read, &len) == VIXP2P_OK && len == sizeof read);
    CHECK(vixp2p_snapshot_read(reader, places, 1, &len) == VIXP2P_EMPTY && len == 0);
    state->records = read[0];
    state->sum = read[1];
    state->reads++;
    return 0;
}

static vixp2p_node_options options_of(const char *name, struct state *state)
{
    vixp2p_node_options options = loopback(name, VIXP2P_DELIVERY_POLL);
    options.apply.fn = on_apply;
    options.apply.userdata = state;
    options.snapshot.write = on_write;
    options.snapshot.read = on_read;
    options.snapshot.userdata = state;
    options.snapshot_schema = "sum";
    options.log_max_bytes = 512 * 1024;
    options.replica_lease_ms = 60000;
    return options;
}

static void nothing(void)
{
    size_t count = 0;
    char byte;
    CHECK_FAILS(BAD, vixp2p_snapshot_make(NULL));
    CHECK_FAILS(BAD, vixp2p_log_truncate(NULL, NULL));
    CHECK_FAILS(BAD, vixp2p_snapshot_list(NULL, NULL, 0, &count));
    CHECK_FAILS(BAD, vixp2p_node_set_snapshot_callback(NULL, NULL));
    CHECK_FAILS(INVALID, vixp2p_snapshot_write(NULL, "x", 1));
    CHECK_FAILS(INVALID, vixp2p_snapshot_read(NULL, &byte, 1, &count));
    CHECK_FAILS(INVALID, vixp2p_snapshot_places(NULL, NULL, &count));
    CHECK(vixp2p_event_bytes(NULL) == 0);
}

static void lies_here(vixp2p_node *node, const vixp2p_peer_id *maker)
{
    vixp2p_snapshot_info list[4];
    size_t count = 0;
    CHECK_FAILS(VIXP2P_ERR_BUFFER_TOO_SMALL, vixp2p_snapshot_list(node, NULL, sizeof *list, &count));
    CHECK(count == 1);
    count = 4;
    CHECK(vixp2p_snapshot_list(node, list, sizeof *list, &count) == VIXP2P_OK && count == 1);
    CHECK(list[0].struct_size == sizeof *list && memcmp(&list[0].maker, maker, sizeof *maker) == 0);
    CHECK(list[0].bytes > 16 && list[0].logs == 1 && list[0].made_us > 0);
    CHECK(strlen(list[0].id) == 64 && strlen(list[0].schema) < sizeof list[0].schema);
}

static void settings(void)
{
    struct state none = {0, 0, 0, 0};
    vixp2p_node_options options = options_of("x", &none);
    vixp2p_node *node = NULL;
    options.snapshot.read = NULL;
    CHECK_FAILS(INVALID, vixp2p_node_create(&options, &node));
    options = options_of("x", &none);
    options.snapshot_from_count = 1;
    CHECK_FAILS(INVALID, vixp2p_node_create(&options, &node));
    options = options_of("x", &none);
    options.snapshot_schema = "0123456789012345678901234567890123456789012345678901234567890123456789";
    CHECK_FAILS(VIXP2P_ERR_TOO_LARGE, vixp2p_node_create(&options, &node));
}

int main(void)
{
    struct state of_a = {0, 0, 0, 0}, of_b = {0, 0, 0, 0};
    vixp2p_node_options options = options_of("a", &of_a);
    vixp2p_snapshot_callback callback = options.snapshot;
    vixp2p_node *a, *b;
    vixp2p_event *event;
    vixp2p_peer_id id_a, of;
    unsigned char data[1024];
    uint64_t gone = 0;
    int i;

    nothing();
    settings();
    a = create_and_start(&options);
    CHECK(vixp2p_node_id(a, &id_a) == VIXP2P_OK);
    for (i = 0; i < RECORDS; i++) {
        memset(data, i & 255, sizeof data);
        CHECK(vixp2p_node_append(a, data, sizeof data, NULL) == VIXP2P_OK);
        take(&of_a, data, sizeof data);
    }
    CHECK(vixp2p_node_set_snapshot_callback(a, NULL) == VIXP2P_OK);
    CHECK_FAILS(INVALID, vixp2p_snapshot_make(a));
    CHECK(vixp2p_node_set_snapshot_callback(a, &callback) == VIXP2P_OK);
    of_a.refuse = 1;
    CHECK_FAILS(VIXP2P_ERR_LOG, vixp2p_snapshot_make(a));
    of_a.refuse = 0;
    CHECK(vixp2p_log_truncate(a, &gone) == VIXP2P_OK && gone == 0);
    CHECK(vixp2p_snapshot_make(a) == VIXP2P_OK);
    lies_here(a, &id_a);
    event = wait_for(a, VIXP2P_EVENT_SNAPSHOT_MADE);
    CHECK(vixp2p_event_bytes(event) > 16);
    vixp2p_event_free(event);
    CHECK(vixp2p_log_truncate(a, &gone) == VIXP2P_OK && gone > 0);
    event = wait_for(a, VIXP2P_EVENT_LOG_TRUNCATED);
    CHECK(vixp2p_event_seq(event) > 0 && vixp2p_event_seq(event) < RECORDS);
    vixp2p_event_free(event);

    options = options_of("b", &of_b);
    b = create_and_start(&options);
    connect_to(b, a);
    event = wait_for(b, VIXP2P_EVENT_SNAPSHOT_TAKEN);
    CHECK(vixp2p_event_peer(event, &of) == VIXP2P_OK && memcmp(&of, &id_a, sizeof of) == 0);
    vixp2p_event_free(event);
    lies_here(b, &id_a);
    CHECK(vixp2p_node_append(a, "tail", 4, NULL) == VIXP2P_OK);
    take(&of_a, "tail", 4);
    while (of_b.records < of_a.records) {
        event = NULL;
        CHECK(vixp2p_node_wait_event(b, 100, &event) >= 0);
        vixp2p_event_free(event);
    }
    CHECK(of_b.reads == 1 && of_b.records == of_a.records && of_b.sum == of_a.sum);
    vixp2p_node_destroy(b);
    vixp2p_node_destroy(a);
    return 0;
}
