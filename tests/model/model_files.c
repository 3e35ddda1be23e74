/* model_files.c - the ONNX reader by hand, for tools/make_test_models.py.
 *
 *   test_model_files dump FILE      reads FILE; prints its network as one line of JSON, then all
 * parameters as f32 in the order of attune_parameters test_model_files write FOLDER   writes small
 * networks in every spelling that the tests read, as FOLDER/<network>@<spelling>.onnx */
#include "tests/model/networks.h"
#include "tests/model/onnx_spell.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int dump(const char *path)
{
    attune_model *model;
    if (attune_model_open(&model, path) != ATTUNE_OK) {
        fprintf(stderr, "%s\n", attune_last_error());
        return 1;
    }
    char text[512];
    puts(attune_network_json(attune_model_network(model), text, sizeof(text)));
    parameter_array arrays[PARAMETER_ARRAYS_MAX];
    int count = list_parameters(arrays, model);
    for (int i = 0; i < count; i++) {
        if (arrays[i].data) {
            fwrite(arrays[i].data, sizeof(float), arrays[i].count, stdout);
        }
    }
    attune_model_close(model);
    return 0;
}

static int write_all(const char *folder)
{
    for (int i = 0; i < small_network_count; i++) {
        attune_model *model = random_model(&small_networks[i].network, (uint64_t)i);
        for (int j = 0; j < spelling_count; j++) {
            char path[4096];
            size_t size;
            onnx_file *file = onnx_spell(model, &spellings[j]);
            uint8_t *bytes = onnx_file_pack(file, &size);
            snprintf(path, sizeof(path), "%s/%s@%s.onnx", folder, small_networks[i].name,
                     spellings[j].name);
            write_file(path, bytes, size);
            free(bytes);
            onnx_file_free(file);
        }
        attune_model_close(model);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "dump") == 0) {
        return dump(argv[2]);
    }
    if (argc == 3 && strcmp(argv[1], "write") == 0) {
        return write_all(argv[2]);
    }
    fprintf(stderr, "usage: %s dump FILE | write FOLDER\n", argv[0]);
    return 2;
}
