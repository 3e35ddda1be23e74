/* test_damage.c - a file that is not as the format says is refused, and never crashes the reader.
 */
#include "tests/store/store_support.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WIDTH = 4, ROWS = 35 };

/* Opens and reads everything. Whatever the bytes, the answer is "fine", "bad data" or "cannot
 * read". */
static attune_status read_all(const char *path)
{
    attune_store *store = NULL;
    attune_status status = attune_store_open(&store, path);
    if (status != ATTUNE_OK) {
        cr_assert_null(store);
        return status;
    }
    attune_rows *rows = NULL;
    assert_ok(attune_rows_create(&rows, attune_store_attributes_of(store)->embedding));
    uint64_t count = attune_store_count(store);
    status = attune_store_read(store, 0, count, rows);
    cr_assert_eq(attune_rows_count(rows), status == ATTUNE_OK ? count : 0);
    attune_rows_free(rows);
    attune_store_close(store);
    return status;
}

/* The file of `count` rows is refused, or read as it was written: never half. */
static attune_status assert_whole_or_refused(const char *path, size_t count, const char *what,
                                             size_t at)
{
    attune_status status = read_all(path);
    cr_assert(status == ATTUNE_OK || status == ATTUNE_EDATA || status == ATTUNE_EIO,
              "%s at %zu: %d %s", what, at, status, attune_last_error());
    if (status != ATTUNE_OK) {
        cr_assert(strstr(attune_last_error(), path), "%s", attune_last_error());
    } else {
        assert_test_file(path, WIDTH, count);
    }
    return status;
}

Test(damage, refuses_what_is_no_output)
{
    char *missing = temporary_path("missing.h5"), *text = temporary_path("notes.txt");
    char *under = temporary_path("notes.txt/out.h5"), *empty = temporary_path("empty.h5");
    char *signature = temporary_path("signature.h5"), *pipe_path = temporary_path("pipe.h5");
    write_file(text, "not HDF5 at all\n", 16);
    write_file(empty, "", 0);
    write_file(signature, "\x89HDF\r\n\x1a\n", 8);
    cr_assert_eq(mkfifo(pipe_path, 0666), 0);
    const struct {
        const char *path;
        attune_status status;
        const char *text;
    } cases[] = {
        {missing, ATTUNE_ENOINPUT, "No such file"},
        {under, ATTUNE_ENOINPUT, "Not a directory"},
        {text, ATTUNE_EDATA, "not an HDF5 file"},
        {empty, ATTUNE_EDATA, "not an HDF5 file"},
        {signature, ATTUNE_EDATA, "damaged or cut short"},
        {temporary_folder(), ATTUNE_EDATA, "is a folder"},
        {pipe_path, ATTUNE_EDATA, "is a folder or a device"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        attune_store *store = (attune_store *)&store;
        assert_fails(attune_store_open(&store, cases[i].path), cases[i].status, cases[i].text);
        cr_assert(strstr(attune_last_error(), cases[i].path), "%s", attune_last_error());
        cr_assert_null(store);
    }
    free(missing);
    free(text);
    free(under);
    free(empty);
    free(signature);
    free(pipe_path);
}

/* Replaces a dataset by a new, empty one of the given type and shape, chunked. */
static void replace_dataset(hid_t file, const char *name, hid_t type, int rank, hsize_t rows,
                            hsize_t width)
{
    const hsize_t extent[2] = {rows, width}, limit[2] = {H5S_UNLIMITED, width},
                  chunk[2] = {16, width};
    hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(rank, extent, limit);
    if (H5Lexists(file, name, H5P_DEFAULT) > 0) {
        H5Ldelete(file, name, H5P_DEFAULT);
    }
    H5Pset_chunk(list, rank, chunk);
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    cr_assert_geq(dataset, 0);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(list);
}

static void set_attribute(hid_t file, const char *name, hid_t type, const void *value)
{
    if (H5Aexists(file, name) > 0) {
        H5Adelete(file, name);
    }
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    cr_assert_geq(H5Awrite(attribute, type, value), 0);
    H5Aclose(attribute);
    H5Sclose(space);
}

static void no_format(hid_t file)
{
    H5Adelete(file, "format");
}

static void other_format(hid_t file)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 5);
    set_attribute(file, "format", type, "pears");
    H5Tclose(type);
}

