/*
 * Are two texts the same DynamoDB item? Written apart from the program's own code (a JSON library, numbers compared as
 * normalised text), so that a mistake there is not made here again. NULL when they are, else a short reason [out] free().
 */
#ifndef TRIB_TESTS_ITEM_SAME_H
#define TRIB_TESTS_ITEM_SAME_H

#include <stdbool.h>

#include "base/mem.h"

/* a_twice: binary values of a are base64 twice. Duplicate names make a text unreadable: that is a difference. */
char *test_item_differs(struct trib_view a, bool a_twice, struct trib_view b);

#endif
