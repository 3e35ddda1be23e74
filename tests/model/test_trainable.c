/* test_trainable.c - where each tensor stands, how it begins, and what folding makes of it. */
#include "tests/model/networks.h"

#include "model/random.h"
#include "model/trainable.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    const char *name;
    int shape[3];
} entry;

/* The published checkpoints, as PyTorch lists them. */
static const entry published[] = {
    {"cnn_frontend.0.net.0.weight", {1, 1, 5}},
    {"cnn_frontend.0.net.1.weight", {1}},
    {"cnn_frontend.0.net.1.bias", {1}},
    {"cnn_frontend.0.net.3.weight", {32, 1, 1}},
    {"cnn_frontend.0.net.4.weight", {32}},
    {"cnn_frontend.0.net.4.bias", {32}},
    {"cnn_frontend.1.net.0.weight", {32, 1, 5}},
    {"cnn_frontend.1.net.1.weight", {32}},
    {"cnn_frontend.1.net.1.bias", {32}},
    {"cnn_frontend.1.net.3.weight", {64, 32, 1}},
    {"cnn_frontend.1.net.4.weight", {64}},
    {"cnn_frontend.1.net.4.bias", {64}},
    {"gru.weight_ih_l0", {384, 64}},
    {"gru.weight_hh_l0", {384, 128}},
    {"gru.bias_ih_l0", {384}},
    {"gru.bias_hh_l0", {384}},
    {"gru.weight_ih_l1", {384, 128}},
    {"gru.weight_hh_l1", {384, 128}},
    {"gru.bias_ih_l1", {384}},
    {"gru.bias_hh_l1", {384}},
    {"attn.0.weight", {128, 128}},
    {"attn.0.bias", {128}},
    {"attn.2.weight", {1, 128}},
    {"attn.2.bias", {1}},
    {"projection.0.weight", {128, 128}},
    {"projection.0.bias", {128}},
    {"projection.3.weight", {32, 128}},
    {"projection.3.bias", {32}},
};
static const entry published_statistics[] = {
    {"cnn_frontend.0.net.1.running_mean", {1}},  {"cnn_frontend.0.net.1.running_var", {1}},
    {"cnn_frontend.0.net.4.running_mean", {32}}, {"cnn_frontend.0.net.4.running_var", {32}},
    {"cnn_frontend.1.net.1.running_mean", {32}}, {"cnn_frontend.1.net.1.running_var", {32}},
    {"cnn_frontend.1.net.4.running_mean", {64}}, {"cnn_frontend.1.net.4.running_var", {64}},
};
/* The baseline's front end, a Sequential of Conv, BatchNorm, ReLU, MaxPool, Conv, BatchNorm. */
static const entry baseline[] = {
    {"cnn_frontend.0.weight", {64, 1, 7}},   {"cnn_frontend.0.bias", {64}},
    {"cnn_frontend.1.weight", {64}},         {"cnn_frontend.1.bias", {64}},
    {"cnn_frontend.4.weight", {128, 64, 5}}, {"cnn_frontend.4.bias", {128}},
    {"cnn_frontend.5.weight", {128}},        {"cnn_frontend.5.bias", {128}},
    {"gru.weight_ih_l0", {384, 128}},
};

static void check_list(const attune_tensor *tensors, const entry *want, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cr_assert_str_eq(tensors[i].name, want[i].name);
        for (int axis = 0; axis < 3; axis++) {
            const int extent = axis < tensors[i].rank ? tensors[i].shape[axis] : 0;
            cr_assert_eq(extent, want[i].shape[axis], "%s, axis %d: %d", want[i].name, axis,
                         extent);
        }
        cr_assert_eq(tensors[i].front_end, strncmp(want[i].name, "cnn", 3) == 0);
    }
}

/* The front end's tensors are those before the GRU's, and so are its floats. */
static void check_front_end(const attune_trainable *t)
{
    size_t count = 0;
    for (int i = 0; i < t->tensor_count; i++) {
        count += t->tensors[i].front_end ? t->tensors[i].count : 0;
    }
    cr_assert_eq(attune_trainable_front_end(t), count);
    cr_assert_eq(count, t->gru[0].weight_input);
}