static void next_version(hid_t file)
{
    set_attribute(file, "format_version", H5T_NATIVE_INT, &(int){2});
}

static void version_in_words(hid_t file)
{
    set_attribute(file, "format_version", H5T_C_S1, "1");
}

static void no_network(hid_t file)
{
    H5Adelete(file, "network");
}

static void variable_root(hid_t file)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    set_attribute(file, "root", type, &(const char *){"/music"});
    H5Tclose(type);
}

static void no_frames(hid_t file)
{
    H5Ldelete(file, "frames", H5P_DEFAULT);
}

static void flat_embedding(hid_t file)
{
    replace_dataset(file, "embedding", H5T_IEEE_F32LE, 1, ROWS, 1);
}

static void double_embedding(hid_t file)
{
    replace_dataset(file, "embedding", H5T_IEEE_F64LE, 2, ROWS, WIDTH);
}

static void wide_embedding(hid_t file)
{
    replace_dataset(file, "embedding", H5T_IEEE_F32LE, 2, ROWS, 5000);
}

static void short_status(hid_t file)
{
    hid_t dataset = H5Dopen2(file, "status", H5P_DEFAULT);
    cr_assert_geq(H5Dset_extent(dataset, &(hsize_t){ROWS - 1}), 0);
    H5Dclose(dataset);
}

static void long_embedding(hid_t file)
{
    hid_t dataset = H5Dopen2(file, "embedding", H5P_DEFAULT);
    cr_assert_geq(H5Dset_extent(dataset, (hsize_t[]){ROWS + 1, WIDTH}), 0);
    H5Dclose(dataset);
}

static void plain_status(hid_t file)
{
    replace_dataset(file, "status", H5T_STD_U8LE, 1, ROWS, 1);
}

static void big_endian_size(hid_t file)
{
    replace_dataset(file, "size", H5T_STD_U64BE, 1, ROWS, 1);
}

static void fixed_path(hid_t file)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 16);
    replace_dataset(file, "path", type, 1, ROWS, 1);
    H5Tclose(type);
}

static void path_is_a_group(hid_t file)
{
    H5Ldelete(file, "path", H5P_DEFAULT);
    H5Gclose(H5Gcreate2(file, "path", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
}

static void contiguous_error(hid_t file)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &(hsize_t){ROWS}, NULL);
    H5Tset_size(type, H5T_VARIABLE);
    H5Ldelete(file, "error", H5P_DEFAULT);
    H5Dclose(H5Dcreate2(file, "error", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
    H5Tclose(type);
}

/* Writes past the enum by way of a type that holds its value, as a program with another enum would.
 */
static void unknown_status(hid_t file)
{
    uint8_t statuses[ROWS] = {0};
    statuses[17] = 10;
    hid_t dataset = H5Dopen2(file, "status", H5P_DEFAULT), type = H5Dget_type(dataset);
    cr_assert_geq(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, statuses), 0);
    H5Tclose(type);
    H5Dclose(dataset);
}

static void no_checksum(hid_t file)
{
    H5Ldelete(file, "checksum", H5P_DEFAULT);
}

static void other_duration(hid_t file)
{
    double durations[ROWS] = {1};
    hid_t dataset = H5Dopen2(file, "duration", H5P_DEFAULT);
    cr_assert_geq(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, durations),
                  0);
    H5Dclose(dataset);
}

