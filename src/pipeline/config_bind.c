/*
 * The checked tree → struct trib_config, and what concerns several keys: targets of one name, a lake inside a source, column names.
 * Runs over configs with problems too, so that all of them are found at once: a value that is not good reads as its default.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/token.h"
#include "os/fs.h"
#include "pipeline/config_own.h"

/* The valid text of a key in a block, else its default; NULL: neither. path: in the table of keys. */
static const char *text_of(const struct trib_yaml *block, const char *path)
{
    const struct trib_key *key = trib_key_find(path);
    if (key == NULL) {
        return NULL;
    }
    const struct trib_yaml *node = trib_yaml_get(block, trib_key_name(key));
    if (!trib_yaml_null(node) && node->kind == TRIB_YAML_SCALAR && !node->broken) {
        char *wrong = trib_value_check(key, node->text, "");
        bool good = wrong == NULL;
        free(wrong);
        if (good) {
            return node->text;
        }
    }
    return key->initial;
}

static char *copy_of(const struct trib_yaml *block, const char *path)
{
    const char *s = text_of(block, path);
    return s == NULL ? NULL : trib_strdup(s);
}

static int choice_of(const struct trib_yaml *block, const char *path)
{
    const char *s = text_of(block, path);
    int i = s == NULL ? -1 : trib_key_choice(trib_key_find(path)->choices, s);
    return i < 0 ? 0 : i;
}

static bool bool_of(const struct trib_yaml *block, const char *path)
{
    const char *s = text_of(block, path);
    bool v = false;
    return s != NULL && trib_value_bool(s, &v) && v;
}

static int64_t number_of(const struct trib_yaml *block, const char *path)
{
    const struct trib_key *key = trib_key_find(path);
    const char *s = text_of(block, path);
    int64_t v = 0;
    if (s == NULL) {
        return 0;
    }
    bool good = key->form == TRIB_KEY_COUNT  ? trib_value_count(s, &v)
                : key->form == TRIB_KEY_SIZE ? trib_value_size(s, &v)
                                             : trib_value_duration(s, &v);
    return good ? v : 0;
}

/* "." components and doubled slashes are gone, ".." stays (links). */
char *trib_config_path(const char *folder, const char *text)
{
    if (trib_config_is_s3(text)) {
        size_t n = strlen(text);
        while (n > 5 && text[n - 1] == '/') {
            n--;
        }
        return trib_strndup(text, n);
    }
    if (strncmp(text, "file://", 7) == 0) {
        text += 7;
    }
    char *joined = text[0] == '/' ? trib_strdup(text) : trib_asprintf("%s/%s", folder, text);
    char *out = trib_malloc(strlen(joined) + 2), *to = out;
    if (joined[0] == '/') {
        *to++ = '/';
    }
    for (const char *p = joined; *p != '\0';) {
        size_t n = strcspn(p, "/");
        if (n > 0 && !(n == 1 && p[0] == '.')) {
            if (to > out && to[-1] != '/') {
                *to++ = '/';
            }
            memcpy(to, p, n);
            to += n;
        }
        p += n + (p[n] == '/');
    }
    if (to == out) {
        *to++ = '.';
    }
    *to = '\0';
    free(joined);
    return out;
}

static char *path_of(const struct trib_cfg_work *w, const struct trib_yaml *block, const char *path)
{
    const char *s = text_of(block, path);
    return s == NULL ? NULL : trib_config_path(w->folder, s);
}

char *trib_bind_copy(const struct trib_yaml *block, const char *path) { return copy_of(block, path); }
int trib_bind_choice(const struct trib_yaml *block, const char *path) { return choice_of(block, path); }
int64_t trib_bind_number(const struct trib_yaml *block, const char *path) { return number_of(block, path); }

static bool is_there(const char *path, bool *ret_folder)
{
    struct trib_fs_stat st;
    struct trib_err ignored;
    if (trib_fs_real.stat(trib_fs_real.ctx, path, &st, &ignored) != 0) {
        return false;
    }
    *ret_folder = st.is_dir;
    return true;
}

/* Lower case, every other character as `_`. [out] */
static char *plain_name(const char *name, size_t n)
{
    char *s = trib_strndup(name, n);
    for (char *p = s; *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            *p = (char)(*p - 'A' + 'a');
        } else if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9'))) {
            *p = '_';
        }
    }
    return s;
}

