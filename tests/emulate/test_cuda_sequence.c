/* test_cuda_sequence.c - the CUDA GRU, pooling and head, emulated, against the double-precision
 * network and the CPU: ragged segments, in any company, cut anywhere. */
#include "kernels/kernels.h"

#include "tests/emulate/emulated.h"
#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An emulated device with one model. Slots, scratch and feature rows hold NaN until they are used.
 */
typedef struct device {
    attune_network network;
    attune_cuda_weights weights;
    void *blob, *slots, *scratch;
    uint32_t slot_count, rows;
} device;

static device open_device(const attune_model *model, uint32_t slot_count, uint32_t rows)
{
    device d = {.network = *attune_model_network(model), .slot_count = slot_count, .rows = rows};
    d.weights = emulated_weights(&d.blob, model);
    d.slots = emulated_memory(attune_cuda_slot_bytes(&d.network) * slot_count);
    d.scratch = emulated_memory(attune_cuda_scratch_bytes(&d.network, rows));
    return d;
}

static void close_device(device *d)
{
    free(d->blob);
    free(d->slots);
    free(d->scratch);
}

/* A track's features (count, C), as floats and as doubles. */
typedef struct track {
    uint32_t count;
    float *features;
    double *wide;
} track;

static track make_track(const attune_network *n, uint32_t count, uint64_t seed)
{
    const size_t values = (size_t)count * n->features;
    track t = {.count = count,
               .features = malloc(values * sizeof(float)),
               .wide = malloc(values * sizeof(double))};
    cr_assert(t.features && t.wide);
    random_fill(&seed, t.features, values, 1.0f);
    for (size_t i = 0; i < values; i++) {
        t.wide[i] = (double)t.features[i];
    }
    return t;
}

static void free_track(track *t)
{
    free(t->features);
    free(t->wide);
}

/* One sequence call: rows [from[i], from[i] + counts[i]) of track i move slot slots[i] on. The rows
 * stand in a feature buffer with rows of NaN between them, and NaN in the scratch. */
static void run_sequence(device *d, const track *tracks, const uint32_t *slots,
                         const uint32_t *from, const uint32_t *counts, uint32_t count,
                         int multiprocessors)
{
    const size_t C = (size_t)d->network.features;
    float *features = emulated_memory((size_t)d->rows * C * sizeof(float));
    attune_segment *segments = emulated_memory(count * sizeof(attune_segment));
    const uint32_t first = 3;
    uint32_t row = first;
    memset(d->scratch, 0xff, attune_cuda_scratch_bytes(&d->network, d->rows));
    for (uint32_t i = 0; i < count; i++) {
        segments[i] = (attune_segment){.slot = slots[i], .first = row, .count = counts[i]};
        cr_assert_leq(row + counts[i], d->rows);
        memcpy(features + row * C, tracks[i].features + from[i] * C, counts[i] * C * sizeof(float));
        row += counts[i] + i % 2; /* a row between some */
    }
    const uint32_t rows = segments[count - 1].first + segments[count - 1].count - first;
    cr_assert_eq(attune_cuda_sequence(NULL, d->slots, d->scratch, features, segments, &d->weights,
                                      first, rows, count, multiprocessors),
                 0);
    free(features);
    free(segments);
}

/* embeddings (count, E), freshly allocated, with one untouched NaN behind them. */
static float *run_head(device *d, const uint32_t *slots, uint32_t count)
{
    const size_t values = (size_t)count * d->network.embedding;
    float *embeddings = emulated_memory((values + 1) * sizeof(float));
    cr_assert_eq(attune_cuda_head(NULL, embeddings, d->slots, slots, &d->weights, count), 0);
    cr_assert(isnan(embeddings[values]));
    return embeddings;
}

