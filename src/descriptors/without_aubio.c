/* without_aubio.c - the descriptors of a build that has none. */
#include "descriptors/descriptors.h"

#include "status/error.h"

#include <stdlib.h>

attune_status attune_descriptors_create(attune_descriptors **out, int sample_rate)
{
    (void)sample_rate;
    *out = NULL;
    return attune_fail(ATTUNE_ECONFIG,
                       "descriptors need aubio, and this attune was built without it: "
                       "install libaubio-dev and build it again, or leave out --descriptors");
}

void attune_descriptors_free(attune_descriptors *descriptors)
{
    (void)descriptors;
}

attune_status attune_descriptors_begin(attune_descriptors *descriptors)
{
    (void)descriptors;
    abort(); /* there is none */
}

attune_status attune_descriptors_push(attune_descriptors *descriptors, const float *samples,
                                      size_t count)
{
    (void)descriptors;
    (void)samples;
    (void)count;
    abort();
}

bool attune_descriptors_finish(attune_descriptors *descriptors, float out[ATTUNE_DESCRIPTORS])
{
    (void)descriptors;
    (void)out;
    abort();
}
