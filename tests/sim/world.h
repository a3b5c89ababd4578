/*
 * A world: settings of a seed, source files delivered round by round, and what the lake must hold after them, told by a model that
 * shares nothing with the product (tests/sim/world.c). Threads: one.
 */
#ifndef TRIB_SIM_WORLD_H
#define TRIB_SIM_WORLD_H

#include "base/env.h"

enum { WORLD_KEYS = 5, WORLD_EVENTS = 400, WORLD_DELIVERIES = 600, WORLD_FILES = 32, WORLD_BAD = 20, WORLD_TABLES = 8 };

/* A new image. v 0: the attribute is absent; n 0: absent, 1 and 2: one number, spelt `1` and `1.0`. */
struct world_image {
    int v, n;
};
struct world_event {
    int key;
    int64_t sequence, second;
    bool up, has_old;
    struct world_image image, old;
};
struct world_delivery {
    int event, file;
    long id;
};
struct world_file {
    char name[32];
    int rows, bad;
    long bad_at[WORLD_BAD]; /* offsets of broken lines */
    bool hidden;            /* not yet under its name */
};
struct world {
    char root[200];
    bool hard, scd2, old_images;
    long batch_files;
    struct trib_seeded rng;
    int n_events, n_deliveries, n_files;
    long next_id;
    struct world_event events[WORLD_EVENTS];
    struct world_delivery deliveries[WORLD_DELIVERIES];
    struct world_file files[WORLD_FILES];
};

void world_new(struct world *w, const char *root, uint64_t seed);
/* The configuration's text; its SQL files are written into root. [out] free() */
char *world_config(const struct world *w);
/* One round's files; some stay hidden until the lives run. */
void world_deliver(struct world *w, int round);
/* The next hidden file, from now on no longer so for the model: from and to are paths of its rename. false: there is none. */
bool world_next(struct world *w, char from[300], char to[300]);

/* A table of the lake: SQL over its rows "t" and, for the same columns, what must come out as VALUES. */
struct world_table {
    const char *path;
    const char *select;
    struct trib_buf want;
    size_t n; /* rows in want */
};
/* ret: WORLD_TABLES at most. Free each one's want. */
size_t world_tables(const struct world *w, struct world_table *ret);

#endif
