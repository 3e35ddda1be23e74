/* track_name.h - a track's name as readers and players take it, whatever bytes its path has. */
#ifndef ATTUNE_SRC_CLI_TRACK_NAME_H
#define ATTUNE_SRC_CLI_TRACK_NAME_H

#include <stdbool.h>
#include <stdio.h>

/* All malloc'ed; NULL without memory. */

/* Where the track is: its path, below the root unless it is absolute. */
char *track_location(const char *root, const char *path);
/* One line of UTF-8: control characters become '?', bytes that are not UTF-8 U+FFFD. */
char *track_text(const char *path);
/* The same of the file's name without folders and extension. */
char *track_title(const char *path);

/* An absolute location as file:// and a relative one as it is, each byte but letters, digits and
 * -._~/ as %XX: valid in HTML attributes too. */
void write_url(FILE *stream, const char *location);

/* Whether a line of a UTF-8 playlist can hold the location as it is. */
bool fits_playlist(const char *location);

/* Whether it is an entry of a zip or tar archive, which no player can open. */
bool is_in_archive(const char *location);

#endif
