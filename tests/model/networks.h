/* networks.h - networks with random parameters for the tests of src/model. */
#ifndef ATTUNE_TESTS_MODEL_NETWORKS_H
#define ATTUNE_TESTS_MODEL_NETWORKS_H

#include "model/parameters.h"

#include <stdbool.h>

/* An array of a model's parameters; see attune_parameters. */
typedef struct parameter_array {
    const char *name;
    float *data; /* NULL where the network has none */
    size_t count;
} parameter_array;

enum { PARAMETER_ARRAYS_MAX = 8 + 4 * ATTUNE_LAYERS_MAX + 8 };

/* Lists the arrays in the order of attune_parameters; returns how many. */
int list_parameters(parameter_array *out, const attune_model *model);

/* AudioEmbeddingTiny at its published size. */
attune_network published_network(void);

typedef struct named_network {
    const char *name;
    attune_network network;
} named_network;

/* What the paper varied, small enough for many tests: hidden 16 to 48, embeddings 4 to 8. */
extern const named_network small_networks[];
extern const int small_network_count;
const attune_network *find_network(const char *name); /* one of them; asserts */

/* Assert that a model that was read is the one that was written; `name` and `spelled` say which. */
void check_network(const attune_network *got, const attune_network *want, const char *name,
                   const char *spelled);
void check_parameters(const attune_model *got, const attune_model *want, bool folded,
                      const char *name, const char *spelled);

/* A model with random parameters; asserts. */
attune_model *random_model(const attune_network *network, uint64_t seed);

#endif
