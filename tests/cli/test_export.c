/* test_export.c - `attune export` as a user runs it; what it writes, Python's libraries read. */
#include "tests/store/store_support.h"
#include "tests/support/command.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *attune;

/* Runs `attune export ARGUMENTS`: its exit code must be `code`, and stderr hold `text`. */
static void export(int code, const char *text, const char *arguments)
{
    check_command(code, text, "%s export %s", attune, arguments);
}

/* Rows of the series, and some with names that CSV has to quote. */
static void write_output(size_t count)
{
    static const char *const names[] = {"\"", ",",   "a \"b\", c.mp3", "two\r\nlines", "\r",
                                        "\n", " x ", "\xff,\xfe"};
    const attune_store_attributes attributes = test_attributes(8);
    attune_rows *rows = NULL;
    assert_ok(attune_rows_create(&rows, 8));
    /* from 21 on: the embedding of 20 holds an infinity */
    for (size_t i = 0; i < count; i++) {
        append_test_rows(rows, 8, i % 29 + 21 + i / 29 * 50, 1);
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const float embedding[8] = {1e-30f, (float)i, -1.0f / 3.0f, 0.1f, 16777217.0f};
        const attune_row row = {.path = names[i], .error = names[i], .embedding = embedding};
        assert_ok(attune_rows_append(rows, &row));
    }
    write_rows("out.h5", &attributes, rows);
    attune_rows_free(rows);
}

Test(export, python_reads_what_it_writes)
{
    attune = prepare_command();
    if (run_command("/usr/bin/python3 -c 'import h5py, numpy' 2>/dev/null") != 0) {
        skip_test("python3-h5py is not installed");
    }
    write_output(5000);
    export(0, " rows -> vectors.npy; 3102 without a vector left out", "out.h5 -o vectors.npy");
    export(0, "5008 rows -> all.npy\n", "out.h5 -o all.npy --all");
    export(0, "3102 without a vector left out", "out.h5 -o vectors.csv");
    export(0, "5008 rows -> all.csv\n", "out.h5 --format csv -o all.csv -a");
    export(0, "1906 rows, 150 of them queries with 20 neighbors each -> ann.hdf5",
           "out.h5 -o ann.hdf5 --queries 150 -k 20 -j 3");
    cr_assert_eq(run_command("/usr/bin/python3 '%s/export_check.py' . 150 20", ATTUNE_TESTS_CLI),
                 0);
    export(0, "", "out.h5 -q -o - -F csv >stdout.csv");
    export(0, "", "out.h5 -q -o again.hdf5 --queries 150 -k 20 -j 1");
    cr_assert_eq(run_command("cmp stdout.csv vectors.csv && cmp again.hdf5 ann.hdf5"), 0);
    export(0, "1906 rows, 191 of them queries with 100 neighbors each", "out.h5 -o default.hdf5");
}

Test(export, small_outputs)
{
    attune = prepare_command();
    write_test_file("one.h5", 8, 1, 1); /* status ok */
    write_test_file("none.h5", 8, 0, 1);
    export(0, "0 rows -> none.npy\n", "none.h5 -o none.npy");
    export(0, "0 rows -> none.csv\n", "none.h5 -o none.csv");
    export(65, "needs 2 to 2147483647 rows", "none.h5 -o x.hdf5");
    export(65, "and here are 1", "one.h5 -o x.hdf5");
    write_output(0);
    export(0, "8 rows, 1 of them queries with 7 neighbors each", "out.h5 -o few.hdf5");
    export(64, "8 queries of 8 rows", "out.h5 -o x.hdf5 --queries 8");
    char *csv = read_file("none.csv", NULL);
    cr_assert(strncmp(csv, "path,status,", 12) == 0 && strchr(csv, '\n')[1] == '\0', "%s", csv);
    free(csv);
    size_t size = 0;
    free(read_file("none.npy", &size));
    cr_assert_eq(size, 128);
    cr_assert_neq(access("x.hdf5", F_OK), 0);
}

