/*
 * The library as a guest: it prints nothing, leaves signal handlers and masks alone, takes no setting from the environment, its
 * threads carry its name and block every signal, and it leaves no descriptor open when it goes. Linux only.
 */
#include <stdio.h>
static FILE *failures;
#define CHECK_STREAM failures
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What another thread is about to make true. */
#define SOON(truth)                                                    \
    do {                                                               \
        time_t limit_ = time(NULL) + PATIENCE_MS / 1000;               \
        while (!(truth)) {                                             \
            CHECK(time(NULL) < limit_);                                \
            sched_yield();                                             \
        }                                                              \
    } while (0)

static char asked_for[4096];

/* Asked for by a dependency and no setting of ours: a mask that hides processor features from aws-lc. */
static const char *const allowed[] = {"OPENSSL_ia32cap"};

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

/* Whether every thread but this one has the library's name and blocks signals; false for a moment when one has just begun. */
static int threads_are_marked(void)
{
    int ours = 0;
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
        /* All but KILL and STOP, which cannot be blocked, and the C library's own 32 and 33. */
        if (strncmp(name, "vixp2p-", 7) != 0 || (blocked | 1ULL << 8 | 1ULL << 18 | 3ULL << 31) != ~0ULL) {
            closedir(tasks);
            return 0;
        }
        ours++;
    }
    closedir(tasks);
    return ours >= 2;
}

static void on_log(void *userdata, const vixp2p_log_record *record)
{
    (void)record;
    ++*(int *)userdata;
}

/* What could tempt a library to print: peers, messages, records, an address where nobody listens, refused calls. */
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
    SOON(threads_are_marked());
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

    failures = stderr;
    CHECK(out >= 0);
    unlink(path);
    for (number = 1; number <= 64; ++number) {
        sigaction(number, NULL, &before[number]);
    }
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask_before) == 0);

    kept_out = fcntl(1, F_DUPFD_CLOEXEC, 10);
    kept_err = fcntl(2, F_DUPFD_CLOEXEC, 10);
    failures = fdopen(fcntl(2, F_DUPFD_CLOEXEC, 10), "w");
    CHECK(failures != NULL);
    CHECK(dup2(out, 1) == 1 && dup2(out, 2) == 2);
    live();
    descriptors = open_descriptors();
    live();
    SOON(open_descriptors() <= descriptors);
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
