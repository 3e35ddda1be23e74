/* settings.c - the table of settings, and reading them from options and files. */
#include "train/settings.h"

#include "model/parameters.h"
#include "status/error.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(attune_settings, field)
#define HEADING(text)                                                                              \
    {                                                                                              \
        .help = "# " text                                                                          \
    }
#define TEXT(n, field, v, h)                                                                       \
    {                                                                                              \
        .name = n, .kind = ATTUNE_SETTING_TEXT, .offset = AT(field), .value = v, .help = h         \
    }
#define NAMED(n, field, v, d, h)                                                                   \
    {                                                                                              \
        .name = n, .kind = ATTUNE_SETTING_TEXT, .offset = AT(field), .defaults = d, .value = v,    \
        .help = h                                                                                  \
    }
#define LIST(n, field, v, h)                                                                       \
    {                                                                                              \
        .name = n, .kind = ATTUNE_SETTING_LIST, .offset = AT(field), .value = v, .help = h         \
    }
#define SWITCH(n, field, d, h)                                                                     \
    {                                                                                              \
        .name = n, .kind = ATTUNE_SETTING_SWITCH, .offset = AT(field), .defaults = d, .help = h    \
    }
#define CHOICE(n, field, c, d, h)                                                                  \
    {                                                                                              \
        .name = n, .kind = ATTUNE_SETTING_CHOICE, .offset = AT(field), .choices = c,               \
        .defaults = d, .help = h                                                                   \
    }
#define INTEGER(n, field, l, m, d, h)                                                              \
    {                                                                                              \
        .name = n, .kind = ATTUNE_SETTING_INTEGER, .offset = AT(field), .low = l, .high = m,       \
        .defaults = d, .value = "N", .help = h                                                     \
    }
#define REAL(n, field, l, m, d, h)                                                                 \
    {                                                                                              \
        .name = n, .kind = ATTUNE_SETTING_REAL, .offset = AT(field), .low = l, .high = m,          \
        .defaults = d, .value = "X", .help = h                                                     \
    }
#define D(...)                                                                                     \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

#define LABELS "track|group|artist|album|genre"

