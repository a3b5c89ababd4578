/* Manifests of exports: the real one, incremental ones, re-rooting, and everything that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "ingest/manifest.h"

#define MD5        "rzAeIrtALbOlNdK5Hh8tgA=="
#define ENTRY(key) "{\"itemCount\":3,\"md5Checksum\":\"" MD5 "\",\"etag\":\"x-1\",\"dataFileS3Key\":\"" key "\"}\n"
#define FULL                                                                                                                             \
    "{\"version\":\"2020-06-30\",\"exportArn\":\"arn:aws:dynamodb:eu-central-1:1:table/T/export/0171-c4\",\"tableArn\":"                 \
    "\"arn:aws:dynamodb:eu-central-1:1:table/T\",\"exportTime\":\"2024-05-14T11:14:20.608Z\",\"s3Prefix\":\"p\",\"manifestFilesS3Key\":" \
    "\"p/AWSDynamoDB/0171-c4/manifest-files.json\",\"itemCount\":3,\"outputFormat\":\"DYNAMODB_JSON\"}"

static int parse(const char *summary, const char *files, const char *key, struct trib_manifest *m, struct trib_err *err)
{
    return trib_manifest_parse(trib_view_of(summary), trib_view_of(files), key, m, err);
}

static void full_export(void **state)
{
    (void)state;
    struct trib_manifest m;
    struct trib_err err;
    assert_int_equal(parse(FULL, ENTRY("p/AWSDynamoDB/0171-c4/data/a.json.gz"),
                           "x/y/AWSDynamoDB/0171-c4/manifest-summary.json", &m, &err),
                     0);
    assert_false(m.incremental);
    assert_string_equal(m.id, "0171-c4");
    assert_string_equal(m.table, "T");
    assert_int_equal(m.time_us, INT64_C(1715685260608000));
    assert_int_equal(m.n_files, 1);
    assert_string_equal(m.files[0].key, "x/y/AWSDynamoDB/0171-c4/data/a.json.gz");
    assert_int_equal(m.files[0].items, 3);
    static const unsigned char md5[16] = {0xaf, 0x30, 0x1e, 0x22, 0xbb, 0x40, 0x2d, 0xb3,
                                          0xa5, 0x35, 0xd2, 0xb9, 0x1e, 0x1f, 0x2d, 0x80};
    assert_memory_equal(m.files[0].md5, md5, 16);
    trib_manifest_free(&m);
}

static void incremental_export(void **state)
{
    (void)state;
    struct trib_manifest m;
    struct trib_err err;
    static const char summary[] =
        "{\"version\":\"2023-08-01\",\"exportFromTime\":\"2026-01-01T00:00:00Z\",\"exportToTime\":\"2026-01-01T01:00:00.5Z\",\"outputView\":"
        "\"NEW_AND_OLD_IMAGES\",\"exportType\":\"INCREMENTAL_EXPORT\",\"itemCount\":6,\"outputFormat\":\"DYNAMODB_JSON\"}";
    assert_int_equal(parse(summary, ENTRY("p/AWSDynamoDB/data/b.json.gz") "\n \n" ENTRY("p/AWSDynamoDB/data/c.json.gz"),
                           "AWSDynamoDB/0172/manifest-summary.json", &m, &err),
                     0);
    assert_true(m.incremental);
    assert_int_equal(m.from_us, INT64_C(1767225600000000));
    assert_int_equal(m.time_us, INT64_C(1767229200500000));
    assert_int_equal(m.n_files, 2);
    assert_string_equal(m.files[1].key, "AWSDynamoDB/data/c.json.gz");
    assert_string_equal(m.table, "");
    trib_manifest_free(&m);
}

/* Copied anywhere, the last AWSDynamoDB/ counts on both sides; a folder copied alone is its own root. */
static void rerooted(void **state)
{
    (void)state;
    struct trib_manifest m;
    struct trib_err err;
    static const struct {
        const char *summary_key, *expected;
    } cases[] = {
        {"AWSDynamoDB/0171-c4/manifest-summary.json", "AWSDynamoDB/0171-c4/data/a.json.gz"},
        {"old/AWSDynamoDB/new/AWSDynamoDB/0171-c4/manifest-summary.json",
         "old/AWSDynamoDB/new/AWSDynamoDB/0171-c4/data/a.json.gz"},
        {"manifest-summary.json", "data/a.json.gz"},
        {"copies/orders/manifest-summary.json", "copies/orders/data/a.json.gz"},
        {"myAWSDynamoDB/x/manifest-summary.json", "myAWSDynamoDB/x/data/a.json.gz"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(
            parse(FULL, ENTRY("a/AWSDynamoDB/b/AWSDynamoDB/0171-c4/data/a.json.gz"), cases[i].summary_key, &m, &err),
            0);
        assert_string_equal(m.files[0].key, cases[i].expected);
        trib_manifest_free(&m);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char good[] = ENTRY("p/AWSDynamoDB/0171-c4/data/a.json.gz");
    static const struct {
        const char *summary, *files;
        int code;
        const char *says;
    } cases[] = {
        {"", good, TRIB_E_DATA, "no JSON object"},
        {"[]", good, TRIB_E_DATA, "no JSON object"},
        {"{\"itemCount\":", good, TRIB_E_DATA, "line 1"},
        {"{\"outputFormat\":\"ION\",\"exportTime\":\"2024-05-14T11:14:20Z\"}", good, TRIB_E_UNSUPPORTED, "ION"},
        {"{\"outputFormat\":\"CSV\",\"exportTime\":\"2024-05-14T11:14:20Z\"}", good, TRIB_E_UNSUPPORTED, "CSV"},
        {"{\"exportType\":\"OTHER\"}", good, TRIB_E_UNSUPPORTED, "OTHER"},
        {"{\"exportType\":\"FULL_EXPORT\"}", good, TRIB_E_DATA, "exportTime"},
        {"{\"exportTime\":\"yesterday\"}", good, TRIB_E_DATA, "yesterday"},
        {"{\"exportType\":\"INCREMENTAL_EXPORT\",\"exportFromTime\":\"2024-05-14T11:14:20Z\"}", good, TRIB_E_DATA,
         "exportToTime"},
        {FULL, "{\"itemCount\":3", TRIB_E_DATA, "manifest-files.json"},
        {FULL, "7\n", TRIB_E_DATA, "byte 0"},
        {FULL, "{}", TRIB_E_DATA, "dataFileS3Key"},
        {FULL, "{\"dataFileS3Key\":\"p/AWSDynamoDB/0171-c4/data/a\",\"md5Checksum\":\"" MD5 "\"}", TRIB_E_DATA,
         "itemCount"},
        {FULL, "{\"dataFileS3Key\":\"p/AWSDynamoDB/0171-c4/data/a\",\"itemCount\":-1,\"md5Checksum\":\"" MD5 "\"}",
         TRIB_E_DATA, "itemCount"},
        {FULL, "{\"dataFileS3Key\":\"p/AWSDynamoDB/0171-c4/data/a\",\"itemCount\":3}", TRIB_E_DATA, "md5Checksum"},
        {FULL, "{\"dataFileS3Key\":\"p/AWSDynamoDB/0171-c4/data/a\",\"itemCount\":3,\"md5Checksum\":\"xx\"}",
         TRIB_E_DATA, "md5Checksum"},
        {FULL, ENTRY("elsewhere/data/a.json.gz"), TRIB_E_DATA, "AWSDynamoDB/"},
        {FULL, ENTRY("p/AWSDynamoDB/../../etc/passwd"), TRIB_E_DATA, "no file below"},
        {FULL, ENTRY("p/AWSDynamoDB//a"), TRIB_E_DATA, "no file below"},
        {FULL, ENTRY("p/AWSDynamoDB/0171-c4/data/a") ENTRY("p/AWSDynamoDB/0171-c4/data/b"), TRIB_E_DATA,
         "itemCount is 3, but the files of manifest-files.json have 6"},
        {FULL, "", TRIB_E_DATA, "have 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trib_manifest m = {.n_files = 77};
        struct trib_err err;
        int rc = parse(cases[i].summary, cases[i].files, "AWSDynamoDB/0171-c4/manifest-summary.json", &m, &err);
        if (rc != cases[i].code || strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("case %zu: %s: %s", i, trib_code_name((enum trib_code)rc), err.msg);
        }
        assert_int_equal(m.n_files, 77);
        assert_non_null(strstr(err.msg, "manifest-"));
    }
}

static void times(void **state)
{
    (void)state;
    int64_t us;
    assert_true(trib_iso_time("1970-01-01T00:00:00Z", &us));
    assert_int_equal(us, 0);
    assert_true(trib_iso_time("2000-02-29T23:59:59.123456789Z", &us));
    assert_int_equal(us, INT64_C(951868799123456));
    static const char *const bad[] = {"",
                                      "2024-05-14",
                                      "2024-05-14T11:14:20",
                                      "2024-05-14T11:14:20+01:00",
                                      "2024-13-14T11:14:20Z",
                                      "2024-00-14T11:14:20Z",
                                      "2024-05-32T11:14:20Z",
                                      "2024-05-14T24:14:20Z",
                                      "2024-05-14 11:14:20Z",
                                      "2024-05-14T11:14:20ZZ",
                                      "20a4-05-14T11:14:20Z"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(trib_iso_time(bad[i], &us));
    }
}

static void tails(void **state)
{
    (void)state;
    assert_string_equal(trib_export_tail("a/AWSDynamoDB/b/c"), "b/c");
    assert_string_equal(trib_export_tail("AWSDynamoDB/AWSDynamoDB/c"), "c");
    assert_string_equal(trib_export_tail("AWSDynamoDB/"), "");
    assert_null(trib_export_tail("xAWSDynamoDB/a"));
    assert_null(trib_export_tail("AWSDynamoDB"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_export), cmocka_unit_test(incremental_export),
        cmocka_unit_test(rerooted),    cmocka_unit_test(refused),
        cmocka_unit_test(times),       cmocka_unit_test(tails),
    };
    return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
