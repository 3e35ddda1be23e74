/* test_embed.c - `attune embed`, `info` and `nearest` as a user runs them, with the published model
 * on real files. */
#include "tests/support/command.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *audio; /* the shared audio folder */

static void cleanup(void)
{
    free(audio);
    audio = NULL;
}

static void expect(int code, int expected, const char *what)
{
    cr_assert_eq(code, expected, "%s: exit %d, not %d", what, code, expected);
}

static void contains(const char *file, const char *text)
{
    char *all = read_file(file, NULL);
    cr_assert(strstr(all, text), "no \"%s\" in %s: %s", text, file, all);
    free(all);
}

Test(embed, embeddings_are_the_same_bytes_however_they_are_made, .timeout = 240, .fini = cleanup)
{
    const char *attune = prepare_published(&audio);
    if (run_command("command -v h5dump >/dev/null") != 0) {
        skip_test("h5dump is not installed");
    }
    expect(run_command("mkdir few && cp '%s'/fmt_*.ogg '%s'/fmt_*.mp3 '%s'/flac_*_[0-2]*.flac few "
                       "&& touch -d @1000000000 few/*",
                       audio, audio, audio),
           0, "cp");
    expect(run_command("%s embed few -o one.h5 -j 1 -q", attune), 3, "one worker");
    expect(run_command("%s embed $(ls few/* | sort -R) -o eight.h5 -j 8 -q", attune), 3,
           "shuffled");
    expect(run_command("ls -r few/* | %s embed - -o list.h5 -q", attune), 3, "a list");
    expect(
        run_command("find few -type f -print0 > names; %s embed --files-from names -0 -o nul.h5 -q",
                    attune),
        3, "a NUL list");
    static const char *const datasets[] = {"embedding", "path",   "status", "error",
                                           "duration",  "frames", "size",   "mtime_ns"};
    for (size_t i = 0; i < sizeof(datasets) / sizeof(datasets[0]); i++) {
        expect(run_command(
                   "for f in one eight list nul; do h5dump -y -w 100 -d /%s $f.h5 | tail -n +2 "
                   "> $f.txt || exit 1; done; "
                   "cmp one.txt eight.txt && cmp one.txt list.txt && cmp one.txt nul.txt",
                   datasets[i]),
               0, datasets[i]);
    }
    expect(run_command("for f in one eight list nul; do h5dump -b LE -d /embedding -o $f.bin $f.h5 "
                       ">/dev/null || exit 1; done; test -s one.bin && cmp one.bin eight.bin && "
                       "cmp one.bin list.bin && cmp one.bin nul.bin"),
           0, "cmp of /embedding");
    /* in processes of their own, and in archives */
    expect(run_command("%s embed few -o isolated.h5 -j 2 --isolate -q", attune), 3, "isolated");
    expect(run_command("TZ=UTC /usr/bin/python3 -c 'import os, tarfile, zipfile\n"
                       "for name, method in (\"stored\", 0), (\"deflated\", 8):\n"
                       "    with zipfile.ZipFile(name + \".zip\", \"w\", method) as z:\n"
                       "        [z.write(\"few/\" + n, n) for n in os.listdir(\"few\")]\n"
                       "with tarfile.open(\"plain.tar\", \"w\") as t:\n"
                       "    [t.add(\"few/\" + n, n) for n in os.listdir(\"few\")]'"),
           0, "archives");
    expect(run_command("%s embed stored.zip -o stored.h5 -q -j 8", attune), 3, "stored.zip");
    expect(run_command("%s embed deflated.zip -o deflated.h5 -q", attune), 3, "deflated.zip");
    expect(run_command("%s embed plain.tar -o tar.h5 -q --isolate", attune), 3, "plain.tar");
    expect(run_command("/usr/bin/python3 -c 'import h5py' 2>err && " SAME_ROWS
                       " one.h5 isolated.h5 stored.h5 deflated.h5 tar.h5"),
           0, "rows of archives");
    expect(run_command("%s embed few/fmt_furiousfreak.ogg -o alone.h5 -q && "
                       "h5dump -b LE -d /embedding -o alone.bin alone.h5 >/dev/null && "
                       "od -An -v -tx4 -w128 one.bin > rows && od -An -v -tx4 -w128 alone.bin | "
                       "grep -qxFf - rows",
                       attune),
           0, "a track alone");
}

