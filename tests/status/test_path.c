/* The parts of paths, as users may write them. */
#include "status/path.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

Test(path, parts)
{
    static const struct {
        const char *path, *name;
        size_t stem;
    } cases[] = {
        {"a/b.c/out.h5", "out.h5", 9}, {"a/b.c/out", "out", 9}, {"a/.out", ".out", 6},
        {"x.tar.gz", "x.tar.gz", 5},   {"a/", "", 2},           {"", "", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_str_eq(attune_file_name(cases[i].path), cases[i].name);
        cr_assert_eq(attune_stem_length(cases[i].path), cases[i].stem, "%s", cases[i].path);
    }
}

Test(path, folders)
{
    static const struct {
        const char *path, *folder, *with_x;
    } cases[] = {
        {"a/b/c", "a/b", "a/b/x"}, {"/c", "/", "/x"},     {"c", ".", "./x"},
        {"a/", "a", "a/x"},        {"a//b", "a/", "a/x"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *folder = attune_path_folder(cases[i].path), *joined = NULL;
        cr_assert_str_eq(folder, cases[i].folder);
        assert_ok(attune_path_join(&joined, folder, "x"));
        cr_assert_str_eq(joined, cases[i].with_x);
        free(folder);
        free(joined);
    }
}

Test(path, endings)
{
    cr_assert(attune_ends_in("a.npy", ".npy"));
    cr_assert(attune_ends_in("a.csv.npy", ".npy"));
    cr_assert_not(attune_ends_in("a.NPY", ".npy"));
    cr_assert_not(attune_ends_in("a.npy.csv", ".npy"));
    cr_assert_not(attune_ends_in(".npy", ".npy"));
    cr_assert_not(attune_ends_in("npy", ".npy"));
}

Test(path, one_file_has_many_names)
{
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("mkdir a && touch a/x y && ln a/x a/hard && ln -s a link"), 0);
    static const struct {
        const char *left, *right;
        bool same;
    } cases[] = {
        {"y", "./y", true},      {"a/x", "link/x", true},         {"a/x", "a/hard", true},
        {"a/x", "y", false},     {"new", "a/../new", true},       {"a/new", "link//new", true},
        {"a/new", "new", false}, {"nowhere/new", "./new", false}, {"y", "new", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_eq(attune_same_file(cases[i].left, cases[i].right), cases[i].same, "%s and %s",
                     cases[i].left, cases[i].right);
    }
}

Test(path, a_folder_is_made_once)
{
    char *folder = temporary_path("new"), *below = NULL;
    assert_ok(attune_path_join(&below, folder, "a/b"));
    assert_fails(attune_make_folder(below), ATTUNE_ECREATE, "new/a/b: cannot create: ");
    assert_ok(attune_make_folder(folder));
    assert_ok(attune_make_folder(folder));
    char *file = temporary_path("file");
    write_file(file, "", 0);
    assert_fails(attune_make_folder(file), ATTUNE_ECREATE, "file: is no folder");
    free(file);
    free(below);
    free(folder);
}
