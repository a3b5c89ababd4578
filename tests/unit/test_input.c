/* Decoded streams: every codec, several members, every truncation, damage, padding, names that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/env.h"
#include "os/fs.h"
#include "os/os.h"
#include "stage/input.h"

static char *folder;
static struct trib_store *store;
static int serial;

static int setup(void **state)
{
    (void)state;
    struct trib_err err;
    assert_int_equal(trib_scratch_make(NULL, &folder, &err), 0);
    assert_int_equal(trib_store_open_file(&trib_fs_real, folder, &store, &err), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    trib_store_free(store);
    trib_scratch_remove(folder);
    free(folder);
    return 0;
}

static void text_of(struct trib_buf *b, size_t n, uint64_t seed)
{
    struct trib_seeded r;
    trib_seeded_init(&r, seed);
    trib_buf_init(b, n + 4096);
    while (b->n < n) {
        trib_buf_addf(b, "{\"Item\":{\"id\":{\"S\":\"%llu\"},\"n\":{\"N\":\"%llu\"}}}\n",
                      (unsigned long long)trib_seeded_next(&r), (unsigned long long)trib_seeded_below(&r, 100));
    }
}

static void gzip_to(struct trib_buf *to, const char *p, size_t n)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    char *out = trib_buf_reserve(to, deflateBound(&z, n) + 64);
    z.next_in = (Bytef *)p;
    z.avail_in = (uInt)n;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)(deflateBound(&z, n) + 64);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    to->n += z.total_out;
    deflateEnd(&z);
}

static void zstd_to(struct trib_buf *to, const char *p, size_t n)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    char *out = trib_buf_reserve(to, ZSTD_compressBound(n));
    size_t made = ZSTD_compress2(c, out, ZSTD_compressBound(n), p, n);
    assert_false(ZSTD_isError(made));
    to->n += made;
    ZSTD_freeCCtx(c);
}

/* Reads an object of these bytes to the end in pieces; returns the code at the end. */
static int read_all(const char *p, size_t n, size_t piece, struct trib_buf *got, struct trib_err *err)
{
    char key[64];
    (void)snprintf(key, sizeof key, "object-%d.gz", serial++);
    assert_int_equal(trib_store_put(store, key, (struct trib_view){p, n}, true, err), 0);
    struct trib_input *in = trib_input_open(store, key);
    trib_buf_init(got, (size_t)1 << 30);
    int64_t made;
    do {
        char *to = trib_buf_reserve(got, piece);
        made = trib_input_read(in, to, piece, err);
        got->n += made > 0 ? (size_t)made : 0;
    } while (made > 0);
    int rc = (int)-made;
    if (rc != 0) { /* it stays failed, and gives nothing more */
        char more[8];
        assert_int_equal(-trib_input_read(in, more, sizeof more, err), rc);
    } else {
        assert_int_equal(trib_input_stored(in), (int64_t)n);
    }
    assert_int_equal(trib_input_decoded(in), (int64_t)got->n);
    trib_input_free(in);
    assert_int_equal(trib_store_remove(store, key, err), 0);
    return rc;
}

static void assert_reads(const struct trib_buf *stored, const struct trib_buf *text)
{
    static const size_t pieces[] = {1000, 4096, 1 << 20};
    for (size_t i = 0; i < 3; i++) {
        struct trib_err err;
        struct trib_buf got;
        assert_int_equal(read_all(stored->p, stored->n, pieces[i], &got, &err), 0);
        assert_int_equal(got.n, text->n);
        assert_memory_equal(got.p, text->p, text->n);
        trib_buf_free(&got);
    }
}

static void whole_streams(void **state)
{
    (void)state;
    struct trib_buf text, stored;
    text_of(&text, 3000000, 1);
    trib_buf_init(&stored, (size_t)1 << 30);
    assert_reads(&text, &text); /* plain, although its name ends in .gz */
    gzip_to(&stored, text.p, text.n);
    assert_reads(&stored, &text);
    trib_buf_clear(&stored);
    zstd_to(&stored, text.p, text.n);
    assert_reads(&stored, &text);
    trib_buf_clear(&stored); /* members of all sizes, empty ones too, and padding */
    for (size_t at = 0, n = 0; at < text.n; at += n) {
        n = at % 7 == 0 ? 900001 : at % 3 == 0 ? 1 : 70000;
        n = n > text.n - at ? text.n - at : n;
        gzip_to(&stored, text.p + at, n);
        gzip_to(&stored, "", 0);
    }
    trib_buf_add(&stored, "\0\0\0\0\0", 5);
    assert_reads(&stored, &text);
    trib_buf_clear(&stored);
    for (size_t at = 0; at < text.n; at += 500000) {
        zstd_to(&stored, text.p + at, text.n - at < 500000 ? text.n - at : 500000);
    }
    assert_reads(&stored, &text);
    trib_buf_free(&text);
    trib_buf_free(&stored);
}

