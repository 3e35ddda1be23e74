/* test_order.c - the CUDA device's memory, streams, order and errors, under a stand-in for the CUDA
 * runtime that runs what is queued in random order: no GPU and no toolkit needed. */
#include "kernels/batch.h"

#include "tests/cuda/stand_in.h"
#include "tests/cuda/stand_in_kernels.h"
#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    N = 256,
    TRACKS = 40,
    FRAMES_MAX = 30, /* of a track */
    PCM_FRAMES = 12,
    ROWS = 40,
    SEGMENTS = 8,
    SLOTS = 6,
    E = 32,
};

static attune_network small_network(void)
{
    attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    n.frame_size = n.hop_size = N;
    return n;
}

static attune_batch_options small_options(attune_precision precision)
{
    return (attune_batch_options){.precision = precision,
                                  .pcm_samples = PCM_FRAMES * (N + 8),
                                  .pcm_frames = PCM_FRAMES,
                                  .feature_rows = ROWS,
                                  .segments = SEGMENTS,
                                  .slots = SLOTS};
}

/* A host that feeds one context: tracks come in pieces and mixed, as a random number says. */
typedef struct host {
    void *context;
    attune_pcm format;
    uint64_t seed;
    int buffer, features;
    uint32_t row;
    attune_segment segments[SEGMENTS];
    uint32_t segment_count;
    uint32_t begun[SLOTS], begun_count; /* slots whose begin is still to be called */
    int track[SLOTS];                   /* -1: free */
    uint32_t at[TRACKS], length[TRACKS];
    uint64_t hash[TRACKS];
    int next_track, finished;
} host;

static const attune_batch_kernels *kernels;

static uint32_t pick(host *h, uint32_t count)
{
    return (uint32_t)(random_bits(&h->seed) % count);
}

static void host_start(host *h, void *context, attune_pcm format, uint64_t seed)
{
    *h = (host){.context = context, .format = format, .seed = seed};
    for (int i = 0; i < SLOTS; i++) {
        h->track[i] = -1;
    }
    for (int t = 0; t < TRACKS; t++) {
        h->length[t] = 1 + pick(h, FRAMES_MAX);
        h->hash[t] = STAND_IN_FIRST;
    }
}

/* Writes a frame into the PCM buffer and into the hash that is expected of its track. */
static void write_frame(host *h, int track, uint32_t start)
{
    const attune_network n = small_network();
    float wide[N];
    int16_t narrow[N];
    for (int i = 0; i < N; i++) {
        narrow[i] = (int16_t)pick(h, 60000);
        wide[i] = (float)narrow[i];
    }
    const void *frame = h->format == ATTUNE_PCM_F32 ? (const void *)wide : (const void *)narrow;
    const size_t sample = h->format == ATTUNE_PCM_F32 ? sizeof(float) : sizeof(int16_t);
    memcpy((char *)kernels->pcm(h->context, h->buffer) + start * sample, frame, N * sample);
    h->hash[track] = stand_in_frame(h->hash[track], &n, frame, h->format);
}

static attune_status flush(host *h)
{
    attune_status status = ATTUNE_OK;
    if (h->begun_count > 0) {
        status = kernels->begin(h->context, h->begun, h->begun_count);
        h->begun_count = 0;
    }
    if (status == ATTUNE_OK) {
        status = kernels->sequence(h->context, h->features, h->segments, h->segment_count);
    }
    memset(h->segments, 0xff, sizeof(h->segments)); /* copied, so they say */
    h->segment_count = 0;
    return status;
}

/* The slot of some track that has frames left, begun if need be; -1 when there is none. */
static int pick_slot(host *h)
{
    int slot = (int)pick(h, SLOTS);
    for (int tries = 0; tries < SLOTS; tries++, slot = (slot + 1) % SLOTS) {
        const int t = h->track[slot];
        if (t >= 0 && h->at[t] < h->length[t]) {
            return slot;
        }
        if (t < 0 && h->next_track < TRACKS) {
            h->track[slot] = h->next_track++;
            h->begun[h->begun_count++] = (uint32_t)slot;
            return slot;
        }
    }
    return -1;
}

