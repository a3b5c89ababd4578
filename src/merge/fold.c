/*
 * SCD type 1: the state of a key is three maxima (merge.md): the highest candidate for the values, the highest upsert, the
 * highest delete. Merging is taking maxima, so order and batching cannot matter.
 *
 * Invariants:
 *  1. `sv` holds Silver's row of each key of ev that has one; `fold` the three maxima of each key of `rest`; `outcome` both
 *     combined. Keys that are marked in `won` as alone are in neither.
 *  2. A key whose state Silver alone cannot tell is folded again from all of Bronze: an event with the sequence that Silver
 *     holds (a redelivery or a tie), no row where a tombstone may be (hard deletes, `where`), or a delete that has no version of
 *     its own (version.c).
 *  3. For such keys a part of Silver's state that came from an event in ev is derived again, not kept: it has the event's
 *     sequence, of which only the stream's own text stays what it was when a delete's version is found anew.
 *  4. outcome.src: 'b' values from Bronze at (f, p), fresh = its new image; 's' values from Silver at (sf, sp); 'k' the key
 *     alone; NULL no row. Keys without a change are not in outcome.
 */
#include "merge/own.h"

static int silver_rows(struct merge_run *r, struct trib_err *err)
{
    const struct trib_merge *m = r->m;
    struct trib_buf sql;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    trib_buf_adds(&sql, "CREATE OR REPLACE TEMP TABLE sv AS SELECT ");
    for (size_t k = 0; k < m->o.n_keys; k++) {
        const struct trib_field *to = trib_item_find(&r->new_item, m->o.keys[k]);
        const struct trib_field *from = trib_item_find(&r->item, m->o.keys[k]);
        if (from == NULL) { /* no Silver yet */
            trib_buf_adds(&sql, "CAST(NULL AS ");
        } else {
            trib_buf_adds(&sql, "CAST(");
            trib_sql_ident(&sql, from->name);
            trib_buf_adds(&sql, " AS ");
        }
        trib_type_sql(&to->type, &sql);
        trib_buf_addf(&sql, ") AS k%zu, ", k + 1);
    }
    int rc = 0;
    if (r->s.version < 0) {
        trib_buf_adds(
            &sql,
            "CAST(NULL AS VARCHAR) AS s_seq, false AS s_gone, CAST(NULL AS VARCHAR) AS s_del, "
            "CAST(NULL AS TIMESTAMPTZ) AS s_upd, CAST(NULL AS BIGINT) AS sf, CAST(NULL AS BIGINT) AS sp WHERE false");
    } else {
        trib_buf_adds(&sql, "_sequence AS s_seq, ");
        if (m->o.hard_deletes) {
            trib_buf_adds(&sql, "false AS s_gone, CAST(NULL AS VARCHAR) AS s_del, ");
        } else {
            trib_sql_ident(&sql, m->o.is_deleted);
            trib_buf_adds(&sql, " AS s_gone, _deleted_sequence AS s_del, ");
        }
        trib_sql_ident(&sql, m->o.updated_at);
        trib_buf_adds(&sql, " AS s_upd, _file AS sf, _pos AS sp FROM (");
        rc = trib_delta_select(&m->silver, &r->s, r->s.adds, r->s.n_adds, true, &sql, err);
        trib_buf_adds(&sql, ") q SEMI JOIN ev ON ");
        for (size_t k = 0; k < m->o.n_keys; k++) {
            const struct trib_field *from = trib_item_find(&r->item, m->o.keys[k]);
            trib_buf_adds(&sql, k > 0 ? " AND q." : "q.");
            trib_sql_ident(&sql, from->name);
            trib_buf_addf(&sql, " = ev.k%zu", k + 1);
        }
    }
    if (rc == 0) {
        rc = trib_exec_buf(m->conn, &sql, err);
    }
    trib_buf_free(&sql);
    return rc;
}

/* Invariant 2. */
static int refold_keys(struct merge_run *r, int64_t *ret_n, struct trib_err *err)
{
    const struct trib_merge *m = r->m;
    struct trib_buf sql;
    if (m->version != NULL && r->from >= 0) {
        TRIB_TRY(trib_merge_unversioned_before(r, err));
    }
    trib_buf_init(&sql, 4096);
    trib_buf_adds(&sql, "CREATE OR REPLACE TEMP TABLE refold AS SELECT DISTINCT ");
    trib_merge_key_list(r, "ev.", &sql);
    trib_buf_adds(&sql, " FROM ev LEFT JOIN sv ON ");
    trib_merge_key_match(r, "ev", "sv", &sql);
    if (r->from < 0) {
        trib_buf_adds(&sql, " WHERE false");
    } else {
        trib_buf_adds(&sql, " WHERE ev.seq = s_seq OR ev.seq = s_del");
        trib_buf_adds(&sql, m->o.hard_deletes || m->o.where != NULL ? " OR sv.sf IS NULL" : "");
        trib_buf_adds(&sql, m->version != NULL ? " OR ev.ver IS NULL OR ev.txt <= (SELECT txt FROM open_before)" : "");
    }
    int rc = trib_exec_buf(m->conn, &sql, err);
    trib_buf_free(&sql);
    return rc != 0 ? rc : trib_query_i64(m->conn, "SELECT count(*) FROM refold", 0, ret_n, err);
}

