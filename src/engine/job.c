/* job.c - many files into one output.
 *
 * Workers take the next file of the sorted list until there is none. On the CPU each has an engine
 * of its own, and a track stays with it from its first packet to its embedding. On GPUs workers
 * only decode: tracks go to the device with the fewest under way. Either way a file's row comes
 * back when the device has it, perhaps after other files. Rows gather as they come; the caller's
 * thread, which else only waits and reports, commits them as parts. */
#include "engine/job.h"

#include "audio/decode.h"
#include "engine/condition.h"
#include "engine/devices.h"
#include "engine/embed_file.h"
#include "engine/engine_buffer.h"
#include "engine/output.h"
#include "engine/scan.h"
#include "engine/verify.h"
#include "status/error.h"
#include "status/machine.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_FRAMES = 16384,      /* 25 minutes of audio, 128 MiB as f32, two of them */
    PART_ROWS = 4096,          /* committed at the latest */
    ROWS_MAX = 16 * PART_ROWS, /* held while the disk takes its time; then workers wait */
};

typedef struct job {
    const attune_job_options *options;
    attune_devices devices;
    attune_precision precision;
    attune_batch_engine *engines[ATTUNE_DEVICES_MAX]; /* one a device; none on the CPU */
    attune_output output;
    atomic_size_t next; /* file to take */
    attune_embed_meter meter;
    atomic_bool stop;
    pthread_mutex_t mutex;  /* guards all below */
    pthread_cond_t changed; /* on CLOCK_MONOTONIC */
    pthread_cond_t room;    /* rows were taken away, or the job stops */
    attune_rows *rows;      /* not committed */
    attune_rows *spare;     /* what the rows being committed were exchanged for */
    double oldest;          /* when the first of the rows came */
    uint64_t done, committed;
    uint64_t by_status[ATTUNE_TRACK_STATUS_COUNT], by_reason[ATTUNE_JOB_REASON_COUNT];
    double waited;        /* seconds that workers waited for rows to be committed */
    bool cannot_commit;   /* a part could not be written */
    int running;          /* workers */
    uint64_t waiting;     /* files decoded whose rows a device has still to give */
    attune_status status; /* the first failure */
    char error[1024];
} job;

typedef struct worker {
    job *job;
    attune_engine *engine;           /* NULL on GPUs */
    attune_decoder *decoder;         /* NULL: decodes by itself */
    attune_descriptors *descriptors; /* NULL: not wanted */
    pthread_t thread;
    bool started;
} worker;

void attune_job_options_default(attune_job_options *options)
{
    *options = (attune_job_options){.commit_seconds = 10};
    attune_engine_options_default(&options->engine);
    attune_audio_options_default(&options->audio);
}

/* ---- workers ---- */

/* Notes the job's first failure, this thread's last error; called with the mutex held. */
static void note_failure(job *j, attune_status status)
{
    if (status != ATTUNE_OK && j->status == ATTUNE_OK) {
        j->status = status;
        strcpy(j->error, attune_last_error()); /* as long as attune_last_error can be */
        atomic_store(&j->stop, true);
        pthread_cond_broadcast(&j->room);
    }
}

/* A file whose row a device has still to give. */
typedef struct pending {
    job *job;
    const char *name;
} pending;

/* Files a finished track, or notes the failure that `status` is. */
static void on_embedded(void *user, attune_status status, const attune_track *track,
                        const float *embedding, const float *descriptors)
{
    pending *p = user;
    job *j = p->job;
    pthread_mutex_lock(&j->mutex);
    if (status == ATTUNE_OK) {
        const attune_row row = {
            .path = p->name,
            .status = track->status,
            .error = track->error,
            .duration = track->duration,
            .frames = track->frames,
            .size = track->size,
            .mtime_ns = track->mtime_ns,
            .embedding = attune_track_has_embedding(track->status) ? embedding : NULL,
            .descriptors = descriptors,
        };
        j->oldest = attune_rows_count(j->rows) == 0 ? attune_seconds() : j->oldest;
        status = attune_rows_append(j->rows, &row);
        j->done++;
        j->by_status[track->status]++;
        if (status == ATTUNE_OK && j->options->on_track) {
            j->options->on_track(j->options->user, p->name, track);
        }
    }
    note_failure(j, status);
    j->waiting--;
    if (j->waiting == 0 || attune_rows_count(j->rows) == PART_ROWS) {
        pthread_cond_signal(&j->changed);
    }
    pthread_mutex_unlock(&j->mutex);
    free(p);
}

