/*
 * Streams and shards of the fake's tables (spec: dynamodb.md, Streams API): which shard gets a record, rotation and splits with lineage, trims.
 * A shard owns a part of the hash space; its children own that part together. Sequence numbers rise over all shards; the
 * numbers at which a shard starts and ends are no record's. The answers are in streams.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fakeaws/own.h"

enum { RECORD_MAX = 4 << 20 };

void fk_seq_text(fk_u128 v, char to[48])
{
    char back[48];
    size_t n = 0;
    do {
        back[n++] = (char)('0' + (int)(v % 10));
        v /= 10;
    } while (v > 0);
    for (size_t i = 0; i < n; i++) {
        to[i] = back[n - 1 - i];
    }
    to[n] = '\0';
}

bool fk_seq_parse(const char *text, fk_u128 *ret)
{
    size_t n = text == NULL ? 0 : strlen(text);
    fk_u128 v = 0;
    if (n < 21 || n > 38 || strspn(text, "0123456789") != n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        v = v * 10 + (unsigned)(text[i] - '0');
    }
    *ret = v;
    return true;
}

fk_u128 fk_next_sequence(struct trib_fakeaws *f)
{
    f->sequence += 1 + trib_seeded_below(&f->rng, 1000);
    return f->sequence;
}

static fk_u128 shard_next(struct trib_fakeaws *f, struct fk_shard *h)
{
    h->next += 1 + trib_seeded_below(&f->rng, 1000);
    return h->next;
}

static struct fk_shard *shard_new(struct trib_fakeaws *f, struct fk_stream *s, const char *parent, uint64_t lo,
                                  uint64_t hi, int64_t at_us)
{
    struct fk_shard *h = trib_calloc(1, sizeof *h);
    s->last_ms = at_us / 1000 > s->last_ms ? at_us / 1000 : s->last_ms + 1;
    h->id = trib_asprintf("shardId-%020lld-%08llx", (long long)s->last_ms,
                          (unsigned long long)(fk_hash(&f->serial, sizeof f->serial, 3) & 0xffffffffU));
    f->serial++;
    h->parent = parent == NULL ? NULL : trib_strdup(parent);
    h->lo = lo;
    h->hi = hi;
    h->next = fk_next_sequence(f) + trib_seeded_below(&f->rng, UINT64_C(1) << 60);
    h->start = shard_next(f, h);
    h->opened_us = at_us;
    h->rotate_us = f->rotate_us == 0
                       ? INT64_MAX
                       : at_us + f->rotate_us + (int64_t)trib_seeded_below(&f->rng, (uint64_t)f->rotate_us / 16 + 1);
    TRIB_GROW(s->shards, s->cap, s->n + 1);
    s->shards[s->n++] = h;
    s->due_us = 0;
    return h;
}

struct fk_stream *fk_stream_open(struct trib_fakeaws *f, struct fk_table *t, const char *view, unsigned shards)
{
    struct fk_stream *s = trib_calloc(1, sizeof *s);
    f->now_us += 1000; /* labels differ */
    char label[32];
    fk_iso(f->now_us, true, label);
    label[strlen(label) - 1] = '\0'; /* without Z */
    s->label = trib_strdup(label);
    s->arn = trib_asprintf("%s/stream/%s", t->arn, label);
    s->table = trib_strdup(t->name);
    s->view = trib_strdup(view);
    s->created_us = f->now_us;
    struct trib_buf k;
    trib_buf_init(&k, RECORD_MAX);
    trib_buf_addf(&k, "[{\"AttributeName\":\"%s\",\"KeyType\":\"HASH\"}", t->hash);
    if (t->range != NULL) {
        trib_buf_addf(&k, ",{\"AttributeName\":\"%s\",\"KeyType\":\"RANGE\"}", t->range);
    }
    trib_buf_addc(&k, ']');
    s->key_schema = trib_buf_take(&k);
    uint64_t step = UINT64_MAX / shards;
    for (unsigned i = 0; i < shards; i++) {
        (void)shard_new(f, s, NULL, i * step + (i > 0 ? 1 : 0), i + 1 == shards ? UINT64_MAX : (i + 1) * step,
                        f->now_us);
    }
    TRIB_GROW(f->streams, f->streams_cap, f->n_streams + 1);
    f->streams[f->n_streams++] = s;
    return s;
}

static void shard_close(struct trib_fakeaws *f, struct fk_shard *h, int64_t at_us)
{
    h->closed = true;
    h->end = shard_next(f, h);
    h->closed_us = at_us;
}

void fk_stream_close(struct trib_fakeaws *f, struct fk_stream *s)
{
    s->disabled_us = f->now_us;
    for (size_t i = 0; i < s->n; i++) {
        if (!s->shards[i]->closed) {
            shard_close(f, s->shards[i], f->now_us);
        }
    }
    s->due_us = 0;
}

