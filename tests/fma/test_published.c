/* test_published.c - the published triplet files: their form, how they were decided, and what the
 * parts of their split share. */
#include "csv/csv.h"
#include "fma/heuristic.h"
#include "fma/leaks.h"
#include "fma/triplet_file.h"
#include "tests/fma/tables.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 8000, MOST_IDS = 1 << 18 };

/* Writes metadata that say of the tracks what a file of triplets says; a title's place among the
 * top genres is its id. */
static attune_fma *metadata_of(const char *path)
{
    static const struct {
        int id;
        const char *title;
    } tops[] = {{21, "Hip-Hop"},    {17, "Folk"},          {38, "Experimental"},
                {15, "Electronic"}, {10, "Pop"},           {2, "International"},
                {12, "Rock"},       {1235, "Instrumental"}};
    char *genres = NULL, *tracks = NULL;
    size_t size = 0;
    bool *known = calloc(MOST_IDS, sizeof(*known));
    attune_csv *csv = NULL;
    attune_csv_row row;
    FILE *stream = open_memstream(&genres, &size);
    fputs(GENRES_HEADER, stream);
    for (int id = 1; id < 1300; id++) {
        const char *title = NULL;
        for (size_t i = 0; i < 8; i++) {
            title = tops[i].id == id ? tops[i].title : title;
        }
        if (title) {
            fprintf(stream, "%d,0,0,%s,0\n", id, title);
        } else {
            fprintf(stream, "%d,0,0,genre %d,0\n", id, id);
        }
    }
    fclose(stream);
    stream = open_memstream(&tracks, &size);
    fputs(TRACKS_HEADER, stream);
    cr_assert_eq(attune_csv_open(&csv, path), ATTUNE_OK);
    for (int i = 0; attune_csv_next(csv, &row) == ATTUNE_OK && row.count; i++) {
        for (int r = 0; i >= 2 && r < 3; r++) {
            const char *const *f = row.fields + r;
            if (!known[atoi(f[0])]) {
                known[atoi(f[0])] = true;
                fprintf(stream, "%s,%s,%s,training,small,%s,\"%s\",\"%s\"\n", f[0], f[6], f[9],
                        f[3], f[12], f[12]);
            }
        }
    }
    attune_csv_close(csv);
    fclose(stream);
    attune_fma *fma = open_tables(genres, tracks);
    free(genres);
    free(tracks);
    free(known);
    return fma;
}

Test(published, files_are_written_byte_for_byte)
{
    char *path = shared_path("fma/synthetic_triplets_just_genres.csv");
    attune_fma *fma = metadata_of(path);
    attune_fma_triplet *triplets = calloc(ROWS, sizeof(*triplets));
    attune_csv *csv = NULL;
    attune_csv_row row;
    cr_assert_eq(attune_csv_open(&csv, path), ATTUNE_OK);
    for (int i = -2; attune_csv_next(csv, &row) == ATTUNE_OK && row.count; i++) {
        if (i >= 0) {
            const attune_fma_track *t[3];
            for (int k = 0; k < 3; k++) {
                t[k] = attune_fma_find(fma, atoi(row.fields[k]));
            }
            triplets[i] = (attune_fma_triplet){t[0], t[1], t[2]};
            cr_assert_gt(attune_fma_compare(t[0], t[1], t[2]), 0, "row %d", i);
        }
    }
    attune_csv_close(csv);
    char *copy = temporary_path("copy.csv");
    assert_ok(attune_fma_write_triplets(copy, fma, triplets, ROWS, false));
    cr_assert_eq(run_command("cmp '%s' '%s'", copy, path), 0);
    cr_assert_eq(attune_fma_write_triplets(copy, fma, triplets, ROWS, false), ATTUNE_ECREATE);
    cr_assert_eq(attune_fma_write_candidates(copy, triplets, 2, true), ATTUNE_OK);
    char *text = read_file(copy, NULL);
    cr_assert_str_eq(text, "song1,song2,song3,anchor,positive\r\n145742,91306,108867,,\r\n"
                           "123979,89846,90590,,\r\n");
    free(text);
    free(copy);
    free(triplets);
    attune_fma_close(fma);
    free(path);
}

static attune_leaks leaks_of(const char *name, const attune_split_options *split)
{
    attune_tracks *tracks = NULL;
    attune_triplets t;
    attune_leaks leaks;
    const attune_triplet *parts[ATTUNE_PART_COUNT];
    uint32_t counts[ATTUNE_PART_COUNT];
    char *path = shared_path(name);
    cr_assert_eq(attune_tracks_open_names(&tracks), ATTUNE_OK);
    assert_ok(attune_triplets_read(&t, tracks, path));
    cr_assert_eq(attune_triplets_split(&t, split), ATTUNE_OK);
    for (int p = 0; p < ATTUNE_PART_COUNT; p++) {
        parts[p] = t.triplets + t.start[p];
        counts[p] = t.start[p + 1] - t.start[p];
    }
    cr_assert_eq(attune_leaks_find(&leaks, parts, counts, attune_tracks_count(tracks)), ATTUNE_OK);
    attune_triplets_free(&t);
    attune_tracks_close(tracks);
    free(path);
    return leaks;
}

/* Counted with numpy and scikit-learn. */
Test(published, splits_leak)
{
    const attune_leaks synthetic =
        leaks_of("fma/synthetic_triplets_just_genres.csv", &ATTUNE_SPLIT_SYNTHETIC);
    cr_assert_eq(synthetic.triplets[ATTUNE_PART_TEST], 1608);
    cr_assert_eq(synthetic.tracks[ATTUNE_PART_TEST], 3670);
    cr_assert_eq(synthetic.seen[ATTUNE_PART_TEST], 3227);
    cr_assert_eq(synthetic.without_seen[ATTUNE_PART_TEST], 4);
    cr_assert_eq(synthetic.triplets[ATTUNE_PART_VALIDATION], 792);
    cr_assert_eq(synthetic.triplets[ATTUNE_PART_TRAIN], 5600);
    const attune_leaks human = leaks_of("fma/human_triplets.csv", &ATTUNE_SPLIT_HUMAN);
    cr_assert_eq(human.triplets[ATTUNE_PART_TEST], 12);
    cr_assert_eq(human.without_seen[ATTUNE_PART_TEST], 12);
}

Test(published, names_without_files)
{
    static const struct {
        const char *name;
        uint32_t track;
    } cases[] = {{"2", 0}, {"000002", 0}, {"000/000002.mp3", 0}, {"song", 1}, {"song.v2", 2}};
    attune_tracks *tracks = NULL;
    cr_assert_eq(attune_tracks_open_names(&tracks), ATTUNE_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t track = 0;
        cr_assert_eq(attune_tracks_find(&track, tracks, cases[i].name), ATTUNE_OK);
        cr_assert_eq(track, cases[i].track, "%s", cases[i].name);
    }
    cr_assert_eq(attune_tracks_count(tracks), 3);
    cr_assert_str_eq(attune_tracks_entries(tracks)[2].id, "song.v2");
    attune_tracks_close(tracks);
}
