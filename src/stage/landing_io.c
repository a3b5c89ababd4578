/*
 * The landing's bookkeeping in the store (landing.h).
 *
 * Everything but the hint is put-if-absent and never changed, so reading is listing what is new. A document that is there is
 * whole. Two racers: the second put fails with EXISTS, its writer refreshes and goes by what the first wrote.
 * Threads: one at a time. A crash leaves whole documents only.
 */
#include <stdio.h>
#include <stdlib.h>

#include "stage/landing_own.h"

#define HOUR_US ((int64_t)3600 * 1000000)
enum { LOOK_BACK_HOURS = 26 }; /* a stream keeps 24 hours; two for clocks */

static int put(struct trib_landing *l, char *key, struct trib_buf *text, bool if_absent, struct trib_err *err)
{
    int rc = trib_buf_check(text, key, err);
    if (rc == 0) {
        rc = trib_store_put(l->lake, key, trib_buf_view(text), if_absent, err);
    }
    trib_buf_free(text);
    free(key);
    return rc;
}

static int get(struct trib_landing *l, const char *key, struct trib_buf *to, struct trib_err *err)
{
    trib_buf_init(to, TRIB_LANDING_DOC_MAX);
    int rc = trib_store_get(l->lake, key, 0, -1, to, err);
    if (rc == 0) {
        rc = trib_buf_check(to, key, err);
    }
    if (rc != 0) {
        trib_buf_free(to);
    }
    return rc;
}

/* ---- listing ------------------------------------------------------------------------------------------------------ */

struct names {
    char **keys;
    size_t n, cap;
};

static int add_name(void *ctx, const struct trib_object *o, struct trib_err *err)
{
    struct names *k = ctx;
    (void)err;
    TRIB_GROW(k->keys, k->cap, k->n + 1);
    k->keys[k->n++] = trib_strdup(o->key);
    return 0;
}

static void names_free(struct names *k)
{
    for (size_t i = 0; i < k->n; i++) {
        free(k->keys[i]);
    }
    free(k->keys);
}

