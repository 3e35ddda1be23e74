/* plot.c - curves of a run, as a script for gnuplot. */
#include "train/plot.h"

#include "plot/gnuplot.h"
#include "status/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Points of the steps' curve, each the mean of a run of steps: more are noise at this width. */
enum { POINTS = 400 };

static const char *const pictures[ATTUNE_PLOT_PICTURES] = {"loss", "accuracy"};

void attune_plot_open(attune_plot *plot, const char *best, bool best_is_highest,
                      int (*find)(void *user, const char *name), void *user)
{
    *plot = (attune_plot){.best_is_highest = best_is_highest, .best_epoch = -1};
    plot->best_column = best ? find(user, best) : -1;
    for (int p = 0; p < ATTUNE_PLOT_PICTURES; p++) {
        char name[64];
        plot->pictures[p].step = find(user, pictures[p]);
        snprintf(name, sizeof(name), "train_%s", pictures[p]);
        plot->pictures[p].train = find(user, name);
        snprintf(name, sizeof(name), "val_%s", pictures[p]);
        plot->pictures[p].validation = find(user, name);
    }
}

void attune_plot_row(attune_plot *plot, bool is_epoch, int64_t step, int epoch, const double *cells)
{
    if (!is_epoch) {
        plot->step_rows++;
        return;
    }
    plot->epoch_rows++;
    if (plot->best_column < 0 || isnan(cells[plot->best_column])) {
        return;
    }
    const double value = cells[plot->best_column];
    if (plot->best_epoch < 0 || (plot->best_is_highest ? value > plot->best : value < plot->best)) {
        plot->best = value;
        plot->best_step = step;
        plot->best_epoch = epoch;
    }
}

static bool shows(const attune_plot *plot, int p)
{
    return (plot->step_rows > 0 && plot->pictures[p].step >= 0) ||
           (plot->epoch_rows > 0 &&
            (plot->pictures[p].train >= 0 || plot->pictures[p].validation >= 0));
}

/* Tables of the two kinds of rows, in log.csv's columns; the steps' in runs of a few. */
static void write_tables(FILE *script, const attune_plot *plot)
{
    const long long run = plot->step_rows / POINTS + 1;
    fputs("set datafile separator comma\n", script);
    if (plot->step_rows > 0) {
        fprintf(script,
                "set table $steps separator comma\n"
                "plot 'log.csv' using (%lld*floor(column(2)/%lld)+%lld/2.)",
                run, run, run - 1);
        for (int p = 0; p < ATTUNE_PLOT_PICTURES; p++) {
            fprintf(script, ":(column(%d))",
                    1 + (plot->pictures[p].step >= 0 ? plot->pictures[p].step : 1));
        }
        fprintf(script, " with table if (strcol(1) eq 'step')\nunset table\n");
    }
    if (plot->epoch_rows > 0) {
        fprintf(script, "set table $epochs separator comma\nplot 'log.csv' using 2");
        for (int p = 0; p < ATTUNE_PLOT_PICTURES; p++) {
            const int columns[] = {plot->pictures[p].train, plot->pictures[p].validation};
            for (int c = 0; c < 2; c++) {
                fprintf(script, ":(column(%d))", 1 + (columns[c] >= 0 ? columns[c] : 1));
            }
        }
        fprintf(script, " with table if (strcol(1) eq 'epoch')\nunset table\n");
    }
}

static void write_style(FILE *script)
{
    attune_gnuplot_style(script);
    fputs("set xlabel 'step'\n"
          "set format x '%.0s%c'\n"
          "set offsets graph 0, graph 0, graph 0.05, graph 0.05\n"
          "set autoscale xfix\nset xrange [0:*]\n"
          "set style line 1 lc rgb '#a9bdd4' lw 1.5\n"
          "set style line 2 lc rgb '#1f5fa8' lw 2 pt 7 ps 0.5\n"
          "set style line 3 lc rgb '#d1500f' lw 2 pt 5 ps 0.5\n"
          "set style line 4 lc rgb '#111111' lw 2 pt 6 ps 2\n",
          script);
}

/* The curves of picture p, as the arguments of `plot`. */
static void write_curves(FILE *script, const attune_plot *plot, int p)
{
    const char *between = "plot ";
    const bool epochs = plot->epoch_rows > 0;
    const int validation = plot->pictures[p].validation, train = plot->pictures[p].train;
    if (plot->step_rows > 0 && plot->pictures[p].step >= 0) {
        fprintf(script, "%s$steps using 1:%d smooth unique with lines ls 1 title 'training, steps'",
                between, 2 + p);
        between = ", ";
    }
    if (epochs && train >= 0) {
        fprintf(script, "%s$epochs using 1:%d with linespoints ls 2 title 'training, epochs'",
                between, 2 + 2 * p);
        between = ", ";
    }
    if (epochs && validation >= 0) {
        fprintf(script, "%s$epochs using 1:%d with linespoints ls 3 title 'validation'", between,
                3 + 2 * p);
        between = ", ";
    }
    if (plot->best_epoch >= 0 && (validation >= 0 || train >= 0)) {
        fprintf(
            script, "%s$epochs using ($1==%lld?$1:NaN):%d with points ls 4 title 'best: epoch %d'",
            between, (long long)plot->best_step, 2 + 2 * p + (validation >= 0), plot->best_epoch);
    }
    fputc('\n', script);
}

static void write_script(FILE *script, const attune_plot *plot)
{
    write_tables(script, plot);
    write_style(script);
    if (plot->best_epoch >= 0) {
        fprintf(script,
                "set arrow 1 from first %lld, graph 0 to first %lld, graph 1 nohead "
                "lc rgb '#777777' dt 2 back\n",
                (long long)plot->best_step, (long long)plot->best_step);
    }
    for (int p = 0; p < ATTUNE_PLOT_PICTURES; p++) {
        if (!shows(plot, p)) {
            continue;
        }
        fprintf(script, "set ylabel '%s'\nset key %s right\n", pictures[p],
                p == 0 ? "top" : "bottom");
        for (int k = 0; k < ATTUNE_PICTURE_KINDS; k++) {
            attune_gnuplot_output(script, pictures[p], k, 800, 500);
            write_curves(script, plot, p);
        }
    }
    fputs("set output\n", script);
}

attune_status attune_plot_draw(const attune_plot *plot, const char *folder)
{
    char *text = NULL;
    size_t size = 0;
    const char *shown[ATTUNE_PLOT_PICTURES];
    int count = 0;
    for (int p = 0; p < ATTUNE_PLOT_PICTURES; p++) {
        if (shows(plot, p)) {
            shown[count++] = pictures[p];
        }
    }
    if (count == 0) {
        return ATTUNE_OK;
    }
    FILE *script = open_memstream(&text, &size);
    if (script) {
        write_script(script, plot);
    }
    if (!script || fclose(script) != 0) {
        free(text);
        return attune_fail_memory("a script", 4096);
    }
    const attune_status status = attune_gnuplot_draw(folder, text, size, shown, count);
    free(text);
    return status;
}
