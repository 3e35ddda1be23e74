/* scan_archive.h - the audio in an archive. */
#ifndef ATTUNE_SRC_ENGINE_SCAN_ARCHIVE_H
#define ATTUNE_SRC_ENGINE_SCAN_ARCHIVE_H

#include "audio/decoder.h"
#include "audio/place.h"

/* Gets one place; it is not valid longer. */
typedef attune_status (*attune_scan_take)(void *user, const attune_audio_place *place);

/* Calls `take` for each entry of the file `archive` that is audio, recognised as below a folder,
 * and for each that is to have a failed row. What is wrong with the archive itself is a failed row
 * of its name. Probes with `decoder`, which may be NULL. Adds to *ignored the files that are passed
 * over. Fails only when `take` or `decoder` does, or memory. */
attune_status attune_scan_archive(const char *archive, attune_scan_take take, void *user,
                                  attune_decoder *decoder, size_t *ignored);

#endif
