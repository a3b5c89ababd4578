/*
 * IAM Identity Center (chain.h): the access token that `aws sso login` left in the cache is given for a role's credentials.
 * The cache is only read: a token that has ended is the user's to renew, and no secret is ever written.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "aws/chain.h"
#include "aws/json.h"

struct sso {
    const char *session, *start_url, *region, *account, *role;
};

static int settings(const struct trib_profiles *p, const char *profile, struct sso *ret, struct trib_err *err)
{
    struct sso s = {.session = trib_profiles_get(p, profile, "sso_session"),
                    .account = trib_profiles_get(p, profile, "sso_account_id"),
                    .role = trib_profiles_get(p, profile, "sso_role_name")};
    if (s.session != NULL) {
        s.start_url = trib_profiles_section(p, "sso-session", s.session, "sso_start_url", NULL);
        s.region = trib_profiles_section(p, "sso-session", s.session, "sso_region", NULL);
    } else {
        s.start_url = trib_profiles_get(p, profile, "sso_start_url");
        s.region = trib_profiles_get(p, profile, "sso_region");
    }
    const char *lacks = s.start_url == NULL ? "sso_start_url"
                        : s.region == NULL  ? "sso_region"
                        : s.account == NULL ? "sso_account_id"
                        : s.role == NULL    ? "sso_role_name"
                                            : NULL;
    if (lacks != NULL) {
        return trib_err_set(err, TRIB_E_CONFIG, "profile %s%s%s lacks %s: `aws configure sso` writes it", profile,
                            s.session == NULL ? "" : " or its sso-session ", s.session == NULL ? "" : s.session, lacks);
    }
    if (strspn(s.region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(s.region)) {
        return trib_err_set(err, TRIB_E_CONFIG, "profile %s: sso_region '%.60s' is no region", profile, s.region);
    }
    *ret = s;
    return 0;
}

/* ~/.aws/sso/cache/SHA1.json, by the session's name, or the start URL where there is none. [out] free(); NULL */
static char *cache_path(const struct trib_aws *a, const struct sso *s)
{
    const char *key = s->session != NULL ? s->session : s->start_url;
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    (void)EVP_Digest(key, strlen(key), hash, &n, EVP_sha1(), NULL);
    struct trib_buf b;
    trib_buf_init(&b, 128);
    trib_buf_adds(&b, "~/.aws/sso/cache/");
    for (unsigned int i = 0; i < n; i++) {
        trib_buf_addf(&b, "%02x", hash[i]);
    }
    trib_buf_adds(&b, ".json");
    char *path = trib_aws_home_path(&a->host, b.p);
    trib_buf_free(&b);
    return path;
}

/* [out] trib_aws_wipe */
static int token_of(struct trib_aws *a, const struct sso *s, const char *profile, char **ret, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *path = cache_path(a, s);
    struct trib_buf text;
    struct trib_err why;
    if (path == NULL || trib_aws_read_secret(&a->host, path, &text, &why) != 0) {
        return trib_err_set(err, TRIB_E_CONFIG, "profile %s is not signed in (%s): run `aws sso login --profile %s`",
                            profile, path == NULL ? "HOME is not set" : why.msg, profile);
    }
    json_t *j = NULL;
    int rc = trib_aws_json_parse(trib_buf_view(&text), path, &j, err);
    trib_aws_wipe_buf(&text);
    TRIB_TRY(rc);
    const char *token = trib_aws_json_string(j, "accessToken"), *until = trib_aws_json_string(j, "expiresAt");
    int64_t expires;
    if (token == NULL || !trib_aws_time_us(until, &expires)) {
        rc = trib_err_set(err, TRIB_E_CONFIG, "%s has no accessToken and expiresAt: run `aws sso login --profile %s`",
                          path, profile);
    } else if (expires <= trib_aws_now_us(a)) {
        rc = trib_err_set(err, TRIB_E_CONFIG,
                          "the sign-in of profile %s ended at %.30s: run `aws sso login --profile %s`", profile, until,
                          profile);
        err->retriable = true;
    } else {
        *ret = trib_strdup(token);
    }
    trib_aws_json_wipe(j);
    return rc;
}

static int parse(struct trib_view body, const char *profile, struct trib_aws_credentials *ret, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *provider = trib_asprintf("SSO profile %s", profile);
    json_t *j = NULL;
    TRIB_TRY(trib_aws_json_parse(body, provider, &j, err));
    const char *id = trib_aws_json_string(j, "roleCredentials.accessKeyId");
    const char *secret = trib_aws_json_string(j, "roleCredentials.secretAccessKey");
    const char *token = trib_aws_json_string(j, "roleCredentials.sessionToken");
    json_int_t ms = json_integer_value(trib_aws_json_at(j, "roleCredentials.expiration"));
    int rc = 0;
    if (id == NULL || secret == NULL || ms <= 0 || ms > INT64_MAX / 1000) {
        rc = trib_err_set(err, TRIB_E_DATA, "%s: the answer has no roleCredentials", provider);
    } else {
        *ret = trib_aws_credentials_make(id, secret, token, (int64_t)ms * 1000, provider);
    }
    trib_aws_json_wipe(j);
    return rc;
}

int trib_aws_from_sso(struct trib_aws *a, const struct trib_profiles *p, const char *profile,
                      struct trib_aws_credentials *ret, struct trib_err *err)
{
    struct sso s = {0};
    char *token = NULL;
    TRIB_TRY(settings(p, profile, &s, err));
    TRIB_TRY(token_of(a, &s, profile, &token, err));
    TRIB_CLEANUP(trib_cleanup_free) char *endpoint = trib_aws_endpoint_in(a, "portal.sso", s.region);
    const struct trib_http_header query[] = {{"account_id", s.account}, {"role_name", s.role}};
    const struct trib_http_header bearer = {"x-amz-sso_bearer_token", token};
    struct trib_aws_call c = {.service = "portal.sso",
                              .endpoint = endpoint,
                              .method = "GET",
                              .path = "/federation/credentials",
                              .query = query,
                              .n_query = 2,
                              .headers = &bearer,
                              .n_headers = 1,
                              .total_us = 30000000};
    int rc = trib_aws_calls_as(a, NULL, &c, 1, err);
    trib_aws_wipe(token);
    if (rc != 0 && c.response.status == 401) {
        rc = trib_err_set(err, TRIB_E_CONFIG,
                          "the sign-in of profile %s is no longer valid: run `aws sso login --profile %s`", profile,
                          profile);
    } else if (rc != 0) {
        (void)trib_err_wrap(err, "credentials of role %s in account %s for profile %s", s.role, s.account, profile);
    } else {
        rc = parse(trib_buf_view(&c.response.body), profile, ret, err);
    }
    trib_aws_wipe_response(&c.response);
    return rc;
}
