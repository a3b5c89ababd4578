/* Optimistic inference over the groups of a batch; see batch.h. */
#include "ingest/batch.h"

#include <stdlib.h>

#include "ingest/group.h"
#include "os/pool.h"

#define MIB ((uint64_t)1 << 20)

enum {
    MAX_ROUNDS = 8,
    FREE_ROUNDS = 3,
    SAMPLE_FILES = 16,
    SAMPLE_BYTES = 1 << 20,
};
/* A group is an eighth of the batch, within these bounds (decoded bytes, estimated): eight workers have work in a large
 * batch, a small one becomes one file, and no file is tiny because the machine is large. */
#define GROUP_MIN_BYTES    (64 * MIB)
#define GROUP_MAX_BYTES    (1024 * MIB)
/* A table that has a schema is sampled only when decoding in vain would cost more than the sample. */
#define SAMPLE_KNOWN_BYTES (256 * MIB)
#define PROBE_BYTES        (16 * MIB)

struct batch {
    const struct trib_batch_opts *b;
    struct trib_schema_opts so;
    struct trib_group *groups;
    size_t n_groups;
    struct trib_type rounds[MAX_ROUNDS]; /* the schema of each round; decoders borrow them */
    size_t n_rounds;
    size_t *todo;
    size_t n_todo;
    struct trib_file_result *files;
};

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* By the name alone: nothing is read for it. */
static uint64_t estimate(const struct trib_source_file *f)
{
    bool packed = ends_with(f->key, ".gz") || ends_with(f->key, ".zst");
    return (uint64_t)f->size * (packed ? 8 : 1);
}

static void make_groups(struct batch *w)
{
    const struct trib_source_batch *s = w->b->source;
    uint64_t total = 0;
    for (size_t i = 0; i < s->n; i++) {
        total += estimate(&s->files[i]);
    }
    uint64_t target = total / 8;
    target = target < GROUP_MIN_BYTES ? GROUP_MIN_BYTES : target > GROUP_MAX_BYTES ? GROUP_MAX_BYTES : target;
    size_t cap = 0;
    for (size_t i = 0; i < s->n;) {
        TRIB_GROW(w->groups, cap, w->n_groups + 1);
        struct trib_group *g = &w->groups[w->n_groups++];
        *g = (struct trib_group){.b = w->b,
                                 .first = i,
                                 .files = w->files,
                                 .streams_file = SIZE_MAX,
                                 .kinesis_file = SIZE_MAX,
                                 .culprit = SIZE_MAX};
        uint64_t bytes = 0;
        do {
            bytes += estimate(&s->files[i++]);
            g->n++;
        } while (i < s->n && bytes + estimate(&s->files[i]) / 2 < target);
    }
}

