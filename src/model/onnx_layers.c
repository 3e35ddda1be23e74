/* onnx_layers.c - operators that are layers of the network.
 *
 * Each checks that what it reads is what stands before it in the network, that every attribute is
 * the network's, and that its axes are the right ones. */
#include "model/onnx_reader.h"

enum { WIDTH_MAX = 1024 };

attune_status onnx_activate(call *c, const content *x, bool gelu, const layout *shape)
{
    bool convolved = x->kind == CONTENT_CONVOLVED || x->kind == CONTENT_NORMALISED;
    if (!convolved && x->kind != CONTENT_PROJECTED) {
        return onnx_refuse(c->reader, "%s has no activation", onnx_describe(x));
    }
    if (gelu != (x->network.architecture == ATTUNE_ARCHITECTURE_TINY)) {
        return onnx_refuse(c->reader, "%s has %s activations",
                           attune_architecture_name(x->network.architecture),
                           gelu ? "ReLU" : "GELU");
    }
    return onnx_give(c, 0, onnx_new_content(c, convolved ? CONTENT_ACTIVATED : CONTENT_BENT, x),
                     shape);
}

attune_status onnx_read_gelu(call *c)
{
    const value *in;
    attune_status status = onnx_activation(c, 0, &in);
    status = status ? status : onnx_check_text(c, "approximate", "none");
    return status ? status : onnx_activate(c, in->content, true, &in->layout);
}

attune_status onnx_read_relu(call *c)
{
    const value *in;
    attune_status status = onnx_activation(c, 0, &in);
    return status ? status : onnx_activate(c, in->content, false, &in->layout);
}

attune_status onnx_read_dropout(call *c)
{
    const value *in;
    int64_t training[1] = {0};
    int count;
    attune_status status = onnx_activation(c, 0, &in);
    status = status ? status : onnx_constants(c, 2, training, &count, 1);
    if (!status && training[0] != 0) {
        return onnx_refuse(c->reader, "is in training mode; export the model for inference");
    }
    return status ? status : onnx_read_identity(c);
}

/* The convolution's index, and by the first one's weight the architecture. */
static attune_status identify(const call *c, const content *from, const tensor *weight,
                              content *made)
{
    const attune_network *network = &from->network;
    made->index = 0;
    if (from->kind == CONTENT_FRAMES) {
        if (network->frame_size % 256 != 0 || network->frame_size < 256 ||
            network->frame_size > 16384) {
            return onnx_refuse(
                c->reader, "frames of %d samples; a frame is a multiple of 256 from 256 to 16384",
                network->frame_size);
        }
        bool baseline = weight->rank == 3 && weight->dims[0] == 64 && weight->dims[2] == 7;
        made->network.architecture = baseline ? ATTUNE_ARCHITECTURE_GRU : ATTUNE_ARCHITECTURE_TINY;
        return ATTUNE_OK;
    }
    made->index = from->index + 1;
    bool baseline = network->architecture == ATTUNE_ARCHITECTURE_GRU;
    if (from->kind != (baseline ? CONTENT_MAXIMA : CONTENT_ACTIVATED) ||
        !attune_conv_of(network->architecture, made->index)) {
        return onnx_refuse(c->reader, "reads %s; %s has no convolution there", onnx_describe(from),
                           attune_architecture_name(network->architecture));
    }
    return ATTUNE_OK;
}

static attune_status check_convolution(const call *c, const attune_conv *rule)
{
    attune_status status = onnx_check_text(c, "auto_pad", "NOTSET");
    status = status ? status : onnx_check_ints(c, "dilations", 1, 0, 1, 1);
    status = status ? status : onnx_check_int(c, "group", rule->groups, 1);
    status = status ? status : onnx_check_ints(c, "kernel_shape", rule->taps, 0, 1, rule->taps);
    status = status ? status : onnx_check_ints(c, "pads", rule->padding, rule->padding, 2, 0);
    return status ? status : onnx_check_ints(c, "strides", rule->stride, 0, 1, 1);
}

/* The layout of (rows, channels, positions), or refuses; *positions is its last extent. */
static attune_status check_positions(const call *c, const value *in, int64_t *positions)
{
    const layout *shape = &in->layout;
    if (shape->rank != 3 || !onnx_layout_is(shape, 1, ROLE_CHANNEL) ||
        !onnx_layout_is(shape, 2, ROLE_POSITION) ||
        !onnx_extent_is_constant(onnx_layout_extent(shape, 2), positions)) {
        return onnx_refuse(c->reader, "%s must be (frames, channels, positions) here",
                           onnx_describe(in->content));
    }
    return ATTUNE_OK;
}

