/* test_scan.c - which files a user's words mean. */
#include "attune/job.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The linker puts __wrap_f in the place of f: a file system may not say what its entries are. */
static bool types_are_unknown;
struct dirent *__real_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder)
{
    struct dirent *entry = __real_readdir(folder);
    if (entry && types_are_unknown) {
        entry->d_type = DT_UNKNOWN;
    }
    return entry;
}

/* A tree with music, other things, hidden files and links, one of them back to its own parent. */
static void make_tree(void)
{
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(
        run_command("mkdir -p tree/b/c tree/.hidden tree/x.mp3 outside && "
                    "touch tree/a.mp3 tree/B.FLAC tree/b/a.ogg tree/b/c/z.wav tree/cover.jpg "
                    "tree/.dot.mp3 tree/.hidden/q.mp3 tree/x.mp3/in.mp3 tree/unknown.bin "
                    "outside/o.mp3 && "
                    "printf 'no music' > tree/plain && mkfifo tree/pipe.mp3 && "
                    "ln -s ../a.mp3 tree/b/link.mp3 && ln -s .. tree/b/up && "
                    "ln -s ../outside tree/out && ln -s nowhere tree/broken.mp3 && "
                    "touch 'tree/new\nline.mp3' \"$(printf 'tree/\\351t\\351.mp3')\""),
        0);
}

static attune_scan *scan(const char *const *inputs, size_t count)
{
    attune_scan *s = NULL;
    cr_assert_eq(attune_scan_create(&s), ATTUNE_OK);
    for (size_t i = 0; i < count; i++) {
        assert_ok(attune_scan_add(s, inputs[i]));
    }
    assert_ok(attune_scan_finish(s));
    return s;
}

static void check_names(const attune_scan *s, const char *const *names, size_t count)
{
    for (size_t i = 0; i < attune_scan_count(s); i++) {
        printf("%s\n", attune_scan_name(s, i));
    }
    cr_assert_eq(attune_scan_count(s), count, "%zu names", attune_scan_count(s));
    for (size_t i = 0; i < count; i++) {
        cr_assert_str_eq(attune_scan_name(s, i), names[i]);
    }
}

Test(scan, folder_gives_its_audio_sorted)
{
    static const char *const expected[] = {
        "B.FLAC",     "a.mp3",         "b/a.ogg",   "b/c/z.wav",    "b/link.mp3",
        "broken.mp3", "new\nline.mp3", "out/o.mp3", "x.mp3/in.mp3", "\351t\351.mp3"};
    make_tree();
    const char *inputs[] = {"tree"};
    attune_scan *s = scan(inputs, 1);
    check_names(s, expected, sizeof(expected) / sizeof(expected[0]));
    char root[PATH_MAX];
    cr_assert_not_null(realpath("tree", root));
    cr_assert_str_eq(attune_scan_root(s), root);
    /* cover.jpg, .dot.mp3, .hidden, unknown.bin, plain, pipe.mp3 */
    cr_assert_eq(attune_scan_ignored(s), 6, "%zu ignored", attune_scan_ignored(s));
    attune_scan_free(s);
}

Test(scan, order_and_repetition_of_inputs_do_not_matter)
{
    make_tree();
    const char *one[] = {"tree/b", "tree/a.mp3", "outside", "tree/plain"};
    const char *two[] = {"outside/", "./tree/../tree/plain", "tree//b", "outside/o.mp3",
                         "tree/a.mp3"};
    attune_scan *a = scan(one, 4), *b = scan(two, 5);
    cr_assert_eq(attune_scan_count(a), attune_scan_count(b));
    cr_assert_str_eq(attune_scan_root(a), attune_scan_root(b));
    for (size_t i = 0; i < attune_scan_count(a); i++) {
        cr_assert_str_eq(attune_scan_path(a, i), attune_scan_path(b, i));
        cr_assert_str_eq(attune_scan_name(a, i), attune_scan_name(b, i));
    }
    cr_assert_str_eq(attune_scan_name(a, 0), "outside/o.mp3");
    attune_scan_free(a);
    attune_scan_free(b);
}

Test(scan, single_files_have_their_folder_as_root)
{
    static const char *const one[] = {"a.mp3"}, *const two[] = {"a.mp3", "b/c/z.wav"};
    make_tree();
    const char *inputs[] = {"tree/a.mp3", "tree/b/c/z.wav"};
    attune_scan *s = scan(inputs, 1);
    check_names(s, one, 1);
    attune_scan_free(s);
    s = scan(inputs, 2);
    check_names(s, two, 2);
    attune_scan_free(s);
    /* tree and tree-two share a prefix that is no folder */
    cr_assert_eq(run_command("mkdir tree-two && touch tree-two/t.mp3"), 0);
    static const char *const three[] = {"tree-two/t.mp3", "tree/a.mp3"};
    const char *prefixed[] = {"tree/a.mp3", "tree-two"};
    s = scan(prefixed, 2);
    check_names(s, three, 2);
    attune_scan_free(s);
}

