/* onnx_slice.c - operators that take parts of a tensor or join parts: Slice, Gather, Concat.
 *
 * On activations these are steps of the network: cutting the audio, laying two halves of a frame
 * beside each other, and taking the last state or the top layer's. */
#include "model/onnx_reader.h"

#include <string.h>

/* A bound of a slice, which may count from the end. What lies beyond a symbolic end cannot be told,
 * but for the "as far as it goes" that exporters write as a very large number. */
static extent resolve(extent bound, extent size)
{
    int64_t at, whole;
    if (!onnx_extent_is_constant(bound, &at)) {
        return bound;
    }
    if (at >= INT32_MAX) {
        return size;
    }
    if (at < 0) {
        bound = onnx_extent_add(bound, size);
    }
    if (onnx_extent_is_constant(size, &whole) && onnx_extent_is_constant(bound, &at)) {
        return onnx_extent_constant(at < 0 ? 0 : at > whole ? whole : at);
    }
    return bound;
}

/* Elements first .. first + size - 1 along one axis of an activation; `one` takes the axis away. */
static attune_status take(call *c, value *in, int axis, extent first, extent size, bool one)
{
    extent whole = onnx_layout_extent(&in->layout, axis);
    extent last = onnx_extent_subtract(whole, onnx_extent_constant(1));
    const content *from = in->content, *made = NULL;
    layout shape;
    axis_role role = ROLE_COPY;
    int64_t at;
    if (onnx_extent_is(first, 0) && onnx_extent_equal(size, whole) && !one) {
        return ATTUNE_OK;
    }
    if (onnx_extent_is(first, 0) && onnx_extent_equal(size, whole)) {
        made = from; /* the only one there is */
    } else if (from->kind == CONTENT_ZERO && size.known) {
        made = from;
    } else if (from->kind == CONTENT_AUDIO && onnx_layout_is(&in->layout, axis, ROLE_SAMPLES) &&
               onnx_extent_is(first, 0)) {
        role = ROLE_SAMPLES;
        made = from;
    } else if (from->kind == CONTENT_FRAMES && onnx_layout_is(&in->layout, axis, ROLE_TIME) &&
               !one && onnx_extent_equal(size, last) &&
               (onnx_extent_is(first, 0) || onnx_extent_is(first, 1))) {
        role = ROLE_TIME;
        made = onnx_new_content(
            c, onnx_extent_is(first, 0) ? CONTENT_EARLIER_ROWS : CONTENT_LATER_ROWS, from);
    } else if (from->kind == CONTENT_STATES && onnx_layout_is(&in->layout, axis, ROLE_TIME) &&
               onnx_extent_is(size, 1) && onnx_extent_equal(first, last)) {
        content *pooled = onnx_new_content(c, CONTENT_POOLED, from);
        if (pooled) {
            pooled->network.pooling = ATTUNE_POOLING_LAST;
        }
        made = pooled;
    } else if (from->kind == CONTENT_STACK && onnx_layout_is(&in->layout, axis, ROLE_LAYER) &&
               onnx_extent_is(size, 1) && onnx_extent_is_constant(first, &at) && at >= 0 &&
               at < from->index) {
        made = from->stack[at];
    } else {
        return onnx_misplaced(c, in);
    }
    bool fits = one ? onnx_layout_remove(&shape, &in->layout, axis)
                    : onnx_layout_replace(&shape, &in->layout, axis, role, size);
    in->content = made;
    in->layout = shape;
    return !made ? ATTUNE_ENOMEM : fits ? ATTUNE_OK : onnx_misplaced(c, in);
}

static attune_status slice_axis(call *c, value *in, int axis, extent start, extent end)
{
    extent whole = in->kind == VALUE_INTEGERS ? onnx_extent_constant(in->count)
                   : in->kind == VALUE_FLOATS ? onnx_extent_constant(in->floats.dims[axis])
                                              : onnx_layout_extent(&in->layout, axis);
    extent first = resolve(start, whole);
    extent size = onnx_extent_subtract(resolve(end, whole), first);
    int64_t at, count;
    if (in->kind == VALUE_ACTIVATION) {
        return take(c, in, axis, first, size, false);
    }
    if (!onnx_extent_is_constant(first, &at) || !onnx_extent_is_constant(size, &count) || at < 0 ||
        count < 0 || (count == 0 && in->kind == VALUE_FLOATS)) {
        return onnx_refuse(c->reader, "bounds outside the tensor");
    }
    if (in->kind == VALUE_INTEGERS) {
        in->integers += at;
        in->count = (int)count;
        return ATTUNE_OK;
    }
    tensor from = in->floats;
    return onnx_tensor_slice(c->reader, &in->floats, &from, axis, at, count);
}

