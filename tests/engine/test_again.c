/* test_again.c - jobs over an output that is there: what they take from it, and what they refuse.
 */
#include "model/parameters.h"
#include "store/parts.h"
#include "tests/engine/job_support.h"
#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const music[] = {"music"};

/* The linker puts __wrap_f in the place of f: counts the files that are begun. */
static int files_begun;
attune_status __real_attune_store_create(attune_store_writer **out, const char *path,
                                         const attune_store_attributes *attributes);
attune_status __wrap_attune_store_create(attune_store_writer **out, const char *path,
                                         const attune_store_attributes *attributes);
attune_status __wrap_attune_store_create(attune_store_writer **out, const char *path,
                                         const attune_store_attributes *attributes)
{
    files_begun++;
    return __real_attune_store_create(out, path, attributes);
}

/* The folder that readdir fails on; NULL: none. */
static const char *unreadable_folder;
struct dirent *__real_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder)
{
    struct stat this, that;
    if (unreadable_folder && stat(unreadable_folder, &that) == 0 &&
        fstat(dirfd(folder), &this) == 0 && this.st_ino == that.st_ino) {
        errno = EIO;
        return NULL;
    }
    return __real_readdir(folder);
}

static attune_model *open_model(uint64_t seed)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_model *model = reference_model(&n, seed);
    snprintf(model->sha256, sizeof(model->sha256), "%064llu", (unsigned long long)seed);
    return model;
}

static void shell(const char *command)
{
    cr_assert_eq(run_command("%s", command), 0, "%s", command);
}

/* A job over the archive that must succeed; by_reason must be as given. */
static void expect_job(attune_job_options options, const attune_model *model, const char *output,
                       uint64_t new, uint64_t changed, uint64_t retried, uint64_t kept)
{
    job_result r;
    const attune_status status = run_job_with(options, model, music, 1, output, &r);
    const uint64_t *got = r.progress.by_reason;
    assert_ok(status);
    cr_assert_eq(got[ATTUNE_JOB_NEW], new, "%llu new", (unsigned long long)got[ATTUNE_JOB_NEW]);
    cr_assert_eq(got[ATTUNE_JOB_CHANGED], changed);
    cr_assert_eq(got[ATTUNE_JOB_RETRIED], retried);
    cr_assert_eq(got[ATTUNE_JOB_KEPT], kept);
    cr_assert_eq(options.dry_run ? r.plans : r.tracks, new + changed + retried);
    if (!options.dry_run) {
        cr_assert_eq(run_command("test ! -e %s.parts", output), 0);
    }
}

static void expect_refusal(attune_job_options options, const attune_model *model,
                           const char *output, attune_status expected, const char *text)
{
    job_result r;
    cr_assert_eq(run_job_with(options, model, music, 1, output, &r), expected, "%s: %s", text,
                 attune_last_error());
    cr_assert(strstr(attune_last_error(), text), "no \"%s\" in: %s", text, attune_last_error());
    cr_assert_eq(r.tracks, 0);
}

