/*
 * `_sequence` as text whose byte order is the apply order (spec: merge.md; docs/formats/sequence.md).
 *
 * Owns the stream's own form, and the encoding of a version of the user's, which goes in front. Pure; any thread.
 */
#include <stdio.h>

#include "dynamodb/change.h"

enum { DIGITS = 40, EPOCH_MAX = 0xffff, EXPONENT_BIAS = 130 };

static void put_hex(char *to, unsigned n, uint32_t v)
{
    static const char HEX[] = "0123456789abcdef";
    while (n-- > 0) {
        to[n] = HEX[v & 15];
        v >>= 4;
    }
}

int trib_sequence_format(char to[TRIB_SEQUENCE_LEN + 1], unsigned epoch, uint32_t generation, struct trib_view digits,
                         struct trib_err *err)
{
    if (digits.n == 0) {
        return trib_err_set(err, TRIB_E_DATA, "the sequence number is empty; it has 1 to 40 digits");
    }
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9') {
            return trib_err_set(err, TRIB_E_DATA, "the sequence number has something else than digits at position %zu",
                                i);
        }
    }
    while (digits.n > DIGITS && *digits.p == '0') {
        digits.p++;
        digits.n--;
    }
    if (digits.n > DIGITS) {
        return trib_err_set(err, TRIB_E_DATA, "the sequence number has %zu digits; at most 40 are known", digits.n);
    }
    if (epoch > EPOCH_MAX) {
        return trib_err_set(err, TRIB_E_LIMIT, "epoch %u is beyond the four hex digits of _sequence", epoch);
    }
    put_hex(to, 4, epoch);
    to[4] = '-';
    put_hex(to + 5, 8, generation);
    to[13] = '-';
    memset(to + 14, '0', DIGITS - digits.n);
    memcpy(to + 14 + DIGITS - digits.n, digits.p, digits.n);
    to[TRIB_SEQUENCE_LEN] = '\0';
    return 0;
}

void trib_sequence_format_us(char to[TRIB_SEQUENCE_LEN + 1], unsigned epoch, uint32_t generation, int64_t us)
{
    put_hex(to, 4, epoch > EPOCH_MAX ? EPOCH_MAX : epoch);
    to[4] = '-';
    put_hex(to + 5, 8, generation);
    to[13] = '-';
    uint64_t v = us < 0 ? 0 : (uint64_t)us;
    for (unsigned i = DIGITS; i-- > 0;) {
        to[14 + i] = (char)('0' + v % 10);
        v /= 10;
    }
    to[TRIB_SEQUENCE_LEN] = '\0';
}

static void version_text(struct trib_view text, struct trib_buf *to)
{
    static const char HEX[] = "0123456789abcdef";
    trib_buf_addc(to, 's');
    size_t from = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c <= '.') {
            trib_buf_add(to, text.p + from, i - from);
            trib_buf_add(to, (char[]){'.', HEX[c >> 4], HEX[c & 15]}, 3);
            from = i + 1;
        }
    }
    trib_buf_add(to, text.n == 0 ? "" : text.p + from, text.n - from);
}

static void version_number(const struct trib_number *n, struct trib_buf *to)
{
    char text[1 + 1 + 3 + sizeof n->digits + 1];
    size_t k = 0;
    text[k++] = 'n';
    if (n->n_digits == 0) {
        text[k++] = '1';
    } else {
        unsigned biased = (unsigned)(n->exponent + n->n_digits - 1 + EXPONENT_BIAS);
        unsigned e = n->negative ? 999 - biased : biased;
        text[k++] = n->negative ? '0' : '2';
        text[k++] = (char)('0' + e / 100 % 10);
        text[k++] = (char)('0' + e / 10 % 10);
        text[k++] = (char)('0' + e % 10);
        for (unsigned i = 0; i < n->n_digits; i++) {
            text[k++] = n->negative ? (char)('9' - (n->digits[i] - '0')) : n->digits[i];
        }
        if (n->negative) {
            text[k++] = '~'; /* more digits mean less */
        }
    }
    trib_buf_add(to, text, k);
}

bool trib_sequence_version(enum trib_attr_type type, struct trib_view value, struct trib_buf *to)
{
    struct trib_number n = {0};
    switch (type) {
    case TRIB_A_S: version_text(value, to); return true;
    case TRIB_A_N:
        if (!trib_number_parse(value, &n)) {
            return false;
        }
        version_number(&n, to);
        return true;
    default: return false;
    }
}
