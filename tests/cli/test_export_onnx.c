/* test_export_onnx.c - `attune export` and `attune info` of checkpoints, and published checkpoints
 * of PyTorch on the way through tools/import-checkpoint. */
#include "attune/engine.h"
#include "model/trainable.h"
#include "store/checkpoint.h"
#include "tests/model/networks.h"
#include "tests/store/store_support.h"
#include "tests/support/command.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *attune;

/* Runs `attune ARGUMENTS >out`: its exit code must be `code`, and its messages hold `text`. */
static void run(int code, const char *text, const char *arguments)
{
    check_command(code, text, "%s %s", attune, arguments);
}

/* best.h5, of random parameters. */
static attune_checkpoint *write_checkpoint(const char *network, bool with_moments)
{
    attune_checkpoint *c = NULL;
    assert_ok(attune_checkpoint_create(&c, find_network(network), with_moments));
    attune_trainable_initialise(c->parameters, c->statistics, &c->trainable, 5);
    assert_ok(attune_checkpoint_set_integer(c, "epoch", 12));
    assert_ok(attune_checkpoint_set_real(c, "best", -INFINITY));
    assert_ok(attune_checkpoint_set_text(c, "config", "two\nlines"));
    assert_ok(attune_checkpoint_write("best.h5", c));
    return c;
}

Test(export_onnx, a_checkpoint_is_exported_folded)
{
    attune = prepare_command();
    for (const char *const *name = (const char *const[]){"tiny", "gru-attention", NULL}; *name;
         name++) {
        attune_checkpoint *c = write_checkpoint(*name, false);
        attune_model *want = NULL, *got = NULL;
        assert_ok(attune_trainable_fold(&want, &c->trainable, c->parameters, c->statistics, "m"));
        run(0, "parameters -> m.onnx", "export best.h5 -o m.onnx --force");
        assert_ok(attune_model_open(&got, "m.onnx"));
        check_network(attune_model_network(got), attune_model_network(want), *name, "exported");
        check_parameters(got, want, false, *name, "exported");
        attune_model_close(got);
        run(0, "", "export best.h5 -o - -F onnx -q --opset 17 >piped.onnx");
        cr_assert_eq(run_command("! cmp -s piped.onnx m.onnx && ! grep -q Gelu piped.onnx"), 0);
        assert_ok(attune_model_open(&got, "piped.onnx"));
        check_parameters(got, want, false, *name, "piped");
        attune_model_close(got);
        run(0, "-> back.onnx", "export piped.onnx -o back.onnx --opset 20 --name m --force");
        cr_assert_eq(run_command("cmp back.onnx m.onnx"), 0);
        attune_model_close(want);
        attune_checkpoint_close(c);
    }
}

Test(export_onnx, mistakes)
{
    static const struct {
        int code;
        const char *text, *arguments;
    } cases[] = {
        {64, "--opset 18: not 17 or 20", "export best.h5 -o x.onnx --opset 18"},
        {64, "--opset and --name are for onnx", "export best.h5 -o x.npy --opset 17"},
        {64, "--opset and --name are for onnx", "export best.h5 -o x.csv --name x"},
        {64, "--all is for npy and csv", "export best.h5 -o x.onnx --all"},
        {64, "are for hdf5", "export best.h5 -o x.onnx -k 5"},
        {65, "is a checkpoint, which holds no vectors", "export best.h5 -o x.npy"},
        {65, "is an output of embeddings", "export out.h5 -o x.onnx"},
        {65, "text", "export text -o x.onnx"},
        {65, "half.h5", "export half.h5 -o x.onnx"},
        {66, "nowhere.h5", "export nowhere.h5 -o x.onnx"},
        {73, "best.h5: is a checkpoint of attune", "export best.h5 -F onnx -o best.h5 --force"},
        {73, "text: exists; --force replaces it", "export best.h5 -F onnx -o text"},
        {73, "there is no folder", "export best.h5 -o no/x.onnx"},
    };
    attune = prepare_command();
    attune_checkpoint_close(write_checkpoint("tiny", false));
    write_test_file("out.h5", 4, 3, 3);
    write_file("text", "mine", 4);
    cr_assert_eq(run_command("head -c 5000 best.h5 >half.h5; cp best.h5 copy.h5"), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        run(cases[i].code, cases[i].text, cases[i].arguments);
    }
    cr_assert_eq(
        run_command("(trap '' XFSZ; ulimit -f 1; %s export best.h5 -o x.onnx 2>err)", attune), 74);
    cr_assert_eq(run_command("grep -q 'x.onnx: cannot write: File too large' err && "
                             "cmp best.h5 copy.h5 && grep -qx mine text && "
                             "! ls -A | grep -E '^x|tmp'"),
                 0);
    if (access("/dev/full", W_OK) == 0) {
        run(74, "standard output: cannot write", "export best.h5 -F onnx -o - >/dev/full");
    }
}

