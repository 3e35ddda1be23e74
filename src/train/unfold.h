/* unfold.h - a network to train from a model whose batch normalisation is folded away.
 *
 * ONNX models, the built-in one among them, have convolutions with biases, and no statistics. In
 * training a layer's output is normalised by its batch, so the normalisation gets the scale and
 * shift that undo this: those of the layer's outputs over some batches. The network then embeds as
 * the model does, to rounding, and trains from there. */
#ifndef ATTUNE_SRC_TRAIN_UNFOLD_H
#define ATTUNE_SRC_TRAIN_UNFOLD_H

#include "kernels/training.h"
#include "store/checkpoint.h"
#include "train/loader.h"

/* The model's parameters, as far as they need no batches. On failure *out is NULL. */
attune_status attune_unfold_start(attune_checkpoint **out, const attune_model *model);

/* Then the front end's, on a device that is not frozen: reads a few batches for each layer. */
attune_status attune_unfold_front_end(attune_checkpoint *checkpoint, const attune_model *model,
                                      const attune_training_kernels *kernels, void *device,
                                      attune_loader *loader, size_t S);

#endif
