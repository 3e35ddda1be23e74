/* test_cli.c - what a user types and sees: help, versions, mistakes. Needs no model. */
#include "attune/model.h"
#include "tests/support/command.h"
#include "tests/support/support.h"
#include "train/settings.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct output {
    int code;
    char *out, *err;
} output;

/* Runs `attune ARGUMENTS` in the temporary folder. */
static output attune(const char *arguments)
{
    const char *command = prepare_command();
    output o = {.code = run_command("%s %s >out 2>err </dev/null", command, arguments)};
    o.out = read_file("out", NULL);
    o.err = read_file("err", NULL);
    return o;
}

static void check(const char *arguments, int code, const char *in_out, const char *in_err)
{
    output o = attune(arguments);
    cr_assert_eq(o.code, code, "attune %s: exit %d, not %d\n%s%s", arguments, o.code, code, o.out,
                 o.err);
    cr_assert(strstr(o.out, in_out), "attune %s: no \"%s\" in: %s", arguments, in_out, o.out);
    cr_assert(strstr(o.err, in_err), "attune %s: no \"%s\" in: %s", arguments, in_err, o.err);
    if (code != 0) { /* stdout is data: a failure says nothing there, and one line on stderr */
        cr_assert_str_empty(o.out, "attune %s", arguments);
        if (*arguments) {
            const char *end = strchr(o.err, '\n');
            cr_assert(end && end[1] == '\0', "attune %s: not one line: %s", arguments, o.err);
        }
    } else {
        cr_assert_str_empty(o.err, "attune %s", arguments);
    }
    free(o.out);
    free(o.err);
}

Test(cli, help_and_version)
{
    check("--help", 0, "Usage: attune COMMAND", "");
    check("-h", 0, "nearest", "");
    check("--version", 0, "libavcodec", "");
    check("embed --help", 0, "Usage: attune embed", "");
    check("embed x -o y -h", 0, "--clip", "");
    check("demo -h", 0, "Usage: attune demo", "");
    check("info --help", 0, "Usage: attune info", "");
    check("nearest --help", 0, "Usage: attune nearest", "");
    check("", 64, "", "Usage: attune COMMAND");
}

/* Every run of blanks becomes one space. */
static void unwrap(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        const bool blank = strchr(" \n", *from) != NULL;
        if (!blank || to == text || to[-1] != ' ') {
            *to++ = blank ? ' ' : *from;
        }
    }
    *to = '\0';
}

Test(cli, help_of_train_is_wrapped_between_words)
{
    output o = attune("train --help");
    for (const char *line = o.out; *line; line += strcspn(line, "\n") + 1) {
        const int length = (int)strcspn(line, "\n");
        cr_assert(length <= 88 && line[length - (length > 0)] != ' ', "\"%.*s\"", length, line);
    }
    unwrap(o.out);
    for (int i = 0; i < attune_settings_count; i++) {
        const attune_setting *s = &attune_settings_table[i];
        char text[600], ending[80] = "";
        snprintf(text, sizeof(text), "%s%s%s", s->help + (s->name ? 0 : 2),
                 s->defaults[0] ? " (default: " : "", s->defaults[0] ? s->defaults[0] : "");
        if (s->kind == ATTUNE_SETTING_SWITCH) {
            snprintf(ending, sizeof(ending), "); --%s=no: not", s->name);
        }
        cr_assert(strstr(o.out, text), "no \"%s\" in: %s", text, o.out);
        cr_assert(strstr(o.out, ending), "no \"%s\" in: %s", ending, o.out);
    }
    free(o.out);
    free(o.err);
}

