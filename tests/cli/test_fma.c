/* test_fma.c - FMA's commands as a user runs them. */
#include "attune/model.h"
#include "tests/fma/tables.h"
#include "tests/support/command.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The command; the working folder becomes the temporary one, with fma_metadata, and in fma_small
 * tracks 1 to 4, 99134, which the metadata do not have, and a file that is no track. */
static const char *prepare(void)
{
    static const char script[] =
        "import os, wave, random\n"
        "for n in ('000/000001', '000/000002', '000/000003', '000/000004', '099/099134', "
        "'intro'):\n"
        "    os.makedirs(os.path.dirname('fma_small/' + n), exist_ok=True)\n"
        "    w = wave.open('fma_small/' + n + '.mp3', 'wb')\n"
        "    w.setparams((1, 2, 22050, 0, 'NONE', ''))\n"
        "    w.writeframes(random.Random(n).randbytes(20000))\n";
    const char *command = prepare_command();
    setenv("ATTUNE_MODEL", MODEL, 1);
    attune_fma_close(open_synthetic());
    write_file("make.py", script, strlen(script));
    cr_assert_eq(run_command("/usr/bin/python3 make.py"), 0);
    return command;
}

/* Runs `attune ARGUMENTS`: its exit code must be `code`, its messages hold `text`. */
static void attune(const char *command, int code, const char *text, const char *arguments)
{
    check_command(code, text, "%s %s", command, arguments);
}

/* The columns of an output, a line a row. */
static void expect_columns(const char *command, const char *output, const char *expected)
{
    cr_assert_eq(run_command("%s export %s -o - --format csv 2>/dev/null | cut -d, -f1,8-12 >got",
                             command, output),
                 0);
    char *got = read_file("got", NULL);
    cr_assert_str_eq(got, expected);
    free(got);
}

#define HEADER "path,track_id,genre_top,artist_id,album_id,split\n"
#define TRACK1 "000/000001.mp3,1,Top 1,1,1,training\n"
#define TRACK2 "000/000002.mp3,2,Top 1,1,1,training\n"
#define TRACK3 "000/000003.mp3,3,Top 1,1,1,training\n"
#define TRACK4 "000/000004.mp3,4,Top 1,1,2,training\n"
#define OTHERS "099/099134.mp3,-1,,-1,-1,none\nintro.mp3,-1,,-1,-1,none\n"

Test(fma, columns_go_with_the_rows, .timeout = 60)
{
    const char *a = prepare();
    attune(a, 64, "--subset needs --fma-metadata", "embed fma_small -o x.h5 --subset small");
    attune(a, 66, "genres.csv: No such file", "embed fma_small -o x.h5 --fma-metadata fma_small");
    attune(a, 0, "subset small: 4 of 6 files",
           "embed fma_small -o some.h5 --fma-metadata fma_metadata --subset small");
    expect_columns(a, "some.h5", HEADER TRACK1 TRACK2 TRACK3 TRACK4);
    attune(a, 0, "099/099134.mp3: one of the six clips",
           "embed fma_small -o all.h5 --fma-metadata fma_metadata");
    expect_columns(a, "all.h5", HEADER TRACK1 TRACK2 TRACK3 TRACK4 OTHERS);
    attune(a, 0, "2 of 6 files have no track of tracks.csv, and no labels",
           "embed fma_small -o all.h5 --fma-metadata fma_metadata");
    attune(a, 0, "\"event\":\"unlabelled\",\"files\":2,\"all\":6",
           "embed fma_small -o all.h5 --fma-metadata fma_metadata --log-json");
    cr_assert_eq(run_command("%s embed fma_small/000 -o 000.h5 --fma-metadata fma_metadata "
                             "2>err && ! grep -q 'no track of' err",
                             a),
                 0);
    attune(a, 66, "none of its 2 files is named as a track of fma_small is",
           "embed fma_small/099 fma_small/intro.mp3 -o x.h5 --fma-metadata fma_metadata "
           "--subset small");
    attune(a, 0, "", "embed fma_small -o of.h5 --shard 1/2 --fma-metadata fma_metadata");
    attune(a, 0, "", "embed fma_small -o of.h5 --shard 2/2"); /* without */
    attune(a, 0, "6 rows", "merge -o of.h5 of-1-of-2.h5 of-2-of-2.h5");
    attune(a, 0, "6 of them from before", "embed fma_small -o of.h5 --fma-metadata fma_metadata");
    expect_columns(a, "of.h5", HEADER TRACK1 TRACK2 TRACK3 TRACK4 OTHERS);
    attune(a, 0, "", "info of.h5");
    cr_assert_eq(run_command("grep -q '^labels .*track_id' out"), 0);
}

