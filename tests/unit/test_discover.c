/* Which files come next: order, limits, what is skipped, exports by manifest, refusals, changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "drain.h"
#include "ingest/discover.h"
#include "ingest/source.h"

/* The next batch as "key key …" after taking it; "!CODE message" on failure. [out] free() */
static char *next(struct trib_discover *d, struct trib_taken *t)
{
    struct trib_source_batch b = {0};
    struct trib_err err = {0};
    struct trib_buf text;
    trib_buf_init(&text, 1 << 20);
    if (trib_discover_next(d, t, &b, &err) != 0) {
        trib_buf_addf(&text, "!%s %s", trib_code_name(err.code), err.msg);
        return trib_buf_take(&text);
    }
    for (size_t i = 0; i < b.n; i++) {
        trib_buf_addf(&text, "%s%s", i > 0 ? " " : "", b.files[i].key);
        trib_taken_add(t, trib_view_of(b.files[i].key));
        (void)trib_taken_changed(t, trib_view_of(b.files[i].key), b.files[i].size, b.files[i].mtime_us);
    }
    trib_source_batch_free(&b);
    trib_buf_adds(&text, "");
    return trib_buf_take(&text);
}

static void gives(struct trib_discover *d, struct trib_taken *t, const char *expected)
{
    char *got = next(d, t);
    assert_string_equal(got, expected);
    free(got);
}

static void fails(struct trib_discover *d, struct trib_taken *t, const char *code, const char *says)
{
    char *got = next(d, t);
    if (got[0] != '!' || strncmp(got + 1, code, strlen(code)) != 0 || strstr(got, says) == NULL) {
        fail_msg("expected %s with \"%s\", got: %s", code, says, got);
    }
    free(got);
}

static void plain(void **state)
{
    struct lake *l = *state;
    static const char *const files[] = {"b.json",
                                        "a.json",
                                        "2026/01/02/03/x.gz",
                                        "2026/01/02/03/bucket=07/y",
                                        "a b/\xc3\xa4.json",
                                        "_tmp.json",
                                        ".hidden",
                                        "x/_part/z.json",
                                        "x/.tmp/z.json",
                                        "processing-failed/2026/f",
                                        "x/processing-failed/f",
                                        "format-conversion-failed/f",
                                        "y/processing-failed"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        put_text(l, files[i], "{}");
    }
    struct trib_ingest_opts o = options(l);
    struct trib_taken *t = trib_taken_new(&l->env, "T");
    struct trib_discover *d = trib_discover_new(&l->env, &o);
    gives(d, t, "2026/01/02/03/bucket=07/y 2026/01/02/03/x.gz a b/\xc3\xa4.json a.json b.json y/processing-failed");
    gives(d, t, "");
    put_text(l, "aa.json", "{}");
    gives(d, t, "aa.json");
    assert_string_equal(l->logged, "");
    put_text(l, "a.json", "{\"more\":1}");
    gives(d, t, "");
    gives(d, t, "");
    assert_non_null(strstr(l->logged, "file=a.json"));
    assert_ptr_equal(strstr(l->logged, "changed"), strstr(l->logged, "changed after"));
    char *first = strstr(l->logged, "a file changed");
    assert_null(strstr(first + 1, "a file changed")); /* told once */
    trib_discover_free(d);
    trib_taken_free(t);
}

static void limits(void **state)
{
    struct lake *l = *state;
    char bytes[1000];
    memset(bytes, ' ', sizeof bytes);
    for (int i = 0; i < 7; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "f%d", i);
        put_bytes(l, key, bytes, i == 3 ? 1000 : 100);
    }
    struct trib_ingest_opts o = options(l);
    struct trib_taken *t = trib_taken_new(&l->env, "T");
    o.batch_files = 2;
    struct trib_discover *d = trib_discover_new(&l->env, &o);
    gives(d, t, "f0 f1");
    o.batch_bytes = 500;
    gives(d, t, "f2");
    gives(d, t, "f3"); /* larger than the limit: one is always taken */
    o.batch_files = 1000;
    trib_taken_add(t, TRIB_VIEW_LIT("f5")); /* another process was first */
    gives(d, t, "f4 f6");
    gives(d, t, "");
    trib_discover_free(d);
    trib_taken_free(t);
}

