/* train_frontend_tiny.c - AudioEmbeddingTiny's front end in training mode: the passes.
 *
 * Forward, over the frames of a group; y2 = w2·g1 has the statistics of g1, and y4 = W4·g3 those
 * that W4 makes of the covariance of g3, so neither needs a pass of its own:
 *   1 the moments of y1   2 those of g1, which is kept   3 those of y3   4 the covariance of g3
 *   5 the features; and, since they are means over positions, a position's gradient dz4 is that of
 *     its feature times GELU's derivative s: so E = Σ s·g3ᵀ and Σ s over the positions, kept for
 *     every frame, give backward all of its sums over dz4 without another pass.
 * Backward:
 *   1 dW4 of E   2 dz3, kept, and its sums   3 dw3, the sums over dz2, and u, kept, of which dg1 is
 *   made   4 dw1.
 * A frame keeps 2N + 8,448 bytes, and 34·N more while its group goes back. */
#include "kernels/cpu/train_tiny.h"

#include "kernels/cpu/simd.h"
#include "status/error.h"

#include <stdlib.h>
#include <string.h>

enum {
    C1 = TINY_C1,
    C2 = TINY_C2,
    TAPS = TINY_TAPS,
    T = TINY_T,
    KEPT_PAD = 32, /* floats beside g1 and u: what is read there is multiplied by 0 */
    SUMS = C2 * C1 + C2,
};

typedef struct tiny {
    attune_trainable_conv conv[4];
    int N, F_max;
    bool frozen;
    attune_frames frames;
    attune_tiny_group *groups;
    float *g1;     /* (groups, F_max, N/2): k·g1 */
    float *outer;  /* (groups, F_max, 64, 32): Σ s·k·g3, g3 less its mean */
    float *slopes; /* (groups, F_max, 64): Σ s */
    float *y3;     /* (F_max, N/4, 32), of the group that goes forward; on its way back, dz3 */
    float *u;      /* (F_max, N/2 + KEPT_PAD), from position -2 */
} tiny;

/* What the frames of a pass share. */
typedef struct tiny_pass {
    tiny *t;
    attune_tiny_group *g;
    const float *const *frames;
    float *features;
    const float *feature_gradients;
    float *g1, *outer, *slopes; /* the group's */
} tiny_pass;

/* ---- memory ---- */

static void tiny_close(void *frontend)
{
    tiny *t = frontend;
    if (t) {
        attune_frames_close(&t->frames);
        free(t->groups);
        free(t->g1);
        free(t->outer);
        free(t->slopes);
        free(t->y3);
        free(t->u);
        free(t);
    }
}

static attune_status keep(float **out, size_t frames, size_t floats)
{
    *out = attune_cpu_allocate(frames * floats + 2 * KEPT_PAD);
    return *out ? ATTUNE_OK
                : attune_fail_memory("the front end's frames", frames * floats * sizeof(float));
}

static attune_status allocate(tiny *t, int groups, attune_team *team)
{
    const size_t F = (size_t)t->F_max, all = t->frozen ? 0 : F * (size_t)groups;
    const size_t back = t->frozen ? 0 : F, N = (size_t)t->N;
    attune_status status =
        attune_frames_open(&t->frames, team, t->F_max, SUMS, attune_tiny_tile_size(t->N));
    const struct {
        float **out;
        size_t frames, floats;
    } kept[] = {
        {&t->g1, all, N / 2},       {&t->outer, all, C2 * C1},       {&t->slopes, all, C2},
        {&t->y3, back, N / 4 * C1}, {&t->u, back, N / 2 + KEPT_PAD},
    };
    for (size_t i = 0; status == ATTUNE_OK && i < sizeof(kept) / sizeof(kept[0]); i++) {
        status = keep(kept[i].out, kept[i].frames, kept[i].floats);
    }
    if (status == ATTUNE_OK) {
        t->groups = aligned_alloc(64, (size_t)groups * sizeof(*t->groups));
        if (!t->groups) {
            status =
                attune_fail_memory("the front end", (size_t)groups * sizeof(attune_tiny_group));
        }
    }
    return status;
}

