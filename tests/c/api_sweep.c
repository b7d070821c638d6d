/* Every function of the header, called as it should be and as it should not. tests/c/covers.sh compares the list. */
#include "check.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BAD VIXP2P_ERR_BAD_HANDLE
#define INVALID VIXP2P_ERR_INVALID

static void versions_and_texts(void)
{
    CHECK(VIXP2P_CHECK_ABI());
    CHECK(vixp2p_abi_version() == VIXP2P_ABI_VERSION);
    CHECK(strcmp(vixp2p_version(), VIXP2P_VERSION) == 0);
    CHECK(vixp2p_version_number() == VIXP2P_VERSION_NUMBER);
    CHECK(VIXP2P_VERSION_NUMBER == (VIXP2P_VERSION_MAJOR << 16 | VIXP2P_VERSION_MINOR << 8 | VIXP2P_VERSION_PATCH));
    CHECK(strcmp(vixp2p_status_str(VIXP2P_OK), "ok") == 0);
    CHECK(strcmp(vixp2p_status_str(VIXP2P_ERR_INVALID), vixp2p_status_str(-1000)) != 0);
    CHECK(vixp2p_last_error_message() == NULL);
    CHECK(vixp2p_last_error_code() == VIXP2P_OK);
}

static void peer_ids(void)
{
    vixp2p_peer_id id, back;
    char hex[VIXP2P_PEER_ID_HEX_SIZE];
    memset(&id, 0xa5, sizeof id);
    CHECK(vixp2p_peer_id_to_hex(&id, hex, sizeof hex) == VIXP2P_OK);
    CHECK(strlen(hex) == 64 && strncmp(hex, "a5a5", 4) == 0);
    CHECK(vixp2p_peer_id_from_hex(hex, &back) == VIXP2P_OK);
    CHECK(memcmp(&id, &back, sizeof id) == 0);
    CHECK_FAILS(VIXP2P_ERR_BUFFER_TOO_SMALL, vixp2p_peer_id_to_hex(&id, hex, 64));
    CHECK_FAILS(INVALID, vixp2p_peer_id_to_hex(NULL, hex, sizeof hex));
    CHECK_FAILS(INVALID, vixp2p_peer_id_to_hex(&id, NULL, sizeof hex));
    CHECK_FAILS(INVALID, vixp2p_peer_id_from_hex("a5", &back));
    CHECK_FAILS(INVALID, vixp2p_peer_id_from_hex(NULL, &back));
    CHECK_FAILS(INVALID, vixp2p_peer_id_from_hex(hex, NULL));
    CHECK_FAILS(VIXP2P_ERR_UTF8, vixp2p_peer_id_from_hex("\xff", &back));
}

static void options(void)
{
    vixp2p_node_options initialised = VIXP2P_NODE_OPTIONS_INIT, filled;
    vixp2p_node *node = (vixp2p_node *)&filled;
    const char *places[] = {"quic://127.0.0.1:1"};
    CHECK(vixp2p_node_options_init(&filled, sizeof filled) == VIXP2P_OK);
    CHECK(memcmp(&initialised, &filled, sizeof filled) == 0);
    CHECK_FAILS(INVALID, vixp2p_node_options_init(NULL, sizeof filled));
    CHECK_FAILS(INVALID, vixp2p_node_options_init(&filled, VIXP2P_NODE_OPTIONS_SIZE_MIN - 1));
    CHECK_FAILS(INVALID, vixp2p_node_create(&filled, NULL));
    filled.struct_size = 8;
    CHECK_FAILS(INVALID, vixp2p_node_create(&filled, &node));
    CHECK(node == NULL);
    filled = initialised;
    filled.flags = 1u << 31;
    CHECK_FAILS(VIXP2P_ERR_UNSUPPORTED, vixp2p_node_create(&filled, &node));
    filled = initialised;
    filled.delivery = 7;
    CHECK_FAILS(INVALID, vixp2p_node_create(&filled, &node));
    filled = initialised;
    filled.trust = 99;
    CHECK_FAILS(VIXP2P_ERR_UNSUPPORTED, vixp2p_node_create(&filled, &node));
    filled = initialised;
    filled.registry_mode = VIXP2P_REGISTRY_PULL_AND_ANNOUNCE;
    CHECK_FAILS(INVALID, vixp2p_node_create(&filled, &node));
    filled.registry_url = "ftp://127.0.0.1";
    CHECK_FAILS(INVALID, vixp2p_node_create(&filled, &node));
    filled = initialised;
    filled.listen_also = places;
    filled.listen_also_count = 1;
    CHECK_FAILS(INVALID, vixp2p_node_create(&filled, &node));
    filled = initialised;
    filled.discovery = 99;
    CHECK_FAILS(VIXP2P_ERR_UNSUPPORTED, vixp2p_node_create(&filled, &node));
    filled.discovery = VIXP2P_DISCOVERY_BROADCAST;
    filled.discovery_interval_ms = 1;
    CHECK_FAILS(INVALID, vixp2p_node_create(&filled, &node));
    filled = initialised;
    filled.psk = "short";
    filled.psk_len = 5;
    CHECK_FAILS(INVALID, vixp2p_node_create(&filled, &node));
    filled = initialised;
    filled.node_id = "\xc3\x28";
    CHECK_FAILS(VIXP2P_ERR_UTF8, vixp2p_node_create(&filled, &node));
}

