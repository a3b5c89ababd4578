/*
 * `tributary verify`: Silver against the tables in DynamoDB (pipeline/verify.c), one table after the other. Differences go to stdout, a line
 * with counts and rate per table to stderr; exit 1 when there is one.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "merge/differ.h"
#include "os/os.h"
#include "pipeline/pipeline.h"

enum { CELL_ON_TERMINAL = 60 };

struct verifying {
    struct trib_cli *cli;
    const char *table;
    struct trib_pipeline *pipeline;
    struct trib_output_writer *writer;
    int64_t differ;
};

static bool stop_asked(void *ctx)
{
    (void)ctx;
    return trib_signals_stop_asked();
}

static int drain(void *ctx, struct trib_err *err)
{
    struct verifying *v = ctx;
    trib_pipeline_capture_again(v->pipeline);
    trib_cli_capture_once(v->pipeline);
    return trib_pipeline_drain(v->pipeline, TRIB_RUN_INGEST | TRIB_RUN_MERGE, err);
}

static void items_read(void *ctx, int64_t items)
{
    struct verifying *v = ctx;
    struct trib_progress p = {
        .stage = "verify", .table = v->table, .done = items, .total = -1, .unit = "items", .rows = -1, .bytes = -1};
    trib_cli_progress(v->cli, &p);
}

static void rows(void *ctx, const struct trib_chunk *chunk)
{
    struct verifying *v = ctx;
    trib_output_rows(v->writer, chunk);
}

static void tell(struct verifying *v, const struct trib_verified *r, int64_t us)
{
    char items[32], silver[32], differ[32], moving[32], again[32], seconds[32], rate[32];
    double s = us > 0 ? (double)us / 1e6 : 1e-6;
    (void)snprintf(items, sizeof items, "%lld", (long long)r->items);
    (void)snprintf(silver, sizeof silver, "%lld", (long long)r->rows);
    (void)snprintf(differ, sizeof differ, "%lld", (long long)r->differ);
    (void)snprintf(moving, sizeof moving, "%lld", (long long)r->moving);
    (void)snprintf(again, sizeof again, "%u", r->again);
    (void)snprintf(seconds, sizeof seconds, "%.1f", s);
    (void)snprintf(rate, sizeof rate, "%.0f/s", (double)r->items / s);
    if (r->moving > 0) {
        trib_logkv(
            &v->cli->log, TRIB_LOG_WARN,
            "keys changed each time between being read and being compared; verify again when the table is quieter",
            "table", v->table, "keys", moving, NULL);
    }
    trib_logkv(&v->cli->log, TRIB_LOG_INFO,
               r->differ == 0 ? "Silver equals the table" : "Silver differs from the table", "table", v->table,
               v->cli->flags.sample > 0 ? "sample" : "items", items, "silver", silver, "differ", differ, "moving",
               moving, "read_again", again, "seconds", seconds, "rate", rate, NULL);
}

static int verify_table(struct verifying *v, const struct trib_config *config, struct trib_err *err)
{
    struct trib_env *env;
    TRIB_TRY(trib_cli_env(v->cli, config, true, &env, err));
    env->stop_asked = stop_asked;
    TRIB_TRY(trib_pipeline_new(env, trib_cli_aws_host(v->cli), config, &v->table, 1, NULL, &v->pipeline, err));
    const struct trib_verify_opts o = {.sample = v->cli->flags.sample > 0 ? (size_t)v->cli->flags.sample : 0,
                                       .drain = drain,
                                       .read = items_read,
                                       .rows = rows,
                                       .ctx = v};
    struct trib_verified r;
    int64_t began_us = trib_now_us(&trib_clock_real);
    int rc = trib_pipeline_verify(v->pipeline, &o, &r, err);
    if (rc == 0) {
        tell(v, &r, trib_now_us(&trib_clock_real) - began_us);
        v->differ += r.differ;
    }
    trib_pipeline_free(v->pipeline);
    v->pipeline = NULL;
    return rc;
}

/* A table that cannot be verified does not keep the others from it; its failure is the exit status. */
static int verify_run(struct trib_cli *cli, struct trib_err *err)
{
    const struct trib_config *config;
    TRIB_TRY(trib_cli_config(cli, &config, err));
    if (cli->flags.sample == 0) {
        return trib_err_set(err, TRIB_E_USAGE, "--sample: a sample of 0 keys proves nothing");
    }
    trib_signals_install();
    struct verifying v = {.cli = cli};
    struct trib_err first = {0};
    v.writer =
        trib_output_open(cli->out, cli->flags.output, trib_differ_type(), cli->terminal_out ? CELL_ON_TERMINAL : 0);
    for (size_t i = 0; i < config->n_tables && !trib_signals_stop_asked(); i++) {
        if (!trib_cli_table_wanted(cli, config->tables[i].name)) {
            continue;
        }
        struct trib_err one = {0};
        v.table = config->tables[i].name;
        if (verify_table(&v, config, &one) == 0) {
            continue;
        }
        if (first.code == TRIB_OK) {
            first = one;
        } else {
            trib_logkv(&cli->log, TRIB_LOG_ERROR, "not verified", "table", v.table, "error", one.msg, NULL);
        }
    }
    if (first.code == TRIB_OK && trib_signals_stop_asked()) {
        (void)trib_err_set(&first, TRIB_E_CANCELLED, "stopped before every table was verified");
    }
    trib_output_close(v.writer);
    cli->exit_status = v.differ > 0 ? 1 : 0;
    *err = first;
    return (int)first.code;
}

const struct trib_verb trib_verb_verify = {
    .name = "verify",
    .summary = "compare Silver with the table in DynamoDB, row by row; exit 1 when they differ",
    .text =
        "Reads the whole table (a parallel scan, strongly consistent, under the source's `segments` and `rate`), drains the pipeline as `run --once` does, and "
        "compares every item with its Silver row: all attributes, by value, rescued data included. Keys that differ may have changed in between: "
        "exactly those are read again, up to five times; what still differs is printed and makes the exit status 1. A key whose item was another one at each reading is counted as moving and is no difference.\n\n"
        "A target with `where` must hold the items that satisfy it and no others; a row that is deleted softly counts as none. kind: `missing` (the table has "
        "the item, Silver has no row), `extra` (the other way round, or a second row of a key), `different`. source and silver are the items as DynamoDB JSON.\n\n"
        "--sample N compares about N random keys of the table and N of each Silver table: cheap on a big table, and no proof.\n\n"
        "Needs dynamodb:Scan, dynamodb:BatchGetItem and what capture needs. Only tables whose source is `streams` can be verified in this version; others are exit 69.",
    .flags = "sample",
    .examples =
        "tributary verify # every table, every row\ntributary verify --table Orders --output jsonl # what differs, a line each\n"
        "tributary verify --sample 10000 # a look at a very big table",
    .run = verify_run,
};
