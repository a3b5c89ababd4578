/*
 * S3's answers: objects and lists (spec: delta.md, "Commit on S3 and locally"; testing.md). Strongly consistent, one winner of
 * If-None-Match: *. Uploads in parts and deletes of many are in s3_more.c, checksums in s3_sum.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "fakeaws/own.h"

enum { KEY_MAX = 1024, LIST_MAX = 1000 };

void fk_s3_route(struct trib_fakeaws *f, struct fk_req *q)
{
    (void)f;
    const char *dot = strstr(q->host, ".s3.");
    const char *path = q->path + (*q->path == '/' ? 1 : 0);
    if (dot != NULL && dot != q->host) {
        q->bucket = trib_strndup(q->host, (size_t)(dot - q->host));
        q->key = *path == '\0' ? NULL : trib_strdup(path);
        return;
    }
    size_t n = strcspn(path, "/");
    q->bucket = n == 0 ? NULL : trib_strndup(path, n);
    q->key = path[n] == '/' && path[n + 1] != '\0' ? trib_strdup(path + n + 1) : NULL;
}

const char *fk_s3_operation(const struct fk_req *q)
{
    const char *m = q->http->method;
    bool upload = fk_param(q, "uploadId") != NULL;
    if (strcmp(m, "HEAD") == 0) {
        return q->key == NULL ? "HeadBucket" : "HeadObject";
    }
    if (strcmp(m, "PUT") == 0) {
        return q->key == NULL                              ? "CreateBucket"
               : fk_param(q, "partNumber") != NULL         ? "UploadPart"
               : fk_header(q, "x-amz-copy-source") != NULL ? "CopyObject"
                                                           : "PutObject";
    }
    if (strcmp(m, "POST") == 0) {
        return fk_param(q, "delete") != NULL    ? "DeleteObjects"
               : fk_param(q, "uploads") != NULL ? "CreateMultipartUpload"
               : upload                         ? "CompleteMultipartUpload"
                                                : "Unknown";
    }
    if (strcmp(m, "DELETE") == 0) {
        return q->key == NULL ? "DeleteBucket" : upload ? "AbortMultipartUpload" : "DeleteObject";
    }
    if (strcmp(m, "GET") != 0) {
        return "Unknown";
    }
    if (q->key != NULL) {
        return upload ? "ListParts" : "GetObject";
    }
    return q->bucket == NULL                   ? "ListBuckets"
           : fk_param(q, "location") != NULL   ? "GetBucketLocation"
           : fk_param(q, "versioning") != NULL ? "GetBucketVersioning"
           : fk_param(q, "uploads") != NULL    ? "ListMultipartUploads"
           : fk_param(q, "list-type") != NULL  ? "ListObjectsV2"
                                               : "ListObjects";
}

struct fk_bucket *fk_bucket_find(struct trib_fakeaws *f, const char *name)
{
    for (size_t i = 0; name != NULL && i < f->n_buckets; i++) {
        if (strcmp(f->buckets[i]->name, name) == 0) {
            return f->buckets[i];
        }
    }
    return NULL;
}

struct fk_object *fk_object_find(const struct fk_bucket *b, const char *key, size_t *ret_place)
{
    size_t lo = 0, hi = b->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(b->objects[mid]->key, key) < 0) { /* strcmp compares unsigned bytes, as S3 orders */
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    if (ret_place != NULL) {
        *ret_place = lo;
    }
    return lo < b->n && strcmp(b->objects[lo]->key, key) == 0 ? b->objects[lo] : NULL;
}

void fk_meta_free(struct trib_http_header *meta, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)meta[i].name);
        free((void *)(uintptr_t)meta[i].value);
    }
    free(meta);
}

static void object_free(struct fk_object *o)
{
    fk_meta_free(o->meta, o->n_meta);
    free(o->key);
    free(o->bytes);
    free(o);
}

