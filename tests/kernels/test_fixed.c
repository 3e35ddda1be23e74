/* test_fixed.c - the front end in fixed point, with VNNI and without, against the double-precision
 * network. */
#define ATTUNE_ISA avx512 /* whose front end in f32 stands behind */
#include "kernels/cpu/fixed.h"

#include "kernels/cpu/cpu.h"
#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { F = 3, C = 64 };

typedef void signal(float *pcm, size_t samples, uint64_t *seed, float loudness);

static void noise(float *pcm, size_t samples, uint64_t *seed, float loudness)
{
    random_fill(seed, pcm, samples, loudness);
}

static void constant(float *pcm, size_t samples, uint64_t *seed, float loudness)
{
    (void)seed;
    for (size_t i = 0; i < samples; i++) {
        pcm[i] = loudness;
    }
}

/* As loud as a sample may be, and just as often its opposite. */
static void square(float *pcm, size_t samples, uint64_t *seed, float loudness)
{
    for (size_t i = 0; i < samples; i++) {
        pcm[i] = random_uniform(seed) < 0 ? -loudness : loudness;
    }
}

/* Loud, then silent: frames of different levels in one call. */
static void decay(float *pcm, size_t samples, uint64_t *seed, float loudness)
{
    for (size_t i = 0; i < samples; i++) {
        pcm[i] = random_uniform(seed) * loudness * expf(-12.0f * (float)i / (float)samples);
    }
}

static const struct {
    signal *make;
    const char *name;
    float loudness;
} signals[] = {
    {noise, "noise", 2},           {noise, "noise", 1},
    {noise, "noise", 0.3f},        {noise, "noise", 0.03f},
    {noise, "noise", 0.003f},      {noise, "noise", 1e-5f},
    {constant, "constant", 0},     {constant, "constant", 1},
    {constant, "constant", -0.1f}, {square, "square", 2},
    {square, "square", 0.1f},      {decay, "decay", 2},
    {noise, "too loud noise", 9},  {square, "far too loud", 1e4f},
};

/* What the front end in f32 needs to stand behind one in fixed point. */
typedef struct setup {
    attune_cpu_weights weights;
    float *scratch;
    attune_fixed fixed;
} setup;

static void open_fixed(setup *b, const char *name, const attune_model *model)
{
    cr_assert_eq(attune_cpu_pack(&b->weights, model,
                                 (attune_cpu_layout){.matvec_panel = attune_gru_panel_avx512()}),
                 ATTUNE_OK);
    b->scratch = attune_cpu_allocate(attune_frontend_tiny_scratch_avx512(&b->weights.network));
    cr_assert_not_null(b->scratch);
    cr_assert_eq(attune_fixed_open(&b->fixed, attune_fixed_named(name), model, &b->weights,
                                   attune_frontend_tiny_avx512, b->scratch),
                 ATTUNE_OK);
}

static void close_fixed(setup *b)
{
    attune_fixed_close(&b->fixed);
    free(b->weights.arena);
    free(b->scratch);
}

/* What the sequence stage, in double, makes of features. */
static void embed(double *embedding, const attune_model *model, const float *features)
{
    double wide[F * C];
    for (int i = 0; i < F * C; i++) {
        wide[i] = (double)features[i];
    }
    reference_sequence(embedding, model, wide, F);
}

/* 5e-4 is what precision fast promises of embeddings. Features may differ by 2e-3 of the largest,
 * or of 1: a constant signal meets the tables in one place. */
static void check_signal(const setup *b, const attune_model *model, size_t i)
{
    const attune_network *n = &b->weights.network;
    const size_t samples = (size_t)(F - 1) * n->hop_size + n->frame_size;
    float *pcm = malloc(samples * sizeof(float));
    double expected[F * C];
    float features[F * C], again[F * C];
    uint64_t seed = 3;
    cr_assert_not_null(pcm);
    signals[i].make(pcm, samples, &seed, signals[i].loudness);
    reference_features(expected, model, pcm, samples);
    b->fixed.kernels->frontend(features, pcm, &b->fixed, F);
    printf("%s %g, frame size %d\n", signals[i].name, (double)signals[i].loudness, n->frame_size);
    cr_assert_lt(reference_worst("features", features, expected, F * C),
                 signals[i].loudness == 0 ? 1e-5 : 2e-3);
    double embedding[128], expected_embedding[128]; /* the largest of the shapes */
    reference_sequence(expected_embedding, model, expected, F);
    embed(embedding, model, features);
    for (int e = 0; e < n->embedding; e++) {
        cr_assert_lt(fabs(embedding[e] - expected_embedding[e]), 5e-4);
    }
    for (int f = F - 1; f >= 0; f--) {
        b->fixed.kernels->frontend(again + f * C, pcm + (size_t)f * n->hop_size, &b->fixed, 1);
    }
    cr_assert_eq(memcmp(features, again, sizeof(features)), 0);
    free(pcm);
}

static void check_kernels(const char *name)
{
    if (!attune_fixed_named(name)) {
        skip_test("this machine has not the instruction set");
    }
    for (int shape = 0; shape < 9; shape++) {
        const attune_network n = reference_shape(shape);
        attune_model *model = reference_model(&n, 40 + (uint64_t)shape);
        setup b;
        open_fixed(&b, name, model);
        cr_assert_not_null(b.fixed.kernels, "shape %d does not fit", shape);
        for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
            check_signal(&b, model, i);
        }
        close_fixed(&b);
        attune_model_close(model);
    }
}

Test(fixed, features_match_reference)
{
    check_kernels("avx512");
}

Test(fixed, features_match_reference_with_vnni)
{
    check_kernels("avx512vnni");
}

