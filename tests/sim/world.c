/*
 * The workload of a seed and its model. Changes of few keys with few images, so that history folds and splits; out of order; some
 * delivered again, under the same id or another, in the same file, another or a later round; broken lines, files without rows.
 *
 * The model is written from the rules (a map per key: three maxima; runs of equal images), not from the product's SQL.
 * Never: ties between different images (their winner is a digest's matter; tests/model has them). Threads: one.
 * Files appear whole, by a rename; they are the writer's, and the simulated disk does not lose them.
 */
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the workload --------------------------------------------------------------------------------------------------- */

static struct world_image random_image(struct trib_seeded *r)
{
    return (struct world_image){(int)trib_seeded_below(r, 4), (int)trib_seeded_below(r, 4)};
}

void world_new(struct world *w, const char *root, uint64_t seed)
{
    static const long batches[] = {1, 2, 1000};
    memset(w, 0, sizeof *w);
    if (snprintf(w->root, sizeof w->root, "%s", root) >= (int)sizeof w->root) {
        abort();
    }
    trib_seeded_init(&w->rng, seed);
    w->hard = trib_seeded_below(&w->rng, 2) == 0;
    w->scd2 = trib_seeded_below(&w->rng, 2) == 0;
    w->old_images = trib_seeded_below(&w->rng, 2) == 0;
    w->batch_files = batches[trib_seeded_below(&w->rng, 3)];
}

static void put_sql(const struct world *w, const char *name, const char *sql)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s.sql", w->root, name);
    FILE *f = fopen(path, "w");
    if (f == NULL || fputs(sql, f) < 0 || fclose(f) != 0) {
        abort();
    }
}

char *world_config(const struct world *w)
{
    const char *r = w->root;
    put_sql(w, "live",
            w->hard ? "SELECT v, count(*) AS keys FROM silver.t GROUP BY v"
                    : "SELECT v, count(*) AS keys FROM silver.t WHERE NOT _is_deleted GROUP BY v");
    put_sql(w, "total", "SELECT count(*) AS groups, sum(keys) AS keys FROM gold.live");
    put_sql(w, "runs",
            "SELECT h.pk, count(*) AS runs, count(h.__END_AT) AS ended, any_value(c.keys) AS keys "
            "FROM silver.t_history h, gold.total c GROUP BY h.pk");
    struct trib_buf b;
    trib_buf_init(&b, 1 << 14);
    trib_buf_addf(
        &b,
        "pipeline: sim\nlake: %s/lake\nstate: %s/state\ntrigger: {once: true}\nbatch: {files: %ld}\n"
        "tables:\n  - name: T\n    key: {partition: pk}\n    source: {type: files, path: %s/in}\n"
        "    silver: {domain: d, table: t, deletes: %s, history: %s}\n"
        "gold:\n  - {subject: g, name: live, sql: %s/live.sql}\n  - {subject: g, name: total, sql: %s/total.sql}\n",
        r, r, w->batch_files, r, w->hard ? "hard" : "soft", w->scd2 ? "scd2" : "none", r, r);
    if (w->scd2) {
        trib_buf_addf(&b, "  - {subject: g, name: runs, sql: %s/runs.sql}\n", r);
    }
    return trib_buf_take(&b);
}

static int new_event(struct world *w)
{
    struct trib_seeded *r = &w->rng;
    if (w->n_events == WORLD_EVENTS) {
        abort();
    }
    int i = w->n_events++;
    /* Some come late: before events that were delivered long ago. The count makes each number a new one. */
    int64_t place = i - (trib_seeded_below(r, 4) == 0 ? (int64_t)trib_seeded_below(r, 20) : 0);
    struct world_event *e = &w->events[i];
    *e = (struct world_event){.key = (int)trib_seeded_below(r, WORLD_KEYS),
                              .sequence = (1000 + place) * 1000 + i,
                              .second = 1700000000 + i,
                              .up = trib_seeded_below(r, 4) != 0,
                              .image = random_image(r),
                              .old = random_image(r)};
    e->has_old = w->old_images && trib_seeded_below(r, 3) != 0;
    if (i == 0) { /* all columns are there from the start */
        e->up = e->has_old = true;
        e->image = (struct world_image){1, 1};
    }
    return i;
}

static void put_image(FILE *f, const char *name, int key, struct world_image image)
{
    static const char *const numbers[] = {"", "1", "1.0", "2"};
    (void)fprintf(f, ",\"%s\":{\"pk\":{\"S\":\"k%d\"}", name, key);
    if (image.v > 0) {
        (void)fprintf(f, ",\"v\":{\"S\":\"v%d\"}", image.v);
    }
    if (image.n > 0) {
        (void)fprintf(f, ",\"n\":{\"N\":\"%s\"}", numbers[image.n]);
    }
    (void)fputs("}", f);
}

