/* clip_file.h - decoded clips in HDF5: a row of samples and a record a track, written in place.
 *
 *   /samples (slots, S)  int16, a sample times 2^14, or float
 *   /tracks  (slots)     what stands there: path, size and time of the file, how many samples
 *   attributes           format "attune-clips", format_version, sample_rate, clip_start,
 *                        clip_seconds
 *
 * Both datasets are contiguous and all of their room is given out when the file is made, under a
 * temporary name; so HDF5's own metadata never changes under the file's name, a kill at any moment
 * cannot spoil it, and samples are read and written at their place, without HDF5 and from any
 * thread. A record is written when its samples are on the disk, and has a checksum: a slot without
 * a good one is empty. Room that was never written takes no room on disks that know holes. */
#ifndef ATTUNE_SRC_STORE_CLIP_FILE_H
#define ATTUNE_SRC_STORE_CLIP_FILE_H

#include "attune/track.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum attune_clip_format {
    ATTUNE_CLIP_INT16, /* range ±2, beyond is clipped; steps of 2^-14 */
    ATTUNE_CLIP_FLOAT32,
} attune_clip_format;

/* What all clips of a file have in common. */
typedef struct attune_clip_layout {
    attune_clip_format format;
    int sample_rate;
    double clip_start, clip_seconds;
    size_t samples; /* S */
} attune_clip_layout;

typedef struct attune_clip_file attune_clip_file;

/* The track of a clip; the path is known by its hash, the file keeps its end for people. */
typedef struct attune_clip_key {
    const char *path;
    uint64_t size;
    int64_t mtime_ns;
} attune_clip_key;

#define ATTUNE_NO_SLOT SIZE_MAX

#endif
