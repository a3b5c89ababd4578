/*
 * The world of the fake AWS: clock, tables, items with every state that they had, who sees each write.
 * A write gets a time of its own, microseconds apart, so that "the state at T" is never ambiguous. The lock guards all of it.
 */
#include <stdlib.h>
#include <time.h>

#include "fakeaws/own.h"

enum { TEXT_MAX = 1 << 24 };
static const int64_t FIRST_US = INT64_C(1767225600000000); /* 2026-01-01T00:00:00Z */

static int64_t read_clock(void *ctx) { return trib_fakeaws_now_us(ctx); }
struct trib_clock trib_fakeaws_clock(struct trib_fakeaws *f) { return (struct trib_clock){read_clock, f}; }

static void tick(struct trib_fakeaws *f)
{
    if (f->real_clock) {
        struct timespec t;
        (void)clock_gettime(CLOCK_REALTIME, &t);
        f->now_us = (int64_t)t.tv_sec * SECOND + t.tv_nsec / 1000 + f->ahead_us;
    }
    for (size_t i = 0; i < f->n_streams; i++) {
        fk_stream_tick(f, f->streams[i]);
    }
    fk_export_tick(f);
    fk_kinesis_tick(f);
}

void fk_lock(struct trib_fakeaws *f)
{
    (void)pthread_mutex_lock(&f->lock);
    tick(f);
}
void fk_unlock(struct trib_fakeaws *f) { (void)pthread_mutex_unlock(&f->lock); }

int64_t trib_fakeaws_now_us(struct trib_fakeaws *f)
{
    fk_lock(f);
    int64_t now = f->now_us;
    fk_unlock(f);
    return now;
}

void trib_fakeaws_advance(struct trib_fakeaws *f, int64_t us)
{
    fk_lock(f);
    f->now_us += us;
    f->ahead_us += us;
    tick(f);
    fk_unlock(f);
}

