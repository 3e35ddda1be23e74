/* train_frontend_gru.c - AudioEmbeddingGRU's front end in training mode.
 *
 *   x (N) -> conv k7 s2 p3, 1 to 64 -> y1 (N/2, 64) -> ReLU -> max of pairs -> m (N/4, 64)
 *         -> conv k5 s2 p2, 64 to 128 -> y2 (N/8, 128) -> ReLU -> mean
 *
 * As in frontend_gru.c, positions are rows and every convolution is a product with overlapping
 * windows as rows; so is the second one's transpose, once for the even and once for the odd rows of
 * m. y2 is kept, for it is most of the work; y1 is remade. The biases stand before batch
 * normalisations, which take them away again: their gradients are 0. The baseline network is for
 * comparison: no effort beyond that. */
#include "kernels/cpu/simd.h"
#include "kernels/cpu/train_frontend.h"
#include "status/error.h"

#include <stdlib.h>
#include <string.h>

enum {
    C1 = 64,
    C2 = 128,
    K1 = 7,
    K2 = 5,
    TAPS = 8, /* rows of products with windows of x: K1, and one that nobody reads */
    WEIGHTS2 = C2 * K2 * C1,
    SUMS2 = 2 * C1 + 2 * TAPS * C1 + TAPS, /* of backward2, behind those for w2 */
};

typedef struct gru_layers {
    _Alignas(64) float w1[K1 * C1], bias1[C1]; /* panels of (7, 64) */
    float a1[C1], b1[C1], mean1[C1];           /* z1 = a1·y1 + b1 */
    float w2[K2 * C1 * C2], bias2[C2];         /* panels of (5·64, 128), rows tap-major */
    float a2[C2], b2[C2], mean2[C2];           /* z2 = a2·y2 + b2 */
    float even2[3 * C2 * C1];                  /* panels of (3·128, 64): taps 4, 2, 0 */
    float odd2[2 * C2 * C1];                   /* panels of (2·128, 64): taps 3, 1 */
    float zero[C1];
    attune_train_norm norm1[C1], norm2[C2];
} gru_layers;

typedef struct gru {
    attune_trainable_conv conv[2];
    int N, F_max;
    bool frozen;
    attune_frames frames;
    gru_layers *groups;
    float *y2;     /* (groups, F_max, N/8, 128); frozen: none */
    float *slopes; /* (groups, F_max, 2, 128): Σ s and Σ s·(y2 − mean), s the derivative of ReLU */
} gru;

typedef struct gru_pass {
    gru *t;
    gru_layers *g;
    const float *const *frames;
    float *features;
    const float *feature_gradients;
    float *y2, *slopes; /* the group's */
    float gain2[C2], constant2[C2], slope2[C2];
} gru_pass;

/* Scratch of one thread. */
typedef struct gru_scratch {
    float *x;        /* (N + 2·PAD): the frame begins at x + 3 */
    float *y1, *dz1; /* (N/2, 64) */
    float *m;        /* (N/4 + 4, 64): two rows of zeros before and behind */
    float *y2;       /* (N/8, 128) */
    float *dy2;      /* (N/8 + 2, 128): a row of zeros before and behind */
    float *dm[2];    /* (N/8, 64): even and odd rows */
    float *dw2;      /* (128, 5·64) */
    float *sums;     /* SUMS2 */
} gru_scratch;

/* ---- memory ---- */

/* Returns the floats that it takes; without scratch, only that. */
static size_t lay_out(gru_scratch *s, float *scratch, int N)
{
    const size_t n = (size_t)N;
    const struct {
        float **place;
        size_t count;
    } places[] = {
        {&s->x, n + 2 * ATTUNE_PAD}, {&s->y1, n / 2 * C1},    {&s->dz1, n / 2 * C1},
        {&s->m, (n / 4 + 4) * C1},   {&s->y2, n / 8 * C2},    {&s->dy2, (n / 8 + 2) * C2},
        {&s->dm[0], n / 8 * C1},     {&s->dm[1], n / 8 * C1}, {&s->dw2, WEIGHTS2},
        {&s->sums, SUMS2},
    };
    size_t used = 0;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (scratch) {
            *places[i].place = scratch + used;
        }
        used += places[i].count;
    }
    return used;
}

