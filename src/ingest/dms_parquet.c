/* Parquet files of DMS as rows of texts; see dms_own.h. Owns a connection and one chunk of the engine's. */
#include <stdlib.h>

#include "columns/format.h"
#include "ingest/dms_own.h"
#include "ingest/rows.h"

struct trib_dms_parquet {
    const struct trib_ingest_opts *o;
    struct trib_engine *engine;
    const char *key;
    struct trib_conn *conn;
    struct trib_result *result;
    const struct trib_chunk *chunk;
    size_t at;
    bool ended;
    struct trib_dms_layout layout;
    struct trib_csv_field *fields;
    bool *is_time;          /* one a column: the query gives µs */
    struct trib_buf *times; /* their texts */
};

struct trib_dms_parquet *trib_dms_parquet_open(const struct trib_ingest_opts *o, struct trib_engine *engine,
                                               const char *key)
{
    struct trib_dms_parquet *p = trib_calloc(1, sizeof *p);
    *p = (struct trib_dms_parquet){.o = o, .engine = engine, .key = key};
    return p;
}

void trib_dms_parquet_free(struct trib_dms_parquet *p)
{
    if (p == NULL) {
        return;
    }
    if (p->result != NULL) {
        trib_result_free(p->result);
    }
    if (p->conn != NULL) {
        trib_conn_close(p->conn);
    }
    for (size_t i = 0; i < p->layout.n && p->times != NULL; i++) {
        trib_buf_free(&p->times[i]);
    }
    free(p->is_time);
    free(p->times);
    free(p->fields);
    trib_dms_layout_free(&p->layout);
    free(p);
}

static enum trib_dms_form native_form(const struct trib_type *t)
{
    switch (t->id) {
    case TRIB_T_BYTE:
    case TRIB_T_SHORT:
    case TRIB_T_INT:
    case TRIB_T_LONG:
    case TRIB_T_FLOAT:
    case TRIB_T_DOUBLE:
    case TRIB_T_DECIMAL: return TRIB_DMS_NUMBER;
    case TRIB_T_BOOLEAN: return TRIB_DMS_BOOL;
    case TRIB_T_BINARY: return TRIB_DMS_BASE64;
    case TRIB_T_TIMESTAMP: return TRIB_DMS_INSTANT;
    case TRIB_T_TIMESTAMP_NTZ: return TRIB_DMS_LOCAL;
    default: return TRIB_DMS_TEXT;
    }
}

/* A column as text. */
static void add_column(struct trib_buf *sql, const struct trib_field *f)
{
    enum trib_dms_form form = native_form(&f->type);
    bool time = form == TRIB_DMS_INSTANT || form == TRIB_DMS_LOCAL;
    bool nested = f->type.id == TRIB_T_STRUCT || f->type.id == TRIB_T_ARRAY || f->type.id == TRIB_T_MAP;
    trib_buf_adds(sql, form == TRIB_DMS_BASE64 ? ", base64("
                       : time                  ? ", CAST(epoch_us("
                       : nested                ? ", CAST(to_json("
                                               : ", CAST(");
    trib_sql_ident(sql, f->name);
    trib_buf_adds(sql, form == TRIB_DMS_BASE64 ? ")" : time || nested ? ") AS VARCHAR)" : " AS VARCHAR)");
}

