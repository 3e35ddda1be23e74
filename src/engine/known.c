/* known.c - the rows that an archive has of a scan's files. The idea is in known.h. */
#include "engine/known.h"

#include "engine/scan.h"
#include "status/error.h"

#include <stdlib.h>
#include <string.h>

struct attune_known {
    const attune_scan *scan;
    size_t count;
    uint64_t *marks; /* (count) 0: no row */
    char *prefix;    /* the root with a slash at its end */
    size_t prefix_length;
    size_t next; /* where the next row is likely to be */
};

attune_status attune_known_create(attune_known **out, const attune_scan *scan)
{
    attune_known *known = *out = calloc(1, sizeof(*known));
    if (!known) {
        return attune_fail_memory("files", sizeof(*known));
    }
    known->scan = scan;
    known->count = attune_scan_count(scan);
    known->marks = calloc(known->count, sizeof(*known->marks));
    if (!known->marks) {
        attune_known_free(known);
        *out = NULL;
        return attune_fail_memory("files", attune_scan_count(scan) * sizeof(*known->marks));
    }
    return ATTUNE_OK;
}

void attune_known_free(attune_known *known)
{
    if (known) {
        free(known->marks);
        free(known->prefix);
        free(known);
    }
}

attune_status attune_known_set_root(attune_known *known, const char *root)
{
    const size_t length = strlen(root);
    const bool slash = length > 0 && root[length - 1] == '/';
    free(known->prefix);
    known->prefix = malloc(length + 2);
    if (!known->prefix) {
        return attune_fail_memory("the root", length);
    }
    strcpy(stpcpy(known->prefix, root), slash ? "" : "/");
    known->prefix_length = strlen(known->prefix);
    return ATTUNE_OK;
}

/* Status in four bits, one bit that says that there is a row, and 59 of hash. */
static uint64_t mark_of(uint64_t size, int64_t mtime_ns, attune_track_status status)
{
    uint64_t hash = (size * 0x9e3779b97f4a7c15u) ^ ((uint64_t)mtime_ns * 0xbf58476d1ce4e5b9u);
    hash ^= hash >> 31;
    hash *= 0x94d049bb133111ebu;
    hash ^= hash >> 29;
    return (hash & ~(uint64_t)31) | 16 | (uint64_t)status;
}

/* strcmp of a row's absolute path and file `index`. */
static int compare(const attune_known *known, const char *name, size_t index)
{
    const char *path = attune_scan_path(known->scan, index);
    if (name[0] != '/') {
        const int order = strncmp(known->prefix, path, known->prefix_length);
        if (order != 0) {
            return order;
        }
        path += known->prefix_length;
    }
    return strcmp(name, path);
}

/* Finds the file of a row; false if the scan has none. Steps away from known->next, doubling, until
 * the file must lie between, then halves. */
static bool find(attune_known *known, const char *name)
{
    size_t low = known->next, high = known->next, step = 1;
    if (low < known->count && compare(known, name, low) > 0) {
        while (high < known->count && compare(known, name, high) > 0) {
            low = high + 1;
            high += step;
            step *= 2;
        }
        high = high < known->count ? high + 1 : known->count;
    } else {
        high = high < known->count ? high + 1 : known->count;
        while (low > 0 && compare(known, name, low - 1) < 0) {
            high = low - 1;
            low = low > step ? low - step : 0;
            step *= 2;
        }
        low = low > 0 ? low - 1 : 0;
    }
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = compare(known, name, middle);
        if (order == 0) {
            known->next = middle;
            return true;
        }
        low = order > 0 ? middle + 1 : low;
        high = order < 0 ? middle : high;
    }
    known->next = low;
    return false;
}

bool attune_known_has(attune_known *known, const char *path)
{
    return find(known, path);
}

void attune_known_take(attune_known *known, const attune_row *row)
{
    if (find(known, row->path)) {
        known->marks[known->next] = mark_of(row->size, row->mtime_ns, row->status);
        known->next++;
    }
}

attune_job_reason attune_known_judge(const attune_known *known, size_t index, bool retry_failed,
                                     attune_track_status *status)
{
    const uint64_t mark = known->marks[index];
    *status = (attune_track_status)(mark & 15);
    if (mark == 0) {
        return ATTUNE_JOB_NEW;
    }
    if (retry_failed && !attune_track_has_embedding(*status)) {
        return ATTUNE_JOB_RETRIED;
    }
    /* A file that is not there now says nothing about its row: it may be a disk that is not. */
    const attune_audio_place place = attune_scan_place(known->scan, index);
    uint64_t size = 0;
    int64_t mtime_ns = 0;
    if (place.failure || !attune_audio_place_look(&place, &size, &mtime_ns)) {
        return ATTUNE_JOB_KEPT;
    }
    return mark_of(size, mtime_ns, *status) == mark ? ATTUNE_JOB_KEPT : ATTUNE_JOB_CHANGED;
}