/* Whole tracks in one call, into slots slot_count - 1 downwards. embeddings (count, E). */
static float *run_tracks(device *d, const track *tracks, uint32_t count, int multiprocessors)
{
    uint32_t *slots = malloc(3 * count * sizeof(uint32_t)), *from = slots + count,
             *counts = from + count;
    cr_assert_not_null(slots);
    for (uint32_t i = 0; i < count; i++) {
        slots[i] = d->slot_count - 1 - i;
        from[i] = 0;
        counts[i] = tracks[i].count;
    }
    cr_assert_eq(attune_cuda_begin(NULL, d->slots, slots, &d->weights, count), 0);
    run_sequence(d, tracks, slots, from, counts, count, multiprocessors);
    float *embeddings = run_head(d, slots, count);
    free(slots);
    return embeddings;
}

static void check_cpu(const attune_model *model, const track *t, const float *embedding)
{
    const attune_network *n = attune_model_network(model);
    const attune_kernels *cpu = attune_kernels_cpu_named("baseline");
    void *context = NULL;
    float twin[1024];
    double wide[1024];
    cr_assert_eq(cpu->open(&context, model, ATTUNE_PRECISION_EXACT), ATTUNE_OK);
    cpu->begin(context, 0);
    const attune_segment all = {.count = t->count};
    cr_assert_eq(cpu->sequence(context, t->features, &all, 1), ATTUNE_OK);
    cr_assert_eq(cpu->finish(context, twin, 0), ATTUNE_OK);
    for (int e = 0; e < n->embedding; e++) {
        wide[e] = (double)twin[e];
    }
    cr_assert_lt(reference_worst("against the CPU", embedding, wide, (size_t)n->embedding), 1e-6);
    cpu->close(context);
}

/* 12 tracks of 1 to 70 frames: two blocks or more whatever shares one. 1e-6 is what the project
 * promises. */
static void check_shape(int index)
{
    enum { TRACKS = 12 };
    static const uint32_t counts[TRACKS] = {70, 69, 66, 33, 32, 31, 17, 9, 3, 2, 1, 1};
    const attune_network n = reference_shape(index);
    attune_model *model = reference_model(&n, 200 + (uint64_t)index);
    device d = open_device(model, TRACKS + 2, 400);
    track tracks[TRACKS];
    double expected[1024];
    for (uint32_t i = 0; i < TRACKS; i++) {
        tracks[i] = make_track(&n, counts[i], 300 + i);
    }
    printf("shape %d\n", index);
    float *embeddings = run_tracks(&d, tracks, TRACKS, 2);
    for (uint32_t i = 0; i < TRACKS; i++) {
        const float *embedding = embeddings + i * (size_t)n.embedding;
        reference_sequence(expected, model, tracks[i].wide, tracks[i].count);
        cr_assert_lt(reference_worst("embedding", embedding, expected, (size_t)n.embedding), 1e-6,
                     "shape %d track %u", index, i);
    }
    check_cpu(model, &tracks[0], embeddings);
    /* slots that nobody asked for */
    const float *untouched = d.slots;
    for (size_t i = 0; i < 2 * attune_cuda_slot_bytes(&n) / sizeof(float); i++) {
        cr_assert(isnan(untouched[i]));
    }
    free(embeddings);
    for (uint32_t i = 0; i < TRACKS; i++) {
        free_track(&tracks[i]);
    }
    close_device(&d);
    attune_model_close(model);
}

Test(cuda_sequence, published_shape_matches_reference)
{
    check_shape(0);
}

Test(cuda_sequence, wide_network_matches_reference)
{
    check_shape(4);
}

Test(cuda_sequence, poolings_match_reference)
{
    check_shape(5);
    check_shape(6);
}

Test(cuda_sequence, small_networks_match_reference)
{
    check_shape(7);
    check_shape(8);
    check_shape(10);
}

Test(cuda_sequence, baseline_matches_reference)
{
    check_shape(9);
}

