/* Finding files; see discover.h. */
#include "ingest/discover.h"

#include <stdlib.h>

#include "dynamodb/json.h"
#include "ingest/export.h"
#include "ingest/source.h"
#include "stage/diffs.h"

enum { MAX_PENDING = 100000 }; /* plain objects that one listing hands over; then it goes on where it stopped */
enum { STOPPED = -1 };

struct trib_discover {
    const struct trib_env *env;
    const struct trib_ingest_opts *o;
    char *
        above; /* what lies above the root, from the last AWSDynamoDB/ on: "AWSDynamoDB/", "AWSDynamoDB/<id>/", or "" */
    struct trib_source_file *pending;
    size_t n, cap, at;
    char *resume; /* the listing goes on behind this key; NULL: from the beginning */
    bool whole;   /* the listing that filled `pending` reached the end */
    bool any;     /* it saw an object */
    bool warned_empty;
    trib_seen_fn seen; /* of a survey */
    void *seen_ctx;
    struct trib_export **exports;
    size_t n_exports, cap_exports;
    struct trib_diffs diffs; /* SNAPSHOT: what was compared so far */
    struct trib_err refused; /* the first export that was refused in this listing */
};

/* What one listing gathers. */
struct listing {
    struct trib_discover *d;
    struct trib_taken *taken;
    char **lone; /* folders of exports that lie under no AWSDynamoDB/ */
    size_t n_lone, cap_lone;
    char *last;
};

struct trib_discover *trib_discover_new(const struct trib_env *env, const struct trib_ingest_opts *o)
{
    struct trib_discover *d = trib_calloc(1, sizeof *d);
    *d = (struct trib_discover){.env = env, .o = o, .above = trib_source_above(o->source->url), .whole = true};
    return d;
}

static void drop_pending(struct trib_discover *d)
{
    for (size_t i = d->at; i < d->n; i++) {
        free(d->pending[i].key);
    }
    d->n = d->at = 0;
}

void trib_discover_restart(struct trib_discover *d)
{
    drop_pending(d);
    free(d->resume);
    d->resume = NULL;
    d->whole = true;
}

void trib_discover_free(struct trib_discover *d)
{
    if (d == NULL) {
        return;
    }
    trib_discover_restart(d);
    free(d->pending);
    for (size_t i = 0; i < d->n_exports; i++) {
        trib_export_free(d->exports[i]);
    }
    free(d->exports);
    trib_diffs_free(&d->diffs);
    free(d->above);
    free(d);
}

void trib_source_batch_free(struct trib_source_batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        free(b->files[i].key);
    }
    free(b->files);
    *b = (struct trib_source_batch){0};
}

static bool has_folder(const char *key, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = key; (p = strstr(p, name)) != NULL; p += n) {
        if ((p == key || p[-1] == '/') && p[n] == '/') {
            return true;
        }
    }
    return false;
}

static const char *base_name(const char *key)
{
    const char *slash = strrchr(key, '/');
    return slash == NULL ? key : slash + 1;
}

static void add_pending(struct trib_discover *d, const struct trib_source_file *f)
{
    TRIB_GROW(d->pending, d->cap, d->n + 1);
    d->pending[d->n++] = *f;
}

/* The export of this summary, read again only when the summary changed. */
static void note_export(struct trib_discover *d, const char *key, const char *full_key, const struct trib_object *o)
{
    struct trib_export *e = NULL;
    for (size_t i = 0; i < d->n_exports && e == NULL; i++) {
        e = strcmp(trib_export_key(d->exports[i]), key) == 0 ? d->exports[i] : NULL;
    }
    if (e == NULL) {
        e = trib_export_new(d->env, d->o, key, full_key, d->above);
        TRIB_GROW(d->exports, d->cap_exports, d->n_exports + 1);
        d->exports[d->n_exports++] = e;
    }
    trib_export_seen(e, o->size, o->mtime_us);
}

static void note_lone(struct listing *l, const char *key)
{
    TRIB_GROW(l->lone, l->cap_lone, l->n_lone + 1);
    l->lone[l->n_lone++] = trib_strndup(key, (size_t)(base_name(key) - key));
}

/* false: an object of the landing whose shard has no document: it was found after we looked for those, and waits for the next look. */
static bool known_shard(struct trib_discover *d, const char *key)
{
    char *stream, *shard, first[TRIB_POSITION_DIGITS + 1];
    if (d->o->type != TRIB_SOURCE_LANDING || !trib_landing_parse(key, &stream, &shard, first)) {
        return true;
    }
    bool known = trib_landing_find(d->o->landing, stream, shard) != NULL;
    free(stream);
    free(shard);
    if (!known) {
        trib_logkv(d->env->log, TRIB_LOG_WARN, "a landed object waits: its shard has no document below _shards/",
                   "table", d->o->table, "file", key, NULL);
    }
    return known;
}