/* Argument `index` of a Slice: one integer for each axis. */
static attune_status bounds(const call *c, int index, int count, const extent **out)
{
    const value *in = onnx_argument(c, index);
    if (!in || in->kind != VALUE_INTEGERS || in->rank != 1 || in->count != count) {
        return onnx_refuse(c->reader, "input %d must be a list of %d integers", index, count);
    }
    *out = in->integers;
    return ATTUNE_OK;
}

attune_status onnx_read_slice(call *c)
{
    value made = *c->in[0];
    int64_t axes[LAYOUT_RANK_MAX], steps[LAYOUT_RANK_MAX];
    int axis_count, step_count, axis;
    const extent *starts = NULL, *ends = NULL;
    int rank = onnx_rank(&made);
    int count = c->in[1]->count;
    attune_status status = bounds(c, 1, count, &starts);
    status = status ? status : bounds(c, 2, count, &ends);
    status = status ? status : onnx_constants(c, 3, axes, &axis_count, LAYOUT_RANK_MAX);
    status = status ? status : onnx_constants(c, 4, steps, &step_count, LAYOUT_RANK_MAX);
    if (!status && (count > rank || (axis_count >= 0 && axis_count != count) ||
                    (step_count >= 0 && step_count != count))) {
        return onnx_refuse(c->reader, "has bounds for %d axes", count);
    }
    for (int i = 0; !status && i < count; i++) {
        if (step_count >= 0 && steps[i] != 1) {
            return onnx_refuse(c->reader, "steps must be 1");
        }
        status = onnx_axis(c, axis_count >= 0 ? axes[i] : i, rank, &axis);
        status = status ? status : slice_axis(c, &made, axis, starts[i], ends[i]);
    }
    if (status) {
        return status;
    }
    return made.kind == VALUE_INTEGERS ? onnx_give_integers(c, made.rank, made.count, made.integers)
           : made.kind == VALUE_FLOATS ? onnx_give_floats(c, &made.floats)
                                       : onnx_give(c, 0, made.content, &made.layout);
}

static attune_status gather_integers(call *c, const value *in, const value *index)
{
    extent gathered[INTEGERS_MAX];
    for (int i = 0; i < index->count; i++) {
        int64_t at;
        if (!onnx_extent_is_constant(index->integers[i], &at) || at < -in->count ||
            at >= in->count) {
            return onnx_refuse(c->reader, "takes an element that a list of %d does not have",
                               in->count);
        }
        gathered[i] = in->integers[at < 0 ? at + in->count : at];
    }
    return onnx_give_integers(c, index->rank, index->count, gathered);
}

attune_status onnx_read_gather(call *c)
{
    value made = *c->in[0];
    const value *index = c->in[1];
    int64_t given;
    int axis;
    int rank = made.kind == VALUE_ACTIVATION ? made.layout.rank : made.rank;
    attune_status status = onnx_int(c, &given, "axis", 0);
    if (!status && (made.kind == VALUE_FLOATS || index->kind != VALUE_INTEGERS)) {
        return onnx_refuse(c->reader,
                           "gathers from a constant or by something that is not an integer");
    }
    status = status ? status : onnx_axis(c, given, rank, &axis);
    if (status || made.kind == VALUE_INTEGERS) {
        return status ? status : gather_integers(c, &made, index);
    }
    if (index->count != 1) {
        return onnx_misplaced(c, &made);
    }
    extent first = index->integers[0];
    int64_t at;
    if (onnx_extent_is_constant(first, &at) && at < 0) {
        first = onnx_extent_add(first, onnx_layout_extent(&made.layout, axis));
    }
    status = take(c, &made, axis, first, onnx_extent_constant(1), index->rank == 0);
    return status ? status : onnx_give(c, 0, made.content, &made.layout);
}

