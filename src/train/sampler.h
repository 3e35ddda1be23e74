/* sampler.h - which clips stand in which batch.
 *
 * A batch is a function of the seed, the epoch and the step alone: nothing is drawn from a stream
 * that would have to be kept, so a training goes on from a checkpoint with the very next batch.
 *
 * From triplets: an epoch is every triplet once, in a new order; a batch of B is 3B clips: anchors,
 * positives, negatives. From tracks: an epoch is every track once, in a new order; a batch of K
 * tracks has `views` clips of each, which do not overlap where the track is long enough. With
 * another label than the track's own, a track's other views are tracks of its label, drawn anew. */
#ifndef ATTUNE_SRC_TRAIN_SAMPLER_H
#define ATTUNE_SRC_TRAIN_SAMPLER_H

#include "train/settings.h"
#include "train/triplets.h"

typedef struct attune_sampler attune_sampler;

/* One clip of a batch. */
typedef struct attune_sample {
    uint32_t track;
    uint32_t start; /* sample of what is kept of the track */
    /* Label, family to spare and second label, as the settings name them; -1: none. */
    int32_t label, family, mixed;
} attune_sample;

typedef struct attune_sampler_source {
    const attune_tracks *tracks;
    const size_t *samples; /* by track: kept */
    size_t span;           /* samples that a clip is made of */
    /* Triplets to train on, or tracks to train on. */
    const attune_triplet *triplets;
    uint32_t triplet_count;
    const uint32_t *chosen;
    uint32_t chosen_count;
} attune_sampler_source;

/* The value of a setting's label for a track: label 0 is the track itself, 1 + l attune_label l + 1
 * (the split is none). */
int32_t attune_sampler_label(const attune_tracks *tracks, int64_t label, uint32_t track);

/* Everything borrowed. ATTUNE_EINVAL when there is too little to make a batch of. On failure *out
 * is NULL. */
attune_status attune_sampler_open(attune_sampler **out, const attune_settings *settings,
                                  const attune_sampler_source *source);
void attune_sampler_close(attune_sampler *sampler); /* NULL-safe */

int attune_sampler_steps(const attune_sampler *sampler); /* of an epoch */
int attune_sampler_most(const attune_sampler *sampler);  /* clips of a batch at most */

/* The clips of a step; returns how many. The last batch of an epoch may be smaller. Not for two
 * threads at once. */
int attune_sampler_batch(attune_sampler *sampler, attune_sample *out, int64_t epoch, int64_t step);

#endif
