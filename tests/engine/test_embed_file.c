/* test_embed_file.c - which samples a file's embedding is made of: the precision decides, and not
 * the caller. */
#include "engine/embed_file.h"

#include "tests/engine/fake_batch.h"
#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { E = 32, SAMPLES = 100000 /* at 44.1 kHz */ };

/* A 16-bit mono WAV of noise at 44,100 Hz, which both ways of resampling round differently. */
static char *noise_file(void)
{
    static int16_t samples[SAMPLES];
    uint64_t seed = 17;
    for (size_t i = 0; i < SAMPLES; i++) {
        samples[i] = (int16_t)(random_uniform(&seed) * 20000);
    }
    char *path = temporary_path("noise.wav");
    write_wav(path, 44100, 1, 16, samples, sizeof(samples));
    return path;
}

typedef struct outcome {
    int calls;
    float embedding[E];
} outcome;

static void on_done(void *user, attune_status status, const float *embedding, uint64_t frames)
{
    outcome *o = user;
    cr_assert_eq(status, ATTUNE_OK);
    cr_assert_gt(frames, 0);
    memcpy(o->embedding, embedding, sizeof(o->embedding));
    o->calls++;
}

static void on_row(void *user, attune_status status, const attune_track *track,
                   const float *embedding, const float *descriptors)
{
    cr_assert_null(descriptors);
    cr_assert_eq(track->status, ATTUNE_TRACK_OK, "%s", track->error);
    on_done(user, status, embedding, track->frames);
}

static attune_batch_engine *open_fake(const attune_model *model, attune_precision precision)
{
    attune_batch_engine *engine = NULL;
    const attune_batch_engine_options options = {
        .kernels = fake_batch_kernels(), .precision = precision, .batch_frames = 256};
    fake = (fake_batch){.devices = 1, .memory = (size_t)1 << 30};
    assert_ok(attune_batch_engine_open(&engine, model, &options));
    return engine;
}

/* Pushes the file's samples, resampled in one way, as a track. */
static outcome push_samples(const attune_model *model, attune_precision precision, const char *path,
                            bool fast_resampling)
{
    attune_batch_engine *engine = open_fake(model, precision);
    attune_batch_track *track = NULL;
    attune_audio *audio = NULL;
    attune_audio_result result;
    attune_audio_options options;
    outcome o = {0};
    size_t count = 0;
    attune_audio_options_default(&options);
    options.fast_resampling = fast_resampling;
    cr_assert_eq(attune_audio_open(&audio, path, &options, &result), ATTUNE_OK);
    cr_assert_eq(attune_batch_track_begin(&track, engine), ATTUNE_OK);
    do {
        size_t space = 0;
        float *to = attune_batch_track_space(track, &space);
        cr_assert_eq(attune_audio_read(audio, to, space, &count), ATTUNE_OK);
        cr_assert_eq(attune_batch_track_advance(track, count), ATTUNE_OK);
    } while (count > 0);
    attune_audio_close(audio);
    attune_batch_track_end(track, on_done, &o);
    attune_batch_engine_close(engine);
    cr_assert_eq(o.calls, 1);
    return o;
}

static outcome embed_file(const attune_model *model, attune_precision precision, const char *path,
                          bool fast_resampling)
{
    attune_batch_engine *engine = open_fake(model, precision);
    attune_audio_options options;
    const attune_embed_device device = {.batch = engine};
    const attune_audio_place place = attune_audio_place_of(path);
    outcome o = {0};
    attune_audio_options_default(&options);
    options.fast_resampling = fast_resampling;
    cr_assert_eq(attune_embed_file(&device, attune_model_network(model), &place, &options, NULL,
                                   NULL, NULL, on_row, &o),
                 ATTUNE_OK);
    attune_batch_engine_close(engine);
    cr_assert_eq(o.calls, 1);
    return o;
}

static bool same(const float *a, const float *b)
{
    return memcmp(a, b, E * sizeof(float)) == 0;
}

Test(embed_file, precision_decides_on_the_resampling)
{
    attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 41);
    char *path = noise_file();
    for (int p = 0; p < 2; p++) {
        const attune_precision precision = p ? ATTUNE_PRECISION_FAST : ATTUNE_PRECISION_EXACT;
        const outcome samples[2] = {push_samples(model, precision, path, false),
                                    push_samples(model, precision, path, true)};
        cr_assert(!same(samples[0].embedding, samples[1].embedding), "nothing to tell apart");
        for (int asked = 0; asked < 2; asked++) {
            const outcome o = embed_file(model, precision, path, asked);
            cr_assert(same(o.embedding, samples[p].embedding), "precision %d, asked for %d", p,
                      asked);
        }
        if (precision == ATTUNE_PRECISION_EXACT) {
            attune_engine *engine = NULL;
            attune_audio_options options;
            attune_track track;
            float embedding[E];
            attune_audio_options_default(&options);
            options.fast_resampling = true;
            cr_assert_eq(attune_engine_open(&engine, model, NULL), ATTUNE_OK);
            cr_assert_eq(attune_engine_embed_file(engine, path, &options, &track, embedding),
                         ATTUNE_OK);
            cr_assert(same(embedding, samples[0].embedding));
            attune_engine_close(engine);
        }
    }
    attune_model_close(model);
    free(path);
}
