/* onnx_operators.c - the table of operators, and the attributes and arguments of a node.
 *
 * An operator, an attribute or an argument that is not in the table is refused: what is not
 * understood could change what the network computes. */
#include "model/onnx_reader.h"
#include "status/error.h"

#include <stdio.h>
#include <string.h>

typedef struct operator_rule {
    const char *name;
    onnx_handler handler;
    int in_min, in_max, out_max;
    const char *attributes; /* between spaces */
    int since;              /* first opset that has it; 0: every one we read */
} operator_rule;

#define REDUCE " axes keepdims noop_with_empty_axes "
static const operator_rule OPERATORS[] = {
    {"Add", onnx_read_add, 2, 2, 1, "", 0},
    {"BatchNormalization", onnx_read_batch_normalization, 5, 5, 1,
     " epsilon momentum training_mode ", 0},
    {"Cast", onnx_read_cast, 1, 1, 1, " to saturate ", 0},
    {"CastLike", onnx_read_cast_like, 2, 2, 1, " saturate ", 15},
    {"Clip", onnx_read_clip, 1, 3, 1, "", 0},
    {"Concat", onnx_read_concat, 1, ARGUMENTS_MAX, 1, " axis ", 0},
    {"Constant", onnx_read_constant, 0, 0, 1,
     " value value_float value_floats value_int value_ints ", 0},
    {"ConstantOfShape", onnx_read_constant_of_shape, 1, 1, 1, " value ", 0},
    {"Conv", onnx_read_conv, 2, 3, 1, " auto_pad dilations group kernel_shape pads strides ", 0},
    {"Div", onnx_read_div, 2, 2, 1, "", 0},
    {"Dropout", onnx_read_dropout, 1, 3, 2, " ratio seed ", 0},
    {"Erf", onnx_read_erf, 1, 1, 1, "", 0},
    {"Expand", onnx_read_expand, 2, 2, 1, "", 0},
    {"Flatten", onnx_read_flatten, 1, 1, 1, " axis ", 0},
    {"GRU", onnx_read_gru, 3, 6, 2,
     " activations direction hidden_size layout linear_before_reset ", 0},
    {"Gather", onnx_read_gather, 2, 2, 1, " axis ", 0},
    {"Gelu", onnx_read_gelu, 1, 1, 1, " approximate ", 20},
    {"Gemm", onnx_read_gemm, 2, 3, 1, " alpha beta transA transB ", 0},
    {"GlobalAveragePool", onnx_read_global_average_pool, 1, 1, 1, "", 0},
    {"Identity", onnx_read_identity, 1, 1, 1, "", 0},
    {"LpNormalization", onnx_read_lp_normalization, 1, 1, 1, " axis p ", 0},
    {"MatMul", onnx_read_matmul, 2, 2, 1, "", 0},
    {"Max", onnx_read_max, 2, 2, 1, "", 0},
    {"MaxPool", onnx_read_max_pool, 1, 1, 1,
     " auto_pad ceil_mode dilations kernel_shape pads storage_order strides ", 0},
    {"Mul", onnx_read_mul, 2, 2, 1, "", 0},
    {"ReduceL2", onnx_read_reduce_l2, 1, 2, 1, REDUCE, 0},
    {"ReduceMean", onnx_read_reduce_mean, 1, 2, 1, REDUCE, 0},
    {"ReduceSum", onnx_read_reduce_sum, 1, 2, 1, REDUCE, 0},
    {"Relu", onnx_read_relu, 1, 1, 1, "", 0},
    {"Reshape", onnx_read_reshape, 2, 2, 1, " allowzero ", 0},
    {"Shape", onnx_read_shape, 1, 1, 1, " end start ", 0},
    {"Slice", onnx_read_slice, 3, 5, 1, "", 0},
    {"Softmax", onnx_read_softmax, 1, 1, 1, " axis ", 0},
    {"Squeeze", onnx_read_squeeze, 1, 2, 1, " axes ", 0},
    {"Sub", onnx_read_sub, 2, 2, 1, "", 0},
    {"Tanh", onnx_read_tanh, 1, 1, 1, "", 0},
    {"Transpose", onnx_read_transpose, 1, 1, 1, " perm ", 0},
    {"Unsqueeze", onnx_read_unsqueeze, 1, 2, 1, " axes ", 0},
};

