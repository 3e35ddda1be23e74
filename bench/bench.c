/* bench.c - what the benchmarks share. */
#include "bench/bench.h"

#include "model/random.h"

#include <stdlib.h>

void bench_noise(float *out, size_t count)
{
    attune_random random = {.state = 1};
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)(attune_random_bits(&random) >> 40) * 0x1p-24f - 0.5f;
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
