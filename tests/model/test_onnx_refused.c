/* test_onnx_refused.c - networks that are almost ours: each must be refused, and the message must
 * name the node. */
#include "tests/model/networks.h"
#include "tests/model/onnx_spell.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One way to spoil a file: `set` to `number` or `text`, or what `kind` says. The node is the nth of
 * `op`. */
typedef enum spoil_kind {
    SET_INT,      /* attribute `text` = number */
    SET_ALL_INTS, /* every element of attribute `text` = number */
    SET_TEXT,     /* text attribute `text`, spoilt */
    ADD_INT,      /* a new attribute `text` = number */
    SET_OP,       /* operator = `text` */
    SET_DOMAIN,   /* domain = `text` */
    INSERT,       /* an operator `text` before the node, on its first input */
    BYPASS,       /* the node is taken out; what read it reads its first input */
    SWAP_INPUTS,  /* the first two */
    READ_FROM,  /* input `number` = output of the node before the one before; `text` = "" leaves it
                   out */
    SET_NUMBER, /* the constant that is input `number` = text as a number (f32 scalar or first
                   integer) */
    SET_NAN,    /* the last element of the constant that is input `number` */
    SET_INF,
    SET_DIM,      /* first extent of the constant that is input `number`, its data unchanged */
    CUT_TENSOR,   /* the constant that is input `number` loses its last byte */
    SET_TYPE,     /* its type becomes float16 */
    SET_EXTERNAL, /* its data lies elsewhere */
    RENAME_OUT,   /* the node makes the name that the first node makes */
    READ_SELF,    /* the node reads its own output */
    READ_LATER,   /* the node reads the last node's output: a cycle */
    READ_NOTHING, /* the node reads a name that nobody makes */
    SET_FLOAT,    /* attribute `text` = number */
    READ_OUTPUT,  /* input `number` = output of the node `text`, "Conv:2" */
    SWAP_NODES,   /* the node and the next change places */
} spoil_kind;

typedef struct spoiling {
    const char *network, *spelling;
    const char *op;
    int nth;
    spoil_kind kind;
    const char *text;
    int64_t number;
    const char *expected; /* in the message, besides the node's name */
    const char *blamed;   /* "" for the node itself, else the operator that is blamed */
} spoiling;

