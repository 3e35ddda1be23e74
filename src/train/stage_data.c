/* stage_data.c - from files named on a command line to clips in memory's reach. */
#include "train/stage_data.h"

#include "model/random.h"
#include "status/error.h"
#include "status/hash.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void attune_train_say(const attune_train_events *events, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    if (events->on_message) {
        va_start(arguments, format);
        vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        events->on_message(events->user, line);
    }
}

/* ---- triplets ---- */

static attune_status append(attune_triplet_set *set, const attune_triplet *triplets, uint32_t count)
{
    attune_triplet *more = realloc(set->triplets, ((size_t)set->count + count + 1) * sizeof(*more));
    if (!more) {
        return attune_fail_memory("triplets", (set->count + count) * sizeof(*more));
    }
    set->triplets = more;
    memcpy(more + set->count, triplets, count * sizeof(*triplets));
    set->count += count;
    return ATTUNE_OK;
}

/* One file into its part, or split into all; `part` is ATTUNE_PART_COUNT then. */
static attune_status read_triplets(attune_stage_data *data, const char *path, attune_stage stage,
                                   attune_part part, bool has_test,
                                   const attune_train_events *events)
{
    attune_triplets read = {0};
    const attune_split_options none = {.held_out = 0}, published = stage == ATTUNE_STAGE_HUMAN
                                                                       ? ATTUNE_SPLIT_HUMAN
                                                                       : ATTUNE_SPLIT_SYNTHETIC;
    attune_status status = attune_triplets_read(&read, data->tracks, path);
    if (!status) {
        status = attune_triplets_split(&read, part == ATTUNE_PART_COUNT ? &published : &none);
    }
    for (int p = 0; !status && p < ATTUNE_PART_COUNT; p++) {
        if (part == ATTUNE_PART_COUNT && p == ATTUNE_PART_TEST && has_test) {
            continue; /* other files are for that */
        }
        attune_triplet_set *set = &data->parts[part == ATTUNE_PART_COUNT ? p : (int)part];
        status = append(set, read.triplets + read.start[p], read.start[p + 1] - read.start[p]);
    }
    if (!status && (read.unlabelled > 0 || read.skipped > 0)) {
        attune_train_say(events, "%s: %u rows not judged, %u left out for missing tracks", path,
                         read.unlabelled, read.skipped);
    }
    attune_triplets_free(&read);
    return status;
}

/* Which files of a list are a stage's, and how many: beside human ones, only those are stage
 * human's. */
static attune_status choose_files(bool out[ATTUNE_LIST_MAX], int *count, const attune_list *list,
                                  attune_stage stage)
{
    bool any = false;
    *count = 0;
    for (int i = 0; i < list->count; i++) {
        attune_status status = attune_triplets_is_human(&out[i], list->items[i]);
        if (status) {
            return status;
        }
        any |= out[i];
    }
    for (int i = 0; i < list->count; i++) {
        out[i] = stage == ATTUNE_STAGE_HUMAN ? out[i] || !any : !out[i];
        *count += out[i];
    }
    return ATTUNE_OK;
}

static attune_status read_all_triplets(attune_stage_data *data, const attune_settings *settings,
                                       attune_stage stage, const attune_train_events *events)
{
    const attune_list *lists[ATTUNE_PART_COUNT] = {
        [ATTUNE_PART_TRAIN] = &settings->triplets,
        [ATTUNE_PART_VALIDATION] = &settings->validation_triplets,
        [ATTUNE_PART_TEST] = &settings->test_triplets,
    };
    bool wanted[ATTUNE_PART_COUNT][ATTUNE_LIST_MAX] = {{false}};
    int counts[ATTUNE_PART_COUNT] = {0};
    attune_status status = ATTUNE_OK;
    for (int p = 0; p < ATTUNE_PART_COUNT && !status; p++) {
        status = choose_files(wanted[p], &counts[p], lists[p], stage);
    }
    const bool is_split = counts[ATTUNE_PART_VALIDATION] == 0; /* those to train on */
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        const attune_part part =
            p == ATTUNE_PART_TRAIN && is_split ? ATTUNE_PART_COUNT : (attune_part)p;
        for (int i = 0; !status && i < lists[p]->count; i++) {
            if (wanted[p][i]) {
                status = read_triplets(data, lists[p]->items[i], stage, part,
                                       counts[ATTUNE_PART_TEST] > 0, events);
            } else if (p != ATTUNE_PART_TRAIN) {
                attune_train_say(events, "%s: left out of stage %s: its triplets are %s",
                                 lists[p]->items[i], attune_stage_name(stage),
                                 stage == ATTUNE_STAGE_HUMAN ? "not of people" : "people's");
            }
        }
    }
    return status;
}

