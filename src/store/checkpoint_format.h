/* checkpoint_format.h - a checkpoint's parts by name, as tables that the writer and the reader
 * share. */
#ifndef ATTUNE_SRC_STORE_CHECKPOINT_FORMAT_H
#define ATTUNE_SRC_STORE_CHECKPOINT_FORMAT_H

#include "store/checkpoint.h"

/* A group of datasets, one for each tensor of an array. */
typedef struct attune_checkpoint_group {
    const char *name;
    float *values; /* NULL where the checkpoint has none */
    const attune_tensor *tensors;
    int count;
} attune_checkpoint_group;

enum { ATTUNE_CHECKPOINT_GROUPS = 4 };

static inline void
attune_checkpoint_groups(attune_checkpoint_group groups[ATTUNE_CHECKPOINT_GROUPS],
                         const attune_checkpoint *c)
{
    const attune_trainable *t = &c->trainable;
    groups[0] = (attune_checkpoint_group){"parameters", c->parameters, t->tensors, t->tensor_count};
    groups[1] =
        (attune_checkpoint_group){"statistics", c->statistics, t->running, t->running_count};
    groups[2] = (attune_checkpoint_group){"moment1", c->moment1, t->tensors, t->tensor_count};
    groups[3] = (attune_checkpoint_group){"moment2", c->moment2, t->tensors, t->tensor_count};
}

/* The numbers of a network; `architecture` and `pooling` are texts beside them. */
static const struct {
    const char *name;
    size_t offset;
} attune_checkpoint_numbers[] = {
    {"sample_rate", offsetof(attune_network, sample_rate)},
    {"frame_size", offsetof(attune_network, frame_size)},
    {"hop_size", offsetof(attune_network, hop_size)},
    {"features", offsetof(attune_network, features)},
    {"hidden", offsetof(attune_network, hidden)},
    {"layers", offsetof(attune_network, layers)},
    {"attention", offsetof(attune_network, attention)},
    {"projection", offsetof(attune_network, projection)},
    {"embedding", offsetof(attune_network, embedding)},
};

enum { ATTUNE_CHECKPOINT_NUMBERS = 9 };

#endif
