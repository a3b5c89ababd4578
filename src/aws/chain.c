/* The order in which credentials are looked for (chain.h; AWS SDKs and Tools Reference Guide, "Standardized credential
 * providers"), and the document that several of them share. */
#include "aws/chain.h"

#include <stdlib.h>

#include "aws/json.h"
#include "aws/sts.h"

enum { NOTES_MAX = 4096 };

const char *trib_aws_env(const struct trib_aws *a, const char *name)
{
    const char *v = a->host.getenv(a->host.getenv_ctx, name);
    return v == NULL || *v == '\0' ? NULL : v;
}

int trib_aws_from_environment(struct trib_aws *a, struct trib_aws_credentials *ret, struct trib_err *err)
{
    const char *id = trib_aws_env(a, "AWS_ACCESS_KEY_ID"), *secret = trib_aws_env(a, "AWS_SECRET_ACCESS_KEY");
    if (id == NULL && secret == NULL) {
        return trib_err_set(err, TRIB_E_NOT_FOUND, "no AWS_ACCESS_KEY_ID");
    }
    if (id == NULL || secret == NULL) {
        return trib_err_set(err, TRIB_E_CONFIG, "%s is set without %s: set both or none",
                            id != NULL ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                            id != NULL ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    }
    *ret = trib_aws_credentials_make(id, secret, trib_aws_env(a, "AWS_SESSION_TOKEN"), INT64_MAX, "the environment");
    return 0;
}

int trib_aws_credentials_parse(struct trib_view json, const char *provider, struct trib_aws_credentials *ret,
                               struct trib_err *err)
{
    json_t *j = NULL;
    TRIB_TRY(trib_aws_json_parse(json, provider, &j, err));
    const char *id = trib_aws_json_string(j, "AccessKeyId"), *secret = trib_aws_json_string(j, "SecretAccessKey");
    const char *token = trib_aws_json_string(j, "Token"), *until = trib_aws_json_string(j, "Expiration");
    token = token != NULL ? token : trib_aws_json_string(j, "SessionToken");
    int64_t expires = INT64_MAX;
    int rc = 0;
    if (id == NULL || secret == NULL || *id == '\0' || *secret == '\0') {
        rc = trib_err_set(err, TRIB_E_DATA, "%s: the answer has no AccessKeyId and SecretAccessKey", provider);
    } else if (until != NULL && !trib_aws_time_us(until, &expires)) {
        rc = trib_err_set(err, TRIB_E_DATA, "%s: the Expiration is no time", provider);
    } else {
        *ret = trib_aws_credentials_make(id, secret, token, expires, provider);
    }
    trib_aws_json_wipe(j);
    return rc;
}

static int web_identity_of_environment(struct trib_aws *a, const struct trib_profiles *p,
                                       struct trib_aws_credentials *ret, struct trib_err *err)
{
    (void)p;
    const char *file = trib_aws_env(a, "AWS_WEB_IDENTITY_TOKEN_FILE"), *role = trib_aws_env(a, "AWS_ROLE_ARN");
    if (file == NULL) {
        return trib_err_set(err, TRIB_E_NOT_FOUND, "no AWS_WEB_IDENTITY_TOKEN_FILE");
    }
    if (role == NULL) {
        return trib_err_set(err, TRIB_E_CONFIG, "AWS_WEB_IDENTITY_TOKEN_FILE is set without AWS_ROLE_ARN: set both");
    }
    return trib_aws_from_web_identity(a, file, role, trib_aws_env(a, "AWS_ROLE_SESSION_NAME"), ret, err);
}

static int environment(struct trib_aws *a, const struct trib_profiles *p, struct trib_aws_credentials *ret,
                       struct trib_err *err)
{
    (void)p;
    return trib_aws_from_environment(a, ret, err);
}

static int profile(struct trib_aws *a, const struct trib_profiles *p, struct trib_aws_credentials *ret,
                   struct trib_err *err)
{
    return trib_aws_from_profile(a, p, a->profile, ret, err);
}

static int container(struct trib_aws *a, const struct trib_profiles *p, struct trib_aws_credentials *ret,
                     struct trib_err *err)
{
    (void)p;
    return trib_aws_from_container(a, ret, err);
}

static int instance(struct trib_aws *a, const struct trib_profiles *p, struct trib_aws_credentials *ret,
                    struct trib_err *err)
{
    (void)p;
    return trib_aws_from_imds(a, ret, err);
}

typedef int (*provider_fn)(struct trib_aws *a, const struct trib_profiles *p, struct trib_aws_credentials *ret,
                           struct trib_err *err);

static int first_of(struct trib_aws *a, const struct trib_profiles *p, struct trib_aws_credentials *ret,
                    struct trib_err *err)
{
    static const provider_fn all[] = {environment, web_identity_of_environment, profile, container, instance};
    static const provider_fn asked[] = {profile}; /* the configuration names it: nothing else is meant */
    const provider_fn *fn = a->profile_asked ? asked : all;
    size_t n = a->profile_asked ? 1 : sizeof all / sizeof *all;
    struct trib_buf notes;
    trib_buf_init(&notes, NOTES_MAX);
    int rc = TRIB_E_NOT_FOUND;
    for (size_t i = 0; i < n && rc == TRIB_E_NOT_FOUND; i++) {
        struct trib_err why;
        rc = fn[i](a, p, ret, &why);
        if (rc == TRIB_E_NOT_FOUND) {
            trib_buf_addf(&notes, "%s%s", i == 0 ? "" : "; ", why.msg);
        } else if (rc != 0 && err != NULL) {
            *err = why;
        }
    }
    if (rc == TRIB_E_NOT_FOUND) {
        rc = trib_err_set(err, TRIB_E_CONFIG,
                          "no AWS credentials (%s): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile by "
                          "`aws configure` or `aws sso login`, or give this machine a role",
                          notes.p);
    }
    trib_buf_free(&notes);
    return rc;
}

int trib_aws_chain(struct trib_aws *a, struct trib_aws_credentials *ret, struct trib_err *err)
{
    struct trib_profiles *p = NULL; /* read anew: somebody may have renewed what stands there */
    TRIB_TRY(trib_profiles_load(&a->host, &p, err));
    struct trib_aws_credentials base = {0};
    int rc = first_of(a, p, &base, err);
    trib_profiles_free(p);
    if (rc != 0 || a->role_arn == NULL) {
        if (rc == 0) {
            *ret = base;
        }
        return rc;
    }
    struct trib_sts_role role = {a->role_arn, a->session_name, a->external_id, 0};
    rc = trib_sts_assume_role(a, &base, &role, ret, err);
    trib_aws_credentials_free(&base);
    return rc;
}
