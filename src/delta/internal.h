/* What the files of this folder share: actions, replay state, listing of a log, features. Nothing outside includes it. */
#ifndef TRIB_DELTA_INTERNAL_H
#define TRIB_DELTA_INTERNAL_H

#include "delta/delta.h"

/* Longest commit or JSON checkpoint that is read, bytes. */
#define TRIB_DELTA_MAX_OBJECT ((size_t)2 << 30)

/* --- paths (path.c) ---------------------------------------------------------------------------------------------- */

/* add.path → the decoded path; "file:/x" and "file:///x" become "/x". [out] free(). */
char *trib_delta_path_decode(const char *uri);
/* The decoded path → add.path, percent-encoded once. */
void trib_delta_path_encode(struct trib_buf *to, const char *path);
/* <table>/_delta_log/<name>, <table>/<name>; [out] free(). */
char *trib_delta_log_key(const struct trib_delta *t, const char *name);
char *trib_delta_commit_key(const struct trib_delta *t, int64_t version);
char *trib_delta_file_key(const struct trib_delta *t, const char *path);
/* A local path by which the engine reads a file of the table, absolute ones too. */
TRIB_CHECKED int trib_delta_file_local(const struct trib_delta *t, const char *path, char **ret, struct trib_err *err);
/* For messages: "file:///lake/bronze/…". [out] free(). */
char *trib_delta_name(const struct trib_delta *t);

/* --- actions (action.c) ------------------------------------------------------------------------------------------ */

struct trib_metadata {
    char *id, *name, *description, *schema_json;
    int64_t created_ms;
    size_t n_partition_columns;
    char **partition_columns;
    size_t n_properties;
    struct trib_kv *properties;
};

struct trib_info {
    int64_t timestamp_ms, in_commit_ms; /* -1: absent */
    char *operation, *engine, *txn_id, *params_json, *metrics_json;
};

enum trib_action_kind {
    TRIB_ACTION_OTHER, /* cdc, checkpointMetadata and whatever is to come: no part of the state */
    TRIB_ACTION_ADD,
    TRIB_ACTION_REMOVE,
    TRIB_ACTION_METADATA,
    TRIB_ACTION_PROTOCOL,
    TRIB_ACTION_TXN,
    TRIB_ACTION_DOMAIN,
    TRIB_ACTION_INFO,
    TRIB_ACTION_SIDECAR,
};

struct trib_action {
    enum trib_action_kind kind;
    union {
        struct trib_add add;
        struct trib_remove remove;
        struct trib_metadata metadata;
        struct trib_protocol protocol;
        struct trib_txn txn;
        struct {
            struct trib_domain d;
            bool removed;
        } domain;
        struct trib_info info;
        char *sidecar; /* file name, decoded */
    } u;
};
void trib_action_free(struct trib_action *a);
/* One line of a commit. */
TRIB_CHECKED int trib_action_parse(struct trib_view line, struct trib_action *ret, struct trib_err *err);

struct trib_actions {
    struct trib_action *p;
    size_t n, cap;
};
void trib_actions_free(struct trib_actions *a);
/* All lines of a commit or a JSON checkpoint; appends. name: for messages. An empty text is an error. */
TRIB_CHECKED int trib_actions_parse(struct trib_view text, const char *name, struct trib_actions *to,
                                    struct trib_err *err);

/* numRecords of statistics; -1: unknown. */
int64_t trib_stats_rows(const char *stats);

void trib_kvs_free(struct trib_kv *kv, size_t n);
struct trib_kv *trib_kvs_copy(const struct trib_kv *kv, size_t n);
char **trib_texts_copy(const char *const *p, size_t n); /* n + 1 long, NULL at the end */
void trib_texts_free(char **p);                         /* NULL-terminated or NULL */
void trib_metadata_free(struct trib_metadata *m);
void trib_protocol_free(struct trib_protocol *p);
struct trib_protocol trib_protocol_copy(const struct trib_protocol *p);

/* --- replay (state.c) -------------------------------------------------------------------------------------------- */

