/* delta: checkpoints in all their forms, deletion vectors, SQL over a snapshot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include <cmocka.h>

#include "delta/internal.h"
#include "table.h"

#define GOOD(call)                          \
    do {                                    \
        struct trib_err err = {0};          \
        int good_rc_ = (call);              \
        if (good_rc_ != 0) {                \
            print_message("%s\n", err.msg); \
        }                                   \
        assert_int_equal(good_rc_, 0);      \
    } while (0)

static const struct trib_protocol protocol_12 = {.reader = 1, .writer = 2};
static char *feature_dv[] = {(char[]){"deletionVectors"}, NULL};
static const struct trib_protocol protocol_37 = {
    .reader = 3, .writer = 7, .reader_features = feature_dv, .writer_features = feature_dv};

/* Columns: id BIGINT; partition columns d DATE, s STRING. */
static void create(const struct trib_delta *t, const struct trib_protocol *p)
{
    struct trib_type schema = trib_type_simple(TRIB_T_STRUCT);
    (void)trib_type_add(&schema, "id", trib_type_simple(TRIB_T_LONG));
    (void)trib_type_add(&schema, "d", trib_type_simple(TRIB_T_DATE));
    (void)trib_type_add(&schema, "s", trib_type_simple(TRIB_T_STRING));
    struct trib_snapshot s = {.version = -1};
    const char *columns[] = {"d", "s"};
    struct trib_kv properties[] = {{"tributary.x", "y"}};
    struct trib_commit c = {.read_version = -1,
                            .operation = "CREATE TABLE",
                            .new_metadata = true,
                            .schema = &schema,
                            .protocol = p,
                            .partition_columns = columns,
                            .n_partition_columns = 2,
                            .properties = properties,
                            .n_properties = 1};
    GOOD(trib_delta_commit(t, &s, &c, &err));
    trib_type_free(&schema);
}

static struct trib_snapshot load(const struct trib_delta *t, int64_t version)
{
    struct trib_snapshot s;
    GOOD(trib_delta_load(t, version, &s, &err));
    return s;
}

/* Rows from..to-1 as one file. */
static struct trib_add write_rows(const struct trib_delta *t, int from, int to, const char *d, const char *s)
{
    struct trib_parquet_opts opts = {0};
    struct trib_parquet_file *files;
    size_t n;
    char *select = trib_asprintf("SELECT CAST(i AS BIGINT) AS id FROM range(%d, %d) r(i) ORDER BY i", from, to);
    char *prefix = trib_asprintf("%s/rows", dir);
    GOOD(trib_parquet_write_query(conn, select, prefix, &opts, &files, &n, &err));
    assert_int_equal(n, 1);
    struct trib_kv partition[] = {{"d", (char *)(uintptr_t)d}, {"s", (char *)(uintptr_t)s}};
    struct trib_add a;
    GOOD(trib_delta_add_file(t, &files[0], partition, 2, &a, &err));
    trib_parquet_file_free(&files[0]);
    free(files);
    free(select);
    free(prefix);
    return a;
}

static void commit_adds(const struct trib_delta *t, struct trib_add *adds, size_t n)
{
    struct trib_snapshot s = load(t, -1);
    struct trib_txn txn = {.app_id = (char[]){"app"}, .version = s.version + 1};
    struct trib_commit c = {
        .read_version = s.version, .operation = "WRITE", .adds = adds, .n_adds = n, .txn = &txn, .n_txn = 1};
    GOOD(trib_delta_commit(t, &s, &c, &err));
    trib_snapshot_free(&s);
}

static void append(const struct trib_delta *t, int from, int to, const char *d, const char *s)
{
    struct trib_add a = write_rows(t, from, to, d, s);
    commit_adds(t, &a, 1);
    trib_add_free(&a);
}

