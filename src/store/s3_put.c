/*
 * s3://: writing (s3.h; spec: delta.md, "Commit on S3 and locally").
 *
 * Invariants:
 *  1. An object that must be absent is written with If-None-Match: * alone, and never removed or replaced here.
 *  2. Every write carries a token of its own, kept with the object. Whatever an answer leaves open (a lost reply, a 500, a 412 that
 *     a repeat of ours may have caused) is settled by reading the token: ours is a success, another's is EXISTS.
 *  3. What is left open after that is told as ambiguous.
 * Threads: any. A crash leaves the object or nothing, and parts of an upload that nobody sees (a lifecycle rule of the bucket,
 * AbortIncompleteMultipartUpload, clears them away).
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "aws/xml.h"
#include "store/s3_own.h"

/* SINGLE_PARTS: what is smaller than so many parts goes in one piece. S3 takes 10,000 parts, of 5 MiB at least. */
enum { HEADERS = 8, TRIES = 4, SINGLE_PARTS = 2, MOST_PARTS = 9000, COMPARE_BYTES = 1 << 20 };
static const int64_t PART_MIN_BYTES = (int64_t)5 << 20, MIB = (int64_t)1 << 20;

/* One write: its name, its token, and what it says about it. */
struct write {
    struct trib_s3 *s;
    const char *key;
    bool if_absent;
    char token[37];
    struct trib_http_header headers[HEADERS];
    size_t n_headers;
    bool repeated; /* a try of ours may have gone through without our knowing */
};

static void add_header(struct write *w, const char *name, const char *value)
{
    assert(w->n_headers < HEADERS);
    w->headers[w->n_headers++] = (struct trib_http_header){name, value};
}

static void begin(struct write *w, struct trib_s3 *s, const char *key, bool if_absent)
{
    *w = (struct write){.s = s, .key = key, .if_absent = if_absent};
    trib_rng_uuid(s->rng, w->token);
    add_header(w, TRIB_S3_TOKEN, w->token);
    const struct trib_s3_sse *best = NULL;
    for (size_t i = 0; i < s->n_sse; i++) {
        const struct trib_s3_sse *e = &s->sse[i];
        bool fits = strncmp(key, e->prefix, strlen(e->prefix)) == 0;
        best = fits && (best == NULL || strlen(e->prefix) > strlen(best->prefix)) ? e : best;
    }
    if (best != NULL && best->sse != NULL) {
        bool kms = strcmp(best->sse, "kms") == 0;
        add_header(w, "x-amz-server-side-encryption", kms ? "aws:kms" : "AES256");
        if (kms && best->kms_key != NULL) {
            add_header(w, "x-amz-server-side-encryption-aws-kms-key-id", best->kms_key);
        }
    }
}

static bool taken(const struct trib_http_response *r) { return r->status == 412; }

/* ---- whose object is it? ------------------------------------------------------------------------------------------ */

/* What was to be written: bytes at hand, or a file. */
struct content {
    struct trib_view data;
    const char *path;
    int64_t size;
};

/* Reads the object back and compares. For stores that keep no metadata. */
static int same_content(struct trib_s3 *s, const char *key, const struct content *c, bool *ret, struct trib_err *err)
{
    struct trib_buf there, own;
    trib_buf_init(&there, COMPARE_BYTES);
    trib_buf_init(&own, COMPARE_BYTES);
    bool same = true;
    int rc = 0;
    for (int64_t at = 0; at < c->size && same && rc == 0; at += COMPARE_BYTES) {
        int64_t n = c->size - at < COMPARE_BYTES ? c->size - at : COMPARE_BYTES;
        trib_buf_clear(&there);
        trib_buf_clear(&own);
        rc = trib_store_get(&s->base, key, at, n, &there, err);
        if (rc == 0 && c->path != NULL) {
            rc = s->fs->read(s->fs->ctx, c->path, at, n, &own, err);
        } else if (rc == 0) {
            trib_buf_add(&own, c->data.p + at, (size_t)n);
        }
        same = rc == 0 && trib_view_eq(trib_buf_view(&there), trib_buf_view(&own));
    }
    trib_buf_free(&there);
    trib_buf_free(&own);
    if (rc == 0) {
        *ret = same;
    }
    return rc;
}

enum whose { NOBODYS, OURS, ANOTHERS };

