/* tracks.c - names to files by way of two tables, of ids and of paths. The idea is in tracks.h. */
#include "train/tracks.h"

#include "attune/job.h"
#include "engine/scan.h"
#include "status/error.h"
#include "status/path.h"
#include "train/manifest.h"
#include "train/names.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct attune_tracks {
    attune_scan *scan;    /* NULL: rows of `names`, or names alone */
    char *const *names;   /* (files), borrowed, or NULL */
    const uint32_t *rows; /* (files), borrowed: their numbers for messages; NULL: from 1 */
    size_t files;
    attune_names paths;           /* number i is file i; then those without spaces around them */
    uint32_t *file_of_trimmed;    /* (paths.count - files), or ATTUNE_NO_TRACK: several */
    attune_names ids;             /* of all files */
    uint32_t *file_of_id;         /* (ids.count): the first file */
    uint32_t *other_of_id;        /* (ids.count): another one, or ATTUNE_NO_TRACK */
    uint32_t *id_of_file;         /* (files) */
    attune_names given;           /* ids of manifests, of files that they name by path */
    uint32_t *file_of_given;      /* (files) */
    uint32_t *track_of_file;      /* (files), or ATTUNE_NO_TRACK */
    attune_tracks_entry *entries; /* (capacity) */
    attune_audio_place *places;   /* (capacity) */
    bool *listed;                 /* (capacity): in a manifest */
    uint32_t count, capacity;
    attune_names labels[ATTUNE_LABEL_COUNT];
    attune_names missing;
};

const char *attune_label_column(attune_label label)
{
    static const char *const columns[ATTUNE_LABEL_COUNT] = {
#define ATTUNE_X(name, column) column,
        ATTUNE_LABELS(ATTUNE_X)
#undef ATTUNE_X
    };
    return columns[label];
}

static const char *path_of(const attune_tracks *tracks, uint32_t file)
{
    return tracks->scan ? attune_scan_path(tracks->scan, file) : tracks->names[file];
}

static const char *root_of(const attune_tracks *tracks)
{
    return tracks->scan ? attune_scan_root(tracks->scan) : "the embeddings";
}

/* The text without spaces around it, as people put them behind commas; `out` has PATH_MAX bytes. A
 * text that is too long to be a path's stays as it is. */
static const char *trimmed(char *out, const char *text)
{
    const char *start = NULL;
    const size_t length = attune_csv_trim(&start, text);
    if (length >= PATH_MAX) {
        return text;
    }
    memcpy(out, start, length);
    out[length] = '\0';
    return out;
}

/* An id as the table of ids has it: without spaces around it, a number without leading zeros. */
static const char *plain_id(char *out, const char *text)
{
    const char *id = trimmed(out, text);
    const size_t length = strlen(id);
    if (length > 0 && strspn(id, "0123456789") == length) {
        const size_t zeros = strspn(id, "0");
        return id + (zeros < length ? zeros : length - 1);
    }
    return id;
}

/* A file name's part before its extension, as an id. */
static const char *stem_of(char *out, const char *path)
{
    char stem[PATH_MAX];
    const char *name = attune_file_name(path);
    const size_t length = attune_stem_length(name);
    if (length >= PATH_MAX) {
        return name;
    }
    memcpy(stem, name, length);
    stem[length] = '\0';
    return plain_id(out, stem);
}

/* Enters file `file` of the scan. */
static attune_status index_file(attune_tracks *tracks, uint32_t file)
{
    char stem[PATH_MAX];
    const char *path = path_of(tracks, file);
    uint32_t number = 0, id = 0;
    attune_status status = attune_names_add(&number, &tracks->paths, path);
    if (status == ATTUNE_OK && number != file) {
        const uint32_t *rows = tracks->rows;
        status = attune_fail(ATTUNE_EDATA,
                             "%.300s: stands in the embeddings twice, as row %u and "
                             "row %u; each row wants a name of its own",
                             path, rows ? rows[number] : number + 1, rows ? rows[file] : file + 1);
    }
    if (status == ATTUNE_OK) {
        status = attune_names_add(&id, &tracks->ids, stem_of(stem, path));
    }
    if (status != ATTUNE_OK) {
        return status;
    }
    if (tracks->file_of_id[id] == ATTUNE_NO_TRACK) {
        tracks->file_of_id[id] = file;
    } else {
        tracks->other_of_id[id] = file;
    }
    tracks->id_of_file[file] = id;
    return ATTUNE_OK;
}

