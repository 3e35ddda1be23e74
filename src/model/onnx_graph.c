/* onnx_graph.c - fills protobuf-c's structures. */
#include "model/onnx_graph.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* protobuf-c's strings are char *, which packing only reads. */
static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

onnx_graph *onnx_graph_new(int opset, size_t floats)
{
    onnx_graph *g = calloc(1, sizeof(*g) + floats * sizeof(float));
    if (!g) {
        return NULL;
    }
    onnx__model_proto__init(&g->model);
    onnx__graph_proto__init(&g->proto);
    onnx__operator_set_id_proto__init(&g->set);
    g->opset = opset;
    g->floats_max = floats;
    g->set.domain = text_of("");
    g->set.has_version = true;
    g->set.version = opset;
    g->sets[0] = &g->set;
    g->model.n_opset_import = 1;
    g->model.opset_import = g->sets;
    g->model.has_ir_version = true;
    g->model.ir_version = opset >= 19 ? 9 : 8; /* as each opset came with */
    g->model.producer_name = text_of("attune");
    g->model.producer_version = text_of(attune_version());
    g->model.metadata_props = g->metadata_list;
    g->model.graph = &g->proto;
    g->proto.name = text_of("network");
    g->proto.node = g->node_list;
    g->proto.initializer = g->tensor_list;
    g->inputs[0] = &g->input.proto;
    g->outputs[0] = &g->output.proto;
    g->proto.n_input = g->proto.n_output = 1;
    g->proto.input = g->inputs;
    g->proto.output = g->outputs;
    return g;
}

void onnx_graph_describe(onnx_graph *g, const char *key, const char *text)
{
    const size_t i = g->model.n_metadata_props++;
    assert(i < sizeof(g->metadata) / sizeof(*g->metadata));
    onnx__string_string_entry_proto__init(&g->metadata[i]);
    g->metadata[i].key = text_of(key);
    g->metadata[i].value = text_of(text);
    g->metadata_list[i] = &g->metadata[i];
}

void onnx_graph_value(onnx_value *value, const char *name, const char *axis0, const char *axis1,
                      int64_t extent1)
{
    const char *const axes[] = {axis0, axis1};
    onnx__value_info_proto__init(&value->proto);
    onnx__type_proto__init(&value->type);
    onnx__type_proto__tensor__init(&value->tensor);
    onnx__tensor_shape_proto__init(&value->shape);
    value->proto.name = text_of(name);
    value->proto.type = &value->type;
    value->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    value->type.tensor_type = &value->tensor;
    value->tensor.has_elem_type = true;
    value->tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    value->tensor.shape = &value->shape;
    value->shape.n_dim = 2;
    value->shape.dim = value->axis_list;
    for (int i = 0; i < 2; i++) {
        Onnx__TensorShapeProto__Dimension *axis = value->axis_list[i] = &value->axes[i];
        onnx__tensor_shape_proto__dimension__init(axis);
        if (axes[i]) {
            axis->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            axis->dim_param = text_of(axes[i]);
        } else {
            axis->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            axis->dim_value = extent1;
        }
    }
}

const char *onnx_graph_emit(onnx_graph *g, const char *op, const char *const *inputs)
{
    const size_t i = g->proto.n_node++;
    assert(i < ONNX_NODES_MAX);
    onnx_node *node = &g->nodes[i];
    onnx__node_proto__init(&node->proto);
    snprintf(node->name, sizeof(node->name), "%s_%zu", op, i);
    node->proto.op_type = text_of(op);
    node->proto.name = node->outputs[0] = node->name;
    node->proto.input = node->inputs;
    node->proto.output = node->outputs;
    node->proto.n_output = 1;
    node->proto.attribute = node->attribute_list;
    for (; inputs[node->proto.n_input]; node->proto.n_input++) {
        assert(node->proto.n_input < ONNX_INPUTS_MAX);
        node->inputs[node->proto.n_input] = text_of(inputs[node->proto.n_input]);
    }
    g->node_list[i] = &node->proto;
    return node->name;
}

static onnx_node *last_node(onnx_graph *g)
{
    assert(g->proto.n_node > 0);
    return &g->nodes[g->proto.n_node - 1];
}

static Onnx__AttributeProto *new_attribute(onnx_graph *g, const char *name,
                                           Onnx__AttributeProto__AttributeType type)
{
    onnx_node *node = last_node(g);
    const size_t i = node->proto.n_attribute++;
    assert(i < ONNX_ATTRIBUTES_MAX);
    onnx__attribute_proto__init(&node->attributes[i]);
    node->attributes[i].name = text_of(name);
    node->attributes[i].has_type = true;
    node->attributes[i].type = type;
    node->attribute_list[i] = &node->attributes[i];
    return &node->attributes[i];
}

