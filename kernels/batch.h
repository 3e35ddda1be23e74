/* batch.h - a device that takes many tracks at once: one table of functions, as kernels.h is for
 * one track.
 *
 * A device of this kind is fed in three kinds of call, all but the last asynchronous:
 *
 *   frontend  F frames of any tracks, packed one behind the other -> rows of the feature
 *             buffer. Frames do not know their track, so a batch has no padding.
 *   sequence  segments: runs of rows that are consecutive frames of one track -> that
 *             track's state moves on. A track's state (GRU states, the pooling's sums)
 *             stays on the device in a slot, so a track may come in any number of
 *             segments: memory does not depend on its length, no track waits for its
 *             last frame, and nothing is padded to the longest.
 *   finish    slots -> embeddings.
 *
 * There are two PCM buffers and two feature buffers, so that the host fills one while the device
 * works on the other. Calls on one context come from one thread at a time.
 *
 * What every such device promises: a track's embedding is the same bits whatever frames and
 * segments share its calls, whatever its slot, and however it was cut into segments. */
#ifndef ATTUNE_KERNELS_BATCH_H
#define ATTUNE_KERNELS_BATCH_H

#include "kernels/kernels.h"

#include <stddef.h>

/* How samples stand in a PCM buffer. */
typedef enum attune_pcm {
    ATTUNE_PCM_F32, /* float: precision exact */
    ATTUNE_PCM_Q14, /* int16_t, value * 2^-14, range [-2, 2): precision fast */
} attune_pcm;

typedef struct attune_batch_options {
    int ordinal; /* which device of this kind, from 0 */
    attune_precision precision;
    /* Upper bounds of what the calls below take; buffers are allocated for them in open. */
    uint32_t pcm_samples;  /* in one PCM buffer */
    uint32_t pcm_frames;   /* F of one frontend call */
    uint32_t feature_rows; /* in one feature buffer */
    uint32_t segments;     /* in one sequence call */
    uint32_t slots;        /* tracks under way at a time */
} attune_batch_options;

typedef struct attune_batch_kernels {
    const char *device; /* "cuda" */

    /* Devices of this kind on this machine; 0 with a reason in attune_last_error() when there are
     * none, or when this build has not the kind. */
    int (*count)(void);
    /* Bytes free on a device. */
    attune_status (*memory_free)(int ordinal, size_t *bytes);
    /* Bytes of device memory that open would take for these options. */
    size_t (*memory_needed)(const attune_network *network, const attune_batch_options *options);

    /* ATTUNE_ENODEVICE if the device is not there, ATTUNE_ENOMEM if its memory does not do (the
     * caller may try smaller bounds), ATTUNE_ECONFIG if the network is not for it. On failure
     * *context is NULL. */
    attune_status (*open)(void **context, const attune_model *model,
                          const attune_batch_options *options);
    void (*close)(void *context);             /* waits for what is under way; NULL-safe */
    const char *(*name)(const void *context); /* "NVIDIA H200" */

    /* PCM buffer 0 or 1 in host memory, which the device copies from: pcm_samples floats or
     * int16_t. */
    void *(*pcm)(void *context, int buffer);
    /* Starts: rows [row, row + F) of feature buffer `features` = front end of F frames; frame f is
     * samples [start[f], start[f] + N) of PCM buffer `buffer`. `start` is copied before the call
     * returns. */
    attune_status (*frontend)(void *context, int buffer, const uint32_t *start, uint32_t F,
                              int features, uint32_t row);
    /* Waits until the device has copied PCM buffer `buffer`, so that it may be filled again. */
    attune_status (*wait_pcm)(void *context, int buffer);

    /* Forgets what slots held: their next segment is a track's first. Copied before the call
     * returns. */
    attune_status (*begin)(void *context, const uint32_t *slots, uint32_t count);
    /* Starts: every segment's rows of feature buffer `features` move its track's state on. A slot
     * stands in at most one segment of a call. The rows' front end may still be under way. Copied
     * before the call returns. */
    attune_status (*sequence)(void *context, int features, const attune_segment *segments,
                              uint32_t count);
    /* Waits until feature buffer `features` has been read by the sequence calls on it. */
    attune_status (*wait_features)(void *context, int features);

    /* embeddings (count, E) in host memory from slots that have seen at least one frame. Waits for
     * all before it. */
    attune_status (*finish)(void *context, float *embeddings, const uint32_t *slots,
                            uint32_t count);

    /* Seconds for which the device has been computing since open, for a display; 0 if it cannot
     * tell. */
    double (*busy_seconds)(void *context);
} attune_batch_kernels;

/* CUDA's table; in a build without CUDA its count is 0 and says so. Never NULL. */
const attune_batch_kernels *attune_kernels_cuda(void);

#endif
