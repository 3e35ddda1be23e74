/* onnx_symbol.h - symbolic tensor shapes, for running an ONNX graph without numbers.
 *
 * A model's batch and length are not known when it is read, so the integers that its graph computes
 * from shapes are polynomials in three symbols: B (sequences), S (samples) and Q = floor(S /
 * divisor), the whole rows of `divisor` samples. No graph of ours needs a symbol twice in one
 * product, so a polynomial is eight coefficients, one for each set of symbols.
 *
 * A tensor's shape is more than its extents: every axis is a product of named factors, outermost
 * first
 * ((B*F, 1, N) is [batch time] [] [position]). Reshapes regroup factors, transposes move axes, and
 * an operator asks "is this axis time?" and not "is this 3?", so that wrong wiring is seen even
 * where the extents happen to agree. Factors of extent 1 are not kept. */
#ifndef ATTUNE_SRC_MODEL_ONNX_SYMBOL_H
#define ATTUNE_SRC_MODEL_ONNX_SYMBOL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SYMBOL_BATCH = 1,
    SYMBOL_SAMPLES = 2,
    SYMBOL_ROWS = 4,
    EXTENT_TERMS = 8,
};

/* sum over m of term[m] * (product of the symbols in the bit set m). An extent that cannot be said
 * so is not known, and equals nothing. */
typedef struct extent {
    bool known;
    int64_t divisor; /* of SYMBOL_ROWS; 0 if no term has it */
    int64_t term[EXTENT_TERMS];
} extent;

extent onnx_extent_constant(int64_t value);
extent onnx_extent_symbol(int symbol);
extent onnx_extent_add(extent a, extent b);
extent onnx_extent_subtract(extent a, extent b);
extent onnx_extent_multiply(extent a, extent b);
/* floor(a / b), for a not negative; b must be a positive constant that divides a, or divides all of
 * a but one S, or equal a times a constant. */
extent onnx_extent_divide(extent a, extent b);
bool onnx_extent_equal(extent a, extent b);
/* Whether `a` is a constant; then *value is set. */
bool onnx_extent_is_constant(extent a, int64_t *value);
bool onnx_extent_is(extent a, int64_t value);

typedef enum axis_role {
    ROLE_BATCH,
    ROLE_SAMPLES,  /* of the audio, before it is cut into frames */
    ROLE_TIME,     /* frames, or rows of half a frame */
    ROLE_POSITION, /* within a frame */
    ROLE_CHANNEL,  /* components of a feature vector */
    ROLE_LAYER,    /* stacked last states */
    ROLE_COPY,     /* all elements along it are equal */
} axis_role;

typedef struct factor {
    axis_role role;
    extent size;
} factor;

enum { LAYOUT_RANK_MAX = 6, LAYOUT_FACTORS_MAX = 8 };

/* Axis i is factors[end[i - 1]] .. factors[end[i] - 1]; end[-1] is 0. Rank 0 is a scalar. */
typedef struct layout {
    int rank;
    int end[LAYOUT_RANK_MAX];
    factor factors[LAYOUT_FACTORS_MAX];
} layout;

/* Append an axis: one factor, none (extent 1), or a copy of another layout's axis. False when full.
 */
bool onnx_layout_push(layout *out, axis_role role, extent size);
bool onnx_layout_push_unit(layout *out);
bool onnx_layout_push_axis(layout *out, const layout *in, int axis);

extent onnx_layout_extent(const layout *in, int axis);
bool onnx_layout_is_unit(const layout *in, int axis);
/* Whether the axis is exactly `role`. A unit axis is any role that no other axis has. */
bool onnx_layout_is(const layout *in, int axis, axis_role role);
bool onnx_layout_axis_equal(const layout *a, int axis_a, const layout *b, int axis_b);
bool onnx_layout_equal(const layout *a, const layout *b);

/* `in` with one axis replaced by one factor, or taken out. */
bool onnx_layout_replace(layout *out, const layout *in, int axis, axis_role role, extent size);
bool onnx_layout_remove(layout *out, const layout *in, int axis);
/* Regroups the factors of `in` so that axis i has extent dims[i]; dims[inferred] is not read (-1:
 * none). False if that would split a factor. */
bool onnx_layout_reshape(layout *out, const layout *in, const extent *dims, int rank, int inferred);
/* Splits the first factor of role `from` into `outer`, of extent `count`, and `inner`, of extent
 * `size`. */
bool onnx_layout_split(layout *in, axis_role from, axis_role outer, extent count, axis_role inner,
                       extent size);

#endif
