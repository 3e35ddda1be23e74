/* program.c - a program of somebody else's, built against an installed attune: embeds one second of
 * a sine with the model named on its command line, or, without one, says the version. */
#include <attune/attune.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    printf("attune %s\n", attune_version());
    if (argc < 2) {
        return 0;
    }
    attune_model *model = NULL;
    attune_engine *engine = NULL;
    float samples[22050], *embedding = NULL;
    int code = 1;
    for (int i = 0; i < 22050; i++) {
        samples[i] = 0.5f * sinf((float)i * 0.1f);
    }
    if (attune_model_open(&model, argv[1]) == ATTUNE_OK) {
        embedding = calloc((size_t)attune_model_network(model)->embedding, sizeof(float));
    }
    if (embedding && attune_engine_open(&engine, model, NULL) == ATTUNE_OK &&
        attune_engine_push(engine, samples, 22050) == ATTUNE_OK &&
        attune_engine_finish(engine, embedding, NULL) == ATTUNE_OK) {
        printf("%s: %g ...\n", attune_engine_device(engine), (double)embedding[0]);
        code = 0;
    } else {
        fprintf(stderr, "%s\n", attune_last_error());
    }
    free(embedding);
    attune_engine_close(engine);
    attune_model_close(model);
    return code;
}
