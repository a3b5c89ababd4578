/*
 * Delta's schemaString ↔ the type tree; reader and writer of one format in one file (PROTOCOL.md, Schema Serialization Format).
 * Metadata values that are not strings are kept as their raw JSON text.
 */
#include <stdio.h>
#include <stdlib.h>

#include "delta/delta.h"
#include "delta/json_text.h"

static const struct {
    const char *name;
    enum trib_type_id id;
} primitives[] = {
    {"string", TRIB_T_STRING}, {"long", TRIB_T_LONG},           {"integer", TRIB_T_INT},
    {"short", TRIB_T_SHORT},   {"byte", TRIB_T_BYTE},           {"float", TRIB_T_FLOAT},
    {"double", TRIB_T_DOUBLE}, {"boolean", TRIB_T_BOOLEAN},     {"binary", TRIB_T_BINARY},
    {"date", TRIB_T_DATE},     {"timestamp", TRIB_T_TIMESTAMP}, {"timestamp_ntz", TRIB_T_TIMESTAMP_NTZ},
};
enum { N_PRIMITIVES = sizeof primitives / sizeof *primitives };

/* --- writing ----------------------------------------------------------------------------------------------------- */

static void write_type(const struct trib_type *t, struct trib_buf *to);

static void write_field(const struct trib_field *f, struct trib_buf *to)
{
    trib_buf_addc(to, '{');
    trib_jsontext_add_pair(to, "name", f->name);
    trib_jsontext_add_key(to, "type");
    write_type(&f->type, to);
    trib_jsontext_add_bool(to, "nullable", f->nullable);
    trib_jsontext_add_key(to, "metadata");
    trib_buf_addc(to, '{');
    for (size_t i = 0; i < f->n_meta; i++) {
        if (f->meta[i].raw_json) {
            trib_jsontext_add_key(to, f->meta[i].key);
            trib_buf_adds(to, f->meta[i].value);
        } else {
            trib_jsontext_add_pair(to, f->meta[i].key, f->meta[i].value);
        }
    }
    trib_buf_adds(to, "}}");
}

static void write_type(const struct trib_type *t, struct trib_buf *to)
{
    switch (t->id) {
    case TRIB_T_STRUCT:
        trib_buf_adds(to, "{\"type\":\"struct\",\"fields\":[");
        for (size_t i = 0; i < t->n_fields; i++) {
            trib_buf_adds(to, i > 0 ? "," : "");
            write_field(&t->fields[i], to);
        }
        trib_buf_adds(to, "]}");
        return;
    case TRIB_T_ARRAY:
        trib_buf_adds(to, "{\"type\":\"array\",\"elementType\":");
        write_type(&t->fields[0].type, to);
        trib_jsontext_add_bool(to, "containsNull", t->fields[0].nullable);
        trib_buf_addc(to, '}');
        return;
    case TRIB_T_MAP:
        trib_buf_adds(to, "{\"type\":\"map\",\"keyType\":");
        write_type(&t->fields[0].type, to);
        trib_buf_adds(to, ",\"valueType\":");
        write_type(&t->fields[1].type, to);
        trib_jsontext_add_bool(to, "valueContainsNull", t->fields[1].nullable);
        trib_buf_addc(to, '}');
        return;
    case TRIB_T_DECIMAL: trib_buf_addf(to, "\"decimal(%u,%u)\"", t->precision, t->scale); return;
    default: break;
    }
    for (size_t i = 0; i < N_PRIMITIVES; i++) {
        if (primitives[i].id == t->id) {
            trib_buf_addf(to, "\"%s\"", primitives[i].name);
            return;
        }
    }
}

void trib_delta_schema_json(const struct trib_type *schema, struct trib_buf *to) { write_type(schema, to); }

/* --- reading ----------------------------------------------------------------------------------------------------- */

struct parser {
    struct trib_jsontext j;
    struct trib_buf text; /* the string read last */
};

static int parse_type(struct parser *p, struct trib_type *ret, struct trib_err *err);

static int unknown_type(const char *name, struct trib_err *err)
{
    return trib_err_set(err, TRIB_E_UNSUPPORTED, "the type '%s' of a column is not supported", name);
}

static int parse_decimal(const char *name, struct trib_type *ret, struct trib_err *err)
{
    unsigned precision = 10, scale = 0;
    int used = 0;
    if (strcmp(name, "decimal") != 0 &&
        (sscanf(name, "decimal(%2u,%2u)%n", &precision, &scale, &used) != 2 || name[used] != '\0')) {
        /* Some writers put blanks behind the comma. */
        if (sscanf(name, "decimal( %2u , %2u )%n", &precision, &scale, &used) != 2 || used == 0 || name[used] != '\0') {
            return unknown_type(name, err);
        }
    }
    if (precision < 1 || precision > 38 || scale > precision) {
        return unknown_type(name, err);
    }
    *ret = trib_type_decimal(precision, scale);
    return 0;
}