static char *default_state(const struct trib_cfg_work *w, const char *pipeline)
{
    const char *xdg = w->world->variable(w->world->ctx, "XDG_STATE_HOME"),
               *home = w->world->variable(w->world->ctx, "HOME");
    if (xdg != NULL && xdg[0] == '/') {
        return trib_asprintf("%s/tributary/%s", xdg, pipeline);
    }
    return home != NULL && home[0] == '/' ? trib_asprintf("%s/.local/state/tributary/%s", home, pipeline)
                                          : trib_asprintf("/var/lib/tributary/%s", pipeline);
}

static void bind_trigger(struct trib_cfg_work *w, const struct trib_yaml *root)
{
    const struct trib_yaml *t = trib_yaml_get(root, "trigger");
    bool once = bool_of(t, "trigger.once"), continuous = bool_of(t, "trigger.continuous");
    bool every = !trib_yaml_null(trib_yaml_get(t, "every"));
    if (once + continuous + every > 1) {
        trib_problem_at(w->problems, t, "`trigger` takes one of `every`, `once`, `continuous`, here are several");
    }
    w->config->trigger = once ? TRIB_TRIGGER_ONCE : continuous ? TRIB_TRIGGER_CONTINUOUS : TRIB_TRIGGER_EVERY;
    w->config->every_us = every ? number_of(t, "trigger.every") : (int64_t)120 * 1000000;
}

static void bind_key(const struct trib_yaml *key, const char *path, struct trib_cfg_key *to)
{
    const struct trib_yaml *node = trib_yaml_get(key, strrchr(path, '.') + 1);
    char *name = trib_asprintf("%s.name", path), *type = trib_asprintf("%s.type", path);
    if (node != NULL && node->kind == TRIB_YAML_MAP) {
        to->name = copy_of(node, name);
        to->type = copy_of(node, type);
    } else if (!trib_yaml_null(node) && node->kind == TRIB_YAML_SCALAR && node->text[0] != '\0') {
        to->name = trib_strdup(node->text);
    }
    free(name);
    free(type);
}

static void bind_keys(struct trib_cfg_work *w, const struct trib_yaml *table, struct trib_cfg_table *t)
{
    const struct trib_yaml *key = trib_yaml_get(table, "key");
    bind_key(key, "tables.key.partition", &t->partition);
    bind_key(key, "tables.key.sort", &t->sort);
    if (t->partition.name != NULL && t->sort.name != NULL && strcmp(t->partition.name, t->sort.name) == 0) {
        trib_problem_at(w->problems, key, "`key`: partition and sort are the same attribute");
    }
}

static void bind_source(struct trib_cfg_work *w, const struct trib_yaml *table, struct trib_cfg_table *t)
{
    const struct trib_yaml *s = trib_yaml_get(table, "source"), *path = trib_yaml_get(s, "path"),
                           *type = trib_yaml_get(s, "type");
    if (s == NULL || s->kind != TRIB_YAML_MAP || type == NULL || type->kind != TRIB_YAML_SCALAR ||
        trib_key_choice(trib_key_find("tables.source.type")->choices, type->text) < 0) {
        return;
    }
    static const enum trib_source_type types[] = {TRIB_SOURCE_FILES,   TRIB_SOURCE_EXPORT, TRIB_SOURCE_LANDING,
                                                  TRIB_SOURCE_LANDING, TRIB_SOURCE_DMS,    TRIB_SOURCE_SNAPSHOT};
    t->source_type = types[choice_of(s, "tables.source.type")];
    if (t->source_type == TRIB_SOURCE_LANDING) {
        trib_config_bind_capture(w, table, s, t);
        return;
    }
    if (t->source_type == TRIB_SOURCE_DMS) {
        trib_config_bind_dms(w, s, t);
    }
    if (t->source_type == TRIB_SOURCE_SNAPSHOT) {
        trib_config_bind_snapshot(s, t);
    }
    t->source_path = path_of(w, s, "tables.source.path");
    if (t->source_path == NULL && trib_yaml_null(path)) {
        trib_problem_at(w->problems, s, "the key `path` is missing in `source`");
        return;
    }
    bool is_folder = false;
    if (t->source_path != NULL && trib_config_is_s3(t->source_path)) {
        return; /* looked at when it is read */
    }
    if (t->source_path != NULL && w->check_files && !is_there(t->source_path, &is_folder)) {
        trib_problem_at(w->warnings, path,
                        t->source_type == TRIB_SOURCE_EXPORT
                            ? "`source.path`: %s is not there; this table fails until it holds a finished export"
                            : "`source.path`: %s is not there; it counts as empty until it is",
                        t->source_path);
    } else if (t->source_path != NULL && w->check_files && !is_folder) {
        trib_problem_at(w->problems, path, "`source.path`: %s is a file, a folder is needed", t->source_path);
    }
}

