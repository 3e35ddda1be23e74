/* device.c - CUDA as a device that takes many tracks at once: the table of kernels/batch.h. C, for
 * the kernels' launchers are C functions; the streams and their order are told in context.h. Proven
 * under a stand-in for the CUDA runtime (tests/cuda); not yet run on a GPU. */
#include "kernels/cuda/context.h"
#include "status/error.h"

#include <stdlib.h>
#include <string.h>

enum { LENGTH_BITS = 8, LENGTH_KEYS = (33 - LENGTH_BITS) << LENGTH_BITS };

static attune_status cuda_memory_free(int ordinal, size_t *bytes)
{
    size_t total = 0;
    *bytes = 0;
    const attune_status status = attune_cuda_select(ordinal);
    if (status != ATTUNE_OK) {
        return status;
    }
    const cudaError_t error = cudaMemGetInfo(bytes, &total);
    if (error != cudaSuccess) {
        cudaGetLastError();
        *bytes = 0;
        return attune_fail(error == cudaErrorMemoryAllocation ? ATTUNE_ENOMEM : ATTUNE_EIO,
                           "CUDA device %d: its free memory: %s", ordinal,
                           cudaGetErrorString(error));
    }
    return ATTUNE_OK;
}

static attune_status check_options(const attune_network *n, const attune_batch_options *o)
{
    if (o->pcm_frames == 0 || o->feature_rows == 0 || o->segments == 0 || o->slots == 0 ||
        o->pcm_samples < (uint32_t)n->frame_size) {
        return attune_fail(ATTUNE_EINVAL,
                           "a CUDA device needs room for one frame, row, segment and "
                           "slot at least");
    }
    return ATTUNE_OK;
}

static attune_status cuda_open(void **context, const attune_model *model,
                               const attune_batch_options *options)
{
    *context = NULL;
    attune_status status = check_options(attune_model_network(model), options);
    if (status == ATTUNE_OK) {
        status = attune_cuda_select(options->ordinal);
    }
    if (status != ATTUNE_OK) {
        return status;
    }
    attune_cuda_context *c = calloc(1, sizeof(*c));
    if (!c) {
        return attune_fail_memory("a CUDA device", sizeof(*c));
    }
    c->gpu.ordinal = options->ordinal;
    c->options = *options;
    status = attune_cuda_open(c, model);
    if (status != ATTUNE_OK) {
        attune_cuda_close(c);
        return status;
    }
    *context = c;
    return ATTUNE_OK;
}

static const char *cuda_name(const void *context)
{
    return ((const attune_cuda_context *)context)->gpu.name;
}

static void *cuda_pcm(void *context, int buffer)
{
    return ((attune_cuda_context *)context)->host[PCM0 + buffer];
}

/* --- the work --- */

static attune_status fail_bounds(const char *what)
{
    return attune_fail(ATTUNE_EINVAL, "%s outside the bounds the CUDA device was opened with",
                       what);
}

static attune_status cuda_frontend(void *context, int buffer, const uint32_t *start, uint32_t F,
                                   int features, uint32_t row)
{
    attune_cuda_context *c = context;
    const attune_network *n = &c->weights.network;
    const attune_batch_options *o = &c->options;
    uint32_t low = UINT32_MAX, high = 0;
    for (uint32_t f = 0; f < F; f++) {
        low = start[f] < low ? start[f] : low;
        high = start[f] > high ? start[f] : high;
    }
    if (F == 0 || F > o->pcm_frames || row > o->feature_rows || F > o->feature_rows - row ||
        high > o->pcm_samples - (uint32_t)n->frame_size) {
        return fail_bounds("frames");
    }
    if (attune_cuda_enter(&c->gpu) != ATTUNE_OK) {
        return c->gpu.failure;
    }
    const bool is_exact = o->precision == ATTUNE_PRECISION_EXACT;
    const size_t sample = is_exact ? sizeof(float) : sizeof(int16_t);
    attune_cuda_parcel *p = attune_cuda_take_parcel(c);
    memcpy(p->host, start, F * sizeof(uint32_t));
    attune_cuda_wait_in_stream(c, COPY, c->events[PCM_READ][buffer]);
    attune_cuda_copy(c, p->device, p->host, F * sizeof(uint32_t), cudaMemcpyHostToDevice, COPY);
    attune_cuda_copy(c, (char *)c->device[PCM0 + buffer] + low * sample,
                     (const char *)c->host[PCM0 + buffer] + low * sample,
                     (high - low + (size_t)n->frame_size) * sample, cudaMemcpyHostToDevice, COPY);
    attune_cuda_record(c, c->events[PCM_COPIED][buffer], COPY);
    attune_cuda_wait_in_stream(c, FRONT, c->events[PCM_COPIED][buffer]);
    attune_cuda_record(c, p->began, FRONT);
    if (attune_cuda_is_well(&c->gpu)) {
        float *out = (float *)c->device[FEATURES0 + features] + (size_t)row * (size_t)n->features;
        attune_cuda_called(&c->gpu, attune_cuda_frontend(
                                        c->streams[FRONT], out, c->device[PCM0 + buffer], p->device,
                                        &c->weights, is_exact ? ATTUNE_PCM_F32 : ATTUNE_PCM_Q14,
                                        o->precision, F));
    }
    attune_cuda_send_parcel(c, p, FRONT);
    attune_cuda_record(c, c->events[PCM_READ][buffer], FRONT);
    attune_cuda_record(c, c->events[FEATURES_WRITTEN][features], FRONT);
    return attune_cuda_outcome(&c->gpu, "the front end");
}

