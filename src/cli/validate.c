/* `tributary validate`: checks the config offline, all problems at once; one line a table on stdout. */
#include <stdlib.h>

#include "cli/verbs.h"

static int check_sql(struct trib_cli *cli, const struct trib_config *c, struct trib_err *err)
{
    struct trib_env *env;
    struct trib_conn *conn;
    char *report = NULL;
    if (!trib_config_has_sql(c)) {
        return 0;
    }
    TRIB_TRY(trib_cli_env(cli, NULL, true, &env, err)); /* no config: nothing of its folders is touched */
    TRIB_TRY(trib_conn_open(env->engine, &conn, err));
    int rc = trib_config_check_sql(c, conn, &report, err);
    trib_conn_close(conn);
    if (report != NULL) {
        rc = trib_cli_report(cli, c->file, report, err);
        free(report);
    }
    return rc;
}

static int validate_run(struct trib_cli *cli, struct trib_err *err)
{
    const struct trib_config *c;
    TRIB_TRY(trib_cli_config(cli, &c, err));
    TRIB_TRY(check_sql(cli, c, err));
    if (cli->flags.verbose) {
        struct trib_buf b;
        trib_buf_init(&b, (size_t)16 << 20);
        trib_config_effective(c, &b);
        (void)fwrite(b.p, 1, b.n, cli->out);
        trib_buf_free(&b);
        return 0;
    }
    for (size_t i = 0; i < c->n_tables; i++) {
        const struct trib_cfg_table *t = &c->tables[i];
        if (!trib_cli_table_wanted(cli, t->name)) {
            continue;
        }
        (void)fprintf(cli->out, "OK %s:", t->name);
        for (size_t k = 0; k < t->n_silver; k++) {
            const struct trib_cfg_silver *s = &t->silver[k];
            (void)fprintf(cli->out, "%s silver %s/%s%s", k > 0 ? "," : "", s->domain, s->table,
                          s->scd2 ? " with history" : "");
        }
        (void)fputc('\n', cli->out);
    }
    for (size_t i = 0; i < c->n_gold && cli->flags.n_tables == 0; i++) {
        (void)fprintf(cli->out, "OK gold %s/%s\n", c->gold[i].subject, c->gold[i].name);
    }
    return 0;
}

const struct trib_verb trib_verb_validate = {
    .name = "validate",
    .summary = "check the config, offline",
    .text =
        "Reads the configuration as every other verb does and reports all of its problems, each with file, line and column; exit 78 when there is one. "
        "When there is none, the SQL of conditions and marts is parsed too, and the tables that marts name must be there. "
        "With -v it prints the configuration in effect: `defaults` merged into each table, every default filled in, values from ${env:} and ${file:} as ***.",
    .examples =
        "tributary validate # check ./tributary.yaml\ntributary validate -v -c shop.yaml # show what is in effect",
    .run = validate_run,
};
