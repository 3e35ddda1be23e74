/* test_polyphase.c - our own resampling beside libswresample, which it is to replace, and beside
 * the filter's definition. */
#include "audio/polyphase.h"
#include "kernels/kernels.h"

#include "tests/audio/audio_files.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <libavutil/channel_layout.h>
#include <libavutil/samplefmt.h>
#include <libswresample/swresample.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 22050, ROOM = 1 << 16 };

static const int rates[] = {44100, 48000, 88200, 96000, 176400, 192000};
enum { RATES = sizeof(rates) / sizeof(rates[0]) };

static const AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO, stereo = AV_CHANNEL_LAYOUT_STEREO;

static const attune_resampling *kernels(void)
{
    const attune_kernels *table = NULL;
    cr_assert_eq(attune_kernels_cpu(&table), ATTUNE_OK);
    return table->resampling;
}

/* A frame of a sweep from 20 Hz to the Nyquist frequency and some noise, different in each channel.
 */
static AVFrame *make_frame(int format, int rate, const AVChannelLayout *channels, int samples)
{
    AVFrame *frame = av_frame_alloc();
    uint64_t seed = 9;
    cr_assert_not_null(frame);
    frame->format = format;
    frame->sample_rate = rate;
    frame->nb_samples = samples > 0 ? samples : 1;
    cr_assert_eq(av_channel_layout_copy(&frame->ch_layout, channels), 0);
    cr_assert_eq(av_frame_get_buffer(frame, 0), 0);
    frame->nb_samples = samples;
    const int count = channels->nb_channels;
    const bool planar = av_sample_fmt_is_planar(format);
    for (int i = 0; i < samples * count; i++) {
        const double t = i / count;
        const int channel = i % count;
        const double x = 0.8 * sin(M_PI * t * (t / samples + 1e-3) * (channel ? 0.7 : 1)) +
                         0.19 * (double)random_uniform(&seed);
        uint8_t *plane = frame->extended_data[planar ? channel : 0];
        const int at = planar ? i / count : i;
        switch (av_get_packed_sample_fmt(format)) {
        case AV_SAMPLE_FMT_S16:
            ((int16_t *)plane)[at] = (int16_t)lrint(x * 32767);
            break;
        case AV_SAMPLE_FMT_S32:
            ((int32_t *)plane)[at] = (int32_t)lrint(x * 2147483647);
            break;
        case AV_SAMPLE_FMT_FLT:
            ((float *)plane)[at] = (float)x;
            break;
        case AV_SAMPLE_FMT_DBL:
            ((double *)plane)[at] = x;
            break;
        default:
            break;
        }
    }
    return frame;
}

/* Samples [first, first + count) of a frame, as a frame that refers to them. */
static AVFrame *part_of(const AVFrame *frame, int first, int count)
{
    AVFrame *part = av_frame_clone(frame);
    const int bytes = av_get_bytes_per_sample(frame->format),
              channels = frame->ch_layout.nb_channels;
    const bool planar = av_sample_fmt_is_planar(frame->format);
    cr_assert_not_null(part);
    for (int c = 0; c < (planar ? channels : 1); c++) {
        part->extended_data[c] += first * bytes * (planar ? 1 : channels);
    }
    part->nb_samples = count;
    return part;
}

/* By libswresample, the end flushed; returns how many samples. */
static size_t by_swresample(float *out, AVFrame *frame)
{
    SwrContext *context = NULL;
    AVChannelLayout to = mono;
    int made, total = 0;
    cr_assert_eq(swr_alloc_set_opts2(&context, &to, AV_SAMPLE_FMT_FLT, RATE, &frame->ch_layout,
                                     frame->format, frame->sample_rate, 0, NULL),
                 0);
    cr_assert_eq(swr_init(context), 0);
    const uint8_t **in = (const uint8_t **)frame->extended_data;
    for (int count = frame->nb_samples;; in = NULL, count = 0) {
        uint8_t *planes[] = {(uint8_t *)(out + total)};
        made = swr_convert(context, planes, ROOM - total, in, count);
        cr_assert_geq(made, 0);
        total += made;
        if (!in && made == 0) {
            break;
        }
    }
    swr_free(&context);
    return (size_t)total;
}