struct trib_fakeaws *fk_model_new(const struct trib_fakeaws_opts *o);
struct trib_fakeaws *fk_model_new(const struct trib_fakeaws_opts *o)
{
    struct trib_fakeaws *f = trib_calloc(1, sizeof *f);
    (void)pthread_mutex_init(&f->lock, NULL);
    trib_seeded_init(&f->rng, o->seed);
    trib_seeded_init(&f->chaos_rng, o->seed ^ 0xC4A05C4A05U);
    f->region = trib_strdup(o->region == NULL ? "eu-west-1" : o->region);
    f->account = trib_strdup(o->account == NULL ? "123456789012" : o->account);
    f->now_us = o->now_us == 0 ? FIRST_US : o->now_us;
    f->latency_us = o->latency_us == 0 ? 3000 : o->latency_us < 0 ? 0 : o->latency_us;
    f->rotate_us = 4 * HOUR;
    f->export_us = -1;
    f->real_clock = o->real_clock;
    f->no_limits = o->no_limits;
    f->no_auth = o->no_auth;
    /* 21 digits, often with a further one soon: they are numbers, not texts of one length. */
    f->sequence = (fk_u128)UINT64_C(100000000000) * UINT64_C(1000000000);
    f->sequence *= 1 + trib_seeded_below(&f->rng, 9);
    if (trib_seeded_below(&f->rng, 2) == 1) {
        f->sequence = (fk_u128)UINT64_C(999999999999) * UINT64_C(1000000000) + trib_seeded_below(&f->rng, 999999000);
    }
    f->serial = trib_seeded_next(&f->rng) >> 32;
    return f;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */
struct fk_table *fk_table_find(struct trib_fakeaws *f, const char *name)
{
    const char *slash = name == NULL ? NULL : strncmp(name, "arn:", 4) == 0 ? strchr(name, '/') : NULL;
    name = slash != NULL ? slash + 1 : name;
    for (size_t i = 0; name != NULL && i < f->n_tables; i++) {
        if (!f->tables[i]->deleted && strcmp(f->tables[i]->name, name) == 0) {
            return f->tables[i];
        }
    }
    return NULL;
}

struct fk_table *fk_table_get(struct trib_fakeaws *f, const char *name)
{
    struct fk_table *t = fk_table_find(f, name);
    if (t == NULL) {
        fk_bug("no table %s", name);
    }
    return t;
}

static char *dup_or_null(const char *s) { return s == NULL ? NULL : trib_strdup(s); }

void trib_fakeaws_create_table(struct trib_fakeaws *f, const struct trib_fakeaws_table *o)
{
    fk_lock(f);
    if (fk_table_find(f, o->name) != NULL) {
        fk_bug("table %s is there already", o->name);
    }
    struct fk_table *t = trib_calloc(1, sizeof *t);
    char id[37];
    fk_uuid(f, id);
    t->name = trib_strdup(o->name);
    t->id = trib_strdup(id);
    t->arn = trib_asprintf("arn:aws:dynamodb:%s:%s:table/%s", f->region, f->account, o->name);
    t->hash = trib_strdup(o->hash);
    t->range = dup_or_null(o->range);
    t->hash_type = o->hash_type == 0 ? 'S' : o->hash_type;
    t->range_type = o->range_type == 0 ? 'S' : o->range_type;
    t->ttl = dup_or_null(o->ttl);
    t->kinesis = dup_or_null(o->kinesis);
    t->kinesis_microsecond = o->kinesis_microsecond;
    t->forget = o->forget;
    t->rcu = o->rcu;
    t->created_us = f->now_us;
    t->pitr_since_us = o->pitr ? f->now_us : 0;
    t->n_indexes = o->n_indexes;
    t->indexes = trib_calloc(o->n_indexes + 1, sizeof *t->indexes);
    for (size_t i = 0; i < o->n_indexes; i++) {
        const struct trib_fakeaws_index *x = &o->indexes[i];
        t->indexes[i] =
            (struct fk_index){trib_strdup(x->name), trib_strdup(x->hash), dup_or_null(x->range),
                              x->hash_type == 0 ? 'S' : x->hash_type, x->range_type == 0 ? 'S' : x->range_type};
    }
    TRIB_GROW(f->tables, f->tables_cap, f->n_tables + 1);
    f->tables[f->n_tables++] = t;
    if (o->view != NULL) {
        t->stream = fk_stream_open(f, t, o->view, o->shards == 0 ? 1 : o->shards);
    }
    fk_unlock(f);
}

void trib_fakeaws_delete_table(struct trib_fakeaws *f, const char *table)
{
    fk_lock(f);
    struct fk_table *t = fk_table_get(f, table);
    t->deleted = true;
    if (t->stream != NULL && t->stream->disabled_us == 0) {
        fk_stream_close(f, t->stream);
    }
    fk_unlock(f);
}

void trib_fakeaws_pitr(struct trib_fakeaws *f, const char *table, bool on)
{
    fk_lock(f);
    struct fk_table *t = fk_table_get(f, table);
    if (on != (t->pitr_since_us != 0)) {
        t->pitr_since_us = on ? f->now_us : 0;
    }
    fk_unlock(f);
}

static void item_free(struct fk_item *i)
{
    for (size_t k = 0; k < i->n; k++) {
        free(i->v[k].image);
    }
    free(i->v);
    free(i->key);
    free(i->keys_json);
    json_decref(i->range);
    free(i);
}

void fk_table_free(struct fk_table *t)
{
    for (size_t i = 0; i < t->n_order; i++) {
        item_free(t->order[i]);
    }
    for (size_t i = 0; i < t->n_indexes; i++) {
        free(t->indexes[i].name);
        free(t->indexes[i].hash);
        free(t->indexes[i].range);
    }
    free(t->indexes);
    free(t->order);
    free(t->slots);
    free(t->name);
    free(t->id);
    free(t->arn);
    free(t->hash);
    free(t->range);
    free(t->ttl);
    free(t->kinesis);
    free(t);
}

/* ---- items ------------------------------------------------------------------------------------------------------- */
struct fk_item *fk_item_find(const struct fk_table *t, const char *key, size_t n)
{
    uint64_t hash = fk_hash(key, n, 0);
    for (size_t i = hash; t->n_slots > 0; i++) {
        struct fk_item *item = t->slots[i & (t->n_slots - 1)];
        if (item == NULL || (item->hash == hash && item->key_n == n && memcmp(item->key, key, n) == 0)) {
            return item;
        }
    }
    return NULL;
}

static void slot_put(struct fk_table *t, struct fk_item *item)
{
    size_t i = item->hash;
    while (t->slots[i & (t->n_slots - 1)] != NULL) {
        i++;
    }
    t->slots[i & (t->n_slots - 1)] = item;
}

static struct fk_item *item_add(struct fk_table *t, json_t *keys, const struct trib_buf *key, uint64_t place)
{
    struct fk_item *item = trib_calloc(1, sizeof *item);
    item->key = trib_malloc(key->n + 1);
    memcpy(item->key, key->p, key->n + 1);
    item->key_n = key->n;
    item->hash = fk_hash(key->p, key->n, 0);
    item->place = place;
    item->keys_json = json_dumps(keys, JSON_COMPACT);
    item->range = t->range == NULL ? NULL : json_deep_copy(json_object_get(keys, t->range));
    if (2 * (t->n_items + 1) > t->n_slots) {
        t->n_slots = t->n_slots == 0 ? 64 : 2 * t->n_slots;
        free(t->slots);
        t->slots = trib_calloc(t->n_slots, sizeof *t->slots);
        for (size_t i = 0; i < t->n_order; i++) {
            slot_put(t, t->order[i]);
        }
    }
    slot_put(t, item);
    t->n_items++;
    TRIB_GROW(t->order, t->order_cap, t->n_order + 1);
    t->order[t->n_order++] = item;
    return item;
}

const struct fk_version *fk_at(const struct fk_item *i, int64_t at_us)
{
    for (size_t k = i->n; k > 0; k--) {
        if (i->v[k - 1].time_us <= at_us) {
            return &i->v[k - 1];
        }
    }
    return NULL;
}

static bool same(const struct fk_version *was, const char *image, json_t *item)
{
    if (was->image == NULL || image == NULL || strcmp(was->image, image) == 0) {
        return was->image == NULL ? image == NULL : image != NULL;
    }
    json_t *old = json_loads(was->image, JSON_ALLOW_NUL, NULL);
    bool equal = json_equal(old, item) != 0;
    json_decref(old);
    return equal;
}

bool fk_write(struct trib_fakeaws *f, struct fk_table *t, json_t *keys, json_t *item, bool ttl)
{
    struct trib_buf key;
    uint64_t place;
    trib_buf_init(&key, TEXT_MAX);
    fk_key_text(t, keys, &key, &place);
    struct fk_item *i = fk_item_find(t, key.p, key.n);
    const struct fk_version gone = {0}, *was = i == NULL || i->n == 0 ? &gone : &i->v[i->n - 1];
    char *image = item == NULL ? NULL : json_dumps(item, JSON_COMPACT);
    if (same(was, image, item)) {
        free(image);
        trib_buf_free(&key);
        return false;
    }
    if (i == NULL) {
        i = item_add(t, keys, &key, place);
    }
    trib_buf_free(&key);
    f->last_write_us = f->now_us > f->last_write_us ? f->now_us : f->last_write_us + 1;
    f->now_us = f->last_write_us;
    struct fk_version is = {f->last_write_us, image, image == NULL ? 0 : strlen(image), 0};
    if (item != NULL) {
        char *bad = fk_item_check(item, &is.size);
        free(bad);
    }
    t->n_live += was->image == NULL ? 1U : 0U;
    t->n_live -= image == NULL ? 1U : 0U;
    fk_stream_write(f, t, i, was, &is, ttl);
    fk_kinesis_write(f, t, i, was, &is, ttl);
    if (t->forget && i->n > 0) {
        free(i->v[0].image);
        i->n = 0;
    }
    TRIB_GROW(i->v, i->cap, i->n + 1);
    i->v[i->n++] = is;
    return true;
}

int fk_place_cmp(const struct fk_item *i, uint64_t place, json_t *range, const char *key, size_t key_n)
{
    if (i->place != place) {
        return i->place < place ? -1 : 1;
    }
    int d = i->range == NULL || range == NULL ? 0 : fk_value_cmp(i->range, range);
    return d != 0 ? d : trib_view_cmp((struct trib_view){i->key, i->key_n}, (struct trib_view){key, key_n});
}

int fk_item_cmp(const struct fk_item *a, const struct fk_item *b)
{
    return fk_place_cmp(a, b->place, b->range, b->key, b->key_n);
}

static int by_place(const void *a, const void *b)
{
    return fk_item_cmp(*(struct fk_item *const *)a, *(struct fk_item *const *)b);
}

void fk_order(struct fk_table *t)
{
    size_t tail = t->n_order - t->ordered;
    if (tail == 0) {
        return;
    }
    qsort(t->order + t->ordered, tail, sizeof(struct fk_item *), by_place);
    struct fk_item **late = trib_malloc(tail * sizeof(struct fk_item *));
    memcpy(late, t->order + t->ordered, tail * sizeof(struct fk_item *));
    size_t a = t->ordered, b = tail;
    for (size_t to = t->n_order; b > 0; to--) { /* merged from behind */
        bool old = a > 0 && fk_item_cmp(t->order[a - 1], late[b - 1]) > 0;
        t->order[to - 1] = old ? t->order[--a] : late[--b];
    }
    free(late);
    t->ordered = t->n_order;
}

/* ---- the writer -------------------------------------------------------------------------------------------------- */
static json_t *load(const char *text)
{
    json_error_t e;
    json_t *v = json_loads(text, JSON_ALLOW_NUL, &e);
    if (v == NULL) {
        fk_bug("%s in %s", e.text, text);
    }
    return v;
}

static int64_t write_of(struct trib_fakeaws *f, const char *table, const char *text, bool put, bool ttl)
{
    fk_lock(f);
    struct fk_table *t = fk_table_get(f, table);
    json_t *v = load(text), *keys = NULL;
    char *bad = fk_key(t, v, !put, &keys);
    if (bad != NULL) {
        fk_bug("%s: %s", bad, text);
    }
    int64_t at = fk_write(f, t, keys, put ? v : NULL, ttl) ? f->last_write_us : -1;
    json_decref(keys);
    json_decref(v);
    fk_unlock(f);
    return at;
}

int64_t trib_fakeaws_put(struct trib_fakeaws *f, const char *table, const char *item)
{
    return write_of(f, table, item, true, false);
}
int64_t trib_fakeaws_delete(struct trib_fakeaws *f, const char *table, const char *key)
{
    return write_of(f, table, key, false, false);
}
int64_t trib_fakeaws_delete_ttl(struct trib_fakeaws *f, const char *table, const char *key)
{
    return write_of(f, table, key, false, true);
}

size_t trib_fakeaws_expire_due(struct trib_fakeaws *f, const char *table)
{
    fk_lock(f);
    struct fk_table *t = fk_table_get(f, table);
    size_t gone = 0;
    fk_order(t);
    for (size_t i = 0; t->ttl != NULL && i < t->n_order; i++) {
        struct fk_item *item = t->order[i];
        const struct fk_version *v = fk_at(item, INT64_MAX);
        if (v == NULL || v->image == NULL) {
            continue;
        }
        json_t *image = load(v->image), *n = json_object_get(json_object_get(image, t->ttl), "N");
        double at = json_is_string(n) ? atof(json_string_value(n)) : 0;
        double now = (double)f->now_us / 1e6;
        if (at > 0 && at <= now && at > now - 5 * 365 * 86400.0) { /* older ones are taken for a mistake */
            json_t *keys = load(item->keys_json);
            gone += fk_write(f, t, keys, NULL, true) ? 1U : 0U;
            json_decref(keys);
        }
        json_decref(image);
    }
    fk_unlock(f);
    return gone;
}

char *trib_fakeaws_item(struct trib_fakeaws *f, const char *table, const char *key, int64_t at_us)
{
    fk_lock(f);
    struct fk_table *t = fk_table_get(f, table);
    json_t *v = load(key), *keys = NULL;
    char *bad = fk_key(t, v, true, &keys), *ret = NULL;
    if (bad != NULL) {
        fk_bug("%s: %s", bad, key);
    }
    struct trib_buf text;
    uint64_t place;
    trib_buf_init(&text, TEXT_MAX);
    fk_key_text(t, keys, &text, &place);
    const struct fk_item *i = fk_item_find(t, text.p, text.n);
    const struct fk_version *is = i == NULL ? NULL : fk_at(i, at_us);
    if (is != NULL && is->image != NULL) {
        ret = trib_strdup(is->image);
    }
    trib_buf_free(&text);
    json_decref(keys);
    json_decref(v);
    fk_unlock(f);
    return ret;
}

size_t trib_fakeaws_each(struct trib_fakeaws *f, const char *table, int64_t at_us,
                         void (*visit)(void *ctx, const char *key, const char *item), void *ctx)
{
    fk_lock(f);
    struct fk_table *t = fk_table_get(f, table);
    size_t n = 0;
    for (size_t i = 0; i < t->n_order; i++) {
        const struct fk_version *v = fk_at(t->order[i], at_us);
        if (v != NULL && v->image != NULL) {
            n++;
            if (visit != NULL) {
                visit(ctx, t->order[i]->keys_json, v->image);
            }
        }
    }
    fk_unlock(f);
    return n;
}
