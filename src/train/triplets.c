/* triplets.c - three kinds of files to triplets of tracks. The kinds are in triplets.h. */
#include "train/triplets.h"

#include "csv/csv.h"
#include "status/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const roles[3] = {"anchor", "positive", "negative"};

/* How the rows of a file give a triplet. */
typedef struct layout {
    attune_triplet_kind kind;
    size_t at[5]; /* anchor, positive, negative; of a human file the songs and the two positions */
    size_t width; /* fields that a row has at least: those of the header */
    bool first;   /* the first row is a triplet, and no header */
} layout;

/* Finds `count` columns by their names; every row has as many fields as this one. */
static bool find_columns(layout *l, const attune_csv_row *row, const char *const *names,
                         size_t count)
{
    l->width = row->count;
    for (size_t i = 0; i < count; i++) {
        l->at[i] = attune_csv_column(row, names[i]);
        if (l->at[i] == SIZE_MAX) {
            return false;
        }
    }
    return true;
}

/* A column that the first line calls by its role and the second, which `row` is now, track_id. */
static attune_status find_synthetic(layout *l, const char *const *names, const attune_csv *csv,
                                    const attune_csv_row *row)
{
    l->kind = ATTUNE_TRIPLETS_SYNTHETIC;
    l->width = row->count;
    for (size_t r = 0; r < 3; r++) {
        size_t matches = 0;
        for (size_t i = 0; i < row->count; i++) {
            if (attune_csv_is(row->fields[i], "track_id") && attune_csv_is(names[i], roles[r])) {
                l->at[r] = i;
                matches++;
            }
        }
        if (matches != 1) {
            return attune_csv_refuse(csv, "has %zu columns track_id below %s, and not one", matches,
                                     roles[r]);
        }
    }
    return ATTUNE_OK;
}

/* Reads the second header line of a synthetic file; the first goes with it. */
static attune_status read_second_header(layout *l, attune_csv *csv, const attune_csv_row *first)
{
    const size_t count = first->count;
    char **names = calloc(count, sizeof(*names));
    attune_csv_row row = {0};
    attune_status status = names ? ATTUNE_OK : attune_fail_memory("a header", count);
    for (size_t i = 0; status == ATTUNE_OK && i < count; i++) {
        names[i] = strdup(first->fields[i]);
        status = names[i] ? ATTUNE_OK : attune_fail_memory("a header", count);
    }
    if (status == ATTUNE_OK) {
        status = attune_csv_next(csv, &row);
    }
    if (status == ATTUNE_OK && row.count != count) {
        status = attune_csv_refuse(csv,
                                   "the second line of a header has %zu fields, and the first "
                                   "%zu",
                                   row.count, count);
    }
    if (status == ATTUNE_OK) {
        status = find_synthetic(l, (const char *const *)names, csv, &row);
    }
    for (size_t i = 0; names && i < count; i++) {
        free(names[i]);
    }
    free(names);
    return status;
}

static attune_status read_header(layout *l, attune_csv *csv, const attune_csv_row *row)
{
    static const char *const human[5] = {"song1", "song2", "song3", "anchor", "positive"};
    bool anchor = false;
    for (size_t i = 0; i < row->count; i++) {
        anchor |= attune_csv_is(row->fields[i], "anchor");
    }
    if (find_columns(l, row, human, 5)) {
        l->kind = ATTUNE_TRIPLETS_HUMAN;
        return ATTUNE_OK;
    }
    if (find_columns(l, row, roles, 3)) {
        l->kind = ATTUNE_TRIPLETS_PLAIN;
        return ATTUNE_OK;
    }
    if (anchor) {
        return row->count > 3 ? read_second_header(l, csv, row)
                              : attune_csv_refuse(csv, "is no header of triplets: anchor, positive "
                                                       "and negative are missing or repeated");
    }
    if (row->count == 3) {
        *l = (layout){.kind = ATTUNE_TRIPLETS_PLAIN, .at = {0, 1, 2}, .width = 3, .first = true};
        return ATTUNE_OK;
    }
    return row->count == 0
               ? attune_csv_refuse(csv, "the file is empty")
               : attune_csv_refuse(csv, "begins no file of triplets: known are the headers "
                                        "anchor,positive,negative and "
                                        "song1,song2,song3,anchor,positive, the published file of "
                                        "synthetic triplets, and rows of three ids or paths");
}

