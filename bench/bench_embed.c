/* bench_embed.c - files to HDF5 end to end, beside decoding alone with the same cores.
 *
 *   bench_embed MODEL.onnx DEVICE WORKERS INPUT...
 *
 * On a GPU everything after the decoder should be hidden behind it: the ratio then is close to 1.
 * On the CPU the network comes on top. Both are measured in one run, by turns; the output goes to a
 * temporary folder. */
#include "attune/attune.h"
#include "bench/bench.h"
#include "status/machine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TURNS = 3, WORKERS_MAX = 256, CHUNK = 1 << 16 };

typedef struct decoding {
    const attune_scan *scan;
    atomic_size_t next;
    atomic_ullong samples;
    atomic_int failed;
} decoding;

static void *decode_files(void *argument)
{
    decoding *d = argument;
    float *samples = malloc(CHUNK * sizeof(float));
    for (size_t i = 0;
         samples && (i = atomic_fetch_add(&d->next, 1)) < attune_scan_count(d->scan);) {
        attune_audio *audio = NULL;
        attune_audio_result result = {0};
        size_t count = 0;
        attune_status status =
            attune_audio_open(&audio, attune_scan_path(d->scan, i), NULL, &result);
        do {
            count = 0;
            if (status == ATTUNE_OK && audio) {
                status = attune_audio_read(audio, samples, CHUNK, &count);
            }
            atomic_fetch_add(&d->samples, count);
        } while (status == ATTUNE_OK && count > 0);
        attune_audio_close(audio);
        atomic_fetch_or(&d->failed, status != ATTUNE_OK);
    }
    atomic_fetch_or(&d->failed, samples == NULL);
    free(samples);
    return NULL;
}

/* Seconds to decode everything with so many threads; below 0 on failure. */
static double decode_all(const attune_scan *scan, int workers, double *hours)
{
    decoding d = {.scan = scan};
    pthread_t threads[WORKERS_MAX];
    int started = 0;
    const double start = attune_seconds();
    while (started < workers && pthread_create(&threads[started], NULL, decode_files, &d) == 0) {
        started++;
    }
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    *hours = (double)atomic_load(&d.samples) / 22050 / 3600;
    return started == workers && !atomic_load(&d.failed) ? attune_seconds() - start : -1;
}

static int measure(attune_job_options *job)
{
    printf("%8s %12s %12s %8s %14s\n", "hours", "decode s", "embed s", "ratio", "hours/s");
    for (int turn = 0; turn < TURNS; turn++) {
        double hours = 0;
        attune_job_progress progress;
        const double decode = decode_all(job->scan, job->workers, &hours);
        if (decode < 0 || attune_job_run(job, &progress) != ATTUNE_OK) {
            fprintf(stderr, "bench_embed: %s\n", attune_last_error());
            return 70;
        }
        printf("%8.2f %12.2f %12.2f %8.2f %14.3f\n", hours, decode, progress.wall_seconds,
               progress.wall_seconds / decode, hours / progress.wall_seconds);
    }
    return 0;
}

int main(int argc, char **argv)
{
    bench_job job;
    if (argc < 5 || atoi(argv[3]) < 1 || atoi(argv[3]) > WORKERS_MAX) {
        fprintf(stderr, "usage: bench_embed MODEL.onnx DEVICE WORKERS INPUT...\n");
        return 64;
    }
    bench_job_open(&job, argv[1], argv + 4, argc - 4);
    job.options.engine.device = argv[2];
    job.options.workers = atoi(argv[3]);
    const int code = measure(&job.options);
    bench_job_close(&job);
    return code;
}
