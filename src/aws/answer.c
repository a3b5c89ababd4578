/*
 * What an AWS service's failure means: its code and request id, whether it is worth another try, and what the user can do.
 * Codes come in a header, in JSON or in XML, by service. Pure; any thread.
 */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "aws/own.h"
#include "aws/xml.h"

enum { MESSAGE_MAX = 500, BODY_MAX = 1 << 20 };

struct failure {
    char code[64], message[MESSAGE_MAX], region[40], request_id[80];
};

static bool one_of(const char *code, const char *const *list)
{
    while (*list != NULL && strcasecmp(code, *list) != 0) {
        list++;
    }
    return *list != NULL;
}

/* "com.amazonaws.x#CodeException:http://…" → "CodeException" */
static void set_code(struct failure *f, const char *text)
{
    const char *hash = strrchr(text, '#');
    text = hash == NULL ? text : hash + 1;
    size_t n = 0;
    while (isalnum((unsigned char)text[n]) || text[n] == '.' || text[n] == '_' || text[n] == '-') {
        n++;
    }
    (void)snprintf(f->code, sizeof f->code, "%.*s", (int)n, text);
}

static void copy(char *to, size_t size, const char *text)
{
    if (text == NULL) {
        return;
    }
    (void)snprintf(to, size, "%s", text);
    for (char *c = to; *c != '\0'; c++) { /* one line, and no escape codes of a stranger's */
        *c = (unsigned char)*c < ' ' || *c == 127 ? ' ' : *c;
    }
}

static void from_json(struct failure *f, struct trib_view body)
{
    json_t *j = json_loadb(body.p, body.n, JSON_ALLOW_NUL, NULL);
    const char *type = json_string_value(json_object_get(j, "__type"));
    type = type != NULL ? type : json_string_value(json_object_get(j, "code"));
    type = type != NULL ? type : json_string_value(json_object_get(j, "Code"));
    type = type != NULL ? type : json_string_value(json_object_get(j, "error"));
    if (type != NULL && *f->code == '\0') {
        set_code(f, type);
    }
    const char *message = json_string_value(json_object_get(j, "message"));
    message = message != NULL ? message : json_string_value(json_object_get(j, "Message"));
    message = message != NULL ? message : json_string_value(json_object_get(j, "error_description"));
    copy(f->message, sizeof f->message, message);
    json_decref(j);
}

static void from_xml(struct failure *f, struct trib_view body)
{
    struct trib_arena arena;
    trib_arena_init(&arena);
    const struct trib_xml *root = NULL;
    struct trib_err ignored;
    if (trib_xml_parse(body, &arena, &root, &ignored) == 0) {
        const struct trib_xml *error = strcmp(root->name, "Error") == 0 ? root : trib_xml_child(root, "Error");
        const char *code = trib_xml_text(error, "Code"), *id = trib_xml_text(root, "RequestId");
        if (code != NULL) {
            set_code(f, code);
        }
        copy(f->message, sizeof f->message, trib_xml_text(error, "Message"));
        copy(f->region, sizeof f->region, trib_xml_text(error, "Region"));
        copy(f->request_id, sizeof f->request_id, id != NULL ? id : trib_xml_text(error, "RequestId"));
    }
    trib_arena_free(&arena);
}

/* Some answers have no body (HEAD, proxies). */
static const char *code_of_status(int status)
{
    switch (status) {
    case 301: return "PermanentRedirect";
    case 307: return "TemporaryRedirect";
    case 400: return "BadRequest";
    case 403: return "AccessDenied";
    case 404: return "NotFound";
    case 409: return "Conflict";
    case 412: return "PreconditionFailed";
    case 429: return "TooManyRequests";
    case 503: return "ServiceUnavailable";
    default: return status >= 500 ? "InternalError" : "Unknown";
    }
}

static void parse(const struct trib_http_response *r, struct failure *f)
{
    const char *type = trib_http_header_get(r, "x-amzn-errortype");
    if (type != NULL) {
        set_code(f, type);
    }
    struct trib_view body = trib_buf_view(&r->body);
    while (body.n > 0 && isspace((unsigned char)*body.p)) {
        body.p++;
        body.n--;
    }
    if (body.n > 0 && body.n <= BODY_MAX && *body.p == '{') {
        from_json(f, body);
    } else if (body.n > 0 && body.n <= BODY_MAX && *body.p == '<') {
        from_xml(f, body);
    }
    const char *id = trib_http_header_get(r, "x-amzn-requestid");
    id = id != NULL ? id : trib_http_header_get(r, "x-amz-request-id");
    copy(f->request_id, sizeof f->request_id, id);
    copy(f->region, sizeof f->region, *f->region == '\0' ? trib_http_header_get(r, "x-amz-bucket-region") : NULL);
    if (*f->code == '\0') {
        copy(f->code, sizeof f->code, code_of_status(r->status));
    }
    if (*f->message == '\0') {
        (void)snprintf(f->message, sizeof f->message, "status %d without an explanation", r->status);
    }
}

