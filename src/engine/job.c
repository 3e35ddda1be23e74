/* job.c - many files into one output.
 *
 * Workers take the next file of the sorted list until there is none. On the CPU each has an engine
 * of its own, and a track stays with it from its first packet to its embedding. On GPUs workers
 * only decode: tracks go to the device with the fewest under way, and their rows come back when the
 * device has them. Rows gather as they come and are sorted at the end. The caller's thread only
 * waits and reports. */
#include "engine/job.h"

#include "attune/store.h"
#include "engine/condition.h"
#include "engine/devices.h"
#include "engine/embed_file.h"
#include "engine/scan.h"
#include "status/error.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH_FRAMES = 16384 }; /* 25 minutes of audio, 128 MiB as f32, two of them */

typedef struct job {
    const attune_job_options *options;
    attune_devices devices;
    attune_precision precision;
    attune_batch_engine *engines[ATTUNE_DEVICES_MAX]; /* one a device; none on the CPU */
    atomic_size_t next;                               /* file to take */
    atomic_ullong decoded;                            /* samples */
    atomic_bool stop;
    pthread_mutex_t mutex;  /* guards all below */
    pthread_cond_t changed; /* on CLOCK_MONOTONIC */
    attune_rows *rows;
    uint64_t done, by_status[ATTUNE_TRACK_STATUS_COUNT];
    int running;          /* workers */
    uint64_t waiting;     /* files decoded whose rows a device has still to give */
    attune_status status; /* the first failure */
    char error[1024];
} job;

