/* test_fetch_model.c - tools/fetch-model believes no file but the published one. URLs of files
 * stand for the network. */
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fetch(int code, const char *text, const char *arguments)
{
    const int ended = run_command("'%s/fetch-model' %s 2>err", TOOLS, arguments);
    char *err = read_file("err", NULL);
    cr_assert_eq(ended, code, "%s: exit %d, not %d: %s", arguments, ended, code, err);
    cr_assert(strstr(err, text), "%s: no \"%s\" in %s", arguments, text, err);
    free(err);
}

static void prepare(void)
{
    if (run_command("command -v curl >/dev/null 2>&1") != 0) {
        skip_test("curl is not installed");
    }
    cr_assert_eq(chdir(temporary_folder()), 0);
    write_file("other.onnx", "another model", 13);
}

Test(fetch_model, other_files_are_refused)
{
    prepare();
    fetch(65, "is not the published model", "\"file://$PWD/other.onnx\"");
    fetch(74, "nowhere.onnx", "\"file://$PWD/nowhere.onnx\"");
    fetch(73, "other.onnx: exists and is another file", "-o other.onnx");
    fetch(73, "no/m.onnx: cannot create", "-o no/m.onnx \"file://$PWD/other.onnx\"");
    fetch(64, "-o needs a file", "-o");
    fetch(64, "unknown option --what", "--what");
    fetch(64, "-o: options come before the URLs", "\"file://$PWD/other.onnx\" -o other.onnx");
    fetch(73, "fetch-model: .: exists and is no file", "-o .");
    cr_assert_eq(run_command("ln -s nowhere link.onnx"), 0);
    fetch(73, "link.onnx: exists and is no file", "-o link.onnx \"file://$PWD/other.onnx\"");
    cr_assert_eq(run_command("[ $(wc -l <err) = 1 ] && rm link.onnx"), 0);
    cr_assert_eq(run_command("[ \"$(ls -A | tr '\\n' ' ')\" = 'err other.onnx ' ] && "
                             "grep -q another other.onnx"),
                 0);
}

Test(fetch_model, the_published_file_is_kept)
{
    char *path = shared_path("models/mecomp/audio_embedding_model.onnx");
    prepare();
    cr_assert_eq(run_command("cp '%s' published.onnx", path), 0);
    fetch(0, "-> audio_embedding_model.onnx",
          "\"file://$PWD/other.onnx\" \"file://$PWD/published.onnx\"");
    fetch(0, "audio_embedding_model.onnx: is there", "");
    cr_assert_eq(run_command("cmp published.onnx audio_embedding_model.onnx && "
                             "[ \"$(stat -c %%a audio_embedding_model.onnx)\" = "
                             "\"$(stat -c %%a err)\" ] && [ $(ls -A | wc -l) = 4 ]"),
                 0);
    free(path);
}
