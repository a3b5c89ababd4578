/* Reading a quarantine spool back; for src/stage/quarantine.c only. */
#ifndef TRIB_STAGE_SPOOL_H
#define TRIB_STAGE_SPOOL_H

#include "stage/hmap.h"
#include "stage/stage.h"

uint64_t trib_spool_bytes(const struct trib_spool *s);
bool trib_spool_has_old(const struct trib_spool *s);
/* Adds the hashes of the names of its files. */
void trib_spool_files(const struct trib_spool *s, struct trib_hmap *to, const char **io_min, const char **io_max);
TRIB_CHECKED int trib_spool_rewind(struct trib_spool *s, struct trib_err *err);
/* The next row; its texts live in the arena. *ret_more is false at the end. */
TRIB_CHECKED int trib_spool_next(struct trib_spool *s, struct trib_arena *arena, struct trib_quarantine_row *ret,
                                 bool *ret_more, struct trib_err *err);

#endif
