/* pool.c - which tracks, in which part, by which group. */
#include "fma/pool.h"

#include "status/error.h"

#include <stdlib.h>
#include <string.h>

/* What a track's group is called: a number of a genre, or an id. */
static int32_t key_of(const attune_fma_track *track, attune_fma_likeness likeness)
{
    return likeness == ATTUNE_FMA_BY_GENRE    ? track->genre_top
           : likeness == ATTUNE_FMA_BY_ARTIST ? track->artist_id
                                              : track->album_id;
}

static bool is_eligible(const attune_fma_track *track, const attune_fma_generate_options *options)
{
    const bool whole = options->subset == ATTUNE_FMA_FULL || !attune_fma_is_bad_clip(track->id);
    return whole && track->subset <= options->subset && key_of(track, options->likeness) >= 0;
}

/* ---- parts ---- */

static int compare_numbers(const void *left, const void *right)
{
    const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

/* What must not be shared: tracks or artists. */
static int32_t unit_of(const attune_fma_track *track, attune_fma_disjoint disjoint)
{
    return disjoint == ATTUNE_FMA_ARTISTS ? track->artist_id : track->id;
}

/* part[i] = the part of tracks[i], by a shuffle of the units. */
static attune_status divide(uint8_t *part, const attune_fma_track *const *tracks, uint32_t count,
                            const attune_fma_generate_options *options)
{
    const attune_split_options split = {.held_out = ATTUNE_SPLIT_SYNTHETIC.held_out,
                                        .validation = ATTUNE_SPLIT_SYNTHETIC.validation,
                                        .seed = (uint32_t)options->seed};
    uint32_t start[ATTUNE_PART_COUNT + 1], units = 0;
    int32_t *unit = malloc((count + 1) * sizeof(*unit));
    uint32_t *order = malloc((count + 1) * sizeof(*order));
    uint8_t *part_of_unit = malloc(count + 1);
    attune_status status = unit && order && part_of_unit
                               ? ATTUNE_OK
                               : attune_fail_memory("a split", count * sizeof(*unit));
    if (status != ATTUNE_OK) {
        goto done;
    }
    for (uint32_t i = 0; i < count; i++) {
        unit[i] = unit_of(tracks[i], options->disjoint);
    }
    qsort(unit, count, sizeof(*unit), compare_numbers);
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || unit[i] != unit[units - 1]) {
            unit[units++] = unit[i];
        }
    }
    status = attune_split_rows(order, start, units, &split);
    for (uint8_t p = 0; status == ATTUNE_OK && p < ATTUNE_PART_COUNT; p++) {
        for (uint32_t i = start[p]; i < start[p + 1]; i++) {
            part_of_unit[order[i]] = p;
        }
    }
    for (uint32_t i = 0; status == ATTUNE_OK && i < count; i++) {
        const int32_t wanted = unit_of(tracks[i], options->disjoint);
        const int32_t *found = bsearch(&wanted, unit, units, sizeof(*unit), compare_numbers);
        part[i] = part_of_unit[found - unit];
    }
done:
    free(unit);
    free(order);
    free(part_of_unit);
    return status;
}

static attune_status find_parts(uint8_t *part, const attune_fma_track *const *tracks,
                                uint32_t count, const attune_fma_generate_options *options)
{
    static const uint8_t official[ATTUNE_FMA_SPLIT_COUNT] = {
        [ATTUNE_FMA_NO_SPLIT] = ATTUNE_PART_TRAIN,
        [ATTUNE_FMA_TRAINING] = ATTUNE_PART_TRAIN,
        [ATTUNE_FMA_VALIDATION] = ATTUNE_PART_VALIDATION,
        [ATTUNE_FMA_TEST] = ATTUNE_PART_TEST,
    };
    if (options->disjoint == ATTUNE_FMA_TRACKS || options->disjoint == ATTUNE_FMA_ARTISTS) {
        return divide(part, tracks, count, options);
    }
    for (uint32_t i = 0; i < count; i++) {
        part[i] = options->disjoint == ATTUNE_FMA_OFFICIAL ? official[tracks[i]->split]
                                                           : (uint8_t)ATTUNE_PART_TRAIN;
    }
    return ATTUNE_OK;
}

