/* test_golden.c - whole networks in training on the CPU beside PyTorch in double. */
#include "tests/train/golden.h"

#include <criterion/criterion.h>

static const char *const isas[] = {"baseline", "avx2", "avx512"};
enum { ISAS = 3 };

static void check_all(void (*check)(const attune_training_kernels *))
{
    for (int i = 0; i < ISAS; i++) {
        const attune_training_kernels *kernels = attune_training_cpu_named(isas[i]);
        if (kernels) {
            check(kernels);
        }
    }
}

Test(golden, gradients_are_pytorchs, .timeout = 120)
{
    check_all(golden_check_gradients);
}

Test(golden, fifty_steps_are_pytorchs, .timeout = 120)
{
    check_all(golden_check_steps);
}
