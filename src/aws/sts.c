/* Security Token Service (sts.h). Answers hold secrets: what they are parsed into is wiped. */
#include "aws/sts.h"

#include <stdlib.h>
#include <string.h>

#include "aws/json.h"
#include "aws/own.h"
#include "aws/sign.h"
#include "aws/xml.h"

enum { FORM_MAX = 1 << 18 };
static const struct trib_http_header form_type = {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"};

static void field(struct trib_buf *form, const char *name, const char *value)
{
    if (value != NULL) {
        trib_buf_addf(form, "&%s=", name);
        trib_uri_encode(trib_view_of(value), false, form);
    }
}

static void begin(struct trib_buf *form, const char *action, const struct trib_sts_role *role)
{
    trib_buf_init(form, FORM_MAX);
    trib_buf_addf(form, "Action=%s&Version=2011-06-15", action);
    if (role != NULL) {
        field(form, "RoleArn", role->role_arn);
        field(form, "RoleSessionName", role->session_name == NULL ? "tributary" : role->session_name);
        field(form, "ExternalId", role->external_id);
        if (role->duration_s > 0) {
            trib_buf_addf(form, "&DurationSeconds=%d", role->duration_s);
        }
    }
}

static struct trib_aws_call call_of(const struct trib_buf *form)
{
    return (struct trib_aws_call){
        .service = "sts", .headers = &form_type, .n_headers = 1, .body = trib_buf_view(form), .total_us = 30000000};
}

static void wipe_tree(const struct trib_xml *n)
{
    for (; n != NULL; n = n->next) {
        if (*n->text != '\0') {
            explicit_bzero((void *)(uintptr_t)n->text, strlen(n->text));
        }
        wipe_tree(n->children);
    }
}

/* result: "AssumeRoleResult" */
static int credentials_of(const struct trib_aws_call *c, const char *result, const char *provider,
                          struct trib_aws_credentials *ret, struct trib_err *err)
{
    struct trib_arena arena;
    trib_arena_init(&arena);
    const struct trib_xml *root = NULL;
    int rc = trib_xml_parse(trib_buf_view(&c->response.body), &arena, &root, err);
    if (rc == 0) {
        const struct trib_xml *k = trib_xml_child(trib_xml_child(root, result), "Credentials");
        const char *id = trib_xml_text(k, "AccessKeyId"), *secret = trib_xml_text(k, "SecretAccessKey");
        const char *token = trib_xml_text(k, "SessionToken");
        int64_t expires;
        if (id == NULL || secret == NULL || token == NULL ||
            !trib_aws_time_us(trib_xml_text(k, "Expiration"), &expires)) {
            rc = trib_err_set(err, TRIB_E_DATA, "sts: the answer lacks credentials or their Expiration");
        } else {
            *ret = trib_aws_credentials_make(id, secret, token, expires, provider);
        }
    }
    wipe_tree(root);
    trib_arena_free(&arena);
    return rc;
}

static int assume(struct trib_aws *a, const struct trib_aws_credentials *as, struct trib_buf *form, const char *result,
                  const char *provider, struct trib_aws_credentials *ret, struct trib_err *err)
{
    int rc = trib_buf_check(form, "a request to assume a role", err);
    struct trib_aws_call c = call_of(form);
    rc = rc != 0 ? rc : trib_aws_calls_as(a, as, &c, 1, err);
    rc = rc != 0 ? rc : credentials_of(&c, result, provider, ret, err);
    trib_aws_wipe_response(&c.response);
    trib_aws_wipe_buf(form);
    return rc;
}

int trib_sts_assume_role(struct trib_aws *a, const struct trib_aws_credentials *as, const struct trib_sts_role *role,
                         struct trib_aws_credentials *ret, struct trib_err *err)
{
    struct trib_buf form;
    begin(&form, "AssumeRole", role);
    TRIB_CLEANUP(trib_cleanup_free)
    char *provider = trib_asprintf("role %s (assumed with %s)", role->role_arn, as->provider);
    int rc = assume(a, as, &form, "AssumeRoleResult", provider, ret, err);
    if (rc != 0) {
        (void)trib_err_wrap(err, "assuming the role %s", role->role_arn);
    }
    return rc;
}

int trib_sts_assume_role_with_web_identity(struct trib_aws *a, const char *token, const struct trib_sts_role *role,
                                           struct trib_aws_credentials *ret, struct trib_err *err)
{
    struct trib_buf form;
    begin(&form, "AssumeRoleWithWebIdentity", role);
    (void)trib_buf_reserve(&form, 3 * strlen(token) + 64); /* so that no copy of the token is left behind */
    field(&form, "WebIdentityToken", token);
    TRIB_CLEANUP(trib_cleanup_free) char *provider = trib_asprintf("role %s (web identity)", role->role_arn);
    int rc = assume(a, NULL, &form, "AssumeRoleWithWebIdentityResult", provider, ret, err);
    if (rc != 0) {
        (void)trib_err_wrap(err, "assuming the role %s by web identity", role->role_arn);
    }
    return rc;
}

void trib_sts_identity_free(struct trib_sts_identity *i)
{
    free(i->account);
    free(i->arn);
    free(i->user_id);
    *i = (struct trib_sts_identity){0};
}

static char *dup_text(const char *s) { return trib_strdup(s == NULL ? "" : s); }

int trib_sts_get_caller_identity(struct trib_aws *a, struct trib_sts_identity *ret, struct trib_err *err)
{
    struct trib_buf form;
    begin(&form, "GetCallerIdentity", NULL);
    struct trib_aws_call c = call_of(&form);
    int rc = trib_aws_call(a, &c, err);
    struct trib_arena arena;
    trib_arena_init(&arena);
    const struct trib_xml *root = NULL;
    rc = rc != 0 ? rc : trib_xml_parse(trib_buf_view(&c.response.body), &arena, &root, err);
    if (rc == 0) {
        const struct trib_xml *r = trib_xml_child(root, "GetCallerIdentityResult");
        if (r == NULL) {
            rc = trib_err_set(err, TRIB_E_DATA, "sts: the answer lacks GetCallerIdentityResult");
        } else {
            *ret = (struct trib_sts_identity){dup_text(trib_xml_text(r, "Account")), dup_text(trib_xml_text(r, "Arn")),
                                              dup_text(trib_xml_text(r, "UserId"))};
        }
    }
    trib_arena_free(&arena);
    trib_http_response_free(&c.response);
    trib_buf_free(&form);
    return rc;
}
