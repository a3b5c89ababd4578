/* DMS files: rows of CSV in pieces of every size, names and times, both forms of layout, order, bad input, Parquet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drain.h"
#include "ingest/csv.h"
#include "ingest/dms.h"

#define BRONZE     "bronze/dynamodb/T"
#define QUARANTINE "quarantine/dynamodb/T"
#define ROWS                                                                                                                     \
    "SELECT string_agg(concat_ws(' ', op, _sequence[:13], _sequence[15:], to_json(record), epoch_us(_event_ts), _origin), '\n' " \
    "ORDER BY _sequence) FROM t"
#define BAD \
    "SELECT string_agg(concat_ws('|', _ingest_file, _offset, _reason, decode(_raw)), '\n' ORDER BY _ingest_file, _offset) FROM t"

/* ---- rows of text ---- */

struct pieces {
    const char *p;
    size_t n, at, step;
    bool damaged;
};

static int64_t give(void *ctx, char *to, size_t n, struct trib_err *err)
{
    struct pieces *p = ctx;
    size_t left = p->n - p->at, k = p->step < left ? p->step : left;
    k = k < n ? k : n;
    if (k == 0 && p->damaged) {
        return -(int64_t)trib_err_set(err, TRIB_E_DATA, "cut");
    }
    memcpy(to, p->p + p->at, k);
    p->at += k;
    return (int64_t)k;
}

/* Rows as <field><field>, quoted ones with ', broken ones as !raw!, each behind its offset. */
static void reads(const char *text, size_t limit, bool damaged, const char *expected)
{
    for (size_t step = 1; step <= strlen(text) + 1; step++) {
        struct pieces p = {text, strlen(text), 0, step, damaged};
        struct trib_csv *c = trib_csv_new(give, &p, ',', limit);
        struct trib_buf got;
        trib_buf_init(&got, 1 << 20);
        struct trib_csv_row r;
        struct trib_err err = {0};
        bool end = false;
        int rc;
        while ((rc = trib_csv_next(c, &r, &end, &err)) == 0 && !end) {
            trib_buf_addf(&got, "%lld:", (long long)r.offset);
            if (r.broken != NULL) {
                trib_buf_addf(&got, "!%.*s!", (int)r.raw.n, r.raw.p);
            }
            for (size_t i = 0; r.broken == NULL && i < r.n; i++) {
                const struct trib_csv_field *f = &r.fields[i];
                trib_buf_addf(&got, "<%s%.*s>", f->quoted ? "'" : "", (int)f->text.n, f->text.p);
            }
        }
        if (rc != 0) {
            struct trib_view rest = trib_csv_rest(c);
            trib_buf_addf(&got, "%s %.*s", err.msg, (int)rest.n, rest.n > 0 ? rest.p : "");
        }
        if (strcmp(got.n > 0 ? got.p : "", expected) != 0) {
            fail_msg("in pieces of %zu: expected %s, got %s", step, expected, got.p);
        }
        trib_buf_free(&got);
        trib_csv_free(c);
    }
}

static void rows_of_text(void **state)
{
    (void)state;
    reads("", 1000, false, "");
    reads("\n\r\n", 1000, false, "");
    reads("a,b\nc", 1000, false, "0:<a><b>4:<c>");
    reads("\xEF\xBB\xBF"
          "a,\r\n,\r\n",
          1000, false, "3:<a><>7:<><>");
    reads("\"a,\"\"b\"\"\nc\",d\ne\n", 1000, false, "0:<'a,\"b\"\nc><d>14:<e>");
    reads("\"\",5\" pipe,a\"b\"\n\"x\"\r\n", 1000, false, "0:<'><5\" pipe><a\"b\">16:<'x>");
    reads("\"a\"b,c\nd\n", 1000, false, "0:!\"a\"b,c!7:<d>");
    reads("a\n\"b,c\nd\ne", 1000, false, "0:<a>2:!\"b,c!7:<d>9:<e>");
    reads("a,b\nc,\"d", 1000, true, "0:<a><b>cut c,\"d");
    reads("a,b\nc", 1000, true, "0:<a><b>cut c");
}

