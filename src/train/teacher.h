/* teacher.h - another model's embeddings, whose geometry is to be learnt. */
#ifndef ATTUNE_SRC_TRAIN_TEACHER_H
#define ATTUNE_SRC_TRAIN_TEACHER_H

#include "train/loss.h"
#include "train/sampler.h"

typedef struct attune_teacher attune_teacher;

/* Reads embeddings as attune eval does (eval/space.h): an output of attune embed, of which a row
 * belongs to the track of the same file, or .npy and .csv, which name tracks by id or path. Of two
 * rows of a track the later counts. ATTUNE_EDATA when there is none for any track. On failure *out
 * is NULL. */
attune_status attune_teacher_open(attune_teacher **out, const char *path,
                                  const attune_tracks *tracks);
void attune_teacher_close(attune_teacher *teacher); /* NULL-safe */

/* Tracks that it has a row for. */
uint32_t attune_teacher_count(const attune_teacher *teacher);
/* ATTUNE_EDATA unless its rows have as many numbers as an embedding, E. */
attune_status attune_teacher_suits(const attune_teacher *teacher, int E);

/* attune_loss_distil for a batch of clips; two clips of a track have the same row, so of each pair
 * of them the teacher says 1. */
attune_status attune_teacher_loss(attune_teacher *teacher, attune_loss_value *value,
                                  float *gradients, const float *embeddings,
                                  const attune_sample *samples, int B, int E, double weight);
/* attune_loss_regress for a batch of clips, of a teacher that suits. */
attune_status attune_teacher_regress(attune_teacher *teacher, attune_loss_value *value,
                                     float *gradients, const float *embeddings,
                                     const attune_sample *samples, int B, int E);

#endif
