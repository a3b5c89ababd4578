/*
 * Captured tables in the pipeline: when their stage is due, what a failure costs (pipeline.h). Part of the pipeline; same thread.
 * Holds no position: a stage that failed is made anew, from what the landing holds.
 */
#include "pipeline/own.h"

bool trib_pipeline_captures(const struct trib_pipeline *p)
{
    for (size_t i = 0; i < p->n_tables; i++) {
        if (p->tables[i].cfg->capture.on) {
            return true;
        }
    }
    return false;
}

int trib_pipeline_aws(struct trib_pipeline *p, struct trib_pipeline_table *t, struct trib_err *err)
{
    const struct trib_cfg_aws *a = &t->cfg->aws;
    const struct trib_aws_opts o = {.region = a->region,
                                    .profile = a->profile,
                                    .endpoint_url = a->endpoint_url,
                                    .role_arn = a->role_arn,
                                    .external_id = a->external_id};
    return t->aws != NULL ? 0 : trib_aws_new(p->host, &o, &t->aws, err);
}

static int open_capture(struct trib_pipeline *p, struct trib_pipeline_table *t, bool once, struct trib_err *err)
{
    const struct trib_cfg_capture *c = &t->cfg->capture;
    TRIB_TRY(trib_pipeline_aws(p, t, err));
    const struct trib_capture_opts o = {.pipeline = p->config->pipeline,
                                        .table = t->cfg->name,
                                        .aws = t->aws,
                                        .stream_arn = c->stream,
                                        .kinesis = c->kinesis,
                                        .bootstrap = c->bootstrap,
                                        .bucket = c->bucket,
                                        .prefix = c->prefix,
                                        .keys = t->keys,
                                        .n_keys = t->opts.n_keys,
                                        .buffer_bytes = c->buffer_bytes,
                                        .buffer_interval_us = c->buffer_interval_us,
                                        .segments = c->segments,
                                        .rate = c->rate,
                                        .once = once};
    return trib_capture_new(p->env, &o, &t->capture, err);
}

/* A failure of a daemon's capture: from the documents again, after a wait that doubles. */
static void capture_failed(struct trib_pipeline *p, struct trib_pipeline_table *t, bool once, int64_t now_us,
                           const struct trib_err *err)
{
    static const int64_t first_us = 1000000, most_us = 60000000;
    trib_pipeline_tell(p, "capture", t->cfg->name, NULL, NULL, err);
    trib_capture_free(t->capture);
    t->capture = NULL;
    t->capture_over = once;
    int64_t wait = t->capture_failures < 6 ? first_us << t->capture_failures : most_us;
    t->capture_failures++;
    t->capture_due_us = now_us + wait;
}

static void step_capture(struct trib_pipeline *p, struct trib_pipeline_table *t, bool once)
{
    struct trib_err err = {0};
    struct trib_step step = {0};
    int64_t now_us = trib_now_us(p->env->clock);
    int rc = t->capture == NULL ? open_capture(p, t, once, &err) : 0;
    if (rc == 0) {
        rc = trib_capture_step(t->capture, now_us, &step, &err);
    }
    if (rc != 0) {
        capture_failed(p, t, once, now_us, &err);
        return;
    }
    t->capture_failures = 0;
    t->capture_due_us = step.due_us;
    t->capture_over = once && trib_capture_done(t->capture);
    if (step.rows_out > 0) {
        trib_pipeline_tell(p, "capture", t->cfg->name, NULL, &step, NULL);
    }
}

int64_t trib_pipeline_capture(struct trib_pipeline *p, bool once)
{
    int64_t due_us = INT64_MAX;
    for (size_t i = 0; i < p->n_tables; i++) {
        struct trib_pipeline_table *t = &p->tables[i];
        if (!t->cfg->capture.on || t->capture_over) {
            continue;
        }
        if (t->capture_due_us <= trib_now_us(p->env->clock) && !trib_pipeline_stopping(p)) {
            step_capture(p, t, once);
        }
        if (!t->capture_over && t->capture_due_us < due_us) {
            due_us = t->capture_due_us;
        }
    }
    return due_us;
}

void trib_pipeline_capture_again(struct trib_pipeline *p)
{
    for (size_t i = 0; i < p->n_tables; i++) {
        struct trib_pipeline_table *t = &p->tables[i];
        trib_capture_free(t->capture);
        t->capture = NULL;
        t->capture_over = false;
        t->capture_due_us = 0;
    }
}

void trib_pipeline_flush(struct trib_pipeline *p)
{
    for (size_t i = 0; i < p->n_tables; i++) {
        struct trib_pipeline_table *t = &p->tables[i];
        struct trib_err err = {0};
        struct trib_step step = {.version = -1};
        int rc = t->capture == NULL ? 0 : trib_capture_flush(t->capture, trib_now_us(p->env->clock), &step, &err);
        if (rc != 0 || step.worked) {
            trib_pipeline_tell(p, "capture", t->cfg->name, NULL, &step, rc != 0 ? &err : NULL);
        }
    }
}
