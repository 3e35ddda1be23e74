/* onnx_shape.c - operators that compute shapes or move elements without changing them.
 *
 * Each takes lists of integers (computed from shapes), constants and activations; a constant is
 * moved for real, an activation gets another layout. One of them is also a step of the network: the
 * Reshape that cuts the audio into frames. */
#include "model/onnx_reader.h"

#include <string.h>

enum { ZEROS_MAX = 1 << 20 }; /* elements of a constant that is made here */

static const extent NO_EXTENT = {.known = false};

attune_status onnx_read_identity(call *c)
{
    c->out[0] = onnx_allocate(c->reader, sizeof(value));
    if (!c->out[0]) {
        return ATTUNE_ENOMEM;
    }
    *c->out[0] = *c->in[0];
    return ATTUNE_OK;
}

attune_status onnx_read_cast_like(call *c)
{
    if (c->in[0]->kind == VALUE_INTEGERS || c->in[1]->kind == VALUE_INTEGERS) {
        return onnx_refuse(c->reader, "casts integers");
    }
    return onnx_read_identity(c);
}

attune_status onnx_read_cast(call *c)
{
    int64_t to;
    attune_status status = onnx_int(c, &to, "to", 0);
    bool integers = c->in[0]->kind == VALUE_INTEGERS;
    if (!status && (integers ? to != ONNX__TENSOR_PROTO__DATA_TYPE__INT64 &&
                                   to != ONNX__TENSOR_PROTO__DATA_TYPE__INT32
                             : to != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT)) {
        return onnx_refuse(c->reader, "casts %s to data type %lld",
                           integers ? "integers" : "floats", (long long)to);
    }
    return status ? status : onnx_read_identity(c);
}

attune_status onnx_read_constant(call *c)
{
    if (c->node->n_attribute != 1) {
        return onnx_refuse(c->reader, "must have one value");
    }
    const Onnx__AttributeProto *attribute = c->node->attribute[0];
    const char *name = attribute->name;
    attune_status status = ATTUNE_OK;
    if (strcmp(name, "value") == 0) {
        return attribute->t ? onnx_read_tensor(c->reader, &c->out[0], attribute->t, "value")
                            : onnx_refuse(c->reader, "has no tensor");
    }
    if (strncmp(name, "value_int", 9) == 0) {
        int64_t numbers[INTEGERS_MAX];
        extent integers[INTEGERS_MAX];
        int count = 1, rank = name[9] == 's';
        status = rank ? onnx_ints(c, numbers, &count, INTEGERS_MAX, name)
                      : onnx_int(c, numbers, name, 0);
        for (int i = 0; !status && i < count; i++) {
            integers[i] = onnx_extent_constant(numbers[i]);
        }
        return status ? status : onnx_give_integers(c, rank, count, integers);
    }
    bool list = strcmp(name, "value_floats") == 0;
    if (list ? attribute->n_floats == 0
             : attribute->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT) {
        return onnx_refuse(c->reader, "has no value");
    }
    tensor made = {.rank = list, .count = list ? attribute->n_floats : 1};
    made.dims[0] = (int64_t)made.count;
    made.data = list ? attribute->floats : &attribute->f;
    return onnx_give_floats(c, &made);
}

/* Argument `index` as a shape: at most LAYOUT_RANK_MAX integers. */
static attune_status read_dims(const call *c, int index, const extent **dims, int *rank)
{
    const value *in = onnx_argument(c, index);
    if (!in || in->kind != VALUE_INTEGERS || in->rank != 1 || in->count > LAYOUT_RANK_MAX) {
        return onnx_refuse(c->reader, "input %d must be a shape", index);
    }
    *dims = in->integers;
    *rank = in->count;
    return ATTUNE_OK;
}

attune_status onnx_read_constant_of_shape(call *c)
{
    const Onnx__AttributeProto *attribute = onnx_attribute(c, "value");
    const extent *dims = NULL;
    int rank = 0;
    value *fill = NULL;
    attune_status status = read_dims(c, 0, &dims, &rank);
    if (!status && attribute) {
        status = attribute->t ? onnx_read_tensor(c->reader, &fill, attribute->t, "value")
                              : onnx_refuse(c->reader, "has no tensor");
    }
    if (!status && fill && (fill->kind != VALUE_FLOATS || !onnx_tensor_is_zero(&fill->floats))) {
        return onnx_refuse(c->reader, "must make zeros");
    }
    layout shape = {0};
    for (int i = 0; !status && i < rank; i++) {
        onnx_layout_push(&shape, ROLE_COPY, dims[i]);
    }
    return status ? status : onnx_give(c, 0, onnx_new_content(c, CONTENT_ZERO, NULL), &shape);
}

