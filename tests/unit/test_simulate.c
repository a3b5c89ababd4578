/*
 * simulate: deterministic by seed; manifests, counts and MD5s are right; folding the records by sequence, without any code of the
 * simulation, gives the truth that it wrote; the fixed cast plays its roles; bad options are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <ftw.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"
#include "simulate/simulate.h"

static char base[] = "/tmp/test_simulate.XXXXXX";

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void run(const char *name, struct trib_sim_opts o, char path[256], struct trib_sim_result *r)
{
    struct trib_err err = {0};
    (void)snprintf(path, 256, "%s/%s", base, name);
    o.out = path;
    int rc = trib_simulate(&o, r, &err);
    if (rc != 0) {
        fail_msg("%s", err.msg);
    }
}

/* Every file below path, sorted, relative names. */
struct names {
    char **p;
    size_t n, cap, root;
};
static struct names *collecting;

static int collect(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    if (flag == FTW_F) {
        TRIB_GROW(collecting->p, collecting->cap, collecting->n + 1);
        collecting->p[collecting->n++] = trib_strdup(path + collecting->root + 1);
    }
    return 0;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static struct names files_below(const char *path)
{
    struct names f = {.root = strlen(path)};
    collecting = &f;
    assert_int_equal(nftw(path, collect, 16, FTW_PHYS), 0);
    qsort(f.p, f.n, sizeof *f.p, by_text);
    return f;
}

static void names_free(struct names *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->p[i]);
    }
    free(f->p);
}

static struct trib_buf slurp(const char *folder, const char *name)
{
    char path[1024];
    struct trib_buf b;
    trib_buf_init(&b, (size_t)1 << 28);
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char part[65536];
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;) {
        trib_buf_add(&b, part, n);
    }
    (void)fclose(f);
    return b;
}

static struct trib_buf gunzip(const char *folder, const char *name)
{
    char path[1024], part[65536];
    struct trib_buf b;
    trib_buf_init(&b, (size_t)1 << 28);
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    gzFile f = gzopen(path, "rb");
    assert_non_null(f);
    int n;
    while ((n = gzread(f, part, sizeof part)) > 0) {
        trib_buf_add(&b, part, (size_t)n);
    }
    assert_int_equal(n, 0);
    (void)gzclose(f);
    return b;
}

static json_t *json_file(const char *folder, const char *name)
{
    struct trib_buf b = slurp(folder, name);
    json_t *j = json_loadb(b.p, b.n, 0, NULL);
    trib_buf_free(&b);
    assert_non_null(j);
    return j;
}

static const char *text(const json_t *j, const char *key) { return json_string_value(json_object_get(j, key)); }
static long long number(const json_t *j, const char *key) { return json_integer_value(json_object_get(j, key)); }
static const char *attr(const json_t *item, const char *name, const char *type)
{
    return text(json_object_get(item, name), type);
}

/* pk/sk → {"item": image or null, "sequence": text} */
static void put(json_t *table, const json_t *keys, json_t *image, const char *sequence)
{
    char key[128];
    (void)snprintf(key, sizeof key, "%s/%s", attr(keys, "pk", "S"), attr(keys, "sk", "S"));
    const json_t *was = json_object_get(table, key);
    if (was != NULL) { /* numbers of any length compare by length, then digits */
        const char *old = text(was, "sequence");
        size_t a = strlen(old), b = strlen(sequence);
        if (a > b || (a == b && strcmp(old, sequence) >= 0)) {
            return;
        }
    }
    json_t *e = json_object();
    (void)json_object_set(e, "item", image != NULL ? image : json_null());
    (void)json_object_set_new(e, "sequence", json_string(sequence));
    (void)json_object_set_new(table, key, e);
}

/* One line after the other; NULL at the end. */
static char *next_line(char **at)
{
    char *line = *at, *end = strchr(line, '\n');
    if (end == NULL) {
        assert_int_equal(*line, '\0');
        return NULL;
    }
    *end = '\0';
    *at = end + 1;
    return line;
}

