/*
 * Is a request signed as AWS wants it (Signature Version 4)? Written from AWS's description, apart from src/aws/sign.c, so that
 * one checks the other: this side decodes what arrived and makes the canonical form anew.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "fakeaws/own.h"

enum { CANONICAL_MAX = 1 << 20 };

static void encode(const char *p, size_t n, bool slash, struct trib_buf *to)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '\0' && (strchr(plain, p[i]) != NULL || (slash && p[i] == '/'))) {
            trib_buf_addc(to, p[i]);
        } else {
            trib_buf_addf(to, "%%%02X", (unsigned char)p[i]);
        }
    }
}

struct pair {
    char *name, *value;
};
static int by_pair(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int d = strcmp(x->name, y->name);
    return d != 0 ? d : strcmp(x->value, y->value);
}

static void query_line(const struct fk_req *q, struct trib_buf *to)
{
    struct trib_buf b;
    struct pair *all = trib_calloc(q->n_params + 1, sizeof *all);
    size_t n = 0;
    bool body = strcmp(q->http->method, "POST") == 0 && *q->raw_query == '\0'; /* those of a form are in the body */
    for (size_t i = 0; i < q->n_params && !body; i++) {
        trib_buf_init(&b, CANONICAL_MAX);
        trib_buf_adds(&b, "");
        encode(q->params[i].name, strlen(q->params[i].name), false, &b);
        all[n].name = trib_buf_take(&b);
        trib_buf_adds(&b, "");
        encode(q->params[i].value, strlen(q->params[i].value), false, &b);
        all[n++].value = trib_buf_take(&b);
    }
    qsort(all, n, sizeof *all, by_pair);
    for (size_t i = 0; i < n; i++) {
        trib_buf_addf(to, "%s%s=%s", i > 0 ? "&" : "", all[i].name, all[i].value);
        free(all[i].name);
        free(all[i].value);
    }
    free(all);
}

static void trimmed(const char *v, struct trib_buf *to)
{
    bool space = true;
    for (; *v != '\0'; v++) {
        if (*v != ' ' || !space) {
            trib_buf_addc(to, *v);
        }
        space = *v == ' ';
    }
    if (to->n > 0 && space && to->p[to->n - 1] == ' ') {
        to->n--;
        to->p[to->n] = '\0';
    }
}

/* "name:value\n" for each signed name; false: one is not there. */
static bool header_lines(const struct fk_req *q, const char *signed_names, struct trib_buf *to)
{
    for (const char *at = signed_names; *at != '\0';) {
        size_t n = strcspn(at, ";");
        char *name = trib_strndup(at, n);
        struct trib_buf v;
        unsigned found = 0;
        trib_buf_init(&v, CANONICAL_MAX);
        trib_buf_adds(&v, "");
        if (strcmp(name, "host") == 0) {
            trib_buf_adds(&v, q->host);
            found = 1;
        }
        for (size_t i = 0; i < q->http->n_headers; i++) {
            if (strcmp(name, "host") != 0 && strcasecmp(q->http->headers[i].name, name) == 0) {
                trib_buf_adds(&v, found++ > 0 ? "," : "");
                struct trib_buf one;
                trib_buf_init(&one, CANONICAL_MAX);
                trib_buf_adds(&one, "");
                trimmed(q->http->headers[i].value, &one);
                trib_buf_adds(&v, one.p);
                trib_buf_free(&one);
            }
        }
        trib_buf_addf(to, "%s:", name);
        trib_buf_adds(to, v.p);
        trib_buf_addc(to, '\n');
        trib_buf_free(&v);
        free(name);
        if (found == 0) {
            return false;
        }
        at += n + (at[n] == ';' ? 1 : 0);
    }
    return true;
}

static bool names_have(const char *signed_names, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = signed_names; *at != '\0';) {
        size_t len = strcspn(at, ";");
        if (len == n && strncasecmp(at, name, n) == 0) {
            return true;
        }
        at += len + (at[len] == ';' ? 1 : 0);
    }
    return false;
}

static void mac(const unsigned char *key, size_t n, const char *text, unsigned char to[32])
{
    unsigned len = 32;
    (void)HMAC(EVP_sha256(), key, (int)n, (const unsigned char *)text, strlen(text), to, &len);
}

struct auth {
    char key_id[128], day[16], region[64], service[64], names[2048], signature[80];
};

static bool parse(const char *h, struct auth *a)
{
    char end[32] = "";
    return h != NULL &&
           sscanf(h,
                  "AWS4-HMAC-SHA256 Credential=%127[^/]/%15[^/]/%63[^/]/%63[^/]/%31[^,], SignedHeaders=%2047[^,], "
                  "Signature=%79[0-9a-f]",
                  a->key_id, a->day, a->region, a->service, end, a->names, a->signature) == 7 &&
           strcmp(end, "aws4_request") == 0;
}