static int on_object(void *ctx, const struct trib_object *o, struct trib_err *err)
{
    (void)err;
    struct listing *l = ctx;
    struct trib_discover *d = l->d;
    d->any = true;
    if (has_folder(o->key, "processing-failed") || has_folder(o->key, "format-conversion-failed")) {
        return 0;
    }
    struct trib_view name = trib_view_of(o->key);
    if (!trib_utf8_valid(name)) { /* no column of text can hold it */
        trib_logkv(d->env->log, TRIB_LOG_WARN, "a file is left out: its name is not UTF-8; rename it", "table",
                   d->o->table, "file", o->key, NULL);
        return 0;
    }
    bool taken = trib_taken_has(l->taken, name);
    if (taken && d->seen != NULL && d->seen(d->seen_ctx, o) != 0) {
        return STOPPED;
    }
    if (taken && trib_taken_changed(l->taken, name, o->size, o->mtime_us)) {
        trib_logkv(d->env->log, TRIB_LOG_WARN,
                   "a file changed after it was taken: what changed is not ingested; write changes to a new file",
                   "table", d->o->table, "file", o->key, NULL);
    }
    TRIB_CLEANUP(trib_cleanup_free) char *full = trib_asprintf("%s%s", d->above, o->key);
    const char *tail = trib_export_tail(full);
    if (strcmp(base_name(full), "manifest-summary.json") == 0) {
        note_export(d, o->key, full, o);
        if (tail == NULL) {
            note_lone(l, o->key);
        }
        return 0;
    }
    if (tail != NULL || taken || d->o->type == TRIB_SOURCE_EXPORT || !known_shard(d, o->key)) {
        return 0;
    }
    const struct trib_source_file f = {
        .key = trib_strdup(o->key), .size = o->size, .mtime_us = o->mtime_us, .items = -1};
    add_pending(d, &f);
    if (d->n < MAX_PENDING) {
        return 0;
    }
    l->last = trib_strdup(o->key);
    return STOPPED;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct trib_source_file *)a)->key, ((const struct trib_source_file *)b)->key);
}

static void refuse(struct trib_discover *d, const struct trib_err *why)
{
    if (d->refused.code == TRIB_OK) {
        d->refused = *why;
    }
}

/* Plain objects below an export's folder that lies under no AWSDynamoDB/ are the export's. */
static void drop_lone(struct listing *l)
{
    struct trib_discover *d = l->d;
    size_t kept = 0;
    for (size_t i = 0; i < d->n; i++) {
        bool below = false;
        for (size_t k = 0; k < l->n_lone && !below; k++) {
            below = strncmp(d->pending[i].key, l->lone[k], strlen(l->lone[k])) == 0;
        }
        if (below) {
            free(d->pending[i].key);
        } else {
            d->pending[kept++] = d->pending[i];
        }
    }
    d->n = kept;
}

/* The files of an export that are not taken. */
static int expand(struct trib_discover *d, struct trib_export *e, struct trib_taken *taken, struct trib_err *err)
{
    struct trib_err why = {0};
    bool ready = false;
    int rc = trib_export_load(e, &ready, &why);
    if (rc == TRIB_E_DATA || rc == TRIB_E_UNSUPPORTED) {
        refuse(d, &why);
        return 0;
    }
    if (rc != 0) {
        *err = why;
        return rc;
    }
    if (!ready) {
        return 0;
    }
    for (size_t i = 0; i < trib_export_files(e); i++) {
        struct trib_source_file f;
        trib_export_file(e, i, &f);
        if (trib_taken_has(taken, trib_view_of(f.key))) {
            continue;
        }
        f.key = trib_strdup(f.key);
        add_pending(d, &f);
    }
    return 0;
}

/* An object of the landing that a snapshot must wait for: it begins at or below the frontier and is not in Bronze. */
static bool holds_up(const struct trib_landing_snapshot *s, const struct trib_source_file *f)
{
    char *stream, *shard, first[TRIB_POSITION_DIGITS + 1];
    if (!trib_landing_parse(f->key, &stream, &shard, first)) {
        return false;
    }
    bool below = false;
    for (size_t i = 0; i < s->n_frontier && !below; i++) {
        below = strcmp(s->frontier[i].shard, shard) == 0 && strcmp(s->frontier[i].stream, stream) == 0 &&
                strcmp(first, s->frontier[i].last) <= 0;
    }
    free(stream);
    free(shard);
    return below;
}

