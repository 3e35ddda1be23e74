/* trainable.c - where each tensor of a network stands, its initial values, and its folding. */
#include "model/trainable.h"

#include "model/random.h"
#include "status/error.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- layout ---- */

/* Adds a tensor behind the last; returns its offset. The rank is the number of extents above 0. */
static size_t add(attune_tensor *tensors, int *tensor_count, size_t *count, const char *name,
                  const int shape[3])
{
    attune_tensor *tensor = &tensors[(*tensor_count)++];
    *tensor = (attune_tensor){.offset = *count, .count = 1};
    snprintf(tensor->name, sizeof(tensor->name), "%s", name);
    for (int i = 0; i < 3 && shape[i] > 0; i++) {
        tensor->shape[tensor->rank++] = shape[i];
        tensor->count *= (size_t)shape[i];
    }
    tensor->front_end = strncmp(name, "cnn_frontend.", 13) == 0;
    *count += tensor->count;
    return tensor->offset;
}

static size_t parameter(attune_trainable *t, const char *name, int a, int b, int c)
{
    assert(t->tensor_count < ATTUNE_TENSORS_MAX);
    return add(t->tensors, &t->tensor_count, &t->parameter_count, name, (const int[]){a, b, c});
}

static size_t statistic(attune_trainable *t, const char *name, int a)
{
    assert(t->running_count < ATTUNE_STATISTICS_MAX);
    return add(t->running, &t->running_count, &t->statistic_count, name, (const int[]){a, 0, 0});
}

/* A convolution and its batch normalisation. */
static void add_conv(attune_trainable *t, const attune_conv *conv)
{
    const int outputs = conv->outputs;
    attune_trainable_conv *c = &t->conv[t->conv_count++];
    char name[48];
    *c = (attune_trainable_conv){
        .taps = conv->taps, .inputs = conv->inputs, .outputs = outputs, .has_bias = conv->has_bias};
    snprintf(name, sizeof(name), "%s.weight", conv->name);
    c->weight = parameter(t, name, outputs, conv->inputs, conv->taps);
    if (conv->has_bias) {
        snprintf(name, sizeof(name), "%s.bias", conv->name);
        c->bias = parameter(t, name, outputs, 0, 0);
    }
    snprintf(name, sizeof(name), "%s.weight", conv->norm);
    c->scale = parameter(t, name, outputs, 0, 0);
    snprintf(name, sizeof(name), "%s.bias", conv->norm);
    c->shift = parameter(t, name, outputs, 0, 0);
    snprintf(name, sizeof(name), "%s.running_mean", conv->norm);
    c->mean = statistic(t, name, outputs);
    snprintf(name, sizeof(name), "%s.running_var", conv->norm);
    c->variance = statistic(t, name, outputs);
}

static void add_gru(attune_trainable *t, int layer)
{
    const int H = t->network.hidden, I = layer == 0 ? t->network.features : H;
    attune_trainable_gru *gru = &t->gru[layer];
    char name[48];
    snprintf(name, sizeof(name), "gru.weight_ih_l%d", layer);
    gru->weight_input = parameter(t, name, 3 * H, I, 0);
    snprintf(name, sizeof(name), "gru.weight_hh_l%d", layer);
    gru->weight_hidden = parameter(t, name, 3 * H, H, 0);
    snprintf(name, sizeof(name), "gru.bias_ih_l%d", layer);
    gru->bias_input = parameter(t, name, 3 * H, 0, 0);
    snprintf(name, sizeof(name), "gru.bias_hh_l%d", layer);
    gru->bias_hidden = parameter(t, name, 3 * H, 0, 0);
}

attune_status attune_trainable_layout(attune_trainable *out, const attune_network *network)
{
    attune_status status = attune_network_check(network);
    const int H = network->hidden, A = network->attention, P = network->projection;
    if (status) {
        return status;
    }
    *out = (attune_trainable){.network = *network};
    const attune_conv *conv = NULL;
    for (int i = 0; (conv = attune_conv_of(network->architecture, i)); i++) {
        add_conv(out, conv);
    }
    for (int i = 0; i < network->layers; i++) {
        add_gru(out, i);
    }
    if (network->pooling == ATTUNE_POOLING_ATTENTION) {
        out->attention_weight = parameter(out, "attn.0.weight", A, H, 0);
        out->attention_bias = parameter(out, "attn.0.bias", A, 0, 0);
        out->score_weight = parameter(out, "attn.2.weight", 1, A, 0);
        out->score_bias = parameter(out, "attn.2.bias", 1, 0, 0);
    }
    out->project1_weight = parameter(out, "projection.0.weight", P, H, 0);
    out->project1_bias = parameter(out, "projection.0.bias", P, 0, 0);
    out->project2_weight = parameter(out, "projection.3.weight", network->embedding, P, 0);
    out->project2_bias = parameter(out, "projection.3.bias", network->embedding, 0, 0);
    return ATTUNE_OK;
}

