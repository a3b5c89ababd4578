/*
 * Calls: build, sign, send side by side, judge, repeat (aws.h).
 *
 * Owns the schedule of repeats: full jitter, one bucket of tokens a session, Retry-After; credentials are fetched anew once
 * and the clock corrected once a call, which cost no try. Never interprets an answer: that is answer.c.
 * Threads: any. A crash leaves nothing, but half a download in a file of the caller's.
 */
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <zlib.h>

#include "aws/own.h"
#include "aws/sign.h"

enum { URL_MAX = 1 << 16, OWN_HEADERS = 8 };
static const int64_t SKEW_US = 240000000, RETRY_AFTER_MAX_US = 60000000, TOGETHER_US = 5000;

enum who { SESSION, GIVEN, NOBODY };

struct attempt {
    struct trib_aws_call *call;
    const struct trib_aws_service *service;
    char *base, *host; /* "http://h:1/base", "h:1" */
    char *path, *query;
    char *url;
    char sha256[65];
    char date[17];
    char *authorization;
    struct trib_http_header *headers;
    size_t n_headers;
    unsigned generation;
    unsigned left; /* tries */
    int64_t signed_us;
    int64_t wait_us;
    bool done, renewed, corrected;
};

struct batch {
    struct trib_aws *a;
    enum who who;
    const struct trib_aws_credentials *given;
    struct attempt *attempts;
    size_t n;
};

/* ---- the request -------------------------------------------------------------------------------------------------- */

/* "h" and "h:8000"; a scheme's own port is left out, as HTTP's Host header has it. */
static char *host_of(const char *base)
{
    const char *p = strstr(base, "://") + 3;
    size_t n = strcspn(p, "/?#");
    const char *own = strncmp(base, "https:", 6) == 0 ? ":443" : ":80";
    size_t own_n = strlen(own);
    return trib_strndup(p, n > own_n && strncmp(p + n - own_n, own, own_n) == 0 ? n - own_n : n);
}

static char *encoded(const char *text)
{
    struct trib_buf b;
    trib_buf_init(&b, URL_MAX);
    trib_uri_encode(trib_view_of(text), true, &b);
    char *s = b.n == 0 ? trib_strdup("") : trib_buf_take(&b);
    trib_buf_free(&b);
    return s;
}

/* What would not fit the buffers below would be cut, and be another name. */
static int check_length(const struct trib_aws_call *c, struct trib_err *err)
{
    size_t n = c->path == NULL ? 0 : strlen(c->path);
    for (size_t i = 0; i < c->n_query; i++) {
        n += strlen(c->query[i].name) + (c->query[i].value == NULL ? 0 : strlen(c->query[i].value));
    }
    return n > URL_MAX / 4 ? trib_err_set(err, TRIB_E_LIMIT, "a path and query of %zu bytes", n) : 0;
}

static int build_url(const struct batch *b, struct attempt *t)
{
    const struct trib_aws_call *c = t->call;
    if (c->url != NULL) {
        assert(b->who == NOBODY);
        t->url = trib_strdup(c->url);
        return 0;
    }
    char *endpoint = c->endpoint != NULL ? trib_strdup(c->endpoint) : trib_aws_endpoint(b->a, c->service);
    char what[80];
    (void)snprintf(what, sizeof what, "the endpoint of %s (AWS_ENDPOINT_URL or endpoint_url sets it)", c->service);
    if (trib_aws_check_url(endpoint, what, &t->call->err) != 0) {
        free(endpoint);
        return TRIB_E_CONFIG;
    }
    if (c->host_bucket != NULL) {
        const char *host = strstr(endpoint, "://") + 3;
        t->base = trib_asprintf("%.*s%s.%s", (int)(host - endpoint), endpoint, c->host_bucket, host);
    } else {
        t->base = trib_strdup(endpoint);
    }
    free(endpoint);
    t->host = host_of(t->base);
    const char *after = strstr(t->base, "://") + 3;
    after += strcspn(after, "/");
    char *own = encoded(c->path == NULL ? "/" : c->path);
    t->path = trib_asprintf("%s%s%s", after, *own == '/' ? "" : "/", own);
    free(own);
    t->query = trib_canonical_query(c->query, c->n_query);
    t->url =
        trib_asprintf("%.*s%s%s%s", (int)(after - t->base), t->base, t->path, *t->query == '\0' ? "" : "?", t->query);
    return 0;
}

static int hash_body(const struct batch *b, struct attempt *t)
{
    const struct trib_aws_call *c = t->call;
    if (c->body_sha256 != NULL) {
        (void)snprintf(t->sha256, sizeof t->sha256, "%s", c->body_sha256);
        return 0;
    }
    if (c->body_path != NULL) {
        return trib_sha256_hex_part(b->a->host.fs, c->body_path, c->body_offset, c->body_bytes, t->sha256,
                                    &t->call->err);
    }
    trib_sha256_hex(c->body, t->sha256);
    return 0;
}

