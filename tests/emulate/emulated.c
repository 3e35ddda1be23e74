/* emulated.c - the emulated device's side of a test. */
#include "tests/emulate/emulated.h"

#include "tests/reference/reference.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *emulated_memory(size_t bytes)
{
    const size_t whole = (bytes + 255) / 256 * 256 + 256;
    void *memory = aligned_alloc(256, whole);
    cr_assert_not_null(memory);
    memset(memory, 0xff, whole);
    return memory;
}

attune_cuda_weights emulated_weights(void **blob, const attune_model *model)
{
    attune_cuda_weights weights;
    const size_t bytes = attune_cuda_weights_bytes(attune_model_network(model));
    unsigned char *memory = emulated_memory(bytes + 1);
    attune_cuda_pack(&weights, memory, memory, model);
    cr_assert_eq(memory[bytes], 0xff, "packing wrote beyond its size");
    *blob = memory;
    return weights;
}
