/* run.h - the state of a run: weights and progress, and the files that hold them.
 *
 *   RUN/last.h5   everything that it takes to go on, to the same end bit for bit
 *   RUN/best.h5   the network that did best on what was held out, without moments
 *   RUN/mean-N.h5 the mean of the weights after N epochs, where it is kept; last.h5, which is
 *                 written behind it, knows which N belongs to it */
#ifndef ATTUNE_SRC_TRAIN_RUN_H
#define ATTUNE_SRC_TRAIN_RUN_H

#include "store/checkpoint.h"
#include "train/settings.h"

#include <float.h>
#include <limits.h>
#include <math.h>

/* X(field, least, most, whole): what a checkpoint holds beside the arrays, as reals, and how far a
 * run can have come. */
#define ATTUNE_RUN_PROGRESS(X)                                                                     \
    X(epoch, 0, INT_MAX, true)                                                                     \
    X(step, 0, INT_MAX, true)     /* done of the epoch */                                          \
    X(all_steps, 0, 0x1p53, true) /* done */                                                       \
    X(adamw_steps, 0, 0x1p53, true)                                                                \
    X(rate, 0, DBL_MAX, false)                                                                     \
    X(plateau_best, -INFINITY, INFINITY, false)                                                    \
    X(plateau_bad, 0, INT_MAX, true)                                                               \
    X(best_score, -INFINITY, INFINITY, false)                                                      \
    X(best_epoch, -1, INT_MAX, true)                                                               \
    X(best_bad, 0, INT_MAX, true)                                                                  \
    X(sum_loss, -DBL_MAX, DBL_MAX, false) /* of the epoch, as the next two */                      \
    X(sum_correct, 0, 0x1p53, false)                                                               \
    X(sum_counted, 0, 0x1p53, false)                                                               \
    X(averaged, 0, INT_MAX, true) /* epochs in the mean */                                         \
    X(seconds, 0, DBL_MAX, false) /* trained before this start */                                  \
    X(finished, 0, 1, true)

typedef struct attune_run_progress {
#define ATTUNE_X(field, least, most, whole) double field;
    ATTUNE_RUN_PROGRESS(ATTUNE_X)
#undef ATTUNE_X
} attune_run_progress;

typedef struct attune_run {
    const char *folder;
    const attune_settings *settings;
    attune_stage stage;
    uint64_t data;              /* hash of what is trained on */
    attune_checkpoint *weights; /* parameters, statistics, moments */
    attune_checkpoint *mean;    /* NULL without average_from */
    attune_run_progress now;
    double started; /* on the clock, of this start or the last save */
} attune_run;

/* folder/name. */
attune_status attune_run_path(const attune_run *run, char out[4096], const char *name);

/* The clock of the run: seconds trained, this start's and those before. */
void attune_run_start(attune_run *run);
double attune_run_seconds(const attune_run *run);

attune_status attune_run_save(attune_run *run);
attune_status attune_run_save_best(attune_run *run, const attune_checkpoint *network);

/* From last.h5. ATTUNE_ECONFIG when settings or data are others than it was trained with. */
attune_status attune_run_restore(attune_run *run);

#endif
