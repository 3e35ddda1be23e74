/* space.c - vectors with names, read row by row. */
#include "eval/space.h"

#include "eval/vector.h"
#include "model/random.h"
#include "status/error.h"
#include "status/path.h"
#include "store/blocks.h"
#include "store/file_kind.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static attune_status grow(attune_space *s)
{
    const size_t capacity = s->capacity ? (size_t)s->capacity * 2 : 1024, E = s->E;
    float *vectors = realloc(s->vectors, capacity * E * sizeof(*vectors));
    s->vectors = vectors ? vectors : s->vectors;
    char **names = realloc(s->names, capacity * sizeof(*names));
    s->names = names ? names : s->names;
    uint32_t *rows = realloc(s->rows, capacity * sizeof(*rows));
    s->rows = rows ? rows : s->rows;
    attune_labels *labels = realloc(s->labels, capacity * sizeof(*labels));
    s->labels = labels ? labels : s->labels;
    if (!vectors || !names || !rows || !labels || capacity > INT32_MAX) {
        return attune_fail_memory("embeddings", capacity * (E * sizeof(*vectors) + 64));
    }
    s->capacity = (uint32_t)capacity;
    return ATTUNE_OK;
}

attune_status attune_space_add(attune_space *space, const char *name, const float *vector,
                               const attune_labels *labels)
{
    for (uint32_t e = 0; e < space->E; e++) {
        if (!isfinite(vector[e])) {
            space->left_out++;
            return ATTUNE_OK;
        }
    }
    const attune_status status = space->n == space->capacity ? grow(space) : ATTUNE_OK;
    if (status != ATTUNE_OK) {
        return status;
    }
    char *copy = strdup(name);
    if (!copy) {
        return attune_fail_memory("a name", strlen(name));
    }
    memcpy(space->vectors + (size_t)space->n * space->E, vector, space->E * sizeof(*vector));
    space->labels[space->n] = labels ? *labels : ATTUNE_NO_LABELS;
    space->rows[space->n] = space->n + space->left_out + 1;
    space->names[space->n++] = copy;
    return ATTUNE_OK;
}

static attune_status fail_descriptors(const char *path)
{
    return attune_fail(ATTUNE_EDATA,
                       "%s: has no descriptors; attune embed --descriptors makes them", path);
}

static attune_status read_output(attune_space *s, const char *path, attune_space_kind kind)
{
    attune_store *store = NULL;
    attune_rows *rows = NULL;
    const bool descriptors = kind == ATTUNE_SPACE_DESCRIPTORS;
    attune_status status = attune_store_open(&store, path);
    if (status == ATTUNE_OK) {
        const attune_store_attributes *attributes = attune_store_attributes_of(store);
        s->E = descriptors ? ATTUNE_DESCRIPTORS : (uint32_t)attributes->embedding;
        status = descriptors && !attributes->descriptors
                     ? fail_descriptors(path)
                     : attune_rows_create(&rows, attributes->embedding);
        s->root = strdup(attributes->root);
        status = status == ATTUNE_OK && !s->root
                     ? attune_fail_memory("a path", strlen(attributes->root))
                     : status;
    }
    for (uint64_t next = 0; status == ATTUNE_OK && next < attune_store_count(store);) {
        status = attune_store_next(store, &next, rows);
        for (size_t i = 0; status == ATTUNE_OK && i < attune_rows_count(rows); i++) {
            const attune_row row = attune_rows_get(rows, i);
            if (attune_track_has_embedding(row.status)) {
                status = attune_space_add(
                    s, row.path, descriptors ? row.descriptors : row.embedding, row.labels);
            } else {
                s->left_out++;
            }
        }
    }
    attune_rows_free(rows);
    attune_store_close(store);
    return status;
}

const char *attune_file_title(const char *const *paths, uint32_t count, uint32_t i)
{
    for (uint32_t other = 0; other < count; other++) {
        if (other != i && strcmp(attune_file_name(paths[other]), attune_file_name(paths[i])) == 0) {
            return paths[i];
        }
    }
    return attune_file_name(paths[i]);
}