Test(again, embeds_what_is_new_or_changed_and_keeps_the_rest, .timeout = 120)
{
    attune_model *model = open_model(31);
    attune_job_options options = job_options();
    make_archive();
    expect_job(options, model, "a.h5", FILES + 2, 0, 0, 0);
    shell("cp a.h5 before.h5 && stat -c %i a.h5 >inode");
    expect_job(options, model, "a.h5", 0, 0, 0, FILES + 2);
    shell("cmp a.h5 before.h5 && stat -c %i a.h5 | cmp - inode"); /* not even written again */

    write_noise("music/zz.wav", 9000, 77);
    write_noise("music/07.wav", 7000, 78);
    shell("touch -d @1000000000 music/08.wav && rm music/09.wav && cp a.h5 before.h5");
    options.dry_run = true;
    expect_job(options, model, "a.h5", 1, 2, 0, FILES - 1);
    shell("cmp a.h5 before.h5 && test ! -e a.h5.parts");
    options.dry_run = false;
    expect_job(options, model, "a.h5", 1, 2, 0, FILES - 1);
    attune_rows *rows = read_rows("a.h5");
    cr_assert_eq(attune_rows_count(rows), FILES + 3);
    cr_assert_str_eq(attune_rows_get(rows, 9).path, "09.wav");
    cr_assert_eq(attune_rows_get(rows, 8).mtime_ns, 1000000000000000000);
    attune_rows_free(rows);

    job_result r; /* a name in a list whose file is gone says nothing new about it */
    const char *gone[] = {"music/10.wav"};
    attune_scan *scan = NULL;
    attune_scan_create(&scan);
    cr_assert_eq(attune_scan_add(scan, gone[0]), ATTUNE_OK);
    shell("mv music/10.wav away.wav");
    cr_assert_eq(attune_scan_finish(scan), ATTUNE_OK);
    options.scan = scan;
    options.model = model;
    options.output = "a.h5";
    cr_assert_eq(attune_job_run(&options, &r.progress), ATTUNE_OK);
    cr_assert_eq(r.progress.by_reason[ATTUNE_JOB_KEPT], 1);
    attune_scan_free(scan);
    shell("mv away.wav music/10.wav");

    options.prune = true;
    expect_job(options, model, "a.h5", 0, 0, 0, FILES + 2);
    options.prune = false;
    options.force = true;
    expect_job(options, model, "b.h5", FILES + 2, 0, 0, 0);
    compare_outputs("a.h5", "b.h5");
    attune_model_close(model);
}

Test(again, retries_failures_only_when_asked, .timeout = 60)
{
    attune_model *model = open_model(32);
    attune_job_options options = job_options();
    make_archive();
    expect_job(options, model, "a.h5", FILES + 2, 0, 0, 0);
    options.retry_failed = true;
    expect_job(options, model, "a.h5", 0, 0, 2, FILES);
    expect_job(job_options(), model, "a.h5", 0, 0, 0, FILES + 2);
    attune_model_close(model);
}

/* The rows of an output as the parts of one that is not finished. */
Test(again, goes_on_from_parts_the_newest_of_which_counts, .timeout = 60)
{
    attune_model *model = open_model(33);
    job_result r;
    const char *some[] = {"music/00.wav", "music/07.wav", "music/empty.flac"};
    make_archive();
    cr_assert_eq(run_job_with(job_options(), model, some, 3, "a.h5", &r), ATTUNE_OK);
    shell("mkdir b.h5.parts && mv a.h5 b.h5.parts/3-2.h5");
    write_noise("music/07.wav", 7000, 78);
    cr_assert_eq(run_job_with(job_options(), model, some, 2, "a.h5", &r), ATTUNE_OK);
    shell("mv a.h5 b.h5.parts/0-10.h5"); /* ten is more than two */
    shell("touch b.h5.parts/notes b.h5.parts/.0-1.h5.12-0123456789abcdef.tmp "
          ".b.h5.12-0123456789abcdef.tmp .c.h5.12-0123456789abcdef.tmp .b.h5.tmp");
    int held = open(".b.h5.13-0123456789abcdef.tmp", O_CREAT | O_RDWR, 0600);
    cr_assert(held >= 0 && flock(held, LOCK_SH) == 0);
    cr_assert_eq(run_job_with(job_options(), model, music, 1, "b.h5", &r), ATTUNE_OK);
    cr_assert_eq(r.progress.by_reason[ATTUNE_JOB_KEPT], 3);
    cr_assert_eq(r.progress.by_reason[ATTUNE_JOB_CHANGED], 0);
    cr_assert_eq(r.tracks, FILES - 1);
    shell("test \"$(ls -A b.h5.parts)\" = notes");
    shell("test -e .c.h5.12-0123456789abcdef.tmp && test -e .b.h5.tmp");
    shell("test ! -e .b.h5.12-0123456789abcdef.tmp && test -e .b.h5.13-0123456789abcdef.tmp");
    close(held);
    attune_job_options options = job_options();
    expect_job(options, model, "whole.h5", FILES + 2, 0, 0, 0);
    compare_outputs("b.h5", "whole.h5");
    attune_model_close(model);
}

