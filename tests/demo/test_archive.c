/* test_archive.c - the demo's files: names, and WAVs that are the synthesiser's samples. */
#include "demo/archive.h"

#include "demo/synthesiser.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Test(archive, names_are_sorted_and_found)
{
    char before[ATTUNE_DEMO_NAME_SIZE] = "";
    for (int i = 0; i < ATTUNE_DEMO_TRACKS; i++) {
        char name[ATTUNE_DEMO_NAME_SIZE];
        attune_demo_file_name(name, i);
        cr_assert_lt(strcmp(before, name), 0, "%s, %s", before, name);
        cr_assert_eq(attune_demo_find(name), i);
        memcpy(before, name, sizeof(name));
    }
    cr_assert_str_eq(before, "rock-6.wav");
    cr_assert_eq(attune_demo_find("rock-7.wav"), -1);
    cr_assert_eq(attune_demo_find("rock-6"), -1);
}

static uint32_t little_endian(const char *bytes, int count)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++) {
        value |= (uint32_t)(unsigned char)bytes[i] << 8 * i;
    }
    return value;
}

/* Track 9 is folk-4: the first of the style's second artist. */
Test(archive, files_hold_what_the_synthesiser_plays)
{
    const size_t count = (size_t)ATTUNE_DEMO_SECONDS * ATTUNE_DEMO_RATE;
    const attune_demo_track track = {.seed = 1, .style = 2, .artist = 1, .number = 3};
    float *samples = malloc(count * sizeof(*samples));
    cr_assert_not_null(samples);
    cr_assert_eq(attune_demo_synthesise(samples, count, ATTUNE_DEMO_RATE, &track), ATTUNE_OK);
    cr_assert_eq(attune_demo_write(temporary_folder(), 9), ATTUNE_OK);
    char *path = temporary_path("folk-4.wav");
    size_t size = 0;
    char *file = read_file(path, &size);
    cr_assert_eq(size, 44 + 2 * count);
    cr_assert_eq(memcmp(file, "RIFF", 4), 0);
    cr_assert_eq(little_endian(file + 4, 4), size - 8);
    cr_assert_eq(memcmp(file + 8, "WAVEfmt \x10\0\0\0\x01\0\x01\0", 16), 0); /* PCM, mono */
    cr_assert_eq(little_endian(file + 24, 4), ATTUNE_DEMO_RATE);
    cr_assert_eq(little_endian(file + 28, 4), 2 * ATTUNE_DEMO_RATE);
    cr_assert_eq(memcmp(file + 32, "\x02\0\x10\0data", 8), 0);
    cr_assert_eq(little_endian(file + 40, 4), 2 * count);
    for (size_t i = 0; i < count; i++) {
        const double got = (int16_t)little_endian(file + 44 + 2 * i, 2) / 32767.0;
        cr_assert(fabs(got - (double)samples[i]) <= 0.501 / 32767, "sample %zu: %g, not %g", i, got,
                  (double)samples[i]);
    }
    free(file);
    free(path);
    free(samples);
}

Test(archive, only_the_same_file_stays)
{
    char *path = temporary_path("electronic-1.wav");
    struct stat first, second;
    cr_assert_eq(attune_demo_write(temporary_folder(), 0), ATTUNE_OK);
    cr_assert_eq(stat(path, &first), 0);
    cr_assert_eq(attune_demo_write(temporary_folder(), 0), ATTUNE_OK);
    cr_assert_eq(stat(path, &second), 0);
    cr_assert_eq(first.st_ino, second.st_ino, "the file was written again");
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, -1, SEEK_END), 0);
    cr_assert_eq(fputc(0x55, file), 0x55);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(attune_demo_write(temporary_folder(), 0), ATTUNE_ECREATE);
    cr_assert(strstr(attune_last_error(), "electronic-1.wav: is there and is not the demo's"));
    cr_assert_eq(truncate(path, 1000), 0);
    cr_assert_eq(attune_demo_write(temporary_folder(), 0), ATTUNE_ECREATE);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(attune_demo_write(temporary_folder(), 0), ATTUNE_ECREATE);
    free(path);
}
