/*
 * The outside world as the core sees it: time and randomness behind function pointers, and a log sink.
 * The simulation scripts all of them; production wires them to the system (src/os).
 * One time unit inside: microseconds since the Unix epoch.
 */
#ifndef TRIB_BASE_ENV_H
#define TRIB_BASE_ENV_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct trib_clock {
    int64_t (*now_us)(void *ctx); /* wall clock */
    void *ctx;
};
static inline int64_t trib_now_us(const struct trib_clock *c) { return c->now_us(c->ctx); }

struct trib_rng {
    void (*fill)(void *ctx, void *to, size_t n);
    void *ctx;
};
uint64_t trib_rng_u64(const struct trib_rng *r);
/* Lower-case 8-4-4-4-12 version 4 uuid, 36 characters and NUL. */
void trib_rng_uuid(const struct trib_rng *r, char to[37]);

/* A seeded generator (xoshiro256**) for tests, the simulation and `simulate`. */
struct trib_seeded {
    uint64_t s[4];
};
void trib_seeded_init(struct trib_seeded *s, uint64_t seed);
uint64_t trib_seeded_next(struct trib_seeded *s);
uint64_t trib_seeded_below(struct trib_seeded *s, uint64_t n); /* 0 … n-1; n > 0 */
double trib_seeded_unit(struct trib_seeded *s);                /* [0, 1) */
struct trib_rng trib_seeded_rng(struct trib_seeded *s);        /* [borrow] */

enum trib_log_level { TRIB_LOG_ERROR, TRIB_LOG_WARN, TRIB_LOG_INFO, TRIB_LOG_DEBUG };
/* Key/value log line. Library code logs at DEBUG or WARN only; commands log errors once. kv: key, value, …, NULL. */
struct trib_log {
    void (*write)(void *ctx, enum trib_log_level level, const char *event, const char *const *kv);
    void *ctx;
    enum trib_log_level level; /* lines above it are dropped before formatting */
};
/* trib_log(log, TRIB_LOG_INFO, "batch committed", "table", name, "rows", rows_text, NULL) */
void trib_logkv(const struct trib_log *log, enum trib_log_level level, const char *event, ...)
    __attribute__((sentinel));

#endif
