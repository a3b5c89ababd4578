/* See snapshots.h. Owns the newest listing, the manifests of exports and the file at hand. Writes nothing. */
#include "ingest/snapshots.h"

#include <stdlib.h>
#include <xxhash.h>

#include "dynamodb/change.h"
#include "ingest/export.h"
#include "ingest/source.h"
#include "stage/input.h"

enum { ITEM_MAX = 64 << 20 };

struct piece {
    char *key;
    int64_t items; /* of a manifest; -1: unknown */
};

struct candidate {
    char *name; /* of a folder or file; of an export: its folder */
    int64_t time_us;
    uint64_t mark;
    bool is_export; /* its folder holds manifests: what else lies there is no snapshot of its own */
};

struct trib_snapshots {
    const struct trib_env *env;
    const struct trib_ingest_opts *o;
    char *above;
    struct trib_export **exports;
    size_t n_exports, cap_exports;
    struct candidate *all;
    size_t n, cap;
    struct piece *pieces; /* of the newest */
    size_t n_pieces, cap_pieces;
    const struct candidate *newest;
    struct trib_export *newest_export;
    char *name;
    /* the file at hand */
    size_t at;
    struct trib_input *input;
    struct trib_reader *reader;
    int64_t items;
    struct trib_buf item;
};

struct trib_snapshots *trib_snapshots_new(const struct trib_env *env, const struct trib_ingest_opts *o)
{
    struct trib_snapshots *s = trib_calloc(1, sizeof *s);
    *s = (struct trib_snapshots){.env = env, .o = o, .above = trib_source_above(o->source->url)};
    trib_buf_init(&s->item, ITEM_MAX);
    return s;
}

static void close_file(struct trib_snapshots *s)
{
    if (s->reader != NULL) {
        trib_reader_free(s->reader);
    }
    trib_input_free(s->input);
    s->reader = NULL;
    s->input = NULL;
}

static void drop_pieces(struct trib_snapshots *s)
{
    for (size_t i = 0; i < s->n_pieces; i++) {
        free(s->pieces[i].key);
    }
    s->n_pieces = 0;
}

static void drop_listing(struct trib_snapshots *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->all[i].name);
    }
    for (size_t i = 0; i < s->n_exports; i++) {
        trib_export_free(s->exports[i]);
    }
    s->n = s->n_exports = 0;
    s->newest = NULL;
    s->newest_export = NULL;
    free(s->name);
    s->name = NULL;
    drop_pieces(s);
}

void trib_snapshots_free(struct trib_snapshots *s)
{
    if (s == NULL) {
        return;
    }
    close_file(s);
    drop_listing(s);
    free(s->all);
    free(s->exports);
    free(s->pieces);
    free(s->above);
    trib_buf_free(&s->item);
    free(s);
}

/* The first component of a key. */
static struct candidate *candidate_of(struct trib_snapshots *s, const char *key)
{
    size_t n = strcspn(key, "/");
    for (size_t i = s->n; i-- > 0;) { /* the listing is in order: it is the last one, if any */
        if (strncmp(s->all[i].name, key, n) == 0 && s->all[i].name[n] == '\0') {
            return &s->all[i];
        }
    }
    TRIB_GROW(s->all, s->cap, s->n + 1);
    s->all[s->n] = (struct candidate){.name = trib_strndup(key, n), .time_us = -1};
    return &s->all[s->n++];
}

