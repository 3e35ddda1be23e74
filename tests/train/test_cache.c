/* test_cache.c - clips are what the decoder gives, decoded once, and survive whatever ends a run.
 */
#include "train/cache.h"

#include "tests/support/support.h"
#include "tests/train/audio_tree.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RATE = 22050, TRACKS = 6 };

/* Sample i of track `track`: what the WAV files hold, which need no resampling. */
static int16_t sample_of(size_t track, size_t i)
{
    return (int16_t)((i * (2 * track + 3) + (i >> 7) * 977) % 60013 - 30000);
}

/* A mono WAV of 16 bits at 22,050 Hz. */
static void write_track(const char *path, size_t track, size_t samples)
{
    int16_t *pcm = malloc(samples * sizeof(*pcm));
    cr_assert_not_null(pcm);
    for (size_t i = 0; i < samples; i++) {
        pcm[i] = sample_of(track, i);
    }
    write_wav(path, RATE, 1, 16, pcm, samples * sizeof(*pcm));
    free(pcm);
}

/* Samples of a track's file. */
static size_t length_of(size_t track)
{
    return (track + 1) * 9000 + 17 * track;
}

typedef struct fixture {
    char *paths[TRACKS];
    attune_audio_place places[TRACKS];
    char *cache;
    attune_clip_cache_options options;
    size_t decoded, failed, kept, calls, stop_after; /* 0: never */
    char error[512];
} fixture;

static bool count_progress(void *user, const attune_clip_cache_progress *progress)
{
    fixture *f = user;
    f->decoded = progress->decoded;
    f->failed = progress->failed;
    f->kept = progress->kept;
    f->calls++;
    return f->stop_after > 0 && progress->decoded >= f->stop_after;
}

static void note_track(void *user, size_t track, attune_track_status status, const char *error)
{
    fixture *f = user;
    (void)track;
    (void)status;
    snprintf(f->error, sizeof(f->error), "%s", error);
}

static void set_up(fixture *f)
{
    *f = (fixture){.cache = temporary_path("cache.h5")};
    for (size_t i = 0; i < TRACKS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%zu.wav", i);
        f->paths[i] = temporary_path(name);
        f->places[i].path = f->paths[i];
        write_track(f->paths[i], i, length_of(i));
    }
    attune_clip_cache_options_default(&f->options);
    f->options.clip_start = 0.1;
    f->options.clip_seconds = 1.5;
    f->options.threads = 2;
    f->options.on_progress = count_progress;
    f->options.on_track = note_track;
    f->options.user = f;
}

static void tear_down(fixture *f)
{
    for (size_t i = 0; i < TRACKS; i++) {
        free(f->paths[i]);
    }
    free(f->cache);
}

static attune_clip_cache *open_cache(fixture *f)
{
    attune_clip_cache *cache = NULL;
    f->decoded = f->failed = f->kept = 0;
    assert_ok(attune_clip_cache_open(&cache, f->cache, f->places, TRACKS, &f->options));
    return cache;
}

/* Asserts that a track's clip is that part of its file, in every way of reading it. */
static void assert_clip(attune_clip_cache *cache, const fixture *f, size_t track, size_t length)
{
    const size_t first = (size_t)lround(f->options.clip_start * RATE);
    const size_t S = (size_t)lround(f->options.clip_seconds * RATE);
    const size_t rest = length > first ? length - first : 0, samples = rest < S ? rest : S;
    float *got = malloc((S + 100) * sizeof(float));
    cr_assert_not_null(got);
    cr_assert_eq(attune_clip_cache_samples(cache, track), samples, "track %zu: %zu samples", track,
                 attune_clip_cache_samples(cache, track));
    const size_t starts[] = {0, 1, samples / 2, samples - 1, samples, S + 5};
    for (size_t s = 0; s < sizeof(starts) / sizeof(*starts); s++) {
        const size_t start = starts[s], count = s == 0 ? S + 100 : 50;
        memset(got, 0xff, (S + 100) * sizeof(float));
        assert_ok(attune_clip_cache_read(cache, got, track, start, count));
        for (size_t i = 0; i < count; i++) {
            const bool in = start + i < samples;
            const double want = in ? sample_of(track, first + start + i) / 32768.0 : 0.0;
            /* 15 bits of fraction to 14: half a step of rounding */
            const double bound = f->options.format == ATTUNE_CLIP_INT16 && in ? 0.5 / 16384 : 0.0;
            cr_assert(fabs((double)got[i] - want) <= bound, "track %zu, sample %zu: %g, not %g",
                      track, start + i, (double)got[i], want);
        }
    }
    free(got);
}

