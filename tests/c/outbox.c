/* Operations: every function of the outbox, called as it should be and as it should not. */
#include "check.h"

#define BAD VIXP2P_ERR_BAD_HANDLE
#define INVALID VIXP2P_ERR_INVALID

static const vixp2p_operation *claim(vixp2p_node *node)
{
    const vixp2p_operation *operation = NULL;
    CHECK(vixp2p_outbox_claim(node, PATIENCE_MS, &operation) == VIXP2P_OK);
    CHECK(operation->struct_size == sizeof *operation);
    return operation;
}

static void nothing(vixp2p_node *node)
{
    const vixp2p_operation *operation = (const vixp2p_operation *)node;
    vixp2p_op_id id;
    size_t count = 0;
    memset(&id, 0, sizeof id);
    CHECK_FAILS(BAD, vixp2p_outbox_put(NULL, NULL, "k", NULL, 0, NULL, 0, NULL));
    CHECK_FAILS(BAD, vixp2p_outbox_claim(NULL, 0, &operation));
    CHECK(operation == NULL);
    CHECK_FAILS(BAD, vixp2p_outbox_done(NULL, &id));
    CHECK_FAILS(BAD, vixp2p_outbox_fail(NULL, &id, 0, NULL));
    CHECK_FAILS(BAD, vixp2p_outbox_list(NULL, NULL, 0, &count));
    CHECK_FAILS(BAD, vixp2p_outbox_prune(NULL, NULL, NULL));
    vixp2p_operation_free(NULL);
    CHECK_FAILS(INVALID, vixp2p_outbox_put(node, NULL, NULL, NULL, 0, NULL, 0, NULL));
    CHECK_FAILS(INVALID, vixp2p_outbox_put(node, NULL, "k", NULL, 1, NULL, 0, NULL));
    CHECK_FAILS(INVALID, vixp2p_outbox_claim(node, 0, NULL));
    CHECK_FAILS(INVALID, vixp2p_outbox_done(node, NULL));
    CHECK_FAILS(INVALID, vixp2p_outbox_done(node, &id));
    CHECK_FAILS(INVALID, vixp2p_outbox_fail(node, &id, 1, "why"));
    CHECK_FAILS(VIXP2P_ERR_TOO_LARGE, vixp2p_outbox_put(node, NULL, "k", "k", 65, NULL, 0, NULL));
    CHECK(vixp2p_outbox_claim(node, 0, &operation) == VIXP2P_EMPTY && operation == NULL);
    CHECK(vixp2p_outbox_claim(node, 1, &operation) == VIXP2P_TIMEOUT && operation == NULL);
    CHECK(vixp2p_outbox_prune(node, NULL, &count) == VIXP2P_EMPTY && count == 0);
}

static vixp2p_outbox_info only(vixp2p_node *node)
{
    vixp2p_outbox_info list[4];
    size_t count = 0;
    CHECK_FAILS(VIXP2P_ERR_BUFFER_TOO_SMALL, vixp2p_outbox_list(node, NULL, sizeof *list, &count));
    CHECK(count == 1);
    count = 4;
    CHECK(vixp2p_outbox_list(node, list, sizeof *list, &count) == VIXP2P_OK && count == 1);
    CHECK(list[0].struct_size == sizeof *list);
    return list[0];
}