static attune_status tiny_open(void **out, const attune_trainable *trainable, int frames,
                               int groups, bool frozen, attune_team *team)
{
    tiny *t = calloc(1, sizeof(*t));
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
        tiny_close(t);
        return status;
    }
    *out = t;
    return ATTUNE_OK;
}

/* ---- forward ---- */

static void add(double *sums, const float *from, int count)
{
    for (int i = 0; i < count; i++) {
        sums[i] += (double)from[i];
    }
}

static float *g1_of(const tiny_pass *pass, int frame)
{
    return pass->g1 + (size_t)frame * (size_t)(pass->t->N / 2);
}

static float *tile_of(const tiny_pass *pass, int frame, int position)
{
    return pass->t->y3 + ((size_t)frame * (size_t)(pass->t->N / 4) + (size_t)position) * C1;
}

static void forward1(void *data, int frame, double *sums, float *scratch)
{
    const tiny_pass *pass = data;
    const attune_tiny_tile tile = attune_tiny_tile_at(scratch, pass->t->N);
    ATTUNE_KERNEL(attune_tiny_first)
    (&tile, &pass->g->layers, pass->frames[frame], pass->t->N);
    ATTUNE_KERNEL(attune_tiny_moments)(sums, tile.y1, pass->t->N / 2);
}

static void forward2(void *data, int frame, double *sums, float *scratch)
{
    const tiny_pass *pass = data;
    const int N = pass->t->N;
    const attune_tiny_tile tile = attune_tiny_tile_at(scratch, N);
    float *g1 = g1_of(pass, frame);
    ATTUNE_KERNEL(attune_tiny_first)(&tile, &pass->g->layers, pass->frames[frame], N);
    ATTUNE_KERNEL(attune_tiny_gelu1)(g1, tile.y1, &pass->g->layers, N / 2);
    ATTUNE_KERNEL(attune_tiny_moments)(sums, g1, N / 2);
}

static void forward3(void *data, int frame, double *sums, float *scratch)
{
    const tiny_pass *pass = data;
    const int L = pass->t->N / 4;
    attune_tiny_tile tile = attune_tiny_tile_at(scratch, pass->t->N);
    for (int i = 0; i < L; i += T) {
        tile.y3 = tile_of(pass, frame, i);
        ATTUNE_KERNEL(attune_tiny_y3)(&tile, &pass->g->layers, g1_of(pass, frame), i, L, false);
        ATTUNE_KERNEL(attune_rows_moments)(sums, sums + C1, tile.y3, T, C1);
    }
}

/* Some k·g3 to count from, so that little is lost where all are alike. */
static void forward4_pivot(void *data, int frame, double *sums, float *scratch)
{
    const tiny_pass *pass = data;
    attune_tiny_tile tile = attune_tiny_tile_at(scratch, pass->t->N);
    tile.y3 = tile_of(pass, frame, 0);
    ATTUNE_KERNEL(attune_tiny_g3)(&tile, &pass->g->layers, false);
    add(sums, tile.g3 + (T - 1) * C1, C1);
}

/* sums (32 + 32·32): of k·g3 less the pivot, and of its products */
static void forward4(void *data, int frame, double *sums, float *scratch)
{
    const tiny_pass *pass = data;
    const int L = pass->t->N / 4;
    attune_tiny_tile tile = attune_tiny_tile_at(scratch, pass->t->N);
    float *sum = tile.sums, *products = sum + C1;
    vf all[C1 / W] = {{0}};
    memset(products, 0, C1 * C1 * sizeof(float));
    for (int i = 0; i < L; i += T) {
        tile.y3 = tile_of(pass, frame, i);
        ATTUNE_KERNEL(attune_tiny_g3)(&tile, &pass->g->layers, false);
        ATTUNE_EACH(v, C1 / W,
                    for (int t = 0; t < T; t++) all[v] += load(tile.g3 + t * C1 + v * W);)
        ATTUNE_KERNEL(attune_rows_product)(products, tile.g3, C1, tile.g3, C1, C1, T, C1);
    }
    ATTUNE_EACH(v, C1 / W, store(sum + v * W, all[v]))
    add(sums, sum, C1 + C1 * C1);
}

