/* golden.c - whole networks in training beside PyTorch's. */
#include "tests/train/golden.h"

#include "tests/support/support.h"
#include "train/loss.h"
#include "train/optimiser.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 24, STEPS = 50, BATCHES = 3, CASES = 8 };

typedef struct golden_case {
    char name[32];
    attune_network network;
    int B, groups;
    size_t samples;
    float dropout_layers, dropout_head;
    int frozen;
    uint64_t seed;
} golden_case;

static FILE *open_golden(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", GOLDENS, name);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    return file;
}

/* The next case, or false at the end. */
static bool read_case(FILE *file, golden_case *out)
{
    char architecture[8], pooling[16];
    attune_network *n = &out->network;
    *n = (attune_network){.sample_rate = 22050};
    const int got =
        fscanf(file, " case %31s %7s %15s %d %d %d %d %d %d %d %d %d %zu %f %f %d %lu", out->name,
               architecture, pooling, &n->frame_size, &n->hop_size, &n->hidden, &n->layers,
               &n->attention, &n->projection, &n->embedding, &out->B, &out->groups, &out->samples,
               &out->dropout_layers, &out->dropout_head, &out->frozen, &out->seed);
    if (got == EOF) {
        return false;
    }
    cr_assert_eq(got, 17);
    const bool tiny = strcmp(architecture, "tiny") == 0;
    n->architecture = tiny ? ATTUNE_ARCHITECTURE_TINY : ATTUNE_ARCHITECTURE_GRU;
    n->features = tiny ? 64 : 128;
    n->pooling = strcmp(pooling, "attention") == 0 ? ATTUNE_POOLING_ATTENTION
                 : strcmp(pooling, "mean") == 0    ? ATTUNE_POOLING_MEAN
                                                   : ATTUNE_POOLING_LAST;
    return true;
}

/* Compares the next line with `got`: each number within `tolerance` of the largest, or 3e-7, which
 * is what rounding makes of gradients that are 0. */
static void check_line(FILE *file, const char *what, const char *name, const float *got,
                       size_t count, double tolerance)
{
    char found[64];
    double largest = 0, sum = 0, mine = 0, worst = 0;
    cr_assert_eq(fscanf(file, "%63s %lf %lf", found, &largest, &sum), 3);
    cr_assert_str_eq(found, name);
    const double bound = fmax(tolerance * largest, 3e-7);
    const size_t some = count < SAMPLES ? count : SAMPLES;
    for (size_t k = 0; k < some; k++) {
        double expected = 0;
        cr_assert_eq(fscanf(file, "%lf", &expected), 1);
        const double error = fabs((double)got[k * count / some] - expected);
        worst = !(error <= worst) ? error : worst;
    }
    for (size_t i = 0; i < count; i++) {
        mine += attune_random_mix(i + 1) >> 63 ? -(double)got[i] : (double)got[i];
    }
    printf("%s %s: %.2g of %.2g, sum %.2g\n", what, name, worst, largest, fabs(mine - sum));
    cr_assert(worst <= bound, "%s %s: %g of %g", what, name, worst, largest);
    cr_assert(fabs(mine - sum) <= bound * sqrt((double)count), "%s %s: sum %g, not %g", what, name,
              mine, sum);
}

/* ---- the same random numbers ---- */

static bool ends(const char *name, const char *with)
{
    const size_t a = strlen(name), b = strlen(with);
    return a >= b && strcmp(name + a - b, with) == 0;
}

static void fill_parameters(float *parameters, float *statistics, const attune_trainable *t,
                            uint64_t seed)
{
    for (int i = 0; i < t->tensor_count; i++) {
        const attune_tensor *tensor = &t->tensors[i];
        attune_random random = attune_random_of(seed, (uint64_t)i);
        const bool gru = strncmp(tensor->name, "gru.", 4) == 0;
        const double fan_in = gru ? t->network.hidden : (double)tensor->count / tensor->shape[0];
        const double bound = gru || tensor->rank > 1 ? 1.5 / sqrt(fan_in) : 0.2;
        const double mean = tensor->rank == 1 && ends(tensor->name, ".weight");
        for (size_t k = 0; k < tensor->count; k++) {
            parameters[tensor->offset + k] =
                (float)(mean + bound * (2 * attune_random_uniform(&random) - 1));
        }
    }
    for (int i = 0; i < t->running_count; i++) {
        const attune_tensor *tensor = &t->running[i];
        attune_random random = attune_random_of(seed, 1000 + (uint64_t)i);
        for (size_t k = 0; k < tensor->count; k++) {
            const double x = attune_random_uniform(&random);
            statistics[tensor->offset + k] =
                (float)(ends(tensor->name, "var") ? 0.5 + x : 0.2 * x - 0.1);
        }
    }
}

