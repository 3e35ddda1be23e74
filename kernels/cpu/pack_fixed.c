/* pack_fixed.c - a model's convolutions as tables and integers for the front end in fixed point. */
#include "kernels/cpu/fixed.h"
#include "kernels/cpu/simd.h"

#include <math.h>

enum {
    LINES = ATTUNE_FIXED_LINES,
    C1 = ATTUNE_FIXED_C1,
    C2 = ATTUNE_FIXED_C2,
    SAMPLES = 8, /* points that a line is fitted to */
    NARROW = 5,
    WIDTHS = 7, /* intervals of 2^5 to 2^11 */
    STEP = 1 << NARROW,
    STEPS = 32768 / STEP,
    HALF = 1 << 15, /* of the high half's unit, to round it by */
    /* A product made by sums adds words of d and of weights, which must not overflow; nor must the
     * whole sum with its bias, of one sign because d is hardly ever below 0. */
    D_MOST = 23800,
    WEIGHT_MOST = 8900,
    WEIGHTS_MOST = 65000,
    BIAS_MOST = 360000000,
};

static double gelu(double x)
{
    return 0.5 * x * erfc(-x * M_SQRT1_2);
}

/* GELU less max(x, 0), for x >= 0. */
static double gelu_rest(double x)
{
    return -0.5 * x * erfc(x * M_SQRT1_2);
}

/* GELU less x / 2: an even function. */
static double gelu_half(double x)
{
    return 0.5 * x * erf(x * M_SQRT1_2);
}

/* The least-squares line through y at t = first + (i + 1/2) · width / SAMPLES. */
static void fit(double *value, double *slope, const double *y, double first, double width)
{
    double mean = 0, product = 0, square = 0;
    for (int i = 0; i < SAMPLES; i++) {
        const double t = i + 0.5 - SAMPLES / 2.0;
        mean += y[i] / SAMPLES;
        product += t * y[i];
        square += t * t;
    }
    *slope = product / square * SAMPLES / width;
    *value = mean - *slope * (first + width / 2);
}

static int32_t pair(long low, long high)
{
    return (int32_t)(((uint32_t)high << 16) | ((uint32_t)low & 0xffff));
}

/* Level l is good for g up to 2^-falls[l] of the largest there can be. */
static const int falls[ATTUNE_FIXED_LEVELS] = {0, 1, 2, 3, 4, 5, 6, 8, 10};

/* The squared error that lines over intervals as wide as 1 in t leave in the features, but for a
 * factor: from 0 to the end of each STEP of t. A line errs by the second derivative, which counts
 * by what becomes of its channel, and by how often g is there in music. */
static void sum_bends(double to[STEPS + 1], const attune_fixed_level *level,
                      const attune_parameters *p)
{
    double weight[C1] = {0};
    for (int c = 0; c < C1; c++) {
        double depth = 0, mix = 0;
        for (int k = 0; k < 5; k++) {
            depth += pow((double)p->conv_weight[2][5 * c + k], 2);
        }
        for (int o = 0; o < C2; o++) {
            mix += pow((double)p->conv_weight[3][o * C1 + c], 2);
        }
        weight[c] = depth * mix * pow((double)p->conv_weight[1][c], 4);
    }
    to[0] = 0;
    for (int i = 0; i < STEPS; i++) {
        const double g = (i + 0.5) * STEP / (double)level->scale + (double)level->low;
        double sum = 0;
        for (int c = 0; c < C1; c++) {
            const double x = (double)p->conv_weight[1][c] * g + (double)p->conv_bias[1][c];
            sum += weight[c] * pow(2 - x * x, 2) * exp(-x * x);
        }
        to[i + 1] = to[i] + sum * exp(-8 * fabs(g) / (double)level->limit);
    }
}

/* Sets the intervals: up to three widths of 2^bits, LINES in all, narrow where the functions bend
 * most. Of all that there can be, those with the least error. */
