/* engine_buffer.h - the engine's sample buffer, for a decoder that writes into it. */
#ifndef ATTUNE_SRC_ENGINE_ENGINE_BUFFER_H
#define ATTUNE_SRC_ENGINE_ENGINE_BUFFER_H

#include "attune/engine.h"

#include <stdatomic.h>

/* Where the next *count > 0 samples of the track may be written. */
float *attune_engine_space(attune_engine *engine, size_t *count);
/* That many of them have been. */
attune_status attune_engine_advance(attune_engine *engine, size_t count);

uint64_t attune_engine_samples(const attune_engine *engine); /* of this track so far */
const attune_network *attune_engine_network(const attune_engine *engine);

/* attune_engine_embed_file that adds the samples it decodes to *decoded as it goes, for a progress display. */
attune_status attune_embed_file(attune_engine *engine, const char *path,
                                const attune_audio_options *audio, attune_track *track,
                                float *embedding, atomic_ullong *decoded);

#endif
