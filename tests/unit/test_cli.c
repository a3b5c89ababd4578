/* The command line: parsing, help, docs and completions against one another, exit statuses, errors, log and progress. */
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#include <cmocka.h>

#include "base/near.h"
#include "cli/own.h"

/* ---- parsing ---- */

static const char *const *environment; /* name, value, …, NULL */

static char *variable(const char *name)
{
    static char value[256];
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i += 2) {
        if (strcmp(environment[i], name) == 0) {
            (void)snprintf(value, sizeof value, "%s", environment[i + 1]);
            return value;
        }
    }
    return NULL;
}

static int parse_words(struct trib_cli *cli, struct trib_err *err, const char *const *words)
{
    char *argv[32] = {(char[]){"tributary"}};
    int argc = 1;
    for (; words[argc - 1] != NULL; argc++) {
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    }
    *cli = (struct trib_cli){0};
    return trib_cli_parse(cli, argc, argv, variable, err);
}
#define PARSE(cli, err, ...) parse_words((cli), (err), (const char *const[]){__VA_ARGS__, NULL})

static void test_flags_before_and_after(void **state)
{
    (void)state;
    struct trib_cli c;
    struct trib_err err = {0};
    assert_int_equal(PARSE(&c, &err, "-v", "--config", "a.yaml", "init", "--output=json", "--table", "A", "dir",
                           "--table=B", "--force"),
                     0);
    assert_string_equal(c.verb->name, "init");
    assert_string_equal(c.flags.config, "a.yaml");
    assert_true(c.flags.verbose && c.flags.force && c.flags.output_given);
    assert_int_equal(c.flags.output, TRIB_OUTPUT_JSON);
    assert_int_equal(c.flags.n_tables, 2);
    assert_string_equal(c.flags.tables[1], "B");
    assert_int_equal(c.n_args, 1);
    assert_string_equal(c.args[0], "dir");
    assert_true(trib_cli_table_wanted(&c, "A") && !trib_cli_table_wanted(&c, "C"));
    trib_cli_release(&c);

    assert_int_equal(PARSE(&c, &err, "-cx", "init", "--", "-v"), 0);
    assert_string_equal(c.flags.config, "x");
    assert_false(c.flags.verbose);
    assert_string_equal(c.args[0], "-v");
    trib_cli_release(&c);

    assert_int_equal(PARSE(&c, &err, "init", "-vc=x", "--force=false", "-"), 0);
    assert_true(c.flags.verbose && !c.flags.force);
    assert_string_equal(c.flags.config, "x");
    assert_string_equal(c.args[0], "-");
    assert_int_equal(c.flags.progress, TRIB_PROGRESS_AUTO);
    assert_true(trib_cli_table_wanted(&c, "any"));
    trib_cli_release(&c);
}

static void test_environment_twins(void **state)
{
    (void)state;
    struct trib_cli c;
    struct trib_err err = {0};
    environment = (const char *const[]){"TRIBUTARY_CONFIG",
                                        "env.yaml",
                                        "TRIBUTARY_OUTPUT",
                                        "csv",
                                        "TRIBUTARY_TABLE",
                                        "A,B",
                                        "TRIBUTARY_LOG_FORMAT",
                                        "json",
                                        "TRIBUTARY_FORCE",
                                        "1",
                                        "TRIBUTARY_JSON",
                                        "1",
                                        "TRIBUTARY_PROGRESS",
                                        "",
                                        NULL};
    assert_int_equal(PARSE(&c, &err, "init", "--output", "jsonl"), 0);
    assert_int_equal(c.flags.output, TRIB_OUTPUT_JSONL); /* a flag wins */
    assert_int_equal(c.flags.n_tables, 2);
    assert_string_equal(c.flags.tables[1], "B");
    assert_int_equal(c.flags.log_format, TRIB_LOG_FORMAT_JSON);
    assert_true(c.flags.force);
    assert_false(c.flags.json); /* not a flag of init */
    trib_cli_release(&c);
    environment = (const char *const[]){"TRIBUTARY_TABLE", "A,B", NULL};
    assert_int_equal(PARSE(&c, &err, "init", "--table", "C"), 0);
    assert_int_equal(c.flags.n_tables, 1);
    trib_cli_release(&c);
    environment = (const char *const[]){"TRIBUTARY_FORCE", "perhaps", NULL};
    assert_int_equal(PARSE(&c, &err, "init"), TRIB_E_USAGE);
    assert_non_null(strstr(err.msg, "TRIBUTARY_FORCE: `perhaps` is neither true nor false"));
    trib_cli_release(&c);
    assert_int_equal(PARSE(&c, &err, "schema"), 0); /* not its flag */
    trib_cli_release(&c);
    environment = NULL;
}