static int64_t ask(const struct trib_delta *t, const struct trib_snapshot *s, const char *what)
{
    struct trib_buf sql;
    int64_t n = -1;
    trib_buf_init(&sql, 1 << 26);
    GOOD(trib_delta_select(t, s, s->adds, s->n_adds, true, &sql, &err));
    char *q = trib_asprintf("SELECT CAST((%s) AS BIGINT) FROM (%s)", what, sql.p);
    GOOD(trib_query_i64(conn, q, -2, &n, &err));
    free(q);
    trib_buf_free(&sql);
    return n;
}

static void put_text(const char *key, const char *text)
{
    GOOD(trib_store_put(store, key, trib_view_of(text), false, &err));
}

static void remove_key(const char *key) { GOOD(trib_store_remove(store, key, &err)); }

static bool is_there(const char *key)
{
    struct trib_err err;
    return trib_store_head(store, key, NULL, NULL, &err) == 0;
}

static void expect_error(const struct trib_delta *t, int64_t version, enum trib_code code, const char *says)
{
    struct trib_snapshot s;
    struct trib_err err = {0};
    assert_int_equal(trib_delta_load(t, version, &s, &err), code);
    if (strstr(err.msg, says) == NULL) {
        print_message("expected \"%s\" in: %s\n", says, err.msg);
        fail();
    }
}

static void test_select(void **state)
{
    (void)state;
    struct trib_delta t = table("select");
    create(&t, &protocol_12);
    append(&t, 0, 10, "2026-01-31", "plain");
    append(&t, 10, 15, NULL, "a b/c=%'\xC3\xA4");
    append(&t, 15, 18, "1969-12-31", NULL);
    append(&t, 18, 20, "0001-01-01", "");
    struct trib_snapshot s = load(&t, -1);
    assert_int_equal(s.n_adds, 4);
    size_t in_folder = 0;
    for (size_t i = 0; i < 4; i++) { /* every partition has its folder: Polars takes the values from there */
        in_folder += strchr(s.adds[i].path, '/') != NULL;
        assert_true(s.adds[i].rows > 0);
    }
    assert_int_equal(in_folder, 4);
    assert_int_equal(ask(&t, &s, "count(*)"), 20);
    assert_int_equal(ask(&t, &s, "sum(id) FILTER (d = DATE '2026-01-31' AND s = 'plain')"), 45);
    assert_int_equal(ask(&t, &s, "count(*) FILTER (d IS NULL AND s = 'a b/c=%''\xC3\xA4')"), 5);
    assert_int_equal(ask(&t, &s, "count(*) FILTER (d = DATE '1969-12-31' AND s IS NULL)"), 3);
    assert_int_equal(ask(&t, &s, "count(*) FILTER (d = DATE '0001-01-01' AND s IS NULL)"),
                     2); /* the empty string is null in Delta */
    assert_int_equal(ask(&t, &s, "count(DISTINCT \"_file\")"), 4);
    assert_int_equal(ask(&t, &s, "max(\"_pos\")"), 9);
    trib_snapshot_free(&s);
    s = load(&t, 0);
    assert_int_equal(ask(&t, &s, "count(*)"), 0);
    trib_snapshot_free(&s);
}

static void test_abandon(void **state)
{
    (void)state;
    struct trib_delta t = table("abandon");
    struct trib_add a = write_rows(&t, 0, 3, "2026-01-01", "x");
    char *key = trib_delta_file_key(&t, a.path);
    assert_true(is_there(key));
    trib_delta_abandon(&t, &a, 1);
    assert_false(is_there(key));
    trib_delta_abandon(&t, &a, 1);
    free(key);
    trib_add_free(&a);
}

/* Ten appends, a removal; both loads must agree whatever the log holds. */
static void make_long(const struct trib_delta *t, const struct trib_protocol *p)
{
    create(t, p);
    for (int i = 0; i < 10; i++) {
        append(t, i * 10, i * 10 + 10, "2026-01-01", i % 2 == 0 ? "even" : NULL);
    }
    struct trib_snapshot s = load(t, -1);
    size_t gone = 0; /* the file of rows 0 to 9 */
    for (size_t i = 0; i < s.n_adds; i++) {
        gone = s.adds[i].version == 1 ? i : gone;
    }
    struct trib_commit c = {.read_version = s.version,
                            .operation = "DELETE",
                            .removes = &s.adds[gone],
                            .n_removes = 1,
                            .data_change = true};
    GOOD(trib_delta_commit(t, &s, &c, &err));
    trib_snapshot_free(&s);
}

