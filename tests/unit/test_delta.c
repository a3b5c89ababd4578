/* delta: the log on file://, from schema text to commits, conflicts, features and time travel. Checkpoints: test_checkpoint.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "delta/internal.h"
#include "table.h"

static const char SCHEMA[] = "{\"type\":\"struct\",\"fields\":["
                             "{\"name\":\"id\",\"type\":\"long\",\"nullable\":false,\"metadata\":{}},"
                             "{\"name\":\"p\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}}]}";

static struct trib_type simple_schema(void)
{
    struct trib_type t;
    struct trib_err err;
    assert_int_equal(trib_delta_schema_parse(trib_view_of(SCHEMA), &t, &err), 0);
    return t;
}

static const struct trib_protocol protocol_12 = {.reader = 1, .writer = 2};

static void create(const struct trib_delta *t, const struct trib_kv *properties, size_t n)
{
    struct trib_err err;
    struct trib_type schema = simple_schema();
    struct trib_snapshot s = {.version = -1};
    const char *columns[] = {"p"};
    struct trib_commit c = {.read_version = -1,
                            .operation = "CREATE TABLE",
                            .new_metadata = true,
                            .schema = &schema,
                            .protocol = &protocol_12,
                            .partition_columns = columns,
                            .n_partition_columns = 1,
                            .properties = properties,
                            .n_properties = n};
    assert_int_equal(trib_delta_commit(t, &s, &c, &err), 0);
    trib_type_free(&schema);
}

static struct trib_snapshot load(const struct trib_delta *t, int64_t version)
{
    struct trib_snapshot s;
    struct trib_err err = {0};
    int rc = trib_delta_load(t, version, &s, &err);
    if (rc != 0) {
        print_message("%s\n", err.msg);
    }
    assert_int_equal(rc, 0);
    return s;
}

static struct trib_add file(const char *path)
{
    return (struct trib_add){
        .path = (char *)(uintptr_t)path, .size = 10, .mtime_ms = 5, .data_change = true, .rows = -1, .version = -1};
}

static int append(const struct trib_delta *t, const struct trib_snapshot *s, const struct trib_add *adds, size_t n,
                  struct trib_err *err)
{
    struct trib_commit c = {
        .read_version = s->version, .operation = "WRITE", .blind_append = true, .adds = adds, .n_adds = n};
    return trib_delta_commit(t, s, &c, err);
}

static void append_one(const struct trib_delta *t, const char *path)
{
    struct trib_err err = {0};
    struct trib_snapshot s = load(t, -1);
    struct trib_add a = file(path);
    assert_int_equal(append(t, &s, &a, 1, &err), 0);
    trib_snapshot_free(&s);
}

static void put_text(const char *key, const char *text)
{
    struct trib_err err;
    assert_int_equal(trib_store_put(store, key, trib_view_of(text), false, &err), 0);
}

static char *get_text(const char *key)
{
    struct trib_err err;
    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    assert_int_equal(trib_store_get(store, key, 0, -1, &b, &err), 0);
    return trib_buf_take(&b);
}

static void expect_error(const struct trib_delta *t, int64_t version, enum trib_code code, const char *says)
{
    struct trib_snapshot s = {.version = 77};
    struct trib_err err = {0};
    assert_int_equal(trib_delta_load(t, version, &s, &err), code);
    if (strstr(err.msg, says) == NULL) {
        print_message("expected \"%s\" in: %s\n", says, err.msg);
        fail();
    }
    assert_int_equal(s.version, 77); /* untouched */
}

/* --- schema text ------------------------------------------------------------------------------------------------- */

static void round_trip(const char *json)
{
    struct trib_type t, copy;
    struct trib_err err = {0};
    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    int rc = trib_delta_schema_parse(trib_view_of(json), &t, &err);
    if (rc != 0) {
        print_message("%s\n", err.msg);
    }
    assert_int_equal(rc, 0);
    trib_type_copy(&copy, &t);
    trib_delta_schema_json(&copy, &b);
    assert_string_equal(b.p, json);
    trib_buf_free(&b);
    trib_type_free(&t);
    trib_type_free(&copy);
}

static void test_schema_round_trip(void **state)
{
    (void)state;
    round_trip("{\"type\":\"struct\",\"fields\":[]}");
    round_trip(SCHEMA);
    static const char *const types[] = {"string",    "long",          "integer",        "short",       "byte",
                                        "float",     "double",        "boolean",        "binary",      "date",
                                        "timestamp", "timestamp_ntz", "decimal(38,18)", "decimal(1,1)"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char *json = trib_asprintf(
            "{\"type\":\"struct\",\"fields\":[{\"name\":\"x\",\"type\":\"%s\",\"nullable\":true,\"metadata\":{}}]}",
            types[i]);
        round_trip(json);
        free(json);
    }
    round_trip(
        "{\"type\":\"struct\",\"fields\":[{\"name\":\"m\",\"type\":{\"type\":\"map\",\"keyType\":\"string\",\"valueType\":{\"type\":\"array\","
        "\"elementType\":{\"type\":\"struct\",\"fields\":[{\"name\":\"deep\",\"type\":\"date\",\"nullable\":false,\"metadata\":{\"k\":\"v\"}}]},"
        "\"containsNull\":false},\"valueContainsNull\":true},\"nullable\":true,\"metadata\":{}}]}");
    /* Metadata of others: every number and object byte for byte. */
    round_trip(
        "{\"type\":\"struct\",\"fields\":[{\"name\":\"a \\\"b\\\"\\\\\\n\\u0001\xC3\xA4\xF0\x9F\x98\x80\",\"type\":\"string\",\"nullable\":true,\"metadata\":{"
        "\"delta.columnMapping.id\":1,\"big\":1234567890123456789012345678901234567890,\"e\":1.50E+400,\"o\":{\"x\": [1, 2.0,{}]},"
        "\"t\":true,\"n\":null,\"s\":\"\"}}]}");
}

