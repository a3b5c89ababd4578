/*
 * Ingest from files to Bronze, with the real engine: every record kind, bad input, exports that lie, limits, restarts,
 * schemas that grow, two writers at once, a lake that fails at every write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drain.h"

#define BRONZE     "bronze/dynamodb/T"
#define QUARANTINE "quarantine/dynamodb/T"
#define FILES      "bronze/_files/T"

#define STREAM(id, op, seq, images)                                                                 \
    "{\"eventID\":\"" id "\",\"eventName\":\"" op                                                   \
    "\",\"eventVersion\":\"1.1\",\"eventSource\":\"aws:dynamodb\",\"awsRegion\":\"eu-west-1\","     \
    "\"dynamodb\":{\"ApproximateCreationDateTime\":1464806460," images ",\"SequenceNumber\":\"" seq \
    "\",\"SizeBytes\":41,"                                                                          \
    "\"StreamViewType\":\"NEW_AND_OLD_IMAGES\"}}\n"
#define KEY(k)                     "\"Keys\":{\"pk\":{\"S\":\"" k "\"}}"
#define NEW(k, more)               "\"NewImage\":{\"pk\":{\"S\":\"" k "\"}" more "}"
#define OLD(k, more)               "\"OldImage\":{\"pk\":{\"S\":\"" k "\"}" more "}"
#define INSERTED(id, seq, k, more) STREAM(id, "INSERT", seq, KEY(k) "," NEW(k, more))

#define KINESIS(id, op, us, images)                                                    \
    "{\"awsRegion\":\"eu-west-1\",\"eventID\":\"" id "\",\"eventName\":\"" op          \
    "\",\"userIdentity\":null,\"recordFormat\":\"application/json\","                  \
    "\"tableName\":\"T\",\"dynamodb\":{\"ApproximateCreationDateTime\":" us "," images \
    ",\"SizeBytes\":41,\"ApproximateCreationDateTimePrecision\":\"MICROSECOND\"},\"eventSource\":\"aws:dynamodb\"}"

/* ---- record kinds ------------------------------------------------------------------------------------------------- */

static void streams(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    put_text(
        l, "2026/01/a.json",
        INSERTED("e1", "300000000000000000001", "k1", ",\"n\":{\"N\":\"1\"}") STREAM(
            "e2", "MODIFY", "300000000000000000002",
            KEY("k1") "," NEW("k1", ",\"n\":{\"N\":\"2\"}") "," OLD(
                "k1",
                ",\"n\":{\"N\":\"1\"}")) "{\"eventID\":\"e3\",\"eventName\":\"REMOVE\",\"eventSource\":\"aws:dynamodb\",\"userIdentity\":{\"type\":\"Service\",\"principalId\":"
                                         "\"dynamodb.amazonaws.com\"},\"dynamodb\":{\"ApproximateCreationDateTime\":1464806461," KEY("k1") "," OLD(
                                             "k1",
                                             ",\"n\":{\"N\":\"2\"}") ",\"SequenceNumber\":\"1300000000000000000000000000000000000003\"}}\n" INSERTED("e1",
                                                                                                                                                     "300000000000000000001",
                                                                                                                                                     "k1",
                                                                                                                                                     ",\"n\":{\"N\":\"1\"}"));
    struct trib_step s = drained(l, &o);
    assert_int_equal(s.rows_out, 4);
    assert_int_equal(s.rows_in, 4);
    assert_int_equal(s.files_in, 1);
    assert_int_equal(s.version, 0);
    answers(
        l, BRONZE,
        "SELECT string_agg(concat_ws(' ', _event_id, op, _sequence, record.pk, coalesce(record.n, -1), coalesce(old_record.n, -1), _ttl, _origin, _ingest_file), '\n' "
        "ORDER BY _sequence, _event_id) FROM t",
        "e1 INSERT 0001-00000001-0000000000000000000300000000000000000001 k1 1 -1 false stream 2026/01/a.json\n"
        "e1 INSERT 0001-00000001-0000000000000000000300000000000000000001 k1 1 -1 false stream 2026/01/a.json\n"
        "e2 MODIFY 0001-00000001-0000000000000000000300000000000000000002 k1 2 1 false stream 2026/01/a.json\n"
        "e3 REMOVE 0001-00000001-1300000000000000000000000000000000000003 k1 -1 2 true stream 2026/01/a.json");
    answers(
        l, BRONZE,
        "SELECT concat_ws(' ', min(epoch_us(_event_ts)), max(epoch_us(_event_ts)), min(epoch_us(_ingest_ts)), max(ingest_date), count(_rescued_data)) FROM t",
        "1464806460000000 1464806461000000 1780000000123456 2026-05-28 0");
    answers(l, BRONZE, "SELECT count(*) FROM t WHERE old_record IS NULL", "2");
    char *kind = property_of(l, BRONZE, "tributary.stream_kind");
    assert_string_equal(kind, "streams");
    free(kind);
    assert_int_equal(version_of(l, QUARANTINE), -1);
    assert_int_equal(version_of(l, FILES), -1);
}

static void kinesis(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    /* no delimiter between records; "aGVsbG8=" (hello) is base64 once more */
    put_gzip(
        l, "firehose-1-2026-01-01-00-00-00-x",
        KINESIS("u1", "INSERT", "1719039879869591", KEY("k1") "," NEW("k1", ",\"b\":{\"B\":\"YUdWc2JHOD0=\"}"))
            KINESIS("u2", "REMOVE", "1719039879869592", KEY("k1") "," OLD("k1", ",\"b\":{\"B\":\"YUdWc2JHOD0=\"}")));
    assert_int_equal(drained(l, &o).rows_out, 2);
    answers(
        l, BRONZE,
        "SELECT string_agg(concat_ws(' ', _event_id, op, _sequence, record.b, old_record.b, _origin, epoch_us(_event_ts)), '\n' ORDER BY _sequence) FROM t",
        "u1 INSERT 0001-00000001-0000000000000000000000001719039879869591 hello kinesis 1719039879869591\n"
        "u2 REMOVE 0001-00000001-0000000000000000000000001719039879869592 hello kinesis 1719039879869592");
}

