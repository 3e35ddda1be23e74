/* settings.h - everything that can be said about a training, in one table: the command line, the
 * configuration file, --help, run.json and the checkpoint's record all walk it.
 *
 * What nobody sets has a default that depends on the stage. */
#ifndef ATTUNE_SRC_TRAIN_SETTINGS_H
#define ATTUNE_SRC_TRAIN_SETTINGS_H

#include "attune/model.h"
#include "attune/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum attune_stage {
    ATTUNE_STAGE_SYNTHETIC,  /* many triplets; the paper's first */
    ATTUNE_STAGE_HUMAN,      /* a few that people have judged; its second */
    ATTUNE_STAGE_UNLABELLED, /* no triplets: parts of a track against other tracks' */
    ATTUNE_STAGE_COUNT
} attune_stage;

typedef enum attune_loss_kind {
    ATTUNE_LOSS_TRIPLET,
    ATTUNE_LOSS_HARD,
    ATTUNE_LOSS_SEMIHARD,
    ATTUNE_LOSS_CONTRAST,
    ATTUNE_LOSS_REGRESS
} attune_loss_kind;

typedef enum attune_schedule { ATTUNE_SCHEDULE_PLATEAU, ATTUNE_SCHEDULE_COSINE } attune_schedule;

enum { ATTUNE_LIST_MAX = 16, ATTUNE_SETTINGS_MAX = 96 };

typedef struct attune_list {
    const char *items[ATTUNE_LIST_MAX];
    int count;
} attune_list;

/* Texts are borrowed from whoever set them. */
typedef struct attune_settings {
    /* data */
    const char *audio, *manifest, *cache;
    attune_list triplets, validation_triplets, test_triplets;
    bool skip_missing;
    double seconds, keep_seconds;
    bool random_crop;
    double held_out;
    /* network */
    int64_t architecture, frame, hidden, layers, pooling, embedding;
    double dropout;
    bool half_hop;
    const char *from;
    bool freeze;
    /* loss */
    int64_t loss;
    double margin, temperature;
    int64_t views, label, spare;
    double mix;
    int64_t mix_label, choose_by;
    const char *teacher;
    double teacher_weight;
    int64_t norm_together;
    /* augmentation */
    double gain, equaliser, noise, speed, tempo, codec;
    /* optimiser */
    int64_t epochs, batch;
    double rate, weight_decay, clip_norm;
    int64_t schedule, warmup;
    double factor;
    int64_t rate_patience, patience, average_from;
    double minutes;
    int64_t seed;
    /* machine */
    const char *device;
    int64_t threads;
    bool plots;

    bool set[ATTUNE_SETTINGS_MAX]; /* those that were given */
} attune_settings;

typedef enum attune_setting_kind {
    ATTUNE_SETTING_TEXT,
    ATTUNE_SETTING_LIST,
    ATTUNE_SETTING_INTEGER,
    ATTUNE_SETTING_REAL,
    ATTUNE_SETTING_SWITCH,
    ATTUNE_SETTING_CHOICE, /* int64_t: which of `choices` */
} attune_setting_kind;

typedef struct attune_setting {
    const char *name; /* of the option, without --, and in a configuration file */
    attune_setting_kind kind;
    size_t offset;       /* in attune_settings */
    double low, high;    /* of numbers */
    const char *choices; /* "tiny|gru" */
    /* As text, by stage; the others are NULL where they are the first's. "": none. */
    const char *defaults[ATTUNE_STAGE_COUNT];
    const char *value; /* "FILE", in the help */
    const char *help;  /* one line; a heading begins with '#', and has no name */
} attune_setting;

/* The table. A row without a name is a heading of the help. */
extern const attune_setting attune_settings_table[];
extern const int attune_settings_count;

/* A setting's place in the table by its name, or -1. */
int attune_settings_find(const char *name);

/* Sets one by name from text, which may not be empty. A list takes one more item each time.
 * ATTUNE_EINVAL for a name that is not there or a value that is not right: "batch: 0 is not a whole
 * number from 1 to 4096". */
attune_status attune_settings_set(attune_settings *settings, const char *name, const char *text);

/* Reads a configuration file: the subset of TOML that consists of `name = value` lines, comments,
 * strings, numbers, booleans and arrays of strings. What stands under [synthetic], [human] or
 * [unlabelled] counts for that stage alone. Settings given before stay. The texts live in *text,
 * to be freed after the settings. ATTUNE_EDATA with file and line. */
attune_status attune_settings_read(attune_settings settings[ATTUNE_STAGE_COUNT], char **text,
                                   const char *path);

/* Whether one was given, by name. */
bool attune_settings_given(const attune_settings *settings, const char *name);

/* Fills in what was not given. */
void attune_settings_complete(attune_settings *settings, attune_stage stage);

/* Whether completed settings make sense together, and for the stage: ATTUNE_EINVAL, or
 * ATTUNE_ECONFIG, naming the one that does not, or that would do nothing. */
attune_status attune_settings_check(const attune_settings *settings, attune_stage stage);

/* A value as text, into `out`; "" for a text that is not there. */
void attune_settings_text(char *out, size_t capacity, const attune_settings *settings, int index);

/* The shape that the settings describe. */
void attune_settings_network(attune_network *out, const attune_settings *settings);

const char *attune_stage_name(attune_stage stage); /* "synthetic" */

#endif