static const spoiling SPOILINGS[] = {
    /* Convolutions. */
    {"tiny", "plain", "Conv", 0, SET_ALL_INTS, "strides", 1, "strides must be [2]", ""},
    {"tiny", "plain", "Conv", 1, SET_ALL_INTS, "strides", 2, "strides must be [1]", ""},
    {"tiny", "plain", "Conv", 0, SET_ALL_INTS, "pads", 1, "pads must be [2, 2]", ""},
    {"tiny", "plain", "Conv", 0, SET_ALL_INTS, "dilations", 2, "dilations must be [1]", ""},
    {"tiny", "plain", "Conv", 2, SET_INT, "group", 1, "group must be 32", ""},
    {"tiny", "plain", "Conv", 2, SET_ALL_INTS, "kernel_shape", 3, "kernel_shape must be [5]", ""},
    {"tiny", "plain", "Conv", 3, SET_DIM, "", 63, "shape asks for", ""},
    {"tiny", "plain", "Conv", 0, ADD_INT, "window", 1, "'window'", ""},
    {"tiny", "plain", "Conv", 0, ADD_INT, "group", 1, "given twice", ""},
    {"tiny", "plain", "Conv", 0, READ_FROM, "", 1, "is missing", ""},
    {"tiny", "plain", "Conv", 1, SET_NAN, "", 1, "not finite", ""},
    {"tiny", "plain", "Conv", 1, SET_INF, "", 2, "not finite", ""},
    {"tiny", "plain", "Conv", 2, BYPASS, "", 0, "", "Div"},
    {"tiny", "plain", "Conv", 1, INSERT, "Relu", 0, "", "Relu"},
    {"tiny", "plain", "Conv", 1, INSERT, "Tanh", 0, "", "Tanh"},
    {"tiny", "plain", "Conv", 1, INSERT, "Neg", 0, "do not use this operator", "Neg"},
    {"tiny", "plain", "Conv", 0, INSERT, "Relu", 0, "", "Relu"},
    {"tiny", "plain", "Conv", 0, SET_OP, "ConvTranspose", 0, "do not use this operator", ""},
    {"tiny", "plain", "Conv", 0, SET_DOMAIN, "com.example", 0, "domain 'com.example'", ""},
    {"gru", "plain", "Conv", 0, SET_ALL_INTS, "pads", 2, "pads must be [3, 3]", ""},
    {"gru", "plain", "MaxPool", 0, SET_ALL_INTS, "kernel_shape", 3, "kernel_shape must be [2]", ""},
    {"gru", "plain", "MaxPool", 0, SET_ALL_INTS, "strides", 1, "strides must be [2]", ""},
    {"gru", "plain", "MaxPool", 0, ADD_INT, "ceil_mode", 1, "ceil_mode must be 0", ""},
    {"gru", "plain", "MaxPool", 0, BYPASS, "", 0, "has no convolution there", "Conv"},
    {"gru", "plain", "Relu", 0, BYPASS, "", 0, "", "MaxPool"},
    {"gru", "plain", "Relu", 2, SET_OP, "Tanh", 0, "", ""},
    {"gru", "opset20", "Relu", 0, SET_OP, "Gelu", 0, "has ReLU", ""},
    {"gru", "plain", "Relu", 0, SET_OP, "Gelu", 0, "opset 17 does not have", ""},
    {"tiny", "batch-norm", "BatchNormalization", 1, ADD_INT, "training_mode", 1, "must be 0", ""},
    {"tiny", "batch-norm", "BatchNormalization", 1, SET_NUMBER, "-1", 4, "not positive", ""},
    {"tiny", "batch-norm", "BatchNormalization", 1, SET_NAN, "", 3, "not finite", ""},
    {"tiny", "batch-norm", "BatchNormalization", 1, INSERT, "BatchNormalization", 0, "inputs",
     "BatchNormalization"},
    /* GELU. */
    {"tiny", "plain", "Div", 1, SET_NUMBER, "1.5", 1, "x / sqrt 2", "Erf"},
    {"tiny", "plain", "Add", 0, SET_NUMBER, "0.9", 1, "adds 1", ""},
    {"tiny", "plain", "Erf", 0, SET_OP, "Tanh", 0, "", ""},
    {"tiny", "plain", "Erf", 0, BYPASS, "", 0, "", "Add"},
    {"tiny", "batch-norm", "Mul", 1, READ_OUTPUT, "Conv:0", 0, "own argument", ""},
    {"tiny", "opset20", "Gelu", 1, SET_TEXT, "approximate", 0, "must be \"none\"", ""},
    {"tiny", "opset20", "Gelu", 0, BYPASS, "", 0, "", "Conv"},
    {"tiny", "plain", "Conv", 3, READ_FROM, "x", 0, "", ""},
    /* The mean over positions. */
    {"tiny", "plain", "GlobalAveragePool", 0, SET_OP, "GlobalMaxPool", 0,
     "do not use this operator", ""},
    {"tiny", "opset18", "ReduceMean", 0, SET_NUMBER, "1", 1, "over the positions", ""},
    {"tiny", "add", "ReduceMean", 0, SET_ALL_INTS, "axes", 1, "over the positions", ""},
    {"tiny", "opset18", "ReduceMean", 0, SET_INT, "keepdims", 0, "", "Squeeze"},
    {"tiny", "plain", "GlobalAveragePool", 0, BYPASS, "", 0, "extent 1", "Squeeze"},
    {"tiny", "opset18", "ReduceMean", 0, SET_OP, "ReduceSum", 0, "", ""},
    /* The frames. */
    {"tiny", "plain", "Div", 0, SET_NUMBER, "1024", 1, "does not take this shape", "Reshape"},
    {"tiny", "plain", "Slice", 0, BYPASS, "", 0, "whole frames", "Reshape"},
    {"tiny", "plain", "Slice", 0, SET_NUMBER, "1", 1, "", ""},
    {"tiny", "plain", "Slice", 0, SET_NUMBER, "0", 3, "", ""},
    {"tiny", "plain", "Slice", 0, SET_NUMBER, "2", 4, "steps must be 1", ""},
    {"tiny", "plain", "Reshape", 1, INSERT, "Transpose", 0, "", "Reshape"},
    {"tiny-half-hop", "plain", "Slice", 1, SET_NUMBER, "1", 1, "", ""},
    {"tiny-half-hop", "plain", "Slice", 2, SET_NUMBER, "0", 1, "", "Concat"},
    {"tiny-half-hop", "plain", "Concat", 1, SWAP_INPUTS, "", 0, "", ""},
    {"tiny-half-hop", "plain", "Concat", 1, READ_OUTPUT, "Slice:1", 1, "", ""},
    {"tiny-half-hop", "plain", "Concat", 1, SET_INT, "axis", 1, "", ""},
    /* The GRU. */
    {"tiny", "plain", "GRU", 0, SET_INT, "linear_before_reset", 0, "linear_before_reset must be 1",
     ""},
    {"tiny", "plain", "GRU", 1, SET_INT, "hidden_size", 32, "hidden_size", ""},
    {"tiny", "plain", "GRU", 0, SET_INT, "hidden_size", 17, "multiple of 16", ""},
    {"tiny", "plain", "GRU", 0, ADD_INT, "layout", 1, "layout must be 0", ""},
    {"tiny", "plain", "GRU", 0, ADD_INT, "clip", 1, "'clip'", ""},
    {"tiny", "plain", "GRU", 0, SET_OP, "LSTM", 0, "do not use this operator", ""},
    {"tiny", "plain", "GRU", 0, READ_FROM, "x", 1, "constant float", ""},
    {"tiny", "opset20", "GRU", 0, READ_FROM, "x", 4, "sequence_lens", ""},
    {"tiny", "fixed-batch", "GRU", 0, SET_NUMBER, "0.5", 5, "initial state", ""},
    {"tiny", "plain", "GRU", 0, SET_NAN, "", 3, "not finite", ""},
    {"tiny", "plain", "Transpose", 0, BYPASS, "", 0, "(time, batch, channels)", "GRU"},
    {"tiny", "fixed-one", "Transpose", 0, BYPASS, "", 0, "(time, batch, channels)", "GRU"},
    {"tiny", "fixed", "Transpose", 0, BYPASS, "", 0, "(time, batch, channels)", "GRU"},
    {"tiny", "plain", "GRU", 1, INSERT, "Relu", 0, "", "Relu"},
    /* Pooling. */
    {"tiny", "plain", "Softmax", 0, SET_INT, "axis", 2, "over time", ""},
    {"tiny", "plain", "Softmax", 0, SET_INT, "axis", 0, "over time", ""},
    {"tiny", "opset11", "Softmax", 0, SET_INT, "axis", 2, "over time", ""},
    {"tiny", "plain", "Softmax", 0, SET_OP, "LogSoftmax", 0, "do not use this operator", ""},
    {"tiny", "plain", "Softmax", 0, BYPASS, "", 0, "", "Mul"},
    {"tiny", "plain", "Tanh", 0, BYPASS, "", 0, "", "MatMul"},
    {"tiny", "plain", "Tanh", 0, SET_OP, "Relu", 0, "", ""},
    {"tiny", "plain", "ReduceSum", 0, SET_OP, "ReduceMean", 0, "", ""},
    {"tiny", "plain", "ReduceSum", 0, SET_NUMBER, "2", 1, "over time", ""},
    {"tiny", "plain", "ReduceSum", 0, SET_NUMBER, "0", 1, "over time", ""},
    {"tiny", "matmul", "MatMul", 2, SWAP_INPUTS, "", 0, "", ""},
    {"tiny-mean", "plain", "ReduceMean", 0, SET_ALL_INTS, "axes", 2, "over time", ""},
    {"tiny-mean", "plain", "ReduceMean", 0, SET_OP, "ReduceMax", 0, "do not use this operator", ""},
    {"tiny-mean", "plain", "ReduceMean", 0, ADD_INT, "noop_with_empty_axes", 1, "must be 0", ""},
    {"tiny-last", "matmul-after", "Gather", 2, SET_NUMBER, "0", 1, "", ""},
    {"tiny-last", "matmul-after", "Gather", 2, SET_NUMBER, "-2", 1, "", ""},
    {"tiny-last", "computed", "Sub", 1, SET_NUMBER, "2", 1, "", "Gather"},
    {"tiny-last", "plain", "Gather", 2, SET_NUMBER, "2", 1, "", ""},
    {"tiny-last", "sum-keep", "Slice", 1, SET_NUMBER, "-2", 1, "", ""},
    /* The head. */
    {"tiny", "plain", "Gemm", 0, SET_INT, "transB", 2, "", NULL},
    {"tiny", "plain", "Gemm", 1, SET_INT, "transB", 0, "does not", ""},
    {"tiny", "plain", "Gemm", 0, ADD_INT, "transA", 1, "transA must be 0", ""},
    {"tiny", "plain", "Gemm", 0, SET_FLOAT, "alpha", 2, "alpha and beta must be 1", ""},
    {"tiny", "plain", "Gemm", 0, ADD_INT, "beta", 1, "wrong type", ""},
    {"tiny", "plain", "Gemm", 0, BYPASS, "", 0, "", "Div"},
    {"tiny", "plain", "Gemm", 1, INSERT, "Tanh", 0, "", "Tanh"},
    {"tiny-widths", "add", "Add", 6, SWAP_INPUTS, "", 0, "", NULL},
    {"tiny", "plain", "Clip", 0, SET_NUMBER, "1e-8", 1, "1e-12", ""},
    {"tiny", "plain", "Clip", 0, BYPASS, "", 0, "", "Div"},
    {"tiny", "direct", "Max", 0, SET_NUMBER, "1e-6", 1, "1e-12", ""},
    {"tiny", "plain", "ReduceL2", 0, SET_OP, "ReduceL1", 0, "do not use this operator", ""},
    {"tiny", "plain", "ReduceL2", 0, SET_ALL_INTS, "axes", 0, "over the components", ""},
    {"tiny", "lp", "LpNormalization", 0, SET_INT, "p", 1, "p must be 2", ""},
    {"tiny", "lp", "LpNormalization", 0, SET_INT, "axis", 0, "over the components", ""},
    {"tiny", "opset13", "Div", 6, SWAP_INPUTS, "", 0, "", ""},
    {"tiny", "opset13", "Div", 6, SET_OP, "Mul", 0, "", ""},
    /* Graphs that are not in order. */
    {"tiny", "plain", "Conv", 1, RENAME_OUT, "", 0, "made twice", ""},
    {"tiny", "plain", "Conv", 1, READ_SELF, "", 0, "no node before it", ""},
    {"tiny", "plain", "Conv", 1, READ_LATER, "", 0, "no node before it", ""},
    {"tiny", "plain", "Conv", 1, READ_NOTHING, "", 0, "does not have", ""},
    {"tiny", "plain", "Conv", 1, SWAP_NODES, "", 0, "no node before it", "Div"},
    {"tiny", "plain", "Squeeze", 0, SET_OP, "", 0, "do not use this operator", ""},
    /* Tensors. */
    {"tiny", "plain", "Gemm", 0, CUT_TENSOR, "", 1, "bytes", ""},
    {"tiny", "typed", "Gemm", 0, SET_DIM, "", 17, "bytes", ""},
    {"tiny", "plain", "Gemm", 0, SET_DIM, "", -16, "shape", ""},
    {"tiny", "plain", "Gemm", 0, SET_DIM, "", INT64_MAX, "shape", ""},
    {"tiny", "plain", "Gemm", 0, SET_TYPE, "", 1, "float32", ""},
    {"tiny", "opset13", "Gemm", 0, SET_TYPE, "", 1, "float32", "Constant"},
    {"tiny", "plain", "Gemm", 0, SET_EXTERNAL, "", 1, "another file", ""},
};

