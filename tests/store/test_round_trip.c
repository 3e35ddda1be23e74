/* test_round_trip.c - what is written is read again, by us, by h5py and by h5dump. */
#include "attune/export.h"
#include "tests/store/store_support.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

Test(round_trip, exports_without_counts_and_to_no_known_format)
{
    char *path = temporary_path("out.h5"), *numbers = temporary_path("out.npy");
    attune_store *store = NULL;
    write_test_file(path, 4, 10, 1);
    assert_ok(attune_store_open(&store, path));
    attune_export_options options = {.format = ATTUNE_EXPORT_NPY};
    assert_ok(attune_export(numbers, store, &options, NULL));
    options.format = (attune_export_format)7;
    options.replace = true;
    assert_fails(attune_export(numbers, store, &options, NULL), ATTUNE_EINVAL, "format 7");
    attune_store_close(store);
    free(path);
    free(numbers);
}

Test(round_trip, every_row_count_and_width)
{
    static const size_t counts[] = {0, 1, 2, 4095, 4096, 4097, 10000};
    static const int widths[] = {1, 16, 32, 128};
    char *path = temporary_path("out.h5");
    for (size_t c = 0; c < sizeof(counts) / sizeof(*counts); c++) {
        for (size_t w = 0; w < sizeof(widths) / sizeof(*widths); w++) {
            write_test_file(path, widths[w], counts[c], 4096);
            assert_test_file(path, widths[w], counts[c]);
        }
    }
    free(path);
}

Test(round_trip, the_bytes_do_not_depend_on_the_pieces)
{
    static const size_t pieces[] = {1, 7, 1000, 4095, 4097, 8193, 20000};
    char *path = temporary_path("out.h5");
    write_test_file(path, 32, 9000, 4096);
    size_t expected_size;
    char *expected = read_file(path, &expected_size);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
        write_test_file(path, 32, 9000, pieces[i]);
        size_t size;
        char *bytes = read_file(path, &size);
        cr_assert_eq(size, expected_size, "pieces of %zu", pieces[i]);
        cr_assert(memcmp(bytes, expected, size) == 0, "pieces of %zu", pieces[i]);
        free(bytes);
    }
    free(expected);
    free(path);
}

Test(round_trip, a_small_file_is_small)
{
    /* Rows, bytes that the file may have: its metadata and each row's numbers and texts with room
     * to spare. */
    static const struct {
        size_t rows;
        off_t size;
    } cases[] = {{0, 8000}, {1, 20000}, {35, 40000}, {4096, 3000000}};
    char *path = temporary_path("out.h5");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct stat information;
        write_test_file(path, 32, cases[i].rows, 4096);
        cr_assert_eq(stat(path, &information), 0);
        cr_assert_leq(information.st_size, cases[i].size, "%zu rows take %lld bytes", cases[i].rows,
                      (long long)information.st_size);
    }
    free(path);
}

Test(round_trip, attributes)
{
    char *path = temporary_path("out.h5");
    char *long_command = malloc(1000001);
    memset(long_command, 'c', 1000000);
    long_command[1000000] = '\0';
    attune_store_attributes attributes = test_attributes(8);
    attributes.command = long_command; /* a shell's *.mp3 */
    attributes.device = NULL;
    attune_store_writer *writer = NULL;
    attune_store *store = NULL;
    assert_ok(attune_store_create(&writer, path, &attributes));
    assert_ok(attune_store_commit(writer));
    attune_store_writer_close(writer);
    assert_ok(attune_store_open(&store, path));
    const attune_store_attributes *read = attune_store_attributes_of(store);
    cr_assert_str_eq(read->model_sha256, attributes.model_sha256);
    cr_assert_str_eq(read->model_name, attributes.model_name);
    cr_assert_str_eq(read->network, attributes.network);
    cr_assert_str_eq(read->device, "");
    cr_assert_str_eq(read->precision, attributes.precision);
    cr_assert_str_eq(read->root, attributes.root);
    cr_assert_str_eq(read->command, attributes.command);
    cr_assert_str_eq(read->libav, attributes.libav);
    cr_assert_str_eq(read->attune_version, attributes.attune_version);
    cr_assert_str_eq(read->created, attributes.created);
    cr_assert_eq(read->sample_rate, attributes.sample_rate);
    cr_assert_eq(read->frame_size, attributes.frame_size);
    cr_assert_eq(read->embedding, attributes.embedding);
    cr_assert_eq(read->clip_start, attributes.clip_start);
    cr_assert_eq(read->clip_seconds, attributes.clip_seconds);
    attune_store_close(store);
    free(long_command);
    free(path);
}

