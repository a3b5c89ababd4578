/*
 * Merge as a daemon runs it: one stage object over many steps, so that what it keeps between them (converters) must follow the
 * schemas. Other tests start a process for each run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drain.h"
#include "merge/merge.h"

#define SILVER "silver/d/t"

static const char *const keys[] = {"pk"};

/* Of the ingest that change() runs. */
static const struct trib_hint *hinted;
static size_t n_hinted;

static struct trib_merge *stage(struct lake *l, const char *silver, bool history, const char *where)
{
    struct trib_err err = {0};
    const struct trib_merge_opts o = {
        .pipeline = "p",
        .table = "T",
        .domain = "d",
        .silver = silver,
        .history = history,
        .keys = keys,
        .n_keys = 1,
        .schema = {.infer = true, .keys = keys, .n_keys = 1, .hints = hinted, .n_hints = n_hinted},
        .updated_at = "_updated_at",
        .is_deleted = "_is_deleted",
        .where = where};
    struct trib_merge *m;
    ok(trib_merge_new(&l->env, &o, &m, &err), &err);
    return m;
}

/* Delivers one change of key k and merges it. more: attributes behind the key. */
static void change(struct lake *l, struct trib_merge *m, int n, const char *k, const char *more)
{
    char *file = trib_asprintf("%d.json", n);
    char *text = trib_asprintf(
        "{\"eventID\":\"%d\",\"eventName\":\"MODIFY\",\"dynamodb\":{\"ApproximateCreationDateTime\":%d,"
        "\"Keys\":{\"pk\":{\"S\":\"%s\"}},\"NewImage\":{\"pk\":{\"S\":\"%s\"}%s},\"SequenceNumber\":\"%d\"}}\n",
        n, 1700000000 + n, k, k, more, n);
    put_text(l, file, text);
    free(file);
    free(text);
    struct trib_ingest_opts in = options(l);
    in.schema.hints = hinted;
    in.schema.n_hints = n_hinted;
    struct trib_err err = {0};
    struct trib_step s;
    assert_int_equal(drained(l, &in).rows_out, 1);
    ok(trib_merge_step(m, l->now_us, &s, &err), &err);
    assert_true(s.worked);
}

/* A column that came in one step must survive the rewriting of its file in a later one that changes no schema. */
static void columns_outlive_later_steps(void **state)
{
    struct lake *l = *state;
    struct trib_merge *m = stage(l, "t", false, NULL);
    change(l, m, 1, "a", ",\"x\":{\"S\":\"ax\"}");
    change(l, m, 2, "b", ",\"y\":{\"S\":\"by\"}");                       /* y comes; a's file stays */
    change(l, m, 3, "a", ",\"y\":{\"S\":\"ay\"},\"z\":{\"NULL\":true}"); /* a's file is written again */
    change(l, m, 4, "c", ",\"y\":{\"S\":\"cy\"}");
    change(l, m, 5, "c", ",\"y\":{\"S\":\"c2\"}");
    change(l, m, 6, "b", ",\"y\":{\"S\":\"b2\"},\"w\":{\"N\":\"7\"}"); /* w comes */
    change(l, m, 7, "c", ",\"y\":{\"S\":\"c3\"},\"w\":{\"N\":\"8\"}");
    change(l, m, 8, "d", ",\"y\":{\"S\":\"dy\"}");
    change(l, m, 9, "d", ",\"y\":{\"S\":\"d2\"},\"w\":{\"N\":\"9\"}");
    answers(
        l, SILVER,
        "SELECT string_agg(pk || '=' || coalesce(y, '-') || '/' || coalesce(w::VARCHAR, '-'), ' ' ORDER BY pk) FROM t",
        "a=ay/- b=b2/7 c=c3/8 d=d2/9");
    trib_merge_free(m);
}

