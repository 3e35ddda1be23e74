/* test_csv.c - rows and their lines; what is no CSV file is refused with its line. */
#include "csv/csv.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes `size` bytes to a file; returns its path, malloc'ed. */
static char *make(const char *bytes, size_t size)
{
    char *path = temporary_path("a.csv");
    write_file(path, bytes, size);
    return path;
}

/* All rows as "<line>:<field>|<field> ...". */
static void assert_rows(const char *text, const char *expected)
{
    char got[1024] = "";
    size_t length = 0;
    char *path = make(text, strlen(text));
    attune_csv *csv = NULL;
    attune_csv_row row;
    cr_assert_eq(attune_csv_open(&csv, path), ATTUNE_OK);
    for (;;) {
        cr_assert_eq(attune_csv_next(csv, &row), ATTUNE_OK, "%s: %s", text, attune_last_error());
        if (row.count == 0) {
            break;
        }
        length += (size_t)snprintf(got + length, sizeof(got) - length, "%s%zu:", length ? " " : "",
                                   row.line);
        for (size_t i = 0; i < row.count; i++) {
            length += (size_t)snprintf(got + length, sizeof(got) - length, "%s%s", i ? "|" : "",
                                       row.fields[i]);
        }
    }
    cr_assert_eq(attune_csv_next(csv, &row), ATTUNE_OK);
    cr_assert_eq(row.count, 0, "a row behind the end");
    cr_assert_str_eq(got, expected, "%s", text);
    attune_csv_close(csv);
    free(path);
}

Test(csv, rows_have_their_fields_and_lines)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"\n\n  \n", ""},
        {"a,b,c\nd,e\n", "1:a|b|c 2:d|e"},
        {"a,b\r\n\r\nc,d", "1:a|b 3:c|d"},
        {"a,b\rc,d\r", "1:a|b 2:c|d"},
        {"\xef\xbb\xbfid,x\n1,2\n", "1:id|x 2:1|2"},
        {" a , b\t\n", "1: a | b\t"},
        {"a\n  \n \r\n\" \"\n,\n ", "1:a 4:  5:|"},
        {"\" a \",\"b\"\"c\"\n", "1: a |b\"c"},
        {"\"a\n\nb\",c\nd,e\n", "1:a\n\nb|c 4:d|e"},
        {",\n\"\"\n,,x\n", "1:| 2: 3:||x"},
        {"\n   \n\t\nx\n", "4:x"},
        {"a,b\n\xe9\xff,c\n", "1:a|b 2:\xe9\xff|c"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_rows(cases[i][0], cases[i][1]);
    }
}

/* The status of reading a file to its end or its first failure; *rows before that. */
static attune_status drain(const char *path, size_t *rows)
{
    attune_csv *csv = NULL;
    attune_csv_row row = {.count = 1};
    attune_status status = attune_csv_open(&csv, path);
    *rows = 0;
    while (status == ATTUNE_OK && row.count > 0) {
        status = attune_csv_next(csv, &row);
        *rows += status == ATTUNE_OK && row.count > 0;
    }
    attune_csv_close(csv);
    return status;
}

