/* unfold.c - layer by layer, as the statistics of one depend on those before it. */
#include "train/unfold.h"

#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCHES = 8 }; /* that a layer's statistics are taken over */

static const float MOMENTUM = 0.1f; /* of the device's running statistics */

static void copy(float *parameters, size_t offset, const float *from, size_t count)
{
    memcpy(parameters + offset, from, count * sizeof(float));
}

attune_status attune_unfold_start(attune_checkpoint **out, const attune_model *model)
{
    const attune_parameters *p = attune_model_parameters(model);
    attune_status status = attune_checkpoint_create(out, attune_model_network(model), true);
    if (status) {
        return status;
    }
    const attune_trainable *t = &(*out)->trainable;
    const size_t H = (size_t)t->network.hidden, A = (size_t)t->network.attention,
                 P = (size_t)t->network.projection, E = (size_t)t->network.embedding;
    float *to = (*out)->parameters;
    attune_trainable_initialise(to, (*out)->statistics, t, 0);
    for (int i = 0; i < t->conv_count; i++) {
        const attune_trainable_conv *c = &t->conv[i];
        copy(to, c->weight, p->conv_weight[i], (size_t)c->outputs * c->inputs * c->taps);
        if (c->has_bias) {
            memset(to + c->bias, 0, (size_t)c->outputs * sizeof(float));
        }
    }
    for (int i = 0; i < t->network.layers; i++) {
        const size_t I = i == 0 ? (size_t)t->network.features : H;
        copy(to, t->gru[i].weight_input, p->gru[i].weight_input, 3 * H * I);
        copy(to, t->gru[i].weight_hidden, p->gru[i].weight_hidden, 3 * H * H);
        copy(to, t->gru[i].bias_input, p->gru[i].bias_input, 3 * H);
        copy(to, t->gru[i].bias_hidden, p->gru[i].bias_hidden, 3 * H);
    }
    if (A > 0) {
        copy(to, t->attention_weight, p->attention_weight, A * H);
        copy(to, t->attention_bias, p->attention_bias, A);
        copy(to, t->score_weight, p->score_weight, A);
        copy(to, t->score_bias, p->score_bias, 1);
    }
    copy(to, t->project1_weight, p->project1_weight, P * H);
    copy(to, t->project1_bias, p->project1_bias, P);
    copy(to, t->project2_weight, p->project2_weight, E * P);
    copy(to, t->project2_bias, p->project2_bias, E);
    return ATTUNE_OK;
}

/* Statistics (statistic_count) of one batch: what moved the running ones there from 0. */
static attune_status measure(double *sums, const attune_checkpoint *checkpoint,
                             const attune_training_kernels *kernels, void *device,
                             attune_loader *loader, size_t S, float *embeddings, float *moved)
{
    const size_t count = checkpoint->trainable.statistic_count;
    attune_loaded loaded;
    attune_status status = attune_loader_next(loader, &loaded);
    if (status) {
        return status;
    }
    const attune_training_batch batch = {
        .clips = loaded.clips, .B = loaded.B, .samples = S, .groups = 1};
    memset(moved, 0, count * sizeof(float));
    status = kernels->forward(device, embeddings, moved, checkpoint->parameters, &batch);
    for (size_t i = 0; i < count; i++) {
        sums[i] += moved[i] / MOMENTUM;
    }
    return status;
}

attune_status attune_unfold_front_end(attune_checkpoint *checkpoint, const attune_model *model,
                                      const attune_training_kernels *kernels, void *device,
                                      attune_loader *loader, size_t S)
{
    const attune_trainable *t = &checkpoint->trainable;
    const attune_parameters *p = attune_model_parameters(model);
    const size_t count = t->statistic_count,
                 most = (size_t)attune_loader_most(loader) * t->network.embedding;
    double *sums = malloc(count * sizeof(*sums));
    float *moved = malloc(count * sizeof(*moved)), *embeddings = malloc(most * sizeof(*embeddings));
    attune_status status = sums && moved && embeddings
                               ? ATTUNE_OK
                               : attune_fail_memory("statistics", count * sizeof(*sums));
    for (int i = 0; !status && i < t->conv_count; i++) {
        const attune_trainable_conv *c = &t->conv[i];
        memset(sums, 0, count * sizeof(*sums));
        for (int b = 0; !status && b < BATCHES; b++) {
            status = measure(sums, checkpoint, kernels, device, loader, S, embeddings, moved);
        }
        for (int k = 0; !status && k < c->outputs; k++) {
            const double mean = sums[c->mean + k] / BATCHES,
                         variance = sums[c->variance + k] / BATCHES;
            checkpoint->statistics[c->mean + k] = (float)mean;
            checkpoint->statistics[c->variance + k] = (float)variance;
            checkpoint->parameters[c->scale + k] =
                (float)sqrt(variance + (double)ATTUNE_BATCH_NORM_EPSILON);
            checkpoint->parameters[c->shift + k] = (float)(p->conv_bias[i][k] + mean);
        }
    }
    free(embeddings);
    free(moved);
    free(sums);
    return status;
}
