/* polyphase.c - frames of 44.1 and 48 kHz and their multiples as mono f32 at 22,050 Hz.
 *
 * The filter is libswresample's by default: a sinc that cuts off at 0.97 of the lower Nyquist
 * frequency, 32 of its zero crossings long, under a Kaiser window of beta 9. So are the ends:
 * before its first sample a stream goes on as its mirror image around that sample; behind its last
 * one, half of the samples that are still needed come again in reverse.
 *
 * From 44.1 kHz that is 66 taps. A half-band filter would do with 25 multiply-adds and save 3 % of
 * the time that decoding an MP3 takes; it was left because it moves an embedding by 3e-5, and this
 * one by less than 1e-7.
 *
 * held:  | T for the mirror image, at first | samples that outputs to come need |
 */
#include "audio/polyphase.h"

#include <assert.h>
#include <errno.h>
#include <libavutil/channel_layout.h>
#include <libavutil/error.h>
#include <libavutil/samplefmt.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    RATE_OUT = 22050,
    CHUNK = 4096, /* samples mixed at a time */
    BLOCK = 64,   /* outputs in a lane, where there is but one phase */
};

static const int rates_in[] = {44100, 48000, 88200, 96000, 176400, 192000};
enum { RATES = sizeof(rates_in) / sizeof(rates_in[0]) };

/* ---- filters ---- */

/* Filters are constants that are computed when first needed and kept until the process ends. */
static attune_filter filters[RATES];
static pthread_mutex_t filters_mutex = PTHREAD_MUTEX_INITIALIZER;

/* The modified Bessel function of order 0 by its series; |x| is at most 9. */
static double bessel(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; term > 1e-17 * sum; k++) {
        term *= x * x / 4 / (k * k);
        sum += term;
    }
    return sum;
}

static int divisor(int a, int b)
{
    return b == 0 ? a : divisor(b, a % b);
}

/* The tap at `distance` input samples from the centre, for T taps and a cutoff in units of the
 * input's Nyquist frequency. */
static double tap(double distance, double cutoff, int T)
{
    const double x = M_PI * distance * cutoff, w = 2 * distance / T;
    return (x == 0 ? 1 : sin(x) / x) * bessel(9 * sqrt(fmax(1 - w * w, 0)));
}

static bool design(attune_filter *f, int rate_in)
{
    const int g = divisor(rate_in, RATE_OUT), L = RATE_OUT / g;
    const double cutoff = 0.97 * RATE_OUT / rate_in;
    const int T = (int)ceil(32 / cutoff), centre = (T - 1) / 2;
    float *bank = malloc((size_t)L * T * sizeof(float));
    double sum = 0;
    if (!bank) {
        return false;
    }
    for (int k = 0; k < T; k++) {
        sum += tap(k - centre, cutoff, T);
    }
    for (int p = 0; p < L; p++) {
        for (int k = 0; k < T; k++) {
            const double distance = k - centre - (double)p / L;
            bank[(size_t)p * T + k] = (float)(tap(distance, cutoff, T) / sum);
        }
    }
    *f = (attune_filter){
        .taps = T, .phases = L, .step = rate_in / g, .block = L == 1 ? BLOCK : L, .bank = bank};
    return true;
}

/* NULL when memory ran out. */
static const attune_filter *filter_at(int index)
{
    attune_filter *f = &filters[index];
    pthread_mutex_lock(&filters_mutex);
    const bool designed = f->bank || design(f, rates_in[index]);
    pthread_mutex_unlock(&filters_mutex);
    return designed ? f : NULL;
}

/* ---- frames ---- */

/* Understands the frame's format; false when it is none of ours. */
static bool read_format(attune_polyphase *p, const AVFrame *frame)
{
    static const AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO, stereo = AV_CHANNEL_LAYOUT_STEREO;
    const enum AVSampleFormat format = frame->format;
    switch (av_get_packed_sample_fmt(format)) {
    case AV_SAMPLE_FMT_S16:
        p->type = ATTUNE_SAMPLE_S16;
        break;
    case AV_SAMPLE_FMT_S32:
        p->type = ATTUNE_SAMPLE_S32;
        break;
    case AV_SAMPLE_FMT_FLT:
        p->type = ATTUNE_SAMPLE_F32;
        break;
    case AV_SAMPLE_FMT_DBL:
        p->type = ATTUNE_SAMPLE_F64;
        break;
    default:
        return false;
    }
    p->stereo = av_channel_layout_compare(&frame->ch_layout, &stereo) == 0;
    p->interleaved = p->stereo && !av_sample_fmt_is_planar(format);
    return p->stereo || av_channel_layout_compare(&frame->ch_layout, &mono) == 0;
}

static int rate_index(int rate_in, int rate_out)
{
    int index = rate_out == RATE_OUT ? 0 : RATES;
    while (index < RATES && rates_in[index] != rate_in) {
        index++;
    }
    return index;
}

