/* frontend_fixed.c - AudioEmbeddingTiny's features in 16-bit fixed point, for AVX-512 with words.
 *
 *   x (N) -> depthwise k5 s2 -> GELU -> g (N/2), in f32
 *     -> the line of every table on which g falls, and how far along it g is
 *     for each pair of 32 channels:
 *       gelu(scale · g + bias) by table -> depthwise k5 s2 -> GELU by table -> d (32, N/4)
 *     -> 32 to 64 -> GELU by table -> mean over the N/4 positions
 *
 * A frame is cut into 16 runs of N/16 samples, one for each lane of 32 bits: vector s holds sample
 * s of every run, and so a position's neighbours stand in the same lane of the neighbouring
 * vectors. No load crosses a cache line, and lanes move only at the ends of the runs. Two int16
 * share a lane: positions 2m and 2m + 1 before a convolution of stride 2, channels 2p and 2p + 1
 * before the mixing product, so that one instruction multiplies and adds both. Sums are made in
 * units of 2^-16 of the next int16's, which then is their high half.
 *
 * Cycles per frame of 2,048 on Zen 4, by stage: 2,000 to g, 400, 11,100 to d, 31,700, 650 (exact:
 * 114,000). The mixing product's multiply-adds alone are 32,800; half of its pairs of channels are
 * made by sums, as in frontend_tiny.c, where two additions replace one of them. Dropped: all pairs
 * by sums, 33,500; none, 39,300; rounding by offsets that differ from lane to lane, so that errors
 * cancel in the mean: a third less error in silence, a third more in loud music. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/fixed.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/words.h"

#include <string.h>

enum { C1 = ATTUNE_FIXED_C1, C2 = ATTUNE_FIXED_C2, LANES = 16, PAIRS = C1 / 2, V = 2, OUTPUTS = 8 };

/* One of the tables of fixed.h, in registers. */
typedef struct lines {
    vw value[2], slope[2];
} lines;

static inline lines load_lines(const attune_fixed_lines *from)
{
    return (lines){{_mm512_load_si512(from->value), _mm512_load_si512(from->value + 32)},
                   {_mm512_load_si512(from->slope), _mm512_load_si512(from->slope + 32)}};
}

static inline vw value_of(const lines *l, vw line)
{
    return _mm512_permutex2var_epi16(l->value[0], line, l->value[1]);
}

static inline vw slope_of(const lines *l, vw line)
{
    return _mm512_permutex2var_epi16(l->slope[0], line, l->slope[1]);
}

/* Neighbours across the ends of the runs: lane i from lane i - 1 or i + 1, 0 at the frame's own
 * edge. */
static inline vw from_before(vw last)
{
    return _mm512_maskz_permutexvar_epi32(
        0xfffe, _mm512_setr_epi32(0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14), last);
}

static inline vw from_behind(vw first)
{
    return _mm512_maskz_permutexvar_epi32(
        0x7fff, _mm512_setr_epi32(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0), first);
}

