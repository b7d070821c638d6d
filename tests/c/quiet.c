/*
 * The library is a guest: it prints nothing, leaves signal handlers and masks alone, takes no setting from the environment and
 * leaves no descriptor open when it goes.
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static char asked_for[4096];

/* Asked for by dependencies and no settings of ours: an experiment inside tokio, and a mask that hides processor features from aws-lc. */
static const char *const allowed[] = {"TOKIO_UNSTABLE_SHARDED_BLOCKING_QUEUE", "OPENSSL_ia32cap"};

/* Stands before the C library's: what the library asks for is noted and found to be unset. */
#ifdef __cplusplus
extern "C"
#endif
__attribute__((visibility("default"))) char *getenv(const char *name)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    size_t i;
    for (i = 0; i < sizeof allowed / sizeof *allowed; ++i) {
        if (strcmp(name, allowed[i]) == 0) {
            return NULL;
        }
    }
    pthread_mutex_lock(&lock);
    strncat(asked_for, name, sizeof asked_for - strlen(asked_for) - 2);
    strcat(asked_for, " ");
    pthread_mutex_unlock(&lock);
    return NULL;
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    CHECK(dir != NULL);
    while (readdir(dir) != NULL) {
        ++count;
    }
    closedir(dir);
    return count;
}

static void on_log(void *userdata, const vixp2p_log_record *record)
{
    (void)record;
    ++*(int *)userdata;
}

/* Everything that could tempt a library to print: peers, records, refused calls, a taken port, a stranger on the port. */
static void live(void)
{
    vixp2p_node_options options = loopback("b", VIXP2P_DELIVERY_POLL);
    vixp2p_node *a = polled("a"), *b, *c = NULL;
    vixp2p_peer_id id;
    int lines = 0;

    options.log_level = VIXP2P_LOG_TRACE;
    options.log.fn = on_log;
    options.log.userdata = &lines;
    b = create_and_start(&options);
    join_polled(a, b);
    CHECK(vixp2p_node_id(b, &id) == VIXP2P_OK);
    CHECK(vixp2p_node_send(a, &id, "x", 1) == VIXP2P_OK);
    vixp2p_event_free(wait_for(b, VIXP2P_EVENT_MESSAGE));
    CHECK(vixp2p_node_append(a, "y", 1, NULL) == VIXP2P_OK);
    vixp2p_event_free(wait_for(a, VIXP2P_EVENT_ACKED));
    CHECK(vixp2p_node_connect(b, "localhost:1") == VIXP2P_OK);
    vixp2p_event_free(wait_for(b, VIXP2P_EVENT_CONNECT_FAILED));
    CHECK(vixp2p_node_connect(b, "not an endpoint") < 0);
    options.data_dir = "/proc/nowhere";
    CHECK(vixp2p_node_create(&options, &c) < 0);
    CHECK(vixp2p_node_stop(b, -1) == VIXP2P_OK);
    vixp2p_event_free(wait_for(a, VIXP2P_EVENT_PEER_DISCONNECTED));
    vixp2p_node_destroy(b);
    vixp2p_node_destroy(a);
    vixp2p_node_destroy(a);
    CHECK(lines > 0);
}

int main(void)
{
    static struct sigaction before[65];
    struct sigaction after;
    sigset_t mask_before, mask_after;
    struct stat written;
    char path[] = "/tmp/vixp2p-quiet-XXXXXX";
    int out = mkstemp(path), number, descriptors, kept_out, kept_err;

    CHECK(out >= 0);
    unlink(path);
    for (number = 1; number <= 64; ++number) {
        sigaction(number, NULL, &before[number]);
    }
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask_before) == 0);

    kept_out = fcntl(1, F_DUPFD_CLOEXEC, 10);
    kept_err = fcntl(2, F_DUPFD_CLOEXEC, 10);
    CHECK(dup2(out, 1) == 1 && dup2(out, 2) == 2);
    live();
    descriptors = open_descriptors();
    live();
    CHECK(open_descriptors() == descriptors);
    fflush(NULL);
    CHECK(dup2(kept_out, 1) == 1 && dup2(kept_err, 2) == 2);

    CHECK(fstat(out, &written) == 0);
    CHECK(written.st_size == 0);
    for (number = 1; number <= 64; ++number) {
        if (sigaction(number, NULL, &after) == 0) {
            CHECK(after.sa_handler == before[number].sa_handler);
            CHECK(after.sa_flags == before[number].sa_flags);
        }
    }
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask_after) == 0);
    for (number = 1; number <= 64; ++number) {
        CHECK(sigismember(&mask_before, number) == sigismember(&mask_after, number));
    }
    if (asked_for[0] != '\0') {
        fprintf(stderr, "read from the environment: %s\n", asked_for);
        return 1;
    }
    return 0;
}
