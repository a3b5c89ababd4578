/*
 * Loading the configuration: reads the file, parses, checks, binds; collects all problems. Owns nothing on disk, writes nothing.
 * Threads: any; a loaded config is read-only.
 */
#include "pipeline/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/config_own.h"

static const char *real_variable(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

/* Any readable file, pipes included (`-c <(…)`, systemd credentials), up to the buffer's maximum. */
static int real_read(void *ctx, const char *path, struct trib_buf *to, struct trib_err *err)
{
    (void)ctx;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return trib_err_errno(err, errno, "cannot read %s", path);
    }
    int rc = 0;
    for (;;) {
        char part[16384];
        ssize_t k = read(fd, part, sizeof part);
        if (k < 0 && errno == EINTR) {
            continue;
        }
        if (k < 0) {
            rc = trib_err_errno(err, errno, "cannot read %s", path);
            break;
        }
        trib_buf_add(to, part, (size_t)k);
        if (k == 0 || to->overflow) {
            rc = trib_buf_check(to, path, err);
            break;
        }
    }
    (void)close(fd);
    return rc;
}

/* The folder of a file, absolute; pipes and descriptors (/dev/fd/63) mean the current one. [out] */
static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    char *here = getcwd(NULL, 0), *folder;
    if (slash == NULL || strncmp(file, "/dev/", 5) == 0 || strncmp(file, "/proc/", 6) == 0) {
        folder = trib_strdup(here != NULL ? here : ".");
    } else if (file[0] == '/') {
        folder = trib_strndup(file, slash == file ? 1 : (size_t)(slash - file));
    } else {
        folder = trib_asprintf("%s/%.*s", here != NULL ? here : ".", (int)(slash - file), file);
    }
    free(here);
    return folder;
}

static char *report_of(const struct trib_problems *p)
{
    struct trib_buf b;
    trib_buf_init(&b, (size_t)8 << 20);
    for (size_t i = 0; i < p->n; i++) {
        trib_buf_addf(&b, "%s:%zu:%zu: %s\n", p->file, p->all[i].line, p->all[i].column, p->all[i].text);
    }
    if (p->more) {
        trib_buf_addf(&b, "%s: and more\n", p->file);
    }
    return trib_buf_take(&b);
}

static void take_warnings(struct trib_config *c, const struct trib_problems *warnings)
{
    c->warnings = trib_calloc(warnings->n, sizeof *c->warnings);
    for (size_t i = 0; i < warnings->n; i++) {
        c->warnings[c->n_warnings++] = trib_asprintf("%s:%zu:%zu: %s", warnings->file, warnings->all[i].line,
                                                     warnings->all[i].column, warnings->all[i].text);
    }
}

static int parse(struct trib_view text, const char *file, const struct trib_config_world *world, bool check_files,
                 struct trib_config **ret, char **ret_report, struct trib_err *err)
{
    struct trib_problems problems = {.file = file}, warnings = {.file = file};
    struct trib_config *c = trib_calloc(1, sizeof *c);
    c->file = trib_strdup(file);
    c->own = trib_calloc(1, sizeof *c->own);
    c->own->folder = trib_strdup(world->folder);
    trib_arena_init(&c->own->arena);
    struct trib_cfg_work w = {.config = c,
                              .problems = &problems,
                              .warnings = &warnings,
                              .arena = &c->own->arena,
                              .folder = world->folder,
                              .world = world,
                              .check_files = check_files};
    trib_yaml_parse(text, world, &c->own->arena, &problems, &c->own->secrets, &c->own->root);
    trib_config_check(&w);
    trib_config_bind(&w);
    trib_problems_sort(&problems);
    trib_problems_sort(&warnings);
    int rc = 0;
    if (problems.n > 0) {
        char *report = report_of(&problems);
        struct trib_buf redacted;
        trib_buf_init(&redacted, (size_t)8 << 20);
        trib_buf_adds(&redacted, report);
        trib_config_redact(c, &redacted);
        free(report);
        report = trib_buf_take(&redacted);
        rc = trib_err_set(err, TRIB_E_CONFIG, "%.*s", (int)strcspn(report, "\n"), report);
        if (ret_report != NULL) {
            *ret_report = report;
        } else {
            free(report);
        }
        trib_config_free(c);
    } else {
        take_warnings(c, &warnings);
        *ret = c;
    }
    trib_problems_free(&problems);
    trib_problems_free(&warnings);
    return rc;
}