/* ---- tracks without triplets ---- */

/* Which part of the data a track belongs to: the manifest's word for it, or chance. */
static attune_part part_of(const attune_stage_data *data, const attune_settings *settings,
                           uint32_t track)
{
    const int32_t split = attune_tracks_entries(data->tracks)[track].label[ATTUNE_LABEL_SPLIT];
    if (split < 0) {
        attune_random random = attune_random_of((uint64_t)settings->seed + 1, track);
        return attune_random_uniform(&random) < settings->held_out ? ATTUNE_PART_VALIDATION
                                                                   : ATTUNE_PART_TRAIN;
    }
    const char *name = attune_tracks_label_name(data->tracks, ATTUNE_LABEL_SPLIT, split);
    return strncmp(name, "train", 5) == 0 ? ATTUNE_PART_TRAIN
           : strncmp(name, "val", 3) == 0 ? ATTUNE_PART_VALIDATION
                                          : ATTUNE_PART_TEST;
}

static attune_status choose_tracks(attune_stage_data *data, const attune_settings *settings,
                                   const attune_train_events *events)
{
    const uint32_t count = attune_tracks_count(data->tracks);
    uint32_t failed = 0;
    data->chosen = calloc((size_t)count + 1, sizeof(*data->chosen));
    data->held = calloc((size_t)count + 1, sizeof(*data->held));
    if (!data->chosen || !data->held) {
        return attune_fail_memory("a list of tracks", count * sizeof(*data->chosen));
    }
    for (uint32_t i = 0; i < count; i++) {
        const attune_part part = part_of(data, settings, i);
        if (data->samples[i] == 0) {
            failed++;
        } else if (part == ATTUNE_PART_TRAIN) {
            data->chosen[data->chosen_count++] = i;
        } else if (part == ATTUNE_PART_VALIDATION) {
            data->held[data->held_count++] = i;
        }
    }
    attune_train_say(events,
                     "%u tracks to train on, %u to choose by, %u left for a test, %u broken and "
                     "left out",
                     data->chosen_count, data->held_count,
                     count - data->chosen_count - data->held_count - failed, failed);
    return data->held_count >= 2
               ? ATTUNE_OK
               : attune_fail(ATTUNE_EDATA,
                             "%s: %u tracks to choose by are too few; give more tracks, a larger "
                             "--held-out, or a manifest whose split says train and val",
                             settings->audio, data->held_count);
}

/* ---- clips ---- */

typedef struct decoding {
    const attune_stage_data *data;
    const attune_train_events *events;
    size_t failed;
    char list[600];
} decoding;

static void on_track(void *user, size_t track, attune_track_status status, const char *error)
{
    decoding *d = user;
    const char *id = attune_tracks_entries(d->data->tracks)[track].id;
    if (!attune_track_has_embedding(status)) {
        const size_t used = strlen(d->list);
        if (d->failed++ < 10) {
            snprintf(d->list + used, sizeof(d->list) - used, "%s%s", used ? ", " : "", id);
        }
        attune_train_say(d->events, "%s: %s", id, error);
    }
}

static bool on_progress(void *user, const attune_clip_cache_progress *progress)
{
    const decoding *d = user;
    if (d->events->on_decode) {
        d->events->on_decode(d->events->user, progress);
    }
    return d->events->should_stop && d->events->should_stop(d->events->user);
}

