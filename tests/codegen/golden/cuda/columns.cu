typedef signed char i8; typedef short i16; typedef int i32; typedef long long i64;
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;

extern "C" __global__ void __launch_bounds__(256) columns_0_fused(const i64 m, const i64 n, const float* x, const float* y, float* t) {
    for (i64 j = blockIdx.x * (i64)blockDim.x + threadIdx.x; j < m; j += gridDim.x * (i64)blockDim.x) {
        float s = 0.0f;
        for (i64 i = 0; i < n; ++i) {
            const float x_1 = x[j + (i * m)];
            s = s + x_1;
        }
        const float y_1 = y[j];
        const float t_1 = s * y_1;
        t[j] = t_1;
    }
}
