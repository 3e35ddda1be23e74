/* test_golden.c - the published model over real files against FFmpeg and ONNX Runtime, in both
 * precisions: golden_mecomp.csv. */
#include "attune/engine.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { E = 32 };

/* One row: file,samples,frames and 32 components; fewer for a file that could not be decoded. */
static void check_row(attune_engine *engine, double bound, const char *folder, char *line,
                      double *worst)
{
    char *rest = NULL, path[4096];
    const char *file = strtok_r(line, ",", &rest);
    const unsigned long samples = strtoul(strtok_r(NULL, ",", &rest), NULL, 10);
    const unsigned long frames = strtoul(strtok_r(NULL, ",", &rest), NULL, 10);
    attune_track track;
    float embedding[E];
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    cr_assert_eq(attune_engine_embed_file(engine, path, NULL, &track, embedding), ATTUNE_OK);
    if (samples == 0) {
        cr_assert(!attune_track_has_embedding(track.status), "%s", file);
        cr_assert(*track.error, "%s has no error text", file);
        cr_assert(isnan(embedding[0]) && isnan(embedding[E - 1]));
        return;
    }
    cr_assert(attune_track_has_embedding(track.status), "%s: %s", file, track.error);
    cr_assert_eq(track.frames, frames, "%s: %u frames, not %lu", file, track.frames, frames);
    cr_assert_float_eq(track.duration, (double)samples / 22050, 1e-9, "%s", file);
    for (int e = 0; e < E; e++) {
        const double expected = strtod(strtok_r(NULL, ",", &rest), NULL);
        const double error = fabs((double)embedding[e] - expected);
        cr_assert(error < bound, "%s component %d: %.9g, not %.9g", file, e, (double)embedding[e],
                  expected);
        *worst = fmax(*worst, error);
    }
}

static void check_files(const char *precision, double bound)
{
    char *path = shared_path("models/mecomp/audio_embedding_model.onnx");
    char *csv = shared_path("audio/golden_mecomp.csv"), *folder = shared_path("audio");
    attune_model *model = NULL;
    attune_engine *engine = NULL;
    double worst = 0;
    int rows = 0;
    assert_ok(attune_model_open(&model, path));
    attune_engine_options options;
    attune_engine_options_default(&options);
    options.precision = precision;
    assert_ok(attune_engine_open(&engine, model, &options));
    char *text = read_file(csv, NULL), *rest = NULL;
    strtok_r(text, "\n", &rest); /* the header */
    for (char *line; (line = strtok_r(NULL, "\n", &rest)); rows++) {
        check_row(engine, bound, folder, line, &worst);
    }
    cr_assert_eq(rows, 35);
    printf("%d files, largest difference %.3g\n", rows, worst);
    free(text);
    free(path);
    free(csv);
    free(folder);
    attune_engine_close(engine);
    attune_model_close(model);
}

Test(golden, published_model_on_real_files, .timeout = 240)
{
    check_files("exact", 1e-5);
}

Test(golden, published_model_on_real_files_fast, .timeout = 240)
{
    check_files("fast", 5e-4);
}

/* Opens an engine with the built-in model. */
static attune_engine *open_default(attune_model *model, const char *precision)
{
    attune_engine *engine = NULL;
    attune_engine_options options;
    attune_engine_options_default(&options);
    options.precision = precision;
    cr_assert_eq(attune_engine_open(&engine, model, &options), ATTUNE_OK, "%s",
                 attune_last_error());
    return engine;
}

/* Half of what precision fast promises. */
Test(golden, built_in_model_fast, .timeout = 240)
{
    char *folder = shared_path("audio");
    struct dirent **entries = NULL;
    attune_model *model = NULL;
    if (!attune_model_has_default()) {
        skip_test("no model is built in");
    }
    cr_assert_eq(attune_model_open_default(&model), ATTUNE_OK);
    attune_engine *engines[2] = {open_default(model, "exact"), open_default(model, "fast")};
    double worst = 0;
    int compared = 0;
    const int found = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < found; i++) {
        char path[4096];
        attune_track track;
        float of[2][E];
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        for (int k = 0; k < 2; k++) {
            cr_assert_eq(attune_engine_embed_file(engines[k], path, NULL, &track, of[k]),
                         ATTUNE_OK);
        }
        const bool embedded = attune_track_has_embedding(track.status);
        for (int e = 0; embedded && e < E; e++) {
            const double error = fabs((double)of[0][e] - (double)of[1][e]);
            cr_assert(error < 2.5e-4, "%s component %d differs by %g", path, e, error);
            worst = fmax(worst, error);
        }
        compared += embedded;
        free(entries[i]);
    }
    cr_assert_geq(compared, 30);
    printf("%d files, largest difference %.3g\n", compared, worst);
    free(entries);
    free(folder);
    attune_engine_close(engines[0]);
    attune_engine_close(engines[1]);
    attune_model_close(model);
}

/* Embeds a file by the exact network from samples of either kind; false when it has none. */
static bool embed_samples(attune_engine *engine, const char *path, bool fast, float *embedding)
{
    static float samples[1 << 16];
    attune_audio *audio = NULL;
    attune_audio_result result;
    attune_audio_options options;
    size_t count = 0;
    attune_audio_options_default(&options);
    options.fast_resampling = fast;
    cr_assert_eq(attune_audio_open(&audio, path, &options, &result), ATTUNE_OK);
    attune_engine_begin(engine);
    do {
        count = 0;
        if (audio) {
            cr_assert_eq(attune_audio_read(audio, samples, 1 << 16, &count), ATTUNE_OK);
            cr_assert_eq(attune_engine_push(engine, samples, count), ATTUNE_OK);
        }
    } while (count > 0);
    attune_audio_close(audio);
    if (result.samples > 0) {
        cr_assert_eq(attune_engine_finish(engine, embedding, NULL), ATTUNE_OK);
    }
    return result.samples > 0;
}

/* What resampling may take of precision fast's 5e-4 is 2e-4; only rounding is there, and 1e-5 is
 * far beyond it. bench_decode --model does the same for any files. */
Test(golden, fast_resampling_keeps_the_embeddings, .timeout = 240)
{
    char *path = shared_path("models/mecomp/audio_embedding_model.onnx");
    char *folder = shared_path("audio");
    struct dirent **entries = NULL;
    attune_model *model = NULL;
    attune_engine *engine = NULL;
    double worst = 0;
    int compared = 0;
    assert_ok(attune_model_open(&model, path));
    assert_ok(attune_engine_open(&engine, model, NULL));
    const int found = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < found; i++) {
        char file[4096];
        float exact[E], fast[E];
        snprintf(file, sizeof(file), "%s/%s", folder, entries[i]->d_name);
        const bool audio = embed_samples(engine, file, false, exact);
        cr_assert_eq(embed_samples(engine, file, true, fast), audio, "%s", file);
        for (int e = 0; audio && e < E; e++) {
            const double difference = fabs((double)exact[e] - (double)fast[e]);
            cr_assert(difference < 1e-5, "%s component %d differs by %g", file, e, difference);
            worst = fmax(worst, difference);
        }
        compared += audio;
        free(entries[i]);
    }
    cr_assert_geq(compared, 30);
    printf("%d files, largest difference %.3g\n", compared, worst);
    free(entries);
    free(path);
    free(folder);
    attune_engine_close(engine);
    attune_model_close(model);
}
