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

static attune_status write_all(const char *path, const attune_fma_genre *genres,
                               const attune_fma_triplet *triplets, uint32_t count, bool replace)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) {
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
    const attune_status status = fclose(stream) == 0 && written
                                     ? attune_new_file_write(path, text, size, replace)
                                     : attune_fail_memory("a file of triplets", size);
    free(text);
    return status;
}

attune_status attune_fma_write_triplets(const char *path, const attune_fma *fma,
                                        const attune_fma_triplet *triplets, uint32_t count,
                                        bool replace)
{
    return write_all(path, attune_fma_genres_of(fma), triplets, count, replace);
}

attune_status attune_fma_write_candidates(const char *path, const attune_fma_triplet *triplets,
                                          uint32_t count, bool replace)
{
    return write_all(path, NULL, triplets, count, replace);
}