static void check_md5(const char *folder, const char *name, const char *expected)
{
    unsigned char sum[EVP_MAX_MD_SIZE], encoded[64];
    unsigned n = 0;
    struct trib_buf b = slurp(folder, name);
    assert_int_equal(EVP_Digest(b.p, b.n, sum, &n, EVP_md5(), NULL), 1);
    (void)EVP_EncodeBlock(encoded, sum, (int)n);
    assert_string_equal((const char *)encoded, expected);
    trib_buf_free(&b);
}

/* Reads the export by its manifests into table; returns the number of data files. */
static int read_export(const char *folder, json_t *table, long long items)
{
    char path[256];
    json_t *truth = json_file(folder, "_truth.json");
    const char *id = text(json_object_get(truth, "export"), "id");
    (void)snprintf(path, sizeof path, "AWSDynamoDB/%s/manifest-summary.json", id);
    json_t *summary = json_file(folder, path);
    assert_int_equal(number(summary, "itemCount"), items);
    assert_string_equal(text(summary, "outputFormat"), "DYNAMODB_JSON");
    const char *key = strstr(text(summary, "manifestFilesS3Key"), "AWSDynamoDB/");
    struct trib_buf manifest = slurp(folder, key);
    long long found = 0, empty = 0;
    int files = 0;
    char *at = manifest.p, *line;
    for (; (line = next_line(&at)) != NULL; files++) {
        json_t *m = json_loads(line, 0, NULL);
        const char *data = strstr(text(m, "dataFileS3Key"), "AWSDynamoDB/");
        check_md5(folder, data, text(m, "md5Checksum"));
        struct trib_buf lines = gunzip(folder, data);
        long long n = 0;
        char *l = lines.p, *item;
        while (l != NULL && (item = next_line(&l)) != NULL) {
            json_t *j = json_loads(item, 0, NULL);
            put(table, json_object_get(j, "Item"), json_object_get(j, "Item"), "0");
            json_decref(j);
            n++;
        }
        assert_int_equal(n, number(m, "itemCount"));
        found += n;
        empty += n == 0;
        trib_buf_free(&lines);
        json_decref(m);
    }
    assert_int_equal(found, items);
    assert_int_equal(json_object_size(table), items); /* no key twice */
    assert_int_equal(empty, 1);
    trib_buf_free(&manifest);
    json_decref(summary);
    json_decref(truth);
    return files;
}

struct told {
    long long ops[3], bad, ttl, redelivered, out_of_order;
};

static void take_record(json_t *table, json_t *events, const char *line, struct told *t, char last[64])
{
    json_t *r = json_loads(line, 0, NULL);
    if (r == NULL) {
        t->bad++;
        return;
    }
    const char *op = text(r, "eventName"), *id = text(r, "eventID");
    json_t *d = json_object_get(r, "dynamodb"), *new = json_object_get(d, "NewImage"),
           *old = json_object_get(d, "OldImage");
    t->ops[op[0] == 'I' ? 0 : op[0] == 'M' ? 1 : 2]++;
    assert_int_equal(new == NULL, op[0] == 'R');
    assert_int_equal(old == NULL, op[0] == 'I');
    assert_false(json_equal(new, old)); /* DynamoDB tells of no write that changed nothing */
    const json_t *identity = json_object_get(r, "userIdentity");
    if (identity != NULL) {
        assert_string_equal(text(identity, "principalId"), "dynamodb.amazonaws.com");
        assert_string_equal(op, "REMOVE");
        t->ttl++;
    }
    const char *sequence = text(d, "SequenceNumber");
    const json_t *before = json_object_get(events, id);
    if (before != NULL) {
        assert_true(json_equal(before, r)); /* the same record again */
        t->redelivered++;
    }
    size_t a = strlen(last), b = strlen(sequence);
    t->out_of_order += before == NULL && (a > b || (a == b && strcmp(last, sequence) > 0));
    (void)snprintf(last, 64, "%s", sequence);
    (void)json_object_set(events, id, r);
    put(table, json_object_get(d, "Keys"), new, sequence);
    json_decref(r);
}

