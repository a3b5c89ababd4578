/* The lake of a world against its model (tests/sim/check.c). */
#ifndef TRIB_SIM_CHECK_H
#define TRIB_SIM_CHECK_H

#include "sim/world.h"
#include "stage/stage.h"

/* DATA: what differs. env reads the lake as it is. */
TRIB_CHECKED int sim_check(const struct trib_env *env, const struct world *w, struct trib_err *err);

#endif