static attune_batch_engine *least_loaded(const job *j)
{
    attune_batch_engine *best = j->engines[0];
    uint32_t least = attune_batch_engine_load(best);
    for (int i = 1; i < j->devices.count; i++) {
        const uint32_t load = attune_batch_engine_load(j->engines[i]);
        if (load < least) {
            best = j->engines[i];
            least = load;
        }
    }
    return best;
}

static void embed(const worker *w, const attune_audio_place *place, const char *name)
{
    job *j = w->job;
    const attune_embed_device device = {.engine = w->engine,
                                        .batch = w->engine ? NULL : least_loaded(j)};
    pending *p = malloc(sizeof(*p));
    attune_status status = p ? ATTUNE_OK : attune_fail_memory("a file", sizeof(*p));
    pthread_mutex_lock(&j->mutex);
    j->waiting++;
    pthread_mutex_unlock(&j->mutex);
    if (status == ATTUNE_OK) {
        *p = (pending){.job = j, .name = name};
        status = attune_embed_file(&device, attune_model_network(j->options->model), place,
                                   &j->options->audio, w->decoder, w->descriptors, &j->meter,
                                   on_embedded, p);
    }
    if (status != ATTUNE_OK) { /* on_embedded will not be called */
        free(p);
        pthread_mutex_lock(&j->mutex);
        j->waiting--;
        note_failure(j, status);
        pthread_mutex_unlock(&j->mutex);
    }
}

/* Whether file `index` is to be embedded; counts it. Waits while too many rows are not committed.
 */
static bool take_file(job *j, size_t index)
{
    attune_track_status status = ATTUNE_TRACK_OK;
    const attune_job_reason reason =
        attune_known_judge(j->output.known, index, j->options->retry_failed, &status);
    pthread_mutex_lock(&j->mutex);
    j->by_reason[reason]++;
    if (reason == ATTUNE_JOB_KEPT) {
        j->done++;
        j->by_status[status]++;
    }
    while (attune_rows_count(j->rows) >= ROWS_MAX && !atomic_load(&j->stop)) {
        const double since = attune_seconds();
        pthread_cond_wait(&j->room, &j->mutex);
        j->waited += attune_seconds() - since;
    }
    pthread_mutex_unlock(&j->mutex);
    return reason != ATTUNE_JOB_KEPT && !atomic_load(&j->stop);
}

static void *work(void *argument)
{
    const worker *w = argument;
    job *j = w->job;
    const attune_scan *scan = j->options->scan;
    while (!atomic_load(&j->stop)) {
        const size_t index = atomic_fetch_add(&j->next, 1);
        if (index >= attune_scan_count(scan)) {
            break;
        }
        if (!take_file(j, index)) {
            continue;
        }
        const attune_audio_place place = attune_scan_place(scan, index);
        embed(w, &place, attune_path_below(j->output.attributes.root, place.path));
    }
    if (w->engine) {
        attune_engine_flush(w->engine);
    }
    pthread_mutex_lock(&j->mutex);
    j->running--;
    pthread_cond_signal(&j->changed);
    pthread_mutex_unlock(&j->mutex);
    return NULL;
}

/* ---- the caller's thread ---- */

/* What the progress is; called with the mutex held. */
static void measure(job *j, double start, attune_job_progress *progress)
{
    progress->done = j->done;
    memcpy(progress->by_status, j->by_status, sizeof(progress->by_status));
    memcpy(progress->by_reason, j->by_reason, sizeof(progress->by_reason));
    progress->audio_seconds = (double)atomic_load(&j->meter.samples) /
                              attune_model_network(j->options->model)->sample_rate;
    progress->wall_seconds = attune_seconds() - start;
    progress->uncommitted = attune_rows_count(j->rows);
    progress->on_devices = j->waiting;
    const bool gpu = j->devices.count > 0;
    const double device = 1e-9 * (double)atomic_load(&j->meter.device_ns);
    progress->decoding_seconds = 1e-9 * (double)atomic_load(&j->meter.decoding_ns);
    progress->waiting_seconds = j->waited + (gpu ? device : 0);
    progress->computing_seconds = gpu ? 0 : device;
    for (int i = 0; i < j->devices.count; i++) {
        progress->computing_seconds += attune_batch_engine_busy(j->engines[i]);
    }
    progress->busy = !gpu ? -1
                     : progress->wall_seconds > 0
                         ? progress->computing_seconds / progress->wall_seconds / j->devices.count
                         : 0;
}

