/* lookup.c - rows are sorted by path, so a name is found by halving. Files of other programs may
 * not be sorted: what was not found is looked for once more, row by row, all names in one pass. */
#include "store/lookup.h"

#include "store/blocks.h"

#include <string.h>

/* The first row whose path is not before `name`, if the rows are sorted; *found if it is `name`. */
static attune_status halve(uint64_t *row, bool *found, attune_store *store, attune_rows *scratch,
                           const char *name)
{
    uint64_t low = 0, high = attune_store_count(store);
    attune_status status = ATTUNE_OK;
    *found = false;
    while (status == ATTUNE_OK && low < high) {
        const uint64_t middle = low + (high - low) / 2;
        attune_rows_clear(scratch);
        status = attune_store_read(store, middle, 1, scratch);
        if (status == ATTUNE_OK) {
            const int order = strcmp(attune_rows_get(scratch, 0).path, name);
            if (order < 0) {
                low = middle + 1;
            } else {
                high = middle;
                *found = *found || order == 0;
            }
        }
    }
    *row = low;
    return status;
}

/* Compares rows, of which the first is row `first`, with every track whose first name has no row
 * yet, of which there are *missing. */
static void compare(attune_lookup_names *tracks, size_t track_count, size_t *missing,
                    const attune_rows *rows, uint64_t first)
{
    for (size_t i = 0; *missing > 0 && i < attune_rows_count(rows); i++) {
        const char *path = attune_rows_get(rows, i).path;
        for (attune_lookup_names *t = tracks; t < tracks + track_count; t++) {
            if (t->rows[0] == ATTUNE_LOOKUP_NONE && strcmp(path, t->names[0]) == 0) {
                t->rows[0] = first + i;
                (*missing)--;
            } else if (t->rows[1] == ATTUNE_LOOKUP_NONE && t->names[1] &&
                       strcmp(path, t->names[1]) == 0) {
                t->rows[1] = first + i;
            }
        }
    }
}

/* Looks for a track's names by halving. */
static attune_status find(attune_lookup_names *track, attune_store *store, attune_rows *scratch)
{
    attune_status status = ATTUNE_OK;
    for (int n = 0; n < 2; n++) {
        bool found = false;
        if (status == ATTUNE_OK && track->names[n]) {
            status = halve(&track->rows[n], &found, store, scratch, track->names[n]);
        }
        track->rows[n] = found ? track->rows[n] : ATTUNE_LOOKUP_NONE;
    }
    return status;
}

attune_status attune_lookup(attune_lookup_names *tracks, size_t count, attune_store *store)
{
    attune_rows *scratch = NULL;
    const uint64_t total = attune_store_count(store);
    size_t missing = 0; /* first names that have no row */
    bool lost = false;  /* a track has none by either name */
    attune_status status =
        attune_rows_create(&scratch, attune_store_attributes_of(store)->embedding);
    for (size_t i = 0; status == ATTUNE_OK && i < count; i++) {
        status = find(&tracks[i], store, scratch);
        missing += tracks[i].rows[0] == ATTUNE_LOOKUP_NONE;
        lost |= tracks[i].rows[0] == ATTUNE_LOOKUP_NONE && tracks[i].rows[1] == ATTUNE_LOOKUP_NONE;
    }
    for (uint64_t next = 0; status == ATTUNE_OK && lost && missing > 0 && next < total;) {
        const uint64_t first = next;
        status = attune_store_next(store, &next, scratch);
        if (status == ATTUNE_OK) {
            compare(tracks, count, &missing, scratch, first);
        }
    }
    attune_rows_free(scratch);
    return status;
}
