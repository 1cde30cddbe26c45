typedef signed char i8; typedef short i16; typedef int i32; typedef long long i64;
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;

static __device__ float tj_f32_of_f16(const u16 x) {
    const u32 t = ((u32)x) << 16u;
    const u32 t_1 = t + t;
    return __uint_as_float((t & 2147483648u) | __float_as_uint((t_1 < 134217728u) ? (__uint_as_float((t_1 >> 17u) | 1056964608u) - 0.5f) : (__uint_as_float((t_1 >> 4u) + 1879048192u) * 1.92593e-34f)));
}

static __device__ float tj_f32_of_bf16(const u16 x) {
    return __uint_as_float(((u32)x) << 16u);
}

static __device__ u16 tj_f16_of_f32(const float x) {
    const u32 t = __float_as_uint(x);
    const u32 t_1 = t + t;
    const u32 t_2 = t_1 & 4278190080u;
    const u32 t_3 = __float_as_uint(__uint_as_float((((t_2 < 1895825408u) ? 1895825408u : t_2) >> 1u) + 125829120u) + ((fabsf(x) * 5.192297e+33f) * 7.70372e-34f));
    return (u16)(((t & 2147483648u) >> 16u) | ((t_1 > 4278190080u) ? 32256u : (((t_3 >> 13u) & 31744u) + (t_3 & 4095u))));
}

extern "C" __global__ void __launch_bounds__(256) halves_0_fused(const i64 n, const i64 m, const u16* x, const u16* y, u16* h) {
    const i64 size = n * m;
    for (i64 j = blockIdx.x * (i64)blockDim.x + threadIdx.x; j < size; j += gridDim.x * (i64)blockDim.x) {
        const u16 x_1 = x[j];
        const float xf = tj_f32_of_f16(x_1);
        const u16 y_1 = y[j];
        const float yf = tj_f32_of_bf16(y_1);
        const float s = xf + yf;
        const u16 h_1 = tj_f16_of_f32(s);
        h[j] = h_1;
    }
}
