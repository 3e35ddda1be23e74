/* bench_train_frontend.c - nanoseconds that one thread takes for a frame of the front end in
 * training mode, forward and backward, by architecture and instruction set: the best of a few
 * groups. */
#include "bench/bench.h"
#include "kernels/cpu/train_frontend.h"
#include "status/machine.h"

#include <stdio.h>
#include <stdlib.h>

enum { F = 192, REPEATS = 7, N = 2048 };

static const struct {
    const char *isa;
    const attune_train_frontend *tiny, *gru;
} sets[] = {
    {"baseline", &attune_train_frontend_tiny_baseline, &attune_train_frontend_gru_baseline},
#if defined(__x86_64__)
    {"avx2", &attune_train_frontend_tiny_avx2, &attune_train_frontend_gru_avx2},
    {"avx512", &attune_train_frontend_tiny_avx512, &attune_train_frontend_gru_avx512},
#endif
};

static double least(double a, double b)
{
    return a < b ? a : b;
}

static int measure(const attune_train_frontend *frontend, const attune_trainable *trainable,
                   const char *isa)
{
    static float samples[F * N], feature_gradients[F * 128], features[F * 128];
    const float *frames[F];
    float *parameters = malloc(trainable->parameter_count * sizeof(float)),
          *gradients = calloc(trainable->parameter_count, sizeof(float)),
          *statistics = malloc(trainable->statistic_count * sizeof(float));
    attune_team *team = NULL;
    void *context = NULL;
    int code = 1;
    if (!parameters || !gradients || !statistics || attune_team_open(&team, 1) != ATTUNE_OK ||
        frontend->open(&context, trainable, F, 1, false, team) != ATTUNE_OK) {
        fprintf(stderr, "bench_train_frontend: %s\n", attune_last_error());
        goto done;
    }
    attune_trainable_initialise(parameters, statistics, trainable, 1);
    bench_noise(samples, F * N);
    bench_noise(feature_gradients, F * 128);
    for (int f = 0; f < F; f++) {
        frames[f] = samples + f * N;
    }
    double forward = 1e9, backward = 1e9;
    for (int r = 0; r < REPEATS; r++) {
        const double start = attune_seconds();
        frontend->forward(context, features, statistics, parameters, frames, F, 0);
        const double middle = attune_seconds();
        frontend->backward(context, gradients, feature_gradients, parameters, frames, F, 0);
        forward = least(forward, middle - start);
        backward = least(backward, attune_seconds() - middle);
    }
    printf("%-20s %-9s %9.0f %9.0f\n", attune_architecture_name(trainable->network.architecture),
           isa, forward * 1e9 / F, backward * 1e9 / F);
    code = 0;
done:
    frontend->close(context);
    attune_team_close(team);
    free(parameters);
    free(gradients);
    free(statistics);
    return code;
}

int main(void)
{
    printf("%-20s %-9s %9s %9s  ns a frame\n", "network", "set", "forward", "backward");
    for (int architecture = 0; architecture < 2; architecture++) {
        attune_network n = {.architecture = architecture,
                            .pooling = ATTUNE_POOLING_LAST,
                            .sample_rate = 22050,
                            .frame_size = N,
                            .hop_size = N,
                            .features = architecture == ATTUNE_ARCHITECTURE_TINY ? 64 : 128,
                            .hidden = 128,
                            .layers = 2,
                            .projection = 128,
                            .embedding = 32};
        attune_trainable trainable;
        if (attune_trainable_layout(&trainable, &n) != ATTUNE_OK) {
            fprintf(stderr, "bench_train_frontend: %s\n", attune_last_error());
            return 1;
        }
        for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
            if (attune_kernels_cpu_named(sets[i].isa) &&
                measure(architecture == ATTUNE_ARCHITECTURE_TINY ? sets[i].tiny : sets[i].gru,
                        &trainable, sets[i].isa)) {
                return 1;
            }
        }
    }
    return 0;
}
