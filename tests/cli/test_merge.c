/* test_merge.c - `attune merge` and the shards of `attune embed`, as a user runs them. */
#include "tests/store/store_support.h"
#include "tests/support/command.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes every `step`-th of the series' rows from `first` on, `count` in all. */
static void write_output(const char *path, const attune_store_attributes *attributes, size_t first,
                         size_t step, size_t count)
{
    attune_rows *rows = NULL;
    assert_ok(attune_rows_create(&rows, attributes->embedding));
    for (size_t i = 0; i < count; i++) {
        append_test_rows(rows, attributes->embedding, first + i * step, 1);
    }
    write_rows(path, attributes, rows);
    attune_rows_free(rows);
}

/* Runs `attune merge ARGUMENTS`: its exit code must be `code`, its one line hold `text`. */
static void merge(const char *attune, int code, const char *text, const char *arguments)
{
    check_command(code, text, "%s merge %s", attune, arguments);
    char *out = read_file("out", NULL), *err = read_file("err", NULL);
    cr_assert_str_empty(out);
    cr_assert_eq(strcspn(err, "\n") + 1, strlen(err), "merge %s: not one line: %s", arguments, err);
    free(out);
    free(err);
}

static void same(const char *one, const char *other)
{
    cr_assert_eq(run_command("cmp %s %s", one, other), 0, "%s and %s differ", one, other);
}

Test(merge, three_files_give_one)
{
    const char *attune = prepare_command();
    attune_store_attributes attributes = test_attributes(32);
    for (size_t i = 0; i < 3; i++) {
        static const char *const devices[] = {"cuda B", "cuda A", "cuda B"};
        static const char *const dates[] = {"2026-01-02", "2026-01-04", "2026-01-03"};
        char name[16];
        snprintf(name, sizeof(name), "%zu.h5", i);
        attributes.device = devices[i];
        attributes.created = dates[i];
        write_output(name, &attributes, i, 3, i == 2 ? 3000 : 3001);
    }
    attributes.device = "cuda A\ncuda B";
    attributes.created = "2026-01-04";
    merge(attune, 0, "3 files, 9002 rows (3602 with an embedding, 5400 without) -> all.h5",
          "-o all.h5 0.h5 1.h5 2.h5");
    write_output("expected.h5", &attributes, 0, 1, 9002);
    same("all.h5", "expected.h5");
    merge(attune, 0, "-> other.h5", "-o other.h5 2.h5 1.h5 0.h5");
    same("other.h5", "expected.h5");
    merge(attune, 65, "track 00000000.mp3: is in all.h5 and in 0.h5; --last-wins takes the last",
          "-o x.h5 all.h5 0.h5");
    /* over an input, and with duplicates */
    merge(attune, 0, "2 files, 9002 rows", "-o 0.h5 other.h5 0.h5 --last-wins");
    same("0.h5", "expected.h5");
}

Test(merge, refuses_what_does_not_fit)
{
    const char *attune = prepare_command();
    attune_store_attributes attributes = test_attributes(8);
    const struct {
        size_t offset;
        const char *name;
    } texts[] = {
        {offsetof(attune_store_attributes, model_sha256), "model_sha256"},
        {offsetof(attune_store_attributes, network), "network"},
        {offsetof(attune_store_attributes, precision), "precision"},
        {offsetof(attune_store_attributes, root), "root"},
    };
    char text[100];
    write_output("a.h5", &attributes, 0, 1, 5);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        attributes = test_attributes(8);
        *(const char **)((char *)&attributes + texts[i].offset) = "other";
        write_output("b.h5", &attributes, 5, 1, 5);
        snprintf(text, sizeof(text), "b.h5: its %s is other, and that of a.h5 is ", texts[i].name);
        merge(attune, 65, text, "-o x.h5 a.h5 b.h5");
    }
    attributes = test_attributes(8);
    attributes.clip_start = 7;
    write_output("b.h5", &attributes, 5, 1, 5);
    merge(attune, 65, "b.h5: its clip_start is 7, and that of a.h5 is 0.1", "-o x.h5 a.h5 b.h5");
    attributes = test_attributes(8);
    attributes.clip_seconds = 7;
    write_output("b.h5", &attributes, 5, 1, 5);
    merge(attune, 65, "b.h5: its clip_seconds is 7", "-o x.h5 a.h5 b.h5");
    attributes = test_attributes(9);
    write_output("b.h5", &attributes, 5, 1, 5);
    merge(attune, 65, "b.h5: its embeddings have 9 numbers", "-o x.h5 a.h5 b.h5");
    write_file("notes", "mine", 4);
    merge(attune, 65, "notes: not an HDF5 file", "-o x.h5 a.h5 notes");
    merge(attune, 66, "nowhere.h5", "-o x.h5 a.h5 nowhere.h5");
    merge(attune, 73, "notes: exists and is not an attune output", "-o notes a.h5");
    merge(attune, 64, "no output", "a.h5");
    merge(attune, 64, "no input", "-o x.h5");
    cr_assert_eq(run_command("grep -qx mine notes && test ! -e x.h5 && ! ls -A | grep -q tmp"), 0);
}