Test(cli, usage_mistakes)
{
    static const char *const cases[][2] = {
        {"embd", "unknown command embd"},
        {"embed", "no input"},
        {"embed .", "no output"},
        {"embed . -o", "-o needs a value"},
        {"embed . --output", "--output needs a value"},
        {"embed . -o a.h5 --frobnicate", "unknown option --frobnicate"},
        {"embed . -o a.h5 -x", "unknown option -x"},
        {"embed . -o a.h5 --quiet=3", "--quiet takes no value"},
        {"embed . -o a.h5 -j 0", "--jobs 0"},
        {"embed . -o a.h5 -j many", "--jobs many"},
        {"embed . -o a.h5 -j 99999999999999999999", "--jobs"},
        {"embed . -o a.h5 --clip 5:0", "--clip 5:0"},
        {"embed . -o a.h5 --clip :5", "--clip :5"},
        {"embed . -o a.h5 --clip -1:5", "--clip -1:5"},
        {"embed . -o a.h5 --clip 1:2:3", "--clip 1:2:3"},
        {"embed . -o a.h5 -o b.h5", "-o is given twice"},
        {"embed . -o a.h5 --gpu-memory lots", "--gpu-memory lots"},
        {"embed . -o a.h5 --gpu-memory 5X", "--gpu-memory 5X"},
        {"embed . -o a.h5 --verify -1", "--verify -1"},
        {"embed . -o a.h5 --commit -1", "--commit -1"},
        {"embed . -o a.h5 --commit often", "--commit often"},
        {"embed . -o a.h5 --timeout nan", "--timeout nan"},
        {"embed . -o a.h5 --timeout -5", "--timeout -5"},
        {"info a b", "one file"},
        {"info --what x", "unknown option --what"},
        {"nearest x.h5", "QUERY"},
        {"nearest x.h5 a b --path --by any", "--path goes without"},
        {"nearest x.h5 a --path", "--path needs two tracks"},
        {"nearest x.h5 a b --path -k 1", "-k 1: a path has"},
        {"nearest x.h5 a b --by best", "--by best"},
        {"nearest x.h5 a --per-artist 0", "--per-artist 0"},
        {"nearest x.h5 a --per-folder many", "--per-folder many"},
        {"nearest x.h5 a --diversity 3", "--diversity 3"},
        {"nearest x.h5 a --json --m3u", "one of them"},
        {"nearest x.h5 a -o ''", "--output needs a value"},
        {"nearest x.h5 a --html ''", "--html needs a value"},
        {"judge t.csv --audio ''", "--audio needs a value"},
        {"judge t.csv --audio=", "--audio needs a value"},
        {"judge t.csv --audio . -o ''", "--output needs a value"},
        {"judge t.csv --audio . --manifest '' -q", "--manifest needs a value"},
        {"nearest x.h5 a -k 0", "-k 0"},
        {"nearest x.h5 a -k", "-k needs a value"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check(cases[i][0], 64, "", cases[i][1]);
    }
}

Test(cli, inputs_that_are_not_there_or_not_what_they_should_be)
{
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("unset ATTUNE_MODEL; echo hello > text; : > empty; mkdir -p folder; "
                             "printf '\\211HDF\\r\\n\\032\\nrest' > half.h5; "
                             "mkfifo pipe; head -c 100000 /dev/urandom > noise.onnx"),
                 0);
    unsetenv("ATTUNE_MODEL");
    if (attune_model_has_default()) {
        check("info", 0, "model           attune-", "");
    } else {
        check("embed . -o a.h5", 78, "", "--model");
        check("info", 64, "", "no file");
    }
    check("embed . -o a.h5 -m nowhere.onnx", 66, "", "nowhere.onnx");
    check("embed . -o a.h5 -m text", 65, "", "text");
    check("embed . -o a.h5 -m empty", 65, "", "empty");
    check("embed . -o a.h5 -m folder", 65, "", "folder");
    check("embed . -o a.h5 -m noise.onnx", 65, "", "noise.onnx");
    check("info nowhere", 66, "", "nowhere");
    check("info text", 65, "", "text");
    check("info empty", 65, "", "empty");
    check("info folder", 65, "", "folder");
    check("info half.h5", 65, "", "half.h5");
    check("info pipe", 65, "", "pipe");
    check("embed --files-from /dev/zero -o a.h5 -m text", 65, "", "text");
    check("nearest nowhere.h5 x", 66, "", "nowhere.h5");
    check("nearest text x", 65, "", "text");
    check("nearest '' x", 66, "", "\"\": cannot open");
    check("judge '' --audio .", 66, "", "\"\": No such file");
    cr_assert_neq(access("a.h5", F_OK), 0);
}

Test(cli, full_standard_output_is_an_error)
{
    const char *command = prepare_command();
    cr_assert_eq(run_command("%s --help >/dev/full 2>/dev/null", command), 74);
    cr_assert_eq(run_command("%s --help >&- 2>/dev/null", command), 74);
}
