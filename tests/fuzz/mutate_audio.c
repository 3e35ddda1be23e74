/* mutate_audio.c - audio files with random damage, decoded.
 *
 *   mutate_audio FOLDER COUNT SEED [FIRST]
 *
 * Takes file after file of FOLDER (no folders below it), cuts it to a length that decodes quickly,
 * and damages it: flips bits, overwrites, cuts, repeats and removes runs, writes extreme numbers
 * into its head, puts the head of one format before another's body. Whatever comes of it must end,
 * in time and in a status that fits its error and samples. Crashes and sanitizers' reports end the
 * program; it prints first which case it was, so that FIRST with a COUNT of 1 repeats it. */
#include "attune/audio.h"
#include "tests/support/support.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 256, LENGTH_MAX = 200000, CASE_SECONDS = 60 };

typedef struct sample {
    char name[256];
    uint8_t *bytes;
    size_t size;
} sample;

static sample files[FILES_MAX];
static size_t file_count;
static char current[512]; /* the case, for the signal handler */

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "%s: %s\n", current, why);
    abort();
}

static void on_alarm(int number)
{
    static const char text[] = ": hangs\n";
    (void)number;
    if (write(STDERR_FILENO, current, strlen(current)) < 0 ||
        write(STDERR_FILENO, text, sizeof(text) - 1) < 0) {
        _exit(3);
    }
    abort();
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const sample *)a)->name, ((const sample *)b)->name);
}

static void read_files(const char *folder)
{
    DIR *directory = opendir(folder);
    const struct dirent *entry = NULL;
    if (!directory) {
        printf("ATTUNE-SKIP: there is no folder %s\n", folder);
        exit(0);
    }
    while ((entry = readdir(directory)) && file_count < FILES_MAX) {
        char path[4096];
        struct stat info;
        sample *s = &files[file_count];
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || strstr(entry->d_name, ".csv") || stat(path, &info) != 0 ||
            !S_ISREG(info.st_mode) || info.st_size < 100) {
            continue;
        }
        FILE *file = fopen(path, "rb");
        snprintf(s->name, sizeof(s->name), "%s", entry->d_name);
        s->bytes = malloc(LENGTH_MAX);
        if (!file || !s->bytes) {
            give_up(path);
        }
        s->size = fread(s->bytes, 1, LENGTH_MAX, file);
        fclose(file);
        file_count++;
    }
    closedir(directory);
    qsort(files, file_count, sizeof(files[0]), compare);
}

static size_t below(uint64_t *random, size_t count)
{
    return count ? (size_t)(random_bits(random) % count) : 0;
}

/* One damage to bytes[0..*size). */
static void damage(uint8_t *bytes, size_t *size, uint64_t *random)
{
    static const uint8_t numbers[][4] = {{0},
                                         {0xff, 0xff, 0xff, 0xff},
                                         {0x7f, 0xff, 0xff, 0xff},
                                         {0xff, 0xff, 0xff, 0x7f},
                                         {0x80, 0, 0, 0},
                                         {0, 0, 0, 0x80},
                                         {1, 0, 0, 0},
                                         {0, 0, 0, 1}};
    const size_t head = *size < 4096 ? *size : 4096;
    const size_t at = below(random, 4) ? below(random, *size) : below(random, head);
    const size_t rest = *size - at, run = 1 + below(random, rest < 3000 ? rest : 3000);
    const sample *other = &files[below(random, file_count)];
    if (*size < 100) {
        return;
    }
    switch (below(random, 8)) {
    case 0:
        bytes[at] ^= (uint8_t)(1 << below(random, 8));
        break;
    case 1:
        bytes[at] = (uint8_t)random_bits(random);
        break;
    case 2:
        memcpy(bytes + at, numbers[below(random, 8)], rest < 4 ? rest : 4);
        break;
    case 3: /* noise */
        for (size_t i = at; i < at + run && i < *size; i++) {
            bytes[i] = (uint8_t)random_bits(random);
        }
        break;
    case 4: /* cut */
        *size = at + 1;
        break;
    case 5: /* a run is missing */
        memmove(bytes + at, bytes + at + (run < rest ? run : rest),
                rest - (run < rest ? run : rest));
        *size -= run < rest ? run : rest;
        break;
    case 6: /* a run comes again elsewhere */
        memmove(bytes + below(random, *size - run + 1), bytes + at, run);
        break;
    default: /* the head of another file */
        if (below(random, 3) == 0) {
            memcpy(bytes, other->bytes, below(random, other->size < head ? other->size : head));
        }
    }
}

