/* test_onnx_write.c - models as ONNX files: read again by our reader, and run by ONNX Runtime where
 * Python has it. */
#include "tests/model/networks.h"
#include "tests/support/support.h"

#include "attune/engine.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int opsets[] = {20, 17};
enum { OPSETS = 2 };

static void *write_model(size_t *size, const attune_model *model, int opset)
{
    void *bytes = NULL;
    const attune_onnx_options options = {.opset = opset, .name = "attune-test"};
    assert_ok(attune_model_write_onnx(&bytes, size, model, &options));
    return bytes;
}

static void check_read_again(const attune_model *model, const char *name)
{
    for (int i = 0; i < OPSETS; i++) {
        attune_model *read = NULL;
        char how[32];
        size_t size = 0, again = 0;
        void *bytes = write_model(&size, model, opsets[i]),
             *twice = write_model(&again, model, opsets[i]);
        snprintf(how, sizeof(how), "opset %d", opsets[i]);
        cr_assert_eq(attune_model_parse(&read, bytes, size, "a/written.onnx"), ATTUNE_OK,
                     "%s, %s: %s", name, how, attune_last_error());
        check_network(&read->network, &model->network, name, how);
        check_parameters(read, model, false, name, how);
        cr_assert(size == again && memcmp(bytes, twice, size) == 0, "%s: other bytes", name);
        attune_model_close(read);
        free(bytes);
        free(twice);
    }
}

Test(onnx_write, every_network_is_read_again_to_the_same_bits)
{
    for (int i = 0; i < small_network_count; i++) {
        attune_model *model = random_model(&small_networks[i].network, (uint64_t)i);
        check_read_again(model, small_networks[i].name);
        attune_model_close(model);
    }
    attune_network most = published_network();
    most.layers = ATTUNE_LAYERS_MAX;
    most.hidden = 64;
    most.projection = most.embedding = most.attention = 1024;
    attune_model *model = random_model(&most, 5);
    check_read_again(model, "the most");
    attune_model_close(model);
}

Test(onnx_write, the_published_file_is_read_again_to_the_same_bits)
{
    char *path = shared_path("models/mecomp/audio_embedding_model.onnx");
    attune_model *model = NULL;
    size_t size = 0;
    assert_ok(attune_model_open(&model, path));
    check_read_again(model, "published");
    free(write_model(&size, model, 20));
    cr_assert(size < 900000, "%zu bytes, and the published file has 863,427", size);
    attune_model_close(model);
    free(path);
}

Test(onnx_write, what_cannot_be_written_is_refused)
{
    attune_model *model = random_model(find_network("tiny"), 1);
    const attune_onnx_options opset18 = {.opset = 18};
    size_t size = 0;
    void *bytes = &size;
    cr_assert_eq(attune_model_write_onnx(&bytes, &size, model, &opset18), ATTUNE_EINVAL);
    cr_assert_null(bytes);
    cr_assert(strstr(attune_last_error(), "opset 18"), "%s", attune_last_error());
    model->network.sample_rate = 44100;
    cr_assert_eq(attune_model_write_onnx(&bytes, &size, model, NULL), ATTUNE_EDATA);
    cr_assert(strstr(attune_last_error(), "44100 Hz"), "%s", attune_last_error());
    model->network.sample_rate = 22050;
    float *const spoilt[] = {&model->parameters.conv_weight[0][0],
                             &model->parameters.project2_bias[model->network.embedding - 1]};
    for (int i = 0; i < 2; i++) {
        const float good = *spoilt[i];
        *spoilt[i] = i ? INFINITY : NAN;
        cr_assert_eq(attune_model_write_onnx(&bytes, &size, model, NULL), ATTUNE_EDATA);
        cr_assert(strstr(attune_last_error(), "not finite"), "%s", attune_last_error());
        *spoilt[i] = good;
    }
    cr_assert_eq(attune_model_write_onnx(&bytes, &size, model, NULL), ATTUNE_OK);
    free(bytes);
    attune_model_close(model);
}

/* ---- beside ONNX Runtime ---- */

static const int batches[][2] = {{1, 30000}, {3, 9000}}; /* B and S */

/* The python3 that has onnx and onnxruntime: the one on PATH, or that of bench/peers. */
static const char *find_python(void)
{
    static const char *const pythons[] = {"python3", PEERS};
    for (size_t i = 0; i < sizeof(pythons) / sizeof(*pythons); i++) {
        if (run_command("%s -c 'import onnx, onnxruntime' >/dev/null 2>&1", pythons[i]) == 0) {
            return pythons[i];
        }
    }
    skip_test("no python3 with onnx and onnxruntime; bench/peers/onnx_runtime installs them");
}

/* The engine's embeddings of the same audio as ONNX Runtime's. */
static double compare(const attune_model *model, int name, const float *audio)
{
    const int E = model->network.embedding;
    double worst = 0;
    attune_engine *engine = NULL;
    const attune_engine_options options = {.device = "cpu", .precision = "exact"};
    cr_assert_eq(attune_engine_open(&engine, model, &options), ATTUNE_OK);
    for (size_t i = 0; i < sizeof(batches) / sizeof(*batches); i++) {
        char file[100];
        size_t size = 0;
        snprintf(file, sizeof(file), "%d-%d.f32", name, batches[i][0]);
        float *want = (float *)(void *)read_file(file, &size), got[1024];
        cr_assert_eq(size, (size_t)(batches[i][0] * E) * sizeof(float));
        for (int b = 0; b < batches[i][0]; b++) {
            attune_engine_begin(engine);
            cr_assert_eq(
                attune_engine_push(engine, audio + b * batches[i][1], (size_t)batches[i][1]),
                ATTUNE_OK);
            cr_assert_eq(attune_engine_finish(engine, got, NULL), ATTUNE_OK);
            for (int e = 0; e < E; e++) {
                const double error = fabs((double)got[e] - (double)want[b * E + e]);
                worst = error > worst || isnan(error) ? error : worst;
            }
        }
        free(want);
    }
    attune_engine_close(engine);
    return worst;
}

Test(onnx_write, onnx_runtime_gives_our_embeddings)
{
    const char *python = find_python();
    float audio[30000];
    uint64_t random = 11;
    random_fill(&random, audio, 30000, 0.5f);
    cr_assert_eq(chdir(temporary_folder()), 0);
    write_file("audio.f32", audio, sizeof(audio));
    for (int i = 0; i < small_network_count * OPSETS; i++) {
        attune_model *model = random_model(&small_networks[i / OPSETS].network, (uint64_t)i);
        char file[100];
        size_t size = 0;
        void *bytes = write_model(&size, model, opsets[i % OPSETS]);
        snprintf(file, sizeof(file), "%d.onnx", i);
        write_file(file, bytes, size);
        free(bytes);
        attune_model_close(model);
    }
    cr_assert_eq(run_command("%s '%s/onnx_run.py' . %d:%d %d:%d", python, FOLDER, batches[0][0],
                             batches[0][1], batches[1][0], batches[1][1]),
                 0);
    for (int i = 0; i < small_network_count * OPSETS; i++) {
        attune_model *model = random_model(&small_networks[i / OPSETS].network, (uint64_t)i);
        const double worst = compare(model, i, audio);
        cr_assert(worst < 1e-5, "%s, opset %d: differs by %g", small_networks[i / OPSETS].name,
                  opsets[i % OPSETS], worst);
        attune_model_close(model);
    }
}
