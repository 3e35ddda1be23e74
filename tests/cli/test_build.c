/* test_build.c - tools/build.sh, which tools/attune and the like build with, on a small project. */
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char project[] = "cmake_minimum_required(VERSION 3.25)\n"
                              "project(small NONE)\n"
                              "add_custom_target(thing COMMAND touch made)\n";
static const char presets[] = "{\"version\": 6, \"configurePresets\": [{\"name\": \"release\",\n"
                              "  \"binaryDir\": \"${sourceDir}/build/release\"}]}\n";

/* README's build by hand, whatever generator it takes, and then tools/attune. */
Test(build, a_folder_configured_by_hand_keeps_its_generator)
{
    static const char *const generators[] = {"Unix Makefiles", "Ninja", NULL};
    if (run_command("command -v make ninja cmake flock >/dev/null") != 0) {
        skip_test("make, ninja, cmake or flock is not installed");
    }
    cr_assert_eq(chdir(temporary_folder()), 0);
    write_file("CMakeLists.txt", project, strlen(project));
    write_file("CMakePresets.json", presets, strlen(presets));
    cr_assert_eq(run_command("mkdir tools && cp '%s/build.sh' tools", TOOLS), 0);
    for (int i = 0; i < 3; i++) {
        const char *name = generators[i];
        cr_assert_eq(run_command("rm -rf build"), 0);
        cr_assert(!name || run_command("cmake --preset release -G '%s' >out 2>&1", name) == 0);
        for (int twice = 0; twice < 2; twice++) {
            cr_assert_eq(run_command("bash -euo pipefail -c '. tools/build.sh; build release ON "
                                     "thing' >out 2>&1 && rm build/release/made"),
                         0, "%s", name ? name : "none yet");
        }
        cr_assert_eq(run_command("grep -qx 'CMAKE_GENERATOR:INTERNAL=%s' "
                                 "build/release/CMakeCache.txt",
                                 name ? name : "Ninja"),
                     0);
    }
}

/* Calls a function of build.sh, with stubs in the place of programs. */
static void expect_call(int code, const char *call, const char *printed)
{
    const int ended = run_command(
        "PATH=$PWD/stubs:$PATH bash -euo pipefail -c '. tools/build.sh; %s' >out 2>&1", call);
    char *out = read_file("out", NULL);
    cr_assert_eq(ended, code, "%s: exit %d, not %d: %s", call, ended, code, out);
    cr_assert(strstr(out, printed), "%s: no \"%s\" in %s", call, printed, out);
    free(out);
}

static void write_stub(const char *name, const char *text)
{
    cr_assert_eq(run_command("mkdir -p stubs"), 0);
    char path[64];
    snprintf(path, sizeof(path), "stubs/%s", name);
    write_file(path, text, strlen(text));
    cr_assert_eq(run_command("chmod +x %s", path), 0);
}

/* Who fetches a file needs no compiler. */
Test(build, only_the_groups_asked_for_are_installed)
{
    static const char packages[] = "# a list\nbase no-such-command\ntool cat fetch\n";
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("mkdir tools && cp '%s/build.sh' tools", TOOLS), 0);
    write_file("tools/packages", packages, strlen(packages));
    write_stub("apt-get", "#!/bin/sh\necho \"$@\" >&2; exit 1\n");
    write_stub("sudo", "#!/bin/sh\n\"$@\"\n");
    expect_call(0, "need fetch", "");
    expect_call(78, "need fetch build", "installing base\n");
}

/* An environment that was left half made is made again; what cannot be had is said. */
Test(build, python_with_takes_what_is_there_or_installs_it)
{
    static const char python[] = "#!/bin/sh\n"
                                 "case $1$2 in\n"
                                 "-cimport\\ ensurepip) ;;\n"
                                 "-mvenv) [ ! -e refuse ] || { echo no room; exit 1; }\n"
                                 "  mkdir -p $3/bin; ln -sf $PWD/pip $3/bin/pip ;;\n"
                                 "*) [ -e has ] ;;\n"
                                 "esac\n";
    static const char pip[] = "#!/bin/sh\necho \"$@\" >>installed; [ ! -e offline ] || "
                              "{ echo no network; exit 1; }\n";
    static const char call[] = "python_with venv \"one two\" first second; echo took $python";
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("mkdir -p tools venv/bin && cp '%s/build.sh' tools", TOOLS), 0);
    write_stub("python3", python);
    write_file("pip", pip, strlen(pip));
    cr_assert_eq(run_command("chmod +x pip && ln -s ../../stubs/python3 venv/bin/python"), 0);
    cr_assert_eq(run_command("touch refuse"), 0);
    expect_call(78, call, "cannot make an environment in venv:\nno room\n");
    cr_assert_eq(run_command("rm refuse && touch offline"), 0);
    expect_call(74, call, "pip cannot install one two in venv:\nno network\n");
    cr_assert_eq(run_command("rm offline installed"), 0);
    expect_call(0, call, "took venv/bin/python\n");
    cr_assert_eq(run_command("echo install --quiet first second | cmp - installed"), 0);
    cr_assert_eq(run_command("rm installed && touch has"), 0);
    expect_call(0, call, "took python3\n");
    cr_assert_eq(run_command("test ! -e installed"), 0);
}
