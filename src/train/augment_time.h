/* augment_time.h - the same music faster or slower, with its pitch or without. */
#ifndef ATTUNE_SRC_TRAIN_AUGMENT_TIME_H
#define ATTUNE_SRC_TRAIN_AUGMENT_TIME_H

#include <stddef.h>

/* Samples of the source that `count` samples are made of; of ratio 1 just those. */
size_t attune_speed_source(float ratio, size_t count);
size_t attune_tempo_source(float ratio, size_t count);

/* out (count) = the source `ratio` times as fast and as high, 0.5 to 2, by a band-limited
 * interpolation: sample i is the source's at i · ratio, what lies around it being silence. */
void attune_speed(float *out, const float *source, size_t count, float ratio);

/* out (count) = the source `ratio` times as fast at the same pitch, 0.5 to 2: what stands at
 * i · ratio there stands near i here. */
void attune_tempo(float *out, const float *source, size_t count, float ratio);

#endif
