/* emulator.cpp - a block's threads as fibers. */
#include "tests/emulate/emulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

dim3 threadIdx, blockIdx, blockDim, gridDim;

/* Where kernels' shared memory lies; the linker makes these names. */
extern "C" char __start_attune_shared[], __stop_attune_shared[];

namespace
{

enum { LANES = 32, STACK = 1 << 18, COPIES = 16 };

/* What the threads of a warp, or of a block, wait for together. */
struct meeting {
    const void *what; /* the operation that the first to come came for */
    int arrived;
    unsigned round;
};

struct copy {
    float4 *to;
    const float4 *from;
};

struct fiber {
    void *jump[5]; /* where it left off, of __builtin_setjmp */
    void *stack;
    bool started, ended;
    const meeting *waits_for; /* NULL if it can run */
    unsigned round;
    copy copies[COPIES]; /* under way: they arrive as late as they may */
    int copy_count;
};

struct warp {
    meeting meets;
    int threads;
    void *operand[LANES]; /* what each lane brought */
};

std::vector<fiber> fibers;
std::vector<warp> warps;
meeting block_meets;
int current, alive, running; /* running: threads in the block */
void *scheduler_jump[5];
const std::function<void()> *body;

[[noreturn]] void fail(const char *what)
{
    fprintf(stderr, "emulator: block %u thread %d: %s\n", blockIdx.x, current, what);
    abort();
}

void note_switch_to(const void *stack, size_t size)
{
#ifdef __SANITIZE_ADDRESS__
    static void *fake;
    __sanitizer_start_switch_fiber(&fake, stack, size);
#else
    (void)stack, (void)size;
#endif
}

const void *scheduler_stack;
size_t scheduler_size;

void note_arrival(bool in_fiber)
{
#ifdef __SANITIZE_ADDRESS__
    const void *stack = nullptr;
    size_t size = 0;
    __sanitizer_finish_switch_fiber(nullptr, &stack, &size);
    if (in_fiber) {
        scheduler_stack = stack;
        scheduler_size = size;
    }
#else
    (void)in_fiber;
#endif
}

/* Not inlined: a function must not jump to a place of its own. */
[[noreturn]] __attribute__((noinline)) void jump_to(void **place)
{
    __builtin_longjmp(place, 1);
}

/* Back to the scheduler; returns when this fiber's turn comes. */
__attribute__((noinline)) void leave()
{
    note_switch_to(scheduler_stack, scheduler_size);
    if (__builtin_setjmp(fibers[current].jump) == 0) {
        jump_to(scheduler_jump);
    }
    note_arrival(true);
}

void fiber_main()
{
    note_arrival(true);
    (*body)();
    fibers[current].ended = true;
    alive--;
    leave();
    fail("a thread that had ended went on");
}

__attribute__((noinline)) void enter(fiber &f)
{
    note_switch_to(f.stack, STACK);
    if (__builtin_setjmp(scheduler_jump) == 0) {
        if (f.started) {
            jump_to(f.jump);
        }
        f.started = true;
        ucontext_t start;
        getcontext(&start);
        start.uc_stack.ss_sp = f.stack;
        start.uc_stack.ss_size = STACK;
        start.uc_link = nullptr;
        makecontext(&start, fiber_main, 0);
        setcontext(&start);
    }
    note_arrival(false);
}

/* Waits until `all` threads have come for `what`; the last one runs `act`. */
template <typename Act> void meet(meeting &m, int all, const void *what, Act act)
{
    if (m.arrived == 0) {
        m.what = what;
    } else if (m.what != what) {
        fail("threads wait together for different things");
    }
    if (++m.arrived == all) {
        act();
        m.arrived = 0;
        m.round++;
        return;
    }
    fibers[current].round = m.round;
    fibers[current].waits_for = &m;
    leave();
    fibers[current].waits_for = nullptr;
}

/* A warp's operation: `act` sees what all lanes brought. */
template <typename Act> void meet_warp(const void *what, void *operand, Act act)
{
    warp &w = warps[current / LANES];
    w.operand[current % LANES] = operand;
    meet(w.meets, w.threads, what, [&] { act(w.operand, w.threads); });
}

/* Gives each lane that can run a turn; false if there was none. */
bool run_warp(int w)
{
    bool moved = false;
    for (int i = 0; i < warps[w].threads; i++) {
        const int lane = blockIdx.x % 2 ? warps[w].threads - 1 - i : i;
        current = w * LANES + lane;
        fiber &f = fibers[current];
        if (!f.ended && !(f.waits_for && f.waits_for->round == f.round)) {
            threadIdx.x = static_cast<uint32_t>(current);
            enter(f);
            moved = true;
        }
    }
    return moved;
}

/* One warp after the other, each as far as it can come alone: that is how warps that should have
 * waited for each other are caught. */
void run_block()
{
    alive = running;
    block_meets = {};
    for (size_t i = 0; i < warps.size(); i++) {
        const int left = running - static_cast<int>(i) * LANES;
        warps[i] = {};
        warps[i].threads = left < LANES ? left : LANES;
    }
    for (fiber &f : fibers) {
        f.started = f.ended = false;
        f.waits_for = nullptr;
        f.copy_count = 0;
    }
    while (alive > 0) {
        bool moved = false;
        for (size_t i = 0; i < warps.size(); i++) {
            const size_t w = blockIdx.x % 2 ? warps.size() - 1 - i : i;
            while (run_warp(static_cast<int>(w))) {
                moved = true;
            }
        }
        if (!moved) {
            fail("threads wait for others that never come");
        }
    }
}

} // namespace

