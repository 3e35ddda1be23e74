/* test_batch.c - packing, budgets and failures of the batch engine, on a device that is none. */
#include "engine/batch_engine.h"
#include "engine/devices.h"

#include "attune/engine.h"
#include "tests/engine/fake_batch.h"
#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { E = 5, TRACKS = 150, THREADS = 4 };

/* Small, so that thousands of tracks take seconds. */
static attune_model *small_model(int hop)
{
    attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    n.frame_size = 256;
    n.hop_size = hop;
    n.hidden = 16;
    n.attention = 16;
    n.projection = 16;
    n.embedding = E;
    return reference_model(&n, 31);
}

static size_t track_samples(int i)
{
    static const size_t edges[] = {1, 255, 256, 257, 511, 512, 64 * 256, 64 * 256 + 1, 40000};
    return i < 9 ? edges[i] : 300 + (size_t)(i * 7919 % 30000);
}

static float *track_pcm(int i)
{
    uint64_t seed = (uint64_t)i + 1000;
    float *pcm = malloc(track_samples(i) * sizeof(float));
    cr_assert_not_null(pcm);
    random_fill(&seed, pcm, track_samples(i), 0.9f);
    return pcm;
}

static attune_batch_engine *open_batch(const attune_model *model, uint32_t frames,
                                       attune_precision precision)
{
    attune_batch_engine *engine = NULL;
    const attune_batch_engine_options options = {
        .kernels = fake_batch_kernels(), .precision = precision, .batch_frames = frames};
    assert_ok(attune_batch_engine_open(&engine, model, &options));
    return engine;
}

typedef struct slot {
    float embedding[E];
    uint64_t frames;
    attune_status status;
    int calls;
} slot;

static void keep(void *user, attune_status status, const float *embedding, uint64_t frames)
{
    slot *s = user;
    s->status = status;
    s->frames = frames;
    s->calls++;
    if (status == ATTUNE_OK) {
        memcpy(s->embedding, embedding, sizeof(s->embedding));
    }
}

static attune_status push_track(attune_batch_engine *engine, int i, slot *s)
{
    attune_batch_track *track = NULL;
    attune_status status = attune_batch_track_begin(&track, engine);
    if (status != ATTUNE_OK) {
        return status;
    }
    float *pcm = track_pcm(i);
    for (size_t done = 0, n = track_samples(i); done < n && status == ATTUNE_OK;) {
        size_t space = 0;
        float *to = attune_batch_track_space(track, &space);
        size_t some = n - done < space ? n - done : space;
        some = some < 1000 ? some : 1000;
        memcpy(to, pcm + done, some * sizeof(float));
        done += some;
        status = attune_batch_track_advance(track, some);
    }
    free(pcm);
    if (status == ATTUNE_OK) {
        attune_batch_track_end(track, keep, s);
    } else {
        attune_batch_track_abandon(track);
    }
    return status;
}

typedef struct pusher {
    attune_batch_engine *engine;
    slot *slots;
    int first;
} pusher;

static void *push_tracks(void *argument)
{
    const pusher *p = argument;
    for (int i = p->first; i < TRACKS; i += THREADS) {
        if (i % 10 == 9) { /* a track that is given up half-way must leave no trace */
            attune_batch_track *track = NULL;
            size_t space = 0;
            cr_assert_eq(attune_batch_track_begin(&track, p->engine), ATTUNE_OK);
            float *to = attune_batch_track_space(track, &space);
            memset(to, 0, space * sizeof(float));
            cr_assert_eq(attune_batch_track_advance(track, i % 20 == 9 ? space : 700), ATTUNE_OK);
            attune_batch_track_abandon(track);
        }
        cr_assert_eq(push_track(p->engine, i, &p->slots[i]), ATTUNE_OK);
    }
    return NULL;
}

/* Every track's embedding one at a time on the CPU. */
static void embed_alone(const attune_model *model, slot *slots)
{
    attune_engine *engine = NULL;
    cr_assert_eq(attune_engine_open(&engine, model, NULL), ATTUNE_OK);
    for (int i = 0; i < TRACKS; i++) {
        float *pcm = track_pcm(i);
        attune_engine_begin(engine);
        cr_assert_eq(attune_engine_push(engine, pcm, track_samples(i)), ATTUNE_OK);
        cr_assert_eq(attune_engine_finish(engine, slots[i].embedding, &slots[i].frames), ATTUNE_OK);
        free(pcm);
    }
    attune_engine_close(engine);
}

Test(batch, many_tracks_from_many_threads_give_the_bits_of_one, .timeout = 120)
{
    static slot alone[TRACKS], together[TRACKS];
    static const uint32_t sizes[] = {64, 100, 1024, 16384};
    for (int half = 0; half < 2; half++) {
        attune_model *model = small_model(half ? 128 : 256);
        embed_alone(model, alone);
        for (size_t b = 0; b < sizeof(sizes) / sizeof(sizes[0]); b++) {
            fake = (fake_batch){.devices = 1, .memory = (size_t)1 << 30};
            memset(together, 0, sizeof(together));
            attune_batch_engine *engine = open_batch(model, sizes[b], ATTUNE_PRECISION_EXACT);
            pthread_t threads[THREADS];
            pusher pushers[THREADS];
            for (int t = 0; t < THREADS; t++) {
                pushers[t] = (pusher){.engine = engine, .slots = together, .first = t};
                cr_assert_eq(pthread_create(&threads[t], NULL, push_tracks, &pushers[t]), 0);
            }
            for (int t = 0; t < THREADS; t++) {
                pthread_join(threads[t], NULL);
            }
            attune_batch_engine_close(engine);
            cr_assert_leq(fake.largest_batch, sizes[b]);
            for (int i = 0; i < TRACKS; i++) {
                cr_assert_eq(together[i].calls, 1);
                cr_assert_eq(together[i].status, ATTUNE_OK);
                cr_assert_eq(together[i].frames, alone[i].frames);
                cr_assert_eq(memcmp(together[i].embedding, alone[i].embedding, sizeof(float) * E),
                             0, "track %d, batches of %u", i, sizes[b]);
            }
        }
        attune_model_close(model);
    }
}

