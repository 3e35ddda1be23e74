/* test_train_device.c - a real CUDA device that trains: whole networks beside PyTorch and the CPU.
 * Not yet run on a GPU. */
#include "tests/cuda/train_driver.h"
#include "tests/support/support.h"
#include "tests/train/golden.h"

#include <criterion/criterion.h>

#define TINY ATTUNE_ARCHITECTURE_TINY
#define GRU ATTUNE_ARCHITECTURE_GRU

static const attune_training_kernels *require_device(void)
{
    require_cuda_device();
    return attune_training_cuda();
}

Test(train_device, gradients_are_pytorchs)
{
    golden_check_gradients(require_device(), true);
}

Test(train_device, fifty_steps_are_pytorchs)
{
    golden_check_steps(require_device());
}

static void compare_all(const attune_training_kernels *kernels, const train_case *cases,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        train_compare(kernels, &cases[i]);
    }
}

/* The paper's size and what it varied; from a clip a block of the GRU to four. */
Test(train_device, batches_are_the_cpus)
{
    const train_case cases[] = {
        {train_network(TINY, ATTUNE_POOLING_ATTENTION, 2048, 2048, 128, 2), 36, 3, 40, 0.1f, false},
        {train_network(TINY, ATTUNE_POOLING_ATTENTION, 2048, 2048, 128, 2), 300, 1, 2, 0.1f, true},
        {train_network(TINY, ATTUNE_POOLING_MEAN, 1024, 512, 256, 3), 9, 3, 30, 0.2f, false},
        {train_network(TINY, ATTUNE_POOLING_LAST, 4096, 2048, 1024, 1), 3, 1, 20, 0, false},
        {train_network(GRU, ATTUNE_POOLING_LAST, 2048, 2048, 128, 2), 12, 3, 30, 0.1f, false},
        {train_network(GRU, ATTUNE_POOLING_ATTENTION, 512, 256, 80, 2), 140, 1, 5, 0, false},
    };
    compare_all(require_device(), cases, sizeof(cases) / sizeof(cases[0]));
}

/* Every kernel once and little work: what gpu_check.sh runs under compute-sanitizer. */
Test(train_device, little_of_everything)
{
    const train_case cases[] = {
        {train_network(TINY, ATTUNE_POOLING_ATTENTION, 512, 512, 128, 2), 6, 3, 3, 0.1f, false},
        {train_network(GRU, ATTUNE_POOLING_MEAN, 256, 256, 48, 2), 4, 2, 3, 0.1f, false},
    };
    compare_all(require_device(), cases, sizeof(cases) / sizeof(cases[0]));
}
