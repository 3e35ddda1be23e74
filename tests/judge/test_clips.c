/* Clips as WAV, within a number of bytes, for many threads. */
#include "judge/clips.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SONGS = 6, RATE = 44100, SECONDS = 3, BYTES = 44 + 4 * RATE };

/* Song i: a frame's left sample is its number and its right one that plus i, both modulo 1000. */
static void make_songs(attune_names *songs)
{
    enum { FRAMES = SECONDS * RATE };
    static int16_t samples[2 * FRAMES];
    for (uint32_t i = 0, number = 0; i < SONGS; i++) {
        char name[32];
        for (int k = 0; k < FRAMES; k++) {
            samples[2 * k] = (int16_t)(k % 1000);
            samples[2 * k + 1] = (int16_t)((k + (int)i) % 1000);
        }
        snprintf(name, sizeof(name), "%u.wav", i);
        char *path = temporary_path(name);
        write_wav(path, RATE, 2, 16, samples, sizeof(samples));
        free(path);
        cr_assert_eq(attune_names_add(&number, songs, name), ATTUNE_OK);
    }
}

typedef struct room {
    attune_names songs;
    attune_sources *sources;
    attune_clips *clips;
} room;

static void open_room(room *r, double start, size_t bytes)
{
    *r = (room){0};
    make_songs(&r->songs);
    const attune_sources_options sources = {.audio = temporary_folder()};
    const attune_clips_options clips = {.start = start, .seconds = 1, .bytes = bytes};
    assert_ok(attune_sources_open(&r->sources, &r->songs, &sources));
    cr_assert_eq(attune_clips_create(&r->clips, r->sources, SONGS, &clips), ATTUNE_OK);
}

static void close_room(room *r)
{
    attune_clips_free(r->clips);
    attune_sources_close(r->sources);
    attune_names_free(&r->songs);
}

/* The samples are those of the file, from the middle, from the offset, or its last. */
Test(clips, samples)
{
    static const double starts[] = {-1, 0, 0.5, 100};
    static const int first[] = {RATE, 0, RATE / 2, 2 * RATE};
    for (int t = 0; t < 4; t++) {
        room r;
        open_room(&r, starts[t], SIZE_MAX);
        for (uint32_t i = 0; i < SONGS; i++) {
            const attune_clip_wav *clip = NULL;
            assert_ok(attune_clips_hold(&clip, r.clips, i));
            cr_assert(clip->size == BYTES && clip->seconds == 1);
            cr_assert(memcmp(clip->bytes, "RIFF", 4) == 0);
            for (int k = 0; k < RATE; k++) {
                int16_t frame[2];
                memcpy(frame, clip->bytes + 44 + 4 * k, 4);
                cr_assert(frame[0] == (first[t] + k) % 1000 &&
                              frame[1] == (first[t] + k + (int)i) % 1000,
                          "song %u from %g, frame %d: %d, %d", i, starts[t], k, frame[0], frame[1]);
            }
            int largest = 0;
            for (int p = 0; p < ATTUNE_CLIP_PEAKS; p++) {
                largest = clip->peaks[p] > largest ? clip->peaks[p] : largest;
            }
            cr_assert_eq(largest, 999 * 255 / 32768);
            attune_clips_release(clip);
        }
        close_room(&r);
    }
}

/* What is held stays; what is not goes, the oldest first; and comes back the same. */
Test(clips, bounded)
{
    room r;
    const attune_clip_wav *held[SONGS], *clip = NULL, *again = NULL;
    open_room(&r, 0, 2 * BYTES);
    for (uint32_t i = 0; i < SONGS; i++) { /* all, beyond the bound */
        cr_assert_eq(attune_clips_hold(&held[i], r.clips, i), ATTUNE_OK);
    }
    for (uint32_t i = 0; i < SONGS; i++) {
        int16_t frame[2];
        memcpy(frame, held[i]->bytes + 44, 4);
        cr_assert(frame[0] == 0 && frame[1] == (int)i);
    }
    for (uint32_t i = 0; i < SONGS; i++) {
        attune_clips_release(held[i]);
    }
    cr_assert_eq(attune_clips_hold(&clip, r.clips, 5), ATTUNE_OK);
    cr_assert_eq(attune_clips_hold(&again, r.clips, 5), ATTUNE_OK);
    cr_assert_eq(clip, held[5], "the newest was kept");
    cr_assert_eq(clip, again, "and is one");
    attune_clips_release(again);
    attune_clips_release(clip);
    close_room(&r);
}

static void *hold_many(void *user)
{
    room *r = user;
    uint64_t seed = (uint64_t)(uintptr_t)&r;
    for (int k = 0; k < 60; k++) {
        const uint32_t i = (uint32_t)(random_bits(&seed) % SONGS);
        const attune_clip_wav *clip = NULL;
        int16_t frame[2] = {-1, -1};
        if (attune_clips_hold(&clip, r->clips, i) == ATTUNE_OK) {
            memcpy(frame, clip->bytes + BYTES - 4, 4);
            attune_clips_release(clip);
        }
        if (frame[0] != (RATE - 1) % 1000 || frame[1] != (RATE - 1 + (int)i) % 1000) {
            return user;
        }
    }
    return NULL;
}

Test(clips, threads)
{
    enum { THREADS = 8 };
    room r;
    pthread_t threads[THREADS];
    open_room(&r, 0, 3 * BYTES);
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, hold_many, &r), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        cr_assert_null(wrong);
    }
    close_room(&r);
}

/* A file that cannot be decoded fails each time, with its name. */
Test(clips, damaged)
{
    room r;
    const attune_clip_wav *clip = NULL;
    open_room(&r, 0, SIZE_MAX);
    char *path = temporary_path("2.wav");
    write_file(path, "RIFF, but not really", 20);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(attune_clips_hold(&clip, r.clips, 2), ATTUNE_EDATA);
        cr_assert(clip == NULL && strstr(attune_last_error(), "2.wav"), "%s", attune_last_error());
    }
    cr_assert_eq(attune_clips_hold(&clip, r.clips, 3), ATTUNE_OK);
    attune_clips_release(clip);
    close_room(&r);
    free(path);
}