static int parse_primitive(struct parser *p, struct trib_type *ret, struct trib_err *err)
{
    TRIB_TRY(trib_jsontext_string(&p->j, &p->text, err));
    const char *name = p->text.p;
    for (size_t i = 0; i < N_PRIMITIVES; i++) {
        if (strcmp(primitives[i].name, name) == 0) {
            *ret = trib_type_simple(primitives[i].id);
            return 0;
        }
    }
    if (strncmp(name, "decimal", 7) == 0) {
        return parse_decimal(name, ret, err);
    }
    if (strncmp(name, "varchar(", 8) == 0 || strncmp(name, "char(", 5) == 0) {
        *ret = trib_type_simple(TRIB_T_STRING);
        return 0;
    }
    return unknown_type(name, err);
}

static int parse_bool(struct parser *p, bool *ret, struct trib_err *err)
{
    struct trib_view v;
    TRIB_TRY(trib_jsontext_skip(&p->j, &v, err));
    if (!trib_view_is(v, "true") && !trib_view_is(v, "false")) {
        return trib_err_set(err, TRIB_E_DATA, "%s: true or false expected, found %.*s", p->j.what,
                            (int)(v.n < 40 ? v.n : 40), v.p);
    }
    *ret = v.p[0] == 't';
    return 0;
}

static int parse_metadata(struct parser *p, struct trib_field *f, struct trib_err *err)
{
    if (trib_jsontext_peek(&p->j) == 'n') {
        return trib_jsontext_skip(&p->j, NULL, err);
    }
    bool first = true, more;
    TRIB_TRY(trib_jsontext_open(&p->j, '{', err));
    for (;;) {
        TRIB_TRY(trib_jsontext_next(&p->j, '{', &first, &p->text, &more, err));
        if (!more) {
            return 0;
        }
        size_t cap = f->n_meta;
        TRIB_GROW(f->meta, cap, f->n_meta + 1);
        struct trib_meta *m = &f->meta[f->n_meta];
        *m = (struct trib_meta){.key = trib_strndup(p->text.p, p->text.n), .value = trib_strdup("")};
        f->n_meta++;
        if (trib_jsontext_peek(&p->j) == '"') {
            TRIB_TRY(trib_jsontext_string(&p->j, &p->text, err));
            free(m->value);
            m->value = trib_strndup(p->text.p, p->text.n);
        } else {
            struct trib_view v;
            TRIB_TRY(trib_jsontext_skip(&p->j, &v, err));
            free(m->value);
            m->value = trib_strndup(v.p, v.n);
            m->raw_json = true;
        }
    }
}

/* f: zeroed by the caller, who also frees it on failure. */
static int parse_field(struct parser *p, struct trib_field *f, struct trib_err *err)
{
    bool first = true, more, has_type = false;
    f->nullable = true;
    TRIB_TRY(trib_jsontext_open(&p->j, '{', err));
    for (;;) {
        TRIB_TRY(trib_jsontext_next(&p->j, '{', &first, &p->text, &more, err));
        if (!more) {
            break;
        }
        if (strcmp(p->text.p, "name") == 0 && f->name == NULL) {
            TRIB_TRY(trib_jsontext_string(&p->j, &p->text, err));
            f->name = trib_strndup(p->text.p, p->text.n);
        } else if (strcmp(p->text.p, "type") == 0 && !has_type) {
            TRIB_TRY(parse_type(p, &f->type, err));
            has_type = true;
        } else if (strcmp(p->text.p, "nullable") == 0) {
            TRIB_TRY(parse_bool(p, &f->nullable, err));
        } else if (strcmp(p->text.p, "metadata") == 0 && f->n_meta == 0) {
            TRIB_TRY(parse_metadata(p, f, err));
        } else {
            TRIB_TRY(trib_jsontext_skip(&p->j, NULL, err));
        }
    }
    if (f->name == NULL || !has_type) {
        return trib_err_set(err, TRIB_E_DATA, "%s: a field without %s", p->j.what, f->name == NULL ? "name" : "type");
    }
    return 0;
}

static int parse_fields(struct parser *p, struct trib_type *t, struct trib_err *err)
{
    bool first = true, more;
    size_t cap = t->n_fields;
    TRIB_TRY(trib_jsontext_open(&p->j, '[', err));
    for (;;) {
        TRIB_TRY(trib_jsontext_next(&p->j, '[', &first, NULL, &more, err));
        if (!more) {
            return 0;
        }
        TRIB_GROW(t->fields, cap, t->n_fields + 1);
        struct trib_field *f = &t->fields[t->n_fields++];
        *f = (struct trib_field){0};
        int rc = parse_field(p, f, err);
        if (rc != 0) {
            if (f->name != NULL) {
                (void)trib_err_wrap(err, "column %.100s", f->name);
            }
            return rc;
        }
    }
}