static void put_record(struct world *w, FILE *f, int event, long id)
{
    const struct world_event *e = &w->events[event];
    (void)fprintf(
        f,
        "{\"eventID\":\"e%ld\",\"eventName\":\"%s\",\"eventVersion\":\"1.1\",\"eventSource\":\"aws:dynamodb\","
        "\"awsRegion\":\"eu-west-1\",\"dynamodb\":{\"ApproximateCreationDateTime\":%lld,\"Keys\":{\"pk\":{\"S\":\"k%d\"}}",
        id, e->up ? "MODIFY" : "REMOVE", (long long)e->second, e->key);
    if (e->up) {
        put_image(f, "NewImage", e->key, e->image);
    }
    if (e->has_old) {
        put_image(f, "OldImage", e->key, e->old);
    }
    (void)fprintf(f, ",\"SequenceNumber\":\"%lld\",\"SizeBytes\":20,\"StreamViewType\":\"%s\"}}\n",
                  (long long)e->sequence, w->old_images ? "NEW_AND_OLD_IMAGES" : "NEW_IMAGE");
    if (w->n_deliveries == WORLD_DELIVERIES) {
        abort();
    }
    w->deliveries[w->n_deliveries++] = (struct world_delivery){event, w->n_files, id};
    w->files[w->n_files].rows++;
}

static void put_broken(struct world *w, FILE *f)
{
    struct world_file *file = &w->files[w->n_files];
    if (file->bad < WORLD_BAD) {
        file->bad_at[file->bad++] = ftell(f);
        (void)fputs("{\"eventID\":\"cut off\n", f);
    }
}

/* New changes, and old ones again: mostly the same record, sometimes the same change under another id. */
static void put_records(struct world *w, FILE *f)
{
    struct trib_seeded *r = &w->rng;
    for (int i = 0, n = 2 + (int)trib_seeded_below(r, 8); i < n; i++) {
        if (w->n_deliveries > 0 && trib_seeded_below(r, 4) == 0) {
            struct world_delivery again = w->deliveries[trib_seeded_below(r, (uint64_t)w->n_deliveries)];
            put_record(w, f, again.event, trib_seeded_below(r, 3) == 0 ? ++w->next_id : again.id);
        } else {
            put_record(w, f, new_event(w), ++w->next_id);
        }
        if (trib_seeded_below(r, 12) == 0) {
            put_broken(w, f);
        }
    }
}

static void names_of(const struct world *w, const struct world_file *file, char from[300], char to[300])
{
    (void)snprintf(to, 300, "%s/in/%s", w->root, file->name);
    (void)snprintf(from, 300, "%s/in/.%s", w->root, file->name);
}

bool world_next(struct world *w, char from[300], char to[300])
{
    for (int i = 0; i < w->n_files; i++) {
        if (w->files[i].hidden) {
            w->files[i].hidden = false;
            names_of(w, &w->files[i], from, to);
            return true;
        }
    }
    return false;
}

static void put_file(struct world *w, int round, int number)
{
    char path[300], hidden[300];
    if (w->n_files == WORLD_FILES) {
        abort();
    }
    struct world_file *file = &w->files[w->n_files];
    (void)snprintf(file->name, sizeof file->name, "r%d-%d.jsonl", round, number);
    names_of(w, file, hidden, path);
    FILE *f = fopen(hidden, "w");
    if (f == NULL) {
        abort();
    }
    uint64_t kind = w->n_files == 0 ? 2 : trib_seeded_below(&w->rng, 10);
    if (kind == 0) { /* nothing but a broken line */
        put_broken(w, f);
    } else if (kind > 1) { /* 1: empty */
        put_records(w, f);
    }
    file->hidden = w->n_files > 0 && trib_seeded_below(&w->rng, 3) == 0;
    if (fclose(f) != 0 || (!file->hidden && rename(hidden, path) != 0)) {
        abort();
    }
    w->n_files++;
}

void world_deliver(struct world *w, int round)
{
    for (int i = 0, n = 1 + (int)trib_seeded_below(&w->rng, 3); i < n; i++) {
        put_file(w, round, i);
    }
}

/* --- the model ------------------------------------------------------------------------------------------------------ */

