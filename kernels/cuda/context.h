/* context.h - one CUDA device held open: its memory, streams, events and errors; private to
 * kernels/cuda.
 *
 * Three streams, so that the link, the front end and the GRU's long chain of small steps overlap:
 *
 *   copy      PCM and starts, host to device
 *   front     front ends
 *   sequence  begin, sequence, finish; of a higher priority: few multiprocessors, but long
 *
 *   pcm_copied[b]        copy -> front, and the host fills PCM buffer b again
 *   pcm_read[b]          front -> copy: the device's PCM buffer b may be overwritten
 *   features_written[f]  front -> sequence
 *   features_read[f]     sequence -> the host, which then may start front ends into buffer f again
 *
 * Starts, segments and lists of slots go through a ring of parcels: pinned memory and its twin on
 * the device, with two events around the kernels that read it. A parcel is used again when its
 * second event has come; the time between the two is the device's busy time.
 *
 * Once a CUDA call has failed all later ones are left out (gpu.h). Host threads that wait sleep,
 * for the cores belong to the decoders. */
#ifndef ATTUNE_KERNELS_CUDA_CONTEXT_H
#define ATTUNE_KERNELS_CUDA_CONTEXT_H

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/gpu.h"

/* Device memory by purpose. PCM, parcels and embeddings have a pinned twin on the host. */
enum { PCM0, PCM1, FEATURES0, FEATURES1, SLOTS, SCRATCH, WEIGHTS, LISTS, EMBEDDINGS, BUFFERS };
enum { PCM_COPIED, PCM_READ, FEATURES_WRITTEN, FEATURES_READ, EVENTS };
enum { COPY, FRONT, SEQUENCE, STREAMS };
enum { PARCELS = 16 };

typedef struct attune_cuda_parcel {
    void *host, *device;
    cudaEvent_t began, done;
    bool is_under_way;
} attune_cuda_parcel;

typedef struct attune_cuda_context {
    attune_cuda_gpu gpu;
    attune_batch_options options;
    attune_cuda_weights weights;
    void *device[BUFFERS], *host[BUFFERS];
    cudaStream_t streams[STREAMS];
    cudaEvent_t events[EVENTS][2];
    attune_cuda_parcel parcels[PARCELS];
    uint32_t next_parcel;
    /* busy time, in milliseconds since open: that of `reference`, and up to when intervals were
     * counted */
    cudaEvent_t reference;
    double reference_time, counted_until, busy;
} attune_cuda_context;

size_t attune_cuda_memory_needed(const attune_network *network,
                                 const attune_batch_options *options);

/* Fills in a zeroed context whose options are set, on the device that the caller has chosen. What a
 * failure leaves half-made, close takes. */
attune_status attune_cuda_open(attune_cuda_context *c, const attune_model *model);
void attune_cuda_close(void *context);

/* CUDA calls that do nothing once one has failed. */
void attune_cuda_record(attune_cuda_context *c, cudaEvent_t event, int stream);
/* `stream` goes on when `event` has come; at once if it was never recorded. */
void attune_cuda_wait_in_stream(attune_cuda_context *c, int stream, cudaEvent_t event);
void attune_cuda_wait_on_host(attune_cuda_context *c, cudaEvent_t event);
void attune_cuda_copy(attune_cuda_context *c, void *to, const void *from, size_t bytes,
                      enum cudaMemcpyKind kind, int stream);

/* The next parcel of the ring, free to be written. */
attune_cuda_parcel *attune_cuda_take_parcel(attune_cuda_context *c);
/* Records that the kernels queued on `stream` since p->began are the last to read it. */
void attune_cuda_send_parcel(attune_cuda_context *c, attune_cuda_parcel *p, int stream);

double attune_cuda_busy_seconds(void *context);

#endif
