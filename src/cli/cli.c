/*
 * From main to a verb and back: parses, sets up the log and stdout, runs the verb, prints what went wrong, once, with what to try.
 * Owns the life of everything that a verb opened. Never exits: main does.
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/near.h"
#include "cli/own.h"

void trib_cli_try(struct trib_cli *cli, const char *fmt, ...)
{
    va_list ap;
    char *s = NULL;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n >= 0) {
        free(cli->own->hint);
        cli->own->hint = s;
    }
}

/* What to try when nobody said better. */
static char *default_hint(const struct trib_cli *cli, enum trib_code code)
{
    const char *verb = cli->verb != NULL ? cli->verb->name : NULL;
    switch (code) {
    case TRIB_E_USAGE:
        return verb != NULL ? trib_asprintf("tributary %s --help", verb) : trib_strdup("tributary --help");
    case TRIB_E_CONFIG:
        return trib_strdup(
            "correct the configuration and check it with `tributary validate`; `tributary schema` explains every key");
    case TRIB_E_DATA:
    case TRIB_E_LIMIT:
        return trib_strdup(
            "look at the named input; what was committed before stays, and the command can be run again");
    case TRIB_E_UNAVAILABLE: return trib_strdup("check that the service can be reached, and run the command again");
    case TRIB_E_UNSUPPORTED:
        return trib_strdup("see what this version supports: `tributary --help`, `tributary schema`");
    case TRIB_E_IO:
    case TRIB_E_NOT_FOUND:
    case TRIB_E_EXISTS:
        return trib_strdup("check that the path exists, its permissions and the free space, and run the command again");
    case TRIB_E_CONFLICT:
    case TRIB_E_AGAIN:
    case TRIB_E_CANCELLED: return trib_strdup("run the command again; it goes on where it stopped");
    case TRIB_E_INTERNAL:
    case TRIB_OK: break;
    }
    return trib_strdup("run it again with -v and report what it says as a bug; what was committed is safe");
}

static void print_error(struct trib_cli *cli, struct trib_err *err)
{
    static const char mark[] = "; try: ";
    char *at = strstr(err->msg, mark), *hint = cli->own->hint;
    cli->own->hint = NULL;
    if (at != NULL) {
        free(hint);
        hint = trib_strdup(at + strlen(mark));
        *at = '\0';
    } else if (hint == NULL) {
        hint = default_hint(cli, err->code);
    }
    if (cli->flags.log_format == TRIB_LOG_FORMAT_JSON) {
        trib_logkv(&cli->log, TRIB_LOG_ERROR, "failed", "code", trib_code_name(err->code), "error", err->msg, "try",
                   hint, NULL);
    } else {
        struct trib_buf b;
        trib_buf_init(&b, (size_t)1 << 16);
        trib_buf_addf(&b, "%stributary: error:%s %s\n  try: %s\n", cli->colour ? "\033[31m" : "",
                      cli->colour ? "\033[0m" : "", err->msg, hint);
        (void)pthread_mutex_lock(&cli->own->lock);
        trib_progress_clear(cli);
        trib_stderr_write(cli, &b);
        (void)pthread_mutex_unlock(&cli->own->lock);
        trib_buf_free(&b);
    }
    free(hint);
}

/* All problems of a config, one a line; the last line is the error itself. */
static void print_report(struct trib_cli *cli, const char *report)
{
    struct trib_buf b;
    trib_buf_init(&b, (size_t)4 << 20);
    for (const char *p = report; *p != '\0';) {
        size_t n = strcspn(p, "\n");
        char *line = trib_strndup(p, n);
        if (cli->flags.log_format == TRIB_LOG_FORMAT_JSON) {
            trib_logkv(&cli->log, TRIB_LOG_ERROR, "config problem", "error", line, NULL);
        } else {
            trib_buf_addf(&b, "%s\n", line);
        }
        free(line);
        p += n + (p[n] == '\n');
    }
    trib_stderr_write(cli, &b);
    trib_buf_free(&b);
}

static size_t count_lines(const char *s)
{
    size_t n = 0;
    for (; *s != '\0'; s++) {
        n += *s == '\n';
    }
    return n;
}

int trib_cli_report(struct trib_cli *cli, const char *file, const char *report, struct trib_err *err)
{
    size_t n = count_lines(report);
    if (n > 1) {
        print_report(cli, report);
        return trib_err_set(err, TRIB_E_CONFIG, "%s: %zu problems, see above", file, n);
    }
    return trib_err_set(err, TRIB_E_CONFIG, "%.*s", (int)strcspn(report, "\n"), report);
}

static int check_tables(struct trib_cli *cli, const struct trib_config *c, struct trib_err *err)
{
    for (size_t i = 0; i < cli->flags.n_tables; i++) {
        const char *name = cli->flags.tables[i], *near = NULL;
        bool known = false;
        const char **names = trib_malloc((c->n_tables + 1) * sizeof *names);
        for (size_t k = 0; k < c->n_tables; k++) {
            names[k] = c->tables[k].name;
            known = known || strcmp(names[k], name) == 0;
        }
        near = trib_nearest(name, names, c->n_tables);
        int rc = 0;
        if (!known) {
            rc = near != NULL
                     ? trib_err_set(err, TRIB_E_USAGE, "--table: there is no table `%s` in %s; did you mean `%s`?",
                                    name, c->file, near)
                     : trib_err_set(err, TRIB_E_USAGE, "--table: there is no table `%s` in %s", name, c->file);
        }
        free(names);
        TRIB_TRY(rc);
    }
    return 0;
}

