/*
 * s3://bucket/prefix: reading, lists and removal (s3.h).
 *
 * Owns the mapping of keys to calls and what their answers mean for a store. Every object is read whole or not at all: lengths are
 * compared with what S3 says, and checksums where it tells them. Never caches an answer. Threads: any.
 * A crash leaves nothing.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <zlib.h>

#include "aws/xml.h"
#include "store/s3_own.h"

enum { PARALLEL = 8, ERROR_BYTES = 1 << 16, LIST_BYTES = 16 << 20, CRC_BYTES = 1 << 20 };
static const int64_t PART_BYTES = (int64_t)8 << 20, TOTAL_US = 300000000;

/* ---- calls -------------------------------------------------------------------------------------------------------- */

struct trib_aws_call trib_s3_call(const struct trib_s3 *s, const char *method, const char *key, char **ret_path)
{
    const char *root = key == NULL ? "" : s->root;
    *ret_path = s->virtual_host ? trib_asprintf("/%s%s", root, key == NULL ? "" : key)
                                : trib_asprintf("/%s/%s%s", s->bucket, root, key == NULL ? "" : key);
    if (!s->virtual_host && key == NULL) {
        (*ret_path)[strlen(*ret_path) - 1] = '\0';
    }
    return (struct trib_aws_call){
        .service = "s3", .method = method, .path = *ret_path, .host_bucket = s->virtual_host ? s->bucket : NULL};
}

int trib_s3_explain(const struct trib_s3 *s, const char *key, struct trib_err *err)
{
    bool no_bucket = strcmp(err->service_code, "NoSuchBucket") == 0;
    bool denied = strcmp(err->service_code, "AccessDenied") == 0;
    (void)trib_err_wrap(err, "s3://%s/%s%s", s->bucket, s->root, key);
    if (no_bucket) { /* not a missing object, which is an answer */
        err->code = TRIB_E_CONFIG;
        size_t n = strlen(err->msg);
        (void)snprintf(err->msg + n, sizeof err->msg - n, "; the bucket is to be made by you, or its name is misspelt");
    } else if (denied) {
        size_t n = strlen(err->msg);
        (void)snprintf(err->msg + n, sizeof err->msg - n, "; a bucket of another account needs a bucket policy too");
    }
    return (int)err->code;
}

int trib_s3_check_key(const char *key, struct trib_err *err)
{
    for (const char *p = key; *p != '\0'; p += *p == '/') {
        size_t n = strcspn(p, "/");
        if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.')) {
            return trib_err_set(err, TRIB_E_USAGE,
                                "\"%s\" is no key of a store: \".\" and \"..\" components are not allowed", key);
        }
        p += n;
    }
    if (*key == '\0' || *key == '/' || key[strlen(key) - 1] == '/') {
        return trib_err_set(err, TRIB_E_USAGE, "\"%s\" is no key of a store: it names no object", key);
    }
    return 0;
}

static int64_t time_us(const char *text, const char *form)
{
    struct tm tm = {0};
    const char *rest = text == NULL ? NULL : strptime(text, form, &tm);
    if (rest == NULL) {
        return 0;
    }
    int64_t us = 0;
    if (*rest == '.') { /* a fraction */
        int64_t scale = 100000;
        for (rest++; *rest >= '0' && *rest <= '9' && scale > 0; rest++, scale /= 10) {
            us += (*rest - '0') * scale;
        }
    }
    return (int64_t)timegm(&tm) * 1000000 + us;
}

/* ---- head --------------------------------------------------------------------------------------------------------- */

static void head_of(const struct trib_http_response *r, struct trib_s3_head *to)
{
    const char *size = trib_http_header_get(r, "content-length"), *etag = trib_http_header_get(r, "etag"),
               *token = trib_http_header_get(r, TRIB_S3_TOKEN);
    *to = (struct trib_s3_head){.size = size == NULL ? -1 : strtoll(size, NULL, 10),
                                .mtime_us = time_us(trib_http_header_get(r, "last-modified"), "%a, %d %b %Y %H:%M:%S")};
    (void)snprintf(to->etag, sizeof to->etag, "%s", etag == NULL ? "" : etag);
    (void)snprintf(to->token, sizeof to->token, "%s", token == NULL ? "" : token);
}

