/* test_demo.c - attune demo as a user runs it. The table is compared with numpy's
 * (check_demo.py). */
#include "attune/model.h"
#include "tests/support/command.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

static const char *enter(void)
{
    unsetenv("ATTUNE_MODEL");
    if (!attune_model_has_default()) {
        skip_test("no model is built in");
    }
    return prepare_command();
}

/* Two runs in one folder and one in another; and one after a kill, which left half. */
Test(demo, gives_the_same_every_time, .timeout = 120)
{
    const char *command = enter();
    cr_assert_eq(run_command("%s demo >first 2>err", command), 0);
    cr_assert_eq(run_command("grep -q '^attune: 24 files (24 ok)' err && [ $(wc -l <err) = 1 ]"),
                 0);
    cr_assert_eq(run_command(CHECK_DEMO " attune-demo first >same"), 0);
    cr_assert_eq(run_command("[ $(cat same) -ge 16 ]"), 0, "styles are not told apart");
    cr_assert_eq(run_command("ls attune-demo >names && [ $(wc -l <names) = 25 ]"), 0);
    cr_assert_eq(run_command("cp -pr attune-demo kept && %s demo >second 2>err", command), 0);
    cr_assert_eq(run_command("cmp first second"), 0);
    cr_assert_eq(run_command("for f in attune-demo/*.wav; do cmp $f kept/${f##*/} || exit 1; done"),
                 0);
    cr_assert_eq(run_command("%s demo -q -o 'an other' >third 2>err && [ ! -s err ] && "
                             "head -n 27 first | cmp - third",
                             command),
                 0);
    cr_assert_eq(
        run_command("rm kept/demo.h5 kept/folk* kept/rock-2.wav; : >kept/.x.tmp; %s demo -q "
                    "-o kept | cmp - third",
                    command),
        0);
    cr_assert_eq(
        run_command("for f in kept/*.wav; do cmp $f \"an other/${f##*/}\" || exit 1; done"), 0);
}

/* The commands that it prints are run as they stand, from a folder whose name wants quotes. */
Test(demo, says_how_to_go_on, .timeout = 120)
{
    const char *command = enter();
    cr_assert_eq(run_command("%s demo -o \"it's here\" >out 2>err", command), 0);
    cr_assert_eq(
        run_command("grep '^  ' out | grep -v 'embed MUSIC' >commands && "
                    "[ $(wc -l <commands) = 4 ] && PATH=/usr/bin:$PATH sh -e commands >said 2>err"),
        0);
    cr_assert_eq(run_command("[ $(head -n 10 said | grep -c '^0\\..*\\.wav$') = 10 ] && "
                             "grep -q '^rows  *24' said && [ $(wc -l <demo.csv) = 25 ]"),
                 0);
}

struct refusal {
    char before[160], arguments[64], wanted[96];
    int code;
};

ParameterizedTestParameters(demo, what_it_refuses)
{
    static struct refusal refusals[] = {
        {"", "music", "demo: music: no file is taken", 64},
        {"", "-o", "demo: option -o needs a value", 64},
        {"", "-o ''", "demo: option --output needs a value", 64},
        {"", "-o a -o b", "-o is given twice", 64},
        {"", "--json", "unknown option --json", 64},
        {"", "-m none.onnx", "none.onnx: No such file", 66},
        {"touch attune-demo", "", "attune-demo: is a file and not a folder", 73},
        {"", "-o no/such", "no/such: the folder that it is to be in is not there", 73},
        {"mkdir mine; touch mine/list", "-o mine/", "mine: is there and holds other files", 73},
        {"mkdir mine; echo x >mine/electronic-1.wav", "-o mine",
         "mine/electronic-1.wav: is there and is not the demo's", 73},
        {"mkdir mine; echo x >mine/electronic-1.wav; echo x >mine/demo.h5", "-o mine",
         "mine/demo.h5: is there and is not the demo's", 73},
        {"ulimit -f 100", "-o small", "small/electronic-1.wav: cannot write: File too large", 74},
    };
    return cr_make_param_array(struct refusal, refusals, sizeof(refusals) / sizeof(refusals[0]));
}

/* One line, nothing on standard output, and what was there stays. */
ParameterizedTest(struct refusal *refusal, demo, what_it_refuses, .timeout = 120)
{
    const char *command = enter();
    cr_assert_eq(run_command("%s; %s demo %s >out 2>err", *refusal->before ? refusal->before : ":",
                             command, refusal->arguments),
                 refusal->code, "%s", refusal->arguments);
    char *err = read_file("err", NULL);
    cr_assert(strstr(err, refusal->wanted), "no \"%s\" in %s", refusal->wanted, err);
    cr_assert_str_eq(strchr(err, '\n'), "\n", "not one line: %s", err);
    cr_assert_eq(run_command("[ ! -s out ] && [ ! -e mine/folk-1.wav ]"), 0);
    free(err);
}

/* An archive of one's own that is called demo.h5 is not drowned in the demo's tracks. */
Test(demo, replaces_no_output_but_its_own, .timeout = 120)
{
    const char *command = enter();
    cr_assert_eq(run_command("%s demo -q -o a >out && mkdir b && cp a/folk-1.wav b/mine.wav && "
                             "%s embed -q b -o a/demo.h5 --force && cp a/demo.h5 kept",
                             command, command),
                 0);
    cr_assert_eq(run_command("%s demo -o a 2>err", command), 73);
    cr_assert_eq(run_command("grep -q 'a/demo.h5: is there and is not' err && cmp a/demo.h5 kept"),
                 0);
    /* but its own of another folder and model is */
    cr_assert_eq(
        run_command("rm a/demo.h5 && %s demo -q -o a -m " MODEL " >with_tiny && mv a c && "
                    "%s demo -q -o c >out && ! cmp -s with_tiny out && %s info c/demo.h5 | "
                    "grep -q '^root .*/c$'",
                    command, command, command),
        0);
}
