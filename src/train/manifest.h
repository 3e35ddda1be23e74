/* manifest.h - CSV files that say where tracks are and what is known of them.
 *
 * The header names the columns `id` (or `track_id`) or `path` or both, and any of the labels'
 * (artist_id, album_id and genre_top are known too); other columns are passed over. */
#ifndef ATTUNE_SRC_TRAIN_MANIFEST_H
#define ATTUNE_SRC_TRAIN_MANIFEST_H

#include "csv/csv.h"
#include "train/tracks.h"

/* Texts that last until the next row; empty: not known. Of id and path, not
 * both are empty. */
typedef struct attune_manifest_row {
    const char *id, *path;                 /* as they stand there */
    const char *label[ATTUNE_LABEL_COUNT]; /* without spaces around them */
} attune_manifest_row;

typedef attune_status attune_manifest_take(void *user, const attune_csv *csv,
                                           const attune_manifest_row *row);

/* Hands over the rows. ATTUNE_EDATA, with the line, for a file that is no manifest or has no row;
 * ATTUNE_ENOINPUT if it is not there; and what `take` fails with. */
attune_status attune_manifest_read(const char *path, attune_manifest_take *take, void *user);

#endif
