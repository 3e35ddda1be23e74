/* bench_files.c - the files that a benchmark runs over; apart from bench.c, so that a program
 * without any does not load FFmpeg. */
#include "bench/bench.h"

#include <stdlib.h>

attune_scan *bench_scan(char **inputs, int count)
{
    attune_scan *scan = NULL;
    attune_status status = attune_scan_create(&scan);
    for (int i = 0; status == ATTUNE_OK && i < count; i++) {
        status = attune_scan_add(scan, inputs[i]);
    }
    if (status != ATTUNE_OK || attune_scan_finish(scan) != ATTUNE_OK) {
        fprintf(stderr, "%s\n", attune_last_error());
        exit(66);
    }
    return scan;
}
