/*
 * silver.sequence by an attribute: what Silver and its history hold, step by step, with deletes that tell their version and deletes that
 * do not. tests/model runs the same through random worlds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drain.h"
#include "merge/merge.h"

#define SILVER     "silver/d/t"
#define HISTORY    "silver/d/t_history"
#define QUARANTINE "quarantine/dynamodb/T"

static const char *const keys[] = {"pk"};

static struct trib_merge_opts target(bool history)
{
    return (struct trib_merge_opts){.pipeline = "p",
                                    .table = "T",
                                    .domain = "d",
                                    .silver = history ? "t_history" : "t",
                                    .history = history,
                                    .keys = keys,
                                    .n_keys = 1,
                                    .schema = {.infer = true, .keys = keys, .n_keys = 1},
                                    .sequence_attribute = "v",
                                    .updated_at = "_updated_at",
                                    .is_deleted = "_is_deleted"};
}

/* One record in a file of its own. number: the stream's; new, old: attributes behind the key, or NULL: none. */
static void put(struct lake *l, const char *key, int number, const char *new, const char *old)
{
    static int serial;
    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    trib_buf_addf(
        &b,
        "{\"eventID\":\"e%d\",\"eventName\":\"%s\",\"dynamodb\":{\"ApproximateCreationDateTime\":%d,\"Keys\":{\"pk\":{\"S\":\"%s\"}}",
        number, new != NULL ? "MODIFY" : "REMOVE", 1700000000 + number, key);
    for (int i = 0; i < 2; i++) {
        const char *image = i == 0 ? new : old;
        if (image != NULL) {
            trib_buf_addf(&b, ",\"%sImage\":{\"pk\":{\"S\":\"%s\"},\"x\":{\"S\":\"x%d\"}%s%s}", i == 0 ? "New" : "Old",
                          key, number, *image != '\0' ? "," : "", image);
        }
    }
    trib_buf_addf(&b, ",\"SequenceNumber\":\"%d\"}}\n", number);
    char *name = trib_asprintf("%d.json", serial++);
    put_text(l, name, b.p);
    free(name);
    trib_buf_free(&b);
}

static struct trib_step merged(struct lake *l, const struct trib_merge_opts *o)
{
    struct trib_ingest_opts in = options(l);
    struct trib_err err = {0};
    struct trib_step s;
    struct trib_merge *m;
    in.schema = o->schema;
    (void)drained(l, &in);
    ok(trib_merge_new(&l->env, o, &m, &err), &err);
    ok(trib_merge_step(m, l->now_us, &s, &err), &err);
    trib_merge_free(m);
    return s;
}

/* key=value, `!` behind a deleted one. */
static void holds(struct lake *l, const char *expected)
{
    answers(
        l, SILVER,
        "SELECT string_agg(pk || '=' || coalesce(x, '-') || CASE WHEN _is_deleted THEN '!' ELSE '' END, ' ' ORDER BY pk) FROM t",
        expected);
}

static void holds_hard(struct lake *l, const char *expected)
{
    answers(l, SILVER, "SELECT coalesce(string_agg(pk || '=' || x, ' ' ORDER BY pk), '') FROM t", expected);
}

static void runs_are(struct lake *l, const char *expected)
{
    answers(l, HISTORY,
            "SELECT string_agg(x || CASE WHEN __END_AT IS NULL THEN '' ELSE '.' END, ' ' ORDER BY __START_AT) FROM t",
            expected);
}

