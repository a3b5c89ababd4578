/* Between the rows of DMS files (dms.c) and their Parquet form (dms_parquet.c). Nobody else includes this. */
#ifndef TRIB_INGEST_DMS_OWN_H
#define TRIB_INGEST_DMS_OWN_H

#include "ingest/csv.h"
#include "ingest/dms.h"

enum trib_dms_role { TRIB_DMS_ATTRIBUTE, TRIB_DMS_OP, TRIB_DMS_TIME };

/* How a value's text is meant. HEX: binary as DMS writes it to CSV; BASE64: binary as our query gives it. */
enum trib_dms_form {
    TRIB_DMS_TEXT,
    TRIB_DMS_NUMBER,
    TRIB_DMS_BOOL,
    TRIB_DMS_HEX,
    TRIB_DMS_BASE64,
    TRIB_DMS_INSTANT, /* text of a time: with T, and Z behind */
    TRIB_DMS_LOCAL,   /* with T alone */
};

struct trib_dms_column {
    enum trib_dms_role role;
    enum trib_dms_form form;
    int key;     /* 0: partition, 1: sort, -1: neither */
    char *label; /* "name": as JSON */
};

struct trib_dms_layout {
    struct trib_dms_column *columns;
    size_t n;
};

/* A column's role and form. native: what Parquet's type says. */
void trib_dms_column(const struct trib_ingest_opts *o, struct trib_view name, bool first, enum trib_dms_form native,
                     bool csv, struct trib_dms_column *ret);
void trib_dms_layout_free(struct trib_dms_layout *l);
/* CONFIG when a key, or the configured time, has no column, or when two have one name. remedy: what to do about it. */
TRIB_CHECKED int trib_dms_layout_check(const struct trib_ingest_opts *o, const char *key,
                                       const struct trib_dms_layout *l, const char *remedy, struct trib_err *err);

/* Rows of a Parquet file as texts. */
struct trib_dms_parquet;
struct trib_dms_parquet *trib_dms_parquet_open(const struct trib_ingest_opts *o, struct trib_engine *engine,
                                               const char *key);
void trib_dms_parquet_free(struct trib_dms_parquet *p);
/* The next row; fields valid until the next call, a null one has text.p NULL. The layout comes with the first row. */
TRIB_CHECKED int trib_dms_parquet_next(struct trib_dms_parquet *p, const struct trib_dms_layout **ret_layout,
                                       const struct trib_csv_field **ret_fields, int64_t *ret_row, bool *ret_end,
                                       struct trib_err *err);

#endif
