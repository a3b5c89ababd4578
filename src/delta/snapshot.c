/*
 * Snapshots: the newest usable checkpoint, then the commits behind it.
 *
 * Never: guesses. A gap between commits, a torn commit or a table without protocol or metaData is an error that names the
 * object. A checkpoint that cannot be read is passed over for an older one, or for the whole log, when those suffice.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "delta/internal.h"

void trib_snapshot_free(struct trib_snapshot *s)
{
    trib_protocol_free(&s->protocol);
    free(s->table_id);
    free(s->name);
    free(s->description);
    trib_type_free(&s->schema);
    trib_texts_free(s->partition_columns);
    trib_kvs_free(s->properties, s->n_properties);
    for (size_t i = 0; i < s->n_adds; i++) {
        trib_add_free(&s->adds[i]);
    }
    free(s->adds);
    for (size_t i = 0; i < s->n_removes; i++) {
        trib_add_free(&s->removes[i].file);
    }
    free(s->removes);
    for (size_t i = 0; i < s->n_txns; i++) {
        free(s->txns[i].app_id);
    }
    free(s->txns);
    for (size_t i = 0; i < s->n_domains; i++) {
        free(s->domains[i].domain);
        free(s->domains[i].configuration);
    }
    free(s->domains);
    *s = (struct trib_snapshot){.version = -1, .checkpoint_version = -1};
}

const char *trib_snapshot_property(const struct trib_snapshot *s, const char *key)
{
    /* Delta's own keys do not heed case, others do. */
    bool fold = strncasecmp(key, "delta.", 6) == 0;
    for (size_t i = 0; i < s->n_properties; i++) {
        if ((fold ? strcasecmp(s->properties[i].key, key) : strcmp(s->properties[i].key, key)) == 0) {
            return s->properties[i].value;
        }
    }
    return NULL;
}

int64_t trib_snapshot_txn(const struct trib_snapshot *s, const char *app_id)
{
    for (size_t i = 0; i < s->n_txns; i++) {
        if (strcmp(s->txns[i].app_id, app_id) == 0) {
            return s->txns[i].version;
        }
    }
    return -1;
}

/* Protocol and metaData into *to, whose own are replaced. Checked before anything changes. */
static int set_head(const struct trib_delta *t, const struct trib_metadata *m, const struct trib_protocol *p,
                    struct trib_snapshot *to, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *name = trib_delta_name(t);
    struct trib_type schema = {0};
    if (p != NULL) {
        TRIB_TRY(trib_delta_can_read(p, name, err));
    }
    if (m != NULL) {
        int rc = trib_delta_schema_parse(trib_view_of(m->schema_json), &schema, err);
        if (rc != 0) {
            return trib_err_wrap(err, "%s", name);
        }
        trib_type_free(&to->schema);
        to->schema = schema;
        free(to->table_id);
        free(to->name);
        free(to->description);
        trib_texts_free(to->partition_columns);
        trib_kvs_free(to->properties, to->n_properties);
        to->table_id = trib_strdup(m->id == NULL ? "" : m->id);
        to->name = m->name == NULL ? NULL : trib_strdup(m->name);
        to->description = m->description == NULL ? NULL : trib_strdup(m->description);
        to->created_ms = m->created_ms;
        to->n_partition_columns = m->n_partition_columns;
        to->partition_columns = trib_texts_copy((const char *const *)m->partition_columns, m->n_partition_columns);
        to->n_properties = m->n_properties;
        to->properties = trib_kvs_copy(m->properties, m->n_properties);
    }
    if (p != NULL) {
        trib_protocol_free(&to->protocol);
        to->protocol = trib_protocol_copy(p);
    }
    return 0;
}

/* --- loading ----------------------------------------------------------------------------------------------------- */

struct plan {
    const struct trib_delta *t;
    const struct trib_log_listing *l;
    int64_t target;
    struct trib_err why; /* of the first checkpoint that could not be read */
};

static const struct trib_log_commit *find_commit(const struct trib_log_listing *l, int64_t version)
{
    size_t lo = 0, hi = l->n_commits;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (l->commits[mid].version < version) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < l->n_commits && l->commits[lo].version == version ? &l->commits[lo] : NULL;
}

/* Are all commits in (from, to] listed? *ret_missing: the first that is not. */
static bool contiguous(const struct trib_log_listing *l, int64_t from, int64_t to, int64_t *ret_missing)
{
    for (int64_t v = from + 1; v <= to; v++) {
        if (find_commit(l, v) == NULL) {
            *ret_missing = v;
            return false;
        }
    }
    return true;
}

