/*
 * Rows as a table, JSON, JSON lines or CSV (see output.h).
 *
 * Owns its buffers; writes to the stream it was given. Never fails: errors of the stream are the stream's.
 * Threads: one at a time. Nothing on disk.
 */
#include "cli/output.h"

#include <math.h>
#include <stdlib.h>

#include "columns/format.h"

enum { HELD_ROWS = 1000, HELD_BYTES = 4 << 20 };

struct trib_output_writer {
    FILE *to;
    enum trib_output format;
    const struct trib_type *row; /* [borrow] */
    size_t max_cell;
    const char *null; /* in a table */
    char **keys;      /* JSON: names made unique */
    struct trib_buf line;
    uint64_t rows;
    /* Table: cells of the first rows, ended by NUL each; widths once they are out. */
    struct trib_buf held, cell;
    size_t held_rows;
    bool flowing;
    size_t *widths;
};

static struct trib_i128 widen(int64_t v) { return (struct trib_i128){(uint64_t)v, v < 0 ? -1 : 0}; }

static struct trib_i128 decimal_at(const struct trib_vec *v, uint64_t row)
{
    switch (trib_type_width(v->type)) {
    case 2: return widen(((const int16_t *)v->data)[row]);
    case 4: return widen(((const int32_t *)v->data)[row]);
    case 8: return widen(((const int64_t *)v->data)[row]);
    default: return ((const struct trib_i128 *)v->data)[row];
    }
}

