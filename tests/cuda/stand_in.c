/* stand_in.c - a CUDA runtime on the host, whose queues run in random order. */
#include "tests/cuda/stand_in.h"

#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS = 128, DEVICES = 2, STREAMS_MAX = 16, HEADER = 64 };

struct CUevent_st {
    int device;
    bool has_time;
    uint64_t recorded, reached; /* how often it was queued, and which of these has come */
    double time;
};

typedef struct operation {
    struct operation *next;
    enum { COPY, SET, KERNEL, RECORD, WAIT } kind;
    void *to;
    const void *from;
    size_t bytes;
    int value;
    void (*run)(const void *);
    _Alignas(16) char arguments[ARGUMENTS];
    cudaEvent_t event;
    uint64_t turn; /* of the event */
} operation;

struct CUstream_st {
    int device;
    operation *first, *last;
};

stand_in machine;
static cudaStream_t streams[STREAMS_MAX];
static int current_device;
static cudaError_t broken, last_error;

void stand_in_reset(uint64_t seed)
{
    machine = (stand_in){.devices = 1,
                         .driver = 13000,
                         .major = 9,
                         .memory = (size_t)1 << 30,
                         .seed = seed,
                         .tick = 1};
    current_device = 0;
    broken = last_error = cudaSuccess;
}

static cudaError_t say(cudaError_t error)
{
    if (error != cudaSuccess) {
        last_error = error;
    }
    return error;
}

/* What a call says before it does anything. */
static cudaError_t call(void)
{
    machine.calls++;
    if (machine.calls == machine.fail_at) {
        broken = machine.is_sticky ? machine.failure : broken;
        return say(machine.failure);
    }
    return say(broken);
}

static bool can_run(const operation *o)
{
    return o->kind != WAIT || o->event->reached >= o->turn;
}

static void run_operation(cudaStream_t stream)
{
    operation *o = stream->first;
    stream->first = o->next;
    machine.clock += machine.tick;
    if (++machine.operations == machine.fault_at) {
        broken = cudaErrorIllegalAddress;
    }
    if (broken == cudaSuccess) {
        if (o->kind == COPY) {
            memcpy(o->to, o->from, o->bytes);
        } else if (o->kind == SET) {
            memset(o->to, o->value, o->bytes);
        } else if (o->kind == KERNEL) {
            o->run(o->arguments);
        }
    }
    if (o->kind == RECORD) {
        o->event->reached = o->turn;
        o->event->time = machine.clock;
    }
    free(o);
}

/* Runs the head of one of the streams that can go on; false when none can. The streams are asked in
 * an order that stays for a while, so that one runs ahead and another is left behind. */
static bool run_one(void)
{
    static int order[STREAMS_MAX] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    if (random_bits(&machine.seed) % 12 == 0) {
        for (uint64_t i = STREAMS_MAX - 1; i > 0; i--) {
            const uint64_t other = random_bits(&machine.seed) % (i + 1);
            const int kept = order[i];
            order[i] = order[other];
            order[other] = kept;
        }
    }
    for (int i = 0; i < STREAMS_MAX; i++) {
        cudaStream_t stream = streams[order[i]];
        if (stream && stream->first && can_run(stream->first)) {
            run_operation(stream);
            return true;
        }
    }
    return false;
}

static cudaError_t queue(cudaStream_t stream, const operation *what)
{
    const cudaError_t error = call();
    if (error != cudaSuccess) {
        return error;
    }
    if (stream->device != current_device ||
        (what->event && what->event->device != current_device)) {
        return say(cudaErrorInvalidResourceHandle);
    }
    operation *o = malloc(sizeof(*o));
    cr_assert_not_null(o);
    *o = *what;
    o->next = NULL;
    if (stream->first) {
        stream->last->next = o;
    } else {
        stream->first = o;
    }
    stream->last = o;
    if (machine.is_eager) {
        cr_assert(run_one());
    } else if (random_bits(&machine.seed) % 16 == 0) {
        for (uint64_t i = random_bits(&machine.seed) % 16; i > 0; i--) {
            run_one();
        }
    }
    return cudaSuccess;
}

