/* rows.c - a growing batch of rows. The layout is in rows.h. */
#include "store/rows.h"

#include "status/error.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define DESCRIPTORS_SIZE (ATTUNE_DESCRIPTORS * sizeof(float))

attune_status attune_rows_create(attune_rows **out, int embedding)
{
    *out = NULL;
    if (embedding < 1 || embedding > ATTUNE_EMBEDDING_MAX) {
        return attune_fail(ATTUNE_EINVAL, "an embedding of %d numbers; it must have 1 to %d",
                           embedding, ATTUNE_EMBEDDING_MAX);
    }
    attune_rows *rows = calloc(1, sizeof(*rows));
    if (!rows) {
        return attune_fail_memory("rows", sizeof(*rows));
    }
    rows->embedding = embedding;
    *out = rows;
    return ATTUNE_OK;
}

void attune_rows_free(attune_rows *rows)
{
    if (rows) {
        free(rows->records);
        free(rows->embeddings);
        free(rows->descriptors);
        free(rows->text);
        free(rows);
    }
}

/* The capacity to grow to so that `needed` elements fit: half as much again, so that appending
 * stays linear and at most a third of the memory is slack. 0 when `needed` of `size` bytes cannot
 * be. */
static size_t grown(size_t capacity, size_t needed, size_t size)
{
    size_t limit = (size_t)PTRDIFF_MAX / size;
    if (needed > limit) {
        return 0;
    }
    size_t more = capacity + capacity / 2 + 64; /* capacity <= limit <= SIZE_MAX / 2 */
    return more < needed ? needed : more > limit ? limit : more;
}

static attune_status reserve_rows(attune_rows *rows, size_t count)
{
    if (count <= rows->capacity) {
        return ATTUNE_OK;
    }
    size_t row_size = sizeof(float) * (size_t)rows->embedding;
    size_t widest = row_size > sizeof(attune_record) ? row_size : sizeof(attune_record);
    size_t capacity = grown(rows->capacity, count, widest);
    attune_record *records = capacity ? realloc(rows->records, capacity * sizeof(*records)) : NULL;
    if (!records) {
        return attune_fail_memory("rows", (unsigned long long)count * sizeof(*records));
    }
    rows->records = records;
    float *embeddings = realloc(rows->embeddings, capacity * row_size);
    if (!embeddings) {
        return attune_fail_memory("embeddings", (unsigned long long)capacity * row_size);
    }
    rows->embeddings = embeddings;
    if (rows->descriptors) {
        float *descriptors = realloc(rows->descriptors, capacity * DESCRIPTORS_SIZE);
        if (!descriptors) {
            return attune_fail_memory("descriptors",
                                      (unsigned long long)capacity * DESCRIPTORS_SIZE);
        }
        rows->descriptors = descriptors;
    }
    rows->capacity = capacity;
    return ATTUNE_OK;
}

/* Gives the rows descriptors, of NaN. */
static attune_status begin_descriptors(attune_rows *rows)
{
    rows->descriptors = malloc(rows->capacity * DESCRIPTORS_SIZE);
    if (!rows->descriptors) {
        return attune_fail_memory("descriptors",
                                  (unsigned long long)rows->capacity * DESCRIPTORS_SIZE);
    }
    for (size_t i = 0; i < rows->count * ATTUNE_DESCRIPTORS; i++) {
        rows->descriptors[i] = NAN;
    }
    return ATTUNE_OK;
}

/* Writes a row of numbers; NULL is NaN. */
static void fill_row(float *to, const float *from, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        to[i] = from ? from[i] : NAN;
    }
}

static attune_status reserve_text(attune_rows *rows, size_t length)
{
    if (length <= rows->text_capacity) {
        return ATTUNE_OK;
    }
    size_t capacity = grown(rows->text_capacity, length, 1);
    char *text = capacity ? realloc(rows->text, capacity) : NULL;
    if (!text) {
        return attune_fail_memory("paths", length);
    }
    rows->text = text;
    rows->text_capacity = capacity;
    return ATTUNE_OK;
}

/* Room for it is reserved. The empty text is stored once, at 0: most rows have no error. */
static uint64_t add_text(attune_rows *rows, attune_text text)
{
    if (text.length == 0) {
        return 0;
    }
    size_t offset = rows->text_length;
    memcpy(rows->text + offset, text.bytes, text.length);
    rows->text[offset + text.length] = '\0';
    rows->text_length = offset + text.length + 1;
    return offset;
}

