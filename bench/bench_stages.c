/* bench_stages.c - where the time of `attune embed` on the CPU goes, and what another worker gains.
 *
 *   bench_stages [-p] MODEL.onnx WORKERS INPUT...
 *
 * Runs the job with one worker and with WORKERS by turns, and prints for every stage the time that
 * 30 s of audio take there. The linker puts a timer around the functions at the stages' borders
 * (bench/CMakeLists.txt names them), so what runs is the library as it is. A stage's time is its
 * own: what it spends in another one counts there, and what the timers cost has a row. Every
 * worker's time is in some row: its loop is `other`, and once it has no file left, or before there
 * are workers, it waits.
 *
 * With -p, stages are in processor time, for a machine that is busy with something else; what the
 * wall adds to it is a row too. That clock costs twenty times as much to read, so that the small
 * rows are then good to half a millisecond only. */
#include "attune/attune.h"
#include "audio/decode.h"
#include "audio/place.h"
#include "audio/resample.h"
#include "bench/bench.h"
#include "engine/track_done.h"
#include "status/machine.h"
#include "store/rows.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { TURNS = 5, DEPTH = 8 };

#define STAGES(X)                                                                                  \
    X(OPEN, "open, probe, close")                                                                  \
    X(READ, "read")                                                                                \
    X(DEMUX, "demux")                                                                              \
    X(DECODE, "decode")                                                                            \
    X(RESAMPLE, "resample")                                                                        \
    X(SAMPLES, "check samples")                                                                    \
    X(NETWORK, "network")                                                                          \
    X(ROWS, "rows, their lock")                                                                    \
    X(TIMERS, "the timers")                                                                        \
    X(OTHER, "other")                                                                              \
    X(BLOCKED, "wait: blocked (-p)")                                                               \
    X(IDLE, "wait: no file left")                                                                  \
    X(ENGINES, "wait: engines")                                                                    \
    X(WRITE, "wait: output")                                                                       \
    X(RUN, NULL) /* the caller's thread while workers run */

typedef enum stage {
#define X(name, text) name,
    STAGES(X)
#undef X
        STAGE_COUNT
} stage;

static const char *const stage_names[] = {
#define X(name, text) text,
    STAGES(X)
#undef X
};

/* One thread's time so far, and the stages that it is in, the innermost last. A timer costs its
 * stage and the one around it some nanoseconds each; they are counted, and taken off at the end. */
typedef struct timer {
    double seconds[STAGE_COUNT];
    double within[STAGE_COUNT], around[STAGE_COUNT]; /* timers that it had, and that were in it */
    clockid_t clock;
    double since;
    stage open[DEPTH];
    int depth;
} timer;

static _Thread_local timer own;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static double workers_seconds[STAGE_COUNT]; /* of all threads that have ended */
static double cost_within, cost_around;     /* of one timer, seconds */
static clockid_t worker_clock = CLOCK_MONOTONIC;

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void turn_to(stage next, int step)
{
    const double now = seconds_of(own.clock);
    if (own.depth > 0) {
        own.seconds[own.open[own.depth - 1]] += now - own.since;
    }
    own.since = now;
    own.depth += step;
    if (step > 0) {
        own.open[own.depth - 1] = next;
        own.within[next]++;
        if (own.depth > 1) {
            own.around[own.open[own.depth - 2]]++;
        }
    }
}

static void enter(stage next)
{
    turn_to(next, 1);
}

static void leave(void)
{
    turn_to(STAGE_COUNT, -1);
}

/* Takes the timers' cost off the stages of this thread. */
static void settle(void)
{
    for (int s = 0; s < STAGE_COUNT; s++) {
        const double cost = own.within[s] * cost_within + own.around[s] * cost_around;
        own.seconds[s] -= cost;
        own.seconds[TIMERS] += cost;
    }
}

static void calibrate(void)
{
    enum { COUNT = 1000000 };
    own = (timer){.clock = worker_clock};
    enter(OTHER);
    for (int i = 0; i < COUNT; i++) {
        enter(READ);
        leave();
    }
    leave();
    cost_within = own.seconds[READ] / COUNT;
    cost_around = own.seconds[OTHER] / COUNT;
}

/* ---- the timers: __wrap_f is called in place of f ---- */

#define WRAP(stage, type, name, parameters, ...)                                                   \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        enter(stage);                                                                              \
        type returned = __real_##name(__VA_ARGS__);                                                \
        leave();                                                                                   \
        return returned;                                                                           \
    }

