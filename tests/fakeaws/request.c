/*
 * One request to the fake AWS: taken apart, who sent it, which operation it is, what chaos does with it, who answers. Also the
 * front in this process (struct trib_net): a batch takes as long as its slowest request, on the scripted clock.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>

#include "fakeaws/own.h"

/* ---- taking apart ------------------------------------------------------------------------------------------------ */
const char *fk_header(const struct fk_req *q, const char *lower_name)
{
    for (size_t i = 0; i < q->http->n_headers; i++) {
        if (strcasecmp(q->http->headers[i].name, lower_name) == 0) {
            return q->http->headers[i].value;
        }
    }
    return NULL;
}

const char *fk_param(const struct fk_req *q, const char *name)
{
    for (size_t i = 0; i < q->n_params; i++) {
        if (strcmp(q->params[i].name, name) == 0) {
            return q->params[i].value;
        }
    }
    return NULL;
}

static char *decoded(const char *p, size_t n, bool plus)
{
    struct trib_buf b;
    trib_buf_init(&b, BODY_MAX);
    trib_buf_adds(&b, "");
    fk_uri_decode((struct trib_view){p, n}, plus, &b);
    return trib_buf_take(&b);
}

static void params_of(struct fk_req *q, const char *text, size_t n, bool plus)
{
    size_t cap = q->n_params;
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '&', n - at);
        size_t len = end == NULL ? n - at : (size_t)(end - (text + at));
        const char *eq = memchr(text + at, '=', len);
        size_t name = eq == NULL ? len : (size_t)(eq - (text + at));
        if (len > 0) {
            TRIB_GROW(q->params, cap, q->n_params + 1);
            q->params[q->n_params++] = (struct fk_param){
                decoded(text + at, name, plus), eq == NULL ? trib_strdup("") : decoded(eq + 1, len - name - 1, plus)};
        }
        at += len + 1;
    }
}

struct fk_param *fk_params(const char *query, size_t *ret_n)
{
    struct fk_req q = {0};
    params_of(&q, query, strlen(query), true);
    *ret_n = q.n_params;
    return q.params;
}

void fk_params_free(struct fk_param *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(p[i].name);
        free(p[i].value);
    }
    free(p);
}

static bool take_apart(struct fk_req *q, const struct trib_http_request *http)
{
    q->http = http;
    const char *at = strstr(http->url, "://");
    if (at == NULL) {
        return false;
    }
    at += 3;
    size_t host = strcspn(at, "/?");
    q->host = trib_strndup(at, host);
    at += host;
    size_t path = strcspn(at, "?");
    q->raw_path = path == 0 ? trib_strdup("/") : trib_strndup(at, path);
    q->path = decoded(q->raw_path, strlen(q->raw_path), false);
    q->raw_query = trib_strdup(at[path] == '?' ? at + path + 1 : "");
    params_of(q, q->raw_query, strlen(q->raw_query), false);
    q->body = http->body;
    const char *target = fk_header(q, "x-amz-target"), *dot = target == NULL ? NULL : strrchr(target, '.');
    q->target = dot == NULL ? "" : dot + 1;
    const char *type = fk_header(q, "content-type");
    if (type != NULL && strncmp(type, "application/x-www-form-urlencoded", 33) == 0) {
        params_of(q, q->body.p, q->body.n, true);
    }
    return true;
}

static void req_free(struct fk_req *q)
{
    fk_params_free(q->params, q->n_params);
    free(q->host);
    free(q->raw_path);
    free(q->raw_query);
    free(q->path);
    free(q->service);
    free(q->region);
    free(q->operation);
    free(q->bucket);
    free(q->key);
    json_decref(q->json);
}

/* ---- answering --------------------------------------------------------------------------------------------------- */
void fk_set(struct fk_res *r, const char *name, const char *value)
{
    struct trib_http_response *h = r->http;
    h->headers = trib_realloc(h->headers, (h->n_headers + 1) * sizeof *h->headers);
    h->headers[h->n_headers++] = (struct trib_http_header){trib_strdup(name), trib_strdup(value)};
}

void fk_setf(struct fk_res *r, const char *name, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fk_set(r, name, text);
}

struct trib_buf *fk_body(struct fk_res *r) { return &r->http->body; }

