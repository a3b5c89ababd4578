/*
 * SQS with S3's events, SSM's parameters, STS: as much of them as Tributary calls. Messages come at least once: one that is not
 * deleted comes again after its visibility timeout.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fakeaws/own.h"

enum { VALUE_MAX = 4096, MESSAGE_MAX = 1 << 18 };

struct message {
    char *body, id[37], receipt[64];
    int64_t visible_us, sent_us;
    unsigned received;
};
struct queue {
    char *name;
    struct message *all;
    size_t n, cap;
};
struct parameter {
    char *name, *value;
    int64_t version, time_us;
};
struct role {
    char *arn, *external_id, *web_token;
};
struct fk_more {
    struct queue *queues;
    size_t n_queues, queues_cap;
    struct parameter *parameters;
    size_t n_parameters, parameters_cap;
    struct role *roles;
    size_t n_roles, roles_cap;
    char *events_bucket, *events_queue;
};

static struct fk_more *more_of(struct trib_fakeaws *f)
{
    if (f->more == NULL) {
        f->more = trib_calloc(1, sizeof *f->more);
    }
    return f->more;
}

void fk_more_free(struct fk_more *m)
{
    for (size_t i = 0; m != NULL && i < m->n_queues; i++) {
        for (size_t k = 0; k < m->queues[i].n; k++) {
            free(m->queues[i].all[k].body);
        }
        free(m->queues[i].all);
        free(m->queues[i].name);
    }
    for (size_t i = 0; m != NULL && i < m->n_parameters; i++) {
        free(m->parameters[i].name);
        free(m->parameters[i].value);
    }
    for (size_t i = 0; m != NULL && i < m->n_roles; i++) {
        free(m->roles[i].arn);
        free(m->roles[i].external_id);
        free(m->roles[i].web_token);
    }
    if (m != NULL) {
        free(m->queues);
        free(m->parameters);
        free(m->roles);
        free(m->events_bucket);
        free(m->events_queue);
    }
    free(m);
}

/* ---- SQS --------------------------------------------------------------------------------------------------------- */
static struct queue *queue_find(struct trib_fakeaws *f, const char *url)
{
    struct fk_more *m = more_of(f);
    const char *slash = url == NULL ? NULL : strrchr(url, '/'), *name = slash == NULL ? url : slash + 1;
    for (size_t i = 0; name != NULL && i < m->n_queues; i++) {
        if (strcmp(m->queues[i].name, name) == 0) {
            return &m->queues[i];
        }
    }
    return NULL;
}

static void send(struct trib_fakeaws *f, struct queue *q, const char *body)
{
    TRIB_GROW(q->all, q->cap, q->n + 1);
    struct message *m = &q->all[q->n++];
    *m = (struct message){.body = trib_strdup(body), .sent_us = f->now_us};
    fk_uuid(f, m->id);
}

static void md5_text(const char *text, char to[33])
{
    unsigned char md5[16];
    fk_md5(trib_view_of(text), md5);
    fk_hex(md5, 16, to);
}

static void receive(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct queue *u)
{
    int64_t max = fk_int(q->json, "MaxNumberOfMessages", 1), hide = fk_int(q->json, "VisibilityTimeout", 30), n = 0;
    int64_t wait = fk_int(q->json, "WaitTimeSeconds", 0);
    struct trib_buf *b = fk_body(r);
    if (max < 1 || max > 10 || wait < 0 || wait > 20) {
        fk_error(f, q, r, 400, "InvalidParameterValue",
                 "Value for parameter MaxNumberOfMessages or WaitTimeSeconds is "
                 "invalid. Reason: Must be between 1 and 10, 0 and 20.");
        return;
    }
    trib_buf_addc(b, '{');
    for (size_t i = 0; i < u->n && n < max; i++) {
        struct message *m = &u->all[i];
        if (m->visible_us > f->now_us) {
            continue;
        }
        char md5[33];
        m->visible_us = f->now_us + hide * SECOND;
        m->received++;
        (void)snprintf(m->receipt, sizeof m->receipt, "%s-%u", m->id, m->received);
        md5_text(m->body, md5);
        trib_buf_addf(b, "%s{\"MessageId\":\"%s\",\"ReceiptHandle\":\"%s\",\"MD5OfBody\":\"%s\",\"Body\":",
                      n++ > 0 ? "," : "\"Messages\":[", m->id, m->receipt, md5);
        trib_json_string(b, trib_view_of(m->body));
        trib_buf_addf(b, ",\"Attributes\":{\"ApproximateReceiveCount\":\"%u\",\"SentTimestamp\":\"%lld\"}}",
                      m->received, (long long)(m->sent_us / 1000));
    }
    trib_buf_adds(b, n > 0 ? "]}" : "}");
    r->wait_us = n == 0 ? wait * SECOND : 0;
}

