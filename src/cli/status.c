/*
 * `tributary status`: the state of every table and target, read from the lake (and from the source, where it can be listed): the
 * daemon may be down, or run on another machine.
 */
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "os/os.h"
#include "pipeline/pipeline.h"

enum { N_COLUMNS = 11 };

struct status {
    bool marts; /* no table was asked for by name */
    struct trib_type row;
    struct trib_chunk chunk;
    struct trib_output_writer *writer;
};

static void columns(struct trib_type *row)
{
    static const struct {
        const char *name;
        enum trib_type_id type;
    } all[N_COLUMNS] = {{"table", TRIB_T_STRING}, {"layer", TRIB_T_STRING},        {"target", TRIB_T_STRING},
                        {"state", TRIB_T_STRING}, {"rows", TRIB_T_LONG},           {"version", TRIB_T_LONG},
                        {"merged", TRIB_T_LONG},  {"committed", TRIB_T_TIMESTAMP}, {"pending", TRIB_T_LONG},
                        {"lag_s", TRIB_T_LONG},   {"note", TRIB_T_STRING}};
    *row = trib_type_simple(TRIB_T_STRUCT);
    for (size_t i = 0; i < N_COLUMNS; i++) {
        (void)trib_type_add(row, all[i].name, trib_type_simple(all[i].type));
    }
}

static void put_text(struct status *s, size_t col, const char *text)
{
    struct trib_vec *v = &s->chunk.cols[col];
    if (text == NULL) {
        trib_vec_null(v, 0);
        return;
    }
    size_t n = strlen(text);
    ((struct trib_str *)v->data)[0] = trib_str_make(trib_arena_strndup(&s->chunk.arena, text, n), n);
    trib_vec_set_valid(v, 0);
}

static void put_number(struct status *s, size_t col, int64_t x)
{
    ((int64_t *)s->chunk.cols[col].data)[0] = x;
    trib_vec_set_valid(&s->chunk.cols[col], 0);
    if (x < 0) {
        trib_vec_null(&s->chunk.cols[col], 0);
    }
}

static void line(void *ctx, const struct trib_state *t)
{
    static const char *const kinds[] = {[TRIB_STATE_NEW] = "new",
                                        [TRIB_STATE_CAUGHT_UP] = "caught up",
                                        [TRIB_STATE_BEHIND] = "behind",
                                        [TRIB_STATE_UNKNOWN] = "unknown",
                                        [TRIB_STATE_LOOK] = "look"};
    struct status *s = ctx;
    if (t->table == NULL && !s->marts) {
        return;
    }
    trib_chunk_clear(&s->chunk);
    put_text(s, 0, t->table);
    put_text(s, 1, t->layer);
    put_text(s, 2, t->target);
    put_text(s, 3, kinds[t->kind]);
    put_number(s, 4, t->rows);
    put_number(s, 5, t->version);
    put_number(s, 6, t->merged);
    put_number(s, 7, t->committed_us);
    put_number(s, 8, t->pending);
    put_number(s, 9, t->lag_us < 0 ? -1 : t->lag_us / 1000000);
    put_text(s, 10, t->note);
    s->chunk.rows = 1;
    trib_output_rows(s->writer, &s->chunk);
}

static int status_run(struct trib_cli *cli, struct trib_err *err)
{
    const struct trib_config *config;
    struct trib_env *env;
    struct trib_pipeline *p = NULL;
    struct status s = {.marts = cli->flags.n_tables == 0};
    TRIB_TRY(trib_cli_config(cli, &config, err));
    TRIB_TRY(trib_cli_env(cli, config, true, &env, err));
    env->reads_only = true;
    TRIB_TRY(trib_pipeline_new(env, NULL, config, cli->flags.tables, cli->flags.n_tables, NULL, &p, err));
    columns(&s.row);
    trib_chunk_init_heap(&s.chunk, &s.row, 1);
    s.writer = trib_output_open(cli->out, cli->flags.output, &s.row, 0); /* a note is there to be copied: whole */
    trib_output_null(s.writer, "");
    int rc = trib_pipeline_state(p, trib_now_us(&trib_clock_real), line, &s, err);
    trib_output_close(s.writer); /* with what could be read, whatever could not */
    trib_chunk_free_heap(&s.chunk);
    trib_type_free(&s.row);
    trib_pipeline_free(p);
    return rc;
}

const struct trib_verb trib_verb_status = {
    .name = "status",
    .summary = "state of every table and stage, from the lake alone",
    .text =
        "A line for every table, Silver target and mart: rows, newest version, the Bronze version that a target holds (merged), the last commit, what is still "
        "to take (pending: files for Bronze, Bronze versions for Silver, inputs for Gold) and how old the oldest of it is, in seconds (lag_s). "
        "state is new, behind, caught up, look (rows in quarantine), or unknown, where the source cannot be listed from here, or the table not be read (the others are there nevertheless, and the exit status tells). The note says what to do: "
        "attributes beyond max_columns, numbers that stay rescued and the hint for them, files that changed after they were taken. Nothing needs to run for it.",
    .examples = "tributary status # all tables\ntributary status --output jsonl --table Orders # for a script",
    .run = status_run,
};
