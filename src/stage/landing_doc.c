/* The documents of the landing's bookkeeping as JSON (docs/formats/landing.md): reader and writer side by side. Pure. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "stage/landing_own.h"

/* ---- both ways ---------------------------------------------------------------------------------------------------- */

static json_t *text_or_null(const char *s) { return s == NULL ? json_null() : json_string(s); }

static void dump(json_t *doc, struct trib_buf *to)
{
    (void)json_object_set_new(doc, "version", json_integer(TRIB_LANDING_VERSION));
    char *text = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
    trib_buf_adds(to, text == NULL ? "" : text);
    trib_buf_addc(to, '\n');
    free(text);
    json_decref(doc);
}

static int load(struct trib_view text, const char *key, json_t **ret, struct trib_err *err)
{
    json_error_t why;
    json_t *doc = json_loadb(text.p == NULL ? "" : text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(doc)) {
        json_decref(doc);
        return trib_err_set(err, TRIB_E_DATA, "%s: not the JSON that Tributary writes there (%s)", key, why.text);
    }
    json_int_t version = json_integer_value(json_object_get(doc, "version"));
    if (version < 1 || version > TRIB_LANDING_VERSION) {
        json_decref(doc);
        return trib_err_set(err, TRIB_E_UNSUPPORTED,
                            "%s has format version %" JSON_INTEGER_FORMAT
                            ", this program knows %d: use the version of Tributary that wrote it, or a newer one",
                            key, version, TRIB_LANDING_VERSION);
    }
    *ret = doc;
    return 0;
}

static int broken(json_t *doc, const char *key, const char *what, struct trib_err *err)
{
    json_decref(doc);
    return trib_err_set(err, TRIB_E_DATA, "%s: %s is missing or of another type", key, what);
}

static char *copy(const json_t *doc, const char *name)
{
    const char *s = json_string_value(json_object_get(doc, name));
    return s == NULL ? NULL : trib_strdup(s);
}

static int64_t number(const json_t *doc, const char *name, int64_t otherwise)
{
    const json_t *v = json_object_get(doc, name);
    return json_is_integer(v) ? (int64_t)json_integer_value(v) : otherwise;
}

/* "" or 64 digits. */
static bool digits_of(const json_t *v, char to[TRIB_POSITION_DIGITS + 1])
{
    const char *s = json_string_value(v);
    if (s == NULL || (*s != '\0' && (strlen(s) != TRIB_POSITION_DIGITS || !trib_landing_digits(trib_view_of(s), to)))) {
        return false;
    }
    if (*s == '\0') {
        *to = '\0';
    }
    return true;
}

/* {"<stream>": {"<shard>": "<digits>"}} */
static json_t *marks_write(const struct trib_landing_mark *m, size_t n)
{
    json_t *streams = json_object();
    for (size_t i = 0; i < n; i++) {
        json_t *shards = json_object_get(streams, m[i].stream);
        if (shards == NULL) {
            shards = json_object();
            (void)json_object_set_new(streams, m[i].stream, shards);
        }
        (void)json_object_set_new(shards, m[i].shard, json_string(m[i].last));
    }
    return streams;
}

static bool marks_read(json_t *streams, struct trib_landing_mark **ret, size_t *ret_n)
{
    const char *stream, *shard;
    json_t *shards, *last;
    size_t cap = 0;
    *ret = NULL;
    *ret_n = 0;
    json_object_foreach(streams, stream, shards)
    {
        json_object_foreach(shards, shard, last)
        {
            TRIB_GROW(*ret, cap, *ret_n + 1);
            struct trib_landing_mark *m = &(*ret)[*ret_n];
            if (!digits_of(last, m->last)) {
                return false;
            }
            m->stream = trib_strdup(stream);
            m->shard = trib_strdup(shard);
            ++*ret_n;
        }
    }
    return json_is_object(streams);
}

/* ---- epochs ------------------------------------------------------------------------------------------------------- */