/* A row beyond the limit is bad, and what is behind its line goes on; many open quotes do not cost the square. */
static void long_rows(void **state)
{
    (void)state;
    size_t n = (size_t)3 << 20;
    char *text = trib_malloc(n + 1);
    memset(text, 'x', n);
    memcpy(text + n - 5, "\na,b\n", 5);
    text[n] = '\0';
    struct pieces p = {text, n, 0, 4096, false};
    struct trib_csv *c = trib_csv_new(give, &p, ',', 1 << 20);
    struct trib_csv_row r;
    struct trib_err err = {0};
    bool end;
    ok(trib_csv_next(c, &r, &end, &err), &err);
    assert_non_null(strstr(r.broken, "longer than 1048576 bytes"));
    ok(trib_csv_next(c, &r, &end, &err), &err);
    assert_null(r.broken);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.offset, (int64_t)n - 4);
    ok(trib_csv_next(c, &r, &end, &err), &err);
    assert_true(end);
    trib_csv_free(c);
    for (size_t i = 0; i + 2 < n;
         i += 3) { /* `"a` and a line's end: each opens, and none that is read inside closes for long */
        memcpy(text + i, i % 9 == 0 ? "\"a\n" : "aa\n", 3);
    }
    p = (struct pieces){text, n, 0, 65536, false};
    c = trib_csv_new(give, &p, ',', 1 << 20);
    size_t rows = 0;
    do {
        ok(trib_csv_next(c, &r, &end, &err), &err);
        rows++;
    } while (!end);
    assert_true(rows > 1000);
    trib_csv_free(c);
    free(text);
}

/* ---- names and times ---- */

static void names(void **state)
{
    (void)state;
    bool full;
    int64_t place;
    assert_true(trib_dms_name("s/t/LOAD0000001F.csv", &full, &place));
    assert_true(full);
    assert_int_equal(place, 0x1F);
    assert_true(trib_dms_name("2026/01/02/20260102-000005123.csv.gz", &full, &place));
    assert_false(full);
    assert_int_equal(place, INT64_C(1767312005123));
    assert_true(trib_dms_name("20141029-1134010000.parquet", &full, &place));
    assert_int_equal(place, INT64_C(1414582441000));
    static const char *const none[] = {"",
                                       "LOAD",
                                       "LOADX.csv",
                                       "load1.csv",
                                       "x.csv",
                                       "20260102-00000.csv",
                                       "20261302-000005123.csv",
                                       "20260230-000005123.csv",
                                       "LOAD000000001.csv",
                                       "20260102_000005123.csv"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_false(trib_dms_name(none[i], &full, &place));
    }
    int64_t us;
    assert_true(trib_dms_time(trib_view_of("2026-01-02 00:00:05.123456"), &us));
    assert_int_equal(us, INT64_C(1767312005123456));
    assert_true(trib_dms_time(trib_view_of("2024-02-29T23:59:59.5Z"), &us));
    assert_int_equal(us, INT64_C(1709251199500000));
    static const char *const bad[] = {"",
                                      "2026-01-02",
                                      "2026-01-02 00:00",
                                      "2026-01-02 00:00:05.",
                                      "2026-02-29 00:00:00",
                                      "2026-01-02 24:00:00",
                                      "2026-01-02 00:00:05,1",
                                      "x026-01-02 00:00:05"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(trib_dms_time(trib_view_of(bad[i]), &us));
    }
}

/* ---- ingest ---- */

static const char *const id[] = {"id"}, *const columns[] = {"id", "name", "v"};

static struct trib_ingest_opts dms_options(struct lake *l)
{
    struct trib_ingest_opts o = options(l);
    o.type = TRIB_SOURCE_DMS;
    o.keys = id;
    o.schema.keys = id;
    o.schema.n_keys = 1;
    o.dms = (struct trib_dms_opts){.delimiter = ',', .null_value = "NULL"};
    return o;
}

