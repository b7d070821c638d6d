/* The last value of each key: on two nodes, over a restart, and every function called as it should not be. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "check.h"

#define INVALID VIXP2P_ERR_INVALID

static int32_t on_apply(void *userdata, const vixp2p_record *record)
{
    (void)userdata;
    (void)record;
    return VIXP2P_APPLY_OK;
}

static int32_t on_cursor(void *userdata, const vixp2p_log_id *log, uint64_t *out_seq)
{
    (void)userdata;
    (void)log;
    (void)out_seq;
    return 0;
}

static void put(vixp2p_node *node, const char *key, const char *value)
{
    CHECK(vixp2p_values_put(node, key, strlen(key), value, strlen(value)) == VIXP2P_OK);
}

/* Whether the key has this value; NULL: none. */
static int has(vixp2p_node *node, const char *key, const char *value)
{
    char out[64];
    size_t len = sizeof out;
    vixp2p_status status = vixp2p_values_get(node, key, strlen(key), out, &len);
    CHECK(status == VIXP2P_OK || (status == VIXP2P_EMPTY && len == 0));
    if (value == NULL || status != VIXP2P_OK) {
        return value == NULL && status != VIXP2P_OK;
    }
    return len == strlen(value) && memcmp(out, value, len) == 0;
}

static void until(vixp2p_node *node, const char *key, const char *value)
{
    while (!has(node, key, value)) {
        vixp2p_event *event = NULL;
        CHECK(vixp2p_node_wait_event(node, 50, &event) >= 0);
        vixp2p_event_free(event);
    }
}

/* Every key, each with a comma behind it. */
static void keys(vixp2p_node *node, char *text)
{
    char key[64];
    size_t last = 0, len = sizeof key;
    vixp2p_status status = vixp2p_values_next_key(node, NULL, 0, key, &len);
    *text = 0;
    while (status == VIXP2P_OK) {
        sprintf(text + strlen(text), "%.*s,", (int)len, key);
        last = len;
        len = sizeof key;
        status = vixp2p_values_next_key(node, key, last, key, &len);
    }
    CHECK(status == VIXP2P_EMPTY && len == 0);
}

static void refused(void)
{
    vixp2p_node_options options = loopback("x", VIXP2P_DELIVERY_POLL);
    vixp2p_node *node = NULL;
    vixp2p_apply_callback apply = {on_apply, NULL, NULL};
    vixp2p_cursor_callback cursor = {on_cursor, NULL, NULL};
    size_t len = 0;
    CHECK_FAILS(VIXP2P_ERR_BAD_HANDLE, vixp2p_values_keep(NULL));
    CHECK(vixp2p_node_create(&options, &node) == VIXP2P_OK);
    CHECK_FAILS(INVALID, vixp2p_values_put(node, "k", 1, "v", 1));
    CHECK_FAILS(INVALID, vixp2p_values_remove(node, "k", 1));
    CHECK_FAILS(INVALID, vixp2p_values_get(node, "k", 1, NULL, &len));
    CHECK_FAILS(INVALID, vixp2p_values_next_key(node, NULL, 0, NULL, &len));
    CHECK(vixp2p_node_set_apply_callback(node, &apply) == VIXP2P_OK);
    CHECK_FAILS(INVALID, vixp2p_values_keep(node));
    CHECK(vixp2p_node_set_apply_callback(node, NULL) == VIXP2P_OK);
    CHECK(vixp2p_node_set_cursor_callback(node, &cursor) == VIXP2P_OK);
    CHECK_FAILS(INVALID, vixp2p_values_keep(node));
    CHECK(vixp2p_node_set_cursor_callback(node, NULL) == VIXP2P_OK);
    CHECK(vixp2p_node_start(node) == VIXP2P_OK);
    CHECK_FAILS(INVALID, vixp2p_values_keep(node));
    vixp2p_node_destroy(node);
}

