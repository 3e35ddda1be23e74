/* `attune train` as a user runs it, on a few seconds of tones: what it writes, that it learns, that
 * it goes on where it stopped to the same bits, and what it refuses. */
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRACKS = 8 };

/* 4 s of 16-bit mono at 22,050 Hz: a low tone, or noise. */
static void make_wav(const char *path, int i)
{
    enum { RATE = 22050, COUNT = 4 * RATE };
    static int16_t samples[COUNT];
    uint64_t seed = (uint64_t)i;
    for (int k = 0; k < COUNT; k++) {
        const double tone = 0.5 * sin(6.283185307 * (200 + 40 * i) * k / RATE);
        samples[k] = (int16_t)(20000 * (i % 2 ? 0.5 * random_uniform(&seed) : tone));
    }
    write_wav(path, RATE, 1, 16, samples, sizeof(samples));
}

/* audio/tN.wav: even ones of low tones and odd ones of noise; triplets.csv and tracks.csv. */
static void make_music(void)
{
    char *triplets = temporary_path("triplets.csv"), *manifest = temporary_path("tracks.csv"),
         text[8192] = "anchor,positive,negative\n", table[2048] = "id,split,group\n";
    cr_assert_eq(run_command("mkdir -p '%s/audio'", temporary_folder()), 0);
    for (int i = 0; i < TRACKS; i++) {
        char name[64];
        snprintf(name, sizeof(name), "audio/t%d.wav", i);
        char *path = temporary_path(name);
        make_wav(path, i);
        free(path);
        snprintf(table + strlen(table), 100, "t%d,%s,%s\n", i, i < 4 ? "train" : "val",
                 i % 2 ? "noise" : "tone");
        for (int k = 1; k < TRACKS; k += 2) {
            snprintf(text + strlen(text), 100, "t%d,t%d,t%d\n", i, (i + 2) % TRACKS,
                     (i + k) % TRACKS);
        }
    }
    write_file(triplets, text, strlen(text));
    write_file(manifest, table, strlen(table));
    free(manifest);
    free(triplets);
}

/* attune train with a small network; stderr goes to errors.txt. */
static int train(const char *arguments)
{
    const char *folder = temporary_folder();
    return run_command("cd '%s' && \"$ATTUNE_COMMAND\" train --frame 512 --hidden 16 --layers 1 "
                       "--embedding 8 --threads 2 --plots=no %s 2>errors.txt",
                       folder, arguments);
}

static const char *errors(void)
{
    char *path = temporary_path("errors.txt");
    size_t size = 0;
    return read_file(path, &size);
}

static bool has_file(const char *name)
{
    return run_command("test -s '%s/%s'", temporary_folder(), name) == 0;
}

static bool are_same(const char *a, const char *b)
{
    const char *folder = temporary_folder();
    return run_command("h5diff -q '%s/%s' '%s/%s' /parameters && h5diff -q '%s/%s' '%s/%s' "
                       "/statistics",
                       folder, a, folder, b, folder, a, folder, b) == 0;
}

#define TRIPLETS "--audio audio --triplets triplets.csv --seconds 2 --batch 4 "
#define UNLABELLED                                                                                 \
    "--unlabelled audio --manifest tracks.csv --choose-by group --seconds 1 --keep-seconds 4 "     \
    "--batch 3 --warmup 2 "

Test(train, learns_triplets)
{
    make_music();
    cr_assert_eq(train(TRIPLETS "--epochs 8 --rate 3e-3 -o run --resume"), 0, "%s", errors());
    const char *files[] = {"run/best.h5",   "run/last.h5",  "run/log.csv",
                           "run/log.jsonl", "run/run.json", "run/clips.h5"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        cr_assert(has_file(files[i]), "%s", files[i]);
    }
    cr_assert(strstr(errors(), "best epoch"), "%s", errors());
    cr_assert(strstr(errors(), "best.h5\nattune: test: "), "%s", errors());
    /* --resume where there is no run begins one, as the file says */
    cr_assert_eq(
        run_command("grep -q '\"behind_step\": null' '%s/run/run.json'", temporary_folder()), 0);
    /* Tones and noise: anything that learns at all tells them apart. */
    cr_assert_eq(
        run_command("cd '%s' && python3 -c \"import csv; "
                    "r=[x for x in csv.DictReader(open('run/log.csv')) if x['kind']=='epoch'];"
                    "assert len(r)==8 and float(r[-1]['train_loss'])<float(r[0]['train_loss'])"
                    " and max(float(x['val_accuracy']) for x in r)>0.9, r\"",
                    temporary_folder()),
        0);
}