static attune_network baseline_network(void)
{
    attune_network network = published_network();
    network.architecture = ATTUNE_ARCHITECTURE_GRU;
    network.pooling = ATTUNE_POOLING_LAST;
    network.features = 128;
    network.attention = 0;
    return network;
}

Test(trainable, names_and_shapes_are_the_published_ones)
{
    const attune_network tiny = published_network(), gru = baseline_network();
    attune_trainable t;
    cr_assert_eq(attune_trainable_layout(&t, &tiny), ATTUNE_OK);
    cr_assert_eq(t.tensor_count, sizeof(published) / sizeof(*published));
    cr_assert_eq(t.running_count, sizeof(published_statistics) / sizeof(*published_statistics));
    check_list(t.tensors, published, sizeof(published) / sizeof(*published));
    check_list(t.running, published_statistics, (size_t)t.running_count);
    check_front_end(&t);
    cr_assert_eq(t.parameter_count, 213352);
    cr_assert_eq(t.statistic_count, 2 * 129);
    cr_assert_eq(attune_trainable_layout(&t, &gru), ATTUNE_OK);
    check_list(t.tensors, baseline, sizeof(baseline) / sizeof(*baseline));
    check_front_end(&t);
    cr_assert_eq(t.parameter_count, 260768);
    cr_assert_eq(t.statistic_count, 2 * (64 + 128));
}

static const attune_tensor *find(const attune_tensor *tensors, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(tensors[i].name, name) == 0) {
            return &tensors[i];
        }
    }
    return NULL;
}

/* Asserts that a field is the place of the tensor of that name. */
static void check_place(const attune_trainable *t, size_t offset, const char *format, int index)
{
    char name[48];
    snprintf(name, sizeof(name), format, index);
    const attune_tensor *tensor = find(t->tensors, t->tensor_count, name);
    cr_assert(tensor && tensor->offset == offset, "%s is not at %zu", name, offset);
}

Test(trainable, tensors_stand_side_by_side_and_where_the_fields_say)
{
    for (int i = 0; i < small_network_count; i++) {
        const attune_network *network = &small_networks[i].network;
        attune_trainable t;
        attune_model *model = random_model(network, 1);
        size_t parameters = 0, statistics = 0;
        cr_assert_eq(attune_trainable_layout(&t, network), ATTUNE_OK);
        for (int j = 0; j < t.tensor_count; j++) {
            cr_assert_eq(t.tensors[j].offset, parameters, "%s", t.tensors[j].name);
            parameters += t.tensors[j].count;
        }
        for (int j = 0; j < t.running_count; j++) {
            cr_assert_eq(t.running[j].offset, statistics, "%s", t.running[j].name);
            statistics += t.running[j].count;
        }
        cr_assert_eq(t.parameter_count, parameters);
        cr_assert_eq(t.parameter_count, attune_model_trainable_count(model));
        cr_assert_eq(t.statistic_count, statistics);
        for (int layer = 0; layer < network->layers; layer++) {
            check_place(&t, t.gru[layer].weight_input, "gru.weight_ih_l%d", layer);
            check_place(&t, t.gru[layer].weight_hidden, "gru.weight_hh_l%d", layer);
            check_place(&t, t.gru[layer].bias_input, "gru.bias_ih_l%d", layer);
            check_place(&t, t.gru[layer].bias_hidden, "gru.bias_hh_l%d", layer);
        }
        if (network->attention) {
            check_place(&t, t.attention_weight, "attn.%d.weight", 0);
            check_place(&t, t.attention_bias, "attn.%d.bias", 0);
            check_place(&t, t.score_weight, "attn.%d.weight", 2);
            check_place(&t, t.score_bias, "attn.%d.bias", 2);
        }
        check_place(&t, t.project1_weight, "projection.%d.weight", 0);
        check_place(&t, t.project1_bias, "projection.%d.bias", 0);
        check_place(&t, t.project2_weight, "projection.%d.weight", 3);
        check_place(&t, t.project2_bias, "projection.%d.bias", 3);
        attune_model_close(model);
    }
    attune_network wrong = published_network();
    attune_trainable t;
    wrong.hidden = 17;
    cr_assert_eq(attune_trainable_layout(&t, &wrong), ATTUNE_EINVAL);
}

