/*
 * The C API by name, for scripts that drive fakeaws_server: POST /_fake/<verb>?name=value&…, the body is an item, a key or bytes. Answers are
 * text. An unknown verb, or one that names what is not there, is told, not an abort.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fakeaws/control.h"
#include "fakeaws/own.h"

struct ask {
    struct trib_fakeaws *f;
    const struct fk_param *params;
    size_t n;
    const char *body;
    struct trib_buf *to;
};

static const char *arg(const struct ask *a, const char *name)
{
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->params[i].name, name) == 0) {
            return a->params[i].value;
        }
    }
    return NULL;
}
static int64_t number(const struct ask *a, const char *name, int64_t absent)
{
    const char *v = arg(a, name);
    return v == NULL ? absent : strtoll(v, NULL, 10);
}
static bool flag(const struct ask *a, const char *name) { return number(a, name, 0) != 0; }
static char letter(const struct ask *a, const char *name)
{
    const char *v = arg(a, name);
    return v == NULL ? 0 : *v;
}

static void create_table(struct ask *a)
{
    const char *rcu = arg(a, "rcu");
    struct trib_fakeaws_index x = {arg(a, "index"), arg(a, "index_hash"), arg(a, "index_range"),
                                   letter(a, "index_hash_type"), letter(a, "index_range_type")};
    trib_fakeaws_create_table(a->f, &(struct trib_fakeaws_table){.name = arg(a, "table"),
                                                                 .hash = arg(a, "hash"),
                                                                 .range = arg(a, "range"),
                                                                 .hash_type = letter(a, "hash_type"),
                                                                 .range_type = letter(a, "range_type"),
                                                                 .view = arg(a, "view"),
                                                                 .shards = (unsigned)number(a, "shards", 1),
                                                                 .pitr = flag(a, "pitr"),
                                                                 .ttl = arg(a, "ttl"),
                                                                 .rcu = rcu == NULL ? 0 : atof(rcu),
                                                                 .kinesis = arg(a, "kinesis"),
                                                                 .kinesis_microsecond = flag(a, "microsecond"),
                                                                 .indexes = &x,
                                                                 .n_indexes = x.name == NULL ? 0 : 1,
                                                                 .forget = flag(a, "forget")});
}
static void delete_table(struct ask *a) { trib_fakeaws_delete_table(a->f, arg(a, "table")); }
static void pitr(struct ask *a) { trib_fakeaws_pitr(a->f, arg(a, "table"), flag(a, "on")); }
static void put(struct ask *a)
{
    trib_buf_addf(a->to, "%lld\n", (long long)trib_fakeaws_put(a->f, arg(a, "table"), a->body));
}
static void delete (struct ask *a)
{
    trib_buf_addf(a->to, "%lld\n", (long long)trib_fakeaws_delete(a->f, arg(a, "table"), a->body));
}
static void delete_ttl(struct ask *a)
{
    trib_buf_addf(a->to, "%lld\n", (long long)trib_fakeaws_delete_ttl(a->f, arg(a, "table"), a->body));
}
/* n items of about that many bytes, keys from, from + 1, … */
static void fill(struct ask *a)
{
    int64_t from = number(a, "from", 0), n = number(a, "n", 1), bytes = number(a, "bytes", 100);
    const char *hash = arg(a, "hash") == NULL ? "pk" : arg(a, "hash");
    bytes = bytes < 0 || bytes > ITEM_BYTES / 2 ? 100 : bytes;
    char *pad = trib_malloc((size_t)bytes + 1);
    memset(pad, 'x', (size_t)bytes);
    pad[bytes] = '\0';
    for (int64_t i = from; i < from + n; i++) {
        char *item = trib_asprintf("{\"%s\":{\"S\":\"key-%010lld\"},\"n\":{\"N\":\"%lld\"},\"pad\":{\"S\":\"%s\"}}",
                                   hash, (long long)i, (long long)number(a, "value", 0) + (long long)i, pad);
        (void)trib_fakeaws_put(a->f, arg(a, "table"), item);
        free(item);
    }
    free(pad);
}
static void item(struct ask *a)
{
    char *v = trib_fakeaws_item(a->f, arg(a, "table"), a->body, number(a, "at_us", INT64_MAX));
    trib_buf_adds(a->to, v == NULL ? "" : v);
    free(v);
}
static void add_line(void *ctx, const char *key, const char *image)
{
    (void)key;
    trib_buf_adds(ctx, image);
    trib_buf_addc(ctx, '\n');
}
static void dump(struct ask *a)
{
    (void)trib_fakeaws_each(a->f, arg(a, "table"), number(a, "at_us", INT64_MAX), add_line, a->to);
}
static void expire_due(struct ask *a) { trib_buf_addf(a->to, "%zu\n", trib_fakeaws_expire_due(a->f, arg(a, "table"))); }
static void stream_off(struct ask *a) { trib_fakeaws_stream_off(a->f, arg(a, "table")); }
static void stream_on(struct ask *a)
{
    const char *view = arg(a, "view");
    trib_fakeaws_stream_on(a->f, arg(a, "table"), view == NULL ? "NEW_AND_OLD_IMAGES" : view);
}
static void split(struct ask *a)
{
    trib_fakeaws_split(a->f, arg(a, "table"), (size_t)number(a, "which", 0), (unsigned)number(a, "into", 2));
}
static void trim(struct ask *a) { trib_fakeaws_trim(a->f, arg(a, "table"), number(a, "before_us", INT64_MAX)); }
static void rotate_every(struct ask *a) { trib_fakeaws_rotate_every(a->f, number(a, "us", 0)); }
static void advance(struct ask *a) { trib_fakeaws_advance(a->f, number(a, "us", 0)); }
static void now(struct ask *a) { trib_buf_addf(a->to, "%lld\n", (long long)trib_fakeaws_now_us(a->f)); }
static void bucket(struct ask *a) { trib_fakeaws_bucket(a->f, arg(a, "bucket"), arg(a, "region")); }
static void bucket_events(struct ask *a) { trib_fakeaws_bucket_events(a->f, arg(a, "bucket"), arg(a, "queue")); }
static void queue(struct ask *a) { trib_fakeaws_queue(a->f, arg(a, "queue")); }
static void parameter(struct ask *a) { trib_fakeaws_parameter(a->f, arg(a, "name"), a->body); }
static void role(struct ask *a) { trib_fakeaws_role(a->f, arg(a, "arn"), arg(a, "external_id"), arg(a, "web_token")); }
static void credential(struct ask *a)
{
    trib_fakeaws_credential(a->f, arg(a, "key_id"), arg(a, "secret"), arg(a, "token"),
                            number(a, "expires_us", INT64_MAX));
}
static void deny(struct ask *a) { trib_fakeaws_deny(a->f, arg(a, "action"), number(a, "denied", 1) != 0); }
static void exports(struct ask *a)
{
    trib_fakeaws_exports(a->f, number(a, "take_us", -1), number(a, "skew_us", 0), (unsigned)number(a, "failing", 0));
}
static void kinesis(struct ask *a)
{
    trib_fakeaws_kinesis(a->f, arg(a, "stream"), (unsigned)number(a, "shards", 1), number(a, "retention_us", 0));
}
static void kinesis_split(struct ask *a)
{
    trib_fakeaws_kinesis_split(a->f, arg(a, "stream"), (size_t)number(a, "which", 0));
}
static void kinesis_merge(struct ask *a)
{
    trib_fakeaws_kinesis_merge(a->f, arg(a, "stream"), (size_t)number(a, "which", 0));
}
static void requests(struct ask *a)
{
    trib_buf_addf(a->to, "%llu\n", (unsigned long long)trib_fakeaws_requests(a->f, arg(a, "operation")));
}
static void chaos(struct ask *a)
{
    struct trib_fakeaws_chaos c = {.slow_us = number(a, "slow_us", 0)};
    const struct {
        const char *name;
        double *to;
    } all[] = {{"throttle", &c.throttle},
               {"e500", &c.e500},
               {"e503", &c.e503},
               {"reset", &c.reset},
               {"lost", &c.lost},
               {"e500_done", &c.e500_done},
               {"truncated", &c.truncated},
               {"slow", &c.slow},
               {"expired", &c.expired},
               {"describe_lies", &c.describe_lies},
               {"empty_page", &c.empty_page},
               {"short_page", &c.short_page},
               {"extra_page", &c.extra_page},
               {"kinesis_twice", &c.kinesis_twice},
               {"kinesis_reorder", &c.kinesis_reorder},
               {"kinesis_drop", &c.kinesis_drop},
               {"s3_conflict", &c.s3_conflict},
               {"rotate", &c.rotate},
               {"split", &c.split}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char *v = arg(a, all[i].name);
        *all[i].to = v == NULL ? 0 : atof(v);
    }
    trib_fakeaws_chaos(a->f, &c);
}
static void plant(struct ask *a)
{
    static const char *const names[] = {"ok",       "throttle",  "500",  "503",     "reset",     "lost",
                                        "500_done", "truncated", "slow", "expired", "no_connect"};
    const char *fault = arg(a, "fault");
    for (size_t i = 0; fault != NULL && i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], fault) == 0) {
            trib_fakeaws_plant(a->f, arg(a, "operation"), (unsigned)number(a, "nth", 1), (enum trib_fakeaws_fault)i);
        }
    }
}

