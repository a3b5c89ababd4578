/*
 * The log's actions: from JSON to structs (jansson parses; numbers that matter are 64-bit integers, and statistics stay the
 * text that they are). Members that we do not know are ignored, as the protocol asks.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "delta/internal.h"

/* --- ownership --------------------------------------------------------------------------------------------------- */

static char *dup_or_null(const char *s) { return s == NULL ? NULL : trib_strdup(s); }

void trib_kvs_free(struct trib_kv *kv, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(kv[i].key);
        free(kv[i].value);
    }
    free(kv);
}

struct trib_kv *trib_kvs_copy(const struct trib_kv *kv, size_t n)
{
    struct trib_kv *copy = n == 0 ? NULL : trib_calloc(n, sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        copy[i] = (struct trib_kv){trib_strdup(kv[i].key), dup_or_null(kv[i].value)};
    }
    return copy;
}

char **trib_texts_copy(const char *const *p, size_t n)
{
    char **copy = trib_calloc(n + 1, sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        copy[i] = trib_strdup(p[i]);
    }
    return copy;
}

void trib_texts_free(char **p)
{
    for (char **s = p; s != NULL && *s != NULL; s++) {
        free(*s);
    }
    free(p);
}

void trib_dv_free(struct trib_dv *dv)
{
    if (dv != NULL) {
        free(dv->text);
        free(dv);
    }
}

struct trib_dv *trib_dv_copy(const struct trib_dv *dv)
{
    if (dv == NULL) {
        return NULL;
    }
    struct trib_dv *copy = trib_malloc(sizeof *copy);
    *copy = *dv;
    copy->text = trib_strdup(dv->text);
    return copy;
}

bool trib_dv_same(const struct trib_dv *a, const struct trib_dv *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return a->storage == b->storage && a->offset == b->offset && strcmp(a->text, b->text) == 0;
}

void trib_add_free(struct trib_add *a)
{
    free(a->path);
    trib_kvs_free(a->partition, a->n_partition);
    free(a->stats);
    trib_dv_free(a->dv);
    trib_kvs_free(a->tags, a->n_tags);
    *a = (struct trib_add){0};
}

void trib_metadata_free(struct trib_metadata *m)
{
    free(m->id);
    free(m->name);
    free(m->description);
    free(m->schema_json);
    trib_texts_free(m->partition_columns);
    trib_kvs_free(m->properties, m->n_properties);
    *m = (struct trib_metadata){0};
}

void trib_protocol_free(struct trib_protocol *p)
{
    trib_texts_free(p->reader_features);
    trib_texts_free(p->writer_features);
    *p = (struct trib_protocol){0};
}

static char **features_copy(char **features)
{
    size_t n = 0;
    while (features != NULL && features[n] != NULL) {
        n++;
    }
    return features == NULL ? NULL : trib_texts_copy((const char *const *)features, n);
}

struct trib_protocol trib_protocol_copy(const struct trib_protocol *p)
{
    return (struct trib_protocol){.reader = p->reader,
                                  .writer = p->writer,
                                  .reader_features = features_copy(p->reader_features),
                                  .writer_features = features_copy(p->writer_features)};
}

static void info_free(struct trib_info *i)
{
    free(i->operation);
    free(i->engine);
    free(i->txn_id);
    free(i->params_json);
    free(i->metrics_json);
}

void trib_action_free(struct trib_action *a)
{
    switch (a->kind) {
    case TRIB_ACTION_OTHER: break;
    case TRIB_ACTION_ADD: trib_add_free(&a->u.add); break;
    case TRIB_ACTION_REMOVE: trib_add_free(&a->u.remove.file); break;
    case TRIB_ACTION_METADATA: trib_metadata_free(&a->u.metadata); break;
    case TRIB_ACTION_PROTOCOL: trib_protocol_free(&a->u.protocol); break;
    case TRIB_ACTION_TXN: free(a->u.txn.app_id); break;
    case TRIB_ACTION_DOMAIN:
        free(a->u.domain.d.domain);
        free(a->u.domain.d.configuration);
        break;
    case TRIB_ACTION_INFO: info_free(&a->u.info); break;
    case TRIB_ACTION_SIDECAR: free(a->u.sidecar); break;
    }
    a->kind = TRIB_ACTION_OTHER;
}

void trib_actions_free(struct trib_actions *a)
{
    for (size_t i = 0; i < a->n; i++) {
        trib_action_free(&a->p[i]);
    }
    free(a->p);
    *a = (struct trib_actions){0};
}

