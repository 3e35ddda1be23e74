/* loader.h - the next batch's samples, read and augmented by threads of their own while the device
 * works on this one. */
#ifndef ATTUNE_SRC_TRAIN_LOADER_H
#define ATTUNE_SRC_TRAIN_LOADER_H

#include "train/augment.h"
#include "train/cache.h"
#include "train/sampler.h"

typedef struct attune_loader attune_loader;

typedef struct attune_loaded {
    const attune_sample *samples; /* (B) */
    const float *const *clips;    /* (B) of S samples each */
    int B;
} attune_loaded;

/* Begins with step `step` of epoch `epoch`. Everything borrowed; clips are S samples. On failure
 * *out is NULL. */
attune_status attune_loader_open(attune_loader **out, attune_sampler *sampler,
                                 attune_clip_cache *cache, const attune_augment_options *augment,
                                 size_t S, uint64_t seed, int threads, int64_t epoch, int64_t step);
void attune_loader_close(attune_loader *loader); /* NULL-safe */

int attune_loader_most(const attune_loader *loader); /* clips of a batch at most */

/* The next batch, in order, an epoch behind the other; valid until the next call. */
attune_status attune_loader_next(attune_loader *loader, attune_loaded *out);

#endif
