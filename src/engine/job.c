/* job.c - many files into one output.
 *
 * Each worker has an engine of its own and takes the next file of the sorted list until there is none: one track
 * stays with one worker, from its first packet to its embedding, so nothing about the vector depends on the
 * others. Rows gather as they come and are sorted at the end. The caller's thread only waits and reports. */
#include "attune/job.h"
#include "attune/store.h"
#include "engine/engine_buffer.h"
#include "status/error.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct job {
    const attune_job_options *options;
    atomic_size_t next; /* file to take */
    atomic_ullong decoded; /* samples */
    atomic_bool stop;
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    attune_rows *rows;
    uint64_t done, by_status[ATTUNE_TRACK_STATUS_COUNT];
    int running;
    attune_status status; /* the first worker's failure */
    char error[1024];
} job;

typedef struct worker {
    job *job;
    attune_engine *engine;
    pthread_t thread;
    bool started;
} worker;

void attune_job_options_default(attune_job_options *options)
{
    *options = (attune_job_options){0};
    attune_engine_options_default(&options->engine);
    attune_audio_options_default(&options->audio);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Files a finished track; called with the mutex held. */
static attune_status file_row(job *j, const char *name, const attune_track *track,
                              const float *embedding)
{
    const attune_row row = {
        .path = name,
        .status = track->status,
        .error = track->error,
        .duration = track->duration,
        .frames = track->frames,
        .size = track->size,
        .mtime_ns = track->mtime_ns,
        .embedding = attune_track_has_embedding(track->status) ? embedding : NULL,
    };
    attune_status status = attune_rows_append(j->rows, &row);
    j->done++;
    j->by_status[track->status]++;
    if (status == ATTUNE_OK && j->options->on_track) {
        j->options->on_track(j->options->user, name, track);
    }
    return status;
}

static void *work(void *argument)
{
    const worker *w = argument;
    job *j = w->job;
    const attune_scan *scan = j->options->scan;
    const attune_network *network = attune_model_network(j->options->model);
    float *embedding = malloc(sizeof(float) * (size_t)network->embedding);
    attune_status status =
        embedding ? ATTUNE_OK : attune_fail_memory("an embedding", (size_t)network->embedding * 4);
    while (status == ATTUNE_OK && !atomic_load(&j->stop)) {
        const size_t index = atomic_fetch_add(&j->next, 1);
        if (index >= attune_scan_count(scan)) {
            break;
        }
        attune_track track;
        status = attune_embed_file(w->engine, attune_scan_path(scan, index), &j->options->audio,
                                   &track, embedding, &j->decoded);
        pthread_mutex_lock(&j->mutex);
        if (status == ATTUNE_OK) {
            status = file_row(j, attune_scan_name(scan, index), &track, embedding);
        }
        pthread_mutex_unlock(&j->mutex);
    }
    free(embedding);
    pthread_mutex_lock(&j->mutex);
    if (status != ATTUNE_OK && j->status == ATTUNE_OK) {
        j->status = status;
        strcpy(j->error, attune_last_error()); /* as long as attune_last_error can be */
        atomic_store(&j->stop, true);
    }
    j->running--;
    pthread_cond_signal(&j->changed);
    pthread_mutex_unlock(&j->mutex);
    return NULL;
}

/* What the progress is; called with the mutex held. */
static void measure(const job *j, double start, attune_job_progress *progress)
{
    progress->files = attune_scan_count(j->options->scan);
    progress->done = j->done;
    memcpy(progress->by_status, j->by_status, sizeof(progress->by_status));
    progress->audio_seconds = (double)atomic_load(&j->decoded) /
                              attune_model_network(j->options->model)->sample_rate;
    progress->wall_seconds = now() - start;
}

/* Waits for the workers, reporting. Returns true if the caller's callback asked to stop. */
static bool wait_for_workers(job *j, double start, attune_job_progress *progress)
{
    bool stopped = false;
    pthread_mutex_lock(&j->mutex);
    while (j->running > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 200000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&j->changed, &j->mutex, &until);
        measure(j, start, progress);
        pthread_mutex_unlock(&j->mutex);
        if (j->options->on_progress && j->options->on_progress(j->options->user, progress)) {
            atomic_store(&j->stop, true);
            stopped = true;
        }
        pthread_mutex_lock(&j->mutex);
    }
    pthread_mutex_unlock(&j->mutex);
    return stopped;
}

static int worker_count(const attune_job_options *options)
{
    cpu_set_t set;
    int count = options->workers;
    if (count <= 0) {
        count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    }
    const size_t files = attune_scan_count(options->scan);
    return (size_t)count > files ? (int)files : count;
}

