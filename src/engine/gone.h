/* gone.h - whether the file of a row is surely not there.
 *
 * Rows come in the order of their paths, so those of an archive's entries follow each other: its
 * names are read once and kept until another archive's are asked for. */
#ifndef ATTUNE_SRC_ENGINE_GONE_H
#define ATTUNE_SRC_ENGINE_GONE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct attune_gone {
    char *archive; /* whose names these are; NULL: none yet */
    bool complete; /* the archive was read to its end */
    char **names;  /* (count,) of its files, in order */
    size_t count, capacity;
    char *folder; /* looked into last; NULL: none yet */
    bool folder_is_empty;
} attune_gone;

/* Whether the file or archive entry `path` is gone. What cannot be known is not: the entries of an
 * archive that is damaged, half copied or not readable, and files of a folder in which nothing is,
 * as in a mount point with nothing mounted. What is now a folder or an archive that can be read is:
 * such have rows of their own only while they cannot. `listed`: the scan has it, and has thus seen
 * it if it is an entry. `gone` begins all zero. */
bool attune_gone_is(attune_gone *gone, const char *path, bool listed);
void attune_gone_clear(attune_gone *gone);

#endif
