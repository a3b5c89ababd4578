/*
 * A lake and a source folder for tests of the stages: real files, the real engine, a clock and random numbers of the test's own.
 * Include after cmocka.h. Questions are SQL over one Delta table, named t in the query; the answer is one text.
 */
#ifndef TRIB_TEST_LAKE_H
#define TRIB_TEST_LAKE_H

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utime.h>
#include <zlib.h>

#include "os/fs.h"
#include "os/os.h"
#include "stage/stage.h"

#define NOW INT64_C(1780000000123456) /* 2026-05-28 20:26:40.123456 UTC */

struct lake {
    char *folder;
    char *scratch;
    struct trib_store *store, *source; /* <folder>/lake, <folder>/in */
    struct trib_engine *engine;
    struct trib_seeded seeded;
    struct trib_rng rng;
    struct trib_clock clock;
    struct trib_log log;
    struct trib_env env;
    int64_t now_us;
    bool stop;
    char logged[8192]; /* warnings since lake_open or lake_reopen */
};

static inline int64_t lake_now(void *ctx) { return ((struct lake *)ctx)->now_us; }
static inline bool lake_stop(void *ctx) { return ((struct lake *)ctx)->stop; }

static inline void lake_log(void *ctx, enum trib_log_level level, const char *event, const char *const *kv)
{
    struct lake *l = ctx;
    if (level > TRIB_LOG_WARN) {
        return;
    }
    size_t n = strlen(l->logged);
    (void)snprintf(l->logged + n, sizeof l->logged - n, "%s", event);
    for (; *kv != NULL; kv += 2) {
        n = strlen(l->logged);
        (void)snprintf(l->logged + n, sizeof l->logged - n, " %s=%s", kv[0], kv[1]);
    }
    n = strlen(l->logged);
    (void)snprintf(l->logged + n, sizeof l->logged - n, "\n");
}

static inline void ok(int rc, const struct trib_err *err)
{
    if (rc != 0) {
        fail_msg("%s: %s", trib_code_name(err->code), err->msg);
    }
}

static inline void lake_engine(struct lake *l)
{
    struct trib_err err = {0};
    const struct trib_engine_opts eo = {.limit_bytes = (uint64_t)256 << 20, .threads = 1, .scratch = l->scratch};
    ok(trib_engine_open(&eo, &l->engine, &err), &err);
    l->env.engine = l->engine;
}

static inline struct lake *lake_open(void)
{
    struct lake *l = trib_calloc(1, sizeof *l);
    struct trib_err err = {0};
    ok(trib_scratch_make(NULL, &l->folder, &err), &err);
    l->scratch = trib_asprintf("%s/scratch", l->folder);
    char *lake = trib_asprintf("%s/lake", l->folder), *in = trib_asprintf("%s/in", l->folder);
    ok(trib_fs_mkdirs(&trib_fs_real, l->scratch, &err), &err);
    ok(trib_fs_mkdirs(&trib_fs_real, in, &err), &err);
    ok(trib_store_open_file(&trib_fs_real, lake, &l->store, &err), &err);
    ok(trib_store_open_file(&trib_fs_real, in, &l->source, &err), &err);
    free(lake);
    free(in);
    trib_seeded_init(&l->seeded, 7);
    l->rng = trib_seeded_rng(&l->seeded);
    l->now_us = NOW;
    l->clock = (struct trib_clock){lake_now, l};
    l->log = (struct trib_log){lake_log, l, TRIB_LOG_DEBUG};
    l->env = (struct trib_env){.fs = &trib_fs_real,
                               .lake = l->store,
                               .clock = &l->clock,
                               .rng = &l->rng,
                               .log = &l->log,
                               .scratch = l->scratch,
                               .workers = 2,
                               .memory_bytes = (uint64_t)256 << 20,
                               .stop_asked = lake_stop,
                               .stop_ctx = l};
    lake_engine(l);
    return l;
}

static inline void lake_close(struct lake *l)
{
    trib_engine_close(l->engine);
    trib_store_free(l->store);
    trib_store_free(l->source);
    trib_scratch_remove(l->folder);
    free(l->folder);
    free(l->scratch);
    free(l);
}

/* For cmocka: a lake of its own for each test. */
static inline int lake_setup(void **state)
{
    *state = lake_open();
    return 0;
}

static inline int lake_teardown(void **state)
{
    lake_close(*state);
    return 0;
}

/* ---- source files ---- */

static inline void put_bytes(struct lake *l, const char *key, const char *p, size_t n)
{
    struct trib_err err = {0};
    ok(trib_store_remove(l->source, key, &err), &err);
    ok(trib_store_put(l->source, key, (struct trib_view){p, n}, true, &err), &err);
}

static inline void put_text(struct lake *l, const char *key, const char *text)
{
    put_bytes(l, key, text, strlen(text));
}

static inline void gzip_text(struct trib_buf *to, const char *text, size_t n)
{
    z_stream z = {0};
    trib_buf_init(to, n + 4096);
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, n) + 64;
    trib_buf_free(to);
    trib_buf_init(to, room + 64);
    z.next_in = (Bytef *)text;
    z.avail_in = (uInt)n;
    z.next_out = (Bytef *)trib_buf_reserve(to, room);
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    to->n = z.total_out;
    deflateEnd(&z);
}

static inline void put_gzip(struct lake *l, const char *key, const char *text)
{
    struct trib_buf b;
    gzip_text(&b, text, strlen(text));
    put_bytes(l, key, b.p, b.n);
    trib_buf_free(&b);
}

static inline void set_mtime(struct lake *l, const char *key, int64_t seconds)
{
    char *path = trib_asprintf("%s/in/%s", l->folder, key);
    const struct utimbuf t = {.actime = seconds, .modtime = seconds};
    assert_int_equal(utime(path, &t), 0);
    free(path);
}

