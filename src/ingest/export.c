/* One export; see export.h. What it remembers is a cache: a restart verifies what is not taken yet once more. */
#include "ingest/export.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/source.h"
#include "os/pool.h"

#define MANIFEST_MAX_BYTES ((size_t)1 << 30)
#define READ_BYTES         ((int64_t)1 << 20)

enum verdict { UNKNOWN, GOOD, BAD };

struct check {
    enum verdict verdict;
    int64_t size, mtime_us; /* that it is about */
    struct trib_err *why;   /* of BAD */
};

struct trib_export {
    const struct trib_env *env;
    const struct trib_ingest_opts *o;
    char *key, *full_key, *above;
    bool seen;
    int64_t size, mtime_us; /* of the summary, as listed */
    bool loaded;
    int64_t loaded_size, loaded_mtime_us;
    bool warned;
    struct trib_manifest m;
    struct check *checks;
    bool verified;
    struct trib_err failed; /* why it was refused since it was last seen; code TRIB_OK: it was not */
};

struct trib_export *trib_export_new(const struct trib_env *env, const struct trib_ingest_opts *o, const char *key,
                                    const char *full_key, const char *above)
{
    struct trib_export *e = trib_calloc(1, sizeof *e);
    *e = (struct trib_export){
        .env = env, .o = o, .key = trib_strdup(key), .full_key = trib_strdup(full_key), .above = trib_strdup(above)};
    return e;
}

static void unload(struct trib_export *e)
{
    for (size_t i = 0; i < e->m.n_files && e->checks != NULL; i++) {
        free(e->checks[i].why);
    }
    free(e->checks);
    e->checks = NULL;
    trib_manifest_free(&e->m);
    e->loaded = e->verified = false;
}

void trib_export_free(struct trib_export *e)
{
    if (e != NULL) {
        unload(e);
        free(e->key);
        free(e->full_key);
        free(e->above);
        free(e);
    }
}

const char *trib_export_key(const struct trib_export *e) { return e->key; }
void trib_export_unseen(struct trib_export *e)
{
    e->seen = false;
    e->failed = (struct trib_err){0};
}

bool trib_export_is_seen(const struct trib_export *e) { return e->seen; }

void trib_export_seen(struct trib_export *e, int64_t size, int64_t mtime_us)
{
    e->seen = true;
    e->size = size;
    e->mtime_us = mtime_us;
}

static int no_files_manifest(struct trib_export *e, const char *key, struct trib_err *err)
{
    if (e->o->type == TRIB_SOURCE_EXPORT) {
        return trib_err_set(
            err, TRIB_E_DATA,
            "%s: manifest-files.json is missing beside it (%s); try: copy the whole export, or let `path` be another one",
            e->key, key);
    }
    if (!e->warned) {
        e->warned = true;
        trib_logkv(e->env->log, TRIB_LOG_WARN, "an export waits for its manifest-files.json", "table", e->o->table,
                   "export", e->key, NULL);
    }
    return 0;
}

/* Names as the source has them. Those of an incremental export lie beside its own folder (source.h). */
static int check_keys(struct trib_export *e, struct trib_manifest *m, struct trib_err *err)
{
    static const char shared[] = "AWSDynamoDB/data/";
    size_t n = strlen(e->above);
    for (size_t i = 0; i < m->n_files; i++) {
        char *key = m->files[i].key;
        if (strncmp(key, e->above, n) == 0) {
            memmove(key, key + n, strlen(key) - n + 1);
        } else if (m->incremental && strncmp(key, shared, sizeof shared - 1) == 0) {
            m->files[i].key = trib_asprintf("%s%s", TRIB_SOURCE_BESIDE, key + sizeof shared - 1);
            free(key);
        } else {
            return trib_err_set(
                err, TRIB_E_DATA,
                "%s: its data file %s lies outside of the source %s: let `path` be a folder above AWSDynamoDB", e->key,
                key, e->o->source->url);
        }
    }
    return 0;
}