struct trib_log_state;
struct trib_log_state *trib_log_state_new(void);
void trib_log_state_free(struct trib_log_state *s);
/* Applies an action in log order and takes what it holds (a becomes OTHER). */
void trib_log_state_apply(struct trib_log_state *s, struct trib_action *a, int64_t version);
/* Empties the snapshot's files, tombstones, transactions and domains into the state. */
void trib_log_state_take(struct trib_log_state *s, struct trib_snapshot *from);
/* The other way round, sorted by path. */
void trib_log_state_give(struct trib_log_state *s, struct trib_snapshot *to);
const struct trib_metadata *trib_log_state_metadata(const struct trib_log_state *s); /* NULL: none seen */
const struct trib_protocol *trib_log_state_protocol(const struct trib_log_state *s);
/* Time of the last commit applied, 0 before the first. */
int64_t trib_log_state_timestamp(const struct trib_log_state *s);

/* --- features (feature.c) ---------------------------------------------------------------------------------------- */

/* UNSUPPORTED with the feature's name. table: for messages. */
TRIB_CHECKED int trib_delta_can_read(const struct trib_protocol *p, const char *table, struct trib_err *err);
/* True where a table of this schema needs a feature that the protocol lacks (timestampNtz): *ret is the protocol with it. The two
 * arrays of names are the caller's to free, the names are borrowed. */
bool trib_delta_feature_add(const struct trib_protocol *p, const struct trib_type *schema, struct trib_protocol *ret);
TRIB_CHECKED int trib_delta_can_write(const struct trib_snapshot *s, const char *table, struct trib_err *err);
enum trib_mapping { TRIB_MAPPING_NONE, TRIB_MAPPING_NAME, TRIB_MAPPING_ID };
enum trib_mapping trib_delta_mapping(const struct trib_snapshot *s);
bool trib_snapshot_flag(const struct trib_snapshot *s, const char *key); /* a property that is "true" */

/* --- the log's objects (listing.c) ------------------------------------------------------------------------------- */

struct trib_log_commit {
    int64_t version, size, mtime_us;
};
enum trib_checkpoint_kind {
    TRIB_CHECKPOINT_CLASSIC,
    TRIB_CHECKPOINT_PARTS,
    TRIB_CHECKPOINT_V2_PARQUET,
    TRIB_CHECKPOINT_V2_JSON
};
struct trib_log_checkpoint {
    int64_t version, size;
    enum trib_checkpoint_kind kind;
    size_t n_parts; /* of this one; 1 but for PARTS */
    char **names;   /* in the log folder, n_parts, then NULL */
};
struct trib_log_listing {
    struct trib_log_commit *commits; /* ascending */
    size_t n_commits, cap_commits;
    struct trib_log_checkpoint *checkpoints; /* complete ones, ascending by version */
    size_t n_checkpoints, cap_checkpoints;
};
void trib_log_listing_free(struct trib_log_listing *l);
/* Objects of versions from `from` on. */
TRIB_CHECKED int trib_log_list(const struct trib_delta *t, int64_t from, struct trib_log_listing *ret,
                               struct trib_err *err);
/* The version that _last_checkpoint names, or -1: only a hint. */
int64_t trib_log_hint(const struct trib_delta *t);
/* Parses one commit; appends. NOT_FOUND when it is not there. */
TRIB_CHECKED int trib_log_read_commit(const struct trib_delta *t, int64_t version, struct trib_actions *to,
                                      struct trib_err *err);

/* --- checkpoints (checkpoint.c) ---------------------------------------------------------------------------------- */

/* The row type of a checkpoint. reading: with the columns that only reading needs. */
void trib_checkpoint_type(bool reading, struct trib_type *ret);
/* Reads all of it into *to (appends). */
TRIB_CHECKED int trib_checkpoint_read(const struct trib_delta *t, const struct trib_log_checkpoint *c,
                                      struct trib_actions *to, struct trib_err *err);

/* --- deletion vectors (dv.c) ------------------------------------------------------------------------------------- */

/* Positions of the rows left out, ascending. [out] free(). */
TRIB_CHECKED int trib_dv_load(const struct trib_delta *t, const struct trib_dv *dv, uint64_t **ret, size_t *ret_n,
                              struct trib_err *err);
/* The payload alone: magic number, buckets, bitmaps. */
TRIB_CHECKED int trib_dv_parse(struct trib_view payload, int64_t cardinality, uint64_t **ret, size_t *ret_n,
                               struct trib_err *err);
bool trib_dv_same(const struct trib_dv *a, const struct trib_dv *b);
struct trib_dv *trib_dv_copy(const struct trib_dv *dv);
void trib_dv_free(struct trib_dv *dv);

#endif
