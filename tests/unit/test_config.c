/* The configuration: values, defaults, errors with their positions, substitution, limits, and what is generated from the table of keys. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/config_own.h"

/* ---- a scripted world ---- */

static const char *variable(void *ctx, const char *name)
{
    (void)ctx;
    static const char *const set[][2] = {
        {"NAME", "shop"},          {"TOKEN", "s3cr3t-value"}, {"EMPTY", ""},    {"BIG", "512MiB"},
        {"WRONG", "s3cr3t wrong"}, {"HOME", "/home/u"},       {"TRUE", "true"}, {"MULTI", "a: b\nc"},
    };
    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++) {
        if (strcmp(set[i][0], name) == 0) {
            return set[i][1];
        }
    }
    return NULL;
}

static int read_file(void *ctx, const char *path, struct trib_buf *to, struct trib_err *err)
{
    (void)ctx;
    if (strcmp(path, "/run/secrets/x") == 0) {
        trib_buf_adds(to, "from-a-file\n");
        return 0;
    }
    if (strcmp(path, "/conf/rel") == 0) {
        trib_buf_adds(to, "relative");
        return 0;
    }
    if (strcmp(path, "/binary") == 0) {
        trib_buf_add(to, "a\0b", 3);
        return 0;
    }
    return trib_err_set(err, TRIB_E_NOT_FOUND, "cannot read %s", path);
}

static const struct trib_config_world world = {variable, read_file, NULL, "/conf"};

static struct trib_config *good(const char *text)
{
    struct trib_config *c = NULL;
    char *report = NULL;
    struct trib_err err = {0};
    int rc = trib_config_parse_in(trib_view_of(text), "t.yaml", &world, &c, &report, &err);
    if (rc != 0) {
        print_error("%s\n", report);
    }
    free(report);
    assert_int_equal(rc, 0);
    return c;
}

/* The report of a text that must be refused. [out] */
static char *bad(struct trib_view text)
{
    struct trib_config *c = NULL;
    char *report = NULL;
    struct trib_err err = {0};
    assert_int_equal(trib_config_parse_in(text, "t.yaml", &world, &c, &report, &err), TRIB_E_CONFIG);
    assert_null(c);
    assert_non_null(report);
    assert_memory_equal(report, err.msg, strcspn(report, "\n") < 900 ? strcspn(report, "\n") : 900);
    return report;
}

#define HEAD  "pipeline: shop\nlake: /lake\n"
#define TABLE "tables:\n  - name: Orders\n    key: {partition: pk}\n    source: {type: files, path: /in}\n"

/* ---- good ones ---- */

static void test_defaults(void **state)
{
    (void)state;
    struct trib_config *c = good(HEAD TABLE);
    assert_string_equal(c->pipeline, "shop");
    assert_string_equal(c->lake, "/lake");
    assert_string_equal(c->state, "/home/u/.local/state/tributary/shop");
    assert_int_equal(c->trigger, TRIB_TRIGGER_EVERY);
    assert_int_equal(c->every_us, 120000000);
    assert_int_equal(c->memory_bytes, 256 << 20);
    assert_int_equal(c->workers, 0);
    assert_int_equal(c->batch_files, 1000);
    assert_int_equal(c->batch_bytes, 1 << 30);
    assert_int_equal(c->n_tables, 1);
    assert_int_equal(c->n_gold, 0);
    const struct trib_cfg_table *t = &c->tables[0];
    assert_string_equal(t->name, "Orders");
    assert_string_equal(t->partition.name, "pk");
    assert_null(t->partition.type);
    assert_null(t->sort.name);
    assert_int_equal(t->source_type, TRIB_SOURCE_FILES);
    assert_string_equal(t->source_path, "/in");
    assert_int_equal(t->evolution, TRIB_EVOLVE_WIDEN);
    assert_true(t->infer);
    assert_int_equal(t->numbers, TRIB_NUMBERS_AUTO);
    assert_int_equal(t->n_hints, 0);
    assert_int_equal(t->max_columns, 2000);
    assert_int_equal(t->late_after_us, (int64_t)7 * 86400 * 1000000);
    assert_int_equal(t->late, TRIB_LATE_COUNT);
    assert_int_equal(t->n_silver, 1);
    const struct trib_cfg_silver *s = &t->silver[0];
    assert_null(s->where);
    assert_string_equal(s->domain, "default");
    assert_string_equal(s->table, "orders");
    assert_false(s->hard_deletes);
    assert_false(s->scd2);
    assert_null(s->sequence);
    assert_string_equal(s->updated_at, "_updated_at");
    assert_string_equal(s->is_deleted, "_is_deleted");
    trib_config_free(c);
}

static void test_everything_set(void **state)
{
    (void)state;
    struct trib_config *c = good(
        "pipeline: a-1\nlake: lake\nstate: ./x/./y//z\ntrigger: {continuous: true}\nmemory: 1GiB\nworkers: 3\nbatch: {files: 7, bytes: 64KiB}\n"
        "tables:\n"
        "  - name: Prod.Orders-1\n"
        "    key: {partition: {name: pk, type: S}, sort: {name: n, type: N}}\n"
        "    source: {type: export, path: file:///exports/e}\n"
        "    schema: {evolution: fail, infer: false, numbers: string, hints: {amount: 'decimal(18,2)', address.zip: string}, max_columns: 5}\n"
        "    silver:\n"
        "      - {where: \"type = 'order'\", domain: sales, table: orders, deletes: hard, history: scd2}\n"
        "      - {where: \"type = 'customer'\", table: customers, columns: {updated_at: updated_at, is_deleted: is_deleted}}\n"
        "    late_after: 36h\n    late: quarantine\n"
        "gold:\n  - {subject: sales, name: revenue, sql: sql/r.sql}\n  - {sql: /abs/Top Ten.v2.sql}\n");
    assert_string_equal(c->lake, "/conf/lake");
    assert_string_equal(c->state, "/conf/x/y/z");
    assert_int_equal(c->trigger, TRIB_TRIGGER_CONTINUOUS);
    assert_int_equal(c->memory_bytes, 1 << 30);
    assert_int_equal(c->workers, 3);
    assert_int_equal(c->batch_files, 7);
    assert_int_equal(c->batch_bytes, 65536);
    const struct trib_cfg_table *t = &c->tables[0];
    assert_string_equal(t->partition.type, "S");
    assert_string_equal(t->sort.name, "n");
    assert_string_equal(t->sort.type, "N");
    assert_int_equal(t->source_type, TRIB_SOURCE_EXPORT);
    assert_string_equal(t->source_path, "/exports/e");
    assert_int_equal(t->evolution, TRIB_EVOLVE_FAIL);
    assert_false(t->infer);
    assert_int_equal(t->numbers, TRIB_NUMBERS_STRING);
    assert_int_equal(t->n_hints, 2);
    assert_string_equal(t->hints[0].path, "amount");
    assert_string_equal(t->hints[0].type, "decimal(18,2)");
    assert_string_equal(t->hints[1].path, "address.zip");
    assert_int_equal(t->max_columns, 5);
    assert_int_equal(t->n_silver, 2);
    assert_string_equal(t->silver[0].where, "type = 'order'");
    assert_true(t->silver[0].hard_deletes);
    assert_true(t->silver[0].scd2);
    assert_null(t->silver[0].sequence);
    assert_string_equal(t->silver[1].domain, "default");
    assert_string_equal(t->silver[1].updated_at, "updated_at");
    assert_int_equal(t->late_after_us, (int64_t)36 * 3600 * 1000000);
    assert_int_equal(t->late, TRIB_LATE_QUARANTINE);
    assert_int_equal(c->n_gold, 2);
    assert_string_equal(c->gold[0].sql_path, "/conf/sql/r.sql");
    assert_string_equal(c->gold[1].subject, "default");
    assert_string_equal(c->gold[1].name, "top_ten_v2");
    trib_config_free(c);
}

