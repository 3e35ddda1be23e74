/* generate.c - drawing, by trial where a rule forbids what was drawn. How often it is tried is
 * bounded, so that what cannot be ends. */
#include "fma/generate.h"

#include "fma/heuristic.h"
#include "fma/pool.h"
#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 10000, TRACK_BITS = 21, PUBLISHED = 8000, OF_TRACK = 10 };

/* Which triplets there are: open addressing, at most half full. */
typedef struct triplet_set {
    uint64_t *keys; /* (size), a power of two; 0: empty */
    uint64_t size;
} triplet_set;

typedef struct generator {
    const attune_fma *fma;
    const attune_fma_generate_options *options;
    attune_fma_triplets *out;
    triplet_set set;
    uint32_t count;   /* of all parts */
    bool *was_anchor; /* by number of track */
    const attune_fma_pool *pool;
    attune_random random;
} generator;

void attune_fma_generate_defaults(attune_fma_generate_options *options)
{
    *options = (attune_fma_generate_options){
        .subset = ATTUNE_FMA_SMALL,
        .likeness = ATTUNE_FMA_BY_GENRE,
        .disjoint = ATTUNE_FMA_WHOLE,
        .seed = 42,
    };
}

static uint64_t number_of(const generator *g, const attune_fma_track *track)
{
    return (uint64_t)(track - attune_fma_tracks(g->fma));
}

/* Adds a triplet; false if it is there. There is room. */
static bool add_key(triplet_set *set, uint64_t key)
{
    uint64_t slot = attune_random_mix(key) & (set->size - 1);
    while (set->keys[slot] && set->keys[slot] != key) {
        slot = (slot + 1) & (set->size - 1);
    }
    const bool added = !set->keys[slot];
    set->keys[slot] = key;
    return added;
}

static uint64_t key_of(uint64_t a, uint64_t b, uint64_t c)
{
    return (a << 2 * TRACK_BITS | b << TRACK_BITS | c) + 1;
}

/* Adds a triplet of places in the pool; false if there is one like it. */
static bool add(generator *g, uint32_t anchor, uint32_t positive, uint32_t negative)
{
    const attune_fma_triplet t = {g->pool->tracks[anchor], g->pool->tracks[positive],
                                  g->pool->tracks[negative]};
    if (!add_key(&g->set, key_of(number_of(g, t.anchor), number_of(g, t.positive),
                                 number_of(g, t.negative)))) {
        return false;
    }
    g->was_anchor[number_of(g, t.anchor)] = true;
    g->out->triplets[g->out->count++] = t;
    return true;
}

/* Draws a negative; false if none came that may be it. */
static bool draw_negative(uint32_t *out, generator *g, uint32_t anchor, uint32_t positive)
{
    const attune_fma_pool *pool = g->pool;
    const bool by_genre = g->options->likeness == ATTUNE_FMA_BY_GENRE;
    if (!g->options->hierarchy) {
        *out = attune_fma_draw_outside(pool, &g->random, anchor);
        return true;
    }
    for (int i = 0; i < TRIES; i++) {
        const uint32_t drawn = by_genre ? attune_random_below(&g->random, pool->count)
                                        : attune_fma_draw_outside(pool, &g->random, anchor);
        const attune_fma_track *track = pool->tracks[drawn];
        const int steps =
            attune_fma_steps(attune_fma_genres_of(g->fma), pool->tracks[anchor], track);
        const bool allowed = !by_genre || (steps > 0 && drawn != anchor && drawn != positive &&
                                           attune_fma_compare(pool->tracks[anchor],
                                                              pool->tracks[positive], track) > 0);
        if (allowed && attune_random_uniform(&g->random) < ldexp(1, by_genre - steps)) {
            *out = drawn;
            return true;
        }
    }
    return false;
}

/* Draws a triplet with this anchor, whose group has another track; false if none came. */
static bool draw_of_group(generator *g, uint32_t anchor)
{
    const uint32_t positive = attune_fma_draw_inside(g->pool, &g->random, anchor);
    uint32_t negative = 0;
    return draw_negative(&negative, g, anchor, positive) && add(g, anchor, positive, negative);
}

