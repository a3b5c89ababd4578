/*
 * The model of the landing's bookkeeping: which shard, which epoch, which name (landing.h). Pure but for memory.
 * Threads: one at a time. Nothing here touches the store: landing_io.c does.
 */
#include "stage/landing.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "stage/landing_own.h"

char *trib_landing_path(const struct trib_landing *l, const char *fmt, ...)
{
    struct trib_buf b;
    trib_buf_init(&b, (size_t)1 << 20);
    trib_buf_addf(&b, "%s/", l->root);
    va_list ap;
    va_start(ap, fmt);
    char *tail = NULL;
    if (vasprintf(&tail, fmt, ap) < 0) {
        tail = NULL;
    }
    va_end(ap);
    trib_buf_adds(&b, tail == NULL ? "" : tail);
    free(tail);
    return trib_buf_take(&b);
}

struct trib_landing *trib_landing_new(struct trib_store *lake, const char *table)
{
    struct trib_landing *l = trib_calloc(1, sizeof *l);
    l->lake = lake;
    l->root = trib_path_landing(table);
    return l;
}

static void marks_free(struct trib_landing_mark *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(m[i].stream);
        free(m[i].shard);
    }
    free(m);
}

static struct trib_landing_mark *marks_copy(const struct trib_landing_mark *m, size_t n)
{
    struct trib_landing_mark *to = trib_calloc(n + 1, sizeof *to);
    for (size_t i = 0; i < n; i++) {
        to[i] = m[i];
        to[i].stream = trib_strdup(m[i].stream);
        to[i].shard = trib_strdup(m[i].shard);
    }
    return to;
}

static char *copy_or_null(const char *s) { return s == NULL ? NULL : trib_strdup(s); }

void trib_landing_epoch_free(struct trib_landing_epoch *e)
{
    free(e->reason);
    free(e->stream_arn);
    free(e->table_id);
    free(e->label);
    marks_free(e->marks, e->n_marks);
    *e = (struct trib_landing_epoch){0};
}

void trib_landing_epoch_copy(const struct trib_landing_epoch *e, struct trib_landing_epoch *ret)
{
    *ret = *e;
    ret->reason = copy_or_null(e->reason);
    ret->stream_arn = copy_or_null(e->stream_arn);
    ret->table_id = copy_or_null(e->table_id);
    ret->label = NULL;
    ret->marks = marks_copy(e->marks, e->n_marks);
}

void trib_landing_shard_free(struct trib_landing_shard *s)
{
    free(s->stream);
    free(s->shard);
    free(s->parent);
    free(s->adjacent);
    *s = (struct trib_landing_shard){0};
}

void trib_landing_shard_copy(const struct trib_landing_shard *s, struct trib_landing_shard *ret)
{
    *ret = *s;
    ret->stream = trib_strdup(s->stream);
    ret->shard = trib_strdup(s->shard);
    ret->parent = copy_or_null(s->parent);
    ret->adjacent = copy_or_null(s->adjacent);
}

void trib_landing_snapshot_free(struct trib_landing_snapshot *s)
{
    for (size_t i = 0; i < s->n_files; i++) {
        free(s->files[i].key);
    }
    free(s->files);
    marks_free(s->frontier, s->n_frontier);
    *s = (struct trib_landing_snapshot){0};
}

void trib_landing_snapshot_copy(const struct trib_landing_snapshot *s, struct trib_landing_snapshot *ret)
{
    *ret = *s;
    ret->files = trib_calloc(s->n_files + 1, sizeof *ret->files);
    for (size_t i = 0; i < s->n_files; i++) {
        ret->files[i] = s->files[i];
        ret->files[i].key = trib_strdup(s->files[i].key);
    }
    ret->frontier = marks_copy(s->frontier, s->n_frontier);
}

void trib_landing_free(struct trib_landing *l)
{
    if (l == NULL) {
        return;
    }
    for (size_t i = 0; i < l->n_epochs; i++) {
        trib_landing_epoch_free(&l->epochs[i]);
    }
    for (size_t i = 0; i < l->n_shards; i++) {
        trib_landing_shard_free(&l->shards[i]);
    }
    for (size_t i = 0; i < l->n_snapshots; i++) {
        trib_landing_snapshot_free(&l->snapshots[i]);
    }
    free(l->epochs);
    free(l->shards);
    free(l->snapshots);
    free(l->root);
    free(l);
}

struct shard_name {
    const char *stream, *shard;
};

/* Shards are kept in order of (stream, shard). */
static int shard_order(const void *name, const void *landing, size_t i)
{
    const struct shard_name *n = name;
    const struct trib_landing_shard *s = &((const struct trib_landing *)landing)->shards[i];
    int d = strcmp(s->stream, n->stream);
    return d != 0 ? d : strcmp(s->shard, n->shard);
}

size_t trib_landing_place(const struct trib_landing *l, const char *stream, const char *shard, bool *ret_found)
{
    return trib_place(l->n_shards, shard_order, &(struct shard_name){stream, shard}, l, ret_found);
}

struct trib_landing_shard *trib_landing_find(const struct trib_landing *l, const char *stream, const char *shard)
{
    bool found;
    size_t at = trib_landing_place(l, stream, shard, &found);
    return found ? &l->shards[at] : NULL;
}