static void apply_all(struct trib_log_state *state, struct trib_actions *a, int64_t version)
{
    for (size_t i = 0; i < a->n; i++) {
        trib_log_state_apply(state, &a->p[i], version);
    }
    trib_actions_free(a);
}

/* The time of the target when only the checkpoint was read: its own commit, where that is still there. */
static int64_t commit_time(const struct trib_delta *t, const struct trib_log_commit *c)
{
    TRIB_CLEANUP(trib_actions_free) struct trib_actions a = {0};
    struct trib_err ignored;
    int64_t ms = -1;
    if (trib_log_read_commit(t, c->version, &a, &ignored) == 0) {
        for (size_t i = 0; i < a.n && ms < 0; i++) {
            if (a.p[i].kind == TRIB_ACTION_INFO) {
                ms = a.p[i].u.info.in_commit_ms >= 0 ? a.p[i].u.info.in_commit_ms : a.p[i].u.info.timestamp_ms;
            }
        }
    }
    return ms >= 0 ? ms : c->mtime_us / 1000;
}

/* Replays from this checkpoint (NULL: from version 0) to the target. */
static int replay(const struct plan *p, const struct trib_log_checkpoint *c, struct trib_log_state *state,
                  struct trib_snapshot *ret, struct trib_err *err)
{
    int64_t from = c == NULL ? -1 : c->version;
    if (c != NULL) {
        struct trib_actions a = {0};
        int rc = trib_checkpoint_read(p->t, c, &a, err);
        if (rc != 0) {
            trib_actions_free(&a);
            return rc;
        }
        apply_all(state, &a, -1);
    }
    ret->log_bytes_since_checkpoint = 0;
    int64_t ms = -1;
    for (int64_t v = from + 1; v <= p->target; v++) {
        struct trib_actions a = {0};
        const struct trib_log_commit *commit = find_commit(p->l, v);
        int rc = trib_log_read_commit(p->t, v, &a, err);
        if (rc != 0) {
            trib_actions_free(&a);
            return rc;
        }
        ms = -1;
        for (size_t i = 0; i < a.n; i++) {
            if (a.p[i].kind == TRIB_ACTION_INFO) {
                ms = a.p[i].u.info.in_commit_ms >= 0 ? a.p[i].u.info.in_commit_ms : a.p[i].u.info.timestamp_ms;
            }
        }
        ms = ms < 0 && commit != NULL ? commit->mtime_us / 1000 : ms;
        ret->log_bytes_since_checkpoint += commit == NULL ? 0 : commit->size;
        apply_all(state, &a, v);
    }
    const struct trib_log_commit *newest = find_commit(p->l, p->target);
    ret->timestamp_ms = from == p->target && newest != NULL ? commit_time(p->t, newest) : ms < 0 ? 0 : ms;
    ret->commit_mtime_us = newest == NULL ? -1 : newest->mtime_us;
    ret->checkpoint_version = from;
    ret->checkpoint_bytes = c == NULL ? 0 : c->size;
    ret->version = p->target;
    return 0;
}

static int finish(const struct plan *p, struct trib_log_state *state, struct trib_snapshot *ret, struct trib_err *err)
{
    const struct trib_metadata *m = trib_log_state_metadata(state);
    const struct trib_protocol *protocol = trib_log_state_protocol(state);
    if (m == NULL || protocol == NULL) {
        TRIB_CLEANUP(trib_cleanup_free) char *name = trib_delta_name(p->t);
        return trib_err_set(err, TRIB_E_DATA,
                            "%s, version %" PRId64
                            ": the log has no %s action: the table is damaged; restore its _delta_log",
                            name, p->target, protocol == NULL ? "protocol" : "metaData");
    }
    TRIB_TRY(set_head(p->t, m, protocol, ret, err));
    trib_log_state_give(state, ret);
    return 0;
}

static int try_from(const struct plan *p, const struct trib_log_checkpoint *c, struct trib_snapshot *ret,
                    struct trib_err *err)
{
    struct trib_log_state *state = trib_log_state_new();
    struct trib_snapshot s = {.version = -1, .checkpoint_version = -1};
    int rc = replay(p, c, state, &s, err);
    if (rc == 0) {
        rc = finish(p, state, &s, err);
    }
    trib_log_state_free(state);
    if (rc != 0) {
        trib_snapshot_free(&s);
        return rc;
    }
    *ret = s;
    return 0;
}