/* Keys below <root>/<folder>, in byte order. [take folder] */
static int list(struct trib_landing *l, char *prefix, const char *after, bool all, struct names *ret,
                struct trib_err *err)
{
    *ret = (struct names){0};
    int rc = trib_store_list(l->lake, prefix, after, all, add_name, ret, err);
    free(prefix);
    if (rc != 0) {
        names_free(ret);
    }
    return rc;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* ---- epochs ------------------------------------------------------------------------------------------------------- */

static char *epoch_key(const struct trib_landing *l, unsigned number)
{
    return trib_landing_path(l, "_epochs/%04x.json", number);
}

static void keep_epoch(struct trib_landing *l, const struct trib_landing_epoch *e)
{
    TRIB_GROW(l->epochs, l->cap_epochs, l->n_epochs + 1);
    l->epochs[l->n_epochs] = *e;
    trib_landing_epoch_ready(&l->epochs[l->n_epochs++]);
}

static int refresh_epochs(struct trib_landing *l, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *after = epoch_key(l, (unsigned)l->n_epochs);
    struct names k;
    TRIB_TRY(list(l, trib_landing_path(l, "_epochs/"), after, true, &k, err));
    int rc = 0;
    for (size_t i = 0; i < k.n && rc == 0; i++) {
        struct trib_buf text;
        struct trib_landing_epoch e;
        rc = get(l, k.keys[i], &text, err);
        if (rc != 0) {
            break;
        }
        rc = trib_landing_epoch_read(trib_buf_view(&text), k.keys[i], &e, err);
        trib_buf_free(&text);
        if (rc == 0 && e.number != l->n_epochs + 1) {
            rc = trib_err_set(err, TRIB_E_DATA,
                              "%s: epoch %u where %zu is next: an object below _epochs/ is missing; restore it",
                              k.keys[i], e.number, l->n_epochs + 1);
            trib_landing_epoch_free(&e);
        }
        if (rc == 0) {
            keep_epoch(l, &e);
        }
    }
    names_free(&k);
    return rc;
}

int trib_landing_open_epoch(struct trib_landing *l, const struct trib_landing_epoch *e, struct trib_err *err)
{
    if (e->number != l->n_epochs + 1 || e->number > 0xFFFF) {
        return trib_err_set(err, TRIB_E_INTERNAL, "epoch %u cannot follow %zu", e->number, l->n_epochs);
    }
    struct trib_buf text;
    trib_buf_init(&text, TRIB_LANDING_DOC_MAX);
    trib_landing_epoch_write(e, &text);
    TRIB_TRY(put(l, epoch_key(l, e->number), &text, true, err));
    struct trib_landing_epoch own;
    trib_landing_epoch_copy(e, &own);
    keep_epoch(l, &own);
    return 0;
}

/* ---- shards ------------------------------------------------------------------------------------------------------- */

static char *shard_key(const struct trib_landing *l, const char *stream, const char *shard, const char *ending)
{
    return trib_landing_path(l, "_shards/%s/%s%s", stream, shard, ending);
}

static void keep_shard(struct trib_landing *l, const struct trib_landing_shard *s)
{
    bool found;
    size_t at = trib_landing_place(l, s->stream, s->shard, &found);
    if (found) {
        struct trib_landing_shard drop = *s;
        trib_landing_shard_free(&drop);
        return;
    }
    TRIB_GROW(l->shards, l->cap_shards, l->n_shards + 1);
    memmove(&l->shards[at + 1], &l->shards[at], (l->n_shards - at) * sizeof *l->shards);
    l->shards[at] = *s;
    l->n_shards++;
}

/* The names of a document "<stream>/<shard><ending>" below _shards/. */
static bool shard_names(const struct trib_landing *l, const char *key, const char *ending, char **ret_stream,
                        char **ret_shard)
{
    const char *p = key + strlen(l->root) + sizeof "/_shards/" - 1, *slash = strchr(p, '/');
    if (slash == NULL) {
        return false;
    }
    *ret_stream = trib_strndup(p, (size_t)(slash - p));
    *ret_shard = trib_strndup(slash + 1, strlen(slash + 1) - strlen(ending));
    return true;
}

static int read_shard(struct trib_landing *l, const char *key, struct trib_err *err)
{
    struct trib_buf text;
    struct trib_landing_shard s;
    TRIB_TRY(get(l, key, &text, err));
    int rc = trib_landing_shard_read(trib_buf_view(&text), key, &s, err);
    trib_buf_free(&text);
    if (rc == 0) {
        keep_shard(l, &s);
    }
    return rc;
}

static int read_end(struct trib_landing *l, const char *key, struct trib_landing_shard *s, struct trib_err *err)
{
    struct trib_buf text;
    char last[TRIB_POSITION_DIGITS + 1];
    TRIB_TRY(get(l, key, &text, err));
    int rc = trib_landing_end_read(trib_buf_view(&text), key, last, err);
    trib_buf_free(&text);
    if (rc == 0) {
        s->ended = true;
        memcpy(s->last, last, sizeof last);
    }
    return rc;
}

/* A shard's own document sorts before its end: "X.end.json" is above "X.json" only where '.e' < '.j', so both passes are made. */
static int refresh_shards(struct trib_landing *l, struct trib_err *err)
{
    static const char end[] = ".end.json", own[] = ".json";
    struct names k;
    TRIB_TRY(list(l, trib_landing_path(l, "_shards/"), NULL, true, &k, err));
    int rc = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < k.n && rc == 0; i++) {
            bool is_end = ends_with(k.keys[i], end);
            TRIB_CLEANUP(trib_cleanup_free) char *stream = NULL;
            TRIB_CLEANUP(trib_cleanup_free) char *shard = NULL;
            if (is_end != (pass == 1) || !ends_with(k.keys[i], own) ||
                !shard_names(l, k.keys[i], is_end ? end : own, &stream, &shard)) {
                continue;
            }
            struct trib_landing_shard *s = trib_landing_find(l, stream, shard);
            if (!is_end && s == NULL) {
                rc = read_shard(l, k.keys[i], err);
            } else if (is_end && s != NULL && !s->ended) {
                rc = read_end(l, k.keys[i], s, err);
            }
        }
    }
    names_free(&k);
    return rc;
}

