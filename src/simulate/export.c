/*
 * A finished full export: data files by about equal parts, one of them empty, then the two manifests with their MD5 files, the
 * summary last, as AWS leaves it. Items come shuffled by block, as an export comes in the order of hashed keys.
 * Threads: one. A crash leaves data files without a manifest, which no reader takes.
 */
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "simulate/own.h"

enum { FILE_ITEMS = 100000, FEW_FILES = 3 };
#define FILE_BYTES  (INT64_C(256) << 20)
#define FLUSH_BYTES ((size_t)256 << 10)

struct exporter {
    struct trib_sim *m;
    char *folder;           /* DIR/AWSDynamoDB/<id> */
    struct trib_seeded rng; /* file names */
    struct trib_sim_file *f;
    char name[64];
    int64_t in_file, per_file, done;
    struct trib_buf lines, manifest;
};

static uint64_t gcd(uint64_t a, uint64_t b) { return b == 0 ? a : gcd(b, a % b); }

static int open_file(struct exporter *x, struct trib_err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    char id[27];
    for (size_t i = 0; i < 26; i++) {
        id[i] = letters[trib_seeded_below(&x->rng, 32)];
    }
    id[26] = '\0';
    (void)snprintf(x->name, sizeof x->name, "data/%s.json.gz", id);
    TRIB_CLEANUP(trib_cleanup_free) char *path = trib_asprintf("%s/%s", x->folder, x->name);
    x->in_file = 0;
    return trib_sim_file_open(path, &x->f, err);
}

static int close_file(struct exporter *x, struct trib_err *err)
{
    char md5[25];
    TRIB_TRY(trib_sim_file_finish(&x->f, &x->lines, &x->m->result, md5, err));
    x->m->export_files++;
    trib_buf_addf(&x->manifest, "{\"itemCount\":%lld,\"md5Checksum\":\"%s\",\"etag\":\"", (long long)x->in_file, md5);
    for (int i = 0; i < 4; i++) { /* a multipart upload's tag: not an MD5 */
        trib_buf_addf(&x->manifest, "%08x", (unsigned)(trib_seeded_next(&x->rng) & 0xFFFFFFFFU));
    }
    trib_buf_addf(&x->manifest, "-1\",\"dataFileS3Key\":\"prod/AWSDynamoDB/%s/%s\"}\n", x->m->export_id, x->name);
    return trib_buf_check(&x->manifest, "manifest-files.json", err);
}

/* The item was appended to x->lines after {"Item": */
static int item_done(struct exporter *x, struct trib_err *err)
{
    trib_buf_adds(&x->lines, "}\n");
    x->in_file++;
    x->done++;
    if (x->lines.n >= FLUSH_BYTES) {
        TRIB_TRY(trib_sim_file_flush(x->f, &x->lines, err));
    }
    if (x->in_file < x->per_file && trib_sim_file_raw(x->f) < FILE_BYTES && x->done < x->m->o->items) {
        return 0;
    }
    TRIB_TRY(close_file(x, err));
    if (x->m->export_files == 1) { /* normal in real exports */
        TRIB_TRY(open_file(x, err));
        TRIB_TRY(close_file(x, err));
    }
    TRIB_TRY(trib_sim_stopped(x->m, err));
    return x->done < x->m->o->items ? open_file(x, err) : 0;
}

static int one_block(struct exporter *x, int64_t block, struct trib_err *err)
{
    static const struct trib_sim_state as_made = {0};
    const struct trib_sim_shop *s = &x->m->shop;
    for (int64_t k = 0; k < TRIB_SIM_BLOCK_CUSTOMERS; k++) {
        int64_t c = block * TRIB_SIM_BLOCK_CUSTOMERS + k;
        if (c < s->base_customers) {
            trib_buf_adds(&x->lines, "{\"Item\":");
            trib_sim_customer_json(s, c, &as_made, &x->lines);
            TRIB_TRY(item_done(x, err));
        }
        for (int64_t slot = 0; slot < TRIB_SIM_BLOCK_ORDERS; slot++) {
            int64_t o = block * TRIB_SIM_BLOCK_ORDERS + slot;
            if (o < s->base_orders && trib_sim_slot_customer(block, slot) == k) {
                trib_buf_adds(&x->lines, "{\"Item\":");
                trib_sim_order_json(s, o, &as_made, &x->lines);
                trib_sim_truth_order(&x->m->truth, s, o, &as_made, 1);
                TRIB_TRY(item_done(x, err));
            }
        }
    }
    return 0;
}

