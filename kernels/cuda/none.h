/* none.h - what a build without CUDA says. */
#ifndef ATTUNE_KERNELS_CUDA_NONE_H
#define ATTUNE_KERNELS_CUDA_NONE_H

#include "status/error.h"

static inline attune_status no_cuda(void)
{
    return attune_fail(ATTUNE_ENODEVICE,
                       "this build has no CUDA; build attune with the CUDA toolkit "
                       "(cmake -DATTUNE_CUDA=ON), or use --device cpu");
}

#endif
