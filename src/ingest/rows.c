/* See rows.h. Keeps one chunk of the engine's, the text of the row at hand, and where each row's text began. */
#include "ingest/rows.h"

#include <stdlib.h>

#include "ingest/firehose.h"

enum { LINE_MAX = 256 << 20 };

struct trib_rows {
    struct trib_engine *engine;
    struct trib_store *store;
    const char *key;
    struct trib_conn *conn;
    struct trib_result *result;
    const struct trib_chunk *chunk;
    size_t at; /* row in the chunk */
    struct trib_buf line;
    size_t given; /* of the line */
    int64_t decoded;
    bool ended;
    struct trib_err failed; /* told after the text before it */
    int64_t *starts;
    size_t n_starts, cap_starts;
};

struct trib_rows *trib_rows_open(struct trib_engine *engine, struct trib_store *store, const char *key)
{
    struct trib_rows *r = trib_calloc(1, sizeof *r);
    *r = (struct trib_rows){.engine = engine, .store = store, .key = key};
    trib_buf_init(&r->line, LINE_MAX);
    return r;
}

void trib_rows_free(struct trib_rows *r)
{
    if (r == NULL) {
        return;
    }
    if (r->result != NULL) {
        trib_result_free(r->result);
    }
    if (r->conn != NULL) {
        trib_conn_close(r->conn);
    }
    trib_buf_free(&r->line);
    free(r->starts);
    free(r);
}

int64_t trib_rows_decoded(const struct trib_rows *r) { return r->decoded; }

int64_t trib_rows_number(const struct trib_rows *r, int64_t offset)
{
    size_t low = 0, high = r->n_starts;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (r->starts[middle] <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? 0 : (int64_t)low - 1;
}

/* What ends with Parquet's magic bytes is whole; the engine tells an unreadable file and a cut one by one code. */
int trib_rows_check_end(struct trib_store *store, const char *key, struct trib_err *err)
{
    int64_t size, mtime_us;
    struct trib_buf tail;
    trib_buf_init(&tail, 64);
    TRIB_TRY(trib_store_head(store, key, &size, &mtime_us, err));
    int rc = size < 12 ? 0 : trib_store_get(store, key, size - 4, 4, &tail, err);
    if (rc == 0 && (tail.n != 4 || memcmp(tail.p, "PAR1", 4) != 0)) {
        rc = trib_err_set(err, TRIB_E_DATA, "the Parquet file has no end: cut off after %lld bytes", (long long)size);
    }
    trib_buf_free(&tail);
    return rc;
}

static int begin(struct trib_rows *r, struct trib_err *err)
{
    TRIB_TRY(trib_rows_check_end(r->store, r->key, err));
    TRIB_CLEANUP(trib_cleanup_free) char *path = NULL;
    TRIB_TRY(trib_store_local(r->store, r->key, &path, err));
    TRIB_TRY(trib_conn_open(r->engine, &r->conn, err));
    struct trib_buf sql;
    trib_buf_init(&sql, (size_t)1 << 20);
    trib_buf_adds(&sql, "SELECT CAST(to_json(t) AS VARCHAR) FROM read_parquet(");
    trib_sql_literal(&sql, trib_view_of(path));
    trib_buf_adds(&sql, ", hive_partitioning = false) t");
    int rc = trib_query(r->conn, sql.p, &r->result, err);
    trib_buf_free(&sql);
    return rc;
}

/* The next row's line; at the end it stays empty. */
static int next_line(struct trib_rows *r, struct trib_err *err)
{
    trib_buf_clear(&r->line);
    r->given = 0;
    if (r->ended) {
        return 0;
    }
    if (r->result == NULL) {
        TRIB_TRY(begin(r, err));
    }
    if (r->chunk == NULL || r->at == r->chunk->rows) {
        TRIB_TRY(trib_result_next(r->result, &r->chunk, err));
        r->at = 0;
        if (r->chunk->rows == 0) {
            r->ended = true;
            return 0;
        }
    }
    struct trib_view row = trib_str_view(&((const struct trib_str *)r->chunk->cols[0].data)[r->at++]);
    if (!trib_firehose_record(row, &r->line)) {
        trib_buf_add(&r->line, row.p, row.n);
    }
    trib_buf_addc(&r->line, '\n');
    TRIB_TRY(trib_buf_check(&r->line, "a row of a Parquet file", err));
    TRIB_GROW(r->starts, r->cap_starts, r->n_starts + 1);
    r->starts[r->n_starts++] = r->decoded;
    return 0;
}

int64_t trib_rows_read(void *ctx, char *to, size_t n, struct trib_err *err)
{
    struct trib_rows *r = ctx;
    size_t made = 0;
    while (made < n && r->failed.code == TRIB_OK) {
        if (r->given == r->line.n) {
            if (next_line(r, &r->failed) != 0 || r->line.n == 0) {
                break;
            }
        }
        size_t have = r->line.n - r->given;
        have = have < n - made ? have : n - made;
        memcpy(to + made, r->line.p + r->given, have);
        r->given += have;
        r->decoded += (int64_t)have;
        made += have;
    }
    if (made == 0 && r->failed.code != TRIB_OK) {
        *err = r->failed;
        return -(int64_t)err->code;
    }
    return (int64_t)made;
}