static bool has_segment(const host *h, int slot)
{
    for (uint32_t i = 0; i < h->segment_count; i++) {
        if (h->segments[i].slot == (uint32_t)slot) {
            return true;
        }
    }
    return false;
}

/* One PCM buffer of a few runs of frames, perhaps in two calls of frontend. */
static attune_status push(host *h)
{
    uint32_t start[PCM_FRAMES], F = 0, from = 0;
    attune_status status = kernels->wait_pcm(h->context, h->buffer);
    const uint32_t wanted = 1 + pick(h, PCM_FRAMES);
    while (status == ATTUNE_OK && F < wanted && h->row + F < ROWS) {
        const int slot = pick_slot(h);
        if (slot < 0) {
            break;
        }
        if (has_segment(h, slot) || h->segment_count == SEGMENTS) {
            if (F > from) {
                status = kernels->frontend(h->context, h->buffer, start + from, F - from,
                                           h->features, h->row + from);
                from = F;
            }
            status = status == ATTUNE_OK ? flush(h) : status;
        }
        const int t = h->track[slot];
        uint32_t run = 1 + pick(h, h->length[t] - h->at[t]);
        run = run < wanted - F ? run : wanted - F;
        run = run < ROWS - h->row - F ? run : ROWS - h->row - F;
        h->segments[h->segment_count++] = (attune_segment){(uint32_t)slot, h->row + F, run};
        for (uint32_t i = 0; i < run; i++, F++) {
            start[F] = F * (N + 8) + pick(h, 8);
            write_frame(h, t, start[F]);
        }
        h->at[t] += run;
    }
    if (status == ATTUNE_OK && F > from) {
        status = kernels->frontend(h->context, h->buffer, start + from, F - from, h->features,
                                   h->row + from);
    }
    memset(start, 0xff, sizeof(start)); /* copied, so they say */
    h->row += F;
    h->buffer ^= 1;
    return status;
}

static attune_status finish(host *h)
{
    const attune_network n = small_network();
    uint32_t slots[SLOTS], count = 0;
    float got[SLOTS * E], expected[E];
    for (uint32_t s = 0; s < SLOTS; s++) {
        const int t = h->track[s];
        if (t >= 0 && h->at[t] == h->length[t]) {
            slots[count++] = s;
        }
    }
    const attune_status status = kernels->finish(h->context, got, slots, count);
    for (uint32_t i = 0; status == ATTUNE_OK && i < count; i++) {
        const int t = h->track[slots[i]];
        stand_in_embedding(expected, &n, h->hash[t]);
        cr_assert_eq(memcmp(got + (size_t)i * E, expected, sizeof(expected)), 0,
                     "track %d of %u frames", t, h->length[t]);
        h->track[slots[i]] = -1;
        h->finished++;
    }
    return status;
}

/* One turn; ATTUNE_ESTOPPED when all is done. */
static attune_status turn(host *h)
{
    attune_status status = push(h);
    if (status == ATTUNE_OK && (h->row == ROWS || pick(h, 4) == 0)) {
        status = flush(h);
        h->features ^= 1;
        h->row = 0;
        status = status == ATTUNE_OK ? kernels->wait_features(h->context, h->features) : status;
        if (status == ATTUNE_OK && pick(h, 2) == 0) {
            status = finish(h);
        }
    }
    return status == ATTUNE_OK && h->finished == TRACKS ? ATTUNE_ESTOPPED : status;
}

static attune_model *model_of(attune_network n)
{
    return reference_model(&n, 1);
}

