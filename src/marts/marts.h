/*
 * Marts: a SQL file over silver.* and gold.* → one Gold table, refreshed when an input changed (spec: merge.md, Positions).
 * Position: one txn per input table, version = the version read.
 */
#ifndef TRIB_MARTS_MARTS_H
#define TRIB_MARTS_MARTS_H

#include "stage/stage.h"

/* A table that SQL may name. */
struct trib_catalog_table {
    const char *schema; /* "bronze", "silver", "gold", "quarantine" */
    const char *name;   /* as in SQL */
    const char *path;   /* in the lake */
};

struct trib_mart_opts {
    const char *pipeline;
    const char *subject, *name;
    const char *sql;      /* the text of the SQL file */
    const char *sql_file; /* for messages */
    const struct trib_catalog_table *tables;
    size_t n_tables;
};
struct trib_mart;
TRIB_CHECKED int trib_mart_new(const struct trib_env *env, const struct trib_mart_opts *o, struct trib_mart **ret,
                               struct trib_err *err);
void trib_mart_free(struct trib_mart *m);
TRIB_CHECKED int trib_mart_step(struct trib_mart *m, int64_t now_us, struct trib_step *ret, struct trib_err *err);
/* How many inputs have another version than the one that `gold`, a snapshot of the mart, was made from. NOT_FOUND: one has no rows
 * yet. For `status`: writes nothing. */
TRIB_CHECKED int trib_mart_survey(struct trib_mart *m, const struct trib_snapshot *gold, size_t *ret_newer,
                                  struct trib_err *err);

/* Creates views for the catalogue's tables that the SQL text names (schemas silver, gold, …) and rewrites delta('PATH'[, version := N])
 * calls. ret_sql: the text to run, one statement that reads, without semicolon. at_version: -1 newest, or a version (one table only: USAGE
 * otherwise); at_us: -1, or a time for all. NOT_FOUND: a table that the text names has no version (at that time). USAGE: what is wrong
 * with the text itself, an unknown table with the nearest one. Views are the engine's: one bind and its query at a time. */
struct trib_sql_scope {
    const struct trib_env *env;
    struct trib_conn *conn;
    const struct trib_catalog_table *tables;
    size_t n_tables;
    int64_t at_version, at_us;
};
/* What was read, for positions. */
struct trib_sql_input {
    size_t table;
    int64_t version;
};
TRIB_CHECKED int trib_sql_bind(const struct trib_sql_scope *scope, const char *sql, char **ret_sql,
                               struct trib_sql_input **ret_inputs, size_t *ret_n, struct trib_err *err);
/* Does the text name a table of the lake (so that a catalogue is needed)? */
bool trib_sql_names_tables(const char *sql);
/* SHOW TABLES, which the engine knows nothing of: it has views of the tables that a text names, and no others. */
bool trib_sql_shows_tables(const char *sql);
/* The table as SQL spells it, with quotes where they must be. */
void trib_sql_table_name(struct trib_buf *to, const struct trib_catalog_table *t);

#endif