static void invites(void)
{
    const char *addresses[] = {"127.0.0.1:9001", "tcp://[::1]:9001"}, *missing[] = {NULL}, *wrong[] = {"no port"};
    char text[VIXP2P_INVITE_TEXT_SIZE], secret[32];
    vixp2p_invite invite;
    vixp2p_peer_id id;
    size_t size = 0;
    memset(&id, 0xa5, sizeof id);
    memset(secret, 9, sizeof secret);
    CHECK_FAILS(VIXP2P_ERR_BUFFER_TOO_SMALL, vixp2p_invite_make(&id, addresses, 2, secret, 32, NULL, &size));
    CHECK(size > 100 && size <= sizeof text);
    CHECK(vixp2p_invite_make(&id, addresses, 2, secret, 32, text, &size) == VIXP2P_OK);
    CHECK(size == strlen(text) + 1 && strncmp(text, "vixp2p1", 7) == 0);
    CHECK(vixp2p_invite_parse(text, &invite, sizeof invite) == VIXP2P_OK);
    CHECK(invite.struct_size == sizeof invite && invite.flags == VIXP2P_INVITE_HAS_PSK);
    CHECK(memcmp(&invite.peer, &id, sizeof id) == 0 && memcmp(invite.psk, secret, 32) == 0);
    CHECK(invite.address_count == 2 && strcmp(invite.addresses[0], "tcp://127.0.0.1:9001") == 0);
    CHECK(strcmp(invite.addresses[1], addresses[1]) == 0 && invite.addresses[2][0] == 0);
    size = sizeof text;
    CHECK(vixp2p_invite_make(&id, addresses, 1, NULL, 0, text, &size) == VIXP2P_OK);
    CHECK(vixp2p_invite_parse(text, &invite, sizeof invite) == VIXP2P_OK && invite.flags == 0 && invite.psk[0] == 0);
    CHECK_FAILS(INVALID, vixp2p_invite_make(NULL, addresses, 1, NULL, 0, text, &size));
    CHECK_FAILS(INVALID, vixp2p_invite_make(&id, NULL, 1, NULL, 0, text, &size));
    CHECK_FAILS(INVALID, vixp2p_invite_make(&id, missing, 1, NULL, 0, text, &size));
    CHECK_FAILS(INVALID, vixp2p_invite_make(&id, wrong, 1, NULL, 0, text, &size));
    CHECK_FAILS(INVALID, vixp2p_invite_make(&id, addresses, VIXP2P_INVITE_ADDRESSES_MAX + 1, NULL, 0, text, &size));
    CHECK_FAILS(INVALID, vixp2p_invite_make(&id, addresses, 1, secret, 31, text, &size));
    CHECK_FAILS(INVALID, vixp2p_invite_make(&id, addresses, 1, NULL, 0, NULL, &size));
    CHECK_FAILS(INVALID, vixp2p_invite_make(&id, addresses, 1, NULL, 0, text, NULL));
    CHECK_FAILS(INVALID, vixp2p_invite_parse(NULL, &invite, sizeof invite));
    CHECK_FAILS(INVALID, vixp2p_invite_parse(text, NULL, sizeof invite));
    CHECK_FAILS(INVALID, vixp2p_invite_parse("127.0.0.1:9001", &invite, sizeof invite));
    text[20] = text[20] == 'a' ? 'b' : 'a';
    CHECK_FAILS(INVALID, vixp2p_invite_parse(text, &invite, sizeof invite));
}

/* A key file that opens with its passphrase only. */
static void sealed_key(void)
{
    char dir[] = "/tmp/vixp2p-sealed-XXXXXX", command[64];
    vixp2p_node_options options = VIXP2P_NODE_OPTIONS_INIT;
    vixp2p_peer_id first, again;
    vixp2p_node *node = NULL;
    CHECK(mkdtemp(dir) != NULL);
    options.key_passphrase = "open sesame";
    options.key_passphrase_len = 11;
    CHECK_FAILS(INVALID, vixp2p_node_create(&options, &node));
    options.data_dir = dir;
    CHECK(vixp2p_node_create(&options, &node) == VIXP2P_OK && vixp2p_node_id(node, &first) == VIXP2P_OK);
    vixp2p_node_destroy(node);
    CHECK(vixp2p_node_create(&options, &node) == VIXP2P_OK && vixp2p_node_id(node, &again) == VIXP2P_OK);
    CHECK(memcmp(&first, &again, sizeof first) == 0);
    vixp2p_node_destroy(node);
    options.key_passphrase_len = 4;
    CHECK_FAILS(VIXP2P_ERR_KEY, vixp2p_node_create(&options, &node));
    options.key_passphrase = NULL;
    CHECK_FAILS(INVALID, vixp2p_node_create(&options, &node));
    options.key_passphrase_len = 0;
    CHECK_FAILS(VIXP2P_ERR_KEY, vixp2p_node_create(&options, &node));
    snprintf(command, sizeof command, "rm -r %s", dir);
    CHECK(system(command) == 0);
}

/* A log whose appends do not wait for the disk outlives its node all the same. */
static void buffered(void)
{
    char dir[] = "/tmp/vixp2p-buffered-XXXXXX", command[64];
    vixp2p_node_options options = VIXP2P_NODE_OPTIONS_INIT;
    vixp2p_node *node = NULL;
    uint64_t seq = 0;
    CHECK(options.durability == VIXP2P_DURABILITY_DURABLE);
    CHECK(mkdtemp(dir) != NULL);
    options.data_dir = dir;
    options.durability = 7;
    CHECK_FAILS(VIXP2P_ERR_UNSUPPORTED, vixp2p_node_create(&options, &node));
    options.durability = VIXP2P_DURABILITY_BUFFERED;
    CHECK(vixp2p_node_create(&options, &node) == VIXP2P_OK && vixp2p_node_start(node) == VIXP2P_OK);
    for (uint64_t i = 1; i <= 100; i++)
        CHECK(vixp2p_node_append(node, "x", 1, &seq) == VIXP2P_OK && seq == i);
    vixp2p_node_destroy(node);
    options.durability = VIXP2P_DURABILITY_DURABLE;
    CHECK(vixp2p_node_create(&options, &node) == VIXP2P_OK);
    CHECK(vixp2p_node_append(node, "y", 1, &seq) == VIXP2P_OK && seq == 101);
    vixp2p_node_destroy(node);
    snprintf(command, sizeof command, "rm -r %s", dir);
    CHECK(system(command) == 0);
}