static attune_status check_attributes(const call *c, const operator_rule *rule)
{
    for (size_t i = 0; i < c->node->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = c->node->attribute[i];
        const char *name = attribute->name ? attribute->name : "";
        char wanted[64];
        if (attribute->ref_attr_name && *attribute->ref_attr_name) {
            return onnx_refuse(c->reader, "attribute %.40s refers to a function's", name);
        }
        snprintf(wanted, sizeof(wanted), " %.60s ", name);
        if (!*name || strchr(name, ' ') || !strstr(rule->attributes, wanted)) {
            return onnx_refuse(c->reader, "attribute '%.40s' is not one that is read", name);
        }
        if (onnx_attribute(c, name) != attribute) {
            return onnx_refuse(c->reader, "attribute %s is given twice", name);
        }
    }
    return ATTUNE_OK;
}

attune_status onnx_run_node(call *c)
{
    const char *op = c->node->op_type ? c->node->op_type : "";
    const operator_rule *rule = NULL;
    for (size_t i = 0; i < sizeof(OPERATORS) / sizeof(*OPERATORS); i++) {
        if (strcmp(OPERATORS[i].name, op) == 0) {
            rule = &OPERATORS[i];
        }
    }
    if (!rule) {
        return onnx_refuse(c->reader, "AudioEmbedding networks do not use this operator");
    }
    if (c->reader->opset < rule->since) {
        return onnx_refuse(c->reader, "opset %lld does not have this operator",
                           (long long)c->reader->opset);
    }
    if (c->in_count < rule->in_min || c->in_count > rule->in_max) {
        return onnx_refuse(c->reader, "has %d inputs", c->in_count);
    }
    for (int i = 0; i < rule->in_min; i++) {
        if (!c->in[i]) {
            return onnx_refuse(c->reader, "input %d is missing", i);
        }
    }
    for (size_t i = (size_t)rule->out_max; i < c->node->n_output; i++) {
        if (*c->node->output[i]) {
            return onnx_refuse(c->reader, "output %zu is not one that is read", i);
        }
    }
    attune_status status = check_attributes(c, rule);
    return status ? status : rule->handler(c);
}

const Onnx__AttributeProto *onnx_attribute(const call *c, const char *name)
{
    for (size_t i = 0; i < c->node->n_attribute; i++) {
        if (c->node->attribute[i]->name && strcmp(c->node->attribute[i]->name, name) == 0) {
            return c->node->attribute[i];
        }
    }
    return NULL;
}

/* The attribute, or NULL if there is none; another type than `type` is refused. */
static attune_status typed(const call *c, const Onnx__AttributeProto **out, const char *name,
                           Onnx__AttributeProto__AttributeType type)
{
    *out = onnx_attribute(c, name);
    if (*out && (*out)->type != type) {
        return onnx_refuse(c->reader, "attribute %s has the wrong type", name);
    }
    return ATTUNE_OK;
}