/* By ours, in parts of at most `largest` samples, or whole for 0. */
static size_t by_ours(float *out, const AVFrame *frame, int largest)
{
    attune_polyphase p = {0};
    size_t total = 0, made = 0;
    uint64_t seed = (uint64_t)largest;
    cr_assert_eq(attune_polyphase_start(&p, kernels(), frame, RATE), 1);
    for (int first = 0; first < frame->nb_samples;) {
        const int left = frame->nb_samples - first;
        int count = largest > 0 ? (int)(random_bits(&seed) % (uint64_t)(largest + 1)) : left;
        AVFrame *part = part_of(frame, first, count < left ? count : left);
        const size_t bound = attune_polyphase_bound(&p, (size_t)part->nb_samples);
        cr_assert_leq(total + bound, ROOM);
        made = attune_polyphase_convert(&p, out + total, part);
        cr_assert_leq(made, bound);
        total += made;
        first += part->nb_samples;
        av_frame_free(&part);
    }
    do {
        made = attune_polyphase_finish(&p, out + total, true);
        total += made;
    } while (made > 0);
    attune_polyphase_close(&p);
    return total;
}

/* As many samples, and each within rounding: sums of a few hundred products of both signs. */
static void compare(AVFrame *frame)
{
    static float theirs[ROOM], ours[ROOM];
    const size_t count = by_swresample(theirs, frame), got = by_ours(ours, frame, 0);
    const char *format = av_get_sample_fmt_name(frame->format);
    cr_assert_eq(got, count, "%d samples of %d Hz, %s: %zu made, not %zu", frame->nb_samples,
                 frame->sample_rate, format, got, count);
    for (size_t i = 0; i < count; i++) {
        cr_assert(fabsf(ours[i] - theirs[i]) <= 2e-6f,
                  "%d samples of %d Hz, %s: sample %zu is %.9g, not %.9g", frame->nb_samples,
                  frame->sample_rate, format, i, (double)ours[i], (double)theirs[i]);
    }
}

static void compare_new(int format, int rate, const AVChannelLayout *channels, int samples)
{
    AVFrame *frame = make_frame(format, rate, channels, samples);
    compare(frame);
    av_frame_free(&frame);
}

Test(polyphase, formats_equal_libswresample)
{
    static const int formats[] = {AV_SAMPLE_FMT_S16,  AV_SAMPLE_FMT_S16P, AV_SAMPLE_FMT_S32,
                                  AV_SAMPLE_FMT_S32P, AV_SAMPLE_FMT_FLT,  AV_SAMPLE_FMT_FLTP,
                                  AV_SAMPLE_FMT_DBL,  AV_SAMPLE_FMT_DBLP};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        for (int rate = 44100; rate <= 48000; rate += 3900) {
            compare_new(formats[i], rate, &mono, 9001);
            compare_new(formats[i], rate, &stereo, 25000);
        }
    }
}

/* Around the filters' lengths, the whole calls' and everything that is short. */
Test(polyphase, lengths_equal_libswresample)
{
    static const int others[] = {4095, 4096,  4097,  4160,  4161, 4162,
                                 4163, 10239, 10310, 10313, 20555};
    for (int r = 0; r < RATES; r++) {
        const int T = (int)ceil(32 / (0.97 * RATE / rates[r]));
        for (int samples = 0; samples <= 3 * T; samples += samples < 3 ? 1 : 1 + T / 20) {
            compare_new(AV_SAMPLE_FMT_FLTP, rates[r], &stereo, samples);
        }
        for (int around = -2; around <= 2; around++) {
            compare_new(AV_SAMPLE_FMT_FLTP, rates[r], &mono, T + around);
            compare_new(AV_SAMPLE_FMT_FLTP, rates[r], &mono, 2 * T / 3 + around);
        }
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
            compare_new(AV_SAMPLE_FMT_FLTP, rates[r], &mono, others[i]);
        }
    }
}

