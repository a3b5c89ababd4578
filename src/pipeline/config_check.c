/*
 * The tree against the table of keys: unknown keys, forms, values, what is required, what is not in this version. All problems are
 * collected. Knows no key by name but `source.type`, which decides what else a source has.
 */
#include <stdlib.h>
#include <string.h>

#include "base/near.h"
#include "pipeline/config_own.h"

enum { MERGE_BUDGET = 20000000, NAMES_MAX = 64 };

struct check {
    struct trib_cfg_work *w;
    unsigned quiet;          /* > 0: below something that was refused as not there yet */
    const char *source_type; /* in a source: its known type */
};

static void check_map(struct check *c, const char *path, const struct trib_yaml *map);

const char *trib_config_label(const char *path)
{
    static const char *const cut[] = {"tables.", "defaults."};
    for (size_t i = 0; i < 2; i++) {
        if (strncmp(path, cut[i], strlen(cut[i])) == 0) {
            return path + strlen(cut[i]);
        }
    }
    return path;
}

static const char *block_label(const char *path)
{
    return path[0] == '\0'                                                ? "at the top of the file"
           : strcmp(path, "tables") == 0 || strcmp(path, "defaults") == 0 ? "in a table"
                                                                          : NULL;
}

struct names {
    const char *all[NAMES_MAX];
    const struct trib_key *keys[NAMES_MAX];
    size_t n;
};

static void collect(void *ctx, const struct trib_key *key, const char *name)
{
    struct names *names = ctx;
    if (names->n < NAMES_MAX) {
        names->keys[names->n] = key;
        names->all[names->n++] = name;
    }
}

/* Another block that has a key of this name, for a key that was indented wrongly; NULL. */
static const struct trib_key *elsewhere(const char *name)
{
    size_t n;
    const struct trib_key *all = trib_keys_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (strchr(all[i].path, '.') != NULL && strcmp(trib_key_name(&all[i]), name) == 0) {
            return &all[i];
        }
    }
    return NULL;
}

static void unknown_key(struct check *c, const char *path, const struct trib_yaml *key, const struct names *known)
{
    if (trib_problems_full(c->w->problems)) {
        c->w->problems->more = true;
        return;
    }
    const char *where = block_label(path), *shown = trib_yaml_show(key, c->w->arena);
    struct trib_buf b;
    trib_buf_init(&b, 4096);
    if (where != NULL) {
        trib_buf_addf(&b, "unknown key %s %s", shown, where);
    } else {
        trib_buf_addf(&b, "unknown key %s in `%s`", shown, trib_config_label(path));
    }
    const char *near = trib_nearest(key->text, known->all, known->n);
    const struct trib_key *other = elsewhere(key->text);
    if (strncmp(key->text, "${", 2) == 0) {
        trib_buf_adds(&b, "; substitutions are made in values only, never in keys");
    } else if (near != NULL && (other == NULL || trib_edit_distance(key->text, near) <= 1)) {
        trib_buf_addf(&b, "; did you mean `%s`?", near);
    } else if (other != NULL) {
        const char *under = trib_config_label(other->path);
        const char *dot = strrchr(under, '.');
        trib_buf_addf(&b, "; it belongs under `%.*s`", dot != NULL ? (int)(dot - under) : 6,
                      dot != NULL ? under : "tables");
    } else {
        trib_buf_adds(&b, "; there are");
        for (size_t i = 0; i < known->n; i++) {
            trib_buf_addf(&b, "%s %s", i > 0 ? "," : "", known->all[i]);
        }
    }
    trib_problem_at(c->w->problems, key, "%s", b.p);
    trib_buf_free(&b);
}

