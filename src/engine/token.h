/*
 * SQL text cut into tokens, as DuckDB's lexer does it: strings, quoted names, dollar quotes and comments are respected,
 * nothing is interpreted. Pure.
 */
#ifndef TRIB_ENGINE_TOKEN_H
#define TRIB_ENGINE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

enum trib_token_kind {
    TRIB_TOKEN_END,
    TRIB_TOKEN_WORD,   /* keyword or unquoted name */
    TRIB_TOKEN_QUOTED, /* "name" */
    TRIB_TOKEN_STRING, /* 'text', E'text', $$text$$ */
    TRIB_TOKEN_NUMBER,
    TRIB_TOKEN_PUNCT, /* one character, but := is one token */
};
struct trib_token {
    enum trib_token_kind kind;
    size_t from, to; /* bytes of the text */
};
/* The next token from *pos on, which is moved behind it. Text that ends inside a string or comment ends there. */
struct trib_token trib_token_next(struct trib_view sql, size_t *pos);
static inline struct trib_view trib_token_view(struct trib_view sql, struct trib_token t)
{
    return (struct trib_view){sql.p + t.from, t.to - t.from};
}
/* A WORD, compared without case. */
bool trib_token_is(struct trib_view sql, struct trib_token t, const char *word);
bool trib_token_punct(struct trib_view sql, struct trib_token t, const char *punct);
/* The name a WORD or QUOTED stands for (as written), or the text of a STRING, unescaped. false for E'' strings. */
bool trib_token_text(struct trib_view sql, struct trib_token t, struct trib_buf *to);
/* The length of the text without the semicolons and comments at its end; *ret_statements: how many statements it has. */
size_t trib_sql_trim(struct trib_view sql, size_t *ret_statements);

#endif