/* ---- initial values ---- */

/* What PyTorch's layers begin with: inputs of one output, by which ±1/√inputs is the bound; 0 where
 * the value is fixed. */
static double inputs_of(const char *name, const attune_network *n)
{
    static const struct {
        const char *name;
        double inputs;
    } convolutions[] = {
        {"cnn_frontend.0.net.0.weight", 5}, {"cnn_frontend.0.net.3.weight", 1},
        {"cnn_frontend.1.net.0.weight", 5}, {"cnn_frontend.1.net.3.weight", 32},
        {"cnn_frontend.0.weight", 7},       {"cnn_frontend.0.bias", 7},
        {"cnn_frontend.4.weight", 320},     {"cnn_frontend.4.bias", 320},
    };
    for (size_t i = 0; i < sizeof(convolutions) / sizeof(*convolutions); i++) {
        if (strcmp(name, convolutions[i].name) == 0) {
            return convolutions[i].inputs;
        }
    }
    return strncmp(name, "cnn", 3) == 0             ? 0
           : strncmp(name, "attn.2", 6) == 0        ? n->attention
           : strncmp(name, "projection.3", 12) == 0 ? n->projection
                                                    : n->hidden;
}

static void check_values(const attune_tensor *tensor, const float *values, double inputs)
{
    double largest = 0, sum = 0, squares = 0;
    const double count = (double)tensor->count, bound = inputs > 0 ? 1 / sqrt(inputs) : 0;
    for (size_t i = 0; i < tensor->count; i++) {
        largest = fmax(largest, fabs((double)values[i]));
        sum += (double)values[i];
        squares += (double)values[i] * (double)values[i];
        if (inputs == 0) {
            const bool is_scale = strstr(tensor->name, ".weight") != NULL;
            cr_assert_eq(values[i], is_scale ? 1.0f : 0.0f, "%s", tensor->name);
        }
    }
    if (inputs == 0) {
        return;
    }
    cr_assert(largest <= bound * (1 + 1e-7), "%s: %g beyond %g", tensor->name, largest, bound);
    if (tensor->count > 1000) { /* a uniform distribution's moments; 6 standard errors */
        cr_assert(largest > 0.99 * bound, "%s: no more than %g of %g", tensor->name, largest,
                  bound);
        cr_assert(fabs(sum / count) < 6 * bound / sqrt(3 * count), "%s", tensor->name);
        cr_assert(fabs(squares / count / (bound * bound / 3) - 1) < 6 * 0.9 / sqrt(count), "%s: %g",
                  tensor->name, squares / count / (bound * bound / 3));
    }
}

Test(trainable, initial_values_are_pytorchs)
{
    const attune_network networks[] = {published_network(), baseline_network(),
                                       *find_network("tiny-widths")};
    for (size_t i = 0; i < sizeof(networks) / sizeof(*networks); i++) {
        attune_trainable t;
        cr_assert_eq(attune_trainable_layout(&t, &networks[i]), ATTUNE_OK);
        float *values = malloc(t.parameter_count * sizeof(float)),
              *statistics = malloc(t.statistic_count * sizeof(float));
        attune_trainable_initialise(values, statistics, &t, 7);
        for (int j = 0; j < t.tensor_count; j++) {
            check_values(&t.tensors[j], values + t.tensors[j].offset,
                         inputs_of(t.tensors[j].name, &networks[i]));
        }
        for (int j = 0; j < t.running_count; j++) {
            for (size_t k = 0; k < t.running[j].count; k++) {
                cr_assert_eq(statistics[t.running[j].offset + k],
                             strstr(t.running[j].name, "var") ? 1.0f : 0.0f);
            }
        }
        free(values);
        free(statistics);
    }
}

/* The same numbers on every machine and in every version: computed by Python's integers from the
 * definition of SplitMix64, seed 42. */