/* The value asks for nothing that is missing: nothing, the default, or an empty block. */
static bool asks_nothing(const struct trib_key *key, const struct trib_yaml *node)
{
    if (trib_yaml_null(node)) {
        return true;
    }
    if (node->kind == TRIB_YAML_SCALAR) {
        return (key->initial != NULL && trib_value_same(key, key->initial, node->text)) ||
               (key->form == TRIB_KEY_MAP && trib_key_choice(key->choices, node->text) >= 0);
    }
    for (size_t i = 0; i < node->n; i++) {
        if (node->kind == TRIB_YAML_LIST || !trib_yaml_null(node->values[i])) {
            return false;
        }
    }
    return true;
}

static void check_choice(struct check *c, const char *path, const struct trib_key *key, const struct trib_yaml *node)
{
    if (trib_key_choice(key->choices, node->text) >= 0) {
        return;
    }
    if (trib_key_choice(key->choices_later, node->text) >= 0) {
        trib_problem_at(c->w->problems, node, "`%s: %s` is not in this version of Tributary, there is %s",
                        trib_config_label(path), node->text, key->choices);
        return;
    }
    const char *names[16];
    size_t n = 0;
    char *copy = trib_strdup(key->choices), *save = NULL;
    for (char *t = strtok_r(copy, "|", &save); t != NULL && n < 16; t = strtok_r(NULL, "|", &save)) {
        names[n++] = t;
    }
    const char *near = node->secret ? NULL : trib_nearest(node->text, names, n);
    if (near != NULL) {
        trib_problem_at(c->w->problems, node, "`%s`: %s is none of %s; did you mean `%s`?", trib_config_label(path),
                        trib_yaml_show(node, c->w->arena), key->choices, near);
    } else {
        trib_problem_at(c->w->problems, node, "`%s`: %s is none of %s", trib_config_label(path),
                        trib_yaml_show(node, c->w->arena), key->choices);
    }
    free(copy);
}

static void check_path(struct check *c, const char *path, const struct trib_yaml *node)
{
    const char *scheme = strstr(node->text, "://");
    if (scheme == NULL || strncmp(node->text, "file://", 7) == 0) {
        return;
    }
    bool lake_or_source = strcmp(path, "lake") == 0 || strstr(path, ".source.path") != NULL;
    if (trib_config_is_s3(node->text)) {
        size_t n = strcspn(node->text + 5, "/");
        if (!lake_or_source) {
            trib_problem_at(c->w->problems, node, "`%s`: this is a local path; only the lake and sources may be on S3",
                            trib_config_label(path));
        } else if (n < 3 || n > 63 || strspn(node->text + 5, "abcdefghijklmnopqrstuvwxyz0123456789.-") < n) {
            trib_problem_at(c->w->problems, node, "`%s`: %s names no bucket: write s3://bucket or s3://bucket/prefix",
                            trib_config_label(path), trib_yaml_show(node, c->w->arena));
        }
    } else if (strspn(node->text, "abcdefghijklmnopqrstuvwxyz0123456789+") == (size_t)(scheme - node->text)) {
        trib_problem_at(c->w->problems, node, "`%s`: %s: only local folders and s3:// can be used",
                        trib_config_label(path), trib_yaml_show(node, c->w->arena));
    }
}

static void check_scalar(struct check *c, const char *path, const struct trib_key *key, const struct trib_yaml *node)
{
    if (node->kind != TRIB_YAML_SCALAR) {
        trib_problem_at(c->w->problems, node, "`%s` takes a single value, here is %s", trib_config_label(path),
                        trib_yaml_show(node, c->w->arena));
        return;
    }
    if (key->form == TRIB_KEY_CHOICE) {
        check_choice(c, path, key, node);
        return;
    }
    char *wrong = trib_value_check(key, node->text, trib_yaml_show(node, c->w->arena));
    if (wrong != NULL) {
        trib_problem_at(c->w->problems, node, "`%s`: %s", trib_config_label(path), wrong);
    } else if (key->form == TRIB_KEY_PATH) {
        check_path(c, path, node);
    }
    free(wrong);
}