static void expect_long(const struct trib_delta *t, int64_t checkpoint)
{
    struct trib_snapshot s = load(t, -1);
    assert_int_equal(s.version, 11);
    assert_int_equal(s.checkpoint_version, checkpoint);
    assert_int_equal(s.n_adds, 9);
    assert_int_equal(s.n_removes, 1);
    assert_int_equal(trib_snapshot_txn(&s, "app"), 10);
    assert_string_equal(trib_snapshot_property(&s, "tributary.x"), "y");
    assert_int_equal(s.n_partition_columns, 2);
    assert_int_equal(ask(t, &s, "sum(id)"), 4950 - 45);
    assert_int_equal(ask(t, &s, "count(*) FILTER (s IS NULL)"), 50);
    for (size_t i = 0; i < s.n_adds; i++) {
        assert_int_equal(s.adds[i].rows, 10);
        assert_non_null(s.adds[i].stats);
        assert_true(s.adds[i].size > 0 && s.adds[i].mtime_ms > 0);
    }
    assert_int_equal(s.timestamp_ms, now_us / 1000);
    trib_snapshot_free(&s);
}

static void checkpoint_at(const struct trib_delta *t, int64_t version)
{
    struct trib_snapshot s = load(t, version);
    GOOD(trib_delta_checkpoint(t, &s, &err));
    trib_snapshot_free(&s);
}

static void test_classic(void **state)
{
    (void)state;
    struct trib_delta t = table("classic");
    make_long(&t, &protocol_12);
    expect_long(&t, -1);
    checkpoint_at(&t, 11);
    assert_true(is_there("classic/_delta_log/00000000000000000011.checkpoint.parquet"));
    expect_long(&t, 11);
    assert_int_equal(trib_log_hint(&t), 11);
    checkpoint_at(&t, 11); /* again: what stands there is read back, and named */
    checkpoint_at(&t, 5);
    assert_int_equal(trib_log_hint(&t), 5); /* only a hint: the newest is found all the same */
    expect_long(&t, 11);
    /* The pointer is missing, wrong, too new, too old or garbage: no difference. */
    static const char *const pointers[] = {"{\"version\":3}",  "{\"version\":11",  "",  "[]", "{\"version\":\"11\"}",
                                           "{\"version\":99}", "{\"version\":-4}", "{}"};
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++) {
        put_text("classic/_delta_log/_last_checkpoint", pointers[i]);
        expect_long(&t, 11);
    }
    remove_key("classic/_delta_log/_last_checkpoint");
    expect_long(&t, 11);
    /* The newest checkpoint is torn: an older one serves, then the commits alone. */
    put_text("classic/_delta_log/00000000000000000011.checkpoint.parquet", "PAR1 torn");
    expect_long(&t, 5);
    put_text("classic/_delta_log/00000000000000000005.checkpoint.parquet", "");
    expect_long(&t, -1);
    put_text("classic/_delta_log/_last_checkpoint", "{\"version\":11}");
    expect_long(&t, -1);
    /* Nothing else can serve: the error names the checkpoint. */
    remove_key("classic/_delta_log/00000000000000000000.json");
    expect_error(&t, -1, TRIB_E_DATA, "00000000000000000011.checkpoint.parquet");
}

