/* place.h - where an audio file is: in a folder, or in an archive. */
#ifndef ATTUNE_SRC_AUDIO_PLACE_H
#define ATTUNE_SRC_AUDIO_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An entry of an archive has the archive's name, a slash and its own name as its path. When its
 * position is ATTUNE_AUDIO_NOWHERE, it is looked up by name. */
#define ATTUNE_AUDIO_NOWHERE UINT64_MAX

typedef struct attune_audio_place {
    const char *path;
    size_t archive_length; /* bytes of `path` that name the archive; 0: a file of its own */
    uint64_t position;     /* of the entry: see archive/archive.h */
    const char *failure;   /* why it cannot be opened, when that is known already; or NULL */
} attune_audio_place;

/* The place that `path` names: a file, or where there is none and a part of the path is an archive,
 * its entry. */
attune_audio_place attune_audio_place_of(const char *path);

/* Size and time of what is there, as decoding it would note them. False if it cannot be
 * seen. */
bool attune_audio_place_look(const attune_audio_place *place, uint64_t *size, int64_t *mtime_ns);

#endif
