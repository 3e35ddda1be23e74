/* bench_engine.c - PCM in host memory to embeddings through the batch table alone. Not yet run on a
 * GPU.
 *
 *   bench_engine [--model FILE] [--precision exact|fast|both] [--tracks N] [--limit SECONDS]
 * [--threads N] [--json FILE]
 *
 * Tracks of one length or of mixed lengths are packed one behind the other into the PCM buffers, as
 * the engine packs them, and go through frontend, sequence and finish. Their samples are noise: a
 * pool larger than the host's caches is read again and again, so that any number of tracks fits.
 * Two ways to fill the PCM buffers: resident  they are filled once before the clock starts: the
 * device and its link alone copied    N threads copy every sample from pageable f32 (and convert it
 * to Q14 for `fast`) while the clock runs The clock runs from the first fill to the last embedding.
 * A case that passes the limit stops early and says so. Peers and the link's own limit:
 * bench/peers/torch_peer.py and bench_kernels, run beside this by gpu_check.sh. */
#include "bench/bench.h"
#include "kernels/batch.h"
#include "status/machine.h"

#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PCM_FRAMES = 8192, /* 64 MiB of f32, 1.2 ms of a PCIe 5 link */
    FEATURE_ROWS =
        32 * PCM_FRAMES, /* 64 MiB, 814 tracks of 30 s: enough to fill the device in sequence */
    SEGMENTS = 1 << 15,
    SLOTS = 1 << 13,
    THREADS_MAX = 256,
    LATENCY_REPEATS = 9,
};
static const size_t POOL_SAMPLES = (size_t)1 << 28; /* 1 GiB of f32 */

typedef struct workload {
    const char *name;
    double shortest,
        longest; /* seconds; lengths between them are spread evenly in their logarithm */
} workload;

/* Threads that fill a PCM buffer together: each takes its share, all meet at both barriers. */
typedef struct filler {
    pthread_barrier_t start, end;
    pthread_t threads[THREADS_MAX];
    int count;
    bool has_work;
    const float *from; /* pageable f32 */
    void *to;          /* pinned */
    size_t samples;
    attune_pcm format;
} filler;

typedef struct worker {
    filler *filler;
    int index;
} worker;

typedef struct bench {
    const attune_batch_kernels *kernels;
    void *context;
    const attune_network *network;
    attune_batch_options options;
    attune_pcm format;
    float *pool;
    size_t pool_at;
    filler filler;
    /* the tracks under way */
    attune_segment *segments;
    uint32_t segment_count;
    uint32_t *slots; /* (SLOTS): 0, 1, 2 ... as they are handed out */
    uint32_t slot_count, begun, finished;
    uint32_t *start;
    float *embeddings;
    uint64_t lengths; /* state of the generator of lengths */
    uint32_t left;    /* frames left of the track under way */
    uint32_t row;     /* rows taken of the feature buffer */
    int buffer, features;
    FILE *json;
    int records;
} bench;

static void check(attune_status status)
{
    if (status != ATTUNE_OK) {
        fprintf(stderr, "bench_engine: %s: %s\n", attune_status_text(status), attune_last_error());
        exit(69);
    }
}

static void *need(void *memory)
{
    if (!memory) {
        fprintf(stderr, "bench_engine: out of memory\n");
        exit(71);
    }
    return memory;
}

static void fill_share(const filler *f, int index)
{
    const size_t first = f->samples * (size_t)index / (size_t)f->count;
    const size_t last = f->samples * ((size_t)index + 1) / (size_t)f->count;
    if (f->format == ATTUNE_PCM_F32) {
        memcpy((float *)f->to + first, f->from + first, (last - first) * sizeof(float));
        return;
    }
    int16_t *to = f->to;
    for (size_t i = first; i < last; i++) {
        const float x = f->from[i] * 16384.0f;
        const float low = x < -32768.0f ? -32768.0f : x;
        to[i] = (int16_t)lrintf(low > 32767.0f ? 32767.0f : low);
    }
}

static void *fill_thread(void *argument)
{
    worker *w = argument;
    filler *f = w->filler;
    for (;;) {
        pthread_barrier_wait(&f->start);
        if (!f->has_work) {
            break;
        }
        fill_share(f, w->index);
        pthread_barrier_wait(&f->end);
    }
    free(w);
    return NULL;
}

static void filler_open(filler *f, int count)
{
    f->count = count;
    f->has_work = true;
    if (pthread_barrier_init(&f->start, NULL, (unsigned)count + 1) ||
        pthread_barrier_init(&f->end, NULL, (unsigned)count + 1)) {
        need(NULL);
    }
    for (int i = 0; i < count; i++) {
        worker *w = need(malloc(sizeof(*w)));
        *w = (worker){.filler = f, .index = i};
        if (pthread_create(&f->threads[i], NULL, fill_thread, w)) {
            need(NULL);
        }
    }
}

