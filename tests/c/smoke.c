/* The shortest whole story: two nodes meet, a message goes over, a record is replicated and applied, both end. */
#include "check.h"

static int32_t apply(void *userdata, const vixp2p_record *record)
{
    CHECK(record->seq == 1);
    CHECK(record->len == 6 && memcmp(record->data, "record", 6) == 0);
    ++*(int *)userdata;
    return VIXP2P_APPLY_OK;
}

int main(void)
{
    vixp2p_node_options options = loopback("b", VIXP2P_DELIVERY_POLL);
    vixp2p_node *a = polled("a"), *b;
    vixp2p_event *event;
    vixp2p_peer_id id_a, id_b;
    uint64_t seq = 0;
    size_t len = 0;
    int applied = 0;

    CHECK(VIXP2P_CHECK_ABI());
    options.apply.fn = apply;
    options.apply.userdata = &applied;
    b = create_and_start(&options);
    join_polled(a, b);
    CHECK(vixp2p_node_id(a, &id_a) == VIXP2P_OK);
    CHECK(vixp2p_node_id(b, &id_b) == VIXP2P_OK);

    CHECK(vixp2p_node_send(a, &id_b, "message", 7) == VIXP2P_OK);
    event = wait_for(b, VIXP2P_EVENT_MESSAGE);
    CHECK(memcmp(vixp2p_event_data(event, &len), "message", 7) == 0 && len == 7);
    vixp2p_event_free(event);

    CHECK(vixp2p_node_append(a, "record", 6, &seq) == VIXP2P_OK);
    CHECK(seq == 1);
    vixp2p_event_free(wait_for(b, VIXP2P_EVENT_STORED));
    /* The record is applied by the calls that take events. */
    while (applied == 0) {
        event = NULL;
        CHECK(vixp2p_node_wait_event(b, 10, &event) >= 0);
        vixp2p_event_free(event);
    }
    for (seq = 0; seq != 1;) {
        event = wait_for(a, VIXP2P_EVENT_ACKED);
        seq = vixp2p_event_applied(event);
        vixp2p_event_free(event);
    }
    vixp2p_node_destroy(b);
    vixp2p_node_destroy(a);
    CHECK(applied == 1);
    return 0;
}
