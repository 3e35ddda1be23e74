/* test_watch.c - what a run writes, read back by Python; runs that go on; disks that are full. */
#include "tests/support/support.h"
#include "train/watch.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EPOCHS = 3, STEPS = 4 /* of an epoch */, LAST = EPOCHS * STEPS };

static int warnings;
static char warned[1024];

static void note(void *user, const char *message)
{
    (void)user;
    warnings++;
    snprintf(warned, sizeof(warned), "%s", message);
}

static attune_watch_options options(int64_t resume_step, bool plots)
{
    static const char *const step_names[] = {"loss", "accuracy", "learning_rate", NULL};
    static const char *const epoch_names[] = {"train_loss", "val_loss", "accuracy", NULL};
    attune_watch_options made;
    attune_watch_options_default(&made);
    made.step_names = step_names;
    made.epoch_names = epoch_names;
    made.resume_step = resume_step;
    made.resume_within = resume_step % STEPS > 0;
    made.plots = plots;
    made.warn = note;
    return made;
}

/* The rows of steps `first` to `last` of a series, every odd number among them. */
static attune_status write_rows(attune_watch *watch, int64_t first, int64_t last)
{
    static const double odd[] = {0,    1,    -1e-30,     3e30, 1.0 / 3,   NAN,  INFINITY,
                                 -0.0, 1e-9, 12345678.9, 1e10, -INFINITY, 1e-44};
    attune_status status = ATTUNE_OK;
    for (int64_t step = first; step <= last && status == ATTUNE_OK; step++) {
        const int epoch = (int)((step - 1) / STEPS) + 1;
        const double x = odd[step % 13], y = 1 / (double)step;
        status = attune_watch_step(watch, step, epoch, (double[]){y, 1 - y, x});
        if (status == ATTUNE_OK && step % STEPS == 0) {
            const double validation = fabs((double)step - 1.9 * STEPS);
            status = attune_watch_epoch(watch, step, epoch, (double[]){y, validation, odd[epoch]});
        }
    }
    return status;
}

static attune_status open_watch(attune_watch **watch, const char *folder, int64_t resume_step)
{
    const attune_watch_options o = options(resume_step, false);
    return attune_watch_open(watch, folder, &o);
}

/* A run in `folder` from behind `resume_step` to `last`. */
static void run_to(const char *folder, int64_t resume_step, int64_t last)
{
    attune_watch *watch = NULL;
    assert_ok(open_watch(&watch, folder, resume_step));
    assert_ok(write_rows(watch, resume_step < 0 ? 1 : resume_step + 1, last));
    assert_ok(attune_watch_close(watch));
}

static void enter(void)
{
    cr_assert_eq(chdir(temporary_folder()), 0);
}

/* Cuts `bytes` off the end of a file, or as many as it has but `least`. */
static void tear(const char *path, off_t bytes, off_t least)
{
    struct stat info;
    cr_assert_eq(stat(path, &info), 0, "%s", path);
    const off_t size = info.st_size - bytes;
    cr_assert_eq(truncate(path, size < least ? least : size), 0);
}

Test(watch, python_reads_what_it_writes)
{
    enter();
    run_to("run", -1, LAST + 1);
    cr_assert_eq(run_command(CHECK_RUN " run"), 0);
    run_to("short", -1, 2);
    cr_assert_neq(run_command(CHECK_RUN " run short 2>err"), 0); /* it can tell them apart */
    cr_assert_eq(run_command("grep -q 'short differs from run' err && "
                             "head -1 run/log.csv | grep -qx kind,step,epoch,seconds,loss,"
                             "accuracy,learning_rate,train_loss,val_loss"),
                 0);
}

/* A run that was at step `last` when it ended, and goes on from each step before. */
Test(watch, goes_on_as_if_never_interrupted)
{
    enter();
    run_to("whole", -1, LAST);
    char command[2048] = CHECK_RUN " whole";
    for (int resume = 0; resume <= LAST; resume++) {
        char folder[32];
        snprintf(folder, sizeof(folder), "resumed-%d", resume);
        run_to(folder, -1, LAST < resume + 3 ? LAST : resume + 3);
        run_to(folder, resume, LAST);
        snprintf(command + strlen(command), sizeof(command) - strlen(command), " %s", folder);
    }
    cr_assert_eq(run_command("%s", command), 0);
    run_to("five", -1, 5);
    run_to("whole", 5, 5); /* which cuts it */
    cr_assert_eq(run_command(CHECK_RUN " five whole"), 0);
}

