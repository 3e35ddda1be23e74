/* test_checkpoint.c - a checkpoint comes back bit for bit; what is none, or damaged, is refused in
 * one line. */
#include "store/checkpoint.h"

#include "store/file_kind.h"
#include "tests/store/store_support.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <hdf5.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const attune_network networks[] = {
    {ATTUNE_ARCHITECTURE_TINY, ATTUNE_POOLING_ATTENTION, 22050, 2048, 2048, 64, 128, 2, 128, 128,
     32},
    {ATTUNE_ARCHITECTURE_TINY, ATTUNE_POOLING_LAST, 16000, 1024, 512, 64, 16, 8, 0, 1, 1},
    {ATTUNE_ARCHITECTURE_GRU, ATTUNE_POOLING_MEAN, 22050, 256, 256, 128, 32, 1, 0, 16, 8},
};
enum { NETWORKS = 3 };

static const double reals[] = {-0.0, 0.1, -INFINITY, 1e-310, 0x1.fffffffffffffp1023};
static const uint64_t integers[] = {0, 1, UINT64_MAX, 0x9e3779b97f4a7c15u, 1u << 31};
static const char *const texts[] = {"", "one line", "two\nlines\n", "\xff\xfe no UTF-8", " \t"};
enum { VALUES = 5 };

/* Every bit pattern of an f32 that may stand in a checkpoint, in no order; moments hold any. */
static void fill(float *out, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = (uint32_t)random_bits(&seed);
        memcpy(&out[i], &bits, sizeof(bits));
    }
}

static void make_finite(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = isfinite(values[i]) ? fabsf(values[i]) : (float)i;
    }
}

static attune_checkpoint *make(int network, bool with_moments)
{
    attune_checkpoint *c = NULL;
    char name[64];
    assert_ok(attune_checkpoint_create(&c, &networks[network], with_moments));
    const size_t count = c->trainable.parameter_count;
    fill(c->parameters, count, 1);
    make_finite(c->parameters, count);
    fill(c->statistics, c->trainable.statistic_count, 2);
    make_finite(c->statistics, c->trainable.statistic_count);
    if (with_moments) {
        fill(c->moment1, count, 3);
        fill(c->moment2, count, 4);
    }
    for (int i = 0; i < VALUES; i++) {
        snprintf(name, sizeof(name), "real %d", i);
        assert_ok(attune_checkpoint_set_real(c, name, 5));
        assert_ok(attune_checkpoint_set_real(c, name, reals[i]));
        snprintf(name, sizeof(name), "integer %d", i);
        assert_ok(attune_checkpoint_set_integer(c, name, integers[i]));
        snprintf(name, sizeof(name), "text %d", i);
        assert_ok(attune_checkpoint_set_text(c, name, texts[i]));
    }
    return c;
}

static void check_same(const attune_checkpoint *got, const attune_checkpoint *want)
{
    const size_t size = want->trainable.parameter_count * sizeof(float);
    char name[64];
    cr_assert_eq(memcmp(&got->trainable, &want->trainable, sizeof(got->trainable)), 0);
    cr_assert_eq(memcmp(got->parameters, want->parameters, size), 0);
    cr_assert_eq(
        memcmp(got->statistics, want->statistics, want->trainable.statistic_count * sizeof(float)),
        0);
    cr_assert_eq(!got->moment1, !want->moment1);
    cr_assert_eq(!got->moment2, !want->moment2);
    cr_assert(!want->moment1 || memcmp(got->moment1, want->moment1, size) == 0);
    cr_assert(!want->moment2 || memcmp(got->moment2, want->moment2, size) == 0);
    cr_assert_eq(got->value_count, 3 * VALUES);
    for (int i = 0; i < VALUES; i++) {
        double real = 0;
        uint64_t integer = 0;
        const char *text = NULL;
        snprintf(name, sizeof(name), "real %d", i);
        assert_ok(attune_checkpoint_get_real(&real, got, name));
        cr_assert_eq(memcmp(&real, &reals[i], sizeof(real)), 0, "%s is %g", name, real);
        snprintf(name, sizeof(name), "integer %d", i);
        assert_ok(attune_checkpoint_get_integer(&integer, got, name));
        cr_assert_eq(integer, integers[i]);
        snprintf(name, sizeof(name), "text %d", i);
        assert_ok(attune_checkpoint_get_text(&text, got, name));
        cr_assert_str_eq(text, texts[i]);
    }
}