static void put_features(const tiny_pass *pass, int frame, const float *sum)
{
    for (int d = 0; d < C2; d++) {
        pass->features[(size_t)frame * C2 + d] =
            sum[d] / (ATTUNE_GELU_SCALE * (float)(pass->t->N / 4));
    }
}

static void forward5(void *data, int frame, double *sums, float *scratch)
{
    const tiny_pass *pass = data;
    const attune_tiny_layers *layers = &pass->g->layers;
    const int L = pass->t->N / 4;
    attune_tiny_tile tile = attune_tiny_tile_at(scratch, pass->t->N);
    float *outer = pass->outer + (size_t)frame * C2 * C1,
          *slopes = pass->slopes + (size_t)frame * C2;
    memset(outer, 0, C2 * C1 * sizeof(float));
    memset(slopes, 0, C2 * sizeof(float));
    memset(tile.sums, 0, C2 * sizeof(float));
    for (int i = 0; i < L; i += T) {
        tile.y3 = tile_of(pass, frame, i);
        ATTUNE_KERNEL(attune_tiny_g3)(&tile, layers, false);
        ATTUNE_KERNEL(attune_tiny_y4)(&tile, layers);
        ATTUNE_KERNEL(attune_tiny_g4)(&tile, layers, tile.sums, slopes);
        ATTUNE_KERNEL(attune_rows_product)(outer, tile.y4, C2, tile.g3, C1, C2, T, C1);
    }
    put_features(pass, frame, tile.sums);
    (void)sums;
}

/* All of a frozen front end in one pass. */
static void forward_frozen(void *data, int frame, double *sums, float *scratch)
{
    const tiny_pass *pass = data;
    const attune_tiny_layers *layers = &pass->g->layers;
    const int N = pass->t->N, L = N / 4;
    const attune_tiny_tile tile = attune_tiny_tile_at(scratch, N);
    ATTUNE_KERNEL(attune_tiny_first)(&tile, layers, pass->frames[frame], N);
    ATTUNE_KERNEL(attune_tiny_gelu1)(tile.g1, tile.y1, layers, N / 2);
    memset(tile.sums, 0, C2 * sizeof(float));
    for (int i = 0; i < L; i += T) {
        ATTUNE_KERNEL(attune_tiny_y3)(&tile, layers, tile.g1, i, L, false);
        ATTUNE_KERNEL(attune_tiny_g3)(&tile, layers, false);
        ATTUNE_KERNEL(attune_tiny_y4)(&tile, layers);
        ATTUNE_KERNEL(attune_tiny_g4)(&tile, layers, tile.sums, NULL);
    }
    put_features(pass, frame, tile.sums);
    (void)sums;
}

static tiny_pass begin(tiny *t, const float *const *frames, int group)
{
    const size_t first = (size_t)group * (size_t)t->F_max;
    return (tiny_pass){
        .t = t,
        .g = &t->groups[group],
        .frames = frames,
        .g1 = t->g1 + KEPT_PAD + first * (size_t)(t->N / 2),
        .outer = t->outer + first * C2 * C1,
        .slopes = t->slopes + first * C2,
    };
}

