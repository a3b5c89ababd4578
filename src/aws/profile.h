/*
 * AWS's shared files: ~/.aws/config and ~/.aws/credentials (AWS SDKs and Tools Reference Guide, "Shared config and
 * credentials files"). Read once; wiped when freed, because keys stand in them.
 */
#ifndef TRIB_AWS_PROFILE_H
#define TRIB_AWS_PROFILE_H

#include "aws/aws.h"

struct trib_profiles;
/* Files that do not exist are empty. CONFIG, with file and line, for what is no such file. */
TRIB_CHECKED int trib_profiles_load(const struct trib_aws_host *host, struct trib_profiles **ret, struct trib_err *err);
void trib_profiles_free(struct trib_profiles *p);
bool trib_profiles_has(const struct trib_profiles *p, const char *profile);
/* The credentials file goes before the config file. NULL when it is not set or empty [borrow]. */
const char *trib_profiles_get(const struct trib_profiles *p, const char *profile, const char *key);
/* Of [sso-session NAME] and [services NAME]; sub: an indented key below key, or NULL. */
const char *trib_profiles_section(const struct trib_profiles *p, const char *kind, const char *name, const char *key,
                                  const char *sub);
/* The nearest existing name, for messages; NULL */
const char *trib_profiles_near(const struct trib_profiles *p, const char *profile);
/* Where the files are, for messages. */
const char *trib_profiles_config_path(const struct trib_profiles *p);
const char *trib_profiles_credentials_path(const struct trib_profiles *p);
/* "~/x" by HOME. [out] free(); NULL without HOME. */
char *trib_aws_home_path(const struct trib_aws_host *host, const char *path);
/* A whole small file, into memory that is not copied about; trib_aws_wipe_buf. */
TRIB_CHECKED int trib_aws_read_secret(const struct trib_aws_host *host, const char *path, struct trib_buf *to,
                                      struct trib_err *err);

#endif
