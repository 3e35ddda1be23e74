/* metadata.c - tracks.csv, row by row. Of its 53 columns, 8 are looked at. Lists of genres go one
 * behind the other into one array, which moves while it grows: rows hold places in it until the end
 * of the file. */
#include "fma/metadata.h"

#include "csv/csv.h"
#include "fma/genres.h"
#include "status/error.h"
#include "status/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* X(name, group, column) */
#define COLUMNS(X)                                                                                 \
    X(SPLIT, "set", "split")                                                                       \
    X(SUBSET, "set", "subset")                                                                     \
    X(ARTIST, "artist", "id")                                                                      \
    X(ALBUM, "album", "id")                                                                        \
    X(GENRE_TOP, "track", "genre_top")                                                             \
    X(GENRES, "track", "genres")                                                                   \
    X(GENRES_ALL, "track", "genres_all")

enum {
#define ATTUNE_X(name, group, column) name,
    COLUMNS(ATTUNE_X)
#undef ATTUNE_X
        COLUMN_COUNT
};

static const char *const column_names[COLUMN_COUNT][2] = {
#define ATTUNE_X(name, group, column) {group, column},
    COLUMNS(ATTUNE_X)
#undef ATTUNE_X
};

struct attune_fma {
    attune_fma_genres genres;
    attune_fma_track *tracks; /* (count) */
    int32_t *lists;           /* (list_length) of all tracks */
    int32_t count;
};

/* A track while the file is read. */
typedef struct entry {
    attune_fma_track track; /* its lists are still empty pointers */
    size_t genres;          /* where they begin; those of genres_all follow */
    size_t line;
} entry;

typedef struct reader {
    attune_csv *csv;
    const attune_fma_genres *table;
    size_t at[COLUMN_COUNT];
    size_t width;
    entry *entries;
    size_t count, capacity;
    int32_t *lists;
    size_t list_length, list_capacity;
} reader;

/* ---- the header ---- */

static attune_status refuse_header(const reader *r)
{
    return attune_csv_refuse(r->csv,
                             "is not how the tracks.csv of fma_metadata begins: three lines, of "
                             "groups (album, artist, set, track), of names, and track_id");
}

/* Whether field `column` of the row is `text`. */
static bool is(const attune_csv_row *row, size_t column, const char *text)
{
    return column < row->count && attune_csv_is(row->fields[column], text);
}

/* For each column, whether the first line has its group there: (COLUMN_COUNT, width). */
static attune_status read_groups(bool **out, reader *r)
{
    attune_csv_row row = {0};
    *out = NULL;
    const attune_status status = attune_csv_next(r->csv, &row);
    if (status != ATTUNE_OK) {
        return status;
    }
    if (row.count == 0) {
        return attune_csv_refuse(r->csv, "the file is empty");
    }
    r->width = row.count;
    if (row.count < COLUMN_COUNT + 1 || attune_csv_column(&row, "") != 0) {
        return refuse_header(r);
    }
    *out = calloc(COLUMN_COUNT * r->width, sizeof(**out));
    if (!*out) {
        return attune_fail_memory("a header", COLUMN_COUNT * r->width);
    }
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        for (size_t i = 0; i < r->width; i++) {
            (*out)[c * r->width + i] = is(&row, i, column_names[c][0]);
        }
    }
    return ATTUNE_OK;
}

/* Finds the columns by the second line. */
static attune_status read_names(reader *r, const bool *groups)
{
    attune_csv_row row = {0};
    const attune_status status = attune_csv_next(r->csv, &row);
    if (status != ATTUNE_OK) {
        return status;
    }
    if (row.count != r->width) {
        return refuse_header(r);
    }
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        size_t matches = 0;
        for (size_t i = 0; i < r->width; i++) {
            if (groups[c * r->width + i] && is(&row, i, column_names[c][1])) {
                r->at[c] = i;
                matches++;
            }
        }
        if (matches != 1) {
            return attune_csv_refuse(r->csv, "has %zu columns \"%s\" below \"%s\", and not one",
                                     matches, column_names[c][1], column_names[c][0]);
        }
    }
    return ATTUNE_OK;
}

static attune_status read_header(reader *r)
{
    bool *groups = NULL;
    attune_csv_row row = {0};
    attune_status status = read_groups(&groups, r);
    if (status == ATTUNE_OK) {
        status = read_names(r, groups);
    }
    free(groups);
    if (status == ATTUNE_OK) {
        status = attune_csv_next(r->csv, &row);
    }
    return status == ATTUNE_OK && !is(&row, 0, "track_id") ? refuse_header(r) : status;
}

/* ---- a row ---- */

static attune_status refuse_field(const reader *r, int column, const char *text)
{
    return attune_csv_refuse(r->csv, "\"%.60s\" is no %s.%s", text, column_names[column][0],
                             column_names[column][1]);
}

