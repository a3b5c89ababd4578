/*
 * Credentials of a profile (chain.h): a role by another profile, by web identity or by a source of the machine's; SSO; keys;
 * a process. Chains of profiles are followed to a bounded depth, a circle is told.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "aws/chain.h"
#include "aws/sts.h"
#include "os/run.h"

enum { CHAIN_MAX = 8, PROCESS_MAX = 1 << 16 };
static const int64_t PROCESS_US = 60000000;

struct resolve {
    struct trib_aws *a;
    const struct trib_profiles *p;
    const char *seen[CHAIN_MAX];
    size_t n;
};

static int of_profile(struct resolve *r, const char *profile, struct trib_aws_credentials *ret, struct trib_err *err);

static const char *get(const struct resolve *r, const char *profile, const char *key)
{
    return trib_profiles_get(r->p, profile, key);
}

int trib_aws_from_web_identity(struct trib_aws *a, const char *token_file, const char *role_arn,
                               const char *session_name, struct trib_aws_credentials *ret, struct trib_err *err)
{
    struct trib_buf token;
    int rc = trib_aws_read_secret(&a->host, token_file, &token, err);
    if (rc != 0) {
        (void)trib_err_wrap(err, "the web identity token");
        return rc == TRIB_E_NOT_FOUND ? trib_err_set(err, TRIB_E_CONFIG,
                                                     "no web identity token in %s (AWS_WEB_IDENTITY_TOKEN_FILE or "
                                                     "web_identity_token_file names it)",
                                                     token_file)
                                      : rc;
    }
    while (token.n > 0 && isspace((unsigned char)token.p[token.n - 1])) {
        token.p[--token.n] = '\0';
    }
    struct trib_sts_role role = {role_arn, session_name != NULL ? session_name : a->session_name, NULL, 0};
    rc = token.n == 0 ? trib_err_set(err, TRIB_E_CONFIG, "the web identity token in %s is empty", token_file)
                      : trib_sts_assume_role_with_web_identity(a, token.p, &role, ret, err);
    trib_aws_wipe_buf(&token);
    return rc;
}

static int static_keys(struct resolve *r, const char *profile, struct trib_aws_credentials *ret, struct trib_err *err)
{
    const char *id = get(r, profile, "aws_access_key_id"), *secret = get(r, profile, "aws_secret_access_key");
    if (id == NULL && secret == NULL) {
        return trib_err_set(err, TRIB_E_NOT_FOUND, "profile %s has no keys", profile);
    }
    if (id == NULL || secret == NULL) {
        return trib_err_set(err, TRIB_E_CONFIG, "profile %s has aws_%s but no aws_%s", profile,
                            id != NULL ? "access_key_id" : "secret_access_key",
                            id != NULL ? "secret_access_key" : "access_key_id");
    }
    TRIB_CLEANUP(trib_cleanup_free) char *provider = trib_asprintf("profile %s", profile);
    *ret = trib_aws_credentials_make(id, secret, get(r, profile, "aws_session_token"), INT64_MAX, provider);
    return 0;
}

static int of_source(struct resolve *r, const char *profile, const char *source, struct trib_aws_credentials *ret,
                     struct trib_err *err)
{
    int rc = strcmp(source, "Environment") == 0           ? trib_aws_from_environment(r->a, ret, err)
             : strcmp(source, "Ec2InstanceMetadata") == 0 ? trib_aws_from_imds(r->a, ret, err)
             : strcmp(source, "EcsContainer") == 0        ? trib_aws_from_container(r->a, ret, err)
                                                          : trib_err_set(err, TRIB_E_CONFIG,
                                                                         "'%.60s' is none of Environment, "
                                                                                "Ec2InstanceMetadata, EcsContainer",
                                                                         source);
    if (rc != 0) {
        (void)trib_err_wrap(err, "credential_source of profile %s", profile);
        rc = rc == TRIB_E_NOT_FOUND ? TRIB_E_CONFIG : rc;
        err->code = (enum trib_code)rc;
    }
    return rc;
}

/* The credentials that may assume the profile's role. */
static int base_of(struct resolve *r, const char *profile, struct trib_aws_credentials *ret, struct trib_err *err)
{
    const char *source = get(r, profile, "source_profile"), *from = get(r, profile, "credential_source");
    if (source != NULL && from != NULL) {
        return trib_err_set(err, TRIB_E_CONFIG, "profile %s has source_profile and credential_source: keep one",
                            profile);
    }
    if (from != NULL) {
        return of_source(r, profile, from, ret, err);
    }
    if (source == NULL) {
        return trib_err_set(err, TRIB_E_CONFIG,
                            "profile %s has role_arn, but no source_profile, credential_source or "
                            "web_identity_token_file",
                            profile);
    }
    if (!trib_profiles_has(r->p, source)) {
        return trib_err_set(err, TRIB_E_CONFIG, "profile %s: there is no source_profile %s", profile, source);
    }
    int rc = strcmp(source, profile) == 0 ? static_keys(r, profile, ret, err) : of_profile(r, source, ret, err);
    if (rc == TRIB_E_NOT_FOUND) {
        rc = trib_err_set(err, TRIB_E_CONFIG, "profile %s: its source_profile %s has no credentials", profile, source);
    }
    return rc;
}

