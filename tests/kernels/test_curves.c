/* test_curves.c - channels as quartics against GELU in double. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

enum { CHANNELS = ATTUNE_CURVE_CHANNELS, CURVES = ATTUNE_CURVES };

static const double K = (double)ATTUNE_GELU_SCALE;

/* Channels as in the published model: scales of 0.95 to 1.95 in magnitude, 0 at a g of 0.1 to 0.3.
 */
static void make_channels(float *scale, float *bias, uint64_t seed)
{
    for (int c = 0; c < CHANNELS; c++) {
        const float s = random_uniform(&seed);
        scale[c] = copysignf(0.95f + fabsf(s), s);
        bias[c] = -scale[c] * (0.2f + 0.1f * random_uniform(&seed)) * ATTUNE_GELU_SCALE;
    }
}

static float follow(const attune_curves *curves, int c, float g)
{
    int i = 0;
    while (g >= curves->knot[i + 1]) {
        i++;
    }
    float y = 0;
    for (int k = 4; k >= 0; k--) {
        y = fmaf(y, g - curves->middle[i], curves->quartic[c][k][i]);
    }
    return y;
}

/* Largest error from the least value of GELU to far into the straight part, less what rounding of
 * the value itself makes of it. */
static double worst(const attune_curves *curves, const float *scale, const float *bias)
{
    double largest = 0;
    for (int c = 0; c < CHANNELS; c++) {
        for (int i = 0; i <= 20000; i++) {
            const float g = (float)(K * (-0.17 + 20 * pow(i / 20000.0, 2)));
            const double x = (double)scale[c] * (double)g + (double)bias[c],
                         y = 0.5 * x * erfc(-x / K * M_SQRT1_2),
                         error = fabs((double)follow(curves, c, g) - y) - 0x1p-22 * fabs(y);
            if (!(error <= largest)) {
                largest = error;
            }
        }
    }
    printf("worst %.3g\n", largest / K);
    return largest / K;
}

Test(curves, channels_are_exact_gelu)
{
    static attune_curves curves;
    float scale[CHANNELS], bias[CHANNELS];
    for (uint64_t seed = 1; seed <= 6; seed++) {
        make_channels(scale, bias, seed);
        if (seed % 2 == 0) {
            scale[7] = 0;
        }
        cr_assert(attune_curves_fit(&curves, scale, bias), "seed %d", (int)seed);
        cr_assert_lt(worst(&curves, scale, bias), 5.2e-7);
    }
}

/* Too steep for 16 intervals or straight too far away; no channel that depends on g; and weights
 * that are no numbers. */
Test(curves, channels_too_different_are_refused)
{
    static attune_curves curves;
    float scale[CHANNELS], bias[CHANNELS];
    const float odd[] = {30, -30, 0.01f, NAN, INFINITY};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        make_channels(scale, bias, 1);
        scale[3] = odd[i];
        cr_assert_not(attune_curves_fit(&curves, scale, bias), "%g", (double)odd[i]);
    }
    for (int c = 0; c < CHANNELS; c++) {
        scale[c] = 0;
    }
    cr_assert_not(attune_curves_fit(&curves, scale, bias));
    make_channels(scale, bias, 1);
    bias[5] = NAN;
    cr_assert_not(attune_curves_fit(&curves, scale, bias));
}
