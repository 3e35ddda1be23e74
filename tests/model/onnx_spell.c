/* onnx_spell.c - a model as an ONNX file.
 *
 * Written from the ONNX operators' documentation and not from the reader, so that the two check
 * each other; tools/make_test_models.py --built runs the files in ONNX Runtime. */
#include "tests/model/onnx_spell.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const spelling spellings[] = {
    {.name = "plain"},
    {.name = "opset11", .opset = 11, .passes = true},
    {.name = "opset12", .opset = 12, .constants = CONSTANT_NODE_VALUES, .norm = NORM_MAX},
    {.name = "opset13", .opset = 13, .norm = NORM_CLIP, .constants = CONSTANT_NODE},
    {.name = "opset18", .opset = 18, .gelu = GELU_HALF_FIRST, .mean = MEAN_REDUCE_KEEP},
    {.name = "opset20", .opset = 20, .gelu = GELU_OPERATOR, .initial = INITIAL_SHAPED},
    {.name = "opset22", .opset = 22, .gelu = GELU_OPERATOR, .mean = MEAN_REDUCE, .dead = true},
    {.name = "typed", .constants = CONSTANT_INITIALIZER_TYPED, .gelu = GELU_SCALED},
    {.name = "inputs", .constants = CONSTANT_INPUT, .linear = LINEAR_GEMM},
    {.name = "add", .linear = LINEAR_ADD, .mean = MEAN_REDUCE, .gelu = GELU_HALF_ERF},
    {.name = "bias-first", .linear = LINEAR_ADD_BIAS_FIRST, .passes = true},
    {.name = "matmul", .attention = ATTENTION_MATMUL, .last = LAST_STATE_SLICE},
    {.name = "matmul-after", .attention = ATTENTION_MATMUL_AFTER, .last = LAST_GATHER},
    {.name = "sum-keep", .attention = ATTENTION_SUM_KEEP, .last = LAST_SLICE},
    {.name = "computed", .last = LAST_GATHER_COMPUTED, .frames = FRAMES_COUNTED},
    {.name = "lp", .norm = NORM_LP, .initial = INITIAL_EXPANDED},
    {.name = "direct", .frames = FRAMES_DIRECT, .norm = NORM_MAX},
    {.name = "batch-norm", .batch_norm = true, .opset = 14},
    {.name = "batch-norm11", .batch_norm = true, .opset = 11, .constants = CONSTANT_NODE},
    {.name = "gates",
     .gates_in_graph = true,
     .constants = CONSTANT_NODE,
     .initial = INITIAL_SHAPED},
    {.name = "fixed-batch", .batch = 2, .initial = INITIAL_CONSTANT},
    {.name = "fixed-one", .batch = 1, .initial = INITIAL_SHAPED, .frames = FRAMES_DIRECT},
    {.name = "fixed-samples", .samples = 10000, .last = LAST_SLICE},
    {.name = "fixed",
     .batch = 2,
     .samples = 10000,
     .attention = ATTENTION_MATMUL,
     .last = LAST_GATHER},
};
const int spelling_count = sizeof(spellings) / sizeof(*spellings);

const spelling *find_spelling(const char *name)
{
    for (int i = 0; i < spelling_count; i++) {
        if (strcmp(spellings[i].name, name) == 0) {
            return &spellings[i];
        }
    }
    cr_assert_fail("no spelling %s", name);
    abort();
}

typedef struct build {
    onnx_file *file;
    const attune_model *model;
    const spelling *how;
    uint64_t random;
    const char *batch; /* number of sequences, a list of one */
} build;

#define EMIT(b, op, ...)                                                                           \
    onnx_emit((b)->file, op, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),        \
              __VA_ARGS__)