#define DMS "tables:\n  - name: O\n    key: {partition: id, sort: n}\n    source: {type: dms, path: /in"

static void test_dms(void **state)
{
    (void)state;
    struct trib_config *c = good(HEAD DMS "}\n");
    const struct trib_cfg_dms *d = &c->tables[0].dms;
    assert_int_equal(c->tables[0].source_type, TRIB_SOURCE_DMS);
    assert_int_equal(d->n_columns, 0);
    assert_null(d->timestamp);
    assert_int_equal(d->delimiter, ',');
    assert_string_equal(d->null_value, "NULL");
    trib_config_free(c);
    c = good(HEAD DMS ", columns: [n, id, x y], timestamp: ts, delimiter: '\\t', null_value: '\\N'}\n");
    d = &c->tables[0].dms;
    assert_int_equal(d->n_columns, 3);
    assert_string_equal(d->columns[2], "x y");
    assert_string_equal(d->timestamp, "ts");
    assert_int_equal(d->delimiter, '\t');
    assert_string_equal(d->null_value, "\\N");
    trib_config_free(c);
}

#define SNAPSHOT "tables:\n  - name: O\n    key: {partition: id}\n    source: {type: snapshot, path: /in"

static void test_snapshot(void **state)
{
    (void)state;
    struct trib_config *c = good(HEAD SNAPSHOT "}\n");
    assert_int_equal(c->tables[0].source_type, TRIB_SOURCE_SNAPSHOT);
    assert_int_equal(c->tables[0].snapshot.max_removed, 20);
    assert_null(c->tables[0].snapshot.accept);
    trib_config_free(c);
    c = good(HEAD SNAPSHOT ", max_removed: 0, accept: a/b}\n    silver: [{where: x > 1, table: a}, {table: b}]\n");
    assert_int_equal(c->tables[0].snapshot.max_removed, 0);
    assert_string_equal(c->tables[0].snapshot.accept, "a/b");
    trib_config_free(c);
}

/* Parentheses in texts and comments do not count. */
static void test_conditions(void **state)
{
    (void)state;
    struct trib_config *c = good(HEAD TABLE "    silver: {where: \"(a = '):' /* ( */ OR \\\")\\\" > 1) -- (\"}\n");
    assert_string_equal(c->tables[0].silver[0].where, "(a = '):' /* ( */ OR \")\" > 1) -- (");
    assert_int_equal(c->tables[0].silver[0].where_line, 7);
    assert_true(trib_config_has_sql(c));
    trib_config_free(c);
    c = good(HEAD TABLE);
    assert_false(trib_config_has_sql(c));
    trib_config_free(c);
}

static void test_names_by_default(void **state)
{
    (void)state;
    struct trib_config *c =
        good(HEAD "tables: [{name: Fire.hose-1_X, key: {partition: pk}, source: {type: files, path: /in}}]\n");
    assert_string_equal(c->tables[0].silver[0].table, "fire_hose_1_x");
    trib_config_free(c);
}

/* Defaults spelled out ask for nothing that is missing. */
static void test_defaults_spelled_out(void **state)
{
    (void)state;
    trib_config_free(good(
        HEAD
        "trigger: {every: 2m, once: false}\naws: {}\ns3:\nmonitor: ~\nretention: {landing: 720h, bronze: forever, quarantine: 30d, history: forever}\n"
        "discover:\ngold: []\n" TABLE
        "    landing: none\n    filter:\n    expectations: []\n    upkeep: {target_file: 128MiB, compact_after: 32, vacuum_after: 168h}\n"
        "    schema: {names: sanitize, infer: True}\n"
        "    silver: {merge: copy-on-write, change_data_feed: false, cluster: [], partition_by: [], mask: {}, sequence: stream, history: none}\n"));
}

static void test_s3(void **state)
{
    (void)state;
    struct trib_config *c = good("pipeline: shop\nlake: s3://bucket/a/b//\n"
                                 "aws: {region: eu-west-1, profile: shop}\n"
                                 "s3: {sse: kms, kms_key: K, bronze: {sse: s3}, gold: {kms_key: G}}\n"
                                 "tables:\n  - {name: A, key: {partition: a}, source: {type: files, path: s3://inn/}}\n"
                                 "  - {name: B, key: {partition: a}, source: {type: export, path: s3://inn/x}, "
                                 "aws: {profile: other}}\n");
    static const char *const want[TRIB_CFG_S3_PREFIXES][3] = {
        {"", "kms", "K"}, {"raw/", "kms", "K"}, {"bronze/", "s3", ""}, {"silver/", "kms", "K"}, {"gold/", "kms", "G"}};
    assert_string_equal(c->lake, "s3://bucket/a/b");
    assert_string_equal(c->tables[0].source_path, "s3://inn");
    assert_string_equal(c->tables[1].source_path, "s3://inn/x");
    assert_string_equal(c->aws.profile, "shop");
    assert_string_equal(c->tables[1].aws.profile, "other");
    assert_string_equal(c->tables[1].aws.region, "eu-west-1");
    for (size_t i = 0; i < TRIB_CFG_S3_PREFIXES; i++) {
        assert_string_equal(c->s3[i].prefix, want[i][0]);
        assert_string_equal(c->s3[i].sse, want[i][1]);
        assert_string_equal(c->s3[i].kms_key == NULL ? "" : c->s3[i].kms_key, want[i][2]);
    }
    trib_config_free(c);
}

