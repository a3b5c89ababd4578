/*
 * Exports of tables to the fake's S3 (spec: dynamodb.md, Exports to S3): full and incremental, with manifests, checksums and empty
 * data files, as AWS lays them out. An export takes scripted time; its files appear when it ends. What it holds is the table's
 * state at its time by the fake's history, moved by export_skew_us: AWS's clock and the caller's may differ.
 */
#include <stdlib.h>
#include <zlib.h>

#include "fakeaws/own.h"

enum { FILES_MAX = 4, CONCURRENT_MAX = 300 };

struct fk_export {
    char *arn, *id, *token, *request; /* request: all parameters, to tell a token used for something else */
    char *bucket, *prefix, *sse, *kms, *view, *filter;
    struct fk_table *table;
    int64_t start_us, end_us, at_us, from_us; /* from_us: incremental, else 0 */
    bool incremental, done;
    const char *failure;
    size_t items, bytes;
};

static double seconds(const json_t *o, const char *name)
{
    json_t *v = json_object_get(o, name);
    return json_is_number(v) ? json_number_value(v) : -1;
}

/* Milliseconds matter, less does not. */
static int64_t time_us(double s) { return (int64_t)(s * 1000 + 0.5) * 1000; }

static char *opt(const char *s) { return s == NULL ? NULL : trib_strdup(s); }

/* ---- files ------------------------------------------------------------------------------------------------------- */
static char *key_of(const struct fk_export *e, bool shared, const char *name)
{
    bool prefix = e->prefix != NULL && *e->prefix != '\0';
    return trib_asprintf("%s%sAWSDynamoDB/%s%s%s", prefix ? e->prefix : "", prefix ? "/" : "", shared ? "" : e->id,
                         shared ? "" : "/", name);
}

static struct fk_object *save(struct trib_fakeaws *f, const struct fk_export *e, struct fk_bucket *b, const char *key,
                              struct trib_view v)
{
    struct fk_object *o = fk_object_new(f, b, key, v);
    o->meta = trib_calloc(2, sizeof *o->meta);
    o->meta[o->n_meta++] =
        (struct trib_http_header){trib_strdup("x-amz-server-side-encryption"),
                                  trib_strdup(e->sse != NULL && strcmp(e->sse, "KMS") == 0 ? "aws:kms" : "AES256")};
    fk_object_told(f, b, o);
    return o;
}

static void gzip(const struct trib_buf *from, struct trib_buf *to)
{
    z_stream z = {0};
    if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        fk_bug("zlib");
    }
    size_t room = deflateBound(&z, (uLong)from->n);
    char *at = trib_buf_reserve(to, room);
    z.next_in = (unsigned char *)from->p;
    z.avail_in = (unsigned)from->n;
    z.next_out = (unsigned char *)at;
    z.avail_out = (unsigned)room;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END) {
        fk_bug("zlib");
    }
    to->n = z.total_out;
    (void)deflateEnd(&z);
}

/* One line, or none: what happened to this key. */
static size_t line_of(const struct fk_export *e, int64_t skew_us, const struct fk_item *i, struct trib_buf *to)
{
    if (!e->incremental) {
        const struct fk_version *v = fk_at(i, e->at_us + skew_us);
        if (v == NULL || v->image == NULL) {
            return 0;
        }
        trib_buf_adds(to, "{\"Item\":");
        trib_buf_add(to, v->image, v->n);
        trib_buf_adds(to, "}\n");
        return v->size;
    }
    const struct fk_version *was = fk_at(i, e->from_us + skew_us - 1), *is = fk_at(i, e->at_us + skew_us - 1);
    bool was_there = was != NULL && was->image != NULL;
    if (is == NULL || is == was || (!was_there && is->image == NULL)) {
        return 0;
    }
    trib_buf_addf(to, "{\"Metadata\":{\"WriteTimestampMicros\":{\"N\":\"%lld\"}},\"Keys\":", (long long)is->time_us);
    trib_buf_adds(to, i->keys_json);
    if (was_there && strcmp(e->view, "NEW_AND_OLD_IMAGES") == 0) {
        trib_buf_adds(to, ",\"OldImage\":");
        trib_buf_add(to, was->image, was->n);
    }
    if (is->image != NULL) {
        trib_buf_adds(to, ",\"NewImage\":");
        trib_buf_add(to, is->image, is->n);
    }
    trib_buf_adds(to, "}\n");
    return is->size + 1;
}