static void exports(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    const struct export_file full[] = {
        {.name = "a.json.gz",
         .text = "{\"Item\":{\"pk\":{\"S\":\"k1\"},\"n\":{\"N\":\"1\"}}}\n{\"Item\":{\"pk\":{\"S\":\"k2\"}}}\n",
         .items = 2},
        {.name = "b.json.gz", .text = "", .items = 0}};
    const struct export_file window[] = {
        {.name = "w.json.gz",
         .text = "{\"Metadata\":{\"WriteTimestampMicros\":{\"N\":\"1767226000000001\"}}," KEY("k1") "," OLD("k1", "") "," NEW(
             "k1",
             ",\"n\":{\"N\":\"2\"}") "}\n"
                                     "{\"Metadata\":{\"WriteTimestampMicros\":{\"N\":\"1767226000000002\"}}," KEY("k2") "," OLD(
                                         "k2",
                                         "") "}\n"
                                             "{\"Metadata\":{\"WriteTimestampMicros\":{\"N\":\"1767226000000003\"}}," KEY(
                                                 "k3") "," NEW("k3", "") "}\n",
         .items = 3}};
    put_export(l, "x/", "0171", "T", true, full, 2);
    put_export(l, "x/", "0172", "T", false, window, 1);
    assert_int_equal(drained(l, &o).rows_out, 5);
    answers(
        l, BRONZE,
        "SELECT string_agg(concat_ws(' ', op, record.pk, coalesce(record.n, -1), _sequence, _origin, _ingest_file, epoch_us(_event_ts)), '\n' ORDER BY _sequence, record.pk) FROM t",
        "INSERT k1 1 0001-00000000-0000000000000000000000001767225600000000 export x/AWSDynamoDB/0171/data/a.json.gz 1767225600000000\n"
        "INSERT k2 -1 0001-00000000-0000000000000000000000001767225600000000 export x/AWSDynamoDB/0171/data/a.json.gz 1767225600000000\n"
        "MODIFY k1 2 0001-00000000-0000000000000000000000001767226000000001 export x/AWSDynamoDB/data/w.json.gz 1767226000000001\n"
        "REMOVE k2 -1 0001-00000000-0000000000000000000000001767226000000002 export x/AWSDynamoDB/data/w.json.gz 1767226000000002\n"
        "INSERT k3 -1 0001-00000000-0000000000000000000000001767226000000003 export x/AWSDynamoDB/data/w.json.gz 1767226000000003");
    answers(l, BRONZE,
            "SELECT count(DISTINCT _event_id) || ' ' || min(length(_event_id)) || ' ' || max(length(_event_id)) FROM t",
            "5 32 32");
    answers(l, FILES, "SELECT string_agg(_ingest_file || ' ' || _reason, ',') FROM t",
            "x/AWSDynamoDB/0171/data/b.json.gz empty");
    assert_int_equal(drained(l, &o).files_in, 0);
}

static void plain_items(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    put_text(l, "1-lines.json", "{\"Item\":{\"pk\":{\"S\":\"a\"}}}\n{\"pk\":{\"S\":\"b\"},\"x\":{\"BOOL\":true}}\n");
    put_text(
        l, "2-scan.json",
        "{\n  \"Items\": [\n    {\"pk\": {\"S\": \"c\"}},\n    {\"pk\": {\"S\": \"d\"}}\n  ],\n  \"Count\": 2,\n  \"ScannedCount\": 2\n}\n");
    put_text(
        l, "3-batch.json",
        "{\"T\":[{\"PutRequest\":{\"Item\":{\"pk\":{\"S\":\"e\"}}}},{\"DeleteRequest\":{\"Key\":{\"pk\":{\"S\":\"f\"}}}}],"
        "\"Other\":[{\"PutRequest\":{\"Item\":{\"pk\":{\"S\":\"no\"}}}}]}");
    put_text(l, "4-array.json", "[{\"pk\":{\"S\":\"g\"}},{\"pk\":{\"S\":\"h\"}}]");
    for (int i = 1; i <= 4; i++) {
        const char *const names[] = {"1-lines.json", "2-scan.json", "3-batch.json", "4-array.json"};
        set_mtime(l, names[i - 1], 1700000000 + i);
    }
    assert_int_equal(drained(l, &o).rows_out, 8);
    answers(
        l, BRONZE,
        "SELECT string_agg(concat_ws(' ', op, record.pk, _sequence[15:], epoch_us(_event_ts)), '\n' ORDER BY record.pk) FROM t",
        "INSERT a 0000000000000000000000001700000001000000 1700000001000000\n"
        "INSERT b 0000000000000000000000001700000001000000 1700000001000000\n"
        "INSERT c 0000000000000000000000001700000002000000 1700000002000000\n"
        "INSERT d 0000000000000000000000001700000002000000 1700000002000000\n"
        "INSERT e 0000000000000000000000001700000003000000 1700000003000000\n"
        "REMOVE f 0000000000000000000000001700000003000000 1700000003000000\n"
        "INSERT g 0000000000000000000000001700000004000000 1700000004000000\n"
        "INSERT h 0000000000000000000000001700000004000000 1700000004000000");
    answers(l, BRONZE, "SELECT string_agg(DISTINCT _origin || ' ' || _sequence[1:13], ',') FROM t",
            "snapshot 0001-00000000");
    /* the same items in another file at the same time are the same events, other ones are not */
    put_text(l, "5-again.json",
             "{\"x\":{\"BOOL\":true},\"pk\":{\"S\":\"b\"}}\n{\"x\":{\"BOOL\":false},\"pk\":{\"S\":\"b\"}}");
    set_mtime(l, "5-again.json", 1700000001);
    drained(l, &o);
    answers(l, BRONZE, "SELECT count(DISTINCT _event_id) || ' of ' || count(*) FROM t WHERE record.pk = 'b'", "2 of 3");
}