static struct told read_stream(const char *folder, json_t *table, json_t *events)
{
    struct told t = {0};
    char last[64] = "";
    struct names f = files_below(folder);
    for (size_t i = 0; i < f.n; i++) {
        assert_null(strstr(f.p[i], "/.")); /* no temporary file is left */
        if (strncmp(f.p[i], "ingest_date=", 12) != 0) {
            continue;
        }
        struct trib_buf lines = gunzip(folder, f.p[i]);
        char *at = lines.p, *line;
        while (at != NULL && (line = next_line(&at)) != NULL) {
            take_record(table, events, line, &t, last);
        }
        trib_buf_free(&lines);
    }
    names_free(&f);
    return t;
}

/* What a price is worth in cents; only what simulate writes: digits, at most two after the point. */
static long long cents_of(const char *n)
{
    char *end;
    long long v = strtoll(n, &end, 10) * 100;
    if (*end == '.') {
        v += (end[1] - '0') * 10 + (end[2] != '\0' ? end[2] - '0' : 0);
    }
    return v;
}

static void check_truth(const json_t *truth, json_t *table, const struct told *told)
{
    long long live[2] = {0}, gone[2] = {0}, day_orders = 0, cents = 0, said_orders = 0, said_cents = 0;
    const char *key;
    json_t *e;
    json_object_foreach(table, key, e)
    {
        const json_t *item = json_object_get(e, "item");
        int kind = strstr(key, "/PROFILE") != NULL;
        live[kind] += json_is_object(item);
        gone[kind] += !json_is_object(item);
        if (kind == 1 || !json_is_object(item)) {
            continue;
        }
        assert_string_equal(attr(item, "type", "S"), "order");
        const char *status = attr(item, "status", "S"), *price = attr(item, "price", "N");
        if (strcmp(status, "cart") != 0 && strcmp(status, "cancelled") != 0 && strcmp(status, "returned") != 0) {
            day_orders++;
            cents += price != NULL ? cents_of(price) : 0;
        }
    }
    size_t i;
    json_array_foreach(json_object_get(truth, "revenue_by_day"), i, e)
    {
        said_orders += number(e, "orders");
        said_cents += cents_of(text(e, "revenue"));
    }
    assert_int_equal(said_orders, day_orders);
    assert_int_equal(said_cents, cents);
    const char *const kinds[] = {"orders", "customers"}, *const ops[] = {"INSERT", "MODIFY", "REMOVE"};
    for (int k = 0; k < 2; k++) {
        assert_int_equal(number(json_object_get(truth, kinds[k]), "live"), live[k]);
        assert_int_equal(number(json_object_get(truth, kinds[k]), "deleted"), gone[k]);
    }
    const json_t *records = json_object_get(truth, "records");
    for (int o = 0; o < 3; o++) {
        assert_int_equal(number(records, ops[o]), told->ops[o]);
    }
    assert_int_equal(number(records, "corrupt"), told->bad);
    assert_int_equal(number(records, "ttl"), told->ttl);
    assert_int_equal(number(records, "redelivered"), told->redelivered);
}

static const json_t *state_of(const json_t *table, const json_t *truth, const char *story)
{
    char key[128];
    const json_t *s = json_object_get(json_object_get(truth, "stories"), story);
    assert_non_null(s);
    (void)snprintf(key, sizeof key, "%s/%s", text(s, "pk"), text(s, "sk"));
    return json_object_get(json_object_get(table, key), "item");
}

static void check_stories(const json_t *table, const json_t *truth)
{
    assert_string_equal(attr(state_of(table, truth, "widened"), "price", "N"), "59.9");
    assert_string_equal(attr(state_of(table, truth, "rescued"), "price", "S"), "on request");
    assert_string_equal(attr(state_of(table, truth, "late_lost"), "status", "S"), "shipped");
    assert_string_equal(attr(state_of(table, truth, "late_won"), "status", "S"), "delivered");
    assert_string_equal(attr(state_of(table, truth, "new_column"), "loyalty_tier", "S"), "gold");
    assert_true(json_is_null(state_of(table, truth, "expired")));
    assert_true(json_is_null(state_of(table, truth, "removed")));
}

