/* engine.h - turn audio into embeddings on one device, one track at a time.
 *
 * An engine owns one device's copy of a model's weights and its scratch memory. It is not
 * thread-safe: use one per thread; they may share a model, which must outlive them. A track's
 * embedding is the same, bit for bit, whatever the engine embedded before and however its samples
 * were cut into pushes.
 *
 * Source: AudioEmbeddingTiny and AudioEmbeddingGRU of "Learning Music Similarity Embeddings for
 * MECOMP Using Triplet Loss". */
#ifndef ATTUNE_ENGINE_H
#define ATTUNE_ENGINE_H

#include "attune/audio.h"
#include "attune/model.h"
#include "attune/status.h"
#include "attune/track.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct attune_engine attune_engine;

typedef struct attune_engine_options {
    /* "auto" or "cpu"; for a job also "cuda" (every one there is), "cuda:1", "cuda:0,cuda:2".
     * "auto" is CUDA for a job where there is a device. An attune_engine, one track at a time, runs
     * on the CPU. */
    const char *device;
    /* "exact": within 1e-5 of ONNX Runtime's f32 in every component. "fast": within 5e-4, and
     * faster on GPUs and on processors with AVX-512; elsewhere it computes as "exact" does. */
    const char *precision;
} attune_engine_options;

/* device "auto", precision "exact". */
ATTUNE_API void attune_engine_options_default(attune_engine_options *options);

/* A device asked for by name and not there is ATTUNE_ENODEVICE, never another device; a precision
 * that is not known is ATTUNE_EINVAL. `options` may be NULL for the defaults. On failure *out is
 * NULL. */
ATTUNE_API attune_status attune_engine_open(attune_engine **out, const attune_model *model,
                                            const attune_engine_options *options);

/* NULL-safe. */
ATTUNE_API void attune_engine_close(attune_engine *engine);

/* The device in words: "cpu avx512". */
ATTUNE_API const char *attune_engine_device(const attune_engine *engine);

/* A track in pieces: begin, push any number of times, finish. Samples are mono f32 at the network's
 * sample rate; a piece with one that is not finite or beyond ±1e15 is ATTUNE_EINVAL, and nothing of
 * it is taken. The tail that fills no frame is dropped; a track shorter than one frame
 * is zero-padded to one; one without samples is ATTUNE_EINVAL. `embedding` has the network's E
 * components; `frames` may be NULL. */
ATTUNE_API void attune_engine_begin(attune_engine *engine);
ATTUNE_API attune_status attune_engine_push(attune_engine *engine, const float *samples,
                                            size_t count);
ATTUNE_API attune_status attune_engine_finish(attune_engine *engine, float *embedding,
                                              uint64_t *frames);

/* A whole file. A fault of the file is in track->status, and the return is ATTUNE_OK; `embedding`
 * is then NaN. `audio` may be NULL; its sample rate is ignored for the network's, and its
 * fast_resampling for the precision's. */
ATTUNE_API attune_status attune_engine_embed_file(attune_engine *engine, const char *path,
                                                  const attune_audio_options *audio,
                                                  attune_track *track, float *embedding);

#ifdef __cplusplus
}
#endif
#endif
