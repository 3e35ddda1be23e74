/* command.c - running `attune` as a user does. */
#include "tests/support/command.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *prepare_command(void)
{
    const char *command = getenv("ATTUNE_COMMAND");
    if (!command) {
        skip_test("ATTUNE_COMMAND does not name the command; run through ctest");
    }
    cr_assert_eq(chdir(temporary_folder()), 0);
    return command;
}

const char *prepare_published(char **audio)
{
    char *model = shared_path("models/mecomp/audio_embedding_model.onnx");
    char *folder = shared_path("audio");
    char *real_model = realpath(model, NULL);
    *audio = realpath(folder, NULL);
    cr_assert(real_model && *audio);
    setenv("ATTUNE_MODEL", real_model, 1);
    free(real_model);
    free(folder);
    free(model);
    return prepare_command();
}

void check_command(int code, const char *text, const char *format, ...)
{
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    cr_assert(length > 0 && (size_t)length < sizeof(command), "command too long");
    const int ended = run_command(">out 2>err %s", command);
    char *err = read_file("err", NULL);
    cr_assert_eq(ended, code, "%s: exit %d, not %d: %s", command, ended, code, err);
    cr_assert(strstr(err, text), "%s: no \"%s\" in %s", command, text, err);
    free(err);
}
