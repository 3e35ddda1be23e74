/* store_read.h - what the writer asks of the reader. */
#ifndef ATTUNE_SRC_STORE_READ_H
#define ATTUNE_SRC_STORE_READ_H

#include "attune/status.h"

#include <stdbool.h>

/* Whether the regular file at `path` says that it is an attune output, of whatever version. What
 * cannot be known is a failure: ATTUNE_EIO when it cannot be read, ATTUNE_EDATA when it is HDF5 and
 * damaged. */
attune_status attune_store_is_output(bool *ours, const char *path);

#endif
