/* optimiser.h - AdamW, gradient clipping, and when to lower the rate or to stop.
 *
 * Everything is a plain struct of numbers, so that a checkpoint can hold it. */
#ifndef ATTUNE_SRC_TRAIN_OPTIMISER_H
#define ATTUNE_SRC_TRAIN_OPTIMISER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Euclidean length of the gradient, in double. */
double attune_gradient_norm(const float *gradients, size_t count);

/* Scales the gradient by limit / (norm + 1e-6) where its length `norm` is above the limit, as
 * PyTorch's clip_grad_norm_ does. */
void attune_gradient_clip(float *gradients, size_t count, double norm, double limit);

/* AdamW (Loshchilov and Hutter 2019): betas 0.9 and 0.999, epsilon 1e-8, PyTorch's order of
 * operations. */
typedef struct attune_adamw {
    double rate, weight_decay;
    uint64_t steps; /* done */
    float *moment1; /* (count), borrowed, zero to begin with */
    float *moment2; /* (count) */
    size_t count;
} attune_adamw;

/* One step of parameters[first .. count): those before `first`, a frozen front end's, stay. */
void attune_adamw_step(attune_adamw *adamw, float *parameters, const float *gradients,
                       size_t first);

/* PyTorch's ReduceLROnPlateau in mode min with relative threshold 1e-4, and early stopping. */
typedef struct attune_plateau {
    double factor; /* of the rate */
    int patience;  /* epochs without a better value that are borne */
    double best;   /* INFINITY to begin with */
    int bad;       /* epochs since */
} attune_plateau;

/* Tells an epoch's value; returns the factor for the rate: 1 or plateau->factor. */
double attune_plateau_step(attune_plateau *plateau, double value);

/* Whether `value` is the best so far; `bad` counts the epochs since. */
typedef struct attune_best {
    double value; /* -INFINITY to begin with */
    int epoch;    /* of the best; -1 */
    int bad;
} attune_best;

bool attune_best_step(attune_best *best, double value, int epoch);

#endif
