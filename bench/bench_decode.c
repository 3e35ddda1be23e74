/* bench_decode.c - decoding with libswresample beside decoding with our own filter, by turns.
 *
 *   bench_decode [--turns N] [--model MODEL.onnx] FILE...
 *
 * Of each file: milliseconds of processor time per 30 s of audio either way, medians, and the
 * median of the ratios turn by turn; with a model also the largest difference of a component
 * between the two embeddings, made by the exact network. The last line is over all files. */
#include "attune/attune.h"
#include "bench/bench.h"

#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TURNS_MAX = 99, CHUNK = 1 << 16, E_MAX = 1024 };

/* What one turn over a file gives. */
typedef struct pass {
    double seconds;
    uint64_t samples;
    float embedding[E_MAX]; /* NaN without a network */
} pass;

/* Decoding is one thread's work, and its processor time tells more than the clock on a machine that
 * others use too. */
static double processor_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Decodes a file, and embeds it unless engine is NULL; false when the file has no samples. */
static bool run(pass *p, attune_engine *engine, const char *path, bool fast)
{
    static float samples[CHUNK];
    attune_audio *audio = NULL;
    attune_audio_result result = {0};
    attune_audio_options options;
    size_t count = 0;
    attune_audio_options_default(&options);
    options.fast_resampling = fast;
    const double start = processor_seconds();
    attune_status status = attune_audio_open(&audio, path, &options, &result);
    if (engine) {
        attune_engine_begin(engine);
    }
    do {
        count = 0;
        if (status == ATTUNE_OK && audio) {
            status = attune_audio_read(audio, samples, CHUNK, &count);
        }
        if (status == ATTUNE_OK && engine) {
            status = attune_engine_push(engine, samples, count);
        }
    } while (status == ATTUNE_OK && count > 0);
    attune_audio_close(audio);
    p->seconds = processor_seconds() - start;
    p->samples = result.samples;
    if (status == ATTUNE_OK && engine && p->samples > 0) {
        status = attune_engine_finish(engine, p->embedding, NULL);
    }
    if (status != ATTUNE_OK) {
        fprintf(stderr, "bench_decode: %s\n", attune_last_error());
        exit(70);
    }
    return p->samples > 0;
}

static void measure(const char *path, int turns)
{
    double seconds[2][TURNS_MAX], ratios[TURNS_MAX];
    pass p;
    for (int turn = 0; turn < turns; turn++) {
        for (int i = 0; i < 2; i++) {
            const int fast = (turn + i) % 2;
            run(&p, NULL, path, fast);
            seconds[fast][turn] = p.seconds;
        }
        ratios[turn] = seconds[0][turn] / seconds[1][turn];
    }
    const double thirty = (double)p.samples / 22050 / 30;
    printf("%9.2f %9.2f %7.3f", 1e3 * bench_median(seconds[0], turns) / thirty,
           1e3 * bench_median(seconds[1], turns) / thirty, bench_median(ratios, turns));
}

/* The largest difference of a component, with the exact network both times. */
static double compare(attune_engine *engine, int E, const char *path)
{
    static pass exact, fast;
    double largest = 0;
    if (!run(&exact, engine, path, false) || !run(&fast, engine, path, true)) {
        return NAN;
    }
    for (int e = 0; e < E; e++) {
        largest = fmax(largest, fabs((double)exact.embedding[e] - (double)fast.embedding[e]));
    }
    printf(" %11.2e%s", largest, exact.samples == fast.samples ? "" : "  other length");
    return largest;
}

typedef struct arguments {
    const char *model;
    int turns, first; /* the first file's index */
} arguments;

static bool parse(arguments *a, int argc, char **argv)
{
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'}, {"turns", required_argument, NULL, 't'}, {0}};
    *a = (arguments){.turns = 9};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'm') {
            a->model = optarg;
        } else if (c == 't') {
            a->turns = atoi(optarg);
        } else {
            return false;
        }
    }
    a->first = optind;
    return a->first < argc && a->turns >= 1 && a->turns <= TURNS_MAX;
}

int main(int argc, char **argv)
{
    attune_model *model = NULL;
    attune_engine *engine = NULL;
    arguments a;
    int compared = 0, E = 0;
    double largest = 0, sum = 0;
    if (!parse(&a, argc, argv)) {
        fprintf(stderr, "usage: bench_decode [--turns N] [--model MODEL.onnx] FILE...\n");
        return 64;
    }
    if (a.model) {
        model = bench_model(a.model);
        E = attune_model_network(model)->embedding;
        if (E > E_MAX || attune_engine_open(&engine, model, NULL) != ATTUNE_OK) {
            fprintf(stderr, "bench_decode: no engine for this model\n");
            return 70;
        }
    }
    printf("%9s %9s %7s %11s\n", "exact ms", "fast ms", "ratio", "difference");
    for (int i = a.first; i < argc; i++) {
        pass p;
        if (!run(&p, NULL, argv[i], false)) {
            printf("%40s  %s: no samples\n", "", argv[i]);
            continue;
        }
        measure(argv[i], a.turns);
        const double difference = engine ? compare(engine, E, argv[i]) : NAN;
        printf("  %s\n", argv[i]);
        if (!isnan(difference)) {
            largest = fmax(largest, difference);
            sum += difference;
            compared++;
        }
    }
    if (compared > 0) {
        printf("%d files: largest difference %.2e, mean %.2e\n", compared, largest, sum / compared);
    }
    attune_engine_close(engine);
    attune_model_close(model);
    return 0;
}