void trib_landing_epoch_write(const struct trib_landing_epoch *e, struct trib_buf *to)
{
    dump(json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:b, s:o}", "epoch", (json_int_t)e->number, "opened_us",
                   (json_int_t)e->opened_us, "since_us", (json_int_t)e->since_us, "reason", text_or_null(e->reason),
                   "stream_arn", text_or_null(e->stream_arn), "table_id", text_or_null(e->table_id), "snapshot",
                   (int)e->snapshot, "shards", marks_write(e->marks, e->n_marks)),
         to);
}

int trib_landing_epoch_read(struct trib_view text, const char *key, struct trib_landing_epoch *ret,
                            struct trib_err *err)
{
    json_t *doc;
    TRIB_TRY(load(text, key, &doc, err));
    struct trib_landing_epoch e = {.number = (unsigned)number(doc, "epoch", 0),
                                   .opened_us = number(doc, "opened_us", -1),
                                   .since_us = number(doc, "since_us", 0),
                                   .reason = copy(doc, "reason"),
                                   .stream_arn = copy(doc, "stream_arn"),
                                   .table_id = copy(doc, "table_id"),
                                   .snapshot = json_is_true(json_object_get(doc, "snapshot"))};
    if (!marks_read(json_object_get(doc, "shards"), &e.marks, &e.n_marks) || e.number == 0 || e.number > 0xFFFF) {
        trib_landing_epoch_free(&e);
        return broken(doc, key, "epoch or shards", err);
    }
    json_decref(doc);
    *ret = e;
    return 0;
}

/* ---- shards ------------------------------------------------------------------------------------------------------- */

void trib_landing_shard_write(const struct trib_landing_shard *s, struct trib_buf *to)
{
    dump(json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:I}", "stream", s->stream, "shard", s->shard, "parent",
                   text_or_null(s->parent), "adjacent", text_or_null(s->adjacent), "generation",
                   (json_int_t)s->generation, "epoch", (json_int_t)s->epoch, "found_us", (json_int_t)s->found_us),
         to);
}

int trib_landing_shard_read(struct trib_view text, const char *key, struct trib_landing_shard *ret,
                            struct trib_err *err)
{
    json_t *doc;
    TRIB_TRY(load(text, key, &doc, err));
    struct trib_landing_shard s = {.stream = copy(doc, "stream"),
                                   .shard = copy(doc, "shard"),
                                   .parent = copy(doc, "parent"),
                                   .adjacent = copy(doc, "adjacent"),
                                   .generation = (uint32_t)number(doc, "generation", 0),
                                   .epoch = (unsigned)number(doc, "epoch", 0),
                                   .found_us = number(doc, "found_us", 0)};
    if (s.stream == NULL || s.shard == NULL || s.generation == 0 || s.epoch == 0) {
        trib_landing_shard_free(&s);
        return broken(doc, key, "stream, shard, generation or epoch", err);
    }
    json_decref(doc);
    *ret = s;
    return 0;
}

void trib_landing_end_write(const char *last, struct trib_buf *to) { dump(json_pack("{s:s}", "last", last), to); }

int trib_landing_end_read(struct trib_view text, const char *key, char ret_last[TRIB_POSITION_DIGITS + 1],
                          struct trib_err *err)
{
    json_t *doc;
    TRIB_TRY(load(text, key, &doc, err));
    if (!digits_of(json_object_get(doc, "last"), ret_last)) {
        return broken(doc, key, "last", err);
    }
    json_decref(doc);
    return 0;
}

/* ---- snapshots ---------------------------------------------------------------------------------------------------- */

void trib_landing_snapshot_write(const struct trib_landing_snapshot *s, struct trib_buf *to)
{
    json_t *files = json_array();
    for (size_t i = 0; i < s->n_files; i++) {
        (void)json_array_append_new(
            files, json_pack("{s:s, s:I, s:I, s:I}", "key", s->files[i].key, "items", (json_int_t)s->files[i].items,
                             "bytes", (json_int_t)s->files[i].bytes, "time_us", (json_int_t)s->files[i].time_us));
    }
    dump(json_pack("{s:I, s:s, s:b, s:I, s:o, s:o}", "epoch", (json_int_t)s->epoch, "origin",
                   trib_origin_text(s->origin), "full", (int)s->full, "time_us", (json_int_t)s->time_us, "files", files,
                   "frontier", marks_write(s->frontier, s->n_frontier)),
         to);
}