static bool message_delete(struct queue *u, const char *receipt)
{
    for (size_t i = 0; receipt != NULL && i < u->n; i++) {
        size_t n = strlen(u->all[i].id);
        if (strncmp(u->all[i].id, receipt, n) == 0 && receipt[n] == '-') {
            if (strcmp(u->all[i].receipt, receipt) == 0) { /* an older handle deletes nothing */
                free(u->all[i].body);
                u->n--;
                memmove(u->all + i, u->all + i + 1, (u->n - i) * sizeof *u->all);
            }
            return true;
        }
    }
    return receipt != NULL && strchr(receipt, '-') != NULL;
}

static void delete_batch(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, struct queue *u)
{
    json_t *all = json_object_get(q->json, "Entries"), *one;
    size_t i, n = json_array_size(all);
    if (n < 1 || n > 10) {
        fk_error(f, q, r, 400, n < 1 ? "EmptyBatchRequest" : "TooManyEntriesInBatchRequest", "1 to 10 entries");
        return;
    }
    struct trib_buf *b = fk_body(r), failed;
    trib_buf_init(&failed, MESSAGE_MAX);
    trib_buf_adds(&failed, "");
    size_t good = 0;
    trib_buf_adds(b, "{\"Successful\":[");
    json_array_foreach(all, i, one)
    {
        if (message_delete(u, fk_str(one, "ReceiptHandle"))) {
            trib_buf_addf(b, "%s{\"Id\":\"%s\"}", good++ > 0 ? "," : "", fk_str(one, "Id"));
        } else {
            trib_buf_addf(&failed, "%s{\"Id\":\"%s\",\"SenderFault\":true,\"Code\":\"ReceiptHandleIsInvalid\"}",
                          failed.n > 0 ? "," : "", fk_str(one, "Id"));
        }
    }
    trib_buf_adds(b, "],\"Failed\":[");
    trib_buf_adds(b, failed.p);
    trib_buf_adds(b, "]}");
    trib_buf_free(&failed);
}

void fk_sqs(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    char *action = trib_asprintf("sqs:%s", q->target);
    bool allowed = fk_allowed(f, q, r, action, "queue");
    free(action);
    if (!allowed) {
        return;
    }
    bool by_name = strcmp(q->target, "GetQueueUrl") == 0;
    struct queue *u = queue_find(f, fk_str(q->json, by_name ? "QueueName" : "QueueUrl"));
    if (u == NULL) {
        fk_set(r, "x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender");
        fk_error(f, q, r, 400, "com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.");
    } else if (by_name) {
        trib_buf_addf(fk_body(r), "{\"QueueUrl\":\"https://sqs.%s.amazonaws.com/%s/%s\"}", f->region, f->account,
                      u->name);
    } else if (strcmp(q->target, "ReceiveMessage") == 0) {
        receive(f, q, r, u);
    } else if (strcmp(q->target, "DeleteMessageBatch") == 0) {
        delete_batch(f, q, r, u);
    } else if (strcmp(q->target, "DeleteMessage") == 0) {
        if (!message_delete(u, fk_str(q->json, "ReceiptHandle"))) {
            fk_error(f, q, r, 400, "com.amazonaws.sqs#ReceiptHandleIsInvalid",
                     "The specified receipt handle isn't valid.");
        }
    } else if (strcmp(q->target, "SendMessage") == 0 && fk_str(q->json, "MessageBody") != NULL) {
        char md5[33];
        send(f, u, fk_str(q->json, "MessageBody"));
        md5_text(fk_str(q->json, "MessageBody"), md5);
        trib_buf_addf(fk_body(r), "{\"MessageId\":\"%s\",\"MD5OfMessageBody\":\"%s\"}", u->all[u->n - 1].id, md5);
    } else {
        fk_error(f, q, r, 400, "UnknownOperationException", "%s", "");
    }
}

