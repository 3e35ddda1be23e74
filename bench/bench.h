/* bench.h - what the benchmarks share: a model, noise, a job over files and a JSON file. */
#ifndef ATTUNE_BENCH_H
#define ATTUNE_BENCH_H

#include "attune/job.h"
#include "model/parameters.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The model of the file, or for NULL the published shape with random parameters. Ends the program
 * if it cannot. */
attune_model *bench_model(const char *path);

/* Uniform noise in [-0.5, 0.5), the same on every run. */
void bench_noise(float *out, size_t count);

/* A job that embeds files anew each time that it runs, to a folder of its own. */
typedef struct bench_job {
    attune_job_options options; /* defaults, but for these */
    attune_model *model;
    attune_scan *scan;
    char folder[32], output[48];
} bench_job;

/* Ends the program if there is no such model, no audio or no folder. The job must stay where it is.
 */
void bench_job_open(bench_job *job, const char *model, char **inputs, int count);
void bench_job_close(bench_job *job);

double bench_median(double *values, int count); /* sorts them */

/* Hours of audio in F frames. */
double bench_hours(const attune_network *network, double F);

/* NULL for no path. Ends the program if the file cannot be made. */
FILE *bench_json_open(const char *path);

#ifdef __cplusplus
}
#endif
#endif