static void expect_bad_schema(const char *json, enum trib_code code, const char *says)
{
    struct trib_type t = {.id = TRIB_T_DATE};
    struct trib_err err = {0};
    assert_int_equal(trib_delta_schema_parse(trib_view_of(json), &t, &err), code);
    if (strstr(err.msg, says) == NULL) {
        print_message("expected \"%s\" in: %s\n", says, err.msg);
        fail();
    }
    assert_int_equal(t.id, TRIB_T_DATE);
}

static void test_schema_bad(void **state)
{
    (void)state;
    expect_bad_schema("", TRIB_E_DATA, "byte 0");
    expect_bad_schema("{\"type\":\"struct\",\"fields\":[", TRIB_E_DATA, "expected");
    expect_bad_schema("{\"type\":\"struct\",\"fields\":[]} x", TRIB_E_DATA, "after the end");
    expect_bad_schema("\"long\"", TRIB_E_DATA, "must be a struct");
    expect_bad_schema("{\"type\":\"struct\"}", TRIB_E_DATA, "without its parts");
    expect_bad_schema(
        "{\"type\":\"struct\",\"fields\":[{\"name\":\"v\",\"type\":\"variant\",\"nullable\":true,\"metadata\":{}}]}",
        TRIB_E_UNSUPPORTED, "column v: the type 'variant'");
    expect_bad_schema("{\"type\":\"struct\",\"fields\":[{\"name\":\"v\",\"type\":\"decimal(39,0)\"}]}",
                      TRIB_E_UNSUPPORTED, "decimal(39,0)");
    expect_bad_schema("{\"type\":\"struct\",\"fields\":[{\"name\":\"v\",\"type\":\"decimal(10,2)x\"}]}",
                      TRIB_E_UNSUPPORTED, "decimal(10,2)x");
    expect_bad_schema("{\"type\":\"struct\",\"fields\":[{\"name\":\"v\"}]}", TRIB_E_DATA, "without type");
    expect_bad_schema("{\"type\":\"struct\",\"fields\":[{\"type\":\"long\"}]}", TRIB_E_DATA, "without name");
    expect_bad_schema("{\"type\":\"udt\",\"class\":\"x\"}", TRIB_E_UNSUPPORTED, "'udt'");
    expect_bad_schema("{\"type\":\"struct\",\"fields\":[{\"name\":\"\\ud800\",\"type\":\"long\"}]}", TRIB_E_DATA,
                      "surrogate");
    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    for (int i = 0; i < 5000; i++) {
        trib_buf_adds(&b, "{\"type\":\"array\",\"containsNull\":true,\"elementType\":");
    }
    expect_bad_schema(b.p, TRIB_E_DATA, "too deep");
    trib_buf_free(&b);
    /* Every prefix of a good one is refused, none crashes. */
    for (size_t n = 0; n + 1 < sizeof SCHEMA; n++) {
        struct trib_type t;
        struct trib_err err;
        char *cut = trib_strndup(SCHEMA, n);
        assert_int_not_equal(trib_delta_schema_parse(trib_view_of(cut), &t, &err), 0);
        free(cut);
    }
}

/* --- commits and snapshots --------------------------------------------------------------------------------------- */

static void test_no_table(void **state)
{
    (void)state;
    struct trib_delta t = table("none");
    struct trib_snapshot s = load(&t, -1);
    assert_int_equal(s.version, -1);
    trib_snapshot_free(&s);
    expect_error(&t, 0, TRIB_E_NOT_FOUND, "no Delta table");
}

