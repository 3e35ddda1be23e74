/* training.c - what devices that train have in common. */
#include "kernels/training.h"

#include "status/error.h"

attune_status attune_training_check(const attune_training_options *options,
                                    const attune_trainable *trainable,
                                    const attune_training_batch *batch)
{
    if (batch->B < 1 || batch->B > options->clips || batch->groups < 1 ||
        batch->B % batch->groups != 0 || batch->samples < (size_t)trainable->network.frame_size ||
        batch->samples > options->samples) {
        return attune_fail(ATTUNE_EINVAL,
                           "a batch of %d clips of %zu samples in %d groups does not fit training "
                           "opened for %d clips of %zu samples",
                           batch->B, batch->samples, batch->groups, options->clips,
                           options->samples);
    }
    return ATTUNE_OK;
}