/* A full load without Op, changes with it; the time orders across files, the place within one moment. */
static void with_columns(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = dms_options(l);
    o.dms.columns = columns;
    o.dms.n_columns = 3;
    o.dms.timestamp = "ts";
    put_text(l, "LOAD00000001.csv", "2026-01-01 00:00:00.000000,1,a,NULL\n2026-01-01 00:00:00.000000,2,\"NULL\",\n");
    put_gzip(
        l, "2026/20260102-000000000.csv.gz",
        "U,2026-01-02 00:00:00.000007,1,b,x\nD,2026-01-02 00:00:00.000007,1,NULL,NULL\nI,2026-01-02 00:00:00.000001,1,c,y\n");
    assert_int_equal(drained(l, &o).rows_out, 5);
    answers(
        l, BRONZE, ROWS,
        "INSERT 0001-00000000 0176722560000000000000000000001000000000 {\"id\":\"1\",\"name\":\"a\",\"v\":null} 1767225600000000 dms\n"
        "INSERT 0001-00000000 0176722560000000000000000000001000000001 {\"id\":\"2\",\"name\":\"NULL\",\"v\":\"\"} 1767225600000000 dms\n"
        "INSERT 0001-00000001 0176731200000000101767312000000000000002 {\"id\":\"1\",\"name\":\"c\",\"v\":\"y\"} 1767312000000001 dms\n"
        "MODIFY 0001-00000001 0176731200000000701767312000000000000000 {\"id\":\"1\",\"name\":\"b\",\"v\":\"x\"} 1767312000000007 dms\n"
        "REMOVE 0001-00000001 0176731200000000701767312000000000000001 {\"id\":\"1\",\"name\":null,\"v\":null} 1767312000000007 dms");
    assert_int_equal(drained(l, &o).files_in, 0);
    assert_int_equal(version_of(l, QUARANTINE), -1);
}

/* Without a time: the hexadecimal counter, then the names' times. A full load may carry Op. */
static void with_headers(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = dms_options(l);
    put_text(l, "LOAD0000000A.csv", "Op,name,id\nI,a,1\n");
    put_text(l, "LOAD00000009.csv", "id,name\n2,b\n");
    put_text(l, "20260102-000000001.csv", "Op,id,name,new\nU,1,c,z\n");
    set_mtime(l, "LOAD0000000A.csv", 1700000000);
    set_mtime(l, "LOAD00000009.csv", 1700000000);
    assert_int_equal(drained(l, &o).rows_out, 3);
    answers(
        l, BRONZE,
        "SELECT string_agg(concat_ws(' ', op, _sequence[15:], record.id, record.name, record.new, epoch_us(_event_ts)), '\n' ORDER BY _sequence) FROM t",
        "INSERT 0000000000000000000000000000009000000000 2 b 1700000000000000\n"
        "INSERT 0000000000000000000000000000010000000000 1 a 1700000000000000\n"
        "MODIFY 0176731200000100001767312000001000000000 1 c z 1767312000001000");
}

static void types(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = dms_options(l);
    const struct trib_hint hints[] = {
        {"n", "decimal(10,2)"}, {"b", "boolean"}, {"x", "binary"}, {"`t`", "timestamp"}, {"l", "timestamp_ntz"}};
    o.schema.hints = hints;
    o.schema.n_hints = 5;
    o.key_types[0] = "N";
    o.schema.key_types[0] = "N";
    put_text(l, "LOAD1.csv",
             "id,n,b,x,t,l\n"
             "1,5.10,t,0aFF,2026-01-01 10:00:00.120000,2026-01-01 10:00:00\n"
             "2,many,maybe,0a0,soon,2026-01-01\n");
    assert_int_equal(drained(l, &o).rows_out, 2);
    answers(
        l, BRONZE,
        "SELECT string_agg(concat_ws('|', typeof(record.id), record.id, record.n, record.b, hex(record.x), epoch_us(record.t), record.l, _rescued_data), '\n' "
        "ORDER BY record.id) FROM t",
        "BIGINT|1|5.10|true|0AFF|1767261600120000|2026-01-01 10:00:00\n"
        "BIGINT|2|{\"b\":{\"S\":\"maybe\"},\"l\":{\"S\":\"2026-01-01\"},\"n\":{\"S\":\"many\"},\"t\":{\"S\":\"soon\"},\"x\":{\"S\":\"0a0\"}}");
}

