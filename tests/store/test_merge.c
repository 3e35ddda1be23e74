/* test_merge.c - a merged file is, byte for byte, the one that all rows sorted in memory give. */
#include "tests/store/store_support.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define WIDTH 8

typedef enum ranges {
    DISJOINT,     /* each input a range of its own, the list in another order */
    NEIGHBOURS,   /* as parts of a job: ranges that overlap their neighbours' */
    ALL,          /* as shards: every input over the whole range */
    ONE_OVER_ALL, /* as a nightly run: the first over the whole range, the others within */
} ranges;

typedef struct merge_case {
    size_t inputs, rows; /* rows of one input; every fifth of several has none if it says so */
    ranges ranges;
    unsigned space; /* numbers that paths are drawn from, per row: 1 makes many duplicates */
    bool some_empty;
} merge_case;

static char *input_path(size_t index)
{
    char name[32];
    snprintf(name, sizeof(name), "%05zu.h5", index);
    return temporary_path(name);
}

/* A row whose path is made of `number` and whose values are of `version`, so that rows of the same
 * path can be told apart. */
static void append_row(attune_rows *rows, uint64_t number, uint64_t version)
{
    char path[128], error[64];
    float embedding[WIDTH];
    uint64_t state = version;
    snprintf(path, sizeof(path), "album %llu/%s%llu\xe9.ogg", (unsigned long long)number / 7,
             number % 3 ? "track " : "a long name, longer than most, of track ",
             (unsigned long long)number);
    snprintf(error, sizeof(error), "%.*s", (int)(version % 40),
             "an error of a length that the version gives");
    random_fill(&state, embedding, WIDTH, 1.0f);
    const attune_row row = {
        .path = path,
        .status = version % 11 == 0 ? ATTUNE_TRACK_CANNOT_OPEN : ATTUNE_TRACK_OK,
        .error = error,
        .duration = (double)version,
        .frames = (uint32_t)version,
        .size = version << 7,
        .mtime_ns = -(int64_t)version,
        .embedding = version % 11 == 0 ? NULL : embedding,
    };
    assert_ok(attune_rows_append(rows, &row));
}

static void make_input(attune_rows *rows, const merge_case *c, size_t index)
{
    const uint64_t width = (uint64_t)c->rows * c->space;
    const uint64_t place = (index * 7919) % c->inputs; /* a permutation: 7919 is prime */
    uint64_t state = index + 1, low = 0, span = width;
    if (c->ranges == ALL || (c->ranges == ONE_OVER_ALL && index == 0)) {
        span = width * c->inputs;
    } else {
        low = place * width;
        span = c->ranges == NEIGHBOURS ? width + width / 2 : width;
    }
    const size_t count = c->some_empty && index % 5 == 2 ? 0 : c->rows;
    attune_rows_clear(rows);
    for (size_t i = 0; i < count; i++) {
        append_row(rows, low + random_bits(&state) % span, index * 100000 + i + 1);
    }
    assert_ok(attune_rows_sort(rows));
}

static bool keep_some(void *user, const attune_row *row)
{
    ++*(size_t *)user;
    return strlen(row->path) % 4 != 1 && row->frames % 13 != 0;
}

/* Of `all`, in the order of their inputs: the last of each path, if `keep` wants it. */
static void reference(attune_rows *out, attune_rows *all, size_t *asked,
                      bool (*keep)(void *user, const attune_row *row))
{
    assert_ok(attune_rows_sort(all)); /* rows of the same path stay in their order */
    attune_rows_clear(out);
    for (size_t i = 0; i < attune_rows_count(all); i++) {
        const attune_row row = attune_rows_get(all, i);
        const bool last = i + 1 == attune_rows_count(all) ||
                          strcmp(row.path, attune_rows_get(all, i + 1).path) != 0;
        if (last && (!keep || keep(asked, &row))) {
            assert_ok(attune_rows_append(out, &row));
        }
    }
}

static void assert_same_file(const char *got, const char *expected, const char *what)
{
    size_t got_size = 0, expected_size = 0;
    char *got_bytes = read_file(got, &got_size), *bytes = read_file(expected, &expected_size);
    cr_assert_eq(got_size, expected_size, "%s: %zu bytes, not %zu", what, got_size, expected_size);
    cr_assert(memcmp(got_bytes, bytes, got_size) == 0, "%s: differs", what);
    free(got_bytes);
    free(bytes);
}

