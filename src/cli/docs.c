/*
 * `tributary docs man|commands`: the pages under docs/ that are made from the tables (hidden: for who builds and packages), and
 * `tributary help [VERB]`, which is --help spelled as a verb.
 */
#include <string.h>

#include "cli/verbs.h"

static void put(struct trib_cli *cli, struct trib_buf *b)
{
    (void)fwrite(b->p, 1, b->n, cli->out);
    trib_buf_free(b);
}

static int docs_run(struct trib_cli *cli, struct trib_err *err)
{
    (void)err;
    struct trib_buf b;
    trib_buf_init(&b, (size_t)1 << 20);
    if (strcmp(cli->args[0], "man") == 0) {
        trib_cli_man(&b);
    } else {
        trib_cli_commands(&b);
    }
    put(cli, &b);
    return 0;
}

const struct trib_verb trib_verb_docs = {
    .name = "docs",
    .args = "man|commands",
    .min_args = 1,
    .max_args = 1,
    .choices = "man|commands",
    .summary = "the man page or the command reference, as generated for docs/",
    .examples = "tributary docs man > docs/man/tributary.1 # after a change of a flag",
    .hidden = true,
    .run = docs_run,
};

static int help_run(struct trib_cli *cli, struct trib_err *err)
{
    struct trib_buf b;
    const struct trib_verb *v = cli->n_args > 0 ? trib_verb_find(cli->args[0]) : NULL;
    if (cli->n_args > 0 && v == NULL) {
        return trib_err_set(err, TRIB_E_USAGE, "there is no verb `%s`; try: tributary --help", cli->args[0]);
    }
    trib_buf_init(&b, (size_t)1 << 20);
    if (v != NULL) {
        trib_cli_help_verb(v, &b);
    } else {
        trib_cli_help(&b);
    }
    put(cli, &b);
    return 0;
}

const struct trib_verb trib_verb_help = {
    .name = "help",
    .args = "[VERB]",
    .max_args = 1,
    .summary = "the same as --help",
    .examples = "tributary help validate # explain a verb",
    .run = help_run,
};