Test(fixed, vnni_changes_no_bit)
{
    static const char *const names[2] = {"avx512", "avx512vnni"};
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 1);
    float pcm[F * 2048], features[2][F * C];
    uint64_t seed = 5;
    decay(pcm, F * 2048, &seed, 1);
    for (int i = 0; i < 2; i++) {
        setup b;
        if (!attune_fixed_named(names[i])) {
            skip_test("this machine has not the instruction set");
        }
        open_fixed(&b, names[i], model);
        b.fixed.kernels->frontend(features[i], pcm, &b.fixed, F);
        close_fixed(&b);
    }
    cr_assert_eq(memcmp(features[0], features[1], sizeof(features[0])), 0);
    attune_model_close(model);
}

/* What this build ships has to gain from precision fast. */
Test(fixed, built_in_model_fits)
{
    attune_model *model = NULL;
    if (!attune_model_has_default() || !attune_fixed_named("avx512")) {
        skip_test("no model is built in, or this machine has not the instruction set");
    }
    cr_assert_eq(attune_model_open_default(&model), ATTUNE_OK);
    setup b;
    open_fixed(&b, "avx512", model);
    cr_assert_not_null(b.fixed.kernels);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        check_signal(&b, model, i);
    }
    close_fixed(&b);
    attune_model_close(model);
}

/* Rows of states times a GRU layer's matrix in fixed point, in any number together: the bits that a
 * row has alone, and no further from the exact sum than the units' halves allow. */
static void check_products(const char *name)
{
    enum { M = ATTUNE_FIXED_ROWS, H = 128 };
    if (!attune_fixed_named(name)) {
        skip_test("this machine has not the instruction set");
    }
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 2);
    const attune_gru_parameters *p = &attune_model_parameters(model)->gru[1];
    attune_cpu_weights weights;
    const attune_cpu_layout layout = {.matvec_panel = attune_gru_panel_avx512(),
                                      .product = attune_fixed_named(name)->product};
    cr_assert_eq(attune_cpu_pack(&weights, model, layout), ATTUNE_OK);
    const attune_fixed_matrix *matrix = &weights.gru[1].fixed_hidden;
    cr_assert_not_null(matrix->product);
    static float states[M][H], alone[M][3 * H], together[M][3 * H];
    const float *rows[M];
    uint64_t seed = 4;
    for (int m = 0; m < M; m++) {
        rows[m] = states[m];
        random_fill(&seed, states[m], H, 1);
        states[m][m] = m % 2 ? 1 : -1;
        matrix->product(alone[m], 3 * H, rows + m, matrix, 1);
        for (int j = 0; j < 3 * H; j++) {
            double sum = j < 2 * H ? 0 : (double)p->bias_hidden[j], bound = 1e-6;
            for (int k = 0; k < H; k++) {
                const double w = (double)p->weight_hidden[j * H + k], h = (double)states[m][k];
                sum += w * h;
                bound += (fabs(w) + (double)(matrix->unit[j] * ATTUNE_FIXED_STATE)) *
                         (double)(0.51f / ATTUNE_FIXED_STATE);
                bound += 0.51 * (double)(matrix->unit[j] * ATTUNE_FIXED_STATE) * fabs(h);
            }
            cr_assert_lt(fabs((double)alone[m][j] - sum), bound);
        }
    }
    for (int count = 1; count <= M; count++) {
        matrix->product(together[0], 3 * H, rows, matrix, count);
        cr_assert_eq(memcmp(alone, together, (size_t)count * sizeof(alone[0])), 0, "%d", count);
    }
    free(weights.arena);
    attune_model_close(model);
}

Test(fixed, products_match_double)
{
    check_products("avx512");
}

Test(fixed, products_match_double_with_vnni)
{
    check_products("avx512vnni");
}

/* One channel so large that the units it forces on the others lose them, and of so little weight
 * afterwards that the features show it. */
Test(fixed, parameters_that_do_not_fit_stay_in_f32)
{
    if (!attune_fixed_named("avx512")) {
        skip_test("this machine has not the instruction set");
    }
    const float factors[] = {1e3f, 1e30f};
    for (int i = 0; i < 2; i++) {
        const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
        attune_model *model = reference_model(&n, 1);
        const attune_parameters *p = attune_model_parameters(model);
        for (int k = 0; k < 5; k++) {
            p->conv_weight[2][k] *= factors[i];
        }
        for (int o = 0; o < C; o++) {
            p->conv_weight[3][o * 32] /= factors[i];
        }
        setup b;
        open_fixed(&b, "avx512", model);
        cr_assert_null(b.fixed.kernels);
        close_fixed(&b);
        attune_model_close(model);
    }
}

/* Weights that no unit can be found for, of which numbers beyond double come, and a first layer of
 * zeros. */
Test(fixed, absurd_parameters_stay_in_f32)
{
    if (!attune_fixed_named("avx512")) {
        skip_test("this machine has not the instruction set");
    }
    const float factors[] = {0, 1e12f, 1e25f, 3e37f, INFINITY, NAN};
    for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++) {
        const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
        attune_model *model = reference_model(&n, 1);
        const attune_parameters *p = attune_model_parameters(model);
        p->conv_bias[0][0] = 0;
        for (int k = 0; k < 5; k++) {
            p->conv_weight[0][k] *= factors[i];
        }
        for (int k = 0; k < 160 && factors[i] > 0; k++) {
            p->conv_weight[1][k % 32] *= factors[i];
            p->conv_weight[2][k] *= factors[i];
        }
        setup b;
        open_fixed(&b, "avx512", model);
        cr_assert_null(b.fixed.kernels);
        close_fixed(&b);
        attune_model_close(model);
    }
}
