/* train_sequence_reference.h - the sequence stage in training mode, forward and backward, in plain
 * double precision.
 *
 * Written from its definition, a clip and a step at a time; shares no code with the kernels. */
#ifndef ATTUNE_TESTS_TRAIN_SEQUENCE_REFERENCE_H
#define ATTUNE_TESTS_TRAIN_SEQUENCE_REFERENCE_H

#include "kernels/training.h"

typedef struct reference_dropout {
    uint64_t seed;
    float layers, head;
} reference_dropout;

/* embeddings (B, E) of features (B, T, C). Where gradients is not NULL, adds to gradients
 * (parameter_count) and feature_gradients (B, T, C) those of the sum of embedding_gradients (B, E)
 * times embeddings. */
void reference_train_sequence(double *embeddings, double *gradients, double *feature_gradients,
                              const attune_trainable *trainable, const double *parameters,
                              const double *features, const double *embedding_gradients, int B,
                              int T, reference_dropout dropout);

#endif