struct fk_object *fk_object_new(struct trib_fakeaws *f, struct fk_bucket *b, const char *key, struct trib_view bytes)
{
    size_t place;
    struct fk_object *old = fk_object_find(b, key, &place), *o = trib_calloc(1, sizeof *o);
    unsigned char md5[16];
    char hex[33];
    fk_md5(bytes, md5);
    fk_hex(md5, 16, hex);
    (void)snprintf(o->etag, sizeof o->etag, "\"%s\"", hex);
    o->key = trib_strdup(key);
    o->bytes = trib_malloc(bytes.n + 1);
    if (bytes.n > 0) {
        memcpy(o->bytes, bytes.p, bytes.n);
    }
    o->n = bytes.n;
    o->time_us = f->now_us;
    if (old != NULL) {
        object_free(old);
        b->objects[place] = o;
        return o;
    }
    TRIB_GROW(b->objects, b->cap, b->n + 1);
    memmove(b->objects + place + 1, b->objects + place, (b->n - place) * sizeof *b->objects);
    b->objects[place] = o;
    b->n++;
    return o;
}

void fk_object_put(struct trib_fakeaws *f, struct fk_bucket *b, const char *key, struct trib_view bytes)
{
    fk_object_told(f, b, fk_object_new(f, b, key, bytes));
}

void fk_object_del(struct fk_bucket *b, const char *key)
{
    size_t place;
    struct fk_object *o = fk_object_find(b, key, &place);
    if (o != NULL) {
        object_free(o);
        b->n--;
        memmove(b->objects + place, b->objects + place + 1, (b->n - place) * sizeof *b->objects);
    }
}

void fk_bucket_free(struct fk_bucket *b)
{
    for (size_t i = 0; i < b->n; i++) {
        object_free(b->objects[i]);
    }
    for (size_t i = 0; i < b->n_uploads; i++) {
        fk_upload_free(&b->uploads[i]);
    }
    free(b->uploads);
    free(b->objects);
    free(b->name);
    free(b->region);
    free(b);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */
/* What is kept of a request's headers and told again. */
struct trib_http_header *fk_meta_of(const struct fk_req *q, size_t *ret_n)
{
    struct trib_http_header *meta = trib_calloc(q->http->n_headers + 2, sizeof *meta);
    size_t n = 0;
    bool sse = false;
    for (size_t i = 0; i < q->http->n_headers; i++) {
        const struct trib_http_header *h = &q->http->headers[i];
        bool kept = strcasecmp(h->name, "content-type") == 0 || strcasecmp(h->name, "content-encoding") == 0 ||
                    strncasecmp(h->name, "x-amz-meta-", 11) == 0 || strncasecmp(h->name, "x-amz-checksum-", 15) == 0 ||
                    strncasecmp(h->name, "x-amz-server-side-encryption", 28) == 0;
        sse = sse || strcasecmp(h->name, "x-amz-server-side-encryption") == 0;
        if (kept) {
            char *name = trib_strdup(h->name);
            for (char *c = name; *c != '\0'; c++) {
                *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
            }
            meta[n++] = (struct trib_http_header){name, trib_strdup(h->value)};
        }
    }
    if (!sse) { /* every bucket encrypts by itself */
        meta[n++] = (struct trib_http_header){trib_strdup("x-amz-server-side-encryption"), trib_strdup("AES256")};
    }
    *ret_n = n;
    return meta;
}

void fk_tell_sse(struct fk_res *r, const struct trib_http_header *meta, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strncmp(meta[i].name, "x-amz-server-side-encryption", 28) == 0) {
            fk_set(r, meta[i].name, meta[i].value);
        }
    }
}

/* Encryption that is asked for can be had. false: the error is in r. */
bool fk_sse_good(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r)
{
    const char *sse = fk_header(q, "x-amz-server-side-encryption");
    const char *key = fk_header(q, "x-amz-server-side-encryption-aws-kms-key-id");
    bool kms = sse != NULL && strcmp(sse, "aws:kms") == 0;
    if (sse != NULL && !kms && strcmp(sse, "AES256") != 0) {
        fk_error(f, q, r, 400, "InvalidArgument", "The encryption method specified is not supported");
        return false;
    }
    if (key != NULL && !kms) {
        fk_error(f, q, r, 400, "InvalidArgument",
                 "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : "
                 "aws:kms");
        return false;
    }
    return !kms || fk_allowed(f, q, r, "kms:GenerateDataKey", key == NULL ? "alias/aws/s3" : key);
}

