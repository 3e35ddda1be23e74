/* test_isolate.c - `attune embed --isolate` when decoders crash, hang, end and ask for too much. */
#include "attune/store.h"
#include "attune/track.h"
#include "tests/support/command.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *prepare(void)
{
    const char *command = prepare_command();
    setenv("ATTUNE_MODEL", MODEL, 1);
    /* Signals are to be what they are, and the hooks need not come first. */
    setenv("ASAN_OPTIONS",
           "verify_asan_link_order=0:handle_segv=0:handle_abort=0:handle_sigfpe=0:"
           "allocator_may_return_null=1",
           1);
    return command;
}

static void make_wav(const char *name, uint64_t seed)
{
    static int16_t samples[200000];
    for (size_t i = 0; i < 200000; i++) {
        samples[i] = (int16_t)(random_uniform(&seed) * 9000);
    }
    write_wav(name, 44100, 2, 16, samples, sizeof(samples));
}

static attune_rows *read_rows(const char *path)
{
    attune_store *store = NULL;
    attune_rows *rows = NULL;
    assert_ok(attune_store_open(&store, path));
    cr_assert_eq(attune_rows_create(&rows, attune_store_attributes_of(store)->embedding),
                 ATTUNE_OK);
    cr_assert_eq(attune_store_read(store, 0, attune_store_count(store), rows), ATTUNE_OK);
    attune_store_close(store);
    return rows;
}

static const struct {
    const char *name;
    attune_track_status status;
    const char *error;
} FILES[] = {
    {"a.wav", ATTUNE_TRACK_OK, ""},
    {"abort.wav", ATTUNE_TRACK_CANNOT_DECODE, "decoder crashed: SIGABRT"},
    {"b.wav", ATTUNE_TRACK_OK, ""},
    {"corrupt.wav", ATTUNE_TRACK_CANNOT_DECODE, "decoder answered with what makes no sense"},
    {"crash.wav", ATTUNE_TRACK_CANNOT_DECODE, "decoder crashed: SIGSEGV"},
    {"crash2.wav", ATTUNE_TRACK_CANNOT_DECODE, "decoder crashed: SIGSEGV"},
    {"endless.wav", ATTUNE_TRACK_CANNOT_DECODE, "xxxxxxxx"},
    {"exit.wav", ATTUNE_TRACK_CANNOT_DECODE, "decoder ended with exit code 9"},
    {"greedy.wav", ATTUNE_TRACK_CANNOT_DECODE, "Cannot allocate memory"},
    {"hang.wav", ATTUNE_TRACK_TIMEOUT, "decoding hung: ended after 1 s more than"},
    {"probe-crash", ATTUNE_TRACK_CANNOT_DECODE, "decoder crashed: SIGFPE"},
    {"z.wav", ATTUNE_TRACK_OK, ""},
};
enum { FILE_COUNT = sizeof(FILES) / sizeof(FILES[0]) };

Test(isolate, each_failure_costs_one_file, .timeout = 120)
{
    const char *attune = prepare();
    cr_assert_eq(run_command("mkdir music"), 0);
    for (int i = 0; i < FILE_COUNT; i++) {
        char name[64];
        snprintf(name, sizeof(name), "music/%s", FILES[i].name);
        make_wav(name, (uint64_t)i);
    }
    cr_assert_eq(run_command("%s embed music/a.wav music/b.wav music/z.wav -o plain.h5 -q", attune),
                 0);
    cr_assert_eq(run_command("LD_PRELOAD=%s %s embed music -o out.h5 --isolate --timeout 1 -q -j 1",
                             HOOKS, attune),
                 3);
    attune_rows *plain = read_rows("plain.h5"), *rows = read_rows("out.h5");
    cr_assert_eq(attune_rows_count(rows), FILE_COUNT);
    for (size_t i = 0, k = 0; i < FILE_COUNT; i++) {
        const attune_row row = attune_rows_get(rows, i);
        cr_assert_str_eq(row.path, FILES[i].name);
        cr_assert_eq(row.status, FILES[i].status, "%s: %s", row.path, row.error);
        cr_assert(strstr(row.error, FILES[i].error), "%s: %s", row.path, row.error);
        cr_assert_eq(row.size, 400044);
        cr_assert_gt(row.mtime_ns, 0);
        if (row.status == ATTUNE_TRACK_OK) {
            const attune_row same = attune_rows_get(plain, k++);
            cr_assert_str_eq(same.path, row.path);
            cr_assert_eq(same.frames, row.frames);
            cr_assert_eq(memcmp(same.embedding, row.embedding, sizeof(float)), 0);
        }
    }
    attune_rows_free(rows);
    attune_rows_free(plain);
    cr_assert_eq(
        run_command("LD_PRELOAD=%s %s embed music/crash.wav -o crash.h5 -q 2>err", HOOKS, attune),
        139, "without --isolate the crash is not there, so the test shows nothing");
}

