/* train_sequence.c - the sequence stage in training mode: memory, packed weights, and the order of
 * its parts (train_gru.c, train_head.c). */
#include "kernels/cpu/train_sequence.h"

#include "kernels/cpu/simd.h"
#include "status/error.h"

#include <assert.h>
#include <stdlib.h>

enum { P = ATTUNE_MATMUL_PANEL, JOB_ROWS = 64 };

/* ---- memory ---- */

/* Hands out pieces of the arena, or only counts when there is none yet. Each piece has a panel
 * behind it, which a product may read. */
static float *take(float *base, size_t *used, size_t count)
{
    float *piece = base ? base + *used : NULL;
    *used += (count + P + 15) / 16 * 16;
    return piece;
}

static float *take_panels(float *base, size_t *used, int K, int J)
{
    return take(base, used, (size_t)K * attune_panels((size_t)J));
}

static void place_layers(attune_train_sequence *s, float *base, size_t *used, size_t rows)
{
    const attune_network *n = &s->trainable->network;
    const size_t H = (size_t)n->hidden;
    for (int l = 0; l < n->layers; l++) {
        attune_train_layer *layer = &s->layers[l];
        layer->I = l == 0 ? n->features : n->hidden;
        layer->below = take(base, used, rows * (size_t)layer->I);
        layer->gates = take(base, used, rows * 4 * H);
        layer->h = take(base, used, rows * H);
        layer->input = take_panels(base, used, layer->I, 3 * n->hidden);
        layer->hidden = take_panels(base, used, n->hidden, 3 * n->hidden);
        layer->input_back = take_panels(base, used, 3 * n->hidden, layer->I);
        layer->hidden_back = take_panels(base, used, 3 * n->hidden, n->hidden);
    }
    s->gate_gradients = take(base, used, rows * 4 * H);
    s->state_gradients = take(base, used, rows * H);
    s->step = take(base, used, (size_t)attune_team_threads(s->team) * 5 * H * ATTUNE_TRAIN_SET);
}

static void place_head(attune_train_sequence *s, float *base, size_t *used, size_t rows, size_t B)
{
    const attune_network *n = &s->trainable->network;
    const size_t H = (size_t)n->hidden, inner = B * (size_t)n->projection,
                 outer = B * (size_t)n->embedding;
    s->A = ((size_t)n->attention + 15) / 16 * 16;
    if (s->A > 0) {
        s->attended = take(base, used, rows * s->A);
        s->attended_gradient = take(base, used, rows * s->A);
        s->weight = take(base, used, rows);
        s->score_gradient = take(base, used, rows);
        s->score = take(base, used, s->A);
        s->attention = take_panels(base, used, n->hidden, n->attention);
        s->attention_back = take_panels(base, used, n->attention, n->hidden);
    }
    s->pooled = take(base, used, B * H);
    s->pooled_gradient = take(base, used, B * H);
    s->inner = take(base, used, inner);
    s->active = take(base, used, inner);
    s->inner_gradient = take(base, used, inner);
    s->outer = take(base, used, outer);
    s->outer_gradient = take(base, used, outer);
    s->project1 = take_panels(base, used, n->hidden, n->projection);
    s->project2 = take_panels(base, used, n->projection, n->embedding);
    s->project1_back = take_panels(base, used, n->projection, n->hidden);
    s->project2_back = take_panels(base, used, n->embedding, n->projection);
}

static size_t place(attune_train_sequence *s, float *base, size_t B, size_t T)
{
    size_t used = 0;
    place_layers(s, base, &used, B * (T + 1));
    place_head(s, base, &used, B * (T + 1), B);
    return used;
}

static attune_status sequence_open(attune_train_sequence **out, const attune_trainable *trainable,
                                   int B, int T, attune_team *team)
{
    attune_train_sequence *s = *out = calloc(1, sizeof(*s));
    if (!s) {
        return attune_fail_memory("training", sizeof(*s));
    }
    s->trainable = trainable;
    s->team = team;
    const size_t count = place(s, NULL, (size_t)B, (size_t)T);
    s->arena = attune_cpu_allocate(count);
    if (!s->arena) {
        free(s);
        *out = NULL;
        return attune_fail_memory("training's activations", count * sizeof(float));
    }
    place(s, s->arena, (size_t)B, (size_t)T);
    return ATTUNE_OK;
}

