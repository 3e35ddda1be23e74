/* start.h - the network that a training begins with. */
#ifndef ATTUNE_SRC_TRAIN_START_H
#define ATTUNE_SRC_TRAIN_START_H

#include "store/checkpoint.h"
#include "train/settings.h"

/* Random parameters of the settings' shape and seed, or those of settings->from, whose shape then
 * counts: ATTUNE_ECONFIG when the settings ask for another. Moments are zero. On failure *out is
 * NULL. */
attune_status attune_start(attune_checkpoint **out, const attune_settings *settings);

#endif