static void filler_close(filler *f)
{
    f->has_work = false;
    pthread_barrier_wait(&f->start);
    for (int i = 0; i < f->count; i++) {
        pthread_join(f->threads[i], NULL);
    }
    pthread_barrier_destroy(&f->start);
    pthread_barrier_destroy(&f->end);
}

static void fill_pcm(bench *b, int buffer, size_t samples)
{
    filler *f = &b->filler;
    if (b->pool_at + samples > POOL_SAMPLES) {
        b->pool_at = 0;
    }
    f->from = b->pool + b->pool_at;
    f->to = b->kernels->pcm(b->context, buffer);
    f->samples = samples;
    f->format = b->format;
    pthread_barrier_wait(&f->start);
    pthread_barrier_wait(&f->end);
    b->pool_at += samples;
}

/* Frames of the next track. */
static uint32_t next_length(bench *b, const workload *w)
{
    b->lengths = b->lengths * 6364136223846793005u + 1442695040888963407u;
    const double share = (double)(b->lengths >> 11) * 0x1p-53;
    const double seconds = w->shortest * pow(w->longest / w->shortest, share);
    const double samples = seconds * b->network->sample_rate;
    return (uint32_t)attune_network_frames(b->network, (uint64_t)samples);
}

/* Every component finite, every embedding of length 1. */
static void check_embeddings(const bench *b, uint32_t count)
{
    const size_t E = (size_t)b->network->embedding;
    for (uint32_t i = 0; i < count; i++) {
        double square = 0;
        for (size_t e = 0; e < E; e++) {
            const double x = (double)b->embeddings[i * E + e];
            square += x * x;
        }
        if (!(fabs(square - 1) < 1e-4)) {
            fprintf(stderr, "bench_engine: an embedding has the length %g\n", sqrt(square));
            exit(70);
        }
    }
}

typedef struct outcome {
    uint32_t tracks;
    double frames, seconds, busy;
    bool is_cut; /* the limit came first */
} outcome;

/* Gives the next track a slot. False when there is no track or no slot left. */
static bool begin_track(bench *b, const workload *w, outcome *o, uint32_t tracks)
{
    if (o->tracks == tracks || o->is_cut || b->slot_count == SLOTS) {
        return false;
    }
    b->left = next_length(b, w);
    b->slots[b->slot_count] = b->slot_count;
    b->slot_count++;
    o->tracks++;
    return true;
}

/* The next frames of the track under way: *F frames stand in the PCM buffer already, *at samples.
 */
static void take_frames(bench *b, uint32_t *F, uint32_t *at)
{
    const uint32_t N = (uint32_t)b->network->frame_size, hop = (uint32_t)b->network->hop_size;
    uint32_t count = (b->options.pcm_samples - *at - N) / hop + 1;
    count = count < b->left ? count : b->left;
    count = count < PCM_FRAMES - *F ? count : PCM_FRAMES - *F;
    for (uint32_t f = 0; f < count; f++) {
        b->start[*F + f] = *at + f * hop;
    }
    attune_segment *last = b->segment_count ? &b->segments[b->segment_count - 1] : NULL;
    if (last && last->slot == b->slot_count - 1) {
        last->count += count;
    } else {
        b->segments[b->segment_count++] = (attune_segment){b->slot_count - 1, b->row + *F, count};
    }
    *at += (count - 1) * hop + N;
    *F += count;
    b->left -= count;
}

/* Fills one PCM buffer and starts its front end; returns its frames. */
static uint32_t run_frontend(bench *b, const workload *w, outcome *o, uint32_t tracks,
                             bool is_copied)
{
    uint32_t F = 0, at = 0;
    while (F < PCM_FRAMES && b->segment_count < SEGMENTS &&
           at + (uint32_t)b->network->frame_size <= b->options.pcm_samples &&
           (b->left > 0 || begin_track(b, w, o, tracks))) {
        take_frames(b, &F, &at);
    }
    if (F > 0) {
        check(b->kernels->wait_pcm(b->context, b->buffer));
        if (is_copied) {
            fill_pcm(b, b->buffer, at);
        }
        check(b->kernels->frontend(b->context, b->buffer, b->start, F, b->features, b->row));
        b->buffer ^= 1;
        b->row += F;
        o->frames += F;
    }
    return F;
}

