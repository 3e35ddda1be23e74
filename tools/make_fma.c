/* make_fma.c - a folder like FMA's, of music that is synthesised: see tools/make-fma.
 *
 * fma_metadata/tracks.csv and genres.csv, and fma_small/123/123456.mp3, encoded by the ffmpeg
 * command. The same options give the same tables and the same samples. A file that is there is left
 * as it is, so a run that was stopped goes on. */
#include "attune/status.h"
#include "tools/fma_metadata.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RATE = 44100, MP3_BYTES = 128000 / 8 /* a second */ };
enum { USAGE = 64, NO_MEMORY = 70, CANNOT_CREATE = 73, FAILED = 74 };

typedef struct work {
    const fma_track *tracks;
    int rows, seconds;
    bool wav; /* samples instead of MP3s */
    atomic_int next;
    atomic_bool failed;
} work;

static int complain(int code, const char *what)
{
    fprintf(stderr, "make-fma: %s: %s\n", what, strerror(errno));
    return code;
}

/* ---- tables ---- */

static bool same_files(const char *a, const char *b)
{
    FILE *files[2] = {fopen(a, "re"), fopen(b, "re")};
    bool same = files[0] && files[1];
    for (int c = 0; same && c != EOF;) {
        c = getc(files[0]);
        same = c == getc(files[1]);
    }
    for (int i = 0; i < 2; i++) {
        if (files[i]) {
            fclose(files[i]);
        }
    }
    return same;
}

/* Writes a table aside and gives it its name. One that is there must be the same. */
static int write_table(const char *name, const work *w, bool is_tracks)
{
    char aside[64];
    snprintf(aside, sizeof(aside), "%s.part", name);
    FILE *file = fopen(aside, "we");
    if (!file) {
        return complain(CANNOT_CREATE, aside);
    }
    if (is_tracks) {
        fma_write_tracks(file, w->tracks, w->rows, w->seconds);
    } else {
        fma_write_genres(file, w->tracks, w->rows);
    }
    const bool written = fflush(file) == 0 && !ferror(file);
    if (fclose(file) != 0 || !written) {
        return complain(FAILED, aside);
    }
    if (access(name, F_OK) == 0 && !same_files(name, aside)) {
        unlink(aside);
        fprintf(stderr, "make-fma: %s: exists, of other options; choose another folder\n", name);
        return CANNOT_CREATE;
    }
    return rename(aside, name) == 0 ? 0 : complain(FAILED, name);
}

/* ---- music ---- */

/* Pipes the samples into ffmpeg. `name` is digits and a slash: it needs no quotes. */
static bool encode(const char *name, const float *samples, size_t count, bool wav)
{
    char command[512];
    snprintf(command, sizeof(command),
             "exec ffmpeg -v error -y -f f32le -ar %d -ac 1 -i - %s -map_metadata -1 "
             "-fflags +bitexact -flags:a +bitexact %s.part",
             RATE,
             wav ? "-c:a pcm_f32le -f wav"
                 : "-c:a libmp3lame -b:a 128k -compression_level 9 -f mp3",
             name);
    FILE *pipe = popen(command, "we");
    if (!pipe) {
        return false;
    }
    const bool piped = fwrite(samples, sizeof(*samples), count, pipe) == count;
    return pclose(pipe) == 0 && piped;
}

/* Whether a file holds all of `seconds`: on a full disk ffmpeg may end with 0 all the same. */
static bool is_whole(const char *path, int seconds, bool wav)
{
    struct stat info;
    const off_t second = wav ? RATE * (off_t)sizeof(float) : MP3_BYTES;
    return stat(path, &info) == 0 && info.st_size >= seconds * second;
}