/* DICT and TEXTS: each value is a text. */
static void check_texts(struct check *c, const char *path, const struct trib_key *key, const struct trib_yaml *node)
{
    enum trib_yaml_kind want = key->form == TRIB_KEY_DICT ? TRIB_YAML_MAP : TRIB_YAML_LIST;
    if (node->kind != want) {
        trib_problem_at(c->w->problems, node,
                        want == TRIB_YAML_MAP ? "`%s` takes a mapping of names to texts, here is %s"
                                              : "`%s` takes a list of texts, here is %s",
                        trib_config_label(path), trib_yaml_show(node, c->w->arena));
        return;
    }
    for (size_t i = 0; i < node->n; i++) {
        const struct trib_yaml *v = node->values[i];
        if (v->kind != TRIB_YAML_SCALAR || v->text[0] == '\0') {
            trib_problem_at(c->w->problems, v, "`%s`: a text is needed here, not %s", trib_config_label(path),
                            v->kind == TRIB_YAML_SCALAR ? "nothing" : trib_yaml_show(v, c->w->arena));
        }
    }
}

static void check_blocks(struct check *c, const char *path, const struct trib_yaml *list)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->values[i]->kind == TRIB_YAML_MAP) {
            check_map(c, path, list->values[i]);
        } else {
            trib_problem_at(c->w->problems, list->values[i], "each entry of `%s` is a block of keys, here is %s",
                            trib_config_label(path),
                            trib_yaml_null(list->values[i]) ? "nothing" : trib_yaml_show(list->values[i], c->w->arena));
        }
    }
}

static void check_block_key(struct check *c, const char *path, const struct trib_key *key, const struct trib_yaml *node)
{
    if (node->kind == TRIB_YAML_MAP && key->form == TRIB_KEY_MAP) {
        check_map(c, path, node);
    } else if (node->kind == TRIB_YAML_LIST &&
               (key->form == TRIB_KEY_BLOCKS || (key->flags & TRIB_KEY_OR_BLOCKS) != 0)) {
        check_blocks(c, path, node);
    } else if (node->kind == TRIB_YAML_SCALAR && (key->flags & TRIB_KEY_SHORT) != 0) {
        char *child = trib_asprintf("%s.name", path);
        const struct trib_key *k = trib_key_find(child);
        if (k != NULL) {
            check_scalar(c, path, k, node);
        }
        free(child);
    } else if (node->kind == TRIB_YAML_SCALAR && trib_key_choice(key->choices, node->text) >= 0) {
        return;
    } else if (key->form == TRIB_KEY_BLOCKS) {
        trib_problem_at(c->w->problems, node, "`%s` takes a list: each entry begins with `- `; here is %s",
                        trib_config_label(path), trib_yaml_show(node, c->w->arena));
    } else {
        trib_problem_at(c->w->problems, node, "`%s` takes a block of keys%s%s, here is %s", trib_config_label(path),
                        key->example != NULL ? ", such as " : "", key->example != NULL ? key->example : "",
                        trib_yaml_show(node, c->w->arena));
    }
}

static void check_key(struct check *c, const char *path, const struct trib_key *key, const struct trib_yaml *name,
                      const struct trib_yaml *node)
{
    if (trib_yaml_null(node) || node->broken) {
        return;
    }
    bool refused = key->later != NULL && c->quiet == 0 && !asks_nothing(key, node);
    if (key->only != NULL && c->source_type != NULL && trib_key_choice(key->only, c->source_type) < 0) {
        return; /* check_source said it */
    }
    if (refused) {
        trib_problem_at(c->w->problems, name,
                        "`%s` is not in this version of Tributary, it comes with %s: leave it out",
                        trib_config_label(path), key->later);
    }
    c->quiet += refused;
    if (key->form == TRIB_KEY_MAP || key->form == TRIB_KEY_BLOCKS) {
        check_block_key(c, path, key, node);
    } else if (key->form == TRIB_KEY_DICT || key->form == TRIB_KEY_TEXTS) {
        check_texts(c, path, key, node);
    } else {
        check_scalar(c, path, key, node);
    }
    c->quiet -= refused;
}