Test(again, refuses_what_was_made_otherwise, .timeout = 60)
{
    attune_model *model = open_model(34), *other = open_model(35);
    attune_job_options options = job_options(), clipped = options, shorter = options;
    clipped.audio.clip_start = 0.5;
    shorter.audio.clip_seconds = 0.1;
    make_archive();
    expect_job(options, model, "a.h5", FILES + 2, 0, 0, 0);
    shell("mkdir b.h5.parts && cp a.h5 b.h5.parts/0-0.h5 && cp a.h5 before.h5");
    static const char *const outputs[] = {"a.h5", "b.h5"};
    for (int i = 0; i < 2; i++) {
        expect_refusal(options, other, outputs[i], ATTUNE_ECONFIG, "model_sha256");
        expect_refusal(clipped, model, outputs[i], ATTUNE_ECONFIG,
                       "clip_start 0, and this run has 0.5");
        expect_refusal(shorter, model, outputs[i], ATTUNE_ECONFIG, "clip_seconds");
        cr_assert(strstr(attune_last_error(), "--force"));
    }
    shell("cmp a.h5 before.h5 && cmp b.h5.parts/0-0.h5 before.h5 && test ! -e a.h5.parts");
    clipped.force = true;
    expect_job(clipped, model, "a.h5", FILES + 2, 0, 0, 0);
    expect_job(clipped, model, "b.h5", FILES + 2, 0, 0, 0);
    compare_outputs("a.h5", "b.h5");
    clipped.force = false;
    expect_job(clipped, model, "a.h5", 0, 0, 0, FILES + 2);
    attune_model_close(model);
    attune_model_close(other);
}

/* Where the files of such rows are cannot be known, whatever the working folder is. */
Test(again, refuses_a_root_that_is_no_absolute_path, .timeout = 60)
{
    static const char *const roots[] = {"", "music"};
    attune_model *model = open_model(47);
    attune_job_options options = job_options();
    attune_store *store = NULL;
    make_archive();
    expect_job(options, model, "a.h5", FILES + 2, 0, 0, 0);
    assert_ok(attune_store_open(&store, "a.h5"));
    attune_store_attributes attributes = *attune_store_attributes_of(store);
    attune_rows *rows = read_rows("a.h5");
    options.verify = 3;
    for (int i = 0; i < 2; i++) {
        attune_store_writer *writer = NULL;
        attributes.root = roots[i];
        shell("rm -rf b.h5 c.h5.parts && mkdir c.h5.parts");
        assert_ok(attune_store_create(&writer, "b.h5", &attributes));
        assert_ok(attune_store_append(writer, rows));
        assert_ok(attune_store_commit(writer));
        attune_store_writer_close(writer);
        shell("cp b.h5 c.h5.parts/0-0.h5");
        expect_refusal(options, model, "b.h5", ATTUNE_EDATA, "'root' is no absolute path");
        expect_refusal(options, model, "c.h5", ATTUNE_EDATA, "'root' is no absolute path");
    }
    attune_rows_free(rows);
    attune_store_close(store);
    attune_model_close(model);
}

static bool stop_at_once(void *user, const attune_job_progress *progress)
{
    return user && progress;
}

/* A run that starts over and is stopped goes on as that, and not by adding to the old output. */
Test(again, starting_over_survives_a_stop, .timeout = 60)
{
    attune_model *model = open_model(36), *other = open_model(37);
    attune_job_options options = job_options();
    job_result r;
    make_archive();
    for (int i = FILES; i < 60; i++) { /* enough that a fifth of a second does not do */
        cr_assert_eq(run_command("cp music/23.wav music/%03d.wav", i), 0);
    }
    const uint64_t files = FILES + 2 + 36;
    expect_job(options, model, "a.h5", files, 0, 0, 0);
    options.force = true;
    options.on_progress = stop_at_once;
    const attune_status status = run_job_with(options, other, music, 1, "a.h5", &r);
    if (status == ATTUNE_OK) {
        skip_test("this machine is too quick to be stopped");
    }
    cr_assert_eq(status, ATTUNE_ESTOPPED);
    cr_assert(r.progress.done < files);
    expect_refusal(job_options(), model, "a.h5", ATTUNE_ECONFIG, "model_sha256");
    const uint64_t done = r.progress.done;
    expect_job(job_options(), other, "a.h5", files - done, 0, 0, done);
    expect_job(job_options(), other, "b.h5", files, 0, 0, 0);
    compare_outputs("a.h5", "b.h5");
    attune_model_close(model);
    attune_model_close(other);
}

