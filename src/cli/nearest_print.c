/* nearest_print.c - what `attune nearest` found, as lines, JSON, a playlist or a page. Each is made
 * in memory and written whole, so that a file is never half a playlist. */
#include "cli/cli.h"
#include "cli/nearest.h"
#include "cli/nearest_page.h"
#include "cli/track_name.h"
#include "status/error.h"
#include "status/json.h"
#include "store/new_file.h"

#include <stdlib.h>
#include <string.h>

/* Writes to `stream`; false without memory. */
typedef bool print_function(FILE *stream, const nearest_tracks *tracks, const nearest_arguments *a);

static attune_row track_at(const nearest_tracks *tracks, uint32_t i)
{
    return attune_rows_get(tracks->rows, tracks->places[i]);
}

static bool print_lines(FILE *stream, const nearest_tracks *tracks, const nearest_arguments *a)
{
    bool done = true;
    (void)a;
    for (uint32_t i = 0; done && i < tracks->count; i++) {
        const char *path = track_at(tracks, i).path;
        const size_t capacity = strlen(path) + 1;
        char *line = malloc(capacity);
        done = line != NULL;
        if (done) {
            attune_one_line(line, capacity, path);
            fprintf(stream, "%.6f\t%s\n", -tracks->near[i].distance, line);
        }
        free(line);
    }
    return done;
}

/* What was asked for. */
static json_t *describe_queries(const nearest_arguments *a)
{
    json_t *object = json_object();
    if (a->path) {
        json_object_set_new(object, "from", attune_json_text(a->queries[0]));
        json_object_set_new(object, "to", attune_json_text(a->queries[1]));
    } else if (a->query_count == 1) {
        json_object_set_new(object, "query", attune_json_text(a->queries[0]));
    } else {
        json_t *list = json_array();
        for (size_t i = 0; i < a->query_count; i++) {
            json_array_append_new(list, attune_json_text(a->queries[i]));
        }
        json_object_set_new(object, "queries", list);
        json_object_set_new(object, "by", json_string(a->by == ATTUNE_BY_ANY ? "any" : "mean"));
    }
    return object;
}

static bool print_json(FILE *stream, const nearest_tracks *tracks, const nearest_arguments *a)
{
    json_t *list = json_array(), *object = describe_queries(a);
    bool done = list && object;
    for (uint32_t i = 0; done && i < tracks->count; i++) {
        json_t *item = json_object();
        done = json_object_set_new(item, "path", attune_json_text(track_at(tracks, i).path)) == 0 &&
               json_object_set_new(item, "cosine", json_real(-tracks->near[i].distance)) == 0 &&
               json_object_set_new(item, "row", json_integer((json_int_t)tracks->near[i].row)) == 0;
        done = json_array_append_new(list, item) == 0 && done;
    }
    done = json_object_set_new(object, "nearest", list) == 0 && done;
    done = done && json_dumpf(object, stream, JSON_INDENT(2)) == 0 && fputc('\n', stream) != EOF;
    json_decref(object);
    return done;
}

/* Extended M3U: #EXTINF has whole seconds, -1 where they are not known: of a clip of the track, its
 * length is no matter of the output. */
static bool print_playlist(FILE *stream, const nearest_tracks *tracks, const nearest_arguments *a)
{
    const attune_store_attributes *attributes = tracks->attributes;
    bool done = true;
    (void)a;
    fputs("#EXTM3U\n", stream);
    for (uint32_t i = 0; done && i < tracks->count; i++) {
        const attune_row row = track_at(tracks, i);
        const double seconds =
            attributes->clip_seconds > 0 ? -1 : attributes->clip_start + row.duration;
        char *title = track_title(row.path);
        char *location = track_location(attributes->root, row.path);
        done = title && location;
        if (done) {
            fprintf(stream, "#EXTINF:%.0f,%s\n", seconds, title);
            if (fits_playlist(location)) {
                fputs(location, stream);
            } else {
                write_url(stream, location);
            }
            fputc('\n', stream);
        }
        free(location);
        free(title);
    }
    return done;
}

static bool print_page(FILE *stream, const nearest_tracks *tracks, const nearest_arguments *a)
{
    bool done = nearest_page_begin(stream, a);
    for (uint32_t i = 0; done && i < tracks->count; i++) {
        const attune_row row = track_at(tracks, i);
        done = nearest_page_track(stream, tracks->attributes->root, row.path,
                                  -tracks->near[i].distance);
    }
    nearest_page_end(stream);
    return done;
}

static attune_status print_to(const char *file, bool replace, print_function *print,
                              const nearest_tracks *tracks, const nearest_arguments *a)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    bool done = stream && print(stream, tracks, a);
    done = done && !ferror(stream);
    done = (!stream || fclose(stream) == 0) && done;
    const attune_status status = done ? attune_new_file_write(file, text, size, replace)
                                      : attune_fail_memory("the tracks found", size);
    free(text);
    return status;
}

/* Players find no entries of archives: that is said once. */
static void warn_of_archives(const nearest_tracks *tracks)
{
    uint32_t inside = 0;
    for (uint32_t i = 0; i < tracks->count; i++) {
        char *location = track_location(tracks->attributes->root, track_at(tracks, i).path);
        inside += location && is_in_archive(location);
        free(location);
    }
    if (inside > 0) {
        message("%u of the %u tracks are in archives, where players cannot open them", inside,
                tracks->count);
    }
}

attune_status nearest_print(const nearest_tracks *tracks, const nearest_arguments *a)
{
    static print_function *const prints[] = {
        [NEAREST_LINES] = print_lines,
        [NEAREST_JSON] = print_json,
        [NEAREST_M3U] = print_playlist,
    };
    attune_status status = print_to(a->file, a->replace, prints[a->format], tracks, a);
    if (status == ATTUNE_OK && a->page) {
        status = print_to(a->page, a->replace, print_page, tracks, a);
    }
    if (status == ATTUNE_OK && (a->page || a->format == NEAREST_M3U)) {
        warn_of_archives(tracks);
    }
    return status;
}