static void test_cleaned(void **state)
{
    (void)state;
    struct trib_delta t = table("cleaned");
    make_long(&t, &protocol_12);
    checkpoint_at(&t, 8);
    struct trib_snapshot before = load(&t, 6);
    for (int v = 0; v < 8; v++) {
        char *key = trib_delta_commit_key(&t, v);
        remove_key(key);
        free(key);
    }
    expect_long(&t, 8);
    expect_error(&t, 6, TRIB_E_NOT_FOUND, "can no longer be read");
    struct trib_snapshot s = load(&t, 8), next = load(&t, 9);
    assert_int_equal(s.n_adds, 8);
    assert_int_equal(next.n_adds, 9);
    trib_snapshot_free(&s);
    trib_snapshot_free(&next);
    GOOD(trib_delta_refresh(&t, &before, &err)); /* its commits are gone: loaded anew */
    assert_int_equal(before.version, 11);
    trib_snapshot_free(&before);
    struct trib_add *adds;
    size_t n;
    struct trib_err err;
    assert_int_equal(trib_delta_changes(&t, 6, 11, &adds, &n, &err), TRIB_E_NOT_FOUND);
}

static void test_expired(void **state)
{
    (void)state;
    struct trib_delta t = table("expired");
    make_long(&t, &protocol_12);
    now_us += INT64_C(8) * 86400 * 1000000;
    checkpoint_at(&t, 11);
    struct trib_snapshot s = load(&t, -1);
    assert_int_equal(s.n_adds, 9);
    assert_int_equal(s.n_removes, 0); /* its week was over */
    trib_snapshot_free(&s);
}

static void test_growth(void **state)
{
    (void)state;
    struct trib_delta t = table("growth");
    create(&t, &protocol_12);
    int64_t last = -1, at[64], n = 0;
    for (int i = 1; i <= 60; i++) {
        append(&t, i, i + 1, "2026-01-01", "x");
        struct trib_snapshot s = load(&t, -1);
        GOOD(trib_delta_maybe_checkpoint(&t, &s, &err));
        if (trib_log_hint(&t) != last) {
            at[n++] = last = trib_log_hint(&t);
        }
        trib_snapshot_free(&s);
    }
    assert_true(n >= 2 && n <= 6); /* by size, not one every time */
    for (int64_t i = 1; i < n; i++) {
        assert_true(at[i] - at[i - 1] >= 10);
    }
    /* A large state waits for its log to grow, but for no more than 100 commits. */
    struct trib_snapshot s = load(&t, -1);
    s.checkpoint_bytes = INT64_MAX;
    s.checkpoint_version = s.version - 99;
    remove_key("growth/_delta_log/_last_checkpoint");
    GOOD(trib_delta_maybe_checkpoint(&t, &s, &err));
    assert_int_equal(trib_log_hint(&t), -1);
    s.checkpoint_version = s.version - 100;
    GOOD(trib_delta_maybe_checkpoint(&t, &s, &err));
    assert_int_equal(trib_log_hint(&t), s.version);
    trib_snapshot_free(&s);
}