static int of_role(struct resolve *r, const char *profile, const char *arn, struct trib_aws_credentials *ret,
                   struct trib_err *err)
{
    const char *file = get(r, profile, "web_identity_token_file"), *name = get(r, profile, "role_session_name");
    if (file != NULL) {
        TRIB_CLEANUP(trib_cleanup_free) char *path = trib_aws_home_path(&r->a->host, file);
        return trib_aws_from_web_identity(r->a, path == NULL ? file : path, arn, name, ret, err);
    }
    if (get(r, profile, "mfa_serial") != NULL) {
        return trib_err_set(err, TRIB_E_UNSUPPORTED,
                            "profile %s asks for a code (mfa_serial), which a pipeline cannot type: use a role without "
                            "it, or credential_process",
                            profile);
    }
    const char *duration = get(r, profile, "duration_seconds");
    long seconds = duration == NULL ? 0 : strtol(duration, NULL, 10);
    if (duration != NULL && (seconds < 900 || seconds > 43200)) {
        return trib_err_set(err, TRIB_E_CONFIG, "profile %s: duration_seconds is not 900 to 43200", profile);
    }
    struct trib_aws_credentials base = {0};
    TRIB_TRY(base_of(r, profile, &base, err));
    struct trib_sts_role role = {arn, name != NULL ? name : r->a->session_name, get(r, profile, "external_id"),
                                 (int)seconds};
    int rc = trib_sts_assume_role(r->a, &base, &role, ret, err);
    trib_aws_credentials_free(&base);
    return rc == 0 ? 0 : trib_err_wrap(err, "profile %s", profile);
}

static int of_process(const char *profile, const char *command, struct trib_aws_credentials *ret, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *provider = trib_asprintf("credential_process of profile %s", profile);
    struct trib_buf out;
    trib_buf_init(&out, PROCESS_MAX);
    (void)trib_buf_reserve(&out, PROCESS_MAX - 1);
    int rc = trib_os_run(command, PROCESS_US, &out, err);
    if (rc != 0) {
        (void)trib_err_wrap(err, "%s: run it by hand to see why", provider);
    } else {
        rc = trib_aws_credentials_parse(trib_buf_view(&out), provider, ret, err);
    }
    trib_aws_wipe_buf(&out);
    return rc;
}

static int of_profile(struct resolve *r, const char *profile, struct trib_aws_credentials *ret, struct trib_err *err)
{
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->seen[i], profile) == 0) {
            return trib_err_set(err, TRIB_E_CONFIG, "the source_profile of profile %s leads back to it", profile);
        }
    }
    if (r->n == CHAIN_MAX) {
        return trib_err_set(err, TRIB_E_LIMIT, "more than %d profiles by source_profile", CHAIN_MAX);
    }
    r->seen[r->n++] = profile;
    const char *role = get(r, profile, "role_arn"), *command = get(r, profile, "credential_process");
    if (role != NULL) {
        return of_role(r, profile, role, ret, err);
    }
    if (get(r, profile, "sso_session") != NULL || get(r, profile, "sso_start_url") != NULL) {
        return trib_aws_from_sso(r->a, r->p, profile, ret, err);
    }
    int rc = static_keys(r, profile, ret, err);
    if (rc == TRIB_E_NOT_FOUND && command != NULL) {
        return of_process(profile, command, ret, err);
    }
    if (rc == TRIB_E_NOT_FOUND && get(r, profile, "login_session") != NULL) {
        return trib_err_set(err, TRIB_E_UNSUPPORTED,
                            "profile %s is of `aws login`, whose cache only AWS's tools can use: add a profile with "
                            "credential_process = aws configure export-credentials --profile %s",
                            profile, profile);
    }
    if (rc == TRIB_E_NOT_FOUND && trib_profiles_has(r->p, profile)) {
        return trib_err_set(err, TRIB_E_NOT_FOUND, "profile %s has no credentials", profile);
    }
    if (rc == TRIB_E_NOT_FOUND) {
        return trib_err_set(err, TRIB_E_NOT_FOUND, "no profile %s in %s", profile, trib_profiles_config_path(r->p));
    }
    return rc;
}

int trib_aws_from_profile(struct trib_aws *a, const struct trib_profiles *p, const char *profile,
                          struct trib_aws_credentials *ret, struct trib_err *err)
{
    struct resolve r = {.a = a, .p = p};
    return of_profile(&r, profile, ret, err);
}