static void test_usage_errors(void **state)
{
    (void)state;
    static const struct {
        const char *words[6];
        const char *says;
    } cases[] = {
        {{NULL}, "a verb is missing"},
        {{"validat"}, "unknown verb `validat`; did you mean `validate`?"},
        {{"frobnicate"}, "unknown verb `frobnicate`"},
        {{"resync"}, "`resync` is not in this version"},
        {{"verify", "--repair"}, "--repair belongs to `verify --repair`, which is not in this version"},
        {{"--confg", "x", "validate"}, "did you mean `--config`?"},
        {{"validate", "-x"}, "unknown flag `-x`"},
        {{"validate", "--frob"}, "unknown flag `--frob`"},
        {{"validate", "--config"}, "--config needs a value: FILE"},
        {{"validate", "-c"}, "-c needs a value: FILE"},
        {{"validate", "--config="}, "--config needs a value"},
        {{"validate", "--output", "xml"}, "`xml` is none of table|json|jsonl|csv"},
        {{"validate", "--output", "tabl"}, "none of"},
        {{"validate", "--force"}, "`validate` has no flag --force"},
        {{"validate", "--online"}, "--online belongs to checks against AWS, which is not in this version"},
        {{"validate", "x"}, "`validate` takes no argument, there is `x`"},
        {{"init", "a", "b"}, "`init` takes [DIR] only, there is `b` too"},
        {{"completions"}, "`completions` needs bash|zsh|fish"},
        {{"completions", "tcsh"}, "`tcsh` is none of bash|zsh|fish"},
        {{"init", "--force=maybe"}, "neither true nor false"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct trib_cli c;
        struct trib_err err = {0};
        assert_int_equal(parse_words(&c, &err, cases[i].words), TRIB_E_USAGE);
        if (strstr(err.msg, cases[i].says) == NULL) {
            print_error("wanted: %s\ngot: %s\n", cases[i].says, err.msg);
        }
        assert_non_null(strstr(err.msg, cases[i].says));
        assert_int_equal(trib_code_exit(err.code), 64);
        trib_cli_release(&c);
    }
}

static void test_counts(void **state)
{
    (void)state;
    size_t n;
    const struct trib_verb *const *verbs = trib_verbs_table(&n);
    const struct trib_flag *seed = trib_flag_find("seed", 4);
    for (size_t i = 0; i < n; i++) {
        if (!trib_verb_takes(verbs[i], seed)) {
            continue;
        }
        struct trib_cli c;
        struct trib_err err = {0};
        int rc = PARSE(&c, &err, verbs[i]->name, "--seed", "9223372036854775807", "--help");
        assert_int_equal(rc, 0);
        assert_true(c.flags.seed == INT64_MAX && c.flags.items == -1);
        trib_cli_release(&c);
        static const char *const wrong[] = {"", "x", "1x", "-1", "+1", " 1", "9223372036854775808", "1.5"};
        for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
            assert_int_equal(PARSE(&c, &err, verbs[i]->name, "--seed", wrong[k]), TRIB_E_USAGE);
            trib_cli_release(&c);
        }
    }
}

/* ---- tables, help, docs: none disagrees with the parser ---- */

static const char *value_for(const struct trib_flag *f)
{
    static char choice[32];
    if (f->kind == TRIB_FLAG_CHOICE) {
        (void)snprintf(choice, sizeof choice, "%.*s", (int)strcspn(f->value, "|"), f->value);
        return choice;
    }
    return f->kind == TRIB_FLAG_COUNT ? "7" : f->kind == TRIB_FLAG_BOOL ? "true" : "x";
}

/* "--name" as a word of its own. */
static bool has_flag(const char *text, const char *name)
{
    char *flag = trib_asprintf("--%s", name);
    size_t n = strlen(flag);
    bool found = false;
    for (const char *p = text; !found && (p = strstr(p, flag)) != NULL; p += n) {
        found = strchr("abcdefghijklmnopqrstuvwxyz-", p[n]) == NULL || p[n] == '\0';
    }
    free(flag);
    return found;
}

