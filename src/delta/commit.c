/*
 * Commits: one object put if absent; data files are moved in before.
 *
 * Never: overwrites a version, commits to a table that it may not write, retries with other contents. A crash leaves either
 * no commit (and data files that no log names) or the whole commit.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/fold.h"
#include "delta/internal.h"
#include "delta/json_text.h"

/* --- writing actions --------------------------------------------------------------------------------------------- */

static void add_map(struct trib_buf *to, const char *key, const struct trib_kv *kv, size_t n)
{
    trib_jsontext_add_key(to, key);
    trib_buf_addc(to, '{');
    for (size_t i = 0; i < n; i++) {
        trib_jsontext_add_pair(to, kv[i].key, kv[i].value);
    }
    trib_buf_addc(to, '}');
}

static void add_texts(struct trib_buf *to, const char *key, const char *const *p, size_t n)
{
    trib_jsontext_add_key(to, key);
    trib_buf_addc(to, '[');
    for (size_t i = 0; i < n; i++) {
        trib_buf_adds(to, i > 0 ? "," : "");
        trib_jsontext_add_string(to, trib_view_of(p[i]));
    }
    trib_buf_addc(to, ']');
}

static void add_features(struct trib_buf *to, const char *key, char **p)
{
    size_t n = 0;
    while (p != NULL && p[n] != NULL) {
        n++;
    }
    add_texts(to, key, (const char *const *)p, n);
}

static void write_protocol(struct trib_buf *to, const struct trib_protocol *p)
{
    trib_buf_adds(to, "{\"protocol\":{");
    trib_jsontext_add_int(to, "minReaderVersion", p->reader);
    trib_jsontext_add_int(to, "minWriterVersion", p->writer);
    if (p->reader >= 3) {
        add_features(to, "readerFeatures", p->reader_features);
    }
    if (p->writer >= 7) {
        add_features(to, "writerFeatures", p->writer_features);
    }
    trib_buf_adds(to, "}}\n");
}

static void write_metadata(struct trib_buf *to, const struct trib_snapshot *s, const struct trib_commit *c,
                           const char *id, int64_t created_ms)
{
    TRIB_CLEANUP(trib_buf_free) struct trib_buf schema;
    trib_buf_init(&schema, TRIB_DELTA_MAX_OBJECT);
    trib_delta_schema_json(c->schema, &schema);
    trib_buf_adds(to, "{\"metaData\":{");
    trib_jsontext_add_pair(to, "id", id);
    if (s->version >= 0 && s->name != NULL) {
        trib_jsontext_add_pair(to, "name", s->name);
    }
    if (s->version >= 0 && s->description != NULL) {
        trib_jsontext_add_pair(to, "description", s->description);
    }
    trib_jsontext_add_key(to, "format");
    trib_buf_adds(to, "{\"provider\":\"parquet\",\"options\":{}}");
    trib_jsontext_add_key(to, "schemaString");
    trib_jsontext_add_string(to, trib_buf_view(&schema));
    add_texts(to, "partitionColumns", c->partition_columns, c->n_partition_columns);
    add_map(to, "configuration", c->properties, c->n_properties);
    trib_jsontext_add_int(to, "createdTime", created_ms);
    trib_buf_adds(to, "}}\n");
    to->overflow |= schema.overflow;
}

static void write_info(struct trib_buf *to, const struct trib_commit *c, const char *txn_id, int64_t now_ms)
{
    trib_buf_adds(to, "{\"commitInfo\":{");
    trib_jsontext_add_int(to, "timestamp", now_ms);
    trib_jsontext_add_pair(to, "operation", c->operation);
    add_map(to, "operationParameters", c->params, c->n_params);
    if (c->read_version >= 0) {
        trib_jsontext_add_int(to, "readVersion", c->read_version);
    }
    trib_jsontext_add_bool(to, "isBlindAppend", c->blind_append);
    add_map(to, "operationMetrics", c->metrics, c->n_metrics);
    trib_jsontext_add_pair(to, "engineInfo", "Tributary/" TRIB_VERSION);
    trib_jsontext_add_pair(to, "txnId", txn_id);
    trib_buf_adds(to, "}}\n");
}

static void write_path(struct trib_buf *to, const char *path)
{
    TRIB_CLEANUP(trib_buf_free) struct trib_buf uri;
    trib_buf_init(&uri, to->max);
    trib_delta_path_encode(&uri, path);
    trib_jsontext_add_key(to, "path");
    trib_jsontext_add_string(to, trib_buf_view(&uri));
    to->overflow |= uri.overflow;
}

