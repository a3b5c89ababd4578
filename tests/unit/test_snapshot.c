/*
 * The `snapshot` source through the pipeline: random worlds by seed (Silver equals the newest snapshot, Bronze holds real changes only), what is
 * refused, exports, a lost document, a second process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lake.h"
#include "pipeline/pipeline.h"

#define BRONZE "bronze/dynamodb/T"
#define SILVER "silver/default/t"
#define STAGES (TRIB_RUN_INGEST | TRIB_RUN_MERGE)

/* One run of a process of its own. more: keys of the source. */
static int run_stages(struct lake *l, const char *more, const char *silver, unsigned stages, struct trib_err *err)
{
    char *text = trib_asprintf(
        "pipeline: p\nlake: %s/lake\nstate: %s/state\ntables:\n  - name: T\n    key: {partition: pk, sort: sk}\n"
        "    source: {type: snapshot, path: %s/in%s}\n    silver: %s\n",
        l->folder, l->folder, l->folder, more, silver);
    struct trib_config *c;
    struct trib_pipeline *p;
    char *report = NULL;
    if (trib_config_parse(trib_view_of(text), "t.yaml", &c, &report, err) != 0) {
        fail_msg("%s", report);
    }
    ok(trib_pipeline_new(&l->env, NULL, c, NULL, 0, NULL, &p, err), err);
    int rc = trib_pipeline_drain(p, stages, err);
    trib_pipeline_free(p);
    trib_config_free(c);
    free(report);
    free(text);
    return rc;
}

static void runs(struct lake *l, const char *more)
{
    struct trib_err err = {0};
    ok(run_stages(l, more, "{}", STAGES, &err), &err);
}

static void refuses(struct lake *l, const char *more, const char *says)
{
    struct trib_err err = {0};
    int rc = run_stages(l, more, "{}", STAGES, &err);
    if (rc != TRIB_E_DATA || strstr(err.msg, says) == NULL) {
        fail_msg("expected DATA with \"%s\", got %s: %s", says, trib_code_name((enum trib_code)rc), err.msg);
    }
}

/* ---- random worlds ---- */

enum { KEYS = 24, ROUNDS = 9, WORLDS = 3 };

struct item {
    bool live, opt;
    unsigned n, tag;
};

static void write_item(struct trib_buf *to, unsigned key, const struct item *i, struct trib_seeded *r)
{
    /* spelled anew each time: what is equal by value is no change */
    bool wide = trib_seeded_below(r, 2) == 0, turned = trib_seeded_below(r, 2) == 0,
         bare = trib_seeded_below(r, 3) == 0;
    trib_buf_adds(to, bare ? "{" : "{\"Item\":{");
    trib_buf_addf(to, "\"n\": {\"N\":\"%u%s\"},\"pk\":{\"S\":\"k%u\"},", i->n, wide ? ".00" : "", key / 3);
    trib_buf_addf(to, turned ? "\"s\":{\"SS\":[\"b\",\"%u\"]}," : "\"s\":{\"SS\":[\"%u\",\"b\"]},", i->tag);
    trib_buf_addf(to, "%s\"sk\":{\"N\":\"%u\"},\"m\":{\"M\":{\"x\":{\"L\":[{\"NULL\":true},{\"N\":\"%u\"}]}}}",
                  i->opt ? "\"opt\":{\"S\":\"\\u00e9\"}," : "", key % 3, i->tag);
    trib_buf_adds(to, bare ? "}\n" : "}}\n");
}

/* The world as the query below tells it. */
static void tell(struct trib_buf *to, const struct item *w)
{
    trib_buf_clear(to);
    for (unsigned k = 0; k < KEYS; k++) {
        if (w[k].live) {
            trib_buf_addf(to, "%sk%u %u %u %u %s", to->n > 0 ? "\n" : "", k / 3, k % 3, w[k].n, w[k].tag,
                          w[k].opt ? "é" : "-");
        }
    }
    trib_buf_adds(to, to->n == 0 ? "(null)" : "");
}

