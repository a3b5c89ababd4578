/*
 * Streams of decoded bytes; see input.h. Owns its windows and the decompressors' states, never keeps more than one window
 * of the object. ISA-L has no static library in Debian, so it is opened at run time and its absence costs speed only.
 */
#include "stage/input.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>
#if __has_include(<isa-l/igzip_lib.h>)
#include <isa-l/igzip_lib.h>
#define HAVE_ISAL 1
#endif

#define WINDOW_BYTES ((int64_t)1 << 20)

struct trib_input {
    struct trib_store *store;
    const char *key;
    struct trib_buf window;
    size_t at;      /* in the window */
    int64_t offset; /* of the object's next unread byte */
    bool ended;     /* the object has no more bytes */
    bool begun;
    enum trib_codec codec;
    int64_t stored, decoded;
    int64_t skip;     /* decoded bytes to drop: given already, before zlib took over */
    bool member_done; /* gzip: between members */
    bool done;
    bool open_frame; /* zstd: inside a frame */
    z_stream *zlib;
    ZSTD_DStream *zstd;
#ifdef HAVE_ISAL
    struct inflate_state *isal;
#endif
    struct trib_err failed; /* to be told after the bytes before it */
};

#ifdef HAVE_ISAL
static struct {
    void (*init)(struct inflate_state *);
    void (*reset)(struct inflate_state *);
    int (*inflate)(struct inflate_state *);
} isal;
static pthread_once_t isal_once = PTHREAD_ONCE_INIT;

static void isal_load(void)
{
    void *lib = dlopen("libisal.so.2", RTLD_NOW | RTLD_LOCAL);
    if (lib == NULL) {
        return;
    }
    void *init = dlsym(lib, "isal_inflate_init"), *reset = dlsym(lib, "isal_inflate_reset"),
         *inflate_fn = dlsym(lib, "isal_inflate");
    if (init != NULL && reset != NULL && inflate_fn != NULL) {
        memcpy(&isal.init, &init, sizeof init);
        memcpy(&isal.reset, &reset, sizeof reset);
        memcpy(&isal.inflate, &inflate_fn, sizeof inflate_fn);
    }
}
#endif

struct trib_input *trib_input_open(struct trib_store *store, const char *key)
{
    struct trib_input *in = trib_calloc(1, sizeof *in);
    in->store = store;
    in->key = key;
    trib_buf_init(&in->window, (size_t)WINDOW_BYTES + 4096);
    return in;
}

void trib_input_free(struct trib_input *in)
{
    if (in == NULL) {
        return;
    }
    if (in->zlib != NULL) {
        (void)inflateEnd(in->zlib);
        free(in->zlib);
    }
    if (in->zstd != NULL) {
        (void)ZSTD_freeDStream(in->zstd);
    }
#ifdef HAVE_ISAL
    free(in->isal);
#endif
    trib_buf_free(&in->window);
    free(in);
}

int64_t trib_input_stored(const struct trib_input *in) { return in->stored; }
int64_t trib_input_decoded(const struct trib_input *in) { return in->decoded; }
enum trib_codec trib_input_codec(const struct trib_input *in) { return in->codec; }

/* The next window, when this one is used up. */
static int refill(struct trib_input *in, struct trib_err *err)
{
    if (in->at < in->window.n || in->ended) {
        return 0;
    }
    trib_buf_clear(&in->window);
    in->at = 0;
    TRIB_TRY(trib_store_get(in->store, in->key, in->offset, WINDOW_BYTES, &in->window, err));
    in->offset += (int64_t)in->window.n;
    if (in->offset > in->stored) {
        in->stored = in->offset;
    }
    in->ended = (int64_t)in->window.n < WINDOW_BYTES;
    return 0;
}

static int damaged(struct trib_input *in, struct trib_err *err, const char *what)
{
    return trib_err_set(err, TRIB_E_DATA, "%s at byte %lld of the stored file, after %lld good decoded bytes", what,
                        (long long)(in->offset - (int64_t)(in->window.n - in->at)), (long long)in->decoded);
}

static int begin_zlib(struct trib_input *in, struct trib_err *err)
{
    in->zlib = trib_calloc(1, sizeof *in->zlib);
    if (inflateInit2(in->zlib, 15 + 16) != Z_OK) {
        free(in->zlib);
        in->zlib = NULL;
        return trib_err_set(err, TRIB_E_INTERNAL, "zlib cannot be set up");
    }
    return 0;
}

