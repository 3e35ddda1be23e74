/* plot.c - curves through gnuplot.
 *
 * The script goes through a pipe that is filled before gnuplot starts, so that a gnuplot which ends
 * early cannot stop us with a SIGPIPE. It runs in RUN, so that no name has to be quoted. */
#include "train/plot.h"

#include "status/error.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Points of the steps' curve, each the mean of a run of steps: more are noise at this width. */
enum { POINTS = 400 };

static const char *const pictures[ATTUNE_PLOT_PICTURES] = {"loss", "accuracy"};
static const char *const kinds[] = {"png", "svg"};

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
    fprintf(script, "set encoding utf8\n"
                    "set datafile separator comma\n");
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
    fputs("set grid lc rgb '#dddddd' lt 1 lw 1\n"
          "set border lc rgb '#444444'\n"
          "set tics textcolor rgb '#222222'\n"
          "set xlabel 'step'\n"
          "set format x '%.0s%c'\n"
          "set key opaque box lc rgb '#bbbbbb' width 1 height 0.4 samplen 2\n"
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
        for (int k = 0; k < 2; k++) {
            fprintf(script, "set terminal %s size 800,500 background rgb 'white' font 'sans,%d'\n",
                    k == 0 ? "pngcairo" : "svg", 12);
            fprintf(script, "set output '.%s.%s.tmp'\n", pictures[p], kinds[k]);
            write_curves(script, plot, p);
        }
    }
    fputs("set output\n", script);
}

/* A pipe with the script in it, its writing end closed. -1: see errno. */
static int fill_pipe(const attune_plot *plot)
{
    int ends[2];
    char *text = NULL;
    size_t size = 0;
    FILE *script = open_memstream(&text, &size);
    if (!script) {
        return -1;
    }
    write_script(script, plot);
    if (fclose(script) != 0 || pipe2(ends, O_CLOEXEC) != 0) {
        free(text);
        return -1;
    }
    /* A script is a few KB and a pipe holds 64, so this neither waits nor is interrupted. */
    const bool whole = write(ends[1], text, size) == (ssize_t)size;
    close(ends[1]);
    free(text);
    if (!whole) {
        close(ends[0]);
        return -1;
    }
    return ends[0];
}

/* Starts gnuplot in `folder` on the script; an errno. Its words go nowhere: they are of a script
 * that nobody wrote. */
static int start(pid_t *process, const char *folder, int script)
{
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) {
        return error;
    }
    if (!(error = posix_spawn_file_actions_adddup2(&actions, script, STDIN_FILENO)) &&
        !(error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY,
                                                   0)) &&
        !(error = posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)) &&
        !(error = posix_spawn_file_actions_addchdir_np(&actions, folder))) {
        char *const arguments[] = {"gnuplot", "--default-settings", "-", NULL};
        error = posix_spawnp(process, "gnuplot", &actions, NULL, arguments, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Gives the pictures their names, or removes what there is of them. */
static bool name_pictures(const attune_plot *plot, const char *folder, bool drawn)
{
    const int directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool named = directory >= 0;
    for (int i = 0; i < 2 * ATTUNE_PLOT_PICTURES && directory >= 0; i++) {
        char from[40], to[32];
        if (!shows(plot, i / 2)) {
            continue;
        }
        snprintf(to, sizeof(to), "%s.%s", pictures[i / 2], kinds[i % 2]);
        snprintf(from, sizeof(from), ".%s.tmp", to);
        if (!drawn || renameat(directory, from, directory, to) != 0) {
            unlinkat(directory, from, 0);
            named = false;
        }
    }
    if (directory >= 0) {
        close(directory);
    }
    return named;
}

attune_status attune_plot_draw(const attune_plot *plot, const char *folder)
{
    pid_t process = 0;
    int how = 0;
    if (!shows(plot, 0) && !shows(plot, 1)) {
        return ATTUNE_OK;
    }
    const int script = fill_pipe(plot);
    if (script < 0) {
        return attune_fail(ATTUNE_EIO, "%s: no curves are drawn: %s", folder, strerror(errno));
    }
    const int error = start(&process, folder, script);
    close(script);
    if (error == ENOENT) {
        return attune_fail(
            ATTUNE_ENOINPUT,
            "%s: no curves are drawn: gnuplot is not installed (package gnuplot-nox)", folder);
    }
    if (error) {
        return attune_fail(ATTUNE_EIO, "%s: no curves are drawn: cannot start gnuplot: %s", folder,
                           strerror(error));
    }
    while (waitpid(process, &how, 0) < 0 && errno == EINTR) {
    }
    if (!name_pictures(plot, folder, WIFEXITED(how) && WEXITSTATUS(how) == 0)) {
        return attune_fail(ATTUNE_EIO, "%s: no curves are drawn: gnuplot failed (%s %d)", folder,
                           WIFSIGNALED(how) ? "signal" : "exit",
                           WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
    }
    return ATTUNE_OK;
}