attune_status attune_rows_append_text(attune_rows *rows, const attune_row *row, attune_text path,
                                      attune_text error)
{
    if ((int)row->status < 0 || (int)row->status >= ATTUNE_TRACK_STATUS_COUNT) {
        return attune_fail(ATTUNE_EINVAL, "a row has the unknown status %d", (int)row->status);
    }
    const attune_labels labels = row->labels ? *row->labels : ATTUNE_NO_LABELS;
    if ((unsigned)labels.split >= ATTUNE_FMA_SPLIT_COUNT ||
        !memchr(labels.genre_top, '\0', sizeof(labels.genre_top))) {
        return attune_fail(ATTUNE_EINVAL,
                           "a row's labels have the unknown split %u, or a genre "
                           "without an end",
                           (unsigned)labels.split);
    }
    if (path.length > ATTUNE_TEXT_MAX || error.length > ATTUNE_TEXT_MAX) {
        return attune_fail(ATTUNE_EINVAL, "a row's path or error text is longer than %u bytes",
                           ATTUNE_TEXT_MAX);
    }
    attune_status status = reserve_rows(rows, rows->count + 1);
    if (status == ATTUNE_OK) {
        status = reserve_text(rows, rows->text_length + path.length + error.length + 3);
    }
    if (status == ATTUNE_OK && row->descriptors && !rows->descriptors) {
        status = begin_descriptors(rows);
    }
    if (status != ATTUNE_OK) {
        return status;
    }
    if (rows->text_length == 0) {
        rows->text[rows->text_length++] = '\0';
    }
    size_t width = (size_t)rows->embedding;
    fill_row(rows->embeddings + rows->count * width, row->embedding, width);
    if (rows->descriptors) {
        fill_row(rows->descriptors + rows->count * ATTUNE_DESCRIPTORS, row->descriptors,
                 ATTUNE_DESCRIPTORS);
    }
    rows->records[rows->count++] = (attune_record){
        .path = add_text(rows, path),
        .error = add_text(rows, error),
        .duration = row->duration,
        .size = row->size,
        .mtime_ns = row->mtime_ns,
        .frames = row->frames,
        .status = (uint8_t)row->status,
        .labels = labels,
    };
    return ATTUNE_OK;
}

attune_status attune_rows_append(attune_rows *rows, const attune_row *row)
{
    if (!row->path) {
        return attune_fail(ATTUNE_EINVAL, "a row has no path");
    }
    const char *error = row->error ? row->error : "";
    return attune_rows_append_text(rows, row, (attune_text){row->path, strlen(row->path)},
                                   (attune_text){error, strlen(error)});
}

size_t attune_rows_count(const attune_rows *rows)
{
    return rows->count;
}

attune_row attune_rows_get(const attune_rows *rows, size_t index)
{
    assert(index < rows->count);
    const attune_record *record = &rows->records[index];
    return (attune_row){
        .path = rows->text + record->path,
        .status = (attune_track_status)record->status,
        .error = rows->text + record->error,
        .duration = record->duration,
        .frames = record->frames,
        .size = record->size,
        .mtime_ns = record->mtime_ns,
        .embedding = rows->embeddings + index * (size_t)rows->embedding,
        .descriptors = rows->descriptors ? rows->descriptors + index * ATTUNE_DESCRIPTORS : NULL,
        .labels = &record->labels,
    };
}

bool attune_labels_equal(const attune_labels *a, const attune_labels *b)
{
    return a->track_id == b->track_id && a->artist_id == b->artist_id &&
           a->album_id == b->album_id && a->split == b->split &&
           strcmp(a->genre_top, b->genre_top) == 0;
}

attune_status attune_row_check(const attune_row *row, int embedding)
{
    for (int i = 0; i < embedding && attune_track_has_embedding(row->status); i++) {
        if (!isfinite(row->embedding[i])) {
            return attune_fail(ATTUNE_EDATA,
                               "%s: its embedding is not finite, though its status is %s: the "
                               "output is damaged; make it again",
                               row->path, attune_track_status_name(row->status));
        }
    }
    return ATTUNE_OK;
}