Test(checkpoint, comes_back_bit_for_bit)
{
    char *path = temporary_path("c.h5"), *again = temporary_path("again.h5");
    for (int i = 0; i < 2 * NETWORKS; i++) {
        attune_checkpoint *written = make(i / 2, i % 2), *read = NULL;
        assert_ok(attune_checkpoint_write(path, written));
        assert_ok(attune_checkpoint_read(&read, path));
        check_same(read, written);
        cr_assert_str_eq(read->path, path);
        assert_ok(attune_checkpoint_write(again, written));
        cr_assert_eq(run_command("cmp '%s' '%s'", path, again), 0, "the day is in the file");
        attune_checkpoint_close(read);
        attune_checkpoint_close(written);
    }
    attune_checkpoint_close(NULL);
    free(path);
    free(again);
}

/* A file for embedding is made by leaving the moments out, and is little larger than its numbers.
 */
Test(checkpoint, without_moments_it_is_small)
{
    char *path = temporary_path("c.h5");
    attune_checkpoint *whole = make(0, true), *read = NULL;
    attune_checkpoint light = *whole;
    struct stat information;
    light.moment1 = light.moment2 = NULL;
    assert_ok(attune_checkpoint_write(path, whole));
    assert_ok(attune_checkpoint_write(path, &light));
    cr_assert_eq(stat(path, &information), 0);
    const size_t numbers =
        4 * (whole->trainable.parameter_count + whole->trainable.statistic_count);
    cr_assert(information.st_size < (off_t)(numbers + 40000), "%lld bytes for %zu of numbers",
              (long long)information.st_size, numbers);
    assert_ok(attune_checkpoint_read(&read, path));
    check_same(read, &light);
    attune_checkpoint_close(read);
    attune_checkpoint_close(whole);
    free(path);
}

Test(checkpoint, values_that_are_not_there)
{
    attune_checkpoint *c = make(1, false);
    double real = 7;
    uint64_t integer = 7;
    const char *text = "seven";
    const char *const longest = "a name of sixty-three bytes, which is the longest that can be set",
                      *const nothing = "";
    assert_fails(attune_checkpoint_get_real(&real, c, "integer 1"), ATTUNE_EDATA,
                 "no real number 'integer 1'");
    assert_fails(attune_checkpoint_get_integer(&integer, c, "epoch"), ATTUNE_EDATA,
                 "no whole number 'epoch'");
    assert_fails(attune_checkpoint_get_text(&text, c, "real 0"), ATTUNE_EDATA, "no text 'real 0'");
    cr_assert(real == 7 && integer == 7 && strcmp(text, "seven") == 0);
    assert_fails(attune_checkpoint_set_real(c, nothing, 1), ATTUNE_EINVAL, "no name");
    assert_fails(attune_checkpoint_set_real(c, longest, 1), ATTUNE_EINVAL, "no name");
    attune_checkpoint_close(c);
}

