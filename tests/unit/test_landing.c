/* The landing's bookkeeping: epochs, shards, seals, positions; two racers; names of objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lake.h"
#include "stage/landing.h"

#define STREAM "2026-05-01T00_00_00.123"
#define HOUR   ((int64_t)3600 * 1000000)

static int setup(void **state)
{
    *state = lake_open();
    return 0;
}

static int teardown(void **state)
{
    lake_close(*state);
    return 0;
}

static const char *d40(unsigned n)
{
    static char text[4][TRIB_POSITION_DIGITS + 1];
    static unsigned turn;
    char *to = text[turn++ % 4];
    (void)snprintf(to, sizeof text[0], "%064u", n);
    return to;
}

static void open_epoch(struct trib_landing *l, unsigned number, const char *shard, const char *last)
{
    struct trib_err err = {0};
    struct trib_landing_mark mark = {.stream = (char *)STREAM, .shard = (char *)shard};
    (void)snprintf(mark.last, sizeof mark.last, "%s", last == NULL ? "" : last);
    const struct trib_landing_epoch e = {.number = number,
                                         .opened_us = NOW + number,
                                         .reason = (char *)"bootstrap",
                                         .stream_arn = (char *)"arn:x",
                                         .snapshot = true,
                                         .table_id = NULL,
                                         .n_marks = shard == NULL ? 0 : 1,
                                         .marks = &mark};
    ok(trib_landing_open_epoch(l, &e, &err), &err);
}

static void add_shard(struct trib_landing *l, const char *name, const char *parent, unsigned epoch, uint32_t generation)
{
    struct trib_err err = {0};
    const struct trib_landing_shard s = {.stream = (char *)STREAM,
                                         .shard = (char *)name,
                                         .parent = (char *)parent,
                                         .generation = generation,
                                         .epoch = epoch,
                                         .found_us = NOW};
    ok(trib_landing_add_shard(l, &s, &err), &err);
}

static void what_one_writes_another_reads(void **state)
{
    struct lake *lake = *state;
    struct trib_err err = {0};
    struct trib_landing *a = trib_landing_new(lake->store, "T"), *b = trib_landing_new(lake->store, "T");
    ok(trib_landing_refresh(b, &err), &err);
    assert_int_equal(b->n_epochs, 0);
    open_epoch(a, 1, NULL, NULL);
    add_shard(a, "shardId-2", "shardId-1", 1, 2);
    add_shard(a, "shardId-1", NULL, 1, 1);
    struct trib_landing_shard *s = trib_landing_find(a, STREAM, "shardId-1");
    (void)snprintf(s->last, sizeof s->last, "%s", d40(77));
    ok(trib_landing_end_shard(a, s, &err), &err);
    struct trib_landing_file file = {(char *)"_snapshots/0001/a.json.zst", 3, 120, NOW + 5};
    struct trib_landing_mark frontier = {.stream = (char *)STREAM, .shard = (char *)"shardId-2"};
    (void)snprintf(frontier.last, sizeof frontier.last, "%s", d40(99));
    const struct trib_landing_snapshot snapshot = {.epoch = 1,
                                                   .origin = TRIB_ORIGIN_SCAN,
                                                   .full = true,
                                                   .time_us = NOW + 4,
                                                   .n_files = 1,
                                                   .files = &file,
                                                   .n_frontier = 1,
                                                   .frontier = &frontier};
    ok(trib_landing_seal(a, &snapshot, &err), &err);

    ok(trib_landing_refresh(b, &err), &err);
    ok(trib_landing_refresh(b, &err), &err); /* and nothing twice */
    assert_int_equal(b->n_epochs, 1);
    assert_int_equal(b->epochs[0].opened_us, NOW + 1);
    assert_string_equal(b->epochs[0].reason, "bootstrap");
    assert_null(b->epochs[0].table_id);
    assert_int_equal(b->n_shards, 2);
    s = trib_landing_find(b, STREAM, "shardId-1");
    assert_true(s->ended);
    assert_string_equal(s->last, d40(77));
    s = trib_landing_find(b, STREAM, "shardId-2");
    assert_false(s->ended);
    assert_string_equal(s->parent, "shardId-1");
    assert_int_equal(s->generation, 2);
    assert_null(trib_landing_find(b, STREAM, "shardId-3"));
    assert_int_equal(b->n_snapshots, 1);
    assert_true(b->snapshots[0].sealed && b->snapshots[0].full);
    assert_int_equal(b->snapshots[0].origin, TRIB_ORIGIN_SCAN);
    assert_int_equal(b->snapshots[0].n_files, 1);
    assert_string_equal(b->snapshots[0].files[0].key, file.key);
    assert_int_equal(b->snapshots[0].files[0].time_us, NOW + 5);
    assert_string_equal(b->snapshots[0].frontier[0].last, d40(99));
    trib_landing_free(a);
    trib_landing_free(b);
}

