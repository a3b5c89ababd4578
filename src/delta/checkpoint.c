/*
 * Checkpoints: the log's state as Parquet; reader and writer of the format in one file (PROTOCOL.md, Checkpoints).
 *
 * Read: classic, multi-part, V2 (Parquet or JSON on top, sidecars). Written: classic ones, whole, read back before
 * _last_checkpoint names them. A crash in between leaves a good checkpoint that readers find by listing, or nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "delta/internal.h"
#include "delta/json_text.h"

/* --- the row type ------------------------------------------------------------------------------------------------ */

enum { COL_TXN, COL_ADD, COL_REMOVE, COL_METADATA, COL_PROTOCOL, COL_DOMAIN, COL_SIDECAR };
enum { ADD_PATH, ADD_PARTITION, ADD_SIZE, ADD_MTIME, ADD_CHANGE, ADD_TAGS, ADD_DV, ADD_STATS, ADD_STATS_PARSED };
enum { REMOVE_PATH, REMOVE_DELETED, REMOVE_CHANGE, REMOVE_EXTENDED, REMOVE_PARTITION, REMOVE_SIZE, REMOVE_DV };
enum { META_ID, META_NAME, META_DESCRIPTION, META_FORMAT, META_SCHEMA, META_COLUMNS, META_PROPERTIES, META_CREATED };
enum { DV_STORAGE, DV_TEXT, DV_OFFSET, DV_SIZE, DV_CARDINALITY };

static struct trib_type string_map(void)
{
    struct trib_type t = trib_type_simple(TRIB_T_MAP);
    trib_type_add(&t, "key", trib_type_simple(TRIB_T_STRING))->nullable = false;
    (void)trib_type_add(&t, "value", trib_type_simple(TRIB_T_STRING));
    return t;
}

static struct trib_type string_array(void)
{
    struct trib_type t = trib_type_simple(TRIB_T_ARRAY);
    (void)trib_type_add(&t, "element", trib_type_simple(TRIB_T_STRING));
    return t;
}

static void text(struct trib_type *t, const char *name)
{
    (void)trib_type_add(t, name, trib_type_simple(TRIB_T_STRING));
}
static void integer(struct trib_type *t, const char *name)
{
    (void)trib_type_add(t, name, trib_type_simple(TRIB_T_LONG));
}
static void flag(struct trib_type *t, const char *name)
{
    (void)trib_type_add(t, name, trib_type_simple(TRIB_T_BOOLEAN));
}

static struct trib_type dv_type(void)
{
    struct trib_type t = trib_type_simple(TRIB_T_STRUCT);
    text(&t, "storageType");
    text(&t, "pathOrInlineDv");
    (void)trib_type_add(&t, "offset", trib_type_simple(TRIB_T_INT));
    (void)trib_type_add(&t, "sizeInBytes", trib_type_simple(TRIB_T_INT));
    integer(&t, "cardinality");
    return t;
}

static struct trib_type txn_type(void)
{
    struct trib_type t = trib_type_simple(TRIB_T_STRUCT);
    text(&t, "appId");
    integer(&t, "version");
    integer(&t, "lastUpdated");
    return t;
}

static struct trib_type add_type(bool reading)
{
    struct trib_type t = trib_type_simple(TRIB_T_STRUCT);
    text(&t, "path");
    (void)trib_type_add(&t, "partitionValues", string_map());
    integer(&t, "size");
    integer(&t, "modificationTime");
    flag(&t, "dataChange");
    (void)trib_type_add(&t, "tags", string_map());
    (void)trib_type_add(&t, "deletionVector", dv_type());
    text(&t, "stats");
    if (reading) { /* some writers leave the text out */
        struct trib_type parsed = trib_type_simple(TRIB_T_STRUCT);
        integer(&parsed, "numRecords");
        (void)trib_type_add(&t, "stats_parsed", parsed);
    }
    return t;
}

static struct trib_type remove_type(void)
{
    struct trib_type t = trib_type_simple(TRIB_T_STRUCT);
    text(&t, "path");
    integer(&t, "deletionTimestamp");
    flag(&t, "dataChange");
    flag(&t, "extendedFileMetadata");
    (void)trib_type_add(&t, "partitionValues", string_map());
    integer(&t, "size");
    (void)trib_type_add(&t, "deletionVector", dv_type());
    return t;
}