/* An answer to HEAD has no body, so that a wrong region is a bare 400: a GET that fails as well tells more. */
static void ask_why(struct trib_s3 *s, const char *key, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *path = NULL;
    struct trib_http_header range = {"Range", "bytes=0-0"};
    struct trib_err why = {0};
    struct trib_aws_call c = trib_s3_call(s, "GET", key, &path);
    c.headers = &range;
    c.n_headers = 1;
    if (trib_aws_call(s->aws, &c, &why) != 0 && c.response.status == 400) {
        *err = why;
    }
    trib_http_response_free(&c.response);
}

int trib_s3_head(struct trib_s3 *s, const char *key, struct trib_s3_head *ret, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *path = NULL;
    struct trib_aws_call c = trib_s3_call(s, "HEAD", key, &path);
    int rc = trib_aws_call(s->aws, &c, err);
    if (rc != 0) {
        if (c.response.status == 400) {
            ask_why(s, key, err);
        }
        rc = trib_s3_explain(s, key, err);
    } else {
        head_of(&c.response, ret);
        if (ret->size < 0) {
            rc = trib_err_set(err, TRIB_E_UNAVAILABLE, "%s/%s: the answer to HEAD has no length", s->base.url, key);
        }
    }
    trib_http_response_free(&c.response);
    return rc;
}

static int s3_head(struct trib_store *base, const char *key, int64_t *ret_size, int64_t *ret_mtime_us,
                   struct trib_err *err)
{
    struct trib_s3_head h;
    struct trib_err local = {0};
    err = err != NULL ? err : &local;
    TRIB_TRY(trib_s3_check_key(key, err));
    TRIB_TRY(trib_s3_head((struct trib_s3 *)base, key, &h, err));
    if (ret_size != NULL) {
        *ret_size = h.size;
    }
    if (ret_mtime_us != NULL) {
        *ret_mtime_us = h.mtime_us;
    }
    return 0;
}

/* ---- checksums ---------------------------------------------------------------------------------------------------- */

void trib_s3_crc(uint32_t crc, char to[9])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t v = (uint64_t)crc << 16; /* four bytes in two groups of three */
    for (int i = 0; i < 8; i++) {
        to[i] = i < 6 ? digits[(v >> (42 - 6 * i)) & 63] : '=';
    }
    to[8] = '\0';
}

int trib_s3_crc_file(const struct trib_fs *fs, const char *path, int64_t offset, int64_t bytes, char to[9],
                     struct trib_err *err)
{
    struct trib_buf b;
    uLong crc = 0;
    int rc = 0;
    trib_buf_init(&b, CRC_BYTES);
    while (bytes > 0 && rc == 0) {
        trib_buf_clear(&b);
        rc = fs->read(fs->ctx, path, offset, bytes < CRC_BYTES ? bytes : CRC_BYTES, &b, err);
        if (rc == 0 && b.n == 0) {
            rc = trib_err_set(err, TRIB_E_IO, "%s: the file became shorter while it was read", path);
        }
        crc = rc == 0 ? crc32_z(crc, (const unsigned char *)b.p, b.n) : crc;
        offset += (int64_t)b.n;
        bytes -= (int64_t)b.n;
    }
    trib_buf_free(&b);
    if (rc == 0) {
        trib_s3_crc((uint32_t)crc, to);
    }
    return rc;
}

/* The checksum that S3 tells of a whole object; NULL where there is none. One of parts ends in "-N". */
static const char *told_crc(const struct trib_http_response *r)
{
    const char *sum = trib_http_header_get(r, "x-amz-checksum-crc32");
    return sum != NULL && strchr(sum, '-') == NULL ? sum : NULL;
}

static int differs(const struct trib_s3 *s, const char *key, struct trib_err *err)
{
    (void)trib_err_set(err, TRIB_E_UNAVAILABLE,
                       "%s/%s: what came has another checksum than S3 tells; it is damaged on the way, or there",
                       s->base.url, key);
    if (err != NULL) {
        err->retriable = true;
    }
    return TRIB_E_UNAVAILABLE;
}

/* ---- get ---------------------------------------------------------------------------------------------------------- */

static bool beyond_the_end(const struct trib_http_response *r) { return r->status == 416; }

struct piece {
    char *path;
    char range[64];
    struct trib_http_header header;
    int64_t offset, n;
};

