/* track_queue.c - slots in a ring: the oldest track that has ended, those after it, the present
 * one.
 */
#include "engine/track_queue.h"

#include "status/error.h"

#include <stdlib.h>

typedef struct track {
    uint32_t first, count; /* its rows, of frames that have not gone through the sequence stage */
    uint64_t frames;       /* all of it */
    attune_track_done done;
    void *user;
} track;

struct attune_track_queue {
    const attune_kernels *kernels;
    void *context;
    size_t C;
    float *features; /* (ATTUNE_QUEUE_ROWS, C) */
    uint32_t rows;   /* taken */
    track tracks[ATTUNE_SLOTS];
    uint32_t oldest, ended; /* slot; how many */
    float *embedding;       /* (E) */
};

static uint32_t slot_of(const attune_track_queue *q, uint32_t i)
{
    return (q->oldest + i) % ATTUNE_SLOTS;
}

static track *present(attune_track_queue *q)
{
    return &q->tracks[slot_of(q, q->ended)];
}

attune_status attune_track_queue_open(attune_track_queue **out, const attune_kernels *kernels,
                                      void *context, const attune_network *network)
{
    const size_t floats =
        (size_t)ATTUNE_QUEUE_ROWS * network->features + (size_t)network->embedding;
    attune_track_queue *q = *out = calloc(1, sizeof(*q));
    float *features = malloc(floats * sizeof(float));
    if (!q || !features) {
        free(q);
        free(features);
        *out = NULL;
        return attune_fail_memory("tracks' features", floats * sizeof(float));
    }
    q->kernels = kernels;
    q->context = context;
    q->C = (size_t)network->features;
    q->features = features;
    q->embedding = features + ATTUNE_QUEUE_ROWS * q->C;
    attune_track_queue_begin(q);
    return ATTUNE_OK;
}

void attune_track_queue_close(attune_track_queue *q)
{
    if (q) {
        free(q->features);
        free(q);
    }
}

void attune_track_queue_begin(attune_track_queue *q)
{
    q->rows -= present(q)->count;
    *present(q) = (track){.first = q->rows};
    q->kernels->begin(q->context, slot_of(q, q->ended));
}

/* Sends all frames through the sequence stage. */
static attune_status run_tracks(attune_track_queue *q)
{
    attune_segment segments[ATTUNE_SLOTS];
    attune_status status = ATTUNE_OK;
    uint32_t count = 0;
    for (uint32_t i = 0; i <= q->ended && i < ATTUNE_SLOTS; i++) {
        track *t = &q->tracks[slot_of(q, i)];
        if (t->count > 0) {
            segments[count++] = (attune_segment){slot_of(q, i), t->first, t->count};
        }
        t->first = t->count = 0;
    }
    q->rows = 0;
    if (count > 0) {
        status = q->kernels->sequence(q->context, q->features, segments, count);
    }
    return status;
}

static attune_status run_and_finish(attune_track_queue *q)
{
    const attune_status status = run_tracks(q);
    for (; q->ended > 0; q->ended--) {
        const track *t = &q->tracks[q->oldest];
        const attune_status finished =
            status == ATTUNE_OK ? q->kernels->finish(q->context, q->embedding, q->oldest) : status;
        t->done(t->user, finished, q->embedding, t->frames);
        q->oldest = slot_of(q, 1);
    }
    return status;
}

attune_status attune_track_queue_space(attune_track_queue *q, float **rows, int F)
{
    attune_status status = ATTUNE_OK;
    if (q->rows + (uint32_t)F > ATTUNE_QUEUE_ROWS) {
        status = run_and_finish(q);
    }
    *rows = q->features + q->rows * q->C;
    return status;
}

void attune_track_queue_advance(attune_track_queue *q, int F)
{
    q->rows += (uint32_t)F;
    present(q)->count += (uint32_t)F;
    present(q)->frames += (uint32_t)F;
}

void attune_track_queue_end(attune_track_queue *q, attune_track_done done, void *user)
{
    present(q)->done = done;
    present(q)->user = user;
    q->ended++;
    if (q->ended == ATTUNE_SLOTS) {
        (void)run_and_finish(q); /* every track there is hears of a failure */
    }
    *present(q) = (track){0};
    attune_track_queue_begin(q);
}

void attune_track_queue_flush(attune_track_queue *q)
{
    (void)run_and_finish(q);
}