/* Runs of 300 samples of noise on a square wave, each of its own level and period. */
static void fill_clip(float *out, size_t samples, uint64_t seed, uint64_t index)
{
    attune_random noise = attune_random_of(seed, index), runs = attune_random_of(seed, index + 1);
    double level = 0;
    size_t half = 1;
    for (size_t i = 0; i < samples; i++) {
        if (i % 300 == 0) {
            level = attune_random_uniform(&runs);
            half = 2 + (size_t)(30 * attune_random_uniform(&runs));
        }
        const double square = i / half % 2 ? -1 : 1;
        out[i] = (float)(level * (0.5 * (2 * attune_random_uniform(&noise) - 1) + 0.5 * square));
    }
}

/* ---- a network and its batches ---- */

typedef struct training {
    const attune_training_kernels *kernels;
    void *context;
    attune_trainable trainable;
    golden_case golden;
    float *parameters, *gradients, *statistics, *embeddings, *embedding_gradients;
    float *samples[BATCHES];
    const float *clips[BATCHES][64];
} training;

static float *floats(size_t count)
{
    float *memory = calloc(count, sizeof(float));
    cr_assert_not_null(memory);
    return memory;
}

static training open_training(const attune_training_kernels *kernels, const golden_case *golden,
                              int threads, int batches)
{
    training t = {.kernels = kernels, .golden = *golden};
    assert_ok(attune_trainable_layout(&t.trainable, &golden->network));
    const attune_training_options options = {
        .threads = threads,
        .clips = golden->B + 3 * (threads - 1), /* and where there is room for more */
        .samples = golden->samples + 777 * (size_t)(threads - 1),
        .frozen_front_end = golden->frozen,
        .dropout_layers = golden->dropout_layers,
        .dropout_head = golden->dropout_head,
    };
    assert_ok(kernels->open(&t.context, &t.trainable, &options));
    const size_t embeddings = (size_t)golden->B * golden->network.embedding;
    t.parameters = floats(t.trainable.parameter_count);
    t.gradients = floats(t.trainable.parameter_count);
    t.statistics = floats(t.trainable.statistic_count);
    t.embeddings = floats(embeddings);
    t.embedding_gradients = floats(embeddings);
    fill_parameters(t.parameters, t.statistics, &t.trainable, golden->seed);
    for (int k = 0; k < batches; k++) {
        t.samples[k] = floats((size_t)golden->B * golden->samples);
        for (int b = 0; b < golden->B; b++) {
            float *clip = t.samples[k] + (size_t)b * golden->samples;
            fill_clip(clip, golden->samples, golden->seed,
                      10000 + 1000 * (uint64_t)k + 2 * (uint64_t)b);
            t.clips[k][b] = clip;
        }
    }
    return t;
}

static void close_training(training *t)
{
    t->kernels->close(t->context);
    free(t->parameters);
    free(t->gradients);
    free(t->statistics);
    free(t->embeddings);
    free(t->embedding_gradients);
    for (int k = 0; k < BATCHES; k++) {
        free(t->samples[k]);
    }
}

/* Forward and backward; returns the loss. */
static double differentiate(training *t, int which, uint64_t seed)
{
    const golden_case *g = &t->golden;
    const attune_training_batch batch = {.clips = t->clips[which],
                                         .B = g->B,
                                         .samples = g->samples,
                                         .groups = g->groups,
                                         .seed = seed};
    attune_loss_value value;
    memset(t->gradients, 0xff, sizeof(float) * t->trainable.parameter_count); /* NaN */
    assert_ok(t->kernels->forward(t->context, t->embeddings, t->statistics, t->parameters, &batch));
    memset(t->embedding_gradients, 0, sizeof(float) * (size_t)g->B * g->network.embedding);
    attune_loss_triplet(&value, t->embedding_gradients, t->embeddings, g->B / 3,
                        g->network.embedding, 0.2, 1);
    assert_ok(t->kernels->backward(t->context, t->gradients, t->embedding_gradients, t->parameters,
                                   &batch));
    return value.loss;
}