Test(trainable, a_seed_gives_the_same_values_everywhere)
{
    static const struct {
        const char *name;
        size_t at;
        float value;
    } known[] = {
        {"cnn_frontend.0.net.0.weight", 0, -0.140163973f},
        {"cnn_frontend.0.net.0.weight", 4, 0.158238247f},
        {"cnn_frontend.1.net.3.weight", 0, -0.113532886f},
        {"cnn_frontend.1.net.3.weight", 2047, 0.0538847819f},
        {"gru.weight_ih_l0", 0, 0.0671631694f},
        {"gru.weight_ih_l0", 24575, 0.0440108553f},
        {"gru.bias_hh_l1", 0, -0.0812852904f},
        {"gru.bias_hh_l1", 383, 0.0636040568f},
        {"attn.2.bias", 0, 0.0440505669f},
        {"projection.3.weight", 0, -0.0409062803f},
        {"projection.3.weight", 4095, -0.061587818f},
        {"projection.3.bias", 0, -0.0432636328f},
        {"projection.3.bias", 31, 0.0251950212f},
    };
    const attune_network network = published_network();
    attune_trainable t;
    cr_assert_eq(attune_trainable_layout(&t, &network), ATTUNE_OK);
    const size_t size = t.parameter_count * sizeof(float);
    float *values = malloc(size), *again = malloc(size), statistics[258];
    attune_trainable_initialise(values, statistics, &t, 42);
    attune_trainable_initialise(again, statistics, &t, 42);
    cr_assert_eq(memcmp(values, again, size), 0);
    attune_trainable_initialise(again, statistics, &t, 43);
    cr_assert_neq(memcmp(values, again, size), 0);
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        const attune_tensor *tensor = find(t.tensors, t.tensor_count, known[i].name);
        cr_assert_eq(values[tensor->offset + known[i].at], known[i].value, "%s[%zu] is %.9g",
                     known[i].name, known[i].at, (double)values[tensor->offset + known[i].at]);
    }
    free(values);
    free(again);
}

/* ---- folding ---- */

typedef struct folding {
    attune_trainable t;
    float *parameters, *statistics;
    attune_model *model;
} folding;

static folding fold_random(const attune_network *network, uint64_t seed)
{
    folding f = {0};
    cr_assert_eq(attune_trainable_layout(&f.t, network), ATTUNE_OK);
    f.parameters = malloc(f.t.parameter_count * sizeof(float));
    f.statistics = malloc(f.t.statistic_count * sizeof(float));
    random_fill(&seed, f.parameters, f.t.parameter_count, 2);
    random_fill(&seed, f.statistics, f.t.statistic_count, 2);
    for (int i = 0; i < f.t.running_count; i++) {
        for (size_t k = 0; strstr(f.t.running[i].name, "var") && k < f.t.running[i].count; k++) {
            float *variance = &f.statistics[f.t.running[i].offset + k];
            *variance = k == 0 ? 0 : fabsf(*variance); /* epsilon alone keeps 0 from dividing */
        }
    }
    cr_assert_eq(attune_trainable_fold(&f.model, &f.t, f.parameters, f.statistics, "runs/best.h5"),
                 ATTUNE_OK);
    return f;
}

static void fold_free(folding *f)
{
    attune_model_close(f->model);
    free(f->parameters);
    free(f->statistics);
}

static const float *named(const folding *f, const char *prefix, int number, const char *suffix)
{
    char name[48];
    snprintf(name, sizeof(name), "%s%d%s", prefix, number, suffix);
    const attune_tensor *tensor = find(f->t.tensors, f->t.tensor_count, name);
    if (tensor) {
        return f->parameters + tensor->offset;
    }
    tensor = find(f->t.running, f->t.running_count, name);
    return tensor ? f->statistics + tensor->offset : NULL;
}

/* A convolution's outputs at one place, for an input of random numbers: by the folded model, and by
 * the convolution and then the batch normalisation, from their definitions. */