static attune_status start_workers(job *j, worker *workers, int count)
{
    attune_status status = ATTUNE_OK;
    for (int i = 0; i < count && status == ATTUNE_OK; i++) {
        workers[i].job = j;
        status = attune_engine_open(&workers[i].engine, j->options->model, &j->options->engine);
    }
    for (int i = 0; i < count && status == ATTUNE_OK; i++) {
        pthread_mutex_lock(&j->mutex);
        j->running++;
        pthread_mutex_unlock(&j->mutex);
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            pthread_mutex_lock(&j->mutex);
            j->running--;
            pthread_mutex_unlock(&j->mutex);
            atomic_store(&j->stop, true);
            status = attune_fail(ATTUNE_ENOMEM, "cannot start a thread; try fewer --jobs");
            break;
        }
        workers[i].started = true;
    }
    return status;
}

static attune_status run_workers(job *j, worker *workers, int count, double start,
                                 attune_job_progress *progress, bool *stopped)
{
    attune_status status = start_workers(j, workers, count);
    *stopped = wait_for_workers(j, start, progress);
    for (int i = 0; i < count; i++) {
        if (workers[i].started) {
            pthread_join(workers[i].thread, NULL);
        }
        attune_engine_close(workers[i].engine);
    }
    if (status == ATTUNE_OK && j->status != ATTUNE_OK) {
        status = attune_fail(j->status, "%s", j->error);
    }
    return status;
}

/* Opens the output with all that is known before the first file. */
static attune_status create_output(attune_store_writer **writer, const attune_job_options *options)
{
    const attune_network *network = attune_model_network(options->model);
    attune_engine *engine = NULL; /* only to learn the device's name, and that it is there */
    attune_status status = attune_engine_open(&engine, options->model, &options->engine);
    if (status != ATTUNE_OK) {
        return status;
    }
    char json[512], created[32];
    time_t clock = time(NULL);
    struct tm utc;
    strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&clock, &utc));
    const attune_store_attributes attributes = {
        .model_sha256 = attune_model_sha256(options->model),
        .model_name = attune_model_name(options->model),
        .network = attune_network_json(network, json, sizeof(json)),
        .device = attune_engine_device(engine),
        .precision = options->engine.precision,
        .root = attune_scan_root(options->scan),
        .command = options->command,
        .libav = attune_audio_versions(),
        .attune_version = attune_version(),
        .created = created,
        .sample_rate = network->sample_rate,
        .frame_size = network->frame_size,
        .embedding = network->embedding,
        .clip_start = options->audio.clip_start,
        .clip_seconds = options->audio.clip_seconds,
    };
    status = attune_store_create(writer, options->output, &attributes);
    attune_engine_close(engine);
    return status;
}

attune_status attune_job_run(const attune_job_options *options, attune_job_progress *progress)
{
    const double start = now();
    job j = {.options = options,
             .mutex = PTHREAD_MUTEX_INITIALIZER,
             .changed = PTHREAD_COND_INITIALIZER};
    attune_store_writer *writer = NULL;
    bool stopped = false;
    const int count = worker_count(options);
    *progress = (attune_job_progress){.files = attune_scan_count(options->scan)};
    worker *workers = calloc((size_t)count, sizeof(*workers));
    attune_status status = workers ? ATTUNE_OK : attune_fail_memory("workers", (size_t)count * 64);
    if (status != ATTUNE_OK) {
        goto done;
    }
    status = attune_rows_create(&j.rows, attune_model_network(options->model)->embedding);
    if (status != ATTUNE_OK) {
        goto done;
    }
    status = create_output(&writer, options);
    if (status != ATTUNE_OK) {
        goto done;
    }
    status = run_workers(&j, workers, count, start, progress, &stopped);
    if (status != ATTUNE_OK) {
        goto done;
    }
    status = attune_rows_sort(j.rows);
    if (status == ATTUNE_OK) {
        status = attune_store_append(writer, j.rows);
    }
    if (status == ATTUNE_OK) {
        status = attune_store_commit(writer);
    }
    if (status == ATTUNE_OK && stopped && progress->done < progress->files) {
        status = attune_fail(ATTUNE_ESTOPPED, "stopped with %llu of %llu files done",
                             (unsigned long long)progress->done,
                             (unsigned long long)progress->files);
    }
done:
    attune_store_writer_close(writer);
    attune_rows_free(j.rows);
    free(workers);
    return status;
}
