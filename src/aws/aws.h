/*
 * AWS: who we are, where to, and calls (spec: issue "Capture from live AWS", AWS access; testing.md, SigV4 facts).
 *
 * A session holds credentials for one (region, profile, role, external id), refreshed before they expire, and makes signed
 * calls with retries. Secrets stand in struct trib_aws_credentials only, are never formatted, and are wiped when freed.
 * Threads: a session may be used by several threads (a lock inside guards credentials and the retry bucket).
 */
#ifndef TRIB_AWS_AWS_H
#define TRIB_AWS_AWS_H

#include "net/http.h"
#include "os/fs.h"

/* The surroundings, so that every provider is tested without a network or an environment of its own. */
struct trib_aws_host {
    const struct trib_net *net;
    const struct trib_fs *fs;
    const struct trib_clock *clock;
    const struct trib_rng *rng;
    const struct trib_log *log;
    const char *(*getenv)(void *ctx, const char *name);
    void *getenv_ctx;
};

/* From the configuration (`aws`), every field may be NULL: then AWS_* variables, the profile, instance metadata. */
struct trib_aws_opts {
    const char *region, *profile, *endpoint_url, *role_arn, *external_id;
    const char *session_name; /* of an assumed role; NULL: "tributary" */
};

struct trib_aws_credentials {
    char *key_id, *secret, *token; /* token NULL: long-lived */
    int64_t expires_us;            /* INT64_MAX: never */
    const char *provider; /* "environment", "profile shop", "sso", "web identity", "ecs", "imds": for messages */
};
/* Copies all of it into pages of its own that no core dump holds; provider may be any text. The only way to make one that
 * trib_aws_credentials_free takes. token NULL or "": none. */
struct trib_aws_credentials trib_aws_credentials_make(const char *key_id, const char *secret, const char *token,
                                                      int64_t expires_us, const char *provider);
void trib_aws_credentials_free(struct trib_aws_credentials *c); /* wiped; to zeroes */

struct trib_aws;
/* Finds the region (CONFIG with the remedy when there is none); credentials are found at the first call. opts are copied. */
TRIB_CHECKED int trib_aws_new(const struct trib_aws_host *host, const struct trib_aws_opts *opts, struct trib_aws **ret,
                              struct trib_err *err);
void trib_aws_free(struct trib_aws *a);
const char *trib_aws_region(const struct trib_aws *a);
/* Credentials that are good for five minutes at least. [out] trib_aws_credentials_free */
TRIB_CHECKED int trib_aws_credentials(struct trib_aws *a, struct trib_aws_credentials *ret, struct trib_err *err);
/* What a service answered about them (ExpiredToken): fetched anew at the next call. */
void trib_aws_credentials_expired(struct trib_aws *a);
/* "https://dynamodb.eu-west-1.amazonaws.com", or endpoint_url, AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL; dual-stack and FIPS heeded.
 * service: endpoint prefix: "dynamodb", "streams.dynamodb", "kinesis", "s3", "sqs", "ssm", "sts". [out] free() */
char *trib_aws_endpoint(const struct trib_aws *a, const char *service);
/* Whether it is AWS's own, not one that somebody set. */
bool trib_aws_endpoint_own(const struct trib_aws *a, const char *service);

/* One request to a service, signed when it is sent. */
struct trib_aws_call {
    const char *service; /* endpoint prefix */
    const char *method;  /* NULL: POST */
    const char
        *path; /* decoded, e.g. "/bucket/a b"; NULL: "/". Encoded here (S3: once, others: twice for the signature) */
    const struct trib_http_header *query; /* decoded names and values; encoded and sorted here */
    size_t n_query;
    const char *target;      /* JSON services: X-Amz-Target, "DynamoDB_20120810.Scan"; NULL: none */
    const char *endpoint;    /* instead of the service's: "http://169.254.170.2", a queue's own host; NULL */
    const char *url;         /* unsigned calls only: all of it, sent as it is; NULL */
    const char *host_bucket; /* S3: put before the host (virtual-hosted style), or NULL */
    const struct trib_http_header *headers;
    size_t n_headers;
    struct trib_view body;
    const char *body_path;
    int64_t body_offset, body_bytes;
    const char *body_sha256; /* hex, or "UNSIGNED-PAYLOAD"; NULL: made here from body */
    const char *to_path;
    size_t max_body_bytes;
    int64_t connect_us, idle_us, total_us; /* of one try, see http.h; 0: its defaults */
    bool direct;                           /* through no proxy: addresses of this machine's */
    struct trib_retry retry;               /* zero: default; attempts 1: no repeat, the caller has its own schedule */
    bool (*is_final)(
        const struct trib_http_response *r); /* a status that is an answer, not a failure (412, 404); NULL: 2xx only */
    /* results */
    struct trib_http_response response; /* of the last try; trib_http_response_free */
    struct trib_err err; /* code TRIB_OK when it succeeded: the service's code and request id, what to do next */
    unsigned tries;
};
/* Side by side; returns when each has succeeded or failed for good. The first failure in order is returned too. Between
 * tries it sleeps by net->sleep_us. Clock skew told by a service is corrected and the call tried again. */
TRIB_CHECKED int trib_aws_calls(struct trib_aws *a, struct trib_aws_call *calls, size_t n, struct trib_err *err);
static inline int trib_aws_call(struct trib_aws *a, struct trib_aws_call *c, struct trib_err *err)
{
    return trib_aws_calls(a, c, 1, err);
}
/* Wall clock corrected by what services said about our skew. */
int64_t trib_aws_skew_us(const struct trib_aws *a);

#endif
