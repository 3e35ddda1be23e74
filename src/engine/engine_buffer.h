/* engine_buffer.h - the engine's sample buffer, for a decoder that writes into it. */
#ifndef ATTUNE_SRC_ENGINE_ENGINE_BUFFER_H
#define ATTUNE_SRC_ENGINE_ENGINE_BUFFER_H

#include "attune/engine.h"
#include "kernels/batch.h"

/* Where the next *count > 0 samples of the track may be written. */
float *attune_engine_space(attune_engine *engine, size_t *count);
/* That many of them have been. */
attune_status attune_engine_advance(attune_engine *engine, size_t count);

const attune_network *attune_engine_network(const attune_engine *engine);
attune_precision attune_engine_precision(const attune_engine *engine);

#endif
