/* train_problem.h - a front end to train and clips to train it on, what a device made of them, and
 * whether that is right: for the tests of every device. */
#ifndef ATTUNE_TESTS_TRAIN_PROBLEM_H
#define ATTUNE_TESTS_TRAIN_PROBLEM_H

#include "model/trainable.h"

enum { TRAIN_GROUPS = 2 };

typedef struct train_shape {
    attune_architecture architecture;
    int frame_size, hop_size;
    int clips, T; /* of a group; F = clips·T */
} train_shape;

/* A network, its parameters and TRAIN_GROUPS groups of clips: tones and noise of many levels; the
 * last clip of many is silence. Behind the last frame of every clip stands NaN. */
typedef struct train_problem {
    attune_trainable trainable;
    int clips, T, F; /* of a group */
    size_t S;        /* samples of a clip */
    float *parameters, *statistics;
    float *feature_gradients; /* (TRAIN_GROUPS, F, C) */
    float *samples;           /* (TRAIN_GROUPS, clips, S) */
    const float **frames;     /* (TRAIN_GROUPS, F), in samples */
} train_problem;

train_problem train_problem_make(train_shape shape);
void train_problem_free(train_problem *problem);

/* What a device makes of a problem: features (TRAIN_GROUPS, F, C), and all statistics and gradients
 * of the trainable, which start as the problem's and as 0. */
typedef struct train_answer {
    float *features, *statistics, *gradients;
} train_answer;

train_answer train_answer_make(const train_problem *problem);
/* Statistics and gradients as they start. */
void train_answer_reset(train_answer *answer, const train_problem *problem);
void train_answer_free(train_answer *answer);

/* Against the reference, relative to each tensor's largest: features and statistics to 1e-5,
 * gradients to 1e-4. Frozen: no gradients. */
void train_answer_check(const train_answer *answer, const train_problem *problem,
                        const char *device, bool frozen);
/* Bit for bit. */
void train_answer_check_same(const train_answer *a, const train_answer *b,
                             const train_problem *problem);

/* Whatever `from` holds as doubles, zeros where it is NULL. free() frees it. */
double *train_doubles(const float *from, size_t count);

#endif
