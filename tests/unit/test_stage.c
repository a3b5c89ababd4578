/* What the stages share: paths, schemas, spools, the quarantine table, taken files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lake.h"
#include "stage/hmap.h"
#include "stage/parts.h"
#include "stage/spool.h"

#define QUARANTINE "quarantine/dynamodb/T"

static void path_is(char *path, const char *expected)
{
    assert_string_equal(path, expected);
    free(path);
}

static void paths(void **state)
{
    (void)state;
    path_is(trib_path_bronze("Fire.hose-1_X"), "bronze/dynamodb/Fire.hose-1_X");
    path_is(trib_path_files("T"), "bronze/_files/T");
    path_is(trib_path_silver("sales", "orders"), "silver/sales/orders");
    path_is(trib_path_gold("sales", "revenue"), "gold/sales/revenue");
    path_is(trib_path_quarantine("T"), QUARANTINE);
    path_is(trib_path_landing("T"), "raw/dynamodb/T");
    path_is(trib_path_bronze("../x"), "bronze/dynamodb/..%2Fx");
    path_is(trib_path_bronze(".."), "bronze/dynamodb/%2E%2E");
    path_is(trib_path_bronze("a b*?[%\xc3\xa4"), "bronze/dynamodb/a%20b%2A%3F%5B%25%C3%A4");
    path_is(trib_path_bronze(""), "bronze/dynamodb/%00");
    path_is(trib_app_bronze("shop", "T"), "tributary.shop.T");
    path_is(trib_app_silver("shop", "d", "t"), "tributary.shop.d/t");
}

static void dates(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *date;
        int32_t days;
    } cases[] = {
        {0, "1970-01-01", 0},
        {-1, "1969-12-31", -1},
        {INT64_C(86400000000) - 1, "1970-01-01", 0},
        {INT64_C(951782400000000), "2000-02-29", 11016},
        {INT64_C(4102444799999999), "2099-12-31", 47481},
        {NOW, "2026-05-28", 20601},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char date[11];
        trib_utc_date(cases[i].us, date);
        assert_string_equal(date, cases[i].date);
        assert_int_equal(trib_utc_days(cases[i].us), cases[i].days);
    }
}

static void maps(void **state)
{
    (void)state;
    struct trib_hmap m = {0};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 10000; i++) {
            char name[32];
            bool fresh;
            (void)snprintf(name, sizeof name, "file-%d", i);
            trib_hmap_put(&m, trib_hkey_of(trib_view_of(name)), (uint64_t)i, &fresh);
            assert_int_equal(fresh, round == 0);
        }
    }
    assert_int_equal(m.n, 10000);
    assert_int_equal(*trib_hmap_get(&m, trib_hkey_of(TRIB_VIEW_LIT("file-77"))), 77);
    assert_null(trib_hmap_get(&m, trib_hkey_of(TRIB_VIEW_LIT("file-10000"))));
    trib_hmap_free(&m);
    assert_null(trib_hmap_get(&m, trib_hkey_of(TRIB_VIEW_LIT("file-77"))));
}

/* Wide rows end a file before they fill memory, and the next file has narrower row groups. */
static void parts(void **state)
{
    (void)state;
    struct trib_parts p = {.width = 0};
    trib_parts_begin(&p, 100);
    assert_int_equal(p.group_rows, TRIB_PART_GROUP_ROWS);
    while (!trib_parts_full(&p)) {
        trib_parts_chunk(&p, 10, 10 * 400000);
    }
    assert_true(p.group_bytes < (uint64_t)TRIB_PART_GROUP_MAX_BYTES + 5000000);
    trib_parts_begin(&p, 0);
    assert_true(p.group_rows * 400000 <= TRIB_PART_WIDE_GROUP_BYTES);
    for (int i = 0; i < 100; i++) { /* as foreseen: the file goes on */
        trib_parts_chunk(&p, 10, 10 * 400000);
        assert_false(trib_parts_full(&p));
    }
    trib_parts_begin(&p, UINT64_MAX / 2);
    assert_int_equal(p.group_rows, 8);
}

