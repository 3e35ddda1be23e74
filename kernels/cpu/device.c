/* device.c - the CPU as a device: the front end and the sequence stage on one thread. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/fixed.h"
#include "kernels/cpu/simd.h"
#include "status/error.h"

#include <math.h>
#include <stdlib.h>

typedef struct cpu_context {
    attune_cpu_weights weights;
    attune_fixed fixed; /* precision fast, where it can be */
    float *frontend;    /* the front end's scratch */
    attune_cpu_sequence *sequence;
} cpu_context;

static void cpu_close(void *context)
{
    cpu_context *c = context;
    if (c) {
        attune_fixed_close(&c->fixed);
        ATTUNE_KERNEL(attune_sequence_close)(c->sequence);
        free(c->weights.arena);
        free(c->frontend);
        free(c);
    }
}

static attune_status allocate_frontend(cpu_context *c)
{
    const attune_network *n = &c->weights.network;
    const size_t count = n->architecture == ATTUNE_ARCHITECTURE_TINY
                             ? ATTUNE_KERNEL(attune_frontend_tiny_scratch)(n)
                             : ATTUNE_KERNEL(attune_frontend_gru_scratch)(n);
    c->frontend = attune_cpu_allocate(count);
    return c->frontend ? ATTUNE_OK
                       : attune_fail_memory("the network's scratch", count * sizeof(*c->frontend));
}

/* Opens with what `fixed` can do, or in f32 throughout if it is NULL, with the quick GELU or the
 * exact one. */
static attune_status open_with(void **context, const attune_model *model,
                               const attune_fixed_kernels *fixed, bool quick)
{
    *context = NULL;
    cpu_context *c = calloc(1, sizeof(*c));
    if (!c) {
        return attune_fail_memory("a CPU device", sizeof(*c));
    }
    const attune_cpu_layout layout = {
        .matvec_panel = ATTUNE_KERNEL(attune_gru_panel)(),
        .adders = ATTUNE_ADDERS,
        .quick = quick,
        .curves = W == 16,
        .product = fixed ? fixed->product : NULL,
    };
    attune_status status = attune_cpu_pack(&c->weights, model, layout);
    if (status == ATTUNE_OK) {
        status = allocate_frontend(c);
    }
    if (status == ATTUNE_OK) {
        status = ATTUNE_KERNEL(attune_sequence_open)(&c->sequence, &c->weights);
    }
    if (status == ATTUNE_OK) {
        status = attune_fixed_open(&c->fixed, fixed, model, &c->weights,
                                   ATTUNE_KERNEL(attune_frontend_tiny), c->frontend);
    }
    if (status != ATTUNE_OK) {
        cpu_close(c);
        return status;
    }
    *context = c;
    return ATTUNE_OK;
}

static attune_status cpu_frontend(void *context, float *features, const float *pcm, int F)
{
    cpu_context *c = context;
    if (c->fixed.kernels) {
        c->fixed.kernels->frontend(features, pcm, &c->fixed, F);
    } else if (c->weights.network.architecture == ATTUNE_ARCHITECTURE_TINY) {
        ATTUNE_KERNEL(attune_frontend_tiny)(features, pcm, &c->weights, c->frontend, F);
    } else {
        ATTUNE_KERNEL(attune_frontend_gru)(features, pcm, &c->weights, c->frontend, F);
    }
    return ATTUNE_OK;
}

static void cpu_begin(void *context, uint32_t slot)
{
    ATTUNE_KERNEL(attune_sequence_begin)(((cpu_context *)context)->sequence, slot);
}

static attune_status cpu_sequence(void *context, const float *features,
                                  const attune_segment *segments, uint32_t count)
{
    ATTUNE_KERNEL(attune_sequence_run)
    (((cpu_context *)context)->sequence, features, segments, count);
    return ATTUNE_OK;
}

static attune_status cpu_finish(void *context, float *embedding, uint32_t slot)
{
    return ATTUNE_KERNEL(attune_sequence_finish)(((cpu_context *)context)->sequence, embedding,
                                                 slot);
}

