/*
 * YAML → a small tree with positions. Own tree instead of libyaml's document: duplicates are found, aliases share nodes, and
 * what they would expand to is limited before anything walks it.
 *
 * Limits: file 1 MiB, 64 levels (aliases followed), 200,000 nodes after expansion, 1,000 anchors, 1,000 substitutions.
 * Accepted: anchors, aliases, merge keys (<<), core tags. ${env:X} and ${file:/path} are substituted in scalar values as they
 * are met, never in keys; such a node is marked secret, and so is never printed.
 * Threads: none shared. Everything lives in the arena.
 */
#ifndef TRIB_PIPELINE_CONFIG_YAML_H
#define TRIB_PIPELINE_CONFIG_YAML_H

#include <stdbool.h>

#include "base/mem.h"

enum {
    TRIB_CONFIG_FILE_MAX = 1 << 20,
    TRIB_CONFIG_DEPTH_MAX = 64,
    TRIB_CONFIG_NODES_MAX = 200000,
    TRIB_CONFIG_ANCHORS_MAX = 1000,
    TRIB_CONFIG_SECRETS_MAX = 1000
};

enum trib_yaml_kind { TRIB_YAML_SCALAR, TRIB_YAML_LIST, TRIB_YAML_MAP };
struct trib_yaml {
    enum trib_yaml_kind kind;
    size_t line, column; /* from 1 */
    const char *text;    /* SCALAR, NUL-terminated */
    bool plain;          /* SCALAR: without quotes, so that ~ and null mean nothing */
    bool secret;         /* SCALAR: holds a substituted value */
    bool broken;         /* SCALAR: a substitution failed, which was told: nothing more to say about it */
    size_t n;            /* LIST, MAP */
    struct trib_yaml **values;
    struct trib_yaml **keys; /* MAP: scalars, no two alike */
    size_t weight, height;   /* nodes and levels when every alias is expanded */
};

/* Problems of one file, each with its position, none twice. */
struct trib_problem {
    size_t line, column;
    char *text;
};
struct trib_problems {
    const char *file; /* [borrow] */
    struct trib_problem *all;
    size_t n, cap;
    bool more; /* there were more than are kept (200) */
};
void trib_problem_add(struct trib_problems *p, size_t line, size_t column, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void trib_problem_at(struct trib_problems *p, const struct trib_yaml *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool trib_problems_full(const struct trib_problems *p); /* more would only be counted: no need to word them well */
void trib_problems_sort(struct trib_problems *p);
void trib_problems_free(struct trib_problems *p);

/* Where substitutions come from; tests and the fuzz target give their own. */
struct trib_config_world {
    const char *(*variable)(void *ctx, const char *name); /* NULL: not set */
    int (*read)(void *ctx, const char *path, struct trib_buf *to, struct trib_err *err);
    void *ctx;
    const char *folder; /* relative paths of ${file:} begin here */
};

/* Substituted values, for redaction. */
struct trib_secrets {
    char **all;
    size_t n, cap;
};
void trib_secrets_free(struct trib_secrets *s);
/* Replaces them (those of four bytes or more but true and false) by ***. */
void trib_secrets_redact(const struct trib_secrets *s, struct trib_buf *text);

/* *ret_root: NULL when the text is not YAML (a problem says where) or holds nothing. */
void trib_yaml_parse(struct trib_view text, const struct trib_config_world *world, struct trib_arena *arena,
                     struct trib_problems *problems, struct trib_secrets *secrets, struct trib_yaml **ret_root);

/* The value of a key of a map; NULL. */
struct trib_yaml *trib_yaml_get(const struct trib_yaml *map, const char *key);
/* No value: absent, or a plain null, ~ or nothing. */
bool trib_yaml_null(const struct trib_yaml *node);
/* The scalar for a message: quoted, cut, *** when secret. [arena] */
const char *trib_yaml_show(const struct trib_yaml *node, struct trib_arena *arena);
/*
 * base with everything of over laid over it: maps are merged key by key, all else of over wins. *budget limits the comparisons that
 * all merges of a file may take; NULL is returned once it is used up.
 */
struct trib_yaml *trib_yaml_merge(struct trib_arena *arena, struct trib_yaml *base, struct trib_yaml *over,
                                  size_t *budget);

#endif
