/* test_cuda_frontend.c - the CUDA front ends, emulated, against the double-precision network and
 * the CPU. */
#include "attune/audio.h"
#include "kernels/kernels.h"

#include "tests/emulate/emulated.h"
#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { F = 5 /* more than a block of the Tiny kernel takes */ };

/* F frames at odd places of a PCM buffer that holds NaN (as int16: full swing) everywhere else. */
typedef struct frames {
    attune_network network;
    uint32_t start[F];
    size_t samples; /* in the buffer */
    float *f32;     /* samples that Q14 can represent, so that both formats hold the same */
    int16_t *q14;
    float *packed; /* (F, N): the frames one behind the other */
} frames;

static frames make_frames(const attune_network *n, uint64_t seed)
{
    const size_t N = (size_t)n->frame_size;
    frames x = {.network = *n, .samples = (N + 9) * F};
    x.f32 = emulated_memory(x.samples * sizeof(float));
    x.q14 = emulated_memory(x.samples * sizeof(int16_t));
    x.packed = emulated_memory(F * N * sizeof(float));
    for (size_t i = 0; i < x.samples; i++) {
        x.q14[i] = i % 2 ? INT16_MAX : INT16_MIN;
    }
    for (int f = 0; f < F; f++) {
        x.start[f] = (uint32_t)((size_t)((f + 2) % F) * (N + 9) + (size_t)f + 1); /* in no order */
        for (size_t i = 0; i < N; i++) {
            const size_t at = x.start[f] + i;
            const float level = 0.2f + 0.4f * (float)f; /* up to 1.8 of the 2 that Q14 holds */
            x.q14[at] = (int16_t)lrintf(random_uniform(&seed) * level * 16384.0f);
            x.f32[at] = (float)x.q14[at] / 16384.0f;
            x.packed[(size_t)f * N + i] = x.f32[at];
        }
    }
    return x;
}

static void free_frames(frames *x)
{
    free(x->f32);
    free(x->q14);
    free(x->packed);
}

/* features (F, C) through the emulated device; what lies behind them must stay as it was. */
static float *run(const frames *x, const attune_cuda_weights *w, attune_precision precision,
                  attune_pcm format)
{
    const size_t count = (size_t)F * x->network.features;
    float *features = emulated_memory((count + 1) * sizeof(float));
    const void *pcm = format == ATTUNE_PCM_Q14 ? (const void *)x->q14 : (const void *)x->f32;
    cr_assert_eq(attune_cuda_frontend(NULL, features, pcm, x->start, w, format, precision, F), 0);
    cr_assert(isnan(features[count]));
    return features;
}

/* Every frame alone, and in the other order, is the same bits. */
static void check_company(const frames *x, const attune_cuda_weights *w, const float *features,
                          attune_precision precision, attune_pcm format)
{
    const size_t C = (size_t)x->network.features;
    frames turned = *x;
    for (int f = 0; f < F; f++) {
        turned.start[f] = x->start[F - 1 - f];
    }
    float *other = run(&turned, w, precision, format), *alone = emulated_memory(C * sizeof(float));
    for (int f = 0; f < F; f++) {
        cr_assert_eq(memcmp(features + f * C, other + (F - 1 - f) * C, C * sizeof(float)), 0);
    }
    const void *pcm = format == ATTUNE_PCM_Q14 ? (const void *)x->q14 : (const void *)x->f32;
    attune_cuda_frontend(NULL, alone, pcm, x->start + F - 1, w, format, precision, 1);
    cr_assert_eq(memcmp(features + (F - 1) * C, alone, C * sizeof(float)), 0);
    free(other);
    free(alone);
}