static void test_life(void **state)
{
    (void)state;
    struct trib_delta t = table("life/t");
    struct trib_kv properties[] = {{"delta.appendOnly", "false"}, {"tributary.x", "{\"a\":\"\xC3\xA4\\n\"}"}};
    create(&t, properties, 2);
    struct trib_snapshot s = load(&t, -1), old;
    assert_int_equal(s.version, 0);
    assert_int_equal(s.timestamp_ms, now_us / 1000);
    assert_string_equal(trib_snapshot_property(&s, "tributary.x"), properties[1].value);
    assert_string_equal(trib_snapshot_property(&s, "DELTA.APPENDONLY"), "false");
    assert_null(trib_snapshot_property(&s, "TRIBUTARY.X"));
    assert_string_equal(s.partition_columns[0], "p");
    assert_int_equal(strlen(s.table_id), 36);
    assert_false(s.schema.fields[0].nullable);

    struct trib_kv p1 = {"p", "a"}, p2 = {"p", NULL};
    struct trib_add adds[2] = {file("b.parquet"), file("a b%/\xC3\xA4#.parquet")};
    adds[0].partition = &p1;
    adds[1].partition = &p2;
    adds[0].n_partition = adds[1].n_partition = 1;
    adds[0].stats = (char[]){"{\"numRecords\":3,\"minValues\":{\"id\":123456789012345678901234567890.10}}"};
    struct trib_txn txn = {.app_id = (char[]){"app \"1\""}, .version = 41};
    struct trib_kv metric = {"rows", "3"};
    now_us += 1000000;
    struct trib_commit c = {.read_version = 0,
                            .operation = "WRITE",
                            .blind_append = true,
                            .adds = adds,
                            .n_adds = 2,
                            .txn = &txn,
                            .n_txn = 1,
                            .metrics = &metric,
                            .n_metrics = 1};
    struct trib_err err;
    assert_int_equal(trib_delta_commit(&t, &s, &c, &err), 0);
    old = load(&t, 0);
    assert_int_equal(old.n_adds, 0);
    assert_int_equal(trib_delta_refresh(&t, &s, &err), 0);
    assert_int_equal(s.version, 1);
    assert_int_equal(s.n_adds, 2);
    assert_string_equal(s.adds[0].path, "a b%/\xC3\xA4#.parquet"); /* sorted, decoded once */
    assert_null(s.adds[0].partition[0].value);
    assert_string_equal(s.adds[1].partition[0].value, "a");
    assert_string_equal(s.adds[1].stats, adds[0].stats);
    assert_int_equal(s.adds[1].rows, 3);
    assert_int_equal(s.adds[0].rows, -1);
    assert_int_equal(s.adds[1].version, 1);
    assert_int_equal(trib_snapshot_txn(&s, "app \"1\""), 41);
    assert_int_equal(s.txns[0].last_updated_ms, now_us / 1000);
    assert_int_equal(trib_snapshot_txn(&s, "other"), -1);
    char *text = get_text("life/t/_delta_log/00000000000000000001.json");
    assert_non_null(strstr(text, "\"path\":\"a%20b%25/%C3%A4%23.parquet\",\"partitionValues\":{\"p\":null}"));
    assert_ptr_equal(strstr(text, "{\"commitInfo\":"), text); /* first */
    free(text);

    struct trib_commit remove = {
        .read_version = 1, .operation = "DELETE", .removes = s.adds, .n_removes = 1, .data_change = true};
    assert_int_equal(trib_delta_commit(&t, &s, &remove, &err), 0);
    struct trib_snapshot fresh = load(&t, -1);
    assert_int_equal(trib_delta_refresh(&t, &s, &err), 0);
    for (int i = 0; i < 2; i++) { /* refreshed and loaded anew: the same */
        const struct trib_snapshot *x = i == 0 ? &s : &fresh;
        assert_int_equal(x->version, 2);
        assert_int_equal(x->n_adds, 1);
        assert_string_equal(x->adds[0].path, "b.parquet");
        assert_int_equal(x->n_removes, 1);
        assert_int_equal(x->removes[0].deleted_ms, now_us / 1000);
        assert_int_equal(trib_snapshot_txn(x, "app \"1\""), 41);
    }
    assert_int_equal(fresh.log_bytes_since_checkpoint, s.log_bytes_since_checkpoint);
    expect_error(&t, 3, TRIB_E_NOT_FOUND, "the newest is 2");
    trib_snapshot_free(&s);
    trib_snapshot_free(&old);
    trib_snapshot_free(&fresh);
}

static void test_metadata_change(void **state)
{
    (void)state;
    struct trib_delta t = table("meta");
    create(&t, NULL, 0);
    struct trib_snapshot s = load(&t, -1), after;
    char *id = trib_strdup(s.table_id);
    int64_t created = s.created_ms;
    struct trib_kv property = {"k", "v"};
    now_us += 5000000;
    (void)trib_type_add(&s.schema, "new", trib_type_decimal(38, 18));
    trib_field_set_meta(&s.schema.fields[2], "dynamodb.type", "N");
    const char *columns[] = {"p"};
    struct trib_commit c = {.read_version = 0,
                            .operation = "WRITE",
                            .new_metadata = true,
                            .schema = &s.schema,
                            .properties = &property,
                            .n_properties = 1,
                            .partition_columns = columns,
                            .n_partition_columns = 1};
    struct trib_err err;
    assert_int_equal(trib_delta_commit(&t, &s, &c, &err), 0);
    after = load(&t, -1);
    assert_string_equal(after.table_id, id);
    assert_int_equal(after.created_ms, created);
    assert_true(trib_type_same(&after.schema, &s.schema));
    assert_string_equal(trib_field_meta(&after.schema.fields[2], "dynamodb.type"), "N");
    assert_string_equal(trib_snapshot_property(&after, "k"), "v");
    trib_snapshot_free(&after);
    trib_snapshot_free(&s);
    free(id);
}

static void test_conflict(void **state)
{
    (void)state;
    struct trib_delta t = table("conflict");
    create(&t, NULL, 0);
    struct trib_snapshot one = load(&t, -1), two = load(&t, -1);
    struct trib_err err;
    struct trib_add a = file("1"), b = file("2");
    assert_int_equal(append(&t, &one, &a, 1, &err), 0);
    assert_int_equal(append(&t, &two, &b, 1, &err), TRIB_E_CONFLICT);
    assert_true(err.retriable);
    assert_non_null(strstr(err.msg, "version 1"));
    assert_int_equal(trib_delta_refresh(&t, &two, &err), 0);
    assert_int_equal(append(&t, &two, &b, 1, &err), 0);
    trib_snapshot_free(&one);
    one = load(&t, -1);
    assert_int_equal(one.n_adds, 2);
    trib_snapshot_free(&one);
    trib_snapshot_free(&two);
    /* A table made twice at once: one of the two. */
    struct trib_type schema = simple_schema();
    struct trib_snapshot none = {.version = -1};
    struct trib_commit c = {.read_version = -1,
                            .operation = "CREATE TABLE",
                            .new_metadata = true,
                            .schema = &schema,
                            .protocol = &protocol_12};
    assert_int_equal(trib_delta_commit(&t, &none, &c, &err), TRIB_E_CONFLICT);
    trib_type_free(&schema);
    /* The log vanished under us: nothing is written into the void. */
    struct trib_snapshot s = load(&t, -1);
    char *key = trib_delta_commit_key(&t, s.version);
    assert_int_equal(trib_store_remove(store, key, &err), 0);
    assert_int_equal(append(&t, &s, &a, 1, &err), TRIB_E_CONFLICT);
    assert_non_null(strstr(err.msg, "is gone"));
    free(key);
    trib_snapshot_free(&s);
}