/* ---- names -------------------------------------------------------------------------------------------------------- */

static bool has_query(const struct trib_aws_call *c, const char *name)
{
    for (size_t i = 0; i < c->n_query; i++) {
        if (strcmp(c->query[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The key of an S3 call's path, "" for the bucket itself. */
static const char *s3_key(const struct trib_aws_call *c)
{
    const char *p = c->path == NULL ? "/" : c->path;
    p += *p == '/';
    if (c->host_bucket == NULL) {
        p += strcspn(p, "/");
        p += *p == '/';
    }
    return p;
}

static const char *s3_action(const struct trib_aws_call *c)
{
    const char *m = c->method == NULL ? "POST" : c->method;
    bool key = *s3_key(c) != '\0';
    if (strcmp(m, "GET") == 0 || strcmp(m, "HEAD") == 0) {
        return has_query(c, "uploads")      ? "ListBucketMultipartUploads"
               : has_query(c, "uploadId")   ? "ListMultipartUploadParts"
               : has_query(c, "versioning") ? "GetBucketVersioning"
               : has_query(c, "location")   ? "GetBucketLocation"
               : key                        ? "GetObject"
                                            : "ListBucket";
    }
    if (strcmp(m, "DELETE") == 0) {
        return has_query(c, "uploadId") ? "AbortMultipartUpload" : "DeleteObject";
    }
    return has_query(c, "delete") ? "DeleteObject" : key ? "PutObject" : "CreateBucket";
}

void trib_aws_call_name(const struct trib_aws_call *c, char *to, size_t size)
{
    const char *signing = trib_aws_service(c->service)->signing;
    signing = *signing == '\0' ? c->service : signing;
    const char *action = "request";
    size_t n = 0;
    if (c->target != NULL) {
        const char *dot = strrchr(c->target, '.');
        action = dot == NULL ? c->target : dot + 1;
    } else if (strcmp(c->service, "s3") == 0) {
        action = s3_action(c);
    } else if (c->body.n > 7 && memcmp(c->body.p, "Action=", 7) == 0) {
        action = c->body.p + 7;
        while (7 + n < c->body.n && isalnum((unsigned char)action[n])) {
            n++;
        }
    }
    (void)snprintf(to, size, "%s:%.*s", strcmp(signing, "monitoring") == 0 ? "cloudwatch" : signing,
                   (int)(n > 0 ? n : strlen(action)), action);
}

/* What a policy's Resource would have to be, as far as the call tells; "" where the service's message says it. */
static void resource_of(const struct trib_aws_call *c, char *to, size_t size)
{
    *to = '\0';
    if (strcmp(c->service, "s3") == 0) {
        const char *key = s3_key(c), *path = c->path == NULL ? "/" : c->path;
        path += *path == '/';
        const char *bucket = c->host_bucket != NULL ? c->host_bucket : path;
        size_t n = c->host_bucket != NULL ? strlen(bucket) : strcspn(path, "/");
        (void)snprintf(to, size, " on arn:aws:s3:::%.*s%s%.200s", (int)(n < 64 ? n : 64), bucket,
                       *key == '\0' ? "" : "/", key);
    }
}

/* ---- meaning ------------------------------------------------------------------------------------------------------ */

static const char *const throttles[] = {"Throttling",
                                        "ThrottlingException",
                                        "ThrottledException",
                                        "RequestThrottled",
                                        "RequestThrottledException",
                                        "TooManyRequests",
                                        "TooManyRequestsException",
                                        "ProvisionedThroughputExceededException",
                                        "RequestLimitExceeded",
                                        "BandwidthLimitExceeded",
                                        "LimitExceededException",
                                        "SlowDown",
                                        "EC2ThrottledException",
                                        "KMSThrottlingException",
                                        "PriorRequestNotComplete",
                                        NULL};
static const char *const transients[] = {"RequestTimeout",
                                         "RequestTimeoutException",
                                         "InternalError",
                                         "InternalFailure",
                                         "InternalServerError",
                                         "InternalServerErrorException",
                                         "ServiceUnavailable",
                                         "ServiceUnavailableException",
                                         "TransactionInProgressException",
                                         "ConditionalRequestConflict",
                                         "OperationAborted",
                                         "IDPCommunicationError",
                                         NULL};
static const char *const skews[] = {"RequestTimeTooSkewed",
                                    "RequestExpired",
                                    "RequestInTheFuture",
                                    "InvalidSignatureException",
                                    "SignatureDoesNotMatch",
                                    "AuthFailure",
                                    NULL};
static const char *const expiries[] = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", NULL};
static const char *const unknown_keys[] = {"UnrecognizedClientException",
                                           "InvalidClientTokenId",
                                           "InvalidAccessKeyId",
                                           "InvalidToken",
                                           "InvalidClientTokenIdException",
                                           "MissingAuthenticationToken",
                                           "MissingAuthenticationTokenException",
                                           NULL};
static const char *const denials[] = {
    "AccessDenied",      "AccessDeniedException", "UnauthorizedOperation",     "NotAuthorized",
    "AllAccessDisabled", "UnauthorizedAccess",    "KMS.AccessDeniedException", NULL};
static const char *const missing[] = {"ResourceNotFoundException",
                                      "TableNotFoundException",
                                      "NoSuchBucket",
                                      "NoSuchKey",
                                      "NoSuchUpload",
                                      "NotFound",
                                      "ParameterNotFound",
                                      "QueueDoesNotExist",
                                      "ExportNotFoundException",
                                      NULL};
static const char *const redirects[] = {"PermanentRedirect",
                                        "TemporaryRedirect",
                                        "Redirect",
                                        "AuthorizationHeaderMalformed",
                                        "IncorrectEndpoint",
                                        "IllegalLocationConstraintException",
                                        NULL};
static const char *const taken[] = {"PreconditionFailed", "ParameterAlreadyExists", NULL};
static const char *const conflicts[] = {"ConditionalCheckFailedException", "Conflict", "ResourceInUseException", NULL};

static enum trib_aws_answer kind_of(const struct failure *f, int status)
{
    if (one_of(f->code, expiries)) {
        return TRIB_AWS_EXPIRED;
    }
    /* A key that was rotated in a file looks unknown; one look at the file tells. */
    if (one_of(f->code, unknown_keys)) {
        return TRIB_AWS_EXPIRED;
    }
    if (one_of(f->code, skews)) {
        return TRIB_AWS_SKEWED;
    }
    if (one_of(f->code, throttles) || status == 429) {
        return TRIB_AWS_THROTTLED;
    }
    bool transient = status == 500 || status == 502 || status == 503 || status == 504 || one_of(f->code, transients);
    return transient ? TRIB_AWS_TRANSIENT : TRIB_AWS_FINAL;
}

struct meaning {
    enum trib_code code;
    bool retriable;
    char remedy[400];
};

static void denial(struct meaning *m, const struct trib_aws_call *c, const char *action, const char *provider)
{
    char resource[300];
    resource_of(c, resource, sizeof resource);
    bool read = strcmp(action, "s3:GetObject") == 0;
    if (strcmp(action, "sts:AssumeRole") == 0) {
        (void)snprintf(m->remedy, sizeof m->remedy,
                       "let the role's trust policy allow it to that identity (external id included), and the "
                       "identity's own policy sts:AssumeRole");
        return;
    }
    (void)snprintf(m->remedy, sizeof m->remedy, "allow %s%s to the identity of %s%s", action, resource, provider,
                   read ? " (without s3:ListBucket a missing object looks the same)" : "");
}

/* Calls without a signature: a web identity's role, SSO, the machine's endpoints. The callers say what they know. */
static void unsigned_meaning(struct meaning *m, const struct failure *f, enum trib_aws_answer kind, const char *action)
{
    bool sts = strncmp(action, "sts:", 4) == 0;
    if (kind == TRIB_AWS_EXPIRED || strcmp(f->code, "InvalidIdentityToken") == 0) {
        m->retriable = true; /* its file is renewed by somebody else */
        (void)snprintf(m->remedy, sizeof m->remedy,
                       "check that the token is renewed, and the role's identity provider");
    } else if (one_of(f->code, denials)) {
        m->code = TRIB_E_CONFIG;
        (void)snprintf(m->remedy, sizeof m->remedy, "%s",
                       sts ? "let the role's trust policy allow it to this identity" : "");
    } else if (one_of(f->code, missing)) {
        m->code = TRIB_E_NOT_FOUND;
    }
}

static struct meaning meaning_of(const struct trib_aws *a, const struct trib_aws_call *c, const struct failure *f,
                                 enum trib_aws_answer kind, const char *action, const char *provider)
{
    struct meaning m = {TRIB_E_UNAVAILABLE, kind == TRIB_AWS_THROTTLED || kind == TRIB_AWS_TRANSIENT, ""};
    if (provider == NULL) {
        unsigned_meaning(&m, f, kind, action);
    } else if (one_of(f->code, unknown_keys)) {
        m.code = TRIB_E_CONFIG;
        (void)snprintf(m.remedy, sizeof m.remedy,
                       "the keys come from %s: check that they are active, of this partition, and that region %s is "
                       "enabled for the account",
                       provider, a->region);
    } else if (kind == TRIB_AWS_EXPIRED) {
        m.retriable = true;
        (void)snprintf(m.remedy, sizeof m.remedy, "the credentials come from %s: renew them there (aws sso login)",
                       provider);
    } else if (kind == TRIB_AWS_SKEWED) {
        m.code = TRIB_E_CONFIG;
        (void)snprintf(m.remedy, sizeof m.remedy,
                       "check this machine's clock, and that secret and key id from %s belong together", provider);
    } else if (one_of(f->code, denials)) {
        m.code = TRIB_E_CONFIG;
        denial(&m, c, action, provider);
    } else if (one_of(f->code, redirects)) {
        m.code = TRIB_E_CONFIG;
        (void)snprintf(m.remedy, sizeof m.remedy,
                       *f->region == '\0' ? "set aws.region to the bucket's region, it is not %s%s"
                                          : "the region was %s: set aws.region to %s",
                       a->region, f->region);
    } else if (one_of(f->code, missing)) {
        m.code = TRIB_E_NOT_FOUND;
        (void)snprintf(m.remedy, sizeof m.remedy, "check the name, the account and the region, which is %s", a->region);
    } else if (one_of(f->code, taken)) {
        m.code = TRIB_E_EXISTS;
    } else if (one_of(f->code, conflicts)) {
        m.code = TRIB_E_CONFLICT;
    } else if (kind == TRIB_AWS_THROTTLED) {
        (void)snprintf(m.remedy, sizeof m.remedy, "throttled %u times: lower the rate, or raise the capacity",
                       c->tries);
    } else if (kind == TRIB_AWS_TRANSIENT) {
        (void)snprintf(m.remedy, sizeof m.remedy, "the service failed %u times: try again later", c->tries);
    }
    return m;
}

enum trib_aws_answer trib_aws_answer(const struct trib_aws *a, const struct trib_aws_call *c, const char *provider,
                                     struct trib_err *err)
{
    char action[128];
    trib_aws_call_name(c, action, sizeof action);
    if (c->response.status == 0) {
        *err = c->response.err;
        (void)trib_err_wrap(err, "%s", action);
        return err->retriable ? TRIB_AWS_TRANSIENT : TRIB_AWS_FINAL;
    }
    struct failure f = {.code = ""};
    parse(&c->response, &f);
    enum trib_aws_answer kind = kind_of(&f, c->response.status);
    struct meaning m = meaning_of(a, c, &f, kind, action, provider);
    (void)trib_err_set(err, m.code, "%s: %s: %s%s%s", action, f.code, f.message, *m.remedy == '\0' ? "" : ": ",
                       m.remedy);
    err->retriable = m.retriable;
    err->ambiguous = c->response.status >= 500;
    (void)snprintf(err->service_code, sizeof err->service_code, "%s", f.code);
    (void)snprintf(err->request_id, sizeof err->request_id, "%s", f.request_id);
    return kind;
}

bool trib_aws_error_in_success(const struct trib_aws_call *c)
{
    const char *m = c->method == NULL ? "POST" : c->method;
    if (strcmp(c->service, "s3") != 0 || strcmp(m, "GET") == 0 || strcmp(m, "HEAD") == 0 || c->response.body.n == 0) {
        return false;
    }
    const char *p = strstr(c->response.body.p, "<Error>");
    return p != NULL && p - c->response.body.p < 200;
}
