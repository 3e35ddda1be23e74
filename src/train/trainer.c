/* trainer.c - epochs of steps, each: batch, forward, loss, backward, clip, AdamW.
 *
 * All that changes is in train/run.h's struct; everything else here is made anew from the settings
 * when a run goes on. */
#include "train/trainer.h"

#include "kernels/training.h"
#include "status/error.h"
#include "status/machine.h"
#include "status/path.h"
#include "train/augment.h"
#include "train/batch_loss.h"
#include "train/device.h"
#include "train/loader.h"
#include "train/optimiser.h"
#include "train/run.h"
#include "train/start.h"
#include "train/teacher.h"
#include "train/unfold.h"
#include "train/watch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHECKPOINT_SECONDS = 300 }; /* within an epoch */

typedef struct trainer {
    const attune_settings *settings;
    attune_stage stage;
    const attune_train_options *options;
    const attune_train_events *events;
    attune_stage_data data;
    attune_run run;
    attune_model *model; /* that it begins with, if it does */
    bool resumed;
    int64_t resume_step; /* behind which the logs are gone on with; -1: they are new */
    attune_sampler *sampler;
    attune_loader *loader;
    attune_teacher *teacher;
    const attune_training_kernels *kernels;
    int ordinal; /* which of its devices */
    void *device;
    attune_watch *watch;
    int threads;
    size_t S;
    int most;                    /* clips of a batch */
    float *embeddings;           /* (most, E) */
    float *embedding_gradients;  /* (most, E) */
    float *gradients;            /* (parameter_count) */
    double epoch_started, saved; /* seconds of the run */
    int64_t epoch_clips;
} trainer;

/* Everything so far, durable. */
static attune_status save(trainer *t)
{
    attune_status status = attune_watch_flush(t->watch);
    t->saved = attune_run_seconds(&t->run);
    return status ? status : attune_run_save(&t->run);
}

/* ---- opening ---- */

static attune_status allocate(trainer *t)
{
    const size_t most = (size_t)t->most, E = (size_t)t->run.weights->trainable.network.embedding;
    t->embeddings = malloc(most * E * sizeof(float));
    t->embedding_gradients = malloc(most * E * sizeof(float));
    t->gradients = malloc(t->run.weights->trainable.parameter_count * sizeof(float));
    return t->embeddings && t->embedding_gradients && t->gradients
               ? ATTUNE_OK
               : attune_fail_memory("a batch's embeddings", most * E * sizeof(float));
}

/* A setting's largest change as the range that augment.h draws from. */
static attune_augment_range around(double middle, double most)
{
    return (attune_augment_range){.probability = most > 0 ? 1 : 0,
                                  .low = (float)(middle - most),
                                  .high = (float)(middle + most)};
}

/* How the settings change clips. */
static attune_status read_augmentation(attune_augment_options *out, const attune_settings *s)
{
    *out = (attune_augment_options){
        .gain = around(0, s->gain),
        .equaliser = around(0, s->equaliser),
        .speed = around(1, s->speed),
        .tempo = around(1, s->tempo),
        .noise = {.probability = s->noise > 0 ? 0.5f : 0,
                  .low = (float)s->noise,
                  .high = (float)s->noise + 30},
        .codec = {.probability = (float)s->codec, .low = 24, .high = 96},
    };
    return attune_augment_check(out);
}

static attune_status open_batches(trainer *t)
{
    const attune_settings *s = t->settings;
    attune_augment_options augment;
    attune_status status = read_augmentation(&augment, s);
    t->S = (size_t)(s->seconds * t->run.weights->trainable.network.sample_rate);
    const attune_sampler_source source = {
        .tracks = t->data.tracks,
        .samples = t->data.samples,
        .span = attune_augment_source_max(&augment, t->S),
        .triplets = t->data.parts[ATTUNE_PART_TRAIN].triplets,
        .triplet_count = t->data.parts[ATTUNE_PART_TRAIN].count,
        .chosen = t->data.chosen,
        .chosen_count = t->data.chosen_count,
    };
    status = status ? status : attune_sampler_open(&t->sampler, s, &source);
    if (!status && t->run.now.step > attune_sampler_steps(t->sampler)) {
        status =
            attune_fail(ATTUNE_EDATA, "%s/last.h5: its step %.0f is behind the epoch's last, %d",
                        t->run.folder, t->run.now.step, attune_sampler_steps(t->sampler));
    }
    if (!status) {
        t->most = attune_sampler_most(t->sampler);
        status = attune_loader_open(&t->loader, t->sampler, t->data.cache, &augment, t->S,
                                    (uint64_t)s->seed, t->threads, (int64_t)t->run.now.epoch,
                                    (int64_t)t->run.now.step);
    }
    return status;
}

