/*
 * Late data (merge.md): a record is late against the newest _event_ts in Bronze up to the position merged before, never against
 * the wall clock. Counted and merged, or sent to quarantine: what was sent there makes no tombstones and no ties later, so
 * keys that are folded again leave it out.
 */
#include <stdlib.h>

#include "merge/own.h"

static int newest_before(struct merge_run *r, int64_t *ret_us, struct trib_err *err)
{
    struct trib_buf from, sql;
    trib_buf_init(&from, TRIB_SQL_MAX);
    trib_buf_init(&sql, TRIB_SQL_MAX);
    int rc = trib_merge_bronze_select(r, r->n_batch, r->n_files, &from, err);
    if (rc == 0) {
        trib_buf_addf(&sql, "SELECT epoch_us(max(_event_ts)) FROM (%s)", from.p);
        rc = trib_query_i64(r->m->conn, sql.p, -1, ret_us, err);
    }
    trib_buf_free(&from);
    trib_buf_free(&sql);
    return rc;
}

static char *cell(const struct trib_vec *v, size_t row)
{
    if (trib_vec_is_null(v, row)) {
        return NULL;
    }
    struct trib_view t = trib_str_view(&((const struct trib_str *)v->data)[row]);
    return trib_strndup(t.p, t.n);
}

/* One chunk of rejected rows → quarantine rows. Columns: file, op, origin, eid, seq, ets µs, item, old. */
static int quarantine_chunk(struct trib_spool *spool, const struct trib_chunk *c, const char *what, const char *why,
                            struct trib_err *err)
{
    for (size_t i = 0; i < c->rows; i++) {
        char *text[8] = {NULL};
        for (size_t k = 0; k < 8; k++) {
            text[k] = k == 5 ? NULL : cell(&c->cols[k], i);
        }
        char *reason = trib_asprintf("%s: event %s %s", what, text[3] != NULL ? text[3] : "?", why);
        struct trib_quarantine_row q = {
            .file = text[0],
            .offset = -1,
            .reason = reason,
            .op = text[1],
            .origin = text[2],
            .event_id = text[3],
            .sequence = text[4],
            .event_ts_us = trib_vec_is_null(&c->cols[5], i) ? -1 : ((const int64_t *)c->cols[5].data)[i],
            .item_json = trib_view_of(text[6]),
            .old_json = trib_view_of(text[7])};
        int rc = trib_spool_add(spool, &q, err);
        free(reason);
        for (size_t k = 0; k < 8; k++) {
            free(text[k]);
        }
        TRIB_TRY(rc);
    }
    return 0;
}

int trib_merge_quarantine(struct merge_run *r, const char *what, const char *why, struct trib_err *err)
{
    struct trib_merge *m = r->m;
    struct trib_buf sql;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    trib_buf_adds(&sql, "SELECT _ingest_file, op, _origin, _event_id, _sequence, epoch_us(_event_ts), ");
    trib_convert_text_sql(m->in, "record", "_rescued_data", &sql);
    trib_buf_adds(&sql, ", ");
    if (r->b_old) {
        trib_convert_text_sql(m->in, "old_record", "_rescued_old_data", &sql);
    } else {
        trib_buf_adds(&sql, "CAST(NULL AS VARCHAR)");
    }
    trib_buf_adds(&sql, " FROM (");
    struct trib_result *res = NULL;
    const struct trib_chunk *chunk;
    struct trib_spool *spool = trib_spool_new(m->env->scratch);
    int rc = trib_merge_bronze_for(r, "rejected", &sql, err);
    trib_buf_adds(&sql, ") SEMI JOIN rejected USING (f, p)");
    if (rc == 0 && (rc = trib_buf_check(&sql, "statement", err)) == 0) {
        rc = trib_query(m->conn, sql.p, &res, err);
    }
    while (rc == 0 && (rc = trib_result_next(res, &chunk, err)) == 0 && chunk->rows > 0) {
        rc = quarantine_chunk(spool, chunk, what, why, err);
    }
    trib_result_free(res);
    struct trib_quarantine_opts o = {.pipeline = m->o.pipeline, .table = m->o.table};
    int64_t committed = 0;
    if (rc == 0) {
        rc = trib_quarantine_commit_spools(m->env, &o, &spool, 1, r->now_us, &committed, err);
        r->quarantined += rc == 0 ? committed : 0;
    }
    trib_spool_free(spool);
    trib_buf_free(&sql);
    return rc;
}

int trib_merge_late(struct merge_run *r, struct trib_err *err)
{
    const struct trib_merge *m = r->m;
    if (m->o.late_after_us <= 0 || r->from < 0) {
        return 0;
    }
    int64_t newest = -1;
    TRIB_TRY(newest_before(r, &newest, err));
    if (newest < 0) {
        return 0;
    }
    int64_t limit = newest - m->o.late_after_us;
    struct trib_buf sql;
    trib_buf_init(&sql, 512);
    trib_buf_addf(&sql, "SELECT count(*) FROM ev WHERE epoch_us(ets) < %lld", (long long)limit);
    int rc = trib_query_i64(m->conn, sql.p, 0, &r->late, err);
    trib_buf_free(&sql);
    if (rc == 0 && r->late > 0 && m->o.late == TRIB_LATE_QUARANTINE) {
        rc = trib_execf(m->conn, err,
                        "CREATE OR REPLACE TEMP TABLE rejected AS SELECT f, p FROM ev WHERE epoch_us(ets) < %lld",
                        (long long)limit);
        if (rc == 0) {
            rc = trib_merge_quarantine(r, "late", "is older than late_after allows", err);
        }
        if (rc == 0) {
            rc = trib_execf(m->conn, err, "DELETE FROM ev WHERE epoch_us(ets) < %lld", (long long)limit);
        }
    }
    return rc;
}

/* Keys that are folded again: without what was quarantined as late before. */
int trib_merge_forget_late(struct merge_run *r, struct trib_err *err)
{
    const struct trib_merge *m = r->m;
    if (m->o.late_after_us <= 0 || m->o.late != TRIB_LATE_QUARANTINE) {
        return 0;
    }
    char *path = trib_path_quarantine(m->o.table);
    struct trib_delta t = trib_env_delta(m->env, m->conn, path);
    struct trib_snapshot s = {.version = -1};
    struct trib_buf sql;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    int rc = trib_delta_load(&t, -1, &s, err);
    if (rc == 0 && s.version >= 0) {
        trib_buf_adds(&sql, "DELETE FROM ev USING (SELECT _event_id AS id, _sequence AS sq FROM (");
        rc = trib_delta_select(&t, &s, s.adds, s.n_adds, false, &sql, err);
        trib_buf_adds(&sql, ") WHERE starts_with(_reason, 'late: ')) q WHERE ev.eid = q.id AND ");
        trib_buf_adds(&sql, m->version != NULL ? "ev.txt = q.sq" : "ev.seq = q.sq");
        if (rc == 0) {
            rc = trib_exec_buf(m->conn, &sql, err);
        }
    }
    trib_buf_free(&sql);
    trib_snapshot_free(&s);
    free(path);
    return rc;
}
