/*
 * The live path by seed: a writer, the fake AWS with its shards and faults, capture, ingest, merge, on one scripted clock. At the end
 * Silver must be what the writer's model says, and at no time may a reader see a key go back (spec: testing.md, simulation; merge.md, Epochs).
 *
 * usage: livesim SEED RUNS [tell]        LIVE_JOBS: worlds at once (1); LIVE_LIVES=near|disk: lives of one kind only (life.h);
 *                                        LIVE_SOURCE=streams|kinesis: worlds of one source only
 *
 * A world: a table with few or many keys, a stream of one to four shards that split and rotate; writes between the steps and inside
 * them; outages from seconds to days, so that the stream is trimmed in the middle of shards; the stream turned off and on, the table made
 * again; faults of every call, pages of a few records; one or two lives at once, as daemons or as runs that drain, that die at any
 * call of the file system. In every fourth world they live on a disk that loses or tears what was not synced.
 * Every fourth world captures from Kinesis: shards that split and merge, records twice, late and out of order, in milliseconds or
 * microseconds, of another table, and some that are none; the stream deleted and made again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "live/life.h"
#include "os/os.h"

#define SECOND ((int64_t)1000000)
#define HOUR   (3600 * SECOND)
#define TABLE  "Orders"
#define OTHER  "Customers"
#define STREAM "changes"

enum { LIVES = 2, MAX_FAILURES = 20, JOBS_MAX = 64 };

/* What Silver has shown of a key. */
struct shown {
    uint64_t version;
    bool gone; /* since then it was missing */
};

struct world {
    uint64_t seed;
    bool tell, kinesis;
    int64_t *written_ms; /* by key: its newest write, where that matters */
    struct trib_seeded rng;
    struct trib_fakeaws *aws;
    struct life_setup setup;
    struct life *lives[LIVES];
    enum sim_end end; /* what comes next over a disk */
    char *folder;
    unsigned keys, hot;
    uint64_t version, writes;
    struct shown *shown;
    double inside, turns; /* chances of a write inside a step, and of a step of the other life inside a step */
    int depth;
    bool quiet; /* the end: no faults, no writes */
    char failure[2048];
};

static uint64_t below(struct world *w, uint64_t n) { return trib_seeded_below(&w->rng, n); }
static bool chance(struct world *w, double p) { return trib_seeded_unit(&w->rng) < p; }

static void fail(struct world *w, const char *what)
{
    if (w->failure[0] == '\0') {
        (void)snprintf(w->failure, sizeof w->failure, "%s", what);
    }
}

static void say(const struct world *w, const char *what, int64_t n)
{
    if (w->tell) {
        (void)printf("# %" PRId64 " %s %" PRId64 "\n", trib_fakeaws_now_us(w->aws) / 1000, what, n);
    }
}

/* ---- the writer --------------------------------------------------------------------------------------------------- */

/* What else goes into a Kinesis stream. */
static void beside(struct world *w, unsigned key, bool remove)
{
    /* Within a millisecond nothing tells that a key came and went: "none" would be new as often as old. */
    if (remove && w->written_ms[key] == trib_fakeaws_now_us(w->aws) / 1000) {
        trib_fakeaws_advance(w->aws, 1000);
    }
    w->written_ms[key] = trib_fakeaws_now_us(w->aws) / 1000;
    if (chance(w, .05)) {
        char text[128];
        (void)snprintf(text, sizeof text, "{\"pk\":{\"S\":\"k%u\"},\"v\":{\"N\":\"-%" PRIu64 "\"}}", key, ++w->version);
        (void)trib_fakeaws_put(w->aws, OTHER, text);
    }
    if (chance(w, .01)) {
        trib_fakeaws_kinesis_put(w->aws, STREAM, trib_seeded_next(&w->rng), "{\"no\": \"change of DynamoDB's\"}");
    }
}

static void write_key(struct world *w, unsigned key)
{
    char text[128];
    w->writes++;
    bool remove = chance(w, .25);
    if (w->kinesis) {
        beside(w, key, remove);
    }
    if (remove) {
        (void)snprintf(text, sizeof text, "{\"pk\":{\"S\":\"k%u\"}}", key);
        (void)trib_fakeaws_delete(w->aws, TABLE, text);
    } else {
        (void)snprintf(text, sizeof text, "{\"pk\":{\"S\":\"k%u\"},\"v\":{\"N\":\"%" PRIu64 "\"}}", key, ++w->version);
        (void)trib_fakeaws_put(w->aws, TABLE, text);
    }
}