/* The namespace that a service puts before its codes. */
static const char *prefix_of(const struct fk_req *q, const char *code)
{
    static const char *const common[] = {"ExpiredTokenException",
                                         "UnrecognizedClientException",
                                         "InvalidSignatureException",
                                         "AccessDeniedException",
                                         "MissingAuthenticationTokenException",
                                         "SerializationException",
                                         "UnknownOperationException",
                                         "ThrottlingException",
                                         "ValidationException"};
    bool dynamodb = strncmp(q->operation, "dynamodb.", 9) == 0 || strncmp(q->operation, "streams.", 8) == 0;
    for (size_t i = 0; dynamodb && i < sizeof common / sizeof *common; i++) {
        if (strcmp(code, common[i]) == 0) {
            return "com.amazon.coral.service#";
        }
    }
    return dynamodb ? "com.amazonaws.dynamodb.v20120810#" : "";
}

static bool is_s3(const struct fk_req *q) { return strncmp(q->operation, "s3.", 3) == 0; }
static bool is_query(const struct fk_req *q) { return strncmp(q->operation, "sts.", 4) == 0; }

void fk_error(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, int status, const char *code,
              const char *fmt, ...)
{
    char message[2048];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    (void)f;
    r->http->status = status;
    struct trib_buf *b = fk_body(r);
    trib_buf_clear(b);
    if (is_s3(q)) {
        fk_set(r, "content-type", "application/xml");
        if (strcmp(q->http->method, "HEAD") != 0 && status != 304) {
            trib_buf_addf(b,
                          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message>"
                          "<RequestId>%s</RequestId><HostId>fake</HostId></Error>",
                          code, message, r->request_id);
        }
    } else if (is_query(q)) {
        fk_set(r, "content-type", "text/xml");
        trib_buf_addf(
            b,
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>Sender"
            "</Type>\n    <Code>%s</Code>\n    <Message>%s</Message>\n  </Error>\n  <RequestId>%s</RequestId>\n"
            "</ErrorResponse>\n",
            code, message, r->request_id);
    } else {
        json_t *o = json_object();
        char *type = trib_asprintf("%s%s", prefix_of(q, code), code);
        (void)json_object_set_new(o, "__type", json_string(type));
        /* AccessDenied of DynamoDB has a large M, as everything of Coral's own. */
        (void)json_object_set_new(o, strcmp(code, "AccessDeniedException") == 0 ? "Message" : "message",
                                  json_string(message));
        char *text = json_dumps(o, JSON_COMPACT);
        trib_buf_adds(b, text);
        free(text);
        free(type);
        json_decref(o);
    }
}

bool fk_allowed(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, const char *action,
                const char *resource)
{
    for (size_t i = 0; i < f->n_denied; i++) {
        if (strcmp(f->denied[i], action) == 0) {
            fk_error(f, q, r, is_s3(q) ? 403 : 400, is_s3(q) || is_query(q) ? "AccessDenied" : "AccessDeniedException",
                     "User: arn:aws:iam::%s:user/fake is not authorized to perform: %s on resource: %s because no "
                     "identity-based policy allows the %s action",
                     f->account, action, resource, action);
            return false;
        }
    }
    return true;
}

/* ---- faults ------------------------------------------------------------------------------------------------------ */
void fk_fault(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, enum trib_fakeaws_fault fault)
{
    if (fault == TRIB_FAKEAWS_EXPIRED) {
        fk_error(f, q, r, 400,
                 is_s3(q)      ? "ExpiredToken"
                 : is_query(q) ? "ExpiredToken"
                               : "ExpiredTokenException",
                 "%s",
                 is_s3(q) ? "The provided token has expired."
                          : "The security token included in the request is expired");
    } else if (fault == TRIB_FAKEAWS_503 || (fault == TRIB_FAKEAWS_THROTTLE && is_s3(q))) {
        bool slow = is_s3(q) && (fault == TRIB_FAKEAWS_THROTTLE || trib_seeded_below(&f->chaos_rng, 2) == 0);
        fk_error(f, q, r, 503,
                 slow       ? "SlowDown"
                 : is_s3(q) ? "ServiceUnavailable"
                            : "ServiceUnavailableException",
                 "%s", slow ? "Please reduce your request rate." : "Service is unable to handle request.");
        if (trib_seeded_below(&f->chaos_rng, 4) == 0) {
            fk_set(r, "retry-after", "1");
        }
    } else if (fault == TRIB_FAKEAWS_THROTTLE) {
        static const char *const codes[] = {"ProvisionedThroughputExceededException", "ThrottlingException",
                                            "LimitExceededException"};
        bool stream = strcmp(q->operation, "streams.GetRecords") == 0;
        fk_error(f, q, r, 400, codes[trib_seeded_below(&f->chaos_rng, stream ? 3 : 2)], "%s",
                 "The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
                 "provisioning level with the UpdateTable API.");
    } else {
        fk_error(f, q, r, 500, is_s3(q) ? "InternalError" : "InternalServerError", "%s",
                 is_s3(q) ? "We encountered an internal error. Please try again." : "Internal server error");
    }
}

