/* golden.h - whole networks in training beside PyTorch in double, for every device that trains.
 *
 * tests/goldens/ holds PyTorch's; tools/make_training_goldens.py wrote them from the same random
 * numbers. */
#ifndef ATTUNE_TESTS_TRAIN_GOLDEN_H
#define ATTUNE_TESTS_TRAIN_GOLDEN_H

#include "kernels/training.h"

/* Asserts that small networks of all kinds have PyTorch's loss, every gradient and the running
 * statistics; `twice`: and bit for bit the same ones with other threads and in a context with more
 * room. */
void golden_check_gradients(const attune_training_kernels *kernels, bool twice);

/* Asserts that 50 steps of AdamW have PyTorch's losses and end at its parameters. */
void golden_check_steps(const attune_training_kernels *kernels);

#endif
