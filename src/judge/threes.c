/* threes.c - rows of three songs. The format is in threes.h. */
#include "judge/threes.h"

#include "csv/csv.h"
#include "status/error.h"
#include "status/hash.h"
#include "store/new_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SONGS = 3, ANCHOR = 3, POSITIVE, COLUMNS };

/* Copies the fields of a row, and empty ones behind them where there are fewer than `least`. */
static attune_status keep_fields(attune_three_fields *out, const attune_csv_row *row, size_t least)
{
    out->count = row->count < least ? least : row->count;
    size_t size = out->count - row->count;
    for (size_t i = 0; i < row->count; i++) {
        size += strlen(row->fields[i]) + 1;
    }
    char *end = out->texts = calloc(size, 1);
    if (!end) {
        return attune_fail_memory("threes", size);
    }
    for (size_t i = 0; i < row->count; i++) {
        end = stpcpy(end, row->fields[i]) + 1;
    }
    return ATTUNE_OK;
}

static attune_status read_head(attune_threes *t, attune_csv *csv)
{
    static const char *const names[COLUMNS] = {"song1", "song2", "song3", "anchor", "positive"};
    attune_csv_row row;
    const attune_status status = attune_csv_next(csv, &row);
    for (int i = 0; status == ATTUNE_OK && i < COLUMNS; i++) {
        t->column[i] = attune_csv_column(&row, names[i]);
        if (t->column[i] == SIZE_MAX) {
            return attune_csv_refuse(csv,
                                     "has no column %s; threes to judge begin with the header "
                                     "song1,song2,song3,anchor,positive, and attune triplets "
                                     "--candidates makes them",
                                     names[i]);
        }
    }
    return status == ATTUNE_OK ? keep_fields(&t->head, &row, 0) : status;
}

static attune_status read_choice(attune_choice *out, const attune_csv *csv, const char *anchor,
                                 const char *positive)
{
    *out = ATTUNE_NO_CHOICE;
    if (!*anchor && !*positive) {
        return ATTUNE_OK;
    }
    if (strlen(anchor) != 1 || strlen(positive) != 1 || !strchr("123", *anchor) ||
        !strchr("123", *positive) || *anchor == *positive) {
        return attune_csv_refuse(csv,
                                 "the anchor \"%.20s\" and the positive \"%.20s\" are not two of "
                                 "the positions 1, 2, 3",
                                 anchor, positive);
    }
    *out = (attune_choice){(int8_t)(*anchor - '1'), (int8_t)(*positive - '1')};
    return ATTUNE_OK;
}

static attune_status grow(attune_threes *t, const attune_csv *csv)
{
    const uint32_t capacity = t->capacity ? 2 * t->capacity : 1024;
    if (t->count == ATTUNE_THREES_MAX) {
        return attune_csv_refuse(csv, "more than %d threes; give listeners fewer",
                                 ATTUNE_THREES_MAX);
    }
    if (t->count == t->capacity) {
        attune_three *rows = realloc(t->rows, capacity * sizeof(*rows));
        if (!rows) {
            return attune_fail_memory("threes", capacity * sizeof(*rows));
        }
        t->rows = rows;
        t->capacity = capacity;
    }
    return ATTUNE_OK;
}

/* A song is one whatever spaces are around its name. It keeps those before it that came first, for
 * a file may be called so. */
static attune_status add_song(uint32_t *out, attune_threes *t, const attune_csv_row *row,
                              size_t field)
{
    uint32_t number = 0;
    const char *name = row->fields[field];
    const attune_status status = attune_names_add(out, &t->words, attune_csv_word(row, field));
    return status == ATTUNE_OK && *out == t->songs.count
               ? attune_names_add(&number, &t->songs, name)
               : status;
}

static attune_status add_songs(attune_three *three, attune_threes *t, const attune_csv *csv,
                               const attune_csv_row *row)
{
    attune_status status = ATTUNE_OK;
    for (int i = 0; status == ATTUNE_OK && i < SONGS; i++) {
        const size_t at = t->column[i];
        if (attune_csv_is(row->fields[at], "")) {
            return attune_csv_refuse(csv, "song%d is empty", i + 1);
        }
        status = add_song(&three->song[i], t, row, at);
        for (int j = 0; status == ATTUNE_OK && j < i; j++) {
            if (three->song[i] == three->song[j]) {
                return attune_csv_refuse(csv, "song%d and song%d are one, %.60s", j + 1, i + 1,
                                         attune_csv_word(row, at));
            }
        }
    }
    return status;
}

