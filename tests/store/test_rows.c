/* test_rows.c - a batch of rows in memory. */
#include "tests/store/store_support.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(rows, keeps_copies_of_everything)
{
    static const int widths[] = {1, 16, 32, 128};
    for (size_t w = 0; w < sizeof(widths) / sizeof(*widths); w++) {
        attune_rows *rows = NULL;
        assert_ok(attune_rows_create(&rows, widths[w]));
        cr_assert_eq(attune_rows_count(rows), 0);
        append_test_rows(rows, widths[w], 0, 5000);
        assert_test_rows(rows, 0, widths[w], 0, 5000);
        attune_rows_clear(rows);
        cr_assert_eq(attune_rows_count(rows), 0);
        append_test_rows(rows, widths[w], 77, 1000);
        assert_test_rows(rows, 0, widths[w], 77, 1000);
        attune_rows_free(rows);
    }
    attune_rows_free(NULL);
}

Test(rows, refuses_what_is_no_row)
{
    static char long_text[(1 << 20) + 2];
    memset(long_text, 'a', sizeof(long_text) - 1);
    attune_rows *rows = NULL;
    assert_fails(attune_rows_create(&rows, 0), ATTUNE_EINVAL, "embedding of 0");
    assert_fails(attune_rows_create(&rows, -1), ATTUNE_EINVAL, "embedding of -1");
    assert_fails(attune_rows_create(&rows, 1 << 30), ATTUNE_EINVAL, "embedding of 1073741824");
    cr_assert_null(rows);
    assert_ok(attune_rows_create(&rows, 2));
    const attune_row no_path = {.error = ""};
    const attune_row bad_status = {.path = "a", .status = (attune_track_status)10};
    const attune_row long_path = {.path = long_text};
    const attune_row long_error = {.path = "a", .error = long_text};
    assert_fails(attune_rows_append(rows, &no_path), ATTUNE_EINVAL, "no path");
    assert_fails(attune_rows_append(rows, &bad_status), ATTUNE_EINVAL, "status 10");
    assert_fails(attune_rows_append(rows, &long_path), ATTUNE_EINVAL, "longer than");
    assert_fails(attune_rows_append(rows, &long_error), ATTUNE_EINVAL, "longer than");
    cr_assert_eq(attune_rows_count(rows), 0);
    const attune_row no_error = {.path = "a"};
    assert_ok(attune_rows_append(rows, &no_error));
    cr_assert_str_eq(attune_rows_get(rows, 0).error, "");
    attune_rows_free(rows);
}

/* Appends `count` rows of paths drawn from `distinct`, with the number of the row in `size`. */
static void append_shuffled(attune_rows *rows, size_t count, uint64_t distinct, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        char path[64];
        uint64_t number = random_bits(&seed) % distinct;
        /* Bytes above 127 sort behind ASCII, whatever the locale and the sign of char. */
        snprintf(path, sizeof(path), "%s%llu", number % 3 == 0 ? "\xc3\xa9" : "z",
                 (unsigned long long)number);
        const float embedding[3] = {(float)i, 1.0f, (float)number};
        const attune_row row = {.path = path, .error = path, .size = i, .embedding = embedding};
        assert_ok(attune_rows_append(rows, &row));
    }
}

static int compare_bytes(const char *left, const char *right)
{
    const unsigned char *a = (const unsigned char *)left, *b = (const unsigned char *)right;
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (*a > *b) - (*a < *b);
}

Test(rows, sort_orders_by_bytes_and_keeps_equals_in_order)
{
    static const size_t counts[] = {0, 1, 2, 3, 10, 1000, 20000};
    static const uint64_t distinct[] = {1, 3, 700, 1u << 24};
    for (size_t c = 0; c < sizeof(counts) / sizeof(*counts); c++) {
        for (size_t d = 0; d < sizeof(distinct) / sizeof(*distinct); d++) {
            attune_rows *rows = NULL;
            assert_ok(attune_rows_create(&rows, 3));
            append_shuffled(rows, counts[c], distinct[d], c + 1);
            char *seen = calloc(counts[c] + 1, 1);
            assert_ok(attune_rows_sort(rows));
            cr_assert_eq(attune_rows_count(rows), counts[c]);
            for (size_t i = 0; i < counts[c]; i++) {
                attune_row row = attune_rows_get(rows, i);
                cr_assert_str_eq(row.path, row.error);
                cr_assert_eq(row.embedding[0], (float)row.size);
                cr_assert_eq(strtoull(row.path + (row.path[0] == 'z' ? 1 : 2), NULL, 10),
                             (unsigned long long)row.embedding[2]);
                cr_assert_not(seen[row.size]);
                seen[row.size] = 1;
                if (i > 0) {
                    attune_row before = attune_rows_get(rows, i - 1);
                    int order = compare_bytes(before.path, row.path);
                    cr_assert(order < 0 || (order == 0 && before.size < row.size),
                              "row %zu of %zu: %s behind %s", i, counts[c], row.path, before.path);
                }
            }
            free(seen);
            attune_rows_free(rows);
        }
    }
}