/* Makes the rows a part, if they are enough, old enough, or the last. Called with the mutex held,
 * which is free while it writes. */
static void commit_rows(job *j, bool last)
{
    const size_t count = attune_rows_count(j->rows);
    if (count == 0 || j->cannot_commit ||
        (!last && count < PART_ROWS && attune_seconds() - j->oldest < j->options->commit_seconds)) {
        return;
    }
    attune_rows *rows = j->rows;
    j->rows = j->spare;
    j->spare = rows;
    pthread_cond_broadcast(&j->room);
    pthread_mutex_unlock(&j->mutex);
    const attune_status status = attune_output_commit(&j->output, rows);
    attune_rows_clear(rows);
    pthread_mutex_lock(&j->mutex);
    if (status == ATTUNE_OK) {
        j->committed += count;
    } else {
        j->cannot_commit = true;
        note_failure(j, status);
    }
}

/* Waits for workers and devices, reporting and committing. Returns true if the caller's callback
 * asked to stop. */
static bool wait_for_rows(job *j, double start, attune_job_progress *progress)
{
    const double commit = j->options->commit_seconds;
    const long pause = commit < 0.001 ? 1000000 : commit < 0.2 ? (long)(commit * 1e9) : 200000000;
    bool stopped = false;
    pthread_mutex_lock(&j->mutex);
    while (j->running > 0 || j->waiting > 0) {
        attune_condition_wait(&j->changed, &j->mutex, pause);
        commit_rows(j, false);
        measure(j, start, progress);
        pthread_mutex_unlock(&j->mutex);
        if (j->options->on_progress && j->options->on_progress(j->options->user, progress)) {
            atomic_store(&j->stop, true);
            stopped = true;
        }
        pthread_mutex_lock(&j->mutex);
        if (stopped) {
            pthread_cond_broadcast(&j->room);
        }
    }
    commit_rows(j, true);
    measure(j, start, progress);
    pthread_mutex_unlock(&j->mutex);
    return stopped;
}

static int worker_count(const attune_job_options *options)
{
    const int count = options->workers > 0 ? options->workers : attune_processors();
    const size_t files = attune_scan_count(options->scan);
    return (size_t)count <= files ? count : files > 0 ? (int)files : 1;
}

static attune_status open_engines(job *j, worker *workers, int count)
{
    attune_status status = ATTUNE_OK;
    for (int i = 0; i < count && status == ATTUNE_OK; i++) {
        workers[i].job = j;
        if (j->devices.count == 0) {
            status = attune_engine_open(&workers[i].engine, j->options->model, &j->options->engine);
        }
    }
    for (int i = 0; i < j->devices.count && status == ATTUNE_OK; i++) {
        const attune_batch_engine_options options = {
            .kernels = j->devices.kernels,
            .ordinal = j->devices.ordinals[i],
            .precision = j->precision,
            .memory = j->options->gpu_memory,
            .batch_frames = BATCH_FRAMES,
        };
        status = attune_batch_engine_open(&j->engines[i], j->options->model, &options);
    }
    for (int i = 0; i < count && status == ATTUNE_OK && j->options->decoder; i++) {
        status = attune_decoder_create(&workers[i].decoder, j->options->decoder);
    }
    for (int i = 0; i < count && status == ATTUNE_OK && j->options->descriptors; i++) {
        status = attune_descriptors_create(&workers[i].descriptors,
                                           attune_model_network(j->options->model)->sample_rate);
    }
    return status;
}

