/* info.c - `attune info`: what a model, a checkpoint or an output holds. */
#include "cli/cli.h"
#include "cli/print_json.h"
#include "status/error.h"
#include "status/json.h"
#include "store/blocks.h"
#include "store/checkpoint.h"
#include "store/file_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: attune info [FILE] [--json]\n"
    "\n"
    "Says what FILE holds: the network of an ONNX model or of a checkpoint of training,\n"
    "or the rows of an output by status, its model and its settings. Without FILE, what\n"
    "the model is that attune itself contains, if it does.\n"
    "\n"
    "      --json    the same as one JSON object\n"
    "  -h, --help    this text\n"
    "\n"
    "Exit: 0 ok, 64 usage, 65 none of these, 66 not there.\n";

enum { OPTION_JSON = 256 };

static const struct option options[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Prints "name   text", the text on one line whatever it holds. */
static void print_text(const char *name, const char *text)
{
    char line[4096];
    attune_one_line(line, sizeof(line), text);
    printf("%-15s %s\n", name, line);
}

/* The same for a text that has several lines in a merged file: each on a line of its own. */
static void print_lines(const char *name, const char *text)
{
    char line[4096];
    do {
        const size_t length = strcspn(text, "\n");
        snprintf(line, sizeof(line), "%.*s", (int)length, text);
        print_text(name, line);
        text += length + (text[length] == '\n');
        name = "";
    } while (*text);
}

static void network_text(const attune_network *n)
{
    print_text("network", attune_architecture_name(n->architecture));
    printf("%-16s%d samples, one every %d, at %d Hz\n", "frames", n->frame_size, n->hop_size,
           n->sample_rate);
    printf("%-16s%d\n", "features", n->features);
    printf("%-16s%d layer%s of %d, %s pooling\n", "GRU", n->layers, n->layers == 1 ? "" : "s",
           n->hidden, attune_pooling_name(n->pooling));
    printf("%-16s%d components\n", "embedding", n->embedding);
}

static json_t *network_json(const attune_network *n)
{
    char text[512];
    return json_loads(attune_network_json(n, text, sizeof(text)), 0, NULL);
}

/* `path` NULL: the model built in. */
static int info_model(const char *path, bool as_json)
{
    attune_model *model = NULL;
    attune_status status =
        path ? attune_model_open(&model, path) : attune_model_open_default(&model);
    if (status != ATTUNE_OK) {
        return fail(status);
    }
    const attune_network *n = attune_model_network(model);
    const unsigned long long folded = attune_model_parameter_count(model),
                             published = attune_model_trainable_count(model);
    if (as_json) {
        json_t *object = json_object();
        json_object_set_new(object, "type", json_string("model"));
        json_object_set_new(object, "name", attune_json_text(attune_model_name(model)));
        json_object_set_new(object, "sha256", json_string(attune_model_sha256(model)));
        json_object_set_new(object, "network", network_json(n));
        json_object_set_new(object, "parameters", json_integer((json_int_t)published));
        json_object_set_new(object, "parameters_folded", json_integer((json_int_t)folded));
        status = print_json(object);
    } else {
        print_text("model", attune_model_name(model));
        print_text("sha256", attune_model_sha256(model));
        network_text(n);
        printf("%-16s%llu (%llu with batch normalisation folded)\n", "parameters", published,
               folded);
    }
    attune_model_close(model);
    return status == ATTUNE_OK ? EXIT_OK : fail(status);
}

static json_t *checkpoint_json(const attune_checkpoint *c)
{
    json_t *object = json_object(), *state = json_object();
    for (size_t i = 0; i < c->value_count; i++) {
        const attune_checkpoint_value *value = &c->values[i];
        /* JSON's numbers are finite, and whole up to 2^63. */
        const bool is_text = value->kind == ATTUNE_CHECKPOINT_TEXT;
        char number[32] = "";
        json_t *json = NULL;
        if (value->kind == ATTUNE_CHECKPOINT_REAL) {
            json = attune_json_number(value->real);
        } else if (!is_text && value->integer <= INT64_MAX) {
            json = json_integer((json_int_t)value->integer);
        } else {
            snprintf(number, sizeof(number), "%llu", (unsigned long long)value->integer);
            json = attune_json_text(is_text ? value->text : number);
        }
        json_object_set_new(state, value->name, json);
    }
    json_object_set_new(object, "type", json_string("checkpoint"));
    json_object_set_new(object, "network", network_json(&c->trainable.network));
    json_object_set_new(object, "parameters",
                        json_integer((json_int_t)c->trainable.parameter_count));
    json_object_set_new(object, "optimiser", json_boolean(c->moment1 != NULL));
    json_object_set_new(object, "state", state);
    return object;
}

static int info_checkpoint(const char *path, bool as_json)
{
    attune_checkpoint *c = NULL;
    attune_status status = attune_checkpoint_read(&c, path);
    if (status != ATTUNE_OK) {
        return fail(status);
    }
    if (as_json) {
        status = print_json(checkpoint_json(c));
    } else {
        print_text("checkpoint", c->moment1 ? "training can go on" : "for embedding alone");
        network_text(&c->trainable.network);
        printf("%-16s%zu\n", "parameters", c->trainable.parameter_count);
        for (size_t i = 0; i < c->value_count; i++) {
            const attune_checkpoint_value *value = &c->values[i];
            char number[32] = "";
            if (value->kind == ATTUNE_CHECKPOINT_REAL) {
                snprintf(number, sizeof(number), "%.9g", value->real);
            } else if (value->kind == ATTUNE_CHECKPOINT_INTEGER) {
                snprintf(number, sizeof(number), "%llu", (unsigned long long)value->integer);
            }
            if (value->kind == ATTUNE_CHECKPOINT_TEXT) {
                print_lines(value->name, value->text);
            } else {
                print_text(value->name, number);
            }
        }
    }
    attune_checkpoint_close(c);
    return status == ATTUNE_OK ? EXIT_OK : fail(status);
}

/* Counts the rows of each status. */
static json_t *output_json(const attune_store_attributes *a, uint64_t rows, const uint64_t *counts)
{
    json_t *object = json_object(), *statuses = json_object();
    for (int s = 0; s < ATTUNE_TRACK_STATUS_COUNT; s++) {
        json_object_set_new(statuses, attune_track_status_name((attune_track_status)s),
                            json_integer((json_int_t)counts[s]));
    }
    json_t *network = json_loads(a->network, 0, NULL);
    json_object_set_new(object, "type", json_string("output"));
    json_object_set_new(object, "rows", json_integer((json_int_t)rows));
    json_object_set_new(object, "by_status", statuses);
    json_object_set_new(object, "model_name", attune_json_text(a->model_name));
    json_object_set_new(object, "model_sha256", attune_json_text(a->model_sha256));
    json_object_set_new(object, "network", network ? network : attune_json_text(a->network));
    json_object_set_new(object, "embedding", json_integer(a->embedding));
    json_object_set_new(object, "labels", json_boolean(a->labels));
    json_object_set_new(object, "descriptors", json_boolean(a->descriptors));
    json_object_set_new(object, "device", attune_json_text(a->device));
    json_object_set_new(object, "precision", attune_json_text(a->precision));
    json_object_set_new(object, "clip_start", json_real(a->clip_start));
    json_object_set_new(object, "clip_seconds", json_real(a->clip_seconds));
    json_object_set_new(object, "root", attune_json_text(a->root));
    json_object_set_new(object, "command", attune_json_text(a->command));
    json_object_set_new(object, "created", attune_json_text(a->created));
    json_object_set_new(object, "attune_version", attune_json_text(a->attune_version));
    json_object_set_new(object, "libav", attune_json_text(a->libav));
    return object;
}

static void output_text(const attune_store_attributes *a, uint64_t rows, const uint64_t *counts)
{
    char clip[64] = "whole tracks";
    if (a->clip_seconds > 0) {
        snprintf(clip, sizeof(clip), "%g s from %g s", a->clip_seconds, a->clip_start);
    } else if (a->clip_start > 0) {
        snprintf(clip, sizeof(clip), "from %g s", a->clip_start);
    }
    printf("%-16s%llu\n", "rows", (unsigned long long)rows);
    for (int s = 0; s < ATTUNE_TRACK_STATUS_COUNT; s++) {
        if (counts[s]) {
            printf("  %-14s%llu\n", attune_track_status_name((attune_track_status)s),
                   (unsigned long long)counts[s]);
        }
    }
    printf("%-16s%d components\n", "embedding", a->embedding);
    if (a->descriptors) {
        printf("%-16s%d columns\n", "descriptors", ATTUNE_DESCRIPTORS);
    }
    if (a->labels) {
        print_text("labels", "track_id, genre_top, artist_id, album_id, split");
    }
    print_lines("model", a->model_name);
    print_text("sha256", a->model_sha256);
    print_text("network", a->network);
    print_lines("device", a->device);
    print_text("precision", a->precision);
    print_text("clip", clip);
    print_text("root", a->root);
    print_lines("command", a->command);
    print_text("created", a->created);
    print_lines("attune", a->attune_version);
    print_lines("libav", a->libav);
}

static int info_output(const char *path, bool as_json)
{
    attune_store *store = NULL;
    uint64_t counts[ATTUNE_TRACK_STATUS_COUNT] = {0};
    attune_status status = attune_store_open(&store, path);
    if (status == ATTUNE_OK) {
        status = attune_store_count_statuses(store, counts);
    }
    if (status == ATTUNE_OK && as_json) {
        status = print_json(
            output_json(attune_store_attributes_of(store), attune_store_count(store), counts));
    } else if (status == ATTUNE_OK) {
        output_text(attune_store_attributes_of(store), attune_store_count(store), counts);
    }
    attune_store_close(store);
    return status == ATTUNE_OK ? EXIT_OK : fail(status);
}

/* HDF5 files begin with these eight bytes; whatever else a file is, it can only be a model. */
static bool is_hdf5(const char *path)
{
    char start[8] = "";
    const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO must not block */
    const bool whole = file >= 0 && read(file, start, sizeof(start)) == (ssize_t)sizeof(start);
    if (file >= 0) {
        close(file);
    }
    return whole && memcmp(start, "\x89HDF\r\n\x1a\n", sizeof(start)) == 0;
}

static int info_file(const char *path, bool as_json)
{
    attune_file_kind kind = ATTUNE_FILE_OTHER;
    if (!is_hdf5(path)) {
        return info_model(path, as_json);
    }
    /* What is damaged, opening an output says. */
    return attune_file_kind_of(&kind, path) == ATTUNE_OK && kind == ATTUNE_FILE_CHECKPOINT
               ? info_checkpoint(path, as_json)
               : info_output(path, as_json);
}

int command_info(int argc, char **argv)
{
    bool as_json = false;
    int option = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_OK;
        }
        if (option != OPTION_JSON) {
            return option_error("info", argc, argv, options, option);
        }
        as_json = true;
    }
    if (argc == optind && attune_model_has_default()) {
        return info_model(NULL, as_json);
    }
    if (argc - optind != 1) {
        return usage_error("info", argc == optind ? "no file" : "one file at a time");
    }
    return info_file(argv[optind], as_json);
}
