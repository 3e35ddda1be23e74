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
 * which the last is not full; more units than threads; a clip of one step. */
static const sequence_shape shapes[] = {
    {ATTUNE_ARCHITECTURE_TINY, ATTUNE_POOLING_ATTENTION, 128, 2, 128, 128, 32, 5, 6, 0.1f, 0.1f},
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

/* One clip a block, and then `each`. */
static void check_shape(sequence_shape s, uint64_t seed, int each)
{
    sequence_problem b = sequence_problem_of(s, seed);
    sequence_problem_solve(&b);
    sequence_result first = run(&b, s.B, true);
    sequence_result_check(&b, &first, true);
    sequence_result other = run(&b, (s.B + each - 1) / each, false);
    cr_assert(same(&b, &first, &other), "%d clips a block", each);
    sequence_result_free(&other);
    sequence_result_free(&first);
    sequence_problem_free(&b);
}

Test(cuda_train_sequence, small_shapes_match_reference, .timeout = 120)
{
    for (int i = 0; i < SEQUENCE_SMALL; i++) {
        check_shape(sequence_small[i], 30 + (uint64_t)i, 1);
    }
}

Test(cuda_train_sequence, other_ways_match_reference, .timeout = 120)
{
    for (int i = 0; i < SHAPES; i++) {
        check_shape(shapes[i], 40 + (uint64_t)i, i % 2 ? 4 : 2);
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

/* Sums over many rows come in parts, of matrices that end within a tile and have more columns than
 * are wanted: floats add 700 products of up to 1
 * to 3e-5. */
Test(cuda_train_sequence, sums_in_parts_are_sums)
{
    enum { M = 70, N = 67, K = 700, LEFT = M + 3, RIGHT = N + 2, STEPS = 140 };
    float *left = emulated_memory(K * LEFT * sizeof(float)),
          *right = emulated_memory(K * RIGHT * sizeof(float)),
          *parts = emulated_memory(ATTUNE_CUDA_TRAIN_PARTS * sizeof(float)),
          *out = emulated_memory((M * N + 1) * sizeof(float)),
          *sums = emulated_memory((N + 1) * sizeof(float));
    uint64_t seed = 4;
    random_fill(&seed, left, K * LEFT, 1.0f);
    random_fill(&seed, right, K * RIGHT, 1.0f);
    const attune_cuda_train_product p = {.out = out,
                                         .left = left,
                                         .right = right,
                                         .left_row = LEFT,
                                         .right_row = RIGHT,
                                         .M = M,
                                         .N = N,
                                         .K = K};
    cr_assert_eq(attune_cuda_train_gather(NULL, &p, STEPS, parts), 0);
    cr_assert_eq(attune_cuda_train_sum_rows(NULL, sums, right, RIGHT, K, N, parts), 0);
    for (int n = 0; n < N; n++) {
        double sum = 0;
        for (int k = 0; k < K; k++) {
            sum += (double)right[k * RIGHT + n];
        }
        cr_assert_float_eq((double)sums[n], sum, 3e-5, "column %d: %g, not %g", n, (double)sums[n],
                           sum);
    }
    for (int i = 0; i < M * N; i++) {
        double sum = 0;
        for (int k = 0; k < K; k++) {
            const double before = k % STEPS ? (double)right[(k - 1) * RIGHT + i % N] : 0;
            sum += (double)left[k * LEFT + i / N] * before;
        }
        cr_assert_float_eq((double)out[i], sum, 3e-5, "%d: %g, not %g", i, (double)out[i], sum);
    }
    cr_assert(isnan(out[M * N]) && isnan(sums[N]));
    free(left);
    free(right);
    free(parts);
    free(out);
    free(sums);
}