/* As many as the system gives: one is enough. */
static attune_status start_workers(job *j, worker *workers, int count)
{
    for (int i = 0; i < count; i++) {
        pthread_mutex_lock(&j->mutex);
        j->running++;
        pthread_mutex_unlock(&j->mutex);
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            pthread_mutex_lock(&j->mutex);
            j->running--;
            pthread_mutex_unlock(&j->mutex);
            return i > 0 ? ATTUNE_OK : attune_fail(ATTUNE_ENOMEM, "cannot start a thread");
        }
        workers[i].started = true;
    }
    return ATTUNE_OK;
}

/* How a run that ends early ends: what has been done, where that is, and why. */
static attune_status fail_early(const job *j, attune_status status, const char *why)
{
    const uint64_t safe = j->by_reason[ATTUNE_JOB_KEPT] + j->committed;
    return attune_fail(status, "stopped with %llu of %zu files done%s%s; %s%s, run again to go on",
                       (unsigned long long)safe, attune_scan_count(j->options->scan),
                       *why ? ": " : "", why, j->output.parts->count ? "they are safe in " : "",
                       j->output.parts->count ? j->output.parts->folder : "nothing is lost");
}

/* The first failure; of a GPU that fails in mid-run it is one that running again may mend. */
static attune_status judge_failure(const job *j)
{
    const bool device = j->devices.count > 0 && !j->cannot_commit;
    return fail_early(j, device ? ATTUNE_ESTOPPED : j->status, j->error);
}

static attune_status run_workers(job *j, worker *workers, int count, double start,
                                 attune_job_progress *progress)
{
    attune_status status = start_workers(j, workers, count);
    const bool stopped = wait_for_rows(j, start, progress);
    for (int i = 0; i < count; i++) {
        if (workers[i].started) {
            pthread_join(workers[i].thread, NULL);
        }
    }
    if (status == ATTUNE_OK && j->status != ATTUNE_OK) {
        status = judge_failure(j);
    }
    if (status == ATTUNE_OK && stopped && progress->done < progress->files) {
        status = fail_early(j, ATTUNE_ESTOPPED, "");
    }
    return status;
}

static attune_status run_job(job *j, worker *workers, int count, double start,
                             attune_job_progress *progress)
{
    char device[256];
    attune_status status = open_engines(j, workers, count);
    if (status != ATTUNE_OK) {
        return status;
    }
    if (j->devices.count > 0) {
        snprintf(device, sizeof(device), "%s %s", j->devices.kernels->device,
                 attune_batch_engine_name(j->engines[0]));
    } else {
        snprintf(device, sizeof(device), "%s", attune_engine_device(workers[0].engine));
    }
    status = attune_output_set_device(&j->output, device);
    if (status == ATTUNE_OK) {
        status = run_workers(j, workers, count, start, progress);
    }
    if (status == ATTUNE_OK) {
        status = attune_verify(&j->output, j->precision, progress);
    }
    if (status == ATTUNE_OK) {
        status = attune_output_finish(&j->output);
        progress->pruned = j->output.pruned;
        progress->wall_seconds = attune_seconds() - start;
    }
    return status;
}

/* Says what a job would do. */
static attune_status plan_job(const job *j, attune_job_progress *progress)
{
    const attune_job_options *options = j->options;
    for (size_t i = 0; i < attune_scan_count(options->scan); i++) {
        if (i % 256 == 0 && options->on_progress && options->on_progress(options->user, progress)) {
            return attune_fail(ATTUNE_ESTOPPED, "stopped with %zu of %zu files looked at", i,
                               attune_scan_count(options->scan));
        }
        attune_track_status status = ATTUNE_TRACK_OK;
        const attune_job_reason reason =
            attune_known_judge(j->output.known, i, options->retry_failed, &status);
        progress->by_reason[reason]++;
        if (reason == ATTUNE_JOB_KEPT) {
            progress->done++;
            progress->by_status[status]++;
        } else if (options->on_plan) {
            options->on_plan(options->user, attune_scan_path(options->scan, i), reason);
        }
    }
    return ATTUNE_OK;
}

