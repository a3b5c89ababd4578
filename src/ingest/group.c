/*
 * One group of a batch: files → records → rows of Bronze → Parquet.
 *
 * Owns the readers of the file at hand and of those that the current chunk still points into. Never commits. One thread
 * runs a group; groups share nothing but the source store and the engine.
 *
 *   fill (called by the engine for every chunk)
 *     release what the chunk before pointed to
 *     per record: order (rank) → image (decode) → row, or a quarantine row
 *     a file's end: its count against the manifest's
 * A file that turns out to be damaged ends there, with one quarantine row; a file that cannot be read ends the batch.
 */
#include "ingest/group.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "ingest/dms.h"
#include "ingest/keycheck.h"
#include "ingest/rows.h"

enum { MAX_RETIRED = 8 };

struct open_file {
    struct trib_reader *reader; /* NULL: dms */
    struct trib_input *input;
    struct trib_rows *rows; /* of a Parquet file; else NULL */
    struct trib_dms *dms;   /* of a source of that type; else NULL */
};

struct places {
    int op, record, old_record, origin, event_id, sequence, event_ts, ttl, ingest_file, ingest_ts, rescued, rescued_old;
};

/* A record's place in the order of changes, and what goes with it. */
struct rank {
    enum trib_op op;
    const char *origin;
    char sequence[TRIB_SEQUENCE_LEN + 1];
    int64_t event_ts_us; /* -1: unknown */
};

struct filler {
    struct trib_group *g;
    struct places at;
    struct trib_parts parts;
    size_t file; /* next file to open, or the open one */
    bool open, more;
    struct open_file now;
    struct open_file retired[MAX_RETIRED];
    size_t n_retired;
    struct trib_buf rescued, rescued_old;
    const char *missing_key; /* a key attribute without a column: no item can be placed */
    uint64_t chunk_bytes;
    char state_sequence[TRIB_SEQUENCE_LEN + 1]; /* of the open file's states; "" until one came */
    const struct trib_landing_shard *shard;     /* of the open file, where it is an object of the landing */
    int64_t items;                              /* records of the open file */
};

static int place(const struct trib_type *t, const char *name)
{
    const struct trib_field *f = trib_type_find(t, name);
    return f == NULL ? -1 : (int)(f - t->fields);
}

