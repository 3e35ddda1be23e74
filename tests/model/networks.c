/* networks.c - networks with random parameters for the tests of src/model. */
#include "tests/model/networks.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TINY .architecture = ATTUNE_ARCHITECTURE_TINY, .sample_rate = 22050, .features = 64
#define BASELINE .architecture = ATTUNE_ARCHITECTURE_GRU, .sample_rate = 22050, .features = 128
#define ATTENTION(width) .pooling = ATTUNE_POOLING_ATTENTION, .attention = width
#define MEAN .pooling = ATTUNE_POOLING_MEAN
#define LAST .pooling = ATTUNE_POOLING_LAST
#define FRAMES(size, hop) .frame_size = size, .hop_size = hop
#define WIDTHS(h, l, p, e) .hidden = h, .layers = l, .projection = p, .embedding = e

const named_network small_networks[] = {
    {"tiny", {TINY, ATTENTION(16), FRAMES(2048, 2048), WIDTHS(16, 2, 16, 4)}},
    {"tiny-half-hop", {TINY, ATTENTION(16), FRAMES(2048, 1024), WIDTHS(16, 2, 16, 4)}},
    {"tiny-frame1024", {TINY, ATTENTION(16), FRAMES(1024, 1024), WIDTHS(16, 2, 16, 4)}},
    {"tiny-frame4096", {TINY, ATTENTION(16), FRAMES(4096, 2048), WIDTHS(16, 1, 16, 4)}},
    {"tiny-frame256", {TINY, ATTENTION(16), FRAMES(256, 128), WIDTHS(16, 1, 16, 4)}},
    {"tiny-widths", {TINY, ATTENTION(5), FRAMES(2048, 2048), WIDTHS(32, 1, 7, 3)}},
    {"tiny-embedding1", {TINY, ATTENTION(1), FRAMES(2048, 2048), WIDTHS(16, 1, 1, 1)}},
    {"tiny-mean", {TINY, MEAN, FRAMES(2048, 2048), WIDTHS(16, 2, 16, 8)}},
    {"tiny-last", {TINY, LAST, FRAMES(2048, 2048), WIDTHS(16, 2, 16, 4)}},
    {"tiny-last-1layer", {TINY, LAST, FRAMES(2048, 1024), WIDTHS(16, 1, 16, 4)}},
    {"tiny-4layers", {TINY, ATTENTION(16), FRAMES(2048, 2048), WIDTHS(16, 4, 16, 4)}},
    {"tiny-8layers", {TINY, LAST, FRAMES(2048, 2048), WIDTHS(16, 8, 16, 4)}},
    {"gru", {BASELINE, LAST, FRAMES(2048, 2048), WIDTHS(16, 2, 16, 4)}},
    {"gru-attention", {BASELINE, ATTENTION(16), FRAMES(1024, 512), WIDTHS(16, 1, 16, 4)}},
    {"gru-mean", {BASELINE, MEAN, FRAMES(4096, 4096), WIDTHS(48, 3, 16, 4)}},
};
const int small_network_count = sizeof(small_networks) / sizeof(*small_networks);

const attune_network *find_network(const char *name)
{
    for (int i = 0; i < small_network_count; i++) {
        if (strcmp(small_networks[i].name, name) == 0) {
            return &small_networks[i].network;
        }
    }
    cr_assert_fail("no network %s", name);
    abort();
}

attune_network published_network(void)
{
    return (attune_network){TINY, ATTENTION(128), FRAMES(2048, 2048), WIDTHS(128, 2, 128, 32)};
}

