/* verify.h - tracks that a device has embedded, embedded again on the CPU. */
#ifndef ATTUNE_SRC_ENGINE_VERIFY_H
#define ATTUNE_SRC_ENGINE_VERIFY_H

#include "engine/output.h"
#include "kernels/batch.h"

/* Embeds options->verify rows of the output's parts again, each as likely as any other; notes how
 * many and the largest difference in `progress`. ATTUNE_EINTERNAL when one differs by more than the
 * precision allows: then the parts are marked, and no later run believes them. A file that has
 * changed meanwhile is passed over. */
attune_status attune_verify(attune_output *output, attune_precision precision,
                            attune_job_progress *progress);

#endif