static void of_two_racers_one_wins(void **state)
{
    struct lake *lake = *state;
    struct trib_err err = {0};
    struct trib_landing *a = trib_landing_new(lake->store, "T"), *b = trib_landing_new(lake->store, "T");
    open_epoch(a, 1, NULL, NULL);
    const struct trib_landing_epoch late = {.number = 1, .opened_us = NOW + 100, .reason = (char *)"later"};
    assert_int_equal(trib_landing_open_epoch(b, &late, &err), TRIB_E_EXISTS);
    ok(trib_landing_refresh(b, &err), &err);
    assert_string_equal(b->epochs[0].reason, "bootstrap");
    add_shard(a, "s", NULL, 1, 7);
    const struct trib_landing_shard other = {
        .stream = (char *)STREAM, .shard = (char *)"s", .generation = 8, .epoch = 1};
    assert_int_equal(trib_landing_add_shard(b, &other, &err), TRIB_E_EXISTS);
    assert_int_equal(b->n_shards, 0); /* nothing of the loser's stays */
    ok(trib_landing_refresh(b, &err), &err);
    assert_int_equal(trib_landing_find(b, STREAM, "s")->generation, 7);
    assert_int_equal(trib_landing_open_epoch(b, &(struct trib_landing_epoch){.number = 3}, &err), TRIB_E_INTERNAL);
    trib_landing_free(a);
    trib_landing_free(b);
}

/* merge.md: the mark of an epoch decides, whoever lands the record; a shard found later belongs to the newest. */
static void epochs_of_records(void **state)
{
    struct lake *lake = *state;
    struct trib_landing *l = trib_landing_new(lake->store, "T");
    open_epoch(l, 1, NULL, NULL);
    add_shard(l, "old", NULL, 1, 1);
    open_epoch(l, 2, "old", d40(500));
    add_shard(l, "new", "old", 2, 2);
    open_epoch(l, 3, "old", d40(900));
    const struct trib_landing_shard *old = trib_landing_find(l, STREAM, "old"),
                                    *new = trib_landing_find(l, STREAM, "new");
    assert_int_equal(trib_landing_epoch_of(l, old, d40(1), NOW), 1);
    assert_int_equal(trib_landing_epoch_of(l, old, d40(500), NOW), 1);
    assert_int_equal(trib_landing_epoch_of(l, old, d40(501), NOW), 2);
    assert_int_equal(trib_landing_epoch_of(l, old, d40(900), NOW), 2);
    assert_int_equal(trib_landing_epoch_of(l, old, d40(901), NOW), 3);
    assert_int_equal(trib_landing_epoch_of(l, new, d40(901), NOW), 2);
    trib_landing_free(l);
}

