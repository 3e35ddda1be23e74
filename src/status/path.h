/* path.h - the parts of a path: folders, a name, the name's ending. */
#ifndef ATTUNE_SRC_STATUS_PATH_H
#define ATTUNE_SRC_STATUS_PATH_H

#include <stdbool.h>
#include <stddef.h>

/* The name, behind the last slash. */
const char *attune_file_name(const char *path);

/* Bytes of the path without its name's ending, from the last dot on; a dot that begins the name
 * begins no ending. */
size_t attune_stem_length(const char *path);

/* Whether the path has `ending` (".npy") and something before it. */
bool attune_ends_in(const char *path, const char *ending);

#endif