int main(void)
{
    vixp2p_node_options options = loopback("a", VIXP2P_DELIVERY_POLL);
    vixp2p_apply_callback apply = {on_apply, NULL, NULL};
    vixp2p_node *a = NULL, *b = NULL;
    char dir[] = "/tmp/vixp2p-values-XXXXXX", text[256], *large;
    size_t len = 0;

    refused();
    CHECK(mkdtemp(dir) != NULL);
    options.data_dir = dir;
    CHECK(vixp2p_node_create(&options, &a) == VIXP2P_OK);
    CHECK(vixp2p_values_keep(a) == VIXP2P_OK && vixp2p_values_keep(a) == VIXP2P_ALREADY);
    CHECK_FAILS(INVALID, vixp2p_node_set_apply_callback(a, &apply));
    CHECK_FAILS(INVALID, vixp2p_node_set_cursor_callback(a, NULL));
    CHECK_FAILS(INVALID, vixp2p_node_set_snapshot_callback(a, NULL));
    put(a, "before the start", "there");
    CHECK(has(a, "before the start", "there") && vixp2p_values_remove(a, "before the start", 16) == VIXP2P_OK);
    CHECK(vixp2p_node_start(a) == VIXP2P_OK);
    options = loopback("b", VIXP2P_DELIVERY_POLL);
    CHECK(vixp2p_node_create(&options, &b) == VIXP2P_OK && vixp2p_values_keep(b) == VIXP2P_OK && vixp2p_node_start(b) == VIXP2P_OK);
    join_polled(a, b);

    put(a, "two", "2");
    put(a, "one", "1");
    CHECK(vixp2p_values_put(a, "empty", 5, NULL, 0) == VIXP2P_OK);
    CHECK(vixp2p_values_put(a, NULL, 0, "of no key", 9) == VIXP2P_OK);
    put(a, "gone", "x");
    CHECK(vixp2p_values_remove(a, "gone", 4) == VIXP2P_OK && vixp2p_values_remove(a, "never there", 11) == VIXP2P_OK);
    put(a, "last", "a");
    until(b, "last", "a");
    CHECK(has(b, "two", "2") && has(b, "empty", "") && has(b, "", "of no key") && has(b, "gone", NULL));
    put(b, "last", "b");
    until(a, "last", "b");
    keys(a, text);
    CHECK(strcmp(text, ",empty,last,one,two,") == 0);
    keys(b, text);
    CHECK(strcmp(text, ",empty,last,one,two,") == 0);

    CHECK_FAILS(VIXP2P_ERR_BUFFER_TOO_SMALL, vixp2p_values_get(a, "", 0, NULL, &len));
    CHECK(len == 9);
    len = 2;
    CHECK_FAILS(VIXP2P_ERR_BUFFER_TOO_SMALL, vixp2p_values_next_key(a, "", 0, text, &len));
    CHECK(len == 5);
    len = 1;
    CHECK_FAILS(INVALID, vixp2p_values_get(a, "one", 3, NULL, &len));
    CHECK_FAILS(INVALID, vixp2p_values_get(a, "one", 3, text, NULL));
    CHECK_FAILS(INVALID, vixp2p_values_next_key(a, NULL, 0, NULL, &len));
    CHECK_FAILS(INVALID, vixp2p_values_next_key(a, NULL, 1, text, &len));
    CHECK_FAILS(INVALID, vixp2p_values_next_key(a, NULL, 0, text, NULL));
    CHECK_FAILS(INVALID, vixp2p_values_put(a, "k", 1, NULL, 1));
    CHECK_FAILS(INVALID, vixp2p_values_put(a, NULL, 1, "v", 1));
    CHECK_FAILS(INVALID, vixp2p_values_remove(a, NULL, 1));
    len = sizeof text;
    CHECK_FAILS(INVALID, vixp2p_values_get(a, NULL, 1, text, &len));
    large = (char *)calloc(1, 2 * 1024 * 1024);
    CHECK(large != NULL);
    CHECK_FAILS(VIXP2P_ERR_TOO_LARGE, vixp2p_values_put(a, large, 65536, "v", 1));
    CHECK_FAILS(VIXP2P_ERR_TOO_LARGE, vixp2p_values_put(a, "k", 1, large, 1024 * 1024 - 15));
    CHECK(vixp2p_values_put(a, "k", 1, large, 1024 * 1024 - 16) == VIXP2P_OK);
    CHECK(vixp2p_values_remove(a, "k", 1) == VIXP2P_OK);
    free(large);

    /* There again in another life. */
    CHECK(vixp2p_snapshot_make(a) == VIXP2P_OK);
    vixp2p_node_destroy(a);
    options = loopback("a", VIXP2P_DELIVERY_POLL);
    options.data_dir = dir;
    a = NULL;
    CHECK(vixp2p_node_create(&options, &a) == VIXP2P_OK && vixp2p_values_keep(a) == VIXP2P_OK);
    CHECK(has(a, "last", "b") && has(a, "one", "1") && has(a, "k", NULL));
    vixp2p_node_destroy(a);
    vixp2p_node_destroy(b);
    snprintf(text, sizeof text, "rm -r %s", dir);
    CHECK(system(text) == 0);
    return 0;
}