static void check_cpu(const frames *x, const attune_model *model, const float *features)
{
    const attune_kernels *cpu = attune_kernels_cpu_named("baseline");
    const size_t C = (size_t)x->network.features;
    void *context = NULL;
    cr_assert_eq(cpu->open(&context, model, ATTUNE_PRECISION_EXACT), ATTUNE_OK);
    float *twin = emulated_memory(F * C * sizeof(float));
    double *wide = malloc(F * C * sizeof(double));
    cr_assert_not_null(wide);
    for (size_t f = 0; f < F; f++) {
        cpu->frontend(context, twin + f * C, x->packed + f * (size_t)x->network.frame_size, 1);
    }
    for (size_t i = 0; i < F * C; i++) {
        wide[i] = (double)twin[i];
    }
    cr_assert_lt(reference_worst("against the CPU", features, wide, F * C), 2e-6);
    cpu->close(context);
    free(twin);
    free(wide);
}

/* Features are means of up to 4,096 GELUs, each to 5e-7, and of sums of 32 products whose operands
 * keep 22 bits; the second network's are f32 throughout. */
static void check_shape(const attune_network *n, uint64_t seed)
{
    attune_model *model = reference_model(n, seed);
    const size_t count = (size_t)F * n->features;
    void *blob = NULL;
    const attune_cuda_weights weights = emulated_weights(&blob, model);
    frames x = make_frames(n, seed);
    double *expected = malloc(count * sizeof(double));
    cr_assert_not_null(expected);
    for (int f = 0; f < F; f++) {
        reference_features(expected + (size_t)f * n->features, model,
                           x.packed + (size_t)f * n->frame_size, (size_t)n->frame_size);
    }
    printf("frame size %d\n", n->frame_size);
    float *features = run(&x, &weights, ATTUNE_PRECISION_EXACT, ATTUNE_PCM_F32);
    cr_assert_lt(reference_worst("exact", features, expected, count), 1e-6);
    check_company(&x, &weights, features, ATTUNE_PRECISION_EXACT, ATTUNE_PCM_F32);
    check_cpu(&x, model, features);
    float *same = run(&x, &weights, ATTUNE_PRECISION_EXACT, ATTUNE_PCM_Q14);
    cr_assert_lt(reference_worst("exact, Q14", same, expected, count), 1e-6);
    free(features);
    free(same);
    free(blob);
    free(expected);
    free_frames(&x);
    attune_model_close(model);
}

Test(cuda_frontend, tiny_matches_reference)
{
    attune_network n = reference_shape(0);
    check_shape(&n, 100);
}

Test(cuda_frontend, tiny_matches_reference_at_other_frame_sizes)
{
    static const int sizes[] = {256, 768, 1024};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        attune_network n = reference_shape(0);
        n.frame_size = n.hop_size = sizes[i];
        check_shape(&n, 101 + i);
    }
}

Test(cuda_frontend, tiny_matches_reference_at_long_frames)
{
    attune_network n = reference_shape(0);
    n.frame_size = n.hop_size = 16384;
    check_shape(&n, 110);
}

Test(cuda_frontend, baseline_matches_reference)
{
    static const int sizes[] = {256, 768, 2048};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        attune_network n = reference_shape(9);
        n.frame_size = n.hop_size = sizes[i];
        check_shape(&n, 120 + i);
    }
}

/* Embedding (E) of a track of T frames from PCM; features by the emulated device. */
static void embed(double *embedding, const attune_model *model, const attune_cuda_weights *w,
                  const void *pcm, attune_precision precision, attune_pcm format, uint32_t T)
{
    const attune_network *n = attune_model_network(model);
    const size_t count = (size_t)T * n->features;
    float *features = malloc(count * sizeof(float));
    double *wide = malloc(count * sizeof(double));
    uint32_t *start = malloc(T * sizeof(uint32_t));
    cr_assert(features && wide && start);
    for (uint32_t t = 0; t < T; t++) {
        start[t] = t * (uint32_t)n->frame_size;
    }
    cr_assert_eq(attune_cuda_frontend(NULL, features, pcm, start, w, format, precision, T), 0);
    for (size_t i = 0; i < count; i++) {
        wide[i] = (double)features[i];
    }
    reference_sequence(embedding, model, wide, T);
    free(features);
    free(wide);
    free(start);
}

