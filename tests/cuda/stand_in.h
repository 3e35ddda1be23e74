/* stand_in.h - a CUDA runtime on the host for tests: what the machine has, which call fails, in
 * which order things run.
 *
 * Streams are queues. What is queued runs late and in a random order, held back only by the
 * streams' own order and by events, so a dependency that nobody asked for shows as a wrong result
 * under some seed. Device memory starts as NaN. Streams and events are refused when another device
 * is current, as CUDA does. */
#ifndef ATTUNE_TESTS_CUDA_STAND_IN_H
#define ATTUNE_TESTS_CUDA_STAND_IN_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct stand_in {
    int devices;
    int driver;        /* version; 0 for none */
    int major;         /* compute capability */
    cudaError_t start; /* what counting devices says */
    size_t memory;     /* bytes on each device */
    uint64_t seed;     /* of the order */
    double tick;       /* milliseconds that an operation takes */
    bool is_eager;     /* what is queued runs at once: for kernels that know no queue */
    long fail_at;      /* the call, from 1, that fails with `failure`; 0 for none */
    cudaError_t failure;
    bool is_sticky; /* every call after it fails as well */
    long fault_at; /* the queued operation, from 1, that breaks the device (cudaErrorIllegalAddress)
                    */
    /* what happened */
    long calls, operations;
    long live;          /* allocations, streams and events not given back */
    size_t taken, peak; /* bytes of device memory */
    double clock;       /* milliseconds */
} stand_in;

extern stand_in machine;

/* One device of 1 GiB and nothing that fails. */
void stand_in_reset(uint64_t seed);

/* Queues a kernel: run(arguments) with a copy of `arguments`, at most 128 bytes. */
cudaError_t stand_in_launch(cudaStream_t stream, void (*run)(const void *arguments),
                            const void *arguments, size_t bytes);

#endif
