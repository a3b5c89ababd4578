/* What the files of the framework share and no verb touches. */
#ifndef TRIB_CLI_OWN_H
#define TRIB_CLI_OWN_H

#include <pthread.h>

#include "cli/cli.h"

struct trib_cli_own {
    struct trib_config *config;
    char *hint;           /* trib_cli_try */
    int out_errno;        /* of the first write to stdout that failed */
    pthread_mutex_t lock; /* one writer on stderr at a time */
    struct trib_progress_state *progress;
    struct trib_cli_opened *opened;      /* open.c's */
    void (*close)(struct trib_cli *cli); /* set by open.c once something is open */
};

/* out.c */
FILE *trib_out_open(struct trib_cli *cli);
/* Flushes; IO when something could not be written, but for a reader that went away. */
TRIB_CHECKED int trib_out_finish(struct trib_cli *cli, struct trib_err *err);

/* log.c */
void trib_log_start(struct trib_cli *cli);
/* Writes whole lines to stderr, secrets of the config redacted. */
void trib_stderr_write(struct trib_cli *cli, struct trib_buf *text);
void trib_log_json_string(struct trib_buf *to, const char *s);
void trib_log_time(struct trib_buf *to, int64_t now_us);

/* progress.c */
void trib_progress_clear(struct trib_cli *cli); /* the bar, before a line of the log; the lock is held */
void trib_progress_end(struct trib_cli *cli);

#endif
