/*
 * Credentials of the machine (chain.h): the container's endpoint (ECS, EKS Pod Identity), and EC2 instance metadata,
 * version 2 only. Time-outs are short: where nobody answers, we are not on such a machine.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "aws/chain.h"
#include "aws/json.h"

static const int64_t SECOND_US = 1000000;

static struct trib_aws_call local_call(const char *endpoint, const char *method, const char *path)
{
    return (struct trib_aws_call){.service = "metadata",
                                  .endpoint = endpoint,
                                  .method = method,
                                  .path = path,
                                  .max_body_bytes = 1 << 16,
                                  .direct = true,
                                  .connect_us = SECOND_US,
                                  .total_us = 2 * SECOND_US,
                                  .retry = {3, 100000, SECOND_US}};
}

/* ---- containers --------------------------------------------------------------------------------------------------- */

/* Plain HTTP only to this machine and to where ECS and EKS put their endpoints; by address, no part of a name. */
static bool may_ask(const char *url)
{
    if (strncmp(url, "https://", 8) == 0) {
        return url[8] != '\0' && memchr(url + 8, '@', strcspn(url + 8, "/?#")) == NULL;
    }
    if (strncmp(url, "http://", 7) != 0) {
        return false;
    }
    const char *host = url + 7;
    size_t n = strcspn(host, "/?#");
    if (memchr(host, '@', n) != NULL) {
        return false;
    }
    const char *end = *host == '[' ? memchr(host, ']', n) : memchr(host, ':', n);
    size_t len = *host == '[' && end != NULL ? (size_t)(end - host) + 1 : end != NULL ? (size_t)(end - host) : n;
    char name[64];
    if (len == 0 || len >= sizeof name || (*host == '[' && (end == NULL || (len < n && host[len] != ':')))) {
        return false;
    }
    (void)snprintf(name, sizeof name, "%.*s", (int)len, host);
    struct in_addr v4;
    bool loopback = inet_pton(AF_INET, name, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
    return loopback || strcasecmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0 ||
           strcmp(name, "169.254.170.2") == 0 || strcmp(name, "169.254.170.23") == 0 ||
           strcasecmp(name, "[fd00:ec2::23]") == 0;
}

/* The value of Authorization, into memory that the caller wipes; *to stays empty where none is asked for. */
static int container_token(struct trib_aws *a, struct trib_buf *to, struct trib_err *err)
{
    const char *file = trib_aws_env(a, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *token = trib_aws_env(a, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    trib_buf_init(to, 1 << 16);
    if (file != NULL) {
        int rc = trib_aws_read_secret(&a->host, file, to, err);
        if (rc != 0) {
            (void)trib_err_wrap(err, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
            err->code = TRIB_E_CONFIG;
            return TRIB_E_CONFIG;
        }
    } else if (token != NULL) {
        trib_buf_adds(to, token);
    }
    while (to->n > 0 && isspace((unsigned char)to->p[to->n - 1])) {
        to->p[--to->n] = '\0';
    }
    if (to->n > 0 && strcspn(to->p, "\r\n") != to->n) {
        trib_aws_wipe_buf(to);
        return trib_err_set(err, TRIB_E_CONFIG, "the container's authorization token has a line break inside");
    }
    return 0;
}

/* url: "http://169.254.170.2/v2/credentials/x?y"; its path and query are sent as they are. */
static int ask_container(struct trib_aws *a, const char *url, struct trib_aws_credentials *ret, struct trib_err *err)
{
    struct trib_buf token;
    TRIB_TRY(container_token(a, &token, err));
    const struct trib_http_header headers[] = {{"Accept", "application/json"}, {"Authorization", token.p}};
    struct trib_aws_call c = local_call(NULL, "GET", NULL);
    c.url = url;
    c.headers = headers;
    c.n_headers = token.n > 0 ? 2 : 1;
    int rc = trib_aws_calls_as(a, NULL, &c, 1, err);
    rc = rc != 0 ? trib_err_wrap(err, "the container's credentials")
                 : trib_aws_credentials_parse(trib_buf_view(&c.response.body), "the container", ret, err);
    trib_aws_wipe_response(&c.response);
    trib_aws_wipe_buf(&token);
    if (rc == TRIB_E_NOT_FOUND) { /* the endpoint is there, so this is an answer, not an absence */
        err->code = TRIB_E_CONFIG;
        rc = TRIB_E_CONFIG;
    }
    return rc;
}

int trib_aws_from_container(struct trib_aws *a, struct trib_aws_credentials *ret, struct trib_err *err)
{
    const char *relative = trib_aws_env(a, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = trib_aws_env(a, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (relative == NULL && full == NULL) {
        return trib_err_set(err, TRIB_E_NOT_FOUND, "no container endpoint");
    }
    if (relative == NULL && !may_ask(full)) {
        return trib_err_set(err, TRIB_E_CONFIG,
                            "AWS_CONTAINER_CREDENTIALS_FULL_URI: only https, or http to this machine, 169.254.170.2, "
                            "169.254.170.23 and fd00:ec2::23 are allowed");
    }
    if (relative != NULL && *relative != '/') {
        return trib_err_set(err, TRIB_E_CONFIG, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with /");
    }
    TRIB_CLEANUP(trib_cleanup_free)
    char *url = relative == NULL ? trib_strdup(full) : trib_asprintf("http://169.254.170.2%s", relative);
    return ask_container(a, url, ret, err);
}

/* ---- EC2 ---------------------------------------------------------------------------------------------------------- */

/* [out] free(); NULL where it is switched off. */
static char *imds_endpoint(const struct trib_aws *a)
{
    const char *off = trib_aws_env(a, "AWS_EC2_METADATA_DISABLED");
    const char *url = trib_aws_env(a, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const char *mode = trib_aws_env(a, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    url = url != NULL ? url : trib_profiles_get(a->profiles, a->profile, "ec2_metadata_service_endpoint");
    mode = mode != NULL ? mode : trib_profiles_get(a->profiles, a->profile, "ec2_metadata_service_endpoint_mode");
    if (off != NULL && strcasecmp(off, "true") == 0) {
        return NULL;
    }
    if (url == NULL) {
        url = mode != NULL && strcasecmp(mode, "IPv6") == 0 ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
    }
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/') {
        n--;
    }
    return trib_strndup(url, n);
}

/* A session token of IMDSv2. [out] trib_aws_wipe */
static int imds_token(struct trib_aws *a, const char *endpoint, char **ret, struct trib_err *err)
{
    const struct trib_http_header ttl = {"x-aws-ec2-metadata-token-ttl-seconds", "21600"};
    struct trib_aws_call c = local_call(endpoint, "PUT", "/latest/api/token");
    c.headers = &ttl;
    c.n_headers = 1;
    c.total_us = SECOND_US;
    c.retry.attempts = 2;
    int rc = trib_aws_calls_as(a, NULL, &c, 1, err);
    if (rc != 0 && c.response.status == 0) {
        rc = trib_err_set(err, TRIB_E_NOT_FOUND, "no instance metadata at %s", endpoint);
    } else if (rc != 0 && (c.response.status == 403 || c.response.status == 404 || c.response.status == 405)) {
        rc = trib_err_set(err, TRIB_E_NOT_FOUND, "instance metadata at %s is switched off (status %d)", endpoint,
                          c.response.status);
    } else if (rc == 0 && (c.response.body.n == 0 || strpbrk(c.response.body.p, "\r\n") != NULL)) {
        rc = trib_err_set(err, TRIB_E_NOT_FOUND, "%s gave no instance metadata token", endpoint);
    } else if (rc == 0) {
        *ret = trib_strdup(c.response.body.p);
    }
    trib_aws_wipe_response(&c.response);
    return rc;
}

static int imds_get(struct trib_aws *a, const char *endpoint, const char *token, const char *path, struct trib_buf *ret,
                    struct trib_err *err)
{
    const struct trib_http_header header = {"x-aws-ec2-metadata-token", token};
    struct trib_aws_call c = local_call(endpoint, "GET", path);
    c.headers = &header;
    c.n_headers = 1;
    int rc = trib_aws_calls_as(a, NULL, &c, 1, err);
    if (rc == 0) {
        *ret = c.response.body;
        c.response.body = (struct trib_buf){0};
    }
    trib_aws_wipe_response(&c.response);
    return rc;
}

/* The first line of a text document. [out] free() */
static int imds_line(struct trib_aws *a, const char *endpoint, const char *token, const char *path, char **ret,
                     struct trib_err *err)
{
    struct trib_buf text = {0};
    TRIB_TRY(imds_get(a, endpoint, token, path, &text, err));
    size_t n = text.n == 0 ? 0 : strcspn(text.p, "\r\n");
    for (size_t i = 0; i < n; i++) { /* it comes into messages, and into a path */
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 127) {
            trib_buf_free(&text);
            return trib_err_set(err, TRIB_E_DATA, "instance metadata answers with a control character");
        }
    }
    *ret = trib_strndup(n == 0 ? "" : text.p, n);
    trib_buf_free(&text);
    return 0;
}

/* The service goes on giving old credentials when it cannot renew them, and AWS goes on taking them: they are used. */
static void outlive(struct trib_aws *a, struct trib_aws_credentials *c)
{
    int64_t now = trib_aws_now_us(a);
    if (c->expires_us <= now) {
        trib_logkv(a->host.log, TRIB_LOG_WARN,
                   "instance metadata gives credentials that have expired, they are used on", NULL);
        c->expires_us = now + 600 * SECOND_US;
    }
}

static int imds_role(struct trib_aws *a, const char *endpoint, const char *token, struct trib_aws_credentials *ret,
                     struct trib_err *err)
{
    static const char folder[] = "/latest/meta-data/iam/security-credentials/";
    char *role = NULL;
    int rc = imds_line(a, endpoint, token, folder, &role, err);
    if (rc == TRIB_E_NOT_FOUND || (rc == 0 && *role == '\0')) {
        free(role);
        return trib_err_set(err, TRIB_E_NOT_FOUND, "this EC2 instance has no role");
    }
    TRIB_TRY(rc);
    TRIB_CLEANUP(trib_cleanup_free) char *path = trib_asprintf("%s%s", folder, role);
    TRIB_CLEANUP(trib_cleanup_free) char *provider = trib_asprintf("role %.100s of this EC2 instance", role);
    free(role);
    struct trib_buf body = {0};
    TRIB_TRY(imds_get(a, endpoint, token, path, &body, err));
    rc = trib_aws_credentials_parse(trib_buf_view(&body), provider, ret, err);
    trib_aws_wipe_buf(&body);
    if (rc == 0) {
        outlive(a, ret);
    }
    return rc;
}

int trib_aws_from_imds(struct trib_aws *a, struct trib_aws_credentials *ret, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *endpoint = imds_endpoint(a);
    char *token = NULL;
    if (endpoint == NULL) {
        return trib_err_set(err, TRIB_E_NOT_FOUND, "instance metadata is off (AWS_EC2_METADATA_DISABLED)");
    }
    TRIB_TRY(imds_token(a, endpoint, &token, err));
    int rc = imds_role(a, endpoint, token, ret, err);
    trib_aws_wipe(token);
    return rc != 0 && rc != TRIB_E_NOT_FOUND ? trib_err_wrap(err, "instance metadata") : rc;
}

char *trib_aws_imds_region(struct trib_aws *a)
{
    TRIB_CLEANUP(trib_cleanup_free) char *endpoint = imds_endpoint(a);
    char *token = NULL, *region = NULL;
    struct trib_err why;
    if (endpoint != NULL && imds_token(a, endpoint, &token, &why) == 0 &&
        imds_line(a, endpoint, token, "/latest/meta-data/placement/region", &region, &why) != 0) {
        region = NULL;
    }
    trib_aws_wipe(token);
    if (region != NULL && *region == '\0') {
        free(region);
        region = NULL;
    }
    return region;
}
