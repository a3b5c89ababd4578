/*
 * Threads that live for one call. Never: keeps a thread beyond trib_pool_run, takes a signal on a worker.
 * Threads: trib_pool_run may be called from any thread, also from within a task (then with one worker, if at all).
 */
#include "os/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct run {
    trib_task_fn fn;
    void *ctx;
    size_t n_tasks;
    atomic_size_t next;
    atomic_bool stop;
    pthread_mutex_t lock; /* the two below */
    size_t failed_task;
    struct trib_err err;
};

static void *work(void *arg)
{
    struct run *run = arg;
    while (!atomic_load(&run->stop)) {
        size_t task = atomic_fetch_add(&run->next, 1);
        if (task >= run->n_tasks) {
            break;
        }
        struct trib_err err = {0};
        int rc = run->fn(run->ctx, task, &err);
        if (rc != 0) {
            atomic_store(&run->stop, true);
            (void)pthread_mutex_lock(&run->lock);
            if (task < run->failed_task) {
                run->failed_task = task;
                run->err = err;
                run->err.code = (enum trib_code)rc;
            }
            (void)pthread_mutex_unlock(&run->lock);
        }
    }
    return NULL;
}

static int run_alone(size_t n_tasks, trib_task_fn fn, void *ctx, struct trib_err *err)
{
    for (size_t i = 0; i < n_tasks; i++) {
        TRIB_TRY(fn(ctx, i, err));
    }
    return 0;
}

int trib_pool_run(unsigned workers, size_t n_tasks, trib_task_fn fn, void *ctx, struct trib_err *err)
{
    enum { MAX_WORKERS = 256 };
    if (workers > n_tasks) {
        workers = (unsigned)n_tasks;
    }
    if (workers > MAX_WORKERS) {
        workers = MAX_WORKERS;
    }
    if (workers <= 1) {
        return run_alone(n_tasks, fn, ctx, err);
    }
    struct run run = {.fn = fn, .ctx = ctx, .n_tasks = n_tasks, .failed_task = n_tasks};
    (void)pthread_mutex_init(&run.lock, NULL);
    pthread_t threads[MAX_WORKERS];
    unsigned started = 0;
    sigset_t all, old;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    /* Fewer threads than asked for are no failure: this thread works too. */
    while (started < workers - 1 && pthread_create(&threads[started], NULL, work, &run) == 0) {
        started++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)work(&run);
    for (unsigned i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)pthread_mutex_destroy(&run.lock);
    if (run.failed_task == n_tasks) {
        return 0;
    }
    if (err != NULL) {
        *err = run.err;
    }
    return (int)run.err.code;
}

/* CPUs allowed by the quota in this control group file, rounded up; 0: no limit. */
static unsigned quota_of(const char *path, const char *format_v1_period)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return 0;
    }
    char text[64] = "";
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    char *end;
    long long quota = strtoll(text, &end, 10), period = 0;
    if (end == text || quota <= 0) {
        return 0; /* "max", -1 */
    }
    if (format_v1_period == NULL) {
        period = strtoll(end, NULL, 10);
    } else if ((f = fopen(format_v1_period, "re")) != NULL) {
        n = fread(text, 1, sizeof text - 1, f);
        (void)fclose(f);
        text[n] = '\0';
        period = strtoll(text, NULL, 10);
    }
    return period <= 0 ? 0 : (unsigned)((quota + period - 1) / period);
}

static unsigned smaller(unsigned a, unsigned b) { return b == 0 || (a != 0 && a < b) ? a : b; }

/* The tightest quota from our group up to the root (version 2), or that of version 1's mount. */
static unsigned cgroup_quota(void)
{
    unsigned limit = quota_of("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    limit = smaller(limit, quota_of("/sys/fs/cgroup/cpu.max", NULL));
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (f == NULL) {
        return limit;
    }
    char line[4096];
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "0::/", 4) != 0) {
            continue;
        }
        char *group = line + 3;
        group[strcspn(group, "\n")] = '\0';
        for (char *slash = group + strlen(group); slash != NULL && slash != group; slash = strrchr(group, '/')) {
            *slash = '\0';
            TRIB_CLEANUP(trib_cleanup_free) char *path = trib_asprintf("/sys/fs/cgroup%s/cpu.max", group);
            limit = smaller(limit, quota_of(path, NULL));
        }
    }
    (void)fclose(f);
    return limit;
}

unsigned trib_cpu_count(void)
{
    cpu_set_t set;
    unsigned n = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
        n = (unsigned)CPU_COUNT(&set);
    }
    return smaller(n, cgroup_quota());
}