/* Starts the sequence stage of the feature buffer and turns to the other one. */
static void run_sequence(bench *b)
{
    if (b->begun < b->slot_count) {
        check(b->kernels->begin(b->context, b->slots + b->begun, b->slot_count - b->begun));
        b->begun = b->slot_count;
    }
    if (b->segment_count > 0) {
        check(b->kernels->sequence(b->context, b->features, b->segments, b->segment_count));
        b->segment_count = 0;
        b->features ^= 1;
        b->row = 0;
        check(b->kernels->wait_features(b->context, b->features));
    }
}

/* Embeddings of the tracks that have ended since the last time. */
static void finish_tracks(bench *b)
{
    const uint32_t ended = b->left > 0 ? b->slot_count - 1 : b->slot_count;
    if (ended > b->finished) {
        const uint32_t count = ended - b->finished;
        check(b->kernels->finish(b->context, b->embeddings, b->slots + b->finished, count));
        check_embeddings(b, count);
    }
    b->finished = ended;
    if (ended == SLOTS) { /* all are free again */
        b->slot_count = b->begun = b->finished = 0;
    }
}

/* Embeds `tracks` tracks. Frames fill the PCM buffers by turns; a feature buffer takes several of
 * them. A track that lies across two feature buffers comes in two segments of the same slot. After
 * each, the tracks that have ended are finished, as the engine does after every batch. Slots are
 * handed out in order, and anew when all were taken and their tracks have ended. */
static outcome run(bench *b, const workload *w, uint32_t tracks, double limit, bool is_copied)
{
    const double start = attune_seconds(), busy = b->kernels->busy_seconds(b->context);
    outcome o = {0};
    b->lengths = 1;
    while (b->left > 0 || (o.tracks < tracks && !o.is_cut)) {
        const uint32_t F = run_frontend(b, w, &o, tracks, is_copied);
        if (F == 0 || b->row + PCM_FRAMES > FEATURE_ROWS || b->segment_count == SEGMENTS) {
            run_sequence(b);
            finish_tracks(b);
        }
        o.is_cut = o.is_cut || attune_seconds() - start > limit;
    }
    run_sequence(b);
    finish_tracks(b);
    o.seconds = attune_seconds() - start;
    o.busy = b->kernels->busy_seconds(b->context) - busy;
    return o;
}

static void report(bench *b, const char *precision, const char *name, bool is_copied, outcome o)
{
    const double hours = bench_hours(b->network, o.frames);
    const char *fill = is_copied ? "copied" : "resident";
    printf("%-6s %-18s %-9s %7u %9.1f %9.3f %10.1f %6.0f %%%s\n", precision, name, fill, o.tracks,
           hours, o.seconds, hours / o.seconds, 100 * o.busy / o.seconds,
           o.is_cut ? "  stopped at the limit" : "");
    fflush(stdout);
    if (b->json) {
        fprintf(
            b->json,
            "%s\n  {\"precision\": \"%s\", \"lengths\": \"%s\", \"pcm\": \"%s\", \"tracks\": %u, "
            "\"hours\": %.3f, \"seconds\": %.6f, \"hours_per_second\": %.3f, \"busy\": %.4f, "
            "\"stopped\": %s}",
            b->records++ ? "," : "", precision, name, fill, o.tracks, hours, o.seconds,
            hours / o.seconds, o.busy / o.seconds, o.is_cut ? "true" : "false");
    }
}

/* The time from the first sample to the embedding of one track that has the device to itself. */
static void run_latency(bench *b, const char *precision)
{
    static const workload four_minutes = {"one 4 min track", 240, 240};
    outcome middle = {0};
    double seconds[LATENCY_REPEATS];
    for (int i = 0; i < LATENCY_REPEATS; i++) {
        middle = run(b, &four_minutes, 1, 60, true);
        seconds[i] = middle.seconds;
    }
    middle.seconds = bench_median(seconds, LATENCY_REPEATS);
    report(b, precision, four_minutes.name, true, middle);
}

static void open_device(bench *b, const attune_model *model, attune_precision precision)
{
    size_t before = 0, after = 0;
    b->format = precision == ATTUNE_PRECISION_EXACT ? ATTUNE_PCM_F32 : ATTUNE_PCM_Q14;
    b->options = (attune_batch_options){
        .precision = precision,
        .pcm_samples = PCM_FRAMES * (uint32_t)b->network->frame_size,
        .pcm_frames = PCM_FRAMES,
        .feature_rows = FEATURE_ROWS,
        .segments = SEGMENTS,
        .slots = SLOTS,
    };
    check(b->kernels->memory_free(0, &before));
    check(b->kernels->open(&b->context, model, &b->options));
    check(b->kernels->memory_free(0, &after));
    const size_t needed = b->kernels->memory_needed(b->network, &b->options);
    printf("%s, %s: device memory %.1f MiB asked for, %.1f MiB taken\n",
           b->kernels->name(b->context), precision == ATTUNE_PRECISION_EXACT ? "exact" : "fast",
           (double)needed / 0x1p20, (double)(before - after) / 0x1p20);
}

