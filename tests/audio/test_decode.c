/* test_decode.c - every sample equals the ffmpeg command's, bit for bit. */
#include "tests/audio/audio_files.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 22050 };

/* Compares every file of a shared folder, at most `limit` of them, and returns how many. */
static int compare_folder(const char *name, const char *input_options, int limit)
{
    char *folder = shared_path(name);
    struct dirent **entries = NULL;
    int found = scandir(folder, &entries, NULL, alphasort);
    cr_assert_gt(found, 0);
    int compared = 0;
    for (int i = 0; i < found; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_type != DT_DIR && !strstr(entries[i]->d_name, ".csv") &&
            compared < limit) {
            assert_equals_command(path, input_options, RATE);
            compared++;
        }
        free(entries[i]);
    }
    free(entries);
    free(folder);
    return compared;
}

Test(decode, shared_files_equal_the_command)
{
    need_ffmpeg();
    cr_assert_geq(compare_folder("audio", "", 1000), 30);
}

Test(decode, corpus_files_equal_the_command)
{
    need_ffmpeg();
    cr_assert_eq(compare_folder("corpus/train", "", 10), 10);
}

/* Not all are also tried damaged; never those with floating point, where damaged bits make NaN,
 * which ends decoding here and not in the command. */
typedef struct encoding {
    const char *options;
    const char *suffix;
    bool built_in; /* in every FFmpeg, needs no other library */
    bool damage;
} encoding;

static const encoding encodings[] = {
    {"-c:a flac", "flac", true, true},
    {"-c:a alac", "m4a", true, true},
    {"-c:a pcm_u8", "wav", true, false},
    {"-c:a pcm_s16le", "wav", true, true},
    {"-c:a pcm_s24le", "wav", true, false},
    {"-c:a pcm_s32le", "wav", true, false},
    {"-c:a pcm_f32le", "wav", true, false},
    {"-c:a pcm_f64le", "wav", true, false},
    {"-c:a pcm_mulaw", "wav", true, false},
    {"-c:a pcm_s16be", "aiff", true, false},
    {"-c:a pcm_s24le", "mkv", true, true},
    {"-c:a pcm_f32le", "caf", true, false},
    {"-c:a adpcm_ms", "wav", true, false},
    {"-c:a adpcm_ima_wav", "wav", true, false},
    {"-c:a aac", "m4a", true, true},
    {"-c:a aac", "aac", true, true},
    {"-c:a aac", "mkv", true, false},
    {"-c:a ac3", "ac3", true, true},
    {"-c:a eac3", "eac3", true, true},
    {"-c:a mp2", "mp2", true, false},
    {"-c:a mp2", "mpg", true, true},
    {"-c:a vorbis", "ogg", true, false},
    {"-c:a opus", "mka", true, false},
    {"-c:a wavpack", "wv", true, false},
    {"-c:a wavpack -sample_fmt s16p", "wv", true, true},
    {"-c:a tta", "tta", true, true},
    {"-c:a wmav2", "wma", true, true},
    {"-c:a wmav1", "asf", true, false},
    {"-c:a mlp", "mlp", true, false},
    {"-c:a truehd", "thd", true, true},
    {"-c:a dca", "dts", true, false},
    {"-c:a libmp3lame", "mp3", false, true},
    {"-c:a libmp3lame -b:a 64k -write_xing 0", "mp3", false, false},
    {"-c:a libmp3lame", "avi", false, false},
    {"-c:a libvorbis", "ogg", false, true},
    {"-c:a libopus", "opus", false, true},
    {"-c:a libopus", "webm", false, false},
    {"-c:a libspeex", "spx", false, false},
};
enum { ENCODING_COUNT = sizeof(encodings) / sizeof(encodings[0]) };

static int compare_encoding(const encoding *e, int rate, int channels, int samples)
{
    char name[64];
    snprintf(name, sizeof(name), "%d-%d-%d.%s", rate, channels, samples, e->suffix);
    char *path = temporary_path(name);
    int made = make_audio(path, rate, channels, samples, e->options);
    if (made) {
        assert_equals_command(path, "", RATE);
    }
    free(path);
    return made;
}

Test(decode, encodings_equal_the_command)
{
    need_ffmpeg();
    for (int i = 0; i < ENCODING_COUNT; i++) {
        /* vorbis and opus built in take only stereo at 48 kHz, truehd and mlp not mono at 16 kHz.
         */
        int made = compare_encoding(&encodings[i], 48000, 2, 30011);
        made += compare_encoding(&encodings[i], 16000, 1, 9001);
        if (encodings[i].built_in) {
            cr_assert_geq(made, 1, "no file could be made with %s", encodings[i].options);
        }
    }
}