static void test_parser_and_help_agree(void **state)
{
    (void)state;
    size_t n_flags, n_verbs;
    const struct trib_flag *flags = trib_flags_table(&n_flags);
    const struct trib_verb *const *verbs = trib_verbs_table(&n_verbs);
    for (size_t v = 0; v < n_verbs; v++) {
        struct trib_buf help;
        trib_buf_init(&help, 1 << 20);
        trib_cli_help_verb(verbs[v], &help);
        char *cut = strstr(help.p, "\nexamples:\n"); /* they may show flags of other programs */
        assert_non_null(cut);
        *cut = '\0';
        for (size_t f = 0; f < n_flags; f++) {
            bool help_flag = strcmp(flags[f].name, "help") == 0 || strcmp(flags[f].name, "version") == 0;
            char *arg = trib_asprintf("--%s=%s", flags[f].name, value_for(&flags[f]));
            const char *words[8] = {verbs[v]->name, arg};
            char first[32] = "x";
            if (verbs[v]->choices != NULL) {
                (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(verbs[v]->choices, "|"), verbs[v]->choices);
            }
            for (size_t i = 0; i < verbs[v]->min_args; i++) {
                words[2 + i] = first;
            }
            struct trib_cli c;
            struct trib_err err = {0};
            int rc = parse_words(&c, &err, words);
            bool takes = trib_verb_takes(verbs[v], &flags[f]);
            if ((rc == 0) != takes && !help_flag) {
                print_error("%s --%s: parser says %s\n", verbs[v]->name, flags[f].name, rc == 0 ? "yes" : err.msg);
            }
            assert_true(help_flag || (rc == 0) == takes);
            if (strcmp(verbs[v]->name, flags[f].name) != 0) {
                const char *own = strstr(help.p, "\nflags");
                assert_int_equal(has_flag(own, flags[f].name), takes);
            }
            trib_cli_release(&c);
            free(arg);
        }
        trib_buf_free(&help);
    }
}

static bool all_verbs(void)
{
    return trib_verb_find("run") != NULL && trib_verb_find("query") != NULL && trib_verb_find("history") != NULL;
}

static bool taken_by_any(const struct trib_flag *f)
{
    size_t n;
    const struct trib_verb *const *verbs = trib_verbs_table(&n);
    for (size_t v = 0; v < n; v++) {
        if (trib_verb_takes(verbs[v], f) && !verbs[v]->hidden) {
            return true;
        }
    }
    return false;
}

static void test_tables_are_whole(void **state)
{
    (void)state;
    size_t n_flags, n_verbs;
    const struct trib_flag *flags = trib_flags_table(&n_flags);
    const struct trib_verb *const *verbs = trib_verbs_table(&n_verbs);
    for (size_t i = 0; i < n_flags; i++) {
        assert_ptr_equal(trib_flag_find(flags[i].name, strlen(flags[i].name)), &flags[i]);
        assert_true(flags[i].later != NULL || flags[i].text != NULL);
        assert_true((flags[i].value == NULL) == (flags[i].kind == TRIB_FLAG_BOOL));
        /* A flag may stand in the table before its verb does. */
        bool taken = flags[i].later != NULL || !all_verbs();
        taken = taken || taken_by_any(&flags[i]);
        if (!taken) {
            print_error("no verb takes --%s\n", flags[i].name);
        }
        assert_true(taken);
    }
    for (size_t v = 0; v < n_verbs; v++) {
        assert_ptr_equal(trib_verb_find(verbs[v]->name), verbs[v]);
        assert_true(verbs[v]->summary[0] != '\0' && verbs[v]->summary[strlen(verbs[v]->summary) - 1] != '.');
        assert_true(verbs[v]->min_args <= verbs[v]->max_args && (verbs[v]->max_args > 0) == (verbs[v]->args != NULL));
        for (size_t i = 0; trib_verbs_later[i] != NULL; i++) {
            assert_string_not_equal(trib_verbs_later[i], verbs[v]->name);
        }
        for (const char *p = verbs[v]->flags; p != NULL && *p != '\0';) { /* each is a flag */
            size_t k = strcspn(p, " ");
            const struct trib_flag *f = trib_flag_find(p, k);
            if (f == NULL || f->common || f->later != NULL) {
                print_error("%s: `%.*s`\n", verbs[v]->name, (int)k, p);
            }
            assert_true(f != NULL && !f->common && f->later == NULL);
            p += k + (p[k] == ' ');
        }
    }
}

/* Every example of every verb is understood, and is an example of that verb. */
static void test_examples_parse(void **state)
{
    (void)state;
    size_t n_verbs;
    const struct trib_verb *const *verbs = trib_verbs_table(&n_verbs);
    for (size_t v = 0; v < n_verbs; v++) {
        assert_non_null(verbs[v]->examples);
        for (const char *p = verbs[v]->examples; *p != '\0';) {
            char *line = trib_strndup(p, strcspn(p, "\n")), *hash = strstr(line, " # "),
                 *start = strstr(line, "tributary ");
            assert_non_null(hash);
            assert_true(hash[3] != '\0' && start != NULL && start < hash);
            *hash = '\0';
            char *redirect = strstr(start, " > ");
            if (redirect != NULL) {
                *redirect = '\0';
            }
            if (start > line && start[strlen(start) - 1] == ')') { /* source <(tributary …) */
                start[strlen(start) - 1] = '\0';
            }
            wordexp_t words;
            int quoted = wordexp(start, &words, WRDE_NOCMD);
            if (quoted != 0) {
                print_error("%s\n", start);
            }
            assert_int_equal(quoted, 0);
            struct trib_cli c = {0};
            struct trib_err err = {0};
            int rc = trib_cli_parse(&c, (int)words.we_wordc, words.we_wordv, variable, &err);
            if (rc != 0) {
                print_error("%s: %s\n", start, err.msg);
            }
            assert_int_equal(rc, 0);
            assert_ptr_equal(c.verb, verbs[v]);
            trib_cli_release(&c);
            wordfree(&words);
            free(line);
            p += strcspn(p, "\n") + (p[strcspn(p, "\n")] == '\n');
        }
    }
}