/* --- members ----------------------------------------------------------------------------------------------------- */

static int wrong(const char *key, const char *what, struct trib_err *err)
{
    return trib_err_set(err, TRIB_E_DATA, "member \"%s\": %s", key, what);
}

static int get_text(const json_t *o, const char *key, bool required, char **ret, struct trib_err *err)
{
    const json_t *v = json_object_get(o, key);
    if (v == NULL || json_is_null(v)) {
        return required ? wrong(key, "missing", err) : 0;
    }
    if (!json_is_string(v)) {
        return wrong(key, "a string expected", err);
    }
    free(*ret);
    *ret = trib_strndup(json_string_value(v), json_string_length(v));
    return 0;
}

/* *ret is the default. */
static int get_int(const json_t *o, const char *key, bool required, int64_t *ret, struct trib_err *err)
{
    const json_t *v = json_object_get(o, key);
    if (v == NULL || json_is_null(v)) {
        return required ? wrong(key, "missing", err) : 0;
    }
    if (json_is_integer(v)) {
        *ret = json_integer_value(v);
        return 0;
    }
    /* Some writers print whole numbers as 1.0 or 1e3. */
    double d = json_is_real(v) ? json_real_value(v) : NAN;
    if (!(fabs(d) <= 0x1p53) || d != floor(d)) {
        return wrong(key, "an integer expected", err);
    }
    *ret = (int64_t)d;
    return 0;
}

static int get_bool(const json_t *o, const char *key, bool *ret, struct trib_err *err)
{
    const json_t *v = json_object_get(o, key);
    if (v == NULL || json_is_null(v)) {
        return 0;
    }
    if (!json_is_boolean(v)) {
        return wrong(key, "true or false expected", err);
    }
    *ret = json_is_true(v);
    return 0;
}

static int get_map(const json_t *o, const char *key, struct trib_kv **ret, size_t *ret_n, struct trib_err *err)
{
    json_t *v = json_object_get(o, key);
    if (v == NULL || json_is_null(v)) {
        return 0;
    }
    if (!json_is_object(v)) {
        return wrong(key, "an object expected", err);
    }
    struct trib_kv *kv = trib_calloc(json_object_size(v), sizeof *kv);
    size_t n = 0;
    const char *name;
    json_t *value;
    json_object_foreach(v, name, value)
    {
        if (!json_is_string(value) && !json_is_null(value)) {
            trib_kvs_free(kv, n);
            return wrong(key, "an object of strings expected", err);
        }
        kv[n++] = (struct trib_kv){trib_strdup(name), dup_or_null(json_string_value(value))};
    }
    *ret = kv;
    *ret_n = n;
    return 0;
}

static int get_texts(const json_t *o, const char *key, char ***ret, size_t *ret_n, struct trib_err *err)
{
    const json_t *v = json_object_get(o, key);
    if (v == NULL || json_is_null(v)) {
        return 0;
    }
    if (!json_is_array(v)) {
        return wrong(key, "an array expected", err);
    }
    size_t n = json_array_size(v);
    char **p = trib_calloc(n + 1, sizeof *p);
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(v, i));
        if (s == NULL) {
            trib_texts_free(p);
            return wrong(key, "an array of strings expected", err);
        }
        p[i] = trib_strdup(s);
    }
    *ret = p;
    *ret_n = n;
    return 0;
}

/* --- one function an action, like the protocol's sections -------------------------------------------------------- */

static int parse_dv(const json_t *o, struct trib_dv **ret, struct trib_err *err)
{
    const json_t *v = json_object_get(o, "deletionVector");
    if (v == NULL || json_is_null(v)) {
        return 0;
    }
    if (!json_is_object(v)) {
        return wrong("deletionVector", "an object expected", err);
    }
    struct trib_dv *dv = trib_calloc(1, sizeof *dv);
    char *storage = NULL;
    dv->offset = -1;
    int rc = get_text(v, "storageType", true, &storage, err);
    rc = rc != 0 ? rc : get_text(v, "pathOrInlineDv", true, &dv->text, err);
    rc = rc != 0 ? rc : get_int(v, "offset", false, &dv->offset, err);
    rc = rc != 0 ? rc : get_int(v, "sizeInBytes", true, &dv->size, err);
    rc = rc != 0 ? rc : get_int(v, "cardinality", true, &dv->cardinality, err);
    if (rc == 0 && (strlen(storage) != 1 || strchr("uip", storage[0]) == NULL)) {
        rc = wrong("storageType", "\"u\", \"i\" or \"p\" expected", err);
    }
    if (rc != 0) {
        free(storage);
        trib_dv_free(dv);
        return rc;
    }
    dv->storage = storage[0];
    free(storage);
    *ret = dv;
    return 0;
}