static void test_made_anew(void **state)
{
    (void)state;
    struct trib_delta t = table("anew");
    struct trib_err err;
    create(&t, NULL, 0);
    append_one(&t, "a");
    struct trib_snapshot s = load(&t, -1);
    for (int v = 0; v < 2; v++) {
        char *key = trib_delta_commit_key(&t, v);
        assert_int_equal(trib_store_remove(store, key, &err), 0);
        free(key);
    }
    create(&t, NULL, 0);
    append_one(&t, "b");
    append_one(&t, "c");
    char *old_id = trib_strdup(s.table_id);
    assert_int_equal(trib_delta_refresh(&t, &s, &err), 0); /* not the old files plus the new ones */
    assert_string_not_equal(s.table_id, old_id);
    assert_int_equal(s.n_adds, 2);
    assert_string_equal(s.adds[0].path, "b");
    free(old_id);
    trib_snapshot_free(&s);
}

static void race(int me)
{
    struct trib_delta t = table("race");
    struct trib_err err = {0};
    t.rng = &trib_rng_real;
    for (int i = 0; i < 10; i++) {
        char path[32], app[32];
        (void)snprintf(path, sizeof path, "%d-%d", me, i);
        (void)snprintf(app, sizeof app, "app%d", me);
        struct trib_add a = file(path);
        struct trib_txn txn = {.app_id = app, .version = i};
        struct trib_snapshot s;
        if (trib_delta_load(&t, -1, &s, &err) != 0) {
            _exit(1);
        }
        int rc;
        do {
            if (trib_delta_refresh(&t, &s, &err) != 0) {
                _exit(2);
            }
            struct trib_commit c = {
                .read_version = s.version, .operation = "WRITE", .adds = &a, .n_adds = 1, .txn = &txn, .n_txn = 1};
            rc = trib_delta_commit(&t, &s, &c, &err);
        } while (rc == TRIB_E_CONFLICT);
        trib_snapshot_free(&s);
        if (rc != 0) {
            (void)fprintf(stderr, "%s: %s\n", trib_code_name(err.code), err.msg);
            _exit(3);
        }
    }
    _exit(0);
}

static void test_race(void **state)
{
    (void)state;
    enum { RACERS = 4 };
    struct trib_delta t = table("race");
    pid_t pids[RACERS];
    create(&t, NULL, 0);
    for (int i = 0; i < RACERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            race(i);
        }
    }
    for (int i = 0; i < RACERS; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    struct trib_snapshot s = load(&t, -1);
    assert_int_equal(s.version, RACERS * 10);
    assert_int_equal(s.n_adds, RACERS * 10);
    for (int i = 0; i < RACERS; i++) {
        char app[32];
        (void)snprintf(app, sizeof app, "app%d", i);
        assert_int_equal(trib_snapshot_txn(&s, app), 9);
    }
    trib_snapshot_free(&s);
}

/* --- a put whose outcome is unknown ------------------------------------------------------------------------------- */

enum fault { WROTE_BUT_FAILED, FAILED_ONCE, OTHER_WAS_FIRST, WROTE_BUT_EXISTS, ALWAYS_FAILS };
struct faulty {
    struct trib_store base;
    enum fault fault;
    int puts;
};

static int faulty_put(struct trib_store *base, const char *key, struct trib_view data, bool if_absent,
                      struct trib_err *err)
{
    struct faulty *f = (struct faulty *)base;
    struct trib_err ignored;
    int rc = 0;
    if (f->puts++ > 0 && f->fault != ALWAYS_FAILS) {
        return trib_store_put(store, key, data, if_absent, err);
    }
    if (f->fault == WROTE_BUT_FAILED || f->fault == WROTE_BUT_EXISTS) {
        rc = trib_store_put(store, key, data, if_absent, &ignored);
    } else if (f->fault == OTHER_WAS_FIRST) {
        rc = trib_store_put(store, key, TRIB_VIEW_LIT("{\"commitInfo\":{\"txnId\":\"other\"}}\n"), true, &ignored);
    }
    assert_int_equal(rc, 0);
    if (f->fault == WROTE_BUT_EXISTS) {
        return trib_err_set(err, TRIB_E_EXISTS, "412");
    }
    rc = trib_err_set(err, TRIB_E_UNAVAILABLE, "connection reset");
    err->ambiguous = true;
    return rc;
}

static int faulty_head(struct trib_store *s, const char *key, int64_t *size, int64_t *mtime, struct trib_err *err)
{
    (void)s;
    return trib_store_head(store, key, size, mtime, err);
}

static int faulty_get(struct trib_store *s, const char *key, int64_t offset, int64_t n, struct trib_buf *to,
                      struct trib_err *err)
{
    (void)s;
    return trib_store_get(store, key, offset, n, to, err);
}