typedef struct worker {
    job *job;
    attune_engine *engine;   /* NULL on GPUs */
    attune_decoder *decoder; /* NULL: decodes by itself */
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

/* ---- workers ---- */

/* Notes the job's first failure, this thread's last error; called with the mutex held. */
static void note_failure(job *j, attune_status status)
{
    if (status != ATTUNE_OK && j->status == ATTUNE_OK) {
        j->status = status;
        strcpy(j->error, attune_last_error()); /* as long as attune_last_error can be */
        atomic_store(&j->stop, true);
    }
}

/* Files a finished track, or notes the failure that `status` is. */
static void file_row(job *j, const char *name, attune_status status, const attune_track *track,
                     const float *embedding)
{
    pthread_mutex_lock(&j->mutex);
    if (status == ATTUNE_OK) {
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
        status = attune_rows_append(j->rows, &row);
        j->done++;
        j->by_status[track->status]++;
        if (status == ATTUNE_OK && j->options->on_track) {
            j->options->on_track(j->options->user, name, track);
        }
    }
    note_failure(j, status);
    pthread_mutex_unlock(&j->mutex);
}

/* A file whose row a device has still to give. */
typedef struct pending {
    job *job;
    const char *name;
} pending;

static void on_embedded(void *user, attune_status status, const attune_track *track,
                        const float *embedding)
{
    pending *p = user;
    job *j = p->job;
    file_row(j, p->name, status, track, embedding);
    free(p);
    pthread_mutex_lock(&j->mutex);
    j->waiting--;
    pthread_cond_signal(&j->changed);
    pthread_mutex_unlock(&j->mutex);
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

static void embed_on_gpu(job *j, attune_decoder *decoder, const attune_audio_place *place,
                         const char *name)
{
    pending *p = malloc(sizeof(*p));
    attune_status status = p ? ATTUNE_OK : attune_fail_memory("a file", sizeof(*p));
    pthread_mutex_lock(&j->mutex);
    j->waiting++;
    pthread_mutex_unlock(&j->mutex);
    if (status == ATTUNE_OK) {
        *p = (pending){.job = j, .name = name};
        status = attune_embed_file_batched(least_loaded(j), attune_model_network(j->options->model),
                                           place, &j->options->audio, decoder, &j->decoded,
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

static void *work(void *argument)
{
    const worker *w = argument;
    job *j = w->job;
    const attune_scan *scan = j->options->scan;
    const size_t E = (size_t)attune_model_network(j->options->model)->embedding;
    float *embedding = malloc(sizeof(float) * E);
    if (!embedding) {
        pthread_mutex_lock(&j->mutex);
        note_failure(j, attune_fail_memory("an embedding", sizeof(float) * E));
        pthread_mutex_unlock(&j->mutex);
    }
    while (!atomic_load(&j->stop)) {
        const size_t index = atomic_fetch_add(&j->next, 1);
        if (index >= attune_scan_count(scan)) {
            break;
        }
        const attune_audio_place place = attune_scan_place(scan, index);
        const char *name = attune_scan_name(scan, index);
        if (w->engine) {
            attune_track track;
            attune_status status = attune_embed_file(w->engine, &place, &j->options->audio,
                                                     w->decoder, &track, embedding, &j->decoded);
            file_row(j, name, status, &track, embedding);
        } else {
            embed_on_gpu(j, w->decoder, &place, name);
        }
    }
    free(embedding);
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
    progress->audio_seconds =
        (double)atomic_load(&j->decoded) / attune_model_network(j->options->model)->sample_rate;
    progress->wall_seconds = now() - start;
    progress->busy = j->devices.count > 0 ? 0 : -1;
    for (int i = 0; i < j->devices.count && progress->wall_seconds > 0; i++) {
        progress->busy +=
            attune_batch_engine_busy(j->engines[i]) / progress->wall_seconds / j->devices.count;
    }
}

/* Waits for workers and devices, reporting. Returns true if the caller's callback asked to stop. */
static bool wait_for_rows(job *j, double start, attune_job_progress *progress)
{
    bool stopped = false;
    pthread_mutex_lock(&j->mutex);
    while (j->running > 0 || j->waiting > 0) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
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
    measure(j, start, progress);
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
    return status;
}

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
            atomic_store(&j->stop, true);
            return attune_fail(ATTUNE_ENOMEM, "cannot start a thread; try fewer --jobs");
        }
        workers[i].started = true;
    }
    return ATTUNE_OK;
}

/* The first failure; of a GPU that fails in mid-run it is one that running again may mend. */
static attune_status judge_failure(const job *j)
{
    return attune_fail(j->devices.count > 0 ? ATTUNE_ESTOPPED : j->status,
                       "stopped with %llu of %zu files done: %s", (unsigned long long)j->done,
                       attune_scan_count(j->options->scan), j->error);
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
        status =
            attune_fail(ATTUNE_ESTOPPED, "stopped with %llu of %llu files done",
                        (unsigned long long)progress->done, (unsigned long long)progress->files);
    }
    return status;
}

/* Embeds row `index` again on the CPU; *largest becomes the largest difference so far. */
static attune_status verify_row(const job *j, attune_engine *engine, attune_decoder *decoder,
                                size_t index, double *largest)
{
    const attune_row row = attune_rows_get(j->rows, index);
    const int E = attune_model_network(j->options->model)->embedding;
    attune_track track;
    float *embedding = malloc(sizeof(float) * (size_t)E);
    if (!embedding) {
        return attune_fail_memory("an embedding", sizeof(float) * (size_t)E);
    }
    const attune_audio_place place = attune_scan_place(j->options->scan, index);
    attune_status status =
        attune_embed_file(engine, &place, &j->options->audio, decoder, &track, embedding, NULL);
    for (int i = 0; status == ATTUNE_OK && i < E; i++) {
        const double difference = fabs((double)embedding[i] - (double)row.embedding[i]);
        *largest = difference <= *largest ? *largest : difference; /* NaN counts as larger */
    }
    const double bound = j->precision == ATTUNE_PRECISION_EXACT ? 1e-5 : 5e-4;
    if (status == ATTUNE_OK && !(*largest <= bound)) {
        status =
            attune_fail(ATTUNE_EINTERNAL,
                        "%s: the CPU's embedding differs by %g, more than %g; no output written",
                        row.path, *largest, bound);
    }
    free(embedding);
    return status;
}

/* Verifies options->verify rows that have an embedding, each as likely as any other, by a generator
 * that the time seeds; rows are sorted as the scan is. */
static attune_status verify(const job *j, attune_job_progress *progress)
{
    const attune_engine_options cpu = {.device = "cpu", .precision = "exact"};
    const size_t rows = attune_rows_count(j->rows);
    attune_engine *engine = NULL;
    attune_decoder *decoder = NULL;
    uint64_t state = (uint64_t)time(NULL), left = 0;
    if (j->options->verify == 0) {
        return ATTUNE_OK;
    }
    for (size_t i = 0; i < rows; i++) {
        left += attune_track_has_embedding(attune_rows_get(j->rows, i).status);
    }
    uint64_t wanted = j->options->verify < left ? j->options->verify : left;
    attune_status status = attune_engine_open(&engine, j->options->model, &cpu);
    if (status == ATTUNE_OK && j->options->decoder) {
        status = attune_decoder_create(&decoder, j->options->decoder);
    }
    for (size_t i = 0; status == ATTUNE_OK && i < rows && wanted > 0; i++) {
        if (!attune_track_has_embedding(attune_rows_get(j->rows, i).status)) {
            continue;
        }
        state = state * 6364136223846793005u + 1442695040888963407u;
        if ((state >> 33) % left-- < wanted) {
            status = verify_row(j, engine, decoder, i, &progress->verify_largest);
            progress->verified++;
            wanted--;
        }
    }
    attune_engine_close(engine);
    attune_decoder_close(decoder);
    return status;
}

/* Opens the output with all that is known before the first file. */
static attune_status create_output(attune_store_writer **writer, const job *j,
                                   const worker *workers, const char *path)
{
    const attune_job_options *options = j->options;
    const attune_network *network = attune_model_network(options->model);
    char json[512], created[32], device[256] = "";
    const time_t clock = time(NULL);
    struct tm utc;
    strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&clock, &utc));
    if (j->devices.count > 0) {
        snprintf(device, sizeof(device), "%s %s", j->devices.kernels->device,
                 attune_batch_engine_name(j->engines[0]));
    }
    const attune_store_attributes attributes = {
        .model_sha256 = attune_model_sha256(options->model),
        .model_name = attune_model_name(options->model),
        .network = attune_network_json(network, json, sizeof(json)),
        .device = *device ? device : attune_engine_device(workers[0].engine),
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
    return attune_store_create(writer, path, &attributes);
}

