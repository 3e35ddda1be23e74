/* onnx_write.c - a model as an ONNX file: the graph of MECOMP's published one, for every network.
 *
 *   audio (B, S) -> frames (B F, 1, N) -> convolutions -> mean -> (B, F, C) -> GRU layers
 *     -> pooling (B, H) -> Gemm, GELU or ReLU, Gemm (B, E) -> divided by its norm: embedding
 *
 * Batch and samples stay open: extents of the audio are computed in the graph. The reader,
 * onnx_read.c, takes it apart again to the same bits. */
#include "model/onnx_graph.h"
#include "status/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPSET_GELU = 20, OPSET_ERF = 17, SAMPLE_RATE = 22050 };

/* Opsets from this on take the axes of ReduceMean and ReduceL2 as an input. */
enum { OPSET_REDUCE_AXES = 18 };

typedef struct writing {
    onnx_graph *graph;
    const attune_model *model;
    const char *batch; /* B as a list of one */
} writing;

static const char *list(onnx_graph *g, int64_t number)
{
    return onnx_graph_integers(g, 1, &number);
}

/* Squeeze or Unsqueeze. */
static const char *over_axis(onnx_graph *g, const char *op, const char *in, int64_t axis)
{
    return ONNX_EMIT(g, op, in, list(g, axis));
}

static const char *slice(onnx_graph *g, const char *in, const char *from, const char *to)
{
    return ONNX_EMIT(g, "Slice", in, from, to, list(g, 1), list(g, 1));
}

static const char *transpose(onnx_graph *g, const char *in)
{
    const int64_t order[] = {1, 0, 2};
    const char *out = ONNX_EMIT(g, "Transpose", in);
    onnx_graph_ints(g, "perm", 3, order);
    return out;
}

static const char *concat(onnx_graph *g, int64_t axis, const char *a, const char *b, const char *c)
{
    const char *out = ONNX_EMIT(g, "Concat", a, b, c);
    onnx_graph_int(g, "axis", axis);
    return out;
}

/* ReduceMean or ReduceL2 over axis 1. */
static const char *reduce(onnx_graph *g, const char *op, const char *in, bool keep)
{
    const int64_t axis = 1;
    const char *out;
    if (g->opset >= OPSET_REDUCE_AXES) {
        out = ONNX_EMIT(g, op, in, list(g, axis));
    } else {
        out = ONNX_EMIT(g, op, in);
        onnx_graph_ints(g, "axes", 1, &axis);
    }
    onnx_graph_int(g, "keepdims", keep);
    return out;
}

/* (B, S) -> (B F, 1, N). A frame of two hops is two rows of one hop, side by side. */
static const char *write_frames(writing *w)
{
    onnx_graph *g = w->graph;
    const attune_network *n = &w->model->network;
    const char *shape = ONNX_EMIT(g, "Shape", "audio");
    const char *batch = ONNX_EMIT(g, "Gather", shape, onnx_graph_integer(g, 0));
    onnx_graph_int(g, "axis", 0);
    w->batch = over_axis(g, "Unsqueeze", batch, 0);
    const char *samples = ONNX_EMIT(g, "Gather", shape, onnx_graph_integer(g, 1));
    onnx_graph_int(g, "axis", 0);
    const char *hop = onnx_graph_integer(g, n->hop_size);
    const char *rows = ONNX_EMIT(g, "Div", samples, hop);
    const char *end = ONNX_EMIT(g, "Mul", rows, hop);
    const char *in = slice(g, "audio", list(g, 0), over_axis(g, "Unsqueeze", end, 0));
    const char *count = over_axis(g, "Unsqueeze", rows, 0);
    in = ONNX_EMIT(g, "Reshape", in, concat(g, 0, w->batch, count, list(g, n->hop_size)));
    if (n->hop_size != n->frame_size) {
        const char *earlier = slice(g, in, list(g, 0), list(g, -1));
        const char *later = slice(g, in, list(g, 1), list(g, INT64_MAX));
        in = ONNX_EMIT(g, "Concat", earlier, later);
        onnx_graph_int(g, "axis", 2);
    }
    const int64_t frames[] = {-1, 1, n->frame_size};
    return ONNX_EMIT(g, "Reshape", in, onnx_graph_integers(g, 3, frames));
}