attune_status attune_space_retitle(attune_space *space, const char *file, attune_space_kind kind)
{
    char *title = NULL;
    if (asprintf(&title, "%s%s", file, kind == ATTUNE_SPACE_DESCRIPTORS ? " descriptors" : "") <
        0) {
        return attune_fail_memory("a name", strlen(file));
    }
    free(space->title);
    space->title = title;
    return ATTUNE_OK;
}

attune_status attune_space_read(attune_space *out, const char *path, const char *ids,
                                attune_space_kind kind)
{
    const bool npy = attune_ends_in(path, ".npy"), csv = attune_ends_in(path, ".csv");
    attune_file_kind file = ATTUNE_FILE_OTHER;
    *out = (attune_space){0};
    attune_status status = attune_space_retitle(out, attune_file_name(path), kind);
    if (status == ATTUNE_OK) {
        status = attune_file_kind_of(&file, path);
    }
    if (status == ATTUNE_OK && (npy || csv) && kind == ATTUNE_SPACE_DESCRIPTORS) {
        status = fail_descriptors(path);
    } else if (status == ATTUNE_OK) {
        status = npy   ? attune_space_read_npy(out, path, ids)
                 : csv ? attune_space_read_csv(out, path)
                       : read_output(out, path, kind);
    }
    if (status == ATTUNE_OK && out->n == 0) {
        status = attune_fail(ATTUNE_EDATA, "%s: holds no vector (%u rows without one)", path,
                             out->left_out);
    }
    if (status != ATTUNE_OK) {
        attune_space_free(out);
    }
    return status;
}

void attune_space_free(attune_space *space)
{
    if (space) {
        for (uint32_t i = 0; space->names && i < space->n; i++) {
            free(space->names[i]);
        }
        free(space->names);
        free(space->rows);
        free(space->vectors);
        free(space->labels);
        free(space->title);
        free(space->root);
        *space = (attune_space){0};
    }
}

attune_status attune_space_select(attune_space *space, const uint32_t *rows, uint32_t count)
{
    const size_t E = space->E;
    attune_space to = {.E = space->E, .n = count, .capacity = count, .left_out = space->left_out};
    to.vectors = malloc(((size_t)count * E + 1) * sizeof(*to.vectors));
    to.names = malloc(((size_t)count + 1) * sizeof(*to.names));
    to.rows = malloc(((size_t)count + 1) * sizeof(*to.rows));
    to.labels = malloc(((size_t)count + 1) * sizeof(*to.labels));
    if (!to.vectors || !to.names || !to.rows || !to.labels) {
        to.n = 0;
        attune_space_free(&to);
        return attune_fail_memory("embeddings", (unsigned long long)count * (E * 4 + 64));
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(to.vectors + i * E, space->vectors + rows[i] * E, E * sizeof(*to.vectors));
        to.labels[i] = space->labels[rows[i]];
        to.rows[i] = space->rows[rows[i]];
        to.names[i] = space->names[rows[i]];
        space->names[rows[i]] = NULL;
    }
    to.title = space->title;
    to.root = space->root;
    space->title = space->root = NULL;
    attune_space_free(space);
    *space = to;
    return ATTUNE_OK;
}

void attune_space_normalise(attune_space *space)
{
    for (uint32_t i = 0; i < space->n; i++) {
        float *row = space->vectors + (size_t)i * space->E;
        attune_vector_unit(row, row, space->E);
    }
}

attune_status attune_space_random(attune_space *out, uint32_t n, uint32_t E)
{
    attune_random random = attune_random_of(0, E);
    *out = (attune_space){.E = E, .title = strdup("random")};
    out->vectors = malloc(((size_t)n * E + 1) * sizeof(*out->vectors));
    if (!out->title || !out->vectors) {
        attune_space_free(out);
        return attune_fail_memory("random vectors", (unsigned long long)n * E * 4);
    }
    for (size_t i = 0; i < (size_t)n * E; i++) { /* normal, by Box and Muller */
        const double u = 1 - attune_random_uniform(&random), v = attune_random_uniform(&random);
        out->vectors[i] = (float)(sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v));
    }
    out->n = n;
    attune_space_normalise(out);
    return ATTUNE_OK;
}