static gru_scratch scratch_at(float *scratch, int N)
{
    gru_scratch s;
    lay_out(&s, scratch, N);
    return s;
}

static void gru_close(void *frontend)
{
    gru *t = frontend;
    if (t) {
        attune_frames_close(&t->frames);
        free(t->groups);
        free(t->y2);
        free(t->slopes);
        free(t);
    }
}

static attune_status allocate(gru *t, int groups, attune_team *team)
{
    gru_scratch unused;
    const size_t kept = t->frozen ? 0 : (size_t)groups * (size_t)t->F_max,
                 y2 = kept * (size_t)(t->N / 8) * C2, slopes = kept * 2 * C2;
    attune_status status = attune_frames_open(&t->frames, team, t->F_max, WEIGHTS2 + SUMS2,
                                              lay_out(&unused, NULL, t->N));
    if (status == ATTUNE_OK) {
        t->groups = aligned_alloc(64, (size_t)groups * sizeof(*t->groups));
        t->y2 = attune_cpu_allocate(y2);
        t->slopes = attune_cpu_allocate(slopes);
        if (!t->groups || !t->y2 || !t->slopes) {
            status = attune_fail_memory("the front end's frames", (y2 + slopes) * sizeof(float));
        }
    }
    return status;
}

static attune_status gru_open(void **out, const attune_trainable *trainable, int frames, int groups,
                              bool frozen, attune_team *team)
{
    gru *t = calloc(1, sizeof(*t));
    *out = NULL;
    if (!t) {
        return attune_fail_memory("the front end", sizeof(*t));
    }
    memcpy(t->conv, trainable->conv, sizeof(t->conv));
    t->N = trainable->network.frame_size;
    t->F_max = frames;
    t->frozen = frozen;
    attune_status status = allocate(t, groups, team);
    if (status) {
        gru_close(t);
        return status;
    }
    *out = t;
    return ATTUNE_OK;
}

/* ---- weights ---- */

/* Where (row, column) stands in panels of `rows` rows. */
static size_t in_panels(int rows, int row, int column)
{
    const int P = ATTUNE_MATMUL_PANEL;
    return ((size_t)(column / P) * rows + row) * P + column % P;
}

static void pack_weights(gru_layers *g, const gru *t, const float *parameters)
{
    const float *w1 = parameters + t->conv[0].weight, *w2 = parameters + t->conv[1].weight;
    memset(g->zero, 0, sizeof(g->zero));
    memcpy(g->bias1, parameters + t->conv[0].bias, sizeof(g->bias1));
    memcpy(g->bias2, parameters + t->conv[1].bias, sizeof(g->bias2));
    for (int i = 0; i < C1 * K1; i++) {
        g->w1[in_panels(K1, i % K1, i / K1)] = w1[i];
    }
    for (int i = 0; i < WEIGHTS2; i++) {
        const int d = i / (C1 * K2), c = i / K2 % C1, tap = i % K2;
        g->w2[in_panels(K2 * C1, tap * C1 + c, d)] = w2[i];
        if (tap % 2 == 0) {
            g->even2[in_panels(3 * C2, (4 - tap) / 2 * C2 + d, c)] = w2[i];
        } else {
            g->odd2[in_panels(2 * C2, (3 - tap) / 2 * C2 + d, c)] = w2[i];
        }
    }
}

static void resolve(float *a, float *b, float *mean, const attune_train_norm *norm, int C)
{
    for (int c = 0; c < C; c++) {
        a[c] = (float)norm[c].gain;
        b[c] = (float)(norm[c].shift - norm[c].gain * norm[c].mean);
        mean[c] = (float)norm[c].mean;
    }
}

/* ---- forward ---- */

static void make_y1(const gru_scratch *s, const gru_layers *g, const float *frame, int N)
{
    memcpy(s->x + 3, frame, (size_t)N * sizeof(float));
    ATTUNE_KERNEL(attune_matmul)(s->y1, s->x, 2, g->w1, g->bias1, N / 2, K1, C1);
}

static void make_m(const gru_scratch *s, const gru_layers *g, int N)
{
    for (int i = 0; i < N / 4; i++) {
        const float *y = s->y1 + (size_t)2 * i * C1;
        for (int c = 0; c < C1; c += W) {
            const vf a = load(g->a1 + c), b = load(g->b1 + c);
            const vf z = max_v(fma_v(a, load(y + c), b), fma_v(a, load(y + C1 + c), b));
            store(s->m + (size_t)(i + 2) * C1 + c, max_v(z, broadcast(0.0f)));
        }
    }
}

