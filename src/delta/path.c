/* Paths of data files and of the log's objects. add.path is a URI, encoded exactly once; inside it is always decoded. */
#include <stdio.h>
#include <stdlib.h>

#include "delta/internal.h"

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

char *trib_delta_path_decode(const char *uri)
{
    if (strncmp(uri, "file:/", 6) == 0) {
        uri += 5;
        while (uri[1] == '/') {
            uri++;
        }
    }
    char *path = trib_strdup(uri), *to = path;
    for (const char *s = uri; *s != '\0'; s++) {
        int hi = *s == '%' ? hex_digit(s[1]) : -1, lo = hi >= 0 ? hex_digit(s[2]) : -1;
        if (lo >= 0 && (hi | lo) != 0) {
            *to++ = (char)(hi << 4 | lo);
            s += 2;
        } else {
            *to++ = *s; /* a lone '%' of a careless writer stands for itself */
        }
    }
    *to = '\0';
    return path;
}

void trib_delta_path_encode(struct trib_buf *to, const char *path)
{
    for (const char *s = path; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("/-._~=+,@!$&'()*:", c) != NULL;
        if (plain) {
            trib_buf_addc(to, *s);
        } else {
            trib_buf_addf(to, "%%%02X", c);
        }
    }
}

char *trib_delta_log_key(const struct trib_delta *t, const char *name)
{
    return trib_asprintf("%s%s_delta_log/%s", t->path, *t->path == '\0' ? "" : "/", name);
}

char *trib_delta_commit_key(const struct trib_delta *t, int64_t version)
{
    char name[40];
    (void)snprintf(name, sizeof name, "%020lld.json", (long long)version);
    return trib_delta_log_key(t, name);
}

char *trib_delta_file_key(const struct trib_delta *t, const char *path)
{
    return trib_asprintf("%s%s%s", t->path, *t->path == '\0' ? "" : "/", path);
}

char *trib_delta_name(const struct trib_delta *t)
{
    return trib_asprintf("%s%s%s", t->store->url, *t->path == '\0' ? "" : "/", t->path);
}

int trib_delta_file_local(const struct trib_delta *t, const char *path, char **ret, struct trib_err *err)
{
    if (*path == '/') {
        *ret = trib_strdup(path);
        return 0;
    }
    const char *colon = strchr(path, ':'), *slash = strchr(path, '/');
    if (colon != NULL && slash == colon + 1 && colon[2] == '/') {
        return trib_err_set(err, TRIB_E_UNSUPPORTED, "the data file %s lies in another store than the table", path);
    }
    TRIB_CLEANUP(trib_cleanup_free) char *key = trib_delta_file_key(t, path);
    return trib_store_local(t->store, key, ret, err);
}
