/* Parameter Store: one small text under a name (SSM API reference). Threads: any. */
#ifndef TRIB_AWS_SSM_H
#define TRIB_AWS_SSM_H

#include "aws/aws.h"

/* NOT_FOUND (service code ParameterNotFound) when there is none. SecureString comes decrypted. [out] free() */
TRIB_CHECKED int trib_ssm_get_parameter(struct trib_aws *a, const char *name, char **ret_value, int64_t *ret_version,
                                        struct trib_err *err);
/* A String of at most 4 KB. overwrite false: EXISTS when there is one. */
TRIB_CHECKED int trib_ssm_put_parameter(struct trib_aws *a, const char *name, const char *value, bool overwrite,
                                        struct trib_err *err);

#endif