attune_status onnx_read_conv(call *c)
{
    const value *in;
    const tensor *weight, *bias = NULL;
    int64_t positions;
    content *made;
    attune_status status = onnx_activation(c, 0, &in);
    status = status ? status : onnx_parameter(c, 1, "the weight", &weight);
    status = status || !onnx_argument(c, 2) ? status : onnx_parameter(c, 2, "the bias", &bias);
    if (status) {
        return status;
    }
    if (in->content->kind != CONTENT_FRAMES && in->content->kind != CONTENT_ACTIVATED &&
        in->content->kind != CONTENT_MAXIMA) {
        return onnx_misplaced(c, in);
    }
    if ((made = onnx_new_content(c, CONTENT_CONVOLVED, in->content)) == NULL) {
        return ATTUNE_ENOMEM;
    }
    status = identify(c, in->content, weight, made);
    if (status) {
        return status;
    }
    const attune_conv *rule = attune_conv_of(made->network.architecture, made->index);
    if (!onnx_tensor_is(weight, 3, rule->outputs, rule->inputs, rule->taps) ||
        (bias && !onnx_tensor_is(bias, 1, rule->outputs, 0, 0))) {
        return onnx_refuse(c->reader,
                           "convolution %d of %s has a weight of (%d, %d, %d) and a bias of (%d)",
                           made->index, attune_architecture_name(made->network.architecture),
                           rule->outputs, rule->inputs, rule->taps, rule->outputs);
    }
    status = check_convolution(c, rule);
    status = status ? status : check_positions(c, in, &positions);
    if (status) {
        return status;
    }
    made->parameter[0] = weight;
    made->parameter[1] = bias;
    positions = (positions + 2 * rule->padding - rule->taps) / rule->stride + 1;
    layout wide, shape;
    bool fits =
        onnx_layout_replace(&wide, &in->layout, 1, ROLE_CHANNEL,
                            onnx_extent_constant(rule->outputs)) &&
        onnx_layout_replace(&shape, &wide, 2, ROLE_POSITION, onnx_extent_constant(positions));
    return fits ? onnx_give(c, 0, made, &shape) : onnx_misplaced(c, in);
}

attune_status onnx_read_batch_normalization(call *c)
{
    static const char *const NAMES[] = {"", "the scale", "the shift", "the mean", "the variance"};
    const value *in;
    int64_t positions;
    float epsilon;
    attune_status status = onnx_activation(c, 0, &in);
    status = status ? status : onnx_check_int(c, "training_mode", 0, 0);
    status = status ? status : onnx_float(c, &epsilon, "epsilon", 1e-5f);
    status = status ? status : check_positions(c, in, &positions);
    if (status) {
        return status;
    }
    if (in->content->kind != CONTENT_CONVOLVED) {
        return onnx_misplaced(c, in);
    }
    content *made = onnx_new_content(c, CONTENT_NORMALISED, in->content);
    if (!made) {
        return ATTUNE_ENOMEM;
    }
    made->number = epsilon;
    int channels = attune_conv_of(made->network.architecture, made->index)->outputs;
    for (int i = 1; i < 5; i++) {
        status = onnx_parameter(c, i, NAMES[i], &made->parameter[i - 1]);
        if (!status && !onnx_tensor_is(made->parameter[i - 1], 1, channels, 0, 0)) {
            status = onnx_refuse(c->reader, "%s must have %d values", NAMES[i], channels);
        }
        if (status) {
            return status;
        }
    }
    for (int i = 0; i < channels; i++) {
        if (!((double)made->parameter[3]->data[i] + made->number > 0)) {
            return onnx_refuse(c->reader, "variance + epsilon is not positive");
        }
    }
    return onnx_give(c, 0, made, &in->layout);
}