/* What a later version, or a user, may add. */
static void more_columns(hid_t file)
{
    replace_dataset(file, "zebra", H5T_STD_I32LE, 1, 3, 1);
    replace_dataset(file, "track_id", H5T_STD_I32LE, 1, ROWS, 1);
    H5Gclose(H5Gcreate2(file, "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    set_attribute(file, "remark", H5T_NATIVE_INT, &(int){2});
}

Test(damage, refuses_what_breaks_the_format)
{
    static const struct {
        void (*spoil)(hid_t file);
        const char *text; /* NULL: it is fine */
    } cases[] = {
        {more_columns, NULL},
        {no_checksum, NULL},
        {other_duration, "row 0 is not what was written"},
        {no_format, "not an attune output"},
        {other_format, "not an attune output"},
        {next_version, "of format version 2, and attune 0.1.0 reads version 1"},
        {version_in_words, "no whole number 'format_version'"},
        {no_network, "attribute 'network' is missing"},
        {variable_root, "attribute 'root' is missing or not a string of fixed length"},
        {no_frames, "cannot open its dataset /frames"},
        {flat_embedding, "/embedding has another type or rank"},
        {double_embedding, "/embedding has another type or rank"},
        {wide_embedding, "embeddings of 5000 numbers"},
        {short_status, "/status has 34 rows and /embedding 35"},
        {long_embedding, "/path has 35 rows and /embedding 36"},
        {plain_status, "/status has another type or rank"},
        {big_endian_size, "/size has another type or rank"},
        {fixed_path, "/path has another type or rank"},
        {path_is_a_group, "cannot open its dataset /path"},
        {contiguous_error, "/error is stored otherwise"},
        {unknown_status, "row 17 has the unknown status 10"},
    };
    char *path = temporary_path("out.h5");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        unlink(path);
        write_test_file(path, WIDTH, ROWS, ROWS);
        hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        cr_assert_geq(file, 0);
        cases[i].spoil(file);
        cr_assert_geq(H5Fclose(file), 0);
        if (!cases[i].text) {
            assert_test_file(path, WIDTH, ROWS);
            continue;
        }
        assert_fails(read_all(path), ATTUNE_EDATA, cases[i].text);
        cr_assert(strstr(attune_last_error(), path), "%s", attune_last_error());
    }
    free(path);
}

/* HDF5's own reader of strings crashes, or never returns, on many of these. */
Test(damage, every_byte_flipped, .timeout = 280)
{
    static const unsigned char masks[] = {0xff, 0x01, 0x80};
    char *path = temporary_path("out.h5");
    write_test_file(path, WIDTH, ROWS, ROWS);
    size_t size, refused = 0;
    char *bytes = read_file(path, &size);
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    setvbuf(file, NULL, _IONBF, 0);
    for (size_t at = 0; at < size; at++) {
        const unsigned char mask = masks[at % sizeof(masks)];
        cr_assert(fseek(file, (long)at, SEEK_SET) == 0 && fputc(bytes[at] ^ mask, file) != EOF);
        refused += assert_whole_or_refused(path, ROWS, "byte", at) != ATTUNE_OK;
        cr_assert(fseek(file, (long)at, SEEK_SET) == 0 && fputc(bytes[at], file) != EOF);
    }
    fclose(file);
    /* All but what nothing refers to: free space in heaps and between HDF5's structures. */
    cr_assert_geq(refused, size / 2, "%zu of %zu bytes matter", refused, size);
    assert_test_file(path, WIDTH, ROWS);
    free(bytes);
    free(path);
}

/* Labels and descriptors need not be there: damage must not pass for that. */
Test(damage, no_flipped_byte_hides_a_column, .timeout = 60)
{
    char *path = temporary_path("out.h5");
    attune_store_attributes attributes = test_attributes(WIDTH);
    attune_rows *rows = NULL;
    assert_ok(attune_rows_create(&rows, WIDTH));
    append_test_rows(rows, WIDTH, 0, 3);
    attributes.labels = attributes.descriptors = true;
    write_rows(path, &attributes, rows);
    attune_rows_free(rows);
    size_t size, refused = 0;
    char *bytes = read_file(path, &size);
    for (size_t at = 0; at < size; at += 16) { /* pieces of metadata are longer */
        attune_store *store = NULL;
        bytes[at] ^= 1;
        write_file(path, bytes, size);
        bytes[at] ^= 1;
        if (attune_store_open(&store, path) != ATTUNE_OK) {
            refused++;
            continue;
        }
        cr_assert(attune_store_attributes_of(store)->labels, "byte %zu", at);
        cr_assert(attune_store_attributes_of(store)->descriptors, "byte %zu", at);
        attune_store_close(store);
    }
    cr_assert_geq(refused, size / 64, "%zu", refused);
    free(bytes);
    free(path);
}

Test(damage, bytes_flipped_in_a_large_file)
{
    char *path = temporary_path("out.h5");
    uint64_t random = 5;
    write_test_file(path, WIDTH, 9000, 4096);
    size_t size;
    char *bytes = read_file(path, &size), *intact = read_file(path, &size);
    for (int round = 0; round < 150; round++) {
        size_t places[40];
        for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
            places[i] =
                48 + random_bits(&random) % (size - 48); /* the superblock alone would be refused */
            bytes[places[i]] ^= (char)(1 << (random_bits(&random) % 8));
        }
        write_file(path, bytes, size);
        assert_whole_or_refused(path, 9000, "round", (size_t)round);
        for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
            bytes[places[i]] = intact[places[i]];
        }
    }
    free(intact);
    free(bytes);
    free(path);
}

