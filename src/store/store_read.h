/* store_read.h - what the writer asks of the reader. */
#ifndef ATTUNE_SRC_STORE_READ_H
#define ATTUNE_SRC_STORE_READ_H

#include <stdbool.h>

/* True if the file at `path` says that it is an attune output, of whatever version, whole or not.
 */
bool attune_store_is_output(const char *path);

#endif