static void set_intervals(attune_fixed_level *level, const attune_parameters *p)
{
    double bends[STEPS + 1], least = INFINITY;
    sum_bends(bends, level, p);
    for (int i = 0; i < WIDTHS * WIDTHS * WIDTHS; i++) {
        const int b[3] = {NARROW + i % WIDTHS, NARROW + i / WIDTHS % WIDTHS,
                          NARROW + i / WIDTHS / WIDTHS};
        if (b[0] > b[1] || b[1] > b[2]) {
            continue;
        }
        for (int j = 0; j <= 32768 && j >> b[0] <= LINES; j += 1 << b[1]) {
            for (int k = (j + (1 << b[2]) - 1) >> b[2] << b[2]; k <= 32768; k += 1 << b[2]) {
                const int lines[2] = {j >> b[0], (j >> b[0]) + ((k - j) >> b[1])};
                const double error = ldexp(bends[j / STEP], 4 * b[0]) +
                                     ldexp(bends[k / STEP] - bends[j / STEP], 4 * b[1]) +
                                     ldexp(bends[STEPS] - bends[k / STEP], 4 * b[2]);
                if (lines[1] + ((32768 - k) >> b[2]) <= LINES && error < least) {
                    least = error;
                    for (int w = 0; w < ATTUNE_FIXED_WIDTHS; w++) {
                        const int first = w == 0 ? 0 : w == 1 ? j : k;
                        level->bits[w] = (uint16_t)b[w];
                        level->first[w] = (uint16_t)(first < 32768 ? first : 32767);
                        level->base[w] = (uint16_t)((w == 0 ? 0 : lines[w - 1]) - (first >> b[w]));
                    }
                }
            }
        }
    }
}

/* value + slope · how far along, of gelu(weight · g + bias), in the finest unit; returns that, and
 * the largest and smallest value in bounds. */
static double pack_point(attune_fixed_lines *lines, double bounds[2],
                         const attune_fixed_level *level, double weight, double bias)
{
    double value[LINES] = {0}, slope[LINES] = {0}, largest = 1e-30;
    bounds[0] = INFINITY;
    bounds[1] = -INFINITY;
    for (int i = 0, t = 0; t < 32768; i++) {
        int w = ATTUNE_FIXED_WIDTHS - 1;
        while (t < level->first[w]) {
            w--;
        }
        double y[SAMPLES];
        for (int k = 0; k < SAMPLES; k++) {
            const double at = t + (k + 0.5) * (1 << level->bits[w]) / SAMPLES;
            y[k] = gelu(weight * (at / (double)level->scale + (double)level->low) + bias);
        }
        fit(&value[i], &slope[i], y, 0, 1);
        bounds[0] = fmin(bounds[0], fmin(value[i], value[i] + slope[i]));
        bounds[1] = fmax(bounds[1], fmax(value[i], value[i] + slope[i]));
        largest =
            fmax(largest, fmax(fabs(slope[i]), fmax(fabs(value[i]), fabs(value[i] + slope[i]))));
        t += 1 << level->bits[w];
    }
    const double unit = largest / 32700;
    for (int i = 0; i < LINES; i++) {
        lines->value[i] = (int16_t)lrint(value[i] / unit);
        lines->slope[i] = (int16_t)lrint(slope[i] / unit);
    }
    return unit;
}

/* Lines of `function` of a·unit for line min(a, cap) >> shift, at steps of 1/16 up to 4; `beyond`
 * is the slope from there. */
static void pack_function(attune_fixed_lines *lines, uint16_t *cap, uint16_t *shift,
                          double (*function)(double), double beyond, double unit, double slope_unit,
                          double value_unit)
{
    const int bits = (int)lrint(-log2(unit)) - 4;
    *shift = (uint16_t)(bits < 0 ? 0 : bits > 10 ? 10 : bits);
    *cap = (uint16_t)((LINES << *shift) - 1);
    for (int i = 0; i < LINES; i++) {
        const double width = (double)(1 << *shift), first = i * width;
        double y[SAMPLES], value, slope;
        for (int k = 0; k < SAMPLES; k++) {
            y[k] = function((first + (k + 0.5) * width / SAMPLES) * unit) / unit;
        }
        fit(&value, &slope, y, first, width);
        if (i == LINES - 1) {
            slope = beyond;
            value = 0;
        }
        lines->slope[i] = (int16_t)lrint(slope / slope_unit);
        value += (slope - lines->slope[i] * slope_unit) * (first + width / 2);
        lines->value[i] = (int16_t)lrint(value / value_unit);
    }
}

/* The smallest power of two that is not below x, within sane bounds. */
static double power_above(double x)
{
    return exp2(fmin(fmax(ceil(log2(x)), -100), 100));
}

static void pack_depth(attune_fixed_level *level, int c, const float *weight, double bias,
                       double unit, double d)
{
    const double scale = unit / d * 65536;
    long w[6] = {0};
    for (int k = 0; k < 5; k++) {
        w[k] = lrint((double)weight[k] * scale);
    }
    for (int k = 0; k < 3; k++) {
        level->depth[c][k] = pair(w[2 * k], w[2 * k + 1]);
    }
    level->depth_bias[c] = (int32_t)lrint(bias / d * 65536 + HALF);
}