Test(csv, what_is_no_csv_is_refused_with_its_line)
{
    static const struct {
        const char *bytes;
        size_t size, rows;
        const char *message;
    } cases[] = {
        {"a,b\n\nc,\"d\ne,f\n", 14, 1, "line 3: a quote in the row that begins here is never"},
        {"a,b\nc\"d,e\n", 10, 1, "line 2: a quote stands in the middle"},
        {"a,b\n\"c\"d,e\n", 11, 1, "line 2: a quote stands in the middle"},
        {"a,b\nc, \"d\"\n", 11, 1, "line 2: a quote stands in the middle"},
        {"a,b\nc\0d,e\n", 10, 1, "line 2: holds a NUL byte"},
        {"\x89HDF\r\n\x1a\n\0\0\0", 11, 2, "line 3: holds a NUL byte"},
        {"a,\"x\ny\0z\"\n", 10, 0, "line 2: holds a NUL byte"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t rows = 0;
        char *path = make(cases[i].bytes, cases[i].size);
        cr_assert_eq(drain(path, &rows), ATTUNE_EDATA, "case %zu", i);
        cr_assert(strstr(attune_last_error(), cases[i].message), "%s", attune_last_error());
        cr_assert(strstr(attune_last_error(), path));
        cr_assert_eq(rows, cases[i].rows, "case %zu: %zu rows", i, rows);
        free(path);
    }
    size_t rows = 0;
    cr_assert_eq(drain("/nowhere/a.csv", &rows), ATTUNE_ENOINPUT);
    cr_assert_eq(drain(temporary_folder(), &rows), ATTUNE_ENOINPUT);
}

Test(csv, fields_are_read_as_they_were_written)
{
    static const char *const fields[] = {"a",    "",   " a",       "a ",   "\ta", "a\t",      " ",
                                         "a b",  ",",  "a\"b\"",   "\n",   "a\r", "\xe9\xff", "'a'",
                                         " a,b", "\"", "x\r\ny\n", "a\tb", "end "};
    enum { FIELDS = sizeof(fields) / sizeof(*fields) };
    char *path = temporary_path("a.csv");
    FILE *stream = fopen(path, "w");
    cr_assert_not_null(stream);
    for (size_t i = 0; i < FIELDS; i++) {
        attune_csv_write_field(stream, fields[i]);
        fputc(i + 1 < FIELDS ? ',' : '\n', stream);
    }
    cr_assert_eq(fclose(stream), 0);
    attune_csv *csv = NULL;
    attune_csv_row row;
    cr_assert_eq(attune_csv_open(&csv, path), ATTUNE_OK);
    cr_assert_eq(attune_csv_next(csv, &row), ATTUNE_OK, "%s", attune_last_error());
    cr_assert_eq(row.count, FIELDS);
    for (size_t i = 0; i < FIELDS; i++) {
        cr_assert_str_eq(row.fields[i], fields[i], "field %zu", i);
    }
    attune_csv_close(csv);
    free(path);
}

/* Names of columns and words are meant without the spaces around them. */
Test(csv, words_have_no_spaces_around_them)
{
    char *path = make(" id,e 0 , \t, x \ty ,1\n", 22);
    attune_csv *csv = NULL;
    attune_csv_row row;
    cr_assert_eq(attune_csv_open(&csv, path), ATTUNE_OK);
    cr_assert_eq(attune_csv_next(csv, &row), ATTUNE_OK, "%s", attune_last_error());
    cr_assert_eq(attune_csv_column(&row, "id"), 0);
    cr_assert_eq(attune_csv_column(&row, "e 0"), 1);
    cr_assert_eq(attune_csv_column(&row, ""), 2);
    cr_assert_eq(attune_csv_column(&row, "e"), SIZE_MAX);
    cr_assert_eq(attune_csv_column(&row, "i"), SIZE_MAX);
    cr_assert_str_eq(row.fields[0], " id");
    const char *start = NULL;
    cr_assert_eq(attune_csv_trim(&start, row.fields[3]), 4);
    cr_assert_eq(start, row.fields[3] + 1);
    cr_assert_eq(attune_csv_trim(&start, " \t"), 0);
    cr_assert_str_eq(attune_csv_word(&row, 2), "");
    cr_assert_str_eq(attune_csv_word(&row, 3), "x \ty");
    cr_assert_str_eq(attune_csv_word(&row, 4), "1");
    attune_csv_close(csv);
    free(path);
}

/* Rows beyond the size of any buffer, one of just the bytes that are allowed and one of one more.
 */
Test(csv, rows_of_up_to_16_MiB)
{
    for (size_t more = 0; more < 2; more++) {
        const size_t size = ATTUNE_CSV_ROW_MAX + more;
        char *bytes = malloc(8 + size);
        cr_assert_not_null(bytes);
        memcpy(bytes, "a\nb\n", 4);
        memset(bytes + 4, 'x', size);
        bytes[4 + size / 2] = ',';
        memcpy(bytes + 4 + size - 1, "\nc\n", 3);
        char *path = make(bytes, 4 + size + 2);
        size_t rows = 0;
        const attune_status status = drain(path, &rows);
        cr_assert_eq(status, more ? ATTUNE_EDATA : ATTUNE_OK, "%s", attune_last_error());
        cr_assert_eq(rows, more ? 2 : 4);
        cr_assert(!more || strstr(attune_last_error(), "line 3: a row of more than 16 MiB"));
        free(path);
        free(bytes);
    }
}

/* Just as many fields as are allowed, and one more. */
Test(csv, rows_of_up_to_131072_fields)
{
    for (size_t more = 0; more < 2; more++) {
        const size_t size = ATTUNE_CSV_FIELDS_MAX + more;
        char *bytes = malloc(2 + size);
        cr_assert_not_null(bytes);
        memcpy(bytes, "a\n", 2);
        memset(bytes + 2, ',', size - 1);
        bytes[2 + size - 1] = '\n';
        char *path = make(bytes, 2 + size);
        size_t rows = 0;
        const attune_status status = drain(path, &rows);
        cr_assert_eq(status, more ? ATTUNE_EDATA : ATTUNE_OK, "%s", attune_last_error());
        cr_assert_eq(rows, more ? 1 : 2);
        cr_assert(!more || strstr(attune_last_error(), "line 2: a row of more than 131072 fields"));
        free(path);
        free(bytes);
    }
}

/* Where the reader's buffer ends must not matter. */
Test(csv, rows_across_the_ends_of_the_buffer)
{
    enum { ROWS = 30000 };
    size_t capacity = (size_t)ROWS * 48, length = 0;
    char *bytes = malloc(capacity);
    cr_assert_not_null(bytes);
    for (int i = 0; i < ROWS; i++) {
        length += (size_t)snprintf(bytes + length, capacity - length, "%d,\"%0*d\n\"\r\n", i,
                                   1 + i % 29, i);
    }
    char *path = make(bytes, length);
    attune_csv *csv = NULL;
    attune_csv_row row;
    cr_assert_eq(attune_csv_open(&csv, path), ATTUNE_OK);
    for (int i = 0; i < ROWS; i++) {
        char second[48];
        snprintf(second, sizeof(second), "%0*d\n", 1 + i % 29, i);
        cr_assert_eq(attune_csv_next(csv, &row), ATTUNE_OK);
        cr_assert_eq(row.count, 2);
        cr_assert_eq(row.line, (size_t)i * 2 + 1);
        cr_assert_eq(atoi(row.fields[0]), i);
        cr_assert_str_eq(row.fields[1], second);
    }
    cr_assert_eq(attune_csv_next(csv, &row), ATTUNE_OK);
    cr_assert_eq(row.count, 0);
    attune_csv_close(csv);
    free(path);
    free(bytes);
}

/* They are passed over wherever the buffer ends, and so many only as a row may have bytes. */
Test(csv, lines_of_spaces_across_the_ends_of_the_buffer)
{
    enum { LINE = 70001, LINES = 300 };
    char *bytes = malloc(LINE * LINES + 8);
    cr_assert_not_null(bytes);
    memset(bytes, ' ', LINE * LINES);
    for (int i = 1; i <= LINES; i++) {
        bytes[LINE * i - 1] = '\n';
    }
    memcpy(bytes + LINE * LINES - 1, "a\n  ", 4);
    char *path = make(bytes, LINE * LINES + 3);
    attune_csv *csv = NULL;
    attune_csv_row row;
    cr_assert_eq(attune_csv_open(&csv, path), ATTUNE_OK);
    cr_assert_eq(attune_csv_next(csv, &row), ATTUNE_OK, "%s", attune_last_error());
    cr_assert_eq(row.count, 1);
    cr_assert_eq(row.line, LINES);
    cr_assert_eq(strlen(row.fields[0]), LINE);
    cr_assert_eq(attune_csv_next(csv, &row), ATTUNE_OK);
    cr_assert_eq(row.count, 0);
    attune_csv_close(csv);
    free(path);
    size_t rows = 0;
    memset(bytes, ' ', LINE * LINES);
    path = make(bytes, LINE * LINES);
    cr_assert_eq(drain(path, &rows), ATTUNE_EDATA);
    free(path);
    free(bytes);
}