const attune_setting attune_settings_table[] = {
    HEADING("Data"),
    TEXT("audio", audio, "DIR", "where the audio is; FMA's 123/123456.mp3 or any tree"),
    LIST("triplets", triplets, "FILE",
         "triplets: as published (synthetic, human), or anchor,positive,negative; may be repeated"),
    LIST("validation-triplets", validation_triplets, "FILE",
         "triplets to choose by; then nothing is split off the others"),
    LIST("test-triplets", test_triplets, "FILE", "triplets to test the best with at the end"),
    TEXT("manifest", manifest, "FILE",
         "a CSV with id or path, and any of split, group, artist, album, genre"),
    SWITCH("skip-missing", skip_missing, D("no"), "leave out what has no file, and say how many"),
    REAL("seconds", seconds, 0.1, 600, D("15", "29", "6"), "length of a clip"),
    REAL("keep-seconds", keep_seconds, 0, 3600, D("0", "0", "120"),
         "of each track to decode and keep; 0: as long as a clip"),
    SWITCH("random-crop", random_crop, D("no", "no", "yes"),
           "a clip from anywhere in what is kept, not its start"),
    REAL("held-out", held_out, 0, 0.9, D("0.1"),
         "of the tracks to choose by, where no manifest says which; not for triplets"),
    CHOICE("choose-by", choose_by, LABELS, D("track"),
           "what belongs together among them: halves of a track, or tracks of a label"),
    TEXT("cache", cache, "FILE", "where decoded clips are kept; RUN/clips.h5"),

    HEADING("Network"),
    CHOICE("network", architecture, "tiny|gru", D("tiny"), "AudioEmbeddingTiny or ...GRU"),
    INTEGER("frame", frame, 256, 16384, D("2048"), "samples in a frame; a multiple of 256"),
    SWITCH("half-hop", half_hop, D("no"), "frames begin every half frame"),
    INTEGER("hidden", hidden, 16, 1024, D("128"), "GRU width; a multiple of 16"),
    INTEGER("layers", layers, 1, 8, D("2"), "GRU layers"),
    CHOICE("pooling", pooling, "attention|mean|last", D("attention"), "of the GRU's states"),
    INTEGER("embedding", embedding, 1, 1024, D("32"), "components of the embedding"),
    REAL("dropout", dropout, 0, 0.95, D("0.1"), "between GRU layers, and in the projection"),
    TEXT("from", from, "FILE",
         "begin with the network of a checkpoint or of a model (.onnx), or with the built-in "
         "model (the word default), instead of a random one"),
    SWITCH("freeze", freeze, D("no"), "leave the front end as it is"),

    HEADING("Loss"),
    CHOICE("loss", loss, "triplet|hard|semihard|contrast|regress", D("triplet", NULL, "contrast"),
           "triplets as given, mined from the batch's labels, InfoNCE, or a teacher's own numbers"),
    REAL("margin", margin, 0, 10, D("0.2"), "of the triplet losses"),
    REAL("temperature", temperature, 0.001, 10, D("0.1"), "of InfoNCE"),
    INTEGER("views", views, 1, 64, D("2"), "clips of each track in a batch, for losses by label"),
    CHOICE("label", label, LABELS, D("track"), "what makes two clips alike"),
    CHOICE("spare", spare, "none|group|artist|album|genre", D("none"),
           "other tracks of the same of these are not pushed away (InfoNCE)"),
    REAL("mix", mix, 0, 1, D("0"), "weight of a second label's loss; the first has 1 less that"),
    CHOICE("mix-label", mix_label, LABELS, D("group"), "the second label"),
    TEXT("teacher", teacher, "EMBEDDINGS",
         "what attune eval reads (.h5, .npy, .csv), whose distances are to be learnt"),
    REAL("teacher-weight", teacher_weight, 0, 1000, D("1"), "beside the loss"),
    CHOICE("norm", norm_together, "apart|together", D("apart", NULL, "together"),
           "anchors, positives and negatives are normalised each by their own statistics, as "
           "published, or together"),

    HEADING("Augmentation: the most that a clip is changed; 0: not"),
    REAL("gain", gain, 0, 40, D("0", NULL, "6"), "dB up or down"),
    REAL("equaliser", equaliser, 0, 24, D("0", NULL, "6"), "dB up or down in each of four bands"),
    REAL("noise", noise, 0, 90, D("0"), "dB that white or pink noise stays below the music"),
    REAL("speed", speed, 0, 0.5, D("0"), "share by which it is faster and higher, or the reverse"),
    REAL("tempo", tempo, 0, 0.5, D("0"), "share by which it is faster or slower at its pitch"),
    REAL("codec", codec, 0, 1, D("0"),
         "share of the clips that pass through MP3 or AAC of 24 to 96 kbit/s"),

    HEADING("Optimiser: AdamW"),
    INTEGER("epochs", epochs, 1, 100000, D("50", "20", "100"), "at most"),
    REAL("minutes", minutes, 0, 1e6, D("0"),
         "stop after so long in all its starts, at an epoch's end; 0: do not"),
    INTEGER("batch", batch, 1, 4096, D("12", "4", "48"), "triplets, or tracks, of a step"),
    REAL("rate", rate, 1e-9, 10, D("1e-3", "1e-4", "2e-3"), "learning rate"),
    REAL("weight-decay", weight_decay, 0, 10, D("1e-4"), "times the rate, off each parameter"),
    REAL("clip-norm", clip_norm, 0, 1e9, D("1"), "longest gradient; 0: any"),
    CHOICE("schedule", schedule, "plateau|cosine", D("plateau", NULL, "cosine"),
           "lower the rate when validation stops getting better, or along a cosine to 0"),
    INTEGER("warmup", warmup, 0, 1000000, D("0", NULL, "50"), "steps over which the rate rises"),
    REAL("factor", factor, 0.01, 0.99, D("0.5"), "of the rate at a plateau"),
    INTEGER("rate-patience", rate_patience, 0, 100000, D("5"), "epochs of a plateau"),
    INTEGER("patience", patience, 1, 100000, D("10", NULL, "100"),
            "epochs without a better validation before the end"),
    INTEGER("average-from", average_from, 0, 100000, D("0"),
            "also try the mean of the weights after each epoch from this on; 0: do not"),
    INTEGER("seed", seed, 0, 4294967295, D("42"), "of everything random"),

    HEADING("Machine"),
    NAMED("device", device, "DEVICE", D("cpu"), "what trains: cpu, cuda or cuda:N"),
    INTEGER("threads", threads, 0, 1024, D("0"), "0: one per processor"),
    SWITCH("plots", plots, D("yes"), "draw curves with gnuplot"),
};
const int attune_settings_count =
    (int)(sizeof(attune_settings_table) / sizeof(attune_settings_table[0]));