Test(polyphase, cut_of_frames_changes_no_bit)
{
    static const int largest[] = {1, 2, 100, 1152, 5000, 30000};
    static float whole[ROOM], parts[ROOM];
    for (int r = 0; r < RATES; r++) {
        AVFrame *frame =
            make_frame(r % 2 ? AV_SAMPLE_FMT_S16 : AV_SAMPLE_FMT_FLTP, rates[r], &stereo, 12345);
        const size_t count = by_ours(whole, frame, 0);
        for (size_t i = 0; i < sizeof(largest) / sizeof(largest[0]); i++) {
            cr_assert_eq(by_ours(parts, frame, largest[i]), count);
            cr_assert(memcmp(parts, whole, count * sizeof(float)) == 0, "%d Hz in parts of %d",
                      rates[r], largest[i]);
        }
        av_frame_free(&frame);
    }
}

/* The modified Bessel function of order 0 as an integral: the mean of exp(x cos t). */
static double bessel(double x)
{
    double sum = 0;
    for (int i = 0; i < 64; i++) {
        sum += exp(x * cos(2 * M_PI * (i + 0.5) / 64));
    }
    return sum / 64;
}

/* The windowed sinc at a distance in input samples, not normalised. */
static double impulse(double distance, int rate)
{
    const double cutoff = 0.97 * RATE / rate, length = ceil(32 / cutoff), w = 2 * distance / length,
                 x = M_PI * cutoff * distance;
    return fabs(w) > 1 ? 0 : bessel(9 * sqrt(1 - w * w)) * (distance == 0 ? 1 : sin(x) / x);
}

/* Where neither end reaches, an output is the sum of its samples under the windowed sinc. */
Test(polyphase, is_a_windowed_sinc)
{
    enum { SAMPLES = 1200 };
    static float out[ROOM];
    for (int r = 0; r < RATES; r++) {
        AVFrame *frame = make_frame(AV_SAMPLE_FMT_FLT, rates[r], &mono, SAMPLES);
        const float *in = (const float *)frame->data[0];
        const size_t count = by_ours(out, frame, 0);
        double norm = 0;
        for (int i = -200; i <= 200; i++) {
            norm += impulse(i, rates[r]);
        }
        cr_assert_gt(count, 100);
        for (size_t n = 0; n < count; n++) {
            const double centre = (double)n * rates[r] / RATE;
            double sum = 0;
            for (int i = 0; i < SAMPLES; i++) {
                sum += (double)in[i] * impulse(i - centre, rates[r]) / norm;
            }
            if (centre > 150 && centre < SAMPLES - 150) {
                /* The window's length decides over a tap at the very edge, 1e-5 of the middle. */
                cr_assert_float_eq((double)out[n], sum, 3e-5, "%d Hz, output %zu: %.9g, not %.9g",
                                   rates[r], n, (double)out[n], sum);
            }
        }
        av_frame_free(&frame);
    }
}

Test(polyphase, leaves_others_to_libswresample)
{
    static const AVChannelLayout surround = AV_CHANNEL_LAYOUT_5POINT1,
                                 downmix = AV_CHANNEL_LAYOUT_STEREO_DOWNMIX;
    const struct {
        int format, rate, rate_out;
        const AVChannelLayout *channels;
    } others[] = {
        {AV_SAMPLE_FMT_FLTP, 22050, RATE, &stereo},   {AV_SAMPLE_FMT_FLTP, 32000, RATE, &stereo},
        {AV_SAMPLE_FMT_FLTP, 44101, RATE, &stereo},   {AV_SAMPLE_FMT_FLTP, 44100, 16000, &stereo},
        {AV_SAMPLE_FMT_FLTP, 44100, RATE, &surround}, {AV_SAMPLE_FMT_FLTP, 44100, RATE, &downmix},
        {AV_SAMPLE_FMT_U8, 44100, RATE, &stereo},     {AV_SAMPLE_FMT_S64P, 44100, RATE, &stereo},
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        attune_polyphase p = {0};
        AVFrame *frame = make_frame(others[i].format, others[i].rate, others[i].channels, 10);
        cr_assert_eq(attune_polyphase_start(&p, kernels(), frame, others[i].rate_out), 0, "%zu", i);
        cr_assert_null(p.filter);
        attune_polyphase_close(&p);
        av_frame_free(&frame);
    }
}

