/*
 * Deletion vectors, reading (PROTOCOL.md, Deletion Vector Format; roaring bitmaps by their published format).
 * Everything is bounds-checked: the bytes come from others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "delta/internal.h"
#include "os/fs.h"

struct bytes {
    const unsigned char *p;
    size_t n, at;
};

struct rows {
    uint64_t *p;
    size_t n, cap, max;
    uint64_t high; /* the 32-bit bitmap's place in the 64-bit space, shifted */
};

static int damaged(const char *what, struct trib_err *err)
{
    return trib_err_set(err, TRIB_E_DATA, "damaged deletion vector: %s", what);
}

static bool take(struct bytes *b, size_t n, const unsigned char **ret)
{
    if (b->n - b->at < n) {
        return false;
    }
    *ret = b->p + b->at;
    b->at += n;
    return true;
}

static uint64_t le(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;) {
        v = v << 8 | p[i];
    }
    return v;
}

static bool number(struct bytes *b, size_t n, uint64_t *ret)
{
    const unsigned char *p;
    if (!take(b, n, &p)) {
        return false;
    }
    *ret = le(p, n);
    return true;
}

/* More rows than the vector's cardinality says is damage, and the bound of our memory. */
static bool add_row(struct rows *r, uint64_t row)
{
    if (r->n == r->max) {
        return false;
    }
    TRIB_GROW(r->p, r->cap, r->n + 1);
    r->p[r->n++] = r->high | row;
    return true;
}

/* --- 32-bit roaring bitmap: containers of 65,536 values ----------------------------------------------------------- */

static bool read_runs(struct bytes *b, uint32_t base, struct rows *to)
{
    uint64_t n_runs;
    const unsigned char *p;
    if (!number(b, 2, &n_runs) || !take(b, (size_t)n_runs * 4, &p)) {
        return false;
    }
    for (size_t i = 0; i < n_runs; i++) {
        uint64_t start = le(p + 4 * i, 2), length = le(p + 4 * i + 2, 2);
        if (start + length > 0xFFFF) {
            return false;
        }
        for (uint64_t k = 0; k <= length; k++) {
            if (!add_row(to, base | (start + k))) {
                return false;
            }
        }
    }
    return true;
}

static bool read_bits(struct bytes *b, uint32_t base, struct rows *to)
{
    const unsigned char *p;
    if (!take(b, 8192, &p)) {
        return false;
    }
    for (uint32_t i = 0; i < 8192; i++) {
        for (uint32_t bit = 0; p[i] >> bit != 0; bit++) {
            if ((p[i] >> bit & 1) != 0 && !add_row(to, base | (i * 8 + bit))) {
                return false;
            }
        }
    }
    return true;
}

static bool read_array(struct bytes *b, uint32_t base, uint64_t n, struct rows *to)
{
    const unsigned char *p;
    if (!take(b, (size_t)n * 2, &p)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!add_row(to, base | le(p + 2 * i, 2))) {
            return false;
        }
    }
    return true;
}

static bool read_bitmap32(struct bytes *b, struct rows *to)
{
    enum { NO_RUNS = 12346, RUNS = 12347, OFFSETS_FROM = 4, ARRAY_MAX = 4096 };
    uint64_t cookie, n;
    const unsigned char *run_flags = NULL, *header, *offsets;
    if (!number(b, 4, &cookie)) {
        return false;
    }
    bool runs = (cookie & 0xFFFF) == RUNS;
    if (runs) {
        n = (cookie >> 16) + 1;
        if (!take(b, ((size_t)n + 7) / 8, &run_flags)) {
            return false;
        }
    } else if (cookie != NO_RUNS || !number(b, 4, &n) || n > 65536) {
        return false;
    }
    if (!take(b, (size_t)n * 4, &header) || ((!runs || n >= OFFSETS_FROM) && !take(b, (size_t)n * 4, &offsets))) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t base = (uint32_t)le(header + 4 * i, 2) << 16;
        uint64_t cardinality = le(header + 4 * i + 2, 2) + 1;
        bool run = runs && (run_flags[i / 8] >> (i % 8) & 1) != 0;
        bool good = run                       ? read_runs(b, base, to)
                    : cardinality > ARRAY_MAX ? read_bits(b, base, to)
                                              : read_array(b, base, cardinality, to);
        if (!good) {
            return false;
        }
    }
    return true;
}

