/* Capture case by case: what is refused, gaps and their repair, lineage, racers, crashes at every call (spec: merge.md, Epochs). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/own.h"
#include "lake.h"
#include "live/life.h"

#define SECOND ((int64_t)1000000)
#define HOUR   (3600 * SECOND)
#define TABLE  "Orders"

static struct {
    struct trib_fakeaws *aws;
    char *folder, *scratch;
    struct trib_engine *engine;
    struct trib_config *config;
    struct trib_store *lake;
    struct life_setup setup;
    struct life *life;
} t;

/* A seed for each life: their random names differ. */
static struct life *start(long fuse)
{
    static uint64_t seed;
    return life_start(&t.setup, ++seed, fuse);
}

static void between(void *ctx, struct life *me, bool request)
{
    (void)ctx;
    (void)me;
    (void)request;
}

static void configure(const char *interval)
{
    struct trib_err err = {0};
    TRIB_CLEANUP(trib_cleanup_free)
    char *text = trib_asprintf("pipeline: live\n"
                               "lake: /lake\n"
                               "aws: {region: eu-west-1}\n"
                               "tables:\n"
                               "  - name: " TABLE "\n"
                               "    key: {partition: pk}\n"
                               "    source: {type: streams}\n"
                               "    landing: {buffer: {interval: %s}}\n"
                               "    silver: {domain: d, table: orders}\n",
                               interval);
    trib_config_free(t.config);
    ok(trib_config_parse(trib_view_of(text), "live.yaml", &t.config, NULL, &err), &err);
    t.setup.config = t.config;
}

static void make_table(const char *view)
{
    trib_fakeaws_create_table(
        t.aws, &(struct trib_fakeaws_table){.name = TABLE, .hash = "pk", .hash_type = 'S', .view = view, .shards = 1});
}

static void begin_world(const char *view)
{
    struct trib_err err = {0};
    t.aws = trib_fakeaws_new(&(struct trib_fakeaws_opts){.seed = 1});
    make_table(view);
    ok(trib_scratch_make(NULL, &t.folder, &err), &err);
    TRIB_CLEANUP(trib_cleanup_free) char *lake = trib_asprintf("%s/lake", t.folder);
    ok(trib_store_open_file(&trib_fs_real, lake, &t.lake, &err), &err);
    configure("5s");
    t.setup =
        (struct life_setup){.aws = t.aws, .config = t.config, .engine = t.engine, .root = t.folder, .between = between};
}

static void end_life(void)
{
    life_end(t.life);
    t.life = NULL;
}

static void end_world(void)
{
    end_life();
    trib_config_free(t.config);
    t.config = NULL;
    trib_store_free(t.lake);
    trib_fakeaws_free(t.aws);
    trib_scratch_remove(t.folder);
    free(t.folder);
}

