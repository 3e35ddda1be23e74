/* train_frontend.h - the front ends in training mode: one table per architecture and instruction
 * set.
 *
 * Frames come in groups, each with batch statistics of its own. What backward needs of a group is
 * kept from its forward on; the next forward of the group replaces it. */
#ifndef ATTUNE_KERNELS_CPU_TRAIN_FRONTEND_H
#define ATTUNE_KERNELS_CPU_TRAIN_FRONTEND_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/team.h"
#include "model/trainable.h"

typedef struct attune_train_frontend {
    /* F of one group is at most `frames`. On failure *out is NULL. */
    attune_status (*open)(void **out, const attune_trainable *trainable, int frames, int groups,
                          bool frozen, attune_team *team);
    void (*close)(void *frontend); /* NULL-safe */

    /* features (F, C) of one group from its frames (F) of N samples each: batch statistics over the
     * F frames, and running statistics moved on; frozen: running statistics, unchanged. */
    void (*forward)(void *frontend, float *features, float *statistics, const float *parameters,
                    const float *const *frames, int F, int group);

    /* Adds the front end's gradients, from those of the features (F, C). Not called when frozen. */
    void (*backward)(void *frontend, float *gradients, const float *feature_gradients,
                     const float *parameters, const float *const *frames, int F, int group);
} attune_train_frontend;

#ifdef ATTUNE_ISA
extern const attune_train_frontend ATTUNE_KERNEL(attune_train_frontend_tiny),
    ATTUNE_KERNEL(attune_train_frontend_gru);
#endif

#endif