/* What is done to the tensor that is input `number` of the node (1 if none is named). */
static void spoil_tensor(onnx_file *file, Onnx__NodeProto *node, const spoiling *s)
{
    bool whole = s->kind == SET_DIM || s->kind == SET_EXTERNAL || s->kind == SET_TYPE;
    Onnx__TensorProto *tensor = onnx_find_tensor(file, node->input[whole ? 1 : s->number]);
    bool real = tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    float value = s->kind == SET_NAN ? NAN : s->kind == SET_INF ? INFINITY : strtof(s->text, NULL);
    int64_t integer = strtoll(s->text, NULL, 10);
    switch (s->kind) {
    case SET_DIM:
        tensor->dims[0] = s->number;
        break;
    case SET_TYPE:
        tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16;
        break;
    case SET_EXTERNAL:
        tensor->has_data_location = true;
        tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
        break;
    case CUT_TENSOR:
        tensor->raw_data.len--;
        break;
    case SET_NUMBER:
        cr_assert(tensor->has_raw_data);
        memcpy(tensor->raw_data.data, real ? (void *)&value : &integer,
               real ? sizeof(value) : sizeof(integer));
        break;
    default:
        memcpy(tensor->raw_data.data + tensor->raw_data.len - sizeof(value), &value, sizeof(value));
    }
}