attune_status onnx_read_shape(call *c)
{
    const value *in = c->in[0];
    int rank = onnx_rank(in);
    extent all[TENSOR_RANK_MAX];
    int64_t start, end;
    attune_status status = onnx_int(c, &start, "start", 0);
    status = status ? status : onnx_int(c, &end, "end", rank);
    if (status) {
        return status;
    }
    for (int i = 0; i < rank; i++) {
        all[i] = in->kind == VALUE_INTEGERS ? onnx_extent_constant(in->count)
                 : in->kind == VALUE_FLOATS ? onnx_extent_constant(in->floats.dims[i])
                                            : onnx_layout_extent(&in->layout, i);
    }
    start = start < -rank ? 0 : start < 0 ? start + rank : start > rank ? rank : start;
    end = end < -rank ? 0 : end < 0 ? end + rank : end > rank ? rank : end;
    return onnx_give_integers(c, 1, (int)(end > start ? end - start : 0), all + start);
}

attune_status onnx_read_unsqueeze(call *c)
{
    const value *in = c->in[0];
    int rank = onnx_rank(in);
    int axes[LAYOUT_RANK_MAX], count;
    attune_status status = onnx_axes(c, 13, rank, true, axes, &count);
    if (status) {
        return status;
    }
    if (count < 0 || (in->kind == VALUE_INTEGERS && rank + count > 1)) {
        return onnx_refuse(c->reader, count < 0 ? "names no axes" : "makes a matrix of integers");
    }
    if (in->kind == VALUE_INTEGERS) {
        return onnx_give_integers(c, rank + count, in->count, in->integers);
    }
    unsigned added = 0;
    tensor made = in->floats;
    layout shape = {0};
    for (int i = 0; i < count; i++) {
        added |= 1u << axes[i];
    }
    made.rank = rank + count;
    bool fits = true;
    for (int i = 0, from = 0; fits && i < rank + count; i++) {
        bool one = added & (1u << i);
        if (in->kind == VALUE_FLOATS) {
            made.dims[i] = one ? 1 : in->floats.dims[from];
        } else {
            fits = one ? onnx_layout_push_unit(&shape)
                       : onnx_layout_push_axis(&shape, &in->layout, from);
        }
        from += !one;
    }
    return in->kind == VALUE_FLOATS ? onnx_give_floats(c, &made)
                                    : onnx_give_layout(c, in, &shape, fits);
}

static attune_status squeeze_floats(call *c, const tensor *in, const int *axes, int count)
{
    tensor made = *in;
    made.rank = 0;
    for (int i = 0; i < in->rank; i++) {
        bool named = count < 0 && in->dims[i] == 1;
        for (int j = 0; j < count; j++) {
            named = named || axes[j] == i;
        }
        if (named && in->dims[i] != 1) {
            return onnx_refuse(c->reader, "axis %d has extent %lld", i, (long long)in->dims[i]);
        }
        if (!named) {
            made.dims[made.rank++] = in->dims[i];
        }
    }
    return onnx_give_floats(c, &made);
}

attune_status onnx_read_squeeze(call *c)
{
    const value *in = c->in[0];
    int rank = onnx_rank(in);
    int axes[LAYOUT_RANK_MAX], count;
    attune_status status = onnx_axes(c, 13, rank, false, axes, &count);
    if (status) {
        return status;
    }
    if (in->kind == VALUE_FLOATS) {
        return squeeze_floats(c, &in->floats, axes, count);
    }
    if (in->kind == VALUE_INTEGERS) {
        bool single = in->count == 1 && (count == 1 || count < 0);
        return single || count == 0
                   ? onnx_give_integers(c, single ? 0 : in->rank, in->count, in->integers)
                   : onnx_refuse(c->reader, "squeezes a list of %d integers", in->count);
    }
    if (count < 0) {
        return onnx_refuse(c->reader, "names no axes, so a batch of one would lose its own");
    }
    layout shape = {0};
    bool fits = true;
    for (int i = 0; i < rank; i++) {
        bool named = false;
        for (int j = 0; j < count; j++) {
            named = named || axes[j] == i;
        }
        if (named && !onnx_layout_is_unit(&in->layout, i)) {
            return onnx_refuse(c->reader, "axis %d of %s does not have extent 1", i,
                               onnx_describe(in->content));
        }
        fits = fits && (named || onnx_layout_push_axis(&shape, &in->layout, i));
    }
    return onnx_give_layout(c, in, &shape, fits);
}

