/* styles.h - what the styles are, as a table. */
#ifndef ATTUNE_SRC_DEMO_STYLES_H
#define ATTUNE_SRC_DEMO_STYLES_H

#include "demo/instrument.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum attune_playing {
    ATTUNE_PLAY_HELD,     /* a chord sounds to the next */
    ATTUNE_PLAY_STRUMMED, /* its notes a little apart */
    ATTUNE_PLAY_PICKED,   /* one after the other */
    ATTUNE_PLAY_STABBED,  /* short and all at once */
    ATTUNE_PLAY_FIFTHS,   /* root, fifth, octave, short */
} attune_playing;

/* Rhythms are texts, a character a sixteenth: 'x' a stroke, 'o' a soft one, '?' one now and then.
 */
typedef struct attune_style {
    const char *name;
    float tempo[2];         /* quarters a minute, from and to */
    int steps[2];           /* sixteenths of a bar, with one half of its artists and the other */
    float swing;            /* by which every second sixteenth is late, in sixteenths */
    int scale[7];           /* semitones above the key; a scale of fewer notes repeats */
    int progressions[3][4]; /* degrees of the scale, one a bar */
    int voices;             /* notes of a chord */
    int chords[2], leads[2], bass; /* instruments */
    attune_playing playing;
    const char *chord_rhythm[2], *bass_rhythm[2];
    int drums[3];
    const char *drum_rhythm[2][3]; /* NULL: none */
    int octave;                    /* of the chords, in semitones above MIDI's 48 */
    float lead_density;            /* notes by sixteenth */
    float drum_gain, room;
} attune_style;

extern const attune_style attune_styles[];
extern const attune_instrument attune_instruments[];
extern const attune_drum attune_drums[];
enum { ATTUNE_DEMO_INSTRUMENTS = 16 };

#endif
