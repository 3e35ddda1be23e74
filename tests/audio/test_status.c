/* test_status.c - what becomes of files that are not plain good audio, and that libav prints
 * nothing. */
#include "tests/audio/audio_files.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <libavutil/mem.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Decodes with standard error caught and asserts the status and that the error line holds `words`;
 * "" asks for no error at all. */
static decoded check_with(const char *path, const attune_audio_options *options,
                          attune_track_status status, const char *words)
{
    char *caught = temporary_path("stderr");
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    int file = open(caught, O_RDWR | O_CREAT | O_TRUNC, 0600);
    cr_assert(saved >= 0 && file >= 0);
    dup2(file, STDERR_FILENO);
    decoded got = decode(path, options, 3000);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    off_t printed = lseek(file, 0, SEEK_END);
    close(saved);
    close(file);
    cr_assert_eq(printed, 0, "%s: something was printed", path);
    cr_assert_str_eq(attune_track_status_name(got.result.status), attune_track_status_name(status),
                     "%s: %s", path, got.result.error);
    cr_assert_not_null(strstr(got.result.error, words), "%s: \"%s\" lacks \"%s\"", path,
                       got.result.error, words);
    cr_assert_eq(words[0] == '\0', got.result.error[0] == '\0', "%s: \"%s\"", path,
                 got.result.error);
    cr_assert_null(strchr(got.result.error, '\n'));
    cr_assert(!attune_track_has_embedding(status) || got.count > 0, "%s: no samples", path);
    free(caught);
    return got;
}

static void check(const char *name, attune_track_status status, const char *words)
{
    char *path = temporary_path(name);
    free(check_with(path, NULL, status, words).samples);
    free(path);
}

static void put_file(const char *name, const void *bytes, size_t size)
{
    char *path = temporary_path(name);
    write_file(path, bytes, size);
    free(path);
}

static void put_text(const char *name, const char *text)
{
    put_file(name, text, strlen(text));
}

static void put_wav(const char *name, int rate, int channels, int bits, const void *bytes,
                    size_t size)
{
    char *path = temporary_path(name);
    write_wav(path, rate, channels, bits, bytes, size);
    free(path);
}

/* 1 s of a mono sine at `level`. */
static void put_sine(const char *name, float level)
{
    static float samples[22050];
    for (int i = 0; i < 22050; i++) {
        samples[i] = level * sinf((float)i * 0.05f);
    }
    put_wav(name, 22050, 1, 32, samples, sizeof(samples));
}

Test(status, what_is_no_file_cannot_be_opened)
{
    char *folder = temporary_path("folder.mp3");
    char *fifo = temporary_path("fifo.mp3");
    char *socket_path = temporary_path("socket.mp3");
    char *link = temporary_path("link.mp3");
    cr_assert_eq(mkdir(folder, 0700), 0);
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    cr_assert_eq(symlink("nowhere", link), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(descriptor, (struct sockaddr *)&address, sizeof(address)), 0);

    check("folder.mp3", ATTUNE_TRACK_CANNOT_OPEN, "is a folder");
    check("fifo.mp3", ATTUNE_TRACK_CANNOT_OPEN, "is a FIFO");
    check("socket.mp3", ATTUNE_TRACK_CANNOT_OPEN, "is a socket");
    check("link.mp3", ATTUNE_TRACK_CANNOT_OPEN, "No such file or directory");
    check("missing.mp3", ATTUNE_TRACK_CANNOT_OPEN, "No such file or directory");
    free(check_with("/dev/null", NULL, ATTUNE_TRACK_CANNOT_OPEN, "is a device").samples);
    free(check_with("", NULL, ATTUNE_TRACK_CANNOT_OPEN, "No such file or directory").samples);
    close(descriptor);
    free(folder);
    free(fifo);
    free(socket_path);
    free(link);
}

