/* teacher.c - the teacher's rows by track, each of length 1. */
#include "train/teacher.h"

#include "status/error.h"

#include "attune/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_AT_A_TIME = 4096 };

struct attune_teacher {
    int D;
    uint32_t tracks, count;
    float *rows;  /* (tracks, D); zeros where there is none */
    float *batch; /* (B, D), grown as needed */
    int B;
};

/* A track's number by its path. */
typedef struct place {
    const char *path;
    uint32_t track;
} place;

static int by_path(const void *a, const void *b)
{
    return strcmp(((const place *)a)->path, ((const place *)b)->path);
}

static void take_row(attune_teacher *teacher, const attune_row *row, const char *root,
                     const place *places)
{
    char path[8192];
    const bool absolute = row->path[0] == '/', slash = !absolute && root[strlen(root) - 1] != '/';
    snprintf(path, sizeof(path), "%s%s%s", absolute ? "" : root, slash ? "/" : "", row->path);
    const place key = {.path = path},
                *found = bsearch(&key, places, teacher->tracks, sizeof(*places), by_path);
    double length = 0;
    for (int i = 0; found && i < teacher->D; i++) {
        length += (double)row->embedding[i] * row->embedding[i];
    }
    if (!(length > 0) || !isfinite(length)) {
        return; /* a failed row, or another file */
    }
    for (int i = 0; i < teacher->D; i++) {
        teacher->rows[(size_t)found->track * teacher->D + i] =
            (float)(row->embedding[i] / sqrt(length));
    }
    teacher->count++;
}

static attune_status read_rows(attune_teacher *teacher, attune_store *store, const place *places)
{
    const uint64_t all = attune_store_count(store);
    const char *root = attune_store_attributes_of(store)->root;
    attune_rows *rows = NULL;
    attune_status status = attune_rows_create(&rows, teacher->D);
    for (uint64_t first = 0; !status && first < all; first += ROWS_AT_A_TIME) {
        const uint64_t count = all - first < ROWS_AT_A_TIME ? all - first : ROWS_AT_A_TIME;
        attune_rows_clear(rows);
        status = attune_store_read(store, first, count, rows);
        for (size_t i = 0; !status && i < count; i++) {
            const attune_row row = attune_rows_get(rows, i);
            take_row(teacher, &row, root, places);
        }
    }
    attune_rows_free(rows);
    return status;
}

attune_status attune_teacher_open(attune_teacher **out, const char *path,
                                  const attune_tracks *tracks)
{
    const uint32_t count = attune_tracks_count(tracks);
    attune_teacher *teacher = calloc(1, sizeof(*teacher));
    place *places = calloc((size_t)count + 1, sizeof(*places));
    attune_store *store = NULL;
    attune_status status = teacher && places ? attune_store_open(&store, path)
                                             : attune_fail_memory("a teacher", count);
    *out = NULL;
    if (status) {
        goto done;
    }
    teacher->D = attune_store_attributes_of(store)->embedding;
    teacher->tracks = count;
    teacher->rows = calloc((size_t)count * teacher->D + 1, sizeof(float));
    if (!teacher->rows) {
        status = attune_fail_memory("a teacher's embeddings", (size_t)count * teacher->D);
        goto done;
    }
    for (uint32_t i = 0; i < count; i++) {
        places[i] = (place){.path = attune_tracks_entries(tracks)[i].path, .track = i};
    }
    qsort(places, count, sizeof(*places), by_path);
    status = read_rows(teacher, store, places);
    if (!status && teacher->count == 0) {
        status = attune_fail(ATTUNE_EDATA, "%s: none of its rows is of a track to train on", path);
    }
done:
    attune_store_close(store);
    free(places);
    if (status) {
        attune_teacher_close(teacher);
    } else {
        *out = teacher;
    }
    return status;
}

void attune_teacher_close(attune_teacher *teacher)
{
    if (teacher) {
        free(teacher->rows);
        free(teacher->batch);
        free(teacher);
    }
}

uint32_t attune_teacher_count(const attune_teacher *teacher)
{
    return teacher->count;
}

attune_status attune_teacher_loss(attune_teacher *teacher, attune_loss_value *value,
                                  float *gradients, const float *embeddings,
                                  const attune_sample *samples, int B, int E, double weight)
{
    const size_t D = (size_t)teacher->D;
    if (B > teacher->B) {
        float *more = realloc(teacher->batch, (size_t)B * D * sizeof(float));
        if (!more) {
            return attune_fail_memory("a batch's teacher", (size_t)B * D * sizeof(float));
        }
        teacher->batch = more;
        teacher->B = B;
    }
    for (int i = 0; i < B; i++) {
        memcpy(teacher->batch + (size_t)i * D, teacher->rows + samples[i].track * D,
               D * sizeof(float));
    }
    return attune_loss_distil(value, gradients, embeddings, teacher->batch, B, E, (int)D, weight);
}