static void sequence_close(attune_train_sequence *s)
{
    if (s) {
        free(s->arena);
        free(s);
    }
}

/* ---- packed weights ---- */

/* Panels of the (K, J) matrix whose element (k, j) is w[k * row + j * column], as rows `first` and
 * on of panels of `depth` rows. */
static void pack(float *panels, const float *w, size_t row, size_t column, int first, int K, int J,
                 int depth)
{
    for (int j = 0; j < J; j++) {
        float *to = panels + (size_t)(j / P) * P * depth + (size_t)first * P + j % P;
        for (int k = 0; k < K; k++) {
            to[(size_t)k * P] = w[k * row + j * column];
        }
    }
}

/* A matrix w (J, K) as forward multiplies with it, and as backward does. */
static void pack_forward(float *panels, const float *w, int J, int K)
{
    pack(panels, w, 1, (size_t)K, 0, K, J, K);
}

static void pack_backward(float *panels, const float *w, int J, int K)
{
    pack(panels, w, (size_t)K, 1, 0, J, K, J);
}

/* Piece l < layers: that layer's weights; the last piece: what is behind them. */
static void pack_for_forward(void *data, int piece, int thread)
{
    attune_train_sequence *s = data;
    const attune_trainable *p = s->trainable;
    const attune_network *n = &p->network;
    const float *w = s->parameters;
    (void)thread;
    if (piece < n->layers) {
        const attune_train_layer *layer = &s->layers[piece];
        pack_forward(layer->input, w + p->gru[piece].weight_input, 3 * n->hidden, layer->I);
        pack_forward(layer->hidden, w + p->gru[piece].weight_hidden, 3 * n->hidden, n->hidden);
        return;
    }
    if (s->A > 0) {
        pack_forward(s->attention, w + p->attention_weight, n->attention, n->hidden);
        memcpy(s->score, w + p->score_weight, sizeof(float) * (size_t)n->attention);
    }
    pack_forward(s->project1, w + p->project1_weight, n->projection, n->hidden);
    pack_forward(s->project2, w + p->project2_weight, n->embedding, n->projection);
}

static void pack_for_backward(void *data, int piece, int thread)
{
    attune_train_sequence *s = data;
    const attune_trainable *p = s->trainable;
    const attune_network *n = &p->network;
    const float *w = s->parameters;
    (void)thread;
    if (piece < n->layers) {
        const attune_train_layer *layer = &s->layers[piece];
        const int H = n->hidden, I = layer->I;
        const float *input = w + p->gru[piece].weight_input; /* r, z, n to n, r, z */
        pack(layer->input_back, input + 2 * (size_t)H * I, (size_t)I, 1, 0, H, I, 3 * H);
        pack(layer->input_back, input, (size_t)I, 1, H, 2 * H, I, 3 * H);
        pack_backward(layer->hidden_back, w + p->gru[piece].weight_hidden, 3 * H, H);
        return;
    }
    if (s->A > 0) {
        pack_backward(s->attention_back, w + p->attention_weight, n->attention, n->hidden);
    }
    pack_backward(s->project1_back, w + p->project1_weight, n->projection, n->hidden);
    pack_backward(s->project2_back, w + p->project2_weight, n->embedding, n->projection);
}

/* ---- order ---- */

/* As few sets as hold all clips, and then as many as the threads share evenly. */
static int count_sets(int B, int threads)
{
    const int least = (B + ATTUNE_TRAIN_SET - 1) / ATTUNE_TRAIN_SET,
              even = (least + threads - 1) / threads * threads;
    return even < B ? even : B;
}

static attune_train_set set_of(const attune_train_sequence *s, int piece)
{
    const int first = (int)((long long)s->B * piece / s->sets),
              end = (int)((long long)s->B * (piece + 1) / s->sets);
    return (attune_train_set){first, end - first};
}

static float *step_of(const attune_train_sequence *s, int thread)
{
    return s->step + (size_t)thread * 5 * ATTUNE_TRAIN_SET * s->trainable->network.hidden;
}

typedef struct forward_call {
    attune_train_sequence *s;
    float *embeddings;
    const float *features;
} forward_call;