static void data_file(struct trib_fakeaws *f, struct fk_export *e, struct fk_bucket *b, unsigned part, unsigned parts,
                      struct trib_buf *files)
{
    struct trib_buf plain, packed;
    size_t n = 0;
    trib_buf_init(&plain, BODY_MAX);
    trib_buf_init(&packed, BODY_MAX);
    trib_buf_adds(&plain, "");
    for (size_t i = 0; i < e->table->n_order; i++) {
        const struct fk_item *item = e->table->order[i];
        if ((unsigned)(item->place % parts) == part) {
            size_t size = line_of(e, f->export_skew_us, item, &plain);
            e->bytes += size;
            n += size > 0 ? 1 : 0;
        }
    }
    e->items += n;
    gzip(&plain, &packed);
    char name[64], hex[33];
    unsigned char md5[16], again[16];
    (void)memcpy(name, "data/", 5);
    for (size_t i = 5; i < 31; i++) {
        name[i] = "abcdefghijklmnopqrstuvwxyz234567"[trib_seeded_below(&f->rng, 32)];
    }
    (void)memcpy(name + 31, ".json.gz", 9);
    char *key = key_of(e, e->incremental, name);
    struct fk_object *o = save(f, e, b, key, trib_buf_view(&packed));
    fk_md5(trib_buf_view(&packed), md5);
    fk_md5((struct trib_view){(const char *)md5, 16}, again);
    fk_hex(again, 16, hex);
    (void)snprintf(o->etag, sizeof o->etag, "\"%s-1\"", hex);
    char *sum = fk_base64(md5, 16);
    trib_buf_addf(files, "{\"itemCount\":%zu,\"md5Checksum\":\"%s\",\"etag\":\"%s-1\",\"dataFileS3Key\":\"", n, sum,
                  hex);
    trib_buf_addf(files, "%s\"}\n", key);
    free(sum);
    free(key);
    trib_buf_free(&plain);
    trib_buf_free(&packed);
}

static void manifest(struct trib_fakeaws *f, const struct fk_export *e, struct fk_bucket *b, const char *name,
                     const struct trib_buf *text)
{
    unsigned char md5[16];
    char *file = trib_asprintf("%s.json", name), *key = key_of(e, false, file);
    (void)save(f, e, b, key, trib_buf_view(text));
    free(key);
    free(file);
    fk_md5(trib_buf_view(text), md5);
    char *sum = fk_base64(md5, 16);
    file = trib_asprintf("%s.md5", name);
    key = key_of(e, false, file);
    (void)save(f, e, b, key, trib_view_of(sum));
    free(key);
    free(file);
    free(sum);
}

static void quoted(struct trib_buf *b, const char *name, const char *value)
{
    trib_buf_addf(b, ",\"%s\":", name);
    if (value == NULL) {
        trib_buf_adds(b, "null");
    } else {
        trib_json_string(b, trib_view_of(value));
    }
}

static void when(struct trib_buf *b, const char *name, int64_t us)
{
    char text[32];
    fk_iso(us, true, text);
    quoted(b, name, text);
}

static void summary(struct trib_fakeaws *f, const struct fk_export *e, struct trib_buf *b)
{
    bool young = e->incremental || trib_seeded_below(&f->rng, 2) == 0; /* full ones come in both forms */
    char *files = key_of(e, false, "manifest-files.json");
    trib_buf_addf(b, "{\"version\":\"%s\"", young ? "2023-08-01" : "2020-06-30");
    quoted(b, "exportArn", e->arn);
    when(b, "startTime", e->start_us);
    when(b, "endTime", e->end_us);
    quoted(b, "tableArn", e->table->arn);
    quoted(b, "tableId", e->table->id);
    if (e->incremental) {
        when(b, "exportFromTime", e->from_us);
        when(b, "exportToTime", e->at_us);
    } else {
        when(b, "exportTime", e->at_us);
    }
    quoted(b, "s3Bucket", e->bucket);
    quoted(b, "s3Prefix", e->prefix);
    quoted(b, "s3SseAlgorithm", e->sse == NULL ? "AES256" : e->sse);
    quoted(b, "s3SseKmsKeyId", e->kms);
    quoted(b, "manifestFilesS3Key", files);
    trib_buf_addf(b, ",\"billedSizeBytes\":%zu,\"itemCount\":%zu,\"outputFormat\":\"DYNAMODB_JSON\"", e->bytes,
                  e->items);
    if (e->incremental) {
        quoted(b, "outputView", e->view);
    }
    if (young) {
        quoted(b, "exportType", e->incremental ? "INCREMENTAL_EXPORT" : "FULL_EXPORT");
    }
    trib_buf_addc(b, '}');
    free(files);
}

