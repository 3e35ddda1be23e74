/* manifest.c - a CSV file, its columns found by their names. */
#include "train/manifest.h"

enum { COLUMN_ID = ATTUNE_LABEL_COUNT, COLUMN_PATH, COLUMN_COUNT };

/* Where the columns are; SIZE_MAX: not there. */
typedef struct columns {
    size_t at[COLUMN_COUNT];
    size_t width;
} columns;

static int column_called(const char *name)
{
    static const struct {
        const char *name;
        int column;
    } others[] = {{"id", COLUMN_ID},
                  {"track_id", COLUMN_ID},
                  {"path", COLUMN_PATH},
                  {"artist_id", ATTUNE_LABEL_ARTIST},
                  {"album_id", ATTUNE_LABEL_ALBUM},
                  {"genre_top", ATTUNE_LABEL_GENRE}};
    for (int i = 0; i < ATTUNE_LABEL_COUNT; i++) {
        if (attune_csv_is(name, attune_label_column((attune_label)i))) {
            return i;
        }
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (attune_csv_is(name, others[i].name)) {
            return others[i].column;
        }
    }
    return COLUMN_COUNT;
}

static attune_status read_header(columns *c, attune_csv *csv)
{
    attune_csv_row row;
    const attune_status status = attune_csv_next(csv, &row);
    if (status != ATTUNE_OK) {
        return status;
    }
    if (row.count == 0) {
        return attune_csv_refuse(csv, "the file is empty");
    }
    c->width = row.count;
    for (int i = 0; i < COLUMN_COUNT; i++) {
        c->at[i] = SIZE_MAX;
    }
    for (size_t i = 0; i < row.count; i++) {
        const int column = column_called(row.fields[i]);
        if (column < COLUMN_COUNT && c->at[column] != SIZE_MAX) {
            return attune_csv_refuse(csv, "the column %.40s stands in the header twice",
                                     row.fields[i]);
        }
        if (column < COLUMN_COUNT) {
            c->at[column] = i;
        }
    }
    return c->at[COLUMN_ID] == SIZE_MAX && c->at[COLUMN_PATH] == SIZE_MAX
               ? attune_csv_refuse(csv, "has no column \"id\" or \"path\"; a manifest begins with "
                                        "a line that names its columns")
               : ATTUNE_OK;
}

static const char *field(const columns *c, const attune_csv_row *row, int column)
{
    return c->at[column] == SIZE_MAX ? "" : row->fields[c->at[column]];
}

static attune_status take_row(const columns *c, const attune_csv *csv, const attune_csv_row *fields,
                              attune_manifest_take *take, void *user)
{
    if (fields->count != c->width) {
        return attune_csv_refuse(csv, "has %zu fields, and the header %zu", fields->count,
                                 c->width);
    }
    attune_manifest_row row = {.id = field(c, fields, COLUMN_ID),
                               .path = field(c, fields, COLUMN_PATH)};
    if (attune_csv_is(row.id, "") && attune_csv_is(row.path, "")) {
        return attune_csv_refuse(csv, "names no track");
    }
    for (int i = 0; i < ATTUNE_LABEL_COUNT; i++) {
        row.label[i] = c->at[i] == SIZE_MAX ? "" : attune_csv_word(fields, c->at[i]);
    }
    return take(user, csv, &row);
}

attune_status attune_manifest_read(const char *path, attune_manifest_take *take, void *user)
{
    attune_csv *csv = NULL;
    attune_csv_row row = {0};
    columns c = {0};
    attune_status status = attune_csv_open(&csv, path);
    if (status == ATTUNE_OK) {
        status = read_header(&c, csv);
    }
    if (status == ATTUNE_OK) {
        status = attune_csv_next(csv, &row);
    }
    if (status == ATTUNE_OK && row.count == 0) {
        status = attune_csv_refuse(csv, "the file ends here without a track");
    }
    while (status == ATTUNE_OK && row.count > 0) {
        status = take_row(&c, csv, &row, take, user);
        if (status == ATTUNE_OK) {
            status = attune_csv_next(csv, &row);
        }
    }
    attune_csv_close(csv);
    return status;
}
