/*
 * argv and the environment → flags, verb, arguments. Flags may stand before or after the verb; `--flag value`, `--flag=value`,
 * `-c FILE`, `-cFILE`; `--` ends them. What argv does not give comes from TRIBUTARY_<FLAG>.
 * Never prints, never exits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/near.h"
#include "cli/cli.h"

struct parse {
    struct trib_cli *cli;
    bool *given; /* one a flag of the table */
    const char **args;
    size_t n_args;
    struct trib_err *err;
};

static void *field(struct parse *p, size_t offset) { return (char *)&p->cli->flags + offset; }

/* The place of `value` in "a|b|c"; -1. */
static int choice_index(const char *choices, const char *value)
{
    size_t n = strlen(value);
    int i = 0;
    for (const char *c = choices; *c != '\0'; i++) {
        size_t k = strcspn(c, "|");
        if (k == n && memcmp(c, value, n) == 0) {
            return i;
        }
        c += k + (c[k] == '|');
    }
    return -1;
}

static int set_bool(struct parse *p, const struct trib_flag *f, const char *value, const char *from)
{
    static const char *const yes[] = {"1", "true", "yes", "on"}, *const no[] = {"0", "false", "no", "off"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *(bool *)field(p, f->offset) = strcmp(value, yes[i]) == 0;
            return 0;
        }
    }
    return trib_err_set(p->err, TRIB_E_USAGE, "%s: `%s` is neither true nor false", from, value);
}

static int set_count(struct parse *p, const struct trib_flag *f, const char *value, const char *from)
{
    char *end;
    errno = 0;
    long long n = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || n < 0 || value[0] == '+' || value[0] == ' ') {
        return trib_err_set(p->err, TRIB_E_USAGE, "%s: `%s` is not a number from 0 on", from, value);
    }
    *(int64_t *)field(p, f->offset) = n;
    return 0;
}

/* from: how the flag was spelled, for messages. */
static int set_flag(struct parse *p, const struct trib_flag *f, const char *value, const char *from)
{
    switch (f->kind) {
    case TRIB_FLAG_BOOL: TRIB_TRY(set_bool(p, f, value, from)); break;
    case TRIB_FLAG_TEXT:
        if (value[0] == '\0') {
            return trib_err_set(p->err, TRIB_E_USAGE, "%s needs a value: %s", from, f->value);
        }
        *(const char **)field(p, f->offset) = value;
        break;
    case TRIB_FLAG_LIST: {
        struct trib_flags *to = &p->cli->flags;
        if (value[0] == '\0') {
            return trib_err_set(p->err, TRIB_E_USAGE, "%s needs a value: %s", from, f->value);
        }
        to->tables = trib_realloc(to->tables, (to->n_tables + 1) * sizeof *to->tables);
        to->tables[to->n_tables++] = value;
        break;
    }
    case TRIB_FLAG_CHOICE: {
        int i = choice_index(f->value, value);
        if (i < 0) {
            return trib_err_set(p->err, TRIB_E_USAGE, "%s: `%s` is none of %s", from, value, f->value);
        }
        unsigned choice = (unsigned)i; /* the enums are declared in the order of the choices */
        memcpy(field(p, f->offset), &choice, sizeof choice);
        break;
    }
    case TRIB_FLAG_COUNT: TRIB_TRY(set_count(p, f, value, from)); break;
    }
    if (f->given != 0) {
        *(bool *)field(p, f->given) = true;
    }
    return 0;
}

static int unknown_flag(struct parse *p, const char *arg)
{
    size_t n;
    const struct trib_flag *all = trib_flags_table(&n);
    const char *names[64];
    size_t n_names = 0;
    for (size_t i = 0; i < n && n_names < 64; i++) {
        if (all[i].later == NULL) {
            names[n_names++] = all[i].name;
        }
    }
    char *name = trib_strndup(arg + strspn(arg, "-"), strcspn(arg + strspn(arg, "-"), "="));
    const char *near = trib_nearest(name, names, n_names);
    int rc = near != NULL ? trib_err_set(p->err, TRIB_E_USAGE, "unknown flag `%s`; did you mean `--%s`?", arg, near)
                          : trib_err_set(p->err, TRIB_E_USAGE, "unknown flag `%s`", arg);
    free(name);
    return rc;
}

