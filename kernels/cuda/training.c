/* training.c - a CUDA device as one that trains: a batch through the front end (train_frontend.h),
 * group by group, and all of it through the sequence stage (train_sequence.h), and back. CPU twin:
 * kernels/cpu/training.c
 *
 * One stream, in which everything follows. A group's clips go up while the front end works on the
 * group before: the host copies them into pinned memory and queues the rest. Forward and backward
 * each end with the host waiting for what it asked for. The clips and all that forward made stay on
 * the device for backward. Proven under a stand-in for the CUDA runtime with the kernels emulated
 * (tests/cuda); not yet run on a GPU. */
#include "kernels/training.h"

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/train_frontend.h"
#include "kernels/cuda/train_sequence.h"
#include "status/error.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Device memory by purpose; the first few have a pinned twin on the host. */
enum {
    PARAMETERS,
    STATISTICS,
    GRADIENTS,
    EMBEDDINGS,
    EMBEDDING_GRADIENTS,
    SAMPLES,
    TWINS,
    FEATURES = TWINS,
    FEATURE_GRADIENTS,
    SEQUENCE,
    FRONTEND, /* allocated with the first batch: its size is a matter of the groups */
    BUFFERS
};

static const char *const purposes[BUFFERS] = {
    [PARAMETERS] = "parameters",
    [STATISTICS] = "statistics",
    [GRADIENTS] = "gradients",
    [EMBEDDINGS] = "embeddings",
    [EMBEDDING_GRADIENTS] = "embeddings' gradients",
    [SAMPLES] = "a batch's clips",
    [FEATURES] = "features",
    [FEATURE_GRADIENTS] = "features' gradients",
    [SEQUENCE] = "the GRU's gates and states",
    [FRONTEND] = "the front end",
};
static const char advice[] = "; lower --batch or --seconds";

typedef struct cuda_training {
    attune_cuda_gpu gpu;
    attune_trainable trainable;
    attune_training_options options;
    cudaStream_t stream;
    float *device[BUFFERS], *host[TWINS];
    size_t bytes[BUFFERS];
    attune_cuda_train_frontend frontend; /* groups are 0 until it is open */
    attune_cuda_train_sequence sequence;
    int B, T; /* of the last forward; 0 if there is none */
    size_t S;
} cuda_training;

/* ---- opening and closing ---- */

static void training_close(void *context)
{
    cuda_training *c = context;
    if (!c) {
        return;
    }
    /* Whatever these say, there is nothing left to do about it. */
    cudaSetDevice(c->gpu.ordinal);
    if (c->stream) {
        cudaStreamSynchronize(c->stream);
        cudaStreamDestroy(c->stream);
    }
    for (int i = 0; i < BUFFERS; i++) {
        if (c->device[i]) {
            cudaFree(c->device[i]);
        }
        if (i < TWINS && c->host[i]) {
            cudaFreeHost(c->host[i]);
        }
    }
    cudaGetLastError();
    free(c);
}

static int steps_of(const cuda_training *c, size_t samples)
{
    return (int)attune_network_frames(&c->trainable.network, samples);
}

static attune_status count_bytes(cuda_training *c)
{
    const attune_network *n = &c->trainable.network;
    const attune_training_options *o = &c->options;
    const size_t B = (size_t)o->clips, T = attune_network_frames(n, o->samples), R = B * T,
                 features = R * (size_t)n->features, embeddings = B * (size_t)n->embedding;
    if (R > INT_MAX) {
        return attune_fail(ATTUNE_EINVAL,
                           "%d clips of %zu frames are more than CUDA trains with at a time%s",
                           o->clips, T, advice);
    }
    const size_t floats[SEQUENCE] = {
        [PARAMETERS] = c->trainable.parameter_count,
        [STATISTICS] = c->trainable.statistic_count,
        [GRADIENTS] = c->trainable.parameter_count,
        [EMBEDDINGS] = embeddings,
        [EMBEDDING_GRADIENTS] = embeddings,
        [SAMPLES] = B * o->samples,
        [FEATURES] = features,
        [FEATURE_GRADIENTS] = o->frozen_front_end ? 0 : features,
    };
    for (int i = 0; i < SEQUENCE; i++) {
        c->bytes[i] = floats[i] * sizeof(float);
    }
    c->bytes[SEQUENCE] = attune_cuda_train_sequence_bytes(&c->trainable, o->clips, (int)T);
    return ATTUNE_OK;
}

