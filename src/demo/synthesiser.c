/* synthesiser.c - a track: what its style, artist, album and number choose, played bar by bar into
 * two buses, of which one goes through a room. */
#include "demo/synthesiser.h"

#include "demo/styles.h"
#include "status/error.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOTIF = 32 /* sixteenths */, SECTION = 4 /* bars */ };

typedef struct song {
    const attune_style *style;
    /* the artist's */
    int steps;     /* of a bar */
    int variation; /* which of two rhythms */
    double tempo;
    attune_instrument chords, lead, bass;
    float drum_gain, chord_gain, lead_gain, bass_gain;
    float tilt;  /* of the whole: -1 dark to 1 bright */
    float level; /* its peak */
    /* the album's */
    int key;
    float room, drum_tune;
    /* the track's */
    const int *progression;
    int motif[MOTIF]; /* degrees of the scale; REST: none */
    attune_random chance;
    attune_bus dry, wet;
} song;

enum { REST = 1000 };

static double between(attune_random *r, double low, double high)
{
    return low + (high - low) * attune_random_uniform(r);
}

static bool happens(attune_random *r, double probability)
{
    return attune_random_uniform(r) < probability;
}

/* One of the style's two, or now and then any: artists borrow. */
static attune_instrument choose(attune_random *r, const int two[2], double borrow)
{
    const int any = (int)attune_random_below(r, ATTUNE_DEMO_INSTRUMENTS);
    const int own = two[attune_random_below(r, 2)];
    attune_instrument instrument = attune_instruments[happens(r, borrow) ? any : own];
    const float bright = instrument.bright * (float)exp2(between(r, -0.7, 0.7));
    instrument.bright = instrument.wave == ATTUNE_WAVE_PLUCK ? fminf(bright, 1) : bright;
    instrument.decay *= (float)exp2(between(r, -0.5, 0.5));
    return instrument;
}

static void choose_artist(song *s, attune_random r)
{
    const attune_style *style = s->style;
    s->variation = (int)attune_random_below(&r, 2);
    s->steps = style->steps[s->variation];
    s->tempo = between(&r, style->tempo[0], style->tempo[1]);
    s->chords = choose(&r, style->chords, 0.2);
    s->lead = choose(&r, style->leads, 0.25);
    s->bass = choose(&r, (const int[]){style->bass, style->bass}, 0.1);
    s->drum_gain = style->drum_gain * (float)between(&r, 0.5, 1.2) * (happens(&r, 0.9) ? 1 : 0);
    s->chord_gain = (float)between(&r, 0.6, 1.1);
    s->lead_gain = (float)between(&r, 0.4, 1.1);
    s->bass_gain = (float)between(&r, 0.5, 1.1);
    s->tilt = (float)between(&r, -0.8, 0.8);
    s->level = (float)between(&r, 0.4, 0.97);
}

static void choose_album(song *s, attune_random r)
{
    s->key = (int)attune_random_below(&r, 12) - 6;
    s->room = s->style->room * (float)between(&r, 0.5, 1.6) + 0.03f;
    s->drum_tune = (float)exp2(between(&r, -0.25, 0.25));
    s->chords.bright *= (float)exp2(between(&r, -0.25, 0.25));
    s->lead.bright *= (float)exp2(between(&r, -0.25, 0.25));
    s->chord_gain *= (float)between(&r, 0.8, 1.2);
    s->lead_gain *= (float)between(&r, 0.8, 1.2);
}

/* A tune walks about the scale; what it did in the first bar it may do again in the second. */
static void choose_track(song *s, attune_random r)
{
    int degree = (int)attune_random_below(&r, 5);
    s->tempo *= between(&r, 0.95, 1.05);
    s->progression = s->style->progressions[attune_random_below(&r, 3)];
    for (int i = 0; i < MOTIF; i++) {
        const double density = s->style->lead_density * (i % 4 == 0 ? 1.6 : i % 2 == 0 ? 1.2 : 0.6);
        degree += (int)attune_random_below(&r, 5) - 2;
        degree = degree < -3 ? -1 : degree > 9 ? 7 : degree;
        s->motif[i] = happens(&r, density) ? degree : REST;
        if (i >= s->steps && happens(&r, 0.7)) {
            s->motif[i] = s->motif[i - s->steps];
        }
    }
    s->chance = r;
}

