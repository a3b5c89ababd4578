/* Real clock, random numbers, signals, terminal. The only place that touches them. */
#ifndef TRIB_OS_OS_H
#define TRIB_OS_OS_H

#include <signal.h>
#include <stdbool.h>

#include "base/env.h"

extern const struct trib_clock trib_clock_real;
extern const struct trib_rng trib_rng_real; /* getrandom */

/* SIGTERM and SIGINT: the first asks to drain, for at most 60 s (then exit 75), the second ends the process at once. SIGHUP: reload. The handlers only set
 * flags (and wake trib_os_sleep). Call once, from main. */
void trib_signals_install(void);
bool trib_signals_stop_asked(void);
bool trib_signals_reload_asked(void); /* and clears it */
bool trib_signals_reload_pending(void);
/* Sleeps until the time or a signal. For the daemon's loop only; stages never sleep. */
void trib_os_sleep_until(int64_t us);

/* A scratch folder that dies with the process: private (0700), removed by trib_scratch_remove. [out] free(). */
TRIB_CHECKED int trib_scratch_make(const char *base_or_null, char **ret_path, struct trib_err *err);
void trib_scratch_remove(const char *path);

#endif