static void add_floating(struct trib_buf *to, double d, bool single, const char *quote)
{
    if (isfinite(d)) {
        if (single) {
            trib_format_float(to, (float)d);
        } else {
            trib_format_double(to, d);
        }
    } else {
        trib_buf_addf(to, "%s%s%s", quote, isnan(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity", quote);
    }
}

/* The engine's infinite dates and timestamps are the ends of their ranges. */
static void add_time(struct trib_buf *to, const struct trib_vec *v, uint64_t row, const char *quote)
{
    bool date = v->type->id == TRIB_T_DATE;
    int64_t t = date ? ((const int32_t *)v->data)[row] : ((const int64_t *)v->data)[row];
    int64_t most = date ? INT32_MAX : INT64_MAX;
    trib_buf_adds(to, quote);
    if (t == most || t == -most) {
        trib_buf_adds(to, t > 0 ? "Infinity" : "-Infinity");
    } else if (date) {
        trib_format_date(to, t);
    } else {
        trib_format_timestamp(to, t, -1);
        trib_buf_adds(to, v->type->id == TRIB_T_TIMESTAMP ? "Z" : "");
    }
    trib_buf_adds(to, quote);
}

static void add_nested(struct trib_buf *to, const struct trib_vec *v, uint64_t row)
{
    if (v->type->id == TRIB_T_STRUCT) {
        for (size_t i = 0; i < v->n_children; i++) {
            trib_buf_addc(to, i > 0 ? ',' : '{');
            trib_format_json_string(to, trib_view_of(v->type->fields[i].name));
            trib_buf_addc(to, ':');
            trib_output_json(to, &v->children[i], row);
        }
        trib_buf_adds(to, v->n_children == 0 ? "{}" : "}");
        return;
    }
    struct trib_list l = ((const struct trib_list *)v->data)[row];
    trib_buf_addc(to, '[');
    for (uint64_t i = l.offset; i < l.offset + l.length; i++) {
        trib_buf_adds(to, i > l.offset ? "," : "");
        if (v->type->id == TRIB_T_ARRAY) {
            trib_output_json(to, &v->children[0], i);
        } else {
            trib_buf_adds(to, "{\"key\":");
            trib_output_json(to, &v->children[0].children[0], i);
            trib_buf_adds(to, ",\"value\":");
            trib_output_json(to, &v->children[0].children[1], i);
            trib_buf_addc(to, '}');
        }
    }
    trib_buf_addc(to, ']');
}

/* A value that is not null; quote is what text that is no JSON number stands in: `"` or nothing. */
static void add_value(struct trib_buf *to, const struct trib_vec *v, uint64_t row, const char *quote)
{
    switch (v->type->id) {
    case TRIB_T_STRING: {
        struct trib_view s = trib_str_view(&((const struct trib_str *)v->data)[row]);
        if (quote[0] != '\0') {
            trib_format_json_string(to, s);
        } else {
            trib_buf_add(to, s.p, s.n);
        }
        break;
    }
    case TRIB_T_BINARY:
        trib_buf_adds(to, quote);
        trib_format_base64(to, trib_str_view(&((const struct trib_str *)v->data)[row]));
        trib_buf_adds(to, quote);
        break;
    case TRIB_T_BYTE: trib_buf_addf(to, "%d", ((const int8_t *)v->data)[row]); break;
    case TRIB_T_SHORT: trib_buf_addf(to, "%d", ((const int16_t *)v->data)[row]); break;
    case TRIB_T_INT: trib_buf_addf(to, "%d", ((const int32_t *)v->data)[row]); break;
    case TRIB_T_LONG: trib_buf_addf(to, "%lld", (long long)((const int64_t *)v->data)[row]); break;
    case TRIB_T_FLOAT: add_floating(to, (double)((const float *)v->data)[row], true, quote); break;
    case TRIB_T_DOUBLE: add_floating(to, ((const double *)v->data)[row], false, quote); break;
    case TRIB_T_DECIMAL: trib_format_decimal(to, decimal_at(v, row), v->type->scale); break;
    case TRIB_T_BOOLEAN: trib_buf_adds(to, ((const uint8_t *)v->data)[row] != 0 ? "true" : "false"); break;
    case TRIB_T_DATE:
    case TRIB_T_TIMESTAMP:
    case TRIB_T_TIMESTAMP_NTZ: add_time(to, v, row, quote); break;
    case TRIB_T_STRUCT:
    case TRIB_T_ARRAY:
    case TRIB_T_MAP: add_nested(to, v, row); break;
    }
}

void trib_output_json(struct trib_buf *to, const struct trib_vec *v, uint64_t row)
{
    if (trib_vec_is_null(v, row)) {
        trib_buf_adds(to, "null");
    } else {
        add_value(to, v, row, "\"");
    }
}

static void send(struct trib_output_writer *w)
{
    (void)fwrite(w->line.p, 1, w->line.n, w->to);
    trib_buf_clear(&w->line);
}

/* Is this name, made for column i, that of another column? Columns keep their own names first. */
static bool key_taken(const struct trib_type *row, char *const *keys, size_t i, const char *key, bool made_up)
{
    for (size_t k = 0; k < row->n_fields; k++) {
        if ((k < i && strcmp(keys[k], key) == 0) || (made_up && k != i && strcmp(row->fields[k].name, key) == 0)) {
            return true;
        }
    }
    return false;
}

/* An object has each key once: the second `a` is `a_1`. */
static char **unique_keys(const struct trib_type *row)
{
    char **keys = trib_calloc(row->n_fields + 1, sizeof *keys);
    for (size_t i = 0; i < row->n_fields; i++) {
        char *key = trib_strdup(row->fields[i].name);
        for (size_t n = 1; key_taken(row, keys, i, key, n > 1); n++) {
            free(key);
            key = trib_asprintf("%s_%zu", row->fields[i].name, n);
        }
        keys[i] = key;
    }
    return keys;
}

static void json_row(struct trib_output_writer *w, const struct trib_chunk *c, uint64_t row)
{
    if (w->format == TRIB_OUTPUT_JSON) {
        trib_buf_adds(&w->line, w->rows == 0 ? "[\n" : ",\n");
    }
    trib_buf_addc(&w->line, '{');
    for (size_t i = 0; i < c->n_cols; i++) {
        trib_buf_adds(&w->line, i > 0 ? "," : "");
        trib_format_json_string(&w->line, trib_view_of(w->keys[i]));
        trib_buf_addc(&w->line, ':');
        trib_output_json(&w->line, &c->cols[i], row);
    }
    trib_buf_adds(&w->line, w->format == TRIB_OUTPUT_JSON ? "}" : "}\n");
    send(w);
}

static void csv_cell(struct trib_buf *to, const char *p, size_t n)
{
    bool quote = n == 0;
    for (size_t i = 0; i < n && !quote; i++) {
        quote = p[i] == ',' || p[i] == '"' || p[i] == '\n' || p[i] == '\r' || ((i == 0 || i + 1 == n) && p[i] == ' ');
    }
    if (!quote) {
        trib_buf_add(to, p, n);
        return;
    }
    trib_buf_addc(to, '"');
    for (size_t i = 0; i < n; i++) {
        trib_buf_adds(to, p[i] == '"' ? "\"" : "");
        trib_buf_addc(to, p[i]);
    }
    trib_buf_addc(to, '"');
}

static void csv_header(struct trib_output_writer *w)
{
    for (size_t i = 0; i < w->row->n_fields; i++) {
        trib_buf_adds(&w->line, i > 0 ? "," : "");
        csv_cell(&w->line, w->row->fields[i].name, strlen(w->row->fields[i].name));
    }
    trib_buf_addc(&w->line, '\n');
    send(w);
}

static void csv_row(struct trib_output_writer *w, const struct trib_chunk *c, uint64_t row)
{
    for (size_t i = 0; i < c->n_cols; i++) {
        trib_buf_adds(&w->line, i > 0 ? "," : "");
        if (!trib_vec_is_null(&c->cols[i], row)) {
            trib_buf_clear(&w->cell);
            add_value(&w->cell, &c->cols[i], row, "");
            csv_cell(&w->line, w->cell.p, w->cell.n);
        }
    }
    trib_buf_addc(&w->line, '\n');
    send(w);
}

/* ---- table ---- */

static size_t characters(const char *p, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += ((unsigned char)p[i] & 0xC0) != 0x80;
    }
    return count;
}

/* One line, no control characters, no longer than max characters. */
static void plain_cell(struct trib_buf *to, const char *p, size_t n, size_t max)
{
    bool cut = max > 0 && characters(p, n) > max;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if ((c & 0xC0) != 0x80 && ++count > max - 1 && cut) {
            trib_buf_adds(to, "\xE2\x80\xA6");
            return;
        }
        if (c == '\n') {
            trib_buf_adds(to, "\\n");
        } else if (c == '\t') {
            trib_buf_adds(to, "\\t");
        } else if (c < 0x20 || c == 0x7F) {
            trib_buf_addf(to, "\\x%02X", c);
        } else {
            trib_buf_addc(to, (char)c);
        }
    }
}