static void finish(struct trib_fakeaws *f, struct fk_export *e)
{
    struct fk_bucket *b = fk_bucket_find(f, e->bucket);
    e->done = true;
    for (size_t i = 0; i < f->n_denied; i++) {
        if (strcmp(f->denied[i], "s3:PutObject") == 0) {
            e->failure = "S3AccessDenied";
        }
    }
    if (b == NULL) {
        e->failure = "S3NoSuchBucket";
    }
    if (e->failure != NULL) {
        return;
    }
    struct trib_buf files, text;
    trib_buf_init(&files, BODY_MAX);
    trib_buf_init(&text, BODY_MAX);
    unsigned parts = 1 + (unsigned)trib_seeded_below(&f->rng, FILES_MAX);
    fk_order(e->table);
    for (unsigned i = 0; i < parts; i++) {
        data_file(f, e, b, i, parts, &files);
    }
    summary(f, e, &text);
    manifest(f, e, b, "manifest-files", &files);
    manifest(f, e, b, "manifest-summary", &text);
    trib_buf_free(&files);
    trib_buf_free(&text);
}

void fk_export_tick(struct trib_fakeaws *f)
{
    for (size_t i = 0; i < f->n_exports; i++) {
        if (!f->exports[i]->done && f->exports[i]->end_us <= f->now_us) {
            finish(f, f->exports[i]);
        }
    }
}

void fk_export_free(struct fk_export *e)
{
    char *const all[] = {e->arn, e->id, e->token, e->request, e->bucket, e->prefix, e->sse, e->kms, e->view, e->filter};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        free(all[i]);
    }
    free(e);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */
static void stamp(struct trib_buf *b, const char *name, int64_t us)
{
    trib_buf_addf(b, ",\"%s\":", name);
    fk_time(b, us);
}

static void describe(const struct fk_export *e, struct trib_buf *b)
{
    trib_buf_addf(b, "{\"ExportDescription\":{\"ExportArn\":\"%s\"", e->arn);
    quoted(b, "ExportStatus", !e->done ? "IN_PROGRESS" : e->failure != NULL ? "FAILED" : "COMPLETED");
    stamp(b, "StartTime", e->start_us);
    quoted(b, "TableArn", e->table->arn);
    quoted(b, "TableId", e->table->id);
    if (!e->incremental) {
        stamp(b, "ExportTime", e->at_us);
    }
    quoted(b, "ClientToken", e->token);
    quoted(b, "S3Bucket", e->bucket);
    if (e->prefix != NULL) {
        quoted(b, "S3Prefix", e->prefix);
    }
    quoted(b, "S3SseAlgorithm", e->sse == NULL ? "AES256" : e->sse);
    quoted(b, "ExportFormat", "DYNAMODB_JSON");
    quoted(b, "ExportType", e->incremental ? "INCREMENTAL_EXPORT" : "FULL_EXPORT");
    if (e->incremental) {
        trib_buf_adds(b, ",\"IncrementalExportSpecification\":{\"ExportFromTime\":");
        fk_time(b, e->from_us);
        stamp(b, "ExportToTime", e->at_us);
        quoted(b, "ExportViewType", strcmp(e->view, "NEW_IMAGE") == 0 ? "NEW_IMAGE" : "NEW_AND_OLD_IMAGES");
        trib_buf_addc(b, '}');
    }
    if (e->filter != NULL) {
        trib_buf_addf(b, ",\"FilterSpecification\":%s", e->filter);
    }
    if (e->done) {
        stamp(b, "EndTime", e->end_us);
    }
    if (e->done && e->failure != NULL) {
        quoted(b, "FailureCode", e->failure);
        quoted(b, "FailureMessage", "The export failed; see its code.");
    } else if (e->done) {
        char *key = key_of(e, false, "manifest-summary.json");
        quoted(b, "ExportManifest", key);
        free(key);
        trib_buf_addf(b, ",\"BilledSizeBytes\":%zu,\"ItemCount\":%zu", e->bytes, e->items);
    }
    trib_buf_adds(b, "}}");
}

