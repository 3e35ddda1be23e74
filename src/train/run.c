/* run.c - a run's files. */
#include "train/run.h"

#include "status/error.h"
#include "status/machine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

attune_status attune_run_path(const attune_run *run, char out[4096], const char *name)
{
    if (snprintf(out, 4096, "%s/%s", run->folder, name) >= 4096) {
        return attune_fail(ATTUNE_ECREATE, "%s: the name is too long", run->folder);
    }
    return ATTUNE_OK;
}

void attune_run_start(attune_run *run)
{
    run->started = attune_seconds();
}

double attune_run_seconds(const attune_run *run)
{
    return run->now.seconds + attune_seconds() - run->started;
}

/* The settings that a run cannot change under way, as text. */
static void describe(char *out, size_t capacity, const attune_settings *settings)
{
    static const char *const may_change[] = {
        "audio",         "cache",   "threads",  "plots",
        "minutes",       "from",    "triplets", "validation-triplets",
        "test-triplets", "manifest"};
    size_t used = 0;
    for (int i = 0; i < attune_settings_count && used < capacity; i++) {
        const char *name = attune_settings_table[i].name;
        char value[1024];
        bool skip = !name;
        for (size_t k = 0; !skip && k < sizeof(may_change) / sizeof(may_change[0]); k++) {
            skip = strcmp(name, may_change[k]) == 0;
        }
        if (!skip) {
            attune_settings_text(value, sizeof(value), settings, i);
            used += (size_t)snprintf(out + used, capacity - used, "%s = %s\n", name, value);
        }
    }
}

static attune_status set_state(attune_run *run, attune_checkpoint *checkpoint)
{
    char text[16384];
    attune_status status = ATTUNE_OK;
    describe(text, sizeof(text), run->settings);
#define ATTUNE_X(field, least, most, whole)                                                        \
    status = status ? status : attune_checkpoint_set_real(checkpoint, #field, run->now.field);
    ATTUNE_RUN_PROGRESS(ATTUNE_X)
#undef ATTUNE_X
    status = status ? status : attune_checkpoint_set_text(checkpoint, "settings", text);
    status = status
                 ? status
                 : attune_checkpoint_set_text(checkpoint, "stage", attune_stage_name(run->stage));
    return status ? status : attune_checkpoint_set_integer(checkpoint, "data", run->data);
}

/* For embedding: no moments. `from` is state or mean. */
attune_status attune_run_save_best(attune_run *run, const attune_checkpoint *network)
{
    char path[4096];
    attune_checkpoint best;
    attune_status status = attune_run_path(run, path, "best.h5");
    status = status ? status : set_state(run, run->weights);
    best = *run->weights; /* with its values */
    best.parameters = network->parameters;
    best.statistics = network->statistics;
    best.moment1 = best.moment2 = NULL;
    return status ? status : attune_checkpoint_write(path, &best);
}

/* The mean of the weights has a file of its own, named by its epoch: last.h5, which is written
 * behind it, knows which one belongs to it. */
static attune_status mean_path(const attune_run *run, char out[4096], double averaged)
{
    char name[64];
    snprintf(name, sizeof(name), "mean-%.0f.h5", averaged);
    return attune_run_path(run, out, name);
}

attune_status attune_run_save(attune_run *run)
{
    char path[4096], mean[4096];
    attune_status status = ATTUNE_OK;
    if (run->mean && run->now.averaged > 0) {
        status = mean_path(run, mean, run->now.averaged);
        status = status ? status : attune_checkpoint_write(mean, run->mean);
    }
    run->now.seconds = attune_run_seconds(run);
    attune_run_start(run);
    status = status ? status : attune_run_path(run, path, "last.h5");
    status = status ? status : set_state(run, run->weights);
    status = status ? status : attune_checkpoint_write(path, run->weights);
    if (!status && run->mean && run->now.averaged > 1) {
        status = mean_path(run, mean, run->now.averaged - 1);
        if (!status) {
            (void)unlink(mean); /* of before; it may be gone already */
        }
    }
    return status;
}

/* A file is believed as far as a run can have come. */
static attune_status check_progress(const attune_run_progress *p, const char *path)
{
    const struct {
        const char *name;
        double value, least, most;
        bool whole;
    } fields[] = {
#define ATTUNE_X(field, least, most, whole) {#field, p->field, least, most, whole},
        ATTUNE_RUN_PROGRESS(ATTUNE_X)
#undef ATTUNE_X
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const double value = fields[i].value;
        if (!(value >= fields[i].least && value <= fields[i].most) ||
            (fields[i].whole && value != floor(value))) {
            return attune_fail(ATTUNE_EDATA, "%s: its state's '%s' is %g: the file is damaged",
                               path, fields[i].name, value);
        }
    }
    return ATTUNE_OK;
}

/* The mean is of the same network. */
static attune_status read_mean(attune_run *run)
{
    char path[4096];
    attune_status status = mean_path(run, path, run->now.averaged);
    status = status ? status : attune_checkpoint_read(&run->mean, path);
    if (!status && memcmp(&run->mean->trainable.network, &run->weights->trainable.network,
                          sizeof(attune_network)) != 0) {
        status = attune_fail(ATTUNE_EDATA, "%s: is of another network than last.h5", path);
    }
    return status;
}

attune_status attune_run_restore(attune_run *run)
{
    char path[4096], mine[16384];
    const char *its = NULL;
    uint64_t hash = 0;
    attune_status status = attune_run_path(run, path, "last.h5");
    status = status ? status : attune_checkpoint_read(&run->weights, path);
    if (!status && !run->weights->moment1) {
        return attune_fail(ATTUNE_EDATA, "%s: cannot be gone on from: it has no moments", path);
    }
#define ATTUNE_X(field, least, most, whole)                                                        \
    status = status ? status : attune_checkpoint_get_real(&run->now.field, run->weights, #field);
    ATTUNE_RUN_PROGRESS(ATTUNE_X)
#undef ATTUNE_X
    status = status ? status : check_progress(&run->now, path);
    status = status ? status : attune_checkpoint_get_text(&its, run->weights, "settings");
    status = status ? status : attune_checkpoint_get_integer(&hash, run->weights, "data");
    if (status) {
        return status;
    }
    describe(mine, sizeof(mine), run->settings);
    for (size_t i = 0, line = 0; mine[i] || its[i]; i++) {
        line = i > 0 && mine[i - 1] == '\n' ? i : line;
        if (mine[i] != its[i]) {
            return attune_fail(
                ATTUNE_ECONFIG,
                "%s: was trained with other settings: '%.*s' and now '%.*s'; --resume "
                "wants the same ones",
                path, (int)strcspn(its + line, "\n"), its + line, (int)strcspn(mine + line, "\n"),
                mine + line);
        }
    }
    if (hash != run->data) {
        return attune_fail(ATTUNE_ECONFIG,
                           "%s: the tracks or triplets are not those that it was trained on", path);
    }
    return run->now.averaged > 0 ? read_mean(run) : ATTUNE_OK;
}
