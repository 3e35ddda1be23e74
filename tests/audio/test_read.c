/* test_read.c - clips, reads of any size, threads, options. */
#include "audio/place.h"
#include "tests/audio/audio_files.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { COUNT = 70000 };

/* A stereo WAV of noise at 32 kHz, so that it is resampled. */
static char *noise_file(void)
{
    float *noise = malloc(2 * COUNT * sizeof(float));
    uint64_t seed = 3;
    cr_assert_not_null(noise);
    random_fill(&seed, noise, 2 * COUNT, 0.9f);
    char *path = temporary_path("noise.wav");
    write_wav(path, 32000, 2, 32, noise, 2 * COUNT * sizeof(float));
    free(noise);
    return path;
}

static void assert_same(const decoded *got, const float *samples, size_t count, const char *what)
{
    cr_assert_eq(got->count, count, "%s: %zu samples, %zu expected", what, got->count, count);
    cr_assert(memcmp(got->samples, samples, count * sizeof(float)) == 0, "%s: samples differ",
              what);
}

Test(read, size_of_reads_changes_nothing)
{
    static const size_t chunks[] = {1, 7, 2048, 4095, 4096, 65536, 1000000};
    char *path = noise_file();
    decoded whole = decode(path, NULL, 100000);
    cr_assert_eq(whole.result.status, ATTUNE_TRACK_OK);
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        decoded got = decode(path, NULL, chunks[i]);
        assert_same(&got, whole.samples, whole.count, "a chunk size");
        cr_assert_eq(got.result.peak, whole.result.peak);
        free(got.samples);
    }
    free(whole.samples);
    free(path);
}

Test(read, clips_are_slices_of_the_whole)
{
    static const double starts[] = {0, 1e-5, 0.1, 0.5000113, 1, 2.1};
    static const double lengths[] = {0, 1e-9, 0.01, 0.3333, 1, 100};
    static const size_t chunks[] = {5, 30000};
    char *path = noise_file();
    decoded whole = decode(path, NULL, 100000);
    for (size_t i = 0; i < 6 * 6 * 2; i++) {
        attune_audio_options options;
        attune_audio_options_default(&options);
        options.clip_start = starts[i % 6];
        options.clip_seconds = lengths[i / 6 % 6];
        size_t begin = (size_t)llround(options.clip_start * 22050);
        size_t length = (size_t)llround(options.clip_seconds * 22050);
        length = options.clip_seconds > 0 && length == 0 ? 1 : length;
        size_t end = length == 0 || begin + length > whole.count ? whole.count : begin + length;
        decoded got = decode(path, &options, chunks[i / 36]);
        assert_same(&got, whole.samples + begin, end - begin, "a clip");
        cr_assert_eq(got.result.status, ATTUNE_TRACK_OK);
        cr_assert_float_eq(got.result.duration, (double)end / 22050, 1e-12);
        free(got.samples);
    }
    free(whole.samples);
    free(path);
}

/* A clip in the middle must not be spoilt by damage behind it: decoding stops before. */
Test(read, decoding_stops_when_the_clip_is_complete)
{
    need_ffmpeg();
    char *path = temporary_path("long.flac");
    cr_assert(make_audio(path, 44100, 1, 10 * 44100, "-c:a flac"));
    size_t size = 0;
    char *bytes = read_file(path, &size);
    memset(bytes + size - 50000, 0x55, 30000);
    write_file(path, bytes, size);
    free(bytes);
    attune_audio_options options;
    attune_audio_options_default(&options);
    decoded whole = decode(path, &options, 4096);
    cr_assert_eq(whole.result.status, ATTUNE_TRACK_PARTIAL);
    options.clip_seconds = 5;
    decoded part = decode(path, &options, 4096);
    cr_assert_eq(part.result.status, ATTUNE_TRACK_OK, "%s", part.result.error);
    assert_same(&part, whole.samples, 5 * 22050, "the clip");
    free(whole.samples);
    free(part.samples);
    free(path);
}

