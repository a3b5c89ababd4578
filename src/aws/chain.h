/* The order in which credentials are looked for, and the providers of it. For aws/ only; one thread at a time. */
#ifndef TRIB_AWS_CHAIN_H
#define TRIB_AWS_CHAIN_H

#include "aws/own.h"

/* The region of the machine, by instance metadata; NULL when there is none. [out] free() */
char *trib_aws_imds_region(struct trib_aws *a);

#endif
