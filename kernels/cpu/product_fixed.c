/* product_fixed.c - GRU states times a matrix in 16-bit fixed point, for AVX-512 with words.
 *
 * States lie in [-1, 1] and are taken in units of 2^-13, a column of weights in a unit of its own
 * in which no sum can leave 32 bits (attune_fixed_matrix). One track's step reads its matrix from
 * L2, so words take half the time that floats would; several rows together are bound by the
 * multiply-adds, of which an instruction makes twice as many. Sums of integers are exact: a row's
 * bits do not depend on the rows beside it. */
#include "kernels/cpu/fixed.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/words.h"

#include <string.h>

enum { PANEL = ATTUNE_FIXED_PANEL, V = PANEL / 16, H_MAX = 1024 /* attune/model.h */ };

static void quantise(int16_t *out, const float *in, int count)
{
    for (int i = 0; i < count; i += W) {
        const vw words = _mm512_cvtps_epi32((__m512)(load(in + i) * ATTUNE_FIXED_STATE));
        _mm256_storeu_si256((__m256i *)(out + i), _mm512_cvtsepi32_epi16(words));
    }
}

/* The two words there in every lane. */
static inline vw pair_at(const int16_t *words)
{
    int32_t two;
    memcpy(&two, words, sizeof(two));
    return pair_of(two);
}

/* out (R, Q panels) = bias + rows · w */
static inline __attribute__((always_inline)) void tile(float *out, size_t stride,
                                                       const int16_t *rows,
                                                       const attune_fixed_matrix *m, int j, int R,
                                                       int Q)
{
    enum { MOST = 16 };
    const int32_t *w = m->weight + (size_t)j * m->K / 2;
    const size_t panel = (size_t)PANEL * m->K / 2;
    const int vectors = Q * V;
    vw sum[MOST], column[2 * V];
    ATTUNE_EACH(i, R * vectors, sum[i] = _mm512_setzero_si512())
    for (int k = 0; k < m->K / 2; k++) {
        ATTUNE_EACH(v, vectors,
                    column[v] = _mm512_load_si512(w + v / V * panel + k * PANEL + v % V * 16))
        ATTUNE_EACH(r, R, const vw x = pair_at(rows + r * m->K + 2 * k); ATTUNE_EACH(
                        v, vectors, sum[r * vectors + v] = dot(sum[r * vectors + v], column[v], x)))
    }
    ATTUNE_EACH(
        i, R * vectors, const int at = j + i % vectors * W;
        const vf x = (vf)_mm512_cvtepi32_ps(sum[i]);
        store(out + i / vectors * stride + at, fma_v(x, load(m->unit + at), load(m->bias + at))))
}

void ATTUNE_KERNEL(attune_fixed_product)(float *out, size_t stride, const float *const *rows,
                                         const attune_fixed_matrix *m, int M)
{
    int16_t words[ATTUNE_FIXED_ROWS * H_MAX];
    for (int r = 0; r < M; r++) {
        quantise(words + r * m->K, rows[r], m->K);
    }
    for (int j = 0; j < m->J; j += 2 * PANEL) {
        int r = 0;
        for (; r + 4 <= M; r += 4) {
            for (int p = 0; p < 2 * PANEL; p += PANEL) {
                tile(out + r * stride, stride, words + r * m->K, m, j + p, 4, 1);
            }
        }
        for (; r + 2 <= M; r += 2) {
            tile(out + r * stride, stride, words + r * m->K, m, j, 2, 2);
        }
        for (; r < M; r++) {
            tile(out + r * stride, stride, words + r * m->K, m, j, 1, 2);
        }
    }
}
