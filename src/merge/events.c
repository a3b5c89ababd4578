/*
 * The narrow pass: change records as (key, sequence, event, kind, position), without their images.
 *
 * Invariants:
 *  1. ev has every record of the batch that is an event for this target, and for the keys that were folded again all of
 *     Bronze's; images are fetched later by (f, p), for the winners only.
 *  2. After trib_merge_ties one (key, sequence) has events of one _event_id only.
 *  3. Whatever Silver holds plays no part in a tie (merge.md, The order of changes).
 */
#include <stdlib.h>

#include "merge/own.h"

void trib_merge_key_list(const struct merge_run *r, const char *prefix, struct trib_buf *sql)
{
    for (size_t i = 0; i < r->m->o.n_keys; i++) {
        trib_buf_addf(sql, "%s%sk%zu", i > 0 ? ", " : "", prefix, i + 1);
    }
}

void trib_merge_key_match(const struct merge_run *r, const char *a, const char *b, struct trib_buf *sql)
{
    for (size_t i = 0; i < r->m->o.n_keys; i++) {
        trib_buf_addf(sql, "%s%s.k%zu = %s.k%zu", i > 0 ? " AND " : "", a, i + 1, b, i + 1);
    }
}

int trib_merge_bronze_files(struct merge_run *r, const size_t *index, size_t n, struct trib_buf *sql,
                            struct trib_err *err)
{
    struct trib_add *adds = trib_calloc(n, sizeof *adds);
    for (size_t i = 0; i < n; i++) {
        adds[i] = *r->files[index[i]];
    }
    struct trib_buf inner;
    trib_buf_init(&inner, TRIB_SQL_MAX);
    int rc = trib_delta_select(&r->m->bronze, &r->b, adds, n, true, &inner, err);
    free(adds);
    if (rc == 0) {
        trib_buf_adds(sql, "SELECT * EXCLUDE (_file, _pos), list_extract([");
        for (size_t i = 0; i < n; i++) {
            trib_buf_addf(sql, "%s%zu", i > 0 ? ", " : "", index[i]);
        }
        trib_buf_addf(sql, "]::BIGINT[], _file + 1) AS f, _pos AS p FROM (%s)", inner.p);
        rc = trib_buf_check(sql, "statement", err);
    }
    trib_buf_free(&inner);
    return rc;
}

int trib_merge_bronze_select(struct merge_run *r, size_t from, size_t to, struct trib_buf *sql, struct trib_err *err)
{
    size_t n = to - from, *index = trib_calloc(n, sizeof *index);
    for (size_t i = 0; i < n; i++) {
        index[i] = from + i;
    }
    int rc = trib_merge_bronze_files(r, index, n, sql, err);
    free(index);
    return rc;
}

int trib_merge_bronze_for(struct merge_run *r, const char *table, struct trib_buf *sql, struct trib_err *err)
{
    struct trib_buf query;
    trib_buf_init(&query, TRIB_SQL_MAX);
    trib_buf_addf(&query, "SELECT DISTINCT f FROM %s WHERE f IS NOT NULL ORDER BY f", table);
    struct trib_result *res = NULL;
    int rc = trib_query(r->m->conn, query.p, &res, err);
    trib_buf_free(&query);
    size_t *index = NULL, n = 0, cap = 0;
    while (rc == 0) {
        const struct trib_chunk *chunk;
        rc = trib_result_next(res, &chunk, err);
        if (rc != 0 || chunk->rows == 0) {
            break;
        }
        TRIB_GROW(index, cap, n + chunk->rows);
        for (size_t i = 0; i < chunk->rows; i++) {
            index[n++] = (size_t)((const int64_t *)chunk->cols[0].data)[i];
        }
    }
    trib_result_free(res);
    if (rc == 0) {
        rc = trib_merge_bronze_files(r, index, n, sql, err);
    }
    free(index);
    return rc;
}

/* The key of a record as Silver's column has it. Bronze keeps its types: a number that it had to rescue is decoded. */
static void key_sql(const struct merge_run *r, size_t k, struct trib_buf *sql)
{
    const char *attribute = r->m->o.keys[k];
    const struct trib_field *to = trib_item_find(&r->new_item, attribute);
    const struct trib_field *from = trib_item_find(r->b_item, attribute);
    bool same = from != NULL && trib_type_same(&from->type, &to->type);
    trib_buf_adds(sql, same ? "" : "coalesce(");
    if (from != NULL) {
        trib_buf_adds(sql, same ? "(record)." : "CAST((record).");
        trib_sql_ident(sql, from->name);
        if (!same) {
            trib_buf_adds(sql, " AS ");
            trib_type_sql(&to->type, sql);
            trib_buf_adds(sql, "), ");
        }
    }
    if (!same) {
        trib_buf_adds(sql, "(");
        trib_convert_sql(r->m->in, "record", "_rescued_data", TRIB_CONVERT_WHOLE, sql);
        trib_buf_adds(sql, ").");
        trib_sql_ident(sql, to->name);
        trib_buf_adds(sql, ")");
    }
}