Test(checkpoint, replaces_checkpoints_alone)
{
    char *path = temporary_path("c.h5"), *output = temporary_path("output.h5"),
         *text = temporary_path("text");
    attune_checkpoint *c = make(1, true);
    attune_file_kind kind = ATTUNE_FILE_OTHER;
    write_file(text, "mine", 4);
    write_test_file(output, 4, 3, 3);
    assert_ok(attune_checkpoint_write(path, c));
    assert_ok(attune_checkpoint_write(path, c));
    assert_fails(attune_checkpoint_write(text, c), ATTUNE_ECREATE, "not a checkpoint of attune");
    assert_fails(attune_checkpoint_write(output, c), ATTUNE_ECREATE, "not a checkpoint of attune");
    assert_fails(attune_checkpoint_write("no/folder/c.h5", c), ATTUNE_ECREATE, "no folder");
    assert_ok(attune_file_kind_of(&kind, path));
    cr_assert_eq(kind, ATTUNE_FILE_CHECKPOINT);
    assert_ok(attune_file_kind_of(&kind, output));
    cr_assert_eq(kind, ATTUNE_FILE_OUTPUT);
    assert_ok(attune_file_kind_of(&kind, text));
    cr_assert_eq(kind, ATTUNE_FILE_OTHER);
    assert_test_file(output, 4, 3);
    cr_assert_eq(count_names(temporary_folder()), 3);
    attune_checkpoint_close(c);
    free(path);
    free(output);
    free(text);
}

/* A full disk: the checkpoint that is there stays, and nothing is left behind. */
Test(checkpoint, a_full_disk_keeps_the_last_one)
{
    char *path = temporary_path("c.h5");
    attune_checkpoint *c = make(0, true), *read = NULL;
    assert_ok(attune_checkpoint_write(path, c));
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t limit = 0; limit < 2000000; limit += 300000) {
        const struct rlimit small = {limit, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        const attune_status status = attune_checkpoint_write(path, c);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
        cr_assert_eq(status, ATTUNE_EIO, "%d", status);
        cr_assert(strstr(attune_last_error(), "c.h5: cannot write: File too large"), "%s",
                  attune_last_error());
        cr_assert_eq(count_names(temporary_folder()), 1);
    }
    assert_ok(attune_checkpoint_read(&read, path));
    check_same(read, c);
    attune_checkpoint_close(read);
    attune_checkpoint_close(c);
    free(path);
}

/* ---- what is refused ---- */

static void refuse(const char *path, attune_status status, const char *text)
{
    attune_checkpoint *c = (void *)&status;
    const attune_status got = attune_checkpoint_read(&c, path);
    cr_assert_eq(got, status, "%s: %d, %s", path, got, attune_last_error());
    cr_assert_null(c);
    cr_assert(strstr(attune_last_error(), text) && strstr(attune_last_error(), path) &&
                  !strchr(attune_last_error(), '\n'),
              "no \"%s\" in \"%s\"", text, attune_last_error());
}

Test(checkpoint, files_that_are_none)
{
    cr_assert_eq(chdir(temporary_folder()), 0);
    cr_assert_eq(run_command("echo hello >text; : >empty; mkdir folder; "
                             "printf '\\211HDF\\r\\n\\032\\nrest' >half.h5"),
                 0);
    write_test_file("output.h5", 4, 3, 3);
    refuse("nowhere.h5", ATTUNE_ENOINPUT, "No such file");
    refuse("text", ATTUNE_EDATA, "not an HDF5 file; give a checkpoint of attune");
    refuse("empty", ATTUNE_EDATA, "not an HDF5 file");
    refuse("folder", ATTUNE_EDATA, "folder");
    refuse("half.h5", ATTUNE_EDATA, "damaged or cut short");
    refuse("output.h5", ATTUNE_EDATA, "not a checkpoint of attune");
}

/* Opens c.h5 to be spoilt by HDF5 itself. */
static hid_t reopen(void)
{
    attune_checkpoint *c = make(1, true);
    unlink("c.h5");
    assert_ok(attune_checkpoint_write("c.h5", c));
    attune_checkpoint_close(c);
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    const hid_t file = H5Fopen("c.h5", H5F_ACC_RDWR, access);
    H5Pclose(access);
    cr_assert(file >= 0);
    return file;
}