static void tiny_forward(void *frontend, float *features, float *statistics,
                         const float *parameters, const float *const *frames, int F, int group)
{
    tiny *t = frontend;
    tiny_pass pass = begin(t, frames, group);
    attune_tiny_group *g = pass.g;
    const double n1 = (double)F * t->N / 2, n3 = n1 / 2;
    pass.features = features;
    attune_tiny_begin(g, t->conv, parameters);
    if (t->frozen) {
        attune_tiny_freeze(g, t->conv, statistics, parameters);
        attune_frames_pass(&t->frames, forward_frozen, &pass, F, 0);
        return;
    }
    const double *sums = attune_frames_pass(&t->frames, forward1, &pass, F, 2);
    attune_tiny_normalise1(g, t->conv, statistics, parameters, sums, n1);
    sums = attune_frames_pass(&t->frames, forward2, &pass, F, 2);
    attune_tiny_normalise2(g, t->conv, statistics, parameters, sums, n1);
    sums = attune_frames_pass(&t->frames, forward3, &pass, F, 2 * C1);
    attune_tiny_normalise3(g, t->conv, statistics, parameters, sums, n3);
    sums = attune_frames_pass(&t->frames, forward4_pivot, &pass, 1, C1);
    for (int c = 0; c < C1; c++) {
        g->layers.mean3[c] = (float)sums[c];
    }
    sums = attune_frames_pass(&t->frames, forward4, &pass, F, C1 + C1 * C1);
    attune_tiny_normalise4(g, t->conv, statistics, parameters, sums, n3);
    attune_frames_pass(&t->frames, forward5, &pass, F, 0);
}

/* ---- backward ---- */

/* sums (64·32 + 64): Σ dz4·k·g3, g3 less its mean, and Σ dz4 */
static void backward1(void *data, int frame, double *sums, float *scratch)
{
    const tiny_pass *pass = data;
    const float *outer = pass->outer + (size_t)frame * C2 * C1,
                *slopes = pass->slopes + (size_t)frame * C2,
                *gradient = pass->feature_gradients + (size_t)frame * C2;
    for (int d = 0; d < C2; d++) {
        const double dg4 = (double)gradient[d] / (pass->t->N / 4);
        for (int c = 0; c < C1; c++) {
            sums[d * C1 + c] += dg4 * (double)outer[d * C1 + c];
        }
        sums[C2 * C1 + d] += dg4 * (double)slopes[d];
    }
    (void)scratch;
}

/* sums (2, 32): of dz3 and of dz3·(y3 − mean) */
static void backward2(void *data, int frame, double *sums, float *scratch)
{
    const tiny_pass *pass = data;
    const attune_tiny_layers *layers = &pass->g->layers;
    const int L = pass->t->N / 4;
    const attune_tiny_tile tile = attune_tiny_tile_at(scratch, pass->t->N);
    const float *gradient = pass->feature_gradients + (size_t)frame * C2;
    float gain[C2], mean3[C1];
    for (int c = 0; c < C1; c++) {
        mean3[c] = (float)pass->g->norm3[c].mean;
    }
    for (int d = 0; d < C2; d++) {
        gain[d] = pass->g->gain4[d] * gradient[d] / (float)L;
    }
    memset(tile.sums, 0, 2 * C1 * sizeof(float));
    for (int i = 0; i < L; i += T) {
        ATTUNE_KERNEL(attune_tiny_y3)(&tile, layers, g1_of(pass, frame), i, L, false);
        ATTUNE_KERNEL(attune_tiny_g3)(&tile, layers, true);
        ATTUNE_KERNEL(attune_tiny_y4)(&tile, layers);
        ATTUNE_KERNEL(attune_tiny_dy4)(&tile, layers, gain, pass->g->constant4, pass->g->slope4);
        ATTUNE_KERNEL(attune_tiny_dz3)
        (tile_of(pass, frame, i), &tile, layers, mean3, tile.sums);
    }
    add(sums, tile.sums, 2 * C1);
}

/* The rows that the next tile needs of this one. */
static void move_up(const attune_tiny_tile *tile)
{
    memcpy(tile->g2, tile->g2 + 2 * T * C1, 3 * C1 * sizeof(float));
    memcpy(tile->slope2, tile->slope2 + 2 * T * C1, 3 * C1 * sizeof(float));
    memcpy(tile->dy3, tile->dy3 + T * C1, 2 * C1 * sizeof(float));
}

