/*
 * Table features (PROTOCOL.md, Table Features): what we can read and write, by name. A feature that only a property or a
 * column's metadata turns on binds nobody while it is off, so that a writer feature list alone refuses as little as it may.
 */
#include <stdio.h>
#include <strings.h>

#include "delta/internal.h"

static const char *const readable[] = {"columnMapping",       "deletionVectors", "timestampNtz",        "v2Checkpoint",
                                       "vacuumProtocolCheck", "typeWidening",    "typeWidening-preview"};
/* Writers of these have nothing to do for appends and whole-file removals, or their condition is checked below. */
static const char *const writable[] = {
    "appendOnly",      "invariants",          "checkConstraints",     "changeDataFeed",   "generatedColumns",
    "identityColumns", "deletionVectors",     "domainMetadata",       "columnMapping",    "timestampNtz",
    "v2Checkpoint",    "vacuumProtocolCheck", "checkpointProtection", "inCommitTimestamp"};

static bool listed(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i], name) == 0) {
            return true;
        }
    }
    return false;
}

int trib_delta_can_read(const struct trib_protocol *p, const char *table, struct trib_err *err)
{
    if (p->reader > 3) {
        return trib_err_set(err, TRIB_E_UNSUPPORTED,
                            "%s cannot be read: it needs reader version %d, this program knows 1 to 3", table,
                            p->reader);
    }
    for (char **f = p->reader_features; p->reader == 3 && f != NULL && *f != NULL; f++) {
        if (!listed(readable, sizeof readable / sizeof *readable, *f)) {
            return trib_err_set(err, TRIB_E_UNSUPPORTED, "%s cannot be read: reader feature '%s' is not supported",
                                table, *f);
        }
    }
    return 0;
}

bool trib_snapshot_flag(const struct trib_snapshot *s, const char *key)
{
    const char *v = trib_snapshot_property(s, key);
    return v != NULL && strcasecmp(v, "true") == 0;
}

static bool has_feature(char *const *features, const char *name)
{
    for (; features != NULL && *features != NULL; features++) {
        if (strcmp(*features, name) == 0) {
            return true;
        }
    }
    return false;
}

enum trib_mapping trib_delta_mapping(const struct trib_snapshot *s)
{
    const char *v = trib_snapshot_property(s, "delta.columnMapping.mode");
    if (v == NULL || s->protocol.reader < 2 ||
        (s->protocol.reader >= 3 && !has_feature(s->protocol.reader_features, "columnMapping"))) {
        return TRIB_MAPPING_NONE;
    }
    return strcasecmp(v, "name") == 0 ? TRIB_MAPPING_NAME
           : strcasecmp(v, "id") == 0 ? TRIB_MAPPING_ID
                                      : TRIB_MAPPING_NONE;
}

/* Does any field carry metadata whose key begins so? */
static bool has_meta(const struct trib_type *t, const char *prefix)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        const struct trib_field *f = &t->fields[i];
        for (size_t m = 0; m < f->n_meta; m++) {
            if (strncmp(f->meta[m].key, prefix, strlen(prefix)) == 0) {
                return true;
            }
        }
        if (has_meta(&f->type, prefix)) {
            return true;
        }
    }
    return false;
}

static bool has_property(const struct trib_snapshot *s, const char *prefix)
{
    for (size_t i = 0; i < s->n_properties; i++) {
        if (strncasecmp(s->properties[i].key, prefix, strlen(prefix)) == 0) {
            return true;
        }
    }
    return false;
}