static void row(struct world_table *t) { trib_buf_adds(&t->want, t->n++ > 0 ? "), (" : "("); }
static void put_text(struct trib_buf *b, const char *prefix, int64_t n)
{
    trib_buf_addf(b, ", '%s%lld'", prefix, (long long)n);
}
static void put_sequence(struct trib_buf *b, int64_t n)
{
    if (n < 0) {
        trib_buf_adds(b, ", NULL");
    } else {
        trib_buf_addf(b, ", '0001-00000001-%040lld'", (long long)n);
    }
}
static void put_values(struct trib_buf *b, const struct world_image *image)
{
    if (image != NULL && image->v > 0) {
        put_text(b, "v", image->v);
    } else {
        trib_buf_adds(b, ", NULL");
    }
    if (image != NULL && image->n > 0) {
        trib_buf_addf(b, ", %d", image->n == 3 ? 2 : 1);
    } else {
        trib_buf_adds(b, ", NULL");
    }
}
static void put_time(struct trib_buf *b, const struct world_event *e)
{
    if (e == NULL) {
        trib_buf_adds(b, ", NULL");
    } else {
        trib_buf_addf(b, ", %lld", (long long)e->second * 1000000);
    }
}

static void want_bronze(const struct world *w, struct world_table *t)
{
    for (int i = 0; i < w->n_deliveries; i++) {
        const struct world_delivery *d = &w->deliveries[i];
        const struct world_event *e = &w->events[d->event];
        row(t);
        trib_buf_addf(&t->want, "'%s'", w->files[d->file].name);
        put_text(&t->want, "e", d->id);
        put_sequence(&t->want, e->sequence);
        trib_buf_addf(&t->want, ", '%s'", e->up ? "MODIFY" : "REMOVE");
        put_text(&t->want, "k", e->key);
        put_values(&t->want, e->up ? &e->image : NULL);
        put_time(&t->want, e);
    }
}

static void want_quarantine(const struct world *w, struct world_table *t)
{
    for (int i = 0; i < w->n_files; i++) {
        for (int k = 0; k < w->files[i].bad; k++) {
            row(t);
            trib_buf_addf(&t->want, "'%s', %ld", w->files[i].name, w->files[i].bad_at[k]);
        }
    }
}

static void want_files(const struct world *w, struct world_table *t)
{
    for (int i = 0; i < w->n_files; i++) {
        if (w->files[i].rows == 0) {
            row(t);
            trib_buf_addf(&t->want, "'%s', '%s'", w->files[i].name, w->files[i].bad > 0 ? "bad" : "empty");
        }
    }
}

/* The state of a key is three maxima (merge.md, SCD type 1). */
struct state {
    const struct world_event *up, *gone, *candidate; /* candidate: whose image gives a soft-deleted row its values */
};
static struct state state_of(const struct world *w, int key)
{
    struct state s = {0};
    for (int i = 0; i < w->n_events; i++) {
        const struct world_event *e = &w->events[i], **kind = e->up ? &s.up : &s.gone;
        if (e->key != key) {
            continue;
        }
        if (*kind == NULL || e->sequence > (*kind)->sequence) {
            *kind = e;
        }
        if ((e->up || e->has_old) && (s.candidate == NULL || e->sequence > s.candidate->sequence)) {
            s.candidate = e;
        }
    }
    return s;
}
static bool is_live(struct state s) { return s.up != NULL && (s.gone == NULL || s.up->sequence > s.gone->sequence); }

static void want_silver(const struct world *w, struct world_table *t)
{
    for (int k = 0; k < WORLD_KEYS; k++) {
        struct state s = state_of(w, k);
        bool live = is_live(s);
        if ((s.up == NULL && s.gone == NULL) || (w->hard && !live)) {
            continue;
        }
        const struct world_event *from = live ? s.up : s.candidate;
        row(t);
        trib_buf_addf(&t->want, "'k%d'", k);
        put_values(&t->want, from == NULL ? NULL : from->up ? &from->image : &from->old);
        put_sequence(&t->want, from == NULL ? -1 : from->sequence);
        put_time(&t->want, live ? s.up : s.gone);
        if (!w->hard) {
            trib_buf_addf(&t->want, ", %s", live ? "false" : "true");
            put_sequence(&t->want, live ? -1 : s.gone->sequence);
        }
    }
}

static int by_sequence(const void *a, const void *b)
{
    const struct world_event *const *x = a, *const *y = b;
    return (*x)->sequence < (*y)->sequence ? -1 : (*x)->sequence > (*y)->sequence;
}
static size_t events_of(const struct world *w, int key, const struct world_event *ret[WORLD_EVENTS])
{
    size_t n = 0;
    for (int i = 0; i < w->n_events; i++) {
        if (w->events[i].key == key) {
            ret[n++] = &w->events[i];
        }
    }
    qsort(ret, n, sizeof *ret, by_sequence);
    return n;
}
static bool same_image(struct world_image a, struct world_image b)
{
    return a.v == b.v && (a.n == 3) == (b.n == 3) && (a.n == 0) == (b.n == 0);
}
/* The run that begins at i: the index behind it. */
static size_t run_end(const struct world_event *const *e, size_t n, size_t i)
{
    size_t end = i + 1;
    while (end < n && e[end]->up && same_image(e[end]->image, e[i]->image)) {
        end++;
    }
    return end;
}