static bool has_keys(const struct trib_type *item, const struct trib_ingest_opts *o)
{
    for (size_t k = 0; k < o->n_keys; k++) {
        bool found = false;
        for (size_t i = 0; i < item->n_fields && !found; i++) {
            const char *name = trib_field_meta(&item->fields[i], "dynamodb.name");
            found = strcmp(name != NULL ? name : item->fields[i].name, o->keys[k]) == 0;
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* The first schema: the table's own, or what a sample tells. */
static int first_schema(struct batch *w, bool *io_old, uint64_t *ret_width, struct trib_err *err)
{
    const struct trib_source_batch *s = w->b->source;
    const struct trib_type none = trib_type_simple(TRIB_T_STRUCT);
    const struct trib_type *current = w->b->item != NULL ? w->b->item : &none;
    uint64_t total = 0, rows = 0, bytes = 0;
    for (size_t i = 0; i < s->n; i++) {
        total += estimate(&s->files[i]);
    }
    bool fails_on_news =
        current->n_fields > 0 && w->so.evolution == TRIB_EVOLVE_FAIL; /* that is told with the whole batch */
    if (current->n_fields > 0 && (total < SAMPLE_KNOWN_BYTES || fails_on_news)) {
        trib_type_copy(&w->rounds[0], current);
        w->n_rounds = 1;
        *ret_width = 0;
        return 0;
    }
    struct trib_infer *in = trib_infer_new();
    size_t step = s->n > SAMPLE_FILES ? s->n / SAMPLE_FILES : 1;
    int rc = 0;
    for (size_t i = 0; i < s->n && rc == 0; i += step) {
        uint64_t r, n;
        rc = trib_group_sample(w->b, i, SAMPLE_BYTES, in, io_old, &r, &n, err);
        rows += rc == 0 ? r : 0;
        bytes += rc == 0 ? n : 0;
    }
    struct trib_evolved ev = {0};
    if (rc == 0) {
        rc = trib_schema_evolve(current, in, &w->so, false, &ev, err);
    }
    trib_infer_free(in);
    TRIB_TRY(rc);
    free(ev.new_fields);
    w->rounds[0] = ev.type;
    w->n_rounds = 1;
    *ret_width = rows > 0 ? bytes / rows + 1 : 0;
    return 0;
}

/* How wide a row is, for groups large enough that it matters. */
static int probe_width(struct trib_group *g, struct trib_err *err)
{
    uint64_t bytes = 0, rows, n;
    for (size_t i = g->first; i < g->first + g->n; i++) {
        bytes += estimate(&g->b->source->files[i]);
    }
    if (bytes < PROBE_BYTES) {
        return 0;
    }
    TRIB_TRY(trib_group_sample(g->b, g->first, SAMPLE_BYTES, NULL, NULL, &rows, &n, err));
    g->width = rows > 0 ? n / rows + 1 : 0;
    return 0;
}

static int decode_task(void *ctx, size_t task, struct trib_err *err)
{
    struct batch *w = ctx;
    struct trib_group *g = &w->groups[w->todo[task]];
    if (g->width == 0) {
        TRIB_TRY(probe_width(g, err));
    }
    return trib_group_decode(g, err);
}

/* What all groups tell together, in the order of the files, over the table's schema. */
static int evolve(struct batch *w, struct trib_evolved *ret, struct trib_err *err)
{
    const struct trib_type none = trib_type_simple(TRIB_T_STRUCT);
    const struct trib_type *from = w->b->item != NULL ? w->b->item : &none;
    /* A record that is broken under one schema and not under another would make the rounds swing: from here on nothing is taken back. */
    from = w->n_rounds > FREE_ROUNDS ? &w->rounds[w->n_rounds - 1] : from;
    struct trib_infer *all = trib_infer_new();
    for (size_t i = 0; i < w->n_groups; i++) {
        struct trib_infer *part = trib_infer_new();
        trib_decoder_infer(w->groups[i].decoder, part);
        trib_infer_merge(all, part);
        trib_infer_free(part);
    }
    int rc = trib_schema_evolve(from, all, &w->so, false, ret, err);
    trib_infer_free(all);
    return rc;
}

static void run_again(struct batch *w, const struct trib_type *item, bool with_old)
{
    trib_type_copy(&w->rounds[w->n_rounds++], item);
    for (size_t i = 0; i < w->n_todo; i++) {
        w->groups[w->todo[i]].item = &w->rounds[w->n_rounds - 1];
        w->groups[w->todo[i]].with_old = with_old;
    }
}

/* Rounds until every group stands as the final schema would have it. */
static int settle(struct batch *w, bool with_old, struct trib_batch *ret, struct trib_err *err)
{
    for (;;) {
        TRIB_TRY(trib_pool_run(w->b->env->workers, w->n_todo, decode_task, w, err));
        struct trib_evolved ev = {0};
        TRIB_TRY(evolve(w, &ev, err));
        bool saw_old = false;
        for (size_t i = 0; i < w->n_groups; i++) {
            saw_old |= w->groups[i].saw_old;
        }
        with_old |= saw_old;
        w->n_todo = 0;
        for (size_t i = 0; i < w->n_groups; i++) {
            struct trib_group *g = &w->groups[i];
            if (g->saw_old || trib_decoder_outdated(g->decoder, &ev.type) || !trib_type_fits(g->item, &ev.type) ||
                has_keys(g->item, w->b->o) != has_keys(&ev.type, w->b->o)) {
                w->todo[w->n_todo++] = i;
            }
        }
        if (w->n_todo == 0) {
            ret->item = ev.type;
            ret->item_changed = ev.changed || w->n_rounds > FREE_ROUNDS;
            ret->new_fields = ev.new_fields;
            ret->with_old = with_old;
            return 0;
        }
        if (w->n_rounds == MAX_ROUNDS) {
            trib_type_free(&ev.type);
            free(ev.new_fields);
            return trib_err_set(err, TRIB_E_INTERNAL,
                                "table %s: the schema does not settle after %d rounds over a batch; please report it",
                                w->b->o->table, MAX_ROUNDS);
        }
        run_again(w, &ev.type, with_old);
        trib_type_free(&ev.type);
        free(ev.new_fields);
    }
}

static void gather(struct batch *w, struct trib_batch *ret)
{
    size_t cap_parquet = 0, cap_spools = 0;
    ret->streams_file = ret->kinesis_file = SIZE_MAX;
    for (size_t i = 0; i < w->n_groups; i++) {
        struct trib_group *g = &w->groups[i];
        for (size_t k = 0; k < g->n_parquet; k++) {
            TRIB_GROW(ret->parquet, cap_parquet, ret->n_parquet + 1);
            ret->parquet[ret->n_parquet++] = g->parquet[k];
        }
        free(g->parquet);
        g->parquet = NULL;
        g->n_parquet = 0;
        if (g->spool != NULL) {
            TRIB_GROW(ret->spools, cap_spools, ret->n_spools + 1);
            ret->spools[ret->n_spools++] = g->spool;
            g->spool = NULL;
        }
        ret->streams_file = g->streams_file < ret->streams_file ? g->streams_file : ret->streams_file;
        ret->kinesis_file = g->kinesis_file < ret->kinesis_file ? g->kinesis_file : ret->kinesis_file;
        ret->rows += g->rows;
        ret->bad += g->bad;
        ret->decoded_bytes += g->decoded_bytes;
        ret->rescued += (int64_t)trib_decoder_rescued(g->decoder);
    }
}

int trib_batch_decode(const struct trib_batch_opts *b, struct trib_batch *ret, size_t *ret_culprit,
                      struct trib_err *err)
{
    struct batch w = {.b = b, .so = b->o->schema, .files = trib_calloc(b->source->n, sizeof(struct trib_file_result))};
    struct trib_batch out = {0};
    bool with_old = b->with_old;
    uint64_t width = 0;
    make_groups(&w);
    w.todo = trib_calloc(w.n_groups, sizeof *w.todo);
    int rc = first_schema(&w, &with_old, &width, err);
    if (rc == 0) {
        for (size_t i = 0; i < w.n_groups; i++) {
            w.groups[i].item = &w.rounds[0];
            w.groups[i].with_old = with_old;
            w.groups[i].width = width;
            w.todo[w.n_todo++] = i;
        }
        rc = settle(&w, with_old, &out, err);
    }
    *ret_culprit = SIZE_MAX;
    for (size_t i = 0; i < w.n_groups; i++) {
        if (rc == TRIB_E_DATA && w.groups[i].culprit != SIZE_MAX && *ret_culprit == SIZE_MAX) {
            *ret_culprit = w.groups[i].culprit;
        }
    }
    if (rc == 0) {
        gather(&w, &out);
        out.files = w.files;
        *ret = out;
    }
    for (size_t i = 0; i < w.n_groups; i++) {
        trib_group_clear(&w.groups[i]);
    }
    for (size_t i = 0; i < w.n_rounds; i++) {
        trib_type_free(&w.rounds[i]);
    }
    if (rc != 0) {
        free(w.files);
    }
    free(w.groups);
    free(w.todo);
    return rc;
}

void trib_batch_free(struct trib_batch *b)
{
    for (size_t i = 0; i < b->n_parquet; i++) {
        trib_parquet_file_drop(&b->parquet[i]); /* moved into the table, or not wanted */
    }
    free(b->parquet);
    for (size_t i = 0; i < b->n_spools; i++) {
        trib_spool_free(b->spools[i]);
    }
    free(b->spools);
    free(b->files);
    free(b->new_fields);
    trib_type_free(&b->item);
    *b = (struct trib_batch){0};
}