void fk_stream_split(struct trib_fakeaws *f, struct fk_stream *s, struct fk_shard *h, unsigned into, int64_t at_us)
{
    if (h->hi - h->lo < into) {
        into = 1;
    }
    shard_close(f, h, at_us);
    uint64_t step = (h->hi - h->lo) / into;
    for (unsigned i = 0; i < into; i++) {
        uint64_t lo = i == 0 ? h->lo : h->lo + i * step + 1;
        (void)shard_new(f, s, h->id, lo, i + 1 == into ? h->hi : h->lo + (i + 1) * step, at_us);
    }
}

void fk_stream_trim(struct fk_stream *s, int64_t before_us)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct fk_shard *h = s->shards[i];
        while (h->trimmed < h->n && h->records[h->trimmed].time_us < before_us) {
            free(h->records[h->trimmed].text);
            h->records[h->trimmed++].text = NULL;
        }
        if (h->closed && h->trimmed == h->n && h->closed_us < before_us) {
            free(h->id);
            free(h->parent);
            free(h->records);
            free(h);
        } else {
            s->shards[kept++] = h;
        }
    }
    s->n = kept;
}

void fk_stream_tick(struct trib_fakeaws *f, struct fk_stream *s)
{
    int64_t now = f->now_us;
    if (s->gone || now < s->due_us) {
        return;
    }
    for (size_t i = 0; i < s->n; i++) { /* children come behind: those of a long pause rotate too */
        struct fk_shard *h = s->shards[i];
        if (!h->closed && h->rotate_us <= now) {
            fk_stream_split(f, s, h, 1, h->rotate_us);
        }
    }
    fk_stream_trim(s, now - 24 * HOUR);
    s->gone = s->disabled_us != 0 && s->disabled_us < now - 24 * HOUR;
    s->due_us = now + HOUR;
    for (size_t i = 0; i < s->n; i++) {
        const struct fk_shard *h = s->shards[i];
        int64_t due = h->closed ? h->closed_us + 24 * HOUR + 1 : h->rotate_us;
        if (h->trimmed < h->n && h->records[h->trimmed].time_us + 24 * HOUR + 1 < due) {
            due = h->records[h->trimmed].time_us + 24 * HOUR + 1;
        }
        s->due_us = due < s->due_us ? due : s->due_us;
    }
}

void fk_stream_free(struct fk_stream *s)
{
    for (size_t i = 0; i < s->n; i++) {
        s->shards[i]->closed = true;
        s->shards[i]->closed_us = INT64_MIN;
    }
    fk_stream_trim(s, INT64_MAX);
    free(s->shards);
    free(s->arn);
    free(s->label);
    free(s->table);
    free(s->view);
    free(s->key_schema);
    free(s);
}

struct fk_shard *fk_shard_open(const struct fk_stream *s, size_t which)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!s->shards[i]->closed && which-- == 0) {
            return s->shards[i];
        }
    }
    return NULL;
}

static size_t open_count(const struct fk_stream *s)
{
    size_t n = 0;
    while (fk_shard_open(s, n) != NULL) {
        n++;
    }
    return n;
}

/* One record, as GetRecords tells it. */
static char *record_text(struct trib_fakeaws *f, const struct fk_stream *s, const struct fk_item *i,
                         const struct fk_version *was, const struct fk_version *is, bool ttl, fk_u128 seq)
{
    char digits[48];
    struct trib_buf b;
    trib_buf_init(&b, RECORD_MAX);
    fk_seq_text(seq, digits);
    unsigned long long id[2] = {trib_seeded_next(&f->rng)};
    id[1] = trib_seeded_next(&f->rng);
    trib_buf_addf(&b, "{\"eventID\":\"%016llx%016llx\",\"eventName\":\"%s\",\"eventVersion\":\"1.1\",", id[0], id[1],
                  was->image == NULL  ? "INSERT"
                  : is->image == NULL ? "REMOVE"
                                      : "MODIFY");
    trib_buf_addf(&b, "\"eventSource\":\"aws:dynamodb\",\"awsRegion\":\"%s\",\"dynamodb\":{", f->region);
    trib_buf_adds(&b, "\"ApproximateCreationDateTime\":");
    fk_time(&b, is->time_us / SECOND * SECOND);
    trib_buf_addf(&b, ",\"Keys\":");
    trib_buf_adds(&b, i->keys_json);
    size_t size = strlen(i->keys_json) / 2 + 1;
    bool both = strcmp(s->view, "NEW_AND_OLD_IMAGES") == 0;
    if (is->image != NULL && (both || strcmp(s->view, "NEW_IMAGE") == 0)) {
        trib_buf_adds(&b, ",\"NewImage\":");
        trib_buf_add(&b, is->image, is->n);
        size += is->size;
    }
    if (was->image != NULL && (both || strcmp(s->view, "OLD_IMAGE") == 0)) {
        trib_buf_adds(&b, ",\"OldImage\":");
        trib_buf_add(&b, was->image, was->n);
        size += was->size;
    }
    trib_buf_addf(&b, ",\"SequenceNumber\":\"%s\",\"SizeBytes\":%zu,\"StreamViewType\":\"%s\"}", digits, size, s->view);
    if (ttl) {
        trib_buf_adds(&b, ",\"userIdentity\":{\"PrincipalId\":\"dynamodb.amazonaws.com\",\"Type\":\"Service\"}");
    }
    trib_buf_addc(&b, '}');
    return trib_buf_take(&b);
}

