/* sources.c - names to places, by way of src/train/tracks.h. */
#include "judge/sources.h"

#include "attune/store.h"
#include "status/error.h"
#include "status/path.h"
#include "store/file_kind.h"
#include "train/tracks.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct attune_sources {
    attune_tracks *tracks;
    char **names, *root; /* (rows) of an output, as they stand there, and the folder they are in */
    uint32_t rows;
    char **paths; /* (songs) of an output's rows: absolute, NULL where none was found */
    attune_audio_place *places; /* (songs) */
    uint32_t songs, missing;
};

/* Takes over the names of an output's rows. */
static attune_status add_rows(attune_sources *s, const attune_rows *rows)
{
    for (size_t i = 0; i < attune_rows_count(rows); i++) {
        const char *path = attune_rows_get(rows, i).path;
        char **name = &s->names[s->rows++];
        *name = strdup(path);
        if (!*name) {
            return attune_fail_memory("a path", strlen(path));
        }
    }
    return ATTUNE_OK;
}

static attune_status read_output(attune_sources *s, const char *path)
{
    enum { BLOCK = 4096 };
    attune_store *store = NULL;
    attune_rows *rows = NULL;
    attune_status status = attune_store_open(&store, path);
    const uint64_t total = status == ATTUNE_OK ? attune_store_count(store) : 0;
    if (status == ATTUNE_OK) {
        s->names = calloc(total + 1, sizeof(*s->names));
        s->root = strdup(attune_store_attributes_of(store)->root);
        status = s->names && s->root && total < UINT32_MAX
                     ? attune_rows_create(&rows, attune_store_attributes_of(store)->embedding)
                     : attune_fail_memory("paths", total * sizeof(*s->names));
    }
    for (uint64_t first = 0; status == ATTUNE_OK && first < total; first += BLOCK) {
        attune_rows_clear(rows);
        status =
            attune_store_read(store, first, total - first < BLOCK ? total - first : BLOCK, rows);
        if (status == ATTUNE_OK) {
            status = add_rows(s, rows);
        }
    }
    attune_rows_free(rows);
    attune_store_close(store);
    return status == ATTUNE_OK ? attune_tracks_open_rows(&s->tracks, s->names, NULL, s->rows)
                               : status;
}

static attune_status open_tracks(attune_sources *s, const attune_sources_options *options)
{
    struct stat info;
    const bool folder = stat(options->audio, &info) == 0 && S_ISDIR(info.st_mode);
    attune_file_kind kind = ATTUNE_FILE_OTHER;
    attune_status status = ATTUNE_OK;
    if (folder && access(options->audio, R_OK | X_OK) != 0) {
        return attune_fail(ATTUNE_ENOINPUT, "%s: the folder cannot be read: %s", options->audio,
                           strerror(errno));
    }
    if (folder) {
        status = attune_tracks_open(&s->tracks, options->audio);
        if (status == ATTUNE_OK && options->manifest) {
            status = attune_tracks_add_manifest(s->tracks, options->manifest);
        }
        return status;
    }
    status = attune_file_kind_of(&kind, options->audio);
    if (status == ATTUNE_OK && kind != ATTUNE_FILE_OUTPUT) {
        status = attune_fail(ATTUNE_EDATA, "%s: is neither a folder nor an output of attune embed",
                             options->audio);
    }
    return status == ATTUNE_OK ? read_output(s, options->audio) : status;
}

/* Appends a missing song's name to a list of the first few. */
static void list_name(char *list, size_t capacity, uint32_t number, const char *name)
{
    enum { SHOWN = 10 };
    const size_t length = strlen(list);
    if (number < SHOWN) {
        snprintf(list + length, capacity - length, "%s%.48s", number ? ", " : "", name);
    } else if (number == SHOWN) {
        snprintf(list + length, capacity - length, ", ...");
    }
}