Test(status, unreadable_file_cannot_be_opened)
{
    put_sine("locked.wav", 0.5f);
    char *path = temporary_path("locked.wav");
    cr_assert_eq(chmod(path, 0), 0);
    attune_audio *audio = NULL;
    attune_audio_result result;
    bool superuser = geteuid() == 0; /* who may read every file: be nobody for a moment */
    cr_assert(!superuser || seteuid(65534) == 0);
    attune_status status = attune_audio_open(&audio, path, NULL, &result);
    cr_assert(!superuser || seteuid(0) == 0);
    cr_assert_eq(status, ATTUNE_OK);
    cr_assert_null(audio);
    cr_assert_eq(result.status, ATTUNE_TRACK_CANNOT_OPEN);
    cr_assert_str_eq(result.error, "cannot be opened: Permission denied");
    free(path);
}

/* Names are bytes: nothing in them is a protocol, a list or a pattern. */
Test(status, names_are_only_names)
{
    static const char *const names[] = {"concat:a.wav|b.wav", "http:x.wav",  "pipe:0",
                                        "file:x.wav",         "img%03d.wav", "-",
                                        "\xff\xfe\n.wav",     "x.png.wav"};
    char *folder = temporary_path("");
    cr_assert_eq(chdir(folder), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        put_sine(names[i], 0.5f);
        decoded got = check_with(names[i], NULL, ATTUNE_TRACK_OK, "");
        cr_assert_eq(got.count, 22050, "%s: %zu samples", names[i], got.count);
        free(got.samples);
    }
    free(folder);
}

Test(status, playlists_are_not_followed)
{
    put_sine("a.wav", 0.5f);
    put_text("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\na.wav\n#EXT-X-ENDLIST\n");
    put_text("list.mp3", "ffconcat version 1.0\nfile 'a.wav'\n");
    put_text("list.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
                         "m=audio 5004 RTP/AVP 0\n");
    check("list.m3u8", ATTUNE_TRACK_CANNOT_OPEN, "is a playlist (hls)");
    check("list.mp3", ATTUNE_TRACK_CANNOT_OPEN, "is a playlist (concat)");
    check("list.sdp", ATTUNE_TRACK_CANNOT_OPEN, "is a playlist (sdp)");
}

Test(status, files_without_samples_are_empty)
{
    put_text("zero.mp3", "");
    put_wav("none.wav", 44100, 2, 16, NULL, 0);
    put_sine("short.wav", 0.5f);
    check("zero.mp3", ATTUNE_TRACK_EMPTY, "zero bytes");
    check("none.wav", ATTUNE_TRACK_EMPTY, "holds no samples");
    put_wav("few.wav", 192000, 1, 16, "\1\0\1\0", 4);
    check("few.wav", ATTUNE_TRACK_EMPTY, "too short to give a sample");
    attune_audio_options options;
    attune_audio_options_default(&options);
    options.clip_start = 5;
    char *path = temporary_path("short.wav");
    free(check_with(path, &options, ATTUNE_TRACK_EMPTY, "the clip starts at 5.000 s").samples);
    free(path);
}

Test(status, what_is_not_audio_says_so)
{
    char text[5000];
    static char zeros[100000];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = "hello, this is text\n"[i % 20];
    }
    put_file("text.mp3", text, sizeof(text));
    put_file("text", text, sizeof(text));
    put_file("zeros.mp3", zeros, sizeof(zeros));
    check("text.mp3", ATTUNE_TRACK_CANNOT_OPEN, "looks like mp3 but cannot be read");
    check("text", ATTUNE_TRACK_CANNOT_OPEN, "not a format that FFmpeg knows: Invalid data");
    check("zeros.mp3", ATTUNE_TRACK_CANNOT_DECODE, "nothing could be decoded");
}

