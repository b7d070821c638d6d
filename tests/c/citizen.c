/*
 * The library as a guest: it writes nothing to standard output and error, leaves signal handlers alone, reads no environment
 * variable of its own, and its threads block every signal and carry its name. The program interposes what it watches, so it is linked with
 * the shared library; Linux only. Compiles as C99 and as C++11.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <vixp2p.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned environment_reads;
static char last_read[64];

/* Calls of the library land here: the program's symbols come first. */
#ifdef __cplusplus
extern "C" {
#endif
char *getenv(const char *name)
#ifdef __cplusplus
    noexcept
#endif
    ;
char *getenv(const char *name)
#ifdef __cplusplus
    noexcept
#endif
{
    /* Tuning of the crypto and I/O libraries underneath; the header says so. */
    if (strcmp(name, "OPENSSL_ia32cap") != 0 && strcmp(name, "TOKIO_UNSTABLE_SHARDED_BLOCKING_QUEUE") != 0) {
        environment_reads++;
        strncpy(last_read, name, sizeof last_read - 1);
    }
    return NULL;
}
#ifdef __cplusplus
}
#endif

static int real_stderr = 2;

#define CHECK(condition)                                                                             \
    do {                                                                                             \
        if (!(condition)) {                                                                          \
            const char *why = vixp2p_last_error_message();                                           \
            dprintf(real_stderr, "%s:%d: %s is false; last error: %s; last variable read: %s\n", __FILE__, __LINE__, \
                    #condition, why ? why : "none", last_read);                                      \
            exit(1);                                                                                 \
        }                                                                                            \
    } while (0)

/* The handlers of all signals, compared as bytes of what matters. */
static void handlers(void (*out[65])(int))
{
    int signal_number;
    out[0] = NULL;
    for (signal_number = 1; signal_number < 65; signal_number++) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        out[signal_number] = NULL;
        if (sigaction(signal_number, NULL, &action) == 0)
            out[signal_number] = action.sa_handler;
    }
}

/* Every thread but this one is the library's: looks at its name and signal mask. */
static unsigned check_threads(void)
{
    unsigned ours = 0;
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    CHECK(tasks != NULL);
    while ((task = readdir(tasks)) != NULL) {
        char path[300], line[256], name[64] = "";
        unsigned long long blocked = 0;
        FILE *status;
        if (task->d_name[0] == '.' || atol(task->d_name) == (long)getpid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        status = fopen(path, "r");
        if (status == NULL)
            continue; /* it has just ended */
        while (fgets(line, sizeof line, status) != NULL) {
            sscanf(line, "Name: %63s", name);
            sscanf(line, "SigBlk: %llx", &blocked);
        }
        fclose(status);
        CHECK(strncmp(name, "vixp2p-", 7) == 0);
        /* All but KILL and STOP, which cannot be blocked, and the C library's own 32 and 33. */
        CHECK((blocked | 1ULL << 8 | 1ULL << 18 | 3ULL << 31) == ~0ULL);
        ours++;
    }
    closedir(tasks);
    return ours;
}

int main(void)
{
    void (*before[65])(int);
    void (*after[65])(int);
    vixp2p_node_options options = VIXP2P_NODE_OPTIONS_INIT;
    vixp2p_node *node = NULL;
    vixp2p_event *event = NULL;
    int spoken[2];
    char byte;

    CHECK(pipe(spoken) == 0);
    real_stderr = dup(2);
    CHECK(dup2(spoken[1], 1) == 1 && dup2(spoken[1], 2) == 2);
    handlers(before);
    environment_reads = 0;

    options.node_id = "citizen";
    options.listen = VIXP2P_LISTEN_ON;
    options.listen_host = "127.0.0.1";
    options.delivery = VIXP2P_DELIVERY_POLL;
    CHECK(vixp2p_node_create(&options, &node) == VIXP2P_OK);
    CHECK(vixp2p_node_start(node) == VIXP2P_OK);
    CHECK(vixp2p_node_connect(node, "localhost:1") == VIXP2P_OK);
    CHECK(vixp2p_node_append(node, "x", 1, NULL) == VIXP2P_OK);
    do {
        vixp2p_event_free(event);
        CHECK(vixp2p_node_wait_event(node, 30000, &event) == VIXP2P_OK);
    } while (vixp2p_event_get_kind(event) != VIXP2P_EVENT_CONNECT_FAILED);
    vixp2p_event_free(event);
    CHECK(check_threads() >= 2);
    vixp2p_node_destroy(node);

    handlers(after);
    CHECK(memcmp(before, after, sizeof before) == 0);
    CHECK(environment_reads == 0);
    fflush(NULL);
    close(spoken[1]);
    dup2(real_stderr, 1);
    dup2(real_stderr, 2);
    CHECK(read(spoken[0], &byte, 1) == 0);
    return 0;
}