Test(fma, check)
{
    const char *a = prepare();
    attune(a, 64, "what to do is needed, and where", "fma");
    attune(a, 64, "what to do is needed, and where", "fma check");
    attune(a, 66, "nowhere: is not there", "fma check nowhere");
    attune(a, 66, "genres.csv: is a file; name the folder", "fma check fma_metadata/genres.csv");
    attune(a, 66, "is not called fma_small or the like",
           "fma check fma_small/000 --fma-metadata fma_metadata");
    attune(a, 3, "320 tracks, 316 missing, 0 empty", "fma check fma_small");
    attune(a, 3, "2 files of no track", "fma check . --quick");
    attune(a, 3, "", "fma check fma_small --json");
    cr_assert_eq(run_command("/usr/bin/python3 -c \"import json; r = json.load(open('out')); "
                             "assert r['missing'] == 316 and len(r['findings']) == 318\""),
                 0);
    cr_assert_eq(run_command("echo x >fma_small.zip && echo x >fma_small/checksums"), 0);
    attune(a, 3, "320 tracks, 316 missing, 0 empty, 3 damaged", "fma check fma_small");
    attune(a, 3, "320 tracks, 316 missing, 0 empty, 3 damaged",
           "fma check fma_small ../$(basename $PWD)/fma_small/ . fma_small");
    cr_assert_eq(run_command("grep -q 'fma_small/checksums\tline 1 is no SHA-1' out && "
                             "grep -q 'fma_small/checksums\tnames 0 of 4 tracks' out"),
                 0);
}

Test(fma, triplets, .timeout = 60)
{
    static const struct {
        int code;
        const char *text, *arguments;
    } cases[] = {
        {64, "--fma-metadata is needed", "-o x.csv"},
        {64, "no output", "--fma-metadata fma_metadata"},
        {64, "--report needs one to three files", "--report"},
        {64, "files are only for --report", "--fma-metadata fma_metadata -o x.csv y.csv"},
        {64, "which - is not", "--fma-metadata fma_metadata -o - --disjoint tracks"},
        {64, "--of songs: not one of genre, artist, album", "--of songs"},
        {64, "--disjoint : not one of tracks", "--disjoint ''"},
        {64, "--negatives x: neither any nor hierarchy", "--negatives x"},
        {64, "--seed -1: not a number", "--seed -1"},
        {64, "are too many", "--fma-metadata fma_metadata -o x.csv -n 1000000"},
        {64, "-o is given twice", "-o x.csv -o y.csv"},
        {64, "--json is for --report", "--fma-metadata fma_metadata -o x.csv --json"},
        {64, "--report only reads files of triplets; -o is", "--report t.csv -o x.csv"},
        {64, "--disjoint is not for --candidates",
         "--fma-metadata fma_metadata -o x.csv --candidates 5 --disjoint tracks"},
        {64, "320 tracks give 5410240 different threes, not 100000000",
         "--fma-metadata fma_metadata -o x.csv --candidates 100000000"},
        {66, "fma_metadata/tracks.csv: is no folder",
         "--fma-metadata fma_metadata/tracks.csv -o x"},
        {66, "\"\": is no folder", "--fma-metadata '' -o x.csv"},
        {66, "y.csv: No such file", "--report y.csv"},
        {64, "3 triplets leave none for validation",
         "--fma-metadata fma_metadata -o x.csv -n 3 --disjoint tracks"},
        {64, "--per-genre is for triplets of genres",
         "--fma-metadata fma_metadata -o x.csv --of album --per-genre 5"},
        {73, "tracks.csv: is what the triplets are drawn from",
         "--fma-metadata fma_metadata -o fma_metadata/tracks.csv -f"},
        {73, "link.csv: is what the triplets are drawn from",
         "--fma-metadata fma_metadata -o link.csv -f --candidates 5"},
        {65, "genres.csv, line 1", "--report fma_metadata/genres.csv"},
        {0, "400 triplets (360 by top genre, 40 of any three) of 320 tracks -> t.csv",
         "--fma-metadata fma_metadata -o t.csv -n 400"},
        {73, "t.csv", "--fma-metadata fma_metadata -o t.csv -n 400"},
        {0, "", "--fma-metadata fma_metadata -o t.csv -n 400 --disjoint artists -f"},
        {0, "", "--report t-train.csv t-validation.csv t-test.csv"},
        {0, "50 threes to judge -> h.csv", "--fma-metadata fma_metadata -o h.csv --candidates 50"},
    };
    const char *a = prepare();
    cr_assert_eq(symlink("fma_metadata/genres.csv", "link.csv"), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char arguments[300];
        snprintf(arguments, sizeof(arguments), "triplets %s", cases[i].arguments);
        attune(a, cases[i].code, cases[i].text, arguments);
    }
    cr_assert_eq(run_command("! ls x*"), 0);
    cr_assert_eq(run_command("mkdir one && echo mine >one/t-test.csv"), 0);
    attune(a, 73, "one/t-test.csv: exists; --force replaces it",
           "triplets --fma-metadata fma_metadata -o one/t.csv --disjoint tracks");
    cr_assert_eq(run_command("[ \"$(ls one)\" = t-test.csv ] && grep -qx mine one/t-test.csv"), 0);
    cr_assert_eq(run_command("mkdir -p old/t-test.csv && echo mine | tee old/t-train.csv "
                             ">old/t-validation.csv"),
                 0);
    attune(a, 73, "old/t-test.csv",
           "triplets --fma-metadata fma_metadata -o old/t.csv --disjoint tracks -f");
    cr_assert_eq(run_command("grep -qx mine old/t-train.csv && grep -qx mine old/t-validation.csv "
                             "&& [ \"$(ls -A old | wc -l)\" = 3 ]"),
                 0);
    attune(a, 0, "", "triplets --report t.csv --json");
    attune(a, 0, "", "triplets --report t-train.csv t-test.csv --json");
    cr_assert_eq(run_command("/usr/bin/python3 -c \"import json; r = json.load(open('out')); "
                             "assert r['test']['tracks_seen'] == 0 < r['test']['triplets']\""),
                 0);
}