/* ---- pools ---- */

/* A track while they are put in order. */
typedef struct keyed {
    int32_t key;
    const attune_fma_track *track;
} keyed;

static int compare_keyed(const void *left, const void *right)
{
    const keyed *a = left, *b = right;
    return a->key != b->key ? (a->key > b->key) - (a->key < b->key)
                            : (a->track->id > b->track->id) - (a->track->id < b->track->id);
}

/* Fills a pool with tracks that are put in order here. */
static attune_status fill(attune_fma_pool *pool, keyed *tracks, uint32_t count)
{
    pool->tracks = malloc((count + 1) * sizeof(*pool->tracks));
    pool->group = malloc((count + 1) * sizeof(*pool->group));
    pool->start = malloc((count + 1) * sizeof(*pool->start));
    if (!pool->tracks || !pool->group || !pool->start) {
        return attune_fail_memory("tracks", (count + 1) * sizeof(*pool->tracks));
    }
    qsort(tracks, count, sizeof(*tracks), compare_keyed);
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || tracks[i].key != tracks[i - 1].key) {
            pool->start[pool->groups++] = i;
        }
        pool->tracks[i] = tracks[i].track;
        pool->group[i] = pool->groups - 1;
    }
    pool->start[pool->groups] = pool->count = count;
    return ATTUNE_OK;
}

attune_status attune_fma_pools_make(attune_fma_pool pools[ATTUNE_PART_COUNT], const attune_fma *fma,
                                    const attune_fma_generate_options *options)
{
    const size_t all = (size_t)attune_fma_count(fma);
    const attune_fma_track **eligible = malloc(all * sizeof(*eligible));
    keyed *chosen = malloc(all * sizeof(*chosen));
    uint8_t *part = malloc(all);
    uint32_t count = 0;
    attune_status status = eligible && chosen && part
                               ? ATTUNE_OK
                               : attune_fail_memory("tracks", all * sizeof(*chosen));
    memset(pools, 0, ATTUNE_PART_COUNT * sizeof(*pools));
    for (size_t i = 0; status == ATTUNE_OK && i < all; i++) {
        const attune_fma_track *track = &attune_fma_tracks(fma)[i];
        if (is_eligible(track, options)) {
            eligible[count++] = track;
        }
    }
    if (status == ATTUNE_OK && count == 0) {
        status = attune_fail(ATTUNE_EINVAL, "the metadata have no track of %s to draw from",
                             attune_fma_subset_name(options->subset));
    }
    if (status == ATTUNE_OK) {
        status = find_parts(part, eligible, count, options);
    }
    for (int p = 0; status == ATTUNE_OK && p < ATTUNE_PART_COUNT; p++) {
        uint32_t chosen_count = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (part[i] == p) {
                chosen[chosen_count++] =
                    (keyed){key_of(eligible[i], options->likeness), eligible[i]};
            }
        }
        status = fill(&pools[p], chosen, chosen_count);
    }
    free(eligible);
    free(chosen);
    free(part);
    return status;
}

void attune_fma_pool_free(attune_fma_pool *pool)
{
    free(pool->tracks);
    free(pool->group);
    free(pool->start);
    *pool = (attune_fma_pool){0};
}

uint32_t attune_fma_group_size(const attune_fma_pool *pool, uint32_t group)
{
    return pool->start[group + 1] - pool->start[group];
}

uint32_t attune_fma_draw_inside(const attune_fma_pool *pool, attune_random *random, uint32_t place)
{
    const uint32_t group = pool->group[place];
    const uint32_t drawn =
        pool->start[group] + attune_random_below(random, attune_fma_group_size(pool, group) - 1);
    return drawn + (drawn >= place);
}

uint32_t attune_fma_draw_outside(const attune_fma_pool *pool, attune_random *random, uint32_t place)
{
    const uint32_t group = pool->group[place], size = attune_fma_group_size(pool, group);
    const uint32_t drawn = attune_random_below(random, pool->count - size);
    return drawn + (drawn >= pool->start[group] ? size : 0);
}
