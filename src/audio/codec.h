/* codec.h - samples as a lossy codec leaves them: encoded, and decoded again. */
#ifndef ATTUNE_SRC_AUDIO_CODEC_H
#define ATTUNE_SRC_AUDIO_CODEC_H

#include "attune/status.h"

#include <stddef.h>

typedef enum attune_codec {
    ATTUNE_CODEC_NONE,
    ATTUNE_CODEC_MP3, /* by LAME: FFmpeg may be built without it */
    ATTUNE_CODEC_AAC,
    ATTUNE_CODEC_COUNT,
} attune_codec;

/* ATTUNE_ECONFIG, naming the codec, where this FFmpeg cannot encode it. */
attune_status attune_codec_check(attune_codec codec);

/* Replaces mono samples (count), any within ±1, at `sample_rate` Hz by what the codec makes of them
 * at `bit_rate` bits a second. The codec's delay is taken off: sample i stays sample i. The same
 * samples give the same bits. For any number of threads. */
attune_status attune_codec_pass(float *samples, size_t count, int sample_rate, attune_codec codec,
                                int bit_rate);

#endif
