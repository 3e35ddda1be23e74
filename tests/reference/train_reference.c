/* train_reference.c - every layer is a convolution, a batch normalisation, GELU or ReLU, and maybe
 * the maxima of pairs; values are (F, channels, positions). */
#include "tests/reference/train_reference.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

enum { LAYERS_MAX = 4 };

typedef struct layer {
    const attune_trainable_conv *conv;
    int groups, stride, pool; /* pool: positions in a maximum */
    bool gelu;
    int I, in_length, length; /* channels and positions before, positions behind the convolution */
    double *in, *y, *z;       /* (F, I, in_length), (F, O, length) each */
    double *mean, *deviation; /* (O) */
} layer;

static double *zeros(size_t count)
{
    double *p = calloc(count, sizeof(double));
    cr_assert_not_null(p);
    return p;
}

static double normal_density(double x)
{
    return exp(-x * x / 2) / sqrt(2 * acos(-1.0));
}

static double normal_distribution(double x)
{
    return erfc(-x / sqrt(2)) / 2;
}

static double activate(bool gelu, double z)
{
    return gelu ? z * normal_distribution(z) : fmax(z, 0);
}

static double derivative(bool gelu, double z)
{
    return gelu ? normal_distribution(z) + z * normal_density(z) : z > 0;
}

/* Calls for every product of the convolution: an element of y, one of the input, one of the weight.
 */