/* Snapshots as files, gzipped files or folders of two files; later in time each. */
static void put_world(struct lake *l, const struct item *w, unsigned round, struct trib_seeded *r)
{
    struct trib_buf half[2];
    trib_buf_init(&half[0], 1 << 20);
    trib_buf_init(&half[1], 1 << 20);
    unsigned form = (unsigned)trib_seeded_below(r, 3);
    for (unsigned k = 0; k < KEYS; k++) {
        if (w[k].live) {
            write_item(&half[form == 2 ? k % 2 : 0], k, &w[k], r);
        }
    }
    for (int i = 0; i < (form == 2 ? 2 : 1); i++) {
        const char *text = half[i].n == 0 ? "" : half[i].p;
        char *key = form == 2 ? trib_asprintf("%03u/part-%d.json", round, i) : trib_asprintf("%03u.json", round);
        if (form == 1) {
            put_gzip(l, key, text);
        } else {
            put_text(l, key, text);
        }
        set_mtime(l, key, 1700000000 + 100 * (int64_t)round + i);
        free(key);
    }
    trib_buf_free(&half[0]);
    trib_buf_free(&half[1]);
}

/* Changes some; returns the number of keys that differ afterwards. */
static int64_t mutate(struct item *w, unsigned most, struct trib_seeded *r)
{
    struct item was[KEYS];
    memcpy(was, w, sizeof was);
    unsigned n = (unsigned)trib_seeded_below(r, most + 1);
    for (unsigned i = 0; i < n; i++) {
        struct item *x = &w[trib_seeded_below(r, KEYS)];
        if (x->live && trib_seeded_below(r, 4) == 0) {
            x->live = false;
        } else {
            *x = (struct item){true, trib_seeded_below(r, 2) == 0, (unsigned)trib_seeded_below(r, 3),
                               (unsigned)trib_seeded_below(r, 3)};
        }
    }
    int64_t changes = 0;
    for (unsigned k = 0; k < KEYS; k++) {
        bool same = w[k].live == was[k].live &&
                    (!w[k].live || (w[k].opt == was[k].opt && w[k].n == was[k].n && w[k].tag == was[k].tag));
        changes += !same;
    }
    return changes;
}

static int64_t rows_of(struct lake *l)
{
    char *n = version_of(l, BRONZE) < 0 ? trib_strdup("0") : ask(l, BRONZE, "SELECT count(*) FROM t");
    int64_t rows = strtoll(n, NULL, 10);
    free(n);
    return rows;
}

static void check_world(struct lake *l, const struct item *w, bool hard, unsigned seed, unsigned round)
{
    struct trib_buf expected;
    trib_buf_init(&expected, 1 << 20);
    tell(&expected, w);
    char *sql = trib_asprintf(
        "SELECT string_agg(concat_ws(' ', pk, CAST(sk AS INT), CAST(n AS INT), (SELECT min(e) FROM unnest(s) u(e) WHERE e <> 'b'), coalesce(opt, '-')), "
        "'\n' ORDER BY pk, sk) FROM (SELECT * FROM t %s) t",
        hard ? "" : "WHERE NOT _is_deleted");
    char *got = version_of(l, SILVER) < 0 ? trib_strdup("(null)") : ask(l, SILVER, sql);
    if (strcmp(got, expected.p) != 0) {
        fail_msg("seed %u, round %u: expected\n%s\ngot\n%s", seed, round, expected.p, got);
    }
    free(got);
    free(sql);
    trib_buf_free(&expected);
}

