/* network.c - runs the network's stages over frames of noise, for tests/callgrind/run to count.
 *
 *   count_network ISA FRAMES STEPS
 *
 * FRAMES go through the front end and STEPS through the sequence stage, in calls as large as the
 * engine's. What does not depend on them cancels in the difference of two runs. The model is of the
 * published shape with parameters that are the same everywhere. */
#include "bench/bench.h"
#include "kernels/kernels.h"

#include <stdlib.h>

enum { CALL = ATTUNE_FRAMES_PER_CALL };

int main(int argc, char **argv)
{
    const attune_kernels *kernels = argc == 4 ? attune_kernels_cpu_named(argv[1]) : NULL;
    if (!kernels) {
        fprintf(stderr, "usage: count_network ISA FRAMES STEPS, with an ISA of this machine\n");
        return 64;
    }
    attune_model *model = bench_model(NULL);
    const attune_network *n = attune_model_network(model);
    float *pcm = malloc(sizeof(float) * CALL * (size_t)n->frame_size);
    float *features = malloc(sizeof(float) * CALL * (size_t)n->features);
    float *embedding = malloc(sizeof(float) * (size_t)n->embedding);
    void *context = NULL;
    if (!pcm || !features || !embedding ||
        kernels->open(&context, model, ATTUNE_PRECISION_EXACT) != ATTUNE_OK) {
        fprintf(stderr, "count_network: %s\n", attune_last_error());
        return 70;
    }
    bench_noise(pcm, CALL * (size_t)n->frame_size);
    bench_noise(features, CALL * (size_t)n->features);
    attune_segment segment = {.count = 1};
    kernels->begin(context, 0);
    kernels->sequence(context, features, &segment,
                      1); /* so that a track of 0 steps has an end too */
    for (int frames = atoi(argv[2]); frames > 0; frames -= CALL) {
        kernels->frontend(context, features, pcm, frames < CALL ? frames : CALL);
    }
    for (int steps = atoi(argv[3]); steps > 0; steps -= CALL) {
        segment.count = steps < CALL ? (uint32_t)steps : CALL;
        kernels->sequence(context, features, &segment, 1);
    }
    kernels->finish(context, embedding, 0);
    printf("%g\n", (double)embedding[0]);
    kernels->close(context);
    attune_model_close(model);
    free(pcm);
    free(features);
    free(embedding);
    return 0;
}