void fk_object_told(struct trib_fakeaws *f, const struct fk_bucket *b, const struct fk_object *o)
{
    struct fk_more *m = f->more;
    if (m == NULL || m->events_bucket == NULL || strcmp(m->events_bucket, b->name) != 0) {
        return;
    }
    char time[32];
    struct trib_buf t;
    fk_iso(f->now_us, true, time);
    trib_buf_init(&t, MESSAGE_MAX);
    trib_buf_addf(
        &t,
        "{\"Records\":[{\"eventVersion\":\"2.1\",\"eventSource\":\"aws:s3\",\"awsRegion\":\"%s\",\"eventTime\":"
        "\"%s\",\"eventName\":\"ObjectCreated:Put\",\"s3\":{\"s3SchemaVersion\":\"1.0\",\"configurationId\":"
        "\"fake\",\"bucket\":{\"name\":\"%s\",\"arn\":\"arn:aws:s3:::%s\"},\"object\":{\"key\":\"",
        f->region, time, b->name, b->name);
    fk_s3_url_key(&t, o->key);
    trib_buf_addf(&t, "\",\"size\":%zu,\"eTag\":\"%.*s\",\"sequencer\":\"%016llX\"}}}]}", o->n,
                  (int)strlen(o->etag) - 2, o->etag + 1, (unsigned long long)f->now_us);
    send(f, queue_find(f, m->events_queue), t.p);
    trib_buf_free(&t);
}

/* ---- SSM --------------------------------------------------------------------------------------------------------- */
static struct parameter *parameter_find(struct trib_fakeaws *f, const char *name)
{
    struct fk_more *m = more_of(f);
    for (size_t i = 0; name != NULL && i < m->n_parameters; i++) {
        if (strcmp(m->parameters[i].name, name) == 0) {
            return &m->parameters[i];
        }
    }
    return NULL;
}

static struct parameter *parameter_set(struct trib_fakeaws *f, const char *name, const char *value)
{
    struct fk_more *m = more_of(f);
    struct parameter *p = parameter_find(f, name);
    if (p == NULL) {
        TRIB_GROW(m->parameters, m->parameters_cap, m->n_parameters + 1);
        p = &m->parameters[m->n_parameters++];
        *p = (struct parameter){.name = trib_strdup(name)};
    }
    free(p->value);
    p->value = trib_strdup(value);
    p->version++;
    p->time_us = f->now_us;
    return p;
}