struct way {
    char arguments[200];
};

ParameterizedTestParameters(train, goes_on_to_the_same_bits)
{
    static struct way ways[] = {
        {TRIPLETS "--epochs 4"},
        {UNLABELLED "--epochs 4 --gain 6 --average-from 2"},
        {UNLABELLED "--epochs 4 --loss hard --label group --schedule plateau"},
    };
    return cr_make_param_array(struct way, ways, sizeof(ways) / sizeof(ways[0]));
}

ParameterizedTest(struct way *way, train, goes_on_to_the_same_bits)
{
    char arguments[400];
    make_music();
    snprintf(arguments, sizeof(arguments), "%s -o straight", way->arguments);
    cr_assert_eq(train(arguments), 0, "%s", errors());
    /* A time that is over at once ends a run with its first epoch. */
    snprintf(arguments, sizeof(arguments), "%s --threads 1 --minutes 1e-6 -o parts",
             way->arguments);
    cr_assert_eq(train(arguments), 0, "%s", errors());
    cr_assert(strstr(errors(), "--resume with more --minutes goes on"), "%s", errors());
    cr_assert_not(are_same("straight/last.h5", "parts/last.h5"));
    snprintf(arguments, sizeof(arguments), "%s --resume -o parts", way->arguments);
    cr_assert_eq(train(arguments), 0, "%s", errors());
    cr_assert(are_same("straight/last.h5", "parts/last.h5"));
    cr_assert(are_same("straight/best.h5", "parts/best.h5"));
    cr_assert_eq(
        run_command("cd '%s' && for i in straight parts; do cut -d, -f1-3,5-12 $i/log.csv >$i.csv; "
                    "done && cmp straight.csv parts.csv",
                    temporary_folder()),
        0);
}

Test(train, what_it_trained_embeds)
{
    make_music();
    cr_assert_eq(train(UNLABELLED "--epochs 1 -o run"), 0, "%s", errors());
    cr_assert_eq(run_command("cd '%s' && \"$ATTUNE_COMMAND\" export run/best.h5 -o model.onnx && "
                             "\"$ATTUNE_COMMAND\" embed audio --model model.onnx -o out.h5 -q",
                             temporary_folder()),
                 0);
    /* ... and teaches another network, of as many numbers. */
    cr_assert_eq(train(UNLABELLED "--epochs 1 --loss regress --views 1 --teacher out.h5 -o taught"),
                 0, "%s", errors());
    cr_assert_eq(train(UNLABELLED "--embedding 16 --loss regress --teacher out.h5 -o wider"), 65);
    cr_assert(strstr(errors(), "rows of 8 numbers"), "%s", errors());
    /* ... and begins another training, frozen, with its own embeddings as the teacher. */
    cr_assert_eq(train(UNLABELLED "--epochs 1 --from run/best.h5 --freeze --teacher out.h5 "
                                  "-o more"),
                 0, "%s", errors());
    cr_assert_eq(run_command("cd '%s' && h5diff -q run/best.h5 more/last.h5 "
                             "/parameters/cnn_frontend.0.net.0.weight",
                             temporary_folder()),
                 0);
    cr_assert_neq(run_command("cd '%s' && h5diff -q run/best.h5 more/last.h5 "
                              "/parameters/projection.3.weight",
                              temporary_folder()),
                  0);
}