static bool planned(const struct fk_plan *p, const char *operation)
{
    return p->left > 0 && (p->operation == NULL || strcmp(p->operation, operation) == 0);
}

static enum trib_fakeaws_fault fault_of(struct trib_fakeaws *f, const char *operation)
{
    const struct trib_fakeaws_chaos *c = &f->chaos;
    enum trib_fakeaws_fault fault = TRIB_FAKEAWS_OK;
    for (size_t i = 0; i < f->n_plans; i++) {
        if (planned(&f->plans[i], operation) && --f->plans[i].left == 0) {
            fault = f->plans[i].fault;
        }
    }
    const struct {
        double p;
        enum trib_fakeaws_fault fault;
    } all[] = {
        {c->throttle, TRIB_FAKEAWS_THROTTLE},   {c->e500, TRIB_FAKEAWS_500},  {c->e503, TRIB_FAKEAWS_503},
        {c->reset, TRIB_FAKEAWS_RESET},         {c->lost, TRIB_FAKEAWS_LOST}, {c->e500_done, TRIB_FAKEAWS_500_DONE},
        {c->truncated, TRIB_FAKEAWS_TRUNCATED}, {c->slow, TRIB_FAKEAWS_SLOW}, {c->expired, TRIB_FAKEAWS_EXPIRED}};
    for (size_t i = 0; i < sizeof all / sizeof *all && fault == TRIB_FAKEAWS_OK; i++) {
        fault = fk_chance(f, all[i].p) ? all[i].fault : TRIB_FAKEAWS_OK;
    }
    f->faults += fault == TRIB_FAKEAWS_OK ? 0U : 1U;
    return fault;
}

static void count(struct trib_fakeaws *f, const char *operation)
{
    f->requests++;
    for (size_t i = 0; i < f->n_counts; i++) {
        if (strcmp(f->counts[i].operation, operation) == 0) {
            f->counts[i].n++;
            return;
        }
    }
    TRIB_GROW(f->counts, f->counts_cap, f->n_counts + 1);
    f->counts[f->n_counts++] = (struct fk_count){trib_strdup(operation), 1};
}

/* ---- routing ----------------------------------------------------------------------------------------------------- */
struct route {
    const char *target, *version, *name; /* of X-Amz-Target, of the content type */
    void (*run)(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r);
};
static const struct route routes[] = {
    {"DynamoDB_20120810.", "1.0", "dynamodb", fk_dynamodb},
    {"DynamoDBStreams_20120810.", "1.0", "streams", fk_streams},
    {"Kinesis_20131202.", "1.1", "kinesis", fk_kinesis_answer},
    {"AmazonSQS.", "1.0", "sqs", fk_sqs},
    {"AmazonSSM.", "1.1", "ssm", fk_ssm},
};

static const struct route *route_of(struct trib_fakeaws *f, struct fk_req *q)
{
    const char *target = fk_header(q, "x-amz-target");
    for (size_t i = 0; target != NULL && i < sizeof routes / sizeof *routes; i++) {
        if (strncmp(target, routes[i].target, strlen(routes[i].target)) == 0) {
            q->operation = trib_asprintf("%s.%s", routes[i].name, q->target);
            return &routes[i];
        }
    }
    if (target == NULL && strcmp(q->path, "/") == 0 && fk_param(q, "Action") != NULL) {
        q->operation = trib_asprintf("sts.%s", fk_param(q, "Action"));
    } else if (target == NULL) {
        fk_s3_route(f, q);
        q->operation = trib_asprintf("s3.%s", fk_s3_operation(q));
    } else {
        q->operation = trib_strdup("unknown.Unknown");
    }
    return NULL;
}