/* `count` triplets with anchors of each group, or as many of it as there are. */
static void draw_each_group(generator *g, uint32_t count)
{
    const attune_fma_pool *pool = g->pool;
    for (uint32_t group = 0; group < pool->groups && pool->groups > 1; group++) {
        const uint32_t size = attune_fma_group_size(pool, group);
        uint32_t made = 0;
        for (int tries = 0; size > 1 && made < count && tries < TRIES; tries++) {
            if (draw_of_group(g, pool->start[group] + attune_random_below(&g->random, size))) {
                made++;
                tries = 0;
            }
        }
    }
}

/* Triplets until there are `end`, with anchors of any group. */
static void draw_any_group(generator *g, uint32_t end)
{
    const attune_fma_pool *pool = g->pool;
    for (int tries = 0; pool->groups > 1 && g->out->count < end && tries < TRIES; tries++) {
        const uint32_t anchor = attune_random_below(&g->random, pool->count);
        if (attune_fma_group_size(pool, pool->group[anchor]) > 1 && draw_of_group(g, anchor)) {
            tries = 0;
        }
    }
}

/* Draws two more tracks until genres say which is more like the anchor. */
static void draw_decided(generator *g, uint32_t anchor)
{
    const attune_fma_pool *pool = g->pool;
    for (int tries = 0; tries < TRIES; tries++) {
        const uint32_t a = attune_random_below(&g->random, pool->count);
        const uint32_t b = attune_random_below(&g->random, pool->count);
        if (a == anchor || b == anchor || a == b) {
            continue;
        }
        const int order =
            attune_fma_compare(pool->tracks[anchor], pool->tracks[a], pool->tracks[b]);
        if (order != 0 && add(g, anchor, order > 0 ? a : b, order > 0 ? b : a)) {
            return;
        }
    }
}

/* Triplets decided by genres until there are `end`, or no anchors any more: new ones first. */
static attune_status draw_heuristic(generator *g, uint32_t end)
{
    const attune_fma_pool *pool = g->pool;
    uint32_t *order = malloc((pool->count + 1) * sizeof(*order)), count = 0;
    if (!order) {
        return attune_fail_memory("anchors", pool->count * sizeof(*order));
    }
    for (int used = 0; used < 2; used++) {
        const uint32_t first = count;
        for (uint32_t i = 0; i < pool->count; i++) {
            if (g->was_anchor[number_of(g, pool->tracks[i])] == used) {
                const uint32_t at = first + attune_random_below(&g->random, count - first + 1);
                order[count++] = order[at]; /* a shuffle from the inside out */
                order[at] = i;
            }
        }
    }
    for (uint32_t i = 0; i < count && g->out->count < end; i++) {
        draw_decided(g, order[i]);
    }
    free(order);
    return ATTUNE_OK;
}

/* How many groups of a pool can give triplets. */
static uint32_t usable_groups(const attune_fma_pool *pool)
{
    uint32_t usable = 0;
    for (uint32_t group = 0; group < pool->groups; group++) {
        usable += attune_fma_group_size(pool, group) > 1;
    }
    return usable;
}

/* What a part's tracks are for, where there are parts. */
static const char *for_part(const attune_fma_generate_options *options, int part)
{
    static const char *const names[ATTUNE_PART_COUNT] = {" for training", " for validation",
                                                         " for the test"};
    return options->disjoint == ATTUNE_FMA_WHOLE ? "" : names[part];
}

/* A part has fewer triplets than its `count`, which is fine where nobody asked for that many. Where
 * nine tenths are to be by genre, ten times what the others came to can be asked for. */
