/*
 * Copy-on-write: the files that hold a changed key's old row are written again without it, the new rows behind, in one commit
 * with Silver's position (txn = Bronze version merged).
 *
 * A crash before the commit leaves files that no log names; after it, everything. The position moves with the data.
 */
#include <stdio.h>
#include <stdlib.h>

#include "merge/own.h"

/* Silver's old rows as (columns of the new schema): attributes through the converter, own columns as they are. */
static void old_columns(const struct merge_run *r, bool meta_from_outcome, struct trib_buf *sql)
{
    const struct trib_merge *m = r->m;
    const char *names[8];
    enum trib_type_id types[8];
    size_t n = trib_merge_own_columns(m, names, types);
    trib_buf_adds(sql, "SELECT unnest(img)");
    for (size_t i = 0; i < n; i++) {
        static const char *const of[][2] = {{"_deleted_sequence", "m_del"}, {"_sequence", "m_seq"},
                                            {"__START_AT", "start_at"},     {"__END_AT", "end_at"},
                                            {"_valid_from", "valid_from"},  {"_valid_to", "valid_to"}};
        const char *from = i == 0 ? "m_upd" : "gone";
        for (size_t k = 0; k < sizeof of / sizeof of[0]; k++) {
            from = strcmp(names[i], of[k][0]) == 0 ? of[k][1] : from;
        }
        trib_buf_adds(sql, ", ");
        if (meta_from_outcome) {
            trib_buf_adds(sql, from);
        } else {
            trib_sql_ident(sql, names[i]);
        }
        trib_buf_adds(sql, " AS ");
        trib_sql_ident(sql, names[i]);
    }
}

void trib_sql_pack(const struct trib_type *item, struct trib_buf *sql)
{
    trib_buf_adds(sql, "struct_pack(");
    for (size_t i = 0; i < item->n_fields; i++) {
        trib_buf_adds(sql, i > 0 ? ", " : "");
        trib_sql_ident(sql, item->fields[i].name);
        trib_buf_adds(sql, " := ");
        trib_sql_ident(sql, item->fields[i].name);
    }
    trib_buf_addc(sql, ')');
}

static int old_select(struct merge_run *r, const struct trib_add *adds, size_t n, struct trib_buf *sql,
                      struct trib_err *err)
{
    trib_buf_adds(sql, "SELECT *, ");
    trib_convert_sql(r->m->rewrite, "item", "_rescued_data", r->widened ? TRIB_CONVERT_WHOLE : TRIB_CONVERT_REWRITE,
                     sql);
    trib_buf_adds(sql, " AS img FROM (SELECT *, ");
    trib_sql_pack(&r->item, sql);
    trib_buf_adds(sql, " AS item");
    trib_buf_adds(sql, " FROM (");
    int rc = trib_delta_select(&r->m->silver, &r->s, adds, n, true, sql, err);
    trib_buf_adds(sql, "))");
    return rc;
}

/* New rows that Bronze's record tells alone. */
static int plain_rows(struct merge_run *r, struct trib_buf *sql, struct trib_err *err)
{
    const struct trib_merge *m = r->m;
    const char *names[8];
    enum trib_type_id types[8];
    size_t n = trib_merge_own_columns(m, names, types), n_files, *index = trib_marks_files(m->won, &n_files);
    if (n_files == 0) {
        free(index);
        return 0;
    }
    trib_buf_adds(sql, "SELECT unnest(img)");
    for (size_t i = 0; i < n; i++) {
        trib_buf_addf(sql, ", %s AS ",
                      i == 0                               ? "make_timestamptz(greatest(epoch_us(_event_ts), 0))"
                      : strcmp(names[i], "_sequence") == 0 ? "seq"
                      : types[i] == TRIB_T_BOOLEAN         ? "false"
                                                           : "CAST(NULL AS VARCHAR)");
        trib_sql_ident(sql, names[i]);
    }
    trib_buf_adds(sql, " FROM (SELECT _event_ts, ");
    trib_merge_sequence_of_new(r, sql);
    trib_buf_adds(sql, " AS seq, ");
    trib_convert_sql(m->in, "b.record", "b._rescued_data", TRIB_CONVERT_WHOLE, sql);
    trib_buf_adds(sql, " AS img FROM (");
    int rc = trib_merge_bronze_files(r, index, n_files, sql, err);
    trib_buf_addf(sql, ") b WHERE %s(b.f, b.p)) UNION ALL BY NAME ", trib_marks_name(m->won));
    free(index);
    return rc;
}

