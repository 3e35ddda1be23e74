/* machine.c - the time, and the processors. */
#include "status/machine.h"

#include <sched.h>

void attune_stamp(char out[ATTUNE_STAMP_SIZE], time_t moment)
{
    struct tm utc;
    out[0] = '\0'; /* of a year that has no calendar */
    if (gmtime_r(&moment, &utc)) {
        strftime(out, ATTUNE_STAMP_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
}

double attune_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

int attune_processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}
