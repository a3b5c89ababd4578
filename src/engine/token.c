/*
 * SQL tokens (see token.h). Pure; any thread.
 */
#include "engine/token.h"

#include <ctype.h>
#include <strings.h>

static bool at(struct trib_view s, size_t i, char c) { return i < s.n && s.p[i] == c; }
static bool word_start(char c) { return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80; }
static bool word_char(char c) { return word_start(c) || isdigit((unsigned char)c) || c == '$'; }

static size_t skip_comment(struct trib_view s, size_t i)
{
    size_t depth = 0;
    do {
        if (at(s, i, '/') && at(s, i + 1, '*')) {
            depth++;
            i += 2;
        } else if (at(s, i, '*') && at(s, i + 1, '/')) {
            depth--;
            i += 2;
        } else {
            i++;
        }
    } while (depth > 0 && i < s.n);
    return i < s.n ? i : s.n;
}

static size_t skip_blank(struct trib_view s, size_t i)
{
    while (i < s.n) {
        if (isspace((unsigned char)s.p[i])) {
            i++;
        } else if (at(s, i, '-') && at(s, i + 1, '-')) {
            while (i < s.n && s.p[i] != '\n' && s.p[i] != '\r') {
                i++;
            }
        } else if (at(s, i, '/') && at(s, i + 1, '*')) {
            i = skip_comment(s, i);
        } else {
            break;
        }
    }
    return i;
}

/* i is at the opening quote; the end is behind the closing one. */
static size_t skip_quoted(struct trib_view s, size_t i, bool backslashes)
{
    char quote = s.p[i++];
    while (i < s.n) {
        if (backslashes && s.p[i] == '\\') {
            i += 2;
        } else if (s.p[i] == quote && at(s, i + 1, quote)) {
            i += 2;
        } else if (s.p[i] == quote) {
            return i + 1;
        } else {
            i++;
        }
    }
    return s.n;
}

/* $tag$ … $tag$; 0 when there is no dollar quote at i. */
static size_t skip_dollar(struct trib_view s, size_t i)
{
    size_t j = i + 1;
    if (j < s.n && word_start(s.p[j])) {
        while (j < s.n && (word_start(s.p[j]) || isdigit((unsigned char)s.p[j]))) {
            j++;
        }
    }
    if (!at(s, j, '$')) {
        return 0;
    }
    size_t n = j + 1 - i;
    for (size_t k = j + 1; k + n <= s.n; k++) {
        if (memcmp(s.p + k, s.p + i, n) == 0) {
            return k + n;
        }
    }
    return s.n;
}

static size_t skip_number(struct trib_view s, size_t i)
{
    while (i < s.n && (isalnum((unsigned char)s.p[i]) || s.p[i] == '.' || s.p[i] == '_')) {
        bool exponent = s.p[i] == 'e' || s.p[i] == 'E';
        i++;
        if (exponent && (at(s, i, '+') || at(s, i, '-'))) {
            i++;
        }
    }
    return i;
}

struct trib_token trib_token_next(struct trib_view s, size_t *pos)
{
    size_t i = skip_blank(s, *pos);
    struct trib_token t = {.kind = TRIB_TOKEN_PUNCT, .from = i, .to = i + 1};
    if (i >= s.n) {
        t = (struct trib_token){TRIB_TOKEN_END, s.n, s.n};
    } else if ((s.p[i] == 'e' || s.p[i] == 'E') && at(s, i + 1, '\'')) {
        t.kind = TRIB_TOKEN_STRING;
        t.to = skip_quoted(s, i + 1, true);
    } else if (s.p[i] == '\'') {
        t.kind = TRIB_TOKEN_STRING;
        t.to = skip_quoted(s, i, false);
    } else if (s.p[i] == '"') {
        t.kind = TRIB_TOKEN_QUOTED;
        t.to = skip_quoted(s, i, false);
    } else if (s.p[i] == '$' && skip_dollar(s, i) > 0) {
        t.kind = TRIB_TOKEN_STRING;
        t.to = skip_dollar(s, i);
    } else if (isdigit((unsigned char)s.p[i]) || (s.p[i] == '.' && i + 1 < s.n && isdigit((unsigned char)s.p[i + 1]))) {
        t.kind = TRIB_TOKEN_NUMBER;
        t.to = skip_number(s, i);
    } else if (word_start(s.p[i])) {
        t.kind = TRIB_TOKEN_WORD;
        while (t.to < s.n && word_char(s.p[t.to])) {
            t.to++;
        }
    } else if (s.p[i] == ':' && at(s, i + 1, '=')) {
        t.to = i + 2;
    }
    if (t.to > s.n) {
        t.to = s.n;
    }
    *pos = t.to;
    return t;
}

bool trib_token_is(struct trib_view sql, struct trib_token t, const char *word)
{
    size_t n = t.to - t.from;
    return t.kind == TRIB_TOKEN_WORD && n == strlen(word) && strncasecmp(sql.p + t.from, word, n) == 0;
}

bool trib_token_punct(struct trib_view sql, struct trib_token t, const char *punct)
{
    return t.kind == TRIB_TOKEN_PUNCT && trib_view_is(trib_token_view(sql, t), punct);
}

bool trib_token_text(struct trib_view sql, struct trib_token t, struct trib_buf *to)
{
    struct trib_view v = trib_token_view(sql, t);
    if (t.kind == TRIB_TOKEN_WORD) {
        trib_buf_add(to, v.p, v.n);
        return true;
    }
    if (v.n >= 2 && v.p[0] == '$') {
        size_t tag = 1;
        while (tag < v.n && v.p[tag] != '$') {
            tag++;
        }
        tag++;
        if (v.n < 2 * tag) {
            return false;
        }
        trib_buf_add(to, v.p + tag, v.n - 2 * tag);
        return true;
    }
    if (v.n < 2 || (v.p[0] != '\'' && v.p[0] != '"') || v.p[v.n - 1] != v.p[0]) {
        return false;
    }
    for (size_t i = 1; i + 1 < v.n; i++) {
        trib_buf_addc(to, v.p[i]);
        if (v.p[i] == v.p[0]) {
            i++;
        }
    }
    return true;
}

size_t trib_sql_trim(struct trib_view sql, size_t *ret_statements)
{
    size_t pos = 0, end = 0, n = 0;
    bool inside = false;
    for (;;) {
        struct trib_token t = trib_token_next(sql, &pos);
        if (t.kind == TRIB_TOKEN_END) {
            break;
        }
        if (trib_token_punct(sql, t, ";")) {
            inside = false;
            continue;
        }
        n += !inside;
        inside = true;
        end = t.to;
    }
    if (ret_statements != NULL) {
        *ret_statements = n;
    }
    return end;
}