/* Everything that takes a node, given none and given one that is gone. */
static void no_node(vixp2p_node *node)
{
    vixp2p_peer_id id;
    vixp2p_log_id log;
    vixp2p_stats stats;
    vixp2p_event *event = (vixp2p_event *)&stats;
    vixp2p_slice slice = {"x", 1};
    uint16_t port;
    size_t count = 0;
    memset(&id, 0, sizeof id);
    memset(&log, 0, sizeof log);
    CHECK_FAILS(BAD, vixp2p_node_start(node));
    CHECK_FAILS(BAD, vixp2p_node_stop(node, 0));
    CHECK_FAILS(BAD, vixp2p_node_id(node, &id));
    CHECK_FAILS(BAD, vixp2p_node_port(node, &port));
    CHECK_FAILS(BAD, vixp2p_node_connect(node, "127.0.0.1:1"));
    CHECK_FAILS(BAD, vixp2p_node_connect_peer(node, "127.0.0.1:1", &id));
    CHECK_FAILS(BAD, vixp2p_node_trust(node, &id, NULL));
    CHECK_FAILS(BAD, vixp2p_node_revoke(node, &id));
    CHECK_FAILS(BAD, vixp2p_node_forget_peer(node, &id));
    CHECK_FAILS(BAD, vixp2p_node_discovered(node, NULL, sizeof(vixp2p_discovered_info), &count));
    CHECK_FAILS(BAD, vixp2p_node_trust_list(node, NULL, sizeof(vixp2p_trust_info), &count));
    CHECK_FAILS(BAD, vixp2p_node_capabilities(node, &id, NULL, sizeof(vixp2p_capability_info), &count));
    CHECK_FAILS(BAD, vixp2p_node_registry_peers(node, NULL, sizeof(vixp2p_registry_peer), &count));
    CHECK_FAILS(BAD, vixp2p_node_disconnect(node, &id));
    CHECK_FAILS(BAD, vixp2p_node_rekey(node, &id));
    CHECK_FAILS(BAD, vixp2p_node_send_to(node, &id, "x", 1, 0, NULL));
    CHECK_FAILS(BAD, vixp2p_node_route_set(node, &id, &id, 0));
    CHECK_FAILS(BAD, vixp2p_node_route_remove(node, &id));
    CHECK_FAILS(BAD, vixp2p_node_route_resolve(node, &id, NULL, NULL, NULL));
    CHECK_FAILS(BAD, vixp2p_node_forget_endpoint(node, "127.0.0.1:1"));
    CHECK_FAILS(BAD, vixp2p_node_network_changed(node));
    CHECK_FAILS(BAD, vixp2p_node_send(node, &id, "x", 1));
    CHECK_FAILS(BAD, vixp2p_node_broadcast(node, "x", 1, NULL));
    CHECK_FAILS(BAD, vixp2p_node_append(node, "x", 1, NULL));
    CHECK_FAILS(BAD, vixp2p_node_append_batch(node, &slice, 1, NULL, NULL));
    CHECK_FAILS(BAD, vixp2p_node_set_applied(node, &log, 0));
    CHECK_FAILS(BAD, vixp2p_node_own_log(node, &log));
    CHECK_FAILS(BAD, vixp2p_node_logs(node, NULL, sizeof(vixp2p_log_state), &count));
    CHECK_FAILS(BAD, vixp2p_node_peers(node, NULL, sizeof(vixp2p_peer_info), &count));
    CHECK_FAILS(BAD, vixp2p_node_targets(node, NULL, sizeof(vixp2p_target_info), &count));
    CHECK_FAILS(BAD, vixp2p_node_stats(node, &stats, sizeof stats));
    CHECK_FAILS(BAD, vixp2p_node_set_log_level(node, VIXP2P_LOG_OFF));
    CHECK_FAILS(BAD, vixp2p_node_set_log_callback(node, NULL));
    CHECK_FAILS(BAD, vixp2p_node_set_event_callback(node, NULL));
    CHECK_FAILS(BAD, vixp2p_node_set_message_callback(node, NULL));
    CHECK_FAILS(BAD, vixp2p_node_set_apply_callback(node, NULL));
    CHECK_FAILS(BAD, vixp2p_node_set_cursor_callback(node, NULL));
    CHECK_FAILS(BAD, vixp2p_node_apply_resume(node, &log, 0));
    CHECK_FAILS(BAD, vixp2p_node_next_event(node, &event));
    CHECK(event == NULL);
    CHECK_FAILS(BAD, vixp2p_node_wait_event(node, 0, &event));
    CHECK_FAILS(BAD, vixp2p_node_dispatch(node, 0, NULL));
    CHECK(vixp2p_node_event_fd(node) == -1 && vixp2p_last_error_code() == BAD);
    vixp2p_node_destroy(node);
}

static void no_event(void)
{
    vixp2p_peer_id id;
    vixp2p_log_id log;
    size_t len = 1;
    CHECK(vixp2p_event_get_kind(NULL) == VIXP2P_EVENT_NONE);
    CHECK_FAILS(BAD, vixp2p_event_peer(NULL, &id));
    CHECK_FAILS(BAD, vixp2p_event_log(NULL, &log));
    CHECK_FAILS(BAD, vixp2p_event_former(NULL, &id));
    CHECK(vixp2p_event_trusted(NULL) == -1);
    CHECK(vixp2p_event_node_id(NULL) == NULL && vixp2p_event_endpoint(NULL) == NULL);
    CHECK(vixp2p_event_reason(NULL) == NULL && vixp2p_event_reason_text(NULL) == NULL);
    CHECK(vixp2p_event_text(NULL) == NULL && vixp2p_event_json(NULL) == NULL);
    CHECK(vixp2p_event_direction(NULL) == VIXP2P_DIRECTION_NONE);
    CHECK(vixp2p_event_data(NULL, &len) == NULL && len == 0);
    CHECK(vixp2p_event_port(NULL) == 0 && vixp2p_event_connected(NULL) == 0);
    CHECK(vixp2p_event_durable(NULL) == 0 && vixp2p_event_applied(NULL) == 0);
    CHECK(vixp2p_event_seq(NULL) == 0 && vixp2p_event_count(NULL) == 0 && vixp2p_event_new_count(NULL) == 0);
    CHECK(vixp2p_event_message_number(NULL) == 0);
    CHECK(vixp2p_event_retry_in_ms(NULL) == -1);
    vixp2p_event_free(NULL);
}

typedef struct Counts {
    int lines, events, messages, records;
} Counts;

static void on_log(void *userdata, const vixp2p_log_record *record)
{
    CHECK(record->message != NULL && record->node_id != NULL);
    ++((Counts *)userdata)->lines;
}

/* Called on several threads: one value is all that is ever written. */
static volatile int process_heard;
static vixp2p_node *volatile swept_node;

static void on_process_log(void *userdata, const vixp2p_log_record *record)
{
    CHECK(userdata == NULL && record->struct_size == sizeof *record);
    CHECK(record->node_id != NULL && strlen(record->message) == record->message_len);
    /* It may be the log's own thread. */
    CHECK(swept_node == NULL || vixp2p_node_flush(swept_node, NULL) == VIXP2P_ERR_WOULD_DEADLOCK);
    process_heard = 1;
}

static void on_event(void *userdata, const vixp2p_event *event)
{
    CHECK(vixp2p_event_text(event) != NULL);
    ++((Counts *)userdata)->events;
}