static void spoil_attribute(onnx_file *file, Onnx__NodeProto *node, const spoiling *s)
{
    if (s->kind == ADD_INT) {
        file->last = node;
        onnx_set_int(file, s->text, s->number);
        return;
    }
    Onnx__AttributeProto *attribute = onnx_find_attribute(node, s->text);
    if (s->kind == SET_INT) {
        attribute->i = s->number;
    } else if (s->kind == SET_FLOAT) {
        attribute->f = (float)s->number;
    } else if (s->kind == SET_TEXT) {
        attribute->s.data = (uint8_t *)onnx_text(file, "tanh");
    } else {
        for (size_t i = 0; i < attribute->n_ints; i++) {
            attribute->ints[i] = s->number;
        }
    }
}

static void rewire(onnx_file *file, size_t index, const spoiling *s)
{
    Onnx__NodeProto **nodes = file->graph.node, *node = nodes[index],
                    *next = nodes[index + 1 < file->graph.n_node ? index + 1 : index];
    char *first = node->input[0];
    switch (s->kind) {
    case SWAP_INPUTS:
        node->input[0] = node->input[1];
        node->input[1] = first;
        break;
    case READ_FROM:
        node->input[s->number] = onnx_text(file, *s->text ? nodes[index - 2]->output[0] : "");
        break;
    case READ_OUTPUT: {
        char op[32];
        int nth = 0;
        cr_assert_eq(sscanf(s->text, "%31[^:]:%d", op, &nth), 2);
        node->input[s->number] = onnx_find_node(file, op, nth)->output[0];
        break;
    }
    case RENAME_OUT:
        node->output[0] = nodes[0]->output[0];
        break;
    case READ_SELF:
        node->input[0] = node->output[0];
        break;
    case READ_LATER:
        node->input[0] = nodes[file->graph.n_node - 1]->output[0];
        break;
    case READ_NOTHING:
        node->input[0] = onnx_text(file, "nobody");
        break;
    default:
        nodes[index] = next;
        nodes[index + 1] = node;
    }
}

