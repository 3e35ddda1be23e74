/* onnx_network.c - from the chain of contents behind the embedding to a model.
 *
 * Here ONNX's layouts become those of parameters.h: batch normalisation is folded into the
 * convolution before it (in double), a GRU's gates go from z, r, h to r, z, n, and linear weights
 * become (out, in). */
#include "model/onnx_reader.h"

#include <math.h>
#include <string.h>

/* `normalised` is the batch normalisation behind the convolution, or NULL. */
static attune_status collect_convolution(reader *r, attune_model *model, const content *from,
                                         const content *normalised)
{
    const tensor *const *p = normalised ? normalised->parameter : NULL;
    size_t outputs = attune_conv_bias_count(model->network.architecture, from->index);
    size_t fan_in = attune_conv_weight_count(model->network.architecture, from->index) / outputs;
    float *weight = model->parameters.conv_weight[from->index];
    float *bias = model->parameters.conv_bias[from->index];
    bool finite = true;
    for (size_t i = 0; i < outputs; i++) {
        double scale = p ? p[0]->data[i] / sqrt(p[3]->data[i] + normalised->number) : 1;
        double shift = from->parameter[1] ? from->parameter[1]->data[i] : 0;
        shift = p ? (shift - p[2]->data[i]) * scale + p[1]->data[i] : shift;
        for (size_t j = 0; j < fan_in; j++) {
            weight[i * fan_in + j] = (float)(from->parameter[0]->data[i * fan_in + j] * scale);
            finite = finite && isfinite(weight[i * fan_in + j]);
        }
        bias[i] = (float)shift;
        finite = finite && isfinite(bias[i]);
    }
    r->node = normalised ? normalised->node : from->node;
    return finite ? ATTUNE_OK
                  : onnx_refuse(r, "folds into the convolution as values that are not finite");
}

static void collect_gru(attune_model *model, const content *from)
{
    size_t hidden = (size_t)model->network.hidden;
    attune_gru_parameters *gru = &model->parameters.gru[from->network.layers - 1];
    attune_gates_swap(gru->weight_input, from->parameter[0]->data, hidden,
                      (size_t)from->parameter[0]->dims[2]);
    attune_gates_swap(gru->weight_hidden, from->parameter[1]->data, hidden, hidden);
    if (from->parameter[2]) {
        attune_gates_swap(gru->bias_input, from->parameter[2]->data, hidden, 1);
        attune_gates_swap(gru->bias_hidden, from->parameter[2]->data + 3 * hidden, hidden, 1);
    }
}

static void collect_linear(float *weight, float *bias, const content *from)
{
    const tensor *in = from->parameter[0];
    size_t inputs = (size_t)in->dims[!from->transposed],
           outputs = (size_t)in->dims[from->transposed];
    for (size_t i = 0; i < outputs; i++) {
        for (size_t j = 0; j < inputs; j++) {
            weight[i * inputs + j] = in->data[from->transposed ? j * outputs + i : i * inputs + j];
        }
    }
    if (from->parameter[1]) {
        memcpy(bias, from->parameter[1]->data, outputs * sizeof(float));
    }
}

attune_status onnx_collect(reader *r, attune_model **out, const content *embedding)
{
    attune_model *model;
    attune_status status = attune_model_create(&model, &embedding->network, r->path);
    if (status) {
        return status;
    }
    attune_parameters *p = &model->parameters;
    const content *normalised = NULL;
    for (const content *at = embedding; !status && at; at = at->from) {
        switch (at->kind) {
        case CONTENT_NORMALISED:
            normalised = at;
            break;
        case CONTENT_CONVOLVED:
            status = collect_convolution(r, model, at, normalised);
            normalised = NULL;
            break;
        case CONTENT_STATES:
            collect_gru(model, at);
            break;
        case CONTENT_INNER:
            collect_linear(p->attention_weight, p->attention_bias, at);
            break;
        case CONTENT_SCORE:
            collect_linear(p->score_weight, p->score_bias, at);
            break;
        case CONTENT_PROJECTED:
            collect_linear(p->project1_weight, p->project1_bias, at);
            break;
        case CONTENT_RAW:
            collect_linear(p->project2_weight, p->project2_bias, at);
            break;
        default:
            break;
        }
    }
    if (status) {
        attune_model_close(model);
        return status;
    }
    *out = model;
    return ATTUNE_OK;
}
