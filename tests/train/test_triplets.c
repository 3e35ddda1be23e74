/* test_triplets.c - three kinds of files of triplets, and everything else refused. */
#include "train/triplets.h"

#include "tests/support/support.h"
#include "tests/train/audio_tree.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TREE "000/000001.mp3 000/000002.mp3 000/000003.mp3 000/000004.mp3 x/five.flac"

static attune_triplets read_text(attune_tracks *tracks, const char *text)
{
    attune_triplets t;
    char *path = make_text("t.csv", text);
    assert_ok(attune_triplets_read(&t, tracks, path));
    free(path);
    return t;
}

/* "1 2 3, 2 4 -" of the ids, - for a track that is missing. */
static void assert_triplets(const attune_triplets *t, const attune_tracks *tracks,
                            const char *expected)
{
    char text[512] = "";
    size_t length = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        const attune_triplet *triplet = &t->triplets[i];
        const uint32_t found[3] = {triplet->anchor, triplet->positive, triplet->negative};
        for (int k = 0; k < 3; k++) {
            const char *id =
                found[k] == ATTUNE_NO_TRACK ? "-" : attune_tracks_entries(tracks)[found[k]].id;
            length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s",
                                       k ? " " : (i ? ", " : ""), id);
        }
    }
    cr_assert_str_eq(text, expected);
}

Test(triplets, of_every_kind)
{
    static const struct {
        const char *text, *expected;
        attune_triplet_kind kind;
        uint32_t unlabelled;
    } cases[] = {
        {"anchor,positive,negative\n1,2,3\n000004,five,2\n", "1 2 3, 4 five 2",
         ATTUNE_TRIPLETS_PLAIN, 0},
        {"1,2,3\n\n000/000004.mp3,x/five.flac,\"2\"", "1 2 3, 4 five 2", ATTUNE_TRIPLETS_PLAIN, 0},
        {"who,negative,anchor,positive\nme,3,1,2\n", "1 2 3", ATTUNE_TRIPLETS_PLAIN, 0},
        {"song1,song2,song3,anchor,positive\n1,2,3,1,2\n1,2,3,,\n1,2,3,3,1\n4,2,1,2,3\n",
         "1 2 3, 3 1 2, 2 1 4", ATTUNE_TRIPLETS_HUMAN, 1},
        {"anchor,positive,negative,anchor,positive,negative\n"
         "genre,genre,genre,track_id,track_id,track_id\nRock,Rock,\"Pop, or so\",4,2,3\n",
         "4 2 3", ATTUNE_TRIPLETS_SYNTHETIC, 0},
        {"1,2,99\n", "1 2 -", ATTUNE_TRIPLETS_PLAIN, 0},
        {"anchor, positive,negative \n1, 2,000/000003.mp3 \n", "1 2 3", ATTUNE_TRIPLETS_PLAIN, 0},
        {"song1, song2, song3, anchor, positive\n1, 2, 3, 2, 3\n1, 2, 3, , \n", "2 3 1",
         ATTUNE_TRIPLETS_HUMAN, 1},
        {"anchor, positive, negative, anchor, positive, negative\n"
         "genre, genre, genre, track_id, track_id, track_id\nRock, Rock, Pop, 4, 2, 3\n",
         "4 2 3", ATTUNE_TRIPLETS_SYNTHETIC, 0},
    };
    char *folder = make_tree("music", TREE);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        attune_tracks *tracks = open_tracks(folder);
        attune_triplets t = read_text(tracks, cases[i].text);
        assert_triplets(&t, tracks, cases[i].expected);
        cr_assert_eq(t.kind, cases[i].kind);
        cr_assert_eq(t.unlabelled, cases[i].unlabelled);
        cr_assert_eq(t.start[1], t.count);
        attune_triplets_free(&t);
        attune_tracks_close(tracks);
    }
    free(folder);
}