static int begin(struct trib_input *in, struct trib_err *err)
{
    TRIB_TRY(refill(in, err));
    const unsigned char *p = (const unsigned char *)in->window.p;
    size_t n = in->window.n;
    in->begun = true;
    if (n >= 3 && p[0] == 0x1F && p[1] == 0x8B && p[2] == 8) {
        in->codec = TRIB_CODEC_GZIP;
#ifdef HAVE_ISAL
        (void)pthread_once(&isal_once, isal_load);
        if (isal.inflate != NULL) {
            in->isal = trib_malloc(sizeof *in->isal);
            isal.init(in->isal);
            in->isal->crc_flag = ISAL_GZIP;
            return 0;
        }
#endif
        return begin_zlib(in, err);
    }
    bool skippable = n >= 4 && (p[0] & 0xF0) == 0x50 && p[1] == 0x2A && p[2] == 0x4D && p[3] == 0x18;
    if (skippable || (n >= 4 && p[0] == 0x28 && p[1] == 0xB5 && p[2] == 0x2F && p[3] == 0xFD)) {
        in->codec = TRIB_CODEC_ZSTD;
        in->zstd = ZSTD_createDStream();
        if (in->zstd == NULL) {
            return trib_err_set(err, TRIB_E_INTERNAL, "zstd cannot be set up");
        }
        (void)ZSTD_initDStream(in->zstd);
        return 0;
    }
    if (n >= 4 && memcmp(p, "PAR1", 4) == 0) {
        in->codec = TRIB_CODEC_PARQUET;
        return 0;
    }
    if (n > 0 && n < 4 && (p[0] == 0x1F || p[0] == 0x28) && (n < 2 || p[1] == 0x8B || p[1] == 0xB5)) {
        return damaged(in, err, "the file ends within the first bytes of a compressed stream: truncated");
    }
    return 0;
}

static int64_t read_plain(struct trib_input *in, char *to, size_t n, struct trib_err *err)
{
    int rc = refill(in, err);
    if (rc != 0) {
        return -rc;
    }
    size_t have = in->window.n - in->at;
    n = n < have ? n : have;
    memcpy(to, in->window.p + in->at, n);
    in->at += n;
    return (int64_t)n;
}

/* After a gzip member: another one, padding, or the end. Sets in->done at the end. */
static int next_member(struct trib_input *in, struct trib_err *err)
{
    for (;;) {
        TRIB_TRY(refill(in, err));
        if (in->at >= in->window.n) {
            in->done = true;
            return 0;
        }
        unsigned char c = (unsigned char)in->window.p[in->at];
        if (c == 0x1F) {
            in->member_done = false;
            return 0;
        }
        if (c != 0) {
            return damaged(in, err, "the gzip stream is followed by bytes that are none of its own");
        }
        in->at++;
    }
}

#ifdef HAVE_ISAL
/* Damage as ISA-L sees it: zlib starts over and drops what was given already. */
static int64_t hand_over(struct trib_input *in, char *to, size_t n, struct trib_err *err);

static int64_t read_isal(struct trib_input *in, char *to, size_t n, struct trib_err *err)
{
    struct inflate_state *s = in->isal;
    size_t made = 0;
    while (made == 0) {
        int rc = in->member_done ? next_member(in, err) : refill(in, err);
        if (rc == TRIB_E_DATA) {
            return hand_over(in, to, n, err);
        }
        if (rc != 0) {
            return -rc;
        }
        if (in->done) {
            return 0;
        }
        if (s->block_state == ISAL_BLOCK_FINISH) {
            isal.reset(s);
            s->crc_flag = ISAL_GZIP;
        }
        size_t have = in->window.n - in->at;
        s->next_in = (uint8_t *)in->window.p + in->at;
        s->avail_in = (uint32_t)have;
        s->next_out = (uint8_t *)to;
        s->avail_out = (uint32_t)n;
        int status = isal.inflate(s);
        made = n - s->avail_out;
        in->at += have - s->avail_in;
        in->member_done = status == ISAL_DECOMP_OK && s->block_state == ISAL_BLOCK_FINISH;
        if (status != ISAL_DECOMP_OK || (!in->member_done && made == 0 && s->avail_in == have && in->ended)) {
            return hand_over(in, to, n, err);
        }
    }
    return (int64_t)made;
}
#endif