static void answer(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, const struct route *route)
{
    if (!fk_verify(f, q, r)) {
        return;
    }
    if (is_s3(q)) {
        fk_s3(f, q, r);
        return;
    }
    if (is_query(q)) {
        fk_sts(f, q, r);
        return;
    }
    if (route == NULL) {
        fk_error(f, q, r, 400, "UnknownOperationException", "%s", "");
        return;
    }
    const char *type = fk_header(q, "content-type");
    char *wanted = trib_asprintf("application/x-amz-json-%s", route->version);
    bool right = type != NULL && strncmp(type, wanted, strlen(wanted)) == 0 && strcmp(q->http->method, "POST") == 0;
    free(wanted);
    if (!right) {
        fk_error(f, q, r, 404, "UnknownOperationException", "%s", "");
        return;
    }
    q->json = json_loadb(q->body.p == NULL ? "" : q->body.p, q->body.n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(q->json)) {
        fk_error(f, q, r, 400, "SerializationException", "Start of structure or map found where not expected");
        return;
    }
    route->run(f, q, r);
}

static void finish(const struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    char date[40];
    fk_http_date(f->now_us, date);
    fk_set(r, "date", date);
    const struct trib_buf *b = fk_body(r);
    if (is_s3(q)) {
        fk_set(r, "x-amz-request-id", r->request_id);
        fk_set(r, "x-amz-id-2", "fake");
        fk_set(r, "server", "AmazonS3");
        return;
    }
    fk_set(r, "x-amzn-requestid", r->request_id);
    if (strncmp(q->operation, "dynamodb.", 9) == 0 || strncmp(q->operation, "streams.", 8) == 0) {
        fk_setf(r, "x-amz-crc32", "%lu", crc32(0, (const unsigned char *)b->p, (unsigned)b->n));
        fk_set(r, "content-type", "application/x-amz-json-1.0");
    }
}

static void drop_headers(struct trib_http_response *r)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        free((void *)(uintptr_t)r->headers[i].name);
        free((void *)(uintptr_t)r->headers[i].value);
    }
    r->n_headers = 0;
}

static void handle(struct trib_fakeaws *f, const struct trib_http_request *http, struct trib_http_response *ret,
                   struct trib_fakeaws_wire *wire)
{
    struct fk_req q = {0};
    struct fk_res r = {.http = ret};
    *wire = (struct trib_fakeaws_wire){-1, f->latency_us, false};
    trib_buf_init(&ret->body, BODY_MAX);
    trib_buf_adds(&ret->body, "");
    ret->status = 200;
    if (!take_apart(&q, http)) {
        fk_bug("not a URL: %s", http->url);
    }
    const struct route *route = route_of(f, &q);
    (void)snprintf(r.request_id, sizeof r.request_id, "%016llXFAKEAWS%09llu",
                   (unsigned long long)fk_hash(&f->serial, 8, 5), (unsigned long long)f->requests % 1000000000);
    f->serial++;
    count(f, q.operation);
    enum trib_fakeaws_fault fault = fault_of(f, q.operation);
    bool before = fault == TRIB_FAKEAWS_THROTTLE || fault == TRIB_FAKEAWS_500 || fault == TRIB_FAKEAWS_503 ||
                  fault == TRIB_FAKEAWS_EXPIRED;
    wire->refused = fault == TRIB_FAKEAWS_NO_CONNECT;
    if (before) {
        fk_fault(f, &q, &r, fault);
    } else if (fault != TRIB_FAKEAWS_RESET && fault != TRIB_FAKEAWS_NO_CONNECT) {
        answer(f, &q, &r, route);
        wire->delay_us += r.wait_us;
        if (fault == TRIB_FAKEAWS_500_DONE) {
            drop_headers(ret); /* a length that is not the failure's, for one */
            fk_fault(f, &q, &r, TRIB_FAKEAWS_500);
        }
    }
    if (fault == TRIB_FAKEAWS_RESET || fault == TRIB_FAKEAWS_LOST || fault == TRIB_FAKEAWS_NO_CONNECT) {
        ret->status = 0;
        wire->cut_at = 0;
    } else if (fault == TRIB_FAKEAWS_TRUNCATED && ret->body.n > 0) {
        wire->cut_at = (int64_t)trib_seeded_below(&f->chaos_rng, ret->body.n);
    } else if (fault == TRIB_FAKEAWS_SLOW) {
        wire->delay_us = f->chaos.slow_us == 0 ? 20 * SECOND : f->chaos.slow_us;
    }
    finish(f, &q, &r);
    ret->body_bytes = (int64_t)ret->body.n;
    req_free(&q);
}