#define EACH_PRODUCT(l, F, y_at, in_at, weight_at, statement)                                      \
    for (int f_ = 0; f_ < (F); f_++) {                                                             \
        for (int o_ = 0; o_ < (l)->conv->outputs; o_++) {                                          \
            const int per = (l)->conv->inputs, first_ = o_ / ((l)->conv->outputs / (l)->groups);   \
            for (int i_ = 0; i_ < per; i_++) {                                                     \
                for (int t_ = 0; t_ < (l)->length; t_++) {                                         \
                    for (int k_ = 0; k_ < (l)->conv->taps; k_++) {                                 \
                        const int at_ = t_ * (l)->stride + k_ - (l)->conv->taps / 2;               \
                        if (at_ >= 0 && at_ < (l)->in_length) {                                    \
                            const size_t y_at =                                                    \
                                ((size_t)f_ * (l)->conv->outputs + o_) * (l)->length + t_;         \
                            const size_t in_at =                                                   \
                                ((size_t)f_ * (l)->I + first_ * per + i_) * (l)->in_length + at_;  \
                            const size_t weight_at =                                               \
                                (l)->conv->weight +                                                \
                                (size_t)((o_ * per + i_) * (l)->conv->taps + k_);                  \
                            statement;                                                             \
                        }                                                                          \
                    }                                                                              \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

static void normalise(layer *l, double *statistics, const double *parameters, int F, bool frozen)
{
    const attune_trainable_conv *conv = l->conv;
    const int O = conv->outputs, n = F * l->length;
    for (int o = 0; o < O; o++) {
        double mean = 0, variance = 0;
        for (int i = 0; i < n; i++) {
            mean += l->y[((size_t)(i / l->length) * O + o) * l->length + i % l->length] / n;
        }
        for (int i = 0; i < n; i++) {
            const double d =
                l->y[((size_t)(i / l->length) * O + o) * l->length + i % l->length] - mean;
            variance += d * d / n;
        }
        double *running_mean = &statistics[conv->mean + o],
               *running_variance = &statistics[conv->variance + o];
        if (frozen) {
            mean = *running_mean;
            variance = *running_variance;
        } else {
            *running_mean += 0.1 * (mean - *running_mean);
            *running_variance += 0.1 * (variance * n / (n - 1) - *running_variance);
        }
        l->mean[o] = mean;
        l->deviation[o] = sqrt(variance + 1e-5);
        for (int i = 0; i < n; i++) {
            const size_t at = ((size_t)(i / l->length) * O + o) * l->length + i % l->length;
            l->z[at] = parameters[conv->scale + o] * (l->y[at] - mean) / l->deviation[o] +
                       parameters[conv->shift + o];
        }
    }
}

/* Index of the largest activation among a maximum's, the first of equal ones. */
static size_t largest(const layer *l, size_t at)
{
    size_t best = at;
    for (size_t i = at + 1; i < at + (size_t)l->pool; i++) {
        if (activate(l->gelu, l->z[i]) > activate(l->gelu, l->z[best])) {
            best = i;
        }
    }
    return best;
}

/* Returns the layer's output, (F, O, length / pool). */
static double *layer_forward(layer *l, double *in, double *statistics, const double *parameters,
                             int F, bool frozen)
{
    const size_t count = (size_t)F * l->conv->outputs * l->length;
    l->in = in;
    l->y = zeros(count);
    l->z = zeros(count);
    l->mean = zeros((size_t)l->conv->outputs);
    l->deviation = zeros((size_t)l->conv->outputs);
    EACH_PRODUCT(l, F, y, x, w, l->y[y] += parameters[w] * l->in[x])
    for (size_t i = 0; l->conv->has_bias && i < count; i++) {
        l->y[i] += parameters[l->conv->bias + i / l->length % l->conv->outputs];
    }
    normalise(l, statistics, parameters, F, frozen);
    double *out = zeros(count / l->pool);
    for (size_t i = 0; i < count / l->pool; i++) {
        out[i] = activate(l->gelu, l->z[largest(l, i * l->pool)]);
    }
    return out;
}

/* dy <- the gradient by y, from dz in it. */
static void normalise_back(const layer *l, double *dy, double *gradients, const double *parameters,
                           int F)
{
    const attune_trainable_conv *conv = l->conv;
    const int O = conv->outputs, n = F * l->length;
    for (int o = 0; o < O; o++) {
        double sum = 0, product = 0;
        for (int i = 0; i < n; i++) {
            const size_t at = ((size_t)(i / l->length) * O + o) * l->length + i % l->length;
            sum += dy[at];
            product += dy[at] * (l->y[at] - l->mean[o]) / l->deviation[o];
        }
        gradients[conv->shift + o] += sum;
        gradients[conv->scale + o] += product;
        for (int i = 0; i < n; i++) {
            const size_t at = ((size_t)(i / l->length) * O + o) * l->length + i % l->length;
            dy[at] = parameters[conv->scale + o] / l->deviation[o] *
                     (dy[at] - sum / n - (l->y[at] - l->mean[o]) / l->deviation[o] * product / n);
        }
    }
}

/* Returns the gradient by the layer's input. */
static double *layer_backward(const layer *l, const double *dout, double *gradients,
                              const double *parameters, int F)
{
    const size_t count = (size_t)F * l->conv->outputs * l->length;
    double *dy = zeros(count), *din = zeros((size_t)F * l->I * l->in_length);
    for (size_t i = 0; i < count / l->pool; i++) {
        const size_t at = largest(l, i * l->pool);
        dy[at] = dout[i] * derivative(l->gelu, l->z[at]);
    }
    normalise_back(l, dy, gradients, parameters, F);
    EACH_PRODUCT(l, F, y, x, w, gradients[w] += dy[y] * l->in[x]; din[x] += dy[y] * parameters[w])
    for (size_t i = 0; l->conv->has_bias && i < count; i++) {
        gradients[l->conv->bias + i / l->length % l->conv->outputs] += dy[i];
    }
    free(dy);
    return din;
}

static int make_layers(layer layers[LAYERS_MAX], const attune_trainable *t)
{
    const bool tiny = t->network.architecture == ATTUNE_ARCHITECTURE_TINY;
    int channels = 1, length = t->network.frame_size;
    for (int i = 0; i < t->conv_count; i++) {
        const attune_trainable_conv *conv = &t->conv[i];
        layer *l = &layers[i];
        *l = (layer){.conv = conv, .gelu = tiny, .I = channels, .in_length = length};
        l->groups = channels / conv->inputs;
        l->stride = conv->taps > 1 ? 2 : 1;
        l->pool = !tiny && i == 0 ? 2 : 1;
        l->length = length / l->stride;
        length = l->length / l->pool;
        channels = conv->outputs;
    }
    return t->conv_count;
}

void reference_train_frontend(double *features, double *gradients, double *statistics,
                              const attune_trainable *t, const double *parameters,
                              const float *const *frames, int F, bool frozen,
                              const double *feature_gradients)
{
    layer layers[LAYERS_MAX];
    const int count = make_layers(layers, t), N = t->network.frame_size, C = t->network.features;
    double *values = zeros((size_t)F * N);
    for (int i = 0; i < F * N; i++) {
        values[i] = (double)frames[i / N][i % N];
    }
    for (int i = 0; i < count; i++) {
        values = layer_forward(&layers[i], values, statistics, parameters, F, frozen);
    }
    const int L = layers[count - 1].length;
    for (int i = 0; i < F * C; i++) {
        features[i] = 0;
        for (int j = 0; j < L; j++) {
            features[i] += values[(size_t)i * L + j] / L;
            values[(size_t)i * L + j] = gradients ? feature_gradients[i] / L : 0;
        }
    }
    for (int i = count - 1; i >= 0; i--) {
        if (gradients) {
            double *before = layer_backward(&layers[i], values, gradients, parameters, F);
            free(values);
            values = before;
        }
        free(layers[i].in);
        free(layers[i].y);
        free(layers[i].z);
        free(layers[i].mean);
        free(layers[i].deviation);
    }
    free(values);
}