Test(cache, clips_are_the_decoders)
{
    for (int format = 0; format < 2; format++) {
        fixture f;
        set_up(&f);
        unlink(f.cache);
        f.options.format = (attune_clip_format)format;
        for (int again = 0; again < 3; again++) {
            attune_clip_cache *cache = open_cache(&f);
            cr_assert_eq(f.decoded, again ? 0 : TRACKS);
            for (size_t i = 0; i < TRACKS; i++) {
                assert_clip(cache, &f, i, length_of(i));
            }
            attune_clip_cache_close(cache);
        }
        tear_down(&f);
    }
}

/* A file of another time or size is decoded again; one that is gone keeps its clip; new ones make
 * the file grow, and what others put there stays. */
Test(cache, decodes_what_has_changed_and_nothing_else)
{
    fixture f;
    set_up(&f);
    attune_clip_cache_close(open_cache(&f));
    write_track(f.paths[1], 1, 20000);
    cr_assert_eq(unlink(f.paths[2]), 0);
    attune_clip_cache *cache = open_cache(&f);
    cr_assert_eq(f.decoded, 1, "%zu", f.decoded);
    assert_clip(cache, &f, 1, 20000);
    assert_clip(cache, &f, 2, length_of(2));
    attune_clip_cache_close(cache);

    char *others[TRACKS];
    attune_audio_place places[TRACKS + 1] = {f.places[0]};
    for (size_t i = 0; i < TRACKS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "other%zu.wav", i);
        others[i] = temporary_path(name);
        write_track(others[i], TRACKS + i, 5000);
        places[i + 1].path = others[i];
    }
    assert_ok(attune_clip_cache_open(&cache, f.cache, places, TRACKS + 1, &f.options));
    cr_assert_eq(f.decoded, TRACKS);
    assert_clip(cache, &f, 0, length_of(0));
    attune_clip_cache_close(cache);
    cache = open_cache(&f);
    cr_assert_eq(f.decoded, 0);
    for (size_t i = 0; i < TRACKS; i++) {
        assert_clip(cache, &f, i, i == 1 ? 20000 : length_of(i));
        free(others[i]);
    }
    attune_clip_cache_close(cache);
    tear_down(&f);
}

Test(cache, a_file_that_fails_has_a_status_and_is_tried_again)
{
    fixture f;
    set_up(&f);
    write_file(f.paths[3], "no audio at all", 15);
    write_track(f.paths[4], 4, 100); /* ends before the clip begins */
    attune_clip_cache *cache = open_cache(&f);
    cr_assert_eq(f.failed, 2);
    cr_assert_eq(attune_clip_cache_samples(cache, 3), 0);
    cr_assert(strlen(f.error) > 0);
    float x = 0;
    cr_assert_eq(attune_clip_cache_read(cache, &x, 3, 0, 1), ATTUNE_EINVAL);
    cr_assert(strstr(attune_last_error(), "track 3 has no clip: cannot_open"));
    cr_assert_eq(attune_clip_cache_read(cache, &x, 4, 0, 1), ATTUNE_EINVAL);
    cr_assert(strstr(attune_last_error(), "track 4 has no clip: empty"));
    attune_clip_cache_close(cache);
    write_track(f.paths[3], 3, length_of(3));
    cache = open_cache(&f);
    cr_assert_eq(f.decoded, 2);
    cr_assert_eq(f.failed, 1);
    assert_clip(cache, &f, 3, length_of(3));
    attune_clip_cache_close(cache);
    tear_down(&f);
}

Test(cache, goes_on_where_it_was_stopped)
{
    fixture f;
    set_up(&f);
    attune_clip_cache *cache = NULL;
    f.options.threads = 1;
    f.stop_after = 1;
    for (size_t i = 0; i < TRACKS; i++) {
        assert_refused(attune_clip_cache_open(&cache, f.cache, f.places, TRACKS, &f.options),
                       ATTUNE_ESTOPPED, "run again to go on");
        cr_assert_null(cache);
        cr_assert_eq(f.kept, i);
    }
    cache = open_cache(&f);
    cr_assert_eq(f.kept + f.decoded, 0, "no call, since nothing was lacking");
    for (size_t i = 0; i < TRACKS; i++) {
        assert_clip(cache, &f, i, length_of(i));
    }
    attune_clip_cache_close(cache);
    tear_down(&f);
}

