/*
 * The whole pipeline on scripted parts: sim SEED RUNS [no-sync|no-sync-dir]. A world of a seed is delivered in rounds; each round is
 * lives (forks) of the pipeline, one or two at once, while files arrive: at some call the power fails, a life is killed or the call
 * fails; then lives that drain;
 * perhaps the power fails once more at rest; then the lake is compared with the model. One seed is one world, whole; worlds are
 * begun until RUNS lives (or pairs of them) were to crash. A failed seed is told and the next one goes on.
 *
 * Two lives at once take turns by seed (simfs.h). Time, random numbers and calls are scripted, so that a seed replays: with SIM_TELL=1
 * each life is told and a world's trace (equal for equal seeds), with SIM_TRACE=1 each call.
 * SIM_JOBS: worlds at once (1). SIM_FAILURES: stop after so many (20). Prints TAP. A fault given is planted into the simulated disk, and must make it fail.
 *
 * Files: folders under $TMPDIR, removed but for those of failed seeds (the first few). Threads: one a process.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"
#include "pipeline/pipeline.h"
#include "sim/check.h"
#include "sim/simfs.h"

enum { LIFE_CPU_S = 30, ENDED_BUSY = 3, ENDED_BAD = 4, ENDED_DISK = 5, MAX_KEPT = 3, MAX_JOBS = 64 };

/* Shared by the workers. */
struct totals {
    atomic_ullong seed;
    atomic_bool stop; /* SIGTERM, SIGINT: the worlds that were begun are ended, and what was done is told */
    atomic_long runs, crashes, kills, disks, pairs, lives, worlds, checks, failures;
};
static struct totals *totals;
static struct {
    char root[200];
    struct sim_disk *disk;
    struct sim_faults faults;
    struct world world;
    struct trib_config *config;
    struct trib_seeded rng;
    long usual; /* calls of a life, roughly */
    bool tell;
    long max_failures;
} sim;

/* --- one life ------------------------------------------------------------------------------------------------------- */

static int64_t now(void *ctx)
{
    int64_t *t = ctx;
    return *t += 1000;
}
static void no_log(void *ctx, enum trib_log_level level, const char *what, const char *const *kv)
{
    (void)ctx;
    (void)level;
    (void)what;
    (void)kv;
}
static void stepped(void *ctx, const char *stage, const char *table, const char *target, const struct trib_step *s,
                    const struct trib_err *err)
{
    (void)ctx;
    if (sim.tell) {
        (void)printf("#   %s %s%s%s: version %lld%s%s\n", stage, table, target == NULL ? "" : " ",
                     target == NULL ? "" : target, s == NULL ? -1LL : (long long)s->version, err == NULL ? "" : ": ",
                     err == NULL ? "" : err->msg);
        (void)fflush(stdout);
    }
}

/* The environment of one life; what it opens dies with the process. Clocks differ and jump, around midnight. */
static int open_env(struct trib_env *env, const struct trib_fs *fs, uint64_t seed, struct trib_err *err)
{
    static struct trib_seeded seeded;
    static struct trib_rng rng;
    static int64_t time_us = 1799971199000000;
    static struct trib_clock clock = {now, &time_us};
    static struct trib_log log = {no_log, NULL, TRIB_LOG_ERROR};
    static char lake[300];
    char *scratch;
    trib_seeded_init(&seeded, seed);
    time_us += (int64_t)trib_seeded_below(&seeded, 2000000);
    rng = trib_seeded_rng(&seeded);
    TRIB_TRY(trib_scratch_make(sim.root, &scratch, err));
    *env = (struct trib_env){.fs = fs,
                             .clock = &clock,
                             .rng = &rng,
                             .log = &log,
                             .scratch = scratch,
                             .workers = 1,
                             .memory_bytes = 32 << 20};
    (void)snprintf(lake, sizeof lake, "%s/lake", sim.root);
    TRIB_TRY(trib_store_open(fs, lake, &env->lake, err));
    struct trib_engine_opts o = {.threads = 1, .scratch = scratch, .limit_bytes = 128 << 20};
    return trib_engine_open(&o, &env->engine, err);
}

