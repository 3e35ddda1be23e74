/* test_archive.c - archives of every kind against the files that they were made from, and archives
 * that are damaged or absurd. */
#include "archive/archive.h"
#include "audio/decode.h"
#include "engine/scan.h"
#include "tests/audio/audio_files.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const ARCHIVES[] = {"stored.zip", "deflated.zip", "streamed.zip", "forced64.zip",
                                       "zip64.zip",  "prefixed.ZIP", "comment.zip",  "gnu.tar",
                                       "pax.tar",    "ustar.tar",    "unended.tar"};
enum { ARCHIVE_COUNT = sizeof(ARCHIVES) / sizeof(ARCHIVES[0]) };

/* 2001-02-03 04:05:06 UTC, in ns; pax keeps fractions. */
static int64_t mtime_of(const char *archive)
{
    return 981173106000000000 + (strstr(archive, "pax.tar") ? 250000000 : 0);
}

/* Puts WAVs of noise and files that are no audio into `in`, and archives of them into `out`. */
static void make_archives(void)
{
    uint64_t seed = 1;
    static int16_t samples[30000];
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("mkdir -p in/deep/'a very long folder name that with the others after "
                             "it takes more than one hundred bytes'/'and another of this kind' "
                             "out"),
                 0);
    static const char *const names[] = {"in/a.wav", "in/deep/\303\251.wav", "in/plain",
                                        "in/deep/a very long folder name that with the others "
                                        "after it takes more than one hundred bytes/and another "
                                        "of this kind/b.wav"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (size_t k = 0; k < 30000; k++) {
            samples[k] = (int16_t)(random_uniform(&seed) * 9000);
        }
        write_wav(names[i], 22050, 1, 16, samples, sizeof(samples) - 7 * i);
    }
    write_file("in/notes.txt", "no music", 8);
    write_file("in/broken.mp3", "no music at all", 15);
    write_file("in/empty.flac", "", 0);
    cr_assert_eq(run_command(MAKE_ARCHIVES " in out"), 0);
}

static bool never(void *user)
{
    return user != NULL;
}

/* Compares the entry with the file that it was made from; its content again by its position. */
static void check_entry(const char *archive, attune_archive_walk *walk,
                        attune_archive_walk *by_position)
{
    char path[4096];
    size_t size = 0;
    attune_archive_content content;
    snprintf(path, sizeof(path), "in/%s", walk->entry.name);
    char *expected = read_file(path, &size);
    cr_assert(walk->entry.is_file && !walk->entry.is_outside && !walk->entry.failure, "%s: %s",
              archive, path);
    cr_assert_eq(walk->entry.mtime_ns, mtime_of(archive), "%s: %s: %ld", archive, path,
                 (long)walk->entry.mtime_ns);
    cr_assert(attune_archive_seek(by_position, walk->entry.position), "%s", by_position->reason);
    cr_assert_str_eq(by_position->entry.name, walk->entry.name);
    cr_assert(attune_archive_locate(by_position, &content, never, NULL), "%s: %s: %s", archive,
              path, by_position->reason);
    cr_assert_eq(content.size, size, "%s: %s", archive, path);
    char *got = calloc(1, size + 1);
    cr_assert(got);
    if (content.bytes) {
        memcpy(got, content.bytes, size);
    } else {
        cr_assert_eq(pread(walk->descriptor, got, size, (off_t)content.offset), (ssize_t)size);
    }
    cr_assert_eq(memcmp(got, expected, size), 0, "%s: %s", archive, path);
    free(content.bytes);
    free(got);
    free(expected);
}

Test(archive, content_is_that_of_the_files)
{
    make_archives();
    for (int i = 0; i < ARCHIVE_COUNT; i++) {
        char path[64];
        attune_archive_walk walk, by_position;
        int entries = 0;
        snprintf(path, sizeof(path), "out/%s", ARCHIVES[i]);
        const attune_archive_kind kind = attune_archive_kind_of(path, strlen(path));
        int descriptor = open(path, O_RDONLY);
        cr_assert(descriptor >= 0);
        cr_assert(attune_archive_open(&walk, kind, descriptor), "%s: %s", path, walk.reason);
        cr_assert(attune_archive_open(&by_position, kind, descriptor));
        while (attune_archive_next(&walk)) {
            check_entry(path, &walk, &by_position);
            entries++;
        }
        cr_assert_str_eq(walk.reason, "", "%s: %s", path, walk.reason);
        cr_assert_eq(entries, 7, "%s: %d entries", path, entries);
        attune_archive_close(&walk);
        attune_archive_close(&by_position);
        close(descriptor);
    }
}

static attune_scan *scan(const char *input)
{
    attune_scan *s = NULL;
    cr_assert_eq(attune_scan_create(&s), ATTUNE_OK);
    cr_assert_eq(attune_scan_add(s, input), ATTUNE_OK);
    cr_assert_eq(attune_scan_finish(s), ATTUNE_OK, "%s: %s", input, attune_last_error());
    return s;
}