int attune_polyphase_start(attune_polyphase *p, const attune_resampling *kernels,
                           const AVFrame *frame, int rate_out)
{
    const int index = rate_index(frame->sample_rate, rate_out);
    attune_polyphase_close(p);
    if (index == RATES || !read_format(p, frame)) {
        return 0;
    }
    const attune_filter *filter = filter_at(index);
    if (!filter) {
        return AVERROR(ENOMEM);
    }
    /* What a call reads, a chunk, and the mirror images: T at the start and half of T at the end.
     */
    p->capacity = attune_filter_reads(filter) + CHUNK + 2 * (size_t)filter->taps;
    p->held = calloc(p->capacity, sizeof(float));
    p->scratch = aligned_alloc(64, (attune_filter_scratch(filter) * sizeof(float) + 63) / 64 * 64);
    p->kernels = kernels;
    p->filter = p->held && p->scratch ? filter : NULL;
    p->count = p->start = (size_t)filter->taps;
    return p->filter ? 1 : AVERROR(ENOMEM);
}

size_t attune_polyphase_bound(const attune_polyphase *p, size_t samples)
{
    const size_t mirrored = 2 * (size_t)p->filter->taps;
    return ((p->count + samples + mirrored) / attune_filter_advance(p->filter) + 1) *
           attune_filter_outputs(p->filter);
}

/* Downmixes samples [first, first + count) of a frame behind what is held. */
static void hold(attune_polyphase *p, const AVFrame *frame, size_t first, size_t count)
{
    static const size_t bytes[] = {2, 4, 4, 8};
    static const double full_scale[] = {0x1p-15, 0x1p-31, 1, 1};
    const size_t offset = first * bytes[p->type] * (p->interleaved ? 2 : 1);
    const uint8_t *left = frame->extended_data[0] + offset, *right = NULL;
    if (p->stereo) {
        right = p->interleaved ? left + bytes[p->type] : frame->extended_data[1] + offset;
    }
    const double gain = full_scale[p->type] * (p->stereo ? M_SQRT1_2 : 1);
    assert(p->count + count <= p->capacity);
    p->kernels->mix(p->held + p->count, left, right, p->type, p->interleaved ? 2 : 1, (float)gain,
                    count);
    p->count += count;
}

/* The beginning: once there are more samples than a filter is long, their mirror image is put
 * before them, and the first output is centred on the first sample. */
static void begin(attune_polyphase *p)
{
    const size_t T = (size_t)p->filter->taps;
    if (!p->started && p->count > 2 * T) {
        for (size_t i = 1; i <= T; i++) {
            p->held[T - i] = p->held[T + i];
        }
        p->start = T - (T - 1) / 2;
        p->started = true;
    }
}

/* How many outputs could be made of the samples held. */
static size_t ready(const attune_polyphase *p)
{
    const attune_filter *f = p->filter;
    if (!p->started || p->count < p->start + (size_t)f->taps) {
        return 0;
    }
    /* The last one begins T samples before the end at the latest. */
    const size_t places = (p->count - p->start - (size_t)f->taps + 1) * (size_t)f->phases;
    return (places + (size_t)f->step - 1) / (size_t)f->step;
}

/* Makes outputs by whole calls of the filter, at the end also the rest, and forgets the samples
 * that no later one needs. */
static size_t run(attune_polyphase *p, float *out)
{
    const size_t outputs = attune_filter_outputs(p->filter);
    size_t made = 0;
    begin(p);
    for (size_t left = ready(p); left >= outputs || (p->ending && left > 0); left = ready(p)) {
        p->kernels->filter(out + made, p->held + p->start, p->filter, p->scratch);
        made += left < outputs ? left : outputs;
        p->start += attune_filter_advance(p->filter);
        p->start = p->start < p->count ? p->start : p->count;
        p->count -= p->start;
        memmove(p->held, p->held + p->start, p->count * sizeof(float));
        p->start = 0;
    }
    return made;
}

size_t attune_polyphase_convert(attune_polyphase *p, float *out, const AVFrame *frame)
{
    size_t made = 0;
    for (size_t first = 0, count = (size_t)frame->nb_samples; first < count;) {
        const size_t some = count - first < CHUNK ? count - first : CHUNK;
        hold(p, frame, first, some);
        made += run(p, out + made);
        first += some;
    }
    return made;
}

/* The end's mirror image: half as many samples as are left behind the last output. */
static void mirror_end(attune_polyphase *p)
{
    const attune_filter *f = p->filter;
    const size_t next = p->start + ready(p) * (size_t)f->step / (size_t)f->phases;
    const size_t count = (p->count - next + 1) / 2;
    for (size_t i = 0; i < count; i++) {
        p->held[p->count + i] = p->held[p->count - 1 - i];
    }
    p->count += count;
}

size_t attune_polyphase_finish(attune_polyphase *p, float *out, bool flush)
{
    if (flush && !p->ending) {
        mirror_end(p);
    }
    p->ending = true;
    return run(p, out);
}

void attune_polyphase_close(attune_polyphase *p)
{
    free(p->held);
    free(p->scratch);
    *p = (attune_polyphase){0};
}