/* Both formats, many orders. */
Test(order, any_cut_in_any_order)
{
    attune_model *model = model_of(small_network());
    kernels = attune_kernels_cuda();
    for (uint64_t seed = 1; seed <= 60; seed++) {
        const attune_precision precision =
            seed % 2 ? ATTUNE_PRECISION_EXACT : ATTUNE_PRECISION_FAST;
        const attune_batch_options options = small_options(precision);
        void *context = NULL;
        host h;
        stand_in_reset(seed);
        machine.tick = seed % 5 ? 1 : 3e5; /* a day and more: event times are floats */
        assert_ok(kernels->open(&context, model, &options));
        cr_assert_str_eq(kernels->name(context), "Stand-in");
        host_start(&h, context, seed % 2 ? ATTUNE_PCM_F32 : ATTUNE_PCM_Q14, seed * 77);
        attune_status status = ATTUNE_OK;
        while (status == ATTUNE_OK) {
            status = turn(&h);
        }
        cr_assert_eq(status, ATTUNE_ESTOPPED, "%s", attune_last_error());
        const double busy = kernels->busy_seconds(context);
        /* about a quarter of the operations are kernels, and their intervals overlap a little */
        cr_assert(busy > 0.1 * machine.clock / 1e3 && busy < 0.5 * machine.clock / 1e3,
                  "busy %g of %g s", busy, machine.clock / 1e3);
        kernels->close(context);
        cr_assert_eq(machine.live, 0);
        cr_assert_leq(machine.peak, kernels->memory_needed(attune_model_network(model), &options));
    }
    attune_model_close(model);
}

/* Two devices and two contexts on one of them, fed by turns from one thread. */
Test(order, several_contexts)
{
    attune_model *model = model_of(small_network());
    attune_batch_options options = small_options(ATTUNE_PRECISION_EXACT);
    host h[3];
    attune_status status[3] = {ATTUNE_OK, ATTUNE_OK, ATTUNE_OK};
    kernels = attune_kernels_cuda();
    stand_in_reset(5);
    machine.devices = 2;
    cr_assert_eq(kernels->count(), 2);
    for (int i = 0; i < 3; i++) {
        void *context = NULL;
        options.ordinal = i % 2;
        assert_ok(kernels->open(&context, model, &options));
        host_start(&h[i], context, ATTUNE_PCM_F32, (uint64_t)i);
    }
    while (!(status[0] && status[1] && status[2])) {
        for (int i = 0; i < 3; i++) {
            status[i] = status[i] ? status[i] : turn(&h[i]);
        }
    }
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(status[i], ATTUNE_ESTOPPED, "%s", attune_last_error());
        kernels->close(h[i].context);
    }
    cr_assert_eq(machine.live, 0);
    attune_model_close(model);
}

/* Opens, feeds until something fails or all is done, closes. What failed stays failed, in the same
 * words. */
static attune_status live_through(const attune_model *model, uint64_t seed)
{
    const attune_batch_options options = small_options(ATTUNE_PRECISION_EXACT);
    void *context = NULL;
    host h;
    attune_status status = kernels->open(&context, model, &options);
    if (status != ATTUNE_OK) {
        cr_assert_null(context);
        cr_assert_eq(machine.live, 0);
        cr_assert(*attune_last_error());
        return status;
    }
    host_start(&h, context, ATTUNE_PCM_F32, seed);
    while (status == ATTUNE_OK) {
        status = turn(&h);
    }
    if (status != ATTUNE_ESTOPPED) {
        char text[1024];
        const uint32_t one = 0;
        float embedding[E];
        snprintf(text, sizeof(text), "%s", attune_last_error());
        cr_assert(strstr(text, "CUDA device 0 (Stand-in)"), "%s", text);
        cr_assert_eq(kernels->finish(context, embedding, &one, 1), status);
        cr_assert_eq(kernels->wait_pcm(context, 1), status);
        cr_assert_eq(kernels->wait_features(context, 1), status);
        cr_assert_eq(kernels->frontend(context, 0, &one, 1, 0, 0), status);
        cr_assert_eq(kernels->begin(context, &one, 1), status);
        cr_assert_str_eq(attune_last_error(), text);
        kernels->busy_seconds(context);
    }
    kernels->close(context);
    cr_assert_eq(machine.live, 0);
    return status;
}