/* up: an upsert for this target; oc: a delete whose OldImage counts. */
void trib_merge_event_sql(const struct merge_run *r, struct trib_buf *sql)
{
    const struct trib_where *w = r->m->where;
    const bool versions = r->m->version != NULL;
    if (versions) {
        trib_merge_version_of_new(r, sql);
    } else {
        trib_buf_adds(sql, "_sequence AS seq, ");
    }
    trib_buf_adds(sql, "_event_id AS eid, _event_ts AS ets, op, op <> 'REMOVE'");
    if (w != NULL) {
        trib_buf_adds(sql, " AND ");
        trib_where_sql(w, "record", "_rescued_data", sql);
    }
    trib_buf_adds(sql, " AS up, ");
    if (versions) {
        trib_merge_version_columns(r, sql);
    }
    if (!r->b_old || r->m->o.hard_deletes || r->m->o.history) {
        trib_buf_adds(sql, "false");
    } else {
        /* An incremental export's OldImage precedes its window. */
        trib_buf_adds(sql,
                      "NOT up AND _origin <> 'export' AND (old_record IS NOT NULL OR _rescued_old_data IS NOT NULL)");
        if (w != NULL) {
            trib_buf_adds(sql, " AND ");
            trib_where_sql(w, "old_record", "_rescued_old_data", sql);
        }
    }
    trib_buf_adds(sql, " AS oc");
}

int trib_merge_events(struct merge_run *r, const char *keys_of, struct trib_err *err)
{
    struct trib_buf sql;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    trib_buf_adds(&sql, keys_of == NULL ? "CREATE OR REPLACE TEMP TABLE ev AS " : "INSERT INTO ev ");
    trib_buf_addf(&sql, "SELECT *%s FROM (SELECT ", r->m->version != NULL ? " EXCLUDE (v)" : "");
    for (size_t k = 0; k < r->m->o.n_keys; k++) {
        key_sql(r, k, &sql);
        trib_buf_addf(&sql, " AS k%zu, ", k + 1);
    }
    trib_merge_event_sql(r, &sql);
    trib_buf_adds(&sql, ", f, p FROM (");
    size_t from = keys_of == NULL ? 0 : r->n_batch, to = keys_of == NULL ? r->n_batch : r->n_files;
    int rc = trib_merge_bronze_select(r, from, to, &sql, err);
    trib_buf_adds(&sql, ")) e WHERE k1 IS NOT NULL");
    if (r->m->o.n_keys > 1) {
        trib_buf_adds(&sql, " AND k2 IS NOT NULL");
    }
    if (keys_of != NULL) {
        trib_buf_addf(&sql, " AND EXISTS (SELECT 1 FROM %s x WHERE ", keys_of);
        trib_merge_key_match(r, "x", "e", &sql);
        trib_buf_adds(&sql, ")");
    }
    if (rc == 0) {
        rc = trib_exec_buf(r->m->conn, &sql, err);
    }
    trib_buf_free(&sql);
    if (rc == 0) {
        rc = trib_merge_unversioned(r, keys_of == NULL, err);
    }
    return rc == 0 && keys_of != NULL ? trib_merge_forget_late(r, err) : rc;
}