/* Firehose's record format conversion: Hive's lower-case names, structs with null members, or text where the schema says string. */
static void firehose_parquet(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    struct trib_err err = {0};
    struct trib_conn *conn;
    ok(trib_conn_open(l->engine, &conn, &err), &err);
    ok(trib_execf(
           conn, &err,
           "COPY (SELECT 'eu-west-1' AS awsregion, 'u' || i AS eventid, CASE WHEN i = 2 THEN 'REMOVE' WHEN i = 3 THEN 'NONSENSE' ELSE 'INSERT' END AS eventname, "
           "NULL::STRUCT(type VARCHAR, principalid VARCHAR) AS useridentity, 'application/json' AS recordformat, 'T' AS tablename, "
           "struct_pack(approximatecreationdatetime := 1719039879869590 + i, keys := struct_pack(pk := struct_pack(s := 'k' || i)), "
           "newimage := CASE WHEN i = 2 THEN NULL ELSE struct_pack(pk := struct_pack(s := 'k' || i), n := CASE WHEN i = 1 THEN struct_pack(n := '7', s := NULL::VARCHAR) END, "
           "b := struct_pack(b := 'YUdWc2JHOD0=')) END, oldimage := NULL::STRUCT(pk STRUCT(s VARCHAR)), sizebytes := 41, approximatecreationdatetimeprecision := 'MICROSECOND') AS dynamodb, "
           "'aws:dynamodb' AS eventsource FROM range(5000) r(i)) TO '%s/in/shop-1-2026-01-01-00-00-00-x.parquet' (FORMAT parquet)",
           l->folder),
       &err);
    ok(trib_execf(
           conn, &err,
           "COPY (SELECT 's1' AS eventID, 'INSERT' AS eventName, '{\"ApproximateCreationDateTime\":1719039879869599,\"ApproximateCreationDateTimePrecision\":\"MICROSECOND\","
           "\"Keys\":{\"pk\":{\"S\":\"t\"}},\"NewImage\":{\"pk\":{\"S\":\"t\"}}}' AS dynamodb, 'T' AS tableName, 'application/json' AS recordFormat, 'aws:dynamodb' AS eventSource) "
           "TO '%s/in/text.parquet' (FORMAT parquet)",
           l->folder),
       &err);
    ok(trib_execf(conn, &err, "COPY (SELECT 1 AS a, 'b' AS b) TO '%s/in/other.parquet' (FORMAT parquet)", l->folder),
       &err);
    trib_conn_close(conn);
    struct trib_buf cut;
    trib_buf_init(&cut, 16 << 20);
    ok(trib_store_get(l->source, "shop-1-2026-01-01-00-00-00-x.parquet", 0, 4000, &cut, &err), &err);
    put_bytes(l, "cut.parquet", cut.p, cut.n);
    trib_buf_free(&cut);
    struct trib_step s = drained(l, &o);
    assert_int_equal(s.rows_out, 5000);
    answers(
        l, BRONZE,
        "SELECT string_agg(concat_ws(' ', _event_id, op, _sequence[15:], record.pk, coalesce(record.n, -1), record.b, _origin, _ingest_file), '\n' ORDER BY _sequence) FROM t "
        "WHERE _event_id IN ('u1', 'u2', 's1')",
        "u1 INSERT 0000000000000000000000001719039879869591 k1 7 hello kinesis shop-1-2026-01-01-00-00-00-x.parquet\n"
        "u2 REMOVE 0000000000000000000000001719039879869592 k2 -1 kinesis shop-1-2026-01-01-00-00-00-x.parquet\n"
        "s1 INSERT 0000000000000000000000001719039879869599 t -1 kinesis text.parquet");
    answers(l, QUARANTINE, "SELECT string_agg(_ingest_file || ' ' || _offset, '; ' ORDER BY _ingest_file) FROM t",
            "cut.parquet 0; other.parquet 0; shop-1-2026-01-01-00-00-00-x.parquet 3");
    answers(l, QUARANTINE, "SELECT _reason LIKE '%cut off%' FROM t WHERE _ingest_file = 'cut.parquet'", "true");
    assert_int_equal(drained(l, &o).files_in, 0);
}

/* ---- bad input ---------------------------------------------------------------------------------------------------- */

static void bad_records(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    const char *good1 = INSERTED("e1", "1", "k1", ""), *good2 = INSERTED("e2", "2", "k2", "");
    const char *const lines[] = {
        good1,
        "garbage, not JSON\n",
        "{\"eventID\":\"cut\",\"eventName\":\"INSERT\",\"dynamodb\":{\"Keys\n",
        "{\"hello\":\"world\"}\n",
        STREAM("nokey", "INSERT", "3", "\"Keys\":{},\"NewImage\":{\"name\":{\"S\":\"x\"}}"),
        STREAM("nullkey", "INSERT", "4", "\"Keys\":{},\"NewImage\":{\"pk\":{\"NULL\":true}}"),
        STREAM("number", "INSERT", "5", "\"Keys\":{\"pk\":{\"N\":\"5\"}},\"NewImage\":{\"pk\":{\"N\":\"5\"}}"),
        STREAM("badnumber", "INSERT", "6", KEY("k6") "," NEW("k6", ",\"n\":{\"N\":\"1x\"}")),
        STREAM("keysonly", "MODIFY", "7", KEY("k7")),
        INSERTED("noseq", "", "k8", ""),
        good2,
    };
    struct trib_buf text;
    trib_buf_init(&text, 1 << 20);
    int64_t offsets[11];
    for (size_t i = 0; i < 11; i++) {
        offsets[i] = (int64_t)text.n;
        trib_buf_adds(&text, lines[i]);
    }
    put_text(l, "a.json", text.p);
    struct trib_step s = drained(l, &o);
    assert_int_equal(s.rows_out, 2);
    assert_int_equal(s.quarantined, 9);
    assert_int_equal(s.rows_in, 11);
    answers(l, BRONZE, "SELECT string_agg(_event_id, ' ' ORDER BY _event_id) FROM t", "e1 e2");
    char *got = ask(l, QUARANTINE, "SELECT string_agg(_offset, ' ' ORDER BY _offset) FROM t");
    char *expected =
        trib_asprintf("%lld %lld %lld %lld %lld %lld %lld %lld %lld", (long long)offsets[1], (long long)offsets[2],
                      (long long)offsets[3], (long long)offsets[4], (long long)offsets[5], (long long)offsets[6],
                      (long long)offsets[7], (long long)offsets[8], (long long)offsets[9]);
    assert_string_equal(got, expected);
    free(got);
    free(expected);
    answers(l, QUARANTINE, "SELECT count(*) FROM t WHERE _reason IS NULL OR _reason = '' OR _raw IS NULL", "0");
    answers(l, QUARANTINE, "SELECT _raw FROM t ORDER BY _offset LIMIT 1", "garbage, not JSON");
    answers(
        l, QUARANTINE,
        "SELECT string_agg(coalesce(_event_id, '-') || ' ' || coalesce(_sequence[40:], '-'), '; ' ORDER BY _offset) FROM t WHERE _event_id IS NOT NULL",
        "nokey 000000000000003; nullkey 000000000000004; number 000000000000005; badnumber 000000000000006");
    answers(
        l, QUARANTINE,
        "SELECT string_agg(_reason, '\n' ORDER BY _offset) FROM t WHERE _event_id IN ('nokey', 'nullkey', 'number')",
        "the key attribute pk is missing\n"
        "the key attribute pk is NULL, or of a type that no key has\n"
        "the key attribute pk is {\"N\":\"5\"}, but the key column holds type S");
    answers(l, QUARANTINE, "SELECT _rescued_data FROM t WHERE _event_id = 'number'", "{\"pk\":{\"N\":\"5\"}}");
    /* nothing of it is done again */
    assert_int_equal(drained(l, &o).files_in, 0);
    assert_int_equal(version_of(l, QUARANTINE), 0);
    trib_buf_free(&text);
}