void onnx_graph_int(onnx_graph *g, const char *name, int64_t number)
{
    Onnx__AttributeProto *a = new_attribute(g, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    a->has_i = true;
    a->i = number;
}

void onnx_graph_ints(onnx_graph *g, const char *name, int count, const int64_t *numbers)
{
    Onnx__AttributeProto *a = new_attribute(g, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    onnx_node *node = last_node(g);
    a->ints = node->numbers[node->proto.n_attribute - 1];
    a->n_ints = (size_t)count;
    assert(count <= 3);
    memcpy(a->ints, numbers, (size_t)count * sizeof(*numbers));
}

void onnx_graph_text(onnx_graph *g, const char *name, const char *text)
{
    Onnx__AttributeProto *a = new_attribute(g, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    a->has_s = true;
    a->s = (ProtobufCBinaryData){strlen(text), (uint8_t *)text_of(text)};
}

const char *onnx_graph_second(onnx_graph *g)
{
    onnx_node *node = last_node(g);
    snprintf(node->second, sizeof(node->second), "%s_%zu_last", node->proto.op_type,
             g->proto.n_node - 1);
    node->outputs[1] = node->second;
    node->proto.n_output = 2;
    return node->second;
}

void onnx_graph_rename(onnx_graph *g, const char *name)
{
    last_node(g)->outputs[0] = text_of(name);
}

/* A tensor of that name and its shape, without data; NULL if there is one already. */
static onnx_initializer *new_tensor(onnx_graph *g, const char **out, const char *name, int type,
                                    int rank, const int64_t *dims)
{
    for (size_t i = 0; i < g->proto.n_initializer; i++) {
        if (strcmp(g->tensors[i].name, name) == 0) {
            *out = g->tensors[i].name;
            return NULL;
        }
    }
    const size_t i = g->proto.n_initializer++;
    assert(i < ONNX_TENSORS_MAX && rank <= 3);
    onnx_initializer *tensor = &g->tensors[i];
    onnx__tensor_proto__init(&tensor->proto);
    snprintf(tensor->name, sizeof(tensor->name), "%s", name);
    for (int axis = 0; axis < rank; axis++) {
        tensor->dims[axis] = dims[axis];
    }
    tensor->proto.name = tensor->name;
    tensor->proto.has_data_type = true;
    tensor->proto.data_type = type;
    tensor->proto.n_dims = (size_t)rank;
    tensor->proto.dims = tensor->dims;
    tensor->proto.has_raw_data = true;
    g->tensor_list[i] = &tensor->proto;
    *out = tensor->name;
    return tensor;
}

static void set_data(onnx_initializer *tensor, size_t size, const void *data)
{
    tensor->proto.raw_data = (ProtobufCBinaryData){size, (uint8_t *)(uintptr_t)data};
}

const char *onnx_graph_floats(onnx_graph *g, const char *name, int rank, const int64_t *dims,
                              const float *values)
{
    const char *out = NULL;
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        count *= (size_t)dims[i];
    }
    onnx_initializer *tensor =
        new_tensor(g, &out, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, rank, dims);
    assert(tensor); /* each parameter has a name of its own */
    set_data(tensor, count * sizeof(float), values);
    return out;
}

const char *onnx_graph_number(onnx_graph *g, const char *name, float number)
{
    const char *out = NULL;
    onnx_initializer *tensor =
        new_tensor(g, &out, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 0, NULL);
    if (tensor) {
        tensor->number = number;
        set_data(tensor, sizeof(float), &tensor->number);
    }
    return out;
}

static const char *integers(onnx_graph *g, int rank, int count, const int64_t *numbers)
{
    char name[ONNX_NAME_MAX];
    const char *out = NULL;
    const int64_t dims[] = {count};
    int length = snprintf(name, sizeof(name), rank ? "list" : "number");
    assert(count <= 3);
    for (int i = 0; i < count; i++) {
        length += snprintf(name + length, sizeof(name) - (size_t)length, "_%" PRId64, numbers[i]);
    }
    onnx_initializer *tensor =
        new_tensor(g, &out, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, rank, dims);
    if (tensor) {
        memcpy(tensor->numbers, numbers, (size_t)count * sizeof(*numbers));
        set_data(tensor, (size_t)count * sizeof(*numbers), tensor->numbers);
    }
    return out;
}

const char *onnx_graph_integer(onnx_graph *g, int64_t number)
{
    return integers(g, 0, 1, &number);
}

const char *onnx_graph_integers(onnx_graph *g, int count, const int64_t *numbers)
{
    return integers(g, 1, count, numbers);
}

float *onnx_graph_allocate(onnx_graph *g, size_t count)
{
    float *out = g->floats + g->floats_used;
    g->floats_used += count;
    assert(g->floats_used <= g->floats_max);
    return out;
}