/* Enters paths also without the spaces around them, where no file is called so. */
static attune_status index_trimmed(attune_tracks *tracks)
{
    char own[PATH_MAX];
    attune_status status = ATTUNE_OK;
    for (uint32_t i = 0; status == ATTUNE_OK && i < tracks->files; i++) {
        const char *path = path_of(tracks, i), *word = trimmed(own, path);
        const uint32_t count = tracks->paths.count;
        uint32_t number = 0;
        if (strcmp(word, path) != 0) {
            status = attune_names_add(&number, &tracks->paths, word);
        }
        if (status == ATTUNE_OK && number >= tracks->files) {
            tracks->file_of_trimmed[number - tracks->files] = number < count ? ATTUNE_NO_TRACK : i;
        }
    }
    return status;
}

static attune_status index_files(attune_tracks *tracks)
{
    const size_t files = tracks->files, size = files * sizeof(uint32_t);
    attune_status status = ATTUNE_OK;
    if (files >= UINT32_MAX / 8) {
        return attune_fail(ATTUNE_EINVAL, "%s: %zu files are too many to train with",
                           root_of(tracks), files);
    }
    tracks->file_of_trimmed = malloc(size);
    tracks->file_of_id = malloc(size);
    tracks->other_of_id = malloc(size);
    tracks->id_of_file = malloc(size);
    tracks->file_of_given = malloc(size);
    tracks->track_of_file = malloc(size);
    if (!tracks->file_of_trimmed || !tracks->file_of_id || !tracks->other_of_id ||
        !tracks->id_of_file || !tracks->file_of_given || !tracks->track_of_file) {
        return attune_fail_memory("files", size);
    }
    memset(tracks->file_of_id, 0xff, size); /* ATTUNE_NO_TRACK */
    memset(tracks->other_of_id, 0xff, size);
    memset(tracks->track_of_file, 0xff, size);
    for (uint32_t i = 0; status == ATTUNE_OK && i < files; i++) {
        status = index_file(tracks, i);
    }
    return status == ATTUNE_OK ? index_trimmed(tracks) : status;
}

attune_status attune_tracks_open(attune_tracks **out, const char *folder)
{
    attune_tracks *tracks = *out = calloc(1, sizeof(*tracks));
    if (!tracks) {
        return attune_fail_memory("tracks", sizeof(*tracks));
    }
    attune_status status = attune_scan_create(&tracks->scan);
    if (status == ATTUNE_OK) {
        status = attune_scan_add(tracks->scan, folder);
    }
    if (status == ATTUNE_OK) {
        status = attune_scan_finish(tracks->scan);
    }
    if (status == ATTUNE_OK) {
        tracks->files = attune_scan_count(tracks->scan);
        status = index_files(tracks);
    }
    if (status != ATTUNE_OK) {
        attune_tracks_close(tracks);
        *out = NULL;
    }
    return status;
}

attune_status attune_tracks_open_rows(attune_tracks **out, char *const *names, const uint32_t *rows,
                                      uint32_t count)
{
    attune_tracks *tracks = *out = calloc(1, sizeof(*tracks));
    if (!tracks) {
        return attune_fail_memory("tracks", sizeof(*tracks));
    }
    tracks->names = names;
    tracks->rows = rows;
    tracks->files = count;
    attune_status status = index_files(tracks);
    if (status == ATTUNE_OK) {
        status = attune_tracks_add_all(tracks);
    }
    if (status != ATTUNE_OK) {
        attune_tracks_close(tracks);
        *out = NULL;
    }
    return status;
}

attune_status attune_tracks_open_names(attune_tracks **out)
{
    *out = calloc(1, sizeof(**out));
    return *out ? ATTUNE_OK : attune_fail_memory("tracks", sizeof(**out));
}

void attune_tracks_close(attune_tracks *tracks)
{
    if (tracks) {
        attune_scan_free(tracks->scan);
        attune_names_free(&tracks->paths);
        attune_names_free(&tracks->ids);
        attune_names_free(&tracks->missing);
        attune_names_free(&tracks->given);
        for (int i = 0; i < ATTUNE_LABEL_COUNT; i++) {
            attune_names_free(&tracks->labels[i]);
        }
        free(tracks->file_of_trimmed);
        free(tracks->file_of_id);
        free(tracks->other_of_id);
        free(tracks->id_of_file);
        free(tracks->file_of_given);
        free(tracks->track_of_file);
        free(tracks->entries);
        free(tracks->places);
        free(tracks->listed);
        free(tracks);
    }
}

