/*
 * `tributary run`, and one stage of it alone: `ingest`, `merge`, `marts`. The daemon's loop: passes under the trigger, sleeping in
 * between; the only place that sleeps. SIGTERM and SIGINT drain, for 60 s at most: what Bronze has taken goes through to
 * Gold. SIGHUP swaps the config, or keeps the old one and says why.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/verbs.h"
#include "os/os.h"
#include "pipeline/pipeline.h"

struct run {
    struct trib_cli *cli;
    size_t told; /* steps and failures so far */
};

static bool stop_asked(void *ctx)
{
    (void)ctx;
    return trib_signals_stop_asked();
}

static void stepped(void *ctx, const char *stage, const char *table, const char *target, const struct trib_step *step,
                    const struct trib_err *err)
{
    struct run *r = ctx;
    struct trib_cli *cli = r->cli;
    r->told++;
    if (err != NULL) {
        trib_logkv(&cli->log, TRIB_LOG_ERROR, "stage failed", "stage", stage, "table", table, "target",
                   target != NULL ? target : "-", "error", err->msg, "code", trib_code_name(err->code), NULL);
        return;
    }
    char rows[32], version[32], quarantined[32];
    (void)snprintf(rows, sizeof rows, "%lld", (long long)step->rows_out);
    if (step->version >= 0) {
        (void)snprintf(version, sizeof version, "%lld", (long long)step->version);
    } else {
        (void)snprintf(version, sizeof version, "-"); /* all of it went to quarantine */
    }
    (void)snprintf(quarantined, sizeof quarantined, "%lld", (long long)step->quarantined);
    trib_logkv(&cli->log, TRIB_LOG_INFO, "committed", "stage", stage, "table", table, "target",
               target != NULL ? target : "-", "version", version, "rows", rows, "quarantined", quarantined, NULL);
    struct trib_progress p = {.stage = stage,
                              .table = target != NULL ? target : table,
                              .done = step->rows_out,
                              .total = -1,
                              .unit = "rows",
                              .rows = -1, /* the unit is rows already */
                              .bytes = step->bytes_in > 0 ? step->bytes_in : -1};
    char note[64];
    if (step->quarantined > 0) {
        (void)snprintf(note, sizeof note, "%lld to quarantine", (long long)step->quarantined);
        p.note = note;
    }
    trib_cli_progress_done(cli, &p);
    if (step->quarantined > 0) {
        trib_logkv(&cli->log, TRIB_LOG_WARN, "records went to quarantine", "table", table, "records", quarantined,
                   "see", "tributary status", NULL);
    }
}

static int make(struct trib_cli *cli, const struct trib_config *config, const struct trib_observer *observer,
                struct trib_pipeline **ret, struct trib_err *err)
{
    struct trib_env *env;
    TRIB_TRY(trib_cli_env(cli, config, true, &env, err));
    env->stop_asked = stop_asked;
    return trib_pipeline_new(env, trib_cli_aws_host(cli), config, cli->flags.tables, cli->flags.n_tables, observer, ret,
                             err);
}

/* Swaps the config, or keeps the old one. The new one must be of the same pipeline and lake: positions live there. */
static void reload(struct trib_cli *cli, const struct trib_observer *observer, const struct trib_config **config,
                   struct trib_pipeline **p)
{
    const struct trib_config *now = *config;
    struct trib_err err = {0};
    struct trib_config *next = NULL;
    struct trib_pipeline *swapped = NULL;
    int rc = trib_config_load(now->file, &next, NULL, &err);
    if (rc == 0 && (strcmp(next->lake, now->lake) != 0 || strcmp(next->pipeline, now->pipeline) != 0)) {
        rc = trib_err_set(&err, TRIB_E_CONFIG, "%s: lake and pipeline cannot change while running: restart", now->file);
    }
    if (rc == 0) {
        rc = make(cli, next, observer, &swapped, &err);
    }
    if (rc != 0) {
        trib_logkv(&cli->log, TRIB_LOG_ERROR, "config kept as it was", "error", err.msg, NULL);
        trib_config_free(next);
        return;
    }
    trib_pipeline_free(*p);
    trib_cli_config_swap(cli, next); /* frees the old one; the log redacts the new one's secrets from here on */
    *p = swapped;
    *config = next;
    trib_logkv(&cli->log, TRIB_LOG_INFO, "config reloaded", "file", next->file, NULL);
}

static int64_t pause_us(const struct trib_config *config)
{
    return config->trigger == TRIB_TRIGGER_CONTINUOUS ? 1000000 : config->every_us;
}

/* A drain: see verbs.h. */
void trib_cli_capture_once(struct trib_pipeline *p)
{
    for (;;) {
        int64_t due_us = trib_pipeline_capture(p, true);
        if (due_us == INT64_MAX || trib_signals_stop_asked()) {
            trib_pipeline_flush(p);
            return;
        }
        trib_os_sleep_until(due_us);
    }
}