WRAP(READ, ssize_t, pread, (int file, void *to, size_t count, off_t offset), file, to, count,
     offset)
WRAP(DEMUX, int, av_read_frame, (AVFormatContext * format, AVPacket *packet), format, packet)
WRAP(DECODE, int, avcodec_send_packet, (AVCodecContext * decoder, const AVPacket *packet), decoder,
     packet)
WRAP(DECODE, int, avcodec_receive_frame, (AVCodecContext * decoder, AVFrame *frame), decoder, frame)
WRAP(RESAMPLE, int, attune_resampler_prepare, (attune_resampler * resampler, const AVFrame *frame),
     resampler, frame)
WRAP(RESAMPLE, int, attune_resampler_convert,
     (attune_resampler * resampler, float *out, int room, const AVFrame *frame), resampler, out,
     room, frame)
WRAP(OPEN, attune_status, attune_audio_open_at,
     (attune_audio * *out, const attune_audio_place *place, const attune_audio_options *options,
      attune_audio_result *result),
     out, place, options, result)
WRAP(SAMPLES, attune_status, attune_audio_read,
     (attune_audio * audio, float *samples, size_t capacity, size_t *count), audio, samples,
     capacity, count)
WRAP(NETWORK, attune_status, attune_engine_advance, (attune_engine * engine, size_t count), engine,
     count)
WRAP(ROWS, int, pthread_mutex_lock, (pthread_mutex_t * lock), lock)
WRAP(ROWS, attune_status, attune_rows_append, (attune_rows * rows, const attune_row *row), rows,
     row)
WRAP(WRITE, attune_status, attune_rows_sort, (attune_rows * rows), rows)
WRAP(ENGINES, attune_status, attune_engine_open,
     (attune_engine * *out, const attune_model *model, const attune_engine_options *options), out,
     model, options)
WRAP(WRITE, attune_status, attune_store_create,
     (attune_store_writer * *out, const char *path, const attune_store_attributes *attributes), out,
     path, attributes)
WRAP(WRITE, attune_status, attune_store_append,
     (attune_store_writer * writer, const attune_rows *rows), writer, rows)
WRAP(WRITE, attune_status, attune_store_commit, (attune_store_writer * writer), writer)

#define WRAP_CLOSE(stage, name, type)                                                              \
    void __real_##name(type *handle);                                                              \
    void __wrap_##name(type *handle);                                                              \
    void __wrap_##name(type *handle)                                                               \
    {                                                                                              \
        enter(stage);                                                                              \
        __real_##name(handle);                                                                     \
        leave();                                                                                   \
    }

WRAP_CLOSE(OPEN, attune_audio_close, attune_audio)
WRAP_CLOSE(ENGINES, attune_engine_close, attune_engine)
WRAP_CLOSE(NETWORK, attune_engine_flush, attune_engine)
WRAP_CLOSE(WRITE, attune_store_writer_close, attune_store_writer)

void __real_attune_engine_end(attune_engine *engine, attune_track_done done, void *user);
void __wrap_attune_engine_end(attune_engine *engine, attune_track_done done, void *user);
void __wrap_attune_engine_end(attune_engine *engine, attune_track_done done, void *user)
{
    enter(NETWORK);
    __real_attune_engine_end(engine, done, user);
    leave();
}

typedef struct worker {
    void *(*work)(void *);
    void *argument;
} worker;

static void *work(void *argument)
{
    worker w = *(worker *)argument;
    const double start = attune_seconds();
    free(argument);
    own.clock = worker_clock;
    enter(OTHER);
    void *result = w.work(w.argument);
    leave();
    own.seconds[BLOCKED] = attune_seconds() - start;
    for (int s = 0; s < BLOCKED; s++) {
        own.seconds[BLOCKED] -= own.seconds[s];
    }
    settle();
    __real_pthread_mutex_lock(&mutex);
    for (int s = 0; s < STAGE_COUNT; s++) {
        workers_seconds[s] += own.seconds[s];
    }
    pthread_mutex_unlock(&mutex);
    return result;
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument)
{
    worker *w = malloc(sizeof(*w));
    if (!w) {
        return ENOMEM;
    }
    *w = (worker){start, argument};
    const int code = __real_pthread_create(thread, attributes, work, w);
    if (code != 0) {
        free(w);
    }
    return code;
}

