#include "columns/type.h"

#include <stdlib.h>

struct trib_type trib_type_simple(enum trib_type_id id) { return (struct trib_type){.id = id}; }

struct trib_type trib_type_decimal(unsigned precision, unsigned scale)
{
    return (struct trib_type){.id = TRIB_T_DECIMAL, .precision = (uint8_t)precision, .scale = (uint8_t)scale};
}

void trib_field_copy(struct trib_field *to, const struct trib_field *from)
{
    *to = (struct trib_field){.name = trib_strdup(from->name), .nullable = from->nullable, .n_meta = from->n_meta};
    trib_type_copy(&to->type, &from->type);
    if (from->n_meta > 0) {
        to->meta = trib_calloc(from->n_meta, sizeof *to->meta);
        for (size_t i = 0; i < from->n_meta; i++) {
            to->meta[i] = (struct trib_meta){trib_strdup(from->meta[i].key), trib_strdup(from->meta[i].value),
                                             from->meta[i].raw_json};
        }
    }
}

void trib_type_copy(struct trib_type *to, const struct trib_type *from)
{
    *to = *from;
    to->fields = NULL;
    if (from->n_fields > 0) {
        to->fields = trib_calloc(from->n_fields, sizeof *to->fields);
        for (size_t i = 0; i < from->n_fields; i++) {
            trib_field_copy(&to->fields[i], &from->fields[i]);
        }
    }
}

void trib_field_free(struct trib_field *f)
{
    free(f->name);
    for (size_t i = 0; i < f->n_meta; i++) {
        free(f->meta[i].key);
        free(f->meta[i].value);
    }
    free(f->meta);
    trib_type_free(&f->type);
    *f = (struct trib_field){0};
}

void trib_type_free(struct trib_type *t)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        trib_field_free(&t->fields[i]);
    }
    free(t->fields);
    t->fields = NULL;
    t->n_fields = 0;
}

struct trib_field *trib_type_add(struct trib_type *t, const char *name, struct trib_type type)
{
    t->fields = trib_realloc(t->fields, (t->n_fields + 1) * sizeof *t->fields);
    struct trib_field *f = &t->fields[t->n_fields++];
    *f = (struct trib_field){.name = trib_strdup(name), .type = type, .nullable = true};
    return f;
}

struct trib_field *trib_type_add_copy(struct trib_type *t, const struct trib_field *f)
{
    t->fields = trib_realloc(t->fields, (t->n_fields + 1) * sizeof *t->fields);
    struct trib_field *to = &t->fields[t->n_fields++];
    trib_field_copy(to, f);
    return to;
}

struct trib_field *trib_type_find(const struct trib_type *t, const char *name)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        if (strcmp(t->fields[i].name, name) == 0) {
            return &t->fields[i];
        }
    }
    return NULL;
}

bool trib_type_same(const struct trib_type *a, const struct trib_type *b)
{
    if (a->id != b->id || a->precision != b->precision || a->scale != b->scale || a->n_fields != b->n_fields) {
        return false;
    }
    for (size_t i = 0; i < a->n_fields; i++) {
        if (strcmp(a->fields[i].name, b->fields[i].name) != 0 ||
            !trib_type_same(&a->fields[i].type, &b->fields[i].type)) {
            return false;
        }
    }
    return true;
}

const char *trib_field_meta(const struct trib_field *f, const char *key)
{
    for (size_t i = 0; i < f->n_meta; i++) {
        if (strcmp(f->meta[i].key, key) == 0) {
            return f->meta[i].value;
        }
    }
    return NULL;
}

void trib_field_set_meta(struct trib_field *f, const char *key, const char *value)
{
    for (size_t i = 0; i < f->n_meta; i++) {
        if (strcmp(f->meta[i].key, key) == 0) {
            free(f->meta[i].value);
            if (value != NULL) {
                f->meta[i].value = trib_strdup(value);
                f->meta[i].raw_json = false;
                return;
            }
            free(f->meta[i].key);
            f->meta[i] = f->meta[--f->n_meta];
            return;
        }
    }
    if (value != NULL) {
        f->meta = trib_realloc(f->meta, (f->n_meta + 1) * sizeof *f->meta);
        f->meta[f->n_meta++] = (struct trib_meta){trib_strdup(key), trib_strdup(value), false};
    }
}

void trib_sql_ident(struct trib_buf *to, const char *name)
{
    trib_buf_addc(to, '"');
    for (const char *p = name; *p != '\0'; p++) {
        if (*p == '"') {
            trib_buf_addc(to, '"');
        }
        trib_buf_addc(to, *p);
    }
    trib_buf_addc(to, '"');
}

void trib_sql_literal(struct trib_buf *to, struct trib_view text)
{
    trib_buf_addc(to, '\'');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\'') {
            trib_buf_addc(to, '\'');
        }
        trib_buf_addc(to, text.p[i]);
    }
    trib_buf_addc(to, '\'');
}

void trib_type_sql(const struct trib_type *t, struct trib_buf *to)
{
    static const char *const names[] = {
        [TRIB_T_STRING] = "VARCHAR",
        [TRIB_T_BYTE] = "TINYINT",
        [TRIB_T_SHORT] = "SMALLINT",
        [TRIB_T_INT] = "INTEGER",
        [TRIB_T_LONG] = "BIGINT",
        [TRIB_T_FLOAT] = "FLOAT",
        [TRIB_T_DOUBLE] = "DOUBLE",
        [TRIB_T_BOOLEAN] = "BOOLEAN",
        [TRIB_T_BINARY] = "BLOB",
        [TRIB_T_DATE] = "DATE",
        [TRIB_T_TIMESTAMP] = "TIMESTAMP WITH TIME ZONE",
        [TRIB_T_TIMESTAMP_NTZ] = "TIMESTAMP",
    };
    switch (t->id) {
    case TRIB_T_DECIMAL: trib_buf_addf(to, "DECIMAL(%u,%u)", t->precision, t->scale); break;
    case TRIB_T_STRUCT:
        trib_buf_adds(to, "STRUCT(");
        for (size_t i = 0; i < t->n_fields; i++) {
            trib_buf_adds(to, i > 0 ? ", " : "");
            trib_sql_ident(to, t->fields[i].name);
            trib_buf_addc(to, ' ');
            trib_type_sql(&t->fields[i].type, to);
        }
        trib_buf_addc(to, ')');
        break;
    case TRIB_T_ARRAY:
        trib_type_sql(&t->fields[0].type, to);
        trib_buf_adds(to, "[]");
        break;
    case TRIB_T_MAP:
        trib_buf_adds(to, "MAP(");
        trib_type_sql(&t->fields[0].type, to);
        trib_buf_adds(to, ", ");
        trib_type_sql(&t->fields[1].type, to);
        trib_buf_addc(to, ')');
        break;
    default: trib_buf_adds(to, names[t->id]); break;
    }
}

size_t trib_type_leaves(const struct trib_type *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_fields; i++) {
        n += trib_type_leaves(&t->fields[i].type);
    }
    return t->n_fields == 0 ? 1 : n;
}