static void a_shard_that_an_epoch_does_not_name_was_found_later(void **state)
{
    struct lake *lake = *state;
    struct trib_err err = {0};
    struct trib_landing *l = trib_landing_new(lake->store, "Later");
    struct trib_landing_mark mark = {.stream = (char *)STREAM, .shard = (char *)"shardId-1"};
    (void)snprintf(mark.last, sizeof mark.last, "%s", d40(50));
    struct trib_landing_epoch e = {.number = 1,
                                   .opened_us = NOW,
                                   .reason = (char *)"bootstrap",
                                   .stream_arn = (char *)"arn:aws:dynamodb:x:1:table/T/stream/2026-05-01T00:00:00.123",
                                   .snapshot = true};
    ok(trib_landing_open_epoch(l, &e, &err), &err);
    add_shard(l, "shardId-1", NULL, 1, 1);
    e.number = 2;
    e.marks = &mark;
    e.n_marks = 1;
    ok(trib_landing_open_epoch(l, &e, &err), &err);
    add_shard(l, "shardId-2", "shardId-1", 1, 2); /* by a process that has not seen the second epoch */
    const struct trib_landing_shard *one = trib_landing_find(l, STREAM, "shardId-1"),
                                    *two = trib_landing_find(l, STREAM, "shardId-2");
    assert_int_equal(trib_landing_epoch_of(l, one, d40(50), NOW), 1);
    assert_int_equal(trib_landing_epoch_of(l, one, d40(51), NOW), 2);
    assert_int_equal(trib_landing_epoch_of(l, two, d40(1), NOW), 2);
    e.number = 3; /* a new stream: what is left of the old one stays before it */
    e.n_marks = 0;
    e.stream_arn = (char *)"arn:aws:dynamodb:x:1:table/T/stream/2026-06-01T00:00:00.000";
    ok(trib_landing_open_epoch(l, &e, &err), &err);
    two = trib_landing_find(l, STREAM, "shardId-2");
    assert_int_equal(trib_landing_epoch_of(l, two, d40(1), NOW), 2);
    trib_landing_free(l);
}

/* Records of Kinesis come late and twice: what was written before an epoch began is not of it, wherever it stands. */
static void time_decides_where_records_come_out_of_order(void **state)
{
    struct lake *lake = *state;
    struct trib_err err = {0};
    struct trib_landing *l = trib_landing_new(lake->store, "T"), *again = trib_landing_new(lake->store, "T");
    const struct trib_landing_epoch first = {.number = 1, .opened_us = NOW, .since_us = NOW - 60};
    ok(trib_landing_open_epoch(l, &first, &err), &err);
    const struct trib_landing_shard merged = {.stream = (char *)"changes-1",
                                              .shard = (char *)"shardId-3",
                                              .parent = (char *)"shardId-1",
                                              .adjacent = (char *)"shardId-2",
                                              .generation = 2,
                                              .epoch = 1,
                                              .found_us = NOW};
    ok(trib_landing_add_shard(l, &merged, &err), &err);
    struct trib_landing_mark mark = {.stream = (char *)"changes-1", .shard = (char *)"shardId-3"};
    (void)snprintf(mark.last, sizeof mark.last, "%s", d40(50));
    const struct trib_landing_epoch second = {
        .number = 2, .opened_us = NOW + 100, .since_us = NOW + 160, .n_marks = 1, .marks = &mark};
    ok(trib_landing_open_epoch(l, &second, &err), &err);
    ok(trib_landing_refresh(again, &err), &err);
    struct trib_landing_shard *s = trib_landing_find(again, "changes-1", "shardId-3");
    assert_string_equal(s->adjacent, "shardId-2");
    assert_int_equal(trib_landing_epoch_of(again, s, d40(51), NOW + 160), 2);
    assert_int_equal(trib_landing_epoch_of(again, s, d40(51), NOW + 159), 1);
    assert_int_equal(trib_landing_epoch_of(again, s, d40(51), NOW - 60), 1);
    assert_int_equal(trib_landing_epoch_of(again, s, d40(51), NOW - 61), 0);
    assert_int_equal(trib_landing_epoch_of(again, s, d40(50), NOW + 500), 1);
    const struct trib_landing_snapshot full = {.epoch = 1, .full = true}, part = {.epoch = 2};
    assert_true(trib_landing_wants_gone(again, &full)); /* epoch 0 lies before it */
    assert_false(trib_landing_wants_gone(again, &part));
    trib_landing_free(l);
    trib_landing_free(again);
}

