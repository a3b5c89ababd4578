/* Dispatch of the store's operations, and opening by URL. */
#include "store/store.h"

#include <stdlib.h>

int trib_store_list(struct trib_store *s, const char *prefix, const char *after, bool all, trib_list_fn fn, void *ctx,
                    struct trib_err *err)
{
    return s->ops->list(s, prefix, after, all, fn, ctx, err);
}

int trib_store_head(struct trib_store *s, const char *key, int64_t *ret_size, int64_t *ret_mtime_us,
                    struct trib_err *err)
{
    return s->ops->head(s, key, ret_size, ret_mtime_us, err);
}

int trib_store_get(struct trib_store *s, const char *key, int64_t offset, int64_t n, struct trib_buf *to,
                   struct trib_err *err)
{
    return s->ops->get(s, key, offset, n, to, err);
}

int trib_store_put(struct trib_store *s, const char *key, struct trib_view data, bool if_absent, struct trib_err *err)
{
    return s->ops->put(s, key, data, if_absent, err);
}

int trib_store_put_file(struct trib_store *s, const char *key, const char *local_path, struct trib_err *err)
{
    return s->ops->put_file(s, key, local_path, err);
}

int trib_store_remove(struct trib_store *s, const char *key, struct trib_err *err)
{
    return s->ops->remove(s, key, err);
}

int trib_store_local(struct trib_store *s, const char *key, char **ret_path, struct trib_err *err)
{
    return s->ops->local(s, key, ret_path, err);
}

int trib_store_settle(struct trib_store *s, const char *prefix, const char *mark, struct trib_err *err)
{
    return s->ops->settle == NULL ? 0 : s->ops->settle(s, prefix, mark, err);
}

void trib_store_free(struct trib_store *s)
{
    if (s != NULL) {
        s->ops->free(s);
    }
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* A file URL's path is percent-encoded. [out] free(). */
static char *decode_path(const char *s)
{
    char *path = trib_strdup(s), *to = path;
    for (; *s != '\0'; s++) {
        int hi = *s == '%' ? hex_digit(s[1]) : -1, lo = hi >= 0 ? hex_digit(s[2]) : -1;
        if (lo >= 0 && (hi | lo) != 0) {
            *to++ = (char)(hi << 4 | lo);
            s += 2;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
    return path;
}

int trib_store_open(const struct trib_fs *fs, const char *url, struct trib_store **ret, struct trib_err *err)
{
    return trib_store_open_with(fs, NULL, url, ret, err);
}

int trib_store_open_with(const struct trib_fs *fs, const struct trib_store_remote *remote, const char *url,
                         struct trib_store **ret, struct trib_err *err)
{
    const char *colon = strstr(url, "://");
    if (colon == NULL) {
        return trib_store_open_file(fs, url, ret, err);
    }
    if (remote != NULL && strncmp(url, "s3://", 5) == 0) {
        return remote->open(remote->ctx, url, ret, err);
    }
    if (strncmp(url, "file://", 7) != 0) {
        return trib_err_set(err, TRIB_E_UNSUPPORTED,
                            "%s: the store \"%.*s://\" is not supported yet; use a local path or file://", url,
                            (int)(colon - url), url);
    }
    const char *path = strncmp(url, "file://localhost/", 17) == 0 ? url + 16 : url + 7;
    if (*path != '/') {
        return trib_err_set(err, TRIB_E_CONFIG, "%s: a file URL names this machine only; write file:///path", url);
    }
    TRIB_CLEANUP(trib_cleanup_free) char *decoded = decode_path(path);
    return trib_store_open_file(fs, decoded, ret, err);
}