Test(embed, messages_info_and_nearest, .timeout = 120, .fini = cleanup)
{
    const char *attune = prepare_published(&audio);
    expect(run_command(
               "mkdir -p music/sub && cp '%s'/fmt_furiousfreak.mp3 '%s'/country.mp3 music && "
               "cp '%s'/fmt_furiousfreak.ogg music/sub/ && cp '%s'/flac_faulty_06.flac music && "
               "echo hello > music/text.mp3 && echo notes > music/notes.txt",
               audio, audio, audio, audio),
           0, "cp");
    expect(run_command("%s embed music -o out.h5 --clip 2:8 >out 2>err", attune), 3, "embed");
    char *out = read_file("out", NULL);
    cr_assert_str_empty(out);
    free(out);
    contains("err", "flac_faulty_06.flac: cannot_");
    contains("err", "text.mp3: cannot_");
    contains("err", "5 files (3 ok, 2 cannot_");
    expect(run_command("! grep -v '^attune: ' err"), 0, "lines that are not ours");

    expect(run_command("%s embed music -o out.h5 --clip 2:8 --log-json 2>err", attune), 3, "embed");
    contains("err", "\"event\":\"start\"");
    contains("err", "\"event\":\"done\"");
    expect(run_command("! grep -v '^{.*}$' err"), 0, "lines that are not JSON objects");
    expect(run_command("%s embed music -o out.h5 --clip 2:8 -q 2>err; test ! -s err", attune), 0,
           "quiet");

    expect(run_command("%s info out.h5 >out", attune), 0, "info");
    contains("out", "rows            5\n");
    contains("out", "8 s from 2 s");
    contains("out", "audio_embedding_model.onnx");
    expect(run_command("%s info \"$ATTUNE_MODEL\" >out", attune), 0, "info");
    contains("out", "b0fc2828d7496a274f091cc8b13e3a11fe045f2459f069e68b2ba19ddb6058b0");
    contains("out", "213352");
    expect(run_command("%s info --json out.h5 >out", attune), 0, "info --json");
    contains("out", "\"clip_seconds\": 8.0");

    /* by row, by the row's file, and by a copy elsewhere: the same neighbours, the copy finds the
     * row itself */
    expect(run_command("%s nearest out.h5 fmt_furiousfreak.mp3 >by_row", attune), 0, "by row");
    expect(run_command("%s nearest out.h5 music/fmt_furiousfreak.mp3 >by_file", attune), 0,
           "by file");
    expect(run_command("cmp by_row by_file && test $(wc -l <by_row) -eq 2 && "
                       "head -1 by_row | grep -q 'sub/fmt_furiousfreak.ogg'"),
           0, "neighbours");
    expect(run_command("cp music/country.mp3 copy.mp3 && %s nearest out.h5 copy.mp3 -k 1 >copy && "
                       "grep -qx '1.000000.country.mp3' copy",
                       attune),
           0, "by a copy");

    /* the same in the other precision, which a query then takes over */
    expect(run_command("%s embed music/country.mp3 -o fast.h5 --precision fast --device cpu -q && "
                       "%s info fast.h5 >out && %s nearest fast.h5 copy.mp3 -k 1 >copy",
                       attune, attune, attune),
           0, "fast");
    contains("out", "precision       fast\n");
    contains("copy", "1.000000\tcountry.mp3");
    expect(run_command("%s nearest out.h5 text.mp3 2>err", attune), 65, "a failed row");
    contains("err", "no embedding");
    expect(run_command("%s nearest out.h5 nothing.mp3 2>err", attune), 66, "no such row");
    expect(run_command("%s nearest out.h5 music/notes.txt 2>err", attune), 65, "not audio");
    expect(run_command("%s nearest --json out.h5 country.mp3 -k 1 >out", attune), 0, "--json");
    contains("out", "\"cosine\"");
}

