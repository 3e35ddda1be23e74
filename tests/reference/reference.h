/* reference.h - the networks in plain double precision, written from their definition (spec:
 * model.md).
 *
 * Everything else is compared to this. It shares no code with the kernels, allocates as it likes,
 * and favours the textbook's loop over speed. */
#ifndef ATTUNE_TESTS_REFERENCE_H
#define ATTUNE_TESTS_REFERENCE_H

#include "model/parameters.h"

#include <stddef.h>
#include <stdint.h>

/* The published network's shape with the given changes made to it afterwards by the caller. */
attune_network reference_network(attune_architecture architecture);

/* The published shapes (0 tiny, 9 the baseline), what the paper varied, and the bounds of what
 * model.h allows: index 0 to REFERENCE_SHAPES - 1. */
enum { REFERENCE_SHAPES = 12 };
attune_network reference_shape(int index);

/* A model of this shape with random parameters of about the published model's sizes. Close it. */
attune_model *reference_model(const attune_network *network, uint64_t seed);

/* features (F, C) of the F whole frames of `samples` samples; a shorter clip is padded to one
 * frame. */
void reference_features(double *features, const attune_model *model, const float *pcm,
                        size_t samples);

/* embedding (E) from features (F, C). */
void reference_sequence(double *embedding, const attune_model *model, const double *features,
                        size_t F);

/* Both: embedding (E) of `samples` samples. */
void reference_embed(double *embedding, const attune_model *model, const float *pcm,
                     size_t samples);

/* Largest difference, relative to the largest expected value (at least 1), NaN being the largest of
 * all; the worst element is printed with `what`. */
double reference_worst(const char *what, const float *got, const double *expected, size_t count);

#endif