static bool kill_after_two(void *user, const attune_clip_cache_progress *progress)
{
    (void)user;
    if (progress->decoded == 2) {
        raise(SIGKILL);
    }
    return false;
}

/* Killed with two clips noted from before and two more written that are not. */
Test(cache, goes_on_where_it_was_killed)
{
    fixture f;
    set_up(&f);
    attune_clip_cache *cache = NULL;
    cr_assert_eq(attune_clip_cache_open(&cache, f.cache, f.places, 2, &f.options), ATTUNE_OK);
    attune_clip_cache_close(cache);
    write_track(f.paths[0], 0, 12345); /* one of those killed at is a clip that has changed */
    const pid_t child = fork();
    if (child == 0) {
        f.options.threads = 1;
        f.options.on_progress = kill_after_two;
        attune_clip_cache_open(&cache, f.cache, f.places, TRACKS, &f.options);
        _exit(1);
    }
    int how = 0;
    cr_assert_eq(waitpid(child, &how, 0), child);
    cr_assert(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
    cache = open_cache(&f);
    cr_assert_geq(f.kept, 1);
    for (size_t i = 0; i < TRACKS; i++) {
        assert_clip(cache, &f, i, i == 0 ? 12345 : length_of(i));
    }
    attune_clip_cache_close(cache);
    tear_down(&f);
}

/* Two pipes between a process that decodes and one that has to wait. */
typedef struct pipes {
    int started[2], go[2];
    bool waited;
} pipes;

static bool hold(void *user, const attune_clip_cache_progress *progress)
{
    pipes *p = user;
    char byte = 1;
    return progress->decoded == 0 &&
           (write(p->started[1], &byte, 1) != 1 || read(p->go[0], &byte, 1) != 1);
}

static bool release(void *user, const attune_clip_cache_progress *progress)
{
    pipes *p = user;
    const char byte = 1;
    const bool first = progress->waiting && !p->waited;
    p->waited |= progress->waiting;
    return first && write(p->go[1], &byte, 1) != 1;
}

Test(cache, waits_while_another_process_decodes)
{
    fixture f;
    pipes p = {0};
    char byte = 0;
    set_up(&f);
    cr_assert(pipe(p.started) == 0 && pipe(p.go) == 0);
    f.options.user = &p;
    f.options.on_track = NULL;
    attune_clip_cache *cache = NULL;
    const pid_t child = fork();
    if (child == 0) {
        f.options.on_progress = hold;
        _exit(attune_clip_cache_open(&cache, f.cache, f.places, TRACKS, &f.options) ? 1 : 0);
    }
    cr_assert_eq(read(p.started[0], &byte, 1), 1);
    f.options.on_progress = release;
    assert_ok(attune_clip_cache_open(&cache, f.cache, f.places, TRACKS, &f.options));
    cr_assert(p.waited);
    int how = 0;
    cr_assert_eq(waitpid(child, &how, 0), child);
    cr_assert(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    for (size_t i = 0; i < TRACKS; i++) {
        assert_clip(cache, &f, i, length_of(i));
    }
    attune_clip_cache_close(cache);
    tear_down(&f);
}

Test(cache, refuses_other_clips_and_other_files)
{
    fixture f;
    set_up(&f);
    attune_clip_cache *cache = open_cache(&f);
    attune_clip_cache_close(cache);
    attune_clip_cache_options other = f.options;
    other.clip_seconds = 1;
    assert_refused(attune_clip_cache_open(&cache, f.cache, f.places, TRACKS, &other),
                   ATTUNE_ECONFIG, "has clips of 1.5 s from 0.1 s on at 22050 Hz in 16-bit");
    cr_assert_null(cache);
    other = f.options;
    other.format = ATTUNE_CLIP_FLOAT32;
    assert_refused(attune_clip_cache_open(&cache, f.cache, f.places, TRACKS, &other),
                   ATTUNE_ECONFIG, "floats");
    other.clip_seconds = 0;
    cr_assert_eq(attune_clip_cache_open(&cache, f.cache, f.places, TRACKS, &other), ATTUNE_EINVAL);
    write_file(f.cache, "something else", 14);
    assert_refused(attune_clip_cache_open(&cache, f.cache, f.places, TRACKS, &f.options),
                   ATTUNE_ECREATE, "is no cache of clips");
    char *text = read_file(f.cache, NULL);
    cr_assert_str_eq(text, "something else");
    free(text);
    char *nowhere = temporary_path("no/where.h5");
    assert_refused(attune_clip_cache_open(&cache, nowhere, f.places, TRACKS, &f.options),
                   ATTUNE_ECREATE, "where.h5");
    free(nowhere);
    tear_down(&f);
}

/* Spoils samples, then a record, by way of their bytes in the file. */
Test(cache, notices_damage)
{
    fixture f;
    set_up(&f);
    attune_clip_cache_close(open_cache(&f));
    size_t size = 0;
    char *bytes = read_file(f.cache, &size);
    int16_t sample = (int16_t)lrintf((float)sample_of(0, 2205) / 2);
    char *at = NULL;
    int16_t next = (int16_t)lrintf((float)sample_of(0, 2206) / 2);
    for (size_t i = 0; i + 4 <= size && !at; i++) {
        at = memcmp(bytes + i, &sample, 2) || memcmp(bytes + i + 2, &next, 2) ? NULL : bytes + i;
    }
    cr_assert_not_null(at, "the clip's first samples are not in the file");
    at[0] ^= 1;
    write_file(f.cache, bytes, size);
    attune_clip_cache *cache = open_cache(&f);
    float x[4];
    size_t damaged = 0;
    for (size_t i = 0; i < TRACKS; i++) {
        const attune_status status = attune_clip_cache_read(cache, x, i, 5, 4);
        cr_assert(status == ATTUNE_OK || status == ATTUNE_EDATA);
        damaged += status == ATTUNE_EDATA;
    }
    cr_assert_eq(damaged, 1, "%zu damaged", damaged);
    attune_clip_cache_close(cache);
    at[0] ^= 1;
    char *record = memmem(bytes, size, "/3.wav", 6);
    cr_assert_not_null(record);
    record[0] ^= 1;
    write_file(f.cache, bytes, size);
    cache = open_cache(&f);
    cr_assert_eq(f.decoded, 1, "a record that is spoilt is a clip that is not there");
    for (size_t i = 0; i < TRACKS; i++) {
        assert_clip(cache, &f, i, length_of(i));
    }
    attune_clip_cache_close(cache);
    free(bytes);
    tear_down(&f);
}

/* While one process reads, others may too; none may add. */
Test(cache, is_shared_by_readers)
{
    fixture f;
    set_up(&f);
    attune_clip_cache *first = open_cache(&f), *second = open_cache(&f), *third = NULL;
    assert_clip(first, &f, 1, length_of(1));
    assert_clip(second, &f, 1, length_of(1));
    write_track(f.paths[0], 0, 10000);
    assert_refused(attune_clip_cache_open(&third, f.cache, f.places, TRACKS, &f.options),
                   ATTUNE_ESTOPPED, "other processes read it");
    attune_clip_cache_close(first);
    attune_clip_cache_close(second);
    third = open_cache(&f);
    cr_assert_eq(f.decoded, 1);
    attune_clip_cache_close(third);
    tear_down(&f);
}

/* A disk that is full: what fitted is kept, and with room it goes on. */
Test(cache, survives_a_full_disk)
{
    fixture f;
    set_up(&f);
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        const struct rlimit limit = {100000, 100000};
        attune_clip_cache *cache = NULL;
        const bool limited = setrlimit(RLIMIT_FSIZE, &limit) == 0;
        const attune_status status =
            attune_clip_cache_open(&cache, f.cache, f.places, TRACKS, &f.options);
        _exit(limited && status == ATTUNE_EIO && strstr(attune_last_error(), "cannot write") ? 0
                                                                                             : 1);
    }
    int how = 0;
    cr_assert_eq(waitpid(child, &how, 0), child);
    cr_assert(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    attune_clip_cache *cache = open_cache(&f);
    for (size_t i = 0; i < TRACKS; i++) {
        assert_clip(cache, &f, i, length_of(i));
    }
    attune_clip_cache_close(cache);
    tear_down(&f);
}