Test(merge, a_missing_shard_is_noticed)
{
    const char *attune = prepare_command();
    const attune_store_attributes attributes = test_attributes(8);
    write_output("a-1-of-3.h5", &attributes, 0, 1, 5);
    write_output("a-3-of-3.h5", &attributes, 5, 1, 5);
    write_output("a-1-of-1.h5", &attributes, 10, 1, 5);
    write_output("b-of-7.h5", &attributes, 15, 1, 5);
    merge(attune, 66, "a-2-of-3.h5 is missing", "-o x.h5 a-1-of-1.h5 a-3-of-3.h5 a-1-of-3.h5");
    merge(attune, 66, "a-1-of-3.h5 is missing", "-o x.h5 a-3-of-3.h5");
    merge(attune, 66, "a-2-of-3.h5 is missing", "-o x.h5 a-1-of-3.h5");
    merge(attune, 0, "10 rows", "-o x.h5 a-1-of-3.h5 a-3-of-3.h5 --incomplete");
    merge(attune, 0, "10 rows", "-o x.h5 a-1-of-1.h5 b-of-7.h5");
    write_output("a-2-of-3.h5", &attributes, 20, 1, 0);
    merge(attune, 66, "a-3-of-3.h5 is missing", "-o y.h5 a-1-of-3.h5 a-2-of-3.h5");
    merge(attune, 0, "10 rows", "-o x.h5 ./a-1-of-3.h5 ./a-2-of-3.h5 ./a-3-of-3.h5");
    /* one folder, however it is named; and another */
    cr_assert_eq(run_command("mkdir sub && ln -s . link && cp a-2-of-3.h5 sub"), 0);
    merge(attune, 0, "10 rows", "-o x.h5 ./a-1-of-3.h5 link/a-2-of-3.h5 sub/../a-3-of-3.h5");
    merge(attune, 66, "/a-2-of-3.h5 is missing",
          "-o x.h5 ./a-1-of-3.h5 sub/a-2-of-3.h5 a-3-of-3.h5");
}

Test(merge, waits_for_jobs)
{
    const char *attune = prepare_command();
    const attune_store_attributes attributes = test_attributes(8);
    char command[200];
    write_output("a.h5", &attributes, 0, 1, 1);
    merge(attune, 0, "1 file, 1 row (", "-o x.h5 a.h5");
    /* a job that is running */
    snprintf(command, sizeof(command), "flock x.h5.parts/lock %s", attune);
    cr_assert_eq(run_command("ls | grep -q parts"), 1, "a folder of parts is left");
    cr_assert_eq(run_command("mkdir x.h5.parts && cp x.h5 before"), 0);
    write_output("a.h5", &attributes, 0, 1, 2);
    merge(command, 75, "x.h5: another job is writing it", "-o x.h5 a.h5");
    same("x.h5", "before");
    merge(attune, 0, "2 rows", "-o x.h5 a.h5");
    /* a job that has stopped, on an input and on the output */
    cr_assert_eq(run_command("test ! -e x.h5.parts && mkdir a.h5.parts"), 0);
    write_output("a.h5.parts/0-0.h5", &attributes, 5, 1, 5);
    merge(attune, 66, "a.h5 has an unfinished job in ", "-o y.h5 a.h5");
    merge(attune, 66, "a.h5.parts; run it to its end", "-o a.h5 x.h5");
    cr_assert_eq(run_command("test ! -e y.h5 && test ! -e y.h5.parts"), 0);
    merge(attune, 0, "1 file, 2 rows", "-o y.h5 a.h5 --incomplete");
    cr_assert_eq(run_command("test -e a.h5.parts/0-0.h5 && ! ls -d y.h5.parts 2>&-"), 0);
    cr_assert_eq(run_command("rm a.h5.parts/* && touch a.h5.parts/fresh"), 0);
    merge(attune, 66, "a.h5 has an unfinished job in ", "-o y.h5 a.h5");
}