static void bad_files(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    struct trib_buf text, gz;
    trib_buf_init(&text, 8 << 20);
    for (int i = 0; i < 5000; i++) {
        trib_buf_addf(&text, "{\"pk\":{\"S\":\"%05d-%08x\"}}\n", i, (unsigned)i * 2654435761U);
    }
    gzip_text(&gz, text.p, text.n);
    put_bytes(l, "cut.json.gz", gz.p, gz.n * 6 / 10);
    gz.p[gz.n - 6] ^= 1; /* its CRC */
    put_bytes(l, "crc.json.gz", gz.p, gz.n);
    put_text(l, "bad.json", "nothing\nof this\nis JSON\n");
    put_text(l, "empty.json", "");
    put_text(l, "blank.json", "\n\n  \n");
    put_text(l, "plain.gz", "{\"pk\":{\"S\":\"plain\"}}");
    struct trib_step s = drained(l, &o);
    assert_int_equal(s.files_in, 6);
    answers(
        l, QUARANTINE,
        "SELECT string_agg(n, ',' ORDER BY n) FROM (SELECT _ingest_file || count(*) AS n FROM t GROUP BY _ingest_file)",
        "bad.json3,crc.json.gz1,cut.json.gz1");
    answers(l, BRONZE, "SELECT count(*) FROM t WHERE _ingest_file = 'crc.json.gz'", "5000");
    answers(l, BRONZE, "SELECT count(*) BETWEEN 2000 AND 4000 FROM t WHERE _ingest_file = 'cut.json.gz'", "true");
    answers(l, BRONZE, "SELECT max(record.pk[1:5]::int) + 1 = count(*) FROM t WHERE _ingest_file = 'cut.json.gz'",
            "true");
    answers(
        l, QUARANTINE,
        "SELECT _reason LIKE '%truncated%' AND _offset BETWEEN 40000 AND 110000 AND coalesce(_raw::text, '{') LIKE '{%' FROM t WHERE _ingest_file = 'cut.json.gz'",
        "true");
    answers(l, QUARANTINE, "SELECT _reason LIKE '%damaged%' FROM t WHERE _ingest_file = 'crc.json.gz'", "true");
    answers(l, FILES, "SELECT string_agg(_ingest_file || ' ' || _reason, ', ' ORDER BY _ingest_file) FROM t",
            "bad.json bad, blank.json empty, empty.json empty");
    assert_int_equal(drained(l, &o).files_in, 0);
    assert_int_equal(version_of(l, BRONZE), 0);
    trib_buf_free(&text);
    trib_buf_free(&gz);
}

/* A page that was cut off gives its whole records; a pretty-printed one too. */
static void cut_pages(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    for (int pretty = 0; pretty < 2; pretty++) {
        struct trib_buf text, gz;
        trib_buf_init(&text, 8 << 20);
        trib_buf_adds(&text, pretty ? "{\n  \"Items\": [\n" : "{\"Items\":[");
        for (int i = 0; i < 3000; i++) {
            trib_buf_addf(&text,
                          pretty ? "    {\n      \"pk\": {\"S\": \"%d-%05d-%08x\"}\n    },\n"
                                 : "{\"pk\":{\"S\":\"%d-%05d-%08x\"}},",
                          pretty, i, (unsigned)i * 2654435761U);
        }
        gzip_text(&gz, text.p, text.n);
        put_bytes(l, pretty ? "pretty.json.gz" : "compact.json.gz", gz.p, gz.n / 2);
        trib_buf_free(&text);
        trib_buf_free(&gz);
    }
    drained(l, &o);
    answers(
        l, BRONZE,
        "SELECT bool_and(n > 1000 AND n < 2000 AND n = last + 1) FROM (SELECT count(*) AS n, max(record.pk[3:7]::int) AS last FROM t GROUP BY _ingest_file)",
        "true");
    answers(
        l, QUARANTINE,
        "SELECT string_agg(_ingest_file || (_offset > 20000) || (_reason LIKE '%truncated%'), ' ' ORDER BY _ingest_file) FROM t",
        "compact.json.gztruetrue pretty.json.gztruetrue");
}

/* Only bad and empty files: no Bronze table, and still they are taken. */
static void nothing_good(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    put_text(l, "bad.json", "{\"name\":{\"S\":\"no key\"}}\n");
    put_text(l, "empty.json", "");
    struct trib_step s = drained(l, &o);
    assert_int_equal(s.quarantined, 1);
    assert_int_equal(version_of(l, BRONZE), -1);
    answers(l, QUARANTINE, "SELECT _reason FROM t", "the key attribute pk is missing");
    assert_int_equal(drained(l, &o).files_in, 0);
    put_text(l, "good.json", "{\"pk\":{\"S\":\"a\"}}\n");
    assert_int_equal(drained(l, &o).rows_out, 1);
}