static int whose(struct write *w, const struct content *c, enum whose *ret, struct trib_err *err)
{
    struct trib_s3_head h;
    int rc = trib_s3_head(w->s, w->key, &h, err);
    if (rc == TRIB_E_NOT_FOUND) {
        *ret = NOBODYS;
        return 0;
    }
    TRIB_TRY(rc);
    bool ours = strcmp(h.token, w->token) == 0;
    if (h.token[0] == '\0' && h.size == c->size && w->repeated) {
        TRIB_TRY(same_content(w->s, w->key, c, &ours, err));
    }
    *ret = ours ? OURS : ANOTHERS;
    return 0;
}

static int exists(const struct write *w, struct trib_err *err)
{
    return trib_err_set(err, TRIB_E_EXISTS, "%s/%s exists already", w->s->base.url, w->key);
}

/* A write failed (*err, code rc), or was refused because there is an object (rc 0). AGAIN: nothing is there after all, so it is to
 * be tried again. */
static int settle(struct write *w, const struct content *c, int rc, struct trib_err *err)
{
    if (rc != 0 && !err->ambiguous && !w->repeated) {
        return rc;
    }
    w->repeated |= rc != 0;
    struct trib_err why = {0};
    enum whose whom = NOBODYS;
    if (whose(w, c, &whom, &why) != 0) {
        if (rc == 0) { /* somebody's, surely; whose cannot be seen */
            *err = why;
        }
        err->ambiguous = true;
        return (int)err->code;
    }
    if (whom == OURS) {
        return 0;
    }
    if (whom == ANOTHERS && w->if_absent) {
        return exists(w, err);
    }
    if (rc == 0) {
        (void)trib_err_set(err, TRIB_E_AGAIN, "%s/%s was removed while it was to be written", w->s->base.url, w->key);
        err->retriable = true;
        return TRIB_E_AGAIN;
    }
    err->ambiguous = true; /* a try of ours may be under way yet */
    return rc;
}

/* ---- in one piece ------------------------------------------------------------------------------------------------- */

static int put_once(struct write *w, struct trib_view data, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *path = NULL;
    struct trib_aws_call c = trib_s3_call(w->s, "PUT", w->key, &path);
    c.headers = w->headers;
    c.n_headers = w->n_headers;
    c.body = data;
    c.is_final = taken;
    int rc = trib_aws_call(w->s->aws, &c, err);
    w->repeated |= c.tries > 1;
    bool refused = rc == 0 && c.response.status == 412;
    trib_http_response_free(&c.response);
    if (rc == 0 && !refused) {
        return 0;
    }
    if (rc != 0) {
        (void)trib_s3_explain(w->s, w->key, err);
    }
    const struct content content = {.data = data, .size = (int64_t)data.n};
    return settle(w, &content, rc == 0 ? 0 : (int)err->code, err);
}

int trib_s3_put(struct trib_store *base, const char *key, struct trib_view data, bool if_absent, struct trib_err *err)
{
    struct trib_err local = {0};
    char crc[9];
    struct write w;
    err = err != NULL ? err : &local;
    TRIB_TRY(trib_s3_check_key(key, err));
    begin(&w, (struct trib_s3 *)base, key, if_absent);
    trib_s3_crc((uint32_t)crc32_z(0, (const unsigned char *)(data.n == 0 ? "" : data.p), data.n), crc);
    add_header(&w, "x-amz-checksum-crc32", crc);
    if (if_absent) {
        add_header(&w, "If-None-Match", "*");
    }
    int rc = TRIB_E_AGAIN;
    for (int i = 0; i < TRIES && rc == TRIB_E_AGAIN; i++) {
        rc = put_once(&w, data, err);
    }
    return rc;
}

/* ---- in parts ----------------------------------------------------------------------------------------------------- */

struct upload {
    struct write *w;
    const char *file;
    int64_t size, part_bytes;
    size_t n;
    char *id;
    struct part {
        char crc[9];
        char etag[128];
    } * parts;
};

/* The text of an element of an answer, a copy; "" without. */
static char *answer_text(const struct trib_http_response *r, const char *name)
{
    struct trib_arena arena;
    struct trib_err ignored;
    const struct trib_xml *root = NULL;
    trib_arena_init(&arena);
    const char *text =
        trib_xml_parse(trib_buf_view(&r->body), &arena, &root, &ignored) == 0 ? trib_xml_text(root, name) : NULL;
    char *copy = trib_strdup(text == NULL ? "" : text);
    trib_arena_free(&arena);
    return copy;
}