static void on_message(void *userdata, const vixp2p_peer_id *peer, const void *data, size_t len)
{
    CHECK(peer != NULL && data != NULL && len <= 3);
    ++((Counts *)userdata)->messages;
}

static int32_t on_cursor(void *userdata, const vixp2p_log_id *log, uint64_t *out_seq)
{
    CHECK(userdata == NULL && log != NULL && out_seq != NULL);
    return 0;
}

static int32_t on_apply(void *userdata, const vixp2p_record *record)
{
    CHECK(record->seq == (uint64_t) ++((Counts *)userdata)->records);
    return VIXP2P_APPLY_OK;
}

static void connecting(vixp2p_node *a, vixp2p_node *b)
{
    vixp2p_peer_id id_a, id_b, met, nobody;
    vixp2p_peer_info peers[4];
    vixp2p_target_info targets[4];
    vixp2p_stats stats;
    vixp2p_event *event;
    size_t count = 4;
    uint16_t port = 0;

    memset(&nobody, 7, sizeof nobody);
    CHECK(vixp2p_node_id(a, &id_a) == VIXP2P_OK && vixp2p_node_id(b, &id_b) == VIXP2P_OK);
    CHECK_FAILS(INVALID, vixp2p_node_id(a, NULL));
    CHECK(vixp2p_node_start(a) == VIXP2P_ALREADY);
    event = wait_for(a, VIXP2P_EVENT_STARTED);
    CHECK(vixp2p_node_port(a, &port) == VIXP2P_OK);
    CHECK(port != 0 && vixp2p_event_port(event) == port);
    CHECK_FAILS(INVALID, vixp2p_node_port(a, NULL));
    CHECK(vixp2p_event_peer(event, &met) == VIXP2P_EMPTY);
    vixp2p_event_free(event);
    CHECK_FAILS(INVALID, vixp2p_node_connect(b, NULL));
    CHECK_FAILS(INVALID, vixp2p_node_connect(b, "no port"));

    connect_to(b, a);
    event = wait_for(a, VIXP2P_EVENT_PEER_CONNECTED);
    CHECK(vixp2p_event_peer(event, &met) == VIXP2P_OK);
    CHECK(memcmp(&met, &id_b, sizeof met) == 0);
    CHECK_FAILS(INVALID, vixp2p_event_peer(event, NULL));
    CHECK(strcmp(vixp2p_event_node_id(event), "b") == 0);
    CHECK(strncmp(vixp2p_event_endpoint(event), "tcp://127.0.0.1:", 16) == 0);
    CHECK(vixp2p_event_direction(event) == VIXP2P_DIRECTION_INBOUND);
    CHECK(vixp2p_event_connected(event) == 1 && vixp2p_event_trusted(event) == 1);
    CHECK(vixp2p_event_former(event, &met) == VIXP2P_EMPTY);
    CHECK(vixp2p_event_reason(event) == NULL && vixp2p_event_reason_text(event) == NULL);
    CHECK(vixp2p_event_json(event)[0] == '{');
    vixp2p_event_free(event);
    vixp2p_event_free(wait_for(b, VIXP2P_EVENT_PEER_CONNECTED));

    CHECK(vixp2p_node_peers(a, peers, sizeof *peers, &count) == VIXP2P_OK);
    CHECK(count == 1 && memcmp(&peers[0].id, &id_b, sizeof id_b) == 0);
    CHECK(peers[0].flags == (VIXP2P_PEER_HAS_ID | VIXP2P_PEER_SECURE | VIXP2P_PEER_TRUSTED) && peers[0].state == VIXP2P_PEER_CONNECTED);
    CHECK(strcmp(peers[0].node_id, "b") == 0 && peers[0].direction == VIXP2P_DIRECTION_INBOUND);
    count = 0;
    CHECK_FAILS(VIXP2P_ERR_BUFFER_TOO_SMALL, vixp2p_node_peers(a, NULL, sizeof *peers, &count));
    CHECK(count == 1);
    CHECK_FAILS(INVALID, vixp2p_node_peers(a, NULL, sizeof *peers, &count));
    CHECK_FAILS(INVALID, vixp2p_node_peers(a, peers, sizeof *peers, NULL));
    CHECK(peers[0].stage == VIXP2P_STAGE_FINISHED && peers[0].failures == 0 && peers[0].since_ms_ago >= 0);
    CHECK(peers[0].next_attempt_in_ms == -1 && peers[0].last_reason[0] == 0 && peers[0].last_reason_text[0] == 0);
    count = 4;
    CHECK(vixp2p_node_targets(b, targets, sizeof *targets, &count) == VIXP2P_OK && count == 1);
    CHECK(targets[0].flags == (VIXP2P_PEER_HAS_ID | VIXP2P_TARGET_WANTED) && targets[0].state == VIXP2P_PEER_CONNECTED);
    CHECK(memcmp(&targets[0].id, &id_a, sizeof id_a) == 0 && targets[0].stage == VIXP2P_STAGE_FINISHED);
    CHECK(vixp2p_node_targets(a, targets, sizeof *targets, &count) == VIXP2P_OK && count == 0);
    CHECK_FAILS(INVALID, vixp2p_node_targets(b, targets, sizeof *targets, NULL));
    CHECK(vixp2p_node_stats(a, &stats, sizeof stats) == VIXP2P_OK);
    CHECK(stats.struct_size == sizeof stats && stats.peers_connected == 1 && stats.handshakes_completed == 1);
    CHECK_FAILS(INVALID, vixp2p_node_stats(a, NULL, sizeof stats));

    /* Nobody listens on port 1. */
    CHECK(vixp2p_node_connect(b, "tcp://127.0.0.1:1") == VIXP2P_OK);
    event = wait_for(b, VIXP2P_EVENT_CONNECT_FAILED);
    CHECK(vixp2p_event_reason(event) != NULL && vixp2p_event_reason_text(event) != NULL);
    CHECK(vixp2p_event_retry_in_ms(event) > 0);
    vixp2p_event_free(event);
    CHECK_FAILS(VIXP2P_ERR_NOT_CONNECTED, vixp2p_node_send(a, &nobody, "x", 1));
}