static float *y2_of(const gru_pass *pass, int frame)
{
    return pass->y2 + (size_t)frame * (size_t)(pass->t->N / 8) * C2;
}

static void make_y2(float *y2, const gru_scratch *s, const gru_layers *g, int N)
{
    ATTUNE_KERNEL(attune_matmul)(y2, s->m, 2 * C1, g->w2, g->bias2, N / 8, K2 * C1, C2);
}

/* sums (2, 64): the moments of y1 */
static void forward1(void *data, int frame, double *sums, float *scratch)
{
    const gru_pass *pass = data;
    const int N = pass->t->N;
    const gru_scratch s = scratch_at(scratch, N);
    make_y1(&s, pass->g, pass->frames[frame], N);
    ATTUNE_KERNEL(attune_rows_moments)(sums, sums + C1, s.y1, N / 2, C1);
}

/* sums (2, 128): the moments of y2 */
static void forward2(void *data, int frame, double *sums, float *scratch)
{
    const gru_pass *pass = data;
    const int N = pass->t->N;
    const gru_scratch s = scratch_at(scratch, N);
    make_y1(&s, pass->g, pass->frames[frame], N);
    make_m(&s, pass->g, N);
    make_y2(y2_of(pass, frame), &s, pass->g, N);
    ATTUNE_KERNEL(attune_rows_moments)(sums, sums + C2, y2_of(pass, frame), N / 8, C2);
}

/* The features of a frame from its y2, and where `slopes` is not NULL, what backward needs. */
static void put_features(const gru_pass *pass, int frame, const float *y2, float *slopes)
{
    const int L = pass->t->N / 8;
    const gru_layers *g = pass->g;
    for (int c = 0; c < C2; c += W) {
        const vf a = load(g->a2 + c), b = load(g->b2 + c), mean = load(g->mean2 + c);
        vf sum = broadcast(0.0f), count = sum, around = sum;
        for (int i = 0; i < L; i++) {
            const vf y = load(y2 + (size_t)i * C2 + c), z = fma_v(a, y, b);
            const vi positive = z > broadcast(0.0f);
            sum += max_v(z, broadcast(0.0f));
            count += (vf)((vi)broadcast(1.0f) & positive);
            around += (vf)((vi)(y - mean) & positive);
        }
        store(pass->features + (size_t)frame * C2 + c, sum / (float)L);
        if (slopes) {
            store(slopes + c, count);
            store(slopes + C2 + c, around);
        }
    }
}

static void forward3(void *data, int frame, double *sums, float *scratch)
{
    const gru_pass *pass = data;
    put_features(pass, frame, y2_of(pass, frame), pass->slopes + (size_t)frame * 2 * C2);
    (void)sums;
    (void)scratch;
}

static void forward_frozen(void *data, int frame, double *sums, float *scratch)
{
    const gru_pass *pass = data;
    const int N = pass->t->N;
    const gru_scratch s = scratch_at(scratch, N);
    make_y1(&s, pass->g, pass->frames[frame], N);
    make_m(&s, pass->g, N);
    make_y2(s.y2, &s, pass->g, N);
    put_features(pass, frame, s.y2, NULL);
    (void)sums;
}

static gru_pass begin(gru *t, const float *const *frames, int group)
{
    const size_t first = (size_t)group * (size_t)t->F_max;
    return (gru_pass){
        .t = t,
        .g = &t->groups[group],
        .frames = frames,
        .y2 = t->y2 + (t->frozen ? 0 : first * (size_t)(t->N / 8) * C2),
        .slopes = t->slopes + (t->frozen ? 0 : first * 2 * C2),
    };
}