static void add_child(struct trib_type *t, const char *name)
{
    (void)trib_type_add(t, name, trib_type_simple(TRIB_T_STRING));
}

/* The members of a complex type; which ones are there tells the kind, but "type" must say so too. */
struct complex {
    struct trib_type fields, element, key, value;
    bool has_fields, has_element, has_key, has_value, contains_null;
    char kind[16];
};

static int parse_member(struct parser *p, struct complex *c, struct trib_err *err)
{
    const char *name = p->text.p;
    if (strcmp(name, "type") == 0) {
        TRIB_TRY(trib_jsontext_string(&p->j, &p->text, err));
        (void)snprintf(c->kind, sizeof c->kind, "%s", p->text.p);
        return 0;
    }
    if (strcmp(name, "fields") == 0 && !c->has_fields) {
        c->has_fields = true;
        return parse_fields(p, &c->fields, err);
    }
    if (strcmp(name, "elementType") == 0 && !c->has_element) {
        c->has_element = true;
        return parse_type(p, &c->element, err);
    }
    if (strcmp(name, "keyType") == 0 && !c->has_key) {
        c->has_key = true;
        return parse_type(p, &c->key, err);
    }
    if (strcmp(name, "valueType") == 0 && !c->has_value) {
        c->has_value = true;
        return parse_type(p, &c->value, err);
    }
    if (strcmp(name, "containsNull") == 0 || strcmp(name, "valueContainsNull") == 0) {
        return parse_bool(p, &c->contains_null, err);
    }
    return trib_jsontext_skip(&p->j, NULL, err);
}

static void take_type(struct trib_type *to, struct trib_type *from)
{
    *to = *from;
    *from = (struct trib_type){0};
}

static int make_complex(struct parser *p, struct complex *c, struct trib_type *ret, struct trib_err *err)
{
    struct trib_type t = {0};
    if (strcmp(c->kind, "struct") == 0 && c->has_fields) {
        take_type(&t, &c->fields);
        t.id = TRIB_T_STRUCT;
    } else if (strcmp(c->kind, "array") == 0 && c->has_element) {
        t.id = TRIB_T_ARRAY;
        add_child(&t, "element");
        take_type(&t.fields[0].type, &c->element);
        t.fields[0].nullable = c->contains_null;
    } else if (strcmp(c->kind, "map") == 0 && c->has_key && c->has_value) {
        t.id = TRIB_T_MAP;
        add_child(&t, "key");
        add_child(&t, "value");
        take_type(&t.fields[0].type, &c->key);
        take_type(&t.fields[1].type, &c->value);
        t.fields[0].nullable = false;
        t.fields[1].nullable = c->contains_null;
    } else if (strcmp(c->kind, "struct") == 0 || strcmp(c->kind, "array") == 0 || strcmp(c->kind, "map") == 0) {
        return trib_err_set(err, TRIB_E_DATA, "%s: a type '%s' without its parts", p->j.what, c->kind);
    } else {
        return unknown_type(c->kind, err);
    }
    *ret = t;
    return 0;
}

static int parse_complex(struct parser *p, struct trib_type *ret, struct trib_err *err)
{
    struct complex c = {.contains_null = true};
    bool first = true, more;
    int rc = trib_jsontext_open(&p->j, '{', err);
    while (rc == 0) {
        rc = trib_jsontext_next(&p->j, '{', &first, &p->text, &more, err);
        if (rc != 0 || !more) {
            break;
        }
        rc = parse_member(p, &c, err);
    }
    if (rc == 0) {
        rc = make_complex(p, &c, ret, err);
    }
    trib_type_free(&c.fields);
    trib_type_free(&c.element);
    trib_type_free(&c.key);
    trib_type_free(&c.value);
    return rc;
}

static int parse_type(struct parser *p, struct trib_type *ret, struct trib_err *err)
{
    return trib_jsontext_peek(&p->j) == '{' ? parse_complex(p, ret, err) : parse_primitive(p, ret, err);
}

int trib_delta_schema_parse(struct trib_view json, struct trib_type *ret, struct trib_err *err)
{
    struct trib_type t = {0};
    struct parser p = {.j = {.text = json, .what = "schema"}};
    trib_buf_init(&p.text, 1 << 20);
    int rc = parse_type(&p, &t, err);
    if (rc == 0) {
        rc = trib_jsontext_end(&p.j, err);
    }
    if (rc == 0 && t.id != TRIB_T_STRUCT) {
        rc = trib_err_set(err, TRIB_E_DATA, "schema: its root must be a struct");
    }
    trib_buf_free(&p.text);
    if (rc != 0) {
        trib_type_free(&t);
        return rc;
    }
    *ret = t;
    return 0;
}