static void versions_beat_the_stream(void **state)
{
    struct lake *l = *state;
    const struct trib_merge_opts o = target(false);
    put(l, "a", 1, "\"v\":{\"N\":\"10\"}", NULL);
    put(l, "a", 2, "\"v\":{\"N\":\"9\"}", NULL); /* by value, not by bytes */
    put(l, "b", 3, "\"v\":{\"S\":\"10\"}", NULL);
    put(l, "b", 4, "\"v\":{\"S\":\"9\"}", NULL); /* by bytes */
    put(l, "c", 5, "\"v\":{\"S\":\"\"}", NULL);
    put(l, "c", 6, "\"v\":{\"N\":\"1E100\"}", NULL); /* numbers before texts */
    put(l, "d", 7, "\"v\":{\"N\":\"1.50\"}", NULL);
    put(l, "d", 8, "\"v\":{\"N\":\"15E-1\"}", NULL); /* equal: the stream decides */
    put(l, "e", 9, "\"v\":{\"N\":\"-1\"}", NULL);
    put(l, "e", 10, "\"v\":{\"N\":\"-2\"}", NULL);
    put(l, "f", 11, "\"v\":{\"S\":\"a\"}", NULL);
    put(l, "f", 12, "\"v\":{\"S\":\"a\\u0000\"}", NULL);
    (void)merged(l, &o);
    holds(l, "a=x1 b=x4 c=x5 d=x8 e=x9 f=x12");
    put(l, "a", 20, "\"v\":{\"N\":\"9.99\"}", NULL); /* the same one step later, against Silver */
    put(l, "d", 21, "\"v\":{\"N\":\"1.5\"}", NULL);
    put(l, "e", 22, "\"v\":{\"N\":\"0\"}", NULL);
    put(l, "f", 23, "\"v\":{\"S\":\"a-\"}", NULL);
    (void)merged(l, &o);
    holds(l, "a=x1 b=x4 c=x5 d=x21 e=x22 f=x23");
    answers(l, SILVER, "SELECT _sequence FROM t WHERE pk = 'f'",
            "0001-sa.2d-0001-00000001-0000000000000000000000000000000000000023");
    const int64_t before = version_of(l, SILVER);
    assert_false(merged(l, &o).worked);
    assert_int_equal(version_of(l, SILVER), before);
}

static void a_record_without_a_version_goes_to_quarantine(void **state)
{
    struct lake *l = *state;
    const struct trib_merge_opts o = target(false), h = target(true);
    put(l, "a", 1, "\"v\":{\"N\":\"1\"}", NULL);
    put(l, "a", 2, "", NULL);
    put(l, "a", 3, "\"v\":{\"NULL\":true}", NULL);
    put(l, "b", 4, "\"v\":{\"B\":\"AA==\"}", NULL);
    put(l, "b", 5, "\"v\":{\"M\":{\"v\":{\"N\":\"1\"}}}", NULL);
    assert_int_equal(merged(l, &o).quarantined, 4);
    assert_int_equal(merged(l, &h).quarantined, 0); /* they stand there already */
    holds(l, "a=x1");
    runs_are(l, "x1");
    answers(l, QUARANTINE, "SELECT string_agg(_event_id, ' ' ORDER BY _event_id) FROM t", "e2 e3 e4 e5");
    answers(l, QUARANTINE, "SELECT any_value(_reason) FROM t WHERE _event_id = 'e2'",
            "no version: event e2 has no attribute \"v\" of type S or N, which orders the records (silver.sequence)");
    put(l, "a", 2, "", NULL); /* delivered again, in another file */
    put(l, "b", 6, "\"v\":{\"N\":\"0\"}", NULL);
    assert_int_equal(merged(l, &o).quarantined, 1);
    holds(l, "a=x1 b=x6");
}

static void a_delete_ranks_above_what_it_removed(void **state)
{
    struct lake *l = *state;
    const struct trib_merge_opts o = target(false);
    put(l, "a", 1, "\"v\":{\"N\":\"5\"}", NULL);
    put(l, "a", 2, "\"v\":{\"N\":\"9\"}", NULL);
    put(l, "a", 3, "\"v\":{\"N\":\"7\"}", NULL);
    put(l, "a", 4, NULL, "\"v\":{\"N\":\"7\"}"); /* 9 is newer than what was removed */
    put(l, "b", 5, "\"v\":{\"N\":\"5\"}", NULL);
    put(l, "b", 6, NULL, "\"v\":{\"N\":\"5\"}");
    put(l, "c", 7, NULL, "\"v\":{\"N\":\"5\"}");
    put(l, "d", 8, NULL, "\"v\":{\"N\":\"5\"}");
    (void)merged(l, &o);
    holds(l, "a=x2 b=x6! c=x7! d=x8!");
    put(l, "b", 9, "\"v\":{\"N\":\"5\"}", NULL); /* the same version, written after the delete */
    put(l, "c", 3, "\"v\":{\"N\":\"6\"}", NULL); /* before it in the stream, newer for the user */
    put(l, "d", 10, "\"v\":{\"N\":\"4\"}", NULL);
    (void)merged(l, &o);
    holds(l, "a=x2 b=x9 c=x3 d=x8!");
}

