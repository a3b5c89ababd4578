/*
 * How s3:// is reached (remote.h). Owns the AWS sessions, one for each way that the configuration has to reach AWS, and the cache of
 * copies that all stores share. A session is made when the first store of it is opened. A crash leaves what the cache leaves (s3.h).
 */
#include "pipeline/remote.h"

#include <assert.h>
#include <stdlib.h>

#include "store/s3.h"

enum { FIELDS = 5 };

/* One way to reach AWS. */
struct way {
    struct trib_store_remote remote; /* its ctx is the way */
    struct trib_remote *owner;
    char *fields[FIELDS]; /* region, profile, endpoint_url, role_arn, external_id */
    struct trib_aws *aws;
    struct way *next;
};

struct trib_remote {
    const struct trib_aws_host *host;
    struct trib_s3_cache *cache;
    struct trib_s3_sse sse[TRIB_CFG_S3_PREFIXES]; /* own copies */
    struct way *ways;                             /* the last one is the top's */
    struct way *top;
};

static char *copied(const char *s) { return s == NULL ? NULL : trib_strdup(s); }

static int open_way(void *ctx, const char *url, struct trib_store **ret, struct trib_err *err)
{
    struct way *w = ctx;
    struct trib_remote *r = w->owner;
    if (w->aws == NULL) {
        const struct trib_aws_opts o = {.region = w->fields[0],
                                        .profile = w->fields[1],
                                        .endpoint_url = w->fields[2],
                                        .role_arn = w->fields[3],
                                        .external_id = w->fields[4]};
        if (trib_aws_new(r->host, &o, &w->aws, err) != 0) {
            return trib_err_wrap(err, "%s", url);
        }
    }
    const struct trib_s3_opts o = {.aws = w->aws,
                                   .url = url,
                                   .sse = r->sse,
                                   .n_sse = TRIB_CFG_S3_PREFIXES,
                                   .cache = r->cache,
                                   .fs = r->host->fs,
                                   .rng = r->host->rng};
    return trib_store_open_s3(&o, ret, err);
}

static void release_way(void *ctx) { trib_s3_cache_release(((struct way *)ctx)->owner->cache); }

static struct way *way_for(struct trib_remote *r, const struct trib_cfg_aws *aws)
{
    const char *const fields[FIELDS] = {aws->region, aws->profile, aws->endpoint_url, aws->role_arn, aws->external_id};
    for (struct way *w = r->ways; w != NULL; w = w->next) {
        size_t i = 0;
        while (i < FIELDS && (fields[i] == NULL ? w->fields[i] == NULL
                                                : w->fields[i] != NULL && strcmp(fields[i], w->fields[i]) == 0)) {
            i++;
        }
        if (i == FIELDS) {
            return w;
        }
    }
    struct way *w = trib_calloc(1, sizeof *w);
    w->owner = r;
    w->remote = (struct trib_store_remote){open_way, release_way, w};
    for (size_t i = 0; i < FIELDS; i++) {
        w->fields[i] = copied(fields[i]);
    }
    w->next = r->ways;
    r->ways = w;
    return w;
}

struct trib_remote *trib_remote_new(const struct trib_aws_host *host, const struct trib_config *config,
                                    const char *copies)
{
    static const struct trib_cfg_aws nothing = {0};
    struct trib_remote *r = trib_calloc(1, sizeof *r);
    r->host = host;
    r->cache = trib_s3_cache_new(host->fs, copies, 0);
    for (size_t i = 0; i < TRIB_CFG_S3_PREFIXES; i++) {
        const struct trib_cfg_s3 *s = config == NULL ? NULL : &config->s3[i];
        r->sse[i] = (struct trib_s3_sse){trib_strdup(s == NULL ? "" : s->prefix), s == NULL ? NULL : copied(s->sse),
                                         s == NULL ? NULL : copied(s->kms_key)};
    }
    r->top = way_for(r, config == NULL ? &nothing : &config->aws);
    return r;
}

void trib_remote_free(struct trib_remote *r)
{
    if (r == NULL) {
        return;
    }
    while (r->ways != NULL) {
        struct way *w = r->ways;
        r->ways = w->next;
        trib_aws_free(w->aws);
        for (size_t i = 0; i < FIELDS; i++) {
            free(w->fields[i]);
        }
        free(w);
    }
    for (size_t i = 0; i < TRIB_CFG_S3_PREFIXES; i++) {
        free((void *)(uintptr_t)r->sse[i].prefix);
        free((void *)(uintptr_t)r->sse[i].sse);
        free((void *)(uintptr_t)r->sse[i].kms_key);
    }
    trib_s3_cache_free(r->cache);
    free(r);
}

const struct trib_store_remote *trib_remote_top(const struct trib_remote *r) { return &r->top->remote; }

const struct trib_store_remote *trib_remote_for(const struct trib_store_remote *top, const struct trib_cfg_aws *aws)
{
    if (top == NULL) {
        return NULL;
    }
    assert(top->open == open_way);
    return &way_for(((const struct way *)top->ctx)->owner, aws)->remote;
}