/* New rows with values from Bronze. */
static int from_bronze(struct merge_run *r, struct trib_buf *sql, struct trib_err *err)
{
    old_columns(r, true, sql);
    trib_buf_adds(sql, " FROM (SELECT o.*, CASE WHEN fresh THEN ");
    trib_convert_sql(r->m->in, "b.record", "b._rescued_data", TRIB_CONVERT_WHOLE, sql);
    if (r->b_old) {
        trib_buf_adds(sql, " ELSE ");
        trib_convert_sql(r->m->in, "b.old_record", "b._rescued_old_data", TRIB_CONVERT_WHOLE, sql);
    }
    trib_buf_adds(sql, " END AS img FROM (");
    TRIB_TRY(trib_merge_bronze_for(r, "winners", sql, err));
    trib_buf_adds(sql, ") b JOIN (SELECT * FROM outcome WHERE src = 'b' AND f IN (SELECT f FROM winners)");
    trib_buf_addf(sql, "%s) o ON o.f = b.f AND o.p = b.p)", r->m->o.history ? "" : " AND NOT " TRIB_PLAIN);
    return 0;
}

/* Deleted keys without any values. */
static void keys_alone(struct merge_run *r, struct trib_buf *sql)
{
    const struct trib_merge *m = r->m;
    trib_buf_adds(sql, " UNION ALL BY NAME ");
    trib_buf_adds(sql, "SELECT ");
    for (size_t k = 0; k < m->o.n_keys; k++) {
        trib_buf_addf(sql, "k%zu AS ", k + 1);
        trib_sql_ident(sql, trib_item_find(&r->new_item, m->o.keys[k])->name);
        trib_buf_adds(sql, ", ");
    }
    trib_buf_adds(sql, "m_upd AS ");
    trib_sql_ident(sql, m->o.updated_at);
    trib_buf_adds(sql, ", gone AS ");
    trib_sql_ident(sql, m->o.is_deleted);
    trib_buf_adds(sql, ", m_del AS _deleted_sequence, m_seq AS _sequence FROM outcome WHERE src = 'k'");
}

/* Touched files [out], and table `moved`: which place (i) among them each (sf) has. All files where a column widened. */
static int touched(struct merge_run *r, struct trib_add **ret, size_t *ret_n, struct trib_err *err)
{
    struct trib_conn *c = r->m->conn;
    struct trib_result *res = NULL;
    char *all = trib_asprintf("SELECT range AS sf FROM range(%zu)", r->s.n_adds);
    int rc = trib_execf(
        c, err, "CREATE OR REPLACE TEMP TABLE moved AS SELECT sf, row_number() OVER (ORDER BY sf) - 1 AS i FROM (%s)",
        r->widened ? all : "SELECT DISTINCT sf FROM outcome WHERE sf IS NOT NULL");
    free(all);
    if (rc == 0) {
        rc = trib_query(c, "SELECT sf FROM moved ORDER BY i", &res, err);
    }
    *ret = trib_calloc(r->s.n_adds, sizeof **ret);
    *ret_n = 0;
    const struct trib_chunk *chunk;
    while (rc == 0 && (rc = trib_result_next(res, &chunk, err)) == 0 && chunk->rows > 0) {
        for (size_t i = 0; i < chunk->rows; i++) {
            (*ret)[(*ret_n)++] = r->s.adds[((const int64_t *)chunk->cols[0].data)[i]];
        }
    }
    trib_result_free(res);
    return rc;
}

/* SELECT of every row that the new files hold. _file in old rows counts within `files`, so outcome's sf is mapped by its place. */
static int part_rows(struct merge_run *r, const struct trib_add *files, size_t n, bool first, struct trib_buf *sql,
                     struct trib_err *err)
{
    trib_buf_adds(sql, "SELECT ");
    for (size_t i = 0; i < r->schema.n_fields; i++) {
        trib_buf_adds(sql, i > 0 ? ", " : "");
        trib_sql_ident(sql, r->schema.fields[i].name);
    }
    trib_buf_adds(sql, " FROM (");
    if (first) {
        TRIB_TRY(plain_rows(r, sql, err));
    }
    TRIB_TRY(from_bronze(r, sql, err));
    if (first && !r->m->o.history && !r->m->o.hard_deletes && r->m->o.where == NULL) {
        keys_alone(r, sql);
    }
    if (first && n > 0) {
        trib_buf_adds(sql, " UNION ALL BY NAME ");
        old_columns(r, true, sql);
        trib_buf_adds(sql, " FROM (");
        TRIB_TRY(old_select(r, files, n, sql, err));
        trib_buf_adds(
            sql,
            ") q JOIN (SELECT outcome.*, moved.i AS qf FROM outcome JOIN moved USING (sf) WHERE src = 's') o ON q._file = o.qf AND q._pos = o.sp");
        trib_buf_adds(sql, " UNION ALL BY NAME ");
        old_columns(r, false, sql);
        trib_buf_adds(sql, " FROM (");
        TRIB_TRY(old_select(r, files, n, sql, err));
        trib_buf_addf(sql, ") q WHERE NOT %s(q._file, q._pos)", trib_marks_name(r->m->gone));
    }
    trib_buf_adds(sql, ")");
    return trib_buf_check(sql, "statement", err);
}

