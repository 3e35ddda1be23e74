/* output.c - OUT.h5 and OUT.h5.parts as one job sees them. */
#include "engine/output.h"

#include "engine/scan.h"
#include "status/error.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { BLOCK = 4096 };

/* ---- what is there ---- */

static attune_status fail_setting(const char *path, const char *name, const char *theirs,
                                  const char *ours)
{
    return attune_fail(ATTUNE_ECONFIG,
                       "%s: made with %s %s, and this run has %s; choose another output, or start "
                       "over with --force",
                       path, name, theirs, ours);
}

static attune_status check_number(const char *path, const char *name, double theirs, double ours)
{
    char texts[2][64];
    if (theirs == ours) {
        return ATTUNE_OK;
    }
    snprintf(texts[0], sizeof(texts[0]), "%.9g", theirs);
    snprintf(texts[1], sizeof(texts[1]), "%.9g", ours);
    return fail_setting(path, name, texts[0], texts[1]);
}

static attune_status check_text(const char *path, const char *name, const char *theirs,
                                const char *ours)
{
    return strcmp(theirs, ours) == 0 ? ATTUNE_OK : fail_setting(path, name, theirs, ours);
}

/* Rows made otherwise do not belong into the same file. The device may be another, and so may the
 * version of FFmpeg. */
static attune_status check_settings(const attune_output *output, const char *path,
                                    const attune_store_attributes *theirs)
{
    const attune_store_attributes *ours = &output->attributes;
    attune_status status =
        check_text(path, "model_sha256", theirs->model_sha256, ours->model_sha256);
    if (status == ATTUNE_OK) {
        status = check_text(path, "precision", theirs->precision, ours->precision);
    }
    if (status == ATTUNE_OK) {
        status = check_number(path, "clip_start", theirs->clip_start, ours->clip_start);
    }
    if (status == ATTUNE_OK) {
        status = check_number(path, "clip_seconds", theirs->clip_seconds, ours->clip_seconds);
    }
    if (status == ATTUNE_OK) {
        status = check_number(path, "embedding", theirs->embedding, ours->embedding);
    }
    if (status == ATTUNE_OK && theirs->descriptors != ours->descriptors) {
        status = attune_fail(
            ATTUNE_ECONFIG,
            "%s: made %s --descriptors, and this run is %s; choose another output, "
            "or start over with --force",
            path, theirs->descriptors ? "with" : "without", ours->descriptors ? "with" : "without");
    }
    if (status == ATTUNE_OK && theirs->root[0] != '/') {
        status = attune_fail(ATTUNE_EDATA,
                             "%s: its attribute 'root' is no absolute path; choose another output, "
                             "or start over with --force",
                             path);
    }
    if (status == ATTUNE_OK && ours->root) {
        status = check_text(path, "root", theirs->root, ours->root);
    }
    return status;
}

static attune_status set_root(attune_output *output, const char *root)
{
    if (!output->attributes.root && !(output->attributes.root = strdup(root))) {
        return attune_fail_memory("the root", strlen(root));
    }
    return attune_known_set_root(output->known, output->attributes.root);
}

/* Whether `length` bytes of `name` are a line of `lines`. */
static bool has_line(const char *lines, const char *name, size_t length)
{
    for (;; lines++) {
        const size_t line = strcspn(lines, "\n");
        if (line == length && strncmp(lines, name, length) == 0) {
            return true;
        }
        lines += line;
        if (!*lines) {
            return false;
        }
    }
}

/* Adds names, one a line, to those of the devices that rows are from. */
static attune_status add_devices(attune_output *output, const char *names)
{
    while (*names) {
        const size_t length = strcspn(names, "\n");
        const char *before = output->devices ? output->devices : "";
        char *after = NULL;
        if (length > 0 && !has_line(before, names, length)) {
            if (asprintf(&after, "%s%s%.*s", before, *before ? "\n" : "", (int)length, names) < 0) {
                return attune_fail_memory("a device's name", length);
            }
            free(output->devices);
            output->devices = after;
        }
        names += length + (names[length] == '\n');
    }
    return ATTUNE_OK;
}

