/*
 * `snapshot` sources in the pipeline: the newest snapshot of the source's folder against Silver, what differs into the landing, from where ingest
 * takes it (ingest/snapshots.h, merge/diff.h, stage/diffs.h). Part of the pipeline; same thread.
 * Holds no position: the documents beside the landed objects say how far snapshots were compared. A crash leaves an object that no
 * document names, which nobody reads.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "ingest/snapshots.h"
#include "ingest/source.h"
#include "merge/diff.h"
#include "pipeline/own.h"
#include "pipeline/remote.h"
#include "stage/diffs.h"

struct trib_pipeline_compare {
    struct trib_store *path;      /* the source's folder */
    struct trib_ingest_opts opts; /* to read it with */
    struct trib_snapshots *snapshots;
    struct trib_diffs diffs;
    /* What was refused, so that a daemon does not compare it again and again. */
    uint64_t refused_mark;
    int64_t refused_time_us;
    struct trib_err refused;
};

int trib_pipeline_compare_open(struct trib_pipeline *p, struct trib_pipeline_table *t, struct trib_err *err)
{
    struct trib_pipeline_compare *c = trib_calloc(1, sizeof *c);
    int rc =
        trib_source_open(p->env->fs, trib_remote_for(p->env->remote, &t->cfg->aws), t->cfg->source_path, &c->path, err);
    if (rc != 0) {
        free(c);
        return rc;
    }
    c->opts = t->opts;
    c->opts.source = c->path;
    c->opts.type = TRIB_SOURCE_FILES;
    c->snapshots = trib_snapshots_new(p->env, &c->opts);
    TRIB_CLEANUP(trib_cleanup_free) char *folder = trib_path_landing(t->cfg->name);
    t->source = trib_store_below(p->env->lake, folder);
    t->compare = c;
    return 0;
}

void trib_pipeline_compare_free(struct trib_pipeline_compare *c)
{
    if (c == NULL) {
        return;
    }
    trib_snapshots_free(c->snapshots);
    trib_diffs_free(&c->diffs);
    trib_store_free(c->path);
    free(c);
}

static int next_item(void *ctx, struct trib_view *ret, struct trib_err *err)
{
    return trib_snapshots_item(ctx, ret, err);
}

/* The target that holds every item; the config has one. */
static const struct trib_merge_opts *whole_target(const struct trib_pipeline_table *t)
{
    const struct trib_merge_opts *found = NULL;
    for (size_t k = 0; k < t->n_targets && found == NULL; k++) {
        const struct trib_merge_opts *o = &t->targets[k].opts;
        found = o->where == NULL && !o->history ? o : NULL;
    }
    return found;
}

/* Lands the changes under a name of their own, then the document that makes them count. */
static int land(struct trib_pipeline *p, struct trib_pipeline_table *t, const char *name, int64_t time_us,
                const char *path, bool *ret_worked, struct trib_err *err)
{
    struct trib_pipeline_compare *c = t->compare;
    char uuid[37];
    trib_rng_uuid(p->env->rng, uuid);
    TRIB_CLEANUP(trib_cleanup_free)
    char *object = trib_asprintf("snapshots/%08zu-%020" PRId64 "-%.8s.json", c->diffs.n + 1, time_us, uuid);
    TRIB_TRY(trib_store_put_file(t->source, object, path, err));
    const struct trib_diff_doc doc = {.snapshot = (char *)(uintptr_t)name, .time_us = time_us, .object = object};
    struct trib_err own = {0};
    int rc = trib_diffs_add(t->source, &c->diffs, &doc, &own);
    if (rc == TRIB_E_EXISTS) { /* another process compared one meanwhile: look again next time */
        return trib_store_remove(t->source, object, err);
    }
    if (rc != 0) {
        *err = own;
        return rc;
    }
    *ret_worked = true;
    return trib_diffs_refresh(t->source, &c->diffs, err);
}

static void tell(struct trib_pipeline *p, const struct trib_pipeline_table *t, const char *name,
                 const struct trib_diff *d)
{
    TRIB_CLEANUP(trib_cleanup_free) char *added = trib_asprintf("%" PRId64, d->added);
    TRIB_CLEANUP(trib_cleanup_free) char *changed = trib_asprintf("%" PRId64, d->changed);
    TRIB_CLEANUP(trib_cleanup_free) char *removed = trib_asprintf("%" PRId64, d->removed);
    trib_logkv(p->env->log, TRIB_LOG_INFO, "a snapshot was compared", "table", t->cfg->name, "snapshot", name, "added",
               added, "changed", changed, "removed", removed, NULL);
}

static int compare(struct trib_pipeline *p, struct trib_pipeline_table *t, bool *ret_worked, struct trib_err *err)
{
    struct trib_pipeline_compare *c = t->compare;
    const char *name;
    int64_t time_us;
    uint64_t mark;
    TRIB_TRY(trib_diffs_refresh(t->source, &c->diffs, err));
    TRIB_TRY(trib_snapshots_newest(c->snapshots, &name, &time_us, &mark, err));
    const struct trib_diff_doc *last = c->diffs.n > 0 ? &c->diffs.docs[c->diffs.n - 1] : NULL;
    if (name == NULL || (last != NULL && time_us <= last->time_us)) {
        return 0;
    }
    if (c->refused.code != TRIB_OK && c->refused_mark == mark && c->refused_time_us == time_us) {
        *err = c->refused;
        return (int)err->code;
    }
    TRIB_TRY(trib_snapshots_open(c->snapshots, err));
    char uuid[37];
    trib_rng_uuid(p->env->rng, uuid);
    TRIB_CLEANUP(trib_cleanup_free) char *path = trib_asprintf("%s/diff-%s", p->env->scratch, uuid);
    const struct trib_diff_opts o = {.target = whole_target(t),
                                     .next = next_item,
                                     .ctx = c->snapshots,
                                     .name = name,
                                     .time_us = time_us,
                                     .max_removed = t->cfg->snapshot.max_removed,
                                     .accepted =
                                         t->cfg->snapshot.accept != NULL && strcmp(t->cfg->snapshot.accept, name) == 0,
                                     .waits_for = last == NULL ? NULL : last->object,
                                     .path = path};
    struct trib_diff d;
    int rc = trib_merge_diff(p->env, &o, &d, err);
    if (rc == TRIB_E_DATA) {
        c->refused = *err;
        c->refused_mark = mark;
        c->refused_time_us = time_us;
    } else if (rc == 0 && d.ready) {
        rc = land(p, t, name, time_us, path, ret_worked, err);
        if (rc == 0 && *ret_worked) {
            tell(p, t, name, &d);
        }
    }
    (void)unlink(path);
    return rc;
}

bool trib_pipeline_compare(struct trib_pipeline *p, struct trib_pipeline_table *t)
{
    if (t->compare == NULL || trib_pipeline_stopping(p)) {
        return false;
    }
    struct trib_err err = {0};
    bool worked = false;
    if (compare(p, t, &worked, &err) != 0) {
        trib_pipeline_tell(p, "ingest", t->cfg->name, NULL, NULL, &err);
        return false;
    }
    return worked;
}
