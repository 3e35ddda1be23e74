/* vote.h - a row's label by the votes of its nearest rows, and what comes of it. */
#ifndef ATTUNE_SRC_EVAL_VOTE_H
#define ATTUNE_SRC_EVAL_VOTE_H

#include "attune/status.h"

#include <stdint.h>

/* predicted (count): the label that most of the first k of each query's list (count, K) have; of
 * labels with equally many votes the lowest, as scikit-learn's KNeighborsClassifier has it. labels
 * (n) of all rows are 0 to classes - 1. -1 where a list is empty. */
attune_status attune_vote(int32_t *predicted, const uint32_t *lists, uint32_t count, uint32_t K,
                          uint32_t k, const int32_t *labels, int32_t classes);

#endif