void fk_ssm(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    const char *name = fk_str(q->json, "Name"), *value = fk_str(q->json, "Value"), *type = fk_str(q->json, "Type");
    char *action = trib_asprintf("ssm:%s", q->target);
    bool allowed = fk_allowed(f, q, r, action, name == NULL ? "*" : name);
    struct parameter *p = parameter_find(f, name);
    free(action);
    if (!allowed) {
        return;
    }
    if (strcmp(q->target, "GetParameter") == 0) {
        if (p == NULL) {
            fk_error(f, q, r, 400, "ParameterNotFound", "%s", "");
            return;
        }
        trib_buf_adds(fk_body(r), "{\"Parameter\":{\"Name\":");
        trib_json_string(fk_body(r), trib_view_of(p->name));
        trib_buf_adds(fk_body(r), ",\"Type\":\"String\",\"Value\":");
        trib_json_string(fk_body(r), trib_view_of(p->value));
        trib_buf_addf(fk_body(r), ",\"Version\":%lld,\"LastModifiedDate\":", (long long)p->version);
        fk_time(fk_body(r), p->time_us);
        trib_buf_addf(fk_body(r), ",\"ARN\":\"arn:aws:ssm:%s:%s:parameter%s%s\",\"DataType\":\"text\"}}", f->region,
                      f->account, *p->name == '/' ? "" : "/", p->name);
    } else if (strcmp(q->target, "PutParameter") != 0) {
        fk_error(f, q, r, 400, "UnknownOperationException", "%s", "");
    } else if (name == NULL || value == NULL || *value == '\0' || strlen(value) > VALUE_MAX) {
        fk_error(f, q, r, 400, "ValidationException",
                 "Standard tier parameters support a maximum parameter value of 4096 characters, and at least 1.");
    } else if (p != NULL && !json_is_true(json_object_get(q->json, "Overwrite"))) {
        fk_error(f, q, r, 400, "ParameterAlreadyExists",
                 "The parameter already exists. To overwrite this value, set the overwrite option in the request to "
                 "true.");
    } else if (p == NULL && type == NULL) {
        fk_error(f, q, r, 400, "ValidationException", "A parameter type is required when you create a parameter.");
    } else {
        p = parameter_set(f, name, value);
        trib_buf_addf(fk_body(r), "{\"Tier\":\"Standard\",\"Version\":%lld}", (long long)p->version);
    }
}

/* ---- STS --------------------------------------------------------------------------------------------------------- */
/* New temporary credentials as STS tells them. */
static void credentials_text(struct trib_fakeaws *f, struct trib_buf *b, int64_t seconds)
{
    char until[32];
    unsigned long long x[4];
    for (size_t i = 0; i < 4; i++) {
        x[i] = trib_seeded_next(&f->rng);
    }
    char *id = trib_asprintf("ASIA%016llX", x[0]), *secret = trib_asprintf("%016llx+%016llx", x[1], x[2]);
    char *token = trib_asprintf("token/%016llx==", x[3]);
    int64_t expires = f->now_us + seconds * SECOND;
    fk_iso(expires, false, until);
    TRIB_GROW(f->credentials, f->credentials_cap, f->n_credentials + 1);
    f->credentials[f->n_credentials++] = (struct fk_credential){id, secret, token, expires};
    trib_buf_addf(b,
                  "<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s"
                  "</SessionToken><Expiration>%s</Expiration></Credentials>",
                  id, secret, token, until);
}

static const struct role *role_find(struct trib_fakeaws *f, const char *arn)
{
    struct fk_more *m = more_of(f);
    for (size_t i = 0; arn != NULL && i < m->n_roles; i++) {
        if (strcmp(m->roles[i].arn, arn) == 0) {
            return &m->roles[i];
        }
    }
    return NULL;
}

static void assume(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r, bool web)
{
    const char *arn = fk_param(q, "RoleArn"), *external = fk_param(q, "ExternalId"),
               *session = fk_param(q, "RoleSessionName"), *token = fk_param(q, "WebIdentityToken"),
               *duration = fk_param(q, "DurationSeconds");
    int64_t seconds = duration == NULL ? 3600 : strtoll(duration, NULL, 10);
    const struct role *role = role_find(f, arn);
    if (arn == NULL || session == NULL || strlen(session) < 2 || (external != NULL && strlen(external) < 2) ||
        seconds < 900 || seconds > 43200 || (web && token == NULL)) {
        fk_error(f, q, r, 400, "ValidationError",
                 "1 validation error detected: a parameter is missing or out of range");
        return;
    }
    if (web && role != NULL && role->web_token != NULL && strcmp(token, role->web_token) != 0) {
        fk_error(f, q, r, 400, "InvalidIdentityToken", "The web identity token that was passed could not be validated");
        return;
    }
    if (role == NULL || web != (role->web_token != NULL) ||
        (role->external_id != NULL && (external == NULL || strcmp(external, role->external_id) != 0))) {
        fk_error(f, q, r, 403, "AccessDenied",
                 "User: arn:aws:iam::%s:user/fake is not authorized to perform: %s on "
                 "resource: %s",
                 f->account, web ? "sts:AssumeRoleWithWebIdentity" : "sts:AssumeRole", arn);
        return;
    }
    const char *name = web ? "AssumeRoleWithWebIdentity" : "AssumeRole";
    trib_buf_addf(fk_body(r), "<%sResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><%sResult>", name, name);
    credentials_text(f, fk_body(r), seconds);
    trib_buf_addf(fk_body(r),
                  "<AssumedRoleUser><AssumedRoleId>AROAFAKE:%s</AssumedRoleId><Arn>%s/%s</Arn></AssumedRoleUser>"
                  "</%sResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>",
                  session, arn, session, name, r->request_id, name);
}

