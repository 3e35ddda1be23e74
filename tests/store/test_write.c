/* test_write.c - a file stands under its name whole or not at all, and only where it may. */
#include "store/parts.h"
#include "tests/store/store_support.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <hdf5.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

Test(write, the_old_file_stays_until_commit)
{
    char *folder = temporary_path("folder"), *path = temporary_path("folder/out.h5");
    const attune_store_attributes attributes = test_attributes(4);
    attune_store_writer *writer = NULL;
    attune_rows *rows = NULL;
    cr_assert_eq(mkdir(folder, 0777), 0);
    write_test_file(path, 4, 10, 10);
    assert_ok(attune_rows_create(&rows, 4));
    append_test_rows(rows, 4, 0, 5000);

    assert_ok(attune_store_create(&writer, path, &attributes));
    assert_ok(attune_store_append(writer, rows));
    cr_assert_eq(count_names(folder), 2);
    assert_test_file(path, 4, 10);
    attune_store_writer_close(writer);
    cr_assert_eq(count_names(folder), 1);
    assert_test_file(path, 4, 10);

    assert_ok(attune_store_create(&writer, path, &attributes));
    assert_ok(attune_store_append(writer, rows));
    assert_ok(attune_store_commit(writer));
    cr_assert_eq(count_names(folder), 1);
    assert_test_file(path, 4, 5000);
    assert_fails(attune_store_append(writer, rows), ATTUNE_EINVAL, "committed or has failed");
    assert_fails(attune_store_commit(writer), ATTUNE_EINVAL, "committed or has failed");
    attune_store_writer_close(writer);
    assert_test_file(path, 4, 5000);
    attune_store_writer_close(NULL);
    attune_store_close(NULL);
    attune_rows_free(rows);
    free(folder);
    free(path);
}

Test(write, the_target_is_looked_at_again_before_commit)
{
    char *path = temporary_path("out.h5");
    const attune_store_attributes attributes = test_attributes(4);
    attune_store_writer *writer = NULL;
    assert_ok(attune_store_create(&writer, path, &attributes));
    write_file(path, "notes", 5);
    assert_fails(attune_store_commit(writer), ATTUNE_ECREATE, "is not an attune output");
    attune_store_writer_close(writer);
    size_t size;
    char *bytes = read_file(path, &size);
    cr_assert(size == 5 && memcmp(bytes, "notes", 5) == 0);
    cr_assert_eq(count_names(temporary_folder()), 1);
    free(bytes);
    free(path);
}

Test(write, links_are_followed)
{
    char *folder = temporary_path("real"), *target = temporary_path("real/out.h5");
    char *link_path = temporary_path("link.h5"), *dangling = temporary_path("dangling.h5");
    const attune_store_attributes attributes = test_attributes(4);
    attune_store_writer *writer = NULL;
    cr_assert_eq(mkdir(folder, 0777), 0);
    write_test_file(target, 4, 10, 10);
    cr_assert_eq(symlink("real/out.h5", link_path), 0);
    cr_assert_eq(symlink("nowhere/out.h5", dangling), 0);
    write_test_file(link_path, 4, 20, 20);
    assert_test_file(target, 4, 20);
    struct stat information;
    cr_assert(lstat(link_path, &information) == 0 && S_ISLNK(information.st_mode));
    assert_fails(attune_store_create(&writer, dangling, &attributes), ATTUNE_ECREATE,
                 "leads nowhere");
    free(folder);
    free(target);
    free(link_path);
    free(dangling);
}

Test(write, what_is_replaced_keeps_its_permissions)
{
    static const mode_t modes[] = {0600, 0640, 0664, 0444, 0755};
    char *path = temporary_path("out.h5"), *fresh = temporary_path("fresh.h5");
    struct stat information;
    umask(022);
    write_test_file(fresh, 4, 3, 3);
    cr_assert(stat(fresh, &information) == 0 && (information.st_mode & 07777) == 0644);
    write_test_file(path, 4, 3, 3);
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        cr_assert_eq(chmod(path, modes[i]), 0);
        write_test_file(path, 4, 20, 20);
        cr_assert_eq(stat(path, &information), 0);
        cr_assert_eq(information.st_mode & 07777, modes[i], "%o", information.st_mode);
    }
    if (geteuid() == 0) {
        cr_assert_eq(chown(path, 1234, 2345), 0);
        write_test_file(path, 4, 3, 3);
        cr_assert_eq(stat(path, &information), 0);
        cr_assert(information.st_uid == 1234 && information.st_gid == 2345);
    }
    free(fresh);
    free(path);
}

