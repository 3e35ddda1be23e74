/* test_metadata.c - the tables against Python's reading of them; what is no table is refused with
 * its line. */
#include "fma/metadata.h"
#include "tests/fma/tables.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void print_list(FILE *out, const attune_fma *fma, const int32_t *list, int32_t count)
{
    fputc('|', out);
    for (int32_t i = 0; i < count; i++) {
        fprintf(out, "%s%d", i ? " " : "", attune_fma_genres_of(fma)[list[i]].id);
    }
}

Test(metadata, is_what_python_reads)
{
    attune_fma *fma = NULL;
    char *got = NULL, *expected = read_file(TABLES "/expected.txt", NULL);
    size_t size = 0;
    FILE *out = open_memstream(&got, &size);
    assert_ok(attune_fma_open(&fma, TABLES));
    for (int32_t i = 0; i < attune_fma_count(fma); i++) {
        const attune_fma_track *t = &attune_fma_tracks(fma)[i];
        fprintf(out, "%d|%d|%d|%s|%s|%s", t->id, t->artist_id, t->album_id,
                attune_fma_split_name(t->split), attune_fma_subset_name(t->subset),
                t->genre_top < 0 ? "" : attune_fma_genres_of(fma)[t->genre_top].title);
        print_list(out, fma, t->genres, t->genre_count);
        print_list(out, fma, t->genres_all, t->genre_all_count);
        fputc('\n', out);
        cr_assert_eq(attune_fma_find(fma, t->id), t);
    }
    fclose(out);
    cr_assert_str_eq(got, expected);
    cr_assert_null(attune_fma_find(fma, 4));
    const attune_fma_genre *genres = attune_fma_genres_of(fma); /* 8 12 21 25 89 100 1235 */
    cr_assert_eq(genres[4].id, 89);
    cr_assert_eq(genres[4].parent, 3);
    cr_assert_eq(genres[4].depth, 2);
    cr_assert_eq(genres[1].parent, ATTUNE_FMA_NONE);
    attune_fma_close(fma);
    free(got);
    free(expected);
}

Test(metadata, labels_are_by_the_files_name)
{
    static const struct {
        const char *path;
        int32_t id;
    } paths[] = {
        {"fma_small/000/000002.mp3", 2},
        {"000002.wav", 2},
        {"a.zip/155/155320.mp3", 155320},
        {"000134", 134},
        {"000004.mp3", -1},
        {"02.mp3", -1},
        {"000/2.mp3", -1},
        {"0000002.mp3", -1},
        {"000002.x.mp3", -1},
        {"00000a.mp3", -1},
        {"000002/intro.mp3", -1},
    };
    attune_fma *fma = NULL;
    assert_ok(attune_fma_open(&fma, TABLES));
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        attune_labels labels = ATTUNE_NO_LABELS;
        attune_fma_label(fma, &labels, paths[i].path);
        cr_assert_eq(labels.track_id, paths[i].id, "%s: %d", paths[i].path, labels.track_id);
    }
    attune_labels labels = ATTUNE_NO_LABELS;
    attune_fma_label(fma, &labels, "155320.mp3");
    cr_assert_str_eq(labels.genre_top, "Instrumental, \"quiet\"");
    cr_assert_eq(labels.artist_id, 24357);
    cr_assert_eq(labels.album_id, 22940);
    cr_assert_eq(labels.split, ATTUNE_FMA_TRAINING);
    attune_fma_close(fma);
}

#define ROW "7,1,1,training,small,Rock,[12],[12]\n"
#define ROCK GENRES_HEADER "12,1,0,Rock,12\n"