/* The window; the code of what is wrong with it, or NULL. */
static const char *window(const struct trib_fakeaws *f, const struct fk_req *q, const struct fk_table *t,
                          struct fk_export *e)
{
    json_t *i = json_object_get(q->json, "IncrementalExportSpecification");
    const char *type = fk_str(q->json, "ExportType"), *view = fk_str(i, "ExportViewType");
    double at = seconds(q->json, "ExportTime"), from = seconds(i, "ExportFromTime"), to = seconds(i, "ExportToTime");
    int64_t earliest = fk_earliest(f, t), latest = fk_latest(f, t);
    e->incremental = type != NULL && strcmp(type, "INCREMENTAL_EXPORT") == 0;
    e->view = trib_strdup(view == NULL ? "NEW_AND_OLD_IMAGES" : view);
    if (!e->incremental) {
        e->at_us = at < 0 ? f->now_us / 1000 * 1000 : time_us(at);
        return i != NULL                                              ? "ValidationException"
               : e->at_us > f->now_us || e->at_us < earliest - SECOND ? "InvalidExportTimeException"
                                                                      : NULL;
    }
    if (i == NULL || from < 0 || (strcmp(e->view, "NEW_IMAGE") != 0 && strcmp(e->view, "NEW_AND_OLD_IMAGES") != 0)) {
        return "ValidationException";
    }
    e->from_us = time_us(from);
    e->at_us = to < 0 ? latest : time_us(to);
    return e->from_us < earliest - SECOND || e->at_us > latest                         ? "InvalidExportTimeException"
           : e->at_us - e->from_us < 900 * SECOND || e->at_us - e->from_us > 24 * HOUR ? "ValidationException"
                                                                                       : NULL;
}

static struct fk_export *by_token(const struct trib_fakeaws *f, const char *token)
{
    for (size_t i = 0; token != NULL && i < f->n_exports; i++) {
        const struct fk_export *e = f->exports[i];
        if (strcmp(e->token, token) == 0 && (!e->done || e->end_us > f->now_us - 8 * HOUR)) {
            return f->exports[i];
        }
    }
    return NULL;
}

static struct fk_export *export_new(struct trib_fakeaws *f, const struct fk_req *q, struct fk_table *t)
{
    struct fk_export *e = trib_calloc(1, sizeof *e);
    char token[37];
    fk_uuid(f, token);
    const char *told = fk_str(q->json, "ClientToken");
    json_t *filter = json_object_get(q->json, "FilterSpecification");
    e->table = t;
    e->token = trib_strdup(told == NULL ? token : told);
    e->request = json_dumps(q->json, JSON_COMPACT | JSON_SORT_KEYS);
    e->bucket = opt(fk_str(q->json, "S3Bucket"));
    e->prefix = opt(fk_str(q->json, "S3Prefix"));
    e->sse = opt(fk_str(q->json, "S3SseAlgorithm"));
    e->kms = opt(fk_str(q->json, "S3SseKmsKeyId"));
    e->filter = filter == NULL ? NULL : json_dumps(filter, JSON_COMPACT);
    e->start_us = f->now_us / 1000 * 1000;
    e->id = trib_asprintf("%014lld-%08x", (long long)(f->now_us / 1000), (unsigned)trib_seeded_next(&f->rng));
    e->arn = trib_asprintf("%s/export/%s", t->arn, e->id);
    e->end_us = f->now_us + (f->export_us > 0 ? f->export_us : 0);
    if (f->export_us < 0) {
        e->end_us += (60 + (int64_t)trib_seeded_below(&f->rng, 540)) * SECOND;
    }
    e->end_us = e->end_us / 1000 * 1000;
    return e;
}

