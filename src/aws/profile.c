/* AWS's shared files (profile.h). Pure but for reading them; each object belongs to one thread at a time. */
#include "aws/profile.h"

#include <stdlib.h>
#include <string.h>

#include "aws/own.h"
#include "base/near.h"

enum { FILE_MAX = 1 << 20, ENTRIES_MAX = 20000 };

struct entry {
    char *kind, *name; /* "profile" "shop", "sso-session" "x", "services" "x" */
    char *key, *sub;   /* sub: of an indented line, or NULL; key NULL: the section itself */
    char *value;
    bool credentials; /* from the credentials file */
};
struct trib_profiles {
    struct entry *entries;
    size_t n, cap;
    char *config_path, *credentials_path;
};

char *trib_aws_home_path(const struct trib_aws_host *host, const char *path)
{
    if (strncmp(path, "~/", 2) != 0) {
        return trib_strdup(path);
    }
    const char *home = host->getenv(host->getenv_ctx, "HOME");
    return home == NULL || *home == '\0' ? NULL : trib_asprintf("%s/%s", home, path + 2);
}

int trib_aws_read_secret(const struct trib_aws_host *host, const char *path, struct trib_buf *to, struct trib_err *err)
{
    struct trib_fs_stat st;
    TRIB_TRY(host->fs->stat(host->fs->ctx, path, &st, err));
    trib_buf_init(to, FILE_MAX);
    if (st.size > FILE_MAX) {
        return trib_err_set(err, TRIB_E_LIMIT, "%s: longer than %d bytes", path, FILE_MAX);
    }
    (void)trib_buf_reserve(to, (size_t)st.size);
    int rc = host->fs->read(host->fs->ctx, path, 0, -1, to, err);
    rc = rc != 0 ? rc : trib_buf_check(to, path, err);
    if (rc != 0) {
        trib_aws_wipe_buf(to);
    }
    return rc;
}

static struct trib_view trim(struct trib_view v)
{
    while (v.n > 0 && (*v.p == ' ' || *v.p == '\t')) {
        v.p++;
        v.n--;
    }
    while (v.n > 0 && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t' || v.p[v.n - 1] == '\r')) {
        v.n--;
    }
    return v;
}

/* A comment behind a value begins with white space and '#' or ';'. */
static struct trib_view value_of(struct trib_view v)
{
    for (size_t i = 1; i < v.n; i++) {
        if ((v.p[i] == '#' || v.p[i] == ';') && (v.p[i - 1] == ' ' || v.p[i - 1] == '\t')) {
            v.n = i;
        }
    }
    return trim(v);
}

static char *dup_lower(struct trib_view v)
{
    char *s = trib_strndup(v.p, v.n);
    for (char *c = s; *c != '\0'; c++) {
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    }
    return s;
}

struct file {
    struct trib_profiles *p;
    bool credentials;
    const char *path;
    size_t line;
    struct trib_view kind, name; /* the section; kind.n 0: one that is none of ours */
    struct trib_view parent;     /* the last key, when its value was empty */
};

static struct entry *add(struct file *f)
{
    struct trib_profiles *p = f->p;
    TRIB_GROW(p->entries, p->cap, p->n + 1);
    struct entry *e = &p->entries[p->n++];
    *e = (struct entry){.kind = trib_strndup(f->kind.p, f->kind.n),
                        .name = trib_strndup(f->name.p, f->name.n),
                        .credentials = f->credentials};
    return e;
}

static int section(struct file *f, struct trib_view line, struct trib_err *err)
{
    const char *end = memchr(line.p, ']', line.n);
    if (end == NULL) {
        return trib_err_set(err, TRIB_E_CONFIG, "%s line %zu: a section without its ]", f->path, f->line);
    }
    struct trib_view in = trim((struct trib_view){line.p + 1, (size_t)(end - line.p) - 1});
    size_t word = 0;
    while (word < in.n && in.p[word] != ' ' && in.p[word] != '\t') {
        word++;
    }
    struct trib_view first = {in.p, word}, rest = trim((struct trib_view){in.p + word, in.n - word});
    f->parent = (struct trib_view){0};
    if (f->credentials || (rest.n == 0 && trib_view_is(first, "default"))) {
        f->kind = TRIB_VIEW_LIT("profile");
        f->name = in;
    } else if (rest.n > 0 && (trib_view_is(first, "profile") || trib_view_is(first, "sso-session") ||
                              trib_view_is(first, "services"))) {
        f->kind = first;
        f->name = rest;
    } else {
        f->kind = (struct trib_view){0}; /* "[plugins]", a name without "profile": not ours, as in the AWS CLI */
        return 0;
    }
    (void)add(f);
    return 0;
}

static int setting(struct file *f, struct trib_view line, bool indented, struct trib_err *err)
{
    const char *eq = memchr(line.p, '=', line.n);
    if (f->kind.n == 0 || (indented && f->parent.n == 0)) {
        return 0; /* of a section of others; the second line of a value, which no key of ours has */
    }
    if (eq == NULL) {
        return trib_err_set(err, TRIB_E_CONFIG, "%s line %zu: neither [section] nor key = value", f->path, f->line);
    }
    struct trib_view key = trim((struct trib_view){line.p, (size_t)(eq - line.p)});
    struct trib_view value = value_of(trim((struct trib_view){eq + 1, line.n - (size_t)(eq - line.p) - 1}));
    if (f->p->n == ENTRIES_MAX) {
        return trib_err_set(err, TRIB_E_LIMIT, "%s: more than %d lines", f->path, ENTRIES_MAX);
    }
    struct entry *e = add(f);
    e->key = dup_lower(indented ? f->parent : key);
    e->sub = indented ? dup_lower(key) : NULL;
    e->value = trib_strndup(value.p, value.n);
    if (!indented) {
        f->parent = value.n == 0 ? key : (struct trib_view){0};
    }
    return 0;
}