static struct trib_type metadata_type(void)
{
    struct trib_type t = trib_type_simple(TRIB_T_STRUCT), format = trib_type_simple(TRIB_T_STRUCT);
    text(&format, "provider");
    (void)trib_type_add(&format, "options", string_map());
    text(&t, "id");
    text(&t, "name");
    text(&t, "description");
    (void)trib_type_add(&t, "format", format);
    text(&t, "schemaString");
    (void)trib_type_add(&t, "partitionColumns", string_array());
    (void)trib_type_add(&t, "configuration", string_map());
    integer(&t, "createdTime");
    return t;
}

static struct trib_type protocol_type(void)
{
    struct trib_type t = trib_type_simple(TRIB_T_STRUCT);
    (void)trib_type_add(&t, "minReaderVersion", trib_type_simple(TRIB_T_INT));
    (void)trib_type_add(&t, "minWriterVersion", trib_type_simple(TRIB_T_INT));
    (void)trib_type_add(&t, "readerFeatures", string_array());
    (void)trib_type_add(&t, "writerFeatures", string_array());
    return t;
}

void trib_checkpoint_type(bool reading, struct trib_type *ret)
{
    struct trib_type row = trib_type_simple(TRIB_T_STRUCT), domain = trib_type_simple(TRIB_T_STRUCT);
    (void)trib_type_add(&row, "txn", txn_type());
    (void)trib_type_add(&row, "add", add_type(reading));
    (void)trib_type_add(&row, "remove", remove_type());
    (void)trib_type_add(&row, "metaData", metadata_type());
    (void)trib_type_add(&row, "protocol", protocol_type());
    text(&domain, "domain");
    text(&domain, "configuration");
    flag(&domain, "removed");
    (void)trib_type_add(&row, "domainMetadata", domain);
    if (reading) {
        struct trib_type sidecar = trib_type_simple(TRIB_T_STRUCT);
        text(&sidecar, "path");
        (void)trib_type_add(&row, "sidecar", sidecar);
    }
    *ret = row;
}

/* --- reading: vectors → actions ---------------------------------------------------------------------------------- */

/* [out] free(); NULL: null. */
static char *get_text(const struct trib_vec *v, uint64_t row)
{
    if (trib_vec_is_null(v, row)) {
        return NULL;
    }
    struct trib_view t = trib_str_view(&((const struct trib_str *)v->data)[row]);
    return trib_strndup(t.p, t.n);
}

static int64_t get_int(const struct trib_vec *v, uint64_t row, int64_t otherwise)
{
    if (trib_vec_is_null(v, row)) {
        return otherwise;
    }
    return v->type->id == TRIB_T_INT ? ((const int32_t *)v->data)[row] : ((const int64_t *)v->data)[row];
}

static bool get_flag(const struct trib_vec *v, uint64_t row, bool otherwise)
{
    return trib_vec_is_null(v, row) ? otherwise : ((const uint8_t *)v->data)[row] != 0;
}

static struct trib_kv *get_map(const struct trib_vec *v, uint64_t row, size_t *ret_n)
{
    *ret_n = 0;
    if (trib_vec_is_null(v, row)) {
        return NULL;
    }
    struct trib_list l = ((const struct trib_list *)v->data)[row];
    const struct trib_vec *keys = &v->children[0].children[0], *values = &v->children[0].children[1];
    struct trib_kv *kv = trib_calloc((size_t)l.length, sizeof *kv);
    for (uint64_t i = 0; i < l.length; i++) {
        char *key = get_text(keys, l.offset + i);
        if (key != NULL) {
            kv[(*ret_n)++] = (struct trib_kv){key, get_text(values, l.offset + i)};
        }
    }
    return kv;
}

static char **get_texts(const struct trib_vec *v, uint64_t row, size_t *ret_n)
{
    *ret_n = 0;
    if (trib_vec_is_null(v, row)) {
        return NULL;
    }
    struct trib_list l = ((const struct trib_list *)v->data)[row];
    char **p = trib_calloc((size_t)l.length + 1, sizeof *p);
    for (uint64_t i = 0; i < l.length; i++) {
        char *s = get_text(&v->children[0], l.offset + i);
        if (s != NULL) {
            p[(*ret_n)++] = s;
        }
    }
    return p;
}