/* The version of a delete without OldImage is the one of the record before it, whenever that comes. */
static void a_bare_delete_finds_its_version_again(void **state)
{
    struct lake *l = *state;
    const struct trib_merge_opts o = target(false), h = target(true);
    put(l, "a", 1, "\"v\":{\"N\":\"5\"}", NULL);
    put(l, "b", 2, "\"v\":{\"N\":\"5\"}", NULL);
    put(l, "c", 3, NULL, NULL);
    put(l, "d", 4, "\"v\":{\"N\":\"7\"}", NULL);
    (void)merged(l, &o);
    (void)merged(l, &h);
    holds(l, "a=x1 b=x2 c=-! d=x4");
    put(l, "a", 100, NULL, NULL);
    put(l, "b", 101, NULL, NULL);
    put(l, "d", 102, NULL, NULL);
    (void)merged(l, &o);
    (void)merged(l, &h);
    holds(l, "a=x1! b=x2! c=-! d=x4!");
    put(l, "a", 50, "\"v\":{\"N\":\"9\"}", NULL); /* what was removed was 9: the delete rises above it */
    put(l, "b", 51, "\"v\":{\"N\":\"3\"}", NULL); /* what was removed was 3: 5 lives */
    put(l, "c", 2, "\"v\":{\"N\":\"1\"}", NULL);
    (void)merged(l, &o);
    (void)merged(l, &h);
    holds(l, "a=x50! b=x2 c=x2! d=x4!");
    answers(l, SILVER, "SELECT string_agg(_deleted_sequence[5:13], ' ' ORDER BY pk) FROM t WHERE _is_deleted",
            "-n21309-0 -n21301-0 -n21307-0");
    answers(l, HISTORY, "SELECT string_agg(x || coalesce(__END_AT[5:12], ''), ' ' ORDER BY pk, __START_AT) FROM t",
            "x1-n21309- x50-n21309- x51-n21303- x2 x2-n21301- x4-n21307-");
    put(l, "a", 100, NULL, NULL); /* redelivered */
    (void)merged(l, &o);
    holds(l, "a=x50! b=x2 c=x2! d=x4!");
}

static void tombstones_of_hard_deletes(void **state)
{
    struct lake *l = *state;
    struct trib_merge_opts o = target(false);
    o.hard_deletes = true;
    put(l, "a", 1, "\"v\":{\"N\":\"5\"}", NULL);
    put(l, "b", 2, "\"v\":{\"N\":\"5\"}", NULL);
    put(l, "c", 3, "\"v\":{\"N\":\"9\"}", NULL);
    put(l, "c", 4, "\"v\":{\"N\":\"7\"}", NULL);
    put(l, "c", 90, NULL, NULL);
    (void)merged(l, &o);
    holds_hard(l, "a=x1 b=x2 c=x3");
    put(l, "a", 100, NULL, NULL);
    put(l, "b", 101, NULL, "\"v\":{\"N\":\"5\"}");
    put(l, "c", 50, "\"v\":{\"N\":\"11\"}",
        NULL); /* not a bare delete itself, but it lifts one that Silver does not show */
    (void)merged(l, &o);
    holds_hard(l, "");
    put(l, "a", 60, "\"v\":{\"N\":\"2\"}", NULL);
    put(l, "b", 61, "\"v\":{\"N\":\"6\"}", NULL);
    put(l, "c", 91, "\"v\":{\"N\":\"10\"}", NULL);
    (void)merged(l, &o);
    holds_hard(l, "a=x1 b=x61"); /* 2 was removed from a: 5 lives again */
}