static attune_status grow(attune_tracks *tracks)
{
    const size_t capacity = tracks->capacity ? (size_t)tracks->capacity * 2 : 256;
    attune_tracks_entry *entries = realloc(tracks->entries, capacity * sizeof(*entries));
    tracks->entries = entries ? entries : tracks->entries;
    attune_audio_place *places = realloc(tracks->places, capacity * sizeof(*places));
    tracks->places = places ? places : tracks->places;
    bool *listed = realloc(tracks->listed, capacity * sizeof(*listed));
    tracks->listed = listed ? listed : tracks->listed;
    if (!entries || !places || !listed) {
        return attune_fail_memory("tracks", capacity * sizeof(*entries));
    }
    tracks->capacity = (uint32_t)capacity;
    return ATTUNE_OK;
}

static void add_entry(attune_tracks *tracks, const char *id, attune_audio_place place)
{
    const uint32_t track = tracks->count++;
    tracks->places[track] = place;
    tracks->listed[track] = false;
    attune_tracks_entry *entry = &tracks->entries[track];
    *entry = (attune_tracks_entry){.id = id, .path = place.path};
    for (int i = 0; i < ATTUNE_LABEL_COUNT; i++) {
        entry->label[i] = -1;
    }
}

/* The track of a name alone, added if it is new. */
static attune_status take_name(uint32_t *out, attune_tracks *tracks, const char *name)
{
    char own[PATH_MAX];
    const char *id = strchr(name, '/') ? stem_of(own, name) : plain_id(own, name);
    attune_status status = tracks->count == tracks->capacity ? grow(tracks) : ATTUNE_OK;
    if (status == ATTUNE_OK) {
        status = attune_names_add(out, &tracks->ids, id);
    }
    if (status == ATTUNE_OK && *out == tracks->count) {
        add_entry(tracks, tracks->ids.texts[*out], (attune_audio_place){0});
    }
    return status;
}

/* The track of a file of the scan, added if it is new. */
static attune_status take_file(uint32_t *out, attune_tracks *tracks, uint32_t file)
{
    uint32_t *track = &tracks->track_of_file[file];
    if (*track == ATTUNE_NO_TRACK) {
        const attune_status status = tracks->count == tracks->capacity ? grow(tracks) : ATTUNE_OK;
        if (status != ATTUNE_OK) {
            return status;
        }
        *track = tracks->count;
        add_entry(tracks, tracks->ids.texts[tracks->id_of_file[file]],
                  tracks->scan ? attune_scan_place(tracks->scan, file)
                               : (attune_audio_place){.path = tracks->names[file]});
    }
    *out = *track;
    return ATTUNE_OK;
}

attune_status attune_tracks_add_all(attune_tracks *tracks)
{
    attune_status status = ATTUNE_OK;
    for (uint32_t i = 0, track = 0; status == ATTUNE_OK && i < tracks->files; i++) {
        status = take_file(&track, tracks, i);
    }
    return status;
}

/* The path with its folder's real name: the file itself may be a link, which a scan does not
 * follow. False if there is no such folder. */
static bool real_folder(char out[PATH_MAX], const char *path)
{
    char folder[PATH_MAX];
    const char *name = attune_file_name(path);
    const size_t length = (size_t)(name - path);
    memcpy(folder, path, length);
    folder[length] = '\0';
    if (!realpath(length ? folder : ".", out)) {
        return false;
    }
    const size_t used = strlen(out);
    if (used + 1 + strlen(name) >= PATH_MAX) {
        return false;
    }
    strcpy(stpcpy(out + used, used > 1 ? "/" : ""), name); /* the root ends in its slash */
    return true;
}

/* The file with a path as it stands in the table of paths. */
static uint32_t file_with(const attune_tracks *tracks, const char *path)
{
    const uint32_t number = attune_names_find(&tracks->paths, path);
    return number == ATTUNE_NO_NAME ? ATTUNE_NO_TRACK
           : number < tracks->files ? number
                                    : tracks->file_of_trimmed[number - tracks->files];
}

