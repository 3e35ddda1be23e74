/* space_text.c - vectors that others made: .npy and .csv. */
#include "csv/csv.h"
#include "eval/space.h"
#include "status/error.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { WIDEST = 1 << 16 /* components */, LINE = 1 << 16 /* bytes */ };

/* ---- .npy ---- */

/* Opens a file; a folder opens too, so it is told apart here. `hint` says what else to do. */
static attune_status open_file(FILE **out, const char *path, const char *hint)
{
    struct stat info;
    *out = fopen(path, "rb");
    if (*out && (fstat(fileno(*out), &info) != 0 || !S_ISDIR(info.st_mode))) {
        return ATTUNE_OK;
    }
    return attune_fail(ATTUNE_ENOINPUT, "%s: %s%s", *path ? path : "\"\"",
                       *out ? "is a folder" : strerror(errno), hint);
}

typedef struct npy {
    FILE *stream;
    uint64_t rows;
    uint32_t width;
    bool is_double;
} npy;

static attune_status refuse(const char *path, const char *what)
{
    return attune_fail(
        ATTUNE_EDATA,
        "%s: %s; numpy.save(\"%s\", numpy.ascontiguousarray(vectors, \"float32\")) with "
        "rows and components writes what is wanted",
        path, what, path);
}

/* What stands behind 'key': in the header's dictionary. */
static const char *value_of(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    at = at ? strchr(at + strlen(key), ':') : NULL;
    return at ? at + 1 + strspn(at + 1, " ") : "";
}

static attune_status read_npy_header(npy *n, const char *path)
{
    unsigned char head[12];
    char text[65536];
    unsigned long long rows = 0, width = 0;
    if (fread(head, 1, 10, n->stream) != 10 || memcmp(head, "\x93NUMPY", 6) != 0) {
        return refuse(path, "is no .npy file");
    }
    size_t length = head[8] | (size_t)head[9] << 8;
    if (head[6] >= 2) {
        if (fread(head + 10, 1, 2, n->stream) != 2) {
            return refuse(path, "ends in its header");
        }
        length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    }
    if (length >= sizeof(text) || fread(text, 1, length, n->stream) != length) {
        return refuse(path, "ends in its header");
    }
    text[length] = '\0';
    const char *type = value_of(text, "'descr'");
    n->is_double = strncmp(type, "'<f8'", 5) == 0;
    if (!n->is_double && strncmp(type, "'<f4'", 5) != 0) {
        return refuse(path, "holds numbers of another type than float32 and float64");
    }
    if (strncmp(value_of(text, "'fortran_order'"), "False", 5) != 0) {
        return refuse(path, "is in Fortran order");
    }
    int end = 0;
    const char *shape = value_of(text, "'shape'");
    if (sscanf(shape, "(%llu, %llu%n", &rows, &width, &end) != 2 || shape[end] != ')' ||
        width == 0 || width > WIDEST || rows > INT32_MAX) {
        return refuse(path, "is no table of rows and components");
    }
    n->rows = rows;
    n->width = (uint32_t)width;
    return ATTUNE_OK;
}

/* Names of rows, one a line. */
typedef struct name_list {
    FILE *stream;
    const char *path;
    unsigned long long count; /* lines read */
    char line[LINE];
} name_list;

/* The next line, without its end and without a byte order mark; *more is false behind the last. */
static attune_status next_name(name_list *names, bool *more)
{
    size_t length = 0;
    int c = 0;
    names->count++;
    while ((c = getc(names->stream)) != EOF && c != '\n') {
        if (c == '\0' || length + 1 == LINE) {
            return attune_fail(ATTUNE_EDATA, "%s, line %llu: %s; it is no list of ids or paths",
                               names->path, names->count,
                               c == '\0' ? "holds a NUL byte" : "is longer than 65,535 bytes");
        }
        names->line[length++] = (char)c;
        if (names->count == 1 && length == 3 && memcmp(names->line, "\xef\xbb\xbf", 3) == 0) {
            length = 0;
        }
    }
    if (ferror(names->stream)) {
        return attune_fail(ATTUNE_EIO, "%s: cannot read: %s", names->path, strerror(errno));
    }
    while (length > 0 && names->line[length - 1] == '\r') {
        length--;
    }
    names->line[length] = '\0';
    *more = c != EOF || length > 0;
    return ATTUNE_OK;
}

static attune_status read_npy_row(float *row, void *raw, const npy *n, const char *path)
{
    if (fread(raw, n->is_double ? sizeof(double) : sizeof(float), n->width, n->stream) !=
        n->width) {
        return refuse(path, "ends before its last row");
    }
    for (uint32_t e = 0; e < n->width; e++) {
        row[e] = n->is_double ? (float)((double *)raw)[e] : ((float *)raw)[e];
    }
    return ATTUNE_OK;
}

