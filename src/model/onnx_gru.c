/* onnx_gru.c - the GRU operator: one layer of the network.
 *
 * Only PyTorch's variant is read (linear_before_reset = 1), forwards, from a state of zero. */
#include "model/onnx_reader.h"

#include <string.h>

/* h_0 left out, or zeros of (1, B, H). */
static attune_status check_initial_state(const call *c, extent batch, int64_t hidden)
{
    const value *in = onnx_argument(c, 5);
    if (!in) {
        return ATTUNE_OK;
    }
    bool zero = false;
    if (in->kind == VALUE_FLOATS && in->floats.rank == 3) {
        zero = onnx_tensor_is(&in->floats, 3, 1, in->floats.dims[1], hidden) &&
               onnx_extent_is(batch, in->floats.dims[1]) && onnx_tensor_is_zero(&in->floats);
    } else if (in->kind == VALUE_ACTIVATION && in->content->kind == CONTENT_ZERO) {
        zero = in->layout.rank == 3 && onnx_extent_is(onnx_layout_extent(&in->layout, 0), 1) &&
               onnx_extent_equal(onnx_layout_extent(&in->layout, 1), batch) &&
               onnx_extent_is(onnx_layout_extent(&in->layout, 2), hidden);
    }
    return zero ? ATTUNE_OK
                : onnx_refuse(c->reader,
                              "the initial state must be left out, or zeros of (1, batch, %lld)",
                              (long long)hidden);
}

static bool is_text(const ProtobufCBinaryData *actual, const char *wanted)
{
    return actual->len == strlen(wanted) && memcmp(actual->data, wanted, actual->len) == 0;
}

static attune_status check_gru(const call *c, const value *in, int64_t *hidden)
{
    const Onnx__AttributeProto *activations = onnx_attribute(c, "activations");
    if (activations &&
        (activations->n_strings != 2 || !is_text(&activations->strings[0], "Sigmoid") ||
         !is_text(&activations->strings[1], "Tanh"))) {
        return onnx_refuse(c->reader, "activations must be Sigmoid and Tanh");
    }
    attune_status status = onnx_check_text(c, "direction", "forward");
    status = status ? status : onnx_check_int(c, "linear_before_reset", 1, 0);
    status = status ? status : onnx_check_int(c, "layout", 0, 0);
    status = status ? status : onnx_int(c, hidden, "hidden_size", 0);
    if (!status && (*hidden % 16 != 0 || *hidden < 16 || *hidden > 1024)) {
        return onnx_refuse(c->reader,
                           "hidden_size must be a multiple of 16 from 16 to 1024, not %lld",
                           (long long)*hidden);
    }
    if (!status && onnx_argument(c, 4)) {
        return onnx_refuse(c->reader, "sequence_lens must be left out");
    }
    const attune_network *network = &in->content->network;
    if (!status && in->content->kind == CONTENT_STATES && network->hidden != *hidden) {
        return onnx_refuse(c->reader, "hidden_size is %lld and that of the layer below %d",
                           (long long)*hidden, network->hidden);
    }
    if (!status && in->content->kind == CONTENT_STATES && network->layers == ATTUNE_LAYERS_MAX) {
        return onnx_refuse(c->reader, "is GRU layer %d, and %d are the most", network->layers + 1,
                           ATTUNE_LAYERS_MAX);
    }
    return status;
}

/* Y (time, 1, batch, hidden) and Y_h (1, batch, hidden), the last state. */
static attune_status give_states(call *c, const value *in, const content *states, int64_t hidden)
{
    layout all = {0}, last = {0};
    bool fits = onnx_layout_push_axis(&all, &in->layout, 0) && onnx_layout_push_unit(&all) &&
                onnx_layout_push_axis(&all, &in->layout, 1) &&
                onnx_layout_push(&all, ROLE_CHANNEL, onnx_extent_constant(hidden)) &&
                onnx_layout_push_unit(&last) && onnx_layout_push_axis(&last, &in->layout, 1) &&
                onnx_layout_push(&last, ROLE_CHANNEL, onnx_extent_constant(hidden));
    content *state = onnx_new_content(c, CONTENT_POOLED, states);
    if (!state || !fits) {
        return fits ? ATTUNE_ENOMEM : onnx_misplaced(c, in);
    }
    state->network.pooling = ATTUNE_POOLING_LAST;
    attune_status status = onnx_give(c, 0, states, &all);
    return status ? status : onnx_give(c, 1, state, &last);
}

attune_status onnx_read_gru(call *c)
{
    const value *in;
    const tensor *input, *recurrent, *bias = NULL;
    int64_t hidden, inputs;
    attune_status status = onnx_activation(c, 0, &in);
    status = status ? status : check_gru(c, in, &hidden);
    status = status ? status : onnx_parameter(c, 1, "W", &input);
    status = status ? status : onnx_parameter(c, 2, "R", &recurrent);
    status = status || !onnx_argument(c, 3) ? status : onnx_parameter(c, 3, "B", &bias);
    if (status) {
        return status;
    }
    const layout *shape = &in->layout;
    if ((in->content->kind != CONTENT_FEATURES && in->content->kind != CONTENT_STATES) ||
        shape->rank != 3 || !onnx_layout_is(shape, 0, ROLE_TIME) ||
        !onnx_layout_is(shape, 1, ROLE_BATCH) || !onnx_layout_is(shape, 2, ROLE_CHANNEL) ||
        !onnx_extent_is_constant(onnx_layout_extent(shape, 2), &inputs)) {
        return onnx_refuse(
            c->reader, "reads %s, and should read features or states as (time, batch, channels)",
            onnx_describe(in->content));
    }
    if (!onnx_tensor_is(input, 3, 1, 3 * hidden, inputs) ||
        !onnx_tensor_is(recurrent, 3, 1, 3 * hidden, hidden) ||
        (bias && !onnx_tensor_is(bias, 2, 1, 6 * hidden, 0))) {
        return onnx_refuse(c->reader,
                           "W, R and B must be (1, %lld, %lld), (1, %lld, %lld) and (1, %lld)",
                           (long long)(3 * hidden), (long long)inputs, (long long)(3 * hidden),
                           (long long)hidden, (long long)(6 * hidden));
    }
    status = check_initial_state(c, onnx_layout_extent(shape, 1), hidden);
    content *states = status ? NULL : onnx_new_content(c, CONTENT_STATES, in->content);
    if (!states) {
        return status ? status : ATTUNE_ENOMEM;
    }
    states->network.hidden = (int)hidden;
    states->network.layers++;
    states->parameter[0] = input;
    states->parameter[1] = recurrent;
    states->parameter[2] = bias;
    return give_states(c, in, states, hidden);
}
