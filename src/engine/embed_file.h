/* embed_file.h - one audio file to one row, on the device that a worker has.
 *
 * Decodes in the calling thread, or with `decoder` in its process, straight into the device's
 * buffer. */
#ifndef ATTUNE_SRC_ENGINE_EMBED_FILE_H
#define ATTUNE_SRC_ENGINE_EMBED_FILE_H

#include "attune/engine.h"
#include "audio/decoder.h"
#include "audio/place.h"
#include "descriptors/descriptors.h"
#include "engine/batch_engine.h"

#include <stdatomic.h>

/* Sums over all files and threads. */
typedef struct attune_embed_meter {
    atomic_ullong samples;     /* decoded */
    atomic_ullong decoding_ns; /* in FFmpeg, its reading included, and for descriptors */
    atomic_ullong device_ns; /* handing samples on: on the CPU that is computing, on GPUs waiting */
} attune_embed_meter;

/* One of the two. */
typedef struct attune_embed_device {
    attune_engine *engine;      /* the calling thread's own */
    attune_batch_engine *batch; /* any number of threads' */
} attune_embed_device;

/* Returns when the file is decoded, and calls `done` once, with the row; `embedding` is NULL where
 * there is none. On an engine that is from this or any later call, at the latest from
 * attune_engine_flush; on a batch engine from any thread, perhaps before this returns. A status
 * other than ATTUNE_OK, from here or in `done`, is the device's failure, not the file's; when it is
 * returned from here, `done` is not called. `decoder` and `meter` may be NULL, and so may
 * `descriptors`, which is free again when this returns; the row's are then NULL. */
typedef void (*attune_embed_done)(void *user, attune_status status, const attune_track *track,
                                  const float *embedding, const float *descriptors);
attune_status attune_embed_file(const attune_embed_device *device, const attune_network *network,
                                const attune_audio_place *place, const attune_audio_options *audio,
                                attune_decoder *decoder, attune_descriptors *descriptors,
                                attune_embed_meter *meter, attune_embed_done done, void *user);

/* attune_engine_embed_file for a place that is known; an entry with a position is found without a
 * walk over its archive. */
attune_status attune_engine_embed_place(attune_engine *engine, const attune_audio_place *place,
                                        const attune_audio_options *audio, attune_track *track,
                                        float *embedding);

#endif