attune_status onnx_read_max_pool(call *c)
{
    const value *in;
    int64_t positions;
    attune_status status = onnx_activation(c, 0, &in);
    if (!status && (in->content->kind != CONTENT_ACTIVATED || in->content->index != 0 ||
                    in->content->network.architecture != ATTUNE_ARCHITECTURE_GRU)) {
        return onnx_misplaced(c, in);
    }
    status = status ? status : onnx_check_text(c, "auto_pad", "NOTSET");
    status = status ? status : onnx_check_int(c, "ceil_mode", 0, 0);
    status = status ? status : onnx_check_int(c, "storage_order", 0, 0);
    status = status ? status : onnx_check_ints(c, "dilations", 1, 0, 1, 1);
    status = status ? status : onnx_check_ints(c, "kernel_shape", 2, 0, 1, 0);
    status = status ? status : onnx_check_ints(c, "pads", 0, 0, 2, 0);
    status = status ? status : onnx_check_ints(c, "strides", 2, 0, 1, 1);
    status = status ? status : check_positions(c, in, &positions);
    layout shape;
    if (!status && !onnx_layout_replace(&shape, &in->layout, 2, ROLE_POSITION,
                                        onnx_extent_constant(positions / 2))) {
        status = onnx_misplaced(c, in);
    }
    return status ? status
                  : onnx_give(c, 0, onnx_new_content(c, CONTENT_MAXIMA, in->content), &shape);
}

static attune_status give_features(call *c, const value *in, const layout *shape)
{
    const attune_architecture architecture = in->content->network.architecture;
    if (in->content->kind != CONTENT_ACTIVATED ||
        attune_conv_of(architecture, in->content->index + 1)) {
        return onnx_misplaced(c, in);
    }
    content *made = onnx_new_content(c, CONTENT_FEATURES, in->content);
    if (made) {
        made->network.features = attune_conv_of(architecture, in->content->index)->outputs;
    }
    return onnx_give(c, 0, made, shape);
}

attune_status onnx_read_global_average_pool(call *c)
{
    const value *in;
    int64_t positions;
    layout shape;
    attune_status status = onnx_activation(c, 0, &in);
    status = status ? status : check_positions(c, in, &positions);
    if (status) {
        return status;
    }
    onnx_layout_replace(&shape, &in->layout, 2, ROLE_POSITION, onnx_extent_constant(1));
    return give_features(c, in, &shape);
}

/* The layout after reducing the axes that the node names: together they must be exactly `role`. */
static attune_status reduce(const call *c, const value *in, axis_role role, const char *what,
                            layout *shape)
{
    int axes[LAYOUT_RANK_MAX], count;
    int64_t keep;
    int64_t since = role == ROLE_TIME && in->content->kind == CONTENT_WEIGHTED ? 13 : 18;
    attune_status status = onnx_axes(c, since, in->layout.rank, false, axes, &count);
    status = status ? status : onnx_int(c, &keep, "keepdims", 1);
    status = status ? status : onnx_check_int(c, "noop_with_empty_axes", 0, 0);
    if (status) {
        return status;
    }
    bool fits = count > 0;
    *shape = (layout){0};
    for (int i = 0; fits && i < in->layout.rank; i++) {
        bool named = false;
        for (int j = 0; j < count; j++) {
            named = named || axes[j] == i;
        }
        bool is_role = !onnx_layout_is_unit(&in->layout, i) && onnx_layout_is(&in->layout, i, role);
        if (!named) {
            fits = !is_role && onnx_layout_push_axis(shape, &in->layout, i);
        } else {
            fits = (is_role || onnx_layout_is_unit(&in->layout, i)) &&
                   (!keep || onnx_layout_push_unit(shape));
        }
    }
    return fits
               ? ATTUNE_OK
               : onnx_refuse(c->reader, "must reduce %s over %s", onnx_describe(in->content), what);
}

static attune_status give_pooled(call *c, const content *from, attune_pooling pooling,
                                 const layout *shape)
{
    content *made = onnx_new_content(c, CONTENT_POOLED, from);
    if (made) {
        made->network.pooling = pooling;
    }
    return onnx_give(c, 0, made, shape);
}

attune_status onnx_read_reduce_mean(call *c)
{
    const value *in;
    layout shape;
    attune_status status = onnx_activation(c, 0, &in);
    if (status) {
        return status;
    }
    if (in->content->kind == CONTENT_STATES) {
        status = reduce(c, in, ROLE_TIME, "time", &shape);
        return status ? status : give_pooled(c, in->content, ATTUNE_POOLING_MEAN, &shape);
    }
    status = reduce(c, in, ROLE_POSITION, "the positions in a frame", &shape);
    return status ? status : give_features(c, in, &shape);
}