/* Now and then a node that changes nothing. */
static const char *pass(build *b, const char *in)
{
    if (!b->how->passes) {
        return in;
    }
    switch (random_bits(&b->random) % 4) {
    case 0:
        return EMIT(b, "Identity", in);
    case 1:
        return EMIT(b, "Dropout", in);
    case 2:
        in = EMIT(b, "Cast", in);
        onnx_set_int(b->file, "to", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
        return in;
    default:
        return in;
    }
}

static const char *matrix(build *b, int rank, int64_t d0, int64_t d1, int64_t d2, const float *data)
{
    const int64_t dims[] = {d0, d1, d2};
    return onnx_floats(b->file, rank, dims, data);
}

/* Squeeze, Unsqueeze or Reduce over one axis. */
static const char *over_axis(build *b, const char *op, const char *in, int64_t axis,
                             int argument_since)
{
    if (b->file->opset >= argument_since) {
        return EMIT(b, op, in, onnx_axis_list(b->file, axis));
    }
    const char *out = EMIT(b, op, in);
    onnx_set_ints(b->file, "axes", 1, &axis);
    return out;
}

static const char *reduce(build *b, const char *op, const char *in, int64_t axis, bool keep)
{
    const char *out = over_axis(b, op, in, axis, strcmp(op, "ReduceSum") == 0 ? 13 : 18);
    onnx_set_int(b->file, "keepdims", keep);
    return out;
}

static const char *slice(build *b, const char *in, const char *from, const char *to, int64_t axis)
{
    return EMIT(b, "Slice", in, from, to, onnx_axis_list(b->file, axis),
                onnx_axis_list(b->file, 1));
}

static const char *transpose(build *b, const char *in, int rank, int64_t a0, int64_t a1, int64_t a2)
{
    const int64_t order[] = {a0, a1, a2};
    const char *out = EMIT(b, "Transpose", in);
    onnx_set_ints(b->file, "perm", rank, order);
    return out;
}

static const char *concat(build *b, int64_t axis, const char *x, const char *y, const char *z)
{
    const char *out = z ? EMIT(b, "Concat", x, y, z) : EMIT(b, "Concat", x, y);
    onnx_set_int(b->file, "axis", axis);
    return out;
}

/* Extent `axis` of a tensor, a list of one. */
static const char *extent_of(build *b, const char *in, int64_t axis)
{
    const char *all = EMIT(b, "Shape", in);
    const char *one = EMIT(b, "Gather", all, onnx_integer(b->file, axis));
    onnx_set_int(b->file, "axis", 0);
    return over_axis(b, "Unsqueeze", one, 0, 13);
}

static const char *reshape(build *b, const char *in, int64_t d0, int64_t d1, int64_t d2)
{
    const int64_t dims[] = {d0, d1, d2};
    return EMIT(b, "Reshape", in, onnx_integers(b->file, 3, dims));
}

/* (B, S) -> (B, rows, size): the whole rows of the audio. */
static const char *rows(build *b, const char *audio, int64_t size)
{
    const char *length = onnx_axis_list(b->file, size);
    const char *count = EMIT(b, "Div", extent_of(b, audio, 1), length);
    if (b->how->frames == FRAMES_COUNTED) { /* (S - size) / size + 1, as one counts hops */
        const char *one = onnx_axis_list(b->file, 1);
        count = EMIT(b, "Sub", extent_of(b, audio, 1), length);
        count = EMIT(b, "Add", EMIT(b, "Div", count, length), one);
    }
    const char *cut = slice(b, audio, onnx_axis_list(b->file, 0), EMIT(b, "Mul", count, length), 1);
    if (b->how->frames == FRAMES_DIRECT) {
        return EMIT(b, "Reshape", cut, concat(b, 0, b->batch, onnx_axis_list(b->file, -1), length));
    }
    return EMIT(b, "Reshape", cut, concat(b, 0, b->batch, count, length));
}

/* (B, S) -> (B F, 1, N). */
static const char *frames(build *b, const char *audio)
{
    const attune_network *n = &b->model->network;
    const char *in = rows(b, audio, n->hop_size);
    if (n->hop_size != n->frame_size) {
        const char *zero = onnx_axis_list(b->file, 0), *one = onnx_axis_list(b->file, 1);
        const char *earlier = slice(b, in, zero, onnx_axis_list(b->file, -1), 1);
        const char *later = slice(b, in, one, onnx_axis_list(b->file, INT64_MAX), 1);
        in = concat(b, 2, earlier, later, NULL);
    }
    return reshape(b, in, -1, 1, n->frame_size);
}

static const char *gelu(build *b, const char *x)
{
    const char *one = NULL, *half = NULL, *inner;
    if (b->how->gelu == GELU_OPERATOR) {
        const char *out = EMIT(b, "Gelu", x);
        onnx_set_text(b->file, "approximate", "none");
        return out;
    }
    inner = b->how->gelu == GELU_SCALED ? EMIT(b, "Mul", x, onnx_number(b->file, 0.70710678f))
                                        : EMIT(b, "Div", x, onnx_number(b->file, 1.41421356f));
    const char *erf = EMIT(b, "Erf", inner);
    one = onnx_number(b->file, 1);
    half = onnx_number(b->file, 0.5f);
    switch (b->how->gelu) {
    case GELU_HALF_FIRST:
        return EMIT(b, "Mul", x, EMIT(b, "Mul", half, EMIT(b, "Add", one, erf)));
    case GELU_SCALED:
        return EMIT(b, "Mul", EMIT(b, "Mul", half, x), EMIT(b, "Add", erf, one));
    case GELU_HALF_ERF:
        return EMIT(b, "Mul", EMIT(b, "Add", EMIT(b, "Mul", erf, half), half), x);
    default:
        return EMIT(b, "Mul", EMIT(b, "Mul", x, EMIT(b, "Add", erf, one)), half);
    }
}

static const char *activate(build *b, const char *in)
{
    return b->model->network.architecture == ATTUNE_ARCHITECTURE_TINY ? gelu(b, in)
                                                                      : EMIT(b, "Relu", in);
}

/* Batch normalisation that, folded, gives the model's own weight and bias: the weight is divided by
 * its scale. */
static const char *normalised_conv(build *b, const char *in, int index, int64_t outputs,
                                   int64_t inputs, int64_t kernel)
{
    bool own_bias = b->model->network.architecture == ATTUNE_ARCHITECTURE_GRU;
    const attune_parameters *p = &b->model->parameters;
    float epsilon = index == 0 ? 1e-5f : 1e-3f;
    size_t fan_in = (size_t)(inputs * kernel);
    float gamma[128], beta[128], mean[128], variance[128], bias[128];
    float *weight = onnx_file_allocate(b->file, (size_t)outputs * fan_in * sizeof(float));
    for (size_t i = 0; i < (size_t)outputs; i++) {
        gamma[i] = 1.5f + random_uniform(&b->random);
        variance[i] = 1.25f + random_uniform(&b->random);
        mean[i] = random_uniform(&b->random);
        bias[i] = own_bias ? random_uniform(&b->random) : 0;
        double scale = gamma[i] / sqrt((double)variance[i] + (double)epsilon);
        beta[i] = (float)(p->conv_bias[index][i] - ((double)bias[i] - (double)mean[i]) * scale);
        for (size_t j = 0; j < fan_in; j++) {
            weight[i * fan_in + j] = (float)(p->conv_weight[index][i * fan_in + j] / scale);
        }
    }
    const char *w = matrix(b, 3, outputs, inputs, kernel, weight);
    const char *out = own_bias ? EMIT(b, "Conv", in, w, matrix(b, 1, outputs, 0, 0, bias))
                               : EMIT(b, "Conv", in, w);
    Onnx__NodeProto *conv = b->file->last;
    EMIT(b, "BatchNormalization", out, matrix(b, 1, outputs, 0, 0, gamma),
         matrix(b, 1, outputs, 0, 0, beta), matrix(b, 1, outputs, 0, 0, mean),
         matrix(b, 1, outputs, 0, 0, variance));
    out = b->file->last->output[0];
    if (index > 0) {
        onnx_set_float(b->file, "epsilon", epsilon);
    }
    b->file->last = conv;
    return out;
}

static const char *conv(build *b, const char *in, int index, int64_t outputs, int64_t inputs,
                        int64_t kernel, int64_t stride, int64_t group)
{
    const attune_parameters *p = &b->model->parameters;
    const int64_t pads[] = {kernel / 2, kernel / 2}, one = 1;
    const char *out;
    if (b->how->batch_norm) {
        out = normalised_conv(b, in, index, outputs, inputs, kernel);
    } else {
        out = EMIT(b, "Conv", in, matrix(b, 3, outputs, inputs, kernel, p->conv_weight[index]),
                   matrix(b, 1, outputs, 0, 0, p->conv_bias[index]));
    }
    onnx_set_int(b->file, "group", group);
    onnx_set_ints(b->file, "kernel_shape", 1, &kernel);
    onnx_set_ints(b->file, "pads", 2, pads);
    onnx_set_ints(b->file, "strides", 1, &stride);
    onnx_set_ints(b->file, "dilations", 1, &one);
    return activate(b, pass(b, out));
}

/* (B F, 1, N) -> (B, F, C). */
static const char *frontend(build *b, const char *in)
{
    const attune_network *n = &b->model->network;
    if (n->architecture == ATTUNE_ARCHITECTURE_TINY) {
        in = conv(b, in, 0, 1, 1, 5, 2, 1);
        in = conv(b, in, 1, 32, 1, 1, 1, 1);
        in = conv(b, pass(b, in), 2, 32, 1, 5, 2, 32);
        in = conv(b, in, 3, 64, 32, 1, 1, 1);
    } else {
        const int64_t two = 2;
        in = conv(b, in, 0, 64, 1, 7, 2, 1);
        in = EMIT(b, "MaxPool", in);
        onnx_set_ints(b->file, "kernel_shape", 1, &two);
        onnx_set_ints(b->file, "strides", 1, &two);
        in = conv(b, in, 1, 128, 64, 5, 2, 1);
    }
    if (b->how->mean == MEAN_GLOBAL) {
        in = EMIT(b, "GlobalAveragePool", in);
    } else {
        in = reduce(b, "ReduceMean", in, b->how->mean == MEAN_REDUCE ? 2 : -1,
                    b->how->mean == MEAN_REDUCE_KEEP);
    }
    in = b->how->mean == MEAN_REDUCE ? in : over_axis(b, "Squeeze", in, 2, 13);
    const char *shape =
        concat(b, 0, b->batch, onnx_axis_list(b->file, -1), onnx_axis_list(b->file, n->features));
    return EMIT(b, "Reshape", pass(b, in), shape);
}

/* (3H, width) with gates r, z, n -> z, r, n. */
static const char *gates(build *b, const float *in, int64_t hidden, int64_t width)
{
    static const int ORDER[] = {1, 0, 2};
    size_t block = (size_t)(hidden * width);
    if (!b->how->gates_in_graph) {
        float *out = onnx_file_allocate(b->file, 3 * block * sizeof(float));
        for (size_t i = 0; i < 3; i++) {
            memcpy(out + i * block, in + (size_t)ORDER[i] * block, block * sizeof(float));
        }
        return matrix(b, 3, 1, 3 * hidden, width, out);
    }
    const char *all = matrix(b, 2, 3 * hidden, width, 0, in), *parts[3];
    for (int i = 0; i < 3; i++) {
        const char *first = onnx_axis_list(b->file, ORDER[i] * hidden);
        parts[i] = slice(b, all, first, onnx_axis_list(b->file, (ORDER[i] + 1) * hidden), 0);
    }
    return over_axis(b, "Unsqueeze", concat(b, 0, parts[0], parts[1], parts[2]), 0, 13);
}

/* (1, 6H): the input's biases, then the recurrent ones. */
static const char *gate_biases(build *b, const attune_gru_parameters *gru, int64_t hidden)
{
    static const int ORDER[] = {1, 0, 2};
    size_t size = (size_t)hidden;
    float *out = onnx_file_allocate(b->file, 6 * size * sizeof(float));
    for (size_t i = 0; i < 3; i++) {
        memcpy(out + i * size, gru->bias_input + (size_t)ORDER[i] * size, size * sizeof(float));
        memcpy(out + (3 + i) * size, gru->bias_hidden + (size_t)ORDER[i] * size,
               size * sizeof(float));
    }
    return matrix(b, 2, 1, 6 * hidden, 0, out);
}

static const char *initial_state(build *b)
{
    const attune_network *n = &b->model->network;
    const char *hidden = onnx_axis_list(b->file, n->hidden), *one = onnx_axis_list(b->file, 1);
    if (b->how->initial == INITIAL_SHAPED) {
        const char *layers = onnx_axis_list(b->file, n->layers);
        const char *all = EMIT(b, "ConstantOfShape", concat(b, 0, layers, b->batch, hidden));
        return slice(b, all, onnx_axis_list(b->file, 0), one, 0);
    }
    if (b->how->initial == INITIAL_EXPANDED) {
        return EMIT(b, "Expand", onnx_number(b->file, 0), concat(b, 0, one, b->batch, hidden));
    }
    size_t count = (size_t)(b->how->batch * n->hidden);
    return matrix(b, 3, 1, b->how->batch, n->hidden,
                  onnx_file_allocate(b->file, count * sizeof(float)));
}

/* The layers; *y is the top one's (F, 1, B, H), y_h[i] the last state (1, B, H) of each. */
static void gru(build *b, const char *in, const char **y, const char **y_h)
{
    const attune_network *n = &b->model->network;
    in = transpose(b, in, 3, 1, 0, 2);
    for (int i = 0; i < n->layers; i++) {
        const attune_gru_parameters *gru = &b->model->parameters.gru[i];
        const char *w = gates(b, gru->weight_input, n->hidden, i == 0 ? n->features : n->hidden);
        const char *r = gates(b, gru->weight_hidden, n->hidden, n->hidden);
        const char *biases = gate_biases(b, gru, n->hidden);
        *y = b->how->initial == INITIAL_NONE
                 ? EMIT(b, "GRU", in, w, r, biases)
                 : EMIT(b, "GRU", in, w, r, biases, "", initial_state(b));
        Onnx__NodeProto *node = b->file->last;
        /* initial_state() is an argument, so its nodes stand before this one. */
        cr_assert_str_eq(node->op_type, "GRU");
        onnx_set_int(b->file, "hidden_size", n->hidden);
        onnx_set_int(b->file, "linear_before_reset", 1);
        y_h[i] = onnx_second_output(b->file);
        if (i + 1 < n->layers) {
            in = over_axis(b, "Squeeze", *y, 1, 13);
        }
    }
}

static const char *linear(build *b, const char *in, const float *weight, const float *bias,
                          int64_t outputs, int64_t inputs, bool is_matrix)
{
    const char *biases = matrix(b, 1, outputs, 0, 0, bias);
    enum linear_spelling how = is_matrix                      ? b->how->linear
                               : b->how->linear == LINEAR_ADD ? LINEAR_ADD
                                                              : LINEAR_ADD_BIAS_FIRST;
    if (how == LINEAR_GEMM_TRANSPOSED) {
        const char *out = EMIT(b, "Gemm", in, matrix(b, 2, outputs, inputs, 0, weight), biases);
        onnx_set_int(b->file, "transB", 1);
        onnx_set_float(b->file, "alpha", 1);
        return out;
    }
    float *turned = onnx_file_allocate(b->file, (size_t)(inputs * outputs) * sizeof(float));
    for (int64_t i = 0; i < outputs; i++) {
        for (int64_t j = 0; j < inputs; j++) {
            turned[j * outputs + i] = weight[i * inputs + j];
        }
    }
    const char *w = matrix(b, 2, inputs, outputs, 0, turned);
    if (how == LINEAR_GEMM) {
        return EMIT(b, "Gemm", in, w, biases);
    }
    const char *product = EMIT(b, "MatMul", in, w);
    return how == LINEAR_ADD ? EMIT(b, "Add", product, biases) : EMIT(b, "Add", biases, product);
}

/* (B, F, H) -> (B, H). */
static const char *attend(build *b, const char *states)
{
    const attune_network *n = &b->model->network;
    const attune_parameters *p = &b->model->parameters;
    const char *in =
        linear(b, states, p->attention_weight, p->attention_bias, n->attention, n->hidden, false);
    in = EMIT(b, "Tanh", in);
    in = linear(b, in, p->score_weight, p->score_bias, 1, n->attention, false);
    if (b->how->attention == ATTENTION_MATMUL) {
        in = EMIT(b, "Softmax", over_axis(b, "Squeeze", in, 2, 13));
        onnx_set_int(b->file, "axis", 1);
        in = EMIT(b, "MatMul", over_axis(b, "Unsqueeze", in, 1, 13), states);
        return over_axis(b, "Squeeze", in, 1, 13);
    }
    in = EMIT(b, "Softmax", in);
    onnx_set_int(b->file, "axis", 1);
    if (b->how->attention == ATTENTION_MATMUL_AFTER) {
        in = EMIT(b, "MatMul", transpose(b, states, 3, 0, 2, 1), in);
        return over_axis(b, "Squeeze", in, -1, 13);
    }
    bool keep = b->how->attention == ATTENTION_SUM_KEEP;
    in = keep ? EMIT(b, "Mul", in, states) : EMIT(b, "Mul", states, in);
    in = reduce(b, "ReduceSum", in, 1, keep);
    return keep ? over_axis(b, "Squeeze", in, 1, 13) : in;
}

/* The top layer's last state, (B, H), by whichever output. */
static const char *last_state(build *b, const char *y, const char **y_h)
{
    const attune_network *n = &b->model->network;
    const char *minus = onnx_axis_list(b->file, -1), *most = onnx_axis_list(b->file, INT64_MAX),
               *in;
    switch (b->how->last) {
    case LAST_GATHER:
    case LAST_GATHER_COMPUTED:
        in = over_axis(b, "Squeeze", y, 1, 13);
        if (b->how->last == LAST_GATHER) {
            return EMIT(b, "Gather", in, onnx_integer(b->file, -1));
        }
        in = EMIT(b, "Gather", in, EMIT(b, "Sub", extent_of(b, in, 0), onnx_axis_list(b->file, 1)));
        return over_axis(b, "Squeeze", in, 0, 13);
    case LAST_SLICE:
        in = slice(b, y, minus, most, 0);
        in = over_axis(b, "Squeeze", in, 0, 13);
        return over_axis(b, "Squeeze", in, 0, 13);
    default:
        break;
    }
    if (n->layers == 1) {
        return over_axis(b, "Squeeze", y_h[0], 0, 13);
    }
    const char *stack = concat(b, 0, y_h[0], y_h[1], n->layers > 2 ? y_h[2] : NULL);
    for (int i = 3; i < n->layers; i++) {
        /* One Concat of all layers, as exporters write it. */
        Onnx__NodeProto *node = b->file->last;
        char **inputs = onnx_file_allocate(b->file, (size_t)(i + 1) * sizeof(char *));
        memcpy(inputs, node->input, (size_t)i * sizeof(char *));
        inputs[i] = onnx_text(b->file, y_h[i]);
        node->input = inputs;
        node->n_input++;
    }
    if (b->how->last == LAST_STATE) {
        return EMIT(b, "Gather", stack, onnx_integer(b->file, -1));
    }
    in = slice(b, stack, onnx_axis_list(b->file, n->layers - 1), onnx_axis_list(b->file, n->layers),
               0);
    return over_axis(b, "Squeeze", in, 0, 13);
}

static const char *normalise(build *b, const char *in)
{
    if (b->how->norm == NORM_LP) {
        const char *out = EMIT(b, "LpNormalization", in);
        onnx_set_int(b->file, "axis", 1);
        onnx_set_int(b->file, "p", 2);
        return out;
    }
    const char *norm = reduce(b, "ReduceL2", in, 1, true), *least = onnx_number(b->file, 1e-12f);
    norm =
        b->how->norm == NORM_MAX ? EMIT(b, "Max", norm, least) : EMIT(b, "Clip", norm, least, "");
    if (b->how->norm == NORM_EXPAND) {
        norm = EMIT(b, "Expand", norm, EMIT(b, "Shape", in));
    }
    return EMIT(b, "Div", in, norm);
}

onnx_file *onnx_spell(const attune_model *model, const spelling *how)
{
    const attune_network *n = &model->network;
    const attune_parameters *p = &model->parameters;
    build b = {.file = onnx_file_new(how->opset ? how->opset : 17, how->constants),
               .model = model,
               .how = how,
               .random = 3};
    const char *y = NULL, *y_h[ATTUNE_LAYERS_MAX], *in;
    onnx_add_input(b.file, "audio", how->batch, how->samples);
    b.batch = how->batch ? onnx_axis_list(b.file, how->batch) : extent_of(&b, "audio", 0);
    gru(&b, frontend(&b, frames(&b, "audio")), &y, y_h);
    if (n->pooling == ATTUNE_POOLING_LAST) {
        in = last_state(&b, y, y_h);
    } else {
        in = pass(&b, transpose(&b, over_axis(&b, "Squeeze", y, 1, 13), 3, 1, 0, 2));
        in = n->pooling == ATTUNE_POOLING_MEAN ? reduce(&b, "ReduceMean", in, 1, false)
                                               : attend(&b, in);
    }
    if (how->dead) {
        EMIT(&b, "Sinh", in);
        EMIT(&b, "Exp", "audio");
    }
    in = linear(&b, in, p->project1_weight, p->project1_bias, n->projection, n->hidden, true);
    in = pass(&b, activate(&b, in));
    in = linear(&b, in, p->project2_weight, p->project2_bias, n->embedding, n->projection, true);
    in = normalise(&b, in);
    onnx_add_output(b.file, in, how->batch, n->embedding);
    return b.file;
}
