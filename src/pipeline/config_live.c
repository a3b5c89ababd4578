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
    if (t->capture.stream != NULL && strncmp(t->capture.stream, "arn:", 4) != 0) {
        trib_problem_at(
            w->problems, trib_yaml_get(source, "stream"),
            "`source.stream`: the ARN of a DynamoDB stream is needed (arn:…:table/NAME/stream/TIME); leave it out for the table's own");
    }
}

void trib_config_free_live(struct trib_cfg_table *t)
{
    free(t->aws.region);
    free(t->aws.profile);
    free(t->aws.endpoint_url);
    free(t->aws.role_arn);
    free(t->aws.external_id);
    free(t->capture.stream);
    free(t->capture.bucket);
    free(t->capture.prefix);
}
