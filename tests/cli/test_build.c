/* test_build.c - tools/build.sh, which tools/attune and the like build with, on a small project. */
#include "tests/support/support.h"

#include <criterion/criterion.h>
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