/* "20260101T000000Z" in µs; -1: no such text. */
static int64_t date_us(const char *text)
{
    struct tm tm = {0};
    const char *end = text == NULL ? NULL : strptime(text, "%Y%m%dT%H%M%SZ", &tm);
    return end == NULL || *end != '\0' ? -1 : (int64_t)timegm(&tm) * SECOND;
}

static void sign(const struct fk_req *q, const struct auth *a, const char *secret, const char *payload,
                 struct trib_buf *canonical, char to[65])
{
    bool s3 = strcmp(a->service, "s3") == 0;
    struct trib_buf text;
    unsigned char hash[32], key[32], next[32];
    char hex[65];
    trib_buf_addf(canonical, "%s\n", q->http->method);
    encode(s3 ? q->path : q->raw_path, strlen(s3 ? q->path : q->raw_path), true, canonical);
    trib_buf_addc(canonical, '\n');
    query_line(q, canonical);
    trib_buf_addc(canonical, '\n');
    (void)header_lines(q, a->names, canonical);
    trib_buf_addf(canonical, "\n%s\n%s", a->names, payload);
    fk_sha256(trib_buf_view(canonical), hash);
    fk_hex(hash, 32, hex);
    trib_buf_init(&text, CANONICAL_MAX);
    trib_buf_addf(&text, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s", fk_header(q, "x-amz-date"), a->day,
                  a->region, a->service, hex);
    char *first = trib_asprintf("AWS4%s", secret);
    mac((const unsigned char *)first, strlen(first), a->day, key);
    free(first);
    const char *const rest[] = {a->region, a->service, "aws4_request", text.p};
    for (size_t i = 0; i < 4; i++) {
        mac(key, 32, rest[i], next);
        memcpy(key, next, 32);
    }
    trib_buf_free(&text);
    fk_hex(key, 32, to);
}

static const struct fk_credential *credential_find(const struct trib_fakeaws *f, const char *key_id)
{
    for (size_t i = 0; i < f->n_credentials; i++) {
        if (strcmp(f->credentials[i].key_id, key_id) == 0) {
            return &f->credentials[i];
        }
    }
    return NULL;
}

/* Who it is: NULL when the credentials are good, or the code; S3's and the others' codes differ. */
static const char *who_is(struct trib_fakeaws *f, struct fk_req *q, const struct auth *a, bool s3,
                          const char **ret_text)
{
    const char *token = fk_header(q, "x-amz-security-token");
    q->who = credential_find(f, a->key_id);
    if (q->who == NULL) {
        *ret_text = s3 ? "The AWS Access Key Id you provided does not exist in our records."
                       : "The security token included in the request is invalid.";
        return s3 ? "InvalidAccessKeyId" : "UnrecognizedClientException";
    }
    if ((q->who->token == NULL) != (token == NULL) || (token != NULL && strcmp(token, q->who->token) != 0)) {
        *ret_text = s3 ? "The provided token is malformed or otherwise invalid."
                       : "The security token included in the request is invalid.";
        return s3 ? "InvalidToken" : "UnrecognizedClientException";
    }
    if (q->who->expires_us <= f->now_us) {
        *ret_text = s3 ? "The provided token has expired." : "The security token included in the request is expired";
        return s3 ? "ExpiredToken" : "ExpiredTokenException";
    }
    return NULL;
}

/* What has to be signed, and the payload's hash. NULL when it is as it should be. */
static const char *rules(const struct fk_req *q, const struct auth *a, bool s3, const char **ret_text)
{
    if (!names_have(a->names, "host")) {
        *ret_text = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
        return s3 ? "AccessDenied" : "InvalidSignatureException";
    }
    for (size_t i = 0; i < q->http->n_headers; i++) {
        const char *name = q->http->headers[i].name;
        if (strncasecmp(name, "x-amz-", 6) == 0 && !names_have(a->names, name)) {
            *ret_text = "There were headers present in the request which were not signed";
            return s3 ? "AccessDenied" : "InvalidSignatureException";
        }
    }
    if (s3 && fk_header(q, "x-amz-content-sha256") == NULL) {
        *ret_text = "Missing required header for this request: x-amz-content-sha256";
        return "InvalidRequest";
    }
    return NULL;
}