int list_parameters(parameter_array *out, const attune_model *model)
{
    const attune_network *n = &model->network;
    const attune_parameters *p = &model->parameters;
    size_t hidden = (size_t)n->hidden, attention = (size_t)n->attention;
    size_t projection = (size_t)n->projection, embedding = (size_t)n->embedding;
    int count = 0;
    for (int i = 0; i < 4; i++) {
        out[count++] = (parameter_array){"conv_weight", p->conv_weight[i],
                                         attune_conv_weight_count(n->architecture, i)};
        out[count++] = (parameter_array){"conv_bias", p->conv_bias[i],
                                         attune_conv_bias_count(n->architecture, i)};
    }
    for (int i = 0; i < n->layers; i++) {
        size_t inputs = (size_t)(i == 0 ? n->features : n->hidden);
        out[count++] =
            (parameter_array){"gru.weight_input", p->gru[i].weight_input, 3 * hidden * inputs};
        out[count++] =
            (parameter_array){"gru.weight_hidden", p->gru[i].weight_hidden, 3 * hidden * hidden};
        out[count++] = (parameter_array){"gru.bias_input", p->gru[i].bias_input, 3 * hidden};
        out[count++] = (parameter_array){"gru.bias_hidden", p->gru[i].bias_hidden, 3 * hidden};
    }
    out[count++] = (parameter_array){"attention_weight", p->attention_weight, attention * hidden};
    out[count++] = (parameter_array){"attention_bias", p->attention_bias, attention};
    out[count++] = (parameter_array){"score_weight", p->score_weight, attention};
    out[count++] = (parameter_array){"score_bias", p->score_bias, attention > 0};
    out[count++] = (parameter_array){"project1_weight", p->project1_weight, projection * hidden};
    out[count++] = (parameter_array){"project1_bias", p->project1_bias, projection};
    out[count++] = (parameter_array){"project2_weight", p->project2_weight, embedding * projection};
    out[count++] = (parameter_array){"project2_bias", p->project2_bias, embedding};
    return count;
}

void check_network(const attune_network *got, const attune_network *want, const char *name,
                   const char *spelled)
{
    cr_assert_eq(got->architecture, want->architecture, "%s, %s", name, spelled);
    cr_assert_eq(got->pooling, want->pooling, "%s, %s", name, spelled);
    const int pairs[][2] = {
        {got->sample_rate, want->sample_rate}, {got->frame_size, want->frame_size},
        {got->hop_size, want->hop_size},       {got->features, want->features},
        {got->hidden, want->hidden},           {got->layers, want->layers},
        {got->attention, want->attention},     {got->projection, want->projection},
        {got->embedding, want->embedding},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        cr_assert_eq(pairs[i][0], pairs[i][1], "%s, %s: field %zu is %d, not %d", name, spelled, i,
                     pairs[i][0], pairs[i][1]);
    }
}

/* Parameters must be the same bits. With batch normalisation, the builder rounds the unfolded
 * weight, the shift and the mean to f32, and the reader the folded value: four roundings of 2^-24
 * of numbers up to about 4. */
void check_parameters(const attune_model *got, const attune_model *want, bool folded,
                      const char *name, const char *spelled)
{
    parameter_array a[PARAMETER_ARRAYS_MAX], b[PARAMETER_ARRAYS_MAX];
    int count = list_parameters(a, got);
    cr_assert_eq(count, list_parameters(b, want));
    double worst = 0;
    for (int i = 0; i < count; i++) {
        for (size_t j = 0; j < a[i].count; j++) {
            bool convolution = strncmp(a[i].name, "conv", 4) == 0;
            double error = fabs((double)a[i].data[j] - (double)b[i].data[j]);
            cr_assert(folded && convolution ? error <= 1e-6 : a[i].data[j] == b[i].data[j],
                      "%s, %s: %s[%zu] is %.9g, not %.9g", name, spelled, a[i].name, j,
                      (double)a[i].data[j], (double)b[i].data[j]);
            worst = error > worst ? error : worst;
        }
    }
    if (folded) {
        cr_log_info("%s: worst folded parameter differs by %.3g", name, worst);
    }
}

attune_model *random_model(const attune_network *network, uint64_t seed)
{
    attune_model *model;
    parameter_array arrays[PARAMETER_ARRAYS_MAX];
    assert_ok(attune_model_create(&model, network, "random"));
    int count = list_parameters(arrays, model);
    for (int i = 0; i < count; i++) {
        random_fill(&seed, arrays[i].data, arrays[i].count, 0.5f);
    }
    return model;
}
