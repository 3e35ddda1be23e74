/* context.c - a CUDA device's memory, streams, events and errors. Proven under a stand-in for the
 * CUDA runtime (tests/cuda); not yet run on a GPU. */
#include "kernels/cuda/context.h"
#include "status/error.h"

#include <stdio.h>
#include <stdlib.h>

/* cudaMalloc takes memory in pages of this many bytes. */
static const size_t PAGE = (size_t)2 << 20;
/* A new reference after this long: event times are floats. */
static const float REFERENCE_MILLISECONDS = 1e6f;

static const struct {
    const char *what;
    bool has_twin; /* pinned, on the host */
} buffers[BUFFERS] = {
    [PCM0] = {"PCM", true},
    [PCM1] = {"PCM", true},
    [FEATURES0] = {"features", false},
    [FEATURES1] = {"features", false},
    [SLOTS] = {"the tracks under way", false},
    [SCRATCH] = {"the GRU's gates and states", false},
    [WEIGHTS] = {"weights", false},
    [LISTS] = {"lists", true},
    [EMBEDDINGS] = {"embeddings", true},
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t parcel_bytes(const attune_batch_options *o)
{
    const size_t longest =
        larger(larger((size_t)o->pcm_frames, (size_t)o->slots) * sizeof(uint32_t),
               (size_t)o->segments * sizeof(attune_segment));
    return (longest + ATTUNE_CUDA_ALIGN - 1) / ATTUNE_CUDA_ALIGN * ATTUNE_CUDA_ALIGN;
}

static void buffer_bytes(size_t bytes[BUFFERS], const attune_network *n,
                         const attune_batch_options *o)
{
    const size_t sample = o->precision == ATTUNE_PRECISION_EXACT ? sizeof(float) : sizeof(int16_t);
    bytes[PCM0] = bytes[PCM1] = o->pcm_samples * sample;
    bytes[FEATURES0] = bytes[FEATURES1] =
        (size_t)o->feature_rows * (size_t)n->features * sizeof(float);
    bytes[SLOTS] = o->slots * attune_cuda_slot_bytes(n);
    bytes[SCRATCH] = attune_cuda_scratch_bytes(n, o->feature_rows);
    bytes[WEIGHTS] = attune_cuda_weights_bytes(n);
    bytes[LISTS] = PARCELS * parcel_bytes(o);
    bytes[EMBEDDINGS] = (size_t)o->slots * (size_t)n->embedding * sizeof(float);
}

size_t attune_cuda_memory_needed(const attune_network *network, const attune_batch_options *options)
{
    size_t bytes[BUFFERS], total = 0;
    buffer_bytes(bytes, network, options);
    for (int i = 0; i < BUFFERS; i++) {
        total += (bytes[i] + PAGE - 1) / PAGE * PAGE;
    }
    return total;
}

/* --- calls of CUDA that do nothing once one has failed --- */

void attune_cuda_record(attune_cuda_context *c, cudaEvent_t event, int stream)
{
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu, cudaEventRecord(event, c->streams[stream]));
    }
}

void attune_cuda_wait_in_stream(attune_cuda_context *c, int stream, cudaEvent_t event)
{
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu, cudaStreamWaitEvent(c->streams[stream], event, 0));
    }
}

void attune_cuda_wait_on_host(attune_cuda_context *c, cudaEvent_t event)
{
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu, cudaEventSynchronize(event));
    }
}

void attune_cuda_copy(attune_cuda_context *c, void *to, const void *from, size_t bytes,
                      enum cudaMemcpyKind kind, int stream)
{
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu, cudaMemcpyAsync(to, from, bytes, kind, c->streams[stream]));
    }
}

/* --- parcels and busy time --- */

/* Counts a parcel whose kernels have ended. Intervals of the two streams overlap: what was counted
 * once is left out, so the sum is the time in which either was busy, short only of gaps that an
 * earlier parcel ended behind. */