/*
 * Most keys have one event of the batch, an upsert, and no row in Silver: their new row is what that event's record says.
 * They are marked in `won` and need neither fold nor outcome; `rest` has the events of the others.
 */
static int part_alone(struct merge_run *r, struct trib_err *err)
{
    struct trib_merge *m = r->m;
    struct trib_buf sql, keys;
    trib_buf_init(&sql, 4096);
    trib_buf_init(&keys, 256);
    trib_merge_key_list(r, "", &keys);
    trib_buf_addf(&sql, "SELECT f, p FROM ev ANTI JOIN several USING (%s) ANTI JOIN sv USING (%s) WHERE up", keys.p,
                  keys.p);
    int rc = trib_marks_fill(m->won, m->conn, sql.p, &r->alone, err);
    if (rc == 0) {
        rc = trib_execf(m->conn, err, "CREATE OR REPLACE TEMP TABLE rest AS SELECT * FROM ev WHERE NOT %s(f, p)",
                        trib_marks_name(m->won));
    }
    trib_buf_free(&sql);
    trib_buf_free(&keys);
    return rc;
}

/*
 * The three maxima of each key of `rest`. An event's place in the order of all (sequence, position) stands for it: aggregates
 * over strings do not spill, those over numbers do.
 */
static int fold_events(struct merge_run *r, struct trib_err *err)
{
    static const char time[] = "make_timestamptz(greatest(epoch_us(%s.ets), 0))";
    struct trib_buf sql, keys;
    trib_buf_init(&sql, 16384);
    trib_buf_init(&keys, 256);
    trib_merge_key_list(r, "", &keys);
    trib_buf_addf(
        &sql,
        "CREATE OR REPLACE TEMP TABLE multi AS SELECT %s, seq, ets, up, oc, f, p FROM rest SEMI JOIN several USING (%s) ORDER BY seq, f, p; "
        "CREATE OR REPLACE TEMP TABLE fold AS "
        "SELECT %s, CASE WHEN up OR oc THEN seq END AS c_seq, CASE WHEN up OR oc THEN struct_pack(f := f, p := p, up := up) END AS c_at, "
        "CASE WHEN up THEN seq END AS u_seq, CASE WHEN up THEN ",
        keys.p, keys.p, keys.p);
    trib_buf_addf(&sql, time, "rest");
    trib_buf_adds(&sql, " END AS u_ets, CASE WHEN NOT up THEN seq END AS d_seq, CASE WHEN NOT up THEN ");
    trib_buf_addf(&sql, time, "rest");
    trib_buf_addf(
        &sql,
        " END AS d_ets FROM rest ANTI JOIN several USING (%s) UNION ALL BY NAME SELECT g.* EXCLUDE (c, u, d), c.seq AS c_seq, "
        "CASE WHEN c.seq IS NOT NULL THEN struct_pack(f := c.f, p := c.p, up := coalesce(g.c = g.u, false)) END AS c_at, "
        "u.seq AS u_seq, CASE WHEN u.seq IS NOT NULL THEN ",
        keys.p);
    trib_buf_addf(&sql, time, "u");
    trib_buf_adds(&sql, " END AS u_ets, d.seq AS d_seq, CASE WHEN d.seq IS NOT NULL THEN ");
    trib_buf_addf(&sql, time, "d");
    trib_buf_addf(&sql,
                  " END AS d_ets FROM (SELECT %s, max(rowid) FILTER (up OR oc) AS c, max(rowid) FILTER (up) AS u, "
                  "max(rowid) FILTER (NOT up) AS d FROM multi GROUP BY ALL) g LEFT JOIN multi c ON c.rowid = g.c "
                  "LEFT JOIN multi u ON u.rowid = g.u LEFT JOIN multi d ON d.rowid = g.d",
                  keys.p);
    int rc = trib_exec_buf(r->m->conn, &sql, err);
    trib_buf_free(&sql);
    trib_buf_free(&keys);
    return rc;
}

/* Silver's part of the state, less what is derived again (invariant 3). */
static void old_state_sql(const struct merge_run *r, struct trib_buf *sql)
{
    static const char *const part[] = {"s_seq", "s_del"};
    const bool versions = r->m->version != NULL;
    trib_buf_adds(sql, "SELECT sv.* EXCLUDE (s_seq, s_del)");
    for (size_t i = 0; i < 2; i++) {
        trib_buf_addf(sql,
                      ", CASE WHEN refold.k1 IS NOT NULL AND EXISTS (SELECT 1 FROM ev WHERE ev.%s = %s(sv.%s%s) AND ",
                      versions ? "txt" : "seq", versions ? "right" : "", part[i], versions ? ", 54" : "");
        trib_merge_key_match(r, "ev", "sv", sql);
        trib_buf_addf(sql, ") THEN NULL ELSE sv.%s END AS %s", part[i], part[i]);
    }
    trib_buf_adds(sql, ", sv.s_seq AS was_seq, sv.s_del AS was_del FROM sv LEFT JOIN refold USING (");
    trib_merge_key_list(r, "", sql);
    trib_buf_adds(sql, ")");
}

