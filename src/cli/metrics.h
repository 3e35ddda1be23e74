/* metrics.h - how a job is doing, as a file for Prometheus (node_exporter's textfile collector).
 *
 * The file is written aside and renamed, so that a reader finds it whole, when the job has its
 * output for itself, every five seconds, and at the end. It is attune's own: one that is there is
 * replaced only if it holds metrics or nothing. That of a job that is running is not written by one
 * that is refused for it. */
#ifndef ATTUNE_SRC_CLI_METRICS_H
#define ATTUNE_SRC_CLI_METRICS_H

#include "attune/attune.h"

#include <time.h>

typedef struct cli_metrics {
    const char *path; /* NULL: no metrics are wanted */
    const char *output;
    time_t last_success; /* 0: never, as far as is known */
    bool begun;          /* the job is running, and has its output for itself */
    struct timespec written;
    bool failed; /* it could not be written, and that has been said */
} cli_metrics;

/* Takes the time of the last success from the file that is there, and sees that it can be written.
 * NULL paths are fine: then nothing here does anything. */
attune_status metrics_open(cli_metrics *metrics, const char *path, const char *output);

/* For a job that runs: writes, if the last time is five seconds ago or more. A failure is said once
 * and does not end the job. */
void metrics_update(cli_metrics *metrics, const attune_job_progress *progress);

/* Writes what the job came to; `code` is the command's exit code. */
void metrics_close(cli_metrics *metrics, const attune_job_progress *progress, int code);

#endif