Test(round_trip, any_range_of_rows)
{
    enum { COUNT = 9000, WIDTH = 16 };
    static const uint64_t ranges[][2] = {{0, 0},    {0, 1},    {4095, 2},    {4000, 200}, {8999, 1},
                                         {9000, 0}, {1, 8999}, {4096, 4096}, {100, 8192}};
    char *path = temporary_path("out.h5");
    attune_store *store = NULL;
    attune_rows *rows = NULL;
    float *embeddings = malloc(sizeof(float) * COUNT * WIDTH);
    uint8_t *statuses = malloc(COUNT);
    write_test_file(path, WIDTH, COUNT, COUNT);
    assert_ok(attune_store_open(&store, path));
    assert_ok(attune_rows_create(&rows, WIDTH));
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        uint64_t first = ranges[i][0], count = ranges[i][1];
        size_t before = attune_rows_count(rows);
        assert_ok(attune_store_read(store, first, count, rows));
        cr_assert_eq(attune_rows_count(rows), before + count);
        assert_test_rows(rows, before, WIDTH, first, count);
        assert_ok(attune_store_read_embeddings(store, first, count, embeddings));
        assert_ok(attune_store_read_statuses(store, first, count, statuses));
        for (size_t k = 0; k < count; k++) {
            attune_row row = attune_rows_get(rows, before + k);
            cr_assert_eq(statuses[k], row.status);
            cr_assert(memcmp(embeddings + k * WIDTH, row.embedding, sizeof(float) * WIDTH) == 0);
        }
    }
    size_t before = attune_rows_count(rows);
    static const uint64_t beyond[][2] = {
        {9001, 0}, {9000, 1}, {0, 9001}, {1, UINT64_MAX}, {UINT64_MAX, 2}};
    for (size_t i = 0; i < sizeof(beyond) / sizeof(*beyond); i++) {
        uint64_t first = beyond[i][0], count = beyond[i][1];
        assert_fails(attune_store_read(store, first, count, rows), ATTUNE_EINVAL, "only 9000");
        assert_fails(attune_store_read_embeddings(store, first, count, embeddings), ATTUNE_EINVAL,
                     "only");
        assert_fails(attune_store_read_statuses(store, first, count, statuses), ATTUNE_EINVAL,
                     "only");
    }
    cr_assert_eq(attune_rows_count(rows), before);
    attune_rows *narrow = NULL;
    assert_ok(attune_rows_create(&narrow, WIDTH - 1));
    assert_fails(attune_store_read(store, 0, 1, narrow), ATTUNE_EINVAL, "rows of 15");
    attune_rows_free(narrow);
    attune_rows_free(rows);
    attune_store_close(store);
    free(embeddings);
    free(statuses);
    free(path);
}

Test(round_trip, two_files_at_a_time)
{
    char *one = temporary_path("one.h5"), *two = temporary_path("two.h5");
    attune_store *store = NULL, *again = NULL;
    write_test_file(one, 4, 100, 100);
    assert_ok(attune_store_open(&store, one));
    assert_ok(attune_store_open(&again, one));
    write_test_file(two, 4, 5000, 100);
    write_test_file(one, 4, 50, 100);
    /* An open file stays what it was when it is replaced. */
    cr_assert_eq(attune_store_count(store), 100);
    attune_rows *rows = NULL;
    assert_ok(attune_rows_create(&rows, 4));
    assert_ok(attune_store_read(store, 0, 100, rows));
    assert_test_rows(rows, 0, 4, 0, 100);
    attune_store_close(store);
    attune_rows_clear(rows);
    assert_ok(attune_store_read(again, 0, 100, rows));
    assert_test_rows(rows, 0, 4, 0, 100);
    attune_rows_free(rows);
    attune_store_close(again);
    assert_test_file(one, 4, 50);
    assert_test_file(two, 4, 5000);
    free(one);
    free(two);
}

