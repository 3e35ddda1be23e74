/* test_cpu.c - the CPU kernels of every instruction set against the double-precision network. */
#include "kernels/kernels.h"

#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const isas[] = {"baseline", "avx2", "avx512", "avx512amd"};

enum { F = 70 /* more than one call takes */ };

/* F frames of noise with a beat in it, so that frames differ in level, NaN behind the last sample.
 */
static float *noise(const attune_network *n, size_t *samples)
{
    uint64_t seed = 7;
    *samples = (size_t)(F - 1) * n->hop_size + n->frame_size;
    float *pcm = malloc((*samples + 64) * sizeof(float));
    cr_assert_not_null(pcm);
    for (size_t i = 0; i < *samples; i++) {
        pcm[i] = random_uniform(&seed) * (float)(1.1 + sin((double)i / 9000.0));
    }
    for (size_t i = *samples; i < *samples + 64; i++) {
        pcm[i] = NAN;
    }
    return pcm;
}

static void *open_device(const attune_kernels *kernels, const attune_model *model,
                         attune_precision precision)
{
    void *context = NULL;
    cr_assert_eq(kernels->open(&context, model, precision), ATTUNE_OK, "%s", attune_last_error());
    return context;
}

/* All features through the device, `chunk` frames a call. */
static void device_features(const attune_kernels *kernels, void *context, float *features,
                            const float *pcm, const attune_network *n, int chunk)
{
    for (int f = 0; f < F; f += chunk) {
        const int count = F - f < chunk ? F - f : chunk;
        kernels->frontend(context, features + (size_t)f * n->features,
                          pcm + (size_t)f * n->hop_size, count);
    }
}

static void device_embedding(const attune_kernels *kernels, void *context, float *embedding,
                             const float *features, const attune_network *n, int chunk)
{
    kernels->begin(context);
    for (int f = 0; f < F; f += chunk) {
        const int count = F - f < chunk ? F - f : chunk;
        kernels->sequence(context, features + (size_t)f * n->features, count);
    }
    cr_assert_eq(kernels->finish(context, embedding), ATTUNE_OK);
}

/* Exact features: sums of up to 512 GELUs with 1e-6 each, partly cancelling. Embeddings have unit
 * length: 1e-5 and 5e-4 are what the precisions promise against ONNX Runtime. */
static void check_precision(const attune_kernels *kernels, attune_precision precision,
                            const attune_model *model, const float *pcm, const double *expected,
                            const double *expected_embedding)
{
    const bool is_exact = precision == ATTUNE_PRECISION_EXACT;
    const attune_network n = *attune_model_network(model);
    const size_t count = (size_t)F * n.features;
    float *features = malloc(count * sizeof(float)), *again = malloc(count * sizeof(float));
    float *embedding = malloc((size_t)n.embedding * sizeof(float));
    float *embedding_again = malloc((size_t)n.embedding * sizeof(float));
    cr_assert(features && again && embedding && embedding_again);
    void *context = open_device(kernels, model, precision);
    printf("%s %s\n", kernels->detail, is_exact ? "exact" : "fast");
    device_features(kernels, context, features, pcm, &n, ATTUNE_FRAMES_PER_CALL);
    cr_assert_lt(reference_worst("features", features, expected, count), is_exact ? 2e-6 : 2e-3);
    device_embedding(kernels, context, embedding, features, &n, ATTUNE_FRAMES_PER_CALL);
    cr_assert_lt(reference_worst("embedding", embedding, expected_embedding, (size_t)n.embedding),
                 is_exact ? 1e-6 : 5e-4);
    /* the same bits in other chunks, in a context that has seen other tracks */
    static const int chunks[] = {1, 3, 8, 33};
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        device_features(kernels, context, again, pcm, &n, chunks[i]);
        cr_assert_eq(memcmp(features, again, count * sizeof(float)), 0);
        device_embedding(kernels, context, embedding_again, features, &n, chunks[i]);
        cr_assert_eq(memcmp(embedding, embedding_again, (size_t)n.embedding * sizeof(float)), 0);
    }
    kernels->close(context);
    free(features);
    free(again);
    free(embedding);
    free(embedding_again);
}