static_assert(sizeof(attune_settings_table) / sizeof(attune_settings_table[0]) <=
                  ATTUNE_SETTINGS_MAX,
              "settings.set has room for all");

const char *attune_stage_name(attune_stage stage)
{
    static const char *const names[] = {"synthetic", "human", "unlabelled"};
    return names[stage];
}

/* ---- one value ---- */

int attune_settings_find(const char *name)
{
    for (int i = 0; i < attune_settings_count; i++) {
        const char *own = attune_settings_table[i].name;
        if (own && strcmp(own, name) == 0) {
            return i;
        }
    }
    return -1;
}

static attune_status set_number(void *field, const attune_setting *setting, const char *text)
{
    const bool whole = setting->kind == ATTUNE_SETTING_INTEGER;
    char *end = NULL;
    errno = 0;
    const double real = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || errno != 0 || !(real >= setting->low) ||
        !(real <= setting->high) || (whole && real != floor(real))) {
        return attune_fail(ATTUNE_EINVAL, "%s: '%s' is not a %snumber from %g to %.10g",
                           setting->name, text, whole ? "whole " : "", setting->low, setting->high);
    }
    if (whole) {
        *(int64_t *)field = (int64_t)real;
    } else {
        *(double *)field = real;
    }
    return ATTUNE_OK;
}

static attune_status set_switch(bool *field, const attune_setting *setting, const char *text)
{
    *field = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0;
    if (!*field && strcmp(text, "no") != 0 && strcmp(text, "false") != 0) {
        return attune_fail(ATTUNE_EINVAL, "%s: '%s' is neither yes nor no", setting->name, text);
    }
    return ATTUNE_OK;
}

static attune_status set_choice(int64_t *field, const attune_setting *setting, const char *text)
{
    const size_t length = strlen(text);
    int64_t index = 0;
    for (const char *at = setting->choices; *at; index++) {
        const size_t own = strcspn(at, "|");
        if (own == length && strncmp(at, text, own) == 0) {
            *field = index;
            return ATTUNE_OK;
        }
        at += own + (at[own] == '|');
    }
    return attune_fail(ATTUNE_EINVAL, "%s: '%s' is none of %s", setting->name, text,
                       setting->choices);
}

static attune_status set_value(attune_settings *settings, int index, const char *text)
{
    const attune_setting *setting = &attune_settings_table[index];
    void *field = (char *)settings + setting->offset;
    attune_list *list = field;
    if (!*text) {
        return attune_fail(ATTUNE_EINVAL, "%s: there is no value", setting->name);
    }
    switch (setting->kind) {
    case ATTUNE_SETTING_INTEGER:
    case ATTUNE_SETTING_REAL:
        return set_number(field, setting, text);
    case ATTUNE_SETTING_SWITCH:
        return set_switch(field, setting, text);
    case ATTUNE_SETTING_CHOICE:
        return set_choice(field, setting, text);
    case ATTUNE_SETTING_TEXT:
        *(const char **)field = text;
        return ATTUNE_OK;
    default:
        if (list->count == ATTUNE_LIST_MAX) {
            return attune_fail(ATTUNE_EINVAL, "%s: more than %d", setting->name, ATTUNE_LIST_MAX);
        }
        list->items[list->count++] = text;
        return ATTUNE_OK;
    }
}

