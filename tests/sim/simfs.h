/* A file system that can lose what was not synced (tests/sim/simfs.c). Threads: any, one life a process. */
#ifndef TRIB_SIM_SIMFS_H
#define TRIB_SIM_SIMFS_H

#include "base/env.h"
#include "os/fs.h"

enum { SIM_CRASHED = 77 };
struct sim_plan {
    const char *hold; /* an empty folder on the same disk */
    uint64_t seed;
    long crash_at;    /* the mutating call at which the life ends, 0: never */
    bool no_sync;     /* fault: sync does nothing */
    bool no_sync_dir; /* fault: sync_dir does nothing */
};
/* Once per process. */
const struct trib_fs *sim_fs(const struct sim_plan *plan);

#endif
