/* Rows of Firehose's Parquet, as JSON, become change records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingest/firehose.h"

static void gives(const char *row, const char *expected)
{
    struct trib_buf to;
    trib_buf_init(&to, 1 << 20);
    assert_true(trib_firehose_record(trib_view_of(row), &to));
    assert_string_equal(to.p, expected);
    trib_buf_free(&to);
}

static void envelope(void **state)
{
    (void)state;
    gives(
        "{\"awsregion\":\"eu\",\"eventid\":\"u1\",\"eventname\":\"INSERT\",\"useridentity\":null,\"recordformat\":\"application/json\",\"tablename\":\"T\","
        "\"dynamodb\":{\"approximatecreationdatetime\":1719039879869591,\"keys\":{\"pk\":{\"s\":\"k\"}},\"newimage\":{\"pk\":{\"s\":\"k\"}},\"oldimage\":null,"
        "\"sizebytes\":41,\"approximatecreationdatetimeprecision\":\"MICROSECOND\"},\"eventsource\":\"aws:dynamodb\"}",
        "{\"awsRegion\":\"eu\",\"eventID\":\"u1\",\"eventName\":\"INSERT\",\"recordFormat\":\"application/json\",\"tableName\":\"T\","
        "\"dynamodb\":{\"ApproximateCreationDateTime\":1719039879869591,\"Keys\":{\"pk\":{\"S\":\"k\"}},\"NewImage\":{\"pk\":{\"S\":\"k\"}},"
        "\"SizeBytes\":41,\"ApproximateCreationDateTimePrecision\":\"MICROSECOND\"},\"eventSource\":\"aws:dynamodb\"}");
    gives("{\"useridentity\":{\"type\":\"Service\",\"principalid\":\"dynamodb.amazonaws.com\",\"other\":null}}",
          "{\"userIdentity\":{\"type\":\"Service\",\"principalId\":\"dynamodb.amazonaws.com\"}}");
    gives("{\"userIdentity\":{\"type\":null,\"principalid\":null},\"mine\":7}", "{\"mine\":7}");
    gives("{ \"EVENTID\" : \"x\" , \"dynamodb\" : { } }", "{\"eventID\":\"x\",\"dynamodb\":{}}");
    gives("{}", "{}");
}

static void values(void **state)
{
    (void)state;
    gives(
        "{\"dynamodb\":{\"newimage\":{\"pk\":{\"s\":\"k\",\"n\":null},\"absent\":null,\"gone\":{\"s\":null,\"n\":null},\"n\":{\"n\":1.50},\"t\":{\"n\":\"1.50\"},"
        "\"b\":{\"b\":\"eA==\"},\"t1\":{\"bool\":true},\"t2\":{\"bool\":\"FALSE\"},\"nul\":{\"null\":true},\"ss\":{\"ss\":[\"a\",\"b\"]},\"ns\":{\"ns\":[1,\"2\"]},"
        "\"m\":{\"m\":{\"S\":{\"s\":\"deep\"},\"no\":null}},\"e\":{\"m\":{\"a\":null}},\"l\":{\"l\":[{\"s\":\"x\",\"n\":null},{\"n\":2}]}}}}",
        "{\"dynamodb\":{\"NewImage\":{\"pk\":{\"S\":\"k\"},\"n\":{\"N\":\"1.50\"},\"t\":{\"N\":\"1.50\"},\"b\":{\"B\":\"eA==\"},\"t1\":{\"BOOL\":true},"
        "\"t2\":{\"BOOL\":false},\"nul\":{\"NULL\":true},\"ss\":{\"SS\":[\"a\",\"b\"]},\"ns\":{\"NS\":[\"1\",\"2\"]},\"m\":{\"M\":{\"S\":{\"S\":\"deep\"}}},"
        "\"e\":{\"M\":{}},\"l\":{\"L\":[{\"S\":\"x\"},{\"N\":\"2\"}]}}}}");
    gives("{\"dynamodb\":{\"newimage\":{\"l\":{\"l\":[{\"s\":null}]}}}}",
          "{\"dynamodb\":{\"NewImage\":{\"l\":{\"L\":[{}]}}}}");
    gives("{\"dynamodb\":{\"newimage\":{\"na\\\"me\\u00e9\":{\"s\":\"\\n\"}}}}",
          "{\"dynamodb\":{\"NewImage\":{\"na\\\"me\\u00e9\":{\"S\":\"\\n\"}}}}");
}

/* Where the table's schema has a string for an object. */
static void embedded(void **state)
{
    (void)state;
    gives("{\"dynamodb\":\"{\\\"Keys\\\":{\\\"pk\\\":{\\\"S\\\":\\\"a\\\\\\\"b\\\"}}}\"}",
          "{\"dynamodb\":{\"Keys\":{\"pk\":{\"S\":\"a\\\"b\"}}}}");
    gives(
        "{\"dynamodb\":{\"keys\":\"{\\\"pk\\\":{\\\"S\\\":\\\"k\\\"}}\",\"newimage\":{\"m\":{\"m\":\"{\\\"x\\\":{\\\"N\\\":\\\"1\\\"}}\"},\"v\":\"{\\\"S\\\":\\\"t\\\"}\"}}}",
        "{\"dynamodb\":{\"Keys\":{\"pk\":{\"S\":\"k\"}},\"NewImage\":{\"m\":{\"M\":{\"x\":{\"N\":\"1\"}}},\"v\":{\"S\":\"t\"}}}}");
}

static void broken(void **state)
{
    (void)state;
    static const char *const rows[] = {"",
                                       "7",
                                       "[]",
                                       "{",
                                       "{\"a\"",
                                       "{\"a\":",
                                       "{\"a\":1",
                                       "{\"dynamodb\":{\"keys\":{\"pk\":{\"s\":\"k\"}",
                                       "{\"dynamodb\":\"\\ud800\"}"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct trib_buf to;
        trib_buf_init(&to, 1 << 20);
        trib_buf_adds(&to, "kept");
        assert_false(trib_firehose_record(trib_view_of(rows[i]), &to));
        assert_int_equal(to.n, 4);
        trib_buf_free(&to);
    }
    struct trib_buf deep, to;
    trib_buf_init(&deep, 1 << 20);
    trib_buf_init(&to, 1 << 20);
    trib_buf_adds(&deep, "{\"dynamodb\":{\"newimage\":");
    for (int i = 0; i < 10000; i++) {
        trib_buf_adds(&deep, "{\"m\":");
    }
    assert_false(trib_firehose_record(trib_buf_view(&deep), &to));
    trib_buf_free(&deep);
    trib_buf_free(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(envelope), cmocka_unit_test(values), cmocka_unit_test(embedded),
                                       cmocka_unit_test(broken)};
    return cmocka_run_group_tests_name("firehose", tests, NULL, NULL);
}