/* Decodes and checks what attune/audio.h promises; returns the status. */
static attune_track_status decode(const char *path)
{
    static float samples[65536];
    attune_audio_options options;
    attune_audio_result result;
    attune_audio *audio = NULL;
    size_t count = 0;
    uint64_t total = 0;
    attune_audio_options_default(&options);
    options.timeout_seconds = 20;
    options.clip_seconds = 30;
    if (attune_audio_open(&audio, path, &options, &result) != ATTUNE_OK) {
        give_up(attune_last_error());
    }
    do {
        if (audio && attune_audio_read(audio, samples, 65536, &count) != ATTUNE_OK) {
            give_up(attune_last_error());
        }
        for (size_t i = 0; i < count; i++) {
            if (!isfinite(samples[i])) {
                give_up("a sample is not finite");
            }
        }
        total += count;
    } while (count > 0);
    attune_audio_close(audio);
    const bool good = attune_track_has_embedding(result.status);
    const bool whole = result.status == ATTUNE_TRACK_OK || result.status == ATTUNE_TRACK_SILENT;
    if (result.status < 0 || result.status >= ATTUNE_TRACK_STATUS_COUNT ||
        whole != (result.error[0] == '\0') || (good && (total == 0 || total != result.samples)) ||
        strlen(result.error) >= sizeof(result.error) || strpbrk(result.error, "\n\r\033")) {
        give_up("status, samples and error do not fit");
    }
    if (result.status == ATTUNE_TRACK_TIMEOUT) {
        fprintf(stderr, "%s: %s\n", current, result.error);
    }
    return result.status;
}

/* A few damages to one file, under its own name's extension, in memory. */
static attune_track_status run_case(uint64_t seed, uint64_t number, const char *folder)
{
    static uint8_t bytes[LENGTH_MAX];
    uint64_t random = seed * 1000003 + number;
    const sample *s = &files[number % file_count];
    char path[4096];
    size_t size = s->size;
    snprintf(current, sizeof(current), "seed %" PRIu64 " case %" PRIu64 " %s", seed, number,
             s->name);
    if (below(&random, 2)) {
        size = size < 20000 ? size : 20000 + below(&random, size - 20000);
    }
    memcpy(bytes, s->bytes, size);
    for (size_t i = 0, count = (size_t)1 << below(&random, 5); i < count; i++) {
        damage(bytes, &size, &random);
    }
    snprintf(path, sizeof(path), "%s/%s", folder, s->name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        give_up("cannot write the file");
    }
    alarm(CASE_SECONDS);
    const attune_track_status status = decode(path);
    alarm(0);
    unlink(path);
    return status;
}

int main(int argc, char **argv)
{
    uint64_t counts[ATTUNE_TRACK_STATUS_COUNT] = {0};
    char folder[64] = "/dev/shm/attune-mutate-XXXXXX";
    if (argc < 4) {
        fputs("usage: mutate_audio FOLDER COUNT SEED [FIRST]\n", stderr);
        return 64;
    }
    const uint64_t count = strtoull(argv[2], NULL, 10), seed = strtoull(argv[3], NULL, 10);
    const uint64_t first = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    read_files(argv[1]);
    if (file_count == 0 || !mkdtemp(folder)) {
        give_up("no files, or no folder for new ones");
    }
    signal(SIGALRM, on_alarm);
    for (uint64_t i = first; i < first + count; i++) {
        counts[run_case(seed, i, folder)]++;
    }
    rmdir(folder);
    for (int s = 0; s < ATTUNE_TRACK_STATUS_COUNT; s++) {
        printf("%s %" PRIu64 "%s", attune_track_status_name((attune_track_status)s), counts[s],
               s + 1 < ATTUNE_TRACK_STATUS_COUNT ? ", " : "\n");
    }
    return 0;
}
