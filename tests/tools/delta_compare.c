/*
 * delta_compare TABLE EXPECTED.parquet...: are the rows of the Delta table those of these Parquet files, as bags?
 * delta_compare TABLE: its number of rows.
 * Prints one line; exit 0 equal (or counted), 1 different, 2 refused (with the reason).
 */
#include <stdio.h>
#include <stdlib.h>

#include "delta/delta.h"
#include "os/fs.h"
#include "os/os.h"

static int compare(struct trib_conn *c, const char *ours, char **files, int n_files, struct trib_err *err)
{
    TRIB_CLEANUP(trib_buf_free) struct trib_buf theirs, columns, sql;
    trib_buf_init(&theirs, 1 << 26);
    trib_buf_init(&columns, 1 << 26);
    trib_buf_init(&sql, 1 << 28);
    trib_buf_adds(&theirs, "SELECT * FROM read_parquet([");
    for (int i = 0; i < n_files; i++) {
        trib_buf_adds(&theirs, i > 0 ? ", " : "");
        trib_sql_literal(&theirs, trib_view_of(files[i]));
    }
    trib_buf_adds(&theirs, "], hive_partitioning = false)");
    struct trib_type a, b;
    TRIB_TRY(trib_query_type(c, theirs.p, &a, NULL, err));
    for (size_t i = 0; i < a.n_fields; i++) {
        trib_buf_adds(&columns, i > 0 ? ", " : "");
        trib_sql_ident(&columns, a.fields[i].name);
    }
    TRIB_TRY(trib_query_type(c, ours, &b, NULL, err));
    if (a.n_fields != b.n_fields) {
        return trib_err_set(err, TRIB_E_DATA, "%zu columns, expected %zu", b.n_fields, a.n_fields);
    }
    trib_type_free(&a);
    trib_type_free(&b);
    int64_t counts[4];
    const char *names[4] = {"ours", "theirs", "only ours", "only theirs"};
    for (int i = 0; i < 4; i++) {
        trib_buf_clear(&sql);
        trib_buf_addf(&sql,
                      "WITH ours AS (SELECT %s FROM (%s)), theirs AS (SELECT %s FROM (%s)) SELECT count(*) FROM (%s)",
                      columns.p, ours, columns.p, theirs.p,
                      i == 0   ? "FROM ours"
                      : i == 1 ? "FROM theirs"
                      : i == 2 ? "FROM ours EXCEPT ALL FROM theirs"
                               : "FROM theirs EXCEPT ALL FROM ours");
        TRIB_TRY(trib_query_i64(c, sql.p, -1, &counts[i], err));
    }
    for (int i = 0; i < 4; i++) {
        printf("%s%lld %s", i > 0 ? ", " : "", (long long)counts[i], names[i]);
    }
    printf("\n");
    return counts[2] == 0 && counts[3] == 0 && counts[0] == counts[1]
               ? 0
               : trib_err_set(err, TRIB_E_DATA, "the rows differ");
}

static int run(int argc, char **argv, const char *scratch, struct trib_err *err)
{
    struct trib_engine *engine;
    struct trib_store *store;
    struct trib_engine_opts opts = {.threads = 2, .scratch = scratch};
    TRIB_TRY(trib_engine_open(&opts, &engine, err));
    struct trib_delta t = {.path = (char[]){""}, .clock = &trib_clock_real, .rng = &trib_rng_real, .scratch = scratch};
    TRIB_TRY(trib_conn_open(engine, &t.conn, err));
    TRIB_TRY(trib_store_open_file(&trib_fs_real, argv[1], &store, err));
    t.store = store;
    struct trib_snapshot s;
    TRIB_TRY(trib_delta_load(&t, -1, &s, err));
    if (s.version < 0) {
        return trib_err_set(err, TRIB_E_NOT_FOUND, "%s is no Delta table", argv[1]);
    }
    struct trib_buf sql;
    trib_buf_init(&sql, 1 << 28);
    TRIB_TRY(trib_delta_select(&t, &s, s.adds, s.n_adds, false, &sql, err));
    if (argc > 2) {
        return compare(t.conn, sql.p, argv + 2, argc - 2, err);
    }
    int64_t n;
    TRIB_CLEANUP(trib_cleanup_free) char *count = trib_asprintf("SELECT count(*) FROM (%s)", sql.p);
    TRIB_TRY(trib_query_i64(t.conn, count, -1, &n, err));
    printf("%lld rows\n", (long long)n);
    return 0;
}

int main(int argc, char **argv)
{
    struct trib_err err = {0};
    char *scratch = NULL;
    if (argc < 2) {
        (void)fprintf(stderr, "usage: delta_compare TABLE [EXPECTED.parquet...]\n");
        return 64;
    }
    int rc = trib_scratch_make(NULL, &scratch, &err);
    rc = rc != 0 ? rc : run(argc, argv, scratch, &err);
    trib_scratch_remove(scratch);
    if (rc != 0) {
        (void)printf("%s: %s\n", trib_code_name(err.code), err.msg);
    }
    return rc == 0 ? 0 : strcmp(err.msg, "the rows differ") == 0 ? 1 : 2;
}
