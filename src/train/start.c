/* start.c - random parameters, a checkpoint's, or a model's. */
#include "train/start.h"

#include "status/error.h"
#include "status/path.h"
#include "train/unfold.h"

#include <stdio.h>
#include <string.h>

/* What settings ask for and a network is not, where they were given; NULL if nothing. */
static const char *difference(const attune_settings *settings, const attune_network *network)
{
    attune_network wanted;
    attune_settings_network(&wanted, settings);
    const struct {
        const char *name;
        bool same;
    } fields[] = {
        {"network", wanted.architecture == network->architecture},
        {"frame", wanted.frame_size == network->frame_size},
        {"half-hop",
         (wanted.hop_size < wanted.frame_size) == (network->hop_size < network->frame_size)},
        {"hidden", wanted.hidden == network->hidden},
        {"layers", wanted.layers == network->layers},
        {"pooling", wanted.pooling == network->pooling},
        {"embedding", wanted.embedding == network->embedding},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (!fields[i].same && attune_settings_given(settings, fields[i].name)) {
            return fields[i].name;
        }
    }
    return NULL;
}

static attune_status refuse(const attune_settings *settings, const attune_network *network)
{
    const char *name = difference(settings, network);
    attune_network ours;
    attune_settings_network(&ours, settings);
    if (name) {
        return attune_fail(ATTUNE_ECONFIG, "%s: its network has another --%s", settings->from,
                           name);
    }
    if (network->sample_rate != ours.sample_rate) {
        return attune_fail(ATTUNE_ECONFIG,
                           "%s: its network hears audio at %d Hz; training is at %d Hz",
                           settings->from, network->sample_rate, ours.sample_rate);
    }
    if (settings->seconds * network->sample_rate < network->frame_size) {
        return attune_fail(ATTUNE_EINVAL,
                           "seconds: %g are less than a frame of %s, which has %d samples",
                           settings->seconds, settings->from, network->frame_size);
    }
    return ATTUNE_OK;
}

/* A new training of the network in a checkpoint. */
static attune_status start_from(attune_checkpoint **out, const attune_settings *settings)
{
    attune_checkpoint *from = NULL;
    attune_status status = attune_checkpoint_read(&from, settings->from);
    status = status ? status : refuse(settings, &from->trainable.network);
    status = status ? status : attune_checkpoint_create(out, &from->trainable.network, true);
    if (!status) {
        memcpy((*out)->parameters, from->parameters,
               from->trainable.parameter_count * sizeof(float));
        memcpy((*out)->statistics, from->statistics,
               from->trainable.statistic_count * sizeof(float));
    }
    attune_checkpoint_close(from);
    return status;
}

/* A new training of a model's network. */
static attune_status start_from_model(attune_checkpoint **out, attune_model **model,
                                      const attune_settings *settings)
{
    attune_status status = strcmp(settings->from, "default") == 0
                               ? attune_model_open_default(model)
                               : attune_model_open(model, settings->from);
    status = status ? status : refuse(settings, attune_model_network(*model));
    status = status ? status : attune_unfold_start(out, *model);
    if (status) {
        attune_model_close(*model);
        *model = NULL;
    }
    return status;
}

attune_status attune_start(attune_checkpoint **out, attune_model **model,
                           const attune_settings *settings)
{
    const char *from = settings->from;
    attune_network network;
    *out = NULL;
    *model = NULL;
    if (from && (strcmp(from, "default") == 0 || attune_ends_in(from, ".onnx"))) {
        return start_from_model(out, model, settings);
    }
    if (from) {
        return start_from(out, settings);
    }
    attune_settings_network(&network, settings);
    attune_status status = attune_checkpoint_create(out, &network, true);
    if (!status) {
        attune_trainable_initialise((*out)->parameters, (*out)->statistics, &(*out)->trainable,
                                    (uint64_t)settings->seed);
    }
    return status;
}

attune_status attune_start_check(const attune_settings *settings, const attune_settings *first)
{
    attune_checkpoint *weights = NULL;
    attune_model *model = NULL;
    attune_status status = attune_start(&weights, &model, first);
    status = status ? status : refuse(settings, &weights->trainable.network);
    attune_model_close(model);
    attune_checkpoint_close(weights);
    return status;
}