/* A checkpoint may stand between an epoch's last step and its row, and the log have that row. */
Test(watch, goes_on_before_an_epochs_row)
{
    const double values[] = {1, 2, 3};
    attune_watch_options o = options(STEPS, false);
    attune_watch *watch = NULL;
    enter();
    run_to("whole", -1, STEPS - 1);
    assert_ok(open_watch(&watch, "whole", STEPS - 1));
    assert_ok(attune_watch_step(watch, STEPS, 1, values));
    assert_ok(attune_watch_close(watch));
    o.resume_within = true;
    cr_assert_eq(run_command("cp -r whole cut"), 0);
    for (int again = 0; again < 2; again++) {
        assert_ok(attune_watch_open(&watch, "cut", &o));
        assert_ok(attune_watch_epoch(watch, STEPS, 1, values));
        assert_ok(attune_watch_close(watch));
    }
    assert_ok(open_watch(&watch, "whole", STEPS - 1));
    assert_ok(attune_watch_step(watch, STEPS, 1, values));
    assert_ok(attune_watch_epoch(watch, STEPS, 1, values));
    assert_ok(attune_watch_close(watch));
    cr_assert_eq(run_command(CHECK_RUN " whole cut && [ $(grep -c epoch cut/log.csv) = 2 ]"), 0);
}

/* Killed processes leave half rows, power cuts also rows of zeros, behind what was flushed. */
Test(watch, goes_on_behind_torn_ends)
{
    static const char *const files[] = {"log.csv", "log.jsonl", "events"};
    enter();
    run_to("whole", -1, LAST);
    char command[4096] = CHECK_RUN " whole", path[256], folder[32];
    const int resume = 6;
    for (int f = 0; f < 3; f++) {
        for (int how = 0; how < 12; how++) {
            snprintf(folder, sizeof(folder), "torn-%d-%d", f, how);
            run_to(folder, -1, resume);
            cr_assert_eq(run_command("cd %s && mv events* events", folder), 0);
            snprintf(path, sizeof(path), "%s/%s", folder, files[f]);
            struct stat flushed, grown;
            cr_assert_eq(stat(path, &flushed), 0);
            cr_assert_eq(run_command("cd %s && mv events events.out.tfevents.1.a.attune", folder),
                         0);
            run_to(folder, resume, resume + 1);
            cr_assert_eq(run_command("cd %s && mv events* events", folder), 0);
            cr_assert_eq(stat(path, &grown), 0);
            if (how < 10) {
                tear(path, 1 + (grown.st_size - flushed.st_size) * how / 10, flushed.st_size);
            } else if (how == 10) {
                tear(path, 10000, flushed.st_size);
                cr_assert_eq(truncate(path, grown.st_size), 0); /* with zeros */
            } else {
                tear(path, 10000, flushed.st_size);
                cr_assert_eq(run_command("printf 'what is\\nthis\\n' >>%s", path), 0);
            }
            cr_assert_eq(run_command("cd %s && mv events events.out.tfevents.1.a.attune", folder),
                         0);
            run_to(folder, resume, LAST);
            snprintf(command + strlen(command), sizeof(command) - strlen(command), " %s", folder);
        }
    }
    cr_assert_eq(warnings, 0, "%s", warned);
    cr_assert_eq(run_command("%s", command), 0);
}

static void refuses(const char *folder, int64_t resume, attune_status expected, const char *text)
{
    attune_watch *watch = NULL;
    const attune_status status = open_watch(&watch, folder, resume);
    cr_assert_eq(status, expected, "%s gives %d: %s", folder, status, attune_last_error());
    cr_assert(strstr(attune_last_error(), text), "%s says \"%s\", not \"%s\"", folder,
              attune_last_error(), text);
    cr_assert_null(watch);
}

