/* test_job.c - many files into one output: the same bits whatever the order, the company and the
 * workers. */
#include "attune/job.h"
#include "attune/store.h"

#include "engine/job.h"
#include "tests/engine/fake_batch.h"
#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES = 24, E = 32 };

/* A 16-bit mono WAV of `count` samples of noise at 22,050 Hz. */
static void write_wav(const char *path, size_t count, uint64_t seed)
{
    const uint32_t bytes = (uint32_t)count * 2, rate = 22050;
    uint8_t *wav = malloc(44 + bytes);
    cr_assert_not_null(wav);
    const uint32_t numbers[] = {bytes + 36, 16, 1 | 1 << 16, rate, rate * 2, 2 | 16 << 16, bytes};
    static const int at[] = {4, 16, 20, 24, 28, 32, 40};
    memcpy(wav, "RIFF    WAVEfmt ", 16);
    memcpy(wav + 36, "data", 4);
    for (int i = 0; i < 7; i++) {
        memcpy(wav + at[i], &numbers[i], 4);
    }
    for (size_t i = 0; i < count; i++) {
        const int16_t sample = (int16_t)(random_uniform(&seed) * 20000);
        memcpy(wav + 44 + 2 * i, &sample, 2);
    }
    write_file(path, wav, 44 + bytes);
    free(wav);
}

static void make_archive(void)
{
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("mkdir music"), 0);
    for (int i = 0; i < FILES; i++) {
        char name[64];
        snprintf(name, sizeof(name), "music/%02d.wav", i);
        write_wav(name, i == 3 ? 1000 : 3000 + 9000 * (size_t)((i * 7) % FILES), (uint64_t)i);
    }
    write_file("music/broken.mp3", "this is no music", 16);
    write_file("music/empty.flac", "", 0);
}

typedef struct result {
    uint64_t tracks;
    attune_job_progress progress;
} result;

static void on_track(void *user, const char *name, const attune_track *track)
{
    cr_assert(name && track);
    ((result *)user)->tracks++;
}

static bool on_progress(void *user, const attune_job_progress *progress)
{
    cr_assert(progress->done <= progress->files);
    return ((result *)user)->tracks > 1000000;
}

static const char *decoder; /* attune_job_options.decoder of the next jobs */

/* On the CPU, or on the fake device if `device` names it; verifies `verify` rows. */
static attune_status run_job_on(const attune_model *model, const char *const *inputs, size_t count,
                                int workers, const char *output, result *r, const char *device,
                                uint64_t verify)
{
    attune_scan *scan = NULL;
    attune_job_options options;
    attune_job_options_default(&options);
    *r = (result){0};
    options.engine.device = device;
    options.verify = verify;
    options.decoder = decoder;
    cr_assert_eq(attune_scan_create(&scan), ATTUNE_OK);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(attune_scan_add(scan, inputs[i]), ATTUNE_OK, "%s", attune_last_error());
    }
    cr_assert_eq(attune_scan_finish(scan), ATTUNE_OK);
    options.model = model;
    options.scan = scan;
    options.output = output;
    options.workers = workers;
    options.command = "test";
    options.on_track = on_track;
    options.on_progress = on_progress;
    options.user = r;
    attune_status status = attune_job_run_with(&options, &r->progress, fake_batch_kernels());
    attune_scan_free(scan);
    return status;
}

static attune_status run_job(const attune_model *model, const char *const *inputs, size_t count,
                             int workers, const char *output, result *r)
{
    return run_job_on(model, inputs, count, workers, output, r, "cpu", 0);
}

/* All rows of an output, its embeddings as bytes beside it. */
static attune_rows *read_rows(const char *path)
{
    attune_store *store = NULL;
    attune_rows *rows = NULL;
    cr_assert_eq(attune_store_open(&store, path), ATTUNE_OK, "%s", attune_last_error());
    cr_assert_eq(attune_rows_create(&rows, E), ATTUNE_OK);
    cr_assert_eq(attune_store_read(store, 0, attune_store_count(store), rows), ATTUNE_OK);
    attune_store_close(store);
    return rows;
}

