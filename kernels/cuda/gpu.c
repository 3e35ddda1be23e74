/* gpu.c - which GPUs there are, one of them chosen, and what its calls said. Proven under a
 * stand-in for the CUDA runtime (tests/cuda); not yet run on a GPU. */
#include "kernels/cuda/gpu.h"

#include "status/error.h"

#include <stdio.h>
#include <stdlib.h>

enum { COMPUTE_MAJOR_MIN = 8 };

/* --- what the machine has --- */

static int driver_version(void)
{
    int version = 0;
    return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

static int fail_count(cudaError_t error)
{
    cudaGetLastError(); /* forgotten: it is told here */
    const int driver = driver_version();
    if (error == cudaErrorInsufficientDriver && driver == 0) {
        attune_fail(ATTUNE_ENODEVICE, "no CUDA driver on this machine");
    } else if (error == cudaErrorInsufficientDriver) {
        attune_fail(ATTUNE_ENODEVICE,
                    "the CUDA driver is too old: it is for CUDA %d.%d, and this build needs %d.%d",
                    driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000,
                    CUDART_VERSION % 1000 / 10);
    } else if (error == cudaErrorNoDevice || error == cudaSuccess) {
        attune_fail(ATTUNE_ENODEVICE, "no CUDA device on this machine%s",
                    getenv("CUDA_VISIBLE_DEVICES") ? " (CUDA_VISIBLE_DEVICES is set)" : "");
    } else {
        attune_fail(ATTUNE_ENODEVICE, "CUDA does not start: %s", cudaGetErrorString(error));
    }
    return 0;
}

int attune_cuda_count(void)
{
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0) {
        return fail_count(error);
    }
    for (int i = 0; i < count; i++) {
        int major = 0;
        error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, i);
        if (error != cudaSuccess) {
            return fail_count(error);
        }
        if (major < COMPUTE_MAJOR_MIN) {
            attune_fail(ATTUNE_ENODEVICE,
                        "CUDA device %d has compute capability %d.x; attune needs %d.0 or more", i,
                        major, COMPUTE_MAJOR_MIN);
            return i;
        }
    }
    return count;
}

attune_status attune_cuda_select(int ordinal)
{
    const int count = attune_cuda_count();
    if (count == 0) {
        return ATTUNE_ENODEVICE; /* the reason stands already */
    }
    if (ordinal < 0 || ordinal >= count) {
        return attune_fail(ATTUNE_ENODEVICE, "no CUDA device %d; this machine has %d, from 0",
                           ordinal, count);
    }
    const cudaError_t error = cudaSetDevice(ordinal);
    if (error != cudaSuccess) {
        cudaGetLastError();
        return attune_fail(ATTUNE_ENODEVICE, "CUDA device %d cannot be used: %s", ordinal,
                           cudaGetErrorString(error));
    }
    return ATTUNE_OK;
}

attune_status attune_cuda_describe(attune_cuda_gpu *gpu)
{
    struct cudaDeviceProp properties;
    attune_cuda_called(gpu, cudaGetDeviceProperties(&properties, gpu->ordinal));
    if (attune_cuda_is_well(gpu)) {
        snprintf(gpu->name, sizeof(gpu->name), "%s", properties.name);
        gpu->multiprocessors = properties.multiProcessorCount;
    }
    return attune_cuda_outcome(gpu, "asking what it is");
}

/* --- what its calls said --- */

void attune_cuda_called(attune_cuda_gpu *gpu, int error)
{
    if (gpu->error == cudaSuccess && error != (int)cudaSuccess) {
        gpu->error = (cudaError_t)error;
        cudaGetLastError();
    }
}

/* Which status a failed call is: our own fault, memory, or the device's. */
static attune_status status_of(cudaError_t error)
{
    switch (error) {
    case cudaErrorMemoryAllocation:
        return ATTUNE_ENOMEM;
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidValue:
    case cudaErrorInvalidConfiguration:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorInvalidResourceHandle:
    case cudaErrorIllegalInstruction:
    case cudaErrorLaunchOutOfResources:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorAssert:
        return ATTUNE_EINTERNAL;
    default:
        return ATTUNE_EIO;
    }
}

attune_status attune_cuda_outcome(attune_cuda_gpu *gpu, const char *what)
{
    if (attune_cuda_is_well(gpu)) {
        return ATTUNE_OK;
    }
    if (gpu->failure == ATTUNE_OK) {
        gpu->failure = status_of(gpu->error);
        snprintf(gpu->failure_text, sizeof(gpu->failure_text), "CUDA device %d (%s): %s: %s (%s)",
                 gpu->ordinal, gpu->name, what, cudaGetErrorString(gpu->error),
                 cudaGetErrorName(gpu->error));
    }
    return attune_fail(gpu->failure, "%s", gpu->failure_text);
}

attune_status attune_cuda_enter(attune_cuda_gpu *gpu)
{
    if (attune_cuda_is_well(gpu)) {
        attune_cuda_called(gpu, cudaSetDevice(gpu->ordinal));
    }
    return attune_cuda_outcome(gpu, "choosing the device");
}

attune_status attune_cuda_fail_memory(attune_cuda_gpu *gpu, const char *where, const char *what,
                                      size_t bytes, size_t total, const char *advice)
{
    size_t free_bytes = 0, all = 0;
    if (gpu->error != cudaErrorMemoryAllocation) {
        return attune_cuda_outcome(gpu, what);
    }
    if (cudaMemGetInfo(&free_bytes, &all) != cudaSuccess) {
        cudaGetLastError();
    }
    return attune_fail(
        ATTUNE_ENOMEM,
        "CUDA device %d (%s): out of %s memory: %.1f MiB for %s (%.1f MiB asked for in "
        "all, %.1f MiB free on the device)%s",
        gpu->ordinal, gpu->name, where, (double)bytes / 0x1p20, what, (double)total / 0x1p20,
        (double)free_bytes / 0x1p20, advice);
}