static void write_some(struct world *w, uint64_t most)
{
    for (uint64_t n = below(w, most + 1); n > 0; n--) {
        write_key(w, (unsigned)(chance(w, .7) ? below(w, w->hot) : below(w, w->keys)));
    }
}

static void make_stream(struct world *w)
{
    trib_fakeaws_kinesis(w->aws, STREAM, 1 + (unsigned)below(w, 4), chance(w, .3) ? 48 * HOUR : 0);
}

static void make_table(struct world *w)
{
    const struct trib_fakeaws_table t = {.name = TABLE,
                                         .hash = "pk",
                                         .hash_type = 'S',
                                         .view = w->kinesis ? NULL : "NEW_AND_OLD_IMAGES",
                                         .kinesis = w->kinesis ? STREAM : NULL,
                                         .kinesis_microsecond = w->kinesis && chance(w, .5),
                                         .shards = 1 + (unsigned)below(w, 4)};
    trib_fakeaws_create_table(w->aws, &t);
}

static void set_chaos(struct world *w, bool on)
{
    struct trib_fakeaws_chaos c = {0};
    if (on) {
        double p = chance(w, .6) ? trib_seeded_unit(&w->rng) * .05 : 0;
        c = (struct trib_fakeaws_chaos){.throttle = p,
                                        .e500 = p,
                                        .e503 = p,
                                        .reset = p,
                                        .lost = p,
                                        .truncated = p,
                                        .slow = p / 10,
                                        .describe_lies = chance(w, .5) ? .3 : 0,
                                        .empty_page = chance(w, .5) ? .2 : 0,
                                        .short_page = chance(w, .6) ? trib_seeded_unit(&w->rng) : 0,
                                        .extra_page = .2,
                                        .rotate = chance(w, .5) ? .01 : .001,
                                        .split = .002};
        if (w->kinesis) {
            c.kinesis_twice = chance(w, .7) ? .1 : 0;
            c.kinesis_reorder = chance(w, .7) ? .1 : 0;
        }
    }
    trib_fakeaws_chaos(w->aws, &c);
}

/* What happens to a Kinesis stream and its table between steps. */
static void kinesis_event(struct world *w)
{
    double x = trib_seeded_unit(&w->rng);
    size_t open = trib_fakeaws_kinesis_open(w->aws, STREAM);
    if (x < .02 && open < 20) {
        trib_fakeaws_kinesis_split(w->aws, STREAM, below(w, open));
    } else if (x < .04 && open > 1) {
        trib_fakeaws_kinesis_merge(w->aws, STREAM, below(w, open - 1));
    } else if (x < .043) {
        trib_fakeaws_kinesis_precision(w->aws, TABLE, chance(w, .5));
    } else if (x < .044) {
        say(w, "the stream made again", 0);
        trib_fakeaws_kinesis_delete(w->aws, STREAM);
        trib_fakeaws_advance(w->aws, (int64_t)below(w, 30) * SECOND);
        make_stream(w);
    } else if (x < .045) {
        say(w, "the table made again", 0);
        trib_fakeaws_delete_table(w->aws, TABLE);
        make_table(w);
    }
}

/* What happens to the table between steps. */
static void event(struct world *w)
{
    if (w->kinesis) {
        kinesis_event(w);
        return;
    }
    double x = trib_seeded_unit(&w->rng);
    if (x < .02 && trib_fakeaws_open_shards(w->aws, TABLE) > 0) {
        trib_fakeaws_split(w->aws, TABLE, below(w, trib_fakeaws_open_shards(w->aws, TABLE)), 1 + (unsigned)below(w, 2));
    } else if (x < .021) {
        say(w, "the stream off and on", 0);
        trib_fakeaws_stream_off(w->aws, TABLE);
        write_some(w, 10);
        trib_fakeaws_stream_on(w->aws, TABLE, "NEW_AND_OLD_IMAGES");
    } else if (x < .0215) {
        say(w, "the table made again", 0);
        trib_fakeaws_delete_table(w->aws, TABLE);
        make_table(w);
    }
}

/* ---- lives -------------------------------------------------------------------------------------------------------- */

/* Over a disk: what comes to whoever lives now. */
static void plan(struct world *w, bool crash)
{
    static const enum sim_end ends[] = {SIM_POWER, SIM_POWER, SIM_KILL};
    w->end = ends[below(w, 3)];
    sim_disk_start(w->setup.disk, 1, trib_seeded_next(&w->rng),
                   crash ? 1 + (long)below(w, chance(w, .5) ? 60 : 600) : 0, w->end);
}