static void leaving_where_without_a_version(void **state)
{
    struct lake *l = *state;
    struct trib_merge_opts o = target(false);
    o.where = "kind = 'o'";
    put(l, "a", 1, "\"v\":{\"N\":\"5\"},\"kind\":{\"S\":\"o\"}", NULL);
    put(l, "b", 2, "\"v\":{\"N\":\"5\"},\"kind\":{\"S\":\"o\"}", NULL);
    put(l, "c", 3, "\"v\":{\"N\":\"5\"},\"kind\":{\"S\":\"o\"}", NULL);
    put(l, "d", 4, "\"kind\":{\"S\":\"c\"}", NULL); /* of another kind: no business of this target's */
    put(l, "e", 5, "\"kind\":{\"S\":\"o\"}", NULL);
    assert_int_equal(merged(l, &o).quarantined, 1);
    put(l, "a", 10, "\"kind\":{\"S\":\"c\"}", NULL);
    put(l, "b", 11, "\"v\":{\"N\":\"4\"},\"kind\":{\"S\":\"c\"}", NULL); /* its own version decides */
    put(l, "c", 12, "\"kind\":{\"S\":\"c\"}", "\"v\":{\"N\":\"3\"},\"kind\":{\"S\":\"c\"}");
    assert_int_equal(merged(l, &o).quarantined, 0);
    holds(l, "a=x1! b=x2 c=x3");
}

static void changes_of_one_moment(void **state)
{
    struct lake *l = *state;
    const struct trib_merge_opts o = target(false);
    static const char *const lines[] = {
        /* one millisecond: 5 → 6 → 6' → gone; 5 → 6; then a late one of the first moment */
        "\"eventName\":\"MODIFY\",\"dynamodb\":{\"Keys\":{\"pk\":{\"S\":\"a\"}},\"NewImage\":{\"pk\":{\"S\":\"a\"},\"v\":{\"N\":\"6\"},\"x\":{\"S\":\"1\"}},\"OldImage\":{\"pk\":{\"S\":\"a\"},\"v\":{\"N\":\"5\"},\"x\":{\"S\":\"0\"}}",
        "\"eventName\":\"MODIFY\",\"dynamodb\":{\"Keys\":{\"pk\":{\"S\":\"a\"}},\"NewImage\":{\"pk\":{\"S\":\"a\"},\"v\":{\"N\":\"6\"},\"x\":{\"S\":\"2\"}},\"OldImage\":{\"pk\":{\"S\":\"a\"},\"v\":{\"N\":\"6\"},\"x\":{\"S\":\"1\"}}",
        "\"eventName\":\"REMOVE\",\"dynamodb\":{\"Keys\":{\"pk\":{\"S\":\"a\"}},\"OldImage\":{\"pk\":{\"S\":\"a\"},\"v\":{\"N\":\"6\"},\"x\":{\"S\":\"2\"}}"};
    static const char *const shown[] = {"a=1", "a=2", "a=2!"};
    for (int i = 0; i < 3; i++) {
        char *name = trib_asprintf("k%d.json", i);
        char *text = trib_asprintf(
            "{\"eventID\":\"k%d\",\"recordFormat\":\"application/json\",\"tableName\":\"T\",%s,\"ApproximateCreationDateTime\":1700000000123}}\n",
            i, lines[i]);
        put_text(l, name, text);
        (void)merged(l, &o);
        holds(l, shown[i]);
        free(text);
        free(name);
    }
}