/* MIDI's pitch of a degree of the scale above the key. */
static double pitch_of(const song *s, int degree)
{
    const int octave = degree >= 0 ? degree / 7 : -((6 - degree) / 7);
    return 48 + s->key + 12 * octave + s->style->scale[degree - 7 * octave];
}

/* How loud a rhythm is at a step; 0: it rests. */
static float stroke(song *s, const char *rhythm, int step)
{
    switch (rhythm ? rhythm[step % 16] : '.') {
    case 'x':
        return (float)between(&s->chance, 0.85, 1);
    case 'o':
        return (float)between(&s->chance, 0.4, 0.6);
    case '?':
        return happens(&s->chance, 0.4) ? (float)between(&s->chance, 0.5, 1) : 0;
    default:
        return 0;
    }
}

static double sixteenth(const song *s)
{
    return 15 / s->tempo; /* seconds */
}

static void play_chord(song *s, double start, int degree, int step, float gain)
{
    const attune_style *style = s->style;
    const double rest = (s->steps - step) * sixteenth(s);
    const double base = style->octave;
    switch (style->playing) {
    case ATTUNE_PLAY_PICKED:
        attune_play_note(&s->wet, &s->chords, start, 3 * sixteenth(s),
                         base + pitch_of(s, degree + 2 * (step * 3 / 2 % style->voices)), gain);
        return;
    case ATTUNE_PLAY_FIFTHS:
        for (int i = 0; i < 3; i++) {
            attune_play_note(&s->dry, &s->chords, start, 1.7 * sixteenth(s),
                             base + pitch_of(s, degree) +
                                 (i == 0   ? 0
                                  : i == 1 ? 7
                                           : 12),
                             0.45f * gain);
        }
        return;
    case ATTUNE_PLAY_HELD:
    case ATTUNE_PLAY_STRUMMED:
    case ATTUNE_PLAY_STABBED:
        for (int i = 0; i < style->voices; i++) {
            const bool strummed = style->playing == ATTUNE_PLAY_STRUMMED;
            const double length = style->playing == ATTUNE_PLAY_HELD ? rest : strummed ? 0.8 : 0.25;
            attune_play_note(&s->wet, &s->chords, start + (strummed ? 0.014 * i : 0), length,
                             base + pitch_of(s, degree + 2 * i), 0.5f * gain);
        }
    }
}

static void play_bar(song *s, double start, int bar, bool with_drums, bool with_lead)
{
    const attune_style *style = s->style;
    const int degree = s->progression[bar % 4];
    for (int step = 0; step < s->steps; step++) {
        const double late = step % 2 == 1 ? style->swing : 0;
        const double at = start + (step + late) * sixteenth(s) + between(&s->chance, 0, 0.006);
        float gain = stroke(s, style->chord_rhythm[s->variation], step);
        if (gain > 0) {
            play_chord(s, at, degree, step, 0.35f * s->chord_gain * gain);
        }
        gain = stroke(s, style->bass_rhythm[s->variation], step);
        if (gain > 0) {
            attune_play_note(&s->dry, &s->bass, at, 2 * sixteenth(s), pitch_of(s, degree) - 12,
                             0.6f * s->bass_gain * gain);
        }
        for (int d = 0; d < 3; d++) {
            gain = stroke(s, style->drum_rhythm[s->variation][d], step);
            if (gain > 0 && with_drums && s->drum_gain > 0) {
                attune_drum drum = attune_drums[style->drums[d]];
                drum.tone *= s->drum_tune;
                attune_play_drum(&s->dry, &drum, at, 0.8f * s->drum_gain * gain);
            }
        }
        const int note = s->motif[(bar % 2 * s->steps + step) % MOTIF];
        if (with_lead && note != REST) {
            attune_play_note(&s->wet, &s->lead, at,
                             sixteenth(s) * (1 + attune_random_below(&s->chance, 4)),
                             pitch_of(s, degree + note) + 24, 0.4f * s->lead_gain);
        }
    }
}