/* Each broken row is one bad record; what is good around it is not lost. */
static void bad_rows(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = dms_options(l);
    o.dms.columns = columns;
    o.dms.n_columns = 3;
    o.dms.timestamp = "ts";
    put_text(
        l, "20260102-000000001.csv",
        "I,2026-01-02 00:00:00,1,a,b\nX,2026-01-02 00:00:00,2,a,b\nI,2026-01-02,3,a,b\nI,2026-01-02 00:00:00,4\n"
        "I,2026-01-02 00:00:00,5,\"a\"a,b\nI,2026-01-02 00:00:00,6,\xff,b\nI,2026-01-02 00:00:00,NULL,a,b\nI,2026-01-02 00:00:00,7,\"a,b\nI,2026-01-02 00:00:00,8,a,b");
    put_text(l, "notes.csv", "hello\n");
    put_text(l, "20260102-000000002.csv", "");
    assert_int_equal(drained(l, &o).rows_out, 2);
    answers(l, BRONZE, "SELECT string_agg(record.id, ' ' ORDER BY record.id) FROM t", "1 8");
    answers(
        l, QUARANTINE,
        "SELECT string_agg(concat_ws('|', _ingest_file, _offset, _reason), '\n' ORDER BY _ingest_file, _offset) FROM t",
        "20260102-000000001.csv|28|Op is not I, U or D\n"
        "20260102-000000001.csv|56|the commit time is no yyyy-MM-dd HH:mm:ss.SSSSSS\n"
        "20260102-000000001.csv|75|the row has another number of fields than the file has columns\n"
        "20260102-000000001.csv|99|there is text behind a closing quote\n"
        "20260102-000000001.csv|130|invalid UTF-8\n"
        "20260102-000000001.csv|158|the key attribute id is missing\n"
        "20260102-000000001.csv|189|a quoted field is never closed\n"
        "notes.csv|0|the file's name is none of DMS's (LOAD00000001.csv, 20260131-100000123.csv): its place in the order of changes is unknown");
    answers(l, QUARANTINE, "SELECT decode(_raw) FROM t WHERE _offset = 189", "I,2026-01-02 00:00:00,7,\"a,b");
    assert_int_equal(drained(l, &o).files_in, 0);
}

static void unknown_columns(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = dms_options(l);
    put_text(l, "LOAD1.csv", "1,a,b\n2,c,d\n");
    drain_fails(l, &o, TRIB_E_CONFIG, "LOAD1.csv: there is no column `id`");
    drain_fails(l, &o, TRIB_E_CONFIG, "AddColumnName");
    assert_int_equal(version_of(l, BRONZE), -1);
    o.dms.columns = columns; /* the remedy */
    o.dms.n_columns = 3;
    assert_int_equal(drained(l, &o).rows_out, 2);
    struct trib_ingest_opts timed = o;
    timed.dms.timestamp = "ts";
    put_text(l, "20260102-000000001.csv", "Op,id,name,v\nI,1,a,b\n");
    drain_fails(l, &timed, TRIB_E_CONFIG, "no column `ts`");
    put_text(l, "20260102-000000001.csv", "Op,id,name,id\nI,1,a,b\n");
    drain_fails(l, &o, TRIB_E_CONFIG, "two columns are called \"id\"");
}

/* A damaged file keeps its good rows. */
static void damage(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = dms_options(l);
    struct trib_buf text, packed;
    trib_buf_init(&text, 8 << 20);
    trib_buf_init(&packed, 8 << 20);
    trib_buf_adds(&text, "id,name\n");
    for (unsigned i = 0; i < 20000; i++) {
        trib_buf_addf(&text, "%u,%u\n", i, i * 2654435761u);
    }
    gzip_text(&packed, text.p, text.n);
    put_bytes(l, "LOAD1.csv.gz", packed.p, packed.n / 2);
    struct trib_step s = drained(l, &o);
    assert_true(s.rows_out > 1000 && s.rows_out < 20000);
    assert_int_equal(s.quarantined, 1);
    char *n = ask(l, BRONZE, "SELECT max(CAST(record.id AS INT)) + 1 FROM t");
    assert_int_equal(strtoll(n, NULL, 10), s.rows_out);
    free(n);
    trib_buf_free(&text);
    trib_buf_free(&packed);
}