static void check_case(const merge_case *c, bool (*keep)(void *user, const attune_row *row))
{
    const attune_store_attributes attributes = test_attributes(WIDTH);
    char *merged = temporary_path("merged.h5"), *expected = temporary_path("expected.h5");
    char **inputs = calloc(c->inputs + 1, sizeof(*inputs)), what[100];
    attune_rows *rows = NULL, *all = NULL, *kept = NULL;
    attune_store_writer *writer = NULL;
    size_t asked = 0, asked_reference = 0;
    snprintf(what, sizeof(what), "%zu inputs of %zu rows, ranges %d, %u", c->inputs, c->rows,
             c->ranges, c->space);
    assert_ok(attune_rows_create(&rows, WIDTH));
    assert_ok(attune_rows_create(&all, WIDTH));
    assert_ok(attune_rows_create(&kept, WIDTH));
    for (size_t i = 0; i < c->inputs; i++) {
        make_input(rows, c, i);
        write_rows(inputs[i] = input_path(i), &attributes, rows);
        for (size_t k = 0; k < attune_rows_count(rows); k++) {
            const attune_row row = attune_rows_get(rows, k);
            assert_ok(attune_rows_append(all, &row));
        }
    }
    reference(kept, all, &asked_reference, keep);
    write_rows(expected, &attributes, kept);
    assert_ok(attune_store_create(&writer, merged, &attributes));
    assert_ok(attune_store_merge(writer, (const char *const *)inputs, c->inputs, ATTUNE_MERGE_LAST,
                                 keep, &asked));
    cr_assert_eq(asked, asked_reference, "%s: asked for %zu rows, not %zu", what, asked,
                 asked_reference);
    assert_ok(attune_store_commit(writer));
    attune_store_writer_close(writer);
    assert_same_file(merged, expected, what);
    for (size_t i = 0; i < c->inputs; i++) {
        unlink(inputs[i]);
        free(inputs[i]);
    }
    attune_rows_free(rows);
    attune_rows_free(all);
    attune_rows_free(kept);
    free(inputs);
    free(merged);
    free(expected);
}

Test(merge, is_what_sorting_in_memory_gives)
{
    static const merge_case cases[] = {
        {0, 0, DISJOINT, 1, false},
        {1, 0, DISJOINT, 1, false},
        {1, 1, DISJOINT, 1, false},
        {1, 9000, ALL, 1, false},
        {7, 0, ALL, 1, false},
        {2, 4096, DISJOINT, 1000, false},
        {3, 4097, NEIGHBOURS, 2, true},
        {5, 3000, ALL, 1, true},
        {9, 1000, NEIGHBOURS, 100, true},
        {9, 500, ONE_OVER_ALL, 1, true},
        {30, 300, ALL, 4, true},
        {30, 3, NEIGHBOURS, 1, true},
        {26, 20, ALL, 1, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        check_case(&cases[i], NULL);
        check_case(&cases[i], keep_some);
    }
}

/* With room for 40 open files in all: more inputs than that, and a list of thousands. */
Test(merge, more_inputs_than_may_be_open)
{
    static const merge_case cases[] = {{150, 2, NEIGHBOURS, 2, true}, {80, 5, ALL, 1, true}};
    const attune_store_attributes attributes = test_attributes(WIDTH);
    const char *inputs[3000];
    char *path = temporary_path("input.h5"), *merged = temporary_path("merged.h5");
    attune_store_writer *writer = NULL;
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 40;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        check_case(&cases[i], NULL);
    }
    for (size_t i = 0; i < sizeof(inputs) / sizeof(*inputs); i++) {
        inputs[i] = path;
    }
    write_test_file(path, WIDTH, 20, 20);
    assert_ok(attune_store_create(&writer, merged, &attributes));
    assert_ok(attune_store_merge(writer, inputs, sizeof(inputs) / sizeof(*inputs),
                                 ATTUNE_MERGE_LAST, NULL, NULL));
    assert_ok(attune_store_commit(writer));
    attune_store_writer_close(writer);
    assert_test_file(merged, WIDTH, 20);
    free(path);
    free(merged);
}

