/* genres.c - genres.csv to a tree in a table. */
#include "fma/genres.h"

#include "csv/csv.h"
#include "status/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool attune_fma_number(int32_t *out, const char *text)
{
    char *end = NULL;
    if (!(*text >= '0' && *text <= '9') && strcmp(text, "-1") != 0) {
        return false; /* strtol would pass over spaces and take a + */
    }
    errno = 0;
    const long value = strtol(text, &end, 10);
    *out = (int32_t)value;
    return !*end && errno == 0 && value <= INT32_MAX;
}

static int compare_ids(const void *left, const void *right)
{
    const attune_fma_genre *a = left, *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

int32_t attune_fma_genre_find(const attune_fma_genres *genres, int32_t id)
{
    const attune_fma_genre wanted = {.id = id};
    const attune_fma_genre *found =
        genres->count
            ? bsearch(&wanted, genres->genres, (size_t)genres->count, sizeof(wanted), compare_ids)
            : NULL;
    return found ? (int32_t)(found - genres->genres) : ATTUNE_FMA_NONE;
}

int32_t attune_fma_genre_titled(const attune_fma_genres *genres, const char *title)
{
    for (int32_t i = 0; i < genres->count; i++) {
        const attune_fma_genre *genre = &genres->genres[i];
        if (genre->parent == ATTUNE_FMA_NONE && strcmp(genre->title, title) == 0) {
            return i;
        }
    }
    return ATTUNE_FMA_NONE;
}

/* Adds a genre, its parent as the id that the table has. */
static attune_status add(attune_fma_genres *genres, attune_fma_genre genre, const char *title)
{
    if (genres->count == genres->capacity) {
        const int32_t capacity = genres->capacity * 2 + 256;
        attune_fma_genre *larger = realloc(genres->genres, (size_t)capacity * sizeof(*larger));
        if (!larger) {
            return attune_fail_memory("genres", (size_t)capacity * sizeof(*larger));
        }
        genres->genres = larger;
        genres->capacity = capacity;
    }
    genre.title = strdup(title);
    if (!genre.title) {
        return attune_fail_memory("a genre", strlen(title));
    }
    genres->genres[genres->count++] = genre;
    return ATTUNE_OK;
}

/* Where the columns are. */
typedef struct columns {
    size_t id, parent, title, width;
} columns;

static attune_status find_columns(columns *c, const attune_csv *csv, const attune_csv_row *row)
{
    *c = (columns){attune_csv_column(row, "genre_id"), attune_csv_column(row, "parent"),
                   attune_csv_column(row, "title"), row->count};
    if (row->count == 0) {
        return attune_csv_refuse(csv, "the file is empty");
    }
    return c->id == SIZE_MAX || c->parent == SIZE_MAX || c->title == SIZE_MAX
               ? attune_csv_refuse(csv, "has no columns genre_id, parent and title; it is not the "
                                        "genres.csv of fma_metadata")
               : ATTUNE_OK;
}

static attune_status take_row(attune_fma_genres *genres, const columns *c, const attune_csv *csv,
                              const attune_csv_row *row)
{
    enum { GENRES_MAX = 1 << 20 };
    attune_fma_genre genre = {0};
    if (row->count != c->width) {
        return attune_csv_refuse(csv, "has %zu fields, and not %zu; is the file whole?", row->count,
                                 c->width);
    }
    const char *id = attune_csv_word(row, c->id), *parent = attune_csv_word(row, c->parent);
    const char *title = attune_csv_word(row, c->title);
    if (!attune_fma_number(&genre.id, id) || genre.id < 1) {
        return attune_csv_refuse(csv, "\"%.40s\" is no genre's id", id);
    }
    if (!attune_fma_number(&genre.parent, parent) || genre.parent < 0) {
        return attune_csv_refuse(csv, "the parent \"%.40s\" is neither a genre's id nor 0", parent);
    }
    if (!*title || strlen(title) >= ATTUNE_GENRE_SIZE) {
        return attune_csv_refuse(csv, "a genre's title has 1 to %d bytes, and \"%.40s\" %zu",
                                 ATTUNE_GENRE_SIZE - 1, title, strlen(title));
    }
    if (genres->count == GENRES_MAX) {
        return attune_csv_refuse(csv, "more than %d genres", GENRES_MAX);
    }
    return add(genres, genre, title);
}

/* From ids of parents to their numbers; tops and depths. */
static attune_status link_parents(attune_fma_genres *genres, const char *path)
{
    for (int32_t i = 0; i < genres->count; i++) {
        attune_fma_genre *genre = &genres->genres[i];
        const int32_t parent = genre->parent;
        if (i > 0 && genre[-1].id == genre->id) {
            return attune_fail(ATTUNE_EDATA, "%s: the genre %d is in it twice", path, genre->id);
        }
        genre->parent = parent ? attune_fma_genre_find(genres, parent) : ATTUNE_FMA_NONE;
        if (parent && genre->parent == ATTUNE_FMA_NONE) {
            return attune_fail(ATTUNE_EDATA,
                               "%s: %d, the parent of genre %d, is not in it; is the file whole?",
                               path, parent, genre->id);
        }
    }
    for (int32_t i = 0; i < genres->count; i++) {
        int32_t top = i, depth = 0;
        while (genres->genres[top].parent != ATTUNE_FMA_NONE && depth <= genres->count) {
            top = genres->genres[top].parent;
            depth++;
        }
        if (depth > genres->count) {
            return attune_fail(ATTUNE_EDATA, "%s: the genre %d is above itself", path,
                               genres->genres[i].id);
        }
        genres->genres[i].depth = depth;
    }
    return ATTUNE_OK;
}

static attune_status read_rows(attune_fma_genres *genres, attune_csv *csv)
{
    columns c = {0};
    attune_csv_row row = {0};
    attune_status status = attune_csv_next(csv, &row);
    if (status == ATTUNE_OK) {
        status = find_columns(&c, csv, &row);
    }
    if (status == ATTUNE_OK) {
        status = attune_csv_next(csv, &row);
    }
    while (status == ATTUNE_OK && row.count > 0) {
        status = take_row(genres, &c, csv, &row);
        if (status == ATTUNE_OK) {
            status = attune_csv_next(csv, &row);
        }
    }
    return status == ATTUNE_OK && genres->count == 0
               ? attune_csv_refuse(csv, "the file ends here without a genre")
               : status;
}

attune_status attune_fma_genres_read(attune_fma_genres *out, const char *path)
{
    attune_csv *csv = NULL;
    *out = (attune_fma_genres){0};
    attune_status status = attune_csv_open(&csv, path);
    if (status == ATTUNE_OK) {
        status = read_rows(out, csv);
    }
    attune_csv_close(csv);
    if (status == ATTUNE_OK) {
        qsort(out->genres, (size_t)out->count, sizeof(*out->genres), compare_ids);
        status = link_parents(out, path);
    }
    if (status != ATTUNE_OK) {
        attune_fma_genres_free(out);
    }
    return status;
}

void attune_fma_genres_free(attune_fma_genres *genres)
{
    for (int32_t i = 0; i < genres->count; i++) {
        free((char *)genres->genres[i].title);
    }
    free(genres->genres);
    *genres = (attune_fma_genres){0};
}