Test(write, names_without_a_folder_and_long_names)
{
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    char *old = getcwd(NULL, 0);
    cr_assert_eq(chdir(temporary_folder()), 0);
    write_test_file("out.h5", 4, 3, 3);
    assert_test_file("out.h5", 4, 3);
    write_test_file(name, 4, 3, 3);
    assert_test_file(name, 4, 3);
    cr_assert_eq(count_names("."), 2);
    cr_assert_eq(chdir(old), 0);
    free(old);
}

Test(write, refuses_what_it_must_not_replace)
{
    char *folder = temporary_path("folder"), *text = temporary_path("notes.txt");
    char *empty = temporary_path("empty.h5"), *missing = temporary_path("no/such/out.h5");
    char *under_file = temporary_path("notes.txt/out.h5"), *slash = temporary_path("new/");
    char *other = temporary_path("other.h5"), *cut = temporary_path("cut.h5");
    char *damaged = temporary_path("damaged.h5");
    write_test_file(cut, 4, 3, 3);
    cr_assert_eq(truncate(cut, 3000), 0);
    write_test_file(damaged, 4, 3, 3);
    cr_assert_eq(
        run_command("printf xxxx | dd of='%s' bs=1 seek=40 conv=notrunc status=none", damaged), 0);
    cr_assert_eq(mkdir(folder, 0777), 0);
    write_file(text, "notes\n", 6);
    write_file(empty, "", 0);
    write_file(other, "\x89HDF\r\n\x1a\n and nothing else", 25);
    const struct {
        const char *path, *text;
        attune_status status;
    } cases[] = {
        {folder, "is a folder", ATTUNE_ECREATE},
        {text, "exists and is not an attune output; choose another name or remove it",
         ATTUNE_ECREATE},
        {empty, "exists and is not an attune output", ATTUNE_ECREATE},
        {other, "damaged or cut short; remove it or restore a copy", ATTUNE_EDATA},
        {cut, "damaged or cut short; remove it or restore a copy: truncated file", ATTUNE_EDATA},
        {damaged, "damaged or cut short", ATTUNE_EDATA},
        {"/proc/self/mem", "cannot read: Input/output error", ATTUNE_EIO},
        {"/dev/null", "exists and is not an attune output", ATTUNE_ECREATE},
        {missing, "there is no folder", ATTUNE_ECREATE},
        {under_file, "Not a directory", ATTUNE_ECREATE},
        {slash, "names no file", ATTUNE_ECREATE},
        {"", "names no file", ATTUNE_ECREATE},
        {"/proc/out.h5", "cannot create a file in its folder", ATTUNE_ECREATE},
    };
    const attune_store_attributes attributes = test_attributes(4);
    size_t names = count_names(temporary_folder());
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        attune_store_writer *writer = NULL;
        assert_fails(attune_store_create(&writer, cases[i].path, &attributes), cases[i].status,
                     cases[i].text);
        assert_fails(ATTUNE_ECREATE, ATTUNE_ECREATE, cases[i].path); /* the message names it */
        cr_assert_null(writer);
    }
    cr_assert_eq(count_names(temporary_folder()), names);
    char *bytes = read_file(text, NULL);
    cr_assert_str_eq(bytes, "notes\n");
    free(bytes);
    free(folder);
    free(text);
    free(empty);
    free(missing);
    free(under_file);
    free(slash);
    free(other);
    free(cut);
    free(damaged);
}

Test(write, refuses_a_folder_without_permission)
{
    char *folder = temporary_path("folder"), *path = temporary_path("folder/out.h5");
    const attune_store_attributes attributes = test_attributes(4);
    attune_store_writer *writer = NULL;
    cr_assert_eq(mkdir(folder, 0777), 0);
    write_test_file(path, 4, 3, 3);
    cr_assert_eq(chmod(folder, 0555), 0);
    bool root = geteuid() == 0; /* to whom permissions mean nothing */
    if (root) {
        cr_assert_eq(chmod(temporary_folder(), 0755), 0);
        cr_assert_eq(seteuid(65534), 0);
    }
    attune_status status = attune_store_create(&writer, path, &attributes);
    if (root) {
        cr_assert_eq(seteuid(0), 0);
    }
    cr_assert_eq(status, ATTUNE_ECREATE);
    cr_assert(strstr(attune_last_error(), "Permission denied"), "%s", attune_last_error());
    assert_test_file(path, 4, 3);
    free(folder);
    free(path);
}