static void sql(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void sql(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    assert_true(vasprintf(&text, fmt, ap) > 0);
    va_end(ap);
    GOOD(trib_exec(conn, text, &err));
    free(text);
}

static void drop_old_commits(const struct trib_delta *t)
{
    for (int v = 0; v < 11; v++) {
        char *key = trib_delta_commit_key(t, v);
        remove_key(key);
        free(key);
    }
}

static void test_parts(void **state)
{
    (void)state;
    struct trib_delta t = table("parts");
    make_long(&t, &protocol_12);
    checkpoint_at(&t, 11);
    char *log = trib_asprintf("%s/parts/_delta_log", dir);
    for (int i = 1; i <= 3; i++) {
        sql("COPY (SELECT * EXCLUDE n FROM (SELECT *, row_number() OVER () AS n FROM read_parquet('%s/00000000000000000011.checkpoint.parquet')) "
            "WHERE n %% 3 = %d) TO '%s/00000000000000000011.checkpoint.000000000%d.0000000003.parquet' (FORMAT parquet)",
            log, i % 3, log, i);
    }
    put_text("parts/_delta_log/00000000000000000011.checkpoint.0000000001.0000000002.parquet",
             "half of another attempt");
    remove_key("parts/_delta_log/00000000000000000011.checkpoint.parquet");
    drop_old_commits(&t);
    expect_long(&t, 11);
    remove_key("parts/_delta_log/00000000000000000011.checkpoint.0000000002.0000000003.parquet");
    expect_error(&t, -1, TRIB_E_DATA, "commit 00000000000000000000.json is missing");
    free(log);
}

static void test_v2(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        struct trib_delta t = table(json ? "v2json" : "v2parquet");
        make_long(&t, &protocol_12);
        checkpoint_at(&t, 11);
        char *log = trib_asprintf("%s/%s/_delta_log", dir, t.path);
        char *classic = trib_asprintf("%s/00000000000000000011.checkpoint.parquet", log);
        const char *uuid = "0123abcd-0000-4000-8000-00000000000f";
        put_text(json ? "v2json/_delta_log/_sidecars/x" : "v2parquet/_delta_log/_sidecars/x", "");
        for (int i = 0; i < 2; i++) {
            sql("COPY (SELECT \"add\", remove FROM read_parquet('%s') WHERE %s IS NOT NULL) TO '%s/_sidecars/side %d.parquet' (FORMAT parquet)",
                classic, i == 0 ? "\"add\"" : "remove", log, i);
        }
        sql("COPY (SELECT txn, metaData, protocol, CAST(NULL AS STRUCT(path VARCHAR, sizeInBytes BIGINT)) AS sidecar, "
            "CAST(NULL AS STRUCT(version BIGINT)) AS checkpointMetadata FROM read_parquet('%s') WHERE \"add\" IS NULL AND remove IS NULL "
            "UNION ALL SELECT NULL, NULL, NULL, {'path': 'side%%20' || i || '.parquet', 'sizeInBytes': 1}, NULL FROM range(2) r(i) "
            "UNION ALL SELECT NULL, NULL, NULL, NULL, {'version': 11}) TO '%s/top' (FORMAT parquet)",
            classic, log);
        if (json) { /* one JSON object a line, nulls left out as by COPY's own rules: members that are null are ignored */
            sql("COPY (SELECT txn, {'id': metaData.id, 'schemaString': metaData.schemaString, 'partitionColumns': metaData.partitionColumns, "
                "'configuration': to_json(metaData.configuration), 'createdTime': metaData.createdTime} AS metaData, protocol, sidecar "
                "FROM read_parquet('%s/top') WHERE metaData IS NOT NULL UNION ALL SELECT txn, NULL, protocol, sidecar FROM read_parquet('%s/top') "
                "WHERE metaData IS NULL) TO '%s/00000000000000000011.checkpoint.%s.json' (FORMAT json)",
                log, log, log, uuid);
        } else {
            sql("COPY (FROM read_parquet('%s/top')) TO '%s/00000000000000000011.checkpoint.%s.parquet' (FORMAT parquet)",
                log, log, uuid);
        }
        char *key = trib_asprintf("%s/_delta_log/00000000000000000011.checkpoint.parquet", t.path);
        char *side = trib_asprintf("%s/_delta_log/_sidecars/side 0.parquet", t.path);
        remove_key(key);
        drop_old_commits(&t);
        expect_long(&t, 11);
        remove_key(side);
        expect_error(&t, -1, TRIB_E_IO, uuid);
        free(key), free(side), free(log), free(classic);
    }
}

/* --- deletion vectors -------------------------------------------------------------------------------------------- */

static const char KNOWN[] = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L";