static void bind_schema(struct trib_cfg_work *w, const struct trib_yaml *table, struct trib_cfg_table *t)
{
    const struct trib_yaml *s = trib_yaml_get(table, "schema"), *hints = trib_yaml_get(s, "hints");
    t->evolution = (enum trib_evolution)choice_of(s, "tables.schema.evolution");
    t->infer = bool_of(s, "tables.schema.infer");
    t->numbers = (enum trib_numbers)choice_of(s, "tables.schema.numbers");
    t->max_columns = (size_t)number_of(s, "tables.schema.max_columns");
    if (hints == NULL || hints->kind != TRIB_YAML_MAP) {
        return;
    }
    t->hints = trib_calloc(hints->n, sizeof *t->hints);
    struct trib_err err = {0};
    bool good = true;
    for (size_t i = 0; i < hints->n; i++) {
        const struct trib_yaml *v = hints->values[i];
        struct trib_type type;
        if (v->kind != TRIB_YAML_SCALAR || v->text[0] == '\0') {
            continue; /* told */
        }
        bool cut = strchr(v->text, '(') != NULL && strchr(v->text, ')') == NULL; /* {a: decimal(18,2)} */
        if (trib_hint_parse(v->text, &type, &err) != 0) {
            trib_problem_at(w->problems, v, "`schema.hints` of %s: %s%s", trib_yaml_show(hints->keys[i], w->arena),
                            v->secret ? "`***` is no type" : err.msg,
                            cut ? "; within { } a text with a comma needs quotes" : "");
            good = false;
        } else {
            trib_type_free(&type);
        }
        t->hints[t->n_hints++] = (struct trib_hint){trib_strdup(hints->keys[i]->text), trib_strdup(v->text)};
        if (good && trib_hints_check(t->hints, t->n_hints, &err) != 0) {
            trib_problem_at(w->problems, hints->keys[i], "`schema.hints`: %s", err.msg);
            good = false;
        }
    }
}

static void check_column(struct trib_cfg_work *w, const struct trib_cfg_table *t, const struct trib_yaml *at,
                         const char *name)
{
    static const char *const own[] = {"_sequence", "_deleted_sequence", "_rescued_data", "__START_AT",
                                      "__END_AT",  "_valid_from",       "_valid_to"};
    const char *const key[] = {t->partition.name, t->sort.name};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (strcasecmp(own[i], name) == 0) {
            trib_problem_at(w->problems, at, "`silver.columns`: `%s` is a column of Tributary already", own[i]);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        if (key[i] != NULL && strcasecmp(key[i], name) == 0) {
            trib_problem_at(w->problems, at, "`silver.columns`: `%s` is a key attribute", key[i]);
        }
    }
}

static void bind_columns(struct trib_cfg_work *w, const struct trib_yaml *block, const struct trib_cfg_table *t,
                         struct trib_cfg_silver *s)
{
    const struct trib_yaml *c = trib_yaml_get(block, "columns");
    s->updated_at = copy_of(c, "tables.silver.columns.updated_at");
    s->is_deleted = copy_of(c, "tables.silver.columns.is_deleted");
    if (c == NULL || c->kind != TRIB_YAML_MAP) {
        return;
    }
    for (size_t i = 0; i < c->n; i++) {
        if (!trib_yaml_null(c->values[i]) && c->values[i]->kind == TRIB_YAML_SCALAR && !c->values[i]->secret) {
            check_column(w, t, c->values[i], c->values[i]->text);
        }
    }
    if (strcasecmp(s->updated_at, s->is_deleted) == 0) {
        trib_problem_at(w->problems, c, "`silver.columns`: updated_at and is_deleted have the same name");
    }
}

