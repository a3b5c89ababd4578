/*
 * The quarantine table of one DynamoDB table (spec: interface.md, Bad input).
 *
 * Owns the commits to <lake>/quarantine/dynamodb/<table>. Never drops a row: what stands there with the same file, offset
 * and reason is the same row. Threads: one at a time. A crash leaves either nothing (and Parquet files that no log names) or the whole
 * commit; the stage repeats it, and what was committed is left out then.
 *
 *   1. load the snapshot; the schema is its own, grown by the item schema given
 *   2. read (file, offset, reason) of the rows that stand there for the files at hand
 *   3. write what is new as Parquet, from the spools, in bounded chunks
 *   4. commit; on a conflict throw the files away and begin at 1
 */
#include <stdlib.h>

#include "schema/decode.h"
#include "stage/hmap.h"
#include "stage/parts.h"
#include "stage/spool.h"
#include "stage/stage.h"

enum { MAX_ATTEMPTS = 16 };

struct columns { /* places in the file's schema; -1: not there */
    int op, record, old_record, origin, event_id, sequence, event_ts, ttl, ingest_file, ingest_ts, rescued, rescued_old,
        reason, expectation, offset, raw, quarantined;
};

struct writer {
    const struct trib_quarantine_opts *o;
    struct trib_spool *const *spools;
    size_t n_spools, at;
    bool more; /* the spools are not exhausted */
    int64_t now_us;
    const struct trib_type *item;
    struct trib_decoder *decoder;
    struct trib_hmap present; /* what stands there, and what was written by us */
    struct columns c;
    struct trib_buf rescued;
    struct trib_parts parts;
    int64_t rows;
};

