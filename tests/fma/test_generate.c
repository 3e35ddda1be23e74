/* test_generate.c - the rules of the procedure, looked at triplet by triplet with sets of bits. */
#include "fma/generate.h"
#include "fma/heuristic.h"
#include "tests/fma/tables.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint64_t bits(const int32_t *list, int32_t count)
{
    uint64_t set = 0;
    for (int32_t i = 0; i < count; i++) {
        set |= (uint64_t)1 << list[i]; /* 40 genres */
    }
    return set;
}

/* What decides, as one number. */
static int likeness(const attune_fma_track *a, const attune_fma_track *b)
{
    const uint64_t given = bits(a->genres, a->genre_count) & bits(b->genres, b->genre_count);
    const uint64_t all =
        bits(a->genres_all, a->genre_all_count) & bits(b->genres_all, b->genre_all_count);
    return (a->genre_top == b->genre_top) * 10000 + __builtin_popcountll(given) * 100 +
           __builtin_popcountll(all);
}

static attune_fma_triplets draw(const attune_fma *fma, attune_fma_generate_options options)
{
    attune_fma_triplets t;
    assert_ok(attune_fma_generate(&t, fma, &options));
    cr_assert_eq(t.count, options.count);
    return t;
}

static attune_fma_generate_options with(uint32_t count)
{
    attune_fma_generate_options options;
    attune_fma_generate_defaults(&options);
    options.count = count;
    return options;
}

static int compare_triplets(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(attune_fma_triplet));
}

/* No triplet twice, no track twice in one. */
static void assert_distinct(const attune_fma_triplets *t)
{
    attune_fma_triplet *sorted = malloc(t->count * sizeof(*sorted));
    memcpy(sorted, t->triplets, t->count * sizeof(*sorted));
    qsort(sorted, t->count, sizeof(*sorted), compare_triplets);
    for (uint32_t i = 0; i < t->count; i++) {
        cr_assert(i == 0 || compare_triplets(&sorted[i], &sorted[i - 1]) != 0, "twice");
        cr_assert(sorted[i].anchor != sorted[i].positive &&
                  sorted[i].anchor != sorted[i].negative &&
                  sorted[i].positive != sorted[i].negative);
    }
    free(sorted);
}

Test(generate, follows_the_published_procedure)
{
    attune_fma *fma = open_synthetic();
    const attune_fma_triplets t = draw(fma, with(400));
    bool anchors[400] = {false};
    assert_distinct(&t);
    cr_assert_eq(t.by_genre[0], 360); /* 45 for each of 8 */
    cr_assert_eq(t.start[1], 400);
    for (uint32_t i = 0; i < 360; i++) {
        const attune_fma_triplet *x = &t.triplets[i];
        cr_assert_eq(x->anchor->genre_top, t.triplets[i / 45 * 45].anchor->genre_top);
        cr_assert_eq(x->positive->genre_top, x->anchor->genre_top);
        cr_assert_neq(x->negative->genre_top, x->anchor->genre_top);
        anchors[x->anchor->id] = true;
    }
    for (uint32_t i = 360; i < 400; i++) {
        const attune_fma_triplet *x = &t.triplets[i];
        cr_assert_gt(likeness(x->anchor, x->positive), likeness(x->anchor, x->negative));
        cr_assert_not(anchors[x->anchor->id], "the anchor %d again", x->anchor->id);
        anchors[x->anchor->id] = true;
    }
    attune_fma_triplets_free((attune_fma_triplets *)&t);
    attune_fma_close(fma);
}

Test(generate, a_seed_determines_all)
{
    attune_fma *fma = open_synthetic();
    attune_fma_generate_options options = with(400);
    attune_fma_triplets one = draw(fma, options), same = draw(fma, options);
    options.seed = 43;
    attune_fma_triplets other = draw(fma, options);
    cr_assert_eq(memcmp(one.triplets, same.triplets, 400 * sizeof(*one.triplets)), 0);
    cr_assert_neq(memcmp(one.triplets, other.triplets, 400 * sizeof(*one.triplets)), 0);
    attune_fma_triplets_free(&one);
    attune_fma_triplets_free(&same);
    attune_fma_triplets_free(&other);
    attune_fma_close(fma);
}