/* A model has no batch normalisation: what training begins with embeds as it did. */
Test(train, a_model_is_unfolded)
{
    make_music();
    cr_assert_eq(train(UNLABELLED "--epochs 2 --rate 1e-2 -o run"), 0, "%s", errors());
    cr_assert_eq(run_command("cd '%s' && \"$ATTUNE_COMMAND\" export run/best.h5 -o first.onnx",
                             temporary_folder()),
                 0);
    cr_assert_eq(train(UNLABELLED "--epochs 1 --rate 1e-9 --weight-decay 0 --freeze "
                                  "--from first.onnx -o again"),
                 0, "%s", errors());
    cr_assert_eq(
        run_command("cd '%s' && \"$ATTUNE_COMMAND\" export again/last.h5 -o second.onnx && "
                    "for i in first second; do \"$ATTUNE_COMMAND\" embed audio -q --model "
                    "$i.onnx -o $i.h5 && \"$ATTUNE_COMMAND\" export $i.h5 -o $i.csv; done && "
                    "python3 -c \"import csv; "
                    "a,b=[[float(r['embedding_%%d'%%k]) for r in csv.DictReader(open(f)) for k in "
                    "range(8)] for f in ('first.csv','second.csv')]; "
                    "d=max(abs(x-y) for x,y in zip(a,b)); assert len(a)==64 and d<1e-4, d\"",
                    temporary_folder()),
        0);
}

/* A configuration whose sections each name their stage's triplets. */
Test(train, sections_name_the_stages_files)
{
    make_music();
    char *human = temporary_path("human.csv"), *configuration = temporary_path("both.toml"),
         *half = temporary_path("half.toml");
    char rows[2048] = "song1,song2,song3,anchor,positive\n";
    for (int i = 0; i < 12; i++) {
        snprintf(rows + strlen(rows), 100, "t%d,t%d,t%d,%d,%d\n", i % TRACKS, (i + 2) % TRACKS,
                 (i + 1) % TRACKS, 1, 2);
    }
    const char *both = "audio = \"audio\"\nseconds = 2\nepochs = 1\nbatch = 2\n"
                       "[synthetic]\ntriplets = [\"triplets.csv\"]\n"
                       "[human]\ntriplets = [\"human.csv\"]\nrate = 1e-5\n",
               *other = "[synthetic]\naudio = \"audio\"\ntriplets = [\"triplets.csv\"]\n"
                        "[human]\ntriplets = [\"human.csv\"]\n";
    write_file(human, rows, strlen(rows));
    write_file(configuration, both, strlen(both));
    write_file(half, other, strlen(other));
    cr_assert_eq(train("-o run both.toml"), 0, "%s", errors());
    cr_assert(has_file("run/synthetic/best.h5") && has_file("run/human/best.h5"), "%s", errors());
    cr_assert(are_same("run/best.h5", "run/human/best.h5"));
    cr_assert_eq(train("-o run --resume both.toml"), 0, "%s", errors());
    cr_assert_eq(train("-o other half.toml"), 64, "%s", errors());
    cr_assert(strstr(errors(), "stage human has no audio"), "%s", errors());
    /* What the second stage cannot do with the first's network is said before the first. */
    cr_assert_eq(run_command("cd '%s' && sed 's/^rate.*/seconds = 0.1/' both.toml >short.toml",
                             temporary_folder()),
                 0);
    cr_assert_eq(train("-o short --frame 4096 short.toml"), 64, "%s", errors());
    cr_assert(strstr(errors(), "seconds: 0.1 are less than a frame"), "%s", errors());
    cr_assert(!has_file("short/synthetic/log.csv"), "the first stage ran for nothing");
    write_file(human, rows, strlen(rows) / 2); /* in the middle of a line */
    cr_assert_eq(train("-o third both.toml"), 65, "%s", errors());
    cr_assert(strstr(errors(), "human.csv, line 6"), "%s", errors());
    cr_assert(!has_file("third/synthetic/log.csv"), "the first stage ran for nothing");
    free(half);
    free(configuration);
    free(human);
}

struct wrong {
    char arguments[160];
    int code;
    char want[60];
};

