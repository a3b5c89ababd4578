#include "delta/json_text.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_DEPTH = 250 };

void trib_jsontext_add_string(struct trib_buf *to, struct trib_view text)
{
    trib_buf_addc(to, '"');
    size_t from = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        trib_buf_add(to, text.p + from, i - from);
        from = i + 1;
        switch (c) {
        case '"': trib_buf_adds(to, "\\\""); break;
        case '\\': trib_buf_adds(to, "\\\\"); break;
        case '\n': trib_buf_adds(to, "\\n"); break;
        case '\r': trib_buf_adds(to, "\\r"); break;
        case '\t': trib_buf_adds(to, "\\t"); break;
        default: trib_buf_addf(to, "\\u%04X", c); break;
        }
    }
    trib_buf_add(to, text.p + from, text.n - from);
    trib_buf_addc(to, '"');
}

void trib_jsontext_add_key(struct trib_buf *to, const char *key)
{
    char last = to->n == 0 ? '{' : to->p[to->n - 1];
    if (last != '{' && last != '[') {
        trib_buf_addc(to, ',');
    }
    trib_jsontext_add_string(to, trib_view_of(key));
    trib_buf_addc(to, ':');
}

void trib_jsontext_add_pair(struct trib_buf *to, const char *key, const char *value)
{
    trib_jsontext_add_key(to, key);
    if (value == NULL) {
        trib_buf_adds(to, "null");
    } else {
        trib_jsontext_add_string(to, trib_view_of(value));
    }
}

void trib_jsontext_add_int(struct trib_buf *to, const char *key, int64_t value)
{
    trib_jsontext_add_key(to, key);
    trib_buf_addf(to, "%lld", (long long)value);
}

void trib_jsontext_add_bool(struct trib_buf *to, const char *key, bool value)
{
    trib_jsontext_add_key(to, key);
    trib_buf_adds(to, value ? "true" : "false");
}

static int bad(const struct trib_jsontext *j, const char *why, struct trib_err *err)
{
    return trib_err_set(err, TRIB_E_DATA, "%s: %s at byte %zu of the JSON text", j->what, why, j->at);
}

char trib_jsontext_peek(struct trib_jsontext *j)
{
    while (j->at < j->text.n) {
        char c = j->text.p[j->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
            return c;
        }
        j->at++;
    }
    return '\0';
}

int trib_jsontext_expect(struct trib_jsontext *j, char c, struct trib_err *err)
{
    if (trib_jsontext_peek(j) != c || j->at >= j->text.n) {
        char why[32];
        (void)snprintf(why, sizeof why, "'%c' expected", c);
        return bad(j, why, err);
    }
    j->at++;
    return 0;
}

static int hex4(const struct trib_jsontext *j, size_t at, uint32_t *ret)
{
    uint32_t v = 0;
    for (size_t i = at; i < at + 4; i++) {
        char c = i < j->text.n ? j->text.p[i] : ' ';
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0) {
            return -1;
        }
        v = v << 4 | (uint32_t)d;
    }
    *ret = v;
    return 0;
}

static void add_utf8(struct trib_buf *to, uint32_t c)
{
    if (c < 0x80) {
        trib_buf_addc(to, (char)c);
    } else if (c < 0x800) {
        trib_buf_addc(to, (char)(0xC0 | c >> 6));
        trib_buf_addc(to, (char)(0x80 | (c & 0x3F)));
    } else if (c < 0x10000) {
        trib_buf_addc(to, (char)(0xE0 | c >> 12));
        trib_buf_addc(to, (char)(0x80 | (c >> 6 & 0x3F)));
        trib_buf_addc(to, (char)(0x80 | (c & 0x3F)));
    } else {
        trib_buf_addc(to, (char)(0xF0 | c >> 18));
        trib_buf_addc(to, (char)(0x80 | (c >> 12 & 0x3F)));
        trib_buf_addc(to, (char)(0x80 | (c >> 6 & 0x3F)));
        trib_buf_addc(to, (char)(0x80 | (c & 0x3F)));
    }
}

/* At the character behind a backslash; consumes the escape. */
static int escape(struct trib_jsontext *j, struct trib_buf *to, struct trib_err *err)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    char c = j->at < j->text.n ? j->text.p[j->at] : '\0';
    const char *known = c == '\0' ? NULL : strchr(from, c);
    if (known != NULL) {
        trib_buf_addc(to, into[known - from]);
        j->at++;
        return 0;
    }
    uint32_t hi, lo;
    if (c != 'u' || hex4(j, j->at + 1, &hi) != 0) {
        return bad(j, "broken escape", err);
    }
    j->at += 5;
    if (hi >= 0xD800 && hi < 0xDC00) {
        if (j->at + 1 < j->text.n && j->text.p[j->at] == '\\' && j->text.p[j->at + 1] == 'u' &&
            hex4(j, j->at + 2, &lo) == 0 && lo >= 0xDC00 && lo < 0xE000) {
            j->at += 6;
            hi = 0x10000 + ((hi - 0xD800) << 10) + (lo - 0xDC00);
        } else {
            return bad(j, "lone surrogate", err);
        }
    } else if (hi >= 0xDC00 && hi < 0xE000) {
        return bad(j, "lone surrogate", err);
    } else if (hi == 0) {
        return bad(j, "character U+0000", err);
    }
    add_utf8(to, hi);
    return 0;
}

