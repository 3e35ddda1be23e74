/* dispatch.c - the CPU kernels of the best instruction set that this machine has, for embedding and
 * for training. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/train_sequence.h"
#include "status/error.h"

#include <stdlib.h>
#include <string.h>

#ifdef ATTUNE_HAVE_avx512
static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}
#endif

/* True for the sets that this processor runs, and would be slower with. */
static bool is_for_others(const char *name)
{
#ifdef ATTUNE_HAVE_avx512
    return strcmp(name, "avx512amd") == 0 && !__builtin_cpu_is("amd");
#else
    (void)name;
    return false;
#endif
}

const attune_kernels *attune_kernels_cpu_named(const char *name)
{
#ifdef ATTUNE_HAVE_avx512
    if (strcmp(name, "avx512") == 0) {
        return has_avx512() ? &attune_kernels_avx512 : NULL;
    }
    if (strcmp(name, "avx512amd") == 0) {
        return has_avx512() ? &attune_kernels_avx512amd : NULL;
    }
    if (strcmp(name, "avx2") == 0) {
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
                   ? &attune_kernels_avx2
                   : NULL;
    }
#endif
    return strcmp(name, "baseline") == 0 ? &attune_kernels_baseline : NULL;
}

attune_status attune_kernels_cpu(const attune_kernels **out)
{
    static const char *const names[] = {"avx512amd", "avx512", "avx2", "baseline"};
    const char *wanted = getenv("ATTUNE_CPU");
    if (wanted && *wanted) {
        *out = attune_kernels_cpu_named(wanted);
        return *out ? ATTUNE_OK
                    : attune_fail(ATTUNE_ECONFIG,
                                  "ATTUNE_CPU=%s: not an instruction set of this machine; use one "
                                  "of avx512amd, avx512, avx2, baseline, or unset it",
                                  wanted);
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        *out = is_for_others(names[i]) ? NULL : attune_kernels_cpu_named(names[i]);
        if (*out) {
            break;
        }
    }
    return ATTUNE_OK;
}

const attune_training_kernels *attune_training_cpu_named(const char *name)
{
    const attune_kernels *kernels = attune_kernels_cpu_named(name);
#ifdef ATTUNE_HAVE_avx512
    if (kernels == &attune_kernels_avx512 || kernels == &attune_kernels_avx512amd) {
        return &attune_training_avx512;
    }
    if (kernels == &attune_kernels_avx2) {
        return &attune_training_avx2;
    }
#endif
    return kernels ? &attune_training_baseline : NULL;
}

attune_status attune_training_cpu(const attune_training_kernels **out)
{
    const attune_kernels *kernels = NULL;
    const attune_status status = attune_kernels_cpu(&kernels);
    *out = status == ATTUNE_OK ? attune_training_cpu_named(kernels->detail) : NULL;
    return status;
}