Test(shard, mistakes)
{
    const char *attune = prepare_command();
    static const struct {
        const char *environment, *option;
        int code;
        const char *text;
    } cases[] = {
        {"", "--shard 0/3", 64, "--shard 0/3: not I/N"},
        {"", "--shard 4/3", 64, "--shard 4/3: not I/N"},
        {"", "--shard 3", 64, "--shard 3: not I/N"},
        {"", "--shard 1/", 64, "--shard 1/: not I/N"},
        {"", "--shard /3", 64, "--shard /3: not I/N"},
        {"", "--shard 1/1000000", 64, "not I/N"},
        {"", "--shard 11111111111111111111/1", 64, "not I/N"},
        {"SLURM_ARRAY_TASK_ID=3", "", 78, "give --shard I/N"},
        /* --array=3,5, --array=3-5 and --array=0-6:2: tasks that are not the whole */
        {"SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=3 "
         "SLURM_ARRAY_TASK_MAX=5",
         "", 78, "task 3 of a Slurm array of 2 tasks from 3 to 5"},
        {"SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=3 "
         "SLURM_ARRAY_TASK_MAX=5",
         "", 78, "give --shard I/N"},
        {"SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=0 "
         "SLURM_ARRAY_TASK_MAX=6",
         "", 78, "--array=1-N"},
    };
    unsetenv("SLURM_ARRAY_TASK_ID");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const int code = run_command("%s %s embed . -o a.h5 -m none %s 2>err", cases[i].environment,
                                     attune, cases[i].option);
        char *err = read_file("err", NULL);
        cr_assert_eq(code, cases[i].code, "%s: exit %d: %s", cases[i].option, code, err);
        cr_assert(strstr(err, cases[i].text), "no \"%s\" in %s", cases[i].text, err);
        free(err);
    }
}

/* Shards, given or from Slurm's environment, one without any file, and then the whole: the merged
 * file holds what a single run does. */
Test(shard, shards_merged_are_a_single_run, .timeout = 120)
{
    char *audio = NULL;
    const char *attune = prepare_published(&audio);
    unsetenv("SLURM_ARRAY_TASK_ID");
    cr_assert_eq(run_command("mkdir -p few/sub && cp '%s'/country.mp3 '%s'/fmt_*.mp3 few && "
                             "cp '%s'/fmt_*.ogg '%s'/flac_faulty_06.flac few/sub",
                             audio, audio, audio, audio),
                 0);
    cr_assert_eq(run_command("%s embed few -o all.h5 --clip 1:5 -q", attune), 3);
    cr_assert_eq(run_command("for i in 1 2 3 4 5 6 7; do %s embed few -o m.h5 --clip 1:5 "
                             "--shard $i/7 2>err; c=$?; [ $c = 0 ] || [ $c = 3 ] || exit 1; "
                             "grep -q '()' err && exit 1; done; true",
                             attune),
                 0);
    cr_assert_eq(
        run_command("for i in 0 1 2; do SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_COUNT=3 "
                    "SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=2 %s embed few "
                    "-o s.h5 --clip 1:5 -q; c=$?; [ $c = 0 ] || [ $c = 3 ] || exit 1; done",
                    attune),
        0);
    merge(attune, 0, "7 files, ", "-o m.h5 m-*-of-7.h5");
    merge(attune, 0, "3 files, ", "-o s.h5 s-*-of-3.h5");
    for (const char *const *name = (const char *const[]){"m.h5", "s.h5", NULL}; *name; name++) {
        attune_store *whole = NULL, *merged = NULL;
        assert_ok(attune_store_open(&whole, "all.h5"));
        assert_ok(attune_store_open(&merged, *name));
        const uint64_t count = attune_store_count(whole);
        cr_assert(count > 3 && attune_store_count(merged) == count, "%s", *name);
        cr_assert_str_eq(attune_store_attributes_of(merged)->root,
                         attune_store_attributes_of(whole)->root);
        attune_rows *rows[2] = {NULL, NULL};
        for (size_t i = 0; i < 2; i++) {
            assert_ok(attune_rows_create(&rows[i], 32));
            assert_ok(attune_store_read(i ? merged : whole, 0, count, rows[i]));
        }
        for (uint64_t i = 0; i < count; i++) {
            const attune_row one = attune_rows_get(rows[0], i), other = attune_rows_get(rows[1], i);
            cr_assert_str_eq(one.path, other.path);
            cr_assert_str_eq(one.error, other.error);
            cr_assert(one.status == other.status && one.mtime_ns == other.mtime_ns);
            cr_assert(memcmp(one.embedding, other.embedding, 32 * sizeof(float)) == 0, "%s",
                      one.path);
        }
        attune_rows_free(rows[0]);
        attune_rows_free(rows[1]);
        attune_store_close(whole);
        attune_store_close(merged);
    }
    free(audio);
}
