/* Threes in and out, and as training reads what was judged. */
#include "judge/threes.h"
#include "tests/support/support.h"
#include "train/triplets.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *write_text(const char *text)
{
    char *path = temporary_path("t.csv");
    write_file(path, text, strlen(text));
    return path;
}

/* What is written is read by training as the triplets that were chosen, one for one. */
Test(threes, training_reads_them)
{
    enum { ROWS = 60 };
    char *path = temporary_path("t.csv"), *judged = temporary_path("judged.csv"), text[8192] = "";
    size_t length = 0;
    attune_threes threes;
    attune_choice choices[ROWS];
    attune_tracks *tracks = NULL;
    attune_triplets triplets;
    length += (size_t)sprintf(text, "song1,song2,song3,anchor,positive\r\n");
    for (int r = 0; r < ROWS; r++) {
        length +=
            (size_t)sprintf(text + length, "%d,\"a, \"\"b\"\"/p%d.mp3\",%d,,\r\n", r, r, 100 + r);
        choices[r] = r % 4 == 3 ? ATTUNE_NO_CHOICE
                                : (attune_choice){(int8_t)(r % 3), (int8_t)((r + 1 + r / 30) % 3)};
    }
    write_file(path, text, length);
    assert_ok(attune_threes_read(&threes, path));
    cr_assert(threes.count == ROWS && threes.songs.count == 3 * ROWS && threes.judged == 0);
    cr_assert_eq(attune_threes_write(judged, &threes, choices), ATTUNE_OK);
    cr_assert_eq(attune_tracks_open_names(&tracks), ATTUNE_OK);
    assert_ok(attune_triplets_read(&triplets, tracks, judged));
    cr_assert(triplets.kind == ATTUNE_TRIPLETS_HUMAN && triplets.count == ROWS * 3 / 4 &&
              triplets.unlabelled == ROWS / 4);
    for (uint32_t r = 0, i = 0; r < ROWS; r++) {
        char names[3][32];
        if (choices[r].anchor < 0) {
            continue;
        }
        snprintf(names[0], 32, "%u", r);
        snprintf(names[1], 32, "p%u", r); /* a path's id is its name */
        snprintf(names[2], 32, "%u", 100 + r);
        const attune_triplet *t = &triplets.triplets[i++];
        const attune_tracks_entry *entries = attune_tracks_entries(tracks);
        cr_assert_str_eq(entries[t->anchor].id, names[choices[r].anchor]);
        cr_assert_str_eq(entries[t->positive].id, names[choices[r].positive]);
        cr_assert_str_eq(entries[t->negative].id,
                         names[3 - choices[r].anchor - choices[r].positive]);
    }
    attune_triplets_free(&triplets);
    attune_tracks_close(tracks);
    attune_threes again;
    cr_assert_eq(attune_threes_read(&again, judged), ATTUNE_OK);
    for (uint32_t r = 0; r < ROWS; r++) {
        cr_assert(again.rows[r].given.anchor == choices[r].anchor &&
                  again.rows[r].given.positive == choices[r].positive);
        cr_assert_eq(attune_threes_key(&again, r), attune_threes_key(&threes, r));
        cr_assert(r == 0 || attune_threes_key(&again, r) != attune_threes_key(&again, r - 1));
    }
    cr_assert_eq(again.judged, ROWS * 3 / 4);
    attune_threes_free(&again);
    attune_threes_free(&threes);
    free(path);
    free(judged);
}

Test(threes, published)
{
    char *path = shared_path("fma/human_triplets.csv"), *copy = temporary_path("copy.csv");
    size_t size = 0, copied = 0;
    attune_threes threes;
    assert_ok(attune_threes_read(&threes, path));
    cr_assert(threes.count == 2000 && threes.judged == 60, "%u, %u", threes.count, threes.judged);
    attune_choice *choices = malloc(threes.count * sizeof(*choices));
    for (uint32_t r = 0; r < threes.count; r++) {
        choices[r] = threes.rows[r].given;
    }
    cr_assert_eq(attune_threes_write(copy, &threes, choices), ATTUNE_OK);
    char *original = read_file(path, &size), *written = read_file(copy, &copied);
    cr_assert(size == copied && memcmp(original, written, size) == 0,
              "the file is not the same again");
    free(original);
    free(written);
    free(choices);
    attune_threes_free(&threes);
    free(copy);
    free(path);
}

