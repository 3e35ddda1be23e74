/* reference.c - the networks in plain double precision. */
#include "tests/reference/reference.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double *zeros(size_t count)
{
    double *p = calloc(count ? count : 1, sizeof(double));
    cr_assert_not_null(p);
    return p;
}

static double gelu(double x)
{
    return 0.5 * x * (1 + erf(x / sqrt(2)));
}

static double relu(double x)
{
    return x > 0 ? x : 0;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

attune_network reference_network(attune_architecture architecture)
{
    const int tiny = architecture == ATTUNE_ARCHITECTURE_TINY;
    return (attune_network){
        .architecture = architecture,
        .pooling = tiny ? ATTUNE_POOLING_ATTENTION : ATTUNE_POOLING_LAST,
        .sample_rate = 22050,
        .frame_size = 2048,
        .hop_size = 2048,
        .features = tiny ? 64 : 128,
        .hidden = 128,
        .layers = 2,
        .attention = tiny ? 128 : 0,
        .projection = 128,
        .embedding = 32,
    };
}

attune_network reference_shape(int index)
{
    attune_network n =
        reference_network(index < 9 ? ATTUNE_ARCHITECTURE_TINY : ATTUNE_ARCHITECTURE_GRU);
    switch (index) {
    case 1:
        n.frame_size = n.hop_size = 1024;
        break;
    case 2:
        n.frame_size = n.hop_size = 4096;
        n.embedding = 16;
        break;
    case 3:
        n.hop_size = 1024;
        n.embedding = 64;
        break;
    case 4:
        n.hidden = 256;
        n.projection = 256;
        n.attention = 256;
        break;
    case 5:
        n.pooling = ATTUNE_POOLING_MEAN;
        n.attention = 0;
        n.embedding = 128;
        break;
    case 6:
        n.pooling = ATTUNE_POOLING_LAST;
        n.attention = 0;
        n.layers = 1;
        break;
    case 7:
        n.frame_size = 256;
        n.hop_size = 128;
        n.hidden = 16;
        n.attention = 40;
        n.projection = 24;
        n.embedding = 1;
        n.layers = 8;
        break;
    case 8:
        n.frame_size = n.hop_size = 768;
        n.hidden = 80;
        n.attention = 33;
        n.projection = 7;
        n.embedding = 5;
        n.layers = 3;
        break;
    case 10:
        n.frame_size = 768;
        n.hop_size = 384;
        n.hidden = 64;
        break;
    case 11:
        n.pooling = ATTUNE_POOLING_ATTENTION;
        n.hidden = 1024;
        n.attention = 33;
        n.projection = 7;
        n.embedding = 5;
        break;
    default:
        break;
    }
    return n;
}

/* Weights of standard deviation about 1/sqrt(inputs), as trained ones have. */
static void fill(uint64_t *seed, float *out, size_t count, size_t inputs)
{
    if (out) {
        random_fill(seed, out, count, (float)sqrt(3.0 / (double)inputs));
    }
}

attune_model *reference_model(const attune_network *network, uint64_t seed)
{
    attune_model *model = NULL;
    assert_ok(attune_model_create(&model, network, "random"));
    const attune_parameters *p = attune_model_parameters(model);
    const size_t H = (size_t)network->hidden, A = (size_t)network->attention,
                 P = (size_t)network->projection, E = (size_t)network->embedding;
    for (int i = 0; i < 4; i++) {
        const size_t weights = attune_conv_weight_count(network->architecture, i),
                     biases = attune_conv_bias_count(network->architecture, i);
        if (weights) {
            fill(&seed, p->conv_weight[i], weights, weights / biases);
            fill(&seed, p->conv_bias[i], biases, 16);
        }
    }
    for (int l = 0; l < network->layers; l++) {
        const size_t I = l == 0 ? (size_t)network->features : H;
        fill(&seed, p->gru[l].weight_input, 3 * H * I, I);
        fill(&seed, p->gru[l].weight_hidden, 3 * H * H, H);
        fill(&seed, p->gru[l].bias_input, 3 * H, 16);
        fill(&seed, p->gru[l].bias_hidden, 3 * H, 16);
    }
    fill(&seed, p->attention_weight, A * H, H);
    fill(&seed, p->attention_bias, A, 16);
    fill(&seed, p->score_weight, A,
         4); /* scores that differ, so that the softmax has something to do */
    fill(&seed, p->score_bias, 1, 16);
    fill(&seed, p->project1_weight, P * H, H);
    fill(&seed, p->project1_bias, P, 16);
    fill(&seed, p->project2_weight, E * P, P);
    fill(&seed, p->project2_bias, E, 16);
    return model;
}

/* out (O, L / stride) = conv(in (I, L)) with weight (O, I / groups, K), zero padding K / 2 at the
 * edges. */
static double *convolve(const double *in, const float *weight, const float *bias, int I, int O,
                        int groups, int K, int stride, int L)
{
    const int per_group = I / groups, pad = K / 2;
    double *out = zeros((size_t)O * (L / stride));
    for (int o = 0; o < O; o++) {
        const int first = o / (O / groups) * per_group;
        for (int t = 0; t < L / stride; t++) {
            double sum = (double)bias[o];
            for (int i = 0; i < per_group; i++) {
                for (int k = 0; k < K; k++) {
                    const int at = t * stride + k - pad;
                    if (at >= 0 && at < L) {
                        sum += (double)weight[(o * per_group + i) * K + k] *
                               in[(size_t)(first + i) * L + at];
                    }
                }
            }
            out[(size_t)o * (L / stride) + t] = sum;
        }
    }
    return out;
}

static double *apply(double *values, size_t count, double (*function)(double))
{
    for (size_t i = 0; i < count; i++) {
        values[i] = function(values[i]);
    }
    return values;
}

static void mean_rows(double *out, const double *in, int rows, int L)
{
    for (int r = 0; r < rows; r++) {
        out[r] = 0;
        for (int t = 0; t < L; t++) {
            out[r] += in[(size_t)r * L + t] / L;
        }
    }
}

static void tiny_frame(double *features, const attune_parameters *p, const double *x, int N)
{
    double *a =
        apply(convolve(x, p->conv_weight[0], p->conv_bias[0], 1, 1, 1, 5, 2, N), N / 2, gelu);
    double *b = apply(convolve(a, p->conv_weight[1], p->conv_bias[1], 1, 32, 1, 1, 1, N / 2),
                      32 * (size_t)N / 2, gelu);
    double *c = apply(convolve(b, p->conv_weight[2], p->conv_bias[2], 32, 32, 32, 5, 2, N / 2),
                      32 * (size_t)N / 4, gelu);
    double *d = apply(convolve(c, p->conv_weight[3], p->conv_bias[3], 32, 64, 1, 1, 1, N / 4),
                      64 * (size_t)N / 4, gelu);
    mean_rows(features, d, 64, N / 4);
    free(a);
    free(b);
    free(c);
    free(d);
}

static void baseline_frame(double *features, const attune_parameters *p, const double *x, int N)
{
    double *a = apply(convolve(x, p->conv_weight[0], p->conv_bias[0], 1, 64, 1, 7, 2, N),
                      64 * (size_t)N / 2, relu);
    double *b = zeros(64 * (size_t)N / 4);
    for (size_t i = 0; i < 64 * (size_t)N / 4; i++) {
        b[i] = fmax(a[2 * i], a[2 * i + 1]);
    }
    double *c = apply(convolve(b, p->conv_weight[1], p->conv_bias[1], 64, 128, 1, 5, 2, N / 4),
                      128 * (size_t)N / 8, relu);
    mean_rows(features, c, 128, N / 8);
    free(a);
    free(b);
    free(c);
}

void reference_features(double *features, const attune_model *model, const float *pcm,
                        size_t samples)
{
    const attune_network *n = attune_model_network(model);
    const size_t F = attune_network_frames(n, samples), N = (size_t)n->frame_size;
    double *x = zeros(N);
    for (size_t f = 0; f < F; f++) {
        for (size_t i = 0; i < N; i++) {
            const size_t at = f * (size_t)n->hop_size + i;
            x[i] = at < samples ? (double)pcm[at] : 0;
        }
        (n->architecture == ATTUNE_ARCHITECTURE_TINY ? tiny_frame : baseline_frame)(
            features + f * (size_t)n->features, attune_model_parameters(model), x, (int)N);
    }
    free(x);
}

/* sum over k of row j of a (J, K) matrix times x, plus a bias */
static double row_times(const float *weight, const float *bias, const double *x, int j, int K)
{
    double sum = (double)bias[j];
    for (int k = 0; k < K; k++) {
        sum += (double)weight[(size_t)j * K + k] * x[k];
    }
    return sum;
}

/* out (F, H) of one layer over in (F, I) */
static double *gru_layer(const attune_gru_parameters *p, const double *in, size_t F, int I, int H)
{
    double *out = zeros(F * (size_t)H), *h = zeros((size_t)H), *next = zeros((size_t)H);
    for (size_t t = 0; t < F; t++) {
        const double *x = in + t * (size_t)I;
        for (int i = 0; i < H; i++) {
            const double r = sigmoid(row_times(p->weight_input, p->bias_input, x, i, I) +
                                     row_times(p->weight_hidden, p->bias_hidden, h, i, H));
            const double z = sigmoid(row_times(p->weight_input, p->bias_input, x, H + i, I) +
                                     row_times(p->weight_hidden, p->bias_hidden, h, H + i, H));
            const double c = tanh(row_times(p->weight_input, p->bias_input, x, 2 * H + i, I) +
                                  r * row_times(p->weight_hidden, p->bias_hidden, h, 2 * H + i, H));
            next[i] = (1 - z) * c + z * h[i];
        }
        memcpy(h, next, sizeof(double) * (size_t)H);
        memcpy(out + t * (size_t)H, h, sizeof(double) * (size_t)H);
    }
    free(h);
    free(next);
    return out;
}

static void pool(double *pooled, const attune_model *model, const double *h, size_t F)
{
    const attune_network *n = attune_model_network(model);
    const attune_parameters *p = attune_model_parameters(model);
    double *weight = zeros(F);
    double largest = -INFINITY, sum = 0;
    for (size_t t = 0; t < F; t++) {
        weight[t] = n->pooling == ATTUNE_POOLING_LAST ? (t == F - 1 ? 0 : -INFINITY) : 0;
        if (n->pooling == ATTUNE_POOLING_ATTENTION) {
            weight[t] = (double)p->score_bias[0];
            for (int a = 0; a < n->attention; a++) {
                weight[t] += (double)p->score_weight[a] *
                             tanh(row_times(p->attention_weight, p->attention_bias,
                                            h + t * (size_t)n->hidden, a, n->hidden));
            }
        }
        largest = fmax(largest, weight[t]);
    }
    for (size_t t = 0; t < F; t++) {
        weight[t] = exp(weight[t] - largest);
        sum += weight[t];
    }
    memset(pooled, 0, sizeof(double) * (size_t)n->hidden);
    for (size_t t = 0; t < F; t++) {
        for (int i = 0; i < n->hidden; i++) {
            pooled[i] += weight[t] / sum * h[t * (size_t)n->hidden + i];
        }
    }
    free(weight);
}

void reference_sequence(double *embedding, const attune_model *model, const double *features,
                        size_t F)
{
    const attune_network *n = attune_model_network(model);
    const attune_parameters *p = attune_model_parameters(model);
    double *h = gru_layer(&p->gru[0], features, F, n->features, n->hidden);
    for (int l = 1; l < n->layers; l++) {
        double *next = gru_layer(&p->gru[l], h, F, n->hidden, n->hidden);
        free(h);
        h = next;
    }
    double *pooled = zeros((size_t)n->hidden), *inner = zeros((size_t)n->projection);
    pool(pooled, model, h, F);
    for (int i = 0; i < n->projection; i++) {
        const double x = row_times(p->project1_weight, p->project1_bias, pooled, i, n->hidden);
        inner[i] = n->architecture == ATTUNE_ARCHITECTURE_TINY ? gelu(x) : relu(x);
    }
    double square = 0;
    for (int i = 0; i < n->embedding; i++) {
        embedding[i] = row_times(p->project2_weight, p->project2_bias, inner, i, n->projection);
        square += embedding[i] * embedding[i];
    }
    for (int i = 0; i < n->embedding; i++) {
        embedding[i] /= fmax(sqrt(square), 1e-12);
    }
    free(h);
    free(pooled);
    free(inner);
}

void reference_embed(double *embedding, const attune_model *model, const float *pcm, size_t samples)
{
    const attune_network *n = attune_model_network(model);
    const size_t F = attune_network_frames(n, samples);
    double *features = zeros(F * (size_t)n->features);
    reference_features(features, model, pcm, samples);
    reference_sequence(embedding, model, features, F);
    free(features);
}

double reference_worst(const char *what, const float *got, const double *expected, size_t count)
{
    double largest = 0, scale = 1;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        scale = fmax(scale, fabs(expected[i]));
        const double error = fabs((double)got[i] - expected[i]);
        if (!(error <= largest)) {
            largest = error;
            at = i;
        }
    }
    printf("%s: worst element %zu: %.3g of %.3g\n", what, at, largest, scale);
    return largest / scale;
}