uint64_t attune_model_trainable_count(const attune_model *model)
{
    attune_trainable trainable;
    const attune_status status = attune_trainable_layout(&trainable, &model->network);
    return status == ATTUNE_OK ? trainable.parameter_count : 0;
}

/* ---- initial values ---- */

static void fill_uniform(float *out, size_t count, double bound, attune_random *random)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)(bound * (2 * attune_random_uniform(random) - 1));
    }
}

size_t attune_trainable_front_end(const attune_trainable *trainable)
{
    int i = 0;
    while (trainable->tensors[i].front_end) { /* the GRU's come behind */
        i++;
    }
    return trainable->tensors[i].offset;
}

static void fill(float *out, int count, float value)
{
    for (int i = 0; i < count; i++) {
        out[i] = value;
    }
}

void attune_trainable_initialise(float *parameters, float *statistics, const attune_trainable *t,
                                 uint64_t seed)
{
    double bound = 0;
    for (int i = 0; i < t->tensor_count; i++) {
        const attune_tensor *tensor = &t->tensors[i];
        attune_random random = attune_random_of(seed, (uint64_t)i);
        if (strncmp(tensor->name, "gru.", 4) == 0) {
            bound = 1 / sqrt(t->network.hidden);
        } else if (tensor->rank > 1) { /* a bias has its weight's fan-in */
            bound = 1 / sqrt((double)tensor->count / tensor->shape[0]);
        }
        fill_uniform(parameters + tensor->offset, tensor->count, bound, &random);
    }
    for (int i = 0; i < t->conv_count; i++) {
        const attune_trainable_conv *c = &t->conv[i];
        fill(parameters + c->scale, c->outputs, 1);
        fill(parameters + c->shift, c->outputs, 0);
        fill(statistics + c->mean, c->outputs, 0);
        fill(statistics + c->variance, c->outputs, 1);
    }
}

/* ---- folding ---- */

static void fold_conv(float *weight, float *bias, const attune_trainable_conv *c,
                      const float *parameters, const float *statistics)
{
    const int K = c->inputs * c->taps;
    for (int i = 0; i < c->outputs; i++) {
        const double scale = parameters[c->scale + i] / sqrt((double)statistics[c->variance + i] +
                                                             (double)ATTUNE_BATCH_NORM_EPSILON);
        const double before = c->has_bias ? parameters[c->bias + i] : 0;
        for (int k = 0; k < K; k++) {
            weight[i * K + k] = (float)(parameters[c->weight + i * K + k] * scale);
        }
        bias[i] = (float)(parameters[c->shift + i] + (before - statistics[c->mean + i]) * scale);
    }
}

static void copy(float *out, const float *parameters, size_t offset, size_t count)
{
    memcpy(out, parameters + offset, count * sizeof(float));
}

attune_status attune_trainable_fold(attune_model **out, const attune_trainable *t,
                                    const float *parameters, const float *statistics,
                                    const char *name)
{
    const size_t H = (size_t)t->network.hidden, A = (size_t)t->network.attention,
                 P = (size_t)t->network.projection, E = (size_t)t->network.embedding;
    attune_status status = attune_model_create(out, &t->network, name);
    if (status) {
        return status;
    }
    attune_parameters *p = &(*out)->parameters;
    for (int i = 0; i < t->conv_count; i++) {
        fold_conv(p->conv_weight[i], p->conv_bias[i], &t->conv[i], parameters, statistics);
    }
    for (int i = 0; i < t->network.layers; i++) {
        const size_t I = i == 0 ? (size_t)t->network.features : H;
        copy(p->gru[i].weight_input, parameters, t->gru[i].weight_input, 3 * H * I);
        copy(p->gru[i].weight_hidden, parameters, t->gru[i].weight_hidden, 3 * H * H);
        copy(p->gru[i].bias_input, parameters, t->gru[i].bias_input, 3 * H);
        copy(p->gru[i].bias_hidden, parameters, t->gru[i].bias_hidden, 3 * H);
    }
    if (A > 0) {
        copy(p->attention_weight, parameters, t->attention_weight, A * H);
        copy(p->attention_bias, parameters, t->attention_bias, A);
        copy(p->score_weight, parameters, t->score_weight, A);
        copy(p->score_bias, parameters, t->score_bias, 1);
    }
    copy(p->project1_weight, parameters, t->project1_weight, P * H);
    copy(p->project1_bias, parameters, t->project1_bias, P);
    copy(p->project2_weight, parameters, t->project2_weight, E * P);
    copy(p->project2_bias, parameters, t->project2_bias, E);
    return ATTUNE_OK;
}