int trib_config_parse_in(struct trib_view text, const char *file, const struct trib_config_world *world,
                         struct trib_config **ret, char **ret_report, struct trib_err *err)
{
    return parse(text, file, world, false, ret, ret_report, err);
}

int trib_config_parse(struct trib_view text, const char *file, struct trib_config **ret, char **ret_report,
                      struct trib_err *err)
{
    char *folder = folder_of(file);
    struct trib_config_world world = {real_variable, real_read, NULL, folder};
    int rc = parse(text, file, &world, false, ret, ret_report, err);
    free(folder);
    return rc;
}

int trib_config_load(const char *path, struct trib_config **ret, char **ret_report, struct trib_err *err)
{
    struct trib_buf text;
    trib_buf_init(&text, TRIB_CONFIG_FILE_MAX);
    int rc = real_read(NULL, path, &text, err);
    if (rc != 0) {
        if (err != NULL) {
            err->code = TRIB_E_CONFIG; /* whatever kept it from being read: the way out is another -c */
        }
        rc = TRIB_E_CONFIG;
    } else {
        char *folder = folder_of(path);
        struct trib_config_world world = {real_variable, real_read, NULL, folder};
        rc = parse(trib_buf_view(&text), path, &world, true, ret, ret_report, err);
        free(folder);
    }
    trib_buf_free(&text);
    return rc;
}

void trib_config_free(struct trib_config *c)
{
    if (c == NULL) {
        return;
    }
    trib_config_unbind(c);
    for (size_t i = 0; i < c->n_warnings; i++) {
        free(c->warnings[i]);
    }
    free(c->warnings);
    trib_secrets_free(&c->own->secrets);
    trib_arena_free(&c->own->arena);
    free(c->own->folder);
    free(c->own);
    free(c->file);
    free(c);
}

int trib_config_find(const char *flag, char **ret, struct trib_err *err)
{
    const char *variable = getenv("TRIBUTARY_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (flag == NULL && variable != NULL && variable[0] != '\0') {
        flag = variable;
    }
    if (flag != NULL) {
        *ret = trib_strdup(strcmp(flag, "-") == 0 ? "/dev/stdin" : flag);
        return 0;
    }
    char *places[3] = {trib_strdup("tributary.yaml"),
                       xdg != NULL && xdg[0] == '/'     ? trib_asprintf("%s/tributary/tributary.yaml", xdg)
                       : home != NULL && home[0] == '/' ? trib_asprintf("%s/.config/tributary/tributary.yaml", home)
                                                        : trib_strdup(""),
                       trib_strdup("/etc/tributary/tributary.yaml")};
    char *found = NULL;
    for (size_t i = 0; i < 3 && found == NULL; i++) {
        if (places[i][0] != '\0' && access(places[i], F_OK) == 0) {
            found = trib_strdup(places[i]);
        }
    }
    int rc =
        found != NULL
            ? 0
            : trib_err_set(err, TRIB_E_CONFIG,
                           "there is no configuration: looked for ./tributary.yaml, %s%s/etc/tributary/tributary.yaml; "
                           "try: -c FILE, or `tributary init` for one to begin with",
                           places[1], places[1][0] != '\0' ? ", " : "");
    for (size_t i = 0; i < 3; i++) {
        free(places[i]);
    }
    if (rc == 0) {
        *ret = found;
    }
    return rc;
}

void trib_config_redact(const struct trib_config *c, struct trib_buf *text)
{
    trib_secrets_redact(&c->own->secrets, text);
}
