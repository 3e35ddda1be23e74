/* split.h - training, validation and test set, as the published training drew them.
 *
 * That is scikit-learn's train_test_split twice: `held_out` of all rows from the training set, then
 * `validation` of those from the test set, each a fresh shuffle by the same seed, with numpy's
 * RandomState (MT19937) and sizes rounded up. The same rows in the same order come out here. */
#ifndef ATTUNE_SRC_TRAIN_SPLIT_H
#define ATTUNE_SRC_TRAIN_SPLIT_H

#include "attune/status.h"

#include <stdint.h>

typedef enum attune_part {
    ATTUNE_PART_TRAIN,
    ATTUNE_PART_VALIDATION,
    ATTUNE_PART_TEST,
    ATTUNE_PART_COUNT
} attune_part;

typedef struct attune_split_options {
    double held_out;   /* share of all rows, 0 to 1; 0: all are for training */
    double validation; /* share of those held out, 0 to 1; the rest are for the test */
    uint32_t seed;
} attune_split_options;

/* 5,600 / 792 / 1,608 of the 8,000 synthetic triplets; 30 / 18 / 12 of the 60 human ones. */
#define ATTUNE_SPLIT_SYNTHETIC                                                                     \
    ((attune_split_options){.held_out = 0.3, .validation = 0.33, .seed = 42})
#define ATTUNE_SPLIT_HUMAN ((attune_split_options){.held_out = 0.5, .validation = 0.6, .seed = 42})

/* rows (count) = the rows of the training set, then those of the validation set, then those of the
 * test set; part p is rows[start[p]] to rows[start[p + 1] - 1]. */
attune_status attune_split_rows(uint32_t *rows, uint32_t start[ATTUNE_PART_COUNT + 1],
                                uint32_t count, const attune_split_options *options);

#endif