static attune_status settle_for(const generator *g, int part, uint32_t made, uint32_t count)
{
    static const char *const likenesses[] = {"genre", "artist", "album"};
    const attune_fma_generate_options *options = g->options;
    const bool tenth = options->likeness == ATTUNE_FMA_BY_GENRE && !options->per_genre;
    const uint64_t others = made - g->out->by_genre[part];
    const uint64_t most = tenth && others * OF_TRACK < made ? others * OF_TRACK : made;
    const uint64_t give = most * g->count / count;
    if (give == 0) {
        return attune_fail(ATTUNE_EINVAL,
                           "%u tracks%s are too few for triplets: these want two of one %s and one "
                           "of another",
                           g->pool->count, for_part(options, part), likenesses[options->likeness]);
    }
    return options->count == 0
               ? ATTUNE_OK
               : attune_fail(ATTUNE_EINVAL,
                             "%u triplets are too many for %u tracks; ask for fewer with -n, %llu "
                             "say",
                             g->count, g->pool->count, (unsigned long long)give);
}

static attune_status draw_part(generator *g, int part, uint32_t count, uint32_t all_tracks)
{
    const attune_fma_generate_options *options = g->options;
    const uint32_t begin = g->out->count, end = begin + count;
    attune_status status = ATTUNE_OK;
    g->random = attune_random_of(options->seed, (uint64_t)part);
    if (options->likeness == ATTUNE_FMA_BY_GENRE) {
        const uint32_t usable = usable_groups(g->pool);
        const uint64_t each = options->per_genre
                                  ? (uint64_t)options->per_genre * g->pool->count / all_tracks
                                  : (uint64_t)count * 9 / 10 / (usable ? usable : 1);
        if (each * usable > count) {
            return attune_fail(ATTUNE_EINVAL,
                               "%u for each genre are more than %u in all: there are %u top genres",
                               options->per_genre, g->count, usable);
        }
        draw_each_group(g, (uint32_t)each);
        g->out->by_genre[part] = g->out->count - begin;
        status = draw_heuristic(g, end);
    } else {
        draw_any_group(g, end);
    }
    const uint32_t made = g->out->count - begin;
    return status == ATTUNE_OK && made < count ? settle_for(g, part, made, count) : status;
}

static uint32_t tracks_of(const attune_fma_pool pools[ATTUNE_PART_COUNT])
{
    uint32_t all = 0;
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        all += pools[p].count;
    }
    return all;
}

static attune_status draw_parts(generator *g, const attune_fma_pool pools[ATTUNE_PART_COUNT])
{
    const uint32_t all = tracks_of(pools);
    uint32_t counts[ATTUNE_PART_COUNT], rest = g->count;
    attune_status status = ATTUNE_OK;
    for (int p = ATTUNE_PART_COUNT - 1; p >= 0; p--) {
        counts[p] = p == 0 ? rest : (uint32_t)((uint64_t)g->count * pools[p].count / all);
        rest -= counts[p];
    }
    for (int p = 0; status == ATTUNE_OK && p < ATTUNE_PART_COUNT; p++) {
        g->out->tracks[p] = pools[p].count;
        g->pool = &pools[p];
        if (counts[p] > 0) {
            status = draw_part(g, p, counts[p], all);
        } else if (g->options->disjoint != ATTUNE_FMA_WHOLE) {
            status = attune_fail(ATTUNE_EINVAL,
                                 "%u triplets leave none%s, which has %u of %u tracks; ask for "
                                 "more, or for parts of another kind",
                                 g->count, for_part(g->options, p), pools[p].count, all);
        }
        g->out->start[p + 1] = g->out->count;
    }
    return status;
}

static attune_status open_generator(generator *g)
{
    const size_t tracks = (size_t)attune_fma_count(g->fma), count = g->count;
    if (tracks >= (size_t)1 << TRACK_BITS) {
        return attune_fail(ATTUNE_EINVAL, "%zu tracks are too many to draw triplets from", tracks);
    }
    for (g->set.size = 64; g->set.size < 2 * count; g->set.size *= 2) {
    }
    g->set.keys = calloc(g->set.size, sizeof(*g->set.keys));
    g->was_anchor = calloc(tracks, sizeof(*g->was_anchor));
    g->out->triplets = malloc((count + 1) * sizeof(*g->out->triplets));
    return g->set.keys && g->was_anchor && g->out->triplets
               ? ATTUNE_OK
               : attune_fail_memory("triplets", count * sizeof(*g->out->triplets));
}