Test(write, refuses_rows_of_another_width)
{
    char *path = temporary_path("out.h5");
    attune_store_attributes attributes = test_attributes(0);
    attune_store_writer *writer = NULL;
    attune_rows *rows = NULL;
    assert_fails(attune_store_create(&writer, path, &attributes), ATTUNE_EINVAL, "embedding of 0");
    cr_assert_null(writer);
    attributes.embedding = 4;
    assert_ok(attune_store_create(&writer, path, &attributes));
    assert_ok(attune_rows_create(&rows, 5));
    append_test_rows(rows, 5, 0, 1);
    assert_fails(attune_store_append(writer, rows), ATTUNE_EINVAL, "of 5 numbers in a file of 4");
    assert_fails(attune_store_commit(writer), ATTUNE_EINVAL, "it is committed or has failed");
    attune_store_writer_close(writer);
    attune_rows_free(rows);
    cr_assert_eq(access(path, F_OK), -1);
    free(path);
}

/* Writes `count` rows to `path`, which must fail for want of room, and then ends the process, with
 * HDF5's own cleaning up as at any exit. The exit status is 0 if everything is as it should be, 3
 * if all could be written. Criterion's process must not end by exit(): it would speak for the test.
 */
static _Noreturn void write_without_room(const char *path, size_t count)
{
    const attune_store_attributes attributes = test_attributes(32);
    attune_store_writer *writer = NULL;
    attune_rows *rows = NULL;
    attune_rows_create(&rows, 32);
    append_test_rows(rows, 32, 0, count);
    attune_status status = attune_store_create(&writer, path, &attributes);
    if (status == ATTUNE_OK) {
        status = attune_store_append(writer, rows);
    }
    if (status == ATTUNE_OK) {
        status = attune_store_commit(writer);
    }
    if (status != ATTUNE_OK && writer && attune_store_commit(writer) != ATTUNE_EINVAL) {
        _exit(4); /* what has failed cannot be committed any more */
    }
    attune_store_writer_close(writer);
    attune_rows_free(rows);
    H5close();
    _exit(status == ATTUNE_EIO ? 0 : status == ATTUNE_OK ? 3 : 5);
}

/* Runs write_without_room with files limited to `limit` bytes, in a process of its own: returns how
 * it ended. */
static int run_with_limit(const char *path, size_t count, rlim_t limit)
{
    fflush(NULL);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        const struct rlimit limits = {limit, limit};
        signal(SIGXFSZ, SIG_IGN); /* the write then fails with EFBIG, as others fail with ENOSPC */
        setrlimit(RLIMIT_FSIZE, &limits);
        write_without_room(path, count);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* HDF5 leaves a file that it could not close behind, and crashes at exit: the failure must not
 * reach it, wherever in the file it strikes. */
Test(write, a_full_disk_at_every_size)
{
    static const struct {
        size_t rows;
        int steps;
    } cases[] = {{0, 30}, {3, 60}, {300, 100}, {9000, 120}};
    char *folder = temporary_path("folder"), *path = temporary_path("folder/out.h5");
    cr_assert_eq(mkdir(folder, 0777), 0);
    for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
        struct stat information;
        write_test_file(path, 32, cases[c].rows, 4096);
        cr_assert_eq(stat(path, &information), 0);
        write_test_file(path, 32, 7, 7);
        for (int step = 0; step < cases[c].steps; step++) {
            rlim_t limit =
                (rlim_t)(information.st_size - 1) * (rlim_t)step / (rlim_t)(cases[c].steps - 1);
            int ended = run_with_limit(path, cases[c].rows, limit);
            cr_assert_eq(ended, 0, "%zu rows in %llu bytes of %lld: ended with %d", cases[c].rows,
                         (unsigned long long)limit, (long long)information.st_size, ended);
            cr_assert_eq(count_names(folder), 1);
        }
        assert_test_file(path, 32, 7);
        cr_assert_eq(run_with_limit(path, cases[c].rows, (rlim_t)information.st_size * 2), 3);
        assert_test_file(path, 32, cases[c].rows);
    }
    free(folder);
    free(path);
}

