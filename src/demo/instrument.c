/* instrument.c - oscillators, a string, drums. */
#include "demo/instrument.h"

#include <math.h>
#include <stdbool.h>

#define TURN 6.28318530717958647692

enum { STRING_MAX = 4096 /* samples of the longest string */ };

static float noise(attune_random *random)
{
    return (float)(attune_random_bits(random) >> 40) * 0x1p-23f - 1.0f;
}

/* sin(2 pi x) to a thousandth, by a parabola and its correction; x above -64. */
static inline float sine(float x)
{
    x -= (float)((int)(x + 64.5f) - 64); /* to [-0.5, 0.5], without a call of floorf */
    const float y = 8 * x - 16 * x * fabsf(x);
    return y * (0.775f + 0.225f * fabsf(y));
}

/* What a step of a saw at phase 0 lacks to be band-limited (PolyBLEP). */
static inline float step_correction(float phase, float increment)
{
    if (phase < increment) {
        const float t = phase / increment;
        return t + t - t * t - 1;
    }
    if (phase > 1 - increment) {
        const float t = (phase - 1) / increment;
        return t * t + t + t + 1;
    }
    return 0;
}

static inline float saw(float phase, float increment)
{
    return 2 * phase - 1 - step_correction(phase, increment);
}

/* One sample of an instrument that is no string; `turned` is what FM adds to the phase. */
static inline float oscillate(const attune_instrument *n, float phase, float increment,
                              float turned, attune_random *random)
{
    switch (n->wave) {
    case ATTUNE_WAVE_SAW:
        return saw(phase, increment);
    case ATTUNE_WAVE_SQUARE: {
        const float half = phase < 0.5f ? phase + 0.5f : phase - 0.5f;
        return 0.7f * (saw(phase, increment) - saw(half, increment));
    }
    case ATTUNE_WAVE_ORGAN:
        return sine(phase) +
               n->bright *
                   (sine(2 * phase) + n->bright * (sine(3 * phase) + n->bright * sine(4 * phase)));
    case ATTUNE_WAVE_FM:
        return sine(phase + turned);
    case ATTUNE_WAVE_BREATH:
        return sine(phase) + 0.2f * sine(2 * phase) + n->bright * noise(random);
    case ATTUNE_WAVE_PLUCK:
        break;
    }
    return 0;
}

/* The envelope: a ramp up, a decay, and behind `held` samples a release. */
typedef struct envelope {
    float level, attack, decay, sustain, release;
    size_t held;
} envelope;

static envelope envelope_of(const attune_instrument *n, double length, double rate)
{
    return (envelope){.attack = (float)(1 / (n->attack * rate + 1)),
                      .decay = (float)exp(-1 / (n->decay * rate + 1)),
                      .sustain = n->sustain,
                      .release = (float)exp(-4 / (n->release * rate + 1)),
                      .held = (size_t)(length * rate)};
}

static inline float envelope_next(envelope *e, size_t i, bool *rising)
{
    if (i >= e->held) {
        e->level *= e->release;
    } else if (*rising) {
        e->level += e->attack;
        *rising = e->level < 1;
    } else {
        e->level = e->sustain + (e->level - e->sustain) * e->decay;
    }
    return e->level;
}

/* A string: noise that goes round a delay line and loses its treble. */
static void play_string(attune_bus *bus, const attune_instrument *n, size_t first, size_t end,
                        double frequency, double length, float gain)
{
    float line[STRING_MAX], last = 0, in = 0, out = 0;
    const float blend = 0.5f - 0.45f * n->bright; /* of two neighbours: the loop's low-pass */
    const double period = bus->rate / frequency - blend - 0.1;
    const int size = period >= STRING_MAX ? STRING_MAX - 1 : (int)period;
    const float fraction =
        (float)(period - size) + 0.1f; /* an all-pass tunes by part of a sample */
    const float pass = (1 - fraction) / (1 + fraction);
    const float keep = (float)pow(0.001, 1 / (frequency * n->decay));
    const float fade = (float)exp(-4 / (n->release * bus->rate + 1));
    const size_t held = first + (size_t)(length * bus->rate);
    for (int i = 0; i < size; i++) {
        last += (0.15f + 0.85f * n->bright) * (noise(&bus->noise) - last); /* a soft or hard pick */
        line[i] = last;
    }
    for (size_t i = first, at = 0; i < end; i++) {
        const float now = line[at], mean = now + blend * (last - now);
        out = pass * (mean - out) + in;
        in = mean;
        last = now;
        line[at] = keep * out;
        bus->samples[i] += gain * now;
        at = at + 1 == (size_t)size ? 0 : at + 1;
        gain *= i < held ? 1 : fade;
    }
}