static attune_status open_device(void **out, const trainer *t, bool frozen)
{
    const attune_training_options options = {
        .ordinal = t->ordinal,
        .threads = t->threads,
        .clips = t->most,
        .samples = t->S,
        .frozen_front_end = frozen,
        .dropout_layers = (float)t->settings->dropout,
        .dropout_head = (float)t->settings->dropout,
    };
    return t->kernels->open(out, &t->run.weights->trainable, &options);
}

/* The front end of a model that the training begins with, from batches as they are. */
static attune_status unfold(trainer *t)
{
    const attune_augment_options none = {.gain = {0}};
    attune_loader *loader = NULL;
    void *device = NULL;
    attune_status status = attune_loader_open(&loader, t->sampler, t->data.cache, &none, t->S,
                                              (uint64_t)t->settings->seed, t->threads, 0, 0);
    status = status ? status : open_device(&device, t, false);
    status = status ? status
                    : attune_unfold_front_end(t->run.weights, t->model, t->kernels, device, loader,
                                              t->S);
    t->kernels->close(device);
    attune_loader_close(loader);
    return status;
}

static const char *const step_names[] = {
    "loss", "accuracy", "positive_distance", "negative_distance", "rate", "gradient_norm", NULL};
static const char *const triplet_names[] = {"train_loss",   "train_accuracy", "val_loss",
                                            "val_accuracy", "rate",           NULL};
static const char *const label_names[] = {
    "train_loss",      "train_accuracy",    "val_map", "val_accuracy",
    "val_precision_1", "val_median_cosine", "rate",    NULL};

static void warn(void *user, const char *message)
{
    attune_train_say(((trainer *)user)->events, "%s", message);
}

/* Asked before there are logs of this run. One that was stopped before its first checkpoint has
 * logs, and no steps. */
static int64_t find_resume_step(const trainer *t)
{
    char log[4096];
    const bool has_log = t->options->resume &&
                         attune_run_path(&t->run, log, "log.csv") == ATTUNE_OK &&
                         access(log, F_OK) == 0;
    return t->resumed ? (int64_t)t->run.now.all_steps : has_log ? 0 : -1;
}

static attune_status open_watch(trainer *t)
{
    attune_watch_options options;
    t->resume_step = find_resume_step(t);
    attune_watch_options_default(&options);
    options.step_names = step_names;
    options.epoch_names = t->data.held ? label_names : triplet_names;
    options.resume_step = t->resume_step;
    options.resume_within = t->run.now.step > 0;
    options.plots = t->settings->plots;
    options.best = t->data.held ? "val_map" : "val_accuracy";
    options.best_is_highest = true;
    options.warn = warn;
    options.user = t;
    return attune_watch_open(&t->watch, t->options->folder, &options);
}

