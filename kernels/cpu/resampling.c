/* resampling.c - the downmix and the polyphase filter.
 *
 * Neighbouring outputs have different taps, and their samples are an odd number apart. Outputs B
 * apart, where B is a multiple of the phases, have the same taps, and their samples are always as
 * far apart. So 32 blocks of B outputs go side by side, one in each lane: samples are transposed
 * into rows of 32, and a tap is then one multiply-add of a row, without a sum across lanes.
 *
 * in:   | lane 0's B·M/L samples | lane 1's | ... | lane 31's | T more
 * rows: (B·M/L + T, 32), row r holding sample r of every lane's block
 * out:  | lane 0's B outputs | lane 1's | ... |
 *
 * ms per 30 s of audio with AVX-512: 1.3 from 44.1 kHz, 1.4 from 48 kHz. Bound by loads, of a row
 * and a tap per multiply-add: 16 lanes, with half as many rows to a tap, take 1.5 and 1.7; lanes
 * along the taps 5.5 from 48 kHz; even and odd samples apart, without rows, 1.5 from 44.1 kHz. */
#include "kernels/resampling.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <stdint.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

enum {
    LANES = ATTUNE_FILTER_LANES,
    OUTPUTS = 4,        /* at a time: as many sums under way as a multiply-add takes cycles */
    V = W >= 8 ? 2 : 1, /* vectors of lanes at a time */
};

#define MIX(name, type)                                                                            \
    static void name(float *restrict out, const type *left, const type *right, size_t spacing,     \
                     float gain, size_t count)                                                     \
    {                                                                                              \
        if (!right) {                                                                              \
            for (size_t i = 0; i < count; i++) {                                                   \
                out[i] = gain * (float)left[i];                                                    \
            }                                                                                      \
        } else if (spacing == 1) {                                                                 \
            for (size_t i = 0; i < count; i++) {                                                   \
                out[i] = gain * ((float)left[i] + (float)right[i]);                                \
            }                                                                                      \
        } else {                                                                                   \
            for (size_t i = 0; i < count; i++) {                                                   \
                out[i] = gain * ((float)left[2 * i] + (float)left[2 * i + 1]);                     \
            }                                                                                      \
        }                                                                                          \
    }

MIX(mix_s16, int16_t)
MIX(mix_s32, int32_t)
MIX(mix_f32, float)
MIX(mix_f64, double)

static void mix(float *out, const void *left, const void *right, attune_sample_type type,
                size_t spacing, float gain, size_t count)
{
    switch (type) {
    case ATTUNE_SAMPLE_S16:
        mix_s16(out, left, right, spacing, gain, count);
        break;
    case ATTUNE_SAMPLE_S32:
        mix_s32(out, left, right, spacing, gain, count);
        break;
    case ATTUNE_SAMPLE_F32:
        mix_f32(out, left, right, spacing, gain, count);
        break;
    case ATTUNE_SAMPLE_F64:
        mix_f64(out, left, right, spacing, gain, count);
        break;
    }
}

/* (4, 4) of row stride in_stride to its transpose of row stride out_stride. */
static inline void transpose(float *out, size_t out_stride, const float *in, size_t in_stride)
{
#ifdef __SSE__
    __m128 a = _mm_loadu_ps(in), b = _mm_loadu_ps(in + in_stride),
           c = _mm_loadu_ps(in + 2 * in_stride), d = _mm_loadu_ps(in + 3 * in_stride);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(out, a);
    _mm_storeu_ps(out + out_stride, b);
    _mm_storeu_ps(out + 2 * out_stride, c);
    _mm_storeu_ps(out + 3 * out_stride, d);
#else
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
            out[j * out_stride + i] = in[i * in_stride + j];
        }
    }
#endif
}

/* sums (OUTPUTS, LANES): outputs whose taps and first rows are given. Each is summed over its taps
 * upwards. */
static void tile(float *sums, const float *const *rows, const float *const *taps, int T)
{
    for (int lane = 0; lane < LANES; lane += V * W) {
        vf sum[OUTPUTS][V] = {0};
        for (int k = 0; k < T; k++) {
            for (int n = 0; n < OUTPUTS; n++) {
                const vf x = broadcast(taps[n][k]);
                for (int v = 0; v < V; v++) {
                    sum[n][v] = fma_v(x, load(rows[n] + k * LANES + lane + v * W), sum[n][v]);
                }
            }
        }
        for (int n = 0; n < OUTPUTS; n++) {
            for (int v = 0; v < V; v++) {
                store(sums + n * LANES + lane + v * W, sum[n][v]);
            }
        }
    }
}

static void filter(float *out, const float *in, const attune_filter *f, float *scratch)
{
    const int B = f->block, T = f->taps, L = f->phases, M = f->step;
    const int samples = B / L * M; /* of a lane's block */
    for (int r = 0; r < samples + T; r += 4) {
        for (int lane = 0; lane < LANES; lane += 4) {
            transpose(scratch + r * LANES + lane, LANES, in + lane * samples + r, samples);
        }
    }
    for (int n = 0; n < B; n += OUTPUTS) {
        const float *rows[OUTPUTS], *taps[OUTPUTS];
        float sums[OUTPUTS * LANES];
        n = n <= B - OUTPUTS ? n : B - OUTPUTS; /* the last ones are made again */
        for (int i = 0; i < OUTPUTS; i++) {
            rows[i] = scratch + (n + i) * M / L * LANES;
            taps[i] = f->bank + (n + i) * M % L * T;
        }
        tile(sums, rows, taps, T);
        for (int lane = 0; lane < LANES; lane += 4) {
            transpose(out + lane * B + n, B, sums + lane, LANES);
        }
    }
}

const attune_resampling ATTUNE_KERNEL(attune_resampling) = {.mix = mix, .filter = filter};