Test(cuda_sequence, widest_network_matches_reference)
{
    attune_network n = reference_shape(0);
    n.hidden = n.attention = n.projection = n.embedding = 1024;
    n.layers = 1;
    attune_model *model = reference_model(&n, 250);
    device d = open_device(model, 1, 16);
    track t = make_track(&n, 5, 251);
    double expected[1024];
    float *embedding = run_tracks(&d, &t, 1, 1);
    reference_sequence(expected, model, t.wide, t.count);
    cr_assert_lt(reference_worst("embedding", embedding, expected, 1024), 1e-6);
    free(embedding);
    free_track(&t);
    close_device(&d);
    attune_model_close(model);
}

/* A track alone, first and last among 100 others, with any number of tracks to a block: the same
 * bits. */
static void check_company(int index)
{
    enum { OTHERS = 100 };
    const attune_network n = reference_shape(index);
    const size_t bytes = (size_t)n.embedding * sizeof(float);
    attune_model *model = reference_model(&n, 400);
    device d = open_device(model, OTHERS + 5, 1200);
    track tracks[OTHERS + 1];
    for (uint32_t i = 0; i <= OTHERS; i++) {
        tracks[i] = make_track(&n, i == 0 ? 23 : 1 + i % 17, 500 + i);
    }
    float *alone = run_tracks(&d, tracks, 1, 132);
    static const int multiprocessors[] = {1, 30, 60, 132}; /* 8, 4, 2, 1 to a block */
    for (int m = 0; m < 4; m++) {
        float *first = run_tracks(&d, tracks, OTHERS + 1, multiprocessors[m]);
        cr_assert_eq(memcmp(alone, first, bytes), 0);
        free(first);
    }
    const track moved = tracks[0];
    tracks[0] = tracks[OTHERS];
    tracks[OTHERS] = moved;
    float *last = run_tracks(&d, tracks, OTHERS + 1, 1);
    cr_assert_eq(memcmp(alone, last + (size_t)OTHERS * n.embedding, bytes), 0);
    free(last);
    free(alone);
    for (uint32_t i = 0; i <= OTHERS; i++) {
        free_track(&tracks[i]);
    }
    close_device(&d);
    attune_model_close(model);
}

Test(cuda_sequence, company_changes_no_bit)
{
    check_company(0);
}

Test(cuda_sequence, company_changes_no_bit_of_small_networks)
{
    check_company(8);
}

/* A track cut into calls of `size` rows, beside a second track that goes through at once. */
static void run_cut(device *d, const track *tracks, uint32_t size)
{
    const uint32_t slots[2] = {2, 0};
    cr_assert_eq(attune_cuda_begin(NULL, d->slots, slots, &d->weights, 2), 0);
    for (uint32_t from = 0; from < tracks[0].count; from += size) {
        const uint32_t left = tracks[0].count - from, starts[2] = {from, 0},
                       counts[2] = {left < size ? left : size, tracks[1].count};
        run_sequence(d, tracks, slots, starts, counts, from == 0 ? 2 : 1, 1);
    }
}

static void check_cuts(int index)
{
    const attune_network n = reference_shape(index);
    const size_t bytes = 2 * (size_t)n.embedding * sizeof(float);
    attune_model *model = reference_model(&n, 600);
    device d = open_device(model, 4, 100);
    track tracks[2] = {make_track(&n, 70, 601), make_track(&n, 11, 602)};
    const uint32_t slots[2] = {2, 0}, sizes[] = {1, 3, 16, 64};
    run_cut(&d, tracks, 70);
    float *whole = run_head(&d, slots, 2);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        run_cut(&d, tracks, sizes[i]);
        float *cut = run_head(&d, slots, 2);
        cr_assert_eq(memcmp(whole, cut, bytes), 0, "shape %d cut into %u", index, sizes[i]);
        free(cut);
    }
    free(whole);
    free_track(&tracks[0]);
    free_track(&tracks[1]);
    close_device(&d);
    attune_model_close(model);
}

Test(cuda_sequence, cuts_change_no_bit)
{
    check_cuts(0);
}