/* Decodes both ways and compares; returns how many samples differ in a bit. */
static size_t compare_file(const char *path)
{
    attune_audio_options options;
    size_t differing = 0;
    attune_audio_options_default(&options);
    decoded exact = decode(path, &options, 3000);
    options.fast_resampling = true;
    decoded fast = decode(path, &options, 1 << 20), pieces = decode(path, &options, 777);
    cr_assert_eq(fast.count, exact.count, "%s: %zu samples, not %zu", path, fast.count,
                 exact.count);
    cr_assert_eq(fast.result.status, exact.result.status);
    cr_assert_eq(fast.result.duration, exact.result.duration);
    for (size_t i = 0; i < exact.count; i++) {
        cr_assert(fabsf(fast.samples[i] - exact.samples[i]) <= 3e-6f, "%s: sample %zu", path, i);
        differing += fast.samples[i] != exact.samples[i];
    }
    cr_assert_eq(pieces.count, fast.count);
    cr_assert(memcmp(pieces.samples, fast.samples, fast.count * sizeof(float)) == 0, "%s", path);
    free(exact.samples);
    free(fast.samples);
    free(pieces.samples);
    return differing;
}

Test(polyphase, files_are_those_of_exact_but_for_rounding)
{
    static const struct {
        const char *encoder, *name;
        int rate, channels;
        bool ours;
    } files[] = {
        {"-c:a flac", "a.flac", 44100, 2, true},  {"-c:a pcm_f64le", "b.wav", 48000, 1, true},
        {"-c:a alac", "c.m4a", 96000, 2, true},   {"-c:a aac", "d.m4a", 44100, 2, true},
        {"-c:a flac", "e.flac", 44100, 6, false}, {"-c:a flac", "f.flac", 32000, 2, false},
        {"-c:a flac", "g.flac", 22050, 2, false}, {"-c:a pcm_u8", "h.wav", 44100, 2, false},
    };
    need_ffmpeg();
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char *path = temporary_path(files[i].name);
        cr_assert(make_audio(path, files[i].rate, files[i].channels, 40000, files[i].encoder));
        const size_t differing = compare_file(path);
        cr_assert_eq(differing > 0, files[i].ours, "%s: %zu samples differ", path, differing);
        free(path);
    }
}

/* When rate or channels change in mid-stream, what is held of the old ones is given, and nothing
 * more. */
Test(polyphase, changes_in_mid_stream_are_those_of_exact)
{
    static const struct {
        int rate, channels;
    } changes[] = {{44100, 2}, {32000, 1}, {48000, 2}, {48000, 1}, {44100, 1}};
    enum { PARTS = sizeof(changes) / sizeof(changes[0]) };
    char *paths[PARTS], *joined = temporary_path("joined.ac3");
    need_ffmpeg();
    for (int i = 0; i < PARTS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%d.ac3", i);
        paths[i] = temporary_path(name);
        cr_assert(make_audio(paths[i], changes[i].rate, changes[i].channels, 30000, "-c:a ac3"));
    }
    join_files(joined, (const char *const *)paths, PARTS);
    cr_assert_gt(compare_file(joined), 0);
    for (int i = 0; i < PARTS; i++) {
        free(paths[i]);
    }
    free(joined);
}
