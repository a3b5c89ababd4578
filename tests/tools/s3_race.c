/*
 * s3_race URL NAME N [MIB]: puts the objects 0 … N-1 below URL, if they are absent, each with NAME in it, and prints for each key "won" or "lost". With MIB
 * each is a file of that many. Two of them at once race; nobody may win twice. Reads back what it won. How AWS is reached: AWS_*.
 */
#include <stdio.h>
#include <stdlib.h>

#include "os/fs.h"
#include "os/os.h"
#include "store/s3.h"

static const struct trib_log silent = {.level = TRIB_LOG_ERROR};

static const char *variable(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

static void must(int rc, const struct trib_err *err)
{
    if (rc != 0) {
        (void)fprintf(stderr, "s3_race: %s\n", err->msg);
        exit(1);
    }
}

/* The content of an object: NAME and its key, over and over. */
static void fill(struct trib_buf *to, const char *name, long key, size_t bytes)
{
    trib_buf_clear(to);
    do {
        trib_buf_addf(to, "%s %ld\n", name, key);
    } while (to->n < bytes);
}

static int put(struct trib_store *s, const char *key, const struct trib_buf *content, const char *file,
               struct trib_err *err)
{
    if (file == NULL) {
        return trib_store_put(s, key, trib_buf_view(content), true, err);
    }
    must(trib_fs_real.write(NULL, file, trib_buf_view(content), err), err);
    int rc = trib_store_put_file(s, key, file, err);
    if (rc != 0) {
        (void)remove(file);
    }
    return rc;
}

static void one(struct trib_store *s, const char *name, long i, size_t bytes, const char *file)
{
    struct trib_buf content, there;
    struct trib_err err = {0};
    char key[32];
    trib_buf_init(&content, (size_t)256 << 20);
    trib_buf_init(&there, (size_t)256 << 20);
    (void)snprintf(key, sizeof key, "%ld", i);
    fill(&content, name, i, bytes);
    int rc = put(s, key, &content, file, &err);
    /* versitygw refuses a put as late and shows no object yet, for a moment: the store says so, and that trying again is right. */
    for (int tries = 0; rc == TRIB_E_AGAIN && tries < 10; tries++) {
        err = (struct trib_err){0};
        rc = put(s, key, &content, file, &err);
    }
    if (rc == TRIB_E_EXISTS) {
        (void)printf("%ld lost\n", i);
    } else {
        must(rc, &err);
        must(trib_store_get(s, key, 0, -1, &there, &err), &err);
        bool same = trib_view_eq(trib_buf_view(&content), trib_buf_view(&there));
        (void)printf("%ld %s\n", i, same ? "won" : "overwritten");
    }
    trib_buf_free(&content);
    trib_buf_free(&there);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        (void)fprintf(stderr, "usage: s3_race URL NAME N [MIB]\n");
        return 64;
    }
    struct trib_net *net = trib_net_curl_new(0);
    const struct trib_aws_host host = {.net = net,
                                       .fs = &trib_fs_real,
                                       .clock = &trib_clock_real,
                                       .rng = &trib_rng_real,
                                       .log = &silent,
                                       .getenv = variable};
    struct trib_aws *aws;
    struct trib_store *store;
    struct trib_err err = {0};
    must(trib_aws_new(&host, &(struct trib_aws_opts){0}, &aws, &err), &err);
    const struct trib_s3_opts o = {.aws = aws, .url = argv[1], .fs = &trib_fs_real, .rng = &trib_rng_real};
    must(trib_store_open_s3(&o, &store, &err), &err);
    long n = strtol(argv[3], NULL, 10), mib = argc > 4 ? strtol(argv[4], NULL, 10) : 0;
    char *scratch;
    must(trib_scratch_make(NULL, &scratch, &err), &err);
    char *file = trib_asprintf("%s/object", scratch);
    for (long i = 0; i < n; i++) {
        one(store, argv[2], i, (size_t)mib << 20, mib > 0 ? file : NULL);
    }
    free(file);
    trib_scratch_remove(scratch);
    free(scratch);
    trib_store_free(store);
    trib_aws_free(aws);
    trib_net_curl_free(net);
    return 0;
}
