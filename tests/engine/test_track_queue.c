/* test_track_queue.c - tracks in company on a device that only checks what it is given. */
#include "engine/track_queue.h"

#include "status/error.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { TRACKS = 400, C = 2 /* which track, which of its frames */ };

/* A device that follows every slot's track: its embedding is its number and its frames. */
typedef struct device {
    bool begun[ATTUNE_SLOTS];
    float track[ATTUNE_SLOTS], frames[ATTUNE_SLOTS];
    uint32_t most_segments;
    uint64_t calls, fail_after; /* fail_after 0: never */
} device;

static void device_begin(void *context, uint32_t slot)
{
    device *d = context;
    cr_assert_lt(slot, ATTUNE_SLOTS);
    d->begun[slot] = true;
    d->track[slot] = -1;
    d->frames[slot] = 0;
}

static attune_status device_sequence(void *context, const float *features,
                                     const attune_segment *segments, uint32_t count)
{
    device *d = context;
    bool seen[ATTUNE_SLOTS] = {false};
    cr_assert(count >= 1 && count <= ATTUNE_SLOTS);
    d->most_segments = count > d->most_segments ? count : d->most_segments;
    if (d->fail_after > 0 && ++d->calls > d->fail_after) {
        return attune_fail(ATTUNE_EIO, "the device broke");
    }
    for (uint32_t s = 0; s < count; s++) {
        const uint32_t slot = segments[s].slot;
        cr_assert(slot < ATTUNE_SLOTS && !seen[slot] && d->begun[slot] && segments[s].count > 0);
        cr_assert_leq(segments[s].first + segments[s].count, ATTUNE_QUEUE_ROWS);
        seen[slot] = true;
        for (uint32_t f = 0; f < segments[s].count; f++) {
            const float *row = features + (size_t)(segments[s].first + f) * C;
            cr_assert(d->frames[slot] == 0 || row[0] == d->track[slot]);
            cr_assert_eq(row[1], d->frames[slot]);
            d->track[slot] = row[0];
            d->frames[slot]++;
        }
    }
    return ATTUNE_OK;
}

static attune_status device_finish(void *context, float *embedding, uint32_t slot)
{
    device *d = context;
    cr_assert(d->begun[slot] && d->frames[slot] > 0);
    embedding[0] = d->track[slot];
    embedding[1] = d->frames[slot];
    d->begun[slot] = false;
    return ATTUNE_OK;
}

static const attune_kernels kernels = {
    .begin = device_begin, .sequence = device_sequence, .finish = device_finish};

typedef struct outcome {
    int track, calls;
    uint64_t frames;
    attune_status status;
} outcome;

static int last_done; /* tracks are done in the order in which they ended */

static void keep(void *user, attune_status status, const float *embedding, uint64_t frames)
{
    outcome *o = user;
    cr_assert_gt(o->track, last_done);
    last_done = o->track;
    o->calls++;
    o->status = status;
    cr_assert_eq(frames, o->frames);
    if (status == ATTUNE_OK) {
        cr_assert_eq(embedding[0], (float)o->track);
        cr_assert_eq(embedding[1], (float)frames);
    }
}

static attune_track_queue *open_queue(device *d)
{
    const attune_network network = {.features = C, .embedding = 2};
    attune_track_queue *queue = NULL;
    cr_assert_eq(attune_track_queue_open(&queue, &kernels, d, &network), ATTUNE_OK);
    last_done = -1;
    return queue;
}

/* Frames of a track in pieces of any size. */
static attune_status push_frames(attune_track_queue *queue, int track, uint64_t frames,
                                 uint64_t *seed)
{
    for (uint64_t f = 0; f < frames;) {
        const uint64_t piece = 1 + random_bits(seed) % ATTUNE_FRAMES_PER_CALL;
        const int F = (int)(piece < frames - f ? piece : frames - f);
        float *rows = NULL;
        attune_status status = attune_track_queue_space(queue, &rows, F);
        if (status != ATTUNE_OK) {
            return status;
        }
        for (int i = 0; i < F; i++) {
            rows[i * C] = (float)track;
            rows[i * C + 1] = (float)(f + (uint64_t)i);
        }
        attune_track_queue_advance(queue, F);
        f += (uint64_t)F;
    }
    return ATTUNE_OK;
}

