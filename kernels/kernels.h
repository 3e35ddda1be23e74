/* kernels.h - what a device can do for the network: one table of functions per device.
 *
 * The engine asks for a table once and never asks again which device it is on. The network falls
 * into two stages (DESIGN): frontend, frame by frame, and sequence, track by track. A context holds
 * one model's weights in the device's own packing, the states of ATTUNE_SLOTS tracks, and all
 * scratch memory: the functions below allocate nothing. A context belongs to one thread at a time.
 *
 * What every device promises: a track's embedding is the same bits however its frames were split
 * over the calls, whatever its slot, and whatever other tracks were in its calls or before it. */
#ifndef ATTUNE_KERNELS_H
#define ATTUNE_KERNELS_H

#include "attune/model.h"
#include "kernels/precision.h"
#include "kernels/resampling.h"
#include "kernels/search.h"

#include <stdint.h>

enum {
    ATTUNE_FRAMES_PER_CALL = 64, /* that one call of frontend takes at most */
    ATTUNE_SLOTS = 16,           /* tracks that a context holds the states of */
};

/* Consecutive frames of one track: rows of a feature buffer. */
typedef struct attune_segment {
    uint32_t slot;  /* the track's */
    uint32_t first; /* row */
    uint32_t count; /* rows; at least 1 */
} attune_segment;

typedef struct attune_kernels {
    const char *device;                  /* "cpu" */
    const char *detail;                  /* what it runs on: "avx512" */
    const attune_resampling *resampling; /* for the decoder; needs no context */
    const attune_search *search; /* for src/eval; needs no context; NULL except on the CPU */

    /* Packs the weights and allocates the scratch. A device that has nothing faster to offer than
     * precision exact computes that. On failure *context is NULL. */
    attune_status (*open)(void **context, const attune_model *model, attune_precision precision);
    void (*close)(void *context); /* NULL-safe */

    /* features (F, C) of F frames: frame f is samples [f * hop, f * hop + N) of pcm, f32 at the
     * network's sample rate, all finite. F is 1 to ATTUNE_FRAMES_PER_CALL. No alignment is asked of
     * either. */
    attune_status (*frontend)(void *context, float *features, const float *pcm, int F);

    /* Forgets what a slot held: GRU states 0, pooling empty. */
    void (*begin)(void *context, uint32_t slot);
    /* Every segment's rows of features (rows, C) move its track's state on. A slot stands in at
     * most one segment of a call. Several tracks at a time take less than one by one. */
    attune_status (*sequence)(void *context, const float *features, const attune_segment *segments,
                              uint32_t count);
    /* embedding (E), of Euclidean length 1, of the frames since begin; there must be at least one.
     */
    attune_status (*finish)(void *context, float *embedding, uint32_t slot);
} attune_kernels;

/* The CPU's table: the best instruction set that this machine has ("avx512amd", "avx512", "avx2",
 * "baseline"),
 * or the one that the environment variable ATTUNE_CPU names. ATTUNE_ECONFIG if that one is unknown
 * or not there. */
attune_status attune_kernels_cpu(const attune_kernels **out);

/* The table for one instruction set by name; NULL if this machine or this build has it not. */
const attune_kernels *attune_kernels_cpu_named(const char *name);

#endif