ParameterizedTestParameters(train, says_what_is_wrong)
{
    static struct wrong wrongs[] = {
        {"", 64, "no output"},
        {"-o run", 64, "no audio"},
        {"-o run --audio audio", 64, "no triplets"},
        {"-o run --unlabelled audio --triplets triplets.csv", 64, "takes no triplets"},
        {UNLABELLED "-o run --audio audio", 64, "--audio is for triplets"},
        {TRIPLETS "-o run --cache=", 64, "option --cache needs a value"},
        {"-o run --unlabelled ''", 64, "option --unlabelled needs a value"},
        {TRIPLETS "-o ''", 64, "option --output needs a value"},
        {"-o run --audio audio --triplets audio", 66, "audio: is a folder; name a CSV file"},
        {"-o run --audio audio --triplets pipe", 64, "pipe: is no regular file"},
        {TRIPLETS "-o run --seconds 0.1 --frame 4096", 64, "seconds: 0.1 are less than a frame"},
        {UNLABELLED "-o audio/t0.wav", 73, "audio/t0.wav: is no folder"},
        {UNLABELLED "-o run --stage human", 64, "--stage is for triplets"},
        {TRIPLETS "-o run --batch 0", 64, "--batch: '0'"},
        {TRIPLETS "-o run --stage third", 64, "--stage third"},
        {TRIPLETS "-o run --nonsense", 64, "nonsense"},
        {TRIPLETS "-o run a.toml b.toml", 64, "b.toml"},
        {TRIPLETS "-o run nothere.toml", 66, "nothere.toml"},
        {"-o run --audio nothere --triplets triplets.csv", 66, "nothere"},
        {"-o run --audio audio --triplets nothere.csv", 66, "nothere.csv"},
        {"-o run --audio audio --triplets missing.csv", 66, "t99"},
        {"-o run --audio audio --triplets audio/t0.wav", 65, "t0.wav"},
        {TRIPLETS "-o /proc/run", 73, "/proc/run"},
        {TRIPLETS "-o run --from audio/t0.wav", 65, "t0.wav"},
        {TRIPLETS "-o run --rate 9 --clip-norm 0 --epochs 60", 0, ""},
        {TRIPLETS "-o run --loss hard", 64, "loss: triplets"},
        {TRIPLETS "-o run --views 3", 64, "views: is of no use"},
        {TRIPLETS "-o run --random-crop", 64, "random-crop: leaves no choice"},
        {TRIPLETS "-o run --freeze", 64, "freeze: wants"},
        {TRIPLETS "-o run --hidden 100", 64, "hidden"},
        {TRIPLETS "-o run --device gpu", 64, "device: 'gpu'"},
        {TRIPLETS "-o run --device auto", 64, "device: 'auto'"},
        {TRIPLETS "-o run --device cuda:0,cuda:1", 64, "device: 'cuda:0,cuda:1'"},
        {TRIPLETS "-o run --device cuda:x", 64, "cuda:x"},
        {TRIPLETS "-o run --device cuda:15", 78, "cuda:15"},
        {UNLABELLED "-o run --loss triplet", 64, "loss: triplet wants"},
        {UNLABELLED "-o run --views 1", 64, "views: 1"},
        {UNLABELLED "-o run --random-crop=no", 64, "random-crop: without"},
        {UNLABELLED "-o run --keep-seconds 0.5", 64, "keep-seconds: 0.5"},
        {UNLABELLED "-o run --label album", 64, "no track has an album"},
        {UNLABELLED "-o run --spare artist", 64, "no track has an artist"},
        {TRIPLETS "-o run --manifest wide.csv --epochs 1", 0, ""},
        {UNLABELLED "-o run --teacher triplets.csv", 65, "triplets.csv"},
        {UNLABELLED "-o run --loss regress", 64, "regress wants a teacher"},
        {UNLABELLED "-o run --loss regress --teacher a.csv --margin 1", 64, "margin: is of no use"},
    };
    return cr_make_param_array(struct wrong, wrongs, sizeof(wrongs) / sizeof(wrongs[0]));
}