/* numRecords from the statistics, without parsing all of them: they may be long, and are text of others. */
int64_t trib_stats_rows(const char *stats)
{
    const char *p = stats == NULL ? NULL : strstr(stats, "\"numRecords\"");
    if (p == NULL) {
        return -1;
    }
    p += strlen("\"numRecords\"");
    p += strspn(p, " \t\r\n");
    if (*p++ != ':') {
        return -1;
    }
    char *end;
    long long n = strtoll(p, &end, 10);
    return end == p || n < 0 ? -1 : n;
}

/* What add and remove have in common. The caller frees *a on failure. */
static int parse_file(const json_t *o, struct trib_add *a, bool is_add, struct trib_err *err)
{
    char *uri = NULL;
    a->size = a->rows = a->version = -1;
    a->data_change = true;
    TRIB_TRY(get_text(o, "path", true, &uri, err));
    a->path = trib_delta_path_decode(uri);
    free(uri);
    TRIB_TRY(get_map(o, "partitionValues", &a->partition, &a->n_partition, err));
    TRIB_TRY(get_int(o, "size", is_add, &a->size, err));
    TRIB_TRY(get_bool(o, "dataChange", &a->data_change, err));
    TRIB_TRY(get_text(o, "stats", false, &a->stats, err));
    TRIB_TRY(get_map(o, "tags", &a->tags, &a->n_tags, err));
    a->rows = trib_stats_rows(a->stats);
    return parse_dv(o, &a->dv, err);
}

static int parse_add(const json_t *o, struct trib_action *a, struct trib_err *err)
{
    a->kind = TRIB_ACTION_ADD;
    TRIB_TRY(parse_file(o, &a->u.add, true, err));
    return get_int(o, "modificationTime", false, &a->u.add.mtime_ms, err);
}

static int parse_remove(const json_t *o, struct trib_action *a, struct trib_err *err)
{
    a->kind = TRIB_ACTION_REMOVE;
    TRIB_TRY(parse_file(o, &a->u.remove.file, false, err));
    return get_int(o, "deletionTimestamp", false, &a->u.remove.deleted_ms, err);
}

static int parse_metadata(const json_t *o, struct trib_action *a, struct trib_err *err)
{
    struct trib_metadata *m = &a->u.metadata;
    a->kind = TRIB_ACTION_METADATA;
    TRIB_TRY(get_text(o, "id", false, &m->id, err));
    TRIB_TRY(get_text(o, "name", false, &m->name, err));
    TRIB_TRY(get_text(o, "description", false, &m->description, err));
    TRIB_TRY(get_text(o, "schemaString", true, &m->schema_json, err));
    TRIB_TRY(get_texts(o, "partitionColumns", &m->partition_columns, &m->n_partition_columns, err));
    TRIB_TRY(get_map(o, "configuration", &m->properties, &m->n_properties, err));
    return get_int(o, "createdTime", false, &m->created_ms, err);
}

static int parse_protocol(const json_t *o, struct trib_action *a, struct trib_err *err)
{
    int64_t reader = 0, writer = 0;
    size_t n;
    a->kind = TRIB_ACTION_PROTOCOL;
    TRIB_TRY(get_int(o, "minReaderVersion", true, &reader, err));
    TRIB_TRY(get_int(o, "minWriterVersion", true, &writer, err));
    if (reader < 1 || writer < 1 || reader > INT32_MAX || writer > INT32_MAX) {
        return wrong("minReaderVersion", "a version above 0 expected", err);
    }
    a->u.protocol.reader = (int)reader;
    a->u.protocol.writer = (int)writer;
    TRIB_TRY(get_texts(o, "readerFeatures", &a->u.protocol.reader_features, &n, err));
    return get_texts(o, "writerFeatures", &a->u.protocol.writer_features, &n, err);
}

static int parse_txn(const json_t *o, struct trib_action *a, struct trib_err *err)
{
    a->kind = TRIB_ACTION_TXN;
    a->u.txn.version = a->u.txn.last_updated_ms = -1;
    TRIB_TRY(get_text(o, "appId", true, &a->u.txn.app_id, err));
    TRIB_TRY(get_int(o, "version", true, &a->u.txn.version, err));
    return get_int(o, "lastUpdated", false, &a->u.txn.last_updated_ms, err);
}