Test(status, pictures_and_silent_films_have_no_audio)
{
    need_ffmpeg();
    char *png = temporary_path("picture.png");
    char *film = temporary_path("film.mkv");
    cr_assert_eq(
        run_command("ffmpeg -nostdin -v quiet -f lavfi -i testsrc=s=64x64 -frames:v 1 '%s' && cp "
                    "'%s' '%s.mp3' && ffmpeg -nostdin -v quiet -f lavfi -i testsrc=s=64x64:d=1 "
                    "-c:v mpeg4 '%s'",
                    png, png, png, film),
        0);
    check("picture.png", ATTUNE_TRACK_NO_AUDIO, "no audio stream");
    check("picture.png.mp3", ATTUNE_TRACK_NO_AUDIO, "no audio stream");
    check("film.mkv", ATTUNE_TRACK_NO_AUDIO, "no audio stream (format matroska");
    free(png);
    free(film);
}

Test(status, samples_that_are_no_numbers_fail)
{
    static float samples[30000];
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 4; i++) {
        for (int at = 0; at < 30000; at += 29999) {
            memset(samples, 0, sizeof(samples));
            samples[at] = bad[i];
            put_wav("bad.wav", 22050, 1, 32, samples, sizeof(samples));
            check("bad.wav", ATTUNE_TRACK_NONFINITE, "infinite or not a number");
        }
    }
}

Test(status, silence_is_told_by_its_peak)
{
    static float samples[5000];
    static const float levels[] = {0, 0x1p-16f, 0x1.fffffep-16f, 0x1p-15f, -0x1p-15f, 0.1f};
    for (int i = 0; i < 6; i++) {
        samples[4321] = levels[i];
        put_wav("level.wav", 22050, 1, 32, samples, sizeof(samples));
        check("level.wav", i < 3 ? ATTUNE_TRACK_SILENT : ATTUNE_TRACK_OK, "");
    }
}

Test(status, faulty_shared_files)
{
    char *faulty = shared_path("audio/flac_faulty_06.flac");
    free(check_with(faulty, NULL, ATTUNE_TRACK_CANNOT_OPEN,
                    "looks like flac but cannot be read: Invalid")
             .samples);
    free(faulty);
    char *quirk = shared_path("audio/quirk_header_missing.mp3");
    decoded got =
        check_with(quirk, NULL, ATTUNE_TRACK_PARTIAL,
                   "1 damaged packet skipped: Invalid data found when processing input: ");
    cr_assert_eq(got.result.damaged_packets, 1);
    cr_assert_not_null(strstr(got.result.error, "Header missing"), "%s", got.result.error);
    free(got.samples);
    free(quirk);
}

/* Replaces every `step`th run of `length` bytes, from a quarter of the file on, by random ones. */
static void spoil(const char *path, size_t step, size_t length)
{
    uint64_t seed = 1;
    size_t size = 0;
    char *bytes = read_file(path, &size);
    for (size_t place = size / 4; place + length < size; place += step) {
        for (size_t i = 0; i < length; i++) {
            bytes[place + i] = (char)random_bits(&seed);
        }
    }
    write_file(path, bytes, size);
    free(bytes);
}

Test(status, damaged_packets_are_skipped_and_counted)
{
    need_ffmpeg();
    char *path = temporary_path("damaged.flac");
    cr_assert(make_audio(path, 44100, 1, 10 * 44100, "-c:a flac"));
    spoil(path, 5000, 1000);
    decoded got = check_with(path, NULL, ATTUNE_TRACK_PARTIAL,
                             " damaged packets skipped; first: Invalid data found");
    cr_assert_gt(got.result.damaged_packets, 1);
    free(got.samples);
    free(path);
}

/* The decoder gives the frame all the same, and says nothing unless it is asked to check. */
Test(status, wrong_checksums_make_files_partial)
{
    static const char *const names[] = {"checked.flac", "checked.tta"};
    need_ffmpeg();
    for (int i = 0; i < 2; i++) {
        char *path = temporary_path(names[i]);
        cr_assert(make_audio(path, 44100, 1, 10 * 44100, i ? "-c:a tta" : "-c:a flac"));
        check(names[i], ATTUNE_TRACK_OK, "");
        spoil(path, 1000000, 1);
        decoded got =
            check_with(path, NULL, ATTUNE_TRACK_PARTIAL, "1 packet with a wrong checksum: ");
        cr_assert_eq(got.count, 220500);
        free(got.samples);
        free(path);
    }
}