static attune_status open_cache(attune_stage_data *data, const attune_settings *settings,
                                attune_stage stage, const char *run,
                                const attune_train_events *events)
{
    const uint32_t count = attune_tracks_count(data->tracks);
    decoding d = {.data = data, .events = events};
    char path[4096];
    attune_clip_cache_options options;
    attune_clip_cache_options_default(&options);
    options.clip_seconds = settings->keep_seconds;
    options.threads = (int)settings->threads;
    options.on_track = on_track;
    options.on_progress = on_progress;
    options.user = &d;
    snprintf(path, sizeof(path), "%s/clips.h5", run);
    attune_status status =
        attune_clip_cache_open(&data->cache, settings->cache ? settings->cache : path,
                               attune_tracks_places(data->tracks), count, &options);
    if (status) {
        return status;
    }
    data->samples = calloc((size_t)count + 1, sizeof(*data->samples));
    if (!data->samples) {
        return attune_fail_memory("the clips' lengths", count * sizeof(*data->samples));
    }
    for (uint32_t i = 0; i < count; i++) {
        data->samples[i] = attune_clip_cache_samples(data->cache, i);
    }
    if (d.failed > 0 && stage != ATTUNE_STAGE_UNLABELLED && !settings->skip_missing) {
        return attune_fail(ATTUNE_EDATA,
                           "%zu tracks cannot be decoded: %s%s; mend them, or --skip-missing",
                           d.failed, d.list, d.failed > 10 ? ", ..." : "");
    }
    return ATTUNE_OK;
}

/* Leaves out triplets of tracks that gave no clip. */
static void drop_broken(attune_stage_data *data, const attune_train_events *events)
{
    uint32_t dropped = 0;
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        attune_triplet_set *set = &data->parts[p];
        uint32_t kept = 0;
        for (uint32_t i = 0; i < set->count; i++) {
            const attune_triplet *t = &set->triplets[i];
            if (data->samples[t->anchor] && data->samples[t->positive] &&
                data->samples[t->negative]) {
                set->triplets[kept++] = *t;
            }
        }
        dropped += set->count - kept;
        set->count = kept;
    }
    if (dropped > 0) {
        attune_train_say(events, "%u triplets left out for broken tracks", dropped);
    }
}

static attune_status check_triplets(const attune_stage_data *data, attune_stage stage)
{
    if (data->parts[ATTUNE_PART_TRAIN].count == 0 ||
        data->parts[ATTUNE_PART_VALIDATION].count == 0) {
        return attune_fail(ATTUNE_EDATA,
                           "stage %s: %u triplets to train on and %u to choose by are too few",
                           attune_stage_name(stage), data->parts[ATTUNE_PART_TRAIN].count,
                           data->parts[ATTUNE_PART_VALIDATION].count);
    }
    return ATTUNE_OK;
}

/* Of what the batches depend on. */
static uint64_t hash_data(const attune_stage_data *data)
{
    const uint32_t count = attune_tracks_count(data->tracks);
    const attune_tracks_entry *tracks = attune_tracks_entries(data->tracks);
    uint64_t hash = ATTUNE_HASH_BEGIN;
    for (uint32_t i = 0; i < count; i++) {
        hash = attune_hash(hash, tracks[i].id, strlen(tracks[i].id) + 1);
        hash = attune_hash(hash, tracks[i].label, sizeof(tracks[i].label));
    }
    hash = attune_hash(hash, data->samples, count * sizeof(*data->samples));
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        hash = attune_hash(hash, data->parts[p].triplets,
                           data->parts[p].count * sizeof(attune_triplet));
    }
    hash = attune_hash(hash, data->chosen, data->chosen_count * sizeof(*data->chosen));
    return attune_hash(hash, data->held, data->held_count * sizeof(*data->held));
}

static void mark_named(bool *wanted, const attune_triplet_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const attune_triplet *t = &set->triplets[i];
        wanted[t->anchor] = wanted[t->positive] = wanted[t->negative] = true;
    }
}

static void renumber(attune_triplet_set *set, const uint32_t *number)
{
    for (uint32_t i = 0; i < set->count; i++) {
        attune_triplet *t = &set->triplets[i];
        t->anchor = number[t->anchor];
        t->positive = number[t->positive];
        t->negative = number[t->negative];
    }
}

