/* tables.c - see tables.h. */
#include "tests/fma/tables.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

attune_fma *open_tables(const char *genres, const char *tracks)
{
    attune_fma *fma = NULL;
    char *folder = temporary_path("fma_metadata"),
         *path = temporary_path("fma_metadata/genres.csv");
    mkdir(folder, 0777);
    write_file(path, genres, strlen(genres));
    strcpy(strrchr(path, '/'), "/tracks.csv");
    write_file(path, tracks, strlen(tracks));
    assert_ok(attune_fma_open(&fma, folder));
    free(folder);
    free(path);
    return fma;
}

attune_fma *open_synthetic(void)
{
    enum { TOPS = 8, BELOW = 4, TRACKS = 40 };
    char *genres = NULL, *tracks = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&genres, &size);
    fputs(GENRES_HEADER, stream);
    for (int top = 1; top <= TOPS; top++) {
        fprintf(stream, "%d,0,0,Top %d,%d\n", top * 10, top, top * 10);
        for (int i = 1; i <= BELOW; i++) { /* the last lies below the first */
            fprintf(stream, "%d,0,%d,Genre %d-%d,%d\n", top * 10 + i, top * 10 + (i == BELOW), top,
                    i, top * 10);
        }
    }
    fclose(stream);
    stream = open_memstream(&tracks, &size);
    fputs(TRACKS_HEADER, stream);
    for (int i = 0; i < TOPS * TRACKS; i++) {
        static const char *const splits[] = {"training", "validation", "test"};
        const int top = (i / TRACKS + 1) * 10, artist = i / 5, part = artist % 10;
        const int given = top + 1 + i % BELOW, other = top + 2 + i % 2;
        const int above = given == top + BELOW ? top + 1 : 0;
        fprintf(stream, "%d,%d,%d,%s,small,Top %d,", i + 1, i / 3 + 1, artist + 1,
                splits[part < 8 ? 0 : part - 7], top / 10);
        const bool two = i % 3 == 0 && other != given;
        fprintf(stream, two ? "\"[%d, %d]\"," : "[%d],", given, other);
        fprintf(stream, "\"[%d", given);
        if (above) {
            fprintf(stream, ", %d", above);
        }
        if (two) {
            fprintf(stream, ", %d", other);
        }
        fprintf(stream, ", %d]\"\n", top);
    }
    fclose(stream);
    attune_fma *fma = open_tables(genres, tracks);
    free(genres);
    free(tracks);
    return fma;
}
