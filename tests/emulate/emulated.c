/* emulated.c - the emulated device's side of a test. */
#include "tests/emulate/emulated.h"

#include "tests/reference/reference.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

attune_network emulated_shape(int index)
{
    attune_network n =
        reference_network(index < 9 ? ATTUNE_ARCHITECTURE_TINY : ATTUNE_ARCHITECTURE_GRU);
    switch (index) {
    case 1:
        n.frame_size = n.hop_size = 1024;
        break;
    case 2:
        n.frame_size = n.hop_size = 4096;
        n.embedding = 16;
        break;
    case 3:
        n.hop_size = 1024;
        n.embedding = 64;
        break;
    case 4:
        n.hidden = 256;
        n.projection = 256;
        n.attention = 256;
        break;
    case 5:
        n.pooling = ATTUNE_POOLING_MEAN;
        n.attention = 0;
        n.embedding = 128;
        break;
    case 6:
        n.pooling = ATTUNE_POOLING_LAST;
        n.attention = 0;
        n.layers = 1;
        break;
    case 7:
        n.frame_size = 256;
        n.hop_size = 128;
        n.hidden = 16;
        n.attention = 40;
        n.projection = 24;
        n.embedding = 1;
        n.layers = 8;
        break;
    case 8:
        n.frame_size = n.hop_size = 768;
        n.hidden = 80;
        n.attention = 33;
        n.projection = 7;
        n.embedding = 5;
        n.layers = 3;
        break;
    case 10:
        n.frame_size = 768;
        n.hop_size = 384;
        n.hidden = 64;
        break;
    default:
        break;
    }
    return n;
}

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

double emulated_worst(const char *what, const float *got, const double *expected, size_t count)
{
    double largest = 0, scale = 1;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        scale = fmax(scale, fabs(expected[i]));
        const double error = fabs((double)got[i] - expected[i]);
        if (!(error <= largest)) {
            largest = error;
            at = i;
        }
    }
    printf("%s: worst element %zu: %.3g of %.3g\n", what, at, largest, scale);
    return largest / scale;
}