static void test_ambiguous(void **state)
{
    (void)state;
    static const struct trib_store_ops ops = {.put = faulty_put, .head = faulty_head, .get = faulty_get};
    static const struct {
        enum fault fault;
        int rc;
        bool committed;
    } cases[] = {{WROTE_BUT_FAILED, 0, true},
                 {FAILED_ONCE, 0, true},
                 {OTHER_WAS_FIRST, TRIB_E_CONFLICT, false},
                 {WROTE_BUT_EXISTS, 0, true},
                 {ALWAYS_FAILS, TRIB_E_UNAVAILABLE, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "ambiguous%zu", i);
        struct trib_delta t = table(path);
        create(&t, NULL, 0);
        struct trib_snapshot s = load(&t, -1), after;
        struct faulty f = {.base = {.ops = &ops, .url = (char[]){"faulty://"}}, .fault = cases[i].fault};
        struct trib_add a = file("x");
        struct trib_err err = {0};
        t.store = &f.base;
        assert_int_equal(append(&t, &s, &a, 1, &err), cases[i].rc);
        assert_true(cases[i].rc != TRIB_E_UNAVAILABLE || (err.ambiguous && f.puts == 3));
        t.store = store;
        after = load(&t, -1);
        assert_int_equal(after.n_adds, cases[i].committed);
        trib_snapshot_free(&s);
        trib_snapshot_free(&after);
    }
}

/* --- damage ------------------------------------------------------------------------------------------------------ */

static void test_damage(void **state)
{
    (void)state;
    struct trib_delta t = table("damage");
    struct trib_err err;
    create(&t, NULL, 0);
    append_one(&t, "a");
    put_text("damage/_delta_log/00000000000000000002.json", "");
    expect_error(&t, -1, TRIB_E_DATA, "00000000000000000002.json is empty");
    put_text("damage/_delta_log/00000000000000000002.json", "{\"commitInfo\":{}}\n{\"add\":{\"path\":\"b\",\"si");
    expect_error(&t, -1, TRIB_E_DATA, "00000000000000000002.json, line 2 (the last, torn?)");
    put_text("damage/_delta_log/00000000000000000002.json", "{\"add\":{\"path\":\"b\"}}\n");
    expect_error(&t, -1, TRIB_E_DATA, "00000000000000000002.json, line 1: add: member \"size\": missing");
    put_text("damage/_delta_log/00000000000000000002.json", "[]\n");
    expect_error(&t, -1, TRIB_E_DATA, "00000000000000000002.json, line 1");
    struct trib_snapshot s = load(&t, 1); /* what was before stays readable */
    assert_int_equal(s.n_adds, 1);
    int64_t version = s.version;
    assert_int_equal(trib_delta_refresh(&t, &s, &err), TRIB_E_DATA);
    assert_int_equal(s.version, version); /* and the snapshot is as it was */
    assert_int_equal(s.n_adds, 1);
    /* A gap. */
    put_text("damage/_delta_log/00000000000000000003.json", "{\"commitInfo\":{}}");
    assert_int_equal(trib_store_remove(store, "damage/_delta_log/00000000000000000002.json", &err), 0);
    expect_error(&t, -1, TRIB_E_DATA, "00000000000000000002.json is missing");
    assert_int_equal(trib_delta_refresh(&t, &s, &err), TRIB_E_DATA);
    trib_snapshot_free(&s);
    /* No line feed at the end, blank lines, members and actions that we do not know: fine. */
    put_text(
        "damage/_delta_log/00000000000000000002.json",
        "{\"future\":{\"x\":1}}\r\n\n{\"add\":{\"path\":\"b\",\"size\":1,\"new\":[],\"partitionValues\":{},\"modificationTime\":1,\"dataChange\":true}}");
    s = load(&t, -1);
    assert_int_equal(s.n_adds, 2);
    trib_snapshot_free(&s);
    put_text("half/_delta_log/00000000000000000000.json",
             "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}");
    struct trib_delta half = table("half");
    expect_error(&half, -1, TRIB_E_DATA, "no metaData action");
    /* Leftovers of crashes, log compactions, checksums and strangers are passed over. */
    put_text("damage/_delta_log/.00000000000000000004.json.12ab.tmp", "{");
    put_text("damage/_delta_log/.00000000000000000002.json.crc", "x");
    put_text("damage/_delta_log/00000000000000000002.crc", "x");
    put_text("damage/_delta_log/00000000000000000000.00000000000000000002.compacted.json", "{");
    put_text("damage/_delta_log/99999999999999999999.json", "{");
    put_text("damage/_delta_log/readme.txt", "{");
    put_text("damage/_delta_log/_commits/00000000000000000004.x.json", "{");
    put_text("damage/_delta_log/_last_checkpoint", "{\"version\":9}");
    s = load(&t, -1);
    assert_int_equal(s.version, 3);
    assert_int_equal(s.n_adds, 2);
    trib_snapshot_free(&s);
}

/* --- features ---------------------------------------------------------------------------------------------------- */

static void put_table(const char *name, const char *protocol, const char *metadata)
{
    char *key = trib_asprintf("%s/_delta_log/00000000000000000000.json", name);
    char *text =
        trib_asprintf("{\"protocol\":{%s}}\n{\"metaData\":{\"id\":\"x\",\"format\":{},\"partitionColumns\":[],%s}}\n",
                      protocol, metadata);
    put_text(key, text);
    free(key);
    free(text);
}
#define PLAIN \
    "\"schemaString\":\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[{\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"long\\\",\\\"nullable\\\":true,\\\"metadata\\\":{}}]}\",\"configuration\":{}"
