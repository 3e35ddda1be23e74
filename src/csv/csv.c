/* csv.c - rows from libcsv, which takes bytes and calls back. It is fed to the end of a line and no
 * further, so that there is at most one row to keep and its line is known. */
#include "csv/csv.h"

#include "status/error.h"

#include <csv.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct attune_csv {
    const char *path;
    FILE *stream;
    struct csv_parser parser;
    char buffer[1 << 16];
    size_t read, filled; /* of the buffer */
    bool ended;
    size_t line;       /* of the byte to read next, from 1 */
    size_t row_line;   /* of the row at hand, or of the last */
    size_t row_bytes;  /* fed of it */
    bool begun;        /* something of it is not blank */
    bool after_return; /* the last byte was a carriage return: a line feed belongs to it */

    char *text; /* its fields, one behind the other */
    size_t text_length, text_capacity;
    size_t *starts; /* (field_capacity): where they begin */
    const char **fields;
    size_t field_count, field_capacity;
    bool complete, out_of_memory, too_many;
};

attune_status attune_csv_refuse(const attune_csv *csv, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return attune_fail(ATTUNE_EDATA, "%s, line %zu: %s", csv->path, csv->row_line, text);
}

/* Opens a file; a folder opens too, so it is told apart here. */
static attune_status open_stream(attune_csv *csv)
{
    struct stat info;
    csv->stream = fopen(csv->path, "rb");
    if (!csv->stream) {
        return attune_fail(ATTUNE_ENOINPUT, "%s: %s", *csv->path ? csv->path : "\"\"",
                           strerror(errno));
    }
    if (fstat(fileno(csv->stream), &info) == 0 && S_ISDIR(info.st_mode)) {
        return attune_fail(ATTUNE_ENOINPUT, "%s: is a folder; name a CSV file", csv->path);
    }
    return ATTUNE_OK;
}

/* Reads the next bytes when there are none left. */
static attune_status fill(attune_csv *csv)
{
    if (csv->read == csv->filled && !csv->ended) {
        csv->read = 0;
        csv->filled = fread(csv->buffer, 1, sizeof(csv->buffer), csv->stream);
        csv->ended = csv->filled < sizeof(csv->buffer);
        if (ferror(csv->stream)) {
            return attune_fail(ATTUNE_EIO, "%s: cannot read: %s", csv->path, strerror(errno));
        }
    }
    return ATTUNE_OK;
}

/* Spaces belong to their field, as RFC 4180 has it. */
static int is_no_space(unsigned char c)
{
    (void)c;
    return 0;
}

attune_status attune_csv_open(attune_csv **out, const char *path)
{
    attune_csv *csv = *out = calloc(1, sizeof(*csv));
    if (!csv) {
        return attune_fail_memory("a CSV file", sizeof(*csv));
    }
    csv->path = path;
    csv->line = csv->row_line = 1;
    csv_init(&csv->parser, CSV_STRICT | CSV_STRICT_FINI);
    csv_set_space_func(&csv->parser, is_no_space);
    csv_set_blk_size(&csv->parser, 1 << 20); /* a field grows by so much, not by 128 bytes */
    attune_status status = open_stream(csv);
    if (status == ATTUNE_OK) {
        status = fill(csv);
    }
    if (status != ATTUNE_OK) {
        attune_csv_close(csv);
        *out = NULL;
        return status;
    }
    if (csv->filled >= 3 && memcmp(csv->buffer, "\xef\xbb\xbf", 3) == 0) {
        csv->read = 3;
    }
    return ATTUNE_OK;
}

void attune_csv_close(attune_csv *csv)
{
    if (csv) {
        csv_free(&csv->parser);
        if (csv->stream) {
            fclose(csv->stream);
        }
        free(csv->text);
        free(csv->starts);
        free(csv->fields);
        free(csv);
    }
}

static bool reserve(attune_csv *csv, size_t length)
{
    if (csv->text_length + length > csv->text_capacity) {
        const size_t capacity = (csv->text_length + length) * 2;
        char *text = realloc(csv->text, capacity);
        if (!text) {
            return false;
        }
        csv->text = text;
        csv->text_capacity = capacity;
    }
    if (csv->field_count == csv->field_capacity) {
        const size_t capacity = csv->field_capacity * 2 + 16;
        size_t *starts = realloc(csv->starts, capacity * sizeof(*starts));
        csv->starts = starts ? starts : csv->starts;
        const char **fields = realloc(csv->fields, capacity * sizeof(*fields));
        csv->fields = fields ? fields : csv->fields;
        if (!starts || !fields) {
            return false;
        }
        csv->field_capacity = capacity;
    }
    return true;
}

static void take_field(void *bytes, size_t length, void *user)
{
    attune_csv *csv = user;
    csv->too_many = csv->too_many || csv->field_count == ATTUNE_CSV_FIELDS_MAX;
    if (csv->too_many || csv->out_of_memory || !reserve(csv, length + 1)) {
        csv->out_of_memory = !csv->too_many;
        return;
    }
    csv->starts[csv->field_count++] = csv->text_length;
    if (length > 0) {
        memcpy(csv->text + csv->text_length, bytes, length);
    }
    csv->text_length += length;
    csv->text[csv->text_length++] = '\0';
}

static void take_row(int end, void *user)
{
    (void)end;
    attune_csv *csv = user;
    csv->complete = true;
}