/* The place of song i, which is the track's row of an output, or its file. */
static attune_status find_place(attune_audio_place *out, attune_sources *s, uint32_t i,
                                uint32_t track)
{
    if (!s->names) {
        *out = attune_tracks_places(s->tracks)[track];
        return ATTUNE_OK;
    }
    const char *name = s->names[track];
    attune_status status = ATTUNE_OK;
    if (name[0] != '/' && *s->root) {
        status = attune_path_join(&s->paths[i], s->root, name);
    } else if (!(s->paths[i] = strdup(name))) {
        status = attune_fail_memory("a path", strlen(name));
    }
    if (status == ATTUNE_OK) {
        *out = attune_audio_place_of(s->paths[i]);
    }
    return status;
}

static attune_status find_songs(attune_sources *s, const attune_names *songs,
                                const attune_sources_options *options)
{
    char list[600] = "";
    attune_status status = ATTUNE_OK;
    for (uint32_t i = 0; status == ATTUNE_OK && i < songs->count; i++) {
        uint32_t track = ATTUNE_NO_TRACK;
        status = attune_tracks_find(&track, s->tracks, songs->texts[i]);
        if (status != ATTUNE_OK || track == ATTUNE_NO_TRACK) {
            list_name(list, sizeof(list), s->missing++, songs->texts[i]);
            continue;
        }
        uint64_t size = 0;
        int64_t mtime = 0;
        attune_audio_place place = {0};
        status = find_place(&place, s, i, track);
        if (status == ATTUNE_OK && attune_audio_place_look(&place, &size, &mtime)) {
            s->places[i] = place;
        } else {
            list_name(list, sizeof(list), s->missing++, songs->texts[i]);
        }
    }
    if (status == ATTUNE_OK && s->missing > 0 &&
        (!options->skip_missing || s->missing == songs->count)) {
        return attune_fail(ATTUNE_ENOINPUT,
                           "%.200s: has no file of %u of %u songs: %s; name another%s",
                           options->audio, s->missing, songs->count, list,
                           s->missing == songs->count ? "" : ", or --skip-missing");
    }
    return status;
}

attune_status attune_sources_open(attune_sources **out, const attune_names *songs,
                                  const attune_sources_options *options)
{
    attune_sources *s = *out = calloc(1, sizeof(*s));
    if (!s) {
        return attune_fail_memory("songs", sizeof(*s));
    }
    s->songs = songs->count;
    s->places = calloc(songs->count, sizeof(*s->places));
    s->paths = calloc(songs->count, sizeof(*s->paths));
    attune_status status =
        s->places && s->paths ? open_tracks(s, options) : attune_fail_memory("songs", songs->count);
    if (status == ATTUNE_OK) {
        status = find_songs(s, songs, options);
    }
    if (status != ATTUNE_OK) {
        attune_sources_close(s);
        *out = NULL;
    }
    return status;
}

attune_status attune_sources_check(const attune_sources *sources, const attune_threes *threes,
                                   const char *path)
{
    for (uint32_t r = 0; r < threes->count; r++) {
        static const int pairs[3][2] = {{0, 1}, {0, 2}, {1, 2}};
        const attune_three *three = &threes->rows[r];
        for (int i = 0; i < 3; i++) {
            const int *pair = pairs[i];
            const char *one = sources->places[three->song[pair[0]]].path;
            const char *other = sources->places[three->song[pair[1]]].path;
            if (one && other && strcmp(one, other) == 0) {
                return attune_fail(ATTUNE_EDATA, "%s, line %zu: song%d and song%d are one file, %s",
                                   path, three->line, pair[0] + 1, pair[1] + 1, one);
            }
        }
    }
    return ATTUNE_OK;
}

void attune_sources_close(attune_sources *sources)
{
    if (sources) {
        attune_tracks_close(sources->tracks);
        for (uint32_t i = 0; i < sources->rows; i++) {
            free(sources->names[i]);
        }
        for (uint32_t i = 0; sources->paths && i < sources->songs; i++) {
            free(sources->paths[i]);
        }
        free(sources->root);
        free(sources->names);
        free(sources->paths);
        free(sources->places);
        free(sources);
    }
}

attune_audio_place attune_sources_place(const attune_sources *sources, uint32_t song)
{
    return sources->places[song];
}

uint32_t attune_sources_missing(const attune_sources *sources)
{
    return sources->missing;
}