static int on_object(void *ctx, const struct trib_object *o, struct trib_err *err)
{
    (void)err;
    struct trib_snapshots *s = ctx;
    TRIB_CLEANUP(trib_cleanup_free) char *full = trib_asprintf("%s%s", s->above, o->key);
    struct candidate *c = candidate_of(s, o->key);
    const char *slash = strrchr(o->key, '/');
    if (strcmp(slash == NULL ? o->key : slash + 1, "manifest-summary.json") == 0) {
        struct trib_export *e = trib_export_new(s->env, s->o, o->key, full, s->above);
        trib_export_seen(e, o->size, o->mtime_us);
        TRIB_GROW(s->exports, s->cap_exports, s->n_exports + 1);
        s->exports[s->n_exports++] = e;
        c->is_export = true;
    }
    c->is_export |= trib_export_tail(full) != NULL;
    c->time_us = o->mtime_us > c->time_us ? o->mtime_us : c->time_us;
    const int64_t facts[] = {o->size, o->mtime_us};
    c->mark = XXH3_64bits_withSeed(o->key, strlen(o->key), XXH3_64bits_withSeed(facts, sizeof facts, c->mark));
    return 0;
}

/* The newest full export that is ready. */
static int newest_export(struct trib_snapshots *s, int64_t *io_time_us, struct trib_err *err)
{
    for (size_t i = 0; i < s->n_exports; i++) {
        bool ready = false;
        TRIB_TRY(trib_export_load(s->exports[i], &ready, err));
        struct trib_source_file first;
        if (!ready || trib_export_files(s->exports[i]) == 0) {
            continue;
        }
        trib_export_file(s->exports[i], 0, &first);
        if (!first.incremental && first.export_time_us > *io_time_us) {
            *io_time_us = first.export_time_us;
            s->newest_export = s->exports[i];
        }
    }
    return 0;
}

int trib_snapshots_newest(struct trib_snapshots *s, const char **ret_name, int64_t *ret_time_us, uint64_t *ret_mark,
                          struct trib_err *err)
{
    close_file(s);
    drop_listing(s);
    TRIB_TRY(trib_store_list(s->o->source, "", NULL, false, on_object, s, err));
    int64_t time_us = -1;
    for (size_t i = 0; i < s->n; i++) {
        if (!s->all[i].is_export && s->all[i].time_us >= time_us) {
            s->newest = &s->all[i];
            time_us = s->all[i].time_us;
        }
    }
    TRIB_TRY(newest_export(s, &time_us, err));
    *ret_time_us = time_us;
    *ret_mark = 0;
    *ret_name = NULL;
    if (s->newest_export != NULL) {
        const char *key = trib_export_key(s->newest_export), *slash = strrchr(key, '/');
        s->name = slash == NULL ? trib_strdup(key) : trib_strndup(key, (size_t)(slash - key));
        *ret_name = s->name;
        *ret_mark = (uint64_t)time_us;
    } else if (s->newest != NULL) {
        *ret_name = s->newest->name;
        *ret_mark = s->newest->mark;
    }
    return 0;
}

static int on_piece(void *ctx, const struct trib_object *o, struct trib_err *err)
{
    (void)err;
    struct trib_snapshots *s = ctx;
    size_t n = strlen(s->newest->name);
    if (strncmp(o->key, s->newest->name, n) == 0 && (o->key[n] == '/' || o->key[n] == '\0')) {
        TRIB_GROW(s->pieces, s->cap_pieces, s->n_pieces + 1);
        s->pieces[s->n_pieces++] = (struct piece){trib_strdup(o->key), -1};
    }
    return 0;
}

int trib_snapshots_open(struct trib_snapshots *s, struct trib_err *err)
{
    close_file(s);
    drop_pieces(s);
    s->at = 0;
    if (s->newest_export == NULL) {
        return trib_store_list(s->o->source, "", NULL, false, on_piece, s, err);
    }
    struct trib_taken *none = trib_taken_new(s->env, s->o->table);
    int rc = trib_export_verify(s->newest_export, none, err);
    trib_taken_free(none);
    for (size_t i = 0; rc == 0 && i < trib_export_files(s->newest_export); i++) {
        struct trib_source_file f;
        trib_export_file(s->newest_export, i, &f);
        TRIB_GROW(s->pieces, s->cap_pieces, s->n_pieces + 1);
        s->pieces[s->n_pieces++] = (struct piece){trib_strdup(f.key), f.items};
    }
    return rc;
}