static void run_precision(bench *b, const attune_model *model, attune_precision precision,
                          uint32_t tracks, double limit)
{
    static const workload workloads[] = {
        {"30 s", 30, 30}, {"4 min", 240, 240}, {"5 s to 20 min", 5, 1200}};
    const char *name = precision == ATTUNE_PRECISION_EXACT ? "exact" : "fast";
    open_device(b, model, precision);
    for (int buffer = 0; buffer < 2; buffer++) {
        fill_pcm(b, buffer, b->options.pcm_samples);
    }
    run(b, &workloads[0], tracks / 8 + 1, limit, true); /* warms up */
    for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
        for (int is_copied = 0; is_copied < 2; is_copied++) {
            report(b, name, workloads[i].name, is_copied,
                   run(b, &workloads[i], tracks, limit, is_copied));
        }
    }
    run_latency(b, name);
    b->kernels->close(b->context);
    b->context = NULL;
}

static void allocate(bench *b)
{
    b->pool = need(malloc(POOL_SAMPLES * sizeof(float)));
    bench_noise(b->pool, POOL_SAMPLES / 64);
    for (size_t part = POOL_SAMPLES / 64; part < POOL_SAMPLES; part *= 2) {
        memcpy(b->pool + part, b->pool, part * sizeof(float));
    }
    b->segments = need(malloc(SEGMENTS * sizeof(*b->segments)));
    b->slots = need(malloc(SLOTS * sizeof(*b->slots)));
    b->start = need(malloc(PCM_FRAMES * sizeof(*b->start)));
    b->embeddings = need(malloc((size_t)SLOTS * (size_t)b->network->embedding * sizeof(float)));
}

typedef struct arguments {
    const char *model, *precision, *json;
    uint32_t tracks;
    double limit;
    int threads;
} arguments;

static arguments parse(int argc, char **argv)
{
    static const struct option options[] = {{"model", required_argument, NULL, 'm'},
                                            {"precision", required_argument, NULL, 'p'},
                                            {"tracks", required_argument, NULL, 't'},
                                            {"limit", required_argument, NULL, 'l'},
                                            {"threads", required_argument, NULL, 'n'},
                                            {"json", required_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    arguments a = {.precision = "both", .tracks = 10000, .limit = 20};
    a.threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'm':
            a.model = optarg;
            break;
        case 'p':
            a.precision = optarg;
            break;
        case 't':
            a.tracks = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'l':
            a.limit = strtod(optarg, NULL);
            break;
        case 'n':
            a.threads = atoi(optarg);
            break;
        case 'j':
            a.json = optarg;
            break;
        default:
            exit(64);
        }
    }
    a.threads = a.threads < 1 ? 1 : a.threads < THREADS_MAX ? a.threads : THREADS_MAX;
    return a;
}

int main(int argc, char **argv)
{
    static bench b;
    const arguments a = parse(argc, argv);
    attune_model *model = bench_model(a.model);
    b.kernels = attune_kernels_cuda();
    b.network = attune_model_network(model);
    if (b.kernels->count() == 0) {
        fprintf(stderr, "bench_engine: %s\n", attune_last_error());
        attune_model_close(model);
        return 78;
    }
    allocate(&b);
    filler_open(&b.filler, a.threads);
    b.json = bench_json_open(a.json);
    if (b.json) {
        fprintf(b.json, "{\"bench\": \"engine\", \"threads\": %d, \"runs\": [", a.threads);
    }
    printf("PCM in host memory to embeddings; copied: by %d threads\n", a.threads);
    printf("%-6s %-18s %-9s %7s %9s %9s %10s %8s\n", "", "lengths", "PCM", "tracks", "hours",
           "seconds", "hours/s", "busy");
    if (strcmp(a.precision, "fast") != 0) {
        run_precision(&b, model, ATTUNE_PRECISION_EXACT, a.tracks, a.limit);
    }
    if (strcmp(a.precision, "exact") != 0) {
        run_precision(&b, model, ATTUNE_PRECISION_FAST, a.tracks, a.limit);
    }
    if (b.json) {
        fprintf(b.json, "\n]}\n");
        fclose(b.json);
    }
    filler_close(&b.filler);
    free(b.pool);
    free(b.segments);
    free(b.slots);
    free(b.start);
    free(b.embeddings);
    attune_model_close(model);
    return 0;
}
