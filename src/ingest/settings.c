/* See settings.h. Pure. */
#include "ingest/settings.h"

#include <stdlib.h>

#include "dynamodb/item.h"

static char *keys_text(const struct trib_ingest_opts *o)
{
    struct trib_buf b;
    trib_buf_init(&b, (size_t)1 << 20);
    trib_buf_addc(&b, '[');
    for (size_t i = 0; i < o->n_keys; i++) {
        trib_buf_adds(&b, i > 0 ? "," : "");
        trib_json_string(&b, trib_view_of(o->keys[i]));
    }
    trib_buf_addc(&b, ']');
    return trib_buf_take(&b);
}

static const char *numbers_text(enum trib_numbers n)
{
    static const char *const names[] = {"auto", "decimal", "double", "string"};
    return names[n];
}

static int check(const struct trib_ingest_opts *o, const struct trib_snapshot *s, const char *property,
                 const char *setting, const char *wanted, struct trib_err *err)
{
    const char *stored = trib_snapshot_property(s, property);
    if (stored == NULL || strcmp(stored, wanted) == 0) {
        return 0;
    }
    return trib_err_set(
        err, TRIB_E_CONFIG,
        "table %s: `%s` is %s in the config, but Bronze was made with %s; try: put it back, or start over with another `lake`, into which "
        "the source's files are read from the first one on",
        o->table, setting, wanted, stored);
}

int trib_settings_check(const struct trib_ingest_opts *o, const struct trib_snapshot *s, struct trib_err *err)
{
    if (s->version < 0) {
        return 0;
    }
    const char *pipeline = trib_snapshot_property(s, "tributary.pipeline");
    if (pipeline != NULL && strcmp(pipeline, o->pipeline) != 0) {
        return trib_err_set(
            err, TRIB_E_CONFIG,
            "table %s: Bronze belongs to the pipeline %s, the config's is %s; try: name the pipeline %s again, or let `lake` be another place",
            o->table, pipeline, o->pipeline, pipeline);
    }
    TRIB_CLEANUP(trib_cleanup_free) char *keys = keys_text(o);
    TRIB_TRY(check(o, s, "tributary.keys", "key", keys, err));
    TRIB_TRY(check(o, s, "tributary.numbers", "schema.numbers", numbers_text(o->schema.numbers), err));
    return check(o, s, "tributary.infer", "schema.infer", o->schema.infer ? "true" : "false", err);
}

static void set(struct trib_properties *p, const char *key, const char *value)
{
    for (size_t i = 0; i < p->n; i++) {
        if (strcmp(p->kv[i].key, key) == 0) {
            if (p->kv[i].value == NULL || strcmp(p->kv[i].value, value) != 0) {
                free(p->kv[i].value);
                p->kv[i].value = trib_strdup(value);
                p->changed = true;
            }
            return;
        }
    }
    TRIB_GROW(p->kv, p->cap, p->n + 1);
    p->kv[p->n++] = (struct trib_kv){trib_strdup(key), trib_strdup(value)};
    p->changed = true;
}

static void set_absent(struct trib_properties *p, const char *key, const char *value)
{
    for (size_t i = 0; i < p->n; i++) {
        if (strcmp(p->kv[i].key, key) == 0) {
            return;
        }
    }
    set(p, key, value);
}

/* A column path as Delta's property wants it: names that are no plain identifiers in backticks. */
static void add_name(struct trib_buf *to, const char *name)
{
    bool plain =
        name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")] == '\0' && *name != '\0';
    trib_buf_adds(to, plain ? "" : "`");
    for (const char *p = name; *p != '\0'; p++) {
        trib_buf_adds(to, *p == '`' ? "`" : "");
        trib_buf_addc(to, *p);
    }
    trib_buf_adds(to, plain ? "" : "`");
}

static char *stats_columns(const struct trib_ingest_opts *o, const struct trib_type *schema)
{
    struct trib_buf b;
    trib_buf_init(&b, (size_t)1 << 20);
    trib_buf_adds(&b, "_sequence,_event_ts,_ingest_file,_ingest_ts");
    const struct trib_type *item = trib_bronze_item(schema);
    for (size_t i = 0; item != NULL && i < item->n_fields; i++) {
        const char *name = trib_field_meta(&item->fields[i], "dynamodb.name");
        for (size_t k = 0; k < o->n_keys; k++) {
            if (strcmp(name != NULL ? name : item->fields[i].name, o->keys[k]) == 0) {
                trib_buf_adds(&b, ",record.");
                add_name(&b, item->fields[i].name);
            }
        }
    }
    return trib_buf_take(&b);
}

char *trib_settings_epochs(const struct trib_landing *l, bool (*has)(void *ctx, const char *key), void *ctx)
{
    struct trib_buf b;
    trib_buf_init(&b, (size_t)1 << 20);
    for (size_t i = 0; i < l->n_epochs; i++) {
        const struct trib_landing_epoch *e = &l->epochs[i];
        const struct trib_landing_snapshot *s = trib_landing_snapshot_of(l, e->number);
        bool complete = s != NULL;
        for (size_t k = 0; complete && k < s->n_files; k++) {
            complete = has(ctx, s->files[k].key);
        }
        trib_buf_addf(&b, "%s{\"epoch\":%u,\"reason\":", i == 0 ? "[" : ",", e->number);
        trib_json_string(&b, trib_view_of(e->reason == NULL ? "" : e->reason));
        trib_buf_addf(&b, ",\"snapshot\":\"%s\"}", !e->snapshot ? "none" : complete ? "complete" : "pending");
    }
    trib_buf_adds(&b, l->n_epochs == 0 ? "[]" : "]");
    return trib_buf_take(&b);
}

void trib_settings_properties(const struct trib_ingest_opts *o, const struct trib_snapshot *s,
                              const struct trib_type *schema, const char *stream_kind, const char *epochs,
                              struct trib_properties *ret)
{
    struct trib_properties p = {0};
    for (size_t i = 0; s->version >= 0 && i < s->n_properties; i++) {
        TRIB_GROW(p.kv, p.cap, p.n + 1);
        p.kv[p.n++] = (struct trib_kv){trib_strdup(s->properties[i].key),
                                       s->properties[i].value == NULL ? NULL : trib_strdup(s->properties[i].value)};
    }
    TRIB_CLEANUP(trib_cleanup_free) char *keys = keys_text(o);
    TRIB_CLEANUP(trib_cleanup_free) char *stats = stats_columns(o, schema);
    set(&p, "delta.appendOnly", "true");
    set_absent(&p, "delta.dataSkippingStatsColumns", stats);
    set(&p, "tributary.pipeline", o->pipeline);
    set(&p, "tributary.keys", keys);
    set(&p, "tributary.numbers", numbers_text(o->schema.numbers));
    set(&p, "tributary.infer", o->schema.infer ? "true" : "false");
    if (epochs != NULL) {
        set(&p, TRIB_EPOCHS_PROPERTY, epochs);
    } else {
        set_absent(&p, TRIB_EPOCHS_PROPERTY, "[{\"epoch\":1,\"reason\":\"files\"}]");
    }
    if (stream_kind != NULL) {
        set(&p, "tributary.stream_kind", stream_kind);
    }
    *ret = p;
}

void trib_properties_free(struct trib_properties *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->kv[i].key);
        free(p->kv[i].value);
    }
    free(p->kv);
    *p = (struct trib_properties){0};
}