static void check_shape(const attune_kernels *kernels, int index)
{
    const attune_network n = reference_shape(index);
    attune_model *model = reference_model(&n, 100 + (uint64_t)index);
    size_t samples = 0;
    float *pcm = noise(&n, &samples);
    double *expected = malloc((size_t)F * n.features * sizeof(double));
    double *expected_embedding = malloc((size_t)n.embedding * sizeof(double));
    cr_assert(expected && expected_embedding);
    reference_features(expected, model, pcm, samples);
    reference_sequence(expected_embedding, model, expected, F);
    printf("shape %d\n", index);
    check_precision(kernels, ATTUNE_PRECISION_EXACT, model, pcm, expected, expected_embedding);
    check_precision(kernels, ATTUNE_PRECISION_FAST, model, pcm, expected, expected_embedding);
    attune_model_close(model);
    free(pcm);
    free(expected);
    free(expected_embedding);
}

static void check_isa(const char *isa)
{
    const attune_kernels *kernels = attune_kernels_cpu_named(isa);
    if (!kernels) {
        skip_test("this machine has not the instruction set");
    }
    cr_assert_str_eq(kernels->detail, isa);
    for (int i = 0; i < REFERENCE_SHAPES; i++) {
        check_shape(kernels, i);
    }
}

Test(cpu, baseline_matches_reference)
{
    check_isa("baseline");
}

Test(cpu, avx2_matches_reference)
{
    check_isa("avx2");
}

Test(cpu, avx512_matches_reference)
{
    check_isa("avx512");
}

Test(cpu, avx512amd_matches_reference)
{
    check_isa("avx512amd");
}

/* A softmax whose scores climb by hundreds: the running maximum must rescale what came before. */
Test(cpu, attention_survives_large_scores)
{
    attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 5);
    const attune_parameters *p = attune_model_parameters(model);
    for (int a = 0; a < n.attention; a++) {
        p->score_weight[a] *= 300;
    }
    uint64_t seed = 3;
    float *features = malloc((size_t)F * n.features * sizeof(float));
    double *wide = malloc((size_t)F * n.features * sizeof(double));
    cr_assert(features && wide);
    for (int i = 0; i < F * n.features; i++) {
        features[i] = random_uniform(&seed) * (float)(i / n.features) / F * 3;
        wide[i] = (double)features[i];
    }
    double expected[32];
    float embedding[32];
    reference_sequence(expected, model, wide, F);
    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]); i++) {
        const attune_kernels *kernels = attune_kernels_cpu_named(isas[i]);
        if (kernels) {
            void *context = open_device(kernels, model, ATTUNE_PRECISION_EXACT);
            device_embedding(kernels, context, embedding, features, &n, 64);
            cr_assert_lt(reference_worst("embedding", embedding, expected, 32),
                         2e-5); /* scores of 1e3 carry 1e-4 */
            kernels->close(context);
        }
    }
    free(features);
    free(wide);
    attune_model_close(model);
}

Test(cpu, no_frames_is_an_error)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 5);
    const attune_kernels *kernels = attune_kernels_cpu_named("baseline");
    void *context = open_device(kernels, model, ATTUNE_PRECISION_EXACT);
    float embedding[32];
    kernels->begin(context);
    cr_assert_eq(kernels->finish(context, embedding), ATTUNE_EINVAL);
    kernels->close(context);
    attune_model_close(model);
}

Test(cpu, environment_chooses_the_instruction_set)
{
    const attune_kernels *kernels = NULL;
    setenv("ATTUNE_CPU", "baseline", 1);
    cr_assert_eq(attune_kernels_cpu(&kernels), ATTUNE_OK);
    cr_assert_str_eq(kernels->detail, "baseline");
    setenv("ATTUNE_CPU", "8086", 1);
    cr_assert_eq(attune_kernels_cpu(&kernels), ATTUNE_ECONFIG);
    cr_assert(strstr(attune_last_error(), "8086"));
    unsetenv("ATTUNE_CPU");
    cr_assert_eq(attune_kernels_cpu(&kernels), ATTUNE_OK);
    cr_assert_not_null(kernels);
}