Test(decode, rates_and_channels_equal_the_command)
{
    static const int rates[] = {8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000};
    static const int channels[] = {1, 2, 3, 6, 8};
    const encoding exact = {"-c:a flac", "flac", true, false};
    const encoding lossy = {"-c:a libvorbis", "ogg", false, false};
    need_ffmpeg();
    for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
        for (size_t c = 0; c < sizeof(channels) / sizeof(channels[0]); c++) {
            if (c != 1 && (r + c) % 3 != 0) {
                continue;
            }
            cr_assert(compare_encoding(&exact, rates[r], channels[c], 7000), "%d Hz, %d channels",
                      rates[r], channels[c]);
            if (r % 5 == c) {
                compare_encoding(&lossy, rates[r], channels[c], 7000);
            }
        }
    }
}

Test(decode, lengths_equal_the_command)
{
    static const int lengths[] = {1, 2, 2047, 2048, 2049};
    static const char *const options[] = {"-c:a pcm_s16le", "-c:a flac", "-c:a libmp3lame",
                                          "-c:a aac", "-c:a libvorbis"};
    static const char *const suffixes[] = {"wav", "flac", "mp3", "m4a", "ogg"};
    need_ffmpeg();
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (size_t k = 0; k < sizeof(options) / sizeof(options[0]); k++) {
            encoding e = {options[k], suffixes[k], false, false};
            compare_encoding(&e, 22050, 1, lengths[i]);
            compare_encoding(&e, 44100, 2, 2 * lengths[i]);
        }
        char *path = temporary_path("exact.wav");
        cr_assert(make_audio(path, 22050, 1, lengths[i], "-c:a pcm_f32le"));
        cr_assert_eq(assert_equals_command(path, "", RATE), (size_t)lengths[i]);
        free(path);
    }
}

Test(decode, other_output_rates_equal_the_command)
{
    static const int rates[] = {8000, 16000, 44100, 48000};
    need_ffmpeg();
    char *path = temporary_path("a.flac");
    cr_assert(make_audio(path, 44100, 2, 50000, "-c:a flac"));
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        assert_equals_command(path, "", rates[i]);
    }
    free(path);
}

/* WAV without a channel mask: the layout has to be guessed. From 9 channels on it mostly cannot be,
 * and there is nothing to downmix with. */
Test(decode, unspecified_channels_equal_the_command)
{
    static int16_t noise[24 * 3000];
    uint64_t seed = 5;
    need_ffmpeg();
    for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++) {
        noise[i] = (int16_t)(random_bits(&seed) % 40000 - 20000);
    }
    char *path = temporary_path("channels.wav");
    for (int channels = 1; channels <= 24; channels++) {
        write_wav(path, 44100, channels, 16, noise, (size_t)channels * 3000 * 2);
        size_t count = assert_equals_command(path, "", RATE);
        cr_assert(channels > 8 || count == 1500, "%d channels: %zu samples", channels, count);
    }
    free(path);
}

Test(decode, chosen_stream_equals_the_command)
{
    static const char *const dispositions[] = {"0 0 0", "0 default 0", "default 0 0",
                                               "default 0 default"};
    need_ffmpeg();
    char *path = temporary_path("streams.mkv");
    for (size_t i = 0; i < sizeof(dispositions) / sizeof(dispositions[0]); i++) {
        char words[3][16];
        cr_assert_eq(sscanf(dispositions[i], "%15s %15s %15s", words[0], words[1], words[2]), 3);
        cr_assert_eq(
            run_command("ffmpeg -nostdin -v quiet -y -f lavfi -i sine=f=300:d=1 -f lavfi -i "
                        "sine=f=500:d=1 -f lavfi -i sine=f=700:d=1 -map 0 -map 1 -map 2 "
                        "-ac:a:0 1 -ac:a:1 2 -ac:a:2 6 -c:a flac -disposition:a:0 %s "
                        "-disposition:a:1 %s -disposition:a:2 %s '%s'",
                        words[0], words[1], words[2], path),
            0);
        cr_assert_eq(assert_equals_command(path, "", RATE), 22050);
    }
    free(path);
}

