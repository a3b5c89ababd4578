/* `tributary schema [--json]`: the reference of the configuration, from its table of keys. */
#include "cli/verbs.h"

static int schema_run(struct trib_cli *cli, struct trib_err *err)
{
    struct trib_buf b;
    trib_buf_init(&b, (size_t)4 << 20);
    if (cli->flags.json) {
        trib_config_json_schema(&b);
    } else {
        trib_config_reference(&b);
    }
    int rc = trib_buf_check(&b, "schema", err);
    if (rc == 0) {
        (void)fwrite(b.p, 1, b.n, cli->out);
    }
    trib_buf_free(&b);
    return rc;
}

const struct trib_verb trib_verb_schema = {
    .name = "schema",
    .summary = "the reference of the configuration, as text or as JSON Schema",
    .text =
        "Every key with its type, default and meaning, in Markdown. With --json as JSON Schema (2020-12), which editors use to complete and check tributary.yaml.",
    .flags = "json",
    .examples = "tributary schema # read it\ntributary schema --json > tributary.schema.json # for an editor",
    .run = schema_run,
};