Test(again, one_job_at_a_time, .timeout = 60)
{
    attune_model *model = open_model(38);
    attune_parts *parts = NULL;
    make_archive();
    cr_assert_eq(symlink("a.h5", "link.h5"), 0);
    expect_job(job_options(), model, "a.h5", FILES + 2, 0, 0, 0);
    assert_ok(attune_parts_open(&parts, "a.h5"));
    expect_refusal(job_options(), model, "a.h5", ATTUNE_ESTOPPED, "another job is writing it");
    expect_refusal(job_options(), model, "link.h5", ATTUNE_ESTOPPED, "another job is writing it");
    attune_parts_close(parts);
    shell("test ! -e a.h5.parts");
    expect_job(job_options(), model, "link.h5", 0, 0, 0, FILES + 2);
    attune_model_close(model);
}

static const char *meanwhile; /* a command */

static void run_meanwhile(void *user, const char *name, const attune_track *track)
{
    (void)user;
    (void)name;
    (void)track;
    shell(meanwhile);
}

/* Another program's doing while the job runs: the job merges with what it has looked at, or not. */
Test(again, output_that_is_replaced_meanwhile_stays, .timeout = 120)
{
    attune_model *model = open_model(38);
    make_archive();
    expect_job(job_options(), model, "other.h5", FILES + 2, 0, 0, 0);
    static const char *const cases[] = {"cp other.h5 b.h5 && mv b.h5 a.h5",
                                        "touch -d 2001-01-01 a.h5", "rm -f a.h5"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        for (int there = i > 0; there < 2; there++) { /* the first also with no file at first */
            attune_job_options options = job_options();
            job_result r;
            shell("rm -rf a.h5 a.h5.parts && touch music/00.wav");
            shell(there ? "cp other.h5 a.h5" : "true");
            meanwhile = cases[i];
            options.on_track = run_meanwhile;
            cr_assert_eq(run_job_with(options, model, music, 1, "a.h5", &r), ATTUNE_ESTOPPED);
            cr_assert(strstr(attune_last_error(), "is another file than when this job began; what "
                                                  "is done is safe in"),
                      "%s", attune_last_error());
            shell("ls a.h5.parts/0-0.h5");
            shell(i < 2 ? "test -e a.h5" : "test ! -e a.h5");
        }
    }
    attune_model_close(model);
}

/* A part with other embeddings than its files have, as a broken device would make it. */
Test(again, parts_that_fail_verification_are_not_believed, .timeout = 60)
{
    attune_model *model = open_model(39), *other = open_model(40);
    attune_job_options options = job_options();
    attune_parts *parts = NULL;
    attune_store *store = NULL;
    make_archive();
    expect_job(options, other, "b.h5", FILES + 2, 0, 0, 0);
    expect_job(options, model, "a.h5", FILES + 2, 0, 0, 0);
    cr_assert_eq(attune_store_open(&store, "a.h5"), ATTUNE_OK);
    attune_rows *rows = read_rows("b.h5");
    cr_assert_eq(attune_parts_open(&parts, "c.h5"), ATTUNE_OK);
    cr_assert_eq(attune_parts_commit(parts, 0, attune_store_attributes_of(store), rows), ATTUNE_OK);
    attune_parts_close(parts);
    attune_store_close(store);
    attune_rows_free(rows);
    options.verify = 3;
    expect_refusal(options, model, "c.h5", ATTUNE_EINTERNAL, "no output written");
    expect_refusal(job_options(), model, "c.h5", ATTUNE_ECONFIG, "failed --verify");
    shell("test ! -e c.h5");
    options.force = true;
    expect_job(options, model, "c.h5", FILES + 2, 0, 0, 0);
    compare_outputs("a.h5", "c.h5");
    attune_model_close(model);
    attune_model_close(other);
}

