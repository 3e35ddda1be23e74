/* validate.h - how good a model is on what it was not trained on.
 *
 * The model embeds with the ordinary kernels, as it will when it is used. */
#ifndef ATTUNE_SRC_TRAIN_VALIDATE_H
#define ATTUNE_SRC_TRAIN_VALIDATE_H

#include "eval/retrieval.h"
#include "eval/triplet_score.h"
#include "train/stage_data.h"

typedef struct attune_validation {
    attune_triplet_score triplets;     /* of triplets; their loss has the stage's margin */
    attune_retrieval_result retrieval; /* without triplets */
    double median_cosine;              /* without triplets: near 1, the space has collapsed */
    double score;                      /* what is chosen by: accuracy, or MAP */
} attune_validation;

/* Triplets of a part; or, where the data has none, the tracks held out, by settings->choose_by: by
 * track, the two halves of each belong together. ATTUNE_ESTOPPED when events say so. */
attune_status attune_validate(attune_validation *out, const attune_model *model,
                              const attune_stage_data *data, attune_part part,
                              const attune_settings *settings, const attune_train_events *events);

#endif