Test(read, result_describes_the_file)
{
    struct stat status;
    char *path = noise_file();
    cr_assert_eq(stat(path, &status), 0);
    decoded got = decode(path, NULL, 1000);
    float peak = 0;
    for (size_t i = 0; i < got.count; i++) {
        peak = fmaxf(peak, fabsf(got.samples[i]));
    }
    cr_assert_eq(got.result.peak, peak);
    cr_assert_eq(got.result.size, (uint64_t)status.st_size);
    cr_assert_eq(got.result.mtime_ns,
                 (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec);
    cr_assert_eq(got.result.damaged_packets, 0);
    cr_assert_str_eq(got.result.error, "");
    cr_assert_float_eq(got.result.duration, COUNT / 32000.0, 1e-3);
    free(got.samples);
    free(path);
}

/* Nanoseconds since 1970 fit into 64 bits until 2262; later ones wrap, and still tell files apart.
 */
Test(read, a_file_may_be_of_any_time)
{
    static const long long seconds[] = {-1, 9223372037, 10000000000, -9300000000};
    char *path = noise_file();
    const attune_audio_place place = {.path = path};
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        struct stat status;
        uint64_t size = 0;
        int64_t looked = 0;
        cr_assert_eq(run_command("touch -d @%lld '%s'", seconds[i], path), 0);
        cr_assert_eq(stat(path, &status), 0); /* some file systems have earlier ends */
        const int64_t expected = (int64_t)((uint64_t)status.st_mtim.tv_sec * 1000000000u);
        cr_assert(attune_audio_place_look(&place, &size, &looked));
        cr_assert_eq(looked, expected, "%lld", seconds[i]);
        decoded got = decode(path, NULL, 1000);
        cr_assert_eq(got.result.mtime_ns, expected, "%lld", seconds[i]);
        free(got.samples);
    }
    free(path);
}

Test(read, wrong_options_are_refused)
{
    static const attune_audio_options wrong[] = {
        {.sample_rate = 0},
        {.sample_rate = -22050},
        {.sample_rate = 2000000},
        {.sample_rate = 22050, .clip_start = -1},
        {.sample_rate = 22050, .clip_start = NAN},
        {.sample_rate = 22050, .clip_seconds = -1},
        {.sample_rate = 22050, .clip_seconds = INFINITY},
        {.sample_rate = 22050, .timeout_seconds = -1},
        {.sample_rate = 22050, .timeout_seconds = NAN},
    };
    char *path = noise_file();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        attune_audio *audio = (attune_audio *)&audio;
        attune_audio_result result;
        cr_assert_eq(attune_audio_open(&audio, path, &wrong[i], &result), ATTUNE_EINVAL,
                     "options %zu", i);
        cr_assert_null(audio);
        cr_assert_neq(attune_last_error()[0], '\0');
    }
    attune_audio *audio = NULL;
    attune_audio_result result;
    float sample;
    size_t count = 9;
    cr_assert_eq(attune_audio_open(&audio, path, NULL, &result), ATTUNE_OK);
    cr_assert_eq(attune_audio_read(audio, &sample, 0, &count), ATTUNE_EINVAL);
    cr_assert_eq(count, 0);
    attune_audio_close(audio);
    attune_audio_close(NULL);
    free(path);
}

typedef struct job {
    const char *path;
    decoded out;
} job;

static void *run_job(void *argument)
{
    job *j = argument;
    j->out = decode(j->path, NULL, 3000);
    return NULL;
}

/* Damaged and whole files side by side: the messages must not get mixed up. */
Test(read, threads_do_not_disturb_each_other)
{
    enum { THREADS = 8 };
    need_ffmpeg();
    char *good = noise_file();
    char *bad = temporary_path("bad.flac");
    cr_assert(make_audio(bad, 44100, 1, 5 * 44100, "-c:a flac"));
    size_t size = 0;
    char *bytes = read_file(bad, &size);
    memset(bytes + size / 2, 0x55, 20000);
    write_file(bad, bytes, size);
    free(bytes);
    decoded expected[2] = {decode(good, NULL, 5000), decode(bad, NULL, 5000)};
    cr_assert_eq(expected[1].result.status, ATTUNE_TRACK_PARTIAL);
    for (int round = 0; round < 5; round++) {
        pthread_t threads[THREADS];
        job jobs[THREADS];
        for (int i = 0; i < THREADS; i++) {
            jobs[i] = (job){.path = i % 2 ? bad : good};
            cr_assert_eq(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            cr_assert_eq(pthread_join(threads[i], NULL), 0);
            assert_same(&jobs[i].out, expected[i % 2].samples, expected[i % 2].count, jobs[i].path);
            cr_assert_str_eq(jobs[i].out.result.error, expected[i % 2].result.error);
            free(jobs[i].out.samples);
        }
    }
    free(expected[0].samples);
    free(expected[1].samples);
    free(good);
    free(bad);
}

Test(read, versions_name_the_libraries)
{
    int numbers[9];
    cr_assert_eq(sscanf(attune_audio_versions(),
                        "libavformat %d.%d.%d, libavcodec %d.%d.%d, libswresample %d.%d.%d",
                        &numbers[0], &numbers[1], &numbers[2], &numbers[3], &numbers[4],
                        &numbers[5], &numbers[6], &numbers[7], &numbers[8]),
                 9, "%s", attune_audio_versions());
    cr_assert_geq(numbers[0], 59);
}