static struct trib_type item_type(void)
{
    struct trib_type item = trib_type_simple(TRIB_T_STRUCT);
    trib_field_set_meta(trib_type_add(&item, "pk", trib_type_simple(TRIB_T_STRING)), "dynamodb.type", "S");
    trib_field_set_meta(trib_type_add(&item, "n", trib_type_simple(TRIB_T_LONG)), "dynamodb.type", "N");
    return item;
}

static void schemas(void **state)
{
    (void)state;
    struct trib_type item = item_type(), none = trib_type_simple(TRIB_T_STRUCT), b, q, grown;
    trib_bronze_schema(&none, true, &b);
    assert_null(trib_bronze_item(&b));
    assert_null(trib_type_find(&b, "old_record"));
    trib_bronze_schema(&item, true, &q);
    assert_true(trib_type_same(trib_bronze_item(&q), &item));
    assert_non_null(trib_type_find(&q, "_rescued_old_data"));
    assert_true(trib_type_fits(&b, &q));
    assert_false(trib_type_fits(&q, &b));
    trib_type_add(&b, "foreign", trib_type_simple(TRIB_T_INT));
    trib_schema_grow(&b, &q, &grown);
    assert_string_equal(grown.fields[0].name, "op");
    assert_string_equal(grown.fields[b.n_fields - 1].name, "foreign");
    assert_true(trib_type_fits(&q, &grown) && trib_type_fits(&b, &grown));
    assert_int_equal(grown.n_fields, q.n_fields + 1);
    trib_type_free(&b);
    trib_type_free(&q);
    trib_type_free(&grown);
    trib_quarantine_schema(&item, false, &q);
    assert_int_equal(trib_type_find(&q, "_raw")->type.id, TRIB_T_BINARY);
    assert_int_equal(trib_type_find(&q, "_offset")->type.id, TRIB_T_LONG);
    trib_type_free(&q);
    trib_type_free(&item);
}

/* ---- quarantine ---- */

static int64_t commit_rows(struct lake *l, const struct trib_quarantine_row *rows, size_t n,
                           const struct trib_type *item)
{
    struct trib_err err = {0};
    struct trib_spool *s[2] = {trib_spool_new(l->scratch), trib_spool_new(l->scratch)};
    for (size_t i = 0; i < n; i++) {
        ok(trib_spool_add(s[i % 2], &rows[i], &err), &err);
    }
    int64_t committed = -1;
    const struct trib_quarantine_opts o = {.pipeline = "p", .table = "T", .item = item};
    ok(trib_quarantine_commit_spools(&l->env, &o, s, 2, NOW, &committed, &err), &err);
    trib_spool_free(s[0]);
    trib_spool_free(s[1]);
    return committed;
}