static void lying_exports(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    const struct export_file counted[] = {
        {.name = "a.json.gz", .text = "{\"Item\":{\"pk\":{\"S\":\"a\"}}}\n", .items = 1},
        {.name = "b.json.gz", .text = "{\"Item\":{\"pk\":{\"S\":\"b\"}}}\nbroken\n", .items = 3}};
    const struct export_file summed[] = {
        {.name = "c.json.gz", .text = "{\"Item\":{\"pk\":{\"S\":\"c\"}}}\n", .items = 1, .wrong_md5 = true}};
    put_export(l, "", "01", "T", true, counted, 2);
    put_text(l, "x.json", "{\"pk\":{\"S\":\"x\"}}\n");
    drain_fails(l, &o, TRIB_E_DATA, "AWSDynamoDB/01/data/b.json.gz: the manifest says 3 items, the file has 2");
    answers(l, BRONZE, "SELECT string_agg(record.pk, ' ') FROM t", "x");
    assert_int_equal(version_of(l, QUARANTINE), -1);
    put_export(l, "", "02", "T", true, summed, 1);
    put_text(l, "y.json", "{\"pk\":{\"S\":\"y\"}}\n");
    drain_fails(l, &o, TRIB_E_DATA, "AWSDynamoDB/0");
    answers(l, BRONZE, "SELECT string_agg(record.pk, ' ' ORDER BY record.pk) FROM t", "x y");
    /* a wrong count stops the commit that would hold the file; smaller batches have taken the others before */
    o.batch_files = 1;
    drain_fails(l, &o, TRIB_E_DATA, "AWSDynamoDB/0");
    answers(l, BRONZE, "SELECT string_agg(record.pk, ' ' ORDER BY record.pk) FROM t", "a x y");
    const struct export_file mended[] = {
        counted[0], {.name = "b.json.gz", .text = "{\"Item\":{\"pk\":{\"S\":\"b\"}}}\nbroken\n", .items = 2}};
    put_export(l, "", "01", "T", true, mended, 2);
    put_export(l, "", "02", "T", true,
               &(const struct export_file){.name = "c.json.gz", .text = summed[0].text, .items = 1}, 1);
    drained(l, &o);
    answers(l, BRONZE, "SELECT string_agg(record.pk, ' ' ORDER BY record.pk) FROM t", "a b c x y");
    answers(l, QUARANTINE, "SELECT count(*) FROM t", "1");
}

static void two_kinds(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    put_text(l, "a.json", INSERTED("e1", "1", "k1", ""));
    put_text(l, "b.json", KINESIS("u1", "INSERT", "1719039879869591", KEY("k1") "," NEW("k1", "")) "\n");
    drain_fails(l, &o, TRIB_E_DATA, "a.json holds Streams records and b.json Kinesis records");
    assert_int_equal(version_of(l, BRONZE), -1);
    o.batch_files = 1;
    drain_fails(l, &o, TRIB_E_DATA, "b.json holds kinesis records, but Bronze has streams records");
    answers(l, BRONZE, "SELECT string_agg(_event_id, ' ') FROM t", "e1");
}

/* ---- batches, restarts -------------------------------------------------------------------------------------------- */

static void limits_and_restarts(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    for (int i = 0; i < 25; i++) {
        char key[32], text[64];
        (void)snprintf(key, sizeof key, "f%02d.json", i);
        (void)snprintf(text, sizeof text, "{\"pk\":{\"S\":\"k%02d\"}}\n", i);
        put_text(l, key, text);
    }
    o.batch_files = 10;
    int steps;
    struct trib_err err = {0};
    struct trib_ingest *in;
    struct trib_step s;
    ok(trib_ingest_new(&l->env, &o, &in, &err), &err);
    ok(trib_ingest_step(in, l->now_us, &s, &err), &err);
    assert_int_equal(s.files_in, 10);
    trib_ingest_free(in); /* the process ends; nothing but the lake is left */
    l->now_us += INT64_C(86400000000);
    ok(drain(l, &o, &steps, NULL, &err), &err);
    assert_int_equal(steps, 2);
    answers(
        l, BRONZE,
        "SELECT count(*) || ' ' || count(DISTINCT record.pk) || ' ' || string_agg(DISTINCT ingest_date::text, ' ' ORDER BY ingest_date::text) FROM t",
        "25 25 2026-05-28 2026-05-29");
    assert_int_equal(version_of(l, BRONZE), 2);
    ok(drain(l, &o, &steps, NULL, &err), &err);
    assert_int_equal(steps, 0);
    assert_int_equal(version_of(l, BRONZE), 2);
    put_text(l, "f00.json", "{\"pk\":{\"S\":\"changed\"}}\n");
    put_text(l, "a.json", "{\"pk\":{\"S\":\"late name\"}}\n");
    ok(drain(l, &o, &steps, &s, &err), &err);
    assert_int_equal(s.rows_out, 1);
}

/* ---- schemas ------------------------------------------------------------------------------------------------------ */

static void schema_grows(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    put_text(l, "1.json", INSERTED("e1", "1", "k", ",\"n\":{\"N\":\"1\"}"));
    drained(l, &o);
    put_text(l, "2.json", INSERTED("e2", "2", "k", ",\"n\":{\"S\":\"text\"},\"m\":{\"M\":{\"a\":{\"N\":\"1.5\"}}}"));
    put_text(l, "3.json",
             STREAM("e3", "MODIFY", "3",
                    KEY("k") "," NEW("k", ",\"m\":{\"M\":{\"b\":{\"BOOL\":true}}}") "," OLD(
                        "k", ",\"gone\":{\"S\":\"g\"}")));
    struct trib_step s = drained(l, &o);
    assert_int_equal(s.rescued, 1);
    answers(
        l, BRONZE,
        "SELECT string_agg(concat_ws(' ', _event_id, coalesce(record.n, -1), coalesce(record.m.a, -1), record.m.b, old_record.gone, _rescued_data), '\n' ORDER BY _event_id) FROM t",
        "e1 1 -1.000000000000000000\ne2 -1 1.500000000000000000 {\"n\":{\"S\":\"text\"}}\ne3 -1 -1.000000000000000000 true g");
    answers(l, BRONZE, "SELECT count(*) FROM t WHERE old_record IS NULL", "2");
    put_text(l, "4.json", INSERTED("e4", "4", "k", ""));
    drained(l, &o);
    answers(l, BRONZE, "SELECT count(*) FROM t WHERE old_record IS NULL", "3");
}

/* The types of a first batch come from all of it, wherever a value stands: far behind what the sample sees. */
static void late_surprise(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    struct trib_buf text;
    trib_buf_init(&text, 16 << 20);
    for (int i = 0; i < 40000; i++) {
        trib_buf_addf(&text, "{\"pk\":{\"S\":\"k%05d\"},\"n\":{\"N\":\"%d%s\"}%s}\n", i, i, i == 39990 ? ".5" : "",
                      i == 39991 ? ",\"late\":{\"N\":\"7\"}" : "");
    }
    put_text(l, "a.json", text.p);
    struct trib_step s = drained(l, &o);
    assert_int_equal(s.rows_out, 40000);
    assert_int_equal(s.rescued, 0);
    answers(l, BRONZE, "SELECT sum(record.n) || ' ' || sum(record.late) || ' ' || typeof(any_value(record.n)) FROM t",
            "799980000.500000000000000000 7 DECIMAL(38,18)");
    trib_buf_free(&text);
}