static void close_generator(generator *g, attune_status status)
{
    free(g->set.keys);
    free(g->was_anchor);
    if (status != ATTUNE_OK) {
        attune_fma_triplets_free(g->out);
    }
}

attune_status attune_fma_generate(attune_fma_triplets *out, const attune_fma *fma,
                                  const attune_fma_generate_options *options)
{
    generator g = {.fma = fma, .options = options, .out = out};
    attune_fma_pool pools[ATTUNE_PART_COUNT] = {{0}};
    *out = (attune_fma_triplets){0};
    attune_status status = attune_fma_pools_make(pools, fma, options);
    if (status == ATTUNE_OK) {
        const uint64_t most = (uint64_t)OF_TRACK * tracks_of(pools);
        g.count = options->count ? options->count : most < PUBLISHED ? (uint32_t)most : PUBLISHED;
        status = open_generator(&g);
    }
    if (status == ATTUNE_OK) {
        status = draw_parts(&g, pools);
    }
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        attune_fma_pool_free(&pools[p]);
    }
    close_generator(&g, status);
    return status;
}

/* The same for the three in whatever order. */
static uint64_t key_of_three(uint32_t a, uint32_t b, uint32_t c)
{
    const uint32_t low = a < b ? (a < c ? a : c) : (b < c ? b : c);
    const uint32_t high = a > b ? (a > c ? a : c) : (b > c ? b : c);
    return key_of(low, a ^ b ^ c ^ low ^ high, high);
}

attune_status attune_fma_draw_candidates(attune_fma_triplets *out, const attune_fma *fma,
                                         attune_fma_subset subset, uint32_t count, uint64_t seed)
{
    attune_fma_generate_options options;
    attune_fma_pool pools[ATTUNE_PART_COUNT] = {{0}};
    generator g = {.fma = fma, .options = &options, .out = out, .count = count};
    *out = (attune_fma_triplets){0};
    attune_fma_generate_defaults(&options);
    options.subset = subset;
    options.likeness = ATTUNE_FMA_BY_ARTIST; /* which every track has, unlike a top genre */
    attune_status status = open_generator(&g);
    if (status == ATTUNE_OK) {
        status = attune_fma_pools_make(pools, fma, &options);
    }
    const attune_fma_pool *pool = &pools[ATTUNE_PART_TRAIN];
    const double n = pool->count, most = n < 3 ? 0 : n * (n - 1) * (n - 2) / 6;
    if (status == ATTUNE_OK && count > most) {
        status = attune_fail(ATTUNE_EINVAL, "%u tracks give %.0f different threes, not %u",
                             pool->count, most, count);
    }
    g.random = attune_random_of(seed, 0);
    for (int tries = 0; status == ATTUNE_OK && out->count < count; tries++) {
        const uint32_t a = attune_random_below(&g.random, pool->count);
        const uint32_t b = attune_random_below(&g.random, pool->count);
        const uint32_t c = attune_random_below(&g.random, pool->count);
        if (a != b && b != c && a != c && add_key(&g.set, key_of_three(a, b, c))) {
            out->triplets[out->count++] =
                (attune_fma_triplet){pool->tracks[a], pool->tracks[b], pool->tracks[c]};
            tries = 0;
        } else if (tries == TRIES) {
            status = attune_fail(ATTUNE_EINVAL, "%u tracks do not give %u different threes",
                                 pool->count, count);
        }
    }
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        attune_fma_pool_free(&pools[p]);
    }
    close_generator(&g, status);
    return status;
}

void attune_fma_triplets_free(attune_fma_triplets *triplets)
{
    free(triplets->triplets);
    *triplets = (attune_fma_triplets){0};
}
