/* stand_in_kernels.c - the launchers of kernels/cuda/cuda.h for the stand-in runtime. */
#include "tests/cuda/stand_in_kernels.h"

#include "kernels/cuda/cuda.h"
#include "tests/cuda/stand_in.h"

#include <criterion/criterion.h>
#include <string.h>

enum { SLOT_BYTES = 128, WEIGHTS_BYTES = 4096, WEIGHTS_MARK = 0x5a };

typedef struct slot {
    uint64_t hash, frames;
} slot;

/* One feature: every sample of the frame that is c away from a multiple of C, mixed. Small
 * integers, so exact. */
static float feature(const void *frame, attune_pcm format, int N, int C, int c)
{
    uint32_t sum = 0;
    for (int i = c; i < N; i += C) {
        const float x = format == ATTUNE_PCM_F32 ? ((const float *)frame)[i]
                                                 : (float)((const int16_t *)frame)[i];
        sum = sum * 31 + (uint32_t)(int32_t)x;
    }
    return (float)(sum % 65521);
}

static uint64_t mix(uint64_t hash, const float *features, int C)
{
    for (int c = 0; c < C; c++) {
        hash = (hash ^ (uint64_t)features[c]) * 0x100000001b3u;
    }
    return hash;
}

uint64_t stand_in_frame(uint64_t hash, const attune_network *network, const void *frame,
                        attune_pcm format)
{
    float features[128];
    for (int c = 0; c < network->features; c++) {
        features[c] = feature(frame, format, network->frame_size, network->features, c);
    }
    return mix(hash, features, network->features);
}

void stand_in_embedding(float *embedding, const attune_network *network, uint64_t hash)
{
    for (int e = 0; e < network->embedding; e++) {
        embedding[e] = (float)(hash >> (e % 48) & 0xffff);
    }
}

size_t attune_cuda_weights_bytes(const attune_network *network)
{
    (void)network;
    return WEIGHTS_BYTES;
}

void attune_cuda_pack(attune_cuda_weights *weights, void *blob, const void *base,
                      const attune_model *model)
{
    memset(blob, WEIGHTS_MARK, WEIGHTS_BYTES);
    memset(weights, 0, sizeof(*weights));
    weights->network = *attune_model_network(model);
    weights->depth = base;
}

size_t attune_cuda_slot_bytes(const attune_network *network)
{
    (void)network;
    return SLOT_BYTES;
}

size_t attune_cuda_scratch_bytes(const attune_network *network, uint32_t rows)
{
    return (size_t)rows * (size_t)network->hidden;
}

static void check_weights(const void *weights)
{
    const unsigned char *bytes = weights;
    cr_assert(bytes[0] == WEIGHTS_MARK && bytes[WEIGHTS_BYTES - 1] == WEIGHTS_MARK);
}

typedef struct frontend_arguments {
    float *features;
    const void *pcm, *weights;
    const uint32_t *start;
    attune_pcm format;
    uint32_t F;
    int N, C;
} frontend_arguments;

static void run_frontend(const void *arguments)
{
    const frontend_arguments *a = arguments;
    const size_t sample = a->format == ATTUNE_PCM_F32 ? sizeof(float) : sizeof(int16_t);
    check_weights(a->weights);
    for (uint32_t f = 0; f < a->F; f++) {
        for (int c = 0; c < a->C; c++) {
            a->features[(size_t)f * (size_t)a->C + (size_t)c] =
                feature((const char *)a->pcm + a->start[f] * sample, a->format, a->N, a->C, c);
        }
    }
}

int attune_cuda_frontend(attune_cuda_stream *stream, float *features, const void *pcm,
                         const uint32_t *start, const attune_cuda_weights *weights,
                         attune_pcm format, attune_precision precision, uint32_t F)
{
    cr_assert((format == ATTUNE_PCM_F32) == (precision == ATTUNE_PRECISION_EXACT));
    const frontend_arguments a = {.features = features,
                                  .pcm = pcm,
                                  .weights = weights->depth,
                                  .start = start,
                                  .format = format,
                                  .F = F,
                                  .N = weights->network.frame_size,
                                  .C = weights->network.features};
    return (int)stand_in_launch(stream, run_frontend, &a, sizeof(a));
}

typedef struct slot_arguments {
    char *slots;
    const uint32_t *list;
    float *embeddings;
    attune_network network;
    uint32_t count;
} slot_arguments;

static void run_begin(const void *arguments)
{
    const slot_arguments *a = arguments;
    for (uint32_t i = 0; i < a->count; i++) {
        *(slot *)(void *)(a->slots + (size_t)a->list[i] * SLOT_BYTES) = (slot){STAND_IN_FIRST, 0};
    }
}

int attune_cuda_begin(attune_cuda_stream *stream, void *slots, const uint32_t *slot_list,
                      const attune_cuda_weights *weights, uint32_t count)
{
    const slot_arguments a = {
        .slots = slots, .list = slot_list, .network = weights->network, .count = count};
    return (int)stand_in_launch(stream, run_begin, &a, sizeof(a));
}

static void run_head(const void *arguments)
{
    const slot_arguments *a = arguments;
    for (uint32_t i = 0; i < a->count; i++) {
        const slot *s = (const void *)(a->slots + (size_t)a->list[i] * SLOT_BYTES);
        cr_assert_gt(s->frames, 0);
        stand_in_embedding(a->embeddings + (size_t)i * (size_t)a->network.embedding, &a->network,
                           s->hash);
    }
}

int attune_cuda_head(attune_cuda_stream *stream, float *embeddings, const void *slots,
                     const uint32_t *slot_list, const attune_cuda_weights *weights, uint32_t count)
{
    slot_arguments a = {
        .list = slot_list, .embeddings = embeddings, .network = weights->network, .count = count};
    memcpy(&a.slots, &slots, sizeof(slots));
    return (int)stand_in_launch(stream, run_head, &a, sizeof(a));
}

typedef struct sequence_arguments {
    char *slots, *scratch;
    const float *features;
    const attune_segment *segments;
    uint32_t first, rows, count;
    int C, H;
} sequence_arguments;

static void run_sequence(const void *arguments)
{
    const sequence_arguments *a = arguments;
    memset(a->scratch, 0, (size_t)(a->first + a->rows) * (size_t)a->H);
    for (uint32_t i = 0; i < a->count; i++) {
        const attune_segment g = a->segments[i];
        slot *s = (void *)(a->slots + (size_t)g.slot * SLOT_BYTES);
        cr_assert(i == 0 || g.count <= a->segments[i - 1].count, "segments are not sorted");
        cr_assert(g.first >= a->first && g.first + g.count <= a->first + a->rows);
        for (uint32_t r = g.first; r < g.first + g.count; r++) {
            s->hash = mix(s->hash, a->features + (size_t)r * (size_t)a->C, a->C);
            s->frames++;
        }
    }
}

int attune_cuda_sequence(attune_cuda_stream *stream, void *slots, void *scratch,
                         const float *features, const attune_segment *segments,
                         const attune_cuda_weights *weights, uint32_t first, uint32_t rows,
                         uint32_t count, int multiprocessors)
{
    cr_assert_eq(multiprocessors, 4);
    const sequence_arguments a = {.slots = slots,
                                  .scratch = scratch,
                                  .features = features,
                                  .segments = segments,
                                  .first = first,
                                  .rows = rows,
                                  .count = count,
                                  .C = weights->network.features,
                                  .H = weights->network.hidden};
    return (int)stand_in_launch(stream, run_sequence, &a, sizeof(a));
}