Test(triplets, refuse_every_other_file)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "line 1: the file is empty"},
        {"anchor,positive,negative\n", "the file ends here without a triplet"},
        {"a;b;c\n", "line 1: begins no file of triplets"},
        {"\n\n1,2,3,4\n", "line 3: begins no file of triplets"},
        {"1,2,3\n1,2\n", "line 2: has 2 fields, and not 3"},
        {"1,2,3\n1,,3\n", "line 2: the positive is empty"},
        {"1,2,3\n1, ,3\n", "line 2: the positive is empty"},
        {"1,2,3\n4,2,000004\n", "line 2: the negative and the anchor are one track"},
        {"anchor,positive\n1,2\n", "line 1: is no header of triplets"},
        {"anchor,positive,anchor\n1,2,3\n", "line 1: is no header of triplets"},
        {"anchor,positive,negative,anchor\na,a,a,a\n1,2,3,4\n",
         "line 2: has 0 columns track_id below anchor"},
        {"anchor,positive,negative,anchor\ntrack_id,track_id,track_id,track_id\n1,2,3,4\n",
         "line 2: has 2 columns track_id below anchor"},
        {"anchor,positive,negative,anchor\ntrack_id,track_id\n", "line 2: the second line"},
        {"song1,song2,song3,anchor,positive\n1,2,3,1,1\n", "line 2: the anchor \"1\""},
        {"song1,song2,song3,anchor,positive\n1,2,3,1,\n", "line 2: the anchor \"1\""},
        {"song1,song2,song3,anchor,positive\n1,2,3,0,4\n", "line 2: the anchor \"0\""},
        {"song1,song2,song3,anchor,positive\n1,2,3,,\n1,2,4,,\n", "nobody has judged any of"},
        {"1,2,3\n1,\"2\"2,3\n", "line 2: a quote stands in the middle"},
    };
    char *folder = make_tree("music", TREE);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        attune_tracks *tracks = open_tracks(folder);
        attune_triplets t;
        char *path = make_text("t.csv", cases[i].text);
        assert_refused(attune_triplets_read(&t, tracks, path), ATTUNE_EDATA, cases[i].message);
        cr_assert(strstr(attune_last_error(), path));
        attune_triplets_free(&t);
        attune_tracks_close(tracks);
        free(path);
    }
    free(folder);
}

/* What is missing must not move the others: the rows of each part are those of the whole file. */
Test(triplets, keep_their_part_when_others_are_missing)
{
    enum { ROWS = 100 };
    char text[ROWS * 16] = "";
    size_t length = 0;
    for (int i = 0; i < ROWS; i++) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, "1,2,%d\n",
                                   i % 3 == 1 ? 99 : 3 + i % 2);
    }
    char *folder = make_tree("music", TREE);
    attune_tracks *tracks = open_tracks(folder);
    attune_triplets t = read_text(tracks, text);
    const attune_split_options options = {.held_out = 0.3, .validation = 0.5, .seed = 42};
    uint32_t rows[ROWS], start[ATTUNE_PART_COUNT + 1], next = 0;
    cr_assert_eq(attune_split_rows(rows, start, ROWS, &options), ATTUNE_OK);
    cr_assert_eq(attune_triplets_split(&t, &options), ATTUNE_OK);
    cr_assert_eq(t.skipped, 33);
    cr_assert_eq(t.count, ROWS - 33);
    for (int part = 0; part < ATTUNE_PART_COUNT; part++) {
        cr_assert_eq(t.start[part], next);
        for (uint32_t i = start[part]; i < start[part + 1]; i++) {
            if (rows[i] % 3 != 1) {
                cr_assert_eq(t.triplets[next++].row, rows[i], "part %d", part);
            }
        }
    }
    cr_assert_eq(t.start[ATTUNE_PART_COUNT], next);
    attune_triplets_free(&t);
    attune_tracks_close(tracks);
    free(folder);
}

/* A tree as FMA's with an empty file for every number of a CSV file. */
static void make_fma(const char *folder, const char *path)
{
    size_t size = 0;
    char *text = read_file(path, &size), *rest = NULL, name[64];
    bool *made = calloc(200000, sizeof(*made));
    cr_assert_not_null(made);
    for (char *word = strtok_r(text, ",\n", &rest); word; word = strtok_r(NULL, ",\n", &rest)) {
        char *end = NULL;
        const long id = strtol(word, &end, 10);
        if (!*end && id >= 0 && id < 200000 && !made[id]) {
            snprintf(name, sizeof(name), "%03ld/%06ld.mp3", id / 1000, id);
            make_file(folder, name);
            made[id] = true;
        }
    }
    free(made);
    free(text);
}