static struct life *life(struct world *w, int i)
{
    if (w->lives[i] == NULL) {
        bool crash = !w->quiet && chance(w, .5);
        if (w->setup.disk != NULL && w->lives[1 - i] == NULL) {
            plan(w, crash);
        }
        w->lives[i] =
            life_start(&w->setup, trib_seeded_next(&w->rng), crash ? 1 + (long)below(w, chance(w, .5) ? 60 : 600) : 0);
    }
    return w->lives[i];
}

static void end_life(struct world *w, int i)
{
    life_end(w->lives[i]);
    w->lives[i] = NULL;
}

static void end_all(struct world *w)
{
    for (int i = 0; i < LIVES; i++) {
        end_life(w, i);
    }
}

/* A life died in a command. With the power all die, and what was not synced was lost: a reader may have seen it. */
static void died(struct world *w, int i)
{
    say(w, "dies: life", i);
    if (w->setup.disk != NULL && w->end == SIM_POWER) {
        memset(w->shown, 0, w->keys * sizeof *w->shown);
        if (w->lives[1 - i] != NULL && life_busy(w->lives[1 - i])) {
            life_kill(w->lives[1 - i]);
        } else {
            end_life(w, 1 - i);
        }
    }
    end_life(w, i);
}

static bool command(struct world *w, int i, enum life_command what, int64_t n, struct life_answer *ret)
{
    bool lives = life_do(life(w, i), what, n, ret);
    if (!lives) {
        if (w->quiet) {
            fail(w, "a life died in the quiet end");
        }
        died(w, i);
    } else if (ret->told[0] != '\0' && w->quiet) {
        fail(w, ret->told);
    }
    return lives;
}

/* ---- readers ------------------------------------------------------------------------------------------------------- */

static void look_at(struct world *w, const char *lines)
{
    bool *here = trib_calloc(w->keys, sizeof *here);
    for (const char *p = lines; *p != '\0'; p = strchr(p, '\n') + 1) {
        unsigned key = 0;
        uint64_t v = 0;
        if (sscanf(p, "{\"pk\":{\"S\":\"k%u\"},\"v\":{\"N\":\"%" SCNu64, &key, &v) != 2 || key >= w->keys) {
            fail(w, p);
            break;
        }
        struct shown *s = &w->shown[key];
        here[key] = true;
        if ((v < s->version || (v == s->version && s->gone)) && w->failure[0] == '\0') {
            (void)snprintf(w->failure, sizeof w->failure, "key k%u went back from %" PRIu64 "%s to %" PRIu64, key,
                           s->version, s->gone ? ", deleted," : "", v);
        }
        *s = (struct shown){v, false};
    }
    for (unsigned i = 0; i < w->keys; i++) {
        w->shown[i].gone |= !here[i] && w->shown[i].version > 0;
    }
    free(here);
}

/* A reader never sees a key go back to an older state (merge.md, Epochs). */
static void look(struct world *w, int i)
{
    struct life_answer a;
    if (command(w, i, LIFE_LOOK, 0, &a)) {
        look_at(w, a.lines.n == 0 ? "" : a.lines.p);
    }
    trib_buf_free(&a.lines);
}

static void do_pass(struct world *w, int i, int64_t n)
{
    struct life_answer a;
    bool lives = command(w, i, LIFE_PASS, n, &a);
    trib_buf_free(&a.lines);
    if (lives && w->depth == 0 && chance(w, .6)) {
        look(w, i);
    }
}

/* A step of capture, and perhaps some of the rest. Returns when capture is due. */
static int64_t step(struct world *w, int i, bool once)
{
    struct life_answer a;
    bool lives = command(w, i, once ? LIFE_ONCE : LIFE_FOLLOW, 0, &a);
    int64_t due = a.due_us;
    trib_buf_free(&a.lines);
    if (!lives) {
        return -1;
    }
    if (!w->quiet && chance(w, .12)) {
        do_pass(w, i, chance(w, .7) ? 1 + (int64_t)below(w, 3) : 0);
    }
    return due;
}

/* In the middle of a life's command. */
static void between(void *ctx, struct life *me, bool request)
{
    struct world *w = ctx;
    if (w->quiet || w->depth > 0 || w->failure[0] != '\0') {
        return;
    }
    if (request && chance(w, w->inside)) {
        write_some(w, 4);
        event(w);
    }
    int other = w->lives[0] == me ? 1 : 0;
    if (w->lives[other] != NULL && chance(w, request ? w->turns : w->turns / 4)) {
        w->depth++;
        for (uint64_t n = 1 + below(w, chance(w, .2) ? 10 : 2); n > 0 && w->lives[other] != NULL; n--) {
            (void)step(w, other, false);
        }
        w->depth--;
    }
}