#define WITH_META(meta)                                                                                                                                               \
    "\"schemaString\":\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[{\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"long\\\",\\\"nullable\\\":true,\\\"metadata\\\":{" meta \
    "}}]}\",\"configuration\":{}"
#define WITH_PROPERTY(p)                                                                                                                                                                     \
    "\"schemaString\":\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[{\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"long\\\",\\\"nullable\\\":true,\\\"metadata\\\":{}}]}\",\"configuration\":{" p \
    "}"

static void test_reader_features(void **state)
{
    (void)state;
    struct trib_delta t = table("rf");
    put_table("rf", "\"minReaderVersion\":4,\"minWriterVersion\":7", PLAIN);
    expect_error(&t, -1, TRIB_E_UNSUPPORTED, "reader version 4");
    put_table(
        "rf",
        "\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"deletionVectors\",\"catalogManaged\"],\"writerFeatures\":[]",
        PLAIN);
    expect_error(&t, -1, TRIB_E_UNSUPPORTED, "reader feature 'catalogManaged'");
    put_table("rf", "\"minReaderVersion\":0,\"minWriterVersion\":7", PLAIN);
    expect_error(&t, -1, TRIB_E_DATA, "protocol");
    put_table(
        "rf",
        "\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"timestampNtz\",\"v2Checkpoint\"],\"writerFeatures\":[\"rowTracking\",\"whatever\"]",
        PLAIN);
    struct trib_snapshot s = load(&t, -1); /* a writer feature does not keep us from reading */
    trib_snapshot_free(&s);
}

static void test_writer_features(void **state)
{
    (void)state;
    static const struct {
        const char *protocol, *metadata, *refused;
    } cases[] = {
        {"\"minReaderVersion\":1,\"minWriterVersion\":2", PLAIN, NULL},
        {"\"minReaderVersion\":1,\"minWriterVersion\":8", PLAIN, "writer version 8"},
        {"\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"domainMetadata\",\"appendOnly\"]", PLAIN,
         NULL},
        {"\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"rowTracking\"]", PLAIN,
         "writer feature 'rowTracking'"},
        {"\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"icebergCompatV2\"]", PLAIN,
         "writer feature 'icebergCompatV2'"},
        {"\"minReaderVersion\":1,\"minWriterVersion\":6", PLAIN, NULL},
        {"\"minReaderVersion\":1,\"minWriterVersion\":2", WITH_META("\\\"delta.invariants\\\":\\\"x\\\""),
         "'invariants'"},
        {"\"minReaderVersion\":1,\"minWriterVersion\":4", WITH_META("\\\"delta.generationExpression\\\":\\\"x\\\""),
         "'generatedColumns'"},
        {"\"minReaderVersion\":1,\"minWriterVersion\":6", WITH_META("\\\"delta.identity.start\\\":1"),
         "'identityColumns'"},
        {"\"minReaderVersion\":1,\"minWriterVersion\":3", WITH_PROPERTY("\"delta.constraints.c\":\"a > 0\""),
         "'checkConstraints'"},
        {"\"minReaderVersion\":2,\"minWriterVersion\":5", WITH_PROPERTY("\"delta.columnMapping.mode\":\"name\""),
         "'columnMapping'"},
        {"\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"inCommitTimestamp\"]",
         WITH_PROPERTY("\"delta.enableInCommitTimestamps\":\"true\""), "'inCommitTimestamp'"},
        {"\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"inCommitTimestamp\"]", PLAIN, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "wf%zu", i);
        struct trib_delta t = table(name);
        put_table(name, cases[i].protocol, cases[i].metadata);
        struct trib_snapshot s = load(&t, -1);
        struct trib_add a = file("x");
        struct trib_err err = {0};
        int rc = append(&t, &s, &a, 1, &err);
        if (cases[i].refused == NULL ? rc != 0
                                     : rc != TRIB_E_UNSUPPORTED || strstr(err.msg, cases[i].refused) == NULL) {
            print_message("case %zu: %s\n", i, err.msg);
            fail();
        }
        trib_snapshot_free(&s);
    }
}

static void test_append_only_and_feed(void **state)
{
    (void)state;
    struct trib_delta t = table("ao");
    struct trib_kv properties[] = {{"delta.appendOnly", "true"}};
    create(&t, properties, 1);
    append_one(&t, "a");
    struct trib_snapshot s = load(&t, -1);
    struct trib_err err;
    struct trib_commit c = {
        .read_version = 1, .operation = "DELETE", .removes = s.adds, .n_removes = 1, .data_change = true};
    assert_int_equal(trib_delta_commit(&t, &s, &c, &err), TRIB_E_DATA);
    assert_non_null(strstr(err.msg, "append-only"));
    c.data_change = false; /* a rearrangement */
    assert_int_equal(trib_delta_commit(&t, &s, &c, &err), 0);
    trib_snapshot_free(&s);
    struct trib_delta feed = table("feed");
    properties[0] = (struct trib_kv){"delta.enableChangeDataFeed", "true"};
    create(&feed, properties, 1);
    append_one(&feed, "a");
    s = load(&feed, -1);
    struct trib_add a = file("b");
    struct trib_commit update = {.read_version = 1,
                                 .operation = "MERGE",
                                 .removes = s.adds,
                                 .n_removes = 1,
                                 .adds = &a,
                                 .n_adds = 1,
                                 .data_change = true};
    assert_int_equal(trib_delta_commit(&feed, &s, &update, &err), TRIB_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "changeDataFeed"));
    trib_snapshot_free(&s);
}