Test(again, a_damaged_part_is_refused_and_can_be_removed, .timeout = 60)
{
    attune_model *model = open_model(41);
    size_t size = 0;
    make_archive();
    expect_job(job_options(), model, "a.h5", FILES + 2, 0, 0, 0);
    attune_rows *rows = read_rows("a.h5");
    const attune_row row = attune_rows_get(rows, 5);
    char *bytes = read_file("a.h5", &size);
    char *at = memmem(bytes, size, row.embedding, E * sizeof(float));
    cr_assert_not_null(at);
    at[17] ^= 1;
    shell("mkdir b.h5.parts");
    write_file("b.h5.parts/0-0.h5", bytes, size);
    expect_refusal(job_options(), model, "b.h5", ATTUNE_EDATA, "row 5 is not what was written");
    cr_assert(strstr(attune_last_error(), "or remove b.h5.parts/0-0.h5"), "%s",
              attune_last_error());
    shell("rm b.h5.parts/0-0.h5");
    expect_job(job_options(), model, "b.h5", FILES + 2, 0, 0, 0);
    compare_outputs("a.h5", "b.h5");
    free(bytes);
    attune_rows_free(rows);
    attune_model_close(model);
}

/* The root of an archive stays; what is elsewhere has absolute paths, and is found again. */
Test(again, inputs_from_elsewhere_are_added, .timeout = 60)
{
    attune_model *model = open_model(42);
    const char *both[] = {"other", "music", "music/sub"}, *sub[] = {"music/sub"};
    char real[4096];
    job_result r;
    make_archive();
    shell("mkdir other music/sub && mv music/1*.wav other && mv music/2*.wav music/sub");
    expect_job(job_options(), model, "a.h5", FILES - 8, 0, 0, 0);
    cr_assert_eq(run_job_with(job_options(), model, sub, 1, "a.h5", &r), ATTUNE_OK);
    cr_assert_eq(r.progress.by_reason[ATTUNE_JOB_KEPT], 4);
    cr_assert_eq(run_job_with(job_options(), model, both, 3, "a.h5", &r), ATTUNE_OK);
    cr_assert_eq(r.progress.by_reason[ATTUNE_JOB_KEPT], FILES - 8);
    cr_assert_eq(run_job_with(job_options(), model, both, 3, "a.h5", &r), ATTUNE_OK);
    cr_assert_eq(r.progress.by_reason[ATTUNE_JOB_KEPT], FILES + 2);
    attune_rows *rows = read_rows("a.h5");
    cr_assert_eq(attune_rows_count(rows), FILES + 2);
    cr_assert_not_null(realpath("other/10.wav", real));
    cr_assert_str_eq(attune_rows_get(rows, 0).path, real);
    cr_assert_str_eq(attune_rows_get(rows, 10).path, "00.wav");
    attune_rows_free(rows);
    /* with the root gone --prune would drop every row: that is said before any work */
    shell("mv music away");
    write_noise("other/new.wav", 9000, 79);
    attune_job_options options = job_options();
    options.prune = true;
    for (int dry = 0; dry < 2; dry++) {
        options.dry_run = dry;
        cr_assert_eq(run_job_with(options, model, both, 1, "a.h5", &r), ATTUNE_ENOINPUT);
        cr_assert(strstr(attune_last_error(), "run without --prune, or start over with --force"),
                  "%s", attune_last_error());
        cr_assert(r.tracks == 0 && r.plans == 0);
        shell("test ! -e a.h5.parts");
    }
    options = job_options(); /* and again at the end, should it go meanwhile */
    options.prune = true;
    options.on_track = run_meanwhile;
    meanwhile = "mv music away";
    shell("mv away music");
    cr_assert_eq(run_job_with(options, model, both, 1, "a.h5", &r), ATTUNE_ENOINPUT);
    cr_assert(strstr(attune_last_error(), "what is done is safe in"), "%s", attune_last_error());
    attune_model_close(model);
}

