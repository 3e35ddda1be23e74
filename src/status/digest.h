/* digest.h - SHA-1 and SHA-256, as lower-case hexadecimal text. */
#ifndef ATTUNE_SRC_STATUS_DIGEST_H
#define ATTUNE_SRC_STATUS_DIGEST_H

#include "attune/status.h"

#include <stddef.h>

typedef enum attune_digest_kind { ATTUNE_SHA1, ATTUNE_SHA256 } attune_digest_kind;

#define ATTUNE_DIGEST_SIZE 65 /* the longer one's text and its end */

attune_status attune_digest_bytes(char out[ATTUNE_DIGEST_SIZE], attune_digest_kind kind,
                                  const void *bytes, size_t size);

/* Of a file's content, which need not fit into memory. ATTUNE_ENOINPUT when it cannot be opened,
 * ATTUNE_EIO when it cannot be read. */
attune_status attune_digest_file(char out[ATTUNE_DIGEST_SIZE], attune_digest_kind kind,
                                 const char *path);

#endif