/* The same where all rows stand in one file: each step writes every old row again. */
static void old_rows_keep_their_columns(void **state)
{
    struct lake *l = *state;
    struct trib_merge *m = stage(l, "t", false, NULL);
    put_text(
        l, "0.json",
        "{\"Item\":{\"pk\":{\"S\":\"a\"},\"x\":{\"S\":\"1\"}}}\n{\"Item\":{\"pk\":{\"S\":\"b\"},\"x\":{\"S\":\"1\"}}}\n");
    struct trib_ingest_opts o = options(l);
    struct trib_err err = {0};
    struct trib_step s;
    (void)drained(l, &o);
    ok(trib_merge_step(m, l->now_us, &s, &err), &err);
    change(l, m, 1, "a", ",\"x\":{\"S\":\"2\"},\"y\":{\"S\":\"kept\"}"); /* y comes, in a file with b */
    change(l, m, 2, "b", ",\"x\":{\"S\":\"3\"}"); /* that file is written again, no schema changes */
    answers(l, SILVER, "SELECT string_agg(pk || '=' || x || '/' || coalesce(y, '-'), ' ' ORDER BY pk) FROM t",
            "a=2/kept b=3/-");
    trib_merge_free(m);
}

static void history_keeps_its_columns(void **state)
{
    struct lake *l = *state;
    struct trib_merge *m = stage(l, "t_history", true, NULL);
    change(l, m, 1, "a", ",\"x\":{\"S\":\"1\"}");
    change(l, m, 2, "a", ",\"x\":{\"S\":\"2\"},\"y\":{\"S\":\"kept\"}");
    change(l, m, 3, "a", ",\"x\":{\"S\":\"3\"}");
    change(l, m, 4, "a", ",\"x\":{\"S\":\"4\"}");
    answers(l, "silver/d/t_history", "SELECT string_agg(x || '/' || coalesce(y, '-'), ' ' ORDER BY __START_AT) FROM t",
            "1/- 2/kept 3/- 4/-");
    trib_merge_free(m);
}

/* `where` sees the decoded item: what fits the column of the day decides nothing (merge.md). */
static void where_sees_any_number(void **state)
{
    struct lake *l = *state;
    struct trib_merge *m = stage(l, "t", false, "n IS NOT NULL");
    change(l, m, 1, "a", ",\"n\":{\"N\":\"1\"}");
    change(l, m, 2, "b", ",\"n\":{\"N\":\"1.5\"}"); /* Bronze's column is a bigint */
    change(l, m, 3, "c", ",\"n\":{\"N\":\"1e100\"}");
    change(l, m, 4, "d", ",\"n\":{\"S\":\"text\"}");
    answers(l, SILVER, "SELECT string_agg(pk, ' ' ORDER BY pk) FROM t", "a b c");
    trib_merge_free(m);
}

/* A hinted attribute has the hint's type in expressions too. */
static void where_sees_hints(void **state)
{
    struct lake *l = *state;
    static const struct trib_hint hints[] = {{"zip", "string"}, {"price", "decimal(4,1)"}, {"m.zip", "string"}};
    hinted = hints;
    n_hinted = 3;
    struct trib_merge *m = stage(l, "t", false, "zip = '8001' OR price > 2 OR m.zip = '7'");
    change(l, m, 1, "a", ",\"zip\":{\"N\":\"8001\"},\"m\":{\"M\":{\"zip\":{\"N\":\"6\"}}}");
    change(l, m, 2, "b", ",\"zip\":{\"N\":\"8002\"},\"price\":{\"N\":\"2.5\"}");
    change(l, m, 3, "c", ",\"price\":{\"N\":\"2.55\"}"); /* no decimal(4,1): rescued, NULL here */
    change(l, m, 4, "d", ",\"m\":{\"M\":{\"zip\":{\"N\":\"7\"}}}");
    hinted = NULL;
    n_hinted = 0;
    answers(l, SILVER, "SELECT string_agg(pk, ' ' ORDER BY pk) FROM t", "a b d");
    trib_merge_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(columns_outlive_later_steps, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(old_rows_keep_their_columns, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(history_keeps_its_columns, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(where_sees_any_number, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(where_sees_hints, lake_setup, lake_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