Test(status, files_cut_short_are_partial)
{
    need_ffmpeg();
    char *path = temporary_path("cut.mkv");
    cr_assert(make_audio(path, 44100, 1, 10 * 44100, "-c:a flac"));
    size_t size = 0;
    char *bytes = read_file(path, &size);
    write_file(path, bytes, size / 2);
    free(bytes);
    check("cut.mkv", ATTUNE_TRACK_PARTIAL, "reading stopped at ");
    free(path);
}

/* The demuxer passes over what it cannot make sense of, and tells nobody but its log. */
Test(status, what_the_demuxer_passes_over_makes_files_partial)
{
    need_ffmpeg();
    char *path = temporary_path("pages.ogg");
    if (!make_audio(path, 44100, 1, 10 * 44100, "-c:a libvorbis -page_duration 200000")) {
        cr_skip_test("ATTUNE-SKIP: this FFmpeg has no Vorbis encoder");
    }
    check("pages.ogg", ATTUNE_TRACK_OK, "");
    spoil(path, 20000, 2);
    decoded got = check_with(path, NULL, ATTUNE_TRACK_PARTIAL, " in the container");
    cr_assert_not_null(strstr(got.result.error, "ogg: CRC mismatch!"), "%s", got.result.error);
    cr_assert_lt(got.count, 219000, "nothing was lost");
    free(got.samples);
    free(path);
}

/* At any byte: not only where a sample is cut in two, of which the decoder complains. */
Test(status, uncompressed_files_cut_short_are_partial)
{
    static const struct {
        const char *name, *encoder;
    } files[] = {{"cut.wav", "-c:a pcm_s24le"}, {"cut64.wav", "-c:a pcm_s16le -rf64 always"},
                 {"cut.w64", "-c:a pcm_s16le"}, {"cut.aiff", "-c:a pcm_s16be"},
                 {"cut.au", "-c:a pcm_alaw"},   {"cut.caf", "-c:a pcm_f32le"}};
    need_ffmpeg();
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        char *path = temporary_path(files[i].name);
        cr_assert(make_audio(path, 44100, 2, 5 * 44100, files[i].encoder), "%s", files[i].name);
        check(files[i].name, ATTUNE_TRACK_OK, "");
        size_t size = 0;
        char *bytes = read_file(path, &size);
        for (size_t less = 100000; less < 100006; less++) {
            write_file(path, bytes, size - less);
            check(files[i].name, ATTUNE_TRACK_PARTIAL, "the file ends at ");
        }
        free(bytes);
        free(path);
    }
}

static void put_big_endian(char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (char)(value >> (24 - 8 * i));
    }
}

/* As FFmpeg does not write it: samples and header in the other byte order, or behind a tag. */
Test(status, rare_wav_files_cut_short_are_partial)
{
    static int16_t samples[22050];
    static char rifx[44 + sizeof(samples)] = "RIFX....WAVEfmt \0\0\0\x10\0\1\0\1\0\0\x56\x22"
                                             "\0\0\xac\x44\0\2\0\x10"
                                             "data";
    static char tagged[20 + 44 + sizeof(samples)] = "ID3\3\0\0\0\0\0\x0a";
    uint64_t seed = 3;
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        samples[i] = (int16_t)random_bits(&seed);
    }
    put_big_endian(rifx + 4, 36 + sizeof(samples));
    put_big_endian(rifx + 40, sizeof(samples));
    memcpy(rifx + 44, samples, sizeof(samples));
    put_wav("plain.wav", 22050, 1, 16, samples, sizeof(samples));
    char *path = temporary_path("plain.wav");
    size_t size = 0;
    char *plain = read_file(path, &size);
    memcpy(tagged + 20, plain, size);
    for (int cut = 0; cut < 2; cut++) {
        put_file("rifx.wav", rifx, sizeof(rifx) - (cut ? 10000 : 0));
        put_file("tagged.wav", tagged, 20 + size - (cut ? 10000 : 0));
        const attune_track_status status = cut ? ATTUNE_TRACK_PARTIAL : ATTUNE_TRACK_OK;
        check("rifx.wav", status, cut ? "the file ends at 0.773 s, its header says 1.000 s" : "");
        check("tagged.wav", status, cut ? "the file ends at 0.773 s, its header says 1.000 s" : "");
    }
    free(plain);
    free(path);
}

