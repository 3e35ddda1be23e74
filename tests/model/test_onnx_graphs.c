/* test_onnx_graphs.c - ONNX files whose graph as a whole is not a network of ours. */
#include "tests/model/networks.h"
#include "tests/model/onnx_spell.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* What is wrong with a graph as a whole. */
typedef enum graph_fault {
    NO_OUTPUT,
    TWO_OUTPUTS,
    OUTPUT_NOBODY_MAKES,
    OUTPUT_TOO_EARLY,
    OUTPUT_CONSTANT,
    NO_INPUT,
    TWO_INPUTS,
    INPUT_RANK,
    INPUT_TYPE,
    INPUT_ZERO,
    INPUT_TWICE,
    INITIALIZER_TWICE,
    INITIALIZER_NAMELESS,
    OPSET_OLD,
    OPSET_NEW,
    OPSET_NONE,
    FUNCTIONS,
    SPARSE,
    NO_GRAPH,
    TOO_MANY_LAYERS,
} graph_fault;

static void spoil_graph(onnx_file *file, graph_fault fault)
{
    Onnx__GraphProto *graph = &file->graph;
    Onnx__TypeProto__Tensor *type = graph->input[0]->type->tensor_type;
    Onnx__FunctionProto *function = onnx_file_allocate(file, sizeof(*function));
    Onnx__SparseTensorProto *sparse = onnx_file_allocate(file, sizeof(*sparse));
    switch (fault) {
    case NO_OUTPUT:
        graph->n_output = 0;
        break;
    case TWO_OUTPUTS:
        onnx_add_output(file, "audio", 0, 0);
        break;
    case OUTPUT_NOBODY_MAKES:
        graph->output[0]->name = onnx_text(file, "nobody");
        break;
    case OUTPUT_TOO_EARLY:
        graph->output[0]->name = onnx_find_node(file, "Gemm", 1)->output[0];
        break;
    case OUTPUT_CONSTANT:
        graph->output[0]->name = graph->initializer[0]->name;
        break;
    case NO_INPUT:
        graph->n_input = 0;
        break;
    case TWO_INPUTS:
        onnx_add_input(file, "more", 0, 0);
        break;
    case INPUT_RANK:
        type->shape->n_dim = 1;
        break;
    case INPUT_TYPE:
        type->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
        break;
    case INPUT_ZERO:
        type->shape->dim[1]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        type->shape->dim[1]->dim_value = 0;
        break;
    case INPUT_TWICE:
        graph->node[3]->output[0] = onnx_text(file, "audio");
        break;
    case INITIALIZER_TWICE:
        graph->initializer[1]->name = graph->initializer[0]->name;
        break;
    case INITIALIZER_NAMELESS:
        graph->initializer[1]->name = NULL;
        break;
    case OPSET_OLD:
    case OPSET_NEW:
        file->model.opset_import[0]->version = fault == OPSET_OLD ? 10 : 25;
        break;
    case OPSET_NONE:
        file->model.opset_import[0]->domain = onnx_text(file, "com.example");
        break;
    case FUNCTIONS:
        onnx__function_proto__init(function);
        file->model.functions = onnx_file_allocate(file, sizeof(void *));
        file->model.functions[file->model.n_functions++] = function;
        break;
    case SPARSE:
        onnx__sparse_tensor_proto__init(sparse);
        graph->sparse_initializer = onnx_file_allocate(file, sizeof(void *));
        graph->sparse_initializer[graph->n_sparse_initializer++] = sparse;
        break;
    case NO_GRAPH:
        file->model.graph = NULL;
        break;
    case TOO_MANY_LAYERS:
        onnx_find_node(file, "GRU", 0)->input[1] = onnx_find_node(file, "GRU", 7)->input[1];
        break;
    }
}

Test(onnx_graphs, spoilt_graphs)
{
    static const struct {
        graph_fault fault;
        const char *expected;
    } faults[] = {
        {NO_OUTPUT, "0 outputs"},
        {TWO_OUTPUTS, "2 outputs"},
        {OUTPUT_NOBODY_MAKES, "no node makes the output 'nobody'"},
        {OUTPUT_TOO_EARLY, "is the projection's second layer, not the embedding"},
        {OUTPUT_CONSTANT, "is not computed from the audio"},
        {NO_INPUT, "no input"},
        {TWO_INPUTS, "more than one input"},
        {INPUT_RANK, "must be float (batch, samples)"},
        {INPUT_TYPE, "must be float (batch, samples)"},
        {INPUT_ZERO, "extent 0"},
        {INPUT_TWICE, "'audio' is made twice"},
        {INITIALIZER_TWICE, "is made twice"},
        {INITIALIZER_NAMELESS, "has no name"},
        {OPSET_OLD, "opset 10; opsets 11 to 24 are read"},
        {OPSET_NEW, "opset 25"},
        {OPSET_NONE, "opset 0"},
        {FUNCTIONS, "functions"},
        {SPARSE, "sparse"},
        {NO_GRAPH, "not an ONNX model"},
        {TOO_MANY_LAYERS, "W, R and B must be (1, 48, 64)"},
    };
    attune_model *model = random_model(find_network("tiny-8layers"), 1), *read;
    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
        onnx_file *file = onnx_spell(model, &spellings[0]);
        spoil_graph(file, faults[i].fault);
        size_t size;
        uint8_t *bytes = onnx_file_pack(file, &size);
        cr_expect_eq(attune_model_parse(&read, bytes, size, "spoilt"), ATTUNE_EDATA, "%s",
                     faults[i].expected);
        cr_expect_null(read);
        cr_expect_not_null(strstr(attune_last_error(), faults[i].expected), "'%s' is not in: %s",
                           faults[i].expected, attune_last_error());
        free(bytes);
        onnx_file_free(file);
    }
    attune_model_close(model);
}

/* A ninth layer on top of eight. */
Test(onnx_graphs, nine_layers)
{
    attune_model *model = random_model(find_network("tiny-8layers"), 1), *read;
    onnx_file *file = onnx_spell(model, &spellings[0]);
    size_t index = onnx_find_index(file, "GRU", 7), size;
    Onnx__NodeProto *top = file->graph.node[index], *below = onnx_find_node(file, "Squeeze", 7);
    char **inputs = onnx_file_allocate(file, top->n_input * sizeof(char *));
    memcpy(inputs, top->input, top->n_input * sizeof(char *));
    Onnx__NodeProto *more = onnx_insert(file, index, "GRU", top->input[0]);
    more->n_input = top->n_input;
    more->input = inputs;
    more->n_attribute = top->n_attribute;
    more->attribute = top->attribute;
    Onnx__NodeProto *squeeze = onnx_insert(file, index + 1, "Squeeze", more->output[0]);
    char *pair[] = {more->output[0], below->input[1]};
    squeeze->n_input = 2;
    squeeze->input = pair;
    uint8_t *bytes = onnx_file_pack(file, &size);
    cr_assert_eq(attune_model_parse(&read, bytes, size, "m"), ATTUNE_EDATA);
    cr_assert_not_null(strstr(attune_last_error(), "GRU layer 9"), "%s", attune_last_error());
    free(bytes);
    onnx_file_free(file);
    attune_model_close(model);
}
