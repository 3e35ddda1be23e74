/* bench.c - what the benchmarks share. */
#include "bench/bench.h"

#include <stdlib.h>
#include <time.h>

/* splitmix64 */
static uint64_t next_bits(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void bench_noise(float *out, size_t count)
{
    uint64_t state = 1;
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)(next_bits(&state) >> 40) * 0x1p-24f - 0.5f;
    }
}

attune_model *bench_model(const char *path)
{
    static const attune_network published = {
        .architecture = ATTUNE_ARCHITECTURE_TINY,
        .pooling = ATTUNE_POOLING_ATTENTION,
        .sample_rate = 22050,
        .frame_size = 2048,
        .hop_size = 2048,
        .features = 64,
        .hidden = 128,
        .layers = 2,
        .attention = 128,
        .projection = 128,
        .embedding = 32,
    };
    attune_model *model = NULL;
    const attune_status status =
        path ? attune_model_open(&model, path) : attune_model_create(&model, &published, "random");
    if (status != ATTUNE_OK) {
        fprintf(stderr, "%s\n", attune_last_error());
        exit(66);
    }
    if (!path) { /* the parameters stand in one block; what little of its end stays 0 does not
                    matter */
        bench_noise(model->arena, (size_t)model->parameter_count);
        for (uint64_t i = 0; i < model->parameter_count; i++) {
            model->arena[i] *= 0.3f;
        }
    }
    return model;
}

double bench_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(double), compare);
    return values[count / 2];
}

double bench_hours(const attune_network *network, double F)
{
    return F * network->hop_size / network->sample_rate / 3600;
}

FILE *bench_json_open(const char *path)
{
    FILE *file = path ? fopen(path, "w") : NULL;
    if (path && !file) {
        perror(path);
        exit(73);
    }
    return file;
}