/* The header of audio that was written to a pipe; and one that counts itself as audio. */
Test(status, headers_need_not_know_the_length)
{
    static const struct {
        const char *name, *encoder, *mark; /* the length stands `after` bytes behind the mark */
        int after;
        uint32_t length;
    } files[] = {
        {"piped.wav", "-c:a pcm_s16le", "data", 4, 0xffffffff},
        {"piped.wav", "-c:a pcm_s16le", "data", 4, 0x7fffffff},
        {"piped.wav", "-c:a pcm_s16le", "data", 4, 0x7ffff000},
        {"piped.wav", "-c:a pcm_s16le", "data", 4, 0x80000024},
        {"piped.wav", "-c:a pcm_s16le", "data", 4, 0xffff0000},
        {"piped.wav", "-c:a pcm_s16le", "data", 4, 0},
        {"piped.wav", "-c:a pcm_s16le", "data", 4, 2 * 44100 + 44},
        {"rate.wav", "-c:a pcm_s16le", "fmt ", 16, 1}, /* bytes a second */
        {"piped.au", "-c:a pcm_s16be", ".snd", 8, 0xffffffff},
        {"piped.aiff", "-c:a pcm_s16be", "COMM", 10, 0x7f000000 / 2},
        {"piped.aiff", "-c:a pcm_s24be", "COMM", 10, 0x7f000000 / 3},
    };
    need_ffmpeg();
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        char *path = temporary_path(files[i].name);
        cr_assert(make_audio(path, 44100, 1, 44100, files[i].encoder));
        size_t size = 0;
        char *bytes = read_file(path, &size);
        char *place = memmem(bytes, size, files[i].mark, 4);
        cr_assert_not_null(place);
        put_big_endian(place + files[i].after, files[i].length);
        if (strstr(files[i].name, "wav")) {
            memcpy(place + files[i].after, &files[i].length, 4);
        }
        write_file(path, bytes, size);
        check(files[i].name, ATTUNE_TRACK_OK, "");
        free(bytes);
        free(path);
    }
}

/* A tag that has no place in FLAC: the decoder takes it for a frame. */
Test(status, what_stands_behind_a_whole_file_is_no_damage)
{
    static const char tag[128] = "TAGa title";
    need_ffmpeg();
    char *path = temporary_path("tagged.flac");
    cr_assert(make_audio(path, 44100, 2, 5 * 44100 + 1, "-c:a flac"));
    size_t size = 0;
    char *bytes = read_file(path, &size);
    char *tagged = malloc(size + sizeof(tag));
    cr_assert_not_null(tagged);
    memcpy(tagged, bytes, size);
    memcpy(tagged + size, tag, sizeof(tag));
    write_file(path, tagged, size + sizeof(tag));
    check("tagged.flac", ATTUNE_TRACK_OK, "");
    memcpy(tagged + size - 1000, tag, sizeof(tag)); /* the last frame, too */
    write_file(path, tagged, size + sizeof(tag));
    check("tagged.flac", ATTUNE_TRACK_PARTIAL, "damaged packet");
    free(tagged);
    free(bytes);
    free(path);
}

