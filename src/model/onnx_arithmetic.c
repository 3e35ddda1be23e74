/* onnx_arithmetic.c - Add, Sub, Mul, Div, Erf, Clip and Max.
 *
 * On integers they compute shapes. On activations each has a few meanings: a linear layer's bias,
 * the weighting of the states, the division by the norm, and the parts of a GELU that opsets before
 * 20 spell out, s x (1 + erf(x / sqrt 2)) with s = 1/2 in whatever order an exporter multiplies. */
#include "model/onnx_reader.h"

#include <math.h>

/* Constants arrive rounded to f32, some twice. */
static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fabs(b);
}

typedef extent (*extent_operation)(extent, extent);

/* Element by element; a single integer goes with every element of a list. */
static attune_status combine(call *c, extent_operation operation)
{
    const value *a = c->in[0], *b = c->in[1];
    extent results[INTEGERS_MAX];
    int count = a->count == 1 ? b->count : a->count;
    if (b->count != 1 && b->count != count) {
        return onnx_refuse(c->reader, "lists of %d and %d integers", a->count, b->count);
    }
    for (int i = 0; i < count; i++) {
        results[i] =
            operation(a->integers[a->count == 1 ? 0 : i], b->integers[b->count == 1 ? 0 : i]);
    }
    return onnx_give_integers(c, a->rank > b->rank ? a->rank : b->rank, count, results);
}

static bool are_integers(const call *c)
{
    return c->in[0]->kind == VALUE_INTEGERS && c->in[1]->kind == VALUE_INTEGERS;
}

static bool is_content(const value *in, content_kind kind)
{
    return in->kind == VALUE_ACTIVATION && in->content->kind == kind;
}

/* Whether a GELU may follow. */
static bool is_before_gelu(const content *x)
{
    return x->kind == CONTENT_CONVOLVED || x->kind == CONTENT_NORMALISED ||
           x->kind == CONTENT_PROJECTED;
}

/* `kind` of x with factor `number`; half of x (1 + erf) is the GELU. */
static attune_status give_part(call *c, content_kind kind, const content *x, double number,
                               const layout *shape)
{
    if (kind == CONTENT_X_ERF && near(number, 0.5)) {
        return onnx_activate(c, x, true, shape);
    }
    content *part = onnx_new_content(c, kind, x);
    if (part) {
        part->number = number;
    }
    return onnx_give(c, 0, part, shape);
}

static attune_status scale(call *c, const value *in, double by)
{
    const content *x = in->content;
    switch (x->kind) {
    case CONTENT_SCALED:
    case CONTENT_ERF:
    case CONTENT_ERF_PLUS:
    case CONTENT_X_ERF:
        return give_part(c, x->kind, x->from, x->number * by, &in->layout);
    default:
        return is_before_gelu(x) ? give_part(c, CONTENT_SCALED, x, by, &in->layout)
                                 : onnx_misplaced(c, in);
    }
}

attune_status onnx_read_erf(call *c)
{
    const value *in;
    attune_status status = onnx_activation(c, 0, &in);
    if (status) {
        return status;
    }
    if (in->content->kind != CONTENT_SCALED || !near(in->content->number, 0.70710678118654752)) {
        return onnx_refuse(c->reader, "the argument of a GELU's erf is x / sqrt 2");
    }
    return give_part(c, CONTENT_ERF, in->content->from, 1, &in->layout);
}

/* A bias: along the last axis, for a linear layer that has none yet. */
static attune_status add_bias(call *c, const value *in, int argument)
{
    const content *from = in->content;
    const tensor *bias;
    int64_t outputs = 0;
    if (from->kind != CONTENT_INNER && from->kind != CONTENT_SCORE &&
        from->kind != CONTENT_PROJECTED && from->kind != CONTENT_RAW) {
        return onnx_misplaced(c, in);
    }
    if (from->parameter[1]) {
        return onnx_refuse(c->reader, "the layer has a bias already");
    }
    attune_status status = onnx_parameter(c, argument, "the bias", &bias);
    if (status) {
        return status;
    }
    const layout *shape = &in->layout;
    bool fits = bias->rank <= shape->rank && shape->rank > 0 &&
                onnx_layout_is(shape, shape->rank - 1, ROLE_CHANNEL) &&
                onnx_extent_is_constant(onnx_layout_extent(shape, shape->rank - 1), &outputs) &&
                bias->count == (size_t)outputs &&
                (bias->rank == 0 || bias->dims[bias->rank - 1] == outputs);
    if (!fits) {
        return onnx_refuse(c->reader, "the bias does not have one value for each output");
    }
    content *made = onnx_allocate(c->reader, sizeof(*made));
    if (made) {
        *made = *from;
        made->parameter[1] = bias;
    }
    return onnx_give(c, 0, made, shape);
}

attune_status onnx_read_add(call *c)
{
    double number;
    if (are_integers(c)) {
        return combine(c, onnx_extent_add);
    }
    for (int i = 0; i < 2; i++) {
        const value *in = c->in[i];
        if (in->kind != VALUE_ACTIVATION || c->in[1 - i]->kind != VALUE_FLOATS) {
            continue;
        }
        if (in->content->kind != CONTENT_ERF) {
            return add_bias(c, in, 1 - i);
        }
        if (!onnx_scalar(c, 1 - i, in->layout.rank, &number) ||
            !near(number, in->content->number)) {
            return onnx_refuse(c->reader, "a GELU adds 1 to its erf");
        }
        return give_part(c, CONTENT_ERF_PLUS, in->content->from, in->content->number, &in->layout);
    }
    return onnx_refuse(c->reader, "AudioEmbedding networks do not add these");
}