static attune_status read_npy_rows(attune_space *s, const npy *n, name_list *names,
                                   const char *path)
{
    void *raw = malloc(n->width * sizeof(double));
    float *row = malloc(n->width * sizeof(*row));
    bool more = true;
    attune_status status =
        raw && row ? ATTUNE_OK : attune_fail_memory("a row", n->width * sizeof(double));
    for (uint64_t i = 0; status == ATTUNE_OK && i < n->rows; i++) {
        status = read_npy_row(row, raw, n, path);
        status = status ? status : next_name(names, &more);
        if (status == ATTUNE_OK && (!more || !*names->line)) {
            status = attune_fail(ATTUNE_EDATA,
                                 "%s, line %llu: has no id or path; %s has %llu rows, and each "
                                 "wants a line",
                                 names->path, names->count, path, (unsigned long long)n->rows);
        }
        status = status ? status : attune_space_add(s, names->line, row, NULL);
    }
    if (status == ATTUNE_OK && getc(n->stream) != EOF) {
        status = refuse(path, "has bytes behind its last row");
    }
    status = status ? status : next_name(names, &more);
    if (status == ATTUNE_OK && more) {
        status = attune_fail(ATTUNE_EDATA, "%s: has more lines than %s has rows, %llu", names->path,
                             path, (unsigned long long)n->rows);
    }
    free(row);
    free(raw);
    return status;
}

attune_status attune_space_read_npy(attune_space *space, const char *path, const char *ids)
{
    char *beside = NULL;
    name_list *names = calloc(1, sizeof(*names));
    npy n = {0};
    attune_status status = names ? open_file(&n.stream, path, "; name a .npy file")
                                 : attune_fail_memory("a list of names", sizeof(*names));
    status = status ? status : read_npy_header(&n, path);
    if (status == ATTUNE_OK && !ids) {
        beside = strdup(path);
        if (beside) {
            strcpy(beside + strlen(beside) - 3, "txt");
        }
        ids = beside;
        status = beside ? ATTUNE_OK : attune_fail_memory("a name", strlen(path));
    }
    if (status == ATTUNE_OK) {
        names->path = ids;
        status = open_file(&names->stream, ids,
                           "; a .npy file wants its rows' ids or paths, one a line, there or in "
                           "--ids FILE");
    }
    if (status == ATTUNE_OK) {
        space->E = n.width;
        status = read_npy_rows(space, &n, names, path);
    }
    if (names && names->stream) {
        fclose(names->stream);
    }
    if (n.stream) {
        fclose(n.stream);
    }
    free(names);
    free(beside);
    return status;
}

/* ---- .csv ---- */

/* Which fields of a row are components. */
typedef struct columns {
    size_t *at; /* (space's E) */
    size_t name, width;
} columns;

static bool parse_number(float *out, const char *text)
{
    char *end = NULL;
    *out = strtof(text, &end);
    return *text && !*end;
}

/* "e12", "embedding_12". */
static bool is_component(const char *name)
{
    const size_t prefix = strncmp(name, "embedding_", 10) == 0 ? 10 : 1;
    return (prefix == 10 || name[0] == 'e') && name[prefix] &&
           strspn(name + prefix, "0123456789") == strlen(name + prefix);
}

static const char *const name_columns[] = {"path", "id", "track_id"};

enum { NAME_COLUMNS = sizeof(name_columns) / sizeof(name_columns[0]) };

static bool is_name(const char *field)
{
    for (int i = 0; i < NAME_COLUMNS; i++) {
        if (attune_csv_is(field, name_columns[i])) {
            return true;
        }
    }
    return false;
}

/* The column of the tracks' names; the first, where none is called so. */
static size_t find_name(const attune_csv_row *header)
{
    for (int i = 0; i < NAME_COLUMNS; i++) {
        const size_t at = attune_csv_column(header, name_columns[i]);
        if (at != SIZE_MAX) {
            return at;
        }
    }
    return 0;
}

/* Whether the fields behind the first count from 0 or 1, as pandas calls columns. Where the first
 * may be a track, a few that do so may be its vector. */
static bool counts_up(const attune_csv_row *row)
{
    enum { FEW = 7 };
    char number[24];
    const size_t from = attune_csv_is(row->fields[1], "1");
    for (size_t i = 1; i < row->count; i++) {
        snprintf(number, sizeof(number), "%zu", from + i - 1);
        if (!attune_csv_is(row->fields[i], number)) {
            return false;
        }
    }
    return row->count - 1 > FEW || is_name(row->fields[0]) || attune_csv_is(row->fields[0], "");
}

/* Whether the first row names columns. Its last field says so, unless numbers are names, or no
 * component is there. */
