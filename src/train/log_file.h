/* log_file.h - a file that a run appends to, and that a run which goes on cuts first. */
#ifndef ATTUNE_SRC_TRAIN_LOG_FILE_H
#define ATTUNE_SRC_TRAIN_LOG_FILE_H

#include "attune/status.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

typedef struct attune_log_file {
    char *path;
    FILE *file;   /* NULL: none */
    bool created; /* by this open */
} attune_log_file;

/* Sets *end to the length of `file`, read from its beginning, that is to stay. */
typedef attune_status attune_log_measure(void *user, FILE *file, const char *path, off_t *end);

/* Opens `path` for appending. Without `measure` it must not be there (ATTUNE_ECREATE); with it, a
 * file that is there is cut to what `measure` says. *empty: it begins now. */
attune_status attune_log_open(attune_log_file *log, const char *path, attune_log_measure *measure,
                              void *user, bool *empty);

/* Formats the message for a write that failed. */
attune_status attune_log_failed(const attune_log_file *log);

/* Hands what was written to the system, or, `durable`, to the disk. */
attune_status attune_log_flush(attune_log_file *log, bool durable);

/* Frees. The file is removed if `undo` and this open made it. */
void attune_log_close(attune_log_file *log, bool undo);

#endif
