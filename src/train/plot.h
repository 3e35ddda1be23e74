/* plot.h - a run's curves as pictures, drawn by gnuplot from RUN/log.csv. */
#ifndef ATTUNE_SRC_TRAIN_PLOT_H
#define ATTUNE_SRC_TRAIN_PLOT_H

#include "attune/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { ATTUNE_PLOT_PICTURES = 2 };

/* What the pictures show. Columns are those of log.csv counted from 0, -1: there is none. */
typedef struct attune_plot {
    struct {
        int step, train, validation;
    } pictures[ATTUNE_PLOT_PICTURES]; /* loss, accuracy */
    int best_column;
    bool best_is_highest;
    int64_t step_rows, epoch_rows;
    int best_epoch; /* its row is that of best_step; -1: there is none yet */
    int64_t best_step;
    double best;
} attune_plot;

/* `find` gives the column of a name, or -1. `best` may be NULL. */
void attune_plot_open(attune_plot *plot, const char *best, bool best_is_highest,
                      int (*find)(void *user, const char *name), void *user);

/* Takes note of a row of log.csv. */
void attune_plot_row(attune_plot *plot, bool is_epoch, int64_t step, int epoch,
                     const double *cells);

/* Draws loss.png, loss.svg, accuracy.png and accuracy.svg in `folder`, each replaced only by a
 * whole one; those of which there is nothing to show are left out. Waits for gnuplot. Without one
 * ATTUNE_ECONFIG; what else goes wrong is ATTUNE_EIO. */
attune_status attune_plot_draw(const attune_plot *plot, const char *folder);

#endif