/* Where every track has been an anchor, each comes once more and no oftener. */
Test(generate, anchors_come_again_when_there_are_no_others)
{
    attune_fma *fma = open_synthetic();
    attune_fma_generate_options options = with(8 * 400 + 320);
    options.per_genre = 400;
    attune_fma_triplets t = draw(fma, options);
    int again[321] = {0};
    for (uint32_t i = t.by_genre[0]; i < t.count; i++) {
        cr_assert_eq(again[t.triplets[i].anchor->id]++, 0);
    }
    options.count++;
    attune_fma_triplets_free(&t);
    cr_assert_eq(attune_fma_generate(&t, fma, &options), ATTUNE_EINVAL);
    cr_assert(strstr(attune_last_error(),
                     "3521 triplets are too many for 320 tracks; ask for fewer with -n, 3520 say"),
              "%s", attune_last_error());
    options.count = 100;
    cr_assert_eq(attune_fma_generate(&t, fma, &options), ATTUNE_EINVAL);
    cr_assert(strstr(attune_last_error(), "400 for each genre are more than 100"), "%s",
              attune_last_error());
    attune_fma_close(fma);
}

/* What is drawn where no number is said, and what a message says can be asked for, can be drawn. */
Test(generate, as_many_as_the_tracks_give)
{
    attune_fma *fma = open_synthetic();
    attune_fma_generate_options options = with(0);
    attune_fma_triplets t;
    for (int disjoint = ATTUNE_FMA_WHOLE; disjoint <= ATTUNE_FMA_OFFICIAL; disjoint++) {
        options.disjoint = (attune_fma_disjoint)disjoint;
        assert_ok(attune_fma_generate(&t, fma, &options));
        cr_assert(t.count <= 3200 && t.count > 3200 - 3 * 8, "%u", t.count);
        cr_assert(t.start[3] == t.count &&
                  (disjoint == ATTUNE_FMA_WHOLE || t.start[1] < t.start[2]));
        assert_distinct(&t);
        attune_fma_triplets_free(&t);
    }
    options = with(8000);
    cr_assert_eq(attune_fma_generate(&t, fma, &options), ATTUNE_EINVAL);
    cr_assert(strstr(attune_last_error(),
                     "8000 triplets are too many for 320 tracks; ask for fewer with -n, 3200 say"),
              "%s", attune_last_error());
    options.per_genre = 500;
    cr_assert_eq(attune_fma_generate(&t, fma, &options), ATTUNE_EINVAL);
    cr_assert(strstr(attune_last_error(), ", 4320 say"), "%s", attune_last_error());
    options.count = 4320;
    t = draw(fma, options);
    attune_fma_triplets_free(&t);
    attune_fma_close(fma);
}

Test(generate, artists_and_albums)
{
    attune_fma *fma = open_synthetic();
    for (int by = ATTUNE_FMA_BY_ARTIST; by <= ATTUNE_FMA_BY_ALBUM; by++) {
        attune_fma_generate_options options = with(1000);
        options.likeness = (attune_fma_likeness)by;
        attune_fma_triplets t = draw(fma, options);
        assert_distinct(&t);
        for (uint32_t i = 0; i < t.count; i++) {
            const attune_fma_track *const x[3] = {t.triplets[i].anchor, t.triplets[i].positive,
                                                  t.triplets[i].negative};
            int32_t id[3];
            for (int k = 0; k < 3; k++) {
                id[k] = by == ATTUNE_FMA_BY_ARTIST ? x[k]->artist_id : x[k]->album_id;
            }
            cr_assert(id[0] == id[1] && id[0] != id[2]);
        }
        attune_fma_triplets_free(&t);
    }
    attune_fma_close(fma);
}