static void gru_forward(void *frontend, float *features, float *statistics, const float *parameters,
                        const float *const *frames, int F, int group)
{
    gru *t = frontend;
    gru_pass pass = begin(t, frames, group);
    gru_layers *g = pass.g;
    const double n1 = (double)F * t->N / 2, n2 = n1 / 4;
    const double *sums = NULL;
    pass.features = features;
    pack_weights(g, t, parameters);
    if (!t->frozen) {
        sums = attune_frames_pass(&t->frames, forward1, &pass, F, 2 * C1);
    }
    for (int c = 0; c < C1; c++) {
        g->norm1[c] = t->frozen ? attune_train_norm_frozen(&t->conv[0], c, parameters, statistics)
                                : attune_train_norm_batch(&t->conv[0], c, parameters, statistics,
                                                          sums[c], sums[C1 + c], n1);
    }
    resolve(g->a1, g->b1, g->mean1, g->norm1, C1);
    if (!t->frozen) {
        sums = attune_frames_pass(&t->frames, forward2, &pass, F, 2 * C2);
    }
    for (int d = 0; d < C2; d++) {
        g->norm2[d] = t->frozen ? attune_train_norm_frozen(&t->conv[1], d, parameters, statistics)
                                : attune_train_norm_batch(&t->conv[1], d, parameters, statistics,
                                                          sums[d], sums[C2 + d], n2);
    }
    resolve(g->a2, g->b2, g->mean2, g->norm2, C2);
    attune_frames_pass(&t->frames, t->frozen ? forward_frozen : forward3, &pass, F, 0);
}

/* ---- backward ---- */

/* sums (2, 128): of dz2 and of dz2·(y2 − mean) */
static void backward1(void *data, int frame, double *sums, float *scratch)
{
    const gru_pass *pass = data;
    const float *slopes = pass->slopes + (size_t)frame * 2 * C2,
                *gradient = pass->feature_gradients + (size_t)frame * C2;
    for (int i = 0; i < 2 * C2; i++) {
        sums[i] += (double)gradient[i % C2] / (pass->t->N / 8) * (double)slopes[i];
    }
    (void)scratch;
}

static void make_dy2(const gru_scratch *s, const gru_pass *pass, int frame)
{
    const int L = pass->t->N / 8;
    const float *y2 = y2_of(pass, frame), *gradient = pass->feature_gradients + (size_t)frame * C2;
    for (int c = 0; c < C2; c += W) {
        const vf a = load(pass->g->a2 + c), b = load(pass->g->b2 + c),
                 mean = load(pass->g->mean2 + c), constant = load(pass->constant2 + c),
                 slope = load(pass->slope2 + c),
                 gain = load(pass->gain2 + c) * load(gradient + c) / (float)L;
        for (int i = 0; i < L; i++) {
            const vf y = load(y2 + (size_t)i * C2 + c);
            const vi positive = fma_v(a, y, b) > broadcast(0.0f);
            const vf d = (vf)((vi)gain & positive) - constant;
            store(s->dy2 + (size_t)(i + 1) * C2 + c, fma_v(-slope, y - mean, d));
        }
    }
}

/* From dm, through the maxima (of equal ones, the first) and ReLU: dz1; and y1 <- y1 − mean. Adds
 * the sums of dz1 and of their products to sums (2, 64). */
static void make_dz1(const gru_scratch *s, const gru_layers *g, float *sums, int N)
{
    for (int c = 0; c < C1; c += W) {
        const vf a = load(g->a1 + c), b = load(g->b1 + c), mean = load(g->mean1 + c),
                 zero = broadcast(0.0f);
        vf sum = zero, product = zero;
        for (int i = 0; i < N / 4; i++) {
            float *y = s->y1 + (size_t)2 * i * C1 + c, *dz = s->dz1 + (size_t)2 * i * C1 + c;
            const vi d = (vi)load(s->dm[i % 2] + (size_t)(i / 2) * C1 + c);
            const vf y0 = load(y), y1 = load(y + C1), z0 = fma_v(a, y0, b), z1 = fma_v(a, y1, b);
            const vf d0 = (vf)(d & (z0 >= z1) & (z0 > zero)),
                     d1 = (vf)(d & (z1 > z0) & (z1 > zero));
            sum += d0 + d1;
            product = fma_v(d0, y0 - mean, fma_v(d1, y1 - mean, product));
            store(dz, d0);
            store(dz + C1, d1);
            store(y, y0 - mean);
            store(y + C1, y1 - mean);
        }
        store(sums + c, load(sums + c) + sum);
        store(sums + C1 + c, load(sums + C1 + c) + product);
    }
}

/* sums: (128, 5·64) of dy2·m; (2, 64) of dz1 and of dz1·(y1 − mean); (8, 64) each of dz1·x and of
 * (y1 − mean)·x by tap; (8) of x by tap */
