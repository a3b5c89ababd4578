/*
 * What comes from AWS and from a user's ~/.aws: any bytes. The first byte says where the rest stands: as both profile files, or as
 * the body of every answer (JSON, XML, an instance's or a container's document, with a status). Nothing crashes or hangs, every
 * failure has a text, and no text holds a control character.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "aws/sts.h"
#include "base/env.h"

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

struct world {
    struct trib_view files, body;
    int status;
    unsigned asked;
    bool keys;
};

static int fs_stat(void *ctx, const char *path, struct trib_fs_stat *ret, struct trib_err *err)
{
    struct world *w = ctx;
    if (w->files.p == NULL) {
        return trib_err_set(err, TRIB_E_NOT_FOUND, "%s", path);
    }
    *ret = (struct trib_fs_stat){.size = (int64_t)w->files.n};
    return 0;
}

static int fs_read(void *ctx, const char *path, int64_t offset, int64_t n, struct trib_buf *to, struct trib_err *err)
{
    struct world *w = ctx;
    (void)path, (void)offset, (void)n, (void)err;
    trib_buf_add(to, w->files.p, w->files.n);
    return 0;
}

static void perform(void *ctx, const struct trib_http_request *requests, struct trib_http_response *responses, size_t n)
{
    struct world *w = ctx;
    (void)requests;
    for (size_t i = 0; i < n; i++) {
        must(++w->asked < 1000);
        responses[i].status = w->status;
        trib_buf_init(&responses[i].body, 1 << 20);
        trib_buf_add(&responses[i].body, w->body.p, w->body.n);
    }
}

static void sleep_us(void *ctx, int64_t us) { (void)ctx, (void)us; }
static int64_t now_us(void *ctx)
{
    (void)ctx;
    return INT64_C(1440938160000000);
}

static const char *get(void *ctx, const char *name)
{
    const struct world *w = ctx;
    const char *const all[] = {"AWS_REGION",       "eu-west-1", "HOME", "/h", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                               w->keys ? "" : "/c"};
    const char *const own[] = {"AWS_ACCESS_KEY_ID", "a", "AWS_SECRET_ACCESS_KEY", "b"};
    for (size_t i = 0; i < 6; i += 2) {
        if (strcmp(name, all[i]) == 0) {
            return all[i + 1];
        }
    }
    for (size_t i = 0; w->keys && i < 4; i += 2) {
        if (strcmp(name, own[i]) == 0) {
            return own[i + 1];
        }
    }
    return NULL;
}

static void told(int rc, const struct trib_err *err)
{
    must(rc == 0 || (err->code == (enum trib_code)rc && err->msg[0] != '\0'));
    for (const char *c = rc == 0 ? "" : err->msg; *c != '\0'; c++) {
        must(((unsigned char)*c >= ' ' || *c == '\t') && *c != 127);
    }
}

static void use(struct world *w, const struct trib_aws_opts *o)
{
    struct trib_seeded seeded;
    trib_seeded_init(&seeded, 1);
    struct trib_rng rng = trib_seeded_rng(&seeded);
    struct trib_net net = {w, perform, sleep_us};
    struct trib_fs fs = {.ctx = w, .stat = fs_stat, .read = fs_read};
    struct trib_clock clock = {now_us, w};
    struct trib_aws_host host = {&net, &fs, &clock, &rng, NULL, get, w};
    struct trib_aws *a;
    struct trib_err err = {0};
    int rc = trib_aws_new(&host, o, &a, &err);
    told(rc, &err);
    if (rc != 0) {
        return;
    }
    struct trib_aws_credentials c;
    rc = trib_aws_credentials(a, &c, &err);
    told(rc, &err);
    if (rc == 0) {
        must(*c.key_id != '\0' && c.secret != NULL && c.provider != NULL);
        trib_aws_credentials_free(&c);
    }
    static const char *const services[] = {"dynamodb", "s3", "sts"};
    for (size_t i = 0; i < 3; i++) {
        struct trib_aws_call call = {.service = services[i], .target = i == 0 ? "D.Scan" : NULL, .path = "/b/k"};
        rc = trib_aws_call(a, &call, &err);
        told(rc, &err);
        trib_http_response_free(&call.response);
    }
    struct trib_sts_identity id;
    rc = trib_sts_get_caller_identity(a, &id, &err);
    told(rc, &err);
    if (rc == 0) {
        trib_sts_identity_free(&id);
    }
    trib_aws_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct trib_view rest = {(const char *)data + 1, size - 1};
    static const int statuses[] = {200, 400, 403, 301, 503};
    struct world w = {.status = statuses[data[0] % 5], .keys = data[0] % 2 == 1};
    if (data[0] >= 'a') {
        w.files = rest;
        if (memmem(rest.p, rest.n, "credential_process", 18) != NULL) {
            return 0; /* would run it */
        }
        use(&w, &(struct trib_aws_opts){.profile = "p"});
    } else {
        w.body = rest;
    }
    use(&w, &(struct trib_aws_opts){.role_arn = data[0] % 3 == 0 ? "R" : NULL});
    return 0;
}