static void test_defaults_are_merged(void **state)
{
    (void)state;
    struct trib_config *c = good(
        HEAD
        "defaults:\n  key: {partition: pk, sort: sk}\n  source: {type: files, path: /in}\n  late_after: 1h\n"
        "  schema: {numbers: double, hints: {a: string, b: bigint}}\n  silver: {domain: d, deletes: hard}\n"
        "tables:\n  - name: A\n    schema: {hints: {b: double}}\n  - name: B\n    late_after:\n    source: {type: export, path: /e}\n"
        "    silver: [{table: b1}, {table: b2, deletes: soft}]\n  - {name: C, key: {sort: ~}}\n");
    const struct trib_cfg_table *a = &c->tables[0], *b = &c->tables[1];
    assert_string_equal(a->sort.name, "sk");
    assert_int_equal(a->numbers, TRIB_NUMBERS_DOUBLE);
    assert_int_equal(a->n_hints, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(a->hints[i].type, strcmp(a->hints[i].path, "a") == 0 ? "string" : "double");
    }
    assert_int_equal(a->late_after_us, (int64_t)3600 * 1000000);
    assert_string_equal(a->silver[0].domain, "d");
    assert_true(a->silver[0].hard_deletes);
    assert_int_equal(b->source_type, TRIB_SOURCE_EXPORT);
    assert_string_equal(b->source_path, "/e");
    assert_int_equal(b->late_after_us, (int64_t)7 * 86400 * 1000000); /* nothing: back to the key's own default */
    assert_int_equal(b->n_silver, 2);
    assert_string_equal(b->silver[0].domain, "d");
    assert_true(b->silver[0].hard_deletes);
    assert_false(b->silver[1].hard_deletes);
    assert_null(c->tables[2].sort.name);
    trib_config_free(c);
}

static void test_anchors(void **state)
{
    (void)state;
    struct trib_config *c = good(
        HEAD "tables:\n  - &a\n    name: A\n    key: &k {partition: pk}\n    source: {type: files, path: /in}\n"
             "  - <<: *a\n    name: B\n  - name: C\n    key: *k\n    <<: [{source: {type: files, path: /c}}, *a]\n");
    assert_int_equal(c->n_tables, 3);
    assert_string_equal(c->tables[1].name, "B");
    assert_string_equal(c->tables[1].partition.name, "pk");
    assert_string_equal(c->tables[1].source_path, "/in");
    assert_string_equal(c->tables[2].source_path, "/c");
    trib_config_free(c);
}

/* ---- substitution ---- */

static void test_substitution(void **state)
{
    (void)state;
    struct trib_config *c = good(
        "pipeline: ${env:NAME}\nlake: \"/data/${env:TOKEN}/${file:/run/secrets/x}\"\nmemory: ${env:BIG}\ntrigger: {once: ${env:TRUE}}\n"
        "tables:\n  - {name: A, key: {partition: pk}, source: {type: files, path: ${file:rel}}, silver: {where: 'x = ''$${env:NAME}''${y}$'}}\n");
    assert_string_equal(c->pipeline, "shop");
    assert_string_equal(c->lake, "/data/s3cr3t-value/from-a-file");
    assert_int_equal(c->memory_bytes, 512 << 20);
    assert_int_equal(c->trigger, TRIB_TRIGGER_ONCE);
    assert_string_equal(c->tables[0].source_path, "/conf/relative");
    assert_string_equal(c->tables[0].silver[0].where, "x = '${env:NAME}'${y}$");

    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    trib_config_effective(c, &b);
    assert_null(strstr(b.p, "s3cr3t"));
    assert_null(strstr(b.p, "from-a-file"));
    assert_null(strstr(b.p, "512MiB"));
    assert_null(strstr(b.p, "shop\n"));
    assert_non_null(strstr(b.p, "pipeline: \"***\""));
    assert_non_null(strstr(b.p, "memory: \"***\""));
    trib_buf_clear(&b);
    trib_buf_adds(&b, "cannot write /data/s3cr3t-value/from-a-file: no");
    trib_config_redact(c, &b);
    assert_string_equal(b.p, "cannot write /data/***/***: no");
    trib_buf_free(&b);
    trib_config_free(c);
}

/* A substituted value is never YAML. */
static void test_substitution_is_after_parsing(void **state)
{
    (void)state;
    struct trib_config *c =
        good(HEAD "tables: [{name: A, key: {partition: '${env:MULTI}'}, source: {type: files, path: /in}}]\n");
    assert_string_equal(c->tables[0].partition.name, "a: b\nc");
    trib_config_free(c);
}

/* ---- bad ones: where, and what is said ---- */

struct bad_case {
    const char *text;
    const char *at;   /* "LINE:COLUMN" */
    const char *says; /* part of the message */
};

