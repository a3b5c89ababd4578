/* A command of the user's, by /bin/sh, and what it writes to standard output. Threads: any. */
#ifndef TRIB_OS_RUN_H
#define TRIB_OS_RUN_H

#include <stdint.h>

#include "base/mem.h"

/*
 * Appends its output to *to (which bounds it). Standard input and error are /dev/null. Fails unless it exits with 0 within
 * timeout_us; its process group is killed otherwise. Messages never hold its output.
 */
TRIB_CHECKED int trib_os_run(const char *command, int64_t timeout_us, struct trib_buf *to, struct trib_err *err);

#endif
