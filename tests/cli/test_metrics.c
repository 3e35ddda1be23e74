/* test_metrics.c - what `attune embed --metrics` leaves for Prometheus. */
#include "tests/support/command.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Makes the temporary folder the working one, with two files and one that fails in `music`. */
static const char *prepare(void)
{
    char *audio = NULL;
    const char *command = prepare_published(&audio);
    cr_assert_eq(run_command("mkdir music && cp '%s'/country.mp3 '%s'/fmt_furiousfreak.ogg "
                             "'%s'/flac_faulty_06.flac music",
                             audio, audio, audio),
                 0);
    free(audio);
    return command;
}

/* The number of the sample that begins with `name` in file.prom; there must be one. */
static double sample(const char *name)
{
    char *text = read_file("file.prom", NULL), *line = NULL, *rest = NULL;
    double value = -1;
    int found = 0;
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, name, strlen(name)) == 0) {
            value = strtod(strrchr(line, ' '), NULL);
            found++;
        }
    }
    cr_assert_eq(found, 1, "%s is there %d times", name, found);
    free(text);
    return value;
}

static void is_well_formed(void)
{
    cr_assert_eq(run_command("! grep -Evx '# (HELP|TYPE) attune_[a-z_]+ .+|"
                             "attune_[a-z_]+\\{output=\"([^\"\\\\]|\\\\[\\\\\"n])*\""
                             "(,[a-z]+=\"[a-z_]+\")?\\} [0-9.e+-]+' file.prom"),
                 0, "lines that are no metrics");
    /* every family once, its samples behind its HELP and TYPE */
    cr_assert_eq(run_command("awk '/^# HELP/{n=$3; if (seen[n]++) exit 1} /^# TYPE/{if ($3 != n) "
                             "exit 1} /^attune/{split($1, a, \"{\"); if (a[1] != n) exit 1}' "
                             "file.prom"),
                 0, "families out of order");
}

Test(metrics, tell_how_a_run_went, .timeout = 60)
{
    const char *attune = prepare();
    /* a name that has to be escaped, and is not UTF-8 */
    cr_assert_eq(run_command("%s embed music -o \"$(printf 'a\\\\\"\\n\\351.h5')\" --clip 0:3 -q "
                             "--metrics file.prom",
                             attune),
                 3);
    is_well_formed();
    cr_assert_eq(
        run_command("grep -q '{output=\"a\\\\\\\\\\\\\"\\\\n\xef\xbf\xbd.h5\"}' file.prom"), 0,
        "the output's name");
    write_file(".file.prom.1-0123456789abcdef.tmp", "of a run that was killed", 24);
    cr_assert_eq(run_command("%s embed music -o out.h5 --clip 0:3 -q --metrics file.prom", attune),
                 3);
    is_well_formed();
    cr_assert_eq(sample("attune_files{output=\"out.h5\",status=\"ok\"}"), 2);
    cr_assert_eq(sample("attune_files{output=\"out.h5\",status=\"cannot_open\"}"), 1);
    cr_assert_eq(sample("attune_files_expected"), 3);
    cr_assert_eq(sample("attune_running"), 0);
    cr_assert_eq(sample("attune_exit_code"), 3);
    cr_assert_gt(sample("attune_worker_seconds{output=\"out.h5\",in=\"decoding\"}"), 0);
    cr_assert_gt(sample("attune_worker_seconds{output=\"out.h5\",in=\"computing\"}"), 0);
    cr_assert_eq(sample("attune_queue{output=\"out.h5\",of=\"rows\"}"), 0);
    const double hours = sample("attune_audio_hours");
    cr_assert(hours > 5.9 / 3600 && hours < 7.0 / 3600, "%g hours", hours);
    /* a run that fails leaves the time of the last success */
    const double success = sample("attune_last_success_timestamp_seconds");
    cr_assert_gt(success, 1.6e9);
    cr_assert_eq(run_command("%s embed nowhere -o out.h5 -q --metrics file.prom 2>err", attune),
                 66);
    cr_assert_eq(sample("attune_exit_code"), 66);
    cr_assert_eq(sample("attune_last_success_timestamp_seconds"), success);
    is_well_formed();
    cr_assert_eq(run_command("! ls -A | grep tmp"), 0, "leftovers");
}

Test(metrics, are_written_while_a_run_goes_on, .timeout = 120)
{
    const char *attune = prepare();
    /* far more than is done before it is stopped */
    cr_assert_eq(
        run_command("mkdir many; for i in $(seq 2000); do ln music/country.mp3 "
                    "many/$i.mp3; done; %s embed many -o out.h5 -q --metrics file.prom "
                    "2>err & pid=$!; i=0; while [ ! -e file.prom ] && [ $i -lt 300 ]; do "
                    "sleep 0.1; i=$((i+1)); done; cp file.prom begun; kill $pid; wait $pid",
                    attune),
        143);
    cr_assert_eq(run_command("grep -q '^attune_running{output=\"out.h5\"} 1$' begun && ! grep -q "
                             "'^attune_exit_code' begun"),
                 0);
    cr_assert_eq(sample("attune_running"), 0);
    cr_assert_eq(sample("attune_exit_code"), 143);
}

Test(metrics, of_a_running_job_stay, .timeout = 60)
{
    const char *attune = prepare();
    write_file("file.prom", "", 0); /* nothing is as good as no file */
    cr_assert_eq(run_command("%s embed music -o out.h5 --clip 0:3 -q --metrics file.prom", attune),
                 3);
    cr_assert_eq(run_command("cp file.prom before; mkdir out.h5.parts; flock out.h5.parts/lock %s "
                             "embed music -o out.h5 --clip 0:3 -q --metrics file.prom 2>err",
                             attune),
                 75);
    cr_assert_eq(run_command("cmp file.prom before && ! ls -A | grep tmp"), 0);
}

Test(metrics, replace_nothing_else, .timeout = 60)
{
    const char *attune = prepare();
    write_file("notes", "mine\n", 5);
    cr_assert_eq(run_command("%s embed music -o out.h5 --metrics notes 2>err", attune), 73);
    cr_assert_eq(run_command("grep -q 'notes: exists and holds no metrics' err && grep -qx mine "
                             "notes && test ! -e out.h5"),
                 0);
    cr_assert_eq(run_command("%s embed music -o out.h5 --metrics no/file.prom 2>err", attune), 73);
    cr_assert_eq(run_command("%s embed music -o out.h5 --metrics out.h5 2>err", attune), 64);
    cr_assert_eq(run_command("grep -q 'out.h5: is the output' err && test ! -e out.h5"), 0);
    cr_assert_eq(run_command("%s embed music -o out.h5 --metrics ./out.h5 2>err", attune), 64);
    cr_assert_eq(run_command("grep -q './out.h5: is the output' err && test ! -e out.h5"), 0);
    cr_assert_eq(run_command("%s embed music -o out.h5 --metrics out.h5.parts 2>err", attune), 64);
    cr_assert_eq(run_command("grep -q 'out.h5.parts: is the output' err && test ! -e out.h5.parts"),
                 0);
    cr_assert_eq(run_command("%s embed music -o out.h5 --metrics music 2>err", attune), 73);
    cr_assert_eq(
        run_command("mkfifo pipe; timeout 20 %s embed music -o out.h5 --metrics pipe 2>err",
                    attune),
        73);
    cr_assert_eq(run_command("test -p pipe && test ! -e out.h5 && test $(wc -l <err) = 1"), 0);
}