/* Adds `wet`, and `wet` through four combs and two all-passes (Schroeder), to `dry`. */
static attune_status add_room(song *s)
{
    static const double combs[] = {0.0297, 0.0371, 0.0411, 0.0437}, passes[] = {0.005, 0.0017};
    const size_t room = (size_t)(0.05 * s->dry.rate) + 1;
    float *lines = calloc(6 * room, sizeof(*lines));
    size_t length[6], at[6] = {0};
    if (!lines) {
        return attune_fail_memory("a room", 6 * room * sizeof(*lines));
    }
    for (int i = 0; i < 6; i++) {
        length[i] = (size_t)((i < 4 ? combs[i] : passes[i - 4]) * s->dry.rate) + 1;
    }
    for (size_t i = 0; i < s->dry.count; i++) {
        const float in = s->wet.samples[i];
        float echo = 0;
        for (int c = 0; c < 6; c++) {
            float *line = &lines[(size_t)c * room + at[c]];
            const float old = *line;
            if (c < 4) {
                *line = in + 0.78f * old;
                echo += old;
            } else {
                *line = echo + 0.6f * old;
                echo = old - 0.6f * *line;
            }
            at[c] = at[c] + 1 == length[c] ? 0 : at[c] + 1;
        }
        s->dry.samples[i] += in + s->room * echo;
    }
    free(lines);
    return ATTUNE_OK;
}

/* Makes the whole darker or brighter, and as loud as the artist wants it. */
static void master(song *s)
{
    float *samples = s->dry.samples, low = 0, peak = 1e-9f;
    const float cut = (float)(6.2832 * 1200 / s->dry.rate), share = cut / (1 + cut);
    for (size_t i = 0; i < s->dry.count; i++) {
        low += share * (samples[i] - low);
        samples[i] = tanhf(0.8f * (samples[i] + s->tilt * (samples[i] - 1.5f * low) * 0.6f));
        peak = fmaxf(peak, fabsf(samples[i]));
    }
    for (size_t i = 0; i < s->dry.count; i++) {
        samples[i] *= s->level / peak;
    }
}

attune_status attune_demo_synthesise(float *samples, size_t count, int sample_rate,
                                     const attune_demo_track *track)
{
    assert(track->style >= 0 && track->style < ATTUNE_DEMO_STYLES);
    song s = {.style = &attune_styles[track->style]};
    const attune_random style = attune_random_of(track->seed, (uint64_t)track->style);
    const attune_random artist = attune_random_of(style.state, track->artist);
    const attune_random album = attune_random_of(artist.state, track->album);
    const attune_random number = attune_random_of(album.state, track->number);
    choose_artist(&s, artist);
    choose_album(&s, album);
    choose_track(&s, number);
    float *wet = calloc(count ? count : 1, sizeof(*wet));
    if (!wet) {
        return attune_fail_memory("a track", count * sizeof(*wet));
    }
    memset(samples, 0, count * sizeof(*samples));
    s.dry = (attune_bus){samples, count, sample_rate, attune_random_of(number.state, 1)};
    s.wet = (attune_bus){wet, count, sample_rate, attune_random_of(number.state, 2)};
    bool with_drums = false, with_lead = false;
    const double bar_seconds = s.steps * sixteenth(&s);
    for (int bar = 0; bar * bar_seconds * sample_rate < (double)count; bar++) {
        if (bar % SECTION == 0) {
            with_drums = happens(&s.chance, 0.85);
            with_lead = happens(&s.chance, 0.75);
        }
        play_bar(&s, bar * bar_seconds, bar, with_drums, with_lead);
    }
    const attune_status status = add_room(&s);
    master(&s);
    free(wet);
    return status;
}