static int take_flag(struct parse *p, const struct trib_flag *f, const char *spelled, const char *value)
{
    size_t n;
    if (f->later != NULL) {
        return trib_err_set(p->err, TRIB_E_USAGE, "%s belongs to %s, which is not in this version", spelled, f->later);
    }
    p->given[f - trib_flags_table(&n)] = true;
    return set_flag(p, f, value, spelled);
}

static int parse_long(struct parse *p, int argc, char **argv, int *i)
{
    const char *arg = argv[*i], *name = arg + 2;
    size_t n = strcspn(name, "=");
    const struct trib_flag *f = trib_flag_find(name, n);
    if (f == NULL) {
        return unknown_flag(p, arg);
    }
    char spelled[80];
    (void)snprintf(spelled, sizeof spelled, "--%s", f->name);
    if (name[n] == '=') {
        return take_flag(p, f, spelled, name + n + 1);
    }
    if (f->kind == TRIB_FLAG_BOOL) {
        return take_flag(p, f, spelled, "true");
    }
    if (*i + 1 >= argc) {
        return trib_err_set(p->err, TRIB_E_USAGE, "%s needs a value: %s", spelled, f->value);
    }
    return take_flag(p, f, spelled, argv[++*i]);
}

static const struct trib_flag *flag_by_letter(char letter)
{
    size_t n;
    const struct trib_flag *all = trib_flags_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (all[i].letter == letter && letter != 0) {
            return &all[i];
        }
    }
    return NULL;
}

/* -v, -vh, -c FILE, -cFILE, -c=FILE */
static int parse_letters(struct parse *p, int argc, char **argv, int *i)
{
    for (const char *l = argv[*i] + 1; *l != '\0'; l++) {
        const struct trib_flag *f = flag_by_letter(*l);
        if (f == NULL) {
            return unknown_flag(p, argv[*i]);
        }
        char spelled[3] = {'-', *l, '\0'};
        if (f->kind == TRIB_FLAG_BOOL) {
            TRIB_TRY(take_flag(p, f, spelled, "true"));
            continue;
        }
        if (l[1] != '\0') {
            return take_flag(p, f, spelled, l + 1 + (l[1] == '='));
        }
        if (*i + 1 >= argc) {
            return trib_err_set(p->err, TRIB_E_USAGE, "%s needs a value: %s", spelled, f->value);
        }
        return take_flag(p, f, spelled, argv[++*i]);
    }
    return 0;
}

static int find_verb(struct parse *p)
{
    const char *name = p->args[0];
    p->cli->verb = trib_verb_find(name);
    if (p->cli->verb != NULL) {
        return 0;
    }
    for (size_t i = 0; trib_verbs_later[i] != NULL; i++) {
        if (strcmp(trib_verbs_later[i], name) == 0) {
            return trib_err_set(p->err, TRIB_E_USAGE, "`%s` is not in this version (%s)", name, TRIB_VERSION);
        }
    }
    size_t n, n_names = 0;
    const struct trib_verb *const *verbs = trib_verbs_table(&n);
    const char **names = trib_malloc(n * sizeof *names);
    for (size_t i = 0; i < n; i++) {
        if (!verbs[i]->hidden) {
            names[n_names++] = verbs[i]->name;
        }
    }
    const char *near = trib_nearest(name, names, n_names);
    int rc = near != NULL ? trib_err_set(p->err, TRIB_E_USAGE, "unknown verb `%s`; did you mean `%s`?", name, near)
                          : trib_err_set(p->err, TRIB_E_USAGE, "unknown verb `%s`; try: tributary --help", name);
    free(names);
    return rc;
}

static int check_args(struct parse *p)
{
    const struct trib_verb *v = p->cli->verb;
    size_t n = p->cli->n_args;
    if (n < v->min_args) {
        return trib_err_set(p->err, TRIB_E_USAGE, "`%s` needs %s", v->name, v->args);
    }
    if (n > v->max_args) {
        return v->max_args == 0 ? trib_err_set(p->err, TRIB_E_USAGE, "`%s` takes no argument, there is `%s`", v->name,
                                               p->cli->args[0])
                                : trib_err_set(p->err, TRIB_E_USAGE, "`%s` takes %s only, there is `%s` too", v->name,
                                               v->args, p->cli->args[v->max_args]);
    }
    if (n > 0 && v->choices != NULL && choice_index(v->choices, p->cli->args[0]) < 0) {
        return trib_err_set(p->err, TRIB_E_USAGE, "`%s`: `%s` is none of %s", v->name, p->cli->args[0], v->choices);
    }
    return 0;
}

