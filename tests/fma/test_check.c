/* test_check.c - trees that lack something, in every way. */
#include "fma/check.h"
#include "tests/fma/tables.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char said[4096];

static void note(void *user, attune_fma_finding finding, const char *path, const char *why)
{
    const size_t length = strlen(said);
    (void)user;
    snprintf(said + length, sizeof(said) - length, "%s %s: %.24s\n",
             attune_fma_finding_name(finding), path, why);
}

/* Checks the tree "t"; the findings must be as given. */
static void expect(const attune_fma *fma, attune_fma_subset subset, bool quick, uint64_t summed,
                   const char *findings)
{
    attune_fma_check check = {.fma = fma, .quick = quick, .on_finding = note};
    said[0] = '\0';
    assert_ok(attune_fma_check_tree(&check, "t", subset));
    cr_assert_str_eq(said, findings);
    cr_assert_eq(check.summed, summed);
}

Test(check, says_what_is_missing_or_damaged)
{
    attune_fma *fma = open_tables(GENRES_HEADER "10,0,0,A,10\n",
                                  TRACKS_HEADER "2,1,1,test,small,A,[10],[10]\n"
                                                "1003,1,1,test,small,A,[10],[10]\n"
                                                "1004,1,1,test,medium,A,[10],[10]\n"
                                                "99134,1,1,test,small,A,[10],[10]\n");
    cr_assert_eq(chdir(temporary_folder()), 0);
    attune_fma_check none = {.fma = fma, .on_finding = note};
    cr_assert_eq(attune_fma_check_tree(&none, "t", ATTUNE_FMA_SMALL), ATTUNE_ENOINPUT);
    cr_assert_eq(run_command("mkdir -p t/000 t/001 t/099 && echo a >t/000/000002.mp3 && "
                             "echo b >t/001/001003.mp3 && echo c >t/099/099134.mp3"),
                 0);
    expect(fma, ATTUNE_FMA_SMALL, false, 0,
           "bad_clip t/099/099134.mp3: known to be short or wit\n");
    expect(fma, ATTUNE_FMA_FULL, false, 0, "missing t/001/001004.mp3: No such file or director\n");
    attune_fma_close(fma);
}

Test(check, compares_sums)
{
    attune_fma *fma =
        open_tables(GENRES_HEADER "10,0,0,A,10\n", TRACKS_HEADER "2,1,1,test,small,A,[10],[10]\n"
                                                                 "3,1,1,test,small,A,[10],[10]\n"
                                                                 "4,1,1,test,medium,A,[10],[10]\n");
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("mkdir -p t/000 && cd t && echo a >000/000002.mp3 && "
                             "echo b >000/000003.mp3 && sha1sum 000/* >checksums && "
                             "echo r >README.txt"),
                 0);
    expect(fma, ATTUNE_FMA_SMALL, false, 2, "");
    cr_assert_eq(run_command("echo c >t/000/000003.mp3"), 0);
    expect(fma, ATTUNE_FMA_SMALL, true, 0, "");
    expect(fma, ATTUNE_FMA_SMALL, false, 2, "damaged t/000/000003.mp3: its SHA-1 is 2b66fd261ee\n");
    cr_assert_eq(run_command(": >t/000/000003.mp3 && echo x >t/000/000004.mp3 && "
                             "rm t/000/000002.mp3"),
                 0);
    expect(fma, ATTUNE_FMA_SMALL, false, 0,
           "missing t/000/000002.mp3: No such file or director\n"
           "empty t/000/000003.mp3: zero bytes\n"
           "unknown t/000/000004.mp3: its track is not in this\n");
    cr_assert_eq(run_command("rm t/000/000003.mp3 && mkdir t/000/000003.mp3"), 0);
    expect(fma, ATTUNE_FMA_SMALL, false, 0,
           "missing t/000/000002.mp3: No such file or director\n"
           "damaged t/000/000003.mp3: is no file\n"
           "unknown t/000/000004.mp3: its track is not in this\n");
    cr_assert_eq(run_command("rmdir t/000/000003.mp3 && : >t/000/000003.mp3"), 0);
    cr_assert_eq(run_command("mv t/000/000004.mp3 t/000004.mp3 && rm t/000/*"), 0);
    expect(fma, ATTUNE_FMA_MEDIUM, true, 0,
           "missing t/000/000002.mp3: No such file or director\n"
           "missing t/000/000003.mp3: No such file or director\n"
           "missing t/000/000004.mp3: No such file or director\n"
           "unknown t/000004.mp3: is not where its track s\n");
    attune_fma_close(fma);
}

