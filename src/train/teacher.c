/* teacher.c - the teacher's rows by track, each of length 1. */
#include "train/teacher.h"

#include "eval/space.h"
#include "status/error.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct attune_teacher {
    int D;
    uint32_t count;
    bool *known;  /* (tracks) */
    float *rows;  /* (tracks, D); zeros where there is none */
    float *batch; /* (B, D), grown as needed */
    int B;
};

/* The track that a row's name is of: in an output of attune a path below its root, else what a
 * triplet file may call a track. */
static attune_status track_of(uint32_t *out, const attune_tracks *tracks, const attune_space *space,
                              const char *name)
{
    char path[PATH_MAX];
    if (!space->root || name[0] == '/') {
        return attune_tracks_look_up(out, tracks, name);
    }
    const int length = snprintf(path, sizeof(path), "%s/%s", space->root, name);
    *out = ATTUNE_NO_TRACK;
    return length > 0 && (size_t)length < sizeof(path) ? attune_tracks_look_up(out, tracks, path)
                                                       : ATTUNE_OK;
}

/* A row of zeros says nothing of its track. */
static bool is_zero(const float *row, size_t D)
{
    for (size_t i = 0; i < D; i++) {
        if (row[i] != 0) {
            return false;
        }
    }
    return true;
}

static attune_status take_rows(attune_teacher *teacher, attune_space *space,
                               const attune_tracks *tracks, const char *path)
{
    const size_t D = space->E;
    bool any_zero = false;
    attune_status status = ATTUNE_OK;
    attune_space_normalise(space);
    for (uint32_t i = 0; i < space->n && !status; i++) {
        uint32_t track;
        status = track_of(&track, tracks, space, space->names[i]);
        if (status || track == ATTUNE_NO_TRACK) {
            continue;
        }
        if (is_zero(space->vectors + i * D, D)) {
            any_zero = true;
            continue;
        }
        if (teacher->known[track]) {
            return attune_fail(ATTUNE_EDATA, "%s: two rows are of the track %s", path,
                               attune_tracks_entries(tracks)[track].id);
        }
        teacher->count++;
        teacher->known[track] = true;
        memcpy(teacher->rows + track * D, space->vectors + i * D, D * sizeof(float));
    }
    if (!status && teacher->count == 0) {
        status = attune_fail(ATTUNE_EDATA,
                             any_zero ? "%s: its rows of tracks to train on are zeros"
                                      : "%s: none of its rows is of a track to train on",
                             path);
    }
    return status;
}

attune_status attune_teacher_open(attune_teacher **out, const char *path,
                                  const attune_tracks *tracks)
{
    const uint32_t count = attune_tracks_count(tracks);
    attune_space space = {0};
    attune_teacher *teacher = calloc(1, sizeof(*teacher));
    attune_status status = teacher ? attune_space_read(&space, path, NULL, ATTUNE_SPACE_EMBEDDING)
                                   : attune_fail_memory("a teacher", sizeof(*teacher));
    *out = NULL;
    if (!status) {
        teacher->D = (int)space.E;
        teacher->known = calloc((size_t)count + 1, sizeof(*teacher->known));
        teacher->rows = calloc((size_t)count * space.E + 1, sizeof(float));
        status = teacher->known && teacher->rows
                     ? take_rows(teacher, &space, tracks, path)
                     : attune_fail_memory("a teacher's embeddings", (size_t)count * space.E);
    }
    attune_space_free(&space);
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
        free(teacher->known);
        free(teacher->rows);
        free(teacher->batch);
        free(teacher);
    }
}

uint32_t attune_teacher_count(const attune_teacher *teacher)
{
    return teacher->count;
}

attune_status attune_teacher_suits(const attune_teacher *teacher, int E)
{
    return teacher->D == E
               ? ATTUNE_OK
               : attune_fail(ATTUNE_EDATA,
                             "the teacher has rows of %d numbers, and embeddings have %d; the loss "
                             "regress wants as many: --embedding %d, or another loss",
                             teacher->D, E, teacher->D);
}

/* The rows of the samples' tracks, into `batch`. */
static attune_status gather(attune_teacher *teacher, const attune_sample *samples, int B)
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
    return ATTUNE_OK;
}

attune_status attune_teacher_loss(attune_teacher *teacher, attune_loss_value *value,
                                  float *gradients, const float *embeddings,
                                  const attune_sample *samples, int B, int E, double weight)
{
    attune_status status = gather(teacher, samples, B);
    return status ? status
                  : attune_loss_distil(value, gradients, embeddings, teacher->batch, B, E,
                                       teacher->D, weight);
}

attune_status attune_teacher_regress(attune_teacher *teacher, attune_loss_value *value,
                                     float *gradients, const float *embeddings,
                                     const attune_sample *samples, int B, int E)
{
    attune_status status = attune_teacher_suits(teacher, E);
    status = status ? status : gather(teacher, samples, B);
    if (!status) {
        attune_loss_regress(value, gradients, embeddings, teacher->batch, B, E, 1);
    }
    return status;
}