static const struct bad_case bad_cases[] = {
    {"", "1:1", "the file is empty"},
    {"# nothing\n", "1:1", "the file is empty"},
    {"- a\n", "1:1", "a block of keys"},
    {"just text\n", "1:1", "a block of keys"},
    {"pipeline: x\n\tlake: y\n", "2:1", "tab"},
    {"pipeline: [x\n", "2:1", "flow sequence"},
    {"a: 1\n---\nb: 2\n", "2:1", "second document"},
    {HEAD TABLE "    silver: {delets: soft}\n", "7:14", "unknown key `delets` in `silver`; did you mean `deletes`?"},
    {HEAD TABLE "    deletes: soft\n", "7:5", "unknown key `deletes` in a table; it belongs under `silver`"},
    {HEAD "tabels: []\n" TABLE, "3:1", "did you mean `tables`?"},
    {HEAD "zzz: 1\n" TABLE, "3:1", "unknown key `zzz` at the top of the file; there are pipeline, lake,"},
    {HEAD "${env:NAME}: 1\n" TABLE, "3:1", "never in keys"},
    {HEAD "lake: /other\n" TABLE, "3:1", "the key `lake` stands twice here, first in line 2"},
    {HEAD TABLE "tables: []\n", "7:1", "the key `tables` stands twice"},
    {"lake: /lake\n" TABLE, "1:1", "the key `pipeline` is missing at the top"},
    {"pipeline: shop\n" TABLE, "1:1", "the key `lake` is missing"},
    {HEAD, "1:1", "the key `tables` is missing"},
    {HEAD "tables: []\n", "3:9", "at least one table"},
    {HEAD "tables:\n  name: A\n", "4:3", "takes a list: each entry begins with `- `"},
    {HEAD "tables:\n  -\n", "4:4", "here is nothing"},
    {HEAD "tables: [x]\n", "3:10", "each entry of `tables` is a block of keys, here is `x`"},
    {HEAD "tables: [{name: A}]\n", "3:10", "the key `key` is missing in a table"},
    {HEAD "tables: [{name: A}]\n", "3:10", "the key `source` is missing in a table"},
    {HEAD "tables: [{name: A, key: {}, source: {}}]\n", "3:25", "the key `partition` is missing in `key`"},
    {HEAD "tables: [{name: A, key: {}, source: {}}]\n", "3:37", "the key `type` is missing in `source`"},
    {HEAD "tables: [{name: A, key: {partition: a}, source: {type: files}}]\n", "3:49",
     "the key `path` is missing in `source`"},
    {HEAD "tables: [{name: A, key: {partition: {type: S}}, source: {type: files, path: /x}}]\n", "3:37",
     "the key `name` is missing in `key.partition`"},
    {HEAD "tables: [{name: A, key: {partition: {name: a, type: X}}, source: {type: files, path: /x}}]\n", "3:53",
     "`key.partition.type`: `X` is none of S|N|B"},
    {HEAD "tables: [{name: A, key: {partition: [a]}, source: {type: files, path: /x}}]\n", "3:37",
     "takes a block of keys, here is a list"},
    {HEAD "tables: [{name: A, key: {partition: a, sort: a}, source: {type: files, path: /x}}]\n", "3:25",
     "the same attribute"},
    {HEAD "tables: [{name: A/B, key: {partition: a}, source: {type: files, path: /x}}]\n", "3:17",
     "`name`: `A/B` is not of the form"},
    {HEAD "tables: [{name: .., key: {partition: a}, source: {type: files, path: /x}}]\n", "3:17", "no table name"},
    {HEAD "tables: [{name: A, key: {partition: a}, source: {type: filez, path: /x}}]\n", "3:56",
     "did you mean `files`?"},
    {HEAD "tables: [{name: A, key: {partition: a}, source: {type: poll}}]\n", "3:56",
     "`source.type: poll` is not in this version"},
    {HEAD "tables: [{name: A, key: {partition: a}, source: {type: streams, bootstrap: export}}]\n", "3:76",
     "`source.bootstrap: export` is not in this version"},
    {HEAD "tables: [{name: A, key: {partition: a}, source: {type: streams, stream: Orders}}]\n", "3:73",
     "the ARN of a DynamoDB stream is needed"},
    {HEAD "tables: [{name: A, key: {partition: a}, source: {type: kinesis}}]\n", "3:49",
     "the key `stream` is missing in `source`"},
    {HEAD "tables: [{name: A, key: {partition: a}, source: {type: kinesis, stream: 'arn:aws:dynamodb:r:1:table/A'}}]\n",
     "3:73", "this is no ARN of a Kinesis stream"},
    {HEAD "tables: [{name: A, key: {partition: a}, landing: none, source: {type: streams}}]\n", "3:50",
     "`landing: none` for a source that is captured"},
    {HEAD "tables: [{name: A, key: {partition: a}, source: {type: files, path: /x, stream: y}}]\n", "3:73",
     "belongs to sources of type streams|kinesis, this one is `files`"},
    {HEAD "tables: [{name: A, key: {partition: a}, source: {type: export, request: full}}]\n", "3:64",
     "`source.request` is not in this version"},
    {HEAD "tables: [{name: A, key: {partition: a}, source: {type: files, path: s3://b/p}}]\n", "3:69",
     "`source.path`: `s3://b/p` names no bucket"},
    {HEAD "state: s3://bucket/p\n" TABLE, "3:8", "`state`: this is a local path"},
    {HEAD "s3: {sse: s3, kms_key: k}\n" TABLE, "3:5", "`kms_key` is of use with `sse: kms` only"},
    {HEAD "s3: {sse: kms, silver: {gold: {sse: s3}}}\n" TABLE, "3:24", "`s3.silver` has no prefixes below it"},
    {HEAD "s3: {sse: aes}\n" TABLE, "3:11", "`s3.sse`: `aes` is none of kms|s3"},
    {"pipeline: My Shop\nlake: /lake\n" TABLE, "1:11", "`pipeline`: `My Shop` is not of the form [a-z0-9-]"},
    {"pipeline: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nlake: /l\n" TABLE, "1:11",
     "is longer than 64 bytes"},
    {"pipeline: shop\nlake: s3://Bucket/x\n" TABLE, "2:7", "`lake`: `s3://Bucket/x` names no bucket"},
    {"pipeline: shop\nlake: gs://bucket/x\n" TABLE, "2:7", "only local folders and s3://"},
    {"pipeline: shop\nlake: [a]\n" TABLE, "2:7", "`lake` takes a single value, here is a list"},
    {"pipeline: shop\nlake: ''\n" TABLE, "2:7", "the path is empty"},
    {HEAD "memory: 64MB\n" TABLE, "3:9", "`memory`: `64MB` is no size: a whole number with KiB, MiB, GiB"},
    {HEAD "memory: 1MiB\n" TABLE, "3:9", "is less than 134217728 bytes"},
    {HEAD "memory: 99999999999GiB\n" TABLE, "3:9", "is no size"},
    {HEAD "memory: -1\n" TABLE, "3:9", "is no size"},
    {HEAD "workers: many\n" TABLE, "3:10", "is no whole number, nor one of auto"},
    {HEAD "workers: 0\n" TABLE, "3:10", "less than 1"},
    {HEAD "workers: 1.5\n" TABLE, "3:10", "is no whole number"},
    {HEAD "batch: {files: 0}\n" TABLE, "3:16", "less than 1"},
    {HEAD "trigger: {every: 2}\n" TABLE, "3:18",
     "`trigger.every`: `2` is no duration: a whole number with ms, s, m, h or d"},
    {HEAD "trigger: {every: 0s}\n" TABLE, "3:18", "less than 1ms"},
    {HEAD "trigger: once\n" TABLE, "3:10", "`trigger` takes a block of keys"},
    {HEAD "trigger: {once: yes}\n" TABLE, "3:17", "`yes` is neither true nor false"},
    {HEAD "trigger: {once: true, every: 1m}\n" TABLE, "3:10", "takes one of `every`, `once`, `continuous`"},
    {HEAD "aws: {regio: eu-west-1}\n" TABLE, "3:7", "did you mean `region`?"},
    {HEAD "monitor: {listen: '127.0.0.1:1'}\n" TABLE, "3:1", "`monitor` is not in this version"},
    {HEAD "monitor: {lisen: '127.0.0.1:1'}\n" TABLE, "3:11", "did you mean `listen`?"},
    {HEAD "s3: {raw: {ssl: kms}}\n" TABLE, "3:12", "unknown key `ssl` in `s3.raw`"},
    {HEAD "alerts: {webhook: x}\n" TABLE, "3:1", "`alerts` is not in this version"},
    {HEAD "discover: {prefix: x}\n" TABLE, "3:1", "`discover` is not in this version"},
    {HEAD "retention: {landing: 7d}\n" TABLE, "3:13", "`retention.landing` is not in this version"},
    {HEAD TABLE "    retention: {bronze: 7d}\n", "7:17", "`retention.bronze` is not in this version"},
    {HEAD TABLE "    filter: a > 1\n", "7:5", "`filter` is not in this version"},
    {HEAD TABLE "    landing: {format: parquet}\n", "7:23", "`landing.format: parquet` is not in this version"},
    {HEAD TABLE "    landing: {buckets: 16}\n", "7:15", "`landing.buckets` is not in this version"},
    {HEAD TABLE "    expectations: [{name: a, check: b}]\n", "7:5", "`expectations` is not in this version"},
    {HEAD TABLE "    slo: {freshness: 5m}\n", "7:5", "`slo` is not in this version"},
    {HEAD TABLE "    upkeep: {compact_after: 5}\n", "7:14", "`upkeep.compact_after` is not in this version"},
    {HEAD TABLE "    schema: {names: mapping}\n", "7:21", "`schema.names: mapping` is not in this version"},
    {HEAD TABLE "    schema: {evolution: wide}\n", "7:25", "did you mean `widen`?"},
    {HEAD TABLE "    schema: {infer: 1}\n", "7:21", "neither true nor false"},
    {HEAD TABLE "    schema: {hints: [a]}\n", "7:21", "takes a mapping of names to texts"},
    {HEAD TABLE "    schema: {hints: {a: [b]}}\n", "7:25", "a text is needed here, not a list"},
    {HEAD TABLE "    schema: {hints: {a: decimal(18,2)}}\n", "7:25", "within { } a text with a comma needs quotes"},
    {HEAD TABLE "    schema: {hints: {a: varchar}}\n", "7:25",
     "`schema.hints` of `a`: hint type 'varchar' is not one of string,"},
    {HEAD TABLE "    schema: {hints: {a: '${env:TOKEN}'}}\n", "7:25", "`***` is no type"},
    {HEAD TABLE "    silver: {where: 'a) OR (b'}\n", "7:21", "`silver.where`: `a) OR (b` is not one SQL condition"},
    {HEAD TABLE "    silver: {where: '(a'}\n", "7:21", "is not one SQL condition"},
    {HEAD TABLE "    silver: {where: 'a; b'}\n", "7:21", "is not one SQL condition"},
    {HEAD TABLE "    silver: {where: '-- nothing'}\n", "7:21", "is not one SQL condition"},
    {HEAD TABLE "    schema: {max_columns: 0}\n", "7:27", "less than 1"},
    {HEAD TABLE "    silver: {merge: vectors}\n", "7:21", "`silver.merge: vectors` is not in this version"},
    {HEAD TABLE "    silver: {change_data_feed: true}\n", "7:14", "`silver.change_data_feed` is not in this version"},
    {HEAD TABLE "    silver: {cluster: [a]}\n", "7:14", "`silver.cluster` is not in this version"},
    {HEAD TABLE "    silver: {partition_by: [date(a)]}\n", "7:14", "`silver.partition_by` is not in this version"},
    {HEAD TABLE "    silver: {mask: {email: hash}}\n", "7:14", "`silver.mask` is not in this version"},
    {HEAD TABLE "    silver: {table: Orders}\n", "7:21", "lower-case letters, digits and underscores"},
    {HEAD TABLE "    silver: {domain: ''}\n", "7:22", "lower-case letters"},
    {HEAD TABLE "    silver: []\n", "7:13", "empty list"},
    {HEAD TABLE "    silver: [{table: a}, {table: a}]\n", "7:34",
     "two Silver tables would be default/a, the other one is in line 7"},
    {HEAD TABLE "    silver: [{table: a, history: scd2}, {table: a_history}]\n", "7:49",
     "two Silver tables would be default/a_history"},
    {HEAD TABLE "    silver: {columns: {updated_at: _sequence}}\n", "7:36", "is a column of Tributary already"},
    {HEAD TABLE "    silver: {columns: {updated_at: x, is_deleted: X}}\n", "7:23", "have the same name"},
    {HEAD TABLE "    silver: {columns: {updated_at: PK}}\n", "7:36", "is a key attribute"},
    {HEAD TABLE "    silver: {columns: {updated_at: 'a b'}}\n", "7:36", "is not of the form"},
    {HEAD TABLE "    late_after: 7\n", "7:17", "is no duration"},
    {HEAD TABLE "    late: never\n", "7:11", "`never` is none of count|quarantine"},
    {HEAD TABLE "  - {name: Orders, key: {partition: a}, source: {type: files, path: /y}, silver: {table: o2}}\n",
     "7:12", "the table `Orders` stands twice, first in line 4"},
    {HEAD TABLE "  - {name: orders, key: {partition: a}, source: {type: files, path: /y}}\n", "7:5",
     "two Silver tables would be default/orders"},
    {HEAD "defaults: {name: x}\n" TABLE, "3:12", "`name` cannot be a default"},
    {HEAD "defaults: {delets: x}\n" TABLE, "3:12", "unknown key `delets` in a table"},
    {HEAD "defaults: []\n" TABLE, "3:11", "`defaults` takes a block of keys"},
    {HEAD TABLE "gold: [{name: a}]\n", "7:8", "the key `sql` is missing in `gold`"},
    {HEAD TABLE "gold: [{name: A-b, sql: x}]\n", "7:15", "lower-case letters"},
    {HEAD TABLE "gold: [{name: a, sql: x}, {name: a, sql: y}]\n", "7:27", "two Gold tables would be default/a"},
    {"pipeline: shop\nlake: /in/lake\n" TABLE, "6:33", "the lake lies inside of it"},
    {"pipeline: shop\nlake: /in\n" TABLE, "6:33", "the lake lies inside of it"},
    {HEAD "state: /in/s\n" TABLE, "7:33", "the state folder lies inside of it"},
    {"pipeline: ${env:MISSING}\nlake: /l\n" TABLE, "1:11", "the environment variable `MISSING` is not set"},
    {"pipeline: ${env:}\nlake: /l\n" TABLE, "1:11", "needs a name and a closing brace"},
    {"pipeline: ${env:NAME\nlake: /l\n" TABLE, "1:11", "needs a name and a closing brace"},
    {"pipeline: ${ENV:NAME}\nlake: /l\n" TABLE, "1:11", "is no substitution"},
    {"pipeline: ${file:/nowhere}\nlake: /l\n" TABLE, "1:11", "cannot read /nowhere"},
    {"pipeline: ${file:/binary}\nlake: /l\n" TABLE, "1:11", "not text"},
    {"pipeline: ${env:EMPTY}\nlake: /l\n" TABLE, "1:11", "the text is empty"},
    {HEAD "x: *nowhere\n", "3:4", "an alias without its anchor"},
    {HEAD "x: &a [*a]\n", "3:8", "an alias inside its own anchor"},
    {HEAD "x: !!python/object:os.system ls\n", "3:4", "a tag that is not known"},
    {HEAD "? [a]\n: b\n", "3:3", "a key must be a word"},
    {HEAD "<<: text\n" TABLE, "1:1", "`<<` takes a mapping"},
    {"pipeline: \"a\\0b\"\n", "1:11", "NUL"},
    {HEAD SNAPSHOT ", max_removed: 101}\n", "6:54", "is more than 100"},
    {HEAD SNAPSHOT "}\n    silver: {where: x > 1}\n", "6:20", "one without `where`"},
    {HEAD DMS ", columns: [id]}\n", "6:45", "`source.columns` lacks `n`, which `key` names"},
    {HEAD DMS ", columns: [id, n, id]}\n", "6:53", "`source.columns`: `id` stands there twice, or is empty"},
    {HEAD DMS ", columns: []}\n", "6:45", "`source.columns` is empty: leave it out where the files name their columns"},
    {HEAD DMS ", columns: id}\n", "6:45", "`source.columns` takes a list of texts, here is `id`"},
    {HEAD DMS ", delimiter: '\"'}\n", "6:47",
     "`source.delimiter`: one character is needed, or \\t; a quote cannot be one"},
    {HEAD DMS ", delimiter: ab}\n", "6:47",
     "`source.delimiter`: one character is needed, or \\t; a quote cannot be one"},
    {HEAD DMS ", timestamp: n}\n", "6:47", "`source.timestamp`: `n` is a key; the column that DMS adds is needed"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_cases / sizeof bad_cases[0]; i++) {
        const struct bad_case *b = &bad_cases[i];
        char *report = bad(trib_view_of(b->text)), *want = trib_asprintf("t.yaml:%s: ", b->at);
        bool found = false;
        for (const char *line = report; *line != '\0' && !found; line += strcspn(line, "\n") + 1) {
            char *one = trib_strndup(line, strcspn(line, "\n"));
            found = strncmp(one, want, strlen(want)) == 0 && strstr(one, b->says) != NULL;
            free(one);
        }
        if (!found) {
            print_error("for:\n%s\nwanted: %s…%s\ngot:\n%s\n", b->text, want, b->says, report);
        }
        assert_true(found);
        free(report);
        free(want);
    }
}