/* A buffer, and its twin if it has one. */
static attune_status allocate(cuda_training *c, int buffer)
{
    const size_t bytes = c->bytes[buffer];
    size_t total = 0;
    void *device = NULL, *host = NULL;
    for (int i = 0; i < BUFFERS; i++) {
        total += c->bytes[i];
    }
    attune_cuda_called(&c->gpu, cudaMalloc(&device, bytes));
    if (!attune_cuda_is_well(&c->gpu)) {
        return attune_cuda_fail_memory(&c->gpu, "device", purposes[buffer], bytes, total, advice);
    }
    c->device[buffer] = device;
    if (buffer < TWINS) {
        attune_cuda_called(&c->gpu, cudaHostAlloc(&host, bytes, cudaHostAllocDefault));
        if (!attune_cuda_is_well(&c->gpu)) {
            return attune_cuda_fail_memory(&c->gpu, "pinned host", purposes[buffer], bytes, total,
                                           advice);
        }
        c->host[buffer] = host;
    }
    return ATTUNE_OK;
}

static attune_status open_device(cuda_training *c)
{
    attune_status status = attune_cuda_describe(&c->gpu);
    if (status == ATTUNE_OK) {
        attune_cuda_called(&c->gpu, cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking));
        status = attune_cuda_outcome(&c->gpu, "creating a stream");
    }
    for (int i = 0; i < FRONTEND && status == ATTUNE_OK; i++) {
        if (c->bytes[i] > 0) {
            status = allocate(c, i);
        }
    }
    return status;
}

static attune_status training_open(void **context, const attune_trainable *trainable,
                                   const attune_training_options *options)
{
    *context = NULL;
    attune_status status = attune_cuda_select(options->ordinal);
    if (status != ATTUNE_OK) {
        return status;
    }
    cuda_training *c = calloc(1, sizeof(*c));
    if (!c) {
        return attune_fail_memory("training", sizeof(*c));
    }
    c->gpu.ordinal = options->ordinal;
    c->trainable = *trainable;
    c->options = *options;
    status = count_bytes(c);
    status = status ? status : open_device(c);
    if (status != ATTUNE_OK) {
        training_close(c);
        return status;
    }
    attune_cuda_train_sequence_place(&c->sequence, c->device[SEQUENCE], &c->trainable,
                                     options->clips, steps_of(c, options->samples),
                                     c->gpu.multiprocessors);
    *context = c;
    return ATTUNE_OK;
}

static const char *training_name(const void *context)
{
    return ((const cuda_training *)context)->gpu.name;
}

/* ---- calls that do nothing once one has failed ---- */

static void copy(cuda_training *c, void *to, const void *from, size_t bytes,
                 enum cudaMemcpyKind kind)
{
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu, cudaMemcpyAsync(to, from, bytes, kind, c->stream));
    }
}

/* `count` floats to `at` in a buffer, through its twin. */
static void upload(cuda_training *c, int buffer, size_t at, const float *from, size_t count)
{
    memcpy(c->host[buffer] + at, from, count * sizeof(float));
    copy(c, c->device[buffer] + at, c->host[buffer] + at, count * sizeof(float),
         cudaMemcpyHostToDevice);
}

/* Starts to fetch a buffer's first floats into its twin. */
static void fetch(cuda_training *c, int buffer, size_t count)
{
    copy(c, c->host[buffer], c->device[buffer], count * sizeof(float), cudaMemcpyDeviceToHost);
}

/* Waits for all that was queued. */
static attune_status finish(cuda_training *c, const char *what)
{
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu, cudaStreamSynchronize(c->stream));
    }
    return attune_cuda_outcome(&c->gpu, what);
}

/* ---- the work ---- */

static attune_status open_frontend(cuda_training *c, int groups)
{
    if (c->frontend.groups == groups) {
        return ATTUNE_OK;
    }
    c->frontend = (attune_cuda_train_frontend){0};
    c->B = 0;
    if (c->device[FRONTEND]) {
        attune_cuda_called(&c->gpu, cudaFree(c->device[FRONTEND]));
        c->device[FRONTEND] = NULL;
    }
    attune_cuda_train_frontend frontend = {
        .trainable = &c->trainable,
        .frames = c->options.clips / groups * steps_of(c, c->options.samples),
        .groups = groups,
        .frozen = c->options.frozen_front_end,
    };
    c->bytes[FRONTEND] = attune_cuda_train_frontend_bytes(&frontend);
    attune_status status = attune_cuda_outcome(&c->gpu, "freeing the front end");
    status = status ? status : allocate(c, FRONTEND);
    if (!status) {
        frontend.memory = c->device[FRONTEND];
        c->frontend = frontend;
    }
    return status;
}

/* The clips of one group, on the device. */
static attune_cuda_clips clips_of(const cuda_training *c, int group)
{
    const int clips = c->B / c->frontend.groups;
    return (attune_cuda_clips){.samples = c->device[SAMPLES] + (size_t)(group * clips) * c->S,
                               .S = c->S,
                               .clips = clips,
                               .T = c->T};
}

