/* support.c - what tests share. */
#include "tests/support/support.h"

#include "kernels/batch.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

_Noreturn void skip_test(const char *reason)
{
    printf("ATTUNE-SKIP: %s\n", reason);
    fflush(stdout);
    cr_skip_test("%s", reason);
    abort();
}

void require_cuda_device(void)
{
    if (attune_kernels_cuda()->count() == 0) {
        const char *required = getenv("ATTUNE_REQUIRE_GPU");
        if (required && strcmp(required, "1") == 0) {
            cr_assert_fail("ATTUNE_REQUIRE_GPU=1, but: %s", attune_last_error());
        }
        skip_test("no CUDA device");
    }
}

static char *join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    cr_assert_not_null(path);
    snprintf(path, size, "%s/%s", folder, name);
    return path;
}

char *shared_path(const char *name)
{
    const char *folder = getenv("ATTUNE_SHARED");
    char *path = join(folder ? folder : "../shared", name);
    if (access(path, R_OK) != 0) {
        free(path);
        skip_test(
            "the shared folder with the published model and audio is not beside the checkout");
    }
    return path;
}

static char folder_name[256];
static pid_t folder_owner;

static void remove_folder(void)
{
    if (folder_owner == getpid()) {
        run_command("chmod -R u+rwX '%s' && rm -rf '%s'", folder_name, folder_name);
    }
}

const char *temporary_folder(void)
{
    if (folder_owner != getpid()) {
        const char *base = getenv("TMPDIR");
        snprintf(folder_name, sizeof(folder_name), "%s/attune-test-XXXXXX", base ? base : "/tmp");
        cr_assert_not_null(mkdtemp(folder_name), "cannot make %s", folder_name);
        folder_owner = getpid();
        atexit(remove_folder);
    }
    return folder_name;
}

char *temporary_path(const char *name)
{
    return join(temporary_folder(), name);
}

char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "cannot open %s", path);
    size_t capacity = 1 << 16, length = 0;
    char *bytes = malloc(capacity + 1);
    cr_assert_not_null(bytes);
    for (;;) {
        size_t got = fread(bytes + length, 1, capacity - length, file);
        length += got;
        if (got == 0) {
            break;
        }
        if (length == capacity) {
            capacity *= 2;
            bytes = realloc(bytes, capacity + 1);
            cr_assert_not_null(bytes);
        }
    }
    cr_assert(!ferror(file), "cannot read %s", path);
    fclose(file);
    bytes[length] = '\0';
    if (size) {
        *size = length;
    }
    return bytes;
}

void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file, "cannot create %s", path);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

static void put(unsigned char *out, unsigned long value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        out[i] = (unsigned char)(value >> (8 * i));
    }
}

void write_wav(const char *path, int rate, int channels, int bits, const void *bytes, size_t size)
{
    unsigned char *file = malloc(44 + size);
    cr_assert_not_null(file);
    unsigned long block = (unsigned long)(channels * bits / 8);
    memcpy(file, "RIFF....WAVEfmt ", 16);
    put(file + 4, 36 + size, 4);
    put(file + 16, 16, 4);
    put(file + 20, bits == 32 ? 3 : 1, 2);
    put(file + 22, (unsigned long)channels, 2);
    put(file + 24, (unsigned long)rate, 4);
    put(file + 28, (unsigned long)rate * block, 4);
    put(file + 32, block, 2);
    put(file + 34, (unsigned long)bits, 2);
    memcpy(file + 36, "data", 4);
    put(file + 40, size, 4);
    if (size > 0) {
        memcpy(file + 44, bytes, size);
    }
    write_file(path, file, 44 + size);
    free(file);
}

int run_command(const char *format, ...)
{
    char command[8192];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    cr_assert(length > 0 && (size_t)length < sizeof(command), "command too long");
    int status = system(command);
    cr_assert_neq(status, -1, "cannot run %s", command);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

uint64_t random_bits(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

float random_uniform(uint64_t *state)
{
    return (float)(random_bits(state) >> 40) * 0x1p-23f - 1.0f;
}

void random_fill(uint64_t *state, float *out, size_t count, float scale)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = scale * random_uniform(state);
    }
}
