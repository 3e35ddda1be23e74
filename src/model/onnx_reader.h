/* onnx_reader.h - what the files of the ONNX reader share.
 *
 * The reader runs the graph on symbols. Nodes are visited in the order of the file, and every name
 * maps to a `value`: the meaning of that tensor. A meaning is a list of integers computed from
 * shapes, a constant tensor, or an activation: "the network up to here" (a chain of `content`s back
 * to the audio) in some layout. Each operator's handler takes its inputs' meanings and gives its
 * outputs', or refuses, and then the whole file is refused with the node's name. The graph's output
 * must mean "embedding"; the chain behind it holds every parameter, found by use and shape.
 *
 *   onnx_read.c            the file, the graph, the loop over nodes
 *   onnx_wire.c            bounds on hostile protobuf, before it is unpacked
 *   onnx_tensor.c          constant tensors and what graphs do to them
 *   onnx_symbol.c          symbolic shapes
 *   onnx_operators.c       the table of operators; attributes and arguments
 *   onnx_shape.c           operators that compute shapes, or change a tensor's
 *   onnx_slice.c           operators that take or join parts of a tensor
 *   onnx_arithmetic.c      Add, Sub, Mul, Div and the spellings made of them
 *   onnx_layers.c          operators that are layers of the network
 *   onnx_gru.c             the GRU
 *   onnx_network.c         the chain of contents -> attune_model */
#ifndef ATTUNE_SRC_MODEL_ONNX_READER_H
#define ATTUNE_SRC_MODEL_ONNX_READER_H

#include "model/onnx_symbol.h"
#include "model/parameters.h"

#include <onnx.pb-c.h>

enum {
    TENSOR_RANK_MAX = 6,
    INTEGERS_MAX = 64, /* integers in one list; shapes have at most 6 */
    ARGUMENTS_MAX = 16,
    PARAMETERS_MAX = 4,
};

/* A constant f32 tensor, row-major. `data` belongs to the message or to the reader's arena. */
typedef struct tensor {
    int rank;
    int64_t dims[TENSOR_RANK_MAX];
    size_t count; /* product of dims, at least 1 */
    const float *data;
} tensor;

/* What an activation is. `from` and `parameter` of each are said here. */
typedef enum content_kind {
    CONTENT_ZERO,         /* zeros */
    CONTENT_AUDIO,        /* the audio, or its first so many samples */
    CONTENT_FRAMES,       /* frames of network.frame_size samples <- audio */
    CONTENT_EARLIER_ROWS, /* rows 0 .. n-2 <- frames */
    CONTENT_LATER_ROWS,   /* rows 1 .. n-1 <- frames */
    CONTENT_CONVOLVED, /* convolution `index` <- frames, activated or pooled positions; weight, bias
                          or NULL */
    CONTENT_NORMALISED, /* batch normalisation <- convolved; scale, shift, mean, variance; `number`
                           is epsilon */
    CONTENT_ACTIVATED,  /* GELU or ReLU after convolution `index` <- convolved or normalised */
    CONTENT_MAXIMA,     /* max-pooled positions <- activated */
    CONTENT_FEATURES,   /* mean over positions <- activated */
    CONTENT_STATES, /* GRU layer's states <- features or states; W, R, B or NULL, in ONNX's order of
                       gates */
    CONTENT_STACK,  /* last states of several layers; stack[0 .. index-1] */
    CONTENT_INNER,  /* W h + b of the attention <- states; weight, bias or NULL */
    CONTENT_TANH,   /* <- inner */
    CONTENT_SCORE,  /* <- tanh; weight, bias or NULL */
    CONTENT_ATTENTION,    /* softmax over time <- score */
    CONTENT_WEIGHTED,     /* states times attention <- attention */
    CONTENT_POOLED,       /* one vector per sequence <- states or attention */
    CONTENT_PROJECTED,    /* first linear layer of the projection <- pooled; weight, bias or NULL */
    CONTENT_BENT,         /* its GELU or ReLU <- projected */
    CONTENT_RAW,          /* second linear layer <- bent; weight, bias or NULL */
    CONTENT_NORM,         /* L2 norm <- raw */
    CONTENT_CLAMPED_NORM, /* max(norm, 1e-12) <- norm */
    CONTENT_EMBEDDING,    /* <- raw */
    /* A GELU spelled out; x is `from`, `number` a factor s. */
    CONTENT_SCALED,   /* s x */
    CONTENT_ERF,      /* s erf(x / sqrt 2) */
    CONTENT_ERF_PLUS, /* s (1 + erf(x / sqrt 2)) */
    CONTENT_X_ERF,    /* s x (1 + erf(x / sqrt 2)) */
} content_kind;