/* A list in the environment is separated by commas: the pieces are kept in cli->flags.tables and freed by nobody but the process,
 * so they are cut out of one copy that trib_cli_release frees: the first piece is its beginning. */
static int set_from_environment(struct parse *p, const struct trib_flag *f, const char *value, const char *variable,
                                char **ret_copy)
{
    if (f->kind != TRIB_FLAG_LIST) {
        return set_flag(p, f, value, variable);
    }
    char *copy = *ret_copy = trib_strdup(value), *save = NULL;
    for (char *t = strtok_r(copy, ",", &save); t != NULL; t = strtok_r(NULL, ",", &save)) {
        TRIB_TRY(set_flag(p, f, t, variable));
    }
    return 0;
}

static int check_flags(struct parse *p, char *(*getenv_fn)(const char *))
{
    size_t n;
    const struct trib_flag *all = trib_flags_table(&n);
    for (size_t i = 0; i < n; i++) {
        const struct trib_flag *f = &all[i];
        bool takes = trib_verb_takes(p->cli->verb, f);
        if (p->given[i] && !takes && p->cli->verb != NULL) {
            return trib_err_set(p->err, TRIB_E_USAGE, "`%s` has no flag --%s", p->cli->verb->name, f->name);
        }
        /* --help and --version as variables would make every call useless. */
        if (p->given[i] || !takes || strcmp(f->name, "help") == 0 || strcmp(f->name, "version") == 0) {
            continue;
        }
        char *variable = trib_flag_variable(f);
        const char *value = getenv_fn(variable);
        int rc = 0;
        if (value != NULL && value[0] != '\0') {
            rc = set_from_environment(p, f, value, variable, &p->cli->flags.tables_copy);
        }
        free(variable);
        TRIB_TRY(rc);
    }
    return 0;
}

static int parse_all(struct parse *p, int argc, char **argv, char *(*getenv_fn)(const char *))
{
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (ended || a[0] != '-' || a[1] == '\0') {
            p->args[p->n_args++] = a;
        } else if (strcmp(a, "--") == 0) {
            ended = true;
        } else if (a[1] == '-') {
            TRIB_TRY(parse_long(p, argc, argv, &i));
        } else {
            TRIB_TRY(parse_letters(p, argc, argv, &i));
        }
    }
    struct trib_cli *cli = p->cli;
    if (p->n_args > 0) {
        TRIB_TRY(find_verb(p));
        cli->args = p->args + 1;
        cli->n_args = p->n_args - 1;
    }
    if (cli->flags.help || cli->flags.version) {
        return 0;
    }
    if (cli->verb == NULL) {
        return trib_err_set(p->err, TRIB_E_USAGE, "a verb is missing; try: tributary --help");
    }
    TRIB_TRY(check_flags(p, getenv_fn));
    return check_args(p);
}

int trib_cli_parse(struct trib_cli *cli, int argc, char **argv, char *(*getenv_fn)(const char *), struct trib_err *err)
{
    size_t n;
    (void)trib_flags_table(&n);
    struct trib_flags *f = &cli->flags;
    *f = (struct trib_flags){0};
    f->seed = f->items = f->changes = f->rate = f->item_bytes = f->limit = f->sample = -1;
    struct parse p = {.cli = cli, .err = err};
    p.given = trib_calloc(n, sizeof *p.given);
    p.args = trib_calloc((size_t)(argc > 0 ? argc : 1), sizeof *p.args);
    cli->own_args = p.args;
    int rc = parse_all(&p, argc, argv, getenv_fn);
    free(p.given);
    return rc;
}

void trib_cli_release(struct trib_cli *cli)
{
    free(cli->flags.tables);
    free(cli->flags.tables_copy);
    free((void *)cli->own_args);
    cli->flags = (struct trib_flags){0};
    cli->own_args = cli->args = NULL;
    cli->n_args = 0;
}
