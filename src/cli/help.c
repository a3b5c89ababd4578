/*
 * Help, the man page and the command reference, all from the tables of verbs and flags, so that none can disagree with the parser.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { WIDTH = 96 };

static const char about[] = "Keeps a lakehouse (Delta tables) in step with DynamoDB tables, exactly once.";

static const struct {
    int status;
    const char *text;
} exits[] = {
    {0, "done"},
    {64, "usage: a wrong verb, flag or argument"},
    {65, "bad data that the configuration says must fail; the other tables went on"},
    {69, "a service is unavailable"},
    {70, "an internal error"},
    {74, "input/output error"},
    {75, "try again: another process was first, or it was asked to stop"},
    {78, "the configuration is wrong"},
};

/* Appends text wrapped to WIDTH, every line but the first indented. column: where the first line begins. */
static void wrap(struct trib_buf *to, const char *text, size_t column, size_t indent)
{
    size_t at = column;
    bool first = true;
    for (const char *p = text; *p != '\0';) {
        if (*p == '\n') {
            trib_buf_addf(to, "\n%*s", (int)indent, "");
            at = indent;
            first = true;
            p++;
            continue;
        }
        size_t n = strcspn(p, " \n");
        if (!first && at + 1 + n > WIDTH) {
            trib_buf_addf(to, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!first) {
            trib_buf_addc(to, ' ');
            at++;
        }
        trib_buf_add(to, p, n);
        at += n;
        first = false;
        p += n;
        p += *p == ' ';
    }
}

/* "-c, --config FILE" */
static void flag_head(struct trib_buf *to, const struct trib_flag *f)
{
    if (f->letter != 0) {
        trib_buf_addf(to, "-%c, ", f->letter);
    }
    trib_buf_addf(to, "--%s", f->name);
    if (f->value != NULL) {
        trib_buf_addf(to, " %s", f->value);
    }
}

static void flag_text(struct trib_buf *to, const struct trib_flag *f, bool variable)
{
    trib_buf_adds(to, f->text);
    if (f->initial != NULL) {
        trib_buf_addf(to, " (default: %s)", f->initial);
    }
    if (variable && strcmp(f->name, "help") != 0 && strcmp(f->name, "version") != 0) {
        char *v = trib_flag_variable(f);
        trib_buf_addf(to, " [%s]", v);
        free(v);
    }
}

static void help_flags(struct trib_buf *to, const struct trib_verb *v, bool common)
{
    enum { INDENT = 34 };
    size_t n;
    const struct trib_flag *all = trib_flags_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (all[i].common != common || !trib_verb_takes(v, &all[i])) {
            continue;
        }
        struct trib_buf head, text;
        trib_buf_init(&head, 256);
        trib_buf_init(&text, 4096);
        flag_head(&head, &all[i]);
        flag_text(&text, &all[i], true);
        size_t begin = to->n;
        trib_buf_addf(to, "  %s%s", all[i].letter != 0 ? "" : "    ", head.p);
        size_t used = to->n - begin;
        if (used + 2 > INDENT) {
            trib_buf_addf(to, "\n%*s", INDENT, "");
        } else {
            trib_buf_addf(to, "%*s", (int)(INDENT - used), "");
        }
        wrap(to, text.p, INDENT, INDENT);
        trib_buf_addc(to, '\n');
        trib_buf_free(&head);
        trib_buf_free(&text);
    }
}

void trib_cli_help(struct trib_buf *to)
{
    size_t n;
    const struct trib_verb *const *verbs = trib_verbs_table(&n);
    trib_buf_addf(to, "tributary %s: %s\n\nusage: tributary VERB [FLAGS] [ARGUMENTS]\n\nverbs:\n", TRIB_VERSION, about);
    for (size_t i = 0; i < n; i++) {
        if (!verbs[i]->hidden) {
            trib_buf_addf(to, "  %-13s", verbs[i]->name);
            wrap(to, verbs[i]->summary, 15, 15);
            trib_buf_addc(to, '\n');
        }
    }
    trib_buf_adds(to, "\nflags of every verb, before or after it [and their environment variables]:\n");
    help_flags(to, NULL, true);
    trib_buf_adds(to, "\nResults go to stdout, logs and progress to stderr. NO_COLOR is honoured.\n\nexit status:\n");
    for (size_t i = 0; i < sizeof exits / sizeof exits[0]; i++) {
        trib_buf_addf(to, "  %-4d %s\n", exits[i].status, exits[i].text);
    }
    trib_buf_adds(
        to,
        "\n`tributary VERB --help` explains a verb. A beginning: `tributary init`, edit tributary.yaml, `tributary validate`, `tributary run --once`.\n");
}

static bool has_own_flags(const struct trib_verb *v) { return v->flags != NULL && v->flags[0] != '\0'; }

