/*
 * Stores on S3 for a pipeline: sessions by what the configuration says of AWS, encryption by prefix, one cache of copies.
 * Threads: one, but the stores that were opened may be used by several.
 */
#ifndef TRIB_PIPELINE_REMOTE_H
#define TRIB_PIPELINE_REMOTE_H

#include "pipeline/config.h"

struct trib_remote;
/* host [borrow]. config: its `aws` and `s3` are copied; NULL: AWS_* variables and profiles alone. copies: local folder, made when the
 * first object is copied. Nothing is asked of AWS before a store is used. [out] trib_remote_free, after every store that it opened */
struct trib_remote *trib_remote_new(const struct trib_aws_host *host, const struct trib_config *config,
                                    const char *copies);
void trib_remote_free(struct trib_remote *r);
/* For env->remote: as the top of the configuration says. */
const struct trib_store_remote *trib_remote_top(const struct trib_remote *r);
/* As a table says, from the top's; NULL stays NULL. It lives as long as the top's. */
const struct trib_store_remote *trib_remote_for(const struct trib_store_remote *top, const struct trib_cfg_aws *aws);

#endif
