/* train_tiny.c - what of AudioEmbeddingTiny's training passes is the same for every instruction
 * set: the batch normalisations between the passes, in double, and where the scratch stands. */
#include "kernels/cpu/train_tiny.h"

#include "kernels/cpu/simd.h"

#include <string.h>

enum { T = TINY_T, C1 = TINY_C1, C2 = TINY_C2, TAPS = TINY_TAPS };

static const double k = (double)ATTUNE_GELU_SCALE;

/* ---- scratch ---- */

/* Returns the floats that a tile takes; without scratch, only that. */
static size_t lay_out(attune_tiny_tile *tile, float *scratch, int N)
{
    const size_t half = (size_t)N / 2 + 2 * ATTUNE_PAD, rows2 = 2 * T + 3 + 2 * TINY_EXTRA;
    const struct {
        float **place;
        size_t count, before;
    } places[] = {
        {&tile->even, half, ATTUNE_PAD},
        {&tile->odd, half, ATTUNE_PAD},
        {&tile->y1, half, 0},
        {&tile->g1, half, 0},
        {&tile->g2, rows2 * C1, 0},
        {&tile->slope2, rows2 * C1, 0},
        {&tile->window, 3 * C1, 0},
        {&tile->y3, T * C1, 0},
        {&tile->g3, T * C1, 0},
        {&tile->slope3, T * C1, 0},
        {&tile->y4, T * C2, 0},
        {&tile->dg3, T * C1, 0},
        {&tile->dy3, (T + 2 + TINY_EXTRA) * C1, 0},
        {&tile->sums, (C1 + 1) * C1, 0},
    };
    size_t used = 0;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (scratch) {
            *places[i].place = scratch + used + places[i].before;
        }
        used += places[i].count;
    }
    return used;
}

attune_tiny_tile attune_tiny_tile_at(float *scratch, int N)
{
    attune_tiny_tile tile;
    lay_out(&tile, scratch, N);
    return tile;
}

size_t attune_tiny_tile_size(int N)
{
    attune_tiny_tile tile;
    return lay_out(&tile, NULL, N);
}

/* ---- forward ---- */

void attune_tiny_begin(attune_tiny_group *g, const attune_trainable_conv conv[4],
                       const float *parameters)
{
    attune_tiny_layers *p = &g->layers;
    memset(p, 0, sizeof(*p));
    memcpy(p->w1, parameters + conv[0].weight, sizeof(p->w1));
    memcpy(p->w4, parameters + conv[3].weight, sizeof(p->w4));
    for (int i = 0; i < C1 * TAPS; i++) {
        const float w = parameters[conv[2].weight + i];
        p->w3[i % TAPS][i / TAPS] = w;
        p->w3_k[i % TAPS][i / TAPS] = (float)((double)w / k);
    }
    for (int i = 0; i < C2 * C1; i++) {
        const int P = ATTUNE_MATMUL_PANEL, d = i / C1, c = i % C1;
        p->w4_k[(d / P * C1 + c) * P + d % P] = (float)((double)p->w4[i] / k);
    }
}

/* k·z = a·y + b of y less `mean` */
static void resolve(float *a, float *b, const attune_train_norm *norm, double mean)
{
    *a = (float)(k * norm->gain);
    *b = (float)(k * (norm->shift - norm->gain * mean));
}

/* Of k·g1, where the normalisation is of w·g1. */
static void resolve2(attune_tiny_group *g, const attune_trainable_conv conv[4],
                     const float *parameters)
{
    for (int c = 0; c < C1; c++) {
        resolve(&g->layers.a2[c], &g->layers.b2[c], &g->norm2[c], g->norm2[c].mean);
        g->weight2[c] = (float)(g->norm2[c].gain * (double)parameters[conv[1].weight + c]);
        g->layers.a2[c] = g->weight2[c];
    }
}

void attune_tiny_freeze(attune_tiny_group *g, const attune_trainable_conv conv[4],
                        const float *statistics, const float *parameters)
{
    attune_tiny_layers *p = &g->layers;
    g->norm1 = attune_train_norm_frozen(&conv[0], 0, parameters, statistics);
    resolve(&p->a1, &p->b1, &g->norm1, g->norm1.mean);
    for (int c = 0; c < C1; c++) {
        g->norm2[c] = attune_train_norm_frozen(&conv[1], c, parameters, statistics);
        g->norm3[c] = attune_train_norm_frozen(&conv[2], c, parameters, statistics);
        resolve(&p->a3[c], &p->b3[c], &g->norm3[c], g->norm3[c].mean);
    }
    resolve2(g, conv, parameters);
    for (int d = 0; d < C2; d++) {
        g->norm4[d] = attune_train_norm_frozen(&conv[3], d, parameters, statistics);
        resolve(&p->a4[d], &p->b4[d], &g->norm4[d], g->norm4[d].mean);
    }
}

void attune_tiny_normalise1(attune_tiny_group *g, const attune_trainable_conv conv[4],
                            float *statistics, const float *parameters, const double *sums,
                            double count)
{
    g->norm1 =
        attune_train_norm_batch(&conv[0], 0, parameters, statistics, sums[0], sums[1], count);
    resolve(&g->layers.a1, &g->layers.b1, &g->norm1, g->norm1.mean);
}