cudaError_t stand_in_launch(cudaStream_t stream, void (*run)(const void *arguments),
                            const void *arguments, size_t bytes)
{
    operation o = {.kind = KERNEL, .run = run};
    cr_assert_leq(bytes, ARGUMENTS);
    memcpy(o.arguments, arguments, bytes);
    return queue(stream, &o);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    (void)kind;
    const operation o = {.kind = COPY, .to = to, .from = from, .bytes = bytes};
    return queue(stream, &o);
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream)
{
    const operation o = {.kind = SET, .to = to, .value = value, .bytes = bytes};
    return queue(stream, &o);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    const operation o = {.kind = RECORD, .event = event, .turn = event->recorded + 1};
    const cudaError_t error = queue(stream, &o);
    event->recorded += error == cudaSuccess;
    return error;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    (void)flags;
    const operation o = {.kind = WAIT, .event = event, .turn = event->recorded};
    return queue(stream, &o);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    const cudaError_t error = call();
    while (stream->first) {
        cr_assert(run_one(), "the streams wait for each other");
    }
    return error == cudaSuccess ? say(broken) : error;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    const cudaError_t error = call();
    if (error != cudaSuccess) {
        return error;
    }
    while (event->reached < event->recorded && broken == cudaSuccess) {
        cr_assert(run_one(), "the streams wait for each other");
    }
    return say(broken);
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    const cudaError_t error = call();
    return error ? error : event->reached < event->recorded ? say(cudaErrorNotReady) : cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to)
{
    const cudaError_t error = call();
    if (error != cudaSuccess) {
        return error;
    }
    if (!from->has_time || !to->has_time || !from->recorded || !to->recorded) {
        return say(cudaErrorInvalidResourceHandle);
    }
    if (from->reached < from->recorded || to->reached < to->recorded) {
        return say(cudaErrorNotReady);
    }
    *milliseconds = (float)(to->time - from->time);
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    const cudaError_t error = call();
    if (error != cudaSuccess) {
        return error;
    }
    *event = calloc(1, sizeof(**event));
    cr_assert_not_null(*event);
    (*event)->device = current_device;
    (*event)->has_time = !(flags & cudaEventDisableTiming);
    machine.live++;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    free(event);
    machine.live--;
    return call();
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority)
{
    const cudaError_t error = call();
    cr_assert_eq(flags, (unsigned)cudaStreamNonBlocking);
    cr_assert(priority <= 0 && priority >= -5);
    for (int i = 0; i < STREAMS_MAX && error == cudaSuccess; i++) {
        if (!streams[i]) {
            *stream = streams[i] = calloc(1, sizeof(**stream));
            cr_assert_not_null(*stream);
            (*stream)->device = current_device;
            machine.live++;
            return cudaSuccess;
        }
    }
    return error ? error : say(cudaErrorMemoryAllocation);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    return cudaStreamCreateWithPriority(stream, flags, 0);
}

/* What is still queued on a broken device never runs. */
cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    for (operation *o = stream->first, *next; o; o = next) {
        next = o->next;
        free(o);
    }
    for (int i = 0; i < STREAMS_MAX; i++) {
        streams[i] = streams[i] == stream ? NULL : streams[i];
    }
    free(stream);
    machine.live--;
    return call();
}

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    const cudaError_t error = call();
    if (error != cudaSuccess) {
        return error;
    }
    if (bytes > machine.memory - machine.taken) {
        return say(cudaErrorMemoryAllocation);
    }
    char *block = aligned_alloc(HEADER * 4, (bytes + HEADER * 5 - 1) / (HEADER * 4) * (HEADER * 4) +
                                                HEADER * 4);
    cr_assert_not_null(block);
    memset(block, 0xff, bytes + HEADER * 4); /* NaN */
    memcpy(block, &bytes, sizeof(bytes));
    machine.taken += bytes;
    machine.peak = machine.taken > machine.peak ? machine.taken : machine.peak;
    machine.live++;
    *memory = block + HEADER * 4;
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    size_t bytes = 0;
    char *block = (char *)memory - HEADER * 4;
    memcpy(&bytes, block, sizeof(bytes));
    machine.taken -= bytes;
    machine.live--;
    free(block);
    return call();
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned flags)
{
    const cudaError_t error = call();
    cr_assert_eq(flags, (unsigned)cudaHostAllocDefault);
    if (error == cudaSuccess) {
        *memory = malloc(bytes ? bytes : 1);
        cr_assert_not_null(*memory);
        machine.live++;
    }
    return error;
}

cudaError_t cudaFreeHost(void *memory)
{
    free(memory);
    machine.live--;
    return call();
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = machine.driver;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    const cudaError_t error = call();
    *count = 0;
    if (error != cudaSuccess || machine.start != cudaSuccess) {
        return error ? error : say(machine.start);
    }
    *count = machine.devices;
    return machine.devices ? cudaSuccess : say(cudaErrorNoDevice);
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device)
{
    const cudaError_t error = call();
    (void)attribute;
    cr_assert_lt(device, machine.devices);
    if (error == cudaSuccess) {
        *value = machine.major;
    }
    return error;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    const cudaError_t error = call();
    cr_assert_lt(device, machine.devices);
    *properties = (struct cudaDeviceProp){.name = "Stand-in", .multiProcessorCount = 4};
    return error;
}

cudaError_t cudaSetDevice(int device)
{
    const cudaError_t error = call();
    if (error == cudaSuccess) {
        current_device = device;
    }
    return error;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    const cudaError_t error = call();
    if (error == cudaSuccess) {
        *free_bytes = machine.memory - machine.taken;
        *total = machine.memory;
    }
    return error;
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t error = last_error;
    last_error = broken;
    return error;
}

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaErrorMemoryAllocation ? "out of memory" : "an error of the stand-in";
}

const char *cudaGetErrorName(cudaError_t error)
{
    return error == cudaErrorIllegalAddress ? "cudaErrorIllegalAddress" : "cudaErrorOther";
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    *least = 0;
    *greatest = -5;
    return call();
}