void trib_fakeaws_handle(struct trib_fakeaws *f, const struct trib_http_request *request,
                         struct trib_http_response *response, struct trib_fakeaws_wire *ret_wire)
{
    fk_lock(f);
    handle(f, request, response, ret_wire);
    fk_unlock(f);
}

/* ---- in this process --------------------------------------------------------------------------------------------- */
static int read_part(const char *path, int64_t offset, int64_t n, struct trib_buf *to)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *at = fd < 0 ? NULL : trib_buf_reserve(to, (size_t)n);
    ssize_t got = at == NULL ? -1 : pread(fd, at, (size_t)n, offset);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (got != n) {
        return -1;
    }
    to->n += (size_t)n;
    return 0;
}

static bool write_whole(const char *path, const struct trib_buf *b)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, b->p, b->n) == (ssize_t)b->n;
    return fd >= 0 && close(fd) == 0 && good;
}

static void broken(struct trib_http_response *r, const char *url, const char *why, bool ambiguous)
{
    trib_http_response_free(r);
    (void)trib_err_set(&r->err, TRIB_E_UNAVAILABLE, "%s: %s", url, why);
    r->err.retriable = true;
    r->err.ambiguous = ambiguous;
}

/* What the transport makes of it: limits of time and bytes, a body into a file. */
static int64_t deliver(const struct trib_http_request *q, struct trib_http_response *r,
                       const struct trib_fakeaws_wire *w)
{
    int64_t limit = q->idle_us == 0 ? 30 * SECOND : q->idle_us;
    if (q->total_us > 0 && q->total_us < limit) {
        limit = q->total_us;
    }
    if (w->refused) {
        broken(r, q->url, "connection refused", false);
    } else if (w->delay_us > limit) {
        broken(r, q->url, "no reply in time", true);
        return limit;
    } else if (w->cut_at >= 0) {
        broken(r, q->url, r->status == 0 ? "connection reset" : "the body was cut short", true);
    } else if (q->to_path != NULL && r->status >= 200 && r->status < 300) {
        if (!write_whole(q->to_path, &r->body)) {
            broken(r, q->url, "cannot write the body to its file", false);
            r->err.code = TRIB_E_IO;
        } else {
            trib_buf_clear(&r->body);
        }
    } else if (r->body.n > (q->max_body_bytes == 0 ? (size_t)16 << 20 : q->max_body_bytes)) {
        broken(r, q->url, "the body is longer than allowed", true);
        r->err.code = TRIB_E_LIMIT;
        r->err.retriable = false;
    }
    return w->delay_us;
}

static void perform(void *ctx, const struct trib_http_request *requests, struct trib_http_response *responses, size_t n)
{
    struct trib_fakeaws *f = ctx;
    int64_t longest = 0;
    for (size_t i = 0; i < n; i++) {
        struct trib_http_request q = requests[i];
        struct trib_fakeaws_wire wire;
        struct trib_buf file;
        trib_buf_init(&file, BODY_MAX);
        if (q.body_path != NULL) {
            if (read_part(q.body_path, q.body_offset, q.body_bytes, &file) != 0) {
                (void)trib_err_set(&responses[i].err, TRIB_E_IO, "cannot read %s", q.body_path);
                trib_buf_free(&file);
                continue;
            }
            q.body = trib_buf_view(&file);
        }
        trib_fakeaws_handle(f, &q, &responses[i], &wire);
        trib_buf_free(&file);
        int64_t took = deliver(&q, &responses[i], &wire);
        longest = took > longest ? took : longest;
    }
    if (longest > 0) {
        trib_fakeaws_advance(f, longest);
    }
}

static void sleep_us(void *ctx, int64_t us) { trib_fakeaws_advance(ctx, us > 0 ? us : 0); }

/* ---- life -------------------------------------------------------------------------------------------------------- */
struct trib_fakeaws *fk_model_new(const struct trib_fakeaws_opts *o);

struct trib_fakeaws *trib_fakeaws_new(const struct trib_fakeaws_opts *o)
{
    struct trib_fakeaws *f = fk_model_new(o);
    f->net = (struct trib_net){f, perform, sleep_us};
    trib_fakeaws_credential(f, TRIB_FAKEAWS_KEY_ID, TRIB_FAKEAWS_SECRET, NULL, INT64_MAX);
    return f;
}

