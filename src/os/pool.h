/*
 * Parallelism inside one step: run n tasks on up to `workers` threads and join (spec: architecture.md).
 * With one worker the tasks run on the calling thread, in order. Results must not depend on the number of workers.
 */
#ifndef TRIB_OS_POOL_H
#define TRIB_OS_POOL_H

#include <stddef.h>

#include "base/err.h"

typedef int (*trib_task_fn)(void *ctx, size_t task, struct trib_err *err);
/* Runs all tasks; after a failure no new task starts. Returns the failure of the lowest failed task. */
TRIB_CHECKED int trib_pool_run(unsigned workers, size_t n_tasks, trib_task_fn fn, void *ctx, struct trib_err *err);
unsigned trib_cpu_count(void); /* usable CPUs: affinity and cgroup quota heeded; at least 1 */

#endif