/* The file of the scan at a path, absolute or below the folder, whichever way it is spelled. */
static uint32_t file_at(const attune_tracks *tracks, const char *name)
{
    char path[PATH_MAX], real[PATH_MAX];
    const char *root = name[0] == '/' || !tracks->scan ? "" : attune_scan_root(tracks->scan);
    const int length = snprintf(path, sizeof(path), "%s%s%s", root,
                                *root && root[strlen(root) - 1] != '/' ? "/" : "", name);
    if (!*name || length < 0 || (size_t)length >= sizeof(path)) {
        return ATTUNE_NO_TRACK;
    }
    uint32_t file = file_with(tracks, path);
    if (file == ATTUNE_NO_TRACK && tracks->scan && real_folder(real, path)) {
        file = file_with(tracks, real);
    }
    if (file == ATTUNE_NO_TRACK && tracks->scan && realpath(path, real)) {
        file = file_with(tracks, real);
    }
    return file == ATTUNE_NO_TRACK && strcmp(trimmed(path, name), name) != 0 ? file_at(tracks, path)
                                                                             : file;
}

/* The file with an id; ATTUNE_NO_TRACK if there is none. */
static attune_status file_called(uint32_t *out, const attune_tracks *tracks, const char *id)
{
    char own[PATH_MAX];
    const uint32_t number = attune_names_find(&tracks->ids, plain_id(own, id));
    *out = number == ATTUNE_NO_NAME ? ATTUNE_NO_TRACK : tracks->file_of_id[number];
    if (number != ATTUNE_NO_NAME && tracks->other_of_id[number] != ATTUNE_NO_TRACK) {
        return attune_fail(ATTUNE_EDATA,
                           "%.60s: is two files, %.300s and %.300s; name them by "
                           "their paths, or a folder that holds one of them",
                           id, path_of(tracks, *out), path_of(tracks, tracks->other_of_id[number]));
    }
    return ATTUNE_OK;
}

/* What a name of any kind names. Only what has no slash can be an id. */
static attune_status look_up(uint32_t *out, const attune_tracks *tracks, const char *name)
{
    char stem[PATH_MAX];
    *out = file_at(tracks, name);
    if (*out != ATTUNE_NO_TRACK || !*name || strchr(name, '/')) {
        return ATTUNE_OK;
    }
    const uint32_t given = attune_names_find(&tracks->given, plain_id(stem, name));
    if (given != ATTUNE_NO_NAME) {
        *out = tracks->file_of_given[given];
        return ATTUNE_OK;
    }
    const attune_status status = file_called(out, tracks, name);
    return status == ATTUNE_OK && *out == ATTUNE_NO_TRACK
               ? file_called(out, tracks, stem_of(stem, name))
               : status;
}

static attune_status note_missing(attune_tracks *tracks, const char *name)
{
    uint32_t number = 0;
    return attune_names_add(&number, &tracks->missing, name);
}

attune_status attune_tracks_find(uint32_t *out, attune_tracks *tracks, const char *name)
{
    uint32_t file = ATTUNE_NO_TRACK;
    *out = ATTUNE_NO_TRACK;
    if (!tracks->scan && !tracks->names) {
        return take_name(out, tracks, name);
    }
    const attune_status status = look_up(&file, tracks, name);
    if (status != ATTUNE_OK) {
        return status;
    }
    return file == ATTUNE_NO_TRACK ? note_missing(tracks, name) : take_file(out, tracks, file);
}

attune_status attune_tracks_look_up(uint32_t *out, const attune_tracks *tracks, const char *name)
{
    uint32_t file = ATTUNE_NO_TRACK;
    const attune_status status = look_up(&file, tracks, name);
    *out = file == ATTUNE_NO_TRACK ? ATTUNE_NO_TRACK : tracks->track_of_file[file];
    return status;
}

void attune_tracks_keep(attune_tracks *tracks, const bool *wanted, uint32_t *number)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < tracks->count; i++) {
        number[i] = wanted[i] ? kept : ATTUNE_NO_TRACK;
        if (wanted[i]) {
            tracks->entries[kept] = tracks->entries[i];
            tracks->places[kept] = tracks->places[i];
            tracks->listed[kept++] = tracks->listed[i];
        }
    }
    for (size_t i = 0; i < tracks->files; i++) {
        uint32_t *track = &tracks->track_of_file[i];
        *track = *track == ATTUNE_NO_TRACK ? ATTUNE_NO_TRACK : number[*track];
    }
    tracks->count = kept;
}