Test(cuda_sequence, cuts_change_no_bit_of_other_networks)
{
    check_cuts(5);
    check_cuts(6);
    check_cuts(7);
    check_cuts(10);
}

/* A softmax whose scores climb by hundreds: what came before must be rescaled. Scores of 1e3 carry
 * 1e-4. */
Test(cuda_sequence, attention_survives_large_scores)
{
    const attune_network n = reference_shape(0);
    attune_model *model = reference_model(&n, 5);
    const attune_parameters *p = attune_model_parameters(model);
    for (int a = 0; a < n.attention; a++) {
        p->score_weight[a] *= 300;
    }
    track t = make_track(&n, 70, 3);
    for (size_t i = 0; i < (size_t)t.count * n.features; i++) {
        t.features[i] *= (float)(i / (size_t)n.features) / (float)t.count * 3;
        t.wide[i] = (double)t.features[i];
    }
    device d = open_device(model, 1, 80);
    double expected[32];
    float *embedding = run_tracks(&d, &t, 1, 1);
    reference_sequence(expected, model, t.wide, t.count);
    cr_assert_lt(reference_worst("embedding", embedding, expected, 32), 2e-5);
    free(embedding);
    free_track(&t);
    close_device(&d);
    attune_model_close(model);
}

/* Sums of a track of five hours: one float would be off by 1e-4 and more. What stays is the
 * rounding of exp and of each product, 1e-7 of a term. */
Test(cuda_sequence, long_sums_keep_their_digits)
{
    enum { ROWS = 200000, H = 16 };
    attune_network n = reference_shape(7);
    attune_model *model = reference_model(&n, 700);
    device d = open_device(model, 1, 1);
    float *scores = emulated_memory(ROWS * sizeof(float)),
          *states = emulated_memory(ROWS * H * sizeof(float));
    uint64_t seed = 701;
    random_fill(&seed, scores, ROWS, 3.0f);
    for (size_t t = 0; t < ROWS; t++) {
        scores[t] -= 200.0f; /* whose exponentials no float holds */
    }
    random_fill(&seed, states, (size_t)ROWS * H, 1.0f);
    for (size_t i = 0; i < (size_t)ROWS * H; i++) {
        states[i] += 1.0f; /* sums that grow are the harder case */
    }
    const uint32_t slot = 0;
    const attune_segment segment = {.slot = 0, .first = 0, .count = ROWS};
    double sum[H] = {0}, weight = 0;
    for (size_t t = 0; t < ROWS; t++) {
        const double w = exp((double)scores[t]);
        weight += w;
        for (size_t i = 0; i < H; i++) {
            sum[i] += w * (double)states[t * H + i];
        }
    }
    attune_cuda_begin(NULL, d.slots, &slot, &d.weights, 1);
    attune_cuda_pool(NULL, d.slots, scores, states, &segment, &d.weights, 1);
    const float *pooled = (const float *)d.slots + n.layers * H, *scalars = pooled + 2 * H;
    float got[H];
    for (size_t i = 0; i < H; i++) {
        got[i] = (pooled[i] + pooled[H + i]) / (scalars[1] + scalars[2]);
        sum[i] /= weight;
    }
    cr_assert_lt(reference_worst("pooled", got, sum, H), 3e-7);
    free(scores);
    free(states);
    close_device(&d);
    attune_model_close(model);
}

/* A NaN must come out as NaN, not as an embedding. */
Test(cuda_sequence, bad_features_show)
{
    const attune_network n = reference_shape(0);
    attune_model *model = reference_model(&n, 800);
    track t = make_track(&n, 3, 801);
    t.features[n.features + 5] = NAN;
    device d = open_device(model, 1, 10);
    float *embedding = run_tracks(&d, &t, 1, 1);
    cr_assert(isnan(embedding[0]));
    free(embedding);
    free_track(&t);
    close_device(&d);
    attune_model_close(model);
}