/* Mostly short tracks, some as long as many queues. */
static uint64_t some_length(uint64_t *seed)
{
    const uint64_t kind = random_bits(seed) % 20;
    return 1 + random_bits(seed) % (kind == 0 ? 5 * ATTUNE_QUEUE_ROWS : kind < 5 ? 3000 : 300);
}

Test(track_queue, every_track_comes_back_once_and_whole)
{
    static outcome outcomes[TRACKS];
    device d = {0};
    uint64_t seed = 17;
    attune_track_queue *queue = open_queue(&d);
    for (int i = 0; i < TRACKS; i++) {
        if (random_bits(&seed) % 8 == 0) { /* one that is given up leaves no trace */
            cr_assert_eq(push_frames(queue, 10000 + i, some_length(&seed), &seed), ATTUNE_OK);
            attune_track_queue_begin(queue);
        }
        outcomes[i] = (outcome){.track = i, .frames = some_length(&seed)};
        cr_assert_eq(push_frames(queue, i, outcomes[i].frames, &seed), ATTUNE_OK);
        attune_track_queue_end(queue, keep, &outcomes[i]);
        if (random_bits(&seed) % 50 == 0) {
            attune_track_queue_flush(queue);
            cr_assert_eq(last_done, i);
        }
    }
    attune_track_queue_flush(queue);
    for (int i = 0; i < TRACKS; i++) {
        cr_assert(outcomes[i].calls == 1 && outcomes[i].status == ATTUNE_OK, "track %d", i);
    }
    cr_assert_eq(d.most_segments, ATTUNE_SLOTS);
    attune_track_queue_flush(queue);
    attune_track_queue_close(queue);
    attune_track_queue_close(NULL);
}

/* Rows are bounded by what the device checks; a track that ended waits for no more than that. */
Test(track_queue, nobody_waits_for_a_long_track)
{
    device d = {0};
    uint64_t seed = 18;
    attune_track_queue *queue = open_queue(&d);
    outcome brief = {.track = 0, .frames = 5}, endless = {.track = 1, .frames = 300000};
    cr_assert_eq(push_frames(queue, 0, 5, &seed), ATTUNE_OK);
    attune_track_queue_end(queue, keep, &brief);
    cr_assert_eq(brief.calls, 0);
    cr_assert_eq(push_frames(queue, 1, ATTUNE_QUEUE_ROWS, &seed), ATTUNE_OK);
    cr_assert_eq(brief.calls, 1);
    attune_track_queue_begin(queue);
    cr_assert_eq(push_frames(queue, 1, endless.frames, &seed), ATTUNE_OK);
    attune_track_queue_end(queue, keep, &endless);
    attune_track_queue_flush(queue);
    cr_assert_eq(endless.calls, 1);
    attune_track_queue_close(queue);
}

Test(track_queue, failure_is_told_to_every_track)
{
    static outcome outcomes[TRACKS];
    device d = {.fail_after = 1};
    uint64_t seed = 19;
    attune_track_queue *queue = open_queue(&d);
    for (int i = 0; i < 2 * ATTUNE_SLOTS; i++) {
        outcomes[i] = (outcome){.track = i, .frames = 10};
        cr_assert_eq(push_frames(queue, i, 10, &seed), ATTUNE_OK);
        attune_track_queue_end(queue, keep, &outcomes[i]);
    }
    for (int i = 0; i < 2 * ATTUNE_SLOTS; i++) {
        cr_assert_eq(outcomes[i].calls, 1);
        cr_assert_eq(outcomes[i].status, i < ATTUNE_SLOTS ? ATTUNE_OK : ATTUNE_EIO);
    }
    cr_assert(strstr(attune_last_error(), "broke"));
    cr_assert_eq(push_frames(queue, 99, 2 * ATTUNE_QUEUE_ROWS, &seed), ATTUNE_EIO);
    attune_track_queue_close(queue);
}