/* Each single call of CUDA fails once, and again for good. Calls whose failure does no harm (a
 * query) may pass. */
Test(errors, every_call_may_fail)
{
    attune_model *model = model_of(small_network());
    long passed = 0, last = 2000;
    kernels = attune_kernels_cuda();
    for (long at = 1; at < last; at += at < 300 ? 1 : 7) {
        for (int is_sticky = 0; is_sticky < 2; is_sticky++) {
            stand_in_reset(3);
            machine.fail_at = at;
            machine.failure = is_sticky ? cudaErrorECCUncorrectable : cudaErrorMemoryAllocation;
            machine.is_sticky = is_sticky;
            const attune_status status = live_through(model, 9);
            if (machine.calls < at) {
                last = at; /* it was never made */
            } else if (status == ATTUNE_ESTOPPED) {
                passed++;
            } else {
                cr_assert(status == ATTUNE_ENODEVICE ||
                              status == (is_sticky ? ATTUNE_EIO : ATTUNE_ENOMEM),
                          "call %ld: %d %s", at, status, attune_last_error());
            }
        }
    }
    printf("%ld calls failed without harm\n", passed);
    cr_assert_lt(passed, 20); /* those of close, and of cudaGetLastError */
    attune_model_close(model);
}

/* A kernel breaks the device: told by some later call, as our own fault. */
Test(errors, kernels_may_break_the_device)
{
    attune_model *model = model_of(small_network());
    kernels = attune_kernels_cuda();
    for (long at = 3; at < 300; at += 5) {
        stand_in_reset((uint64_t)at);
        machine.fault_at = at;
        cr_assert_eq(live_through(model, 9), ATTUNE_EINTERNAL, "operation %ld", at);
        cr_assert(strstr(attune_last_error(), "cudaErrorIllegalAddress"));
    }
    attune_model_close(model);
}

Test(errors, too_much_memory_is_refused)
{
    attune_model *model = model_of(small_network());
    attune_batch_options options = small_options(ATTUNE_PRECISION_EXACT);
    void *context = NULL;
    size_t free_bytes = 0;
    kernels = attune_kernels_cuda();
    stand_in_reset(1);
    cr_assert_eq(kernels->memory_free(0, &free_bytes), ATTUNE_OK);
    cr_assert_eq(free_bytes, machine.memory);
    options.feature_rows = 1u << 31;
    cr_assert_gt(kernels->memory_needed(attune_model_network(model), &options), free_bytes);
    cr_assert_eq(kernels->open(&context, model, &options), ATTUNE_ENOMEM);
    cr_assert_null(context);
    cr_assert(strstr(attune_last_error(), "524288.0 MiB for features"), "%s", attune_last_error());
    cr_assert(strstr(attune_last_error(), "free on the device"), "%s", attune_last_error());
    cr_assert_eq(machine.live, 0);
    cr_assert_eq(live_through(model, 1), ATTUNE_ESTOPPED);
    attune_model_close(model);
}