static int write_part(struct merge_run *r, const struct trib_add *old, size_t n_old, bool first,
                      struct trib_delta_files *ret, struct trib_err *err)
{
    struct trib_merge *m = r->m;
    struct trib_buf sql;
    trib_buf_init(&sql, TRIB_SQL_MAX);
    int rc = part_rows(r, old, n_old, first, &sql, err);
    if (rc == 0) {
        struct trib_parquet_opts o = {.file_bytes = m->o.file_bytes, .group_bytes = &m->group_bytes};
        /* Images are the wide side of every join here: the narrow outcome must be what is hashed, whatever the estimates say
         * (1 M rows of 0.6 KB: 945 MB and a spill otherwise). */
        rc = trib_exec(m->conn, "SET disabled_optimizers = 'join_order,build_side_probe_side'", err);
        if (rc == 0) {
            rc = trib_delta_files_query(&m->silver, sql.p, &o, ret, err);
        }
        int reset = trib_exec(m->conn, "SET disabled_optimizers = ''", rc == 0 ? err : NULL);
        rc = rc == 0 ? reset : rc;
    }
    trib_buf_free(&sql);
    return rc;
}

static int write_files(struct merge_run *r, const struct trib_add *old, size_t n_old, struct trib_delta_files *ret,
                       struct trib_err *err)
{
    int64_t last = 0;
    /* Parts of whole Bronze files with some 250,000 winners each: what is hashed stays small. */
    TRIB_TRY(trib_execf(
        r->m->conn, err,
        "CREATE OR REPLACE TEMP TABLE winner_parts AS SELECT f, (sum(n) OVER (ORDER BY f) - 1)::BIGINT // 250000 AS part "
        "FROM (SELECT f, count(*) AS n FROM outcome WHERE src = 'b'%s GROUP BY f)",
        r->m->o.history ? "" : " AND NOT " TRIB_PLAIN));
    TRIB_TRY(trib_query_i64(r->m->conn, "SELECT max(part) FROM winner_parts", 0, &last, err));
    for (int64_t part = 0; part <= last; part++) {
        TRIB_TRY(trib_execf(r->m->conn, err,
                            "CREATE OR REPLACE TEMP TABLE winners AS SELECT f FROM winner_parts WHERE part = %lld",
                            (long long)part));
        TRIB_TRY(write_part(r, old, n_old, part == 0, ret, err));
    }
    return 0;
}

static char *settings_text(const struct trib_merge *m)
{
    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    trib_buf_adds(&b, "key=");
    for (size_t i = 0; i < m->o.n_keys; i++) {
        trib_buf_addf(&b, "%s%s", i > 0 ? "," : "", m->o.keys[i]);
    }
    trib_buf_addf(&b, ";deletes=%s;numbers=%d;infer=%d;columns=%s,%s;sequence=%s;where=%s",
                  m->o.hard_deletes ? "hard" : "soft", (int)m->o.schema.numbers, m->o.schema.infer, m->o.updated_at,
                  m->o.is_deleted, m->o.sequence_attribute != NULL ? m->o.sequence_attribute : "stream",
                  m->o.where != NULL ? m->o.where : "");
    return trib_buf_take(&b);
}

/* Positions are kept under the pipeline's name: another's would begin anew, over rows that it knows nothing of. */
static int check_pipeline(const struct merge_run *r, const struct trib_snapshot *s, const char *what,
                          struct trib_err *err)
{
    const char *is = r->m->o.pipeline, *was = s->version < 0 ? NULL : trib_snapshot_property(s, "tributary.pipeline");
    if (was == NULL || strcmp(was, is) == 0) {
        return 0;
    }
    return trib_err_set(
        err, TRIB_E_CONFIG,
        "%s belongs to the pipeline %s, the config's is %s; try: name the pipeline %s again, or let `lake` be another place",
        what, was, is, was);
}

