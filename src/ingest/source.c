/* Opening sources; see source.h. Owns the two stores of an export's own folder; threads: as stores. Writes nothing by itself. */
#include "ingest/source.h"

#include <stdlib.h>

#include "ingest/manifest.h"

struct own_folder {
    struct trib_store base;
    struct trib_store *inner, *shared; /* …/AWSDynamoDB/<id>, …/AWSDynamoDB/data */
};

/* A path that goes deeper than the export's own folder names plain files, and AWSDynamoDB/data is no export's own. */
char *trib_source_above(const char *url)
{
    TRIB_CLEANUP(trib_cleanup_free)
    char *with_slash = trib_asprintf("%s%s", url, url[0] != '\0' && url[strlen(url) - 1] == '/' ? "" : "/");
    const char *tail = trib_export_tail(with_slash);
    if (tail == NULL) {
        return trib_strdup("");
    }
    const char *slash = strchr(tail, '/');
    bool own_folder = slash != NULL && slash[1] == '\0' && strcmp(tail, "data/") != 0;
    return *tail == '\0' || own_folder ? trib_asprintf("AWSDynamoDB/%s", tail) : trib_strdup("");
}

/* The store that holds a key, and the key there. */
static struct trib_store *home(struct trib_store *s, const char **io_key)
{
    struct own_folder *o = (struct own_folder *)s;
    size_t n = strlen(TRIB_SOURCE_BESIDE);
    if (strncmp(*io_key, TRIB_SOURCE_BESIDE, n) != 0) {
        return o->inner;
    }
    *io_key += n;
    return o->shared;
}

static int own_list(struct trib_store *s, const char *prefix, const char *after, bool all, trib_list_fn fn, void *ctx,
                    struct trib_err *err)
{
    return trib_store_list(((struct own_folder *)s)->inner, prefix, after, all, fn, ctx, err);
}

static int own_head(struct trib_store *s, const char *key, int64_t *ret_size, int64_t *ret_mtime_us,
                    struct trib_err *err)
{
    struct trib_store *at = home(s, &key);
    return trib_store_head(at, key, ret_size, ret_mtime_us, err);
}

static int own_get(struct trib_store *s, const char *key, int64_t offset, int64_t n, struct trib_buf *to,
                   struct trib_err *err)
{
    struct trib_store *at = home(s, &key);
    return trib_store_get(at, key, offset, n, to, err);
}

static int own_local(struct trib_store *s, const char *key, char **ret_path, struct trib_err *err)
{
    struct trib_store *at = home(s, &key);
    return trib_store_local(at, key, ret_path, err);
}

/* Writing stays inside: the inner store refuses "..". */
static int own_put(struct trib_store *s, const char *key, struct trib_view data, bool if_absent, struct trib_err *err)
{
    return trib_store_put(((struct own_folder *)s)->inner, key, data, if_absent, err);
}

static int own_put_file(struct trib_store *s, const char *key, const char *local_path, struct trib_err *err)
{
    return trib_store_put_file(((struct own_folder *)s)->inner, key, local_path, err);
}

static int own_remove(struct trib_store *s, const char *key, struct trib_err *err)
{
    return trib_store_remove(((struct own_folder *)s)->inner, key, err);
}

static void own_free(struct trib_store *s)
{
    struct own_folder *o = (struct own_folder *)s;
    trib_store_free(o->inner);
    trib_store_free(o->shared);
    free(o->base.url);
    free(o);
}

static const struct trib_store_ops own_ops = {
    .list = own_list,
    .head = own_head,
    .get = own_get,
    .put = own_put,
    .put_file = own_put_file,
    .remove = own_remove,
    .local = own_local,
    .free = own_free,
};

/* Without slashes and "." components at the end, which name no folder of their own. */
static size_t plain_length(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && (path[n - 1] == '/' || (path[n - 1] == '.' && path[n - 2] == '/'))) {
        n--;
    }
    return n;
}

int trib_source_open(const struct trib_fs *fs, const struct trib_store_remote *remote, const char *path,
                     struct trib_store **ret, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *plain = trib_strndup(path, plain_length(path));
    struct trib_store *inner = NULL, *shared = NULL;
    TRIB_TRY(trib_store_open_with(fs, remote, plain, &inner, err));
    TRIB_CLEANUP(trib_cleanup_free) char *above = trib_source_above(inner->url);
    if (*above == '\0' || strcmp(above, "AWSDynamoDB/") == 0) {
        *ret = inner;
        return 0;
    }
    /* As the path is written, not by "..": where the own folder is a symbolic link, the data lies beside the link. */
    const char *slash = strrchr(plain, '/');
    TRIB_CLEANUP(trib_cleanup_free) char *beside = trib_asprintf("%.*s/data", (int)(slash - plain), plain);
    int rc = trib_store_open_with(fs, remote, beside, &shared, err);
    if (rc != 0) {
        trib_store_free(inner);
        return rc;
    }
    struct own_folder *o = trib_malloc(sizeof *o);
    *o = (struct own_folder){{&own_ops, trib_strdup(inner->url)}, inner, shared};
    *ret = &o->base;
    return 0;
}
