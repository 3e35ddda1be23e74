/* test_resampling.c - downmix and polyphase filter of every instruction set against plain sums in
 * double. */
#include "kernels/kernels.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const isas[] = {"baseline", "avx2", "avx512"};
enum { ISAS = sizeof(isas) / sizeof(isas[0]) };

static float *floats(size_t count)
{
    float *out = aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64);
    cr_assert_not_null(out);
    return out;
}

/* Compares outputs with sums over their taps. An error of half a unit in the last place per
 * multiply-add is what f32 allows. */
static void check_outputs(const float *out, const float *in, const attune_filter *f, size_t count,
                          const char *isa)
{
    for (size_t n = 0; n < count; n++) {
        const size_t first = n * (size_t)f->step / (size_t)f->phases,
                     phase = n * (size_t)f->step % (size_t)f->phases;
        double sum = 0, size = 0;
        for (size_t k = 0; k < (size_t)f->taps; k++) {
            const double product =
                (double)f->bank[phase * (size_t)f->taps + k] * (double)in[first + k];
            sum += product;
            size += fabs(product);
        }
        cr_assert(fabs((double)out[n] - sum) <= 0x1p-24 * f->taps * size,
                  "%s, %d taps, %d/%d, output %zu: %.9g, not %.9g", isa, f->taps, f->phases,
                  f->step, n, (double)out[n], sum);
    }
}

static void check_filter(const attune_filter *f, const char *isa)
{
    const attune_resampling *kernels = attune_kernels_cpu_named(isa)->resampling;
    const size_t reads = attune_filter_reads(f), outputs = attune_filter_outputs(f);
    float *in = floats(reads), *out = floats(outputs + 1), *again = floats(outputs),
          *scratch = floats(attune_filter_scratch(f));
    uint64_t seed = 21;
    random_fill(&seed, f->bank, (size_t)(f->phases * f->taps), 0.1f);
    random_fill(&seed, in, reads, 1.5f);
    memset(scratch, 0xff, attune_filter_scratch(f) * sizeof(float)); /* NaN */
    out[outputs] = 42;
    kernels->filter(out, in, f, scratch);
    check_outputs(out, in, f, outputs, isa);
    cr_assert_eq(out[outputs], 42);
    /* Samples behind an output's own do not reach it. */
    const size_t known = outputs / 3;
    for (size_t i = known * (size_t)f->step / (size_t)f->phases + (size_t)f->taps; i < reads; i++) {
        in[i] = NAN;
    }
    kernels->filter(again, in, f, scratch);
    cr_assert(memcmp(again, out, known * sizeof(float)) == 0, "%s: later samples matter", isa);
    free(in);
    free(out);
    free(again);
    free(scratch);
}

Test(resampling, filters_are_sums_over_taps)
{
    static float bank[147 * 72];
    const attune_filter filters[] = {
        {.taps = 66, .phases = 1, .step = 2, .block = 64, .bank = bank},
        {.taps = 72, .phases = 147, .step = 320, .block = 147, .bank = bank},
        {.taps = 264, .phases = 1, .step = 8, .block = 5, .bank = bank},
        {.taps = 7, .phases = 3, .step = 4, .block = 6, .bank = bank},
    };
    for (size_t i = 0; i < ISAS; i++) {
        for (size_t k = 0; k < sizeof(filters) / sizeof(filters[0]); k++) {
            if (attune_kernels_cpu_named(isas[i])) {
                check_filter(&filters[k], isas[i]);
            }
        }
    }
}

enum { COUNT = 203 };

/* Sample i of a channel as this type gives it, and what stands there for it. */
static double put(void *to, attune_sample_type type, size_t at, double value)
{
    switch (type) {
    case ATTUNE_SAMPLE_S16:
        return ((int16_t *)to)[at] = (int16_t)lrint(value * 32767);
    case ATTUNE_SAMPLE_S32:
        return ((int32_t *)to)[at] = (int32_t)lrint(value * 2147483647);
    case ATTUNE_SAMPLE_F32:
        return (double)(((float *)to)[at] = (float)value);
    default:
        return ((double *)to)[at] = value;
    }
}

static void check_mix(const attune_resampling *kernels, attune_sample_type type, int layout,
                      size_t count)
{
    static const size_t bytes[] = {2, 4, 4, 8};
    static double left[2 * COUNT + 1], right[COUNT + 1];
    double expected[COUNT];
    float out[COUNT + 1], gain = 0.37f;
    uint64_t seed = 5 + count;
    const bool interleaved = layout == 2;
    void *second = interleaved ? (char *)left + bytes[type] : (void *)right;
    for (size_t i = 0; i < count; i++) {
        const size_t at = interleaved ? 2 * i : i;
        expected[i] = put(left, type, at, (double)random_uniform(&seed));
        if (layout > 0) {
            expected[i] += put(second, type, at, (double)random_uniform(&seed));
        }
    }
    out[count] = 42;
    kernels->mix(out, left, layout > 0 ? second : NULL, type, interleaved ? 2 : 1, gain, count);
    for (size_t i = 0; i < count; i++) {
        const double right_one = (double)gain * expected[i];
        /* Two conversions, a sum and a product, each rounded to 24 bits. */
        cr_assert(fabs((double)out[i] - right_one) <=
                      0x1p-22 * (type == ATTUNE_SAMPLE_S32 ? 0x1p31 : 1) +
                          0x1p-22 * fabs(right_one),
                  "type %d, layout %d, sample %zu: %.9g, not %.9g", (int)type, layout, i,
                  (double)out[i], right_one);
    }
    cr_assert_eq(out[count], 42);
}

Test(resampling, mixes_are_sums_of_channels)
{
    for (size_t i = 0; i < ISAS; i++) {
        for (int k = 0; k < 4 * 3 && attune_kernels_cpu_named(isas[i]); k++) {
            const attune_resampling *kernels = attune_kernels_cpu_named(isas[i])->resampling;
            check_mix(kernels, (attune_sample_type)(k % 4), k / 4, COUNT);
            check_mix(kernels, (attune_sample_type)(k % 4), k / 4, 1);
            check_mix(kernels, (attune_sample_type)(k % 4), k / 4, 0);
        }
    }
}