/* Records that are broken in ways which only a column shows: the schema settles, and each is in one place, whole. */
static void broken_by_a_column(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    put_text(l, "1.json",
             "{\"pk\":{\"S\":\"a\"},\"x\":{\"N\":\"1\"},\"x\":{\"N\":\"2\"}}\n"
             "{\"pk\":{\"S\":\"b\"},\"m\":{\"M\":{\"y\":{\"N\":\"1\"},\"y\":{\"N\":\"2\"}}}}\n"
             "{\"pk\":{\"S\":\"c\"},\"z\":{\"N\":\"1x\"}}\n"
             "{\"pk\":{\"S\":\"d\"},\"b\":{\"B\":\"not base64\"}}\n"
             "{\"pk\":{\"S\":\"e\"},\"s\":{\"NS\":[\"1\",\"x\"]}}\n"
             "{\"pk\":{\"S\":\"f\"},\"l\":{\"L\":[{\"N\":\"1\"},{\"Q\":\"1\"}]}}\n"
             "{\"pk\":{\"S\":\"good\"},\"g\":{\"N\":\"1\"}}\n");
    struct trib_step s = drained(l, &o);
    assert_int_equal(s.rows_in, 7);
    answers(l, BRONZE, "SELECT count(*) FROM t WHERE record.pk = 'good' AND record.g = 1", "1");
    answers(l, QUARANTINE, "SELECT count(DISTINCT _offset) FROM t WHERE _offset = 0 OR _reason <> ''", "6");
}

static void evolution(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    put_text(l, "1.json", "{\"pk\":{\"S\":\"a\"},\"n\":{\"N\":\"1\"}}\n");
    drained(l, &o);
    put_text(l, "2.json", "{\"pk\":{\"S\":\"b\"},\"x\":{\"N\":\"1\"}}\n");
    o.schema.evolution = TRIB_EVOLVE_FAIL;
    drain_fails(l, &o, TRIB_E_DATA, "x");
    assert_int_equal(version_of(l, BRONZE), 0);
    o.schema.evolution = TRIB_EVOLVE_RESCUE;
    drained(l, &o);
    answers(l, BRONZE, "SELECT _rescued_data FROM t WHERE record.pk = 'b'", "{\"x\":{\"N\":\"1\"}}");
}

/* A key that is a number beyond bigint: Silver will be widened for it, so Bronze keeps it; without `widen` it cannot stand. */
static void wide_keys(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    put_text(l, "1.json", "{\"pk\":{\"N\":\"1\"}}\n");
    drained(l, &o);
    put_text(l, "2.json", "{\"pk\":{\"N\":\"1.5\"}}\n{\"pk\":{\"N\":\"1E-100\"}}\n{\"pk\":{\"N\":\"2.0\"}}\n");
    struct trib_step s = drained(l, &o);
    assert_int_equal(s.quarantined, 1);
    answers(l, BRONZE, "SELECT string_agg(coalesce(record.pk::text, _rescued_data), ' ' ORDER BY record.pk) FROM t",
            "1 2 {\"pk\":{\"N\":\"1.5\"}}");
    o.schema.evolution = TRIB_EVOLVE_ADD;
    put_text(l, "3.json", "{\"pk\":{\"N\":\"3.5\"}}\n");
    assert_int_equal(drained(l, &o).quarantined, 1);
}

static void declared_key_types(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    o.key_types[0] = "N";
    put_text(l, "1.json", "{\"pk\":{\"S\":\"x\"}}\n{\"pk\":{\"S\":\"y\"}}\n{\"pk\":{\"N\":\"1\"}}\n");
    struct trib_step s = drained(l, &o);
    assert_int_equal(s.rows_out, 1);
    assert_int_equal(s.quarantined, 2);
    answers(l, BRONZE, "SELECT record.pk FROM t", "1");
}

/* ---- settings ----------------------------------------------------------------------------------------------------- */

static void settings(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l), other = o;
    put_text(l, "1.json", "{\"pk\":{\"S\":\"a\"},\"sk\":{\"S\":\"b\"}}\n");
    drained(l, &o);
    put_text(l, "2.json", "{\"pk\":{\"S\":\"a\"},\"sk\":{\"S\":\"b\"}}\n");
    other.pipeline = "q";
    drain_fails(l, &other, TRIB_E_CONFIG, "belongs to the pipeline p");
    other = o;
    static const char *const both[] = {"pk", "sk"};
    other.keys = both;
    other.n_keys = 2;
    drain_fails(l, &other, TRIB_E_CONFIG, "try: put it back, or start over with another `lake`");
    other = o;
    other.schema.numbers = TRIB_NUMBERS_STRING;
    drain_fails(l, &other, TRIB_E_CONFIG, "numbers");
    other = o;
    other.schema.infer = false;
    drain_fails(l, &other, TRIB_E_CONFIG, "infer");
    assert_int_equal(version_of(l, BRONZE), 0);
    drained(l, &o);
    char *value = property_of(l, BRONZE, "delta.appendOnly");
    assert_string_equal(value, "true");
    free(value);
    value = property_of(l, BRONZE, "delta.dataSkippingStatsColumns");
    assert_string_equal(value, "_sequence,_event_ts,_ingest_file,_ingest_ts,record.pk");
    free(value);
}

/* ---- the same result everywhere ----------------------------------------------------------------------------------- */

static void make_shop(struct lake *l, int files, int rows)
{
    struct trib_seeded r;
    trib_seeded_init(&r, 11);
    for (int f = 0; f < files; f++) {
        struct trib_buf text;
        char key[32];
        trib_buf_init(&text, 64 << 20);
        for (int i = 0; i < rows; i++) {
            unsigned n = (unsigned)trib_seeded_below(&r, 1000);
            trib_buf_addf(&text, "{\"pk\":{\"S\":\"k%u\"},\"a%u\":{\"N\":\"%u%s\"}%s}\n", n, n % 20, n,
                          n == 7 ? ".25" : "", n % 50 == 0 ? ",\"bad\":" : "");
        }
        (void)snprintf(key, sizeof key, "f%02d.json.gz", f);
        put_gzip(l, key, text.p);
        set_mtime(l, key, 1700000000 + f);
        trib_buf_free(&text);
    }
}

