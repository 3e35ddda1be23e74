/* bench_files.c - a job over the files that a benchmark is given; apart from bench.c, so that a
 * program without any does not load FFmpeg. */
#include "bench/bench.h"

#include <stdlib.h>
#include <unistd.h>

static attune_scan *scan_of(char **inputs, int count)
{
    attune_scan *scan = NULL;
    attune_status status = attune_scan_create(&scan);
    for (int i = 0; status == ATTUNE_OK && i < count; i++) {
        status = attune_scan_add(scan, inputs[i]);
    }
    if (status != ATTUNE_OK || attune_scan_finish(scan) != ATTUNE_OK) {
        fprintf(stderr, "%s\n", attune_last_error());
        exit(66);
    }
    return scan;
}

void bench_job_open(bench_job *job, const char *model, char **inputs, int count)
{
    *job = (bench_job){.folder = "/tmp/attune-bench-XXXXXX"};
    job->model = bench_model(model);
    job->scan = scan_of(inputs, count);
    if (!mkdtemp(job->folder)) {
        perror(job->folder);
        exit(73);
    }
    snprintf(job->output, sizeof(job->output), "%s/out.h5", job->folder);
    attune_job_options_default(&job->options);
    job->options.model = job->model;
    job->options.scan = job->scan;
    job->options.output = job->output;
    job->options.force = true; /* a second turn would find everything done */
}

void bench_job_close(bench_job *job)
{
    unlink(job->output);
    rmdir(job->folder);
    attune_scan_free(job->scan);
    attune_model_close(job->model);
}