static void test_known_vector(void **state)
{
    (void)state;
    struct trib_delta t = table("dv");
    struct trib_dv dv = {.storage = 'i', .text = (char *)(uintptr_t)KNOWN, .offset = -1, .size = 44, .cardinality = 6};
    static const uint64_t rows[] = {3, 4, 7, 11, 18, 29};
    uint64_t *p;
    size_t n;
    GOOD(trib_dv_load(&t, &dv, &p, &n, &err));
    assert_int_equal(n, 6);
    assert_memory_equal(p, rows, sizeof rows);
    free(p);
    struct trib_err err;
    struct trib_dv bad = dv;
    bad.cardinality = 5;
    assert_int_equal(trib_dv_load(&t, &bad, &p, &n, &err), TRIB_E_DATA);
    bad.cardinality = 7;
    assert_int_equal(trib_dv_load(&t, &bad, &p, &n, &err), TRIB_E_DATA);
    bad = dv;
    bad.size = 45;
    assert_int_equal(trib_dv_load(&t, &bad, &p, &n, &err), TRIB_E_DATA);
    for (int64_t size = 0; size < 44; size++) { /* every prefix is damage */
        bad.size = size;
        assert_int_equal(trib_dv_load(&t, &bad, &p, &n, &err), TRIB_E_DATA);
    }
    char *text = trib_strdup(KNOWN);
    bad = dv;
    bad.text = text;
    for (size_t i = 0; text[i] != '\0'; i++) { /* any change: rows, or an error; never a crash */
        char old = text[i];
        text[i] = old == 'z' ? '0' : 'z';
        if (trib_dv_load(&t, &bad, &p, &n, &err) == 0) {
            assert_int_equal(n, 6);
            free(p);
        }
        text[i] = old;
    }
    free(text);
}

static void le(struct trib_buf *b, uint64_t v, int n)
{
    for (int i = 0; i < n; i++) {
        trib_buf_addc(b, (char)(v >> (8 * i)));
    }
}

static void be32(struct trib_buf *b, uint32_t v)
{
    for (int i = 3; i >= 0; i--) {
        trib_buf_addc(b, (char)(v >> (8 * i)));
    }
}

/* Two vectors in one file; the second has a container of each kind (run, bits, array) and a second bucket. */
static size_t make_vector_file(const char *key, size_t *ret_size)
{
    struct trib_buf payload, file;
    trib_buf_init(&payload, 1 << 20);
    trib_buf_init(&file, 1 << 20);
    le(&payload, 1681511377, 4);
    le(&payload, 2, 8);
    le(&payload, 0, 4); /* rows below 2^32: with runs */
    le(&payload, 12347 | 2U << 16, 4);
    le(&payload, 1, 1);                                         /* the first container is a run */
    le(&payload, 0, 2), le(&payload, 9, 2);                     /* key 0, 10 values */
    le(&payload, 1, 2), le(&payload, 8191, 2);                  /* key 1, 8192 values: bits */
    le(&payload, 2, 2), le(&payload, 1, 2);                     /* key 2, 2 values */
    le(&payload, 1, 2), le(&payload, 5, 2), le(&payload, 9, 2); /* one run: 5 … 14 */
    for (int i = 0; i < 8192; i++) {
        le(&payload, 1, 1); /* every eighth */
    }
    le(&payload, 7, 2), le(&payload, 65535, 2);
    le(&payload, 1, 4); /* rows from 2^32 on: without runs */
    le(&payload, 12346, 4);
    le(&payload, 1, 4);
    le(&payload, 3, 2), le(&payload, 0, 2); /* key 3, one value */
    le(&payload, 16, 4);                    /* its offset: not needed */
    le(&payload, 1, 2);
    trib_buf_addc(&file, 1);
    be32(&file, 4);
    trib_buf_adds(&file, "junk");
    be32(&file, 0);
    size_t offset = file.n;
    be32(&file, (uint32_t)payload.n);
    trib_buf_add(&file, payload.p, payload.n);
    be32(&file, (uint32_t)crc32(0, (const unsigned char *)payload.p, (uInt)payload.n));
    GOOD(trib_store_put(store, key, trib_buf_view(&file), false, &err));
    *ret_size = payload.n;
    trib_buf_free(&payload);
    trib_buf_free(&file);
    return offset;
}