/* Further columns, in any order, are those of the file; a row that lacks some has them empty, as
 * training wants each row to have all. */
Test(threes, keeps_columns)
{
    char *path = write_text("comment,song1,song3,positive,song2,anchor,\"a, b\"\n"
                            "\"so \"\"so\"\"\",x,z,,y,,\n"
                            ",1,3,1,2,3,\" c\",more\n"
                            "less,4,6,,5,\n");
    char *judged = temporary_path("judged.csv");
    const attune_choice choices[] = {{0, 2}, ATTUNE_NO_CHOICE, {1, 0}};
    size_t size = 0;
    attune_threes threes;
    assert_ok(attune_threes_read(&threes, path));
    assert_ok(attune_threes_write(judged, &threes, choices));
    char *text = read_file(judged, &size);
    cr_assert_str_eq(text, "comment,song1,song3,positive,song2,anchor,\"a, b\"\r\n"
                           "\"so \"\"so\"\"\",x,z,3,y,1,\r\n"
                           ",1,3,,2,,\" c\",more\r\n"
                           "less,4,6,1,5,2,\r\n");
    free(text);
    attune_threes_free(&threes);
    free(judged);
    free(path);
}

/* Spaces around its name make no other song, and no other three; they stay in what is written, and
 * before a name that a file may have. */
Test(threes, may_have_spaces_behind_commas)
{
    static const char text[] =
        "song1, song2, song3, anchor, positive\n1, 2, 3, 3, 1 \n4 , 1, 6, , \n";
    char *path = write_text(text);
    attune_threes threes, plain;
    assert_ok(attune_threes_read(&threes, path));
    cr_assert_eq(threes.count, 2);
    cr_assert_eq(threes.judged, 1);
    cr_assert(threes.rows[0].given.anchor == 2 && threes.rows[0].given.positive == 0);
    cr_assert_eq(threes.songs.count, 5);
    cr_assert_eq(threes.rows[1].song[1], threes.rows[0].song[0]);
    cr_assert_str_eq(threes.songs.texts[1], " 2");
    const attune_choice choices[] = {{2, 0}, ATTUNE_NO_CHOICE};
    char *judged = temporary_path("judged.csv");
    size_t size = 0;
    assert_ok(attune_threes_write(judged, &threes, choices));
    char *written = read_file(judged, &size);
    cr_assert_str_eq(written,
                     "song1,\" song2\",\" song3\",anchor,positive\r\n"
                     "1,\" 2\",\" 3\",3,1\r\n\"4 \",\" 1\",\" 6\",,\r\n",
                     "%s", written);
    free(written);
    free(judged);
    free(path);
    path = write_text("song1,song2,song3,anchor,positive\n1,2,3,,\n4,1,6,,\n");
    assert_ok(attune_threes_read(&plain, path));
    for (uint32_t r = 0; r < 2; r++) {
        cr_assert_eq(attune_threes_key(&plain, r), attune_threes_key(&threes, r));
    }
    attune_threes_free(&plain);
    attune_threes_free(&threes);
    free(path);
}

Test(threes, refuses)
{
    static const char head[] = "song1,song2,song3,anchor,positive\n";
    static const char *const bad[] = {"", "anchor,positive,negative\n1,2,3\n",
                                      "song1,song2,song3\n1,2,3\n",
                                      "song1,song2,song3,anchor,positive\n"};
    static const char *const rows[] = {"1,2\n",       "1,2,2,,\n",   "1,,3,,\n",   "1, ,3,,\n",
                                       "1, 1,3,,\n",  "1,2,3,1,1\n", "1,2,3,1,\n", "1,2,3,0,1\n",
                                       "1,2,3,1,4\n", "1,2,3,x,2\n"};
    attune_threes threes;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *path = write_text(bad[i]);
        cr_assert_eq(attune_threes_read(&threes, path), ATTUNE_EDATA, "%s", bad[i]);
        free(path);
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[200];
        snprintf(text, sizeof(text), "%s5,6,7,,\n%s", head, rows[i]);
        char *path = write_text(text);
        cr_assert_eq(attune_threes_read(&threes, path), ATTUNE_EDATA, "%s", rows[i]);
        cr_assert_not_null(strstr(attune_last_error(), "line 3"), "%s", attune_last_error());
        cr_assert_null(threes.rows);
        free(path);
    }
    cr_assert_eq(attune_threes_read(&threes, "/no/such.csv"), ATTUNE_ENOINPUT);
}