static void messages(vixp2p_node *a, vixp2p_node *b)
{
    vixp2p_message_callback callback = {on_message, NULL, NULL};
    vixp2p_event_callback events = {on_event, NULL, NULL};
    Counts counts = {0, 0, 0, 0};
    vixp2p_peer_id id_b;
    vixp2p_event *event = NULL;
    struct pollfd waiting;
    size_t number = 0;

    CHECK(vixp2p_node_id(b, &id_b) == VIXP2P_OK);
    CHECK(vixp2p_node_send(a, &id_b, "one", 3) == VIXP2P_OK);
    event = wait_for(b, VIXP2P_EVENT_MESSAGE);
    CHECK(memcmp(vixp2p_event_data(event, &number), "one", 3) == 0 && number == 3);
    CHECK(vixp2p_event_data(event, NULL) != NULL);
    vixp2p_event_free(event);
    CHECK_FAILS(INVALID, vixp2p_node_send(a, NULL, "x", 1));
    CHECK_FAILS(INVALID, vixp2p_node_send(a, &id_b, NULL, 1));
    CHECK_FAILS(VIXP2P_ERR_TOO_LARGE, vixp2p_node_send(a, &id_b, &counts, 17u << 20));
    CHECK_FAILS(INVALID, vixp2p_node_broadcast(a, NULL, 1, NULL));

    callback.userdata = events.userdata = &counts;
    CHECK(vixp2p_node_set_message_callback(b, &callback) == VIXP2P_OK);
    CHECK(vixp2p_node_set_event_callback(b, &events) == VIXP2P_OK);
    CHECK(vixp2p_node_broadcast(a, "two", 3, &number) == VIXP2P_OK && number == 1);
    CHECK(vixp2p_node_broadcast(a, NULL, 0, NULL) == VIXP2P_OK);
    waiting.fd = vixp2p_node_event_fd(b);
    waiting.events = POLLIN;
    CHECK(waiting.fd >= 0);
    while (counts.messages < 2) {
        CHECK(poll(&waiting, 1, PATIENCE_MS) == 1);
        CHECK(vixp2p_node_dispatch(b, 1, &number) >= 0 && number <= 1);
    }
    CHECK(vixp2p_node_set_message_callback(b, NULL) == VIXP2P_OK);
    CHECK(vixp2p_node_set_event_callback(b, NULL) == VIXP2P_OK);
    do {
        CHECK(vixp2p_node_next_event(b, &event) >= 0);
        vixp2p_event_free(event);
    } while (event != NULL);
    CHECK(vixp2p_node_wait_event(b, 0, &event) == VIXP2P_TIMEOUT);
    CHECK_FAILS(INVALID, vixp2p_node_next_event(b, NULL));
    CHECK_FAILS(INVALID, vixp2p_node_wait_event(b, 0, NULL));
}

static void records(vixp2p_node *a, vixp2p_node *b, Counts *counts)
{
    vixp2p_slice batch[2] = {{"second", 6}, {NULL, 0}};
    vixp2p_log_state states[4];
    vixp2p_log_id own, log;
    vixp2p_event *event;
    uint64_t first = 0, last = 0, applied = 0;
    size_t count = 4;

    CHECK(vixp2p_node_append(a, "first", 5, &first) == VIXP2P_OK && first == 1);
    CHECK_FAILS(INVALID, vixp2p_node_append(a, NULL, 1, NULL));
    CHECK(vixp2p_node_append_batch(a, batch, 2, &first, &last) == VIXP2P_OK && first == 2 && last == 3);
    CHECK_FAILS(INVALID, vixp2p_node_append_batch(a, NULL, 1, NULL, NULL));
    CHECK_FAILS(INVALID, vixp2p_node_append_batch(a, batch, 0, NULL, NULL));
    CHECK(vixp2p_node_own_log(a, &own) == VIXP2P_OK);
    CHECK_FAILS(INVALID, vixp2p_node_own_log(a, NULL));

    do {
        event = wait_for(b, VIXP2P_EVENT_STORED);
        CHECK(vixp2p_event_log(event, &log) == VIXP2P_OK && memcmp(&log, &own, sizeof own) == 0);
        CHECK_FAILS(INVALID, vixp2p_event_log(event, NULL));
        CHECK(vixp2p_event_seq(event) == 0 && vixp2p_event_count(event) == 0);
        last = vixp2p_event_durable(event);
        vixp2p_event_free(event);
    } while (last < 3);
    while (counts->records < 3) {
        CHECK(vixp2p_node_wait_event(b, 10, &event) >= 0);
        vixp2p_event_free(event);
    }
    do {
        event = wait_for(a, VIXP2P_EVENT_ACKED);
        applied = vixp2p_event_applied(event);
        CHECK(vixp2p_event_durable(event) >= applied);
        vixp2p_event_free(event);
    } while (applied < 3);

    CHECK(vixp2p_node_logs(b, states, sizeof *states, &count) == VIXP2P_OK && count >= 1);
    while (count > 0 && memcmp(&states[count - 1].log, &own, sizeof own) != 0) {
        --count;
    }
    CHECK(count > 0 && states[count - 1].durable == 3 && states[count - 1].applied == 3);
    CHECK_FAILS(INVALID, vixp2p_node_logs(b, NULL, sizeof *states, &count));
    CHECK_FAILS(INVALID, vixp2p_node_set_applied(b, &own, 1));
    CHECK_FAILS(INVALID, vixp2p_node_set_applied(b, NULL, 1));
}

/* What b says of itself, and a nothing. */
static void capabilities(vixp2p_node *a, vixp2p_node *b)
{
    vixp2p_capability_info said[3];
    vixp2p_peer_id id_a, id_b, nobody;
    size_t count = 3;

    memset(&nobody, 9, sizeof nobody);
    CHECK(vixp2p_node_id(a, &id_a) == VIXP2P_OK && vixp2p_node_id(b, &id_b) == VIXP2P_OK);
    CHECK(vixp2p_node_capabilities(a, &id_b, said, sizeof *said, &count) == VIXP2P_OK && count == 2);
    CHECK(said[0].struct_size == sizeof *said && strcmp(said[0].name, "proto") == 0 && strcmp(said[0].value, "1.0") == 0);
    CHECK(strcmp(said[1].name, "role") == 0 && strcmp(said[1].value, "archive") == 0);
    count = 1;
    CHECK_FAILS(VIXP2P_ERR_BUFFER_TOO_SMALL, vixp2p_node_capabilities(a, &id_b, said, sizeof *said, &count));
    CHECK(count == 2);
    CHECK(vixp2p_node_capabilities(b, &id_a, said, sizeof *said, &count) == VIXP2P_OK && count == 0);
    CHECK_FAILS(VIXP2P_ERR_NOT_CONNECTED, vixp2p_node_capabilities(a, &nobody, said, sizeof *said, &count));
    CHECK_FAILS(INVALID, vixp2p_node_capabilities(a, NULL, said, sizeof *said, &count));
    CHECK_FAILS(INVALID, vixp2p_node_capabilities(a, &id_b, said, sizeof *said, NULL));
}