attune_status attune_settings_set(attune_settings *settings, const char *name, const char *text)
{
    const int index = attune_settings_find(name);
    if (index < 0) {
        return attune_fail(ATTUNE_EINVAL, "%s: there is no such setting", name);
    }
    attune_status status = set_value(settings, index, text);
    settings->set[index] = settings->set[index] || status == ATTUNE_OK;
    return status;
}

bool attune_settings_given(const attune_settings *settings, const char *name)
{
    const int index = attune_settings_find(name);
    return index >= 0 && settings->set[index];
}

void attune_settings_complete(attune_settings *settings, attune_stage stage)
{
    for (int i = 0; i < attune_settings_count; i++) {
        const attune_setting *setting = &attune_settings_table[i];
        const char *text =
            setting->defaults[stage] ? setting->defaults[stage] : setting->defaults[0];
        if (setting->name && !settings->set[i] && text) {
            attune_status status = set_value(settings, i, text);
            assert(status == ATTUNE_OK);
            (void)status;
        }
    }
    if (!attune_settings_given(settings, "keep-seconds") &&
        settings->keep_seconds < settings->seconds) {
        /* what the fastest clip is made of, and a little for the windows of tempo */
        settings->keep_seconds = settings->seconds * (1 + settings->speed) * (1 + settings->tempo) +
                                 (settings->tempo > 0 ? 0.2 : 0);
    }
}

/* The first of the names that was given; NULL if none was. */
static const char *first_given(const attune_settings *settings, const char *const *names)
{
    while (*names && !attune_settings_given(settings, *names)) {
        names++;
    }
    return *names;
}

static attune_status check_regression(const attune_settings *s)
{
    static const char *const useless[] = {
        "label", "mix", "mix-label", "margin", "temperature", "teacher-weight", NULL};
    const char *name = first_given(s, useless);
    if (name) {
        return attune_fail(ATTUNE_EINVAL, "%s: is of no use with the loss regress", name);
    }
    return s->teacher ? ATTUNE_OK : attune_fail(ATTUNE_EINVAL, "loss: regress wants a teacher");
}

static attune_status check_labels(const attune_settings *s)
{
    static const char *const useless[] = {"norm", "validation-triplets", "test-triplets", NULL};
    const char *name = first_given(s, useless);
    if (name) {
        return attune_fail(ATTUNE_EINVAL, "%s: is of no use without triplets", name);
    }
    if (s->loss == ATTUNE_LOSS_TRIPLET) {
        return attune_fail(ATTUNE_EINVAL, "loss: triplet wants triplets");
    }
    if (s->spare && s->loss != ATTUNE_LOSS_CONTRAST) {
        return attune_fail(ATTUNE_EINVAL, "spare: is of no use but with the loss contrast");
    }
    if (s->loss == ATTUNE_LOSS_REGRESS) {
        return check_regression(s);
    }
    if (s->batch < 2 || (s->views < 2 && s->label == 0)) {
        return attune_fail(ATTUNE_EINVAL, "%s: 1 leaves nothing to be %s",
                           s->batch < 2 ? "batch" : "views", s->batch < 2 ? "told apart" : "alike");
    }
    if (!s->random_crop && s->label == 0) {
        return attune_fail(ATTUNE_EINVAL,
                           "random-crop: without it the views of a track are all the same");
    }
    return ATTUNE_OK;
}