static void compare_rows(attune_row a, attune_row b)
{
    cr_assert_str_eq(a.path, b.path);
    cr_assert_str_eq(a.error, b.error);
    cr_assert_eq(a.status, b.status);
    cr_assert_eq(a.frames, b.frames);
    cr_assert_eq(a.size, b.size);
    cr_assert_eq(a.mtime_ns, b.mtime_ns);
    cr_assert_eq(memcmp(&a.duration, &b.duration, sizeof(double)), 0);
    cr_assert_eq(memcmp(a.embedding, b.embedding, E * sizeof(float)), 0, "%s", a.path);
}

Test(job, same_bits_in_any_order_and_number_of_workers, .timeout = 240)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 21);
    result r;
    make_archive();
    const char *folder[] = {"music"};
    cr_assert_eq(run_job(model, folder, 1, 1, "one.h5", &r), ATTUNE_OK, "%s", attune_last_error());
    cr_assert_eq(r.tracks, FILES + 2);
    cr_assert_eq(r.progress.done, FILES + 2);
    cr_assert_eq(r.progress.by_status[ATTUNE_TRACK_OK], FILES - 1);
    cr_assert_eq(r.progress.by_status[ATTUNE_TRACK_TOO_SHORT], 1);
    cr_assert_eq(r.progress.by_status[ATTUNE_TRACK_EMPTY], 1);
    attune_rows *one = read_rows("one.h5");
    cr_assert_eq(attune_rows_count(one), FILES + 2);
    cr_assert(isnan(attune_rows_get(one, FILES).embedding[0]));
    cr_assert(!isnan(attune_rows_get(one, 3).embedding[0]));

    /* eight workers, files one by one in reverse */
    char names[FILES + 2][64];
    const char *reversed[FILES + 2];
    for (int i = 0; i < FILES; i++) {
        snprintf(names[i], sizeof(names[i]), "music/%02d.wav", FILES - 1 - i);
        reversed[i] = names[i];
    }
    reversed[FILES] = "music/empty.flac";
    reversed[FILES + 1] = "music/broken.mp3";
    cr_assert_eq(run_job(model, reversed, FILES + 2, 8, "eight.h5", &r), ATTUNE_OK);
    attune_rows *eight = read_rows("eight.h5");
    cr_assert_eq(attune_rows_count(eight), FILES + 2);
    for (size_t i = 0; i < FILES + 2; i++) {
        compare_rows(attune_rows_get(one, i), attune_rows_get(eight, i));
    }
    /* each alone */
    for (size_t i = 0; i < FILES; i += 5) {
        const char *alone[] = {reversed[FILES - 1 - i]};
        cr_assert_eq(run_job(model, alone, 1, 1, "alone.h5", &r), ATTUNE_OK);
        attune_rows *rows = read_rows("alone.h5");
        cr_assert_eq(attune_rows_count(rows), 1);
        compare_rows(attune_rows_get(one, i), attune_rows_get(rows, 0));
        attune_rows_free(rows);
    }
    attune_rows_free(one);
    attune_rows_free(eight);
    attune_model_close(model);
}

static bool stop_at_once(void *user, const attune_job_progress *progress)
{
    return user && progress;
}

Test(job, stop_writes_what_is_done)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 22);
    attune_scan *scan = NULL;
    attune_job_options options;
    attune_job_progress progress;
    make_archive();
    for (int i = FILES; i < 60; i++) { /* enough that a fifth of a second does not do */
        cr_assert_eq(run_command("cp music/23.wav music/%03d.wav", i), 0);
    }
    attune_job_options_default(&options);
    cr_assert_eq(attune_scan_create(&scan), ATTUNE_OK);
    cr_assert_eq(attune_scan_add(scan, "music"), ATTUNE_OK);
    cr_assert_eq(attune_scan_finish(scan), ATTUNE_OK);
    options.model = model;
    options.scan = scan;
    options.output = "stopped.h5";
    options.workers = 2;
    options.on_progress = stop_at_once;
    options.user = &options;
    attune_status status = attune_job_run(&options, &progress);
    if (progress.done < progress.files) {
        cr_assert_eq(status, ATTUNE_ESTOPPED);
    }
    attune_rows *rows = read_rows("stopped.h5.partial");
    cr_assert_eq(attune_rows_count(rows), progress.done);
    attune_rows_free(rows);
    attune_scan_free(scan);
    attune_model_close(model);
}