void fk_export_start(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    const char *arn = fk_str(q->json, "TableArn"), *format = fk_str(q->json, "ExportFormat");
    struct fk_table *t = arn != NULL && strncmp(arn, "arn:", 4) == 0 ? fk_table_find(f, arn) : NULL;
    if (arn == NULL || fk_str(q->json, "S3Bucket") == NULL ||
        (format != NULL && strcmp(format, "DYNAMODB_JSON") != 0)) {
        fk_error(f, q, r, 400, "ValidationException", "TableArn, S3Bucket or ExportFormat is not as it must be");
        return;
    }
    if (t == NULL) {
        fk_error(f, q, r, 400, "TableNotFoundException", "Table not found: %s", arn);
        return;
    }
    if (t->pitr_since_us == 0) {
        fk_error(f, q, r, 400, "PointInTimeRecoveryUnavailableException",
                 "Point in time recovery is not enabled for table '%s'", t->name);
        return;
    }
    struct fk_export *old = by_token(f, fk_str(q->json, "ClientToken"));
    if (old != NULL) {
        char *again = json_dumps(q->json, JSON_COMPACT | JSON_SORT_KEYS);
        if (strcmp(again, old->request) != 0) {
            fk_error(f, q, r, 400, "ExportConflictException",
                     "There was a conflict when writing to the specified S3 bucket: the client token was used with "
                     "other parameters");
        } else {
            describe(old, fk_body(r));
        }
        free(again);
        return;
    }
    size_t running = 0;
    for (size_t i = 0; i < f->n_exports; i++) {
        running += f->exports[i]->done ? 0 : 1;
    }
    struct fk_export *e = export_new(f, q, t);
    const char *bad = running >= CONCURRENT_MAX ? "LimitExceededException" : window(f, q, t, e);
    if (bad != NULL) {
        fk_error(f, q, r, 400, bad,
                 "The export's time is not as it must be: within the recovery period, a window of 15 minutes to 24 "
                 "hours");
        fk_export_free(e);
        return;
    }
    if (f->exports_failing > 0) {
        f->exports_failing--;
        e->failure = "UNKNOWN";
    }
    TRIB_GROW(f->exports, f->exports_cap, f->n_exports + 1);
    f->exports[f->n_exports++] = e;
    describe(e, fk_body(r));
    fk_export_tick(f);
}

void fk_export_describe(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    const char *arn = fk_str(q->json, "ExportArn");
    for (size_t i = 0; arn != NULL && i < f->n_exports; i++) {
        if (strcmp(f->exports[i]->arn, arn) == 0) {
            describe(f->exports[i], fk_body(r));
            return;
        }
    }
    fk_error(f, q, r, 400, "ExportNotFoundException", "Export not found: %s", arn == NULL ? "null" : arn);
}

void fk_export_list(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    const char *table = fk_str(q->json, "TableArn"), *token = fk_str(q->json, "NextToken"), *last = token;
    int64_t max = fk_int(q->json, "MaxResults", 25), n = 0;
    if (max < 1 || max > 25) {
        fk_error(f, q, r, 400, "ValidationException",
                 "1 validation error detected: Value at 'maxResults' must be 1 to 25");
        return;
    }
    struct trib_buf *b = fk_body(r);
    trib_buf_adds(b, "{\"ExportSummaries\":[");
    for (;;) { /* by ARN, backwards */
        const struct fk_export *next = NULL;
        for (size_t i = 0; i < f->n_exports; i++) {
            const struct fk_export *e = f->exports[i];
            if ((table == NULL || strcmp(table, e->table->arn) == 0) && (last == NULL || strcmp(e->arn, last) < 0) &&
                (next == NULL || strcmp(e->arn, next->arn) > 0)) {
                next = e;
            }
        }
        if (next == NULL || n == max) {
            trib_buf_addc(b, ']');
            if (next != NULL) {
                trib_buf_addf(b, ",\"NextToken\":\"%s\"", last);
            }
            break;
        }
        trib_buf_addf(b, "%s{\"ExportArn\":\"%s\",\"ExportStatus\":\"%s\",\"ExportType\":\"%s\"}", n++ > 0 ? "," : "",
                      next->arn,
                      !next->done             ? "IN_PROGRESS"
                      : next->failure != NULL ? "FAILED"
                                              : "COMPLETED",
                      next->incremental ? "INCREMENTAL_EXPORT" : "FULL_EXPORT");
        last = next->arn;
    }
    trib_buf_addc(b, '}');
}

/* ---- what a test asks for ---------------------------------------------------------------------------------------- */
void trib_fakeaws_exports(struct trib_fakeaws *f, int64_t take_us, int64_t skew_us, unsigned failing)
{
    fk_lock(f);
    f->export_us = take_us;
    f->export_skew_us = skew_us;
    f->exports_failing = failing;
    fk_unlock(f);
}
