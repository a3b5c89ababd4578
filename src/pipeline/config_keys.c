#include "pipeline/config_keys.h"

#include <string.h>

#define LIVE    "live capture"
#define UPKEEP  "upkeep and retention"
#define MONITOR "monitoring"

#define SECOND ((int64_t)1000000)
#define DAY    (86400 * SECOND)
#define MIB    ((int64_t)1 << 20)
#define COLUMN "[^] ,;{}()\n\t=.[\"`]+"

static const struct trib_key keys[] = {
    {.path = "pipeline",
     .form = TRIB_KEY_TEXT,
     .flags = TRIB_KEY_REQUIRED | TRIB_KEY_STARTER,
     .pattern = "[a-z0-9-]+",
     .max = 64,
     .example = "shop",
     .text =
         "Name of the pipeline: lower-case letters, digits, hyphens. It is written into every commit; a lake that another pipeline writes is refused."},
    {.path = "lake",
     .form = TRIB_KEY_PATH,
     .flags = TRIB_KEY_REQUIRED | TRIB_KEY_STARTER,
     .example = "./lake",
     .text =
         "Where all tables are (Bronze, Silver, Gold, quarantine): a folder, or s3://bucket/prefix. Relative paths begin at the folder of this file."},
    {.path = "state",
     .form = TRIB_KEY_PATH,
     .flags = TRIB_KEY_STARTER_OFF,
     .example = "./state",
     .text =
         "Local cache. It can be deleted at any time: nothing is lost. Without it: $XDG_STATE_HOME/tributary/<pipeline>, else ~/.local/state/tributary/<pipeline>."},
    {.path = "trigger",
     .form = TRIB_KEY_MAP,
     .flags = TRIB_KEY_STARTER,
     .example = "{every: 2m}",
     .text =
         "When `run` works: one of the three keys below; without them every two minutes. `run --once` overrides it."},
    {.path = "trigger.every",
     .form = TRIB_KEY_DURATION,
     .min = 1000,
     .max = 365 * DAY,
     .example = "2m",
     .text = "Look for new data this often."},
    {.path = "trigger.once",
     .form = TRIB_KEY_BOOL,
     .example = "true",
     .text = "Take everything that is there, then exit (availableNow)."},
    {.path = "trigger.continuous",
     .form = TRIB_KEY_BOOL,
     .example = "true",
     .text = "Work without a pause; look again after a second when nothing was new."},
    {.path = "memory",
     .form = TRIB_KEY_SIZE,
     .flags = TRIB_KEY_STARTER_OFF,
     .initial = "256MiB",
     .min = 128 * MIB,
     .max = MIB << 20,
     .example = "1GiB",
     .text =
         "Memory budget of the process, the SQL engine included: it spills to disk beyond its part. What is needed does not depend "
         "on the size of the tables. Each 128 MiB carry one of `workers`. Read at the start; a reload does not change it."},
    {.path = "workers",
     .form = TRIB_KEY_COUNT,
     .flags = TRIB_KEY_STARTER_OFF,
     .choices = "auto",
     .initial = "auto",
     .min = 1,
     .max = 256,
     .example = "2",
     .text = "Threads that work inside a step; `auto` is the number of usable CPUs. The result does not depend on it."},
    {.path = "batch",
     .form = TRIB_KEY_MAP,
     .flags = TRIB_KEY_STARTER_OFF,
     .example = "{files: 1000, bytes: 1GiB}",
     .text = "Limits of one Bronze commit; the one that is reached first wins, and one file is always taken."},
    {.path = "batch.files",
     .form = TRIB_KEY_COUNT,
     .initial = "1000",
     .min = 1,
     .max = 1000000,
     .text = "Files in one commit."},
    {.path = "batch.bytes",
     .form = TRIB_KEY_SIZE,
     .initial = "1GiB",
     .min = 1,
     .text = "Bytes in one commit, as stored (compressed)."},

    {.path = "aws", .form = TRIB_KEY_MAP, .text = "How to reach AWS. The AWS_* variables are honoured. Per table too."},
    {.path = "aws.region", .form = TRIB_KEY_TEXT, .example = "eu-west-1", .text = "Region."},
    {.path = "aws.profile", .form = TRIB_KEY_TEXT, .text = "Profile of the shared AWS configuration."},
    {.path = "aws.endpoint_url",
     .form = TRIB_KEY_TEXT,
     .example = "http://127.0.0.1:8000",
     .text = "Another endpoint, for local servers."},
    {.path = "aws.role_arn", .form = TRIB_KEY_TEXT, .text = "Role to assume."},
    {.path = "aws.external_id", .form = TRIB_KEY_TEXT, .text = "External id for that role."},
    {.path = "monitor", .form = TRIB_KEY_MAP, .later = MONITOR, .text = "Metrics, health and status page."},
    {.path = "monitor.listen", .form = TRIB_KEY_TEXT, .example = "127.0.0.1:8090", .text = "Address to listen on."},
    {.path = "monitor.token",
     .form = TRIB_KEY_TEXT,
     .example = "${env:TRIBUTARY_TOKEN}",
     .text = "Token that requests from elsewhere must carry."},
    {.path = "retention",
     .form = TRIB_KEY_MAP,
     .text = "How long each layer keeps its data. Per table too. This version removes nothing, whatever the defaults."},
    {.path = "retention.landing",
     .form = TRIB_KEY_DURATION,
     .choices = "forever",
     .initial = "30d",
     .later = UPKEEP,
     .text = "Landed objects."},
    {.path = "retention.bronze",
     .form = TRIB_KEY_DURATION,
     .choices = "forever",
     .initial = "forever",
     .later = UPKEEP,
     .text = "Bronze rows."},
    {.path = "retention.quarantine",
     .form = TRIB_KEY_DURATION,
     .choices = "forever",
     .initial = "30d",
     .later = UPKEEP,
     .text = "Quarantined rows."},
    {.path = "retention.history",
     .form = TRIB_KEY_DURATION,
     .choices = "forever",
     .initial = "forever",
     .later = UPKEEP,
     .text = "Closed rows of history tables."},
    {.path = "s3",
     .form = TRIB_KEY_MAP,
     .text =
         "Encryption of what is written on S3, per prefix too: raw, bronze, silver, gold. A prefix takes from here what it does not say."},
    {.path = "s3.sse",
     .form = TRIB_KEY_CHOICE,
     .choices = "kms|s3",
     .text = "Server-side encryption: with a key of KMS, or of S3's own. Without it the bucket decides."},
    {.path = "s3.kms_key",
     .form = TRIB_KEY_TEXT,
     .text = "ARN of the key, with `sse: kms`; without it the account's own key for S3."},
    {.path = "s3.raw", .form = TRIB_KEY_MAP, .like = "s3", .text = "The same for the landing."},
    {.path = "s3.bronze", .form = TRIB_KEY_MAP, .like = "s3", .text = "The same for Bronze."},
    {.path = "s3.silver", .form = TRIB_KEY_MAP, .like = "s3", .text = "The same for Silver."},
    {.path = "s3.gold", .form = TRIB_KEY_MAP, .like = "s3", .text = "The same for Gold."},
    {.path = "alerts", .form = TRIB_KEY_MAP, .later = MONITOR, .text = "Who is told when something is wrong."},
    {.path = "alerts.webhook", .form = TRIB_KEY_TEXT, .text = "URL that gets a POST for each alert."},
    {.path = "alerts.heartbeat", .form = TRIB_KEY_TEXT, .text = "URL that is called while all is well."},

    {.path = "defaults",
     .form = TRIB_KEY_MAP,
     .like = "tables",
     .text = "Any key of a table but `name`, for all tables. A table's own keys win, block by block."},
    {.path = "tables",
     .form = TRIB_KEY_BLOCKS,
     .flags = TRIB_KEY_REQUIRED | TRIB_KEY_STARTER,
     .text = "The DynamoDB tables, at least one."},
    {.path = "tables.name",
     .form = TRIB_KEY_TEXT,
     .flags = TRIB_KEY_REQUIRED | TRIB_KEY_STARTER,
     .pattern = "[A-Za-z0-9_.-]+",
     .max = 255,
     .example = "Orders",
     .text = "Name of the DynamoDB table."},
    {.path = "tables.key",
     .form = TRIB_KEY_MAP,
     .flags = TRIB_KEY_REQUIRED | TRIB_KEY_STARTER,
     .example = "{partition: pk, sort: sk}",
     .text = "Its key attributes. `partition: pk` learns the type; `partition: {name: pk, type: S}` declares it."},
    {.path = "tables.key.partition",
     .form = TRIB_KEY_MAP,
     .flags = TRIB_KEY_REQUIRED | TRIB_KEY_SHORT,
     .text = "The partition key: an attribute name, or name and type."},
    {.path = "tables.key.partition.name", .form = TRIB_KEY_TEXT, .flags = TRIB_KEY_REQUIRED, .text = "Attribute."},
    {.path = "tables.key.partition.type",
     .form = TRIB_KEY_CHOICE,
     .choices = "S|N|B",
     .text = "Its type; learnt when not given."},
    {.path = "tables.key.sort",
     .form = TRIB_KEY_MAP,
     .flags = TRIB_KEY_SHORT,
     .text = "The sort key, for tables that have one: an attribute name, or name and type."},
    {.path = "tables.key.sort.name", .form = TRIB_KEY_TEXT, .flags = TRIB_KEY_REQUIRED, .text = "Attribute."},
    {.path = "tables.key.sort.type",
     .form = TRIB_KEY_CHOICE,
     .choices = "S|N|B",
     .text = "Its type; learnt when not given."},
    {.path = "tables.aws", .form = TRIB_KEY_MAP, .like = "aws", .text = "As at the top, for this table."},
    {.path = "tables.filter",
     .form = TRIB_KEY_TEXT,
     .later = "filters at capture",
     .example = "\"status <> 'draft'\"",
     .text =
         "SQL condition over the attributes: an image that does not satisfy it is captured as the removal of its key."},
    {.path = "tables.source",
     .form = TRIB_KEY_MAP,
     .flags = TRIB_KEY_REQUIRED | TRIB_KEY_STARTER,
     .example = "{type: files, path: ./in/orders}",
     .text = "Where the records come from."},
    {.path = "tables.source.type",
     .form = TRIB_KEY_CHOICE,
     .flags = TRIB_KEY_REQUIRED,
     .choices = "files|export|streams|kinesis|dms|snapshot",
     .choices_later = "scan|poll",
     .text =
         "`files`: a folder of change records and exports, new files are picked up; the kind is detected per file. `export`: a finished DynamoDB export. "
         "`streams`: DynamoDB Streams, live. `kinesis`: Kinesis Data Streams for DynamoDB, live. `dms`: files that AWS DMS wrote to an S3 target for one table, full load and changes, CSV or Parquet. "
         "`snapshot`: full snapshots that come now and then; the newest is compared with Silver, what differs is a change, what is missing is a delete."},
    {.path = "tables.source.path",
     .form = TRIB_KEY_PATH,
     .only = "files|export|snapshot|dms",
     .text =
         "The folder, or s3://bucket/prefix. For `export` the export's own folder, or one above `AWSDynamoDB`. A folder of `files` that is not there yet counts as empty. Change records that name another table than `name` go to quarantine."},
    {.path = "tables.source.max_removed",
     .form = TRIB_KEY_COUNT,
     .initial = "20",
     .min = 0,
     .max = 100,
     .only = "snapshot",
     .text =
         "How many of the live items a snapshot may lack, in percent. One that lacks more, or is empty, is refused (exit 65): it may be cut off."},
    {.path = "tables.source.accept",
     .form = TRIB_KEY_TEXT,
     .only = "snapshot",
     .example = "2026-01-31",
     .text = "The name of one snapshot that may lack any number: its file's or folder's, or its export's folder."},
    {.path = "tables.source.columns",
     .form = TRIB_KEY_TEXTS,
     .only = "dms",
     .example = "[id, name, price]",
     .text =
         "The table's columns in the order of the CSV files, without `Op`. Without it every CSV file must begin with a line of names (AddColumnName). "
         "Parquet needs none."},
    {.path = "tables.source.timestamp",
     .form = TRIB_KEY_TEXT,
     .only = "dms",
     .example = "dms_timestamp",
     .text =
         "The column that DMS writes the commit time to (TimestampColumnName). It orders the changes and is no attribute; without it they are in the "
         "order of the files' names and rows. Where a CSV file names no columns and `columns` does not list it, it stands before them."},
    {.path = "tables.source.delimiter",
     .form = TRIB_KEY_TEXT,
     .initial = ",",
     .max = 2,
     .only = "dms",
     .text = "What is between the fields of CSV (CsvDelimiter): one character, or \\t."},
    {.path = "tables.source.null_value",
     .form = TRIB_KEY_TEXT,
     .initial = "NULL",
     .only = "dms",
     .text = "An unquoted CSV field that is this is null (CsvNullValue): the item has no such attribute."},
    {.path = "tables.source.format",
     .form = TRIB_KEY_CHOICE,
     .choices = "auto",
     .initial = "auto",
     .only = "files",
     .text = "The record kind is detected per file."},
    {.path = "tables.source.stream",
     .form = TRIB_KEY_TEXT,
     .only = "streams|kinesis",
     .text =
         "`streams`: ARN of the stream; without it the table's own. `kinesis`: name or ARN of the Kinesis stream that the table writes to, required."},
    {.path = "tables.source.bootstrap",
     .form = TRIB_KEY_CHOICE,
     .choices = "scan|none",
     .choices_later = "export",
     .initial = "scan",
     .only = "streams|kinesis",
     .text = "How the first state is taken."},
    {.path = "tables.source.bucket",
     .form = TRIB_KEY_TEXT,
     .only = "streams|export",
     .later = LIVE,
     .text = "Bucket for exports."},
    {.path = "tables.source.prefix",
     .form = TRIB_KEY_TEXT,
     .only = "streams|export",
     .later = LIVE,
     .text = "Prefix in that bucket."},
    {.path = "tables.source.request",
     .form = TRIB_KEY_CHOICE,
     .choices = "full|incremental",
     .only = "export",
     .later = LIVE,
     .text = "Request exports; incremental windows are chained."},
    {.path = "tables.source.every",
     .form = TRIB_KEY_DURATION,
     .only = "export|poll",
     .later = LIVE,
     .text = "How often."},
    {.path = "tables.source.segments",
     .form = TRIB_KEY_COUNT,
     .min = 1,
     .only = "scan",
     .later = LIVE,
     .text = "Parallel segments of a scan."},
    {.path = "tables.source.rate",
     .form = TRIB_KEY_COUNT,
     .min = 1,
     .only = "scan",
     .later = LIVE,
     .text = "Read capacity units a second."},
    {.path = "tables.source.attribute",
     .form = TRIB_KEY_TEXT,
     .only = "poll",
     .later = LIVE,
     .text = "The attribute that grows with each change."},
    {.path = "tables.source.watermark",
     .form = TRIB_KEY_TEXT,
     .only = "poll",
     .later = LIVE,
     .text = "Where its last value is kept: state, ssm:NAME, dynamodb:TABLE."},
    {.path = "tables.landing",
     .form = TRIB_KEY_MAP,
     .choices = "none",
     .example = "{buffer: {size: 64MiB, interval: 60s}}",
     .text = "How captured records are landed, for sources that are captured."},
    {.path = "tables.landing.format",
     .form = TRIB_KEY_CHOICE,
     .choices = "json",
     .choices_later = "parquet",
     .initial = "json",
     .text = "Form of the landed objects: DynamoDB's records, one a line."},
    {.path = "tables.landing.compression",
     .form = TRIB_KEY_CHOICE,
     .choices = "zstd",
     .choices_later = "gzip|none",
     .initial = "zstd",
     .text = "Their compression."},
    {.path = "tables.landing.buffer",
     .form = TRIB_KEY_MAP,
     .text = "When an object is written: the first that is reached."},
    {.path = "tables.landing.buffer.size",
     .form = TRIB_KEY_SIZE,
     .initial = "64MiB",
     .min = 1,
     .max = 128 * MIB,
     .text = "At this size, of all shards of the table together."},
    {.path = "tables.landing.buffer.interval",
     .form = TRIB_KEY_DURATION,
     .initial = "60s",
     .min = 1000,
     .max = 3600 * SECOND,
     .text = "At this age."},
    {.path = "tables.landing.buckets",
     .form = TRIB_KEY_COUNT,
     .initial = "0",
     .later = "hash buckets of the landing",
     .text = "Hash buckets of the key."},

    {.path = "tables.schema", .form = TRIB_KEY_MAP, .text = "How attributes become columns."},
    {.path = "tables.schema.evolution",
     .form = TRIB_KEY_CHOICE,
     .flags = TRIB_KEY_STARTER_OFF,
     .choices = "widen|add|rescue|fail|none",
     .initial = "widen",
     .text =
         "What a new attribute or a value that does not fit does. `widen`: as `add`, and a bigint column that meets other numbers becomes decimal(38,18). `add`: new attributes get columns. "
         "`rescue`: no new columns, values are rescued. `fail`: the table stops. `none`: no new columns, nothing is said. Nothing is ever dropped: what has no column is in _rescued_data."},
    {.path = "tables.schema.infer",
     .form = TRIB_KEY_BOOL,
     .initial = "true",
     .text = "false: every column is a STRING."},
    {.path = "tables.schema.numbers",
     .form = TRIB_KEY_CHOICE,
     .flags = TRIB_KEY_STARTER_OFF,
     .choices = "auto|decimal|double|string",
     .initial = "auto",
     .text =
         "Type of number columns. `auto`: bigint where all are whole, else decimal(38,18). All 38 digits of DynamoDB survive in any case."},
    {.path = "tables.schema.hints",
     .form = TRIB_KEY_DICT,
     .flags = TRIB_KEY_STARTER_OFF,
     .example = "{amount: \"decimal(18,2)\", \"address.zip\": string}",
     .text =
         "Types by path, in Spark's spelling: of attributes, of members (`address.zip`), of what is in lists and sets (`tags.element`); `array<…>` and `struct<…>` too. A name with a dot stands in backticks. A value that does not fit its hint exactly is rescued. A hinted column is there in every target, seen or not; one that is there already keeps its type, but for a bigint that is hinted a decimal; keys go by `key`."},
    {.path = "tables.schema.names",
     .form = TRIB_KEY_CHOICE,
     .choices = "sanitize",
     .choices_later = "mapping",
     .initial = "sanitize",
     .text = "Characters that Delta does not allow in column names become `_`."},
    {.path = "tables.schema.max_columns",
     .form = TRIB_KEY_COUNT,
     .initial = "2000",
     .min = 1,
     .max = 100000,
     .text =
         "Leaf columns of attributes in Silver; attributes beyond it are rescued, and `status` says so. Bronze has room for 8,000 more."},

    {.path = "tables.silver",
     .form = TRIB_KEY_MAP,
     .flags = TRIB_KEY_OR_BLOCKS,
     .text = "The Silver table, or a list of such blocks, each with its own `where` and `table`."},
    {.path = "tables.silver.where",
     .form = TRIB_KEY_TEXT,
     .flags = TRIB_KEY_STARTER_OFF,
     .example = "\"type = 'order'\"",
     .text =
         "SQL condition over the attributes: which items belong here, for several kinds of items in one DynamoDB table."},
    {.path = "tables.silver.domain",
     .form = TRIB_KEY_NAME,
     .flags = TRIB_KEY_STARTER,
     .initial = "default",
     .example = "sales",
     .text = "Folder of the table below silver/: lower-case letters, digits, underscores."},
    {.path = "tables.silver.table",
     .form = TRIB_KEY_NAME,
     .flags = TRIB_KEY_STARTER,
     .example = "orders",
     .text = "Name of the table. Without it the DynamoDB name in lower case, every other character as `_`."},
    {.path = "tables.silver.deletes",
     .form = TRIB_KEY_CHOICE,
     .flags = TRIB_KEY_STARTER,
     .choices = "soft|hard",
     .initial = "soft",
     .example = "soft",
     .text = "`soft`: deleted items stay, marked by _is_deleted. `hard`: their rows go."},
    {.path = "tables.silver.history",
     .form = TRIB_KEY_CHOICE,
     .flags = TRIB_KEY_STARTER,
     .choices = "none|scd2",
     .initial = "none",
     .example = "none",
     .text = "`scd2`: the table <table>_history too, with a row for each state of an item and its validity."},
    {.path = "tables.silver.merge",
     .form = TRIB_KEY_CHOICE,
     .choices = "copy-on-write",
     .choices_later = "vectors",
     .initial = "copy-on-write",
     .text = "How changes are written. `copy-on-write`: changed files are written again; every reader can read them."},
    {.path = "tables.silver.change_data_feed",
     .form = TRIB_KEY_BOOL,
     .initial = "false",
     .later = "the change data feed",
     .text = "Write Delta's change data feed."},
    {.path = "tables.silver.sequence",
     .form = TRIB_KEY_TEXT,
     .initial = "stream",
     .text =
         "What orders the changes of an item. `stream`: the order of the source. An attribute of type S or N: a version or update time of your own, which must go on growing when a deleted item is written again; records without it go to quarantine. It cannot be changed on an existing table."},
    {.path = "tables.silver.columns", .form = TRIB_KEY_MAP, .text = "Names of the columns that Tributary adds."},
    {.path = "tables.silver.columns.updated_at",
     .form = TRIB_KEY_TEXT,
     .initial = "_updated_at",
     .pattern = COLUMN,
     .text = "Time of the change that made the row."},
    {.path = "tables.silver.columns.is_deleted",
     .form = TRIB_KEY_TEXT,
     .initial = "_is_deleted",
     .pattern = COLUMN,
     .text = "The mark of soft deletes."},
    {.path = "tables.silver.cluster",
     .form = TRIB_KEY_TEXTS,
     .initial = "[]",
     .later = UPKEEP,
     .text = "Z-order columns."},
    {.path = "tables.silver.partition_by",
     .form = TRIB_KEY_TEXTS,
     .initial = "[]",
     .later = "partitioned Silver tables",
     .text = "Partition expressions: date(created), bucket(16)."},
    {.path = "tables.silver.mask",
     .form = TRIB_KEY_DICT,
     .initial = "{}",
     .later = "masking",
     .text = "Attribute → hash or drop, before anything is written."},
    {.path = "tables.expectations",
     .form = TRIB_KEY_BLOCKS,
     .initial = "[]",
     .later = "checks of data quality",
     .text = "Conditions that records must satisfy."},
    {.path = "tables.expectations.name",
     .form = TRIB_KEY_TEXT,
     .flags = TRIB_KEY_REQUIRED,
     .text = "Its name in the quarantine table."},
    {.path = "tables.expectations.check",
     .form = TRIB_KEY_TEXT,
     .flags = TRIB_KEY_REQUIRED,
     .example = "\"amount >= 0\"",
     .text = "SQL condition over the attributes."},
    {.path = "tables.expectations.on_fail",
     .form = TRIB_KEY_CHOICE,
     .choices = "warn|drop|quarantine|fail",
     .text = "What happens to a record that fails."},
    {.path = "tables.late_after",
     .form = TRIB_KEY_DURATION,
     .initial = "7d",
     .max = 36500 * DAY,
     .text =
         "A record this much older than the newest one counts as late. Measured between records, never with the clock; 0s: off."},
    {.path = "tables.late",
     .form = TRIB_KEY_CHOICE,
     .choices = "count|quarantine",
     .initial = "count",
     .text =
         "`count`: late records are counted and merged in their place. `quarantine`: they go to quarantine, which depends on the order of arrival."},
    {.path = "tables.slo", .form = TRIB_KEY_MAP, .later = MONITOR, .text = "Objectives."},
    {.path = "tables.slo.freshness", .form = TRIB_KEY_DURATION, .text = "Alert when Silver is older than this."},
    {.path = "tables.retention", .form = TRIB_KEY_MAP, .like = "retention", .text = "As at the top, for this table."},
    {.path = "tables.upkeep", .form = TRIB_KEY_MAP, .text = "Files of the tables."},
    {.path = "tables.upkeep.target_file",
     .form = TRIB_KEY_SIZE,
     .initial = "128MiB",
     .later = UPKEEP,
     .text = "Size of files that upkeep aims at."},
    {.path = "tables.upkeep.compact_after",
     .form = TRIB_KEY_COUNT,
     .initial = "32",
     .later = UPKEEP,
     .text = "Small files that make it compact."},
    {.path = "tables.upkeep.vacuum_after",
     .form = TRIB_KEY_DURATION,
     .initial = "7d",
     .later = UPKEEP,
     .text = "Age at which removed files are deleted."},

    {.path = "discover",
     .form = TRIB_KEY_MAP,
     .later = "discovery of tables",
     .text = "Takes in DynamoDB tables that match, with `defaults`."},
    {.path = "discover.prefix", .form = TRIB_KEY_TEXT, .text = "Names that begin so."},
    {.path = "discover.tags", .form = TRIB_KEY_DICT, .text = "Tags that they carry."},

    {.path = "gold",
     .form = TRIB_KEY_BLOCKS,
     .flags = TRIB_KEY_STARTER_OFF,
     .initial = "[]",
     .text = "Marts: a SQL file each, refreshed when a table that it reads has changed."},
    {.path = "gold.subject",
     .form = TRIB_KEY_NAME,
     .flags = TRIB_KEY_STARTER_OFF,
     .initial = "default",
     .example = "sales",
     .text = "Folder of the table below gold/."},
    {.path = "gold.name",
     .form = TRIB_KEY_NAME,
     .flags = TRIB_KEY_STARTER_OFF,
     .example = "revenue_by_day",
     .text = "Name of the table. Without it the name of the SQL file in lower case, every other character as `_`."},
    {.path = "gold.sql",
     .form = TRIB_KEY_PATH,
     .flags = TRIB_KEY_REQUIRED | TRIB_KEY_STARTER_OFF,
     .example = "sql/revenue_by_day.sql",
     .text = "A file with one SELECT over silver.* and gold.*."},
};

