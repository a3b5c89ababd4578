#include "pipeline/config_yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { PROBLEMS_MAX = 200, SECRET_MAX = 64 << 10, SHOWN_MAX = 60, MERGE_MAX = 1000 };

/* ---- problems ---- */

__attribute__((format(printf, 4, 0))) static void problem_addv(struct trib_problems *p, size_t line, size_t column,
                                                               const char *fmt, va_list ap)
{
    char *text = NULL;
    if (p->n == PROBLEMS_MAX) {
        p->more = true;
        return;
    }
    if (vasprintf(&text, fmt, ap) < 0) {
        return;
    }
    for (size_t i = 0; i < p->n; i++) {
        if (p->all[i].line == line && p->all[i].column == column && strcmp(p->all[i].text, text) == 0) {
            free(text);
            return;
        }
    }
    TRIB_GROW(p->all, p->cap, p->n + 1);
    p->all[p->n++] = (struct trib_problem){line, column, text};
}

void trib_problem_add(struct trib_problems *p, size_t line, size_t column, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    problem_addv(p, line, column, fmt, ap);
    va_end(ap);
}

void trib_problem_at(struct trib_problems *p, const struct trib_yaml *node, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    problem_addv(p, node->line, node->column, fmt, ap);
    va_end(ap);
}

bool trib_problems_full(const struct trib_problems *p) { return p->n == PROBLEMS_MAX; }

static int problem_cmp(const void *a, const void *b)
{
    const struct trib_problem *x = a, *y = b;
    if (x->line != y->line) {
        return x->line < y->line ? -1 : 1;
    }
    return x->column != y->column ? (x->column < y->column ? -1 : 1) : strcmp(x->text, y->text);
}

void trib_problems_sort(struct trib_problems *p)
{
    if (p->n > 1) {
        qsort(p->all, p->n, sizeof *p->all, problem_cmp);
    }
}

void trib_problems_free(struct trib_problems *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->all[i].text);
    }
    free(p->all);
    *p = (struct trib_problems){.file = p->file};
}

/* ---- secrets ---- */

/* Longest first, so that one that is part of another does not leave the rest of it in sight. Each once. */
static void secrets_add(struct trib_secrets *s, const char *value, size_t n)
{
    size_t at = 0;
    while (at < s->n && strlen(s->all[at]) > n) {
        at++;
    }
    for (size_t i = at; i < s->n && strlen(s->all[i]) == n; i++) {
        if (memcmp(s->all[i], value, n) == 0) {
            return;
        }
    }
    TRIB_GROW(s->all, s->cap, s->n + 1);
    memmove(s->all + at + 1, s->all + at, (s->n - at) * sizeof *s->all);
    s->all[at] = trib_strndup(value, n);
    s->n++;
}

void trib_secrets_free(struct trib_secrets *s)
{
    for (size_t i = 0; i < s->n; i++) {
        explicit_bzero(s->all[i], strlen(s->all[i]));
        free(s->all[i]);
    }
    free(s->all);
    *s = (struct trib_secrets){0};
}

void trib_secrets_redact(const struct trib_secrets *s, struct trib_buf *text)
{
    enum { SHORTEST = 4 }; /* a shorter value is no secret, and would make logs unreadable */
    for (size_t i = 0; i < s->n && text->n > 0; i++) {
        size_t n = strlen(s->all[i]);
        if (n < SHORTEST || strcmp(s->all[i], "true") == 0 || strcmp(s->all[i], "false") == 0 ||
            memmem(text->p, text->n, s->all[i], n) == NULL) {
            continue;
        }
        struct trib_buf to;
        trib_buf_init(&to, text->max);
        for (size_t at = 0; at < text->n;) {
            if (text->n - at >= n && memcmp(text->p + at, s->all[i], n) == 0) {
                trib_buf_adds(&to, "***");
                at += n;
            } else {
                trib_buf_addc(&to, text->p[at++]);
            }
        }
        trib_buf_free(text);
        *text = to;
    }
}

/* ---- building the tree ---- */

struct anchor {
    const char *name;
    struct trib_yaml *node; /* NULL while it is being built: an alias to it would be a cycle */
};