static bool origin_of(const char *text, enum trib_origin *ret)
{
    for (int o = TRIB_ORIGIN_STREAM; text != NULL && o <= TRIB_ORIGIN_SNAPSHOT; o++) {
        if (strcmp(trib_origin_text((enum trib_origin)o), text) == 0) {
            *ret = (enum trib_origin)o;
            return true;
        }
    }
    return false;
}

static bool files_read(const json_t *files, struct trib_landing_snapshot *s)
{
    size_t n = json_array_size(files);
    s->files = trib_calloc(n + 1, sizeof *s->files);
    for (size_t i = 0; i < n; i++) {
        const json_t *f = json_array_get(files, i);
        char *key = copy(f, "key");
        if (key == NULL) {
            return false;
        }
        s->files[s->n_files++] = (struct trib_landing_file){.key = key,
                                                            .items = number(f, "items", -1),
                                                            .bytes = number(f, "bytes", 0),
                                                            .time_us = number(f, "time_us", 0)};
    }
    return json_is_array(files);
}

int trib_landing_snapshot_read(struct trib_view text, const char *key, struct trib_landing_snapshot *ret,
                               struct trib_err *err)
{
    json_t *doc;
    TRIB_TRY(load(text, key, &doc, err));
    struct trib_landing_snapshot s = {.epoch = (unsigned)number(doc, "epoch", 0),
                                      .full = json_is_true(json_object_get(doc, "full")),
                                      .sealed = true,
                                      .time_us = number(doc, "time_us", 0)};
    if (!origin_of(json_string_value(json_object_get(doc, "origin")), &s.origin) ||
        !files_read(json_object_get(doc, "files"), &s) ||
        !marks_read(json_object_get(doc, "frontier"), &s.frontier, &s.n_frontier) || s.epoch == 0) {
        trib_landing_snapshot_free(&s);
        return broken(doc, key, "epoch, origin, files or frontier", err);
    }
    json_decref(doc);
    *ret = s;
    return 0;
}

/* ---- positions ---------------------------------------------------------------------------------------------------- */

void trib_landing_positions_write(const struct trib_landing *l, int64_t now_us, struct trib_buf *to)
{
    json_t *shards = json_array();
    for (size_t i = 0; i < l->n_shards; i++) {
        const struct trib_landing_shard *s = &l->shards[i];
        if (!s->ended) {
            (void)json_array_append_new(shards,
                                        json_pack("{s:s, s:s, s:s, s:I}", "stream", s->stream, "shard", s->shard,
                                                  "last", s->last, "read_us", (json_int_t)s->read_us));
        }
    }
    dump(json_pack("{s:I, s:o}", "written_us", (json_int_t)now_us, "shards", shards), to);
}

int trib_landing_positions_read(struct trib_view text, const char *key, struct trib_landing *l, int64_t *ret_written_us,
                                struct trib_err *err)
{
    json_t *doc;
    TRIB_TRY(load(text, key, &doc, err));
    const json_t *shards = json_object_get(doc, "shards");
    for (size_t i = 0; i < json_array_size(shards); i++) {
        const json_t *p = json_array_get(shards, i);
        const char *stream = json_string_value(json_object_get(p, "stream"));
        const char *shard = json_string_value(json_object_get(p, "shard"));
        char last[TRIB_POSITION_DIGITS + 1];
        if (stream == NULL || shard == NULL || !digits_of(json_object_get(p, "last"), last)) {
            return broken(doc, key, "stream, shard or last", err);
        }
        struct trib_landing_shard *s = trib_landing_find(l, stream, shard);
        if (s != NULL && strcmp(last, s->last) >= 0) {
            memcpy(s->last, last, sizeof last);
            int64_t read_us = number(p, "read_us", 0);
            s->read_us = read_us > s->read_us ? read_us : s->read_us;
        }
    }
    *ret_written_us = number(doc, "written_us", 0);
    json_decref(doc);
    return 0;
}