static void read_all(const char *path, struct trib_buf *to)
{
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        print_error("%s is not there: scripts/docs\n", path);
    }
    assert_non_null(f);
    int c;
    while ((c = fgetc(f)) != EOF) {
        trib_buf_addc(to, (char)c);
    }
    (void)fclose(f);
}

static void test_pages_are_current(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        void (*make)(struct trib_buf *);
    } pages[] = {{"docs/man/tributary.1", trib_cli_man}, {"docs/commands.md", trib_cli_commands}};
    for (size_t i = 0; i < 2; i++) {
        struct trib_buf made, file;
        trib_buf_init(&made, 1 << 20);
        trib_buf_init(&file, 1 << 20);
        pages[i].make(&made);
        read_all(pages[i].path, &file);
        if (strcmp(made.p, file.p) != 0) {
            print_error("%s is not current: scripts/docs\n", pages[i].path);
        }
        assert_string_equal(made.p, file.p);
        trib_buf_free(&made);
        trib_buf_free(&file);
    }
}

static void test_everything_is_listed(void **state)
{
    (void)state;
    static const char *const shells[] = {"bash", "zsh", "fish"};
    struct trib_buf text[6];
    struct trib_err err = {0};
    for (size_t i = 0; i < 6; i++) {
        trib_buf_init(&text[i], 1 << 20);
    }
    trib_cli_help(&text[0]);
    trib_cli_man(&text[1]);
    trib_cli_commands(&text[2]);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(trib_cli_completions(shells[i], &text[3 + i], &err), 0);
    }
    size_t n_verbs, n_flags;
    const struct trib_verb *const *verbs = trib_verbs_table(&n_verbs);
    const struct trib_flag *flags = trib_flags_table(&n_flags);
    for (size_t i = 0; i < 6; i++) {
        for (size_t v = 0; v < n_verbs; v++) {
            assert_true(verbs[v]->hidden || strstr(text[i].p, verbs[v]->name) != NULL);
        }
        for (size_t f = 0; f < n_flags && i >= 1; f++) {
            char *spelled = i == 1 ? trib_strdup("") : trib_asprintf(i == 5 ? "-l %s" : "--%s", flags[f].name);
            for (const char *p = flags[f].name; i == 1 && *p != '\0'; p++) { /* roff: --log-format is \-\-log\-format */
                char *more = trib_asprintf(*p == '-' ? "%s\\-" : "%s%c", spelled, *p);
                free(spelled);
                spelled = more;
            }
            assert_true(!taken_by_any(&flags[f]) || strstr(text[i].p, spelled) != NULL);
            free(spelled);
        }
    }
    for (size_t i = 0; i < 6; i++) {
        trib_buf_free(&text[i]);
    }
}

/* ---- the program, in a child of its own ---- */

struct outcome {
    int status;
    struct trib_buf out, err;
};

static void outcome_free(struct outcome *o)
{
    trib_buf_free(&o->out);
    trib_buf_free(&o->err);
}

static void slurp(FILE *f, struct trib_buf *to)
{
    int c;
    rewind(f);
    trib_buf_init(to, 8 << 20);
    trib_buf_adds(to, "");
    while ((c = fgetc(f)) != EOF) {
        trib_buf_addc(to, (char)c);
    }
    (void)fclose(f);
}

/* stdout_fd: -1 for a file that is read back. */
static struct outcome run_to(int stdout_fd, int (*body)(int argc, char **argv), const char *const *words)
{
    struct outcome o = {0};
    FILE *out = tmpfile(), *err = tmpfile();
    assert_true(out != NULL && err != NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char *argv[32] = {(char[]){"tributary"}};
        int argc = 1;
        for (; words[argc - 1] != NULL; argc++) {
            argv[argc] = (char *)(uintptr_t)words[argc - 1];
        }
        (void)dup2(stdout_fd >= 0 ? stdout_fd : fileno(out), 1);
        (void)dup2(fileno(err), 2);
        _exit(body(argc, argv));
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    o.status = WEXITSTATUS(status);
    slurp(out, &o.out);
    slurp(err, &o.err);
    return o;
}
#define RUN(...) run_to(-1, trib_cli_main, (const char *const[]){__VA_ARGS__, NULL})

static char dir[64];

static char *in_dir(const char *name) { return trib_asprintf("%s/%s", dir, name); }

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
}