Test(generate, parts_share_nothing_that_they_must_not)
{
    attune_fma *fma = open_synthetic();
    for (int by = ATTUNE_FMA_TRACKS; by <= ATTUNE_FMA_OFFICIAL; by++) {
        attune_fma_generate_options options = with(300);
        options.disjoint = (attune_fma_disjoint)by;
        attune_fma_triplets t = draw(fma, options);
        int part_of[321] = {0}; /* of a track, or an artist; from 1 */
        assert_distinct(&t);
        for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
            cr_assert_gt(t.start[p + 1], t.start[p], "part %d is empty", p);
            for (uint32_t i = t.start[p]; i < t.start[p + 1]; i++) {
                const attune_fma_track *const x[3] = {t.triplets[i].anchor, t.triplets[i].positive,
                                                      t.triplets[i].negative};
                for (int k = 0; k < 3; k++) {
                    int *part = &part_of[by == ATTUNE_FMA_TRACKS ? x[k]->id : x[k]->artist_id];
                    cr_assert(*part == 0 || *part == p + 1, "%d: in parts %d and %d", by, *part,
                              p + 1);
                    *part = p + 1;
                    cr_assert(by != ATTUNE_FMA_OFFICIAL ||
                              x[k]->split == (attune_fma_split)(ATTUNE_FMA_TRAINING + p));
                }
            }
        }
        const uint32_t train = by == ATTUNE_FMA_OFFICIAL ? 240 : 210; /* of 300 */
        cr_assert_leq(abs((int)t.start[1] - (int)train), 8, "%u of training", t.start[1]);
        attune_fma_triplets_free(&t);
    }
    attune_fma_close(fma);
}

/* The sum of steps from anchors to negatives, of triplets by genre. */
static double steps_of_negatives(const attune_fma *fma, bool hierarchy)
{
    attune_fma_generate_options options = with(400);
    options.hierarchy = hierarchy;
    attune_fma_triplets t = draw(fma, options);
    double sum = 0;
    assert_distinct(&t);
    for (uint32_t i = 0; i < t.by_genre[0]; i++) {
        const attune_fma_triplet *x = &t.triplets[i];
        const int steps = attune_fma_steps(attune_fma_genres_of(fma), x->anchor, x->negative);
        cr_assert_gt(steps, 0);
        cr_assert_gt(likeness(x->anchor, x->positive), likeness(x->anchor, x->negative));
        sum += steps;
    }
    attune_fma_triplets_free(&t);
    return sum;
}

Test(generate, the_hierarchy_brings_negatives_nearer)
{
    attune_fma *fma = open_synthetic();
    cr_assert_lt(steps_of_negatives(fma, true), steps_of_negatives(fma, false) * 0.9);
    attune_fma_close(fma);
}

