/* attune.h - everything. See the headers one by one for what they promise. A complete program:
 *
 *     #include <attune/attune.h>
 *     #include <stdio.h>
 *     #include <stdlib.h>
 *
 *     int main(int argc, char **argv) // MODEL.onnx SONG
 *     {
 *         attune_model *model = NULL;
 *         attune_engine *engine = NULL;
 *         attune_track track;
 *         float *embedding = NULL;
 *         int code = 1;
 *         if (argc == 3 && attune_model_open(&model, argv[1]) == ATTUNE_OK) {
 *             embedding = calloc(attune_model_network(model)->embedding, sizeof(float));
 *         }
 *         if (!embedding || attune_engine_open(&engine, model, NULL) != ATTUNE_OK ||
 *             attune_engine_embed_file(engine, argv[2], NULL, &track, embedding) != ATTUNE_OK) {
 *             fprintf(stderr, "%s\n", attune_last_error());
 *         } else if (!attune_track_has_embedding(track.status)) {
 *             fprintf(stderr, "%s: %s\n", attune_track_status_name(track.status), track.error);
 *         } else {
 *             printf("%u frames, %g ...\n", track.frames, embedding[0]);
 *             code = 0;
 *         }
 *         free(embedding);
 *         attune_engine_close(engine);
 *         attune_model_close(model);
 *         return code;
 *     }
 */
#ifndef ATTUNE_ATTUNE_H
#define ATTUNE_ATTUNE_H

#include "attune/audio.h"
#include "attune/engine.h"
#include "attune/export.h"
#include "attune/job.h"
#include "attune/model.h"
#include "attune/status.h"
#include "attune/store.h"
#include "attune/track.h"

#endif
