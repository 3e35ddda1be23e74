/* batch_loss.c - one loss, or two mixed, and a teacher's beside them or alone. */
#include "train/batch_loss.h"

#include "status/error.h"

#include <stdlib.h>
#include <string.h>

static attune_status by_label(attune_loss_value *value, float *gradients, const float *embeddings,
                              const int32_t *labels, const int32_t *families, int B, int E,
                              const attune_settings *s, double weight)
{
    return s->loss == ATTUNE_LOSS_CONTRAST
               ? attune_loss_contrast(value, gradients, embeddings, labels, families, B, E,
                                      s->temperature, weight)
               : attune_loss_mined(value, gradients, embeddings, labels, B, E,
                                   s->loss == ATTUNE_LOSS_HARD ? ATTUNE_MINING_HARD
                                                               : ATTUNE_MINING_SEMIHARD,
                                   s->margin, weight);
}

/* By the samples' label, and by their second one. */
static attune_status by_labels(attune_loss_value *value, float *gradients, const float *embeddings,
                               const attune_loaded *batch, int E, const attune_settings *s)
{
    const int B = batch->B;
    int32_t *labels = malloc(3 * (size_t)B * sizeof(*labels)), *families = labels + B,
            *mixed = families + B;
    attune_loss_value second = {0};
    if (!labels) {
        return attune_fail_memory("a batch's labels", 3 * (size_t)B * sizeof(*labels));
    }
    for (int i = 0; i < B; i++) {
        labels[i] = batch->samples[i].label;
        families[i] = batch->samples[i].family;
        mixed[i] = batch->samples[i].mixed;
    }
    attune_status status = by_label(value, gradients, embeddings, labels,
                                    s->spare ? families : NULL, B, E, s, 1 - s->mix);
    if (!status && s->mix > 0) {
        status = by_label(&second, gradients, embeddings, mixed, NULL, B, E, s, s->mix);
        value->loss = (1 - s->mix) * value->loss + s->mix * second.loss;
    }
    free(labels);
    return status;
}

attune_status attune_batch_loss(attune_loss_value *value, float *gradients, const float *embeddings,
                                const attune_loaded *batch, bool triplets, int E,
                                const attune_settings *settings, attune_teacher *teacher)
{
    attune_loss_value taught = {0};
    attune_status status = ATTUNE_OK;
    memset(gradients, 0, (size_t)batch->B * E * sizeof(float));
    if (settings->loss == ATTUNE_LOSS_REGRESS) {
        return attune_teacher_regress(teacher, value, gradients, embeddings, batch->samples,
                                      batch->B, E);
    }
    if (triplets) {
        attune_loss_triplet(value, gradients, embeddings, batch->B / 3, E, settings->margin, 1);
    } else {
        status = by_labels(value, gradients, embeddings, batch, E, settings);
    }
    if (!status && teacher) {
        status = attune_teacher_loss(teacher, &taught, gradients, embeddings, batch->samples,
                                     batch->B, E, settings->teacher_weight);
        value->loss += settings->teacher_weight * taught.loss;
    }
    return status;
}