void emulate_launch(dim3 grid, dim3 block, const std::function<void()> &thread)
{
    running = static_cast<int>(block.x);
    const size_t before = fibers.size();
    fibers.resize(block.x);
    warps.resize((block.x + LANES - 1) / LANES);
    static std::vector<void *> stacks; /* kept for the process's life */
    while (stacks.size() < block.x) {
        stacks.push_back(mmap(nullptr, STACK, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    }
    for (size_t i = before; i < block.x; i++) {
        fibers[i] = {};
    }
    for (size_t i = 0; i < block.x; i++) {
        fibers[i].stack = stacks[i];
    }
    body = &thread;
    gridDim = grid;
    blockDim = block;
    for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++) {
        for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++) {
            memset(__start_attune_shared, 0xff,
                   static_cast<size_t>(__stop_attune_shared - __start_attune_shared));
            run_block();
        }
    }
}

void __syncthreads(void)
{
    static const char what[] = "syncthreads";
    if (alive != running) {
        fail("a barrier when some threads have ended");
    }
    meet(block_meets, running, what, [] {});
}

void __syncwarp(void)
{
    static const char what[] = "syncwarp";
    meet_warp(what, nullptr, [](void **, int) {});
}

namespace
{

struct shuffle {
    float value, result;
    int from;
};

float exchange(const void *what, float value, int from)
{
    shuffle mine = {value, 0, from};
    meet_warp(what, &mine, [](void **operand, int lanes) {
        for (int i = 0; i < lanes; i++) {
            shuffle *s = static_cast<shuffle *>(operand[i]);
            s->result = s->from < lanes ? static_cast<shuffle *>(operand[s->from])->value : NAN;
        }
    });
    return mine.result;
}

void need_all(uint32_t lanes)
{
    if (lanes != 0xffffffffu) {
        fail("a shuffle of some lanes only");
    }
}

} // namespace

float __shfl_sync(uint32_t lanes, float value, int from)
{
    static const char what[] = "shfl";
    need_all(lanes);
    return exchange(what, value, from % LANES);
}

float __shfl_xor_sync(uint32_t lanes, float value, int mask)
{
    static const char what[] = "shfl_xor";
    need_all(lanes);
    return exchange(what, value, (current % LANES) ^ mask);
}

float larger(float x, float y)
{
    return isnan(x) || x > y ? x : y;
}

/* As if the instruction's error were the largest it may be and not repaired quite. */
float reciprocal(float d)
{
    return nextafterf(1.0f / d, 0.0f);
}

/* tanh.approx: 2^-11 relative, here by keeping 10 bits of the fraction, to nearest. */
float tanh_approximate(float x)
{
    const float y = tanhf(x);
    uint32_t bits;
    memcpy(&bits, &y, sizeof(bits));
    bits = (bits + 0x1000) & ~0x1fffu;
    float rounded;
    memcpy(&rounded, &bits, sizeof(rounded));
    return rounded;
}

/* The nearest multiple of the spacing that halves have around x, ties to even. */
static uint32_t half_of(float x)
{
    /* The nearest multiple of the spacing of halves around x, ties to even, by the present
     * rounding. */
    const float a = fabsf(x);
    if (!(a < 65520.0f)) {
        return (signbit(x) ? 0x8000u : 0u) | (isnan(x) ? 0x7e00u : 0x7c00u);
    }
    int exponent = 0;
    frexpf(a, &exponent);
    const int spacing = a == 0.0f || exponent < -13 ? -24 : exponent - 11;
    const uint32_t steps = static_cast<uint32_t>(nearbyintf(ldexpf(a, -spacing)));
    /* the bits count the spacings from 0: 1024 for every power of two below */
    const uint32_t bits = steps + 1024u * static_cast<uint32_t>(spacing + 24);
    return (signbit(x) ? 0x8000u : 0u) | bits;
}