/* needs: parameters without which it is refused; table: must be there; body: one is needed. */
static const struct {
    const char *name, *needs[2];
    bool table, body;
    void (*run)(struct ask *a);
} verbs[] = {
    {"create_table", {"table", "hash"}, false, false, create_table},
    {"delete_table", {"table"}, true, false, delete_table},
    {"pitr", {"table"}, true, false, pitr},
    {"put", {"table"}, true, true, put},
    {"delete", {"table"}, true, true, delete},
    {"delete_ttl", {"table"}, true, true, delete_ttl},
    {"fill", {"table"}, true, false, fill},
    {"item", {"table"}, true, true, item},
    {"dump", {"table"}, true, false, dump},
    {"expire_due", {"table"}, true, false, expire_due},
    {"stream_off", {"table"}, true, false, stream_off},
    {"stream_on", {"table"}, true, false, stream_on},
    {"split", {"table"}, true, false, split},
    {"trim", {"table"}, true, false, trim},
    {"rotate_every", {"us"}, false, false, rotate_every},
    {"advance", {"us"}, false, false, advance},
    {"now", {NULL}, false, false, now},
    {"bucket", {"bucket"}, false, false, bucket},
    {"bucket_events", {"bucket", "queue"}, false, false, bucket_events},
    {"queue", {"queue"}, false, false, queue},
    {"parameter", {"name"}, false, true, parameter},
    {"role", {"arn"}, false, false, role},
    {"credential", {"key_id", "secret"}, false, false, credential},
    {"deny", {"action"}, false, false, deny},
    {"exports", {NULL}, false, false, exports},
    {"kinesis", {"stream"}, false, false, kinesis},
    {"kinesis_split", {"stream"}, false, false, kinesis_split},
    {"kinesis_merge", {"stream"}, false, false, kinesis_merge},
    {"requests", {NULL}, false, false, requests},
    {"chaos", {NULL}, false, false, chaos},
    {"plant", {"fault"}, false, false, plant},
};

