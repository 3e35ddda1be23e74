/* test_onnx_hostile.c - files that are not ONNX, cut short, damaged, or made to do harm. */
#include "tests/model/networks.h"
#include "tests/model/onnx_spell.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_message(const char *beginning, const char *part)
{
    const char *message = attune_last_error();
    cr_assert_eq(strncmp(message, beginning, strlen(beginning)), 0, "%s", message);
    cr_assert_not_null(strstr(message, part), "'%s' is not in: %s", part, message);
    cr_assert_null(strchr(message, '\n'));
}

/* Parses a copy that ends where the memory ends, so that a read behind it is seen by a sanitizer. A
 * model that loads must be whole. */
static attune_status parse(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    attune_model *model = NULL;
    memcpy(copy, bytes, size);
    attune_status status = attune_model_parse(&model, copy, size, "hostile");
    free(copy);
    cr_assert_eq(status == ATTUNE_OK, model != NULL);
    if (status) {
        cr_assert_eq(status, ATTUNE_EDATA, "%d: %s", status, attune_last_error());
        check_message("hostile: ", "");
        return status;
    }
    parameter_array arrays[PARAMETER_ARRAYS_MAX];
    int count = list_parameters(arrays, model);
    for (int i = 0; i < count; i++) {
        for (size_t j = 0; j < arrays[i].count; j++) {
            cr_assert(isfinite(arrays[i].data[j]), "%s[%zu]", arrays[i].name, j);
        }
    }
    attune_model_close(model);
    return status;
}

Test(onnx_hostile, files_that_cannot_be_read)
{
    attune_model *model;
    char *missing = temporary_path("missing.onnx"), *empty = temporary_path("empty.onnx");
    char *text = temporary_path("text.onnx"), *pipe = temporary_path("pipe.onnx");
    cr_assert_eq(attune_model_open(&model, missing), ATTUNE_ENOINPUT);
    cr_assert_null(model);
    check_message(missing, "No such file");
    cr_assert_eq(attune_model_open(&model, ""), ATTUNE_ENOINPUT);
    cr_assert_eq(attune_model_open(&model, temporary_folder()), ATTUNE_EDATA);
    check_message(temporary_folder(), "a folder");
    write_file(empty, "", 0);
    cr_assert_eq(attune_model_open(&model, empty), ATTUNE_EDATA);
    check_message(empty, "empty");
    write_file(text, "the quick brown fox\njumps over the lazy dog\n", 44);
    cr_assert_eq(attune_model_open(&model, text), ATTUNE_EDATA);
    check_message(text, "not an ONNX");
    cr_assert_eq(mkfifo(pipe, 0600), 0);
    cr_assert_eq(attune_model_open(&model, pipe), ATTUNE_EDATA);
    check_message(pipe, "not a regular file");
    cr_assert_null(model);
    free(missing);
    free(empty);
    free(text);
    free(pipe);
}

Test(onnx_hostile, a_huge_file_is_refused_unread)
{
    attune_model *model;
    char *path = temporary_path("huge.onnx");
    write_file(path, "x", 1);
    cr_assert_eq(truncate(path, (off_t)1 << 40), 0);
    cr_assert_eq(attune_model_open(&model, path), ATTUNE_EDATA);
    check_message(path, "1048576 MiB");
    free(path);
}

Test(onnx_hostile, names_in_messages_stay_on_one_line)
{
    attune_model *model;
    cr_assert_eq(attune_model_parse(&model, "\x08\xff", 2, "a\nb\x1b[2Jc"), ATTUNE_EDATA);
    cr_assert_null(strpbrk(attune_last_error(), "\n\x1b"));
}

Test(onnx_hostile, the_published_file_cut_short)
{
    char *path = shared_path("models/mecomp/audio_embedding_model.onnx");
    size_t size;
    uint8_t *bytes = (uint8_t *)read_file(path, &size);
    for (size_t i = 0; i < 500; i++) {
        const size_t lengths[] = {i, size - 1 - i, size / 500 * i};
        for (int j = 0; j < 3; j++) {
            cr_assert_neq(parse(bytes, lengths[j]), ATTUNE_OK, "cut to %zu bytes", lengths[j]);
        }
    }
    cr_assert_eq(parse(bytes, size), ATTUNE_OK);
    free(bytes);
    free(path);
}

/* A small network, in a spelling with many operators, and with many flips in the parts that are not
 * weights. */
