/* none_training.c - CUDA's table of training in a build without CUDA. A file of its own, for a test
 * may bring one of the two tables. */
#include "kernels/cuda/none.h"
#include "kernels/training.h"

static attune_status none_open(void **context, const attune_trainable *trainable,
                               const attune_training_options *options)
{
    (void)trainable;
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

static attune_status none_forward(void *context, float *embeddings, float *statistics,
                                  const float *parameters, const attune_training_batch *batch)
{
    (void)context;
    (void)embeddings;
    (void)statistics;
    (void)parameters;
    (void)batch;
    return no_cuda();
}

static attune_status none_backward(void *context, float *gradients,
                                   const float *embedding_gradients, const float *parameters,
                                   const attune_training_batch *batch)
{
    (void)context;
    (void)gradients;
    (void)embedding_gradients;
    (void)parameters;
    (void)batch;
    return no_cuda();
}

const attune_training_kernels *attune_training_cuda(void)
{
    static const attune_training_kernels table = {
        .device = "cuda",
        .detail = "none",
        .open = none_open,
        .close = none_close,
        .name = none_name,
        .forward = none_forward,
        .backward = none_backward,
    };
    return &table;
}
