/* new_file.h - a file that stands under its name whole or not at all.
 *
 * It is written under a temporary name in the same folder, ".NAME.<pid>-<random>.tmp". Publishing
 * fsyncs it, renames it over the target and fsyncs the folder, so that after a power cut there is
 * the old file or the new one. The folder is held open: neither a change of the working folder nor
 * a rename of one of its parents can separate the two names. The temporary file is held with flock
 * while it is written: one that is not is left over. */
#ifndef ATTUNE_SRC_STORE_NEW_FILE_H
#define ATTUNE_SRC_STORE_NEW_FILE_H

#include "attune/status.h"

#include <stdbool.h>
#include <stddef.h>

/* What the finished file may replace. */
typedef enum attune_new_file_over {
    ATTUNE_OVER_OUTPUT,     /* an attune output */
    ATTUNE_OVER_NOTHING,    /* nothing */
    ATTUNE_OVER_OTHER,      /* any file that is neither an attune output nor a checkpoint */
    ATTUNE_OVER_CHECKPOINT, /* a checkpoint */
} attune_new_file_over;

typedef struct attune_new_file {
    char *path;      /* the target as the user names it, for messages */
    char *name;      /* the target's name in the folder */
    char *temporary; /* the name in the folder until published; NULL: there is no such file */
    int folder;      /* -1: none */
    int fd;          /* for reading and writing; -1: none */
    attune_new_file_over over;
} attune_new_file;

#define ATTUNE_NEW_FILE_CLOSED ((attune_new_file){.folder = -1, .fd = -1})

/* Opens the temporary file. `path` must be free or hold an attune output, else ATTUNE_ECREATE, or
 * ATTUNE_EIO or ATTUNE_EDATA when it cannot be read or is damaged, and so may be one; a link is
 * followed, so that what it points to is replaced and not the link. */
attune_status attune_new_file_open(attune_new_file *file, const char *path);

/* The same for a checkpoint, in place of nothing or of a checkpoint. */
attune_status attune_new_file_open_checkpoint(attune_new_file *file, const char *path);

/* The same for any other file: it replaces nothing, or, with `replace`, whatever file is there but
 * an attune output or a checkpoint. */
attune_status attune_new_file_open_other(attune_new_file *file, const char *path, bool replace);

/* Opens such a file, writes `size` bytes to it and makes them durable: only its name is missing,
 * which publishing gives it. Of several that belong together all are filled before one is
 * published. */
attune_status attune_new_file_fill(attune_new_file *file, const char *path, const void *bytes,
                                   size_t size, bool replace);

/* Writes `size` bytes to such a file, whole or not at all; "-" is standard output. */
attune_status attune_new_file_write(const char *path, const void *bytes, size_t size, bool replace);

/* Makes the file durable and gives it its name. */
attune_status attune_new_file_publish(attune_new_file *file);

/* Frees, and removes the temporary file if it was not published. */
void attune_new_file_close(attune_new_file *file);

/* Removes the temporary files that killed processes left of `path`, or of any file in `folder`. One
 * that is being written stays. */
void attune_new_file_sweep(const char *path);
void attune_new_file_sweep_folder(const char *folder);

/* Fsyncs the folder that holds `path`, so that a new name in it is durable. */
attune_status attune_folder_sync(const char *path);

#endif
