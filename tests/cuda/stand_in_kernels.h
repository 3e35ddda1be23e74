/* stand_in_kernels.h - a network for the stand-in runtime whose embedding is a hash of exactly the
 * samples seen, in order: nothing about streams, cuts or slots can be wrong without changing it. */
#ifndef ATTUNE_TESTS_CUDA_STAND_IN_KERNELS_H
#define ATTUNE_TESTS_CUDA_STAND_IN_KERNELS_H

#include "kernels/batch.h"

#include <stdint.h>

/* The hash of a track so far moved on by one frame, whose samples stand in PCM of the format. */
uint64_t stand_in_frame(uint64_t hash, const attune_network *network, const void *frame,
                        attune_pcm format);
/* embedding (E) of a hash; a track's starts as STAND_IN_FIRST. */
void stand_in_embedding(float *embedding, const attune_network *network, uint64_t hash);

#define STAND_IN_FIRST 0xcbf29ce484222325u

#endif
