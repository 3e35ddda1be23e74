/* triplet_file.c - some megabytes of text at most: made in memory, written at once. */
#include "fma/triplet_file.h"

#include "csv/csv.h"
#include "status/error.h"
#include "store/new_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROLES = 3 };

/* "[21]", or "[539, 21]" in quotes. */
static void write_genres(FILE *stream, const attune_fma_genre *genres, const attune_fma_track *t)
{
    const char *quote = t->genre_all_count > 1 ? "\"" : "";
    fprintf(stream, "%s[", quote);
    for (int32_t i = 0; i < t->genre_all_count; i++) {
        fprintf(stream, "%s%" PRId32, i ? ", " : "", genres[t->genres_all[i]].id);
    }
    fprintf(stream, "]%s", quote);
}

static void write_header(FILE *stream)
{
    static const char *const roles[ROLES] = {"anchor", "positive", "negative"};
    static const char *const names[] = {"track_id", "genre_top", "album_id", "artist_id",
                                        "genres_all"};
    const size_t columns = ROLES * sizeof(names) / sizeof(names[0]);
    for (size_t i = 0; i < columns; i++) {
        fprintf(stream, "%s%s", i ? "," : "", roles[i % ROLES]);
    }
    for (size_t i = 0; i < columns; i++) {
        fprintf(stream, "%s%s", i ? "," : "\n", names[i / ROLES]);
    }
    fputc('\n', stream);
}

static void write_triplet(FILE *stream, const attune_fma_genre *genres, const attune_fma_triplet *t)
{
    const attune_fma_track *const tracks[ROLES] = {t->anchor, t->positive, t->negative};
    for (int i = 0; i < ROLES; i++) {
        fprintf(stream, "%s%" PRId32, i ? "," : "", tracks[i]->id);
    }
    for (int i = 0; i < ROLES; i++) {
        const int32_t top = tracks[i]->genre_top;
        fputc(',', stream);
        attune_csv_write_field(stream, top == ATTUNE_FMA_NONE ? "" : genres[top].title);
    }
    for (int i = 0; i < ROLES; i++) {
        fprintf(stream, ",%" PRId32, tracks[i]->album_id);
    }
    for (int i = 0; i < ROLES; i++) {
        fprintf(stream, ",%" PRId32, tracks[i]->artist_id);
    }
    for (int i = 0; i < ROLES; i++) {
        fputc(',', stream);
        write_genres(stream, genres, tracks[i]);
    }
    fputc('\n', stream);
}

/* The whole file; malloc'ed. Candidates have no `genres`. */
static attune_status make_text(char **text, size_t *size, const attune_fma_genre *genres,
                               const attune_fma_triplet *triplets, uint32_t count)
{
    FILE *stream = open_memstream(text, size);
    if (!stream) {
        *text = NULL;
        return attune_fail_memory("a file of triplets", count);
    }
    if (genres) {
        write_header(stream);
    } else {
        fputs("song1,song2,song3,anchor,positive\r\n", stream);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (genres) {
            write_triplet(stream, genres, &triplets[i]);
        } else {
            fprintf(stream, "%" PRId32 ",%" PRId32 ",%" PRId32 ",,\r\n", triplets[i].anchor->id,
                    triplets[i].positive->id, triplets[i].negative->id);
        }
    }
    const bool written = !ferror(stream);
    return fclose(stream) == 0 && written ? ATTUNE_OK
                                          : attune_fail_memory("a file of triplets", *size);
}

static attune_status write_all(const char *path, const attune_fma_genre *genres,
                               const attune_fma_triplet *triplets, uint32_t count, bool replace)
{
    char *text = NULL;
    size_t size = 0;
    attune_status status = make_text(&text, &size, genres, triplets, count);
    if (status == ATTUNE_OK) {
        status = attune_new_file_write(path, text, size, replace);
    }
    free(text);
    return status;
}

attune_status attune_fma_write_triplets(const char *path, const attune_fma *fma,
                                        const attune_fma_triplet *triplets, uint32_t count,
                                        bool replace)
{
    return write_all(path, attune_fma_genres_of(fma), triplets, count, replace);
}

attune_status attune_fma_write_parts(char *const paths[ATTUNE_PART_COUNT], const attune_fma *fma,
                                     const attune_fma_triplets *triplets, bool replace)
{
    attune_new_file files[ATTUNE_PART_COUNT];
    attune_status status = ATTUNE_OK;
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        const uint32_t first = triplets->start[p];
        char *text = NULL;
        size_t size = 0;
        files[p] = ATTUNE_NEW_FILE_CLOSED;
        if (status == ATTUNE_OK) {
            status = make_text(&text, &size, attune_fma_genres_of(fma), triplets->triplets + first,
                               triplets->start[p + 1] - first);
        }
        if (status == ATTUNE_OK) {
            status = attune_new_file_fill(&files[p], paths[p], text, size, replace);
        }
        free(text);
    }
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        status = status == ATTUNE_OK ? attune_new_file_publish(&files[p]) : status;
        attune_new_file_close(&files[p]);
    }
    return status;
}

attune_status attune_fma_write_candidates(const char *path, const attune_fma_triplet *triplets,
                                          uint32_t count, bool replace)
{
    return write_all(path, NULL, triplets, count, replace);
}
