/*
 * A file system that can lose what was not synced (tests/sim/simfs.c). The disk's state is shared by all lives of a world: what a
 * killed life left unsynced can still be lost long after it, under the feet of a life that built upon it.
 * Threads: any, one life a process.
 */
#ifndef TRIB_SIM_SIMFS_H
#define TRIB_SIM_SIMFS_H

#include "base/env.h"
#include "os/fs.h"

enum { SIM_CRASHED = 77, SIM_LIVES = 2 };
/* What comes at the chosen call: the power fails (all lives end, the disk loses), the life alone is killed and the kernel keeps all, or
 * the call fails (the disk is full) and the life sees to it. */
enum sim_end { SIM_POWER, SIM_KILL, SIM_FAIL };
/* Faults of the disk, to see that the simulation finds them. */
struct sim_faults {
    bool no_sync, no_sync_dir; /* sync, or sync_dir, does nothing */
};

struct sim_disk;
/* Shared with all processes forked later. */
struct sim_disk *sim_disk_new(void);
/* A new world in root (its folder "hold" is for the disk's own copies); nothing is unsynced. */
void sim_disk_reset(struct sim_disk *d, const char *root, uint64_t seed, struct sim_faults faults);
/* Before lives start: how many at once, and the mutating call (of all of them, 0: never) at which `end` comes. */
void sim_disk_start(struct sim_disk *d, int n_lives, uint64_t seed, long crash_at, enum sim_end end);
/* After the start: a file gets its name at some call of the lives, reads count too; the parent does it where it never came to that. */
void sim_disk_arrives(struct sim_disk *d, const char *from, const char *to, long at);
bool sim_disk_arrived(const struct sim_disk *d);
/* The parent saw life `who` end, however that was. */
void sim_disk_left(struct sim_disk *d, int who);
/* The power fails while nobody runs. */
void sim_disk_power_loss(struct sim_disk *d);
long sim_disk_calls(const struct sim_disk *d);     /* mutating ones since the start */
uint64_t sim_disk_trace(const struct sim_disk *d); /* of all calls since the reset: equal for equal seeds */

/* In the life's own process, once. */
const struct trib_fs *sim_fs(struct sim_disk *d, int who);

#endif