static int setup(void **state)
{
    (void)state;
    struct trib_err err = {0};
    ok(trib_scratch_make(NULL, &t.scratch, &err), &err);
    const struct trib_engine_opts o = {.limit_bytes = 128 << 20, .threads = 1, .scratch = t.scratch};
    ok(trib_engine_open(&o, &t.engine, &err), &err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    trib_engine_close(t.engine);
    trib_scratch_remove(t.scratch);
    free(t.scratch);
    return 0;
}

/* ---- acts ---------------------------------------------------------------------------------------------------------- */

static void put(const char *key, int v)
{
    char text[100];
    (void)snprintf(text, sizeof text, "{\"pk\":{\"S\":\"%s\"},\"v\":{\"N\":\"%d\"}}", key, v);
    assert_true(trib_fakeaws_put(t.aws, TABLE, text) > 0);
}

static void del(const char *key)
{
    char text[100];
    (void)snprintf(text, sizeof text, "{\"pk\":{\"S\":\"%s\"}}", key);
    assert_true(trib_fakeaws_delete(t.aws, TABLE, text) > 0);
}

/* A command that succeeds and tells of no failure. [out] lines: trib_buf_free */
static struct life_answer does(struct life *l, enum life_command what)
{
    struct life_answer a;
    assert_true(life_do(l, what, 0, &a));
    assert_string_equal(a.told, "");
    return a;
}

static int64_t due_after(struct life *l, enum life_command what)
{
    struct life_answer a = does(l, what);
    trib_buf_free(&a.lines);
    return a.due_us;
}

static void wait_until(int64_t due)
{
    int64_t now = trib_fakeaws_now_us(t.aws);
    trib_fakeaws_advance(t.aws, due <= now ? 1000 : due - now);
}

/* A daemon for so long. */
static void follow(int64_t us)
{
    int64_t until = trib_fakeaws_now_us(t.aws) + us;
    if (t.life == NULL) {
        t.life = start(0);
    }
    while (trib_fakeaws_now_us(t.aws) < until) {
        wait_until(due_after(t.life, LIFE_FOLLOW));
    }
}

/* A run that drains, in a process of its own. */
static void drain(void)
{
    end_life();
    struct life *l = start(0);
    int64_t due;
    int steps = 0;
    while ((due = due_after(l, LIFE_ONCE)) != INT64_MAX) {
        assert_true(++steps < 5000);
        wait_until(due);
    }
    (void)due_after(l, LIFE_PASS);
    life_end(l);
}

/* ---- questions ------------------------------------------------------------------------------------------------------ */

static void visit(void *ctx, const char *key, const char *item)
{
    (void)key;
    trib_buf_addf(ctx, "%s\n", item);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Lines in order, in place of the buffer's. */
static char *sorted(struct trib_buf *b)
{
    char *lines[100], *save = NULL, *text = trib_buf_take(b);
    size_t n = 0;
    for (char *p = strtok_r(text, "\n", &save); p != NULL; p = strtok_r(NULL, "\n", &save)) {
        assert_true(n < 100);
        lines[n++] = p;
    }
    if (n > 0) {
        qsort(lines, n, sizeof *lines, by_text);
    }
    struct trib_buf to;
    trib_buf_init(&to, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        trib_buf_addf(&to, "%s\n", lines[i]);
    }
    free(text);
    return trib_buf_take(&to);
}

static void silver_is_the_source(void)
{
    struct trib_buf want;
    trib_buf_init(&want, 1 << 20);
    (void)trib_fakeaws_each(t.aws, TABLE, INT64_MAX, visit, &want);
    struct life *l = start(0);
    struct life_answer a = does(l, LIFE_LOOK);
    TRIB_CLEANUP(trib_cleanup_free) char *got = sorted(&a.lines);
    TRIB_CLEANUP(trib_cleanup_free) char *expected = sorted(&want);
    assert_string_equal(got, expected);
    life_end(l);
}

/* [out] trib_landing_free */
static struct trib_landing *landing(void)
{
    struct trib_err err = {0};
    struct trib_landing *l = trib_landing_new(t.lake, TABLE);
    ok(trib_landing_refresh(l, &err), &err);
    ok(trib_landing_load_positions(l, trib_landed_end, t.lake, &err), &err);
    return l;
}

static size_t epochs(void)
{
    struct trib_landing *l = landing();
    size_t n = l->n_epochs;
    trib_landing_free(l);
    return n;
}

static void newest_reason_has(const char *text)
{
    struct trib_landing *l = landing();
    if (strstr(l->epochs[l->n_epochs - 1].reason, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", l->epochs[l->n_epochs - 1].reason, text);
    }
    trib_landing_free(l);
}

static bool sealed(unsigned epoch)
{
    struct trib_landing *l = landing();
    bool is = trib_landing_snapshot_of(l, epoch) != NULL;
    trib_landing_free(l);
    return is;
}

static int64_t bronze_rows(void)
{
    struct trib_err err = {0};
    struct trib_conn *c;
    ok(trib_conn_open(t.engine, &c, &err), &err);
    struct trib_env env = {.lake = t.lake, .engine = t.engine, .fs = &trib_fs_real};
    struct trib_delta d = trib_env_delta(&env, c, trib_path_bronze(TABLE));
    struct trib_snapshot s;
    ok(trib_delta_load(&d, -1, &s, &err), &err);
    struct trib_buf sql;
    trib_buf_init(&sql, 1 << 20);
    trib_buf_adds(&sql, "SELECT count(*) FROM (");
    ok(trib_delta_select(&d, &s, s.adds, s.n_adds, false, &sql, &err), &err);
    trib_buf_adds(&sql, ")");
    struct trib_result *r;
    ok(trib_query(c, sql.p, &r, &err), &err);
    const struct trib_chunk *chunk;
    ok(trib_result_next(r, &chunk, &err), &err);
    int64_t n = ((const int64_t *)chunk->cols[0].data)[0];
    trib_result_free(r);
    trib_buf_free(&sql);
    trib_snapshot_free(&s);
    free(d.path);
    trib_conn_close(c);
    return n;
}

/* ---- what is refused ------------------------------------------------------------------------------------------------- */

static void is_refused(const char *says)
{
    struct life *l = start(0);
    struct life_answer a;
    assert_true(life_do(l, LIFE_ONCE, 0, &a));
    if (strstr(a.told, says) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", a.told, says);
    }
    trib_buf_free(&a.lines);
    life_end(l);
    assert_int_equal(epochs(), 0);
}

static void a_stream_of_keys_only_is_refused(void **state)
{
    (void)state;
    begin_world("KEYS_ONLY");
    put("a", 1);
    is_refused("its stream is KEYS_ONLY, whose records lack the new image");
    trib_fakeaws_stream_off(t.aws, TABLE);
    is_refused("its stream is off. Turn it on: aws dynamodb update-table --table-name Orders");
    trib_fakeaws_stream_on(t.aws, TABLE, "OLD_IMAGE");
    is_refused("its stream is OLD_IMAGE");
    trib_fakeaws_stream_off(t.aws, TABLE);
    trib_fakeaws_stream_on(t.aws, TABLE, "NEW_IMAGE"); /* as told: it goes on */
    put("a", 2);
    drain();
    silver_is_the_source();
    end_world();
}

static void a_table_without_a_stream_is_told_how(void **state)
{
    (void)state;
    begin_world(NULL);
    put("a", 1);
    is_refused("StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES");
    end_world();
}

/* ---- gaps ------------------------------------------------------------------------------------------------------------ */

static void an_outage_of_30_hours_is_found_and_repaired(void **state)
{
    (void)state;
    begin_world("NEW_AND_OLD_IMAGES");
    for (int i = 0; i < 5; i++) {
        put((const char *[]){"a", "b", "c", "d", "e"}[i], i + 1);
    }
    drain();
    silver_is_the_source();
    assert_int_equal(epochs(), 1);
    put("a", 10); /* these two records are trimmed unread */
    put("f", 11);
    trib_fakeaws_advance(t.aws, 29 * HOUR);
    put("b", 12); /* this one is not */
    trib_fakeaws_advance(t.aws, HOUR);
    drain();
    drain();
    assert_int_equal(epochs(), 2);
    newest_reason_has("gap: shard ");
    assert_true(sealed(2));
    silver_is_the_source();
    put("c", 13); /* and the stream goes on */
    drain();
    silver_is_the_source();
    assert_int_equal(epochs(), 2);
    end_world();
}

static void a_key_deleted_during_the_gap_goes(void **state)
{
    (void)state;
    begin_world("NEW_AND_OLD_IMAGES");
    put("stays", 1);
    put("goes", 2);
    put("comes back", 3);
    drain();
    del("goes");
    del("comes back");
    trib_fakeaws_advance(t.aws, 30 * HOUR);
    put("comes back", 4);
    drain();
    drain();
    silver_is_the_source();
    end_world();
}

static void a_table_that_was_emptied_during_the_gap_is_empty(void **state)
{
    (void)state;
    begin_world("NEW_AND_OLD_IMAGES");
    put("a", 1);
    put("b", 2);
    drain();
    silver_is_the_source();
    del("a");
    del("b");
    trib_fakeaws_advance(t.aws, 60 * HOUR);
    drain(); /* a snapshot without a row: Bronze's newest version holds none */
    drain();
    assert_true(sealed((unsigned)epochs()));
    silver_is_the_source();
    end_world();
}

static void a_change_between_opening_and_snapshot_wins_over_what_was_before(void **state)
{
    (void)state;
    begin_world("NEW_AND_OLD_IMAGES");
    put("a", 1);
    put("b", 1);
    follow(2 * SECOND); /* the epoch is open; the margin is five minutes */
    assert_int_equal(epochs(), 1);
    put("a", 2);
    del("b");
    follow(20 * SECOND); /* captured and landed … */
    struct trib_landing *l = landing();
    assert_true(l->n_shards == 1 && *l->shards[0].last != '\0');
    trib_landing_free(l);
    assert_false(sealed(1)); /* … and no snapshot yet */
    (void)due_after(t.life, LIFE_PASS);
    put("a", 3); /* after it was landed, before the snapshot */
    follow(15 * 60 * SECOND);
    assert_true(sealed(1));
    (void)due_after(t.life, LIFE_PASS);
    silver_is_the_source();
    put("a", 4);
    follow(20 * SECOND);
    (void)due_after(t.life, LIFE_PASS);
    silver_is_the_source();
    end_world();
}

static void a_second_gap_replaces_the_first_ones_snapshot(void **state)
{
    (void)state;
    begin_world("NEW_AND_OLD_IMAGES");
    put("a", 1);
    put("b", 1);
    drain();
    put("a", 2);
    trib_fakeaws_advance(t.aws, 30 * HOUR);
    put("b", 2);
    follow(20 * SECOND); /* the gap is seen; its snapshot waits for the margin */
    assert_int_equal(epochs(), 2);
    assert_false(sealed(2));
    end_life();
    del("b");
    put("c", 3);
    trib_fakeaws_advance(t.aws, 30 * HOUR);
    drain();
    drain();
    assert_int_equal(epochs(), 3);
    assert_false(sealed(2));
    assert_true(sealed(3));
    silver_is_the_source();
    end_world();
}

static void shards_of_unknown_ancestry_are_a_gap(void **state)
{
    (void)state;
    begin_world("NEW_AND_OLD_IMAGES");
    put("a", 1);
    drain();
    trib_fakeaws_advance(t.aws, 70 * HOUR); /* shards rotate every four hours: all that we knew are gone */
    put("a", 2);
    drain();
    drain();
    assert_true(epochs() > 1);
    struct trib_landing *l = landing();
    bool told = false;
    for (size_t i = 0; i < l->n_epochs; i++) {
        told |= strstr(l->epochs[i].reason, "its parent was never seen") != NULL;
    }
    assert_true(told);
    uint32_t top = 0;
    for (size_t i = 0; i < l->n_shards; i++) {
        top = l->shards[i].generation > top ? l->shards[i].generation : top;
    }
    assert_true(top > 1); /* above all that were there before */
    trib_landing_free(l);
    silver_is_the_source();
    end_world();
}

static void a_stream_off_and_on_and_a_table_made_again_open_epochs(void **state)
{
    (void)state;
    begin_world("NEW_AND_OLD_IMAGES");
    put("a", 1);
    put("b", 1);
    drain();
    trib_fakeaws_stream_off(t.aws, TABLE);
    del("a");
    trib_fakeaws_stream_on(t.aws, TABLE, "NEW_AND_OLD_IMAGES");
    drain();
    newest_reason_has("a new stream");
    silver_is_the_source();
    trib_fakeaws_delete_table(t.aws, TABLE);
    make_table("NEW_AND_OLD_IMAGES");
    put("c", 2);
    drain();
    newest_reason_has("made again");
    silver_is_the_source();
    end_world();
}

static void a_daemon_goes_on_with_the_stream_that_comes_after(void **state)
{
    (void)state;
    begin_world("NEW_AND_OLD_IMAGES");
    put("a", 1);
    put("b", 1);
    follow(20 * 60 * SECOND);
    assert_true(sealed(1));
    trib_fakeaws_stream_off(t.aws, TABLE);
    del("a"); /* nobody tells */
    trib_fakeaws_stream_on(t.aws, TABLE, "NEW_AND_OLD_IMAGES");
    put("c", 2);
    follow(20 * 60 * SECOND);
    newest_reason_has("a new stream");
    assert_true(sealed(2));
    for (int i = 0; i < 2; i++) {
        (void)due_after(t.life, LIFE_PASS);
    }
    silver_is_the_source();
    end_world();
}

/* One process has scanned for the first epoch and waits for the margin; another opens the second, and what was scanned is no snapshot of that. */
static void a_scan_is_of_one_epoch(void **state)
{
    (void)state;
    begin_world("NEW_AND_OLD_IMAGES");
    put("a", 1);
    put("b", 1);
    follow(7 * 60 * SECOND);
    assert_false(sealed(1));
    trib_fakeaws_stream_off(t.aws, TABLE);
    put("a", 2);
    put("late", 3);
    trib_fakeaws_stream_on(t.aws, TABLE, "NEW_AND_OLD_IMAGES");
    struct life *other = start(0);
    (void)due_after(other, LIFE_FOLLOW);
    life_end(other);
    assert_int_equal(epochs(), 2);
    follow(30 * 60 * SECOND);
    assert_true(sealed(2));
    for (int i = 0; i < 2; i++) {
        (void)due_after(t.life, LIFE_PASS);
    }
    silver_is_the_source();
    end_world();
}

/* ---- shards, crashes, racers ------------------------------------------------------------------------------------------ */

/* What may be said of the landing at any moment: an end means that all before it is landed, a child's record that its parent ended. */
static void holds_at_any_moment(const char *root_last, const char *child)
{
    struct trib_landing *l = landing();
    const struct trib_landing_shard *root = NULL, *leaf = NULL;
    for (size_t i = 0; i < l->n_shards; i++) {
        root = l->shards[i].parent == NULL ? &l->shards[i] : root;
        leaf = l->shards[i].parent != NULL ? &l->shards[i] : leaf;
    }
    if (root != NULL && root->ended) {
        assert_string_equal(root->last, root_last);
    }
    if (leaf != NULL && *leaf->last != '\0') {
        assert_true(root != NULL && root->ended);
        if (*child != '\0') {
            assert_string_equal(leaf->last, child);
        }
    }
    trib_landing_free(l);
}

/* Two shards, the second one the child of the first. */
static void two_generations(void)
{
    begin_world("NEW_AND_OLD_IMAGES");
    trib_fakeaws_chaos(t.aws, &(struct trib_fakeaws_chaos){.short_page = .5, .extra_page = .5, .empty_page = .3});
    put("a", 1);
    put("b", 2);
    put("a", 3);
    trib_fakeaws_split(t.aws, TABLE, 0, 1);
    put("a", 4);
    del("b");
}

static void a_crash_at_any_call_leaves_ends_behind_records_and_children_behind_parents(void **state)
{
    (void)state;
    two_generations();
    drain();
    struct trib_landing *l = landing();
    assert_int_equal(l->n_shards, 2);
    bool first_is_root = l->shards[0].parent == NULL;
    char root_last[TRIB_POSITION_DIGITS + 1], child_last[TRIB_POSITION_DIGITS + 1];
    memcpy(root_last, l->shards[first_is_root ? 0 : 1].last, sizeof root_last);
    memcpy(child_last, l->shards[first_is_root ? 1 : 0].last, sizeof child_last);
    trib_landing_free(l);
    end_world();
    bool died = true;
    int fuse = 1;
    for (; died && fuse < 200; fuse++) {
        two_generations();
        struct life *life = start(fuse);
        died = false;
        for (int steps = 0; !died && steps < 300; steps++) {
            struct life_answer a;
            died = !life_do(life, LIFE_ONCE, 0, &a);
            holds_at_any_moment(root_last, child_last);
            trib_buf_free(&a.lines);
            if (died || a.due_us == INT64_MAX) { /* a dead one has no due time */
                break;
            }
            wait_until(a.due_us);
        }
        life_end(life);
        holds_at_any_moment(root_last, child_last);
        drain();
        assert_int_equal(epochs(), 1);
        silver_is_the_source();
        end_world();
    }
    assert_in_range(fuse, 20, 199); /* and a last one that was not reached */
}

static void the_loser_of_a_landing_race_takes_the_winners_end(void **state)
{
    (void)state;
    begin_world("NEW_AND_OLD_IMAGES");
    configure("10m");
    struct life *a = start(0), *b = start(0);
    put("a", 1);
    put("b", 2);
    put("c", 3);
    for (int i = 0; i < 8; i++) { /* a has read three */
        wait_until(due_after(a, LIFE_FOLLOW));
    }
    put("d", 4);
    put("a", 5);
    for (int i = 0; i < 8; i++) { /* b has read five */
        wait_until(due_after(b, LIFE_FOLLOW));
    }
    (void)due_after(a, LIFE_FLUSH); /* a lands three under the name that b would use */
    struct trib_landing *l = landing();
    char three[TRIB_POSITION_DIGITS + 1];
    memcpy(three, l->shards[0].last, sizeof three);
    assert_true(*three != '\0');
    trib_landing_free(l);
    (void)due_after(b, LIFE_FLUSH);
    l = landing();
    assert_string_equal(l->shards[0].last, three); /* nothing landed that overlaps */
    trib_landing_free(l);
    for (int i = 0; i < 30; i++) {
        wait_until(due_after(b, LIFE_FOLLOW));
    }
    (void)due_after(b, LIFE_FLUSH); /* the other two, read again */
    (void)due_after(a, LIFE_FLUSH);
    l = landing();
    assert_true(strcmp(l->shards[0].last, three) > 0);
    trib_landing_free(l);
    life_end(a);
    life_end(b);
    drain();
    silver_is_the_source();
    assert_int_equal(bronze_rows(), 5 + 4); /* five changes, four items of the snapshot: nothing twice */
    end_world();
}

static void what_another_process_found_is_read_here_too(void **state)
{
    (void)state;
    begin_world("NEW_AND_OLD_IMAGES");
    put("a", 1);
    drain();
    struct life *a = start(0), *b = start(0);
    for (int i = 0; i < 4; i++) {
        (void)due_after(a, LIFE_FOLLOW);
        wait_until(due_after(b, LIFE_FOLLOW));
    }
    trib_fakeaws_split(t.aws, TABLE, 0, 2);
    put("b", 2);
    put("c", 3);
    trib_fakeaws_advance(t.aws, 40 * SECOND);
    struct trib_landing *l;
    for (int i = 0, n = 1; n < 3; i++) { /* a documents the children, and is no more */
        assert_true(i < 50);
        wait_until(due_after(a, LIFE_FOLLOW));
        l = landing();
        n = (int)l->n_shards;
        trib_landing_free(l);
    }
    life_end(a);
    put("d", 4);
    for (int i = 0; i < 100; i++) {
        wait_until(due_after(b, LIFE_FOLLOW));
    }
    (void)due_after(b, LIFE_FLUSH);
    (void)due_after(b, LIFE_PASS);
    life_end(b);
    silver_is_the_source();
    end_world();
}

static void an_iterator_that_expires_costs_nothing(void **state)
{
    (void)state;
    begin_world("NEW_AND_OLD_IMAGES");
    put("a", 1);
    follow(15 * 60 * SECOND);
    for (int i = 0; i < 3; i++) { /* a process that stood still: stopped, swapped out, asleep */
        put("a", 10 + i);
        trib_fakeaws_advance(t.aws, (14 + i) * 60 * SECOND);
        put("b", 20 + i);
        follow(20 * SECOND);
    }
    (void)due_after(t.life, LIFE_PASS);
    silver_is_the_source();
    assert_int_equal(epochs(), 1);
    end_world();
}

static void many_shards_that_end_at_once_stay_within_the_limits(void **state)
{
    (void)state;
    begin_world("NEW_AND_OLD_IMAGES");
    for (int i = 0; i < 8; i++) { /* 256 leaves, 255 above them */
        for (size_t n = trib_fakeaws_open_shards(t.aws, TABLE); n > 0; n--) {
            trib_fakeaws_split(t.aws, TABLE, 0, 2);
        }
        put("a", i);
    }
    drain(); /* DescribeStream more often than ten times a second would be a failure, and is told */
    silver_is_the_source();
    assert_int_equal(epochs(), 1);
    end_world();
}

/* ---- the scan --------------------------------------------------------------------------------------------------------- */

static const char *variable(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "AWS_ACCESS_KEY_ID") == 0       ? TRIB_FAKEAWS_KEY_ID
           : strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0 ? TRIB_FAKEAWS_SECRET
                                                        : NULL;
}

static void no_log(void *ctx, enum trib_log_level level, const char *event, const char *const *kv)
{
    (void)ctx;
    (void)level;
    (void)event;
    (void)kv;
}

static void a_scan_goes_on_after_a_crash_with_other_segments(void **state)
{
    (void)state;
    begin_world("NEW_AND_OLD_IMAGES");
    trib_fakeaws_chaos(t.aws, &(struct trib_fakeaws_chaos){.short_page = 1});
    for (int i = 0; i < 90; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        put(key, i + 1);
    }
    struct trib_clock clock = trib_fakeaws_clock(t.aws);
    struct trib_seeded seeded;
    trib_seeded_init(&seeded, 5);
    struct trib_rng rng = trib_seeded_rng(&seeded);
    struct trib_log log = {no_log, NULL, TRIB_LOG_ERROR};
    const struct trib_aws_host host = {.net = trib_fakeaws_net(t.aws),
                                       .fs = &trib_fs_real,
                                       .clock = &clock,
                                       .rng = &rng,
                                       .log = &log,
                                       .getenv = variable};
    const struct trib_env env = {.fs = &trib_fs_real, .lake = t.lake, .clock = &clock, .rng = &rng, .log = &log};
    struct trib_err err = {0};
    struct trib_aws *aws;
    ok(trib_aws_new(&host, &(struct trib_aws_opts){.region = "eu-west-1"}, &aws, &err), &err);
    struct trib_capture_opts o = {.pipeline = "live", .table = TABLE, .aws = aws, .segments = 3};
    struct trib_landing *l = trib_landing_new(t.lake, TABLE);
    ok(trib_landing_refresh(l, &err), &err);
    struct trib_scan *scan = trib_scan_new(&env, &o, l, 1);
    int64_t items, read = 0;
    bool done = false;
    while (read < 30) { /* some segments are further than others, none knows of the others */
        ok(trib_scan_step(scan, trib_fakeaws_now_us(t.aws), &items, &done, &err), &err);
        read += items;
    }
    assert_false(done);
    assert_in_range(read, 1, 89);
    trib_scan_free(scan);
    put("k1", 1000);
    o.segments = 7;
    scan = trib_scan_new(&env, &o, l, 1);
    for (int i = 0; !done; i++) {
        assert_true(i < 200);
        ok(trib_scan_step(scan, trib_fakeaws_now_us(t.aws), &items, &done, &err), &err);
    }
    int64_t from, to, sum = 0;
    const struct trib_landing_file *files;
    size_t n;
    trib_scan_result(scan, &from, &to, &files, &n);
    for (size_t i = 0; i < n; i++) {
        sum += files[i].items;
    }
    assert_int_equal(sum, 90); /* every item once: of three segments, not of seven */
    assert_true(from <= to);
    int64_t size, mtime;
    assert_int_equal(trib_store_head(t.lake, "landing/" TABLE "/_snapshots/0001/_progress/0003.json", &size, &mtime,
                                     &(struct trib_err){0}),
                     TRIB_E_NOT_FOUND);
    trib_scan_free(scan);
    trib_landing_free(l);
    trib_aws_free(aws);
    end_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_of_keys_only_is_refused),
        cmocka_unit_test(a_table_without_a_stream_is_told_how),
        cmocka_unit_test(an_outage_of_30_hours_is_found_and_repaired),
        cmocka_unit_test(a_key_deleted_during_the_gap_goes),
        cmocka_unit_test(a_change_between_opening_and_snapshot_wins_over_what_was_before),
        cmocka_unit_test(a_second_gap_replaces_the_first_ones_snapshot),
        cmocka_unit_test(shards_of_unknown_ancestry_are_a_gap),
        cmocka_unit_test(a_stream_off_and_on_and_a_table_made_again_open_epochs),
        cmocka_unit_test(a_table_that_was_emptied_during_the_gap_is_empty),
        cmocka_unit_test(a_daemon_goes_on_with_the_stream_that_comes_after),
        cmocka_unit_test(a_scan_is_of_one_epoch),
        cmocka_unit_test(a_crash_at_any_call_leaves_ends_behind_records_and_children_behind_parents),
        cmocka_unit_test(the_loser_of_a_landing_race_takes_the_winners_end),
        cmocka_unit_test(what_another_process_found_is_read_here_too),
        cmocka_unit_test(an_iterator_that_expires_costs_nothing),
        cmocka_unit_test(many_shards_that_end_at_once_stay_within_the_limits),
        cmocka_unit_test(a_scan_goes_on_after_a_crash_with_other_segments),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