static int by_row(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int read_payload(struct bytes *b, int64_t cardinality, struct rows *to, struct trib_err *err)
{
    enum { MAGIC = 1681511377 };
    uint64_t magic, buckets, high;
    if (!number(b, 4, &magic) || magic != MAGIC) {
        return damaged("wrong magic number", err);
    }
    if (!number(b, 8, &buckets)) {
        return damaged("too short", err);
    }
    for (uint64_t i = 0; i < buckets; i++) {
        if (!number(b, 4, &high)) {
            return damaged("too short", err);
        }
        to->high = high << 32;
        if (!read_bitmap32(b, to)) {
            return damaged("broken bitmap, or more rows than its cardinality", err);
        }
    }
    if (to->n != (size_t)cardinality) {
        return damaged("its rows are fewer than its cardinality", err);
    }
    if (to->n > 1) {
        qsort(to->p, to->n, sizeof *to->p, by_row);
    }
    return 0;
}

int trib_dv_parse(struct trib_view payload, int64_t cardinality, uint64_t **ret, size_t *ret_n, struct trib_err *err)
{
    if (cardinality < 0) {
        return damaged("impossible cardinality", err);
    }
    struct bytes in = {.p = (const unsigned char *)payload.p, .n = payload.n};
    struct rows rows = {.max = (size_t)cardinality};
    int rc = read_payload(&in, cardinality, &rows, err);
    if (rc != 0) {
        free(rows.p);
        return rc;
    }
    *ret = rows.p;
    *ret_n = rows.n;
    return 0;
}

/* --- Z85 --------------------------------------------------------------------------------------------------------- */

static const char Z85[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/* n characters, a multiple of 5 → n / 5 * 4 bytes. */
static bool z85_decode(const char *s, size_t n, unsigned char *to)
{
    for (size_t i = 0; i < n; i += 5) {
        uint64_t v = 0;
        for (size_t k = 0; k < 5; k++) {
            const char *digit = s[i + k] == '\0' ? NULL : strchr(Z85, s[i + k]);
            if (digit == NULL) {
                return false;
            }
            v = v * 85 + (uint64_t)(digit - Z85);
        }
        if (v > UINT32_MAX) {
            return false;
        }
        for (size_t k = 0; k < 4; k++) {
            to[i / 5 * 4 + k] = (unsigned char)(v >> (24 - 8 * k));
        }
    }
    return true;
}

/* --- where the bytes are ----------------------------------------------------------------------------------------- */

static int load_inline(const struct trib_dv *dv, struct trib_buf *to, struct trib_err *err)
{
    size_t n = strlen(dv->text);
    unsigned char *p = n % 5 != 0 ? NULL : (unsigned char *)trib_buf_reserve(to, n / 5 * 4);
    if (p == NULL || !z85_decode(dv->text, n, p)) {
        return damaged("broken inline text", err);
    }
    to->n = n / 5 * 4;
    if (dv->size < 0 || (uint64_t)dv->size > to->n) {
        return damaged("its size is beyond its text", err);
    }
    to->n = (size_t)dv->size; /* the rest is padding */
    return 0;
}

/* "<prefix><20 characters of the uuid>" → "prefix/deletion_vector_<uuid>.bin". [out] free(). */
static char *relative_name(const char *text)
{
    size_t n = strlen(text);
    unsigned char u[16];
    if (n < 20 || !z85_decode(text + n - 20, 20, u)) {
        return NULL;
    }
    return trib_asprintf(
        "%.*s%sdeletion_vector_%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x.bin", (int)(n - 20),
        text, n > 20 ? "/" : "", u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13],
        u[14], u[15]);
}

static int read_range(const struct trib_delta *t, const struct trib_dv *dv, int64_t offset, int64_t n,
                      struct trib_buf *to, struct trib_err *err)
{
    if (dv->storage == 'u') {
        TRIB_CLEANUP(trib_cleanup_free) char *name = relative_name(dv->text);
        if (name == NULL) {
            return damaged("broken file name", err);
        }
        TRIB_CLEANUP(trib_cleanup_free) char *key = trib_delta_file_key(t, name);
        return trib_store_get(t->store, key, offset, n, to, err);
    }
    TRIB_CLEANUP(trib_cleanup_free) char *path = trib_delta_path_decode(dv->text);
    if (*path != '/') {
        return trib_err_set(err, TRIB_E_UNSUPPORTED, "the deletion vector %s lies in another store than the table",
                            dv->text);
    }
    /* An absolute path is outside our store: open its folder as one. */
    char *slash = strrchr(path, '/');
    TRIB_CLEANUP(trib_cleanup_free) char *folder = trib_strndup(path, slash == path ? 1 : (size_t)(slash - path));
    struct trib_store *store;
    TRIB_TRY(trib_store_open(&trib_fs_real, folder, &store, err));
    int rc = trib_store_get(store, slash + 1, offset, n, to, err);
    trib_store_free(store);
    return rc;
}

static int load_file(const struct trib_delta *t, const struct trib_dv *dv, struct trib_buf *to, struct trib_err *err)
{
    int64_t offset = dv->offset < 0 ? 1 : dv->offset;
    if (dv->size < 0 || dv->size > INT32_MAX) {
        return damaged("impossible size", err);
    }
    TRIB_TRY(read_range(t, dv, offset, dv->size + 8, to, err));
    const unsigned char *p = (const unsigned char *)to->p;
    size_t n = (size_t)dv->size;
    if (to->n != n + 8) {
        return damaged("its file is too short", err);
    }
    uint32_t size = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    const unsigned char *c = p + 4 + n;
    uint32_t crc = (uint32_t)c[0] << 24 | (uint32_t)c[1] << 16 | (uint32_t)c[2] << 8 | c[3];
    if (size != n) {
        return damaged("the size in its file differs", err);
    }
    if (crc != (uint32_t)crc32(0, p + 4, (uInt)n)) {
        return damaged("wrong checksum", err);
    }
    memmove(to->p, to->p + 4, n);
    to->n = n;
    return 0;
}

int trib_dv_load(const struct trib_delta *t, const struct trib_dv *dv, uint64_t **ret, size_t *ret_n,
                 struct trib_err *err)
{
    TRIB_CLEANUP(trib_buf_free) struct trib_buf b;
    trib_buf_init(&b, (size_t)INT32_MAX + 16);
    TRIB_TRY(dv->storage == 'i' ? load_inline(dv, &b, err) : load_file(t, dv, &b, err));
    return trib_dv_parse(trib_buf_view(&b), dv->cardinality, ret, ret_n, err);
}