/* The embedding of TRIAL frames of noise from loud to silent. */
static attune_status embed_trial(void *context, float *embedding)
{
    enum { TRIAL = 8 };
    cpu_context *c = context;
    const attune_network *n = &c->weights.network;
    const attune_segment segment = {.count = TRIAL};
    const size_t samples = (size_t)(TRIAL - 1) * n->hop_size + n->frame_size;
    float *pcm = attune_cpu_allocate(samples);
    float *features = attune_cpu_allocate((size_t)TRIAL * n->features);
    attune_status status =
        pcm && features ? ATTUNE_OK : attune_fail_memory("a trial", samples * sizeof(*pcm));
    uint32_t state = 1;
    float loudness = 2;
    for (size_t i = 0; status == ATTUNE_OK && i < samples; i++) {
        pcm[i] = loudness * attune_fixed_noise(&state);
        loudness *= i % (size_t)n->hop_size == 0 ? 0.4f : 1.0f;
    }
    if (status == ATTUNE_OK) {
        cpu_frontend(c, features, pcm, TRIAL);
        cpu_begin(c, 0);
        cpu_sequence(c, features, &segment, 1);
        status = cpu_finish(c, embedding, 0);
    }
    free(pcm);
    free(features);
    return status;
}

/* Whether two contexts agree to a fifth of what precision fast promises, as this is only one track,
 * and what rounding makes of recurrent weights that are too large grows along it. The published
 * model's differ by 1.3e-5 in fixed point and by 4.9e-5 with the quick GELU. */
static attune_status compare_trials(bool *agree, void *a, void *b)
{
    const int E = ((cpu_context *)a)->weights.network.embedding;
    float *of_a = attune_cpu_allocate((size_t)E), *of_b = attune_cpu_allocate((size_t)E);
    attune_status status =
        of_a && of_b ? ATTUNE_OK : attune_fail_memory("a trial", (size_t)E * sizeof(*of_a));
    if (status == ATTUNE_OK) {
        status = embed_trial(a, of_a);
    }
    if (status == ATTUNE_OK) {
        status = embed_trial(b, of_b);
    }
    *agree = true;
    for (int e = 0; status == ATTUNE_OK && e < E; e++) {
        *agree &= fabsf(of_a[e] - of_b[e]) <= 1e-4f;
    }
    free(of_a);
    free(of_b);
    return status;
}

/* Precision fast is fixed point with vectors of 16 floats, and a quicker GELU with others. What it
 * makes of the model is compared with precision exact, which it gives way to where they differ. */
static attune_status cpu_open(void **context, const attune_model *model, attune_precision precision)
{
    void *exact = NULL;
    bool agree = true;
    if (precision != ATTUNE_PRECISION_FAST) {
        return open_with(context, model, NULL, false);
    }
    attune_status status = open_with(context, model, W == 16 ? attune_fixed_best() : NULL, W != 16);
    if (status == ATTUNE_OK) {
        status = open_with(&exact, model, NULL, false);
    }
    if (status == ATTUNE_OK) {
        status = compare_trials(&agree, *context, exact);
    }
    if (status != ATTUNE_OK) {
        cpu_close(*context);
        cpu_close(exact);
        *context = NULL;
        return status;
    }
    cpu_close(agree ? exact : *context);
    *context = agree ? *context : exact;
    return ATTUNE_OK;
}

#define ATTUNE_TEXT_(x) #x
#define ATTUNE_TEXT(x) ATTUNE_TEXT_(x)

const attune_kernels ATTUNE_KERNEL(attune_kernels) = {
    .device = "cpu",
    .detail = ATTUNE_TEXT(ATTUNE_ISA),
    .resampling = &ATTUNE_KERNEL(attune_resampling),
    .search = &ATTUNE_KERNEL(attune_search),
    .open = cpu_open,
    .close = cpu_close,
    .frontend = cpu_frontend,
    .begin = cpu_begin,
    .sequence = cpu_sequence,
    .finish = cpu_finish,
};