static void names_of_objects(void **state)
{
    (void)state;
    struct {
        int64_t us;
        int bucket;
        const char *shard, *expected;
    } cases[] = {
        {NOW, -1, "shardId-0001-ab",
         "ingest_date=2026/05/28/20/" STREAM
         ".shardId-0001-ab.0000000000000000000000000000000000000000000000000000000000000042.json.zst"},
        {0, 3, "s",
         "ingest_date=1970/01/01/00/bucket=03/" STREAM
         ".s.0000000000000000000000000000000000000000000000000000000000000042.json.zst"},
        {24 * HOUR - 1, 15, "s",
         "ingest_date=1970/01/01/23/bucket=15/" STREAM
         ".s.0000000000000000000000000000000000000000000000000000000000000042.json.zst"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *key = trib_landing_object(cases[i].us, cases[i].bucket, STREAM, cases[i].shard, d40(42), "json.zst");
        assert_string_equal(key, cases[i].expected);
        char *stream, *shard, first[TRIB_POSITION_DIGITS + 1];
        assert_true(trib_landing_parse(key, &stream, &shard, first));
        assert_string_equal(stream, STREAM);
        assert_string_equal(shard, cases[i].shard);
        assert_string_equal(first, d40(42));
        free(stream);
        free(shard);
        free(key);
    }
    static const char *const foreign[] = {
        "",
        "x",
        "ingest_date=2026/05/28/20/part-0.json.gz",
        "ingest_date=2026/05/28/20/..0000000000000000000000000000000000000000000000000000000000000042.json",
        "ingest_date=2026/05/28/20/s.0000000000000000000000000000000000000000000000000000000000000042.json",
        "ingest_date=2026/05/28/20/a.s.000000000000000000000000000000000000000000000000000000000000042.json",
        "elsewhere/a.s.0000000000000000000000000000000000000000000000000000000000000042.json",
    };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        char *stream, *shard, first[TRIB_POSITION_DIGITS + 1];
        assert_false(trib_landing_parse(foreign[i], &stream, &shard, first));
    }
    char to[TRIB_POSITION_DIGITS + 1];
    assert_true(trib_landing_digits(trib_view_of("300000000000000499659"), to));
    assert_string_equal(to, "0000000000000000000000000000000000000000000300000000000000499659");
    assert_true(trib_landing_digits(
        trib_view_of("000000000000000000000000000000000000000000000000000000000000000000000000000000007"), to));
    assert_string_equal(to, d40(7));
    assert_false(trib_landing_digits(trib_view_of(""), to));
    assert_false(trib_landing_digits(trib_view_of("12x"), to));
    assert_false(
        trib_landing_digits(trib_view_of("12345678901234567890123456789012345678901234567890123456789012345"), to));
}

/* ---- positions ---------------------------------------------------------------------------------------------------- */

struct ends {
    const char *last; /* what the objects are said to end with */
    int asked;
};

static int end_of(void *ctx, const char *key, char ret_last[TRIB_POSITION_DIGITS + 1], struct trib_err *err)
{
    struct ends *e = ctx;
    (void)key, (void)err;
    e->asked++;
    (void)snprintf(ret_last, TRIB_POSITION_DIGITS + 1, "%s", e->last);
    return 0;
}

static void land(struct lake *lake, int64_t us, const char *shard, const char *first)
{
    struct trib_err err = {0};
    char *name = trib_landing_object(us, -1, STREAM, shard, first, "json.zst");
    char *key = trib_asprintf("raw/dynamodb/T/%s", name);
    ok(trib_store_put(lake->store, key, TRIB_VIEW_LIT("x"), true, &err), &err);
    free(name);
    free(key);
}