/* Notes whether a row of OUT.h5 has other labels than it will get. */
static void note_labels(attune_output *output, const attune_row *row)
{
    const attune_job_options *options = output->options;
    if (options->label && !output->relabels) {
        attune_labels labels = ATTUNE_NO_LABELS;
        options->label(options->label_user, &labels, row->path);
        output->relabels = !attune_labels_equal(&labels, row->labels);
    }
}

/* Notes all rows of a file, a block at a time, by way of `rows`. */
static attune_status note_file(attune_output *output, const char *path, attune_rows *rows)
{
    const bool is_output = path == output->parts->output;
    attune_store *store = NULL;
    attune_status status = attune_store_open(&store, path);
    if (status == ATTUNE_OK) {
        status = check_settings(output, path, attune_store_attributes_of(store));
    }
    if (status == ATTUNE_OK) {
        status = set_root(output, attune_store_attributes_of(store)->root);
    }
    if (status == ATTUNE_OK) {
        status = add_devices(output, attune_store_attributes_of(store)->device);
    }
    if (status == ATTUNE_OK && is_output) {
        output->attributes.labels |= attune_store_attributes_of(store)->labels;
        output->relabels = !attune_store_attributes_of(store)->labels && output->options->label;
    }
    const uint64_t count = store ? attune_store_count(store) : 0;
    for (uint64_t first = 0; status == ATTUNE_OK && first < count; first += BLOCK) {
        attune_rows_clear(rows);
        status =
            attune_store_read(store, first, count - first < BLOCK ? count - first : BLOCK, rows);
        for (size_t i = 0; status == ATTUNE_OK && i < attune_rows_count(rows); i++) {
            const attune_row row = attune_rows_get(rows, i);
            attune_known_take(output->known, &row);
            if (is_output) {
                note_labels(output, &row);
            }
        }
    }
    attune_store_close(store);
    return status;
}

static attune_status fail_part(const char *path)
{
    char reason[900];
    attune_one_line(reason, sizeof(reason), attune_last_error());
    return attune_fail(ATTUNE_EDATA, "%s; or remove %s, and its files are embedded again", reason,
                       path);
}

/* Notes what the output and its parts know, oldest first. */
static attune_status note_all(attune_output *output)
{
    attune_rows *rows = NULL;
    attune_status status = attune_rows_create(&rows, output->attributes.embedding);
    if (status == ATTUNE_OK && output->extends) {
        status = note_file(output, output->parts->output, rows);
    }
    for (size_t i = 0; status == ATTUNE_OK && i < output->parts->count; i++) {
        status = note_file(output, output->parts->paths[i], rows);
        if (status == ATTUNE_EDATA) {
            status = fail_part(output->parts->paths[i]);
        }
    }
    attune_rows_free(rows);
    return status;
}

static attune_status start_over(attune_output *output)
{
    attune_status status = attune_parts_clear(output->parts);
    struct stat info;
    if (status == ATTUNE_OK && stat(output->parts->output, &info) == 0) {
        status = attune_parts_mark(output->parts, ATTUNE_MARK_FRESH);
    }
    return status;
}

/* Decides whether the output that is there, if any, is added to. */
static attune_status look_at_output(attune_output *output)
{
    if (output->options->force) {
        return output->options->dry_run ? ATTUNE_OK : start_over(output);
    }
    if (attune_parts_marked(output->parts, ATTUNE_MARK_DOUBTED)) {
        return attune_fail(ATTUNE_ECONFIG,
                           "%s: a track of it failed --verify; look at the device, then start over "
                           "with --force",
                           output->parts->folder);
    }
    output->fresh = attune_parts_marked(output->parts, ATTUNE_MARK_FRESH);
    output->extends = stat(output->parts->output, &output->found) == 0 && !output->fresh;
    return note_all(output);
}