/* Of two settings texts, the settings from the first to the last that differ. `where`, the last one, may hold semicolons. */
static void leave_what_is_equal(struct trib_view *a, struct trib_view *b)
{
    size_t begin = 0, end = 0, shorter = a->n < b->n ? a->n : b->n;
    for (size_t i = 0; i < shorter && a->p[i] == b->p[i]; i++) {
        begin = a->p[i] == ';' ? i + 1 : begin;
    }
    for (size_t i = 1; i <= shorter - begin && a->p[a->n - i] == b->p[b->n - i]; i++) {
        end = a->p[a->n - i] == ';' ? i : end;
    }
    *a = (struct trib_view){a->p + begin, a->n - begin - end};
    *b = (struct trib_view){b->p + begin, b->n - begin - end};
}

int trib_merge_check_settings(const struct merge_run *r, struct trib_err *err)
{
    TRIB_TRY(check_pipeline(r, &r->b, "Bronze", err));
    TRIB_TRY(check_pipeline(r, &r->s, "the table", err));
    const char *was = trib_snapshot_property(&r->s, "tributary.settings");
    char *now = settings_text(r->m);
    int rc = 0;
    if (r->s.version >= 0 && was != NULL && strcmp(was, now) != 0) {
        struct trib_view was_part = trib_view_of(was), now_part = trib_view_of(now);
        leave_what_is_equal(&was_part, &now_part);
        rc = trib_err_set(
            err, TRIB_E_CONFIG,
            "silver %s/%s was written with other settings (%.*s, now %.*s); try: undo the change, or give the block another `table`",
            r->m->o.domain, r->m->o.silver, (int)was_part.n, was_part.p, (int)now_part.n, now_part.p);
    }
    free(now);
    return rc;
}

static int commit(struct merge_run *r, const struct trib_add *adds, size_t n_adds, const struct trib_add *removes,
                  size_t n_removes, struct trib_err *err)
{
    const struct trib_merge *m = r->m;
    char *settings = settings_text(m);
    char rows[32], from[32];
    (void)snprintf(rows, sizeof rows, "%lld", (long long)r->rows);
    (void)snprintf(from, sizeof from, "%lld", (long long)r->b.version);
    struct trib_kv metrics[] = {{(char *)(uintptr_t) "numChangedRows", rows}};
    struct trib_kv params[] = {{(char *)(uintptr_t) "bronzeVersion", from}};
    struct trib_kv properties[] = {{(char *)(uintptr_t) "tributary.pipeline", (char *)(uintptr_t)m->o.pipeline},
                                   {(char *)(uintptr_t) "tributary.settings", settings}};
    struct trib_txn txn = {m->app, r->b.version, 0};
    struct trib_protocol protocol = {.reader = 1, .writer = 2};
    bool fresh = r->s.version < 0;
    struct trib_commit c = {.read_version = r->s.version,
                            .operation = fresh ? "CREATE TABLE AS SELECT" : "MERGE",
                            .params = params,
                            .n_params = 1,
                            .metrics = metrics,
                            .n_metrics = 1,
                            .txn = &txn,
                            .n_txn = 1,
                            .new_metadata = fresh || r->schema_changed,
                            .schema = &r->schema,
                            .properties = fresh ? properties : r->s.properties,
                            .n_properties = fresh ? 2 : r->s.n_properties,
                            .protocol = fresh ? &protocol : NULL,
                            .adds = adds,
                            .n_adds = n_adds,
                            .removes = removes,
                            .n_removes = n_removes,
                            .data_change = true};
    int rc = trib_delta_commit(&m->silver, &r->s, &c, err);
    free(settings);
    return rc;
}

int trib_merge_write(struct merge_run *r, bool changed, struct trib_step *ret, struct trib_err *err)
{
    struct trib_merge *m = r->m;
    struct trib_add *old = NULL;
    size_t n_old = 0;
    struct trib_delta_files new = {0};
    int rc = 0;
    if (changed || r->widened) {
        rc = trib_query_i64(m->conn, "SELECT count(*) FROM outcome", 0, &r->rows, err);
        if (rc == 0) {
            rc = touched(r, &old, &n_old, err);
        }
        if (rc == 0) {
            int64_t n = 0;
            rc = trib_marks_fill(m->gone, m->conn, "SELECT moved.i, sp FROM outcome JOIN moved USING (sf)", &n, err);
        }
        r->rows += r->alone;
        if (rc == 0) {
            rc = write_files(r, old, n_old, &new, err);
        }
    }
    if (rc == 0) {
        rc = commit(r, new.adds, new.n, old, n_old, err);
    }
    trib_delta_files_end(&m->silver, &new, rc, err);
    free(old); /* borrowed from the snapshot */
    if (rc == 0) {
        ret->worked = true;
        ret->rows_out = r->rows;
        ret->ties = r->ties;
        ret->version = r->s.version + 1;
    }
    return rc;
}
