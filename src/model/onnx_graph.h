/* onnx_graph.h - an ONNX file in the making, node by node.
 *
 * Everything that belongs to the file lies in one block, so that there is one allocation to check
 * and one to free; parameters that need no rearranging stay the model's. Our networks are small and
 * bounded: the limits below are asserted. */
#ifndef ATTUNE_SRC_MODEL_ONNX_GRAPH_H
#define ATTUNE_SRC_MODEL_ONNX_GRAPH_H

#include "model/parameters.h"

#include <onnx.pb-c.h>

enum {
    ONNX_NODES_MAX = 128, /* eight layers with GELUs spelled out take 82 */
    ONNX_TENSORS_MAX = 96,
    ONNX_INPUTS_MAX = 6,
    ONNX_ATTRIBUTES_MAX = 5,
    ONNX_NAME_MAX = 48
};

typedef struct onnx_node {
    Onnx__NodeProto proto;
    char name[ONNX_NAME_MAX]; /* also its first output's */
    char second[ONNX_NAME_MAX];
    char *inputs[ONNX_INPUTS_MAX], *outputs[2];
    Onnx__AttributeProto attributes[ONNX_ATTRIBUTES_MAX];
    Onnx__AttributeProto *attribute_list[ONNX_ATTRIBUTES_MAX];
    int64_t numbers[ONNX_ATTRIBUTES_MAX][3];
} onnx_node;

typedef struct onnx_initializer {
    Onnx__TensorProto proto;
    char name[ONNX_NAME_MAX];
    int64_t dims[3], numbers[3];
    float number;
} onnx_initializer;

/* `axes` are extents, or names where an extent is any. */
typedef struct onnx_value {
    Onnx__ValueInfoProto proto;
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension axes[2], *axis_list[2];
} onnx_value;

typedef struct onnx_graph {
    Onnx__ModelProto model;
    Onnx__GraphProto proto;
    Onnx__OperatorSetIdProto set, *sets[1];
    Onnx__StringStringEntryProto metadata[2], *metadata_list[2];
    onnx_value input, output;
    Onnx__ValueInfoProto *inputs[1], *outputs[1];
    onnx_node nodes[ONNX_NODES_MAX];
    Onnx__NodeProto *node_list[ONNX_NODES_MAX];
    onnx_initializer tensors[ONNX_TENSORS_MAX];
    Onnx__TensorProto *tensor_list[ONNX_TENSORS_MAX];
    int opset;
    size_t floats_used, floats_max;
    float floats[]; /* rearranged parameters */
} onnx_graph;

/* An empty graph with room for `floats`; NULL without memory. Freed by free(). */
onnx_graph *onnx_graph_new(int opset, size_t floats);
/* `text` is borrowed, as is every text below that is not said to be copied. */
void onnx_graph_describe(onnx_graph *g, const char *key, const char *text);
/* The input or the output: f32 of two axes, each a name where its extent is 0. */
void onnx_graph_value(onnx_value *value, const char *name, const char *axis0, const char *axis1,
                      int64_t extent1);

/* Appends a node with the inputs up to NULL, "" for one left out, and returns its output's name. */
const char *onnx_graph_emit(onnx_graph *g, const char *op, const char *const *inputs);
#define ONNX_EMIT(g, op, ...) onnx_graph_emit(g, op, (const char *const[]){__VA_ARGS__, NULL})

/* Of the node appended last: attributes, a second output, and another name for its first. */
void onnx_graph_int(onnx_graph *g, const char *name, int64_t number);
void onnx_graph_ints(onnx_graph *g, const char *name, int count, const int64_t *numbers);
void onnx_graph_text(onnx_graph *g, const char *name, const char *text);
const char *onnx_graph_second(onnx_graph *g);
void onnx_graph_rename(onnx_graph *g, const char *name);

/* Constants; each returns its name. The same whole numbers are one constant. */
const char *onnx_graph_floats(onnx_graph *g, const char *name, int rank, const int64_t *dims,
                              const float *values);
const char *onnx_graph_number(onnx_graph *g, const char *name, float number);
const char *onnx_graph_integer(onnx_graph *g, int64_t number);                     /* scalar */
const char *onnx_graph_integers(onnx_graph *g, int count, const int64_t *numbers); /* list */

/* Room for `count` rearranged parameters, part of what onnx_graph_new was told of. */
float *onnx_graph_allocate(onnx_graph *g, size_t count);

#endif