static attune_status write_rows(const job *j, attune_store_writer *writer)
{
    attune_status status = attune_store_append(writer, j->rows);
    return status == ATTUNE_OK ? attune_store_commit(writer) : status;
}

/* What a run that ended early has done goes beside the output, OUT.h5.partial, and never in place
 * of an output that is complete. `why` is the status that ended it, its message this thread's last
 * error. */
static attune_status write_partial(const job *j, const worker *workers, attune_status why)
{
    char reason[512], path[PATH_MAX];
    attune_store_writer *writer = NULL;
    attune_one_line(reason, sizeof(reason), attune_last_error());
    if (attune_rows_count(j->rows) == 0) {
        return why;
    }
    snprintf(path, sizeof(path), "%s.partial", j->options->output);
    attune_status status = create_output(&writer, j, workers, path);
    if (status == ATTUNE_OK) {
        status = write_rows(j, writer);
    }
    attune_store_writer_close(writer);
    if (status != ATTUNE_OK) {
        char second[512];
        attune_one_line(second, sizeof(second), attune_last_error());
        return attune_fail(why, "%s; and what was done is lost: %s", reason, second);
    }
    return attune_fail(why, "%s; their rows are in %s", reason, path);
}

static attune_status run_job(job *j, worker *workers, int count, double start,
                             attune_store_writer **writer, attune_job_progress *progress)
{
    attune_status status = open_engines(j, workers, count);
    if (status == ATTUNE_OK) {
        status = create_output(writer, j, workers, j->options->output);
    }
    if (status != ATTUNE_OK) {
        return status;
    }
    const attune_status run = run_workers(j, workers, count, start, progress);
    status = attune_rows_sort(j->rows);
    if (run != ATTUNE_OK) {
        return write_partial(j, workers, run);
    }
    if (status == ATTUNE_OK) {
        status = verify(j, progress);
    }
    return status == ATTUNE_OK ? write_rows(j, *writer) : status;
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

attune_status attune_job_run_with(const attune_job_options *options, attune_job_progress *progress,
                                  const attune_batch_kernels *kernels)
{
    const double start = now();
    job j = {.options = options, .mutex = PTHREAD_MUTEX_INITIALIZER};
    attune_condition_init(&j.changed);
    attune_store_writer *writer = NULL;
    const int count = worker_count(options);
    *progress = (attune_job_progress){.files = attune_scan_count(options->scan)};
    worker *workers = calloc((size_t)count, sizeof(*workers));
    attune_status status = workers ? ATTUNE_OK : attune_fail_memory("workers", (size_t)count * 64);
    if (status == ATTUNE_OK) {
        status = check_output(options);
    }
    if (status == ATTUNE_OK) {
        status = attune_devices_parse(&j.devices, options->engine.device, kernels);
    }
    if (status == ATTUNE_OK) {
        status =
            attune_precision_parse(&j.precision, options->engine.precision, j.devices.count == 0);
    }
    if (status == ATTUNE_OK) {
        status = attune_rows_create(&j.rows, attune_model_network(options->model)->embedding);
    }
    if (status == ATTUNE_OK) {
        status = run_job(&j, workers, count, start, &writer, progress);
    }
    attune_store_writer_close(writer);
    for (int i = 0; i < ATTUNE_DEVICES_MAX; i++) {
        attune_batch_engine_close(j.engines[i]);
    }
    for (int i = 0; workers && i < count; i++) {
        attune_engine_close(workers[i].engine);
        attune_decoder_close(workers[i].decoder);
    }
    attune_rows_free(j.rows);
    pthread_cond_destroy(&j.changed);
    free(workers);
    return status;
}

attune_status attune_job_run(const attune_job_options *options, attune_job_progress *progress)
{
    return attune_job_run_with(options, progress, attune_kernels_cuda());
}