static struct trib_dv *get_dv(const struct trib_vec *v, uint64_t row)
{
    char *storage = trib_vec_is_null(v, row) ? NULL : get_text(&v->children[DV_STORAGE], row);
    char *name = storage == NULL ? NULL : get_text(&v->children[DV_TEXT], row);
    struct trib_dv *dv = NULL;
    if (name != NULL) {
        dv = trib_malloc(sizeof *dv);
        *dv = (struct trib_dv){.storage = storage[0],
                               .text = name,
                               .offset = get_int(&v->children[DV_OFFSET], row, -1),
                               .size = get_int(&v->children[DV_SIZE], row, 0),
                               .cardinality = get_int(&v->children[DV_CARDINALITY], row, 0)};
    }
    free(storage);
    return dv;
}

/* Is the action of this column in this row? By its mandatory member, since some writers have structs full of nulls. */
static bool has(const struct trib_vec *v, size_t member, uint64_t row)
{
    return !trib_vec_is_null(v, row) && !trib_vec_is_null(&v->children[member], row);
}

static char *get_path(const struct trib_vec *v, uint64_t row)
{
    TRIB_CLEANUP(trib_cleanup_free) char *uri = get_text(v, row);
    return trib_delta_path_decode(uri);
}

static void read_add(const struct trib_vec *v, uint64_t row, struct trib_action *to)
{
    const struct trib_vec *c = v->children;
    to->kind = TRIB_ACTION_ADD;
    to->u.add = (struct trib_add){.path = get_path(&c[ADD_PATH], row),
                                  .size = get_int(&c[ADD_SIZE], row, -1),
                                  .mtime_ms = get_int(&c[ADD_MTIME], row, 0),
                                  .data_change = get_flag(&c[ADD_CHANGE], row, false),
                                  .stats = get_text(&c[ADD_STATS], row),
                                  .rows = -1,
                                  .version = -1,
                                  .dv = get_dv(&c[ADD_DV], row)};
    to->u.add.partition = get_map(&c[ADD_PARTITION], row, &to->u.add.n_partition);
    to->u.add.tags = get_map(&c[ADD_TAGS], row, &to->u.add.n_tags);
    to->u.add.rows = trib_stats_rows(to->u.add.stats);
    if (to->u.add.rows < 0 && !trib_vec_is_null(&c[ADD_STATS_PARSED], row)) {
        to->u.add.rows = get_int(&c[ADD_STATS_PARSED].children[0], row, -1);
    }
}

static void read_remove(const struct trib_vec *v, uint64_t row, struct trib_action *to)
{
    const struct trib_vec *c = v->children;
    to->kind = TRIB_ACTION_REMOVE;
    to->u.remove = (struct trib_remove){.file = {.path = get_path(&c[REMOVE_PATH], row),
                                                 .size = get_int(&c[REMOVE_SIZE], row, -1),
                                                 .data_change = get_flag(&c[REMOVE_CHANGE], row, true),
                                                 .rows = -1,
                                                 .version = -1,
                                                 .dv = get_dv(&c[REMOVE_DV], row)},
                                        .deleted_ms = get_int(&c[REMOVE_DELETED], row, 0)};
    to->u.remove.file.partition = get_map(&c[REMOVE_PARTITION], row, &to->u.remove.file.n_partition);
}

static void read_metadata(const struct trib_vec *v, uint64_t row, struct trib_action *to)
{
    const struct trib_vec *c = v->children;
    struct trib_metadata *m = &to->u.metadata;
    to->kind = TRIB_ACTION_METADATA;
    *m = (struct trib_metadata){.id = get_text(&c[META_ID], row),
                                .name = get_text(&c[META_NAME], row),
                                .description = get_text(&c[META_DESCRIPTION], row),
                                .schema_json = get_text(&c[META_SCHEMA], row),
                                .created_ms = get_int(&c[META_CREATED], row, 0)};
    m->partition_columns = get_texts(&c[META_COLUMNS], row, &m->n_partition_columns);
    m->properties = get_map(&c[META_PROPERTIES], row, &m->n_properties);
}

static void read_protocol(const struct trib_vec *v, uint64_t row, struct trib_action *to)
{
    size_t n;
    to->kind = TRIB_ACTION_PROTOCOL;
    to->u.protocol = (struct trib_protocol){.reader = (int)get_int(&v->children[0], row, 0),
                                            .writer = (int)get_int(&v->children[1], row, 0),
                                            .reader_features = get_texts(&v->children[2], row, &n),
                                            .writer_features = get_texts(&v->children[3], row, &n)};
}