struct build {
    yaml_parser_t parser;
    const struct trib_config_world *world;
    struct trib_arena *arena;
    struct trib_problems *problems;
    struct trib_secrets *secrets;
    struct anchor anchors[TRIB_CONFIG_ANCHORS_MAX];
    size_t n_anchors, n_nodes, n_substitutions;
    char open, close; /* stand for the braces of ${…} while libyaml reads; see hide_braces */
    struct trib_view text;
    bool failed;
};

/* The characters that stand for { and } are U+E0xx of the private use area: 3 bytes, one column, as a brace has one. */
static void private_char(char to[3], char which)
{
    to[0] = (char)0xEE;
    to[1] = (char)0x80;
    to[2] = which;
}

static bool has_private(struct trib_view text, char which)
{
    char mark[3];
    private_char(mark, which);
    return text.n >= 3 && memmem(text.p, text.n, mark, 3) != NULL;
}

/*
 * In a flow mapping libyaml ends a plain scalar at a brace, so `{token: ${env:X}}` would not parse although it is how
 * everybody writes it. The braces of ${env:…} and ${file:…} are therefore read as two private characters that the text
 * does not use, and put back in every scalar. Columns stay right.
 */
static void hide_braces(struct build *b, struct trib_view text, struct trib_buf *to)
{
    unsigned free_chars[2], n = 0;
    for (unsigned c = 0x80; c < 0xC0 && n < 2; c++) {
        if (!has_private(text, (char)c)) {
            free_chars[n++] = c;
        }
    }
    if (n < 2) { /* a text that uses all 64 of them: taken as it is */
        trib_buf_add(to, text.p, text.n);
        return;
    }
    b->open = (char)free_chars[0];
    b->close = (char)free_chars[1];
    char mark[3];
    for (size_t i = 0; i < text.n;) {
        const char *p = text.p + i, *end;
        size_t left = text.n - i;
        bool found = left > 6 && (memcmp(p, "${env:", 6) == 0 || (left > 7 && memcmp(p, "${file:", 7) == 0));
        if (!found || (end = memchr(p, '}', left)) == NULL || memchr(p, '\n', (size_t)(end - p)) != NULL) {
            trib_buf_addc(to, *p);
            i++;
            continue;
        }
        trib_buf_addc(to, '$');
        private_char(mark, b->open);
        trib_buf_add(to, mark, 3);
        trib_buf_add(to, p + 2, (size_t)(end - p) - 2);
        private_char(mark, b->close);
        trib_buf_add(to, mark, 3);
        i += (size_t)(end - p) + 1;
    }
}

static char *restore_braces(struct build *b, const char *p, size_t n)
{
    char *s = trib_arena_alloc(b->arena, n + 1);
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (b->open != 0 && i + 2 < n && (unsigned char)p[i] == 0xEE && (unsigned char)p[i + 1] == 0x80 &&
            (p[i + 2] == b->open || p[i + 2] == b->close)) {
            s[k++] = p[i + 2] == b->open ? '{' : '}';
            i += 2;
        } else {
            s[k++] = p[i];
        }
    }
    s[k] = '\0';
    return s;
}

static void fail(struct build *b, yaml_mark_t at, const char *text)
{
    if (!b->failed) {
        trib_problem_add(b->problems, at.line + 1, at.column + 1, "%s", text);
    }
    b->failed = true;
}

/* true when the line of the mark is indented by a tab up to it: the commonest reason for libyaml's least helpful message. */
static bool tab_before(struct trib_view text, size_t line)
{
    const char *p = text.p, *end = text.p + text.n;
    for (size_t l = 0; l < line && p < end; l++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        p = nl == NULL ? end : nl + 1;
    }
    while (p < end && *p == ' ') {
        p++;
    }
    return p < end && *p == '\t';
}