static void test_vector_file(void **state)
{
    (void)state;
    /* The uuid of PROTOCOL.md's encoding of "ab^-aqEH.-t@S}K{vb[*k^". */
    const char *key = "dvfile/ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin";
    struct trib_delta t = table("dvfile");
    size_t size, n;
    uint64_t *p;
    int64_t offset = (int64_t)make_vector_file(key, &size);
    struct trib_dv dv = {.storage = 'u',
                         .text = (char[]){"ab^-aqEH.-t@S}K{vb[*k^"},
                         .offset = offset,
                         .size = (int64_t)size,
                         .cardinality = 10 + 8192 + 2 + 1};
    GOOD(trib_dv_load(&t, &dv, &p, &n, &err));
    assert_int_equal(n, 10 + 8192 + 2 + 1);
    assert_int_equal(p[0], 5);
    assert_int_equal(p[9], 14);
    assert_int_equal(p[10], 65536);
    assert_int_equal(p[10 + 8191], 65536 + 8191 * 8);
    assert_int_equal(p[10 + 8192], 131072 + 7);
    assert_int_equal(p[n - 2], 131072 + 65535);
    assert_int_equal(p[n - 1], (UINT64_C(1) << 32) + 3 * 65536 + 1);
    free(p);
    char *path;
    GOOD(trib_store_local(store, key, &path, &err));
    struct trib_dv absolute = dv;
    char *uri = trib_asprintf("file://%s", path);
    absolute.storage = 'p';
    absolute.text = uri;
    GOOD(trib_dv_load(&t, &absolute, &p, &n, &err));
    assert_int_equal(n, 10 + 8192 + 2 + 1);
    free(p);
    free(uri);
    free(path);
    struct trib_err err;
    dv.offset = offset + 1;
    assert_int_equal(trib_dv_load(&t, &dv, &p, &n, &err), TRIB_E_DATA);
    dv.offset = offset;
    dv.text = (char[]){"ac^-aqEH.-t@S}K{vb[*k^"};
    assert_int_equal(trib_dv_load(&t, &dv, &p, &n, &err), TRIB_E_NOT_FOUND);
    dv.text = (char[]){"short"};
    assert_int_equal(trib_dv_load(&t, &dv, &p, &n, &err), TRIB_E_DATA);
}

static void test_vectors_in_rows(void **state)
{
    (void)state;
    struct trib_delta t = table("dvrows");
    create(&t, &protocol_37);
    struct trib_dv dv = {.storage = 'i', .text = (char *)(uintptr_t)KNOWN, .offset = -1, .size = 44, .cardinality = 6};
    struct trib_add adds[2] = {write_rows(&t, 0, 40, "2026-01-01", "x"), write_rows(&t, 100, 140, NULL, NULL)};
    adds[0].dv = trib_dv_copy(&dv);
    commit_adds(&t, adds, 2);
    for (int round = 0; round < 2; round++) { /* from the commits, then from a checkpoint */
        struct trib_snapshot s = load(&t, -1);
        assert_int_equal(ask(&t, &s, "count(*)"), 74);
        assert_int_equal(ask(&t, &s, "count(*) FILTER (id IN (3, 4, 7, 11, 18, 29))"), 0);
        assert_int_equal(ask(&t, &s, "count(*) FILTER (id IN (103, 104, 107, 111, 118, 129))"), 6);
        assert_int_equal(ask(&t, &s, "max(\"_pos\" - id % 100)"), 0);
        GOOD(trib_delta_checkpoint(&t, &s, &err));
        trib_snapshot_free(&s);
    }
    trib_add_free(&adds[0]);
    trib_add_free(&adds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_select),          cmocka_unit_test(test_abandon),
        cmocka_unit_test(test_classic),         cmocka_unit_test(test_cleaned),
        cmocka_unit_test(test_expired),         cmocka_unit_test(test_growth),
        cmocka_unit_test(test_parts),           cmocka_unit_test(test_v2),
        cmocka_unit_test(test_known_vector),    cmocka_unit_test(test_vector_file),
        cmocka_unit_test(test_vectors_in_rows),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