static void expect_pruned(const attune_model *model, uint64_t pruned, uint64_t left)
{
    attune_job_options options = job_options();
    job_result r;
    options.prune = true;
    assert_ok(run_job_with(options, model, music, 1, "a.h5", &r));
    cr_assert_eq(r.progress.pruned, pruned, "%llu", (unsigned long long)r.progress.pruned);
    attune_rows *rows = read_rows("a.h5");
    cr_assert_eq(attune_rows_count(rows), left, "%zu", attune_rows_count(rows));
    attune_rows_free(rows);
}

/* Entries that are gone are dropped; those of an archive that is damaged may still be there. */
static void check_pruning(const char *archive)
{
    static const char pack[] =
        "cd music && /usr/bin/python3 -c 'import sys, tarfile, zipfile\n"
        "z = zipfile.ZipFile(sys.argv[1], \"w\") if \"zip\" in sys.argv[1] else None\n"
        "t = None if z else tarfile.open(sys.argv[1], \"w\")\n"
        "[z.write(n) if z else t.add(n) for n in sys.argv[2:]]\n"
        "(z or t).close()' %s %s";
    attune_model *model = open_model(43);
    job_result r;
    make_archive(); /* its rows: 24 of the folder, 2 of other archives, 6 of this one */
    shell("rm music/broken.mp3 music/empty.flac");
    cr_assert_eq(run_command(pack, archive, "0[0-5].wav"), 0);
    shell("cd music && tar cf 0.tar 00.wav && tar cf z.tar 00.wav");
    cr_assert_eq(run_job_with(job_options(), model, music, 1, "a.h5", &r), ATTUNE_OK);
    expect_pruned(model, 0, FILES + 8);
    cr_assert_eq(run_command(pack, archive, "0[0-3].wav"), 0); /* two entries less */
    expect_pruned(model, 2, FILES + 6);
    shell("rm music/00.wav");
    cr_assert_eq(run_command("truncate -s 70000 music/%s", archive), 0);
    expect_pruned(model, 1, FILES + 6); /* a file less, and one row more: of what is damaged */
    cr_assert_eq(run_command("truncate -s 0 music/%s", archive), 0);
    expect_pruned(model, 0, FILES + 6);
    cr_assert_eq(run_command(pack, archive, "0[1-4].wav"), 0); /* whole again: its own row goes */
    expect_pruned(model, 2, FILES + 5);
    cr_assert_eq(run_command("rm music/%s", archive), 0);
    expect_pruned(model, 4, FILES + 1);
    attune_model_close(model);
}

Test(again, prunes_entries_of_a_zip, .timeout = 60)
{
    check_pruning("a.zip");
}

Test(again, prunes_entries_of_a_tar, .timeout = 60)
{
    check_pruning("a.tar");
}

/* A folder in which nothing is may be a disk that is not mounted; one that is gone is gone. */
Test(again, prunes_nothing_of_an_empty_folder, .timeout = 60)
{
    attune_model *model = open_model(44);
    job_result r;
    make_archive();
    shell("rm music/broken.mp3 music/empty.flac && mkdir -p music/disk/album && "
          "mv music/1*.wav music/disk/album");
    cr_assert_eq(run_job_with(job_options(), model, music, 1, "a.h5", &r), ATTUNE_OK);
    shell("mv music/disk elsewhere && mkdir music/disk");
    expect_pruned(model, 0, FILES);
    shell("touch music/disk/note.txt");
    expect_pruned(model, 10, FILES - 10);
    shell("rm music/00.wav && rm -r music/disk");
    expect_pruned(model, 1, FILES - 11);
    attune_model_close(model);
}

