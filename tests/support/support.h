/* support.h - what tests share: the shared folder, temporary folders, skipping, statuses, random
 * numbers. */
#ifndef ATTUNE_TESTS_SUPPORT_H
#define ATTUNE_TESTS_SUPPORT_H

#include "attune/status.h"

#include <stddef.h>
#include <stdint.h>

/* Ends the test as skipped; ctest sees it and tools/test prints the reason. */
_Noreturn void skip_test(const char *reason);

/* Ends the test as skipped where there is no CUDA device; ATTUNE_REQUIRE_GPU=1 makes it fail. */
void require_cuda_device(void);

/* Path of a file in the shared folder beside the checkout; skips the test if it is not there. The
 * result is malloc'ed. */
char *shared_path(const char *name);

/* A fresh temporary folder, removed when the process ends. */
const char *temporary_folder(void);

/* malloc'ed "<temporary folder>/<name>". */
char *temporary_path(const char *name);

/* Reads a whole file; asserts that it can. malloc'ed, with a NUL behind its *size bytes. */
char *read_file(const char *path, size_t *size);
void write_file(const char *path, const void *bytes, size_t size);

/* A 16-bit PCM WAV, or with bits 32 one of floats, from the bytes of its samples. */
void write_wav(const char *path, int rate, int channels, int bits, const void *bytes, size_t size);

/* Runs a shell command, asserts that it could start; returns its exit status (128 + n for a
 * signal). */
int run_command(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The call must be ATTUNE_OK. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        attune_status status_of_call = (call);                                                     \
        cr_assert_eq(status_of_call, ATTUNE_OK, "%s: %s", #call, attune_last_error());             \
    } while (0)

/* The call must fail with `expected` and a message of one line that holds `text`. */
#define assert_fails(call, expected, text)                                                         \
    do {                                                                                           \
        attune_status status_of_call = (call);                                                     \
        cr_assert_eq(status_of_call, expected, "%s gives %d: %s", #call, status_of_call,           \
                     attune_last_error());                                                         \
        cr_assert(strstr(attune_last_error(), text), "%s says \"%s\", not \"%s\"", #call,          \
                  attune_last_error(), text);                                                      \
    } while (0)

/* splitmix64: the next 64 random bits, a uniform float in [-1, 1), fills of it scaled. */
uint64_t random_bits(uint64_t *state);
float random_uniform(uint64_t *state);
void random_fill(uint64_t *state, float *out, size_t count, float scale);

#endif
