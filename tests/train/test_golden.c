/* test_golden.c - whole networks in training on the CPU beside PyTorch in double. */
#include "tests/train/golden.h"

#include <criterion/criterion.h>

static const char *const isas[] = {"baseline", "avx2", "avx512"};
enum { ISAS = 3 };

/* The table of each instruction set that this machine has. */
static int tables(const attune_training_kernels *out[ISAS])
{
    int count = 0;
    for (int i = 0; i < ISAS; i++) {
        out[count] = attune_training_cpu_named(isas[i]);
        count += out[count] != NULL;
    }
    return count;
}

Test(golden, gradients_are_pytorchs, .timeout = 120)
{
    const attune_training_kernels *kernels[ISAS];
    for (int i = tables(kernels) - 1; i >= 0; i--) {
        golden_check_gradients(kernels[i], true);
    }
}

Test(golden, fifty_steps_are_pytorchs, .timeout = 120)
{
    const attune_training_kernels *kernels[ISAS];
    for (int i = tables(kernels) - 1; i >= 0; i--) {
        golden_check_steps(kernels[i]);
    }
}
