/* test_labels.c - FMA's columns: written where they are asked for, kept, merged, and believed only
 * if undamaged. */
#include "tests/store/store_support.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 40, E = 4 };

static attune_labels labels_of(int i)
{
    attune_labels labels = {.track_id = i,
                            .artist_id = i / 3,
                            .album_id = i % 5 - 1,
                            .split = (attune_fma_split)(i % ATTUNE_FMA_SPLIT_COUNT)};
    if (i % 7) {
        snprintf(labels.genre_top, sizeof(labels.genre_top), "Genre %d é", i % 3);
    }
    return labels;
}

static void name_of(char out[32], int i)
{
    snprintf(out, 32, "%03d/%06d.mp3", i / 1000, i);
}

/* Rows first, first + step and so on, to ROWS; with their labels or without. */
static void write_labelled(const char *path, int first, int step, bool labelled, bool columns,
                           void (*label)(void *, attune_labels *, const char *))
{
    attune_store_attributes attributes = test_attributes(E);
    attune_store_writer *writer = NULL;
    attune_rows *rows = NULL;
    attributes.labels = columns;
    assert_ok(attune_rows_create(&rows, E));
    for (int i = first; i < ROWS; i += step) {
        char name[32];
        const attune_labels labels = labels_of(i);
        name_of(name, i);
        const attune_row row = {.path = name, .labels = labelled ? &labels : NULL};
        assert_ok(attune_rows_append(rows, &row));
    }
    assert_ok(attune_store_create(&writer, path, &attributes));
    attune_store_label(writer, label, NULL);
    assert_ok(attune_store_append(writer, rows));
    assert_ok(attune_store_commit(writer));
    attune_store_writer_close(writer);
    attune_rows_free(rows);
}

/* Every row's labels are those of its number where (number % step) is `which`, else none. */
static void assert_labels(const char *path, bool columns, int step, int which)
{
    attune_store *store = NULL;
    attune_rows *rows = NULL;
    assert_ok(attune_store_open(&store, path));
    cr_assert_eq(attune_store_attributes_of(store)->labels, columns);
    assert_ok(attune_rows_create(&rows, E));
    assert_ok(attune_store_read(store, 0, attune_store_count(store), rows));
    cr_assert_eq(attune_rows_count(rows), ROWS);
    for (int i = 0; i < ROWS; i++) {
        const attune_labels expected = i % step == which ? labels_of(i) : ATTUNE_NO_LABELS;
        const attune_row row = attune_rows_get(rows, (size_t)i);
        cr_assert(attune_labels_equal(row.labels, &expected), "%s, row %d: track %d, %s", path, i,
                  row.labels->track_id, row.labels->genre_top);
    }
    attune_rows_free(rows);
    attune_store_close(store);
}

static void label(void *user, attune_labels *out, const char *path)
{
    const int i = atoi(strrchr(path, '/') + 1);
    (void)user;
    if (i % 2 == 0) {
        *out = labels_of(i);
    }
}

Test(labels, are_kept_where_the_file_has_columns)
{
    char *path = temporary_path("out.h5");
    write_labelled(path, 0, 1, true, true, NULL);
    assert_labels(path, true, 1, 0);
    write_labelled(path, 0, 1, true, false, NULL);
    assert_labels(path, false, 1, 1);
    write_labelled(path, 0, 1, false, true, NULL);
    assert_labels(path, true, 1, 1);
    write_labelled(path, 0, 1, true, true, label); /* says nothing of odd ones */
    assert_labels(path, true, 2, 0);
    free(path);
}

Test(labels, merged_with_rows_that_have_none)
{
    char *odd = temporary_path("odd.h5"), *even = temporary_path("even.h5");
    char *merged = temporary_path("merged.h5");
    const char *const inputs[] = {odd, even};
    attune_store_attributes attributes = test_attributes(E);
    attune_store_writer *writer = NULL;
    attributes.labels = true;
    write_labelled(odd, 1, 2, true, true, NULL);
    write_labelled(even, 0, 2, true, false, NULL);
    assert_ok(attune_store_create(&writer, merged, &attributes));
    assert_ok(attune_store_merge(writer, inputs, 2, ATTUNE_MERGE_REFUSE, NULL, NULL));
    assert_ok(attune_store_commit(writer));
    attune_store_writer_close(writer);
    assert_labels(merged, true, 2, 1);
    free(odd);
    free(even);
    free(merged);
}

Test(labels, that_cannot_be_are_refused)
{
    attune_rows *rows = NULL;
    attune_labels labels = ATTUNE_NO_LABELS;
    const attune_row row = {.path = "a", .labels = &labels};
    assert_ok(attune_rows_create(&rows, E));
    labels.split = ATTUNE_FMA_SPLIT_COUNT;
    assert_fails(attune_rows_append(rows, &row), ATTUNE_EINVAL, "the unknown split 4");
    labels.split = ATTUNE_FMA_TEST;
    memset(labels.genre_top, 'x', sizeof(labels.genre_top));
    assert_fails(attune_rows_append(rows, &row), ATTUNE_EINVAL, "a genre without an end");
    cr_assert_eq(attune_rows_count(rows), 0);
    attune_rows_free(rows);
}

/* Whichever byte is changed, no other labels are read. */
Test(labels, no_changed_byte_is_believed, .timeout = 120)
{
    char *path = temporary_path("out.h5");
    write_labelled(path, 0, 1, true, true, NULL);
    size_t size = 0, refused = 0;
    char *bytes = read_file(path, &size);
    for (size_t at = 0; at < size; at += 61) {
        attune_store *store = NULL;
        attune_rows *rows = NULL;
        bytes[at] ^= 0x15;
        write_file(path, bytes, size);
        bytes[at] ^= 0x15;
        assert_ok(attune_rows_create(&rows, E));
        if (attune_store_open(&store, path) != ATTUNE_OK ||
            attune_store_read(store, 0, ROWS, rows) != ATTUNE_OK) {
            refused++;
        } else if (attune_store_attributes_of(store)->labels) {
            for (int i = 0; i < ROWS; i++) {
                const attune_labels expected = labels_of(i);
                cr_assert(attune_labels_equal(attune_rows_get(rows, (size_t)i).labels, &expected),
                          "byte %zu: row %d is believed", at, i);
            }
        }
        attune_store_close(store);
        attune_rows_free(rows);
    }
    cr_assert_gt(refused, size / 61 / 10); /* the rest is padding, or of what is not read */
    free(bytes);
    free(path);
}

Test(labels, h5py_reads_them)
{
    static const char script[] =
        "import sys, h5py\n"
        "f = h5py.File(sys.argv[1])\n"
        "assert f['track_id'].dtype == 'i4' and f['track_id'][9] == 9\n"
        "assert f['genre_top'].asstr()[8] == 'Genre 2 \\u00e9' and f['genre_top'][7] == b''\n"
        "assert f['artist_id'][9] == 3 and f['album_id'][0] == -1\n"
        "names = h5py.check_enum_dtype(f['split'].dtype)\n"
        "assert names == {'none': 0, 'training': 1, 'validation': 2, 'test': 3}, names\n"
        "assert f['split'][3] == names['test']\n";
    if (run_command("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
        skip_test("no python3 with h5py");
    }
    char *path = temporary_path("out.h5"), *script_path = temporary_path("read.py");
    write_labelled(path, 0, 1, true, true, NULL);
    write_file(script_path, script, sizeof(script) - 1);
    cr_assert_eq(run_command("/usr/bin/python3 '%s' '%s'", script_path, path), 0);
    free(path);
    free(script_path);
}