static bool right_aligned(const struct trib_type *t)
{
    return t->id == TRIB_T_BYTE || t->id == TRIB_T_SHORT || t->id == TRIB_T_INT || t->id == TRIB_T_LONG ||
           t->id == TRIB_T_FLOAT || t->id == TRIB_T_DOUBLE || t->id == TRIB_T_DECIMAL;
}

static void pad(struct trib_buf *to, size_t n, char c)
{
    while (n-- > 0) {
        trib_buf_addc(to, c);
    }
}

static void table_cell(struct trib_output_writer *w, size_t col, const char *p, size_t n)
{
    size_t len = characters(p, n), fill = len < w->widths[col] ? w->widths[col] - len : 0;
    bool right = right_aligned(&w->row->fields[col].type), last = col + 1 == w->row->n_fields;
    trib_buf_adds(&w->line, col > 0 ? "  " : "");
    pad(&w->line, right ? fill : 0, ' ');
    trib_buf_add(&w->line, p, n);
    pad(&w->line, right || last ? 0 : fill, ' ');
}

static void table_header(struct trib_output_writer *w)
{
    size_t n = w->row->n_fields;
    for (size_t i = 0; i < n; i++) {
        trib_buf_clear(&w->cell);
        plain_cell(&w->cell, w->row->fields[i].name, strlen(w->row->fields[i].name), w->max_cell);
        trib_buf_adds(&w->cell, "");
        table_cell(w, i, w->cell.p, w->cell.n);
    }
    trib_buf_addc(&w->line, '\n');
    for (size_t i = 0; i < n; i++) {
        trib_buf_adds(&w->line, i > 0 ? "  " : "");
        pad(&w->line, w->widths[i], '-');
    }
    trib_buf_addc(&w->line, '\n');
    send(w);
}

static void widen_column(struct trib_output_writer *w, size_t col, size_t len)
{
    if (w->widths[col] < len) {
        w->widths[col] = len;
    }
}