static bool read_row(const struct trib_vec *cols, uint64_t row, struct trib_action *to)
{
    if (has(&cols[COL_ADD], ADD_PATH, row)) {
        read_add(&cols[COL_ADD], row, to);
    } else if (has(&cols[COL_REMOVE], REMOVE_PATH, row)) {
        read_remove(&cols[COL_REMOVE], row, to);
    } else if (has(&cols[COL_TXN], 0, row)) {
        to->kind = TRIB_ACTION_TXN;
        to->u.txn =
            (struct trib_txn){get_text(&cols[COL_TXN].children[0], row), get_int(&cols[COL_TXN].children[1], row, 0),
                              get_int(&cols[COL_TXN].children[2], row, -1)};
    } else if (has(&cols[COL_METADATA], META_SCHEMA, row)) {
        read_metadata(&cols[COL_METADATA], row, to);
    } else if (has(&cols[COL_PROTOCOL], 0, row)) {
        read_protocol(&cols[COL_PROTOCOL], row, to);
    } else if (has(&cols[COL_DOMAIN], 0, row)) {
        to->kind = TRIB_ACTION_DOMAIN;
        to->u.domain.d = (struct trib_domain){get_text(&cols[COL_DOMAIN].children[0], row),
                                              get_text(&cols[COL_DOMAIN].children[1], row)};
        to->u.domain.removed = get_flag(&cols[COL_DOMAIN].children[2], row, false);
    } else if (has(&cols[COL_SIDECAR], 0, row)) {
        to->kind = TRIB_ACTION_SIDECAR;
        to->u.sidecar = get_path(&cols[COL_SIDECAR].children[0], row);
    } else {
        return false;
    }
    return true;
}

static int read_parquet(const struct trib_delta *t, const char *const *paths, size_t n, struct trib_actions *to,
                        struct trib_err *err)
{
    if (t->conn == NULL) {
        return trib_err_set(err, TRIB_E_INTERNAL, "reading a checkpoint needs a connection to the engine");
    }
    struct trib_type row;
    TRIB_CLEANUP(trib_buf_free) struct trib_buf sql;
    TRIB_CLEANUP(trib_cleanup_free) struct trib_parquet_input *files = trib_calloc(n, sizeof *files);
    for (size_t i = 0; i < n; i++) {
        files[i].path = paths[i];
    }
    trib_buf_init(&sql, (size_t)64 << 20);
    trib_checkpoint_type(true, &row);
    struct trib_result *result = NULL;
    int rc = trib_parquet_select(t->conn, &row, files, n, NULL, 0, false, &sql, err);
    rc = rc != 0 ? rc : trib_buf_check(&sql, "the SQL that reads a checkpoint", err);
    rc = rc != 0 ? rc : trib_query(t->conn, sql.p, &result, err);
    while (rc == 0) {
        const struct trib_chunk *chunk;
        rc = trib_result_next(result, &chunk, err);
        if (rc != 0 || chunk->rows == 0) {
            break;
        }
        for (size_t i = 0; i < chunk->rows; i++) {
            TRIB_GROW(to->p, to->cap, to->n + 1);
            memset(&to->p[to->n], 0, sizeof *to->p);
            to->n += read_row(chunk->cols, i, &to->p[to->n]);
        }
    }
    trib_result_free(result);
    trib_type_free(&row);
    return rc;
}

/* Objects of the log folder as Parquet. */
static int read_objects(const struct trib_delta *t, const char *folder, char *const *names, size_t n,
                        struct trib_actions *to, struct trib_err *err)
{
    char **paths = trib_calloc(n + 1, sizeof *paths);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        TRIB_CLEANUP(trib_cleanup_free) char *name = trib_asprintf("%s%s", folder, names[i]);
        TRIB_CLEANUP(trib_cleanup_free) char *key = trib_delta_log_key(t, name);
        rc = trib_store_local(t->store, key, &paths[i], err);
    }
    rc = rc != 0 ? rc : read_parquet(t, (const char *const *)paths, n, to, err);
    trib_texts_free(paths);
    return rc;
}

static int read_json(const struct trib_delta *t, const char *name, struct trib_actions *to, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *key = trib_delta_log_key(t, name);
    TRIB_CLEANUP(trib_buf_free) struct trib_buf b;
    trib_buf_init(&b, TRIB_DELTA_MAX_OBJECT);
    TRIB_TRY(trib_store_get(t->store, key, 0, -1, &b, err));
    return trib_actions_parse(trib_buf_view(&b), key, to, err);
}