attune_status onnx_read_reduce_sum(call *c)
{
    const value *in;
    layout shape;
    attune_status status = onnx_activation(c, 0, &in);
    if (!status && in->content->kind != CONTENT_WEIGHTED) {
        return onnx_misplaced(c, in);
    }
    status = status ? status : reduce(c, in, ROLE_TIME, "time", &shape);
    return status ? status : give_pooled(c, in->content->from, ATTUNE_POOLING_ATTENTION, &shape);
}

attune_status onnx_read_reduce_l2(call *c)
{
    const value *in;
    layout shape;
    attune_status status = onnx_activation(c, 0, &in);
    if (!status && in->content->kind != CONTENT_RAW) {
        return onnx_misplaced(c, in);
    }
    status = status ? status : reduce(c, in, ROLE_CHANNEL, "the components", &shape);
    return status ? status
                  : onnx_give(c, 0, onnx_new_content(c, CONTENT_NORM, in->content), &shape);
}

attune_status onnx_read_lp_normalization(call *c)
{
    const value *in;
    int64_t given;
    int axis;
    attune_status status = onnx_activation(c, 0, &in);
    if (!status && in->content->kind != CONTENT_RAW) {
        return onnx_misplaced(c, in);
    }
    status = status ? status : onnx_check_int(c, "p", 2, 2);
    status = status ? status : onnx_int(c, &given, "axis", -1);
    status = status ? status : onnx_axis(c, given, in->layout.rank, &axis);
    if (!status && !onnx_layout_is(&in->layout, axis, ROLE_CHANNEL)) {
        return onnx_refuse(c->reader, "must normalise over the components");
    }
    return status
               ? status
               : onnx_give(c, 0, onnx_new_content(c, CONTENT_EMBEDDING, in->content), &in->layout);
}

attune_status onnx_read_softmax(call *c)
{
    const value *in;
    int64_t given;
    int axis;
    bool flattens = c->reader->opset < 13; /* over all axes from `axis` on */
    attune_status status = onnx_activation(c, 0, &in);
    if (!status && in->content->kind != CONTENT_SCORE) {
        return onnx_misplaced(c, in);
    }
    status = status ? status : onnx_int(c, &given, "axis", flattens ? 1 : -1);
    status = status ? status : onnx_axis(c, given, in->layout.rank, &axis);
    if (status) {
        return status;
    }
    while (flattens && axis + 1 < in->layout.rank && onnx_layout_is_unit(&in->layout, axis)) {
        axis++;
    }
    bool fits = onnx_layout_is(&in->layout, axis, ROLE_TIME);
    for (int i = axis + 1; flattens && i < in->layout.rank; i++) {
        fits = fits && onnx_layout_is_unit(&in->layout, i);
    }
    return fits ? onnx_give(c, 0, onnx_new_content(c, CONTENT_ATTENTION, in->content), &in->layout)
                : onnx_refuse(c->reader, "must be over time");
}

attune_status onnx_read_tanh(call *c)
{
    const value *in;
    attune_status status = onnx_activation(c, 0, &in);
    if (!status && in->content->kind != CONTENT_INNER) {
        return onnx_misplaced(c, in);
    }
    return status ? status
                  : onnx_give(c, 0, onnx_new_content(c, CONTENT_TANH, in->content), &in->layout);
}

