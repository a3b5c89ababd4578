/*
 * `verify`: the table as it is now against Silver (pipeline.h). Part of the pipeline; same thread. Writes nothing itself; a
 * crash leaves what the drains committed.
 */
#include <stdlib.h>

#include "capture/look.h"
#include "merge/differ.h"
#include "pipeline/own.h"

enum { ROUNDS = 5, SETTLED = 3 /* rounds that a difference must outlive */, TELL_EVERY = 4096 };

struct verify {
    struct trib_pipeline *p;
    struct trib_pipeline_table *t;
    const struct trib_verify_opts *o;
    struct trib_look *look;
    struct trib_differ *differ;
    int64_t read;
};

static int next_item(void *ctx, struct trib_view *ret_item, struct trib_err *err)
{
    struct verify *v = ctx;
    TRIB_TRY(trib_look_next(v->look, ret_item, err));
    if (ret_item->n > 0 && ++v->read % TELL_EVERY == 0 && v->o->read != NULL) {
        v->o->read(v->o->ctx, v->read);
    }
    return 0;
}

static int ask_keys(void *ctx, const struct trib_view *keys, size_t n, struct trib_err *err)
{
    struct verify *v = ctx;
    (void)err;
    trib_look_keys(v->look, keys, n);
    return 0;
}

static int drain(struct verify *v, struct trib_err *err)
{
    TRIB_TRY(v->o->drain(v->o->ctx, err));
    return trib_pipeline_stopping(v->p)
               ? trib_err_set(err, TRIB_E_CANCELLED, "table %s: stopped while comparing it", v->t->cfg->name)
               : 0;
}

static bool has_where(const struct trib_pipeline_table *t)
{
    for (size_t k = 0; k < t->n_targets; k++) {
        if (t->targets[k].opts.where != NULL) {
            return true;
        }
    }
    return false;
}

/* The first look: all of it, or a sample. Leaves in ret->differ what is to be looked at again. */
static int first(struct verify *v, struct trib_verified *ret, struct trib_err *err)
{
    if (has_where(v->t)) {
        TRIB_TRY(drain(v, err)); /* conditions go by what Bronze has learnt */
    }
    if (v->o->sample > 0) {
        TRIB_TRY(trib_look_random(v->look, v->o->sample, err));
        TRIB_TRY(trib_differ_sample(v->differ, next_item, v, v->o->sample, &ret->items, err));
        ret->differ = ret->items;
        return 0;
    }
    trib_look_scan(v->look);
    TRIB_TRY(trib_differ_source(v->differ, next_item, v, &ret->items, err));
    TRIB_TRY(drain(v, err));
    return trib_differ_compare(v->differ, &ret->rows, &ret->differ, &ret->moving, err);
}

static int compare(struct verify *v, struct trib_verified *ret, struct trib_err *err)
{
    const struct trib_net *net = v->p->host->net;
    TRIB_TRY(first(v, ret, err));
    while (ret->differ + ret->moving > 0 && ret->again < (ret->moving > 0 ? ROUNDS : SETTLED)) {
        if (ret->again > 0) {
            net->sleep_us(net->ctx, INT64_C(500000) * ret->again);
        }
        int64_t rows;
        TRIB_TRY(trib_differ_again(v->differ, ask_keys, next_item, v, err));
        TRIB_TRY(drain(v, err));
        TRIB_TRY(trib_differ_compare(v->differ, &rows, &ret->differ, &ret->moving, err));
        if (v->o->sample > 0 && ret->again == 0) {
            ret->rows = rows;
        }
        ret->again++;
    }
    return ret->differ == 0 ? 0 : trib_differ_rows(v->differ, v->o->rows, v->o->ctx, err);
}

static int run(struct verify *v, struct trib_verified *ret, struct trib_err *err)
{
    const struct trib_cfg_capture *c = &v->t->cfg->capture;
    const struct trib_look_opts look = {.aws = v->t->aws,
                                        .net = v->p->host->net,
                                        .rng = v->p->env->rng,
                                        .table = v->t->cfg->name,
                                        .segments = c->segments,
                                        .rate = c->rate,
                                        .stop_asked = v->p->env->stop_asked,
                                        .stop_ctx = v->p->env->stop_ctx};
    const struct trib_merge_opts **targets = trib_calloc(v->t->n_targets, sizeof *targets);
    size_t n = 0;
    for (size_t k = 0; k < v->t->n_targets; k++) {
        if (!v->t->targets[k].opts.history) {
            targets[n++] = &v->t->targets[k].opts;
        }
    }
    v->look = trib_look_new(&look);
    int rc = trib_differ_new(v->p->env, targets, n, &v->differ, err);
    if (rc == 0) {
        rc = compare(v, ret, err);
    }
    trib_differ_free(v->differ);
    trib_look_free(v->look);
    free(targets);
    return rc;
}

int trib_pipeline_verify(struct trib_pipeline *p, const struct trib_verify_opts *o, struct trib_verified *ret,
                         struct trib_err *err)
{
    struct trib_pipeline_table *t = &p->tables[0];
    struct verify v = {.p = p, .t = t, .o = o};
    struct trib_verified found = {0};
    if (!t->cfg->capture.on) {
        return trib_err_set(
            err, TRIB_E_UNSUPPORTED,
            "table %s: verify reads the table in DynamoDB, and its source is files: only tables with source type "
            "streams can be verified in this version",
            t->cfg->name);
    }
    TRIB_TRY(trib_pipeline_aws(p, t, err));
    TRIB_TRY(run(&v, &found, err));
    *ret = found;
    return 0;
}
