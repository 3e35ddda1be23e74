/* driver.c - a host that feeds a batch device in the plainest way. */
#include "tests/cuda/driver.h"

#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

const attune_batch_kernels *driver_kernels;

void driver_check(attune_status status)
{
    assert_ok(status);
}

void driver_open(driver *d, const attune_model *model, attune_precision precision, uint32_t frames,
                 uint32_t rows, uint32_t tracks)
{
    *d = (driver){.network = *attune_model_network(model), .batch = frames};
    d->options = (attune_batch_options){.precision = precision,
                                        .pcm_samples = frames * (uint32_t)d->network.frame_size,
                                        .pcm_frames = frames,
                                        .feature_rows = rows,
                                        .segments = tracks,
                                        .slots = tracks};
    driver_check(driver_kernels->open(&d->context, model, &d->options));
    d->start = malloc(frames * sizeof(*d->start));
    d->segments = malloc(tracks * sizeof(*d->segments));
    d->slots = malloc(tracks * sizeof(*d->slots));
    cr_assert(d->start && d->segments && d->slots);
}

void driver_close(driver *d)
{
    driver_kernels->close(d->context);
    free(d->start);
    free(d->segments);
    free(d->slots);
}

static void send_frames(driver *d)
{
    if (d->F > 0) {
        driver_check(
            driver_kernels->frontend(d->context, d->buffer, d->start, d->F, d->features, d->row));
        d->buffer ^= 1;
        d->row += d->F;
        d->F = d->at = 0;
        driver_check(driver_kernels->wait_pcm(d->context, d->buffer));
    }
}

static void send_segments(driver *d)
{
    send_frames(d);
    driver_check(driver_kernels->sequence(d->context, d->features, d->segments, d->segment_count));
    d->segment_count = d->row = 0;
    d->features ^= 1;
    driver_check(driver_kernels->wait_features(d->context, d->features));
}

static void write_samples(driver *d, const float *from, uint32_t count)
{
    void *pcm = driver_kernels->pcm(d->context, d->buffer);
    for (uint32_t i = 0; i < count; i++) {
        if (d->options.precision == ATTUNE_PRECISION_EXACT) {
            ((float *)pcm)[d->at + i] = from[i];
        } else {
            ((int16_t *)pcm)[d->at + i] = (int16_t)lrintf(from[i] * 16384.0f);
        }
    }
    d->at += count;
}

static void push_track(driver *d, driver_track t, uint32_t slot)
{
    const uint32_t N = (uint32_t)d->network.frame_size, hop = (uint32_t)d->network.hop_size;
    uint32_t done = 0, left = (uint32_t)attune_network_frames(&d->network, t.samples);
    while (left > 0) {
        if (d->F == d->batch || d->at + N > d->options.pcm_samples) {
            send_frames(d);
        }
        if (d->row + d->F == d->options.feature_rows || d->segment_count == d->options.segments) {
            send_segments(d);
        }
        uint32_t count = (d->options.pcm_samples - d->at - N) / hop + 1;
        count = count < d->batch - d->F ? count : d->batch - d->F;
        const uint32_t rows = d->options.feature_rows - d->row - d->F;
        count = count < rows ? count : rows;
        count = count < left ? count : left;
        attune_segment *last = d->segment_count ? &d->segments[d->segment_count - 1] : NULL;
        if (last && last->slot == slot) {
            last->count += count;
        } else {
            d->segments[d->segment_count++] = (attune_segment){slot, d->row + d->F, count};
        }
        for (uint32_t f = 0; f < count; f++) {
            d->start[d->F++] = d->at + f * hop;
        }
        write_samples(d, t.pcm + (size_t)done * hop, (count - 1) * hop + N);
        done += count;
        left -= count;
    }
}

void driver_embed(driver *d, float *embeddings, const driver_track *tracks, uint32_t count)
{
    cr_assert_leq(count, d->options.slots);
    for (uint32_t i = 0; i < count; i++) {
        d->slots[i] = count - 1 - i;
    }
    driver_check(driver_kernels->begin(d->context, d->slots, count));
    for (uint32_t i = 0; i < count; i++) {
        push_track(d, tracks[i], d->slots[i]);
    }
    send_segments(d);
    driver_check(driver_kernels->finish(d->context, embeddings, d->slots, count));
}

float *driver_noise(size_t samples, uint64_t seed)
{
    float *pcm = malloc(samples * sizeof(float));
    cr_assert_not_null(pcm);
    for (size_t i = 0; i < samples; i++) {
        pcm[i] = random_uniform(&seed) * (float)(0.9 + 0.8 * sin((double)i / 9000.0));
    }
    return pcm;
}

double driver_worst(const float *got, const double *expected, int count)
{
    double largest = 0;
    for (int i = 0; i < count; i++) {
        const double error = fabs((double)got[i] - expected[i]);
        largest = error <= largest ? largest : error; /* NaN stays */
    }
    return largest;
}