int trib_cli_config(struct trib_cli *cli, const struct trib_config **ret, struct trib_err *err)
{
    if (cli->own->config == NULL) {
        char *path = NULL, *report = NULL;
        TRIB_TRY(trib_config_find(cli->flags.config, &path, err));
        int rc = trib_config_load(path, &cli->own->config, &report, err);
        if (rc != 0 && access(path, F_OK) != 0) {
            trib_cli_try(cli,
                         "another file with -c FILE (or TRIBUTARY_CONFIG), or `tributary init` for one to begin with");
        } else if (rc != 0 && access(path, R_OK) != 0) {
            trib_cli_try(cli, "permission to read it, or another file with -c FILE (or TRIBUTARY_CONFIG)");
        }
        if (report != NULL) {
            rc = trib_cli_report(cli, path, report, err);
        }
        free(report);
        free(path);
        TRIB_TRY(rc);
        for (size_t i = 0; i < cli->own->config->n_warnings; i++) {
            trib_logkv(&cli->log, TRIB_LOG_WARN, "config", "text", cli->own->config->warnings[i], NULL);
        }
    }
    TRIB_TRY(check_tables(cli, cli->own->config, err));
    *ret = cli->own->config;
    return 0;
}

void trib_cli_config_swap(struct trib_cli *cli, struct trib_config *next)
{
    (void)pthread_mutex_lock(&cli->own->lock);
    trib_config_free(cli->own->config);
    cli->own->config = next;
    (void)pthread_mutex_unlock(&cli->own->lock);
}

bool trib_cli_table_wanted(const struct trib_cli *cli, const char *table)
{
    for (size_t i = 0; i < cli->flags.n_tables; i++) {
        if (strcmp(cli->flags.tables[i], table) == 0) {
            return true;
        }
    }
    return cli->flags.n_tables == 0;
}

static void print_text(struct trib_cli *cli, FILE *to, void (*make)(struct trib_buf *))
{
    struct trib_buf b;
    trib_buf_init(&b, (size_t)1 << 20);
    make(&b);
    (void)fwrite(b.p, 1, b.n, to);
    trib_buf_free(&b);
    (void)cli;
}

static int run(struct trib_cli *cli, int argc, char **argv, struct trib_err *err)
{
    TRIB_TRY(trib_cli_parse(cli, argc, argv, getenv, err));
    trib_log_start(cli);
    if (cli->flags.version) {
        print_text(cli, cli->out, trib_cli_versions);
        return 0;
    }
    if (cli->flags.help) {
        struct trib_buf b;
        trib_buf_init(&b, (size_t)1 << 20);
        if (cli->verb != NULL) {
            trib_cli_help_verb(cli->verb, &b);
        } else {
            trib_cli_help(&b);
        }
        (void)fwrite(b.p, 1, b.n, cli->out);
        trib_buf_free(&b);
        return 0;
    }
    return cli->verb->run(cli, err);
}

static bool colour_wanted(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return (no == NULL || no[0] == '\0') && term != NULL && strcmp(term, "dumb") != 0 && isatty(STDERR_FILENO);
}

/* A closed standard stream would give its number to the next file that is opened, perhaps one of the lake's, and what is printed
 * would go there. In its place stands one that cannot be written to, so that a lost result is an error still. */
static void hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDONLY) != fd) {
            return; /* nowhere to say it */
        }
    }
}

int trib_cli_main(int argc, char **argv)
{
    hold_standard_streams();
    struct trib_cli_own own = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct trib_cli cli = {.own = &own, .colour = colour_wanted(), .terminal_out = isatty(STDOUT_FILENO) != 0};
    struct trib_err err = {0};
    trib_mem_few_heaps();
    (void)signal(SIGPIPE, SIG_IGN);
    trib_log_start(&cli);
    cli.out = trib_out_open(&cli);
    if (argc <= 1) {
        print_text(&cli, stderr, trib_cli_help);
    }
    int rc = cli.out == NULL ? trib_err_set(&err, TRIB_E_IO, "cannot open stdout") : run(&cli, argc, argv, &err);
    struct trib_err out_err = {0};
    int out_rc = trib_out_finish(&cli, &out_err);
    if (rc == 0 && out_rc != 0) {
        rc = out_rc;
        err = out_err;
    }
    if (rc != 0) {
        print_error(&cli, &err);
    }
    if (own.close != NULL) {
        own.close(&cli);
    }
    trib_progress_end(&cli);
    trib_config_free(own.config);
    free(own.hint);
    trib_cli_release(&cli);
    return rc != 0 ? trib_code_exit((enum trib_code)rc) : cli.exit_status;
}