/* Bytes that a piece should have brought, from "content-range: bytes 0-9/100". */
static int check_piece(const struct trib_s3 *s, const char *key, const struct piece *p, const struct trib_aws_call *c,
                       struct trib_err *err)
{
    const char *range = trib_http_header_get(&c->response, "content-range");
    long long from = -1, to = -1, total = -1;
    if (c->response.status == 416) {
        return 0;
    }
    if (c->response.status != 206 || range == NULL || sscanf(range, "bytes %lld-%lld/%lld", &from, &to, &total) != 3) {
        return trib_err_set(err, TRIB_E_UNSUPPORTED, "%s/%s: the server does not know ranges (status %d)", s->base.url,
                            key, c->response.status);
    }
    int64_t want = total - p->offset < p->n ? total - p->offset : p->n;
    if (from != p->offset || (int64_t)c->response.body.n != want) {
        (void)trib_err_set(err, TRIB_E_UNAVAILABLE, "%s/%s: %zu bytes came of %lld at %lld", s->base.url, key,
                           c->response.body.n, (long long)want, (long long)p->offset);
        err->retriable = true;
        return TRIB_E_UNAVAILABLE;
    }
    return 0;
}

static int join_pieces(const struct trib_s3 *s, const char *key, const struct piece *pieces,
                       const struct trib_aws_call *calls, size_t n, struct trib_buf *to, struct trib_err *err)
{
    const char *etag = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct trib_http_response *r = &calls[i].response;
        TRIB_TRY(check_piece(s, key, &pieces[i], &calls[i], err));
        const char *own = r->status == 416 ? NULL : trib_http_header_get(r, "etag");
        if (own != NULL && etag != NULL && strcmp(own, etag) != 0) {
            return trib_err_set(err, TRIB_E_AGAIN, "%s/%s was replaced while it was read", s->base.url, key);
        }
        etag = own != NULL ? own : etag;
        if (r->status != 416) { /* its body is an explanation */
            trib_buf_add(to, r->body.p, r->body.n);
        }
    }
    return trib_buf_check(to, key, err);
}

/* As many as are read side by side, in order; appends what they bring. */
static int get_pieces(struct trib_s3 *s, const char *key, int64_t offset, int64_t n, struct trib_buf *to,
                      struct trib_err *err)
{
    struct piece *pieces = trib_calloc(s->parallel, sizeof *pieces);
    struct trib_aws_call *calls = trib_calloc(s->parallel, sizeof *calls);
    size_t k = 0, had = to->n;
    for (; k < s->parallel && n > 0; k++) {
        struct piece *p = &pieces[k];
        p->offset = offset;
        p->n = n < s->part_bytes ? n : s->part_bytes;
        (void)snprintf(p->range, sizeof p->range, "bytes=%lld-%lld", (long long)offset, (long long)(offset + p->n - 1));
        p->header = (struct trib_http_header){"Range", p->range};
        calls[k] = trib_s3_call(s, "GET", key, &p->path);
        calls[k].headers = &p->header;
        calls[k].n_headers = 1;
        calls[k].max_body_bytes = (size_t)(p->n > ERROR_BYTES ? p->n : ERROR_BYTES);
        calls[k].is_final = beyond_the_end;
        offset += p->n;
        n -= p->n;
    }
    int rc = trib_aws_calls(s->aws, calls, k, err);
    rc = rc != 0 ? trib_s3_explain(s, key, err) : join_pieces(s, key, pieces, calls, k, to, err);
    if (rc != 0) {
        to->n = had;
    }
    for (size_t i = 0; i < k; i++) {
        trib_http_response_free(&calls[i].response);
        free(pieces[i].path);
    }
    free(calls);
    free(pieces);
    return rc;
}

static int get_whole(struct trib_s3 *s, const char *key, struct trib_buf *to, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *path = NULL;
    struct trib_http_header mode = {"x-amz-checksum-mode", "ENABLED"};
    struct trib_aws_call c = trib_s3_call(s, "GET", key, &path);
    c.headers = &mode;
    c.n_headers = 1;
    c.max_body_bytes = to->max - to->n > ERROR_BYTES ? to->max - to->n : ERROR_BYTES;
    int rc = trib_aws_call(s->aws, &c, err);
    if (rc != 0) {
        rc = trib_s3_explain(s, key, err);
    } else {
        char crc[9];
        const struct trib_buf *b = &c.response.body;
        const char *told = told_crc(&c.response);
        trib_s3_crc((uint32_t)crc32_z(0, (const unsigned char *)(b->n == 0 ? "" : b->p), b->n), crc);
        rc = told != NULL && strcmp(told, crc) != 0 ? differs(s, key, err) : 0;
        if (rc == 0) {
            trib_buf_add(to, b->p, b->n);
            rc = trib_buf_check(to, key, err);
        }
    }
    trib_http_response_free(&c.response);
    return rc;
}

