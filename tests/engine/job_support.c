/* job_support.c - a small archive, jobs over it, and their rows. */
#include "tests/engine/job_support.h"

#include "engine/job.h"
#include "tests/engine/fake_batch.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void write_noise(const char *path, size_t count, uint64_t seed)
{
    int16_t *samples = malloc(count * sizeof(*samples));
    cr_assert_not_null(samples);
    for (size_t i = 0; i < count; i++) {
        samples[i] = (int16_t)(random_uniform(&seed) * 20000);
    }
    write_wav(path, 22050, 1, 16, samples, count * sizeof(*samples));
    free(samples);
}

void make_archive(void)
{
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("mkdir music"), 0);
    for (int i = 0; i < FILES; i++) {
        char name[64];
        snprintf(name, sizeof(name), "music/%02d.wav", i);
        write_noise(name, i == 3 ? 1000 : 3000 + 9000 * (size_t)((i * 7) % FILES), (uint64_t)i);
    }
    write_file("music/broken.mp3", "this is no music", 16);
    write_file("music/empty.flac", "", 0);
}

static void on_track(void *user, const char *name, const attune_track *track)
{
    cr_assert(name && track);
    ((job_result *)user)->tracks++;
}

static bool on_progress(void *user, const attune_job_progress *progress)
{
    cr_assert(progress->done <= progress->files);
    ((job_result *)user)->last = *progress;
    return ((job_result *)user)->tracks > 1000000;
}

static void on_plan(void *user, const char *path, attune_job_reason reason)
{
    cr_assert(path[0] == '/' && reason != ATTUNE_JOB_KEPT);
    ((job_result *)user)->plans++;
}

attune_job_options job_options(void)
{
    attune_job_options options;
    attune_job_options_default(&options);
    options.engine.device = "cpu";
    options.workers = 2;
    return options;
}

attune_status run_job_with(attune_job_options options, const attune_model *model,
                           const char *const *inputs, size_t count, const char *output,
                           job_result *result)
{
    attune_scan *scan = NULL;
    *result = (job_result){0};
    cr_assert_eq(attune_scan_create(&scan), ATTUNE_OK);
    for (size_t i = 0; i < count; i++) {
        assert_ok(attune_scan_add(scan, inputs[i]));
    }
    cr_assert_eq(attune_scan_finish(scan), ATTUNE_OK);
    options.model = model;
    options.scan = scan;
    options.output = output;
    options.command = "test";
    options.on_track = options.on_track ? options.on_track : on_track;
    options.on_plan = on_plan;
    options.on_progress = options.on_progress ? options.on_progress : on_progress;
    options.user = result;
    attune_status status = attune_job_run_with(&options, &result->progress, fake_batch_kernels());
    attune_scan_free(scan);
    return status;
}

attune_rows *read_rows(const char *path)
{
    attune_store *store = NULL;
    attune_rows *rows = NULL;
    assert_ok(attune_store_open(&store, path));
    cr_assert_eq(attune_rows_create(&rows, E), ATTUNE_OK);
    cr_assert_eq(attune_store_read(store, 0, attune_store_count(store), rows), ATTUNE_OK);
    attune_store_close(store);
    return rows;
}

void compare_rows(attune_row a, attune_row b)
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

void compare_outputs(const char *a, const char *b)
{
    attune_rows *left = read_rows(a), *right = read_rows(b);
    cr_assert_eq(attune_rows_count(left), attune_rows_count(right));
    for (size_t i = 0; i < attune_rows_count(left); i++) {
        compare_rows(attune_rows_get(left, i), attune_rows_get(right, i));
    }
    attune_rows_free(left);
    attune_rows_free(right);
}
