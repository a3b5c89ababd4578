/*
 * The command line: what every verb gets, and the tables that the parser, help, the man page, the command reference and the
 * completions are made from (spec: interface.md, Verbs). One file per verb: it defines `const struct trib_verb trib_verb_NAME`
 * and is listed once in verbs.c. A flag is declared once, in flags.c.
 *
 * Results go to cli->out, logs and progress to stderr. Library code and verbs return errors; main prints them, once, with what to
 * try, and exits. Nothing is opened before a verb asks for it, so that the program starts in milliseconds.
 * Threads: one, but for cli->log and the progress functions, which any thread may use.
 */
#ifndef TRIB_CLI_CLI_H
#define TRIB_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/env.h"
#include "pipeline/config.h"
#include "stage/stage.h"

enum trib_output { TRIB_OUTPUT_TABLE, TRIB_OUTPUT_JSON, TRIB_OUTPUT_JSONL, TRIB_OUTPUT_CSV };
enum trib_progress_mode { TRIB_PROGRESS_AUTO, TRIB_PROGRESS_PLAIN, TRIB_PROGRESS_JSON, TRIB_PROGRESS_NONE };
enum trib_log_format { TRIB_LOG_FORMAT_TEXT, TRIB_LOG_FORMAT_JSON };

/* Values of the flags; flags.c has their names, texts and defaults. Strings are borrowed from argv, the environment or flags.c. */
struct trib_flags {
    const char *config; /* NULL: looked for */
    size_t n_tables;
    const char **tables; /* --table, in order; none: all */
    char *tables_copy;   /* what TRIBUTARY_TABLE was cut out of */
    enum trib_output output;
    bool output_given;
    enum trib_progress_mode progress;
    enum trib_log_format log_format;
    bool verbose, help, version;
    bool once;                                                     /* run */
    const char *at;                                                /* query: VERSION or TIMESTAMP, NULL */
    const char *out;                                               /* simulate: a folder, NULL */
    int64_t seed, items, changes, rate, item_bytes, limit, sample; /* -1: not given */
    bool live;                                                     /* simulate */
    bool force;                                                    /* init */
    bool json;                                                     /* schema */
};

struct trib_cli;

struct trib_verb {
    const char *name;
    const char *args; /* "[DIR]", "\"SQL\"", NULL: none */
    size_t min_args, max_args;
    const char *summary;  /* one line, lower case, no full stop: the list of verbs */
    const char *text;     /* paragraphs for help and the man page; NULL */
    const char *flags;    /* names of flags beyond the common ones, separated by a space; NULL */
    const char *examples; /* lines "COMMAND # what it does"; one at least */
    const char *choices;  /* what the first argument may be, "bash|zsh|fish" (checked by the parser); NULL: anything */
    bool hidden;          /* not in the list of verbs */
    /* Returns 0 or a code (trib_code_exit makes the exit status). With 0, cli->exit_status counts (`verify`: 1). */
    int (*run)(struct trib_cli *cli, struct trib_err *err);
};

struct trib_cli_own; /* own.h */
struct trib_cli {
    const struct trib_verb *verb;
    struct trib_flags flags;
    size_t n_args; /* after the verb */
    const char *const *args;
    FILE *out;           /* stdout, fully buffered; a reader that went away is no error */
    struct trib_log log; /* level INFO, DEBUG with -v */
    int exit_status;
    bool colour;                 /* stderr may be coloured: a terminal, NO_COLOR unset, TERM not dumb */
    bool terminal_out;           /* stdout is a terminal */
    const char *const *own_args; /* the allocation behind args */
    struct trib_cli_own *own;
};

/* The whole program: parses, runs, prints errors. Returns the exit status. */
int trib_cli_main(int argc, char **argv);

/*
 * The config, found and loaded at the first call [borrow]. All problems are printed to stderr; warnings are logged. Checks
 * --table names against it (USAGE with the nearest name).
 */
TRIB_CHECKED int trib_cli_config(struct trib_cli *cli, const struct trib_config **ret, struct trib_err *err);
/* Another config takes the place of the loaded one, which is freed [take]: logs redact the new one's secrets. */
void trib_cli_config_swap(struct trib_cli *cli, struct trib_config *next);
/* A report of problems, one a line: printed when there are several, else *err has the one. Returns CONFIG. */
TRIB_CHECKED int trib_cli_report(struct trib_cli *cli, const char *file, const char *report, struct trib_err *err);
/* true when --table was not given or names this DynamoDB table. */
bool trib_cli_table_wanted(const struct trib_cli *cli, const char *table);

