/*
 * The one table of configuration keys: name, form, default, meaning, status. The parser, `validate`, `schema`, `schema --json`,
 * docs/configuration.md and what `init` writes come from it (spec: interface.md, Configuration).
 *
 * A key is added here once, and read in config_bind.c. A key whose part is not there yet has `later`: any value but its default is
 * refused with that text, never ignored.
 */
#ifndef TRIB_PIPELINE_CONFIG_KEYS_H
#define TRIB_PIPELINE_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

enum trib_key_form {
    TRIB_KEY_MAP,    /* a block of the keys below it */
    TRIB_KEY_BLOCKS, /* a list of such blocks */
    TRIB_KEY_DICT,   /* names of the user's own → texts */
    TRIB_KEY_TEXTS,  /* a list of texts */
    TRIB_KEY_TEXT,
    TRIB_KEY_NAME, /* [a-z0-9_]+ */
    TRIB_KEY_PATH, /* resolved against the folder of the config file */
    TRIB_KEY_CHOICE,
    TRIB_KEY_BOOL,
    TRIB_KEY_COUNT,
    TRIB_KEY_SIZE,     /* KiB MiB GiB TiB; a bare number is bytes */
    TRIB_KEY_DURATION, /* ms s m h d */
};

enum {
    TRIB_KEY_REQUIRED = 1,
    TRIB_KEY_OR_BLOCKS = 2,    /* MAP: a list of such blocks too */
    TRIB_KEY_SHORT = 4,        /* MAP: a bare text stands for its key `name` */
    TRIB_KEY_STARTER = 8,      /* `init` writes it */
    TRIB_KEY_STARTER_OFF = 16, /* `init` writes it, commented out */
};

struct trib_key {
    const char *path; /* "tables.silver.deletes": lists of blocks have no index */
    enum trib_key_form form;
    unsigned flags;
    const char *choices; /* CHOICE: "soft|hard"; others: words that are allowed besides, "auto", "none", "forever" */
    const char *choices_later; /* words of the contract that are not there yet */
    const char *initial;       /* default, as the user would write it; NULL: none */
    int64_t min, max;          /* COUNT, SIZE (bytes), DURATION (µs), TEXT (bytes of it); max 0: none */
    const char
        *pattern; /* TEXT: a POSIX extended regular expression that it must match whole (no {n,m}: slow to compile) */
    const char *only;    /* keys below `source`: the types that have it, "files|export" */
    const char *later;   /* NULL, or what it belongs to: "upkeep" */
    const char *like;    /* MAP: its keys are those of this path */
    const char *example; /* for `init` and the reference */
    const char *text;    /* what it means */
};

const struct trib_key *trib_keys_table(size_t *ret_n);
/* By path, `like` followed ("defaults.silver.deletes" is "tables.silver.deletes"); NULL. */
const struct trib_key *trib_key_find(const char *path);
/* The keys right below a path ("" for the top), in order: calls fn for each. */
void trib_key_children(const char *path, void (*fn)(void *ctx, const struct trib_key *key, const char *name),
                       void *ctx);
/* The last component. [borrow] */
const char *trib_key_name(const struct trib_key *key);

/* The word is one of "a|b|c": its place, else -1. choices may be NULL. */
int trib_key_choice(const char *choices, const char *word);

/* ---- values (config_value.c); false: not of that form, or outside of 64 bits ---- */
bool trib_value_bool(const char *text, bool *ret);
bool trib_value_count(const char *text, int64_t *ret);
bool trib_value_size(const char *text, int64_t *ret_bytes);
bool trib_value_duration(const char *text, int64_t *ret_us);
bool trib_value_name(const char *text); /* [a-z0-9_]+ */
/* Checks a scalar's text against its key. NULL: good; else what is wrong, for "KEY: …". [out] free(). */
char *trib_value_check(const struct trib_key *key, const char *text, const char *shown);
/* The same value, perhaps spelled differently ("24h", "1d"). */
bool trib_value_same(const struct trib_key *key, const char *a, const char *b);

#endif