/* GELU or ReLU. */
static const char *activate(writing *w, const char *in)
{
    onnx_graph *g = w->graph;
    if (w->model->network.architecture == ATTUNE_ARCHITECTURE_GRU) {
        return ONNX_EMIT(g, "Relu", in);
    }
    if (g->opset >= OPSET_GELU) {
        const char *out = ONNX_EMIT(g, "Gelu", in);
        onnx_graph_text(g, "approximate", "none");
        return out;
    }
    const char *out = ONNX_EMIT(g, "Div", in, onnx_graph_number(g, "sqrt_2", (float)sqrt(2)));
    out = ONNX_EMIT(g, "Erf", out);
    out = ONNX_EMIT(g, "Add", out, onnx_graph_number(g, "one", 1));
    out = ONNX_EMIT(g, "Mul", in, out);
    return ONNX_EMIT(g, "Mul", out, onnx_graph_number(g, "half", 0.5f));
}

static const char *write_conv(writing *w, const char *in, int index, const attune_conv *conv)
{
    onnx_graph *g = w->graph;
    const attune_parameters *p = &w->model->parameters;
    const int64_t shape[] = {conv->outputs, conv->inputs, conv->taps}, stride = conv->stride,
                  pads[] = {conv->padding, conv->padding}, one = 1;
    char weight[ONNX_NAME_MAX], bias[ONNX_NAME_MAX];
    snprintf(weight, sizeof(weight), "%s.weight", conv->name);
    snprintf(bias, sizeof(bias), "%s.bias", conv->name);
    const char *out =
        ONNX_EMIT(g, "Conv", in, onnx_graph_floats(g, weight, 3, shape, p->conv_weight[index]),
                  onnx_graph_floats(g, bias, 1, shape, p->conv_bias[index]));
    onnx_graph_ints(g, "dilations", 1, &one);
    onnx_graph_int(g, "group", conv->groups);
    onnx_graph_ints(g, "kernel_shape", 1, &shape[2]);
    onnx_graph_ints(g, "pads", 2, pads);
    onnx_graph_ints(g, "strides", 1, &stride);
    return activate(w, out);
}

/* (B F, 1, N) -> (B F, C, positions). AudioEmbeddingGRU pools between its two convolutions. */
static const char *write_convs(writing *w, const char *in)
{
    static const int64_t TWO = 2;
    onnx_graph *g = w->graph;
    const attune_architecture architecture = w->model->network.architecture;
    const attune_conv *conv = NULL;
    for (int i = 0; (conv = attune_conv_of(architecture, i)); i++) {
        if (architecture == ATTUNE_ARCHITECTURE_GRU && i == 1) {
            in = ONNX_EMIT(g, "MaxPool", in);
            onnx_graph_ints(g, "kernel_shape", 1, &TWO);
            onnx_graph_ints(g, "strides", 1, &TWO);
        }
        in = write_conv(w, in, i, conv);
    }
    return in;
}

/* (B F, 1, N) -> (B, F, C). */
static const char *write_front_end(writing *w, const char *in)
{
    onnx_graph *g = w->graph;
    in = write_convs(w, in);
    in = over_axis(g, "Squeeze", ONNX_EMIT(g, "GlobalAveragePool", in), 2);
    const char *features = list(g, w->model->network.features);
    return ONNX_EMIT(g, "Reshape", in, concat(g, 0, w->batch, list(g, -1), features));
}

static const char *gates(writing *w, const char *what, int layer, const float *in, int width)
{
    const int64_t hidden = w->model->network.hidden, shape[] = {1, 3 * hidden, width};
    float *out = onnx_graph_allocate(w->graph, (size_t)(3 * hidden * width));
    char name[ONNX_NAME_MAX];
    attune_gates_swap(out, in, (size_t)hidden, (size_t)width);
    snprintf(name, sizeof(name), "gru.%s_l%d", what, layer);
    return onnx_graph_floats(w->graph, name, 3, shape, out);
}