const struct trib_key *trib_keys_table(size_t *ret_n)
{
    *ret_n = sizeof keys / sizeof keys[0];
    return keys;
}

static const struct trib_key *find_exact(const char *path, size_t n)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strncmp(keys[i].path, path, n) == 0 && keys[i].path[n] == '\0') {
            return &keys[i];
        }
    }
    return NULL;
}

/* The path with the first `like` on it followed; NULL when there is none. [out] */
static char *follow_like(const char *path)
{
    for (const char *dot = strchr(path, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        const struct trib_key *k = find_exact(path, (size_t)(dot - path));
        if (k != NULL && k->like != NULL) {
            return trib_asprintf("%s%s", k->like, dot);
        }
    }
    return NULL;
}

const struct trib_key *trib_key_find(const char *path)
{
    char *p = trib_strdup(path), *next;
    /* It ends: every `like` of the table names a shorter path. */
    while ((next = follow_like(p)) != NULL) {
        trib_cleanup_free(&p);
        p = next;
    }
    const struct trib_key *k = find_exact(p, strlen(p));
    trib_cleanup_free(&p);
    return k;
}

void trib_key_children(const char *path, void (*fn)(void *ctx, const struct trib_key *key, const char *name), void *ctx)
{
    const struct trib_key *self = path[0] == '\0' ? NULL : trib_key_find(path);
    const char *under = self == NULL ? "" : self->like != NULL ? self->like : self->path;
    size_t n = strlen(under);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *p = keys[i].path;
        if (n > 0) {
            if (strncmp(p, under, n) != 0 || p[n] != '.') {
                continue;
            }
            p += n + 1;
        }
        if (strchr(p, '.') == NULL) {
            fn(ctx, &keys[i], p);
        }
    }
}

const char *trib_key_name(const struct trib_key *key)
{
    const char *dot = strrchr(key->path, '.');
    return dot == NULL ? key->path : dot + 1;
}

int trib_key_choice(const char *choices, const char *word)
{
    size_t n = strlen(word);
    int i = 0;
    for (const char *c = choices; c != NULL && *c != '\0'; i++) {
        size_t k = strcspn(c, "|");
        if (k == n && memcmp(c, word, n) == 0) {
            return i;
        }
        c += k + (c[k] == '|');
    }
    return -1;
}