Test(job, batch_devices_give_the_rows_of_the_cpu, .timeout = 240)
{
    static const char *const devices[] = {"fake", "fake:1", "fake:1,fake:0", "auto"};
    attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 24);
    const char *folder[] = {"music"};
    result r;
    make_archive();
    cr_assert_eq(run_job(model, folder, 1, 2, "cpu.h5", &r), ATTUNE_OK);
    cr_assert_lt(r.progress.busy, 0);
    attune_rows *expected = read_rows("cpu.h5");
    for (size_t d = 0; d < sizeof(devices) / sizeof(devices[0]); d++) {
        fake = (fake_batch){.devices = 2, .memory = (size_t)1 << 28};
        decoder = d % 2 ? getenv("ATTUNE_COMMAND") : NULL;
        cr_assert_eq(run_job_on(model, folder, 1, 4, "fake.h5", &r, devices[d], 5), ATTUNE_OK, "%s",
                     attune_last_error());
        cr_assert_eq(fake.opens, d == 1 ? 1 : 2);
        cr_assert_eq(r.tracks, FILES + 2);
        cr_assert_eq(r.progress.verified, 5);
        cr_assert_eq(r.progress.verify_largest, 0.0);
        cr_assert(r.progress.busy >= 0);
        attune_rows *rows = read_rows("fake.h5");
        cr_assert_eq(attune_rows_count(rows), FILES + 2);
        for (size_t i = 0; i < FILES + 2; i++) {
            compare_rows(attune_rows_get(expected, i), attune_rows_get(rows, i));
        }
        attune_rows_free(rows);
    }
    attune_rows_free(expected);
    attune_model_close(model);
}

Test(job, decoder_that_cannot_be_started_ends_the_job)
{
    static const char *const decoders[] = {"/no/such/program", "/dev/null", "/bin/false",
                                           "/bin/cat"};
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 26);
    const char *folder[] = {"music"};
    result r;
    make_archive();
    for (size_t i = 0; i < sizeof(decoders) / sizeof(decoders[0]); i++) {
        decoder = decoders[i];
        cr_assert_eq(run_job(model, folder, 1, 2, "none.h5", &r), ATTUNE_ECONFIG, "%s",
                     attune_last_error());
        cr_assert(strstr(attune_last_error(), decoders[i]), "%s", attune_last_error());
        cr_assert_neq(access("none.h5", F_OK), 0);
    }
    decoder = NULL;
    attune_model_close(model);
}

Test(job, lost_device_keeps_what_is_done, .timeout = 120)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 25);
    const char *folder[] = {"music"};
    result r;
    make_archive();
    write_file("music/000.mp3", "no music, and first of all", 26); /* so one row is done */
    fake = (fake_batch){.devices = 1, .memory = (size_t)1 << 26, .fail_after = 1000};
    cr_assert_eq(run_job_on(model, folder, 1, 2, "lost.h5", &r, "fake", 3), ATTUNE_ESTOPPED);
    cr_assert(strstr(attune_last_error(), "fell off the bus"), "%s", attune_last_error());
    cr_assert(strstr(attune_last_error(), "files done"));
    attune_rows *rows = read_rows("lost.h5.partial");
    cr_assert_eq(attune_rows_count(rows), r.progress.done);
    cr_assert(r.progress.done >= 1 && r.progress.done < FILES + 3);
    attune_rows_free(rows);
    fake = (fake_batch){.devices = 0};
    cr_assert_eq(run_job_on(model, folder, 1, 2, "none.h5", &r, "fake", 0), ATTUNE_ENODEVICE);
    cr_assert_neq(access("none.h5", F_OK), 0);
    attune_model_close(model);
}

Test(job, output_that_cannot_be_is_found_out_first)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 23);
    const char *folder[] = {"music"};
    result r;
    make_archive();
    write_file("notes.h5", "my notes", 8);
    static const char *const outputs[] = {"no/such/folder/o.h5", "music", "notes.h5"};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(run_job(model, folder, 1, 1, outputs[i], &r), ATTUNE_ECREATE, "%s",
                     outputs[i]);
        cr_assert_eq(r.tracks, 0);
        cr_assert(strstr(attune_last_error(), outputs[i]), "%s", attune_last_error());
    }
    size_t size = 0;
    char *kept = read_file("notes.h5", &size);
    cr_assert_eq(size, 8);
    free(kept);
    attune_model_close(model);
}
