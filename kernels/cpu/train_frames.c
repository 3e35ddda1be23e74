/* train_frames.c - passes over the frames of a group, and batch normalisation's arithmetic. */
#include "kernels/cpu/train_frontend.h"

#include "status/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RUN = 16 /* frames */ };

static int run_count(int F)
{
    return (F + RUN - 1) / RUN;
}

attune_status attune_frames_open(attune_frames *out, attune_team *team, int frames, size_t sums_max,
                                 size_t scratch_size)
{
    const size_t aligned = (scratch_size + 15) / 16 * 16;
    const size_t sums = ((size_t)run_count(frames) + 1) * sums_max,
                 scratch = (size_t)attune_team_threads(team) * aligned;
    *out = (attune_frames){.team = team, .sums_max = sums_max, .scratch_size = aligned};
    out->sums = malloc(sums * sizeof(double));
    out->scratch = attune_cpu_allocate(scratch);
    if (!out->sums || !out->scratch) {
        return attune_fail_memory("the front end's scratch",
                                  sums * sizeof(double) + scratch * sizeof(float));
    }
    return ATTUNE_OK;
}

void attune_frames_close(attune_frames *frames)
{
    free(frames->sums);
    free(frames->scratch);
}

typedef struct pass {
    attune_frames *frames;
    attune_frame_work *work;
    void *data;
    int F;
    size_t count;
} pass;

static void do_run(void *data, int run, int thread)
{
    const pass *p = data;
    double *sums = p->frames->sums + ((size_t)run + 1) * p->frames->sums_max;
    float *scratch = p->frames->scratch + (size_t)thread * p->frames->scratch_size;
    memset(sums, 0, p->count * sizeof(double));
    for (int f = run * RUN; f < (run + 1) * RUN && f < p->F; f++) {
        p->work(p->data, f, sums, scratch);
    }
}

const double *attune_frames_pass(attune_frames *frames, attune_frame_work *work, void *data, int F,
                                 size_t count)
{
    pass p = {frames, work, data, F, count};
    const int runs = run_count(F);
    attune_team_run(frames->team, do_run, &p, runs);
    memset(frames->sums, 0, count * sizeof(double));
    for (int r = 1; r <= runs; r++) {
        const double *sums = frames->sums + (size_t)r * frames->sums_max;
        for (size_t i = 0; i < count; i++) {
            frames->sums[i] += sums[i];
        }
    }
    return frames->sums;
}

/* ---- batch normalisation ---- */

static attune_train_norm make_norm(const attune_trainable_conv *conv, int c,
                                   const float *parameters, double mean, double variance,
                                   double count)
{
    const double inverse = 1 / sqrt(variance + (double)ATTUNE_BATCH_NORM_EPSILON);
    return (attune_train_norm){
        .mean = mean,
        .inverse = inverse,
        .gain = (double)parameters[conv->scale + c] * inverse,
        .shift = (double)parameters[conv->shift + c],
        .count = count,
    };
}

attune_train_norm attune_train_norm_batch(const attune_trainable_conv *conv, int c,
                                          const float *parameters, float *statistics, double sum,
                                          double squares, double count)
{
    const double momentum = 0.1, mean = sum / count,
                 variance = fmax(squares / count - mean * mean, 0);
    float *running_mean = &statistics[conv->mean + c],
          *running_variance = &statistics[conv->variance + c];
    *running_mean = (float)((1 - momentum) * (double)*running_mean + momentum * mean);
    *running_variance = (float)((1 - momentum) * (double)*running_variance +
                                momentum * variance * count / (count - 1));
    return make_norm(conv, c, parameters, mean, variance, count);
}

attune_train_norm attune_train_norm_frozen(const attune_trainable_conv *conv, int c,
                                           const float *parameters, const float *statistics)
{
    return make_norm(conv, c, parameters, (double)statistics[conv->mean + c],
                     (double)statistics[conv->variance + c], 1);
}

attune_train_denorm attune_train_norm_backward(const attune_train_norm *norm,
                                               const attune_trainable_conv *conv, int c,
                                               float *gradients, double sum, double product)
{
    const double scale_gradient = product * norm->inverse;
    gradients[conv->scale + c] += (float)scale_gradient;
    gradients[conv->shift + c] += (float)sum;
    return (attune_train_denorm){
        .gain = norm->gain,
        .constant = norm->gain * sum / norm->count,
        .slope = norm->gain * scale_gradient / norm->count * norm->inverse,
    };
}
