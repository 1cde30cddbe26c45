typedef signed char i8; typedef short i16; typedef int i32; typedef long long i64;
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;

static __device__ i64 tj_minimum_i64(const i64 x, const i64 y) {
    return (x < y) ? x : y;
}

// `add` of x over the threads of the block, as a fixed tree; every thread gets the result
static __device__ double tj_fold_add_f64(double x, const double identity) {
    __shared__ double slots[32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = (blockDim.x + 31) >> 5;
    for (int offset = 16; offset > 0; offset >>= 1) {
        const double other = __shfl_down_sync(0xffffffffu, x, offset);
        x = x + other;
    }
    if (lane == 0) slots[warp] = x;
    __syncthreads();
    if (warp == 0) {
        x = lane < warps ? slots[lane] : identity;
        for (int offset = 16; offset > 0; offset >>= 1) {
            const double other = __shfl_down_sync(0xffffffffu, x, offset);
            x = x + other;
        }
        if (lane == 0) slots[0] = x;
    }
    __syncthreads();
    x = slots[0];
    __syncthreads();
    return x;
}

static __device__ bool tj_isnan_f64(const double x) {
    return x != x;
}

static __device__ double tj_maximum_f64(const double x, const double y) {
    return tj_isnan_f64(x) ? x : ((x > y) ? x : y);
}

// `maximum` of x over the threads of the block, as a fixed tree; every thread gets the result
static __device__ double tj_fold_maximum_f64(double x, const double identity) {
    __shared__ double slots[32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = (blockDim.x + 31) >> 5;
    for (int offset = 16; offset > 0; offset >>= 1) {
        const double other = __shfl_down_sync(0xffffffffu, x, offset);
        x = tj_maximum_f64(x, other);
    }
    if (lane == 0) slots[warp] = x;
    __syncthreads();
    if (warp == 0) {
        x = lane < warps ? slots[lane] : identity;
        for (int offset = 16; offset > 0; offset >>= 1) {
            const double other = __shfl_down_sync(0xffffffffu, x, offset);
            x = tj_maximum_f64(x, other);
        }
        if (lane == 0) slots[0] = x;
    }
    __syncthreads();
    x = slots[0];
    __syncthreads();
    return x;
}

extern "C" __global__ void __launch_bounds__(256) normalise_0_sum_0(const i64 n, const double* x, const double* s, double* s_part) {
    const i64 groups = tj_minimum_i64((n + 4095) / 4096, 1024);
    for (i64 group = blockIdx.x; group < groups; group += gridDim.x) {
        const i64 trips = ((((n + 4095) / 4096) - group) + (groups + (-1))) / groups;
        double s_1 = 0.0;
        for (i64 turn = 0; turn < trips; ++turn) {
            const i64 block = group + (turn * groups);
            const i64 start = block * 4096;
            const i64 length = tj_minimum_i64(n - start, 4096);
            double s_2 = 0.0;
            for (i64 i = threadIdx.x; i < length; i += blockDim.x) {
                const double x_1 = x[start + i];
                s_2 = s_2 + x_1;
            }
            s_2 = tj_fold_add_f64(s_2, 0.0);
            s_1 = s_1 + s_2;
        }
        if (threadIdx.x == 0) s_part[group] = s_1;
    }
}

extern "C" __global__ void __launch_bounds__(256) normalise_0_sum_1(const i64 n, const double* x, double* s, const double* s_part) {
    const i64 groups = tj_minimum_i64((n + 4095) / 4096, 1024);
    double s_1 = 0.0;
    for (i64 i = threadIdx.x; i < groups; i += blockDim.x) {
        s_1 = s_1 + s_part[i];
    }
    s_1 = tj_fold_add_f64(s_1, 0.0);
    if (blockIdx.x == 0 && threadIdx.x == 0) s[0] = s_1;
}

extern "C" __global__ void __launch_bounds__(256) normalise_1_fused_0(const double* s, const i64 n, const double* x, double* y, const double* z, double* z_part) {
    const double s_1 = s[0];
    const i64 groups = tj_minimum_i64((n + 4095) / 4096, 1024);
    for (i64 group = blockIdx.x; group < groups; group += gridDim.x) {
        const i64 trips = ((((n + 4095) / 4096) - group) + (groups + (-1))) / groups;
        double z_1 = __longlong_as_double(0xfff0000000000000LL);
        for (i64 turn = 0; turn < trips; ++turn) {
            const i64 block = group + (turn * groups);
            const i64 start = block * 4096;
            const i64 length = tj_minimum_i64(n - start, 4096);
            double z_2 = __longlong_as_double(0xfff0000000000000LL);
            for (i64 i = threadIdx.x; i < length; i += blockDim.x) {
                const double x_1 = x[start + i];
                const double y_1 = x_1 / s_1;
                y[start + i] = y_1;
                z_2 = tj_maximum_f64(z_2, y_1);
            }
            z_2 = tj_fold_maximum_f64(z_2, __longlong_as_double(0xfff0000000000000LL));
            z_1 = tj_maximum_f64(z_1, z_2);
        }
        if (threadIdx.x == 0) z_part[group] = z_1;
    }
}

extern "C" __global__ void __launch_bounds__(256) normalise_1_fused_1(const double* s, const i64 n, const double* x, const double* y, double* z, const double* z_part) {
    const double s_1 = s[0];
    const i64 groups = tj_minimum_i64((n + 4095) / 4096, 1024);
    double z_1 = __longlong_as_double(0xfff0000000000000LL);
    for (i64 i = threadIdx.x; i < groups; i += blockDim.x) {
        z_1 = tj_maximum_f64(z_1, z_part[i]);
    }
    z_1 = tj_fold_maximum_f64(z_1, __longlong_as_double(0xfff0000000000000LL));
    if (blockIdx.x == 0 && threadIdx.x == 0) z[0] = z_1;
}

extern "C" __global__ void __launch_bounds__(256) normalise_2_fused(const double* z, const i64 n, double* y) {
    const double z_1 = z[0];
    for (i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x; i < n; i += gridDim.x * (i64)blockDim.x) {
        const double y_1 = y[i];
        const double r = y_1 - z_1;
        y[i] = r;
    }
}
