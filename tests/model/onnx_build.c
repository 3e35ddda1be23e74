/* onnx_build.c - builds an ONNX graph node by node. */
#include "tests/model/onnx_build.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Appends to one of protobuf-c's arrays of pointers. The old array stays in the file's blocks. */
#define APPEND(file, owner, field, item)                                                           \
    do {                                                                                           \
        void **longer = onnx_file_allocate(file, ((owner)->n_##field + 1) * sizeof(void *));       \
        if ((owner)->n_##field > 0) {                                                              \
            memcpy(longer, (owner)->field, (owner)->n_##field * sizeof(void *));                   \
        }                                                                                          \
        longer[(owner)->n_##field++] = (item);                                                     \
        (owner)->field = (void *)longer;                                                           \
    } while (0)

onnx_file *onnx_file_new(int opset, constant_spelling constants)
{
    onnx_file *file = calloc(1, sizeof(*file));
    cr_assert_not_null(file);
    file->constants = constants;
    file->opset = opset;
    onnx__model_proto__init(&file->model);
    onnx__graph_proto__init(&file->graph);
    file->model.graph = &file->graph;
    file->model.has_ir_version = true;
    file->model.ir_version = 8;
    file->graph.name = onnx_text(file, "network");
    Onnx__OperatorSetIdProto *set = onnx_file_allocate(file, sizeof(*set));
    onnx__operator_set_id_proto__init(set);
    set->domain = onnx_text(file, "");
    set->has_version = true;
    set->version = opset;
    APPEND(file, &file->model, opset_import, set);
    return file;
}

void *onnx_file_allocate(onnx_file *file, size_t size)
{
    void *block = calloc(1, size ? size : 1);
    file->blocks = realloc(file->blocks, (file->block_count + 1) * sizeof(*file->blocks));
    cr_assert(block && file->blocks);
    file->blocks[file->block_count++] = block;
    return block;
}

void onnx_file_free(onnx_file *file)
{
    for (size_t i = 0; i < file->block_count; i++) {
        free(file->blocks[i]);
    }
    free(file->blocks);
    free(file);
}

uint8_t *onnx_file_pack(const onnx_file *file, size_t *size)
{
    *size = onnx__model_proto__get_packed_size(&file->model);
    uint8_t *bytes = malloc(*size);
    cr_assert_not_null(bytes);
    cr_assert_eq(onnx__model_proto__pack(&file->model, bytes), *size);
    return bytes;
}

char *onnx_text(onnx_file *file, const char *text)
{
    char *copy = onnx_file_allocate(file, strlen(text) + 1);
    strcpy(copy, text);
    return copy;
}

static char *new_name(onnx_file *file, const char *op)
{
    char name[64];
    snprintf(name, sizeof(name), "%s_%d", op, file->names++);
    return onnx_text(file, name);
}

static Onnx__NodeProto *new_node(onnx_file *file, const char *op)
{
    Onnx__NodeProto *node = onnx_file_allocate(file, sizeof(*node));
    onnx__node_proto__init(node);
    node->op_type = onnx_text(file, op);
    node->name = new_name(file, op);
    APPEND(file, node, output, onnx_text(file, node->name));
    return node;
}

const char *onnx_emit(onnx_file *file, const char *op, int in_count, ...)
{
    Onnx__NodeProto *node = new_node(file, op);
    va_list arguments;
    va_start(arguments, in_count);
    for (int i = 0; i < in_count; i++) {
        APPEND(file, node, input, onnx_text(file, va_arg(arguments, const char *)));
    }
    va_end(arguments);
    APPEND(file, &file->graph, node, node);
    file->last = node;
    return node->output[0];
}

const char *onnx_second_output(onnx_file *file)
{
    char *name = new_name(file, "second");
    APPEND(file, file->last, output, name);
    return name;
}

static Onnx__AttributeProto *new_attribute(onnx_file *file, const char *name,
                                           Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *attribute = onnx_file_allocate(file, sizeof(*attribute));
    onnx__attribute_proto__init(attribute);
    attribute->name = onnx_text(file, name);
    attribute->has_type = true;
    attribute->type = type;
    APPEND(file, file->last, attribute, attribute);
    return attribute;
}

void onnx_set_int(onnx_file *file, const char *name, int64_t number)
{
    Onnx__AttributeProto *attribute =
        new_attribute(file, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    attribute->has_i = true;
    attribute->i = number;
}

void onnx_set_ints(onnx_file *file, const char *name, int count, const int64_t *numbers)
{
    Onnx__AttributeProto *attribute =
        new_attribute(file, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    attribute->n_ints = (size_t)count;
    attribute->ints = onnx_file_allocate(file, (size_t)count * sizeof(int64_t));
    memcpy(attribute->ints, numbers, (size_t)count * sizeof(int64_t));
}

void onnx_set_float(onnx_file *file, const char *name, float number)
{
    Onnx__AttributeProto *attribute =
        new_attribute(file, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    attribute->has_f = true;
    attribute->f = number;
}

void onnx_set_text(onnx_file *file, const char *name, const char *text)
{
    Onnx__AttributeProto *attribute =
        new_attribute(file, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    attribute->has_s = true;
    attribute->s.len = strlen(text);
    attribute->s.data = (uint8_t *)onnx_text(file, text);
}

void onnx_set_tensor(onnx_file *file, const char *name, Onnx__TensorProto *tensor)
{
    new_attribute(file, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR)->t = tensor;
}

static void set_floats(onnx_file *file, const char *name, int count, const float *numbers)
{
    Onnx__AttributeProto *attribute =
        new_attribute(file, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
    attribute->n_floats = (size_t)count;
    attribute->floats = onnx_file_allocate(file, (size_t)count * sizeof(float));
    memcpy(attribute->floats, numbers, (size_t)count * sizeof(float));
}

static Onnx__TensorProto *new_tensor(onnx_file *file, int type, int rank, const int64_t *dims,
                                     const void *data)
{
    Onnx__TensorProto *tensor = onnx_file_allocate(file, sizeof(*tensor));
    bool real = type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    size_t count = 1, width = real ? sizeof(float) : sizeof(int64_t);
    onnx__tensor_proto__init(tensor);
    tensor->has_data_type = true;
    tensor->data_type = type;
    tensor->n_dims = (size_t)rank;
    tensor->dims = onnx_file_allocate(file, (size_t)rank * sizeof(int64_t));
    for (int i = 0; i < rank; i++) {
        tensor->dims[i] = dims[i];
        count *= (size_t)dims[i];
    }
    void *copy = onnx_file_allocate(file, count * width);
    if (count > 0) {
        memcpy(copy, data, count * width);
    }
    if (file->constants != CONSTANT_INITIALIZER_TYPED) {
        tensor->has_raw_data = true;
        tensor->raw_data = (ProtobufCBinaryData){.len = count * width, .data = copy};
    } else if (real) {
        tensor->n_float_data = count;
        tensor->float_data = copy;
    } else {
        tensor->n_int64_data = count;
        tensor->int64_data = copy;
    }
    return tensor;
}

static Onnx__ValueInfoProto *new_info(onnx_file *file, const char *name, int type, int rank,
                                      const int64_t *dims)
{
    Onnx__ValueInfoProto *info = onnx_file_allocate(file, sizeof(*info));
    onnx__value_info_proto__init(info);
    info->name = onnx_text(file, name);
    info->type = onnx_file_allocate(file, sizeof(*info->type));
    onnx__type_proto__init(info->type);
    info->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    Onnx__TypeProto__Tensor *tensor = onnx_file_allocate(file, sizeof(*tensor));
    onnx__type_proto__tensor__init(tensor);
    info->type->tensor_type = tensor;
    tensor->has_elem_type = true;
    tensor->elem_type = type;
    tensor->shape = onnx_file_allocate(file, sizeof(*tensor->shape));
    onnx__tensor_shape_proto__init(tensor->shape);
    for (int i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = onnx_file_allocate(file, sizeof(*dim));
        onnx__tensor_shape_proto__dimension__init(dim);
        if (dims[i] > 0) {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dim->dim_value = dims[i];
        } else {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dim->dim_param = onnx_text(file, i == 0 ? "batch" : "samples");
        }
        APPEND(file, tensor->shape, dim, dim);
    }
    return info;
}

void onnx_add_input(onnx_file *file, const char *name, int64_t dim0, int64_t dim1)
{
    const int64_t dims[] = {dim0, dim1};
    APPEND(file, &file->graph, input,
           new_info(file, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 2, dims));
}

void onnx_add_output(onnx_file *file, const char *name, int64_t dim0, int64_t dim1)
{
    const int64_t dims[] = {dim0, dim1};
    APPEND(file, &file->graph, output,
           new_info(file, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 2, dims));
}

static const char *new_constant(onnx_file *file, int type, int rank, const int64_t *dims,
                                const void *data)
{
    Onnx__TensorProto *tensor = new_tensor(file, type, rank, dims, data);
    bool node = file->constants == CONSTANT_NODE || file->constants == CONSTANT_NODE_VALUES;
    bool real = type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    if (!node) {
        tensor->name = new_name(file, "constant");
        APPEND(file, &file->graph, initializer, tensor);
        if (file->constants == CONSTANT_INPUT) {
            APPEND(file, &file->graph, input, new_info(file, tensor->name, type, rank, dims));
        }
        return tensor->name;
    }
    const char *name = onnx_emit(file, "Constant", 0);
    if (file->constants == CONSTANT_NODE || rank > 1 || file->opset < 12) {
        onnx_set_tensor(file, "value", tensor);
    } else if (real && rank == 1) {
        set_floats(file, "value_floats", (int)dims[0], data);
    } else if (real) {
        onnx_set_float(file, "value_float", *(const float *)data);
    } else if (rank == 1) {
        onnx_set_ints(file, "value_ints", (int)dims[0], data);
    } else {
        onnx_set_int(file, "value_int", *(const int64_t *)data);
    }
    return name;
}

const char *onnx_floats(onnx_file *file, int rank, const int64_t *dims, const float *data)
{
    return new_constant(file, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, rank, dims, data);
}

const char *onnx_number(onnx_file *file, float number)
{
    return onnx_floats(file, 0, NULL, &number);
}

const char *onnx_integer(onnx_file *file, int64_t number)
{
    return new_constant(file, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 0, NULL, &number);
}

const char *onnx_integers(onnx_file *file, int count, const int64_t *numbers)
{
    const int64_t dims[] = {count};
    return new_constant(file, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, dims, numbers);
}

const char *onnx_axis_list(onnx_file *file, int64_t axis)
{
    return onnx_integers(file, 1, &axis);
}

size_t onnx_find_index(onnx_file *file, const char *op, int nth)
{
    for (size_t i = 0; i < file->graph.n_node; i++) {
        if (strcmp(file->graph.node[i]->op_type, op) == 0 && nth-- == 0) {
            return i;
        }
    }
    cr_assert_fail("the graph has no such %s", op);
    abort();
}

Onnx__NodeProto *onnx_find_node(onnx_file *file, const char *op, int nth)
{
    return file->graph.node[onnx_find_index(file, op, nth)];
}

Onnx__AttributeProto *onnx_find_attribute(Onnx__NodeProto *node, const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++) {
        if (strcmp(node->attribute[i]->name, name) == 0) {
            return node->attribute[i];
        }
    }
    cr_assert_fail("%s has no attribute %s", node->op_type, name);
    abort();
}

Onnx__TensorProto *onnx_find_tensor(onnx_file *file, const char *name)
{
    for (size_t i = 0; i < file->graph.n_initializer; i++) {
        if (strcmp(file->graph.initializer[i]->name, name) == 0) {
            return file->graph.initializer[i];
        }
    }
    for (size_t i = 0; i < file->graph.n_node; i++) {
        if (strcmp(file->graph.node[i]->output[0], name) == 0) {
            return onnx_find_attribute(file->graph.node[i], "value")->t;
        }
    }
    cr_assert_fail("the graph has no tensor %s", name);
    abort();
}

/* Nodes from `index` on read `to` where they read `from`. */
static void redirect(onnx_file *file, size_t index, const char *from, const char *to)
{
    for (size_t i = index; i < file->graph.n_node; i++) {
        Onnx__NodeProto *node = file->graph.node[i];
        for (size_t j = 0; j < node->n_input; j++) {
            if (strcmp(node->input[j], from) == 0) {
                node->input[j] = onnx_text(file, to);
            }
        }
    }
}

Onnx__NodeProto *onnx_insert(onnx_file *file, size_t index, const char *op, const char *in)
{
    const char *name = onnx_text(file, in);
    const char *out = onnx_emit(file, op, 1, name);
    Onnx__NodeProto *node = file->last;
    for (size_t i = file->graph.n_node - 1; i > index; i--) {
        file->graph.node[i] = file->graph.node[i - 1];
    }
    file->graph.node[index] = node;
    redirect(file, index + 1, name, out);
    return node;
}

void onnx_bypass(onnx_file *file, size_t index)
{
    Onnx__NodeProto *node = file->graph.node[index];
    for (size_t i = index; i + 1 < file->graph.n_node; i++) {
        file->graph.node[i] = file->graph.node[i + 1];
    }
    file->graph.n_node--;
    redirect(file, index, node->output[0], node->input[0]);
}