static void one_world(const char *name, struct trib_sim_opts o, bool cast)
{
    char path[256];
    struct trib_sim_result r;
    run(name, o, path, &r);
    json_t *table = json_object(), *events = json_object(), *truth = json_file(path, "_truth.json");
    int files = read_export(path, table, o.items);
    assert_int_equal(files, number(json_object_get(truth, "export"), "data_files"));
    assert_int_equal(r.customers + r.orders, o.items);
    if (cast) { /* whole euros only, until the stream brings cents; the column comes later too */
        const char *key;
        json_t *e;
        json_object_foreach(table, key, e)
        {
            const json_t *item = json_object_get(e, "item");
            const char *price = attr(item, "price", "N");
            assert_true(price == NULL || strchr(price, '.') == NULL);
            assert_null(json_object_get(item, "loyalty_tier"));
        }
        assert_string_equal(attr(state_of(table, truth, "widened"), "price", "N"), "60");
    }
    struct told told = read_stream(path, table, events);
    assert_int_equal(told.ops[0] + told.ops[1] + told.ops[2], r.records);
    assert_int_equal(told.ops[0] + told.ops[1] + told.ops[2] - told.redelivered, o.changes + (cast ? 5 : 0));
    assert_int_equal(told.bad, cast);
    check_truth(truth, table, &told);
    if (cast) {
        assert_true(told.out_of_order >= 2);
        assert_true(told.redelivered >= 1);
        assert_true(told.ttl >= 1);
        check_stories(table, truth);
    }
    json_decref(table);
    json_decref(events);
    json_decref(truth);
}

static void folding_the_records_gives_the_truth(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        char name[32];
        (void)snprintf(name, sizeof name, "world%d", (int)seed);
        one_world(name, (struct trib_sim_opts){.seed = seed, .items = 300 + (int64_t)seed * 7, .changes = 500}, true);
    }
    one_world("smallest cast", (struct trib_sim_opts){.seed = 8, .items = 50, .changes = 100}, true);
    one_world("many", (struct trib_sim_opts){.seed = 8, .items = 2000, .changes = 3000, .rate = 50}, true);
}

static void small_ones_have_no_cast(void **state)
{
    (void)state;
    one_world("tiny", (struct trib_sim_opts){.seed = 1, .items = 1, .changes = 0}, false);
    one_world("few items", (struct trib_sim_opts){.seed = 1, .items = 3, .changes = 40}, false);
    one_world("few changes", (struct trib_sim_opts){.seed = 1, .items = 100, .changes = 99}, false);
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    char a[256], b[256], c[256];
    struct trib_sim_result r;
    struct trib_sim_opts o = {.seed = 42, .items = 700, .changes = 400};
    run("a", o, a, &r);
    run("b", o, b, &r);
    o.seed = 43;
    run("c", o, c, &r);
    struct names fa = files_below(a), fb = files_below(b), fc = files_below(c);
    assert_int_equal(fa.n, fb.n);
    bool differs = fa.n != fc.n;
    for (size_t i = 0; i < fa.n; i++) {
        assert_string_equal(fa.p[i], fb.p[i]);
        struct trib_buf x = slurp(a, fa.p[i]), y = slurp(b, fb.p[i]);
        assert_int_equal(x.n, y.n);
        assert_memory_equal(x.p, y.p, x.n);
        trib_buf_free(&x);
        trib_buf_free(&y);
        differs = differs || strcmp(fa.p[i], fc.p[i]) != 0;
    }
    assert_true(differs);
    names_free(&fa);
    names_free(&fb);
    names_free(&fc);
}

static void wide_items_are_as_wide_as_asked(void **state)
{
    (void)state;
    char path[256];
    struct trib_sim_result r;
    run("wide", (struct trib_sim_opts){.seed = 1, .items = 20, .item_bytes = 400000}, path, &r);
    assert_true(r.raw_bytes > 16 * 399000 && r.raw_bytes < 17 * 400100);
}