static void check_conv(const folding *f, int index, const char *prefix, int conv, int outputs,
                       int inputs)
{
    const float *weight = named(f, prefix, conv, ".weight"),
                *bias = named(f, prefix, conv, ".bias");
    const float *scale = named(f, prefix, conv + 1, ".weight");
    const float *shift = named(f, prefix, conv + 1, ".bias");
    const float *mean = named(f, prefix, conv + 1, ".running_mean");
    const float *variance = named(f, prefix, conv + 1, ".running_var");
    const attune_parameters *p = attune_model_parameters(f->model);
    uint64_t random = (uint64_t)index;
    float x[320];
    random_fill(&random, x, (size_t)inputs, 1);
    for (int i = 0; i < outputs; i++) {
        double convolved = bias ? bias[i] : 0, got = p->conv_bias[index][i];
        double size = fabs(got); /* of the sum's terms: each is rounded once to f32 */
        for (int k = 0; k < inputs; k++) {
            const double term = (double)p->conv_weight[index][i * inputs + k] * (double)x[k];
            convolved += (double)weight[i * inputs + k] * (double)x[k];
            got += term;
            size += fabs(term);
        }
        const double want =
            (double)scale[i] * (convolved - (double)mean[i]) / sqrt((double)variance[i] + 1e-5) +
            (double)shift[i];
        cr_assert(fabs(got - want) <= 1.2e-7 * size + 1e-12, "%s%d, output %d: %.9g, not %.9g",
                  prefix, conv, i, got, want);
    }
}

static void check_copy(const folding *f, const float *got, const char *prefix, int number,
                       const char *suffix, size_t count)
{
    const float *want = named(f, prefix, number, suffix);
    cr_assert(want && memcmp(got, want, count * sizeof(float)) == 0, "%s%d%s", prefix, number,
              suffix);
}

Test(trainable, folding_is_batch_normalisation_after_convolution)
{
    for (int i = 0; i < small_network_count; i++) {
        const attune_network *n = &small_networks[i].network;
        const size_t H = (size_t)n->hidden, A = (size_t)n->attention, P = (size_t)n->projection;
        folding f = fold_random(n, (uint64_t)i);
        const attune_parameters *p = attune_model_parameters(f.model);
        if (n->architecture == ATTUNE_ARCHITECTURE_TINY) {
            check_conv(&f, 0, "cnn_frontend.0.net.", 0, 1, 5);
            check_conv(&f, 1, "cnn_frontend.0.net.", 3, 32, 1);
            check_conv(&f, 2, "cnn_frontend.1.net.", 0, 32, 5);
            check_conv(&f, 3, "cnn_frontend.1.net.", 3, 64, 32);
        } else {
            check_conv(&f, 0, "cnn_frontend.", 0, 64, 7);
            check_conv(&f, 1, "cnn_frontend.", 4, 128, 320);
        }
        for (int l = 0; l < n->layers; l++) {
            const size_t I = l ? H : (size_t)n->features;
            check_copy(&f, p->gru[l].weight_input, "gru.weight_ih_l", l, "", 3 * H * I);
            check_copy(&f, p->gru[l].weight_hidden, "gru.weight_hh_l", l, "", 3 * H * H);
            check_copy(&f, p->gru[l].bias_input, "gru.bias_ih_l", l, "", 3 * H);
            check_copy(&f, p->gru[l].bias_hidden, "gru.bias_hh_l", l, "", 3 * H);
        }
        if (A) {
            check_copy(&f, p->attention_weight, "attn.", 0, ".weight", A * H);
            check_copy(&f, p->attention_bias, "attn.", 0, ".bias", A);
            check_copy(&f, p->score_weight, "attn.", 2, ".weight", A);
            check_copy(&f, p->score_bias, "attn.", 2, ".bias", 1);
        }
        check_copy(&f, p->project1_weight, "projection.", 0, ".weight", P * H);
        check_copy(&f, p->project1_bias, "projection.", 0, ".bias", P);
        check_copy(&f, p->project2_weight, "projection.", 3, ".weight", (size_t)n->embedding * P);
        check_copy(&f, p->project2_bias, "projection.", 3, ".bias", (size_t)n->embedding);
        cr_assert_str_eq(attune_model_name(f.model), "best.h5");
        fold_free(&f);
    }
}