static const uint32_t *ids_of(const attune_triplet *t, uint32_t out[3])
{
    out[0] = t->anchor;
    out[1] = t->positive;
    out[2] = t->negative;
    return out;
}

/* How the published split leaks: test tracks that were trained with. */
Test(triplets, of_the_published_synthetic_file)
{
    char *path = shared_path("fma/synthetic_triplets_just_genres.csv");
    char *folder = make_tree("fma", "");
    make_fma(folder, path);
    attune_tracks *tracks = open_tracks(folder);
    attune_triplets t;
    const attune_split_options options = ATTUNE_SPLIT_SYNTHETIC;
    assert_ok(attune_triplets_read(&t, tracks, path));
    cr_assert_eq(t.kind, ATTUNE_TRIPLETS_SYNTHETIC);
    assert_ok(attune_tracks_check(tracks));
    cr_assert_eq(t.count, 8000);
    cr_assert_str_eq(attune_tracks_entries(tracks)[t.triplets[0].anchor].id, "145742");
    cr_assert_str_eq(attune_tracks_entries(tracks)[t.triplets[0].negative].id, "108867");
    cr_assert_eq(attune_triplets_split(&t, &options), ATTUNE_OK);
    cr_assert_eq(t.start[1], 5600);
    cr_assert_eq(t.start[2], 5600 + 792);
    cr_assert_eq(t.start[3], 5600 + 792 + 1608);
    unsigned char *seen = calloc(attune_tracks_count(tracks), 1); /* 1: trained, 2: tested */
    uint32_t ids[3], tested = 0, leaked = 0, clean = 0;
    for (uint32_t i = 0; i < t.count; i++) {
        const bool test = i >= t.start[ATTUNE_PART_TEST];
        int known = 0;
        ids_of(&t.triplets[i], ids);
        for (int k = 0; k < 3; k++) {
            known += seen[ids[k]] & 1;
            if (test && !(seen[ids[k]] & 2)) {
                tested++;
                leaked += seen[ids[k]] & 1;
            }
            seen[ids[k]] |= test ? 2 : i < t.start[ATTUNE_PART_VALIDATION] ? 1 : 0;
        }
        clean += test && known == 0;
    }
    cr_log_info("%u of %u test tracks are trained with, %u test triplets have none of them", leaked,
                tested, clean);
    cr_assert_eq(leaked, 3227);
    cr_assert_eq(tested, 3670);
    cr_assert_eq(clean, 4);
    free(seen);
    attune_triplets_free(&t);
    attune_tracks_close(tracks);
    free(folder);
    free(path);
}

Test(triplets, of_the_published_human_file)
{
    char *path = shared_path("fma/human_triplets.csv");
    char *folder = make_tree("fma", "");
    make_fma(folder, path);
    attune_tracks *tracks = open_tracks(folder);
    attune_triplets t;
    const attune_split_options options = ATTUNE_SPLIT_HUMAN;
    assert_ok(attune_triplets_read(&t, tracks, path));
    cr_assert_eq(t.kind, ATTUNE_TRIPLETS_HUMAN);
    cr_assert_eq(t.count, 60);
    cr_assert_eq(t.unlabelled, 1940);
    cr_assert_str_eq(attune_tracks_entries(tracks)[t.triplets[1].anchor].id, "141164");
    cr_assert_str_eq(attune_tracks_entries(tracks)[t.triplets[1].positive].id, "123976");
    cr_assert_str_eq(attune_tracks_entries(tracks)[t.triplets[1].negative].id, "116883");
    cr_assert_eq(attune_triplets_split(&t, &options), ATTUNE_OK);
    cr_assert_eq(t.start[1], 30);
    cr_assert_eq(t.start[2], 48);
    cr_assert_eq(t.start[3], 60);
    attune_triplets_free(&t);
    attune_tracks_close(tracks);
    free(folder);
    free(path);
}