/* "1" to "3" as 0 to 2; -1 for anything else. */
static int position_of(const char *text)
{
    return text[0] >= '1' && text[0] <= '3' && !text[1] ? text[0] - '1' : -1;
}

/* names[3] of a row; *labelled is false for one that nobody has judged. */
static attune_status read_names(const char *names[3], bool *labelled, const layout *l,
                                const attune_csv *csv, const attune_csv_row *row)
{
    *labelled = true;
    if (row->count < l->width) {
        return attune_csv_refuse(csv, "has %zu fields, and not %zu; is the file whole?", row->count,
                                 l->width);
    }
    for (int i = 0; i < 3; i++) {
        names[i] = row->fields[l->at[i]];
    }
    if (l->kind == ATTUNE_TRIPLETS_HUMAN) {
        const char *anchor = attune_csv_word(row, l->at[3]),
                   *positive = attune_csv_word(row, l->at[4]);
        *labelled = *anchor || *positive;
        const int a = position_of(anchor), p = position_of(positive);
        if (*labelled && (a < 0 || p < 0 || a == p)) {
            return attune_csv_refuse(csv,
                                     "the anchor \"%.20s\" and the positive \"%.20s\" are not "
                                     "two of the positions 1, 2, 3",
                                     anchor, positive);
        }
        if (*labelled) {
            const char *songs[3] = {names[0], names[1], names[2]};
            names[0] = songs[a];
            names[1] = songs[p];
            names[2] = songs[3 - a - p];
        }
    }
    for (int i = 0; *labelled && i < 3; i++) {
        if (attune_csv_is(names[i], "")) {
            return attune_csv_refuse(csv, "the %s is empty", roles[i]);
        }
    }
    return ATTUNE_OK;
}

static attune_status append(attune_triplets *t, uint32_t *capacity, attune_triplet triplet)
{
    if (t->count == *capacity) {
        const size_t larger = *capacity ? (size_t)*capacity * 2 : 1024;
        attune_triplet *triplets =
            larger < UINT32_MAX ? realloc(t->triplets, larger * sizeof(*triplets)) : NULL;
        if (!triplets) {
            return attune_fail_memory("triplets", larger * sizeof(*triplets));
        }
        t->triplets = triplets;
        *capacity = (uint32_t)larger;
    }
    triplet.row = t->count;
    t->triplets[t->count++] = triplet;
    return ATTUNE_OK;
}

static attune_status take_row(attune_triplets *t, uint32_t *capacity, attune_tracks *tracks,
                              const layout *l, const attune_csv *csv, const attune_csv_row *row)
{
    const char *names[3] = {NULL};
    bool labelled = false;
    uint32_t found[3] = {0};
    attune_status status = read_names(names, &labelled, l, csv, row);
    if (status != ATTUNE_OK || !labelled) {
        t->unlabelled += !labelled;
        return status;
    }
    for (int i = 0; status == ATTUNE_OK && i < 3; i++) {
        status = attune_tracks_find(&found[i], tracks, names[i]);
    }
    for (int i = 0; status == ATTUNE_OK && i < 3; i++) {
        const uint32_t other = found[(i + 1) % 3];
        if (found[i] != ATTUNE_NO_TRACK && found[i] == other) {
            status = attune_csv_refuse(csv, "the %s and the %s are one track, %.60s", roles[i],
                                       roles[(i + 1) % 3], names[i]);
        }
    }
    return status == ATTUNE_OK
               ? append(t, capacity, (attune_triplet){found[0], found[1], found[2], 0})
               : status;
}