static int read_sidecars(const struct trib_delta *t, struct trib_actions *to, struct trib_err *err)
{
    size_t n = 0;
    char **names = trib_calloc(to->n + 1, sizeof *names);
    for (size_t i = 0; i < to->n; i++) {
        if (to->p[i].kind == TRIB_ACTION_SIDECAR) {
            names[n++] = to->p[i].u.sidecar;
            to->p[i].kind = TRIB_ACTION_OTHER;
        }
    }
    int rc = n == 0 ? 0 : read_objects(t, "_sidecars/", names, n, to, err);
    trib_texts_free(names);
    return rc;
}

int trib_checkpoint_read(const struct trib_delta *t, const struct trib_log_checkpoint *c, struct trib_actions *to,
                         struct trib_err *err)
{
    int rc = c->kind == TRIB_CHECKPOINT_V2_JSON ? read_json(t, c->names[0], to, err)
                                                : read_objects(t, "", c->names, c->n_parts, to, err);
    rc = rc != 0 ? rc : read_sidecars(t, to, err);
    if (rc != 0) {
        return trib_err_wrap(err, "checkpoint %s", c->names[0]);
    }
    return 0;
}

/* --- writing: snapshot → vectors --------------------------------------------------------------------------------- */

struct writer {
    const struct trib_delta *t;
    const struct trib_snapshot *s;
    const char *schema_json;
    int64_t keep_after_ms; /* tombstones of before have expired */
    size_t section, at;    /* what comes next */
};

static void set_text(struct trib_vec *v, uint64_t row, const char *s)
{
    if (s == NULL) {
        trib_vec_null(v, row);
    } else {
        ((struct trib_str *)v->data)[row] = trib_str_make(s, strlen(s));
    }
}

static void set_int(struct trib_vec *v, uint64_t row, int64_t x)
{
    if (v->type->id == TRIB_T_INT) {
        ((int32_t *)v->data)[row] = (int32_t)x;
    } else {
        ((int64_t *)v->data)[row] = x;
    }
}

static void set_flag(struct trib_vec *v, uint64_t row, bool x) { ((uint8_t *)v->data)[row] = x; }

static void set_map(struct trib_vec *v, uint64_t row, const struct trib_kv *kv, size_t n)
{
    trib_vec_room(v, n);
    ((struct trib_list *)v->data)[row] = (struct trib_list){v->child_used, n};
    for (size_t i = 0; i < n; i++) {
        set_text(&v->children[0].children[0], v->child_used + i, kv[i].key);
        set_text(&v->children[0].children[1], v->child_used + i, kv[i].value);
    }
    v->child_used += n;
}

static void set_texts(struct trib_vec *v, uint64_t row, char *const *p, size_t n)
{
    trib_vec_room(v, n);
    ((struct trib_list *)v->data)[row] = (struct trib_list){v->child_used, n};
    for (size_t i = 0; i < n; i++) {
        set_text(&v->children[0], v->child_used + i, p[i]);
    }
    v->child_used += n;
}

static void set_features(struct trib_vec *v, uint64_t row, char *const *p, bool wanted)
{
    size_t n = 0;
    while (p != NULL && p[n] != NULL) {
        n++;
    }
    if (wanted) {
        set_texts(v, row, p, n);
    } else {
        trib_vec_null(v, row);
    }
}

static void set_dv(struct trib_vec *v, uint64_t row, const struct trib_dv *dv, struct trib_arena *arena)
{
    if (dv == NULL) {
        trib_vec_null(v, row);
        return;
    }
    set_text(&v->children[DV_STORAGE], row, trib_arena_strndup(arena, &dv->storage, 1));
    set_text(&v->children[DV_TEXT], row, dv->text);
    if (dv->offset < 0) {
        trib_vec_null(&v->children[DV_OFFSET], row);
    } else {
        set_int(&v->children[DV_OFFSET], row, dv->offset);
    }
    set_int(&v->children[DV_SIZE], row, dv->size);
    set_int(&v->children[DV_CARDINALITY], row, dv->cardinality);
}

static void set_path(struct trib_vec *v, uint64_t row, const char *path, struct trib_arena *arena)
{
    TRIB_CLEANUP(trib_buf_free) struct trib_buf uri;
    trib_buf_init(&uri, 1 << 20);
    trib_delta_path_encode(&uri, path);
    set_text(v, row, trib_arena_strndup(arena, uri.p == NULL ? "" : uri.p, uri.n));
}