static int s3_get(struct trib_store *base, const char *key, int64_t offset, int64_t n, struct trib_buf *to,
                  struct trib_err *err)
{
    struct trib_s3 *s = (struct trib_s3 *)base;
    struct trib_err local = {0};
    err = err != NULL ? err : &local;
    TRIB_TRY(trib_s3_check_key(key, err));
    (void)trib_buf_reserve(to, 0);
    if (n < 0 && offset == 0) {
        return get_whole(s, key, to, err);
    }
    if (n < 0) {
        struct trib_s3_head h;
        TRIB_TRY(trib_s3_head(s, key, &h, err));
        n = h.size > offset ? h.size - offset : 0;
    }
    while (n > 0) {
        size_t had = to->n;
        int64_t most = s->part_bytes * s->parallel, ask = n < most ? n : most;
        TRIB_TRY(get_pieces(s, key, offset, ask, to, err));
        if ((int64_t)(to->n - had) < ask) {
            break; /* the end */
        }
        offset += ask;
        n -= ask;
    }
    return 0;
}

static bool replaced(const struct trib_http_response *r) { return r->status == 412; }

int trib_s3_download(struct trib_s3 *s, const char *key, const struct trib_s3_head *of, const char *path,
                     struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *where = NULL;
    struct trib_http_header headers[] = {{"x-amz-checksum-mode", "ENABLED"}, {"If-Match", of->etag}};
    struct trib_aws_call c = trib_s3_call(s, "GET", key, &where);
    c.headers = headers;
    c.n_headers = of->etag[0] == '\0' ? 1 : 2;
    c.to_path = path;
    c.is_final = replaced;
    c.total_us = TOTAL_US + of->size; /* a megabyte a second at least */
    int rc = trib_aws_call(s->aws, &c, err);
    if (rc != 0) {
        rc = trib_s3_explain(s, key, err);
    } else if (c.response.status == 412) {
        rc = trib_err_set(err, TRIB_E_CONFLICT, "%s/%s was replaced while it was read", s->base.url, key);
    } else if (c.response.body_bytes != of->size) {
        rc = trib_err_set(err, TRIB_E_UNAVAILABLE, "%s/%s: %lld bytes came of %lld", s->base.url, key,
                          (long long)c.response.body_bytes, (long long)of->size);
    } else if (told_crc(&c.response) != NULL) {
        char crc[9];
        rc = trib_s3_crc_file(s->fs, path, 0, of->size, crc, err);
        rc = rc == 0 && strcmp(crc, told_crc(&c.response)) != 0 ? differs(s, key, err) : rc;
    }
    trib_http_response_free(&c.response);
    return rc;
}

/* ---- lists -------------------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* As a form's fields are encoded, in a new text. [out] free() */
static char *url_decoded(const char *s)
{
    char *text = trib_strdup(s), *to = text;
    for (; *s != '\0'; s++) {
        int hi = *s == '%' ? hex_digit(s[1]) : -1, lo = hi >= 0 ? hex_digit(s[2]) : -1;
        if (lo >= 0) {
            *to++ = (char)(hi << 4 | lo);
            s += 2;
        } else {
            *to++ = *s == '+' ? ' ' : *s;
        }
    }
    *to = '\0';
    return text;
}

struct listing {
    struct trib_s3 *s;
    char *prefix; /* the whole of it, with the root */
    const char *after;
    bool all;
    trib_list_fn fn;
    void *ctx;
    char *last; /* key that was seen last */
};