Test(scan, lists_by_line_and_by_nul)
{
    static const char *const expected[] = {"a.mp3", "b/a.ogg", "missing.mp3", "new\nline.mp3"};
    make_tree();
    for (int null = 0; null < 2; null++) {
        static const char lines[] = "tree/a.mp3\r\n\ntree/b/a.ogg\ntree/missing.mp3\ntree/a.mp3";
        static const char nuls[] = "tree/a.mp3\0tree/b/a.ogg\0tree/missing.mp3\0tree/new\nline.mp3";
        write_file("list", null ? nuls : lines, null ? sizeof(nuls) : sizeof(lines) - 1);
        attune_scan *s = NULL;
        FILE *list = fopen("list", "r");
        cr_assert_eq(attune_scan_create(&s), ATTUNE_OK);
        cr_assert_eq(attune_scan_add_list(s, list, null ? '\0' : '\n', "list"), ATTUNE_OK);
        fclose(list);
        cr_assert_eq(attune_scan_finish(s), ATTUNE_OK);
        check_names(s, expected, null ? 4 : 3);
        attune_scan_free(s);
    }
}

Test(scan, refusals)
{
    make_tree();
    attune_scan *s = NULL;
    cr_assert_eq(attune_scan_create(&s), ATTUNE_OK);
    cr_assert_eq(attune_scan_add(s, "nowhere/at/all"), ATTUNE_ENOINPUT);
    cr_assert(strstr(attune_last_error(), "nowhere/at/all"));
    cr_assert_eq(attune_scan_add(s, ""), ATTUNE_ENOINPUT);
    cr_assert_eq(run_command("mkdir empty && touch empty/notes.txt"), 0);
    cr_assert_eq(attune_scan_add(s, "empty"), ATTUNE_OK);
    cr_assert_eq(attune_scan_finish(s), ATTUNE_ENOINPUT);
    cr_assert(strstr(attune_last_error(), "1 other"));
    attune_scan_free(s);
    write_file("list", "\n\n", 2);
    FILE *list = fopen("list", "r");
    cr_assert_eq(attune_scan_create(&s), ATTUNE_OK);
    cr_assert_eq(attune_scan_add_list(s, list, '\n', "list"), ATTUNE_OK);
    cr_assert_eq(attune_scan_finish(s), ATTUNE_ENOINPUT);
    cr_assert_str_eq(attune_last_error(), "no input names a file");
    fclose(list);
    attune_scan_free(s);
    write_file("list", "a.mp3\0b.mp3\n", 12);
    list = fopen("list", "r");
    cr_assert_eq(attune_scan_create(&s), ATTUNE_OK);
    cr_assert_eq(attune_scan_add_list(s, list, '\n', "list"), ATTUNE_EDATA);
    cr_assert(strstr(attune_last_error(), "-0"));
    fclose(list);
    attune_scan_free(s);
    attune_scan_free(NULL);
}

/* The shard is (FNV-1a of the absolute path) >> 32, modulo the count; computed elsewhere. */
Test(scan, shards_are_the_same_for_ever)
{
    static const struct {
        const char *path;
        int of_2, of_7, of_8, of_100000;
    } cases[] = {
        {"/nowhere/a.mp3", 0, 4, 6, 28414},
        {"/nowhere/b.mp3", 1, 4, 3, 63619},
        {"/nowhere/\xe9.ogg", 0, 6, 4, 90444},
        {"/nowhere/else/track 01.flac", 0, 0, 4, 63764},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const int counts[] = {2, 7, 8, 100000};
        const int expected[] = {cases[i].of_2, cases[i].of_7, cases[i].of_8, cases[i].of_100000};
        for (size_t k = 0; k < 4; k++) {
            for (size_t off = 0; off < 2; off++) { /* the next shard does not have it */
                attune_scan *s = NULL;
                FILE *list = fmemopen((void *)(uintptr_t)cases[i].path, strlen(cases[i].path), "r");
                cr_assert_eq(attune_scan_create(&s), ATTUNE_OK);
                cr_assert_eq(attune_scan_add_list(s, list, '\n', "list"), ATTUNE_OK);
                cr_assert_eq(attune_scan_finish(s), ATTUNE_OK);
                attune_scan_shard(s, (expected[k] + (int)off) % counts[k], counts[k]);
                cr_assert_eq(attune_scan_count(s), 1 - off, "%s of %d", cases[i].path, counts[k]);
                attune_scan_free(s);
                fclose(list);
            }
        }
    }
}

/* Every file is in one shard, under its name below the same root, and stays there when others go.
 */