static int open_file(struct trib_snapshots *s, struct trib_err *err)
{
    const char *key = s->pieces[s->at].key;
    const struct trib_reader_opts ro = {
        .kind = s->newest_export != NULL ? TRIB_KIND_FULL_EXPORT : TRIB_KIND_AUTO,
        .table = s->o->table,
        .limits = s->o->limits,
    };
    s->input = trib_input_open(s->o->source, key);
    s->items = 0;
    int rc = trib_input_begin(s->input, err);
    if (rc == 0 && trib_input_codec(s->input) == TRIB_CODEC_PARQUET) {
        rc = trib_err_set(err, TRIB_E_DATA, "Parquet; snapshots are DynamoDB JSON: an export, or plain items");
    }
    if (rc != 0) {
        return trib_err_wrap(err, "%s", key);
    }
    s->reader = trib_reader_new(&ro, trib_input_read, s->input);
    return 0;
}

static int refuse(const struct trib_snapshots *s, int64_t offset, const char *why, struct trib_err *err)
{
    return trib_err_set(err, TRIB_E_DATA,
                        "%s, at byte %lld: %s; nothing of this snapshot is taken: a snapshot must be whole, since what "
                        "cannot be read would look like removed. Copy it again, or take a new one",
                        s->pieces[s->at].key, (long long)offset, why);
}

static int end_file(struct trib_snapshots *s, struct trib_err *err)
{
    const struct piece *p = &s->pieces[s->at];
    close_file(s);
    if (p->items >= 0 && s->items != p->items) {
        return trib_err_set(
            err, TRIB_E_DATA,
            "%s: the manifest says %lld items, the file has %lld; nothing of this export is taken: copy "
            "it again",
            p->key, (long long)p->items, (long long)s->items);
    }
    s->at++;
    return 0;
}

/* 0: an item; EXISTS: look again; else why not. */
static int take(struct trib_snapshots *s, const struct trib_change *c, struct trib_view *ret, struct trib_err *err)
{
    if ((c->kind != TRIB_KIND_ITEM && c->kind != TRIB_KIND_FULL_EXPORT) || c->new_image.n == 0) {
        return refuse(s, c->offset, "a change record; a snapshot holds items only", err);
    }
    struct trib_err why = {0};
    trib_buf_clear(&s->item);
    int rc = trib_item_canonical(c->new_image, c->base64_twice, &s->item, &why);
    if (rc == 0) {
        rc = trib_buf_check(&s->item, "an item", &why);
    }
    if (rc != 0) {
        return trib_reader_again(s->reader) ? TRIB_E_EXISTS : refuse(s, c->offset, why.msg, err);
    }
    s->items++;
    *ret = trib_buf_view(&s->item);
    return 0;
}

int trib_snapshots_item(struct trib_snapshots *s, struct trib_view *ret, struct trib_err *err)
{
    for (;;) {
        if (s->reader == NULL) {
            if (s->at == s->n_pieces) {
                *ret = (struct trib_view){NULL, 0};
                return 0;
            }
            TRIB_TRY(open_file(s, err));
        }
        struct trib_change c;
        struct trib_bad bad;
        enum trib_reader_result what;
        struct trib_err failure = {0};
        int rc = trib_reader_next(s->reader, &what, &c, &bad, &failure);
        if (rc == TRIB_E_DATA) {
            return refuse(s, trib_reader_offset(s->reader), failure.msg, err);
        }
        if (rc != 0) {
            *err = failure;
            return trib_err_wrap(err, "%s", s->pieces[s->at].key);
        }
        if (what == TRIB_READ_END) {
            TRIB_TRY(end_file(s, err));
        } else if (what == TRIB_READ_BAD) {
            return refuse(s, bad.offset, bad.reason, err);
        } else {
            rc = take(s, &c, ret, err);
            if (rc != TRIB_E_EXISTS) {
                return rc;
            }
        }
    }
}