int trib_jsontext_string(struct trib_jsontext *j, struct trib_buf *to, struct trib_err *err)
{
    TRIB_TRY(trib_jsontext_expect(j, '"', err));
    trib_buf_clear(to);
    for (;;) {
        if (j->at >= j->text.n) {
            return bad(j, "unfinished string", err);
        }
        char c = j->text.p[j->at++];
        if (c == '"') {
            trib_buf_add(to, "", 0); /* so that p is never NULL */
            return trib_buf_check(to, j->what, err);
        }
        if ((unsigned char)c < 0x20) {
            return bad(j, "control character in a string", err);
        }
        if (c == '\\') {
            TRIB_TRY(escape(j, to, err));
        } else {
            trib_buf_addc(to, c);
        }
    }
}

static int skip_string(struct trib_jsontext *j, struct trib_err *err)
{
    TRIB_TRY(trib_jsontext_expect(j, '"', err));
    while (j->at < j->text.n) {
        char c = j->text.p[j->at++];
        if (c == '"') {
            return 0;
        }
        if ((unsigned char)c < 0x20) {
            return bad(j, "control character in a string", err);
        }
        j->at += c == '\\';
    }
    j->at = j->text.n;
    return bad(j, "unfinished string", err);
}

static bool digits(struct trib_jsontext *j)
{
    size_t from = j->at;
    while (j->at < j->text.n && j->text.p[j->at] >= '0' && j->text.p[j->at] <= '9') {
        j->at++;
    }
    return j->at > from;
}

static bool take(struct trib_jsontext *j, const char *any_of)
{
    if (j->at < j->text.n && j->text.p[j->at] != '\0' && strchr(any_of, j->text.p[j->at]) != NULL) {
        j->at++;
        return true;
    }
    return false;
}

static int skip_number(struct trib_jsontext *j, struct trib_err *err)
{
    (void)take(j, "-");
    bool good = digits(j);
    if (good && take(j, ".")) {
        good = digits(j);
    }
    if (good && take(j, "eE")) {
        (void)take(j, "+-");
        good = digits(j);
    }
    return good ? 0 : bad(j, "broken number", err);
}

static int skip_word(struct trib_jsontext *j, struct trib_err *err)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        if (j->text.n - j->at >= n && memcmp(j->text.p + j->at, words[i], n) == 0) {
            j->at += n;
            return 0;
        }
    }
    return bad(j, "value expected", err);
}

int trib_jsontext_skip(struct trib_jsontext *j, struct trib_view *ret, struct trib_err *err)
{
    char c = trib_jsontext_peek(j);
    size_t from = j->at;
    if (c == '{' || c == '[') {
        TRIB_CLEANUP(trib_buf_free) struct trib_buf key;
        trib_buf_init(&key, 1 << 20);
        TRIB_TRY(trib_jsontext_open(j, c, err));
        bool first = true, more;
        for (;;) {
            TRIB_TRY(trib_jsontext_next(j, c, &first, &key, &more, err));
            if (!more) {
                break;
            }
            TRIB_TRY(trib_jsontext_skip(j, NULL, err));
        }
    } else if (c == '"') {
        TRIB_TRY(skip_string(j, err));
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        TRIB_TRY(skip_number(j, err));
    } else {
        TRIB_TRY(skip_word(j, err));
    }
    if (ret != NULL) {
        *ret = (struct trib_view){j->text.p + from, j->at - from};
    }
    return 0;
}

int trib_jsontext_open(struct trib_jsontext *j, char bracket, struct trib_err *err)
{
    TRIB_TRY(trib_jsontext_expect(j, bracket, err));
    return ++j->depth > MAX_DEPTH ? bad(j, "nesting is too deep", err) : 0;
}

int trib_jsontext_next(struct trib_jsontext *j, char bracket, bool *first, struct trib_buf *key, bool *more,
                       struct trib_err *err)
{
    char close = bracket == '{' ? '}' : ']';
    if (trib_jsontext_peek(j) == close) {
        j->at++;
        j->depth--;
        *more = false;
        return 0;
    }
    if (!*first) {
        TRIB_TRY(trib_jsontext_expect(j, ',', err));
    }
    *first = false;
    *more = true;
    if (bracket == '{') {
        TRIB_TRY(trib_jsontext_string(j, key, err));
        return trib_jsontext_expect(j, ':', err);
    }
    return 0;
}

int trib_jsontext_end(struct trib_jsontext *j, struct trib_err *err)
{
    (void)trib_jsontext_peek(j);
    return j->at == j->text.n ? 0 : bad(j, "text after the end", err);
}