static int parse_domain(const json_t *o, struct trib_action *a, struct trib_err *err)
{
    a->kind = TRIB_ACTION_DOMAIN;
    TRIB_TRY(get_text(o, "domain", true, &a->u.domain.d.domain, err));
    TRIB_TRY(get_text(o, "configuration", false, &a->u.domain.d.configuration, err));
    return get_bool(o, "removed", &a->u.domain.removed, err);
}

static char *dump(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    char *text = v == NULL ? NULL : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    char *copy = dup_or_null(text);
    free(text);
    return copy;
}

static int parse_info(const json_t *o, struct trib_action *a, struct trib_err *err)
{
    struct trib_info *i = &a->u.info;
    a->kind = TRIB_ACTION_INFO;
    i->timestamp_ms = i->in_commit_ms = -1;
    TRIB_TRY(get_int(o, "timestamp", false, &i->timestamp_ms, err));
    TRIB_TRY(get_int(o, "inCommitTimestamp", false, &i->in_commit_ms, err));
    TRIB_TRY(get_text(o, "operation", false, &i->operation, err));
    TRIB_TRY(get_text(o, "engineInfo", false, &i->engine, err));
    TRIB_TRY(get_text(o, "txnId", false, &i->txn_id, err));
    i->params_json = dump(o, "operationParameters");
    i->metrics_json = dump(o, "operationMetrics");
    return 0;
}

static int parse_sidecar(const json_t *o, struct trib_action *a, struct trib_err *err)
{
    char *uri = NULL;
    TRIB_TRY(get_text(o, "path", true, &uri, err));
    a->kind = TRIB_ACTION_SIDECAR;
    a->u.sidecar = trib_delta_path_decode(uri);
    free(uri);
    return 0;
}

static const struct {
    const char *name;
    int (*parse)(const json_t *o, struct trib_action *a, struct trib_err *err);
} kinds[] = {
    {"add", parse_add},
    {"remove", parse_remove},
    {"commitInfo", parse_info},
    {"metaData", parse_metadata},
    {"protocol", parse_protocol},
    {"txn", parse_txn},
    {"domainMetadata", parse_domain},
    {"sidecar", parse_sidecar},
};

int trib_action_parse(struct trib_view line, struct trib_action *ret, struct trib_err *err)
{
    json_error_t why;
    json_t *root = json_loadb(line.p, line.n, 0, &why);
    if (root == NULL) {
        return trib_err_set(err, TRIB_E_DATA, "no JSON object: %s (column %d)", why.text, why.column);
    }
    struct trib_action a = {.kind = TRIB_ACTION_OTHER};
    int rc = json_is_object(root) ? 0 : trib_err_set(err, TRIB_E_DATA, "no JSON object");
    for (size_t i = 0; rc == 0 && i < sizeof kinds / sizeof *kinds; i++) {
        const json_t *body = json_object_get(root, kinds[i].name);
        if (body == NULL || json_is_null(body)) {
            continue;
        }
        memset(&a.u, 0, sizeof a.u);
        rc = json_is_object(body) ? kinds[i].parse(body, &a, err) : wrong(kinds[i].name, "an object expected", err);
        if (rc != 0) {
            (void)trib_err_wrap(err, "%s", kinds[i].name);
        }
        break;
    }
    json_decref(root);
    if (rc != 0) {
        trib_action_free(&a);
        return rc;
    }
    *ret = a;
    return 0;
}

int trib_actions_parse(struct trib_view text, const char *name, struct trib_actions *to, struct trib_err *err)
{
    size_t at = 0, line = 0, before = to->n;
    while (at < text.n) {
        const char *p = text.p + at, *end = memchr(p, '\n', text.n - at);
        size_t n = end == NULL ? text.n - at : (size_t)(end - p);
        at += n + 1;
        line++;
        size_t blank = 0;
        while (blank < n && (p[blank] == ' ' || p[blank] == '\t' || p[blank] == '\r')) {
            blank++;
        }
        if (blank == n) {
            continue;
        }
        TRIB_GROW(to->p, to->cap, to->n + 1);
        int rc = trib_action_parse((struct trib_view){p, n}, &to->p[to->n], err);
        if (rc != 0) {
            return trib_err_wrap(err, "%s, line %zu%s", name, line, end == NULL ? " (the last, torn?)" : "");
        }
        to->n++;
    }
    if (to->n == before) {
        return trib_err_set(
            err, TRIB_E_DATA,
            "%s is empty: a torn write of another program? Restore it, or remove it if it is the newest", name);
    }
    return 0;
}
