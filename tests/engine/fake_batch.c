/* fake_batch.c - a batch device made of the CPU's kernels. */
#include "tests/engine/fake_batch.h"

#include "kernels/kernels.h"
#include "status/error.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { OPERATIONS = 64 };

typedef enum operation_kind { FRONTEND, SEQUENCE, BEGIN } operation_kind;

/* A call that has been made and not yet done. */
typedef struct operation {
    operation_kind kind;
    int pcm, features;
    uint32_t row, count;
    void *list; /* starts, segments or slots */
} operation;

typedef struct context {
    const attune_kernels *cpu;
    const attune_model *model;
    attune_network network;
    attune_batch_options bounds;
    void **tracks; /* a CPU context for every slot that was used; its state is the slot's */
    bool *begun;
    void *frontend; /* a CPU context for frames */
    void *pcm[2];
    float *features[2];
    operation queue[OPERATIONS];
    int queued;
} context;

fake_batch fake;

static int fake_count(void)
{
    if (fake.devices == 0) {
        attune_fail(ATTUNE_ENODEVICE, "the fake is not there today");
    }
    return fake.devices;
}

static attune_status fake_memory_free(int ordinal, size_t *bytes)
{
    cr_assert(ordinal >= 0 && ordinal < fake.devices);
    *bytes = fake.memory;
    return ATTUNE_OK;
}

static size_t fake_memory_needed(const attune_network *n, const attune_batch_options *o)
{
    return 2 * (size_t)o->pcm_samples * sizeof(float) +
           2 * (size_t)o->feature_rows * (size_t)n->features * sizeof(float);
}

static void *new_track(context *c)
{
    void *track = NULL;
    cr_assert_eq(c->cpu->open(&track, c->model, ATTUNE_PRECISION_EXACT), ATTUNE_OK);
    return track;
}

static attune_status fake_open(void **out, const attune_model *model,
                               const attune_batch_options *options)
{
    *out = NULL;
    if (fake.refuse_opens > 0) {
        fake.refuse_opens--;
        return attune_fail(ATTUNE_ENOMEM, "the fake's memory is in pieces");
    }
    context *c = calloc(1, sizeof(*c));
    cr_assert_not_null(c);
    cr_assert_eq(attune_kernels_cpu(&c->cpu), ATTUNE_OK);
    c->model = model;
    c->network = *attune_model_network(model);
    c->bounds = *options;
    c->tracks = calloc(options->slots, sizeof(void *));
    c->begun = calloc(options->slots, sizeof(bool));
    c->frontend = new_track(c);
    for (int i = 0; i < 2; i++) {
        c->pcm[i] = malloc(options->pcm_samples * sizeof(float));
        c->features[i] =
            malloc((size_t)options->feature_rows * (size_t)c->network.features * sizeof(float));
        cr_assert(c->pcm[i] && c->features[i]);
    }
    fake.opens++;
    *out = c;
    return ATTUNE_OK;
}

/* Frame f of a frontend call as floats. */
static void read_frame(const context *c, const operation *o, uint32_t f, float *frame)
{
    const uint32_t start = ((const uint32_t *)o->list)[f];
    const uint32_t N = (uint32_t)c->network.frame_size;
    cr_assert(start + N <= c->bounds.pcm_samples);
    for (uint32_t i = 0; i < N; i++) {
        frame[i] = c->bounds.precision == ATTUNE_PRECISION_EXACT
                       ? ((const float *)c->pcm[o->pcm])[start + i]
                       : (float)((const int16_t *)c->pcm[o->pcm])[start + i] / 16384.0f;
    }
}

static void do_frontend(context *c, const operation *o)
{
    float *frame = malloc(sizeof(float) * (size_t)c->network.frame_size);
    cr_assert_not_null(frame);
    for (uint32_t f = 0; f < o->count; f++) {
        read_frame(c, o, f, frame);
        c->cpu->frontend(c->frontend,
                         c->features[o->features] + (o->row + f) * (size_t)c->network.features,
                         frame, 1);
    }
    free(frame);
}

static void do_sequence(context *c, const operation *o)
{
    for (uint32_t s = 0; s < o->count; s++) {
        const attune_segment *segment = (const attune_segment *)o->list + s;
        cr_assert(c->begun[segment->slot]);
        const attune_segment alone = {.first = segment->first, .count = segment->count};
        c->cpu->sequence(c->tracks[segment->slot], c->features[o->features], &alone, 1);
    }
}

static void do_begin(context *c, const operation *o)
{
    for (uint32_t s = 0; s < o->count; s++) {
        const uint32_t slot = ((const uint32_t *)o->list)[s];
        if (!c->tracks[slot]) {
            c->tracks[slot] = new_track(c);
        }
        c->cpu->begin(c->tracks[slot], 0);
        c->begun[slot] = true;
    }
}