/* A linear layer over the last axis: which one it is, its new channels in *shape. */
static attune_status linear(call *c, const value *in, const tensor *weight, bool transposed,
                            const tensor *bias)
{
    int last = in->layout.rank - 1;
    int64_t inputs, outputs = weight->rank == 2 ? weight->dims[transposed] : 0;
    if (weight->rank != 2 || last < 0 || !onnx_layout_is(&in->layout, last, ROLE_CHANNEL) ||
        !onnx_extent_is_constant(onnx_layout_extent(&in->layout, last), &inputs) ||
        weight->dims[!transposed] != inputs) {
        return onnx_refuse(c->reader, "the weight does not fit the last axis of %s",
                           onnx_describe(in->content));
    }
    if (outputs > WIDTH_MAX) {
        return onnx_refuse(c->reader, "has %lld outputs, and %d are the most", (long long)outputs,
                           WIDTH_MAX);
    }
    bool inner = in->content->kind == CONTENT_STATES, score = in->content->kind == CONTENT_TANH;
    bool first = in->content->kind == CONTENT_POOLED, second = in->content->kind == CONTENT_BENT;
    if (!inner && !score && !first && !second) {
        return onnx_misplaced(c, in);
    }
    if (score && outputs != 1) {
        return onnx_refuse(c->reader, "the attention has one score, not %lld", (long long)outputs);
    }
    content *made = onnx_new_content(c,
                                     inner   ? CONTENT_INNER
                                     : score ? CONTENT_SCORE
                                     : first ? CONTENT_PROJECTED
                                             : CONTENT_RAW,
                                     in->content);
    if (!made) {
        return ATTUNE_ENOMEM;
    }
    if (!score) {
        *(inner   ? &made->network.attention
          : first ? &made->network.projection
                  : &made->network.embedding) = (int)outputs;
    }
    made->transposed = transposed;
    made->parameter[0] = weight;
    made->parameter[1] = bias;
    layout shape;
    onnx_layout_replace(&shape, &in->layout, last, ROLE_CHANNEL, onnx_extent_constant(outputs));
    return onnx_give(c, 0, made, &shape);
}

attune_status onnx_read_gemm(call *c)
{
    const value *in;
    const tensor *weight, *bias = NULL;
    float alpha, beta;
    int64_t transposed;
    attune_status status = onnx_activation(c, 0, &in);
    status = status ? status : onnx_float(c, &alpha, "alpha", 1);
    status = status ? status : onnx_float(c, &beta, "beta", 1);
    status = status ? status : onnx_check_int(c, "transA", 0, 0);
    status = status ? status : onnx_int(c, &transposed, "transB", 0);
    status = status ? status : onnx_parameter(c, 1, "the weight", &weight);
    status = status || !onnx_argument(c, 2) ? status : onnx_parameter(c, 2, "the bias", &bias);
    if (status) {
        return status;
    }
    if (alpha != 1 || beta != 1 || in->layout.rank != 2) {
        return onnx_refuse(c->reader, "alpha and beta must be 1, and the input a matrix");
    }
    int64_t outputs = weight->rank == 2 ? weight->dims[!transposed] : 0;
    if (bias && !onnx_tensor_is(bias, 1, outputs, 0, 0) &&
        !onnx_tensor_is(bias, 2, 1, outputs, 0)) {
        return onnx_refuse(c->reader, "the bias does not have one value for each output");
    }
    return linear(c, in, weight, !transposed, bias);
}

/* (B, 1, F) x (B, F, H) or (B, H, F) x (B, F, 1): the attention's weighted sum as a matrix product.
 */
static attune_status weigh(call *c, const value *a, const value *b)
{
    bool before = a->content->kind == CONTENT_ATTENTION;
    const value *weights = before ? a : b, *states = before ? b : a;
    const layout *x = &a->layout, *y = &b->layout;
    if (states->content->kind != CONTENT_STATES || weights->content->kind != CONTENT_ATTENTION ||
        weights->content->from->from->from->from != states->content) {
        return onnx_misplaced(c, a);
    }
    layout shape = {0};
    bool fits = x->rank == 3 && y->rank == 3 && onnx_layout_axis_equal(x, 0, y, 0) &&
                onnx_layout_is(x, 2, ROLE_TIME) && onnx_layout_is(y, 1, ROLE_TIME) &&
                onnx_layout_is(before ? y : x, before ? 2 : 1, ROLE_CHANNEL) &&
                onnx_layout_is_unit(before ? x : y, before ? 1 : 2);
    fits = fits && onnx_layout_push_axis(&shape, x, 0) && onnx_layout_push_axis(&shape, x, 1) &&
           onnx_layout_push_axis(&shape, y, 2);
    return fits ? give_pooled(c, weights->content, ATTUNE_POOLING_ATTENTION, &shape)
                : onnx_misplaced(c, a);
}

attune_status onnx_read_matmul(call *c)
{
    const value *in;
    const tensor *weight;
    attune_status status = onnx_activation(c, 0, &in);
    if (status) {
        return status;
    }
    if (c->in[1]->kind == VALUE_ACTIVATION) {
        return weigh(c, in, c->in[1]);
    }
    status = onnx_parameter(c, 1, "the weight", &weight);
    return status ? status : linear(c, in, weight, true, NULL);
}