static attune_status read_rows(attune_triplets *t, attune_tracks *tracks, attune_csv *csv)
{
    layout l = {0};
    attune_csv_row row = {0};
    uint32_t capacity = 0;
    attune_status status = attune_csv_next(csv, &row);
    if (status == ATTUNE_OK) {
        status = read_header(&l, csv, &row);
    }
    t->kind = l.kind;
    if (status == ATTUNE_OK && !l.first) {
        status = attune_csv_next(csv, &row);
    }
    while (status == ATTUNE_OK && row.count > 0) {
        status = take_row(t, &capacity, tracks, &l, csv, &row);
        if (status == ATTUNE_OK) {
            status = attune_csv_next(csv, &row);
        }
    }
    if (status == ATTUNE_OK && t->count == 0) {
        status = attune_csv_refuse(csv, t->unlabelled > 0
                                            ? "the file ends here, and nobody has judged any of "
                                              "its threes; attune judge asks"
                                            : "the file ends here without a triplet");
    }
    for (int i = 1; i <= ATTUNE_PART_COUNT; i++) {
        t->start[i] = t->count;
    }
    return status;
}

attune_status attune_triplets_read(attune_triplets *out, attune_tracks *tracks, const char *path)
{
    attune_csv *csv = NULL;
    *out = (attune_triplets){0};
    attune_status status = attune_csv_open(&csv, path);
    if (status == ATTUNE_OK) {
        status = read_rows(out, tracks, csv);
    }
    attune_csv_close(csv);
    if (status != ATTUNE_OK) {
        attune_triplets_free(out);
    }
    return status;
}

void attune_triplets_free(attune_triplets *triplets)
{
    if (triplets) {
        free(triplets->triplets);
        *triplets = (attune_triplets){0};
    }
}

static bool is_whole(const attune_triplet *t)
{
    return t->anchor != ATTUNE_NO_TRACK && t->positive != ATTUNE_NO_TRACK &&
           t->negative != ATTUNE_NO_TRACK;
}

attune_status attune_triplets_split(attune_triplets *triplets, const attune_split_options *options)
{
    attune_triplets *t = triplets;
    const uint32_t rows = t->count;
    uint32_t start[ATTUNE_PART_COUNT + 1], kept = 0;
    uint32_t *order = malloc(sizeof(*order) * ((size_t)rows + 1));
    attune_triplet *sorted = malloc(sizeof(*sorted) * ((size_t)rows + 1));
    attune_status status = order && sorted ? attune_split_rows(order, start, rows, options)
                                           : attune_fail_memory("triplets", sizeof(*sorted) * rows);
    if (status != ATTUNE_OK) {
        free(sorted);
        free(order);
        return status;
    }
    for (int part = 0; part < ATTUNE_PART_COUNT; part++) {
        t->start[part] = kept;
        for (uint32_t i = start[part]; i < start[part + 1]; i++) {
            if (is_whole(&t->triplets[order[i]])) {
                sorted[kept++] = t->triplets[order[i]];
            }
        }
    }
    t->start[ATTUNE_PART_COUNT] = t->count = kept;
    t->skipped = rows - kept;
    free(t->triplets);
    t->triplets = sorted;
    free(order);
    return ATTUNE_OK;
}

attune_status attune_triplets_is_human(bool *out, const char *path)
{
    attune_csv *csv = NULL;
    attune_csv_row row;
    layout l = {0};
    struct stat information;
    *out = false;
    if (stat(path, &information) == 0 && !S_ISREG(information.st_mode) &&
        !S_ISDIR(information.st_mode)) {
        return attune_fail(ATTUNE_EINVAL,
                           "%s: is no regular file, and triplets are read more than once", path);
    }
    attune_status status = attune_csv_open(&csv, path);
    status = status ? status : attune_csv_next(csv, &row);
    status = status ? status : read_header(&l, csv, &row);
    *out = !status && l.kind == ATTUNE_TRIPLETS_HUMAN;
    attune_csv_close(csv);
    return status;
}
