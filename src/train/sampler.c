/* sampler.c - batches, drawn. */
#include "train/sampler.h"

#include "model/random.h"
#include "status/error.h"

#include <stdlib.h>

struct attune_sampler {
    attune_sampler_source source;
    uint64_t seed;
    int64_t label, spare, mix_label; /* spare: 0 is none */
    bool random_crop, triplets;
    int batch, views, steps;
    uint32_t count;      /* triplets or tracks */
    uint32_t *order;     /* (count) of the epoch */
    int64_t order_epoch; /* -1: none yet */
    /* Tracks by label, for labels other than the track's own. */
    uint32_t *members; /* (chosen_count) */
    uint32_t *start;   /* (labels + 1) */
};

int32_t attune_sampler_label(const attune_tracks *tracks, int64_t label, uint32_t track)
{
    return label == 0 ? (int32_t)track : attune_tracks_entries(tracks)[track].label[label];
}

/* Sorts the chosen tracks by their label. */
static attune_status list_members(attune_sampler *s)
{
    const attune_sampler_source *source = &s->source;
    const int32_t labels = attune_tracks_label_count(source->tracks, (attune_label)s->label);
    uint32_t most = 0;
    s->members = calloc(source->chosen_count + 1, sizeof(*s->members));
    s->start = calloc((size_t)labels + 2, sizeof(*s->start));
    if (!s->members || !s->start) {
        return attune_fail_memory("the tracks of each label", source->chosen_count);
    }
    for (uint32_t i = 0; i < source->chosen_count; i++) {
        const int32_t label = attune_sampler_label(source->tracks, s->label, source->chosen[i]);
        if (label >= 0) {
            s->start[label + 1]++;
        }
    }
    for (int32_t label = 0; label < labels; label++) {
        most = s->start[label + 1] > most ? s->start[label + 1] : most;
        s->start[label + 1] += s->start[label];
    }
    for (uint32_t i = source->chosen_count; i-- > 0;) { /* from the end: start moves back down */
        const int32_t label = attune_sampler_label(source->tracks, s->label, source->chosen[i]);
        if (label >= 0) {
            s->members[--s->start[label + 1]] = source->chosen[i];
        }
    }
    /* start[l + 1] is now where l begins. */
    for (int32_t label = 0; label < labels; label++) {
        s->start[label] = s->start[label + 1];
    }
    s->start[labels] = 0;
    for (uint32_t i = 0; i < source->chosen_count; i++) {
        s->start[labels] += attune_sampler_label(source->tracks, s->label, source->chosen[i]) >= 0;
    }
    return most > 1 ? ATTUNE_OK
                    : attune_fail(ATTUNE_EINVAL, "no two tracks to train on share a label; is it a "
                                                 "column of the manifest?");
}

attune_status attune_sampler_open(attune_sampler **out, const attune_settings *settings,
                                  const attune_sampler_source *source)
{
    attune_sampler *s = calloc(1, sizeof(*s));
    attune_status status = ATTUNE_OK;
    *out = NULL;
    if (!s) {
        return attune_fail_memory("a sampler", sizeof(*s));
    }
    *s = (attune_sampler){
        .source = *source,
        .seed = (uint64_t)settings->seed,
        .label = settings->label,
        .spare = settings->spare,
        .mix_label = settings->mix_label,
        .random_crop = settings->random_crop,
        .triplets = source->triplet_count > 0,
        .batch = (int)settings->batch,
        .views = (int)settings->views,
        .order_epoch = -1,
    };
    s->count = s->triplets ? source->triplet_count : source->chosen_count;
    s->steps = (int)((s->count + (uint32_t)s->batch - 1) / (uint32_t)s->batch);
    s->order = calloc(s->count + 1, sizeof(*s->order));
    if (!s->order) {
        status = attune_fail_memory("an epoch's order", s->count * sizeof(*s->order));
    } else if (s->count < (s->triplets ? 1 : 2)) {
        status = attune_fail(ATTUNE_EINVAL, "there are %u %s to train on", s->count,
                             s->triplets ? "triplets" : "tracks");
    } else if (!s->triplets && s->label != 0) {
        status = list_members(s);
    }
    if (status) {
        attune_sampler_close(s);
        return status;
    }
    *out = s;
    return ATTUNE_OK;
}