Test(export, replaces_only_what_it_may)
{
    attune = prepare_command();
    write_output(30);
    write_file("notes.csv", "mine", 4);
    cr_assert_eq(run_command("cp out.h5 copy.h5 && mkdir folder.npy"), 0);
    export(73, "notes.csv: exists; --force replaces it", "out.h5 -o notes.csv");
    export(73, "out.h5: is an attune output", "out.h5 -o out.h5 -F npy --force");
    export(73, "folder.npy: is a folder", "out.h5 -o folder.npy --force");
    export(73, "there is no folder", "out.h5 -o no/x.csv");
    cr_assert_eq(run_command("grep -qx mine notes.csv && cmp out.h5 copy.h5"), 0);
    for (const char *const *format = (const char *const[]){"npy", "csv", "hdf5", NULL}; *format;
         format++) {
        const int ended = run_command("(trap '' XFSZ; ulimit -f 1; %s export out.h5 -f -F %s "
                                      "-o notes.csv 2>err)",
                                      attune, *format);
        cr_assert_eq(ended, 74, "%s on a full disk: %d", *format, ended);
        cr_assert_eq(run_command("grep -q 'notes.csv: cannot write: File too large' err && "
                                 "grep -qx mine notes.csv && ! ls -A | grep tmp"),
                     0);
    }
    export(0, "rows -> notes.csv", "out.h5 -o notes.csv --force");
    cr_assert_eq(run_command("head -1 notes.csv | grep -q ^path,status"), 0);
    if (access("/dev/full", W_OK) == 0) {
        export(74, "standard output: cannot write", "out.h5 -F npy -o - >/dev/full");
    }
}

/* Whichever format: what is damaged is refused before anything is there. */
Test(export, damaged_outputs)
{
    attune = prepare_command();
    write_output(300);
    size_t size = 0, refused = 0;
    char *bytes = read_file("out.h5", &size);
    for (size_t at = size / 20; at < size; at += size / 20) {
        bytes[at] ^= 1;
        write_file("damaged.h5", bytes, size);
        bytes[at] ^= 1;
        const int code = run_command("%s export damaged.h5 -qo x.csv 2>err", attune);
        cr_assert_eq(run_command("%s export damaged.h5 -qo x.hdf5 2>err", attune), code, "%zu", at);
        cr_assert(code == 0 || code == 65, "%d", code);
        cr_assert_eq(run_command("test -e x.csv && rm x.csv x.hdf5"), code == 0 ? 0 : 1);
        refused += code != 0;
    }
    cr_assert_gt(refused, 10);
    free(bytes);
}

Test(export, mistakes)
{
    attune = prepare_command();
    write_output(30);
    write_file("notes", "mine", 4);
    static const struct {
        int code;
        const char *text, *arguments;
    } cases[] = {
        {64, "no OUT.h5", "-o x.npy"},
        {64, "no output", "out.h5"},
        {64, "one file at a time", "out.h5 out.h5 -o x.npy"},
        {64, "x ends with none of", "out.h5 -o x"},
        {64, ".npy ends with none of", "out.h5 -o .npy"},
        {64, "--format xls", "out.h5 -o x -F xls"},
        {64, "--all is for npy and csv", "out.h5 -o x.hdf5 --all"},
        {64, "-o - is for npy, csv and onnx", "out.h5 -o - -F hdf5"},
        {64, "are for hdf5", "out.h5 -o x.csv -k 3"},
        {64, "--queries 0", "out.h5 -o x.hdf5 --queries 0"},
        {64, "-k 0", "out.h5 -o x.hdf5 -k 0"},
        {66, "nowhere.h5", "nowhere.h5 -o x.npy"},
        {65, "notes", "notes -o x.npy"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        export(cases[i].code, cases[i].text, cases[i].arguments);
    }
    cr_assert_eq(run_command("! ls -A | grep '^x'"), 0);
}
