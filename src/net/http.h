/*
 * HTTP behind a vtable (spec: architecture.md, "A deterministic core"). Production: libcurl (net/curl.c), connections
 * kept and shared; the simulation and tests: a scripted service in the same process.
 *
 * One call performs a batch of requests side by side and returns when all have ended, each with a response or an error of
 * its own: parallelism lives inside a step. Nothing here retries, signs or knows a service.
 * Threads: a trib_net may be used by several threads at once.
 */
#ifndef TRIB_NET_HTTP_H
#define TRIB_NET_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/mem.h"

struct trib_http_header {
    const char *name, *value;
};

struct trib_http_request {
    const char *method; /* "GET", "PUT", … */
    const char *url;    /* encoded already; sent as it is, byte for byte */
    const struct trib_http_header *headers;
    size_t n_headers;
    struct trib_view body; /* [borrow] */
    const char *body_path; /* instead of body: a local file, or NULL */
    int64_t body_offset, body_bytes;
    const char *to_path;   /* a 2xx body goes to this local file (created or truncated), else to response->body */
    size_t max_body_bytes; /* of response->body; more is an error (LIMIT). 0: 16 MiB */
    int64_t connect_us, idle_us,
        total_us;          /* limits: connecting, a second without a byte …, the whole call; 0: 5 s, 30 s, 300 s */
    const char *ca_bundle; /* PEM file, or NULL: the system's. TLS is always verified. */
    bool direct;           /* through no proxy, whatever http_proxy says */
};

struct trib_http_response {
    int status;                       /* 0: the request failed before a whole response came, see err */
    struct trib_http_header *headers; /* names in lower case */
    size_t n_headers;
    struct trib_buf body;
    int64_t body_bytes; /* received, also when they went to a file */
    /* UNAVAILABLE: DNS, connection, TLS, time-out, reset, a body cut short; the text names host and cause. ambiguous: the
     * request may have reached the server. retriable: not for TLS or a malformed URL. */
    struct trib_err err;
};
void trib_http_response_free(struct trib_http_response *r);                                   /* to zeroes */
const char *trib_http_header_get(const struct trib_http_response *r, const char *lower_name); /* NULL [borrow] */

struct trib_net {
    void *ctx;
    /* Fills all n responses (zeroed by the caller). */
    void (*perform)(void *ctx, const struct trib_http_request *requests, struct trib_http_response *responses,
                    size_t n);
    /* Back-off between tries of one call: the wall clock, or the scripted one. Ends early when a stop was asked for. */
    void (*sleep_us)(void *ctx, int64_t us);
};
static inline void trib_net_perform(const struct trib_net *net, const struct trib_http_request *requests,
                                    struct trib_http_response *responses, size_t n)
{
    net->perform(net->ctx, requests, responses, n);
}

/* libcurl. max_connections: of one batch at once, over all hosts; 0: 32. Proxies as http_proxy, https_proxy and no_proxy say. [out] trib_net_curl_free */
struct trib_net *trib_net_curl_new(unsigned max_connections);
void trib_net_curl_free(struct trib_net *net);

/*
 * Retries: full jitter under a doubling ceiling, a bucket of tokens that empties when a service fails for long, Retry-After
 * heeded (AWS SDK "standard" mode). Pure but for the random number.
 */
struct trib_retry {
    unsigned attempts;       /* tries left, the first included */
    int64_t base_us, cap_us; /* first ceiling, highest ceiling */
};
#define TRIB_RETRY_DEFAULT ((struct trib_retry){5, 100000, 20000000})
struct trib_retry_bucket {
    double tokens; /* begin with TRIB_RETRY_TOKENS */
};
#define TRIB_RETRY_TOKENS 500.0
/* The wait before try number `attempt` (1: the first repeat); retry_after_us: -1 without. */
int64_t trib_retry_wait_us(const struct trib_retry *r, unsigned attempt, int64_t retry_after_us,
                           const struct trib_rng *rng);
/* Takes the price of a repeat (5; 10 after a time-out) out of the bucket; false when it is empty. A success gives 1 back. */
bool trib_retry_take(struct trib_retry_bucket *b, bool timed_out);
void trib_retry_success(struct trib_retry_bucket *b);

#endif
