/* file_kind.h - which of attune's files a file is, by its content. */
#ifndef ATTUNE_SRC_STORE_FILE_KIND_H
#define ATTUNE_SRC_STORE_FILE_KIND_H

#include "attune/status.h"

typedef enum attune_file_kind {
    ATTUNE_FILE_OTHER,
    ATTUNE_FILE_OUTPUT,     /* embeddings; attune/store.h */
    ATTUNE_FILE_CHECKPOINT, /* checkpoint.h */
} attune_file_kind;

/* What the file at `path` says that it is, of whatever version; one that is no regular file is
 * another. What cannot be known is a failure: ATTUNE_ENOINPUT when it is not there, ATTUNE_EIO when
 * it cannot be read, ATTUNE_EDATA when it is HDF5 and damaged. */
attune_status attune_file_kind_of(attune_file_kind *kind, const char *path);

#endif
