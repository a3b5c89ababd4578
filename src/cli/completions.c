/* `tributary completions bash|zsh|fish`: a script for the shell on stdout. */
#include "cli/verbs.h"

static int completions_run(struct trib_cli *cli, struct trib_err *err)
{
    struct trib_buf b;
    trib_buf_init(&b, (size_t)1 << 20);
    int rc = trib_cli_completions(cli->args[0], &b, err);
    if (rc == 0) {
        (void)fwrite(b.p, 1, b.n, cli->out);
    }
    trib_buf_free(&b);
    return rc;
}

const struct trib_verb trib_verb_completions = {
    .name = "completions",
    .args = "bash|zsh|fish",
    .min_args = 1,
    .max_args = 1,
    .choices = "bash|zsh|fish",
    .summary = "a completion script for the shell",
    .examples =
        "source <(tributary completions bash) # for this shell\ntributary completions fish > ~/.config/fish/completions/tributary.fish # for good",
    .run = completions_run,
};
