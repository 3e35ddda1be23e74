/* synthesiser.h - music that nobody owns: tracks in eight styles, to try attune on a machine
 * without any and to test training.
 *
 * A style is a way of playing: tempo, metre, harmony, rhythm, and which instruments play what. Its
 * artists choose among what the style offers, or borrow from others, and mix as they like; an album
 * has its room and register; a track its chords and its tune. So two tracks of an album sound more
 * alike than two of an artist, and these more than two of a style, and no single number, as
 * brightness or tempo, tells the styles apart. The same track is the same samples, bit for bit, on
 * one machine and build. */
#ifndef ATTUNE_SRC_DEMO_SYNTHESISER_H
#define ATTUNE_SRC_DEMO_SYNTHESISER_H

#include "attune/status.h"

#include <stddef.h>
#include <stdint.h>

enum { ATTUNE_DEMO_STYLES = 8 };

typedef struct attune_demo_track {
    uint64_t seed; /* of everything */
    int style;     /* 0 to ATTUNE_DEMO_STYLES - 1 */
    uint32_t artist, album, number;
} attune_demo_track;

/* "Electronic", "Experimental", ...: the top genres of fma_small, in the order of their names. */
const char *attune_demo_style_name(int style);

/* `count` samples of the track from its beginning, mono; no magnitude exceeds 1. */
attune_status attune_demo_synthesise(float *samples, size_t count, int sample_rate,
                                     const attune_demo_track *track);

#endif
