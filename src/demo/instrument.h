/* instrument.h - what the synthesiser plays: one note or one stroke of a drum, mixed into a track.
 */
#ifndef ATTUNE_SRC_DEMO_INSTRUMENT_H
#define ATTUNE_SRC_DEMO_INSTRUMENT_H

#include "model/random.h"

#include <stddef.h>

typedef enum attune_wave {
    ATTUNE_WAVE_SAW,
    ATTUNE_WAVE_SQUARE,
    ATTUNE_WAVE_ORGAN,  /* a few partials */
    ATTUNE_WAVE_FM,     /* one oscillator turns another's phase */
    ATTUNE_WAVE_BREATH, /* a sine with noise around it */
    ATTUNE_WAVE_PLUCK,  /* Karplus and Strong's string */
} attune_wave;

typedef struct attune_instrument {
    attune_wave wave;
    float attack, decay, sustain, release; /* s; s; the level it decays to; s */
    float bright;  /* saw, square: low-pass, in multiples of the note; FM: index; organ: level of
                      each partial by the one below; breath: noise; pluck: 0 dull to 1 */
    float ratio;   /* FM: the modulator's frequency in multiples of the note */
    float vibrato; /* semitones */
    float detune;  /* semitones between two oscillators; 0: one */
    float drive;   /* 0: clean */
} attune_instrument;

typedef struct attune_drum {
    float tone, sweep;              /* Hz it ends at; how many times that it begins at */
    float tone_level, tone_decay;   /* ; s */
    float noise_level, noise_decay; /* ; s */
    float noise_low;                /* of the noise, Hz: above it */
} attune_drum;

/* Where notes go: mono samples, mixed. */
typedef struct attune_bus {
    float *samples;
    size_t count;
    double rate; /* Hz */
    attune_random noise;
} attune_bus;

/* `start` and `length` in seconds, `pitch` in MIDI's semitones (69 is 440 Hz). */
void attune_play_note(attune_bus *bus, const attune_instrument *instrument, double start,
                      double length, double pitch, float gain);
void attune_play_drum(attune_bus *bus, const attune_drum *drum, double start, float gain);

#endif
