/* lookup.c - rows are sorted by path, so a name is found by halving. Files of other programs may
 * not be sorted: what was not found is looked for once more, row by row, all names in one pass. */
#include "store/lookup.h"

#include "store/store_format.h"

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

/* Compares the rows [first, first + count) with every track whose first name has no row yet, of
 * which there are *missing. */
static attune_status compare_block(attune_lookup_names *tracks, size_t track_count, size_t *missing,
                                   attune_store *store, attune_rows *scratch, uint64_t first,
                                   uint64_t count)
{
    attune_rows_clear(scratch);
    const attune_status status = attune_store_read(store, first, count, scratch);
    for (uint64_t i = 0; status == ATTUNE_OK && *missing > 0 && i < count; i++) {
        const char *path = attune_rows_get(scratch, i).path;
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
    return status;
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
    for (uint64_t first = 0; status == ATTUNE_OK && lost && missing > 0 && first < total;
         first += ATTUNE_BLOCK_ROWS) {
        const uint64_t left = total - first;
        status = compare_block(tracks, count, &missing, store, scratch, first,
                               left < ATTUNE_BLOCK_ROWS ? left : ATTUNE_BLOCK_ROWS);
    }
    attune_rows_free(scratch);
    return status;
}