/* Calls fn for each "COMMAND # text" line of the examples. */
static void each_example(const struct trib_verb *v,
                         void (*fn)(struct trib_buf *to, const char *command, const char *text), struct trib_buf *to)
{
    for (const char *p = v->examples; p != NULL && *p != '\0';) {
        size_t n = strcspn(p, "\n");
        char *line = trib_strndup(p, n), *hash = strstr(line, " # ");
        if (hash != NULL) {
            *hash = '\0';
        }
        fn(to, line, hash != NULL ? hash + 3 : "");
        free(line);
        p += n + (p[n] == '\n');
    }
}

static void example_help(struct trib_buf *to, const char *command, const char *text)
{
    trib_buf_addf(to, "  %s\n      %s\n", command, text);
}

void trib_cli_help_verb(const struct trib_verb *v, struct trib_buf *to)
{
    trib_buf_addf(to, "tributary %s: %s\n\nusage: tributary %s%s%s [FLAGS]\n", v->name, v->summary, v->name,
                  v->args != NULL ? " " : "", v->args != NULL ? v->args : "");
    if (v->text != NULL) {
        trib_buf_addc(to, '\n');
        wrap(to, v->text, 0, 0);
        trib_buf_addc(to, '\n');
    }
    if (has_own_flags(v)) {
        trib_buf_adds(to, "\nflags:\n");
        help_flags(to, v, false);
    }
    trib_buf_adds(to, "\nflags of every verb:\n");
    help_flags(to, v, true);
    trib_buf_adds(to, "\nexamples:\n");
    each_example(v, example_help, to);
}

/* ---- man page ---- */

/* Text into roff: backslashes, hyphens that a user types, a leading dot or quote; `code` in bold. */
static void roff(struct trib_buf *to, const char *s)
{
    bool line_start = true, bold = false;
    for (; *s != '\0'; s++) {
        if (line_start && (*s == '.' || *s == '\'')) {
            trib_buf_adds(to, "\\&");
        }
        line_start = *s == '\n';
        if (*s == '\\') {
            trib_buf_adds(to, "\\e");
        } else if (*s == '-') {
            trib_buf_adds(to, "\\-");
        } else if (*s == '"') { /* a macro would take it for the quote around an argument */
            trib_buf_adds(to, "\\(dq");
        } else if (*s == '`') {
            bold = !bold;
            trib_buf_adds(to, bold ? "\\fB" : "\\fR");
        } else {
            trib_buf_addc(to, *s);
        }
    }
    if (bold) {
        trib_buf_adds(to, "\\fR");
    }
}

static void man_flags(struct trib_buf *to, const struct trib_verb *v, bool common)
{
    size_t n;
    const struct trib_flag *all = trib_flags_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (all[i].common != common || !trib_verb_takes(v, &all[i])) {
            continue;
        }
        struct trib_buf text;
        trib_buf_init(&text, 4096);
        trib_buf_adds(to, ".TP\n.B ");
        flag_head(&text, &all[i]);
        roff(to, text.p);
        trib_buf_clear(&text);
        trib_buf_addc(to, '\n');
        flag_text(&text, &all[i], true);
        roff(to, text.p);
        trib_buf_addc(to, '\n');
        trib_buf_free(&text);
    }
}

static void example_man(struct trib_buf *to, const char *command, const char *text)
{
    trib_buf_adds(to, ".TP\n.B ");
    roff(to, command);
    trib_buf_addc(to, '\n');
    roff(to, text);
    trib_buf_addc(to, '\n');
}

static void man_verb(struct trib_buf *to, const struct trib_verb *v)
{
    trib_buf_adds(to, ".SS \"tributary ");
    roff(to, v->name);
    for (const char *p = v->args != NULL ? v->args : ""; *p != '\0'; p++) {
        if (p == v->args) {
            trib_buf_addc(to, ' ');
        }
        trib_buf_adds(to, *p == '"' ? "\\(dq" : (char[]){*p, '\0'});
    }
    trib_buf_adds(to, "\"\n");
    roff(to, v->summary);
    trib_buf_adds(to, ".\n");
    for (const char *p = v->text; p != NULL && *p != '\0';) {
        size_t n = strcspn(p, "\n");
        char *line = trib_strndup(p, n);
        trib_buf_adds(to, ".PP\n");
        roff(to, line);
        trib_buf_addc(to, '\n');
        free(line);
        p += n + strspn(p + n, "\n");
    }
    man_flags(to, v, false);
    each_example(v, example_man, to);
}