static void test_help_and_version(void **state)
{
    (void)state;
    struct outcome o = RUN("--help");
    assert_int_equal(o.status, 0);
    assert_non_null(strstr(o.out.p, "usage: tributary VERB"));
    assert_int_equal(o.err.n, 0);
    outcome_free(&o);
    o = RUN("--version");
    assert_int_equal(o.status, 0);
    static const char *const inside[] = {
        "tributary " TRIB_VERSION, "DuckDB", "libyaml", "jansson", "zstd", "zlib", "OpenSSL", "xxHash"};
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
        assert_non_null(strstr(o.out.p, inside[i]));
    }
    outcome_free(&o);
    o = run_to(-1, trib_cli_main, (const char *const[]){NULL});
    assert_int_equal(o.status, 64);
    assert_int_equal(o.out.n, 0);
    assert_non_null(strstr(o.err.p, "usage: tributary VERB"));
    assert_non_null(strstr(o.err.p, "tributary: error: a verb is missing\n  try: tributary --help\n"));
    outcome_free(&o);
    size_t n;
    const struct trib_verb *const *verbs = trib_verbs_table(&n);
    for (size_t i = 0; i < n; i++) { /* help wants no arguments, no config */
        o = RUN(verbs[i]->name, "--help");
        assert_int_equal(o.status, 0);
        assert_non_null(strstr(o.out.p, "examples:\n"));
        outcome_free(&o);
    }
}

static void test_init_and_validate(void **state)
{
    (void)state;
    char *folder = in_dir("shop"), *path = in_dir("shop/tributary.yaml");
    struct outcome o = RUN("init", folder);
    assert_int_equal(o.status, 0);
    assert_non_null(strstr(o.out.p, path));
    outcome_free(&o);
    o = RUN("init", folder);
    assert_int_equal(o.status, 64);
    assert_non_null(strstr(o.err.p, "exists already\n  try: --force"));
    outcome_free(&o);
    o = RUN("init", folder, "--force");
    assert_int_equal(o.status, 0);
    outcome_free(&o);
    o = RUN("validate", "-c", path);
    assert_int_equal(o.status, 0);
    assert_string_equal(o.out.p, "OK Orders: silver sales/orders\n");
    assert_non_null(strstr(o.err.p, "is not there; it counts as empty"));
    outcome_free(&o);
    o = RUN("validate", "-c", path, "--table", "Ordrs");
    assert_int_equal(o.status, 64);
    assert_non_null(strstr(o.err.p, "did you mean `Orders`?"));
    outcome_free(&o);
    o = RUN("init", "/proc/no/such/folder");
    assert_int_equal(o.status, 74);
    outcome_free(&o);
    free(folder);
    free(path);
}

/* An unknown key is exit 78 with its line and the nearest key, whatever the verb. */
static void test_bad_config(void **state)
{
    (void)state;
    char *path = in_dir("bad.yaml");
    write_file(
        path,
        "pipeline: shop\nlake: /nowhere\ntables:\n  - name: T\n    key: {partition: pk}\n    source: {type: files, path: /nowhere/in}\n    silver:\n      delets: soft\n");
    static const char *const verbs[] = {"validate", "run", "ingest", "merge", "marts", "status", "history"};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        const struct trib_verb *v = trib_verb_find(verbs[i]);
        if (v == NULL) {
            assert_string_not_equal(verbs[i], "validate");
            continue;
        }
        struct outcome o = v->min_args > 0 ? RUN(verbs[i], "T", "-c", path) : RUN(verbs[i], "-c", path);
        if (o.status != 78) {
            print_error("%s: %d %s\n", verbs[i], o.status, o.err.p);
        }
        assert_int_equal(o.status, 78);
        char *want = trib_asprintf(
            "tributary: error: %s:8:7: unknown key `delets` in `silver`; did you mean `deletes`?\n  try: ", path);
        assert_non_null(strstr(o.err.p, want));
        assert_int_equal(o.out.n, 0);
        free(want);
        outcome_free(&o);
    }
    write_file(path, "pipeline: Shop\nlake: /nowhere\ntabels: []\n");
    struct outcome o = RUN("validate", "-c", path);
    assert_int_equal(o.status, 78);
    assert_non_null(strstr(o.err.p, "bad.yaml:1:11: "));
    assert_non_null(strstr(o.err.p, "bad.yaml:3:1: "));
    assert_non_null(strstr(o.err.p, "3 problems, see above\n  try: "));
    outcome_free(&o);
    o = RUN("validate", "-c", "/nowhere.yaml");
    assert_int_equal(o.status, 78);
    outcome_free(&o);
    free(path);
}