attune_status onnx_read_transpose(call *c)
{
    const value *in = c->in[0];
    int64_t order[LAYOUT_RANK_MAX];
    int axes[LAYOUT_RANK_MAX], count;
    unsigned seen = 0;
    if (in->kind == VALUE_INTEGERS) {
        return onnx_refuse(c->reader, "transposes integers");
    }
    int rank = onnx_rank(in);
    attune_status status = onnx_ints(c, order, &count, LAYOUT_RANK_MAX, "perm");
    for (int i = 0; !status && i < rank; i++) {
        axes[i] = rank - 1 - i;
        if (count >= 0) {
            status = count == rank
                         ? onnx_axis(c, order[i], rank, &axes[i])
                         : onnx_refuse(c->reader, "perm has %d axes, not %d", count, rank);
        }
        seen |= status ? 0 : 1u << axes[i];
    }
    if (!status && seen != (1u << rank) - 1) {
        return onnx_refuse(c->reader, "perm is not a permutation");
    }
    if (status || in->kind == VALUE_FLOATS) {
        tensor made;
        status = status ? status : onnx_tensor_transpose(c->reader, &made, &in->floats, axes);
        return status ? status : onnx_give_floats(c, &made);
    }
    layout shape = {0};
    bool fits = true;
    for (int i = 0; fits && i < rank; i++) {
        fits = onnx_layout_push_axis(&shape, &in->layout, axes[i]);
    }
    return onnx_give_layout(c, in, &shape, fits);
}

/* The dims of a Reshape as constants, -1 and 0 resolved. */
static attune_status reshape_floats(call *c, const tensor *in, const extent *dims, int rank,
                                    bool copies)
{
    tensor made = *in;
    int inferred = -1;
    size_t product = 1;
    made.rank = rank;
    for (int i = 0; i < rank; i++) {
        int64_t size;
        if (!onnx_extent_is_constant(dims[i], &size) || size < -1 ||
            (size == -1 && inferred >= 0)) {
            return onnx_refuse(c->reader, "the shape of a constant must be constant");
        }
        size = size == 0 && copies && i < in->rank ? in->dims[i] : size;
        inferred = size == -1 ? i : inferred;
        made.dims[i] = size;
        if (size != -1 &&
            (size == 0 || (size_t)size > in->count || (product *= (size_t)size) > in->count)) {
            return onnx_refuse(c->reader, "the shape does not have %zu elements", in->count);
        }
    }
    if (inferred >= 0) {
        made.dims[inferred] = (int64_t)(in->count / product);
        product *= in->count / product;
    }
    return product == in->count
               ? onnx_give_floats(c, &made)
               : onnx_refuse(c->reader, "the shape does not have %zu elements", in->count);
}

static attune_status reshape_integers(call *c, const value *in, const extent *dims, int rank)
{
    if (rank > 1 || (rank == 0 && in->count != 1) ||
        (rank == 1 && !onnx_extent_is(dims[0], -1) && !onnx_extent_is(dims[0], in->count))) {
        return onnx_refuse(c->reader, "makes more than a list of integers");
    }
    return onnx_give_integers(c, rank, in->count, in->integers);
}

/* The Reshape that cuts the audio into rows of `size` samples: all rows that are whole, and nothing
 * more. */
static attune_status cut_frames(call *c, const value *in, layout *shape, const content **out,
                                int64_t size)
{
    extent rows = onnx_extent_divide(in->content->samples, onnx_extent_constant(size));
    extent cut = onnx_extent_multiply(rows, onnx_extent_constant(size));
    bool whole = false;
    for (int axis = 0; axis < shape->rank; axis++) {
        whole = whole || (onnx_layout_is(shape, axis, ROLE_SAMPLES) &&
                          onnx_extent_equal(onnx_layout_extent(shape, axis), cut));
    }
    if (!whole || size > 16384 || onnx_extent_is(rows, 0)) {
        return onnx_refuse(c->reader,
                           "the audio is not cut to all its whole frames of %lld samples",
                           (long long)size);
    }
    content *made = onnx_new_content(c, CONTENT_FRAMES, in->content);
    if (!made) {
        return ATTUNE_ENOMEM;
    }
    made->network.frame_size = made->network.hop_size = (int)size;
    *out = made;
    return onnx_layout_split(shape, ROLE_SAMPLES, ROLE_TIME, rows, ROLE_POSITION,
                             onnx_extent_constant(size))
               ? ATTUNE_OK
               : onnx_misplaced(c, in);
}