/* The rows held so far decide the widths; from here on rows go out at once. */
static void table_flow(struct trib_output_writer *w)
{
    size_t n = w->row->n_fields;
    for (size_t i = 0; i < n; i++) {
        size_t len = characters(w->row->fields[i].name, strlen(w->row->fields[i].name));
        widen_column(w, i, w->max_cell > 0 && len > w->max_cell ? w->max_cell : len);
    }
    table_header(w);
    const char *p = w->held.p;
    for (size_t row = 0; row < w->held_rows; row++) {
        for (size_t i = 0; i < n; i++) {
            table_cell(w, i, p, strlen(p));
            p += strlen(p) + 1;
        }
        trib_buf_addc(&w->line, '\n');
        send(w);
    }
    trib_buf_free(&w->held);
    w->flowing = true;
}

static void table_row(struct trib_output_writer *w, const struct trib_chunk *c, uint64_t row)
{
    for (size_t i = 0; i < c->n_cols; i++) {
        struct trib_buf text;
        trib_buf_init(&text, SIZE_MAX / 2);
        if (trib_vec_is_null(&c->cols[i], row)) {
            trib_buf_adds(&text, w->null);
        } else {
            add_value(&text, &c->cols[i], row, "");
        }
        trib_buf_clear(&w->cell);
        trib_buf_adds(&w->cell, "");
        plain_cell(&w->cell, text.p, text.n, w->max_cell);
        trib_buf_free(&text);
        if (w->flowing) {
            table_cell(w, i, w->cell.p, w->cell.n);
        } else {
            widen_column(w, i, characters(w->cell.p, w->cell.n));
            trib_buf_add(&w->held, w->cell.p, w->cell.n + 1);
        }
    }
    if (w->flowing) {
        trib_buf_addc(&w->line, '\n');
        send(w);
        return;
    }
    w->held_rows++;
    if (w->held_rows == HELD_ROWS || w->held.n > HELD_BYTES) {
        table_flow(w);
    }
}

struct trib_output_writer *trib_output_open(FILE *to, enum trib_output format, const struct trib_type *row,
                                            size_t max_cell)
{
    struct trib_output_writer *w = trib_calloc(1, sizeof *w);
    *w = (struct trib_output_writer){.to = to, .format = format, .row = row, .max_cell = max_cell, .null = "NULL"};
    trib_buf_init(&w->line, SIZE_MAX / 2);
    trib_buf_init(&w->held, SIZE_MAX / 2);
    trib_buf_init(&w->cell, SIZE_MAX / 2);
    w->widths = trib_calloc(row->n_fields + 1, sizeof *w->widths);
    w->keys = unique_keys(row);
    if (format == TRIB_OUTPUT_CSV) {
        csv_header(w);
    }
    return w;
}

void trib_output_null(struct trib_output_writer *w, const char *text) { w->null = text; }

void trib_output_rows(struct trib_output_writer *w, const struct trib_chunk *chunk)
{
    static void (*const write_row[])(struct trib_output_writer *, const struct trib_chunk *,
                                     uint64_t) = {[TRIB_OUTPUT_TABLE] = table_row,
                                                  [TRIB_OUTPUT_JSON] = json_row,
                                                  [TRIB_OUTPUT_JSONL] = json_row,
                                                  [TRIB_OUTPUT_CSV] = csv_row};
    for (uint64_t i = 0; i < chunk->rows; i++) {
        write_row[w->format](w, chunk, i);
        w->rows++;
    }
}

void trib_output_close(struct trib_output_writer *w)
{
    if (w->format == TRIB_OUTPUT_TABLE) {
        if (!w->flowing) {
            table_flow(w);
        }
        trib_buf_addf(&w->line, "(%llu %s)\n", (unsigned long long)w->rows, w->rows == 1 ? "row" : "rows");
        send(w);
    } else if (w->format == TRIB_OUTPUT_JSON) {
        trib_buf_adds(&w->line, w->rows == 0 ? "[]\n" : "\n]\n");
        send(w);
    }
    trib_output_abandon(w);
}

void trib_output_abandon(struct trib_output_writer *w)
{
    for (size_t i = 0; i < w->row->n_fields; i++) {
        free(w->keys[i]);
    }
    free(w->keys);
    free(w->widths);
    trib_buf_free(&w->line);
    trib_buf_free(&w->held);
    trib_buf_free(&w->cell);
    free(w);
}
