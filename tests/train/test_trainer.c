/* test_trainer.c - a run that is stopped, at whichever moment it asks, goes on to the same end; and
 * one whose state has been damaged is refused. */
#include "tests/support/support.h"
#include "train/trainer.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRACKS = 6, RATE = 22050, COUNT = RATE / 2 };

static void make_wav(int i)
{
    static int16_t samples[COUNT];
    char name[24];
    uint64_t seed = (uint64_t)i;
    for (int k = 0; k < COUNT; k++) {
        const double tone = 0.5 * sin(6.283185307 * (200 + 40 * i) * k / RATE);
        samples[k] = (int16_t)(20000 * (i % 2 ? 0.5 * (double)random_uniform(&seed) : tone));
    }
    snprintf(name, sizeof(name), "audio/t%d.wav", i);
    char *path = temporary_path(name);
    write_wav(path, RATE, 1, 16, samples, sizeof(samples));
    free(path);
}

static void make_music(void)
{
    char *manifest = temporary_path("tracks.csv"), table[256] = "id,split,group\n";
    cr_assert_eq(run_command("mkdir -p '%s/audio'", temporary_folder()), 0);
    for (int i = 0; i < TRACKS; i++) {
        make_wav(i);
        snprintf(table + strlen(table), 40, "t%d,%s,%s\n", i, i < 3 ? "train" : "val",
                 i % 2 ? "noise" : "tone");
    }
    write_file(manifest, table, strlen(table));
    free(manifest);
}

/* Says yes once, when it is asked for the last time of `left`. */
static bool should_stop(void *user)
{
    int *left = user;
    return *left > 0 && --*left == 0;
}

/* Two epochs of a small network, stopped when it asks for the time `stop`, if it asks so often;
 * 0: never. */
static attune_status train(attune_train_result *result, const char *name, const char *minutes,
                           bool resume, int stop, bool *stopped)
{
    char *folder = temporary_path(name), *audio = temporary_path("audio"),
         *cache = temporary_path("clips.h5"), *manifest = temporary_path("tracks.csv");
    const char *const given[][2] = {
        {"frame", "256"},        {"hidden", "16"},       {"layers", "1"},
        {"embedding", "4"},      {"seconds", "0.1"},     {"batch", "3"},
        {"keep-seconds", "1"},   {"epochs", "2"},        {"threads", "1"},
        {"plots", "no"},         {"warmup", "1"},        {"choose-by", "group"},
        {"schedule", "plateau"}, {"rate-patience", "1"}, {"average-from", "1"},
        {"minutes", minutes},    {"audio", audio},       {"cache", cache},
        {"manifest", manifest},
    };
    attune_settings settings = {0};
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        assert_ok(attune_settings_set(&settings, given[i][0], given[i][1]));
    }
    attune_settings_complete(&settings, ATTUNE_STAGE_UNLABELLED);
    const attune_train_options options = {.folder = folder, .resume = resume};
    const attune_train_events events = {.should_stop = should_stop, .user = &stop};
    const int wanted = stop;
    const attune_status status =
        attune_train(result, &settings, ATTUNE_STAGE_UNLABELLED, &options, &events);
    *stopped = wanted > 0 && stop == 0;
    free(folder);
    free(audio);
    free(cache);
    free(manifest);
    return status;
}

/* All that is in the files, bit for bit, but times. */
static void assert_same(const char *run, int stop)
{
    const char *folder = temporary_folder();
    cr_assert_eq(
        run_command("cd '%s' && for i in straight %s; do cut -d, -f1-3,5- $i/log.csv >$i.csv; "
                    "done; cmp straight.csv %s.csv && /usr/bin/python3 -c \"import h5py\n"
                    "def read(path):\n"
                    "    all = {}\n"
                    "    def take(name, of):\n"
                    "        all[name] = hasattr(of, 'shape') and of[...].tobytes()\n"
                    "        for key in set(of.attrs) - {'seconds'}:\n"
                    "            all[name, key] = repr(of.attrs[key])\n"
                    "    h5py.File(path, 'r').visititems(take)\n"
                    "    return all\n"
                    "for name in 'last.h5', 'best.h5', 'mean-2.h5':\n"
                    "    a, b = read('straight/' + name), read('%s/' + name)\n"
                    "    assert a == b, (name, {k for k in a if a[k] != b.get(k)})\n"
                    "    assert len(a) > 20, a.keys()\"",
                    folder, run, run, run),
        0, "stopped when asked for the time %d", stop);
}