static attune_status describe_run(trainer *t)
{
    attune_watch_fact facts[ATTUNE_SETTINGS_MAX + 1] = {{0}};
    char(*texts)[1024] = malloc(ATTUNE_SETTINGS_MAX * sizeof(*texts));
    char hash[32];
    int count = 0;
    if (!texts) {
        return attune_fail_memory("a run's description", ATTUNE_SETTINGS_MAX * sizeof(*texts));
    }
    for (int i = 0; i < attune_settings_count; i++) {
        const char *name = attune_settings_table[i].name;
        if (name) {
            attune_settings_text(texts[count], sizeof(texts[count]), t->settings, i);
            facts[count] = (attune_watch_fact){.name = name, .text = texts[count]};
            count++;
        }
    }
    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)t->data.hash);
    const attune_triplet_set *parts = t->data.parts;
    const attune_watch_fact data[] = {
        {.name = "hash", .text = hash},
        {.name = "tracks", .number = attune_tracks_count(t->data.tracks)},
        {.name = "train_triplets", .number = parts[ATTUNE_PART_TRAIN].count},
        {.name = "train_tracks", .number = t->data.chosen_count},
        {.name = "validation_triplets", .number = parts[ATTUNE_PART_VALIDATION].count},
        {.name = "validation_tracks", .number = t->data.held_count},
        {0}};
    const attune_watch_description description = {
        .argument_count = t->options->argument_count,
        .arguments = t->options->arguments,
        .seed = (uint64_t)t->settings->seed,
        .device = t->kernels->device,
        .detail = t->kernels->name(t->device),
        .configuration = facts,
        .data = data,
        .resume_step = t->resume_step,
    };
    attune_status status = attune_watch_describe(t->options->folder, &description);
    free(texts);
    return status;
}

static attune_status open_teacher(trainer *t)
{
    attune_status status = attune_teacher_open(&t->teacher, t->settings->teacher, t->data.tracks);
    if (!status && t->run.weights && t->settings->loss == ATTUNE_LOSS_REGRESS) {
        status = attune_teacher_suits(t->teacher, t->run.weights->trainable.network.embedding);
    }
    if (!status) {
        attune_train_say(t->events, "%u of %u tracks have a teacher's embedding",
                         attune_teacher_count(t->teacher), attune_tracks_count(t->data.tracks));
    }
    return status;
}

static attune_status open_trainer(trainer *t)
{
    char last[4096];
    attune_status status = attune_settings_check(t->settings, t->stage);
    status = status ? status : attune_train_device(&t->kernels, &t->ordinal, t->settings->device);
    status = status ? status : attune_make_folder(t->options->folder);
    status = status ? status : attune_run_path(&t->run, last, "last.h5");
    t->resumed = !status && t->options->resume && access(last, F_OK) == 0;
    if (!status && !t->options->resume && access(last, F_OK) == 0) {
        status =
            attune_fail(ATTUNE_ECREATE, "%s: there is a run in it; --resume, or another folder",
                        t->options->folder);
    }
    status = status ? status : attune_stage_data_open(&t->data, t->settings, t->stage, t->events);
    status = status || t->resumed ? status
                                  : attune_start(&t->run.weights, &t->model,
                                                 t->settings); /* before hours of decoding */
    status = status || !t->settings->teacher ? status : open_teacher(t);
    status = status ? status
                    : attune_stage_data_decode(&t->data, t->settings, t->stage, t->options->folder,
                                               t->events);
    t->run.data = t->data.hash;
    t->run.now = (attune_run_progress){.rate = t->settings->rate,
                                       .plateau_best = INFINITY,
                                       .best_score = -INFINITY,
                                       .best_epoch = -1};
    status = status || !t->resumed ? status : attune_run_restore(&t->run);
    if (!status && t->settings->average_from > 0 && !t->run.mean) {
        status = attune_checkpoint_create(&t->run.mean, &t->run.weights->trainable.network, false);
    }
    status = status ? status : open_batches(t);
    status = status ? status : allocate(t);
    status = status || !t->model ? status : unfold(t);
    status = status ? status : open_device(&t->device, t, t->settings->freeze);
    status = status ? status : open_watch(t);
    status = status ? status : describe_run(t);
    attune_run_start(&t->run);
    t->saved = t->epoch_started = attune_run_seconds(&t->run);
    return status || t->resumed ? status : save(t); /* from here on --resume knows the run */
}

static void close_trainer(trainer *t)
{
    if (t->kernels) {
        t->kernels->close(t->device);
    }
    attune_loader_close(t->loader);
    attune_sampler_close(t->sampler);
    attune_teacher_close(t->teacher);
    attune_model_close(t->model);
    attune_checkpoint_close(t->run.mean);
    attune_checkpoint_close(t->run.weights);
    attune_stage_data_close(&t->data);
    free(t->gradients);
    free(t->embedding_gradients);
    free(t->embeddings);
}

/* ---- a step ---- */