/* A tie that comes out otherwise later: history shows the winner's image. */
static void history_follows_a_tie(void **state)
{
    struct lake *l = *state;
    struct trib_merge_opts h = target(true);
    h.sequence_attribute = NULL;
    static const char *const lines[] = {
        "\"eventID\":\"1\",\"eventName\":\"INSERT\",\"dynamodb\":{\"Keys\":{\"pk\":{\"S\":\"a\"}},\"NewImage\":{\"pk\":{\"S\":\"a\"},\"x\":{\"S\":\"first\"}}",
        "\"eventID\":\"2\",\"eventName\":\"MODIFY\",\"dynamodb\":{\"Keys\":{\"pk\":{\"S\":\"a\"}},\"NewImage\":{\"pk\":{\"S\":\"a\"},\"x\":{\"S\":\"second\"}},\"OldImage\":{\"pk\":{\"S\":\"a\"},\"x\":{\"S\":\"first\"}}"};
    for (int i = 0; i < 2; i++) {
        char *name = trib_asprintf("t%d.json", i);
        char *text = trib_asprintf(
            "{%s,\"ApproximateCreationDateTime\":1700000000123},\"recordFormat\":\"application/json\",\"tableName\":\"T\"}\n",
            lines[i]);
        put_text(l, name, text);
        (void)merged(l, &h);
        runs_are(l, i == 0 ? "first" : "second");
        free(text);
        free(name);
    }
}

/* What Bronze has no more, Silver's row still tells. */
static void silver_remembers_what_bronze_lost(void **state)
{
    struct lake *l = *state;
    const struct trib_merge_opts o = target(false);
    put(l, "a", 1, "\"v\":{\"N\":\"5\"}", NULL);
    (void)merged(l, &o);
    struct trib_err err = {0};
    struct trib_conn *conn;
    ok(trib_conn_open(l->engine, &conn, &err), &err);
    struct trib_delta d = trib_env_delta(&l->env, conn, trib_path_bronze("T"));
    struct trib_snapshot s = {.version = -1};
    ok(trib_delta_load(&d, -1, &s, &err), &err);
    const struct trib_commit c = {.read_version = s.version,
                                  .operation = "DELETE",
                                  .removes = s.adds,
                                  .n_removes = s.n_adds,
                                  .data_change = false};
    ok(trib_delta_commit(&d, &s, &c, &err), &err);
    trib_snapshot_free(&s);
    free(d.path);
    trib_conn_close(conn);
    put(l, "a", 2, NULL, NULL);
    (void)merged(l, &o);
    holds(l, "a=x1!");
    answers(l, SILVER, "SELECT _deleted_sequence FROM t",
            "0001-n21305-0001-00000001-0000000000000000000000000000000000000002");
}