static void fail_syntax(struct build *b)
{
    const yaml_parser_t *p = &b->parser;
    const char *problem = p->problem != NULL ? p->problem : "not YAML";
    if (!b->failed) {
        size_t line = p->problem_mark.line, column = p->problem_mark.column;
        if (p->error == YAML_READER_ERROR) { /* has an offset, no mark */
            line = column = 0;
            for (size_t i = 0; i < p->problem_offset && i < b->text.n; i++) {
                column = b->text.p[i] == '\n' ? 0 : column + 1;
                line += b->text.p[i] == '\n';
            }
        }
        trib_problem_add(b->problems, line + 1, column + 1, "%s%s%s%s", problem, p->context != NULL ? " " : "",
                         p->context != NULL ? p->context : "",
                         tab_before(b->text, line) ? " (the line is indented with a tab: use spaces)" : "");
    }
    b->failed = true;
}

static bool next_event(struct build *b, yaml_event_t *e)
{
    if (b->failed) {
        return false;
    }
    if (!yaml_parser_parse(&b->parser, e)) {
        fail_syntax(b);
        return false;
    }
    return true;
}

static struct trib_yaml *new_node(struct build *b, enum trib_yaml_kind kind, const yaml_event_t *e)
{
    struct trib_yaml *n = trib_arena_alloc(b->arena, sizeof *n);
    *n = (struct trib_yaml){
        .kind = kind, .line = e->start_mark.line + 1, .column = e->start_mark.column + 1, .weight = 1, .height = 1};
    if (++b->n_nodes > TRIB_CONFIG_NODES_MAX) {
        fail(b, e->start_mark, "the file has too many nodes");
    }
    return n;
}

static size_t anchor_begin(struct build *b, const yaml_char_t *name, const yaml_event_t *e)
{
    if (name == NULL) {
        return SIZE_MAX;
    }
    if (b->n_anchors == TRIB_CONFIG_ANCHORS_MAX) {
        fail(b, e->start_mark, "too many anchors");
        return SIZE_MAX;
    }
    b->anchors[b->n_anchors].name = trib_arena_strndup(b->arena, (const char *)name, strlen((const char *)name));
    b->anchors[b->n_anchors].node = NULL;
    return b->n_anchors++;
}

static void anchor_end(struct build *b, size_t anchor, struct trib_yaml *node)
{
    if (anchor != SIZE_MAX) {
        b->anchors[anchor].node = node;
    }
}

static struct trib_yaml *resolve(struct build *b, const yaml_event_t *e)
{
    const char *name = (const char *)e->data.alias.anchor;
    for (size_t i = b->n_anchors; i-- > 0;) {
        if (strcmp(b->anchors[i].name, name) == 0) {
            if (b->anchors[i].node == NULL) {
                fail(b, e->start_mark, "an alias inside its own anchor");
            }
            return b->anchors[i].node;
        }
    }
    fail(b, e->start_mark, "an alias without its anchor");
    return NULL;
}