/* ---- the job ---- */

/* What a job took: each stage's seconds of all workers, all together workers times the wall. */
typedef struct account {
    double seconds[STAGE_COUNT], wall, processor, hours;
} account;

static double processor_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static attune_status run(account *a, attune_job_options *job, int workers)
{
    attune_job_progress progress;
    double lives = 0;
    job->workers = workers;
    own = (timer){.clock = CLOCK_MONOTONIC};
    memset(workers_seconds, 0, sizeof(workers_seconds));
    const double start = attune_seconds(), processor = processor_seconds();
    enter(RUN);
    const attune_status status = attune_job_run(job, &progress);
    leave();
    *a = (account){.wall = attune_seconds() - start,
                   .processor = processor_seconds() - processor,
                   .hours = progress.audio_seconds / 3600};
    memcpy(a->seconds, workers_seconds, sizeof(a->seconds));
    for (int s = 0; s < STAGE_COUNT; s++) {
        lives += workers_seconds[s];
    }
    a->seconds[ENGINES] = workers * own.seconds[ENGINES];
    a->seconds[WRITE] = workers * own.seconds[WRITE];
    a->seconds[IDLE] = workers * (a->wall - own.seconds[ENGINES] - own.seconds[WRITE]) - lives;
    return status;
}

/* ms per 30 s of audio, the median of the turns. */
static double median_ms(const account *turns, size_t offset)
{
    double values[TURNS];
    for (int t = 0; t < TURNS; t++) {
        memcpy(&values[t], (const char *)&turns[t] + offset, sizeof(double));
        values[t] *= 1e3 / (turns[t].hours * 120);
    }
    return bench_median(values, TURNS);
}

/* All of a row's time but the timers' and, with -p, what others took. */
static double whole(const account *turns)
{
    double sum = 0;
    for (size_t s = 0; s < RUN; s++) {
        sum += s != TIMERS && s != BLOCKED ? median_ms(turns, offsetof(account, seconds[s])) : 0;
    }
    return sum;
}

static void print_row(const char *name, const account *one, const account *many, size_t offset)
{
    const double a = median_ms(one, offset), b = median_ms(many, offset);
    printf("%-22s %10.3f %8.2f %14.3f %8.2f %8.2f\n", name, a, 100 * a / whole(one), b,
           100 * b / whole(many), b / a);
}

static int measure(attune_job_options *job, int workers)
{
    account one[TURNS], many[TURNS];
    double gains[TURNS];
    for (int t = 0; t < TURNS; t++) {
        if (run(&one[t], job, 1) != ATTUNE_OK || run(&many[t], job, workers) != ATTUNE_OK) {
            fprintf(stderr, "bench_stages: %s\n", attune_last_error());
            return 70;
        }
        gains[t] = one[t].wall / many[t].wall;
    }
    printf("%zu files, %.2f hours; ms of a worker per 30 s of audio, medians of %d turns\n",
           attune_scan_count(job->scan), one[0].hours, TURNS);
    printf("%-22s %10s %8s %6d workers %8s %8s\n", "", "1 worker", "%", workers, "%", "ratio");
    for (size_t s = 0; s < RUN; s++) {
        print_row(stage_names[s], one, many, offsetof(account, seconds[s]));
    }
    print_row("processor", one, many, offsetof(account, processor));
    print_row("wall", one, many, offsetof(account, wall));
    const double gain = bench_median(gains, TURNS);
    printf("%d workers are %.2f times as fast as one (min %.2f, max %.2f): %.0f %% of %d\n",
           workers, gain, gains[0], gains[TURNS - 1], 100 * gain / workers, workers);
    return 0;
}

int main(int argc, char **argv)
{
    bench_job job;
    if (argc > 1 && strcmp(argv[1], "-p") == 0) {
        worker_clock = CLOCK_THREAD_CPUTIME_ID;
        argv++;
        argc--;
    }
    if (argc < 4 || atoi(argv[2]) < 1) {
        fprintf(stderr, "usage: bench_stages [-p] MODEL.onnx WORKERS INPUT...\n");
        return 64;
    }
    bench_job_open(&job, argv[1], argv + 3, argc - 3);
    job.options.engine.device = "cpu";
    calibrate();
    const int code = measure(&job.options, atoi(argv[2]));
    bench_job_close(&job);
    return code;
}
