/* test_split.c - splits are scikit-learn's, row for row. */
#include "train/split.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>

typedef struct golden {
    uint32_t count;
    double held_out, validation;
    uint32_t seed;
    uint32_t sizes[3];
    uint64_t checksums[3];
    uint32_t first[3][3];
} golden;

static const golden goldens[] = {
#include "tests/train/split_goldens.h"
};

static void check(const golden *g)
{
    const attune_split_options options = {g->held_out, g->validation, g->seed};
    uint32_t start[ATTUNE_PART_COUNT + 1];
    uint32_t *rows = malloc(g->count * sizeof(*rows));
    cr_assert_not_null(rows);
    cr_assert_eq(attune_split_rows(rows, start, g->count, &options), ATTUNE_OK);
    cr_assert_eq(start[0], 0);
    cr_assert_eq(start[3], g->count);
    for (int part = 0; part < ATTUNE_PART_COUNT; part++) {
        uint64_t checksum = 0;
        cr_assert_eq(start[part + 1] - start[part], g->sizes[part], "%u rows, part %d: %u, not %u",
                     g->count, part, start[part + 1] - start[part], g->sizes[part]);
        for (uint32_t i = start[part]; i < start[part + 1]; i++) {
            checksum = 31 * checksum + rows[i];
            cr_assert(i - start[part] >= 3 || rows[i] == g->first[part][i - start[part]],
                      "%u rows, part %d: row %u is %u", g->count, part, i - start[part], rows[i]);
        }
        cr_assert_eq(checksum, g->checksums[part], "%u rows, part %d", g->count, part);
    }
    free(rows);
}

Test(split, is_that_of_scikit_learn)
{
    for (size_t i = 0; i < sizeof(goldens) / sizeof(*goldens); i++) {
        check(&goldens[i]);
    }
}

Test(split, of_nothing_and_of_everything)
{
    static const struct {
        uint32_t count;
        attune_split_options options;
        uint32_t start[4];
    } cases[] = {
        {0, {0.3, 0.33, 1}, {0, 0, 0, 0}}, {1, {0, 0, 1}, {0, 1, 1, 1}},
        {5, {0, 0.5, 1}, {0, 5, 5, 5}},    {5, {1, 1, 1}, {0, 0, 5, 5}},
        {5, {1, 0, 1}, {0, 0, 0, 5}},      {1, {0.01, 0.5, 1}, {0, 0, 1, 1}},
    };
    for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
        uint32_t rows[5], start[4], seen = 0;
        cr_assert_eq(attune_split_rows(rows, start, cases[c].count, &cases[c].options), ATTUNE_OK);
        cr_assert_arr_eq(start, cases[c].start, sizeof(start), "case %zu", c);
        for (uint32_t i = 0; i < cases[c].count; i++) {
            seen |= 1u << rows[i];
        }
        cr_assert_eq(seen, (1u << cases[c].count) - 1);
    }
}

Test(split, refuses_what_is_no_share)
{
    static const attune_split_options wrong[] = {
        {-0.1, 0.5, 1}, {1.1, 0.5, 1}, {0.5, 2, 1}, {0.5, -1, 1}};
    uint32_t rows[4], start[4];
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        cr_assert_eq(attune_split_rows(rows, start, 4, &wrong[i]), ATTUNE_EINVAL);
    }
}