/* Keys that another type of source has. Returns true when the type itself is not there yet: then its keys are not refused one by one. */
static bool check_source(struct check *c, const struct trib_yaml *map, const struct names *known)
{
    const struct trib_yaml *type = trib_yaml_get(map, "type");
    if (type == NULL || type->kind != TRIB_YAML_SCALAR) {
        return false;
    }
    bool later = false;
    for (size_t i = 0; i < known->n; i++) {
        if (strcmp(known->all[i], "type") == 0) {
            later = trib_key_choice(known->keys[i]->choices_later, type->text) >= 0;
            if (!later && trib_key_choice(known->keys[i]->choices, type->text) < 0) {
                return false; /* a wrong word is reported as such */
            }
        }
    }
    c->source_type = type->text;
    for (size_t i = 0; i < map->n; i++) {
        for (size_t k = 0; k < known->n; k++) {
            const struct trib_key *key = known->keys[k];
            if (strcmp(known->all[k], map->keys[i]->text) == 0 && key->only != NULL &&
                trib_key_choice(key->only, type->text) < 0 && !trib_yaml_null(map->values[i])) {
                trib_problem_at(c->w->problems, map->keys[i],
                                "`source.%s` belongs to sources of type %s, this one is %s", known->all[k], key->only,
                                trib_yaml_show(type, c->w->arena));
            }
        }
    }
    return later;
}

static void check_required(struct check *c, const char *path, const struct trib_yaml *map, const struct names *known)
{
    bool partial = strncmp(path, "defaults", 8) == 0; /* there nothing is required */
    for (size_t i = 0; i < known->n && !partial; i++) {
        if ((known->keys[i]->flags & TRIB_KEY_REQUIRED) != 0 && trib_yaml_null(trib_yaml_get(map, known->all[i]))) {
            const char *where = block_label(path);
            trib_problem_at(c->w->problems, map,
                            where != NULL ? "the key `%s` is missing %s%s" : "the key `%s` is missing in `%s%s`",
                            known->all[i], where != NULL ? where : trib_config_label(path), "");
        }
    }
}

static void check_map(struct check *c, const char *path, const struct trib_yaml *map)
{
    struct names known = {.n = 0};
    trib_key_children(path, collect, &known);
    bool source = strcmp(path, "tables.source") == 0 || strcmp(path, "defaults.source") == 0;
    bool quiet = source && check_source(c, map, &known);
    c->quiet += quiet;
    for (size_t i = 0; i < map->n; i++) {
        const struct trib_yaml *name = map->keys[i];
        size_t k = 0;
        while (k < known.n && strcmp(known.all[k], name->text) != 0) {
            k++;
        }
        if (k == known.n) {
            unknown_key(c, path, name, &known);
            continue;
        }
        char *child = path[0] == '\0' ? trib_strdup(name->text) : trib_asprintf("%s.%s", path, name->text);
        if (strcmp(child, "defaults.name") == 0) {
            trib_problem_at(c->w->problems, name, "`name` cannot be a default");
        } else {
            check_key(c, child, known.keys[k], name, map->values[i]);
        }
        free(child);
    }
    c->quiet -= quiet;
    c->source_type = source ? NULL : c->source_type;
    check_required(c, path, map, &known);
}