/* One mistake gives one problem, two give two, in the order of the file. */
static void test_all_are_reported_once(void **state)
{
    (void)state;
    char *report = bad(trib_view_of(HEAD "defaults: {silver: {delets: x}}\n" TABLE));
    assert_string_equal(report, "t.yaml:3:21: unknown key `delets` in `silver`; did you mean `deletes`?\n");
    free(report);
    report = bad(trib_view_of("pipeline: ${env:MISSING}\nlake: /l\nworkers: ${env:MISSING}\n" TABLE));
    assert_string_equal(report, "t.yaml:1:11: the environment variable `MISSING` is not set\n"
                                "t.yaml:3:10: the environment variable `MISSING` is not set\n");
    free(report);
    report = bad(trib_view_of("pipeline: X\n" HEAD "memry: 1\n" TABLE "    late: x\n"));
    const char *a = strstr(report, "t.yaml:1:11: "), *b = strstr(report, "t.yaml:2:1: "),
               *c = strstr(report, "t.yaml:4:1: "), *d = strstr(report, "t.yaml:9:11: ");
    assert_true(a == report && a < b && b < c && c < d);
    size_t lines = 0;
    for (const char *p = report; *p != '\0'; p++) {
        lines += *p == '\n';
    }
    assert_int_equal(lines, 4);
    free(report);
}

