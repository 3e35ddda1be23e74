/* clip_format.h - a clip file's datasets and attributes: where HDF5 has put them. */
#ifndef ATTUNE_SRC_STORE_CLIP_FORMAT_H
#define ATTUNE_SRC_STORE_CLIP_FORMAT_H

#include "store/clip_file.h"

/* An element of /tracks. */
typedef struct attune_clip_record {
    uint64_t record_checksum; /* of all below */
    uint64_t path_hash[2];    /* of the whole path */
    uint64_t size;
    int64_t mtime_ns;
    uint64_t checksum; /* of the samples as they are stored */
    uint32_t samples;
    uint8_t status;
    char path[459]; /* its end, if it is longer; NUL behind it */
} attune_clip_record;

_Static_assert(sizeof(attune_clip_record) == 512, "a record without padding");

/* Offsets in the file. */
typedef struct attune_clip_extent {
    uint64_t slots;
    uint64_t samples_at, records_at;
} attune_clip_extent;

size_t attune_clip_sample_size(attune_clip_format format); /* bytes */

/* Makes an empty clip file of the new file `fd`; `path` is for messages. */
attune_status attune_clip_format_create(attune_clip_extent *out, int fd, const char *path,
                                        const attune_clip_layout *layout, uint64_t slots);

/* Reads what kind of clip file `fd` is. ATTUNE_ECREATE if it is none. */
attune_status attune_clip_format_open(attune_clip_extent *out, attune_clip_layout *layout, int fd,
                                      const char *path);

#endif
