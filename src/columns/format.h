/*
 * Values as text: JSON strings, decimals, dates, times, base64. Pure; nothing is allocated but in the buffer.
 */
#ifndef TRIB_COLUMNS_FORMAT_H
#define TRIB_COLUMNS_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "columns/vec.h"

/* A JSON string with its quotes. What is no UTF-8 becomes U+FFFD, so that the text is always valid JSON. */
void trib_format_json_string(struct trib_buf *to, struct trib_view text);
void trib_format_base64(struct trib_buf *to, struct trib_view bytes);
/* An unscaled number with its point: (-5, 2) is -0.05. */
void trib_format_decimal(struct trib_buf *to, struct trib_i128 unscaled, unsigned scale);
/* 2026-01-31; years beyond four digits as +10000-01-01 and -0044-03-15 (ISO 8601: year 0 is 1 BC). */
void trib_format_date(struct trib_buf *to, int64_t days);
/* 2026-01-31T10:00:00.123456: fraction_digits of it, 0 to 6; -1: none, 3 or 6, as it needs. */
void trib_format_timestamp(struct trib_buf *to, int64_t us, int fraction_digits);
/* The shortest text that gives the same double (float) back; 1.0 and 1e+100 as JSON numbers. Not for NaN and infinities. */
void trib_format_double(struct trib_buf *to, double v);
void trib_format_float(struct trib_buf *to, float v);
/* Days since the epoch of a date of the proleptic Gregorian calendar. */
int64_t trib_days_from_civil(int64_t year, unsigned month, unsigned day);

#endif
