/* attune.h - everything. See the headers one by one for what they promise.
 *
 *     attune_model *model = NULL;
 *     attune_engine *engine = NULL;
 *     attune_track track;
 *     float embedding[32];
 *     if (attune_model_open(&model, "model.onnx") != ATTUNE_OK ||
 *         attune_engine_open(&engine, model, NULL) != ATTUNE_OK ||
 *         attune_engine_embed_file(engine, "song.mp3", NULL, &track, embedding) != ATTUNE_OK) {
 *         fprintf(stderr, "%s\n", attune_last_error());
 *     }
 *     attune_engine_close(engine);
 *     attune_model_close(model);
 */
#ifndef ATTUNE_ATTUNE_H
#define ATTUNE_ATTUNE_H

#include "attune/audio.h"
#include "attune/engine.h"
#include "attune/job.h"
#include "attune/model.h"
#include "attune/status.h"
#include "attune/store.h"
#include "attune/track.h"

#endif