/* Whatever column the attribute has, the version is read exactly. */
static void any_column_gives_the_version(void **state)
{
    struct lake *l = *state;
    static const struct trib_hint stamp = {"v", "timestamp"}, decimal = {"v", "decimal(10,2)"};
    static const struct {
        const char *what, *low, *high;
        struct trib_schema_opts o;
    } cases[] = {
        {"bigint", "{\"N\":\"99\"}", "{\"N\":\"100\"}", {.infer = true}},
        {"decimal", "{\"N\":\"99.5\"}", "{\"N\":\"100.25\"}", {.infer = true}},
        {"double", "{\"N\":\"99.5\"}", "{\"N\":\"1E2\"}", {.infer = true, .numbers = TRIB_NUMBERS_DOUBLE}},
        {"number as text", "{\"N\":\"99\"}", "{\"N\":\"100\"}", {.infer = true, .numbers = TRIB_NUMBERS_STRING}},
        {"rescued", "{\"N\":\"1E-130\"}", "{\"N\":\"9.9999999999999999999999999999999999999E+125\"}", {.infer = true}},
        {"text", "{\"S\":\"a\"}", "{\"S\":\"b\"}", {.infer = true}},
        {"without inference", "{\"N\":\"99\"}", "{\"N\":\"100\"}", {.infer = false}},
        {"timestamp",
         "{\"S\":\"2024-05-01T10:00:00Z\"}",
         "{\"S\":\"2024-05-01T10:00:01Z\"}",
         {.infer = true, .hints = &stamp, .n_hints = 1}},
        {"hinted decimal", "{\"N\":\"99.5\"}", "{\"N\":\"100\"}", {.infer = true, .hints = &decimal, .n_hints = 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trib_merge_opts o = target(false);
        o.schema = cases[i].o;
        o.schema.keys = keys;
        o.schema.n_keys = 1;
        char *high = trib_asprintf("\"v\":%s", cases[i].high), *low = trib_asprintf("\"v\":%s", cases[i].low);
        put(l, "a", 1, high, NULL);
        put(l, "a", 2, low, NULL);
        (void)merged(l, &o);
        char *got = ask(l, SILVER, "SELECT x FROM t");
        if (strcmp(got, "x1") != 0) {
            fail_msg("%s: %s", cases[i].what, got);
        }
        free(got);
        put(l, "a", 3, low, NULL);
        put(l, "a", 4, NULL, high);
        (void)merged(l, &o);
        holds(l, "a=x4!");
        free(high);
        free(low);
        lake_close(l);
        l = lake_open();
    }
    *state = l;
}

static void another_sequence_is_refused(void **state)
{
    struct lake *l = *state;
    static const char *const others[] = {NULL, "w"};
    for (int history = 0; history < 2; history++) {
        struct trib_merge_opts o = target(history == 1);
        put(l, "a", 1 + history, "\"v\":{\"N\":\"5\"},\"w\":{\"N\":\"5\"}", NULL);
        (void)merged(l, &o);
        const int64_t before = version_of(l, history ? HISTORY : SILVER);
        put(l, "a", 10 + history, "\"v\":{\"N\":\"6\"},\"w\":{\"N\":\"6\"}", NULL);
        for (size_t i = 0; i < 2; i++) {
            struct trib_ingest_opts in = options(l);
            struct trib_merge_opts changed = o;
            struct trib_merge *m;
            struct trib_err err = {0};
            struct trib_step s;
            changed.sequence_attribute = others[i];
            (void)drained(l, &in);
            ok(trib_merge_new(&l->env, &changed, &m, &err), &err);
            assert_int_equal(trib_merge_step(m, l->now_us, &s, &err), TRIB_E_CONFIG);
            assert_non_null(strstr(err.msg, "sequence=v"));
            trib_merge_free(m);
        }
        assert_int_equal(version_of(l, history ? HISTORY : SILVER), before);
        (void)merged(l, &o); /* undone: it goes on */
        assert_true(version_of(l, history ? HISTORY : SILVER) > before);
    }
}

static void late_records_stay_out_of_the_order(void **state)
{
    struct lake *l = *state;
    struct trib_merge_opts o = target(false);
    o.late_after_us = INT64_C(50000000);
    o.late = TRIB_LATE_QUARANTINE;
    put(l, "a", 100, "\"v\":{\"N\":\"5\"}", NULL);
    put(l, "a", 110, NULL, NULL);
    (void)merged(l, &o);
    holds(l, "a=x100!");
    put(l, "a", 2, "\"v\":{\"N\":\"9\"}", NULL); /* late */
    assert_int_equal(merged(l, &o).quarantined, 1);
    put(l, "a", 105, "\"v\":{\"N\":\"4\"}", NULL); /* folds the key again: what is left is 5, 4, gone */
    (void)merged(l, &o);
    holds(l, "a=x100");
    answers(l, QUARANTINE, "SELECT string_agg(_reason, ' ') FROM t", "late: event e2 is older than late_after allows");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(versions_beat_the_stream, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(a_record_without_a_version_goes_to_quarantine, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(a_delete_ranks_above_what_it_removed, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(a_bare_delete_finds_its_version_again, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(tombstones_of_hard_deletes, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(leaving_where_without_a_version, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(changes_of_one_moment, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(history_follows_a_tie, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(silver_remembers_what_bronze_lost, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(any_column_gives_the_version, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(another_sequence_is_refused, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(late_records_stay_out_of_the_order, lake_setup, lake_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