static void set_attributes(attune_output *output)
{
    const attune_job_options *options = output->options;
    const attune_network *network = attune_model_network(options->model);
    attune_stamp(output->created, time(NULL));
    output->attributes = (attune_store_attributes){
        .model_sha256 = attune_model_sha256(options->model),
        .model_name = attune_model_name(options->model),
        .network = attune_network_json(network, output->network, sizeof(output->network)),
        .precision = options->engine.precision,
        .command = options->command,
        .libav = attune_audio_versions(),
        .attune_version = attune_version(),
        .created = output->created,
        .sample_rate = network->sample_rate,
        .frame_size = network->frame_size,
        .embedding = network->embedding,
        .clip_start = options->audio.clip_start,
        .clip_seconds = options->audio.clip_seconds,
        .labels = options->label != NULL,
        .descriptors = options->descriptors,
    };
}

/* With a disk that is not mounted all files are gone: then its folder is, most likely, too. */
static attune_status check_prune(const attune_output *output)
{
    struct stat info;
    if (output->options->prune && stat(output->attributes.root, &info) != 0) {
        return attune_fail(ATTUNE_ENOINPUT,
                           "%s: cannot be reached (%s), so --prune would drop every row of %s; "
                           "mount it, run without --prune, or start over with --force",
                           output->attributes.root, strerror(errno), output->parts->output);
    }
    return ATTUNE_OK;
}

attune_status attune_output_open(attune_output *output, const attune_job_options *options)
{
    *output = (attune_output){.options = options};
    set_attributes(output);
    attune_status status = attune_known_create(&output->known, options->scan);
    if (status == ATTUNE_OK) {
        status = options->dry_run ? attune_parts_look(&output->parts, options->output)
                                  : attune_parts_open(&output->parts, options->output);
    }
    if (status == ATTUNE_OK) {
        status = look_at_output(output);
    }
    if (status == ATTUNE_OK) {
        status = set_root(output, attune_scan_root(options->scan));
    }
    return status == ATTUNE_OK ? check_prune(output) : status;
}

void attune_output_close(attune_output *output)
{
    attune_known_free(output->known);
    attune_parts_close(output->parts);
    free((char *)output->attributes.root);
    free(output->devices);
    attune_gone_clear(&output->gone);
    *output = (attune_output){0};
}

/* ---- what is added ---- */

attune_status attune_output_set_device(attune_output *output, const char *device)
{
    output->attributes.device = device;
    return add_devices(output, device);
}

attune_status attune_output_commit(attune_output *output, attune_rows *rows)
{
    attune_store_attributes attributes = output->attributes;
    attributes.labels = false; /* rows get them at the end */
    attune_status status = attune_rows_sort(rows);
    return status == ATTUNE_OK
               ? attune_parts_commit(output->parts, output->options->shard, &attributes, rows)
               : status;
}

/* ---- the end ---- */

attune_status attune_output_path(char **out, const attune_output *output, const char *name)
{
    const char *root = output->attributes.root;
    const bool slash = root[strlen(root) - 1] == '/';
    *out = NULL;
    if (name[0] == '/' ? !(*out = strdup(name))
                       : asprintf(out, "%s%s%s", root, slash ? "" : "/", name) < 0) {
        return attune_fail_memory("a path", strlen(name));
    }
    return ATTUNE_OK;
}

/* Whether a row's file is there; what cannot be known counts as there. */
static bool is_there(void *user, const attune_row *row)
{
    attune_output *output = user;
    char *path = NULL;
    const bool listed = attune_known_has(output->known, row->path);
    const bool gone = attune_output_path(&path, output, row->path) == ATTUNE_OK &&
                      attune_gone_is(&output->gone, path, listed);
    free(path);
    output->pruned += gone;
    return !gone;
}