static bool in_time(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, const struct auth *a, bool s3)
{
    const char *date = fk_header(q, "x-amz-date");
    int64_t at = date_us(date), off = f->now_us - at;
    char now[32];
    fk_iso(f->now_us, false, now);
    if (at < 0 || strncmp(date, a->day, 8) != 0) {
        fk_error(f, q, r, s3 ? 403 : 400, s3 ? "AccessDenied" : "IncompleteSignatureException",
                 "AWS authentication requires a valid Date or x-amz-date header");
        return false;
    }
    if (s3 && (off > 900 * SECOND || off < -900 * SECOND)) {
        fk_error(f, q, r, 403, "RequestTimeTooSkewed",
                 "The difference between the request time and the current time is too large.");
        return false;
    }
    if (!s3 && (off > 300 * SECOND || off < -300 * SECOND)) {
        char stamp[17];
        time_t t = (time_t)(f->now_us / SECOND);
        struct tm tm;
        (void)gmtime_r(&t, &tm);
        (void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
        fk_error(f, q, r, 400, "InvalidSignatureException", "Signature %s: %s is now %s than %s (%s %s 5 min.)",
                 off > 0 ? "expired" : "not yet current", date, off > 0 ? "earlier" : "later", stamp, stamp,
                 off > 0 ? "-" : "+");
        return false;
    }
    return true;
}

static bool scope(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, const struct auth *a, bool s3)
{
    struct fk_bucket *b = s3 && q->bucket != NULL ? fk_bucket_find(f, q->bucket) : NULL;
    bool sts = strncmp(q->operation, "sts.", 4) == 0; /* its global endpoint signs for us-east-1 */
    const char *region = b != NULL ? b->region : sts && strcmp(a->region, "us-east-1") == 0 ? a->region : f->region;
    const char *signing = s3 ? "s3" : strncmp(q->operation, "streams.", 8) == 0 ? "dynamodb" : NULL;
    size_t n = strcspn(q->operation, ".");
    bool right = signing != NULL ? strcmp(a->service, signing) == 0
                                 : strlen(a->service) == n && strncmp(a->service, q->operation, n) == 0;
    if (strcmp(a->region, region) != 0 && s3) {
        fk_set(r, "x-amz-bucket-region", region);
        fk_error(f, q, r, 400, "AuthorizationHeaderMalformed",
                 "The authorization header is malformed; the region &apos;%s&apos; is wrong; expecting &apos;%s&apos;",
                 a->region, region);
        return false;
    }
    if (strcmp(a->region, region) != 0 || !right) {
        fk_error(f, q, r, 400, "InvalidSignatureException", "Credential should be scoped to %s.",
                 right ? "a valid region" : "correct service");
        return false;
    }
    return true;
}

/* The payload's hash in hex, or as the header has it (S3); false: the error is in r. */
static bool payload(struct trib_fakeaws *f, const struct fk_req *q, struct fk_res *r, bool s3, char to[128])
{
    unsigned char hash[32];
    fk_sha256(q->body, hash);
    fk_hex(hash, 32, to);
    const char *told = fk_header(q, "x-amz-content-sha256");
    if (told == NULL || strcmp(told, to) == 0) {
        return true;
    }
    if (s3 && strcmp(told, "UNSIGNED-PAYLOAD") == 0) {
        (void)snprintf(to, 128, "%s", told);
        return true;
    }
    fk_error(f, q, r, 400, s3 ? "XAmzContentSHA256Mismatch" : "InvalidSignatureException",
             "The provided 'x-amz-content-sha256' header does not match what was computed.");
    return false;
}

bool fk_verify(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    bool s3 = strncmp(q->operation, "s3.", 3) == 0, sts = strncmp(q->operation, "sts.", 4) == 0;
    struct auth a;
    const char *h = fk_header(q, "authorization"), *text = "", *code;
    char hash[128], want[65];
    if (f->no_auth || strcmp(q->operation, "sts.AssumeRoleWithWebIdentity") == 0) {
        return true;
    }
    if (h == NULL) {
        fk_error(f, q, r, s3 || sts ? 403 : 400,
                 s3    ? "AccessDenied"
                 : sts ? "MissingAuthenticationToken"
                       : "MissingAuthenticationTokenException",
                 "%s", s3 ? "Access Denied" : "Request is missing Authentication Token");
        return false;
    }
    if (!parse(h, &a)) {
        fk_error(f, q, r, 400, s3 ? "AuthorizationHeaderMalformed" : "IncompleteSignatureException",
                 "Authorization header requires existence of Credential, SignedHeaders and Signature.");
        return false;
    }
    if ((code = who_is(f, q, &a, s3, &text)) != NULL || (code = rules(q, &a, s3, &text)) != NULL) {
        bool bad = strcmp(code, "ExpiredToken") == 0 || strcmp(code, "InvalidToken") == 0 ||
                   strcmp(code, "InvalidRequest") == 0;
        fk_error(f, q, r, s3 && !bad ? 403 : 400, code, "%s", text);
        return false;
    }
    if (!in_time(f, q, r, &a, s3) || !scope(f, q, r, &a, s3) || !payload(f, q, r, s3, hash)) {
        return false;
    }
    struct trib_buf canonical;
    trib_buf_init(&canonical, CANONICAL_MAX);
    sign(q, &a, q->who->secret, hash, &canonical, want);
    trib_buf_free(&canonical);
    if (strcmp(want, a.signature) != 0) {
        fk_error(f, q, r, s3 || sts ? 403 : 400, s3 || sts ? "SignatureDoesNotMatch" : "InvalidSignatureException",
                 "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
                 "Access Key and signing method.");
        return false;
    }
    return true;
}
