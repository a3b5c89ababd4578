#include "base/env.h"

#include <stdarg.h>
#include <stdio.h>

uint64_t trib_rng_u64(const struct trib_rng *r)
{
    uint64_t v = 0;
    r->fill(r->ctx, &v, sizeof v);
    return v;
}

void trib_rng_uuid(const struct trib_rng *r, char to[37])
{
    unsigned char b[16];
    r->fill(r->ctx, b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
    (void)snprintf(to, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
                   b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

void trib_seeded_init(struct trib_seeded *s, uint64_t seed)
{
    for (int i = 0; i < 4; i++) { /* splitmix64 */
        seed += 0x9E3779B97F4A7C15ULL;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        s->s[i] = z ^ (z >> 31);
    }
}

uint64_t trib_seeded_next(struct trib_seeded *s)
{
    uint64_t result = rotl(s->s[1] * 5, 7) * 9, t = s->s[1] << 17;
    s->s[2] ^= s->s[0];
    s->s[3] ^= s->s[1];
    s->s[1] ^= s->s[2];
    s->s[0] ^= s->s[3];
    s->s[2] ^= t;
    s->s[3] = rotl(s->s[3], 45);
    return result;
}

uint64_t trib_seeded_below(struct trib_seeded *s, uint64_t n)
{
    __extension__ typedef unsigned __int128 u128;
    return (uint64_t)(((u128)trib_seeded_next(s) * n) >> 64);
}

double trib_seeded_unit(struct trib_seeded *s) { return (double)(trib_seeded_next(s) >> 11) * 0x1.0p-53; }

static void seeded_fill(void *ctx, void *to, size_t n)
{
    char *p = to;
    while (n > 0) {
        uint64_t v = trib_seeded_next(ctx);
        size_t k = n < sizeof v ? n : sizeof v;
        memcpy(p, &v, k);
        p += k;
        n -= k;
    }
}

struct trib_rng trib_seeded_rng(struct trib_seeded *s) { return (struct trib_rng){seeded_fill, s}; }

void trib_logkv(const struct trib_log *log, enum trib_log_level level, const char *event, ...)
{
    enum { MAX_KV = 32 };
    if (log == NULL || log->write == NULL || level > log->level) {
        return;
    }
    const char *kv[MAX_KV + 1];
    size_t n = 0;
    va_list ap;
    va_start(ap, event);
    const char *s;
    while (n < MAX_KV && (s = va_arg(ap, const char *)) != NULL) {
        kv[n++] = s;
    }
    va_end(ap);
    kv[n & ~(size_t)1] = NULL;
    log->write(log->ctx, level, event, kv);
}