/* The archive's rows are the folder's, and so is what each decodes to, by place and by name. */
static void compare_with_folder(const attune_scan *folder, const char *archive)
{
    attune_scan *s = scan(archive);
    const char *base = strrchr(archive, '/') + 1;
    cr_assert_eq(attune_scan_count(s), attune_scan_count(folder), "%s", archive);
    cr_assert_eq(attune_scan_ignored(s), attune_scan_ignored(folder), "%s", archive);
    for (size_t i = 0; i < attune_scan_count(s); i++) {
        const char *name = attune_scan_name(s, i);
        cr_assert_eq(strncmp(name, base, strlen(base)), 0);
        cr_assert_str_eq(name + strlen(base) + 1, attune_scan_name(folder, i), "%s", archive);
        const attune_audio_place place = attune_scan_place(s, i);
        decoded expected = decode(attune_scan_path(folder, i), NULL, 3000);
        decoded by_name = decode(attune_scan_path(s, i), NULL, 3000);
        attune_audio *audio = NULL;
        attune_audio_result result;
        static float samples[1 << 20];
        size_t count = 0, got = 0;
        cr_assert_eq(attune_audio_open_at(&audio, &place, NULL, &result), ATTUNE_OK);
        do {
            cr_assert(!audio || attune_audio_read(audio, samples + count, (1 << 20) - count,
                                                  &got) == ATTUNE_OK);
            count += got;
        } while (got > 0);
        attune_audio_close(audio);
        cr_assert_eq(by_name.count, expected.count, "%s: %s", archive, name);
        cr_assert_eq(count, expected.count, "%s: %s", archive, name);
        cr_assert(count == 0 ||
                  (memcmp(samples, expected.samples, count * sizeof(float)) == 0 &&
                   memcmp(by_name.samples, expected.samples, count * sizeof(float)) == 0));
        const attune_audio_result *results[] = {&by_name.result, &result};
        for (int r = 0; r < 2; r++) {
            cr_assert_eq(results[r]->status, expected.result.status, "%s: %s", name,
                         results[r]->error);
            cr_assert_str_eq(results[r]->error, expected.result.error);
            cr_assert_eq(results[r]->size, expected.result.size);
            cr_assert_eq(results[r]->mtime_ns, mtime_of(archive));
        }
        free(expected.samples);
        free(by_name.samples);
    }
    attune_scan_free(s);
}

Test(archive, samples_and_statuses_are_those_of_the_files, .timeout = 120)
{
    make_archives();
    if (run_command("command -v ffmpeg >/dev/null") == 0) { /* formats whose ends are read first */
        make_audio("in/c.mp3", 44100, 2, 100000, "-c:a libmp3lame");
        make_audio("in/d.m4a", 44100, 2, 100000, "-c:a aac");
        make_audio("in/e.ogg", 44100, 2, 100000, "-c:a vorbis");
        make_audio("in/f.flac", 44100, 2, 100000, "-c:a flac");
        cr_assert_eq(run_command("head -c 100000 in/f.flac > in/cut.flac; rm -rf out/*; " //
                                 MAKE_ARCHIVES " in out"),
                     0);
    }
    attune_scan *folder = scan("in");
    for (int i = 0; i < ARCHIVE_COUNT; i++) {
        char path[64];
        snprintf(path, sizeof(path), "out/%s", ARCHIVES[i]);
        compare_with_folder(folder, path);
    }
    attune_scan_free(folder);
}

/* Every file of out/bad, and all rows that it is to have: an entry's name, or "" for the archive's
 * own, and what the error says; "ok" for an entry that is good. */