/* Size and time are the entry's, unpacked, which no other process than its decoder inflates. */
Test(isolate, a_crash_in_a_compressed_entry, .timeout = 60)
{
    const char *attune = prepare();
    make_wav("crash.wav", 1);
    cr_assert_eq(run_command("touch -d 2020-02-02T02:02:02Z crash.wav && TZ=UTC /usr/bin/python3 "
                             "-c 'import zipfile\n"
                             "zipfile.ZipFile(\"a.zip\", \"w\", 8).write(\"crash.wav\")'"),
                 0);
    cr_assert_eq(run_command("LD_PRELOAD=%s %s embed a.zip -o out.h5 --isolate -q", HOOKS, attune),
                 3);
    attune_rows *rows = read_rows("out.h5");
    cr_assert_eq(attune_rows_count(rows), 1);
    const attune_row row = attune_rows_get(rows, 0);
    cr_assert_str_eq(row.path, "a.zip/crash.wav");
    cr_assert_eq(row.status, ATTUNE_TRACK_CANNOT_DECODE);
    cr_assert_str_eq(row.error, "decoder crashed: SIGSEGV");
    cr_assert_eq(row.size, 400044);
    cr_assert_eq(row.mtime_ns, (int64_t)1580608922 * 1000000000);
    attune_rows_free(rows);
}

/* No process outlives the command, however that ends. */
Test(isolate, no_process_is_left, .timeout = 60)
{
    const char *attune = prepare();
    make_wav("hang.wav", 1);
    cr_assert_eq(
        run_command(
            "LD_PRELOAD=%s %s embed hang.wav -o out.h5 --isolate -q & pid=$!; "
            "for i in $(seq 100); do sleep 0.1; child=$(cat /proc/$pid/task/*/children); "
            "test -n \"$child\" && break; done; child=${child%% }; sleep 0.3; kill -KILL $pid; "
            "for i in $(seq 100); do test -e /proc/${child:?}/stat || exit 0; "
            "grep -q ' Z ' /proc/$child/stat && exit 0; sleep 0.1; done; "
            "kill -KILL $child; exit 1",
            HOOKS, attune),
        0);
}

/* Ctrl-C and a scheduler's signal reach every process of the job: the files under way are finished
 * all the same. SIGUSR2, which ends the command, is sent to its decoders only. */
Test(isolate, interrupt_finishes_files_under_way, .timeout = 60)
{
    static const struct {
        const char *signal;
        int code;
    } cases[] = {{"INT", 130}, {"USR1", 75}};
    const char *attune = prepare();
    make_wav("a.wav", 1);
    cr_assert_eq(run_command("mkdir music; for i in $(seq 600); do ln a.wav music/$i.wav; done"),
                 0);
    for (int i = 0; i < 2; i++) {
        const char *name = cases[i].signal;
        cr_assert_eq(
            run_command(
                "setsid env --default-signal=INT %s embed music -o %s.h5 --isolate -j 2 "
                "--log-json 2>err & pid=$!; "
                "for i in $(seq 100); do sleep 0.05; grep -q start err && break; done; "
                "sleep 0.3; kill -USR2 $(cat /proc/$pid/task/*/children) && kill -%s -$pid; "
                "wait $pid",
                attune, name, name),
            cases[i].code);
        cr_assert_eq(run_command("cp $(ls %s.h5.parts/*.h5 | head -n 1) part.h5", name), 0);
        attune_rows *rows = read_rows("part.h5");
        for (size_t k = 0; k < attune_rows_count(rows); k++) {
            cr_assert_eq(attune_rows_get(rows, k).status, ATTUNE_TRACK_OK, "%s: %s", name,
                         attune_rows_get(rows, k).error);
        }
        attune_rows_free(rows);
    }
}

Test(isolate, the_role_is_not_for_users)
{
    const char *attune = prepare();
    cr_assert_eq(run_command("%s decoder 2>err </dev/null", attune), 64);
}
