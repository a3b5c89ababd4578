/*
 * How wide row groups are, and when a Parquet file must end early: memory stays bounded whatever the rows turn out to be
 * (spec: architecture.md, Memory). The width is estimated before; when a row group grows far beyond it (small items
 * first, then items of 400 KB), the file ends and the next one is begun with what was learnt.
 */
#ifndef TRIB_STAGE_PARTS_H
#define TRIB_STAGE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TRIB_PART_GROUP_ROWS = 122880,    /* at most, in a row group */
    TRIB_PART_GROUP_BYTES = 48 << 20, /* aimed at: of the text; columns are about half of it */
    TRIB_PART_WIDE_BYTES =
        32 << 10, /* rows beyond it are strings mostly: a page is as large as the text, and doubles as it grows */
    TRIB_PART_WIDE_GROUP_BYTES = 4 << 20, /* then */
    TRIB_PART_GROUP_MAX_BYTES = 96 << 20, /* then the file ends */
    TRIB_PART_FILE_MAX_BYTES = 1 << 30,   /* decoded bytes in one file */
    TRIB_PART_CHUNK_BYTES = 2 << 20,      /* a chunk is handed on when its strings reach this */
};

struct trib_parts {
    size_t group_rows; /* for trib_parquet_opts.row_group_rows */
    size_t rows;       /* in the current row group */
    uint64_t group_bytes, file_bytes;
    uint64_t width; /* newest estimate of a row's bytes */
};
/* Begins a file. width: bytes of a row, an estimate; 0: keep what was learnt from the file before. */
static inline void trib_parts_begin(struct trib_parts *p, uint64_t width)
{
    if (width == 0) {
        width = p->width;
    }
    uint64_t rows =
        width == 0
            ? TRIB_PART_GROUP_ROWS
            : (uint64_t)(width > TRIB_PART_WIDE_BYTES ? TRIB_PART_WIDE_GROUP_BYTES : TRIB_PART_GROUP_BYTES) / width;
    rows = rows < 8 ? 8 : rows > TRIB_PART_GROUP_ROWS ? TRIB_PART_GROUP_ROWS : rows;
    *p = (struct trib_parts){.group_rows = (size_t)rows, .width = width};
}
/* After a chunk of rows that hold about so many bytes. */
static inline void trib_parts_chunk(struct trib_parts *p, size_t rows, uint64_t bytes)
{
    if (rows > 0) {
        p->width = bytes / rows + 1;
    }
    p->rows += rows;
    p->group_bytes += bytes;
    p->file_bytes += bytes;
    if (p->rows >= p->group_rows) {
        p->rows %= p->group_rows;
        p->group_bytes = 0;
    }
}
static inline bool trib_parts_full(const struct trib_parts *p)
{
    return p->group_bytes > TRIB_PART_GROUP_MAX_BYTES || p->file_bytes > TRIB_PART_FILE_MAX_BYTES;
}

#endif
