/* XML answers over libexpat (xml.h). Pure; any thread. Nothing is ever fetched: a DTD ends the parse. */
#include "aws/xml.h"

#include <ctype.h>
#include <expat.h>
#include <string.h>

enum { DEPTH_MAX = 32, ELEMENTS_MAX = 1000000, TEXT_MAX = 64 << 20 };

struct parse {
    XML_Parser parser;
    struct trib_arena *arena;
    struct trib_xml *root;
    struct trib_xml *open[DEPTH_MAX], *last[DEPTH_MAX]; /* last: the youngest child of open[i] */
    struct trib_buf text[DEPTH_MAX];
    size_t depth, elements;
    const char *refused;
};

static void refuse(struct parse *p, const char *why)
{
    p->refused = why;
    (void)XML_StopParser(p->parser, XML_FALSE);
}

static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *system, const XML_Char *public, int has)
{
    (void)name, (void)system, (void)public, (void)has;
    refuse(ctx, "it has a document type");
}

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct parse *p = ctx;
    (void)attributes;
    if (p->refused != NULL) {
        return;
    }
    if (p->depth == DEPTH_MAX || ++p->elements > ELEMENTS_MAX) {
        refuse(p, "it is too deep or has too many elements");
        return;
    }
    const char *colon = strrchr(name, ':');
    name = colon == NULL ? name : colon + 1;
    struct trib_xml *n = trib_arena_alloc(p->arena, sizeof *n);
    *n = (struct trib_xml){trib_arena_strndup(p->arena, name, strlen(name)), "", NULL, NULL};
    if (p->depth == 0) {
        p->root = n;
    } else if (p->last[p->depth - 1] == NULL) {
        p->open[p->depth - 1]->children = n;
        p->last[p->depth - 1] = n;
    } else {
        p->last[p->depth - 1]->next = n;
        p->last[p->depth - 1] = n;
    }
    p->open[p->depth] = n;
    p->last[p->depth] = NULL;
    trib_buf_clear(&p->text[p->depth]);
    p->depth++;
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
    struct parse *p = ctx;
    (void)name;
    if (p->refused != NULL) {
        return;
    }
    p->depth--;
    struct trib_xml *n = p->open[p->depth];
    const struct trib_buf *t = &p->text[p->depth];
    size_t i = 0;
    while (i < t->n && isspace((unsigned char)t->p[i])) {
        i++;
    }
    if (t->n > 0 && (i < t->n || n->children == NULL)) {
        n->text = trib_arena_strndup(p->arena, t->p, t->n);
    }
}

static void XMLCALL on_text(void *ctx, const XML_Char *s, int n)
{
    struct parse *p = ctx;
    if (p->refused == NULL && p->depth > 0) {
        trib_buf_add(&p->text[p->depth - 1], s, (size_t)n);
    }
}

int trib_xml_parse(struct trib_view text, struct trib_arena *arena, const struct trib_xml **ret, struct trib_err *err)
{
    if (text.n > TEXT_MAX) {
        return trib_err_set(err, TRIB_E_LIMIT, "an XML answer of %zu bytes", text.n);
    }
    struct parse p = {.parser = XML_ParserCreate(NULL), .arena = arena};
    if (p.parser == NULL) {
        return trib_err_set(err, TRIB_E_INTERNAL, "expat gave no parser");
    }
    for (size_t i = 0; i < DEPTH_MAX; i++) {
        trib_buf_init(&p.text[i], TEXT_MAX);
    }
    XML_SetUserData(p.parser, &p);
    XML_SetElementHandler(p.parser, on_start, on_end);
    XML_SetCharacterDataHandler(p.parser, on_text);
    XML_SetStartDoctypeDeclHandler(p.parser, on_doctype);
    int rc = 0;
    if (XML_Parse(p.parser, text.n == 0 ? "" : text.p, (int)text.n, 1) != XML_STATUS_OK) {
        rc = p.refused != NULL ? trib_err_set(err, TRIB_E_LIMIT, "an XML answer is refused: %s", p.refused)
                               : trib_err_set(err, TRIB_E_DATA, "not well-formed XML, line %lu: %s",
                                              (unsigned long)XML_GetCurrentLineNumber(p.parser),
                                              XML_ErrorString(XML_GetErrorCode(p.parser)));
    } else {
        *ret = p.root;
    }
    for (size_t i = 0; i < DEPTH_MAX; i++) {
        if (p.text[i].p != NULL) { /* STS answers hold secrets */
            explicit_bzero(p.text[i].p, p.text[i].cap);
        }
        trib_buf_free(&p.text[i]);
    }
    XML_ParserFree(p.parser);
    return rc;
}

const struct trib_xml *trib_xml_child(const struct trib_xml *node, const char *name)
{
    const struct trib_xml *c = node == NULL ? NULL : node->children;
    while (c != NULL && strcmp(c->name, name) != 0) {
        c = c->next;
    }
    return c;
}

const struct trib_xml *trib_xml_next(const struct trib_xml *node)
{
    const struct trib_xml *c = node->next;
    while (c != NULL && strcmp(c->name, node->name) != 0) {
        c = c->next;
    }
    return c;
}

const char *trib_xml_text(const struct trib_xml *node, const char *path)
{
    while (node != NULL && *path != '\0') {
        size_t n = strcspn(path, "/");
        const struct trib_xml *c = node->children;
        while (c != NULL && (strlen(c->name) != n || memcmp(c->name, path, n) != 0)) {
            c = c->next;
        }
        node = c;
        path += n + (path[n] == '/');
    }
    return node == NULL ? NULL : node->text;
}