Test(embed, refusals_lose_nothing, .timeout = 60, .fini = cleanup)
{
    const char *attune = prepare_published(&audio);
    expect(run_command("mkdir music && cp '%s'/fmt_furiousfreak.mp3 music && echo mine > notes.h5",
                       audio),
           0, "cp");
    expect(run_command("%s embed music -o notes.h5 2>err", attune), 73, "not ours");
    contains("notes.h5", "mine");
    contains("err", "notes.h5");
    expect(run_command("%s embed music -o music 2>err", attune), 73, "a folder");
    expect(run_command("%s embed music -o no/where.h5 2>err", attune), 73, "no folder");
    expect(run_command("%s embed music -o $(printf %%0300d 1) 2>err", attune), 73, "a long name");
    expect(run_command("%s embed nothing -o a.h5 2>err", attune), 66, "no input");
    expect(run_command("mkdir empty && %s embed empty -o a.h5 2>err", attune), 66, "empty folder");
    expect(run_command("%s embed music -o a.h5 --device cuda:7 2>err", attune), 78, "no device");
    contains("err", "cuda:7");
    expect(run_command("%s embed music -o a.h5 --device tpu 2>err", attune), 64, "a word");
    expect(run_command("%s embed music -o a.h5 --precision bold 2>err", attune), 64,
           "no precision");
    expect(run_command("test ! -e a.h5 && ! ls -A | grep -q tmp"), 0, "leftovers");
    if (access("/dev/full", W_OK) == 0) {
        expect(
            run_command("%s embed music -o a.h5 -q && cp a.h5 b.h5 && (ulimit -f 4; trap '' XFSZ; "
                        "%s embed music -o a.h5 -q --force 2>err)",
                        attune, attune),
            74, "a full disk");
        expect(run_command("cmp a.h5 b.h5 && ! ls -A | grep -q tmp"), 0,
               "the old output after a full disk");
    }
}

/* Runs `attune embed ARGUMENTS` with JSON messages in `err`, sends a signal once it has begun; its
 * exit status. */
static int embed_and_signal(const char *attune, const char *arguments, const char *name)
{
    return run_command(
        ": >err; env --default-signal=INT %s embed %s --log-json 2>err & pid=$!; i=0; "
        "while ! grep -q '\"start\"' err && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); "
        "done; sleep 0.5; kill -%s $pid; wait $pid",
        attune, arguments, name);
}

Test(embed, interrupt_keeps_what_is_done, .timeout = 120, .fini = cleanup)
{
    const char *attune = prepare_published(&audio);
    expect(
        run_command("mkdir music && for i in $(seq 400); do cp '%s'/country.mp3 music/$i.mp3; done",
                    audio),
        0, "cp");
    expect(embed_and_signal(attune, "music -o out.h5 --clip 0:8 -j 1", "INT"), 130, "interrupted");
    contains("err", "stopped with");
    contains("err", "\"stopping\"");
    contains("err", "out.h5.parts");
    expect(run_command("%s info out.h5.parts/0-0.h5 >out && test ! -e out.h5", attune), 0, "part");
    expect(
        run_command("%s embed music -o out.h5 --clip 0:8 --dry-run 2>err | grep -c '^new./' >left; "
                    "test $(cat left) -gt 0 && test $(cat left) -lt 400",
                    attune),
        0, "a dry run");
    contains("err", "and keep ");
    expect(embed_and_signal(attune, "music -o out.h5 --clip 0:8 -j 1", "USR1"), 75,
           "to be run again");
    expect(
        run_command("%s embed music -o out.h5 --clip 0:8 2>err && test ! -e out.h5.parts", attune),
        0, "the rest");
    contains("err", "400 files (400 ok), ");
    contains("err", " of them from before");
    /* an output that is complete stays as it is */
    expect(run_command("%s embed music/1.mp3 -o done.h5 -q && cp done.h5 before.h5", attune), 0,
           "one");
    expect(embed_and_signal(attune, "music -o done.h5 -j 1", "TERM"), 143, "ended");
    expect(run_command("cmp done.h5 before.h5"), 0, "the output after a run that was ended");
    expect(run_command("%s embed done.h5 -o done.h5 2>err", attune), 64, "the output as an input");
    expect(run_command("cmp done.h5 before.h5"), 0, "the output as an input");
}

Test(embed, a_dry_run_prints_a_line_a_file, .timeout = 60)
{
    const char *attune = prepare_command();
    expect(run_command("mkdir music && touch \"$(printf 'music/new\nx\033y\351.ogg')\" && "
                       "%s embed music -o out.h5 --dry-run -q | sed \"s|$PWD|.|\" >out && "
                       "printf 'new\t./music/new x?y\351.ogg\n' | cmp - out",
                       attune),
           0, "a name with a line break");
}