static int outcomes(struct merge_run *r, struct trib_err *err)
{
    const struct trib_merge *m = r->m;
    struct trib_buf sql;
    trib_buf_init(&sql, 16384);
    trib_buf_adds(&sql, "CREATE OR REPLACE TEMP TABLE outcome AS WITH old AS (");
    old_state_sql(r, &sql);
    trib_buf_adds(&sql, "), j AS (SELECT fold.*, old.* EXCLUDE (");
    trib_merge_key_list(r, "", &sql);
    trib_buf_adds(
        &sql,
        "), greatest(u_seq, CASE WHEN NOT s_gone THEN s_seq END) AS ups, greatest(d_seq, s_del) AS del FROM fold LEFT JOIN old USING (");
    trib_merge_key_list(r, "", &sql);
    /* greatest() ignores NULLs in DuckDB. */
    trib_buf_adds(&sql, ")), d AS (SELECT *, del IS NOT NULL AND (ups IS NULL OR del > ups) AS gone, "
                        "c_seq IS NOT NULL AND (s_seq IS NULL OR c_seq > s_seq) AS from_bronze FROM j), "
                        "o AS (SELECT ");
    trib_merge_key_list(r, "", &sql);
    trib_buf_adds(
        &sql,
        ", sf, sp, gone, s_gone, was_seq, was_del, s_upd, "
        "CASE WHEN from_bronze THEN c_at.f END AS f, CASE WHEN from_bronze THEN c_at.p END AS p, c_at.up AS fresh, "
        "CASE WHEN from_bronze THEN 'b' WHEN s_seq IS NOT NULL THEN 's' ELSE 'k' END AS vals, "
        "CASE WHEN from_bronze THEN c_seq ELSE s_seq END AS m_seq, CASE WHEN gone THEN del END AS m_del, "
        "CASE WHEN gone THEN CASE WHEN d_seq IS NOT NULL AND (s_del IS NULL OR d_seq > s_del) THEN d_ets ELSE s_upd END "
        "ELSE CASE WHEN u_seq IS NOT NULL AND (s_seq IS NULL OR s_gone OR u_seq > s_seq) THEN u_ets ELSE s_upd END END AS m_upd FROM d), "
        "e AS (SELECT *, CASE WHEN ");
    trib_buf_adds(&sql, m->o.hard_deletes ? "gone" : m->o.where != NULL ? "gone AND vals = 'k'" : "false");
    trib_buf_adds(
        &sql, " THEN NULL ELSE vals END AS src FROM o) SELECT * EXCLUDE (vals) FROM e WHERE "
              "(src IS NULL AND sf IS NOT NULL) OR (src IS NOT NULL AND (sf IS NULL OR gone IS DISTINCT FROM s_gone "
              "OR m_seq IS DISTINCT FROM was_seq OR m_del IS DISTINCT FROM was_del OR m_upd IS DISTINCT FROM s_upd "
              "OR (src = 'b' AND EXISTS (SELECT 1 FROM refold x WHERE ");
    trib_merge_key_match(r, "x", "e", &sql);
    trib_buf_adds(&sql, ") AND was_seq = m_seq AND ");
    /* A tie that came out otherwise leaves the sequence as it was; a plain redelivery must not write: compare the events. */
    trib_buf_adds(&sql, "EXISTS (SELECT 1 FROM tied t WHERE ");
    trib_merge_key_match(r, "t", "e", &sql);
    trib_buf_adds(&sql, " AND t.seq = e.m_seq))))");
    int rc = trib_exec_buf(m->conn, &sql, err);
    trib_buf_free(&sql);
    return rc;
}

int trib_merge_fold(struct merge_run *r, bool *ret_changed, struct trib_err *err)
{
    int64_t again = 0, changed = 0;
    TRIB_TRY(silver_rows(r, err));
    TRIB_TRY(refold_keys(r, &again, err));
    if (again > 0) {
        TRIB_TRY(trib_merge_events(r, "refold", err));
    }
    TRIB_TRY(trib_merge_ranks(r, true, err));
    TRIB_TRY(trib_merge_ties(r, err));
    TRIB_TRY(part_alone(r, err));
    TRIB_TRY(fold_events(r, err));
    TRIB_TRY(outcomes(r, err));
    TRIB_TRY(trib_query_i64(r->m->conn, "SELECT count(*) FROM outcome", 0, &changed, err));
    int64_t plain = 0;
    TRIB_TRY(trib_marks_fill(r->m->won, r->m->conn, "SELECT f, p FROM outcome WHERE " TRIB_PLAIN, &plain, err));
    *ret_changed = changed > 0 || r->alone > 0;
    return 0;
}
