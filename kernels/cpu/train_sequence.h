/* train_sequence.h - the sequence stage in training mode: features of a batch of clips to
 * embeddings, and the gradients of both it and its parameters. Private to kernels/cpu.
 *
 * Clips share nothing but the weights. So forward, and backward down to the gates, goes by sets of
 * up to ATTUNE_TRAIN_SET clips, a set being a team's piece of work: its clips step together, so
 * that what a step reads of the recurrent matrix is read once for all. The weights' gradients are
 * then products over all rows of all clips, shared out by rows of the result. Each number is summed
 * in an order that depends neither on the sets nor on the threads.
 *
 * A clip has T + 1 rows, of which row 0 is zeros: so the state before a step is always the row
 * above it, and rows of all clips, R = B (T + 1), can be multiplied as one matrix. */
#ifndef ATTUNE_KERNELS_CPU_TRAIN_SEQUENCE_H
#define ATTUNE_KERNELS_CPU_TRAIN_SEQUENCE_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/team.h"
#include "kernels/training.h"

enum { ATTUNE_TRAIN_SET = 12, ATTUNE_TRAIN_JOBS = 16 };

/* What drops. Layer l's outputs are elements (clip, step, unit) of layer l, the head's (clip, unit)
 * of layer ATTUNE_LAYERS_MAX; see attune_dropout_keeps. */
typedef struct attune_train_dropout {
    uint64_t seed;
    float layers, head;
} attune_train_dropout;

/* One GRU layer, I inputs. `gates` are r, z, n and q = W_hn h + b_hn. Weights are packed as forward
 * multiplies them, (I, 3H) and (H, 3H), and as backward does, (3H, I) and (3H, H). */
typedef struct attune_train_layer {
    int I;
    float *below; /* (R, I): the features, or the states below with what was dropped as 0 */
    float *x;     /* (R, I): its inputs: `below`, or where nothing drops the states below */
    float *gates; /* (R, 4H) */
    float *h;     /* (R, H) */
    float *input, *hidden, *input_back, *hidden_back;
} attune_train_layer;

/* A gradient of weights: out (M, J) = a · b over K rows. */
typedef struct attune_train_job {
    float *out;
    attune_left a;
    attune_right b;
    int M, K, J;
} attune_train_job;

typedef struct attune_train_sequence {
    const attune_trainable *trainable;
    attune_team *team;
    int B, T, sets; /* of the last forward */
    attune_train_dropout dropout;
    const float *parameters; /* of the present call */

    float *arena;
    attune_train_layer layers[ATTUNE_LAYERS_MAX];
    /* Gradients of the present layer: by the gates, each row n, r, z, q, so that what the inputs
     * and what the states are multiplied for stand together, and by the outputs. */
    float *gate_gradients;  /* (R, 4H) */
    float *state_gradients; /* (R, H) */
    float *step;            /* (threads, ATTUNE_TRAIN_SET, 5H): products of a step */

    size_t A;                            /* attention's width in whole vectors; 0 without */
    float *attended, *attended_gradient; /* (R, A): tanh(W h + b), and before the tanh */
    float *weight, *score_gradient;      /* (R): the softmax, and before it */
    float *score;                        /* (A): its weights, zero-padded */
    float *attention, *attention_back;   /* packed (H, A), (A, H) */

    float *pooled, *pooled_gradient;        /* (B, H) */
    float *inner, *active, *inner_gradient; /* (B, P): before and after activation, dropout */
    float *outer, *outer_gradient;          /* (B, E): before the norm */
    float *project1, *project2, *project1_back, *project2_back; /* packed (H, P), (P, E), back */

    attune_train_job jobs[ATTUNE_TRAIN_JOBS];
    int job_count;
} attune_train_sequence;

/* Clips first to first + count - 1. */
typedef struct attune_train_set {
    int first, count;
} attune_train_set;