static void copy(struct lake *l, const char *file, const char *query)
{
    struct trib_conn *c;
    struct trib_err err = {0};
    ok(trib_conn_open(l->engine, &c, &err), &err);
    ok(trib_execf(c, &err, "COPY (%s) TO '%s/in/%s' (FORMAT parquet)", query, l->folder, file), &err);
    trib_conn_close(c);
}

static void parquet(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = dms_options(l);
    const struct trib_hint hints[] = {{"at", "timestamp"}};
    o.schema.hints = hints;
    o.schema.n_hints = 1;
    o.dms.timestamp = "ts";
    copy(
        l, "LOAD1.parquet",
        "SELECT '2026-01-01 00:00:00.000000' AS ts, 1 AS id, CAST(5.10 AS DECIMAL(10,2)) AS d, CAST(0.1 AS DOUBLE) AS f, true AS b, "
        "CAST('\\x0A\\xFF' AS BLOB) AS x, TIMESTAMP '2026-01-01 10:00:00.12' AS at, DATE '2026-01-02' AS day, 'a\"b' AS s, CAST(NULL AS VARCHAR) AS none, "
        "TIMESTAMP '2026-01-01 10:00:00' AS raw");
    copy(
        l, "20260102-000000001.parquet",
        "SELECT CASE WHEN i % 3 = 2 THEN 'D' ELSE 'U' END AS Op, TIMESTAMP '2026-01-02 00:00:00.5' AS ts, 1 + i % 1000 AS id, CAST(i AS VARCHAR) AS s FROM range(300000) r(i) ORDER BY i");
    assert_int_equal(drained(l, &o).rows_out, 300001);
    answers(
        l, BRONZE,
        "SELECT concat_ws('|', _sequence, record.id, record.d, record.f, record.b, hex(record.x), epoch_us(record.at), record.day, record.s, record.raw, _rescued_data) FROM t "
        "WHERE _sequence < '0001-00000001'",
        "0001-00000000-0176722560000000000000000000001000000000|1|5.100000000000000000|0.100000000000000000|true|0AFF|1767261600120000|2026-01-02|a\"b|2026-01-01T10:00:00");
    answers(
        l, BRONZE,
        "SELECT concat_ws(' ', count(*), count(DISTINCT _sequence), min(_sequence), sum(CASE WHEN op = 'REMOVE' THEN 0 ELSE CAST(record.s = CAST(CAST(_sequence[46:] AS INT) AS "
        "VARCHAR) AS INT) END)) FROM t WHERE _sequence > '0001-00000001'",
        "300000 300000 0001-00000001-0176731200050000001767312000001000000000 200000");
    copy(l, "20260102-000000002.parquet", "SELECT 'U' AS Op, 1 AS number");
    drain_fails(l, &o, TRIB_E_CONFIG, "there is no column `id`");
    put_text(l, "20260102-000000002.parquet", "PAR1 and no more");
    assert_int_equal(drained(l, &o).quarantined, 1);
}

static int open_lake(void **state)
{
    *state = lake_open();
    return 0;
}
static int close_lake(void **state)
{
    lake_close(*state);
    return 0;
}

#define WITH_LAKE(f) cmocka_unit_test_setup_teardown(f, open_lake, close_lake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_text),
        cmocka_unit_test(long_rows),
        cmocka_unit_test(names),
        WITH_LAKE(with_columns),
        WITH_LAKE(with_headers),
        WITH_LAKE(types),
        WITH_LAKE(bad_rows),
        WITH_LAKE(unknown_columns),
        WITH_LAKE(damage),
        WITH_LAKE(parquet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
