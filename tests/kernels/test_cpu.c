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

/* The channels of AudioEmbeddingTiny are made by curves only where their scales are alike, as in
 * the published model. */
static attune_model *random_model(const attune_network *n, uint64_t seed, bool by_curves)
{
    attune_model *model = reference_model(n, seed);
    float *scale = attune_model_parameters(model)->conv_weight[1];
    for (int c = 0; by_curves && n->architecture == ATTUNE_ARCHITECTURE_TINY && c < 32; c++) {
        scale[c] = copysignf(0.9f + 0.6f * fabsf(scale[c]), scale[c]);
    }
    return model;
}

static void *open_device(const attune_kernels *kernels, const attune_model *model,
                         attune_precision precision)
{
    void *context = NULL;
    assert_ok(kernels->open(&context, model, precision));
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
                             const float *features, int chunk)
{
    kernels->begin(context, 0);
    for (int f = 0; f < F; f += chunk) {
        const attune_segment next = {.first = (uint32_t)f,
                                     .count = (uint32_t)(F - f < chunk ? F - f : chunk)};
        kernels->sequence(context, features, &next, 1);
    }
    cr_assert_eq(kernels->finish(context, embedding, 0), ATTUNE_OK);
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
    device_embedding(kernels, context, embedding, features, ATTUNE_FRAMES_PER_CALL);
    cr_assert_lt(reference_worst("embedding", embedding, expected_embedding, (size_t)n.embedding),
                 is_exact ? 1e-6 : 5e-4);
    /* the same bits in other chunks, in a context that has seen other tracks */
    static const int chunks[] = {1, 3, 8, 33};
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        device_features(kernels, context, again, pcm, &n, chunks[i]);
        cr_assert_eq(memcmp(features, again, count * sizeof(float)), 0);
        device_embedding(kernels, context, embedding_again, features, chunks[i]);
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
    attune_model *model = random_model(&n, 100 + (uint64_t)index, index % 2 == 0);
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

/* Of a model that it fits, every instruction set has something faster than precision exact. */
Test(cpu, fast_is_not_exact)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = random_model(&n, 35, true);
    size_t samples = 0;
    float *pcm = noise(&n, &samples);
    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]); i++) {
        const attune_kernels *kernels = attune_kernels_cpu_named(isas[i]);
        float features[2][64];
        for (int k = 0; kernels && k < 2; k++) {
            void *context =
                open_device(kernels, model, k ? ATTUNE_PRECISION_FAST : ATTUNE_PRECISION_EXACT);
            kernels->frontend(context, features[k], pcm, 1);
            kernels->close(context);
        }
        cr_assert(!kernels || memcmp(features[0], features[1], sizeof(features[0])) != 0, "%s",
                  isas[i]);
    }
    attune_model_close(model);
    free(pcm);
}

enum { ROWS = 160, E_MAX = 128 };

/* Lengths about the borders of chunks for one to four tracks (64, 32, 21, 16 steps), by turns. */
static uint32_t track_length(uint32_t i)
{
    static const uint32_t lengths[] = {64, 1, 33, 16, 130, 2, 17, 65, 15, 21, 32, 22, 1, 63, 90, 3};
    return lengths[i % 16];
}

/* `count` tracks at once, every one in `calls` calls; some have no frames in some of them. */
static void embed_together(const attune_kernels *kernels, void *context, float *embeddings, int E,
                           const float *features, uint32_t count, uint32_t calls)
{
    uint32_t slots[ATTUNE_SLOTS], done[ATTUNE_SLOTS] = {0};
    for (uint32_t i = 0; i < count; i++) {
        slots[i] = (5 * i + count) % ATTUNE_SLOTS;
        kernels->begin(context, slots[i]);
    }
    for (uint32_t call = 1; call <= calls; call++) {
        attune_segment segments[ATTUNE_SLOTS];
        uint32_t used = 0;
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t until = track_length(i) * call / calls;
            if (until > done[i]) {
                segments[used++] = (attune_segment){slots[i], i + done[i], until - done[i]};
            }
            done[i] = until;
        }
        cr_assert_eq(kernels->sequence(context, features, segments, used), ATTUNE_OK);
    }
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(kernels->finish(context, embeddings + i * E_MAX, slots[i]), ATTUNE_OK);
    }
    cr_assert_leq(E, E_MAX);
}