ParameterizedTest(struct wrong *wrong, train, says_what_is_wrong)
{
    make_music();
    char *missing = temporary_path("missing.csv");
    const char *text = "anchor,positive,negative\nt0,t2,t99\nt0,t2,t1\n";
    write_file(missing, text, strlen(text));
    /* Tells of a track that is not there, and that no triplet names. */
    char *wide = temporary_path("wide.csv");
    const char *rows = "id,group\nt0,a\nghost,b\n";
    write_file(wide, rows, strlen(rows));
    cr_assert_eq(run_command("mkfifo '%s/pipe'", temporary_folder()), 0);
    const int code = train(wrong->arguments);
    cr_assert_eq(code, wrong->code, "%s: %d: %s", wrong->arguments, code, errors());
    cr_assert(strstr(errors(), wrong->want), "%s: %s", wrong->arguments, errors());
    free(wide);
    free(missing);
}

/* The files that a run opens must not take their places, or they would be given the messages. */
Test(train, runs_with_all_standard_files_closed)
{
    make_music();
    cr_assert_eq(train(UNLABELLED "--epochs 1 -o open"), 0, "%s", errors());
    for (int closed = 1; closed < 8; closed++) {
        char redirections[32];
        snprintf(redirections, sizeof(redirections), "%s%s%s", closed & 1 ? " 0<&-" : "",
                 closed & 2 ? " 1>&-" : "", closed & 4 ? " 2>&-" : "");
        cr_assert_eq(
            run_command("cd '%s' && rm -rf closed && \"$ATTUNE_COMMAND\" train --frame 512 "
                        "--hidden 16 --layers 1 --embedding 8 --threads 2 --plots=no %s "
                        "--epochs 1 -o closed %s",
                        temporary_folder(), UNLABELLED, redirections),
            0);
        cr_assert(are_same("open/last.h5", "closed/last.h5"), "%s", redirections);
        cr_assert_eq(run_command("cd '%s' && for i in open closed; do cut -d, -f1-3,5- "
                                 "$i/log.csv >$i.csv; done; cmp open.csv closed.csv && "
                                 "! grep -aq 'held out' closed/*",
                                 temporary_folder()),
                     0, "%s", redirections);
    }
}

Test(train, a_run_is_not_overwritten_nor_changed)
{
    make_music();
    cr_assert_eq(train(TRIPLETS "--epochs 1 -o run"), 0, "%s", errors());
    cr_assert_eq(train(TRIPLETS "--epochs 1 -o run"), 73);
    cr_assert(strstr(errors(), "--resume"), "%s", errors());
    cr_assert_eq(train(TRIPLETS "--epochs 1 --resume -o run"), 0, "%s", errors());
    /* An earlier version's log, and what is said of it. */
    cr_assert_eq(
        run_command("cd '%s' && sed -i '1s/$/,seconds/;2,$s/$/,/' run/log.csv", temporary_folder()),
        0);
    cr_assert_eq(train(TRIPLETS "--epochs 1 --resume -o run"), 78);
    cr_assert(strstr(errors(), "run/log.csv: has other columns"), "%s", errors());
    cr_assert_eq(run_command("mv '%s/run/log.csv' '%s'", temporary_folder(), temporary_folder()),
                 0);
    cr_assert_eq(train(TRIPLETS "--epochs 1 --resume -o run"), 0, "%s", errors());
    cr_assert_eq(train(TRIPLETS "--epochs 1 --rate 5e-4 --resume -o run"), 78);
    cr_assert(strstr(errors(), "rate = 0.0005"), "%s", errors());
    cr_assert_eq(run_command("cd '%s' && tail -n +3 triplets.csv >t && cp t triplets.csv",
                             temporary_folder()),
                 0);
    cr_assert_eq(train(TRIPLETS "--epochs 1 --resume -o run"), 78, "%s", errors());
    cr_assert(strstr(errors(), "triplets"), "%s", errors());
}