/* An output that is also an input would be replaced by a row that says it is no audio. */
static attune_status check_output(const attune_job_options *options)
{
    char real[PATH_MAX];
    size_t low = 0, high = attune_scan_count(options->scan);
    if (!realpath(options->output, real)) {
        return ATTUNE_OK; /* not there yet */
    }
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(real, attune_scan_path(options->scan, middle));
        if (order == 0) {
            return attune_fail(ATTUNE_EINVAL, "%s: the output is also an input", options->output);
        }
        low = order > 0 ? middle + 1 : low;
        high = order < 0 ? middle : high;
    }
    return ATTUNE_OK;
}

/* A clip or a time limit that no file can be opened with would look like a failure of each. */
static attune_status check_audio(const attune_job_options *options)
{
    attune_audio_options audio = options->audio;
    audio.sample_rate = attune_model_network(options->model)->sample_rate;
    return attune_audio_check_options(&audio);
}

/* Whether descriptors can be had, better known before anything is made. */
static attune_status check_descriptors(const attune_job_options *options)
{
    attune_descriptors *descriptors = NULL;
    const attune_status status =
        options->descriptors ? attune_descriptors_create(
                                   &descriptors, attune_model_network(options->model)->sample_rate)
                             : ATTUNE_OK;
    attune_descriptors_free(descriptors);
    return status;
}

/* Runs or plans a job whose options are fine. */
static attune_status run_with_output(job *j, double start, attune_job_progress *progress)
{
    const int count = worker_count(j->options);
    const int embedding = attune_model_network(j->options->model)->embedding;
    worker *workers = NULL;
    attune_status status = attune_output_open(&j->output, j->options);
    if (status != ATTUNE_OK) {
        return status;
    }
    if (j->options->dry_run) {
        return plan_job(j, progress);
    }
    workers = calloc((size_t)count, sizeof(*workers));
    status = workers ? ATTUNE_OK : attune_fail_memory("workers", (size_t)count * sizeof(worker));
    if (status == ATTUNE_OK) {
        status = attune_rows_create(&j->rows, embedding);
    }
    if (status == ATTUNE_OK) {
        status = attune_rows_create(&j->spare, embedding);
    }
    if (status == ATTUNE_OK) {
        status = run_job(j, workers, count, start, progress);
    }
    for (int i = 0; i < ATTUNE_DEVICES_MAX; i++) {
        attune_batch_engine_close(j->engines[i]);
    }
    for (int i = 0; workers && i < count; i++) {
        attune_engine_close(workers[i].engine);
        attune_decoder_close(workers[i].decoder);
        attune_descriptors_free(workers[i].descriptors);
    }
    free(workers);
    return status;
}

attune_status attune_job_run_with(const attune_job_options *given, attune_job_progress *progress,
                                  const attune_batch_kernels *kernels)
{
    const double start = attune_seconds();
    attune_job_options whole = *given;
    const attune_job_options *options = &whole;
    whole.engine.device = given->engine.device ? given->engine.device : "auto";
    whole.engine.precision = given->engine.precision ? given->engine.precision : "exact";
    job j = {
        .options = options, .mutex = PTHREAD_MUTEX_INITIALIZER, .room = PTHREAD_COND_INITIALIZER};
    attune_condition_init(&j.changed);
    *progress = (attune_job_progress){.files = attune_scan_count(options->scan)};
    attune_status status = check_output(options);
    if (status == ATTUNE_OK) {
        status = attune_devices_parse(&j.devices, options->engine.device, kernels);
    }
    if (status == ATTUNE_OK) {
        status = attune_precision_parse(&j.precision, options->engine.precision);
    }
    if (status == ATTUNE_OK) {
        status = check_audio(options);
    }
    if (status == ATTUNE_OK) {
        status = check_descriptors(options);
    }
    if (status == ATTUNE_OK) {
        status = run_with_output(&j, start, progress);
    }
    if (status == ATTUNE_OK && options->on_progress) {
        options->on_progress(options->user, progress); /* there is nothing left to stop */
    }
    attune_output_close(&j.output);
    attune_rows_free(j.rows);
    attune_rows_free(j.spare);
    pthread_cond_destroy(&j.changed);
    pthread_cond_destroy(&j.room);
    return status;
}

attune_status attune_job_run(const attune_job_options *options, attune_job_progress *progress)
{
    return attune_job_run_with(options, progress, attune_kernels_cuda());
}
