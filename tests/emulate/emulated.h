/* emulated.h - the emulated device's side of a test: memory, shapes, whole runs. */
#ifndef ATTUNE_TESTS_EMULATED_H
#define ATTUNE_TESTS_EMULATED_H

#include "kernels/cuda/cuda.h"
#include "src/model/parameters.h"

/* `bytes` of "device" memory, aligned as cudaMalloc's and full of NaN; free() frees it. */
void *emulated_memory(size_t bytes);

/* Packed weights of a model; *blob is to be freed. */
attune_cuda_weights emulated_weights(void **blob, const attune_model *model);

#endif