/* Merges files of the rows whose numbers `first` and `second` list, up to a 0, as they stand. */
static attune_status merge_two(const unsigned *first, const unsigned *second,
                               attune_merge_duplicates duplicates, size_t *count)
{
    const attune_store_attributes attributes = test_attributes(WIDTH);
    const unsigned *const lists[] = {first, second};
    char *inputs[2] = {temporary_path("first.h5"), temporary_path("second.h5")};
    char *merged = temporary_path("merged.h5");
    attune_store_writer *writer = NULL;
    attune_store *store = NULL;
    attune_rows *rows = NULL;
    assert_ok(attune_rows_create(&rows, WIDTH));
    for (size_t i = 0; i < 2; i++) {
        attune_rows_clear(rows);
        for (const unsigned *number = lists[i]; *number; number++) {
            append_row(rows, *number, i + 1);
        }
        write_rows(inputs[i], &attributes, rows);
    }
    assert_ok(attune_store_create(&writer, merged, &attributes));
    attune_status status =
        attune_store_merge(writer, (const char *const *)inputs, 2, duplicates, NULL, NULL);
    if (status == ATTUNE_OK) {
        assert_ok(attune_store_commit(writer));
        assert_ok(attune_store_open(&store, merged));
        *count = attune_store_count(store);
        attune_store_close(store);
    }
    attune_store_writer_close(writer);
    attune_rows_free(rows);
    free(inputs[0]);
    free(inputs[1]);
    free(merged);
    return status;
}

Test(merge, refuses_duplicates_if_told_to)
{
    static const unsigned one[] = {14, 16, 17, 0}, other[] = {16, 19, 0};
    static const unsigned single[] = {14, 0}, twice[] = {16, 16, 0};
    size_t count = 0;
    assert_fails(merge_two(one, other, ATTUNE_MERGE_REFUSE, &count), ATTUNE_EDATA,
                 "album 2/track 16\xe9.ogg: is in ");
    assert_fails(ATTUNE_EDATA, ATTUNE_EDATA, "first.h5 and in ");
    assert_fails(ATTUNE_EDATA, ATTUNE_EDATA, "second.h5");
    assert_fails(merge_two(single, twice, ATTUNE_MERGE_REFUSE, &count), ATTUNE_EDATA,
                 "album 2/track 16\xe9.ogg: is twice in ");
    assert_ok(merge_two(one, twice, ATTUNE_MERGE_LAST, &count));
    cr_assert_eq(count, 3);
    assert_ok(merge_two(single, other, ATTUNE_MERGE_REFUSE, &count));
    cr_assert_eq(count, 3);
}

Test(merge, refuses_inputs_that_are_not_sorted)
{
    static const unsigned sorted[] = {14, 16, 0}, backwards[] = {16, 14, 0};
    static const unsigned inside[] = {14, 17, 16, 19, 0}, late[] = {70, 14, 71, 0};
    size_t count = 0;
    assert_fails(merge_two(sorted, backwards, ATTUNE_MERGE_LAST, &count), ATTUNE_EDATA,
                 "second.h5: is not sorted by path");
    assert_fails(merge_two(inside, sorted, ATTUNE_MERGE_LAST, &count), ATTUNE_EDATA,
                 "first.h5: is not sorted by path");
    assert_fails(merge_two(late, sorted, ATTUNE_MERGE_LAST, &count), ATTUNE_EDATA,
                 "first.h5: is not sorted by path");
}

Test(merge, refuses_what_is_not_there_and_other_widths)
{
    const attune_store_attributes attributes = test_attributes(WIDTH);
    char *eight = temporary_path("eight.h5"), *four = temporary_path("four.h5");
    char *missing = temporary_path("missing.h5"), *merged = temporary_path("merged.h5");
    attune_store_writer *writer = NULL;
    write_test_file(eight, WIDTH, 10, 10);
    write_test_file(four, 4, 10, 10);
    const struct {
        const char *inputs[2];
        attune_status status;
        const char *text;
    } cases[] = {
        {{eight, four}, ATTUNE_EDATA, "four.h5: its embeddings have 4 numbers, those of "},
        {{four, four}, ATTUNE_EDATA, "merged.h5: rows with embeddings of 4 numbers"},
        {{eight, missing}, ATTUNE_ENOINPUT, "missing.h5: cannot open"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_ok(attune_store_create(&writer, merged, &attributes));
        attune_status status =
            attune_store_merge(writer, cases[i].inputs, 2, ATTUNE_MERGE_LAST, NULL, NULL);
        cr_assert(status == cases[i].status || i == 1, "%d: %s", status, attune_last_error());
        cr_assert(strstr(attune_last_error(), cases[i].text), "%s", attune_last_error());
        assert_fails(attune_store_commit(writer), ATTUNE_EINVAL, "it is committed or has failed");
        attune_store_writer_close(writer);
        cr_assert_eq(access(merged, F_OK), -1);
    }
    free(eight);
    free(four);
    free(missing);
    free(merged);
}