/* Until the time, a signal, or a request to reload; captures meanwhile. */
static void wait_until(struct trib_pipeline *p, unsigned stages, int64_t us)
{
    while (!trib_signals_stop_asked()) {
        int64_t due_us = (stages & TRIB_RUN_CAPTURE) != 0 ? trib_pipeline_capture(p, false) : INT64_MAX;
        if (trib_now_us(&trib_clock_real) >= us) {
            return;
        }
        trib_os_sleep_until(due_us < us ? due_us : us);
        if (trib_signals_reload_pending()) {
            return;
        }
    }
}

static int run_stages(struct trib_cli *cli, unsigned stages, struct trib_err *err)
{
    const struct trib_config *config;
    TRIB_TRY(trib_cli_config(cli, &config, err));
    struct run r = {.cli = cli};
    struct trib_observer observer = {stepped, &r};
    struct trib_pipeline *p = NULL;
    trib_signals_install();
    TRIB_TRY(make(cli, config, &observer, &p, err));
    if (!cli->flags.once && config->trigger != TRIB_TRIGGER_ONCE) {
        char every[32];
        (void)snprintf(every, sizeof every, "%.3gs", (double)pause_us(config) / 1e6);
        trib_logkv(&cli->log, TRIB_LOG_INFO, "started", "config", config->file, "lake", config->lake, "every", every,
                   NULL);
    }
    int rc = 0;
    for (;;) {
        bool once = cli->flags.once || config->trigger == TRIB_TRIGGER_ONCE; /* a reload may change it */
        int64_t started = trib_now_us(&trib_clock_real);
        if (once && (stages & TRIB_RUN_CAPTURE) != 0) {
            trib_cli_capture_once(p);
        }
        rc = trib_pipeline_drain(p, stages, err);
        if (once || trib_signals_stop_asked()) {
            if (once && rc == 0 && r.told == 0) {
                trib_logkv(&cli->log, TRIB_LOG_INFO, "nothing new", "lake", config->lake, NULL);
            }
            break;
        }
        rc = 0; /* told already; tried again at the next pass */
        wait_until(p, stages, started + pause_us(config));
        if (trib_signals_stop_asked()) {
            break;
        }
        if (trib_signals_reload_asked()) {
            reload(cli, &observer, &config, &p);
        }
    }
    trib_pipeline_flush(p);
    if (trib_signals_stop_asked()) {
        trib_logkv(&cli->log, TRIB_LOG_INFO, "stopped", NULL);
    }
    trib_pipeline_free(p);
    return rc;
}

static int run_all(struct trib_cli *cli, struct trib_err *err) { return run_stages(cli, TRIB_RUN_ALL, err); }
static int run_capture(struct trib_cli *cli, struct trib_err *err) { return run_stages(cli, TRIB_RUN_CAPTURE, err); }
static int run_ingest(struct trib_cli *cli, struct trib_err *err) { return run_stages(cli, TRIB_RUN_INGEST, err); }
static int run_merge(struct trib_cli *cli, struct trib_err *err) { return run_stages(cli, TRIB_RUN_MERGE, err); }
static int run_marts(struct trib_cli *cli, struct trib_err *err) { return run_stages(cli, TRIB_RUN_MARTS, err); }

const struct trib_verb trib_verb_run = {
    .name = "run",
    .summary = "run the pipeline under its trigger; --once drains and exits",
    .text =
        "Takes new source files into Bronze, merges Bronze into Silver and refreshes Gold. A table that fails does not hold up the others; its error is "
        "logged and, with --once, decides the exit status. SIGTERM and SIGINT finish what was begun, through to Gold, and exit, after 60 s at the latest; a second one stops at once, and nothing is lost. SIGHUP reads the config again, or keeps the old one and says why.",
    .flags = "once",
    .examples =
        "tributary run --once # drain everything that is there, then exit\ntributary run -c shop.yaml # keep going under `trigger`",
    .run = run_all,
};
const struct trib_verb trib_verb_capture = {
    .name = "capture",
    .summary = "run the capture stage alone: live sources to the landing",
    .flags = "once",
    .examples =
        "tributary capture # keep landing what the streams bring\ntributary capture --once # land what was written until now, then exit",
    .run = run_capture,
};
const struct trib_verb trib_verb_ingest = {
    .name = "ingest",
    .summary = "run the ingest stage alone: source files to Bronze",
    .text =
        "Appends the records of new source files to Bronze, each as it was delivered; what cannot be read goes to quarantine. Without --once it goes on under "
        "`trigger`, as `run` does, and so do `merge` and `marts`.",
    .flags = "once",
    .examples = "tributary ingest --once --table Orders # Bronze of one table",
    .run = run_ingest,
};
const struct trib_verb trib_verb_merge = {
    .name = "merge",
    .summary = "run the merge stage alone: Bronze to Silver",
    .text = "Brings every Silver table, and its history, up to the newest version of Bronze. It reads no source files.",
    .flags = "once",
    .examples = "tributary merge --once # bring Silver up to Bronze",
    .run = run_merge,
};
const struct trib_verb trib_verb_marts = {
    .name = "marts",
    .summary = "run the marts stage alone: Silver to Gold",
    .text = "Writes every mart again that reads a table which changed since; the others stay as they are.",
    .flags = "once",
    .examples = "tributary marts --once # refresh Gold where its inputs changed",
    .run = run_marts,
};
