/* tracks.h - the tracks of a training: which audio file is which id, and what is known of it.
 *
 * A folder is scanned as `attune embed` scans it, archives included, and every file found under its
 * id: its name without folders and extension, of a number without leading zeros, so that
 * 000/000002.mp3 is track 2 of FMA. The table holds those of the files that a manifest or a triplet
 * file has named, in that order. Names that no file was found for are collected, so that one
 * message can list them. */
#ifndef ATTUNE_SRC_TRAIN_TRACKS_H
#define ATTUNE_SRC_TRAIN_TRACKS_H

#include "attune/status.h"
#include "audio/place.h"

#include <stdbool.h>
#include <stdint.h>

/* X(name, column): what a manifest may say of a track. */
#define ATTUNE_LABELS(X)                                                                           \
    X(ATTUNE_LABEL_SPLIT, "split")                                                                 \
    X(ATTUNE_LABEL_GROUP, "group")                                                                 \
    X(ATTUNE_LABEL_ARTIST, "artist")                                                               \
    X(ATTUNE_LABEL_ALBUM, "album")                                                                 \
    X(ATTUNE_LABEL_GENRE, "genre")

typedef enum attune_label {
#define ATTUNE_X(name, column) name,
    ATTUNE_LABELS(ATTUNE_X)
#undef ATTUNE_X
        ATTUNE_LABEL_COUNT
} attune_label;

/* What a manifest calls it: "artist". */
const char *attune_label_column(attune_label label);

#define ATTUNE_NO_TRACK UINT32_MAX

typedef struct attune_tracks attune_tracks;

typedef struct attune_tracks_entry {
    const char *id;                    /* as it was named first */
    const char *path;                  /* absolute */
    int32_t label[ATTUNE_LABEL_COUNT]; /* 0 to attune_tracks_label_count - 1; -1: not known */
} attune_tracks_entry;

/* Scans `folder`. ATTUNE_ENOINPUT when it is not there or holds no audio. On failure *out is NULL.
 */
attune_status attune_tracks_open(attune_tracks **out, const char *folder);
/* The same over names instead of files: ids or paths (count), borrowed, of which none is looked for
 * on disk; track i is name i, and all are there. Spaces around a name may be left out where it is
 * found, unless another is that. A name that stands there twice is ATTUNE_EDATA, with its numbers
 * in `rows` (count, borrowed; NULL: from 1). */
attune_status attune_tracks_open_rows(attune_tracks **out, char *const *names, const uint32_t *rows,
                                      uint32_t count);
/* A table without files, for what asks of names alone: every name that is looked for is a track, an
 * id without leading zeros or a path's file name, and has no path. Takes no manifest. */
attune_status attune_tracks_open_names(attune_tracks **out);
void attune_tracks_close(attune_tracks *tracks); /* NULL-safe */

/* Adds the tracks of a manifest: a CSV file whose header names the columns `id` (or `track_id`) or
 * `path` or both, and any of the labels' (artist_id, album_id and genre_top are known too); an
 * empty field is a label not known. A path is absolute or below the folder, and comes before the id
 * if it is there: the id is then another name of that file. An id that stands in it twice is
 * ATTUNE_EDATA. */
attune_status attune_tracks_add_manifest(attune_tracks *tracks, const char *path);

/* Gives a track a label. */
attune_status attune_tracks_set_label(attune_tracks *tracks, uint32_t track, attune_label label,
                                      const char *value);

/* Adds every file of the scan. */
attune_status attune_tracks_add_all(attune_tracks *tracks);

/* The track that `name` is the id, the file name, or the path of (absolute, or below the folder),
 * added if it is new; ATTUNE_NO_TRACK if there is none, which is noted. An id that is that of two
 * files is ATTUNE_EDATA, with both. */
attune_status attune_tracks_find(uint32_t *out, attune_tracks *tracks, const char *name);

/* The same without adding or noting anything: ATTUNE_NO_TRACK if it is none of the table. */
attune_status attune_tracks_look_up(uint32_t *out, const attune_tracks *tracks, const char *name);

/* Keeps the tracks that are wanted (count); number (count) is what each is now, or ATTUNE_NO_TRACK.
 */
void attune_tracks_keep(attune_tracks *tracks, const bool *wanted, uint32_t *number);

/* Names noted as missing, each once. */
uint32_t attune_tracks_missing(const attune_tracks *tracks);
/* Forgets those so far: a manifest may tell of more than is used. */
void attune_tracks_forget_missing(attune_tracks *tracks);
/* ATTUNE_ENOINPUT with the first ten and their number if any were; to be asked when all manifests
 * and triplets are read, unless the user wants them skipped. */
attune_status attune_tracks_check(const attune_tracks *tracks);

/* The table; pointers are valid until a track is added. */
uint32_t attune_tracks_count(const attune_tracks *tracks);
const attune_tracks_entry *attune_tracks_entries(const attune_tracks *tracks); /* (count) */
const attune_audio_place *attune_tracks_places(const attune_tracks *tracks);   /* (count) */

/* How many values of a label there are, and what value < count is called in the manifest. */
int32_t attune_tracks_label_count(const attune_tracks *tracks, attune_label label);
const char *attune_tracks_label_name(const attune_tracks *tracks, attune_label label,
                                     int32_t value);

#endif
