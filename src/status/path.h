/* path.h - paths, put together and taken apart: folders, a name, the name's ending. */
#ifndef ATTUNE_SRC_STATUS_PATH_H
#define ATTUNE_SRC_STATUS_PATH_H

#include "attune/status.h"

#include <stdbool.h>
#include <stddef.h>

/* *out: `name` in `folder`, malloc'ed; NULL without memory, which is the only failure. */
attune_status attune_path_join(char **out, const char *folder, const char *name);

/* The folder that the path's name is in, as the system takes it: "." without a slash. malloc'ed,
 * NULL without memory. */
char *attune_path_folder(const char *path);

/* Makes a folder to write in, unless there is one. ATTUNE_ECREATE is the only failure. */
attune_status attune_make_folder(const char *path);

/* The name, behind the last slash. */
const char *attune_file_name(const char *path);

/* Whether two names are of one file, which need not be there yet. */
bool attune_same_file(const char *a, const char *b);

/* Bytes of the path without its name's ending, from the last dot on; a dot that begins the name
 * begins no ending. */
size_t attune_stem_length(const char *path);

/* Whether a part of the path is "..", which leads out of where the path begins, or pretends to. */
bool attune_path_leads_outside(const char *path);

/* Whether the path has `ending` (".npy") and something before it. */
bool attune_ends_in(const char *path, const char *ending);

#endif
