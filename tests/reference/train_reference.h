/* train_reference.h - the front end in training mode, forward and backward, in plain double
 * precision; written from its definition (spec: model.md), layer by layer, keeping everything. */
#ifndef ATTUNE_TESTS_TRAIN_REFERENCE_H
#define ATTUNE_TESTS_TRAIN_REFERENCE_H

#include "model/trainable.h"

/* features (F, C) of F frames, normalised by their own statistics, which move the running
 * `statistics` on; or where `frozen`, by the running ones. Where `gradients` (parameter_count) is
 * not NULL, adds the front end's, from feature_gradients (F, C). */
void reference_train_frontend(double *features, double *gradients, double *statistics,
                              const attune_trainable *trainable, const double *parameters,
                              const float *const *frames, int F, bool frozen,
                              const double *feature_gradients);

#endif