/* (1, 6H): the input's biases, then the recurrent ones. */
static const char *gate_biases(writing *w, int layer)
{
    const attune_gru_parameters *gru = &w->model->parameters.gru[layer];
    const size_t hidden = (size_t)w->model->network.hidden;
    const int64_t shape[] = {1, 6 * (int64_t)hidden};
    float *out = onnx_graph_allocate(w->graph, 6 * hidden);
    char name[ONNX_NAME_MAX];
    attune_gates_swap(out, gru->bias_input, hidden, 1);
    attune_gates_swap(out + 3 * hidden, gru->bias_hidden, hidden, 1);
    snprintf(name, sizeof(name), "gru.bias_l%d", layer);
    return onnx_graph_floats(w->graph, name, 2, shape, out);
}

/* (B, F, C) -> the top layer's states (F, B, H), and its last, (1, B, H). */
static const char *write_gru(writing *w, const char *in, const char **last)
{
    onnx_graph *g = w->graph;
    const attune_network *n = &w->model->network;
    in = transpose(g, in);
    for (int i = 0; i < n->layers; i++) {
        const attune_gru_parameters *gru = &w->model->parameters.gru[i];
        const char *input =
            gates(w, "weight_ih", i, gru->weight_input, i == 0 ? n->features : n->hidden);
        const char *hidden = gates(w, "weight_hh", i, gru->weight_hidden, n->hidden);
        const char *states = ONNX_EMIT(g, "GRU", in, input, hidden, gate_biases(w, i));
        onnx_graph_int(g, "hidden_size", n->hidden);
        onnx_graph_int(g, "linear_before_reset", 1);
        *last = onnx_graph_second(g);
        if (i + 1 < n->layers || n->pooling != ATTUNE_POOLING_LAST) {
            in = over_axis(g, "Squeeze", states, 1);
        }
    }
    return in;
}

/* in (.., inputs) times weight (outputs, inputs), plus bias, on three axes. */
static const char *write_product(writing *w, const char *in, const char *name, const float *weight,
                                 const float *bias, int outputs, int inputs)
{
    onnx_graph *g = w->graph;
    const int64_t shape[] = {inputs, outputs};
    float *turned = onnx_graph_allocate(g, (size_t)inputs * (size_t)outputs);
    char full[ONNX_NAME_MAX];
    for (int o = 0; o < outputs; o++) {
        for (int i = 0; i < inputs; i++) {
            turned[(size_t)i * outputs + o] = weight[(size_t)o * inputs + i];
        }
    }
    snprintf(full, sizeof(full), "%s.weight", name);
    const char *out = ONNX_EMIT(g, "MatMul", in, onnx_graph_floats(g, full, 2, shape, turned));
    snprintf(full, sizeof(full), "%s.bias", name);
    return ONNX_EMIT(g, "Add", onnx_graph_floats(g, full, 1, shape + 1, bias), out);
}

/* (B, F, H) -> (B, H). */
static const char *write_attention(writing *w, const char *states)
{
    onnx_graph *g = w->graph;
    const attune_network *n = &w->model->network;
    const attune_parameters *p = &w->model->parameters;
    const char *in = write_product(w, states, "attn.0", p->attention_weight, p->attention_bias,
                                   n->attention, n->hidden);
    in = ONNX_EMIT(g, "Tanh", in);
    in = write_product(w, in, "attn.2", p->score_weight, p->score_bias, 1, n->attention);
    in = ONNX_EMIT(g, "Softmax", over_axis(g, "Squeeze", in, 2));
    onnx_graph_int(g, "axis", 1);
    in = ONNX_EMIT(g, "Mul", states, over_axis(g, "Unsqueeze", in, -1));
    in = ONNX_EMIT(g, "ReduceSum", in, list(g, 1));
    onnx_graph_int(g, "keepdims", 0);
    return in;
}

