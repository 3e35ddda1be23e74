/* train_driver.h - whole networks on a CUDA device that trains, beside the CPU; for the emulated
 * device and for real ones. */
#ifndef ATTUNE_TESTS_CUDA_TRAIN_DRIVER_H
#define ATTUNE_TESTS_CUDA_TRAIN_DRIVER_H

#include "kernels/training.h"

typedef struct train_case {
    attune_network network;
    int B, groups, T;
    float dropout;
    bool frozen;
} train_case;

/* A network of these widths; pooling by attention has as many inner units as hidden ones. */
attune_network train_network(attune_architecture architecture, attune_pooling pooling, int frame,
                             int hop, int hidden, int layers);

/* Two batches forward and backward, the second of fewer and shorter clips and, where it can be, in
 * other groups: asserts that embeddings are the CPU's to 1e-5, statistics to 1e-5 and gradients to
 * 1e-4 of the tensor's largest, and that a context with more room gives the same bits. */
void train_compare(const attune_training_kernels *kernels, const train_case *c);

#endif
