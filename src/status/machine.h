/* machine.h - what a program asks its machine: the time, and how many processors it may use. */
#ifndef ATTUNE_SRC_STATUS_MACHINE_H
#define ATTUNE_SRC_STATUS_MACHINE_H

#include <time.h>

enum { ATTUNE_STAMP_SIZE = 32 };

/* A moment as ISO 8601 has it, in UTC: "2026-01-31T23:59:59Z". */
void attune_stamp(char out[ATTUNE_STAMP_SIZE], time_t moment);

/* Seconds on a clock that nobody sets, from some moment before the program began. */
double attune_seconds(void);

/* Processors that this process may run on, at least 1: under a scheduler or taskset fewer than the
 * machine has. */
int attune_processors(void);

#endif