static void write_dv(struct trib_buf *to, const struct trib_dv *dv)
{
    if (dv == NULL) {
        return;
    }
    char storage[2] = {dv->storage, '\0'};
    trib_jsontext_add_key(to, "deletionVector");
    trib_buf_addc(to, '{');
    trib_jsontext_add_pair(to, "storageType", storage);
    trib_jsontext_add_pair(to, "pathOrInlineDv", dv->text);
    if (dv->offset >= 0) {
        trib_jsontext_add_int(to, "offset", dv->offset);
    }
    trib_jsontext_add_int(to, "sizeInBytes", dv->size);
    trib_jsontext_add_int(to, "cardinality", dv->cardinality);
    trib_buf_addc(to, '}');
}

static void write_add(struct trib_buf *to, const struct trib_add *a)
{
    trib_buf_adds(to, "{\"add\":{");
    write_path(to, a->path);
    add_map(to, "partitionValues", a->partition, a->n_partition);
    trib_jsontext_add_int(to, "size", a->size);
    trib_jsontext_add_int(to, "modificationTime", a->mtime_ms);
    trib_jsontext_add_bool(to, "dataChange", a->data_change);
    if (a->stats != NULL) {
        trib_jsontext_add_pair(to, "stats", a->stats);
    }
    if (a->n_tags > 0) {
        add_map(to, "tags", a->tags, a->n_tags);
    }
    write_dv(to, a->dv);
    trib_buf_adds(to, "}}\n");
}

/* The old vector goes along: without it readers would not find the file that leaves. */
static void write_remove(struct trib_buf *to, const struct trib_add *a, bool data_change, int64_t now_ms)
{
    trib_buf_adds(to, "{\"remove\":{");
    write_path(to, a->path);
    trib_jsontext_add_int(to, "deletionTimestamp", now_ms);
    trib_jsontext_add_bool(to, "dataChange", data_change);
    trib_jsontext_add_bool(to, "extendedFileMetadata", a->size >= 0);
    if (a->size >= 0) {
        add_map(to, "partitionValues", a->partition, a->n_partition);
        trib_jsontext_add_int(to, "size", a->size);
    }
    write_dv(to, a->dv);
    trib_buf_adds(to, "}}\n");
}

static void write_txn(struct trib_buf *to, const struct trib_txn *t, int64_t now_ms)
{
    trib_buf_adds(to, "{\"txn\":{");
    trib_jsontext_add_pair(to, "appId", t->app_id);
    trib_jsontext_add_int(to, "version", t->version);
    trib_jsontext_add_int(to, "lastUpdated", now_ms);
    trib_buf_adds(to, "}}\n");
}

static void write_commit(struct trib_buf *to, const struct trib_delta *t, const struct trib_snapshot *s,
                         const struct trib_commit *c, const char *txn_id, int64_t now_ms)
{
    write_info(to, c, txn_id, now_ms);
    struct trib_protocol with;
    const struct trib_protocol *base = c->protocol != NULL ? c->protocol : &s->protocol;
    if (c->new_metadata && trib_delta_feature_add(base, c->schema, &with)) {
        write_protocol(to, &with);
        free(with.reader_features);
        free(with.writer_features);
    } else if (c->protocol != NULL) {
        write_protocol(to, c->protocol);
    }
    if (c->new_metadata) {
        char id[37];
        if (s->version < 0) {
            trib_rng_uuid(t->rng, id);
        }
        write_metadata(to, s, c, s->version < 0 ? id : s->table_id, s->version < 0 ? now_ms : s->created_ms);
    }
    for (size_t i = 0; i < c->n_txn; i++) {
        write_txn(to, &c->txn[i], now_ms);
    }
    for (size_t i = 0; i < c->n_removes; i++) {
        write_remove(to, &c->removes[i], c->data_change, now_ms);
    }
    for (size_t i = 0; i < c->n_adds; i++) {
        write_add(to, &c->adds[i]);
    }
}

/* --- what a commit must obey ------------------------------------------------------------------------------------- */

static bool data_changes(const struct trib_commit *c)
{
    if (c->data_change && c->n_removes > 0) {
        return true;
    }
    for (size_t i = 0; i < c->n_adds; i++) {
        if (c->adds[i].data_change) {
            return true;
        }
    }
    return false;
}