void attune_sampler_close(attune_sampler *s)
{
    if (s) {
        free(s->order);
        free(s->members);
        free(s->start);
        free(s);
    }
}

int attune_sampler_steps(const attune_sampler *s)
{
    return s->steps;
}

int attune_sampler_most(const attune_sampler *s)
{
    const int batch = s->count < (uint32_t)s->batch ? (int)s->count : s->batch;
    return batch * (s->triplets ? 3 : s->views);
}

/* ---- drawing ---- */

/* Fisher and Yates. */
static void shuffle(attune_sampler *s, int64_t epoch)
{
    attune_random random = attune_random_of(s->seed, (uint64_t)epoch);
    for (uint32_t i = 0; i < s->count; i++) {
        const uint32_t j = attune_random_below(&random, i + 1);
        s->order[i] = s->order[j];
        s->order[j] = i;
    }
    s->order_epoch = epoch;
}

static attune_sample sample_of(const attune_sampler *s, uint32_t track)
{
    return (attune_sample){
        .track = track,
        .label = attune_sampler_label(s->source.tracks, s->label, track),
        .family = s->spare ? attune_sampler_label(s->source.tracks, s->spare, track) : -1,
        .mixed = attune_sampler_label(s->source.tracks, s->mix_label, track),
    };
}

/* Where a clip may begin at the latest. */
static uint32_t room(const attune_sampler *s, uint32_t track, int views)
{
    const size_t kept = s->source.samples[track], span = s->source.span * (size_t)views;
    return kept > span ? (uint32_t)(kept - span) : 0;
}

static int by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Starts of `views` clips of one track, side by side if it is long enough. */
static void crop(const attune_sampler *s, attune_sample *out, int views, attune_random *random)
{
    uint32_t starts[64] = {0};
    const bool apart = s->source.samples[out->track] >= s->source.span * (size_t)views;
    for (int v = 0; v < views && s->random_crop; v++) {
        starts[v] = attune_random_below(random, room(s, out->track, apart ? views : 1) + 1);
    }
    if (apart && s->random_crop) {
        qsort(starts, (size_t)views, sizeof(starts[0]), by_value);
        for (int v = 1; v < views; v++) {
            starts[v] += (uint32_t)((size_t)v * s->source.span);
        }
    }
    for (int v = 0; v < views; v++) {
        out[v] = out[0];
        out[v].start = starts[v];
    }
}

static void add_views(attune_sampler *s, attune_sample *out, uint32_t track, attune_random *random)
{
    out[0] = sample_of(s, track);
    if (s->label == 0 || out[0].label < 0) {
        crop(s, out, s->views, random);
        return;
    }
    const int32_t label = out[0].label;
    crop(s, out, 1, random);
    for (int v = 1; v < s->views; v++) {
        const uint32_t first = s->start[label], size = s->start[label + 1] - first;
        out[v] = sample_of(s, s->members[first + attune_random_below(random, size)]);
        crop(s, out + v, 1, random);
    }
}

static void add_triplet(attune_sampler *s, attune_sample *out, int B, uint32_t index,
                        attune_random *random)
{
    const attune_triplet *triplet = &s->source.triplets[index];
    const uint32_t tracks[3] = {triplet->anchor, triplet->positive, triplet->negative};
    for (int i = 0; i < 3; i++) {
        out[i * B] = sample_of(s, tracks[i]);
        crop(s, out + i * B, 1, random);
    }
}

int attune_sampler_batch(attune_sampler *s, attune_sample *out, int64_t epoch, int64_t step)
{
    if (s->order_epoch != epoch) {
        shuffle(s, epoch);
    }
    const uint32_t first = (uint32_t)(step * s->batch), end = first + (uint32_t)s->batch < s->count
                                                                  ? first + (uint32_t)s->batch
                                                                  : s->count;
    const int B = (int)(end - first);
    for (int i = 0; i < B; i++) {
        const uint32_t index = s->order[first + (uint32_t)i];
        attune_random random = attune_random_of(s->seed ^ ATTUNE_RANDOM_STEP,
                                                (uint64_t)epoch * s->count + first + (uint64_t)i);
        if (s->triplets) {
            add_triplet(s, out + i, B, index, &random);
        } else {
            add_views(s, out + (size_t)i * s->views, s->source.chosen[index], &random);
        }
    }
    return B * (s->triplets ? 3 : s->views);
}
