/* clock.h - the time limit of one file.
 *
 * Time counts only between enter and leave, that is inside this module: a caller that takes long to
 * use the samples does not make a file late. The limit grows with the audio that has been decoded,
 * so a long file is never late, only one that stands still. Once expired, a clock stays expired. */
#ifndef ATTUNE_SRC_AUDIO_CLOCK_H
#define ATTUNE_SRC_AUDIO_CLOCK_H

#include <stdbool.h>

/* No recording is as long; what plays on after it (a looping game tune, a damaged header) never
 * ends. */
enum { ATTUNE_AUDIO_ENDLESS_SECONDS = 100 * 3600 };

typedef struct attune_audio_clock {
    double timeout_seconds; /* 0: no limit */
    double decoded_seconds; /* of audio, so far */
    double spent_seconds;   /* in calls that have ended */
    double entered_seconds; /* when the current call began, CLOCK_MONOTONIC */
    bool expired;
} attune_audio_clock;

void attune_audio_clock_enter(attune_audio_clock *clock);
void attune_audio_clock_leave(attune_audio_clock *clock);

/* True once the time is up. Only between enter and leave. */
bool attune_audio_clock_check(attune_audio_clock *clock);

#endif
