/* colouring.c - each track's title is made, titles are sorted and counted, and numbered by their
 * size. */
#include "map/colouring.h"

#include "status/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *attune_map_by_name(attune_map_by by)
{
    static const char *const names[ATTUNE_MAP_BY_COUNT] = {
        [ATTUNE_MAP_GENRE] = "genre",   [ATTUNE_MAP_ARTIST] = "artist",
        [ATTUNE_MAP_ALBUM] = "album",   [ATTUNE_MAP_FOLDER] = "folder",
        [ATTUNE_MAP_STATUS] = "status", [ATTUNE_MAP_CLUSTER] = "cluster",
    };
    return names[by];
}

/* ---- titles ---- */

/* Bytes of the folders that all paths begin with: rows are sorted, so the first and the last say
 * it. */
static size_t common_folders(const attune_map_tracks *t)
{
    const char *first = attune_map_path(t, 0), *last = attune_map_path(t, t->n - 1);
    size_t common = 0;
    for (size_t i = 0; first[i] && first[i] == last[i]; i++) {
        common = first[i] == '/' ? i + 1 : common;
    }
    return common;
}

static char *folder_title(const char *path, size_t common)
{
    const char *from = path + common, *slash = strchr(*from == '/' ? from + 1 : from, '/');
    return slash ? strndup(from, (size_t)(slash - from)) : strdup("no folder");
}

static char *number_title(const char *what, int32_t number)
{
    char *title = NULL;
    if (number < 0) {
        return strdup("not known");
    }
    return asprintf(&title, "%s %d", what, number) < 0 ? NULL : title;
}

/* The title of track i; malloc'ed, NULL without memory. */
static char *title_of(attune_map_by by, const attune_map_tracks *t, uint32_t i, size_t common,
                      const int32_t *cluster)
{
    switch (by) {
    case ATTUNE_MAP_GENRE:
        return strdup(*t->labels[i].genre_top ? t->labels[i].genre_top : "not known");
    case ATTUNE_MAP_ARTIST:
        return number_title("artist", t->labels[i].artist_id);
    case ATTUNE_MAP_ALBUM:
        return number_title("album", t->labels[i].album_id);
    case ATTUNE_MAP_FOLDER:
        return folder_title(attune_map_path(t, i), common);
    case ATTUNE_MAP_STATUS:
        return strdup(attune_track_status_name((attune_track_status)t->status[i]));
    default:
        return number_title("cluster", cluster[i]);
    }
}

static bool is_there(attune_map_by by, const attune_map_tracks *t, const int32_t *cluster)
{
    if (by == ATTUNE_MAP_CLUSTER) {
        return cluster;
    }
    if (by == ATTUNE_MAP_FOLDER || by == ATTUNE_MAP_STATUS) {
        return true;
    }
    for (uint32_t i = 0; t->labels && i < t->n; i++) {
        if (by == ATTUNE_MAP_GENRE    ? t->labels[i].genre_top[0] != '\0'
            : by == ATTUNE_MAP_ARTIST ? t->labels[i].artist_id >= 0
                                      : t->labels[i].album_id >= 0) {
            return true;
        }
    }
    return false;
}

/* ---- numbers ---- */

typedef struct named {
    char *title;
    uint32_t track;
} named;

typedef struct group {
    uint32_t first, count; /* of the sorted titles */
} group;

static int by_title(const void *left, const void *right)
{
    const named *a = left, *b = right;
    const int order = strcmp(a->title, b->title);
    return order ? order : (a->track > b->track) - (a->track < b->track);
}

static int by_size(const void *left, const void *right)
{
    const group *a = left, *b = right;
    return a->count != b->count ? (a->count < b->count ? 1 : -1)
                                : (a->first > b->first) - (a->first < b->first);
}

static uint32_t find_groups(group *groups, const named *names, uint32_t n)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(names[i].title, names[i - 1].title) != 0) {
            groups[count++] = (group){.first = i};
        }
        groups[count - 1].count++;
    }
    qsort(groups, count, sizeof(*groups), by_size);
    return count;
}

static attune_status number_groups(attune_map_colouring *out, const named *names,
                                   const group *groups, uint32_t found, uint32_t n)
{
    const uint32_t count = found < ATTUNE_MAP_TITLES ? found : ATTUNE_MAP_TITLES;
    out->titles = calloc(count, sizeof(*out->titles));
    out->sizes = calloc(count, sizeof(*out->sizes));
    out->number = malloc(n * sizeof(*out->number));
    if (!out->titles || !out->sizes || !out->number) {
        return attune_fail_memory("labels", n * 4ULL);
    }
    out->count = count;
    for (uint32_t g = 0; g < found; g++) {
        const uint32_t number = g < count ? g : count - 1;
        const bool others = found > count && number == count - 1;
        if (!out->titles[number]) {
            out->titles[number] = strdup(others ? "others" : names[groups[g].first].title);
            if (!out->titles[number]) {
                return attune_fail_memory("labels", 0);
            }
        }
        out->sizes[number] += groups[g].count;
        for (uint32_t i = 0; i < groups[g].count; i++) {
            out->number[names[groups[g].first + i].track] = (uint16_t)number;
        }
    }
    return ATTUNE_OK;
}

attune_status attune_map_colouring_open(attune_map_colouring *out, bool *there, attune_map_by by,
                                        const attune_map_tracks *tracks, const int32_t *cluster)
{
    const uint32_t n = tracks->n;
    *out = (attune_map_colouring){0};
    *there = is_there(by, tracks, cluster);
    if (!*there) {
        return ATTUNE_OK;
    }
    const size_t common = by == ATTUNE_MAP_FOLDER ? common_folders(tracks) : 0;
    named *names = calloc(n, sizeof(*names));
    group *groups = malloc(n * sizeof(*groups));
    bool whole = names && groups;
    for (uint32_t i = 0; whole && i < n; i++) {
        names[i] = (named){title_of(by, tracks, i, common, cluster), i};
        whole = names[i].title;
    }
    attune_status status = whole ? ATTUNE_OK : attune_fail_memory("labels", n * 32ULL);
    if (whole) {
        qsort(names, n, sizeof(*names), by_title);
        status = number_groups(out, names, groups, find_groups(groups, names, n), n);
    }
    for (uint32_t i = 0; names && i < n; i++) {
        free(names[i].title);
    }
    free(groups);
    free(names);
    if (status != ATTUNE_OK) {
        attune_map_colouring_close(out);
    }
    return status;
}

void attune_map_colouring_close(attune_map_colouring *colouring)
{
    if (colouring) {
        for (uint32_t i = 0; colouring->titles && i < colouring->count; i++) {
            free(colouring->titles[i]);
        }
        free(colouring->titles);
        free(colouring->sizes);
        free(colouring->number);
        *colouring = (attune_map_colouring){0};
    }
}