/* What the engine need not be asked: the condition is put in parentheses, so its own must be in pairs, and there is one of it. */
static void bind_where(struct trib_cfg_work *w, const struct trib_yaml *node, struct trib_cfg_silver *s)
{
    if (s->where == NULL || trib_yaml_null(node)) {
        return;
    }
    s->where_line = node->line;
    s->where_column = node->column;
    struct trib_view sql = trib_view_of(s->where);
    size_t pos = 0, open = 0, tokens = 0;
    bool good = true;
    for (;;) {
        struct trib_token t = trib_token_next(sql, &pos);
        if (t.kind == TRIB_TOKEN_END) {
            break;
        }
        tokens++;
        good = good && !trib_token_punct(sql, t, ";") && !(trib_token_punct(sql, t, ")") && open == 0);
        open += trib_token_punct(sql, t, "(");
        open -= open > 0 && trib_token_punct(sql, t, ")");
    }
    if (!good || open != 0 || tokens == 0) {
        trib_problem_at(w->problems, node, "`silver.where`: %s is not one SQL condition",
                        trib_yaml_show(node, w->arena));
    }
}

static void bind_silver_block(struct trib_cfg_work *w, const struct trib_yaml *block, const struct trib_yaml *at,
                              struct trib_cfg_table *t)
{
    struct trib_cfg_silver *s = &t->silver[t->n_silver++];
    const struct trib_yaml *where = trib_yaml_get(block, "table");
    where = where != NULL ? where : block != NULL ? block : at;
    s->line = where->line;
    s->column = where->column;
    s->where = copy_of(block, "tables.silver.where");
    bind_where(w, trib_yaml_get(block, "where"), s);
    s->domain = copy_of(block, "tables.silver.domain");
    s->table = copy_of(block, "tables.silver.table");
    if (s->table == NULL && t->name != NULL) {
        s->table = plain_name(t->name, strlen(t->name));
    }
    s->hard_deletes = choice_of(block, "tables.silver.deletes") == 1;
    s->scd2 = choice_of(block, "tables.silver.history") == 1;
    s->sequence = copy_of(block, "tables.silver.sequence");
    if (s->sequence != NULL && strcmp(s->sequence, "stream") == 0) {
        free(s->sequence);
        s->sequence = NULL;
    }
    bind_columns(w, block, t, s);
}

static void bind_silver(struct trib_cfg_work *w, const struct trib_yaml *table, struct trib_cfg_table *t)
{
    const struct trib_yaml *silver = trib_yaml_get(table, "silver");
    size_t n = silver != NULL && silver->kind == TRIB_YAML_LIST ? silver->n : 1;
    t->silver = trib_calloc(n, sizeof *t->silver);
    if (silver == NULL || silver->kind != TRIB_YAML_LIST) {
        bind_silver_block(w, silver, table, t);
        return;
    }
    if (n == 0) {
        trib_problem_at(w->problems, silver, "`silver` is an empty list: leave it out, or name a table");
    }
    for (size_t i = 0; i < n; i++) {
        if (silver->values[i]->kind == TRIB_YAML_MAP) {
            bind_silver_block(w, silver->values[i], table, t);
        }
    }
}

static void bind_tables(struct trib_cfg_work *w)
{
    struct trib_config *c = w->config;
    c->tables = trib_calloc(c->own->n_tables, sizeof *c->tables);
    for (size_t i = 0; i < c->own->n_tables; i++) {
        const struct trib_yaml *y = c->own->tables[i], *name = trib_yaml_get(y, "name");
        struct trib_cfg_table *t = &c->tables[c->n_tables++];
        t->name = copy_of(y, "tables.name");
        t->line = name != NULL ? name->line : y->line;
        t->column = name != NULL ? name->column : y->column;
        if (t->name != NULL && (strcmp(t->name, ".") == 0 || strcmp(t->name, "..") == 0)) {
            trib_problem_at(w->problems, name, "`name`: `%s` is no table name", t->name);
        }
        bind_keys(w, y, t);
        bind_source(w, y, t);
        trib_config_bind_aws(c->own->root, y, &t->aws);
        bind_schema(w, y, t);
        bind_silver(w, y, t);
        if (t->source_type == TRIB_SOURCE_SNAPSHOT) {
            trib_config_check_snapshot(w, trib_yaml_get(trib_yaml_get(y, "source"), "type"), t);
        }
        t->late_after_us = number_of(y, "tables.late_after");
        t->late = (enum trib_late)choice_of(y, "tables.late");
    }
}