Test(write, a_failed_writer_leaves_the_process_usable)
{
    char *path = temporary_path("out.h5");
    const attune_store_attributes attributes = test_attributes(32);
    struct rlimit old;
    attune_rows *rows = NULL;
    assert_ok(attune_rows_create(&rows, 32));
    append_test_rows(rows, 32, 0, 9000);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (int round = 0; round < 5; round++) {
        attune_store_writer *writer = NULL;
        const struct rlimit limits = {(rlim_t)(100000 << round), old.rlim_max};
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limits), 0);
        assert_ok(attune_store_create(&writer, path, &attributes));
        attune_status status = attune_store_append(writer, rows);
        char *message = strdup(attune_last_error());
        attune_store_writer_close(writer);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
        cr_assert_eq(status, ATTUNE_EIO);
        cr_assert(strstr(message, "out.h5: cannot write: File too large"), "%s", message);
        free(message);
        cr_assert_eq(access(path, F_OK), round == 0 ? -1 : 0);
        write_test_file(path, 32, 5000, 4096);
        assert_test_file(path, 32, 5000);
    }
    attune_rows_free(rows);
    free(path);
}

Test(write, a_full_file_system)
{
    char *mounted = temporary_path("small"), *path = temporary_path("small/out.h5");
    cr_assert_eq(mkdir(mounted, 0777), 0);
    if (run_command("mount -t tmpfs -o size=256k none '%s' 2>/dev/null", mounted) != 0) {
        skip_test("mounting a small tmpfs needs root");
    }
    const attune_store_attributes attributes = test_attributes(32);
    attune_store_writer *writer = NULL;
    attune_rows *rows = NULL;
    write_test_file(path, 32, 20, 20);
    attune_rows_create(&rows, 32);
    append_test_rows(rows, 32, 0, 2000); /* one block: everything is written at commit */
    attune_status created = attune_store_create(&writer, path, &attributes);
    attune_status appended = created ? created : attune_store_append(writer, rows);
    attune_status committed = appended ? appended : attune_store_commit(writer);
    char *message = strdup(attune_last_error());
    attune_store_writer_close(writer);
    size_t names = count_names(mounted);
    attune_store *store = NULL;
    attune_status opened = attune_store_open(&store, path);
    uint64_t count = opened ? 0 : attune_store_count(store);
    attune_store_close(store);
    cr_assert_eq(run_command("umount '%s'", mounted), 0);
    cr_assert_eq(appended, ATTUNE_OK);
    cr_assert_eq(committed, ATTUNE_EIO);
    cr_assert(strstr(message, "out.h5: cannot write: No space left on device"), "%s", message);
    cr_assert_eq(names, 1);
    cr_assert_eq(count, 20);
    attune_rows_free(rows);
    free(message);
    free(mounted);
    free(path);
}

/* Whoever uses HDF5 beside us keeps its error printing, and is not shown our errors. */
Test(write, nothing_is_printed)
{
    char *errors = temporary_path("stderr"), *path = temporary_path("out.h5");
    write_file(path, "\x89HDF\r\n\x1a\n and nothing else", 25);
    fflush(stderr);
    int saved = dup(2);
    cr_assert_not_null(freopen(errors, "w", stderr));
    attune_store *store = NULL;
    attune_status status = attune_store_open(&store, path);
    fflush(stderr);
    dup2(saved, 2);
    cr_assert_eq(status, ATTUNE_EDATA);
    size_t size;
    free(read_file(errors, &size));
    cr_assert_eq(size, 0);
    free(errors);
    free(path);
}

/* Such a link is no job that starts and ends, and running again does not mend it. */
Test(write, parts_behind_a_link_that_leads_nowhere)
{
    attune_parts *parts = NULL;
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(symlink("nowhere", "a.h5.parts"), 0);
    assert_fails(attune_parts_open(&parts, "a.h5"), ATTUNE_ECREATE,
                 "a.h5.parts: is a link that leads nowhere; remove it");
    cr_assert_eq(run_command("mkdir b.h5.parts nowhere && ln -s no/lock b.h5.parts/lock"), 0);
    assert_fails(attune_parts_open(&parts, "b.h5"), ATTUNE_ECREATE,
                 "b.h5.parts/lock: is a link that leads nowhere; remove it");
    assert_ok(attune_parts_open(&parts, "a.h5"));
    attune_parts_close(parts);
}