static _Noreturn void live(int who, uint64_t seed)
{
    const struct rlimit cpu = {LIFE_CPU_S, LIFE_CPU_S}; /* one that goes round in circles is ended, and is a failure */
    (void)setrlimit(RLIMIT_CPU, &cpu);
    struct trib_env env;
    struct trib_err err = {0};
    struct trib_observer observer = {stepped, NULL};
    struct trib_pipeline *p;
    int rc = open_env(&env, sim_fs(sim.disk, who), seed, &err);
    if (rc == 0 && (rc = trib_pipeline_new(&env, NULL, sim.config, NULL, 0, &observer, &p, &err)) == 0) {
        rc = trib_pipeline_drain(p, TRIB_RUN_ALL, &err);
    }
    bool busy = rc == TRIB_E_AGAIN || rc == TRIB_E_CONFLICT;
    bool disk = rc == TRIB_E_IO && strstr(err.msg, "simulated") != NULL;
    if (rc != 0 && !busy && !disk) {
        (void)printf("# a life failed: %s\n", err.msg);
        (void)fflush(stdout);
    }
    _exit(rc == 0 ? 0 : busy ? ENDED_BUSY : disk ? ENDED_DISK : ENDED_BAD);
}

static void show(const char *from, const char *to)
{
    if (rename(from, to) != 0) {
        perror(from);
        abort();
    }
}

static int exit_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : ENDED_BAD; }

/* n lives at once until all have ended, while a file may arrive. */
static void run_lives(int n, long crash_at, enum sim_end end, int ret[SIM_LIVES])
{
    char from[300], to[300];
    pid_t pids[SIM_LIVES];
    uint64_t seeds[SIM_LIVES];
    sim_disk_start(sim.disk, n, trib_seeded_next(&sim.rng), crash_at, end);
    if (crash_at > 0 && world_next(&sim.world, from, to)) {
        sim_disk_arrives(sim.disk, from, to, 1 + (long)trib_seeded_below(&sim.rng, 300));
    }
    (void)fflush(NULL);
    for (int i = 0; i < n; i++) {
        seeds[i] = trib_seeded_next(&sim.rng);
        pids[i] = fork();
        if (pids[i] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a life that waits for its turn must not outlive its world */
            live(i, seeds[i]);
        }
        if (pids[i] < 0) {
            abort();
        }
    }
    for (int left = n; left > 0; left--) {
        int status;
        pid_t pid = wait(&status);
        for (int i = 0; i < n; i++) {
            if (pids[i] == pid) {
                ret[i] = exit_of(status);
                sim_disk_left(sim.disk, i);
            }
        }
    }
    if (!sim_disk_arrived(sim.disk)) {
        show(from, to);
    }
    totals->lives += n;
    totals->pairs += n > 1;
    if (sim.tell) {
        (void)printf("# %d live(s), %s at call %ld: ended with %d %d after %ld calls\n", n,
                     end == SIM_KILL   ? "kill"
                     : end == SIM_FAIL ? "failure"
                                       : "power loss",
                     crash_at, ret[0], n > 1 ? ret[1] : 0, sim_disk_calls(sim.disk));
    }
}

/* --- one world ------------------------------------------------------------------------------------------------------ */

static int check_fork(void)
{
    totals->checks++;
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct trib_env env;
        struct trib_err err = {0};
        int rc = open_env(&env, &trib_fs_real, 1, &err);
        rc = rc != 0 ? rc : sim_check(&env, &sim.world, &err);
        if (rc != 0) {
            (void)printf("# %s\n", err.msg);
            (void)fflush(stdout);
        }
        _exit(rc == 0 ? 0 : 1);
    }
    int status;
    return waitpid(pid, &status, 0) == pid ? exit_of(status) : ENDED_BAD;
}

