/*
 * Clock, randomness, signals, scratch folders of the real machine.
 * Never: allocates or logs in a signal handler. A killed process leaves its scratch folder; the next one sweeps it.
 */
#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t real_now(void *ctx)
{
    (void)ctx;
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
const struct trib_clock trib_clock_real = {.now_us = real_now};

static void real_fill(void *ctx, void *to, size_t n)
{
    (void)ctx;
    char *p = to;
    while (n > 0) {
        ssize_t k = getrandom(p, n, 0);
        if (k < 0) {
            if (errno == EINTR) {
                continue;
            }
            abort(); /* no kernel that we run on lacks it; names of files must never repeat */
        }
        p += k;
        n -= (size_t)k;
    }
}
const struct trib_rng trib_rng_real = {.fill = real_fill};

enum { DRAIN_SECONDS = 60, EXIT_TRY_AGAIN = 75 };
static volatile sig_atomic_t stop_asked, reload_asked;
static int wake[2] = {-1, -1};

static void wake_up(void)
{
    int saved = errno;
    if (wake[1] >= 0 && write(wake[1], "", 1) < 0) {
        errno = 0; /* a full pipe wakes as well */
    }
    errno = saved;
}

static void on_stop(int sig)
{
    if (stop_asked) { /* the second one: at once, and by the signal, so that the parent sees why */
        (void)signal(sig, SIG_DFL);
        sigset_t set;
        (void)sigemptyset(&set);
        (void)sigaddset(&set, sig);
        (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
        (void)raise(sig);
        return;
    }
    stop_asked = 1;
    (void)alarm(DRAIN_SECONDS);
    wake_up();
}

/* Draining took too long. What is committed stands, the rest is done again by the next process: "try again". */
static void on_limit(int sig)
{
    (void)sig;
    _exit(EXIT_TRY_AGAIN);
}

static void on_reload(int sig)
{
    (void)sig;
    reload_asked = 1;
    wake_up();
}

void trib_signals_install(void)
{
    if (wake[0] < 0 && pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0) {
        wake[0] = wake[1] = -1; /* sleeps are then cut into seconds */
    }
    struct sigaction sa = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    (void)sigemptyset(&sa.sa_mask);
    (void)sigaction(SIGTERM, &sa, NULL);
    (void)sigaction(SIGINT, &sa, NULL);
    sa.sa_handler = on_reload;
    (void)sigaction(SIGHUP, &sa, NULL);
    sa.sa_handler = on_limit;
    (void)sigaction(SIGALRM, &sa, NULL);
    sa.sa_handler = SIG_IGN; /* a closed pipe is an error of write */
    (void)sigaction(SIGPIPE, &sa, NULL);
}

bool trib_signals_stop_asked(void) { return stop_asked != 0; }

bool trib_signals_reload_asked(void)
{
    bool asked = reload_asked != 0;
    reload_asked = 0;
    return asked;
}

bool trib_signals_reload_pending(void) { return reload_asked != 0; }

void trib_os_sleep_until(int64_t us)
{
    while (!stop_asked && !reload_asked) {
        int64_t left_us = us - real_now(NULL);
        if (left_us <= 0) {
            return;
        }
        /* Short slices: the wall clock may be set while we sleep. */
        int64_t slice_ms = left_us / 1000 + 1, max_ms = wake[0] >= 0 ? 60000 : 1000;
        struct pollfd fd = {.fd = wake[0], .events = POLLIN};
        if (poll(&fd, 1, (int)(slice_ms < max_ms ? slice_ms : max_ms)) > 0) {
            char drop[64];
            while (read(wake[0], drop, sizeof drop) > 0) {
            }
        }
    }
}

static const char SCRATCH_NAME[] = "tributary-scratch-";
static const char SCRATCH_LOCK[] = "/.lock";

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    (void)remove(path);
    return 0;
}

void trib_scratch_remove(const char *path)
{
    if (path != NULL) {
        (void)nftw(path, remove_entry, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    }
}

/* Ours, and its owner is gone: its lock is free, or was never made within the hour. */
static bool scratch_is_stale(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
        return false;
    }
    TRIB_CLEANUP(trib_cleanup_free) char *lock = trib_asprintf("%s%s", path, SCRATCH_LOCK);
    int fd = open(lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT && real_now(NULL) / 1000000 - (int64_t)st.st_mtim.tv_sec > 3600;
    }
    bool stale = flock(fd, LOCK_EX | LOCK_NB) == 0;
    (void)close(fd);
    return stale;
}

static void sweep_scratch(const char *base)
{
    DIR *d = opendir(base);
    if (d == NULL) {
        return;
    }
    const struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        if (strncmp(e->d_name, SCRATCH_NAME, sizeof SCRATCH_NAME - 1) == 0) {
            TRIB_CLEANUP(trib_cleanup_free) char *path = trib_asprintf("%s/%s", base, e->d_name);
            if (scratch_is_stale(path)) {
                trib_scratch_remove(path);
            }
        }
    }
    (void)closedir(d);
}

int trib_scratch_make(const char *base_or_null, char **ret_path, struct trib_err *err)
{
    const char *base = base_or_null;
    if (base == NULL) {
        base = getenv("TMPDIR");
    }
    if (base == NULL || *base == '\0') {
        base = "/tmp";
    }
    sweep_scratch(base);
    /* Made and locked under another name first: a sweep that runs right now sees it only once it is locked. */
    char *path = trib_asprintf("%s/tributary-unlocked-XXXXXX", base);
    if (mkdtemp(path) == NULL) {
        int rc = trib_err_errno(err, errno, "making a scratch folder in %s", base);
        free(path);
        return rc;
    }
    /* Held until the process ends, on purpose: it tells the sweep of the next process that we live. */
    TRIB_CLEANUP(trib_cleanup_free) char *lock = trib_asprintf("%s%s", path, SCRATCH_LOCK);
    int fd = open(lock, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int rc = trib_err_errno(err, errno, "locking the scratch folder %s", path);
        if (fd >= 0) {
            (void)close(fd);
        }
        trib_scratch_remove(path);
        free(path);
        return rc;
    }
    char *named = trib_asprintf("%s/%s%s", base, SCRATCH_NAME, path + strlen(path) - 6);
    if (rename(path, named) != 0) {
        int rc = trib_err_errno(err, errno, "naming the scratch folder %s", named);
        (void)close(fd);
        trib_scratch_remove(path);
        free(path);
        free(named);
        return rc;
    }
    free(path);
    *ret_path = named;
    return 0;
}
