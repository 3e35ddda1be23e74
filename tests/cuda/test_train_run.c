/* test_train_run.c - a whole training on CUDA without a device: attune_train with the emulated
 * device under the stand-in runtime. That it learns, says which device it was, goes on where it
 * stopped to the same bits, and stays on its device. */
#include "tests/cuda/stand_in.h"
#include "tests/support/support.h"
#include "train/trainer.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRACKS = 4, RATE = 22050, COUNT = RATE / 4 };

/* Files of raw PCM with a header: even ones are tones, odd ones noise. */
static void make_wav(int i)
{
    static int16_t samples[COUNT];
    char name[16];
    uint64_t seed = (uint64_t)i;
    for (int k = 0; k < COUNT; k++) {
        const double tone = 0.5 * sin(6.283185307 * (200 + 40 * i) * k / RATE);
        samples[k] = (int16_t)(20000 * (i % 2 ? 0.5 * (double)random_uniform(&seed) : tone));
    }
    snprintf(name, sizeof(name), "t%d.wav", i);
    char *path = temporary_path(name);
    write_wav(path, RATE, 1, 16, samples, sizeof(samples));
    free(path);
}

/* Stops after a step where it is wanted. */
typedef struct listener {
    bool wants, stepped;
} listener;

static void on_step(void *user, const attune_train_progress *progress)
{
    (void)progress;
    ((listener *)user)->stepped = true;
}

static bool should_stop(void *user)
{
    const listener *l = user;
    return l->wants && l->stepped;
}

/* Trains into `run` on a device; to the end, or for a step. */
static attune_status train(const char *run, const char *device, bool resume, bool stops)
{
    static const char *const given[][2] = {
        {"frame", "256"},    {"hidden", "16"},   {"layers", "1"},    {"network", "gru"},
        {"pooling", "last"}, {"embedding", "4"}, {"seconds", "0.1"}, {"batch", "2"},
        {"epochs", "1"},     {"threads", "1"},   {"plots", "no"},
    };
    attune_settings settings = {0};
    char *folder = temporary_path(run), *triplets = temporary_path("triplets.csv");
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        cr_assert_eq(attune_settings_set(&settings, given[i][0], given[i][1]), ATTUNE_OK);
    }
    attune_settings_set(&settings, "device", device);
    attune_settings_set(&settings, "audio", temporary_folder());
    attune_settings_set(&settings, "triplets", triplets);
    attune_settings_set(&settings, "validation-triplets", triplets);
    attune_settings_complete(&settings, ATTUNE_STAGE_SYNTHETIC);
    const attune_train_options options = {.folder = folder, .resume = resume};
    listener l = {.wants = stops};
    const attune_train_events events = {.on_step = on_step, .should_stop = should_stop, .user = &l};
    attune_train_result result;
    stand_in_reset(1);
    machine.is_eager = true;
    const attune_status status =
        attune_train(&result, &settings, ATTUNE_STAGE_SYNTHETIC, &options, &events);
    cr_assert_eq(machine.live, 0);
    free(folder);
    free(triplets);
    return status;
}

static void check_description(void)
{
    size_t size = 0;
    char *path = temporary_path("run/run.json"), *text = read_file(path, &size);
    cr_assert(strstr(text, "\"cuda\"") && strstr(text, "Stand-in") && strstr(text, "cuda:0"), "%s",
              text);
    free(path);
    free(text);
}

Test(train_run, goes_on_to_the_same_bits, .timeout = 240)
{
    char *triplets = temporary_path("triplets.csv");
    static const char text[] = "anchor,positive,negative\nt0,t2,t1\nt1,t3,t0\nt2,t0,t3\n"
                               "t3,t1,t2\n";
    for (int i = 0; i < TRACKS; i++) {
        make_wav(i);
    }
    write_file(triplets, text, strlen(text));
    assert_ok(train("run", "cuda:0", false, false));
    check_description();
    cr_assert_eq(train("stopped", "cuda:0", false, true), ATTUNE_ESTOPPED);
    cr_assert_eq(train("stopped", "cpu", true, false), ATTUNE_ECONFIG, "%s", attune_last_error());
    cr_assert(strstr(attune_last_error(), "device = cuda:0"), "%s", attune_last_error());
    assert_ok(train("stopped", "cuda:0", true, false));
    cr_assert_eq(run_command("cd '%s' && h5diff -q run/last.h5 stopped/last.h5 /parameters && "
                             "h5diff -q run/last.h5 stopped/last.h5 /statistics",
                             temporary_folder()),
                 0);
    cr_assert_eq(train("other", "cuda:1", false, false), ATTUNE_ENODEVICE);
    free(triplets);
}