/* ---- phases -------------------------------------------------------------------------------------------------------- */

/* Daemons for a while; some look too late at what is due. */
static void follow(struct world *w)
{
    int lives = chance(w, .3) ? 2 : 1;
    uint64_t n = chance(w, .3) ? 1 + below(w, 10) : chance(w, .3) ? 100 + below(w, 200) : 5 + below(w, 60);
    int64_t pace = chance(w, .4) ? (int64_t)below(w, 90) * SECOND : 0;
    say(w, "follow: steps", (int64_t)n);
    for (; n > 0 && w->failure[0] == '\0'; n--) {
        int i = (int)below(w, (uint64_t)lives);
        for (int k = 0; k < lives; k++) {
            (void)life(w, k);
        }
        int64_t due = step(w, i, false), now = trib_fakeaws_now_us(w->aws);
        write_some(w, 5);
        event(w);
        if (chance(w, .02)) {
            end_life(w, i);
        }
        int64_t wait = due == INT64_MAX || due < now ? SECOND / 10 : due - now;
        wait = wait > pace ? wait : pace;
        trib_fakeaws_advance(w->aws, wait < 90 * SECOND ? wait : 90 * SECOND);
    }
    end_all(w);
}

/* A run that drains. It may be told to drain by another one meanwhile, and die. */
static void drain(struct world *w)
{
    int64_t began = trib_fakeaws_now_us(w->aws);
    uint64_t most = w->quiet ? UINT64_MAX : chance(w, .5) ? 1 + below(w, 60) : 3000; /* killed, or too long */
    say(w, "drain", 0);
    for (uint64_t n = 0; n < most && w->failure[0] == '\0'; n++) {
        int64_t due = step(w, 0, true), now = trib_fakeaws_now_us(w->aws);
        if (due == INT64_MAX) {
            do_pass(w, 0, 0);
            break;
        }
        if (w->quiet && now - began > 2 * HOUR) {
            fail(w, "a run that drains does not end");
        }
        if (!w->quiet && chance(w, .2)) {
            write_some(w, 2);
        }
        trib_fakeaws_advance(w->aws, due <= now ? 1000 : due - now);
    }
    end_all(w);
}

static void outage(struct world *w)
{
    double x = trib_seeded_unit(&w->rng);
    int64_t us = x < .35  ? 23 * HOUR + (int64_t)below(w, 7 * 3600) * SECOND
                 : x < .6 ? (int64_t)below(w, 60) * HOUR
                 : x < .8 ? (int64_t)below(w, 20) * HOUR
                          : (int64_t)below(w, 3600) * SECOND;
    say(w, "outage: s", us / SECOND);
    write_some(w, chance(w, .3) ? 400 : 30);
    for (uint64_t n = 30, stop = below(w, 31); n > 0; n--) {
        if (n > stop) {
            write_some(w, 6);
        }
        trib_fakeaws_advance(w->aws, us / 30 + 1);
    }
}

/* ---- the end ------------------------------------------------------------------------------------------------------ */

struct lines {
    char **text;
    size_t n, cap;
};

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void add_line(struct lines *l, char *text)
{
    TRIB_GROW(l->text, l->cap, l->n + 1);
    l->text[l->n++] = text;
}

static void lines_free(struct lines *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->text[i]);
    }
    free(l->text);
}

static void visit(void *ctx, const char *key, const char *item)
{
    (void)key;
    add_line(ctx, trib_strdup(item));
}

static void compare(struct world *w)
{
    struct lines want = {0}, got = {0};
    struct life_answer a;
    (void)trib_fakeaws_each(w->aws, TABLE, INT64_MAX, visit, &want);
    (void)command(w, 0, LIFE_LOOK, 0, &a);
    for (const char *p = a.lines.n == 0 ? "" : a.lines.p; *p != '\0'; p = strchr(p, '\n') + 1) {
        add_line(&got, trib_strndup(p, (size_t)(strchr(p, '\n') - p)));
    }
    trib_buf_free(&a.lines);
    if (want.n > 0) {
        qsort(want.text, want.n, sizeof *want.text, by_text);
    }
    if (got.n > 0) {
        qsort(got.text, got.n, sizeof *got.text, by_text);
    }
    for (size_t i = 0; i < (want.n > got.n ? want.n : got.n) && w->failure[0] == '\0'; i++) {
        const char *x = i < want.n ? want.text[i] : "nothing", *y = i < got.n ? got.text[i] : "nothing";
        if (strcmp(x, y) != 0) {
            (void)snprintf(w->failure, sizeof w->failure, "the writer has %s, Silver has %s (%zu and %zu items)", x, y,
                           want.n, got.n);
        }
    }
    lines_free(&want);
    lines_free(&got);
}