/* The stage of one instruction set. */
typedef struct attune_train_sequence_kernels {
    /* For up to B clips of up to T steps. `trainable` and `team` are borrowed. On failure *out is
     * NULL. */
    attune_status (*open)(attune_train_sequence **out, const attune_trainable *trainable, int B,
                          int T, attune_team *team);
    void (*close)(attune_train_sequence *s); /* NULL-safe */

    /* embeddings (B, E) of features (B, T, C). */
    void (*forward)(attune_train_sequence *s, float *embeddings, const float *features,
                    const float *parameters, int B, int T, const attune_train_dropout *dropout);

    /* Of the last forward: gradients of all parameters but the front end's, and of the features
     * (B, T, C) where feature_gradients is not NULL. What was there is overwritten. */
    void (*backward)(attune_train_sequence *s, float *gradients, float *feature_gradients,
                     const float *embedding_gradients, const float *parameters);
} attune_train_sequence_kernels;

extern const attune_train_sequence_kernels attune_train_sequence_kernels_baseline,
    attune_train_sequence_kernels_avx2, attune_train_sequence_kernels_avx512;

/* The device that they make with the front ends (training.c). */
extern const attune_training_kernels attune_training_baseline, attune_training_avx2,
    attune_training_avx512;

#ifdef ATTUNE_ISA
/* ---- its parts, each for the clips of one set ---- */

/* Layer l's states and gates from its inputs, and the next layer's inputs. step: (set, 3H) */
void ATTUNE_KERNEL(attune_train_gru_forward)(attune_train_sequence *s, float *step, int l,
                                             attune_train_set set);
/* state_gradients of layer l to gate_gradients, and those to the state_gradients of the layer below
 * or, for layer 0, feature_gradients where not NULL. step: (set, 5H) */
void ATTUNE_KERNEL(attune_train_gru_backward)(attune_train_sequence *s, float *feature_gradients,
                                              float *step, int l, attune_train_set set);
/* What layer l adds to the list of jobs. */
void ATTUNE_KERNEL(attune_train_gru_jobs)(attune_train_sequence *s, float *gradients, int l);

/* The last layer's states to `pooled`, and pooled_gradient to its state_gradients. */
void ATTUNE_KERNEL(attune_train_pool_forward)(attune_train_sequence *s, attune_train_set set);
void ATTUNE_KERNEL(attune_train_pool_backward)(attune_train_sequence *s, attune_train_set set);
void ATTUNE_KERNEL(attune_train_pool_jobs)(attune_train_sequence *s, float *gradients);

/* `pooled` to embeddings (B, E), and their gradients to pooled_gradient. */
void ATTUNE_KERNEL(attune_train_head_forward)(attune_train_sequence *s, float *embeddings,
                                              attune_train_set set);
void ATTUNE_KERNEL(attune_train_head_backward)(attune_train_sequence *s,
                                               const float *embedding_gradients,
                                               attune_train_set set);
void ATTUNE_KERNEL(attune_train_head_jobs)(attune_train_sequence *s, float *gradients);
#endif

/* The right side of a product: packed (K, J), and a matrix of rows of `stride` floats as it stands.
 */
static inline attune_right attune_packed(const float *panels, int K)
{
    return (attune_right){panels, ATTUNE_MATMUL_PANEL, (size_t)K * ATTUNE_MATMUL_PANEL};
}

static inline attune_right attune_standing(const float *at, size_t stride)
{
    return (attune_right){at, stride, ATTUNE_MATMUL_PANEL};
}

/* Rows of `stride` floats, and their transpose. */
static inline attune_left attune_upright(const float *at, size_t stride)
{
    return (attune_left){at, stride, 1};
}

static inline attune_left attune_transposed(const float *at, size_t stride)
{
    return (attune_left){at, 1, stride};
}

/* Adds a job for out (M, J); the sum of b's K rows where a.at is NULL. */
static inline void attune_train_add(attune_train_sequence *s, float *out, attune_left a,
                                    attune_right b, int M, int K, int J)
{
    static const float one = 1.0f;
    if (!a.at) {
        a = (attune_left){&one, 1, 0};
    }
    s->jobs[s->job_count++] = (attune_train_job){out, a, b, M, K, J};
}

/* The first row of a clip, which is of zeros. */
static inline size_t attune_train_row(const attune_train_sequence *s, int clip)
{
    return (size_t)clip * ((size_t)s->T + 1);
}

#endif