static struct places places_of(const struct trib_type *t)
{
    return (struct places){
        .op = place(t, "op"),
        .record = place(t, "record"),
        .old_record = place(t, "old_record"),
        .origin = place(t, "_origin"),
        .event_id = place(t, "_event_id"),
        .sequence = place(t, "_sequence"),
        .event_ts = place(t, "_event_ts"),
        .ttl = place(t, "_ttl"),
        .ingest_file = place(t, "_ingest_file"),
        .ingest_ts = place(t, "_ingest_ts"),
        .rescued = place(t, "_rescued_data"),
        .rescued_old = place(t, "_rescued_old_data"),
    };
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

static const struct trib_source_file *source_file(const struct filler *f) { return &f->g->b->source->files[f->file]; }

static int open_source(const struct trib_batch_opts *b, size_t file, bool hold, struct open_file *ret,
                       struct trib_err *err)
{
    const struct trib_source_file *s = &b->source->files[file];
    struct trib_reader_opts ro = {.kind = TRIB_KIND_AUTO, .table = b->o->table, .limits = b->o->limits, .hold = hold};
    if (s->export != NULL) {
        ro.kind = s->incremental ? TRIB_KIND_INCREMENTAL_EXPORT : TRIB_KIND_FULL_EXPORT;
    }
    struct open_file f = {.input = trib_input_open(b->o->source, s->key)};
    struct trib_err failure = {0};
    int rc = trib_input_begin(f.input, &failure);
    if (rc != 0 && rc != TRIB_E_DATA) { /* damage is the reader's to tell */
        trib_input_free(f.input);
        *err = failure;
        return trib_err_wrap(err, "%s", s->key);
    }
    if (b->o->type == TRIB_SOURCE_DMS) {
        f.dms = trib_dms_open(b->o, b->env->engine, s->key, f.input, hold);
    } else if (rc == 0 && trib_input_codec(f.input) == TRIB_CODEC_PARQUET) {
        f.rows = trib_rows_open(b->env->engine, b->o->source, s->key);
        f.reader = trib_reader_new(&ro, trib_rows_read, f.rows);
    } else {
        f.reader = trib_reader_new(&ro, trib_input_read, f.input);
    }
    *ret = f;
    return 0;
}

/* Where a record is: its byte in the decoded file, or its row in a Parquet file. */
static int64_t place_of(const struct open_file *f, int64_t offset)
{
    return f->rows != NULL ? trib_rows_number(f->rows, offset) : offset;
}

/* The reader of records, or of DMS's rows. */
static int read_record(const struct open_file *f, enum trib_reader_result *ret, struct trib_change *c,
                       struct trib_bad *bad, struct trib_err *err)
{
    return f->dms != NULL ? trib_dms_next(f->dms, ret, c, bad, err) : trib_reader_next(f->reader, ret, c, bad, err);
}

static int64_t read_offset(const struct open_file *f)
{
    return f->dms != NULL ? trib_dms_offset(f->dms) : trib_reader_offset(f->reader);
}

/* Bytes of text that the records so far took. */
static int64_t consumed(const struct open_file *f)
{
    return f->dms != NULL ? trib_dms_consumed(f->dms) : trib_reader_offset(f->reader);
}

static struct trib_view read_raw(const struct open_file *f)
{
    return f->dms != NULL ? trib_dms_raw(f->dms) : trib_reader_raw(f->reader);
}

static int64_t read_decoded(const struct open_file *f)
{
    return f->dms != NULL    ? trib_dms_decoded(f->dms)
           : f->rows != NULL ? trib_rows_decoded(f->rows)
                             : trib_input_decoded(f->input);
}

static void close_source(struct open_file *f)
{
    trib_dms_free(f->dms);
    if (f->reader != NULL) {
        trib_reader_free(f->reader);
    }
    trib_rows_free(f->rows);
    trib_input_free(f->input);
    *f = (struct open_file){0};
}

static void release_retired(struct filler *f)
{
    for (size_t i = 0; i < f->n_retired; i++) {
        close_source(&f->retired[i]);
    }
    f->n_retired = 0;
}

/* The chunk may point into its buffers: it is closed when the next chunk is begun. */
static int finish_file(struct filler *f, struct trib_err *err)
{
    struct trib_group *g = f->g;
    const struct trib_source_file *s = source_file(f);
    g->decoded_bytes += read_decoded(&f->now);
    f->retired[f->n_retired++] = f->now;
    f->now = (struct open_file){0};
    f->open = false;
    if (s->items >= 0 && f->items != s->items) {
        g->culprit = f->file;
        return trib_err_set(
            err, TRIB_E_DATA,
            "%s: the manifest says %lld items, the file has %lld; the file is not ingested: copy the export again",
            s->key, (long long)s->items, (long long)f->items);
    }
    f->file++;
    return 0;
}

/* ---- bad records -------------------------------------------------------------------------------------------------- */

static int add_bad(struct filler *f, const struct trib_quarantine_row *row, struct trib_err *err)
{
    struct trib_group *g = f->g;
    if (g->spool == NULL) {
        g->spool = trib_spool_new(g->b->env->scratch);
    }
    g->files[f->file].bad++;
    g->bad++;
    return trib_spool_add(g->spool, row, err);
}

static int quarantine(struct filler *f, const struct trib_change *c, const struct rank *r, const char *reason,
                      struct trib_err *err)
{
    char *id = c->event_id.n > 0 ? trib_strndup(c->event_id.p, c->event_id.n) : NULL;
    const struct trib_quarantine_row row = {
        .file = source_file(f)->key,
        .offset = place_of(&f->now, c->offset),
        .reason = reason,
        .raw = c->raw,
        .op = trib_op_text(r->op),
        .origin = r->origin,
        .event_id = id,
        .sequence = r->sequence[0] != '\0' ? r->sequence : NULL,
        .event_ts_us = r->event_ts_us,
        .item_json = r->op == TRIB_OP_REMOVE ? c->keys : c->new_image,
        .old_json = c->old_image,
        .base64_twice = c->base64_twice,
    };
    int rc = add_bad(f, &row, err);
    free(id);
    return rc;
}

/* NULL: no object of the landing, or one whose shard is not documented (somebody removed it): the first epoch's. */
static const struct trib_landing_shard *shard_of(const struct trib_landing *l, const char *key)
{
    char *stream, *shard, first[TRIB_POSITION_DIGITS + 1];
    if (l == NULL || !trib_landing_parse(key, &stream, &shard, first)) {
        return NULL;
    }
    const struct trib_landing_shard *s = trib_landing_find(l, stream, shard);
    free(stream);
    free(shard);
    return s;
}

/* ---- order (merge.md) --------------------------------------------------------------------------------------------- */

enum {
    EPOCH = 1,
    STATE = 0,
    CHANGE = 1
}; /* `files` stay in epoch 1; generation 0 is a state of the world, 1 a change; what was landed has its own */

/* A Streams record: in the landing its shard decides. */
static int rank_streams(const struct filler *f, const struct trib_change *c, struct rank *r, struct trib_err *err)
{
    unsigned epoch = EPOCH;
    uint32_t generation = CHANGE;
    char digits[TRIB_POSITION_DIGITS + 1];
    if (f->shard != NULL && trib_landing_digits(c->sequence_number, digits)) {
        epoch = trib_landing_epoch_of(f->g->b->o->landing, f->shard, digits, c->time_us);
        generation = f->shard->generation;
    }
    return trib_sequence_format(r->sequence, epoch, generation, c->sequence_number, err);
}

/* A Kinesis record: its time orders it, its place in the landing tells the epoch. */
static unsigned kinesis_epoch(const struct filler *f, const struct trib_change *c)
{
    char digits[TRIB_POSITION_DIGITS + 1];
    return f->shard != NULL && trib_landing_digits(c->sequence_number, digits)
               ? trib_landing_epoch_of(f->g->b->o->landing, f->shard, digits, c->time_us)
               : EPOCH;
}

/* Sets the rank, or *ret_why for a record that cannot be ranked. */
static void rank_record(struct filler *f, const struct trib_change *c, const struct trib_source_file *s, struct rank *r,
                        const char **ret_why)
{
    *r = (struct rank){.op = c->op, .event_ts_us = c->time_us};
    struct trib_err err;
    if (f->g->b->o->type == TRIB_SOURCE_SNAPSHOT) {
        r->origin = trib_origin_text(TRIB_ORIGIN_SNAPSHOT);
        r->event_ts_us = s->mtime_us;
        trib_sequence_format_us(r->sequence, EPOCH, STATE, s->mtime_us);
        return;
    }
    switch (c->kind) {
    case TRIB_KIND_STREAMS:
        r->origin = trib_origin_text(TRIB_ORIGIN_STREAM);
        if (c->sequence_number.n == 0 || rank_streams(f, c, r, &err) != 0) {
            r->sequence[0] = '\0';
            *ret_why = "the record has no SequenceNumber of 1 to 40 digits";
        }
        return;
    case TRIB_KIND_KINESIS:
        r->origin = trib_origin_text(TRIB_ORIGIN_KINESIS);
        if (c->time_us < 0) {
            *ret_why = "the record has no ApproximateCreationDateTime";
            return;
        }
        trib_sequence_format_us(r->sequence, kinesis_epoch(f, c), CHANGE, c->time_us);
        return;
    case TRIB_KIND_INCREMENTAL_EXPORT:
        r->origin = trib_origin_text(TRIB_ORIGIN_EXPORT);
        r->op = c->new_image.n == 0 ? TRIB_OP_REMOVE : c->old_image.n > 0 ? TRIB_OP_MODIFY : TRIB_OP_INSERT;
        if (c->time_us < 0) {
            *ret_why = "the record has no WriteTimestampMicros";
            return;
        }
        trib_sequence_format_us(r->sequence, EPOCH, STATE, c->time_us);
        return;
    case TRIB_KIND_DMS:
        r->origin = trib_origin_text(TRIB_ORIGIN_DMS);
        r->event_ts_us = c->time_us >= 0 ? c->time_us : s->mtime_us;
        if (trib_sequence_format(r->sequence, EPOCH, c->state ? STATE : CHANGE, c->sequence_number, &err) != 0) {
            *ret_why = "the row's place in the order of changes cannot be told";
        }
        return;
    case TRIB_KIND_FULL_EXPORT:
    case TRIB_KIND_ITEM:
    case TRIB_KIND_AUTO: break;
    }
    bool export = s->export != NULL;
    r->origin = trib_origin_text(s->epoch > 0 ? s->origin : export ? TRIB_ORIGIN_EXPORT : TRIB_ORIGIN_SNAPSHOT);
    r->event_ts_us = export ? s->export_time_us : s->mtime_us;
    if (f->state_sequence[0] == '\0') {
        trib_sequence_format_us(f->state_sequence, s->epoch > 0 ? s->epoch : EPOCH, STATE, r->event_ts_us);
    }
    memcpy(r->sequence, f->state_sequence, sizeof r->sequence);
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

static void put_str(struct trib_vec *v, uint64_t row, struct trib_view t)
{
    ((struct trib_str *)v->data)[row] = trib_str_make(t.p, t.n);
}

static void put_rescued(struct trib_chunk *chunk, int at, uint64_t row, const struct trib_buf *b)
{
    if (at < 0) {
        return;
    }
    if (b->n == 0) {
        trib_vec_null(&chunk->cols[at], row);
        return;
    }
    put_str(&chunk->cols[at], row, (struct trib_view){trib_arena_strndup(&chunk->arena, b->p, b->n), b->n});
}

/* The record's eventID, else a hash of image (the key is in it), origin, sequence and op: 32 hex digits. */
static struct trib_view event_id(struct trib_chunk *chunk, const struct trib_change *c, const struct rank *r,
                                 struct trib_digest digest)
{
    if (c->event_id.n > 0) {
        return c->event_id;
    }
    static const char hex[] = "0123456789abcdef";
    unsigned char text[160];
    size_t n = 0;
    for (int i = 0; i < 8; i++) {
        text[n++] = (unsigned char)(digest.lo >> (8 * i));
    }
    for (int i = 0; i < 8; i++) {
        text[n++] = (unsigned char)(digest.hi >> (8 * i));
    }
    const char *const parts[] = {r->origin, " ", r->sequence, " ", trib_op_text(r->op)};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t m = strlen(parts[i]);
        memcpy(text + n, parts[i], m);
        n += m;
    }
    XXH128_hash_t h = XXH3_128bits(text, n);
    char *id = trib_arena_alloc(&chunk->arena, 32);
    for (int i = 0; i < 16; i++) {
        id[i] = hex[h.high64 >> (60 - 4 * i) & 15];
        id[16 + i] = hex[h.low64 >> (60 - 4 * i) & 15];
    }
    return (struct trib_view){id, 32};
}

enum outcome { PLACED, BAD_IMAGE, BAD_KEY, FAILED };

/* Decodes one image into a struct column. BAD_IMAGE, BAD_KEY: why says it. */
static enum outcome place_image(struct filler *f, struct trib_chunk *chunk, int at, struct trib_view json,
                                unsigned flags, struct trib_buf *rescued, struct trib_item_result *result,
                                char why[320])
{
    struct trib_group *g = f->g;
    struct trib_vec *cols = at < 0 ? NULL : chunk->cols[at].children;
    struct trib_err err;
    if (trib_decode_item(g->decoder, json, flags, cols, chunk->rows, &chunk->arena, rescued, result, &err) != 0) {
        (void)snprintf(why, 320, "%.300s", err.msg);
        return err.code == TRIB_E_DATA ? BAD_IMAGE : FAILED;
    }
    if (f->missing_key != NULL) {
        (void)snprintf(why, 320, "the key attribute %.200s is missing", f->missing_key);
        return BAD_KEY;
    }
    if (result->key_misfit) {
        char reason[256];
        if (!trib_key_usable(json, g->item, &g->b->o->schema, cols, chunk->rows, reason)) {
            (void)snprintf(why, 320, "%s", reason);
            return BAD_KEY;
        }
    }
    return PLACED;
}

/* Everything of the row but the images. */
static void put_row(struct filler *f, struct trib_chunk *chunk, const struct trib_change *c, const struct rank *r,
                    struct trib_digest digest)
{
    uint64_t row = chunk->rows;
    struct trib_vec *v = chunk->cols;
    const struct places *at = &f->at;
    put_str(&v[at->op], row, trib_view_of(trib_op_text(r->op)));
    put_str(&v[at->origin], row, trib_view_of(r->origin));
    put_str(&v[at->event_id], row, event_id(chunk, c, r, digest));
    put_str(&v[at->sequence], row,
            (struct trib_view){trib_arena_strndup(&chunk->arena, r->sequence, TRIB_SEQUENCE_LEN), TRIB_SEQUENCE_LEN});
    ((int64_t *)v[at->event_ts].data)[row] = r->event_ts_us;
    if (r->event_ts_us < 0) {
        trib_vec_null(&v[at->event_ts], row);
    }
    ((uint8_t *)v[at->ttl].data)[row] = c->ttl;
    put_str(&v[at->ingest_file], row, trib_view_of(source_file(f)->key));
    ((int64_t *)v[at->ingest_ts].data)[row] = f->g->b->now_us;
    put_rescued(chunk, at->rescued, row, &f->rescued);
    put_rescued(chunk, at->rescued_old, row, &f->rescued_old);
}

static void note_kind(struct filler *f, const struct trib_change *c)
{
    struct trib_group *g = f->g;
    if (c->kind == TRIB_KIND_STREAMS && g->streams_file == SIZE_MAX) {
        g->streams_file = f->file;
    } else if (c->kind == TRIB_KIND_KINESIS && g->kinesis_file == SIZE_MAX) {
        g->kinesis_file = f->file;
    }
}

/* A line of an export that did not decode may be several records: then the reader hands them out one by one. */
static bool hands_out_again(struct filler *f)
{
    if (f->now.dms != NULL || !trib_reader_again(f->now.reader)) {
        return false;
    }
    f->items--;
    return true;
}

static int take_change(struct filler *f, struct trib_chunk *chunk, const struct trib_change *c, struct trib_err *err)
{
    struct trib_group *g = f->g;
    struct rank r;
    struct trib_item_result result, old_result;
    char why[320];
    const char *unranked = NULL;
    if (g->b->o->type != TRIB_SOURCE_SNAPSHOT) { /* what was compared is in Streams' form, and no stream's */
        note_kind(f, c);
    }
    rank_record(f, c, source_file(f), &r, &unranked);
    if (unranked != NULL) {
        return quarantine(f, c, &r, unranked, err);
    }
    struct trib_view image = r.op == TRIB_OP_REMOVE ? c->keys : c->new_image;
    if (image.n == 0) {
        return quarantine(
            f, c, &r,
            r.op == TRIB_OP_REMOVE
                ? "the record has no Keys"
                : "the record has no NewImage: a stream of KEYS_ONLY or OLD_IMAGE does not tell the new state",
            err);
    }
    unsigned flags = (c->base64_twice ? TRIB_DECODE_BASE64_TWICE : 0) | (c->event_id.n == 0 ? TRIB_DECODE_DIGEST : 0);
    trib_buf_clear(&f->rescued_old);
    enum outcome got = place_image(f, chunk, f->at.record, image, flags, &f->rescued, &result, why);
    if (got == BAD_IMAGE && hands_out_again(f)) {
        return 0;
    }
    bool old = c->old_image.n > 0;
    g->saw_old |= old && f->at.old_record < 0;
    if (got == PLACED && old && f->at.old_record >= 0) {
        got = place_image(f, chunk, f->at.old_record, c->old_image, flags & TRIB_DECODE_BASE64_TWICE, &f->rescued_old,
                          &old_result, why);
    } else if (got == PLACED && f->at.old_record >= 0) {
        trib_decode_null(g->decoder, chunk->cols[f->at.old_record].children, chunk->rows);
        trib_vec_null(&chunk->cols[f->at.old_record], chunk->rows);
    }
    if (got == FAILED) {
        return trib_err_set(err, TRIB_E_INTERNAL, "%s, at byte %lld: %s", source_file(f)->key, (long long)c->offset,
                            why);
    }
    if (got != PLACED) {
        return quarantine(f, c, &r, why, err);
    }
    put_row(f, chunk, c, &r, result.digest);
    chunk->rows++;
    f->chunk_bytes += (uint64_t)c->length + 96;
    g->files[f->file].rows++;
    g->rows++;
    return 0;
}

static int take_damage(struct filler *f, const struct trib_err *damage, struct trib_err *err)
{
    const struct trib_quarantine_row row = {.file = source_file(f)->key,
                                            .offset = place_of(&f->now, read_offset(&f->now)),
                                            .reason = damage->msg,
                                            .raw = read_raw(&f->now),
                                            .event_ts_us = -1};
    if (source_file(f)->items >= 0) {
        f->g->culprit = f->file;
        return trib_err_set(err, TRIB_E_DATA, "%s: %s; the export is not ingested further; try: copy it again",
                            row.file, damage->msg);
    }
    TRIB_TRY(add_bad(f, &row, err));
    return finish_file(f, err);
}

static int take_next(struct filler *f, struct trib_chunk *chunk, struct trib_err *err)
{
    struct trib_change c;
    struct trib_bad bad;
    enum trib_reader_result what;
    struct trib_err failure = {0};
    int rc = read_record(&f->now, &what, &c, &bad, &failure);
    if (rc == TRIB_E_DATA) {
        return take_damage(f, &failure, err);
    }
    if (rc != 0) {
        *err = failure;
        return trib_err_wrap(err, "%s", source_file(f)->key);
    }
    switch (what) {
    case TRIB_READ_END: return finish_file(f, err);
    case TRIB_READ_BAD: {
        f->items++;
        const struct trib_quarantine_row row = {.file = source_file(f)->key,
                                                .offset = place_of(&f->now, bad.offset),
                                                .reason = bad.reason,
                                                .raw = bad.raw,
                                                .event_ts_us = -1};
        return add_bad(f, &row, err);
    }
    case TRIB_READ_CHANGE: break;
    }
    f->items++;
    return take_change(f, chunk, &c, err);
}

static int fill(void *ctx, struct trib_chunk *chunk, struct trib_err *err)
{
    struct filler *f = ctx;
    struct trib_group *g = f->g;
    chunk->rows = 0;
    if (trib_parts_full(&f->parts)) {
        return 0;
    }
    release_retired(f);
    if (f->open && f->now.dms != NULL) {
        trib_dms_release(f->now.dms);
    } else if (f->open) {
        trib_reader_release(f->now.reader);
    }
    f->chunk_bytes = 0;
    while (chunk->rows < chunk->capacity && f->chunk_bytes < TRIB_PART_CHUNK_BYTES) {
        if (f->n_retired == MAX_RETIRED) {
            if (chunk->rows > 0) {
                break;
            }
            release_retired(f);
        }
        if (!f->open) {
            if (f->file == g->first + g->n) {
                f->more = false;
                break;
            }
            TRIB_TRY(open_source(g->b, f->file, true, &f->now, err));
            f->open = true;
            f->items = 0;
            f->state_sequence[0] = '\0';
            f->shard = shard_of(g->b->o->landing, g->b->source->files[f->file].key);
        }
        TRIB_TRY(take_next(f, chunk, err));
    }
    trib_parts_chunk(&f->parts, chunk->rows, f->chunk_bytes);
    return 0;
}

/* ---- the group ---------------------------------------------------------------------------------------------------- */

void trib_group_clear(struct trib_group *g)
{
    for (size_t i = 0; i < g->n_parquet; i++) {
        trib_parquet_file_drop(&g->parquet[i]);
    }
    free(g->parquet);
    trib_spool_free(g->spool);
    if (g->decoder != NULL) {
        trib_decoder_free(g->decoder);
    }
    g->parquet = NULL;
    g->n_parquet = g->cap_parquet = 0;
    g->spool = NULL;
    g->decoder = NULL;
    g->saw_old = false;
    g->streams_file = g->kinesis_file = g->culprit = SIZE_MAX;
    g->rows = g->bad = g->decoded_bytes = 0;
}

static const char *missing_key(const struct trib_group *g)
{
    for (size_t k = 0; k < g->b->o->n_keys; k++) {
        bool found = false;
        for (size_t i = 0; i < g->item->n_fields && !found; i++) {
            const char *name = trib_field_meta(&g->item->fields[i], "dynamodb.name");
            found = strcmp(name != NULL ? name : g->item->fields[i].name, g->b->o->keys[k]) == 0;
        }
        if (!found) {
            return g->b->o->keys[k];
        }
    }
    return NULL;
}

static int write_part(struct filler *f, struct trib_conn *conn, const struct trib_type *row, struct trib_err *err)
{
    static atomic_ulong serial; /* names in the scratch folder only */
    static const char *const stats[] = {"_sequence", "_event_ts", "_ingest_file", "_ingest_ts"};
    struct trib_group *g = f->g;
    trib_parts_begin(&f->parts, f->parts.width);
    const struct trib_parquet_opts po = {
        .compression = TRIB_ZSTD, .row_group_rows = f->parts.group_rows, .stats = stats, .n_stats = 4};
    TRIB_CLEANUP(trib_cleanup_free)
    char *path = trib_asprintf("%s/bronze-%lu.parquet", g->b->env->scratch, atomic_fetch_add(&serial, 1));
    struct trib_parquet_file file = {0};
    TRIB_TRY(trib_parquet_write(conn, row, fill, f, path, &po, &file, err));
    if (file.path == NULL) {
        trib_parquet_file_free(&file);
        return 0;
    }
    TRIB_GROW(g->parquet, g->cap_parquet, g->n_parquet + 1);
    g->parquet[g->n_parquet++] = file;
    return 0;
}

int trib_group_decode(struct trib_group *g, struct trib_err *err)
{
    struct trib_conn *conn;
    TRIB_TRY(trib_conn_open(g->b->env->engine, &conn, err));
    trib_group_clear(g);
    memset(&g->files[g->first], 0, g->n * sizeof *g->files);
    g->decoder = trib_decoder_new(g->item, &g->b->o->schema);
    struct trib_type row;
    trib_bronze_schema(g->item, g->with_old, &row);
    trib_field_free(&row.fields[--row.n_fields]); /* ingest_date is a partition column: not in the file */
    struct filler f = {.g = g,
                       .at = places_of(&row),
                       .file = g->first,
                       .more = true,
                       .missing_key = missing_key(g),
                       .parts.width = g->width};
    trib_buf_init(&f.rescued, (size_t)256 << 20);
    trib_buf_init(&f.rescued_old, (size_t)256 << 20);
    int rc = 0;
    while (f.more && rc == 0) {
        rc = write_part(&f, conn, &row, err);
    }
    if (f.open) {
        close_source(&f.now);
    }
    release_retired(&f);
    trib_buf_free(&f.rescued);
    trib_buf_free(&f.rescued_old);
    trib_type_free(&row);
    trib_conn_close(conn);
    return rc;
}

int trib_group_sample(const struct trib_batch_opts *b, size_t file, int64_t max_bytes, struct trib_infer *to,
                      bool *io_old, uint64_t *ret_rows, uint64_t *ret_bytes, struct trib_err *err)
{
    struct open_file f;
    TRIB_TRY(open_source(b, file, false, &f, err));
    uint64_t rows = 0;
    int rc = 0;
    while (consumed(&f) < max_bytes) {
        struct trib_change c;
        struct trib_bad bad;
        enum trib_reader_result what;
        struct trib_err failure = {0}, ignored;
        rc = read_record(&f, &what, &c, &bad, &failure);
        if (rc != 0) {
            rc = rc == TRIB_E_DATA ? 0 : rc;
            if (rc != 0) {
                *err = failure;
                rc = trib_err_wrap(err, "%s", b->source->files[file].key);
            }
            break;
        }
        if (what == TRIB_READ_END) {
            break;
        }
        if (what == TRIB_READ_CHANGE) {
            rows++;
            bool remove = c.new_image.n == 0;
            struct trib_view image = remove ? c.keys : c.new_image;
            if (to != NULL && image.n > 0 && trib_infer_item(to, image, c.base64_twice, &ignored) == 0 &&
                c.old_image.n > 0) {
                *io_old = true;
                (void)!trib_infer_item(to, c.old_image, c.base64_twice, &ignored);
            }
        }
    }
    *ret_rows = rows;
    *ret_bytes = (uint64_t)consumed(&f);
    close_source(&f);
    return rc;
}