static int create_upload(struct upload *u, struct trib_err *err)
{
    struct write *w = u->w;
    TRIB_CLEANUP(trib_cleanup_free) char *path = NULL;
    const struct trib_http_header query = {"uploads", ""};
    struct write own = *w;
    add_header(&own, "x-amz-checksum-algorithm", "CRC32");
    struct trib_aws_call c = trib_s3_call(w->s, "POST", w->key, &path);
    c.query = &query;
    c.n_query = 1;
    c.headers = own.headers;
    c.n_headers = own.n_headers;
    int rc = trib_aws_call(w->s->aws, &c, err);
    if (rc == 0) {
        u->id = answer_text(&c.response, "UploadId");
        rc = *u->id != '\0' ? 0 : trib_err_set(err, TRIB_E_DATA, "s3:PutObject: the answer names no upload");
    }
    trib_http_response_free(&c.response);
    return rc == 0 ? 0 : trib_s3_explain(w->s, w->key, err);
}

/* Parts from `first` on, side by side. */
static int send_parts(struct upload *u, size_t first, size_t n, struct trib_err *err)
{
    const struct trib_s3 *s = u->w->s;
    struct sent {
        char *path;
        char number[24];
        struct trib_http_header query[2], header;
    } *sent = trib_calloc(n, sizeof *sent);
    struct trib_aws_call *calls = trib_calloc(n, sizeof *calls);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct part *p = &u->parts[first + i];
        int64_t offset = (int64_t)(first + i) * u->part_bytes, left = u->size - offset;
        calls[i] = trib_s3_call(s, "PUT", u->w->key, &sent[i].path);
        calls[i].body_path = u->file;
        calls[i].body_offset = offset;
        calls[i].body_bytes = left < u->part_bytes ? left : u->part_bytes;
        rc = trib_s3_crc_file(s->fs, u->file, offset, calls[i].body_bytes, p->crc, err);
        (void)snprintf(sent[i].number, sizeof sent[i].number, "%zu", first + i + 1);
        sent[i].query[0] = (struct trib_http_header){"partNumber", sent[i].number};
        sent[i].query[1] = (struct trib_http_header){"uploadId", u->id};
        sent[i].header = (struct trib_http_header){"x-amz-checksum-crc32", p->crc};
        calls[i].query = sent[i].query;
        calls[i].n_query = 2;
        calls[i].headers = &sent[i].header;
        calls[i].n_headers = 1;
    }
    if (rc == 0 && trib_aws_calls(s->aws, calls, n, err) != 0) {
        rc = trib_s3_explain(s, u->w->key, err);
    }
    for (size_t i = 0; i < n; i++) {
        const char *etag = rc == 0 ? trib_http_header_get(&calls[i].response, "etag") : NULL;
        if (rc == 0 && (etag == NULL || strlen(etag) >= sizeof u->parts->etag)) {
            rc = trib_err_set(err, TRIB_E_DATA, "%s/%s: the answer to a part has no ETag", s->base.url, u->w->key);
        } else if (rc == 0) {
            (void)snprintf(u->parts[first + i].etag, sizeof u->parts->etag, "%s", etag);
        }
        trib_http_response_free(&calls[i].response);
        free(sent[i].path);
    }
    free(calls);
    free(sent);
    return rc;
}

static void add_xml(struct trib_buf *to, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&': trib_buf_adds(to, "&amp;"); break;
        case '<': trib_buf_adds(to, "&lt;"); break;
        case '"': trib_buf_adds(to, "&quot;"); break;
        default: trib_buf_addc(to, *text);
        }
    }
}

/* Its own outcomes are told apart: 412 is an answer, 409 and a lost upload mean all of it again. */
static bool completion_answer(const struct trib_http_response *r)
{
    return r->status == 412 || r->status == 409 || r->status == 404;
}