typedef struct content content;
struct content {
    content_kind kind;
    int index;
    double number;
    bool transposed; /* a linear layer's weight is (in, out), not (out, in) */
    const content *from;
    const Onnx__NodeProto *node; /* that made it */
    const tensor *parameter[PARAMETERS_MAX];
    const content *stack[ATTUNE_LAYERS_MAX];
    attune_network network; /* as far as it is known here */
    extent samples;         /* of the whole audio */
};

typedef enum value_kind {
    VALUE_INTEGERS = 1, /* rank 0 or 1 */
    VALUE_FLOATS,
    VALUE_ACTIVATION,
} value_kind;

typedef struct value {
    value_kind kind;
    int rank; /* integers */
    int count;
    extent *integers;
    tensor floats;
    const content *content; /* activation */
    layout layout;
} value;

struct arena_block;

typedef struct reader {
    const char *path; /* for messages */
    int64_t opset;
    const Onnx__GraphProto *graph;
    const Onnx__NodeProto *node; /* that is being read; NULL outside the loop */
    size_t node_index;
    struct arena_block *arena;
    size_t arena_used, arena_max;
    bool is_greedy; /* was refused memory: the file's fault, not the machine's */
} reader;

/* One node's meaning: the handler reads `in`, sets `out`. in[i] is NULL for an argument left out.
 */
typedef struct call {
    reader *reader;
    const Onnx__NodeProto *node;
    int in_count;
    const value *in[ARGUMENTS_MAX];
    value *out[2];
} call;

/* onnx_read.c */

/* "<file>: node '<name>' (<op>): <text>" as ATTUNE_EDATA. */
attune_status onnx_refuse(const reader *r, const char *format, ...) ATTUNE_PRINTF(2, 3);
/* Zeroed memory that lives as long as the reader; NULL after setting the error if there is too
 * little, or if the file asks for more than any network of ours could. */
void *onnx_allocate(reader *r, size_t size);

/* onnx_wire.c: refuses bytes whose messages nest too deep or are too many to unpack. */
attune_status onnx_check_wire(const char *path, const uint8_t *bytes, size_t size);

/* onnx_tensor.c */

/* The meaning of a TensorProto; `name` for messages. */
attune_status onnx_read_tensor(reader *r, value **out, const Onnx__TensorProto *proto,
                               const char *name);
attune_status onnx_tensor_transpose(reader *r, tensor *out, const tensor *in, const int *order);
/* Elements first .. first + size - 1 along an axis. */
attune_status onnx_tensor_slice(reader *r, tensor *out, const tensor *in, int axis, int64_t first,
                                int64_t size);
attune_status onnx_tensor_concat(reader *r, tensor *out, const tensor *const *in, int count,
                                 int axis);
bool onnx_tensor_is_zero(const tensor *in);
bool onnx_tensor_is(const tensor *in, int rank, int64_t dim0, int64_t dim1, int64_t dim2);
/* Refuses a tensor that holds an infinity or NaN. */
attune_status onnx_check_finite(const reader *r, const tensor *in, const char *what);

/* onnx_operators.c */

/* Runs the node of `c`: checks domain, attributes and counts, then calls the operator's handler. */
attune_status onnx_run_node(call *c);

/* Attributes; the default if the node has none of that name. */
attune_status onnx_int(const call *c, int64_t *out, const char *name, int64_t otherwise);
attune_status onnx_float(const call *c, float *out, const char *name, float otherwise);
/* At most `capacity` of them; *count is -1 if the node has none. */
attune_status onnx_ints(const call *c, int64_t *out, int *count, int capacity, const char *name);
/* Refuses any other text than `wanted`; left out is right. */
attune_status onnx_check_text(const call *c, const char *name, const char *wanted);
/* Refuses any other number than `wanted`; `otherwise` is what left out means. */
attune_status onnx_check_int(const call *c, const char *name, int64_t wanted, int64_t otherwise);
/* Refuses any other list; left out means `otherwise` everywhere. */
attune_status onnx_check_ints(const call *c, const char *name, int64_t first, int64_t second,
                              int count, int64_t otherwise);
