typedef signed char i8; typedef short i16; typedef int i32; typedef long long i64;
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;

static __device__ i64 tj_maximum_i64(const i64 x, const i64 y) {
    return (x > y) ? x : y;
}

static __device__ i64 tj_minimum_i64(const i64 x, const i64 y) {
    return (x < y) ? x : y;
}

extern "C" __global__ void __launch_bounds__(256) columns_0_fused_0(const i64 m, const i64 n, const float* x, const float* y, const float* t, float* s_part) {
    const i64 groups = tj_maximum_i64(tj_minimum_i64(tj_minimum_i64((n + 63) / 64, 512), 262144 / tj_maximum_i64(m, 1)), 1);
    for (i64 group = blockIdx.x * (i64)blockDim.y + threadIdx.y; group < groups; group += gridDim.x * (i64)blockDim.y) {
        const i64 trips = ((n - group) + (groups + (-1))) / groups;
        for (i64 j = threadIdx.x; j < m; j += blockDim.x) {
            float s = 0.0f;
            for (i64 turn = 0; turn < trips; ++turn) {
                const i64 i = group + (turn * groups);
                const float x_1 = x[j + (i * m)];
                s = s + x_1;
            }
            s_part[(group * m) + j] = s;
        }
    }
}

extern "C" __global__ void __launch_bounds__(256) columns_0_fused_1(const i64 m, const i64 n, const float* x, const float* y, float* t, const float* s_part) {
    const i64 groups = tj_maximum_i64(tj_minimum_i64(tj_minimum_i64((n + 63) / 64, 512), 262144 / tj_maximum_i64(m, 1)), 1);
    for (i64 j = blockIdx.x * (i64)blockDim.x + threadIdx.x; j < m; j += gridDim.x * (i64)blockDim.x) {
        float s = 0.0f;
        for (i64 i = 0; i < groups; ++i) {
            s = s + s_part[(i * m) + j];
        }
        const float y_1 = y[j];
        const float t_1 = s * y_1;
        t[j] = t_1;
    }
}
