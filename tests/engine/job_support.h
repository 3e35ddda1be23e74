/* job_support.h - a small archive, jobs over it, and their rows. */
#ifndef ATTUNE_TESTS_ENGINE_JOB_SUPPORT_H
#define ATTUNE_TESTS_ENGINE_JOB_SUPPORT_H

#include "attune/job.h"
#include "attune/store.h"

enum { FILES = 24, E = 32 };

/* A 16-bit mono WAV of `count` samples of noise at 22,050 Hz. */
void write_noise(const char *path, size_t count, uint64_t seed);

/* Makes a temporary folder the working one, and in it "music": FILES of audio, of which 03.wav is
 * too short, and broken.mp3 and empty.flac, which fail. */
void make_archive(void);

typedef struct job_result {
    uint64_t tracks, plans;             /* calls of on_track and on_plan */
    attune_job_progress progress, last; /* last: what on_progress was given last */
} job_result;

/* Runs a job of these inputs into `output`, on the CPU, or on the fake device if options->engine
 * names it; what `options` has not, it sets. */
attune_status run_job_with(attune_job_options options, const attune_model *model,
                           const char *const *inputs, size_t count, const char *output,
                           job_result *result);

/* The defaults, on the CPU with two workers. */
attune_job_options job_options(void);

/* All rows of an output. */
attune_rows *read_rows(const char *path);
void compare_rows(attune_row a, attune_row b);

/* Asserts that two outputs hold the same rows. */
void compare_outputs(const char *a, const char *b);

#endif