/* Below the prefix: whether a component is hidden, or cannot be a key of a store (a folder's marker). */
static bool skipped(const struct listing *l, const char *below)
{
    for (const char *p = below;; p++) {
        size_t n = strcspn(p, "/");
        bool dots = (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.');
        if (dots || (!l->all && (*p == '.' || *p == '_'))) {
            return true;
        }
        p += n;
        if (*p == '\0') {
            return n == 0;
        }
    }
}

static int tell(struct listing *l, const struct trib_xml *entry, bool url, struct trib_err *err)
{
    const char *text = trib_xml_text(entry, "Key"), *size = trib_xml_text(entry, "Size");
    TRIB_CLEANUP(trib_cleanup_free) char *key = text == NULL ? NULL : url ? url_decoded(text) : trib_strdup(text);
    size_t np = strlen(l->prefix), nr = strlen(l->s->root);
    if (key == NULL || size == NULL || strncmp(key, l->prefix, np) != 0) {
        return trib_err_set(err, TRIB_E_DATA, "s3://%s/%s: the list has an entry without key or size, or a strange one",
                            l->s->bucket, l->prefix);
    }
    if (l->last != NULL && strcmp(key, l->last) <= 0) { /* positions and snapshots rest on it */
        return trib_err_set(err, TRIB_E_UNSUPPORTED,
                            "s3://%s/%s: this store does not list in the order of keys (%s after %s); a directory "
                            "bucket cannot be used",
                            l->s->bucket, l->prefix, key, l->last);
    }
    free(l->last);
    l->last = trib_strdup(key);
    if (skipped(l, key + np) || (l->after != NULL && strcmp(key + nr, l->after) <= 0)) {
        return 0;
    }
    struct trib_object o = {.key = key + nr,
                            .size = strtoll(size, NULL, 10),
                            .mtime_us = time_us(trib_xml_text(entry, "LastModified"), "%Y-%m-%dT%H:%M:%S")};
    return l->fn(l->ctx, &o, err);
}

/* A page of at most a thousand; *io_token becomes the next one's, NULL at the end. */
static int list_page(struct listing *l, char **io_token, struct trib_arena *arena, struct trib_err *err)
{
    struct trib_s3 *s = l->s;
    TRIB_CLEANUP(trib_cleanup_free) char *path = NULL;
    TRIB_CLEANUP(trib_cleanup_free) char *after = trib_asprintf("%s%s", s->root, l->after == NULL ? "" : l->after);
    struct trib_http_header query[4] = {{"list-type", "2"}, {"encoding-type", "url"}, {"prefix", l->prefix}};
    size_t n = 3;
    if (*io_token != NULL) {
        query[n++] = (struct trib_http_header){"continuation-token", *io_token};
    } else if (l->after != NULL) {
        query[n++] = (struct trib_http_header){"start-after", after};
    }
    struct trib_aws_call c = trib_s3_call(s, "GET", NULL, &path);
    c.query = query;
    c.n_query = n;
    c.max_body_bytes = LIST_BYTES;
    int rc = trib_aws_call(s->aws, &c, err);
    const struct trib_xml *root = NULL;
    if (rc != 0) {
        rc = trib_s3_explain(s, "", err);
    } else {
        rc = trib_xml_parse(trib_buf_view(&c.response.body), arena, &root, err);
    }
    trib_http_response_free(&c.response);
    TRIB_TRY(rc);
    const char *more = trib_xml_text(root, "IsTruncated"), *next = trib_xml_text(root, "NextContinuationToken"),
               *encoding = trib_xml_text(root, "EncodingType");
    bool url = encoding != NULL && strcmp(encoding, "url") == 0;
    for (const struct trib_xml *e = trib_xml_child(root, "Contents"); e != NULL; e = trib_xml_next(e)) {
        TRIB_TRY(tell(l, e, url, err));
    }
    free(*io_token);
    *io_token = NULL;
    if (more != NULL && strcmp(more, "true") == 0) {
        if (next == NULL || *next == '\0') {
            return trib_err_set(err, TRIB_E_DATA, "%s: a list goes on, without a token for the rest", s->base.url);
        }
        *io_token = trib_strdup(next);
    }
    return 0;
}

static int s3_list(struct trib_store *base, const char *prefix, const char *after, bool all, trib_list_fn fn, void *ctx,
                   struct trib_err *err)
{
    struct trib_s3 *s = (struct trib_s3 *)base;
    struct trib_err local = {0};
    struct trib_err *to = err != NULL ? err : &local;
    size_t n = strlen(prefix);
    if (n > 0 && prefix[n - 1] != '/') {
        return trib_err_set(to, TRIB_E_USAGE, "the prefix \"%s\" of a listing must end in a slash", prefix);
    }
    struct listing l = {
        .s = s, .prefix = trib_asprintf("%s%s", s->root, prefix), .after = after, .all = all, .fn = fn, .ctx = ctx};
    char *token = NULL;
    int rc;
    do {
        struct trib_arena arena;
        trib_arena_init(&arena);
        rc = list_page(&l, &token, &arena, to);
        trib_arena_free(&arena);
    } while (rc == 0 && token != NULL);
    free(token);
    free(l.last);
    free(l.prefix);
    return rc;
}

/* ---- the rest ----------------------------------------------------------------------------------------------------- */

static int s3_remove(struct trib_store *base, const char *key, struct trib_err *err)
{
    struct trib_s3 *s = (struct trib_s3 *)base;
    TRIB_CLEANUP(trib_cleanup_free) char *path = NULL;
    struct trib_err own = {0};
    TRIB_TRY(trib_s3_check_key(key, err));
    struct trib_aws_call c = trib_s3_call(s, "DELETE", key, &path);
    int rc = trib_aws_call(s->aws, &c, &own);
    trib_http_response_free(&c.response);
    rc = rc == 0 ? 0 : trib_s3_explain(s, key, &own);
    if (rc != 0 && rc != TRIB_E_NOT_FOUND && err != NULL) {
        *err = own;
    }
    return rc == TRIB_E_NOT_FOUND ? 0 : rc;
}

static void s3_free(struct trib_store *base)
{
    struct trib_s3 *s = (struct trib_s3 *)base;
    for (size_t i = 0; i < s->n_sse; i++) {
        free((void *)(uintptr_t)s->sse[i].prefix);
        free((void *)(uintptr_t)s->sse[i].sse);
        free((void *)(uintptr_t)s->sse[i].kms_key);
    }
    free(s->sse);
    free(s->bucket);
    free(s->root);
    free(s->base.url);
    free(s);
}

static const struct trib_store_ops s3_ops = {
    .list = s3_list,
    .head = s3_head,
    .get = s3_get,
    .put = trib_s3_put,
    .put_file = trib_s3_put_file,
    .remove = s3_remove,
    .local = trib_s3_local,
    .free = s3_free,
};

static bool bucket_good(const char *b, size_t n)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
    return n >= 3 && n <= 63 && strspn(b, plain) >= n && b[0] != '.' && b[0] != '-' && b[n - 1] != '.' &&
           b[n - 1] != '-';
}