attune_status attune_settings_check(const attune_settings *s, attune_stage stage)
{
    static const char *const of_labels[] = {"label",     "views",     "mix",
                                            "mix-label", "spare",     "temperature",
                                            "held-out",  "choose-by", NULL};
    const char *name = stage == ATTUNE_STAGE_UNLABELLED ? NULL : first_given(s, of_labels);
    attune_network network;
    attune_status status = ATTUNE_OK;
    if (name) {
        return attune_fail(ATTUNE_EINVAL, "%s: is of no use with triplets", name);
    }
    if (stage != ATTUNE_STAGE_UNLABELLED && s->loss != ATTUNE_LOSS_TRIPLET) {
        return attune_fail(ATTUNE_EINVAL, "loss: triplets that are given have the loss triplet");
    }
    status = stage == ATTUNE_STAGE_UNLABELLED ? check_labels(s) : ATTUNE_OK;
    if (!status && s->freeze && !s->from) {
        return attune_fail(ATTUNE_EINVAL, "freeze: wants a front end to begin with, by from");
    }
    if (!status && attune_settings_given(s, "teacher-weight") && !s->teacher) {
        return attune_fail(ATTUNE_EINVAL, "teacher-weight: is of no use without a teacher");
    }
    if (!status && s->keep_seconds < s->seconds) {
        return attune_fail(ATTUNE_EINVAL, "keep-seconds: %g is less than a clip's %g",
                           s->keep_seconds, s->seconds);
    }
    if (!status && s->random_crop &&
        s->keep_seconds <= s->seconds * (1 + s->speed) * (1 + s->tempo)) {
        return attune_fail(ATTUNE_EINVAL,
                           "random-crop: leaves no choice where keep-seconds is a clip's length");
    }
    attune_settings_network(&network, s);
    if (!status && !s->from && s->seconds * network.sample_rate < network.frame_size) {
        return attune_fail(ATTUNE_EINVAL, "seconds: %g are less than a frame", s->seconds);
    }
    return status ? status : attune_network_check(&network);
}

void attune_settings_text(char *out, size_t capacity, const attune_settings *settings, int index)
{
    const attune_setting *setting = &attune_settings_table[index];
    const void *field = (const char *)settings + setting->offset;
    const attune_list *list = field;
    const char *text = NULL;
    size_t used = 0;
    out[0] = '\0';
    switch (setting->kind) {
    case ATTUNE_SETTING_INTEGER:
        snprintf(out, capacity, "%lld", (long long)*(const int64_t *)field);
        return;
    case ATTUNE_SETTING_REAL:
        snprintf(out, capacity, "%.10g", *(const double *)field);
        return;
    case ATTUNE_SETTING_SWITCH:
        snprintf(out, capacity, "%s", *(const bool *)field ? "yes" : "no");
        return;
    case ATTUNE_SETTING_CHOICE:
        text = setting->choices;
        for (int64_t i = *(const int64_t *)field; i > 0; i--) {
            text += strcspn(text, "|") + 1;
        }
        snprintf(out, capacity, "%.*s", (int)strcspn(text, "|"), text);
        return;
    case ATTUNE_SETTING_TEXT:
        text = *(const char *const *)field;
        snprintf(out, capacity, "%s", text ? text : "");
        return;
    default:
        for (int i = 0; i < list->count && used < capacity; i++) {
            used += (size_t)snprintf(out + used, capacity - used, "%s%s", i ? ", " : "",
                                     list->items[i]);
        }
    }
}

void attune_settings_network(attune_network *out, const attune_settings *s)
{
    const bool tiny = s->architecture == ATTUNE_ARCHITECTURE_TINY;
    *out = (attune_network){
        .architecture = (attune_architecture)s->architecture,
        .pooling = (attune_pooling)s->pooling,
        .sample_rate = 22050,
        .frame_size = (int)s->frame,
        .hop_size = (int)(s->half_hop ? s->frame / 2 : s->frame),
        .features = tiny ? 64 : 128,
        .hidden = (int)s->hidden,
        .layers = (int)s->layers,
        .attention = s->pooling == ATTUNE_POOLING_ATTENTION ? (int)s->hidden : 0,
        .projection = (int)s->hidden,
        .embedding = (int)s->embedding,
    };
}