Test(generate, steps_in_the_tree)
{
    /* 10 > 11 > 14, 10 > 12, 20: numbers 0 1 3 2 4 */
    attune_fma *fma = open_tables(GENRES_HEADER "10,0,0,A,10\n11,0,10,B,10\n14,0,11,C,10\n"
                                                "12,0,10,D,10\n20,0,0,E,20\n",
                                  TRACKS_HEADER "1,1,1,test,small,A,[10],[10]\n"
                                                "2,1,1,test,small,A,[14],\"[14, 11, 10]\"\n"
                                                "3,1,1,test,small,A,[12],\"[12, 10]\"\n"
                                                "4,1,1,test,small,E,[20],[20]\n"
                                                "5,1,1,test,small,,\"[20, 12]\",\"[20, 12, 10]\"\n"
                                                "6,1,1,test,small,,[],[]\n");
    static const int expected[6][6] = {
        {0, 2, 1, 4, 1, 32}, {2, 0, 3, 6, 3, 32}, {1, 3, 0, 5, 0, 32},
        {4, 6, 5, 0, 0, 32}, {1, 3, 0, 0, 0, 32}, {32, 32, 32, 32, 32, 32},
    };
    const attune_fma_track *tracks = attune_fma_tracks(fma);
    for (int a = 0; a < 6; a++) {
        for (int b = 0; b < 6; b++) {
            const int steps = attune_fma_steps(attune_fma_genres_of(fma), &tracks[a], &tracks[b]);
            cr_assert_eq(steps, expected[a][b], "%d to %d: %d", a + 1, b + 1, steps);
        }
    }
    cr_assert_gt(attune_fma_compare(&tracks[0], &tracks[1], &tracks[3]), 0); /* top */
    cr_assert_gt(attune_fma_compare(&tracks[2], &tracks[4], &tracks[3]), 0); /* given */
    cr_assert_eq(attune_fma_compare(&tracks[0], &tracks[1], &tracks[2]), 0);
    cr_assert_gt(attune_fma_compare(&tracks[5], &tracks[5], &tracks[0]), -1);
    cr_assert_gt(attune_fma_compare(&tracks[4], &tracks[2], &tracks[1]), 0);
    cr_assert_lt(attune_fma_compare(&tracks[1], &tracks[3], &tracks[4]), 0); /* above both */
    attune_fma_close(fma);
}

Test(generate, bad_clips_and_other_subsets_stay_out)
{
    attune_fma *fma = open_tables(GENRES_HEADER "10,0,0,A,10\n20,0,0,B,20\n",
                                  TRACKS_HEADER "98565,1,1,test,small,A,[10],[10]\n"
                                                "1,1,1,test,small,A,[10],[10]\n"
                                                "2,1,1,test,small,A,[10],[10]\n"
                                                "3,1,1,test,medium,B,[20],[20]\n"
                                                "4,1,1,test,large,,[20],[20]\n");
    attune_fma_generate_options options = with(2);
    attune_fma_triplets t;
    cr_assert_eq(attune_fma_generate(&t, fma, &options), ATTUNE_EINVAL); /* one genre, two tracks */
    options.subset = ATTUNE_FMA_MEDIUM;
    options.per_genre = 2;
    t = draw(fma, options);
    cr_assert_eq(t.tracks[0], 3);
    cr_assert_eq(t.triplets[0].negative->id, 3);
    attune_fma_triplets_free(&t);
    options.subset = ATTUNE_FMA_FULL;
    options.count = 3;
    t = draw(fma, options);
    cr_assert_eq(t.tracks[0], 4); /* whole in full; track 4 has no top genre */
    attune_fma_triplets_free(&t);
    attune_fma_close(fma);
}

Test(generate, candidates_are_all_different)
{
    attune_fma *fma = open_synthetic();
    attune_fma_triplets t;
    cr_assert_eq(attune_fma_draw_candidates(&t, fma, ATTUNE_FMA_SMALL, 500, 1), ATTUNE_OK);
    cr_assert_eq(t.count, 500);
    assert_distinct(&t);
    attune_fma_triplets_free(&t);
    attune_fma_close(fma);
    fma = open_tables(GENRES_HEADER "10,0,0,A,10\n", TRACKS_HEADER "1,1,1,test,small,A,[10],[10]\n"
                                                                   "2,1,1,test,small,A,[10],[10]\n"
                                                                   "3,1,1,test,small,,[],[]\n");
    cr_assert_eq(attune_fma_draw_candidates(&t, fma, ATTUNE_FMA_SMALL, 1, 1), ATTUNE_OK);
    attune_fma_triplets_free(&t);
    cr_assert_eq(attune_fma_draw_candidates(&t, fma, ATTUNE_FMA_SMALL, 2, 1), ATTUNE_EINVAL);
    attune_fma_close(fma);
}