static void one_world(struct lake *l, unsigned seed)
{
    struct trib_seeded r;
    trib_seeded_init(&r, seed);
    bool hard = seed % 2 == 1;
    const char *silver = hard ? "{deletes: hard}" : "{history: scd2}";
    struct item w[KEYS] = {0}, next[KEYS];
    struct trib_err err = {0};
    for (unsigned k = 0; k < KEYS; k++) {
        w[k] = (struct item){true, true, k % 3, k % 3};
        memcpy(next, w, sizeof next);
    }
    int64_t bronze = 0, pending = KEYS, live = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (round > 0) {
            (void)mutate(next, round % 5 == 4 ? 40 : 4, &r);
        }
        pending = 0;
        int64_t gone = 0, now_live = 0;
        for (unsigned k = 0; k < KEYS; k++) {
            const struct item *a = &w[k], *b = &next[k];
            bool was = round > 0 && a->live;
            pending += was != b->live || (was && (a->opt != b->opt || a->n != b->n || a->tag != b->tag));
            gone += was && !b->live;
            now_live += b->live;
        }
        put_world(l, next, round, &r);
        if (trib_seeded_below(&r, 3) == 0) { /* a process that ingests only finds nothing to take */
            ok(run_stages(l, "", silver, TRIB_RUN_INGEST, &err), &err);
        }
        bool refused = gone * 100 > live * 20 || (gone > 0 && gone == live);
        int rc = run_stages(l, "", silver, STAGES, &err);
        assert_int_equal(rc, refused ? TRIB_E_DATA : 0);
        if (refused) {
            assert_int_equal(rows_of(l), bronze);
            check_world(l, w, hard, seed, round);
            if (trib_seeded_below(&r, 2) == 0) {
                continue; /* it stays so until a newer one comes */
            }
            ok(run_stages(l, ", max_removed: 100", silver, STAGES, &err), &err);
        }
        memcpy(w, next, sizeof w);
        bronze += pending;
        live = now_live;
        check_world(l, w, hard, seed, round);
        assert_int_equal(rows_of(l), bronze);
        ok(run_stages(l, "", silver, STAGES, &err), &err); /* once per snapshot */
        assert_int_equal(rows_of(l), bronze);
    }
}

static void worlds(void **state)
{
    (void)state;
    const char *more = getenv("TRIB_SNAPSHOT_WORLDS"); /* for long campaigns */
    unsigned long n = more == NULL ? WORLDS : strtoul(more, NULL, 10);
    for (unsigned seed = 1; seed <= n; seed++) {
        struct lake *l = lake_open();
        one_world(l, seed);
        lake_close(l);
    }
}

/* ---- what is refused ---- */

#define TEN(x)                                                                                                                                \
    "{\"pk\":{\"S\":\"0\"},\"sk\":{\"N\":\"1\"}}\n{\"pk\":{\"S\":\"1\"},\"sk\":{\"N\":\"1\"}}\n{\"pk\":{\"S\":\"2\"},\"sk\":{\"N\":\"1\"}}\n" \
    "{\"pk\":{\"S\":\"3\"},\"sk\":{\"N\":\"1\"}}\n{\"pk\":{\"S\":\"4\"},\"sk\":{\"N\":\"1\"}" x "}\n"

static void later(struct lake *l, const char *key, const char *text, int64_t time)
{
    put_text(l, key, text);
    set_mtime(l, key, 1700000000 + time);
}

static void refused(void **state)
{
    struct lake *l = *state;
    runs(l, ""); /* no snapshot: nothing to do */
    assert_int_equal(version_of(l, BRONZE), -1);
    later(l, "1.json", TEN(""), 1);
    runs(l, "");
    assert_int_equal(rows_of(l), 5);
    later(l, "2.json", "", 2);
    refuses(l, "", "the snapshot 2.json lacks 5 of the 5 items that are live");
    refuses(l, ", max_removed: 100", "source.accept: \"2.json\""); /* empty: by name only */
    later(l, "3.json", TEN("") "{\"pk\":{\"S\":\"5\"}}\n", 3);
    refuses(l, "", "sk");
    later(l, "4.json", TEN("") "{\"pk\":{\"S\":\"5\"\n", 4);
    refuses(l, "", "4.json, at byte");
    later(
        l, "5.json",
        TEN("") "{\"eventName\":\"REMOVE\",\"eventID\":\"1\",\"dynamodb\":{\"Keys\":{\"pk\":{\"S\":\"1\"},\"sk\":{\"N\":\"1\"}},\"SequenceNumber\":\"1\","
                "\"ApproximateCreationDateTime\":1}}\n",
        5);
    refuses(l, "", "a snapshot holds items only");
    later(l, "6.json", TEN("") TEN(",\"x\":{\"N\":\"1\"}"), 6);
    refuses(l, "", "the snapshot 6.json has 5 items whose key another one has");
    struct trib_buf gz;
    gzip_text(&gz, TEN(""), strlen(TEN("")));
    put_bytes(l, "7.json", gz.p, gz.n / 2);
    trib_buf_free(&gz);
    set_mtime(l, "7.json", 1700000007);
    refuses(l, "", "7.json, at byte");
    assert_int_equal(rows_of(l), 5);
    later(l, "8.json", TEN(",\"x\":{\"N\":\"1\"}"), 8);
    runs(l, "");
    assert_int_equal(rows_of(l), 6);
    later(l, "9.json", "", 9);
    runs(l, ", accept: 9.json");
    assert_int_equal(rows_of(l), 11);
    answers(l, SILVER, "SELECT count(*) FROM t WHERE NOT _is_deleted", "0");
    answers(l, BRONZE, "SELECT count(*) || ' ' || min(_origin) || ' ' || min(_sequence) FROM t WHERE op = 'REMOVE'",
            "5 snapshot 0001-00000000-0000000000000000000000001700000009000000");
}