static int parse(struct file *f, struct trib_view text, struct trib_err *err)
{
    while (text.n > 0) {
        const char *nl = memchr(text.p, '\n', text.n);
        size_t n = nl == NULL ? text.n : (size_t)(nl - text.p);
        struct trib_view raw = {text.p, n}, line = trim(raw);
        text.p += n + (nl != NULL);
        text.n -= n + (nl != NULL);
        f->line++;
        for (size_t i = 0; i < line.n; i++) { /* names and values come into messages */
            if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 127) {
                return trib_err_set(err, TRIB_E_CONFIG, "%s line %zu: a control character", f->path, f->line);
            }
        }
        if (line.n == 0 || *line.p == '#' || *line.p == ';') {
            continue;
        }
        TRIB_TRY(*raw.p == '[' ? section(f, line, err) : setting(f, line, *raw.p == ' ' || *raw.p == '\t', err));
    }
    return 0;
}

static int load(const struct trib_aws_host *host, struct trib_profiles *p, const char *variable, const char *otherwise,
                bool credentials, char **ret_path, struct trib_err *err)
{
    const char *named = host->getenv(host->getenv_ctx, variable);
    *ret_path = trib_aws_home_path(host, named == NULL || *named == '\0' ? otherwise : named);
    if (*ret_path == NULL) {
        *ret_path = trib_strdup(otherwise);
        return 0;
    }
    struct trib_buf text;
    struct trib_err why;
    int rc = trib_aws_read_secret(host, *ret_path, &text, &why);
    if (rc == TRIB_E_NOT_FOUND) {
        return 0;
    }
    if (rc != 0) {
        return trib_err_set(err, TRIB_E_CONFIG, "%s (%s names another file)", why.msg, variable);
    }
    struct file f = {.p = p, .credentials = credentials, .path = *ret_path};
    rc = text.n == 0 ? 0 : parse(&f, trib_buf_view(&text), err);
    trib_aws_wipe_buf(&text);
    return rc;
}

int trib_profiles_load(const struct trib_aws_host *host, struct trib_profiles **ret, struct trib_err *err)
{
    struct trib_profiles *p = trib_calloc(1, sizeof *p);
    int rc = load(host, p, "AWS_CONFIG_FILE", "~/.aws/config", false, &p->config_path, err);
    rc = rc != 0 ? rc
                 : load(host, p, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", true, &p->credentials_path, err);
    if (rc != 0) {
        trib_profiles_free(p);
        return rc;
    }
    *ret = p;
    return 0;
}

void trib_profiles_free(struct trib_profiles *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->n; i++) {
        free(p->entries[i].kind);
        free(p->entries[i].name);
        free(p->entries[i].key);
        free(p->entries[i].sub);
        trib_aws_wipe(p->entries[i].value);
    }
    free(p->entries);
    free(p->config_path);
    free(p->credentials_path);
    free(p);
}

static bool of(const struct entry *e, const char *kind, const char *name)
{
    return strcmp(e->kind, kind) == 0 && strcmp(e->name, name) == 0;
}

bool trib_profiles_has(const struct trib_profiles *p, const char *profile)
{
    for (size_t i = 0; i < p->n; i++) {
        if (of(&p->entries[i], "profile", profile)) {
            return true;
        }
    }
    return false;
}

/* The last line of a file wins, the credentials file over the config file. */
static const char *find(const struct trib_profiles *p, const char *kind, const char *name, const char *key,
                        const char *sub)
{
    const struct entry *best = NULL;
    for (size_t i = 0; i < p->n; i++) {
        const struct entry *e = &p->entries[i];
        bool match = of(e, kind, name) && e->key != NULL && strcmp(e->key, key) == 0 &&
                     (sub == NULL ? e->sub == NULL : e->sub != NULL && strcmp(e->sub, sub) == 0);
        if (match && (best == NULL || e->credentials >= best->credentials)) {
            best = e;
        }
    }
    return best == NULL || *best->value == '\0' ? NULL : best->value;
}

const char *trib_profiles_get(const struct trib_profiles *p, const char *profile, const char *key)
{
    return find(p, "profile", profile, key, NULL);
}

const char *trib_profiles_section(const struct trib_profiles *p, const char *kind, const char *name, const char *key,
                                  const char *sub)
{
    return find(p, kind, name, key, sub);
}

const char *trib_profiles_near(const struct trib_profiles *p, const char *profile)
{
    const char **names = trib_calloc(p->n + 1, sizeof *names);
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (p->entries[i].key == NULL && strcmp(p->entries[i].kind, "profile") == 0) {
            names[n++] = p->entries[i].name;
        }
    }
    const char *near = trib_nearest(profile, names, n);
    free(names);
    return near;
}

const char *trib_profiles_config_path(const struct trib_profiles *p) { return p->config_path; }
const char *trib_profiles_credentials_path(const struct trib_profiles *p) { return p->credentials_path; }
