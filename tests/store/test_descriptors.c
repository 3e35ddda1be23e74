/* test_descriptors.c - /descriptors: kept with its row through sorting, files and merges, and NaN
 * where there are none. */
#include "store/store_format.h"
#include "tests/store/store_support.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 5000, E = 4 }; /* more than a block */

static float value_of(int i, int k)
{
    return (float)i + (float)k / 32;
}

/* Rows first, first + step and so on, backwards; every third has no descriptors. */
static attune_rows *make_rows(int first, int step)
{
    attune_rows *rows = NULL;
    assert_ok(attune_rows_create(&rows, E));
    for (int i = ROWS - 1; i >= 0; i--) {
        char name[32];
        float descriptors[ATTUNE_DESCRIPTORS];
        for (int k = 0; k < ATTUNE_DESCRIPTORS; k++) {
            descriptors[k] = value_of(i, k);
        }
        snprintf(name, sizeof(name), "%06d.mp3", i);
        const attune_row row = {.path = name, .descriptors = i % 3 ? descriptors : NULL};
        if (i % step == first) {
            assert_ok(attune_rows_append(rows, &row));
        }
    }
    assert_ok(attune_rows_sort(rows));
    return rows;
}

static void assert_row(const attune_row *row, int i)
{
    for (int k = 0; k < ATTUNE_DESCRIPTORS; k++) {
        const float got = row->descriptors[k];
        cr_assert(i % 3 ? got == value_of(i, k) : isnan(got), "row %d, %d: %g", i, k, (double)got);
    }
}

static void write_described(const char *path, const attune_rows *rows, bool descriptors)
{
    attune_store_attributes attributes = test_attributes(E);
    attributes.descriptors = descriptors;
    write_rows(path, &attributes, rows);
}

static void assert_file(const char *path, bool descriptors)
{
    attune_store *store = NULL;
    attune_rows *rows = NULL;
    assert_ok(attune_store_open(&store, path));
    cr_assert_eq(attune_store_attributes_of(store)->descriptors, descriptors);
    cr_assert_eq(attune_store_count(store), ROWS);
    assert_ok(attune_rows_create(&rows, E));
    assert_ok(attune_store_read(store, 0, ROWS, rows));
    for (int i = 0; i < ROWS; i++) {
        const attune_row row = attune_rows_get(rows, (size_t)i);
        if (descriptors) {
            assert_row(&row, i);
        } else {
            cr_assert_null(row.descriptors);
        }
    }
    attune_rows_free(rows);
    attune_store_close(store);
}

Test(descriptors, stay_with_their_rows)
{
    char *path = temporary_path("out.h5"), *odd = temporary_path("odd.h5");
    char *even = temporary_path("even.h5");
    const char *const inputs[] = {odd, even};
    attune_store_attributes attributes = test_attributes(E);
    attune_store_writer *writer = NULL;
    attune_rows *rows = make_rows(0, 1);
    for (int i = 0; i < ROWS; i++) {
        const attune_row row = attune_rows_get(rows, (size_t)i);
        assert_row(&row, i);
    }
    write_described(path, rows, true);
    assert_file(path, true);
    write_described(path, rows, false);
    assert_file(path, false);
    for (int half = 0; half < 2; half++) {
        attune_rows_free(rows);
        rows = make_rows(!half, 2);
        write_described(inputs[half], rows, true);
    }
    attributes.descriptors = true;
    assert_ok(attune_store_create(&writer, path, &attributes));
    assert_ok(attune_store_merge(writer, inputs, 2, ATTUNE_MERGE_REFUSE, NULL, NULL));
    assert_ok(attune_store_commit(writer));
    attune_store_writer_close(writer);
    assert_file(path, true);
    attune_rows_free(rows);
    free(path);
    free(odd);
    free(even);
}

Test(descriptors, say_what_they_are_and_are_a_users_own_if_not)
{
    char *path = temporary_path("out.h5"), columns[1024] = "";
    attune_rows *rows = make_rows(0, 1);
    attune_store *store = NULL;
    write_described(path, rows, true);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t attribute =
        H5Aopen_by_name(file, "descriptors", ATTUNE_DESCRIPTORS_COLUMNS, H5P_DEFAULT, H5P_DEFAULT);
    hid_t type = H5Aget_type(attribute);
    cr_assert_leq(H5Tget_size(type), sizeof(columns));
    cr_assert_geq(H5Aread(attribute, type, columns), 0);
    cr_assert_eq(strncmp(columns, "tempo\nzero_crossings\ncentroid_mean\n", 35), 0, "%s", columns);
    cr_assert_str_eq(strrchr(columns, '\n'), "\ntriads_of_intervals");
    H5Tclose(type);
    H5Aclose(attribute);
    cr_assert_geq(H5Adelete_by_name(file, "descriptors", ATTUNE_DESCRIPTORS_COLUMNS, H5P_DEFAULT),
                  0);
    H5Fclose(file);
    assert_file(path, false);
    /* Under that attribute they must be as many, and f32. */
    write_described(path, rows, true);
    file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    cr_assert_geq(H5Lmove(file, "descriptors", file, "kept", H5P_DEFAULT, H5P_DEFAULT), 0);
    cr_assert_geq(H5Lcreate_hard(file, "embedding", file, "descriptors", H5P_DEFAULT, H5P_DEFAULT),
                  0);
    hid_t space = H5Screate(H5S_SCALAR);
    attribute = H5Acreate_by_name(file, "descriptors", ATTUNE_DESCRIPTORS_COLUMNS, H5T_NATIVE_INT,
                                  space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Fclose(file);
    cr_assert_eq(attune_store_open(&store, path), ATTUNE_EDATA);
    cr_assert(strstr(attune_last_error(), "/descriptors has another type or rank"), "%s",
              attune_last_error());
    attune_rows_free(rows);
    free(path);
}
