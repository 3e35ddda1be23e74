/* name.c - tracks by their files' names, subsets by theirs, and the clips known to be bad. */
#include "fma/metadata.h"
#include "status/path.h"

#include <stdio.h>
#include <string.h>

enum { DIGITS = 6 };

int32_t attune_fma_id_of(const char *path)
{
    const char *name = attune_file_name(path);
    int32_t id = 0;
    if (attune_stem_length(name) != DIGITS || strspn(name, "0123456789") < DIGITS) {
        return ATTUNE_FMA_NONE;
    }
    for (int i = 0; i < DIGITS; i++) {
        id = id * 10 + (name[i] - '0');
    }
    return id;
}

const attune_fma_track *attune_fma_find_file(const attune_fma *fma, const char *path)
{
    const int32_t id = attune_fma_id_of(path);
    return id == ATTUNE_FMA_NONE ? NULL : attune_fma_find(fma, id);
}

void attune_fma_label(void *fma, attune_labels *labels, const char *path)
{
    const attune_fma_track *track = attune_fma_find_file(fma, path);
    if (track) {
        labels->track_id = track->id;
        labels->artist_id = track->artist_id;
        labels->album_id = track->album_id;
        labels->split = track->split;
        if (track->genre_top != ATTUNE_FMA_NONE) {
            snprintf(labels->genre_top, sizeof(labels->genre_top), "%s",
                     attune_fma_genres_of(fma)[track->genre_top].title);
        }
    }
}

void attune_fma_path_of(char out[ATTUNE_FMA_PATH_SIZE], int32_t id)
{
    snprintf(out, ATTUNE_FMA_PATH_SIZE, "%03d/%06d.mp3", id / 1000, id);
}

static const char *const subsets[ATTUNE_FMA_SUBSET_COUNT] = {"small", "medium", "large", "full"};

const char *attune_fma_subset_name(attune_fma_subset subset)
{
    return subset < ATTUNE_FMA_SUBSET_COUNT ? subsets[subset] : NULL;
}

bool attune_fma_subset_parse(attune_fma_subset *out, const char *name)
{
    for (int i = 0; i < ATTUNE_FMA_SUBSET_COUNT; i++) {
        if (strcmp(name, subsets[i]) == 0) {
            *out = (attune_fma_subset)i;
            return true;
        }
    }
    return false;
}

bool attune_fma_is_bad_clip(int32_t id)
{
    static const int32_t bad[] = {98565, 98567, 98569, 99134, 108925, 133297};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (bad[i] == id) {
            return true;
        }
    }
    return false;
}
