/*
 * delta_write FOLDER: Delta tables with every type and odd partition values, for other readers to read.
 *
 *   FOLDER/commits       several commits, one file removed again
 *   FOLDER/checkpointed  the same, read from a checkpoint: the commits before it are gone
 *   FOLDER/features      the same under protocol 1/7 with domainMetadata in the list, checkpointed
 *   FOLDER/expected.parquet   the rows of each of them
 */
#include <stdio.h>
#include <stdlib.h>

#include "delta/internal.h"
#include "os/fs.h"
#include "os/os.h"

#define ROWS(range)                                                                                                  \
    "SELECT i AS id, CAST(i AS TINYINT) AS b, CAST(-i AS SMALLINT) AS sh, CAST(i * 1000 AS INTEGER) AS n, "          \
    "CAST(i / 4.0 AS FLOAT) AS f, CAST(i / 8.0 AS DOUBLE) AS d, CAST(i * 1.10 AS DECIMAL(4,2)) AS d4, "              \
    "CAST(CAST('1234567890123456789.123456789012345678' AS DECIMAL(38,18)) + i AS DECIMAL(38,18)) AS d38, "          \
    "i % 2 = 0 AS flag, encode('bin' || i) AS bin, DATE '1969-12-30' + CAST(i AS INTEGER) AS day, "                  \
    "TIMESTAMPTZ '1969-12-31 23:59:59.999999+00' + to_seconds(i) AS ts, "                                            \
    "CASE WHEN i % 3 = 0 THEN NULL ELSE 'text ' || i || ' \xC3\xA4\xF0\x9F\x98\x80\"''' END AS s, "                  \
    "CASE WHEN i % 5 = 0 THEN NULL ELSE {'x': i, 'y': CASE WHEN i % 2 = 0 THEN [CAST(i AS VARCHAR), NULL] END} END " \
    "AS st, [i, NULL, i + 1] AS l, MAP {'k' || i: i} AS m FROM range(" range ") r(i) ORDER BY i"

static const struct {
    const char *rows, *day, *text;
} files[] = {
    {ROWS("0, 10"), "2026-01-01", "plain"},
    {ROWS("10, 20"), "1969-12-31", "a b/c=%25'\"\xC3\xA4+:?*"},
    {ROWS("20, 30"), NULL, NULL},
    {ROWS("30, 40"), "2026-01-02", "removed"},
};
enum { N_FILES = sizeof files / sizeof *files, KEPT = N_FILES - 1 };

static int write_file(const struct trib_delta *t, size_t i, struct trib_add *ret, struct trib_err *err)
{
    struct trib_parquet_opts opts = {0};
    struct trib_parquet_file *written;
    size_t n;
    TRIB_CLEANUP(trib_cleanup_free) char *prefix = trib_asprintf("%s/out", t->scratch);
    TRIB_TRY(trib_parquet_write_query(t->conn, files[i].rows, prefix, &opts, &written, &n, err));
    struct trib_kv partition[] = {{(char[]){"pd"}, (char *)(uintptr_t)files[i].day},
                                  {(char[]){"ps"}, (char *)(uintptr_t)files[i].text}};
    int rc = trib_delta_add_file(t, &written[0], partition, 2, ret, err);
    trib_parquet_file_free(&written[0]);
    free(written);
    return rc;
}

static int commit(const struct trib_delta *t, struct trib_snapshot *s, struct trib_commit *c, struct trib_err *err)
{
    struct trib_txn txn = {.app_id = (char[]){"tributary.test"}, .version = s->version + 1};
    c->read_version = s->version;
    c->txn = &txn;
    c->n_txn = 1;
    TRIB_TRY(trib_delta_commit(t, s, c, err));
    return trib_delta_refresh(t, s, err);
}

static int make(const struct trib_delta *t, const struct trib_protocol *protocol, struct trib_snapshot *s,
                struct trib_err *err)
{
    struct trib_type schema;
    const char *columns[] = {"pd", "ps"};
    const struct trib_kv properties[] = {{(char[]){"tributary.note"}, (char[]){"{\"a\": [1]}"}}};
    TRIB_TRY(trib_query_type(t->conn, files[0].rows, &schema, NULL, err));
    (void)trib_type_add(&schema, "pd", trib_type_simple(TRIB_T_DATE));
    (void)trib_type_add(&schema, "ps", trib_type_simple(TRIB_T_STRING));
    trib_field_set_meta(&schema.fields[0], "dynamodb.type", "N");
    struct trib_commit first = {.operation = "CREATE TABLE",
                                .new_metadata = true,
                                .schema = &schema,
                                .protocol = protocol,
                                .partition_columns = columns,
                                .n_partition_columns = 2,
                                .properties = properties,
                                .n_properties = 1};
    TRIB_TRY(commit(t, s, &first, err));
    trib_type_free(&schema);
    for (size_t i = 0; i < N_FILES; i++) {
        struct trib_add a;
        TRIB_TRY(write_file(t, i, &a, err));
        struct trib_commit c = {.operation = "WRITE", .blind_append = true, .adds = &a, .n_adds = 1};
        TRIB_TRY(commit(t, s, &c, err));
        if (i == KEPT) {
            struct trib_commit remove = {.operation = "DELETE", .removes = &a, .n_removes = 1, .data_change = true};
            TRIB_TRY(commit(t, s, &remove, err));
        }
        trib_add_free(&a);
    }
    return 0;
}