static void nothing(void **state)
{
    (void)state;
    struct trib_err err;
    struct trib_buf got, stored;
    assert_int_equal(read_all("", 0, 100, &got, &err), 0);
    assert_int_equal(got.n, 0);
    trib_buf_free(&got);
    trib_buf_init(&stored, 1 << 20);
    gzip_to(&stored, "", 0);
    assert_int_equal(read_all(stored.p, stored.n, 100, &got, &err), 0);
    assert_int_equal(got.n, 0);
    trib_buf_free(&got);
    trib_buf_free(&stored);
    struct trib_input *in = trib_input_open(store, "not there");
    char c;
    assert_int_equal(-trib_input_read(in, &c, 1, &err), TRIB_E_NOT_FOUND);
    trib_input_free(in);
}

/* Whatever is cut off: what comes is a prefix of the text, then DATA; more stored bytes never give less. */
static void truncated(void **state)
{
    (void)state;
    struct trib_buf text;
    text_of(&text, 40000, 2);
    for (int zstd = 0; zstd < 2; zstd++) {
        struct trib_buf stored;
        trib_buf_init(&stored, 1 << 20);
        (zstd ? zstd_to : gzip_to)(&stored, text.p, text.n);
        size_t before = 0;
        for (size_t n = 1; n < stored.n; n += n < 40 || n + 40 > stored.n ? 1 : 97) {
            struct trib_err err;
            struct trib_buf got;
            assert_int_equal(read_all(stored.p, n, 1 << 16, &got, &err), TRIB_E_DATA);
            assert_true(got.n <= text.n && got.n >= before);
            assert_memory_equal(got.p == NULL ? "" : got.p, text.p, got.n);
            before = got.n;
            trib_buf_free(&got);
        }
        assert_true(before > text.n / 2);
        trib_buf_free(&stored);
    }
    trib_buf_free(&text);
}

/* A flipped byte never goes unnoticed (but in a header field that means nothing), and never gives more than there was. */
static void damaged(void **state)
{
    (void)state;
    struct trib_buf text;
    text_of(&text, 30000, 3);
    for (int zstd = 0; zstd < 2; zstd++) {
        struct trib_buf stored;
        trib_buf_init(&stored, 1 << 20);
        (zstd ? zstd_to : gzip_to)(&stored, text.p, text.n);
        for (size_t at = 10; at < stored.n; at += 53) {
            struct trib_err err;
            struct trib_buf got;
            stored.p[at] ^= 0x10;
            assert_int_equal(read_all(stored.p, stored.n, 1 << 16, &got, &err), TRIB_E_DATA);
            stored.p[at] ^= 0x10;
            trib_buf_free(&got);
        }
        trib_buf_add(&stored, "tail", 4);
        struct trib_err err;
        struct trib_buf got;
        assert_int_equal(read_all(stored.p, stored.n, 1 << 16, &got, &err), TRIB_E_DATA);
        assert_int_equal(got.n, text.n);
        assert_memory_equal(got.p, text.p, text.n);
        trib_buf_free(&got);
        trib_buf_free(&stored);
    }
    trib_buf_free(&text);
}

static void bombs(void **state)
{
    (void)state;
    struct trib_buf zeros, stored, got;
    struct trib_err err;
    size_t n = (size_t)100 << 20;
    trib_buf_init(&zeros, n);
    memset(trib_buf_reserve(&zeros, n), ' ', n);
    trib_buf_init(&stored, (size_t)1 << 30);
    zstd_to(&stored, zeros.p, n);
    assert_int_equal(read_all(stored.p, stored.n, 1 << 20, &got, &err), TRIB_E_DATA);
    assert_non_null(strstr(err.msg, "1000 times"));
    assert_true((int64_t)got.n >= TRIB_INPUT_RATIO_FLOOR_BYTES && got.n < n);
    trib_buf_free(&got);
    trib_buf_free(&stored);
    trib_buf_free(&zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_streams), cmocka_unit_test(nothing), cmocka_unit_test(truncated),
        cmocka_unit_test(damaged),       cmocka_unit_test(bombs),
    };
    return cmocka_run_group_tests_name("input", tests, setup, teardown);
}
