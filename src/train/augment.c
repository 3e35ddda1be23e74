/* augment.c - what is drawn, and how effects follow one another. Those that change time are in
 * augment_time.c. */
#include "train/augment.h"

#include "status/error.h"
#include "train/augment_time.h"

#include <math.h>
#include <string.h>

#define SAMPLE_RATE 22050.0

/* Where the equaliser's bands may be, Hz. */
static const float band_low[ATTUNE_EQUALISER_BANDS] = {60, 200, 1200, 3000};
static const float band_high[ATTUNE_EQUALISER_BANDS] = {250, 1200, 5000, 8000};

/* ---- what is drawn ---- */

static attune_status check(const char *name, const attune_augment_range *range, float low,
                           float high)
{
    if (!(range->probability >= 0 && range->probability <= 1)) {
        return attune_fail(ATTUNE_EINVAL, "%s: the probability %g is not within 0 to 1", name,
                           (double)range->probability);
    }
    if (range->probability > 0 &&
        !(range->low >= low && range->low <= range->high && range->high <= high)) {
        return attune_fail(ATTUNE_EINVAL, "%s: %g to %g is no range within %g to %g", name,
                           (double)range->low, (double)range->high, (double)low, (double)high);
    }
    return ATTUNE_OK;
}

attune_status attune_augment_check(const attune_augment_options *options)
{
    const struct {
        const char *name;
        const attune_augment_range *range;
        float low, high;
    } all[] = {
        {"tempo", &options->tempo, 0.5f, 2},         {"speed", &options->speed, 0.5f, 2},
        {"equaliser", &options->equaliser, -60, 60}, {"noise", &options->noise, -60, 120},
        {"gain", &options->gain, -60, 60},           {"codec", &options->codec, 16, 96},
    };
    attune_status status = ATTUNE_OK;
    for (size_t i = 0; status == ATTUNE_OK && i < sizeof(all) / sizeof(*all); i++) {
        status = check(all[i].name, all[i].range, all[i].low, all[i].high);
    }
    for (attune_codec c = 0; options->codec.probability > 0 && !status && c < ATTUNE_CODEC_COUNT;
         c++) {
        status = attune_codec_check(c);
    }
    return status;
}

static bool toss(attune_random *random, float probability)
{
    return attune_random_uniform(random) < (double)probability;
}

static float between(attune_random *random, float low, float high)
{
    return low + (float)attune_random_uniform(random) * (high - low);
}

static float draw(attune_random *random, const attune_augment_range *range, float otherwise)
{
    const bool on = toss(random, range->probability);
    const float value = between(random, range->low, range->high);
    return on ? value : otherwise;
}

void attune_augment_draw(attune_augmentation *out, const attune_augment_options *options,
                         attune_random *random)
{
    out->tempo = draw(random, &options->tempo, 1);
    out->speed = draw(random, &options->speed, 1);
    const bool equalise = toss(random, options->equaliser.probability);
    for (int i = 0; i < ATTUNE_EQUALISER_BANDS; i++) {
        const float gain = between(random, options->equaliser.low, options->equaliser.high);
        out->band_gain[i] = equalise ? gain : 0;
        out->band_frequency[i] =
            band_low[i] * powf(band_high[i] / band_low[i], between(random, 0, 1));
    }
    out->noise = draw(random, &options->noise, INFINITY);
    out->pink = toss(random, 0.5f);
    out->noise_seed = attune_random_bits(random);
    out->gain = draw(random, &options->gain, 0);
    const attune_codec codec = toss(random, 0.5f) ? ATTUNE_CODEC_MP3 : ATTUNE_CODEC_AAC;
    const float rate = draw(random, &options->codec, 0);
    out->codec = rate > 0 ? codec : ATTUNE_CODEC_NONE;
    out->bit_rate = 8000 * (int)lroundf(rate / 8); /* MP3 has multiples of 8 */
}

/* ---- how much of the source is needed ---- */

size_t attune_augment_source(const attune_augmentation *augmentation, size_t count)
{
    return attune_tempo_source(augmentation->tempo,
                               attune_speed_source(augmentation->speed, count));
}

size_t attune_augment_source_max(const attune_augment_options *options, size_t count)
{
    size_t most = 0;
    for (int i = 0; i < 4; i++) {
        const bool tempo = (i & 1) && options->tempo.probability > 0;
        const bool speed = (i & 2) && options->speed.probability > 0;
        const attune_augmentation a = {.tempo = tempo ? options->tempo.high : 1,
                                       .speed = speed ? options->speed.high : 1};
        const size_t needed = attune_augment_source(&a, count);
        most = needed > most ? needed : most;
    }
    return most;
}

/* ---- equaliser ---- */

typedef enum shape { LOW_SHELF, PEAK, HIGH_SHELF } shape;

static const shape shapes[ATTUNE_EQUALISER_BANDS] = {LOW_SHELF, PEAK, PEAK, HIGH_SHELF};

/* y = b0 x + b1 x' + b2 x" - a1 y' - a2 y". */
typedef struct biquad {
    double b0, b1, b2, a1, a2;
} biquad;