static void backward2(void *data, int frame, double *sums, float *scratch)
{
    const gru_pass *pass = data;
    const gru_layers *g = pass->g;
    const int N = pass->t->N, L = N / 8;
    const gru_scratch s = scratch_at(scratch, N);
    float *dz1_x = s.sums + 2 * C1, *y1_x = dz1_x + TAPS * C1, *x = y1_x + TAPS * C1;
    memset(s.dw2, 0, WEIGHTS2 * sizeof(float));
    memset(s.sums, 0, SUMS2 * sizeof(float));
    make_y1(&s, g, pass->frames[frame], N);
    make_m(&s, g, N);
    make_dy2(&s, pass, frame);
    ATTUNE_KERNEL(attune_rows_product)(s.dw2, s.dy2 + C2, C2, s.m, 2 * C1, C2, L, K2 * C1);
    ATTUNE_KERNEL(attune_matmul)(s.dm[0], s.dy2, C2, g->even2, g->zero, L, 3 * C2, C1);
    ATTUNE_KERNEL(attune_matmul)(s.dm[1], s.dy2 + C2, C2, g->odd2, g->zero, L, 2 * C2, C1);
    make_dz1(&s, g, s.sums, N);
    ATTUNE_KERNEL(attune_rows_product)(dz1_x, s.x, 2, s.dz1, C1, TAPS, N / 2, C1);
    ATTUNE_KERNEL(attune_rows_product)(y1_x, s.x, 2, s.y1, C1, TAPS, N / 2, C1);
    for (int i = 0; i < N / 2; i++) {
        for (int tap = 0; tap < TAPS; tap++) {
            x[tap] += s.x[2 * i + tap];
        }
    }
    for (int i = 0; i < WEIGHTS2 + SUMS2; i++) { /* dw2 and sums stand beside each other */
        sums[i] += (double)s.dw2[i];
    }
}

static void denormalise2(gru_pass *pass, float *gradients, const double *sums)
{
    for (int d = 0; d < C2; d++) {
        const attune_train_denorm back = attune_train_norm_backward(
            &pass->g->norm2[d], &pass->t->conv[1], d, gradients, sums[d], sums[C2 + d]);
        pass->gain2[d] = (float)back.gain;
        pass->constant2[d] = (float)back.constant;
        pass->slope2[d] = (float)back.slope;
    }
}

/* The gradients of w2 and of layer 1 from backward2's sums. */
static void add_gradients(const gru_pass *pass, float *gradients, const double *sums)
{
    const attune_trainable_conv *conv = &pass->t->conv[0];
    const double *layer1 = sums + WEIGHTS2, *dz1_x = layer1 + 2 * C1, *y1_x = dz1_x + TAPS * C1,
                 *x = y1_x + TAPS * C1;
    for (int i = 0; i < WEIGHTS2; i++) {
        const int d = i / (K2 * C1), tap = i / C1 % K2, c = i % C1;
        gradients[pass->t->conv[1].weight + (d * C1 + c) * K2 + tap] += (float)sums[i];
    }
    for (int c = 0; c < C1; c++) {
        const attune_train_denorm back = attune_train_norm_backward(
            &pass->g->norm1[c], conv, c, gradients, layer1[c], layer1[C1 + c]);
        for (int tap = 0; tap < K1; tap++) {
            gradients[conv->weight + c * K1 + tap] +=
                (float)(back.gain * dz1_x[tap * C1 + c] - back.constant * x[tap] -
                        back.slope * y1_x[tap * C1 + c]);
        }
    }
}

static void gru_backward(void *frontend, float *gradients, const float *feature_gradients,
                         const float *parameters, const float *const *frames, int F, int group)
{
    gru *t = frontend;
    gru_pass pass = begin(t, frames, group);
    pass.feature_gradients = feature_gradients;
    denormalise2(&pass, gradients, attune_frames_pass(&t->frames, backward1, &pass, F, 2 * C2));
    add_gradients(&pass, gradients,
                  attune_frames_pass(&t->frames, backward2, &pass, F, WEIGHTS2 + SUMS2));
    (void)parameters;
}

const attune_train_frontend ATTUNE_KERNEL(attune_train_frontend_gru) = {
    .open = gru_open,
    .close = gru_close,
    .forward = gru_forward,
    .backward = gru_backward,
};
