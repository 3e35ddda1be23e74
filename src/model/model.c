/* model.c - a network's shape, and the memory that holds its parameters.
 *
 * All parameters lie in one block, each array on a 64-byte boundary, in the order in which the
 * forward pass reads them; gaps are zero. */
#include "model/parameters.h"
#include "status/error.h"
#include "status/path.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIGNMENT = 64, /* bytes; a cache line, and the widest vector */
    ARRAYS_MAX = 8 + 4 * ATTUNE_LAYERS_MAX + 8,
};

/* One array of parameters: where its address goes, and how many floats it has. */
typedef struct array {
    float **slot;
    size_t count;
} array;

const attune_conv *attune_conv_of(attune_architecture architecture, int index)
{
    /* name, norm, outputs, inputs, taps, stride, padding, groups, has_bias */
    static const attune_conv TINY[] = {
        {"cnn_frontend.0.net.0", "cnn_frontend.0.net.1", 1, 1, 5, 2, 2, 1, false},
        {"cnn_frontend.0.net.3", "cnn_frontend.0.net.4", 32, 1, 1, 1, 0, 1, false},
        {"cnn_frontend.1.net.0", "cnn_frontend.1.net.1", 32, 1, 5, 2, 2, 32, false},
        {"cnn_frontend.1.net.3", "cnn_frontend.1.net.4", 64, 32, 1, 1, 0, 1, false},
    };
    static const attune_conv BASELINE[] = {
        {"cnn_frontend.0", "cnn_frontend.1", 64, 1, 7, 2, 3, 1, true},
        {"cnn_frontend.4", "cnn_frontend.5", 128, 64, 5, 2, 2, 1, true},
    };
    const bool tiny = architecture == ATTUNE_ARCHITECTURE_TINY;
    return index < 0 || index >= (tiny ? 4 : 2) ? NULL : tiny ? &TINY[index] : &BASELINE[index];
}

size_t attune_conv_weight_count(attune_architecture architecture, int index)
{
    const attune_conv *c = attune_conv_of(architecture, index);
    return c ? (size_t)(c->outputs * c->inputs * c->taps) : 0;
}

size_t attune_conv_bias_count(attune_architecture architecture, int index)
{
    const attune_conv *c = attune_conv_of(architecture, index);
    return c ? (size_t)c->outputs : 0;
}

static bool is_between(int value, int least, int most)
{
    return value >= least && value <= most;
}

attune_status attune_network_check(const attune_network *n)
{
    const char *wrong = NULL;
    bool tiny = n->architecture == ATTUNE_ARCHITECTURE_TINY;
    bool attends = n->pooling == ATTUNE_POOLING_ATTENTION;
    if (!tiny && n->architecture != ATTUNE_ARCHITECTURE_GRU) {
        wrong = "architecture";
    } else if (!attends && n->pooling != ATTUNE_POOLING_MEAN && n->pooling != ATTUNE_POOLING_LAST) {
        wrong = "pooling";
    } else if (n->sample_rate < 1) {
        wrong = "sample_rate";
    } else if (!is_between(n->frame_size, 256, 16384) || n->frame_size % 256 != 0) {
        wrong = "frame_size";
    } else if (n->hop_size != n->frame_size && n->hop_size != n->frame_size / 2) {
        wrong = "hop_size";
    } else if (n->features != (tiny ? 64 : 128)) {
        wrong = "features";
    } else if (!is_between(n->hidden, 16, 1024) || n->hidden % 16 != 0) {
        wrong = "hidden";
    } else if (!is_between(n->layers, 1, ATTUNE_LAYERS_MAX)) {
        wrong = "layers";
    } else if (!is_between(n->attention, attends, attends ? 1024 : 0)) {
        wrong = "attention";
    } else if (!is_between(n->projection, 1, 1024)) {
        wrong = "projection";
    } else if (!is_between(n->embedding, 1, 1024)) {
        wrong = "embedding";
    }
    return wrong ? attune_fail(ATTUNE_EINVAL, "a network's %s is out of bounds", wrong) : ATTUNE_OK;
}