static bool table_there(struct trib_fakeaws *f, const char *name)
{
    fk_lock(f);
    bool there = fk_table_find(f, name) != NULL;
    fk_unlock(f);
    return there;
}

int trib_fakeaws_control(struct trib_fakeaws *f, const char *verb, const char *query, struct trib_view body,
                         struct trib_buf *to)
{
    size_t n = 0;
    struct fk_param *params = fk_params(query, &n);
    char *text = trib_strndup(body.p == NULL ? "" : body.p, body.n);
    struct ask a = {f, params, n, text, to};
    int status = 404;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, verb) != 0) {
            continue;
        }
        status = verbs[i].body && *text == '\0' ? 400 : 200;
        for (size_t k = 0; k < 2 && verbs[i].needs[k] != NULL; k++) {
            status = arg(&a, verbs[i].needs[k]) == NULL ? 400 : status;
        }
        if (status == 200 && verbs[i].table && !table_there(f, arg(&a, "table"))) {
            status = 404;
        }
        if (status == 200) {
            verbs[i].run(&a);
        }
    }
    if (status != 200) {
        trib_buf_addf(to, "%s: %s\n", verb, status == 400 ? "a parameter or the body is missing" : "no such thing");
    }
    free(text);
    fk_params_free(params, n);
    return status;
}
