/* onnx_build.h - builds an ONNX graph node by node, and finds parts of it again to spoil them.
 * Asserts on failure. */
#ifndef ATTUNE_TESTS_MODEL_ONNX_BUILD_H
#define ATTUNE_TESTS_MODEL_ONNX_BUILD_H

#include <onnx.pb-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How constants are written. */
typedef enum constant_spelling {
    CONSTANT_INITIALIZER,       /* raw data */
    CONSTANT_INITIALIZER_TYPED, /* float_data, int64_data */
    CONSTANT_INPUT,             /* initialisers that are also listed as inputs */
    CONSTANT_NODE,              /* Constant nodes with a tensor */
    CONSTANT_NODE_VALUES,       /* Constant nodes with value_int(s), value_float(s); larger ones as
                                   tensors */
} constant_spelling;

typedef struct onnx_file {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__NodeProto *last; /* node made last */
    constant_spelling constants;
    int opset;
    int names; /* given so far */
    void **blocks;
    size_t block_count;
} onnx_file;

/* Ownership: everything made for a file is freed with it. */
onnx_file *onnx_file_new(int opset, constant_spelling constants);
void onnx_file_free(onnx_file *file);
void *onnx_file_allocate(onnx_file *file, size_t size);
/* The file's bytes, malloc'ed. */
uint8_t *onnx_file_pack(const onnx_file *file, size_t *size);

/* Appends a node with in_count inputs, `const char *` each; "" is one left out. Returns its
 * output's name. */
const char *onnx_emit(onnx_file *file, const char *op, int in_count, ...);
/* Gives the last node a second output. */
const char *onnx_second_output(onnx_file *file);

/* Attributes of the last node. */
void onnx_set_int(onnx_file *file, const char *name, int64_t number);
void onnx_set_ints(onnx_file *file, const char *name, int count, const int64_t *numbers);
void onnx_set_float(onnx_file *file, const char *name, float number);
void onnx_set_text(onnx_file *file, const char *name, const char *text);
void onnx_set_tensor(onnx_file *file, const char *name, Onnx__TensorProto *tensor);

/* Constants; each returns its name. */
const char *onnx_floats(onnx_file *file, int rank, const int64_t *dims, const float *data);
const char *onnx_number(onnx_file *file, float number); /* scalar */
const char *onnx_integer(onnx_file *file, int64_t number);
const char *onnx_integers(onnx_file *file, int count, const int64_t *numbers);
const char *onnx_axis_list(onnx_file *file, int64_t axis); /* [axis] */

/* An input or output, float (dim, dim); 0 is not fixed. */
void onnx_add_input(onnx_file *file, const char *name, int64_t dim0, int64_t dim1);
void onnx_add_output(onnx_file *file, const char *name, int64_t dim0, int64_t dim1);

/* The nth node (from 0) of an operator; asserts that there is one. */
Onnx__NodeProto *onnx_find_node(onnx_file *file, const char *op, int nth);
size_t onnx_find_index(onnx_file *file, const char *op, int nth);
Onnx__AttributeProto *onnx_find_attribute(Onnx__NodeProto *node, const char *name);
/* The initialiser of that name, or the tensor of the Constant node that makes it. */
Onnx__TensorProto *onnx_find_tensor(onnx_file *file, const char *name);
/* Puts a node with one input and one output at `index`, and lets every node behind it that read
 * `in` read its output. */
Onnx__NodeProto *onnx_insert(onnx_file *file, size_t index, const char *op, const char *in);
/* Takes the node at `index` out; what read its output reads its first input. */
void onnx_bypass(onnx_file *file, size_t index);
char *onnx_text(onnx_file *file, const char *text);

#endif