/* a keeps its list in memory; b was pinned when it connected. */
static void trust(vixp2p_node *a, vixp2p_node *b)
{
    vixp2p_trust_info list[4];
    vixp2p_peer_id id_a, id_b, other;
    vixp2p_event *event;
    char endpoint[32], long_label[300];
    uint16_t port = 0;
    size_t count = 4;

    memset(&other, 9, sizeof other);
    memset(long_label, 'x', sizeof long_label);
    long_label[sizeof long_label - 1] = 0;
    CHECK(vixp2p_node_id(a, &id_a) == VIXP2P_OK && vixp2p_node_id(b, &id_b) == VIXP2P_OK);
    CHECK(vixp2p_node_trust_list(a, list, sizeof *list, &count) == VIXP2P_OK && count == 1);
    CHECK(memcmp(&list[0].id, &id_b, sizeof id_b) == 0 && list[0].state == VIXP2P_TRUST_STATE_PINNED);
    CHECK(strcmp(list[0].label, "b") == 0 && list[0].added_s > 0 && list[0].struct_size == sizeof *list);
    CHECK(vixp2p_node_trust(a, &other, "other") == VIXP2P_OK);
    count = 1;
    CHECK_FAILS(VIXP2P_ERR_BUFFER_TOO_SMALL, vixp2p_node_trust_list(a, list, sizeof *list, &count));
    CHECK(count == 2);
    CHECK_FAILS(INVALID, vixp2p_node_trust_list(a, NULL, sizeof *list, &count));
    CHECK_FAILS(INVALID, vixp2p_node_trust_list(a, list, sizeof *list, NULL));
    CHECK_FAILS(INVALID, vixp2p_node_trust(a, NULL, "x"));
    CHECK_FAILS(VIXP2P_ERR_UTF8, vixp2p_node_trust(a, &other, "\xff"));
    CHECK_FAILS(VIXP2P_ERR_TOO_LARGE, vixp2p_node_trust(a, &other, long_label));
    CHECK(vixp2p_node_forget_peer(a, &other) == VIXP2P_OK && vixp2p_node_forget_peer(a, &other) == VIXP2P_EMPTY);
    CHECK_FAILS(INVALID, vixp2p_node_forget_peer(a, NULL));

    CHECK_FAILS(INVALID, vixp2p_node_revoke(a, NULL));
    CHECK(vixp2p_node_revoke(a, &id_b) == VIXP2P_OK);
    event = wait_for(a, VIXP2P_EVENT_PEER_DISCONNECTED);
    CHECK(strcmp(vixp2p_event_reason(event), "revoked") == 0);
    vixp2p_event_free(event);
    event = wait_for(b, VIXP2P_EVENT_PEER_DISCONNECTED);
    CHECK(strcmp(vixp2p_event_reason(event), "revoked") == 0);
    vixp2p_event_free(event);

    /* Trusted again, b dials by key: the wrong one first. */
    CHECK(vixp2p_node_trust(a, &id_b, NULL) == VIXP2P_OK);
    CHECK(vixp2p_node_port(a, &port) == VIXP2P_OK);
    snprintf(endpoint, sizeof endpoint, "localhost:%u", (unsigned)port);
    CHECK_FAILS(INVALID, vixp2p_node_connect_peer(b, endpoint, NULL));
    CHECK_FAILS(INVALID, vixp2p_node_connect_peer(b, NULL, &id_a));
    CHECK(vixp2p_node_connect_peer(b, endpoint, &other) == VIXP2P_OK);
    do {
        event = wait_for(b, VIXP2P_EVENT_CONNECT_FAILED);
        count = strcmp(vixp2p_event_reason(event), "untrusted");
        vixp2p_event_free(event);
    } while (count != 0);
    CHECK(vixp2p_node_disconnect(b, &other) == VIXP2P_OK);
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", (unsigned)port);
    CHECK(vixp2p_node_connect_peer(b, endpoint, &id_a) == VIXP2P_OK);
    vixp2p_event_free(wait_for(b, VIXP2P_EVENT_PEER_CONNECTED));
}

/* The next request, which begins and ends like this, gets that answer. */
static void answer(int listener, const char *begin, const char *end, const char *body)
{
    struct pollfd ready = {listener, POLLIN, 0};
    char request[2048] = "", text[512];
    size_t got = 0;
    ssize_t more;
    int stream;

    CHECK(poll(&ready, 1, PATIENCE_MS) == 1);
    stream = accept(listener, NULL, NULL);
    CHECK(stream >= 0);
    while (strstr(request, end) == NULL) {
        more = read(stream, request + got, sizeof request - 1 - got);
        CHECK(more > 0);
        got += (size_t)more;
        request[got] = 0;
    }
    CHECK(strncmp(request, begin, strlen(begin)) == 0);
    CHECK(strstr(request, "Bearer open-sesame\r\n") != NULL);
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n%s", (unsigned)strlen(body), body);
    CHECK(write(stream, text, strlen(text)) == (ssize_t)strlen(text));
    CHECK(close(stream) == 0);
}