/* The python3 that has h5py, or NULL. */
static const char *python_with_h5py(void)
{
    static const char *const pythons[] = {"python3", "/usr/bin/python3"};
    for (size_t i = 0; i < sizeof(pythons) / sizeof(*pythons); i++) {
        if (run_command("%s -c 'import h5py' >/dev/null 2>&1", pythons[i]) == 0) {
            return pythons[i];
        }
    }
    return NULL;
}

Test(round_trip, h5py_reads_it)
{
    static const char script[] =
        "import sys, h5py, numpy\n"
        "file = h5py.File(sys.argv[1])\n"
        "embedding, path = file['embedding'][:], file['path'][:]\n"
        "ok = file['status'][:] == 0\n"
        "assert embedding.shape == (4100, 32) and embedding.dtype == numpy.float32\n"
        "assert path[0] == b'artist 000/track 00000000.mp3', path[0]\n"
        "assert path[3] == b'artist 000/track 00000003.mp3\\xe9t\\xe9\\n\\xf0\\x9f\\x8e\\xb5', "
        "path[3]\n"
        "assert len(path[11]) > 5500\n"
        "assert ok.sum() == 410 and ok[0] and not ok[1]\n"
        "failed = file['status'][:] > 3\n"
        "assert numpy.isnan(embedding[failed]).all() and not "
        "numpy.isnan(embedding[~failed]).any()\n"
        "names = h5py.check_enum_dtype(file['status'].dtype)\n"
        "assert names['too_short'] == 3 and names['timeout'] == 9 and len(names) == 10, names\n"
        "assert file['error'][0] == b'' and file['error'][9].startswith(b'timeout: '), "
        "file['error'][9]\n"
        "assert file['frames'][9] == 2**32 - 1 and file['size'][10] == 2**64 - 1\n"
        "assert file['mtime_ns'][11] == -2**63 and file['duration'][1] == 1 / 3\n"
        "assert file['embedding'].maxshape == (None, 32) and file['embedding'].chunks == (4096, "
        "32)\n"
        "assert file['path'].maxshape == (None,) and file['embedding'].compression is None\n"
        "assert file.attrs['format'] == b'attune-embeddings' and file.attrs['format_version'] == "
        "1\n"
        "assert file.attrs['network'].decode().endswith('r\\u00e9seau\"}')\n"
        "assert file.attrs['sample_rate'] == 22050 and file.attrs['clip_start'] == 0.1\n"
        "assert sorted(file) == ['checksum', 'duration', 'embedding', 'error', 'frames', "
        "'mtime_ns', 'path', "
        "'size',\n"
        "                        'status'], sorted(file)\n"
        "assert sorted(file.attrs) == ['attune_version', 'clip_seconds', 'clip_start', 'command', "
        "'created',\n"
        "    'device', 'format', 'format_version', 'frame_size', 'libav', 'model_name', "
        "'model_sha256',\n"
        "    'network', 'precision', 'root', 'sample_rate'], sorted(file.attrs)\n";
    const char *python = python_with_h5py();
    if (!python) {
        skip_test("no python3 with h5py");
    }
    char *path = temporary_path("out.h5"), *script_path = temporary_path("read.py");
    write_test_file(path, 32, 4100, 1000);
    write_file(script_path, script, sizeof(script) - 1);
    cr_assert_eq(run_command("%s '%s' '%s'", python, script_path, path), 0);
    free(path);
    free(script_path);
}

Test(round_trip, h5dump_reads_it)
{
    if (run_command("command -v h5dump >/dev/null") != 0) {
        skip_test("no h5dump");
    }
    char *path = temporary_path("out.h5"), *text = temporary_path("out.txt");
    write_test_file(path, 32, 35, 35);
    cr_assert_eq(run_command("h5dump -H '%s' >'%s'", path, text), 0);
    char *header = read_file(text, NULL);
    cr_assert(strstr(header, "( 35, 32 ) / ( H5S_UNLIMITED, 32 )"), "%s", header);
    cr_assert(strstr(header, "H5T_IEEE_F32LE") && strstr(header, "H5T_CSET_UTF8"), "%s", header);
    cr_assert_eq(run_command("h5dump '%s' >'%s'", path, text), 0);
    free(header);
    free(path);
    free(text);
}