/* The rate of the step that comes. */
static double rate_now(const trainer *t)
{
    const attune_settings *s = t->settings;
    const double steps = (double)s->epochs * attune_sampler_steps(t->sampler);
    double rate = t->run.now.rate;
    if (s->schedule == ATTUNE_SCHEDULE_COSINE) {
        rate *= 0.5 * (1 + cos(3.14159265358979323846 * t->run.now.all_steps / steps));
    }
    return t->run.now.all_steps < (double)s->warmup
               ? rate * (t->run.now.all_steps + 1) / (double)s->warmup
               : rate;
}

static attune_status take_step(trainer *t, attune_train_progress *shown)
{
    const attune_settings *s = t->settings;
    attune_checkpoint *state = t->run.weights;
    const size_t count = state->trainable.parameter_count;
    attune_loaded loaded;
    attune_loss_value value;
    attune_status status = attune_loader_next(t->loader, &loaded);
    if (status) {
        return status;
    }
    const bool triplets = t->data.parts[ATTUNE_PART_TRAIN].count > 0;
    const attune_training_batch batch = {
        .clips = loaded.clips,
        .B = loaded.B,
        .samples = t->S,
        .groups = triplets && !s->norm_together ? 3 : 1,
        .seed = attune_random_of((uint64_t)s->seed, (uint64_t)t->run.now.all_steps).state,
    };
    status =
        t->kernels->forward(t->device, t->embeddings, state->statistics, state->parameters, &batch);
    status = status
                 ? status
                 : attune_batch_loss(&value, t->embedding_gradients, t->embeddings, &loaded,
                                     triplets, state->trainable.network.embedding, s, t->teacher);
    status = status ? status
                    : t->kernels->backward(t->device, t->gradients, t->embedding_gradients,
                                           state->parameters, &batch);
    if (status) {
        return status;
    }
    const double norm = attune_gradient_norm(t->gradients, count);
    if (!isfinite(norm) || !isfinite(value.loss)) {
        return attune_fail(ATTUNE_EDATA,
                           "the loss is no longer finite at step %.0f; try a lower --rate",
                           t->run.now.all_steps);
    }
    if (s->clip_norm > 0) {
        attune_gradient_clip(t->gradients, count, norm, s->clip_norm);
    }
    attune_adamw adamw = {.rate = rate_now(t),
                          .weight_decay = s->weight_decay,
                          .steps = (uint64_t)t->run.now.adamw_steps,
                          .moment1 = state->moment1,
                          .moment2 = state->moment2,
                          .count = count};
    const size_t front_end = attune_trainable_front_end(&state->trainable);
    attune_adamw_step(&adamw, state->parameters, t->gradients, s->freeze ? front_end : 0);
    t->run.now.adamw_steps = (double)adamw.steps;
    t->run.now.sum_loss += value.loss * value.counted;
    t->run.now.sum_correct += value.correct;
    t->run.now.sum_counted += value.counted;
    t->epoch_clips += loaded.B;
    *shown = (attune_train_progress){
        .stage = t->stage,
        .epoch = (int64_t)t->run.now.epoch + 1,
        .epochs = s->epochs,
        .step = (int64_t)t->run.now.step + 1,
        .steps = attune_sampler_steps(t->sampler),
        .loss = value.loss,
        .accuracy = value.counted ? value.correct / value.counted : NAN,
        .rate = adamw.rate,
        .clips_per_second =
            (double)t->epoch_clips / (attune_run_seconds(&t->run) - t->epoch_started),
    };
    const double row[] = {value.loss,     shown->accuracy, value.positive,
                          value.negative, shown->rate,     norm};
    return attune_watch_step(t->watch, (int64_t)t->run.now.all_steps + 1, (int)t->run.now.epoch + 1,
                             row);
}

/* ---- an epoch ---- */

static attune_status validate(attune_validation *out, const trainer *t, const attune_checkpoint *of,
                              attune_part part, const attune_train_events *events)
{
    attune_model *model = NULL;
    attune_status status = attune_trainable_fold(&model, &of->trainable, of->parameters,
                                                 of->statistics, "in training");
    status = status ? status : attune_validate(out, model, &t->data, part, t->settings, events);
    attune_model_close(model);
    return status;
}

