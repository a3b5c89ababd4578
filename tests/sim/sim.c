/*
 * The whole pipeline on scripted parts: sim SEED RUNS [no-sync|no-sync-dir]. A run: a workload of a seed, delivered in rounds; each
 * round is lives (forks) that crash at some call, or two at once, then one that ends; then the lake against a fold written here.
 * RUNS counts lives that were to crash. Prints TAP; a fault given is planted into the simulated disk, and must make it fail.
 *
 * Files: a folder under $TMPDIR, removed unless a check failed. Threads: one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"
#include "pipeline/pipeline.h"
#include "sim/simfs.h"

enum { KEYS = 5, ENDED_BUSY = 3, ENDED_BAD = 4 };
static char root[256];
static const char *fault = "";
static long lives, crashes, files_bad, delivered, sequence, event;
static struct {
    long sequence, value;
    bool deleted;
} model[KEYS];

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
    (void)target;
    (void)s;
    if (err != NULL && getenv("SIM_TELL") != NULL) {
        (void)fprintf(stderr, "# %s %s: %s\n", stage, table, err->msg);
    }
}

static void shell(const char *command)
{
    if (system(command) != 0) {
        (void)fprintf(stderr, "cannot: %s\n", command);
        exit(1);
    }
}

/* The environment of one life; what it opens dies with the process. */
static int open_env(struct trib_env *env, const struct trib_fs *fs, uint64_t seed, struct trib_err *err)
{
    static struct trib_seeded seeded;
    static struct trib_rng rng;
    static int64_t time_us = 1800000000000000;
    static struct trib_clock clock = {now, &time_us};
    static struct trib_log log = {no_log, NULL, TRIB_LOG_ERROR};
    static char lake[300];
    char *scratch;
    trib_seeded_init(&seeded, seed);
    rng = trib_seeded_rng(&seeded);
    TRIB_TRY(trib_scratch_make(root, &scratch, err));
    *env = (struct trib_env){.fs = fs,
                             .clock = &clock,
                             .rng = &rng,
                             .log = &log,
                             .scratch = scratch,
                             .workers = 1,
                             .memory_bytes = 32 << 20};
    (void)snprintf(lake, sizeof lake, "%s/lake", root);
    TRIB_TRY(trib_store_open(fs, lake, &env->lake, err));
    struct trib_engine_opts o = {.threads = 1, .scratch = scratch, .limit_bytes = 128 << 20};
    return trib_engine_open(&o, &env->engine, err);
}

static pid_t live(const struct trib_config *config, uint64_t seed, long crash_at)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid != 0) {
        lives++;
        return pid;
    }
    char hold[300];
    (void)snprintf(hold, sizeof hold, "%s/hold", root);
    struct sim_plan plan = {.hold = hold,
                            .seed = seed,
                            .crash_at = crash_at,
                            .no_sync = strcmp(fault, "no-sync") == 0,
                            .no_sync_dir = strcmp(fault, "no-sync-dir") == 0};
    struct trib_env env;
    struct trib_err err = {0};
    struct trib_observer observer = {stepped, NULL};
    struct trib_pipeline *p;
    int rc = open_env(&env, sim_fs(&plan), seed, &err);
    if (rc == 0 && (rc = trib_pipeline_new(&env, config, NULL, 0, &observer, &p, &err)) == 0) {
        rc = trib_pipeline_drain(p, TRIB_RUN_ALL, &err);
    }
    if (rc != 0 && rc != TRIB_E_AGAIN && rc != TRIB_E_CONFLICT) {
        (void)printf("# a life failed: %s\n", err.msg);
        (void)fflush(stdout);
    }
    _exit(rc == 0 ? 0 : rc == TRIB_E_AGAIN || rc == TRIB_E_CONFLICT ? ENDED_BUSY : ENDED_BAD);
}
static int ended(pid_t pid)
{
    int status;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        return ENDED_BAD;
    }
    return WEXITSTATUS(status);
}