/* `validate` parses conditions and marts, and knows the tables that marts name. */
static void test_bad_sql(void **state)
{
    (void)state;
    char *path = in_dir("sql.yaml"), *mart = in_dir("mart.sql"), *two = in_dir("two.sql");
    static const char head[] =
        "pipeline: a\nlake: lake\ntables:\n  - {name: Or-ders, key: {partition: pk}, source: {type: files, path: in}, silver: "
        "{history: scd2, where: \"%s\"}}\n"
        "gold: [{name: m, sql: mart.sql}, {name: n, sql: two.sql}]\n";
    char *good = trib_asprintf(head, "a = 'x'"), *bad = trib_asprintf(head, "a = 'x' AND");
    write_file(path, good);
    write_file(
        mart,
        "-- all\nWITH x AS (SELECT 1 a)\nSELECT * FROM silver.or_ders, silver.or_ders_history, x, bronze.\"Or-ders\", quarantine.\"or-ders\", gold.n;\n");
    write_file(two, "SELECT * FROM delta('p', version := 3) WHERE a IN (SELECT b FROM SILVER.Or_Ders)");
    struct outcome o = RUN("validate", "-c", path);
    if (o.status != 0) {
        print_error("%s", o.err.p);
    }
    assert_int_equal(o.status, 0);
    assert_string_equal(o.out.p,
                        "OK Or-ders: silver default/or_ders with history\nOK gold default/m\nOK gold default/n\n");
    outcome_free(&o);
    write_file(path, bad);
    write_file(mart, "SELECT *\n  FROM silver.or_der");
    write_file(two, "SELECT 1; SELECT 2");
    o = RUN("validate", "-c", path);
    assert_int_equal(o.status, 78);
    assert_int_equal(o.out.n, 0);
    assert_non_null(strstr(o.err.p, "sql.yaml:4:107: `silver.where` is no SQL condition: syntax error at or near"));
    assert_non_null(strstr(o.err.p, "mart.sql:2:8: there is no table silver.or_der; did you mean silver.or_ders?\n"));
    assert_non_null(strstr(o.err.p, "two.sql:1:1: one SELECT is needed, here are 2 statements\n"));
    assert_non_null(strstr(o.err.p, "3 problems, see above"));
    outcome_free(&o);
    write_file(path, good);
    write_file(mart, "SELECT 1\n");
    write_file(two, "SELECT 'é' FROM WHERE\n");
    o = RUN("validate", "-c", path);
    assert_int_equal(o.status, 78);
    assert_non_null(strstr(o.err.p, "two.sql:1:17: syntax error at or near \"WHERE\"\n  try: "));
    outcome_free(&o);
    free(path);
    free(mart);
    free(two);
    free(good);
    free(bad);
}

static void test_secrets_stay_out(void **state)
{
    (void)state;
    char *path = in_dir("secret.yaml");
    write_file(
        path,
        "pipeline: ${env:TRIB_TEST_NAME}\nlake: /nowhere/${env:TRIB_TEST_SECRET}\ntables:\n  - {name: T, key: {partition: pk}, source: {type: files, path: '/in/${env:TRIB_TEST_SECRET}'}}\n");
    (void)setenv("TRIB_TEST_NAME", "shop", 1);
    (void)setenv("TRIB_TEST_SECRET", "hush \"hush\"", 1);
    static const char *const formats[] = {"text", "json"};
    for (size_t i = 0; i < 2; i++) {
        struct outcome o = RUN("validate", "-v", "-c", path, "--log-format", formats[i]);
        assert_int_equal(o.status, 0);
        assert_null(strstr(o.out.p, "hush"));
        assert_null(strstr(o.err.p, "hush"));
        assert_non_null(strstr(o.err.p, "/in/*** is not there"));
        assert_non_null(strstr(o.out.p, "lake: \"***\""));
        outcome_free(&o);
    }
    (void)unsetenv("TRIB_TEST_NAME");
    (void)unsetenv("TRIB_TEST_SECRET");
    struct outcome o = RUN("validate", "-c", path);
    assert_int_equal(o.status, 78);
    assert_non_null(strstr(o.err.p, "secret.yaml:1:11: the environment variable `TRIB_TEST_NAME` is not set"));
    outcome_free(&o);
    free(path);
}

