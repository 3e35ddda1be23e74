/* test_job.c - many files into one output: the same bits whatever the order, the company and the
 * workers. */
#include "tests/engine/fake_batch.h"
#include "tests/engine/job_support.h"
#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The linker puts __wrap_f in the place of f: the system gives this many threads more; -1: any. */
static int threads_left = -1;
typedef void *thread_main(void *argument);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, thread_main *start,
                          void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, thread_main *start,
                          void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, thread_main *start,
                          void *argument)
{
    if (threads_left == 0) {
        return EAGAIN;
    }
    threads_left -= threads_left > 0;
    return __real_pthread_create(thread, attributes, start, argument);
}

static const char *decoder; /* attune_job_options.decoder of the next jobs */

/* On the CPU, or on the fake device if `device` names it; verifies `verify` rows. */
static attune_status run_job_on(const attune_model *model, const char *const *inputs, size_t count,
                                int workers, const char *output, job_result *r, const char *device,
                                uint64_t verify)
{
    attune_job_options options = job_options();
    options.engine.device = device;
    options.decoder = decoder;
    options.workers = workers;
    options.verify = verify;
    options.force = true;
    return run_job_with(options, model, inputs, count, output, r);
}

static attune_status run_job(const attune_model *model, const char *const *inputs, size_t count,
                             int workers, const char *output, job_result *r)
{
    return run_job_on(model, inputs, count, workers, output, r, "cpu", 0);
}

Test(job, same_bits_in_any_order_and_number_of_workers, .timeout = 240)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 21);
    job_result r;
    make_archive();
    const char *folder[] = {"music"};
    assert_ok(run_job(model, folder, 1, 1, "one.h5", &r));
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

Test(job, batch_devices_give_the_rows_of_the_cpu, .timeout = 240)
{
    static const char *const devices[] = {"fake", "fake:1", "fake:1,fake:0", "auto"};
    attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 24);
    const char *folder[] = {"music"};
    job_result r;
    make_archive();
    cr_assert_eq(run_job(model, folder, 1, 2, "cpu.h5", &r), ATTUNE_OK);
    cr_assert_lt(r.progress.busy, 0);
    attune_rows *expected = read_rows("cpu.h5");
    for (size_t d = 0; d < sizeof(devices) / sizeof(devices[0]); d++) {
        fake = (fake_batch){.devices = 2, .memory = (size_t)1 << 28};
        decoder = d % 2 ? getenv("ATTUNE_COMMAND") : NULL;
        assert_ok(run_job_on(model, folder, 1, 4, "fake.h5", &r, devices[d], 5));
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
    job_result r;
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
    job_result r;
    make_archive();
    write_file("music/000.mp3", "no music, and first of all", 26); /* so one row is done */
    fake = (fake_batch){.devices = 1, .memory = (size_t)1 << 26, .fail_after = 1000};
    cr_assert_eq(run_job_on(model, folder, 1, 2, "lost.h5", &r, "fake", 3), ATTUNE_ESTOPPED);
    cr_assert(strstr(attune_last_error(), "fell off the bus"), "%s", attune_last_error());
    cr_assert(strstr(attune_last_error(), "files done"));
    cr_assert(r.progress.done >= 1 && r.progress.done < FILES + 3);
    cr_assert_neq(access("lost.h5", F_OK), 0);
    /* another device goes on from there */
    const uint64_t done = r.progress.done;
    cr_assert_eq(run_job_with(job_options(), model, folder, 1, "lost.h5", &r), ATTUNE_OK);
    cr_assert_eq(r.progress.by_reason[ATTUNE_JOB_KEPT], done);
    cr_assert_eq(r.tracks, FILES + 3 - done);
    cr_assert_eq(run_job(model, folder, 1, 2, "whole.h5", &r), ATTUNE_OK);
    compare_outputs("lost.h5", "whole.h5");
    attune_store *store = NULL;
    cr_assert_eq(attune_store_open(&store, "lost.h5"), ATTUNE_OK);
    const char *devices = attune_store_attributes_of(store)->device;
    cr_assert(strncmp(devices, "fake", 4) == 0 && strstr(devices, "\ncpu "), "%s", devices);
    attune_store_close(store);
    fake = (fake_batch){.devices = 0};
    cr_assert_eq(run_job_on(model, folder, 1, 2, "none.h5", &r, "fake", 0), ATTUNE_ENODEVICE);
    cr_assert_neq(access("none.h5", F_OK), 0);
    attune_model_close(model);
}

Test(job, goes_on_with_the_workers_that_start, .timeout = 60)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 26);
    const char *folder[] = {"music"};
    job_result r;
    make_archive();
    threads_left = 1;
    assert_ok(run_job(model, folder, 1, 4, "one.h5", &r));
    cr_assert_eq(r.tracks, FILES + 2);
    assert_fails(run_job(model, folder, 1, 4, "none.h5", &r), ATTUNE_ENOMEM,
                 "cannot start a thread");
    cr_assert_eq(r.tracks, 0);
    cr_assert_eq(run_command("test ! -e none.h5 && test ! -e none.h5.parts"), 0);
    attune_model_close(model);
}

/* Also of a run that ends before five calls a second would be due. */
Test(job, progress_is_reported_when_all_is_done)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 24);
    const char *folder[] = {"music"};
    job_result r;
    make_archive();
    for (int dry = 1; dry >= 0; dry--) {
        attune_job_options options = job_options();
        options.dry_run = dry;
        cr_assert_eq(run_job_with(options, model, folder, 1, "o.h5", &r), ATTUNE_OK);
        cr_assert_eq(r.last.done, dry ? 0 : FILES + 2);
        cr_assert_eq(r.last.uncommitted, 0);
        cr_assert_eq(memcmp(r.last.by_reason, r.progress.by_reason, sizeof(r.last.by_reason)), 0);
    }
    attune_model_close(model);
}

/* Settings that are zero mean the defaults; bad ones are told once and not for every file. */
Test(job, settings_are_looked_at_first)
{
    static const attune_audio_options bad[] = {
        {.clip_start = -1}, {.clip_seconds = NAN}, {.timeout_seconds = -1}};
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 25);
    const char *folder[] = {"music"};
    job_result r;
    make_archive();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        attune_job_options options = job_options();
        options.audio = bad[i];
        cr_assert_eq(run_job_with(options, model, folder, 1, "o.h5", &r), ATTUNE_EINVAL);
        cr_assert_eq(r.tracks, 0);
        cr_assert_eq(run_command("test ! -e o.h5 && test ! -e o.h5.parts"), 0);
    }
    attune_job_options options = job_options();
    options.engine = (attune_engine_options){.device = "cpu"};
    cr_assert_eq(run_job_with(options, model, folder, 1, "o.h5", &r), ATTUNE_OK);
    options.engine = (attune_engine_options){0};
    cr_assert_eq(run_job_with(options, model, folder, 1, "o.h5", &r), ATTUNE_OK);
    options = job_options();
    cr_assert_eq(run_job_with(options, model, folder, 1, "o.h5", &r), ATTUNE_OK);
    cr_assert_eq(r.tracks, 0, "the output is not known again");
    attune_model_close(model);
}

Test(job, output_that_cannot_be_is_found_out_first)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, 23);
    const char *folder[] = {"music"};
    job_result r;
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