/* Takes this epoch's weights into the mean. */
static void average(trainer *t)
{
    const double share = 1 / (t->run.now.averaged + 1);
    for (size_t i = 0; i < t->run.weights->trainable.parameter_count; i++) {
        t->run.mean->parameters[i] +=
            (float)(share * ((double)t->run.weights->parameters[i] - t->run.mean->parameters[i]));
    }
    for (size_t i = 0; i < t->run.weights->trainable.statistic_count; i++) {
        t->run.mean->statistics[i] +=
            (float)(share * ((double)t->run.weights->statistics[i] - t->run.mean->statistics[i]));
    }
    t->run.now.averaged++;
}

/* Notes a validation, and writes best.h5 if it is the best. */
static attune_status consider(trainer *t, const attune_checkpoint *candidate, double score)
{
    attune_best best = {.value = t->run.now.best_score,
                        .epoch = (int)t->run.now.best_epoch,
                        .bad = (int)t->run.now.best_bad};
    const bool better = attune_best_step(&best, score, (int)t->run.now.epoch);
    t->run.now.best_score = best.value;
    t->run.now.best_epoch = best.epoch;
    t->run.now.best_bad = best.bad;
    return better ? attune_run_save_best(&t->run, candidate) : ATTUNE_OK;
}

static attune_status note_epoch(trainer *t, const attune_validation *v)
{
    const double counted = t->run.now.sum_counted > 0 ? t->run.now.sum_counted : 1,
                 loss = t->run.now.sum_loss / counted, accuracy = t->run.now.sum_correct / counted;
    const double triplets[] = {loss, accuracy, v->triplets.loss, v->score, t->run.now.rate},
                 labels[] = {loss,
                             accuracy,
                             v->retrieval.all.map,
                             v->retrieval.triplet_accuracy,
                             v->retrieval.all.precision_1,
                             v->median_cosine,
                             t->run.now.rate};
    attune_train_say(t->events,
                     t->data.held ? "epoch %.0f: loss %.4f, held out: MAP %.4f, triplets %.4f, "
                                    "P@1 %.4f, median cosine %.3f"
                                  : "epoch %.0f: loss %.4f, held out: accuracy %.4f, loss %.4f",
                     t->run.now.epoch + 1, loss, v->score,
                     t->data.held ? v->retrieval.triplet_accuracy : v->triplets.loss,
                     v->retrieval.all.precision_1, v->median_cosine);
    return attune_watch_epoch(t->watch, (int64_t)t->run.now.all_steps, (int)t->run.now.epoch + 1,
                              t->data.held ? labels : triplets);
}

static attune_status finish_epoch(trainer *t)
{
    const attune_settings *s = t->settings;
    const attune_train_events silent = {.on_message = NULL}; /* once begun, it is ended */
    attune_validation held, mean;
    attune_status status = validate(&held, t, t->run.weights, ATTUNE_PART_VALIDATION, t->events);
    status = status ? status : note_epoch(t, &held);
    status = status ? status : consider(t, t->run.weights, held.score);
    if (!status && t->run.mean && t->run.now.epoch + 1 >= (double)s->average_from) {
        average(t);
        status = validate(&mean, t, t->run.mean, ATTUNE_PART_VALIDATION, &silent);
        if (!status) {
            attune_train_say(t->events, "epoch %.0f: mean of %.0f epochs' weights: %.4f",
                             t->run.now.epoch + 1, t->run.now.averaged, mean.score);
            const double bad = t->run.now.best_bad; /* an epoch counts once */
            status = consider(t, t->run.mean, mean.score);
            t->run.now.best_bad = t->run.now.best_bad > bad ? bad : t->run.now.best_bad;
        }
    }
    if (!status && s->schedule == ATTUNE_SCHEDULE_PLATEAU) {
        attune_plateau plateau = {.factor = s->factor,
                                  .patience = (int)s->rate_patience,
                                  .best = t->run.now.plateau_best,
                                  .bad = (int)t->run.now.plateau_bad};
        t->run.now.rate *=
            attune_plateau_step(&plateau, t->data.held ? 1 - held.score : held.triplets.loss);
        t->run.now.plateau_best = plateau.best;
        t->run.now.plateau_bad = plateau.bad;
    }
    if (status) {
        return status; /* this epoch has not ended */
    }
    t->run.now.epoch++;
    t->run.now.step = t->run.now.sum_loss = t->run.now.sum_correct = t->run.now.sum_counted = 0;
    t->epoch_clips = 0;
    t->epoch_started = attune_run_seconds(&t->run);
    t->run.now.finished =
        t->run.now.epoch >= (double)s->epochs || t->run.now.best_bad >= (double)s->patience;
    return save(t);
}

