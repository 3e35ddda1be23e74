/* track.c - names of what can become of a file. */
#include "attune/track.h"

const char *attune_track_status_name(attune_track_status status)
{
    switch (status) {
#define ATTUNE_X(name, value, text)                                                                \
    case name:                                                                                     \
        return text;
        ATTUNE_TRACK_STATUSES(ATTUNE_X)
#undef ATTUNE_X
    case ATTUNE_TRACK_STATUS_COUNT:
        break;
    }
    return "unknown";
}

bool attune_track_has_embedding(attune_track_status status)
{
    return status >= ATTUNE_TRACK_OK && status <= ATTUNE_TRACK_TOO_SHORT;
}
