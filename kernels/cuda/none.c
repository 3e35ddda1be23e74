/* none.c - CUDA's table in a build without CUDA: no devices, and every way in says why. */
#include "kernels/cuda/none.h"
#include "kernels/batch.h"

static int none_count(void)
{
    no_cuda();
    return 0;
}

static attune_status none_memory_free(int ordinal, size_t *bytes)
{
    (void)ordinal;
    *bytes = 0;
    return no_cuda();
}

static size_t none_memory_needed(const attune_network *network, const attune_batch_options *options)
{
    (void)network;
    (void)options;
    return 0;
}

static attune_status none_open(void **context, const attune_model *model,
                               const attune_batch_options *options)
{
    (void)model;
    (void)options;
    *context = NULL;
    return no_cuda();
}

static void none_close(void *context)
{
    (void)context;
}

static const char *none_name(const void *context)
{
    (void)context;
    return "none";
}

static void *none_pcm(void *context, int buffer)
{
    (void)context;
    (void)buffer;
    return NULL;
}

static attune_status none_frontend(void *context, int buffer, const uint32_t *start, uint32_t F,
                                   int features, uint32_t row)
{
    (void)context;
    (void)buffer;
    (void)start;
    (void)F;
    (void)features;
    (void)row;
    return no_cuda();
}

static attune_status none_wait(void *context, int buffer)
{
    (void)context;
    (void)buffer;
    return no_cuda();
}

static attune_status none_begin(void *context, const uint32_t *slots, uint32_t count)
{
    (void)context;
    (void)slots;
    (void)count;
    return no_cuda();
}

static attune_status none_sequence(void *context, int features, const attune_segment *segments,
                                   uint32_t count)
{
    (void)context;
    (void)features;
    (void)segments;
    (void)count;
    return no_cuda();
}

static attune_status none_finish(void *context, float *embeddings, const uint32_t *slots,
                                 uint32_t count)
{
    (void)context;
    (void)embeddings;
    (void)slots;
    (void)count;
    return no_cuda();
}

static double none_busy_seconds(void *context)
{
    (void)context;
    return 0;
}

const attune_batch_kernels *attune_kernels_cuda(void)
{
    static const attune_batch_kernels table = {
        .device = "cuda",
        .count = none_count,
        .memory_free = none_memory_free,
        .memory_needed = none_memory_needed,
        .open = none_open,
        .close = none_close,
        .name = none_name,
        .pcm = none_pcm,
        .frontend = none_frontend,
        .wait_pcm = none_wait,
        .begin = none_begin,
        .sequence = none_sequence,
        .wait_features = none_wait,
        .finish = none_finish,
        .busy_seconds = none_busy_seconds,
    };
    return &table;
}