int trib_landing_add_shard(struct trib_landing *l, const struct trib_landing_shard *s, struct trib_err *err)
{
    struct trib_buf text;
    trib_buf_init(&text, TRIB_LANDING_DOC_MAX);
    trib_landing_shard_write(s, &text);
    TRIB_TRY(put(l, shard_key(l, s->stream, s->shard, ".json"), &text, true, err));
    struct trib_landing_shard own;
    trib_landing_shard_copy(s, &own);
    keep_shard(l, &own);
    return 0;
}

int trib_landing_end_shard(struct trib_landing *l, struct trib_landing_shard *s, struct trib_err *err)
{
    struct trib_buf text;
    trib_buf_init(&text, TRIB_LANDING_DOC_MAX);
    trib_landing_end_write(s->last, &text);
    TRIB_TRY(put(l, shard_key(l, s->stream, s->shard, ".end.json"), &text, true, err));
    s->ended = true;
    return 0;
}

/* ---- snapshots ---------------------------------------------------------------------------------------------------- */

static void keep_snapshot(struct trib_landing *l, const struct trib_landing_snapshot *s)
{
    TRIB_GROW(l->snapshots, l->cap_snapshots, l->n_snapshots + 1);
    l->snapshots[l->n_snapshots++] = *s;
}

/* One look for each epoch that has none yet: a listing would name every page of every snapshot. */
static int refresh_snapshots(struct trib_landing *l, struct trib_err *err)
{
    for (size_t i = 0; i < l->n_epochs; i++) {
        if (!l->epochs[i].snapshot || trib_landing_snapshot_of(l, l->epochs[i].number) != NULL) {
            continue;
        }
        TRIB_CLEANUP(trib_cleanup_free)
        char *key = trib_landing_path(l, "_snapshots/%04x/manifest.json", l->epochs[i].number);
        struct trib_buf text;
        struct trib_landing_snapshot s;
        struct trib_err own = {0};
        int rc = get(l, key, &text, &own);
        if (rc == TRIB_E_NOT_FOUND) {
            continue;
        }
        if (rc == 0) {
            rc = trib_landing_snapshot_read(trib_buf_view(&text), key, &s, &own);
            trib_buf_free(&text);
        }
        if (rc != 0) {
            *err = own;
            return rc;
        }
        keep_snapshot(l, &s);
    }
    return 0;
}

char *trib_landing_gone_key(const struct trib_landing *l, unsigned epoch)
{
    return trib_landing_path(l, "_snapshots/%04x/gone.json", epoch);
}

static int refresh_gone(struct trib_landing *l, struct trib_err *err)
{
    for (size_t i = 0; i < l->n_snapshots; i++) {
        struct trib_landing_snapshot *s = &l->snapshots[i];
        if (!trib_landing_wants_gone(l, s) || s->gone) {
            continue;
        }
        TRIB_CLEANUP(trib_cleanup_free) char *key = trib_landing_gone_key(l, s->epoch);
        int64_t size, mtime_us;
        struct trib_err own = {0};
        int rc = trib_store_head(l->lake, key, &size, &mtime_us, &own);
        if (rc != 0 && rc != TRIB_E_NOT_FOUND) {
            *err = own;
            return rc;
        }
        s->gone = rc == 0;
    }
    return 0;
}

