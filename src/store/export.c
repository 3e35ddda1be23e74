/* export.c - .npy and .csv, streamed block by block. ann-benchmarks' layout is in export_ann.c. */
#include "store/export.h"

#include "csv/csv.h"
#include "status/error.h"
#include "store/blocks.h"
#include "store/new_file.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where a text format goes: a new file, or standard output. */
typedef struct attune_export_sink {
    attune_new_file file;
    FILE *stream;
    const char *path; /* for messages */
} attune_export_sink;

static attune_status sink_open(attune_export_sink *sink, const char *path, bool replace)
{
    *sink = (attune_export_sink){.file = ATTUNE_NEW_FILE_CLOSED, .path = path};
    if (strcmp(path, "-") == 0) {
        sink->stream = stdout;
        sink->path = "standard output";
        return ATTUNE_OK;
    }
    attune_status status = attune_new_file_open_other(&sink->file, path, replace);
    if (status != ATTUNE_OK) {
        return status;
    }
    const int fd = dup(sink->file.fd); /* the file keeps its own, to be synced */
    sink->stream = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!sink->stream) {
        status = attune_fail(ATTUNE_EIO, "%s: cannot write: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
    }
    return status;
}

static attune_status sink_failed(const attune_export_sink *sink)
{
    return attune_fail(ATTUNE_EIO, "%s: cannot write: %s", sink->path, strerror(errno));
}

/* Ends the file and gives it its name, unless `status` says that it is not whole. */
static attune_status sink_close(attune_export_sink *sink, attune_status status)
{
    const bool standard = sink->stream == stdout;
    const bool written = sink->stream && (standard ? fflush(stdout) : fclose(sink->stream)) == 0;
    if (status == ATTUNE_OK && !written) {
        status = sink_failed(sink);
    }
    if (status == ATTUNE_OK && !standard) {
        status = attune_new_file_publish(&sink->file);
    }
    attune_new_file_close(&sink->file);
    return status;
}

/* ---- .npy ---- */

/* Magic, version 1.0, the length of the rest, and a Python dictionary, padded so that the numbers
 * begin at a multiple of 64 bytes. */
static bool write_npy_header(FILE *stream, uint64_t rows, int width)
{
    char text[192];
    const char order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>';
    int length = snprintf(text, sizeof(text),
                          "{'descr': '%cf4', 'fortran_order': False, 'shape': (%" PRIu64 ", %d), }",
                          order, rows, width);
    while ((10 + length + 1) % 64 != 0) {
        text[length++] = ' ';
    }
    text[length++] = '\n';
    const unsigned char head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)length, 0};
    return fwrite(head, sizeof(head), 1, stream) == 1 &&
           fwrite(text, (size_t)length, 1, stream) == 1;
}

/* One row of a block; the first `width` numbers behind `embedding`. */
static bool write_npy_row(FILE *stream, const attune_row *row, int width)
{
    return fwrite(row->embedding, sizeof(float), (size_t)width, stream) == (size_t)width;
}

/* ---- .csv ---- */

static bool write_csv_header(FILE *stream, const attune_store_attributes *attributes)
{
    const int width = attributes->embedding;
    fputs("path,status,error,duration,frames,size,mtime_ns", stream);
    if (attributes->labels) {
        fputs(",track_id,genre_top,artist_id,album_id,split", stream);
    }
    for (int i = 0; i < width; i++) {
        fprintf(stream, ",embedding_%d", i);
    }
    for (int i = 0; attributes->descriptors && i < ATTUNE_DESCRIPTORS; i++) {
        fprintf(stream, ",%s", attune_descriptor_name((attune_descriptor)i));
    }
    return fputc('\n', stream) != EOF;
}

static void write_labels(FILE *stream, const attune_labels *labels)
{
    fprintf(stream, ",%" PRId32 ",", labels->track_id);
    attune_csv_write_field(stream, labels->genre_top);
    fprintf(stream, ",%" PRId32 ",%" PRId32 ",%s", labels->artist_id, labels->album_id,
            attune_fma_split_name(labels->split));
}