/* Sealed snapshots whose frontier is in Bronze (merge.md, Epochs, 4). */
static void add_snapshots(struct trib_discover *d, const struct trib_taken *taken)
{
    const struct trib_landing *l = d->o->landing;
    size_t objects = d->n;
    for (size_t i = 0; i < l->n_snapshots; i++) {
        const struct trib_landing_snapshot *s = &l->snapshots[i];
        bool ready = true;
        for (size_t k = 0; k < objects && ready; k++) {
            ready = !holds_up(s, &d->pending[k]);
        }
        for (size_t k = 0; k < s->n_files && ready; k++) {
            const struct trib_landing_file *file = &s->files[k];
            if (!trib_taken_has(taken, trib_view_of(file->key))) {
                const struct trib_source_file f = {.key = trib_strdup(file->key),
                                                   .size = file->bytes,
                                                   .mtime_us = file->time_us,
                                                   .items = file->items,
                                                   .epoch = s->epoch,
                                                   .origin = s->origin};
                add_pending(d, &f);
            }
        }
        TRIB_CLEANUP(trib_cleanup_free) char *gone = trib_landing_gone_key(l, s->epoch);
        const char *name = gone + strlen(l->root) + 1;
        if (ready && s->gone && !trib_taken_has(taken, trib_view_of(name))) {
            const struct trib_source_file f = {
                .key = trib_strdup(name), .mtime_us = s->time_us, .items = -1, .epoch = s->epoch, .origin = s->origin};
            add_pending(d, &f);
        }
    }
}

/* SNAPSHOT: the objects that documents name. */
static int list_diffs(struct trib_discover *d, const struct trib_taken *taken, struct trib_err *err)
{
    drop_pending(d);
    d->refused = (struct trib_err){0};
    d->any = d->whole = true;
    TRIB_TRY(trib_diffs_refresh(d->o->source, &d->diffs, err));
    for (size_t i = 0; i < d->diffs.n; i++) {
        const struct trib_diff_doc *doc = &d->diffs.docs[i];
        if (trib_taken_has(taken, trib_view_of(doc->object))) {
            continue;
        }
        struct trib_source_file f = {.items = -1, .epoch = 1, .origin = TRIB_ORIGIN_SNAPSHOT};
        TRIB_TRY(trib_store_head(d->o->source, doc->object, &f.size, &f.mtime_us, err));
        f.key = trib_strdup(doc->object);
        f.mtime_us = doc->time_us;
        add_pending(d, &f);
    }
    return 0;
}

/* One listing, or the next stretch of one. */
static int list(struct trib_discover *d, struct trib_taken *taken, struct trib_err *err)
{
    if (d->o->type == TRIB_SOURCE_SNAPSHOT) {
        return list_diffs(d, taken, err);
    }
    drop_pending(d);
    if (d->resume == NULL) {
        d->any = false;
        d->refused = (struct trib_err){0};
    }
    for (size_t i = 0; i < d->n_exports; i++) {
        trib_export_unseen(d->exports[i]);
    }
    struct listing l = {.d = d, .taken = taken};
    bool landing = d->o->type == TRIB_SOURCE_LANDING;
    if (landing) { /* before the listing: a seal seen now stands for objects that the listing will see */
        TRIB_TRY(trib_landing_refresh(d->o->landing, err));
    }
    int rc = trib_store_list(d->o->source, "", d->resume, false, on_object, &l, err);
    free(d->resume);
    d->resume = l.last;
    d->whole = rc == 0;
    rc = rc == STOPPED ? 0 : rc;
    drop_lone(&l);
    for (size_t i = 0; i < l.n_lone; i++) {
        free(l.lone[i]);
    }
    free(l.lone);
    for (size_t i = 0; i < d->n_exports && rc == 0; i++) {
        if (trib_export_is_seen(d->exports[i])) {
            rc = expand(d, d->exports[i], taken, err);
        }
    }
    if (rc != 0) {
        trib_discover_restart(d);
        return rc;
    }
    if (landing && d->whole) {
        add_snapshots(d, taken);
    }
    if (d->n > 1) {
        qsort(d->pending, d->n, sizeof *d->pending, by_key);
    }
    return 0;
}

static int no_export(const struct trib_discover *d, struct trib_err *err)
{
    return trib_err_set(
        err, TRIB_E_NOT_FOUND,
        "%s: there is no finished export (no manifest-summary.json); try: let `path` be the export's own folder or one above AWSDynamoDB",
        d->o->source->url);
}