/* The bytes to the end of the line, or of the buffer. */
static size_t piece_of(const char *bytes, size_t count)
{
    size_t length = 0;
    while (length < count && bytes[length] != '\n' && bytes[length] != '\r') {
        length++;
    }
    return length < count ? length + 1 : count;
}

/* True for what is passed over before a row. */
static bool is_blank(const char *bytes, size_t count)
{
    size_t i = 0;
    while (i < count && strchr(" \t\r\n", bytes[i]) && bytes[i]) {
        i++;
    }
    return i == count;
}

static void begin_row(attune_csv *csv)
{
    csv->field_count = csv->text_length = csv->row_bytes = 0;
    csv->begun = csv->complete = false;
}

/* Hands a piece of a line to the parser. */
static attune_status feed(attune_csv *csv)
{
    const char *bytes = csv->buffer + csv->read;
    const size_t length = piece_of(bytes, csv->filled - csv->read);
    const char last = bytes[length - 1];
    const bool ended = last == '\r' || last == '\n';
    if (!csv->begun && !is_blank(bytes, length)) {
        csv->row_line = csv->line;
        csv->begun = true;
    }
    if (memchr(bytes, '\0', length)) {
        csv->row_line = csv->line;
        return attune_csv_refuse(csv, "holds a NUL byte; it is no CSV file in UTF-8");
    }
    csv->row_bytes += ended && !csv->begun ? 0 : length;
    if (csv->row_bytes > ATTUNE_CSV_ROW_MAX) {
        return attune_csv_refuse(csv,
                                 "a row of more than %zu MiB begins here; is a quote not "
                                 "closed, or is it no CSV file?",
                                 ATTUNE_CSV_ROW_MAX >> 20);
    }
    const bool within_end = csv->after_return && length == 1 && last == '\n';
    csv->after_return = last == '\r';
    csv->line += last == '\r' || (last == '\n' && !within_end);
    csv->read += length;
    if (csv_parse(&csv->parser, bytes, length, take_field, take_row, csv) != length) {
        return csv_error(&csv->parser) == CSV_EPARSE
                   ? attune_csv_refuse(csv, "a quote stands in the middle of a field; fields with "
                                            "quotes begin and end with one, and double those "
                                            "between")
                   : attune_fail_memory("a CSV file", csv->row_bytes);
    }
    return csv->too_many ? attune_csv_refuse(csv,
                                             "a row of more than %zu fields begins here; is it no "
                                             "CSV file?",
                                             ATTUNE_CSV_FIELDS_MAX)
                         : ATTUNE_OK;
}

/* What the end of the file ends. */
static attune_status finish(attune_csv *csv)
{
    if (csv_fini(&csv->parser, take_field, take_row, csv) == 0) {
        return ATTUNE_OK;
    }
    return csv_error(&csv->parser) == CSV_EPARSE
               ? attune_csv_refuse(csv, "a quote in the row that begins here is never closed; is "
                                        "the file whole?")
               : attune_fail_memory("a CSV file", csv->row_bytes);
}

attune_status attune_csv_next(attune_csv *csv, attune_csv_row *row)
{
    attune_status status = ATTUNE_OK;
    bool more = true;
    begin_row(csv);
    while (status == ATTUNE_OK && !csv->complete && more) {
        status = fill(csv);
        if (status != ATTUNE_OK) {
            break;
        }
        more = csv->read < csv->filled;
        status = more ? feed(csv) : finish(csv);
        if (csv->complete && !csv->begun) { /* a line of spaces */
            begin_row(csv);
        }
    }
    if (status == ATTUNE_OK && csv->out_of_memory) {
        status = attune_fail_memory("a CSV file", csv->text_length);
    }
    for (size_t i = 0; i < csv->field_count; i++) {
        csv->fields[i] = csv->text + csv->starts[i];
    }
    *row = (attune_csv_row){
        .line = csv->row_line,
        .count = status == ATTUNE_OK ? csv->field_count : 0,
        .fields = csv->fields,
    };
    return status;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

size_t attune_csv_trim(const char **start, const char *text)
{
    *start = text + strspn(text, " \t");
    size_t length = strlen(*start);
    while (length > 0 && is_space((*start)[length - 1])) {
        length--;
    }
    return length;
}

bool attune_csv_is(const char *field, const char *word)
{
    const char *start = NULL;
    const size_t length = attune_csv_trim(&start, field);
    return length == strlen(word) && memcmp(start, word, length) == 0;
}

const char *attune_csv_word(const attune_csv_row *row, size_t field)
{
    const char *start = NULL;
    const size_t length = attune_csv_trim(&start, row->fields[field]);
    ((char *)start)[length] = '\0'; /* in the reader's own memory */
    return start;
}

size_t attune_csv_column(const attune_csv_row *row, const char *name)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < row->count; i++) {
        if (attune_csv_is(row->fields[i], name)) {
            if (found != SIZE_MAX) {
                return SIZE_MAX;
            }
            found = i;
        }
    }
    return found;
}

/* Whether a field means something else without quotes. */
static bool needs_quotes(const char *text)
{
    const size_t length = strlen(text);
    return strcspn(text, ",\"\r\n") < length ||
           (length > 0 && (is_space(text[0]) || is_space(text[length - 1])));
}

void attune_csv_write_field(FILE *stream, const char *text)
{
    if (!needs_quotes(text)) {
        fputs(text, stream);
        return;
    }
    fputc('"', stream);
    for (; *text; text++) {
        if (*text == '"') {
            fputc('"', stream);
        }
        fputc(*text, stream);
    }
    fputc('"', stream);
}
