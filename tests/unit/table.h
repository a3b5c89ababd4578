/*
 * A store, an engine, seeded random numbers and a scripted clock for tests of the log; one of each in a test program. Include after
 * cmocka.h.
 */
#ifndef TRIB_TEST_TABLE_H
#define TRIB_TEST_TABLE_H

#include <stdlib.h>

#include "delta/delta.h"
#include "os/fs.h"
#include "os/os.h"

static char *dir;
static struct trib_store *store;
static struct trib_engine *engine;
static struct trib_conn *conn;
static struct trib_seeded seeded;
static struct trib_rng rng;
static int64_t now_us = INT64_C(1700000000000000);

static int64_t read_clock(void *ctx) { return *(int64_t *)ctx; }
static const struct trib_clock test_clock = {read_clock, &now_us};

static int setup(void **state)
{
    (void)state;
    struct trib_err err;
    if (trib_scratch_make(NULL, &dir, &err) != 0 || trib_store_open_file(&trib_fs_real, dir, &store, &err) != 0) {
        return -1;
    }
    struct trib_engine_opts opts = {.threads = 1, .scratch = dir};
    trib_seeded_init(&seeded, 7);
    rng = trib_seeded_rng(&seeded);
    return trib_engine_open(&opts, &engine, &err) != 0 || trib_conn_open(engine, &conn, &err) != 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    trib_conn_close(conn);
    trib_engine_close(engine);
    trib_store_free(store);
    trib_scratch_remove(dir);
    free(dir);
    return 0;
}

static struct trib_delta table(const char *path)
{
    return (struct trib_delta){.store = store,
                               .path = (char *)(uintptr_t)path,
                               .conn = conn,
                               .clock = &test_clock,
                               .rng = &rng,
                               .scratch = dir};
}

#endif
