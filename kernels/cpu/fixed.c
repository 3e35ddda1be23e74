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

/* A frame of brown noise, which is to the tables as music is, so loud that the first convolution's
 * largest output without its bias is `most`. */
static void make_brown(float *pcm, int N, const float *weight, float most, uint32_t *state)
{
    float sample = 0, largest = 1e-30f;
    for (int s = 0; s < N; s++) {
        sample = 0.98f * sample + attune_fixed_noise(state);
        pcm[s] = sample;
        float sum = 0;
        for (int k = 0; k < 5 && s >= 4; k++) {
            sum += weight[k] * pcm[s - 4 + k];
        }
        largest = fmaxf(largest, fabsf(sum));
    }
    for (int s = 0; s < N; s++) {
        pcm[s] *= most / largest;
    }
}

/* Takes from every level's features the mean error that it has over frames of noise. Rounded tables
 * and weights err by much the same in one frame and the next, as the network's recurrent layers see
 * it, and in music as in noise. */
static void correct(attune_fixed *f, const attune_parameters *parameters, float *pcm)
{
    enum { C = ATTUNE_FIXED_C2, FRAMES = 8 };
    float limit[ATTUNE_FIXED_LEVELS];
    uint32_t state = 1;
    for (int l = 0; l < ATTUNE_FIXED_LEVELS; l++) {
        limit[l] = f->tables->level[l].limit;
        f->tables->level[l].limit = -1; /* no frame's, before its turn */
    }
    for (int l = 0; l < ATTUNE_FIXED_LEVELS; l++) {
        attune_fixed_level *level = &f->tables->level[l];
        float error[C] = {0};
        level->limit = limit[l];
        for (int i = 0; i < FRAMES; i++) {
            const float quietest = l < ATTUNE_FIXED_LEVELS - 1 ? 0.4f : 0.05f;
            float features[C], expected[C];
            make_brown(pcm, f->weights->network.frame_size, parameters->conv_weight[0],
                       limit[l] * (quietest + (0.95f - quietest) * (float)i / (FRAMES - 1)),
                       &state);
            f->exact(expected, pcm, f->weights, f->exact_scratch, 1);
            f->kernels->frontend(features, pcm, f, 1);
            for (int c = 0; c < C; c++) {
                error[c] += (features[c] - expected[c]) / FRAMES;
            }
        }
        for (int c = 0; c < C; c++) {
            level->linear_bias[c] -= error[c];
        }
    }
}

/* True if no feature of frames from faint to loud differs from the exact one by more than 1e-3 of
 * the largest, or of 1. */
static bool fits(const attune_fixed *f, float *pcm)
{
    static const float loudness[] = {1e-5f, 0.003f, 0.03f, 0.3f, 1, 2};
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
    if (!attune_fixed_pack(out->tables, attune_model_parameters(model))) {
        attune_fixed_close(out);
        goto done;
    }
    memset(pcm, 0, (size_t)n->frame_size * sizeof(float));
    exact(out->tables->silence, pcm, weights, exact_scratch, 1);
    correct(out, attune_model_parameters(model), pcm);
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