/* Spoils the file; returns the name of the node that is to blame (NULL: none in particular). */
static const char *spoil(onnx_file *file, const spoiling *s)
{
    size_t index = onnx_find_index(file, s->op, s->nth);
    Onnx__NodeProto *node = file->graph.node[index];
    const char *name = node->name;
    switch (s->kind) {
    case SET_INT:
    case SET_ALL_INTS:
    case SET_TEXT:
    case SET_FLOAT:
    case ADD_INT:
        spoil_attribute(file, node, s);
        break;
    case SET_OP:
        node->op_type = onnx_text(file, s->text);
        break;
    case SET_DOMAIN:
        node->domain = onnx_text(file, s->text);
        break;
    case INSERT:
        name = onnx_insert(file, index, s->text, node->input[0])->name;
        break;
    case BYPASS:
        onnx_bypass(file, index);
        break;
    case SET_NUMBER:
    case SET_NAN:
    case SET_INF:
    case SET_DIM:
    case CUT_TENSOR:
    case SET_TYPE:
    case SET_EXTERNAL:
        spoil_tensor(file, node, s);
        break;
    default:
        rewire(file, index, s);
    }
    return !s->blamed || *s->blamed ? NULL : name;
}

static void check_refused(const spoiling *s, size_t number)
{
    attune_model *model = random_model(find_network(s->network), 1), *read = (void *)model;
    onnx_file *file = onnx_spell(model, find_spelling(s->spelling));
    const char *name = spoil(file, s);
    char wanted[128];
    size_t size;
    uint8_t *bytes = onnx_file_pack(file, &size);
    attune_status status = attune_model_parse(&read, bytes, size, "spoilt.onnx");
    const char *message = attune_last_error();
    if (s->blamed == NULL) { /* the other meaning is ours as well */
        cr_expect_eq(status, ATTUNE_OK, "%zu: %s", number, message);
    } else {
        cr_expect_eq(status, ATTUNE_EDATA, "%zu: %s %s %d is not refused", number, s->spelling,
                     s->op, s->nth);
        cr_expect_null(read);
        cr_expect_eq(strncmp(message, "spoilt.onnx: node '", 19), 0, "%zu: %s", number, message);
        snprintf(wanted, sizeof(wanted), name ? "node '%s' (" : "(%s): ", name ? name : s->blamed);
        cr_expect_not_null(strstr(message, wanted), "%zu: '%s' is not in: %s", number, wanted,
                           message);
        cr_expect_not_null(strstr(message, s->expected), "%zu: '%s' is not in: %s", number,
                           s->expected, message);
        cr_log_info("%s", message);
    }
    attune_model_close(read);
    free(bytes);
    onnx_file_free(file);
    attune_model_close(model);
}

