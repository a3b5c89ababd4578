/* Delta's statistics of a file from those of its Parquet columns. For src/parquet only. */
#ifndef TRIB_PARQUET_STATS_H
#define TRIB_PARQUET_STATS_H

#include "parquet/parquet.h"

/* One leaf column of a written file, as the writer tells it. */
struct trib_leaf_stats {
    struct trib_view path; /* "a"."b", quoted */
    struct trib_view min, max, null_count;
    bool has_min, has_max, has_null_count, has_nan;
};
/* Is there a FLOAT or DOUBLE outside lists and maps? */
bool trib_parquet_has_floats(const struct trib_type *t);
/* The JSON text of add.stats. leaves are sorted by this function. unbounded: leaves whose bounds cannot be trusted, NULL: none. [out] free() */
char *trib_parquet_stats_json(const struct trib_type *row, int64_t rows, struct trib_leaf_stats *leaves, size_t n,
                              const bool *unbounded, const struct trib_parquet_opts *o);

#endif