/* What is to be counted, as SQL over the rows of one table ("%s"). -1: there is no table. */
static int count(const struct trib_env *env, char *path, const char *what, int64_t *ret, struct trib_err *err)
{
    struct trib_conn *conn;
    struct trib_snapshot s = {0};
    struct trib_buf sql, rows;
    trib_buf_init(&sql, 1 << 20);
    trib_buf_init(&rows, 1 << 20);
    TRIB_TRY(trib_conn_open(env->engine, &conn, err));
    struct trib_delta t = trib_env_delta(env, conn, path);
    TRIB_TRY(trib_delta_load(&t, -1, &s, err));
    if (s.version < 0) {
        *ret = -1;
        return 0;
    }
    for (int64_t v = 0; v <= s.version; v++) { /* nothing is cleaned up here: every version is there */
        char file[600];
        (void)snprintf(file, sizeof file, "%s/lake/%s/_delta_log/%020lld.json", root, path, (long long)v);
        if (access(file, F_OK) != 0) {
            return trib_err_set(err, TRIB_E_DATA, "gap: %s", file);
        }
    }
    TRIB_TRY(trib_delta_select(&t, &s, s.adds, s.n_adds, false, &rows, err));
    trib_buf_addf(&sql, "WITH t AS (%s) %s", rows.p, what);
    return trib_query_i64(conn, sql.p, -2, ret, err);
}

static int expect(const struct trib_env *env, char *path, const char *what, int64_t want, struct trib_err *err)
{
    int64_t got;
    TRIB_TRY(count(env, path, what, &got, err));
    if (got != want && !(got == -1 && want == 0)) {
        return trib_err_set(err, TRIB_E_DATA, "%s: %lld, not %lld: %s", path, (long long)got, (long long)want, what);
    }
    return 0;
}

static int check_all(struct trib_err *err)
{
    struct trib_env env;
    TRIB_TRY(open_env(&env, &trib_fs_real, 1, err));
    TRIB_TRY(expect(&env, trib_path_bronze("T"), "SELECT count(*) FROM t", delivered, err));
    /* Each record has an event id of its own here, so with the number of rows this is: exactly once. */
    TRIB_TRY(
        expect(&env, trib_path_bronze("T"), "SELECT count(DISTINCT (_ingest_file, _event_id)) FROM t", delivered, err));
    TRIB_TRY(expect(&env, trib_path_quarantine("T"), "SELECT count(*) FROM t", files_bad, err));
    TRIB_TRY(expect(&env, trib_path_quarantine("T"), "SELECT count(DISTINCT _ingest_file) FROM t", files_bad, err));
    struct trib_buf q;
    trib_buf_init(&q, 1 << 16);
    trib_buf_adds(&q, "SELECT count(*) FROM t WHERE false");
    int64_t n = 0;
    for (int k = 0; k < KEYS; k++) {
        if (model[k].sequence == 0) {
            continue;
        }
        n++;
        if (model[k].deleted) {
            trib_buf_addf(&q, " OR (pk = 'k%d' AND _is_deleted)", k);
        } else {
            trib_buf_addf(&q, " OR (pk = 'k%d' AND NOT _is_deleted AND v = 'v%ld')", k, model[k].value);
        }
    }
    TRIB_TRY(expect(&env, trib_path_silver("d", "t"), "SELECT count(*) FROM t", n, err));
    TRIB_TRY(expect(&env, trib_path_silver("d", "t"), "SELECT count(DISTINCT pk) FROM t", n, err));
    return expect(&env, trib_path_silver("d", "t"), q.p, n, err);
}

/* One file of changes, some out of order, some twice (as another delivery), sometimes with a line cut off. */
static void deliver(struct trib_seeded *r, int round, int file)
{
    char path[400], hidden[400];
    (void)snprintf(path, sizeof path, "%s/in/r%d-%d.jsonl", root, round, file);
    (void)snprintf(hidden, sizeof hidden, "%s/in/.r%d-%d", root, round, file);
    FILE *f = fopen(hidden, "w");
    if (f == NULL) {
        abort();
    }
    int n = 2 + (int)trib_seeded_below(r, 8);
    for (int i = 0; i < n; i++) {
        int k = (int)trib_seeded_below(r, KEYS);
        sequence += 10;
        long s = 1000000 + sequence -
                 (long)(trib_seeded_below(r, 4) == 0 ? 10 * trib_seeded_below(r, 12) + 5 : 0); /* late ones */
        s = s * 1000 + sequence % 1000; /* never equal by chance */
        bool gone = trib_seeded_below(r, 4) == 0;
        for (uint64_t twice = trib_seeded_below(r, 6) == 0 ? 2 : 1; twice > 0; twice--) {
            (void)fprintf(
                f,
                "{\"eventID\":\"e%ld\",\"eventName\":\"%s\",\"eventVersion\":\"1.1\",\"eventSource\":\"aws:dynamodb\",\"awsRegion\":\"eu-west-1\",\"dynamodb\":{\"ApproximateCreationDateTime\":1700000000,\"Keys\":{\"pk\":{\"S\":\"k%d\"}},",
                ++event, gone ? "REMOVE" : "MODIFY", k);
            if (!gone) {
                (void)fprintf(f, "\"NewImage\":{\"pk\":{\"S\":\"k%d\"},\"v\":{\"S\":\"v%ld\"}},", k, s);
            }
            (void)fprintf(f, "\"SequenceNumber\":\"%ld\",\"SizeBytes\":20,\"StreamViewType\":\"NEW_IMAGE\"}}\n", s);
            delivered++;
        }
        if (s > model[k].sequence) {
            model[k].sequence = model[k].value = s;
            model[k].deleted = gone;
        }
    }
    if (trib_seeded_below(r, 3) == 0) {
        (void)fputs("{\"eventID\":\"cut off\n", f);
        files_bad++;
    }
    if (fclose(f) != 0 || rename(hidden, path) != 0) {
        abort();
    }
}

