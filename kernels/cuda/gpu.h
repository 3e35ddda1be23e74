/* gpu.h - which GPUs there are, one of them held open, and what its calls said; private to
 * kernels/cuda.
 *
 * The first CUDA call that fails marks the GPU: its owner then asks nothing more of CUDA, and every
 * function returns the same status and text. */
#ifndef ATTUNE_KERNELS_CUDA_GPU_H
#define ATTUNE_KERNELS_CUDA_GPU_H

#include "attune/status.h"

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>

/* Zeroed, and its ordinal set, to begin with. */
typedef struct attune_cuda_gpu {
    int ordinal;
    char name[256];
    int multiprocessors;
    cudaError_t error; /* the first; nothing is asked of CUDA after it */
    attune_status failure;
    char failure_text[512];
} attune_cuda_gpu;

/* Devices before the first that is too old: the driver lists the fastest first. 0 with a reason in
 * attune_last_error() where there are none. */
int attune_cuda_count(void);
/* Makes a device the thread's own; ATTUNE_ENODEVICE if it is not there or cannot be used. */
attune_status attune_cuda_select(int ordinal);

/* Fills in name and multiprocessors. */
attune_status attune_cuda_describe(attune_cuda_gpu *gpu);

/* Every function of a table starts so: threads carry no device of their own from one call to the
 * next. */
attune_status attune_cuda_enter(attune_cuda_gpu *gpu);
/* Notes what a CUDA call returned. */
void attune_cuda_called(attune_cuda_gpu *gpu, int error);
static inline bool attune_cuda_is_well(const attune_cuda_gpu *gpu)
{
    return gpu->error == cudaSuccess;
}
/* What a function of a table returns: the first failure, in the words it had then. */
attune_status attune_cuda_outcome(attune_cuda_gpu *gpu, const char *what);
/* What an allocation that failed returns; of `total` bytes in all. `advice` ends the message. */
attune_status attune_cuda_fail_memory(attune_cuda_gpu *gpu, const char *where, const char *what,
                                      size_t bytes, size_t total, const char *advice);

#endif
