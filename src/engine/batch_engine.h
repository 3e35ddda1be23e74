/* batch_engine.h - many tracks at once on a device that wants them so (kernels/batch.h).
 *
 * Decoders, any number of threads, push samples of a track each; whole frames go into the batch
 * that is being filled, whosever they are. One thread of the engine sends a batch to the device
 * whenever the device can take one: small batches while decoding is what is slow, large ones when
 * the device is. So neither waits for the other, and memory is two batches and a few bytes a track,
 * however long the tracks are.
 *
 * A track's embedding is the same bits in any company: frames do not know each other, and the
 * device promises the rest. */
#ifndef ATTUNE_SRC_ENGINE_BATCH_ENGINE_H
#define ATTUNE_SRC_ENGINE_BATCH_ENGINE_H

#include "attune/model.h"
#include "engine/track_done.h"
#include "kernels/batch.h"

typedef struct attune_batch_engine attune_batch_engine;
typedef struct attune_batch_track attune_batch_track;

typedef struct attune_batch_engine_options {
    const attune_batch_kernels *kernels;
    int ordinal;
    attune_precision precision;
    size_t memory;         /* bytes of device memory at most; 0: 80 % of what is free */
    uint32_t batch_frames; /* frames in a batch at most; halved until the memory does */
} attune_batch_engine_options;

/* Opens a device with batches as large as the memory allows. A device that cannot hold even a batch
 * of one track's buffer is ATTUNE_ENOMEM. The model must outlive the engine. */
attune_status attune_batch_engine_open(attune_batch_engine **out, const attune_model *model,
                                       const attune_batch_engine_options *options);

/* Waits for tracks that were ended; those that were not are forgotten. NULL-safe. */
void attune_batch_engine_close(attune_batch_engine *engine);

/* Takes a slot for a track; waits while all are taken. On failure *out is NULL. */
attune_status attune_batch_track_begin(attune_batch_track **out, attune_batch_engine *engine);

/* Where the next *count > 0 samples may be written, and that some of them have been: as in
 * engine_buffer.h. Waits while the device is behind. */
float *attune_batch_track_space(attune_batch_track *track, size_t *count);
attune_status attune_batch_track_advance(attune_batch_track *track, size_t count);

/* The track is complete; it belongs to the engine from here on, whatever is returned, and `done` is
 * called, from the engine's thread or from here. */
void attune_batch_track_end(attune_batch_track *track, attune_track_done done, void *user);
/* The track is given up. NULL-safe. */
void attune_batch_track_abandon(attune_batch_track *track);

/* Tracks begun and not done: what a scheduler balances. */
uint32_t attune_batch_engine_load(attune_batch_engine *engine);
attune_precision attune_batch_engine_precision(const attune_batch_engine *engine);
/* "NVIDIA H200", and seconds that it had been computing after the batch before. */
const char *attune_batch_engine_name(const attune_batch_engine *engine);
double attune_batch_engine_busy(attune_batch_engine *engine);

#endif
