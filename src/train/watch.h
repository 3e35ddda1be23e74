/* watch.h - what a training run writes about itself, for people and programs to look at.
 *
 *   RUN/log.csv, RUN/log.jsonl     a row for every step and for every epoch
 *   RUN/events.out.tfevents.*      the same for TensorBoard, as step/NAME and epoch/NAME
 *   RUN/loss.png, .svg, RUN/accuracy.png, .svg   the curves, where gnuplot is installed
 *   RUN/run.json                   what was run, and with what
 *
 * A row is a list of named numbers; whoever opens the log chooses the names. Rows are kept in order
 * of their step, and an epoch's row has the step that ended it. They reach the disk within
 * seconds, and for sure with each epoch and each flush. A checkpoint of step N is to be written
 * after the rows of N and a flush: a run that goes on from it cuts what is later, and its files are
 * then as if it had never been interrupted, but for times.
 *
 * Functions return ATTUNE_OK or a failure; a full disk (ATTUNE_EIO) is one, a missing gnuplot is
 * only a warning. Not thread-safe. */
#ifndef ATTUNE_SRC_TRAIN_WATCH_H
#define ATTUNE_SRC_TRAIN_WATCH_H

#include "attune/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { ATTUNE_WATCH_NAMES_MAX = 32 }; /* of each kind */

typedef struct attune_watch attune_watch;

typedef struct attune_watch_options {
    /* The numbers of a step's and of an epoch's row, each list ended by NULL, of lower-case
     * letters, digits and '_'; copied. The curves show the step's "loss" and "accuracy", and the
     * epoch's "train_loss", "val_loss", "train_accuracy" and "val_accuracy", as far as they are
     * there. */
    const char *const *step_names;
    const char *const *epoch_names;
    int64_t resume_step; /* go on behind this step; -1, the default: a new run */
    bool resume_within;  /* and before the row of an epoch that ends with it; false */
    bool plots;          /* draw the curves at each epoch's end; true */
    /* The epoch's number whose best value the curves mark, and whether high is good;
     * "val_loss", false. */
    const char *best;
    bool best_is_highest;
    void (*warn)(void *user, const char *message); /* NULL, the default: warnings are dropped */
    void *user;
} attune_watch_options;

void attune_watch_options_default(attune_watch_options *options);

/* Makes `folder` if it is not there. A new run wants no log in it (ATTUNE_ECREATE); one that goes
 * on wants the same names as before (ATTUNE_ECONFIG) and logs that are whole up to the row that it
 * goes on behind (ATTUNE_EDATA), or that have none up to there. A folder in which another process
 * trains is ATTUNE_ESTOPPED. On failure *out is NULL. */
attune_status attune_watch_open(attune_watch **out, const char *folder,
                                const attune_watch_options *options);

/* `values` in the order of the names. NaN and infinities are written as they are (null in JSON).
 * `step` counts on from the last row's: the rows of one step are the step's and then the epoch's.
 * A failure leaves a log that a run can go on from. */
attune_status attune_watch_step(attune_watch *watch, int64_t step, int epoch, const double *values);
/* Flushes, and draws the curves. */
attune_status attune_watch_epoch(attune_watch *watch, int64_t step, int epoch,
                                 const double *values);

/* Makes what was written durable. */
attune_status attune_watch_flush(attune_watch *watch);
/* Flushes and frees, also after a failure. NULL-safe. */
attune_status attune_watch_close(attune_watch *watch);

/* One thing to know about a run: a text, or without one a number. */
typedef struct attune_watch_fact {
    const char *name; /* NULL ends a list */
    const char *text; /* bytes that need not be UTF-8 */
    double number;
} attune_watch_fact;

typedef struct attune_watch_description {
    int argument_count; /* the command line */
    char *const *arguments;
    uint64_t seed;
    const char *device, *detail;            /* "cpu", "avx512" */
    const attune_watch_fact *configuration; /* what was asked for, defaults included */
    const attune_watch_fact *data;          /* what it was trained on: hashes, counts */
    int64_t resume_step;                    /* as in the options */
} attune_watch_description;

/* Writes RUN/run.json: the description, and in its list "starts" when, where, by which command and
 * with which versions (attune, FFmpeg, HDF5, compiler) the run was started and, each time, gone on
 * with. */
attune_status attune_watch_describe(const char *folder,
                                    const attune_watch_description *description);

#endif
