/* Inside of the merge stage; nobody else includes this. Tables named below are temporary ones of the step's connection. */
#ifndef TRIB_MERGE_OWN_H
#define TRIB_MERGE_OWN_H

#include "merge/convert.h"
#include "merge/merge.h"

/* Statements are bounded by schemas and file lists, not by rows. */
enum { TRIB_SQL_MAX = 256 << 20 };

struct trib_merge {
    const struct trib_env *env;
    struct trib_merge_opts o;
    struct trib_conn *conn;
    char *app; /* appId of the target's position */
    char *bronze_path, *silver_path;
    struct trib_delta bronze, silver;
    const char **reserved; /* column names of our own */
    size_t n_reserved;
    unsigned serial; /* makes function names unique: they live as long as the engine */
    char *digest_fn;
    /* Kept while the schemas that they were made for stay: Bronze's items and old Silver rows to new Silver rows, `where`. */
    struct trib_convert *in, *rewrite;
    struct trib_where *where;
    uint64_t group_bytes;          /* of row groups; less where rows are wide */
    struct trib_marks *won, *gone; /* rows of Bronze's files to write as they are; rows of the touched files that go */
    struct trib_version *version;  /* NULL: the stream's order */
};

/* One step's work. */
struct merge_run {
    struct trib_merge *m;
    struct trib_snapshot b, s; /* Bronze, Silver */
    int64_t from;              /* Bronze version merged so far, -1 */
    struct trib_add *batch;    /* Bronze files to merge [owned] */
    size_t n_batch;
    const struct trib_add **files; /* batch, then the older live ones: index = column f */
    size_t n_files;
    const struct trib_type *b_item;  /* item struct in Bronze */
    bool b_old;                      /* Bronze has old_record */
    struct trib_type item, new_item; /* Silver's attributes before and after */
    struct trib_type schema;         /* Silver's whole schema after */
    bool schema_changed, widened;
    int64_t now_us;
    int64_t late, ties, rows, quarantined;
    int64_t alone; /* marked in won, and not in outcome */
};

/* ---- marks.c: sets of (file, position), as bits ---------------------------------------------------------------------- */
struct trib_marks;
/* Registers name(file BIGINT, pos BIGINT) → BOOLEAN. Takes name. [take] */
TRIB_CHECKED int trib_marks_new(struct trib_conn *c, char *name, struct trib_marks **ret, struct trib_err *err);
void trib_marks_free(struct trib_marks *m);
void trib_marks_clear(struct trib_marks *m);
/* Adds the rows (file BIGINT, pos BIGINT) of a query, neither NULL; their number is added to *io_n. */
TRIB_CHECKED int trib_marks_fill(struct trib_marks *m, struct trib_conn *c, const char *sql, int64_t *io_n,
                                 struct trib_err *err);
const char *trib_marks_name(const struct trib_marks *m);
/* Files with marks, ascending. [out] free() */
size_t *trib_marks_files(const struct trib_marks *m, size_t *ret_n);

/* ---- events.c: the narrow table `ev` (k1[, k2], seq, eid, ets, op, up, oc, f, p; [txt, ver, low]: version.c) --------------- */
/* Reads the batch (or all older files for the keys of table `keys_of`) into ev; creates it for the batch. */
TRIB_CHECKED int trib_merge_events(struct merge_run *r, const char *keys_of, struct trib_err *err);
/* ev's columns but the keys, from Bronze's. */
void trib_merge_event_sql(const struct merge_run *r, struct trib_buf *sql);
/* Leaves one event for each key and sequence: drops redeliveries' twins where they matter and decides ties (merge.md). */
TRIB_CHECKED int trib_merge_ties(struct merge_run *r, struct trib_err *err);
/* SELECT over Bronze files [from, to) with their positions as f and p. */
TRIB_CHECKED int trib_merge_bronze_select(struct merge_run *r, size_t from, size_t to, struct trib_buf *sql,
                                          struct trib_err *err);
/* SELECT over these Bronze files. */
TRIB_CHECKED int trib_merge_bronze_files(struct merge_run *r, const size_t *index, size_t n, struct trib_buf *sql,
                                         struct trib_err *err);
/* SELECT over exactly the Bronze files that column f of a table names. */
TRIB_CHECKED int trib_merge_bronze_for(struct merge_run *r, const char *table, struct trib_buf *sql,
                                       struct trib_err *err);
/* "a.k1 = b.k1 AND a.k2 = b.k2" and "k1, k2" with a prefix. */
void trib_merge_key_match(const struct merge_run *r, const char *a, const char *b, struct trib_buf *sql);
void trib_merge_key_list(const struct merge_run *r, const char *prefix, struct trib_buf *sql);

