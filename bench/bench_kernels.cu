/* bench_kernels.cu - every CUDA kernel beside the limit that binds it. Not yet run on a GPU.
 *
 *   bench_kernels [--model FILE] [--json FILE]
 *
 * Limits are measured first, in the same run: the pinned copy to the device, the copy within it,
 * multiply-adds and special functions a second. A kernel's bound is what it must do at least, at
 * these rates: issue slots (a warp's instructions, as the head of its file counts them, at the rate
 * of multiply-adds), special functions, or bytes of device memory. Times are medians of launches
 * that each take a millisecond or more, on inputs larger than L2. */
#include "bench/bench.h"
#include "kernels/cuda/cuda.h"

#include <cuda_runtime.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
#include "status/machine.h"
}

namespace
{

enum { REPEATS = 11, WARP = 32, CHAINS = 8, STEPS = 4096, THREADS = 256, BLOCKS_PER_PROCESSOR = 8 };
const double WARM_UP_SECONDS = 0.2;
enum { FRAMES = 65536, TRACKS = 2048, TRACK_FRAMES = 322, LONG_TRACK = 2583 };

/* Warp instructions of a frame, from the heads of the kernels' files. */
const double TINY_SLOTS_EXACT = 48200, TINY_SLOTS_FAST = 26600;
const double TINY_GELUS = 82944; /* one special function each in `fast`, none in `exact` */

struct rates {
    double link, copy;   /* bytes a second; a copy counts what it reads and what it writes */
    double fma, special; /* operations a second, of all threads */
};

struct bench {
    cudaStream_t stream;
    cudaEvent_t from, to;
    int multiprocessors;
    rates rate;
    attune_cuda_weights weights;
    void *blob, *pcm, *slots, *scratch;
    uint32_t *start, *slot_list;
    float *features, *gates, *states, *scores, *embeddings;
    attune_segment *segments;
    FILE *json;
    int records;
};

void check_call(int error, const char *call, int line)
{
    if (error != cudaSuccess) {
        fprintf(stderr, "bench_kernels: line %d: %s: %s\n", line, call,
                cudaGetErrorString((cudaError_t)error));
        exit(69);
    }
}
#define check(call) check_call((call), #call, __LINE__)

template <typename T> void allocate(T **memory, size_t bytes)
{
    void *at = NULL;
    check(cudaMalloc(&at, bytes));
    check(cudaMemset(at, 0, bytes));
    check(cudaDeviceSynchronize());
    *memory = (T *)at;
}

/* Independent chains of multiply-adds, more than their latency takes. */
__global__ void __launch_bounds__(THREADS) multiply_adds(float *out, float a, float b)
{
    float x[CHAINS];
    for (int c = 0; c < CHAINS; c++) {
        x[c] = (float)(threadIdx.x + c);
    }
#pragma unroll 16
    for (int i = 0; i < STEPS; i++) {
#pragma unroll
        for (int c = 0; c < CHAINS; c++) {
            x[c] = fmaf(x[c], a, b);
        }
    }
    float sum = 0;
    for (int c = 0; c < CHAINS; c++) {
        sum += x[c];
    }
    if (sum == 1.25f) { /* never: keeps the work */
        out[threadIdx.x] = sum;
    }
}

__global__ void __launch_bounds__(THREADS) special_functions(float *out, float a)
{
    float x[CHAINS];
    for (int c = 0; c < CHAINS; c++) {
        x[c] = a * (float)(threadIdx.x + c);
    }
#pragma unroll 16
    for (int i = 0; i < STEPS; i++) {
#pragma unroll
        for (int c = 0; c < CHAINS; c++) {
            asm volatile("ex2.approx.ftz.f32 %0, %0;" : "+f"(x[c]));
        }
    }
    float sum = 0;
    for (int c = 0; c < CHAINS; c++) {
        sum += x[c];
    }
    if (sum == 1.25f) {
        out[threadIdx.x] = sum;
    }
}

/* Median seconds of what `queue` puts on the stream, at the clock that it has after a while of it.
 */
double time_of(bench *b, void (*queue)(bench *))
{
    double seconds[REPEATS];
    const double start = attune_seconds();
    check(cudaDeviceSynchronize()); /* what was copied on no stream */
    do {
        queue(b);
        check(cudaStreamSynchronize(b->stream));
    } while (attune_seconds() - start < WARM_UP_SECONDS);
    for (int i = 0; i < REPEATS; i++) {
        float milliseconds = 0;
        check(cudaEventRecord(b->from, b->stream));
        queue(b);
        check(cudaEventRecord(b->to, b->stream));
        check(cudaEventSynchronize(b->to));
        check(cudaEventElapsedTime(&milliseconds, b->from, b->to));
        seconds[i] = 1e-3 * (double)milliseconds;
    }
    return bench_median(seconds, REPEATS);
}

/* --- limits --- */

const size_t LINK_BYTES = (size_t)256 << 20, COPY_BYTES = (size_t)1 << 30;
void *link_host, *copy_device[2];

void queue_link(bench *b)
{
    check(
        cudaMemcpyAsync(copy_device[0], link_host, LINK_BYTES, cudaMemcpyHostToDevice, b->stream));
}

void queue_copy(bench *b)
{
    check(cudaMemcpyAsync(copy_device[1], copy_device[0], COPY_BYTES, cudaMemcpyDeviceToDevice,
                          b->stream));
}

void queue_fma(bench *b)
{
    multiply_adds<<<b->multiprocessors * BLOCKS_PER_PROCESSOR, THREADS, 0, b->stream>>>(
        (float *)copy_device[0], 0.999f, 1e-3f);
    check(cudaGetLastError());
}

void queue_special(bench *b)
{
    special_functions<<<b->multiprocessors * BLOCKS_PER_PROCESSOR, THREADS, 0, b->stream>>>(
        (float *)copy_device[0], 1e-3f);
    check(cudaGetLastError());
}

void measure_limits(bench *b, const attune_network *n)
{
    const double operations =
        (double)b->multiprocessors * BLOCKS_PER_PROCESSOR * THREADS * CHAINS * STEPS;
    check(cudaHostAlloc(&link_host, LINK_BYTES, cudaHostAllocDefault));
    memset(link_host, 1, LINK_BYTES);
    allocate(&copy_device[0], COPY_BYTES);
    allocate(&copy_device[1], COPY_BYTES);
    b->rate.link = (double)LINK_BYTES / time_of(b, queue_link);
    b->rate.copy = 2.0 * (double)COPY_BYTES / time_of(b, queue_copy);
    b->rate.fma = operations / time_of(b, queue_fma);
    b->rate.special = operations / time_of(b, queue_special);
    check(cudaFreeHost(link_host));
    check(cudaFree(copy_device[0]));
    check(cudaFree(copy_device[1]));
    const double link = bench_hours(n, b->rate.link / n->hop_size);
    printf("limits: link %.1f GB/s (%.0f h/s of f32, %.0f of Q14), device copy %.0f GB/s, "
           "%.2f T multiply-adds/s, %.2f T special functions/s\n",
           1e-9 * b->rate.link, link / 4, link / 2, 1e-9 * b->rate.copy, 1e-12 * b->rate.fma,
           1e-12 * b->rate.special);
    if (b->json) {
        fprintf(
            b->json,
            "\"limits\": {\"link_bytes\": %.0f, \"copy_bytes\": %.0f, \"fma\": %.0f, \"special\": "
            "%.0f, \"link_hours_f32\": %.2f, \"link_hours_q14\": %.2f},\n\"kernels\": [",
            b->rate.link, b->rate.copy, b->rate.fma, b->rate.special, link / 4, link / 2);
    }
}

/* --- kernels --- */

/* What one launch must do at least. */
struct floor_of {
    double slots, special, bytes;
};

void report(bench *b, const char *name, double frames, double seconds, floor_of least)
{
    double bound = least.slots * WARP / b->rate.fma;
    const char *by = "issue";
    if (least.special / b->rate.special > bound) {
        bound = least.special / b->rate.special;
        by = "special";
    }
    if (least.bytes / b->rate.copy > bound) {
        bound = least.bytes / b->rate.copy;
        by = "memory";
    }
    const double hours = bench_hours(&b->weights.network, frames);
    printf("%-28s %10.0f %10.3f %12.0f %12.0f %8s %7.0f %%\n", name, frames, 1e3 * seconds,
           hours / seconds, hours / bound, by, 100 * bound / seconds);
    if (b->json) {
        fprintf(
            b->json,
            "%s\n  {\"name\": \"%s\", \"frames\": %.0f, \"seconds\": %.9f, \"hours_per_second\": "
            "%.2f, \"bound_hours_per_second\": %.2f, \"bound_by\": \"%s\", \"share\": %.4f}",
            b->records++ ? "," : "", name, frames, seconds, hours / seconds, hours / bound, by,
            bound / seconds);
    }
}

void queue_frontend(bench *b, attune_pcm format, attune_precision precision)
{
    check(attune_cuda_frontend(b->stream, b->features, b->pcm, b->start, &b->weights, format,
                               precision, FRAMES));
}

void queue_exact(bench *b)
{
    queue_frontend(b, ATTUNE_PCM_F32, ATTUNE_PRECISION_EXACT);
}

void queue_fast(bench *b)
{
    queue_frontend(b, ATTUNE_PCM_Q14, ATTUNE_PRECISION_FAST);
}

void bench_frontend(bench *b)
{
    const attune_network *n = &b->weights.network;
    const double F = FRAMES, scale = n->frame_size / 2048.0, hop = n->hop_size;
    double exact = TINY_SLOTS_EXACT * scale, fast = TINY_SLOTS_FAST * scale,
           special = TINY_GELUS * scale;
    if (n->architecture == ATTUNE_ARCHITECTURE_GRU) { /* multiply-adds alone */
        const double N = n->frame_size;
        exact = fast = (N / 2 * 64 * 7 + N / 8 * 128 * 64 * 5) / WARP;
        special = 0;
    }
    report(b, "frontend exact, f32", F, time_of(b, queue_exact), {exact * F, 0, F * hop * 4});
    report(b, "frontend fast, Q14", F, time_of(b, queue_fast),
           {fast * F, special * F, F * hop * 2});
}

uint32_t sequence_tracks, sequence_frames;

void queue_sequence(bench *b)
{
    const uint32_t rows = sequence_tracks * sequence_frames;
    check(attune_cuda_sequence(b->stream, b->slots, b->scratch, b->features, b->segments,
                               &b->weights, 0, rows, sequence_tracks, b->multiprocessors));
}

void queue_products(bench *b)
{
    check(attune_cuda_input_products(b->stream, b->gates, b->states, &b->weights.gru[1],
                                     b->weights.network.hidden, TRACKS * TRACK_FRAMES));
}

void queue_gru(bench *b)
{
    check(attune_cuda_gru_layer(b->stream, b->states, b->slots, b->gates, b->segments, &b->weights,
                                b->weights.network.layers - 1, TRACKS, b->multiprocessors));
}

void queue_scores(bench *b)
{
    check(attune_cuda_scores(b->stream, b->scores, b->states, &b->weights, TRACKS * TRACK_FRAMES));
}

void queue_pool(bench *b)
{
    check(attune_cuda_pool(b->stream, b->slots, b->scores, b->states, b->segments, &b->weights,
                           TRACKS));
}

void queue_head(bench *b)
{
    check(attune_cuda_head(b->stream, b->embeddings, b->slots, b->slot_list, &b->weights, TRACKS));
}

/* `count` tracks of `frames` frames, and the slots' states forgotten. */
void set_segments(bench *b, uint32_t count, uint32_t frames)
{
    attune_segment *segments = (attune_segment *)malloc(count * sizeof(*segments));
    if (!segments) {
        check(cudaErrorMemoryAllocation);
    }
    for (uint32_t i = 0; i < count; i++) {
        segments[i] = {i, i * frames, frames};
    }
    check(cudaMemcpy(b->segments, segments, count * sizeof(*segments), cudaMemcpyHostToDevice));
    free(segments);
    sequence_tracks = count;
    sequence_frames = frames;
    check(attune_cuda_begin(b->stream, b->slots, b->slot_list, &b->weights, count));
}

/* Multiply-adds of a frame with which the sequence stage cannot do without, as warp instructions.
 */
floor_of sequence_floor(const attune_network *n, double F)
{
    double sum = n->attention * (n->hidden + 1.0);
    for (int l = 0; l < n->layers; l++) {
        sum += 3.0 * n->hidden * (n->hidden + (l == 0 ? n->features : n->hidden));
    }
    return {sum * F / WARP, 0, 4.0 * n->features * F};
}

void bench_sequence(bench *b)
{
    const attune_network *n = &b->weights.network;
    const double F = (double)TRACKS * TRACK_FRAMES, H = n->hidden, A = n->attention;
    set_segments(b, TRACKS, TRACK_FRAMES);
    report(b, "sequence, 2048 x 30 s", F, time_of(b, queue_sequence), sequence_floor(n, F));
    if (n->layers > 1) {
        report(b, "  input products, layer 1", F, time_of(b, queue_products),
               {3 * H * H * F / WARP, 0, 4 * (H + 3 * H) * F});
    }
    /* a load for four multiply-adds: states come from shared memory, four at a time */
    report(b, "  recurrence, one layer", F, time_of(b, queue_gru),
           {3 * H * H * 1.25 * F / WARP, 0, 4 * (H + 3 * H) * F});
    if (A > 0) {
        report(b, "  attention scores", F, time_of(b, queue_scores),
               {A * (H + 1) * F / WARP, A * F, 4 * H * F});
    }
    if (n->pooling != ATTUNE_POOLING_LAST) {
        report(b, "  pooling", F, time_of(b, queue_pool), {0, 0, 4 * (H + 1) * F});
    }
    report(b, "head, of 2048 tracks", F, time_of(b, queue_head),
           {n->projection * (H + n->embedding) * TRACKS / WARP, 0, 4 * H * TRACKS});
    set_segments(b, 1, LONG_TRACK);
    report(b, "sequence, one 4 min track", LONG_TRACK, time_of(b, queue_sequence),
           sequence_floor(n, LONG_TRACK));
}

/* --- setting up --- */

void upload_weights(bench *b, const attune_model *model, const attune_network *n)
{
    const size_t bytes = attune_cuda_weights_bytes(n);
    void *blob = malloc(bytes);
    if (!blob) {
        check(cudaErrorMemoryAllocation);
    }
    allocate(&b->blob, bytes);
    attune_cuda_pack(&b->weights, blob, b->blob, model);
    check(cudaMemcpy(b->blob, blob, bytes, cudaMemcpyHostToDevice));
    free(blob);
}

void fill_pcm(bench *b, const attune_network *n)
{
    const size_t samples = (size_t)FRAMES * (size_t)n->frame_size;
    float *noise = (float *)malloc(samples * sizeof(float));
    uint32_t *start = (uint32_t *)malloc(FRAMES * sizeof(*start));
    if (!noise || !start) {
        check(cudaErrorMemoryAllocation);
    }
    bench_noise(noise, samples);
    for (uint32_t f = 0; f < FRAMES; f++) {
        start[f] = f * (uint32_t)n->frame_size;
    }
    allocate(&b->pcm, samples * sizeof(float));
    allocate(&b->start, FRAMES * sizeof(*start));
    check(cudaMemcpy(b->pcm, noise, samples * sizeof(float), cudaMemcpyHostToDevice));
    check(cudaMemcpy(b->start, start, FRAMES * sizeof(*start), cudaMemcpyHostToDevice));
    free(noise);
    free(start);
}

void set_up(bench *b, const attune_network *n)
{
    const size_t rows = (size_t)TRACKS * TRACK_FRAMES, H = (size_t)n->hidden;
    uint32_t list[TRACKS];
    for (uint32_t i = 0; i < TRACKS; i++) {
        list[i] = i;
    }
    fill_pcm(b, n);
    allocate(&b->features, rows * (size_t)n->features * sizeof(float));
    allocate(&b->gates, rows * 3 * H * sizeof(float));
    allocate(&b->states, rows * H * sizeof(float));
    allocate(&b->scores, rows * sizeof(float));
    allocate(&b->scratch, attune_cuda_scratch_bytes(n, (uint32_t)rows));
    allocate(&b->slots, TRACKS * attune_cuda_slot_bytes(n));
    allocate(&b->slot_list, sizeof(list));
    allocate(&b->segments, TRACKS * sizeof(attune_segment));
    allocate(&b->embeddings, TRACKS * (size_t)n->embedding * sizeof(float));
    check(cudaMemcpy(b->slot_list, list, sizeof(list), cudaMemcpyHostToDevice));
}

void tear_down(bench *b)
{
    void *const memory[] = {b->blob,  b->pcm,       b->start,    b->features,
                            b->gates, b->states,    b->scores,   b->scratch,
                            b->slots, b->slot_list, b->segments, b->embeddings};
    for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]); i++) {
        check(cudaFree(memory[i]));
    }
    check(cudaEventDestroy(b->from));
    check(cudaEventDestroy(b->to));
    check(cudaStreamDestroy(b->stream));
}

