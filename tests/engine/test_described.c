/* test_described.c - descriptors in a job's rows: of the samples that are embedded, on every
 * device, and in all rows of an output or in none. */
#include "audio/decode.h"
#include "descriptors/descriptors.h"
#include "tests/engine/fake_batch.h"
#include "tests/engine/job_support.h"
#include "tests/reference/reference.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const music[] = {"music"};

/* The archive, and a model; skips where this build has no descriptors. */
static attune_model *begin(void)
{
    const attune_network n = reference_network(ATTUNE_ARCHITECTURE_TINY);
    attune_descriptors *d = NULL;
    if (attune_descriptors_create(&d, n.sample_rate) == ATTUNE_ECONFIG) {
        skip_test(attune_last_error());
    }
    attune_descriptors_free(d);
    make_archive();
    cr_assert_eq(run_command("rm music/1*.wav music/2*.wav"), 0); /* it is large enough without */
    write_noise("music/long.wav", 5 * 22050, 71); /* in the archive tracks are short */
    write_noise("music/just.wav", ATTUNE_DESCRIPTORS_SHORTEST, 72);
    write_noise("music/not.wav", ATTUNE_DESCRIPTORS_SHORTEST - 1, 73);
    return reference_model(&n, 31);
}

static attune_job_options described(void)
{
    attune_job_options options = job_options();
    options.descriptors = true;
    return options;
}

static void expect(attune_job_options options, const attune_model *model, const char *output,
                   attune_status status)
{
    job_result r;
    cr_assert_eq(run_job_with(options, model, music, 1, output, &r), status, "%s",
                 attune_last_error());
}

/* Those of the file's samples, straight from the decoder. */
static bool describe(float out[ATTUNE_DESCRIPTORS], const char *path)
{
    attune_audio_options options;
    attune_audio_result result;
    attune_audio *audio = NULL;
    attune_descriptors *d = NULL;
    float samples[1000];
    size_t count = 0;
    attune_audio_options_default(&options);
    cr_assert_eq(attune_descriptors_create(&d, 22050), ATTUNE_OK);
    cr_assert_eq(attune_descriptors_begin(d), ATTUNE_OK);
    cr_assert_eq(attune_audio_open(&audio, path, &options, &result), ATTUNE_OK);
    do {
        cr_assert_eq(attune_audio_read(audio, samples, 1000, &count), ATTUNE_OK);
        cr_assert_eq(attune_descriptors_push(d, samples, count), ATTUNE_OK);
    } while (count > 0);
    attune_audio_close(audio);
    const bool any = attune_descriptors_finish(d, out);
    attune_descriptors_free(d);
    return any;
}

Test(described, rows_have_those_of_their_samples_on_every_device, .timeout = 120)
{
    attune_model *model = begin();
    attune_job_options options = described();
    expect(job_options(), model, "plain.h5", ATTUNE_OK);
    expect(options, model, "cpu.h5", ATTUNE_OK);
    fake = (fake_batch){.devices = 1, .memory = (size_t)1 << 30};
    options.engine.device = "fake";
    expect(options, model, "fake.h5", ATTUNE_OK);
    attune_rows *rows[3] = {read_rows("plain.h5"), read_rows("cpu.h5"), read_rows("fake.h5")};
    int with = 0;
    for (size_t i = 0; i < attune_rows_count(rows[0]); i++) {
        const attune_row plain = attune_rows_get(rows[0], i), cpu = attune_rows_get(rows[1], i);
        const attune_row fake_row = attune_rows_get(rows[2], i);
        char path[64];
        float wanted[ATTUNE_DESCRIPTORS];
        compare_rows(plain, cpu); /* with them an embedding is what it is without */
        compare_rows(plain, fake_row);
        cr_assert_null(plain.descriptors);
        cr_assert_arr_eq(cpu.descriptors, fake_row.descriptors, sizeof(wanted), "%s", plain.path);
        snprintf(path, sizeof(path), "music/%s", plain.path);
        if (!attune_track_has_embedding(plain.status) || !describe(wanted, path)) {
            cr_assert(isnan(cpu.descriptors[0]) && isnan(cpu.descriptors[22]), "%s", plain.path);
        } else {
            cr_assert_arr_eq(cpu.descriptors, wanted, sizeof(wanted), "%s", plain.path);
            with++;
        }
    }
    cr_assert_geq(with, 2);
    for (int i = 0; i < 3; i++) {
        attune_rows_free(rows[i]);
    }
    attune_model_close(model);
}

/* Nothing is embedded, and neither the output nor its parts change. */
static void expect_refusal(attune_job_options options, const attune_model *model,
                           const char *output, const char *text)
{
    cr_assert_eq(run_command("cp -r %s before", output), 0);
    expect(options, model, output, ATTUNE_ECONFIG);
    cr_assert(strstr(attune_last_error(), text), "%s", attune_last_error());
    cr_assert_eq(run_command("cmp %s before && rm -r before && test ! -e %s.parts", output, output),
                 0);
}

Test(described, all_rows_of_an_output_or_none, .timeout = 120)
{
    attune_model *model = begin();
    expect(job_options(), model, "plain.h5", ATTUNE_OK);
    expect_refusal(described(), model, "plain.h5", "made without --descriptors");
    expect(described(), model, "a.h5", ATTUNE_OK);
    expect_refusal(job_options(), model, "a.h5", "made with --descriptors");
    write_noise("music/zz.wav", 30000, 74);
    expect(described(), model, "a.h5", ATTUNE_OK); /* kept rows keep theirs */
    expect(described(), model, "b.h5", ATTUNE_OK);
    attune_rows *added = read_rows("a.h5"), *whole = read_rows("b.h5");
    cr_assert_eq(attune_rows_count(added), attune_rows_count(whole));
    for (size_t i = 0; i < attune_rows_count(added); i++) {
        cr_assert_arr_eq(attune_rows_get(added, i).descriptors,
                         attune_rows_get(whole, i).descriptors, ATTUNE_DESCRIPTORS * sizeof(float),
                         "row %zu", i);
    }
    attune_rows_free(added);
    attune_rows_free(whole);
    attune_model_close(model);
}