char *trib_landing_label_of(const char *pin)
{
    const char *slash = strrchr(pin, '/');
    char *label = trib_strdup(slash == NULL ? pin : slash + 1);
    for (char *c = label; *c != '\0'; c++) {
        bool plain =
            (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') || *c == '-' || *c == '.';
        *c = plain ? *c : '_';
    }
    return label;
}

static int mark_order(const void *a, const void *b)
{
    const struct trib_landing_mark *x = a, *y = b;
    int d = strcmp(x->stream, y->stream);
    return d != 0 ? d : strcmp(x->shard, y->shard);
}

void trib_landing_epoch_ready(struct trib_landing_epoch *e)
{
    if (e->n_marks > 1) {
        qsort(e->marks, e->n_marks, sizeof *e->marks, mark_order);
    }
    free(e->label);
    e->label = trib_landing_label_of(e->stream_arn == NULL ? "" : e->stream_arn);
}

/* Whether a record belongs to this epoch or a later one, by its place alone. */
static bool is_behind(const struct trib_landing_epoch *e, const struct trib_landing_shard *s, const char *digits)
{
    const struct trib_landing_mark key = {.stream = s->stream, .shard = s->shard}, *mark = NULL;
    if (e->n_marks > 0) {
        mark = bsearch(&key, e->marks, e->n_marks, sizeof key, mark_order);
    }
    return mark != NULL ? strcmp(mark->last, digits) < 0 : *e->label != '\0' && strcmp(e->label, s->stream) == 0;
}

unsigned trib_landing_epoch_of(const struct trib_landing *l, const struct trib_landing_shard *s, const char *digits,
                               int64_t time_us)
{
    unsigned epoch = s->epoch;
    for (size_t i = l->n_epochs; i > 0 && l->epochs[i - 1].number > epoch; i--) {
        epoch = is_behind(&l->epochs[i - 1], s, digits) ? l->epochs[i - 1].number : epoch;
    }
    while (epoch > 0 && epoch <= l->n_epochs && l->epochs[epoch - 1].since_us > 0 &&
           time_us < l->epochs[epoch - 1].since_us) {
        epoch--;
    }
    return epoch;
}

bool trib_landing_wants_gone(const struct trib_landing *l, const struct trib_landing_snapshot *s)
{
    return s->full && (s->epoch > 1 || (l->n_epochs > 0 && l->epochs[0].since_us > 0));
}

struct trib_landing_mark *trib_landing_frontier(const struct trib_landing *l, size_t *ret_n)
{
    struct trib_landing_mark *m = trib_calloc(l->n_shards + 1, sizeof *m);
    size_t n = 0;
    for (size_t i = 0; i < l->n_shards; i++) {
        const struct trib_landing_shard *s = &l->shards[i];
        if (*s->last != '\0') {
            m[n] = (struct trib_landing_mark){.stream = s->stream, .shard = s->shard};
            memcpy(m[n++].last, s->last, sizeof s->last);
        }
    }
    *ret_n = n;
    return m;
}

const struct trib_landing_snapshot *trib_landing_snapshot_of(const struct trib_landing *l, unsigned epoch)
{
    for (size_t i = 0; i < l->n_snapshots; i++) {
        if (l->snapshots[i].epoch == epoch) {
            return &l->snapshots[i];
        }
    }
    return NULL;
}

bool trib_epochs_wait(const char *property)
{
    return property != NULL && strstr(property, "\"snapshot\":\"pending\"") != NULL &&
           strstr(property, "\"snapshot\":\"complete\"") == NULL;
}

bool trib_landing_digits(struct trib_view number, char to[TRIB_POSITION_DIGITS + 1])
{
    while (number.n > 1 && number.p[0] == '0') {
        number.p++;
        number.n--;
    }
    if (number.n == 0 || number.n > TRIB_POSITION_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < number.n; i++) {
        if (number.p[i] < '0' || number.p[i] > '9') {
            return false;
        }
    }
    size_t zeros = TRIB_POSITION_DIGITS - number.n;
    memset(to, '0', zeros);
    memcpy(to + zeros, number.p, number.n);
    to[TRIB_POSITION_DIGITS] = '\0';
    return true;
}

char *trib_landing_object(int64_t first_record_us, int bucket, const char *stream, const char *shard, const char *first,
                          const char *extension)
{
    char date[11];
    trib_utc_date(first_record_us, date);
    int64_t in_day = first_record_us / 1000000 - (int64_t)trib_utc_days(first_record_us) * 86400;
    char folder[40];
    (void)snprintf(folder, sizeof folder, bucket >= 0 ? "/bucket=%02d" : "", bucket);
    return trib_asprintf("ingest_date=%.4s/%.2s/%.2s/%02d%s/%s.%s.%s.%s", date, date + 5, date + 8,
                         (int)(in_day / 3600), folder, stream, shard, first, extension);
}

bool trib_landing_parse(const char *key, char **ret_stream, char **ret_shard, char ret_first[TRIB_POSITION_DIGITS + 1])
{
    static const char folder[] = "ingest_date=";
    const char *name = strrchr(key, '/');
    if (name == NULL || strncmp(key, folder, sizeof folder - 1) != 0) {
        return false;
    }
    name++;
    /* <stream>.<shard>.<64 digits>.<extension>: the digits are found first, a stream's label may hold dots. */
    for (const char *dot = strchr(name, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        size_t n = strspn(dot + 1, "0123456789");
        const char *shard_end = dot, *shard = dot;
        if (n != TRIB_POSITION_DIGITS || dot[1 + n] != '.') {
            continue;
        }
        while (shard > name && shard[-1] != '.') {
            shard--;
        }
        if (shard <= name + 1 || shard == shard_end) {
            return false;
        }
        *ret_stream = trib_strndup(name, (size_t)(shard - 1 - name));
        *ret_shard = trib_strndup(shard, (size_t)(shard_end - shard));
        memcpy(ret_first, dot + 1, TRIB_POSITION_DIGITS);
        ret_first[TRIB_POSITION_DIGITS] = '\0';
        return true;
    }
    return false;
}