int trib_export_load(struct trib_export *e, bool *ret_ready, struct trib_err *err)
{
    if (e->loaded && e->loaded_size == e->size && e->loaded_mtime_us == e->mtime_us) {
        *ret_ready = true;
        return 0;
    }
    unload(e);
    struct trib_buf summary, files;
    trib_buf_init(&summary, (size_t)16 << 20);
    trib_buf_init(&files, MANIFEST_MAX_BYTES);
    const char *slash = strrchr(e->key, '/');
    TRIB_CLEANUP(trib_cleanup_free)
    char *files_key = trib_asprintf("%.*smanifest-files.json", slash == NULL ? 0 : (int)(slash - e->key + 1), e->key);
    bool ready = true;
    int rc = trib_store_get(e->o->source, e->key, 0, -1, &summary, err);
    if (rc == 0 && (rc = trib_store_get(e->o->source, files_key, 0, -1, &files, err)) == TRIB_E_NOT_FOUND) {
        ready = false;
        rc = no_files_manifest(e, files_key, err);
    }
    struct trib_manifest m = {0};
    if (rc == 0 && ready) {
        rc = trib_manifest_parse(trib_buf_view(&summary), trib_buf_view(&files), e->full_key, &m, err);
        if (rc == 0 && (rc = check_keys(e, &m, err)) != 0) {
            trib_manifest_free(&m);
        }
    }
    trib_buf_free(&summary);
    trib_buf_free(&files);
    TRIB_TRY(rc);
    if (ready) {
        e->m = m;
        e->checks = trib_calloc(m.n_files + 1, sizeof *e->checks);
        e->loaded = true;
        e->loaded_size = e->size;
        e->loaded_mtime_us = e->mtime_us;
        if (*m.table != '\0' && strcmp(m.table, e->o->table) != 0) {
            trib_logkv(e->env->log, TRIB_LOG_WARN, "the export is of a table of another name", "table", e->o->table,
                       "export", e->key, "exported", m.table, NULL);
        }
    }
    *ret_ready = ready;
    return 0;
}

size_t trib_export_files(const struct trib_export *e) { return e->m.n_files; }

void trib_export_file(struct trib_export *e, size_t i, struct trib_source_file *ret)
{
    *ret = (struct trib_source_file){
        .key = e->m.files[i].key,
        .export = e,
        .index = i,
        .incremental = e->m.incremental,
        .export_time_us = e->m.time_us,
        .items = e->m.files[i].items,
    };
}

void trib_export_stat(const struct trib_export *e, size_t i, int64_t *ret_size, int64_t *ret_mtime_us)
{
    *ret_size = e->checks[i].size;
    *ret_mtime_us = e->checks[i].mtime_us;
}

static void set_bad(struct check *c, const struct trib_err *why)
{
    c->verdict = BAD;
    free(c->why);
    c->why = trib_malloc(sizeof *why);
    *c->why = *why;
}

void trib_export_refuse(struct trib_export *e, size_t i, const struct trib_err *why)
{
    set_bad(&e->checks[i], why);
    e->verified = false;
}

/* ---- checksums ---- */

static void base64_of(const unsigned char md5[16], char to[25]) { (void)EVP_EncodeBlock((unsigned char *)to, md5, 16); }

static int digest_object(struct trib_export *e, const char *key, unsigned char to[16], struct trib_err *err)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    struct trib_buf piece;
    trib_buf_init(&piece, (size_t)READ_BYTES + 4096);
    int rc = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1
                 ? 0
                 : trib_err_set(err, TRIB_E_INTERNAL, "OpenSSL has no MD5 here (FIPS mode?)");
    for (int64_t at = 0; rc == 0; at += (int64_t)piece.n) {
        if (e->env->stop_asked != NULL && e->env->stop_asked(e->env->stop_ctx)) {
            rc = trib_err_set(err, TRIB_E_CANCELLED, "stopped while verifying checksums");
            break;
        }
        trib_buf_clear(&piece);
        rc = trib_store_get(e->o->source, key, at, READ_BYTES, &piece, err);
        if (rc != 0 || piece.n == 0) {
            break;
        }
        (void)EVP_DigestUpdate(ctx, piece.p, piece.n);
        if ((int64_t)piece.n < READ_BYTES) {
            break;
        }
    }
    if (rc == 0) {
        (void)EVP_DigestFinal_ex(ctx, to, NULL);
    }
    EVP_MD_CTX_free(ctx);
    trib_buf_free(&piece);
    return rc;
}