static void count_busy(attune_cuda_context *c, attune_cuda_parcel *p)
{
    float from = 0, to = 0;
    p->is_under_way = false;
    attune_cuda_called(&c->gpu, cudaEventElapsedTime(&from, c->reference, p->began));
    attune_cuda_called(&c->gpu, cudaEventElapsedTime(&to, c->reference, p->done));
    if (!attune_cuda_is_well(&c->gpu)) {
        return;
    }
    const double start = c->reference_time + (double)from, end = c->reference_time + (double)to;
    const double counted_from = start > c->counted_until ? start : c->counted_until;
    if (end > counted_from) {
        c->busy += end - counted_from;
        c->counted_until = end;
    }
    if (to > REFERENCE_MILLISECONDS) { /* a new reference, before the floats grow coarse */
        cudaEvent_t moved = NULL;
        float milliseconds = 0;
        attune_cuda_called(&c->gpu, cudaEventCreate(&moved));
        attune_cuda_record(c, moved, SEQUENCE);
        attune_cuda_wait_on_host(c, moved);
        if (attune_cuda_is_well(&c->gpu)) {
            attune_cuda_called(&c->gpu, cudaEventElapsedTime(&milliseconds, c->reference, moved));
            attune_cuda_called(&c->gpu, cudaEventDestroy(c->reference));
            c->reference = moved;
            c->reference_time += (double)milliseconds;
        } else if (moved) {
            cudaEventDestroy(moved);
        }
    }
}

attune_cuda_parcel *attune_cuda_take_parcel(attune_cuda_context *c)
{
    attune_cuda_parcel *p = &c->parcels[c->next_parcel];
    c->next_parcel = (c->next_parcel + 1) % PARCELS;
    if (p->is_under_way) {
        attune_cuda_wait_on_host(c, p->done);
        if (attune_cuda_is_well(&c->gpu)) {
            count_busy(c, p);
        }
    }
    return p;
}

void attune_cuda_send_parcel(attune_cuda_context *c, attune_cuda_parcel *p, int stream)
{
    attune_cuda_record(c, p->done, stream);
    p->is_under_way = true;
}

double attune_cuda_busy_seconds(void *context)
{
    attune_cuda_context *c = context;
    if (attune_cuda_enter(&c->gpu) != ATTUNE_OK) {
        return c->busy / 1e3;
    }
    for (uint32_t i = 0; i < PARCELS; i++) { /* from the oldest on */
        attune_cuda_parcel *p = &c->parcels[(c->next_parcel + i) % PARCELS];
        if (p->is_under_way) {
            const cudaError_t state = cudaEventQuery(p->done);
            if (state == cudaErrorNotReady) {
                cudaGetLastError();
                break;
            }
            attune_cuda_called(&c->gpu, state);
            if (!attune_cuda_is_well(&c->gpu)) {
                break;
            }
            count_busy(c, p);
        }
    }
    return c->busy / 1e3;
}

/* --- opening and closing --- */

void attune_cuda_close(void *context)
{
    attune_cuda_context *c = context;
    if (!c) {
        return;
    }
    /* Whatever these say, there is nothing left to do about it. */
    cudaSetDevice(c->gpu.ordinal);
    for (int i = 0; i < STREAMS; i++) {
        if (c->streams[i]) {
            cudaStreamSynchronize(c->streams[i]);
            cudaStreamDestroy(c->streams[i]);
        }
    }
    for (int i = 0; i < EVENTS * 2; i++) {
        if (c->events[i / 2][i % 2]) {
            cudaEventDestroy(c->events[i / 2][i % 2]);
        }
    }
    for (int i = 0; i < PARCELS; i++) {
        if (c->parcels[i].began) {
            cudaEventDestroy(c->parcels[i].began);
        }
        if (c->parcels[i].done) {
            cudaEventDestroy(c->parcels[i].done);
        }
    }
    if (c->reference) {
        cudaEventDestroy(c->reference);
    }
    for (int i = 0; i < BUFFERS; i++) {
        if (c->device[i]) {
            cudaFree(c->device[i]);
        }
        if (c->host[i]) {
            cudaFreeHost(c->host[i]);
        }
    }
    cudaGetLastError();
    free(c);
}

