/* cache.h - the clips of a training, decoded once and kept in a file.
 *
 * Mono at 22,050 Hz, the same part of every track. A clip that is in the file is not decoded again
 * as long as its track's path, size and time stay what they were, or the track is not there; others
 * are, and clips of tracks that are not asked for stay. Opening decodes on several threads; however
 * that ends, by a signal or a power cut too, the file keeps what was decoded up to two seconds
 * before, and the next opening goes on from there. Any number of threads may read, and of
 * processes, while none decodes. store/clip_file.h says what the file holds.
 *
 * Clips of int16 are decoded with attune_audio_options.fast_resampling: what it changes is a
 * thirtieth of their rounding. */
#ifndef ATTUNE_SRC_TRAIN_CACHE_H
#define ATTUNE_SRC_TRAIN_CACHE_H

#include "attune/track.h"
#include "audio/place.h"
#include "store/clip_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct attune_clip_cache attune_clip_cache;

typedef struct attune_clip_cache_progress {
    size_t tracks;  /* to decode now; the others are there */
    size_t decoded; /* of those */
    size_t failed;  /* of those decoded: without a clip */
    size_t kept;    /* were there */
    bool waiting;   /* for another process that is decoding into the cache */
} attune_clip_cache_progress;

typedef struct attune_clip_cache_options {
    double clip_start;         /* seconds, 0 */
    double clip_seconds;       /* 15; above 0, at most 3,600 */
    attune_clip_format format; /* ATTUNE_CLIP_INT16 */
    int threads;               /* 0: one per processor this process may use */
    /* Both are called from one thread at a time, which may be any of them; may be NULL. on_track is
     * called for a decoded track whose status is not ok, with a line that says why. True from
     * on_progress asks to stop; it is called before the first track, after each, and ten times a
     * second while the cache waits. */
    void (*on_track)(void *user, size_t track, attune_track_status status, const char *error);
    bool (*on_progress)(void *user, const attune_clip_cache_progress *progress);
    void *user;
} attune_clip_cache_options;

void attune_clip_cache_options_default(attune_clip_cache_options *options);

/* Opens or makes the cache at `path`, and decodes what it lacks. Track i < count is places[i],
 * borrowed until this has returned. A file that fails is none of the program: its status says so,
 * and it is tried again by the next opening. Failures:
 *   ATTUNE_ECREATE   something else than a cache stands there, or it cannot be written
 *   ATTUNE_ECONFIG   the cache is of another clip or format
 *   ATTUNE_ESTOPPED  on_progress said so, or clips are lacking and other processes read it
 *   ATTUNE_EIO       reading or writing it failed (disk full); what it had before stays
 * On failure *out is NULL. */
attune_status attune_clip_cache_open(attune_clip_cache **out, const char *path,
                                     const attune_audio_place *places, size_t count,
                                     const attune_clip_cache_options *options);
void attune_clip_cache_close(attune_clip_cache *cache); /* NULL-safe */

/* Samples of the clip of a track: fewer than clip_seconds where the track ends, 0 where it failed.
 */
size_t attune_clip_cache_samples(const attune_clip_cache *cache, size_t track);

/* out (count) = samples from `start` of the clip on, zeros behind its end. ATTUNE_EDATA when the
 * clip is not what was written: the first reading of each looks at its checksum. */
attune_status attune_clip_cache_read(attune_clip_cache *cache, float *out, size_t track,
                                     size_t start, size_t count);

#endif
