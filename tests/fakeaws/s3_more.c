/* S3: checksums of bodies, uploads in parts, deletes of many. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <zlib.h>

#include "fakeaws/own.h"

enum { PART_MIN = 5 << 20, PARTS_MAX = 10000 };

/* ---- checksums --------------------------------------------------------------------------------------------------- */
static uint64_t crc_reflected(struct trib_view v, uint64_t polynomial, uint64_t ones)
{
    uint64_t table[256], crc = ones;
    for (unsigned i = 0; i < 256; i++) {
        uint64_t c = i;
        for (int k = 0; k < 8; k++) {
            c = (c & 1) != 0 ? (c >> 1) ^ polynomial : c >> 1;
        }
        table[i] = c;
    }
    for (size_t i = 0; i < v.n; i++) {
        crc = table[(crc ^ (unsigned char)v.p[i]) & 0xff] ^ (crc >> 8);
    }
    return crc ^ ones;
}

/* base64 of the big-endian sum, as the headers have it; NULL: no such kind. [out] */
static char *sum_of(const char *kind, struct trib_view v)
{
    unsigned char raw[32];
    unsigned n = 0;
    uint64_t crc = 0;
    if (strcasecmp(kind, "sha256") == 0) {
        fk_sha256(v, raw);
        n = 32;
    } else if (strcasecmp(kind, "sha1") == 0) {
        (void)EVP_Digest(v.n == 0 ? "" : v.p, v.n, raw, &n, EVP_sha1(), NULL);
    } else if (strcasecmp(kind, "crc32") == 0) {
        crc = crc32_z(0, (const unsigned char *)(v.n == 0 ? "" : v.p), v.n);
        n = 4;
    } else if (strcasecmp(kind, "crc32c") == 0) {
        crc = crc_reflected(v, 0x82F63B78U, 0xFFFFFFFFU);
        n = 4;
    } else if (strcasecmp(kind, "crc64nvme") == 0) {
        crc = crc_reflected(v, 0x9A6C9329AC4BC9B5U, UINT64_MAX);
        n = 8;
    } else {
        return NULL;
    }
    for (unsigned i = 0; (n == 4 || n == 8) && i < n; i++) {
        raw[i] = (unsigned char)(crc >> (8 * (n - 1 - i)));
    }
    return fk_base64(raw, n);
}

bool fk_sums_good(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r)
{
    const char *md5 = fk_header(q, "content-md5");
    if (md5 != NULL) {
        unsigned char raw[16];
        fk_md5(q->body, raw);
        char *want = fk_base64(raw, 16);
        bool same = strcmp(want, md5) == 0, form = strlen(md5) == 24;
        free(want);
        if (!same) {
            fk_error(f, q, r, 400, form ? "BadDigest" : "InvalidDigest", "%s",
                     form ? "The Content-MD5 you specified did not match what we received."
                          : "The Content-MD5 you specified was invalid.");
            return false;
        }
    }
    for (size_t i = 0; i < q->http->n_headers; i++) {
        const struct trib_http_header *h = &q->http->headers[i];
        char *want = strncasecmp(h->name, "x-amz-checksum-", 15) == 0 ? sum_of(h->name + 15, q->body) : NULL;
        bool same = want == NULL || strcmp(want, h->value) == 0;
        free(want);
        if (!same) {
            fk_error(f, q, r, 400, "BadDigest", "The %s you specified did not match the calculated checksum.",
                     h->name + 15);
            return false;
        }
    }
    return true;
}

/* ---- uploads in parts -------------------------------------------------------------------------------------------- */
void fk_upload_free(struct fk_upload *u)
{
    for (size_t i = 0; i < u->n; i++) {
        free(u->parts[i].bytes);
    }
    free(u->parts);
    fk_meta_free(u->meta, u->n_meta);
    free(u->id);
    free(u->key);
}

static struct fk_upload *upload_find(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r,
                                     struct fk_bucket *b)
{
    const char *id = fk_param(q, "uploadId");
    for (size_t i = 0; i < b->n_uploads; i++) {
        if (strcmp(b->uploads[i].id, id) == 0 && strcmp(b->uploads[i].key, q->key) == 0) {
            return &b->uploads[i];
        }
    }
    fk_error(
        f, q, r, 404, "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed.");
    return NULL;
}

static void upload_remove(struct fk_bucket *b, struct fk_upload *u)
{
    fk_upload_free(u);
    *u = b->uploads[--b->n_uploads];
}