/* Messages that say what became of them, and the ways they take; b is connected to a. */
static void routes(vixp2p_node *b, const vixp2p_peer_id *id_a)
{
    vixp2p_peer_id nobody, hop, me;
    vixp2p_event *event;
    uint64_t number = 0;
    uint32_t ttl = 0;
    int32_t via = -1;

    memset(&nobody, 0x66, sizeof nobody);
    nobody.bytes[0] = 0x58;
    CHECK(vixp2p_node_id(b, &me) == VIXP2P_OK);
    CHECK(vixp2p_node_send_to(b, id_a, "by the link", 11, 0, &number) == VIXP2P_OK && number > 0);
    event = wait_for(b, VIXP2P_EVENT_DELIVERED);
    CHECK(vixp2p_event_message_number(event) == number);
    vixp2p_event_free(event);
    CHECK(vixp2p_node_route_resolve(b, id_a, &hop, &via, &ttl) == VIXP2P_OK);
    CHECK(memcmp(&hop, id_a, sizeof hop) == 0 && via == 0 && ttl == 8);

    CHECK(vixp2p_node_route_resolve(b, &nobody, NULL, NULL, NULL) == VIXP2P_EMPTY);
    CHECK(vixp2p_node_route_set(b, &nobody, id_a, 3) == VIXP2P_OK);
    CHECK(vixp2p_node_route_resolve(b, &nobody, &hop, &via, &ttl) == VIXP2P_OK && via == 1 && ttl == 3);
    CHECK_FAILS(INVALID, vixp2p_node_route_set(b, &nobody, id_a, 9));
    CHECK_FAILS(INVALID, vixp2p_node_route_set(b, &nobody, id_a, 300));
    CHECK_FAILS(INVALID, vixp2p_node_route_set(b, &me, id_a, 0));
    CHECK(vixp2p_node_route_remove(b, &nobody) == VIXP2P_OK);
    CHECK(vixp2p_node_route_remove(b, &nobody) == VIXP2P_EMPTY);
    CHECK_FAILS(INVALID, vixp2p_node_send_to(b, &me, "x", 1, 0, NULL));
    CHECK_FAILS(INVALID, vixp2p_node_send_to(b, &nobody, NULL, 1, 0, NULL));
    CHECK(vixp2p_node_send_to(b, &nobody, "lost", 4, 200, &number) == VIXP2P_OK);
    event = wait_for(b, VIXP2P_EVENT_UNDELIVERED);
    CHECK(vixp2p_event_message_number(event) == number && strcmp(vixp2p_event_reason(event), "no_route") == 0);
    CHECK(vixp2p_event_peer(event, &hop) == VIXP2P_OK && memcmp(&hop, &nobody, sizeof hop) == 0);
    vixp2p_event_free(event);
}

/* A registry names a to a node that asks it. */
static void registry(const vixp2p_node *a)
{
    vixp2p_node_options options = loopback("asker", VIXP2P_DELIVERY_POLL);
    vixp2p_registry_peer peers[2];
    vixp2p_node *node;
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    char url[64], list[128];
    uint16_t port = 0;
    size_t count = 2;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 8) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    CHECK(vixp2p_node_port(a, &port) == VIXP2P_OK);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/p2p/v1", (unsigned)ntohs(address.sin_port));
    snprintf(list, sizeof list, "{\"peers\":[{\"node_id\":\"a\",\"host\":\"127.0.0.1\",\"tcp_port\":%u}]}", (unsigned)port);

    options.registry_url = url;
    options.registry_token = "open-sesame";
    options.registry_announce_host = "asker.example";
    options.announce_port = 4711;
    options.registry_mode = VIXP2P_REGISTRY_PULL_AND_ANNOUNCE;
    options.registry_max_peers_per_poll = 7;
    options.registry_ca = "no PEM text, and the address is not https";
    CHECK_FAILS(INVALID, vixp2p_node_create(&options, &node));
    options.registry_ca = NULL;
    node = create_and_start(&options);
    answer(listener, "POST /p2p/v1/announce HTTP/1.1\r\n", "\"tcp_port\":4711,\"cap\":{\"proto\":\"1.0\",\"transport\":\"tcp\"},\"host\":\"asker.example\"}",
           "{\"ok\":true}");
    answer(listener, "GET /p2p/v1/peers?limit=7 HTTP/1.1\r\n", "\r\n\r\n", list);
    vixp2p_event_free(wait_for(node, VIXP2P_EVENT_PEER_CONNECTED));
    CHECK(vixp2p_node_registry_peers(node, peers, sizeof *peers, &count) == VIXP2P_OK && count == 1);
    CHECK(strcmp(peers[0].node_id, "a") == 0 && strcmp(peers[0].host, "127.0.0.1") == 0);
    CHECK(peers[0].tcp_port == port && peers[0].struct_size == sizeof *peers);
    count = 0;
    CHECK_FAILS(VIXP2P_ERR_BUFFER_TOO_SMALL, vixp2p_node_registry_peers(node, NULL, sizeof *peers, &count));
    CHECK(count == 1);
    CHECK_FAILS(INVALID, vixp2p_node_registry_peers(node, NULL, sizeof *peers, &count));
    CHECK_FAILS(INVALID, vixp2p_node_registry_peers(node, peers, sizeof *peers, NULL));
    vixp2p_node_destroy(node);
    CHECK(close(listener) == 0);
}

static void endings(vixp2p_node *a, vixp2p_node *b, Counts *counts)
{
    vixp2p_log_callback log = {on_log, NULL, NULL}, process = {NULL, NULL, NULL};
    vixp2p_apply_callback apply = {on_apply, NULL, NULL};
    vixp2p_cursor_callback cursor = {on_cursor, NULL, NULL};
    vixp2p_log_id unknown;
    vixp2p_peer_id id_a;
    vixp2p_peer_id renewed;
    vixp2p_event *event;

    log.userdata = counts;
    process.fn = on_process_log;
    CHECK_FAILS(INVALID, vixp2p_set_process_log(99, &process));
    CHECK_FAILS(INVALID, vixp2p_set_process_log(VIXP2P_LOG_TRACE, NULL));
    swept_node = b;
    CHECK(vixp2p_set_process_log(VIXP2P_LOG_TRACE, &process) == VIXP2P_OK);
    CHECK(vixp2p_node_id(a, &id_a) == VIXP2P_OK);
    CHECK(vixp2p_node_set_log_callback(b, &log) == VIXP2P_OK);
    CHECK(vixp2p_node_set_log_level(b, VIXP2P_LOG_TRACE) == VIXP2P_OK);
    CHECK_FAILS(INVALID, vixp2p_node_set_log_level(b, 99));
    CHECK(vixp2p_node_network_changed(b) == VIXP2P_OK);
    CHECK(vixp2p_node_forget_endpoint(b, "127.0.0.1:1") == VIXP2P_OK);
    CHECK_FAILS(INVALID, vixp2p_node_forget_endpoint(b, "no port"));
    CHECK_FAILS(INVALID, vixp2p_node_forget_endpoint(b, NULL));
    CHECK_FAILS(INVALID, vixp2p_node_rekey(b, NULL));
    CHECK(vixp2p_node_rekey(b, &id_a) == VIXP2P_OK);
    event = wait_for(b, VIXP2P_EVENT_FRESH_KEYS);
    CHECK(vixp2p_event_peer(event, &renewed) == VIXP2P_OK && memcmp(&renewed, &id_a, sizeof renewed) == 0);
    vixp2p_event_free(event);
    routes(b, &id_a);
    CHECK_FAILS(INVALID, vixp2p_node_disconnect(b, NULL));
    CHECK(vixp2p_node_disconnect(b, &id_a) == VIXP2P_OK);
    event = wait_for(b, VIXP2P_EVENT_PEER_DISCONNECTED);
    CHECK(vixp2p_event_reason(event) != NULL && vixp2p_event_connected(event) == 0);
    vixp2p_event_free(event);

    CHECK(vixp2p_node_stop(b, -1) == VIXP2P_OK);
    CHECK(vixp2p_node_stop(b, -1) == VIXP2P_ALREADY);
    vixp2p_event_free(wait_for(b, VIXP2P_EVENT_STOPPED));
    CHECK_FAILS(VIXP2P_ERR_STOPPED, vixp2p_node_wait_event(b, -1, &event));
    CHECK_FAILS(VIXP2P_ERR_STOPPED, vixp2p_node_send(b, &id_a, "x", 1));
    CHECK(counts->lines > 0 && process_heard);
    CHECK(vixp2p_clear_process_log() == VIXP2P_OK);
    memset(&unknown, 0, sizeof unknown);
    CHECK(vixp2p_node_set_applied(b, &unknown, 0) == VIXP2P_OK);
    CHECK_FAILS(INVALID, vixp2p_node_apply_resume(b, &unknown, 1));
    CHECK_FAILS(INVALID, vixp2p_node_apply_resume(b, NULL, VIXP2P_APPLY_POISON));
    CHECK(vixp2p_node_set_cursor_callback(b, &cursor) == VIXP2P_OK);
    CHECK(vixp2p_node_set_apply_callback(b, &apply) == VIXP2P_OK);
    CHECK(vixp2p_node_set_log_callback(b, NULL) == VIXP2P_OK);
    CHECK(vixp2p_node_start(b) == VIXP2P_OK);
}

