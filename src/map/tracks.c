/* tracks.c - read block by block; what has no vector is passed over. */
#include "map/tracks.h"

#include "status/error.h"
#include "store/blocks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Room for `n` tracks. */
static attune_status reserve(attune_map_tracks *t, uint64_t n, bool labels)
{
    const size_t room = n ? (size_t)n : 1;
    t->vectors = malloc(room * t->E * sizeof(*t->vectors));
    t->row = malloc(room * sizeof(*t->row));
    t->path = malloc(room * sizeof(*t->path));
    t->status = malloc(room * sizeof(*t->status));
    t->labels = labels ? malloc(room * sizeof(*t->labels)) : NULL;
    return t->vectors && t->row && t->path && t->status && (t->labels || !labels)
               ? ATTUNE_OK
               : attune_fail_memory("embeddings", n * (t->E * sizeof(float) + 64));
}

static bool has_vector(const attune_row *row, uint32_t E)
{
    bool finite = attune_track_has_embedding(row->status);
    for (uint32_t e = 0; e < E && finite; e++) {
        finite = isfinite(row->embedding[e]);
    }
    return finite;
}

static attune_status add(attune_map_tracks *t, size_t *length, size_t *capacity,
                         const attune_row *row, uint64_t number)
{
    const size_t size = strlen(row->path) + 1;
    if (*length + size > *capacity) {
        const size_t larger = 2 * (*length + size);
        char *text = realloc(t->text, larger);
        if (!text) {
            return attune_fail_memory("paths", larger);
        }
        t->text = text;
        *capacity = larger;
    }
    memcpy(t->text + *length, row->path, size);
    memcpy(t->vectors + (size_t)t->n * t->E, row->embedding, t->E * sizeof(float));
    t->row[t->n] = number;
    t->path[t->n] = *length;
    t->status[t->n] = (uint8_t)row->status;
    if (t->labels) {
        t->labels[t->n] = *row->labels;
    }
    *length += size;
    t->n++;
    return ATTUNE_OK;
}

static attune_status read_rows(attune_map_tracks *t, attune_store *store)
{
    attune_rows *rows = NULL;
    size_t length = 0, capacity = 0;
    attune_status status = attune_rows_create(&rows, (int)t->E);
    for (uint64_t next = 0; status == ATTUNE_OK && next < t->rows;) {
        const uint64_t first = next;
        status = attune_store_next(store, &next, rows);
        for (size_t i = 0; status == ATTUNE_OK && i < attune_rows_count(rows); i++) {
            const attune_row row = attune_rows_get(rows, i);
            if (has_vector(&row, t->E)) {
                status = add(t, &length, &capacity, &row, first + i);
            }
        }
    }
    attune_rows_free(rows);
    return status;
}

attune_status attune_map_tracks_open(attune_map_tracks *out, const char *path)
{
    attune_store *store = NULL;
    *out = (attune_map_tracks){0};
    attune_status status = attune_store_open(&store, path);
    if (status != ATTUNE_OK) {
        return status;
    }
    const attune_store_attributes *attributes = attune_store_attributes_of(store);
    out->rows = attune_store_count(store);
    out->E = (uint32_t)attributes->embedding;
    out->root = strdup(attributes->root ? attributes->root : "");
    if (out->rows > INT32_MAX) {
        status = attune_fail(ATTUNE_EDATA, "%s: more rows than a map can hold", path);
    } else if (!out->root) {
        status = attune_fail_memory("a path", 0);
    } else {
        status = reserve(out, out->rows, attributes->labels);
    }
    if (status == ATTUNE_OK) {
        status = read_rows(out, store);
    }
    if (status == ATTUNE_OK && out->n == 0) {
        status = attune_fail(ATTUNE_EDATA, "%s: holds no vector (%llu rows without one)", path,
                             (unsigned long long)out->rows);
    }
    attune_store_close(store);
    if (status != ATTUNE_OK) {
        attune_map_tracks_close(out);
    }
    return status;
}

void attune_map_tracks_close(attune_map_tracks *tracks)
{
    if (tracks) {
        free(tracks->root);
        free(tracks->vectors);
        free(tracks->row);
        free(tracks->path);
        free(tracks->text);
        free(tracks->labels);
        free(tracks->status);
        *tracks = (attune_map_tracks){0};
    }
}