static int column(const struct trib_type *t, const char *name)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        if (strcmp(t->fields[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static struct columns columns_of(const struct trib_type *t)
{
    return (struct columns){
        .op = column(t, "op"),
        .record = column(t, "record"),
        .old_record = column(t, "old_record"),
        .origin = column(t, "_origin"),
        .event_id = column(t, "_event_id"),
        .sequence = column(t, "_sequence"),
        .event_ts = column(t, "_event_ts"),
        .ttl = column(t, "_ttl"),
        .ingest_file = column(t, "_ingest_file"),
        .ingest_ts = column(t, "_ingest_ts"),
        .rescued = column(t, "_rescued_data"),
        .rescued_old = column(t, "_rescued_old_data"),
        .reason = column(t, "_reason"),
        .expectation = column(t, "_expectation"),
        .offset = column(t, "_offset"),
        .raw = column(t, "_raw"),
        .quarantined = column(t, "_quarantined_ts"),
    };
}

static struct trib_hkey identity(struct trib_view file, int64_t offset, struct trib_view reason)
{
    struct trib_buf b;
    trib_buf_init(&b, file.n + reason.n + 64);
    trib_buf_add(&b, file.p, file.n);
    trib_buf_addc(&b, '\0');
    trib_buf_addf(&b, "%lld", (long long)offset);
    trib_buf_addc(&b, '\0');
    trib_buf_add(&b, reason.p, reason.n);
    struct trib_hkey key = trib_hkey_of(trib_buf_view(&b));
    trib_buf_free(&b);
    return key;
}

static void put_text(struct trib_vec *v, uint64_t row, struct trib_view text)
{
    if (text.p == NULL) {
        trib_vec_null(v, row);
    } else {
        ((struct trib_str *)v->data)[row] = trib_str_make(text.p, text.n);
    }
}

static void put_i64(struct trib_vec *v, uint64_t row, int64_t value, bool null)
{
    ((int64_t *)v->data)[row] = value;
    if (null) {
        trib_vec_null(v, row);
    }
}

/* An image that cannot be decoded is null: the raw bytes and the reason tell about it. */
static int put_image(struct writer *w, struct trib_chunk *chunk, uint64_t row, int place, int rescued_place,
                     struct trib_view json, unsigned flags)
{
    if (place < 0) {
        return 0;
    }
    struct trib_vec *v = &chunk->cols[place];
    struct trib_item_result result;
    struct trib_err ignored;
    trib_buf_clear(&w->rescued);
    bool null = json.n == 0 || trib_decode_item(w->decoder, json, flags, v->children, row, &chunk->arena, &w->rescued,
                                                &result, &ignored) != 0;
    if (null) {
        trib_decode_null(w->decoder, v->children, row);
        trib_vec_null(v, row);
        trib_buf_clear(&w->rescued);
    }
    struct trib_view text = {NULL, 0};
    if (w->rescued.n > 0) {
        text = (struct trib_view){trib_arena_strndup(&chunk->arena, w->rescued.p, w->rescued.n), w->rescued.n};
    }
    put_text(&chunk->cols[rescued_place], row, text);
    return 0;
}

static int put_row(struct writer *w, struct trib_chunk *chunk, uint64_t row, const struct trib_quarantine_row *q)
{
    const struct columns *c = &w->c;
    struct trib_vec *v = chunk->cols;
    put_text(&v[c->op], row, trib_view_of(q->op));
    put_text(&v[c->origin], row, trib_view_of(q->origin));
    put_text(&v[c->event_id], row, trib_view_of(q->event_id));
    put_text(&v[c->sequence], row, trib_view_of(q->sequence));
    put_i64(&v[c->event_ts], row, q->event_ts_us, q->event_ts_us < 0);
    trib_vec_null(&v[c->ttl], row);
    put_text(&v[c->ingest_file], row, trib_view_of(q->file));
    put_i64(&v[c->ingest_ts], row, w->now_us, false);
    put_text(&v[c->reason], row, trib_view_of(q->reason));
    put_text(&v[c->expectation], row, trib_view_of(q->expectation));
    put_i64(&v[c->offset], row, q->offset, q->offset < 0);
    put_text(&v[c->raw], row, q->raw);
    put_i64(&v[c->quarantined], row, w->now_us, false);
    if (c->record < 0) {
        put_text(&v[c->rescued], row, (struct trib_view){NULL, 0});
        return 0;
    }
    unsigned flags = q->base64_twice ? TRIB_DECODE_BASE64_TWICE : 0;
    TRIB_TRY(put_image(w, chunk, row, c->record, c->rescued, q->item_json, flags));
    return put_image(w, chunk, row, c->old_record, c->rescued_old, q->old_json, flags);
}

static int fill(void *ctx, struct trib_chunk *chunk, struct trib_err *err)
{
    struct writer *w = ctx;
    chunk->rows = 0;
    if (trib_parts_full(&w->parts)) {
        return 0;
    }
    while (chunk->rows < chunk->capacity && chunk->arena.used_bytes < TRIB_PART_CHUNK_BYTES && w->at < w->n_spools) {
        struct trib_quarantine_row row;
        bool more;
        TRIB_TRY(trib_spool_next(w->spools[w->at], &chunk->arena, &row, &more, err));
        if (!more) {
            w->at++;
            continue;
        }
        bool fresh;
        trib_hmap_put(&w->present, identity(trib_view_of(row.file), row.offset, trib_view_of(row.reason)), 0, &fresh);
        if (fresh) {
            TRIB_TRY(put_row(w, chunk, chunk->rows, &row));
            chunk->rows++;
        }
    }
    w->more = w->at < w->n_spools;
    w->rows += (int64_t)chunk->rows;
    trib_parts_chunk(&w->parts, chunk->rows, chunk->arena.used_bytes);
    return 0;
}

/* What stands there for the files at hand. */
static int load_present(struct writer *w, const struct trib_delta *t, const struct trib_snapshot *s,
                        struct trib_err *err)
{
    trib_hmap_free(&w->present);
    if (s->version < 0 || s->n_adds == 0) {
        return 0;
    }
    struct trib_hmap files = {0};
    const char *min = NULL, *max = NULL;
    for (size_t i = 0; i < w->n_spools; i++) {
        trib_spool_files(w->spools[i], &files, &min, &max);
    }
    struct trib_buf inner, sql;
    trib_buf_init(&inner, (size_t)256 << 20);
    trib_buf_init(&sql, (size_t)256 << 20);
    struct trib_result *r = NULL;
    int rc = trib_delta_select(t, s, s->adds, s->n_adds, false, &inner, err);
    if (rc == 0) {
        trib_buf_adds(&sql, "SELECT \"_ingest_file\", coalesce(\"_offset\", -1), coalesce(\"_reason\", '') FROM (");
        trib_buf_add(&sql, inner.p, inner.n);
        trib_buf_adds(&sql, ") WHERE \"_ingest_file\" >= ");
        trib_sql_literal(&sql, trib_view_of(min));
        trib_buf_adds(&sql, " AND \"_ingest_file\" <= ");
        trib_sql_literal(&sql, trib_view_of(max));
        rc = trib_buf_check(&sql, "query of the quarantine table", err);
    }
    if (rc == 0) {
        rc = trib_query(t->conn, sql.p, &r, err);
    }
    const struct trib_chunk *chunk = NULL;
    while (rc == 0 && (rc = trib_result_next(r, &chunk, err)) == 0 && chunk->rows > 0) {
        for (size_t i = 0; i < chunk->rows; i++) {
            struct trib_view file = trib_str_view(&((const struct trib_str *)chunk->cols[0].data)[i]);
            if (trib_hmap_get(&files, trib_hkey_of(file)) != NULL) {
                struct trib_view reason = trib_str_view(&((const struct trib_str *)chunk->cols[2].data)[i]);
                trib_hmap_put(&w->present, identity(file, ((const int64_t *)chunk->cols[1].data)[i], reason), 0, NULL);
            }
        }
    }
    if (r != NULL) {
        trib_result_free(r);
    }
    trib_hmap_free(&files);
    trib_buf_free(&inner);
    trib_buf_free(&sql);
    return rc;
}

/* Writes the spools as Parquet files and moves them into the table. */
static int write_files(struct writer *w, const struct trib_delta *t, const struct trib_type *schema,
                       struct trib_delta_files *ret, struct trib_err *err)
{
    struct trib_type row;
    trib_type_copy(&row, schema);
    trib_field_free(&row.fields[--row.n_fields]); /* ingest_date, put last by the caller: a partition column */
    w->c = columns_of(&row);
    uint64_t bytes = 0, rows = 0;
    int rc = 0;
    for (size_t i = 0; i < w->n_spools && rc == 0; i++) {
        bytes += trib_spool_bytes(w->spools[i]);
        rows += trib_spool_rows(w->spools[i]);
        rc = trib_spool_rewind(w->spools[i], err);
    }
    char date[11];
    trib_utc_date(w->now_us, date);
    const struct trib_kv partition = {(char *)"ingest_date", date};
    static const char *const stats[] = {"_ingest_file", "_offset", "_ingest_ts", "_quarantined_ts"};
    w->more = true;
    w->at = 0;
    w->parts.width = bytes / (rows > 0 ? rows : 1) + 1;
    while (rc == 0 && w->more) {
        trib_parts_begin(&w->parts, 0);
        const struct trib_parquet_opts po = {
            .compression = TRIB_ZSTD, .row_group_rows = w->parts.group_rows, .stats = stats, .n_stats = 4};
        rc = trib_delta_files_write(t, &row, fill, w, &po, &partition, 1, ret, err);
    }
    trib_type_free(&row);
    return rc;
}

static void move_last(struct trib_type *t, const char *name)
{
    int at = column(t, name);
    struct trib_field f = t->fields[at];
    memmove(&t->fields[at], &t->fields[at + 1], (t->n_fields - 1 - (size_t)at) * sizeof f);
    t->fields[t->n_fields - 1] = f;
}

/* The table's schema grown by the item's; the item schema of the result in w->item [borrow from *ret_schema]. */
static int schema_for(struct writer *w, const struct trib_snapshot *s, const struct trib_schema_opts *so,
                      const struct trib_type *item, bool with_old, struct trib_type *ret_schema, struct trib_err *err)
{
    const struct trib_type none = trib_type_simple(TRIB_T_STRUCT);
    const struct trib_type *current = s->version < 0 ? NULL : trib_bronze_item(&s->schema);
    struct trib_evolved ev = {0};
    TRIB_TRY(trib_schema_adopt(current != NULL ? current : &none, item != NULL ? item : &none, so, &ev, err));
    with_old |= s->version >= 0 && trib_type_find(&s->schema, "old_record") != NULL;
    struct trib_type own;
    trib_quarantine_schema(&ev.type, with_old, &own);
    if (s->version < 0) {
        *ret_schema = own;
    } else {
        trib_schema_grow(&s->schema, &own, ret_schema);
        trib_type_free(&own);
    }
    trib_type_free(&ev.type);
    free(ev.new_fields);
    w->item = trib_bronze_item(ret_schema);
    return 0;
}

static int commit(const struct trib_delta *t, const struct trib_quarantine_opts *o, const struct trib_snapshot *s,
                  const struct trib_type *schema, const struct trib_delta_files *files, struct trib_err *err)
{
    TRIB_CLEANUP(trib_cleanup_free) char *app = trib_app_bronze(o->pipeline, o->table);
    TRIB_CLEANUP(trib_cleanup_free) char *count = trib_asprintf("%lld", (long long)files->rows);
    const struct trib_txn txn = {.app_id = app, .version = s->version + 1, .last_updated_ms = -1};
    const char *const partition[] = {"ingest_date"};
    const struct trib_kv fresh_properties[] = {
        {(char *)"delta.dataSkippingStatsColumns", (char *)"_ingest_file,_offset,_ingest_ts,_quarantined_ts"},
        {(char *)"tributary.pipeline", (char *)o->pipeline},
        {(char *)"tributary.table", (char *)o->table}};
    const struct trib_protocol protocol = {.reader = 1, .writer = 2};
    const struct trib_kv params[] = {{(char *)"mode", (char *)"Append"},
                                     {(char *)"partitionBy", (char *)"[\"ingest_date\"]"}};
    const struct trib_kv metrics[] = {{(char *)"numOutputRows", count}};
    struct trib_commit c = {
        .read_version = s->version,
        .operation = "WRITE",
        .params = params,
        .n_params = 2,
        .metrics = metrics,
        .n_metrics = 1,
        .blind_append = true,
        .txn = &txn,
        .n_txn = 1,
        .adds = files->adds,
        .n_adds = files->n,
        .schema = schema,
        .partition_columns = partition,
        .n_partition_columns = 1,
    };
    if (s->version < 0) {
        c.new_metadata = true;
        c.protocol = &protocol;
        c.properties = fresh_properties;
        c.n_properties = sizeof fresh_properties / sizeof *fresh_properties;
    } else if (!trib_type_same(&s->schema, schema)) {
        c.new_metadata = true;
        c.properties = s->properties;
        c.n_properties = s->n_properties;
    }
    return trib_delta_commit(t, s, &c, err);
}

static int attempt(struct writer *w, const struct trib_delta *t, struct trib_snapshot *s,
                   const struct trib_schema_opts *so, const struct trib_type *item, bool with_old, struct trib_err *err)
{
    struct trib_type schema, file_schema;
    TRIB_TRY(schema_for(w, s, so, item, with_old, &schema, err));
    trib_quarantine_schema(w->item, trib_type_find(&schema, "old_record") != NULL, &file_schema);
    move_last(&file_schema, "ingest_date");
    const struct trib_type none = trib_type_simple(TRIB_T_STRUCT);
    struct trib_type decoded;
    trib_type_copy(&decoded, w->item != NULL ? w->item : &none);
    w->decoder = trib_decoder_new(&decoded, so);
    w->rows = 0;
    struct trib_delta_files files = {0};
    int rc = load_present(w, t, s, err);
    if (rc == 0) {
        rc = write_files(w, t, &file_schema, &files, err);
    }
    if (rc == 0 && files.n > 0) {
        rc = commit(t, w->o, s, &schema, &files, err);
    }
    trib_delta_files_end(t, &files, rc, err);
    trib_decoder_free(w->decoder);
    trib_type_free(&decoded);
    trib_type_free(&file_schema);
    trib_type_free(&schema);
    return rc;
}

/* Bronze's item schema as it is now, or no fields. */
static int bronze_item(const struct trib_env *env, struct trib_conn *conn, const char *table, struct trib_type *ret,
                       struct trib_err *err)
{
    struct trib_delta t = trib_env_delta(env, conn, trib_path_bronze(table));
    struct trib_snapshot s = {.version = -1};
    int rc = trib_delta_load(&t, -1, &s, err);
    if (rc == 0) {
        const struct trib_type none = trib_type_simple(TRIB_T_STRUCT);
        const struct trib_type *item = s.version < 0 ? NULL : trib_bronze_item(&s.schema);
        trib_type_copy(ret, item != NULL ? item : &none);
        trib_snapshot_free(&s);
    }
    free(t.path);
    return rc;
}

static int commit_with(struct writer *w, const struct trib_env *env, struct trib_conn *conn,
                       const struct trib_type *item, bool with_old, struct trib_err *err)
{
    struct trib_schema_opts so = w->o->schema != NULL ? *w->o->schema : (struct trib_schema_opts){.infer = true};
    so.n_keys = 0;
    so.n_reserved = 0;
    so.max_columns = 0;
    struct trib_delta t = trib_env_delta(env, conn, trib_path_quarantine(w->o->table));
    struct trib_snapshot s = {.version = -1};
    int rc = trib_delta_load(&t, -1, &s, err);
    bool loaded = rc == 0;
    for (int n = 0; rc == 0; n++) {
        rc = attempt(w, &t, &s, &so, item, with_old, err);
        if (rc == 0) {
            break;
        }
        if (rc != TRIB_E_CONFLICT) {
            break;
        }
        if (n == MAX_ATTEMPTS) {
            rc = trib_err_set(err, TRIB_E_AGAIN, "quarantine of table %s: another writer was first %d times; run again",
                              w->o->table, n);
            break;
        }
        rc = trib_delta_refresh(&t, &s, err);
    }
    if (rc == 0 && w->rows > 0) {
        struct trib_err later; /* the rows are durable; a checkpoint can wait for the next commit */
        if (trib_delta_refresh(&t, &s, &later) == 0 && trib_delta_maybe_checkpoint(&t, &s, &later) != 0) {
            trib_logkv(env->log, TRIB_LOG_WARN, "checkpoint failed", "path", t.path, "error", later.msg, NULL);
        }
    }
    if (loaded) {
        trib_snapshot_free(&s);
    }
    free(t.path);
    return rc;
}

int trib_quarantine_commit_spools(const struct trib_env *env, const struct trib_quarantine_opts *o,
                                  struct trib_spool *const *spools, size_t n, int64_t now_us, int64_t *ret_committed,
                                  struct trib_err *err)
{
    size_t rows = 0;
    bool with_old = false;
    for (size_t i = 0; i < n; i++) {
        rows += trib_spool_rows(spools[i]);
        with_old |= trib_spool_has_old(spools[i]);
    }
    if (rows == 0) {
        *ret_committed = 0;
        return 0;
    }
    struct trib_conn *conn;
    TRIB_TRY(trib_conn_open(env->engine, &conn, err));
    struct trib_type item = trib_type_simple(TRIB_T_STRUCT);
    int rc = 0;
    if (o->item != NULL) {
        trib_type_copy(&item, o->item);
    } else {
        rc = bronze_item(env, conn, o->table, &item, err);
    }
    struct writer w = {.o = o, .spools = spools, .n_spools = n, .now_us = now_us};
    trib_buf_init(&w.rescued, (size_t)256 << 20);
    if (rc == 0) {
        rc = commit_with(&w, env, conn, &item, with_old, err);
    }
    if (rc == 0) {
        *ret_committed = w.rows;
    } else {
        rc = trib_err_wrap(err, "quarantine of table %s", o->table);
    }
    trib_buf_free(&w.rescued);
    trib_hmap_free(&w.present);
    trib_type_free(&item);
    trib_conn_close(conn);
    return rc;
}
