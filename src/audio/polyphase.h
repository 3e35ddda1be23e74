/* polyphase.h - frames of 44.1 and 48 kHz and their multiples as mono f32 at 22,050 Hz, faster than
 * libswresample.
 *
 * The same filter at the same positions as libswresample's with default options, so the same gain
 * and delay and as many samples: only rounding differs, and the time, because the downmix goes from
 * the decoder's own planes into the filter's buffer and the filter's lanes are as wide as the
 * machine's. The samples' bits do not depend on how a stream is cut into frames. */
#ifndef ATTUNE_SRC_AUDIO_POLYPHASE_H
#define ATTUNE_SRC_AUDIO_POLYPHASE_H

#include "kernels/resampling.h"

#include <libavutil/frame.h>
#include <stdbool.h>

typedef struct attune_polyphase {
    const attune_resampling *kernels;
    const attune_filter *filter; /* NULL until frames can be taken */
    float *held;                 /* (capacity): samples that are still needed */
    float *scratch;              /* the filter's */
    size_t capacity, count;
    size_t start;             /* of held: where the next output begins */
    bool started;             /* the beginning has been mirrored */
    bool ending;              /* no frame follows */
    attune_sample_type type;  /* of the frames */
    bool stereo, interleaved; /* likewise */
} attune_polyphase;

/* Gets ready for frames like this one, a stream's first. 1 when it is, 0 when they are none of ours
 * and libswresample is to take them, or AVERROR(ENOMEM). */
int attune_polyphase_start(attune_polyphase *polyphase, const attune_resampling *kernels,
                           const AVFrame *frame, int rate_out);

/* How many samples the next call of convert, or with 0 of finish, needs room for. */
size_t attune_polyphase_bound(const attune_polyphase *polyphase, size_t samples);

/* Converts a frame; returns how many samples it wrote to `out`. */
size_t attune_polyphase_convert(attune_polyphase *polyphase, float *out, const AVFrame *frame);

/* Gives the last samples: `flush` those too that reach over the stream's end, as libswresample does
 * when it is flushed, and without those that it would have given before. Afterwards there are none.
 */
size_t attune_polyphase_finish(attune_polyphase *polyphase, float *out, bool flush);

/* Frees all; the object is then as new. */
void attune_polyphase_close(attune_polyphase *polyphase);

#endif
