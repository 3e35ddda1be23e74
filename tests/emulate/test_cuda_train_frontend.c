/* test_cuda_train_frontend.c - the CUDA training front ends, emulated, against double precision.
 * Few frames, for emulation is slow. */
#include "tests/cuda/stand_in.h"
#include "tests/cuda/train_frontend_driver.h"

#include <criterion/criterion.h>

static void check(train_shape shape, bool frozen)
{
    stand_in_reset(1);
    machine.is_eager = true;
    driver_check_train_frontend(shape, frozen);
    cr_assert_eq(machine.live, 0);
}

/* Frames that a warp takes in one step and in more; one frame; clips whose frames overlap or not;
 * more frames than a chunk of sums or a run takes. */

Test(cuda_train_frontend, tiny_matches_reference)
{
    check((train_shape){ATTUNE_ARCHITECTURE_TINY, 256, 256, 1, 1}, false);
    check((train_shape){ATTUNE_ARCHITECTURE_TINY, 256, 128, 2, 3}, false);
    check((train_shape){ATTUNE_ARCHITECTURE_TINY, 768, 768, 2, 2}, false);
}

Test(cuda_train_frontend, tiny_matches_reference_with_many_frames)
{
    check((train_shape){ATTUNE_ARCHITECTURE_TINY, 256, 256, 3, 11}, false);
}

Test(cuda_train_frontend, tiny_matches_reference_at_the_published_size)
{
    check((train_shape){ATTUNE_ARCHITECTURE_TINY, 2048, 1024, 1, 3}, false);
}

Test(cuda_train_frontend, tiny_matches_reference_at_long_frames)
{
    check((train_shape){ATTUNE_ARCHITECTURE_TINY, 16384, 16384, 1, 1}, false);
}

Test(cuda_train_frontend, frozen_tiny_matches_reference)
{
    check((train_shape){ATTUNE_ARCHITECTURE_TINY, 768, 384, 1, 3}, true);
}

Test(cuda_train_frontend, baseline_matches_reference)
{
    check((train_shape){ATTUNE_ARCHITECTURE_GRU, 256, 256, 1, 1}, false);
    check((train_shape){ATTUNE_ARCHITECTURE_GRU, 512, 256, 2, 2}, false);
}

Test(cuda_train_frontend, baseline_matches_reference_with_many_frames)
{
    check((train_shape){ATTUNE_ARCHITECTURE_GRU, 256, 256, 3, 9}, false);
}

Test(cuda_train_frontend, frozen_baseline_matches_reference)
{
    check((train_shape){ATTUNE_ARCHITECTURE_GRU, 768, 384, 1, 3}, true);
}
