/* test_onnx.c - ONNX files that are to be read: the published one, and every network in every
 * spelling. */
#include "tests/model/networks.h"
#include "tests/model/onnx_spell.h"
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static attune_model *read_spelled(const attune_model *model, const spelling *how, const char *name)
{
    size_t size;
    attune_model *read = NULL;
    onnx_file *file = onnx_spell(model, how);
    uint8_t *bytes = onnx_file_pack(file, &size);
    attune_status status = attune_model_parse(&read, bytes, size, "folder/spelled.onnx");
    cr_assert_eq(status, ATTUNE_OK, "%s, %s: %s", name, how->name, attune_last_error());
    free(bytes);
    onnx_file_free(file);
    return read;
}

Test(onnx, every_network_in_every_spelling)
{
    for (int i = 0; i < small_network_count; i++) {
        const char *name = small_networks[i].name;
        attune_model *model = random_model(&small_networks[i].network, (uint64_t)i);
        for (int j = 0; j < spelling_count; j++) {
            attune_model *read = read_spelled(model, &spellings[j], name);
            check_network(&read->network, &model->network, name, spellings[j].name);
            check_parameters(read, model, spellings[j].batch_norm, name, spellings[j].name);
            cr_assert_str_eq(attune_model_name(read), "spelled.onnx");
            attune_model_close(read);
        }
        attune_model_close(model);
    }
}

Test(onnx, large_networks)
{
    static const struct {
        int hidden, layers, embedding;
    } sizes[] = {{256, 2, 128}, {128, 1, 16}, {1024, 1, 1024}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        attune_network network = published_network();
        network.hidden = sizes[i].hidden;
        network.layers = sizes[i].layers;
        network.embedding = sizes[i].embedding;
        attune_model *model = random_model(&network, i),
                     *read = read_spelled(model, &spellings[0], "large");
        check_network(&read->network, &network, "large", "plain");
        check_parameters(read, model, false, "large", "plain");
        attune_model_close(read);
        attune_model_close(model);
    }
}

/* A file may hold other graphs between nodes that are needed: gates must be read by use, in
 * whatever order the constants stand in the file. */
Test(onnx, names_and_the_order_of_constants_do_not_matter)
{
    attune_model *model = random_model(&small_networks[0].network, 9), *read;
    onnx_file *file = onnx_spell(model, &spellings[0]);
    size_t size, count = file->graph.n_initializer;
    for (size_t i = 0; i < count / 2; i++) {
        Onnx__TensorProto *swapped = file->graph.initializer[i];
        file->graph.initializer[i] = file->graph.initializer[count - 1 - i];
        file->graph.initializer[count - 1 - i] = swapped;
    }
    for (size_t i = 0; i < file->graph.n_node; i++) {
        file->graph.node[i]->name = i % 2 ? NULL : onnx_text(file, "the same name everywhere");
    }
    uint8_t *bytes = onnx_file_pack(file, &size);
    assert_ok(attune_model_parse(&read, bytes, size, "shuffled"));
    check_parameters(read, model, false, "tiny", "shuffled");
    attune_model_close(read);
    attune_model_close(model);
    free(bytes);
    onnx_file_free(file);
}

Test(onnx, biases_left_out_are_zero)
{
    static const struct {
        const char *op;
        int nth, input;
    } left_out[] = {{"Conv", 1, 2}, {"GRU", 0, 3}, {"Gemm", 0, 2}};
    attune_model *model = random_model(&small_networks[0].network, 4), *read;
    for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++) {
        onnx_file *file = onnx_spell(model, &spellings[0]);
        Onnx__NodeProto *node = onnx_find_node(file, left_out[i].op, left_out[i].nth);
        size_t size;
        cr_assert_eq((int)node->n_input, left_out[i].input + 1);
        node->n_input--;
        uint8_t *bytes = onnx_file_pack(file, &size);
        assert_ok(attune_model_parse(&read, bytes, size, "m"));
        cr_assert_eq(read->parameters.conv_bias[1][5] == 0, i == 0);
        cr_assert_eq(read->parameters.gru[0].bias_input[5] == 0, i == 1);
        cr_assert_eq(read->parameters.gru[0].bias_hidden[5] == 0, i == 1);
        cr_assert_eq(read->parameters.project1_bias[5] == 0, i == 2);
        attune_model_close(read);
        free(bytes);
        onnx_file_free(file);
    }
    attune_model_close(model);
}

Test(onnx, the_published_file)
{
    char *path = shared_path("models/mecomp/audio_embedding_model.onnx");
    attune_model *model = NULL;
    attune_network want = published_network();
    assert_ok(attune_model_open(&model, path));
    check_network(attune_model_network(model), &want, "published", "");
    cr_assert_str_eq(attune_model_sha256(model),
                     "b0fc2828d7496a274f091cc8b13e3a11fe045f2459f069e68b2ba19ddb6058b0");
    cr_assert_str_eq(attune_model_name(model), "audio_embedding_model.onnx");
    cr_assert_eq(attune_model_trainable_count(model), 213352);
    const attune_parameters *p = attune_model_parameters(model);
    const float depthwise[] = {-0.9640049338340759f, 1.2056138515472412f, -0.9071381688117981f,
                               -3.8003201484680176f, -0.41265490651130676f};
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(p->conv_weight[0][i], depthwise[i]);
    }
    cr_assert_eq(p->conv_bias[0][0], 0.049282461404800415f);
    cr_assert_eq(p->score_bias[0], 0.01983431912958622f);
    /* From the published checkpoint best_finetuned_model.pt, by PyTorch: the same element of gates
     * r, z and n. */
    const float input[] = {0.0208815336f, -0.0287224352f, 0.133005708f};
    const float hidden[] = {0.0170237161f, -0.070897527f, -0.0321298726f};
    const float input_bias[] = {-0.0331653617f, -0.251259357f, 0.0718977675f};
    const float hidden_bias[] = {-0.0629576147f, -0.0386371985f, -0.0682225451f};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(p->gru[0].weight_input[(128 * i + 7) * 64 + 3], input[i], "gate %d", i);
        cr_assert_eq(p->gru[1].weight_hidden[(128 * i + 7) * 128 + 3], hidden[i], "gate %d", i);
        cr_assert_eq(p->gru[0].bias_input[128 * i + 7], input_bias[i], "gate %d", i);
        cr_assert_eq(p->gru[1].bias_hidden[128 * i + 7], hidden_bias[i], "gate %d", i);
    }
    cr_assert_eq(p->attention_weight[2 * 128 + 5], -0.0616120361f);
    cr_assert_eq(p->project1_weight[2 * 128 + 5], 0.0765118003f);
    cr_assert_eq(p->project2_weight[2 * 128 + 5], -0.00906756334f);
    attune_model_close(model);
    free(path);
}