static void test_config_is_found(void **state)
{
    (void)state;
    char *here = getcwd(NULL, 0), *home = in_dir("xdg"), *sub = in_dir("xdg/tributary"),
         *path = in_dir("xdg/tributary/tributary.yaml"), *empty = in_dir("empty");
    (void)mkdir(home, 0700);
    (void)mkdir(sub, 0700);
    (void)mkdir(empty, 0700);
    assert_int_equal(chdir(empty), 0);
    (void)setenv("XDG_CONFIG_HOME", home, 1);
    struct outcome o = RUN("validate");
    assert_int_equal(o.status, 78);
    assert_non_null(strstr(o.err.p, "there is no configuration: looked for ./tributary.yaml, "));
    assert_non_null(strstr(o.err.p, "  try: -c FILE, or `tributary init`"));
    outcome_free(&o);
    write_file(path,
               "pipeline: a\nlake: l\ntables: [{name: Found, key: {partition: k}, source: {type: files, path: .}}]\n");
    o = RUN("validate");
    assert_int_equal(o.status, 78); /* the lake l lies inside of the source */
    assert_non_null(strstr(o.err.p, "the lake lies inside of it"));
    outcome_free(&o);
    write_file(path,
               "pipeline: a\nlake: l\ntables: [{name: Found, key: {partition: k}, source: {type: files, path: in}}]\n");
    o = RUN("validate");
    assert_int_equal(o.status, 0);
    assert_string_equal(o.out.p, "OK Found: silver default/found\n");
    outcome_free(&o);
    write_file("tributary.yaml",
               "pipeline: a\nlake: l\ntables: [{name: Here, key: {partition: k}, source: {type: files, path: in}}]\n");
    o = RUN("validate");
    assert_string_equal(o.out.p, "OK Here: silver default/here\n");
    outcome_free(&o);
    (void)setenv("TRIBUTARY_CONFIG", path, 1);
    o = RUN("validate");
    assert_string_equal(o.out.p, "OK Found: silver default/found\n");
    outcome_free(&o);
    o = RUN("validate", "-c", "tributary.yaml");
    assert_string_equal(o.out.p, "OK Here: silver default/here\n");
    outcome_free(&o);
    (void)unsetenv("TRIBUTARY_CONFIG");
    (void)unsetenv("XDG_CONFIG_HOME");
    assert_int_equal(chdir(here), 0);
    free(here);
    free(home);
    free(sub);
    free(path);
    free(empty);
}

static void test_stdout_that_ends(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    (void)close(fds[0]); /* `tributary schema | head -0`: nobody reads */
    struct outcome o = run_to(fds[1], trib_cli_main, (const char *const[]){"schema", NULL});
    (void)close(fds[1]);
    assert_int_equal(o.status, 0);
    assert_string_equal(o.err.p, "");
    outcome_free(&o);
    int full = open("/dev/full", O_WRONLY);
    assert_true(full >= 0);
    o = run_to(full, trib_cli_main, (const char *const[]){"schema", NULL});
    (void)close(full);
    assert_int_equal(o.status, 74);
    assert_non_null(strstr(o.err.p, "No space left on device"));
    outcome_free(&o);
}

static void test_json_log(void **state)
{
    (void)state;
    struct outcome o = RUN("validate", "--log-format", "json", "-c", "/nowhere \"x\"\n.yaml");
    assert_int_equal(o.status, 78);
    json_error_t e;
    json_t *j = json_loads(o.err.p, 0, &e);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(j, "code")), "CONFIG");
    assert_non_null(strstr(json_string_value(json_object_get(j, "error")), "/nowhere \"x\"\n.yaml"));
    assert_non_null(json_object_get(j, "try"));
    json_decref(j);
    outcome_free(&o);
}

/* A verb of the test's own, run by the whole program's parts: log and progress. */
static enum trib_progress_mode progress_mode;
static enum trib_log_format log_format;

static int report_body(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct trib_cli_own own = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct trib_cli cli = {.own = &own};
    cli.flags.progress = progress_mode;
    cli.flags.log_format = log_format;
    trib_log_start(&cli);
    for (int i = 0; i < 1000; i++) { /* limited in rate */
        trib_cli_progress(
            &cli,
            &(struct trib_progress){
                .stage = "ingest", .table = "T", .done = i, .total = 1000, .unit = "files", .rows = i, .bytes = i});
    }
    trib_logkv(&cli.log, TRIB_LOG_DEBUG, "not shown", NULL);
    trib_logkv(&cli.log, TRIB_LOG_INFO, "committed", "table", "T", "note", "two words", "empty", "", NULL);
    trib_cli_progress_done(&cli, &(struct trib_progress){.stage = "ingest",
                                                         .table = "T",
                                                         .done = 1000,
                                                         .total = 1000,
                                                         .unit = "files",
                                                         .rows = 12,
                                                         .bytes = 2048,
                                                         .note = "caught up"});
    trib_progress_end(&cli);
    return 0;
}