static void nothing(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    struct trib_taken *t = trib_taken_new(&l->env, "T");
    struct trib_discover *d = trib_discover_new(&l->env, &o);
    gives(d, t, "");
    gives(d, t, "");
    assert_non_null(strstr(l->logged, "the source is empty"));
    trib_discover_free(d);
    o.type = TRIB_SOURCE_EXPORT;
    d = trib_discover_new(&l->env, &o);
    fails(d, t, "NOT_FOUND", "manifest-summary.json");
    trib_discover_free(d);
    trib_taken_free(t);
}

#define ITEM "{\"Item\":{\"pk\":{\"S\":\"1\"}}}\n"

static void exports(void **state)
{
    struct lake *l = *state;
    const struct export_file one[] = {{.name = "b.json.gz", .text = ITEM, .items = 1},
                                      {.name = "a.json.gz", .text = "", .items = 0}};
    const struct export_file two[] = {{.name = "w1.json.gz", .text = ITEM, .items = 1}},
                             three[] = {{.name = "w2.json.gz", .text = ITEM, .items = 1}};
    put_export(l, "in/", "0171", "T", true, one, 2);
    put_export(l, "in/", "0172", "T", false, two, 1);
    put_text(l, "in/AWSDynamoDB/0171/data/stray.json.gz", "not in the manifest");
    put_text(l, "in/AWSDynamoDB/data/early.json.gz", "its manifest is not there yet");
    put_text(l, "in/change.json", "{}");
    struct trib_ingest_opts o = options(l);
    struct trib_taken *t = trib_taken_new(&l->env, "T");
    struct trib_discover *d = trib_discover_new(&l->env, &o);
    gives(
        d, t,
        "in/AWSDynamoDB/0171/data/a.json.gz in/AWSDynamoDB/0171/data/b.json.gz in/AWSDynamoDB/data/w1.json.gz in/change.json");
    gives(d, t, "");
    put_export(l, "in/", "0173", "T", false, three, 1);
    struct trib_err err = {0};
    ok(trib_store_remove(l->source, "in/AWSDynamoDB/0173/manifest-files.json", &err), &err);
    gives(d, t, "");
    assert_non_null(strstr(l->logged, "waits for its manifest-files.json"));
    put_export(l, "in/", "0173", "T", false, three, 1);
    gives(d, t, "in/AWSDynamoDB/data/w2.json.gz");
    gives(d, t, "");
    trib_discover_free(d);
    /* of an export source, exports only; their facts come along */
    trib_taken_free(t);
    t = trib_taken_new(&l->env, "T");
    o.type = TRIB_SOURCE_EXPORT;
    o.batch_files = 2;
    d = trib_discover_new(&l->env, &o);
    struct trib_source_batch b = {0};
    ok(trib_discover_next(d, t, &b, &err), &err);
    assert_int_equal(b.n, 2);
    assert_int_equal(b.files[0].items, 0);
    assert_int_equal(b.files[1].items, 1);
    assert_false(b.files[1].incremental);
    assert_int_equal(b.files[1].export_time_us, INT64_C(1767225600000000));
    assert_true(b.files[1].size > 20 && b.files[1].mtime_us > 0);
    trib_source_batch_free(&b);
    ok(trib_discover_next(d, t, &b, &err), &err);
    assert_int_equal(b.n, 2);
    assert_true(b.files[0].incremental);
    assert_int_equal(b.files[0].export_time_us, INT64_C(1767229200000000));
    trib_source_batch_free(&b);
    trib_discover_free(d);
    trib_taken_free(t);
}