void attune_tracks_forget_missing(attune_tracks *tracks)
{
    attune_names_free(&tracks->missing);
}

uint32_t attune_tracks_missing(const attune_tracks *tracks)
{
    return tracks->missing.count;
}

attune_status attune_tracks_check(const attune_tracks *tracks)
{
    enum { SHOWN = 10, NAME = 48 };
    char list[SHOWN * (NAME + 2) + 32] = "";
    size_t length = 0;
    const uint32_t count = tracks->missing.count;
    for (uint32_t i = 0; i < count && i < SHOWN; i++) {
        length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%.*s", i ? ", " : "",
                                   NAME, tracks->missing.texts[i]);
    }
    if (count > SHOWN) {
        snprintf(list + length, sizeof(list) - length, " and %u more", count - SHOWN);
    }
    return count == 0 ? ATTUNE_OK
                      : attune_fail(ATTUNE_ENOINPUT,
                                    "%.200s: has no file of %u tracks that were named: %s; name "
                                    "another folder, or --skip-missing",
                                    root_of(tracks), count, list);
}

/* ---- manifests ---- */

attune_status attune_tracks_set_label(attune_tracks *tracks, uint32_t track, attune_label label,
                                      const char *value)
{
    uint32_t number = 0;
    const attune_status status = attune_names_add(&number, &tracks->labels[label], value);
    tracks->entries[track].label[label] = status == ATTUNE_OK ? (int32_t)number : -1;
    return status;
}

static attune_status set_labels(attune_tracks *tracks, uint32_t track,
                                const attune_manifest_row *row)
{
    attune_status status = ATTUNE_OK;
    for (int i = 0; status == ATTUNE_OK && i < ATTUNE_LABEL_COUNT; i++) {
        if (*row->label[i]) {
            status = attune_tracks_set_label(tracks, track, (attune_label)i, row->label[i]);
        }
    }
    return status;
}

/* Files that a manifest names by path have its id, too. */
static attune_status give_id(attune_tracks *tracks, const attune_csv *csv, const char *id,
                             uint32_t file)
{
    const uint32_t count = tracks->given.count;
    char own[PATH_MAX];
    uint32_t given = 0;
    const attune_status status = attune_names_add(&given, &tracks->given, plain_id(own, id));
    if (status == ATTUNE_OK && given < count) {
        return attune_csv_refuse(csv, "the id %.60s is listed twice", id);
    }
    if (status == ATTUNE_OK) {
        tracks->file_of_given[given] = file;
    }
    return status;
}

static attune_status add_row(void *user, const attune_csv *csv, const attune_manifest_row *row)
{
    attune_tracks *tracks = user;
    const bool has_id = !attune_csv_is(row->id, "");
    const char *name = has_id ? row->id : row->path;
    uint32_t file = file_at(tracks, row->path), track = 0;
    const bool by_path = file != ATTUNE_NO_TRACK;
    attune_status status = by_path ? ATTUNE_OK : look_up(&file, tracks, name);
    if (status == ATTUNE_OK && file == ATTUNE_NO_TRACK) {
        return note_missing(tracks, name);
    }
    if (status == ATTUNE_OK) {
        status = take_file(&track, tracks, file);
    }
    if (status == ATTUNE_OK && tracks->listed[track]) {
        return attune_csv_refuse(csv, "the track %.60s is listed twice", name);
    }
    if (status == ATTUNE_OK && by_path && has_id) {
        status = give_id(tracks, csv, row->id, file);
    }
    if (status == ATTUNE_OK) {
        tracks->listed[track] = true;
        status = set_labels(tracks, track, row);
    }
    return status;
}

attune_status attune_tracks_add_manifest(attune_tracks *tracks, const char *path)
{
    return attune_manifest_read(path, add_row, tracks);
}

/* ---- the table ---- */

uint32_t attune_tracks_count(const attune_tracks *tracks)
{
    return tracks->count;
}

const attune_tracks_entry *attune_tracks_entries(const attune_tracks *tracks)
{
    return tracks->entries;
}

const attune_audio_place *attune_tracks_places(const attune_tracks *tracks)
{
    return tracks->places;
}

int32_t attune_tracks_label_count(const attune_tracks *tracks, attune_label label)
{
    return (int32_t)tracks->labels[label].count;
}

const char *attune_tracks_label_name(const attune_tracks *tracks, attune_label label, int32_t value)
{
    return tracks->labels[label].texts[value];
}
