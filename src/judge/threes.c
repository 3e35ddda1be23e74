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

static attune_status find_columns(size_t at[COLUMNS], attune_csv *csv)
{
    static const char *const names[COLUMNS] = {"song1", "song2", "song3", "anchor", "positive"};
    attune_csv_row row;
    const attune_status status = attune_csv_next(csv, &row);
    for (int i = 0; status == ATTUNE_OK && i < COLUMNS; i++) {
        at[i] = attune_csv_column(&row, names[i]);
        if (at[i] == SIZE_MAX) {
            return attune_csv_refuse(csv,
                                     "has no column %s; threes to judge begin with the header "
                                     "song1,song2,song3,anchor,positive, and attune triplets "
                                     "--candidates makes them",
                                     names[i]);
        }
    }
    return status;
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

static attune_status take_row(attune_threes *t, const size_t at[COLUMNS], const attune_csv *csv,
                              const attune_csv_row *row)
{
    attune_three three = {{0}, ATTUNE_NO_CHOICE};
    attune_status status = grow(t, csv);
    for (int i = 0; status == ATTUNE_OK && i < COLUMNS; i++) {
        if (at[i] >= row->count) {
            return attune_csv_refuse(csv, "has %zu fields, too few", row->count);
        }
    }
    for (int i = 0; status == ATTUNE_OK && i < SONGS; i++) {
        const char *name = row->fields[at[i]];
        if (attune_csv_is(name, "")) {
            return attune_csv_refuse(csv, "song%d is empty", i + 1);
        }
        status = attune_names_add(&three.song[i], &t->songs, name);
        for (int j = 0; status == ATTUNE_OK && j < i; j++) {
            if (three.song[i] == three.song[j]) {
                return attune_csv_refuse(csv, "song%d and song%d are one, %.60s", j + 1, i + 1,
                                         name);
            }
        }
    }
    if (status == ATTUNE_OK) {
        status = read_choice(&three.given, csv, attune_csv_word(row, at[ANCHOR]),
                             attune_csv_word(row, at[POSITIVE]));
    }
    if (status == ATTUNE_OK) {
        t->judged += three.given.anchor >= 0;
        t->rows[t->count++] = three;
    }
    return status;
}

attune_status attune_threes_read(attune_threes *out, const char *path)
{
    attune_csv *csv = NULL;
    attune_csv_row row = {0};
    size_t at[COLUMNS];
    *out = (attune_threes){0};
    attune_status status = attune_csv_open(&csv, path);
    if (status == ATTUNE_OK) {
        status = find_columns(at, csv);
    }
    for (bool more = true; status == ATTUNE_OK && more;) {
        status = attune_csv_next(csv, &row);
        more = row.count > 0;
        if (status == ATTUNE_OK && more) {
            status = take_row(out, at, csv, &row);
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
        attune_names_free(&threes->songs);
        free(threes->rows);
        *threes = (attune_threes){0};
    }
}

uint64_t attune_threes_key(const attune_threes *threes, uint32_t row)
{
    uint64_t hash = ATTUNE_HASH_BEGIN;
    for (int i = 0; i < SONGS; i++) {
        const char *name = threes->songs.texts[threes->rows[row].song[i]];
        hash = attune_hash(hash, name, strlen(name) + 1);
    }
    return hash;
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
    fputs("song1,song2,song3,anchor,positive\r\n", stream);
    for (uint32_t r = 0; r < threes->count; r++) {
        for (int i = 0; i < SONGS; i++) {
            attune_csv_write_field(stream, threes->songs.texts[threes->rows[r].song[i]]);
            fputc(',', stream);
        }
        if (choices[r].anchor >= 0) {
            fprintf(stream, "%d,%d\r\n", choices[r].anchor + 1, choices[r].positive + 1);
        } else {
            fputs(",\r\n", stream);
        }
    }
    const bool written = !ferror(stream);
    const attune_status status = fclose(stream) == 0 && written
                                     ? attune_new_file_write(path, text, size, true)
                                     : attune_fail_memory("a file of triplets", size);
    free(text);
    return status;
}