void fk_stream_write(struct trib_fakeaws *f, struct fk_table *t, const struct fk_item *i, const struct fk_version *was,
                     const struct fk_version *is, bool ttl)
{
    struct fk_stream *s = t->stream;
    if (s == NULL || s->disabled_us != 0) {
        return;
    }
    bool split = fk_chance(f, f->chaos.split), rotate = fk_chance(f, f->chaos.rotate);
    if (split || rotate) {
        struct fk_shard *h = fk_shard_open(s, trib_seeded_below(&f->chaos_rng, open_count(s)));
        fk_stream_split(f, s, h, split ? 2 : 1, f->now_us);
    }
    for (size_t k = 0; k < s->n; k++) {
        struct fk_shard *h = s->shards[k];
        if (h->closed || i->place < h->lo || i->place > h->hi) {
            continue;
        }
        fk_u128 seq = shard_next(f, h);
        char *text = record_text(f, s, i, was, is, ttl, seq);
        TRIB_GROW(h->records, h->cap, h->n + 1);
        h->records[h->n++] = (struct fk_record){seq, is->time_us, text, strlen(text)};
        return;
    }
    fk_bug("no open shard has the key %s", i->keys_json);
}

/* ---- what a test asks for ---------------------------------------------------------------------------------------- */
static struct fk_stream *stream_get(struct trib_fakeaws *f, const char *table)
{
    struct fk_stream *s = fk_table_get(f, table)->stream;
    if (s == NULL) {
        fk_bug("table %s never had a stream", table);
    }
    return s;
}

char *trib_fakeaws_stream_arn(struct trib_fakeaws *f, const char *table)
{
    fk_lock(f);
    const struct fk_stream *s = fk_table_get(f, table)->stream;
    char *arn = s == NULL ? NULL : trib_strdup(s->arn);
    fk_unlock(f);
    return arn;
}

void trib_fakeaws_stream_off(struct trib_fakeaws *f, const char *table)
{
    fk_lock(f);
    struct fk_stream *s = stream_get(f, table);
    if (s->disabled_us == 0) {
        fk_stream_close(f, s);
    }
    fk_unlock(f);
}

void trib_fakeaws_stream_on(struct trib_fakeaws *f, const char *table, const char *view)
{
    fk_lock(f);
    struct fk_table *t = fk_table_get(f, table);
    if (t->stream != NULL && t->stream->disabled_us == 0) {
        fk_bug("the stream of %s is on", table);
    }
    t->stream = fk_stream_open(f, t, view, 1);
    fk_unlock(f);
}

void trib_fakeaws_split(struct trib_fakeaws *f, const char *table, size_t which, unsigned into)
{
    fk_lock(f);
    struct fk_stream *s = stream_get(f, table);
    struct fk_shard *h = fk_shard_open(s, which);
    if (h == NULL) {
        fk_bug("the stream of %s has no open shard %zu", table, which);
    }
    fk_stream_split(f, s, h, into, f->now_us);
    fk_unlock(f);
}

size_t trib_fakeaws_open_shards(struct trib_fakeaws *f, const char *table)
{
    fk_lock(f);
    size_t n = open_count(stream_get(f, table));
    fk_unlock(f);
    return n;
}

void trib_fakeaws_trim(struct trib_fakeaws *f, const char *table, int64_t before_us)
{
    fk_lock(f);
    fk_stream_trim(stream_get(f, table), before_us);
    fk_unlock(f);
}

void trib_fakeaws_rotate_every(struct trib_fakeaws *f, int64_t us)
{
    fk_lock(f);
    f->rotate_us = us;
    for (size_t i = 0; i < f->n_streams; i++) {
        f->streams[i]->due_us = 0;
        for (size_t k = 0; k < f->streams[i]->n; k++) {
            struct fk_shard *h = f->streams[i]->shards[k];
            h->rotate_us = us == 0 ? INT64_MAX : h->opened_us + us;
        }
    }
    fk_unlock(f);
}