static int64_t clock_now(void *ctx) { return *(int64_t *)ctx; }
static void clock_sleep(void *ctx, int64_t us) { *(int64_t *)ctx = us; }

static void live_delivers_at_the_rate(void **state)
{
    (void)state;
    char path[256];
    struct trib_sim_result r;
    int64_t now = 1800000000000000;
    struct trib_clock clock = {clock_now, &now};
    run("live",
        (struct trib_sim_opts){.seed = 1,
                               .items = 100,
                               .changes = 200,
                               .rate = 50,
                               .live = true,
                               .clock = &clock,
                               .sleep_until = clock_sleep,
                               .ctx = &now},
        path, &r);
    assert_in_range(now - 1800000000000000, 3900000, 4000000); /* 200 changes at 50 a second */
    struct names f = files_below(path);
    int stream = 0;
    for (size_t i = 0; i < f.n; i++) {
        stream += strncmp(f.p[i], "ingest_date=2027/01/15/08/", 26) == 0;
    }
    assert_int_equal(stream, 4); /* a file a second */
    names_free(&f);
    json_t *table = json_object(), *events = json_object(), *truth = json_file(path, "_truth.json");
    (void)read_export(path, table, 100);
    struct told told = read_stream(path, table, events);
    check_truth(truth, table, &told);
    json_decref(table);
    json_decref(events);
    json_decref(truth);
}

static void refuse(struct trib_sim_opts o, enum trib_code code, const char *says)
{
    struct trib_err err = {0};
    struct trib_sim_result r = {.items = -7};
    assert_int_equal(trib_simulate(&o, &r, &err), code);
    assert_int_equal(r.items, -7); /* outputs are untouched on failure */
    assert_non_null(strstr(err.msg, says));
}

static bool stop(void *ctx) { return ++*(int *)ctx > 2; }

static void bad_options_are_refused(void **state)
{
    (void)state;
    char out[256];
    (void)snprintf(out, sizeof out, "%s/refused", base);
    refuse((struct trib_sim_opts){.out = out, .items = 0}, TRIB_E_USAGE, "items");
    refuse((struct trib_sim_opts){.out = out, .items = 1, .changes = -1}, TRIB_E_USAGE, "changes");
    refuse((struct trib_sim_opts){.out = out, .items = 1, .item_bytes = 400001}, TRIB_E_USAGE, "item bytes");
    refuse((struct trib_sim_opts){.out = out, .items = 1, .rate = -1}, TRIB_E_USAGE, "rate");
    refuse((struct trib_sim_opts){.out = out, .items = 1, .live = true}, TRIB_E_USAGE, "rate");
    assert_int_not_equal(access(out, F_OK), 0); /* and nothing was made */
    refuse((struct trib_sim_opts){.out = base, .items = 1}, TRIB_E_EXISTS, "not empty");
    refuse((struct trib_sim_opts){.out = "/proc/nowhere", .items = 1}, TRIB_E_NOT_FOUND, "/proc/nowhere");
    int asked = 0;
    refuse((struct trib_sim_opts){.out = out, .items = 1000, .stop_asked = stop, .ctx = &asked}, TRIB_E_CANCELLED,
           "stopped");
    struct names f = files_below(out);
    for (size_t i = 0; i < f.n; i++) { /* no half file, no manifest */
        assert_null(strstr(f.p[i], "manifest"));
        assert_null(strstr(f.p[i], ".tmp"));
    }
    names_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folding_the_records_gives_the_truth), cmocka_unit_test(small_ones_have_no_cast),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),  cmocka_unit_test(wide_items_are_as_wide_as_asked),
        cmocka_unit_test(live_delivers_at_the_rate),           cmocka_unit_test(bad_options_are_refused),
    };
    if (mkdtemp(base) == NULL) {
        return 1;
    }
    int rc = cmocka_run_group_tests_name("simulate", tests, NULL, NULL);
    (void)nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return rc;
}
