/* onnx_symbol.c - polynomials in B, S and Q, and axes as products of named factors. */
#include "model/onnx_symbol.h"

#include <assert.h>
#include <string.h>

static const extent UNKNOWN = {.known = false};

extent onnx_extent_constant(int64_t value)
{
    extent result = {.known = true};
    result.term[0] = value;
    return result;
}

extent onnx_extent_symbol(int symbol)
{
    extent result = {.known = true};
    result.term[symbol] = 1;
    return result;
}

/* Q of one divisor says nothing about Q of another, so they do not mix. */
static bool same_rows(extent a, extent b)
{
    return a.known && b.known && (a.divisor == 0 || b.divisor == 0 || a.divisor == b.divisor);
}

/* The divisor is kept only while a term needs it, so that equal polynomials are equal structures.
 */
static extent tidied(extent a, int64_t divisor)
{
    a.divisor = 0;
    for (int m = 0; m < EXTENT_TERMS; m++) {
        if ((m & SYMBOL_ROWS) && a.term[m] != 0) {
            a.divisor = divisor;
        }
    }
    return a;
}

static int64_t common_divisor(extent a, extent b)
{
    return a.divisor ? a.divisor : b.divisor;
}

extent onnx_extent_add(extent a, extent b)
{
    if (!same_rows(a, b)) {
        return UNKNOWN;
    }
    extent result = {.known = true};
    for (int m = 0; m < EXTENT_TERMS; m++) {
        if (__builtin_add_overflow(a.term[m], b.term[m], &result.term[m])) {
            return UNKNOWN;
        }
    }
    return tidied(result, common_divisor(a, b));
}

extent onnx_extent_subtract(extent a, extent b)
{
    return onnx_extent_add(a, onnx_extent_multiply(b, onnx_extent_constant(-1)));
}

extent onnx_extent_multiply(extent a, extent b)
{
    if (!same_rows(a, b)) {
        return UNKNOWN;
    }
    extent result = {.known = true};
    for (int m = 0; m < EXTENT_TERMS; m++) {
        for (int n = 0; n < EXTENT_TERMS; n++) {
            int64_t product;
            if (a.term[m] == 0 || b.term[n] == 0) {
                continue;
            }
            if ((m & n) || __builtin_mul_overflow(a.term[m], b.term[n], &product) ||
                __builtin_add_overflow(result.term[m | n], product, &result.term[m | n])) {
                return UNKNOWN;
            }
        }
    }
    return tidied(result, common_divisor(a, b));
}

/* a / b where a is b times a constant; b is not constant. */
static extent ratio(extent a, extent b)
{
    for (int m = 0; m < EXTENT_TERMS; m++) {
        if (b.term[m] > 0 && a.term[m] % b.term[m] == 0) {
            extent candidate = onnx_extent_constant(a.term[m] / b.term[m]);
            return onnx_extent_equal(onnx_extent_multiply(candidate, b), a) ? candidate : UNKNOWN;
        }
    }
    return UNKNOWN;
}

extent onnx_extent_divide(extent a, extent b)
{
    int64_t divisor, dividend;
    if (!same_rows(a, b)) {
        return UNKNOWN;
    }
    if (!onnx_extent_is_constant(b, &divisor)) {
        return ratio(a, b);
    }
    if (divisor <= 0) {
        return UNKNOWN;
    }
    if (onnx_extent_is_constant(a, &dividend)) {
        return dividend >= 0 ? onnx_extent_constant(dividend / divisor) : UNKNOWN;
    }
    extent result = {.known = true};
    for (int m = 0; m < EXTENT_TERMS; m++) {
        if (a.term[m] % divisor == 0) {
            result.term[m] += a.term[m] / divisor;
        } else if (m == SYMBOL_SAMPLES && a.term[m] == 1 &&
                   (a.divisor == 0 || a.divisor == divisor)) {
            result.term[SYMBOL_ROWS] += 1;
        } else {
            return UNKNOWN;
        }
    }
    return tidied(result, a.divisor ? a.divisor : divisor);
}

bool onnx_extent_equal(extent a, extent b)
{
    return a.known && b.known && a.divisor == b.divisor &&
           memcmp(a.term, b.term, sizeof(a.term)) == 0;
}

bool onnx_extent_is_constant(extent a, int64_t *value)
{
    if (!a.known) {
        return false;
    }
    for (int m = 1; m < EXTENT_TERMS; m++) {
        if (a.term[m] != 0) {
            return false;
        }
    }
    *value = a.term[0];
    return true;
}

bool onnx_extent_is(extent a, int64_t value)
{
    int64_t actual;
    return onnx_extent_is_constant(a, &actual) && actual == value;
}

static int first_factor(const layout *in, int axis)
{
    return axis > 0 ? in->end[axis - 1] : 0;
}

static int factor_count(const layout *in)
{
    return in->rank > 0 ? in->end[in->rank - 1] : 0;
}

/* Appends a factor to the last axis. */
static bool append(layout *out, axis_role role, extent size)
{
    assert(out->rank > 0);
    if (onnx_extent_is(size, 1)) {
        return true;
    }
    if (out->end[out->rank - 1] >= LAYOUT_FACTORS_MAX) {
        return false;
    }
    out->factors[out->end[out->rank - 1]++] = (factor){.role = role, .size = size};
    return true;
}