static void write_add(struct trib_vec *v, uint64_t row, const struct trib_add *a, struct trib_arena *arena)
{
    struct trib_vec *c = v->children;
    set_path(&c[ADD_PATH], row, a->path, arena);
    set_map(&c[ADD_PARTITION], row, a->partition, a->n_partition);
    set_int(&c[ADD_SIZE], row, a->size);
    set_int(&c[ADD_MTIME], row, a->mtime_ms);
    set_flag(&c[ADD_CHANGE], row, false);
    if (a->n_tags > 0) {
        set_map(&c[ADD_TAGS], row, a->tags, a->n_tags);
    } else {
        trib_vec_null(&c[ADD_TAGS], row);
    }
    set_dv(&c[ADD_DV], row, a->dv, arena);
    set_text(&c[ADD_STATS], row, a->stats);
}

static void write_remove(struct trib_vec *v, uint64_t row, const struct trib_remove *r, struct trib_arena *arena)
{
    struct trib_vec *c = v->children;
    bool extended = r->file.size >= 0;
    set_path(&c[REMOVE_PATH], row, r->file.path, arena);
    set_int(&c[REMOVE_DELETED], row, r->deleted_ms);
    set_flag(&c[REMOVE_CHANGE], row, false);
    set_flag(&c[REMOVE_EXTENDED], row, extended);
    if (extended) {
        set_map(&c[REMOVE_PARTITION], row, r->file.partition, r->file.n_partition);
        set_int(&c[REMOVE_SIZE], row, r->file.size);
    } else {
        trib_vec_null(&c[REMOVE_PARTITION], row);
        trib_vec_null(&c[REMOVE_SIZE], row);
    }
    set_dv(&c[REMOVE_DV], row, r->file.dv, arena);
}

static void write_metadata(struct trib_vec *v, uint64_t row, const struct writer *w)
{
    struct trib_vec *c = v->children;
    const struct trib_snapshot *s = w->s;
    set_text(&c[META_ID], row, s->table_id);
    set_text(&c[META_NAME], row, s->name);
    set_text(&c[META_DESCRIPTION], row, s->description);
    set_text(&c[META_FORMAT].children[0], row, "parquet");
    set_map(&c[META_FORMAT].children[1], row, NULL, 0);
    set_text(&c[META_SCHEMA], row, w->schema_json);
    set_texts(&c[META_COLUMNS], row, s->partition_columns, s->n_partition_columns);
    set_map(&c[META_PROPERTIES], row, s->properties, s->n_properties);
    set_int(&c[META_CREATED], row, s->created_ms);
}

static void write_protocol(struct trib_vec *v, uint64_t row, const struct trib_protocol *p)
{
    set_int(&v->children[0], row, p->reader);
    set_int(&v->children[1], row, p->writer);
    set_features(&v->children[2], row, p->reader_features, p->reader >= 3);
    set_features(&v->children[3], row, p->writer_features, p->writer >= 7);
}

static bool expired(const struct writer *w, const struct trib_remove *r) { return r->deleted_ms <= w->keep_after_ms; }

/* Writes the next action; -1: none is left, else its column. */
static int write_next(struct writer *w, struct trib_chunk *chunk, uint64_t row)
{
    const struct trib_snapshot *s = w->s;
    const size_t sizes[] = {1, 1, s->n_txns, s->n_domains, s->n_removes, s->n_adds};
    static const int columns[] = {COL_PROTOCOL, COL_METADATA, COL_TXN, COL_DOMAIN, COL_REMOVE, COL_ADD};
    for (;;) {
        while (w->section < 6 && w->at == sizes[w->section]) {
            w->section++;
            w->at = 0;
        }
        if (w->section == 6) {
            return -1;
        }
        if (columns[w->section] != COL_REMOVE || !expired(w, &s->removes[w->at])) {
            break;
        }
        w->at++;
    }
    int column = columns[w->section];
    struct trib_vec *v = &chunk->cols[column];
    size_t i = w->at++;
    switch (column) {
    case COL_PROTOCOL: write_protocol(v, row, &s->protocol); break;
    case COL_METADATA: write_metadata(v, row, w); break;
    case COL_TXN:
        set_text(&v->children[0], row, s->txns[i].app_id);
        set_int(&v->children[1], row, s->txns[i].version);
        if (s->txns[i].last_updated_ms < 0) {
            trib_vec_null(&v->children[2], row);
        } else {
            set_int(&v->children[2], row, s->txns[i].last_updated_ms);
        }
        break;
    case COL_DOMAIN:
        set_text(&v->children[0], row, s->domains[i].domain);
        set_text(&v->children[1], row, s->domains[i].configuration);
        set_flag(&v->children[2], row, false);
        break;
    case COL_REMOVE: write_remove(v, row, &s->removes[i], &chunk->arena); break;
    default: write_add(v, row, &s->adds[i], &chunk->arena); break;
    }
    return column;
}