Test(batch, fast_samples_are_q14)
{
    static slot alone[TRACKS];
    attune_model *model = small_model(256);
    embed_alone(model, alone);
    fake = (fake_batch){.devices = 1, .memory = (size_t)1 << 30};
    attune_batch_engine *engine = open_batch(model, 256, ATTUNE_PRECISION_FAST);
    slot s = {0};
    cr_assert_eq(push_track(engine, 20, &s), ATTUNE_OK);
    attune_batch_engine_close(engine);
    double largest = 0;
    for (int i = 0; i < E; i++) {
        largest = fmax(largest, fabs((double)(s.embedding[i] - alone[20].embedding[i])));
    }
    cr_assert(largest > 0 && largest < 1e-4, "%g", largest);
    attune_model_close(model);
}

Test(batch, memory_bounds_the_batches)
{
    attune_model *model = small_model(256);
    fake = (fake_batch){.devices = 1, .memory = 3000000, .refuse_opens = 2};
    attune_batch_engine *engine = open_batch(model, 1 << 20, ATTUNE_PRECISION_EXACT);
    static slot slots[40];
    for (int i = 0; i < 40; i++) {
        cr_assert_eq(push_track(engine, 8, &slots[i]), ATTUNE_OK);
        while (attune_batch_engine_load(engine) > 0) {
        }
    }
    attune_batch_engine_close(engine);
    /* 80 % of 3 MB hold 1024 frames of two times 256 samples and 64 features; two refusals leave
     * 256 */
    cr_assert_leq(fake.largest_batch, 256);
    fake = (fake_batch){.devices = 1, .memory = 1000};
    const attune_batch_engine_options options = {.kernels = fake_batch_kernels(),
                                                 .batch_frames = 4096};
    cr_assert_eq(attune_batch_engine_open(&engine, model, &options), ATTUNE_ENOMEM);
    cr_assert_null(engine);
    cr_assert(strstr(attune_last_error(), "--gpu-memory"), "%s", attune_last_error());
    attune_model_close(model);
}

Test(batch, lost_device_is_told_to_every_track, .timeout = 60)
{
    attune_model *model = small_model(256);
    fake = (fake_batch){.devices = 1, .memory = (size_t)1 << 30, .fail_after = 200};
    attune_batch_engine *engine = open_batch(model, 64, ATTUNE_PRECISION_EXACT);
    static slot slots[TRACKS];
    int refused = 0, failed = 0, good = 0;
    for (int i = 0; i < TRACKS; i++) {
        refused += push_track(engine, i, &slots[i]) != ATTUNE_OK;
    }
    attune_batch_track *track = NULL;
    cr_assert_eq(attune_batch_track_begin(&track, engine), ATTUNE_EIO);
    cr_assert(strstr(attune_last_error(), "fell off the bus"));
    attune_batch_engine_close(engine);
    for (int i = 0; i < TRACKS; i++) {
        cr_assert_leq(slots[i].calls, 1);
        failed += slots[i].calls == 1 && slots[i].status == ATTUNE_EIO;
        good += slots[i].calls == 1 && slots[i].status == ATTUNE_OK;
    }
    cr_assert_eq(refused + failed + good, TRACKS, "%d %d %d", refused, failed, good);
    cr_assert(refused > 0);
    attune_model_close(model);
}

Test(batch, device_names)
{
    attune_devices d;
    fake = (fake_batch){.devices = 3};
    const attune_batch_kernels *kernels = fake_batch_kernels();
    cr_assert_eq(attune_devices_parse(&d, "cpu", kernels), ATTUNE_OK);
    cr_assert_eq(d.count, 0);
    cr_assert_eq(attune_devices_parse(&d, "auto", kernels), ATTUNE_OK);
    cr_assert_eq(d.count, 3);
    cr_assert_eq(attune_devices_parse(&d, "fake", kernels), ATTUNE_OK);
    cr_assert_eq(d.count, 3);
    cr_assert_eq(attune_devices_parse(&d, "fake:2,fake:0", kernels), ATTUNE_OK);
    cr_assert(d.count == 2 && d.ordinals[0] == 2 && d.ordinals[1] == 0);
    static const char *const bad[] = {
        "fake:3", "fake:",      "fake:1x", "fake:-1",       "Fake",  "fake:0,",
        "gpu",    "fake:0,cpu", "",        "fake:0,fake:0", "fake0", "fake:99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const attune_status status = attune_devices_parse(&d, bad[i], kernels);
        cr_assert(status == ATTUNE_EINVAL || status == ATTUNE_ENODEVICE, "%s", bad[i]);
    }
    fake.devices = 0;
    cr_assert_eq(attune_devices_parse(&d, "auto", kernels), ATTUNE_OK);
    cr_assert_eq(d.count, 0);
    cr_assert_eq(attune_devices_parse(&d, "fake", kernels), ATTUNE_ENODEVICE);
    cr_assert(strstr(attune_last_error(), "not there today"));
    cr_assert_eq(attune_devices_parse(&d, "fake:0", kernels), ATTUNE_ENODEVICE);
}