static char *copied(const char *s) { return s == NULL ? NULL : trib_strdup(s); }

int trib_store_open_s3(const struct trib_s3_opts *o, struct trib_store **ret, struct trib_err *err)
{
    assert(o->aws != NULL && o->fs != NULL && o->rng != NULL);
    const char *bucket = strncmp(o->url, "s3://", 5) == 0 ? o->url + 5 : "";
    size_t nb = strcspn(bucket, "/");
    if (!bucket_good(bucket, nb)) {
        return trib_err_set(err, TRIB_E_CONFIG, "%s names no bucket: write s3://bucket or s3://bucket/prefix", o->url);
    }
    const char *prefix = bucket + nb + (bucket[nb] == '/');
    size_t np = strlen(prefix);
    while (np > 0 && prefix[np - 1] == '/') {
        np--;
    }
    TRIB_CLEANUP(trib_cleanup_free) char *root = trib_asprintf("%.*s%s", (int)np, prefix, np > 0 ? "/" : "");
    TRIB_CLEANUP(trib_cleanup_free) char *plain = trib_strndup(prefix, np);
    if (np > 0 && trib_s3_check_key(plain, err) != 0) {
        return trib_err_set(err, TRIB_E_CONFIG,
                            "%s: the prefix may not begin with a slash or have \".\" or \"..\" in it", o->url);
    }
    struct trib_s3 *s = trib_calloc(1, sizeof *s);
    s->base = (struct trib_store){&s3_ops, trib_asprintf("s3://%.*s%s%s", (int)nb, bucket, np > 0 ? "/" : "", plain)};
    s->aws = o->aws;
    s->fs = o->fs;
    s->rng = o->rng;
    s->cache = o->cache;
    s->bucket = trib_strndup(bucket, nb);
    s->root = trib_strdup(root);
    /* A dot would not match AWS's certificate. */
    s->virtual_host = trib_aws_endpoint_own(o->aws, "s3") && strchr(s->bucket, '.') == NULL;
    s->parallel = o->parallel > 0 ? o->parallel : PARALLEL;
    s->part_bytes = o->part_bytes > 0 ? o->part_bytes : PART_BYTES;
    s->sse = trib_calloc(o->n_sse + 1, sizeof *s->sse);
    for (; s->n_sse < o->n_sse; s->n_sse++) {
        const struct trib_s3_sse *e = &o->sse[s->n_sse];
        s->sse[s->n_sse] = (struct trib_s3_sse){copied(e->prefix), copied(e->sse), copied(e->kms_key)};
    }
    *ret = &s->base;
    return 0;
}
