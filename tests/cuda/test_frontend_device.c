/* test_frontend_device.c - the training front ends on a real CUDA device, against double precision.
 * Not yet run on a GPU. */
#include "tests/cuda/train_frontend_driver.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>

/* What tests/emulate has, and more frames than a device runs at once. */
static const train_shape shapes[] = {
    {ATTUNE_ARCHITECTURE_TINY, 256, 256, 1, 1},   {ATTUNE_ARCHITECTURE_TINY, 256, 128, 3, 400},
    {ATTUNE_ARCHITECTURE_TINY, 768, 384, 2, 2},   {ATTUNE_ARCHITECTURE_TINY, 2048, 1024, 3, 20},
    {ATTUNE_ARCHITECTURE_TINY, 4096, 4096, 2, 5}, {ATTUNE_ARCHITECTURE_TINY, 16384, 16384, 1, 1},
    {ATTUNE_ARCHITECTURE_GRU, 256, 256, 1, 1},    {ATTUNE_ARCHITECTURE_GRU, 256, 128, 3, 50},
    {ATTUNE_ARCHITECTURE_GRU, 768, 384, 2, 2},    {ATTUNE_ARCHITECTURE_GRU, 2048, 2048, 1, 5},
};

static void check_all(bool frozen)
{
    require_cuda_device();
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        driver_check_train_frontend(shapes[i], frozen);
    }
}

Test(frontend_device, matches_reference)
{
    check_all(false);
}

Test(frontend_device, frozen_matches_reference)
{
    check_all(true);
}