static attune_status add_genre(reader *r, int32_t number)
{
    if (r->list_length == r->list_capacity) {
        const size_t capacity = r->list_capacity * 2 + 4096;
        int32_t *lists = realloc(r->lists, capacity * sizeof(*lists));
        if (!lists) {
            return attune_fail_memory("lists of genres", capacity * sizeof(*lists));
        }
        r->lists = lists;
        r->list_capacity = capacity;
    }
    r->lists[r->list_length++] = number;
    return ATTUNE_OK;
}

/* The next number of a list behind `text`; *end is behind the comma or bracket that ends it. */
static bool next_number(int32_t *out, const char **end, const char *text)
{
    char digits[12];
    text += strspn(text, " ");
    const size_t length = strspn(text, "0123456789");
    const char *behind = text + length + strspn(text + length, " ");
    if (length == 0 || length >= sizeof(digits) || (*behind != ',' && *behind != ']')) {
        return false;
    }
    memcpy(digits, text, length);
    digits[length] = '\0';
    *end = behind + 1;
    return attune_fma_number(out, digits);
}

/* A list as Python prints it: "[]", "[21, 103]". */
static attune_status read_list(int32_t *count, reader *r, int column, const char *text)
{
    const char *at = text + 1;
    *count = 0;
    if (strcmp(text, "[]") == 0) {
        return ATTUNE_OK;
    }
    do {
        int32_t id = 0;
        if (text[0] != '[' || !next_number(&id, &at, at)) {
            return attune_csv_refuse(r->csv,
                                     "\"%.60s\" is no list of genres such as [21, 103] in %s.%s",
                                     text, column_names[column][0], column_names[column][1]);
        }
        const int32_t number = attune_fma_genre_find(r->table, id);
        if (number == ATTUNE_FMA_NONE) {
            return attune_csv_refuse(r->csv, "the genre %d is not in genres.csv", id);
        }
        const attune_status status = add_genre(r, number);
        if (status != ATTUNE_OK) {
            return status;
        }
        ++*count;
    } while (at[-1] == ',');
    return *at ? refuse_field(r, column, text) : ATTUNE_OK;
}

static bool parse_split(attune_fma_split *out, const char *text)
{
    for (int i = ATTUNE_FMA_TRAINING; i < ATTUNE_FMA_SPLIT_COUNT; i++) {
        if (strcmp(text, attune_fma_split_name((attune_fma_split)i)) == 0) {
            *out = (attune_fma_split)i;
            return true;
        }
    }
    return false;
}

/* An id of another table, which may be unknown: empty, or -1. */
static bool parse_id(int32_t *out, const char *text)
{
    *out = -1;
    return !*text || attune_fma_number(out, text);
}

static attune_status read_track(reader *r, attune_fma_track *track, const attune_csv_row *row)
{
    const char *text[COLUMN_COUNT];
    if (row->count != r->width) {
        return attune_csv_refuse(r->csv, "has %zu fields, and not %zu; is the file whole?",
                                 row->count, r->width);
    }
    for (int c = 0; c < COLUMN_COUNT; c++) {
        text[c] = attune_csv_word(row, r->at[c]);
    }
    const char *id = attune_csv_word(row, 0);
    if (!attune_fma_number(&track->id, id) || track->id < 0) {
        return attune_csv_refuse(r->csv, "\"%.60s\" is no track_id", id);
    }
    if (!parse_split(&track->split, text[SPLIT])) {
        return refuse_field(r, SPLIT, text[SPLIT]);
    }
    if (!attune_fma_subset_parse(&track->subset, text[SUBSET])) {
        return refuse_field(r, SUBSET, text[SUBSET]);
    }
    if (!parse_id(&track->artist_id, text[ARTIST])) {
        return refuse_field(r, ARTIST, text[ARTIST]);
    }
    if (!parse_id(&track->album_id, text[ALBUM])) {
        return refuse_field(r, ALBUM, text[ALBUM]);
    }
    track->genre_top = attune_fma_genre_titled(r->table, text[GENRE_TOP]);
    if (track->genre_top == ATTUNE_FMA_NONE && *text[GENRE_TOP]) {
        return attune_csv_refuse(r->csv, "the genre \"%.60s\" is no top genre of genres.csv",
                                 text[GENRE_TOP]);
    }
    const attune_status status = read_list(&track->genre_count, r, GENRES, text[GENRES]);
    return status == ATTUNE_OK ? read_list(&track->genre_all_count, r, GENRES_ALL, text[GENRES_ALL])
                               : status;
}

static attune_status take_row(reader *r, const attune_csv_row *row)
{
    if (r->count == r->capacity) {
        const size_t capacity = r->capacity * 2 + 1024;
        entry *entries =
            capacity < INT32_MAX ? realloc(r->entries, capacity * sizeof(*entries)) : NULL;
        if (!entries) {
            return attune_fail_memory("tracks", capacity * sizeof(*entries));
        }
        r->entries = entries;
        r->capacity = capacity;
    }
    entry *new = &r->entries[r->count++];
    *new = (entry){.genres = r->list_length, .line = row->line};
    return read_track(r, &new->track, row);
}