/* Every array of the network, in order; returns how many. */
static int list_arrays(array *out, attune_parameters *p, const attune_network *n)
{
    size_t hidden = (size_t)n->hidden, attention = (size_t)n->attention;
    size_t projection = (size_t)n->projection, embedding = (size_t)n->embedding;
    int count = 0;
    for (int i = 0; i < 4; i++) {
        out[count++] = (array){&p->conv_weight[i], attune_conv_weight_count(n->architecture, i)};
        out[count++] = (array){&p->conv_bias[i], attune_conv_bias_count(n->architecture, i)};
    }
    for (int i = 0; i < n->layers; i++) {
        size_t inputs = i == 0 ? (size_t)n->features : hidden;
        out[count++] = (array){&p->gru[i].weight_input, 3 * hidden * inputs};
        out[count++] = (array){&p->gru[i].weight_hidden, 3 * hidden * hidden};
        out[count++] = (array){&p->gru[i].bias_input, 3 * hidden};
        out[count++] = (array){&p->gru[i].bias_hidden, 3 * hidden};
    }
    out[count++] = (array){&p->attention_weight, attention * hidden};
    out[count++] = (array){&p->attention_bias, attention};
    out[count++] = (array){&p->score_weight, attention};
    out[count++] = (array){&p->score_bias, attention ? 1 : 0};
    out[count++] = (array){&p->project1_weight, projection * hidden};
    out[count++] = (array){&p->project1_bias, projection};
    out[count++] = (array){&p->project2_weight, embedding * projection};
    out[count++] = (array){&p->project2_bias, embedding};
    assert(count <= ARRAYS_MAX);
    return count;
}

static attune_status place_arrays(attune_model *model)
{
    array arrays[ARRAYS_MAX];
    int count = list_arrays(arrays, &model->parameters, &model->network);
    size_t step = ALIGNMENT / sizeof(float), total = 0;
    for (int i = 0; i < count; i++) {
        model->parameter_count += arrays[i].count;
        total += (arrays[i].count + step - 1) / step * step;
    }
    model->arena = aligned_alloc(ALIGNMENT, total * sizeof(float));
    if (!model->arena) {
        return attune_fail_memory("a model's parameters", total * sizeof(float));
    }
    memset(model->arena, 0, total * sizeof(float));
    float *at = model->arena;
    for (int i = 0; i < count; i++) {
        *arrays[i].slot = arrays[i].count > 0 ? at : NULL;
        at += (arrays[i].count + step - 1) / step * step;
    }
    return ATTUNE_OK;
}

attune_status attune_model_create(attune_model **out, const attune_network *network,
                                  const char *name)
{
    attune_status status = attune_network_check(network);
    attune_model *model = NULL;
    *out = NULL;
    if (status) {
        return status;
    }
    model = calloc(1, sizeof(*model));
    if (!model) {
        return attune_fail_memory("a model", sizeof(*model));
    }
    model->network = *network;
    model->name = strdup(attune_file_name(name));
    status = model->name ? place_arrays(model) : attune_fail_memory("a model's name", strlen(name));
    if (status) {
        attune_model_close(model);
        return status;
    }
    *out = model;
    return ATTUNE_OK;
}

void attune_model_close(attune_model *model)
{
    if (!model) {
        return;
    }
    free(model->arena);
    free(model->name);
    free(model);
}

const attune_network *attune_model_network(const attune_model *model)
{
    return &model->network;
}

const char *attune_model_name(const attune_model *model)
{
    return model->name;
}

const char *attune_model_sha256(const attune_model *model)
{
    return model->sha256;
}

const attune_parameters *attune_model_parameters(const attune_model *model)
{
    return &model->parameters;
}

uint64_t attune_model_parameter_count(const attune_model *model)
{
    return model->parameter_count;
}

const char *attune_architecture_name(attune_architecture architecture)
{
    return architecture == ATTUNE_ARCHITECTURE_GRU ? "AudioEmbeddingGRU" : "AudioEmbeddingTiny";
}

const char *attune_pooling_name(attune_pooling pooling)
{
    return pooling == ATTUNE_POOLING_ATTENTION ? "attention"
           : pooling == ATTUNE_POOLING_MEAN    ? "mean"
                                               : "last";
}

uint64_t attune_network_frames(const attune_network *network, uint64_t samples)
{
    uint64_t frame = (uint64_t)network->frame_size;
    return samples <= frame ? 1 : (samples - frame) / (uint64_t)network->hop_size + 1;
}

void attune_gates_swap(float *out, const float *in, size_t hidden, size_t width)
{
    static const size_t GATE[] = {1, 0, 2};
    const size_t block = hidden * width;
    for (size_t i = 0; i < 3; i++) {
        memcpy(out + i * block, in + GATE[i] * block, block * sizeof(float));
    }
}
