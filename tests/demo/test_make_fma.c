/* test_make_fma.c - tools/make-fma's program; check_fma.py says what a folder of FMA has to be. */
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void enter(void)
{
    cr_assert_eq(chdir(temporary_folder()), 0);
    if (run_command("ffmpeg -version >ffmpeg 2>&1 && ffprobe -version >ffmpeg 2>&1") != 0) {
        skip_test("the ffmpeg command is not installed");
    }
}

Test(make_fma, is_a_folder_like_fmas)
{
    enter();
    cr_assert_eq(run_command(MAKE_FMA " a --tracks 24 --seconds 1 --seed 3"), 0);
    cr_assert_eq(run_command(CHECK_FMA " a 24 1"), 0);
}

Test(make_fma, the_seed_says_everything)
{
    enter();
    cr_assert_eq(run_command(MAKE_FMA " a -n 6 -s 1 -x 3 -j 1 --wav && " MAKE_FMA
                                      " b -n 6 -s 1 -x 3 -j 3 --wav && diff -r a b"),
                 0);
    cr_assert_eq(run_command(MAKE_FMA " c -n 6 -s 1 -x 4 --wav"), 0);
    cr_assert_neq(run_command("cat a/fma_small/*/*.wav >a.all; cat c/fma_small/*/*.wav >c.all; "
                              "cmp -s a.all c.all"),
                  0);
    /* no two tracks are the same */
    cr_assert_eq(
        run_command("[ $(md5sum a/fma_small/*/*.wav | cut -c1-32 | sort -u | wc -l) = 6 ]"), 0);
}

Test(make_fma, goes_on_and_replaces_nothing)
{
    enter();
    cr_assert_eq(run_command(MAKE_FMA " a -n 4 -s 1 --wav && cp -r a b && "
                                      "set -- b/fma_small/*/*.wav && echo mine >\"$1\" && rm $2 && "
                                      "cp a/fma_small/${1#b/fma_small/} other && " MAKE_FMA
                                      " b -n 4 -s 1 --wav && grep -qx mine $1 && mv other $1 && "
                                      "diff -r a b"),
                 0);
    cr_assert_eq(run_command(MAKE_FMA " b -n 5 -s 1 --wav 2>err"), 73);
    cr_assert_eq(run_command("grep -q 'tracks.csv: exists, of other options' err"), 0);
    cr_assert_eq(run_command("diff -r a b"), 0);
}

Test(make_fma, mistakes)
{
    static const char *const bad[] = {"",       "a b",         "a -n 0",
                                      "a -n x", "a -s 1.5",    "a --what",
                                      "a -j 0", "a --seed -1", "a -n 9999999"};
    enter();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        cr_assert_eq(run_command(MAKE_FMA " %s 2>err", bad[i]), 64, "make-fma %s", bad[i]);
        cr_assert_eq(run_command("grep -q '^usage: make-fma FOLDER' err && [ ! -e a ]"), 0);
    }
    cr_assert_eq(run_command(MAKE_FMA " --help >out && grep -q '^usage: make-fma FOLDER' out"), 0);
    cr_assert_eq(run_command("touch file && " MAKE_FMA " file 2>err"), 73);
    cr_assert_eq(run_command(MAKE_FMA " no/such 2>err && grep -q 'no/such: No such file' err"), 73);
    cr_assert_eq(run_command("mkdir bin && printf '#!/bin/sh\\nexit 1\\n' >bin/ffmpeg && "
                             "chmod +x bin/ffmpeg && PATH=$PWD/bin:$PATH " MAKE_FMA
                             " a -n 4 -s 1 2>err"),
                 74);
    cr_assert_eq(run_command("grep -q 'mp3: ffmpeg failed' err && ! find a/fma_small -type f | "
                             "grep ."),
                 0);
}

/* ffmpeg ends with 0 where the disk has no room for the end of a file. */
Test(make_fma, a_file_that_is_cut_short_is_none)
{
    static const char ffmpeg[] = "#!/bin/sh\nfor last; do :; done\ncat >all\n: >\"$last\"\n";
    enter();
    cr_assert_eq(mkdir("bin", 0777), 0);
    write_file("bin/ffmpeg", ffmpeg, strlen(ffmpeg));
    cr_assert_eq(
        run_command("chmod +x bin/ffmpeg && PATH=$PWD/bin:$PATH " MAKE_FMA " a -n 4 -s 1 2>err"),
        74);
    cr_assert_eq(run_command("grep -q 'mp3: cut short; is the disk full?' err && "
                             "! find a/fma_small -name '*.mp3*' | grep ."),
                 0);
}

/* From 48 tracks on there is something to find artists, albums and splits by. */
Test(make_fma, artists_have_more_than_a_track)
{
    static const char ffmpeg[] = "#!/bin/sh\nfor last; do :; done\nexec cat >\"$last\"\n";
    static const char check[] =
        "import collections, csv\n"
        "rows = list(csv.reader(open('a/fma_metadata/tracks.csv', newline='', encoding='utf-8')))\n"
        "columns = list(zip(rows[0], rows[1]))\n"
        "at = {c: columns.index(c) for c in columns}\n"
        "small = [r for r in rows[3:] if r[at['set', 'subset']] == 'small']\n"
        "for what in 'artist', 'album':\n"
        "    tracks = collections.Counter(r[at[what, 'id']] for r in small)\n"
        "    assert set(tracks.values()) == {2}, tracks\n"
        "found = {(r[at['track', 'genre_top']], r[at['set', 'split']]) for r in small}\n"
        "assert len(found) == 8 * 3, found\n";
    enter();
    cr_assert_eq(mkdir("bin", 0777), 0);
    write_file("bin/ffmpeg", ffmpeg, strlen(ffmpeg));
    write_file("check.py", check, strlen(check));
    cr_assert_eq(run_command("chmod +x bin/ffmpeg && PATH=$PWD/bin:$PATH " MAKE_FMA
                             " a -n 48 -s 1 --wav && /usr/bin/python3 check.py"),
                 0);
}
