/* train_batch.h - batches for the sequence stage in training mode, and whether what a device makes
 * of them is the reference's: for every device's test of it. */
#ifndef ATTUNE_TESTS_TRAIN_BATCH_H
#define ATTUNE_TESTS_TRAIN_BATCH_H

#include "tests/reference/train_sequence_reference.h"

/* A network, a batch of it and what drops. */
typedef struct train_shape {
    attune_architecture architecture;
    attune_pooling pooling;
    int hidden, layers, attention, projection, embedding, B, T;
    float layer_drop, head_drop;
} train_shape;

enum { TRAIN_SMALL = 8, TRAIN_LARGE = 4 };
extern const train_shape train_small[TRAIN_SMALL], train_large[TRAIN_LARGE];

/* All that goes in and comes out, in double. */
typedef struct train_batch {
    attune_trainable trainable;
    train_shape shape;
    reference_dropout dropout;
    size_t embeddings, features; /* floats */
    double *p, *x, *g;           /* parameters, features, gradients by the embeddings */
    double *embedding, *dp, *dx; /* the reference's */
} train_batch;

train_batch train_batch_of(train_shape s, uint64_t seed);
void train_batch_free(train_batch *b);
void train_batch_reference(train_batch *b); /* fills in the reference's */

/* A device's results, each with NaN behind it: gradients, feature gradients, embeddings. */
typedef struct train_result {
    float *dp, *dx, *embedding;
} train_result;

/* `count` doubles as floats, or that many NaN where from is NULL, and NaN behind them. */
float *train_floats(const double *from, size_t count);
train_result train_result_of(const train_batch *b); /* all NaN */
void train_result_free(train_result *r);

/* Asserts that all is within 1e-4 of the reference's, relative to the tensor's largest, and that of
 * the gradients those of the front end have not been written: they are NaN, or 0 where `zeroed`. */
void train_result_check(const train_batch *b, const train_result *r, bool zeroed);

#endif