/*
 * The outside world for stages, opened at the first call [borrow]: file system, clock, random numbers, log and a scratch
 * folder always; the lake's store when a config is given; the engine when asked. All of it is closed after the verb.
 */
TRIB_CHECKED int trib_cli_env(struct trib_cli *cli, const struct trib_config *config_or_null, bool engine,
                              struct trib_env **ret, struct trib_err *err);

/* How AWS is reached: libcurl, the real files and environment; made at the first call, closed after the verb. [borrow] */
struct trib_aws_host;
const struct trib_aws_host *trib_cli_aws_host(struct trib_cli *cli);

/* What to try, printed as the last line of an error, instead of the code's own text. A message that ends with "; try: TEXT" says it too. */
void trib_cli_try(struct trib_cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* true once nobody reads stdout any more: stop producing, return 0. */
bool trib_cli_out_closed(const struct trib_cli *cli);

/*
 * Progress on stderr. auto: bars on a terminal, plain lines otherwise; lines are limited in rate, done ones always shown.
 * One line per (stage, table); updates are cheap.
 */
struct trib_progress {
    const char *stage; /* "ingest", "merge", "gold" */
    const char *table;
    int64_t done, total; /* of unit; total -1: unknown */
    const char *unit;    /* "files", "rows" */
    int64_t rows, bytes; /* -1: not shown */
    const char *note;    /* NULL, or a few words: "caught up" */
};
void trib_cli_progress(struct trib_cli *cli, const struct trib_progress *p);
void trib_cli_progress_done(struct trib_cli *cli, const struct trib_progress *p);

/* ---- the tables, and what is made from them (help.c, complete.c); tests compare them with the parser and the docs ---- */

enum trib_flag_kind { TRIB_FLAG_BOOL, TRIB_FLAG_TEXT, TRIB_FLAG_LIST, TRIB_FLAG_CHOICE, TRIB_FLAG_COUNT };
struct trib_flag {
    const char *name; /* "config" */
    char letter;      /* 'c', 0 */
    enum trib_flag_kind kind;
    const char *value;   /* "FILE", "table|json|jsonl|csv"; NULL for BOOL */
    const char *initial; /* default for help; NULL */
    const char *text;
    size_t offset;     /* in struct trib_flags */
    size_t given;      /* offset of a bool that is set when the flag is given; 0: none */
    bool common;       /* for every verb */
    const char *later; /* NULL, or what it belongs to that is not in this version: refused by name */
};
const struct trib_flag *trib_flags_table(size_t *ret_n);
const struct trib_flag *trib_flag_find(const char *name, size_t n);
const struct trib_verb *const *trib_verbs_table(size_t *ret_n);
const struct trib_verb *trib_verb_find(const char *name);
/* Verbs of the contract that are not in this version; NULL-terminated. */
extern const char *const trib_verbs_later[];
bool trib_verb_takes(const struct trib_verb *v, const struct trib_flag *f);
/* TRIBUTARY_<FLAG>. [out] free(). */
char *trib_flag_variable(const struct trib_flag *f);

void trib_cli_help(struct trib_buf *to);                                 /* `tributary --help` */
void trib_cli_help_verb(const struct trib_verb *v, struct trib_buf *to); /* `tributary VERB --help` */
void trib_cli_man(struct trib_buf *to);                                  /* docs/man/tributary.1 */
void trib_cli_commands(struct trib_buf *to);                             /* docs/commands.md */
TRIB_CHECKED int trib_cli_completions(const char *shell, struct trib_buf *to, struct trib_err *err);
void trib_cli_versions(struct trib_buf *to); /* `tributary --version` */

/* Parses argv and the environment into cli (flags, verb, args). USAGE with what is wrong. getenv_fn as getenv. */
TRIB_CHECKED int trib_cli_parse(struct trib_cli *cli, int argc, char **argv, char *(*getenv_fn)(const char *),
                                struct trib_err *err);
void trib_cli_release(struct trib_cli *cli); /* what trib_cli_parse allocated */

#endif
