/*
 * Hints by path. On a column that is made now, members of maps and elements too: the type that the hint says, for S and N. On columns
 * that are there already: a bigint leaf that a hint calls a decimal becomes it, so that numbers with a fraction, rescued until
 * then, have their column (interface.md: new hints apply from then on); other types stay, their values stand in files.
 * Pure.
 */
#include <stdlib.h>

#include "schema/own.h"

static bool scalar(const struct trib_type *t)
{
    return t->id != TRIB_T_STRUCT && t->id != TRIB_T_ARRAY && t->id != TRIB_T_MAP;
}

static bool hint_leaf(struct trib_type *t, const char *path, const struct trib_schema_opts *o, bool fresh)
{
    for (size_t i = 0; i < o->n_hints; i++) {
        struct trib_type hinted;
        struct trib_err ignored; /* the config was checked */
        if (strcmp(o->hints[i].path, path) != 0 || trib_hint_parse(o->hints[i].type, &hinted, &ignored) != 0) {
            continue;
        }
        if (fresh ? scalar(&hinted) : hinted.id == TRIB_T_DECIMAL) {
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
        return hint_leaf(t, path, o, false);
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

/* attr: what the values are, "S", "N", "SS", "M", …; of a list's elements as dynamodb.element has it. */
static void hint_new(struct trib_type *t, const char *attr, const char *element, const char *path,
                     const struct trib_schema_opts *o)
{
    if (t->id == TRIB_T_ARRAY) {
        TRIB_CLEANUP(trib_cleanup_free) char *below = trib_asprintf("%s.element", path);
        const char *of = strcmp(attr, "L") == 0 ? element : strcmp(attr, "NS") == 0 ? "N" : "S";
        /* Of lists of lists, and of mixed elements, the element has no type of its own to convert from. */
        if (of != NULL && strcmp(attr, "BS") != 0 && strncmp(of, "L<", 2) != 0 && strcmp(of, "json") != 0) {
            hint_new(&t->fields[0].type, of, NULL, below, o);
        }
    } else if (t->id == TRIB_T_STRUCT) {
        for (size_t i = 0; i < t->n_fields; i++) {
            struct trib_field *f = &t->fields[i];
            TRIB_CLEANUP(trib_cleanup_free) char *below = trib_asprintf("%s.%s", path, trib_field_attribute(f));
            hint_new(&f->type, trib_field_meta(f, "dynamodb.type"), trib_field_meta(f, "dynamodb.element"), below, o);
        }
    } else if (strcmp(attr, "S") == 0 || strcmp(attr, "N") == 0) {
        (void)hint_leaf(t, path, o, true);
    }
}

void trib_schema_hint_new(struct trib_field *f, const char *path, const struct trib_schema_opts *o)
{
    if (o->n_hints > 0) {
        hint_new(&f->type, trib_field_meta(f, "dynamodb.type"), trib_field_meta(f, "dynamodb.element"), path, o);
    }
}

bool trib_schema_apply_hints(struct trib_type *item, const struct trib_schema_opts *o)
{
    return o->n_hints > 0 && hint_type(item, "", o);
}