/* One or two lives of which one is to crash. */
static int crash_run(void)
{
    struct trib_seeded *r = &sim.rng;
    int n = trib_seeded_below(r, 3) == 0 ? 2 : 1, ended[SIM_LIVES] = {0};
    static const enum sim_end ends[] = {SIM_POWER, SIM_POWER, SIM_POWER, SIM_KILL, SIM_KILL, SIM_FAIL};
    enum sim_end end = ends[trib_seeded_below(r, sizeof ends / sizeof *ends)];
    uint64_t within = trib_seeded_below(r, 3) == 0 ? 12 : (uint64_t)(sim.usual * n);
    run_lives(n, 1 + (long)trib_seeded_below(r, within), end, ended);
    bool crashed = false, killed = false, failed = false;
    int other = 0;
    for (int i = 0; i < n; i++) {
        bool here = ended[i] == SIM_CRASHED;
        crashed = crashed || here;
        killed = killed || (here && end == SIM_KILL);
        failed = failed || (end == SIM_FAIL && ended[i] == ENDED_DISK);
        other += !here && ended[i] != 0 && ended[i] != ENDED_BUSY && !(end == SIM_FAIL && ended[i] == ENDED_DISK);
    }
    totals->runs++;
    totals->crashes += crashed;
    totals->disks += failed;
    totals->kills += killed;
    if (other > 0 || (n == 1 && ended[0] == ENDED_BUSY)) {
        (void)printf("# %d live(s) ended with %d and %d\n", n, ended[0], ended[1]);
        return 1;
    }
    return 0;
}

static void show_all(void)
{
    char from[300], to[300];
    while (world_next(&sim.world, from, to)) {
        show(from, to);
    }
}

/* One life, or two at once: at least one of them drains (interface.md), and what it says is durable. */
static int drain(void)
{
    int n = trib_seeded_below(&sim.rng, 4) == 0 ? 2 : 1, ended[SIM_LIVES] = {0};
    run_lives(n, 0, SIM_POWER, ended);
    if (n == 1) {
        sim.usual = sim_disk_calls(sim.disk) > 20 ? sim_disk_calls(sim.disk) : 20;
    }
    bool drained = ended[0] == 0 || (n > 1 && ended[1] == 0);
    for (int i = 0; i < n; i++) {
        if (!drained || (ended[i] != 0 && ended[i] != ENDED_BUSY)) {
            (void)printf("# %d live(s) that were to drain ended with %d and %d\n", n, ended[0], ended[1]);
            return 1;
        }
    }
    if (trib_seeded_below(&sim.rng, 2) == 0) {
        sim_disk_power_loss(sim.disk);
    }
    return check_fork();
}

static int one_round(int round)
{
    world_deliver(&sim.world, round);
    for (int i = 0, n = 2 + (int)trib_seeded_below(&sim.rng, 4); i < n; i++) {
        if (crash_run() != 0) {
            return 1;
        }
    }
    show_all();
    return drain();
}

static void shell(const char *command)
{
    if (system(command) != 0) {
        (void)fprintf(stderr, "cannot: %s\n", command);
        exit(1);
    }
}
static void remove_folder(const char *path)
{
    TRIB_CLEANUP(trib_cleanup_free) char *text = trib_asprintf("rm -rf '%s'", path);
    shell(text);
}
static void empty_world(const char *path)
{
    TRIB_CLEANUP(trib_cleanup_free)
    char *text = trib_asprintf("rm -rf '%s' && mkdir -p '%s/in' '%s/hold'", path, path, path);
    shell(text);
}

static int one_world(uint64_t seed)
{
    struct trib_err err = {0};
    empty_world(sim.root);
    trib_seeded_init(&sim.rng, seed);
    sim.usual = 60;
    world_new(&sim.world, sim.root, trib_seeded_next(&sim.rng));
    sim_disk_reset(sim.disk, sim.root, trib_seeded_next(&sim.rng), sim.faults);
    TRIB_CLEANUP(trib_cleanup_free) char *text = world_config(&sim.world);
    if (trib_config_parse(trib_view_of(text), "sim.yaml", &sim.config, NULL, &err) != 0) {
        (void)printf("# config: %s\n", err.msg);
        return 1;
    }
    int rc = 0;
    for (int round = 0, n = 1 + (int)trib_seeded_below(&sim.rng, 3); round < n && rc == 0; round++) {
        rc = one_round(round);
    }
    trib_config_free(sim.config);
    totals->worlds++;
    if (sim.tell) {
        (void)printf("# seed %llu: trace %016llx\n", (unsigned long long)seed,
                     (unsigned long long)sim_disk_trace(sim.disk));
    }
    return rc;
}