/* ---- a world ------------------------------------------------------------------------------------------------------ */

static void must(int rc, const struct trib_err *err)
{
    if (rc != 0) {
        (void)fprintf(stderr, "%s\n", err->msg);
        abort();
    }
}

static struct trib_config *configure(struct world *w)
{
    static const char *const intervals[] = {"1s", "5s", "60s"};
    struct trib_config *config;
    struct trib_err err = {0};
    uint64_t files = chance(w, .4) ? 1 : chance(w, .5) ? 1 + below(w, 4) : 1000;
    TRIB_CLEANUP(trib_cleanup_free)
    char *text =
        trib_asprintf("pipeline: live\n"
                      "lake: /lake\n"
                      "aws: {region: eu-west-1}\n"
                      "batch: {files: %" PRIu64 "}\n"
                      "tables:\n"
                      "  - name: " TABLE "\n"
                      "    key: {partition: pk}\n"
                      "    source: {%s}\n"
                      "    landing: {buffer: {interval: %s}}\n"
                      "    silver: {domain: d, table: orders}\n",
                      files, w->kinesis ? "type: kinesis, stream: " STREAM : "type: streams", intervals[below(w, 3)]);
    must(trib_config_parse(trib_view_of(text), "live.yaml", &config, NULL, &err), &err);
    return config;
}

/* What worlds of one process share. */
struct shop {
    struct trib_engine *engine;
    char *scratch;
    struct sim_disk *disk;
    int64_t *now_us;
    const char *kind;   /* "near", "disk" or "" */
    const char *source; /* "streams", "kinesis" or "" */
};

static void open_world(struct world *w, struct shop *s)
{
    struct trib_err err = {0};
    trib_seeded_init(&w->rng, w->seed);
    const struct trib_fakeaws_opts o = {.seed = w->seed};
    w->aws = trib_fakeaws_new(&o);
    bool many = chance(w, .5);
    w->keys = many ? 20 + (unsigned)below(w, 200) : 1 + (unsigned)below(w, 12);
    w->hot = 1 + (unsigned)below(w, w->keys < 10 ? w->keys : 10);
    w->shown = trib_calloc(w->keys, sizeof *w->shown);
    w->inside = chance(w, .5) ? .1 : 0;
    w->turns = chance(w, .5) ? .1 : 0;
    w->kinesis = *s->source == '\0' ? w->seed % 4 == 2 : *s->source == 'k';
    w->written_ms = trib_calloc(w->keys, sizeof *w->written_ms);
    if (w->kinesis) {
        const struct trib_fakeaws_table other = {.name = OTHER, .hash = "pk", .hash_type = 'S', .kinesis = STREAM};
        make_stream(w);
        trib_fakeaws_create_table(w->aws, &other);
    }
    make_table(w);
    must(trib_scratch_make(NULL, &w->folder, &err), &err);
    bool disk = *s->kind == '\0' ? w->seed % 4 == 3 : *s->kind == 'd';
    w->setup = (struct life_setup){.aws = w->aws,
                                   .config = configure(w),
                                   .engine = disk ? NULL : s->engine,
                                   .root = w->folder,
                                   .disk = disk ? s->disk : NULL,
                                   .now_us = s->now_us,
                                   .tell = w->tell,
                                   .between = between,
                                   .ctx = w};
    if (disk) {
        TRIB_CLEANUP(trib_cleanup_free) char *hold = trib_asprintf("%s/hold", w->folder);
        must(mkdir(hold, 0700) == 0 ? 0 : trib_err_errno(&err, errno, "%s", hold), &err);
        sim_disk_reset(s->disk, w->folder, trib_seeded_next(&w->rng), (struct sim_faults){0});
    }
}

static void close_world(struct world *w)
{
    end_all(w);
    trib_config_free((struct trib_config *)(uintptr_t)w->setup.config);
    trib_fakeaws_free(w->aws);
    trib_scratch_remove(w->folder);
    free(w->folder);
    free(w->shown);
    free(w->written_ms);
}