struct verifying {
    struct trib_export *e;
    size_t *todo;
};

static int verify_task(void *ctx, size_t task, struct trib_err *err)
{
    struct verifying *v = ctx;
    size_t i = v->todo[task];
    const struct trib_manifest_file *f = &v->e->m.files[i];
    unsigned char md5[16];
    TRIB_TRY(digest_object(v->e, f->key, md5, err));
    if (memcmp(md5, f->md5, sizeof md5) == 0) {
        v->e->checks[i].verdict = GOOD;
        return 0;
    }
    char expected[25], found[25];
    base64_of(f->md5, expected);
    base64_of(md5, found);
    struct trib_err why = {0};
    (void)trib_err_set(
        &why, TRIB_E_DATA,
        "%s: the checksum (MD5) is wrong: the manifest says %s, the file has %s; nothing of the export %s is ingested; try: copy it again",
        f->key, expected, found, v->e->key);
    set_bad(&v->e->checks[i], &why);
    return 0;
}

/* Which files need their checksum computed; a file that is not there is bad at once. */
static int stat_files(struct trib_export *e, const struct trib_taken *taken, size_t *todo, size_t *ret_n,
                      struct trib_err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < e->m.n_files; i++) {
        const char *key = e->m.files[i].key;
        struct check *c = &e->checks[i];
        int64_t size, mtime_us;
        if (trib_taken_has(taken, trib_view_of(key))) {
            c->verdict = GOOD;
            continue;
        }
        struct trib_err why = {0};
        int rc = trib_store_head(e->o->source, key, &size, &mtime_us, &why);
        if (rc == TRIB_E_NOT_FOUND) {
            (void)trib_err_set(
                &why, TRIB_E_DATA,
                "%s: the manifest of the export %s names this file, but it is not there; nothing of the export is ingested; try: copy the whole export%s",
                key, e->key,
                e->m.incremental ? ", with AWSDynamoDB/data, where the files of incremental exports are" : "");
            set_bad(c, &why);
            c->size = -1;
            continue;
        }
        if (rc != 0) {
            *err = why;
            return rc;
        }
        if (c->verdict == UNKNOWN || c->size != size || c->mtime_us != mtime_us) {
            c->verdict = UNKNOWN;
            c->size = size;
            c->mtime_us = mtime_us;
            todo[n++] = i;
        }
    }
    *ret_n = n;
    return 0;
}

int trib_export_verify(struct trib_export *e, const struct trib_taken *taken, struct trib_err *err)
{
    if (e->verified) {
        return 0;
    }
    if (e->failed.code != TRIB_OK) { /* once a listing is enough */
        *err = e->failed;
        return (int)err->code;
    }
    TRIB_CLEANUP(trib_cleanup_free) size_t *todo = trib_calloc(e->m.n_files + 1, sizeof *todo);
    size_t n = 0;
    TRIB_TRY(stat_files(e, taken, todo, &n, err));
    struct verifying v = {e, todo};
    TRIB_TRY(trib_pool_run(e->env->workers, n, verify_task, &v, err));
    for (size_t i = 0; i < e->m.n_files; i++) {
        if (e->checks[i].verdict == BAD) {
            e->failed = *e->checks[i].why;
            *err = e->failed;
            return (int)err->code;
        }
    }
    e->verified = true;
    return 0;
}