Test(watch, refuses_what_it_would_spoil)
{
    enter();
    run_to("run", -1, LAST);
    cr_assert_eq(run_command("cp -r run copy && mkdir half && echo >half/log.jsonl && "
                             "cp -r run columns && sed -i 1s/loss/lost/ columns/log.csv && "
                             "cp -r run csv && sed -i 4s/,/_/ csv/log.csv && "
                             "cp -r run json && sed -i 4s/:/_/ json/log.jsonl && "
                             "cp -r run events && printf x | dd of=$(ls events/ev*) bs=1 seek=300 "
                             "conv=notrunc status=none && touch file && mkdir pipe && "
                             "mkfifo pipe/log.csv"),
                 0);
    refuses("run", -1, ATTUNE_ECREATE, "run/log.csv: exists; go on with that run");
    refuses("half", -1, ATTUNE_ECREATE, "half/log.jsonl: exists");
    refuses("columns", 5, ATTUNE_ECONFIG,
            "columns/log.csv: has other columns than this version writes; move it away");
    refuses("csv", 5, ATTUNE_EDATA, "csv/log.csv: line 4 is damaged");
    refuses("json", 5, ATTUNE_EDATA, "json/log.jsonl: line 4 is damaged");
    refuses("events", 5, ATTUNE_EDATA, ".attune: damaged at byte ");
    refuses("file", -1, ATTUNE_ECREATE, "file: is no folder");
    refuses("no/run", -1, ATTUNE_ECREATE, "no/run: cannot create: No such file");
    refuses("pipe", 5, ATTUNE_ECREATE, "pipe/log.csv: is no file");
    cr_assert_eq(run_command("[ \"$(ls half)\" = log.jsonl ] && diff -r run copy"), 0);
    run_to("anew", 5, LAST); /* checkpoints, and no logs of before */
    cr_assert_eq(warnings, 3);
    cr_assert(strstr(warned, "has no row of before"), "%s", warned);
}

/* What a checkpoint stands behind was durable before it. */
Test(watch, refuses_a_lost_last_row)
{
    static const char *const ways[][3] = {
        {"sed -i '$d' log.csv", "log.csv: the ", " is lost"},
        {"sed -i '$s/^[a-z]*/row/' log.csv", "log.csv: line ", " is damaged"},
        {"truncate -s -1 log.csv", "log.csv: the ", " is lost"},
        {"sed -i '$d' log.jsonl", "log.jsonl: the ", " is lost"},
        {"sed -i '$s/\"kind\":\"/&a/' log.jsonl", "log.jsonl: line ", " is damaged"},
        {"sed -i '$s/kind/kin/' log.jsonl", "log.jsonl: line ", " is damaged"},
        {"truncate -s -1 log.jsonl", "log.jsonl: the ", " is lost"},
        {"truncate -s -1 ev*", ".attune: the events of step ", " are lost"},
        {"truncate -s -4 ev* && printf '\\0\\0\\0\\1' >>$(ls ev*)", ".attune: damaged at byte ",
         "move it"},
    };
    enter();
    for (int last = LAST - 1; last <= LAST; last++) { /* a step's row, and an epoch's */
        for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
            char folder[32];
            snprintf(folder, sizeof(folder), "run-%d-%zu", last, i);
            run_to(folder, -1, last);
            cr_assert_eq(run_command("cd %s && %s", folder, ways[i][0]), 0);
            refuses(folder, last, ATTUNE_EDATA, ways[i][1]);
            cr_assert(strstr(attune_last_error(), ways[i][2]), "%s", attune_last_error());
        }
    }
    cr_assert_eq(warnings, 0, "%s", warned);
}

/* ... and then, killed before the next checkpoint, once more. */
Test(watch, goes_on_without_what_was_moved_away)
{
    static const char *const files[] = {"log.csv", "log.jsonl", "ev*"};
    enter();
    for (int f = 0; f < 3; f++) {
        char folder[32];
        snprintf(folder, sizeof(folder), "run-%d", f);
        run_to(folder, -1, 6);
        cr_assert_eq(run_command("rm %s/%s", folder, files[f]), 0);
        run_to(folder, 6, 6);
        run_to(folder, 6, 8);
        run_to(folder, 6, 8);
        run_to(folder, 8, LAST);
        cr_assert_eq(run_command("[ $(wc -l <%s/log.csv) = %d ]", folder, f == 0 ? 9 : 16), 0);
    }
}