static void bind_gold(struct trib_cfg_work *w, const struct trib_yaml *root)
{
    const struct trib_yaml *gold = trib_yaml_get(root, "gold");
    struct trib_config *c = w->config;
    if (gold == NULL || gold->kind != TRIB_YAML_LIST) {
        return;
    }
    c->gold = trib_calloc(gold->n, sizeof *c->gold);
    for (size_t i = 0; i < gold->n; i++) {
        const struct trib_yaml *y = gold->values[i], *sql = trib_yaml_get(y, "sql");
        if (y->kind != TRIB_YAML_MAP) {
            continue;
        }
        struct trib_cfg_mart *m = &c->gold[c->n_gold++];
        m->line = y->line;
        m->column = y->column;
        m->subject = copy_of(y, "gold.subject");
        m->name = copy_of(y, "gold.name");
        m->sql_path = path_of(w, y, "gold.sql");
        if (m->name == NULL && m->sql_path != NULL && trib_yaml_null(trib_yaml_get(y, "name"))) {
            const char *base = strrchr(m->sql_path, '/') != NULL ? strrchr(m->sql_path, '/') + 1 : m->sql_path,
                       *dot = strrchr(base, '.');
            m->name = plain_name(base, dot != NULL && dot > base ? (size_t)(dot - base) : strlen(base));
        }
        bool is_folder = false;
        if (m->sql_path != NULL && w->check_files && (!is_there(m->sql_path, &is_folder) || is_folder)) {
            trib_problem_at(w->problems, sql, "`gold.sql`: there is no file %s", m->sql_path);
        }
    }
}

/* ---- across tables ---- */

struct target {
    const char *domain, *table;
    bool history;
    size_t line, column;
};

static int target_cmp(const void *a, const void *b)
{
    const struct target *x = a, *y = b;
    int c = strcmp(x->domain, y->domain);
    size_t n = strlen(x->table), m = strlen(y->table);
    char *p = trib_asprintf("%.*s%s", (int)n, x->table, x->history ? "_history" : ""),
         *q = trib_asprintf("%.*s%s", (int)m, y->table, y->history ? "_history" : "");
    c = c != 0 ? c : strcmp(p, q);
    free(p);
    free(q);
    if (c == 0 && x->line != y->line) {
        return x->line < y->line ? -1 : 1;
    }
    return c != 0 ? c : (x->column > y->column) - (x->column < y->column);
}

static bool same_target(const struct target *x, const struct target *y)
{
    struct target a = *x, b = *y;
    a.line = b.line = a.column = b.column = 0;
    return target_cmp(&a, &b) == 0;
}

static void report_same(struct trib_cfg_work *w, struct target *all, size_t n, const char *what)
{
    if (n > 1) {
        qsort(all, n, sizeof *all, target_cmp);
    }
    for (size_t i = 1; i < n; i++) {
        if (same_target(&all[i - 1], &all[i])) {
            trib_problem_add(
                w->problems, all[i].line, all[i].column,
                "two %s tables would be %s/%s%s, the other one is in line %zu: give one of them another name", what,
                all[i].domain, all[i].table, all[i].history ? "_history" : "", all[i - 1].line);
        }
    }
}

static void check_targets(struct trib_cfg_work *w)
{
    const struct trib_config *c = w->config;
    size_t n = 0, cap = 0;
    struct target *all = NULL;
    for (size_t i = 0; i < c->n_tables; i++) {
        for (size_t k = 0; k < c->tables[i].n_silver; k++) {
            const struct trib_cfg_silver *s = &c->tables[i].silver[k];
            for (int history = 0; history <= (int)s->scd2 && s->table != NULL && s->domain != NULL; history++) {
                TRIB_GROW(all, cap, n + 1);
                all[n++] = (struct target){s->domain, s->table, history != 0, s->line, s->column};
            }
        }
    }
    report_same(w, all, n, "Silver");
    n = 0;
    for (size_t i = 0; i < c->n_gold; i++) {
        if (c->gold[i].subject != NULL && c->gold[i].name != NULL) {
            TRIB_GROW(all, cap, n + 1);
            all[n++] = (struct target){c->gold[i].subject, c->gold[i].name, false, c->gold[i].line, c->gold[i].column};
        }
    }
    report_same(w, all, n, "Gold");
    free(all);
}

static int table_cmp(const void *a, const void *b)
{
    const struct trib_cfg_table *x = *(const struct trib_cfg_table *const *)a,
                                *y = *(const struct trib_cfg_table *const *)b;
    int c = strcmp(x->name, y->name);
    return c != 0               ? c
           : x->line != y->line ? (x->line < y->line ? -1 : 1)
                                : (x->column > y->column) - (x->column < y->column);
}

