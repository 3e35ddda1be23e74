/* fixed.c - which kernels in fixed point this machine has, and whether a model fits them. */
#include "kernels/cpu/fixed.h"

#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const attune_fixed_kernels *attune_fixed_named(const char *name)
{
#ifdef ATTUNE_HAVE_avx512
    if (attune_kernels_cpu_named("avx512") && strcmp(name, "avx512vnni") == 0) {
        return __builtin_cpu_supports("avx512vnni") ? &attune_fixed_avx512vnni : NULL;
    }
    if (attune_kernels_cpu_named("avx512") && strcmp(name, "avx512") == 0) {
        return &attune_fixed_avx512;
    }
#endif
    (void)name;
    return NULL;
}

const attune_fixed_kernels *attune_fixed_best(void)
{
    const attune_fixed_kernels *vnni = attune_fixed_named("avx512vnni");
    return vnni ? vnni : attune_fixed_named("avx512");
}

void attune_fixed_rows(float *out, size_t stride, const float *a, size_t a_stride,
                       const attune_fixed_matrix *matrix, int M)
{
    for (int m = 0; m < M; m += ATTUNE_FIXED_ROWS) {
        const float *rows[ATTUNE_FIXED_ROWS];
        const int count = M - m < ATTUNE_FIXED_ROWS ? M - m : ATTUNE_FIXED_ROWS;
        for (int r = 0; r < count; r++) {
            rows[r] = a + (size_t)(m + r) * a_stride;
        }
        matrix->product(out + (size_t)m * stride, stride, rows, matrix, count);
    }
}

/* True if no feature of frames from silent to loud differs from the exact one by more than 1e-3 of
 * the largest, or of 1: the published model's differ by half of that at worst. */
static bool fits(const attune_fixed *f, float *pcm)
{
    static const float loudness[] = {0, 0.003f, 0.03f, 0.3f, 1, 2};
    enum { C = ATTUNE_FIXED_C2 };
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof(loudness) / sizeof(loudness[0]); i++) {
        float features[C], expected[C], largest = 1, error = 0;
        for (int s = 0; s < f->weights->network.frame_size; s++) {
            pcm[s] = loudness[i] * attune_fixed_noise(&state);
        }
        f->exact(expected, pcm, f->weights, f->exact_scratch, 1);
        f->kernels->frontend(features, pcm, f, 1);
        for (int c = 0; c < C; c++) {
            const float difference = fabsf(features[c] - expected[c]);
            largest = fmaxf(largest, fabsf(expected[c]));
            error = difference <= error ? error : difference; /* NaN counts as larger */
        }
        if (!(error <= 1e-3f * largest)) {
            return false;
        }
    }
    return true;
}

attune_status attune_fixed_open(attune_fixed *out, const attune_fixed_kernels *kernels,
                                const attune_model *model, const attune_cpu_weights *weights,
                                attune_frontend *exact, float *exact_scratch)
{
    const attune_network *n = &weights->network;
    *out = (attune_fixed){0};
    if (!kernels || n->architecture != ATTUNE_ARCHITECTURE_TINY ||
        n->frame_size > ATTUNE_FIXED_FRAME_MAX) {
        return ATTUNE_OK;
    }
    attune_status status = ATTUNE_OK;
    const size_t floats = kernels->frontend_scratch(n);
    float *pcm = attune_cpu_allocate((size_t)n->frame_size);
    *out = (attune_fixed){
        .kernels = kernels,
        .tables = (void *)attune_cpu_allocate(sizeof(*out->tables) / sizeof(float)),
        .scratch = attune_cpu_allocate(floats),
        .exact = exact,
        .weights = weights,
        .exact_scratch = exact_scratch,
    };
    if (!pcm || !out->tables || !out->scratch) {
        status = attune_fail_memory("the network's tables",
                                    sizeof(*out->tables) + floats * sizeof(float));
        attune_fixed_close(out);
        goto done;
    }
    attune_fixed_pack(out->tables, attune_model_parameters(model));
    if (!fits(out, pcm)) {
        attune_fixed_close(out);
    }
done:
    free(pcm);
    return status;
}

void attune_fixed_close(attune_fixed *fixed)
{
    free(fixed->tables);
    free(fixed->scratch);
    *fixed = (attune_fixed){0};
}