static bool core_tag(const yaml_char_t *tag)
{
    static const char *const known[] = {"str", "int", "float", "bool", "null", "map", "seq", "merge"};
    static const char prefix[] = "tag:yaml.org,2002:";
    if (tag == NULL || strcmp((const char *)tag, "!") == 0) {
        return true;
    }
    if (strncmp((const char *)tag, prefix, sizeof prefix - 1) != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp((const char *)tag + sizeof prefix - 1, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- substitution ---- */

static bool substitute_one(struct build *b, const struct trib_yaml *at, const char *kind, const char *name,
                           struct trib_buf *to)
{
    size_t before = to->n;
    if (++b->n_substitutions > TRIB_CONFIG_SECRETS_MAX) {
        trib_problem_at(b->problems, at, "more than %d substitutions in one file", TRIB_CONFIG_SECRETS_MAX);
        return false;
    }
    if (strcmp(kind, "env") == 0) {
        const char *value = b->world->variable(b->world->ctx, name);
        if (value == NULL) {
            trib_problem_at(b->problems, at, "the environment variable `%s` is not set", name);
            return false;
        }
        trib_buf_adds(to, value);
    } else {
        struct trib_err err = {0};
        char *path = name[0] == '/' ? trib_strdup(name) : trib_asprintf("%s/%s", b->world->folder, name);
        int rc = b->world->read(b->world->ctx, path, to, &err);
        if (rc != 0) {
            trib_problem_at(b->problems, at, "${file:%s}: %s", name, err.msg);
        } else if (to->n > before && memchr(to->p + before, '\0', to->n - before) != NULL) {
            trib_problem_at(b->problems, at, "${file:%s}: the file is not text", name);
            rc = TRIB_E_CONFIG;
        }
        free(path);
        if (rc != 0) {
            return false;
        }
        while (to->n > before && (to->p[to->n - 1] == '\n' || to->p[to->n - 1] == '\r')) {
            to->p[--to->n] = '\0'; /* files end with a newline, secrets do not */
        }
    }
    secrets_add(b->secrets, to->p == NULL ? "" : to->p + before, to->n - before);
    return true;
}

/* "$${" is a literal "${". Only ${env:…} and ${file:…} are substitutions; another word there is a mistake worth telling. */
static void substitute(struct build *b, struct trib_yaml *node)
{
    if (strstr(node->text, "${") == NULL) {
        return;
    }
    struct trib_buf to;
    trib_buf_init(&to, SECRET_MAX);
    for (const char *p = node->text; *p != '\0';) {
        if (strncmp(p, "$${", 3) == 0) {
            trib_buf_adds(&to, "${");
            p += 3;
            continue;
        }
        size_t word =
            strncmp(p, "${", 2) == 0 ? strspn(p + 2, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") : 0;
        if (word == 0 || p[2 + word] != ':') {
            trib_buf_addc(&to, *p++);
            continue;
        }
        char *kind = trib_strndup(p + 2, word);
        const char *name_start = p + 3 + word, *end = strchr(name_start, '}');
        bool known = strcmp(kind, "env") == 0 || strcmp(kind, "file") == 0;
        if (!known || end == NULL || end == name_start) {
            trib_problem_at(
                b->problems, node,
                !known
                    ? "`${%s:` is no substitution: there are ${env:NAME} and ${file:/path}; a literal `${` is written `$${`"
                    : "`${%s:` needs a name and a closing brace",
                kind);
            free(kind);
            node->broken = true;
            break;
        }
        char *name = trib_strndup(name_start, (size_t)(end - name_start));
        bool good = substitute_one(b, node, kind, name, &to);
        free(name);
        free(kind);
        node->secret = true;
        if (!good) {
            node->broken = true;
            break;
        }
        p = end + 1;
    }
    if (to.overflow) {
        trib_problem_at(b->problems, node, "a substituted value is longer than %d bytes", SECRET_MAX);
    }
    node->text = trib_arena_strndup(b->arena, to.p == NULL ? "" : to.p, to.n);
    trib_buf_free(&to);
}

/* ---- nodes ---- */

static struct trib_yaml *build_node(struct build *b, yaml_event_t *e, size_t depth, bool is_key);

static struct trib_yaml *build_scalar(struct build *b, const yaml_event_t *e, bool is_key)
{
    const char *value = (const char *)e->data.scalar.value;
    struct trib_yaml *n = new_node(b, TRIB_YAML_SCALAR, e);
    if (memchr(value, '\0', e->data.scalar.length) != NULL) {
        fail(b, e->start_mark, "a NUL character in a value");
    }
    if (!core_tag(e->data.scalar.tag)) {
        fail(b, e->start_mark, "a tag that is not known here");
    }
    n->text = restore_braces(b, value, strlen(value));
    n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
               (e->data.scalar.tag == NULL || strcmp((char *)e->data.scalar.tag, YAML_STR_TAG) != 0);
    if (!is_key) {
        substitute(b, n);
    }
    anchor_end(b, anchor_begin(b, e->data.scalar.anchor, e), n);
    return n;
}

static void grow_with(struct build *b, struct trib_yaml *to, const struct trib_yaml *child, const yaml_event_t *e)
{
    to->weight += child->weight;
    if (child->height + 1 > to->height) {
        to->height = child->height + 1;
    }
    if (to->weight > TRIB_CONFIG_NODES_MAX) {
        fail(b, e->start_mark, "aliases expand to too many nodes");
    }
    if (to->height > TRIB_CONFIG_DEPTH_MAX) {
        fail(b, e->start_mark, "nested too deeply");
    }
}

static struct trib_yaml **to_arena(struct trib_arena *arena, struct trib_yaml **from, size_t n)
{
    struct trib_yaml **to = trib_arena_alloc(arena, (n + 1) * sizeof(struct trib_yaml *));
    if (n > 0) {
        memcpy(to, from, n * sizeof(struct trib_yaml *));
    }
    return to;
}

static struct trib_yaml *build_list(struct build *b, yaml_event_t *start, size_t depth)
{
    struct trib_yaml *list = new_node(b, TRIB_YAML_LIST, start), **items = NULL;
    size_t cap = 0;
    if (!core_tag(start->data.sequence_start.tag)) {
        fail(b, start->start_mark, "a tag that is not known here");
    }
    size_t anchor = anchor_begin(b, start->data.sequence_start.anchor, start);
    yaml_event_t e;
    while (next_event(b, &e)) {
        if (e.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&e);
            break;
        }
        struct trib_yaml *item = build_node(b, &e, depth + 1, false);
        if (item != NULL) {
            grow_with(b, list, item, &e);
            TRIB_GROW(items, cap, list->n + 1);
            items[list->n++] = item;
        }
        yaml_event_delete(&e);
    }
    list->values = to_arena(b->arena, items, list->n);
    free(items);
    anchor_end(b, anchor, list);
    return list;
}

struct pairs {
    struct trib_yaml **keys, **values;
    size_t n, cap_keys, cap_values;
};

static void pairs_add(struct pairs *p, struct trib_yaml *key, struct trib_yaml *value)
{
    TRIB_GROW(p->keys, p->cap_keys, p->n + 1);
    TRIB_GROW(p->values, p->cap_values, p->n + 1);
    p->keys[p->n] = key;
    p->values[p->n++] = value;
}

static int pair_cmp(const void *a, const void *b)
{
    const struct trib_yaml *x = *(struct trib_yaml *const *)a, *y = *(struct trib_yaml *const *)b;
    int c = strcmp(x->text, y->text);
    if (c != 0) {
        return c;
    }
    return x->line != y->line ? (x->line < y->line ? -1 : 1) : (x->column > y->column) - (x->column < y->column);
}

/* Reports keys that stand twice. (Which of the two is used does not matter then.) */
static void find_duplicates(struct build *b, const struct pairs *p)
{
    if (p->n < 2) {
        return;
    }
    struct trib_yaml **sorted = trib_malloc(p->n * sizeof *sorted);
    memcpy(sorted, p->keys, p->n * sizeof *sorted);
    qsort(sorted, p->n, sizeof *sorted, pair_cmp);
    for (size_t i = 1; i < p->n; i++) {
        if (strcmp(sorted[i - 1]->text, sorted[i]->text) == 0) {
            trib_problem_at(b->problems, sorted[i], "the key %s stands twice here, first in line %zu",
                            trib_yaml_show(sorted[i], b->arena), sorted[i - 1]->line);
        }
    }
    free(sorted);
}

static bool has_key(const struct pairs *p, const char *key)
{
    for (size_t i = 0; i < p->n; i++) {
        if (strcmp(p->keys[i]->text, key) == 0) {
            return true;
        }
    }
    return false;
}

/* <<: adds the pairs of a map that are not there yet. */
static void merge_in(struct build *b, struct pairs *p, struct trib_yaml *map, struct trib_yaml *from,
                     const yaml_event_t *e)
{
    if (from->kind == TRIB_YAML_LIST) {
        for (size_t i = 0; i < from->n && !b->failed; i++) {
            if (from->values[i]->kind == TRIB_YAML_MAP) {
                merge_in(b, p, map, from->values[i], e);
            } else {
                fail(b, e->start_mark, "`<<` takes a mapping or a list of mappings");
            }
        }
        return;
    }
    if (from->kind != TRIB_YAML_MAP) {
        fail(b, e->start_mark, "`<<` takes a mapping or a list of mappings");
        return;
    }
    if (p->n + from->n > MERGE_MAX) {
        fail(b, e->start_mark, "too many keys to merge");
        return;
    }
    for (size_t i = 0; i < from->n && !b->failed; i++) {
        if (++b->n_nodes > TRIB_CONFIG_NODES_MAX) {
            fail(b, e->start_mark, "the file has too many nodes");
        } else if (!has_key(p, from->keys[i]->text)) {
            grow_with(b, map, from->values[i], e);
            pairs_add(p, from->keys[i], from->values[i]);
        }
    }
}

static struct trib_yaml *build_value(struct build *b, size_t depth, bool is_key, yaml_event_t *ret_event)
{
    if (!next_event(b, ret_event)) {
        return NULL;
    }
    return build_node(b, ret_event, depth, is_key);
}

static struct trib_yaml *build_map(struct build *b, yaml_event_t *start, size_t depth)
{
    struct trib_yaml *map = new_node(b, TRIB_YAML_MAP, start);
    struct pairs own = {0};
    struct trib_yaml *merges[16];
    size_t n_merges = 0;
    if (!core_tag(start->data.mapping_start.tag)) {
        fail(b, start->start_mark, "a tag that is not known here");
    }
    size_t anchor = anchor_begin(b, start->data.mapping_start.anchor, start);
    yaml_event_t e, ve;
    while (next_event(b, &e)) {
        if (e.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&e);
            break;
        }
        struct trib_yaml *key = build_node(b, &e, depth + 1, true);
        if (key != NULL && key->kind != TRIB_YAML_SCALAR) {
            fail(b, e.start_mark, "a key must be a word, not a list or a mapping");
        }
        memset(&ve, 0, sizeof ve);
        struct trib_yaml *value = b->failed ? NULL : build_value(b, depth + 1, false, &ve);
        if (value != NULL && key != NULL && !b->failed) {
            if (key->plain && strcmp(key->text, "<<") == 0 && n_merges < 16) {
                merges[n_merges++] = value;
            } else {
                grow_with(b, map, value, &ve);
                pairs_add(&own, key, value);
            }
        }
        yaml_event_delete(&ve);
        yaml_event_delete(&e);
    }
    find_duplicates(b, &own);
    for (size_t i = 0; i < n_merges && !b->failed; i++) {
        merge_in(b, &own, map, merges[i], start);
    }
    map->n = own.n;
    map->keys = to_arena(b->arena, own.keys, own.n);
    map->values = to_arena(b->arena, own.values, own.n);
    free(own.keys);
    free(own.values);
    anchor_end(b, anchor, map);
    return map;
}

/* The caller deletes e. */
static struct trib_yaml *build_node(struct build *b, yaml_event_t *e, size_t depth, bool is_key)
{
    if (depth > TRIB_CONFIG_DEPTH_MAX) {
        fail(b, e->start_mark, "nested too deeply");
        return NULL;
    }
    switch (e->type) {
    case YAML_SCALAR_EVENT: return build_scalar(b, e, is_key);
    case YAML_ALIAS_EVENT: return resolve(b, e);
    case YAML_SEQUENCE_START_EVENT: return build_list(b, e, depth);
    case YAML_MAPPING_START_EVENT: return build_map(b, e, depth);
    default: fail(b, e->start_mark, "a value is missing"); return NULL;
    }
}

static struct trib_yaml *build_document(struct build *b)
{
    struct trib_yaml *root = NULL;
    size_t documents = 0;
    yaml_event_t e;
    while (next_event(b, &e)) {
        bool end = e.type == YAML_STREAM_END_EVENT;
        if (e.type == YAML_DOCUMENT_START_EVENT && ++documents > 1) {
            fail(b, e.start_mark, "a second document in the file: there must be one");
        } else if (e.type == YAML_SCALAR_EVENT || e.type == YAML_SEQUENCE_START_EVENT ||
                   e.type == YAML_MAPPING_START_EVENT || e.type == YAML_ALIAS_EVENT) {
            root = build_node(b, &e, 0, false);
        }
        yaml_event_delete(&e);
        if (end) {
            break;
        }
    }
    return b->failed ? NULL : root;
}

void trib_yaml_parse(struct trib_view text, const struct trib_config_world *world, struct trib_arena *arena,
                     struct trib_problems *problems, struct trib_secrets *secrets, struct trib_yaml **ret_root)
{
    *ret_root = NULL;
    if (text.n > TRIB_CONFIG_FILE_MAX) {
        trib_problem_add(problems, 1, 1, "the file is larger than %d bytes", TRIB_CONFIG_FILE_MAX);
        return;
    }
    if (text.n >= 3 && memcmp(text.p, "\xEF\xBB\xBF", 3) == 0) {
        text.p += 3;
        text.n -= 3;
    }
    struct build *b = trib_calloc(1, sizeof *b);
    struct trib_buf hidden;
    trib_buf_init(&hidden, (size_t)4 * TRIB_CONFIG_FILE_MAX);
    b->world = world;
    b->arena = arena;
    b->problems = problems;
    b->secrets = secrets;
    hide_braces(b, text, &hidden);
    b->text = trib_buf_view(&hidden);
    if (yaml_parser_initialize(&b->parser)) {
        yaml_parser_set_encoding(&b->parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&b->parser, (const unsigned char *)(hidden.p != NULL ? hidden.p : ""), hidden.n);
        *ret_root = build_document(b);
        yaml_parser_delete(&b->parser);
    } else {
        trib_problem_add(problems, 1, 1, "the YAML parser cannot be started");
    }
    trib_buf_free(&hidden);
    free(b);
}

/* ---- reading the tree ---- */

struct trib_yaml *trib_yaml_get(const struct trib_yaml *map, const char *key)
{
    for (size_t i = 0; map != NULL && map->kind == TRIB_YAML_MAP && i < map->n; i++) {
        if (strcmp(map->keys[i]->text, key) == 0) {
            return map->values[i];
        }
    }
    return NULL;
}

bool trib_yaml_null(const struct trib_yaml *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    if (node == NULL) {
        return true;
    }
    for (size_t i = 0;
         node->kind == TRIB_YAML_SCALAR && node->plain && !node->secret && i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(node->text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

const char *trib_yaml_show(const struct trib_yaml *node, struct trib_arena *arena)
{
    if (node->kind != TRIB_YAML_SCALAR) {
        return node->kind == TRIB_YAML_LIST ? "a list" : "a mapping";
    }
    if (node->secret) {
        return "`***`";
    }
    size_t n = strnlen(node->text, SHOWN_MAX);
    while (n > 0 && node->text[n] != '\0' && ((unsigned char)node->text[n] & 0xC0) == 0x80) {
        n--;
    }
    bool cut = node->text[n] != '\0';
    char *s = trib_arena_alloc(arena, n + 8), *p = s;
    *p++ = '`';
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)node->text[i];
        *p++ = c < 0x20 || c == 0x7F ? ' ' : (char)c;
    }
    (void)snprintf(p, 7, "%s`", cut ? "…" : "");
    return s;
}

struct trib_yaml *trib_yaml_merge(struct trib_arena *arena, struct trib_yaml *base, struct trib_yaml *over,
                                  size_t *budget)
{
    if (base == NULL || over == NULL) {
        return base == NULL ? over : base;
    }
    if (base->kind != TRIB_YAML_MAP || over->kind != TRIB_YAML_MAP) {
        return over;
    }
    size_t cost = base->n * over->n + base->n + over->n; /* both are far below 2^20 */
    if (*budget < cost) {
        return NULL;
    }
    *budget -= cost;
    struct trib_yaml *m = trib_arena_alloc(arena, sizeof *m);
    *m = *over;
    m->keys = trib_arena_alloc(arena, (base->n + over->n + 1) * sizeof *m->keys);
    m->values = trib_arena_alloc(arena, (base->n + over->n + 1) * sizeof *m->values);
    m->n = 0;
    for (size_t i = 0; i < over->n; i++) {
        struct trib_yaml *value =
            trib_yaml_merge(arena, trib_yaml_get(base, over->keys[i]->text), over->values[i], budget);
        if (value == NULL) {
            return NULL;
        }
        m->keys[m->n] = over->keys[i];
        m->values[m->n++] = value;
    }
    for (size_t i = 0; i < base->n; i++) {
        if (trib_yaml_get(over, base->keys[i]->text) == NULL) {
            m->keys[m->n] = base->keys[i];
            m->values[m->n++] = base->values[i];
        }
    }
    return m;
}