static bool run(struct shop *s, uint64_t seed, bool tell, uint64_t *ret_writes, char failure[2048])
{
    struct world *w = trib_calloc(1, sizeof *w);
    w->seed = seed;
    w->tell = tell;
    open_world(w, s);
    write_some(w, 300);
    set_chaos(w, chance(w, .8));
    for (uint64_t n = 1 + below(w, 9); n > 0 && w->failure[0] == '\0'; n--) {
        double x = trib_seeded_unit(&w->rng);
        if (x < .45) {
            follow(w);
        } else if (x < .65) {
            drain(w);
        } else {
            outage(w);
        }
    }
    set_chaos(w, false);
    w->quiet = true;
    /* A gap that is found while draining asks for another snapshot; the second run finds nothing. */
    for (int i = 0; i < 2 && w->failure[0] == '\0'; i++) {
        drain(w);
    }
    if (w->failure[0] == '\0') {
        compare(w);
    }
    *ret_writes += w->writes;
    (void)snprintf(failure, 2048, "%s", w->failure);
    close_world(w);
    free(w);
    return failure[0] == '\0';
}

/* ---- many ---------------------------------------------------------------------------------------------------------- */

static struct {
    _Atomic uint64_t next, bad, writes, done;
    uint64_t at[JOBS_MAX]; /* the seed that a job is at */
} * totals;

static void *shared(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        abort();
    }
    return p;
}

static void work(long job, uint64_t end, bool tell)
{
    struct trib_err err = {0};
    const char *kind = getenv("LIVE_LIVES"), *source = getenv("LIVE_SOURCE");
    struct shop s = {.disk = sim_disk_new(),
                     .now_us = shared(sizeof *s.now_us),
                     .kind = kind == NULL ? "" : kind,
                     .source = source == NULL ? "" : source};
    must(trib_scratch_make(NULL, &s.scratch, &err), &err);
    const struct trib_engine_opts o = {.limit_bytes = 128 << 20, .threads = 1, .scratch = s.scratch};
    must(trib_engine_open(&o, &s.engine, &err), &err);
    for (uint64_t seed; totals->bad < MAX_FAILURES && (seed = totals->next++) < end;) {
        char failure[2048];
        uint64_t writes = 0;
        totals->at[job] = seed;
        if (!run(&s, seed, tell, &writes, failure)) {
            totals->bad++;
            (void)printf("# seed %" PRIu64 " failed: %s (replay: build/livesim %" PRIu64 " 1 tell)\n", seed, failure,
                         seed);
            (void)fflush(stdout);
        }
        totals->writes += writes;
        totals->done++;
        totals->at[job] = UINT64_MAX;
    }
    trib_engine_close(s.engine);
    trib_scratch_remove(s.scratch);
    free(s.scratch);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, runs = argc > 2 ? strtoull(argv[2], NULL, 10) : 100;
    bool tell = argc > 3 && strcmp(argv[3], "tell") == 0;
    const char *text = getenv("LIVE_JOBS");
    long jobs = text == NULL ? 1 : strtol(text, NULL, 10);
    totals = shared(sizeof *totals);
    totals->next = seed;
    struct timespec from, to;
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    int lost = 0;
    jobs = jobs < 1 ? 1 : jobs > JOBS_MAX ? JOBS_MAX : jobs;
    for (long i = 0; i < jobs; i++) {
        totals->at[i] = UINT64_MAX;
        (void)fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            work(i, seed + runs, tell);
            exit(0);
        }
        lost += pid < 0;
    }
    int status;
    while (wait(&status) > 0) {
        lost += status != 0;
    }
    for (long i = 0; i < jobs; i++) {
        if (totals->at[i] != UINT64_MAX) {
            (void)printf("# seed %" PRIu64 " failed: its process died (replay: build/livesim %" PRIu64 " 1 tell)\n",
                         totals->at[i], totals->at[i]);
        }
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    bool good = lost == 0 && totals->bad == 0 && totals->done == runs;
    (void)printf("# %" PRIu64 " runs from seed %" PRIu64 ", %" PRIu64 " failed, %" PRIu64
                 " writes, %.1f runs a second, %ld job(s), %d of them lost\n",
                 totals->done, seed, totals->bad, totals->writes, (double)totals->done / seconds, jobs, lost);
    (void)printf("%s 1 - %" PRIu64 " live worlds: Silver is what the writer wrote\n", good ? "ok" : "not ok", runs);
    return good ? 0 : 1;
}
