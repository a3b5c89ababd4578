/*
 * The schemas of Bronze and of quarantine around an item struct (spec: interface.md, Columns). Pure. Threads: any.
 */
#include "stage/stage.h"

static void add(struct trib_type *t, const char *name, enum trib_type_id id)
{
    trib_type_add(t, name, trib_type_simple(id));
}

static void add_item(struct trib_type *t, const char *name, const struct trib_type *item)
{
    struct trib_type copy;
    trib_type_copy(&copy, item);
    trib_type_add(t, name, copy);
}

/* A struct without fields cannot be written: before the first attribute is known there is no `record` at all. */
void trib_bronze_schema(const struct trib_type *item, bool with_old, struct trib_type *ret)
{
    bool known = item != NULL && item->n_fields > 0;
    struct trib_type t = trib_type_simple(TRIB_T_STRUCT);
    add(&t, "op", TRIB_T_STRING);
    if (known) {
        add_item(&t, "record", item);
    }
    if (known && with_old) {
        add_item(&t, "old_record", item);
    }
    add(&t, "_origin", TRIB_T_STRING);
    add(&t, "_event_id", TRIB_T_STRING);
    add(&t, "_sequence", TRIB_T_STRING);
    add(&t, "_event_ts", TRIB_T_TIMESTAMP);
    add(&t, "_ttl", TRIB_T_BOOLEAN);
    add(&t, "_ingest_file", TRIB_T_STRING);
    add(&t, "_ingest_ts", TRIB_T_TIMESTAMP);
    add(&t, "_rescued_data", TRIB_T_STRING);
    if (known && with_old) {
        add(&t, "_rescued_old_data", TRIB_T_STRING);
    }
    add(&t, "ingest_date", TRIB_T_DATE);
    *ret = t;
}

void trib_quarantine_schema(const struct trib_type *item, bool with_old, struct trib_type *ret)
{
    trib_bronze_schema(item, with_old, ret);
    add(ret, "_reason", TRIB_T_STRING);
    add(ret, "_expectation", TRIB_T_STRING);
    add(ret, "_offset", TRIB_T_LONG);
    add(ret, "_raw", TRIB_T_BINARY);
    add(ret, "_quarantined_ts", TRIB_T_TIMESTAMP);
}

const struct trib_type *trib_bronze_item(const struct trib_type *bronze)
{
    const struct trib_field *f = trib_type_find(bronze, "record");
    return f != NULL && f->type.id == TRIB_T_STRUCT ? &f->type : NULL;
}

void trib_schema_grow(const struct trib_type *current, const struct trib_type *wanted, struct trib_type *ret)
{
    struct trib_type t;
    trib_type_copy(&t, current);
    for (size_t i = 0; i < wanted->n_fields; i++) {
        const struct trib_field *w = &wanted->fields[i];
        struct trib_field *have = trib_type_find(&t, w->name);
        if (have == NULL) {
            struct trib_type copy;
            trib_type_copy(&copy, &w->type);
            trib_type_add(&t, w->name, copy);
        } else if (w->type.id == TRIB_T_STRUCT) {
            trib_type_free(&have->type);
            trib_type_copy(&have->type, &w->type);
        }
    }
    *ret = t;
}

bool trib_type_fits(const struct trib_type *file, const struct trib_type *table)
{
    if (file->id != table->id || file->precision != table->precision || file->scale != table->scale) {
        return false;
    }
    for (size_t i = 0; i < file->n_fields; i++) {
        const struct trib_field *t =
            file->id == TRIB_T_STRUCT ? trib_type_find(table, file->fields[i].name) : &table->fields[i];
        if (t == NULL || !trib_type_fits(&file->fields[i].type, &t->type)) {
            return false;
        }
    }
    return true;
}
