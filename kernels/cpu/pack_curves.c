/* pack_curves.c - gelu(scale · g + bias) of AudioEmbeddingTiny's 32 channels as quartics in g.
 *
 * All channels are functions of one number, so one search finds where a g falls for all of them:
 * ATTUNE_CURVES intervals, the last of which goes on to infinity and is straight there. A quartic's
 * error over an interval of half-width h is at most h⁵·|f⁗′|/1920. So the others are placed such
 * that all have about the same integral of |f⁗′|^(1/5), of the channel where that is largest. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <math.h>

enum { CHANNELS = ATTUNE_CURVE_CHANNELS, CURVES = ATTUNE_CURVES, NODES = 5, GRID = 256 };

static const double K = (double)ATTUNE_GELU_SCALE;

/* In units of 1/K, argument and value. */
static double gelu(double x)
{
    return 0.5 * x * erfc(-x / K * M_SQRT1_2);
}

/* |f⁗′| of GELU at x / K */
static double fifth_derivative(double x)
{
    const double z = x / K, y = z * z;
    return fabs(((y - 11) * y + 18) * z) * 0.3989422804014327 * exp(-0.5 * y);
}

/* Where GELU of all channels is straight to within 2e-7 from here on; infinite if it never is. */
static double straight_from(const float *scale, const float *bias)
{
    double from = 0;
    for (int c = 0; c < CHANNELS; c++) {
        const double s = (double)scale[c], sign = s < 0 ? -1 : 1;
        if (!isfinite(scale[c]) || !isfinite(bias[c])) {
            return INFINITY;
        }
        if (s != 0) {
            from = fmax(from, (5.4 * K - sign * (double)bias[c]) / fabs(s));
        }
    }
    return from;
}

/* Sets the intervals. The power is somewhat less than 1/5, as wide intervals are worse than h⁵
 * says: of 0.2, the largest error of the published model's channels is 4.3e-7, of 0.19 3.7e-7.
 * False if it cannot be. */
static bool place(attune_curves *to, const float *scale, const float *bias)
{
    const double low = -0.1701 * K, high = straight_from(scale, bias), step = (high - low) / GRID;
    double sum[GRID + 1] = {0};
    for (int i = 0; i < GRID; i++) {
        double largest = 0;
        for (int c = 0; c < CHANNELS; c++) {
            const double s = (double)scale[c], x = s * (low + (i + 0.5) * step) + (double)bias[c];
            largest = fmax(largest, pow(fabs(s), 5) * fifth_derivative(x));
        }
        sum[i + 1] = sum[i] + pow(largest, 0.19);
    }
    const double share = sum[GRID] / (CURVES - 1);
    double from = low;
    for (int i = 1, at = 0; i < CURVES; i++) {
        while (at < GRID - 1 && sum[at + 1] < i * share) {
            at++;
        }
        const double within = (i * share - sum[at]) / (sum[at + 1] - sum[at]),
                     until = i == CURVES - 1 ? high : low + (at + within) * step;
        to->knot[i] = (float)until;
        to->middle[i - 1] = (float)(0.5 * (from + until));
        from = until;
    }
    to->middle[CURVES - 1] = (float)high;
    return share > 0 && isfinite(share);
}

/* The quartic that meets a channel at the Chebyshev nodes of [middle - h, middle + h]; returns its
 * error, that is what is largest of it halfway between the nodes. */
static double fit(float *quartic, double scale, double bias, double middle, double h)
{
    double x[NODES], y[NODES], polynomial[NODES] = {0};
    for (int i = 0; i < NODES; i++) {
        x[i] = cos((2 * i + 1) * M_PI / (2 * NODES));
        y[i] = gelu(scale * (middle + h * x[i]) + bias);
    }
    for (int order = 1; order < NODES; order++) { /* divided differences, Newton's form */
        for (int i = NODES - 1; i >= order; i--) {
            y[i] = (y[i] - y[i - 1]) / (x[i] - x[i - order]);
        }
    }
    for (int i = NODES - 1; i >= 0; i--) { /* polynomial · (x − x[i]) + y[i] */
        for (int k = NODES - 1; k > 0; k--) {
            polynomial[k] = polynomial[k - 1] - x[i] * polynomial[k];
        }
        polynomial[0] = y[i] - x[i] * polynomial[0];
    }
    double power = 1, error = 0;
    for (int k = 0; k < NODES; k++) {
        quartic[k * CURVES] = (float)(polynomial[k] / power);
        power *= h;
    }
    for (int i = 0; i <= NODES; i++) {
        const double at = cos(i * M_PI / NODES);
        double value = 0;
        for (int k = NODES - 1; k >= 0; k--) {
            value = value * at + polynomial[k];
        }
        error = fmax(error, fabs(value - gelu(scale * (middle + h * at) + bias)));
    }
    return error;
}

bool attune_curves_fit(attune_curves *to, const float *scale, const float *bias)
{
    double error = 0;
    if (!place(to, scale, bias)) {
        return false;
    }
    for (int i = CURVES; i < 2 * CURVES; i++) {
        to->knot[i] = INFINITY;
    }
    for (int c = 0; c < CHANNELS; c++) {
        const double s = (double)scale[c], b = (double)bias[c];
        for (int i = 0; i < CURVES - 1; i++) {
            const double middle = (double)to->middle[i], h = (double)to->knot[i + 1] - middle;
            error = fmax(error, fit(&to->quartic[c][0][i], s, b, middle, h));
        }
        for (int k = 0; k < NODES; k++) {
            to->quartic[c][k][CURVES - 1] = 0;
        }
        const double end = s * (double)to->middle[CURVES - 1] + b;
        to->quartic[c][0][CURVES - 1] = (float)gelu(end);
        to->quartic[c][1][CURVES - 1] = s > 0 ? scale[c] : 0;
    }
    return error < 5e-7 * K;
}
