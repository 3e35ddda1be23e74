/* csv.h - CSV files, row by row, with the line each row begins in.
 *
 * Commas, fields in quotes, quotes in them doubled, line ends of any kind. Spaces belong to their
 * field; a byte order mark is dropped, and so are lines of nothing else than spaces. Whatever else
 * a file may hold is bad data, said with its line: a quote that is never closed or stands in
 * mid-field, a NUL byte, a row beyond 16 MiB or 131,072 fields. Texts are the file's raw bytes. */
#ifndef ATTUNE_SRC_CSV_CSV_H
#define ATTUNE_SRC_CSV_CSV_H

#include "attune/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define ATTUNE_CSV_ROW_MAX ((size_t)16 << 20) /* bytes of a row in the file */
#define ATTUNE_CSV_FIELDS_MAX ((size_t)1 << 17)

typedef struct attune_csv attune_csv;

typedef struct attune_csv_row {
    size_t line;               /* where it begins, from 1 */
    size_t count;              /* fields; 0 behind the last row */
    const char *const *fields; /* (count), valid until the next row is read */
} attune_csv_row;

/* ATTUNE_ENOINPUT when there is no such file. `path` is borrowed. On failure *out is NULL. */
attune_status attune_csv_open(attune_csv **out, const char *path);
void attune_csv_close(attune_csv *csv); /* NULL-safe */

attune_status attune_csv_next(attune_csv *csv, attune_csv_row *row);

/* The bytes of a text without the spaces and tabs around it, which begin at *start. */
size_t attune_csv_trim(const char **start, const char *text);

/* Whether a field is `word`, whatever spaces are around it. */
bool attune_csv_is(const char *field, const char *word);

/* A field without the spaces around it, as numbers and words are meant. Those behind it are gone
 * from the row, too. */
const char *attune_csv_word(const attune_csv_row *row, size_t field);

/* The only field of `row` that is `name`, as attune_csv_is has it; SIZE_MAX if there is none, or
 * more. */
size_t attune_csv_column(const attune_csv_row *row, const char *name);

/* Writes a field, in quotes where it needs them: as RFC 4180 says, and where it begins or ends with
 * a space or a tab, which other readers drop. */
void attune_csv_write_field(FILE *stream, const char *text);

/* ATTUNE_EDATA with "<path>, line <of the row read last>: " before the text. */
attune_status attune_csv_refuse(const attune_csv *csv, const char *format, ...) ATTUNE_PRINTF(2, 3);

#endif