Test(trainer, goes_on_from_wherever_it_was_stopped, .timeout = 240)
{
    attune_train_result straight, result;
    bool stopped = true;
    int stop = 1;
    make_music();
    assert_ok(train(&straight, "straight", "0", false, 0, &stopped));
    cr_assert_eq(straight.epochs, 2);
    for (stopped = true; stopped; stop++) {
        char name[32];
        bool again = false;
        snprintf(name, sizeof(name), "run%d", stop);
        const attune_status status = train(&result, name, "0", false, stop, &stopped);
        cr_assert_eq(status, stopped ? ATTUNE_ESTOPPED : ATTUNE_OK, "%d: %s", stop,
                     attune_last_error());
        assert_ok(train(&result, name, "0", true, 0, &again));
        cr_assert_eq(result.best_epoch, straight.best_epoch);
        cr_assert_eq(result.best_score, straight.best_score);
        assert_same(name, stop);
    }
    cr_assert_gt(stop, 8, "it asks in steps and in validations");
}

Test(trainer, ends_with_its_first_epoch_at_the_earliest)
{
    attune_train_result result;
    bool stopped;
    make_music();
    assert_ok(train(&result, "run", "1e-9", false, 0, &stopped));
    cr_assert_eq(result.epochs, 1);
    cr_assert_eq(result.best_epoch, 1);
}

struct damage {
    char code[120], want[60];
};

ParameterizedTestParameters(trainer, a_damaged_state_is_refused)
{
    static struct damage damages[] = {
        {"s['finished'] = 0.0; s['step'] = 1000.0", "run/last.h5: its step 1000"},
        {"s['step'] = -3.0", "'step' is -3"},
        {"s['step'] = 0.5", "'step' is 0.5"},
        {"s['epoch'] = float('nan')", "'epoch' is nan"},
        {"s['epoch'] = 1e300", "'epoch' is 1e+300"},
        {"s['best_epoch'] = 1e300", "'best_epoch' is 1e+300"},
        {"s['averaged'] = -1.0", "'averaged' is -1"},
        {"s['adamw_steps'] = -1.0", "'adamw_steps' is -1"},
        {"s['all_steps'] = 1e300", "'all_steps' is 1e+300"},
        {"s['rate'] = float('nan')", "'rate' is nan"},
        {"s['seconds'] = float('inf')", "'seconds' is inf"},
        {"s['best_score'] = float('nan')", "'best_score' is nan"},
        {"import os; os.replace('other/last.h5', 'run/mean-2.h5')", "another network"},
    };
    return cr_make_param_array(struct damage, damages, sizeof(damages) / sizeof(damages[0]));
}

ParameterizedTest(struct damage *damage, trainer, a_damaged_state_is_refused)
{
    attune_train_result result;
    bool stopped;
    make_music();
    assert_ok(train(&result, "run", "0", false, 0, &stopped));
    cr_assert_eq(
        run_command("cd '%s' && mkdir other && \"$ATTUNE_COMMAND\" train --unlabelled audio "
                    "--manifest tracks.csv --choose-by group --hidden 32 --seconds 0.1 "
                    "--keep-seconds 0.5 --epochs 1 --frame 256 --plots=no -q -o other",
                    temporary_folder()),
        0);
    cr_assert_eq(run_command("cd '%s' && /usr/bin/python3 -c \"import h5py\n"
                             "with h5py.File('run/last.h5', 'r+') as f:\n"
                             "    s = f['state'].attrs\n"
                             "    %s\"",
                             temporary_folder(), damage->code),
                 0);
    cr_assert_eq(train(&result, "run", "0", true, 0, &stopped), ATTUNE_EDATA, "%s", damage->code);
    cr_assert(strstr(attune_last_error(), damage->want), "%s: %s", damage->code,
              attune_last_error());
}