static int fill(void *ctx, struct trib_chunk *chunk, struct trib_err *err)
{
    (void)err;
    struct writer *w = ctx;
    chunk->rows = 0;
    while (chunk->rows < chunk->capacity) {
        int column = write_next(w, chunk, chunk->rows);
        if (column < 0) {
            break;
        }
        for (size_t c = 0; c < chunk->n_cols; c++) {
            if ((int)c != column) {
                trib_vec_null(&chunk->cols[c], chunk->rows);
            }
        }
        chunk->rows++;
    }
    return 0;
}

/* --- the protocol of writing ------------------------------------------------------------------------------------- */

/* "interval 7 days", "interval 1 week 2 hours": Spark's calendar intervals without months. -1: not understood. */
static int64_t interval_ms(const char *s)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"week", 604800000}, {"day", 86400000}, {"hour", 3600000},
                 {"minute", 60000},   {"second", 1000},  {"millisecond", 1}};
    int64_t sum = -1;
    char word[32];
    int used = 0;
    if (sscanf(s, " interval%n", &used) == 0 && used > 0) {
        s += used;
    }
    long long n;
    while (sscanf(s, " %lld %31[a-zA-Z]%n", &n, word, &used) == 2) {
        s += used;
        size_t i = 0, len = strlen(word);
        len -= len > 1 && word[len - 1] == 's';
        while (i < 6 && (strlen(units[i].unit) != len || strncasecmp(units[i].unit, word, len) != 0)) {
            i++;
        }
        if (i == 6 || n < 0 || n > INT32_MAX) {
            return -1;
        }
        sum = (sum < 0 ? 0 : sum) + n * units[i].ms;
    }
    return s[strspn(s, " ")] == '\0' ? sum : -1;
}

static int64_t keep_after(const struct trib_delta *t, const struct trib_snapshot *s)
{
    const char *v = trib_snapshot_property(s, "delta.deletedFileRetentionDuration");
    int64_t ms = v == NULL ? -1 : interval_ms(v);
    return trib_now_us(t->clock) / 1000 - (ms < 0 ? 604800000 : ms);
}

static size_t live_removes(const struct writer *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->s->n_removes; i++) {
        n += !expired(w, &w->s->removes[i]);
    }
    return n;
}

/* Does the stored checkpoint hold the snapshot? Every action by kind, and every live file by path. */
static int read_back(const struct writer *w, const char *name, struct trib_err *err)
{
    TRIB_CLEANUP(trib_actions_free) struct trib_actions a = {0};
    char *names[] = {(char *)(uintptr_t)name, NULL};
    TRIB_TRY(read_objects(w->t, "", names, 1, &a, err));
    size_t n[TRIB_ACTION_SIDECAR + 1] = {0};
    struct trib_log_state *state = trib_log_state_new();
    for (size_t i = 0; i < a.n; i++) {
        n[a.p[i].kind]++;
        trib_log_state_apply(state, &a.p[i], -1);
    }
    struct trib_snapshot back = {.version = -1};
    trib_log_state_give(state, &back);
    trib_log_state_free(state);
    bool same = n[TRIB_ACTION_PROTOCOL] == 1 && n[TRIB_ACTION_METADATA] == 1 && n[TRIB_ACTION_TXN] == w->s->n_txns &&
                n[TRIB_ACTION_DOMAIN] == w->s->n_domains && n[TRIB_ACTION_REMOVE] == live_removes(w) &&
                back.n_adds == w->s->n_adds;
    for (size_t i = 0; same && i < back.n_adds; i++) {
        const struct trib_add *x = &back.adds[i], *y = &w->s->adds[i];
        same = strcmp(x->path, y->path) == 0 && x->size == y->size && trib_dv_same(x->dv, y->dv) &&
               x->n_partition == y->n_partition;
    }
    trib_snapshot_free(&back);
    return same ? 0
                : trib_err_set(err, TRIB_E_DATA, "checkpoint %s does not hold what was written: it is not used", name);
}