static void overwrite_number(const char *name, int number)
{
    const hid_t file = reopen(), attribute = H5Aopen(file, name, H5P_DEFAULT);
    cr_assert(H5Awrite(attribute, H5T_NATIVE_INT, &number) >= 0);
    H5Aclose(attribute);
    H5Fclose(file);
}

static void overwrite_value(const char *name, size_t at, float value)
{
    const hid_t file = reopen(), dataset = H5Dopen2(file, name, H5P_DEFAULT);
    float values[100000];
    cr_assert(H5Dget_storage_size(dataset) < sizeof(values));
    cr_assert(H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    values[at] = value;
    cr_assert(H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(dataset);
    H5Fclose(file);
}

Test(checkpoint, parts_that_are_not_as_they_should_be)
{
    static const char *const links[] = {"parameters",
                                        "statistics",
                                        "moment2",
                                        "state",
                                        "parameters/gru.weight_hh_l7",
                                        "statistics/cnn_frontend.0.net.1.running_var"};
    static const char *const attributes[] = {"format", "format_version", "architecture", "pooling",
                                             "hidden"};
    cr_assert_eq(chdir(temporary_folder()), 0);
    for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
        const hid_t file = reopen();
        cr_assert(H5Ldelete(file, links[i], H5P_DEFAULT) >= 0);
        H5Fclose(file);
        refuse("c.h5", ATTUNE_EDATA, links[i]);
    }
    for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++) {
        const hid_t file = reopen();
        cr_assert(H5Adelete(file, attributes[i]) >= 0);
        H5Fclose(file);
        refuse("c.h5", ATTUNE_EDATA, attributes[i]);
    }
    overwrite_number("format_version", 2);
    refuse("c.h5", ATTUNE_EDATA, "of format version 2, and attune");
    overwrite_number("hidden", 17);
    refuse("c.h5", ATTUNE_EDATA, "a network's hidden is out of bounds");
    overwrite_number("hidden", 32);
    refuse("c.h5", ATTUNE_EDATA,
           "/parameters/gru.weight_ih_l0 is not f32 (96, 64), as its network asks for");
    overwrite_value("parameters/gru.weight_ih_l0", 5, NAN);
    refuse("c.h5", ATTUNE_EDATA, "/parameters/gru.weight_ih_l0 holds nan");
    overwrite_value("statistics/cnn_frontend.0.net.4.running_mean", 5, -INFINITY);
    refuse("c.h5", ATTUNE_EDATA, "running_mean holds -inf");
    overwrite_value("statistics/cnn_frontend.0.net.4.running_var", 31, -1);
    refuse("c.h5", ATTUNE_EDATA, "running_var holds -1");
}

/* A byte changed anywhere, or a file cut anywhere, is refused or gives the same checkpoint: some
 * bytes are read by nobody. */
Test(checkpoint, damage_is_found)
{
    cr_assert_eq(chdir(temporary_folder()), 0);
    attune_checkpoint *c = make(2, true), *read = NULL;
    uint64_t random = 3;
    size_t size = 0;
    int refused = 0;
    assert_ok(attune_checkpoint_write("whole.h5", c));
    char *bytes = read_file("whole.h5", &size);
    for (int i = 0; i < 300; i++) {
        const size_t at = random_bits(&random) % size, cut = i % 10 == 9 ? at : size;
        const char bit = (char)(1 << random_bits(&random) % 8);
        bytes[at] = (char)(bytes[at] ^ bit);
        write_file("spoilt.h5", bytes, cut);
        bytes[at] = (char)(bytes[at] ^ bit);
        const attune_status status = attune_checkpoint_read(&read, "spoilt.h5");
        if (status == ATTUNE_OK) {
            check_same(read, c);
            attune_checkpoint_close(read);
        } else {
            refused++;
            cr_assert_eq(status, ATTUNE_EDATA, "byte %zu: %s", at, attune_last_error());
        }
    }
    cr_assert(refused > 250, "%d of 300", refused);
    free(bytes);
    attune_checkpoint_close(c);
}
