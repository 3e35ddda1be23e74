/* test_teacher.c - a teacher's rows reach the tracks that they are of, whatever file they are in.
 */
#include "tests/store/store_support.h"
#include "tests/support/support.h"
#include "tests/train/audio_tree.h"
#include "train/teacher.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRACKS = 3, D = 2 };

/* Of length 5, 2 and 3; track 2 of the tree, "c.ogg", has none. */
static const float rows[TRACKS][D] = {{3, 4}, {0, 2}, {-3, 0}};

static char *write_npy(const char *names)
{
    char *list = make_text("teacher.txt", names), *path = make_text("teacher.npy", "");
    char header[128];
    FILE *file = fopen(path, "wb");
    const int length = snprintf(header, sizeof(header), "%-117s\n",
                                "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }");
    cr_assert(file && length == 118);
    cr_assert_eq(fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, file), 10);
    cr_assert_eq(fwrite(header, 1, 118, file), 118);
    cr_assert_eq(fwrite(rows, sizeof(rows), 1, file), 1);
    cr_assert_eq(fclose(file), 0);
    free(list);
    return path;
}

/* The loss of clips of tracks a, b, c, d against a teacher that says the cosines of the rows. */
static void check_loss(attune_teacher *teacher)
{
    const attune_sample samples[] = {{.track = 0}, {.track = 1}, {.track = 2}, {.track = 3}};
    const float embeddings[4][D] = {{1, 0}, {0, 1}, {1, 0}, {0, 1}};
    float gradients[4][D] = {{0}};
    /* Pairs that count: a and b, a and d, b and d. */
    const double said[] = {0.8, -0.6, 0}, learnt[] = {0, 0, 1};
    double expected = 0;
    attune_loss_value value;
    for (int i = 0; i < 3; i++) {
        expected += (learnt[i] - said[i]) * (learnt[i] - said[i]) / 3;
    }
    cr_assert_eq(
        attune_teacher_loss(teacher, &value, gradients[0], embeddings[0], samples, 4, D, 1),
        ATTUNE_OK);
    cr_assert_float_eq(value.loss, expected, 1e-6, "%g, not %g", value.loss, expected);
}

Test(teacher, is_found_by_id_and_by_path_in_csv_and_npy)
{
    char *folder = make_tree("music", "x/a.mp3 000/000007.mp3 c.ogg d.wav not_used.wav");
    attune_tracks *tracks = open_tracks(folder);
    const char *used[] = {"a", "7", "c", "d"};
    for (uint32_t i = 0, track; i < 4; i++) {
        cr_assert_eq(attune_tracks_find(&track, tracks, used[i]), ATTUNE_OK);
        cr_assert_eq(track, i);
    }
    char *files[] = {
        write_npy("a\n000/000007.mp3\nd\n"),
        make_text("ids.csv", "id,e0,e1\na,3,4\n7,0,2\nd,-3,0\nnot_used,1,1\nunknown,1,1\n"),
        make_text("paths.csv", "path,e0,e1\nx/a.mp3,3,4\n000/000007.mp3,0,2\nd.wav,-3,0\n"),
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        attune_teacher *teacher = NULL;
        cr_assert_eq(attune_teacher_open(&teacher, files[i], tracks), ATTUNE_OK, "%s: %s", files[i],
                     attune_last_error());
        cr_assert_eq(attune_teacher_count(teacher), 3, "%s", files[i]);
        check_loss(teacher);
        attune_teacher_close(teacher);
        free(files[i]);
    }
    cr_assert_eq(attune_tracks_count(tracks), 4);
    cr_assert_eq(attune_tracks_missing(tracks), 0);
    attune_tracks_close(tracks);
    free(folder);
}

/* An output of attune whose rows are below `root`. */
static char *write_output(const char *name, const char *root, const char *const *paths)
{
    char *file = temporary_path(name);
    attune_store_attributes attributes = test_attributes(D);
    attune_rows *out = NULL;
    attributes.root = root;
    assert_ok(attune_rows_create(&out, D));
    for (int i = 0; i < TRACKS; i++) {
        const attune_row row = {
            .path = paths[i], .embedding = rows[i], .status = ATTUNE_TRACK_OK, .error = ""};
        assert_ok(attune_rows_append(out, &row));
    }
    write_rows(file, &attributes, out);
    attune_rows_free(out);
    return file;
}

/* Rows of another folder are of other files, whatever they are called. */
Test(teacher, of_an_output_is_of_the_same_files)
{
    static const char *const paths[] = {"a.mp3", "000/000007.mp3", "d.wav"};
    char *folder = make_tree("music", "a.mp3 000/000007.mp3 c.ogg d.wav"),
         *other = temporary_path("other"), *own = write_output("own.h5", folder, paths),
         *foreign = write_output("foreign.h5", other, paths);
    attune_tracks *tracks = open_tracks(folder);
    attune_teacher *teacher = NULL;
    for (uint32_t i = 0, track; i < 4; i++) {
        assert_ok(attune_tracks_find(&track, tracks, (const char *[]){"a", "7", "c", "d"}[i]));
    }
    assert_ok(attune_teacher_open(&teacher, own, tracks));
    cr_assert_eq(attune_teacher_count(teacher), 3);
    check_loss(teacher);
    attune_teacher_close(teacher);
    assert_refused(attune_teacher_open(&teacher, foreign, tracks), ATTUNE_EDATA,
                   "none of its rows is of a track");
    attune_tracks_close(tracks);
    free(foreign);
    free(own);
    free(other);
    free(folder);
}

/* A row of zeros says nothing; two rows of a track may say two things. */
Test(teacher, of_zeros_or_of_a_track_twice)
{
    char *folder = make_tree("music", "x/a.mp3 b.mp3"),
         *zeros = make_text("zeros.csv", "id,e0,e1\na,3,4\nb,0,-0\n"),
         *none = make_text("none.csv", "id,e0,e1\nb,0,0\n"),
         *twice = make_text("twice.csv", "path,e0,e1\nx/a.mp3,3,4\nb.mp3,1,1\nx/a.mp3,3,4\n");
    attune_tracks *tracks = open_tracks(folder);
    attune_teacher *teacher = NULL;
    uint32_t track;
    assert_ok(attune_tracks_find(&track, tracks, "a"));
    assert_ok(attune_tracks_find(&track, tracks, "b"));
    assert_ok(attune_teacher_open(&teacher, zeros, tracks));
    cr_assert_eq(attune_teacher_count(teacher), 1);
    attune_teacher_close(teacher);
    assert_refused(attune_teacher_open(&teacher, none, tracks), ATTUNE_EDATA,
                   "its rows of tracks to train on are zeros");
    assert_refused(attune_teacher_open(&teacher, twice, tracks), ATTUNE_EDATA,
                   "two rows are of the track a");
    attune_tracks_close(tracks);
    free(twice);
    free(none);
    free(zeros);
    free(folder);
}

Test(teacher, of_other_tracks_is_refused)
{
    char *folder = make_tree("music", "a.mp3"), *csv = make_text("t.csv", "id,e0,e1\nb,3,4\n");
    attune_tracks *tracks = open_tracks(folder);
    attune_teacher *teacher = NULL;
    uint32_t track;
    cr_assert_eq(attune_tracks_find(&track, tracks, "a"), ATTUNE_OK);
    assert_refused(attune_teacher_open(&teacher, csv, tracks), ATTUNE_EDATA,
                   "none of its rows is of a track");
    cr_assert_null(teacher);
    attune_tracks_close(tracks);
    free(csv);
    free(folder);
}
