/* What a captured table says of AWS, its source and its landing → struct trib_config. Part of config_bind.c's pass. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/config_own.h"

/* The table's own word, else the one at the top. */
static char *either(const struct trib_yaml *own, const struct trib_yaml *top, const char *path)
{
    char *s = trib_bind_copy(own, path);
    return s != NULL ? s : trib_bind_copy(top, path);
}

void trib_config_bind_aws(const struct trib_yaml *root, const struct trib_yaml *table, struct trib_cfg_aws *to)
{
    const struct trib_yaml *top = trib_yaml_get(root, "aws"), *own = trib_yaml_get(table, "aws");
    *to = (struct trib_cfg_aws){.region = either(own, top, "aws.region"),
                                .profile = either(own, top, "aws.profile"),
                                .endpoint_url = either(own, top, "aws.endpoint_url"),
                                .role_arn = either(own, top, "aws.role_arn"),
                                .external_id = either(own, top, "aws.external_id")};
}

/* The key `stream` is an ARN of DynamoDB's, or names a Kinesis stream: by type. */
static void check_stream(struct trib_cfg_work *w, const struct trib_yaml *source, struct trib_cfg_capture *c)
{
    const struct trib_yaml *type = trib_yaml_get(source, "type"), *stream = trib_yaml_get(source, "stream");
    if (strcmp(type->text, "kinesis") != 0) {
        if (c->stream != NULL && strncmp(c->stream, "arn:", 4) != 0) {
            trib_problem_at(
                w->problems, stream,
                "`source.stream`: the ARN of a DynamoDB stream is needed (arn:…:table/NAME/stream/TIME); leave it out for the table's own");
        }
        return;
    }
    c->kinesis = c->stream;
    c->stream = NULL;
    if (c->kinesis == NULL) {
        trib_problem_at(
            w->problems, source,
            "the key `stream` is missing in `source`: the name of the Kinesis stream that the table writes to");
    } else if (strncmp(c->kinesis, "arn:", 4) == 0 && strstr(c->kinesis, ":stream/") == NULL) {
        trib_problem_at(w->problems, stream,
                        "`source.stream`: this is no ARN of a Kinesis stream (arn:…:stream/NAME); its name will do");
    }
}

void trib_config_bind_capture(struct trib_cfg_work *w, const struct trib_yaml *table, const struct trib_yaml *source,
                              struct trib_cfg_table *t)
{
    static const enum trib_bootstrap bootstraps[] = {TRIB_BOOTSTRAP_SCAN, TRIB_BOOTSTRAP_NONE};
    const struct trib_yaml *buffer = trib_yaml_get(trib_yaml_get(table, "landing"), "buffer");
    t->capture = (struct trib_cfg_capture){
        .on = true,
        .stream = trib_bind_copy(source, "tables.source.stream"),
        .bootstrap = bootstraps[trib_bind_choice(source, "tables.source.bootstrap")],
        .buffer_bytes = trib_bind_number(buffer, "tables.landing.buffer.size"),
        .buffer_interval_us = trib_bind_number(buffer, "tables.landing.buffer.interval"),
    };
    const struct trib_yaml *landing = trib_yaml_get(table, "landing");
    if (!trib_yaml_null(landing) && landing->kind == TRIB_YAML_SCALAR) {
        trib_problem_at(
            w->problems, landing,
            "`landing: none` for a source that is captured is not in this version of Tributary; leave `landing` out");
    }
    check_stream(w, source, &t->capture);
}

bool trib_config_is_s3(const char *text) { return strncmp(text, "s3://", 5) == 0; }

/* The `s3` block: what a prefix does not say is as at the top. Each prefix has these two keys and no prefixes of its own. */
void trib_config_bind_s3(struct trib_cfg_work *w)
{
    static const char *const names[TRIB_CFG_S3_PREFIXES] = {"", "raw", "bronze", "silver", "gold"};
    static const char *const prefixes[TRIB_CFG_S3_PREFIXES] = {"", "raw/", "bronze/", "silver/", "gold/"};
    struct trib_config *c = w->config;
    const struct trib_yaml *top = trib_yaml_get(c->own->root, "s3");
    for (size_t i = 0; i < TRIB_CFG_S3_PREFIXES; i++) {
        struct trib_cfg_s3 *s = &c->s3[i];
        const struct trib_yaml *own = i == 0 ? top : trib_yaml_get(top, names[i]);
        s->prefix = prefixes[i];
        s->sse = either(own, top, "s3.sse");
        s->kms_key = trib_bind_copy(own, "s3.kms_key");
        bool kms = s->sse != NULL && strcmp(s->sse, "kms") == 0;
        if (s->kms_key != NULL && !kms) {
            trib_problem_at(w->problems, own, "`s3`: `kms_key` is of use with `sse: kms` only");
        }
        if (s->kms_key == NULL && kms && i > 0) {
            s->kms_key = trib_bind_copy(top, "s3.kms_key");
        }
        for (size_t k = 1; i > 0 && k < TRIB_CFG_S3_PREFIXES; k++) {
            if (trib_yaml_get(own, names[k]) != NULL) {
                trib_problem_at(w->problems, own, "`s3.%s` has no prefixes below it", names[i]);
            }
        }
    }
}

void trib_config_free_aws(struct trib_cfg_aws *a)
{
    free(a->region);
    free(a->profile);
    free(a->endpoint_url);
    free(a->role_arn);
    free(a->external_id);
}

void trib_config_free_live(struct trib_cfg_table *t)
{
    trib_config_free_aws(&t->aws);
    free(t->capture.stream);
    free(t->capture.kinesis);
    free(t->capture.bucket);
    free(t->capture.prefix);
}
