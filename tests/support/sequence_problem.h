/* sequence_problem.h - batches for the sequence stage in training mode, and whether what a device
 * makes of them is the reference's: for every device's test of it. */
#ifndef ATTUNE_TESTS_SEQUENCE_PROBLEM_H
#define ATTUNE_TESTS_SEQUENCE_PROBLEM_H

#include "tests/reference/train_sequence_reference.h"

/* A network, a batch of it and what drops. */
typedef struct sequence_shape {
    attune_architecture architecture;
    attune_pooling pooling;
    int hidden, layers, attention, projection, embedding, B, T;
    float layer_drop, head_drop;
} sequence_shape;

enum { SEQUENCE_SMALL = 8, SEQUENCE_LARGE = 5 };
extern const sequence_shape sequence_small[SEQUENCE_SMALL], sequence_large[SEQUENCE_LARGE];

/* All that goes in and comes out, in double. */
typedef struct sequence_problem {
    attune_trainable trainable;
    sequence_shape shape;
    reference_dropout dropout;
    size_t embeddings, features; /* floats */
    double *p, *x, *g;           /* parameters, features, gradients by the embeddings */
    double *embedding, *dp, *dx; /* the reference's */
} sequence_problem;

sequence_problem sequence_problem_of(sequence_shape s, uint64_t seed);
void sequence_problem_free(sequence_problem *b);
void sequence_problem_solve(sequence_problem *b); /* fills in the reference's */

/* A device's results, each with NaN behind it: gradients, feature gradients, embeddings. */
typedef struct sequence_result {
    float *dp, *dx, *embedding;
} sequence_result;

/* `count` doubles as floats, or that many NaN where from is NULL, and NaN behind them. */
float *sequence_floats(const double *from, size_t count);
sequence_result sequence_result_of(const sequence_problem *b); /* all NaN */
void sequence_result_free(sequence_result *r);

/* Asserts that all is within 1e-4 of the reference's, relative to the tensor's largest, and that of
 * the gradients those of the front end have not been written: they are NaN, or 0 where `zeroed`. */
void sequence_result_check(const sequence_problem *b, const sequence_result *r, bool zeroed);

#endif