Test(onnx_hostile, flipped_bits)
{
    uint64_t random = 7;
    size_t loaded = 0;
    for (int spelled = 0; spelled < spelling_count; spelled++) {
        attune_model *model =
            random_model(&small_networks[spelled % small_network_count].network, 1);
        onnx_file *file = onnx_spell(model, &spellings[spelled]);
        size_t size;
        uint8_t *bytes = onnx_file_pack(file, &size);
        for (int i = 0; i < 150; i++) {
            size_t at[4];
            for (int j = 0; j <= i % 4; j++) {
                /* Nodes come before the initialisers, in the first kilobytes. */
                at[j] = random_bits(&random) % (i % 3 ? size : size < 6000 ? size : 6000);
                bytes[at[j]] ^= (uint8_t)(1u << random_bits(&random) % 8);
            }
            uint8_t *damaged = malloc(size);
            memcpy(damaged, bytes, size);
            loaded += parse(damaged, size) == ATTUNE_OK;
            free(damaged);
            free(bytes);
            bytes = onnx_file_pack(file, &size);
        }
        free(bytes);
        onnx_file_free(file);
        attune_model_close(model);
    }
    cr_log_info("%zu damaged files were still networks of ours", loaded);
    cr_assert(loaded > 100, "most flips hit a weight, so the damage may not all be refused: %zu",
              loaded);
}

/* tag 7 (graph) > tag 1 (node) > tag 5 (attribute) > tag 6 (graph) > ... : each level is a
 * length-prefixed field. */
static uint8_t *nested(size_t levels, size_t *size)
{
    static const uint8_t TAGS[] = {(1 << 3) | 2, (5 << 3) | 2, (6 << 3) | 2};
    size_t capacity = levels * 6 + 16, at = capacity;
    uint8_t *bytes = malloc(capacity);
    for (size_t i = 0; i <= levels; i++) {
        uint64_t length = capacity - at;
        uint8_t varint[10];
        int digits = 0;
        do {
            varint[digits++] = (uint8_t)((length & 127) | (length > 127 ? 128 : 0));
            length >>= 7;
        } while (length);
        at -= (size_t)digits;
        memcpy(bytes + at, varint, (size_t)digits);
        bytes[--at] = i == levels ? (7 << 3) | 2 : TAGS[(levels - 1 - i) % 3];
    }
    *size = capacity - at;
    memmove(bytes, bytes + at, *size);
    return bytes;
}

Test(onnx_hostile, deep_nesting_does_not_end_the_stack)
{
    const size_t depths[] = {3, 30, 3000, 3000000};
    for (size_t i = 0; i < sizeof(depths) / sizeof(*depths); i++) {
        size_t size;
        uint8_t *bytes = nested(depths[i], &size);
        cr_assert_neq(parse(bytes, size), ATTUNE_OK);
        cr_assert_eq(strstr(attune_last_error(), "nested too deep") != NULL, depths[i] > 20, "%s",
                     attune_last_error());
        free(bytes);
    }
}

Test(onnx_hostile, many_small_parts_do_not_end_the_memory)
{
    /* A graph of empty nodes: two bytes each, unpacked a hundred. */
    size_t count = 4000000, size = 2 * count + 5;
    uint8_t *bytes = malloc(size);
    bytes[0] = (7 << 3) | 2;
    for (int i = 0; i < 4; i++) {
        bytes[1 + i] = (uint8_t)(((2 * count) >> (7 * i) & 127) | (i < 3 ? 128 : 0));
    }
    for (size_t i = 0; i < count; i++) {
        bytes[5 + 2 * i] = (1 << 3) | 2;
        bytes[6 + 2 * i] = 0;
    }
    cr_assert_neq(parse(bytes, size), ATTUNE_OK);
    check_message("hostile: ", "too many parts");
    free(bytes);
}

/* A chain of constants, each twice the one before: a short file that would be 80 GB of real memory.
 */
Test(onnx_hostile, a_graph_cannot_ask_for_more_memory_than_a_network)
{
    attune_model *model = random_model(&small_networks[0].network, 1);
    onnx_file *file = onnx_spell(model, &spellings[0]);
    size_t index = onnx_find_index(file, "GRU", 1), size;
    const char *weight = file->graph.node[index]->input[2];
    for (size_t i = 0; i < 24; i++) {
        Onnx__NodeProto *node = onnx_insert(file, index + i, "Concat", weight);
        char **twice = onnx_file_allocate(file, 2 * sizeof(char *));
        twice[0] = twice[1] = node->input[0];
        node->input = twice;
        node->n_input = 2;
        file->last = node;
        onnx_set_int(file, "axis", 1);
        weight = node->output[0];
    }
    uint8_t *bytes = onnx_file_pack(file, &size);
    cr_assert_neq(parse(bytes, size), ATTUNE_OK);
    check_message("hostile: ", "more memory than any");
    free(bytes);
    onnx_file_free(file);
    attune_model_close(model);
}
