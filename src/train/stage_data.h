/* stage_data.h - all that a stage trains on and chooses by: tracks, triplets, clips. */
#ifndef ATTUNE_SRC_TRAIN_STAGE_DATA_H
#define ATTUNE_SRC_TRAIN_STAGE_DATA_H

#include "train/cache.h"
#include "train/settings.h"
#include "train/triplets.h"

typedef struct attune_train_progress {
    attune_stage stage;
    int64_t epoch, epochs; /* from 1 */
    int64_t step, steps;   /* done of this epoch */
    double loss, accuracy; /* of this step's batch */
    double rate;
    double clips_per_second; /* so far in this epoch */
} attune_train_progress;

/* What a training says while it works; any may be NULL. */
typedef struct attune_train_events {
    void (*on_message)(void *user, const char *line);
    void (*on_decode)(void *user, const attune_clip_cache_progress *progress);
    void (*on_step)(void *user, const attune_train_progress *progress);
    bool (*should_stop)(void *user); /* asked after every clip decoded, validated, and every step */
    void *user;
} attune_train_events;

/* One line, formatted, to on_message. */
void attune_train_say(const attune_train_events *events, const char *format, ...)
    ATTUNE_PRINTF(2, 3);

/* A list of triplets, those of all files of one part. */
typedef struct attune_triplet_set {
    attune_triplet *triplets;
    uint32_t count;
} attune_triplet_set;

typedef struct attune_stage_data {
    attune_tracks *tracks;
    attune_triplet_set parts[ATTUNE_PART_COUNT]; /* empty in stage unlabelled */
    uint32_t *chosen, *held; /* stage unlabelled: tracks to train on, and to choose by */
    uint32_t chosen_count, held_count;
    attune_clip_cache *cache;
    size_t *samples; /* by track: kept */
    uint64_t hash; /* of ids, triplets and settings of the data: a resumed run must have the same */
} attune_stage_data;

/* Finds and reads; nothing is decoded yet. Of a manifest, those tracks stay that triplets name.
 * Files of the other stage's kind of triplets are passed over. Missing files are ATTUNE_ENOINPUT
 * with a list, unless settings say that they are skipped. Settings that want a label which no track
 * has are ATTUNE_EINVAL. */
attune_status attune_stage_data_open(attune_stage_data *out, const attune_settings *settings,
                                     attune_stage stage, const attune_train_events *events);

/* Opens and closes it without a word, so that mistakes in a later stage show before the first. */
attune_status attune_stage_data_check(const attune_settings *settings, attune_stage stage);

/* Decodes what was found, splits it, and says what there is. Broken files are ATTUNE_EDATA with a
 * list, unless settings say that they are skipped; in stage unlabelled they are skipped, and said.
 */
attune_status attune_stage_data_decode(attune_stage_data *data, const attune_settings *settings,
                                       attune_stage stage, const char *run,
                                       const attune_train_events *events);
void attune_stage_data_close(attune_stage_data *data); /* of {0} too */

#endif
