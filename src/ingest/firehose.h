/*
 * Rows of Firehose's Parquet objects (record format conversion) → change records as JSON text (spec: dynamodb.md, Firehose
 * objects; docs/formats/firehose-parquet.md). Pure. Threads: any.
 *
 * The Glue schema that Firehose converts with is the user's, and Hive's names are lower case. So names of the envelope and type tags are
 * told apart without regard to case, a null member is one that was not there, and where the schema has a string for an object
 * (the SerDe leaves its JSON text there), the text is taken. Names of attributes stay as the file has them.
 */
#ifndef TRIB_INGEST_FIREHOSE_H
#define TRIB_INGEST_FIREHOSE_H

#include <stdbool.h>

#include "base/mem.h"

/* Appends the record that a row stands for. row: the row as a JSON object. False when it is no JSON object (nothing is appended). */
bool trib_firehose_record(struct trib_view row, struct trib_buf *to);

#endif