/* Two nodes of one process, with no socket between them. */
static void in_memory(void)
{
    const char *places[] = {"mem://sweep"};
    vixp2p_node_options options = VIXP2P_NODE_OPTIONS_INIT;
    vixp2p_node *a, *b;
    vixp2p_event *event;
    options.delivery = VIXP2P_DELIVERY_POLL;
    options.log_level = VIXP2P_LOG_OFF;
    b = create_and_start(&options);
    options.listen_also = places;
    options.listen_also_count = 1;
    options.flags = VIXP2P_FLAG_NO_REMEMBER;
    a = create_and_start(&options);
    CHECK(vixp2p_node_connect(b, "mem://sweep") == VIXP2P_OK);
    event = wait_for(b, VIXP2P_EVENT_PEER_CONNECTED);
    CHECK(strcmp(vixp2p_event_endpoint(event), "mem://sweep") == 0);
    vixp2p_event_free(event);
    vixp2p_node_destroy(b);
    vixp2p_node_destroy(a);
}

/* Two nodes that say nothing but on the loopback interface, on a port of this process. */
static void discovery(void)
{
    vixp2p_node_options options = loopback("seeker", VIXP2P_DELIVERY_POLL);
    vixp2p_discovered_info list[8];
    vixp2p_node *seeker, *found;
    vixp2p_event *event;
    size_t count = 0;

    options.discovery = VIXP2P_DISCOVERY_MULTICAST;
    options.discovery_port = 40000 + (uint32_t)getpid() % 20000;
    options.discovery_interval_ms = 100;
    options.discovery_group = "239.255.0.77";
    options.discovery_interfaces = "lo";
    seeker = create_and_start(&options);
    options.node_id = "found";
    found = create_and_start(&options);
    event = wait_for(seeker, VIXP2P_EVENT_PEER_DISCOVERED);
    CHECK(strcmp(vixp2p_event_node_id(event), "found") == 0);
    CHECK(strncmp(vixp2p_event_endpoint(event), "tcp://127.0.0.1:", 16) == 0);
    vixp2p_event_free(event);
    vixp2p_event_free(wait_for(found, VIXP2P_EVENT_PEER_CONNECTED));
    CHECK_FAILS(VIXP2P_ERR_BUFFER_TOO_SMALL, vixp2p_node_discovered(seeker, NULL, sizeof *list, &count));
    CHECK(count == 1);
    CHECK(vixp2p_node_discovered(seeker, list, sizeof *list, &count) == VIXP2P_OK && count == 1);
    CHECK(strcmp(list[0].node_id, "found") == 0 && list[0].last_seen_ms_ago >= 0 && list[0].struct_size == sizeof *list);
    CHECK((list[0].flags & VIXP2P_DISCOVERED_AUTHENTICATED) == 0);
    CHECK_FAILS(INVALID, vixp2p_node_discovered(seeker, NULL, sizeof *list, &count));
    CHECK_FAILS(INVALID, vixp2p_node_discovered(seeker, list, sizeof *list, NULL));
    vixp2p_node_destroy(found);
    vixp2p_node_destroy(seeker);
    /* mDNS speaks to port 5353, which is not this process's own: the node is made and not started. */
    options.flags |= VIXP2P_FLAG_MDNS;
    options.discovery = VIXP2P_DISCOVERY_OFF;
    CHECK(vixp2p_node_create(&options, &seeker) == VIXP2P_OK);
    vixp2p_node_destroy(seeker);
}

int main(void)
{
    vixp2p_capability of_b[2] = {{"role", "archive"}, {"proto", "1.0"}};
    vixp2p_node_options options_b = loopback("b", VIXP2P_DELIVERY_POLL);
    Counts counts = {0, 0, 0, 0};
    vixp2p_node *a, *b;

    versions_and_texts();
    peer_ids();
    options();
    invites();
    sealed_key();
    buffered();
    in_memory();
    no_node(NULL);
    no_event();
    discovery();
    a = polled("a");
    options_b.apply.fn = on_apply;
    options_b.apply.userdata = &counts;
    options_b.capabilities = of_b;
    options_b.capabilities_count = 2;
    b = create_and_start(&options_b);
    connecting(a, b);
    capabilities(a, b);
    messages(a, b);
    records(a, b, &counts);
    trust(a, b);
    registry(a);
    endings(a, b, &counts);
    vixp2p_node_destroy(b);
    vixp2p_node_destroy(a);
    no_node(a);
    return 0;
}