/* Of a manifest's tracks, those that triplets name. */
static attune_status keep_named(attune_stage_data *data)
{
    const uint32_t count = attune_tracks_count(data->tracks);
    bool *wanted = calloc((size_t)count + 1, sizeof(*wanted));
    uint32_t *number = calloc((size_t)count + 1, sizeof(*number));
    attune_status status =
        wanted && number ? ATTUNE_OK : attune_fail_memory("tracks", count * sizeof(*number));
    if (!status) {
        for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
            mark_named(wanted, &data->parts[p]);
        }
        attune_tracks_keep(data->tracks, wanted, number);
        for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
            renumber(&data->parts[p], number);
        }
    }
    free(number);
    free(wanted);
    return status;
}

/* The labels that settings name are some track's. */
static attune_status check_labels(const attune_stage_data *data, const attune_settings *settings)
{
    const struct {
        const char *name;
        int64_t label; /* 0: the track itself, or none */
    } named[] = {{"label", settings->label},
                 {"spare", settings->spare},
                 {"mix-label", settings->mix > 0 ? settings->mix_label : 0},
                 {"choose-by", settings->choose_by}};
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        const int64_t label = named[i].label;
        if (label > 0 && attune_tracks_label_count(data->tracks, (attune_label)label) == 0) {
            const char *column = attune_label_column((attune_label)label);
            return attune_fail(ATTUNE_EINVAL,
                               "%s: no track has a%s %s; give a manifest that has it as a column",
                               named[i].name, strchr("aeiou", column[0]) ? "n" : "", column);
        }
    }
    return ATTUNE_OK;
}

attune_status attune_stage_data_open(attune_stage_data *out, const attune_settings *settings,
                                     attune_stage stage, const attune_train_events *events)
{
    const bool unlabelled = stage == ATTUNE_STAGE_UNLABELLED;
    *out = (attune_stage_data){0};
    attune_status status = attune_tracks_open(&out->tracks, settings->audio);
    if (!status && settings->manifest) {
        status = attune_tracks_add_manifest(out->tracks, settings->manifest);
    } else if (!status && unlabelled) {
        status = attune_tracks_add_all(out->tracks);
    }
    if (!status && !unlabelled) {
        attune_tracks_forget_missing(out->tracks);
        status = read_all_triplets(out, settings, stage, events);
        status = status ? status : keep_named(out);
    }
    status = status ? status : check_labels(out, settings);
    if (!status && attune_tracks_missing(out->tracks) > 0 && settings->skip_missing) {
        attune_train_say(events, "%u tracks are missing and left out",
                         attune_tracks_missing(out->tracks));
    } else if (!status) {
        status = attune_tracks_check(out->tracks);
    }
    return status || unlabelled ? status : check_triplets(out, stage);
}

attune_status attune_stage_data_check(const attune_settings *settings, attune_stage stage)
{
    static const attune_train_events silent = {0};
    attune_stage_data data = {0};
    attune_status status = attune_settings_check(settings, stage);
    status = status ? status : attune_stage_data_open(&data, settings, stage, &silent);
    attune_stage_data_close(&data);
    return status;
}

attune_status attune_stage_data_decode(attune_stage_data *data, const attune_settings *settings,
                                       attune_stage stage, const char *run,
                                       const attune_train_events *events)
{
    attune_status status = open_cache(data, settings, stage, run, events);
    if (!status && stage == ATTUNE_STAGE_UNLABELLED) {
        status = choose_tracks(data, settings, events);
    } else if (!status) {
        drop_broken(data, events);
        status = check_triplets(data, stage);
        attune_train_say(events, "%u triplets to train on, %u to choose by, %u to test with",
                         data->parts[ATTUNE_PART_TRAIN].count,
                         data->parts[ATTUNE_PART_VALIDATION].count,
                         data->parts[ATTUNE_PART_TEST].count);
    }
    if (!status) {
        data->hash = hash_data(data);
    }
    return status;
}

void attune_stage_data_close(attune_stage_data *data)
{
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        free(data->parts[p].triplets);
    }
    free(data->chosen);
    free(data->held);
    free(data->samples);
    attune_clip_cache_close(data->cache);
    attune_tracks_close(data->tracks);
    *data = (attune_stage_data){0};
}
