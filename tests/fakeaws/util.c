/* Small things of the fake AWS: hashes, base64, times, texts. Pure but for the generators. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fakeaws/own.h"

void fk_bug(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)fputs("fakeaws: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
    abort();
}

bool fk_chance(struct trib_fakeaws *f, double p) { return p > 0 && trib_seeded_unit(&f->chaos_rng) < p; }

uint64_t fk_hash(const void *p, size_t n, uint64_t seed)
{
    const unsigned char *c = p;
    uint64_t h = 14695981039346656037U ^ (seed * 0x9E3779B97F4A7C15U);
    for (size_t i = 0; i < n; i++) {
        h = (h ^ c[i]) * 1099511628211U;
    }
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdU;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53U;
    return h ^ (h >> 33);
}

void fk_uuid(struct trib_fakeaws *f, char to[37])
{
    struct trib_rng r = trib_seeded_rng(&f->rng);
    trib_rng_uuid(&r, to);
}

void fk_hex(const unsigned char *p, size_t n, char *to)
{
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(to + 2 * i, 3, "%02x", p[i]);
    }
    to[2 * n] = '\0';
}

char *fk_base64(const void *p, size_t n)
{
    char *to = trib_malloc(4 * ((n + 2) / 3) + 1);
    (void)EVP_EncodeBlock((unsigned char *)to, p, (int)n);
    return to;
}

bool fk_base64_decode(struct trib_view text, struct trib_buf *to)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (text.n % 4 != 0) {
        return false;
    }
    size_t pad = text.n > 0 && text.p[text.n - 1] == '=' ? 1 : 0;
    pad += pad == 1 && text.p[text.n - 2] == '=' ? 1 : 0;
    unsigned bits = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned v = 0;
        if (i < text.n - pad) {
            const char *at = text.p[i] == '\0' ? NULL : strchr(digits, text.p[i]);
            if (at == NULL) {
                return false;
            }
            v = (unsigned)(at - digits);
        }
        bits = (bits << 6) | v;
        if (i % 4 == 3) {
            size_t n = i == text.n - 1 ? 3 - pad : 3;
            for (size_t k = 0; k < n; k++) {
                trib_buf_addc(to, (char)(unsigned char)(bits >> (16 - 8 * k)));
            }
            bits = 0;
        }
    }
    return true;
}

void fk_md5(struct trib_view v, unsigned char to[16])
{
    unsigned n = 0;
    (void)EVP_Digest(v.n == 0 ? "" : v.p, v.n, to, &n, EVP_md5(), NULL);
}

void fk_sha256(struct trib_view v, unsigned char to[32])
{
    unsigned n = 0;
    (void)EVP_Digest(v.n == 0 ? "" : v.p, v.n, to, &n, EVP_sha256(), NULL);
}

/* AWS's JSON services write times as Java writes doubles. */
void fk_time(struct trib_buf *to, int64_t us)
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)(us / 1000)); /* milliseconds */
    int64_t scale = n - 4;                                                   /* d.ddd × 10^scale seconds */
    while (n > 2 && digits[n - 1] == '0') {
        digits[--n] = '\0';
    }
    trib_buf_addf(to, "%c.%sE%lld", digits[0], n > 1 ? digits + 1 : "0", (long long)scale);
}

void fk_iso(int64_t us, bool millis, char to[32])
{
    time_t s = (time_t)(us / SECOND);
    struct tm tm;
    (void)gmtime_r(&s, &tm);
    size_t n = strftime(to, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    if (millis) {
        (void)snprintf(to + n, 32 - n, ".%03dZ", (int)(us % SECOND / 1000));
    } else {
        (void)snprintf(to + n, 32 - n, "Z");
    }
}

void fk_http_date(int64_t us, char to[40])
{
    time_t s = (time_t)(us / SECOND);
    struct tm tm;
    (void)gmtime_r(&s, &tm);
    (void)strftime(to, 40, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

void fk_uri_decode(struct trib_view v, bool plus, struct trib_buf *to)
{
    for (size_t i = 0; i < v.n; i++) {
        unsigned c;
        char two[3] = {0};
        if (v.p[i] == '%' && i + 2 < v.n + 0 && sscanf(memcpy(two, v.p + i + 1, 2), "%2x", &c) == 1) {
            trib_buf_addc(to, (char)(unsigned char)c);
            i += 2;
        } else {
            trib_buf_addc(to, plus && v.p[i] == '+' ? ' ' : v.p[i]);
        }
    }
}

const char *fk_str(const json_t *o, const char *name) { return json_string_value(json_object_get(o, name)); }

int64_t fk_int(const json_t *o, const char *name, int64_t absent)
{
    json_t *v = json_object_get(o, name);
    return json_is_number(v) ? (int64_t)json_number_value(v) : absent;
}

/* Times of the last second in a ring; true: there is no room for one more. */
bool fk_limited(struct trib_fakeaws *f, int64_t *times, size_t *n, unsigned a_second)
{
    if (f->no_limits) {
        return false;
    }
    unsigned recent = 0;
    for (size_t i = 0; i < READS_KEPT && i < *n; i++) {
        recent += times[i] > f->now_us - SECOND ? 1 : 0;
    }
    if (recent >= a_second) {
        return true;
    }
    times[(*n)++ % READS_KEPT] = f->now_us;
    return false;
}
