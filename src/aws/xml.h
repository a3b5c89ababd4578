/*
 * XML answers (S3, STS) as a small tree. Namespaces and attributes are dropped, documents with a DTD are refused, depth and
 * number of elements are bounded. Pure; any thread.
 */
#ifndef TRIB_AWS_XML_H
#define TRIB_AWS_XML_H

#include "base/mem.h"

struct trib_xml {
    const char *name; /* without its namespace prefix */
    const char *text; /* its own character data, "" without; white space only is "" where it has children */
    struct trib_xml *children, *next;
};
/* The tree lives in the arena. DATA when the text is not well formed, LIMIT for one too deep. */
TRIB_CHECKED int trib_xml_parse(struct trib_view text, struct trib_arena *arena, const struct trib_xml **ret,
                                struct trib_err *err);
/* The first child of that name, or the next sibling of it; NULL. A node of NULL has none. */
const struct trib_xml *trib_xml_child(const struct trib_xml *node, const char *name);
const struct trib_xml *trib_xml_next(const struct trib_xml *node);
/* Text below node by a path of names, "Error/Code"; NULL when there is no such element. */
const char *trib_xml_text(const struct trib_xml *node, const char *path);

#endif