/* An export as DynamoDB writes it, data gzipped. root: "" or "a/b/"; full: the data below <id>/, else beside it. */
struct export_file {
    const char *name, *text;
    int items;
    bool wrong_md5, absent;
};
static inline void put_export(struct lake *l, const char *root, const char *id, const char *table, bool full,
                              const struct export_file *files, size_t n)
{
    struct trib_buf list;
    trib_buf_init(&list, 1 << 20);
    int total = 0;
    for (size_t i = 0; i < n; i++) {
        struct trib_buf gz;
        unsigned char md5[16];
        char text[32];
        char *tail = full ? trib_asprintf("AWSDynamoDB/%s/data/%s", id, files[i].name)
                          : trib_asprintf("AWSDynamoDB/data/%s", files[i].name);
        char *key = trib_asprintf("%s%s", root, tail);
        gzip_text(&gz, files[i].text, strlen(files[i].text));
        (void)EVP_Digest(gz.p, gz.n, md5, NULL, EVP_md5(), NULL);
        md5[0] ^= files[i].wrong_md5;
        (void)EVP_EncodeBlock((unsigned char *)text, md5, 16);
        if (!files[i].absent) {
            put_bytes(l, key, gz.p, gz.n);
        }
        trib_buf_addf(
            &list, "{\"itemCount\":%d,\"md5Checksum\":\"%s\",\"etag\":\"e-1\",\"dataFileS3Key\":\"bucketprefix/%s\"}\n",
            files[i].items, text, tail);
        total += files[i].items;
        trib_buf_free(&gz);
        free(key);
        free(tail);
    }
    char *key = trib_asprintf("%sAWSDynamoDB/%s/manifest-files.json", root, id);
    put_bytes(l, key, list.n == 0 ? "" : list.p, list.n);
    free(key);
    key = trib_asprintf("%sAWSDynamoDB/%s/manifest-summary.json", root, id);
    char *summary = trib_asprintf(
        "{\"tableArn\":\"arn:aws:dynamodb:eu-west-1:1:table/%s\",\"manifestFilesS3Key\":\"bucketprefix/AWSDynamoDB/%s/manifest-files.json\","
        "\"itemCount\":%d,\"outputFormat\":\"DYNAMODB_JSON\",%s}",
        table, id, total,
        full
            ? "\"exportTime\":\"2026-01-01T00:00:00.000Z\""
            : "\"exportType\":\"INCREMENTAL_EXPORT\",\"exportFromTime\":\"2026-01-01T00:00:00.000Z\",\"exportToTime\":\"2026-01-01T01:00:00.000Z\"");
    put_text(l, key, summary);
    free(summary);
    free(key);
    trib_buf_free(&list);
}

/* ---- answers ---- */

/* The one text that a query over the newest version of a table gives ("t" in the query); "(no table)", "(null)". [out] free() */
static inline char *ask(struct lake *l, const char *table_path, const char *query)
{
    struct trib_err err = {0};
    struct trib_conn *conn;
    ok(trib_conn_open(l->engine, &conn, &err), &err);
    struct trib_delta d = trib_env_delta(&l->env, conn, trib_strdup(table_path));
    struct trib_snapshot s = {.version = -1};
    ok(trib_delta_load(&d, -1, &s, &err), &err);
    char *answer = NULL;
    if (s.version < 0) {
        answer = trib_strdup("(no table)");
    } else {
        struct trib_buf sql, view;
        trib_buf_init(&sql, 64 << 20);
        trib_buf_init(&view, 64 << 20);
        ok(trib_delta_select(&d, &s, s.adds, s.n_adds, false, &sql, &err), &err);
        trib_buf_addf(&view, "WITH t AS (%s) SELECT CAST((%s) AS VARCHAR)", sql.p, query);
        struct trib_result *r;
        const struct trib_chunk *chunk;
        ok(trib_query(conn, view.p, &r, &err), &err);
        ok(trib_result_next(r, &chunk, &err), &err);
        assert_int_equal(chunk->rows, 1);
        if (trib_vec_is_null(&chunk->cols[0], 0)) {
            answer = trib_strdup("(null)");
        } else {
            struct trib_view v = trib_str_view(chunk->cols[0].data);
            answer = trib_strndup(v.p, v.n);
        }
        trib_result_free(r);
        trib_buf_free(&sql);
        trib_buf_free(&view);
    }
    trib_snapshot_free(&s);
    free(d.path);
    trib_conn_close(conn);
    return answer;
}

static inline void answers(struct lake *l, const char *table_path, const char *query, const char *expected)
{
    char *got = ask(l, table_path, query);
    assert_string_equal(got, expected);
    free(got);
}

static inline int64_t version_of(struct lake *l, const char *table_path)
{
    struct trib_err err = {0};
    struct trib_delta d = trib_env_delta(&l->env, NULL, trib_strdup(table_path));
    struct trib_snapshot s = {.version = -1};
    ok(trib_delta_load(&d, -1, &s, &err), &err);
    int64_t version = s.version;
    trib_snapshot_free(&s);
    free(d.path);
    return version;
}

static inline char *property_of(struct lake *l, const char *table_path, const char *key)
{
    struct trib_err err = {0};
    struct trib_delta d = trib_env_delta(&l->env, NULL, trib_strdup(table_path));
    struct trib_snapshot s = {.version = -1};
    ok(trib_delta_load(&d, -1, &s, &err), &err);
    const char *value = trib_snapshot_property(&s, key);
    char *copy = trib_strdup(value != NULL ? value : "(none)");
    trib_snapshot_free(&s);
    free(d.path);
    return copy;
}

#endif