/* sums (5 + 2, 32): k times the gradient of w3, those of dz2 and of dz2·(k·g1 − mean) */
static void backward3(void *data, int frame, double *sums, float *scratch)
{
    const tiny_pass *pass = data;
    const attune_tiny_layers *layers = &pass->g->layers;
    const int N = pass->t->N, L = N / 4;
    const attune_tiny_tile tile = attune_tiny_tile_at(scratch, N);
    const float *g1 = g1_of(pass, frame), mean = ATTUNE_GELU_SCALE * (float)pass->g->mean1;
    float *dw3 = tile.sums, *sum2 = dw3 + TAPS * C1;
    float *u = pass->t->u + (size_t)frame * (size_t)(N / 2 + KEPT_PAD);
    memset(tile.sums, 0, (TAPS + 2) * C1 * sizeof(float));
    memset(tile.dy3, 0, 2 * C1 * sizeof(float));
    for (int i = 0; i < L; i += T) {
        ATTUNE_KERNEL(attune_tiny_y3)(&tile, layers, g1, i, L, true);
        ATTUNE_KERNEL(attune_tiny_dy3)
        (&tile, tile_of(pass, frame, i), pass->g->gain3, pass->g->constant3, pass->g->slope3, dw3);
        ATTUNE_KERNEL(attune_tiny_dz2)
        (u, &tile, layers, pass->g->weight2, g1, mean, i, T, sum2);
        move_up(&tile);
    }
    memset(tile.dy3 + 2 * C1, 0, TINY_EXTRA * C1 * sizeof(float));
    ATTUNE_KERNEL(attune_tiny_dz2)
    (u, &tile, layers, pass->g->weight2, g1, mean, L, TINY_EXTRA, sum2);
    add(sums, tile.sums, (TAPS + 2) * C1);
}

static void backward4(void *data, int frame, double *sums, float *scratch)
{
    const tiny_pass *pass = data;
    const int N = pass->t->N;
    const attune_tiny_tile tile = attune_tiny_tile_at(scratch, N);
    const float *u = pass->t->u + (size_t)frame * (size_t)(N / 2 + KEPT_PAD) + 2;
    ATTUNE_KERNEL(attune_tiny_first)(&tile, &pass->g->layers, pass->frames[frame], N);
    ATTUNE_KERNEL(attune_tiny_dw1)
    (sums, &tile, &pass->g->layers, u, pass->g->constant1, pass->g->slope1,
     (float)pass->g->norm1.mean, N / 2);
}

static void tiny_backward(void *frontend, float *gradients, const float *feature_gradients,
                          const float *parameters, const float *const *frames, int F, int group)
{
    tiny *t = frontend;
    tiny_pass pass = begin(t, frames, group);
    pass.feature_gradients = feature_gradients;
    const double *sums = attune_frames_pass(&t->frames, backward1, &pass, F, SUMS);
    attune_tiny_denormalise4(pass.g, gradients, t->conv, parameters, sums);
    sums = attune_frames_pass(&t->frames, backward2, &pass, F, 2 * C1);
    attune_tiny_denormalise3(pass.g, gradients, t->conv, sums);
    sums = attune_frames_pass(&t->frames, backward3, &pass, F, (TAPS + 2) * C1);
    attune_tiny_denormalise2(pass.g, gradients, t->conv, parameters, sums);
    sums = attune_frames_pass(&t->frames, backward4, &pass, F, 2 + 3 * TAPS);
    attune_tiny_denormalise1(pass.g, gradients, t->conv, sums);
}

const attune_train_frontend ATTUNE_KERNEL(attune_train_frontend_tiny) = {
    .open = tiny_open,
    .close = tiny_close,
    .forward = tiny_forward,
    .backward = tiny_backward,
};