static int64_t read_zlib(struct trib_input *in, char *to, size_t n, struct trib_err *err)
{
    size_t made = 0;
    while (made == 0) {
        int rc = in->member_done ? next_member(in, err) : refill(in, err);
        if (rc != 0) {
            return -rc;
        }
        if (in->done) {
            return 0;
        }
        size_t have = in->window.n - in->at;
        in->zlib->next_in = (Bytef *)in->window.p + in->at;
        in->zlib->avail_in = (uInt)have;
        in->zlib->next_out = (Bytef *)to;
        in->zlib->avail_out = (uInt)n;
        int status = inflate(in->zlib, Z_NO_FLUSH);
        made = n - in->zlib->avail_out;
        in->at += have - in->zlib->avail_in;
        if (status == Z_STREAM_END) {
            in->member_done = true;
            (void)inflateReset(in->zlib);
        } else if (status != Z_OK && status != Z_BUF_ERROR) {
            char what[160];
            (void)snprintf(what, sizeof what, "the gzip stream is damaged (%s)",
                           in->zlib->msg != NULL ? in->zlib->msg : "invalid data");
            (void)damaged(in, &in->failed, what);
            if (made == 0) {
                *err = in->failed;
                return -(int64_t)err->code;
            }
        } else if (made == 0 && have == 0) {
            return -damaged(in, err, "the gzip stream ends too early: truncated");
        }
    }
    return (int64_t)made;
}

#ifdef HAVE_ISAL
static int64_t hand_over(struct trib_input *in, char *to, size_t n, struct trib_err *err)
{
    free(in->isal);
    in->isal = NULL;
    in->skip = in->decoded;
    in->offset = 0;
    in->at = 0;
    trib_buf_clear(&in->window);
    in->ended = in->done = in->member_done = false;
    int rc = begin_zlib(in, err);
    return rc != 0 ? -rc : read_zlib(in, to, n, err);
}
#endif

static int64_t read_zstd(struct trib_input *in, char *to, size_t n, struct trib_err *err)
{
    size_t made = 0;
    while (made == 0) {
        int rc = refill(in, err);
        if (rc != 0) {
            return -rc;
        }
        bool at_end = in->at >= in->window.n;
        if (at_end && !in->open_frame) {
            return 0;
        }
        ZSTD_inBuffer ib = {in->window.p, in->window.n, in->at};
        ZSTD_outBuffer ob = {to, n, 0};
        size_t status = ZSTD_decompressStream(in->zstd, &ob, &ib);
        bool moved = ib.pos > in->at || ob.pos > 0;
        in->at = ib.pos;
        made = ob.pos;
        if (ZSTD_isError(status)) {
            char what[160];
            (void)snprintf(what, sizeof what, "the zstd stream is damaged (%s)", ZSTD_getErrorName(status));
            (void)damaged(in, &in->failed, what);
            if (made == 0) {
                *err = in->failed;
                return -(int64_t)err->code;
            }
        } else if (at_end && !moved) {
            return -damaged(in, err, "the zstd stream ends too early: truncated");
        }
        in->open_frame = status != 0;
    }
    return (int64_t)made;
}

static int64_t read_some(struct trib_input *in, char *to, size_t n, struct trib_err *err)
{
    switch (in->codec) {
    case TRIB_CODEC_PLAIN:
    case TRIB_CODEC_PARQUET: return read_plain(in, to, n, err);
    case TRIB_CODEC_ZSTD: return read_zstd(in, to, n, err);
    case TRIB_CODEC_GZIP: break;
    }
#ifdef HAVE_ISAL
    if (in->isal != NULL) {
        return read_isal(in, to, n, err);
    }
#endif
    return read_zlib(in, to, n, err);
}

int trib_input_begin(struct trib_input *in, struct trib_err *err)
{
    if (in->failed.code != TRIB_OK) {
        *err = in->failed;
        return (int)err->code;
    }
    if (!in->begun && begin(in, &in->failed) != 0) {
        *err = in->failed;
        return (int)err->code;
    }
    return 0;
}

int64_t trib_input_read(void *ctx, char *to, size_t n, struct trib_err *err)
{
    struct trib_input *in = ctx;
    struct trib_err own;
    err = err != NULL ? err : &own;
    int rc = trib_input_begin(in, err);
    if (rc != 0) {
        return -rc;
    }
    n = n < (size_t)1 << 30 ? n : (size_t)1 << 30;
    for (;;) {
        int64_t made = read_some(in, to, n, err);
        if (made < 0) {
            in->failed = *err;
            return made;
        }
        if (made <= in->skip) {
            in->skip -= made;
            if (made > 0) {
                continue;
            }
            return 0;
        }
        if (in->skip > 0) {
            memmove(to, to + in->skip, (size_t)(made - in->skip));
            made -= in->skip;
            in->skip = 0;
        }
        in->decoded += made;
        if (in->codec != TRIB_CODEC_PLAIN && in->decoded > TRIB_INPUT_RATIO_FLOOR_BYTES &&
            in->decoded / TRIB_INPUT_MAX_RATIO > in->stored) {
            (void)trib_err_set(
                &in->failed, TRIB_E_DATA,
                "the file grows more than %d times when decompressed (%lld bytes out of %lld): it is not read further",
                TRIB_INPUT_MAX_RATIO, (long long)in->decoded, (long long)in->stored);
        }
        return made;
    }
}