static void forward_set(void *data, int piece, int thread)
{
    const forward_call *call = data;
    attune_train_sequence *s = call->s;
    const attune_train_set set = set_of(s, piece);
    const size_t C = (size_t)s->trainable->network.features, clip = (size_t)s->T * C;
    for (int b = set.first; b < set.first + set.count; b++) {
        float *x = s->layers[0].x + attune_train_row(s, b) * C;
        memset(x, 0, sizeof(float) * C);
        memcpy(x + C, call->features + b * clip, sizeof(float) * clip);
    }
    for (int l = 0; l < s->trainable->network.layers; l++) {
        ATTUNE_KERNEL(attune_train_gru_forward)(s, step_of(s, thread), l, set);
    }
    ATTUNE_KERNEL(attune_train_pool_forward)(s, set);
    ATTUNE_KERNEL(attune_train_head_forward)(s, call->embeddings, set);
}

static void sequence_forward(attune_train_sequence *s, float *embeddings, const float *features,
                             const float *parameters, int B, int T,
                             const attune_train_dropout *dropout)
{
    const int layers = s->trainable->network.layers;
    s->B = B;
    s->T = T;
    s->sets = count_sets(B, attune_team_threads(s->team));
    s->dropout = *dropout;
    s->parameters = parameters;
    for (int l = 0; l < layers; l++) {
        s->layers[l].x = l == 0 || dropout->layers > 0 ? s->layers[l].below : s->layers[l - 1].h;
    }
    attune_team_run(s->team, pack_for_forward, s, layers + 1);
    attune_team_run(s->team, forward_set, &(forward_call){s, embeddings, features}, s->sets);
}

typedef struct backward_call {
    attune_train_sequence *s;
    float *feature_gradients;
    const float *embedding_gradients;
    int layer;
} backward_call;

/* One layer, and before the last what is behind it. */
static void backward_set(void *data, int piece, int thread)
{
    const backward_call *call = data;
    attune_train_sequence *s = call->s;
    const attune_train_set set = set_of(s, piece);
    if (call->layer == s->trainable->network.layers - 1) {
        ATTUNE_KERNEL(attune_train_head_backward)(s, call->embedding_gradients, set);
        ATTUNE_KERNEL(attune_train_pool_backward)(s, set);
    }
    ATTUNE_KERNEL(attune_train_gru_backward)
    (s, call->feature_gradients, step_of(s, thread), call->layer, set);
}

/* JOB_ROWS rows of one of the jobs. */
static void run_job(void *data, int piece, int thread)
{
    const attune_train_sequence *s = data;
    const attune_train_job *job = s->jobs;
    (void)thread;
    for (int pieces; piece >= (pieces = (job->M + JOB_ROWS - 1) / JOB_ROWS); job++) {
        piece -= pieces;
    }
    const int row = piece * JOB_ROWS, rows = job->M - row < JOB_ROWS ? job->M - row : JOB_ROWS;
    const attune_left a = {job->a.at + row * job->a.row, job->a.row, job->a.column};
    ATTUNE_KERNEL(attune_product)
    (job->out + (size_t)row * job->J, (size_t)job->J, a, job->b, NULL, rows, job->K, job->J);
}

static void run_jobs(attune_train_sequence *s)
{
    int pieces = 0;
    assert(s->job_count <= ATTUNE_TRAIN_JOBS);
    for (int i = 0; i < s->job_count; i++) {
        pieces += (s->jobs[i].M + JOB_ROWS - 1) / JOB_ROWS;
    }
    attune_team_run(s->team, run_job, s, pieces);
    s->job_count = 0;
}

static void sequence_backward(attune_train_sequence *s, float *gradients, float *feature_gradients,
                              const float *embedding_gradients, const float *parameters)
{
    const int layers = s->trainable->network.layers;
    s->parameters = parameters;
    attune_team_run(s->team, pack_for_backward, s, layers + 1);
    for (int l = layers - 1; l >= 0; l--) {
        backward_call call = {s, feature_gradients, embedding_gradients, l};
        attune_team_run(s->team, backward_set, &call, s->sets);
        ATTUNE_KERNEL(attune_train_gru_jobs)(s, gradients, l);
        if (l == layers - 1) {
            ATTUNE_KERNEL(attune_train_pool_jobs)(s, gradients);
            ATTUNE_KERNEL(attune_train_head_jobs)(s, gradients);
        }
        run_jobs(s);
    }
}

const attune_train_sequence_kernels ATTUNE_KERNEL(attune_train_sequence_kernels) = {
    .open = sequence_open,
    .close = sequence_close,
    .forward = sequence_forward,
    .backward = sequence_backward,
};