Test(scan, shards_divide_the_files)
{
    make_tree();
    const char *all[] = {"tree", "outside"}, *less[] = {"tree/b/c", "tree/x.mp3"};
    attune_scan *whole = scan(all, 2), *part = scan(less, 2);
    size_t total = 0, total_part = 0;
    for (int shard = 0; shard < 3; shard++) {
        attune_scan *s = scan(all, 2), *p = scan(less, 2);
        attune_scan_shard(s, shard, 3);
        attune_scan_shard(p, shard, 3);
        cr_assert_str_eq(attune_scan_root(s), attune_scan_root(whole));
        total += attune_scan_count(s);
        total_part += attune_scan_count(p);
        for (size_t i = 1; i < attune_scan_count(s); i++) {
            cr_assert_lt(strcmp(attune_scan_path(s, i - 1), attune_scan_path(s, i)), 0);
        }
        for (size_t k = 0; k < attune_scan_count(p); k++) {
            bool found = false;
            for (size_t i = 0; i < attune_scan_count(s); i++) {
                found |= strcmp(attune_scan_path(s, i), attune_scan_path(p, k)) == 0;
            }
            cr_assert(found, "%s has moved to shard %d", attune_scan_path(p, k), shard);
        }
        attune_scan_free(s);
        attune_scan_free(p);
    }
    cr_assert_eq(total, attune_scan_count(whole));
    cr_assert_eq(total_part, attune_scan_count(part));
    attune_scan_free(whole);
    attune_scan_free(part);
}

Test(scan, loops_of_links_end)
{
    static const char *const expected[] = {"a/song.mp3", "c/to-itself.mp3"};
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("mkdir -p loop/a loop/b loop/c && touch loop/a/song.mp3 && "
                             "ln -s . loop/here && ln -s .. loop/a/up && ln -s ../b loop/a/b && "
                             "ln -s ../a loop/b/a && ln -s to-itself loop/c/to-itself && "
                             "ln -s to-itself.mp3 loop/c/to-itself.mp3 && "
                             "ln -s two loop/c/one && ln -s one loop/c/two"),
                 0);
    const char *inputs[] = {"loop"};
    attune_scan *s = scan(inputs, 1);
    check_names(s, expected, 2);
    cr_assert_eq(attune_scan_ignored(s), 3); /* to-itself, one and two */
    attune_scan_free(s);
}

/* Every name is a row, whatever else the file is called. */
/* Also where the file system does not say what is a link: a folder has the name of its own, and not
 * that of a link to it, although that is found first. */
Test(scan, real_folders_come_before_links)
{
    static const char *const expected[] = {"tree/b/c/z.wav"};
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("mkdir -p all/tree/b/c && touch all/tree/b/c/z.wav && "
                             "ln -s tree/b/c all/a && ln -s tree/b/c all/z"),
                 0);
    for (int i = 0; i < 2; i++) {
        const char *inputs[] = {"all"};
        types_are_unknown = i == 1;
        attune_scan *s = scan(inputs, 1);
        check_names(s, expected, 1);
        attune_scan_free(s);
    }
}

Test(scan, names_of_one_file_are_rows_of_their_own)
{
    static const char *const expected[] = {"a.mp3", "b.mp3", "c.mp3", "sub/d.mp3"};
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("mkdir -p one/sub && touch one/a.mp3 && ln one/a.mp3 one/b.mp3 && "
                             "ln -s a.mp3 one/c.mp3 && ln -s ../c.mp3 one/sub/d.mp3"),
                 0);
    const char *inputs[] = {"one", "one/a.mp3"};
    attune_scan *s = scan(inputs, 2);
    check_names(s, expected, 4);
    attune_scan_free(s);
}

/* Archives among files, named and found, once each; hidden ones and what they are not. */
Test(scan, archives_stand_for_their_audio)
{
    static const char *const expected[] = {"a.zip/x.mp3", "b.mp3", "missing.zip", "sub.tar/y.wav",
                                           "sub/c.TAR/x.mp3"};
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("mkdir -p m/sub m/sub.tar && cd m && touch x.mp3 b.mp3 note.txt "
                             ".hidden.zip sub.tar/y.wav && tar cf sub/c.TAR x.mp3 note.txt && "
                             "/usr/bin/python3 -c 'import zipfile\n"
                             "with zipfile.ZipFile(\"a.zip\", \"w\") as z:\n"
                             "    z.write(\"x.mp3\"), z.write(\"note.txt\")' && rm x.mp3 && ln -s "
                             "nowhere missing.zip"),
                 0);
    const char *inputs[] = {"m", "m/a.zip", "m/sub/../a.zip"};
    attune_scan *s = scan(inputs, 3);
    check_names(s, expected, 5);
    cr_assert_eq(attune_scan_ignored(s), 4); /* three note.txt, .hidden.zip */
    attune_scan_free(s);
}