static attune_status find_header(bool *is_header, const attune_csv *csv, const attune_csv_row *row)
{
    const char *last = attune_csv_word(row, row->count - 1);
    float number = 0;
    size_t numbers = 0, texts = 0;
    for (size_t i = 1; i + 1 < row->count; i++) {
        const char *text = attune_csv_word(row, i);
        const bool is_number = parse_number(&number, text);
        numbers += is_number;
        texts += !is_number && *text;
    }
    if (parse_number(&number, last)) {
        *is_header = counts_up(row);
        return ATTUNE_OK;
    }
    *is_header = *last || texts > 0;
    return numbers == 0 || texts > 0 || is_name(last)
               ? ATTUNE_OK
               : attune_csv_refuse(csv,
                                   "of the components only the last, \"%.40s\", is no number; "
                                   "correct it, or name all columns",
                                   last);
}

/* The components are the columns called so; where none is, all but the names'. */
static attune_status find_columns(columns *c, attune_space *s, const attune_csv *csv,
                                  const attune_csv_row *row, bool is_header)
{
    const char *name = attune_csv_word(row, c->name);
    float number = 0;
    for (size_t i = 0; i < row->count && is_header; i++) {
        if (is_component(attune_csv_word(row, i))) {
            c->at[s->E++] = i;
        }
    }
    const bool called = s->E > 0;
    for (size_t i = 0; i < row->count && !called; i++) {
        if (i != c->name) {
            c->at[s->E++] = i;
        }
    }
    if (is_header && (called ? is_component(name) : parse_number(&number, name))) {
        return attune_csv_refuse(csv,
                                 "the first column, %.40s, is a component; call that of the tracks "
                                 "id or path",
                                 name);
    }
    return s->E <= WIDEST ? ATTUNE_OK : attune_csv_refuse(csv, "has %u components", s->E);
}

static attune_status read_first_row(columns *c, attune_space *s, const attune_csv *csv,
                                    const attune_csv_row *row, bool *is_header)
{
    c->width = row->count;
    c->at = malloc((row->count + 1) * sizeof(*c->at));
    if (!c->at) {
        return attune_fail_memory("columns", row->count * sizeof(*c->at));
    }
    if (row->count < 2) {
        return attune_csv_refuse(csv, row->count
                                          ? "has one field; an id and the components are wanted"
                                          : "the file is empty");
    }
    const attune_status status = find_header(is_header, csv, row);
    c->name = *is_header ? find_name(row) : 0;
    return status ? status : find_columns(c, s, csv, row, *is_header);
}

/* A field as a component; an empty one is none, as rows that failed have them. */
static attune_status read_component(float *out, const attune_csv *csv, const char *text)
{
    if (!*text) {
        *out = NAN;
        return ATTUNE_OK;
    }
    return parse_number(out, text)
               ? ATTUNE_OK
               : attune_csv_refuse(csv, "the component \"%.40s\" is no number", text);
}

static attune_status read_csv_rows(attune_space *s, attune_csv *csv, columns *c)
{
    attune_csv_row row = {0};
    float *vector = NULL;
    bool is_header = false;
    attune_status status = attune_csv_next(csv, &row);
    if (status == ATTUNE_OK) {
        status = read_first_row(c, s, csv, &row, &is_header);
    }
    if (status == ATTUNE_OK) {
        vector = malloc(((size_t)s->E + 1) * sizeof(*vector));
        status = vector ? ATTUNE_OK : attune_fail_memory("a row", s->E * sizeof(*vector));
    }
    if (status == ATTUNE_OK && is_header) {
        status = attune_csv_next(csv, &row);
    }
    while (status == ATTUNE_OK && row.count > 0) {
        if (row.count != c->width) {
            status = attune_csv_refuse(csv, "has %zu fields, and the first row %zu", row.count,
                                       c->width);
        } else if (attune_csv_is(row.fields[c->name], "")) {
            status = attune_csv_refuse(csv, "has no id");
        }
        for (uint32_t e = 0; status == ATTUNE_OK && e < s->E; e++) {
            status = read_component(&vector[e], csv, attune_csv_word(&row, c->at[e]));
        }
        if (status == ATTUNE_OK) {
            status = attune_space_add(s, row.fields[c->name], vector, NULL);
        }
        if (status == ATTUNE_OK) {
            status = attune_csv_next(csv, &row);
        }
    }
    free(vector);
    return status;
}

attune_status attune_space_read_csv(attune_space *space, const char *path)
{
    attune_csv *csv = NULL;
    columns c = {0};
    attune_status status = attune_csv_open(&csv, path);
    if (status == ATTUNE_OK) {
        status = read_csv_rows(space, csv, &c);
    }
    free(c.at);
    attune_csv_close(csv);
    return status;
}
