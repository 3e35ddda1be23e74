/* network.c - a network's shape in words. */
#include "attune/model.h"

#include <stdio.h>

const char *attune_network_json(const attune_network *n, char *out, size_t capacity)
{
    snprintf(
        out, capacity,
        "{\"architecture\": \"%s\", \"sample_rate\": %d, \"frame_size\": %d, \"hop_size\": %d, "
        "\"features\": %d, \"hidden\": %d, \"layers\": %d, \"pooling\": \"%s\", "
        "\"attention\": %d, \"projection\": %d, \"embedding\": %d}",
        attune_architecture_name(n->architecture), n->sample_rate, n->frame_size, n->hop_size,
        n->features, n->hidden, n->layers, attune_pooling_name(n->pooling), n->attention,
        n->projection, n->embedding);
    return out;
}
