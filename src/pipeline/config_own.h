/* What the files of the configuration share: config.c (loading), config_check.c (against the table of keys), config_bind.c (into
 * struct trib_config, cross-references), config_docs.c (what is generated). */
#ifndef TRIB_PIPELINE_CONFIG_OWN_H
#define TRIB_PIPELINE_CONFIG_OWN_H

#include "pipeline/config.h"
#include "pipeline/config_keys.h"
#include "pipeline/config_yaml.h"

struct trib_cfg_own {
    struct trib_arena arena; /* the tree */
    struct trib_secrets secrets;
    struct trib_yaml *root;
    char *folder; /* relative paths begin here */
    size_t n_tables;
    struct trib_yaml **tables; /* with `defaults` merged in */
};

struct trib_cfg_work {
    struct trib_config *config;
    struct trib_problems *problems;
    struct trib_problems *warnings;
    struct trib_arena *arena; /* own.arena */
    const char *folder;       /* of the config file, absolute or "." */
    bool check_files;         /* paths must exist */
    const struct trib_config_world *world;
};

/* As trib_config_parse, with a world of the caller's and the folder that relative paths begin at. */
TRIB_CHECKED int trib_config_parse_in(struct trib_view text, const char *file, const struct trib_config_world *world,
                                      struct trib_config **ret, char **ret_report, struct trib_err *err);

/* Merges `defaults` into the tables, then checks every node against the table of keys. */
void trib_config_check(struct trib_cfg_work *w);
/* Fills w->config as far as values are good, and checks what concerns several keys. */
void trib_config_bind(struct trib_cfg_work *w);
/* config_live.c: AWS and capture. */
void trib_config_bind_aws(const struct trib_yaml *root, const struct trib_yaml *table, struct trib_cfg_aws *to);
/* The `s3` block. */
void trib_config_bind_s3(struct trib_cfg_work *w);
/* Is this text a URL on S3? */
bool trib_config_is_s3(const char *text);
void trib_config_bind_capture(struct trib_cfg_work *w, const struct trib_yaml *table, const struct trib_yaml *source,
                              struct trib_cfg_table *t);
void trib_config_free_aws(struct trib_cfg_aws *a);
void trib_config_free_live(struct trib_cfg_table *t);
/* config_files.c: sources of files that need more than a path. */
void trib_config_bind_dms(struct trib_cfg_work *w, const struct trib_yaml *source, struct trib_cfg_table *t);
void trib_config_bind_snapshot(const struct trib_yaml *source, struct trib_cfg_table *t);
/* After the targets are bound: what a source needs of them. at: the source's type. */
void trib_config_check_snapshot(struct trib_cfg_work *w, const struct trib_yaml *at, const struct trib_cfg_table *t);
void trib_config_free_files(struct trib_cfg_table *t);
/* A key's value in a block, else its default. copy: [out], NULL when there is neither. */
char *trib_bind_copy(const struct trib_yaml *block, const char *path);
int trib_bind_choice(const struct trib_yaml *block, const char *path);
int64_t trib_bind_number(const struct trib_yaml *block, const char *path);
void trib_config_unbind(struct trib_config *c);

/* A path of the file as it is meant: below the folder unless absolute; file:// is cut. [out] */
char *trib_config_path(const char *folder, const char *text);

/* What a user calls a key: "silver.deletes" for tables.silver.deletes. [borrow] */
const char *trib_config_label(const char *path);

#endif