static void pack_level(attune_fixed_level *level, const attune_parameters *p, double limit,
                       int32_t (*mix)[C1 / 2], double mix_unit)
{
    level->limit = (float)limit;
    level->low = (float)-fmin(0.17, limit);
    level->scale = (float)(32767 / (limit - (double)level->low));
    set_intervals(level, p);
    double unit[C1], largest = 0;
    for (int c = 0; c < C1; c++) {
        double bounds[2], up = (double)p->conv_bias[2][c], down = up;
        unit[c] = pack_point(&level->point[c], bounds, level, (double)p->conv_weight[1][c],
                             (double)p->conv_bias[1][c]);
        for (int k = 0; k < 5; k++) {
            const double w = (double)p->conv_weight[2][5 * c + k];
            up += fmax(w * bounds[0], w * bounds[1]);
            down += fmin(w * bounds[0], w * bounds[1]);
            largest = fmax(largest, fabs(w) * unit[c] * (65536.0 / 32767 * D_MOST));
        }
        largest = fmax(largest, fmax(up, -down));
    }
    double d = fmax(largest / D_MOST, 0x1p-13);
    for (int o = 0; o < C2; o++) {
        d = fmax(d, fabs((double)p->conv_bias[3][o]) / (BIAS_MOST * mix_unit));
    }
    const double y = d * mix_unit * 65536;
    level->d = (float)d;
    for (int c = 0; c < C1; c++) {
        pack_depth(level, c, p->conv_weight[2] + 5 * c, (double)p->conv_bias[2][c], unit[c], d);
    }
    pack_function(&level->gelu, &level->gelu_cap, &level->gelu_shift, gelu_rest, 0, d, 0x1p-15, 1);
    level->half_factor = (uint16_t)fmin(fmax(power_above(0.3 / y * 2048 / 32767), 1), 16384);
    pack_function(&level->half, &level->half_cap, &level->half_shift, gelu_half, 0.5, y, 0x1p-11,
                  level->half_factor * 0x1p-11);
    level->half_unit = (float)(y * 0x1p-11);
    for (int o = 0; o < C2; o++) {
        uint32_t bias = (uint32_t)lrint((double)p->conv_bias[3][o] / (d * mix_unit) + HALF);
        for (int q = 2; q < C1 / 2; q += 4) {
            for (int k = 0; k < 2; k++) {
                bias -=
                    (uint32_t)((int16_t)(mix[o][q] >> 16 * k) * (int16_t)(mix[o][q + 1] >> 16 * k));
            }
        }
        level->mix_bias[o] = (int32_t)bias;
        level->linear_bias[o] = 0.5f * p->conv_bias[3][o];
    }
}

static bool small(const float *numbers, int count)
{
    for (int i = 0; i < count; i++) {
        if (!(fabsf(numbers[i]) <= 0x1p30f)) {
            return false;
        }
    }
    return true;
}

bool attune_fixed_pack(attune_fixed_tiny *t, const attune_parameters *p)
{
    static const int weights[] = {5, C1, 5 * C1, C1 * C2}, biases[] = {1, C1, C1, C2};
    double sum = 0, largest = 1e-30, limit = fabs((double)p->conv_bias[0][0]);
    for (int k = 0; k < 5; k++) {
        t->conv0[k] = p->conv_weight[0][k] * ATTUNE_GELU_SCALE;
        limit += 2 * fabs((double)p->conv_weight[0][k]);
    }
    bool usable = limit >= 0x1p-30;
    for (int i = 0; i < 4; i++) {
        usable =
            usable && small(p->conv_weight[i], weights[i]) && small(p->conv_bias[i], biases[i]);
    }
    if (!usable) {
        return false;
    }
    t->conv0_bias = p->conv_bias[0][0] * ATTUNE_GELU_SCALE;
    for (int o = 0; o < C2; o++) {
        double up = 0, down = 0;
        for (int c = 0; c < C1; c++) {
            const double w = (double)p->conv_weight[3][o * C1 + c];
            t->linear[c][o] = (float)w;
            largest = fmax(largest, fabs(w));
            up += fmax(w, 0);
            down += fmax(-w, 0);
        }
        sum = fmax(sum, fmax(up, down));
    }
    const double mix_unit = fmax(sum / WEIGHTS_MOST, largest / WEIGHT_MOST);
    for (int o = 0; o < C2; o++) {
        for (int c = 0; c < C1; c += 2) {
            t->mix[o][c / 2] = pair(lrint((double)t->linear[c][o] / mix_unit),
                                    lrint((double)t->linear[c + 1][o] / mix_unit));
        }
    }
    for (int l = 0; l < ATTUNE_FIXED_LEVELS; l++) {
        pack_level(&t->level[l], p, limit / (1 << falls[l]), t->mix, mix_unit);
    }
    return true;
}
