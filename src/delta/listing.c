/*
 * What lies in _delta_log: commits and complete checkpoints; log compactions, .crc files, temporaries and names that we do not
 * know are left aside. _last_checkpoint only says where to begin listing: a wrong one costs time, never rows.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "delta/internal.h"

void trib_log_listing_free(struct trib_log_listing *l)
{
    for (size_t i = 0; i < l->n_checkpoints; i++) {
        for (size_t p = 0; p < l->checkpoints[i].n_parts; p++) {
            free(l->checkpoints[i].names[p]);
        }
        free(l->checkpoints[i].names);
    }
    free(l->commits);
    free(l->checkpoints);
    *l = (struct trib_log_listing){0};
}

/* Exactly n digits; -1: not, or beyond 64 bits. */
static int64_t number(const char *s, size_t n)
{
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9' || v > (INT64_MAX - 9) / 10) {
            return -1;
        }
        v = v * 10 + (s[i] - '0');
    }
    return v;
}

static bool is_uuid(const char *s, size_t n)
{
    if (n != 36) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s[i] != '-' : strchr("0123456789abcdefABCDEF", s[i]) == NULL) {
            return false;
        }
    }
    return true;
}

struct gather {
    struct trib_log_listing *l;
    size_t prefix; /* length of "<table>/_delta_log/" */
};

static struct trib_log_checkpoint *add_checkpoint(struct trib_log_listing *l, int64_t version,
                                                  enum trib_checkpoint_kind kind, size_t n_parts)
{
    TRIB_GROW(l->checkpoints, l->cap_checkpoints, l->n_checkpoints + 1);
    struct trib_log_checkpoint *c = &l->checkpoints[l->n_checkpoints++];
    *c = (struct trib_log_checkpoint){.version = version, .kind = kind, .n_parts = n_parts};
    c->names = trib_calloc(n_parts + 1, sizeof *c->names);
    return c;
}

/* "0000000001.0000000003.parquet": part 1 of 3. Objects come sorted, but parts of two attempts may be mixed. */
static void add_part(struct trib_log_listing *l, int64_t version, const char *rest, const struct trib_object *o,
                     const char *name)
{
    enum { MAX_PARTS = 100000 };
    int64_t part = number(rest, 10), parts = rest[10] == '.' ? number(rest + 11, 10) : -1;
    if (part < 1 || parts < part || parts > MAX_PARTS || strcmp(rest + 21, ".parquet") != 0) {
        return;
    }
    struct trib_log_checkpoint *c = NULL;
    for (size_t i = l->n_checkpoints; c == NULL && i-- > 0 && l->checkpoints[i].version == version;) {
        if (l->checkpoints[i].kind == TRIB_CHECKPOINT_PARTS && l->checkpoints[i].n_parts == (size_t)parts) {
            c = &l->checkpoints[i];
        }
    }
    if (c == NULL) {
        c = add_checkpoint(l, version, TRIB_CHECKPOINT_PARTS, (size_t)parts);
    }
    if (c->names[part - 1] == NULL) {
        c->names[part - 1] = trib_strdup(name);
        c->size += o->size;
    }
}

static void gather_checkpoint(struct trib_log_listing *l, int64_t version, const char *rest,
                              const struct trib_object *o, const char *name)
{
    size_t n = strlen(rest);
    enum trib_checkpoint_kind kind;
    if (strcmp(rest, "parquet") == 0) {
        kind = TRIB_CHECKPOINT_CLASSIC;
    } else if (n == 36 + 5 && is_uuid(rest, 36) && strcmp(rest + 36, ".json") == 0) {
        kind = TRIB_CHECKPOINT_V2_JSON;
    } else if (n == 36 + 8 && is_uuid(rest, 36) && strcmp(rest + 36, ".parquet") == 0) {
        kind = TRIB_CHECKPOINT_V2_PARQUET;
    } else {
        if (n == 29) {
            add_part(l, version, rest, o, name);
        }
        return;
    }
    struct trib_log_checkpoint *c = add_checkpoint(l, version, kind, 1);
    c->names[0] = trib_strdup(name);
    c->size = o->size;
}

static int gather(void *ctx, const struct trib_object *o, struct trib_err *err)
{
    (void)err;
    struct gather *g = ctx;
    const char *name = o->key + g->prefix;
    if (strlen(name) < 25 || strchr(name, '/') != NULL || name[20] != '.') {
        return 0;
    }
    int64_t version = number(name, 20);
    if (version < 0) {
        return 0;
    }
    if (strcmp(name + 20, ".json") == 0) {
        TRIB_GROW(g->l->commits, g->l->cap_commits, g->l->n_commits + 1);
        g->l->commits[g->l->n_commits++] = (struct trib_log_commit){version, o->size, o->mtime_us};
    } else if (strncmp(name + 20, ".checkpoint.", 12) == 0) {
        gather_checkpoint(g->l, version, name + 32, o, name);
    }
    return 0;
}

/* Multi-part checkpoints of which parts are missing are none. */
static void drop_incomplete(struct trib_log_listing *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n_checkpoints; i++) {
        struct trib_log_checkpoint *c = &l->checkpoints[i];
        bool complete = true;
        for (size_t p = 0; p < c->n_parts; p++) {
            complete = complete && c->names[p] != NULL;
        }
        if (complete) {
            l->checkpoints[kept++] = *c;
            continue;
        }
        for (size_t p = 0; p < c->n_parts; p++) {
            free(c->names[p]);
        }
        free(c->names);
    }
    l->n_checkpoints = kept;
}

int trib_log_list(const struct trib_delta *t, int64_t from, struct trib_log_listing *ret, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *prefix = trib_delta_log_key(t, "");
    TRIB_CLEANUP(trib_cleanup_free) char *after = trib_asprintf("%s%020" PRId64, prefix, from);
    struct trib_log_listing l = {0};
    struct gather g = {.l = &l, .prefix = strlen(prefix)};
    int rc = trib_store_list(t->store, prefix, from > 0 ? after : NULL, false, gather, &g, err);
    if (rc != 0) {
        trib_log_listing_free(&l);
        return rc;
    }
    drop_incomplete(&l);
    *ret = l;
    return 0;
}

int64_t trib_log_hint(const struct trib_delta *t)
{
    TRIB_CLEANUP(trib_cleanup_free) char *key = trib_delta_log_key(t, "_last_checkpoint");
    TRIB_CLEANUP(trib_buf_free) struct trib_buf b;
    struct trib_err ignored;
    trib_buf_init(&b, 16 << 20); /* some writers put a whole schema in it */
    if (trib_store_get(t->store, key, 0, -1, &b, &ignored) != 0) {
        return -1;
    }
    json_t *o = json_loadb(b.p == NULL ? "" : b.p, b.n, 0, NULL);
    const json_t *v = json_object_get(o, "version");
    int64_t version = json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer_value(v) : -1;
    json_decref(o);
    return version;
}

int trib_log_read_commit(const struct trib_delta *t, int64_t version, struct trib_actions *to, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *key = trib_delta_commit_key(t, version);
    TRIB_CLEANUP(trib_buf_free) struct trib_buf b;
    trib_buf_init(&b, TRIB_DELTA_MAX_OBJECT);
    TRIB_TRY(trib_store_get(t->store, key, 0, -1, &b, err));
    TRIB_CLEANUP(trib_cleanup_free) char *name = trib_asprintf("%s/%s", t->store->url, key);
    return trib_actions_parse(trib_buf_view(&b), name, to, err);
}