static bool has_header(const struct trib_aws_call *c, const char *name)
{
    for (size_t i = 0; i < c->n_headers; i++) {
        if (strcasecmp(c->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The headers that stay the same in every try; those of one try are put behind them. */
static void fixed_headers(struct attempt *t)
{
    const struct trib_aws_call *c = t->call;
    t->headers = trib_calloc(c->n_headers + OWN_HEADERS, sizeof *t->headers);
    for (size_t i = 0; i < c->n_headers; i++) {
        t->headers[t->n_headers++] = c->headers[i];
    }
    if (c->target != NULL) {
        t->headers[t->n_headers++] = (struct trib_http_header){"X-Amz-Target", c->target};
        if (!has_header(c, "content-type")) {
            bool new = t->service->json_version == NULL || strcmp(t->service->json_version, "1.1") == 0;
            t->headers[t->n_headers++] = (struct trib_http_header){"Content-Type", new ? "application/x-amz-json-1.1"
                                                                                       : "application/x-amz-json-1.0"};
        }
    }
    if (strcmp(c->service, "s3") == 0) {
        t->headers[t->n_headers++] = (struct trib_http_header){"x-amz-content-sha256", t->sha256};
    }
}

static const char *method_of(const struct trib_aws_call *c) { return c->method == NULL ? "POST" : c->method; }

static struct trib_http_request request_of(const struct batch *b, struct attempt *t, size_t n_headers)
{
    const struct trib_aws_call *c = t->call;
    return (struct trib_http_request){.method = method_of(c),
                                      .url = t->url,
                                      .headers = t->headers,
                                      .n_headers = n_headers,
                                      .body = c->body,
                                      .body_path = c->body_path,
                                      .body_offset = c->body_offset,
                                      .body_bytes = c->body_bytes,
                                      .to_path = c->to_path,
                                      .max_body_bytes = c->max_body_bytes,
                                      .connect_us = c->connect_us,
                                      .idle_us = c->idle_us,
                                      .total_us = c->total_us,
                                      .ca_bundle = b->a->ca_bundle,
                                      .direct = c->direct};
}

static struct trib_http_request signed_request(const struct batch *b, struct attempt *t,
                                               const struct trib_aws_credentials *as, int64_t now_us)
{
    size_t n = t->n_headers;
    t->signed_us = now_us;
    trib_amz_date(now_us, t->date);
    t->headers[n++] = (struct trib_http_header){"x-amz-date", t->date};
    if (as->token != NULL) {
        t->headers[n++] = (struct trib_http_header){"x-amz-security-token", as->token};
    }
    const char *name = *t->service->signing == '\0' ? t->call->service : t->service->signing;
    struct trib_sign s = {.method = method_of(t->call),
                          .host = t->host,
                          .path = t->path,
                          .query = t->query,
                          .headers = t->headers,
                          .n_headers = n,
                          .body_sha256 = t->sha256,
                          .region = b->a->region,
                          .service = name,
                          .s3 = strcmp(t->call->service, "s3") == 0,
                          .now_us = now_us};
    free(t->authorization);
    t->authorization = trib_sign_v4(&s, as, NULL);
    t->headers[n++] = (struct trib_http_header){"Authorization", t->authorization};
    return request_of(b, t, n);
}

/* ---- judging ------------------------------------------------------------------------------------------------------ */

/* Of "Date: Tue, 24 Nov 2026 17:36:31 GMT"; -1 where there is none. */
static int64_t date_us(const struct trib_http_response *r)
{
    const char *text = trib_http_header_get(r, "date");
    struct tm tm = {0};
    if (text == NULL || strptime(text, "%a, %d %b %Y %H:%M:%S", &tm) == NULL) {
        return -1;
    }
    return (int64_t)timegm(&tm) * 1000000;
}

/* The service's clock is the right one for signatures: the session follows it. Whether the signature of signed_us was made
 * by a wrong clock: another call may have corrected it since. */
static bool clock_was_wrong(struct trib_aws *a, const struct trib_http_response *r, int64_t signed_us)
{
    int64_t theirs = date_us(r);
    if (theirs < 0 || (theirs - signed_us < SKEW_US && signed_us - theirs < SKEW_US)) {
        return false;
    }
    int64_t skew = theirs - trib_now_us(a->host.clock);
    (void)pthread_mutex_lock(&a->lock);
    int64_t change = skew - a->skew_us;
    bool corrects = change > SKEW_US || change < -SKEW_US;
    if (corrects) {
        a->skew_us = skew;
    }
    (void)pthread_mutex_unlock(&a->lock);
    if (corrects) {
        char text[32];
        (void)snprintf(text, sizeof text, "%lld", (long long)(skew / 1000000));
        trib_logkv(a->host.log, TRIB_LOG_WARN, "this machine's clock is wrong, signatures follow AWS's", "seconds",
                   text, NULL);
    }
    return true;
}

static int64_t retry_after_us(const struct trib_http_response *r)
{
    const char *ms = trib_http_header_get(r, "x-amz-retry-after"), *s = trib_http_header_get(r, "retry-after");
    const char *text = ms != NULL ? ms : s;
    if (text == NULL || !isdigit((unsigned char)*text)) {
        return -1;
    }
    char *end;
    double n = strtod(text, &end) * (ms != NULL ? 1000.0 : 1000000.0);
    return *end != '\0' ? -1 : n > (double)RETRY_AFTER_MAX_US ? RETRY_AFTER_MAX_US : (int64_t)n;
}

/* DynamoDB sends the CRC-32 of its bodies. */
static bool crc_differs(const struct trib_http_response *r)
{
    const char *text = trib_http_header_get(r, "x-amz-crc32");
    if (text == NULL || trib_http_header_get(r, "content-encoding") != NULL) {
        return false;
    }
    unsigned long crc = crc32_z(0, (const unsigned char *)r->body.p, r->body.n);
    return strtoul(text, NULL, 10) != crc;
}

static bool succeeded(struct trib_aws_call *c)
{
    int status = c->response.status;
    if (c->is_final != NULL && status > 0 && c->is_final(&c->response)) {
        return true;
    }
    return status >= 200 && status < 300 && !trib_aws_error_in_success(c);
}

static bool take_token(struct trib_aws *a, bool timed_out)
{
    (void)pthread_mutex_lock(&a->lock);
    bool ok = trib_retry_take(&a->bucket, timed_out);
    (void)pthread_mutex_unlock(&a->lock);
    return ok;
}

static void success(struct trib_aws *a)
{
    (void)pthread_mutex_lock(&a->lock);
    trib_retry_success(&a->bucket);
    (void)pthread_mutex_unlock(&a->lock);
}

/* One more try? Sets its wait. The try that renews credentials or corrects the clock is free. */
static bool again(const struct batch *b, struct attempt *t, enum trib_aws_answer kind)
{
    struct trib_aws_call *c = t->call;
    t->wait_us = 0;
    if (kind == TRIB_AWS_EXPIRED && b->who == SESSION && !t->renewed) {
        t->renewed = true;
        trib_aws_credentials_expire(b->a, t->generation);
        return true;
    }
    if (kind == TRIB_AWS_SKEWED && b->who != NOBODY && !t->corrected) {
        t->corrected = true;
        return clock_was_wrong(b->a, &c->response, t->signed_us);
    }
    if ((kind != TRIB_AWS_TRANSIENT && kind != TRIB_AWS_THROTTLED) || --t->left == 0) {
        return false;
    }
    if (!take_token(b->a, strcmp(c->err.service_code, "RequestTimeout") == 0)) {
        (void)trib_err_wrap(&c->err, "not tried again, too many calls failed lately");
        return false;
    }
    t->wait_us = trib_retry_wait_us(&c->retry, c->tries, retry_after_us(&c->response), b->a->host.rng);
    return true;
}

static void judge(const struct batch *b, struct attempt *t, const char *provider)
{
    struct trib_aws_call *c = t->call;
    c->tries++;
    if (c->response.status > 0 && crc_differs(&c->response)) {
        c->response.status = 0;
        (void)trib_err_set(&c->response.err, TRIB_E_UNAVAILABLE, "the answer's checksum is wrong");
        c->response.err.ambiguous = true;
    }
    if (succeeded(c)) {
        trib_err_clear(&c->err);
        t->done = true;
        success(b->a);
        return;
    }
    enum trib_aws_answer kind = trib_aws_answer(b->a, c, provider, &c->err);
    t->done = !again(b, t, kind);
    char name[128];
    trib_aws_call_name(c, name, sizeof name);
    trib_logkv(b->a->host.log, TRIB_LOG_DEBUG, t->done ? "AWS call failed" : "AWS call is tried again", "call", name,
               "code", c->err.service_code, "request_id", c->err.request_id, "error", c->err.msg, NULL);
}

/* ---- rounds ------------------------------------------------------------------------------------------------------- */

static void fail_all(struct batch *b, const struct trib_err *why)
{
    for (size_t i = 0; i < b->n; i++) {
        if (!b->attempts[i].done) {
            b->attempts[i].call->err = *why;
            b->attempts[i].done = true;
        }
    }
}

/* Those that are due: all whose wait is within a few milliseconds of the shortest. Returns how many. */
static size_t due(struct batch *b, struct attempt **to)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < b->n; i++) {
        if (!b->attempts[i].done && b->attempts[i].wait_us < least) {
            least = b->attempts[i].wait_us;
        }
    }
    if (least == INT64_MAX) {
        return 0;
    }
    if (least > 0) {
        b->a->host.net->sleep_us(b->a->host.net->ctx, least);
    }
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct attempt *t = &b->attempts[i];
        if (!t->done) {
            t->wait_us -= least;
            if (t->wait_us <= TOGETHER_US) {
                to[n++] = t;
            }
        }
    }
    return n;
}

/* One round; false when no call is left. */
static bool round_of(struct batch *b, struct attempt **now, struct trib_http_request *requests,
                     struct trib_http_response *responses)
{
    size_t n = due(b, now);
    if (n == 0) {
        return false;
    }
    struct trib_aws_credentials own = {0};
    const struct trib_aws_credentials *as = b->given;
    unsigned generation = 0;
    struct trib_err why;
    if (b->who == SESSION) {
        if (trib_aws_credentials_get(b->a, &own, &generation, &why) != 0) {
            fail_all(b, &why);
            return false;
        }
        as = &own;
    }
    int64_t now_us = trib_aws_now_us(b->a);
    for (size_t i = 0; i < n; i++) {
        now[i]->generation = generation;
        requests[i] = as == NULL ? request_of(b, now[i], now[i]->n_headers) : signed_request(b, now[i], as, now_us);
        responses[i] = (struct trib_http_response){0};
    }
    trib_net_perform(b->a->host.net, requests, responses, n);
    for (size_t i = 0; i < n; i++) {
        trib_aws_wipe_response(&now[i]->call->response);
        now[i]->call->response = responses[i];
        judge(b, now[i], as == NULL ? NULL : as->provider);
    }
    trib_aws_credentials_free(&own);
    return true;
}

static void prepare(struct batch *b, struct attempt *t, struct trib_aws_call *c)
{
    *t = (struct attempt){.call = c, .service = trib_aws_service(c->service)};
    if (c->retry.attempts == 0) {
        c->retry = TRIB_RETRY_DEFAULT;
        c->retry.attempts = b->a->attempts > 0 ? b->a->attempts : c->retry.attempts;
    } else if (c->retry.base_us == 0) {
        c->retry.base_us = TRIB_RETRY_DEFAULT.base_us;
        c->retry.cap_us = TRIB_RETRY_DEFAULT.cap_us;
    }
    t->left = c->retry.attempts;
    c->tries = 0;
    trib_err_clear(&c->err);
    t->done = check_length(c, &c->err) != 0 || build_url(b, t) != 0 || hash_body(b, t) != 0;
    fixed_headers(t);
}

static void release(struct attempt *t)
{
    free(t->base);
    free(t->host);
    free(t->path);
    free(t->query);
    free(t->url);
    free(t->authorization);
    free(t->headers);
}

static int run(struct batch *b, struct trib_aws_call *calls, struct trib_err *err)
{
    b->attempts = trib_calloc(b->n + 1, sizeof *b->attempts);
    struct attempt **now = trib_calloc(b->n + 1, sizeof *now);
    struct trib_http_request *requests = trib_calloc(b->n + 1, sizeof *requests);
    struct trib_http_response *responses = trib_calloc(b->n + 1, sizeof *responses);
    for (size_t i = 0; i < b->n; i++) {
        prepare(b, &b->attempts[i], &calls[i]);
    }
    while (round_of(b, now, requests, responses)) {
    }
    int rc = 0;
    for (size_t i = 0; i < b->n; i++) {
        release(&b->attempts[i]);
        if (rc == 0 && calls[i].err.code != TRIB_OK) {
            rc = (int)calls[i].err.code;
            if (err != NULL) {
                *err = calls[i].err;
            }
        }
    }
    free(responses);
    free(requests);
    free(now);
    free(b->attempts);
    return rc;
}

int trib_aws_calls(struct trib_aws *a, struct trib_aws_call *calls, size_t n, struct trib_err *err)
{
    struct batch b = {.a = a, .who = SESSION, .n = n};
    return run(&b, calls, err);
}

int trib_aws_calls_as(struct trib_aws *a, const struct trib_aws_credentials *as, struct trib_aws_call *calls, size_t n,
                      struct trib_err *err)
{
    struct batch b = {.a = a, .who = as == NULL ? NOBODY : GIVEN, .given = as, .n = n};
    return run(&b, calls, err);
}