static int nothing_new(struct trib_discover *d, struct trib_err *err)
{
    if (d->refused.code != TRIB_OK) {
        *err = d->refused;
        return (int)err->code;
    }
    if (d->o->type == TRIB_SOURCE_EXPORT && d->n_exports == 0) {
        return no_export(d, err);
    }
    if (!d->any && !d->warned_empty && d->o->type != TRIB_SOURCE_LANDING) {
        d->warned_empty = true;
        trib_logkv(d->env->log, TRIB_LOG_WARN, "the source is empty", "table", d->o->table, "path", d->o->source->url,
                   NULL);
    }
    return 0;
}

/* Moves a pending file into the batch, or drops it: taken by another process meanwhile, or of a refused export. */
static int take(struct trib_discover *d, struct trib_taken *taken, struct trib_source_batch *b, bool *ret_full,
                struct trib_err *err)
{
    struct trib_source_file *f = &d->pending[d->at];
    bool usable =
        !trib_taken_has(taken, trib_view_of(f->key)) && (b->n == 0 || strcmp(b->files[b->n - 1].key, f->key) != 0);
    if (usable && f->export != NULL) {
        struct trib_err why = {0};
        int rc = trib_export_verify(f->export, taken, &why);
        if (rc == TRIB_E_DATA) {
            refuse(d, &why);
            usable = false;
        } else if (rc != 0) {
            *err = why;
            return rc;
        } else {
            trib_export_stat(f->export, f->index, &f->size, &f->mtime_us);
        }
    }
    if (!usable) {
        free(f->key);
        d->at++;
        return 0;
    }
    int64_t max_files = d->o->batch_files > 0 ? d->o->batch_files : 1000,
            max_bytes = d->o->batch_bytes > 0 ? d->o->batch_bytes : INT64_C(1) << 30;
    if (b->n > 0 && ((int64_t)b->n >= max_files || b->bytes + f->size > max_bytes)) {
        *ret_full = true;
        return 0;
    }
    TRIB_GROW(b->files, b->cap, b->n + 1);
    b->files[b->n++] = *f;
    b->bytes += f->size;
    d->at++;
    return 0;
}

int trib_discover_next(struct trib_discover *d, struct trib_taken *taken, struct trib_source_batch *ret,
                       struct trib_err *err)
{
    struct trib_source_batch b = {0};
    bool full = false, everything = false;
    for (;;) {
        while (d->at < d->n && !full) {
            int rc = take(d, taken, &b, &full, err);
            if (rc != 0) {
                trib_source_batch_free(&b);
                trib_discover_restart(d);
                return rc;
            }
        }
        if (b.n == 0 && everything) {
            TRIB_TRY(nothing_new(d, err));
        }
        if (b.n > 0 || everything) {
            *ret = b;
            return 0;
        }
        everything =
            d->resume ==
            NULL; /* a listing in stretches is done once more, from the start, before it says that nothing is new */
        TRIB_TRY(list(d, taken, err));
        everything = everything && d->whole;
    }
}

int trib_discover_survey(struct trib_discover *d, struct trib_taken *taken, trib_seen_fn seen, void *ctx,
                         int64_t *ret_pending, int64_t *ret_oldest_us, struct trib_err *ret_refused,
                         struct trib_err *err)
{
    int64_t pending = 0, oldest_us = -1;
    trib_discover_restart(d);
    d->seen = seen;
    d->seen_ctx = ctx;
    int rc;
    do {
        rc = list(d, taken, err);
        for (size_t i = 0; rc == 0 && i < d->n; i++) {
            int64_t t = d->pending[i].mtime_us;
            pending += i == 0 || strcmp(d->pending[i - 1].key, d->pending[i].key) != 0;
            oldest_us = t > 0 && (oldest_us < 0 || t < oldest_us) ? t : oldest_us;
        }
    } while (rc == 0 && !d->whole &&
             d->resume != NULL); /* stopped, and not because the stretch is full: `seen` had enough */
    d->seen = NULL;
    *ret_refused = d->refused;
    if (d->refused.code == TRIB_OK && d->o->type == TRIB_SOURCE_EXPORT && d->n_exports == 0) {
        (void)no_export(d, ret_refused);
    }
    trib_discover_restart(d);
    TRIB_TRY(rc);
    *ret_pending = pending;
    *ret_oldest_us = oldest_us;
    return 0;
}

void trib_discover_refuse(struct trib_discover *d, const struct trib_source_file *f, const struct trib_err *why)
{
    trib_export_refuse(f->export, f->index, why);
    refuse(d, why);
}