/* FLV's are a packet of its own, which is read as the audio is. */
Test(status, tags_make_no_file_partial)
{
    char encoder[1200] = "-c:a aac -metadata title=";
    need_ffmpeg();
    memset(encoder + strlen(encoder), 'c', 1024);
    char *path = temporary_path("title.flv");
    cr_assert(make_audio(path, 44100, 1, 44100, encoder));
    check("title.flv", ATTUNE_TRACK_OK, "");
    free(path);
}

/* Damaged headers: a resampler for such rates would take gigabytes of memory or hours. */
Test(status, absurd_sample_rates_cannot_be_decoded)
{
    static int16_t samples[3000];
    memset(samples, 7, sizeof(samples));
    put_wav("low.wav", 1, 1, 16, samples, sizeof(samples));
    put_wav("high.wav", 2000000000, 1, 16, samples, sizeof(samples));
    check("low.wav", ATTUNE_TRACK_CANNOT_DECODE, "sample rate 1 Hz");
    check("high.wav", ATTUNE_TRACK_CANNOT_DECODE, "sample rate 2000000000 Hz");
}

/* IFF 8SVX is one packet: 100,000 samples at 1 kHz would become 76,800,000. */
Test(status, absurd_frames_cannot_be_decoded)
{
    static unsigned char file[48 + 100000] = "FORM....8SVXVHDR\0\0\0\x14............\x03\xe8"
                                             "\1\0\0\1\0\0BODY\0\x01\x86\xa0";
    attune_audio_options options;
    attune_audio_options_default(&options);
    memcpy(file + 4, "\0\x01\x86\xc8", 4);
    memset(file + 20, 0, 12);
    for (size_t i = 48; i < sizeof(file); i++) {
        file[i] = (unsigned char)(i * 7);
    }
    put_file("frame.8svx", file, sizeof(file));
    check("frame.8svx", ATTUNE_TRACK_OK, "");
    char *path = temporary_path("frame.8svx");
    options.sample_rate = 768000;
    free(check_with(path, &options, ATTUNE_TRACK_CANNOT_DECODE, "a frame of 100000 samples")
             .samples);
    free(path);
    void *much = av_malloc(((size_t)512 << 20) + 1);
    cr_assert_null(much, "libav's allocations have no limit");
}

Test(status, channels_without_a_downmix_cannot_be_decoded)
{
    static int16_t samples[9 * 1000];
    put_wav("nine.wav", 44100, 9, 16, samples, sizeof(samples));
    check("nine.wav", ATTUNE_TRACK_CANNOT_DECODE, "Rematrix is needed");
}

Test(status, what_falls_behind_the_limit_times_out)
{
    attune_audio_options options;
    attune_audio_options_default(&options);
    options.timeout_seconds = 1e-9;
    put_sine("slow.wav", 0.5f);
    char *path = temporary_path("slow.wav");
    free(check_with(path, &options, ATTUNE_TRACK_TIMEOUT, "decoding took more than 1e-09 s")
             .samples);
    options.timeout_seconds = 0; /* no limit */
    free(check_with(path, &options, ATTUNE_TRACK_OK, "").samples);
    free(path);
}

Test(status, probe_tells_audio_from_the_rest)
{
    char text[3000];
    memset(text, 'x', sizeof(text));
    put_file("prose", text, sizeof(text));
    put_text("empty", "");
    put_text("list", "ffconcat version 1.0\nfile 'a.wav'\n");
    put_sine("sine", 0.5f);
    put_sine("sine.txt", 0.5f);
    static const char *const no[] = {"prose", "empty", "list", "missing"};
    static const char *const yes[] = {"sine", "sine.txt"};
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        char *path = temporary_path(no[i]);
        cr_assert_not(attune_audio_probe(path), "%s", no[i]);
        free(path);
    }
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        char *path = temporary_path(yes[i]);
        cr_assert(attune_audio_probe(path), "%s", yes[i]);
        free(path);
    }
    cr_assert_not(attune_audio_probe(temporary_folder()));
}