static attune_status take_row(attune_threes *t, const attune_csv *csv, const attune_csv_row *row)
{
    const size_t *at = t->column;
    attune_three three = {.given = ATTUNE_NO_CHOICE, .line = row->line};
    attune_status status = grow(t, csv);
    for (int i = 0; status == ATTUNE_OK && i < COLUMNS; i++) {
        if (at[i] >= row->count) {
            return attune_csv_refuse(csv, "has %zu fields, too few", row->count);
        }
    }
    if (status == ATTUNE_OK) { /* before words lose the spaces around them */
        status = keep_fields(&three.fields, row, t->head.count);
    }
    if (status == ATTUNE_OK) {
        status = add_songs(&three, t, csv, row);
    }
    if (status == ATTUNE_OK) {
        status = read_choice(&three.given, csv, attune_csv_word(row, at[ANCHOR]),
                             attune_csv_word(row, at[POSITIVE]));
    }
    if (status != ATTUNE_OK) {
        free(three.fields.texts);
        return status;
    }
    t->judged += three.given.anchor >= 0;
    t->rows[t->count++] = three;
    return ATTUNE_OK;
}

attune_status attune_threes_read(attune_threes *out, const char *path)
{
    attune_csv *csv = NULL;
    attune_csv_row row = {0};
    *out = (attune_threes){0};
    attune_status status = attune_csv_open(&csv, path);
    if (status == ATTUNE_OK) {
        status = read_head(out, csv);
    }
    for (bool more = true; status == ATTUNE_OK && more;) {
        status = attune_csv_next(csv, &row);
        more = row.count > 0;
        if (status == ATTUNE_OK && more) {
            status = take_row(out, csv, &row);
        }
    }
    if (status == ATTUNE_OK && out->count == 0) {
        status = attune_csv_refuse(csv, "the file ends here without a three to judge");
    }
    attune_csv_close(csv);
    if (status != ATTUNE_OK) {
        attune_threes_free(out);
    }
    return status;
}

void attune_threes_free(attune_threes *threes)
{
    if (threes) {
        for (uint32_t r = 0; r < threes->count; r++) {
            free(threes->rows[r].fields.texts);
        }
        attune_names_free(&threes->songs);
        attune_names_free(&threes->words);
        free(threes->head.texts);
        free(threes->rows);
        *threes = (attune_threes){0};
    }
}

uint64_t attune_threes_key(const attune_threes *threes, uint32_t row)
{
    uint64_t hash = ATTUNE_HASH_BEGIN;
    for (int i = 0; i < SONGS; i++) {
        const char *word = NULL;
        const size_t length =
            attune_csv_trim(&word, threes->songs.texts[threes->rows[row].song[i]]);
        hash = attune_hash(attune_hash(hash, word, length), "", 1);
    }
    return hash;
}

static void write_row(FILE *stream, const attune_threes *t, const attune_three_fields *fields,
                      const char *anchor, const char *positive)
{
    const char *text = fields->texts;
    for (size_t i = 0; i < fields->count; i++, text += strlen(text) + 1) {
        fputs(i > 0 ? "," : "", stream);
        attune_csv_write_field(stream, i == t->column[ANCHOR]     ? anchor
                                       : i == t->column[POSITIVE] ? positive
                                                                  : text);
    }
    fputs("\r\n", stream);
}

attune_status attune_threes_write(const char *path, const attune_threes *threes,
                                  const attune_choice *choices)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) {
        return attune_fail_memory("a file of triplets", threes->count);
    }
    write_row(stream, threes, &threes->head, "anchor", "positive");
    for (uint32_t r = 0; r < threes->count; r++) {
        static const char *const positions[] = {"", "1", "2", "3"}; /* -1 to 2 */
        write_row(stream, threes, &threes->rows[r].fields, positions[choices[r].anchor + 1],
                  positions[choices[r].positive + 1]);
    }
    const bool written = !ferror(stream);
    const attune_status status = fclose(stream) == 0 && written
                                     ? attune_new_file_write(path, text, size, true)
                                     : attune_fail_memory("a file of triplets", size);
    free(text);
    return status;
}
