/* engine_buffer.h - what the engine is to a decoder: a buffer to write samples into, and tracks
 * that may wait for one another. */
#ifndef ATTUNE_SRC_ENGINE_ENGINE_BUFFER_H
#define ATTUNE_SRC_ENGINE_ENGINE_BUFFER_H

#include "attune/engine.h"
#include "engine/track_done.h"
#include "kernels/precision.h"

/* Samples beyond this are no audio, and the network's sums would overflow in f32. */
#define ATTUNE_PEAK_MAX 1e15f

/* Where the next *count > 0 samples of the track may be written. */
float *attune_engine_space(attune_engine *engine, size_t *count);
/* That many of them have been. */
attune_status attune_engine_advance(attune_engine *engine, size_t count);

/* In place of attune_engine_finish: several tracks take the sequence stage together. `done` is
 * called, from here or from any later call on the engine, at the latest from flush. A new track
 * begins. */
void attune_engine_end(attune_engine *engine, attune_track_done done, void *user);
void attune_engine_flush(attune_engine *engine);

const attune_network *attune_engine_network(const attune_engine *engine);
attune_precision attune_engine_precision(const attune_engine *engine);

#endif