/* A note of an instrument that is no string, as it goes on. */
typedef struct voice {
    float step, apart; /* turns a sample of the two oscillators; apart 0: there is one */
    float sway;        /* turns a sample of the vibrato */
    float phases[2], modulator, swayed;
    float low, lower; /* the low-pass */
} voice;

/* The part of a turn; phases are not negative. */
static inline float part(float phase)
{
    return phase - (float)(int)phase;
}

static inline float voice_next(voice *t, const attune_instrument *n, float level,
                               attune_random *random)
{
    const float step = t->step * (1 + 0.06f * n->vibrato * sine(t->swayed));
    float turned = 0;
    t->swayed = part(t->swayed + t->sway);
    if (n->wave == ATTUNE_WAVE_FM) {
        turned = n->bright * level * (float)(1 / TURN) * sine(t->modulator);
        t->modulator = part(t->modulator + step * n->ratio);
    }
    float value = oscillate(n, t->phases[0], step, turned, random);
    t->phases[0] = part(t->phases[0] + step);
    if (t->apart > 0) {
        value = 0.7f * (value + oscillate(n, t->phases[1], t->apart, turned, random));
        t->phases[1] = part(t->phases[1] + t->apart);
    }
    if (n->wave != ATTUNE_WAVE_SAW && n->wave != ATTUNE_WAVE_SQUARE) {
        return value;
    }
    const float cut = (float)TURN * t->step * n->bright * (0.25f + 0.75f * level);
    const float share = cut / (1 + cut);
    t->low += share * (value - t->low);
    t->lower += share * (t->low - t->lower);
    return t->lower;
}

void attune_play_note(attune_bus *bus, const attune_instrument *n, double start, double length,
                      double pitch, float gain)
{
    const double frequency = 440 * exp2((pitch - 69) / 12);
    const size_t first = start < 0 ? 0 : (size_t)(start * bus->rate);
    const size_t stop = first + (size_t)((length + n->release) * bus->rate);
    const size_t end = stop < bus->count ? stop : bus->count;
    if (frequency > bus->rate / 3) {
        return; /* too high to be heard, or to be a wave of so few samples */
    }
    if (n->wave == ATTUNE_WAVE_PLUCK) {
        play_string(bus, n, first, end, frequency, length, 2 * gain);
        return;
    }
    envelope e = envelope_of(n, length, bus->rate);
    voice t = {.step = (float)(frequency / bus->rate),
               .sway = (float)(5.3 / bus->rate),
               .phases = {0, 0.37f}};
    t.apart = n->detune > 0 ? t.step * (float)exp2(n->detune / 12) : 0;
    bool rising = true;
    for (size_t i = first; i < end; i++) {
        const float level = envelope_next(&e, i - first, &rising);
        const float value = voice_next(&t, n, level, &bus->noise);
        if (n->drive > 0) { /* louder is harsher; silence stays silence */
            bus->samples[i] += 0.6f * gain * tanhf((1 + n->drive) * value * level) *
                               (level < 0.2f ? 5 * level : 1);
        } else {
            bus->samples[i] += gain * value * level;
        }
    }
}

void attune_play_drum(attune_bus *bus, const attune_drum *drum, double start, float gain)
{
    const size_t first = start < 0 ? 0 : (size_t)(start * bus->rate);
    const double longest =
        5 * (drum->tone_decay > drum->noise_decay ? drum->tone_decay : drum->noise_decay);
    const size_t stop = first + (size_t)(longest * bus->rate);
    const size_t end = stop < bus->count ? stop : bus->count;
    const float tone_decay = (float)exp(-1 / (drum->tone_decay * bus->rate));
    const float noise_decay = (float)exp(-1 / (drum->noise_decay * bus->rate));
    const float fall = (float)exp(-1 / (0.02 * bus->rate));
    const float cut = (float)(TURN * drum->noise_low / bus->rate), share = cut / (1 + cut);
    float phase = 0, bend = drum->sweep - 1, tone = drum->tone_level, hiss = drum->noise_level;
    float low = 0, ramp = 0;
    for (size_t i = first; i < end; i++) {
        const float raw = noise(&bus->noise);
        low += share * (raw - low);
        ramp += 0.02f * (1 - ramp);
        bus->samples[i] += gain * ramp * (tone * sine(phase) + hiss * (raw - low));
        phase = part(phase + (float)(drum->tone / bus->rate) * (1 + bend));
        bend *= fall;
        tone *= tone_decay;
        hiss *= noise_decay;
    }
}