static char *fingerprint(struct lake *l)
{
    char *a = ask(
        l, BRONZE,
        "SELECT md5(string_agg(concat_ws('|', _event_id, record::text, _sequence, _ingest_file, _rescued_data), '\n' ORDER BY _ingest_file, _sequence, _event_id)) || ' ' || count(*) || ' ' || typeof(any_value(record)) FROM t");
    char *b = ask(
        l, QUARANTINE,
        "SELECT md5(string_agg(concat_ws('|', _ingest_file, _offset, _reason, _raw), '\n' ORDER BY _ingest_file, _offset)) || ' ' || count(*) FROM t");
    char *both = trib_asprintf("%s / %s", a, b);
    free(a);
    free(b);
    return both;
}

static void any_number_of_workers(void **state)
{
    (void)state;
    char *first = NULL;
    static const unsigned workers[] = {1, 2, 7};
    for (size_t i = 0; i < 3; i++) {
        struct lake *l = lake_open();
        struct trib_ingest_opts o = options(l);
        make_shop(l, 12, 300);
        l->env.workers = workers[i];
        drained(l, &o);
        char *got = fingerprint(l);
        if (first == NULL) {
            first = got;
        } else {
            assert_string_equal(got, first);
            free(got);
        }
        lake_close(l);
    }
    free(first);
}

/* ---- a lake that fails, and one that somebody else writes ---------------------------------------------------------- */

struct hooked {
    struct trib_store base;
    struct trib_store *under;
    int writes, fail_at;    /* the fail_at-th write (from 1) fails with IO; 0: none */
    bool after;             /* it has taken effect, though it fails */
    const char *before_key; /* once, before a put whose key contains it: run */
    void (*run)(void *ctx);
    void *ctx;
};

static struct hooked *hook(struct trib_store *s) { return (struct hooked *)s; }
static int h_list(struct trib_store *s, const char *p, const char *a, bool all, trib_list_fn fn, void *c,
                  struct trib_err *e)
{
    return trib_store_list(hook(s)->under, p, a, all, fn, c, e);
}
static int h_head(struct trib_store *s, const char *k, int64_t *n, int64_t *m, struct trib_err *e)
{
    return trib_store_head(hook(s)->under, k, n, m, e);
}
static int h_get(struct trib_store *s, const char *k, int64_t o, int64_t n, struct trib_buf *to, struct trib_err *e)
{
    return trib_store_get(hook(s)->under, k, o, n, to, e);
}
static int h_remove(struct trib_store *s, const char *k, struct trib_err *e)
{
    return trib_store_remove(hook(s)->under, k, e);
}
static int h_local(struct trib_store *s, const char *k, char **r, struct trib_err *e)
{
    return trib_store_local(hook(s)->under, k, r, e);
}
static void h_free(struct trib_store *s) { (void)s; }

static bool fails_now(struct hooked *h) { return ++h->writes == h->fail_at; }

static int h_put(struct trib_store *s, const char *k, struct trib_view d, bool absent, struct trib_err *e)
{
    struct hooked *h = hook(s);
    if (h->before_key != NULL && strstr(k, h->before_key) != NULL) {
        h->before_key = NULL;
        h->run(h->ctx);
    }
    if (fails_now(h)) {
        if (h->after) {
            (void)!trib_store_put(h->under, k, d, absent, e);
        }
        (void)trib_err_set(e, TRIB_E_IO, "the disk is full");
        e->ambiguous = h->after;
        return TRIB_E_IO;
    }
    return trib_store_put(h->under, k, d, absent, e);
}

static int h_put_file(struct trib_store *s, const char *k, const char *p, struct trib_err *e)
{
    struct hooked *h = hook(s);
    if (fails_now(h)) {
        if (h->after) {
            (void)!trib_store_put_file(h->under, k, p, e);
        }
        (void)trib_err_set(e, TRIB_E_IO, "the disk is full");
        e->ambiguous = h->after;
        return TRIB_E_IO;
    }
    return trib_store_put_file(h->under, k, p, e);
}

static const struct trib_store_ops hooked_ops = {.list = h_list,
                                                 .head = h_head,
                                                 .get = h_get,
                                                 .put = h_put,
                                                 .put_file = h_put_file,
                                                 .remove = h_remove,
                                                 .local = h_local,
                                                 .free = h_free};

static void failing_lake(void **state)
{
    (void)state;
    for (int after = 0; after < 2; after++) {
        bool finished = false;
        for (int at = 1; !finished; at++) {
            struct lake *l = lake_open();
            struct trib_ingest_opts o = options(l);
            struct hooked h = {
                .base = {.ops = &hooked_ops, .url = l->store->url}, .under = l->store, .fail_at = at, .after = after};
            l->env.lake = &h.base;
            put_text(l, "1.json", "{\"pk\":{\"S\":\"a\"}}\nbroken\n");
            put_text(l, "2.json", "{\"pk\":{\"S\":\"b\"}}\n");
            put_text(l, "3.json", "");
            struct trib_err err = {0};
            int rc = drain(l, &o, NULL, NULL, &err);
            finished = h.writes < at;
            if (rc != 0) {
                assert_int_equal(rc, TRIB_E_IO);
                assert_non_null(strstr(err.msg, "the disk is full"));
            } else if (!after) {
                assert_true(finished);
            }
            drained(l, &o);
            answers(l, BRONZE, "SELECT string_agg(record.pk, ' ' ORDER BY record.pk) FROM t", "a b");
            answers(l, QUARANTINE, "SELECT string_agg(_offset || ' ' || _raw, ';') FROM t", "17 broken");
            answers(l, FILES, "SELECT string_agg(_ingest_file, ';') FROM t", "3.json");
            lake_close(l);
            assert_true(at < 40);
        }
    }
}

struct rival {
    struct lake *l;
    struct trib_ingest_opts o;
    struct trib_step sum;
};

static void run_rival(void *ctx)
{
    struct rival *r = ctx;
    struct trib_env own = r->l->env;
    r->l->env.lake = r->l->store;
    r->sum = drained(r->l, &r->o);
    r->l->env = own;
}