static attune_status read_rows(reader *r)
{
    attune_csv_row row = {0};
    attune_status status = read_header(r);
    if (status == ATTUNE_OK) {
        status = attune_csv_next(r->csv, &row);
    }
    while (status == ATTUNE_OK && row.count > 0) {
        status = take_row(r, &row);
        if (status == ATTUNE_OK) {
            status = attune_csv_next(r->csv, &row);
        }
    }
    return status == ATTUNE_OK && r->count == 0
               ? attune_csv_refuse(r->csv, "the file ends here without a track")
               : status;
}

/* ---- the table ---- */

static int compare_entries(const void *left, const void *right)
{
    const entry *a = left, *b = right;
    return a->track.id != b->track.id ? (a->track.id > b->track.id) - (a->track.id < b->track.id)
                                      : (a->line > b->line) - (a->line < b->line);
}

/* Makes the table of what was read. */
static attune_status take_over(attune_fma *fma, reader *r, const char *path)
{
    qsort(r->entries, r->count, sizeof(*r->entries), compare_entries);
    for (size_t i = 1; i < r->count; i++) {
        if (r->entries[i].track.id == r->entries[i - 1].track.id) {
            return attune_fail(ATTUNE_EDATA, "%s, line %zu: track %d again, which is in line %zu",
                               path, r->entries[i].line, r->entries[i].track.id,
                               r->entries[i - 1].line);
        }
    }
    fma->tracks = malloc(r->count * sizeof(*fma->tracks));
    if (!fma->tracks) {
        return attune_fail_memory("tracks", r->count * sizeof(*fma->tracks));
    }
    fma->count = (int32_t)r->count;
    fma->lists = r->lists;
    r->lists = NULL;
    for (size_t i = 0; i < r->count; i++) {
        attune_fma_track *track = &fma->tracks[i];
        *track = r->entries[i].track;
        track->genres = fma->lists + r->entries[i].genres;
        track->genres_all = track->genres + track->genre_count;
    }
    return ATTUNE_OK;
}

static attune_status read_tracks(attune_fma *fma, const char *path)
{
    reader r = {.table = &fma->genres};
    attune_status status = attune_csv_open(&r.csv, path);
    if (status == ATTUNE_OK) {
        status = read_rows(&r);
    }
    if (status == ATTUNE_OK) {
        status = take_over(fma, &r, path);
    }
    attune_csv_close(r.csv);
    free(r.entries);
    free(r.lists);
    return status;
}

attune_status attune_fma_open(attune_fma **out, const char *folder)
{
    char *genres = NULL, *tracks = NULL;
    struct stat info;
    *out = NULL;
    if (!*folder || (stat(folder, &info) == 0 && !S_ISDIR(info.st_mode))) {
        return attune_fail(ATTUNE_ENOINPUT,
                           "%s: is no folder; name the one that fma_metadata.zip unpacks to, with "
                           "tracks.csv and genres.csv",
                           *folder ? folder : "\"\"");
    }
    attune_fma *fma = *out = calloc(1, sizeof(*fma));
    attune_status status = fma ? ATTUNE_OK : attune_fail_memory("metadata", sizeof(*fma));
    if (status == ATTUNE_OK) {
        status = attune_path_join(&genres, folder, "genres.csv");
    }
    if (status == ATTUNE_OK) {
        status = attune_path_join(&tracks, folder, "tracks.csv");
    }
    if (status == ATTUNE_OK) {
        status = attune_fma_genres_read(&fma->genres, genres);
    }
    if (status == ATTUNE_OK) {
        status = read_tracks(fma, tracks);
    }
    free(genres);
    free(tracks);
    if (status != ATTUNE_OK) {
        attune_fma_close(fma);
        *out = NULL;
    }
    return status;
}

void attune_fma_close(attune_fma *fma)
{
    if (fma) {
        attune_fma_genres_free(&fma->genres);
        free(fma->tracks);
        free(fma->lists);
        free(fma);
    }
}

int32_t attune_fma_count(const attune_fma *fma)
{
    return fma->count;
}

const attune_fma_track *attune_fma_tracks(const attune_fma *fma)
{
    return fma->tracks;
}

const attune_fma_genre *attune_fma_genres_of(const attune_fma *fma)
{
    return fma->genres.genres;
}

static int compare_tracks(const void *left, const void *right)
{
    const attune_fma_track *a = left, *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

const attune_fma_track *attune_fma_find(const attune_fma *fma, int32_t id)
{
    const attune_fma_track wanted = {.id = id};
    return bsearch(&wanted, fma->tracks, (size_t)fma->count, sizeof(wanted), compare_tracks);
}