static void expect_refused_schema(const struct trib_delta *t, struct trib_type schema, const char *says)
{
    struct trib_err err = {0};
    struct trib_snapshot none = {.version = -1};
    struct trib_commit c = {.read_version = -1,
                            .operation = "CREATE TABLE",
                            .new_metadata = true,
                            .schema = &schema,
                            .protocol = &protocol_12};
    assert_int_equal(trib_delta_commit(t, &none, &c, &err), TRIB_E_DATA);
    if (strstr(err.msg, says) == NULL) {
        print_message("expected \"%s\" in: %s\n", says, err.msg);
        fail();
    }
    trib_type_free(&schema);
}

static void test_commit_rules(void **state)
{
    (void)state;
    struct trib_delta t = table("rules");
    static const char *const bad[] = {"", "a b", "a,b", "a;b", "{", "}", "(", ")", "\n", "\t", "a=b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct trib_type schema = trib_type_simple(TRIB_T_STRUCT), inner = trib_type_simple(TRIB_T_STRUCT);
        (void)trib_type_add(&inner, bad[i], trib_type_simple(TRIB_T_LONG));
        (void)trib_type_add(&schema, "outer", inner);
        expect_refused_schema(&t, schema, "outer.");
    }
    struct trib_type schema = simple_schema();
    (void)trib_type_add(&schema, "ID", trib_type_simple(TRIB_T_LONG));
    expect_refused_schema(&t, schema, "\"id\" and \"ID\"");
    schema = simple_schema();
    (void)trib_type_add(&schema, "empty", trib_type_simple(TRIB_T_STRUCT));
    expect_refused_schema(&t, schema, "column empty");
    create(&t, NULL, 0);
    struct trib_snapshot s = load(&t, -1);
    struct trib_add adds[] = {file("a"), file("b"), file("a")};
    struct trib_txn txns[] = {{(char[]){"x"}, 1, -1}, {(char[]){"x"}, 2, -1}};
    struct trib_err err;
    assert_int_equal(append(&t, &s, adds, 3, &err), TRIB_E_INTERNAL);
    assert_non_null(strstr(err.msg, "add a twice"));
    struct trib_commit c = {.read_version = 0, .operation = "WRITE", .txn = txns, .n_txn = 2};
    assert_int_equal(trib_delta_commit(&t, &s, &c, &err), TRIB_E_INTERNAL);
    c.n_txn = 1;
    c.read_version = 5; /* not what was read */
    assert_int_equal(trib_delta_commit(&t, &s, &c, &err), TRIB_E_INTERNAL);
    c.read_version = 0; /* a commit of a transaction alone */
    assert_int_equal(trib_delta_commit(&t, &s, &c, &err), 0);
    trib_snapshot_free(&s);
}

/* --- identity of files ------------------------------------------------------------------------------------------- */

static void test_identity(void **state)
{
    (void)state;
    struct trib_delta t = table("identity");
    put_table(
        "identity",
        "\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"deletionVectors\"],\"writerFeatures\":[\"deletionVectors\"]",
        PLAIN);
#define ADD(path, dv)                                                                                                 \
    "{\"add\":{\"path\":\"" path "\",\"partitionValues\":{},\"size\":1,\"modificationTime\":1,\"dataChange\":true" dv \
    "}}\n"
#define REMOVE(path, dv) "{\"remove\":{\"path\":\"" path "\",\"dataChange\":true" dv "}}\n"
#define DV(offset)                                                                                                \
    ",\"deletionVector\":{\"storageType\":\"u\",\"pathOrInlineDv\":\"ab^-aqEH.-t@S}K{vb[*k^\",\"offset\":" offset \
    ",\"sizeInBytes\":40,\"cardinality\":6}"
    put_text("identity/_delta_log/00000000000000000001.json", ADD("f", "") ADD("g%20h", ""));
    put_text("identity/_delta_log/00000000000000000002.json", ADD("f", DV("4")) REMOVE("f", ""));
    put_text("identity/_delta_log/00000000000000000003.json",
             REMOVE("f", DV("4")) ADD("f", DV("60")) REMOVE("g h", ""));
    struct trib_snapshot s = load(&t, -1);
    assert_int_equal(s.n_adds, 1);
    assert_string_equal(s.adds[0].path, "f");
    assert_int_equal(s.adds[0].dv->offset, 60);
    assert_int_equal(s.n_removes, 3);
    /* Removing it carries the vector along. */
    struct trib_err err;
    struct trib_commit c = {
        .read_version = 3, .operation = "DELETE", .removes = s.adds, .n_removes = 1, .data_change = true};
    assert_int_equal(trib_delta_commit(&t, &s, &c, &err), 0);
    assert_int_equal(trib_delta_refresh(&t, &s, &err), 0);
    assert_int_equal(s.n_adds, 0);
    trib_snapshot_free(&s);
}

static void test_paths(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"a%20b", "a b"},      {"a%2520b", "a%20b"},        {"%zz%", "%zz%"},
                                           {"file:/x/y", "/x/y"}, {"file:///x/y%23", "/x/y#"}, {"%00", "%00"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *p = trib_delta_path_decode(cases[i][0]);
        assert_string_equal(p, cases[i][1]);
        free(p);
    }
    for (int c = 1; c < 256; c++) { /* every byte comes back */
        char raw[4] = {'a', (char)c, 'b', '\0'};
        struct trib_buf b;
        trib_buf_init(&b, 100);
        trib_delta_path_encode(&b, raw);
        char *back = trib_delta_path_decode(b.p);
        assert_string_equal(back, raw);
        free(back);
        trib_buf_free(&b);
    }
}