/* What every reader accepts as a schema: the rules of delta.md, for all levels. */
static int check_schema(const struct trib_type *t, const char *where, struct trib_err *err)
{
    if (t->id == TRIB_T_STRUCT && t->n_fields == 0) {
        return trib_err_set(err, TRIB_E_DATA, "column %s is a struct without members, which Parquet cannot hold",
                            where);
    }
    for (size_t i = 0; i < t->n_fields; i++) {
        const char *name = t->fields[i].name;
        TRIB_CLEANUP(trib_cleanup_free) char *path = trib_asprintf("%s%s%s", where, *where == '\0' ? "" : ".", name);
        if (t->id == TRIB_T_STRUCT && (*name == '\0' || name[strcspn(name, " ,;{}()\n\t=")] != '\0')) {
            return trib_err_set(
                err, TRIB_E_DATA,
                "column \"%s\": a Delta column's name may not be empty or contain any of ` ,;{}()=`, tabs and line feeds; try: "
                "rename it (in SQL: AS another_name)",
                path);
        }
        for (size_t k = 0; t->id == TRIB_T_STRUCT && k < i; k++) {
            if (trib_fold_same(t->fields[k].name, name)) {
                return trib_err_set(
                    err, TRIB_E_DATA,
                    "columns \"%s\" and \"%s\" differ in case only, which readers take for one; try: rename one",
                    t->fields[k].name, path);
            }
        }
        TRIB_TRY(check_schema(&t->fields[i].type, path, err));
    }
    return 0;
}

static int by_add_path(const void *a, const void *b)
{
    const struct trib_add *const *x = a, *const *y = b;
    return strcmp((*x)->path, (*y)->path);
}

/* At most one add and one remove a path, and one txn an appId. */
static int check_paths(const struct trib_add *files, size_t n, const char *what, const char *name, struct trib_err *err)
{
    if (n < 2) {
        return 0;
    }
    TRIB_CLEANUP(trib_cleanup_free) const struct trib_add **sorted = trib_calloc(n, sizeof *sorted);
    for (size_t i = 0; i < n; i++) {
        sorted[i] = &files[i];
    }
    qsort(sorted, n, sizeof *sorted, by_add_path);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(sorted[i - 1]->path, sorted[i]->path) == 0) {
            return trib_err_set(err, TRIB_E_INTERNAL, "%s: one commit would %s %s twice", name, what, sorted[i]->path);
        }
    }
    return 0;
}

static int check_unique(const struct trib_commit *c, const char *name, struct trib_err *err)
{
    TRIB_TRY(check_paths(c->adds, c->n_adds, "add", name, err));
    TRIB_TRY(check_paths(c->removes, c->n_removes, "remove", name, err));
    for (size_t i = 0; i < c->n_txn; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(c->txn[i].app_id, c->txn[k].app_id) == 0) {
                return trib_err_set(err, TRIB_E_INTERNAL, "%s: one commit would set the transaction of %s twice", name,
                                    c->txn[i].app_id);
            }
        }
    }
    return 0;
}

static int check_first(const struct trib_commit *c, const char *name, struct trib_err *err)
{
    if (c->protocol == NULL || !c->new_metadata || c->schema == NULL) {
        return trib_err_set(err, TRIB_E_INTERNAL, "%s: the first commit of a table needs protocol and metadata", name);
    }
    return 0;
}

static const char *property_after(const struct trib_snapshot *s, const struct trib_commit *c, const char *key)
{
    if (!c->new_metadata) {
        return trib_snapshot_property(s, key);
    }
    for (size_t i = 0; i < c->n_properties; i++) {
        if (strcasecmp(c->properties[i].key, key) == 0) {
            return c->properties[i].value;
        }
    }
    return NULL;
}

static bool is_true(const char *v) { return v != NULL && strcasecmp(v, "true") == 0; }