/* An older snapshot that comes late is not taken; an export by its manifests is, at its own time. */
static void exports(void **state)
{
    struct lake *l = *state;
    const struct export_file files[] = {
        {.name = "a.json.gz",
         .text =
             "{\"Item\":{\"pk\":{\"S\":\"0\"},\"sk\":{\"N\":\"1\"}}}\n{\"Item\":{\"pk\":{\"S\":\"1\"},\"sk\":{\"N\":\"1\"}}}\n",
         .items = 2},
        {.name = "b.json.gz", .text = "", .items = 0}};
    put_export(l, "x/", "0171", "T", true, files, 2); /* 2026-01-01 */
    later(l, "old.json", TEN(""), 1);
    runs(l, "");
    answers(
        l, BRONZE, "SELECT string_agg(record.pk || ' ' || _sequence, ',' ORDER BY record.pk) FROM t",
        "0 0001-00000000-0000000000000000000000001767225600000000,1 0001-00000000-0000000000000000000000001767225600000000");
    later(l, "late.json", TEN(""), 2);
    runs(l, "");
    assert_int_equal(rows_of(l), 2);
    later(l, "new.json", TEN(""), 100000000);
    runs(l, "");
    assert_int_equal(rows_of(l), 5);
}

static void broken_export(void **state)
{
    struct lake *l = *state;
    const struct export_file files[] = {{.name = "a.json.gz",
                                         .text = "{\"Item\":{\"pk\":{\"S\":\"0\"},\"sk\":{\"N\":\"1\"}}}\n",
                                         .items = 1,
                                         .wrong_md5 = true}};
    put_export(l, "", "0171", "T", true, files, 1);
    refuses(l, "", "the checksum (MD5) is wrong");
    const struct export_file fewer[] = {
        {.name = "a.json.gz", .text = "{\"Item\":{\"pk\":{\"S\":\"0\"},\"sk\":{\"N\":\"1\"}}}\n", .items = 2}};
    put_export(l, "", "0171", "T", true, fewer, 1);
    refuses(l, "", "the manifest says 2 items, the file has 1");
    assert_int_equal(version_of(l, BRONZE), -1);
}

/* A document that a crash lost is written again, and nothing comes twice. */
static void lost_document(void **state)
{
    struct lake *l = *state;
    struct trib_err err = {0};
    later(l, "1.json", TEN(""), 1);
    runs(l, "");
    later(l, "2.json", TEN(",\"x\":{\"N\":\"1\"}"), 2);
    runs(l, "");
    assert_int_equal(rows_of(l), 6);
    ok(trib_store_remove(l->store, "raw/dynamodb/T/_diffs/00000002.json", &err), &err);
    runs(l, "");
    assert_int_equal(rows_of(l), 6);
    later(l, "3.json", TEN(""), 3);
    runs(l, "");
    assert_int_equal(rows_of(l), 7);
    ok(trib_store_put(l->store, "raw/dynamodb/T/_diffs/00000004.json", TRIB_VIEW_LIT("{\"version\":2}"), true, &err),
       &err);
    assert_int_equal(run_stages(l, "", "{}", STAGES, &err), TRIB_E_UNSUPPORTED);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(worlds), WITH_LAKE(refused), WITH_LAKE(exports),
                                       WITH_LAKE(broken_export), WITH_LAKE(lost_document)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