/* Artists of six tracks and albums of three, where make-fma has but two of so few tracks. */
static const char share_artists[] =
    "import csv\n"
    "name = 'fma_metadata/tracks.csv'\n"
    "rows = list(csv.reader(open(name, newline='', encoding='utf-8')))\n"
    "columns = list(zip(rows[0], rows[1]))\n"
    "for i, row in enumerate(rows[3:]):\n"
    "    row[columns.index(('artist', 'id'))] = 7 + i // 6\n"
    "    row[columns.index(('album', 'id'))] = 9 + i // 3\n"
    "csv.writer(open(name, 'w', newline='', encoding='utf-8')).writerows(rows)\n";

/* README's way from the published files to figures, on a folder like FMA's. What it says is
 * compared with what numpy makes of the vectors and Python's csv of the tables (check_fma.py), but
 * for the linear probe and the bootstrap, which tests/eval compares with scikit-learn's and
 * numpy's. */
Test(fma, from_files_to_figures, .timeout = 120)
{
    const char *a = prepare_command();
    if (run_command("ffmpeg -version >/dev/null 2>&1") != 0) {
        skip_test("the ffmpeg command is not installed");
    }
    setenv("ATTUNE_MODEL", attune_model_has_default() ? "" : MODEL, 1);
    write_file("share.py", share_artists, strlen(share_artists));
    cr_assert_eq(run_command(MAKE_FMA " fma --tracks 48 --seconds 2 && cd fma && "
                                      "/usr/bin/python3 ../share.py"),
                 0);
    cr_assert_eq(chdir("fma"), 0);
    attune(a, 0, "48 tracks, 0 missing, 0 empty, 0 damaged", "fma check fma_small");
    attune(a, 0, "48 files (48 ok)",
           "embed fma_small --fma-metadata fma_metadata --subset small -o fma.h5");
    attune(a, 0, "of 48 tracks -> triplets.csv",
           "triplets --fma-metadata fma_metadata -o triplets.csv");
    attune(a, 0, "", "eval fma.h5 --triplets triplets.csv --json");
    cr_assert_eq(run_command(CHECK_FMA " fma_metadata fma.h5 triplets.csv out all"), 0);
    attune(a, 0, "", "eval fma.h5 --triplets triplets.csv --json --split test");
    cr_assert_eq(run_command(CHECK_FMA " fma_metadata fma.h5 triplets.csv out test && mv out said"),
                 0);
    /* labels come from the tables as well as from the output */
    attune(a, 0, "", "embed fma_small -o bare.h5 -q");
    attune(a, 0, "",
           "eval bare.h5 --triplets triplets.csv --json --split test "
           "--fma-metadata fma_metadata");
    cr_assert_eq(run_command("sed 's/bare.h5/fma.h5/' out | cmp - said"), 0);
    attune(a, 0, "", "eval bare.h5 --triplets triplets.csv --csv");
    cr_assert_eq(run_command("! grep -q genre out"), 0);
    /* and all is as it was a second time, wherever it comes from */
    attune(a, 0, "", "triplets --fma-metadata fma_metadata -o again.csv -q");
    cr_assert_eq(run_command("cmp triplets.csv again.csv && rm -r fma_small/*/"), 0);
    attune(a, 3, "48 tracks, 48 missing", "fma check fma_small");
}