static bool write_csv_row(FILE *stream, const attune_row *row,
                          const attune_store_attributes *attributes)
{
    attune_csv_write_field(stream, row->path);
    fprintf(stream, ",%s,", attune_track_status_name(row->status));
    attune_csv_write_field(stream, row->error);
    fprintf(stream, ",%.17g,%" PRIu32 ",%" PRIu64 ",%" PRId64, row->duration, row->frames,
            row->size, row->mtime_ns);
    if (attributes->labels) {
        write_labels(stream, row->labels);
    }
    for (int i = 0; i < attributes->embedding; i++) {
        fprintf(stream, ",%.9g", (double)row->embedding[i]);
    }
    for (int i = 0; attributes->descriptors && i < ATTUNE_DESCRIPTORS; i++) {
        fprintf(stream, ",%.9g", (double)row->descriptors[i]);
    }
    return fputc('\n', stream) != EOF && !ferror(stream);
}

/* ---- both ---- */

static attune_status write_rows(attune_export_sink *sink, attune_store *store,
                                const attune_export_options *options)
{
    const attune_store_attributes *attributes = attune_store_attributes_of(store);
    const int width = attributes->embedding;
    attune_rows *rows = NULL;
    attune_status status = attune_rows_create(&rows, width);
    for (uint64_t next = 0; status == ATTUNE_OK && next < attune_store_count(store);) {
        status = attune_store_next(store, &next, rows);
        for (size_t i = 0; status == ATTUNE_OK && i < attune_rows_count(rows); i++) {
            const attune_row row = attune_rows_get(rows, i);
            if (!options->all && !attune_track_has_embedding(row.status)) {
                continue;
            }
            const bool written = options->format == ATTUNE_EXPORT_NPY
                                     ? write_npy_row(sink->stream, &row, width)
                                     : write_csv_row(sink->stream, &row, attributes);
            status = written ? ATTUNE_OK : sink_failed(sink);
        }
    }
    attune_rows_free(rows);
    return status;
}

static attune_status export_text(const char *path, attune_store *store,
                                 const attune_export_options *options,
                                 const attune_export_counts *counts)
{
    const int width = attune_store_attributes_of(store)->embedding;
    attune_export_sink sink;
    locale_t plain =
        newlocale(LC_NUMERIC_MASK, "C", (locale_t)0); /* a decimal point, not a comma */
    if (!plain) {
        return attune_fail_memory("a locale", 0);
    }
    const locale_t before = uselocale(plain);
    attune_status status = sink_open(&sink, path, options->replace);
    if (status == ATTUNE_OK) {
        const bool written = options->format == ATTUNE_EXPORT_NPY
                                 ? write_npy_header(sink.stream, counts->rows, width)
                                 : write_csv_header(sink.stream, attune_store_attributes_of(store));
        status = written ? write_rows(&sink, store, options) : sink_failed(&sink);
    }
    status = sink_close(&sink, status);
    uselocale(before);
    freelocale(plain);
    return status;
}

static attune_status count_rows(attune_store *store, bool all, attune_export_counts *counts)
{
    uint64_t by_status[ATTUNE_TRACK_STATUS_COUNT] = {0};
    const attune_status status = attune_store_count_statuses(store, by_status);
    for (int s = 0; s < ATTUNE_TRACK_STATUS_COUNT; s++) {
        const bool kept = all || attune_track_has_embedding((attune_track_status)s);
        *(kept ? &counts->rows : &counts->left_out) += by_status[s];
    }
    return status;
}

attune_status attune_export(const char *path, attune_store *store,
                            const attune_export_options *options, attune_export_counts *counts)
{
    const bool ann = options->format == ATTUNE_EXPORT_ANN_BENCHMARKS;
    attune_export_counts unasked;
    counts = counts ? counts : &unasked;
    *counts = (attune_export_counts){0};
    if (!ann && options->format != ATTUNE_EXPORT_NPY && options->format != ATTUNE_EXPORT_CSV) {
        return attune_fail(ATTUNE_EINVAL, "export format %d is not known", (int)options->format);
    }
    attune_new_file_sweep(path);
    if (ann && (options->all || strcmp(path, "-") == 0)) {
        return attune_fail(ATTUNE_EINVAL, "ann-benchmarks' layout is written to a file and has no "
                                          "rows without an embedding");
    }
    attune_status status = count_rows(store, options->all, counts);
    if (status != ATTUNE_OK) {
        return status;
    }
    return ann ? attune_export_ann(path, store, options, counts)
               : export_text(path, store, options, counts);
}