void trib_cli_man(struct trib_buf *to)
{
    size_t n;
    const struct trib_verb *const *verbs = trib_verbs_table(&n);
    trib_buf_addf(
        to,
        ".\\\" Generated by `tributary docs man`; do not edit.\n.TH TRIBUTARY 1 \"\" \"tributary %s\" \"User Commands\"\n",
        TRIB_VERSION);
    trib_buf_adds(to,
                  ".SH NAME\ntributary \\- keep a lakehouse in step with DynamoDB tables, exactly once\n.SH SYNOPSIS\n"
                  ".B tributary\n.I VERB\n[\\fIFLAGS\\fR] [\\fIARGUMENTS\\fR]\n.SH DESCRIPTION\n");
    roff(to, about);
    trib_buf_adds(
        to,
        "\nResults go to stdout, logs and progress to stderr. Flags may stand before or after the verb.\n.SH VERBS\n");
    for (size_t i = 0; i < n; i++) {
        if (!verbs[i]->hidden) {
            man_verb(to, verbs[i]);
        }
    }
    trib_buf_adds(
        to, ".SH FLAGS OF EVERY VERB\nThe environment variable in brackets is used where the flag is not given.\n");
    man_flags(to, NULL, true);
    trib_buf_adds(to, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < sizeof exits / sizeof exits[0]; i++) {
        trib_buf_addf(to, ".TP\n.B %d\n", exits[i].status);
        roff(to, exits[i].text);
        trib_buf_addc(to, '\n');
    }
    trib_buf_adds(
        to,
        ".SH SIGNALS\n.TP\n.B SIGTERM, SIGINT\nDrain and commit, at most 60 seconds; a second one stops at once. Nothing is lost either way.\n"
        ".TP\n.B SIGHUP\nRead the configuration again: it is swapped in when it is valid, else the old one stays and the log says why.\n"
        ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nNo colours.\n.TP\n.B XDG_CONFIG_HOME, XDG_STATE_HOME\nWhere the configuration is looked for, and where the local "
        "cache goes.\n.SH FILES\n.TP\n.I tributary.yaml\nThe configuration; `tributary schema` explains every key.\n");
}

/* ---- the command reference in Markdown ---- */

static void markdown_flags(struct trib_buf *to, const struct trib_verb *v, bool common)
{
    size_t n;
    const struct trib_flag *all = trib_flags_table(&n);
    trib_buf_adds(to, "| flag | variable | what |\n|---|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        if (all[i].common != common || !trib_verb_takes(v, &all[i])) {
            continue;
        }
        struct trib_buf text;
        trib_buf_init(&text, 4096);
        flag_head(&text, &all[i]);
        trib_buf_adds(to, "| `");
        for (const char *p = text.p; *p != '\0'; p++) {
            trib_buf_adds(to, *p == '|' ? "\\|" : (char[]){*p, '\0'});
        }
        trib_buf_clear(&text);
        flag_text(&text, &all[i], false);
        char *variable = trib_flag_variable(&all[i]);
        bool none = strcmp(all[i].name, "help") == 0 || strcmp(all[i].name, "version") == 0;
        trib_buf_addf(to, none ? "` | %s| %s |\n" : "` | `%s` | %s |\n", none ? "" : variable, text.p);
        free(variable);
        trib_buf_free(&text);
    }
    trib_buf_addc(to, '\n');
}

static void example_markdown(struct trib_buf *to, const char *command, const char *text)
{
    trib_buf_addf(to, "%s   # %s\n", command, text);
}

void trib_cli_commands(struct trib_buf *to)
{
    size_t n;
    const struct trib_verb *const *verbs = trib_verbs_table(&n);
    trib_buf_adds(to, "# Commands\n\n<!-- Generated by `tributary docs commands`; do not edit. -->\n\n");
    trib_buf_adds(
        to,
        "Results go to stdout, logs and progress to stderr. Flags may stand before or after the verb.\n"
        "An environment variable is used where its flag is not given. `NO_COLOR` is honoured.\n\n## Flags of every verb\n\n");
    markdown_flags(to, NULL, true);
    for (size_t i = 0; i < n; i++) {
        const struct trib_verb *v = verbs[i];
        if (v->hidden) {
            continue;
        }
        trib_buf_addf(to, "## `tributary %s%s%s`\n\n%c%s.\n\n", v->name, v->args != NULL ? " " : "",
                      v->args != NULL ? v->args : "",
                      v->summary[0] >= 'a' && v->summary[0] <= 'z' ? v->summary[0] - 'a' + 'A' : v->summary[0],
                      v->summary + 1);
        if (v->text != NULL) {
            for (const char *p = v->text; *p != '\0'; p++) {
                trib_buf_addc(to, *p);
            }
            trib_buf_adds(to, "\n\n");
        }
        if (has_own_flags(v)) {
            markdown_flags(to, v, false);
        }
        trib_buf_adds(to, "```sh\n");
        each_example(v, example_markdown, to);
        trib_buf_adds(to, "```\n\n");
    }
    trib_buf_adds(to, "## Exit status\n\n| status | meaning |\n|---|---|\n");
    for (size_t i = 0; i < sizeof exits / sizeof exits[0]; i++) {
        trib_buf_addf(to, "| %d | %s |\n", exits[i].status, exits[i].text);
    }
}