/* A track's bits with any number beside it, all of other lengths, are those that it has alone. */
static void check_company(const attune_kernels *kernels, int index, attune_precision precision)
{
    const attune_network n = reference_shape(index);
    attune_model *model = reference_model(&n, 200 + (uint64_t)index);
    const size_t size = (size_t)n.embedding * sizeof(float);
    float *features = malloc(((size_t)ROWS + 1) * n.features * sizeof(float));
    float alone[ATTUNE_SLOTS][E_MAX], together[ATTUNE_SLOTS][E_MAX];
    uint64_t seed = 9;
    cr_assert_not_null(features);
    random_fill(&seed, features, (size_t)ROWS * n.features, 1.0f);
    for (int i = ROWS * n.features; i < (ROWS + 1) * n.features; i++) {
        features[i] = NAN;
    }
    void *context = open_device(kernels, model, precision);
    for (uint32_t i = 0; i < ATTUNE_SLOTS; i++) {
        const attune_segment all = {.slot = 3, .first = i, .count = track_length(i)};
        kernels->begin(context, 3);
        kernels->sequence(context, features, &all, 1);
        cr_assert_eq(kernels->finish(context, alone[i], 3), ATTUNE_OK);
        cr_assert(i == 0 || memcmp(alone[i], alone[i - 1], size) != 0);
    }
    for (uint32_t count = 1; count <= ATTUNE_SLOTS; count = count < 8 ? count + 1 : 2 * count) {
        for (uint32_t calls = 1; calls <= 3; calls += 2) {
            embed_together(kernels, context, together[0], n.embedding, features, count, calls);
            for (uint32_t i = 0; i < count; i++) {
                cr_assert_eq(memcmp(alone[i], together[i], size), 0,
                             "%s shape %d: track %u of %u in %u calls", kernels->detail, index, i,
                             count, calls);
            }
        }
    }
    kernels->close(context);
    attune_model_close(model);
    free(features);
}

Test(cpu, company_changes_no_bit, .timeout = 120)
{
    static const int shapes[] = {0, 5, 6, 8}; /* poolings, layers and H differ */
    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]); i++) {
        const attune_kernels *kernels = attune_kernels_cpu_named(isas[i]);
        for (size_t shape = 0; kernels && shape < sizeof(shapes) / sizeof(shapes[0]); shape++) {
            check_company(kernels, shapes[shape], ATTUNE_PRECISION_EXACT);
            check_company(kernels, shapes[shape], ATTUNE_PRECISION_FAST);
        }
    }
}

/* Samples far beyond music, as files of floats may hold, are as exact for their size as others. */
static void check_loud_frames(bool by_curves)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = random_model(&n, 31, by_curves);
    size_t samples = 0;
    float *pcm = noise(&n, &samples);
    const size_t count = (size_t)F * n.features;
    double *expected = malloc(count * sizeof(double));
    float *features = malloc(count * sizeof(float));
    cr_assert(expected && features);
    for (float loud = 1; loud < 1e9f; loud *= 100) {
        reference_features(expected, model, pcm, samples);
        double largest = 0;
        for (size_t i = 0; i < count; i++) {
            largest = fmax(largest, fabs(expected[i]));
        }
        for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]); i++) {
            const attune_kernels *kernels = attune_kernels_cpu_named(isas[i]);
            if (!kernels) {
                continue;
            }
            void *context = open_device(kernels, model, ATTUNE_PRECISION_EXACT);
            device_features(kernels, context, features, pcm, &n, ATTUNE_FRAMES_PER_CALL);
            for (size_t k = 0; k < count; k++) {
                cr_assert_lt(fabs((double)features[k] - expected[k]), 2e-6 * fmax(1, largest),
                             "%s at %g", isas[i], (double)loud);
            }
            kernels->close(context);
        }
        for (size_t i = 0; i < samples; i++) {
            pcm[i] *= 100;
        }
    }
    attune_model_close(model);
    free(pcm);
    free(expected);
    free(features);
}

Test(cpu, loud_frames_are_exact_for_their_size)
{
    check_loud_frames(false);
    check_loud_frames(true);
}

/* Recurrent weights so large that states rounded to 16 bits lead elsewhere: fast then is exact. */
Test(cpu, fast_keeps_its_promise_for_steep_models)
{
    attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    n.hidden = n.projection = n.attention = 256;
    attune_model *model = reference_model(&n, 33);
    const attune_parameters *p = attune_model_parameters(model);
    for (int l = 0; l < n.layers; l++) {
        for (int i = 0; i < 3 * n.hidden * n.hidden; i++) {
            p->gru[l].weight_hidden[i] *= 8;
        }
    }
    size_t samples = 0;
    float *pcm = noise(&n, &samples);
    float *features = malloc((size_t)F * n.features * sizeof(float));
    float *of[2] = {malloc((size_t)n.embedding * sizeof(float)),
                    malloc((size_t)n.embedding * sizeof(float))};
    cr_assert(features && of[0] && of[1]);
    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]); i++) {
        const attune_kernels *kernels = attune_kernels_cpu_named(isas[i]);
        for (int k = 0; kernels && k < 2; k++) {
            void *context =
                open_device(kernels, model, k ? ATTUNE_PRECISION_FAST : ATTUNE_PRECISION_EXACT);
            device_features(kernels, context, features, pcm, &n, ATTUNE_FRAMES_PER_CALL);
            device_embedding(kernels, context, of[k], features, ATTUNE_FRAMES_PER_CALL);
            kernels->close(context);
        }
        for (int e = 0; kernels && e < n.embedding; e++) {
            cr_assert_lt(fabsf(of[0][e] - of[1][e]), 5e-4f, "%s component %d: %g", isas[i], e,
                         (double)fabsf(of[0][e] - of[1][e]));
        }
    }
    attune_model_close(model);
    free(pcm);
    free(features);
    free(of[0]);
    free(of[1]);
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
            device_embedding(kernels, context, embedding, features, 64);
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
    kernels->begin(context, 0);
    cr_assert_eq(kernels->finish(context, embedding, 0), ATTUNE_EINVAL);
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