Test(watch, refuses_rows_out_of_order_and_bad_names)
{
    static const char *const bad[] = {"",
                                      "a,b",
                                      "Loss",
                                      "a b",
                                      "a/b",
                                      "\xc3\xa9",
                                      "a123456789012345678901234567890123456789012345"};
    const double values[3] = {0};
    attune_watch *watch = NULL;
    enter();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        attune_watch_options o = options(-1, false);
        o.epoch_names = (const char *const[]){bad[i], NULL};
        cr_assert_eq(attune_watch_open(&watch, "bad", &o), ATTUNE_EINVAL, "\"%s\"", bad[i]);
        cr_assert_null(watch);
    }
    cr_assert_neq(access("bad", F_OK), 0);
    assert_ok(open_watch(&watch, "run", -1));
    assert_ok(attune_watch_epoch(watch, 0, 0, values));
    cr_assert_eq(attune_watch_epoch(watch, 0, 0, values), ATTUNE_EINVAL);
    cr_assert_eq(attune_watch_step(watch, 0, 0, values), ATTUNE_EINVAL);
    assert_ok(attune_watch_step(watch, 3, 1, values));
    cr_assert_eq(attune_watch_step(watch, 3, 1, values), ATTUNE_EINVAL);
    cr_assert_eq(attune_watch_epoch(watch, 2, 1, values), ATTUNE_EINVAL);
    assert_ok(attune_watch_epoch(watch, 3, 1, values));
    assert_ok(attune_watch_close(watch));
    cr_assert_eq(run_command(CHECK_RUN " run && [ $(wc -l <run/log.jsonl) = 3 ]"), 0);
    assert_ok(attune_watch_close(NULL));
}

Test(watch, one_process_at_a_time)
{
    attune_watch *watch = NULL;
    enter();
    assert_ok(open_watch(&watch, "run", -1));
    const pid_t other = fork();
    cr_assert_neq(other, -1);
    if (other == 0) {
        attune_watch *second = NULL;
        const bool refused = open_watch(&second, "run", 0) == ATTUNE_ESTOPPED;
        _exit(refused && strstr(attune_last_error(), "another process") ? 0 : 1);
    }
    int how = -1;
    cr_assert_eq(waitpid(other, &how, 0), other);
    cr_assert_eq(how, 0);
    assert_ok(write_rows(watch, 1, LAST));
    assert_ok(attune_watch_close(watch));
    run_to("run", 3, LAST);
}

/* The first write that fails is told, nothing is written behind it, and the run can go on. */
Test(watch, a_full_disk)
{
    struct rlimit old, small;
    enter();
    signal(SIGXFSZ, SIG_IGN);
    run_to("whole", -1, LAST);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    char command[2048] = CHECK_RUN " whole";
    for (int round = 0; round < 8; round++) {
        char folder[32], message[1024];
        attune_watch *watch = NULL;
        snprintf(folder, sizeof(folder), "full-%d", round);
        run_to(folder, -1, 2);
        small = old;
        small.rlim_cur = (rlim_t)(250 + 60 * round);
        assert_ok(open_watch(&watch, folder, 2));
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        const attune_status status = write_rows(watch, 3, LAST);
        snprintf(message, sizeof(message), "%s", attune_last_error());
        const attune_status again = write_rows(watch, LAST + 1, LAST + 1);
        const attune_status closed = attune_watch_close(watch);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
        cr_assert_eq(status, ATTUNE_EIO);
        cr_assert_eq(again, ATTUNE_EIO);
        cr_assert_eq(closed, ATTUNE_EIO);
        cr_assert(strstr(message, ": cannot write: File too large"), "%s", message);
        run_to(folder, 2, LAST);
        snprintf(command + strlen(command), sizeof(command) - strlen(command), " %s", folder);
    }
    cr_assert_eq(run_command("%s", command), 0);
}

static size_t count_pictures(const char *folder)
{
    static const char *const names[] = {"loss.png", "loss.svg", "accuracy.png", "accuracy.svg"};
    size_t count = 0;
    for (int i = 0; i < 4; i++) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        count += access(path, R_OK) == 0;
    }
    return count;
}

/* A run with curves, whose gnuplot is what `path` has. */
static void run_drawing(const char *folder, const char *path)
{
    attune_watch *watch = NULL;
    const attune_watch_options o = options(-1, true);
    if (path) {
        cr_assert_eq(setenv("PATH", path, 1), 0);
    }
    assert_ok(attune_watch_open(&watch, folder, &o));
    assert_ok(write_rows(watch, 1, LAST));
    assert_ok(attune_watch_close(watch));
}

