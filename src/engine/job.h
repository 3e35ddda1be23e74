/* job.h - a job on batch devices other than CUDA's, for tests. */
#ifndef ATTUNE_SRC_ENGINE_JOB_H
#define ATTUNE_SRC_ENGINE_JOB_H

#include "attune/job.h"
#include "kernels/batch.h"

/* attune_job_run, with `kernels` for what is called by its device's name. */
attune_status attune_job_run_with(const attune_job_options *options, attune_job_progress *progress,
                                  const attune_batch_kernels *kernels);

#endif