bool onnx_layout_push_unit(layout *out)
{
    if (out->rank >= LAYOUT_RANK_MAX) {
        return false;
    }
    out->end[out->rank] = factor_count(out);
    out->rank++;
    return true;
}

bool onnx_layout_push(layout *out, axis_role role, extent size)
{
    return onnx_layout_push_unit(out) && append(out, role, size);
}

bool onnx_layout_push_axis(layout *out, const layout *in, int axis)
{
    bool fits = onnx_layout_push_unit(out);
    for (int i = first_factor(in, axis); fits && i < in->end[axis]; i++) {
        fits = append(out, in->factors[i].role, in->factors[i].size);
    }
    return fits;
}

extent onnx_layout_extent(const layout *in, int axis)
{
    extent product = onnx_extent_constant(1);
    for (int i = first_factor(in, axis); i < in->end[axis]; i++) {
        product = onnx_extent_multiply(product, in->factors[i].size);
    }
    return product;
}

bool onnx_layout_is_unit(const layout *in, int axis)
{
    return first_factor(in, axis) == in->end[axis];
}

bool onnx_layout_is(const layout *in, int axis, axis_role role)
{
    int first = first_factor(in, axis), count = in->end[axis] - first;
    if (count == 1) {
        return in->factors[first].role == role;
    }
    for (int i = 0; i < factor_count(in); i++) {
        if (in->factors[i].role == role) {
            return false;
        }
    }
    return count == 0;
}

bool onnx_layout_axis_equal(const layout *a, int axis_a, const layout *b, int axis_b)
{
    int first_a = first_factor(a, axis_a), first_b = first_factor(b, axis_b);
    int count = a->end[axis_a] - first_a;
    if (count != b->end[axis_b] - first_b) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        const factor *x = &a->factors[first_a + i], *y = &b->factors[first_b + i];
        if (x->role != y->role || !onnx_extent_equal(x->size, y->size)) {
            return false;
        }
    }
    return true;
}

bool onnx_layout_equal(const layout *a, const layout *b)
{
    bool equal = a->rank == b->rank;
    for (int axis = 0; equal && axis < a->rank; axis++) {
        equal = onnx_layout_axis_equal(a, axis, b, axis);
    }
    return equal;
}

bool onnx_layout_replace(layout *out, const layout *in, int axis, axis_role role, extent size)
{
    bool fits = true;
    *out = (layout){0};
    for (int i = 0; fits && i < in->rank; i++) {
        fits = i == axis ? onnx_layout_push(out, role, size) : onnx_layout_push_axis(out, in, i);
    }
    return fits;
}

bool onnx_layout_remove(layout *out, const layout *in, int axis)
{
    bool fits = true;
    *out = (layout){0};
    for (int i = 0; fits && i < in->rank; i++) {
        fits = i == axis || onnx_layout_push_axis(out, in, i);
    }
    return fits;
}

/* Counts the factors from `at` on, in steps of `step`, whose product is `size`; -1 if there are
 * none. */
static int matching_factors(const layout *in, int at, int step, int available, extent size)
{
    extent product = onnx_extent_constant(1);
    for (int count = 0;; count++, at += step) {
        if (onnx_extent_equal(product, size)) {
            return count;
        }
        if (count == available) {
            return -1;
        }
        product = onnx_extent_multiply(product, in->factors[at].size);
    }
}

bool onnx_layout_reshape(layout *out, const layout *in, const extent *dims, int rank, int inferred)
{
    int counts[LAYOUT_RANK_MAX] = {0};
    int low = 0, high = factor_count(in);
    if (rank > LAYOUT_RANK_MAX) {
        return false;
    }
    for (int i = 0; i < (inferred < 0 ? rank : inferred); i++) {
        counts[i] = matching_factors(in, low, 1, high - low, dims[i]);
        if (counts[i] < 0) {
            return false;
        }
        low += counts[i];
    }
    for (int i = rank - 1; inferred >= 0 && i > inferred; i--) {
        counts[i] = matching_factors(in, high - 1, -1, high - low, dims[i]);
        if (counts[i] < 0) {
            return false;
        }
        high -= counts[i];
    }
    if (inferred >= 0) {
        counts[inferred] = high - low;
    } else if (low != high) {
        return false;
    }
    layout result = *in;
    result.rank = rank;
    for (int i = 0, end = 0; i < rank; i++) {
        end += counts[i];
        result.end[i] = end;
    }
    *out = result;
    return true;
}

bool onnx_layout_split(layout *in, axis_role from, axis_role outer, extent count, axis_role inner,
                       extent size)
{
    layout out = {0};
    bool fits = true, found = false;
    for (int axis = 0; fits && axis < in->rank; axis++) {
        fits = onnx_layout_push_unit(&out);
        for (int i = first_factor(in, axis); fits && i < in->end[axis]; i++) {
            if (in->factors[i].role == from) {
                found = true;
                fits = append(&out, outer, count) && append(&out, inner, size);
            } else {
                fits = append(&out, in->factors[i].role, in->factors[i].size);
            }
        }
    }
    *in = out;
    return fits && found;
}