static void check_names(struct trib_cfg_work *w)
{
    const struct trib_config *c = w->config;
    const struct trib_cfg_table **all = trib_malloc((c->n_tables + 1) * sizeof *all);
    size_t n = 0;
    for (size_t i = 0; i < c->n_tables; i++) {
        if (c->tables[i].name != NULL) {
            all[n++] = &c->tables[i];
        }
    }
    if (n > 1) {
        qsort(all, n, sizeof *all, table_cmp);
    }
    for (size_t i = 1; i < n; i++) {
        if (strcmp(all[i - 1]->name, all[i]->name) == 0) {
            trib_problem_add(w->problems, all[i]->line, all[i]->column,
                             "the table `%s` stands twice, first in line %zu", all[i]->name, all[i - 1]->line);
        }
    }
    free(all);
}

/* true when a reader of `folder` would meet `path`: it is the folder, or below it and no component between begins with . or _ */
static bool meets(const char *folder, const char *path)
{
    size_t n = strlen(folder);
    if (strncmp(folder, path, n) != 0 || (path[n] != '\0' && path[n] != '/' && (n == 0 || folder[n - 1] != '/'))) {
        return false;
    }
    for (const char *p = path + n; *p != '\0'; p++) {
        if (p[0] == '/' && (p[1] == '.' || p[1] == '_')) {
            return false;
        }
    }
    return true;
}

static void check_overlap(struct trib_cfg_work *w)
{
    const struct trib_config *c = w->config;
    for (size_t i = 0; i < c->n_tables; i++) {
        const struct trib_yaml *path = trib_yaml_get(trib_yaml_get(c->own->tables[i], "source"), "path");
        const char *source = c->tables[i].source_path;
        if (source != NULL && c->lake != NULL && meets(source, c->lake)) {
            trib_problem_at(
                w->problems, path,
                "`source.path`: the lake lies inside of it, so that the pipeline would read what it writes");
        } else if (source != NULL && c->state != NULL && meets(source, c->state)) {
            trib_problem_at(w->problems, path, "`source.path`: the state folder lies inside of it");
        }
    }
}

void trib_config_bind(struct trib_cfg_work *w)
{
    struct trib_config *c = w->config;
    const struct trib_yaml *root = c->own->root, *batch = trib_yaml_get(root, "batch");
    if (root == NULL || root->kind != TRIB_YAML_MAP) {
        return;
    }
    c->pipeline = copy_of(root, "pipeline");
    c->lake = path_of(w, root, "lake");
    c->state = path_of(w, root, "state");
    if (c->state == NULL && c->pipeline != NULL) {
        c->state = default_state(w, c->pipeline);
    }
    trib_config_bind_aws(root, NULL, &c->aws);
    trib_config_bind_s3(w);
    bind_trigger(w, root);
    c->memory_bytes = (uint64_t)number_of(root, "memory");
    c->workers = (unsigned)number_of(root, "workers");
    c->batch_files = number_of(batch, "batch.files");
    c->batch_bytes = number_of(batch, "batch.bytes");
    bind_tables(w);
    bind_gold(w, root);
    check_names(w);
    check_targets(w);
    check_overlap(w);
}

static void free_table(struct trib_cfg_table *t)
{
    free(t->name);
    free(t->partition.name);
    free(t->partition.type);
    free(t->sort.name);
    free(t->sort.type);
    free(t->source_path);
    trib_config_free_files(t);
    trib_config_free_live(t);
    for (size_t i = 0; i < t->n_hints; i++) {
        free((void *)(uintptr_t)t->hints[i].path);
        free((void *)(uintptr_t)t->hints[i].type);
    }
    free(t->hints);
    for (size_t i = 0; i < t->n_silver; i++) {
        struct trib_cfg_silver *s = &t->silver[i];
        free(s->where);
        free(s->domain);
        free(s->table);
        free(s->sequence);
        free(s->updated_at);
        free(s->is_deleted);
    }
    free(t->silver);
}

void trib_config_unbind(struct trib_config *c)
{
    for (size_t i = 0; i < c->n_tables; i++) {
        free_table(&c->tables[i]);
    }
    for (size_t i = 0; i < c->n_gold; i++) {
        free(c->gold[i].subject);
        free(c->gold[i].name);
        free(c->gold[i].sql_path);
    }
    free(c->tables);
    free(c->gold);
    free(c->pipeline);
    free(c->lake);
    free(c->state);
    trib_config_free_aws(&c->aws);
    for (size_t i = 0; i < TRIB_CFG_S3_PREFIXES; i++) {
        free(c->s3[i].sse);
        free(c->s3[i].kms_key);
    }
}