void fk_sts(struct trib_fakeaws *f, struct fk_req *q, struct fk_res *r)
{
    const char *action = fk_param(q, "Action");
    fk_set(r, "content-type", "text/xml");
    if (strcmp(action, "AssumeRole") == 0 || strcmp(action, "AssumeRoleWithWebIdentity") == 0) {
        assume(f, q, r, strcmp(action, "AssumeRole") != 0);
    } else if (strcmp(action, "GetCallerIdentity") == 0) {
        trib_buf_addf(
            fk_body(r),
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
            "<GetCallerIdentityResult><Arn>arn:aws:iam::%s:user/fake</Arn><UserId>AIDAFAKE</UserId><Account>%s"
            "</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>%s</RequestId>"
            "</ResponseMetadata></GetCallerIdentityResponse>",
            f->account, f->account, r->request_id);
    } else {
        fk_error(f, q, r, 400, "InvalidAction", "Could not find operation %s for version 2011-06-15", action);
    }
}

/* ---- what a test asks for ---------------------------------------------------------------------------------------- */
void trib_fakeaws_queue(struct trib_fakeaws *f, const char *queue)
{
    fk_lock(f);
    struct fk_more *m = more_of(f);
    TRIB_GROW(m->queues, m->queues_cap, m->n_queues + 1);
    m->queues[m->n_queues++] = (struct queue){.name = trib_strdup(queue)};
    fk_unlock(f);
}

static struct queue *queue_get(struct trib_fakeaws *f, const char *name)
{
    struct queue *q = queue_find(f, name);
    if (q == NULL) {
        fk_bug("no queue %s", name);
    }
    return q;
}

void trib_fakeaws_queue_send(struct trib_fakeaws *f, const char *queue, const char *body)
{
    fk_lock(f);
    send(f, queue_get(f, queue), body);
    fk_unlock(f);
}

size_t trib_fakeaws_queue_count(struct trib_fakeaws *f, const char *queue)
{
    fk_lock(f);
    size_t n = queue_get(f, queue)->n;
    fk_unlock(f);
    return n;
}

void trib_fakeaws_bucket_events(struct trib_fakeaws *f, const char *bucket, const char *queue)
{
    fk_lock(f);
    struct fk_more *m = more_of(f);
    (void)queue_get(f, queue);
    free(m->events_bucket);
    free(m->events_queue);
    m->events_bucket = trib_strdup(bucket);
    m->events_queue = trib_strdup(queue);
    fk_unlock(f);
}

void trib_fakeaws_parameter(struct trib_fakeaws *f, const char *name, const char *value)
{
    fk_lock(f);
    (void)parameter_set(f, name, value);
    fk_unlock(f);
}

void trib_fakeaws_role(struct trib_fakeaws *f, const char *arn, const char *external_id, const char *web_token)
{
    fk_lock(f);
    struct fk_more *m = more_of(f);
    TRIB_GROW(m->roles, m->roles_cap, m->n_roles + 1);
    m->roles[m->n_roles++] = (struct role){trib_strdup(arn), external_id == NULL ? NULL : trib_strdup(external_id),
                                           web_token == NULL ? NULL : trib_strdup(web_token)};
    fk_unlock(f);
}
