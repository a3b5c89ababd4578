/* See client.h. */
#include "fakeaws/client.h"

#include <stdlib.h>

#include "aws/sign.h"

enum { HEADERS_MAX = 16 };

void trib_fakeaws_send(struct trib_fakeaws *f, const struct trib_fakeaws_call *c, struct trib_http_response *ret)
{
    struct trib_http_header h[HEADERS_MAX];
    size_t n = 0;
    const char *host = strstr(c->url, "://") + 3;
    size_t host_n = strcspn(host, "/?"), path_n = strcspn(host + host_n, "?");
    char *name = trib_strndup(host, host_n), *path = trib_strndup(host + host_n, path_n);
    const char *query = host[host_n + path_n] == '?' ? host + host_n + path_n + 1 : "";
    int64_t now = trib_fakeaws_now_us(f) + c->skew_us;
    char date[17], sum[65], type[64];
    trib_amz_date(now, date);
    trib_sha256_hex(c->body, sum);
    h[n++] = (struct trib_http_header){"X-Amz-Date", date};
    if (strcmp(c->service, "s3") == 0) {
        h[n++] = (struct trib_http_header){"x-amz-content-sha256", sum};
    }
    if (c->target != NULL) {
        (void)snprintf(type, sizeof type, "application/x-amz-json-%s", c->version == NULL ? "1.0" : c->version);
        h[n++] = (struct trib_http_header){"X-Amz-Target", c->target};
        h[n++] = (struct trib_http_header){"Content-Type", type};
    }
    if (c->token != NULL) {
        h[n++] = (struct trib_http_header){"X-Amz-Security-Token", c->token};
    }
    for (size_t i = 0; i + 1 < 8 && c->headers[i] != NULL; i += 2) {
        h[n++] = (struct trib_http_header){c->headers[i], c->headers[i + 1]};
    }
    char id[128], secret[128];
    (void)snprintf(id, sizeof id, "%s", c->key_id == NULL ? TRIB_FAKEAWS_KEY_ID : c->key_id);
    (void)snprintf(secret, sizeof secret, "%s", c->secret == NULL ? TRIB_FAKEAWS_SECRET : c->secret);
    struct trib_aws_credentials who = {.key_id = id, .secret = secret};
    struct trib_sign s = {c->method == NULL ? "POST" : c->method,
                          name,
                          path,
                          query,
                          h,
                          n,
                          sum,
                          c->region == NULL ? "eu-west-1" : c->region,
                          c->service,
                          strcmp(c->service, "s3") == 0,
                          now};
    char *authorization = trib_sign_v4(&s, &who, NULL);
    if (!c->unsigned_at_all) {
        h[n++] = (struct trib_http_header){"Authorization", authorization};
    }
    struct trib_http_request q = {.method = s.method, .url = c->url, .headers = h, .n_headers = n, .body = c->body};
    *ret = (struct trib_http_response){0};
    trib_net_perform(trib_fakeaws_net(f), &q, ret, 1);
    free(authorization);
    free(path);
    free(name);
}

json_t *trib_fakeaws_json(struct trib_fakeaws *f, const char *operation, const char *body, int *ret_status)
{
    static const struct {
        const char *name, *target, *service, *version;
    } all[] = {{"dynamodb.", "DynamoDB_20120810.", "dynamodb", "1.0"},
               {"streams.", "DynamoDBStreams_20120810.", "dynamodb", "1.0"},
               {"kinesis.", "Kinesis_20131202.", "kinesis", "1.1"},
               {"sqs.", "AmazonSQS.", "sqs", "1.0"},
               {"ssm.", "AmazonSSM.", "ssm", "1.1"}};
    size_t i = 0;
    while (strncmp(operation, all[i].name, strlen(all[i].name)) != 0) {
        i++;
    }
    char *target = trib_asprintf("%s%s", all[i].target, operation + strlen(all[i].name));
    char *url = trib_asprintf("https://%s%s.eu-west-1.amazonaws.com/", i == 1 ? "streams." : "", all[i].service);
    struct trib_fakeaws_call c = {
        .url = url, .target = target, .version = all[i].version, .service = all[i].service, .body = trib_view_of(body)};
    struct trib_http_response r;
    trib_fakeaws_send(f, &c, &r);
    json_t *ret = r.status == 0 ? NULL : json_loadb(r.body.p, r.body.n, JSON_ALLOW_NUL, NULL);
    *ret_status = r.status;
    trib_http_response_free(&r);
    free(url);
    free(target);
    return ret;
}

void trib_fakeaws_s3(struct trib_fakeaws *f, const char *method, const char *path_and_query, struct trib_view body,
                     const char *header, const char *value, struct trib_http_response *ret)
{
    char *url = trib_asprintf("https://s3.eu-west-1.amazonaws.com%s", path_and_query);
    struct trib_fakeaws_call c = {
        .method = method, .url = url, .service = "s3", .body = body, .headers = {header, value}};
    trib_fakeaws_send(f, &c, ret);
    free(url);
}
