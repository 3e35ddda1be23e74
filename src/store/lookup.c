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

/* Compares the rows [first, first + count) with every name that has none yet. */
static attune_status compare_block(uint64_t *rows, size_t *missing, attune_store *store,
                                   attune_rows *scratch, uint64_t first, uint64_t count,
                                   const char *const *names, size_t name_count)
{
    attune_rows_clear(scratch);
    const attune_status status = attune_store_read(store, first, count, scratch);
    for (uint64_t i = 0; status == ATTUNE_OK && i<count && * missing> 0; i++) {
        const char *path = attune_rows_get(scratch, i).path;
        for (size_t n = 0; n < name_count; n++) {
            if (rows[n] == ATTUNE_LOOKUP_NONE && names[n] && strcmp(path, names[n]) == 0) {
                rows[n] = first + i;
                (*missing)--;
            }
        }
    }
    return status;
}

attune_status attune_lookup(uint64_t *rows, attune_store *store, const char *const *names,
                            size_t count)
{
    attune_rows *scratch = NULL;
    const uint64_t total = attune_store_count(store);
    size_t missing = 0;
    attune_status status =
        attune_rows_create(&scratch, attune_store_attributes_of(store)->embedding);
    for (size_t n = 0; n < count; n++) {
        bool found = false;
        if (status == ATTUNE_OK && names[n]) {
            status = halve(&rows[n], &found, store, scratch, names[n]);
            missing += !found;
        }
        rows[n] = found ? rows[n] : ATTUNE_LOOKUP_NONE;
    }
    for (uint64_t first = 0; status == ATTUNE_OK && missing > 0 && first < total;
         first += ATTUNE_BLOCK_ROWS) {
        const uint64_t left = total - first;
        status = compare_block(rows, &missing, store, scratch, first,
                               left < ATTUNE_BLOCK_ROWS ? left : ATTUNE_BLOCK_ROWS, names, count);
    }
    attune_rows_free(scratch);
    return status;
}