static void test_secrets_are_not_in_errors(void **state)
{
    (void)state;
    char *report = bad(trib_view_of(
        "pipeline: ${env:WRONG}\nlake: /l\nmemory: '${env:TOKEN}'\nlate: x\ntables:\n"
        "  - {name: A, key: {partition: a}, source: {type: '${env:TOKEN}'}, silver: {deletes: '${env:TOKEN}'}}\n"));
    assert_null(strstr(report, "s3cr3t"));
    assert_non_null(strstr(report, "t.yaml:1:11: `pipeline`: `***`"));
    assert_non_null(strstr(report, "t.yaml:3:9: `memory`: `***`"));
    free(report);
}

/* ---- limits ---- */

static void test_limits(void **state)
{
    (void)state;
    struct trib_buf b;
    trib_buf_init(&b, 8 << 20);
    trib_buf_adds(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"); /* a billion laughs */
    for (int i = 1; i < 12; i++) {
        trib_buf_addf(&b, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1,
                      i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    }
    char *report = bad(trib_buf_view(&b));
    assert_non_null(strstr(report, "aliases expand to too many nodes"));
    free(report);

    trib_buf_clear(&b);
    trib_buf_adds(&b, "a0: &a0 [x]\n"); /* deep through aliases */
    for (int i = 1; i < 100; i++) {
        trib_buf_addf(&b, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    }
    report = bad(trib_buf_view(&b));
    assert_non_null(strstr(report, "nested too deeply"));
    free(report);

    trib_buf_clear(&b);
    trib_buf_adds(&b, "x: ");
    for (int i = 0; i < 100000; i++) {
        trib_buf_addc(&b, '[');
    }
    report = bad(trib_buf_view(&b));
    assert_non_null(strstr(report, "nested too deeply"));
    free(report);

    trib_buf_clear(&b);
    trib_buf_adds(&b, "x: [");
    for (int i = 0; i < 300000; i++) {
        trib_buf_adds(&b, "1,");
    }
    trib_buf_adds(&b, "1]\n");
    report = bad(trib_buf_view(&b));
    assert_non_null(strstr(report, "too many nodes"));
    free(report);

    trib_buf_clear(&b);
    for (int i = 0; i < 50000; i++) { /* many problems: cut, and told so */
        trib_buf_addf(&b, "k%05d: 1\n", i);
    }
    report = bad(trib_buf_view(&b));
    assert_non_null(strstr(report, "t.yaml: and more\n"));
    assert_true(strlen(report) < 100000);
    free(report);

    trib_buf_clear(&b);
    for (int i = 0; i <= TRIB_CONFIG_FILE_MAX; i++) {
        trib_buf_addc(&b, '#');
    }
    report = bad(trib_buf_view(&b));
    assert_non_null(strstr(report, "the file is larger than"));
    free(report);
    trib_buf_free(&b);
}

static void test_many_tables(void **state)
{
    (void)state;
    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    trib_buf_adds(
        &b, HEAD
        "defaults: {key: {partition: pk}, source: {type: files, path: /in}, schema: {numbers: decimal}, silver: {domain: d}}\ntables:\n");
    for (int i = 0; i < 5000; i++) {
        trib_buf_addf(&b, "  - name: T%d\n", i);
    }
    struct trib_config *c = good(b.p);
    assert_int_equal(c->n_tables, 5000);
    assert_string_equal(c->tables[4999].silver[0].table, "t4999");
    assert_int_equal(c->tables[4999].numbers, TRIB_NUMBERS_DECIMAL);
    trib_config_free(c);
    trib_buf_free(&b);
}

static void test_bytes_that_are_not_text(void **state)
{
    (void)state;
    char *report = bad((struct trib_view){"pipeline: a\nlake: \xff\xfe\n", 20});
    assert_non_null(strstr(report, "t.yaml:2:7: "));
    free(report);
    report = bad((struct trib_view){"pipeline: a\0b\n", 14});
    free(report);
    /* A text that holds the private characters which stand for braces, and a byte order mark. */
    struct trib_config *c = good(
        "\xEF\xBB\xBF" HEAD
        "tables: [{name: A, key: {partition: \"\xEE\x82\x80${env:NAME}\xEE\x80\x80\xEE\x80\x81\"}, source: {type: files, path: /in}}]\n");
    assert_string_equal(c->tables[0].partition.name, "\xEE\x82\x80shop\xEE\x80\x80\xEE\x80\x81");
    trib_config_free(c);
}

/* ---- values ---- */

static void test_values(void **state)
{
    (void)state;
    int64_t v;
    assert_true(trib_value_size("64 MiB", &v) && v == (int64_t)64 << 20);
    assert_true(trib_value_size("1_000", &v) && v == 1000);
    assert_true(trib_value_size("8TiB", &v) && v == (int64_t)8 << 40);
    assert_true(trib_value_size("0B", &v) && v == 0);
    static const char *const no_size[] = {"",           "MiB",    "1.5GiB", "1MB", "1mib",
                                          " 1",         "1 ",     "0x10",   "+1",  "9223372036854775808",
                                          "8388608TiB", "1  MiB", "1_",     "_1"};
    for (size_t i = 0; i < sizeof no_size / sizeof no_size[0]; i++) {
        assert_false(trib_value_size(no_size[i], &v));
    }
    assert_true(trib_value_duration("90s", &v) && v == 90000000);
    assert_true(trib_value_duration("5ms", &v) && v == 5000);
    assert_true(trib_value_duration("1d", &v) && v == (int64_t)86400000000);
    static const char *const no_duration[] = {"", "5", "s", "5us", "5S", "-1s", "106751992d", "1h30m"};
    for (size_t i = 0; i < sizeof no_duration / sizeof no_duration[0]; i++) {
        assert_false(trib_value_duration(no_duration[i], &v));
    }
    assert_true(trib_value_count("9223372036854775807", &v) && v == INT64_MAX);
    assert_false(trib_value_count("9223372036854775808", &v));
}

/* ---- files ---- */

static void test_load(void **state)
{
    (void)state;
    char dir[] = "/tmp/tributary-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = trib_asprintf("%s/c.yaml", dir), *want = trib_asprintf("%s/lake", dir);
    struct trib_config *c = NULL;
    char *report = NULL;
    struct trib_err err = {0};
    assert_int_equal(trib_config_load(path, &c, &report, &err), TRIB_E_CONFIG);
    assert_non_null(strstr(err.msg, "No such file"));
    FILE *f = fopen(path, "w");
    (void)fputs(
        "pipeline: a\nlake: lake\ntables: [{name: A, key: {partition: k}, source: {type: files, path: in}}]\ngold: [{sql: no.sql}]\n",
        f);
    (void)fclose(f);
    assert_int_equal(trib_config_load(path, &c, &report, &err), TRIB_E_CONFIG);
    assert_non_null(strstr(report, "c.yaml:4:14: `gold.sql`: there is no file "));
    free(report);
    char *sql = trib_asprintf("%s/no.sql", dir);
    f = fopen(sql, "w");
    (void)fclose(f);
    assert_int_equal(trib_config_load(path, &c, NULL, &err), 0);
    assert_string_equal(c->lake, want); /* relative to the file, wherever we are */
    assert_int_equal(c->n_warnings, 1);
    assert_non_null(strstr(c->warnings[0], "c.yaml:3:69: `source.path`: "));
    trib_config_free(c);
    assert_int_equal(trib_config_load(dir, &c, NULL, &err), TRIB_E_CONFIG);
    (void)unlink(sql);
    (void)unlink(path);
    (void)rmdir(dir);
    free(sql);
    free(path);
    free(want);
}

/* ---- what is generated ---- */

static void test_starter_is_valid(void **state)
{
    (void)state;
    struct trib_buf b;
    trib_buf_init(&b, 1 << 20);
    trib_config_starter(&b);
    struct trib_config *c = good(b.p);
    assert_string_equal(c->pipeline, "shop");
    assert_string_equal(c->tables[0].name, "Orders");
    trib_config_free(c);
    /* With everything that is commented out, it is valid too. */
    struct trib_buf all;
    trib_buf_init(&all, 1 << 20);
    for (const char *p = b.p; *p != '\0';) {
        size_t n = strcspn(p, "\n"), indent = strspn(p, " ");
        bool key =
            p[indent] == '#' && p[indent + 1] == ' ' && strspn(p + indent + 2, "abcdefghijklmnopqrstuvwxyz_- ") > 0;
        size_t word = key ? strspn(p + indent + 2, "abcdefghijklmnopqrstuvwxyz_-") : 0;
        word += key && p[indent + 2] == '-' ? 1 + strspn(p + indent + 4, "abcdefghijklmnopqrstuvwxyz_") : 0;
        key = key && word > 0 && p[indent + 2 + word] == ':' && strchr(" \n", p[indent + 2 + word + 1]) != NULL;
        trib_buf_add(&all, p, indent);
        trib_buf_add(&all, p + indent + (key ? 2 : 0), n - indent - (key ? 2 : 0));
        trib_buf_addc(&all, '\n');
        p += n + 1;
    }
    c = good(all.p);
    assert_int_equal(c->n_gold, 1);
    assert_int_equal(c->tables[0].n_hints, 2);
    assert_string_equal(c->tables[0].silver[0].where, "type = 'order'");
    trib_config_free(c);
    trib_buf_free(&all);
    trib_buf_free(&b);
}

/* `validate -v` shows a config that means the same. */
static void test_effective_is_a_config(void **state)
{
    (void)state;
    struct trib_config *c = good(
        HEAD
        "defaults: {silver: {deletes: hard}}\n" TABLE
        "    schema: {hints: {\"a b\": 'decimal(5,1)'}}\n    silver: [{where: \"a = '\\\"x\\\"'\", table: a}, {table: b}]\n"
        "gold: [{sql: x.sql}]\n");
    struct trib_buf a, b;
    trib_buf_init(&a, 1 << 20);
    trib_buf_init(&b, 1 << 20);
    trib_config_effective(c, &a);
    struct trib_config *again = good(a.p);
    assert_string_equal(again->tables[0].silver[0].where, "a = '\"x\"'");
    assert_true(again->tables[0].silver[1].hard_deletes);
    assert_string_equal(again->tables[0].hints[0].path, "a b");
    trib_config_effective(again, &b);
    assert_string_equal(a.p, b.p);
    trib_buf_free(&a);
    trib_buf_free(&b);
    trib_config_free(c);
    trib_config_free(again);
}

static void count_key(void *ctx, const struct trib_key *key, const char *name)
{
    (void)name;
    assert_non_null(key->text);
    *(size_t *)ctx += 1;
}

static void test_table_of_keys(void **state)
{
    (void)state;
    size_t n;
    const struct trib_key *all = trib_keys_table(&n);
    for (size_t i = 0; i < n; i++) {
        const struct trib_key *k = &all[i];
        assert_ptr_equal(trib_key_find(k->path), k); /* no two of one path */
        char *parent = trib_strdup(k->path), *dot = strrchr(parent, '.');
        if (dot != NULL) { /* a key stands below a block */
            *dot = '\0';
            const struct trib_key *p = trib_key_find(parent);
            assert_non_null(p);
            assert_true(p->form == TRIB_KEY_MAP || p->form == TRIB_KEY_BLOCKS);
        }
        free(parent);
        if (k->like != NULL) {
            assert_true(strlen(k->like) < strlen(k->path)); /* so that following it ends */
        }
        if (k->initial != NULL && k->form != TRIB_KEY_DICT && k->form != TRIB_KEY_TEXTS && k->form != TRIB_KEY_BLOCKS) {
            char *wrong = trib_value_check(k, k->initial, k->initial); /* a default is a good value */
            assert_null(wrong);
        }
    }
    size_t top = 0, defaults = 0, tables = 0;
    trib_key_children("", count_key, &top);
    trib_key_children("defaults", count_key, &defaults);
    trib_key_children("tables", count_key, &tables);
    assert_true(top > 10 && tables > 10 && defaults == tables);
    assert_ptr_equal(trib_key_find("defaults.silver.deletes"), trib_key_find("tables.silver.deletes"));
    assert_ptr_equal(trib_key_find("tables.aws.region"), trib_key_find("aws.region"));
    assert_ptr_equal(trib_key_find("s3.raw.gold.sse"), trib_key_find("s3.sse"));
    assert_null(trib_key_find("tables.silver.nothing"));
}

/* Every key of the table stands in the JSON Schema and in the reference. */
static void test_schema_and_reference(void **state)
{
    (void)state;
    struct trib_buf b;
    trib_buf_init(&b, 4 << 20);
    trib_config_json_schema(&b);
    json_error_t e;
    json_t *j = json_loads(b.p, 0, &e);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "$schema")),
                        "https://json-schema.org/draft/2020-12/schema");
    assert_string_equal(json_string_value(json_array_get(json_object_get(j, "required"), 0)), "pipeline");
    json_decref(j);
    struct trib_buf r;
    trib_buf_init(&r, 4 << 20);
    trib_config_reference(&r);
    size_t n;
    const struct trib_key *all = trib_keys_table(&n);
    for (size_t i = 0; i < n; i++) {
        char *quoted = trib_asprintf("\"%s\":", trib_key_name(&all[i])), *row = trib_asprintf("| `%s` |", all[i].path);
        assert_non_null(strstr(b.p, quoted));
        assert_non_null(strstr(r.p, row));
        free(quoted);
        free(row);
    }
    trib_buf_free(&b);
    trib_buf_free(&r);
}

