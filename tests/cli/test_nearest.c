/* test_nearest.c - `attune nearest` as a user runs it. What it finds, check_nearest.py computes
 * again with numpy. */
#include "tests/store/store_support.h"
#include "tests/support/command.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WIDTH = 8, ROWS = 600 };

static const char *attune;

/* Runs `attune nearest ARGUMENTS`: its exit code must be `code`, and stderr hold `text`. */
static void nearest(int code, const char *text, const char *arguments)
{
    check_command(code, text, "%s nearest %s", attune, arguments);
    cr_assert(code == 0 || run_command("test ! -s out") == 0);
}

/* A vector of length 1 near one of a few centres; every fifth is a copy of the last but for noise.
 */
static void fill_vector(float *out, uint64_t *state, size_t index)
{
    double square = 0;
    if (index % 5 != 4) {
        random_fill(state, out, WIDTH, 1.0f);
        out[index / 40 % WIDTH] += 1.0f;
    }
    for (size_t e = 0; e < WIDTH; e++) {
        out[e] += 0.001f * random_uniform(state);
        square += (double)out[e] * (double)out[e];
    }
    for (size_t e = 0; e < WIDTH; e++) {
        out[e] = (float)((double)out[e] / sqrt(square));
    }
}

/* Rows sorted by path, or backwards, as another program may have written them. */
static void write_output(const char *file, const char *root, bool labels, bool backwards)
{
    static const char *const names[] = {
        "a/<b>&\"amp;.mp3", "a/line\nbreak.ogg", "a/latin\xe9.mp3",   "a/ends ",
        "a/100% #1?.flac",  "/elsewhere/x.wav",  "no folder, no dot", "a/\xc3\xa9t\xc3\xa9.mp3",
    };
    attune_store_attributes attributes = test_attributes(WIDTH);
    attune_rows *rows = NULL;
    uint64_t state = 7;
    float vector[WIDTH];
    attributes.root = root;
    attributes.labels = labels;
    attributes.clip_start = attributes.clip_seconds = 0;
    assert_ok(attune_rows_create(&rows, WIDTH));
    for (size_t i = 0; i < ROWS; i++) {
        char path[64];
        attune_labels label = ATTUNE_NO_LABELS;
        label.artist_id = i % 11 == 0 ? -1 : (int32_t)(i / 12);
        fill_vector(vector, &state, i);
        snprintf(path, sizeof(path), "%sfolder %02zu/%04zu.mp3", backwards ? "z" : "", i / 9,
                 backwards ? ROWS - i : i);
        const bool odd = !backwards && i % 70 == 20 && i / 70 < sizeof(names) / sizeof(*names);
        const attune_row row = {
            .path = odd ? names[i / 70] : path,
            .status = i % 50 == 49 ? ATTUNE_TRACK_CANNOT_DECODE : ATTUNE_TRACK_OK,
            .error = i % 50 == 49 ? "broken" : "",
            .duration = 0.4 + (double)i,
            .embedding = i % 50 == 49 ? NULL : vector,
            .labels = &label,
        };
        assert_ok(attune_rows_append(rows, &row));
    }
    if (!backwards) {
        assert_ok(attune_rows_sort(rows));
    }
    write_rows(file, &attributes, rows);
    attune_rows_free(rows);
}

Test(nearest, is_what_numpy_finds, .timeout = 240)
{
    attune = prepare_command();
    if (run_command("/usr/bin/python3 -c 'import h5py, numpy' 2>/dev/null") != 0) {
        skip_test("python3-h5py is not installed");
    }
    write_output("out.h5", "/music", true, false);
    cr_assert_eq(run_command(CHECK_NEAREST " '%s'", attune), 0);
}

Test(nearest, finds_rows_in_any_order)
{
    attune = prepare_command();
    write_output("back.h5", "/music", false, true);
    nearest(0, "", "back.h5 'zfolder 00/0599.mp3' 'zfolder 66/0002.mp3' -k 700");
    cr_assert_eq(run_command("test $(wc -l <out) = %d && ! grep -e /0599 -e /0002 out",
                             ROWS - ROWS / 50 - 2),
                 0);
}

/* A row is found by where its file lies: in sorted rows without reading all of them, one of which
 * is damaged here; in others by going through them. */
Test(nearest, finds_rows_by_their_files)
{
    attune = prepare_command();
    char *root = realpath(".", NULL);
    cr_assert_not_null(root);
    write_output("out.h5", root, false, false);
    write_output("back.h5", root, false, true);
    cr_assert_eq(
        run_command("mkdir 'folder 40' 'zfolder 40' && touch 'folder 40/0363.mp3' "
                    "'zfolder 40/0237.mp3' && LC_ALL=C sed -i 's,12/0110,12/011x,' out.h5"),
        0);
    nearest(65, "out.h5", "out.h5 'folder 12/0110.mp3'");
    nearest(0, "", "out.h5 \"$PWD/folder 40/0363.mp3\" -k 1");
    cr_assert_eq(run_command("grep -q 'folder 40/0364.mp3' out"), 0);
    nearest(0, "", "back.h5 \"$PWD/zfolder 40/0237.mp3\" -k 1");
    cr_assert_eq(run_command("grep -q 'zfolder 40/0236.mp3' out"), 0);
    free(root);
}