/* Another process takes the same files just before our commit: ours are thrown away, nothing is there twice. */
static void two_writers(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    struct rival r = {.l = l, .o = o};
    struct hooked h = {.base = {.ops = &hooked_ops, .url = l->store->url},
                       .under = l->store,
                       .before_key = BRONZE "/_delta_log/",
                       .run = run_rival,
                       .ctx = &r};
    l->env.lake = &h.base;
    put_text(l, "1.json", "{\"pk\":{\"S\":\"a\"}}\nbroken\n");
    put_text(l, "2.json", "{\"pk\":{\"S\":\"b\"},\"x\":{\"N\":\"1\"}}\n");
    put_text(l, "3.json", "{\"pk\":{\"S\":\"c\"}}\n");
    r.o.batch_files = 2; /* the rival needs two commits */
    struct trib_step mine = drained(l, &o);
    assert_int_equal(mine.rows_out, 0);
    assert_int_equal(r.sum.rows_out, 3);
    answers(l, BRONZE, "SELECT string_agg(record.pk, ' ' ORDER BY record.pk) FROM t", "a b c");
    answers(l, QUARANTINE, "SELECT count(*) FROM t", "1");
    /* and the files of the loser are gone */
    struct trib_delta d = trib_env_delta(&l->env, NULL, trib_strdup(BRONZE));
    char *command = trib_asprintf("test $(find %s/lake/%s -name '*.parquet' | wc -l) = 2", l->folder, d.path);
    assert_int_equal(system(command), 0);
    free(command);
    free(d.path);
}

static void foreign_commit(void *ctx)
{
    struct rival *r = ctx;
    struct trib_err err = {0};
    struct trib_delta d = {.store = r->l->store,
                           .path = trib_strdup(BRONZE),
                           .clock = &r->l->clock,
                           .rng = &r->l->rng,
                           .scratch = r->l->scratch};
    struct trib_snapshot s = {.version = -1};
    ok(trib_delta_load(&d, -1, &s, &err), &err);
    const struct trib_txn txn = {.app_id = (char *)"somebody", .version = 1, .last_updated_ms = -1};
    const struct trib_commit c = {.read_version = s.version, .operation = "WRITE", .txn = &txn, .n_txn = 1};
    ok(trib_delta_commit(&d, &s, &c, &err), &err);
    trib_snapshot_free(&s);
    free(d.path);
}

/* A commit that took none of our files: ours goes on top of it, its fence with it. */
static void rebased(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    put_text(l, "1.json", "{\"pk\":{\"S\":\"a\"}}\n");
    drained(l, &o);
    struct rival r = {.l = l};
    struct hooked h = {.base = {.ops = &hooked_ops, .url = l->store->url},
                       .under = l->store,
                       .before_key = BRONZE "/_delta_log/",
                       .run = foreign_commit,
                       .ctx = &r};
    l->env.lake = &h.base;
    put_text(l, "2.json", "{\"pk\":{\"S\":\"b\"}}\n");
    struct trib_step s = drained(l, &o);
    assert_int_equal(s.version, 2);
    answers(l, BRONZE, "SELECT string_agg(record.pk, ' ' ORDER BY record.pk) FROM t", "a b");
    struct trib_err err = {0};
    struct trib_delta d = trib_env_delta(&l->env, NULL, trib_strdup(BRONZE));
    struct trib_snapshot snap = {.version = -1};
    ok(trib_delta_load(&d, -1, &snap, &err), &err);
    assert_int_equal(trib_snapshot_txn(&snap, "tributary.p.T"), 2);
    assert_int_equal(trib_snapshot_txn(&snap, "somebody"), 1);
    trib_snapshot_free(&snap);
    free(d.path);
    assert_int_equal(drained(l, &o).files_in, 0);
}

static int h_get_fails(struct trib_store *s, const char *k, int64_t o, int64_t n, struct trib_buf *to,
                       struct trib_err *e)
{
    if (strcmp(k, "2.json") == 0 && hook(s)->fail_at > 0) {
        return trib_err_set(e, TRIB_E_IO, "the source cannot be read");
    }
    return trib_store_get(hook(s)->under, k, o, n, to, e);
}

/* An object that cannot be read ends the step, and nothing of the batch is there. */
static void unreadable(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    struct trib_store_ops ops = hooked_ops;
    ops.get = h_get_fails;
    struct hooked h = {.base = {.ops = &ops, .url = l->source->url}, .under = l->source, .fail_at = 1};
    put_text(l, "1.json", "{\"pk\":{\"S\":\"a\"}}\nbroken\n");
    put_text(l, "2.json", "{\"pk\":{\"S\":\"b\"}}\n");
    o.source = &h.base;
    drain_fails(l, &o, TRIB_E_IO, "2.json: the source cannot be read");
    assert_int_equal(version_of(l, BRONZE), -1);
    assert_int_equal(version_of(l, QUARANTINE), -1);
    h.fail_at = 0;
    drained(l, &o);
    answers(l, BRONZE, "SELECT string_agg(record.pk, ' ' ORDER BY record.pk) FROM t", "a b");
}

/* Small items first, then items of 400 KB: memory of the engine is small, and every byte arrives. */
static void wide_items(void **state)
{
    struct lake *l = *state;
    struct trib_ingest_opts o = options(l);
    struct trib_buf text;
    trib_buf_init(&text, 256 << 20);
    for (int i = 0; i < 3000; i++) {
        trib_buf_addf(&text, "{\"pk\":{\"S\":\"small%d\"},\"v\":{\"S\":\"x\"}}\n", i);
    }
    char *big = trib_malloc(390001);
    for (int i = 0; i < 300; i++) {
        for (size_t k = 0; k < 390000; k++) {
            big[k] = (char)('a' + (k * 31 + (size_t)i * k * k) % 26);
        }
        big[390000] = '\0';
        trib_buf_addf(&text, "{\"pk\":{\"S\":\"big%d\"},\"v\":{\"S\":\"%s\"}}\n", i, big);
    }
    put_bytes(l, "a.json", text.p, text.n);
    trib_buf_free(&text);
    free(big);
    assert_int_equal(drained(l, &o).rows_out, 3300);
    answers(l, BRONZE, "SELECT count(*) || ' ' || sum(length(record.v)) FROM t", "3300 117003000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(streams, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(kinesis, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(exports, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(plain_items, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(firehose_parquet, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(bad_records, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(bad_files, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(cut_pages, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(nothing_good, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(lying_exports, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(two_kinds, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(limits_and_restarts, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(schema_grows, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(late_surprise, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(broken_by_a_column, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(evolution, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(wide_keys, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(declared_key_types, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(settings, lake_setup, lake_teardown),
        cmocka_unit_test(any_number_of_workers),
        cmocka_unit_test(failing_lake),
        cmocka_unit_test_setup_teardown(two_writers, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(rebased, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(unreadable, lake_setup, lake_teardown),
        cmocka_unit_test_setup_teardown(wide_items, lake_setup, lake_teardown),
    };
    return cmocka_run_group_tests_name("ingest", tests, NULL, NULL);
}