/* If-None-Match and If-Match of a write. */
bool fk_may_write(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, const struct fk_bucket *b)
{
    const char *none = fk_header(q, "if-none-match"), *match = fk_header(q, "if-match");
    const struct fk_object *o = fk_object_find(b, q->key, NULL);
    if (none != NULL && strcmp(none, "*") != 0) {
        fk_error(f, q, r, 501, "NotImplemented", "A header you provided implies functionality that is not implemented");
    } else if ((none != NULL || match != NULL) && fk_chance(f, f->chaos.s3_conflict)) {
        fk_error(f, q, r, 409, "ConditionalRequestConflict",
                 "The conditional request cannot succeed due to a conflicting operation against this resource.");
    } else if (match != NULL && o == NULL) {
        fk_error(f, q, r, 404, "NoSuchKey", "The specified key does not exist.");
    } else if ((none != NULL && o != NULL) || (match != NULL && strcmp(match, o->etag) != 0)) {
        fk_error(f, q, r, 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold");
    } else {
        return true;
    }
    return false;
}

static void put_object(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b)
{
    if (!fk_sums_good(f, q, r) || !fk_sse_good(f, q, r) || !fk_may_write(f, q, r, b)) {
        return;
    }
    struct fk_object *o = fk_object_new(f, b, q->key, q->body);
    o->meta = fk_meta_of(q, &o->n_meta);
    fk_object_told(f, b, o);
    fk_set(r, "etag", o->etag);
    fk_tell_sse(r, o->meta, o->n_meta);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */
/* Of "bytes=…": false when it cannot be satisfied; without the header, or one that is no range, the whole. */
static bool range_of(const char *h, size_t n, size_t *from, size_t *to)
{
    long long a, b;
    *from = 0;
    *to = n;
    if (h == NULL) {
        return true;
    }
    if (sscanf(h, "bytes=%lld-%lld", &a, &b) == 2 && a >= 0 && b >= a) {
        *from = (size_t)a;
        *to = (size_t)b + 1 < n ? (size_t)b + 1 : n;
        return *from < n;
    }
    if (sscanf(h, "bytes=-%lld", &b) == 1 && b >= 0) {
        *from = (size_t)b < n ? n - (size_t)b : 0;
        return b > 0 && n > 0;
    }
    if (sscanf(h, "bytes=%lld-", &a) == 1 && a >= 0) {
        *from = (size_t)a;
        return *from < n;
    }
    return true;
}

static void get_object(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b)
{
    const struct fk_object *o = fk_object_find(b, q->key, NULL);
    const char *range = fk_header(q, "range"), *match = fk_header(q, "if-match"), *none = fk_header(q, "if-none-match");
    size_t from, to;
    char date[40];
    if (o == NULL) {
        if (fk_allowed(f, q, r, "s3:ListBucket", b->name)) { /* who may not list is not told what is missing */
            fk_error(f, q, r, 404, "NoSuchKey", "The specified key does not exist.");
        }
        return;
    }
    if ((match != NULL && strcmp(match, o->etag) != 0) || (none != NULL && strcmp(none, o->etag) == 0)) {
        fk_error(f, q, r, match != NULL ? 412 : 304, "PreconditionFailed",
                 "At least one of the pre-conditions you specified did not hold");
        return;
    }
    if (!range_of(range, o->n, &from, &to)) {
        fk_error(f, q, r, 416, "InvalidRange", "The requested range is not satisfiable");
        fk_setf(r, "content-range", "bytes */%zu", o->n);
        return;
    }
    fk_http_date(o->time_us, date);
    fk_set(r, "last-modified", date);
    fk_set(r, "etag", o->etag);
    fk_set(r, "accept-ranges", "bytes");
    fk_setf(r, "content-length", "%zu", to - from);
    const char *mode = fk_header(q, "x-amz-checksum-mode");
    for (size_t i = 0; i < o->n_meta; i++) {
        bool sum = strncmp(o->meta[i].name, "x-amz-checksum-", 15) == 0;
        if (!sum || (mode != NULL && to - from == o->n)) {
            fk_set(r, o->meta[i].name, o->meta[i].value);
        }
    }
    if (to - from < o->n || range != NULL) {
        r->http->status = 206;
        fk_setf(r, "content-range", "bytes %zu-%zu/%zu", from, to - 1, o->n);
    }
    if (strcmp(q->http->method, "HEAD") != 0) {
        trib_buf_add(fk_body(r), o->bytes + from, to - from);
    }
}

static void delete_object(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b)
{
    (void)f;
    fk_object_del(b, q->key);
    r->http->status = 204;
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */
void fk_xml(struct trib_buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '&' || *text == '<' || *text == '>' || *text == '"') {
            trib_buf_adds(b, *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : "&quot;");
        } else if ((unsigned char)*text < 0x20) {
            trib_buf_addf(b, "&#x%x;", (unsigned)*text);
        } else {
            trib_buf_addc(b, *text);
        }
    }
}

/* A form's encoding; slashes stay. */
void fk_s3_url_key(struct trib_buf *b, const char *key)
{
    for (; *key != '\0'; key++) {
        bool plain = (*key >= 'a' && *key <= 'z') || (*key >= 'A' && *key <= 'Z') || (*key >= '0' && *key <= '9') ||
                     strchr("-._*/", *key) != NULL;
        if (plain) {
            trib_buf_addc(b, *key);
        } else if (*key == ' ') {
            trib_buf_addc(b, '+');
        } else {
            trib_buf_addf(b, "%%%02X", (unsigned char)*key);
        }
    }
}

static void add_key(struct trib_buf *b, const char *key, bool url)
{
    if (url) {
        fk_s3_url_key(b, key);
    } else {
        fk_xml(b, key);
    }
}

struct list {
    const char *prefix, *delimiter;
    char *after; /* the last that was told: a key, or a common prefix */
    int64_t max, n;
    bool url, more;
};

static bool list_opts(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct list *l)
{
    const char *max = fk_param(q, "max-keys"), *token = fk_param(q, "continuation-token"),
               *encoding = fk_param(q, "encoding-type"), *after = fk_param(q, "start-after");
    *l = (struct list){.prefix = fk_param(q, "prefix"), .delimiter = fk_param(q, "delimiter"), .max = LIST_MAX};
    l->prefix = l->prefix == NULL ? "" : l->prefix;
    l->delimiter = l->delimiter == NULL ? "" : l->delimiter;
    l->url = encoding != NULL && strcmp(encoding, "url") == 0;
    if (max != NULL) {
        char *end;
        l->max = strtoll(max, &end, 10);
        if (*max == '\0' || *end != '\0' || l->max < 0) {
            fk_error(f, q, r, 400, "InvalidArgument", "Provided max-keys not an integer or within integer range");
            return false;
        }
        l->max = l->max > LIST_MAX ? LIST_MAX : l->max;
    }
    if (token != NULL) {
        struct trib_buf b;
        trib_buf_init(&b, 4 * KEY_MAX);
        if (!fk_base64_decode(trib_view_of(token), &b) || b.n < 2 || memcmp(b.p, "1 ", 2) != 0) {
            trib_buf_free(&b);
            fk_error(f, q, r, 400, "InvalidArgument", "The continuation token provided is incorrect");
            return false;
        }
        l->after = trib_strdup(b.p + 2);
        trib_buf_free(&b);
    } else {
        l->after = trib_strdup(after == NULL ? "" : after);
    }
    return true;
}

static void list_entry(struct list *l, const struct fk_object *o, struct trib_buf *b)
{
    char time[32];
    fk_iso(o->time_us / SECOND * SECOND, true, time);
    trib_buf_adds(b, "<Contents><Key>");
    add_key(b, o->key, l->url);
    trib_buf_addf(b, "</Key><LastModified>%s</LastModified><ETag>", time);
    fk_xml(b, o->etag);
    trib_buf_addf(b, "</ETag><Size>%zu</Size><StorageClass>STANDARD</StorageClass></Contents>", o->n);
}

static void list_all(const struct fk_bucket *k, struct list *l, struct trib_buf *b, struct trib_buf *prefixes)
{
    size_t np = strlen(l->prefix), nd = strlen(l->delimiter), i;
    (void)fk_object_find(k, strcmp(l->after, l->prefix) > 0 ? l->after : l->prefix, &i);
    for (; i < k->n; i++) {
        const struct fk_object *o = k->objects[i];
        if (strncmp(o->key, l->prefix, np) != 0) {
            break;
        }
        const char *cut = nd == 0 ? NULL : strstr(o->key + np, l->delimiter);
        size_t n = cut == NULL ? strlen(o->key) : (size_t)(cut - o->key) + nd;
        bool told = cut == NULL ? strcmp(o->key, l->after) <= 0
                                : strncmp(l->after, o->key, n) == 0 && strlen(l->after) >= n; /* its folder */
        if (told) {
            continue;
        }
        if (l->n == l->max) {
            l->more = l->max > 0;
            break;
        }
        l->n++;
        char *name = trib_strndup(o->key, n);
        if (cut == NULL) {
            list_entry(l, o, b);
        } else {
            trib_buf_adds(prefixes, "<CommonPrefixes><Prefix>");
            add_key(prefixes, name, l->url);
            trib_buf_adds(prefixes, "</Prefix></CommonPrefixes>");
        }
        free(l->after);
        l->after = name;
    }
}

static void list_objects(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *k)
{
    struct list l;
    if (!list_opts(f, q, r, &l)) {
        return;
    }
    struct trib_buf *b = fk_body(r), prefixes, entries;
    trib_buf_init(&prefixes, BODY_MAX);
    trib_buf_init(&entries, BODY_MAX);
    trib_buf_adds(&prefixes, "");
    trib_buf_adds(&entries, "");
    list_all(k, &l, &entries, &prefixes);
    trib_buf_addf(b,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
                  "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>%s</Name><Prefix>",
                  k->name);
    add_key(b, l.prefix, l.url);
    trib_buf_adds(b, "</Prefix>");
    if (*l.delimiter != '\0') {
        trib_buf_adds(b, "<Delimiter>");
        add_key(b, l.delimiter, l.url);
        trib_buf_adds(b, "</Delimiter>");
    }
    if (l.more) {
        char *plain = trib_asprintf("1 %s", l.after), *token = fk_base64(plain, strlen(plain));
        trib_buf_addf(b, "<NextContinuationToken>%s</NextContinuationToken>", token);
        free(token);
        free(plain);
    }
    trib_buf_addf(b, "<KeyCount>%lld</KeyCount><MaxKeys>%lld</MaxKeys>%s<IsTruncated>%s</IsTruncated>", (long long)l.n,
                  (long long)l.max, l.url ? "<EncodingType>url</EncodingType>" : "", l.more ? "true" : "false");
    trib_buf_adds(b, entries.p);
    trib_buf_adds(b, prefixes.p);
    trib_buf_adds(b, "</ListBucketResult>");
    fk_set(r, "content-type", "application/xml");
    trib_buf_free(&entries);
    trib_buf_free(&prefixes);
    free(l.after);
}

static void head_bucket(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b)
{
    (void)f;
    (void)q;
    fk_set(r, "x-amz-bucket-region", b->region);
}

static void get_bucket_location(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b)
{
    (void)f;
    (void)q;
    bool plain = strcmp(b->region, "us-east-1") == 0;
    trib_buf_addf(fk_body(r),
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint "
                  "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">%s</LocationConstraint>",
                  plain ? "" : b->region);
}

static void get_bucket_versioning(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b)
{
    (void)f;
    (void)q;
    trib_buf_addf(fk_body(r),
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<VersioningConfiguration "
                  "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">%s</VersioningConfiguration>",
                  b->versioned ? "<Status>Enabled</Status>" : "");
}

/* ---- who answers ------------------------------------------------------------------------------------------------- */
static const struct {
    const char *name, *action;
    void (*run)(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct fk_bucket *b);
} operations[] = {
    {"PutObject", "s3:PutObject", put_object},
    {"GetObject", "s3:GetObject", get_object},
    {"HeadObject", "s3:GetObject", get_object},
    {"DeleteObject", "s3:DeleteObject", delete_object},
    {"DeleteObjects", "s3:DeleteObject", fk_s3_delete_objects},
    {"ListObjectsV2", "s3:ListBucket", list_objects},
    {"HeadBucket", "s3:ListBucket", head_bucket},
    {"GetBucketLocation", "s3:GetBucketLocation", get_bucket_location},
    {"GetBucketVersioning", "s3:GetBucketVersioning", get_bucket_versioning},
    {"CreateMultipartUpload", "s3:PutObject", fk_s3_create_upload},
    {"UploadPart", "s3:PutObject", fk_s3_upload_part},
    {"CompleteMultipartUpload", "s3:PutObject", fk_s3_complete_upload},
    {"AbortMultipartUpload", "s3:AbortMultipartUpload", fk_s3_abort_upload},
    {"ListMultipartUploads", "s3:ListBucketMultipartUploads", fk_s3_list_uploads},
};

static bool bucket_good(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, const struct fk_bucket *b)
{
    if (b == NULL) {
        fk_error(f, q, r, 404, "NoSuchBucket", "The specified bucket does not exist");
        return false;
    }
    if (q->key != NULL && strlen(q->key) > KEY_MAX) {
        fk_error(f, q, r, 400, "KeyTooLongError", "Your key is too long");
        return false;
    }
    const char *owner = fk_header(q, "x-amz-expected-bucket-owner");
    if (owner != NULL && strcmp(owner, f->account) != 0) {
        fk_error(f, q, r, 403, "AccessDenied", "Access Denied");
        return false;
    }
    return true;
}

void fk_s3(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    struct fk_bucket *b = fk_bucket_find(f, q->bucket);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (strcmp(operations[i].name, q->operation + 3) == 0) {
            char *arn = trib_asprintf("\"arn:aws:s3:::%s%s%s\"", q->bucket, q->key == NULL ? "" : "/",
                                      q->key == NULL ? "" : q->key);
            if (bucket_good(f, q, r, b) && fk_allowed(f, q, r, operations[i].action, arn)) {
                operations[i].run(f, q, r, b);
            }
            free(arn);
            return;
        }
    }
    fk_error(f, q, r, 501, "NotImplemented", "A header you provided implies functionality that is not implemented");
}

