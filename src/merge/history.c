/*
 * SCD type 2: for the keys of the batch, history is folded again from all of Bronze, and rows that differ are replaced
 * (merge.md, SCD type 2). Folding forgets events, so Bronze is what keeps every event of a key.
 *
 * `outcome` has the same shape as in fold.c, one row for each run of a changed key, plus one with src NULL for each old
 * history row that makes way: the writer needs no other rule.
 */
#include "merge/own.h"

/* ev of the batch plus all older events of its keys. */
static int all_events(struct merge_run *r, struct trib_err *err)
{
    struct trib_buf sql;
    trib_buf_init(&sql, 1024);
    trib_buf_adds(&sql, "CREATE OR REPLACE TEMP TABLE refold AS SELECT DISTINCT ");
    trib_merge_key_list(r, "", &sql);
    trib_buf_adds(&sql, " FROM ev");
    int rc = trib_exec_buf(r->m->conn, &sql, err);
    trib_buf_free(&sql);
    if (rc == 0 && r->n_files > r->n_batch) {
        rc = trib_merge_events(r, "refold", err);
    }
    if (rc == 0) {
        rc = trib_merge_ranks(r, false, err);
    }
    return rc != 0 ? rc : trib_merge_ties(r, err);
}

/* runs: k…, start_at, end_at, valid_from, valid_to, m_seq, m_del, m_upd, f, p. */
static int runs(struct merge_run *r, struct trib_err *err)
{
    const struct trib_merge *m = r->m;
    struct trib_buf sql, keys;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    trib_buf_init(&keys, 256);
    trib_merge_key_list(r, "", &keys);
    trib_buf_addf(
        &sql,
        "CREATE OR REPLACE TEMP TABLE runs AS WITH u AS (SELECT %s, seq, up, min(ets) AS ets, min(f) AS f, arg_min(p, f) AS p "
        "FROM ev GROUP BY ALL), i AS (SELECT b.f, b.p, %s(",
        keys.p, m->digest_fn);
    trib_convert_text_sql(m->in, "b.record", "b._rescued_data", &sql);
    trib_buf_adds(&sql, ") AS image FROM (");
    int rc = trib_merge_bronze_for(r, "ev", &sql, err);
    trib_buf_addf(
        &sql,
        ") b SEMI JOIN u ON u.up AND u.f = b.f AND u.p = b.p), "
        "e AS (SELECT u.*, i.image FROM u LEFT JOIN i ON u.up AND u.f = i.f AND u.p = i.p), "
        "w AS (SELECT *, CASE WHEN NOT up OR (lag(up) OVER k AND lag(image) OVER k = image) THEN 0 ELSE 1 END AS opens, "
        "lead(seq) OVER k AS n_seq, lead(ets) OVER k AS n_ets, lead(up) OVER k AS n_up FROM e WINDOW k AS (PARTITION BY %s ORDER BY seq)), "
        "g AS (SELECT *, sum(opens) OVER (PARTITION BY %s ORDER BY seq) AS run FROM w) "
        "SELECT %s, min(seq) AS start_at, arg_max(coalesce(n_seq, ''), seq) AS end_text, arg_min(ets, seq) AS valid_from, "
        "arg_max(struct_pack(v := n_ets), seq).v AS valid_to, max(seq) AS m_seq, "
        "arg_max(CASE WHEN NOT n_up THEN n_seq ELSE '' END, seq) AS del_text, arg_max(ets, seq) AS m_upd, "
        "arg_max(f, seq) AS f, arg_max(p, seq) AS p FROM g WHERE up GROUP BY %s, run",
        keys.p, keys.p, keys.p, keys.p);
    if (rc == 0) {
        rc = trib_exec_buf(m->conn, &sql, err);
    }
    trib_buf_free(&sql);
    trib_buf_free(&keys);
    return rc;
}