static bool make_track(const work *w, const fma_track *track, float *samples)
{
    const size_t count = (size_t)w->seconds * RATE;
    char folder[16], name[64], aside[80];
    snprintf(folder, sizeof(folder), "%03d", track->id / 1000);
    snprintf(name, sizeof(name), "%s/%06d.%s", folder, track->id, w->wav ? "wav" : "mp3");
    snprintf(aside, sizeof(aside), "%s.part", name);
    if (access(name, F_OK) == 0) {
        return true;
    }
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        complain(0, folder);
        return false;
    }
    if (attune_demo_synthesise(samples, count, RATE, &track->music) != ATTUNE_OK) {
        fprintf(stderr, "make-fma: %s\n", attune_last_error());
        return false;
    }
    if (!encode(name, samples, count, w->wav)) {
        fprintf(stderr, "make-fma: %s: ffmpeg failed\n", name);
        unlink(aside);
        return false;
    }
    if (!is_whole(aside, w->seconds, w->wav)) {
        fprintf(stderr, "make-fma: %s: cut short; is the disk full?\n", name);
        unlink(aside);
        return false;
    }
    if (rename(aside, name) != 0) {
        complain(0, name);
        return false;
    }
    return true;
}

static void *worker(void *user)
{
    work *w = user;
    float *samples = malloc((size_t)w->seconds * RATE * sizeof(*samples));
    for (int i; samples && !w->failed && (i = w->next++) < w->rows;) {
        if (w->tracks[i].has_file && !make_track(w, &w->tracks[i], samples)) {
            w->failed = true;
        }
    }
    if (!samples) {
        complain(0, "memory for a track");
        w->failed = true;
    }
    free(samples);
    return NULL;
}

static int make_music(work *w, int jobs)
{
    pthread_t threads[64];
    int started = 0;
    while (started < jobs && pthread_create(&threads[started], NULL, worker, w) == 0) {
        started++;
    }
    if (started == 0) {
        worker(w);
    }
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    return w->failed ? FAILED : 0;
}

static int make_tree(const char *folder, work *w, int jobs)
{
    if ((mkdir(folder, 0777) != 0 && errno != EEXIST) || chdir(folder) != 0 ||
        (mkdir("fma_metadata", 0777) != 0 && errno != EEXIST) ||
        (mkdir("fma_small", 0777) != 0 && errno != EEXIST)) {
        return complain(CANNOT_CREATE, folder);
    }
    int code = write_table("fma_metadata/tracks.csv", w, true);
    if (code == 0) {
        code = write_table("fma_metadata/genres.csv", w, false);
    }
    if (code == 0 && chdir("fma_small") != 0) {
        code = complain(CANNOT_CREATE, "fma_small");
    }
    return code ? code : make_music(w, jobs);
}

/* ---- options ---- */

static const char usage[] =
    "usage: make-fma FOLDER [--tracks N] [--seconds S] [--seed X] [--jobs J] [--wav]\n";

static bool parse(const char *text, long low, long high, long *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtol(text, &end, 10);
    return end != text && !*end && errno == 0 && *out >= low && *out <= high;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"tracks", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 'x'},
        {"jobs", required_argument, NULL, 'j'},
        {"wav", no_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    long tracks = 400, seconds = 30, seed = 1, jobs = sysconf(_SC_NPROCESSORS_ONLN);
    bool good = true, wav = false;
    for (int o; (o = getopt_long(argc, argv, "n:s:x:j:wh", options, NULL)) != -1;) {
        if (o == 'h') {
            return fputs(usage, stdout) < 0 ? FAILED : 0;
        }
        good = good && (o == 'n'   ? parse(optarg, 1, 100000, &tracks)
                        : o == 's' ? parse(optarg, 1, 3600, &seconds)
                        : o == 'x' ? parse(optarg, 0, 1000000000, &seed)
                        : o == 'j' ? parse(optarg, 1, 64, &jobs)
                                   : o == 'w');
        wav = wav || o == 'w';
    }
    if (!good || optind + 1 != argc) {
        fputs(usage, stderr);
        return USAGE;
    }
    signal(SIGPIPE, SIG_IGN); /* an ffmpeg that ends early is told by its exit code */
    work w = {.seconds = (int)seconds, .wav = wav};
    fma_track *plan = fma_plan((int)tracks, (uint64_t)seed, &w.rows);
    if (!plan) {
        return complain(NO_MEMORY, "memory for a plan");
    }
    w.tracks = plan;
    const int code = make_tree(argv[optind], &w, jobs < 1 ? 1 : jobs > 64 ? 64 : (int)jobs);
    free(plan);
    return code;
}