Test(onnx_refused, spoilt_nodes)
{
    for (size_t i = 0; i < sizeof(SPOILINGS) / sizeof(*SPOILINGS); i++) {
        check_refused(&SPOILINGS[i], i);
    }
}

Test(onnx_refused, batch_normalisation_that_folds_to_infinity)
{
    attune_model *model = random_model(&small_networks[0].network, 1), *read;
    onnx_file *file = onnx_spell(model, find_spelling("batch-norm"));
    Onnx__NodeProto *node = onnx_find_node(file, "BatchNormalization", 2);
    for (int i = 1; i < 4; i++) {
        const float most = 3e38f;
        memcpy(onnx_find_tensor(file, node->input[i])->raw_data.data, &most, sizeof(most));
    }
    size_t size;
    uint8_t *bytes = onnx_file_pack(file, &size);
    cr_assert_eq(attune_model_parse(&read, bytes, size, "m"), ATTUNE_EDATA);
    cr_assert_not_null(strstr(attune_last_error(), node->name), "%s", attune_last_error());
    cr_assert_not_null(strstr(attune_last_error(), "not finite"), "%s", attune_last_error());
    free(bytes);
    onnx_file_free(file);
    attune_model_close(model);
}

/* The weights of the attention over layer 0, for the states of layer 1 and the other way round. */
Test(onnx_refused, attention_of_other_states)
{
    attune_model *model = random_model(find_network("tiny"), 1), *read;
    const char *const readers[] = {"Mul", "MatMul"};
    const int64_t order[] = {1, 0, 2};
    for (int i = 0; i < 2; i++) {
        onnx_file *file = onnx_spell(model, &spellings[0]);
        size_t size, index = onnx_find_index(file, readers[i], i == 0 ? 9 : 0);
        Onnx__NodeProto *reads = file->graph.node[index];
        const char *first_layer = onnx_find_node(file, "GRU", 1)->input[0];
        const char *before = reads->input[0];
        Onnx__NodeProto *turned = onnx_insert(file, index, "Transpose", first_layer);
        file->last = turned;
        onnx_set_ints(file, "perm", 3, order);
        cr_assert_str_eq(reads->input[0], before);
        reads->input[0] = turned->output[0];
        uint8_t *bytes = onnx_file_pack(file, &size);
        cr_assert_eq(attune_model_parse(&read, bytes, size, "m"), ATTUNE_EDATA, "%d", i);
        cr_assert_not_null(strstr(attune_last_error(), "do not belong to these states"), "%s",
                           attune_last_error());
        free(bytes);
        onnx_file_free(file);
    }
    attune_model_close(model);
}

/* Until opset 12, Softmax takes all axes from `axis` on together: over (time, batch) that is not
 * over time. */
Test(onnx_refused, softmax_over_two_axes_before_opset_13)
{
    attune_model *model = random_model(find_network("tiny"), 1), *read;
    const int opsets[] = {11, 12, 13};
    for (int i = 0; i < 3; i++) {
        spelling how = {.name = "", .opset = opsets[i], .attention = ATTENTION_MATMUL};
        onnx_file *file = onnx_spell(model, &how);
        size_t size, index = onnx_find_index(file, "Softmax", 0);
        const int64_t order[] = {1, 0};
        onnx_find_attribute(file->graph.node[index], "axis")->i = 0;
        file->last = onnx_insert(file, index, "Transpose", file->graph.node[index]->input[0]);
        onnx_set_ints(file, "perm", 2, order);
        uint8_t *bytes = onnx_file_pack(file, &size);
        cr_assert_eq(attune_model_parse(&read, bytes, size, "m"), ATTUNE_EDATA);
        cr_assert_eq(strstr(attune_last_error(), "(Softmax): must be over time") != NULL,
                     opsets[i] < 13, "%s", attune_last_error());
        free(bytes);
        onnx_file_free(file);
    }
    attune_model_close(model);
}