static float half_value(uint32_t half)
{
    const int exponent = static_cast<int>(half >> 10 & 31),
              fraction = static_cast<int>(half & 1023);
    const float a = exponent == 31 ? (fraction ? NAN : INFINITY)
                    : exponent     ? ldexpf(static_cast<float>(1024 + fraction), exponent - 25)
                                   : ldexpf(static_cast<float>(fraction), -24);
    return half & 0x8000 ? -a : a;
}

uint32_t pack_halves(float first, float second)
{
    return half_of(first) | half_of(second) << 16;
}

float2 unpack_halves(uint32_t pair)
{
    return {half_value(pair & 0xffff), half_value(pair >> 16)};
}

namespace
{

struct product {
    float *d;
    const uint32_t *a;
    uint32_t b[2];
};

/* c + the sum of 16 exact products, each cut off (not rounded) 24 bits below the largest of them,
 * and the result cut off to a float: what published measurements of tensor cores describe, a bit or
 * two to the bad. */
float sum_cut(float c, const float products[16])
{
    float largest = fabsf(c);
    for (int k = 0; k < 16; k++) {
        largest = larger(largest, fabsf(products[k]));
    }
    if (!(largest < INFINITY) || largest == 0.0f) {
        float sum = c;
        for (int k = 0; k < 16; k++) {
            sum += products[k];
        }
        return sum;
    }
    const double unit = ldexp(1.0, ilogbf(largest) - 24), inverse = 1.0 / unit;
    int64_t sum = static_cast<int64_t>(c * inverse);
    for (int k = 0; k < 16; k++) {
        sum += static_cast<int64_t>(products[k] * inverse);
    }
    const double exact = static_cast<double>(sum) * unit;
    float cut = static_cast<float>(exact);
    if (fabs(static_cast<double>(cut)) > fabs(exact)) {
        cut = nextafterf(cut, 0.0f);
    }
    return cut;
}

void multiply(void **operand, int lanes)
{
    if (lanes != LANES) {
        fail("mma by less than a warp");
    }
    float a[16][16], b[16][8];
    for (int lane = 0; lane < LANES; lane++) {
        const product *p = static_cast<product *>(operand[lane]);
        const int g = lane / 4, t = lane % 4;
        for (int i = 0; i < 4; i++) {
            const float2 pair = unpack_halves(p->a[i]);
            a[g + i % 2 * 8][2 * t + i / 2 * 8] = pair.x;
            a[g + i % 2 * 8][2 * t + i / 2 * 8 + 1] = pair.y;
        }
        for (int i = 0; i < 2; i++) {
            const float2 pair = unpack_halves(p->b[i]);
            b[2 * t + 8 * i][g] = pair.x;
            b[2 * t + 8 * i + 1][g] = pair.y;
        }
    }
    for (int lane = 0; lane < LANES; lane++) {
        const product *p = static_cast<product *>(operand[lane]);
        for (int i = 0; i < 4; i++) {
            const int row = lane / 4 + i / 2 * 8, column = 2 * (lane % 4) + i % 2;
            float products[16];
            for (int k = 0; k < 16; k++) {
                products[k] = a[row][k] * b[k][column];
            }
            p->d[i] = sum_cut(p->d[i], products);
        }
    }
}

} // namespace

void multiply_16x8x16(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1)
{
    static const char what[] = "mma";
    product mine = {d, a, {b0, b1}};
    meet_warp(what, &mine, multiply);
}

void copy_async(float4 *shared, const float4 *global)
{
    fiber &f = fibers[current];
    if (f.copy_count == COPIES) {
        fail("too many copies under way");
    }
    if (reinterpret_cast<uintptr_t>(shared) % 16 || reinterpret_cast<uintptr_t>(global) % 16) {
        fail("a misaligned copy");
    }
    f.copies[f.copy_count++] = {shared, global};
}

void wait_for_copies(void)
{
    fiber &f = fibers[current];
    for (int i = 0; i < f.copy_count; i++) {
        *f.copies[i].to = *f.copies[i].from;
    }
    f.copy_count = 0;
}