void attune_tiny_normalise2(attune_tiny_group *g, const attune_trainable_conv conv[4],
                            float *statistics, const float *parameters, const double *sums,
                            double count)
{
    const double mean = sums[0] / count;
    g->mean1 = mean / k;
    g->variance1 = (sums[1] / count - mean * mean) / (k * k);
    for (int c = 0; c < C1; c++) {
        const double w = (double)parameters[conv[1].weight + c], y = w * g->mean1;
        g->norm2[c] = attune_train_norm_batch(&conv[1], c, parameters, statistics, count * y,
                                              count * (w * w * g->variance1 + y * y), count);
    }
    resolve2(g, conv, parameters);
}

void attune_tiny_normalise3(attune_tiny_group *g, const attune_trainable_conv conv[4],
                            float *statistics, const float *parameters, const double *sums,
                            double count)
{
    for (int c = 0; c < C1; c++) {
        g->norm3[c] = attune_train_norm_batch(&conv[2], c, parameters, statistics, sums[c],
                                              sums[C1 + c], count);
        resolve(&g->layers.a3[c], &g->layers.b3[c], &g->norm3[c], g->norm3[c].mean);
    }
}

void attune_tiny_normalise4(attune_tiny_group *g, const attune_trainable_conv conv[4],
                            float *statistics, const float *parameters, const double *sums,
                            double count)
{
    double mean3[C1];
    for (int i = 0; i < C1 * C1; i++) {
        g->covariance3[i] = (sums[C1 + i] - sums[i / C1] * sums[i % C1] / count) / (count * k * k);
    }
    for (int c = 0; c < C1; c++) {
        const double mean = (double)g->layers.mean3[c] + sums[c] / count;
        mean3[c] = mean / k;
        g->layers.mean3[c] = (float)mean;
    }
    for (int d = 0; d < C2; d++) {
        const float *w = parameters + conv[3].weight + d * C1;
        double mean = 0, variance = 0;
        for (int c = 0; c < C1; c++) {
            mean += (double)w[c] * mean3[c];
            for (int e = 0; e < C1; e++) {
                variance += (double)w[c] * (double)w[e] * g->covariance3[c * C1 + e];
            }
        }
        g->norm4[d] = attune_train_norm_batch(&conv[3], d, parameters, statistics, count * mean,
                                              count * (variance + mean * mean), count);
        resolve(&g->layers.a4[d], &g->layers.b4[d], &g->norm4[d], 0);
    }
}

/* ---- backward ---- */

void attune_tiny_denormalise4(attune_tiny_group *g, float *gradients,
                              const attune_trainable_conv conv[4], const float *parameters,
                              const double *sums)
{
    for (int d = 0; d < C2; d++) {
        const float *w = parameters + conv[3].weight + d * C1;
        double product = 0; /* Σ dz4·(y4 − mean) */
        for (int c = 0; c < C1; c++) {
            product += (double)w[c] * sums[d * C1 + c] / k;
        }
        const attune_train_denorm back = attune_train_norm_backward(
            &g->norm4[d], &conv[3], d, gradients, sums[C2 * C1 + d], product);
        g->gain4[d] = (float)back.gain;
        g->constant4[d] = (float)back.constant;
        g->slope4[d] = (float)back.slope;
        for (int c = 0; c < C1; c++) {
            double around = 0; /* the covariance of y4 and g3 */
            for (int e = 0; e < C1; e++) {
                around += (double)w[e] * g->covariance3[e * C1 + c];
            }
            gradients[conv[3].weight + d * C1 + c] +=
                (float)(back.gain * sums[d * C1 + c] / k - back.slope * g->norm4[d].count * around);
        }
    }
}

void attune_tiny_denormalise3(attune_tiny_group *g, float *gradients,
                              const attune_trainable_conv conv[4], const double *sums)
{
    for (int c = 0; c < C1; c++) {
        const attune_train_denorm back =
            attune_train_norm_backward(&g->norm3[c], &conv[2], c, gradients, sums[c], sums[C1 + c]);
        g->gain3[c] = (float)back.gain;
        g->constant3[c] = (float)(back.slope * g->norm3[c].mean - back.constant);
        g->slope3[c] = (float)back.slope;
    }
}

void attune_tiny_denormalise2(attune_tiny_group *g, float *gradients,
                              const attune_trainable_conv conv[4], const float *parameters,
                              const double *sums)
{
    double constant = 0, slope = 0;
    for (int c = 0; c < C1; c++) {
        const double w = (double)parameters[conv[1].weight + c], sum = sums[TAPS * C1 + c],
                     product = sums[(TAPS + 1) * C1 + c] / k; /* Σ dz2·(g1 − mean) */
        const attune_train_denorm back =
            attune_train_norm_backward(&g->norm2[c], &conv[1], c, gradients, sum, w * product);
        gradients[conv[1].weight + c] +=
            (float)(back.gain * product - back.slope * g->norm2[c].count * w * g->variance1);
        constant += w * (back.constant - back.slope * w * g->mean1);
        slope += w * w * back.slope;
        for (int i = 0; i < TAPS; i++) {
            gradients[conv[2].weight + c * TAPS + i] += (float)(sums[i * C1 + c] / k);
        }
    }
    g->constant1 = (float)constant;
    g->slope1 = (float)(slope / k);
}

void attune_tiny_denormalise1(const attune_tiny_group *g, float *gradients,
                              const attune_trainable_conv conv[4], const double *sums)
{
    const attune_train_denorm back =
        attune_train_norm_backward(&g->norm1, &conv[0], 0, gradients, sums[0], sums[1]);
    const double *dz1_x = sums + 2, *y1_x = dz1_x + TAPS, *x = y1_x + TAPS;
    for (int i = 0; i < TAPS; i++) {
        gradients[conv[0].weight + i] +=
            (float)(back.gain * dz1_x[i] - back.constant * x[i] - back.slope * y1_x[i]);
    }
}