/* The source may be the export's own folder, AWSDynamoDB, or a copy of the folder under another name. */
static void roots(void **state)
{
    struct lake *l = *state;
    const struct export_file files[] = {{.name = "a.json.gz", .text = ITEM, .items = 1}};
    put_export(l, "", "0171", "T", true, files, 1);
    put_export(l, "", "0172", "T", false, &(const struct export_file){.name = "w.json.gz", .text = ITEM, .items = 1},
               1);
    static const struct {
        const char *path, *expected;
    } cases[] = {
        {"in", "AWSDynamoDB/0171/data/a.json.gz AWSDynamoDB/data/w.json.gz"},
        {"in/AWSDynamoDB", "0171/data/a.json.gz data/w.json.gz"},
        {"in/AWSDynamoDB/0171", "data/a.json.gz"},
        {"in/AWSDynamoDB/0171/./", "data/a.json.gz"},
        {"in/AWSDynamoDB/0171/data", "a.json.gz"},    /* a folder of files like any other: no manifest is in sight */
        {"in/AWSDynamoDB/0172", "../data/w.json.gz"}, /* an incremental export's data lies beside its folder */
        {"in/AWSDynamoDB/0172//", "../data/w.json.gz"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trib_err err = {0};
        struct trib_ingest_opts o = options(l);
        char *path = trib_asprintf("%s/%s", l->folder, cases[i].path);
        ok(trib_source_open(&trib_fs_real, NULL, path, &o.source, &err), &err);
        struct trib_taken *t = trib_taken_new(&l->env, "T");
        struct trib_discover *d = trib_discover_new(&l->env, &o);
        gives(d, t, cases[i].expected);
        gives(d, t, "");
        trib_discover_free(d);
        trib_taken_free(t);
        trib_store_free(o.source);
        free(path);
    }
    struct trib_err err = {0};
    struct trib_ingest_opts o = options(l);
    struct trib_taken *t = trib_taken_new(&l->env, "T");
    /* the folder copied alone: data/ is the export's, not plain files */
    char *from = trib_asprintf("%s/in/AWSDynamoDB/0171", l->folder), *to = trib_asprintf("%s/copy", l->folder);
    assert_int_equal(rename(from, to), 0);
    ok(trib_source_open(&trib_fs_real, NULL, to, &o.source, &err), &err);
    struct trib_discover *d = trib_discover_new(&l->env, &o);
    gives(d, t, "data/a.json.gz");
    trib_discover_free(d);
    trib_store_free(o.source);
    trib_taken_free(t);
    free(from);
    free(to);
}

/* What an own folder's source reaches: its own files, the shared data folder's by name, and nothing else above the root. */
static void own_folder(void **state)
{
    struct lake *l = *state;
    struct trib_err err = {0};
    put_export(l, "", "0172", "T", false, &(const struct export_file){.name = "w.json.gz", .text = ITEM, .items = 1},
               1);
    put_export(l, "", "0173", "T", false, &(const struct export_file){.name = "o.json.gz", .text = ITEM, .items = 1},
               1);
    put_text(l, "AWSDynamoDB/data/stray.json.gz", "another export's");
    struct trib_ingest_opts o = options(l);
    o.type = TRIB_SOURCE_EXPORT;
    char *folder = trib_asprintf("%s/in/AWSDynamoDB/0172", l->folder);
    ok(trib_source_open(&trib_fs_real, NULL, folder, &o.source, &err), &err);
    struct trib_taken *t = trib_taken_new(&l->env, "T");
    struct trib_discover *d = trib_discover_new(&l->env, &o);
    gives(d, t, "../data/w.json.gz");
    gives(d, t, "");
    trib_discover_free(d);
    d = trib_discover_new(&l->env, &o); /* again, by a process that knows what is taken */
    gives(d, t, "");
    trib_discover_free(d);
    trib_taken_free(t);
    t = trib_taken_new(&l->env, "T");
    d = trib_discover_new(&l->env, &o);
    ok(trib_store_remove(l->source, "AWSDynamoDB/data/w.json.gz", &err), &err);
    fails(d, t, "DATA", "../data/w.json.gz: the manifest of the export manifest-summary.json names this file");
    fails(d, t, "DATA", "with AWSDynamoDB/data");
    static const char *const no_keys[] = {
        "../0173/manifest-summary.json", "../data/../0173/manifest-summary.json", "../data/", "../data", "..", "../in"};
    for (size_t i = 0; i < sizeof no_keys / sizeof *no_keys; i++) {
        struct trib_buf b;
        trib_buf_init(&b, 1 << 20);
        assert_int_equal(trib_store_get(o.source, no_keys[i], 0, -1, &b, &err), TRIB_E_USAGE);
        trib_buf_free(&b);
    }
    assert_int_equal(trib_store_put(o.source, "../data/new", TRIB_VIEW_LIT("x"), true, &err), TRIB_E_USAGE);
    assert_int_equal(trib_store_remove(o.source, "../data/stray.json.gz", &err), TRIB_E_USAGE);
    trib_discover_free(d);
    trib_store_free(o.source);
    /* a full export's files do not lie there, whatever its manifest says */
    put_text(l, "AWSDynamoDB/0172/manifest-summary.json",
             "{\"exportTime\":\"2026-01-01T00:00:00Z\",\"itemCount\":1,\"outputFormat\":\"DYNAMODB_JSON\"}");
    ok(trib_source_open(&trib_fs_real, NULL, folder, &o.source, &err), &err);
    d = trib_discover_new(&l->env, &o);
    fails(d, t, "DATA", "outside of the source");
    trib_discover_free(d);
    trib_store_free(o.source);
    /* by a link: the data lies beside the link, as the path is written */
    char *link = trib_asprintf("%s/in/link/AWSDynamoDB/now", l->folder);
    put_export(l, "link/", "0174", "T", false,
               &(const struct export_file){.name = "o.json.gz", .text = ITEM, .items = 1}, 1);
    free(folder);
    folder = trib_asprintf("%s/in/AWSDynamoDB/0173", l->folder);
    assert_int_equal(symlink(folder, link), 0);
    ok(trib_store_remove(l->source, "AWSDynamoDB/data/o.json.gz", &err), &err);
    ok(trib_source_open(&trib_fs_real, NULL, link, &o.source, &err), &err);
    d = trib_discover_new(&l->env, &o);
    gives(d, t, "../data/o.json.gz");
    trib_discover_free(d);
    trib_store_free(o.source);
    trib_taken_free(t);
    free(folder);
    free(link);
}

/* The source is an incremental export's own folder: its data, beside it, is named from there; once, also by another process. */
static void own_folder_ingested(void **state)
{
    struct lake *l = *state;
    struct trib_err err = {0};
    struct trib_ingest_opts o = options(l);
    const struct export_file window[] = {
        {.name = "w.json.gz",
         .text =
             "{\"Metadata\":{\"WriteTimestampMicros\":{\"N\":\"1767226000000001\"}},\"Keys\":{\"pk\":{\"S\":\"k1\"}},"
             "\"NewImage\":{\"pk\":{\"S\":\"k1\"}}}\n{\"Metadata\":{},\"Keys\":{\"pk\":{\"S\":\"k2\"}}}\n",
         .items = 2},
        {.name = "none.json.gz", .text = "", .items = 0}};
    put_export(l, "x/", "0172", "T", false, window, 2);
    put_text(l, "x/AWSDynamoDB/0172/change.json", "{\"pk\":{\"S\":\"k9\"}}");
    char *folder = trib_asprintf("%s/in/x/AWSDynamoDB/0172", l->folder);
    ok(trib_source_open(&trib_fs_real, NULL, folder, &o.source, &err), &err);
    o.type = TRIB_SOURCE_EXPORT;
    assert_int_equal(drained(l, &o).rows_out, 1);
    answers(l, "bronze/dynamodb/T",
            "SELECT string_agg(concat_ws(' ', op, record.pk, _origin, _ingest_file), ',') FROM t",
            "INSERT k1 export ../data/w.json.gz");
    answers(l, "quarantine/dynamodb/T", "SELECT string_agg(_ingest_file, ',') FROM t", "../data/w.json.gz");
    answers(l, "bronze/_files/T", "SELECT string_agg(_ingest_file || ' ' || _reason, ',') FROM t",
            "../data/none.json.gz empty");
    assert_int_equal(drained(l, &o).files_in, 0);
    o.type = TRIB_SOURCE_FILES; /* of an export's own folder too, all that lies below AWSDynamoDB is the export's */
    assert_int_equal(drained(l, &o).files_in, 0);
    trib_store_free(o.source);
    free(folder);
}

/* A refused export holds up nothing else, is told at the end, every time, and comes when it was repaired. */
static void refusals(void **state)
{
    struct lake *l = *state;
    const struct export_file bad[] = {{.name = "a.json.gz", .text = ITEM, .items = 1},
                                      {.name = "b.json.gz", .text = ITEM ITEM, .items = 2, .wrong_md5 = true}};
    const struct export_file missing[] = {{.name = "c.json.gz", .text = ITEM, .items = 1, .absent = true}};
    const struct export_file good[] = {{.name = "d.json.gz", .text = ITEM, .items = 1}};
    put_export(l, "", "01", "T", true, bad, 2);
    put_export(l, "", "02", "T", true, good, 1);
    put_text(l, "z.json", "{}");
    struct trib_ingest_opts o = options(l);
    struct trib_taken *t = trib_taken_new(&l->env, "T");
    struct trib_discover *d = trib_discover_new(&l->env, &o);
    gives(d, t, "AWSDynamoDB/02/data/d.json.gz z.json");
    fails(d, t, "DATA", "AWSDynamoDB/01/data/b.json.gz: the checksum");
    fails(d, t, "DATA", "the manifest says");
    put_text(l, "zz.json", "{}");
    gives(d, t, "zz.json");
    fails(d, t, "DATA", "checksum");
    const struct export_file repaired[] = {{.name = "a.json.gz", .text = ITEM, .items = 1},
                                           {.name = "b.json.gz", .text = ITEM ITEM, .items = 2}};
    put_export(l, "", "01", "T", true, repaired, 2);
    gives(d, t, "AWSDynamoDB/01/data/a.json.gz AWSDynamoDB/01/data/b.json.gz");
    gives(d, t, "");
    put_export(l, "", "03", "T", true, missing, 1);
    fails(d, t, "DATA", "AWSDynamoDB/03/data/c.json.gz");
    fails(d, t, "DATA", "not there");
    put_export(l, "", "03", "T", true, &(const struct export_file){.name = "c.json.gz", .text = ITEM, .items = 1}, 1);
    gives(d, t, "AWSDynamoDB/03/data/c.json.gz");
    put_text(l, "AWSDynamoDB/04/manifest-files.json", "");
    put_text(l, "AWSDynamoDB/04/manifest-summary.json", "{\"outputFormat\":\"ION\"}");
    fails(d, t, "UNSUPPORTED", "ION");
    put_text(l, "AWSDynamoDB/04/manifest-summary.json",
             "{\"outputFormat\":\"DYNAMODB_JSON\",\"exportTime\":\"2026-01-01T00:00:00Z\",\"itemCount\":0}");
    gives(d, t, ""); /* an export without files */
    trib_discover_free(d);
    trib_taken_free(t);
}

/* A file found wrong later (its count): its export is out until it changes. */
static void refused_later(void **state)
{
    struct lake *l = *state;
    const struct export_file files[] = {{.name = "a.json.gz", .text = ITEM, .items = 1},
                                        {.name = "b.json.gz", .text = ITEM, .items = 1}};
    put_export(l, "", "01", "T", true, files, 2);
    struct trib_ingest_opts o = options(l);
    struct trib_taken *t = trib_taken_new(&l->env, "T");
    struct trib_discover *d = trib_discover_new(&l->env, &o);
    struct trib_source_batch b = {0};
    struct trib_err err = {0}, why = {0};
    ok(trib_discover_next(d, t, &b, &err), &err);
    assert_int_equal(b.n, 2);
    (void)trib_err_set(&why, TRIB_E_DATA, "counted otherwise");
    trib_discover_refuse(d, &b.files[1], &why);
    trib_source_batch_free(&b);
    fails(d, t, "DATA", "counted otherwise");
    fails(d, t, "DATA", "counted otherwise");
    set_mtime(l, "AWSDynamoDB/01/data/b.json.gz", 1700000000);
    gives(d, t, "AWSDynamoDB/01/data/a.json.gz AWSDynamoDB/01/data/b.json.gz");
    trib_discover_free(d);
    trib_taken_free(t);
}

static void stop_while_verifying(void **state)
{
    struct lake *l = *state;
    const struct export_file files[] = {{.name = "a.json.gz", .text = ITEM, .items = 1}};
    put_export(l, "", "01", "T", true, files, 1);
    struct trib_ingest_opts o = options(l);
    struct trib_taken *t = trib_taken_new(&l->env, "T");
    struct trib_discover *d = trib_discover_new(&l->env, &o);
    l->stop = true;
    fails(d, t, "CANCELLED", "checksums");
    l->stop = false;
    gives(d, t, "AWSDynamoDB/01/data/a.json.gz");
    trib_discover_free(d);
    trib_taken_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(limits, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(nothing, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(exports, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(roots, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(own_folder, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(own_folder_ingested, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(refusals, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(refused_later, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(stop_while_verifying, lake_setup, lake_teardown),
    };
    return cmocka_run_group_tests_name("discover", tests, NULL, NULL);
}
