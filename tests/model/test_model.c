/* test_model.c - a network's bounds, counts and memory. */
#include "tests/model/networks.h"

#include <criterion/criterion.h>
#include <string.h>

Test(model, published_counts)
{
    attune_model *model = NULL;
    attune_network network = published_network();
    cr_assert_eq(attune_model_create(&model, &network, "/a/b/published"), ATTUNE_OK);
    cr_assert_eq(attune_model_trainable_count(model), 213352);
    cr_assert_eq(attune_model_parameter_count(model), 213352 - 129);
    cr_assert_str_eq(attune_model_name(model), "published");
    attune_model_close(model);
    network.architecture = ATTUNE_ARCHITECTURE_GRU;
    network.features = 128;
    network.pooling = ATTUNE_POOLING_LAST;
    network.attention = 0;
    cr_assert_eq(attune_model_create(&model, &network, "baseline"), ATTUNE_OK);
    cr_assert_eq(attune_model_trainable_count(model), 260768);
    attune_model_close(model);
    attune_model_close(NULL);
}

Test(model, arrays_are_apart_aligned_and_zero)
{
    for (int i = 0; i < small_network_count; i++) {
        attune_model *model;
        parameter_array arrays[PARAMETER_ARRAYS_MAX];
        cr_assert_eq(attune_model_create(&model, &small_networks[i].network, "m"), ATTUNE_OK);
        int count = list_parameters(arrays, model);
        uint64_t total = 0;
        const float *end = model->arena;
        for (int j = 0; j < count; j++) {
            cr_assert_eq(arrays[j].data == NULL, arrays[j].count == 0, "%s %s",
                         small_networks[i].name, arrays[j].name);
            total += arrays[j].count;
            if (arrays[j].data) {
                cr_assert_eq((uintptr_t)arrays[j].data % 64, 0);
                cr_assert(arrays[j].data >= end, "%s %s", small_networks[i].name, arrays[j].name);
                end = arrays[j].data + arrays[j].count;
            }
            for (size_t k = 0; k < arrays[j].count; k++) {
                cr_assert_eq(arrays[j].data[k], 0.0f);
            }
        }
        cr_assert_eq(total, attune_model_parameter_count(model));
        attune_model_close(model);
    }
}

Test(model, networks_out_of_bounds)
{
    static const struct {
        const char *name;
        size_t offset;
        int value;
    } wrong[] = {
        {"architecture", offsetof(attune_network, architecture), 2},
        {"pooling", offsetof(attune_network, pooling), 3},
        {"sample_rate", offsetof(attune_network, sample_rate), 0},
        {"frame_size", offsetof(attune_network, frame_size), 0},
        {"frame_size", offsetof(attune_network, frame_size), 2047},
        {"frame_size", offsetof(attune_network, frame_size), 16640},
        {"hop_size", offsetof(attune_network, hop_size), 512},
        {"features", offsetof(attune_network, features), 128},
        {"hidden", offsetof(attune_network, hidden), 0},
        {"hidden", offsetof(attune_network, hidden), 120},
        {"hidden", offsetof(attune_network, hidden), 1040},
        {"layers", offsetof(attune_network, layers), 0},
        {"layers", offsetof(attune_network, layers), 9},
        {"attention", offsetof(attune_network, attention), 0},
        {"attention", offsetof(attune_network, attention), 1025},
        {"projection", offsetof(attune_network, projection), 0},
        {"projection", offsetof(attune_network, projection), 1025},
        {"embedding", offsetof(attune_network, embedding), 0},
        {"embedding", offsetof(attune_network, embedding), 1025},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        attune_network network = published_network();
        attune_model *model = (void *)&network;
        memcpy((char *)&network + wrong[i].offset, &wrong[i].value, sizeof(int));
        cr_assert_eq(attune_model_create(&model, &network, "m"), ATTUNE_EINVAL, "%s %d",
                     wrong[i].name, wrong[i].value);
        cr_assert_null(model);
        cr_assert_not_null(strstr(attune_last_error(), wrong[i].name), "%s", attune_last_error());
    }
}

Test(model, frames)
{
    static const struct {
        int frame, hop;
        uint64_t samples, frames;
    } cases[] = {
        {2048, 2048, 0, 1},
        {2048, 2048, 2047, 1},
        {2048, 2048, 2048, 1},
        {2048, 2048, 4095, 1},
        {2048, 2048, 4096, 2},
        {2048, 1024, 3071, 1},
        {2048, 1024, 3072, 2},
        {1024, 1024, 10240, 10},
        {2048, 2048, 661500, 322},
        {4096, 2048, 10000, 3},
        {2048, 2048, UINT64_MAX, UINT64_MAX / 2048},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        attune_network network = published_network();
        network.frame_size = cases[i].frame;
        network.hop_size = cases[i].hop;
        cr_assert_eq(attune_network_frames(&network, cases[i].samples), cases[i].frames, "case %zu",
                     i);
    }
}

Test(model, names)
{
    cr_assert_str_eq(attune_architecture_name(ATTUNE_ARCHITECTURE_TINY), "AudioEmbeddingTiny");
    cr_assert_str_eq(attune_architecture_name(ATTUNE_ARCHITECTURE_GRU), "AudioEmbeddingGRU");
    cr_assert_str_eq(attune_pooling_name(ATTUNE_POOLING_ATTENTION), "attention");
    cr_assert_str_eq(attune_pooling_name(ATTUNE_POOLING_MEAN), "mean");
    cr_assert_str_eq(attune_pooling_name(ATTUNE_POOLING_LAST), "last");
}
