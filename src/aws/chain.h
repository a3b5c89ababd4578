/*
 * The order in which credentials are looked for, and the providers of it. For aws/ only; one thread at a time.
 *
 * A provider answers NOT_FOUND when there is nothing for it to do (then the next is asked); any other failure is the
 * user's answer: what is set up and fails is never passed over in silence.
 */
#ifndef TRIB_AWS_CHAIN_H
#define TRIB_AWS_CHAIN_H

#include "aws/own.h"

const char *trib_aws_env(const struct trib_aws *a, const char *name); /* NULL for "" too */

/* profile.c reads the files, resolve.c makes credentials of a profile: keys, roles, SSO, a process. */
TRIB_CHECKED int trib_aws_from_environment(struct trib_aws *a, struct trib_aws_credentials *ret, struct trib_err *err);
TRIB_CHECKED int trib_aws_from_profile(struct trib_aws *a, const struct trib_profiles *p, const char *profile,
                                       struct trib_aws_credentials *ret, struct trib_err *err);
/* token_file: whose content is the token. */
TRIB_CHECKED int trib_aws_from_web_identity(struct trib_aws *a, const char *token_file, const char *role_arn,
                                            const char *session_name, struct trib_aws_credentials *ret,
                                            struct trib_err *err);
/* sso.c */
TRIB_CHECKED int trib_aws_from_sso(struct trib_aws *a, const struct trib_profiles *p, const char *profile,
                                   struct trib_aws_credentials *ret, struct trib_err *err);
/* metadata.c: ECS and EKS; EC2. */
TRIB_CHECKED int trib_aws_from_container(struct trib_aws *a, struct trib_aws_credentials *ret, struct trib_err *err);
TRIB_CHECKED int trib_aws_from_imds(struct trib_aws *a, struct trib_aws_credentials *ret, struct trib_err *err);
/* The region of the machine, by instance metadata; NULL when there is none. [out] free() */
char *trib_aws_imds_region(struct trib_aws *a);

/* {"AccessKeyId":…,"SecretAccessKey":…,"Token" or "SessionToken":…,"Expiration":…} as those and processes write it. */
TRIB_CHECKED int trib_aws_credentials_parse(struct trib_view json, const char *provider,
                                            struct trib_aws_credentials *ret, struct trib_err *err);

#endif