const struct trib_net *trib_fakeaws_net(struct trib_fakeaws *f) { return &f->net; }

void trib_fakeaws_free(struct trib_fakeaws *f)
{
    for (size_t i = 0; i < f->n_tables; i++) {
        fk_table_free(f->tables[i]);
    }
    for (size_t i = 0; i < f->n_streams; i++) {
        fk_stream_free(f->streams[i]);
    }
    for (size_t i = 0; i < f->n_buckets; i++) {
        fk_bucket_free(f->buckets[i]);
    }
    for (size_t i = 0; i < f->n_exports; i++) {
        fk_export_free(f->exports[i]);
    }
    for (size_t i = 0; i < f->n_kinesis; i++) {
        fk_kinesis_free(f->kinesis[i]);
    }
    fk_more_free(f->more);
    free(f->exports);
    free(f->kinesis);
    for (size_t i = 0; i < f->n_credentials; i++) {
        free(f->credentials[i].key_id);
        free(f->credentials[i].secret);
        free(f->credentials[i].token);
    }
    for (size_t i = 0; i < f->n_denied; i++) {
        free(f->denied[i]);
    }
    for (size_t i = 0; i < f->n_plans; i++) {
        free(f->plans[i].operation);
    }
    for (size_t i = 0; i < f->n_counts; i++) {
        free(f->counts[i].operation);
    }
    free(f->tables);
    free(f->streams);
    free(f->buckets);
    free(f->credentials);
    free(f->denied);
    free(f->plans);
    free(f->counts);
    free(f->region);
    free(f->account);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
}

void trib_fakeaws_credential(struct trib_fakeaws *f, const char *key_id, const char *secret, const char *token,
                             int64_t expires_us)
{
    fk_lock(f);
    size_t i = 0;
    while (i < f->n_credentials && strcmp(f->credentials[i].key_id, key_id) != 0) {
        i++;
    }
    if (i == f->n_credentials) {
        TRIB_GROW(f->credentials, f->credentials_cap, i + 1);
        f->credentials[f->n_credentials++] = (struct fk_credential){.key_id = trib_strdup(key_id)};
    }
    struct fk_credential *c = &f->credentials[i];
    free(c->secret);
    free(c->token);
    c->secret = trib_strdup(secret);
    c->token = token == NULL ? NULL : trib_strdup(token);
    c->expires_us = expires_us;
    fk_unlock(f);
}

void trib_fakeaws_deny(struct trib_fakeaws *f, const char *action, bool denied)
{
    fk_lock(f);
    size_t kept = 0;
    for (size_t i = 0; i < f->n_denied; i++) {
        if (strcmp(f->denied[i], action) == 0) {
            free(f->denied[i]);
        } else {
            f->denied[kept++] = f->denied[i];
        }
    }
    f->n_denied = kept;
    if (denied) {
        TRIB_GROW(f->denied, f->denied_cap, f->n_denied + 1);
        f->denied[f->n_denied++] = trib_strdup(action);
    }
    fk_unlock(f);
}

void trib_fakeaws_chaos(struct trib_fakeaws *f, const struct trib_fakeaws_chaos *c)
{
    fk_lock(f);
    f->chaos = *c;
    fk_unlock(f);
}

void trib_fakeaws_plant(struct trib_fakeaws *f, const char *operation, unsigned nth, enum trib_fakeaws_fault fault)
{
    fk_lock(f);
    TRIB_GROW(f->plans, f->plans_cap, f->n_plans + 1);
    f->plans[f->n_plans++] = (struct fk_plan){operation == NULL ? NULL : trib_strdup(operation), nth, fault};
    fk_unlock(f);
}

uint64_t trib_fakeaws_requests(struct trib_fakeaws *f, const char *operation)
{
    fk_lock(f);
    uint64_t n = operation == NULL ? f->requests : 0;
    for (size_t i = 0; operation != NULL && i < f->n_counts; i++) {
        n += strcmp(f->counts[i].operation, operation) == 0 ? f->counts[i].n : 0;
    }
    fk_unlock(f);
    return n;
}

uint64_t trib_fakeaws_faults(struct trib_fakeaws *f)
{
    fk_lock(f);
    uint64_t n = f->faults;
    fk_unlock(f);
    return n;
}
