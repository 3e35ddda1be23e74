/* test_engine.c - tracks in pieces: the same bits however they are cut, and the ends of a track. */
#include "attune/engine.h"

#include "engine/engine_buffer.h"
#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 2048, E = 32, SAMPLES = 200 * N + 777 };

static float *noise(size_t count, uint64_t seed)
{
    float *pcm = malloc(count * sizeof(float));
    cr_assert_not_null(pcm);
    random_fill(&seed, pcm, count, 0.7f);
    return pcm;
}

static attune_engine *open_engine(const attune_model *model)
{
    attune_engine *engine = NULL;
    assert_ok(attune_engine_open(&engine, model, NULL));
    return engine;
}

static uint64_t embed(attune_engine *engine, float *embedding, const float *pcm, size_t count,
                      size_t piece)
{
    uint64_t frames = 0;
    attune_engine_begin(engine);
    for (size_t i = 0; i < count; i += piece) {
        const size_t some = count - i < piece ? count - i : piece;
        cr_assert_eq(attune_engine_push(engine, pcm + i, some), ATTUNE_OK);
    }
    cr_assert_eq(attune_engine_finish(engine, embedding, &frames), ATTUNE_OK);
    return frames;
}

Test(engine, pieces_and_company_change_no_bit)
{
    static const size_t pieces[] = {1, 13, 2047, 2048, 2049, 64 * N, SAMPLES};
    for (int half = 0; half < 2; half++) {
        attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
        n.hop_size = half ? N / 2 : N;
        attune_model *model = reference_model(&n, 11);
        attune_engine *engine = open_engine(model), *other = open_engine(model);
        float *pcm = noise(SAMPLES, 1), *stranger = noise(50 * N, 2);
        float alone[E], again[E];
        const uint64_t frames = embed(engine, alone, pcm, SAMPLES, SAMPLES);
        cr_assert_eq(frames, half ? 399u : 200u);
        for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
            embed(other, again, stranger, 50 * N - 3 * i, 999);
            cr_assert_eq(embed(other, again, pcm, SAMPLES, pieces[i]), frames);
            cr_assert_eq(memcmp(alone, again, sizeof(alone)), 0, "pieces of %zu", pieces[i]);
        }
        free(pcm);
        free(stranger);
        attune_engine_close(engine);
        attune_engine_close(other);
        attune_model_close(model);
    }
}

enum { TRACKS = 40 };

typedef struct outcome {
    float embedding[E];
    uint64_t frames;
    int calls;
} outcome;

static void keep(void *user, attune_status status, const float *embedding, uint64_t frames)
{
    outcome *o = user;
    cr_assert_eq(status, ATTUNE_OK);
    memcpy(o->embedding, embedding, sizeof(o->embedding));
    o->frames = frames;
    o->calls++;
}

/* Tracks of 1 to 90 frames, and some without a whole one. */
static size_t track_samples(int i)
{
    return i % 11 == 3 ? 100 + (size_t)i : N + (size_t)(i * 7919) * 50 % (90 * N);
}

Test(engine, tracks_that_wait_for_others_have_the_bits_of_one)
{
    static outcome alone[TRACKS], together[TRACKS];
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 15);
    attune_engine *engine = open_engine(model);
    float *pcm = noise(92 * N + TRACKS, 5);
    for (int i = 0; i < TRACKS; i++) {
        alone[i].frames = embed(engine, alone[i].embedding, pcm + i, track_samples(i), 5000);
    }
    for (int i = 0; i < TRACKS; i++) {
        if (i % 6 == 5) { /* given up: after its first frames, or before */
            cr_assert_eq(attune_engine_push(engine, pcm, i % 2 ? 70 * N : 300), ATTUNE_OK);
            attune_engine_begin(engine);
        }
        cr_assert_eq(attune_engine_push(engine, pcm + i, track_samples(i)), ATTUNE_OK);
        attune_engine_end(engine, keep, &together[i]);
    }
    attune_engine_flush(engine);
    for (int i = 0; i < TRACKS; i++) {
        cr_assert_eq(together[i].calls, 1);
        cr_assert_eq(together[i].frames, alone[i].frames);
        cr_assert_eq(memcmp(together[i].embedding, alone[i].embedding, sizeof(float) * E), 0,
                     "track %d", i);
    }
    free(pcm);
    attune_engine_close(engine);
    attune_model_close(model);
}