Test(errors, bounds_are_kept)
{
    attune_model *model = model_of(small_network());
    attune_batch_options options = small_options(ATTUNE_PRECISION_EXACT);
    void *context = NULL;
    uint32_t start[PCM_FRAMES + 1] = {0}, slots[SLOTS + 1] = {0};
    float embeddings[(SLOTS + 1) * E];
    const uint32_t last = options.pcm_samples - N;
    kernels = attune_kernels_cuda();
    stand_in_reset(1);
    cr_assert_eq(kernels->open(&context, model, &options), ATTUNE_OK);
    cr_assert_eq(kernels->frontend(context, 0, start, 0, 0, 0), ATTUNE_EINVAL);
    cr_assert_eq(kernels->frontend(context, 0, start, PCM_FRAMES + 1, 0, 0), ATTUNE_EINVAL);
    cr_assert_eq(kernels->frontend(context, 0, start, 2, 0, ROWS - 1), ATTUNE_EINVAL);
    cr_assert_eq(kernels->frontend(context, 0, start, 1, 0, UINT32_MAX), ATTUNE_EINVAL);
    start[0] = last + 1;
    cr_assert_eq(kernels->frontend(context, 0, start, 1, 0, 0), ATTUNE_EINVAL);
    start[0] = last;
    cr_assert_eq(kernels->frontend(context, 0, start, 1, 0, ROWS - 1), ATTUNE_OK);
    cr_assert_eq(kernels->begin(context, slots, SLOTS + 1), ATTUNE_EINVAL);
    slots[0] = SLOTS;
    cr_assert_eq(kernels->begin(context, slots, 1), ATTUNE_EINVAL);
    cr_assert_eq(kernels->finish(context, embeddings, slots, 1), ATTUNE_EINVAL);
    const attune_segment bad[] = {{0, 0, 0}, {SLOTS, 0, 1}, {0, ROWS, 1}, {0, ROWS - 1, 2}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(kernels->sequence(context, 0, &bad[i], 1), ATTUNE_EINVAL);
    }
    cr_assert_eq(kernels->sequence(context, 0, NULL, 0), ATTUNE_OK);
    cr_assert_eq(kernels->finish(context, NULL, NULL, 0), ATTUNE_OK);
    kernels->close(context);
    kernels->close(NULL);
    options.pcm_samples = N - 1;
    cr_assert_eq(kernels->open(&context, model, &options), ATTUNE_EINVAL);
    cr_assert_eq(machine.live, 0);
    attune_model_close(model);
}

static void expect_none(const char *reason)
{
    attune_model *model = model_of(small_network());
    const attune_batch_options options = small_options(ATTUNE_PRECISION_EXACT);
    void *context = NULL;
    size_t bytes = 1;
    cr_assert_eq(kernels->count(), 0);
    cr_assert(strstr(attune_last_error(), reason), "%s", attune_last_error());
    cr_assert_eq(kernels->open(&context, model, &options), ATTUNE_ENODEVICE);
    cr_assert_null(context);
    cr_assert_eq(kernels->memory_free(0, &bytes), ATTUNE_ENODEVICE);
    cr_assert_eq(bytes, 0);
    cr_assert(strstr(attune_last_error(), reason), "%s", attune_last_error());
    attune_model_close(model);
}

Test(devices, none_says_why)
{
    kernels = attune_kernels_cuda();
    stand_in_reset(1);
    machine.devices = 0;
    expect_none("no CUDA device on this machine");
    stand_in_reset(1);
    machine.start = cudaErrorInsufficientDriver;
    machine.driver = 0;
    expect_none("no CUDA driver");
    machine.driver = 11040;
    expect_none("it is for CUDA 11.4, and this build needs 13.0");
    stand_in_reset(1);
    machine.major = 7;
    expect_none("compute capability 7.x");
    stand_in_reset(1);
    machine.start = cudaErrorIllegalAddress;
    expect_none("CUDA does not start");
}

Test(devices, only_those_there)
{
    attune_model *model = model_of(small_network());
    attune_batch_options options = small_options(ATTUNE_PRECISION_EXACT);
    void *context = NULL;
    kernels = attune_kernels_cuda();
    stand_in_reset(1);
    for (options.ordinal = -1; options.ordinal < 3; options.ordinal += 2) {
        cr_assert_eq(kernels->open(&context, model, &options), ATTUNE_ENODEVICE);
        cr_assert(strstr(attune_last_error(), "no CUDA device"), "%s", attune_last_error());
    }
    attune_model_close(model);
}
