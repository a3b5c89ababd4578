/*
 * Names that differ in case only. Delta tables and the engines over them compare column names without case, and not only in
 * ASCII: Spark and delta-rs refuse a table with columns É and é.
 */
#ifndef TRIB_BASE_FOLD_H
#define TRIB_BASE_FOLD_H

#include <stdbool.h>

/* True where any engine may take the two for one name: equal in upper case or in lower case. UTF-8; bytes that are not count
 * as themselves. */
bool trib_fold_same(const char *a, const char *b);

#endif