static int put_pointer(const struct writer *w, size_t rows, int64_t bytes, struct trib_err *err)
{
    TRIB_CLEANUP(trib_buf_free) struct trib_buf b;
    trib_buf_init(&b, 4096);
    trib_buf_addc(&b, '{');
    trib_jsontext_add_int(&b, "version", w->s->version);
    trib_jsontext_add_int(&b, "size", (int64_t)rows);
    trib_jsontext_add_int(&b, "sizeInBytes", bytes);
    trib_jsontext_add_int(&b, "numOfAddFiles", (int64_t)w->s->n_adds);
    trib_buf_addc(&b, '}');
    TRIB_CLEANUP(trib_cleanup_free) char *key = trib_delta_log_key(w->t, "_last_checkpoint");
    return trib_store_put(w->t->store, key, trib_buf_view(&b), false, err);
}

/* Another process may have written the same version's checkpoint meanwhile: then its own is read back and named. */
static int put_checkpoint(const struct writer *w, const struct trib_parquet_file *f, struct trib_err *err)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%020" PRId64 ".checkpoint.parquet", w->s->version);
    TRIB_CLEANUP(trib_cleanup_free) char *key = trib_delta_log_key(w->t, name);
    struct trib_err why = {0};
    int rc = trib_store_put_file(w->t->store, key, f->path, &why);
    if (rc != 0 && rc != TRIB_E_EXISTS) {
        *err = why;
        return rc;
    }
    int64_t bytes = f->bytes;
    TRIB_TRY(trib_store_head(w->t->store, key, &bytes, NULL, err));
    TRIB_TRY(read_back(w, name, err));
    return put_pointer(w, (size_t)f->rows, bytes, err);
}

static int write_checkpoint(struct writer *w, struct trib_err *err)
{
    char uuid[37];
    trib_rng_uuid(w->t->rng, uuid);
    TRIB_CLEANUP(trib_cleanup_free) char *path = trib_asprintf("%s/checkpoint-%s.parquet", w->t->scratch, uuid);
    struct trib_type row;
    struct trib_parquet_file file = {0};
    struct trib_parquet_opts opts = {.compression = TRIB_SNAPPY, .row_group_rows = 20000};
    trib_checkpoint_type(false, &row);
    int rc = trib_parquet_write(w->t->conn, &row, fill, w, path, &opts, &file, err);
    if (rc == 0) {
        rc = put_checkpoint(w, &file, err);
    }
    trib_parquet_file_free(&file);
    trib_type_free(&row);
    return rc;
}

int trib_delta_checkpoint(const struct trib_delta *t, const struct trib_snapshot *s, struct trib_err *err)
{
    struct trib_err local = {0};
    struct trib_err *to = err == NULL ? &local : err;
    TRIB_CLEANUP(trib_cleanup_free) char *name = trib_delta_name(t);
    if (s->version < 0) {
        return trib_err_set(to, TRIB_E_INTERNAL, "%s: there is no table to make a checkpoint of", name);
    }
    if (t->conn == NULL || t->scratch == NULL) {
        return trib_err_set(to, TRIB_E_INTERNAL, "%s: a checkpoint needs a connection and a scratch folder", name);
    }
    TRIB_TRY(trib_delta_can_write(s, name, to));
    TRIB_CLEANUP(trib_buf_free) struct trib_buf schema;
    trib_buf_init(&schema, TRIB_DELTA_MAX_OBJECT);
    trib_delta_schema_json(&s->schema, &schema);
    TRIB_TRY(trib_buf_check(&schema, "a schema", to));
    struct writer w = {.t = t, .s = s, .schema_json = schema.p, .keep_after_ms = keep_after(t, s)};
    int rc = write_checkpoint(&w, to);
    return rc == 0 ? 0 : trib_err_wrap(to, "checkpoint of %s, version %" PRId64, name, s->version);
}

/*
 * When the log has grown to the size of the checkpoint, at the latest after 100 commits; not before 10 commits, unless those
 * are big. So a table of 100,000 files rewrites its state once in 100 commits, and a small one every 10 or so.
 */
int trib_delta_maybe_checkpoint(const struct trib_delta *t, const struct trib_snapshot *s, struct trib_err *err)
{
    enum { MOST_COMMITS = 100, FEW_COMMITS = 10, BIG_LOG = 1 << 20 };
    int64_t commits = s->version - s->checkpoint_version;
    bool grown = s->log_bytes_since_checkpoint >= s->checkpoint_bytes &&
                 (commits >= FEW_COMMITS || s->log_bytes_since_checkpoint >= BIG_LOG);
    if (s->version < 0 || commits <= 0 || !(commits >= MOST_COMMITS || grown)) {
        return 0;
    }
    return trib_delta_checkpoint(t, s, err);
}
