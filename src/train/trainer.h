/* trainer.h - one stage of training, from data to RUN/best.h5.
 *
 *   RUN/best.h5   the network that did best on what was held out, to embed or export with
 *   RUN/last.h5   everything that it takes to go on
 *   RUN/...       what train/watch.h and the clip cache write
 *
 * A run that was stopped or killed goes on from RUN/last.h5 to the same end, bit for bit: a
 * checkpoint has all state, and batches are functions of the seed, the epoch and the step. */
#ifndef ATTUNE_SRC_TRAIN_TRAINER_H
#define ATTUNE_SRC_TRAIN_TRAINER_H

#include "train/validate.h"

typedef struct attune_train_options {
    const char *folder; /* RUN; made if it is not there */
    bool resume;        /* go on with what is in it, if anything is */
    int argument_count; /* for run.json */
    char *const *arguments;
} attune_train_options;

typedef struct attune_train_result {
    int64_t epochs;     /* done */
    int64_t best_epoch; /* from 1; 0: none */
    double best_score;
    attune_validation test; /* of the best, where there are test triplets */
    bool tested;
} attune_train_result;

/* Settings complete. ATTUNE_ESTOPPED when should_stop said so: RUN/last.h5 is then up to date. */
attune_status attune_train(attune_train_result *out, const attune_settings *settings,
                           attune_stage stage, const attune_train_options *options,
                           const attune_train_events *events);

#endif