static void test_log_and_progress(void **state)
{
    (void)state;
    progress_mode = TRIB_PROGRESS_AUTO; /* stderr is no terminal: plain */
    log_format = TRIB_LOG_FORMAT_TEXT;
    struct outcome o = run_to(-1, report_body, (const char *const[]){NULL});
    assert_int_equal(o.status, 0);
    assert_int_equal(o.out.n, 0);
    assert_null(strchr(o.err.p, '\033'));
    assert_non_null(strstr(o.err.p, " info committed table=T note=\"two words\" empty=\"\"\n"));
    assert_non_null(strstr(o.err.p, "] ingest T 1000/1000 files, 12 rows, 2.0 KiB (caught up)\n"));
    assert_null(strstr(o.err.p, "not shown"));
    assert_null(strstr(o.err.p, " 500/1000"));
    outcome_free(&o);

    progress_mode = TRIB_PROGRESS_JSON;
    log_format = TRIB_LOG_FORMAT_JSON;
    o = run_to(-1, report_body, (const char *const[]){NULL});
    for (char *line = o.err.p, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        json_error_t e;
        json_t *j = json_loads(line, 0, &e);
        assert_non_null(j);
        json_t *done = json_object_get(j, "finished");
        if (json_is_true(done)) {
            assert_int_equal(json_integer_value(json_object_get(j, "rows")), 12);
            assert_string_equal(json_string_value(json_object_get(j, "note")), "caught up");
        }
        json_decref(j);
    }
    outcome_free(&o);

    progress_mode = TRIB_PROGRESS_NONE;
    log_format = TRIB_LOG_FORMAT_TEXT;
    o = run_to(-1, report_body, (const char *const[]){NULL});
    assert_null(strstr(o.err.p, "ingest"));
    assert_non_null(strstr(o.err.p, "committed"));
    outcome_free(&o);
}

/* bash completes verbs, flags, and values of flags. */
static void test_bash_completion(void **state)
{
    (void)state;
    if (system("command -v bash >/dev/null 2>&1") != 0) {
        print_message("no bash here\n");
        skip();
    }
    struct trib_buf b;
    struct trib_err err = {0};
    trib_buf_init(&b, 1 << 20);
    assert_int_equal(trib_cli_completions("bash", &b, &err), 0);
    trib_buf_adds(
        &b,
        "try() { COMP_WORDS=(tributary \"$@\"); COMP_CWORD=$#; COMPREPLY=(); _tributary; echo \"${COMPREPLY[*]}\"; }\n"
        "try vali\ntry --output j\ntry -c x.yaml completions b\ntry init --for\ntry validate --for\ntry --log-f\n");
    char *path = in_dir("completion.bash"), *command = trib_asprintf("bash %s 2>&1", path);
    write_file(path, b.p);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    static const char *const want[] = {"validate\n", "json jsonl\n", "bash\n", "--force\n", "\n", "--log-format\n"};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        char line[512] = "";
        assert_non_null(fgets(line, sizeof line, f));
        assert_string_equal(line, want[i]);
    }
    assert_int_equal(pclose(f), 0);
    free(command);
    free(path);
    trib_buf_free(&b);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"deletes", "domain", "history", "table"};
    assert_string_equal(trib_nearest("delets", names, 4), "deletes");
    assert_string_equal(trib_nearest("DELETES", names, 4), "deletes");
    assert_string_equal(trib_nearest("tabel", names, 4), "table");
    assert_string_equal(trib_nearest("hist", names, 4), "history");
    assert_null(trib_nearest("x", names, 4));
    assert_null(trib_nearest("", names, 4));
    assert_null(trib_nearest("vectors", names, 4));
    assert_null(trib_nearest("any", NULL, 0));
    assert_int_equal(trib_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(trib_edit_distance("ab", "ba"), 1);
    assert_int_equal(trib_edit_distance("", "abc"), 3);
    char longer[200];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(trib_edit_distance(longer, longer), 0);
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/tributary-cli-XXXXXX");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char *command = trib_asprintf("rm -rf '%s'", dir);
    int rc = system(command);
    free(command);
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags_before_and_after),
        cmocka_unit_test(test_environment_twins),
        cmocka_unit_test(test_usage_errors),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_parser_and_help_agree),
        cmocka_unit_test(test_tables_are_whole),
        cmocka_unit_test(test_examples_parse),
        cmocka_unit_test(test_pages_are_current),
        cmocka_unit_test(test_everything_is_listed),
        cmocka_unit_test(test_help_and_version),
        cmocka_unit_test(test_init_and_validate),
        cmocka_unit_test(test_bad_config),
        cmocka_unit_test(test_bad_sql),
        cmocka_unit_test(test_secrets_stay_out),
        cmocka_unit_test(test_config_is_found),
        cmocka_unit_test(test_stdout_that_ends),
        cmocka_unit_test(test_json_log),
        cmocka_unit_test(test_log_and_progress),
        cmocka_unit_test(test_bash_completion),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
