/* clock.c - the time limit of one file. */
#include "audio/clock.h"

#include "status/machine.h"

void attune_audio_clock_enter(attune_audio_clock *clock)
{
    clock->entered_seconds = attune_seconds();
}

void attune_audio_clock_leave(attune_audio_clock *clock)
{
    clock->spent_seconds += attune_seconds() - clock->entered_seconds;
}

bool attune_audio_clock_check(attune_audio_clock *clock)
{
    if (clock->decoded_seconds > ATTUNE_AUDIO_ENDLESS_SECONDS) {
        clock->expired = true;
    } else if (clock->timeout_seconds > 0 && !clock->expired) {
        double spent = clock->spent_seconds + (attune_seconds() - clock->entered_seconds);
        clock->expired = spent > clock->timeout_seconds + clock->decoded_seconds;
    }
    return clock->expired;
}
