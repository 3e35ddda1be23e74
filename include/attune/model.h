/* model.h - a network's configuration and parameters, read from ONNX and written to it.
 *
 * Networks: AudioEmbeddingTiny and AudioEmbeddingGRU of "Learning Music Similarity Embeddings for
 * MECOMP Using Triplet Loss". A file whose graph is any other network is refused, naming the node
 * that was not understood. A model is immutable after opening and may be shared by threads. */
#ifndef ATTUNE_MODEL_H
#define ATTUNE_MODEL_H

#include "attune/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct attune_model attune_model;

typedef enum attune_architecture {
    ATTUNE_ARCHITECTURE_TINY =
        0, /* AudioEmbeddingTiny: depthwise-separable CNN, GRU, pooling, projection */
    ATTUNE_ARCHITECTURE_GRU = 1, /* AudioEmbeddingGRU: the paper's baseline */
} attune_architecture;

typedef enum attune_pooling {
    ATTUNE_POOLING_ATTENTION = 0, /* softmax over time of w.tanh(W h + b) + c */
    ATTUNE_POOLING_MEAN = 1,      /* mean of the top layer's states */
    ATTUNE_POOLING_LAST = 2,      /* the top layer's last state */
} attune_pooling;

/* A network's shape. Frames are frame_size samples, hop_size apart. */
typedef struct attune_network {
    attune_architecture architecture;
    attune_pooling pooling;
    int sample_rate; /* Hz the network was trained on; 22050 (ONNX does not record it) */
    int frame_size;  /* N, samples; a multiple of 256 from 256 to 16384 */
    int hop_size;    /* N or N/2 */
    int features;    /* C, per frame: 64 (tiny) or 128 (GRU) */
    int hidden;      /* H, GRU width; a multiple of 16 from 16 to 1024 */
    int layers;      /* GRU layers; 1 to 8 */
    int attention;   /* A, attention's inner width; 1 to 1024, or 0 without attention */
    int projection;  /* P, projection's inner width; 1 to 1024 */
    int embedding;   /* E, components of the embedding; 1 to 1024 */
} attune_network;

/* Reads an ONNX file. Bad file: ATTUNE_EDATA with one line that names the file and the node; not
 * there: ATTUNE_ENOINPUT. On failure *out is NULL. */
ATTUNE_API attune_status attune_model_open(attune_model **out, const char *path);

/* The same from memory; `name` is used in messages and, without folders, as the model's name. NULL:
 * the name in the file's metadata, as attune_model_write_onnx writes it. */
ATTUNE_API attune_status attune_model_parse(attune_model **out, const void *bytes, size_t size,
                                            const char *name);

/* The model that this build of the library contains; ATTUNE_ECONFIG if it contains none. */
ATTUNE_API attune_status attune_model_open_default(attune_model **out);
ATTUNE_API bool attune_model_has_default(void);

/* NULL-safe. */
ATTUNE_API void attune_model_close(attune_model *model);

typedef struct attune_onnx_options {
    int opset;        /* 20, which has Gelu, or 17, which spells it with Erf; 0: 20 */
    const char *name; /* written into the file's metadata; NULL: the model's own */
} attune_onnx_options;

/* The model as an ONNX file, which any runtime reads, in memory: input `audio` (batch, samples) f32
 * at the network's sample rate, output `embedding` (batch, E) f32, batch and samples of any size.
 * attune_model_parse gives the same model again, bit for bit. *bytes is for the caller to free().
 * `options` may be NULL. ATTUNE_EINVAL for another opset; ATTUNE_EDATA for what ONNX, or our reader
 * of it, cannot express: another sample rate than 22050, values that are not finite. */
ATTUNE_API attune_status attune_model_write_onnx(void **bytes, size_t *size,
                                                 const attune_model *model,
                                                 const attune_onnx_options *options);

/* Borrowed from the model. */
ATTUNE_API const attune_network *attune_model_network(const attune_model *model);
ATTUNE_API const char *attune_model_name(const attune_model *model); /* file name without folders */
ATTUNE_API const char *
attune_model_sha256(const attune_model *model); /* of the file, 64 hex digits */

/* Parameters in the network, batch normalisation counted as folded. */
ATTUNE_API uint64_t attune_model_parameter_count(const attune_model *model);

/* The network's parameters as published, batch normalisation counted with its own scale and shift
 * (213,352 for AudioEmbeddingTiny at its published size). */
ATTUNE_API uint64_t attune_model_trainable_count(const attune_model *model);

/* "AudioEmbeddingTiny" or "AudioEmbeddingGRU". */
ATTUNE_API const char *attune_architecture_name(attune_architecture architecture);
/* "attention", "mean" or "last". */
ATTUNE_API const char *attune_pooling_name(attune_pooling pooling);

/* The network's shape as one JSON object into `out` (`capacity` bytes, 512 are enough); returns
 * `out`. */
ATTUNE_API const char *attune_network_json(const attune_network *network, char *out,
                                           size_t capacity);

/* Whole frames in `samples` samples: (samples - frame_size) / hop_size + 1; at least 1, for a clip
 * shorter than a frame is zero-padded to one. */
ATTUNE_API uint64_t attune_network_frames(const attune_network *network, uint64_t samples);

#ifdef __cplusplus
}
#endif
#endif