/* --- questions about commits -------------------------------------------------------------------------------------- */

static void test_times(void **state)
{
    (void)state;
    struct trib_delta t = table("times");
    struct trib_err err;
    int64_t version, base = now_us;
    create(&t, NULL, 0);
    now_us = base + 10000000;
    append_one(&t, "a");
    now_us = base + 5000000; /* a clock that went back */
    append_one(&t, "b");
    now_us = base + 20000000;
    append_one(&t, "c");
    assert_int_equal(trib_delta_version_at(&t, base - 1000, &version, &err), TRIB_E_NOT_FOUND);
    assert_int_equal(trib_delta_version_at(&t, base, &version, &err), 0);
    assert_int_equal(version, 0);
    assert_int_equal(trib_delta_version_at(&t, base + 6000000, &version, &err), 0);
    assert_int_equal(version, 2); /* the largest version that is not later */
    assert_int_equal(trib_delta_version_at(&t, base + 19999999, &version, &err), 0);
    assert_int_equal(version, 2);
    assert_int_equal(trib_delta_version_at(&t, INT64_MAX, &version, &err), 0);
    assert_int_equal(version, 3);
    /* In-commit timestamps go first. */
    put_text("times/_delta_log/00000000000000000004.json",
             "{\"commitInfo\":{\"inCommitTimestamp\":9000000000000,\"timestamp\":1}}");
    assert_int_equal(trib_delta_version_at(&t, base + 30000000, &version, &err), 0);
    assert_int_equal(version, 3);
    struct trib_snapshot s = load(&t, -1);
    assert_int_equal(s.timestamp_ms, 9000000000000);
    trib_snapshot_free(&s);
}

static void test_changes(void **state)
{
    (void)state;
    struct trib_delta t = table("changes");
    struct trib_err err;
    create(&t, NULL, 0);
    append_one(&t, "a");
    append_one(&t, "b");
    struct trib_snapshot s = load(&t, -1);
    struct trib_add compacted = file("c");
    compacted.data_change = false;
    struct trib_commit c = {
        .read_version = 2, .operation = "OPTIMIZE", .removes = s.adds, .n_removes = 2, .adds = &compacted, .n_adds = 1};
    assert_int_equal(trib_delta_commit(&t, &s, &c, &err), 0);
    trib_snapshot_free(&s);
    append_one(&t, "d");
    struct trib_add *adds;
    size_t n;
    assert_int_equal(trib_delta_changes(&t, -1, 4, &adds, &n, &err), 0);
    assert_int_equal(n, 3);
    static const char *const paths[] = {"a", "b", "d"};
    static const int64_t versions[] = {1, 2, 4};
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(adds[i].path, paths[i]);
        assert_int_equal(adds[i].version, versions[i]);
        trib_add_free(&adds[i]);
    }
    free(adds);
    assert_int_equal(trib_delta_changes(&t, 4, 4, &adds, &n, &err), 0);
    assert_int_equal(n, 0);
    free(adds);
    assert_int_equal(trib_store_remove(store, "changes/_delta_log/00000000000000000001.json", &err), 0);
    assert_int_equal(trib_delta_changes(&t, 0, 4, &adds, &n, &err), TRIB_E_NOT_FOUND);
    assert_int_equal(trib_delta_changes(&t, 1, 4, &adds, &n, &err), 0);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        trib_add_free(&adds[i]);
    }
    free(adds);
}

static void test_history(void **state)
{
    (void)state;
    struct trib_delta t = table("history");
    struct trib_err err;
    struct trib_commit_info *infos;
    size_t n;
    create(&t, NULL, 0);
    struct trib_snapshot s = load(&t, -1);
    struct trib_kv param = {"mode", "Append \"x\""}, metric = {"numOutputRows", "3"};
    struct trib_add a = file("a");
    struct trib_commit c = {.read_version = 0,
                            .operation = "WRITE",
                            .params = &param,
                            .n_params = 1,
                            .metrics = &metric,
                            .n_metrics = 1,
                            .adds = &a,
                            .n_adds = 1};
    assert_int_equal(trib_delta_commit(&t, &s, &c, &err), 0);
    trib_snapshot_free(&s);
    assert_int_equal(trib_delta_history(&t, 10, &infos, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_int_equal(infos[0].version, 1);
    assert_string_equal(infos[0].operation, "WRITE");
    assert_string_equal(infos[0].params_json, "{\"mode\":\"Append \\\"x\\\"\"}");
    assert_string_equal(infos[0].metrics_json, "{\"numOutputRows\":\"3\"}");
    assert_string_equal(infos[0].engine, "Tributary/" TRIB_VERSION);
    assert_int_equal(infos[0].n_adds, 1);
    assert_string_equal(infos[1].operation, "CREATE TABLE");
    trib_commit_info_free(infos, n);
    assert_int_equal(trib_delta_history(&t, 1, &infos, &n, &err), 0);
    assert_int_equal(n, 1);
    trib_commit_info_free(infos, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema_round_trip),
        cmocka_unit_test(test_schema_bad),
        cmocka_unit_test(test_no_table),
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_metadata_change),
        cmocka_unit_test(test_conflict),
        cmocka_unit_test(test_made_anew),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_ambiguous),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_reader_features),
        cmocka_unit_test(test_writer_features),
        cmocka_unit_test(test_append_only_and_feed),
        cmocka_unit_test(test_commit_rules),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_history),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