/* Where the features of one group stand. */
static size_t features_at(const cuda_training *c, int group)
{
    return (size_t)(c->B / c->frontend.groups * group) * (size_t)c->T *
           (size_t)c->trainable.network.features;
}

/* The features of one group, behind its clips' way to the device. */
static void group_forward(cuda_training *c, const attune_training_batch *batch, int g)
{
    const attune_cuda_clips clips = clips_of(c, g);
    for (int i = g * clips.clips; i < (g + 1) * clips.clips; i++) {
        upload(c, SAMPLES, (size_t)i * c->S, batch->clips[i], c->S);
    }
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu, attune_cuda_train_frontend_forward(
                                        c->stream, c->device[FEATURES] + features_at(c, g),
                                        c->device[STATISTICS], &c->frontend, c->device[PARAMETERS],
                                        &clips, g));
    }
}

static attune_status training_forward(void *context, float *embeddings, float *statistics,
                                      const float *parameters, const attune_training_batch *batch)
{
    cuda_training *c = context;
    const attune_trainable *t = &c->trainable;
    attune_status status = attune_training_check(&c->options, &c->trainable, batch);
    status = status ? status : attune_cuda_enter(&c->gpu);
    status = status ? status : open_frontend(c, batch->groups);
    if (status) {
        return status;
    }
    c->B = batch->B;
    c->S = batch->samples;
    c->T = steps_of(c, batch->samples);
    upload(c, PARAMETERS, 0, parameters, t->parameter_count);
    upload(c, STATISTICS, 0, statistics, t->statistic_count);
    for (int g = 0; g < batch->groups; g++) {
        group_forward(c, batch, g);
    }
    const attune_cuda_train_dropout dropout = {batch->seed, c->options.dropout_layers,
                                               c->options.dropout_head};
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu,
                           attune_cuda_train_sequence_forward(
                               c->stream, &c->sequence, c->device[EMBEDDINGS], c->device[FEATURES],
                               c->device[PARAMETERS], c->B, c->T, &dropout));
    }
    const size_t count = (size_t)c->B * (size_t)t->network.embedding;
    fetch(c, EMBEDDINGS, count);
    fetch(c, STATISTICS, t->statistic_count);
    status = finish(c, "training, forward");
    if (!status) {
        memcpy(embeddings, c->host[EMBEDDINGS], count * sizeof(float));
        memcpy(statistics, c->host[STATISTICS], t->statistic_count * sizeof(float));
    }
    return status;
}

static attune_status training_backward(void *context, float *gradients,
                                       const float *embedding_gradients, const float *parameters,
                                       const attune_training_batch *batch)
{
    cuda_training *c = context;
    const attune_trainable *t = &c->trainable;
    (void)parameters; /* forward's, which the device still has */
    if (c->B == 0 || batch->B != c->B || batch->groups != c->frontend.groups ||
        batch->samples != c->S) {
        return attune_fail(ATTUNE_EINVAL, "the gradient of a batch that did not go forward");
    }
    attune_status status = attune_cuda_enter(&c->gpu);
    if (status) {
        return status;
    }
    upload(c, EMBEDDING_GRADIENTS, 0, embedding_gradients,
           (size_t)c->B * (size_t)t->network.embedding);
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(
            &c->gpu, cudaMemsetAsync(c->device[GRADIENTS], 0, c->bytes[GRADIENTS], c->stream));
    }
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu, attune_cuda_train_sequence_backward(
                                        c->stream, &c->sequence, c->device[GRADIENTS],
                                        c->device[FEATURE_GRADIENTS],
                                        c->device[EMBEDDING_GRADIENTS], c->device[PARAMETERS]));
    }
    for (int g = 0; g < c->frontend.groups && !c->frontend.frozen; g++) {
        const attune_cuda_clips clips = clips_of(c, g);
        if (attune_cuda_is_well(&c->gpu)) {
            attune_cuda_called(&c->gpu, attune_cuda_train_frontend_backward(
                                            c->stream, c->device[GRADIENTS], &c->frontend,
                                            c->device[FEATURE_GRADIENTS] + features_at(c, g),
                                            c->device[PARAMETERS], &clips, g));
        }
    }
    fetch(c, GRADIENTS, t->parameter_count);
    status = finish(c, "training, backward");
    if (!status) {
        memcpy(gradients, c->host[GRADIENTS], t->parameter_count * sizeof(float));
    }
    return status;
}

const attune_training_kernels *attune_training_cuda(void)
{
    static const attune_training_kernels table = {
        .device = "cuda",
        .detail = "f32",
        .open = training_open,
        .close = training_close,
        .name = training_name,
        .forward = training_forward,
        .backward = training_backward,
    };
    return &table;
}
