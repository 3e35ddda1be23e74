/* clips.h - what listeners hear: a clip of each song, as WAV in memory, cut when it is first asked
 * for. Those used last are kept, up to a number of bytes; a clip being sent stays until it is. Each
 * is cut by one thread while the others that want it wait. For any thread. */
#ifndef ATTUNE_SRC_JUDGE_CLIPS_H
#define ATTUNE_SRC_JUDGE_CLIPS_H

#include "judge/sources.h"

#include <stddef.h>

#define ATTUNE_CLIP_PEAKS 600

/* How long a clip that could not be cut is not tried again. */
#define ATTUNE_CLIP_BAD_SECONDS 2.0

typedef struct attune_clips attune_clips;

typedef struct attune_clips_options {
    double start;   /* seconds; negative: the clip is from the middle of the song */
    double seconds; /* at most; 15 */
    size_t bytes;   /* kept in memory */
} attune_clips_options;

/* A clip that is held: it stays what and where it is until it is given back. */
typedef struct attune_clip_wav {
    uint8_t *bytes; /* (size): 16-bit stereo WAV at 44.1 kHz */
    size_t size;
    double seconds;
    uint8_t peaks[ATTUNE_CLIP_PEAKS]; /* largest magnitude of each part, 255 at full scale */
    void *slot;                       /* the cache's */
} attune_clip_wav;

/* `sources` must outlive it. */
attune_status attune_clips_create(attune_clips **out, const attune_sources *sources, uint32_t songs,
                                  const attune_clips_options *options);
void attune_clips_free(attune_clips *clips); /* NULL-safe; nothing may be held any more */

/* Holds the clip of a song. ATTUNE_EDATA when its file is not there or cannot be decoded, which is
 * found out again only after a while. */
attune_status attune_clips_hold(const attune_clip_wav **out, attune_clips *clips, uint32_t song);

/* Gives it back. */
void attune_clips_release(const attune_clip_wav *clip);

#endif