void open_device(bench *b)
{
    cudaDeviceProp properties;
    int runtime = 0, driver = 0;
    check(cudaGetDeviceProperties(&properties, 0));
    check(cudaRuntimeGetVersion(&runtime));
    check(cudaDriverGetVersion(&driver));
    check(cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking));
    check(cudaEventCreate(&b->from));
    check(cudaEventCreate(&b->to));
    b->multiprocessors = properties.multiProcessorCount;
    printf("%s, %d multiprocessors, compute capability %d.%d, CUDA %d.%d, driver %d.%d\n",
           properties.name, b->multiprocessors, properties.major, properties.minor, runtime / 1000,
           runtime % 1000 / 10, driver / 1000, driver % 1000 / 10);
    if (b->json) {
        fprintf(b->json, "{\"bench\": \"kernels\", \"device\": \"%s\", \"multiprocessors\": %d,\n",
                properties.name, b->multiprocessors);
    }
}

} // namespace

int main(int argc, char **argv)
{
    static const struct option options[] = {{"model", required_argument, NULL, 'm'},
                                            {"json", required_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    const char *model_path = NULL, *json_path = NULL;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c != 'm' && c != 'j') {
            return 64;
        }
        *(c == 'm' ? &model_path : &json_path) = optarg;
    }
    static bench b;
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) {
        fprintf(stderr, "bench_kernels: %s\n", cudaGetErrorString(cudaGetLastError()));
        return 78;
    }
    attune_model *model = bench_model(model_path);
    b.json = bench_json_open(json_path);
    open_device(&b);
    upload_weights(&b, model, &model->network);
    measure_limits(&b, &model->network);
    set_up(&b, &model->network);
    printf("%-28s %10s %10s %12s %12s %8s %9s\n", "", "frames", "ms", "hours/s", "bound h/s", "by",
           "share");
    bench_frontend(&b);
    bench_sequence(&b);
    if (b.json) {
        fprintf(b.json, "\n]}\n");
        fclose(b.json);
    }
    tear_down(&b);
    attune_model_close(model);
    return 0;
}