static void test_reference_is_current(void **state)
{
    (void)state;
    struct trib_buf b, file;
    trib_buf_init(&b, 4 << 20);
    trib_buf_init(&file, 4 << 20);
    trib_config_reference(&b);
    FILE *f = fopen("docs/configuration.md", "r");
    assert_non_null(f);
    int c;
    while ((c = fgetc(f)) != EOF) {
        trib_buf_addc(&file, (char)c);
    }
    (void)fclose(f);
    if (strcmp(file.p, b.p) != 0) {
        print_error("docs/configuration.md is not current: scripts/docs\n");
    }
    assert_string_equal(file.p, b.p);
    trib_buf_free(&b);
    trib_buf_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything_set),
        cmocka_unit_test(test_dms),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_names_by_default),
        cmocka_unit_test(test_defaults_spelled_out),
        cmocka_unit_test(test_s3),
        cmocka_unit_test(test_defaults_are_merged),
        cmocka_unit_test(test_anchors),
        cmocka_unit_test(test_substitution),
        cmocka_unit_test(test_substitution_is_after_parsing),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_all_are_reported_once),
        cmocka_unit_test(test_secrets_are_not_in_errors),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_many_tables),
        cmocka_unit_test(test_bytes_that_are_not_text),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_starter_is_valid),
        cmocka_unit_test(test_effective_is_a_config),
        cmocka_unit_test(test_table_of_keys),
        cmocka_unit_test(test_schema_and_reference),
        cmocka_unit_test(test_reference_is_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