Test(nearest, writes_files_whole)
{
    attune = prepare_command();
    write_output("out.h5", "/music", false, false);
    write_file("mine.m3u8", "mine", 4);
    nearest(73, "mine.m3u8: exists", "out.h5 'no folder, no dot' --m3u -o mine.m3u8");
    cr_assert_eq(run_command("grep -qx mine mine.m3u8 && cp out.h5 copy.h5"), 0);
    nearest(73, "out.h5: is an attune output", "out.h5 'no folder, no dot' --m3u -o out.h5 -f");
    nearest(73, "there is no folder", "out.h5 'no folder, no dot' --html no/page.html -o lines");
    cr_assert_eq(run_command("cmp out.h5 copy.h5"), 0);
    nearest(0, "", "out.h5 'no folder, no dot' --m3u -o mine.m3u8 -f -k 2");
    cr_assert_eq(run_command("test ! -s out && head -1 mine.m3u8 | grep -qx '#EXTM3U' && "
                             "test $(wc -l <mine.m3u8) = 5 && ! ls -A | grep tmp"),
                 0);
    check_command(74, "short: cannot write: File too large",
                  "sh -c 'ulimit -f 8; %s nearest out.h5 \"no folder, no dot\" -k 500 -o short'",
                  attune);
    cr_assert_eq(run_command("! ls -A | grep -e short -e tmp"), 0);
    if (access("/dev/full", W_OK) == 0) {
        cr_assert_eq(run_command("%s nearest out.h5 'no folder, no dot' >/dev/full 2>err", attune),
                     74);
    }
}

Test(nearest, clips_and_archives_in_playlists)
{
    attune = prepare_command();
    const attune_store_attributes attributes = test_attributes(1); /* a clip of 30 s */
    attune_rows *rows = NULL;
    const float vector[1] = {1};
    cr_assert_eq(run_command("printf PK >music.zip"), 0);
    assert_ok(attune_rows_create(&rows, 1));
    char *inside = temporary_path("music.zip/b.mp3");
    for (int i = 0; i < 2; i++) {
        const attune_row row = {
            .path = i == 0 ? inside : "z.mp3", .error = "", .duration = 30, .embedding = vector};
        assert_ok(attune_rows_append(rows, &row));
    }
    write_rows("out.h5", &attributes, rows);
    attune_rows_free(rows);
    free(inside);
    nearest(0, "1 of the 1 tracks are in archives", "out.h5 z.mp3 --m3u");
    cr_assert_eq(run_command("grep -qx '#EXTINF:-1,b' out"), 0);
}

Test(nearest, of_no_numbers_is_refused)
{
    attune = prepare_command();
    const attune_store_attributes attributes = test_attributes(2);
    const float vectors[][2] = {{1, 0}, {NAN, 1}, {0, 1}};
    attune_rows *rows = NULL;
    assert_ok(attune_rows_create(&rows, 2));
    for (int i = 0; i < 3; i++) {
        const char *const names[] = {"a.mp3", "b.mp3", "c.mp3"};
        const attune_row row = {
            .path = names[i], .error = "", .duration = 30, .embedding = vectors[i]};
        assert_ok(attune_rows_append(rows, &row));
    }
    write_rows("out.h5", &attributes, rows);
    attune_rows_free(rows);
    nearest(65, "b.mp3: its embedding is not finite", "out.h5 b.mp3");
}

Test(nearest, mistakes)
{
    attune = prepare_command();
    write_output("out.h5", "/music", false, false);
    static const struct {
        int code;
        const char *text, *arguments;
    } cases[] = {
        {0, "out.h5: no other track keeps the limits", "out.h5 'no folder, no dot' --diversity 2"},
        {64, "--path needs two", "out.h5 --path a"},
        {65, "no embedding: cannot_decode: broken", "out.h5 'folder 05/0049.mp3'"},
        {64, "--path: no folder, no dot and no folder, no dot are the same track",
         "out.h5 --path 'no folder, no dot' 'no folder, no dot'"},
        {78, "out.h5: knows no artists: it was made without --fma-metadata",
         "out.h5 'no folder, no dot' --per-artist 1"},
        {66, "b.mp3: neither a row", "out.h5 'no folder, no dot' b.mp3"},
        {66, "nowhere.h5", "nowhere.h5 a"},
        {78, "is not the model of", "out.h5 out.h5 'no folder, no dot' -m " MODEL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        nearest(cases[i].code, cases[i].text, cases[i].arguments);
    }
}