int trib_landing_seal(struct trib_landing *l, const struct trib_landing_snapshot *s, struct trib_err *err)
{
    struct trib_buf text;
    trib_buf_init(&text, TRIB_LANDING_DOC_MAX);
    trib_landing_snapshot_write(s, &text);
    TRIB_TRY(put(l, trib_landing_path(l, "_snapshots/%04x/manifest.json", s->epoch), &text, true, err));
    struct trib_landing_snapshot own;
    trib_landing_snapshot_copy(s, &own);
    own.sealed = true;
    keep_snapshot(l, &own);
    return 0;
}

int trib_landing_refresh(struct trib_landing *l, struct trib_err *err)
{
    TRIB_TRY(refresh_epochs(l, err));
    TRIB_TRY(refresh_shards(l, err));
    TRIB_TRY(refresh_snapshots(l, err));
    return refresh_gone(l, err);
}

/* ---- positions ---------------------------------------------------------------------------------------------------- */

int trib_landing_save_positions(struct trib_landing *l, int64_t now_us, struct trib_err *err)
{
    struct trib_buf text;
    trib_buf_init(&text, TRIB_LANDING_DOC_MAX);
    trib_landing_positions_write(l, now_us, &text);
    return put(l, trib_landing_path(l, "_positions.json"), &text, false, err);
}

/* The newest object of each shard wins: objects of a shard follow each other by their first numbers. */
static int take_object(struct trib_landing *l, const char *key, trib_landing_end_fn end_of, void *ctx,
                       struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *stream = NULL;
    TRIB_CLEANUP(trib_cleanup_free) char *shard = NULL;
    char first[TRIB_POSITION_DIGITS + 1], last[TRIB_POSITION_DIGITS + 1];
    if (!trib_landing_parse(key + strlen(l->root) + 1, &stream, &shard, first)) {
        return 0;
    }
    struct trib_landing_shard *s = trib_landing_find(l, stream, shard);
    if (s == NULL || s->ended || strcmp(first, s->last) <= 0) {
        return 0;
    }
    TRIB_TRY(end_of(ctx, key, last, err));
    if (strcmp(last, s->last) > 0) {
        memcpy(s->last, last, sizeof last);
    }
    return 0;
}

int trib_landing_read_hint(struct trib_landing *l, int64_t *ret_written_us, struct trib_err *err)
{
    int64_t written_us = 0;
    TRIB_CLEANUP(trib_cleanup_free) char *hint = trib_landing_path(l, "_positions.json");
    struct trib_buf text;
    struct trib_err own = {0};
    int rc = get(l, hint, &text, &own);
    if (rc == 0) {
        rc = trib_landing_positions_read(trib_buf_view(&text), hint, l, &written_us, &own);
        trib_buf_free(&text);
    }
    /* A hint that cannot be read costs a longer listing only; a newer format is told. */
    if (rc != 0 && rc != TRIB_E_NOT_FOUND && rc != TRIB_E_DATA) {
        *err = own;
        return rc;
    }
    *ret_written_us = written_us;
    return 0;
}

int trib_landing_load_positions(struct trib_landing *l, trib_landing_end_fn end_of, void *ctx, struct trib_err *err)
{
    int64_t written_us;
    TRIB_TRY(trib_landing_read_hint(l, &written_us, err));
    l->hint_us = written_us;
    struct names k;
    int rc;
    int64_t from = written_us - LOOK_BACK_HOURS * HOUR_US;
    TRIB_CLEANUP(trib_cleanup_free) char *hour = trib_landing_object(from < 0 ? 0 : from, -1, "", "", "", "");
    *strrchr(hour, '/') = '\0';
    TRIB_CLEANUP(trib_cleanup_free) char *after = trib_landing_path(l, "%s/", hour);
    TRIB_TRY(list(l, trib_landing_path(l, "%s", ""), after, false, &k, err));
    rc = 0;
    for (size_t i = 0; i < k.n && rc == 0; i++) {
        rc = take_object(l, k.keys[i], end_of, ctx, err);
    }
    names_free(&k);
    return rc;
}