static void quarantine_once(void **state)
{
    struct lake *l = *state;
    struct trib_type item = item_type();
    static const char raw[] = {'{', '\0', (char)0xFF, '}'};
    struct trib_quarantine_row rows[] = {
        {.file = "a.json", .offset = 10, .reason = "not JSON", .raw = {raw, 4}, .event_ts_us = -1},
        {.file = "a.json", .offset = 10, .reason = "another reason", .event_ts_us = -1},
        {.file = "b.json", .offset = -1, .reason = "it's \"quoted\"", .event_ts_us = -1},
        {.file = "b.json",
         .offset = 0,
         .reason = "key",
         .op = "MODIFY",
         .origin = "stream",
         .event_id = "e1",
         .sequence = "s1",
         .event_ts_us = 5000001,
         .item_json = TRIB_VIEW_LIT("{\"pk\":{\"N\":\"7\"},\"n\":{\"N\":\"5\"},\"x\":{\"BOOL\":true}}"),
         .old_json = TRIB_VIEW_LIT("{\"n\":{\"N\":\"4\"}}")},
    };
    assert_int_equal(commit_rows(l, rows, 4, &item), 4);
    assert_int_equal(version_of(l, QUARANTINE), 0);
    answers(l, QUARANTINE, "SELECT count(*) FROM t", "4");
    answers(
        l, QUARANTINE,
        "SELECT string_agg(_ingest_file || ' ' || coalesce(_offset, -9) || ' ' || _reason, '; ' ORDER BY _ingest_file, _offset, _reason) FROM t",
        "a.json 10 another reason; a.json 10 not JSON; b.json 0 key; b.json -9 it's \"quoted\"");
    answers(l, QUARANTINE, "SELECT hex(_raw) FROM t WHERE _reason = 'not JSON'", "7B00FF7D");
    answers(
        l, QUARANTINE,
        "SELECT concat_ws(' ', op, _origin, _event_id, _sequence, epoch_us(_event_ts), record.n, coalesce(record.pk, 'none'), _rescued_data, old_record.n, "
        "ingest_date, epoch_us(_quarantined_ts)) FROM t WHERE _reason = 'key'",
        "MODIFY stream e1 s1 5000001 5 none {\"pk\":{\"N\":\"7\"},\"x\":{\"BOOL\":true}} 4 2026-05-28 1780000000123456");
    answers(l, QUARANTINE,
            "SELECT count(*) FROM t WHERE record IS NULL AND op IS NULL AND _event_ts IS NULL AND _ttl IS NULL", "3");
    /* the same again, and one more: only that one */
    assert_int_equal(commit_rows(l, rows, 4, &item), 0);
    assert_int_equal(version_of(l, QUARANTINE), 0);
    struct trib_quarantine_row more[] = {
        rows[3], {.file = "b.json", .offset = 1, .reason = "key", .event_ts_us = -1}, rows[0], rows[0]};
    assert_int_equal(commit_rows(l, more, 4, &item), 1);
    assert_int_equal(version_of(l, QUARANTINE), 1);
    answers(l, QUARANTINE,
            "SELECT count(*) || ' ' || count(DISTINCT (_ingest_file, coalesce(_offset, -1), _reason)) FROM t", "5 5");
    assert_int_equal(commit_rows(l, rows, 0, &item), 0);
    trib_type_free(&item);
}

/* The table can begin before any attribute is known, and gets the columns later. */
static void quarantine_grows(void **state)
{
    struct lake *l = *state;
    struct trib_type item = item_type(), none = trib_type_simple(TRIB_T_STRUCT);
    const struct trib_quarantine_row first = {.file = "a",
                                              .offset = 1,
                                              .reason = "r",
                                              .event_ts_us = -1,
                                              .item_json = TRIB_VIEW_LIT("{\"pk\":{\"S\":\"k\"}}")};
    const struct trib_quarantine_row second = {.file = "a",
                                               .offset = 2,
                                               .reason = "r",
                                               .event_ts_us = -1,
                                               .item_json = TRIB_VIEW_LIT("{\"pk\":{\"S\":\"k\"}}")};
    const struct trib_quarantine_row broken = {
        .file = "a", .offset = 3, .reason = "r", .event_ts_us = -1, .item_json = TRIB_VIEW_LIT("{\"pk\":{\"S\":")};
    assert_int_equal(commit_rows(l, &first, 1, &none), 1);
    assert_int_equal(commit_rows(l, &second, 1, &item), 1);
    assert_int_equal(commit_rows(l, &broken, 1, &item), 1);
    answers(l, QUARANTINE, "SELECT string_agg(_offset || coalesce(record.pk, '-'), ' ' ORDER BY _offset) FROM t",
            "1- 2k 3-");
    trib_type_free(&item);
}

/* Rows of a megabyte each: the spool keeps the first MiB, memory stays small, all come out. */
static void quarantine_wide(void **state)
{
    struct lake *l = *state;
    struct trib_err err = {0};
    size_t n = ((size_t)1 << 20) + 5;
    char *raw = trib_malloc(n);
    memset(raw, 'x', n);
    struct trib_spool *s = trib_spool_new(l->scratch);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(raw, 16, "%d", i);
        const struct trib_quarantine_row row = {
            .file = "wide", .offset = i, .reason = "wide", .raw = {raw, n}, .event_ts_us = -1};
        ok(trib_spool_add(s, &row, &err), &err);
    }
    free(raw);
    int64_t committed;
    const struct trib_quarantine_opts o = {.pipeline = "p", .table = "T"};
    ok(trib_quarantine_commit_spools(&l->env, &o, &s, 1, NOW, &committed, &err), &err);
    assert_int_equal(committed, 200);
    trib_spool_free(s);
    answers(
        l, QUARANTINE,
        "SELECT count(*) || ' ' || min(octet_length(_raw)) || ' ' || max(octet_length(_raw)) || ' ' || count(DISTINCT md5(_raw)) FROM t",
        "200 1048576 1048576 200");
}