/* A list that is damaged itself: each bad line is said, and the others are compared. */
Test(check, goes_on_behind_a_bad_line)
{
    attune_fma *fma =
        open_tables(GENRES_HEADER "10,0,0,A,10\n", TRACKS_HEADER "2,1,1,test,small,A,[10],[10]\n"
                                                                 "3,1,1,test,small,A,[10],[10]\n");
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("mkdir -p t/000 && cd t && echo a >000/000002.mp3 && "
                             "echo b >000/000003.mp3 && sha1sum 000/*2.mp3 >checksums && "
                             "echo rubbish >>checksums && head -c 5000 /dev/zero >>checksums && "
                             "echo >>checksums && sha1sum 000/*3.mp3 >>checksums && "
                             "printf \"$(printf %%05000d 0)\n1\" >>checksums && "
                             "echo c >000/000003.mp3"),
                 0);
    expect(fma, ATTUNE_FMA_SMALL, false, 2,
           "damaged t/checksums: line 2 is no SHA-1 sum a\n"
           "damaged t/checksums: line 3 is no SHA-1 sum a\n"
           "damaged t/000/000003.mp3: its SHA-1 is 2b66fd261ee\n"
           "damaged t/checksums: line 5 is no SHA-1 sum a\n"
           "damaged t/checksums: line 6 is no SHA-1 sum a\n");
    expect(fma, ATTUNE_FMA_SMALL, true, 0, "");
    attune_fma_close(fma);
}

/* A list that is cut off, or names what is no track, or a track by another path. */
Test(check, says_how_many_tracks_a_list_names)
{
    static const struct {
        const char *list, *found;
    } cases[] = {
        {"sha1sum 000/*", ""},
        {"sha1sum ./000/*", ""},
        {":", "damaged t/checksums: names 0 of 2 tracks\n"},
        {"sha1sum 000/*2.mp3 000/*2.mp3 README.txt", "damaged t/checksums: names 1 of 2 tracks\n"},
        {"sha1sum 000/* | sed 's| 000/| |'", "damaged t/checksums: names 0 of 2 tracks\n"},
    };
    attune_fma *fma =
        open_tables(GENRES_HEADER "10,0,0,A,10\n", TRACKS_HEADER "2,1,1,test,small,A,[10],[10]\n"
                                                                 "3,1,1,test,small,A,[10],[10]\n");
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("mkdir -p t/000 && cd t && echo a >000/000002.mp3 && "
                             "echo b >000/000003.mp3 && echo r >README.txt"),
                 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        cr_assert_eq(run_command("cd t && { %s; } >checksums", cases[i].list), 0);
        attune_fma_check check = {.fma = fma, .on_finding = note};
        said[0] = '\0';
        assert_ok(attune_fma_check_tree(&check, "t", ATTUNE_FMA_SMALL));
        cr_assert_str_eq(said, cases[i].found, "%s: %s", cases[i].list, said);
    }
    attune_fma_close(fma);
}

/* What a list names elsewhere is not read. */
Test(check, a_list_leads_nowhere_else)
{
    attune_fma *fma =
        open_tables(GENRES_HEADER "10,0,0,A,10\n", TRACKS_HEADER "2,1,1,test,small,A,[10],[10]\n");
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("echo x >other && mkdir -p t/000 && cd t && echo a >000/000002.mp3 && "
                             "{ sha1sum 000/000002.mp3 ../other $PWD/../other 000/../../other "
                             "\"$PWD/000/000002.mp3\"; } >checksums"),
                 0);
    expect(fma, ATTUNE_FMA_SMALL, false, 1,
           "damaged t/checksums: line 2 is no SHA-1 sum a\n"
           "damaged t/checksums: line 3 is no SHA-1 sum a\n"
           "damaged t/checksums: line 4 is no SHA-1 sum a\n"
           "damaged t/checksums: line 5 is no SHA-1 sum a\n");
    attune_fma_close(fma);
}

Test(check, archives_have_published_sums)
{
    attune_fma_check check = {.on_finding = note};
    cr_assert_eq(chdir(temporary_folder()), 0);
    said[0] = '\0';
    cr_assert_eq(attune_fma_check_archive(&check, "fma_small.zip"), ATTUNE_OK); /* is not there */
    write_file("fma_small.zip", "a\n", 2);
    write_file("other.zip", "a\n", 2);
    cr_assert_eq(attune_fma_check_archive(&check, "other.zip"), ATTUNE_OK);
    cr_assert_str_empty(said);
    cr_assert_eq(attune_fma_check_archive(&check, "fma_small.zip"), ATTUNE_OK);
    cr_assert_str_eq(said, "damaged fma_small.zip: its SHA-1 is 3f786850e38\n");
    cr_assert_eq(check.summed, 1);
}