static int prepare(struct trib_dms_parquet *p, const char *path, const struct trib_type *row, struct trib_buf *sql,
                   struct trib_err *err)
{
    static const char remedy[] = "let `key` and `source.timestamp` name the columns as the files have them";
    p->layout.columns = trib_calloc(row->n_fields + 1, sizeof *p->layout.columns);
    trib_buf_clear(sql);
    trib_buf_adds(sql, "SELECT CAST(file_row_number AS VARCHAR)");
    for (size_t i = 0; i < row->n_fields; i++) {
        const struct trib_field *f = &row->fields[i];
        trib_dms_column(p->o, trib_view_of(f->name), i == 0, native_form(&f->type), false,
                        &p->layout.columns[p->layout.n++]);
        add_column(sql, f);
    }
    trib_buf_adds(sql, " FROM read_parquet(");
    trib_sql_literal(sql, trib_view_of(path));
    trib_buf_adds(sql, ", hive_partitioning = false, file_row_number = true)");
    TRIB_TRY(trib_buf_check(sql, "statement", err));
    p->fields = trib_calloc(row->n_fields + 1, sizeof *p->fields);
    p->times = trib_calloc(row->n_fields + 1, sizeof *p->times);
    p->is_time = trib_calloc(row->n_fields + 1, sizeof *p->is_time);
    for (size_t i = 0; i < row->n_fields; i++) {
        enum trib_dms_form form = native_form(&row->fields[i].type);
        p->is_time[i] = form == TRIB_DMS_INSTANT || form == TRIB_DMS_LOCAL;
        trib_buf_init(&p->times[i], 64);
    }
    return trib_dms_layout_check(p->o, p->key, &p->layout, remedy, err);
}

static int begin(struct trib_dms_parquet *p, struct trib_err *err)
{
    TRIB_TRY(trib_rows_check_end(p->o->source, p->key, err));
    TRIB_CLEANUP(trib_cleanup_free) char *path = NULL;
    TRIB_TRY(trib_store_local(p->o->source, p->key, &path, err));
    TRIB_TRY(trib_conn_open(p->engine, &p->conn, err));
    struct trib_buf sql;
    trib_buf_init(&sql, (size_t)16 << 20);
    trib_buf_adds(&sql, "SELECT * FROM read_parquet(");
    trib_sql_literal(&sql, trib_view_of(path));
    trib_buf_adds(&sql, ", hive_partitioning = false)");
    struct trib_type row;
    int rc = trib_query_type(p->conn, sql.p, &row, NULL, err);
    if (rc == 0) {
        rc = prepare(p, path, &row, &sql, err);
        trib_type_free(&row);
    }
    if (rc == 0) {
        rc = trib_query(p->conn, sql.p, &p->result, err);
    }
    trib_buf_free(&sql);
    return rc;
}

/* µs → a time without zeros at its end, in the column's own buffer. */
static struct trib_view time_text(struct trib_buf *to, struct trib_view us)
{
    trib_buf_clear(to);
    char text[32] = "";
    memcpy(text, us.p, us.n < sizeof text - 1 ? us.n : sizeof text - 1);
    trib_format_timestamp(to, strtoll(text, NULL, 10), 6);
    while (to->n > 0 && to->p[to->n - 1] == '0') {
        to->n--;
    }
    to->n -= to->n > 0 && to->p[to->n - 1] == '.';
    return trib_buf_view(to);
}

static struct trib_view cell(const struct trib_chunk *c, size_t col, size_t row)
{
    return trib_vec_is_null(&c->cols[col], row) ? (struct trib_view){NULL, 0}
                                                : trib_str_view(&((const struct trib_str *)c->cols[col].data)[row]);
}

int trib_dms_parquet_next(struct trib_dms_parquet *p, const struct trib_dms_layout **ret_layout,
                          const struct trib_csv_field **ret_fields, int64_t *ret_row, bool *ret_end,
                          struct trib_err *err)
{
    if (p->result == NULL) {
        TRIB_TRY(begin(p, err));
    }
    if (!p->ended && (p->chunk == NULL || p->at == p->chunk->rows)) {
        TRIB_TRY(trib_result_next(p->result, &p->chunk, err));
        p->at = 0;
        p->ended = p->chunk->rows == 0;
    }
    *ret_end = p->ended;
    if (p->ended) {
        return 0;
    }
    size_t row = p->at++;
    struct trib_view number = cell(p->chunk, 0, row);
    char text[32] = "";
    memcpy(text, number.p, number.n < sizeof text - 1 ? number.n : sizeof text - 1);
    *ret_row = strtoll(text, NULL, 10);
    for (size_t i = 0; i < p->layout.n; i++) {
        struct trib_view v = cell(p->chunk, i + 1, row);
        p->fields[i].text = v.p == NULL || !p->is_time[i] ? v : time_text(&p->times[i], v);
    }
    *ret_layout = &p->layout;
    *ret_fields = p->fields;
    return 0;
}
