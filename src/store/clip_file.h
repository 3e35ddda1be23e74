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
 * a good one is empty. Room that was never written takes no room on disks that know holes. A file
 * with too few slots is copied to one with more.
 *
 * An empty file "<path>.lock" beside it is held with flock: by one process that writes, or by any
 * number that read. */
#ifndef ATTUNE_SRC_STORE_CLIP_FILE_H
#define ATTUNE_SRC_STORE_CLIP_FILE_H

#include "attune/track.h"

#include <stddef.h>
#include <stdint.h>

typedef enum attune_clip_format {
    ATTUNE_CLIP_INT16, /* range ±2, beyond is clipped; steps of 2^-14 */
    ATTUNE_CLIP_FLOAT32,
} attune_clip_format;

/* What all clips of a file have in common. */
typedef struct attune_clip_layout {
    attune_clip_format format;
    int sample_rate;                 /* Hz */
    double clip_start, clip_seconds; /* seconds */
    size_t samples;                  /* S */
} attune_clip_layout;

/* What stands in a slot. */
typedef struct attune_clip {
    uint64_t size;    /* bytes of the track's file */
    int64_t mtime_ns; /* its modification time, ns since 1970 */
    uint64_t checksum;
    uint32_t samples; /* 1 to S; 0: the slot is empty */
    attune_track_status status;
} attune_clip;

#define ATTUNE_NO_SLOT SIZE_MAX

typedef struct attune_clip_file attune_clip_file;

/* Opens the file at `path`, to write it if no other process has it open; where there is none, it
 * has no slots. ATTUNE_ESTOPPED while another process writes it: try again. ATTUNE_ECONFIG when its
 * clips are others, ATTUNE_ECREATE when it is another kind of file. On failure *out is NULL. */
attune_status attune_clip_file_open(attune_clip_file **out, const char *path,
                                    const attune_clip_layout *layout);
void attune_clip_file_close(attune_clip_file *file); /* NULL-safe; commits nothing */

/* The slot of a track as it was when the file was opened, or ATTUNE_NO_SLOT. Paths are known by 128
 * bits of hash; the file has their ends for people to read. */
size_t attune_clip_file_find(const attune_clip_file *file, const char *path);
attune_clip attune_clip_file_get(const attune_clip_file *file, size_t slot);

/* Empties the slots dropped[i] != ATTUNE_NO_SLOT, i < count, and sees to it that `count` are empty.
 * ATTUNE_ESTOPPED when other processes read the file, ATTUNE_ECREATE when it cannot be written. */
attune_status attune_clip_file_reserve(attune_clip_file *file, const size_t *dropped, size_t count);

/* An empty slot of those reserved, another at each call. */
size_t attune_clip_file_take(attune_clip_file *file);

/* Writes count <= S samples, and leaves other numbers in `samples`. For any thread, one a slot. */
attune_status attune_clip_file_write(attune_clip_file *file, uint64_t *checksum, float *samples,
                                     size_t slot, size_t count);

/* Notes what was written there, for the next commit. One thread at a time. */
attune_status attune_clip_file_note(attune_clip_file *file, size_t slot, const char *path,
                                    const attune_clip *clip);

/* Makes all that was noted durable. One thread at a time. */
attune_status attune_clip_file_commit(attune_clip_file *file);

/* Lets others read: nothing more is written. */
void attune_clip_file_share(attune_clip_file *file);

/* out (count) = samples from `start` of a slot on, zeros behind its last. ATTUNE_EDATA when they
 * are not those written, which the first reading of a slot looks at. For any thread. */
attune_status attune_clip_file_read(attune_clip_file *file, float *out, size_t slot, size_t start,
                                    size_t count);

#endif