attune_status onnx_read_reshape(call *c)
{
    const value *in = c->in[0];
    const extent *given = NULL;
    extent dims[LAYOUT_RANK_MAX];
    int rank = 0, inferred = -1;
    int64_t keep_zero, last = 0;
    attune_status status = read_dims(c, 1, &given, &rank);
    status = status ? status : onnx_int(c, &keep_zero, "allowzero", 0);
    if (status) {
        return status;
    }
    if (in->kind == VALUE_FLOATS) {
        return reshape_floats(c, &in->floats, given, rank, !keep_zero);
    }
    if (in->kind == VALUE_INTEGERS) {
        return reshape_integers(c, in, given, rank);
    }
    for (int i = 0; i < rank; i++) {
        dims[i] = given[i];
        if (onnx_extent_is(dims[i], -1)) {
            if (inferred >= 0) {
                return onnx_refuse(c->reader, "the shape has two -1");
            }
            inferred = i;
        } else if (onnx_extent_is(dims[i], 0) && !keep_zero) {
            dims[i] = i < in->layout.rank ? onnx_layout_extent(&in->layout, i) : NO_EXTENT;
        }
    }
    layout shape = in->layout, regrouped;
    const content *what = in->content;
    if (what->kind == CONTENT_AUDIO && rank > 0 && onnx_extent_is_constant(dims[rank - 1], &last) &&
        last > 1) {
        status = cut_frames(c, in, &shape, &what, last);
    }
    if (!status && !onnx_layout_reshape(&regrouped, &shape, dims, rank, inferred)) {
        return onnx_refuse(c->reader, "%s does not take this shape", onnx_describe(what));
    }
    return status ? status : onnx_give(c, 0, what, &regrouped);
}

attune_status onnx_read_flatten(call *c)
{
    const value *in;
    int64_t given;
    int axis;
    attune_status status = onnx_activation(c, 0, &in);
    status = status ? status : onnx_int(c, &given, "axis", 1);
    if (status) {
        return status;
    }
    int rank = in->layout.rank;
    if (given == rank) {
        axis = rank;
    } else if ((status = onnx_axis(c, given, rank, &axis)) != ATTUNE_OK) {
        return status;
    }
    layout shape = in->layout;
    shape.rank = 2;
    shape.end[0] = axis > 0 ? in->layout.end[axis - 1] : 0;
    shape.end[1] = rank > 0 ? in->layout.end[rank - 1] : 0;
    return onnx_give_layout(c, in, &shape, true);
}

/* Zeros become zeros of the new shape: a tensor where that is constant (a convolution's bias), else
 * only known to be zero (a GRU's first state). */
static attune_status expand_zeros(call *c, const tensor *in, const extent *dims, int rank)
{
    tensor made = {.rank = rank, .count = 1};
    layout shape = {0};
    bool constant = true, fits = rank >= in->rank;
    for (int i = 0; fits && i < rank; i++) {
        int axis = i - (rank - in->rank);
        int64_t given = axis < 0 ? 1 : in->dims[axis];
        bool known = onnx_extent_is_constant(dims[i], &made.dims[i]);
        fits = dims[i].known &&
               (given == 1 || (known && (made.dims[i] == given || made.dims[i] == 1)));
        made.dims[i] = given == 1 ? made.dims[i] : given;
        constant = constant && known && made.dims[i] > 0 && made.dims[i] <= ZEROS_MAX &&
                   (made.count *= (size_t)made.dims[i]) <= ZEROS_MAX;
        onnx_layout_push(&shape, ROLE_COPY, given == 1 ? dims[i] : onnx_extent_constant(given));
    }
    if (!fits) {
        return onnx_refuse(c->reader, "does not expand to this shape");
    }
    if (!constant) {
        return onnx_give(c, 0, onnx_new_content(c, CONTENT_ZERO, NULL), &shape);
    }
    made.data = onnx_allocate(c->reader, made.count * sizeof(float));
    return made.data ? onnx_give_floats(c, &made) : ATTUNE_ENOMEM;
}

/* Integers that stay as they are, zeros, and the norm along the components. */
attune_status onnx_read_expand(call *c)
{
    const value *in = c->in[0];
    const extent *dims = NULL;
    int rank = 0;
    attune_status status = read_dims(c, 1, &dims, &rank);
    if (status) {
        return status;
    }
    if (in->kind == VALUE_INTEGERS && rank == 1 && in->rank == 1 &&
        (onnx_extent_is(dims[0], 1) || onnx_extent_is(dims[0], in->count))) {
        return onnx_read_identity(c);
    }
    if (in->kind == VALUE_FLOATS && onnx_tensor_is_zero(&in->floats)) {
        return expand_zeros(c, &in->floats, dims, rank);
    }
    if (in->kind != VALUE_ACTIVATION ||
        (in->content->kind != CONTENT_CLAMPED_NORM && in->content->kind != CONTENT_NORM)) {
        return onnx_refuse(c->reader, "AudioEmbedding networks do not expand this");
    }
    layout shape = {0};
    bool fits = rank == in->layout.rank;
    for (int i = 0; fits && i < rank; i++) {
        if (onnx_layout_is_unit(&in->layout, i)) {
            fits = onnx_layout_push(&shape, ROLE_COPY, dims[i]);
        } else {
            fits = (onnx_extent_is(dims[i], 1) ||
                    onnx_extent_equal(dims[i], onnx_layout_extent(&in->layout, i))) &&
                   onnx_layout_push_axis(&shape, &in->layout, i);
        }
    }
    return onnx_give_layout(c, in, &shape, fits);
}