static const struct {
    const char *archive, *entry, *words;
} BAD[] = {
    {"beyond.zip", "a.wav", "reaches beyond the end of its archive"},
    {"bomb.zip", "a.wav", "not a format"},
    {"checksum.zip", "a.wav", "its checksum is wrong"},
    {"count.zip", "", "lacks entries"},
    {"count.zip", "a.wav", "ok"},
    {"cut.tar", "", "cut short"},
    {"cut.tar", "a.wav", "ok"},
    {"cut.tar", "broken.mp3", "looks like"},
    {"cut.tar",
     "deep/a very long folder name that with the others after it takes more than one "
     "hundred bytes/and another of this kind/b.wav",
     "reaches beyond the end"},
    {"cut.zip", "", "it has no directory"},
    {"damaged.tar", "", "a header's checksum is wrong"},
    {"damaged.tar", "a.wav", "ok"},
    {"directory.zip", "", "its directory is not where it should be"},
    {"empty.tar", "", "zero bytes"},
    {"empty.zip", "", "no zip archive"},
    {"encrypted.zip", "a.wav", "is encrypted"},
    {"huge.zip", "a.wav", "larger than 512 MiB"},
    {"larger.zip", "a.wav", "more than its directory says"},
    {"latin.zip", "\351t\351\377.wav", "ok"},
    {"links.tar", "hard.wav", "is a link to another entry"},
    {"long.tar", "", "holds an entry whose name has 70004 bytes"},
    {"long.tar", "first.wav", "ok"},
    {"method.zip", "a.wav", "compressed in a way"},
    {"name.zip", "", "a record of its directory is cut short"},
    {"names.tar", "..", "leads out of its archive"},
    {"names.tar", "../up.wav", "leads out of its archive"},
    {"names.tar", "a/../../up.wav", "leads out of its archive"},
    {"names.tar", "deep/inner.zip", "an archive within an archive"},
    {"names.tar", "empty.wav", "zero bytes"},
    {"names.tar", "etc/passwd.wav", "ok"},
    {"names.tar", "here.wav", "ok"},
    {"names.tar", "new\nline.wav", "ok"},
    {"names.tar", "twice.wav", "ok"},
    {"names.tar", NULL, "ok"}, /* 5,000 times x */
    {"names.zip", "..", "leads out of its archive"},
    {"names.zip", "../up.wav", "leads out of its archive"},
    {"names.zip", "a/../../up.wav", "leads out of its archive"},
    {"names.zip", "deep/inner.zip", "an archive within an archive"},
    {"names.zip", "empty.wav", "zero bytes"},
    {"names.zip", "etc/passwd.wav", "ok"},
    {"names.zip", "here.wav", "ok"},
    {"names.zip", "new\nline.wav", "ok"},
    {"names.zip", "twice.wav", "ok"},
    {"names.zip", NULL, "ok"},
    {"nul.zip", "a", "leads out of its archive, or is none"},
    {"offset.zip", "a.wav", "not where the directory says"},
    {"record.zip", "", "a record of its directory makes no sense"},
    {"sizes.zip", "a.wav", "its sizes contradict each other"},
    {"smaller.zip", "a.wav", "does not inflate to its end"},
    {"sparse.tar", "hole.wav", "sparse"},
    {"split.zip", "", "one part of a split archive"},
    {"stream.zip", "a.wav", "is damaged: invalid"},
    {"text.tar", "", "is no tar archive"},
    {"text.zip", "", "no zip archive"},
};

Test(archive, damaged_and_absurd_archives_fail_row_by_row)
{
    make_archives();
    attune_scan *s = scan("out/bad");
    const size_t count = sizeof(BAD) / sizeof(BAD[0]);
    char *seen = calloc(count, 1);
    for (size_t i = 0; i < attune_scan_count(s); i++) {
        const char *name = attune_scan_name(s, i);
        const attune_audio_place place = attune_scan_place(s, i);
        const size_t length = strcspn(name, "/");
        const char *entry = name[length] ? name + length + 1 : "";
        size_t k = 0;
        while (k < count &&
               (strlen(BAD[k].archive) != length || strncmp(name, BAD[k].archive, length) != 0 ||
                (BAD[k].entry ? strcmp(entry, BAD[k].entry) != 0 : strlen(entry) < 5000))) {
            k++;
        }
        cr_assert_lt(k, count, "%s is not expected", name);
        seen[k] = 1;
        attune_audio *audio = NULL;
        attune_audio_result result;
        cr_assert_eq(attune_audio_open_at(&audio, &place, NULL, &result), ATTUNE_OK);
        if (strcmp(BAD[k].words, "ok") == 0) {
            cr_assert(audio, "%s: %s", name, result.error);
        } else {
            cr_assert_null(audio, "%s", name);
            cr_assert(strstr(result.error, BAD[k].words), "%s: %s", name, result.error);
        }
        attune_audio_close(audio);
    }
    for (size_t k = 0; k < count; k++) {
        cr_assert(seen[k], "%s/%s has no row", BAD[k].archive, BAD[k].entry);
    }
    free(seen);
    attune_scan_free(s);
}

/* A place found before the archive was written anew. */
Test(archive, changed_archives_are_noticed)
{
    make_archives();
    attune_scan *s = scan("out/stored.zip");
    for (int i = 0; i < ARCHIVE_COUNT; i++) {
        cr_assert_eq(run_command("cat out/%s > out/stored.zip", ARCHIVES[(i + 1) % ARCHIVE_COUNT]),
                     0);
        for (size_t k = 0; k < attune_scan_count(s); k++) {
            const attune_audio_place place = attune_scan_place(s, k);
            attune_audio *audio = NULL;
            attune_audio_result result;
            cr_assert_eq(attune_audio_open_at(&audio, &place, NULL, &result), ATTUNE_OK);
            cr_assert(audio || result.error[0]);
            cr_assert(!audio || result.size > 50000, "%s", place.path);
            attune_audio_close(audio);
        }
    }
    attune_scan_free(s);
    decoded none = decode("out/gnu.tar/nothing.wav", NULL, 3000);
    cr_assert_eq(none.result.status, ATTUNE_TRACK_CANNOT_OPEN);
    cr_assert(strstr(none.result.error, "its archive has no such entry"), "%s", none.result.error);
    free(none.samples);
}