/* What the project promises of embeddings: 1e-6 (exact) and 5e-4 (fast) in every component. */
static void check_embedding(const attune_model *model, const float *pcm, uint32_t T)
{
    const attune_network *n = attune_model_network(model);
    const size_t samples = (size_t)T * n->frame_size;
    void *blob = NULL;
    const attune_cuda_weights w = emulated_weights(&blob, model);
    int16_t *q14 = malloc(samples * sizeof(int16_t));
    double expected[1024], got[1024];
    float narrow[1024];
    cr_assert_not_null(q14);
    for (size_t i = 0; i < samples; i++) {
        q14[i] = (int16_t)lrintf(pcm[i] * 16384.0f);
    }
    reference_embed(expected, model, pcm, samples);
    for (int precision = 0; precision < 2; precision++) {
        const int fast = precision == ATTUNE_PRECISION_FAST;
        embed(got, model, &w, fast ? (const void *)q14 : (const void *)pcm,
              fast ? ATTUNE_PRECISION_FAST : ATTUNE_PRECISION_EXACT,
              fast ? ATTUNE_PCM_Q14 : ATTUNE_PCM_F32, T);
        for (int e = 0; e < n->embedding; e++) {
            narrow[e] = (float)got[e];
        }
        cr_assert_lt(reference_worst(fast ? "fast embedding" : "exact embedding", narrow, expected,
                                     (size_t)n->embedding),
                     fast ? 5e-4 : 1e-6);
    }
    free(q14);
    free(blob);
}

Test(cuda_frontend, fast_company_changes_no_bit)
{
    const attune_network n = reference_shape(0);
    attune_model *model = reference_model(&n, 130);
    void *blob = NULL;
    const attune_cuda_weights w = emulated_weights(&blob, model);
    frames x = make_frames(&n, 9);
    float *features = run(&x, &w, ATTUNE_PRECISION_FAST, ATTUNE_PCM_Q14);
    check_company(&x, &w, features, ATTUNE_PRECISION_FAST, ATTUNE_PCM_Q14);
    check_embedding(model, x.packed, F);
    free(features);
    free_frames(&x);
    free(blob);
    attune_model_close(model);
}

/* A sample that is no number makes features that are none, of its frame alone. */
Test(cuda_frontend, bad_samples_show)
{
    for (int shape = 0; shape < 2; shape++) {
        attune_network n = reference_shape(shape == 0 ? 0 : 9);
        attune_model *model = reference_model(&n, 300);
        void *blob = NULL;
        const attune_cuda_weights weights = emulated_weights(&blob, model);
        frames x = make_frames(&n, 301);
        x.f32[x.start[2] + 100] = NAN;
        for (int precision = 0; precision < 2; precision++) {
            float *features = run(&x, &weights, (attune_precision)precision, ATTUNE_PCM_F32);
            for (int i = 0; i < F * n.features; i++) {
                cr_assert_eq(isnan(features[i]) != 0, i / n.features == 2, "%d, %d", shape, i);
            }
            free(features);
        }
        free_frames(&x);
        free(blob);
        attune_model_close(model);
    }
}

Test(cuda_frontend, published_embeddings_are_near)
{
    enum { T = 40, N = 2048 };
    char *model_path = shared_path("models/mecomp/audio_embedding_model.onnx"),
         *audio_path = shared_path("audio/country.mp3");
    attune_model *model = NULL;
    attune_audio *audio = NULL;
    attune_audio_result result;
    size_t got = 0, filled = 0;
    float *pcm = malloc((size_t)T * N * sizeof(float));
    cr_assert_not_null(pcm);
    assert_ok(attune_model_open(&model, model_path));
    cr_assert_eq(attune_audio_open(&audio, audio_path, NULL, &result), ATTUNE_OK);
    do {
        cr_assert_eq(attune_audio_read(audio, pcm + filled, (size_t)T * N - filled, &got),
                     ATTUNE_OK);
        filled += got;
    } while (got > 0 && filled < (size_t)T * N);
    cr_assert_eq(filled, (size_t)T * N);
    check_embedding(model, pcm, T);
    attune_audio_close(audio);
    attune_model_close(model);
    free(pcm);
    free(model_path);
    free(audio_path);
}
