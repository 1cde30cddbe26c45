// CUDA C on a CPU, for tests: every CUDA thread of a block is a fiber, blocks run one after the other.
//
// __syncthreads and shuffles let every other thread of the block (or warp) come to the same place. A launch fails
// (tj_shim_launch gives an error code) when some threads wait and the rest have ended: barrier divergence. Threads
// can run in several orders, and shared memory is poisoned before each block, so that code that lacks a barrier or
// reads what nobody wrote gives different results. Generated kernels never wait in loops, so this always ends.

#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <utility>

#define __global__
#define __device__
#define __launch_bounds__(n)
#define __shared__ static __attribute__((section("tj_shared")))

extern "C" char __start_tj_shared[] __attribute__((weak));
extern "C" char __stop_tj_shared[] __attribute__((weak));

struct Dim3 { unsigned x, y, z; };
static Dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace shim {

constexpr int kMaxThreads = 1024, kStack = 64 * 1024, kWarp = 32;
enum State { kReady, kAtBarrier, kAtWarp, kDone };
enum Error { kFine = 0, kDivergence = 1 };

struct Fiber {
    void* stack_pointer;
    State state;
    uint64_t slot;
};

static Fiber fibers[kMaxThreads];
static char* stacks = nullptr;
static void* scheduler_pointer;
static int current, threads;
static void (*body)(void*);
static void* body_argument;

// Saves the callee-saved registers on the stack, stores the stack pointer, and goes on with the other stack.
__attribute__((naked, noinline)) static void switch_stack(void**, void*) {
    asm volatile(
        "pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
        "movq %rsp, (%rdi)\n movq %rsi, %rsp\n"
        "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n ret\n");
}

static void enter(int i) {
    threadIdx = {static_cast<unsigned>(i) % blockDim.x, static_cast<unsigned>(i) / blockDim.x, 0};
}

static void yield_as(State state) {
    fibers[current].state = state;
    switch_stack(&fibers[current].stack_pointer, scheduler_pointer);
    enter(current);
}

static void fiber_main() {
    body(body_argument);
    yield_as(kDone);
    abort();
}

static void start(int i) {
    void** top = reinterpret_cast<void**>(stacks + static_cast<size_t>(i + 1) * kStack);
    *--top = nullptr;  // keeps the stack aligned as at a call
    *--top = reinterpret_cast<void*>(fiber_main);
    for (int r = 0; r < 6; ++r) *--top = nullptr;
    fibers[i] = {top, kReady, 0};
}

static void resume(int i) {
    current = i;
    enter(i);
    switch_stack(&scheduler_pointer, fibers[i].stack_pointer);
}

// 0: first to last, 1: last to first, else a pseudo-random order.
static void make_order(int* order, int kind) {
    for (int i = 0; i < threads; ++i) order[i] = kind == 1 ? threads - 1 - i : i;
    if (kind < 2) return;
    unsigned state = static_cast<unsigned>(kind) * 2654435761u;
    for (int i = threads - 1; i > 0; --i) {
        state = state * 1664525u + 1013904223u;
        std::swap(order[i], order[(state >> 8) % static_cast<unsigned>(i + 1)]);
    }
}

static int count(State state, int from, int to) {
    int found = 0;
    for (int i = from; i < to; ++i) found += fibers[i].state == state;
    return found;
}

// Threads go on when all of their group wait at the same place; a group with ended and waiting threads is stuck.
static bool release(State state, int from, int to) {
    if (count(state, from, to) != to - from) return false;
    for (int i = from; i < to; ++i) fibers[i].state = kReady;
    return true;
}

static int run_block(int order_kind) {
    int order[kMaxThreads];
    make_order(order, order_kind);
    memset(__start_tj_shared, 0xA5, __stop_tj_shared - __start_tj_shared);
    for (int i = 0; i < threads; ++i) start(i);
    for (;;) {
        for (int i = 0; i < threads; ++i)
            if (fibers[order[i]].state == kReady) resume(order[i]);
        if (count(kDone, 0, threads) == threads) return kFine;
        bool moved = release(kAtBarrier, 0, threads);
        for (int warp = 0; warp < threads; warp += kWarp)
            moved |= release(kAtWarp, warp, warp + kWarp < threads ? warp + kWarp : threads);
        if (!moved) return kDivergence;
    }
}

template <class... A, size_t... I>
static void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_reference_t<A>*>(arguments[I])...);
}

template <class... A>
static int launch(void (*kernel)(A...), unsigned blocks, int x, int y, int order, void** arguments) {
    struct Bound { void (*kernel)(A...); void** arguments; } bound{kernel, arguments};
    if (!stacks) stacks = static_cast<char*>(aligned_alloc(64, static_cast<size_t>(kMaxThreads) * kStack));
    threads = x * y;
    blockDim = {static_cast<unsigned>(x), static_cast<unsigned>(y), 1};
    gridDim = {blocks, 1, 1};
    body_argument = &bound;
    body = [](void* p) {
        Bound* b = static_cast<Bound*>(p);
        call(b->kernel, b->arguments, std::index_sequence_for<A...>{});
    };
    for (unsigned i = 0; i < blocks; ++i) {
        blockIdx = {order == 1 ? blocks - 1 - i : i, 0, 0};
        if (int error = run_block(order)) return error;
    }
    return kFine;
}

template <class T>
static T shuffle(T value, int source) {
    static_assert(sizeof(T) <= 8, "a shuffle moves one register or two");
    memcpy(&fibers[current].slot, &value, sizeof(T));
    yield_as(kAtWarp);
    T result;
    memcpy(&result, &fibers[source].slot, sizeof(T));
    yield_as(kAtWarp);
    return result;
}

}  // namespace shim

static inline void __syncthreads() { shim::yield_as(shim::kAtBarrier); }

template <class T>
static inline T __shfl_down_sync(unsigned, T value, int offset) {
    const int lane = shim::current % shim::kWarp, source = shim::current + offset;
    return shim::shuffle(value, lane + offset < shim::kWarp && source < shim::threads ? source : shim::current);
}

template <class To, class From>
static inline To shim_bits(From x) {
    To y;
    static_assert(sizeof x == sizeof y, "a reinterpretation keeps the size");
    memcpy(&y, &x, sizeof y);
    return y;
}
static inline int __float_as_int(float x) { return shim_bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return shim_bits<unsigned>(x); }
static inline float __int_as_float(int x) { return shim_bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return shim_bits<float>(x); }
static inline long long __double_as_longlong(double x) { return shim_bits<long long>(x); }
static inline double __longlong_as_double(long long x) { return shim_bits<double>(x); }