static void do_all(context *c)
{
    for (int i = 0; i < c->queued; i++) {
        operation *o = &c->queue[i];
        (o->kind == FRONTEND ? do_frontend : o->kind == SEQUENCE ? do_sequence : do_begin)(c, o);
        free(o->list);
    }
    c->queued = 0;
}

static void enqueue(context *c, operation o, const void *list, size_t size)
{
    if (c->queued == OPERATIONS) {
        do_all(c);
    }
    o.list = malloc(size);
    cr_assert_not_null(o.list);
    memcpy(o.list, list, size);
    c->queue[c->queued++] = o;
}

static void fake_close(void *context_)
{
    context *c = context_;
    if (c) {
        do_all(c);
        for (uint32_t s = 0; s < c->bounds.slots; s++) {
            c->cpu->close(c->tracks[s]);
        }
        c->cpu->close(c->frontend);
        for (int i = 0; i < 2; i++) {
            free(c->pcm[i]);
            free(c->features[i]);
        }
        free(c->tracks);
        free(c->begun);
        free(c);
    }
}

static const char *fake_name(const void *context_)
{
    return context_ ? "of the CPU's kernels" : "";
}

static void *fake_pcm(void *context_, int buffer)
{
    return ((context *)context_)->pcm[buffer];
}

static attune_status fake_frontend(void *context_, int buffer, const uint32_t *start, uint32_t F,
                                   int features, uint32_t row)
{
    context *c = context_;
    cr_assert(F >= 1 && F <= c->bounds.pcm_frames && row + F <= c->bounds.feature_rows);
    if (fake.fail_after > 0 && fake.frames + F > fake.fail_after) {
        return attune_fail(ATTUNE_EIO, "the fake fell off the bus");
    }
    fake.frames += F;
    fake.largest_batch = F > fake.largest_batch ? F : fake.largest_batch;
    enqueue(
        c,
        (operation){.kind = FRONTEND, .pcm = buffer, .features = features, .row = row, .count = F},
        start, F * sizeof(*start));
    return ATTUNE_OK;
}

static attune_status fake_wait(void *context_, int buffer)
{
    cr_assert(buffer == 0 || buffer == 1);
    do_all(context_);
    return ATTUNE_OK;
}

static attune_status fake_begin(void *context_, const uint32_t *slots, uint32_t count)
{
    context *c = context_;
    for (uint32_t i = 0; i < count; i++) {
        cr_assert(slots[i] < c->bounds.slots);
    }
    enqueue(c, (operation){.kind = BEGIN, .count = count}, slots, count * sizeof(*slots));
    return ATTUNE_OK;
}

static attune_status fake_sequence(void *context_, int features, const attune_segment *segments,
                                   uint32_t count)
{
    context *c = context_;
    bool *seen = calloc(c->bounds.slots, sizeof(bool));
    cr_assert_not_null(seen);
    cr_assert(count >= 1 && count <= c->bounds.segments);
    for (uint32_t s = 0; s < count; s++) {
        cr_assert(segments[s].slot < c->bounds.slots && !seen[segments[s].slot]);
        cr_assert(segments[s].count >= 1 &&
                  segments[s].first + segments[s].count <= c->bounds.feature_rows);
        seen[segments[s].slot] = true;
    }
    free(seen);
    enqueue(c, (operation){.kind = SEQUENCE, .features = features, .count = count}, segments,
            count * sizeof(*segments));
    return ATTUNE_OK;
}

static attune_status fake_finish(void *context_, float *embeddings, const uint32_t *slots,
                                 uint32_t count)
{
    context *c = context_;
    do_all(c);
    for (uint32_t s = 0; s < count; s++) {
        cr_assert(c->begun[slots[s]]);
        cr_assert_eq(
            c->cpu->finish(c->tracks[slots[s]], embeddings + s * (size_t)c->network.embedding, 0),
            ATTUNE_OK);
        c->begun[slots[s]] = false;
    }
    return ATTUNE_OK;
}

static double fake_busy(void *context_)
{
    return context_ ? 0.001 : 0;
}

const attune_batch_kernels *fake_batch_kernels(void)
{
    static const attune_batch_kernels table = {
        .device = "fake",
        .count = fake_count,
        .memory_free = fake_memory_free,
        .memory_needed = fake_memory_needed,
        .open = fake_open,
        .close = fake_close,
        .name = fake_name,
        .pcm = fake_pcm,
        .frontend = fake_frontend,
        .wait_pcm = fake_wait,
        .begin = fake_begin,
        .sequence = fake_sequence,
        .wait_features = fake_wait,
        .finish = fake_finish,
        .busy_seconds = fake_busy,
    };
    return &table;
}
