/* batch_loss.h - the loss that the settings ask for, of one batch. */
#ifndef ATTUNE_SRC_TRAIN_BATCH_LOSS_H
#define ATTUNE_SRC_TRAIN_BATCH_LOSS_H

#include "train/loader.h"
#include "train/teacher.h"

/* gradients (B, E) = of the batch's loss by its embeddings (B, E). A batch of triplets has anchors,
 * positives and negatives; others are by the samples' labels. `teacher` may be NULL. value->loss is
 * the whole loss, the rest is of its first part. */
attune_status attune_batch_loss(attune_loss_value *value, float *gradients, const float *embeddings,
                                const attune_loaded *batch, bool triplets, int E,
                                const attune_settings *settings, attune_teacher *teacher);

#endif