attune_status onnx_read_sub(call *c)
{
    return are_integers(c)
               ? combine(c, onnx_extent_subtract)
               : onnx_refuse(c->reader, "AudioEmbedding networks do not subtract these");
}

/* Whether `narrow` is `wide` but for the channel axis, along which it has one value or copies of
 * it. */
static bool spans_channels(const layout *wide, const layout *narrow)
{
    bool fits = wide->rank == narrow->rank;
    for (int i = 0; fits && i < wide->rank; i++) {
        bool copies =
            onnx_layout_is(wide, i, ROLE_CHANNEL) &&
            (onnx_layout_is_unit(narrow, i) ||
             (onnx_layout_is(narrow, i, ROLE_COPY) &&
              onnx_extent_equal(onnx_layout_extent(narrow, i), onnx_layout_extent(wide, i))));
        fits = copies || onnx_layout_axis_equal(wide, i, narrow, i);
    }
    return fits;
}

/* The states that attention weights were computed from. */
static const content *attended(const content *attention)
{
    return attention->from->from->from->from;
}

attune_status onnx_read_mul(call *c)
{
    double number;
    if (are_integers(c)) {
        return combine(c, onnx_extent_multiply);
    }
    for (int i = 0; i < 2; i++) {
        const value *a = c->in[i], *b = c->in[1 - i];
        if (a->kind == VALUE_ACTIVATION && b->kind == VALUE_FLOATS) {
            return onnx_scalar(c, 1 - i, a->layout.rank, &number) ? scale(c, a, number)
                                                                  : onnx_misplaced(c, a);
        }
        if (is_content(a, CONTENT_ERF_PLUS) && b->kind == VALUE_ACTIVATION) {
            bool scaled = b->content->kind == CONTENT_SCALED;
            const content *x = scaled ? b->content->from : b->content;
            if (x != a->content->from || !onnx_layout_equal(&a->layout, &b->layout)) {
                return onnx_refuse(c->reader, "a GELU multiplies 1 + erf by its own argument");
            }
            return give_part(c, CONTENT_X_ERF, x,
                             a->content->number * (scaled ? b->content->number : 1), &a->layout);
        }
        if (is_content(a, CONTENT_STATES) && is_content(b, CONTENT_ATTENTION)) {
            if (attended(b->content) != a->content || !spans_channels(&a->layout, &b->layout)) {
                return onnx_refuse(c->reader,
                                   "the attention's weights do not belong to these states");
            }
            return onnx_give(c, 0, onnx_new_content(c, CONTENT_WEIGHTED, b->content), &a->layout);
        }
    }
    return onnx_refuse(c->reader, "AudioEmbedding networks do not multiply these");
}

attune_status onnx_read_div(call *c)
{
    const value *a = c->in[0], *b = c->in[1];
    double number;
    if (are_integers(c)) {
        return combine(c, onnx_extent_divide);
    }
    if (a->kind == VALUE_ACTIVATION && onnx_scalar(c, 1, a->layout.rank, &number) && number != 0) {
        return scale(c, a, 1 / number);
    }
    if (!is_content(a, CONTENT_RAW) || !is_content(b, CONTENT_CLAMPED_NORM)) {
        return onnx_refuse(c->reader, "AudioEmbedding networks do not divide these; the last step "
                                      "divides by the norm, clamped "
                                      "below at 1e-12");
    }
    if (b->content->from->from != a->content || !spans_channels(&a->layout, &b->layout)) {
        return onnx_refuse(c->reader, "the norm does not belong to this vector");
    }
    return onnx_give(c, 0, onnx_new_content(c, CONTENT_EMBEDDING, a->content), &a->layout);
}

/* max(norm, 1e-12), as a Clip or a Max. */
static attune_status clamp(call *c, const value *in, int argument)
{
    double least;
    if (in->content->kind != CONTENT_NORM) {
        return onnx_misplaced(c, in);
    }
    if (!onnx_scalar(c, argument, in->layout.rank, &least) || !near(least, 1e-12)) {
        return onnx_refuse(c->reader, "the norm must be clamped below at 1e-12");
    }
    return onnx_give(c, 0, onnx_new_content(c, CONTENT_CLAMPED_NORM, in->content), &in->layout);
}

attune_status onnx_read_clip(call *c)
{
    const value *in;
    attune_status status = onnx_activation(c, 0, &in);
    if (!status && onnx_argument(c, 2)) {
        return onnx_refuse(c->reader, "has an upper bound");
    }
    return status ? status : clamp(c, in, 1);
}

attune_status onnx_read_max(call *c)
{
    int which = c->in[0]->kind == VALUE_ACTIVATION ? 0 : 1;
    const value *in;
    attune_status status = onnx_activation(c, which, &in);
    return status ? status : clamp(c, in, 1 - which);
}