static int make_table(struct trib_delta *t, const char *name, const struct trib_protocol *protocol,
                      bool with_checkpoint, struct trib_err *err)
{
    struct trib_snapshot s = {.version = -1};
    t->path = (char *)(uintptr_t)name;
    TRIB_TRY(make(t, protocol, &s, err));
    if (with_checkpoint) {
        TRIB_TRY(trib_delta_checkpoint(t, &s, err));
        for (int64_t v = 0; v < s.version; v++) {
            TRIB_CLEANUP(trib_cleanup_free) char *key = trib_delta_commit_key(t, v);
            TRIB_TRY(trib_store_remove(t->store, key, err));
        }
    }
    trib_snapshot_free(&s);
    return 0;
}

static void literal(struct trib_buf *sql, const char *text)
{
    if (text == NULL) {
        trib_buf_adds(sql, "NULL");
    } else {
        trib_sql_literal(sql, trib_view_of(text));
    }
}

static int write_expected(struct trib_conn *c, const char *folder, struct trib_err *err)
{
    TRIB_CLEANUP(trib_buf_free) struct trib_buf sql;
    TRIB_CLEANUP(trib_cleanup_free) char *path = trib_asprintf("%s/expected.parquet", folder);
    trib_buf_init(&sql, 1 << 20);
    trib_buf_adds(&sql, "COPY (");
    for (size_t i = 0; i < KEPT; i++) {
        trib_buf_adds(&sql, i > 0 ? " UNION ALL SELECT *, CAST(" : "SELECT *, CAST(");
        literal(&sql, files[i].day);
        trib_buf_adds(&sql, " AS DATE) AS pd, CAST(");
        literal(&sql, files[i].text);
        trib_buf_addf(&sql, " AS VARCHAR) AS ps FROM (%s)", files[i].rows);
    }
    trib_buf_adds(&sql, ") TO ");
    trib_sql_literal(&sql, trib_view_of(path));
    trib_buf_adds(&sql, " (FORMAT parquet)");
    return trib_exec(c, sql.p, err);
}

static int run(const char *folder, const char *scratch, struct trib_err *err)
{
    char *features[] = {(char[]){"appendOnly"}, (char[]){"domainMetadata"}, NULL};
    const struct trib_protocol plain = {.reader = 1, .writer = 2},
                               listed = {.reader = 1, .writer = 7, .writer_features = features};
    struct trib_engine *engine;
    struct trib_engine_opts opts = {.threads = 1, .scratch = scratch};
    struct trib_delta t = {.clock = &trib_clock_real, .rng = &trib_rng_real, .scratch = scratch};
    TRIB_TRY(trib_engine_open(&opts, &engine, err));
    TRIB_TRY(trib_conn_open(engine, &t.conn, err));
    TRIB_TRY(trib_store_open_file(&trib_fs_real, folder, &t.store, err));
    TRIB_TRY(make_table(&t, "commits", &plain, false, err));
    TRIB_TRY(make_table(&t, "checkpointed", &plain, true, err));
    TRIB_TRY(make_table(&t, "features", &listed, true, err));
    TRIB_TRY(write_expected(t.conn, folder, err));
    trib_conn_close(t.conn);
    trib_engine_close(engine);
    trib_store_free(t.store);
    return 0;
}

int main(int argc, char **argv)
{
    struct trib_err err = {0};
    char *scratch = NULL;
    if (argc != 2) {
        (void)fprintf(stderr, "usage: delta_write FOLDER\n");
        return 64;
    }
    int rc = trib_scratch_make(NULL, &scratch, &err);
    rc = rc != 0 ? rc : run(argv[1], scratch, &err);
    trib_scratch_remove(scratch);
    free(scratch);
    if (rc != 0) {
        (void)fprintf(stderr, "delta_write: %s\n", err.msg);
    }
    return trib_code_exit((enum trib_code)rc);
}