int main(void)
{
    vixp2p_node *a = polled("a"), *b = polled("b");
    const vixp2p_operation *operation;
    vixp2p_outbox_info info;
    vixp2p_event *event;
    vixp2p_peer_id id_a, id_b, told;
    vixp2p_op_id id, other;
    size_t count = 0;
    int32_t state = -1;

    nothing(a);
    CHECK(vixp2p_node_id(b, &id_b) == VIXP2P_OK);
    memset(&id, 0, sizeof id);
    CHECK_FAILS(BAD, vixp2p_outbox_wait(NULL, &id, 0, NULL));
    CHECK(vixp2p_outbox_put(a, &id_b, "mail", "key", 3, "hello", 5, &id) == VIXP2P_OK);
    info = only(a);
    CHECK(info.state == VIXP2P_OUTBOX_PENDING && info.flags == 0 && strcmp(info.kind, "mail") == 0);
    CHECK(info.key_len == 3 && memcmp(info.key, "key", 3) == 0);
    CHECK(vixp2p_outbox_wait(a, &id, 1, &state) == VIXP2P_TIMEOUT && state == VIXP2P_OUTBOX_PENDING);
    CHECK(memcmp(&info.target, &id_b, sizeof id_b) == 0 && memcmp(&info.id, &id, sizeof id) == 0);
    join_polled(a, b);
    operation = claim(b);
    CHECK(memcmp(&operation->id, &id, sizeof id) == 0 && operation->attempt == 1 && strcmp(operation->kind, "mail") == 0);
    CHECK(operation->len == 5 && memcmp(operation->data, "hello", 5) == 0);
    CHECK(operation->key_len == 3 && memcmp(operation->key, "key", 3) == 0);
    vixp2p_operation_free(operation);
    info = only(b);
    CHECK(info.state == VIXP2P_OUTBOX_IN_FLIGHT && info.flags == VIXP2P_OUTBOX_RECEIVED);
    CHECK(vixp2p_outbox_fail(b, &id, 0, "not now") == VIXP2P_OK);
    info = only(b);
    CHECK(info.state == VIXP2P_OUTBOX_FAILED && strcmp(info.detail, "not now") == 0 && info.attempts == 1);
    operation = claim(b);
    CHECK(operation->attempt == 2);
    vixp2p_operation_free(operation);
    CHECK(vixp2p_outbox_done(b, &id) == VIXP2P_OK);
    CHECK_FAILS(INVALID, vixp2p_outbox_done(b, &id));
    CHECK(vixp2p_outbox_wait(a, &id, PATIENCE_MS, &state) == VIXP2P_OK && state == VIXP2P_OUTBOX_DONE);
    CHECK(vixp2p_outbox_prune(a, NULL, &count) == VIXP2P_OK && count == 1);
    CHECK_FAILS(INVALID, vixp2p_outbox_wait(a, &id, 0, NULL));
    CHECK_FAILS(INVALID, vixp2p_outbox_wait(a, NULL, 0, NULL));
    CHECK(vixp2p_outbox_put(a, NULL, "news", NULL, 0, NULL, 0, &other) == VIXP2P_OK);
    info = only(a);
    CHECK(info.flags == VIXP2P_OUTBOX_FOR_ALL);
    CHECK(vixp2p_outbox_prune(a, &other, &count) == VIXP2P_OK && count == 1);
    CHECK(vixp2p_node_id(a, &id_a) == VIXP2P_OK);
    CHECK(vixp2p_outbox_put(a, &id_a, "k", NULL, 0, NULL, 0, NULL) == INVALID);
    id_a.bytes[0] ^= 1;
    CHECK_FAILS(INVALID, vixp2p_outbox_ask(a, NULL, &id_a, 1));
    CHECK_FAILS(VIXP2P_ERR_NOT_CONNECTED, vixp2p_outbox_ask(a, &id_a, &id_a, 1));
    CHECK(vixp2p_outbox_ask(a, &id_b, &id_a, 9) == VIXP2P_OK);
    event = wait_for(b, VIXP2P_EVENT_OUTBOX_PULLED);
    CHECK(vixp2p_event_target(event, &told) == VIXP2P_OK && memcmp(&told, &id_a, sizeof told) == 0);
    CHECK(vixp2p_event_count(event) == 9);
    vixp2p_event_free(event);
    event = wait_for(a, VIXP2P_EVENT_OUTBOX_HELD);
    CHECK(vixp2p_event_target(event, &told) == VIXP2P_OK && vixp2p_event_count(event) == 0);
    CHECK_FAILS(INVALID, vixp2p_event_target(event, NULL));
    vixp2p_event_free(event);
    CHECK_FAILS(BAD, vixp2p_event_target(NULL, &told));
    CHECK_FAILS(BAD, vixp2p_outbox_ask(NULL, &id_b, &id_a, 1));
    CHECK(vixp2p_node_stop(b, -1) == VIXP2P_OK);
    CHECK_FAILS(VIXP2P_ERR_STOPPED, vixp2p_outbox_claim(b, -1, &operation));
    vixp2p_node_destroy(b);
    vixp2p_node_destroy(a);
    return 0;
}
