/* choice.c - the ranking by pages, each row held against the limits. What the limits need of a
 * page's rows is read in the order of the file, in which chunks are read once. */
#include "store/choice.h"

#include "status/error.h"
#include "status/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Rows of the first page and of the largest: pages grow, so that strict limits cost few passes. */
enum { PAGE_FIRST = 256, PAGE_LAST = 32768 };

/* How many rows of each key were chosen: a table that is at most half full. */
typedef struct tally {
    uint64_t *keys;
    uint32_t *counts; /* 0: an empty place */
    uint64_t mask;
} tally;

/* What the limits ask of a row. */
typedef struct candidate {
    uint32_t place; /* in the ranking's page */
    uint64_t row;
    uint64_t folder; /* its hash */
    int32_t artist;  /* -1: not known */
} candidate;

typedef struct choice {
    const attune_ranking *ranking;
    const attune_limits *limits;
    attune_near *chosen;
    uint32_t *count, wanted;
    tally artists, folders;
    float *vectors; /* (wanted, E) of the chosen; NULL: no limit needs them */
    attune_near *page;
    candidate *candidates; /* of the page, in its order */
    float *page_vectors;   /* (page, E), in its order */
    int embedding;
} choice;

/* ---- counting ---- */

static bool tally_open(tally *t, uint32_t most)
{
    uint64_t size = 16;
    while (size < 2 * (uint64_t)most) {
        size *= 2;
    }
    t->mask = size - 1;
    t->keys = calloc(size, sizeof(*t->keys));
    t->counts = calloc(size, sizeof(*t->counts));
    return t->keys && t->counts;
}

static void tally_close(tally *t)
{
    free(t->keys);
    free(t->counts);
}

/* The count of `key`. */
static uint32_t *tally_find(tally *t, uint64_t key)
{
    uint64_t at = attune_hash(ATTUNE_HASH_BEGIN, &key, sizeof(key)) >> 32;
    at &= t->mask;
    while (t->counts[at] > 0 && t->keys[at] != key) {
        at = (at + 1) & t->mask;
    }
    t->keys[at] = key;
    return &t->counts[at];
}

/* ---- a page ---- */

static int compare_rows(const void *left, const void *right)
{
    const candidate *a = left, *b = right;
    return (a->row > b->row) - (a->row < b->row);
}

static int compare_places(const void *left, const void *right)
{
    const candidate *a = left, *b = right;
    return (a->place > b->place) - (a->place < b->place);
}

/* Fills in the candidates of a page of `count` rows. */
static attune_status read_candidates(choice *c, uint32_t count)
{
    attune_rows *rows = NULL;
    const size_t width = (size_t)c->embedding;
    attune_status status = attune_rows_create(&rows, c->embedding);
    for (uint32_t i = 0; i < count; i++) {
        c->candidates[i] = (candidate){.place = i, .row = c->page[i].row};
    }
    qsort(c->candidates, count, sizeof(*c->candidates), compare_rows);
    for (uint32_t i = 0; status == ATTUNE_OK && i < count; i++) {
        candidate *at = &c->candidates[i];
        attune_rows_clear(rows);
        status = attune_store_read(c->ranking->store, at->row, 1, rows);
        if (status == ATTUNE_OK) {
            const attune_row row = attune_rows_get(rows, 0);
            const char *slash = strrchr(row.path, '/');
            at->folder =
                attune_hash(ATTUNE_HASH_BEGIN, row.path, slash ? (size_t)(slash - row.path) : 0);
            at->artist = row.labels->artist_id;
            memcpy(c->page_vectors + at->place * width, row.embedding, width * sizeof(float));
        }
    }
    qsort(c->candidates, count, sizeof(*c->candidates), compare_places);
    attune_rows_free(rows);
    return status;
}

/* ---- the choice ---- */

static bool is_apart(const choice *c, const float *vector)
{
    const size_t width = (size_t)c->embedding;
    for (uint32_t i = 0; i < *c->count; i++) {
        if (1 - attune_dot(vector, c->vectors + i * width, c->embedding) < c->limits->apart) {
            return false;
        }
    }
    for (size_t q = 0; q < c->ranking->count; q++) {
        if (1 - attune_dot(vector, c->ranking->queries + q * width, c->embedding) <
            c->limits->apart) {
            return false;
        }
    }
    return true;
}

/* Takes the row at `place` of the page unless a limit forbids it. */
static void consider(choice *c, uint32_t place)
{
    const size_t width = (size_t)c->embedding;
    const attune_limits *limits = c->limits;
    const candidate *at = &c->candidates[place];
    const float *vector = c->page_vectors + place * width;
    uint32_t *artist = limits->per_artist && at->artist >= 0
                           ? tally_find(&c->artists, (uint64_t)at->artist)
                           : NULL;
    uint32_t *folder = limits->per_folder ? tally_find(&c->folders, at->folder) : NULL;
    if ((artist && *artist >= limits->per_artist) || (folder && *folder >= limits->per_folder) ||
        (limits->apart > 0 && !is_apart(c, vector))) {
        return;
    }
    if (artist) {
        ++*artist;
    }
    if (folder) {
        ++*folder;
    }
    memcpy(c->vectors + *c->count * width, vector, width * sizeof(float));
    c->chosen[(*c->count)++] = c->page[place];
}

static attune_status go_through(choice *c)
{
    attune_near last = {0};
    bool first = true;
    uint32_t count = 0, capacity = 0;
    attune_status status = ATTUNE_OK;
    do {
        capacity = first ? PAGE_FIRST : capacity < PAGE_LAST ? 2 * capacity : PAGE_LAST;
        status = attune_ranking_page(c->page, &count, c->ranking, first ? NULL : &last, capacity);
        if (status == ATTUNE_OK && count > 0) {
            status = read_candidates(c, count);
            last = c->page[count - 1];
            first = false;
        }
        for (uint32_t i = 0; status == ATTUNE_OK && i < count && *c->count < c->wanted; i++) {
            consider(c, i);
        }
    } while (status == ATTUNE_OK && count == capacity && *c->count < c->wanted);
    return status;
}

attune_status attune_choose(attune_near *chosen, uint32_t *count, const attune_ranking *ranking,
                            const attune_limits *limits, uint32_t wanted)
{
    const attune_store_attributes *attributes = attune_store_attributes_of(ranking->store);
    *count = 0;
    if (limits->per_artist == 0 && limits->per_folder == 0 && !(limits->apart > 0)) {
        return attune_ranking_page(chosen, count, ranking, NULL, wanted);
    }
    assert(limits->per_artist == 0 || attributes->labels);
    choice c = {
        .ranking = ranking,
        .limits = limits,
        .chosen = chosen,
        .count = count,
        .wanted = wanted,
        .embedding = attributes->embedding,
    };
    const size_t vector = (size_t)c.embedding * sizeof(float);
    c.page = calloc(PAGE_LAST, sizeof(*c.page));
    c.candidates = calloc(PAGE_LAST, sizeof(*c.candidates));
    c.page_vectors = calloc(PAGE_LAST, vector);
    c.vectors = calloc(wanted, vector);
    const bool counting = tally_open(&c.artists, wanted) && tally_open(&c.folders, wanted);
    const attune_status status =
        counting && c.page && c.candidates && c.page_vectors && c.vectors
            ? go_through(&c)
            : attune_fail_memory("a choice", (PAGE_LAST + (size_t)wanted) * vector);
    tally_close(&c.artists);
    tally_close(&c.folders);
    free(c.page);
    free(c.candidates);
    free(c.page_vectors);
    free(c.vectors);
    return status;
}