void attune_rows_truncate(attune_rows *rows, size_t count, size_t text_length)
{
    assert(count <= rows->count && text_length <= rows->text_length);
    rows->count = count;
    rows->text_length = text_length;
}

void attune_rows_clear(attune_rows *rows)
{
    attune_rows_truncate(rows, 0, 0);
}

typedef struct attune_sort_key {
    const char *path;
    size_t index; /* the row's place before sorting: rows of one path keep their order */
} attune_sort_key;

static int compare_keys(const void *left, const void *right)
{
    const attune_sort_key *a = left, *b = right;
    int order = strcmp(a->path, b->path);
    return order ? order : (a->index > b->index) - (a->index < b->index);
}

static bool is_sorted(const attune_rows *rows)
{
    for (size_t i = 1; i < rows->count; i++) {
        if (strcmp(rows->text + rows->records[i - 1].path, rows->text + rows->records[i].path) >
            0) {
            return false;
        }
    }
    return true;
}

static float *descriptors_of(const attune_rows *rows, size_t index)
{
    return rows->descriptors + index * ATTUNE_DESCRIPTORS;
}

static void move_row(attune_rows *rows, size_t to, size_t from)
{
    size_t width = (size_t)rows->embedding;
    rows->records[to] = rows->records[from];
    memcpy(rows->embeddings + to * width, rows->embeddings + from * width, width * sizeof(float));
    if (rows->descriptors) {
        memcpy(descriptors_of(rows, to), descriptors_of(rows, from), DESCRIPTORS_SIZE);
    }
}

/* Puts row keys[i].index at i, for all i, cycle by cycle: in place, because a copy of ten million
 * rows would be gigabytes. keys[i].index becomes i as its row arrives. `kept` has room for one
 * embedding. */
static void permute(attune_rows *rows, attune_sort_key *keys, float *kept)
{
    size_t width = (size_t)rows->embedding;
    float descriptors[ATTUNE_DESCRIPTORS];
    for (size_t start = 0; start < rows->count; start++) {
        if (keys[start].index == start) {
            continue;
        }
        attune_record record = rows->records[start];
        memcpy(kept, rows->embeddings + start * width, width * sizeof(float));
        if (rows->descriptors) {
            memcpy(descriptors, descriptors_of(rows, start), DESCRIPTORS_SIZE);
        }
        size_t to = start;
        while (keys[to].index != start) {
            size_t from = keys[to].index;
            move_row(rows, to, from);
            keys[to].index = to;
            to = from;
        }
        rows->records[to] = record;
        memcpy(rows->embeddings + to * width, kept, width * sizeof(float));
        if (rows->descriptors) {
            memcpy(descriptors_of(rows, to), descriptors, DESCRIPTORS_SIZE);
        }
        keys[to].index = to;
    }
}

attune_status attune_rows_sort(attune_rows *rows)
{
    if (is_sorted(rows)) {
        return ATTUNE_OK;
    }
    attune_status status = ATTUNE_OK;
    /* Cannot overflow: a key is no larger than a record, of which there are as many in memory. */
    attune_sort_key *keys = malloc(rows->count * sizeof(*keys));
    float *kept = malloc((size_t)rows->embedding * sizeof(*kept));
    if (!keys || !kept) {
        status = attune_fail_memory("sorting", (unsigned long long)rows->count * sizeof(*keys));
        goto done;
    }
    for (size_t i = 0; i < rows->count; i++) {
        keys[i] = (attune_sort_key){rows->text + rows->records[i].path, i};
    }
    qsort(keys, rows->count, sizeof(*keys), compare_keys);
    permute(rows, keys, kept);
done:
    free(keys);
    free(kept);
    return status;
}

uint64_t attune_row_checksum(const attune_row *row, int embedding)
{
    struct {
        double duration;
        uint64_t size;
        int64_t mtime_ns;
        uint32_t frames, status;
    } numbers = {row->duration, row->size, row->mtime_ns, row->frames, (uint32_t)row->status};
    uint64_t hash = XXH3_64bits(&numbers, sizeof(numbers));
    hash = XXH3_64bits_withSeed(row->path, strlen(row->path), hash);
    hash = XXH3_64bits_withSeed(row->error, strlen(row->error), hash);
    return XXH3_64bits_withSeed(row->embedding, sizeof(float) * (size_t)embedding, hash);
}
