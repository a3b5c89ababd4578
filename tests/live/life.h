/*
 * A life of the program in a world of the live simulation (tests/live/livesim.c): a pipeline over the world's lake and its fake AWS,
 * told what to do command by command.
 *
 * Two kinds. In this process: a crash is a call of the file system at which everything begins to fail, and memory is dropped; what was
 * written stays. In a process of its own (`disk` set): over the disk that loses or tears what was not synced (tests/sim/simfs.h); its
 * requests come to this process, where the fake AWS and the clock live.
 * At every request, and at calls of the file system, the world may do something between: write, let shards split, have another life
 * take a step.
 */
#ifndef TRIB_LIVE_LIFE_H
#define TRIB_LIVE_LIFE_H

#include "fakeaws/fakeaws.h"
#include "pipeline/pipeline.h"
#include "sim/simfs.h"

struct life;
struct life_setup {
    struct trib_fakeaws *aws;
    const struct trib_config *config;
    struct trib_engine *engine; /* of lives in this process */
    const char *root;           /* the world's folder: "lake" and scratch below it */
    struct sim_disk *disk;      /* NULL: in this process */
    int64_t *now_us;            /* shared with the lives' processes; NULL without a disk */
    bool tell;
    void (*between)(void *ctx, struct life *me, bool request);
    void *ctx;
};

enum life_command {
    LIFE_FOLLOW, /* a step of capture, as a daemon */
    LIFE_ONCE,   /* a step of capture, as a run that drains */
    LIFE_PASS,   /* ingest and merge; n > 0: stops after so many commits to Bronze */
    LIFE_FLUSH,
    LIFE_LOOK, /* the lines of Silver's live items */
};
struct life_answer {
    int64_t due_us;  /* of capture */
    char told[1024]; /* the first failure that a stage told of; "" none */
    struct trib_buf lines;
};

/* fuse: the call of the file system at which it dies; 0: none (with a disk, the disk decides). [out] life_end */
struct life *life_start(const struct life_setup *s, uint64_t seed, long fuse);
void life_end(struct life *l); /* its memory is lost */
/* false: it died. The answer's lines are freed by the caller. */
bool life_do(struct life *l, enum life_command what, int64_t n, struct life_answer *ret);
/* With a disk: the power fails in the middle of a command, which then returns false. */
void life_kill(struct life *l);
bool life_busy(const struct life *l); /* in the middle of a command */

#endif