Test(watch, draws_curves)
{
    enter();
    if (run_command("gnuplot --version >gnuplot 2>&1") != 0) {
        skip_test("gnuplot is not installed");
    }
    run_drawing("it's a \"run\"", NULL);
    cr_assert_eq(warnings, 0, "%s", warned);
    cr_assert_eq(count_pictures("it's a \"run\""), 4);
    cr_assert_eq(run_command("cd it*run* && ! ls -A | grep tmp && grep -q 'best: epoch 2' "
                             "loss.svg && grep -q validation loss.svg && "
                             "! grep -q validation accuracy.svg && /usr/bin/python3 -c '\n"
                             "import struct, xml.etree.ElementTree as tree\n"
                             "for name in \"loss\", \"accuracy\":\n"
                             "    data = open(name + \".png\", \"rb\").read()\n"
                             "    assert data[:8] == b\"\\x89PNG\\r\\n\\x1a\\n\"\n"
                             "    assert struct.unpack(\">II\", data[16:24]) == (800, 500)\n"
                             "    tree.parse(name + \".svg\")'"),
                 0);
}

Test(watch, works_without_gnuplot)
{
    enter();
    cr_assert_eq(run_command("mkdir none bad && printf '#!/bin/sh\\nexit 3\\n' >bad/gnuplot && "
                             "chmod +x bad/gnuplot"),
                 0);
    const char *old = strdup(getenv("PATH"));
    run_drawing("run", "none");
    cr_assert_eq(warnings, 1);
    cr_assert(strstr(warned, "run: nothing is drawn: gnuplot is not installed"), "%s", warned);
    run_drawing("other", temporary_path("bad"));
    cr_assert_eq(warnings, 2);
    cr_assert(strstr(warned, "gnuplot failed (exit 3)"), "%s", warned);
    cr_assert_eq(setenv("PATH", old, 1), 0);
    cr_assert_eq(count_pictures("run") + count_pictures("other"), 0);
    cr_assert_eq(run_command(CHECK_RUN " run other"), 0);
}

Test(watch, describes_the_run)
{
    const attune_watch_fact configuration[] = {{"batch", .number = 32},
                                               {"margin", .number = 0.25},
                                               {"music", .text = "m\xffs\xc3\xa9\"\n"},
                                               {0}};
    const attune_watch_fact data[] = {{"tracks.csv", .text = "0123abcd"}, {0}};
    char *const arguments[] = {"attune", "train", "\xfe"};
    attune_watch_description d = {3, arguments, UINT64_MAX, "cpu", "avx2", configuration, data, -1};
    enter();
    cr_assert_eq(attune_watch_describe("no", &d), ATTUNE_ECREATE);
    cr_assert_eq(mkdir("run", 0777), 0);
    assert_ok(attune_watch_describe("run", &d));
    assert_ok(attune_watch_describe("run", &d)); /* begun anew: nothing of before */
    d.resume_step = 70;
    d.seed = 7;
    assert_ok(attune_watch_describe("run", &d));
    json_t *run = json_load_file("run/run.json", 0, NULL);
    json_t *starts = json_object_get(run, "starts"), *last = json_array_get(starts, 1);
    const char *music = NULL, *command = NULL, *hash = NULL, *ffmpeg = NULL, *hdf5 = NULL;
    json_int_t seed = 0, batch = 0, behind = 0;
    double margin = 0;
    cr_assert_eq(json_unpack(run, "{s:I,s:{s:I,s:f,s:s},s:{s:s}}", "seed", &seed, "configuration",
                             "batch", &batch, "margin", &margin, "music", &music, "data",
                             "tracks.csv", &hash),
                 0);
    cr_assert_eq(json_unpack(last, "{s:I,s:[s,s,s],s:s,s:s}", "behind_step", &behind, "command",
                             &hash, &hash, &command, "ffmpeg", &ffmpeg, "hdf5", &hdf5),
                 0);
    cr_assert(seed == 7 && batch == 32 && margin == 0.25 && behind == 70);
    cr_assert_eq(json_array_size(starts), 2);
    cr_assert(json_is_null(json_object_get(json_array_get(starts, 0), "behind_step")));
    cr_assert_str_eq(music, "m\xef\xbf\xbds\xc3\xa9\"\n");
    cr_assert_str_eq(command, "\xef\xbf\xbd");
    cr_assert(strstr(ffmpeg, "libavcodec ") && strncmp(hdf5, "HDF5 1.", 7) == 0);
    json_decref(run);
    write_file("run/run.json", "{", 1);
    cr_assert_eq(attune_watch_describe("run", &d), ATTUNE_EDATA);
    cr_assert(strstr(attune_last_error(), "run/run.json: line 1"), "%s", attune_last_error());
}