/* Old history rows of the keys. */
static int old_rows(struct merge_run *r, struct trib_err *err)
{
    const struct trib_merge *m = r->m;
    if (r->s.version < 0) {
        return trib_exec(
            m->conn,
            "CREATE OR REPLACE TEMP TABLE sv AS SELECT * FROM (SELECT *, NULL::VARCHAR AS s_start, NULL::VARCHAR AS s_end, "
            "NULL::VARCHAR AS s_seq, NULL::BIGINT AS sf, NULL::BIGINT AS sp FROM refold) WHERE false",
            err);
    }
    struct trib_buf sql;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    trib_buf_adds(
        &sql, "CREATE OR REPLACE TEMP TABLE sv AS SELECT refold.*, \"__START_AT\" AS s_start, \"__END_AT\" AS s_end, "
              "_sequence AS s_seq, _file AS sf, _pos AS sp FROM (");
    int rc = trib_delta_select(&m->silver, &r->s, r->s.adds, r->s.n_adds, true, &sql, err);
    trib_buf_adds(&sql, ") q JOIN refold ON ");
    for (size_t k = 0; k < m->o.n_keys; k++) {
        trib_buf_adds(&sql, k > 0 ? " AND q." : "q.");
        trib_sql_ident(&sql, trib_item_find(&r->item, m->o.keys[k])->name);
        trib_buf_addf(&sql, " = refold.k%zu", k + 1);
    }
    if (rc == 0) {
        rc = trib_exec_buf(m->conn, &sql, err);
    }
    trib_buf_free(&sql);
    return rc;
}

/* Rows that stay: the same run, and no tie in it or at its end, which may have come out otherwise. */
static int kept_rows(struct merge_run *r, struct trib_err *err)
{
    struct trib_buf sql;
    trib_buf_init(&sql, 8192);
    trib_buf_adds(&sql, "CREATE OR REPLACE TEMP TABLE n AS SELECT * EXCLUDE (end_text, del_text), "
                        "nullif(end_text, '') AS end_at, nullif(del_text, '') AS m_del FROM runs; "
                        "CREATE OR REPLACE TEMP TABLE kept AS SELECT ");
    trib_merge_key_list(r, "n.", &sql);
    trib_buf_adds(&sql, ", start_at, sf, sp FROM n JOIN sv ON s_start = start_at AND s_end IS NOT DISTINCT FROM end_at "
                        "AND s_seq = m_seq AND ");
    trib_merge_key_match(r, "n", "sv", &sql);
    trib_buf_adds(&sql, " WHERE NOT EXISTS (SELECT 1 FROM tied WHERE tied.seq >= n.start_at AND "
                        "tied.seq <= coalesce(n.end_at, n.m_seq) AND ");
    trib_merge_key_match(r, "tied", "n", &sql);
    trib_buf_adds(&sql, ")");
    int rc = trib_exec_buf(r->m->conn, &sql, err);
    trib_buf_free(&sql);
    return rc;
}

int trib_merge_history(struct merge_run *r, bool *ret_changed, struct trib_err *err)
{
    int64_t changed = 0;
    TRIB_TRY(all_events(r, err));
    TRIB_TRY(runs(r, err));
    TRIB_TRY(old_rows(r, err));
    TRIB_TRY(kept_rows(r, err));
    struct trib_buf keys;
    trib_buf_init(&keys, 256);
    trib_merge_key_list(r, "", &keys);
    int rc = trib_execf(
        r->m->conn, err,
        "CREATE OR REPLACE TEMP TABLE outcome AS "
        "SELECT %s, start_at, end_at, valid_from, valid_to, m_seq, m_del, m_upd, f, p, true AS fresh, NULL::BIGINT AS sf, NULL::BIGINT AS sp, 'b' AS src "
        "FROM n ANTI JOIN kept USING (%s, start_at) "
        "UNION ALL BY NAME SELECT %s, sf, sp, NULL::VARCHAR AS src FROM sv ANTI JOIN kept USING (sf, sp)",
        keys.p, keys.p, keys.p);
    if (rc == 0) {
        rc = trib_query_i64(r->m->conn, "SELECT count(*) FROM outcome", 0, &changed, err);
    }
    trib_buf_free(&keys);
    *ret_changed = changed > 0;
    return rc;
}