static void check_tensors(FILE *file, const char *what, const float *values,
                          const attune_tensor *tensors, int count, double tolerance)
{
    for (int i = 0; i < count; i++) {
        check_line(file, what, tensors[i].name, values + tensors[i].offset, tensors[i].count,
                   tolerance);
    }
}

/* The same case with other threads, in a context with more room: the same bits. */
static void check_again(const attune_training_kernels *kernels, const training *t, double loss)
{
    training other = open_training(kernels, &t->golden, 3, 1);
    cr_assert(differentiate(&other, 0, t->golden.seed) == loss);
    cr_assert_eq(memcmp(t->gradients, other.gradients, 4 * t->trainable.parameter_count), 0, "%s",
                 t->golden.name);
    cr_assert_eq(memcmp(t->statistics, other.statistics, 4 * t->trainable.statistic_count), 0);
    close_training(&other);
}

/* Embeddings are good to 1e-6; gradients, relative to their tensor's largest, mostly to 1e-6. */
static void check_case(FILE *file, const attune_training_kernels *kernels,
                       const golden_case *golden, bool twice)
{
    char what[64];
    double expected = 0;
    training t = open_training(kernels, golden, 1, 1);
    const double loss = differentiate(&t, 0, golden->seed);
    snprintf(what, sizeof(what), "%s %s", kernels->detail, golden->name);
    cr_assert_eq(fscanf(file, " loss %lf", &expected), 1);
    cr_assert_float_eq(loss, expected, 1e-5, "%s: loss %g, not %g", what, loss, expected);
    check_line(file, what, "embeddings", t.embeddings,
               (size_t)golden->B * golden->network.embedding, 1e-5);
    check_tensors(file, what, t.gradients, t.trainable.tensors, t.trainable.tensor_count, 1e-4);
    check_tensors(file, what, t.statistics, t.trainable.running, t.trainable.running_count, 1e-5);
    if (twice) {
        check_again(kernels, &t, loss);
    }
    close_training(&t);
}

void golden_check_gradients(const attune_training_kernels *kernels, bool twice)
{
    FILE *file = open_golden("training.txt");
    golden_case golden;
    int cases = 0;
    for (; read_case(file, &golden); cases++) {
        check_case(file, kernels, &golden, twice);
    }
    cr_assert_eq(cases, CASES);
    fclose(file);
}

/* The loss at every step, and the parameters at the end: rounding grows with the steps. */
void golden_check_steps(const attune_training_kernels *kernels)
{
    golden_case golden;
    FILE *file = open_golden("training_steps.txt");
    cr_assert(read_case(file, &golden));
    training t = open_training(kernels, &golden, 2, BATCHES);
    const size_t count = t.trainable.parameter_count;
    attune_adamw adamw = {.rate = 1e-3,
                          .weight_decay = 1e-4,
                          .moment1 = floats(count),
                          .moment2 = floats(count),
                          .count = count};
    for (int step = 0; step < STEPS; step++) {
        double expected = 0;
        const double loss = differentiate(&t, step % BATCHES, (uint64_t)step);
        cr_assert_eq(fscanf(file, " loss %lf", &expected), 1);
        cr_assert_float_eq(loss, expected, 1e-3, "%s: step %d has loss %g, not %g", kernels->detail,
                           step, loss, expected);
        attune_gradient_clip(t.gradients, count, attune_gradient_norm(t.gradients, count), 1.0);
        attune_adamw_step(&adamw, t.parameters, t.gradients, 0);
    }
    check_tensors(file, kernels->detail, t.parameters, t.trainable.tensors,
                  t.trainable.tensor_count, 1e-3);
    check_tensors(file, kernels->detail, t.statistics, t.trainable.running,
                  t.trainable.running_count, 1e-3);
    free(adamw.moment1);
    free(adamw.moment2);
    close_training(&t);
    fclose(file);
}