void fk_s3_create_upload(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b)
{
    if (q->key == NULL || !fk_sse_good(f, q, r)) {
        return;
    }
    TRIB_GROW(b->uploads, b->uploads_cap, b->n_uploads + 1);
    struct fk_upload *u = &b->uploads[b->n_uploads++];
    *u = (struct fk_upload){.id = trib_asprintf("fake.%016llx", (unsigned long long)fk_hash(&f->serial, 8, 9)),
                            .key = trib_strdup(q->key),
                            .time_us = f->now_us};
    f->serial++;
    u->meta = fk_meta_of(q, &u->n_meta);
    trib_buf_adds(fk_body(r), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<InitiateMultipartUploadResult "
                              "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>");
    fk_xml(fk_body(r), b->name);
    trib_buf_adds(fk_body(r), "</Bucket><Key>");
    fk_xml(fk_body(r), q->key);
    trib_buf_addf(fk_body(r), "</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>", u->id);
    fk_tell_sse(r, u->meta, u->n_meta);
}

void fk_s3_upload_part(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b)
{
    struct fk_upload *u = fk_param(q, "uploadId") == NULL ? NULL : upload_find(f, q, r, b);
    long number = strtol(fk_param(q, "partNumber"), NULL, 10);
    if (u == NULL || !fk_sums_good(f, q, r)) {
        return;
    }
    if (number < 1 || number > PARTS_MAX) {
        fk_error(f, q, r, 400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive");
        return;
    }
    size_t at = 0;
    while (at < u->n && u->parts[at].number < (unsigned)number) {
        at++;
    }
    if (at == u->n || u->parts[at].number != (unsigned)number) {
        TRIB_GROW(u->parts, u->cap, u->n + 1);
        memmove(u->parts + at + 1, u->parts + at, (u->n - at) * sizeof *u->parts);
        u->n++;
    } else {
        free(u->parts[at].bytes);
    }
    unsigned char md5[16];
    struct fk_part *p = &u->parts[at];
    *p = (struct fk_part){.number = (unsigned)number, .bytes = trib_malloc(q->body.n + 1), .n = q->body.n};
    if (q->body.n > 0) {
        memcpy(p->bytes, q->body.p, q->body.n);
    }
    fk_md5(q->body, md5);
    fk_hex(md5, 16, p->md5);
    fk_setf(r, "etag", "\"%s\"", p->md5);
    fk_tell_sse(r, u->meta, u->n_meta);
}

/* The next "<tag>…</tag>" at or after *at, its text without quotes' entities; NULL: none. [out] */
static char *element(const char **at, const char *tag)
{
    char *open = trib_asprintf("<%s>", tag), *close = trib_asprintf("</%s>", tag);
    const char *from = strstr(*at, open), *to = from == NULL ? NULL : strstr(from, close);
    struct trib_buf b;
    trib_buf_init(&b, 1 << 16);
    trib_buf_adds(&b, "");
    if (to != NULL) {
        for (from += strlen(open); from < to;) {
            static const struct {
                const char *entity, *text;
            } all[] = {{"&quot;", "\""}, {"&#34;", "\""}, {"&amp;", "&"},
                       {"&lt;", "<"},    {"&gt;", ">"},   {"&apos;", "'"}};
            size_t i = 0;
            while (i < sizeof all / sizeof *all && strncmp(from, all[i].entity, strlen(all[i].entity)) != 0) {
                i++;
            }
            if (i < sizeof all / sizeof *all) {
                trib_buf_adds(&b, all[i].text);
                from += strlen(all[i].entity);
            } else {
                trib_buf_addc(&b, *from++);
            }
        }
        *at = to + strlen(close);
    }
    free(open);
    free(close);
    char *text = trib_buf_take(&b);
    if (to == NULL) {
        free(text);
        return NULL;
    }
    return text;
}

/* Puts the parts that the request lists together; the code of what is wrong with it, or NULL. */
static const char *assemble(const struct fk_req *q, const struct fk_upload *u, struct trib_buf *to,
                            struct trib_buf *md5s, unsigned *ret_parts)
{
    char *body = trib_strndup(q->body.p == NULL ? "" : q->body.p, q->body.n), *one;
    const char *at = body, *bad = NULL;
    unsigned last = 0, n = 0;
    bool small = false;
    while (bad == NULL && (one = element(&at, "Part")) != NULL) {
        const char *in = one;
        char *number = element(&in, "PartNumber");
        in = one;
        char *etag = element(&in, "ETag");
        const struct fk_part *p = NULL;
        unsigned want = number == NULL ? 0 : (unsigned)strtoul(number, NULL, 10);
        for (size_t i = 0; i < u->n; i++) {
            p = u->parts[i].number == want ? &u->parts[i] : p;
        }
        char *plain = etag == NULL ? NULL : *etag == '"' ? trib_strndup(etag + 1, strlen(etag) - 2) : trib_strdup(etag);
        bad = number == NULL || plain == NULL           ? "MalformedXML"
              : want <= last                            ? "InvalidPartOrder"
              : p == NULL || strcmp(p->md5, plain) != 0 ? "InvalidPart"
              : small                                   ? "EntityTooSmall"
                                                        : NULL;
        if (bad == NULL) {
            unsigned raw[16];
            for (int i = 0; i < 16 && sscanf(p->md5 + 2 * (size_t)i, "%2x", &raw[i]) == 1; i++) {
                trib_buf_addc(md5s, (char)(unsigned char)raw[i]);
            }
            trib_buf_add(to, p->bytes, p->n);
            small = p->n < PART_MIN;
            last = want;
            n++;
        }
        free(plain);
        free(number);
        free(etag);
        free(one);
    }
    free(body);
    *ret_parts = n;
    return bad == NULL && n == 0 ? "MalformedXML" : bad;
}

void fk_s3_complete_upload(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b)
{
    struct fk_upload *u = upload_find(f, q, r, b);
    if (u == NULL || !fk_may_write(f, q, r, b)) {
        return;
    }
    struct trib_buf bytes, md5s;
    unsigned n;
    trib_buf_init(&bytes, BODY_MAX);
    trib_buf_init(&md5s, BODY_MAX);
    const char *bad = assemble(q, u, &bytes, &md5s, &n);
    if (bad != NULL) {
        fk_error(f, q, r, 400, bad, "%s", "The list of parts is not as it should be.");
    } else {
        unsigned char md5[16];
        char hex[33];
        struct fk_object *o = fk_object_new(f, b, q->key, trib_buf_view(&bytes));
        fk_md5(trib_buf_view(&md5s), md5);
        fk_hex(md5, 16, hex);
        (void)snprintf(o->etag, sizeof o->etag, "\"%s-%u\"", hex, n);
        o->meta = u->meta;
        o->n_meta = u->n_meta;
        u->meta = NULL;
        u->n_meta = 0;
        fk_object_told(f, b, o);
        fk_tell_sse(r, o->meta, o->n_meta);
        trib_buf_adds(fk_body(r), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CompleteMultipartUploadResult "
                                  "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>");
        fk_xml(fk_body(r), b->name);
        trib_buf_adds(fk_body(r), "</Bucket><Key>");
        fk_xml(fk_body(r), q->key);
        trib_buf_addf(fk_body(r), "</Key><ETag>&quot;%s-%u&quot;</ETag></CompleteMultipartUploadResult>", hex, n);
        upload_remove(b, u);
    }
    trib_buf_free(&bytes);
    trib_buf_free(&md5s);
}

void fk_s3_abort_upload(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b)
{
    struct fk_upload *u = upload_find(f, q, r, b);
    if (u != NULL) {
        upload_remove(b, u);
        r->http->status = 204;
    }
}

void fk_s3_list_uploads(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b)
{
    (void)f;
    const char *prefix = fk_param(q, "prefix");
    trib_buf_adds(fk_body(r), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListMultipartUploadsResult "
                              "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsTruncated>false</IsTruncated>");
    for (size_t i = 0; i < b->n_uploads; i++) {
        const struct fk_upload *u = &b->uploads[i];
        char time[32];
        if (prefix != NULL && strncmp(u->key, prefix, strlen(prefix)) != 0) {
            continue;
        }
        fk_iso(u->time_us, true, time);
        trib_buf_adds(fk_body(r), "<Upload><Key>");
        fk_xml(fk_body(r), u->key);
        trib_buf_addf(fk_body(r), "</Key><UploadId>%s</UploadId><Initiated>%s</Initiated></Upload>", u->id, time);
    }
    trib_buf_adds(fk_body(r), "</ListMultipartUploadsResult>");
}

/* ---- deletes of many --------------------------------------------------------------------------------------------- */
void fk_s3_delete_objects(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b)
{
    bool sum = fk_header(q, "content-md5") != NULL;
    for (size_t i = 0; i < q->http->n_headers; i++) {
        sum = sum || strncasecmp(q->http->headers[i].name, "x-amz-checksum-", 15) == 0;
    }
    if (!sum) {
        fk_error(f, q, r, 400, "InvalidRequest", "Missing required header for this request: Content-MD5");
        return;
    }
    if (!fk_sums_good(f, q, r)) {
        return;
    }
    char *body = trib_strndup(q->body.p == NULL ? "" : q->body.p, q->body.n), *key;
    const char *at = body;
    bool quiet = strstr(body, "<Quiet>true</Quiet>") != NULL;
    size_t n = 0;
    for (const char *count = body; (key = element(&count, "Key")) != NULL; free(key)) {
        n++;
    }
    if (n == 0 || n > 1000) {
        fk_error(f, q, r, 400, "MalformedXML",
                 "The XML you provided was not well-formed or did not validate against our published schema");
        free(body);
        return;
    }
    trib_buf_adds(fk_body(r), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DeleteResult "
                              "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (; (key = element(&at, "Key")) != NULL; free(key)) {
        fk_object_del(b, key);
        if (!quiet) {
            trib_buf_adds(fk_body(r), "<Deleted><Key>");
            fk_xml(fk_body(r), key);
            trib_buf_adds(fk_body(r), "</Key></Deleted>");
        }
    }
    trib_buf_adds(fk_body(r), "</DeleteResult>");
    free(body);
}
