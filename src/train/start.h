/* start.h - the network that a training begins with. */
#ifndef ATTUNE_SRC_TRAIN_START_H
#define ATTUNE_SRC_TRAIN_START_H

#include "store/checkpoint.h"
#include "train/settings.h"

/* Random parameters of the settings' shape and seed, or those of settings->from, whose shape then
 * counts: ATTUNE_ECONFIG when the settings ask for another. That is a checkpoint, an ONNX model, or
 * "default", the built-in one; of a model, *model is opened, and the front end is still to be made
 * with train/unfold.h. Moments are zero. On failure *out and *model are NULL. */
attune_status attune_start(attune_checkpoint **out, attune_model **model,
                           const attune_settings *settings);

/* Whether one of `settings`, which begins from a checkpoint, may begin with the network that one of
 * `first` begins with: what attune_start would say of it. */
attune_status attune_start_check(const attune_settings *settings, const attune_settings *first);

#endif