static attune_status concat_integers(call *c)
{
    extent joined[INTEGERS_MAX];
    int count = 0;
    for (int i = 0; i < c->in_count; i++) {
        const value *in = c->in[i];
        if (in->rank != 1 || count + in->count > INTEGERS_MAX) {
            return onnx_refuse(c->reader, "input %d is not a short list", i);
        }
        memcpy(joined + count, in->integers, (size_t)in->count * sizeof(extent));
        count += in->count;
    }
    return onnx_give_integers(c, 1, count, joined);
}

static attune_status concat_floats(call *c, int axis)
{
    const tensor *in[ARGUMENTS_MAX];
    tensor made;
    for (int i = 0; i < c->in_count; i++) {
        in[i] = &c->in[i]->floats;
        for (int j = 0; j < in[0]->rank; j++) {
            if (in[i]->rank != in[0]->rank || (j != axis && in[i]->dims[j] != in[0]->dims[j])) {
                return onnx_refuse(c->reader, "input %d has another shape", i);
            }
        }
    }
    attune_status status = onnx_tensor_concat(c->reader, &made, in, c->in_count, axis);
    return status ? status : onnx_give_floats(c, &made);
}

/* Rows 0 .. n-2 beside rows 1 .. n-1: frames that overlap by half. */
static attune_status join_halves(call *c, int axis)
{
    const value *earlier = c->in[0], *later = c->in[1];
    const content *rows = earlier->content->from;
    if (c->in_count != 2 || later->content->kind != CONTENT_LATER_ROWS ||
        later->content->from != rows || !onnx_layout_equal(&earlier->layout, &later->layout) ||
        !onnx_layout_is(&earlier->layout, axis, ROLE_POSITION)) {
        return onnx_misplaced(c, later);
    }
    content *frames = onnx_new_content(c, CONTENT_FRAMES, rows->from);
    layout shape;
    if (!frames) {
        return ATTUNE_ENOMEM;
    }
    frames->network.hop_size = rows->network.hop_size;
    frames->network.frame_size = 2 * rows->network.frame_size;
    bool fits = onnx_layout_replace(&shape, &earlier->layout, axis, ROLE_POSITION,
                                    onnx_extent_constant(frames->network.frame_size));
    return fits ? onnx_give(c, 0, frames, &shape) : onnx_misplaced(c, earlier);
}

/* The last states of all layers, in one tensor. */
static attune_status stack_states(call *c, int axis)
{
    content *stack = onnx_new_content(c, CONTENT_STACK, c->in[0]->content->from);
    layout shape;
    if (!stack) {
        return ATTUNE_ENOMEM;
    }
    stack->index = c->in_count;
    for (int i = 0; i < c->in_count; i++) {
        const value *in = c->in[i];
        if (in->content->kind != CONTENT_POOLED || i >= ATTUNE_LAYERS_MAX ||
            !onnx_layout_is_unit(&in->layout, axis) ||
            !onnx_layout_equal(&in->layout, &c->in[0]->layout)) {
            return onnx_misplaced(c, in);
        }
        stack->stack[i] = in->content;
    }
    bool fits = onnx_layout_replace(&shape, &c->in[0]->layout, axis, ROLE_LAYER,
                                    onnx_extent_constant(c->in_count));
    return fits ? onnx_give(c, 0, stack, &shape) : onnx_misplaced(c, c->in[0]);
}

attune_status onnx_read_concat(call *c)
{
    const value *first = c->in[0];
    int64_t given;
    int axis;
    int rank = onnx_rank(first);
    attune_status status = onnx_int(c, &given, "axis", INT64_MAX);
    status = status ? status : onnx_axis(c, given, rank, &axis);
    for (int i = 0; !status && i < c->in_count; i++) {
        if (!c->in[i] || c->in[i]->kind != first->kind) {
            return onnx_refuse(c->reader, "input %d is of another kind than input 0", i);
        }
    }
    if (status || c->in_count == 1) {
        return status ? status : onnx_read_identity(c);
    }
    if (first->kind == VALUE_INTEGERS) {
        return concat_integers(c);
    }
    if (first->kind == VALUE_FLOATS) {
        return concat_floats(c, axis);
    }
    return first->content->kind == CONTENT_EARLIER_ROWS ? join_halves(c, axis)
           : first->content->kind == CONTENT_POOLED     ? stack_states(c, axis)
                                                        : onnx_misplaced(c, first);
}
