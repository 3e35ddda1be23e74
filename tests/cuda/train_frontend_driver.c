/* train_frontend_driver.c - see train_frontend_driver.h. */
#include "tests/cuda/train_frontend_driver.h"

#include "kernels/cuda/train_frontend.h"

#include <criterion/criterion.h>
#include <cuda_runtime_api.h>
#include <string.h>

enum { FEATURES, STATISTICS, GRADIENTS, PARAMETERS, FEATURE_GRADIENTS, SAMPLES, ARRAYS };

static void check(int error)
{
    cr_assert_eq(error, (int)cudaSuccess, "%s", cudaGetErrorString((cudaError_t)error));
}

/* The host's arrays and their twins on the device. */
typedef struct device {
    cudaStream_t stream;
    float *host[ARRAYS], *device[ARRAYS];
    size_t bytes[ARRAYS];
    attune_cuda_train_frontend frontend;
} device;

static void copy(const device *d, int first, int last, enum cudaMemcpyKind kind)
{
    for (int i = first; i <= last; i++) {
        const bool down = kind == cudaMemcpyHostToDevice;
        check(cudaMemcpyAsync(down ? d->device[i] : d->host[i], down ? d->host[i] : d->device[i],
                              d->bytes[i], kind, d->stream));
    }
}

/* `spare`: groups and frames that no call uses. */
static device open_device(const train_problem *p, const train_answer *a, bool frozen, int spare)
{
    const attune_trainable *t = &p->trainable;
    const size_t features = (size_t)TRAIN_GROUPS * p->F * t->network.features;
    device d = {
        .host = {a->features, a->statistics, a->gradients, p->parameters, p->feature_gradients,
                 p->samples},
        .bytes = {features, t->statistic_count, t->parameter_count, t->parameter_count, features,
                  (size_t)TRAIN_GROUPS * p->clips * p->S},
        .frontend = {.trainable = t,
                     .frames = p->F + spare,
                     .groups = TRAIN_GROUPS + spare,
                     .frozen = frozen},
    };
    check(cudaStreamCreateWithPriority(&d.stream, cudaStreamNonBlocking, 0));
    for (int i = 0; i < ARRAYS; i++) {
        void *memory = NULL;
        d.bytes[i] *= sizeof(float);
        check(cudaMalloc(&memory, d.bytes[i]));
        d.device[i] = memory;
    }
    check(cudaMalloc(&d.frontend.memory, attune_cuda_train_frontend_bytes(&d.frontend)));
    return d;
}

static void close_device(device *d)
{
    for (int i = 0; i < ARRAYS; i++) {
        check(cudaFree(d->device[i]));
    }
    check(cudaFree(d->frontend.memory));
    check(cudaStreamDestroy(d->stream));
}

/* Forward for all groups, then backward, the last group first. */
static void run(const device *d, const train_problem *p)
{
    const size_t group = (size_t)p->F * p->trainable.network.features;
    attune_cuda_clips clips[TRAIN_GROUPS];
    for (int g = 0; g < TRAIN_GROUPS; g++) {
        clips[g] = (attune_cuda_clips){d->device[SAMPLES] + (size_t)g * p->clips * p->S, p->S,
                                       p->clips, p->T};
        check(attune_cuda_train_frontend_forward(d->stream, d->device[FEATURES] + g * group,
                                                 d->device[STATISTICS], &d->frontend,
                                                 d->device[PARAMETERS], &clips[g], g));
    }
    for (int g = TRAIN_GROUPS - 1; g >= 0 && !d->frontend.frozen; g--) {
        check(attune_cuda_train_frontend_backward(d->stream, d->device[GRADIENTS], &d->frontend,
                                                  d->device[FEATURE_GRADIENTS] + g * group,
                                                  d->device[PARAMETERS], &clips[g], g));
    }
}

static train_answer solve(const train_problem *p, bool frozen, int spare)
{
    train_answer a = train_answer_make(p);
    device d = open_device(p, &a, frozen, spare);
    copy(&d, STATISTICS, SAMPLES, cudaMemcpyHostToDevice);
    run(&d, p);
    copy(&d, FEATURES, GRADIENTS, cudaMemcpyDeviceToHost);
    check(cudaStreamSynchronize(d.stream));
    close_device(&d);
    return a;
}

void driver_check_train_frontend(train_shape shape, bool frozen)
{
    train_problem p = train_problem_make(shape);
    train_answer a = solve(&p, frozen, 0), b = solve(&p, frozen, 1);
    train_answer_check(&a, &p, "cuda", frozen);
    train_answer_check_same(&a, &b, &p);
    if (frozen) {
        cr_assert_eq(
            memcmp(a.statistics, p.statistics, p.trainable.statistic_count * sizeof(float)), 0);
    }
    train_answer_free(&a);
    train_answer_free(&b);
    train_problem_free(&p);
}