/* Asked between epochs, of which the first is always trained. */
static bool is_out_of_time(const trainer *t)
{
    return t->settings->minutes > 0 && t->run.now.epoch > 0 && t->run.now.step == 0 &&
           attune_run_seconds(&t->run) >= 60 * t->settings->minutes;
}

/* One step, and what belongs behind it. */
static attune_status next_step(trainer *t)
{
    attune_train_progress shown;
    attune_status status = take_step(t, &shown);
    if (status) {
        return status;
    }
    t->run.now.step++;
    t->run.now.all_steps++;
    if (t->events->on_step) {
        t->events->on_step(t->events->user, &shown);
    }
    return attune_run_seconds(&t->run) - t->saved >= CHECKPOINT_SECONDS ? save(t) : ATTUNE_OK;
}

/* An epoch ends with the validation; a run that was stopped in it goes on with it. */
static attune_status train_epochs(trainer *t)
{
    attune_status status = ATTUNE_OK;
    while (!status && t->run.now.finished == 0 && !is_out_of_time(t)) {
        const bool whole = (int64_t)t->run.now.step == attune_sampler_steps(t->sampler);
        if (t->events->should_stop && t->events->should_stop(t->events->user)) {
            status = ATTUNE_ESTOPPED;
        } else {
            status = whole ? finish_epoch(t) : next_step(t);
        }
        if (status == ATTUNE_ESTOPPED) {
            status = save(t);
            status = status ? status
                            : attune_fail(ATTUNE_ESTOPPED,
                                          "stopped at epoch %.0f, step %.0f; go on with --resume",
                                          t->run.now.epoch + 1, t->run.now.step);
        }
    }
    if (!status && t->run.now.finished == 0) {
        attune_train_say(t->events,
                         "the time is over after epoch %.0f of %lld, at a rate of %.3g; --resume "
                         "with more --minutes goes on",
                         t->run.now.epoch, (long long)t->settings->epochs, rate_now(t));
    }
    return status;
}

/* The best network on the test triplets. */
static attune_status test(attune_train_result *out, const trainer *t)
{
    char path[4096];
    attune_checkpoint *best = NULL;
    attune_status status = ATTUNE_OK;
    if (t->data.parts[ATTUNE_PART_TEST].count == 0 || t->run.now.best_epoch < 0) {
        return ATTUNE_OK;
    }
    status = attune_run_path(&t->run, path, "best.h5");
    status = status ? status : attune_checkpoint_read(&best, path);
    status = status ? status : validate(&out->test, t, best, ATTUNE_PART_TEST, t->events);
    out->tested = !status;
    attune_checkpoint_close(best);
    return status;
}

attune_status attune_train(attune_train_result *out, const attune_settings *settings,
                           attune_stage stage, const attune_train_options *options,
                           const attune_train_events *events)
{
    trainer t = {.settings = settings,
                 .stage = stage,
                 .options = options,
                 .events = events,
                 .run = {.folder = options->folder, .settings = settings, .stage = stage}};
    *out = (attune_train_result){0};
    t.threads = settings->threads > 0 ? (int)settings->threads : attune_processors();
    attune_status status = open_trainer(&t);
    status = status ? status : train_epochs(&t);
    attune_status closed = attune_watch_close(t.watch);
    status = status ? status : closed;
    status = status ? status : test(out, &t);
    out->epochs = (int64_t)t.run.now.epoch;
    out->best_epoch = (int64_t)t.run.now.best_epoch + 1;
    out->best_score = t.run.now.best_score;
    close_trainer(&t);
    return status;
}
