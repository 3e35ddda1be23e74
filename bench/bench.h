/* bench.h - what the benchmarks share: a model, noise, a list of files, a clock and a JSON file.
 */
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

/* The files and folders named; ends the program if there is no audio. */
attune_scan *bench_scan(char **inputs, int count);

double bench_seconds(void);                     /* monotonic */
double bench_median(double *values, int count); /* sorts them */

/* Hours of audio in F frames. */
double bench_hours(const attune_network *network, double F);

/* NULL for no path. Ends the program if the file cannot be made. */
FILE *bench_json_open(const char *path);

#ifdef __cplusplus
}
#endif
#endif