static void want_history(const struct world *w, struct world_table *t)
{
    const struct world_event *e[WORLD_EVENTS];
    for (int k = 0; k < WORLD_KEYS; k++) {
        size_t n = events_of(w, k, e);
        for (size_t i = 0; i < n;) {
            if (!e[i]->up) {
                i++;
                continue;
            }
            size_t end = run_end(e, n, i);
            const struct world_event *next = end < n ? e[end] : NULL;
            row(t);
            trib_buf_addf(&t->want, "'k%d'", k);
            put_values(&t->want, &e[i]->image);
            put_sequence(&t->want, e[end - 1]->sequence);
            put_time(&t->want, e[end - 1]);
            put_sequence(&t->want, e[i]->sequence);
            put_sequence(&t->want, next == NULL ? -1 : next->sequence);
            put_time(&t->want, e[i]);
            put_time(&t->want, next);
            if (!w->hard) {
                put_sequence(&t->want, next == NULL || next->up ? -1 : next->sequence);
            }
            i = end;
        }
    }
}

static int live_groups(const struct world *w, int keys[4])
{
    int all = 0;
    memset(keys, 0, 4 * sizeof *keys);
    for (int k = 0; k < WORLD_KEYS; k++) {
        struct state s = state_of(w, k);
        if (is_live(s)) {
            keys[s.up->image.v]++;
            all++;
        }
    }
    return all;
}
static void want_live(const struct world *w, struct world_table *t)
{
    int keys[4];
    (void)live_groups(w, keys);
    for (int v = 0; v < 4; v++) {
        if (keys[v] > 0) {
            row(t);
            trib_buf_addf(&t->want, v == 0 ? "NULL" : "'v%d'", v);
            trib_buf_addf(&t->want, ", %d", keys[v]);
        }
    }
}
static void want_total(const struct world *w, struct world_table *t)
{
    int keys[4], groups = 0, all = live_groups(w, keys);
    for (int v = 0; v < 4; v++) {
        groups += keys[v] > 0;
    }
    row(t);
    trib_buf_addf(&t->want, groups == 0 ? "0, NULL" : "%d, %d", groups, all);
}
static void want_runs(const struct world *w, struct world_table *t)
{
    const struct world_event *e[WORLD_EVENTS];
    int keys[4], all = live_groups(w, keys);
    for (int k = 0; k < WORLD_KEYS; k++) {
        size_t n = events_of(w, k, e);
        int runs = 0, ended = 0;
        for (size_t i = 0; i < n;) {
            size_t end = e[i]->up ? run_end(e, n, i) : i + 1;
            runs += e[i]->up;
            ended += e[i]->up && end < n;
            i = end;
        }
        if (runs > 0) {
            row(t);
            trib_buf_addf(&t->want, "'k%d', %d, %d, ", k, runs, ended);
            trib_buf_addf(&t->want, all == 0 ? "NULL" : "%d", all);
        }
    }
}

#define SILVER  "pk, v, CAST(n AS BIGINT), _sequence, epoch_us(_updated_at)"
#define HISTORY SILVER ", __START_AT, __END_AT, epoch_us(_valid_from), epoch_us(_valid_to)"

size_t world_tables(const struct world *w, struct world_table *ret)
{
    const struct {
        const char *path, *select;
        void (*want)(const struct world *, struct world_table *);
        bool is_there;
    } all[] = {
        {"bronze/dynamodb/T",
         "_ingest_file, _event_id, _sequence, op, (record).pk, (record).v, CAST((record).n AS BIGINT), epoch_us(_event_ts)",
         want_bronze, true},
        {"quarantine/dynamodb/T", "_ingest_file, _offset", want_quarantine, true},
        {"bronze/_files/T", "_ingest_file, _reason", want_files, true},
        {"silver/d/t", w->hard ? SILVER : SILVER ", _is_deleted, _deleted_sequence", want_silver, true},
        {"silver/d/t_history", w->hard ? HISTORY : HISTORY ", _deleted_sequence", want_history, w->scd2},
        {"gold/g/live", "v, keys", want_live, true},
        {"gold/g/total", "groups, CAST(keys AS BIGINT)", want_total, true},
        {"gold/g/runs", "pk, runs, ended, CAST(keys AS BIGINT)", want_runs, w->scd2},
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i].is_there) {
            ret[n] = (struct world_table){.path = all[i].path, .select = all[i].select};
            trib_buf_init(&ret[n].want, 1 << 20);
            all[i].want(w, &ret[n]);
            trib_buf_adds(&ret[n].want, ret[n].n > 0 ? ")" : "");
            n++;
        }
    }
    return n;
}