static const char *write_linear(writing *w, const char *in, const char *name, const float *weight,
                                const float *bias, int outputs, int inputs)
{
    onnx_graph *g = w->graph;
    const int64_t shape[] = {outputs, inputs};
    char full[ONNX_NAME_MAX];
    snprintf(full, sizeof(full), "%s.weight", name);
    const char *weights = onnx_graph_floats(g, full, 2, shape, weight);
    snprintf(full, sizeof(full), "%s.bias", name);
    const char *out = ONNX_EMIT(g, "Gemm", in, weights, onnx_graph_floats(g, full, 1, shape, bias));
    onnx_graph_int(g, "transB", 1);
    return out;
}

static void write_network(writing *w)
{
    onnx_graph *g = w->graph;
    const attune_network *n = &w->model->network;
    const attune_parameters *p = &w->model->parameters;
    const char *last = NULL;
    const char *in = write_gru(w, write_front_end(w, write_frames(w)), &last);
    if (n->pooling == ATTUNE_POOLING_LAST) {
        in = over_axis(g, "Squeeze", last, 0);
    } else {
        in = transpose(g, in);
        in = n->pooling == ATTUNE_POOLING_MEAN ? reduce(g, "ReduceMean", in, false)
                                               : write_attention(w, in);
    }
    in = write_linear(w, in, "projection.0", p->project1_weight, p->project1_bias, n->projection,
                      n->hidden);
    in = write_linear(w, activate(w, in), "projection.3", p->project2_weight, p->project2_bias,
                      n->embedding, n->projection);
    const char *norm = reduce(g, "ReduceL2", in, true);
    norm = ONNX_EMIT(g, "Clip", norm, onnx_graph_number(g, "least_norm", 1e-12f));
    ONNX_EMIT(g, "Div", in, norm);
    onnx_graph_rename(g, "embedding");
    onnx_graph_value(&g->input, "audio", "batch_size", "num_samples", 0);
    onnx_graph_value(&g->output, "embedding", "batch_size", NULL, n->embedding);
}

/* Gaps between the arrays of a model are zero. */
static bool is_finite(const attune_model *model)
{
    const float *end = model->parameters.project2_bias + model->network.embedding;
    for (const float *at = model->arena; at < end; at++) {
        if (!isfinite(*at)) {
            return false;
        }
    }
    return true;
}

static attune_status check(const attune_model *model, int opset)
{
    if (opset != OPSET_GELU && opset != OPSET_ERF) {
        return attune_fail(ATTUNE_EINVAL, "opset %d: ONNX is written in opset %d or %d", opset,
                           OPSET_GELU, OPSET_ERF);
    }
    if (model->network.sample_rate != SAMPLE_RATE) {
        return attune_fail(ATTUNE_EDATA,
                           "%s: is for audio at %d Hz, which ONNX does not record; %d Hz alone "
                           "can be written",
                           model->name, model->network.sample_rate, SAMPLE_RATE);
    }
    return is_finite(model)
               ? ATTUNE_OK
               : attune_fail(ATTUNE_EDATA, "%s: holds a parameter that is not finite", model->name);
}

attune_status attune_model_write_onnx(void **bytes, size_t *size, const attune_model *model,
                                      const attune_onnx_options *options)
{
    const int opset = options && options->opset ? options->opset : OPSET_GELU;
    char network[512];
    *bytes = NULL;
    attune_status status = check(model, opset);
    if (status != ATTUNE_OK) {
        return status;
    }
    /* What is rearranged, the GRU's gates and two matrices, is part of the parameters. */
    writing w = {.graph = onnx_graph_new(opset, model->parameter_count), .model = model};
    if (!w.graph) {
        return attune_fail_memory("an ONNX model", model->parameter_count * sizeof(float));
    }
    onnx_graph_describe(w.graph, "name", options && options->name ? options->name : model->name);
    onnx_graph_describe(w.graph, "network",
                        attune_network_json(&model->network, network, sizeof(network)));
    write_network(&w);
    *size = onnx__model_proto__get_packed_size(&w.graph->model);
    *bytes = malloc(*size);
    if (*bytes) {
        onnx__model_proto__pack(&w.graph->model, *bytes);
    } else {
        status = attune_fail_memory("an ONNX model", *size);
    }
    free(w.graph);
    return status;
}
