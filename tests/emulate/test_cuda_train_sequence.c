/* test_cuda_train_sequence.c - the CUDA sequence stage in training mode, emulated, against its
 * double-precision reference: forward and back, the same bits in any company. */
#include "kernels/cuda/train_sequence.h"

#include "tests/emulate/emulated.h"
#include "tests/support/sequence_problem.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Shapes at which the kernels take other ways: H = 128 with one, two and four clips a block, of
 * which the last is not full; sums in several parts; every pooling; a clip of one step. */
static const sequence_shape shapes[] = {
    {ATTUNE_ARCHITECTURE_TINY, ATTUNE_POOLING_ATTENTION, 128, 2, 128, 128, 32, 5, 55, 0.1f, 0.1f},
    {ATTUNE_ARCHITECTURE_TINY, ATTUNE_POOLING_MEAN, 128, 2, 0, 65, 33, 13, 3, 0.3f, 0},
    {ATTUNE_ARCHITECTURE_GRU, ATTUNE_POOLING_LAST, 128, 1, 0, 128, 32, 5, 1, 0, 0.1f},
    {ATTUNE_ARCHITECTURE_TINY, ATTUNE_POOLING_ATTENTION, 288, 1, 70, 64, 16, 3, 3, 0, 0},
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

/* "Device" memory with values of it. */
static float *upload(const double *from, size_t count)
{
    float *memory = emulated_memory((count + 1) * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        memory[i] = (float)from[i];
    }
    return memory;
}

/* In memory that has room for more and has seen another batch, unless `tight`. Parameters and
 * gradients stand on an odd float. */
static sequence_result run(const sequence_problem *b, int multiprocessors, bool tight)
{
    const attune_trainable *t = &b->trainable;
    const int B = b->shape.B, T = b->shape.T;
    const size_t bytes = attune_cuda_train_sequence_bytes(t, B + !tight, T + !tight);
    const attune_cuda_train_dropout dropout = {b->dropout.seed, b->dropout.layers, b->dropout.head};
    unsigned char *memory = emulated_memory(bytes + 1);
    float *p = upload(b->p, t->parameter_count), *x = upload(b->x, b->features),
          *g = upload(b->g, b->embeddings);
    sequence_result r = sequence_result_of(b);
    attune_cuda_train_sequence s;
    memmove(p + 1, p, sizeof(float) * t->parameter_count);
    attune_cuda_train_sequence_place(&s, memory, t, B + !tight, T + !tight, multiprocessors);
    for (int again = tight; again < 2; again++) {
        const int some = again ? B : (B + 1) / 2;
        memset(r.dp, 0, sizeof(float) * t->parameter_count);
        cr_assert_eq(
            attune_cuda_train_sequence_forward(NULL, &s, r.embedding, x, p + 1, some, T, &dropout),
            0);
        cr_assert_eq(
            attune_cuda_train_sequence_backward(NULL, &s, r.dp, again ? r.dx : NULL, g, p + 1), 0);
    }
    cr_assert_eq(memory[bytes], 0xff, "more memory was taken than asked for");
    free(memory);
    free(p);
    free(x);
    free(g);
    return r;
}

static bool same(const sequence_problem *b, const sequence_result *x, const sequence_result *y)
{
    return memcmp(x->embedding, y->embedding, b->embeddings * sizeof(float)) == 0 &&
           memcmp(x->dx, y->dx, b->features * sizeof(float)) == 0 &&
           memcmp(x->dp, y->dp, b->trainable.parameter_count * sizeof(float)) == 0;
}

/* 1, 2 and 4 clips a block. */
static void check_shape(sequence_shape s, uint64_t seed)
{
    sequence_problem b = sequence_problem_of(s, seed);
    sequence_problem_solve(&b);
    sequence_result first = run(&b, s.B, true);
    sequence_result_check(&b, &first, true);
    for (int i = 2; i <= 4; i += 2) {
        sequence_result other = run(&b, (s.B + i - 1) / i, i == 4);
        cr_assert(same(&b, &first, &other), "%d clips a block", i);
        sequence_result_free(&other);
    }
    sequence_result_free(&first);
    sequence_problem_free(&b);
}

Test(cuda_train_sequence, small_shapes_match_reference, .timeout = 120)
{
    for (int i = 0; i < SEQUENCE_SMALL; i++) {
        check_shape(sequence_small[i], 30 + (uint64_t)i);
    }
}

Test(cuda_train_sequence, other_ways_match_reference, .timeout = 120)
{
    for (int i = 0; i < SHAPES; i++) {
        check_shape(shapes[i], 40 + (uint64_t)i);
    }
}

/* An embedding of nothing but zeros: the norm is clamped, and gradients are finite. */
Test(cuda_train_sequence, zero_outputs_have_gradients)
{
    sequence_problem b = sequence_problem_of(sequence_small[0], 90);
    const attune_trainable *t = &b.trainable;
    memset(b.p + t->project2_weight, 0, sizeof(double) * (t->parameter_count - t->project2_weight));
    sequence_problem_solve(&b);
    sequence_result r = run(&b, 4, true);
    sequence_result_check(&b, &r, true);
    sequence_result_free(&r);
    sequence_problem_free(&b);
}