/* A list of Silver blocks takes defaults.silver into each of them; a source of another type takes none of the default's keys. */
static struct trib_yaml *merge_table(struct trib_cfg_work *w, struct trib_yaml *defaults, struct trib_yaml *table,
                                     size_t *budget)
{
    struct trib_yaml *m = trib_yaml_merge(w->arena, defaults, table, budget);
    struct trib_yaml *base = trib_yaml_get(defaults, "silver"), *over = trib_yaml_get(table, "silver");
    for (size_t i = 0; m != NULL && m != table && i < m->n; i++) {
        if (strcmp(m->keys[i]->text, "silver") == 0 && base != NULL && over != NULL && base->kind == TRIB_YAML_MAP &&
            over->kind == TRIB_YAML_LIST) {
            struct trib_yaml *list = trib_arena_alloc(w->arena, sizeof *list);
            *list = *over;
            list->values = trib_arena_alloc(w->arena, (over->n + 1) * sizeof *list->values);
            for (size_t k = 0; k < over->n; k++) {
                list->values[k] = trib_yaml_merge(w->arena, base, over->values[k], budget);
                if (list->values[k] == NULL) {
                    return NULL;
                }
            }
            m->values[i] = list;
        }
        if (strcmp(m->keys[i]->text, "source") == 0) {
            const struct trib_yaml *a = trib_yaml_get(trib_yaml_get(defaults, "source"), "type"),
                                   *b = trib_yaml_get(trib_yaml_get(table, "source"), "type");
            if (a != NULL && b != NULL && a->kind == TRIB_YAML_SCALAR && b->kind == TRIB_YAML_SCALAR &&
                strcmp(a->text, b->text) != 0) {
                m->values[i] = trib_yaml_get(table, "source");
            }
        }
    }
    return m;
}

static void check_tables(struct check *c, struct trib_yaml *list)
{
    struct trib_cfg_work *w = c->w;
    struct trib_cfg_own *own = w->config->own;
    struct trib_yaml *defaults = trib_yaml_get(own->root, "defaults");
    size_t budget = MERGE_BUDGET;
    if (defaults != NULL && defaults->kind != TRIB_YAML_MAP) {
        defaults = NULL;
    }
    own->n_tables = 0; /* the key may stand there twice, which is a problem of its own */
    own->tables = trib_arena_alloc(w->arena, (list->n + 1) * sizeof *own->tables);
    for (size_t i = 0; i < list->n; i++) {
        struct trib_yaml *table = list->values[i];
        if (table->kind != TRIB_YAML_MAP) {
            check_blocks(c, "tables", &(struct trib_yaml){.kind = TRIB_YAML_LIST, .n = 1, .values = &table});
            continue;
        }
        struct trib_yaml *merged = merge_table(w, defaults, table, &budget);
        if (merged == NULL) {
            trib_problem_at(w->problems, list, "`defaults` and `tables` are too large together");
            return;
        }
        check_map(c, "tables", merged);
        own->tables[own->n_tables++] = merged;
    }
    if (list->n == 0) {
        trib_problem_at(w->problems, list, "`tables` is empty: at least one table is needed");
    }
}

void trib_config_check(struct trib_cfg_work *w)
{
    struct check c = {.w = w};
    struct trib_yaml *root = w->config->own->root;
    if (root == NULL || trib_yaml_null(root)) {
        if (w->problems->n == 0) {
            trib_problem_add(w->problems, 1, 1, "the file is empty: `pipeline`, `lake` and `tables` are needed");
        }
        return;
    }
    if (root->kind != TRIB_YAML_MAP) {
        trib_problem_at(w->problems, root, "the file must be a block of keys: `pipeline`, `lake`, `tables`, …");
        return;
    }
    /* `tables` with `defaults` in them, then the rest. */
    struct trib_yaml rest = *root;
    rest.keys = trib_arena_alloc(w->arena, (root->n + 1) * sizeof *rest.keys);
    rest.values = trib_arena_alloc(w->arena, (root->n + 1) * sizeof *rest.values);
    for (size_t i = 0; i < root->n; i++) {
        struct trib_yaml *value = root->values[i];
        rest.keys[i] = root->keys[i];
        rest.values[i] = value;
        if (strcmp(root->keys[i]->text, "tables") == 0 && value->kind == TRIB_YAML_LIST) {
            check_tables(&c, value);
            struct trib_yaml *none = trib_arena_alloc(w->arena, sizeof *none);
            *none = *value; /* an empty list: there, and nothing left to check */
            none->n = 0;
            rest.values[i] = none;
        }
    }
    check_map(&c, "", &rest);
}