static int no_such_version(const struct plan *p, int64_t version, struct trib_err *err)
{
    const struct trib_log_listing *l = p->l;
    TRIB_CLEANUP(trib_cleanup_free) char *name = trib_delta_name(p->t);
    int64_t newest = l->n_commits > 0 ? l->commits[l->n_commits - 1].version : -1;
    if (newest >= 0 && version > newest) {
        return trib_err_set(err, TRIB_E_NOT_FOUND, "%s has no version %" PRId64 ": the newest is %" PRId64, name,
                            version, newest);
    }
    return trib_err_set(err, TRIB_E_NOT_FOUND,
                        "%s: version %" PRId64 " can no longer be read: older parts of the log were cleaned up", name,
                        version);
}

static int broken_log(const struct plan *p, int64_t missing, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *name = trib_delta_name(p->t);
    return trib_err_set(err, TRIB_E_DATA,
                        "%s/_delta_log: commit %020" PRId64
                        ".json is missing, and no checkpoint stands in for it: restore it",
                        name, missing);
}

/* From the newest checkpoint that works. full: the listing holds the whole log. AGAIN: only a full listing can tell. */
static int load_from(struct plan *p, bool full, bool exact, struct trib_snapshot *ret, struct trib_err *err)
{
    const struct trib_log_listing *l = p->l;
    int64_t missing = -1;
    bool tried = false;
    for (size_t i = l->n_checkpoints; i-- > 0;) {
        const struct trib_log_checkpoint *c = &l->checkpoints[i];
        if (c->version > p->target || !contiguous(l, c->version, p->target, &missing)) {
            continue;
        }
        struct trib_err why;
        int rc = try_from(p, c, ret, &why);
        if (rc == 0) {
            return 0;
        }
        /* What we cannot support stays so whatever the checkpoint; else an older one, or the commits, may do. */
        if (rc == TRIB_E_UNSUPPORTED) {
            *err = why;
            return rc;
        }
        if (!tried) {
            p->why = why;
        }
        tried = true;
    }
    if (!full) {
        return TRIB_E_AGAIN;
    }
    if (contiguous(l, -1, p->target, &missing)) {
        return try_from(p, NULL, ret, err);
    }
    if (tried) {
        *err = p->why;
        return (int)p->why.code;
    }
    return exact ? no_such_version(p, p->target, err) : broken_log(p, missing, err);
}

/* The newest commit stands for all: each was visible before the next was written. */
static int settle(const struct trib_delta *t, const struct trib_log_listing *l, struct trib_err *err)
{
    if (!t->settle || (l->n_commits == 0 && l->n_checkpoints == 0)) {
        return 0;
    }
    const struct trib_log_commit *c = l->n_commits > 0 ? &l->commits[l->n_commits - 1] : NULL;
    TRIB_CLEANUP(trib_cleanup_free) char *prefix = trib_delta_log_key(t, "");
    TRIB_CLEANUP(trib_cleanup_free)
    char *mark = c != NULL ? trib_asprintf("%" PRId64 " %" PRId64 " %" PRId64, c->version, c->mtime_us, c->size)
                           : trib_asprintf("checkpoint %" PRId64, l->checkpoints[l->n_checkpoints - 1].version);
    return trib_store_settle(t->store, prefix, mark, err);
}

static int load_listing(const struct trib_delta *t, int64_t from, int64_t version, struct trib_snapshot *ret,
                        struct trib_err *err)
{
    TRIB_CLEANUP(trib_log_listing_free) struct trib_log_listing l = {0};
    TRIB_TRY(trib_log_list(t, from, &l, err));
    TRIB_TRY(settle(t, &l, err));
    struct plan p = {.t = t, .l = &l, .target = version};
    int64_t newest = l.n_commits > 0 ? l.commits[l.n_commits - 1].version : -1;
    if (l.n_checkpoints > 0 && l.checkpoints[l.n_checkpoints - 1].version > newest) {
        newest = l.checkpoints[l.n_checkpoints - 1].version;
    }
    if (newest < 0) {
        if (from > 0) {
            return TRIB_E_AGAIN;
        }
        if (version >= 0) {
            TRIB_CLEANUP(trib_cleanup_free) char *name = trib_delta_name(t);
            return trib_err_set(err, TRIB_E_NOT_FOUND, "%s is no Delta table", name);
        }
        *ret = (struct trib_snapshot){.version = -1, .checkpoint_version = -1};
        return 0;
    }
    if (version > newest) {
        return no_such_version(&p, version, err);
    }
    p.target = version < 0 ? newest : version;
    return load_from(&p, from == 0, version >= 0, ret, err);
}

int trib_delta_load(const struct trib_delta *t, int64_t version, struct trib_snapshot *ret, struct trib_err *err)
{
    struct trib_err local = {0};
    struct trib_err *to = err == NULL ? &local : err;
    int64_t hint = trib_log_hint(t);
    if (hint > 0 && (version < 0 || hint <= version)) {
        int rc = load_listing(t, hint, version, ret, to);
        if (rc != TRIB_E_AGAIN) {
            return rc;
        }
    }
    return load_listing(t, 0, version, ret, to);
}