Test(damage, cut_short_at_every_length)
{
    char *path = temporary_path("out.h5");
    write_test_file(path, WIDTH, ROWS, ROWS);
    struct stat information;
    cr_assert_eq(stat(path, &information), 0);
    for (off_t length = information.st_size - 1; length >= 0; length--) {
        cr_assert_eq(truncate(path, length), 0);
        cr_assert_eq(read_all(path), ATTUNE_EDATA, "cut to %lld bytes", (long long)length);
        if (length >= 48) {
            cr_assert(strstr(attune_last_error(), "cut short"), "%s", attune_last_error());
        }
    }
    free(path);
}

/* Texts lie in heaps that carry no checksum. A heap of which every field is driven to its ends must
 * be refused, or give rows; never more than it holds. */
Test(damage, heaps_with_every_length, .timeout = 280)
{
    static const uint64_t values[] = {0,
                                      1,
                                      15,
                                      16,
                                      17,
                                      4095,
                                      4096,
                                      4097,
                                      65535,
                                      1u << 20,
                                      1u << 21,
                                      UINT32_MAX,
                                      INT64_MAX - 7,
                                      INT64_MAX,
                                      UINT64_MAX - 15,
                                      UINT64_MAX};
    char *path = temporary_path("out.h5");
    write_test_file(path, WIDTH, ROWS, ROWS);
    size_t size, heaps = 0;
    char *bytes = read_file(path, &size);
    for (size_t at = 0; at + 16 < size; at++) {
        if (memcmp(bytes + at, "GCOL", 4) != 0) {
            continue;
        }
        heaps++;
        for (size_t field = at + 8; field < at + 400 && field + 8 <= size; field += 8) {
            char old[8];
            memcpy(old, bytes + field, 8);
            for (size_t v = 0; v < sizeof(values) / sizeof(*values); v++) {
                memcpy(bytes + field, &values[v], 8);
                write_file(path, bytes, size);
                assert_whole_or_refused(path, ROWS, "heap field", field);
            }
            memcpy(bytes + field, old, 8);
        }
        for (size_t object = at + 16; object < at + 400;
             object += 8) { /* free space of no length */
            char old[16];
            memcpy(old, bytes + object, 16);
            memset(bytes + object, 0, 16);
            write_file(path, bytes, size);
            assert_whole_or_refused(path, ROWS, "zeros", object);
            memcpy(bytes + object, old, 16);
        }
    }
    cr_assert_geq(heaps, 1);
    free(bytes);
    free(path);
}

/* The first byte in the file of the references of a column of texts, whose one chunk this is. */
static size_t find_references(const char *path, const char *column)
{
    unsigned filters;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT),
          dataset = H5Dopen2(file, column, H5P_DEFAULT);
    cr_assert_geq(H5Dget_chunk_info_by_coord(dataset, &(hsize_t){0}, &filters, &address, &size), 0);
    cr_assert_eq(size, ROWS * 16);
    H5Dclose(dataset);
    H5Fclose(file);
    return address;
}

/* A wrong length within the heap reads well and gives another text: the comparison with the object
 * finds it. Another index may be that of a text of the same length: the row's checksum finds it. */
Test(damage, no_changed_reference_is_believed)
{
    static const char masks[] = {(char)0xff, 0x02};
    char *path = temporary_path("out.h5");
    write_test_file(path, WIDTH, ROWS, ROWS);
    size_t size, first = find_references(path, "path");
    char *bytes = read_file(path, &size);
    for (size_t at = first; at < first + ROWS * 16; at++) {
        for (size_t m = 0; m < sizeof(masks); m++) {
            bytes[at] ^= masks[m];
            write_file(path, bytes, size);
            assert_fails(read_all(path), ATTUNE_EDATA, "");
            bytes[at] ^= masks[m];
        }
    }
    free(bytes);
    free(path);
}