/* ---- version.c: silver.sequence by an attribute; without one all of it does nothing --------------------------------------- */
struct trib_version;
TRIB_CHECKED int trib_version_new(struct trib_conn *c, const char *prefix, const char *attribute,
                                  struct trib_version **ret, struct trib_err *err);
void trib_version_free(struct trib_version *v);
/* "… AS v, " (the new image's version) before, and "… AS txt, … AS ver, … AS low, … AS seq, " behind `up`. */
void trib_merge_version_of_new(const struct merge_run *r, struct trib_buf *sql);
void trib_merge_version_columns(const struct merge_run *r, struct trib_buf *sql);
/* The sequence of a record that is an upsert with a version, from Bronze's columns. */
void trib_merge_sequence_of_new(const struct merge_run *r, struct trib_buf *sql);
/* Takes upserts without a version out of ev; those of the batch go to quarantine. */
TRIB_CHECKED int trib_merge_unversioned(struct merge_run *r, bool batch, struct trib_err *err);
/* open_before (txt): the newest older delete without a version; a record of its key up to there may move it. */
TRIB_CHECKED int trib_merge_unversioned_before(struct merge_run *r, struct trib_err *err);
/* Gives the deletes without a version their place, once ev has all of their keys' records. silver: table sv is there. */
TRIB_CHECKED int trib_merge_ranks(struct merge_run *r, bool silver, struct trib_err *err);

/* ---- fold.c, history.c: what the target's rows become; both leave the tables the writer needs ----------------------- */
/* Rows of outcome whose whole new row Bronze's record tells: written by marks, not by a join. */
#define TRIB_PLAIN "(src = 'b' AND fresh AND NOT gone)"
/* `outcome`: k…, f, p, fresh (values from the new image), sf, sp (old row or null), src 'b' | 's' | 'k' | null (no row), meta columns. */
TRIB_CHECKED int trib_merge_fold(struct merge_run *r, bool *ret_changed, struct trib_err *err);
TRIB_CHECKED int trib_merge_history(struct merge_run *r, bool *ret_changed, struct trib_err *err);

/* ---- late.c ------------------------------------------------------------------------------------------------------- */
/* Sends the Bronze rows that table `rejected` (f, p) names to quarantine: "<what>: event … <why>". Once each, however often. */
TRIB_CHECKED int trib_merge_quarantine(struct merge_run *r, const char *what, const char *why, struct trib_err *err);
TRIB_CHECKED int trib_merge_late(struct merge_run *r, struct trib_err *err);
TRIB_CHECKED int trib_merge_forget_late(struct merge_run *r, struct trib_err *err);

/* ---- schema.c ---------------------------------------------------------------------------------------------------- */
TRIB_CHECKED int trib_merge_schema(struct merge_run *r, struct trib_err *err);
/* The target's own columns, in order, after the attributes. */
size_t trib_merge_own_columns(const struct trib_merge *m, const char *names[8], enum trib_type_id types[8]);

/* Infers from every text of a query's one column. */
TRIB_CHECKED int trib_merge_infer_query(struct trib_conn *c, const char *sql, struct trib_infer *in,
                                        struct trib_err *err);

/* ---- where.c: `where` as an SQL expression over a Bronze image ------------------------------------------------------ */
struct trib_where;
TRIB_CHECKED int trib_where_new(struct trib_conn *c, const char *prefix, const char *expr, const struct trib_type *item,
                                const struct trib_schema_opts *o, struct trib_where **ret, struct trib_err *err);
void trib_where_free(struct trib_where *w);
bool trib_where_is(const struct trib_where *w,
                   const struct trib_type *item); /* compiled for this Bronze item schema; NULL is not */
/* A boolean expression, never NULL. */
void trib_where_sql(const struct trib_where *w, const char *item, const char *rescued, struct trib_buf *sql);

/* Changed settings on an existing table are refused before anything is done (interface.md, Configuration). */
TRIB_CHECKED int trib_merge_check_settings(const struct merge_run *r, struct trib_err *err);

/* ---- write.c: new files and the commit ----------------------------------------------------------------------------- */
/* struct_pack(a := a, …) of an item's columns. */
void trib_sql_pack(const struct trib_type *item, struct trib_buf *sql);
/* Whether a target has merged all that Bronze holds. Versions of Bronze without new rows (an epoch's property, retention) move no position. */
TRIB_CHECKED int trib_merge_is_through(const struct trib_merge_opts *o, const struct trib_delta *bronze,
                                       const struct trib_snapshot *b, const struct trib_snapshot *silver, bool *ret,
                                       struct trib_err *err);
TRIB_CHECKED int trib_merge_write(struct merge_run *r, bool changed, struct trib_step *ret, struct trib_err *err);

#endif