Test(decode, pictures_and_video_are_passed_over)
{
    static const char *const files[][3] = {
        {"-map 0:a -map 1:v -frames:v 1 -c:v png -c:a libmp3lame -disposition:v attached_pic",
         "cover.mp3"},
        {"-map 0:a -map 1:v -frames:v 1 -c:v png -c:a flac -disposition:v attached_pic",
         "cover.flac"},
        {"-map 1:v -map 0:a -c:v mpeg4 -c:a aac", "video.mp4"},
        {"-map 1:v -map 0:a -c:v mpeg2video -c:a mp2", "video.ts"},
    };
    need_ffmpeg();
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char *path = temporary_path(files[i][1]);
        int failure =
            run_command("ffmpeg -nostdin -v quiet -y -f lavfi -i sine=f=300:d=1 -f lavfi -i "
                        "testsrc=s=64x64:d=1 %s '%s'",
                        files[i][0], path);
        if (failure == 0) {
            cr_assert_gt(assert_equals_command(path, "", RATE), 20000);
        } else {
            cr_assert_eq(i, 0, "%s could not be made", files[i][1]);
        }
        free(path);
    }
}

/* Rate and channels change in mid-stream: the resampler is made anew, and the old one's tail is
 * lost. */
Test(decode, changes_in_mid_stream_equal_the_command)
{
    static const char *const suffixes[] = {"mp3", "ac3", "mp2", "aac", "ogg", "opus"};
    static const char *const codecs[] = {"-c:a libmp3lame", "-c:a ac3",       "-c:a mp2",
                                         "-c:a aac",        "-c:a libvorbis", "-c:a libopus"};
    need_ffmpeg();
    for (size_t k = 0; k < sizeof(suffixes) / sizeof(suffixes[0]); k++) {
        char names[4][32];
        char *paths[4];
        for (int i = 0; i < 4; i++) {
            snprintf(names[i], sizeof(names[i]), "part%d.%s", i, suffixes[k]);
            paths[i] = temporary_path(names[i]);
        }
        bool made = make_audio(paths[0], 44100, 2, 44100, codecs[k]) &&
                    make_audio(paths[1], 32000, 1, 32000, codecs[k]) &&
                    make_audio(paths[2], 48000, 2, 48000, codecs[k]);
        cr_assert(made || strstr(codecs[k], "lib"), "%s could not be made", suffixes[k]);
        if (made) {
            const char *parts[] = {paths[0], paths[1], paths[2]};
            join_files(paths[3], parts, 3);
            cr_assert_gt(assert_equals_command(paths[3], "", RATE), 40000);
        }
        for (int i = 0; i < 4; i++) {
            free(paths[i]);
        }
    }
}

/* One of the ways in which files are damaged. */
static size_t damage(char *bytes, size_t size, uint64_t *seed)
{
    size_t place = random_bits(seed) % size;
    switch (random_bits(seed) % 4) {
    case 0:
        return place + 1; /* cut short */
    case 1:
        for (int i = 0; i < 20; i++) {
            bytes[random_bits(seed) % size] ^= (char)(1 << random_bits(seed) % 8);
        }
        return size;
    case 2:
        for (size_t i = place; i < size && i < place + 2000; i++) {
            bytes[i] = (char)random_bits(seed);
        }
        return size;
    default: {
        size_t hole = size - place < 700 ? size - place : 700;
        memmove(bytes + place, bytes + place + hole, size - place - hole);
        return size - hole;
    }
    }
}

/* Compares `count` damaged versions of one file, and returns how many of them are partial. */
static int compare_damaged(const encoding *e, uint64_t *seed, int count)
{
    char names[2][64];
    snprintf(names[0], sizeof(names[0]), "whole.%s", e->suffix);
    snprintf(names[1], sizeof(names[1]), "damaged.%s", e->suffix);
    char *whole = temporary_path(names[0]);
    char *damaged = temporary_path(names[1]);
    int partial = 0;
    bool made = make_audio(whole, 44100, 2, 40000, e->options);
    cr_assert(made || !e->built_in, "%s could not be made", e->suffix);
    for (int i = 0; i < count && made; i++) {
        size_t size = 0;
        char *bytes = read_file(whole, &size);
        size = damage(bytes, size, seed);
        write_file(damaged, bytes, size);
        free(bytes);
        assert_equals_command(damaged, "-threads 1", RATE);
        decoded again = decode(damaged, NULL, 4096);
        partial += again.result.status == ATTUNE_TRACK_PARTIAL;
        free(again.samples);
    }
    free(whole);
    free(damaged);
    return partial;
}

Test(decode, damaged_files_equal_the_command)
{
    uint64_t seed = 11;
    int partial = 0;
    need_ffmpeg();
    for (int i = 0; i < ENCODING_COUNT; i++) {
        if (encodings[i].damage) {
            partial += compare_damaged(&encodings[i], &seed, 5);
        }
    }
    cr_assert_geq(partial, 10, "the damage did not show: %d files are partial", partial);
}
