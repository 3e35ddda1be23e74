/* excerpt.h - a part of an audio file for people to hear: stereo, 44.1 kHz, 16 bits.
 *
 * The network's samples are mono at 22,050 Hz; a listener is to hear what is in the file. A seek
 * goes to where the part begins, so that an excerpt of a ten-hour file costs what one of a short
 * file does; it is as exact as the container's index. */
#ifndef ATTUNE_SRC_AUDIO_EXCERPT_H
#define ATTUNE_SRC_AUDIO_EXCERPT_H

#include "attune/audio.h"
#include "audio/place.h"

enum { ATTUNE_EXCERPT_RATE = 44100, ATTUNE_EXCERPT_CHANNELS = 2 };

typedef struct attune_excerpt {
    int16_t *samples; /* (frames, 2); to be freed */
    size_t frames;
} attune_excerpt;

/* At most `seconds` (at most an hour) from `start` seconds on; of a shorter file its last ones.
 * With a negative start, from the middle. A fault of the file is in result->status, which is then
 * none that has an embedding, and the return is ATTUNE_OK. */
attune_status attune_excerpt_read(attune_excerpt *out, const attune_audio_place *place,
                                  double start, double seconds, attune_audio_result *result);

#endif