static int complete_upload(struct upload *u, int *ret_status, struct trib_err *err)
{
    struct write *w = u->w;
    TRIB_CLEANUP(trib_cleanup_free) char *path = NULL;
    const struct trib_http_header query = {"uploadId", u->id}, none = {"If-None-Match", "*"};
    struct trib_buf body;
    trib_buf_init(&body, (size_t)8 << 20);
    trib_buf_adds(&body, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < u->n; i++) {
        trib_buf_addf(&body, "<Part><PartNumber>%zu</PartNumber><ETag>", i + 1);
        add_xml(&body, u->parts[i].etag);
        trib_buf_addf(&body, "</ETag><ChecksumCRC32>%s</ChecksumCRC32></Part>", u->parts[i].crc);
    }
    trib_buf_adds(&body, "</CompleteMultipartUpload>");
    struct trib_aws_call c = trib_s3_call(w->s, "POST", w->key, &path);
    c.query = &query;
    c.n_query = 1;
    c.headers = w->if_absent ? &none : NULL;
    c.n_headers = w->if_absent ? 1 : 0;
    c.body = trib_buf_view(&body);
    c.is_final = completion_answer;
    int rc = trib_buf_check(&body, "the list of parts", err);
    rc = rc == 0 ? trib_aws_call(w->s->aws, &c, err) : rc;
    w->repeated |= c.tries > 1;
    *ret_status = rc == 0 ? c.response.status : 0;
    trib_http_response_free(&c.response);
    trib_buf_free(&body);
    return rc == 0 ? 0 : trib_s3_explain(w->s, w->key, err);
}

/* After it, the upload cannot become an object any more. */
static void abort_upload(struct upload *u)
{
    TRIB_CLEANUP(trib_cleanup_free) char *path = NULL;
    const struct trib_http_header query = {"uploadId", u->id};
    struct trib_err ignored;
    struct trib_aws_call c = trib_s3_call(u->w->s, "DELETE", u->w->key, &path);
    c.query = &query;
    c.n_query = 1;
    if (trib_aws_call(u->w->s->aws, &c, &ignored) != 0) {
        /* Its parts stay until the bucket's lifecycle rule takes them. */
    }
    trib_http_response_free(&c.response);
}

/* One upload from beginning to end; AGAIN: nothing is there, and all of it may be tried again. */
static int upload_once(struct upload *u, struct trib_err *err)
{
    int status = 0;
    TRIB_TRY(create_upload(u, err));
    int rc = 0;
    for (size_t i = 0; i < u->n && rc == 0; i += u->w->s->parallel) {
        size_t left = u->n - i, n = left < u->w->s->parallel ? left : u->w->s->parallel;
        rc = send_parts(u, i, n, err);
    }
    if (rc != 0) {
        err->ambiguous = false; /* nobody saw a part of it */
        abort_upload(u);
        return rc;
    }
    rc = complete_upload(u, &status, err);
    if (rc == 0 && status / 100 == 2) {
        return 0;
    }
    abort_upload(u);
    const struct content content = {.path = u->file, .size = u->size};
    return settle(u->w, &content, rc, err);
}

static int upload(struct write *w, const char *file, int64_t size, struct trib_err *err)
{
    struct upload u = {.w = w, .file = file, .size = size};
    u.part_bytes = w->s->part_bytes > PART_MIN_BYTES ? w->s->part_bytes : PART_MIN_BYTES;
    if (size / u.part_bytes > MOST_PARTS) {
        u.part_bytes = (size / MOST_PARTS / MIB + 1) * MIB;
    }
    u.n = (size_t)((size + u.part_bytes - 1) / u.part_bytes);
    u.parts = trib_calloc(u.n, sizeof *u.parts);
    int rc = TRIB_E_AGAIN;
    for (int i = 0; i < TRIES && rc == TRIB_E_AGAIN; i++) {
        rc = upload_once(&u, err);
        free(u.id);
        u.id = NULL;
    }
    free(u.parts);
    return rc;
}

int trib_s3_put_file(struct trib_store *base, const char *key, const char *local_path, struct trib_err *err)
{
    struct trib_s3 *s = (struct trib_s3 *)base;
    struct trib_err local = {0};
    struct trib_fs_stat st;
    err = err != NULL ? err : &local;
    TRIB_TRY(trib_s3_check_key(key, err));
    TRIB_TRY(s->fs->stat(s->fs->ctx, local_path, &st, err));
    if (st.size < SINGLE_PARTS * s->part_bytes) {
        struct trib_buf all;
        trib_buf_init(&all, (size_t)st.size + 1);
        int rc = s->fs->read(s->fs->ctx, local_path, 0, -1, &all, err);
        rc = rc == 0 ? trib_s3_put(base, key, trib_buf_view(&all), true, err) : rc;
        trib_buf_free(&all);
        TRIB_TRY(rc);
    } else {
        struct write w;
        begin(&w, s, key, true);
        TRIB_TRY(upload(&w, local_path, st.size, err));
    }
    struct trib_err ignored;
    (void)s->fs->unlink(s->fs->ctx, local_path, &ignored);
    return 0;
}
