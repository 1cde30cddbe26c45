typedef signed char i8; typedef short i16; typedef int i32; typedef long long i64;
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;

static __device__ bool tj_isnan_f32(const float x) {
    return x != x;
}

static __device__ float tj_maximum_f32(const float x, const float y) {
    return tj_isnan_f32(x) ? x : ((x > y) ? x : y);
}

// `maximum` of x over the threads of the block, as a fixed tree; every thread gets the result
static __device__ float tj_fold_maximum_f32(float x, const float identity) {
    __shared__ float slots[32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = (blockDim.x + 31) >> 5;
    for (int offset = 16; offset > 0; offset >>= 1) {
        const float other = __shfl_down_sync(0xffffffffu, x, offset);
        x = tj_maximum_f32(x, other);
    }
    if (lane == 0) slots[warp] = x;
    __syncthreads();
    if (warp == 0) {
        x = lane < warps ? slots[lane] : identity;
        for (int offset = 16; offset > 0; offset >>= 1) {
            const float other = __shfl_down_sync(0xffffffffu, x, offset);
            x = tj_maximum_f32(x, other);
        }
        if (lane == 0) slots[0] = x;
    }
    __syncthreads();
    x = slots[0];
    __syncthreads();
    return x;
}

// `add` of x over the threads of the block, as a fixed tree; every thread gets the result
static __device__ float tj_fold_add_f32(float x, const float identity) {
    __shared__ float slots[32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = (blockDim.x + 31) >> 5;
    for (int offset = 16; offset > 0; offset >>= 1) {
        const float other = __shfl_down_sync(0xffffffffu, x, offset);
        x = x + other;
    }
    if (lane == 0) slots[warp] = x;
    __syncthreads();
    if (warp == 0) {
        x = lane < warps ? slots[lane] : identity;
        for (int offset = 16; offset > 0; offset >>= 1) {
            const float other = __shfl_down_sync(0xffffffffu, x, offset);
            x = x + other;
        }
        if (lane == 0) slots[0] = x;
    }
    __syncthreads();
    x = slots[0];
    __syncthreads();
    return x;
}

extern "C" __global__ void __launch_bounds__(256) softmax_0_fused(const i64 n, const i64 m, const float* x, float* y) {
    for (i64 i = blockIdx.x; i < n; i += gridDim.x) {
        const i64 at = i * m;
        float max = __int_as_float(0xff800000);
        for (i64 j = threadIdx.x; j < m; j += blockDim.x) {
            const float x_1 = x[at + j];
            max = tj_maximum_f32(max, x_1);
        }
        max = tj_fold_maximum_f32(max, __int_as_float(0xff800000));
        float s = 0.0f;
        __syncthreads();
        for (i64 j_1 = threadIdx.x; j_1 < m; j_1 += blockDim.x) {
            const float x_2 = x[at + j_1];
            const float d = x_2 - max;
            const float e = expf(d);
            y[at + j_1] = e;
            s = s + e;
        }
        s = tj_fold_add_f32(s, 0.0f);
        for (i64 j_2 = threadIdx.x; j_2 < m; j_2 += blockDim.x) {
            const float e_1 = y[at + j_2];
            const float y_1 = e_1 / s;
            y[at + j_2] = y_1;
        }
        __syncthreads();
    }
}