/* Bristow-Johnson's filters, at Q = 1 and slope 1. */
static biquad design(shape kind, double frequency, double gain)
{
    const double A = pow(10, gain / 40), w = 2 * M_PI * frequency / SAMPLE_RATE, c = cos(w);
    const double peak = sin(w) / 2, shelf = sqrt(2 * A) * sin(w); /* 2 √A α, α of slope 1 */
    if (kind == PEAK) {
        const double a0 = 1 + peak / A;
        return (biquad){(1 + peak * A) / a0, -2 * c / a0, (1 - peak * A) / a0, -2 * c / a0,
                        (1 - peak / A) / a0};
    }
    const double s = kind == LOW_SHELF ? 1 : -1; /* one is the other with c negative */
    const double a0 = (A + 1) + s * (A - 1) * c + shelf;
    return (biquad){
        .b0 = A * ((A + 1) - s * (A - 1) * c + shelf) / a0,
        .b1 = s * 2 * A * ((A - 1) - s * (A + 1) * c) / a0,
        .b2 = A * ((A + 1) - s * (A - 1) * c - shelf) / a0,
        .a1 = -s * 2 * ((A - 1) + s * (A + 1) * c) / a0,
        .a2 = ((A + 1) + s * (A - 1) * c - shelf) / a0,
    };
}

static void filter(float *samples, size_t count, const biquad *q)
{
    double z1 = 0, z2 = 0;
    for (size_t i = 0; i < count; i++) {
        const double x = (double)samples[i], y = q->b0 * x + z1;
        z1 = q->b1 * x - q->a1 * y + z2;
        z2 = q->b2 * x - q->a2 * y;
        samples[i] = (float)y;
    }
}

static void equalise(float *samples, size_t count, const attune_augmentation *a)
{
    for (int i = 0; i < ATTUNE_EQUALISER_BANDS; i++) {
        if (a->band_gain[i] != 0) {
            const biquad q =
                design(shapes[i], (double)a->band_frequency[i], (double)a->band_gain[i]);
            filter(samples, count, &q);
        }
    }
}

/* ---- noise ---- */

static void fill_white(float *noise, size_t count, uint64_t seed)
{
    attune_random random = {seed};
    for (size_t i = 0; i < count; i++) {
        noise[i] = (float)(2 * attune_random_uniform(&random) - 1);
    }
}

/* Kellet's filter: white noise to -10 dB a decade, within 0.5 dB from a few hertz on. */
static void make_pink(float *noise, size_t count)
{
    static const float pole[6] = {0.99886f, 0.99332f, 0.96900f, 0.86650f, 0.55000f, -0.7616f};
    static const float zero[6] = {0.0555179f, 0.0750759f, 0.1538520f,
                                  0.3104856f, 0.5329522f, -0.0168980f};
    float state[6] = {0}, before = 0;
    for (size_t i = 0; i < count; i++) {
        const float white = noise[i];
        float sum = white * 0.5362f + before;
        for (int k = 0; k < 6; k++) {
            state[k] = pole[k] * state[k] + zero[k] * white;
            sum += state[k];
        }
        before = white * 0.115926f;
        noise[i] = sum;
    }
}

static double power(const float *samples, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)samples[i] * (double)samples[i];
    }
    return sum;
}

/* Noise of a power that the signal's is `noise` dB above; none where there is no signal. */
static void add_noise(float *samples, float *scratch, size_t count, const attune_augmentation *a)
{
    fill_white(scratch, count, a->noise_seed);
    if (a->pink) {
        make_pink(scratch, count);
    }
    const double signal = power(samples, count), noise = power(scratch, count);
    const float scale =
        noise > 0 ? (float)sqrt(signal / noise * pow(10, -(double)a->noise / 10)) : 0;
    for (size_t i = 0; i < count; i++) {
        samples[i] += scale * scratch[i];
    }
}

/* ---- codec ---- */

/* Encoders clip beyond ±1; what is louder passes at a lower level. */
static attune_status pass_codec(float *samples, size_t count, const attune_augmentation *a)
{
    float peak = 1;
    for (size_t i = 0; i < count; i++) {
        peak = fmaxf(peak, fabsf(samples[i]));
    }
    for (size_t i = 0; peak > 1 && i < count; i++) {
        samples[i] /= peak;
    }
    attune_status status =
        attune_codec_pass(samples, count, (int)SAMPLE_RATE, a->codec, a->bit_rate);
    for (size_t i = 0; peak > 1 && i < count; i++) {
        samples[i] *= peak;
    }
    return status;
}

/* ---- all of it ---- */

attune_status attune_augment_apply(float *out, const float *source, float *scratch, size_t count,
                                   const attune_augmentation *augmentation)
{
    const attune_augmentation *a = augmentation;
    const size_t faster = attune_speed_source(a->speed, count);
    if (a->tempo != 1) {
        float *to = a->speed != 1 ? scratch : out;
        attune_tempo(to, source, faster, a->tempo);
        source = to;
    }
    if (a->speed != 1) {
        attune_speed(out, source, count, a->speed);
    } else if (source != out) {
        memcpy(out, source, count * sizeof(*out));
    }
    equalise(out, count, a);
    if (a->noise < INFINITY) {
        add_noise(out, scratch, count, a);
    }
    if (a->gain != 0) {
        const float factor = powf(10, a->gain / 20);
        for (size_t i = 0; i < count; i++) {
            out[i] *= factor;
        }
    }
    return a->codec == ATTUNE_CODEC_NONE ? ATTUNE_OK : pass_codec(out, count, a);
}
