/* store_support.c - rows that a number determines. */
#include "tests/store/store_support.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH_MAX 256

attune_store_attributes test_attributes(int embedding)
{
    return (attune_store_attributes){
        .model_sha256 = "1b2f6de7",
        .model_name = "AudioEmbeddingTiny",
        .network = "{\"channels\": [64, 32], \"name\": \"r\u00e9seau\"}",
        .device = "cpu",
        .precision = "exact",
        .root = "/music/\xff not UTF-8\nand two lines",
        .command = "attune embed /music -o out.h5",
        .libav = "libavcodec 59.37.100",
        .attune_version = "0.1.0",
        .created = "2024-01-02T03:04:05Z",
        .sample_rate = 22050,
        .frame_size = 2048,
        .embedding = embedding,
        .clip_start = 0.1,
        .clip_seconds = 30.0,
    };
}

/* What a test row points to. */
typedef struct test_row {
    attune_row row;
    char path[6000];
    char error[400];
    float embedding[WIDTH_MAX];
} test_row;

static void make_row(test_row *out, int embedding, size_t index)
{
    uint64_t state = index + 1;
    cr_assert_leq(embedding, WIDTH_MAX);
    snprintf(out->path, sizeof(out->path), "artist %03zu/track %08zu.mp3", index / 10, index);
    if (index % 7 == 3) { /* Latin-1, a line break, a character of four bytes */
        strcat(out->path, "\xe9t\xe9\n\xf0\x9f\x8e\xb5");
    }
    if (index % 500 == 11) { /* longer than the heap that HDF5 starts with */
        size_t length = strlen(out->path);
        memset(out->path + length, 'x', 5500);
        out->path[length + 5500] = '\0';
    }
    attune_track_status status = (attune_track_status)(index % ATTUNE_TRACK_STATUS_COUNT);
    out->error[0] = '\0';
    if (status != ATTUNE_TRACK_OK) {
        snprintf(out->error, sizeof(out->error), "%s: what FFmpeg said %*s of it \xfe",
                 attune_track_status_name(status), (int)(index % 100), "");
    }
    random_fill(&state, out->embedding, (size_t)embedding, 1.0f);
    if (index % 50 == 20) {
        out->embedding[0] = -0.0f;
        out->embedding[embedding - 1] = INFINITY;
    }
    out->row = (attune_row){
        .path = out->path,
        .status = status,
        .error = out->error,
        .duration = (double)index / 3.0,
        .frames = index % 9 == 0 ? UINT32_MAX : (uint32_t)index,
        .size = index % 9 == 1 ? UINT64_MAX : (uint64_t)index << 20,
        .mtime_ns = index % 9 == 2 ? INT64_MIN : (int64_t)index * 1000000007,
        .embedding = attune_track_has_embedding(status) ? out->embedding : NULL,
    };
}

void append_test_rows(attune_rows *rows, int embedding, size_t first, size_t count)
{
    static test_row row;
    for (size_t i = first; i < first + count; i++) {
        make_row(&row, embedding, i);
        assert_ok(attune_rows_append(rows, &row.row));
    }
}

void assert_test_rows(const attune_rows *rows, size_t at, int embedding, size_t first, size_t count)
{
    static test_row expected;
    cr_assert_geq(attune_rows_count(rows), at + count);
    for (size_t i = first; i < first + count; i++) {
        make_row(&expected, embedding, i);
        attune_row got = attune_rows_get(rows, at + i - first);
        cr_assert(strcmp(got.path, expected.path) == 0, "row %zu: path %s", i, got.path);
        cr_assert(strcmp(got.error, expected.error) == 0, "row %zu: error %s", i, got.error);
        cr_assert_eq(got.status, expected.row.status, "row %zu: status", i);
        cr_assert_eq(got.duration, expected.row.duration, "row %zu: duration", i);
        cr_assert_eq(got.frames, expected.row.frames, "row %zu: frames", i);
        cr_assert_eq(got.size, expected.row.size, "row %zu: size", i);
        cr_assert_eq(got.mtime_ns, expected.row.mtime_ns, "row %zu: mtime_ns", i);
        if (expected.row.embedding) {
            cr_assert(
                memcmp(got.embedding, expected.embedding, (size_t)embedding * sizeof(float)) == 0,
                "row %zu: embedding", i);
            continue;
        }
        for (int k = 0; k < embedding; k++) {
            uint32_t bits;
            memcpy(&bits, &got.embedding[k], sizeof(bits));
            cr_assert_eq(bits, 0x7fc00000u, "row %zu: not the plain NaN: %08x", i, bits);
        }
    }
}

void write_test_file(const char *path, int embedding, size_t count, size_t piece)
{
    const attune_store_attributes attributes = test_attributes(embedding);
    attune_store_writer *writer = NULL;
    attune_rows *rows = NULL;
    assert_ok(attune_store_create(&writer, path, &attributes));
    assert_ok(attune_rows_create(&rows, embedding));
    for (size_t i = 0; i < count; i += piece) {
        attune_rows_clear(rows);
        append_test_rows(rows, embedding, i, count - i < piece ? count - i : piece);
        assert_ok(attune_store_append(writer, rows));
    }
    assert_ok(attune_store_commit(writer));
    attune_store_writer_close(writer);
    attune_rows_free(rows);
}

void write_rows(const char *path, const attune_store_attributes *attributes,
                const attune_rows *rows)
{
    attune_store_writer *writer = NULL;
    assert_ok(attune_store_create(&writer, path, attributes));
    assert_ok(attune_store_append(writer, rows));
    assert_ok(attune_store_commit(writer));
    attune_store_writer_close(writer);
}

void assert_test_file(const char *path, int embedding, size_t count)
{
    attune_store *store = NULL;
    attune_rows *rows = NULL;
    assert_ok(attune_store_open(&store, path));
    cr_assert_eq(attune_store_count(store), count);
    assert_ok(attune_rows_create(&rows, embedding));
    assert_ok(attune_store_read(store, 0, count, rows));
    cr_assert_eq(attune_rows_count(rows), count);
    assert_test_rows(rows, 0, embedding, 0, count);
    attune_rows_free(rows);
    attune_store_close(store);
}

size_t count_names(const char *folder)
{
    size_t count = 0;
    DIR *names = opendir(folder);
    cr_assert_not_null(names);
    for (const struct dirent *name; (name = readdir(names));) {
        count += strcmp(name->d_name, ".") != 0 && strcmp(name->d_name, "..") != 0;
    }
    closedir(names);
    return count;
}
