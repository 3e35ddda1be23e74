/* split.c - numpy's generator and shuffle, and scikit-learn's sizes. */
#include "train/split.h"

#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* MT19937 (Matsumoto and Nishimura, 1998). */
enum { WORDS = 624, SHIFT = 397 };

typedef struct twister {
    uint32_t words[WORDS];
    int next;
} twister;

static void seed_twister(twister *t, uint32_t seed)
{
    for (uint32_t i = 0; i < WORDS; i++) {
        t->words[i] = seed;
        seed = 1812433253u * (seed ^ seed >> 30) + i + 1;
    }
    t->next = WORDS;
}

static uint32_t twist(uint32_t high, uint32_t low, uint32_t far)
{
    const uint32_t y = (high & 0x80000000u) | (low & 0x7fffffffu);
    return far ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
}

static uint32_t next_word(twister *t)
{
    if (t->next == WORDS) {
        for (int i = 0; i < WORDS; i++) {
            t->words[i] =
                twist(t->words[i], t->words[(i + 1) % WORDS], t->words[(i + SHIFT) % WORDS]);
        }
        t->next = 0;
    }
    uint32_t y = t->words[t->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

/* 0 to `limit`, each equally likely: numpy's way, by rejection. */
static uint32_t next_up_to(twister *t, uint32_t limit)
{
    uint32_t mask = limit, value = 0;
    for (int shift = 1; shift < 32; shift *= 2) {
        mask |= mask >> shift;
    }
    do {
        value = next_word(t) & mask;
    } while (value > limit);
    return value;
}

/* out (count) = 0 to count - 1 as numpy.random.RandomState(seed).permutation(count) has them. */
static void permute(uint32_t *out, uint32_t count, uint32_t seed)
{
    twister t;
    seed_twister(&t, seed);
    for (uint32_t i = 0; i < count; i++) {
        out[i] = i;
    }
    for (uint32_t i = count; i-- > 1;) {
        const uint32_t j = next_up_to(&t, i), kept = out[i];
        out[i] = out[j];
        out[j] = kept;
    }
}

/* Orders rows as train_test_split does: those that stay, then those held out, whose number is
 * returned; as they were, if that is none. `scratch` has room for 2 · count. */
static uint32_t divide(uint32_t *rows, uint32_t *scratch, uint32_t count, double share,
                       uint32_t seed)
{
    const uint32_t held = (uint32_t)ceil(share * count), stay = count - held;
    uint32_t *order = scratch, *old = scratch + count;
    if (held == 0) {
        return 0;
    }
    permute(order, count, seed);
    memcpy(old, rows, count * sizeof(*rows));
    for (uint32_t i = 0; i < count; i++) {
        rows[i < held ? stay + i : i - held] = old[order[i]]; /* the held out come first */
    }
    return held;
}

attune_status attune_split_rows(uint32_t *rows, uint32_t start[ATTUNE_PART_COUNT + 1],
                                uint32_t count, const attune_split_options *options)
{
    if (!(options->held_out >= 0 && options->held_out <= 1) ||
        !(options->validation >= 0 && options->validation <= 1)) {
        return attune_fail(ATTUNE_EINVAL,
                           "a split that holds out %g, and %g of it for validation: both must be "
                           "shares, 0 to 1",
                           options->held_out, options->validation);
    }
    uint32_t *scratch = malloc(sizeof(*scratch) * 3 * ((size_t)count + 1));
    if (!scratch) {
        return attune_fail_memory("a split", sizeof(*scratch) * 3 * ((size_t)count + 1));
    }
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = i;
    }
    const uint32_t held = divide(rows, scratch, count, options->held_out, options->seed);
    uint32_t *rest = scratch + 2 * (size_t)count;
    memcpy(rest, rows + count - held, held * sizeof(*rest));
    const uint32_t validation = divide(rest, scratch, held, options->validation, options->seed);
    /* The second call gives the test set first. */
    const uint32_t test = held - validation;
    start[ATTUNE_PART_TRAIN] = 0;
    start[ATTUNE_PART_VALIDATION] = count - held;
    start[ATTUNE_PART_TEST] = start[ATTUNE_PART_VALIDATION] + validation;
    start[ATTUNE_PART_COUNT] = count;
    memcpy(rows + start[ATTUNE_PART_VALIDATION], rest + test, validation * sizeof(*rows));
    memcpy(rows + start[ATTUNE_PART_TEST], rest, test * sizeof(*rows));
    free(scratch);
    return ATTUNE_OK;
}