/* Images' digests of the tied events: tied_images (k…, seq, eid, f, p, rank, new_image, old_image). */
static int tie_images(struct merge_run *r, struct trib_err *err)
{
    const struct trib_merge *m = r->m;
    struct trib_buf sql;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    trib_buf_adds(&sql, "CREATE OR REPLACE TEMP TABLE tied_images AS SELECT t.*, "
                        "CASE WHEN b.op = 'REMOVE' THEN 'none' ELSE ");
    trib_buf_addf(&sql, "%s(", m->digest_fn);
    trib_convert_text_sql(m->in, "b.record", "b._rescued_data", &sql);
    trib_buf_adds(&sql, ") END AS new_image, CASE WHEN b.op = 'INSERT' THEN 'none' ELSE ");
    if (r->b_old) {
        trib_buf_addf(&sql, "%s(", m->digest_fn);
        trib_convert_text_sql(m->in, "b.old_record", "b._rescued_old_data", &sql);
        trib_buf_adds(&sql, ")");
    } else {
        trib_buf_adds(&sql, "NULL");
    }
    trib_buf_adds(&sql, " END AS old_image FROM (SELECT ");
    trib_merge_key_list(r, "", &sql);
    trib_buf_adds(&sql, ", seq, eid, op, min(f) AS f, arg_min(p, f) AS p FROM ev SEMI JOIN tied USING (");
    trib_merge_key_list(r, "", &sql);
    trib_buf_adds(&sql, ", seq) GROUP BY ALL) t JOIN (");
    int rc = trib_exec(
        m->conn, "CREATE OR REPLACE TEMP TABLE tied_at AS SELECT DISTINCT ev.f FROM ev, tied WHERE ev.seq = tied.seq",
        err);
    if (rc == 0) {
        rc = trib_merge_bronze_for(r, "tied_at", &sql, err);
    }
    trib_buf_adds(&sql, ") b ON t.f = b.f AND t.p = b.p");
    if (rc == 0) {
        rc = trib_exec_buf(m->conn, &sql, err);
    }
    trib_buf_free(&sql);
    return rc;
}

int trib_merge_ties(struct merge_run *r, struct trib_err *err)
{
    struct trib_conn *c = r->m->conn;
    struct trib_buf keys, sql;
    trib_buf_init(&keys, 256);
    trib_merge_key_list(r, "", &keys);
    trib_buf_init(&sql, 8192);
    /* Few keys have several events in a batch: counts first, then the strings of those only. */
    int rc = trib_execf(
        c, err, "CREATE OR REPLACE TEMP TABLE several AS SELECT %s FROM ev GROUP BY ALL HAVING count(*) > 1", keys.p);
    if (rc == 0) {
        rc = trib_execf(
            c, err,
            "CREATE OR REPLACE TEMP TABLE tied AS SELECT %s, seq FROM ev SEMI JOIN several USING (%s) GROUP BY ALL HAVING min(eid) <> max(eid)",
            keys.p, keys.p);
    }
    if (rc == 0) {
        rc = trib_query_i64(c, "SELECT count(*) FROM tied", 0, &r->ties, err);
    }
    if (rc == 0 && r->ties > 0 && (rc = tie_images(r, err)) == 0) {
        /*
         * The one image that occurs once more as new than as old. An INSERT's old image is "none": so of a delete and a new
         * insert the insert wins. Where that leaves a circle (insert and delete of one image), INSERTs do not count as old: the
         * delete wins (docs/decisions/0007). Else the highest digest of op and image; then the id, so that equal events
         * under two ids have one winner too.
         */
        const char *k = keys.p;
        trib_buf_adds(&sql, "CREATE OR REPLACE TEMP TABLE won AS WITH ");
        for (int circle = 0; circle < 2; circle++) {
            trib_buf_addf(
                &sql,
                "n%d AS (SELECT %s, seq, image, sum(d) AS d FROM (SELECT %s, seq, new_image AS image, 1 AS d FROM tied_images UNION ALL "
                "SELECT %s, seq, old_image, -1 FROM tied_images WHERE old_image IS NOT NULL%s) GROUP BY ALL), "
                "one%d AS (SELECT %s, seq, min(image) AS image%d FROM n%d WHERE d = 1 GROUP BY ALL HAVING count(*) = 1)%s ",
                circle, k, k, k, circle ? " AND op <> 'INSERT'" : "", circle, k, circle, circle, circle ? "" : ",");
        }
        trib_buf_addf(
            &sql,
            "SELECT %s, seq, arg_max(eid, struct_pack(a := coalesce(coalesce(image0, image1) = new_image, false), "
            "b := md5(op || ':' || new_image), c := eid)) AS eid FROM tied_images LEFT JOIN one0 USING (%s, seq) "
            "LEFT JOIN one1 USING (%s, seq) GROUP BY ALL; DELETE FROM ev USING won WHERE ",
            k, k, k);
        trib_merge_key_match(r, "ev", "won", &sql);
        trib_buf_adds(&sql, " AND ev.seq = won.seq AND ev.eid <> won.eid");
        rc = trib_exec_buf(c, &sql, err);
    }
    trib_buf_free(&sql);
    trib_buf_free(&keys);
    return rc;
}
