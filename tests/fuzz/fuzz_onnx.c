/* fuzz_onnx.c - libFuzzer on the ONNX reader.
 *
 *   fuzz_onnx -max_len=65536 WORK_FOLDER tests/fuzz/corpus/onnx
 * The seeds are eight of the files that `test_model_files write` makes.
 *
 * Whatever the bytes, attune_model_parse() must return a whole model or one line that says why not.
 * Bytes flipped at random mostly hit weights or break the message, so every other mutation is made
 * in the unpacked graph: a node's operator, its inputs, an attribute, a tensor's shape. */
#include "model/onnx_reader.h"
#include "model/parameters.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t capacity, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t capacity);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    attune_model *model = NULL;
    attune_status status = attune_model_parse(&model, bytes, size, "fuzz");
    const char *message = attune_last_error();
    require((status == ATTUNE_OK) == (model != NULL));
    if (status != ATTUNE_OK) {
        require(status == ATTUNE_EDATA);
        require(strncmp(message, "fuzz: ", 6) == 0 && !strpbrk(message, "\n\r\033"));
        return 0;
    }
    const attune_parameters *p = attune_model_parameters(model);
    const attune_network *n = attune_model_network(model);
    for (int i = 0; i < n->hidden; i++) {
        require(isfinite(p->gru[0].bias_input[i]) && isfinite(p->project1_weight[i]));
    }
    require(strlen(attune_model_sha256(model)) == 64);
    attune_model_close(model);
    return 0;
}

static unsigned next(unsigned *state, size_t below)
{
    *state = *state * 1664525u + 1013904223u;
    return below ? (*state >> 8) % (unsigned)below : 0;
}

/* protobuf-c frees what a message points to, so pointers are exchanged and never copied. */
static void exchange(char **a, char **b)
{
    char *kept = *a;
    *a = *b;
    *b = kept;
}

static void mutate_attribute(Onnx__AttributeProto *attribute, unsigned *random)
{
    static const int64_t NUMBERS[] = {0,  1,  -1, 2,    3,         5,         7,
                                      13, 16, 64, 2048, INT32_MAX, INT64_MAX, INT64_MIN};
    int64_t number = NUMBERS[next(random, sizeof(NUMBERS) / sizeof(*NUMBERS))];
    Onnx__TensorProto *tensor = attribute->t;
    if (attribute->n_ints > 0) {
        attribute->ints[next(random, attribute->n_ints)] = number;
    } else if (!tensor) {
        attribute->i = number;
        attribute->f = (float)number;
    } else if (tensor->raw_data.len >= sizeof(number)) {
        memcpy(tensor->raw_data.data, &number, sizeof(number));
    }
}

static void mutate_graph(Onnx__GraphProto *graph, unsigned *random)
{
    Onnx__NodeProto *a = graph->node[next(random, graph->n_node)];
    Onnx__NodeProto *b = graph->node[next(random, graph->n_node)];
    Onnx__TensorProto *tensor =
        graph->n_initializer > 0 ? graph->initializer[next(random, graph->n_initializer)] : NULL;
    switch (next(random, 6)) {
    case 0:
        exchange(&a->op_type, &b->op_type);
        break;
    case 1:
        if (a->n_input > 0 && b->n_input > 0) {
            exchange(&a->input[next(random, a->n_input)], &b->input[next(random, b->n_input)]);
        }
        break;
    case 2:
        if (a->n_attribute > 0) {
            mutate_attribute(a->attribute[next(random, a->n_attribute)], random);
        }
        break;
    case 3:
        if (tensor && tensor->n_dims > 0) {
            tensor->dims[next(random, tensor->n_dims)] += (int64_t)next(random, 5) - 2;
        }
        break;
    case 4:
        if (tensor && tensor->raw_data.len == sizeof(int64_t)) {
            tensor->raw_data.data[next(random, 2) * 7] ^= (uint8_t)next(random, 256);
        }
        break;
    default:
        exchange(&a->output[0], &b->output[0]);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t capacity, unsigned seed)
{
    Onnx__ModelProto *model = NULL;
    if (seed % 4 != 0 && onnx_check_wire("fuzz", bytes, size) == ATTUNE_OK) {
        model = onnx__model_proto__unpack(NULL, size, bytes);
    }
    bool usable = model && model->graph && model->graph->n_node > 0;
    for (size_t i = 0; usable && i < model->graph->n_node; i++) {
        usable = model->graph->node[i]->n_output > 0;
    }
    size_t made = 0;
    if (usable) {
        for (unsigned i = 0; i <= seed % 3; i++) {
            mutate_graph(model->graph, &seed);
        }
        made = onnx__model_proto__get_packed_size(model);
        made = made <= capacity ? onnx__model_proto__pack(model, bytes) : 0;
    }
    onnx__model_proto__free_unpacked(model, NULL);
    return made ? made : LLVMFuzzerMutate(bytes, size, capacity);
}