const Onnx__AttributeProto *onnx_attribute(const call *c, const char *name);

/* Arguments. */
const value *onnx_argument(const call *c, int index); /* NULL if left out */
int onnx_rank(const value *in);
/* A list of constant integers; *count is -1 if left out. */
attune_status onnx_constants(const call *c, int index, int64_t *out, int *count, int capacity);
/* The axes that a Squeeze, Unsqueeze or Reduce names, as an attribute before opset `since` and as
 * argument 1 from it on; *count is -1 if it names none. In 0 .. rank-1, each once; with `adds` the
 * named axes are added to the rank first. */
attune_status onnx_axes(const call *c, int64_t since, int rank, bool adds, int *axes, int *count);
/* An axis in 0 .. rank-1 from one that may be negative. */
attune_status onnx_axis(const call *c, int64_t axis, int rank, int *out);
/* Whether argument `index` is a float constant with one element, of rank `rank` at most. */
bool onnx_scalar(const call *c, int index, int rank, double *out);
/* Argument `index` as an activation, or refuses. */
attune_status onnx_activation(const call *c, int index, const value **out);
/* Argument `index` as a parameter: a finite constant. */
attune_status onnx_parameter(const call *c, int index, const char *what, const tensor **out);

/* Results. */
attune_status onnx_give_integers(call *c, int rank, int count, const extent *integers);
attune_status onnx_give_floats(call *c, const tensor *in);
attune_status onnx_give(call *c, int output, const content *what, const layout *shape);
/* The same content in another layout; `fits` false refuses for having too many axes. */
attune_status onnx_give_layout(call *c, const value *in, const layout *shape, bool fits);
/* A new content that follows `from`; NULL after setting the error. */
content *onnx_new_content(call *c, content_kind kind, const content *from);
/* "does not belong there": refuses what the node does to `in`. */
attune_status onnx_misplaced(const call *c, const value *in);
/* "the frames", "the states of GRU layer 2". */
const char *onnx_describe(const content *what);

/* A handler per operator. */
typedef attune_status (*onnx_handler)(call *c);

/* onnx_shape.c */
attune_status onnx_read_cast(call *c);
attune_status onnx_read_cast_like(call *c);
attune_status onnx_read_constant(call *c);
attune_status onnx_read_constant_of_shape(call *c);
attune_status onnx_read_expand(call *c);
attune_status onnx_read_flatten(call *c);
attune_status onnx_read_identity(call *c);
attune_status onnx_read_reshape(call *c);
attune_status onnx_read_shape(call *c);
attune_status onnx_read_squeeze(call *c);
attune_status onnx_read_transpose(call *c);
attune_status onnx_read_unsqueeze(call *c);

/* onnx_slice.c */
attune_status onnx_read_concat(call *c);
attune_status onnx_read_gather(call *c);
attune_status onnx_read_slice(call *c);

/* onnx_arithmetic.c */
attune_status onnx_read_add(call *c);
attune_status onnx_read_clip(call *c);
attune_status onnx_read_div(call *c);
attune_status onnx_read_erf(call *c);
attune_status onnx_read_max(call *c);
attune_status onnx_read_mul(call *c);
attune_status onnx_read_sub(call *c);

/* onnx_layers.c */
attune_status onnx_activate(call *c, const content *x, bool gelu, const layout *shape);
attune_status onnx_read_batch_normalization(call *c);
attune_status onnx_read_conv(call *c);
attune_status onnx_read_dropout(call *c);
attune_status onnx_read_gelu(call *c);
attune_status onnx_read_gemm(call *c);
attune_status onnx_read_global_average_pool(call *c);
attune_status onnx_read_lp_normalization(call *c);
attune_status onnx_read_matmul(call *c);
attune_status onnx_read_max_pool(call *c);
attune_status onnx_read_reduce_l2(call *c);
attune_status onnx_read_reduce_mean(call *c);
attune_status onnx_read_reduce_sum(call *c);
attune_status onnx_read_relu(call *c);
attune_status onnx_read_softmax(call *c);
attune_status onnx_read_tanh(call *c);

/* onnx_gru.c */
attune_status onnx_read_gru(call *c);

/* onnx_network.c */

/* Fills *out from the chain that ends in an embedding. */
attune_status onnx_collect(reader *r, attune_model **out, const content *embedding);

#endif