static attune_status merge(attune_output *output, attune_store_writer *writer)
{
    const attune_parts *parts = output->parts;
    const char **inputs = malloc((parts->count + 1) * sizeof(*inputs));
    size_t count = 0;
    if (!inputs) {
        return attune_fail_memory("parts", parts->count * sizeof(*inputs));
    }
    if (output->extends) {
        inputs[count++] = parts->output;
    }
    for (size_t i = 0; i < parts->count; i++) {
        inputs[count++] = parts->paths[i];
    }
    attune_status status = attune_store_merge(writer, inputs, count, ATTUNE_MERGE_LAST,
                                              output->options->prune ? is_there : NULL, output);
    free(inputs);
    return status;
}

/* Rows are merged with those that were looked at, and a file that has come since is not replaced,
 * unless the job started over. */
static attune_status check_unchanged(const attune_output *output)
{
    const struct stat *before = &output->found;
    struct stat now;
    if (output->options->force || output->fresh) {
        return ATTUNE_OK;
    }
    if (stat(output->parts->output, &now) != 0) {
        now = (struct stat){0};
    }
    return now.st_dev == before->st_dev && now.st_ino == before->st_ino &&
                   now.st_size == before->st_size && now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
                   now.st_mtim.tv_nsec == before->st_mtim.tv_nsec
               ? ATTUNE_OK
               : attune_fail(ATTUNE_ESTOPPED, "%s: is another file than when this job began",
                             output->parts->output);
}

/* Whether OUT.h5 is already what would be written: nothing is new, and --prune drops no row. */
static attune_status check_done(bool *done, attune_output *output)
{
    attune_store *store = NULL;
    attune_rows *rows = NULL;
    *done = output->extends && output->parts->count == 0 && !output->relabels;
    if (!*done || !output->options->prune) {
        return ATTUNE_OK;
    }
    attune_status status = check_unchanged(output);
    if (status == ATTUNE_OK) {
        status = attune_rows_create(&rows, output->attributes.embedding);
    }
    if (status == ATTUNE_OK) {
        status = attune_store_open(&store, output->parts->output);
    }
    const uint64_t count = store ? attune_store_count(store) : 0;
    for (uint64_t first = 0; status == ATTUNE_OK && *done && first < count; first += BLOCK) {
        attune_rows_clear(rows);
        status =
            attune_store_read(store, first, count - first < BLOCK ? count - first : BLOCK, rows);
        for (size_t i = 0; status == ATTUNE_OK && *done && i < attune_rows_count(rows); i++) {
            const attune_row row = attune_rows_get(rows, i);
            *done = is_there(output, &row);
        }
    }
    output->pruned = 0; /* the merge looks at every row again, and counts */
    attune_gone_clear(&output->gone);
    attune_store_close(store);
    attune_rows_free(rows);
    return status;
}

static attune_status write_output(attune_output *output)
{
    attune_store_writer *writer = NULL;
    output->attributes.device = output->devices;
    attune_status status = check_unchanged(output);
    if (status == ATTUNE_OK) {
        status = attune_store_create(&writer, output->parts->output, &output->attributes);
    }
    if (status == ATTUNE_OK) {
        attune_store_label(writer, output->options->label, output->options->label_user);
        status = merge(output, writer);
    }
    if (status == ATTUNE_OK) {
        status = check_unchanged(output);
    }
    if (status == ATTUNE_OK) {
        status = attune_store_commit(writer);
    }
    attune_store_writer_close(writer);
    return status;
}

attune_status attune_output_finish(attune_output *output)
{
    bool done = false;
    attune_status status = check_prune(output); /* again: days may have gone by */
    if (status == ATTUNE_OK) {
        status = check_done(&done, output);
    }
    if (status == ATTUNE_OK && !done) {
        status = write_output(output);
    }
    if (status == ATTUNE_OK) {
        return done ? ATTUNE_OK : attune_parts_clear(output->parts);
    }
    char reason[700];
    attune_one_line(reason, sizeof(reason), attune_last_error());
    return attune_fail(status, "%s; what is done is safe in %s, run again to finish", reason,
                       output->parts->folder);
}