/* --- many ----------------------------------------------------------------------------------------------------------- */

static void worker(const char *base, int number, long runs, const char *fault)
{
    (void)snprintf(sim.root, sizeof sim.root, "%s/%d", base, number);
    sim.disk = sim_disk_new();
    while (!totals->stop && totals->runs < runs && totals->failures < sim.max_failures) {
        unsigned long long seed = totals->seed++;
        if (one_world(seed) == 0) {
            continue;
        }
        char kept[300] = "not kept";
        if (totals->failures++ < MAX_KEPT) {
            (void)snprintf(kept, sizeof kept, "%s-seed-%llu", base, seed);
            if (rename(sim.root, kept) != 0) {
                (void)snprintf(kept, sizeof kept, "%s", "lost");
            }
        }
        (void)printf("# seed %llu failed; replay: SIM_TELL=1 build/sim %llu 1%s%s; files: %s\n", seed, seed,
                     *fault == '\0' ? "" : " ", fault, kept);
        (void)fflush(stdout);
    }
    remove_folder(sim.root);
}

static int work(const char *base, int jobs, long runs, const char *fault)
{
    int bad = 0;
    (void)fflush(NULL);
    for (int i = 0; i < jobs; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            worker(base, i, runs, fault);
            exit(0);
        }
        bad += pid < 0;
    }
    int status;
    while (wait(&status) > 0) {
        bad += exit_of(status) != 0;
    }
    return bad;
}

static void on_stop(int signal_number)
{
    (void)signal_number;
    totals->stop = true;
}

static long number_of(const char *variable, long otherwise)
{
    const char *text = getenv(variable);
    return text == NULL || *text == '\0' ? otherwise : strtol(text, NULL, 10);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    long runs = argc > 2 ? strtol(argv[2], NULL, 10) : 300;
    const char *fault = argc > 3 ? argv[3] : "", *tmp = getenv("TMPDIR");
    long jobs = number_of("SIM_JOBS", 1);
    sim.max_failures = number_of("SIM_FAILURES", 20);
    jobs = runs == 1 || jobs < 1 ? 1 : jobs < MAX_JOBS ? jobs : MAX_JOBS;
    sim.faults.no_sync = strcmp(fault, "no-sync") == 0;
    sim.faults.no_sync_dir = strcmp(fault, "no-sync-dir") == 0;
    sim.tell = getenv("SIM_TELL") != NULL;
    totals = mmap(NULL, sizeof *totals, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (totals == MAP_FAILED || runs < 1 || (*fault != '\0' && !sim.faults.no_sync && !sim.faults.no_sync_dir)) {
        (void)fprintf(stderr, "usage: sim [SEED [RUNS [no-sync|no-sync-dir]]]\n");
        return 64;
    }
    totals->seed = seed;
    const struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    char base[160];
    (void)snprintf(base, sizeof base, "%.100s/sim-%ld", tmp != NULL ? tmp : "/tmp", (long)getpid());
    if (mkdir(base, 0777) != 0) {
        perror(base);
        return 1;
    }
    int64_t started = trib_now_us(&trib_clock_real);
    int bad = work(base, (int)jobs, runs, fault);
    double s = (double)(trib_now_us(&trib_clock_real) - started) / 1e6;
    remove_folder(base);
    (void)printf("# seeds %llu to %llu: %ld worlds, %ld lives (%ld pairs), %ld comparisons, %.1f s, %ld job(s)\n",
                 (unsigned long long)seed, (unsigned long long)totals->seed - 1, totals->worlds, totals->lives,
                 totals->pairs, totals->checks, s, jobs);
    if (totals->runs < runs) {
        (void)printf("# stopped before %ld crash runs\n", runs);
        bad++;
    }
    (void)printf(
        "%s 1 - %ld crash runs, %ld crashes (%ld kills), %ld disk errors, %ld failures, %.1f runs/s, %.1f lives/s\n",
        bad == 0 && totals->failures == 0 ? "ok" : "not ok", totals->runs, totals->crashes, totals->kills,
        totals->disks, totals->failures, (double)totals->runs / s, (double)totals->lives / s);
    return bad == 0 && totals->failures == 0 ? 0 : 1;
}
