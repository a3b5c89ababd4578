/* Questions about commits, answered from the commits alone: times, changes between versions, history. */
#include <inttypes.h>
#include <stdlib.h>

#include "columns/format.h"
#include "delta/internal.h"

static const struct trib_info *info_of(const struct trib_actions *a)
{
    for (size_t i = 0; i < a->n; i++) {
        if (a->p[i].kind == TRIB_ACTION_INFO) {
            return &a->p[i].u.info;
        }
    }
    return NULL;
}

static int64_t time_of(const struct trib_info *info, const struct trib_log_commit *c)
{
    return info != NULL && info->in_commit_ms >= 0   ? info->in_commit_ms
           : info != NULL && info->timestamp_ms >= 0 ? info->timestamp_ms
                                                     : c->mtime_us / 1000;
}

/* The time of a commit from its beginning alone, where commitInfo comes first as it should. */
static int read_time(const struct trib_delta *t, const struct trib_log_commit *c, int64_t *ret_ms, struct trib_err *err)
{
    enum { HEAD_BYTES = 64 << 10 };
    TRIB_CLEANUP(trib_actions_free) struct trib_actions a = {0};
    TRIB_CLEANUP(trib_cleanup_free) char *key = trib_delta_commit_key(t, c->version);
    TRIB_CLEANUP(trib_buf_free) struct trib_buf head;
    trib_buf_init(&head, HEAD_BYTES);
    TRIB_TRY(trib_store_get(t->store, key, 0, HEAD_BYTES, &head, err));
    const char *end = head.n == 0 ? NULL : memchr(head.p, '\n', head.n);
    struct trib_err ignored;
    if (end == NULL || trib_actions_parse((struct trib_view){head.p, (size_t)(end - head.p)}, key, &a, &ignored) != 0 ||
        info_of(&a) == NULL) {
        trib_actions_free(&a);
        TRIB_TRY(trib_log_read_commit(t, c->version, &a, err));
    }
    *ret_ms = time_of(info_of(&a), c);
    return 0;
}

int trib_delta_version_at(const struct trib_delta *t, int64_t us, int64_t *ret, struct trib_err *err)
{
    TRIB_CLEANUP(trib_log_listing_free) struct trib_log_listing l = {0};
    TRIB_TRY(trib_log_list(t, 0, &l, err));
    TRIB_CLEANUP(trib_cleanup_free) char *name = trib_delta_name(t);
    if (l.n_commits == 0) {
        return trib_err_set(err, TRIB_E_NOT_FOUND, "%s is no Delta table", name);
    }
    /* Clocks of writers may have gone backwards, so no bisection: the largest version counts. */
    int64_t ms = 0;
    for (size_t i = l.n_commits; i-- > 0;) {
        TRIB_TRY(read_time(t, &l.commits[i], &ms, err));
        if (ms <= us / 1000) {
            *ret = l.commits[i].version;
            return 0;
        }
    }
    TRIB_CLEANUP(trib_buf_free) struct trib_buf first;
    trib_buf_init(&first, 64);
    trib_format_timestamp(&first, ms * 1000, -1);
    return trib_err_set(err, TRIB_E_NOT_FOUND,
                        "%s was not there at that time: its log begins with version %" PRId64 ", of %sZ", name,
                        l.commits[0].version, first.p);
}

static void adds_free(struct trib_add *adds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        trib_add_free(&adds[i]);
    }
    free(adds);
}

int trib_delta_changes(const struct trib_delta *t, int64_t from, int64_t to, struct trib_add **ret, size_t *ret_n,
                       struct trib_err *err)
{
    struct trib_add *adds = NULL;
    size_t n = 0, cap = 0;
    for (int64_t v = from < -1 ? 0 : from + 1; v <= to; v++) {
        struct trib_actions a = {0};
        int rc = trib_log_read_commit(t, v, &a, err);
        if (rc != 0) {
            trib_actions_free(&a);
            adds_free(adds, n);
            return rc;
        }
        for (size_t i = 0; i < a.n; i++) {
            if (a.p[i].kind != TRIB_ACTION_ADD || !a.p[i].u.add.data_change) {
                continue;
            }
            TRIB_GROW(adds, cap, n + 1);
            adds[n] = a.p[i].u.add;
            adds[n++].version = v;
            a.p[i].kind = TRIB_ACTION_OTHER;
        }
        trib_actions_free(&a);
    }
    *ret = adds;
    *ret_n = n;
    return 0;
}

static char *take_text(const char *s) { return trib_strdup(s == NULL ? "" : s); }

int trib_delta_history(const struct trib_delta *t, size_t limit, struct trib_commit_info **ret, size_t *ret_n,
                       struct trib_err *err)
{
    TRIB_CLEANUP(trib_log_listing_free) struct trib_log_listing l = {0};
    TRIB_TRY(trib_log_list(t, 0, &l, err));
    size_t n = l.n_commits < limit ? l.n_commits : limit;
    struct trib_commit_info *infos = trib_calloc(n, sizeof *infos);
    for (size_t i = 0; i < n; i++) {
        const struct trib_log_commit *c = &l.commits[l.n_commits - 1 - i];
        TRIB_CLEANUP(trib_actions_free) struct trib_actions a = {0};
        int rc = trib_log_read_commit(t, c->version, &a, err);
        if (rc != 0) {
            trib_commit_info_free(infos, i);
            return rc;
        }
        const struct trib_info *info = info_of(&a);
        infos[i] = (struct trib_commit_info){.version = c->version,
                                             .timestamp_ms = time_of(info, c),
                                             .operation = take_text(info == NULL ? NULL : info->operation),
                                             .engine = take_text(info == NULL ? NULL : info->engine),
                                             .params_json = take_text(info == NULL ? NULL : info->params_json),
                                             .metrics_json = take_text(info == NULL ? NULL : info->metrics_json)};
        for (size_t k = 0; k < a.n; k++) {
            infos[i].n_adds += a.p[k].kind == TRIB_ACTION_ADD;
            infos[i].n_removes += a.p[k].kind == TRIB_ACTION_REMOVE;
        }
    }
    *ret = infos;
    *ret_n = n;
    return 0;
}

void trib_commit_info_free(struct trib_commit_info *i, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        free(i[k].operation);
        free(i[k].engine);
        free(i[k].params_json);
        free(i[k].metrics_json);
    }
    free(i);
}
