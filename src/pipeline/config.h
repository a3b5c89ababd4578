/*
 * The configuration: one table of keys (src/pipeline/config_keys.c) from which the parser, `validate`, `schema`, `schema --json`,
 * the reference page and `init` come (spec: interface.md, Configuration).
 *
 * Threads: a loaded config is read-only. Secrets that came through ${env:} or ${file:} are redacted wherever it is printed.
 */
#ifndef TRIB_PIPELINE_CONFIG_H
#define TRIB_PIPELINE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "capture/capture.h"
#include "ingest/ingest.h"
#include "merge/merge.h"

enum trib_trigger { TRIB_TRIGGER_EVERY, TRIB_TRIGGER_ONCE, TRIB_TRIGGER_CONTINUOUS };

struct trib_cfg_key {
    char *name;
    char *type; /* "S" "N" "B" or NULL */
};

struct trib_cfg_silver {
    char *where; /* NULL */
    char *domain, *table;
    bool hard_deletes;
    bool scd2;
    char *sequence; /* NULL: stream */
    char *updated_at, *is_deleted;
    size_t line, column;
    size_t where_line, where_column;
};

/* How to reach AWS; NULL: not said. A table's own words win over those at the top. */
struct trib_cfg_aws {
    char *region, *profile, *endpoint_url, *role_arn, *external_id;
};

/* Encryption of what is written on S3 below a prefix of the lake; "": all else. sse "kms", "s3", NULL: the bucket's default. */
enum { TRIB_CFG_S3_PREFIXES = 5 };
struct trib_cfg_s3 {
    const char *prefix; /* "", "raw/", "bronze/", "silver/", "gold/" */
    char *sse, *kms_key;
};

/* Of a source that is captured. */
struct trib_cfg_capture {
    bool on;
    char *stream;  /* ARN of a DynamoDB stream; NULL: the table's own */
    char *kinesis; /* name or ARN of a Kinesis stream; NULL: DynamoDB Streams */
    enum trib_bootstrap bootstrap;
    char *bucket, *prefix;
    unsigned segments;
    double rate;
    int64_t buffer_bytes, buffer_interval_us;
};

/* Of a `dms` source. */
struct trib_cfg_dms {
    char **columns;
    size_t n_columns;
    char *timestamp; /* NULL: none */
    char delimiter;
    char *null_value;
};

/* Of a `snapshot` source. */
struct trib_cfg_snapshot {
    int64_t max_removed; /* percent */
    char *accept;        /* NULL: none */
};

struct trib_cfg_table {
    char *name;
    size_t line, column;                 /* in the file, for messages */
    struct trib_cfg_key partition, sort; /* sort.name NULL: none */
    enum trib_source_type source_type;
    char *source_path; /* as written, resolved against the config's folder, or an s3:// URL; NULL where capture is on */
    struct trib_cfg_aws aws;
    struct trib_cfg_capture capture;
    struct trib_cfg_dms dms;
    struct trib_cfg_snapshot snapshot;
    enum trib_evolution evolution;
    bool infer;
    enum trib_numbers numbers;
    size_t n_hints;
    struct trib_hint *hints;
    size_t max_columns;
    size_t n_silver; /* 1 at least */
    struct trib_cfg_silver *silver;
    int64_t late_after_us;
    enum trib_late late;
};

struct trib_cfg_mart {
    char *subject, *name, *sql_path; /* sql_path resolved against the config's folder */
    size_t line, column;
};

struct trib_config {
    char *file;                    /* the path it was read from */
    char *pipeline, *lake, *state; /* paths resolved against the config's folder; lake may be an s3:// URL */
    struct trib_cfg_aws aws;       /* at the top */
    struct trib_cfg_s3 s3[TRIB_CFG_S3_PREFIXES];
    enum trib_trigger trigger;
    int64_t every_us;
    uint64_t memory_bytes;
    unsigned workers; /* 0: auto */
    int64_t batch_files, batch_bytes;
    size_t n_tables;
    struct trib_cfg_table *tables;
    size_t n_gold;
    struct trib_cfg_mart *gold;
    size_t n_warnings; /* "FILE:LINE:COLUMN: text": nothing wrong, but worth a look */
    char **warnings;
    struct trib_cfg_own *own; /* the parsed text, substituted values; config.c's */
};

/* Reads, substitutes, checks types and cross-references, applies `defaults`. All problems of the file are collected: err->msg has
 * the first as "FILE:LINE:COLUMN: text", *ret_report (may be NULL; [out] free()) all of them, one a line. CONFIG on any problem.
 * A known key whose part is not there yet is a problem too, with a message of its own. */
TRIB_CHECKED int trib_config_load(const char *path, struct trib_config **ret, char **ret_report, struct trib_err *err);
TRIB_CHECKED int trib_config_parse(struct trib_view text, const char *file, struct trib_config **ret, char **ret_report,
                                   struct trib_err *err);
void trib_config_free(struct trib_config *c);
/* Replaces every value that came through ${env:} or ${file:} (four bytes or longer) by ***. */
void trib_config_redact(const struct trib_config *c, struct trib_buf *text);
/* The config as it is in effect: defaults merged into each table, every available key with its value, substituted values as ***. YAML. */
void trib_config_effective(const struct trib_config *c, struct trib_buf *to);
/* -c FILE, else $TRIBUTARY_CONFIG, ./tributary.yaml, $XDG_CONFIG_HOME/tributary/tributary.yaml, /etc/tributary/tributary.yaml. [out] free(); CONFIG when none is there. */
TRIB_CHECKED int trib_config_find(const char *flag, char **ret, struct trib_err *err);

/* true when there are conditions or marts: what trib_config_check_sql looks at. */
bool trib_config_has_sql(const struct trib_config *c);
/* Conditions parse, marts are one SELECT over tables that the config has. CONFIG on any problem, *ret_report ([out] free()) as
 * trib_config_load; marts are told by their own file and place. For `validate`. */
struct trib_conn;
TRIB_CHECKED int trib_config_check_sql(const struct trib_config *c, struct trib_conn *conn, char **ret_report,
                                       struct trib_err *err);

/* Generated from the table of keys. */
void trib_config_reference(struct trib_buf *to);   /* Markdown: docs/configuration.md */
void trib_config_json_schema(struct trib_buf *to); /* JSON Schema */
void trib_config_starter(struct trib_buf *to);     /* what `init` writes */

#endif