Test(metadata, what_is_no_table_is_refused_with_its_line)
{
    static const struct {
        const char *genres, *tracks, *text;
    } cases[] = {
        {"", "", "genres.csv, line 1: the file is empty"},
        {"id,name\n", "", "genres.csv, line 1: has no columns genre_id, parent and title"},
        {ROCK, "", "tracks.csv, line 1: the file is empty"},
        {GENRES_HEADER, "", "genres.csv, line 1: the file ends here without a genre"},
        {GENRES_HEADER "12,1,0\n", "", "genres.csv, line 2: has 3 fields, and not 5"},
        {GENRES_HEADER "x,1,0,Rock,12\n", "", "genres.csv, line 2: \"x\" is no genre's id"},
        {GENRES_HEADER "12,1,-1,Rock,12\n", "", "genres.csv, line 2: the parent \"-1\""},
        {GENRES_HEADER "12,1,0,,12\n", "", "genres.csv, line 2: a genre's title has 1 to 31"},
        {GENRES_HEADER "12,1,0,A,12\n12,1,0,B,12\n", "", "the genre 12 is in it twice"},
        {GENRES_HEADER "12,1,5,A,12\n", "", "5, the parent of genre 12, is not in it"},
        {GENRES_HEADER "1,1,2,A,1\n2,1,1,B,1\n", "", "the genre 1 is above itself"},
        {ROCK, "id,album\n1,2\n", "tracks.csv, line 1: is not how"},
        {ROCK, ",album,artist,set,set,track,track,track\n", "tracks.csv, line 1: is not how"},
        {ROCK,
         ",album,artist,set,set,track,track,track\n,id,id,split,subset,top,genres,genres_all\n",
         "tracks.csv, line 2: has 0 columns \"genre_top\" below \"track\", and not one"},
        {ROCK,
         ",album,artist,set,set,track,track,track\n,id,id,split,subset,genre_top,genres,"
         "genres_all\n" ROW,
         "tracks.csv, line 3: is not how"},
        {ROCK, TRACKS_HEADER, "tracks.csv, line 3: the file ends here without a track"},
        {ROCK, TRACKS_HEADER ROW "8,1,1,tr", "tracks.csv, line 5: has 4 fields, and not 8; is the"},
        {GENRES_HEADER " 12, 1, 0, Rock, 12\n",
         TRACKS_HEADER " 7, 1 , 1, training, small, Rock, [12], [12] \n8,1",
         "line 5: has 2 fields"},
        {ROCK, TRACKS_HEADER ROW "8,1,\"1,training\n\n", "tracks.csv, line 5: a quote in the row"},
        {ROCK, TRACKS_HEADER "\"7\n\",1,1,training,small,,[],[]\n", "line 4: \"7"},
        {ROCK, TRACKS_HEADER "7.0,1,1,training,small,,[],[]\n", "line 4: \"7.0\" is no track_id"},
        {ROCK, TRACKS_HEADER "9999999999,1,1,test,small,,[],[]\n", "is no track_id"},
        {ROCK, TRACKS_HEADER "7,1,1,train,small,,[],[]\n", "line 4: \"train\" is no set.split"},
        {ROCK, TRACKS_HEADER "7,1,1,test,tiny,,[],[]\n", "line 4: \"tiny\" is no set.subset"},
        {ROCK, TRACKS_HEADER "7,x,1,test,small,,[],[]\n", "line 4: \"x\" is no album.id"},
        {ROCK, TRACKS_HEADER "7,1,-2,test,small,,[],[]\n", "line 4: \"-2\" is no artist.id"},
        {ROCK, TRACKS_HEADER "7,1,1,test,small,Jazz,[],[]\n", "\"Jazz\" is no top genre"},
        {ROCK, TRACKS_HEADER "7,1,1,test,small,,[13],[]\n", "line 4: the genre 13 is not in"},
        {ROCK, TRACKS_HEADER "7,1,1,test,small,,12,[]\n", "line 4: \"12\" is no list of genres"},
        {ROCK, TRACKS_HEADER "7,1,1,test,small,,[12,[]\n", "\"[12\" is no list of genres"},
        {ROCK, TRACKS_HEADER "7,1,1,test,small,,[],['Rock']\n", "is no list of genres"},
        {ROCK, TRACKS_HEADER "7,1,1,test,small,,[12]x,[]\n", "\"[12]x\" is no track.genres"},
        {ROCK, TRACKS_HEADER "7,1,1,test,small,,\"[12,]\",[]\n", "is no list of genres"},
        {ROCK, TRACKS_HEADER "7,1,1,test,small,,,[]\n", "\"\" is no list of genres"},
        {ROCK, TRACKS_HEADER ROW "\n" ROW, "tracks.csv, line 6: track 7 again, which is in line 4"},
    };
    char *folder = temporary_path("t"), *genres = temporary_path("t/genres.csv");
    char *tracks = temporary_path("t/tracks.csv");
    attune_fma *fma = (attune_fma *)1;
    cr_assert_eq(attune_fma_open(&fma, folder), ATTUNE_ENOINPUT);
    cr_assert_null(fma);
    mkdir(folder, 0777);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_file(genres, cases[i].genres, strlen(cases[i].genres));
        write_file(tracks, cases[i].tracks, strlen(cases[i].tracks));
        cr_assert_eq(attune_fma_open(&fma, folder), ATTUNE_EDATA, "case %zu", i);
        cr_assert(strstr(attune_last_error(), cases[i].text), "case %zu: %s", i,
                  attune_last_error());
        cr_assert_null(fma);
    }
    free(folder);
    free(genres);
    free(tracks);
}

/* Bytes that are no text, and a line without an end. */
Test(metadata, binary_and_endless_lines_are_refused)
{
    enum { LONG = 17 << 20 };
    static const char header[] = TRACKS_HEADER "7,1,1,";
    char *folder = temporary_path("t"), *path = temporary_path("t/genres.csv");
    char *bytes = malloc(LONG);
    attune_fma *fma = NULL;
    mkdir(folder, 0777);
    write_file(path, ROCK, strlen(ROCK));
    strcpy(strrchr(path, '/'), "/tracks.csv");
    memset(bytes, 'x', LONG);
    memcpy(bytes, header, strlen(header));
    write_file(path, bytes, LONG);
    cr_assert_eq(attune_fma_open(&fma, folder), ATTUNE_EDATA);
    cr_assert(strstr(attune_last_error(), "tracks.csv, line 4: a row of more than 16 MiB"), "%s",
              attune_last_error());
    bytes[strlen(header)] = '\0';
    write_file(path, bytes, LONG);
    cr_assert_eq(attune_fma_open(&fma, folder), ATTUNE_EDATA);
    cr_assert(strstr(attune_last_error(), "tracks.csv, line 4: holds a NUL byte"), "%s",
              attune_last_error());
    free(bytes);
    free(folder);
    free(path);
}