static int check_fork(void)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct trib_err err = {0};
        int rc = check_all(&err);
        if (rc != 0) {
            (void)printf("# %s\n", err.msg);
            (void)fflush(stdout);
        }
        _exit(rc == 0 ? 0 : 1);
    }
    return ended(pid);
}

static int one_round(const struct trib_config *config, struct trib_seeded *r, int round, long *budget)
{
    for (int f = 0, n = 1 + (int)trib_seeded_below(r, 2); f < n; f++) {
        deliver(r, round, f);
    }
    for (int i = 0; i < 4; i++, (*budget)--) {
        int rc = ended(live(config, trib_seeded_next(r), 1 + (long)trib_seeded_below(r, i < 3 ? 30 : 90)));
        crashes += rc == SIM_CRASHED;
        if (rc != SIM_CRASHED && rc != 0) {
            return 1;
        }
    }
    if (trib_seeded_below(r, 4) == 0) {
        pid_t a = live(config, trib_seeded_next(r), 0), b = live(config, trib_seeded_next(r), 0);
        int x = ended(a), y = ended(b);
        if ((x != 0 && y != 0) || x == ENDED_BAD || y == ENDED_BAD) {
            (void)printf("# two at once ended with %d and %d\n", x, y);
            return 1;
        }
    }
    return ended(live(config, trib_seeded_next(r), 0)) != 0 || check_fork() != 0;
}

static int one_seed(uint64_t seed, long *budget)
{
    char text[2000];
    struct trib_seeded r;
    struct trib_config *config;
    struct trib_err err = {0};
    trib_seeded_init(&r, seed);
    (void)snprintf(text, sizeof text, "rm -rf '%s' && mkdir -p '%s/in' '%s/hold'", root, root, root);
    shell(text);
    delivered = files_bad = sequence = event = 0;
    memset(model, 0, sizeof model);
    (void)snprintf(
        text, sizeof text,
        "pipeline: sim\nlake: %s/lake\nstate: %s/state\ntrigger: {once: true}\ntables:\n  - name: T\n    key: {partition: pk}\n    source: {type: files, path: %s/in}\n    silver: {domain: d, table: t%s}\n",
        root, root, root, trib_seeded_below(&r, 2) == 0 ? ", history: scd2" : "");
    if (trib_config_parse(trib_view_of(text), "sim.yaml", &config, NULL, &err) != 0) {
        (void)printf("# config: %s\n", err.msg);
        return 1;
    }
    int rc = 0;
    for (int round = 0, n = 1 + (int)trib_seeded_below(&r, 3); round < n && rc == 0; round++) {
        rc = one_round(config, &r, round, budget);
    }
    trib_config_free(config);
    return rc;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    long runs = argc > 2 ? strtol(argv[2], NULL, 10) : 300, budget = runs;
    fault = argc > 3 ? argv[3] : "";
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(root, sizeof root, "%s/sim-%ld", tmp != NULL ? tmp : "/tmp", (long)getpid());
    int64_t started = trib_now_us(&trib_clock_real);
    for (; budget > 0; seed++) {
        if (one_seed(seed, &budget) != 0) {
            (void)printf("not ok 1 - seed %llu; replay: build/sim %llu 1 %s; files: %s\n", (unsigned long long)seed,
                         (unsigned long long)seed, fault, root);
            return 1;
        }
    }
    double s = (double)(trib_now_us(&trib_clock_real) - started) / 1e6;
    char text[400];
    (void)snprintf(text, sizeof text, "rm -rf '%s'", root);
    shell(text);
    (void)printf("ok 1 - %ld crash runs, %ld crashes, %.1f lives/s\n", runs - budget, crashes, (double)lives / s);
    return 0;
}