/* Waits on the host for one of the two events of a kind; `what` is for the message of a failure. */
static attune_status wait_for(attune_cuda_context *c, int kind, int buffer, const char *what)
{
    if (attune_cuda_enter(&c->gpu) != ATTUNE_OK) {
        return c->gpu.failure;
    }
    attune_cuda_wait_on_host(c, c->events[kind][buffer]);
    return attune_cuda_outcome(&c->gpu, what);
}

static attune_status cuda_wait_pcm(void *context, int buffer)
{
    return wait_for(context, PCM_COPIED, buffer, "waiting for PCM");
}

/* Copies a list to the device in a parcel of its own, behind what the sequence stream does. */
static attune_cuda_parcel *send_list(attune_cuda_context *c, const void *list, size_t bytes)
{
    attune_cuda_parcel *p = attune_cuda_take_parcel(c);
    if (list) {
        memcpy(p->host, list, bytes);
    }
    attune_cuda_copy(c, p->device, p->host, bytes, cudaMemcpyHostToDevice, SEQUENCE);
    return p;
}

static attune_status check_slots(const attune_cuda_context *c, const uint32_t *slots,
                                 uint32_t count)
{
    bool is_good = count <= c->options.slots;
    for (uint32_t i = 0; is_good && i < count; i++) {
        is_good = slots[i] < c->options.slots;
    }
    return is_good ? ATTUNE_OK : fail_bounds("slots");
}

static attune_status cuda_begin(void *context, const uint32_t *slots, uint32_t count)
{
    attune_cuda_context *c = context;
    attune_status status = check_slots(c, slots, count);
    if (status == ATTUNE_OK) {
        status = attune_cuda_enter(&c->gpu);
    }
    if (status != ATTUNE_OK || count == 0) {
        return status;
    }
    attune_cuda_parcel *p = send_list(c, slots, count * sizeof(uint32_t));
    attune_cuda_record(c, p->began, SEQUENCE);
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu, attune_cuda_begin(c->streams[SEQUENCE], c->device[SLOTS],
                                                      p->device, &c->weights, count));
    }
    attune_cuda_send_parcel(c, p, SEQUENCE);
    return attune_cuda_outcome(&c->gpu, "beginning tracks");
}

/* Falls as the length grows; lengths under 2^(LENGTH_BITS + 1) have each their own key, longer ones
 * share one with lengths within 2^-LENGTH_BITS of theirs. */
static uint32_t length_key(uint32_t count)
{
    const int magnitude = 31 - __builtin_clz(count);
    const int shift = magnitude > LENGTH_BITS ? magnitude - LENGTH_BITS : 0;
    return LENGTH_KEYS - 1 - (((uint32_t)shift << LENGTH_BITS) + (count >> shift));
}

/* Longest first, so that blocks hold tracks of similar lengths and the longest chain starts first.
 */
static void sort_segments(attune_segment *out, const attune_segment *in, uint32_t count)
{
    uint32_t at[LENGTH_KEYS] = {0}, sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        at[length_key(in[i].count)]++;
    }
    for (uint32_t k = 0; k < LENGTH_KEYS; k++) {
        const uint32_t here = at[k];
        at[k] = sum;
        sum += here;
    }
    for (uint32_t i = 0; i < count; i++) {
        out[at[length_key(in[i].count)]++] = in[i];
    }
}