static int check(const struct trib_delta *t, const struct trib_snapshot *s, const struct trib_commit *c,
                 const char *name, struct trib_err *err)
{
    if (s->version != c->read_version) {
        return trib_err_set(err, TRIB_E_INTERNAL,
                            "%s: the commit is based on version %" PRId64 ", the snapshot is version %" PRId64, name,
                            c->read_version, s->version);
    }
    if (c->new_metadata && c->schema == NULL) {
        return trib_err_set(err, TRIB_E_INTERNAL, "%s: new metadata without a schema", name);
    }
    if (c->new_metadata && check_schema(c->schema, "", err) != 0) {
        return trib_err_wrap(err, "%s", name);
    }
    TRIB_TRY(check_unique(c, name, err));
    if (s->version < 0) {
        TRIB_TRY(check_first(c, name, err));
    } else {
        TRIB_TRY(trib_delta_can_write(s, name, err));
    }
    if (c->n_removes > 0 && c->data_change && is_true(property_after(s, c, "delta.appendOnly"))) {
        return trib_err_set(err, TRIB_E_DATA, "%s is append-only (delta.appendOnly): rows cannot be removed from it",
                            name);
    }
    if (c->n_removes > 0 && c->n_adds > 0 && data_changes(c) &&
        is_true(property_after(s, c, "delta.enableChangeDataFeed"))) {
        return trib_err_set(
            err, TRIB_E_UNSUPPORTED,
            "%s cannot be changed: writer feature 'changeDataFeed' is on, and writing it is not supported", name);
    }
    if (s->version < 0) {
        return 0;
    }
    /* The folder may have been deleted and perhaps made anew since we read it: a version must not hang in the air. */
    TRIB_CLEANUP(trib_cleanup_free) char *base = trib_delta_commit_key(t, s->version);
    int rc = trib_store_head(t->store, base, NULL, NULL, err);
    if (rc == TRIB_E_NOT_FOUND) {
        return trib_err_set(err, TRIB_E_CONFLICT,
                            "%s: commit %" PRId64 ", on which this one is based, is gone: was the table deleted?", name,
                            s->version);
    }
    return rc;
}

/* --- the put ----------------------------------------------------------------------------------------------------- */

/* Is the version that stands there our own? NOT_FOUND: nothing stands there. */
static int read_back(const struct trib_delta *t, int64_t version, const char *txn_id, bool *ret_ours,
                     struct trib_err *err)
{
    TRIB_CLEANUP(trib_actions_free) struct trib_actions a = {0};
    int rc = trib_log_read_commit(t, version, &a, err);
    if (rc == TRIB_E_DATA) {
        *ret_ours = false; /* not even readable: surely not ours */
        return 0;
    }
    TRIB_TRY(rc);
    *ret_ours = false;
    for (size_t i = 0; i < a.n; i++) {
        if (a.p[i].kind == TRIB_ACTION_INFO && a.p[i].u.info.txn_id != NULL &&
            strcmp(a.p[i].u.info.txn_id, txn_id) == 0) {
            *ret_ours = true;
        }
    }
    return 0;
}

static int conflict(int64_t version, const char *name, struct trib_err *err)
{
    return trib_err_set(err, TRIB_E_CONFLICT, "%s: another writer committed version %" PRId64 " first", name, version);
}

static int put_commit(const struct trib_delta *t, int64_t version, struct trib_view text, const char *txn_id,
                      const char *name, struct trib_err *err)
{
    enum { TRIES = 3 };
    TRIB_CLEANUP(trib_cleanup_free) char *key = trib_delta_commit_key(t, version);
    for (int i = 0;; i++) {
        struct trib_err why = {0};
        int rc = trib_store_put(t->store, key, text, true, &why);
        if (rc == 0) {
            return 0;
        }
        /* EXISTS may be our own doing: a store that retries inside turns our success into it. */
        if (rc == TRIB_E_EXISTS || why.ambiguous) {
            bool ours = false;
            struct trib_err reading = {0};
            int back = read_back(t, version, txn_id, &ours, &reading);
            if (back == 0) {
                return ours ? 0 : conflict(version, name, err);
            }
            /* Nothing there: the put did not happen, so that it may be repeated. */
            if (back == TRIB_E_NOT_FOUND && i + 1 < TRIES) {
                continue;
            }
            if (rc == TRIB_E_EXISTS && back != TRIB_E_NOT_FOUND) {
                why = reading;
                why.ambiguous = true;
                rc = back;
            }
        }
        if (err != NULL) {
            *err = why;
            (void)trib_err_wrap(err, "committing version %" PRId64 " of %s", version, name);
        }
        return rc;
    }
}

int trib_delta_commit(const struct trib_delta *t, const struct trib_snapshot *snapshot, const struct trib_commit *c,
                      struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *name = trib_delta_name(t);
    TRIB_TRY(check(t, snapshot, c, name, err));
    char txn_id[37];
    trib_rng_uuid(t->rng, txn_id);
    TRIB_CLEANUP(trib_buf_free) struct trib_buf text;
    trib_buf_init(&text, TRIB_DELTA_MAX_OBJECT);
    write_commit(&text, t, snapshot, c, txn_id, trib_now_us(t->clock) / 1000);
    TRIB_TRY(trib_buf_check(&text, "a commit", err));
    return put_commit(t, c->read_version + 1, trib_buf_view(&text), txn_id, name, err);
}