static int data_files(struct exporter *x, struct trib_err *err)
{
    const struct trib_sim_opts *o = x->m->o;
    uint64_t blocks = (uint64_t)(x->m->shop.base_customers + TRIB_SIM_BLOCK_CUSTOMERS - 1) / TRIB_SIM_BLOCK_CUSTOMERS,
             step = blocks * 5 / 8 + 1;
    while (gcd(step, blocks) != 1) {
        step++;
    }
    TRIB_TRY(open_file(x, err));
    for (uint64_t i = 0, b = o->seed % blocks; i < blocks; i++, b = (b + step) % blocks) {
        TRIB_TRY(one_block(x, (int64_t)b, err));
        if (i % 64 == 0 && o->progress != NULL) {
            o->progress(o->ctx, "export", x->done, o->items,
                        x->m->result.raw_bytes + (x->f != NULL ? trib_sim_file_raw(x->f) : 0));
        }
    }
    return 0;
}

static int put_with_md5(struct exporter *x, const char *name, const struct trib_buf *text, struct trib_err *err)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_Digest(text->p, text->n, sum, &n, EVP_md5(), NULL) != 1) {
        return trib_err_set(err, TRIB_E_INTERNAL, "MD5 failed for %s", name);
    }
    struct trib_buf md5;
    trib_buf_init(&md5, 64);
    trib_sim_base64(&md5, sum, n);
    TRIB_CLEANUP(trib_cleanup_free) char *md5_text = trib_buf_take(&md5);
    TRIB_CLEANUP(trib_cleanup_free) char *md5_path = trib_asprintf("%s/%s.md5", x->folder, name);
    TRIB_CLEANUP(trib_cleanup_free) char *path = trib_asprintf("%s/%s.json", x->folder, name);
    TRIB_TRY(trib_sim_put(md5_path, trib_view_of(md5_text), err));
    return trib_sim_put(path, trib_buf_view(text), err);
}

static int manifests(struct exporter *x, struct trib_err *err)
{
    const struct trib_sim *m = x->m;
    TRIB_TRY(put_with_md5(x, "manifest-files", &x->manifest, err));
    int64_t at = m->shop.start_us - TRIB_SIM_EXPORT_BEFORE_US;
    struct trib_buf b;
    trib_buf_init(&b, 4096);
    trib_buf_addf(
        &b,
        "{\"version\":\"2020-06-30\",\"exportArn\":\"arn:aws:dynamodb:eu-west-1:123456789012:table/shop/export/%s\",\"startTime\":\"",
        m->export_id);
    trib_sim_iso(&b, at, true);
    trib_buf_adds(&b, "\",\"endTime\":\"");
    trib_sim_iso(&b, at + 289417000, true);
    trib_buf_adds(
        &b,
        "\",\"tableArn\":\"arn:aws:dynamodb:eu-west-1:123456789012:table/shop\",\"tableId\":\"5b0e2ad4-8f0c-4c55-9d5e-1b6d2f3c7a90\",\"exportTime\":\"");
    trib_sim_iso(&b, at, true);
    trib_buf_addf(
        &b,
        "\",\"s3Bucket\":\"shop-exports\",\"s3Prefix\":\"prod\",\"s3SseAlgorithm\":\"AES256\",\"s3SseKmsKeyId\":null,"
        "\"manifestFilesS3Key\":\"prod/AWSDynamoDB/%s/manifest-files.json\",\"billedSizeBytes\":%lld,\"itemCount\":%lld,"
        "\"outputFormat\":\"DYNAMODB_JSON\"}\n",
        m->export_id, (long long)m->result.raw_bytes, (long long)m->o->items);
    int rc = trib_buf_check(&b, "manifest-summary.json", err);
    if (rc == 0) {
        rc = put_with_md5(x, "manifest-summary", &b, err);
    }
    trib_buf_free(&b);
    return rc;
}

int trib_sim_export(struct trib_sim *m, struct trib_err *err)
{
    struct exporter x = {.m = m};
    int64_t per_file = (m->o->items + FEW_FILES - 1) / FEW_FILES;
    x.per_file = per_file < FILE_ITEMS ? per_file : FILE_ITEMS;
    trib_seeded_init(&x.rng, m->o->seed ^ 0x6578706F7274ULL);
    m->export_id = trib_asprintf("%014lld-%08x", (long long)((m->shop.start_us - TRIB_SIM_EXPORT_BEFORE_US) / 1000),
                                 (unsigned)(trib_seeded_next(&x.rng) >> 32));
    x.folder = trib_asprintf("%s/AWSDynamoDB/%s", m->o->out, m->export_id);
    trib_buf_init(&x.lines, TRIB_SIM_BUF_MAX);
    trib_buf_init(&x.manifest, TRIB_SIM_BUF_MAX);
    int rc = data_files(&x, err);
    if (rc == 0) {
        rc = manifests(&x, err);
    }
    trib_sim_file_abandon(x.f);
    free(x.folder);
    trib_buf_free(&x.lines);
    trib_buf_free(&x.manifest);
    m->result.items = x.done;
    m->result.customers = m->shop.base_customers;
    m->result.orders = m->shop.base_orders;
    m->truth.live[0] = m->shop.base_orders;
    m->truth.live[1] = m->shop.base_customers;
    return rc;
}