/* ---- what a test asks for ---------------------------------------------------------------------------------------- */
static struct fk_bucket *bucket_get(struct trib_fakeaws *f, const char *name)
{
    struct fk_bucket *b = fk_bucket_find(f, name);
    if (b == NULL) {
        fk_bug("no bucket %s", name);
    }
    return b;
}

void trib_fakeaws_bucket(struct trib_fakeaws *f, const char *bucket, const char *region)
{
    fk_lock(f);
    if (fk_bucket_find(f, bucket) != NULL) {
        fk_bug("bucket %s is there already", bucket);
    }
    struct fk_bucket *b = trib_calloc(1, sizeof *b);
    b->name = trib_strdup(bucket);
    b->region = trib_strdup(region == NULL ? f->region : region);
    TRIB_GROW(f->buckets, f->buckets_cap, f->n_buckets + 1);
    f->buckets[f->n_buckets++] = b;
    fk_unlock(f);
}

void trib_fakeaws_bucket_versioning(struct trib_fakeaws *f, const char *bucket, bool on)
{
    fk_lock(f);
    bucket_get(f, bucket)->versioned = on;
    fk_unlock(f);
}

void trib_fakeaws_object_put(struct trib_fakeaws *f, const char *bucket, const char *key, struct trib_view bytes)
{
    fk_lock(f);
    fk_object_put(f, bucket_get(f, bucket), key, bytes);
    fk_unlock(f);
}

void trib_fakeaws_object_delete(struct trib_fakeaws *f, const char *bucket, const char *key)
{
    fk_lock(f);
    fk_object_del(bucket_get(f, bucket), key);
    fk_unlock(f);
}

bool trib_fakeaws_object_get(struct trib_fakeaws *f, const char *bucket, const char *key, struct trib_buf *ret)
{
    fk_lock(f);
    const struct fk_object *o = fk_object_find(bucket_get(f, bucket), key, NULL);
    if (o != NULL && ret != NULL) {
        trib_buf_init(ret, BODY_MAX);
        trib_buf_adds(ret, "");
        trib_buf_add(ret, o->bytes, o->n);
    }
    fk_unlock(f);
    return o != NULL;
}

size_t trib_fakeaws_object_count(struct trib_fakeaws *f, const char *bucket, const char *prefix)
{
    fk_lock(f);
    const struct fk_bucket *b = bucket_get(f, bucket);
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        n += strncmp(b->objects[i]->key, prefix, strlen(prefix)) == 0 ? 1U : 0U;
    }
    fk_unlock(f);
    return n;
}
