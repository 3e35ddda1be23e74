/* bench_train.c - what training costs: clips per second through the network forward and backward,
 * at the paper's size: 12 triplets of 15 s, anchors, positives and negatives each on their own.
 *
 *     bench_train [THREADS [DEVICE]]          medians; also with a frozen front end that has not
 *                                             heard the clips before, and one that has
 *     bench_train THREADS DEVICE --turns      a step for each line of stdin, its seconds to stdout,
 *                                             so that bench/peers/train can measure a peer by turns
 *
 * DEVICE is cpu, cuda or cuda:N. A step begins with clips and parameters in the host's memory and
 * ends with embeddings and gradients there. */
#include "bench/bench.h"
#include "status/machine.h"
#include "train/device.h"

#include <stdlib.h>
#include <string.h>

enum { B = 36, GROUPS = 3, SECONDS = 15, REPEATS = 9 };

static const char *device = "cpu";

typedef struct bench {
    const attune_training_kernels *kernels;
    void *context;
    attune_trainable trainable;
    float *parameters, *gradients, *statistics, *embeddings, *embedding_gradients, *samples;
    const float *clips[B];
} bench;

static float *floats(size_t count)
{
    float *memory = malloc(count * sizeof(float));
    if (!memory) {
        fprintf(stderr, "bench_train: out of memory\n");
        exit(70);
    }
    return memory;
}

static void die(attune_status status)
{
    if (status != ATTUNE_OK) {
        fprintf(stderr, "bench_train: %s\n", attune_last_error());
        exit(70);
    }
}

static void open_bench(bench *b, int threads, bool frozen)
{
    attune_model *published = bench_model(NULL);
    const attune_network network = *attune_model_network(published);
    const size_t samples = (size_t)SECONDS * network.sample_rate;
    int ordinal = 0;
    die(attune_train_device(&b->kernels, &ordinal, device));
    const attune_training_options options = {.ordinal = ordinal,
                                             .threads = threads,
                                             .clips = B,
                                             .samples = samples,
                                             .frozen_front_end = frozen,
                                             .dropout_layers = 0.1f,
                                             .dropout_head = 0.1f};
    attune_model_close(published);
    die(attune_trainable_layout(&b->trainable, &network));
    die(b->kernels->open(&b->context, &b->trainable, &options));
    b->parameters = floats(b->trainable.parameter_count);
    b->gradients = floats(b->trainable.parameter_count);
    b->statistics = floats(b->trainable.statistic_count);
    b->embeddings = floats((size_t)B * network.embedding);
    b->embedding_gradients = floats((size_t)B * network.embedding);
    b->samples = floats(B * samples);
    attune_trainable_initialise(b->parameters, b->statistics, &b->trainable, 1);
    bench_noise(b->samples, B * samples);
    bench_noise(b->embedding_gradients, (size_t)B * network.embedding);
    for (int i = 0; i < B; i++) {
        b->clips[i] = b->samples + (size_t)i * samples;
    }
}

static void close_bench(bench *b)
{
    b->kernels->close(b->context);
    free(b->parameters);
    free(b->gradients);
    free(b->statistics);
    free(b->embeddings);
    free(b->embedding_gradients);
    free(b->samples);
}

/* Seconds of forward, and of backward. */
static void step(bench *b, double *forward, double *backward, uint64_t seed)
{
    const attune_training_batch batch = {.clips = b->clips,
                                         .B = B,
                                         .samples =
                                             (size_t)SECONDS * b->trainable.network.sample_rate,
                                         .groups = GROUPS,
                                         .seed = seed};
    const double start = attune_seconds();
    die(b->kernels->forward(b->context, b->embeddings, b->statistics, b->parameters, &batch));
    const double middle = attune_seconds();
    die(b->kernels->backward(b->context, b->gradients, b->embedding_gradients, b->parameters,
                             &batch));
    *forward = middle - start;
    *backward = attune_seconds() - middle;
}

typedef enum kind { ALL_TRAINED, FROZEN_NEW_CLIPS, FROZEN_KNOWN_CLIPS } kind;

static void measure(int threads, kind which)
{
    static const char *const names[] = {"all trained", "front end frozen, new clips",
                                        "front end frozen, known clips"};
    bench b;
    double forward[REPEATS], backward[REPEATS];
    open_bench(&b, threads, which != ALL_TRAINED);
    step(&b, &forward[0], &backward[0], 0); /* touches the memory */
    for (int i = 0; i < REPEATS; i++) {
        for (int k = 0; k < B && which == FROZEN_NEW_CLIPS; k++) {
            b.samples[(size_t)k * SECONDS * b.trainable.network.sample_rate] =
                (float)(i + 1) / REPEATS;
        }
        step(&b, &forward[i], &backward[i], (uint64_t)i);
    }
    const double f = bench_median(forward, REPEATS), g = bench_median(backward, REPEATS);
    printf("%s, %d thread%s, %s: forward %.3g ms, backward %.3g ms, %.1f clips/s\n",
           b.kernels->name(b.context), threads, threads == 1 ? "" : "s", names[which], 1e3 * f,
           1e3 * g, B / (f + g));
    close_bench(&b);
}

static void take_turns(int threads)
{
    bench b;
    double forward, backward;
    char line[16];
    open_bench(&b, threads, false);
    for (uint64_t seed = 0; fgets(line, sizeof(line), stdin); seed++) {
        step(&b, &forward, &backward, seed);
        printf("%.6f\n", forward + backward);
        fflush(stdout);
    }
    close_bench(&b);
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 2;
    const bool turns = argc == 4 && strcmp(argv[3], "--turns") == 0;
    if (threads < 1 || argc > 4 || (argc == 4 && !turns)) {
        fprintf(stderr, "usage: bench_train [THREADS [DEVICE [--turns]]]\n");
        return 64;
    }
    device = argc > 2 ? argv[2] : device;
    if (turns) {
        take_turns(threads);
        return 0;
    }
    printf("%d clips of %d s in %d groups, medians of %d\n", B, SECONDS, GROUPS, REPEATS);
    measure(threads, ALL_TRAINED);
    measure(threads, FROZEN_NEW_CLIPS);
    measure(threads, FROZEN_KNOWN_CLIPS);
    return 0;
}