/* Streams and events; timed events only where time is taken. */
static void create_streams(attune_cuda_context *c)
{
    int least = 0, greatest = 0;
    attune_cuda_called(&c->gpu, cudaDeviceGetStreamPriorityRange(&least, &greatest));
    for (int i = 0; i < STREAMS && attune_cuda_is_well(&c->gpu); i++) {
        attune_cuda_called(&c->gpu,
                           cudaStreamCreateWithPriority(&c->streams[i], cudaStreamNonBlocking,
                                                        i == SEQUENCE ? greatest : least));
    }
    for (int i = 0; i < EVENTS * 2 && attune_cuda_is_well(&c->gpu); i++) {
        attune_cuda_called(
            &c->gpu, cudaEventCreateWithFlags(&c->events[i / 2][i % 2],
                                              cudaEventDisableTiming | cudaEventBlockingSync));
    }
    for (int i = 0; i < PARCELS && attune_cuda_is_well(&c->gpu); i++) {
        attune_cuda_parcel *p = &c->parcels[i];
        attune_cuda_called(&c->gpu, cudaEventCreateWithFlags(&p->began, cudaEventDefault));
        if (attune_cuda_is_well(&c->gpu)) {
            attune_cuda_called(&c->gpu, cudaEventCreateWithFlags(&p->done, cudaEventBlockingSync));
        }
    }
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu, cudaEventCreateWithFlags(&c->reference, cudaEventDefault));
    }
    attune_cuda_record(c, c->reference, SEQUENCE);
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu, cudaStreamSynchronize(c->streams[SEQUENCE]));
    }
}

static attune_status allocate(attune_cuda_context *c, const attune_network *network)
{
    size_t bytes[BUFFERS];
    const size_t total = attune_cuda_memory_needed(network, &c->options);
    buffer_bytes(bytes, network, &c->options);
    for (int i = 0; i < BUFFERS; i++) {
        attune_cuda_called(&c->gpu, cudaMalloc(&c->device[i], bytes[i]));
        if (!attune_cuda_is_well(&c->gpu)) {
            c->device[i] = NULL;
            return attune_cuda_fail_memory(&c->gpu, "device", buffers[i].what, bytes[i], total, "");
        }
        if (buffers[i].has_twin) {
            attune_cuda_called(&c->gpu, cudaHostAlloc(&c->host[i], bytes[i], cudaHostAllocDefault));
        }
        if (!attune_cuda_is_well(&c->gpu)) {
            c->host[i] = NULL;
            return attune_cuda_fail_memory(&c->gpu, "pinned host", buffers[i].what, bytes[i], total,
                                           "");
        }
    }
    for (size_t i = 0; i < PARCELS; i++) {
        c->parcels[i].host = (char *)c->host[LISTS] + i * parcel_bytes(&c->options);
        c->parcels[i].device = (char *)c->device[LISTS] + i * parcel_bytes(&c->options);
    }
    return ATTUNE_OK;
}

static attune_status upload_weights(attune_cuda_context *c, const attune_model *model)
{
    const size_t bytes = attune_cuda_weights_bytes(attune_model_network(model));
    void *blob = malloc(bytes);
    if (!blob) {
        return attune_fail_memory("the network's weights", bytes);
    }
    attune_cuda_pack(&c->weights, blob, c->device[WEIGHTS], model);
    attune_cuda_copy(c, c->device[WEIGHTS], blob, bytes, cudaMemcpyHostToDevice, COPY);
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu, cudaStreamSynchronize(c->streams[COPY]));
    }
    free(blob);
    return attune_cuda_outcome(&c->gpu, "uploading the weights");
}

attune_status attune_cuda_open(attune_cuda_context *c, const attune_model *model)
{
    attune_status status = attune_cuda_describe(&c->gpu);
    if (status == ATTUNE_OK) {
        create_streams(c);
        status = attune_cuda_outcome(&c->gpu, "creating streams");
    }
    if (status == ATTUNE_OK) {
        status = allocate(c, attune_model_network(model));
    }
    return status == ATTUNE_OK ? upload_weights(c, model) : status;
}
