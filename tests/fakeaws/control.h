/* The fake AWS driven by name, for scripts (control.c lists the verbs). */
#ifndef TRIB_FAKEAWS_CONTROL_H
#define TRIB_FAKEAWS_CONTROL_H

#include "fakeaws/fakeaws.h"

/* query: "table=orders&n=100", encoded. The HTTP status; what there is to say is appended to *to. */
int trib_fakeaws_control(struct trib_fakeaws *f, const char *verb, const char *query, struct trib_view body,
                         struct trib_buf *to);

#endif
