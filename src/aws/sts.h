/* Security Token Service: roles, and who we are (STS API reference, 2011-06-15). Threads: any. */
#ifndef TRIB_AWS_STS_H
#define TRIB_AWS_STS_H

#include "aws/aws.h"

struct trib_sts_role {
    const char *role_arn;
    const char *session_name; /* NULL: "tributary" */
    const char *external_id;  /* or NULL */
    int duration_s;           /* 0: the service's default, an hour */
};
/* With the credentials `as`. [out] trib_aws_credentials_free */
TRIB_CHECKED int trib_sts_assume_role(struct trib_aws *a, const struct trib_aws_credentials *as,
                                      const struct trib_sts_role *role, struct trib_aws_credentials *ret,
                                      struct trib_err *err);
/* With the token of an OpenID provider (unsigned). [out] trib_aws_credentials_free */
TRIB_CHECKED int trib_sts_assume_role_with_web_identity(struct trib_aws *a, const char *token,
                                                        const struct trib_sts_role *role,
                                                        struct trib_aws_credentials *ret, struct trib_err *err);

struct trib_sts_identity {
    char *account, *arn, *user_id;
};
void trib_sts_identity_free(struct trib_sts_identity *i);
/* Whom the session's credentials belong to; needs no permission. [out] */
TRIB_CHECKED int trib_sts_get_caller_identity(struct trib_aws *a, struct trib_sts_identity *ret, struct trib_err *err);

#endif