/* A folder has a row while it cannot be read, and then none; a file whose name it has, none. */
Test(again, prunes_rows_of_folders_that_can_be_read, .timeout = 60)
{
    attune_model *model = open_model(46);
    job_result r;
    make_archive();
    shell("rm music/broken.mp3 music/empty.flac && mkdir music/sub && mv music/1*.wav music/sub");
    unreadable_folder = "music/sub";
    expect_pruned(model, 0, FILES - 9);
    attune_rows *rows = read_rows("a.h5");
    const attune_row row = attune_rows_get(rows, FILES - 10);
    cr_assert_str_eq(row.path, "sub");
    cr_assert_eq(row.status, ATTUNE_TRACK_CANNOT_OPEN);
    cr_assert_str_eq(row.error, "cannot be read: Input/output error");
    attune_rows_free(rows);
    expect_pruned(model, 0, FILES - 9);
    const char *elsewhere[] = {"music/00.wav"}; /* does not look at it, and it is as it was */
    attune_job_options options = job_options();
    options.prune = true;
    assert_ok(run_job_with(options, model, elsewhere, 1, "a.h5", &r));
    cr_assert_eq(r.progress.pruned, 0);
    unreadable_folder = NULL;
    expect_pruned(model, 1, FILES);
    shell("rm music/00.wav && mkdir music/00.wav && touch music/00.wav/note.txt");
    expect_pruned(model, 1, FILES - 1);
    attune_model_close(model);
}

/* Where nothing is to be dropped, nothing is written either, not even to be thrown away. */
Test(again, a_prune_that_drops_nothing_writes_nothing, .timeout = 60)
{
    attune_model *model = open_model(45);
    make_archive();
    expect_pruned(model, 0, FILES + 2);
    files_begun = 0;
    expect_pruned(model, 0, FILES + 2);
    cr_assert_eq(files_begun, 0, "%d", files_begun);
    shell("rm music/00.wav");
    expect_pruned(model, 1, FILES + 1);
    cr_assert_eq(files_begun, 1, "%d", files_begun);
    attune_model_close(model);
}

/* What a test's files are called after: zz.wav has a number, the others none. */
static void label_by_name(void *user, attune_labels *out, const char *path)
{
    const attune_labels *labels = user;
    if (strncmp(path, "0", 1) == 0) {
        *out = *labels;
        out->track_id = atoi(path);
    }
}

static void expect_labels(const char *output, bool columns, int artist)
{
    attune_store *store = NULL;
    attune_rows *rows = read_rows(output);
    cr_assert_eq(attune_store_open(&store, output), ATTUNE_OK);
    cr_assert_eq(attune_store_attributes_of(store)->labels, columns);
    attune_store_close(store);
    for (size_t i = 0; i < attune_rows_count(rows); i++) {
        const attune_row row = attune_rows_get(rows, i);
        const bool named = columns && row.path[0] == '0';
        cr_assert_eq(row.labels->track_id, named ? atoi(row.path) : -1, "%s", row.path);
        cr_assert_eq(row.labels->artist_id, named ? artist : -1, "%s", row.path);
    }
    attune_rows_free(rows);
}

Test(again, labels_come_with_their_metadata_and_stay, .timeout = 120)
{
    attune_model *model = open_model(31);
    attune_labels labels = {.artist_id = 5, .album_id = 6, .split = ATTUNE_FMA_TEST};
    attune_job_options plain = job_options(), labelled = job_options();
    labelled.label = label_by_name;
    labelled.label_user = &labels;
    make_archive();
    expect_job(plain, model, "a.h5", FILES + 2, 0, 0, 0);
    expect_labels("a.h5", false, 0);
    expect_job(labelled, model, "a.h5", 0, 0, 0, FILES + 2); /* nothing new but the columns */
    expect_labels("a.h5", true, 5);
    shell("cp a.h5 before.h5 && stat -c %i a.h5 >inode");
    expect_job(labelled, model, "a.h5", 0, 0, 0, FILES + 2);
    shell("cmp a.h5 before.h5 && stat -c %i a.h5 | cmp - inode");

    write_noise("music/zz.wav", 9000, 77); /* a run without metadata keeps what there is */
    expect_job(plain, model, "a.h5", 1, 0, 0, FILES + 2);
    expect_labels("a.h5", true, 5);
    labels.artist_id = 7; /* other metadata count for all rows */
    expect_job(labelled, model, "a.h5", 0, 0, 0, FILES + 3);
    expect_labels("a.h5", true, 7);
    attune_model_close(model);
}
