/* slide.c - windows of a signal that comes in pieces. */
#include "descriptors/slide.h"

#include "status/error.h"

#include <stdlib.h>
#include <string.h>

attune_status attune_slide_create(attune_slide *slide, size_t length, size_t hop)
{
    *slide = (attune_slide){.samples = calloc(length, sizeof(float)), .length = length, .hop = hop};
    return slide->samples ? ATTUNE_OK : attune_fail_memory("a window", length * sizeof(float));
}

void attune_slide_free(attune_slide *slide)
{
    free(slide->samples);
    *slide = (attune_slide){0};
}

void attune_slide_begin(attune_slide *slide, size_t zeros)
{
    memset(slide->samples, 0, zeros * sizeof(float));
    slide->filled = zeros;
}

bool attune_slide_take(attune_slide *slide, const float **samples, size_t *count)
{
    const size_t room = slide->length - slide->filled, taken = *count < room ? *count : room;
    memcpy(slide->samples + slide->filled, *samples, taken * sizeof(float));
    slide->filled += taken;
    *samples += taken;
    *count -= taken;
    return slide->filled == slide->length;
}

void attune_slide_next(attune_slide *slide)
{
    slide->filled -= slide->hop;
    memmove(slide->samples, slide->samples + slide->hop, slide->filled * sizeof(float));
}