static attune_status cuda_sequence(void *context, int features, const attune_segment *segments,
                                   uint32_t count)
{
    attune_cuda_context *c = context;
    const attune_batch_options *o = &c->options;
    uint32_t first = UINT32_MAX, end = 0;
    bool is_good = count <= o->segments;
    for (uint32_t i = 0; is_good && i < count; i++) {
        const attune_segment s = segments[i];
        is_good = s.count > 0 && s.slot < o->slots && s.first < o->feature_rows &&
                  s.count <= o->feature_rows - s.first;
        first = s.first < first ? s.first : first;
        end = s.first + s.count > end ? s.first + s.count : end;
    }
    if (!is_good) {
        return fail_bounds("segments");
    }
    attune_status status = attune_cuda_enter(&c->gpu);
    if (status != ATTUNE_OK || count == 0) {
        return status;
    }
    attune_cuda_parcel *p = attune_cuda_take_parcel(c);
    if (attune_cuda_is_well(&c->gpu)) {
        sort_segments(p->host, segments, count);
    }
    attune_cuda_copy(c, p->device, p->host, count * sizeof(attune_segment), cudaMemcpyHostToDevice,
                     SEQUENCE);
    attune_cuda_wait_in_stream(c, SEQUENCE, c->events[FEATURES_WRITTEN][features]);
    attune_cuda_record(c, p->began, SEQUENCE);
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu, attune_cuda_sequence(
                                        c->streams[SEQUENCE], c->device[SLOTS], c->device[SCRATCH],
                                        c->device[FEATURES0 + features], p->device, &c->weights,
                                        first, end - first, count, c->gpu.multiprocessors));
    }
    attune_cuda_send_parcel(c, p, SEQUENCE);
    attune_cuda_record(c, c->events[FEATURES_READ][features], SEQUENCE);
    return attune_cuda_outcome(&c->gpu, "the sequence stage");
}

static attune_status cuda_wait_features(void *context, int features)
{
    return wait_for(context, FEATURES_READ, features, "waiting for features");
}

static attune_status cuda_finish(void *context, float *embeddings, const uint32_t *slots,
                                 uint32_t count)
{
    attune_cuda_context *c = context;
    attune_status status = check_slots(c, slots, count);
    if (status == ATTUNE_OK) {
        status = attune_cuda_enter(&c->gpu);
    }
    if (status != ATTUNE_OK || count == 0) {
        return status;
    }
    const size_t bytes = (size_t)count * (size_t)c->weights.network.embedding * sizeof(float);
    attune_cuda_parcel *p = send_list(c, slots, count * sizeof(uint32_t));
    attune_cuda_record(c, p->began, SEQUENCE);
    if (attune_cuda_is_well(&c->gpu)) {
        attune_cuda_called(&c->gpu,
                           attune_cuda_head(c->streams[SEQUENCE], c->device[EMBEDDINGS],
                                            c->device[SLOTS], p->device, &c->weights, count));
    }
    attune_cuda_copy(c, c->host[EMBEDDINGS], c->device[EMBEDDINGS], bytes, cudaMemcpyDeviceToHost,
                     SEQUENCE);
    attune_cuda_send_parcel(c, p, SEQUENCE);
    attune_cuda_wait_on_host(c, p->done);
    if (attune_cuda_is_well(&c->gpu)) {
        memcpy(embeddings, c->host[EMBEDDINGS], bytes);
    }
    return attune_cuda_outcome(&c->gpu, "the embeddings");
}

const attune_batch_kernels *attune_kernels_cuda(void)
{
    static const attune_batch_kernels table = {
        .device = "cuda",
        .count = attune_cuda_count,
        .memory_free = cuda_memory_free,
        .memory_needed = attune_cuda_memory_needed,
        .open = cuda_open,
        .close = attune_cuda_close,
        .name = cuda_name,
        .pcm = cuda_pcm,
        .frontend = cuda_frontend,
        .wait_pcm = cuda_wait_pcm,
        .begin = cuda_begin,
        .sequence = cuda_sequence,
        .wait_features = cuda_wait_features,
        .finish = cuda_finish,
        .busy_seconds = attune_cuda_busy_seconds,
    };
    return &table;
}
