/* Ingest takes what belongs to its table only, and no more columns than it may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drain.h"

#define BRONZE     "bronze/dynamodb/T"
#define QUARANTINE "quarantine/dynamodb/T"

#define KEY(k)       "\"Keys\":{\"pk\":{\"S\":\"" k "\"}}"
#define NEW(k, more) "\"NewImage\":{\"pk\":{\"S\":\"" k "\"}" more "}"

#define KINESIS(id, op, us, images)                                                    \
    "{\"awsRegion\":\"eu-west-1\",\"eventID\":\"" id "\",\"eventName\":\"" op          \
    "\",\"userIdentity\":null,\"recordFormat\":\"application/json\","                  \
    "\"tableName\":\"T\",\"dynamodb\":{\"ApproximateCreationDateTime\":" us "," images \
    ",\"SizeBytes\":41,\"ApproximateCreationDateTimePrecision\":\"MICROSECOND\"},\"eventSource\":\"aws:dynamodb\"}"

/* Attributes beyond the limit are rescued, the keys never; the item stays whole, later batches too. */
static void more_attributes_than_columns(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    o.schema.max_columns = 3;
    put_text(l, "1.json",
             "{\"Item\":{\"a\":{\"S\":\"1\"},\"b\":{\"S\":\"2\"},\"c\":{\"S\":\"3\"},\"pk\":{\"S\":\"k1\"}}}\n");
    assert_int_equal(drained(l, &o).rows_out, 1);
    put_text(l, "2.json",
             "{\"Item\":{\"a\":{\"S\":\"4\"},\"c\":{\"N\":\"5\"},\"d\":{\"S\":\"6\"},\"pk\":{\"S\":\"k2\"}}}\n");
    assert_int_equal(drained(l, &o).rows_out, 1);
    answers(
        l, BRONZE,
        "SELECT string_agg(concat_ws(' ', record.pk, record.a, record.b, _rescued_data), '|' ORDER BY record.pk) FROM t",
        "k1 1 2 {\"c\":{\"S\":\"3\"}}|k2 4 {\"c\":{\"N\":\"5\"},\"d\":{\"S\":\"6\"}}");
}

#define BY_ARN(table, seq, k)                                                                                         \
    "{\"eventID\":\"" k "\",\"eventName\":\"INSERT\",\"eventSourceARN\":\"" table                                     \
    "\",\"dynamodb\":{\"ApproximateCreationDateTime\":1464806460," KEY(k) "," NEW(k, "") ",\"SequenceNumber\":\"" seq \
                                                                                         "\"}}\n"

/* A stream that carries several tables: their keys look alike. */
static void another_table(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    static const char arn[] = BY_ARN("arn:aws:dynamodb:eu-west-1:1:table/T/stream/2026-01-01T00:00:00.000", "1", "mine")
        BY_ARN("arn:aws:dynamodb:eu-west-1:1:table/T2/stream/2026-01-01T00:00:00.000", "2", "theirs")
            BY_ARN("arn:aws:dynamodb:eu-west-1:1:table\\/T2\\/stream\\/2026", "3", "escaped")
                BY_ARN("arn:aws:dynamodb:eu-west-1:1:table\\/T\\/stream\\/2026", "4", "mine too");
    put_text(l, "a.json", arn);
    struct trib_step s = drained(l, &o);
    assert_int_equal(s.rows_out, 2);
    assert_int_equal(s.quarantined, 2);
    answers(l, BRONZE, "SELECT string_agg(record.pk, ',' ORDER BY _sequence) FROM t", "mine,mine too");
    answers(l, QUARANTINE, "SELECT string_agg(DISTINCT _reason, '|') FROM t",
            "the record belongs to the DynamoDB table T2, not to T: give each table a folder of its own");
}

static void another_table_kinesis(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    static const char theirs[] =
        "{\"eventID\":\"u2\",\"eventName\":\"INSERT\",\"recordFormat\":\"application/json\","
        "\"tableName\":\"Orders\",\"dynamodb\":{\"ApproximateCreationDateTime\":1719039879869," KEY("k1") "," NEW(
            "k1", "") "}}";
    char *both =
        trib_asprintf("%s%s", KINESIS("u1", "INSERT", "1719039879869591", KEY("k1") "," NEW("k1", "")), theirs);
    put_text(l, "a.json", both);
    free(both);
    assert_int_equal(drained(l, &o).rows_out, 1);
    answers(l, BRONZE, "SELECT string_agg(_event_id, ',') FROM t", "u1");
    answers(l, QUARANTINE, "SELECT count(*) FROM t WHERE _reason LIKE '%table Orders, not to T:%'", "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(more_attributes_than_columns, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(another_table, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(another_table_kinesis, lake_setup, lake_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