/* Features that are in use, not only possible, and that we do not write. NULL: none. */
static const char *active(const struct trib_snapshot *s)
{
    if (has_meta(&s->schema, "delta.invariants")) {
        return "invariants";
    }
    if (has_property(s, "delta.constraints.")) {
        return "checkConstraints";
    }
    if (has_meta(&s->schema, "delta.generationExpression")) {
        return "generatedColumns";
    }
    if (has_meta(&s->schema, "delta.identity.")) {
        return "identityColumns";
    }
    if (trib_delta_mapping(s) != TRIB_MAPPING_NONE) {
        return "columnMapping";
    }
    if (trib_snapshot_flag(s, "delta.enableInCommitTimestamps")) {
        return "inCommitTimestamp";
    }
    return trib_snapshot_flag(s, "delta.enableRowTracking") ? "rowTracking" : NULL;
}

int trib_delta_can_write(const struct trib_snapshot *s, const char *table, struct trib_err *err)
{
    const struct trib_protocol *p = &s->protocol;
    if (p->writer > 7) {
        return trib_err_set(err, TRIB_E_UNSUPPORTED,
                            "%s cannot be written: it needs writer version %d, this program knows 1 to 7", table,
                            p->writer);
    }
    for (char **f = p->writer_features; p->writer == 7 && f != NULL && *f != NULL; f++) {
        if (!listed(writable, sizeof writable / sizeof *writable, *f)) {
            return trib_err_set(err, TRIB_E_UNSUPPORTED, "%s cannot be written: writer feature '%s' is not supported",
                                table, *f);
        }
    }
    const char *name = active(s);
    return name == NULL
               ? 0
               : trib_err_set(err, TRIB_E_UNSUPPORTED,
                              "%s cannot be written: it uses writer feature '%s', which is not supported", table, name);
}

static bool has_ntz(const struct trib_type *t)
{
    bool found = t->id == TRIB_T_TIMESTAMP_NTZ;
    for (size_t i = 0; i < t->n_fields && !found; i++) {
        found = has_ntz(&t->fields[i].type);
    }
    return found;
}

/* old's names, where there are any, else those that the version stands for; and one more. The array is the caller's, the names not. */
static char **with_feature(char *const *old, const char *const *implied, const char *more)
{
    size_t n = 0, m = 0;
    for (; old != NULL && old[n] != NULL; n++) {
    }
    for (; old == NULL && implied[m] != NULL; m++) {
    }
    char **ret = trib_calloc(n + m + 2, sizeof *ret);
    for (size_t i = 0; i < n; i++) {
        ret[i] = old[i];
    }
    for (size_t i = 0; i < m; i++) {
        ret[n + i] = (char *)(uintptr_t)implied[i];
    }
    if (!has_feature(ret, more)) {
        ret[n + m] = (char *)(uintptr_t)more;
    }
    return ret;
}

bool trib_delta_feature_add(const struct trib_protocol *p, const struct trib_type *schema, struct trib_protocol *ret)
{
    /* What the versions without lists of features stand for (PROTOCOL.md, Valid Feature Names). */
    static const char *const writers[] = {"appendOnly",       "invariants",    "checkConstraints", "changeDataFeed",
                                          "generatedColumns", "columnMapping", "identityColumns",  NULL};
    static const size_t up_to[] = {0, 0, 2, 3, 5, 6, 7};
    if (!has_ntz(schema) || (p->writer >= 7 && has_feature(p->writer_features, "timestampNtz") &&
                             has_feature(p->reader_features, "timestampNtz"))) {
        return false;
    }
    const char *implied[sizeof writers / sizeof *writers] = {NULL};
    for (size_t i = 0; p->writer >= 0 && p->writer < 7 && i < up_to[p->writer]; i++) {
        implied[i] = writers[i];
    }
    static const char *const mapping[] = {"columnMapping", NULL}, *const none[] = {NULL};
    *ret = (struct trib_protocol){.reader = 3, .writer = 7};
    ret->reader_features =
        with_feature(p->reader >= 3 ? p->reader_features : NULL, p->reader == 2 ? mapping : none, "timestampNtz");
    ret->writer_features = with_feature(p->writer >= 7 ? p->writer_features : NULL, implied, "timestampNtz");
    return true;
}
