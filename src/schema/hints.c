/*
 * Hints on columns that are there already: a bigint leaf that a hint calls a decimal becomes it, so that numbers with a fraction, rescued
 * until then, have their column (interface.md: new hints apply from then on). Other types stay: their values stand in files.
 * Pure.
 */
#include <stdlib.h>

#include "schema/own.h"

static bool hint_leaf(struct trib_type *t, const char *path, const struct trib_schema_opts *o)
{
    for (size_t i = 0; i < o->n_hints; i++) {
        struct trib_type hinted;
        struct trib_err ignored; /* the config was checked */
        if (strcmp(o->hints[i].path, path) != 0 || trib_hint_parse(o->hints[i].type, &hinted, &ignored) != 0) {
            continue;
        }
        if (hinted.id == TRIB_T_DECIMAL) {
            *t = hinted;
            return true;
        }
        trib_type_free(&hinted);
    }
    return false;
}

static bool is_key(const struct trib_schema_opts *o, const char *attribute)
{
    for (size_t k = 0; k < o->n_keys; k++) {
        if (strcmp(o->keys[k], attribute) == 0) {
            return true;
        }
    }
    return false;
}

static bool hint_type(struct trib_type *t, const char *path, const struct trib_schema_opts *o)
{
    bool changed = false;
    if (t->id == TRIB_T_LONG) {
        return hint_leaf(t, path, o);
    }
    if (t->id == TRIB_T_ARRAY) {
        TRIB_CLEANUP(trib_cleanup_free) char *below = trib_asprintf("%s.element", path);
        return hint_type(&t->fields[0].type, below, o);
    }
    for (size_t i = 0; t->id == TRIB_T_STRUCT && i < t->n_fields; i++) {
        const char *name = trib_field_attribute(&t->fields[i]);
        if (name == NULL || (*path == '\0' && is_key(o, name))) {
            continue;
        }
        TRIB_CLEANUP(trib_cleanup_free)
        char *below = *path == '\0' ? trib_strdup(name) : trib_asprintf("%s.%s", path, name);
        changed = hint_type(&t->fields[i].type, below, o) || changed;
    }
    return changed;
}

bool trib_schema_apply_hints(struct trib_type *item, const struct trib_schema_opts *o)
{
    return o->n_hints > 0 && hint_type(item, "", o);
}
