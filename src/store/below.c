/* A folder of a store as a store (store.h). Owns nothing but the folder's name; everything goes through to the other store. */
#include <stdlib.h>

#include "store/store.h"

struct below {
    struct trib_store store;
    struct trib_store *base;
    char *folder; /* with its slash */
    size_t n;
};

static char *full(const struct trib_store *s, const char *key)
{
    return trib_asprintf("%s%s", ((const struct below *)s)->folder, key);
}

struct listing {
    size_t skip;
    trib_list_fn fn;
    void *ctx;
};

static int hand_on(void *ctx, const struct trib_object *o, struct trib_err *err)
{
    const struct listing *l = ctx;
    struct trib_object own = *o;
    own.key += l->skip;
    return l->fn(l->ctx, &own, err);
}

static int below_list(struct trib_store *s, const char *prefix, const char *after, bool all, trib_list_fn fn, void *ctx,
                      struct trib_err *err)
{
    const struct below *b = (const struct below *)s;
    TRIB_CLEANUP(trib_cleanup_free) char *p = full(s, prefix);
    TRIB_CLEANUP(trib_cleanup_free) char *a = after == NULL ? NULL : full(s, after);
    struct listing l = {b->n, fn, ctx};
    return trib_store_list(b->base, p, a, all, hand_on, &l, err);
}

static int below_head(struct trib_store *s, const char *key, int64_t *ret_size, int64_t *ret_mtime_us,
                      struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *k = full(s, key);
    return trib_store_head(((struct below *)s)->base, k, ret_size, ret_mtime_us, err);
}

static int below_get(struct trib_store *s, const char *key, int64_t offset, int64_t n, struct trib_buf *to,
                     struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *k = full(s, key);
    return trib_store_get(((struct below *)s)->base, k, offset, n, to, err);
}

static int below_put(struct trib_store *s, const char *key, struct trib_view data, bool if_absent, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *k = full(s, key);
    return trib_store_put(((struct below *)s)->base, k, data, if_absent, err);
}

static int below_put_file(struct trib_store *s, const char *key, const char *local_path, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *k = full(s, key);
    return trib_store_put_file(((struct below *)s)->base, k, local_path, err);
}

static int below_remove(struct trib_store *s, const char *key, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *k = full(s, key);
    return trib_store_remove(((struct below *)s)->base, k, err);
}

static int below_local(struct trib_store *s, const char *key, char **ret_path, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *k = full(s, key);
    return trib_store_local(((struct below *)s)->base, k, ret_path, err);
}

static int below_settle(struct trib_store *s, const char *prefix, const char *mark, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *p = full(s, prefix);
    return trib_store_settle(((struct below *)s)->base, p, mark, err);
}

static void below_free(struct trib_store *s)
{
    struct below *b = (struct below *)s;
    free(b->folder);
    free(b->store.url);
    free(b);
}

static const struct trib_store_ops ops = {
    .list = below_list,
    .head = below_head,
    .get = below_get,
    .put = below_put,
    .put_file = below_put_file,
    .remove = below_remove,
    .local = below_local,
    .settle = below_settle,
    .free = below_free,
};

struct trib_store *trib_store_below(struct trib_store *s, const char *folder)
{
    struct below *b = trib_calloc(1, sizeof *b);
    b->store.ops = &ops;
    b->store.url = trib_asprintf("%s/%s", s->url, folder);
    b->base = s;
    b->folder = trib_asprintf("%s/", folder);
    b->n = strlen(b->folder);
    return &b->store;
}