Test(export_onnx, info_shows_a_checkpoint)
{
    attune = prepare_command();
    attune_checkpoint_close(write_checkpoint("tiny", true));
    run(0, "", "info best.h5");
    cr_assert_eq(run_command("grep -qx 'checkpoint      training can go on' out && "
                             "grep -qx 'epoch           12' out && "
                             "grep -qx 'best            -inf' out && "
                             "grep -qx 'config          two' out && "
                             "grep -qx '                lines' out"),
                 0);
    run(0, "", "info best.h5 --json");
    cr_assert_eq(run_command("python3 -c 'import json, sys\n"
                             "o = json.load(open(\"out\"))\n"
                             "s = dict(epoch=12, best=None, config=\"two\\nlines\")\n"
                             "sys.exit(o[\"state\"] != s or not o[\"optimiser\"])'"),
                 0);
    attune_checkpoint_close(write_checkpoint("tiny", false));
    run(0, "", "info best.h5");
    cr_assert_eq(run_command("grep -q 'for embedding alone' out"), 0);
    run(65, "an HDF5 file, not ONNX; attune export", "embed . -o a.h5 --model best.h5");
}

/* ---- published checkpoints ---- */

/* The python3 that tools/import-checkpoint takes, without installing anything. */
static const char *find_python(void)
{
    static const char *const pythons[] = {"python3", BUILD "/torch/bin/python"};
    for (size_t i = 0; i < sizeof(pythons) / sizeof(*pythons); i++) {
        if (run_command("%s -c 'import importlib.util as u, sys\n"
                        "sys.exit(not all(map(u.find_spec, (\"h5py\", \"torch\"))))' 2>/dev/null",
                        pythons[i]) == 0) {
            return pythons[i];
        }
    }
    skip_test("no python3 with torch and h5py; tools/import-checkpoint installs them");
}

static attune_model *import(const char *python, const char *file)
{
    attune_checkpoint *c = NULL;
    attune_model *model = NULL;
    char name[100];
    snprintf(name, sizeof(name), "models/mecomp/%s", file);
    char *path = shared_path(name);
    cr_assert_eq(
        run_command("%s '%s/import_checkpoint.py' '%s' -o imported.h5 2>err", python, TOOLS, path),
        0);
    assert_ok(attune_checkpoint_read(&c, "imported.h5"));
    cr_assert_null(c->moment1);
    assert_ok(attune_trainable_fold(&model, &c->trainable, c->parameters, c->statistics, file));
    attune_checkpoint_close(c);
    free(path);
    return model;
}

static void embed(float *out, const attune_model *model)
{
    attune_engine *engine = NULL;
    float audio[22050];
    uint64_t random = 1;
    random_fill(&random, audio, 22050, 0.5f);
    const attune_engine_options options = {.device = "cpu", .precision = "exact"};
    assert_ok(attune_engine_open(&engine, model, &options));
    assert_ok(attune_engine_push(engine, audio, 22050));
    assert_ok(attune_engine_finish(engine, out, NULL));
    attune_engine_close(engine);
}

/* The published ONNX file is the checkpoint after fine-tuning: the same numbers but for the
 * rounding of the folded convolutions, and the same embeddings. */
Test(export_onnx, a_published_checkpoint_becomes_the_published_model)
{
    attune = prepare_command();
    char *path = shared_path("models/mecomp/audio_embedding_model.onnx"),
         *checkpoint = shared_path("models/mecomp/best_model.pt");
    const char *python = find_python();
    attune_model *published = NULL, *model = NULL;
    parameter_array want[PARAMETER_ARRAYS_MAX], got[PARAMETER_ARRAYS_MAX];
    float a[32], b[32];
    assert_ok(attune_model_open(&published, path));
    embed(a, published);
    model = import(python, "best_finetuned_model.pt");
    check_network(attune_model_network(model), attune_model_network(published), "imported", "");
    const int count = list_parameters(want, published);
    cr_assert_eq(count, list_parameters(got, model));
    for (int i = 0; i < count; i++) {
        for (size_t j = 0; j < want[i].count; j++) {
            cr_assert(fabsf(want[i].data[j] - got[i].data[j]) <= 1e-6f, "%s[%zu] is %.9g, not %.9g",
                      want[i].name, j, (double)got[i].data[j], (double)want[i].data[j]);
        }
    }
    embed(b, model);
    for (int i = 0; i < 32; i++) {
        cr_assert(fabsf(a[i] - b[i]) < 1e-6f, "component %d differs by %g", i,
                  (double)fabsf(a[i] - b[i]));
    }
    cr_assert_eq(
        run_command("echo x >text && %s '%s/import_checkpoint.py' text -o imported.h5 2>err",
                    python, TOOLS),
        65);
    cr_assert_eq(
        run_command("%s -c \"import torch; s = torch.load('%s', 'cpu', weights_only=True); "
                    "s['config'] = {'frame_size': 'wide'}; torch.save(s, 'odd.pt')\" && "
                    "%s '%s/import_checkpoint.py' odd.pt -o imported.h5 2>err",
                    python, checkpoint, python, TOOLS),
        65);
    cr_assert_eq(run_command("grep -qx \"import-checkpoint: odd.pt: its config's frame_size is "
                             "'wide'\" err"),
                 0);
    cr_assert_eq(
        run_command("%s '%s/import_checkpoint.py' no.pt -o imported.h5 2>err", python, TOOLS), 66);
    cr_assert_eq(
        run_command("%s '%s/import_checkpoint.py' '%s' -o text 2>err", python, TOOLS, path), 73);
    attune_model_close(model);
    attune_model_close(published);
    free(checkpoint);
    free(path);
}
