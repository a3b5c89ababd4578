/*
 * "Did you mean": the nearest known name, for unknown keys, verbs, flags and tables.
 * Pure. Threads: any.
 */
#ifndef TRIB_BASE_NEAR_H
#define TRIB_BASE_NEAR_H

#include <stddef.h>

/* Edits (insert, delete, replace, swap of neighbours; letters without case) that make a into b; texts are cut at 64 bytes. */
size_t trib_edit_distance(const char *a, const char *b);

/* The nearest of n names [borrow], NULL when none is near enough to be meant: at most a third of the longer one's letters differ,
 * or one begins with the other. The first of equals. */
const char *trib_nearest(const char *text, const char *const *names, size_t n);

#endif