static void positions_are_the_hint_and_what_came_after_it(void **state)
{
    struct lake *lake = *state;
    struct trib_err err = {0};
    struct trib_landing *a = trib_landing_new(lake->store, "T");
    open_epoch(a, 1, NULL, NULL);
    add_shard(a, "s", NULL, 1, 1);
    add_shard(a, "idle", NULL, 1, 1);
    struct trib_landing_shard *s = trib_landing_find(a, STREAM, "s");
    land(lake, NOW - 100 * HOUR, "s", d40(10));
    land(lake, NOW - HOUR, "s", d40(20));
    (void)snprintf(s->last, sizeof s->last, "%s", d40(29));
    s->read_us = NOW;
    ok(trib_landing_save_positions(a, NOW, &err), &err);
    land(lake, NOW - HOUR, "s", d40(30)); /* after the hint: by us, before a crash, or by another */
    land(lake, NOW - HOUR, "unknown", d40(30));

    struct trib_landing *b = trib_landing_new(lake->store, "T");
    struct ends ends = {.last = d40(39)};
    ok(trib_landing_refresh(b, &err), &err);
    ok(trib_landing_load_positions(b, end_of, &ends, &err), &err);
    s = trib_landing_find(b, STREAM, "s");
    assert_string_equal(s->last, d40(39));
    assert_int_equal(s->read_us, NOW);
    assert_int_equal(ends.asked, 1);
    assert_string_equal(trib_landing_find(b, STREAM, "idle")->last, "");
    trib_landing_free(b);

    /* Without a hint, or with a broken one, all objects are looked at. */
    for (int i = 0; i < 2; i++) {
        ok(i == 0 ? trib_store_remove(lake->store, "raw/dynamodb/T/_positions.json", &err)
                  : trib_store_put(lake->store, "raw/dynamodb/T/_positions.json", TRIB_VIEW_LIT("{\"version\":"), false,
                                   &err),
           &err);
        b = trib_landing_new(lake->store, "T");
        ends = (struct ends){.last = d40(39)};
        ok(trib_landing_refresh(b, &err), &err);
        ok(trib_landing_load_positions(b, end_of, &ends, &err), &err);
        assert_string_equal(trib_landing_find(b, STREAM, "s")->last, d40(39));
        trib_landing_free(b);
    }
    trib_landing_free(a);
}

static void a_newer_format_is_refused_by_name(void **state)
{
    struct lake *lake = *state;
    static const struct {
        const char *key, *text;
        int code;
        const char *says;
    } cases[] = {
        {"_epochs/0001.json", "{\"version\":2,\"epoch\":1}", TRIB_E_UNSUPPORTED, "format version 2"},
        {"_epochs/0001.json", "{\"version\":1,\"epoch\":1}", TRIB_E_DATA, "shards"},
        {"_epochs/0002.json", "{\"version\":1,\"epoch\":2,\"shards\":{}}", TRIB_E_DATA, "missing"},
        {"_epochs/0001.json", "nonsense", TRIB_E_DATA, "not the JSON"},
        {"_shards/x/y.json", "{\"version\":1,\"stream\":\"x\",\"shard\":\"y\"}", TRIB_E_DATA, "generation"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trib_err err = {0};
        char *key = trib_asprintf("raw/dynamodb/T/%s", cases[i].key);
        ok(trib_store_put(lake->store, key, trib_view_of(cases[i].text), false, &err), &err);
        struct trib_landing *l = trib_landing_new(lake->store, "T");
        assert_int_equal(trib_landing_refresh(l, &err), cases[i].code);
        assert_non_null(strstr(err.msg, cases[i].says));
        assert_non_null(strstr(err.msg, cases[i].key));
        trib_landing_free(l);
        ok(trib_store_remove(lake->store, key, &err), &err);
        free(key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_one_writes_another_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(time_decides_where_records_come_out_of_order, setup, teardown),
        cmocka_unit_test_setup_teardown(of_two_racers_one_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(epochs_of_records, setup, teardown),
        cmocka_unit_test_setup_teardown(a_shard_that_an_epoch_does_not_name_was_found_later, setup, teardown),
        cmocka_unit_test(names_of_objects),
        cmocka_unit_test_setup_teardown(positions_are_the_hint_and_what_came_after_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_format_is_refused_by_name, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