static void many_rows(void **state)
{
    struct lake *l = *state;
    struct trib_err err = {0};
    struct trib_spool *s = trib_spool_new(l->scratch);
    for (int i = 0; i < 100000; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "f%03d", i / 1000);
        const struct trib_quarantine_row row = {.file = name, .offset = i % 1000, .reason = "r", .event_ts_us = -1};
        ok(trib_spool_add(s, &row, &err), &err);
    }
    int64_t committed;
    const struct trib_quarantine_opts o = {.pipeline = "p", .table = "T"};
    ok(trib_quarantine_commit_spools(&l->env, &o, &s, 1, NOW, &committed, &err), &err);
    assert_int_equal(committed, 100000);
    ok(trib_quarantine_commit_spools(&l->env, &o, &s, 1, NOW, &committed, &err), &err);
    assert_int_equal(committed, 0);
    trib_spool_free(s);
    answers(l, QUARANTINE, "SELECT count(*) FROM t", "100000");
}

/* ---- taken ---- */

static void taken(void **state)
{
    struct lake *l = *state;
    struct trib_err err = {0};
    struct trib_conn *conn;
    ok(trib_conn_open(l->engine, &conn, &err), &err);
    struct trib_snapshot none = {.version = -1};
    struct trib_taken *t = trib_taken_new(&l->env, "T"), *later;
    ok(trib_taken_refresh(t, conn, &none, &err), &err);
    assert_int_equal(trib_taken_count(t), 0);
    const char *names[] = {"a", "b/\xc3\xa4 '%20", "a"}, *reasons[] = {"empty", "bad", "empty"};
    ok(trib_files_commit(&l->env, conn, "p", "T", names, reasons, 2, NOW, &err), &err);
    ok(trib_files_commit(&l->env, conn, "p", "T", names, reasons, 2, NOW, &err), &err);
    assert_int_equal(version_of(l, "bronze/_files/T"), 0);
    const char *more[] = {"a", "c"};
    ok(trib_files_commit(&l->env, conn, "p", "T", more, reasons, 2, NOW, &err), &err);
    answers(l, "bronze/_files/T",
            "SELECT string_agg(_ingest_file || ' ' || _reason, '; ' ORDER BY _ingest_file) FROM t",
            "a empty; b/\xc3\xa4 '%20 bad; c bad");
    assert_false(trib_taken_has(t, TRIB_VIEW_LIT("c")));
    ok(trib_taken_refresh(t, conn, &none, &err), &err);
    assert_true(trib_taken_has(t, TRIB_VIEW_LIT("a")) && trib_taken_has(t, trib_view_of(names[1])) &&
                trib_taken_has(t, TRIB_VIEW_LIT("c")));
    assert_int_equal(trib_taken_count(t), 3);
    later = trib_taken_new(&l->env, "T");
    ok(trib_taken_refresh(later, conn, &none, &err), &err);
    assert_int_equal(trib_taken_count(later), 3);
    /* a change is told once */
    assert_false(trib_taken_changed(t, TRIB_VIEW_LIT("nothing"), 1, 1));
    assert_false(trib_taken_changed(t, TRIB_VIEW_LIT("a"), 5, 100));
    assert_false(trib_taken_changed(t, TRIB_VIEW_LIT("a"), 5, 100));
    assert_true(trib_taken_changed(t, TRIB_VIEW_LIT("a"), 6, 100));
    assert_false(trib_taken_changed(t, TRIB_VIEW_LIT("a"), 6, 100));
    assert_true(trib_taken_changed(t, TRIB_VIEW_LIT("a"), 6, 101));
    trib_taken_free(t);
    trib_taken_free(later);
    trib_conn_close(conn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(dates),
        cmocka_unit_test(maps),
        cmocka_unit_test(parts),
        cmocka_unit_test(schemas),
        cmocka_unit_test_setup_teardown(quarantine_once, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(quarantine_grows, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(quarantine_wide, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(many_rows, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(taken, lake_setup, lake_teardown),
    };
    return cmocka_run_group_tests_name("stage", tests, NULL, NULL);
}