/* --- refresh ----------------------------------------------------------------------------------------------------- */

/* Reads the commits behind the snapshot, all before anything changes. */
struct news {
    struct trib_actions *commits;
    size_t n;
    int64_t bytes, timestamp_ms;
    const struct trib_metadata *metadata; /* the last of each, inside commits */
    const struct trib_protocol *protocol;
};

static void news_free(struct news *n)
{
    for (size_t i = 0; i < n->n; i++) {
        trib_actions_free(&n->commits[i]);
    }
    free(n->commits);
}

static int read_news(const struct trib_delta *t, const struct trib_log_listing *l, int64_t version, struct news *n,
                     struct trib_err *err)
{
    n->commits = trib_calloc(l->n_commits, sizeof *n->commits);
    for (size_t i = 0; i < l->n_commits; i++) {
        struct trib_actions *a = &n->commits[n->n++];
        TRIB_TRY(trib_log_read_commit(t, version + 1 + (int64_t)i, a, err));
        n->timestamp_ms = l->commits[i].mtime_us / 1000;
        n->bytes += l->commits[i].size;
        for (size_t k = 0; k < a->n; k++) {
            const struct trib_action *x = &a->p[k];
            if (x->kind == TRIB_ACTION_METADATA) {
                n->metadata = &x->u.metadata;
            } else if (x->kind == TRIB_ACTION_PROTOCOL) {
                n->protocol = &x->u.protocol;
            } else if (x->kind == TRIB_ACTION_INFO) {
                int64_t ms = x->u.info.in_commit_ms >= 0 ? x->u.info.in_commit_ms : x->u.info.timestamp_ms;
                n->timestamp_ms = ms >= 0 ? ms : n->timestamp_ms;
            }
        }
    }
    return 0;
}

static int reload(const struct trib_delta *t, struct trib_snapshot *s, struct trib_err *err)
{
    struct trib_snapshot fresh;
    TRIB_TRY(trib_delta_load(t, -1, &fresh, err));
    trib_snapshot_free(s);
    *s = fresh;
    return 0;
}

int trib_delta_refresh(const struct trib_delta *t, struct trib_snapshot *s, struct trib_err *err)
{
    if (s->version < 0) {
        return reload(t, s, err);
    }
    TRIB_CLEANUP(trib_log_listing_free) struct trib_log_listing l = {0};
    TRIB_TRY(trib_log_list(t, s->version, &l, err));
    TRIB_TRY(settle(t, &l, err));
    bool ours = l.n_commits > 0 && l.commits[0].version == s->version &&
                (s->commit_mtime_us < 0 || l.commits[0].mtime_us == s->commit_mtime_us);
    if (!ours) {
        return reload(t, s, err); /* cleaned up, or made anew, behind our back */
    }
    memmove(l.commits, l.commits + 1, --l.n_commits * sizeof *l.commits);
    if (l.n_commits == 0) {
        return 0;
    }
    for (size_t i = 0; i < l.n_commits; i++) {
        if (l.commits[i].version != s->version + 1 + (int64_t)i) {
            return reload(t, s, err);
        }
    }
    TRIB_CLEANUP(news_free) struct news n = {0};
    TRIB_TRY(read_news(t, &l, s->version, &n, err));
    TRIB_TRY(set_head(t, n.metadata, n.protocol, s, err));
    struct trib_log_state *state = trib_log_state_new();
    trib_log_state_take(state, s);
    for (size_t i = 0; i < n.n; i++) {
        apply_all(state, &n.commits[i], s->version + 1 + (int64_t)i);
    }
    trib_log_state_give(state, s);
    trib_log_state_free(state);
    s->version += (int64_t)n.n;
    s->commit_mtime_us = l.commits[l.n_commits - 1].mtime_us;
    s->timestamp_ms = n.timestamp_ms;
    s->log_bytes_since_checkpoint += n.bytes;
    for (size_t i = 0; i < l.n_checkpoints; i++) {
        const struct trib_log_checkpoint *c = &l.checkpoints[i];
        if (c->version > s->checkpoint_version && c->version <= s->version) {
            s->checkpoint_version = c->version;
            s->checkpoint_bytes = c->size;
            s->log_bytes_since_checkpoint = 0;
            for (size_t k = 0; k < l.n_commits; k++) {
                s->log_bytes_since_checkpoint += l.commits[k].version > c->version ? l.commits[k].size : 0;
            }
        }
    }
    return 0;
}
