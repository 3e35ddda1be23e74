/* test_symbol.c - polynomials in B, S and Q, and axes as products of named factors. */
#include "model/onnx_symbol.h"

#include <criterion/criterion.h>
#include <string.h>

static extent number(int64_t value)
{
    return onnx_extent_constant(value);
}

static extent batch(void)
{
    return onnx_extent_symbol(SYMBOL_BATCH);
}

static extent samples(void)
{
    return onnx_extent_symbol(SYMBOL_SAMPLES);
}

/* floor(S / divisor) */
static extent rows(int64_t divisor)
{
    return onnx_extent_divide(samples(), number(divisor));
}

Test(symbol, arithmetic_on_constants)
{
    cr_assert(onnx_extent_is(onnx_extent_add(number(3), number(4)), 7));
    cr_assert(onnx_extent_is(onnx_extent_subtract(number(3), number(4)), -1));
    cr_assert(onnx_extent_is(onnx_extent_multiply(number(3), number(4)), 12));
    cr_assert(onnx_extent_is(onnx_extent_divide(number(13), number(4)), 3));
    cr_assert(!onnx_extent_divide(number(13), number(0)).known);
    cr_assert(!onnx_extent_divide(number(13), number(-2)).known);
    cr_assert(!onnx_extent_divide(number(-13), number(2)).known);
}

Test(symbol, arithmetic_on_symbols)
{
    extent q = rows(2048), one = number(1);
    cr_assert(onnx_extent_equal(
        onnx_extent_divide(onnx_extent_multiply(q, number(2048)), number(2048)), q));
    cr_assert(
        onnx_extent_equal(onnx_extent_multiply(batch(), q), onnx_extent_multiply(q, batch())));
    cr_assert(onnx_extent_equal(onnx_extent_subtract(onnx_extent_add(q, one), q), one));
    /* (S - N) / N + 1 = floor(S / N), as one counts hops. */
    extent counted =
        onnx_extent_divide(onnx_extent_subtract(samples(), number(2048)), number(2048));
    cr_assert(onnx_extent_equal(onnx_extent_add(counted, one), q));
    cr_assert(
        onnx_extent_is(onnx_extent_divide(onnx_extent_multiply(batch(), number(6)), batch()), 6));
    cr_assert(!onnx_extent_equal(q, samples()));
    cr_assert(!onnx_extent_equal(rows(2048), rows(1024)), "rows of different size are different");
}

Test(symbol, what_cannot_be_said_is_unknown_and_equals_nothing)
{
    const extent unknown[] = {
        onnx_extent_add(rows(2048), rows(1024)),
        onnx_extent_multiply(samples(), samples()),
        onnx_extent_divide(onnx_extent_subtract(samples(), number(1)), number(2048)),
        onnx_extent_divide(onnx_extent_multiply(samples(), number(3)), number(2)),
        onnx_extent_multiply(number(INT64_MAX), number(2)),
        onnx_extent_add(number(INT64_MAX), number(1)),
        onnx_extent_subtract(number(0), number(INT64_MIN)),
        onnx_extent_divide(samples(), batch()),
        onnx_extent_divide(onnx_extent_multiply(batch(), number(INT64_MIN)),
                           onnx_extent_multiply(batch(), number(-1))),
    };
    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
        int64_t value;
        cr_assert(!unknown[i].known, "%zu", i);
        cr_assert(!onnx_extent_equal(unknown[i], unknown[i]), "%zu", i);
        cr_assert(!onnx_extent_is_constant(unknown[i], &value), "%zu", i);
        cr_assert(!onnx_extent_add(unknown[i], number(0)).known, "%zu", i);
    }
}

/* (B, F, N) */
static layout framed(int64_t sequences)
{
    layout made = {0};
    onnx_layout_push(&made, ROLE_BATCH, sequences ? number(sequences) : batch());
    onnx_layout_push(&made, ROLE_TIME, rows(2048));
    onnx_layout_push(&made, ROLE_POSITION, number(2048));
    return made;
}

Test(symbol, reshape_regroups_factors)
{
    layout in = framed(0), flat, back;
    const extent to[] = {number(-1), number(1), number(2048)};
    cr_assert(onnx_layout_reshape(&flat, &in, to, 3, 0));
    cr_assert_eq(flat.rank, 3);
    cr_assert(
        onnx_extent_equal(onnx_layout_extent(&flat, 0), onnx_extent_multiply(batch(), rows(2048))));
    cr_assert(onnx_layout_is_unit(&flat, 1));
    cr_assert(onnx_layout_is(&flat, 2, ROLE_POSITION));
    cr_assert(!onnx_layout_is(&flat, 0, ROLE_BATCH) && !onnx_layout_is(&flat, 0, ROLE_TIME));
    const extent from[] = {batch(), rows(2048), number(2048)};
    cr_assert(onnx_layout_reshape(&back, &flat, from, 3, -1));
    cr_assert(onnx_layout_equal(&back, &in));
    const extent middle[] = {batch(), number(-1), number(2048)};
    cr_assert(onnx_layout_reshape(&back, &flat, middle, 3, 1));
    cr_assert(onnx_layout_equal(&back, &in));
}

Test(symbol, reshape_never_splits_or_swaps_factors)
{
    layout in = framed(0), out;
    const extent wrong[][3] = {
        {rows(2048), batch(), number(2048)},   {batch(), rows(2048), number(1024)},
        {batch(), number(2048), rows(2048)},   {batch(), rows(1024), number(2048)},
        {number(3), rows(2048), number(2048)}, {batch(), rows(2048), number(0)},
        {samples(), rows(2048), number(2048)},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        cr_assert(!onnx_layout_reshape(&out, &in, wrong[i], 3, -1), "%zu", i);
    }
    cr_assert(!onnx_layout_reshape(&out, &in, wrong[0], 2, -1));
    cr_assert(!onnx_layout_reshape(&out, &in, wrong[1], 3, 0),
              "the inferred axis cannot take half a frame");
}

Test(symbol, an_axis_of_extent_one_is_any_role_that_is_nowhere_else)
{
    layout one = framed(1);
    cr_assert(onnx_layout_is(&one, 0, ROLE_BATCH));
    cr_assert(onnx_layout_is(&one, 0, ROLE_CHANNEL));
    cr_assert(!onnx_layout_is(&one, 0, ROLE_TIME), "time is axis 1");
    cr_assert(!onnx_layout_is(&one, 1, ROLE_BATCH));
}

Test(symbol, split_and_limits)
{
    layout audio = {0};
    onnx_layout_push(&audio, ROLE_BATCH, batch());
    onnx_layout_push(&audio, ROLE_SAMPLES, onnx_extent_multiply(rows(2048), number(2048)));
    cr_assert(onnx_layout_split(&audio, ROLE_SAMPLES, ROLE_TIME, rows(2048), ROLE_POSITION,
                                number(2048)));
    cr_assert(onnx_extent_equal(onnx_layout_extent(&audio, 1),
                                onnx_extent_multiply(rows(2048), number(2048))));
    cr_assert(!onnx_layout_split(&audio, ROLE_SAMPLES, ROLE_TIME, rows(2048), ROLE_POSITION,
                                 number(2048)));
    layout full = {0};
    for (int i = 0; i < LAYOUT_RANK_MAX; i++) {
        cr_assert(onnx_layout_push(&full, ROLE_CHANNEL, number(2)));
    }
    cr_assert(!onnx_layout_push(&full, ROLE_CHANNEL, number(2)));
    cr_assert(!onnx_layout_push_unit(&full));
}