/* In place: row i of 16 becomes column i. */
static inline void transpose(vw r[16])
{
    vw s[16];
    for (int i = 0; i < 16; i += 2) {
        s[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        s[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(s[i], s[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(s[i], s[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(s[i + 1], s[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(s[i + 1], s[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        s[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        s[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        s[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        s[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(s[i], s[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(s[i], s[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(s[i + 4], s[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(s[i + 4], s[i + 12], 0xdd);
    }
}

/* x (N/16, 16): sample s of run i in lane i of vector s; two vectors before and one behind hold the
 * neighbours. */
static void split_runs(vw *x, const float *pcm, int run)
{
    for (int s = 0; s < run; s += 16) {
        vw r[16];
        for (int i = 0; i < 16; i++) {
            r[i] = _mm512_loadu_si512(pcm + (size_t)i * run + s);
        }
        transpose(r);
        for (int i = 0; i < 16; i++) {
            x[s + i] = r[i];
        }
    }
    x[-2] = from_before(x[run - 2]);
    x[-1] = from_before(x[run - 1]);
    x[run] = from_behind(x[0]);
}

/* g (N/32, 16) in place of x; returns the largest magnitude. */
static float first_convolution(vw *x, const attune_fixed_tiny *tables, int run)
{
    const float *w = tables->conv0;
    vf most = broadcast(0.0f);
    for (int n = 0; n < run / 2; n += TOGETHER) {
        vf sum[TOGETHER];
        ATTUNE_EACH(i, TOGETHER, const vf *at = (const vf *)(x + 2 * (n + i));
                    sum[i] = fma_v(broadcast(w[0]), at[-2], broadcast(tables->conv0_bias));
                    sum[i] = fma_v(broadcast(w[1]), at[-1], sum[i]);
                    sum[i] = fma_v(broadcast(w[2]), at[0], sum[i]);
                    sum[i] = fma_v(broadcast(w[3]), at[1], sum[i]);
                    sum[i] = fma_v(broadcast(w[4]), at[2], sum[i]))
        gelu_n(sum, TOGETHER, false);
        ATTUNE_EACH(i, TOGETHER, sum[i] *= 1 / ATTUNE_GELU_SCALE)
        ATTUNE_EACH(i, TOGETHER, most = max_v(most, abs_v(sum[i])))
        ATTUNE_EACH(i, TOGETHER, x[n + i - 2] = (vw)sum[i])
    }
    return _mm512_reduce_max_ps(most);
}

/* From g the line of every table at positions 2m and 2m + 1, and how far along it they are. */
static void find_lines(vw *along, vw *line, const vw *g, const attune_fixed_level *level, int count)
{
    const vf scale = broadcast(level->scale), offset = broadcast(-level->low * level->scale),
             zero = broadcast(0.0f), most = broadcast(32767.0f);
    for (int m = 0; m < count; m++) {
        const vf even = min_v(max_v(fma_v((vf)g[2 * m], scale, offset), zero), most);
        const vf odd = min_v(max_v(fma_v((vf)g[2 * m + 1], scale, offset), zero), most);
        const vw t = _mm512_or_si512(_mm512_cvtps_epi32((__m512)even),
                                     _mm512_slli_epi32(_mm512_cvtps_epi32((__m512)odd), 16));
        vw bits = word(level->bits[0]), base = word(level->base[0]);
        for (int i = 1; i < ATTUNE_FIXED_WIDTHS; i++) {
            const __mmask32 there = _mm512_cmpge_epi16_mask(t, word(level->first[i]));
            bits = _mm512_mask_mov_epi16(bits, there, word(level->bits[i]));
            base = _mm512_mask_mov_epi16(base, there, word(level->base[i]));
        }
        line[m] = _mm512_add_epi16(base, _mm512_srlv_epi16(t, bits));
        along[m] = _mm512_srli_epi16(_mm512_sllv_epi16(t, _mm512_sub_epi16(word(16), bits)), 1);
    }
}

static inline vw point(const lines *l, vw along, vw line)
{
    return _mm512_add_epi16(value_of(l, line), _mm512_mulhrs_epi16(slope_of(l, line), along));
}

/* The high halves of a in the low halves and of b in the high ones. */
static inline vw high_halves(vw a, vw b)
{
    return _mm512_mask_mov_epi16(_mm512_srli_epi32(a, 16), 0xaaaaaaaa, b);
}

/* A channel of the depthwise convolution under way: its values at three vectors of positions. */
typedef struct channel {
    lines point;
    vw tap[3], bias, before, now, next;
} channel;

static inline channel open_channel(const attune_fixed_level *level, int c, const vw *along,
                                   const vw *line, int count)
{
    channel ch = {
        .point = load_lines(&level->point[c]),
        .tap = {pair_of(level->depth[c][0]), pair_of(level->depth[c][1]),
                pair_of(level->depth[c][2])},
        .bias = pair_of(level->depth_bias[c]),
    };
    ch.before = from_before(point(&ch.point, along[count - 1], line[count - 1]));
    ch.now = point(&ch.point, along[0], line[0]);
    ch.next = point(&ch.point, along[1], line[1]);
    return ch;
}

/* The convolution, and one vector of positions onwards. */
static inline vw convolve(channel *ch, vw after)
{
    vw sum = dot(ch->bias, ch->before, ch->tap[0]);
    sum = dot(sum, ch->now, ch->tap[1]);
    sum = dot(sum, ch->next, ch->tap[2]);
    ch->before = ch->now;
    ch->now = ch->next;
    ch->next = after;
    return sum;
}

/* What the GELU behind the depthwise convolution needs, in registers. */
typedef struct gelu_table {
    lines lines;
    vw cap, shift;
} gelu_table;

static inline vw gelu_words(vw y, const gelu_table *g)
{
    const vw zero = _mm512_setzero_si512();
    const vw a = _mm512_max_epi16(y, _mm512_sub_epi16(zero, y));
    const vw line = _mm512_srlv_epi16(_mm512_min_epu16(a, g->cap), g->shift);
    return _mm512_add_epi16(_mm512_add_epi16(_mm512_max_epi16(y, zero), value_of(&g->lines, line)),
                            _mm512_mulhrs_epi16(slope_of(&g->lines, line), a));
}

/* d (count, PAIRS) of channels c and c + 1 over all positions; sums gets each channel's sum. A step
 * ends one vector's GELU, convolves the next and looks up the one behind that: three short chains,
 * which the processor runs side by side, in place of a long one. */
static void channel_pair(vw *d, vw sums[2], const vw *along, const vw *line,
                         const attune_fixed_level *level, int c, int count)
{
    const gelu_table gelu = {load_lines(&level->gelu), word(level->gelu_cap),
                             word(level->gelu_shift)};
    const vw low = pair_of(1), high = pair_of(1 << 16);
    channel a = open_channel(level, c, along, line, count),
            b = open_channel(level, c + 1, along, line, count);
    const vw end_a = from_behind(a.now), end_b = from_behind(b.now);
    vw sum_a = _mm512_setzero_si512(), sum_b = sum_a, y = sum_a;
    for (int m = 0; m <= count; m++) {
        vw after_a = end_a, after_b = end_b;
        if (m + 2 < count) {
            after_a = point(&a.point, along[m + 2], line[m + 2]);
            after_b = point(&b.point, along[m + 2], line[m + 2]);
        }
        if (m > 0) {
            const vw out = gelu_words(y, &gelu);
            sum_a = dot(sum_a, out, low);
            sum_b = dot(sum_b, out, high);
            d[(m - 1) * PAIRS] = out;
        }
        y = high_halves(convolve(&a, after_a), convolve(&b, after_b));
    }
    sums[0] = sum_a;
    sums[1] = sum_b;
}

/* What the GELU behind the mixing product needs, in registers. */
typedef struct half_table {
    lines lines;
    vw cap, shift, factor;
} half_table;

/* sum + GELU less half its argument, over pairs of words */
static inline vw add_gelu_half(vw sum, vw y, const half_table *h)
{
    const vw a = _mm512_max_epi16(y, _mm512_sub_epi16(_mm512_setzero_si512(), y));
    const vw line = _mm512_srlv_epi16(_mm512_min_epu16(a, h->cap), h->shift);
    sum = dot(sum, slope_of(&h->lines, line), a);
    return dot(sum, value_of(&h->lines, line), h->factor);
}

/* y (OUTPUTS) = OUTPUTS outputs of the mixing product at both vectors of positions, from `start`:
 * less the products x[2] · x[3] that those made by sums share (cpu.h). Meanwhile what GELU makes of
 * the tile before is added to sums: its instructions fill the ports that the products leave free.
 */
static inline __attribute__((always_inline)) void
mix_tile(vw *y, vw *sums, const vw *before, const vw *start, const vw *d,
         const int32_t (*weight)[PAIRS], const int32_t *bias, const half_table *half)
{
    vw acc[OUTPUTS][V];
    for (int i = 0; i < OUTPUTS; i++) {
        for (int v = 0; v < V; v++) {
            acc[i][v] = _mm512_add_epi32(start[v], pair_of(bias[i]));
        }
    }
#pragma GCC unroll 4
    for (int p = 0; p < PAIRS; p += 4) {
        for (int i = 0; i < OUTPUTS; i++) {
            const vw w0 = pair_of(weight[i][p]), w1 = pair_of(weight[i][p + 1]),
                     w2 = pair_of(weight[i][p + 2]), w3 = pair_of(weight[i][p + 3]);
            for (int v = 0; v < V; v++) {
                const vw *x = d + v * PAIRS + p;
                acc[i][v] = dot(acc[i][v], x[0], w0);
                acc[i][v] = dot(acc[i][v], x[1], w1);
                acc[i][v] = dot(acc[i][v], _mm512_add_epi16(x[2], w3), _mm512_add_epi16(x[3], w2));
            }
        }
        for (int i = p / 2; i < p / 2 + 2; i++) {
            sums[i] = add_gelu_half(sums[i], before[i], half);
        }
    }
    for (int i = 0; i < OUTPUTS; i++) {
        y[i] = high_halves(acc[i][0], acc[i][1]);
    }
}

/* sums (64) of GELU less half its argument over all positions. */
static void mix(vw *sums, const vw *d, const attune_fixed_tiny *tables,
                const attune_fixed_level *level, int count)
{
    const half_table half = {
        .lines = load_lines(&level->half),
        .cap = word(level->half_cap),
        .shift = word(level->half_shift),
        .factor = word(level->half_factor),
    };
    vw y[2][OUTPUTS] = {0}, none[OUTPUTS] = {0}, *now = y[0], *before = y[1], *target = none;
    memset(sums, 0, C2 * sizeof(*sums));
    for (int m = 0; m < count; m += V) {
        vw start[V];
        for (int v = 0; v < V; v++) {
            const vw *at = d + (m + v) * PAIRS;
            vw sum = _mm512_setzero_si512();
            for (int p = 2; p < PAIRS; p += 4) {
                sum = dot(sum, at[p], at[p + 1]);
            }
            start[v] = _mm512_sub_epi32(_mm512_setzero_si512(), sum);
        }
        for (int o = 0; o < C2; o += OUTPUTS) {
            mix_tile(now, target, before, start, d + m * PAIRS, tables->mix + o,
                     level->mix_bias + o, &half);
            vw *swap = now;
            now = before;
            before = swap;
            target = sums + o;
        }
    }
    for (int i = 0; i < OUTPUTS; i++) {
        target[i] = add_gelu_half(target[i], before[i], &half);
    }
}

/* Lane i is the sum of all lanes of sums[i]. */
static inline vf totals(const vw sums[16])
{
    vw r[16];
    for (int i = 0; i < 16; i++) {
        r[i] = (vw)_mm512_cvtepi32_ps(sums[i]);
    }
    transpose(r);
    for (int n = 8; n > 0; n /= 2) {
        for (int i = 0; i < n; i++) {
            r[i] = (vw)((vf)r[i] + (vf)r[i + n]);
        }
    }
    return (vf)r[0];
}

/* features = mean of GELU = half the mean of the argument, which is linear in the means of d, and
 * the mean of the rest. */
static void finish(float *features, const vw *sums, const vw *d_sums,
                   const attune_fixed_tiny *tables, const attune_fixed_level *level, int positions)
{
    const float scale = 1.0f / (float)positions;
    float mean[C1];
    for (int c = 0; c < C1; c += W) {
        store(mean + c, totals(d_sums + c) * (0.5f * scale * level->d));
    }
    for (int o = 0; o < C2; o += W) {
        vf sum = fma_v(totals(sums + o), broadcast(scale * level->half_unit),
                       load(level->linear_bias + o));
        for (int c = 0; c < C1; c++) {
            sum = fma_v(broadcast(mean[c]), load(tables->linear[c] + o), sum);
        }
        store(features + o, sum);
    }
}

static size_t frontend_scratch(const attune_network *network)
{
    /* in vectors: x and its neighbours, later g; lines and how far along; d; sums of d and of y */
    const size_t run = (size_t)network->frame_size / LANES;
    return (run + 4 + run / 2 + run / 4 * PAIRS + C1 + C2) * LANES;
}

/* features (64) of a frame; false if it is too loud. */
static bool frame(float *features, const float *pcm, const attune_fixed *fixed)
{
    const attune_fixed_tiny *tables = fixed->tables;
    const attune_network *network = &fixed->weights->network;
    const int run = network->frame_size / LANES, count = run / 4;
    vw *x = (vw *)fixed->scratch + 2, *along = x + run + 2, *line = along + count,
       *d = line + count, *d_sums = d + count * PAIRS, *sums = d_sums + C1;
    const char *next = (const char *)(pcm + network->hop_size);
    split_runs(x, pcm, run);
    const float most = first_convolution(x, tables, run);
    if (!(most <= tables->level[0].limit)) {
        return false;
    }
    int l = ATTUNE_FIXED_LEVELS - 1;
    while (most > tables->level[l].limit) {
        l--;
    }
    const attune_fixed_level *level = &tables->level[l];
    find_lines(along, line, x - 2, level, count);
    for (int p = 0; p < PAIRS; p++) {
        /* The next frame's samples may be far away. Asking for what is not there does nothing. */
        for (int i = 0; i < run * 4; i += 64) {
            __builtin_prefetch(next + p * run * 4 + i);
        }
        channel_pair(d + p, d_sums + 2 * p, along, line, level, 2 * p, count);
    }
    mix(sums, d, tables, level, count);
    finish(features, sums, d_sums, tables, level, 16 * count);
    return true;
}

/* Costs a sample or two where there is music. */
static bool is_silent(const float *pcm, int N)
{
    int n = 0;
    while (n < N && pcm[n] == 0) {
        n++;
    }
    return n == N;
}

static void frontend(float *features, const float *pcm, const attune_fixed *fixed, int F)
{
    const attune_network *network = &fixed->weights->network;
    for (int f = 0; f < F; f++) {
        float *out = features + (size_t)f * C2;
        const float *in = pcm + (size_t)f * network->hop_size;
        if (is_silent(in, network->frame_size)) {
            memcpy(out, fixed->tables->silence, sizeof(fixed->tables->silence));
        } else if (!frame(out, in, fixed)) {
            fixed->exact(out, in, fixed->weights, fixed->exact_scratch, 1);
        }
    }
}

const attune_fixed_kernels ATTUNE_KERNEL(attune_fixed) = {frontend, frontend_scratch,
                                                          ATTUNE_KERNEL(attune_fixed_product)};
