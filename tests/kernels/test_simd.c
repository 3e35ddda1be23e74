/* test_simd.c - the vector functions against libm in double, over their whole range. */
#include "kernels/cpu/train_simd.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

/* In units of 1/scale, argument and value. */
static double scaled_gelu(double x, float scale)
{
    return 0.5 * x * erfc(-x / (double)scale / sqrt(2));
}

static double gelu(double x)
{
    return scaled_gelu(x, ATTUNE_GELU_SCALE);
}

static double quick_gelu(double x)
{
    return scaled_gelu(x, ATTUNE_QUICK_SCALE);
}

/* GELU's derivative, in no units, by an argument in those of gelu. */
static double gelu_slope(double x)
{
    x /= (double)ATTUNE_GELU_SCALE;
    return 0.5 * erfc(-x / sqrt(2)) + x * exp(-x * x / 2) / sqrt(2 * acos(-1.0));
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Largest difference over [-range, range]; `relative` divides by the true value. */
static double worst(vf (*function)(vf), double (*truth)(double), double range, int relative)
{
    double largest = 0, at = 0;
    for (int i = 0; i <= 400000; i++) {
        const float x = (float)(range * (i - 200000) / 200000.0);
        float lane[W];
        store(lane, function(broadcast(x)));
        const double expected = truth((double)x);
        double error = fabs((double)lane[W - 1] - expected);
        error /= relative ? fabs(expected) : 1;
        if (!(error <= largest)) { /* a NaN is the worst of all */
            largest = error;
            at = (double)x;
        }
    }
    printf("worst %.3g at %g\n", largest, at);
    return largest;
}

static vf gelu_v(vf x)
{
    vf all[TOGETHER] = {[TOGETHER - 1] = x};
    gelu_n(all, TOGETHER, false);
    return all[TOGETHER - 1];
}

static vf quick_gelu_v(vf x)
{
    vf all[TOGETHER] = {[TOGETHER - 1] = x};
    gelu_n(all, TOGETHER, true);
    return all[TOGETHER - 1];
}

static vf gelu_of_both_v(vf x)
{
    vf all[TOGETHER] = {[TOGETHER - 1] = x}, slope[TOGETHER];
    gelu_slope_n(all, slope, TOGETHER);
    return all[TOGETHER - 1];
}

static vf gelu_slope_v(vf x)
{
    vf all[TOGETHER] = {[TOGETHER - 1] = x}, slope[TOGETHER];
    gelu_slope_n(all, slope, TOGETHER);
    return slope[TOGETHER - 1];
}

/* 3.0e-7 is what simd.h promises. */
Test(simd, gelu_is_exact_gelu)
{
    cr_assert_lt(worst(gelu_v, gelu, 2, 0), 3.1e-7 * (double)ATTUNE_GELU_SCALE);
}

Test(simd, gelu_and_its_slope_are_exact)
{
    cr_assert_lt(worst(gelu_of_both_v, gelu, 2, 0), 3.1e-7 * (double)ATTUNE_GELU_SCALE);
    cr_assert_lt(worst(gelu_slope_v, gelu_slope, 2, 0), 9e-7);
}

Test(simd, sums_are_of_every_vector)
{
    vf x[W];
    float lane[W];
    for (int i = 0; i < W; i++) {
        for (int j = 0; j < W; j++) {
            lane[j] = (float)(100 * i + j);
        }
        x[i] = load(lane);
    }
    store(lane, sums_v(x));
    for (int i = 0; i < W; i++) {
        cr_assert_eq(lane[i], (float)(100 * i * W + W * (W - 1) / 2));
    }
}

Test(simd, quick_gelu_is_within_its_bound)
{
    cr_assert_lt(worst(quick_gelu_v, quick_gelu, 2, 0), 2.6e-5 * (double)ATTUNE_QUICK_SCALE);
}

Test(simd, exp_is_within_two_units)
{
    cr_assert_lt(worst(exp_v, exp, 86.9, 1), 2.5e-7);
}

Test(simd, tanh_and_sigmoid_are_within_two_units_of_one)
{
    cr_assert_lt(worst(tanh_v, tanh, 100, 0), 2.5e-7);
    cr_assert_lt(worst(sigmoid_v, sigmoid, 100, 0), 1.8e-7);
}

Test(simd, large_arguments_stay_finite)
{
    float lane[W];
    const float large[] = {1e30f, -1e30f, INFINITY, -INFINITY};
    for (int i = 0; i < 4; i++) {
        store(lane, tanh_v(broadcast(large[i])));
        cr_assert_eq(lane[0], large[i] > 0 ? 1.0f : -1.0f);
        store(lane, sigmoid_v(broadcast(large[i])));
        cr_assert(fabsf(lane[0] - (large[i] > 0 ? 1.0f : 0.0f)) < 1e-30f);
    }
}