attune_status onnx_int(const call *c, int64_t *out, const char *name, int64_t otherwise)
{
    const Onnx__AttributeProto *attribute;
    attune_status status = typed(c, &attribute, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    *out = attribute ? attribute->i : otherwise;
    return status;
}

attune_status onnx_float(const call *c, float *out, const char *name, float otherwise)
{
    const Onnx__AttributeProto *attribute;
    attune_status status = typed(c, &attribute, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    *out = attribute ? attribute->f : otherwise;
    return status;
}

attune_status onnx_ints(const call *c, int64_t *out, int *count, int capacity, const char *name)
{
    const Onnx__AttributeProto *attribute;
    attune_status status = typed(c, &attribute, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    *count = -1;
    if (status || !attribute) {
        return status;
    }
    if (attribute->n_ints > (size_t)capacity) {
        return onnx_refuse(c->reader, "attribute %s has %zu numbers", name, attribute->n_ints);
    }
    *count = (int)attribute->n_ints;
    for (int i = 0; i < *count; i++) {
        out[i] = attribute->ints[i];
    }
    return ATTUNE_OK;
}

attune_status onnx_check_text(const call *c, const char *name, const char *wanted)
{
    const Onnx__AttributeProto *attribute;
    attune_status status =
        typed(c, &attribute, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    if (!status && attribute &&
        (attribute->s.len != strlen(wanted) ||
         memcmp(attribute->s.data, wanted, attribute->s.len) != 0)) {
        return onnx_refuse(c->reader, "%s must be \"%s\"", name, wanted);
    }
    return status;
}

attune_status onnx_check_int(const call *c, const char *name, int64_t wanted, int64_t otherwise)
{
    int64_t actual;
    attune_status status = onnx_int(c, &actual, name, otherwise);
    if (!status && actual != wanted) {
        return onnx_refuse(c->reader, "%s must be %lld, not %lld", name, (long long)wanted,
                           (long long)actual);
    }
    return status;
}

attune_status onnx_check_ints(const call *c, const char *name, int64_t first, int64_t second,
                              int count, int64_t otherwise)
{
    int64_t actual[2] = {otherwise, otherwise};
    int given;
    attune_status status = onnx_ints(c, actual, &given, 2, name);
    if (!status && ((given >= 0 && given != count) || actual[0] != first ||
                    (count == 2 && actual[1] != second))) {
        return count == 1 ? onnx_refuse(c->reader, "%s must be [%lld]", name, (long long)first)
                          : onnx_refuse(c->reader, "%s must be [%lld, %lld]", name,
                                        (long long)first, (long long)second);
    }
    return status;
}

const value *onnx_argument(const call *c, int index)
{
    return index < c->in_count ? c->in[index] : NULL;
}

int onnx_rank(const value *in)
{
    return in->kind == VALUE_INTEGERS ? in->rank
           : in->kind == VALUE_FLOATS ? in->floats.rank
                                      : in->layout.rank;
}

attune_status onnx_constants(const call *c, int index, int64_t *out, int *count, int capacity)
{
    const value *in = onnx_argument(c, index);
    *count = in ? in->count : -1;
    if (!in) {
        return ATTUNE_OK;
    }
    if (in->kind != VALUE_INTEGERS || in->count > capacity) {
        return onnx_refuse(c->reader, "input %d must be a short list of integers", index);
    }
    for (int i = 0; i < in->count; i++) {
        if (!onnx_extent_is_constant(in->integers[i], &out[i])) {
            return onnx_refuse(c->reader, "input %d must be constant", index);
        }
    }
    return ATTUNE_OK;
}

attune_status onnx_axis(const call *c, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank) {
        return onnx_refuse(c->reader, "axis %lld of a tensor with %d axes", (long long)axis, rank);
    }
    *out = (int)(axis < 0 ? axis + rank : axis);
    return ATTUNE_OK;
}

attune_status onnx_axes(const call *c, int64_t since, int rank, bool adds, int *axes, int *count)
{
    int64_t given[LAYOUT_RANK_MAX];
    unsigned seen = 0;
    bool argument = c->reader->opset >= since;
    if (argument ? onnx_attribute(c, "axes") != NULL : c->in_count > 1) {
        return onnx_refuse(c->reader, "opset %lld gives the axes as an %s",
                           (long long)c->reader->opset, argument ? "input" : "attribute");
    }
    attune_status status = argument ? onnx_constants(c, 1, given, count, LAYOUT_RANK_MAX)
                                    : onnx_ints(c, given, count, LAYOUT_RANK_MAX, "axes");
    if (!status && adds && *count > 0) {
        rank += *count;
        if (rank > LAYOUT_RANK_MAX) {
            return onnx_refuse(c->reader, "makes a tensor with %d axes", rank);
        }
    }
    for (int i = 0; !status && i < *count; i++) {
        status = onnx_axis(c, given[i], rank, &axes[i]);
        if (!status && (seen & (1u << axes[i]))) {
            status = onnx_refuse(c->reader, "axis %d is named twice", axes[i]);
        }
        seen |= status ? 0 : 1u << axes[i];
    }
    return status;
}

bool onnx_scalar(const call *c, int index, int rank, double *out)
{
    const value *in = onnx_argument(c, index);
    if (!in || in->kind != VALUE_FLOATS || in->floats.count != 1 || in->floats.rank > rank) {
        return false;
    }
    *out = in->floats.data[0];
    return true;
}

attune_status onnx_activation(const call *c, int index, const value **out)
{
    *out = onnx_argument(c, index);
    if (!*out || (*out)->kind != VALUE_ACTIVATION) {
        return onnx_refuse(c->reader, "input %d must be computed from the audio", index);
    }
    return ATTUNE_OK;
}

attune_status onnx_parameter(const call *c, int index, const char *what, const tensor **out)
{
    const value *in = onnx_argument(c, index);
    if (!in || in->kind != VALUE_FLOATS) {
        return onnx_refuse(c->reader, "%s must be a constant float tensor", what);
    }
    *out = &in->floats;
    return onnx_check_finite(c->reader, &in->floats, what);
}

static attune_status new_value(call *c, int output, value_kind kind)
{
    c->out[output] = onnx_allocate(c->reader, sizeof(value));
    if (!c->out[output]) {
        return ATTUNE_ENOMEM;
    }
    c->out[output]->kind = kind;
    return ATTUNE_OK;
}

attune_status onnx_give_integers(call *c, int rank, int count, const extent *integers)
{
    if (count > INTEGERS_MAX) {
        return onnx_refuse(c->reader, "makes a list of %d integers", count);
    }
    attune_status status = new_value(c, 0, VALUE_INTEGERS);
    if (status) {
        return status;
    }
    value *out = c->out[0];
    out->rank = rank;
    out->count = count;
    out->integers = onnx_allocate(c->reader, (size_t)(count + 1) * sizeof(extent));
    if (!out->integers) {
        return ATTUNE_ENOMEM;
    }
    memcpy(out->integers, integers, (size_t)count * sizeof(extent));
    return ATTUNE_OK;
}

attune_status onnx_give_floats(call *c, const tensor *in)
{
    attune_status status = new_value(c, 0, VALUE_FLOATS);
    if (!status) {
        c->out[0]->floats = *in;
    }
    return status;
}

attune_status onnx_give(call *c, int output, const content *what, const layout *shape)
{
    attune_status status = what ? new_value(c, output, VALUE_ACTIVATION) : ATTUNE_ENOMEM;
    if (!status) {
        c->out[output]->content = what;
        c->out[output]->layout = *shape;
    }
    return status;
}

attune_status onnx_give_layout(call *c, const value *in, const layout *shape, bool fits)
{
    return fits ? onnx_give(c, 0, in->content, shape)
                : onnx_refuse(c->reader, "%s does not take this shape", onnx_describe(in->content));
}

content *onnx_new_content(call *c, content_kind kind, const content *from)
{
    content *made = onnx_allocate(c->reader, sizeof(*made));
    if (made) {
        if (from) {
            made->network = from->network;
            made->samples = from->samples;
            made->index = from->index;
        }
        made->kind = kind;
        made->from = from;
        made->node = c->node;
    }
    return made;
}

const char *onnx_describe(const content *what)
{
    static const char *const NAMES[] = {
        [CONTENT_ZERO] = "a tensor of zeros",
        [CONTENT_AUDIO] = "the audio",
        [CONTENT_FRAMES] = "the audio in frames",
        [CONTENT_EARLIER_ROWS] = "the first halves of the frames",
        [CONTENT_LATER_ROWS] = "the second halves of the frames",
        [CONTENT_CONVOLVED] = "a convolution's output",
        [CONTENT_NORMALISED] = "a batch normalisation's output",
        [CONTENT_ACTIVATED] = "a convolution's activation",
        [CONTENT_MAXIMA] = "the max pooling's output",
        [CONTENT_FEATURES] = "the features of the frames",
        [CONTENT_STATES] = "a GRU layer's states",
        [CONTENT_STACK] = "the stacked last states",
        [CONTENT_INNER] = "the attention's inner layer",
        [CONTENT_TANH] = "the attention's tanh",
        [CONTENT_SCORE] = "the attention's scores",
        [CONTENT_ATTENTION] = "the attention's weights",
        [CONTENT_WEIGHTED] = "the weighted states",
        [CONTENT_POOLED] = "the pooled states",
        [CONTENT_PROJECTED] = "the projection's first layer",
        [CONTENT_BENT] = "the projection's activation",
        [CONTENT_RAW] = "the projection's second layer",
        [CONTENT_NORM] = "the norm",
        [CONTENT_CLAMPED_NORM] = "the clamped norm",
        [CONTENT_EMBEDDING] = "the embedding",
        [CONTENT_SCALED] = "a part of a GELU, s x",
        [CONTENT_ERF] = "a part of a GELU, s erf(x / sqrt 2)",
        [CONTENT_ERF_PLUS] = "a part of a GELU, s (1 + erf(x / sqrt 2))",
        [CONTENT_X_ERF] = "a part of a GELU, s x (1 + erf(x / sqrt 2))",
    };
    return NAMES[what->kind];
}

attune_status onnx_misplaced(const call *c, const value *in)
{
    return onnx_refuse(c->reader, "AudioEmbedding networks do not use %s like this",
                       onnx_describe(in->content));
}