Test(engine, matches_reference_around_frame_edges)
{
    static const size_t counts[] = {1,     100,    N - 1,        N, N + 1, 2 * N - 1,
                                    2 * N, 65 * N, 65 * N + 1023};
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 12);
    attune_engine *engine = open_engine(model);
    float *pcm = noise(66 * N, 3);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        float embedding[E];
        double expected[E], largest = 0;
        const uint64_t frames = embed(engine, embedding, pcm, counts[i], 1000);
        cr_assert_eq(frames, counts[i] < N ? 1 : counts[i] / N, "%zu samples", counts[i]);
        reference_embed(expected, model, pcm, counts[i]);
        for (int e = 0; e < E; e++) {
            largest = fmax(largest, fabs((double)embedding[e] - expected[e]));
        }
        cr_assert_lt(largest, 1e-6, "%zu samples: %g", counts[i], largest);
    }
    free(pcm);
    attune_engine_close(engine);
    attune_model_close(model);
}

Test(engine, tail_that_fills_no_frame_is_dropped)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 13);
    attune_engine *engine = open_engine(model);
    float *pcm = noise(11 * N, 4), whole[E], with_tail[E];
    embed(engine, whole, pcm, 10 * N, 4096);
    embed(engine, with_tail, pcm, 11 * N - 1, 4096);
    cr_assert_eq(memcmp(whole, with_tail, sizeof(whole)), 0);
    embed(engine, with_tail, pcm, 11 * N, 4096);
    cr_assert_neq(memcmp(whole, with_tail, sizeof(whole)), 0);
    free(pcm);
    attune_engine_close(engine);
    attune_model_close(model);
}

/* What is no number must not become a vector that looks like music. */
Test(engine, what_is_no_number_is_refused)
{
    static const float none[] = {NAN, -NAN, INFINITY, -INFINITY, 2e15f};
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 15);
    attune_engine *engine = open_engine(model);
    float *pcm = noise(7 * N, 5), embedding[E], again[E];
    embed(engine, embedding, pcm, 6 * N, 6 * N);
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        const size_t at = 6 * N + i * 501;
        const float kept = pcm[at];
        char words[64];
        pcm[at] = none[i];
        snprintf(words, sizeof(words), "sample %zu of the track is %g", at, (double)none[i]);
        attune_engine_begin(engine);
        assert_ok(attune_engine_push(engine, pcm, 6 * N));
        assert_fails(attune_engine_push(engine, pcm + 6 * N, N), ATTUNE_EINVAL, words);
        assert_ok(attune_engine_finish(engine, again, NULL));
        cr_assert_eq(memcmp(embedding, again, sizeof(again)), 0);
        pcm[at] = kept;
    }
    free(pcm);
    attune_engine_close(engine);
    attune_model_close(model);
}

Test(engine, refusals)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 14);
    attune_engine *engine = NULL;
    float embedding[E];
    attune_engine_options options;
    attune_engine_options_default(&options);
    options.device = "cuda";
    cr_assert_eq(attune_engine_open(&engine, model, &options), ATTUNE_ENODEVICE);
    cr_assert_null(engine);
    cr_assert(strstr(attune_last_error(), "cuda"));
    attune_engine_options_default(&options);
    options.precision = "sloppy";
    cr_assert_eq(attune_engine_open(&engine, model, &options), ATTUNE_EINVAL);
    cr_assert(strstr(attune_last_error(), "sloppy"));
    engine = open_engine(model);
    attune_engine_begin(engine);
    cr_assert_eq(attune_engine_finish(engine, embedding, NULL), ATTUNE_EINVAL);
    attune_engine_close(engine);
    attune_engine_close(NULL);
    attune_model_close(model);
}
